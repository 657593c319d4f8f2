#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run *run_create(const char *stream, int64_t start_ns) {
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return NULL;
    run->frame = malloc(RUN_FRAMES_MAX * sizeof(*run->frame)); /* memory as it is written */
    run->loss = malloc(RUN_LOSSES_MAX * sizeof(*run->loss));
    run->skew = malloc(RUN_SKEWS_MAX * sizeof(*run->skew));
    if (!run->frame || !run->loss || !run->skew || run_blocks_init(&run->blocks) < 0) {
        run_destroy(run);
        return NULL;
    }
    strncpy(run->stream, stream, sizeof(run->stream) - 1);
    run->start_ns = run->end_ns = start_ns;
    run->stride = run->notable_stride = 1;
    return run;
}

void run_destroy(struct run *run) {
    if (!run)
        return;
    run_blocks_finish(&run->blocks);
    free(run->frame);
    free(run->loss);
    free(run->skew);
    free(run);
}

/* ---- what a frame tells ---- */

/* Something happened to it, or just before it, that a report shows. */
static bool has_news(const struct run_frame *frame) {
    return frame->lost || frame->mark.lost ||
           frame->mark.flags & (RUN_MARK_TORN | RUN_MARK_OUT_OF_ORDER | RUN_MARK_MISSING);
}

static int64_t subtract(int64_t later_ns, int64_t earlier_ns) {
    if (later_ns == 0 || earlier_ns == 0)
        return -1;
    return later_ns > earlier_ns ? later_ns - earlier_ns : 0;
}

/* The age of the picture at that time. */
static int64_t subtract_mark(const struct run_frame *frame, int64_t time_ns) {
    const uint32_t wanted = RUN_MARK_READ | RUN_MARK_FIRST;
    if ((frame->mark.flags & (wanted | RUN_MARK_OTHER_CLOCK)) != wanted)
        return -1;
    return subtract(time_ns, frame->mark.capture_ns);
}

int64_t run_frame_hop_ns(const struct run_frame *frame, enum run_hop hop) {
    switch (hop) {
    case RUN_HOP_PRODUCE:
        return subtract(frame->publish_ns, frame->capture_ns);
    case RUN_HOP_WAKE:
        return subtract(frame->wake_ns, frame->publish_ns);
    case RUN_HOP_TRANSIT:
        return subtract(frame->acquire_ns, frame->publish_ns);
    case RUN_HOP_HOLD:
        return subtract(frame->release_ns, frame->acquire_ns);
    case RUN_HOP_AGE:
        return subtract(frame->acquire_ns, frame->capture_ns);
    case RUN_HOP_DISPLAY:
        return subtract(frame->present_ns, frame->capture_ns);
    case RUN_HOP_MARK_AGE:
        return subtract_mark(frame, frame->acquire_ns);
    case RUN_HOP_SEEN:
        return subtract_mark(frame, frame->capture_ns);
    case RUN_HOP_SHOWN_FOR:
        return frame->mark.shown_for_ns > 0 ? frame->mark.shown_for_ns : -1;
    case RUN_HOP_SKEW:
    case RUN_HOPS:
        break;
    }
    return -1;
}

/* ---- frames, thinned ---- */

static bool is_kept(struct run *run, bool is_notable) {
    return is_notable ? run->notable_seen++ % run->notable_stride == 0
                      : run->plain_seen++ % run->stride == 0;
}

/* Keeps every second one of a kind. The first one of all stays, so strides go on from it. */
static void halve(struct run *run, bool is_notable) {
    size_t kept = 0;
    uint64_t of_kind = 0;
    for (size_t i = 0; i < run->frames; i++)
        if (has_news(&run->frame[i]) != is_notable || of_kind++ % 2 == 0)
            run->frame[kept++] = run->frame[i];
    run->frames = kept;
    if (is_notable)
        run->notable_stride *= 2;
    else
        run->stride *= 2;
}

static void keep_frame(struct run *run, const struct run_frame *frame) {
    if (!is_kept(run, has_news(frame)))
        return;
    if (run->frames == RUN_FRAMES_MAX) {
        halve(run, false);
        /* Frames to which something happened are what a report is read for; where they are the
         * most, they are thinned as well. */
        if (run->frames > RUN_FRAMES_MAX / 4 * 3)
            halve(run, true);
    }
    run->frame[run->frames++] = *frame;
}

