#include "clip.h"

#include <check.h>
#include <libavcodec/bsf.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>

static const uint64_t sum_start = 14695981039346656037u;

static uint64_t sum_bytes(uint64_t sum, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

bool clip_can_encode(const char *encoder) {
    return avcodec_find_encoder_by_name(encoder);
}

/* Making. */

struct output {
    AVFormatContext *file;
    AVStream *stream;
    AVCodecContext *codec;
    AVPacket *packet;
    AVBSFContext *filter; /* NULL: none */
};

static void write_packet(struct output *output) {
    av_packet_rescale_ts(output->packet, output->codec->time_base, output->stream->time_base);
    output->packet->stream_index = output->stream->index;
    if (!output->packet->duration && output->codec->codec_type == AVMEDIA_TYPE_VIDEO)
        output->packet->duration =
            av_rescale_q(1, output->codec->time_base, output->stream->time_base);
    ck_assert_int_ge(av_interleaved_write_frame(output->file, output->packet), 0);
}

static void write_packets(struct output *output) {
    int result;
    while ((result = avcodec_receive_packet(output->codec, output->packet)) >= 0) {
        if (!output->filter) {
            write_packet(output);
            continue;
        }
        ck_assert_int_ge(av_bsf_send_packet(output->filter, output->packet), 0);
        while (av_bsf_receive_packet(output->filter, output->packet) >= 0)
            write_packet(output);
    }
    if (result == AVERROR_EOF && output->filter) {
        av_bsf_send_packet(output->filter, NULL);
        while (av_bsf_receive_packet(output->filter, output->packet) >= 0)
            write_packet(output);
    }
}

static void encode(struct output *output, AVFrame *frame) {
    ck_assert_int_ge(avcodec_send_frame(output->codec, frame), 0);
    write_packets(output);
}

/* Smooth ground, something that moves, and noise in the corner: each picture differs. */
static unsigned paint_sample(int number, int plane, int x, int y, unsigned max) {
    if (x < 16 && y < 16)
        return (unsigned)(x * 7919 + y * 104729 + number * 1299709 + plane * 31) % (max + 1);
    const int moved = (x + 3 * number) % 64;
    return (unsigned)(moved * 2 + y + plane * 40) % 200 * max / 255;
}

static void paint_picture(AVFrame *frame, int number) {
    const AVPixFmtDescriptor *pixels = av_pix_fmt_desc_get(frame->format);
    const unsigned max = (1u << pixels->comp[0].depth) - 1;
    for (int plane = 0; plane < 4 && frame->data[plane]; plane++) {
        const bool is_chroma = plane == 1 || plane == 2;
        const int height = AV_CEIL_RSHIFT(frame->height, is_chroma ? pixels->log2_chroma_h : 0);
        const int bytes = av_image_get_linesize(frame->format, frame->width, plane);
        for (int y = 0; y < height; y++) {
            uint8_t *line = frame->data[plane] + (ptrdiff_t)y * frame->linesize[plane];
            for (int x = 0; x < bytes; x++)
                if (max < 256)
                    line[x] = (uint8_t)paint_sample(number, plane, x, y, 255);
                else if (x % 2 == 0)
                    ((uint16_t *)(void *)line)[x / 2] =
                        (uint16_t)paint_sample(number, plane, x / 2, y, max);
        }
    }
}

static void open_codec(struct output *output) {
    if (output->file->oformat->flags & AVFMT_GLOBALHEADER)
        output->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    output->codec->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
    output->codec->thread_count = 1;
    /* The one encoder that talks past av_log(). */
    av_opt_set(output->codec->priv_data, "x265-params", "log-level=none", 0);
    ck_assert_int_ge(avcodec_open2(output->codec, NULL, NULL), 0);
    ck_assert_int_ge(avcodec_parameters_from_context(output->stream->codecpar, output->codec), 0);
    output->stream->time_base = output->codec->time_base;
}

/* What is copied becomes the file's own side data. */
static void tell(AVStream *stream, enum AVPacketSideDataType type, const void *data, size_t bytes) {
    void *place;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 30, 100)
    place = av_packet_side_data_new(&stream->codecpar->coded_side_data,
                                    &stream->codecpar->nb_coded_side_data, type, bytes, 0)
                ->data;
#else
    place = av_stream_new_side_data(stream, type, bytes);
#endif
    memcpy(place, data, bytes);
}

