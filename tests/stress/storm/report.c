#include "report.h"

#include <stdio.h>
#include <stdlib.h>

/* Once more for who has just died, or was evicted. */
uint32_t report_slots_allowed(unsigned stream) {
    uint32_t depth = 1, leases = 0;
    for (unsigned i = 0; i < SEATS; i++) {
        const struct reading_role *roles;
        const unsigned count = seat_readings(i, &roles);
        for (unsigned j = 0; j < count; j++) {
            if (roles[j].stream != stream)
                continue;
            depth = roles[j].depth > depth ? roles[j].depth : depth;
            leases += roles[j].leases;
        }
    }
    return writer_roles[stream].loans + depth + 2 * leases + 1;
}

/* ---- recovery ---- */

static int compare_ns(const void *left, const void *right) {
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* A line for each power of two of microseconds. */
static void print_bars(const int64_t *ns, uint32_t count) {
    enum { WIDTH = 40 };
    uint32_t begin = 0;
    for (int64_t edge_ns = 1000; begin < count; edge_ns *= 2) {
        uint32_t end = begin;
        while (end < count && ns[end] < edge_ns)
            end++;
        if (end > begin) {
            printf("    < %10.3f ms %7u ", (double)edge_ns / 1e6, end - begin);
            for (uint32_t i = 0; i < (uint64_t)(end - begin) * WIDTH / count; i++)
                printf("#");
            printf("\n");
        }
        begin = end;
    }
}

static void print_recovery(enum recovery recovery, const char *what) {
    static int64_t ns[SAMPLES_MAX];
    const struct samples *samples = &board->recovery[recovery];
    const uint32_t told = atomic_load(&samples->count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < SAMPLES_MAX && i < told; i++)
        if (atomic_load(&samples->ns[i])) /* else its peer was killed before it could tell */
            ns[count++] = atomic_load(&samples->ns[i]);
    if (count == 0)
        return;
    qsort(ns, count, sizeof(*ns), compare_ns);
    printf("  %s\n    %u times: p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", what, count,
           (double)ns[count / 2] / 1e6, (double)ns[(uint64_t)count * 99 / 100] / 1e6,
           (double)ns[count - 1] / 1e6);
    print_bars(ns, count);
}

static void print_recoveries(void) {
    static const char *const texts[RECOVERIES] = {
        [RECOVERY_WRITER_OPEN] = "a writer's return: from its open to its first frame at a reader",
        [RECOVERY_WRITER_PUBLISH] = "... from its first frame to that frame at a reader",
        [RECOVERY_WRITER_DISTURBED] = "... from its open, while a supervisor was being replaced",
        [RECOVERY_READER] = "a reader's return: from its process to its first frame",
        [RECOVERY_READER_DISTURBED] = "... while a supervisor was being replaced",
        [RECOVERY_SUPERVISOR] = "a supervisor's return: from its readiness to all sessions back",
    };
    printf("recovery\n");
    for (unsigned i = 0; i < RECOVERIES; i++)
        print_recovery((enum recovery)i, texts[i]);
}

/* ---- frames ---- */

static void print_frames(void) {
    static const struct {
        enum total total;
        const char *text;
    } lines[] = {
        {TOTAL_PUBLISHED, "frames published"},
        {TOTAL_UNSURE, "frames at whose publication the writer was killed"},
        {TOTAL_RENUMBERED, "numbers given again, as nobody was left who knew them"},
        {TOTAL_ABANDONED, "loans abandoned"},
        {TOTAL_FORMATS, "changes of format"},
        {TOTAL_FORMATS_REFUSED, "changes of format without a supervisor, refused"},
        {TOTAL_DELIVERED, "frames delivered"},
        {TOTAL_DELIVERED_AWAY, "... while there was no supervisor"},
        {TOTAL_LOGGED, "... found in their writer's log"},
        {TOTAL_CARRIED, "... with an origin"},
        {TOTAL_CHECKS, "checks of a frame's sum"},
        {TOTAL_SLEPT, "frames that a reader waited for"},
        {TOTAL_SKIPPED, "frames skipped by policy"},
        {TOTAL_LOST_LATE, "frames lost, reader too far behind"},
        {TOTAL_LOST_RESTART, "frames lost, reader not linked to a new ring yet"},
        {TOTAL_LOST_DISTURBED, "... of both, while a supervisor was being replaced"},
        {TOTAL_MISSED, "frames missed in a ring that went on without supervisor"},
        {TOTAL_EVICTED, "readers that met their eviction"},
        {TOTAL_EVICTED_RESTART, "... stopped for too long while a supervisor returned"},
        {TOTAL_STALE, "frames overwritten under the evicted, who were told"},
        {TOTAL_SPACE_WAITS, "loans that waited long for a lossless reader"},
        {TOTAL_COLD, "slots without memory met by the writers of the end"},
        {TOTAL_KILLED_IN_PUBLISH, "late frames whose writer died before it could wake"},
        {TOTAL_SLOW_MACHINE, "late frames since the machine was busy"},
        {TOTAL_NOT_ASLEEP, "late frames of readers that were not asleep as they came"},
    };
    printf("frames\n");
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        printf("  %-55s %10llu\n", lines[i].text,
               (unsigned long long)atomic_load(&board->total[lines[i].total]));
    printf("  %-55s %10.1f\n", "GB of payload checked",
           (double)atomic_load(&board->total[TOTAL_VERIFIED_BYTES]) / 1e9);
}

void report_print(const struct cast *cast, const struct strikes *strikes,
                  const uint32_t *slots_most) {
    printf("killed %u: %u writers and filters, %u readers, %u supervisors\n", cast->deaths,
           cast->writer_deaths, cast->reader_deaths, cast->supervisor_deaths);
    printf("deeds: %u kill, %u stop, %u stop then kill, %u evict (%u done), %u cross; %u passed "
           "over\n",
           strikes->count[DEED_KILL], strikes->count[DEED_STOP], strikes->count[DEED_STOP_KILL],
           strikes->count[DEED_EVICT], strikes->evicted, strikes->count[DEED_CROSS],
           strikes->passed_over);
    printf("peers: %u at any moment, %u just behind a door, %u a number of instructions behind "
           "it%s\n",
           strikes->at_once, strikes->at_door, strikes->in_step,
           cast->can_step ? "" : " (ptrace is not allowed here)");
    print_frames();
    printf("slots with memory, most at once (allowed)\n ");
    for (unsigned i = 0; i < STREAMS; i++)
        printf(" %s %u (%u)", seat_name(i), slots_most[i], report_slots_allowed(i));
    printf("\n");
    print_recoveries();
}

unsigned report_print_faults(void) {
    const unsigned count = atomic_load(&board->faults);
    for (unsigned i = 0; i < count && i < FAULTS_MAX; i++)
        printf("FAULT: %s\n", board->fault[i]);
    return count;
}
