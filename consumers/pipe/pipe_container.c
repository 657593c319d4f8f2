#include "pipe_container.h"

#include "wav.h"
#include "y4m.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/mathematics.h>
#include <libavutil/pixdesc.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum pipe_container_kind kind;
} endings[] = {
    {"y4m", PIPE_Y4M}, {"nut", PIPE_NUT}, {"wav", PIPE_WAV}, {"raw", PIPE_RAW},
    {"yuv", PIPE_RAW}, {"rgb", PIPE_RAW}, {"pcm", PIPE_RAW},
};
enum { ENDINGS = sizeof(endings) / sizeof(endings[0]), NAMES = 4 };

const char *pipe_container_name(enum pipe_container_kind kind) {
    for (int i = 0; i < NAMES; i++)
        if (endings[i].kind == kind)
            return endings[i].name;
    return "?";
}

enum pipe_container_kind pipe_container_find(const char *name) {
    for (int i = 0; i < NAMES; i++)
        if (strcmp(endings[i].name, name) == 0)
            return endings[i].kind;
    return PIPE_NONE;
}

enum pipe_container_kind pipe_container_find_by_path(const char *path) {
    const char *dot = strrchr(path, '.');
    for (int i = 0; i < ENDINGS; i++)
        if (dot && strcasecmp(endings[i].name, dot + 1) == 0)
            return endings[i].kind;
    return PIPE_NONE;
}

bool pipe_container_is_other(const char *path) {
    const char *slash = strrchr(path, '/');
    return !pipe_container_find_by_path(path) && strrchr(slash ? slash : path, '.') &&
           av_guess_format(NULL, path, NULL);
}

enum pipe_container_kind pipe_container_find_by_format(const struct shmframe_format *format) {
    if (format->kind == SHMFRAME_AUDIO)
        return PIPE_WAV;
    return y4m_can_carry(format->video.pixel_format) ? PIPE_Y4M : PIPE_NUT;
}

/* What a picture can become in a NUT. */
static const enum AVPixelFormat *list_nut_formats(void) {
    enum { FORMATS_MAX = 512 };
    static enum AVPixelFormat list[FORMATS_MAX + 1];
    int count = 0;
    const AVPixFmtDescriptor *at = NULL;
    while ((at = av_pix_fmt_desc_next(at)) && count < FORMATS_MAX) {
        const enum AVPixelFormat format = av_pix_fmt_desc_get_id(at);
        if (avcodec_pix_fmt_to_codec_tag(format) && !(at->flags & AV_PIX_FMT_FLAG_HWACCEL))
            list[count++] = format;
    }
    list[count] = AV_PIX_FMT_NONE;
    return list;
}

static const char *adapt_picture(enum pipe_container_kind kind,
                                 const struct shmframe_format *format) {
    const char *name = format->video.pixel_format;
    if (kind == PIPE_RAW || (kind == PIPE_Y4M && y4m_can_carry(name)) ||
        (kind == PIPE_NUT && pipe_nut_can_carry(format)))
        return NULL;
    const enum AVPixelFormat *list = kind == PIPE_Y4M ? y4m_pixel_formats() : list_nut_formats();
    const enum AVPixelFormat best =
        avcodec_find_best_pix_fmt_of_list(list, av_get_pix_fmt(name), 0, NULL);
    return av_get_pix_fmt_name(best);
}

const char *pipe_container_adapt(enum pipe_container_kind kind,
                                 const struct shmframe_format *format) {
    if (format->kind == SHMFRAME_VIDEO)
        return adapt_picture(kind, format);
    const enum AVSampleFormat from = av_get_sample_fmt(format->audio.sample_format);
    const enum AVSampleFormat packed = av_get_packed_sample_fmt(from);
    return packed == from ? NULL : av_get_sample_fmt_name(packed);
}

/* Headers. */

static int begin_y4m(struct pipe_container *container, struct pipe_message *message) {
    char line[Y4M_LINE_MAX];
    const int length = y4m_print(container->format[0], line);
    return length < 0 ? length : pipe_message_copy(message, line, (size_t)length);
}

static int begin_wav(struct pipe_container *container, struct pipe_message *message) {
    uint8_t header[WAV_HEADER_MAX];
    const int length = wav_print(container->format[0], header);
    return length < 0 ? length : pipe_message_copy(message, header, (size_t)length);
}

