#include "track.h"

#include "timeline.h"

#include <errno.h>
#include <libavutil/cpu.h>
#include <libavutil/pixdesc.h>
#include <shmframe/error.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

static const AVRational ns_unit = {1, 1000000000};

enum {
    THREADS_MAX = 8,        /* each has a slot in work, and adds a picture of delay */
    FAILURES_MAX = 1000,    /* of the decoder in a row: it will not recover */
    ASSUMED_SAMPLES = 1024, /* of a block, where nothing tells */
    SAMPLES_MIN = 64,       /* a block of sound holds that many, at low rates too */
};

static int set_why(struct track *track, int result, const char *what, int av_result) {
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    if (av_result)
        av_strerror(av_result, reason, sizeof(reason));
    snprintf(track->why, sizeof(track->why), "%s%s%s", what, av_result ? ": " : "", reason);
    return result;
}

/* Life. */

static AVCodecContext *make_codec(const AVStream *stream, const AVCodec *codec, int threads) {
    AVCodecContext *context = avcodec_alloc_context3(codec);
    if (context && avcodec_parameters_to_context(context, stream->codecpar) < 0)
        avcodec_free_context(&context);
    if (!context)
        return NULL;
    context->pkt_timebase = stream->time_base;
    context->thread_count = threads;
    return context;
}

int track_open(struct track *track, AVStream *stream, const AVCodec *codec) {
    *track = (struct track){
        .stream = stream,
        .next_pts = AV_NOPTS_VALUE,
        .first_pts = AV_NOPTS_VALUE,
    };
    const int cpus = av_cpu_count();
    track->packets = av_fifo_alloc2(64, sizeof(AVPacket *), AV_FIFO_FLAG_AUTO_GROW);
    track->codec = make_codec(stream, codec, cpus < THREADS_MAX ? cpus : THREADS_MAX);
    /* The first frame as soon as possible: without threads there is no delay but reordering. */
    track->probe = make_codec(stream, codec, 1);
    if (!track->packets || !track->codec || !track->probe)
        return set_why(track, -ENOMEM, "no memory for its decoder", 0);
    av_fifo_auto_grow_limit(track->packets, SIZE_MAX / sizeof(AVPacket *));
    const int result = avcodec_open2(track->probe, codec, NULL);
    return result < 0 ? set_why(track, -ENOTSUP, "its decoder does not start", result) : 0;
}

static void drop_packets(struct track *track) {
    AVPacket *packet;
    while (av_fifo_read(track->packets, &packet, 1) >= 0)
        av_packet_free(&packet);
    track->packet_bytes = 0;
}

void track_close(struct track *track) {
    if (track->packets)
        drop_packets(track);
    av_fifo_freep2(&track->packets);
    avcodec_free_context(&track->probe);
    avcodec_free_context(&track->codec);
}

int track_start(struct track *track) {
    const int result = avcodec_open2(track->codec, NULL, NULL);
    return result < 0 ? set_why(track, -ENOTSUP, "its decoder does not start", result) : 0;
}

uint32_t track_loans(const struct track *track) {
    return shmframe_decoder_loans(track->codec);
}

/* Formats. */

static struct track_shape find_shape(const AVFrame *frame) {
    return (struct track_shape){
        .format = frame->format,
        .width = frame->width,
        .height = frame->height,
        .sample_rate = frame->sample_rate,
        .channels = frame->ch_layout.nb_channels,
        .aspect = frame->sample_aspect_ratio,
        .range = frame->color_range,
        .primaries = frame->color_primaries,
        .transfer = frame->color_trc,
        .space = frame->colorspace,
        .location = frame->chroma_location,
    };
}

/* What the file itself tells of a track; frames bear it only in some formats and versions. */
static const void *find_told(const AVStream *stream, enum AVPacketSideDataType type,
                             size_t *out_bytes) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 30, 100)
    const AVPacketSideData *side = av_packet_side_data_get(
        stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, type);
    *out_bytes = side ? side->size : 0;
    return side ? side->data : NULL;
#else
    return av_stream_get_side_data(stream, type, out_bytes);
#endif
}

