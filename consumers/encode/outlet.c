#include "outlet.h"

#include "fault.h"
#include "output.h"
#include "segment_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NAMES_TRIED_MAX = 100000 };

struct outlet {
    const struct recording_params *params;
    const struct container *container;
    AVIOInterruptCB interrupt;
    struct recording_stream stream[RECORDING_STREAMS_MAX];
    AVCodecParameters *parameters[RECORDING_STREAMS_MAX];
    char *name[RECORDING_STREAMS_MAX];
    uint32_t streams;
    struct output *output;
    int64_t zero_ns;
    uint32_t number;   /* of the last file, in names */
    uint32_t segments; /* files begun */
    uint64_t bytes;    /* of those that are closed */
    uint64_t late;
    char path[RECORDING_PATH_BYTES];
    char path_before[RECORDING_PATH_BYTES];
};

struct outlet *outlet_create(const struct recording_params *params,
                             const struct container *container, AVIOInterruptCB interrupt) {
    struct outlet *outlet = calloc(1, sizeof(*outlet));
    if (!outlet)
        return NULL;
    outlet->params = params;
    outlet->container = container;
    outlet->interrupt = interrupt;
    return outlet;
}

static void forget_streams(struct outlet *outlet) {
    for (uint32_t i = 0; i < outlet->streams; i++) {
        avcodec_parameters_free(&outlet->parameters[i]);
        free(outlet->name[i]);
    }
    outlet->streams = 0;
}

void outlet_destroy(struct outlet *outlet) {
    if (!outlet)
        return;
    forget_streams(outlet);
    free(outlet);
}

static struct output_params make_params(const struct outlet *outlet, const char *path) {
    return (struct output_params){
        .container = outlet->container,
        .path = path,
        .options = outlet->params->options,
        .streams = outlet->stream,
        .stream_count = outlet->streams,
        .sdp = outlet->params->sdp,
        .is_overwriting = outlet->params->is_overwriting,
        .interrupt = outlet->interrupt,
    };
}

int outlet_set_streams(struct outlet *outlet, const struct recording_stream *streams,
                       uint32_t count) {
    forget_streams(outlet);
    for (uint32_t i = 0; i < count; i++) {
        outlet->parameters[i] = avcodec_parameters_alloc();
        outlet->name[i] = streams[i].name ? strdup(streams[i].name) : NULL;
        outlet->streams++;
        if (!outlet->parameters[i] ||
            avcodec_parameters_copy(outlet->parameters[i], streams[i].parameters) < 0)
            return fault_set(-ENOMEM, "no memory for a recording");
        outlet->stream[i] = streams[i];
        outlet->stream[i].parameters = outlet->parameters[i];
        outlet->stream[i].name = outlet->name[i];
    }
    const bool is_standard_output = outlet->container->road == CONTAINER_FLOW;
    const struct output_params params =
        make_params(outlet, is_standard_output ? NULL : outlet->container->path);
    return output_check(&params);
}

/* Names. */

static bool is_row(const struct outlet *outlet) {
    return outlet->params->segment_ns || outlet->params->segment_bytes ||
           segment_name_has_number(outlet->container->path);
}

/* Later files of what was to be one file come of a change of format or a split. */
static enum segment_name_addition choose_addition(const struct outlet *outlet) {
    return is_row(outlet) || outlet->segments > 0 ? SEGMENT_NAME_NUMBER : SEGMENT_NAME_NOTHING;
}

static int open_named(struct outlet *outlet) {
    const enum segment_name_addition addition = choose_addition(outlet);
    const bool may_pass_over = addition != SEGMENT_NAME_NOTHING && !outlet->params->is_overwriting;
    char last[RECORDING_PATH_BYTES] = "";
    for (int tries = 0; tries < NAMES_TRIED_MAX; tries++) {
        char path[RECORDING_PATH_BYTES];
        int result = segment_name_make(outlet->container->path, addition, outlet->number + 1,
                                       time(NULL), path);
        if (result < 0)
            return result;
        outlet->number++;
        /* A file of our own is not to be replaced by the next: names by time may not differ. */
        if (strcmp(path, outlet->path) == 0 || strcmp(path, last) == 0)
            continue;
        snprintf(last, sizeof(last), "%s", path);
        const struct output_params params = make_params(outlet, path);
        result = output_open(&params, &outlet->output);
        if (result == -EEXIST && may_pass_over)
            continue;
        return result;
    }
    return fault_set(-EEXIST, "%s: all names are taken", outlet->container->path);
}

/* Muxers that open files themselves may do so late, and tell nothing. */
static int check_folder(const struct container *container) {
    char folder[RECORDING_PATH_BYTES];
    if (container->road != CONTAINER_SELF || container->is_network)
        return 0;
    const char *slash = strrchr(container->path, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - container->path) + 1 : 1,
             slash ? container->path : ".");
    if (access(folder, W_OK) == 0)
        return 0;
    return fault_set(-errno, "%s cannot be written: %s%s", container->path,
                     fault_describe(AVERROR(errno)),
                     errno == ENOENT ? " (make its directory first)" : "");
}

