#include "material.h"

#include <check.h>
#include <ftw.h>
#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUM_START UINT64_C(14695981039346656037)

static uint64_t sum_bytes(uint64_t sum, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
    return sum;
}

/* Making. */

struct material {
    struct material_params params;
    struct recording *recording;
    AVCodecContext *picture, *sound;
    AVPacket *packet;
    AVFrame *frame;
    int64_t steps, pictures, samples;
    int result;
};

static AVCodecContext *open_picture(const struct material *material) {
    const struct material_params *params = &material->params;
    const AVCodec *codec = avcodec_find_encoder_by_name(params->picture);
    ck_assert_msg(codec != NULL, "no encoder %s", params->picture);
    AVCodecContext *context = avcodec_alloc_context3(codec);
    context->width = params->width ? params->width : 64;
    context->height = params->height ? params->height : 48;
    context->pix_fmt = AV_PIX_FMT_YUV420P;
    context->time_base = (AVRational){1, MATERIAL_RATE};
    context->framerate = (AVRational){MATERIAL_RATE, 1};
    context->gop_size = params->gop ? params->gop : 100000;
    context->max_b_frames = params->b_frames;
    context->thread_count = 1;
    context->qmin = context->qmax = params->is_noise ? 1 : context->qmax;
    if (recording_format(material->recording)->flags & AVFMT_GLOBALHEADER)
        context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    AVDictionary *options = NULL;
    av_dict_set(&options, "preset", "ultrafast", 0);
    av_dict_set(&options, "forced-idr", "1", 0);
    ck_assert_int_ge(avcodec_open2(context, codec, &options), 0);
    av_dict_free(&options);
    return context;
}

static AVCodecContext *open_sound(const struct material *material) {
    const AVCodec *codec = avcodec_find_encoder_by_name(material->params.sound);
    ck_assert_msg(codec != NULL, "no encoder %s", material->params.sound);
    AVCodecContext *context = avcodec_alloc_context3(codec);
    context->sample_fmt = codec->sample_fmts[0];
    context->sample_rate = MATERIAL_SAMPLE_RATE;
    context->time_base = (AVRational){1, MATERIAL_SAMPLE_RATE};
    av_channel_layout_default(&context->ch_layout, 1);
    if (recording_format(material->recording)->flags & AVFMT_GLOBALHEADER)
        context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    ck_assert_int_ge(avcodec_open2(context, codec, NULL), 0);
    return context;
}

int material_set_streams(struct material *material) {
    struct recording_stream streams[2];
    AVCodecParameters *parameters[2];
    AVCodecContext *const contexts[] = {material->picture, material->sound};
    uint32_t count = 0;
    for (int i = 0; i < 2; i++) {
        if (!contexts[i])
            continue;
        parameters[count] = avcodec_parameters_alloc();
        ck_assert_int_ge(avcodec_parameters_from_context(parameters[count], contexts[i]), 0);
        streams[count] = (struct recording_stream){
            .parameters = parameters[count],
            .time_base = contexts[i]->time_base,
            .frame_rate = i == 0 ? contexts[i]->framerate : (AVRational){0, 1},
            .name = i == 0 ? "picture" : "sound",
        };
        count++;
    }
    const int result = recording_set_streams(material->recording, streams, count);
    for (uint32_t i = 0; i < count; i++)
        avcodec_parameters_free(&parameters[i]);
    return result;
}

struct material *material_begin(const struct material_params *params, struct recording *recording) {
    struct material *material = calloc(1, sizeof(*material));
    material->params = *params;
    material->recording = recording;
    if (params->picture)
        material->picture = open_picture(material);
    if (params->sound)
        material->sound = open_sound(material);
    material->packet = av_packet_alloc();
    material->frame = av_frame_alloc();
    material->result = material_set_streams(material);
    return material;
}

static void encode(struct material *material, AVCodecContext *context, AVFrame *frame) {
    ck_assert_int_ge(avcodec_send_frame(context, frame), 0);
    while (avcodec_receive_packet(context, material->packet) >= 0) {
        material->packet->stream_index = context == material->sound && material->picture ? 1 : 0;
        if (!material->packet->duration && context == material->picture)
            material->packet->duration = 1;
        const int result = recording_write(material->recording, material->packet);
        if (material->result == 0)
            material->result = result;
    }
    if (frame)
        av_frame_unref(frame);
}

