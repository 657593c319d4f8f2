#include "recording.h"

#include "recording_thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

/* What may be on its way to the target. */
#define QUEUE_BYTES_MAX (UINT64_C(256) << 20)
#define QUEUE_NS_MAX    (10 * SECOND_NS)

#define KEEP_BYTES_DEFAULT (UINT64_C(1) << 30)
#define KEEP_KEY_NS        (2 * SECOND_NS) /* so exactly a replay begins where it should */
#define KEY_PATIENCE_NS    (5 * SECOND_NS) /* a key frame that did not come is asked for again */
#define LEADER_PATIENCE_NS (2 * SECOND_NS) /* a picture that stands still is not waited for */
#define CONNECT_NS         (SECOND_NS / 4) /* what comes about so soon is known from the start */

const char *recording_error(void) {
    return fault_text();
}

/* Life. */

static bool is_in_files(const struct container *container) {
    return container->road == CONTAINER_FILE;
}

static int check_params(const struct recording_params *params, const struct container *container) {
    const bool is_in_segments = params->segment_ns || params->segment_bytes;
    if (is_in_segments && params->keep_ns)
        return fault_set(-EINVAL, "--keep writes nothing until it is saved: it cannot go with "
                                  "--segment or --segment-size");
    if ((is_in_segments || params->keep_ns) && !is_in_files(container))
        return fault_set(-EINVAL, "%s is one flow: --segment, --segment-size and --keep need files",
                         params->target);
    if (params->is_reconnecting && !container->is_network)
        return fault_set(-EINVAL, "--reconnect is for the network, not for %s", params->target);
    if (params->keep_bytes && !params->keep_ns)
        return fault_set(-EINVAL, "--keep-size goes with --keep");
    return 0;
}

static void init_locks(struct recording *recording) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&recording->work, &monotonic);
    pthread_cond_init(&recording->room, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&recording->lock, NULL);
}

static int create_parts(struct recording *recording) {
    const struct recording_params *params = &recording->params;
    recording->outlet = outlet_create(params, &recording->container,
                                      (AVIOInterruptCB){recording_is_interrupted, recording});
    if (params->keep_ns)
        recording->replay = replay_create(params->keep_ns, params->keep_bytes ? params->keep_bytes
                                                                              : KEEP_BYTES_DEFAULT);
    if (!recording->outlet || (params->keep_ns && !recording->replay))
        return fault_set(-ENOMEM, "no memory for a recording");
    return 0;
}

int recording_create(const struct recording_params *params, struct recording **out_recording) {
    struct recording *recording = calloc(1, sizeof(*recording));
    if (!recording)
        return fault_set(-ENOMEM, "no memory for a recording");
    recording->params = *params;
    init_locks(recording);
    int result = container_choose(params->target, params->container, &recording->container);
    if (result == 0)
        result = check_params(params, &recording->container);
    if (result == 0)
        result = create_parts(recording);
    if (result < 0) {
        recording_destroy(recording);
        return result;
    }
    recording->cut_ns = recording->key_ns = INT64_MAX;
    recording->first_ns = recording->end_ns = INT64_MIN;
    recording->asked_ns = recording->silent_ns = INT64_MIN;
    recording->period_ns =
        recording->replay ? KEEP_KEY_NS : container_key_ns(&recording->container, params->options);
    *out_recording = recording;
    return 0;
}

void recording_destroy(struct recording *recording) {
    if (!recording)
        return;
    if (recording->has_thread)
        recording_finish(recording);
    outlet_destroy(recording->outlet);
    replay_destroy(recording->replay);
    merge_destroy(recording->shared.merge);
    pthread_cond_destroy(&recording->work);
    pthread_cond_destroy(&recording->room);
    pthread_mutex_destroy(&recording->lock);
    free(recording);
}

const AVOutputFormat *recording_format(const struct recording *recording) {
    return recording->container.format;
}

/* Streams. */

