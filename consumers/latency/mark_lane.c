#include "mark_lane.h"

#include "program.h"
#include "reporting.h"

#include <stdlib.h>
#include <string.h>

static void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (!memory)
        program_fail("no memory for the figures of a stream");
    return memory;
}

void mark_lane_init(struct mark_lane *lane, struct measurement *m, uint32_t number, uint32_t kind,
                    const char *source) {
    struct measured *measured = &m->stream[number];
    const uint16_t own_clock = mark_clock_id();
    *lane = (struct mark_lane){.measured = measured, .number = number};
    if (kind == SHMFRAME_AUDIO) {
        measured->sound = allocate(sizeof(*measured->sound));
        skew_tally_init(&measured->sound->tally, own_clock);
        return;
    }
    measured->picture = allocate(sizeof(*measured->picture));
    lane->is_wanting = source != NULL;
    lane->wanted = source ? mark_stream_id(source) : 0;
    mark_tally_init(&measured->picture->tally, own_clock, source ? &lane->wanted : NULL);
    if (source)
        strncpy(measured->picture->source, source, sizeof(measured->picture->source) - 1);
}

void mark_lane_finish(struct mark_lane *lane) {
    mark_finder_destroy(lane->mark_finder);
    burst_finder_destroy(lane->burst_finder);
    if (!lane->measured)
        return;
    free(lane->measured->picture);
    free(lane->measured->sound);
    lane->measured->picture = NULL;
    lane->measured->sound = NULL;
}

void mark_lane_compare(struct mark_lane *sound, struct mark_lane *picture, bool is_paired) {
    sound->is_paired = is_paired;
    sound->measured->sound->picture = picture->measured->stream;
    picture->sound[picture->sounds++] = sound;
}

/* Finders are of one format. One that cannot be searched is told once; its frames count as without
 * a mark. */
static void follow_format(struct mark_lane *lane, const struct shmframe_lease *lease) {
    if (lane->has_format && !(lease->flags & SHMFRAME_LEASE_NEW_FORMAT))
        return;
    mark_lane_end(lane);
    mark_finder_destroy(lane->mark_finder);
    burst_finder_destroy(lane->burst_finder);
    lane->mark_finder = NULL;
    lane->burst_finder = NULL;
    lane->has_format = true;
    const int result = lane->measured->picture
                           ? mark_finder_create(lease->format, &lane->mark_finder)
                           : burst_finder_create(lease->format, &lane->burst_finder);
    if (lane->mark_finder && lane->is_wanting)
        mark_finder_want(lane->mark_finder, lane->wanted);
    if (result == 0)
        return;
    char text[128];
    shmframe_format_describe(lease->format, text, sizeof(text));
    program_warn("%s: %s cannot be found in %s: %s", lane->measured->stream,
                 lane->measured->picture ? "marks" : "bursts", text, strerror(-result));
}

static void report_skew(const struct mark_lane *sound, const struct skew_sample *sample,
                        int64_t time_ns) {
    const struct run_skew skew = {
        .time_ns = time_ns, .skew_ns = sample->skew_ns, .bound_ns = sample->bound_ns};
    reporting_add_skew(sound->number, &skew);
}

/* Whether the picture's pts is the media time of its mark: it comes from the source, or from a file
 * of it, by the pts. */
static bool is_of_media(const struct mark *mark, const struct shmframe_lease *lease) {
    const struct shmframe_rational unit = lease->format->time_base;
    if (mark->clock != 0 || lease->frame.pts == SHMFRAME_NO_PTS || unit.num <= 0 || unit.den <= 0)
        return false;
    const __int128 ns = (__int128)lease->frame.pts * unit.num * 1000000000 / unit.den;
    return ns == mark->capture_ns;
}

/* A frame that is seen for the first time tells the sounds beside it how late pictures are. */
static void tell_sounds(const struct mark_lane *lane, const struct mark_look *look,
                        const struct shmframe_lease *lease) {
    const int64_t capture_ns = look->mark.capture_ns;
    const bool is_of_media_time = is_of_media(&look->mark, lease);
    for (uint32_t i = 0; i < lane->sounds; i++) {
        struct skew_sample sample;
        struct skew_sight sight = {.mark = look->mark, .before_ns = lane->look_ns};
        sight.seen_ns = look->capture_ns;
        sight.is_media = is_of_media_time && lane->sound[i]->is_paired;
        /* Stamps that came along with the picture: it was not looked at now and then. */
        if (sight.is_media || look->capture_ns == capture_ns)
            sight.before_ns = sight.seen_ns = capture_ns;
        else if (!lane->look_ns)
            continue;
        if (skew_tally_see(&lane->sound[i]->measured->sound->tally, &sight, &sample))
            report_skew(lane->sound[i], &sample, look->acquire_ns);
    }
}