/* Adds to a frame what the file tells and the frame does not. Errors: -ENOMEM. */
static int tell_frame(const AVStream *stream, AVFrame *frame) {
    static const struct {
        enum AVPacketSideDataType told;
        enum AVFrameSideDataType type;
    } kinds[] = {
        {AV_PKT_DATA_DISPLAYMATRIX, AV_FRAME_DATA_DISPLAYMATRIX},
        {AV_PKT_DATA_MASTERING_DISPLAY_METADATA, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA},
        {AV_PKT_DATA_CONTENT_LIGHT_LEVEL, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t bytes = 0;
        const void *told = find_told(stream, kinds[i].told, &bytes);
        if (!told || av_frame_get_side_data(frame, kinds[i].type))
            continue;
        AVFrameSideData *side = av_frame_new_side_data(frame, kinds[i].type, bytes);
        if (!side)
            return -ENOMEM;
        memcpy(side->data, told, bytes);
    }
    return 0;
}

/* The format of a picture by what it and the file tell. */
static int describe_told(const struct track *track, const AVFrame *frame,
                         struct shmframe_format *out_format) {
    AVFrame *told = av_frame_clone(frame);
    int result = told ? tell_frame(track->stream, told) : -ENOMEM;
    if (result == 0)
        result = shmframe_format_from_avframe(told, out_format);
    av_frame_free(&told);
    return result;
}

/* Where the visible picture begins in the memory that the decoder was given for it. */
static void find_crop(const AVFrame *frame, struct shmframe_video_format *video) {
    const AVPixFmtDescriptor *pixels = av_pix_fmt_desc_get(frame->format);
    if (!frame->buf[0] || frame->linesize[0] <= 0 || frame->data[0] <= frame->buf[0]->data ||
        (pixels->flags & AV_PIX_FMT_FLAG_BITSTREAM))
        return;
    const size_t offset = (size_t)(frame->data[0] - frame->buf[0]->data);
    const size_t line_bytes = (size_t)frame->linesize[0];
    const uint32_t top = (uint32_t)(offset / line_bytes);
    const uint32_t left = (uint32_t)(offset % line_bytes / (size_t)pixels->comp[0].step);
    if (left + video->width <= video->coded_width && top + video->height <= video->coded_height) {
        video->crop_left = left;
        video->crop_top = top;
    }
}

static int describe_picture(const struct track *track, AVFormatContext *input,
                            AVCodecContext *codec, const AVFrame *frame,
                            struct shmframe_format *out_format) {
    struct shmframe_format coded;
    int result = describe_told(track, frame, out_format);
    if (result == 0)
        result = shmframe_format_from_decoder(codec, &coded);
    if (result < 0)
        return result;
    struct shmframe_video_format *video = &out_format->video;
    const AVRational rate = av_guess_frame_rate(input, track->stream, (AVFrame *)(uintptr_t)frame);
    if (rate.num > 0 && rate.den > 0)
        video->frame_rate = (struct shmframe_rational){rate.num, rate.den};
    if (coded.video.coded_width >= video->width && coded.video.coded_height >= video->height) {
        video->coded_width = coded.video.coded_width;
        video->coded_height = coded.video.coded_height;
        find_crop(frame, video);
    }
    out_format->plane_count = 0;
    result = shmframe_format_complete(out_format);
    if (result == -EINVAL && (video->crop_left || video->crop_top)) {
        video->crop_left = video->crop_top = 0;
        result = shmframe_format_complete(out_format);
    }
    return result;
}

/* How many samples the decoder asked a buffer for, in which this block is. */
static uint32_t find_room(const AVFrame *frame) {
    const bool is_planar = av_sample_fmt_is_planar(frame->format);
    const int sample_bytes =
        av_get_bytes_per_sample(frame->format) * (is_planar ? 1 : frame->ch_layout.nb_channels);
    return (uint32_t)(frame->linesize[0] / sample_bytes);
}

static int describe_sound(const AVFrame *frame, struct shmframe_format *out_format) {
    int result = shmframe_format_from_avframe(frame, out_format);
    if (result < 0)
        return result;
    /* Blocks of a thirtieth of a second at most, whatever the decoder puts out: readers begin to
     * play that much later. What it puts out in one piece has room in a slot. */
    const uint32_t samples = out_format->audio.sample_rate / 30 + 1;
    out_format->audio.samples_max = samples > SAMPLES_MIN ? samples : SAMPLES_MIN;
    out_format->plane_count = 0;
    result = shmframe_format_complete(out_format);
    if (result < 0)
        return result;
    const bool is_whole = (uint32_t)frame->nb_samples <= out_format->audio.samples_max;
    return shmframe_format_add_room(out_format, is_whole ? find_room(frame) : 0);
}

static int describe(struct track *track, AVFormatContext *input, AVCodecContext *codec,
                    const AVFrame *frame) {
    struct shmframe_format format;
    int result = codec->codec_type == AVMEDIA_TYPE_VIDEO
                     ? describe_picture(track, input, codec, frame, &format)
                     : describe_sound(frame, &format);
    if (result < 0)
        return set_why(track, result, shmframe_last_error(), 0);
    const AVRational unit = track->stream->time_base;
    if (unit.num > 0 && unit.den > 0)
        format.time_base = (struct shmframe_rational){unit.num, unit.den};
    track->format = format;
    track->shape = find_shape(frame);
    track->is_known = true;
    return 0;
}

bool track_changes_format(struct track *track, AVFormatContext *input, const AVFrame *frame) {
    const struct track_shape shape = find_shape(frame);
    const struct shmframe_format before = track->format;
    const bool is_same = memcmp(&shape, &track->shape, sizeof(shape)) == 0;
    if (!is_same && describe(track, input, track->codec, frame) < 0) {
        track->shape = shape; /* the frame cannot be shown, which its loan will say */
        return false;
    }
    const bool is_told = track->is_telling || !shmframe_format_is_equal(&before, &track->format);
    track->is_telling = false;
    return is_told;
}

void track_tell_format(struct track *track) {
    track->is_telling = true;
}

/* Probing. */

static int take_probed(struct track *track, AVFormatContext *input) {
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return set_why(track, -ENOMEM, "no memory for a frame", 0);
    int result = 0;
    while (!track->is_known && avcodec_receive_frame(track->probe, frame) >= 0)
        result = describe(track, input, track->probe, frame);
    av_frame_free(&frame);
    if (!track->is_known)
        return result;
    /* What was learnt serves the decoder that plays. */
    track->codec->refs = track->probe->refs;
    track->codec->has_b_frames = track->probe->has_b_frames;
    avcodec_free_context(&track->probe);
    return 0;
}

int track_probe(struct track *track, AVFormatContext *input, const AVPacket *packet) {
    if (packet && track_add_packet(track, packet) < 0)
        return set_why(track, -ENOMEM, "no memory for a packet", 0);
    if (track->is_known || (packet && packet->size == 0))
        return 0;
    if (packet && av_packet_get_side_data(packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL))
        return set_why(track, -EACCES,
                       "it is encrypted; if you have its key, --input-option decryption_key=HEX",
                       0);
    const int sent = avcodec_send_packet(track->probe, packet);
    if (sent < 0 && sent != AVERROR_EOF)
        set_why(track, 0, "nothing of it can be decoded", sent);
    const int result = take_probed(track, input);
    if (result < 0 || track->is_known || packet)
        return result;
    return track->why[0] ? -ENODATA : set_why(track, -ENODATA, "it has no frames", 0);
}

void track_assume_sound(struct track *track, AVFormatContext *input) {
    AVCodecContext *codec = track->probe;
    AVFrame *frame = av_frame_alloc();
    if (frame && codec->codec_type == AVMEDIA_TYPE_AUDIO && codec->sample_rate > 0) {
        frame->format = codec->sample_fmt;
        frame->sample_rate = codec->sample_rate;
        frame->nb_samples = codec->frame_size > 0 ? codec->frame_size : ASSUMED_SAMPLES;
        if (av_channel_layout_copy(&frame->ch_layout, &codec->ch_layout) == 0 &&
            av_frame_get_buffer(frame, 0) == 0 && describe(track, input, codec, frame) == 0)
            avcodec_free_context(&track->probe);
    }
    av_frame_free(&frame);
}

/* Packets. */

int track_add_packet(struct track *track, const AVPacket *packet) {
    AVPacket *kept = av_packet_clone(packet);
    if (!kept || av_fifo_write(track->packets, &kept, 1) < 0) {
        av_packet_free(&kept);
        return -ENOMEM;
    }
    track->packet_bytes += (size_t)kept->size;
    return 0;
}

static int64_t get_packet_time(const struct track *track, size_t number) {
    AVPacket *packet = NULL;
    av_fifo_peek(track->packets, &packet, 1, number);
    return packet->dts != AV_NOPTS_VALUE ? packet->dts : packet->pts;
}

int64_t track_ahead_ns(const struct track *track) {
    const size_t count = av_fifo_can_read(track->packets);
    if (count < 2)
        return 0;
    const int64_t first = get_packet_time(track, 0), last = get_packet_time(track, count - 1);
    if (first == AV_NOPTS_VALUE || last == AV_NOPTS_VALUE || last < first)
        return 0;
    return av_rescale_q(last - first, track->stream->time_base, ns_unit);
}

static void send_packet(struct track *track) {
    AVPacket *packet;
    if (av_fifo_read(track->packets, &packet, 1) < 0)
        return;
    track->packet_bytes -= (size_t)packet->size;
    /* An empty one stands for no frame at all, and means the end to a decoder. */
    if (packet->size > 0 && avcodec_send_packet(track->codec, packet) < 0)
        track->damaged++;
    av_packet_free(&packet);
}

/* Frames. */

/* Whether the input says when it begins. Where that is no time, frames are counted on from 0. */
static bool has_begin(const AVFormatContext *input) {
    return input->start_time != AV_NOPTS_VALUE && input->start_time <= TIMELINE_MAX_NS / 1000 &&
           input->start_time >= -TIMELINE_MAX_NS / 1000;
}

int64_t track_position_ns(const struct track *track, const AVFormatContext *input, int64_t pts) {
    const int64_t ns = av_rescale_q(pts, track->stream->time_base, ns_unit);
    return has_begin(input) ? ns - input->start_time * 1000 : ns;
}

static int64_t find_duration(const struct track *track, const AVFrame *frame) {
    const AVRational unit = track->stream->time_base;
    if (frame->nb_samples > 0)
        return av_rescale_q(frame->nb_samples, (AVRational){1, frame->sample_rate}, unit);
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    const int64_t told = frame->duration;
#else
    const int64_t told = frame->pkt_duration;
#endif
    const struct shmframe_rational rate = track->format.video.frame_rate;
    if (told > 0 || rate.num <= 0)
        return told > 0 ? told : 0;
    return av_rescale_q(1, (AVRational){rate.den, rate.num}, unit);
}

static void set_times(struct track *track, AVFrame *frame) {
    const int64_t duration = find_duration(track, frame);
    frame->pts = frame->best_effort_timestamp;
    if (frame->pts == AV_NOPTS_VALUE)
        frame->pts = track->next_pts == AV_NOPTS_VALUE ? 0 : track->next_pts;
    frame->time_base = track->stream->time_base;
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    frame->duration = duration;
#else
    frame->pkt_duration = duration;
#endif
    track->next_pts = frame->pts + duration;
}

enum track_step track_step(struct track *track, AVFrame *frame) {
    if (track->is_ended)
        return TRACK_ENDED;
    const int result = avcodec_receive_frame(track->codec, frame);
    if (result >= 0) {
        track->failures = 0;
        if ((frame->flags & AV_FRAME_FLAG_CORRUPT) || frame->decode_error_flags)
            track->damaged++;
        set_times(track, frame);
        if (track->first_pts == AV_NOPTS_VALUE || track->next_pts > track->first_pts ||
            (track->next_pts == frame->pts && frame->pts == track->first_pts))
            return TRACK_FRAME;
        av_frame_unref(frame);
        return TRACK_BUSY;
    }
    if (result != AVERROR(EAGAIN) && result != AVERROR_EOF) {
        track->damaged++;
        if (++track->failures < FAILURES_MAX)
            return TRACK_BUSY;
    }
    if (result != AVERROR(EAGAIN)) {
        drop_packets(track);
        track->is_ended = true;
        return TRACK_ENDED;
    }
    if (av_fifo_can_read(track->packets)) {
        send_packet(track);
        return TRACK_BUSY;
    }
    if (!track->is_complete)
        return TRACK_NEEDS_PACKET;
    /* Says what was wrong with the last packets that were in work. */
    const int drained = avcodec_send_packet(track->codec, NULL);
    if (drained < 0 && drained != AVERROR_EOF)
        track->damaged++;
    return TRACK_BUSY;
}

void track_begin_at(struct track *track, AVFormatContext *input, int64_t position_ns) {
    const bool is_wild = input->start_time != AV_NOPTS_VALUE && !has_begin(input);
    const int64_t begin_ns = has_begin(input) ? input->start_time * 1000 : 0;
    track->first_pts = position_ns <= 0 || is_wild ? AV_NOPTS_VALUE
                                                   : av_rescale_q(position_ns + begin_ns, ns_unit,
                                                                  track->stream->time_base);
}

void track_restart(struct track *track, AVFormatContext *input, int64_t position_ns) {
    drop_packets(track);
    avcodec_flush_buffers(track->codec);
    track_begin_at(track, input, position_ns);
    track->next_pts = AV_NOPTS_VALUE;
    track->failures = 0;
    track->is_complete = false;
    track->is_ended = false;
}
