#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../built.h"
#include "../folder.h"
#include "../region/descriptors.h"

struct world world;
static int word[2] = {-1, -1}; /* from children */
static int mappings_before;

enum { WORLD_MS = 20000, LOOK_AGAIN_MS = 2 };

int64_t world_deadline(void) {
    return shmframe_deadline_ns(WORLD_NS);
}

/* ---- processes ---- */

static pid_t fork_bound(void) {
    const pid_t parent = getpid();
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return pid;
}

pid_t world_fork(void (*act)(void)) {
    const pid_t pid = fork_bound();
    if (pid > 0)
        return pid;
    act();
    _exit(0);
}

void world_tell(void) {
    if (write(word[1], "", 1) != 1)
        _exit(2);
}

void world_await(void) {
    struct pollfd poll_word = {.fd = word[0], .events = POLLIN};
    ck_assert_int_eq(poll(&poll_word, 1, WORLD_MS), 1);
    char byte;
    ck_assert_int_eq(read(word[0], &byte, 1), 1);
}

void world_kill(pid_t pid) {
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

void world_join(pid_t pid) {
    const int64_t deadline_ns = world_deadline();
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "a process did not end");
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a process ended with 0x%x",
                  (unsigned)status);
}

void world_await_stopped(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
}

/* ---- the supervisor ---- */

void world_start_supervisor(const char *option, const char *value) {
    const char *path = built_supervisor("server/shmframed");
    int ready[2];
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    world.supervisor = fork_bound();
    if (world.supervisor == 0) {
        char number[16];
        snprintf(number, sizeof(number), "%d", fcntl(ready[1], F_DUPFD, 100));
        if (!getenv("SHMFRAMED_LOG"))
            dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        execl(path, "shmframed", "--socket", world.socket, "--ready-fd", number, option, value,
              (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    struct pollfd poll_ready = {.fd = ready[0], .events = POLLIN};
    ck_assert_int_eq(poll(&poll_ready, 1, WORLD_MS), 1);
    char byte = 0;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
}

void world_kill_supervisor(void) {
    world_kill(world.supervisor);
    world.supervisor = -1;
}

/* ---- fixtures ---- */

static int count_mappings(void) {
    FILE *file = fopen("/proc/self/maps", "re");
    ck_assert_ptr_nonnull(file);
    char line[1024];
    int count = 0;
    while (fgets(line, sizeof(line), file))
        count += strstr(line, "memfd:shmframe") != NULL;
    fclose(file);
    return count;
}

void world_begin(void) {
    world = (struct world){.supervisor = -1};
    built_supervisor("server/shmframed"); /* without one there is no world, and no folder of it */
    strcpy(world.folder, "/tmp/shmframe-api-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world.folder));
    snprintf(world.socket, sizeof(world.socket), "%s/socket", world.folder);
    ck_assert_int_eq(pipe2(word, O_CLOEXEC), 0);
    world_start_supervisor(NULL, NULL);
    descriptors_begin();
    mappings_before = count_mappings();
    world.session = world_open_session();
}

void world_end(void) {
    shmframe_session_close(world.session);
    descriptors_end();
    ck_assert_int_eq(count_mappings(), mappings_before);
    if (world.supervisor > 0)
        world_kill_supervisor();
    ck_assert_int_eq(folder_remove(world.folder), 0);
    close(word[0]);
    close(word[1]);
}

/* ---- short ways ---- */

struct shmframe_session *world_open_session(void) {
    const struct shmframe_session_params params = {
        .socket = world.socket, .name = "api-test", .deadline_ns = world_deadline()};
    struct shmframe_session *session = NULL;
    const int code = shmframe_session_open(&params, &session);
    ck_assert_msg(code == 0, "no session: %s", shmframe_last_error());
    return session;
}

void world_await_connected(bool is_connected) {
    const int64_t deadline_ns = world_deadline();
    while (shmframe_session_is_connected(world.session) != is_connected) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the session %s",
                      is_connected ? "did not come back" : "did not notice");
        struct pollfd poll_session = {.fd = shmframe_session_fd(world.session), .events = POLLIN};
        poll(&poll_session, 1, 1000);
        ck_assert_int_eq(shmframe_session_dispatch(world.session), 0);
    }
}

void world_await_asleep(pid_t thread) {
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)thread);
    const int64_t deadline_ns = world_deadline();
    for (;;) {
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return; /* it has ended */
        const ssize_t bytes = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[bytes > 0 ? bytes : 0] = '\0';
        const char *name_end = strrchr(text, ')');
        if (!name_end || name_end[2] == 'S' || shmframe_now_ns() > deadline_ns)
            return;
        poll(NULL, 0, 1);
    }
}

