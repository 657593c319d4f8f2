#include "pipe_clock.h"

#include <libavutil/common.h>
#include <libavutil/mathematics.h>

static const AVRational nanosecond = {1, 1000000000};

/* Stamps are another program's: sums of these fit. */
static int64_t bound(int64_t time_ns) {
    return av_clip64(time_ns, -STAMPS_MAX_NS, STAMPS_MAX_NS);
}

static int64_t to_ns(int64_t time, struct shmframe_rational unit) {
    const int64_t time_ns = av_rescale_q(time, (AVRational){unit.num, unit.den}, nanosecond);
    return bound(time_ns == INT64_MIN && time > 0 ? INT64_MAX : time_ns); /* MIN: too large */
}

void pipe_clock_begin(struct pipe_clock *clock, const struct shmframe_lease *first) {
    if (clock->is_begun)
        return;
    clock->is_begun = true;
    clock->is_by_pts = clock->is_by_pts && first->frame.pts != SHMFRAME_NO_PTS;
    clock->stamps.is_jumping = clock->is_by_pts;
    if (!clock->is_by_pts)
        clock->stamps.zero_ns = bound(first->frame.capture_ns);
}

int64_t pipe_clock_duration_ns(const struct shmframe_lease *lease) {
    const struct shmframe_format *format = lease->format;
    if (format->kind == SHMFRAME_AUDIO)
        return to_ns(lease->frame.samples,
                     (struct shmframe_rational){1, (int32_t)format->audio.sample_rate});
    if (lease->frame.duration > 0)
        return to_ns(lease->frame.duration, format->time_base);
    const struct shmframe_rational rate = format->video.frame_rate;
    return rate.num > 0 && rate.den > 0 ? to_ns(1, (struct shmframe_rational){rate.den, rate.num})
                                        : 0;
}

/* On the clock of the stamps. One frame without a pts among others follows the one before it. */
static int64_t find_stamp_ns(const struct pipe_clock *clock, uint32_t stream,
                             const struct shmframe_lease *lease) {
    const struct stamps_place *place = &clock->place[stream];
    if (!clock->is_by_pts)
        return bound(lease->frame.capture_ns);
    if (lease->frame.pts != SHMFRAME_NO_PTS)
        return to_ns(lease->frame.pts, lease->format->time_base);
    return place->has_begun ? place->zero_ns + place->end_ns
                            : clock->stamps.zero_ns + clock->stamps.end_ns;
}

int64_t pipe_clock_time_ns(struct pipe_clock *clock, uint32_t stream,
                           const struct shmframe_lease *lease) {
    const bool is_break =
        lease->flags & SHMFRAME_LEASE_RESTARTED || lease->frame.flags & SHMFRAME_DISCONTINUITY;
    pipe_clock_begin(clock, lease);
    return stamps_find(&clock->stamps, &clock->place[stream], find_stamp_ns(clock, stream, lease),
                       pipe_clock_duration_ns(lease), is_break);
}
