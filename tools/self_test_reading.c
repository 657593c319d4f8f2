#include "self_test_reading.h"

#include "program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
#define WAIT_NS   (10 * SECOND_NS)

enum { DEPTH = 64, REMEMBERED = 1024 };

/* One delay: what was seen before the filter, and what came of it. */
static struct samples {
    struct {
        uint64_t sequence;
        int64_t capture_ns;
    } before[REMEMBERED];
    uint64_t sequence[SELF_TEST_FRAMES_MAX]; /* behind the filter */
    int64_t age_ns[SELF_TEST_FRAMES_MAX], read_ns[SELF_TEST_FRAMES_MAX],
        transit_ns[SELF_TEST_FRAMES_MAX];
    uint32_t count, wanted, changed, untold;
    uint64_t last; /* origin of the frame before, behind the filter; 0: none */
} samples;

static int open_reader(struct shmframe_session *session, const char *stream,
                       enum shmframe_policy policy, struct shmframe_reader **out_reader) {
    const struct shmframe_reader_params params = {
        .stream = stream,
        .policy = policy,
        .depth = policy == SHMFRAME_LOSSLESS ? 0 : DEPTH,
        .deadline_ns = shmframe_deadline_ns(WAIT_NS),
    };
    return shmframe_reader_open(session, &params, out_reader);
}

static void note_before(const struct shmframe_lease *lease) {
    const uint64_t sequence = lease->frame.sequence;
    samples.before[sequence % REMEMBERED].sequence = sequence;
    samples.before[sequence % REMEMBERED].capture_ns = lease->frame.capture_ns;
}

/* What is missing since the frame before, and neither this reader's loss nor told with this one. */
static void note_gap(const struct shmframe_lease *lease) {
    const uint64_t origin = lease->frame.origin.sequence;
    const uint64_t gap = samples.last && origin > samples.last ? origin - samples.last - 1 : 0;
    const uint64_t told = lease->frame.device_dropped + lease->lost + lease->skipped;
    samples.untold += (uint32_t)(gap > told ? gap - told : 0);
    samples.last = origin;
}

/* A frame that came before the reader of the source had joined is not compared. */
static void note_behind(const struct shmframe_lease *lease) {
    const struct shmframe_frame *frame = &lease->frame;
    const uint64_t place = frame->origin.sequence % REMEMBERED;
    const int64_t capture_ns = samples.before[place].capture_ns;
    if (samples.count == samples.wanted)
        return;
    note_gap(lease);
    if (samples.before[place].sequence != frame->origin.sequence)
        return;
    const uint32_t i = samples.count++;
    samples.changed += frame->capture_ns != capture_ns;
    /* Not as far as the frame was acquired here: how soon a reader wakes, the filter did not do. */
    samples.sequence[i] = frame->sequence;
    samples.age_ns[i] = frame->stage_ns[0] - capture_ns;
    samples.read_ns[i] = frame->publish_ns - frame->capture_ns - samples.age_ns[i];
    samples.transit_ns[i] = lease->acquire_ns - frame->publish_ns;
}

/* All that is there. */
static int drain(struct shmframe_reader *reader, void (*note)(const struct shmframe_lease *)) {
    struct shmframe_lease lease;
    int result;
    while ((result = shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease)) == 0) {
        note(&lease);
        shmframe_reader_release(reader, &lease);
    }
    return result == -EAGAIN ? 0 : result;
}

static int compare_frames(struct shmframe_reader *before, struct shmframe_reader *behind,
                          const struct self_test_delay *delay) {
    struct shmframe_reader *const both[] = {before, behind};
    const int64_t deadline_ns =
        shmframe_deadline_ns(2 * delay->wanted * delay->period_ns + delay->delay_ns + WAIT_NS);
    int result = 0;
    while (result == 0 && samples.count < delay->wanted) {
        uint64_t ready;
        result = shmframe_readers_wait(both, 2, deadline_ns, &ready);
        if (result > 0)
            result = drain(before, note_before);
        if (result == 0)
            result = drain(behind, note_behind);
    }
    /* How many there are tells of it. */
    return result == -ETIMEDOUT ? 0 : result;
}

