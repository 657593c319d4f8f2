#include "track.h"

#include <libavutil/mathematics.h>

static const AVRational ns_unit = {1, 1000000000};

int track_take_packet(void *user, AVPacket *packet) {
    struct track *track = user;
    packet->stream_index = (int)track->index;
    packet->time_base = track->time_base;
    if (packet->duration <= 0 && track->tick_ns > 0)
        packet->duration = av_rescale_q(track->tick_ns, ns_unit, track->time_base);
    return recording_write(track->recording, packet);
}

int track_open(struct track *track) {
    return track->format.kind == SHMFRAME_VIDEO ? track_picture_open(track)
                                                : track_sound_open(track);
}

int track_put(struct track *track, struct track_frame *frame) {
    const int result = track->format.kind == SHMFRAME_VIDEO ? track_picture_put(track, frame)
                                                            : track_sound_put(track, frame);
    av_frame_free(&frame->frame);
    return result;
}

static void close_encoder(struct track *track) {
    if (track->encoder)
        track->counters.raw_in_place += encoder_raw_in_place(track->encoder);
    encoder_destroy(track->encoder);
    track->encoder = NULL;
    av_frame_free(&track->shape);
    swr_free(&track->resampler);
    scaler_destroy(track->scaler);
    track->scaler = NULL;
    av_audio_fifo_free(track->gathered);
    track->gathered = NULL;
}

int track_flush(struct track *track) {
    int result = 0;
    if (!track->encoder)
        return 0;
    if (track->format.kind == SHMFRAME_AUDIO)
        result = track_sound_flush(track);
    if (result >= 0)
        result = encoder_send(track->encoder, NULL, track_take_packet, track);
    close_encoder(track);
    return result < 0 ? result : 0;
}

void track_close(struct track *track) {
    close_encoder(track);
}

struct recording_stream track_describe(const struct track *track) {
    const struct shmframe_rational rate = track->format.video.frame_rate;
    const bool has_rate = track->format.kind == SHMFRAME_VIDEO && rate.num > 0;
    return (struct recording_stream){
        .parameters = encoder_parameters(track->encoder),
        .time_base = track->time_base,
        .frame_rate = has_rate ? (AVRational){rate.num, rate.den} : (AVRational){0, 1},
        .name = track->stream,
        .rotation_degrees = track->format.video.rotation_degrees,
        .hdr = track->format.video.hdr,
    };
}

int64_t track_duration_ns(const struct track *track, const AVFrame *frame) {
    if (frame->nb_samples > 0)
        return av_rescale(frame->nb_samples, 1000000000, frame->sample_rate);
    return track->tick_ns;
}