/* Each picture differs from the others; with noise it is nothing but different. */
static void encode_picture(struct material *material) {
    AVFrame *frame = material->frame;
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = material->picture->width;
    frame->height = material->picture->height;
    ck_assert_int_ge(av_frame_get_buffer(frame, 0), 0);
    uint32_t noise = (uint32_t)material->pictures * 2654435761u + 1;
    for (int plane = 0; plane < 3; plane++)
        for (int y = 0; y < (plane ? frame->height / 2 : frame->height); y++)
            for (int x = 0; x < (plane ? frame->width / 2 : frame->width); x++) {
                noise = noise * 1664525u + 1013904223u;
                frame->data[plane][y * frame->linesize[plane] + x] =
                    (uint8_t)(material->params.is_noise ? noise >> 24
                                                        : x + y + 3 * material->pictures);
            }
    frame->pts = material->pictures++;
    const int64_t ns =
        av_rescale_q(frame->pts, material->picture->time_base, (AVRational){1, 1000000000});
    frame->pict_type =
        recording_wants_key(material->recording, ns) ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    encode(material, material->picture, frame);
}

static void encode_sound(struct material *material, int64_t until) {
    const int block = material->sound->frame_size ? material->sound->frame_size : 960;
    while (material->samples + block <= until) {
        AVFrame *frame = material->frame;
        frame->format = material->sound->sample_fmt;
        frame->nb_samples = block;
        frame->sample_rate = MATERIAL_SAMPLE_RATE;
        av_channel_layout_default(&frame->ch_layout, 1);
        ck_assert_int_ge(av_frame_get_buffer(frame, 0), 0);
        for (int i = 0; i < block; i++) {
            const int64_t n = material->samples + i;
            const int level = (int)(n * n / 7919 % 16000) - 8000;
            if (av_get_packed_sample_fmt(frame->format) == AV_SAMPLE_FMT_FLT)
                ((float *)(void *)frame->data[0])[i] = (float)level / 32768;
            else
                ((int16_t *)(void *)frame->data[0])[i] = (int16_t)level;
        }
        frame->pts = material->samples;
        material->samples += block;
        encode(material, material->sound, frame);
    }
}

int material_step_sound(struct material *material) {
    static const int64_t samples_a_picture = MATERIAL_SAMPLE_RATE / MATERIAL_RATE;
    material->steps++;
    if (material->sound)
        encode_sound(material, material->steps * samples_a_picture);
    return material->result;
}

int material_step(struct material *material) {
    if (material->picture) {
        material->pictures = material->steps;
        encode_picture(material);
    }
    return material_step_sound(material);
}

int material_end(struct material *material) {
    if (material->picture && material->result == 0)
        encode(material, material->picture, NULL);
    if (material->sound && material->result == 0)
        encode(material, material->sound, NULL);
    const int result = material->result;
    avcodec_free_context(&material->picture);
    avcodec_free_context(&material->sound);
    av_packet_free(&material->packet);
    av_frame_free(&material->frame);
    free(material);
    return result;
}

int material_write(const struct material_params *params, struct recording *recording) {
    struct material *material = material_begin(params, recording);
    const int steps = (int)(params->seconds * MATERIAL_RATE + 0.5);
    for (int i = 0; i < steps && material->result == 0; i++)
        material_step(material);
    return material_end(material);
}

/* Reading. */

static int64_t to_us(int64_t stamp, AVRational time_base) {
    return av_rescale_q(stamp, time_base, (AVRational){1, 1000000});
}

