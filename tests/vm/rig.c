#include "rig.h"

#include "camera_control.h"
#include "camera_device.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Emulated, everything takes its time. */
#define PATIENCE_NS (60 * SECOND_NS)

enum { ARGUMENTS = 24 };

static struct shmframe_session *session;

static char folder[] = "/tmp/shmframe-test-XXXXXX";
static char socket_path[64], said_path[64];
static pid_t supervisor;

static pid_t spawn(const char *program, const char *const *arguments, const char *output) {
    char *argv[ARGUMENTS] = {(char *)program};
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)arguments[i];
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execv(program, argv);
        _exit(127);
    }
    ck_assert_int_gt(pid, 0);
    return pid;
}

void rig_set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    snprintf(said_path, sizeof(said_path), "%s/said", folder);
    setenv("SHMFRAME_SOCKET", socket_path, 1);
    supervisor = spawn(getenv("SHMFRAMED"), (const char *const[]){"--socket", socket_path, NULL},
                       "/dev/null");
    const struct shmframe_session_params params = {.deadline_ns =
                                                       shmframe_deadline_ns(PATIENCE_NS)};
    ck_assert_msg(shmframe_session_open(&params, &session) == 0, "%s", shmframe_last_error());
}

void rig_tear_down(void) {
    shmframe_session_close(session);
    kill(supervisor, SIGTERM);
    rig_wait(supervisor);
}

pid_t rig_start(const char *const *arguments) {
    return spawn(getenv("SHMFRAME_CAMERA"), arguments, said_path);
}

int rig_wait(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *rig_said(void) {
    static char text[1 << 20];
    FILE *file = fopen(said_path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return text;
}

void rig_expect_said(const char *part) {
    const char *text = rig_said();
    ck_assert_msg(strstr(text, part), "not \"%s\" but: %.1500s", part, text);
}

void rig_await_said(const char *part) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    while (!strstr(rig_said(), part)) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "not \"%s\" but: %.1500s", part, rig_said());
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

void rig_stop(pid_t pid) {
    kill(pid, SIGTERM);
    const int code = rig_wait(pid);
    ck_assert_msg(code == 0, "%d: %s", code, rig_said());
}

struct shmframe_reader *rig_open_reader(uint32_t depth) {
    const struct shmframe_reader_params params = {
        .stream = "camera",
        .policy = depth ? SHMFRAME_IN_ORDER : SHMFRAME_LATEST,
        .depth = depth,
        .deadline_ns = shmframe_deadline_ns(PATIENCE_NS),
    };
    struct shmframe_reader *reader;
    const int result = shmframe_reader_open(session, &params, &reader);
    ck_assert_msg(result == 0, "%s: %s", shmframe_last_error(), rig_said());
    return reader;
}

struct shmframe_lease rig_acquire(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    const int result = shmframe_reader_acquire(reader, shmframe_deadline_ns(PATIENCE_NS), &lease);
    ck_assert_msg(result == 0, "%s: %s", strerror(-result), rig_said());
    ck_assert_int_le(lease.frame.capture_ns, lease.frame.publish_ns);
    ck_assert_int_gt(lease.frame.capture_ns, 0);
    return lease;
}

void rig_release(struct shmframe_reader *reader, struct shmframe_lease *lease) {
    ck_assert_int_eq(shmframe_reader_release(reader, lease), 0);
}

struct shmframe_lease rig_acquire_discontinuity(struct shmframe_reader *reader) {
    for (int i = 0; i < 2000; i++) {
        struct shmframe_lease lease = rig_acquire(reader);
        if (lease.frame.flags & SHMFRAME_DISCONTINUITY)
            return lease;
        rig_release(reader, &lease);
    }
    ck_abort_msg("no discontinuity came");
}

struct shmframe_answer rig_ask(const char *verb, const char *argument) {
    struct shmframe_answer answer;
    const int result = shmframe_session_request(session, "camera", verb, argument,
                                                shmframe_deadline_ns(PATIENCE_NS), &answer);
    ck_assert_msg(result == 0, "%s: %s", verb, shmframe_last_error());
    return answer;
}

void rig_set_control(const char *path, const char *name, const char *value) {
    char why[CAMERA_WHY_BYTES];
    struct camera_device device;
    ck_assert_msg(camera_device_open(&device, path, why) == 0, "%s", why);
    ck_assert_msg(camera_control_set(device.fd, name, value, why) == 0, "%s", why);
    camera_device_close(&device);
}

static void write_to_driver(const char *file) {
    char path[128];
    snprintf(path, sizeof(path), "/sys/bus/platform/drivers/vivid/%s", file);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "vivid.0", 7), 7);
    close(fd);
}

void rig_unplug(void) {
    write_to_driver("unbind");
}

void rig_plug_in(void) {
    write_to_driver("bind");
}
