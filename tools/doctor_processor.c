/* Processors: how many, how quick they come back from idleness, who else wants them. */
#include "doctor.h"

#include "machine.h"

#include <inttypes.h>
#include <string.h>

static const char topic[] = "processors";

enum { PROCESSORS_MAX = 1024, STATES_MAX = 16 };

/* How many processors a list such as "0-3,8" names. */
static unsigned count_list(const char *list) {
    unsigned count = 0;
    for (const char *item = list; item && *item; item = strchr(item, ',')) {
        unsigned first, last;
        item += *item == ',';
        const int found = sscanf(item, "%u-%u", &first, &last);
        if (found == 2 && last >= first)
            count += last - first + 1;
        else if (found == 1)
            count++;
    }
    return count;
}

void doctor_look_at_processors(struct findings *findings, const char *root, unsigned allowed) {
    char online[MACHINE_TEXT_BYTES];
    const unsigned there =
        machine_read(root, "sys/devices/system/cpu/online", online) ? count_list(online) : allowed;
    struct finding *finding =
        findings_add(findings, topic, "count", "%u, %u of them for this process", there, allowed);
    finding_set_figure(finding, "online", there);
    finding_set_figure(finding, "allowed", allowed);
    if (allowed == 1)
        finding_set_trouble(finding, FINDING_WARNING,
                            "writer and readers take turns: each frame waits for a switch between "
                            "them",
                            there > 1 ? "taskset --pid --cpu-list 0-N PID, or more cpus for this "
                                        "container"
                                      : "more processors");
    else if (allowed < there)
        finding_set_trouble(finding, FINDING_NOTE,
                            "none, unless writers and readers crowd on these",
                            "taskset --cpu-list, or `cpus` in a pipeline file, gives a node its "
                            "own");
}

/* ---- frequency ---- */

/* Governors that follow the load, and drivers whose "powersave" does. */
static bool is_dynamic(const char *governor, const char *driver) {
    return strcmp(governor, "powersave") != 0 || strncmp(driver, "intel_pstate", 12) == 0 ||
           strncmp(driver, "amd-pstate-epp", 14) == 0;
}

/* The first governor that is not "performance", or that one. */
static bool find_governor(const char *root, char governor[MACHINE_TEXT_BYTES], unsigned *out_cpu) {
    bool is_found = false;
    for (unsigned cpu = 0; cpu < PROCESSORS_MAX; cpu++) {
        char path[128], text[MACHINE_TEXT_BYTES];
        snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", cpu);
        if (!machine_read(root, path, text))
            continue;
        if (!is_found || strcmp(text, "performance") != 0) {
            strcpy(governor, text);
            *out_cpu = cpu;
            is_found = true;
        }
        if (strcmp(text, "performance") != 0)
            return true;
    }
    return is_found;
}

static void look_at_boost(struct findings *findings, const char *root) {
    int64_t value;
    bool is_off;
    if (machine_read_number(root, "sys/devices/system/cpu/intel_pstate/no_turbo", &value))
        is_off = value != 0;
    else if (machine_read_number(root, "sys/devices/system/cpu/cpufreq/boost", &value))
        is_off = value == 0;
    else
        return;
    struct finding *finding = findings_add(findings, topic, "boost", is_off ? "off" : "on");
    if (is_off)
        finding_set_trouble(finding, FINDING_NOTE,
                            "work on each frame takes longer than it could; times vary less",
                            "cpupower set --turbo-boost 1, or the firmware's setting");
}

void doctor_look_at_frequency(struct findings *findings, const char *root) {
    char governor[MACHINE_TEXT_BYTES], driver[MACHINE_TEXT_BYTES], path[128];
    unsigned cpu;
    if (!find_governor(root, governor, &cpu)) {
        findings_add(findings, topic, "governor",
                     "not to be seen here: in a virtual machine the host decides");
        return;
    }
    snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cpufreq/scaling_driver", cpu);
    if (!machine_read(root, path, driver))
        strcpy(driver, "an unknown driver");
    struct finding *finding =
        findings_add(findings, topic, "governor", "%.64s, by %.64s", governor, driver);
    static const char remedy[] = "cpupower frequency-set --governor performance";
    if (strcmp(governor, "performance") != 0)
        finding_set_trouble(finding, is_dynamic(governor, driver) ? FINDING_NOTE : FINDING_WARNING,
                            is_dynamic(governor, driver)
                                ? "a processor that had little to do works on the next frames at a "
                                  "low frequency, up to several times longer"
                                : "processors stay at their lowest frequency: all takes longer",
                            remedy);
    look_at_boost(findings, root);
}

/* ---- idle states ---- */

struct idle_state {
    char name[64];
    int64_t latency_us;
};