static void add_rotation(AVStream *stream, int degrees) {
    int32_t matrix[9];
    av_display_rotation_set(matrix, degrees);
    tell(stream, AV_PKT_DATA_DISPLAYMATRIX, matrix, sizeof(matrix));
}

static void add_hdr(AVStream *stream) {
    size_t bytes;
    AVMasteringDisplayMetadata *display = av_mastering_display_metadata_alloc();
    for (int i = 0; i < 3; i++)
        for (int xy = 0; xy < 2; xy++)
            display->display_primaries[i][xy] = (AVRational){i + 2 * xy + 1, 8};
    display->white_point[0] = display->white_point[1] = (AVRational){1, 4};
    display->min_luminance = (AVRational){1, 64};
    display->max_luminance = (AVRational){1000, 1};
    display->has_primaries = display->has_luminance = 1;
    tell(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, display, sizeof(*display));
    av_free(display);
    AVContentLightMetadata *light = av_content_light_metadata_alloc(&bytes);
    *light = (AVContentLightMetadata){.MaxCLL = 900, .MaxFALL = 300};
    tell(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, light, bytes);
    av_free(light);
}

static void open_picture(struct output *output, const struct clip *clip) {
    const AVCodec *codec = avcodec_find_encoder_by_name(clip->picture);
    ck_assert_ptr_nonnull(codec);
    output->stream = avformat_new_stream(output->file, NULL);
    output->codec = avcodec_alloc_context3(codec);
    output->codec->pix_fmt = clip->pixel_format;
    output->codec->width = clip->width;
    output->codec->height = clip->height;
    output->codec->time_base = av_inv_q(clip->rate);
    output->codec->framerate = clip->rate;
    output->codec->gop_size = clip->gop ? clip->gop : 12;
    output->codec->max_b_frames = clip->b_frames;
    output->codec->bit_rate = 2000000;
    if (clip->references)
        output->codec->refs = clip->references;
    output->codec->slices = clip->slices;
    /* What takes seconds otherwise, where the encoder knows the word. */
    av_opt_set(output->codec->priv_data, "preset", "superfast", 0);
    av_opt_set(output->codec->priv_data, "cpu-used", "8", 0);
    av_opt_set(output->codec->priv_data, "deadline", "realtime", 0);
    av_opt_set(output->codec->priv_data, "usage", "realtime", 0);
    output->codec->sample_aspect_ratio = (AVRational){1, 1};
    if (clip->is_interlaced)
        output->codec->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
    if (av_pix_fmt_desc_get(clip->pixel_format)->name[3] == 'j')
        output->codec->color_range = AVCOL_RANGE_JPEG;
    open_codec(output);
    output->stream->avg_frame_rate = clip->rate;
    if (clip->filter) {
        ck_assert_int_ge(av_bsf_list_parse_str(clip->filter, &output->filter), 0);
        avcodec_parameters_copy(output->filter->par_in, output->stream->codecpar);
        output->filter->time_base_in = output->codec->time_base;
        ck_assert_int_ge(av_bsf_init(output->filter), 0);
        avcodec_parameters_copy(output->stream->codecpar, output->filter->par_out);
    }
    if (clip->rotation_degrees)
        add_rotation(output->stream, clip->rotation_degrees);
    if (clip->is_hdr)
        add_hdr(output->stream);
}

static void open_sound(struct output *output, const struct clip *clip) {
    const AVCodec *codec = avcodec_find_encoder_by_name(clip->sound);
    ck_assert_ptr_nonnull(codec);
    output->stream = avformat_new_stream(output->file, NULL);
    output->codec = avcodec_alloc_context3(codec);
    output->codec->sample_fmt = clip->sample_format;
    output->codec->sample_rate = clip->sample_rate;
    output->codec->time_base = (AVRational){1, clip->sample_rate};
    av_channel_layout_default(&output->codec->ch_layout, clip->channels);
    open_codec(output);
}

static void add_captions(AVFrame *frame) {
    static const uint8_t captions[] = {0xfc, 0x94, 0x2c, 0xfc, 0x94, 0x2c, 0xfd, 0x80, 0x80};
    AVFrameSideData *side = av_frame_new_side_data(frame, AV_FRAME_DATA_A53_CC, sizeof(captions));
    memcpy(side->data, captions, sizeof(captions));
}

