/* The birth of a node's process: everything is prepared before the fork; between that and the
 * program only system calls are made, since another thread may have held any lock. */
#include "node.h"

#include "census.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/limits.h> /* our own limits.h hides the other */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

enum step {
    STEP_PREPARE = 0,
    STEP_LOG,
    STEP_READY,
    STEP_LIMITS,
    STEP_CPUS,
    STEP_SCHEDULING,
    STEP_NICE,
    STEP_USER,
    STEP_DIRECTORY,
    STEP_PROGRAM,
};

/* What the child writes to the pipe: small enough to come at once. */
struct report {
    int32_t error;
    int32_t step;
};

struct spawn {
    const struct config_node *config;
    char **environment; /* NULL at the end; the texts of `owned` are ours */
    size_t variables;
    char *owned[12];
    unsigned owned_count;
    gid_t groups[NGROUPS_MAX];
    int group_count;
    int report_fd, ready_fd, go_fd, log_fd; /* the child's ends; -1: none */
    pid_t parent;
    struct rlimit nofile;
    char ready_path[32];
};

/* ---- environment ---- */

/* What a service manager told us, and not our nodes. */
static bool is_private(const char *variable) {
    static const char *const names[] = {
        "LISTEN_FDS=",   "LISTEN_PID=",    "LISTEN_FDNAMES=", "NOTIFY_SOCKET=",
        "WATCHDOG_PID=", "WATCHDOG_USEC=", "SHMFRAMED_KEPT="};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void set_variable(struct spawn *spawn, char *variable) {
    const size_t name_length = strcspn(variable, "=") + 1;
    for (size_t i = 0; i < spawn->variables; i++)
        if (strncmp(spawn->environment[i], variable, name_length) == 0) {
            spawn->environment[i] = variable;
            return;
        }
    spawn->environment[spawn->variables++] = variable;
}

static int set_own_variable(struct spawn *spawn, const char *text, ...)
    __attribute__((format(printf, 2, 3)));
static int set_own_variable(struct spawn *spawn, const char *text, ...) {
    va_list values;
    va_start(values, text);
    char *variable = NULL;
    const int length = vasprintf(&variable, text, values);
    va_end(values);
    if (length < 0)
        return -ENOMEM;
    spawn->owned[spawn->owned_count++] = variable;
    set_variable(spawn, variable);
    return 0;
}

static int set_watchdog(struct spawn *spawn, const struct node *node) {
    const struct server *server = node->server;
    int code = 0;
    if (server->notify_path[0])
        code = set_own_variable(spawn, "NOTIFY_SOCKET=%s", server->notify_path);
    if (code == 0 && server->notify_path[0] && node->config->watchdog.limit_ns > 0)
        code = set_own_variable(spawn, "WATCHDOG_USEC=%lld",
                                (long long)(node->config->watchdog.limit_ns / 1000));
    return code;
}

static int set_user_variables(struct spawn *spawn, const struct config_node *config) {
    if (!config->user)
        return 0;
    int code = set_own_variable(spawn, "USER=%s", config->user);
    if (code == 0)
        code = set_own_variable(spawn, "LOGNAME=%s", config->user);
    if (code == 0 && config->home)
        code = set_own_variable(spawn, "HOME=%s", config->home);
    return code;
}

static int make_environment(struct spawn *spawn, const struct node *node) {
    size_t inherited = 0;
    while (environ[inherited])
        inherited++;
    const size_t room = inherited + node->config->environment.count +
                        sizeof(spawn->owned) / sizeof(spawn->owned[0]) + 1;
    spawn->environment = calloc(room, sizeof(*spawn->environment));
    if (!spawn->environment)
        return -ENOMEM;
    int code = set_own_variable(spawn, "SHMFRAME_NODE=%s", node->name);
    if (code == 0)
        code = set_own_variable(spawn, "SHMFRAME_SOCKET=%s", node->server->socket_path);
    /* Several share one terminal or log, where a progress line would run into what others print. */
    if (code == 0)
        code = set_own_variable(spawn, "SHMFRAME_NO_PROGRESS=1");
    for (size_t i = 0; i < inherited; i++)
        if (!is_private(environ[i]) && strncmp(environ[i], "SHMFRAME_NODE=", 14) != 0 &&
            strncmp(environ[i], "SHMFRAME_SOCKET=", 16) != 0)
            set_variable(spawn, environ[i]);
    if (code == 0)
        code = set_user_variables(spawn, node->config);
    if (code == 0)
        code = set_watchdog(spawn, node);
    for (size_t i = 0; i < node->config->environment.count; i++)
        set_variable(spawn, node->config->environment.text[i]);
    return code;
}

/* ---- the child ---- */

_Noreturn static void fail(const struct spawn *spawn, enum step step) {
    const struct report report = {.error = errno, .step = (int32_t)step};
    if (write(spawn->report_fd, &report, sizeof(report)) < 0) {
        /* Nobody is there to read it: the status says enough. */
    }
    _exit(126);
}

static void check(const struct spawn *spawn, enum step step, bool is_done) {
    if (!is_done)
        fail(spawn, step);
}

static void reset_signals(void) {
    for (int number = 1; number <= SIGRTMAX; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A pipe that nobody reads must not hold the birth up, so it is opened without waiting. */
static int open_log(const struct spawn *spawn) {
    switch (spawn->config->log) {
    case CONFIG_LOG_INHERIT:
        return -1;
    case CONFIG_LOG_JOURNAL:
        return spawn->log_fd;
    case CONFIG_LOG_NONE:
        return open("/dev/null", O_WRONLY | O_CLOEXEC);
    case CONFIG_LOG_FILE:
        break;
    }
    const int fd = open(spawn->config->log_path,
                        O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0640);
    check(spawn, STEP_LOG, fd >= 0 && fcntl(fd, F_SETFL, O_APPEND) == 0);
    return fd;
}

/* Nobody but root may be another; and then the file says no other than this one. */
static bool changes_user(const struct spawn *spawn) {
    return (spawn->config->user || spawn->config->has_group) && geteuid() == 0;
}

/* Whose rights count as a file is opened. */
static void set_file_user(const struct spawn *spawn, uid_t uid, gid_t gid) {
    syscall(SYS_setfsgid, gid);
    syscall(SYS_setfsuid, uid);
    check(spawn, STEP_USER,
          syscall(SYS_setfsgid, -1) == (long)gid && syscall(SYS_setfsuid, -1) == (long)uid);
}

/* With the node's own rights: where it writes, it could put a symbolic link to what it may not. */
static int open_log_as_user(const struct spawn *spawn) {
    const struct config_node *config = spawn->config;
    if (!changes_user(spawn))
        return open_log(spawn);
    check(spawn, STEP_USER, syscall(SYS_setgroups, (size_t)spawn->group_count, spawn->groups) == 0);
    set_file_user(spawn, config->user ? config->uid : geteuid(), config->gid);
    const int fd = open_log(spawn);
    set_file_user(spawn, geteuid(), getegid());
    return fd;
}

static void set_output(const struct spawn *spawn) {
    const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    check(spawn, STEP_PREPARE, null_fd >= 0 && dup2(null_fd, STDIN_FILENO) == STDIN_FILENO);
    const int fd = open_log_as_user(spawn);
    if (fd < 0)
        return;
    check(spawn, STEP_LOG,
          dup2(fd, STDOUT_FILENO) == STDOUT_FILENO && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
}

/* Opened anew for both directions: while no supervisor is there to read it, the node is its own
 * reader, and is not killed by SIGPIPE for a word that the next supervisor can still read. */
static void set_ready_fd(struct spawn *spawn) {
    const int number = spawn->config->ready_fd;
    if (spawn->ready_fd < 0)
        return;
    const int report_fd = fcntl(spawn->report_fd, F_DUPFD_CLOEXEC, number + 1);
    check(spawn, STEP_READY, report_fd >= 0);
    spawn->report_fd = report_fd;
    const int fd = open(spawn->ready_path, O_RDWR | O_CLOEXEC);
    check(spawn, STEP_READY, fd >= 0);
    if (fd == number)
        check(spawn, STEP_READY, fcntl(fd, F_SETFD, 0) == 0);
    else
        check(spawn, STEP_READY, dup2(fd, number) == number);
}

static void set_limits(const struct spawn *spawn) {
    const struct config_node *config = spawn->config;
    /* Ours was raised. */
    setrlimit(RLIMIT_NOFILE, &spawn->nofile);
    for (size_t i = 0; i < config->rlimits; i++)
        check(spawn, STEP_LIMITS,
              setrlimit((__rlimit_resource_t)config->rlimit[i].resource,
                        &config->rlimit[i].value) == 0);
    if (config->has_cpus)
        check(spawn, STEP_CPUS, sched_setaffinity(0, sizeof(config->cpus), &config->cpus) == 0);
    if (config->has_scheduling) {
        const struct sched_param param = {.sched_priority = config->scheduling_priority};
        check(spawn, STEP_SCHEDULING,
              sched_setscheduler(0, config->scheduling_policy, &param) == 0);
    }
    if (config->has_nice)
        check(spawn, STEP_NICE, setpriority(PRIO_PROCESS, 0, config->nice) == 0);
}

/* The system calls themselves: the C library's functions would have all threads take part. */
static void set_user(const struct spawn *spawn) {
    const struct config_node *config = spawn->config;
    if (!changes_user(spawn))
        return;
    check(spawn, STEP_USER, syscall(SYS_setgroups, (size_t)spawn->group_count, spawn->groups) == 0);
    check(spawn, STEP_USER, syscall(SYS_setresgid, config->gid, config->gid, config->gid) == 0);
    if (config->user)
        check(spawn, STEP_USER, syscall(SYS_setresuid, config->uid, config->uid, config->uid) == 0);
}

/* Nothing is done that the next supervisor would not know of: it would do the same once more. */
static void await_go(const struct spawn *spawn) {
    char byte;
    ssize_t length;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != spawn->parent)
        _exit(126);
    do
        length = read(spawn->go_fd, &byte, sizeof(byte));
    while (length < 0 && errno == EINTR);
    if (length != sizeof(byte))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, 0);
}

_Noreturn static void become_program(struct spawn *spawn) {
    setsid();
    await_go(spawn);
    reset_signals();
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    set_output(spawn);
    set_ready_fd(spawn);
    set_limits(spawn);
    set_user(spawn);
    if (spawn->config->directory)
        check(spawn, STEP_DIRECTORY, chdir(spawn->config->directory) == 0);
    char *const argv[] = {"sh", "-c", spawn->config->shell_line, NULL};
    execve("/bin/sh", argv, spawn->environment);
    fail(spawn, STEP_PROGRAM);
}

/* ---- the parent ---- */

/* The scheduling rights and memory that a process starts with are this one's; see limits.conf(5).
 */
static int find_groups(struct spawn *spawn) {
    const struct config_node *config = spawn->config;
    spawn->group_count = NGROUPS_MAX;
    if (config->user)
        return getgrouplist(config->user, config->gid, spawn->groups, &spawn->group_count) < 0
                   ? -E2BIG
                   : 0;
    spawn->group_count = getgroups(NGROUPS_MAX, spawn->groups);
    return spawn->group_count < 0 ? -errno : 0;
}

static void open_journal(struct spawn *spawn, const struct node *node) {
    spawn->log_fd = sd_journal_stream_fd(node->name, 6, 0);
    if (spawn->log_fd < 0)
        node_tell((struct node *)node, "its output is the supervisor's: no journal is there (%s)",
                  strerror(-spawn->log_fd));
}

static int open_pipes(struct spawn *spawn, struct node_birth *birth) {
    int report[2], ready[2], go[2];
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    birth->report_fd = report[0];
    spawn->report_fd = report[1];
    if (pipe2(go, O_CLOEXEC) < 0)
        return -errno;
    spawn->go_fd = go[0];
    birth->go_fd = go[1];
    if (spawn->config->ready != CONFIG_READY_FD)
        return 0;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return -errno;
    fcntl(ready[0], F_SETFL, O_NONBLOCK);
    birth->ready_fd = ready[0];
    spawn->ready_fd = ready[1];
    snprintf(spawn->ready_path, sizeof(spawn->ready_path), "/proc/self/fd/%d", ready[1]);
    return 0;
}

static int prepare(struct spawn *spawn, struct node *node) {
    int code = find_groups(spawn);
    if (code == 0)
        code = make_environment(spawn, node);
    if (code == 0)
        code = open_pipes(spawn, &node->birth);
    if (code == 0 && spawn->config->log == CONFIG_LOG_JOURNAL)
        open_journal(spawn, node);
    return code;
}

static void finish(struct spawn *spawn) {
    const int fds[] = {spawn->report_fd, spawn->ready_fd, spawn->go_fd, spawn->log_fd};
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    for (unsigned i = 0; i < spawn->owned_count; i++)
        free(spawn->owned[i]);
    free(spawn->environment);
    free(spawn);
}

static int start(struct spawn *spawn, struct node *node) {
    const pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become_program(spawn);
    struct census_process self;
    /* The child is not reaped yet, so the number is still its own. */
    const int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        const int code = -errno;
        kill(pid, SIGKILL);
        waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED);
        return code;
    }
    node->pid = pid;
    node->pidfd = pidfd;
    node->is_child = true;
    node->start_time = census_find(pid, &self) == 0 ? self.start_time : 0;
    return 0;
}

