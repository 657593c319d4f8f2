#include "timeline.h"

#include <libavutil/avutil.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

/* Times never go back by more than this, nor forth: a gap that long is none of the contents. */
#define BACK_NS  (SECOND_NS / 2)
#define FORTH_NS (10 * SECOND_NS)
/* How far apart two tracks may be when they jump together. */
#define TOGETHER_NS (2 * SECOND_NS)

static const AVRational ns_unit = {1, 1000000000};

void timeline_reset(struct timeline *timeline, bool is_mending) {
    memset(timeline, 0, sizeof(*timeline));
    timeline->is_mending = is_mending;
}

void timeline_drop(struct timeline *timeline, int track) {
    struct timeline_track *dropped = &timeline->track[track];
    memmove(dropped, dropped + 1, (size_t)(TIMELINE_TRACKS - 1 - track) * sizeof(*dropped));
    timeline->track[TIMELINE_TRACKS - 1] = (struct timeline_track){0};
}

/* The track's offset for a packet at `told_ns`, which is not where the next one belongs. */
static int64_t find_offset(const struct timeline *timeline, int64_t told_ns, int64_t next_ns) {
    /* Another track has jumped already: by the same, if that leads about there. */
    if (llabs(told_ns + timeline->offset_ns - next_ns) < TOGETHER_NS)
        return timeline->offset_ns;
    return next_ns - told_ns;
}

static bool mend(struct timeline *timeline, int number, AVPacket *packet, AVRational unit) {
    const int64_t told = packet->dts != AV_NOPTS_VALUE ? packet->dts : packet->pts;
    if (told == AV_NOPTS_VALUE || !timeline->is_mending)
        return false;
    const int64_t told_ns = av_rescale_q(told, unit, ns_unit);
    struct timeline_track *track = &timeline->track[number];
    const int64_t gap_ns = told_ns + track->offset_ns - track->next_ns;
    const bool is_jump = track->is_known && (gap_ns < -BACK_NS || gap_ns > FORTH_NS);
    if (!track->is_known)
        track->offset_ns = timeline->offset_ns;
    if (is_jump)
        track->offset_ns = timeline->offset_ns = find_offset(timeline, told_ns, track->next_ns);
    const int64_t offset = av_rescale_q(track->offset_ns, ns_unit, unit);
    if (packet->dts != AV_NOPTS_VALUE)
        packet->dts += offset;
    if (packet->pts != AV_NOPTS_VALUE)
        packet->pts += offset;
    track->next_ns = told_ns + track->offset_ns + av_rescale_q(packet->duration, unit, ns_unit);
    track->is_known = true;
    return is_jump;
}

static int64_t check_time(int64_t time, AVRational unit) {
    const int64_t ns = time == AV_NOPTS_VALUE ? 0 : av_rescale_q(time, unit, ns_unit);
    return ns > TIMELINE_MAX_NS || ns < -TIMELINE_MAX_NS ? AV_NOPTS_VALUE : time;
}

void timeline_add(struct timeline *timeline, int track, AVPacket *packet, AVRational unit,
                  int64_t arrival_ns) {
    packet->pts = check_time(packet->pts, unit);
    packet->dts = check_time(packet->dts, unit);
    const bool is_jump = mend(timeline, track, packet, unit);
    const uint64_t number = timeline->track[track].entries++;
    timeline->track[track].entry[number % TIMELINE_PACKETS] = (struct timeline_entry){
        .pts = packet->pts,
        .dts = packet->dts,
        .arrival_ns = arrival_ns,
        .is_jump = is_jump,
    };
}

void timeline_mark_jump(struct timeline *timeline, int track) {
    const uint64_t entries = timeline->track[track].entries;
    timeline->track[track].entry[(entries - 1) % TIMELINE_PACKETS].is_jump = entries > 0;
}

/* Times of packets and frames differ where a decoder counts by itself: the nearest before. */
const struct timeline_entry *timeline_find(struct timeline *timeline, int track, int64_t pts,
                                           bool *out_is_jump) {
    const uint64_t entries = timeline->track[track].entries;
    const uint64_t kept = entries < TIMELINE_PACKETS ? entries : TIMELINE_PACKETS;
    struct timeline_entry *found = NULL;
    int64_t found_time = 0;
    for (uint64_t i = entries - kept; i < entries; i++) {
        struct timeline_entry *entry = &timeline->track[track].entry[i % TIMELINE_PACKETS];
        const int64_t time = entry->pts != AV_NOPTS_VALUE ? entry->pts : entry->dts;
        if (time != AV_NOPTS_VALUE && time <= pts && (!found || time >= found_time)) {
            found = entry;
            found_time = time;
        }
    }
    *out_is_jump = found && found->is_jump;
    if (found)
        found->is_jump = false;
    return found;
}