static void choose_leader(struct recording *recording, const struct recording_stream *streams,
                          uint32_t count) {
    recording->streams = count;
    recording->leader = 0;
    recording->is_video = false;
    for (uint32_t i = 0; i < count; i++) {
        recording->time_base[i] = streams[i].time_base;
        if (!recording->is_video && streams[i].parameters->codec_type == AVMEDIA_TYPE_VIDEO) {
            recording->leader = (int)i;
            recording->is_video = true;
        }
    }
}

/* From here on the target is only waited for as long as it takes something. */
static void begin_emptying(struct recording *recording) {
    atomic_store(&recording->moved_ns, recording_now_ns());
    atomic_store(&recording->is_emptying, true);
    pthread_cond_signal(&recording->work);
}

/* Everything of before the change goes where it belongs. Lock held; the thread is idle behind it.
 */
static int drain(struct recording *recording) {
    struct shared *shared = &recording->shared;
    shared->is_draining = true;
    begin_emptying(recording);
    while (!shared->is_idle || shared->saves > 0 || outlet_is_open(recording->outlet) ||
           (merge_bytes(shared->merge) > 0 && shared->error == 0))
        recording_wait_for_thread(recording);
    shared->is_draining = false;
    atomic_store(&recording->is_emptying, false);
    return shared->error < 0 ? fault_set(shared->error, "%s", shared->why) : 0;
}

static int start(struct recording *recording) {
    struct shared *shared = &recording->shared;
    int result = 0;
    shared->is_away = shared->is_connecting =
        recording->container.is_network || recording->container.road == CONTAINER_PIPE;
    if (recording->replay)
        result = outlet_try_save(recording->outlet);
    else if (!shared->is_connecting)
        result = recording_open_outlet(recording, 0);
    if (result < 0)
        return result;
    recording_update_state(recording);
    result = pthread_create(&recording->thread, NULL, recording_run, recording);
    if (result)
        return fault_set(-result, "no thread for a recording");
    recording->has_thread = true;
    const int64_t until_ns = recording_now_ns() + CONNECT_NS;
    while (shared->is_connecting && recording_now_ns() < until_ns)
        recording_wait_for_thread(recording);
    if (shared->is_connecting && !recording->params.is_waiting)
        recording_tell(recording, "%s is not there yet: what comes before it is dropped",
                       recording->params.target);
    return shared->error < 0 ? fault_set(shared->error, "%s", shared->why) : 0;
}

static int replace_streams(struct recording *recording, const struct recording_stream *streams,
                           uint32_t count) {
    struct merge *merge = merge_create(streams, count);
    if (!merge)
        return fault_set(-ENOMEM, "no memory for a recording");
    const int result = outlet_set_streams(recording->outlet, streams, count);
    if (result < 0) {
        merge_destroy(merge);
        return result;
    }
    merge_destroy(recording->shared.merge);
    recording->shared.merge = merge;
    choose_leader(recording, streams, count);
    return 0;
}

/* The next file begins with the first packet that comes. */
static int change_streams(struct recording *recording, const struct recording_stream *streams,
                          uint32_t count) {
    const enum container_road road = recording->container.road;
    if (road == CONTAINER_FLOW || road == CONTAINER_PIPE || road == CONTAINER_SELF)
        return fault_set(-ENOTSUP, "%s cannot change its format", recording->params.target);
    int result = drain(recording);
    if (result == 0)
        result = replace_streams(recording, streams, count);
    if (recording->replay && replay_count(recording->replay) > 0)
        recording_tell(recording, "the format changed: what was kept of before is gone");
    if (recording->replay)
        replay_clear(recording->replay);
    recording->has_begun = recording->is_key_needed = false;
    recording->asked_ns = INT64_MIN;
    recording_update_state(recording);
    if (result < 0)
        recording_fail(recording, result);
    return result;
}

