#include "png.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FFmpeg's errors that are not an errno. */
static int to_errno(int error) {
    return error == AVERROR(ENOMEM) ? -ENOMEM : -ENOTSUP;
}

static int encode(const uint8_t *rgb, int line_bytes, int width, int height, AVPacket *packet) {
    const AVCodec *const codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *context = codec ? avcodec_alloc_context3(codec) : NULL;
    AVFrame *frame = av_frame_alloc();
    int error = context && frame ? 0 : AVERROR(ENOSYS);
    if (!error) {
        context->width = frame->width = width;
        context->height = frame->height = height;
        context->pix_fmt = AV_PIX_FMT_RGB24;
        frame->format = AV_PIX_FMT_RGB24;
        context->time_base = (AVRational){1, 1};
        error = av_frame_get_buffer(frame, 0);
    }
    if (!error) {
        av_image_copy_plane(frame->data[0], frame->linesize[0], rgb, line_bytes, width * 3, height);
        error = avcodec_open2(context, codec, NULL);
    }
    if (!error) {
        error = avcodec_send_frame(context, frame);
    }
    if (!error) {
        error = avcodec_receive_packet(context, packet);
    }
    av_frame_free(&frame);
    avcodec_free_context(&context);
    return error ? to_errno(error) : 0;
}

static int write_file(const char *path, const uint8_t *data, size_t bytes) {
    FILE *const file = fopen(path, "wb");
    if (!file) {
        return -errno;
    }
    int error = fwrite(data, 1, bytes, file) == bytes ? 0 : -errno;
    if (fclose(file) != 0 && !error) {
        error = -errno;
    }
    return error;
}

int png_write(const char *path, const uint8_t *rgb, int line_bytes, int width, int height) {
    char *part = NULL;
    AVPacket *packet = av_packet_alloc();
    int error = packet && asprintf(&part, "%s.part", path) >= 0 ? 0 : -ENOMEM;
    if (!error) {
        error = encode(rgb, line_bytes, width, height, packet);
    }
    if (!error) {
        error = write_file(part, packet->data, (size_t)packet->size);
        if (!error && rename(part, path) != 0) {
            error = -errno;
        }
        if (error) {
            remove(part);
        }
    }
    free(part);
    av_packet_free(&packet);
    return error;
}
