/* AVFrame, from inside: what differs between versions of FFmpeg, and what the bridge and the
 * decoder's slots share. */
#ifndef SHMFRAME_SRC_AVFRAME_H
#define SHMFRAME_SRC_AVFRAME_H

#include <libavutil/frame.h>
#include <libavutil/mathematics.h>
#include <shmframe/avframe.h>

/* FFmpeg 6.1 gathered single ints into AVFrame.flags, 6.0 renamed the duration. */
#define AVFRAME_HAS_FLAGS    (LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100))
#define AVFRAME_HAS_DURATION (LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100))

/* ---- what differs between versions of FFmpeg ---- */

static inline bool avframe_is_interlaced(const AVFrame *frame) {
#if AVFRAME_HAS_FLAGS
    return frame->flags & AV_FRAME_FLAG_INTERLACED;
#else
    return frame->interlaced_frame;
#endif
}

static inline bool avframe_is_top_field_first(const AVFrame *frame) {
#if AVFRAME_HAS_FLAGS
    return frame->flags & AV_FRAME_FLAG_TOP_FIELD_FIRST;
#else
    return frame->top_field_first;
#endif
}

static inline void avframe_set_flags(AVFrame *frame, bool interlaced, bool top_field_first) {
#if AVFRAME_HAS_FLAGS
    frame->flags |= AV_FRAME_FLAG_KEY;
    frame->flags |= interlaced ? AV_FRAME_FLAG_INTERLACED : 0;
    frame->flags |= top_field_first ? AV_FRAME_FLAG_TOP_FIELD_FIRST : 0;
#else
    frame->key_frame = 1;
    frame->interlaced_frame = interlaced;
    frame->top_field_first = top_field_first;
#endif
}

static inline int64_t avframe_get_duration(const AVFrame *frame) {
#if AVFRAME_HAS_DURATION
    return frame->duration;
#else
    return frame->pkt_duration;
#endif
}

static inline void avframe_set_duration(AVFrame *frame, int64_t duration) {
#if AVFRAME_HAS_DURATION
    frame->duration = duration;
#else
    frame->pkt_duration = duration;
#endif
}

/* ---- small conversions ---- */

/* A value that is not known, or makes no sense, becomes `unknown`. */
static inline struct shmframe_rational avframe_from_rational(AVRational value,
                                                             struct shmframe_rational unknown) {
    return value.num > 0 && value.den > 0 ? (struct shmframe_rational){value.num, value.den}
                                          : unknown;
}

static inline AVRational avframe_to_rational(struct shmframe_rational value) {
    return (AVRational){value.num, value.den};
}

/* In the stream's unit, if the frame says what its own is. */
static inline int64_t avframe_to_stream_time(const AVFrame *frame,
                                             const struct shmframe_format *format, int64_t value) {
    const AVRational unit = avframe_to_rational(format->time_base);
    if (value == AV_NOPTS_VALUE || frame->time_base.num <= 0 || frame->time_base.den <= 0)
        return value;
    return av_rescale_q(value, frame->time_base, unit);
}

static inline void avframe_take_stamps(struct shmframe_loan *loan, const AVFrame *frame) {
    const int64_t pts = frame->pts != AV_NOPTS_VALUE ? frame->pts : frame->best_effort_timestamp;
    loan->frame.pts = avframe_to_stream_time(frame, loan->format, pts);
    loan->frame.duration = avframe_to_stream_time(frame, loan->format, avframe_get_duration(frame));
    if (avframe_is_interlaced(frame))
        loan->frame.flags |= SHMFRAME_INTERLACED;
    if (avframe_is_interlaced(frame) && avframe_is_top_field_first(frame))
        loan->frame.flags |= SHMFRAME_TOP_FIELD_FIRST;
}

/* ---- avframe_format.c ---- */

/* The names of what is specified; the rest stays empty. */
void avframe_format_set_colours(struct shmframe_video_format *video, enum AVColorRange range,
                                enum AVColorPrimaries primaries,
                                enum AVColorTransferCharacteristic transfer,
                                enum AVColorSpace space, enum AVChromaLocation location);

/* A complete format for blocks of up to `samples_max`. Errors: as shmframe_format_audio(). */
int avframe_format_of_sound(enum AVSampleFormat sample_format, const AVChannelLayout *layout,
                            int sample_rate, int samples_max, struct shmframe_format *out_format);

#endif