static void write_picture(struct output *output, const struct clip *clip, int number) {
    AVFrame *frame = av_frame_alloc();
    frame->format = clip->pixel_format;
    frame->width = clip->width;
    frame->height = clip->height;
    ck_assert_int_ge(av_frame_get_buffer(frame, 0), 0);
    paint_picture(frame, clip->is_still ? 0 : number);
    frame->pts = number;
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    frame->flags |=
        clip->is_interlaced ? AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST : 0;
#else
    frame->interlaced_frame = clip->is_interlaced;
    frame->top_field_first = clip->is_interlaced;
#endif
    if (clip->has_captions)
        add_captions(frame);
    encode(output, frame);
    av_frame_free(&frame);
}

/* A ramp of another slope in each channel, so that a wrong sample, channel or gap shows. */
static void paint_sound(AVFrame *frame, int64_t first) {
    const int channels = frame->ch_layout.nb_channels;
    const bool is_planar = av_sample_fmt_is_planar(frame->format);
    for (int s = 0; s < frame->nb_samples; s++)
        for (int c = 0; c < channels; c++) {
            const int value = (int)((first + s) * (c + 1) * 37 % 20000) - 10000;
            uint8_t *plane = frame->extended_data[is_planar ? c : 0];
            const int at = is_planar ? s : s * channels + c;
            if (av_get_packed_sample_fmt(frame->format) == AV_SAMPLE_FMT_FLT)
                ((float *)(void *)plane)[at] = (float)value / 20000;
            else
                ((int16_t *)(void *)plane)[at] = (int16_t)value;
        }
}

static int write_sound(struct output *output, const struct clip *clip, int first) {
    const int block = output->codec->frame_size > 0 ? output->codec->frame_size : 1000;
    AVFrame *frame = av_frame_alloc();
    frame->format = clip->sample_format;
    frame->sample_rate = clip->sample_rate;
    frame->nb_samples = clip->samples - first < block ? clip->samples - first : block;
    av_channel_layout_copy(&frame->ch_layout, &output->codec->ch_layout);
    ck_assert_int_ge(av_frame_get_buffer(frame, 0), 0);
    paint_sound(frame, first);
    frame->pts = first;
    const int samples = frame->nb_samples;
    encode(output, frame);
    av_frame_free(&frame);
    return samples;
}

static void close_output(struct output *output) {
    encode(output, NULL);
    av_bsf_free(&output->filter);
    avcodec_free_context(&output->codec);
    av_packet_free(&output->packet);
}

void clip_make(const struct clip *clip) {
    AVFormatContext *file = NULL;
    av_log_set_level(AV_LOG_QUIET);
    ck_assert_int_ge(avformat_alloc_output_context2(&file, NULL, clip->muxer, clip->path), 0);
    struct output picture = {.file = file, .packet = av_packet_alloc()};
    struct output sound = {.file = file, .packet = av_packet_alloc()};
    if (clip->picture)
        open_picture(&picture, clip);
    if (clip->sound)
        open_sound(&sound, clip);
    ck_assert_int_ge(avio_open(&file->pb, clip->path, AVIO_FLAG_WRITE), 0);
    ck_assert_int_ge(avformat_write_header(file, NULL), 0);
    int number = 0, sample = 0;
    const int pictures = clip->picture ? clip->pictures : 0;
    const int samples = clip->sound ? clip->samples : 0;
    while (number < pictures || sample < samples) {
        const double picture_s = pictures ? number / av_q2d(clip->rate) : 0;
        const double sound_s = samples ? (double)sample / clip->sample_rate : 0;
        if (number < pictures && (sample >= samples || picture_s <= sound_s))
            write_picture(&picture, clip, number++);
        else
            sample += write_sound(&sound, clip, sample);
    }
    if (clip->picture)
        close_output(&picture);
    if (clip->sound)
        close_output(&sound);
    ck_assert_int_ge(av_write_trailer(file), 0);
    avio_closep(&file->pb);
    avformat_free_context(file);
    av_packet_free(&picture.packet);
    av_packet_free(&sound.packet);
}

/* Knowing. */