/* ---- what is counted ---- */

static void count_marks(struct run *run, const struct run_mark *mark) {
    struct run_blocks *blocks = &run->blocks;
    if (mark->flags == 0)
        return;
    run->has_marks = true;
    run->marks.read += (mark->flags & RUN_MARK_READ) != 0;
    if (mark->flags & RUN_MARK_MISSING) {
        run->marks.missing++;
        run_blocks_add_event(blocks, RUN_EVENT_MARK_MISSING, 1);
    }
    run->marks.out_of_order += (mark->flags & RUN_MARK_OUT_OF_ORDER) != 0;
    run->marks.other_clock += (mark->flags & RUN_MARK_OTHER_CLOCK) != 0;
    run->marks.lost += mark->lost;
    /* Seen for the first time behind a later one, which counted it as lost. */
    if ((mark->flags & RUN_MARK_FIRST) && (mark->flags & RUN_MARK_OUT_OF_ORDER) && run->marks.lost)
        run->marks.lost--;
    run_blocks_add_event(blocks, RUN_EVENT_MARK_LOST, mark->lost);
    if (mark->flags & RUN_MARK_TORN) {
        run->marks.torn++;
        run_blocks_add_event(blocks, RUN_EVENT_TORN, 1);
    }
    if (mark->flags & RUN_MARK_REPEATED) {
        run->marks.repeated++;
        run_blocks_add_event(blocks, RUN_EVENT_REPEATED, 1);
    }
}

static void count_hop(struct run *run, enum run_hop hop, int64_t value_ns) {
    if (value_ns < 0)
        return;
    shmframe_histogram_add(&run->hop[hop], value_ns);
    run_blocks_add_value(&run->blocks, hop, value_ns);
}

/* Nothing came from the newest frame until then. */
static void note_outage(struct run *run, int64_t until_ns) {
    if (run->frames_seen == 0 || until_ns - run->newest_ns <= run->outage_ns)
        return;
    run->outage_ns = until_ns - run->newest_ns;
    run->outage_at_ns = run->newest_ns;
}

int run_add_frame(struct run *run, const struct run_frame *frame) {
    const int result = run_blocks_open(&run->blocks, frame->acquire_ns - run->start_ns);
    note_outage(run, frame->acquire_ns);
    run->newest_ns = frame->acquire_ns;
    run->frames_seen++;
    run_blocks_add_frame(&run->blocks);
    run_blocks_add_event(&run->blocks, RUN_EVENT_SKIPPED, frame->skipped);
    run_blocks_add_event(&run->blocks, RUN_EVENT_LOST, frame->lost);
    for (enum run_hop hop = 0; hop < RUN_HOPS; hop++)
        count_hop(run, hop, run_frame_hop_ns(frame, hop));
    count_marks(run, &frame->mark);
    keep_frame(run, frame);
    return result;
}

void run_add_loss(struct run *run, const struct run_loss *loss) {
    run->losses_seen++;
    if (run->losses < RUN_LOSSES_MAX)
        run->loss[run->losses++] = *loss;
}

int run_add_skew(struct run *run, const struct run_skew *skew) {
    const int result = run_blocks_open(&run->blocks, skew->time_ns - run->start_ns);
    count_hop(run, RUN_HOP_SKEW, skew->skew_ns < 0 ? -skew->skew_ns : skew->skew_ns);
    run->skews_seen++;
    if (run->skews < RUN_SKEWS_MAX)
        run->skew[run->skews++] = *skew;
    return result;
}

int run_add_dropped(struct run *run, int64_t time_ns, uint64_t count) {
    const int result = run_blocks_open(&run->blocks, time_ns - run->start_ns);
    run_blocks_add_event(&run->blocks, RUN_EVENT_DROPPED, count);
    return result;
}

int run_end(struct run *run, const struct hops *hops, int64_t end_ns) {
    memcpy(run->hop, hops->hop, sizeof(hops->hop));
    run->counters = hops->counters;
    note_outage(run, end_ns);
    run->end_ns = end_ns;
    return run_blocks_close(&run->blocks);
}