static void add_frame(struct material_content *content, const AVCodecContext *codec,
                      const AVFrame *frame) {
    ck_assert_int_eq(frame->flags & AV_FRAME_FLAG_CORRUPT, 0);
    ck_assert_int_eq(frame->decode_error_flags, 0);
    if (codec->codec_type == AVMEDIA_TYPE_AUDIO) {
        const size_t bytes =
            (size_t)frame->nb_samples * (size_t)av_get_bytes_per_sample(frame->format);
        content->sound_sum = sum_bytes(content->sound_sum, frame->data[0], bytes);
        content->samples += (uint64_t)frame->nb_samples;
        return;
    }
    for (int plane = 0; plane < 3; plane++)
        for (int y = 0; y < (plane ? frame->height / 2 : frame->height); y++)
            content->picture_sum =
                sum_bytes(content->picture_sum, frame->data[plane] + y * frame->linesize[plane],
                          (size_t)(plane ? frame->width / 2 : frame->width));
}

static void decode(struct material_content *content, AVCodecContext *codec, const AVPacket *packet,
                   AVFrame *frame) {
    ck_assert_int_ge(avcodec_send_packet(codec, packet), 0);
    int result;
    while ((result = avcodec_receive_frame(codec, frame)) >= 0)
        add_frame(content, codec, frame);
    ck_assert(result == AVERROR(EAGAIN) || result == AVERROR_EOF);
}

static void note_packet(struct material_content *content, const AVStream *stream,
                        const AVPacket *packet, int64_t *dts) {
    const int64_t us = to_us(packet->pts, stream->time_base);
    ck_assert_msg(*dts == AV_NOPTS_VALUE || packet->dts > *dts, "dts %lld after %lld",
                  (long long)packet->dts, (long long)*dts);
    *dts = packet->dts;
    if (stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) {
        if (content->sounds++ == 0)
            content->first_sound_us = us;
        content->end_sound_us = us + to_us(packet->duration, stream->time_base);
        return;
    }
    if (content->pictures++ == 0)
        ck_assert_msg(packet->flags & AV_PKT_FLAG_KEY, "the first picture is no key frame");
    if (content->pictures == 1 || us < content->first_picture_us)
        content->first_picture_us = us;
    if (us > content->last_picture_us)
        content->last_picture_us = us;
}

void material_read_more(const char *path, struct material_content *content) {
    AVFormatContext *file = NULL;
    int result = avformat_open_input(&file, path, NULL, NULL);
    ck_assert_msg(result == 0, "%s: %s", path, av_err2str(result));
    ck_assert_int_ge(avformat_find_stream_info(file, NULL), 0);
    snprintf(content->format, sizeof(content->format), "%s", file->iformat->name);
    AVCodecContext *codec[4] = {0};
    int64_t dts[4];
    ck_assert_uint_le(file->nb_streams, 4);
    for (unsigned i = 0; i < file->nb_streams; i++) {
        const AVCodecParameters *parameters = file->streams[i]->codecpar;
        codec[i] = avcodec_alloc_context3(avcodec_find_decoder(parameters->codec_id));
        ck_assert_int_ge(avcodec_parameters_to_context(codec[i], parameters), 0);
        codec[i]->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK | AV_EF_BITSTREAM;
        ck_assert_int_ge(avcodec_open2(codec[i], NULL, NULL), 0);
        dts[i] = AV_NOPTS_VALUE;
    }
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    while ((result = av_read_frame(file, packet)) >= 0) {
        const int i = packet->stream_index;
        note_packet(content, file->streams[i], packet, &dts[i]);
        decode(content, codec[i], packet, frame);
        av_packet_unref(packet);
    }
    ck_assert_msg(result == AVERROR_EOF, "%s: %s", path, av_err2str(result));
    for (unsigned i = 0; i < file->nb_streams; i++) {
        decode(content, codec[i], NULL, frame);
        avcodec_free_context(&codec[i]);
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avformat_close_input(&file);
}

void material_read(const char *path, struct material_content *out_content) {
    *out_content = (struct material_content){.picture_sum = SUM_START, .sound_sum = SUM_START};
    material_read_more(path, out_content);
}

/* Folder. */

static char folder[64];

void material_make_folder(void) {
    snprintf(folder, sizeof(folder), "/tmp/shmframe-recording.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

const char *material_path(const char *name) {
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static int remove_one(const char *path, const struct stat *what, int kind, struct FTW *place) {
    (void)what;
    (void)kind;
    (void)place;
    return remove(path);
}

void material_remove_folder(void) {
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