uint64_t clip_sum_picture(const AVFrame *frame) {
    const AVPixFmtDescriptor *pixels = av_pix_fmt_desc_get(frame->format);
    uint64_t sum = sum_start;
    for (int plane = 0; plane < 4 && frame->data[plane]; plane++) {
        const bool is_chroma = plane == 1 || plane == 2;
        const int height = AV_CEIL_RSHIFT(frame->height, is_chroma ? pixels->log2_chroma_h : 0);
        const int bytes = av_image_get_linesize(frame->format, frame->width, plane);
        if (plane == 1 && (pixels->flags & AV_PIX_FMT_FLAG_PAL)) {
            sum = sum_bytes(sum, frame->data[plane], 1024);
            continue;
        }
        for (int y = 0; y < height; y++)
            sum = sum_bytes(sum, frame->data[plane] + (ptrdiff_t)y * frame->linesize[plane],
                            (size_t)bytes);
    }
    return sum;
}

void clip_add_sound(struct clip_sound *sound, const AVFrame *frame) {
    const int channels = frame->ch_layout.nb_channels;
    const bool is_planar = av_sample_fmt_is_planar(frame->format);
    const size_t bytes = (size_t)av_get_bytes_per_sample(frame->format);
    for (int c = 0; c < channels; c++) {
        if (!sound->samples)
            sound->sum[c] = sum_start;
        for (int s = 0; s < frame->nb_samples; s++) {
            const uint8_t *at = is_planar ? frame->extended_data[c] + (size_t)s * bytes
                                          : frame->extended_data[0] +
                                                ((size_t)s * (size_t)channels + (size_t)c) * bytes;
            sound->sum[c] = sum_bytes(sound->sum[c], at, bytes);
        }
    }
    sound->samples += (uint64_t)frame->nb_samples;
}

bool clip_is_same_sound(const struct clip_sound *a, const struct clip_sound *b) {
    return !memcmp(a, b, sizeof(*a));
}

static void take_frames(AVCodecContext *codec, AVFrame *frame, struct clip_truth *truth) {
    while (avcodec_receive_frame(codec, frame) >= 0) {
        if (codec->codec_type == AVMEDIA_TYPE_AUDIO) {
            clip_add_sound(&truth->sound, frame);
            if (frame->ch_layout.order != AV_CHANNEL_ORDER_UNSPEC)
                av_channel_layout_describe(&frame->ch_layout, truth->layout, sizeof(truth->layout));
            continue;
        }
        ck_assert_int_lt(truth->pictures, 1024);
        truth->picture[truth->pictures].pts = frame->best_effort_timestamp;
        truth->picture[truth->pictures].sum = clip_sum_picture(frame);
        truth->picture[truth->pictures].width = frame->width;
        truth->picture[truth->pictures].height = frame->height;
        truth->pictures++;
    }
}

void clip_decode(const char *path, struct clip_truth *out_truth) {
    AVFormatContext *file = NULL;
    AVCodecContext *codec[2] = {NULL, NULL};
    memset(out_truth, 0, sizeof(*out_truth));
    av_log_set_level(AV_LOG_QUIET);
    ck_assert_int_ge(avformat_open_input(&file, path, NULL, NULL), 0);
    ck_assert_int_ge(avformat_find_stream_info(file, NULL), 0);
    ck_assert_uint_le(file->nb_streams, 2);
    for (unsigned i = 0; i < file->nb_streams; i++) {
        const AVCodecParameters *parameters = file->streams[i]->codecpar;
        codec[i] = avcodec_alloc_context3(avcodec_find_decoder(parameters->codec_id));
        avcodec_parameters_to_context(codec[i], parameters);
        codec[i]->pkt_timebase = file->streams[i]->time_base;
        codec[i]->thread_count = 1;
        ck_assert_int_ge(avcodec_open2(codec[i], NULL, NULL), 0);
    }
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    while (av_read_frame(file, packet) >= 0) {
        avcodec_send_packet(codec[packet->stream_index], packet);
        take_frames(codec[packet->stream_index], frame, out_truth);
        av_packet_unref(packet);
    }
    for (unsigned i = 0; i < file->nb_streams; i++) {
        avcodec_send_packet(codec[i], NULL);
        take_frames(codec[i], frame, out_truth);
        avcodec_free_context(&codec[i]);
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avformat_close_input(&file);
}
