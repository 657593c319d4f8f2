#include "pipe_clock.h"

#include <libavutil/mathematics.h>

static const AVRational nanosecond = {1, 1000000000};

/* Stamps are another program's: sums of these fit. */
static int64_t bound(int64_t time_ns) {
    const int64_t most_ns = INT64_MAX / 8;
    return time_ns > most_ns ? most_ns : time_ns < -most_ns ? -most_ns : time_ns;
}

static int64_t to_ns(int64_t time, struct shmframe_rational unit) {
    return bound(av_rescale_q(time, (AVRational){unit.num, unit.den}, nanosecond));
}

void pipe_clock_begin(struct pipe_clock *clock, int64_t capture_ns) {
    if (!clock->is_begun && !clock->is_by_pts)
        clock->stamps.zero_ns = bound(capture_ns);
    clock->stamps.is_jumping = clock->is_by_pts;
    clock->is_begun = true;
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

int64_t pipe_clock_time_ns(struct pipe_clock *clock, uint32_t stream,
                           const struct shmframe_lease *lease) {
    const bool has_pts = clock->is_by_pts && lease->frame.pts != SHMFRAME_NO_PTS;
    const bool is_break =
        lease->flags & SHMFRAME_LEASE_RESTARTED || lease->frame.flags & SHMFRAME_DISCONTINUITY;
    const int64_t time_ns = has_pts ? to_ns(lease->frame.pts, lease->format->time_base)
                                    : bound(lease->frame.capture_ns);
    pipe_clock_begin(clock, time_ns);
    return stamps_find(&clock->stamps, &clock->place[stream], time_ns,
                       pipe_clock_duration_ns(lease), is_break);
}
