/* Decoder: the format of what it makes, and how many slots that takes. */
#include "decoder.h"

#include "avframe.h"
#include "error.h"

#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

/* As wide as it takes for every line to be aligned by itself, which keeps the lines of all planes
 * in the proportion that decoders are used to. */
static int widen(enum AVPixelFormat pixel_format, int width) {
    for (int wide = width; wide <= SHMFRAME_CODED_SIDE_MAX; wide += wide & -wide) {
        int lines[4];
        bool is_aligned = av_image_fill_linesizes(lines, pixel_format, wide) >= 0;
        for (int i = 0; i < 4; i++)
            is_aligned = is_aligned && lines[i] % SHMFRAME_LINE_ALIGN == 0;
        if (is_aligned)
            return wide;
    }
    return width;
}

void decoder_find_coded_size(AVCodecContext *codec, enum AVPixelFormat pixel_format, int *width,
                             int *height) {
    int line_align[AV_NUM_DATA_POINTERS];
    avcodec_align_dimensions2(codec, width, height, line_align);
    *width = widen(pixel_format, *width);
}

static int larger(int a, int b) {
    return a > b ? a : b;
}

static int from_video_decoder(AVCodecContext *codec, struct shmframe_format *out_format) {
    if (codec->pix_fmt == AV_PIX_FMT_NONE || codec->width <= 0 || codec->height <= 0) {
        return error_set(-EINVAL, "the decoder does not know its picture yet: let it decode one "
                                  "frame before, or give it the demuxer's parameters");
    }
    struct shmframe_format format;
    int result = shmframe_format_video(&format, av_get_pix_fmt_name(codec->pix_fmt),
                                       (uint32_t)codec->width, (uint32_t)codec->height);
    if (result)
        return result;
    int width = larger(codec->width, AV_CEIL_RSHIFT(codec->coded_width, codec->lowres));
    int height = larger(codec->height, AV_CEIL_RSHIFT(codec->coded_height, codec->lowres));
    decoder_find_coded_size(codec, codec->pix_fmt, &width, &height);
    struct shmframe_video_format *const video = &format.video;
    video->coded_width = (uint32_t)width;
    video->coded_height = (uint32_t)height;
    const struct shmframe_rational unknown = {0, 1};
    video->frame_rate = avframe_from_rational(codec->framerate, unknown);
    video->sample_aspect = avframe_from_rational(codec->sample_aspect_ratio, unknown);
    avframe_format_set_colours(video, codec->color_range, codec->color_primaries, codec->color_trc,
                               codec->colorspace, codec->chroma_sample_location);
    if (codec->field_order == AV_FIELD_TT || codec->field_order == AV_FIELD_TB)
        video->field_order = SHMFRAME_TOP_FIRST;
    else if (codec->field_order == AV_FIELD_BB || codec->field_order == AV_FIELD_BT)
        video->field_order = SHMFRAME_BOTTOM_FIRST;
    format.time_base = avframe_from_rational(codec->pkt_timebase, format.time_base);
    format.plane_count = 0;
    result = shmframe_format_complete(&format);
    if (!result)
        *out_format = format;
    return result;
}

int shmframe_format_add_room(struct shmframe_format *format, uint32_t samples) {
    enum { BEYOND = 32 }; /* libavcodec lets decoders write up to such a multiple */
    if (format->kind != SHMFRAME_AUDIO)
        return error_set(-EINVAL, "only slots of sound have room for more samples");
    const uint32_t samples_max = format->audio.samples_max;
    struct shmframe_format roomy = *format;
    roomy.plane_count = 0;
    roomy.audio.samples_max =
        ((samples > samples_max ? samples : samples_max) + BEYOND - 1) / BEYOND * BEYOND;
    int result = shmframe_format_complete(&roomy);
    if (result)
        return result;
    roomy.audio.samples_max = samples_max;
    for (uint32_t i = 0; i < roomy.plane_count; i++)
        roomy.plane[i].row_bytes = roomy.plane[i].rows = 0; /* computed anew */
    result = shmframe_format_complete(&roomy);
    if (!result)
        *format = roomy;
    return result;
}

static int from_sound_decoder(const AVCodecContext *codec, struct shmframe_format *out_format) {
    /* AAC's decoder asks for as many, whatever it puts out. */
    enum { ROOM_MIN = 2048 };
    if (codec->sample_fmt == AV_SAMPLE_FMT_NONE || codec->sample_rate <= 0) {
        return error_set(-EINVAL, "the decoder does not know its sound yet: let it decode one "
                                  "frame before, or give it the demuxer's parameters");
    }
    /* Decoders of blocks of any size tell 0: a thirtieth of a second is about what others do. */
    const int samples = codec->frame_size > 0 ? codec->frame_size : codec->sample_rate / 30 + 1;
    struct shmframe_format format;
    int result = avframe_format_of_sound(codec->sample_fmt, &codec->ch_layout, codec->sample_rate,
                                         samples, &format);
    if (!result)
        result = shmframe_format_add_room(&format, ROOM_MIN);
    if (!result) {
        format.time_base = avframe_from_rational(codec->pkt_timebase, format.time_base);
        *out_format = format;
    }
    return result;
}

