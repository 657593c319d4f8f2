/* How a run begins: what the container carries of what was named, what that has to become, and who
 * reads it. */
#include "pipe_run.h"

#include "consumer.h"
#include "progress.h"
#include "wav.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

enum { LOOK_MS = 50 }; /* between two looks for a FIFO's reader */

/* Sound comes in short blocks, and a pipe's reader in long steps. */
enum { PICTURES_DEPTH = 8, SOUND_DEPTH = 64 };

bool pipe_run_knows_samples(const char *sample_format) {
    return wav_can_carry(sample_format);
}

static bool is_alone(enum pipe_container_kind kind) {
    return kind != PIPE_NUT;
}

/* What of the selection a container of one stream carries. */
static uint32_t choose_kind(const struct pipe_run *run, const struct selection *selection) {
    if (run->container.kind == PIPE_Y4M)
        return SHMFRAME_VIDEO;
    if (run->container.kind == PIPE_WAV)
        return SHMFRAME_AUDIO;
    return selection->stream[0].kind;
}

/* Leaves out what a container has no place for, if that is clear. */
static void narrow(const struct pipe_run *run, const struct selection *from,
                   struct selection *out_selection) {
    *out_selection = *from;
    if (run->container.kind == PIPE_NONE || !is_alone(run->container.kind))
        return;
    const uint32_t kind = choose_kind(run, from);
    const char *name = pipe_container_name(run->container.kind);
    out_selection->count = 0;
    for (uint32_t i = 0; i < from->count; i++)
        if (from->stream[i].kind == kind)
            out_selection->stream[out_selection->count++] = from->stream[i];
    if (out_selection->count == 0)
        program_fail_usage("%s carries %s only, and %s is none", name,
                           kind == SHMFRAME_VIDEO ? "pictures" : "sound", from->stream[0].name);
    if (out_selection->count > 1)
        program_fail_usage("%s carries one stream: name %s or %s, or take --as nut", name,
                           out_selection->stream[0].name, out_selection->stream[1].name);
    if (from->count > 1)
        program_warn("%s carries one stream: %s alone of %" PRIu32, name,
                     out_selection->stream[0].name, from->count);
}

/* Opening. */

static bool open_lane(struct pipe_run *run, uint32_t index, const struct selected_stream *stream) {
    struct shmframe_reader_params params = consumer_reader_params(stream->name);
    const bool is_latest = consumer_settings.policy && params.policy == SHMFRAME_LATEST;
    if (!params.depth && !is_latest)
        params.depth = stream->kind == SHMFRAME_AUDIO ? SOUND_DEPTH : PICTURES_DEPTH;
    run->lane[index].index = index;
    run->lane[index].source = sources_add(&run->sources, &params);
    return run->lane[index].source;
}

/* Sounds first: a producer that waits for readers waits for those of its pictures. */
static bool open_lanes(struct pipe_run *run, const struct selection *selection) {
    run->lanes = selection->count;
    for (uint32_t i = selection->count; i-- > 0;)
        if (!open_lane(run, i, &selection->stream[i]))
            return false;
    return true;
}

/* What the frames have to become, and whether that is allowed. */
static void adapt_lane(struct pipe_run *run, struct pipe_lane *lane) {
    const struct shmframe_format *format = shmframe_reader_format(lane->source->reader);
    const bool is_picture = format->kind == SHMFRAME_VIDEO;
    const char *from = is_picture ? format->video.pixel_format : format->audio.sample_format;
    const char *to = is_picture ? run->pixel_format : run->sample_format;
    const char *container = pipe_container_name(run->container.kind);
    struct shmframe_format wanted = *format;
    if (to) {
        char *name = is_picture ? wanted.video.pixel_format : wanted.audio.sample_format;
        strcpy(name, to);
    }
    const char *carried = pipe_container_adapt(run->container.kind, &wanted);
    /* Channels that are moved together keep their values. */
    if (carried && to)
        program_fail_usage("%s does not carry %s; %s would be the nearest", container, to, carried);
    if (carried && is_picture && run->is_exact)
        program_fail("%s does not carry %s, the pixels of %s: take --as nut, or leave --exact out",
                     container, from, lane->source->stream);
    if (carried && is_picture)
        program_warn("%s: %s does not carry %s: converted to %s", lane->source->stream, container,
                     from, carried);
    if (pipe_lane_open(lane, lane->source, carried ? carried : to) < 0)
        program_fail("%s cannot become %s here", lane->source->stream, carried ? carried : to);
    run->container.format[lane->index] = &lane->adapter.format;
}

static void adapt_lanes(struct pipe_run *run) {
    const struct shmframe_format *first = shmframe_reader_format(run->lane[0].source->reader);
    if (run->container.kind == PIPE_NONE) {
        struct shmframe_format wanted = *first;
        if (run->pixel_format && wanted.kind == SHMFRAME_VIDEO)
            strcpy(wanted.video.pixel_format, run->pixel_format);
        run->container.kind = run->lanes > 1 ? PIPE_NUT : pipe_container_find_by_format(&wanted);
    }
    for (uint32_t i = 0; i < run->lanes; i++)
        adapt_lane(run, &run->lane[i]);
    run->container.streams = run->lanes;
}

/* Until a reader is there; what the streams send meanwhile is nobody's. False: asked to stop. */
static bool wait_for_reader(struct pipe_run *run) {
    int result;
    while ((result = pipe_run_open_outlet(run)) == -ENXIO && !program_is_stopping()) {
        progress_update("waiting for a reader of %s", run->path);
        struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
        poll(&stop, 1, LOOK_MS);
        shmframe_session_dispatch(run->sources.session);
    }
    progress_clear();
    return result == 0;
}

bool pipe_run_open(struct pipe_run *run, const struct selection *selection) {
    struct selection narrowed;
    run->outlet = (struct pipe_outlet){.path = run->path, .fd = -1};
    narrow(run, selection, &narrowed);
    if (!wait_for_reader(run))
        return false;
    if (!open_lanes(run, &narrowed))
        return false;
    adapt_lanes(run);
    run->start_ns = shmframe_now_ns();
    run->end_ns = consumer_end_ns();
    return true;
}
