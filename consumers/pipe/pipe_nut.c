#include "pipe_nut.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES = 4096, STREAMS_MAX = 16 };

struct pipe_nut {
    AVFormatContext *context;
    AVPacket *packet;
    struct pipe_message *message; /* that is being filled */
    const uint8_t *kept;          /* the frame's bytes, which need no copy */
    size_t kept_bytes;
    int error;                 /* of the message */
    int64_t next[STREAMS_MAX]; /* earliest time that may come */
};

/* What libavformat writes: the frame's own bytes stay where they are. */
static int write_bytes(void *user, uint8_t *data, int count) {
    struct pipe_nut *nut = user;
    const size_t bytes = (size_t)count;
    const bool is_kept =
        nut->kept && data >= nut->kept && data + bytes <= nut->kept + nut->kept_bytes;
    const int result = is_kept ? pipe_message_refer(nut->message, data, bytes)
                               : pipe_message_copy(nut->message, data, bytes);
    if (result < 0)
        nut->error = result;
    return result < 0 ? AVERROR(ENOMEM) : count;
}

static enum AVCodecID find_sound_codec(const struct shmframe_format *format) {
    return av_get_pcm_codec(av_get_sample_fmt(format->audio.sample_format), 0);
}

bool pipe_nut_can_carry(const struct shmframe_format *format) {
    if (format->kind == SHMFRAME_AUDIO)
        return find_sound_codec(format) != AV_CODEC_ID_NONE;
    return avcodec_pix_fmt_to_codec_tag(av_get_pix_fmt(format->video.pixel_format)) != 0;
}

static void describe_picture(AVStream *stream, const struct shmframe_format *format) {
    const struct shmframe_video_format *video = &format->video;
    AVCodecParameters *codec = stream->codecpar;
    codec->codec_type = AVMEDIA_TYPE_VIDEO;
    codec->codec_id = AV_CODEC_ID_RAWVIDEO;
    codec->format = av_get_pix_fmt(video->pixel_format);
    codec->codec_tag = avcodec_pix_fmt_to_codec_tag(codec->format);
    codec->width = (int)video->width;
    codec->height = (int)video->height;
    if (video->sample_aspect.num > 0)
        codec->sample_aspect_ratio =
            (AVRational){video->sample_aspect.num, video->sample_aspect.den};
    stream->sample_aspect_ratio = codec->sample_aspect_ratio;
    if (video->frame_rate.num > 0)
        stream->avg_frame_rate = (AVRational){video->frame_rate.num, video->frame_rate.den};
    stream->time_base = (AVRational){format->time_base.num, format->time_base.den};
}

static int describe_sound(AVStream *stream, const struct shmframe_format *format) {
    const struct shmframe_audio_format *audio = &format->audio;
    AVCodecParameters *codec = stream->codecpar;
    codec->codec_type = AVMEDIA_TYPE_AUDIO;
    codec->codec_id = find_sound_codec(format);
    codec->format = av_get_sample_fmt(audio->sample_format);
    codec->sample_rate = (int)audio->sample_rate;
    if (!audio->channel_layout[0] ||
        av_channel_layout_from_string(&codec->ch_layout, audio->channel_layout) < 0)
        av_channel_layout_default(&codec->ch_layout, (int)audio->channels);
    codec->bits_per_coded_sample = av_get_bits_per_sample(codec->codec_id);
    codec->block_align = (int)audio->channels * codec->bits_per_coded_sample / 8;
    codec->bit_rate = (int64_t)codec->block_align * 8 * codec->sample_rate;
    stream->time_base = (AVRational){1, codec->sample_rate};
    return 0;
}

static int add_stream(struct pipe_nut *nut, const struct shmframe_format *format) {
    AVStream *stream = avformat_new_stream(nut->context, NULL);
    if (!stream)
        return -ENOMEM;
    if (!pipe_nut_can_carry(format))
        return -ENOTSUP;
    if (format->kind == SHMFRAME_AUDIO)
        return describe_sound(stream, format);
    describe_picture(stream, format);
    return 0;
}

static int open_context(struct pipe_nut *nut, bool is_file) {
    uint8_t *buffer = av_malloc(BUFFER_BYTES);
    nut->packet = av_packet_alloc();
    if (!buffer || !nut->packet ||
        avformat_alloc_output_context2(&nut->context, NULL, "nut", NULL) < 0) {
        av_free(buffer);
        return -ENOMEM;
    }
    nut->context->pb =
        avio_alloc_context(buffer, BUFFER_BYTES, 1, nut, NULL, (void *)write_bytes, NULL);
    if (!nut->context->pb) {
        av_free(buffer);
        return -ENOMEM;
    }
    /* What is written comes through as it is, not through the buffer. */
    nut->context->pb->direct = 1;
    nut->context->pb->seekable = 0;
    nut->context->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    /* The index grows with every second; nobody can use it in a pipe. */
    av_opt_set_int(nut->context->priv_data, "write_index", is_file, 0);
    return 0;
}