int shmframe_format_from_decoder(struct AVCodecContext *codec, struct shmframe_format *out_format) {
    if (codec->codec_type == AVMEDIA_TYPE_VIDEO)
        return from_video_decoder(codec, out_format);
    if (codec->codec_type == AVMEDIA_TYPE_AUDIO)
        return from_sound_decoder(codec, out_format);
    return error_set(-EINVAL, "the decoder is for neither pictures nor sound");
}

/* The buffer that a level promises, in macroblocks (H.264, table A-1) or in luma samples of which
 * six pictures fit (H.265, table A.8). */
struct level {
    int number;
    int64_t room;
};

static const struct level h264_levels[] = {
    {9, 396},    {10, 396},   {11, 900},   {13, 2376},  {20, 2376},   {21, 4752},   {30, 8100},
    {31, 18000}, {32, 20480}, {41, 32768}, {42, 34816}, {50, 110400}, {52, 184320}, {62, 696320},
};
static const struct level hevc_levels[] = {
    {30, 36864},  {60, 122880},   {63, 245760},   {90, 552960},
    {93, 983040}, {123, 2228224}, {156, 8912896}, {186, 35651584},
};

static int64_t find_room(const struct level *levels, size_t count, int number) {
    for (size_t i = 0; i < count && number > 0; i++)
        if (number <= levels[i].number)
            return levels[i].room;
    return 0;
}
#define FIND_ROOM(levels, number) find_room(levels, sizeof(levels) / sizeof((levels)[0]), number)

/* Pictures in the decoded picture buffer, at most: by level and size, 16 where these are not told.
 */
static int find_buffer_h264(const AVCodecContext *codec) {
    const int64_t room = FIND_ROOM(h264_levels, codec->level);
    const int64_t blocks = (int64_t)((codec->width + 15) / 16) * ((codec->height + 15) / 16);
    const int64_t pictures = room && blocks ? room / blocks : 16;
    return pictures < 1 || pictures > 16 ? 16 : (int)pictures;
}

static int find_buffer_hevc(const AVCodecContext *codec) {
    const int64_t room = FIND_ROOM(hevc_levels, codec->level);
    const int64_t samples = (int64_t)codec->width * codec->height;
    if (!room || samples * 4 <= room)
        return 16;
    return samples * 2 <= room ? 12 : samples * 4 <= room * 3 ? 8 : 6;
}

/* Pictures that the standard lets a decoder refer to; `refs` tells where the stream says so. */
static int find_references(const AVCodecContext *codec) {
    const AVCodecDescriptor *const descriptor = avcodec_descriptor_get(codec->codec_id);
    if (descriptor && (descriptor->props & AV_CODEC_PROP_INTRA_ONLY))
        return 0;
    if (codec->codec_type == AVMEDIA_TYPE_AUDIO)
        return 0;
    switch (codec->codec_id) {
    case AV_CODEC_ID_H264:
        return codec->refs > 1 ? codec->refs : find_buffer_h264(codec);
    case AV_CODEC_ID_HEVC:
        return codec->refs > 1 ? codec->refs : find_buffer_hevc(codec);
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_AV1:
        return 8;
    case AV_CODEC_ID_VP8:
    case AV_CODEC_ID_VP7:
        return 4;
    default:
        return larger(codec->refs, 3);
    }
}

uint32_t shmframe_decoder_loans(const struct AVCodecContext *codec) {
    enum { LOANS_MAX = 64, THREADS_MAX = 16 };
    if (codec->codec && !(codec->codec->capabilities & AV_CODEC_CAP_DR1))
        return 1; /* it has memory of its own: a slot at a time is copied to */
    int threads = codec->thread_count > 0 ? codec->thread_count : THREADS_MAX;
    if (!(codec->thread_type & FF_THREAD_FRAME) ||
        (codec->codec && !(codec->codec->capabilities & AV_CODEC_CAP_FRAME_THREADS)))
        threads = 1;
    /* One is being decoded by each thread, one is on its way out, and one is never lent. */
    const int loans = find_references(codec) + codec->has_b_frames + threads + 2;
    return loans < LOANS_MAX ? (uint32_t)loans : LOANS_MAX;
}
