/* Limits that the control groups of this process put on processors and memory. */
#include "doctor.h"

#include "cgroup.h"
#include "machine.h"

#include <inttypes.h>
#include <string.h>

/* ---- processors ---- */

/* Microseconds that the group may use of each period; false: as many as it likes. */
static bool read_quota(const struct cgroup *group, const char *root, int64_t *out_quota_us,
                       int64_t *out_period_us) {
    char path[PATH_MAX], text[MACHINE_TEXT_BYTES];
    if (group->is_unified) {
        cgroup_file(group, "cpu.max", path);
        return machine_read(root, path, text) &&
               sscanf(text, "%" SCNd64 " %" SCNd64, out_quota_us, out_period_us) == 2 &&
               *out_period_us > 0;
    }
    cgroup_file(group, "cpu.cfs_quota_us", path);
    if (!machine_read_number(root, path, out_quota_us) || *out_quota_us <= 0)
        return false;
    cgroup_file(group, "cpu.cfs_period_us", path);
    return machine_read_number(root, path, out_period_us) && *out_period_us > 0;
}

static double read_throttled(const struct cgroup *group, const char *root) {
    char path[PATH_MAX], text[MACHINE_TEXT_BYTES];
    double times = 0;
    cgroup_file(group, "cpu.stat", path);
    if (machine_read(root, path, text))
        machine_find_number(text, "nr_throttled ", &times);
    return times;
}

void doctor_look_at_quota(struct findings *findings, const char *root) {
    struct cgroup group;
    double least = 0, throttled = 0;
    int64_t pause_us = 0;
    for (bool is_one = cgroup_find(&group, root, "cpu"); is_one; is_one = cgroup_go_up(&group)) {
        int64_t quota_us, period_us;
        if (!read_quota(&group, root, &quota_us, &period_us))
            continue;
        const double processors = (double)quota_us / (double)period_us;
        if (pause_us == 0 || processors < least) {
            least = processors;
            pause_us = period_us;
            throttled = read_throttled(&group, root);
        }
    }
    if (pause_us == 0) {
        findings_add(findings, "processors", "quota", "none");
        return;
    }
    struct finding *finding =
        findings_add(findings, "processors", "quota",
                     "%.2f processors' time in each %" PRId64 " ms; used up %.0f times", least,
                     pause_us / 1000, throttled);
    finding_set_figure(finding, "period_us", pause_us);
    finding_set_figure(finding, "throttled", (json_int_t)throttled);
    finding_set_trouble(finding, throttled > 0 ? FINDING_WARNING : FINDING_NOTE,
                        "once it is used up, all processes of the group stand still until the "
                        "period is over",
                        "shares instead of a quota: docker run without --cpus, systemd's "
                        "CPUQuota= empty, cpu.max = max");
}

/* ---- memory ---- */

static bool read_memory(const struct cgroup *group, const char *root, int64_t *out_limit,
                        int64_t *out_used) {
    /* What version 1 says when there is none: the largest number of whole pages. */
    static const int64_t unlimited = INT64_MAX / 65536 * 65536 - 65536;
    char path[PATH_MAX];
    cgroup_file(group, group->is_unified ? "memory.max" : "memory.limit_in_bytes", path);
    if (!machine_read_number(root, path, out_limit) || *out_limit >= unlimited)
        return false;
    cgroup_file(group, group->is_unified ? "memory.current" : "memory.usage_in_bytes", path);
    return machine_read_number(root, path, out_used);
}

void doctor_look_at_memory_limit(struct findings *findings, const char *root) {
    enum { MIB = 1024 * 1024, TIGHT_MIB = 256 };
    struct cgroup group;
    int64_t least_left = INT64_MAX, least_limit = 0;
    for (bool is_one = cgroup_find(&group, root, "memory"); is_one; is_one = cgroup_go_up(&group)) {
        int64_t limit, used;
        if (!read_memory(&group, root, &limit, &used) || limit - used >= least_left)
            continue;
        least_left = limit - used;
        least_limit = limit;
    }
    if (least_left == INT64_MAX) {
        findings_add(findings, "memory", "limit", "none for this control group");
        return;
    }
    struct finding *finding =
        findings_add(findings, "memory", "limit",
                     "%" PRId64 " MiB for this control group, %" PRId64 " MiB of them left",
                     least_limit / MIB, least_left / MIB);
    finding_set_figure(finding, "limit_bytes", least_limit);
    finding_set_figure(finding, "left_bytes", least_left);
    if (least_left / MIB < TIGHT_MIB)
        finding_set_trouble(finding, FINDING_WARNING,
                            "rings count as memory of whoever touches them first: beyond the limit "
                            "the kernel swaps, or kills a process of the group",
                            "a higher memory.max (docker run --memory, systemd's MemoryMax=); "
                            "\"shmframe size\" tells what a stream needs");
}
