#include "self_test_stage.h"

#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_MS = 10000 };
#define END_NS INT64_C(5000000000)

/* ---- ends ---- */

/* Waits until it has ended; false: not within that time, or this program is to end. */
static bool await_end(struct node *node, int64_t timeout_ns) {
    const int64_t deadline_ns = shmframe_deadline_ns(timeout_ns);
    while (node_is_running(node)) {
        siginfo_t end = {0};
        if (waitid(P_PIDFD, (id_t)node->fd, &end, WEXITED | WNOHANG) == 0 && end.si_pid != 0) {
            node_take_end(node, &end);
            return true;
        }
        const int64_t left_ns = deadline_ns - shmframe_now_ns();
        if (left_ns <= 0 || program_is_stopping())
            return false;
        struct pollfd polled[] = {
            {.fd = node->fd, .events = POLLIN},
            {.fd = program_stop_fd(), .events = POLLIN},
        };
        poll(polled, 2, (int)(left_ns / 1000000 + 1));
    }
    return true;
}

static void kill_node(struct node *node) {
    siginfo_t end;
    node_signal(node, SIGKILL);
    if (node_is_running(node) && waitid(P_PIDFD, (id_t)node->fd, &end, WEXITED) == 0)
        node_take_end(node, &end);
}

/* ---- the supervisor ---- */

static void await_ready(struct self_test_stage *stage, int ready_fd) {
    struct pollfd polled = {.fd = ready_fd, .events = POLLIN};
    char byte;
    if (poll(&polled, 1, READY_MS) == 1 && read(ready_fd, &byte, 1) == 1)
        return;
    kill_node(&stage->supervisor);
    folder_destroy(&stage->folder);
    program_fail("shmframed did not start, or was not ready within 10 s");
}

void self_test_stage_open(struct self_test_stage *stage) {
    int ready[2];
    *stage = (struct self_test_stage){0};
    const int result = folder_create(&stage->folder);
    if (result < 0 || pipe2(ready, O_CLOEXEC) < 0)
        program_fail("no private folder in $XDG_RUNTIME_DIR or /tmp: %s",
                     strerror(result < 0 ? -result : errno));
    sigprocmask(SIG_BLOCK, NULL, &stage->mask);
    setenv("SHMFRAME_SOCKET", stage->folder.socket, 1);
    unsetenv("SHMFRAME_NODE");
    setenv("SHMFRAME_NO_PROGRESS", "1", 1);
    char ready_text[16];
    snprintf(ready_text, sizeof(ready_text), "%d", ready[1]);
    char *const argv[] = {"shmframed",  "--socket", stage->folder.socket,
                          "--ready-fd", ready_text, "--quiet",
                          "--reach",    "own",      NULL};
    const struct node_start start = {
        .argv = argv, .mask = &stage->mask, .pass_fd = ready[1], .is_apart = true};
    if (node_start(&stage->supervisor, "shmframed", &start) < 0)
        program_fail("shmframed cannot be started: %m");
    close(ready[1]);
    await_ready(stage, ready[0]);
    close(ready[0]);
    stage->session = program_open_session();
    program_stop_on_signals(stage->session);
}

void self_test_stage_close(struct self_test_stage *stage) {
    program_close_session(stage->session);
    node_signal(&stage->supervisor, SIGTERM);
    if (!await_end(&stage->supervisor, END_NS))
        kill_node(&stage->supervisor);
    folder_destroy(&stage->folder);
}

/* ---- actors ---- */

void self_test_stage_start(const struct self_test_stage *stage, struct self_test_actor *actor,
                           char *const *argv) {
    actor->output = memfd_create("shmframe-self-test", MFD_CLOEXEC);
    const struct node_start start = {
        .argv = argv, .mask = &stage->mask, .pass_fd = -1, .stdout_fd = actor->output};
    if (actor->output < 0 || node_start(&actor->node, argv[0], &start) < 0)
        program_fail("%s cannot be started: %m", argv[0]);
}

/* The last line that is there. */
static json_t *parse_last_line(int fd) {
    json_t *last = NULL;
    char *line = NULL;
    size_t bytes = 0;
    FILE *file = lseek(fd, 0, SEEK_SET) == 0 ? fdopen(fd, "r") : NULL;
    while (file && getline(&line, &bytes, file) > 0) {
        json_decref(last);
        last = json_loads(line, 0, NULL);
    }
    free(line);
    if (file)
        fclose(file);
    else
        close(fd);
    return last;
}

json_t *self_test_stage_end(struct self_test_actor *actor, int signal_number, int64_t timeout_ns) {
    struct node *node = &actor->node;
    if (signal_number)
        node_signal(node, signal_number);
    const bool has_ended = await_end(node, timeout_ns);
    if (!has_ended)
        kill_node(node);
    json_t *said = parse_last_line(actor->output);
    if (has_ended && node_ended_well(node, signal_number != 0))
        return said;
    char line[NODE_LINE_BYTES];
    node_describe_end(node, line);
    if (!program_is_stopping())
        program_warn("%s", has_ended ? line : "a program of the test did not end in time");
    json_decref(said);
    return NULL;
}
