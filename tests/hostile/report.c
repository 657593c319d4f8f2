#include "report.h"

#include <stdio.h>

/* Slower than twice is a breach only where it is no wink of the scheduler: less than this nobody
 * would see, and no test on a busy machine could tell from noise. */
static const int64_t NOISE_NS = 2000000;
enum { SLOWER_MOST = 2, SKIPPED = 77 };
/* What attacks may make the supervisor take, and what may be left of it (memory that was freed). */
static const int64_t MEMORY_MOST = INT64_C(16) << 20, MEMORY_KEPT = INT64_C(12) << 20;

static const char LINE[] = "%-22s %-9s %-22s %8s %5s %7s %7s %7s %6s %7s %6s\n";

void report_head(uint64_t seed) {
    printf("# seed %llu; p99 of wake-ups in us, of %d readers together; the supervisor's most\n",
           (unsigned long long)seed, VICTIM_READERS);
    printf(LINE, "attack", "by", "is to be", "rounds", "cpu", "calm", "control", "attack", "ratio",
           "MiB", "fds");
}

struct report_row *report_begin(struct report *report, const struct attack *attack) {
    if (report->count == ROWS_MAX)
        return NULL;
    struct report_row *row = &report->row[report->count];
    *row = (struct report_row){.attack = attack, .number = report->count++};
    return row;
}

/* Of all victims together. */
static int64_t p99_ns(const struct report_row *row, enum slice slice, bool is_wake) {
    static struct shmframe_histogram sum;
    sum = (struct shmframe_histogram){0};
    for (unsigned i = 0; i < VICTIM_READERS; i++) {
        const struct victim_reader *reader = &board->reader[i];
        const struct shmframe_histogram *part =
            is_wake ? &reader->wake[row->number][slice] : &reader->transit[row->number][slice];
        sum.count += part->count;
        sum.max_ns = part->max_ns > sum.max_ns ? part->max_ns : sum.max_ns;
        for (unsigned k = 0; k < SHMFRAME_HISTOGRAM_BUCKETS; k++)
            sum.bucket[k] += part->bucket[k];
    }
    return shmframe_histogram_quantile_ns(&sum, 0.99);
}

static int64_t base_ns(const struct report_row *row, bool is_wake) {
    const int64_t calm_ns = p99_ns(row, SLICE_CALM, is_wake);
    const int64_t control_ns = p99_ns(row, SLICE_CONTROL, is_wake);
    return calm_ns > control_ns ? calm_ns : control_ns;
}

void report_row(const struct report_row *row) {
    char text[7][24];
    const int64_t base = base_ns(row, true), attack_ns = p99_ns(row, SLICE_ATTACK, true);
    snprintf(text[0], sizeof(text[0]), "%llu", (unsigned long long)row->rounds);
    snprintf(text[1], sizeof(text[1]), "%.2f", row->share);
    snprintf(text[2], sizeof(text[2]), "%.0f", (double)p99_ns(row, SLICE_CALM, true) / 1e3);
    snprintf(text[3], sizeof(text[3]), "%.0f", (double)p99_ns(row, SLICE_CONTROL, true) / 1e3);
    snprintf(text[4], sizeof(text[4]), "%.0f", (double)attack_ns / 1e3);
    snprintf(text[5], sizeof(text[5]), "%.2f", base ? (double)attack_ns / (double)base : 0.0);
    snprintf(text[6], sizeof(text[6]), "%.1f", (double)row->most.memory_bytes / 1048576);
    char fds[24];
    snprintf(fds, sizeof(fds), "%d", row->most.fds);
    printf(LINE, row->attack->name, row->attack->who, row->attack->expected, text[0], text[1],
           text[2], text[3], text[4], text[5], text[6], fds);
}

void report_skip(const struct attack *attack) {
    printf("%-22s %-9s skipped: only root can be another user\n", attack->name, attack->who);
}

/* The machine's own noise is in all slices: the worst of those without an attack tells how much it
 * is in this run. */
static int64_t worst_base_ns(const struct report *report, bool is_wake) {
    int64_t worst_ns = NOISE_NS / SLOWER_MOST;
    for (uint32_t i = 0; i < report->count; i++) {
        const int64_t ns = base_ns(&report->row[i], is_wake);
        worst_ns = ns > worst_ns ? ns : worst_ns;
    }
    return worst_ns;
}

bool report_is_breach(const struct report *report, const struct report_row *row) {
    for (unsigned is_wake = 0; is_wake < 2; is_wake++)
        if (p99_ns(row, SLICE_ATTACK, is_wake) > SLOWER_MOST * worst_base_ns(report, is_wake))
            return true;
    return false;
}

static void check_memory(const struct report *report, const struct holdings *base,
                         const struct holdings *after) {
    for (uint32_t i = 0; i < report->count; i++)
        if (report->row[i].most.fds > SCENE_FDS * 3 / 4)
            board_fault("%s makes the supervisor have %d descriptors of %d",
                        report->row[i].attack->name, report->row[i].most.fds, SCENE_FDS);
    for (uint32_t i = 0; i < report->count; i++)
        if (report->row[i].most.memory_bytes > base->memory_bytes + MEMORY_MOST)
            board_fault("%s makes the supervisor take %lld MiB", report->row[i].attack->name,
                        (long long)report->row[i].most.memory_bytes >> 20);
    if (after->memory_bytes > base->memory_bytes + MEMORY_KEPT)
        board_fault("the supervisor keeps %lld MiB, it had %lld",
                    (long long)after->memory_bytes >> 20, (long long)base->memory_bytes >> 20);
}

static void tell_victims(void) {
    static const char *const names[VICTIM_READERS] = {"latest", "in order", "lossless"};
    for (unsigned i = 0; i < VICTIM_READERS; i++)
        printf("%-10s %llu frames whole, %llu lost and told, %llu skipped\n", names[i],
               (unsigned long long)atomic_load(&board->reader[i].delivered),
               (unsigned long long)atomic_load(&board->reader[i].lost),
               (unsigned long long)atomic_load(&board->reader[i].skipped));
    printf("visitors   %llu came, had a frame and left, each within %.0f ms\n",
           (unsigned long long)atomic_load(&board->visits),
           (double)atomic_load(&board->visit_most_ns) / 1e6);
    printf("observer   %llu records read\n", (unsigned long long)atomic_load(&board->looks));
}

int report_end(const struct report *report, const struct holdings *base,
               const struct holdings *after) {
    check_memory(report, base, after);
    tell_victims();
    printf("supervisor %.1f MiB, %d descriptors, %d mappings before; %.1f MiB, %d, %d after\n",
           (double)base->memory_bytes / 1048576, base->fds, base->mappings,
           (double)after->memory_bytes / 1048576, after->fds, after->mappings);
    const uint32_t faults = atomic_load(&board->faults);
    for (uint32_t i = 0; i < faults && i < FAULTS_MAX; i++)
        printf("FAULT: %s\n", board->fault[i]);
    printf("%u attacks, %u faults\n", report->count, faults);
    return faults ? 1 : report->count ? 0 : SKIPPED;
}