static int open_flow(struct outlet *outlet) {
    const int result = check_folder(outlet->container);
    if (result < 0)
        return result;
    const bool is_standard_output = outlet->container->road == CONTAINER_FLOW;
    const struct output_params params =
        make_params(outlet, is_standard_output ? NULL : outlet->container->path);
    return output_open(&params, &outlet->output);
}

/* What has been begun, and is ended. */

static void count_begun(struct outlet *outlet, const char *path) {
    outlet->segments++;
    memcpy(outlet->path_before, outlet->path, sizeof(outlet->path));
    snprintf(outlet->path, sizeof(outlet->path), "%s", path);
}

static int end_output(struct outlet *outlet, struct output *output, int error) {
    struct output_end end;
    const int result = output_close(output, error, &end);
    outlet->bytes += end.bytes;
    if (end.is_removed) {
        outlet->segments--;
        memcpy(outlet->path, outlet->path_before, sizeof(outlet->path));
    }
    return result;
}

int outlet_open(struct outlet *outlet, int64_t zero_ns) {
    const int result =
        outlet->container->road == CONTAINER_FILE ? open_named(outlet) : open_flow(outlet);
    if (result < 0)
        return result;
    outlet->zero_ns = zero_ns;
    count_begun(outlet, output_path(outlet->output));
    return 0;
}

/* Writing. */

/* Sound that begins within a packet of the cut may stand a little before it. */
static bool is_before_start(const struct outlet *outlet, const AVPacket *packet, int64_t zero) {
    const enum AVMediaType kind = outlet->stream[packet->stream_index].parameters->codec_type;
    return outlet->zero_ns > 0 && kind == AVMEDIA_TYPE_AUDIO && packet->pts < zero;
}

static int write_from(struct outlet *outlet, struct output *output, AVPacket *packet) {
    const AVRational time_base = outlet->stream[packet->stream_index].time_base;
    const int64_t zero = av_rescale_q(outlet->zero_ns, (AVRational){1, 1000000000}, time_base);
    if (is_before_start(outlet, packet, zero)) {
        outlet->late++;
        return 0;
    }
    packet->pts -= zero;
    packet->dts -= zero;
    return output_write(output, packet);
}

int outlet_write(struct outlet *outlet, AVPacket *packet) {
    return write_from(outlet, outlet->output, packet);
}

int outlet_close(struct outlet *outlet, int error) {
    if (!outlet->output)
        return error;
    const int result = end_output(outlet, outlet->output, error);
    outlet->output = NULL;
    return result;
}

uint64_t outlet_moved(const struct outlet *outlet) {
    return outlet->bytes + (outlet->output ? output_moved(outlet->output) : 0);
}

bool outlet_is_open(const struct outlet *outlet) {
    return outlet->output;
}

/* Saving. */

int outlet_name_save(struct outlet *outlet, char out_path[RECORDING_PATH_BYTES]) {
    const bool is_numbered = segment_name_has_number(outlet->container->path);
    for (uint32_t i = 1; i < NAMES_TRIED_MAX; i++) {
        char path[RECORDING_PATH_BYTES];
        const int result = segment_name_make(outlet->container->path, SEGMENT_NAME_TIME,
                                             is_numbered ? ++outlet->number : i, time(NULL), path);
        if (result < 0)
            return result;
        const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return fault_set(-errno, "%s cannot be written: %s%s", path,
                             fault_describe(AVERROR(errno)),
                             errno == ENOENT ? " (make its directory first)" : "");
        close(fd);
        memcpy(out_path, path, sizeof(path));
        return 0;
    }
    return fault_set(-EEXIST, "%s: all names are taken", outlet->container->path);
}

int outlet_try_save(struct outlet *outlet) {
    char path[RECORDING_PATH_BYTES];
    const uint32_t number = outlet->number;
    const int result = outlet_name_save(outlet, path);
    outlet->number = number;
    return result < 0 ? result : unlink(path);
}

int outlet_save(struct outlet *outlet, const struct replay *replay, const char *path) {
    struct output_params params = make_params(outlet, path);
    params.is_overwriting = true; /* what was made to have the name */
    struct output *output;
    AVPacket *packet = av_packet_alloc();
    int result =
        packet ? output_open(&params, &output) : fault_set(-ENOMEM, "no memory for a recording");
    if (result < 0) {
        av_packet_free(&packet);
        return result;
    }
    count_begun(outlet, path);
    for (uint32_t i = 0; i < replay_count(replay) && result == 0; i++) {
        int64_t ns;
        result = av_packet_ref(packet, replay_packet(replay, i, &ns));
        if (i == 0)
            outlet->zero_ns = ns;
        if (result == 0)
            result = write_from(outlet, output, packet);
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return end_output(outlet, output, result);
}

void outlet_state(const struct outlet *outlet, struct recording_state *state) {
    state->segment_bytes = outlet->output ? output_bytes(outlet->output) : 0;
    state->bytes = outlet->bytes + state->segment_bytes;
    state->segments = outlet->segments;
    state->late = outlet->late;
    snprintf(state->path, sizeof(state->path), "%s", outlet->path);
}
