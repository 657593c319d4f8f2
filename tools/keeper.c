/* The pipeline of a file under a private supervisor.
 *
 *   keeper --- shmframed --config FILE --- nodes
 *
 * Nodes belong to whoever is alive: a supervisor that dies leaves them to the keeper (a subreaper),
 * and the next one adopts them. The supervisor gets SIGTERM when the keeper dies, and ends them
 * all; should both die at once, the project's own programs end themselves: see orphan.h.
 */
#include "keeper.h"

#include "caught.h"
#include "family.h"
#include "folder.h"
#include "keeper_view.h"
#include "node.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

#define TURN_NS          (SECOND_NS / 5) /* the supervisor is looked at so often */
#define READY_NS         (10 * SECOND_NS)
#define DELAY_NS         (SECOND_NS / 100) /* before it is started again; doubled by each death */
#define DELAY_MAX_NS     SECOND_NS
#define DEATHS_WITHIN_NS (10 * SECOND_NS)
#define SETTLED_NS       (SECOND_NS / 2)  /* timeout(1) and others send a signal twice at once */
#define END_NS           (5 * SECOND_NS)  /* for what the supervisor left over, until SIGKILL */
#define HANG_NS          (10 * SECOND_NS) /* a supervisor that answers nobody for so long is ended */
#define HANG_STOPPING_NS (3 * SECOND_NS)
#define LOOK_MAX_NS      (4 * SECOND_NS) /* what is longer was not its time, but ours: we slept */
enum { DEATHS_MAX = 5, READS_A_TURN = 16, OUTPUT_BYTES = 1 << 20 };

static const char PRIVATE_GRACE[] = "10s";

struct keeper {
    const char *file;
    struct folder folder;
    struct node supervisor;
    int signal_fd;
    sigset_t mask; /* as it was before: for children */
    int output[2]; /* what children print, if the view is live; else -1 */
    struct shmframe_session *session;
    struct keeper_view view;
    struct outlet errors;         /* standard error */
    int64_t death_ns[DEATHS_MAX]; /* the newest, oldest first */
    int64_t start_ns;             /* when a dead supervisor is started again */
    unsigned stops;               /* how often it was asked to end */
    int64_t stop_ns;              /* when it was asked last */
    int64_t look_ns;              /* when its answer was waited for last */
    int64_t silent_ns;            /* how long it has not answered */
    bool is_over, has_failed;
    bool has_failed_node; /* before it was stopped */
};

bool keeper_is_file(const char *operand) {
    struct stat info;
    const bool is_there = stat(operand, &info) == 0;
    const char *dot = strrchr(operand, '.');
    if (dot && strcmp(dot, ".ini") == 0)
        return is_there ? S_ISREG(info.st_mode) : !strpbrk(operand, " \t\n;|&<>()$`\"'");
    return is_there && S_ISREG(info.st_mode) && !(info.st_mode & 0111);
}

/* ---- the supervisor ---- */

static int start_supervisor(struct keeper *keeper, int ready_fd) {
    char ready_text[16];
    snprintf(ready_text, sizeof(ready_text), "%d", ready_fd);
    char *const argv[] = {"shmframed",
                          "--quiet",
                          "--reach",
                          "own",
                          "--socket",
                          keeper->folder.socket,
                          "--config",
                          (char *)keeper->file,
                          ready_fd < 0 ? NULL : "--ready-fd",
                          ready_text,
                          NULL};
    const struct node_start start = {.argv = argv,
                                     .mask = &keeper->mask,
                                     .pass_fd = ready_fd,
                                     .stdout_fd = keeper->output[1],
                                     .stderr_fd = keeper->output[1],
                                     .death_signal = SIGTERM,
                                     .is_apart = true};
    keeper->silent_ns = 0;
    return node_start(&keeper->supervisor, "shmframed", &start);
}

