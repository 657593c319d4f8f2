/* A supervisor of the test's own, a session at it, and short ways to say what most tests say.
 *
 * Only the public API is used. Everything fails the test when it does not happen in WORLD_NS.
 */
#ifndef TESTS_API_WORLD_H
#define TESTS_API_WORLD_H

#include <check.h>
#include <shmframe/shmframe.h>
#include <sys/types.h>

#define WORLD_NS INT64_C(20000000000)

extern struct world {
    pid_t supervisor; /* -1: none runs */
    char folder[64];
    char socket[96];
    struct shmframe_session *session; /* opened by the fixture */
} world;

/* Checked fixtures: everything is there; everything is gone again, descriptors and mappings too. */
void world_begin(void);
void world_end(void);

void world_start_supervisor(const char *option, const char *value); /* NULL: none */
void world_kill_supervisor(void);

int64_t world_deadline(void);
struct shmframe_session *world_open_session(void);
/* Dispatches until the session has a supervisor, or has none any more. */
void world_await_connected(bool is_connected);
/* Waits until the thread, or process of one thread, sleeps in a system call: what it was to do
 * until then is done. */
void world_await_asleep(pid_t thread);

struct shmframe_writer_params world_writer_params(const char *stream); /* 8 bytes of data a frame */
struct shmframe_writer *world_open_writer(const char *stream);
struct shmframe_reader *world_open_reader(const char *stream, enum shmframe_policy policy);

/* Loans, writes `value` into the slot, publishes; returns the sequence. */
uint64_t world_publish(struct shmframe_writer *writer, uint64_t value);
/* Takes the next frame, checks that its sequence is `sequence`, releases; returns its value. */
uint64_t world_take(struct shmframe_reader *reader, uint64_t sequence);
uint64_t world_value(const struct shmframe_lease *lease);

/* Whether the descriptor is readable at this moment; waits until it is. */
bool world_is_readable(int fd);
void world_expect_readable(int fd);

/* The next event is of this type. */
struct shmframe_reader_event world_expect_event(struct shmframe_reader *reader,
                                                enum shmframe_reader_event_type type);
struct shmframe_writer_event world_expect_writer_event(struct shmframe_writer *writer,
                                                       enum shmframe_writer_event_type type);

/* `code` is this error, and the sentence names the thing. */
#define expect_error(code, wanted, name)                                                           \
    do {                                                                                           \
        ck_assert_int_eq(code, wanted);                                                            \
        ck_assert_msg(strstr(shmframe_last_error(), name) != NULL, "'%s' does not name %s",        \
                      shmframe_last_error(), name);                                                \
    } while (0)

/* A process of its own, with a session of its own, that runs `act` and then waits to be ended. */
pid_t world_fork(void (*act)(void));
/* In the child: `act` has come so far. */
void world_tell(void);
/* In the parent: waits for the child's word. */
void world_await(void);
void world_kill(pid_t pid);
/* Waits until the child ends by itself, with status 0. */
void world_join(pid_t pid);
/* Waits until the child is stopped. */
void world_await_stopped(pid_t pid);

int world_run(Suite *suite);

#endif
