#include "stage.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <shmframe/shmframe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

enum { ARGUMENTS = 24 };

struct sound_server stage_server;
char stage_said_path[96];
static pid_t supervisor;
struct shmframe_session *stage_session;

/* Processes. */

pid_t stage_start(const char *path, const char *program, const char *const *arguments) {
    char *argv[ARGUMENTS] = {(char *)program};
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)arguments[i];
    /* What the tests' framework does at a signal is not what the program does. */
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, &before);
    const pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execvp(program, argv);
        _exit(127);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

int stage_wait_exit(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *stage_said(void) {
    static char text[16384];
    FILE *file = fopen(stage_said_path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return text;
}

void stage_wait_until_said(const char *part) {
    const int64_t deadline_ns = shmframe_deadline_ns(60 * SECOND_NS);
    while (!strstr(stage_said(), part)) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "waited for \"%s\" in vain: %s", part,
                      stage_said());
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

int stage_count_said(const char *part) {
    int count = 0;
    for (const char *at = stage_said(); (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

void stage_expect_failure(pid_t pid, int exit_code, const char *part) {
    ck_assert_int_eq(stage_wait_exit(pid), exit_code);
    const char *text = stage_said();
    ck_assert_msg(strstr(text, part), "%s", text);
    ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "%s", text);
}

json_t *stage_read_statistics(void) {
    const char *brace = strchr(stage_said(), '{');
    ck_assert_msg(brace, "%s", stage_said());
    json_error_t error;
    json_t *root = json_loads(brace, 0, &error);
    ck_assert_msg(root, "%s: %s", error.text, stage_said());
    json_t *stream = json_incref(json_array_get(json_object_get(root, "streams"), 0));
    json_decref(root);
    return stream;
}

int64_t stage_read_number(const json_t *stream, const char *name) {
    return (int64_t)json_number_value(json_object_get(stream, name));
}

void stage_set_up(void) {
    ck_assert(sound_server_init(&stage_server));
    setenv("PULSE_SOURCE", "pipe", 1);
    char socket_path[96], log_path[96];
    snprintf(socket_path, sizeof(socket_path), "%s/socket", stage_server.folder);
    snprintf(log_path, sizeof(log_path), "%s/log", stage_server.folder);
    snprintf(stage_said_path, sizeof(stage_said_path), "%s/said", stage_server.folder);
    setenv("SHMFRAME_SOCKET", socket_path, 1);
    supervisor = stage_start(log_path, getenv("SHMFRAMED"),
                             (const char *const[]){"--socket", socket_path, NULL});
    const struct shmframe_session_params params = {.deadline_ns =
                                                       shmframe_deadline_ns(10 * SECOND_NS)};
    ck_assert_msg(shmframe_session_open(&params, &stage_session) == 0, "%s", shmframe_last_error());
}

void stage_tear_down(void) {
    shmframe_session_close(stage_session);
    kill(supervisor, SIGTERM);
    stage_wait_exit(supervisor);
    sound_server_finish(&stage_server);
}

/* Frames. */

struct shmframe_reader *stage_open_reader(void) {
    const struct shmframe_reader_params params = {
        .stream = "microphone",
        .policy = SHMFRAME_IN_ORDER,
        .depth = SHMFRAME_DEPTH_MAX,
        .deadline_ns = shmframe_deadline_ns(20 * SECOND_NS),
    };
    struct shmframe_reader *reader;
    const int result = shmframe_reader_open(stage_session, &params, &reader);
    ck_assert_msg(result == 0, "%s: %s", shmframe_last_error(), stage_said());
    return reader;
}

int stage_acquire(struct shmframe_reader *reader, struct shmframe_lease *out_lease) {
    const int result =
        shmframe_reader_acquire(reader, shmframe_deadline_ns(30 * SECOND_NS), out_lease);
    ck_assert_msg(result == 0 || result == -ENODATA, "%s: %s", strerror(-result), stage_said());
    if (result == 0)
        ck_assert_int_le(out_lease->frame.capture_ns, out_lease->frame.publish_ns);
    return result;
}

const char *stage_seconds(const char *usual) {
    const char *wanted = getenv("SOAK_SECONDS");
    return wanted ? wanted : usual;
}

int stage_run(const char *name, const TTest *const *all) {
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, getenv("SOAK_SECONDS") ? 240 : 60);
    tcase_add_checked_fixture(cases, stage_set_up, stage_tear_down);
    const char *only = getenv("ONLY");
    for (; *all; all++)
        if (!only || strstr((*all)->name, only))
            tcase_add_test(cases, *all);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
