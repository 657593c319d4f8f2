/* shmframe run: producers and consumers under a supervisor of their own.
 *
 * One loop takes signals from a descriptor. The run is in one stage at a time, and only goes
 * forward:
 *
 *   RUNNING  until the last node ends, any fails, or a signal comes
 *   ASKED    every process got SIGINT                    2 s
 *   TOLD     every process got SIGTERM                   3 s
 *   KILLED   every process gets SIGKILL until none is left
 *
 * The supervisor is spared until all others are gone.
 */
#include "caught.h"
#include "family.h"
#include "folder.h"
#include "keeper.h"
#include "node.h"
#include "shell_line.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

enum stage { RUNNING, ASKED, TOLD, KILLED };

/* What begins with a stage. */
static const struct {
    int signal_number;
    int64_t lasts_ns;
} stages[] = {
    [RUNNING] = {0, 0}, /* for as long as it takes */
    [ASKED] = {SIGINT, 2 * SECOND_NS},
    [TOLD] = {SIGTERM, 3 * SECOND_NS},
    [KILLED] = {SIGKILL, SECOND_NS / 10},
};

struct run {
    struct folder folder;
    struct node supervisor;
    struct node *node;
    unsigned nodes;
    enum stage stage;
    int64_t stage_start_ns, stage_end_ns;
    int signal_fd;
    sigset_t mask;   /* as it was before: for the nodes */
    bool is_closing; /* all nodes are gone, the supervisor may go */
    bool has_failed;
};

static const char *format = "text";

static const struct option_spec options[] = {
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &format,
     .argument = "text|json",
     .help = "how to tell what happens to a FILE's nodes and streams"},
    {0},
};

static const struct program program = {
    .name = "shmframe run",
    .purpose = "Runs producers and consumers under a supervisor of their own.",
    .operands = "FILE | [--] 'COMMAND LINE' ['COMMAND LINE']...",
    .options = options,
    .notes =
        "FILE is a pipeline file, see shmframe-pipeline(5): its nodes are started, watched and\n"
        "started again until they all have ended for good, or until Ctrl-C.\n"
        "\n"
        "Each COMMAND LINE is run by the shell, with exec in front if it is one command. The run\n"
        "ends when the last one given ends, when any fails, or with Ctrl-C; all that still runs is "
        "then\n"
        "asked to end (SIGINT), told so after 2 s (SIGTERM), and killed after 5 s. The exit\n"
        "code is 0 only if all ended well.\n"
        "\n"
        "Example: shmframe run shmframe-pattern 'shmframe-latency demo --duration 10'",
};

/* Stages. */

static pid_t spared_pid(const struct run *run) {
    return node_is_running(&run->supervisor) ? run->supervisor.pid : 0;
}

static void signal_all(struct run *run, int signal_number) {
    family_signal(signal_number, spared_pid(run));
    if (run->is_closing)
        node_signal(&run->supervisor, signal_number);
}

static void go_to_stage(struct run *run, enum stage stage) {
    const int64_t now_ns = shmframe_now_ns();
    run->stage = stage;
    run->stage_start_ns = now_ns;
    run->stage_end_ns = now_ns + stages[stage].lasts_ns;
}

static void enter_stage(struct run *run, enum stage stage) {
    go_to_stage(run, stage);
    signal_all(run, stages[stage].signal_number);
}

/* Begins to stop, or hurries up if it already does. Ctrl-C has reached all but the supervisor
 * already, and one SIGINT is enough. timeout(1) and others send the same signal twice at once. */
static void stop(struct run *run, bool is_from_terminal) {
    const int64_t settled_ns = run->stage_start_ns + SECOND_NS / 2;
    if (run->stage == RUNNING && is_from_terminal)
        go_to_stage(run, ASKED);
    else if (run->stage == RUNNING || (run->stage < KILLED && shmframe_now_ns() >= settled_ns))
        enter_stage(run, run->stage + 1);
}

static void start_stopping(struct run *run) {
    if (run->stage == RUNNING)
        stop(run, false);
}

/* Ends. */