/* Before anything else: what is wrong with the file, or keeps the supervisor from starting. */
static int check_file(const char *file) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    const int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    char *const argv[] = {"shmframed", "--config", (char *)file, "--check", NULL};
    const struct node_start start = {
        .argv = argv, .mask = &mask, .pass_fd = -1, .stdout_fd = null_fd};
    struct node check;
    const int code = node_start(&check, "shmframed --check", &start);
    close(null_fd);
    if (code < 0)
        program_fail("shmframed cannot be started: %s", strerror(-code));
    siginfo_t end;
    while (waitid(P_PID, (id_t)check.pid, &end, WEXITED) < 0 && errno == EINTR) {
    }
    node_take_end(&check, &end);
    if (end.si_code == CLD_EXITED)
        return end.si_status == EXIT_DONE || end.si_status == EXIT_USAGE ? end.si_status
                                                                         : EXIT_FAILED;
    char line[NODE_LINE_BYTES];
    node_describe_end(&check, line);
    program_fail("%s", line);
}

/* Not program_warn(), which waits for whoever reads standard error. */
static void warn(struct keeper *keeper, const char *text) {
    keeper_view_clear(&keeper->view);
    outlet_print(keeper->view.is_live ? &keeper->view.out : &keeper->errors, "shmframe run: %s\n",
                 text);
}

static void fail(struct keeper *keeper, const char *text) {
    warn(keeper, text);
    keeper->has_failed = keeper->is_over = true;
}

/* Whether it dies too often by now. */
static bool note_death(struct keeper *keeper, int64_t now_ns) {
    memmove(keeper->death_ns, keeper->death_ns + 1, sizeof(keeper->death_ns) - sizeof(now_ns));
    keeper->death_ns[DEATHS_MAX - 1] = now_ns;
    int64_t delay_ns = DELAY_NS;
    for (unsigned i = 0; i + 1 < DEATHS_MAX; i++)
        if (keeper->death_ns[i] && now_ns - keeper->death_ns[i] < DEATHS_WITHIN_NS)
            delay_ns *= 2;
    keeper->start_ns = now_ns + (delay_ns < DELAY_MAX_NS ? delay_ns : DELAY_MAX_NS);
    return keeper->death_ns[0] && now_ns - keeper->death_ns[0] < DEATHS_WITHIN_NS;
}

static void take_supervisor_end(struct keeper *keeper, const siginfo_t *end) {
    node_take_end(&keeper->supervisor, end);
    const bool ended_well = end->si_code == CLD_EXITED && end->si_status == 0;
    char line[NODE_LINE_BYTES];
    node_describe_end(&keeper->supervisor, line);
    if (keeper->stops > 0 || ended_well) {
        /* Whoever told it to end meant the whole pipeline. */
        keeper->is_over = true;
        if (!ended_well)
            fail(keeper, line);
        return;
    }
    warn(keeper, line);
    if (note_death(keeper, shmframe_now_ns()))
        fail(keeper, "shmframed died 5 times within 10 s: all nodes are ended");
    else
        warn(keeper, "it is started again; the nodes run on");
}

/* ---- one loop ---- */

/* Also of nodes that a dead supervisor left. */
static void reap(struct keeper *keeper) {
    for (;;) {
        siginfo_t end = {0};
        if (waitid(P_ALL, 0, &end, WEXITED | WNOHANG) < 0 || end.si_pid == 0)
            return;
        if (node_is_running(&keeper->supervisor) && end.si_pid == keeper->supervisor.pid)
            take_supervisor_end(keeper, &end);
    }
}

static void stop(struct keeper *keeper) {
    const int64_t now_ns = shmframe_now_ns();
    if (keeper->stops > 0 && now_ns - keeper->stop_ns < SETTLED_NS)
        return;
    keeper->stops++;
    keeper->stop_ns = now_ns;
    if (node_is_running(&keeper->supervisor))
        node_signal(&keeper->supervisor, keeper->stops < 3 ? SIGTERM : SIGKILL);
    else
        keeper->is_over = true;
}

