#include "png.h"

#include "still.h"
#include "whole_file.h"

#include <errno.h>

int png_write(const char *path, const uint8_t *rgb, int line_bytes, int width, int height) {
    const struct still_params params = {.type = STILL_PNG};
    struct stills *stills = NULL;
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = NULL;
    int result = frame ? stills_create(&params, &stills) : -ENOMEM;
    if (result == 0) {
        frame->format = AV_PIX_FMT_RGB24;
        frame->width = width;
        frame->height = height;
        /* Without a buffer of its own, it is copied by whoever keeps it. */
        frame->data[0] = (uint8_t *)rgb;
        frame->linesize[0] = line_bytes;
        result = stills_encode(stills, frame, &packet);
    }
    if (result == 0)
        result = whole_file_write(path, packet->data, (size_t)packet->size, true);
    av_packet_free(&packet);
    av_frame_free(&frame);
    stills_destroy(stills);
    return result;
}
