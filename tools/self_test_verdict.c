/* Self-test: what the readings mean. Pure. */
#include "self_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

int64_t self_test_quantile_ns(int64_t *values, uint32_t count, double quantile) {
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), compare);
    const uint32_t at = (uint32_t)(quantile * count);
    return values[at < count ? at : count - 1];
}

int64_t self_test_marks_ns(const struct self_test_delay *delay) {
    return delay->mark_age_ns - delay->told_transit_ns - delay->age_ns;
}

/* What the filter did: more than a frame's time late is not what it was asked for. */
static void judge_filter(const struct self_test_delay *delay, char why[SELF_TEST_WORDS]) {
    const int64_t late_ns = delay->read_ns - delay->delay_ns;
    if (delay->frames == 0 || delay->frames < delay->wanted / 2)
        snprintf(why, SELF_TEST_WORDS, "only %u of %u frames came through", delay->frames,
                 delay->wanted);
    else if (late_ns < 0)
        snprintf(why, SELF_TEST_WORDS, "the filter held for %.1f us less than it was to",
                 (double)-late_ns / 1e3);
    else if (late_ns > delay->period_ns)
        snprintf(why, SELF_TEST_WORDS, "the filter held for %.2f ms more than it was to",
                 (double)late_ns / 1e6);
    else if (delay->untold)
        snprintf(why, SELF_TEST_WORDS, "%u frames are missing, and nobody told", delay->untold);
}

static void judge_stamps(const struct self_test_delay *delay, char why[SELF_TEST_WORDS]) {
    const int64_t told_off_ns = llabs(delay->told_produce_ns - delay->age_ns - delay->read_ns);
    const int64_t quick_ns = delay->wake_ns + SELF_TEST_STAMPS_NS;
    if (delay->changed)
        snprintf(why, SELF_TEST_WORDS, "%u frames have lost their capture time", delay->changed);
    else if (llabs(delay->off_ns) > SELF_TEST_STAMPS_NS)
        snprintf(why, SELF_TEST_WORDS, "by stamps it is off by p50 %.1f us, %.0f us are allowed",
                 (double)delay->off_ns / 1e3, (double)SELF_TEST_STAMPS_NS / 1e3);
    else if (delay->off_p99_ns > delay->period_ns)
        snprintf(why, SELF_TEST_WORDS, "by stamps it is off by p99 %.2f ms, a frame takes %.2f ms",
                 (double)delay->off_p99_ns / 1e6, (double)delay->period_ns / 1e6);
    else if (delay->transit_min_ns < 0)
        snprintf(why, SELF_TEST_WORDS, "a frame was read %.1f us before its stamp of publishing",
                 (double)-delay->transit_min_ns / 1e3);
    else if (delay->transit_min_ns > quick_ns)
        snprintf(why, SELF_TEST_WORDS,
                 "no frame was read within %.1f us of its stamp of publishing, a wake-up takes "
                 "%.1f us",
                 (double)delay->transit_min_ns / 1e3, (double)delay->wake_ns / 1e3);
    else if (delay->has_marks && told_off_ns > delay->period_ns)
        snprintf(why, SELF_TEST_WORDS,
                 "by stamps shmframe-latency is off by %.2f ms, a frame takes %.2f ms",
                 (double)told_off_ns / 1e6, (double)delay->period_ns / 1e6);
}

static void judge_marks(const struct self_test_delay *delay, char why[SELF_TEST_WORDS]) {
    const int64_t off_ns = llabs(self_test_marks_ns(delay) - delay->read_ns);
    if (!delay->has_marks)
        snprintf(why, SELF_TEST_WORDS, "no marks were read");
    else if (off_ns > delay->period_ns)
        snprintf(why, SELF_TEST_WORDS, "by marks it is off by %.2f ms, a frame takes %.2f ms",
                 (double)off_ns / 1e6, (double)delay->period_ns / 1e6);
}

bool self_test_judge_delay(const struct self_test_delay *delay, char why[SELF_TEST_WORDS]) {
    why[0] = '\0';
    judge_filter(delay, why);
    if (!why[0])
        judge_stamps(delay, why);
    if (!why[0])
        judge_marks(delay, why);
    return why[0] == '\0';
}

static bool is_same(const struct self_test_counts *a, const struct self_test_counts *b) {
    return a->lost == b->lost && a->repeated == b->repeated && a->swapped == b->swapped;
}

static bool is_any_zero(const struct self_test_counts *counts) {
    return !counts->lost || !counts->repeated || !counts->swapped;
}

bool self_test_judge_faults(const struct self_test_faults *faults, char why[SELF_TEST_WORDS]) {
    const struct {
        const char *by;
        const struct self_test_counts *counts;
    } readings[] = {{"stamps", &faults->by_stamps}, {"marks", &faults->by_marks}};
    const struct self_test_counts *made = &faults->made;
    why[0] = '\0';
    if (is_any_zero(made))
        snprintf(why, SELF_TEST_WORDS, "the filter did not do what it was asked for");
    else if (!faults->has_marks)
        snprintf(why, SELF_TEST_WORDS, "no marks were read");
    for (int i = 0; i < 2 && !why[0]; i++) {
        const struct self_test_counts *read = readings[i].counts;
        if (!is_same(made, read))
            snprintf(why, SELF_TEST_WORDS,
                     "by %s %" PRIu64 " are lost, %" PRIu64 " repeated, %" PRIu64 " swapped",
                     readings[i].by, read->lost, read->repeated, read->swapped);
    }
    return why[0] == '\0';
}

void self_test_tally_add(struct self_test_tally *tally, uint64_t number) {
    struct self_test_counts *counts = &tally->counts;
    if (number == tally->last) {
        counts->repeated++;
    } else if (number < tally->newest) {
        counts->swapped++;
        counts->lost -= counts->lost > 0; /* it was passed over before */
    } else {
        counts->lost += number - tally->newest - 1;
        tally->newest = number;
    }
    tally->last = number;
}
