#include "frame_file.h"

#include "still.h"
#include "whole_file.h"

int frame_file_write(const char *path, const AVFrame *frame, int degrees) {
    const struct still_params params = {.type = STILL_PNG};
    struct stills *stills = NULL;
    AVFrame *fit = NULL;
    AVPacket *packet = NULL;
    unsigned changes;
    int error = stills_create(&params, &stills);
    if (!error) {
        error = stills_fit(stills, frame, degrees, &fit, &changes);
    }
    if (!error) {
        error = stills_encode(stills, fit, &packet);
    }
    if (!error) {
        error = whole_file_write(path, packet->data, (size_t)packet->size, false);
    }
    av_packet_free(&packet);
    av_frame_free(&fit);
    stills_destroy(stills);
    return error;
}
