#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS = 24 };

struct shmframe_session *stage_session;
static char folder[] = "/tmp/shmframe-test-XXXXXX";
static char socket_path[64], log_path[64], said_path[64];
static pid_t supervisor;

static pid_t start_into(const char *path, const char *program, const char *const *arguments) {
    char *argv[ARGUMENTS] = {(char *)program};
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)arguments[i];
    /* Here, so that nobody takes what an earlier program said for this one's. */
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execv(program, argv);
        _exit(127);
    }
    close(fd);
    return pid;
}

void stage_set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    snprintf(said_path, sizeof(said_path), "%s/said", folder);
    snprintf(log_path, sizeof(log_path), "%s/log", folder);
    setenv("SHMFRAME_SOCKET", socket_path, 1);
    unsetenv("DISPLAY");
    unsetenv("WAYLAND_DISPLAY");
    supervisor = start_into(log_path, getenv("SHMFRAMED"),
                            (const char *const[]){"--socket", socket_path, NULL});
    const struct shmframe_session_params params = {.deadline_ns =
                                                       shmframe_deadline_ns(10 * SECOND_NS)};
    ck_assert_msg(shmframe_session_open(&params, &stage_session) == 0, "%s", shmframe_last_error());
}

void stage_tear_down(void) {
    shmframe_session_close(stage_session);
    kill(supervisor, SIGTERM);
    stage_wait_exit(supervisor);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Programs. */

void stage_expect_exit(int code, const char *const *arguments) {
    const int real = stage_wait_exit(stage_start(arguments));
    ck_assert_msg(real == code, "%d: %s", real, stage_said());
}

pid_t stage_start(const char *const *arguments) {
    return start_into(said_path, getenv("SHMFRAME_SCREEN"), arguments);
}

int stage_wait_exit(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void stage_stop(pid_t pid) {
    kill(pid, SIGINT);
    const int code = stage_wait_exit(pid);
    ck_assert_msg(code == 0, "%d: %s", code, stage_said());
}

const char *stage_said(void) {
    static char text[16384];
    FILE *file = fopen(said_path, "r");
    text[file ? fread(text, 1, sizeof(text) - 1, file) : 0] = 0;
    if (file)
        fclose(file);
    return text;
}

void stage_await_said(const char *part) {
    const int64_t deadline_ns = shmframe_deadline_ns(20 * SECOND_NS);
    while (!strstr(stage_said(), part)) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "not \"%s\": %s", part, stage_said());
        usleep(5000);
    }
}

void stage_expect_complaint(const char *part) {
    const char *text = stage_said();
    ck_assert_msg(strstr(text, part), "not \"%s\": %s", part, text);
    ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "%s", text);
}

int64_t stage_counted(const char *name) {
    char key[64];
    snprintf(key, sizeof(key), "\"%s\":", name);
    const char *at = strstr(stage_said(), key);
    ck_assert_msg(at, "no %s: %s", name, stage_said());
    return strtoll(at + strlen(key), NULL, 10);
}

/* Readers. */

struct shmframe_reader *stage_open_reader(void) {
    const struct shmframe_reader_params params = {
        .stream = "screen",
        .policy = SHMFRAME_IN_ORDER,
        .depth = 16,
        .deadline_ns = shmframe_deadline_ns(20 * SECOND_NS),
    };
    struct shmframe_reader *reader;
    const int result = shmframe_reader_open(stage_session, &params, &reader);
    ck_assert_msg(result == 0, "%s; %s", shmframe_last_error(), stage_said());
    return reader;
}

struct shmframe_lease stage_acquire(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    const int result =
        shmframe_reader_acquire(reader, shmframe_deadline_ns(20 * SECOND_NS), &lease);
    ck_assert_msg(result == 0, "%s; %s", strerror(-result), stage_said());
    return lease;
}

void stage_release(struct shmframe_reader *reader, struct shmframe_lease *lease) {
    ck_assert_int_eq(shmframe_reader_release(reader, lease), 0);
}

void stage_expect_nothing(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    const int result = shmframe_reader_acquire(reader, shmframe_deadline_ns(SECOND_NS / 5), &lease);
    ck_assert_int_eq(result, -ETIMEDOUT);
}

void stage_drain(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    int result;
    while ((result =
                shmframe_reader_acquire(reader, shmframe_deadline_ns(20 * SECOND_NS), &lease)) == 0)
        stage_release(reader, &lease);
    ck_assert_int_eq(result, -ENODATA);
}

struct shmframe_answer stage_ask(const char *verb, const char *argument) {
    struct shmframe_answer answer;
    const int result = shmframe_session_request(stage_session, "screen", verb, argument,
                                                shmframe_deadline_ns(20 * SECOND_NS), &answer);
    ck_assert_msg(result == 0, "%s: %s", verb, shmframe_last_error());
    return answer;
}