/* The enabled state that takes longest to leave. */
static bool find_deepest(const char *root, struct idle_state *out_state) {
    bool is_found = false;
    for (unsigned i = 0; i < STATES_MAX; i++) {
        char path[128], name[MACHINE_TEXT_BYTES];
        int64_t latency_us, is_disabled = 0;
        snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu0/cpuidle/state%u/latency", i);
        if (!machine_read_number(root, path, &latency_us))
            continue;
        snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu0/cpuidle/state%u/disable", i);
        machine_read_number(root, path, &is_disabled);
        snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu0/cpuidle/state%u/name", i);
        if (!machine_read(root, path, name))
            snprintf(name, sizeof(name), "state%u", i);
        if (is_disabled || (is_found && latency_us <= out_state->latency_us))
            continue;
        snprintf(out_state->name, sizeof(out_state->name), "%.63s", name);
        out_state->latency_us = latency_us;
        is_found = true;
    }
    return is_found;
}

void doctor_look_at_idle_states(struct findings *findings, const char *root) {
    enum { SHORT_US = 20 };
    struct idle_state deepest;
    if (!find_deepest(root, &deepest)) {
        findings_add(findings, topic, "idle-states",
                     "none to be seen: halting is left to the hypervisor, if there is one; see "
                     "wake-halted");
        return;
    }
    struct finding *finding = findings_add(findings, topic, "idle-states",
                                           "down to %s, which takes %" PRId64 " us to leave",
                                           deepest.name, deepest.latency_us);
    finding_set_figure(finding, "latency_us", deepest.latency_us);
    if (deepest.latency_us > SHORT_US)
        finding_set_trouble(
            finding, FINDING_NOTE,
            "a reader whose processor slept deeply hears of its frame so much later",
            "cpupower idle-set --disable-by-latency 20, tuned-adm profile "
            "latency-performance, or a process that keeps /dev/cpu_dma_latency "
            "open with a 0 in it");
}

void doctor_look_at_isolation(struct findings *findings, const char *root) {
    char isolated[MACHINE_TEXT_BYTES] = "", quiet[MACHINE_TEXT_BYTES] = "";
    machine_read(root, "sys/devices/system/cpu/isolated", isolated);
    machine_read(root, "sys/devices/system/cpu/nohz_full", quiet);
    if (strcmp(quiet, "(null)") == 0)
        quiet[0] = '\0';
    if (!isolated[0] && !quiet[0]) {
        findings_add(findings, topic, "isolated", "none");
        return;
    }
    struct finding *finding =
        findings_add(findings, topic, "isolated", "%.64s, without ticks: %.64s",
                     isolated[0] ? isolated : "none", quiet[0] ? quiet : "none");
    if (isolated[0])
        finding_set_trouble(finding, FINDING_NOTE,
                            "the scheduler puts nothing there by itself: they are idle unless told",
                            "taskset --cpu-list, or `cpus` in a pipeline file, puts a node there");
}

/* ---- load ---- */

static void look_at_steal(struct findings *findings, const char *root) {
    char text[MACHINE_TEXT_BYTES];
    unsigned long long ticks[8] = {0}, all = 0;
    if (!machine_read(root, "proc/stat", text) ||
        sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2],
               &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) < 8)
        return;
    for (int i = 0; i < 8; i++)
        all += ticks[i];
    const double percent = all ? 100.0 * (double)ticks[7] / (double)all : 0;
    struct finding *finding =
        findings_add(findings, topic, "steal",
                     "%.2f %% of the time since the start went to other guests", percent);
    json_object_set_new(finding->figures, "percent", json_real(percent));
    if (percent >= 0.1)
        finding_set_trouble(
            finding, percent >= 2 ? FINDING_WARNING : FINDING_NOTE,
            "this machine is virtual, and at times does not run at all: frames then "
            "come late by milliseconds",
            "processors of its own for this guest (pinned, not overcommitted)");
}

void doctor_look_at_load(struct findings *findings, const char *root) {
    char text[MACHINE_TEXT_BYTES];
    double percent;
    look_at_steal(findings, root);
    if (!machine_read(root, "proc/pressure/cpu", text) ||
        !machine_find_number(text, "some avg10=", &percent)) {
        findings_add(findings, topic, "pressure", "not told by this kernel (psi=1 makes it)");
        return;
    }
    struct finding *finding =
        findings_add(findings, topic, "pressure",
                     "in %.1f %% of the last 10 s some process waited for a processor", percent);
    json_object_set_new(finding->figures, "percent", json_real(percent));
    if (percent >= 5)
        finding_set_trouble(finding, percent >= 20 ? FINDING_WARNING : FINDING_NOTE,
                            "a woken reader waits until it is its turn, up to several milliseconds",
                            "fewer programs, `nice` or `scheduling = fifo:10` in the pipeline file "
                            "for those that matter, more processors");
}