int recording_set_streams(struct recording *recording, const struct recording_stream *streams,
                          uint32_t count) {
    if (count == 0 || count > RECORDING_STREAMS_MAX)
        return fault_set(-EINVAL, "a recording has 1 to %d streams", RECORDING_STREAMS_MAX);
    pthread_mutex_lock(&recording->lock);
    int result;
    if (recording->has_thread) {
        result = change_streams(recording, streams, count);
    } else {
        result = replace_streams(recording, streams, count);
        if (result == 0)
            result = start(recording);
    }
    pthread_mutex_unlock(&recording->lock);
    return result;
}

/* When files begin. */

static bool is_cut_due(const struct recording *recording, int64_t ns) {
    const uint64_t limit = recording->params.segment_bytes;
    return ns >= recording->cut_ns || recording->is_split_wanted ||
           (limit && recording->cut_bytes >= limit - limit / 32);
}

bool recording_wants_key(struct recording *recording, int64_t time_ns) {
    if (!recording->is_video)
        return false;
    if (recording->asked_ns != INT64_MIN && time_ns >= recording->asked_ns &&
        time_ns - recording->asked_ns < KEY_PATIENCE_NS)
        return false;
    if (!recording->is_dropping && !recording->is_key_needed && !is_cut_due(recording, time_ns) &&
        time_ns < recording->key_ns)
        return false;
    recording->asked_ns = time_ns;
    return true;
}

int recording_split(struct recording *recording) {
    if (!is_in_files(&recording->container) || recording->replay)
        return fault_set(-ENOTSUP, "%s is not written in files of its own",
                         recording->params.target);
    recording->is_split_wanted = true;
    return 0;
}

/* A packet that can begin a file: begins one if that is due. */
static void mark_cut(struct recording *recording, AVPacket *packet, int64_t ns) {
    const int64_t segment_ns = recording->params.segment_ns;
    if (recording->asked_ns <= ns)
        recording->asked_ns = INT64_MIN;
    if (recording->period_ns)
        recording->key_ns = ns + recording->period_ns;
    if (!recording->has_begun) {
        recording->has_begun = true;
        recording->cut_bytes = 0;
        recording->is_split_wanted = false;
        recording->cut_ns = segment_ns ? ns + segment_ns : INT64_MAX;
        return;
    }
    if (!is_cut_due(recording, ns) || recording->replay)
        return;
    packet->opaque = recording; /* anything but NULL */
    recording->is_split_wanted = false;
    recording->cut_bytes = 0;
    if (!segment_ns)
        return;
    /* By the clock that began with the first: what is late does not move the next. */
    if (ns >= recording->cut_ns)
        recording->cut_ns += ((ns - recording->cut_ns) / segment_ns + 1) * segment_ns;
}

/* Writing. */

static bool is_full(const struct recording *recording, int64_t part) {
    const struct merge *merge = recording->shared.merge;
    return merge_bytes(merge) > QUEUE_BYTES_MAX / (uint64_t)part ||
           merge_span_ns(merge) > QUEUE_NS_MAX / part;
}

static void wait_for_room(struct recording *recording) {
    while (is_full(recording, 1) && recording->shared.error == 0 && !program_is_stopping())
        recording_wait_for_thread(recording);
}

/* Once something is dropped, all is up to a key frame: what refers to it would be damaged. */
static bool is_dropped(struct recording *recording, const AVPacket *packet, bool is_start) {
    struct shared *shared = &recording->shared;
    const uint64_t dropped = shared->state.dropped;
    if (recording->is_dropping && is_start && !shared->is_away && !is_full(recording, 2)) {
        recording->is_dropping = false;
        if (recording->is_slow)
            recording_tell(recording, "%s takes packets again: %llu are dropped by now",
                           recording->params.target, (unsigned long long)dropped);
        recording->is_slow = false;
    } else if (!recording->is_dropping && shared->is_away) {
        recording->is_dropping = true; /* told by who looks for the peer */
    } else if (!recording->is_dropping && is_full(recording, 1)) {
        recording->is_dropping = recording->is_slow = true;
        recording_tell(recording, "%s is too slow: %.0f MB wait for it, what comes is dropped",
                       recording->params.target, (double)merge_bytes(shared->merge) / 1e6);
    }
    if (!recording->is_dropping)
        return false;
    shared->state.dropped++;
    if (packet->stream_index == recording->leader)
        shared->state.dropped_ns +=
            av_rescale_q(packet->duration, recording->time_base[packet->stream_index],
                         (AVRational){1, (int)SECOND_NS});
    return true;
}

