#include "fault.h"
#include "shape.h"
#include "track.h"

#include <errno.h>
#include <libavutil/avstring.h>
#include <libavutil/mathematics.h>
#include <libavutil/pixdesc.h>
#include <string.h>

static const AVRational ns_unit = {1, 1000000000};
enum {
    TICKS_A_SECOND = 90000,  /* at least, about; MPEG's own */
    TICKS_MAX = 1000000,     /* that muxers hold for the length of a picture */
    MPEG4_TICKS_MAX = 65535, /* ISO/IEC 14496-2, vop_time_increment_resolution */
    KEY_SECONDS = 2,         /* between two key frames */
    USUAL_RATE = 30,         /* where none is known */
    LOSSY_DEPTH_MAX = 8,     /* bits of what every player takes */
};

/* --- Time base -------------------------------------------------------------------------------- */

/* Codecs and containers that count pictures instead of giving them times. */
static bool is_steady(const AVCodec *codec, const AVOutputFormat *container) {
    return codec_frame_rates(codec) || codec->id == AV_CODEC_ID_THEORA ||
           codec->id == AV_CODEC_ID_MPEG1VIDEO || codec->id == AV_CODEC_ID_MPEG2VIDEO ||
           av_match_name(container->name, "avi,yuv4mpegpipe,mxf,gxf,dv,swf");
}

static AVRational choose_time_base(const struct track *track, const AVCodec *codec) {
    const struct shmframe_rational rate = track->format.video.frame_rate;
    const struct shmframe_rational unit = track->format.time_base;
    const AVRational known =
        rate.num > 0 ? (AVRational){rate.num, rate.den} : (AVRational){USUAL_RATE, 1};
    if (is_steady(codec, recording_format(track->recording))) {
        const AVRational *rates = codec_frame_rates(codec);
        return av_inv_q(rates ? rates[av_find_nearest_q_idx(known, rates)] : known);
    }
    const bool is_mpeg4 = codec->id == AV_CODEC_ID_MPEG4;
    if (track->is_exact_time && unit.den <= (is_mpeg4 ? MPEG4_TICKS_MAX : TICKS_MAX))
        return (AVRational){unit.num, unit.den};
    /* Each picture at a whole number of ticks, if they come in even steps. */
    const int ticks = is_mpeg4 ? MPEG4_TICKS_MAX : TICKS_A_SECOND;
    const int whole = known.num <= ticks ? ticks / known.num * known.num : ticks;
    return (AVRational){1, whole};
}

static int count_key_frames(const struct track *track) {
    const struct shmframe_rational rate = track->format.video.frame_rate;
    if (rate.num <= 0)
        return KEY_SECONDS * USUAL_RATE;
    const int frames = (int)av_rescale(KEY_SECONDS, rate.num, rate.den);
    return frames > 0 ? frames : 1;
}

/* --- Pixel format ----------------------------------------------------------------------------- */

static bool is_in(const enum AVPixelFormat *formats, enum AVPixelFormat format) {
    for (; *formats != AV_PIX_FMT_NONE; formats++)
        if (*formats == format)
            return true;
    return false;
}

static int find_depth(const AVPixFmtDescriptor *descriptor) {
    int depth = 0;
    for (int i = 0; i < descriptor->nb_components; i++)
        if (descriptor->comp[i].depth > depth)
            depth = descriptor->comp[i].depth;
    return depth;
}

/* As it comes, if the codec takes it; otherwise the nearest that it takes - but a picture that is
 * to lose something anyway becomes the one that every player takes. */
static enum AVPixelFormat choose_pixel_format(const struct codec_choice *choice,
                                              enum AVPixelFormat from) {
    const enum AVPixelFormat *formats = codec_pixel_formats(choice->codec);
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(from);
    if (choice->pixel_format != AV_PIX_FMT_NONE)
        return choice->pixel_format;
    if (!formats || is_in(formats, from))
        return from;
    if (!codec_is_exact(choice) && find_depth(descriptor) <= LOSSY_DEPTH_MAX &&
        is_in(formats, AV_PIX_FMT_YUV420P))
        return AV_PIX_FMT_YUV420P;
    return avcodec_find_best_pix_fmt_of_list(formats, from,
                                             descriptor->flags & AV_PIX_FMT_FLAG_ALPHA, NULL);
}

/* Sizes that these codecs cannot have; the last column or row is left out then. */
static int round_side(int side, int shift, enum AVCodecID codec) {
    const bool is_even = codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC;
    return is_even && shift > 0 && side > 1 << shift ? side >> shift << shift : side;
}