int pipe_container_begin(struct pipe_container *container, bool is_by_pts, bool is_file,
                         struct pipe_message *message) {
    int result = 0;
    container->clock = (struct pipe_clock){.is_by_pts = is_by_pts};
    switch (container->kind) {
    case PIPE_Y4M:
        result = begin_y4m(container, message);
        break;
    case PIPE_WAV:
        result = begin_wav(container, message);
        break;
    case PIPE_NUT:
        pipe_nut_destroy(container->nut);
        container->nut = NULL;
        result = pipe_nut_create(container->format, container->streams, is_file, message,
                                 &container->nut);
        break;
    case PIPE_NONE:
    case PIPE_RAW:
        break;
    }
    container->header_bytes = 0;
    for (size_t i = 0; i < message->parts; i++)
        container->header_bytes += message->part[i].bytes;
    return result;
}

/* Frames. */

struct pipe_moment pipe_container_time(struct pipe_container *container, uint32_t stream,
                                       const struct shmframe_lease *lease) {
    const AVRational nanosecond = {1, 1000000000};
    if (container->kind != PIPE_NUT)
        return (struct pipe_moment){0};
    const AVRational unit = pipe_nut_unit(container->nut, stream);
    const int64_t time_ns = pipe_clock_time_ns(&container->clock, stream, lease);
    return (struct pipe_moment){
        .time = av_rescale_q(time_ns, nanosecond, unit),
        .duration = av_rescale_q(pipe_clock_duration_ns(lease), nanosecond, unit),
    };
}

int pipe_container_add_silence(const struct pipe_container *container, uint32_t stream,
                               uint64_t samples, struct pipe_message *message) {
    enum { SILENCE_BYTES = 1 << 16 };
    static uint8_t silence[SILENCE_BYTES];
    const struct shmframe_audio_format *audio = &container->format[stream]->audio;
    const enum AVSampleFormat sample = av_get_sample_fmt(audio->sample_format);
    memset(silence, sample == AV_SAMPLE_FMT_U8 ? 0x80 : 0, sizeof(silence));
    uint64_t left = samples * audio->channels * (uint64_t)av_get_bytes_per_sample(sample);
    while (left) {
        const size_t bytes = left < sizeof(silence) ? left : sizeof(silence);
        if (pipe_message_refer(message, silence, bytes) < 0)
            return -ENOMEM;
        left -= bytes;
    }
    return 0;
}

/* Line by line from the slot: lines without padding are one piece, since what follows is added to
 * what was there. */
static int add_picture(const AVFrame *frame, struct pipe_message *message) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(frame->format);
    const int planes = av_pix_fmt_count_planes(frame->format);
    for (int i = 0; i < planes; i++) {
        const bool is_chroma = i == 1 || i == 2;
        const int shift = is_chroma ? descriptor->log2_chroma_h : 0;
        const int bytes = av_image_get_linesize(frame->format, frame->width, i);
        const int rows = -((-frame->height) >> shift);
        for (int y = 0; y < rows; y++) {
            const uint8_t *row = frame->data[i] + (ptrdiff_t)y * frame->linesize[i];
            if (bytes < 0 || pipe_message_refer(message, row, (size_t)bytes) < 0)
                return bytes < 0 ? -EINVAL : -ENOMEM;
        }
    }
    const bool has_palette = descriptor->flags & AV_PIX_FMT_FLAG_PAL;
    return has_palette ? pipe_message_refer(message, frame->data[1], AVPALETTE_SIZE) : 0;
}

static int add_sound(const AVFrame *frame, struct pipe_message *message) {
    const size_t bytes = (size_t)frame->nb_samples * (size_t)frame->ch_layout.nb_channels *
                         (size_t)av_get_bytes_per_sample(frame->format);
    return pipe_message_refer(message, frame->data[0], bytes);
}

int pipe_container_add(struct pipe_container *container, uint32_t stream, AVFrame *frame,
                       struct pipe_moment moment, struct pipe_message *message,
                       bool *out_is_packed) {
    static const char line[] = Y4M_FRAME "\n";
    message->frame = frame;
    *out_is_packed = false;
    if (container->kind == PIPE_NUT)
        return pipe_nut_add(container->nut, stream, moment.time, moment.duration, message,
                            out_is_packed);
    if (container->format[stream]->kind == SHMFRAME_AUDIO)
        return add_sound(frame, message);
    if (container->kind == PIPE_Y4M && pipe_message_refer(message, line, strlen(line)) < 0)
        return -ENOMEM;
    return add_picture(frame, message);
}

int pipe_container_end(struct pipe_container *container, struct pipe_message *message) {
    const int result = container->nut ? pipe_nut_end(container->nut, message) : 0;
    pipe_nut_destroy(container->nut);
    container->nut = NULL;
    return result;
}