int pipe_nut_create(const struct shmframe_format *const *formats, uint32_t count, bool is_file,
                    struct pipe_message *message, struct pipe_nut **out_nut) {
    struct pipe_nut *nut = calloc(1, sizeof(*nut));
    if (!nut)
        return -ENOMEM;
    nut->message = message;
    int result = open_context(nut, is_file);
    for (uint32_t i = 0; i < count && result == 0; i++) {
        result = add_stream(nut, formats[i]);
        nut->next[i] = INT64_MIN;
    }
    if (result == 0 && avformat_write_header(nut->context, NULL) < 0)
        result = nut->error ? nut->error : -ENOTSUP;
    if (result < 0) {
        pipe_nut_destroy(nut);
        return result;
    }
    avio_flush(nut->context->pb);
    *out_nut = nut;
    return 0;
}

void pipe_nut_destroy(struct pipe_nut *nut) {
    if (!nut)
        return;
    if (nut->context && nut->context->pb) {
        av_freep(&nut->context->pb->buffer);
        avio_context_free(&nut->context->pb);
    }
    avformat_free_context(nut->context);
    av_packet_free(&nut->packet);
    free(nut);
}

AVRational pipe_nut_unit(const struct pipe_nut *nut, uint32_t stream) {
    return nut->context->streams[stream]->time_base;
}

static bool is_picture(const struct pipe_nut *nut, uint32_t stream) {
    return nut->context->streams[stream]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
}

/* Whether the picture's bytes lie behind each other as they are to be written. */
static bool is_tight(const AVFrame *frame, int bytes) {
    uint8_t *data[4];
    int lines[4];
    if (av_image_fill_arrays(data, lines, frame->data[0], frame->format, frame->width,
                             frame->height, 1) != bytes)
        return false;
    for (int i = 0; i < 4; i++)
        if (data[i] && (data[i] != frame->data[i] || lines[i] != frame->linesize[i]))
            return false;
    return true;
}

/* The packet with the frame's bytes, in place where they can be. */
static int fill_picture(struct pipe_nut *nut, const AVFrame *frame, bool *out_is_packed) {
    const int bytes = av_image_get_buffer_size(frame->format, frame->width, frame->height, 1);
    if (bytes < 0)
        return -EINVAL;
    *out_is_packed = !is_tight(frame, bytes);
    if (!*out_is_packed) {
        nut->packet->data = frame->data[0];
        nut->packet->size = bytes;
        return 0;
    }
    if (av_new_packet(nut->packet, bytes) < 0)
        return -ENOMEM;
    av_image_copy_to_buffer(nut->packet->data, bytes, (const uint8_t *const *)frame->data,
                            frame->linesize, frame->format, frame->width, frame->height, 1);
    return 0;
}

/* What was packed has to last as long as the message: its frame owns the packet's bytes then. */
static int keep_packed(struct pipe_nut *nut, struct pipe_message *message) {
    AVFrame *frame = message->frame;
    AVBufferRef *packed = av_buffer_ref(nut->packet->buf);
    if (!packed)
        return -ENOMEM;
    av_frame_unref(frame); /* the slot is free from here on */
    frame->buf[0] = packed;
    frame->data[0] = packed->data;
    return 0;
}

static void fill_sound(struct pipe_nut *nut, const AVFrame *frame) {
    nut->packet->data = frame->data[0];
    nut->packet->size =
        frame->nb_samples * frame->ch_layout.nb_channels * av_get_bytes_per_sample(frame->format);
}

static int write_packet(struct pipe_nut *nut, uint32_t stream, int64_t time, int64_t duration) {
    AVPacket *packet = nut->packet;
    if (time < nut->next[stream])
        time = nut->next[stream];
    nut->next[stream] = time + 1;
    packet->stream_index = (int)stream;
    packet->pts = packet->dts = time;
    packet->duration = duration;
    packet->flags |= AV_PKT_FLAG_KEY;
    nut->kept = packet->data;
    nut->kept_bytes = (size_t)packet->size;
    nut->error = 0;
    const int result = av_write_frame(nut->context, packet);
    avio_flush(nut->context->pb);
    nut->kept = NULL;
    return nut->error ? nut->error : result < 0 ? -EINVAL : 0;
}

int pipe_nut_add(struct pipe_nut *nut, uint32_t stream, int64_t time, int64_t duration,
                 struct pipe_message *message, bool *out_is_packed) {
    int result = 0;
    *out_is_packed = false;
    nut->message = message;
    if (is_picture(nut, stream))
        result = fill_picture(nut, message->frame, out_is_packed);
    else
        fill_sound(nut, message->frame);
    if (result == 0 && *out_is_packed)
        result = keep_packed(nut, message);
    if (result == 0)
        result = write_packet(nut, stream, time, duration);
    av_packet_unref(nut->packet);
    return result;
}

int pipe_nut_end(struct pipe_nut *nut, struct pipe_message *message) {
    nut->message = message;
    const int result = av_write_trailer(nut->context);
    avio_flush(nut->context->pb);
    return result < 0 ? -ENOMEM : 0;
}
