#include "recording.h"

#include "fault.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recording {
    struct recording_params params;
    struct container container;
    struct recording_stream stream[RECORDING_STREAMS_MAX];
    uint32_t streams;
    struct output *output;
    struct recording_state state;
    int error;
};

const char *recording_error(void) {
    return fault_text();
}

static int is_interrupted(void *user) {
    (void)user;
    return program_is_stopping();
}

int recording_create(const struct recording_params *params, struct recording **out_recording) {
    struct recording *recording = calloc(1, sizeof(*recording));
    if (!recording)
        return fault_set(-ENOMEM, "no memory for a recording");
    recording->params = *params;
    const int result = container_choose(params->target, params->container, &recording->container);
    if (result < 0) {
        free(recording);
        return result;
    }
    *out_recording = recording;
    return 0;
}

const AVOutputFormat *recording_format(const struct recording *recording) {
    return recording->container.format;
}

int recording_set_streams(struct recording *recording, const struct recording_stream *streams,
                          uint32_t count) {
    const struct output_params params = {
        .container = &recording->container,
        .path = recording->container.road == CONTAINER_FLOW ? NULL : recording->container.path,
        .options = recording->params.options,
        .streams = streams,
        .stream_count = count,
        .sdp = recording->params.sdp,
        .is_overwriting = recording->params.is_overwriting,
        .interrupt = {is_interrupted, recording},
    };
    int result = output_check(&params);
    if (result == 0)
        result = output_open(&params, &recording->output);
    return result;
}

bool recording_wants_key(struct recording *recording, int64_t time_ns) {
    (void)recording;
    (void)time_ns;
    return false;
}

int recording_write(struct recording *recording, AVPacket *packet) {
    if (!recording->output)
        recording->error = fault_set(-EPIPE, "the recording has not begun");
    else if (recording->error == 0)
        recording->error = output_write(recording->output, packet);
    av_packet_unref(packet);
    return recording->error;
}

int recording_finish(struct recording *recording) {
    if (recording->output)
        recording->error = output_close(recording->output, recording->error);
    recording->output = NULL;
    return recording->error;
}

void recording_destroy(struct recording *recording) {
    if (!recording)
        return;
    recording_finish(recording);
    free(recording);
}