/* The leader has given nothing for so long, while the others went on: then a sound can begin what
 * only a picture begins otherwise. By what has come meanwhile, since an encoder that looks ahead is
 * always behind the sound. */
static bool is_leader_silent(const struct recording *recording, int64_t ns) {
    const int64_t keep_ns = recording->params.keep_ns;
    return ns - recording->silent_ns >
           (keep_ns > LEADER_PATIENCE_NS ? keep_ns : LEADER_PATIENCE_NS);
}

/* Whether something can begin with this packet. */
static bool find_start(struct recording *recording, const AVPacket *packet, int64_t ns) {
    if (packet->stream_index == recording->leader) {
        recording->silent_ns = recording->end_ns;
        return packet->flags & AV_PKT_FLAG_KEY || !recording->is_video;
    }
    if (recording->silent_ns == INT64_MIN)
        recording->silent_ns = recording->first_ns;
    if (!is_leader_silent(recording, ns))
        return false;
    return recording->replay || recording->is_dropping || is_cut_due(recording, ns);
}

/* A picture whose key frame is not where it goes. */
static bool is_orphan(struct recording *recording, const AVPacket *packet, bool is_start) {
    const bool is_leader = packet->stream_index == recording->leader;
    if (is_start)
        recording->is_key_needed = !is_leader;
    if (!is_leader || !recording->is_key_needed)
        return false;
    recording->shared.state.dropped++;
    return true;
}

static int take_packet(struct recording *recording, AVPacket *packet, int64_t ns) {
    struct shared *shared = &recording->shared;
    const bool is_start = find_start(recording, packet, ns);
    if (recording->params.is_waiting)
        wait_for_room(recording);
    if (shared->error < 0)
        return fault_set(shared->error, "%s", shared->why);
    if (!recording->params.is_waiting && is_dropped(recording, packet, is_start))
        return 0;
    if (is_orphan(recording, packet, is_start))
        return 0;
    if (is_start)
        mark_cut(recording, packet, ns);
    if (is_start && recording->replay)
        packet->opaque = recording;
    recording->cut_bytes += (uint64_t)packet->size;
    shared->state.given_bytes += (uint64_t)packet->size;
    const int result = merge_push(shared->merge, packet);
    pthread_cond_signal(&recording->work);
    return result < 0 ? fault_set(result, "no memory for a packet") : 0;
}

int recording_write(struct recording *recording, AVPacket *packet) {
    const uint32_t i = (uint32_t)packet->stream_index;
    if (!recording->has_thread || i >= recording->streams || packet->pts == AV_NOPTS_VALUE) {
        av_packet_unref(packet);
        return fault_set(-EINVAL, "a packet of no stream, or without a time");
    }
    if (packet->dts == AV_NOPTS_VALUE)
        packet->dts = packet->pts;
    packet->opaque = NULL;
    /* What lends a frame's memory is not kept for long. */
    if (recording->replay && av_packet_make_writable(packet) < 0) {
        av_packet_unref(packet);
        return fault_set(-ENOMEM, "no memory for a packet");
    }
    const AVRational in_ns = {1, (int)SECOND_NS};
    const int64_t ns = av_rescale_q(packet->pts, recording->time_base[i], in_ns);
    const int64_t end_ns = ns + av_rescale_q(packet->duration, recording->time_base[i], in_ns);
    pthread_mutex_lock(&recording->lock);
    if (recording->first_ns == INT64_MIN)
        recording->first_ns = ns;
    if (recording->end_ns < end_ns)
        recording->end_ns = end_ns;
    const int result = take_packet(recording, packet, ns);
    pthread_mutex_unlock(&recording->lock);
    av_packet_unref(packet);
    return result;
}