static void fill(struct self_test_delay *delay) {
    const uint32_t count = samples.count;
    delay->changed = samples.changed;
    delay->untold = samples.untold;
    delay->age_ns = self_test_quantile_ns(samples.age_ns, count, 0.5);
    delay->transit_min_ns = self_test_quantile_ns(samples.transit_ns, count, 0);
    delay->transit_p50_ns = self_test_quantile_ns(samples.transit_ns, count, 0.5);
    delay->transit_p99_ns = self_test_quantile_ns(samples.transit_ns, count, 0.99);
}

int self_test_read_delay(struct shmframe_session *session, const char *source, const char *delayed,
                         struct self_test_delay *out_delay) {
    struct shmframe_reader *before = NULL, *behind = NULL;
    memset(&samples, 0, sizeof(samples));
    samples.wanted = out_delay->wanted;
    int result = open_reader(session, source, SHMFRAME_IN_ORDER, &before);
    if (result == 0)
        result = open_reader(session, delayed, SHMFRAME_IN_ORDER, &behind);
    if (result == 0)
        result = compare_frames(before, behind, out_delay);
    shmframe_reader_close(behind);
    shmframe_reader_close(before);
    if (result == 0)
        fill(out_delay);
    return result;
}

/* ---- what the filter recorded ---- */

/* "stream,action,sequence_in,sequence_out,...,own_held_ns"; false: it was not published. */
static bool parse_line(const char *line, uint64_t *out_sequence, int64_t *out_held_ns) {
    const char *last = strrchr(line, ',');
    return last && sscanf(line, "%*[^,],%*[^,],%*[^,],%" SCNu64, out_sequence) == 1 &&
           sscanf(last, ",%" SCNd64, out_held_ns) == 1;
}

static void fill_compared(struct self_test_delay *delay, uint32_t count, int64_t *held_ns,
                          int64_t *off_ns) {
    delay->frames = count;
    delay->read_ns = self_test_quantile_ns(samples.read_ns, samples.count, 0.5);
    delay->held_ns = self_test_quantile_ns(held_ns, count, 0.5);
    delay->off_ns = self_test_quantile_ns(off_ns, count, 0.5);
    for (uint32_t i = 0; i < count; i++)
        off_ns[i] = llabs(off_ns[i]);
    delay->off_p99_ns = self_test_quantile_ns(off_ns, count, 0.99);
    delay->off_max_ns = self_test_quantile_ns(off_ns, count, 1);
}

bool self_test_read_log(const char *path, struct self_test_delay *delay) {
    static int64_t held_ns[SELF_TEST_FRAMES_MAX], off_ns[SELF_TEST_FRAMES_MAX];
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    char *line = NULL;
    size_t bytes = 0;
    uint32_t count = 0, next = 0;
    /* Both are in the order in which the frames were published. */
    while (getline(&line, &bytes, file) > 0) {
        uint64_t sequence;
        if (!parse_line(line, &sequence, &held_ns[count]))
            continue;
        while (next < samples.count && samples.sequence[next] < sequence)
            next++;
        if (next == samples.count)
            break;
        if (samples.sequence[next] != sequence)
            continue;
        off_ns[count] = samples.read_ns[next++] - held_ns[count];
        count++;
    }
    free(line);
    fclose(file);
    fill_compared(delay, count, held_ns, off_ns);
    return true;
}

/* ---- faults ---- */

int self_test_read_faults(struct shmframe_session *session, const char *stream,
                          struct self_test_counts *out_counts) {
    struct self_test_tally tally = {0};
    struct shmframe_reader *reader;
    struct shmframe_lease lease;
    int result = open_reader(session, stream, SHMFRAME_LOSSLESS, &reader);
    if (result < 0)
        return result;
    while ((result = shmframe_reader_acquire(reader, shmframe_deadline_ns(WAIT_NS), &lease)) == 0) {
        self_test_tally_add(&tally, lease.frame.origin.sequence);
        shmframe_reader_release(reader, &lease);
    }
    shmframe_reader_close(reader);
    *out_counts = tally.counts;
    return result == -ENODATA ? 0 : result;
}
