/* Rights: what this process, and those that it starts, may ask of the kernel. */
#include "doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char topic[] = "rights";

/* "8192", "unlimited". */
static void print_limit(char text[32], rlim_t limit) {
    if (limit == RLIM_INFINITY)
        snprintf(text, 32, "unlimited");
    else
        snprintf(text, 32, "%llu", (unsigned long long)limit);
}

/* JSON has no infinity. */
static void set_limit_figure(struct finding *finding, const char *name, rlim_t limit) {
    if (limit == RLIM_INFINITY)
        json_object_set_new(finding->figures, name, json_null());
    else
        finding_set_figure(finding, name, (json_int_t)limit);
}

static struct finding *add_limit(struct findings *findings, const char *name, int resource,
                                 const char *unit, struct rlimit *out_limit) {
    char now[32], most[32];
    *out_limit = (struct rlimit){0};
    getrlimit(resource, out_limit);
    print_limit(now, out_limit->rlim_cur);
    print_limit(most, out_limit->rlim_max);
    struct finding *finding =
        findings_add(findings, topic, name, "%s%s, at most %s", now, unit, most);
    set_limit_figure(finding, "soft", out_limit->rlim_cur);
    set_limit_figure(finding, "hard", out_limit->rlim_max);
    return finding;
}

static void look_at_descriptors(struct findings *findings) {
    enum { ENOUGH = 4096, FEW = 256 };
    struct rlimit limit;
    struct finding *finding = add_limit(findings, "descriptors", RLIMIT_NOFILE, "", &limit);
    if (limit.rlim_max < ENOUGH)
        finding_set_trouble(finding, limit.rlim_max < FEW ? FINDING_WARNING : FINDING_NOTE,
                            "four for each reader of each stream at the supervisor: further "
                            "readers are refused",
                            "ulimit -Hn 65536; LimitNOFILE=65536 for the service; limits.conf");
}

static void look_at_locked_memory(struct findings *findings) {
    struct rlimit limit;
    struct finding *finding =
        add_limit(findings, "locked-memory", RLIMIT_MEMLOCK, " bytes", &limit);
    const struct finding *swap = findings_find(findings, "swap");
    if (limit.rlim_max != RLIM_INFINITY && swap && swap->level != FINDING_OK)
        finding_set_trouble(finding, FINDING_NOTE,
                            "a program that locks its memory, so that it is never on swap, cannot "
                            "lock a ring",
                            "ulimit -Hl unlimited; LimitMEMLOCK=infinity; `limit = "
                            "memlock=unlimited` in the pipeline file; or no swap");
}

/* What `attempt` answers in a child, so that this process stays what it is. */
static bool try_in_child(bool (*attempt)(void)) {
    int status;
    const pid_t pid = fork();
    if (pid == 0)
        _exit(attempt() ? 0 : 1);
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool become_fifo(void) {
    return sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 10}) == 0;
}

static bool become_nicer(void) {
    return setpriority(PRIO_PROCESS, 0, -10) == 0;
}

static void look_at_scheduling(struct findings *findings) {
    const bool has_fifo = try_in_child(become_fifo);
    struct finding *finding = findings_add(
        findings, topic, "real-time", has_fifo ? "SCHED_FIFO can be had" : "SCHED_FIFO is refused");
    finding_set_figure(finding, "is_allowed", has_fifo);
    if (!has_fifo)
        finding_set_trouble(finding, FINDING_NOTE,
                            "on a busy machine a woken reader waits for its turn: milliseconds",
                            "limits.conf: \"@audio - rtprio 95\"; LimitRTPRIO=95 for the service; "
                            "in a container --cap-add SYS_NICE");
    const bool has_nice = try_in_child(become_nicer);
    finding = findings_add(findings, topic, "nice",
                           has_nice ? "a nice level of -10 can be had" : "no negative nice level");
    finding_set_figure(finding, "is_allowed", has_nice);
    if (!has_nice)
        finding_set_trouble(finding, FINDING_NOTE,
                            "no program can be put before others that are busy",
                            "limits.conf: \"@audio - nice -15\"; LimitNICE=-15 for the service");
}

static void look_at_timer_slack(struct findings *findings) {
    enum { DEFAULT_NS = 50000 };
    const int slack_ns = prctl(PR_GET_TIMERSLACK);
    struct finding *finding =
        findings_add(findings, topic, "timer-slack",
                     "%d us: timed sleeps may end so much late; producers of shmframe do without",
                     slack_ns / 1000);
    finding_set_figure(finding, "slack_ns", slack_ns);
    if (slack_ns > DEFAULT_NS)
        finding_set_trouble(finding, FINDING_NOTE,
                            "deadlines, and programs that pace themselves, are late by that",
                            "prctl(PR_SET_TIMERSLACK, 1) in the program; it is inherited: see who "
                            "started this shell");
}

void doctor_look_at_rights(struct findings *findings) {
    look_at_descriptors(findings);
    look_at_locked_memory(findings);
    look_at_scheduling(findings);
    look_at_timer_slack(findings);
}