int recording_save(struct recording *recording, uint32_t asker,
                   char out_path[RECORDING_PATH_BYTES]) {
    struct shared *shared = &recording->shared;
    if (!recording->replay)
        return fault_set(-ENOTSUP, "nothing is kept to be saved: that is what --keep is for");
    pthread_mutex_lock(&recording->lock);
    int result = 0;
    if (shared->saves + shared->saved_count == SAVES_MAX)
        result = fault_set(-EBUSY, "%d saves are under way already", SAVES_MAX);
    else if (shared->is_ending)
        result = fault_set(-ESHUTDOWN, "the recording ends");
    else if (!shared->merge || (shared->state.kept_bytes == 0 && merge_bytes(shared->merge) == 0))
        result = fault_set(-ENODATA, "nothing is kept yet");
    else
        result = outlet_name_save(recording->outlet, out_path);
    if (result == 0) {
        shared->save[shared->saves].asker = asker;
        shared->save[shared->saves].until_ns = merge_newest_ns(shared->merge);
        shared->save[shared->saves].asked_ns = recording_now_ns();
        memcpy(shared->save[shared->saves++].path, out_path, RECORDING_PATH_BYTES);
    }
    pthread_cond_signal(&recording->work);
    pthread_mutex_unlock(&recording->lock);
    return result;
}

bool recording_next_saved(struct recording *recording, struct recording_saved *out_saved) {
    struct shared *shared = &recording->shared;
    pthread_mutex_lock(&recording->lock);
    const bool is_there = shared->saved_count > 0;
    if (is_there) {
        *out_saved = shared->saved[0];
        memmove(&shared->saved[0], &shared->saved[1],
                sizeof(shared->saved[0]) * --shared->saved_count);
    }
    pthread_mutex_unlock(&recording->lock);
    return is_there;
}

bool recording_next_line(struct recording *recording, char out_line[RECORDING_PATH_BYTES]) {
    struct shared *shared = &recording->shared;
    pthread_mutex_lock(&recording->lock);
    const bool is_there = shared->lines > 0;
    if (is_there) {
        memcpy(out_line, shared->line[0], RECORDING_PATH_BYTES);
        memmove(shared->line[0], shared->line[1], sizeof(shared->line[0]) * --shared->lines);
    }
    pthread_mutex_unlock(&recording->lock);
    return is_there;
}

int recording_finish(struct recording *recording) {
    struct shared *shared = &recording->shared;
    if (recording->has_thread) {
        pthread_mutex_lock(&recording->lock);
        shared->is_ending = true;
        atomic_store(&recording->is_finishing, true);
        begin_emptying(recording);
        while (!shared->is_done)
            recording_wait_for_thread(recording);
        pthread_mutex_unlock(&recording->lock);
        pthread_join(recording->thread, NULL);
        recording->has_thread = false;
    }
    if (shared->error == 0 && shared->has_failed_save)
        return fault_set(-EIO, "not everything that was to be saved was");
    return shared->error < 0 ? fault_set(shared->error, "%s", shared->why) : 0;
}

void recording_state(struct recording *recording, struct recording_state *out_state) {
    pthread_mutex_lock(&recording->lock);
    *out_state = recording->shared.state;
    out_state->is_replay = recording->replay;
    out_state->queued_bytes = recording->shared.merge ? merge_bytes(recording->shared.merge) : 0;
    out_state->media_ns =
        recording->first_ns == INT64_MIN ? 0 : recording->end_ns - recording->first_ns;
    pthread_mutex_unlock(&recording->lock);
}
