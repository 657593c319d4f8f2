/* Doctor: what it finds on machines that are made up, and that its measurements measure. */
#include "doctor.h"
#include "machine.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];
static struct findings findings;

static void begin(void) {
    snprintf(root, sizeof(root), "/tmp/t.doctor.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static void end(void) {
    findings_finish(&findings);
    ck_assert_int_eq(strncmp(root, "/tmp/t.doctor.", 14), 0);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes `text` to the file at `path` of the machine. */
static void put(const char *path, const char *text) {
    char whole[512];
    snprintf(whole, sizeof(whole), "%s/%s", root, path);
    for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(whole, 0700);
    }
    FILE *file = fopen(whole, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static const struct finding *expect(const char *name, enum finding_level level, const char *found,
                                    const char *remedy) {
    const struct finding *finding = findings_find(&findings, name);
    ck_assert_msg(finding != NULL, "nothing is found of %s", name);
    ck_assert_msg(finding->level == level, "%s is %s: %s", name, finding_level_name(finding->level),
                  finding->found);
    ck_assert_msg(strstr(finding->found, found) != NULL, "%s: '%s' does not tell '%s'", name,
                  finding->found, found);
    ck_assert_msg(strstr(finding->remedy, remedy) != NULL, "%s: '%s' does not tell '%s'", name,
                  finding->remedy, remedy);
    ck_assert_int_eq(level == FINDING_OK, finding->remedy[0] == '\0');
    ck_assert_int_eq(level == FINDING_OK, finding->cost[0] == '\0');
    return finding;
}

static json_int_t figure(const char *name, const char *key) {
    return json_integer_value(json_object_get(findings_find(&findings, name)->figures, key));
}

START_TEST(a_machine_that_shows_nothing_has_no_trouble) {
    doctor_look_at_processors(&findings, root, 4);
    doctor_look_at_frequency(&findings, root);
    doctor_look_at_idle_states(&findings, root);
    doctor_look_at_isolation(&findings, root);
    doctor_look_at_load(&findings, root);
    doctor_look_at_quota(&findings, root);
    doctor_look_at_memory(&findings, root);
    doctor_look_at_memory_limit(&findings, root);
    doctor_look_at_swap(&findings, root);
    doctor_look_at_huge_pages(&findings, root);
    doctor_look_at_clock(&findings, root, 30);
    ck_assert_uint_ge(findings.count, 11);
    ck_assert_int_eq(findings_worst(&findings), FINDING_OK);
    for (unsigned i = 0; i < findings.count; i++)
        ck_assert_str_ne(findings.list[i].found, "");
}
END_TEST

START_TEST(one_processor_is_too_few) {
    put("sys/devices/system/cpu/online", "0-3,8-9\n");
    doctor_look_at_processors(&findings, root, 1);
    expect("count", FINDING_WARNING, "6, 1 of them", "taskset");
    ck_assert_int_eq(figure("count", "online"), 6);
}
END_TEST

START_TEST(a_part_of_the_processors_is_noted_and_all_are_well) {
    put("sys/devices/system/cpu/online", "0-3\n");
    doctor_look_at_processors(&findings, root, 2);
    expect("count", FINDING_NOTE, "4, 2 of them", "cpus");
    findings_finish(&findings);
    doctor_look_at_processors(&findings, root, 4);
    expect("count", FINDING_OK, "4, 4 of them", "");
}
END_TEST

static void put_governor(unsigned cpu, const char *governor, const char *driver) {
    char path[128];
    snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", cpu);
    put(path, governor);
    snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/cpufreq/scaling_driver", cpu);
    put(path, driver);
}

static const struct {
    const char *governor, *driver;
    enum finding_level level;
} governors[] = {
    {"performance\n", "acpi-cpufreq\n", FINDING_OK},
    {"schedutil\n", "acpi-cpufreq\n", FINDING_NOTE},
    {"ondemand\n", "acpi-cpufreq\n", FINDING_NOTE},
    {"powersave\n", "intel_pstate\n", FINDING_NOTE},
    {"powersave\n", "amd-pstate-epp\n", FINDING_NOTE},
    {"powersave\n", "acpi-cpufreq\n", FINDING_WARNING},
};

START_TEST(a_governor_costs_what_it_does) {
    put_governor(0, "performance\n", governors[_i].driver);
    put_governor(1, governors[_i].governor, governors[_i].driver);
    doctor_look_at_frequency(&findings, root);
    char found[64];
    snprintf(found, sizeof(found), "%.*s, by %.*s", (int)strlen(governors[_i].governor) - 1,
             governors[_i].governor, (int)strlen(governors[_i].driver) - 1, governors[_i].driver);
    expect("governor", governors[_i].level, found,
           governors[_i].level == FINDING_OK ? "" : "--governor performance");
    ck_assert_ptr_null(findings_find(&findings, "boost"));
}
END_TEST

START_TEST(boost_is_told_of_by_either_switch) {
    put_governor(0, "performance", "intel_pstate");
    put("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
    doctor_look_at_frequency(&findings, root);
    expect("boost", FINDING_NOTE, "off", "turbo-boost");
    findings_finish(&findings);
    put("sys/devices/system/cpu/intel_pstate/no_turbo", "0\n");
    doctor_look_at_frequency(&findings, root);
    expect("boost", FINDING_OK, "on", "");
}
END_TEST

static void put_idle_state(unsigned state, const char *name, const char *latency_us,
                           const char *is_disabled) {
    char path[128];
    snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu0/cpuidle/state%u/name", state);
    put(path, name);
    snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu0/cpuidle/state%u/latency", state);
    put(path, latency_us);
    snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu0/cpuidle/state%u/disable", state);
    put(path, is_disabled);
}

START_TEST(the_deepest_idle_state_that_is_enabled_counts) {
    put_idle_state(0, "POLL\n", "0\n", "0\n");
    put_idle_state(1, "C1\n", "2\n", "0\n");
    put_idle_state(2, "C6\n", "133\n", "0\n");
    put_idle_state(3, "C10\n", "890\n", "1\n");
    doctor_look_at_idle_states(&findings, root);
    expect("idle-states", FINDING_NOTE, "C6, which takes 133 us", "cpu_dma_latency");
    findings_finish(&findings);
    put_idle_state(2, "C6\n", "133\n", "1\n");
    doctor_look_at_idle_states(&findings, root);
    expect("idle-states", FINDING_OK, "C1, which takes 2 us", "");
}
END_TEST

START_TEST(isolated_processors_are_named) {
    put("sys/devices/system/cpu/isolated", "2-3\n");
    put("sys/devices/system/cpu/nohz_full", "(null)\n");
    doctor_look_at_isolation(&findings, root);
    expect("isolated", FINDING_NOTE, "2-3, without ticks: none", "taskset");
    findings_finish(&findings);
    put("sys/devices/system/cpu/isolated", "\n");
    doctor_look_at_isolation(&findings, root);
    expect("isolated", FINDING_OK, "none", "");
}
END_TEST

START_TEST(steal_and_pressure_are_judged_by_their_size) {
    put("proc/stat", "cpu  100 0 100 9790 0 0 0 10 0 0\ncpu0 1 2 3\n");
    put("proc/pressure/cpu", "some avg10=6.25 avg60=0.00 avg300=0.00 total=1\n");
    doctor_look_at_load(&findings, root);
    expect("steal", FINDING_NOTE, "0.10 %", "for this guest");
    expect("pressure", FINDING_NOTE, "6.2 %", "scheduling");
    findings_finish(&findings);
    put("proc/stat", "cpu  100 0 100 9400 0 0 0 400 0 0\n");
    put("proc/pressure/cpu", "some avg10=20.00 avg60=0.00 avg300=0.00 total=1\n");
    doctor_look_at_load(&findings, root);
    expect("steal", FINDING_WARNING, "4.00 %", "for this guest");
    expect("pressure", FINDING_WARNING, "20.0 %", "scheduling");
    findings_finish(&findings);
    put("proc/stat", "cpu  100 0 100 9800 0 0 0 0 0 0\n");
    put("proc/pressure/cpu", "some avg10=4.99 avg60=0.00 avg300=0.00 total=1\n");
    doctor_look_at_load(&findings, root);
    expect("steal", FINDING_OK, "0.00 %", "");
    expect("pressure", FINDING_OK, "5.0 %", "");
}
END_TEST

START_TEST(the_tightest_quota_of_all_groups_above_counts) {
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    put("sys/fs/cgroup/a/cpu.stat", "usage_usec 1\nnr_periods 5\nnr_throttled 3\n");
    doctor_look_at_quota(&findings, root);
    expect("quota", FINDING_WARNING, "1.50 processors' time in each 100 ms; used up 3 times",
           "cpu.max = max");
    findings_finish(&findings);
    put("sys/fs/cgroup/a/cpu.stat", "nr_throttled 0\n");
    doctor_look_at_quota(&findings, root);
    expect("quota", FINDING_NOTE, "used up 0 times", "cpu.max = max");
    findings_finish(&findings);
    put("sys/fs/cgroup/a/cpu.max", "max 100000\n");
    doctor_look_at_quota(&findings, root);
    expect("quota", FINDING_OK, "none", "");
}
END_TEST

START_TEST(groups_of_version_1_are_found_by_their_controller) {
    put("proc/self/cgroup",
        "9:name=systemd:/x\n4:memory:/job\n3:cpuset:/\n2:cpuacct,cpu:/job\n0::/\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "536870912\n");
    put("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "402653184\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n");
    doctor_look_at_quota(&findings, root);
    doctor_look_at_memory_limit(&findings, root);
    expect("quota", FINDING_NOTE, "0.50 processors", "");
    expect("limit", FINDING_WARNING, "512 MiB for this control group, 128 MiB of them left",
           "memory.max");
    findings_finish(&findings);
    put("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
    doctor_look_at_memory_limit(&findings, root);
    expect("limit", FINDING_OK, "none", "");
}
END_TEST

START_TEST(the_memory_limit_with_the_least_left_counts) {
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/cgroup.controllers", "\n");
    put("sys/fs/cgroup/a/b/memory.max", "1073741824\n");
    put("sys/fs/cgroup/a/b/memory.current", "1048576\n");
    put("sys/fs/cgroup/a/memory.max", "2147483648\n");
    put("sys/fs/cgroup/a/memory.current", "1610612736\n");
    doctor_look_at_memory_limit(&findings, root);
    expect("limit", FINDING_OK, "2048 MiB for this control group, 512 MiB of them left", "");
    ck_assert_int_eq(figure("limit", "left_bytes"), 512 * 1024 * 1024);
}
END_TEST

START_TEST(little_memory_and_swap_are_told) {
    put("proc/meminfo",
        "MemTotal:        1048576 kB\nMemFree: 1 kB\nMemAvailable:     102400 kB\n");
    put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 1 0 100\n");
    put("proc/sys/vm/swappiness", "60\n");
    doctor_look_at_memory(&findings, root);
    doctor_look_at_swap(&findings, root);
    expect("available", FINDING_WARNING, "100 MiB of 1024 MiB", "shmframe size");
    expect("swap", FINDING_NOTE, "/dev/zram0, swappiness 60", "swapoff");
    findings_finish(&findings);
    put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
    doctor_look_at_swap(&findings, root);
    expect("swap", FINDING_OK, "none", "");
}
END_TEST

START_TEST(huge_pages_matter_where_shared_memory_gets_them) {
    put("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    put("sys/kernel/mm/transparent_hugepage/shmem_enabled",
        "always within_size [advise] never deny force\n");
    doctor_look_at_huge_pages(&findings, root);
    expect("huge-pages", FINDING_OK, "advise for shared memory, always for the rest", "");
    findings_finish(&findings);
    put("sys/kernel/mm/transparent_hugepage/shmem_enabled",
        "[always] within_size advise never deny force\n");
    doctor_look_at_huge_pages(&findings, root);
    expect("huge-pages", FINDING_NOTE, "always for shared memory", "shmem_enabled");
}
END_TEST

START_TEST(a_slow_clock_is_told_with_its_source) {
    put("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
    doctor_look_at_clock(&findings, root, 1600);
    expect("clock", FINDING_WARNING, "hpet: a look at it takes 1600 ns", "clocksource=tsc");
}
END_TEST

/* A hundred values of which the last `late` are `late_ns`. */
static void fill(struct shmframe_histogram *histogram, int64_t usual_ns, unsigned late,
                 int64_t late_ns) {
    for (unsigned i = 0; i < 100; i++)
        shmframe_histogram_add(histogram, i < 100 - late ? usual_ns : late_ns);
}

START_TEST(late_wakes_are_blamed_on_the_halt_only_if_they_are_quick_without) {
    static struct doctor_wakes wakes;
    wakes = (struct doctor_wakes){.processors = 2};
    fill(&wakes.awake, 5000, 0, 0);
    fill(&wakes.halted, 60000, 0, 0);
    fill(&wakes.timed, 60000, 0, 0);
    fill(&wakes.exact, 10000, 0, 0);
    doctor_look_at_wakes(&findings, &wakes);
    expect("wake-awake", FINDING_OK, "p50 5.0 us", "");
    expect("wake-halted", FINDING_NOTE, "of 100", "halt_poll");
    expect("sleep-exact", FINDING_OK, "p50 10.", "");
    ck_assert_int_ge(figure("wake-halted", "halt_ns"), 50000);
    findings_finish(&findings);

    wakes = (struct doctor_wakes){.processors = 2};
    fill(&wakes.awake, 5000, 2, 3000000);
    fill(&wakes.halted, 6000, 2, 400000);
    fill(&wakes.timed, 60000, 0, 0);
    fill(&wakes.exact, 10000, 2, 400000);
    doctor_look_at_wakes(&findings, &wakes);
    expect("wake-awake", FINDING_WARNING, "max 3000.0 us", "pressure");
    expect("wake-halted", FINDING_NOTE, "max 400.0 us", "pressure");
    expect("sleep-exact", FINDING_NOTE, "max 400.0 us", "timers");
}
END_TEST

START_TEST(wakes_are_measured_and_this_process_stays_as_it_was) {
    static struct doctor_wakes wakes;
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof(before), &before);
    const int slack_ns = prctl(PR_GET_TIMERSLACK);
    ck_assert_int_eq(doctor_measure_wakes(&wakes, INT64_C(100000000)), 0);
    const struct shmframe_histogram *all[] = {&wakes.awake, &wakes.halted, &wakes.timed,
                                              &wakes.exact};
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_gt(all[i]->count, 0);
        ck_assert_int_gt(all[i]->max_ns, 0);
    }
    sched_getaffinity(0, sizeof(after), &after);
    ck_assert(CPU_EQUAL(&before, &after));
    ck_assert_int_eq(prctl(PR_GET_TIMERSLACK), slack_ns);
    ck_assert_int_gt(doctor_measure_clock_ns(), 0);
}
END_TEST

START_TEST(what_this_machine_needs_it_has) {
    doctor_look_at_kernel(&findings);
    expect("futex_waitv", FINDING_OK, "there", "");
    expect("sealed-memory", FINDING_OK, "there", "");
    expect("pidfd", FINDING_OK, "there", "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("doctor");
    TCase *tests = tcase_create("doctor");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, a_machine_that_shows_nothing_has_no_trouble);
    tcase_add_test(tests, one_processor_is_too_few);
    tcase_add_test(tests, a_part_of_the_processors_is_noted_and_all_are_well);
    tcase_add_loop_test(tests, a_governor_costs_what_it_does, 0,
                        (int)(sizeof(governors) / sizeof(governors[0])));
    tcase_add_test(tests, boost_is_told_of_by_either_switch);
    tcase_add_test(tests, the_deepest_idle_state_that_is_enabled_counts);
    tcase_add_test(tests, isolated_processors_are_named);
    tcase_add_test(tests, steal_and_pressure_are_judged_by_their_size);
    tcase_add_test(tests, the_tightest_quota_of_all_groups_above_counts);
    tcase_add_test(tests, groups_of_version_1_are_found_by_their_controller);
    tcase_add_test(tests, the_memory_limit_with_the_least_left_counts);
    tcase_add_test(tests, little_memory_and_swap_are_told);
    tcase_add_test(tests, huge_pages_matter_where_shared_memory_gets_them);
    tcase_add_test(tests, a_slow_clock_is_told_with_its_source);
    tcase_add_test(tests, late_wakes_are_blamed_on_the_halt_only_if_they_are_quick_without);
    tcase_add_test(tests, wakes_are_measured_and_this_process_stays_as_it_was);
    tcase_add_test(tests, what_this_machine_needs_it_has);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