int node_spawn(struct node *node) {
    struct spawn *spawn = calloc(1, sizeof(*spawn));
    if (!spawn)
        return -ENOMEM;
    spawn->config = node->config;
    spawn->report_fd = spawn->ready_fd = spawn->go_fd = spawn->log_fd = -1;
    spawn->parent = getpid();
    spawn->nofile = node->server->nofile_born;
    int code = prepare(spawn, node);
    if (code == 0)
        code = start(spawn, node);
    finish(spawn);
    return code;
}

static void describe(const struct node *node, const struct report *report, char *out,
                     size_t out_bytes) {
    const struct config_node *config = node->config;
    static const char *const sentences[] = {
        [STEP_PREPARE] = "/dev/null cannot be opened",
        [STEP_LOG] = "its log cannot be opened",
        [STEP_READY] = "its ready descriptor cannot be opened",
        [STEP_LIMITS] = "its limits cannot be set",
        [STEP_CPUS] = "its cpus cannot be set",
        [STEP_SCHEDULING] = "its scheduling cannot be set",
        [STEP_NICE] = "its nice level cannot be set",
        [STEP_USER] = "its user or group cannot be taken",
        [STEP_DIRECTORY] = "its directory cannot be entered",
        [STEP_PROGRAM] = "/bin/sh cannot be executed",
    };
    const char *thing = "";
    if (report->step == STEP_LOG && config->log_path)
        thing = config->log_path;
    if (report->step == STEP_DIRECTORY && config->directory)
        thing = config->directory;
    if (report->step == STEP_USER && config->user)
        thing = config->user;
    snprintf(out, out_bytes, "%s: %s%s%s", sentences[report->step], thing, *thing ? ": " : "",
             strerror(report->error));
}

bool node_read_birth(struct node *node, char *reason, size_t reason_bytes) {
    struct report report;
    if (node->birth.report_fd < 0)
        return false;
    const ssize_t length = read(node->birth.report_fd, &report, sizeof(report));
    if (length < 0 && errno == EAGAIN)
        return false;
    reason[0] = '\0';
    if (length == (ssize_t)sizeof(report) && report.step >= 0 && report.step <= STEP_PROGRAM)
        describe(node, &report, reason, reason_bytes);
    return true;
}