struct shmframe_writer_params world_writer_params(const char *stream) {
    struct shmframe_writer_params params = {.stream = stream};
    ck_assert_int_eq(shmframe_format_data(&params.format, "test", sizeof(uint64_t)), 0);
    return params;
}

struct shmframe_writer *world_open_writer(const char *stream) {
    const struct shmframe_writer_params params = world_writer_params(stream);
    struct shmframe_writer *writer = NULL;
    const int code = shmframe_writer_open(world.session, &params, &writer);
    ck_assert_msg(code == 0, "no writer: %s", shmframe_last_error());
    return writer;
}

struct shmframe_reader *world_open_reader(const char *stream, enum shmframe_policy policy) {
    const struct shmframe_reader_params params = {
        .stream = stream, .policy = policy, .deadline_ns = world_deadline()};
    struct shmframe_reader *reader = NULL;
    const int code = shmframe_reader_open(world.session, &params, &reader);
    ck_assert_msg(code == 0, "no reader: %s", shmframe_last_error());
    return reader;
}

uint64_t world_publish(struct shmframe_writer *writer, uint64_t value) {
    struct shmframe_loan loan;
    int code = shmframe_writer_loan(writer, world_deadline(), &loan);
    ck_assert_msg(code == 0, "no loan (%d): %s", code, shmframe_last_error());
    memcpy(loan.data, &value, sizeof(value));
    code = shmframe_writer_publish(writer, &loan);
    ck_assert_msg(code == 0, "not published (%d): %s", code, shmframe_last_error());
    return loan.frame.sequence;
}

uint64_t world_value(const struct shmframe_lease *lease) {
    uint64_t value;
    memcpy(&value, lease->data, sizeof(value));
    return value;
}

uint64_t world_take(struct shmframe_reader *reader, uint64_t sequence) {
    struct shmframe_lease lease;
    const int code = shmframe_reader_acquire(reader, world_deadline(), &lease);
    ck_assert_msg(code == 0, "no lease (%d): %s", code, shmframe_last_error());
    ck_assert_uint_eq(lease.frame.sequence, sequence);
    const uint64_t value = world_value(&lease);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    return value;
}

void world_expect_readable(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    ck_assert_msg(poll(&poll_fd, 1, WORLD_MS) == 1, "the descriptor did not become readable");
}

bool world_is_readable(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    const int ready = poll(&poll_fd, 1, 0);
    ck_assert_int_ge(ready, 0);
    return ready > 0;
}

struct shmframe_reader_event world_expect_event(struct shmframe_reader *reader,
                                                enum shmframe_reader_event_type type) {
    struct shmframe_reader_event event = {0};
    ck_assert_int_eq(shmframe_reader_next_event(reader, &event), 0);
    ck_assert_int_eq(event.type, type);
    return event;
}

struct shmframe_writer_event world_expect_writer_event(struct shmframe_writer *writer,
                                                       enum shmframe_writer_event_type type) {
    struct shmframe_writer_event event = {0};
    while (shmframe_writer_next_event(writer, &event) == -EAGAIN) {
        world_expect_readable(shmframe_session_fd(world.session));
        ck_assert_int_eq(shmframe_session_dispatch(world.session), 0);
    }
    ck_assert_int_eq(event.type, type);
    return event;
}

int world_run(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