static void report_failure(struct run *run, const struct node *node) {
    run->has_failed = true;
    char line[NODE_LINE_BYTES];
    if (run->stage == KILLED && node->end.si_code != CLD_EXITED && node->end.si_status == SIGKILL)
        snprintf(line, sizeof(line),
                 "\"%.256s\" was killed: it had not ended when asked by SIGINT and SIGTERM",
                 node->name);
    else
        node_describe_end(node, line);
    program_warn("%s", line);
}

static void take_node_end(struct run *run, struct node *node, const siginfo_t *end) {
    node_take_end(node, end);
    if (!node_ended_well(node, run->stage != RUNNING))
        report_failure(run, node);
    if (run->has_failed || node == &run->node[run->nodes - 1])
        start_stopping(run);
}

static void take_supervisor_end(struct run *run, const siginfo_t *end) {
    node_take_end(&run->supervisor, end);
    if (run->is_closing && node_ended_well(&run->supervisor, true))
        return;
    report_failure(run, &run->supervisor);
    start_stopping(run);
}

/* An ended node's number may be another process's by now: an orphan's that was adopted. */
static bool is_end_of(const struct node *node, const siginfo_t *end) {
    return node_is_running(node) && node->pid == end->si_pid;
}

/* Reaps whatever has ended: nodes, the supervisor, and orphans that were adopted. */
static void reap(struct run *run) {
    for (;;) {
        siginfo_t end = {0};
        if (waitid(P_ALL, 0, &end, WEXITED | WNOHANG) < 0 || end.si_pid == 0)
            return;
        if (is_end_of(&run->supervisor, &end))
            take_supervisor_end(run, &end);
        for (unsigned i = 0; i < run->nodes; i++)
            if (is_end_of(&run->node[i], &end))
                take_node_end(run, &run->node[i], &end);
    }
}

/* The loop. */

static void take_signals(struct run *run) {
    struct signalfd_siginfo info;
    while (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            stop(run, info.ssi_signo == SIGINT && info.ssi_code == SI_KERNEL);
    reap(run);
}

static int milliseconds_until(int64_t deadline_ns) {
    const int64_t left_ns = deadline_ns - shmframe_now_ns();
    if (deadline_ns == SHMFRAME_FOREVER)
        return -1;
    return left_ns <= 0 ? 0 : (int)(left_ns / 1000000 + 1);
}

/* Waits for the next signal, the end of the stage, or input on `extra_fd` (-1: none). */
static void take_turn(struct run *run, int extra_fd, int64_t deadline_ns) {
    struct pollfd polled[] = {
        {.fd = run->signal_fd, .events = POLLIN},
        {.fd = extra_fd, .events = POLLIN},
    };
    const int64_t end_ns = run->stage_end_ns < deadline_ns ? run->stage_end_ns : deadline_ns;
    poll(polled, 2, milliseconds_until(end_ns));
    take_signals(run);
    if (shmframe_now_ns() >= run->stage_end_ns)
        enter_stage(run, run->stage < KILLED ? run->stage + 1 : KILLED);
}

static bool is_any_running(const struct run *run) {
    for (unsigned i = 0; i < run->nodes; i++)
        if (node_is_running(&run->node[i]))
            return true;
    return false;
}

/* Until no node, and nothing that a node started, is left. */
static void wait_for_all(struct run *run) {
    while (is_any_running(run))
        take_turn(run, -1, SHMFRAME_FOREVER);
    while (family_signal(0, spared_pid(run))) {
        start_stopping(run);
        /* Orphans are adopted without a word, so look again soon. */
        take_turn(run, -1, shmframe_deadline_ns(SECOND_NS / 50));
    }
}

static void stop_supervisor(struct run *run) {
    run->is_closing = true;
    if (node_is_running(&run->supervisor))
        enter_stage(run, TOLD);
    while (node_is_running(&run->supervisor))
        take_turn(run, -1, SHMFRAME_FOREVER);
}

/* Starting. */

/* Waits for the line that the supervisor writes when it listens. */
static bool wait_until_ready(struct run *run, int ready_fd) {
    const int64_t deadline_ns = shmframe_deadline_ns(10 * SECOND_NS);
    while (run->stage == RUNNING) {
        char byte;
        const ssize_t length = read(ready_fd, &byte, 1);
        if (length == 1)
            return true;
        if (length == 0) {
            /* It has closed the pipe, so it ends: wait for its status. */
            take_turn(run, -1, deadline_ns);
        } else {
            take_turn(run, ready_fd, deadline_ns);
        }
        if (shmframe_now_ns() >= deadline_ns) {
            program_warn("shmframed was not ready within 10 s; is this machine overloaded?");
            run->has_failed = true;
            return false;
        }
    }
    return false;
}

static bool start_supervisor(struct run *run) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) < 0)
        program_fail("no pipe to the supervisor: %m");
    char ready_text[16];
    snprintf(ready_text, sizeof(ready_text), "%d", ready[1]);
    char *const argv[] = {"shmframed",  "--socket", run->folder.socket,
                          "--ready-fd", ready_text, "--quiet",
                          "--reach",    "own",      NULL};
    const struct node_start start = {
        .argv = argv, .mask = &run->mask, .pass_fd = ready[1], .is_apart = true};
    const int result = node_start(&run->supervisor, "shmframed", &start);
    close(ready[1]);
    bool is_ready = false;
    if (result < 0) {
        program_warn("shmframed cannot be started: %s", strerror(-result));
        run->has_failed = true;
    } else {
        is_ready = wait_until_ready(run, ready[0]);
    }
    close(ready[0]);
    return is_ready;
}

