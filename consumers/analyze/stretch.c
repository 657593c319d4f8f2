#include "stretch.h"

#include <libavutil/mathematics.h>

static const AVRational ns_unit = {1, 1000000000};
static const int64_t time_max_ns = INT64_C(1) << 61;
static const int64_t length_max_ns = INT64_C(86400000000000);
static const int64_t jump_ns = INT64_C(3600000000000);

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

static bool is_unit(struct shmframe_rational rational) {
    return rational.num > 0 && rational.den > 0;
}

/* What does not fit 64 bits is as large as can be. */
static int64_t to_ns(int64_t value, struct shmframe_rational unit) {
    if (!is_unit(unit))
        return 0;
    const int64_t ns = av_rescale_q(value, (AVRational){unit.num, unit.den}, ns_unit);
    return ns == INT64_MIN && value > 0 ? INT64_MAX : ns;
}

static int64_t find_length(const struct shmframe_format *format,
                           const struct shmframe_frame *frame) {
    if (format->kind == SHMFRAME_AUDIO)
        return av_rescale(frame->samples, ns_unit.den, format->audio.sample_rate);
    if (frame->duration > 0)
        return to_ns(frame->duration, format->time_base);
    const struct shmframe_rational rate = format->video.frame_rate;
    return is_unit(rate) ? av_rescale(ns_unit.den, rate.den, rate.num) : 0;
}

struct stretch stretch_of(const struct shmframe_format *format,
                          const struct shmframe_frame *frame) {
    const int64_t start_ns = clamp(
        frame->pts == SHMFRAME_NO_PTS ? frame->capture_ns : to_ns(frame->pts, format->time_base),
        -time_max_ns, time_max_ns);
    return (struct stretch){start_ns,
                            start_ns + clamp(find_length(format, frame), 0, length_max_ns)};
}

bool stretch_is_jump(int64_t end_ns, int64_t start_ns) {
    return start_ns - end_ns > jump_ns;
}

int64_t stretch_add_ns(int64_t sum_ns, int64_t more_ns) {
    int64_t result;
    return __builtin_add_overflow(sum_ns, more_ns, &result) ? INT64_MAX : result;
}
