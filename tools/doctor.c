/* shmframe doctor: what on this machine costs latency, and what to do about it. */
#include "doctor.h"

#include "report.h"
#include "self_test.h"
#include "tool.h"

#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
    const char *format;
    int64_t duration_ns; /* -1: not given */
    bool is_self_test;
    int64_t delay_ns;
} settings = {.format = "text", .duration_ns = -1};

#define WAKES_NS INT64_C(400000000)
#define DELAY_NS INT64_C(1500000000)

static const struct option_spec options[] = {
    {.name = "duration",
     .kind = OPTION_DURATION,
     .out = &settings.duration_ns,
     .argument = "TIME",
     .help =
         "measure each of the four kinds of wake-up for so long (400ms); 0: none; each delay of "
         "--self-test (1.5s)"},
    {.name = "self-test",
     .kind = OPTION_FLAG,
     .out = &settings.is_self_test,
     .help =
         "hold frames for known times, drop, repeat and swap some, and see whether that is what is "
         "measured"},
    {.name = "delay",
     .kind = OPTION_POSITIVE_DURATION,
     .out = &settings.delay_ns,
     .argument = "TIME",
     .help = "of the self-test, this delay only"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "text or json"},
    {0},
};

static const struct program program = {
    .name = "shmframe doctor",
    .purpose = "Looks for what on this machine costs latency, and tells the remedy.",
    .options = options,
    .notes =
        "Nothing is changed. The exit status is 1 only if something needed is missing or, with\n"
        "--self-test, a reading is off.",
};

static int count_columns(void) {
    enum { NARROW = 60, WIDE = 120, DEFAULT = 100 };
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return DEFAULT;
    return size.ws_col < NARROW ? NARROW : size.ws_col > WIDE ? WIDE : size.ws_col;
}

static unsigned count_processors(void) {
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof(allowed), &allowed) < 0 ? 1 : (unsigned)CPU_COUNT(&allowed);
}

static void look_at_time(struct findings *findings) {
    doctor_look_at_clock(findings, "/", doctor_measure_clock_ns());
    const int64_t duration_ns = settings.duration_ns < 0 ? WAKES_NS : settings.duration_ns;
    if (duration_ns == 0)
        return;
    static struct doctor_wakes wakes;
    const int code = doctor_measure_wakes(&wakes, duration_ns);
    if (code < 0)
        program_fail("wake-ups cannot be measured: %s; --duration 0 leaves them out",
                     strerror(-code));
    doctor_look_at_wakes(findings, &wakes);
}

static void look_at_all(struct findings *findings) {
    static const char root[] = "/";
    doctor_look_at_kernel(findings);
    doctor_look_at_processors(findings, root, count_processors());
    doctor_look_at_frequency(findings, root);
    doctor_look_at_idle_states(findings, root);
    doctor_look_at_isolation(findings, root);
    doctor_look_at_load(findings, root);
    doctor_look_at_quota(findings, root);
    doctor_look_at_memory(findings, root);
    doctor_look_at_memory_limit(findings, root);
    doctor_look_at_swap(findings, root);
    doctor_look_at_huge_pages(findings, root);
    doctor_look_at_rights(findings);
    doctor_look_at_supervisor(findings);
    look_at_time(findings);
}

int tool_doctor(int argc, char **argv) {
    program_start(&program, argc, argv);
    const enum report_format format = report_format_parse(settings.format);
    if (settings.is_self_test)
        return self_test_run(format, settings.duration_ns < 0 ? DELAY_NS : settings.duration_ns,
                             settings.delay_ns);
    if (settings.delay_ns)
        program_fail_usage("--delay is for --self-test only");
    static struct findings findings;
    look_at_all(&findings);
    const bool is_able = findings_worst(&findings) != FINDING_FAILURE;
    if (format == REPORT_JSON)
        report_print_json(findings_to_json(&findings));
    else
        findings_print(&findings, stdout, count_columns());
    findings_finish(&findings);
    report_flush();
    return is_able ? EXIT_DONE : EXIT_FAILED;
}