static void tell_why(struct track *track, const AVFrame *from, const AVFrame *to) {
    track->why[0] = 0;
    if (from->format != to->format)
        snprintf(track->why, sizeof(track->why), "%s to %s, %s", av_get_pix_fmt_name(from->format),
                 av_get_pix_fmt_name(to->format),
                 track->choice->pixel_format != AV_PIX_FMT_NONE ? "as asked for"
                                                                : "which its codec takes");
    else if (from->width != to->width || from->height != to->height)
        snprintf(track->why, sizeof(track->why), "%dx%d to %dx%d, the first size", from->width,
                 from->height, to->width, to->height);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static int create_scaler(struct track *track, const AVFrame *to) {
    const struct scaler_params params = {
        .pixel_format = to->format,
        .width = to->width,
        .height = to->height,
        .color_space = to->colorspace,
        .color_range = to->color_range,
    };
    const int result = scaler_create(&params, &track->scaler);
    return result == -ENOTSUP ? fault_set(-EINVAL, "pictures cannot be converted to %s",
                                          av_get_pix_fmt_name(to->format))
           : result < 0       ? fault_set(result, "no memory to convert pictures")
                              : 0;
}

/* What comes out of a conversion of `from` into `format`: its colours depend on both. */
static AVFrame *shape_converted(const AVFrame *from, enum AVPixelFormat format) {
    AVFrame *to = av_frame_alloc();
    if (!to || av_frame_copy_props(to, from) < 0) {
        av_frame_free(&to);
        return NULL;
    }
    to->format = format;
    to->width = from->width;
    to->height = from->height;
    if (format == (enum AVPixelFormat)from->format)
        return to;
    const char *name = av_get_pix_fmt_name(format);
    enum AVColorSpace space = from->colorspace;
    enum AVColorRange range = from->color_range;
    colors_complete(from->format, from->height, &space, &range);
    const bool was_rgb = space == AVCOL_SPC_RGB;
    to->colorspace = was_rgb ? AVCOL_SPC_UNSPECIFIED : space;
    to->color_range = strncmp(name, "yuvj", 4) == 0 ? AVCOL_RANGE_JPEG
                      : was_rgb                     ? AVCOL_RANGE_UNSPECIFIED
                                                    : range;
    colors_complete(format, to->height, &to->colorspace, &to->color_range);
    return to;
}

static int open_encoder(struct track *track, const AVFrame *from) {
    const AVCodec *codec = track->choice->codec;
    const enum AVPixelFormat format = choose_pixel_format(track->choice, from->format);
    if (format == AV_PIX_FMT_NONE)
        return fault_set(-EINVAL, "%s takes nothing like %s", codec->name,
                         av_get_pix_fmt_name(from->format));
    AVFrame *shape = shape_converted(from, format);
    if (!shape)
        return fault_set(-ENOMEM, "no memory for pictures");
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    shape->width = round_side(shape->width, descriptor->log2_chroma_w, codec->id);
    shape->height = round_side(shape->height, descriptor->log2_chroma_h, codec->id);
    const struct shmframe_rational rate = track->format.video.frame_rate;
    const struct encoder_params params = {
        .choice = track->choice,
        .codec = codec,
        .format = recording_format(track->recording),
        .frame = shape,
        .time_base = choose_time_base(track, codec),
        .frame_rate = rate.num > 0 ? (AVRational){rate.num, rate.den} : (AVRational){0, 1},
        .field_order = shape_field_order(&track->format),
        .key_frames = count_key_frames(track),
    };
    const int result = encoder_create(&params, &track->encoder);
    if (result < 0) {
        av_frame_free(&shape);
        return result;
    }
    track->shape = shape;
    track->time_base = encoder_context(track->encoder)->time_base;
    const struct picture_stamps *stamps = &track->picture_stamps;
    track->picture_stamps = (struct picture_stamps){
        .time_base = track->time_base,
        .last = av_rescale_q(stamps->last, stamps->has_begun ? stamps->time_base : ns_unit,
                             track->time_base),
        .has_begun = stamps->has_begun,
        .moved = stamps->moved,
    };
    return 0;
}

/* A column or row less is no reason to convert: the frame is cropped. */
static bool is_near(const AVFrame *from, const AVFrame *to) {
    return from->format == to->format && from->width - to->width >= 0 &&
           from->width - to->width <= 1 && from->height - to->height >= 0 &&
           from->height - to->height <= 1;
}

int track_picture_open(struct track *track) {
    AVFrame *from = shape_create(&track->format);
    if (!from)
        return fault_set(-EINVAL, "this FFmpeg does not know the format of %s: use a newer one",
                         track->stream);
    const struct shmframe_rational rate = track->format.video.frame_rate;
    track->tick_ns = rate.num > 0 ? av_rescale(1000000000, rate.den, rate.num) : 0;
    int result = track->encoder ? 0 : open_encoder(track, from);
    scaler_destroy(track->scaler);
    track->scaler = NULL;
    if (result == 0 && !is_near(from, track->shape)) {
        tell_why(track, from, track->shape);
        track->bars = bars_find(from, track->shape);
        result = create_scaler(track, track->shape);
    }
    av_frame_free(&from);
    return result;
}

/* --- Encoding --------------------------------------------------------------------------------- */

static int convert(struct track *track, AVFrame **frame) {
    AVFrame *converted;
    if (!track->scaler) {
        (*frame)->width = track->shape->width;
        (*frame)->height = track->shape->height;
        return 0;
    }
    const int result =
        bars_are_needed(&track->bars, track->shape)
            ? bars_convert(&track->bars, track->shape, track->scaler, *frame, &converted)
            : scaler_run(track->scaler, *frame, &converted);
    if (result < 0)
        return fault_set(result, "pictures of %s cannot be converted from %s", track->stream,
                         av_get_pix_fmt_name((*frame)->format));
    av_frame_free(frame);
    *frame = converted;
    track->counters.converted++;
    return 0;
}

int track_picture_put(struct track *track, struct track_frame *frame) {
    if (frame->time_ns < 0) {
        track->counters.early++;
        return 0;
    }
    if (frame->time_ns >= track->limit_ns) {
        track->is_done = true;
        track->counters.skipped++;
        return 0;
    }
    int result = convert(track, &frame->frame);
    if (result < 0)
        return result;
    frame->frame->pts = picture_stamps_next(&track->picture_stamps, frame->time_ns);
    frame->frame->time_base = track->time_base;
    const bool is_key = recording_wants_key(track->recording, frame->time_ns);
    frame->frame->pict_type = is_key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    result = encoder_send(track->encoder, frame->frame, track_take_packet, track);
    track->counters.encoded++;
    return result;
}
