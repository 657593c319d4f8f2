/* Stage: a supervisor in a folder of its own, programs that die with the test, and readers. */
#ifndef TESTS_SCREEN_STAGE_H
#define TESTS_SCREEN_STAGE_H

#include <check.h>
#include <shmframe/shmframe.h>
#include <sys/types.h>

#define SECOND_NS INT64_C(1000000000)

void stage_set_up(void);
void stage_tear_down(void);
extern struct shmframe_session *stage_session;

/* Starts shmframe-screen; what it says goes where stage_said() finds it. */
pid_t stage_start(const char *const *arguments);
#define START(...) stage_start((const char *const[]){__VA_ARGS__, NULL})
/* Its exit code; -1: a signal ended it. */
int stage_wait_exit(pid_t pid);
/* It ends by itself, with that code. */
void stage_expect_exit(int code, const char *const *arguments);
#define EXPECT_EXIT(code, ...) stage_expect_exit(code, (const char *const[]){__VA_ARGS__, NULL})
/* Ends it as Ctrl-C does, and expects 0. */
void stage_stop(pid_t pid);

/* What the newest program has said so far. */
const char *stage_said(void);
void stage_await_said(const char *part);
/* It is one line, with that in it. */
void stage_expect_complaint(const char *part);
/* A number of its statistics, which were asked for as JSON. */
int64_t stage_counted(const char *name);

struct shmframe_reader *stage_open_reader(void);
struct shmframe_lease stage_acquire(struct shmframe_reader *reader);
void stage_release(struct shmframe_reader *reader, struct shmframe_lease *lease);
/* Nothing is published for a while. */
void stage_expect_nothing(struct shmframe_reader *reader);
/* Takes what is left, and then the end. */
void stage_drain(struct shmframe_reader *reader);

struct shmframe_answer stage_ask(const char *verb, const char *argument);

#endif