static void forget_beats(const struct mark_lane *lane) {
    for (uint32_t i = 0; i < lane->sounds; i++)
        skew_tally_forget(&lane->sound[i]->measured->sound->tally);
}

/* What the report notes of it. */
static void report_mark(const struct mark_lane *lane, uint64_t sequence,
                        const struct mark_look *look, const struct mark_verdict *verdict) {
    static const struct {
        uint32_t finding, flag;
    } flags[] = {
        {MARK_FIRST, RUN_MARK_FIRST},
        {MARK_REPEATED, RUN_MARK_REPEATED},
        {MARK_OUT_OF_ORDER, RUN_MARK_OUT_OF_ORDER},
        {MARK_TORN, RUN_MARK_TORN},
    };
    struct run_mark mark = {.flags = RUN_MARK_MISSING};
    if (verdict->findings && !(verdict->findings & MARK_OTHER)) {
        mark = (struct run_mark){.flags = RUN_MARK_READ,
                                 .number = look->mark.number,
                                 .capture_ns = look->mark.capture_ns,
                                 .lost = verdict->lost,
                                 .shown_for_ns = verdict->shown_for_ns};
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
            if (verdict->findings & flags[i].finding)
                mark.flags |= flags[i].flag;
        if (look->mark.clock != lane->measured->picture->tally.own_clock)
            mark.flags |= RUN_MARK_OTHER_CLOCK;
    }
    reporting_add_mark(lane->number, sequence, &mark);
}

static void look(struct mark_lane *lane, const struct shmframe_lease *lease) {
    struct mark_sight sight = {0};
    if (lane->mark_finder && !mark_finder_look(lane->mark_finder, lease, &sight))
        sight.copies = 0;
    const struct mark_look look = {
        .capture_ns = lease->frame.capture_ns,
        .publish_ns = lease->frame.publish_ns,
        .acquire_ns = lease->acquire_ns,
        .passed = lease->lost + lease->skipped + lease->frame.device_dropped,
        .is_gapped = lease->lost > 0 || lease->skipped > 0,
        .copies = sight.copies,
        .is_torn = sight.is_torn,
        .mark = sight.mark,
        .oldest = sight.oldest,
        .corrected = sight.corrected,
    };
    const struct mark_verdict verdict = mark_tally_add(&lane->measured->picture->tally, &look);
    report_mark(lane, lease->frame.sequence, &look, &verdict);
    if (verdict.findings == 0 || verdict.findings & MARK_OTHER)
        return;
    if (verdict.findings & MARK_RESTARTED)
        forget_beats(lane);
    if (verdict.findings & MARK_FIRST && !(verdict.findings & MARK_OUT_OF_ORDER))
        tell_sounds(lane, &look, lease);
    lane->look_ns = look.capture_ns;
}

static void tell_bursts(struct mark_lane *lane, int64_t time_ns) {
    struct burst_sound sound;
    struct skew_sample sample;
    while (burst_finder_next(lane->burst_finder, &sound)) {
        const struct skew_burst burst = {.start_ns = sound.start_ns,
                                         .error_ns = sound.error_ns,
                                         .media_ns = sound.media_ns,
                                         .beat = sound.beat};
        if (skew_tally_hear(&lane->measured->sound->tally, &burst, &sample))
            report_skew(lane, &sample, time_ns);
    }
}

static void listen(struct mark_lane *lane, const struct shmframe_lease *lease) {
    if (!lane->burst_finder)
        return;
    burst_finder_add(lane->burst_finder, lease);
    tell_bursts(lane, lease->acquire_ns);
}

void mark_lane_end(struct mark_lane *lane) {
    if (!lane->burst_finder)
        return;
    burst_finder_end(lane->burst_finder);
    tell_bursts(lane, shmframe_now_ns());
}

void mark_lane_take(struct mark_lane *lane, const struct shmframe_lease *lease) {
    follow_format(lane, lease);
    if (lane->measured->picture)
        look(lane, lease);
    else
        listen(lane, lease);
}