static void take_signals(struct keeper *keeper) {
    struct signalfd_siginfo info;
    while (read(keeper->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            stop(keeper);
    reap(keeper);
}

/* Nodes must not wait for a terminal, so all is read; not so much that nothing else is done. */
static void pass_output(struct keeper *keeper) {
    char text[4096];
    ssize_t bytes;
    for (unsigned i = 0; i < READS_A_TURN && keeper->output[0] >= 0; i++) {
        bytes = read(keeper->output[0], text, sizeof(text));
        if (bytes <= 0)
            return;
        keeper_view_pass(&keeper->view, text, (size_t)bytes);
    }
}

static void flush_output(struct keeper *keeper) {
    outlet_flush(&keeper->view.out);
    outlet_flush(&keeper->errors);
}

/* Waits for a signal, output, room for it, or the time. */
static void take_turn(struct keeper *keeper, int extra_fd) {
    struct pollfd polled[] = {
        {.fd = keeper->signal_fd, .events = POLLIN},
        {.fd = keeper->output[0], .events = POLLIN},
        {.fd = extra_fd, .events = POLLIN},
        {.fd = outlet_poll_fd(&keeper->view.out), .events = POLLOUT},
        {.fd = outlet_poll_fd(&keeper->errors), .events = POLLOUT},
    };
    poll(polled, sizeof(polled) / sizeof(polled[0]), (int)(TURN_NS / 1000000));
    take_signals(keeper);
    pass_output(keeper);
    flush_output(keeper);
}

static void restart_supervisor(struct keeper *keeper) {
    if (node_is_running(&keeper->supervisor) || keeper->is_over || keeper->stops > 0 ||
        shmframe_now_ns() < keeper->start_ns)
        return;
    const int code = start_supervisor(keeper, -1);
    if (code < 0) {
        char line[NODE_LINE_BYTES];
        snprintf(line, sizeof(line), "shmframed cannot be started: %s", strerror(-code));
        warn(keeper, line);
        if (note_death(keeper, shmframe_now_ns()))
            fail(keeper, "shmframed could not be started 5 times within 10 s: all nodes are ended");
    }
}

/* One that is stopped or hangs would otherwise keep the pipeline from being watched, and from
 * ending. The next one adopts the nodes. */
static void look(struct keeper *keeper) {
    /* Whoever prints much makes many turns. */
    if (shmframe_now_ns() - keeper->look_ns < TURN_NS / 2)
        return;
    const bool has_answered = keeper_view_update(&keeper->view);
    const int64_t now_ns = shmframe_now_ns(), turn_ns = now_ns - keeper->look_ns;
    keeper->look_ns = now_ns;
    if (has_answered || !node_is_running(&keeper->supervisor))
        keeper->silent_ns = 0;
    else
        keeper->silent_ns += turn_ns < LOOK_MAX_NS ? turn_ns : LOOK_MAX_NS;
    if (keeper->silent_ns < (keeper->stops ? HANG_STOPPING_NS : HANG_NS))
        return;
    keeper->silent_ns = 0;
    warn(keeper, "shmframed does not answer any more: it is killed");
    node_signal(&keeper->supervisor, SIGKILL);
}

static void keep(struct keeper *keeper) {
    keeper->look_ns = shmframe_now_ns();
    while (!keeper->is_over) {
        take_turn(keeper, -1);
        restart_supervisor(keeper);
        look(keeper);
        if (keeper->stops > 0)
            continue;
        keeper->has_failed_node = keeper->view.has_failed_node;
        if (keeper->view.has_ended)
            stop(keeper);
    }
}

/* ---- start and end ---- */

static bool await_supervisor(struct keeper *keeper) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) < 0) {
        fail(keeper, "no descriptors for a pipe to the supervisor; raise `ulimit -n`");
        return false;
    }
    const int code = start_supervisor(keeper, ready[1]);
    close(ready[1]);
    if (code < 0)
        fail(keeper, "shmframed cannot be started");
    const int64_t deadline_ns = shmframe_deadline_ns(READY_NS);
    char byte = 0;
    /* Closed without a word: it ends, and is reaped. */
    while (!keeper->is_over && keeper->stops == 0 && read(ready[0], &byte, 1) != 1) {
        take_turn(keeper, ready[0]);
        if (keeper->start_ns || shmframe_now_ns() >= deadline_ns)
            fail(keeper, "shmframed did not get ready");
    }
    close(ready[0]);
    return byte != 0;
}