static void start_node(struct run *run, struct node *node, const char *command_line) {
    char *line = shell_line_create(command_line);
    if (!line)
        program_fail("no memory for a command line");
    char *const argv[] = {"/bin/sh", "-c", line, NULL};
    const struct node_start start = {.argv = argv, .mask = &run->mask, .pass_fd = -1};
    const int result = node_start(node, command_line, &start);
    free(line);
    if (result == 0)
        return;
    program_warn("\"%s\" cannot be started: %s", command_line, strerror(-result));
    run->has_failed = true;
    start_stopping(run);
}

static void start_nodes(struct run *run, char *const *command_lines) {
    setenv("SHMFRAME_SOCKET", run->folder.socket, 1);
    unsetenv("SHMFRAME_NODE"); /* of another supervisor */
    /* They share one terminal, where a progress line would run into what others print. */
    setenv("SHMFRAME_NO_PROGRESS", "1", 0);
    for (unsigned i = 0; i < run->nodes && run->stage == RUNNING; i++) {
        start_node(run, &run->node[i], command_lines[i]);
        take_signals(run);
    }
}

int tool_run(int argc, char **argv) {
    const int operand = program_start(&program, argc, argv);
    if (operand == argc)
        program_fail_usage("at least one command line is to be given");
    const enum report_format report = report_format_parse(format);
    if (keeper_is_file(argv[operand])) {
        if (operand + 1 < argc)
            program_fail_usage("\"%s\" is a pipeline file, which is run alone: \"%s\" is too much",
                               argv[operand], argv[operand + 1]);
        return keeper_run(argv[operand], report);
    }
    for (int i = operand; i < argc; i++)
        if (shell_line_is_blank(argv[i]))
            program_fail_usage("command line %d is empty", i - operand + 1);

    struct run run = {.stage = RUNNING, .stage_end_ns = SHMFRAME_FOREVER};
    run.nodes = (unsigned)(argc - operand);
    run.node = calloc(run.nodes, sizeof(*run.node));
    if (!run.node)
        program_fail("no memory for %u command lines", run.nodes);
    const int result = folder_create(&run.folder);
    if (result < 0)
        program_fail("no private folder in $XDG_RUNTIME_DIR or /tmp: %s", strerror(-result));
    family_adopt_orphans();
    run.signal_fd = caught_open(&run.mask);

    if (start_supervisor(&run))
        start_nodes(&run, argv + operand);
    wait_for_all(&run);
    stop_supervisor(&run);
    folder_destroy(&run.folder);
    free(run.node);
    return run.has_failed ? EXIT_FAILED : EXIT_DONE;
}
