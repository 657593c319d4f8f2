#include "reporting.h"

#include "program.h"
#include "run_flights.h"
#include "run_report.h"

#include <assert.h>
#include <string.h>
#include <time.h>

static struct {
    const char *folder; /* NULL: no report */
    struct run_report report;
    struct run_flights *flights[RUN_REPORT_RUNS];
} reporting;

void reporting_prepare(const char *folder, const char *title, char *const *arguments) {
    const int result = run_report_try(folder);
    if (result < 0)
        program_fail("--report: nothing can be written to %s: %s", folder, strerror(-result));
    reporting.folder = folder;
    reporting.report.arguments = arguments;
    reporting.report.title = title;
}

static _Noreturn void fail_memory(void) {
    program_fail("there is no memory for the report");
}

static void start_stream(const struct measured *measured, int64_t start_ns) {
    struct run_report *report = &reporting.report;
    struct run *run = run_create(measured->stream, start_ns);
    struct run_flights *flights =
        run ? run_flights_create(run, measured->reader, measured->record) : NULL;
    if (!flights)
        fail_memory();
    if (measured->reader && shmframe_reader_format(measured->reader))
        shmframe_format_describe(shmframe_reader_format(measured->reader), run->format,
                                 sizeof(run->format));
    reporting.flights[report->runs] = flights;
    report->run[report->runs++] = run;
}

void reporting_start(const struct measurement *m) {
    static_assert((int)MEASURED_MAX <= (int)RUN_REPORT_RUNS, "each stream has its run");
    struct timespec wall;
    if (!reporting.folder)
        return;
    clock_gettime(CLOCK_REALTIME, &wall);
    reporting.report.wall_ns = wall.tv_sec * INT64_C(1000000000) + wall.tv_nsec;
    run_machine_read(&reporting.report.machine);
    for (uint32_t i = 0; i < m->streams; i++)
        start_stream(&m->stream[i], m->start_ns);
}

void reporting_add_mark(uint32_t stream, uint64_t sequence, const struct run_mark *mark) {
    if (stream < reporting.report.runs)
        run_flights_add_mark(reporting.flights[stream], sequence, mark);
}

void reporting_add_skew(uint32_t stream, const struct run_skew *skew) {
    if (stream < reporting.report.runs && run_add_skew(reporting.report.run[stream], skew) < 0)
        fail_memory();
}

void reporting_look(int64_t now_ns) {
    for (uint32_t i = 0; i < reporting.report.runs; i++)
        if (run_flights_are_due(reporting.flights[i], now_ns) &&
            run_flights_look(reporting.flights[i], now_ns, false) < 0)
            fail_memory();
}

void reporting_end(const struct measurement *m) {
    struct run_report *report = &reporting.report;
    if (!reporting.folder)
        return;
    const int64_t now_ns = shmframe_now_ns();
    run_machine_end(&report->machine);
    for (uint32_t i = 0; i < report->runs; i++) {
        struct run *run = report->run[i];
        if (run_flights_look(reporting.flights[i], now_ns, true) < 0 ||
            run_end(run, &m->stream[i].shown, now_ns) < 0)
            fail_memory();
        run->frames_missed = run_flights_missed(reporting.flights[i]);
    }
    const int result = run_report_write(report, reporting.folder);
    if (result < 0)
        program_fail("the report cannot be written to %s: %s", reporting.folder, strerror(-result));
    for (uint32_t i = 0; i < report->runs; i++) {
        run_flights_destroy(reporting.flights[i]);
        run_destroy(report->run[i]);
    }
    report->runs = 0;
}