static void open_session(struct keeper *keeper) {
    const struct shmframe_session_params params = {.socket = keeper->folder.socket,
                                                   .name = "shmframe run",
                                                   .deadline_ns = shmframe_deadline_ns(READY_NS)};
    if (shmframe_session_open(&params, &keeper->session) < 0) {
        fail(keeper, shmframe_last_error());
        return;
    }
    keeper_view_open(&keeper->view, keeper->session);
}

/* Nothing that the pipeline started is left behind. */
static void end_family(struct keeper *keeper) {
    const int64_t kill_ns = shmframe_deadline_ns(END_NS);
    bool is_told = false;
    for (;;) {
        reap(keeper);
        const bool is_late = shmframe_now_ns() >= kill_ns;
        const int signal_number = is_late ? SIGKILL : is_told ? 0 : SIGTERM;
        if (family_signal(signal_number, 0) == 0)
            return;
        is_told = true;
        pass_output(keeper);
        flush_output(keeper);
        /* Orphans are adopted without a word, so look again soon. */
        poll(&(struct pollfd){.fd = keeper->signal_fd, .events = POLLIN}, 1, 20);
        struct signalfd_siginfo info;
        while (read(keeper->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        }
    }
}

static void open_output(struct keeper *keeper, bool is_live) {
    keeper->output[0] = keeper->output[1] = -1;
    if (!is_live)
        return;
    if (pipe2(keeper->output, O_CLOEXEC) < 0)
        program_fail("no pipe for what nodes print: %m");
    fcntl(keeper->output[0], F_SETFL, O_NONBLOCK);
    /* For as long as this process is stopped, by Ctrl-Z. */
    fcntl(keeper->output[0], F_SETPIPE_SZ, OUTPUT_BYTES);
}

int keeper_run(const char *file, enum report_format format) {
    const int status = check_file(file);
    if (status != 0)
        return status;
    struct keeper keeper = {.file = file};
    const bool is_live = format == REPORT_TEXT && keeper_view_is_possible();
    /* What may fail, and end the program, comes before the folder. */
    keeper.signal_fd = caught_open(&keeper.mask);
    open_output(&keeper, is_live);
    const int code = folder_create(&keeper.folder);
    if (code < 0)
        program_fail("no private folder in $XDG_RUNTIME_DIR or /tmp: %s", strerror(-code));
    keeper_view_init(&keeper.view, format, is_live);
    outlet_open(&keeper.errors, STDERR_FILENO, true);
    setenv("SHMFRAME_SOCKET", keeper.folder.socket, 1);
    unsetenv("SHMFRAME_NODE"); /* of another supervisor */
    setenv("SHMFRAME_PRIVATE", PRIVATE_GRACE, 0);
    setenv("SHMFRAME_NO_PROGRESS", "1", 0);
    family_adopt_orphans();
    if (await_supervisor(&keeper))
        open_session(&keeper);
    keep(&keeper);
    keeper_view_close(&keeper.view);
    end_family(&keeper);
    pass_output(&keeper);
    shmframe_session_close(keeper.session);
    const bool is_untold = format == REPORT_JSON && outlet_has_failed(&keeper.view.out);
    if (is_untold)
        fail(&keeper, "standard output could not be written: not all was told");
    keeper_view_finish(&keeper.view);
    outlet_close(&keeper.errors);
    folder_destroy(&keeper.folder);
    return keeper.has_failed || keeper.has_failed_node ? EXIT_FAILED : EXIT_DONE;
}
