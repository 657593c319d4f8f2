#include "recording_thread.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS        INT64_C(1000000000)
#define GRACE_NS         (3 * SECOND_NS)  /* for a target that takes nothing, after a signal */
#define GRACE_NS_MAX     (10 * SECOND_NS) /* for any, after a signal */
#define SILENCE_NS_MAX   (10 * SECOND_NS) /* for a peer that takes nothing of the end */
#define BACKOFF_NS       (SECOND_NS / 4)
#define BACKOFF_NS_MAX   (10 * SECOND_NS)
#define SAVE_PATIENCE_NS (SECOND_NS / 2)
#define LOOK_NS          (SECOND_NS / 20) /* between two looks whether it ends */

int64_t recording_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

int recording_is_interrupted(void *user) {
    struct recording *recording = user;
    const bool is_stopping = program_is_stopping();
    const bool is_opening = atomic_load(&recording->is_opening);
    if (is_stopping && is_opening)
        return 1;
    if (!atomic_load(&recording->is_emptying))
        return 0;
    const int64_t now_ns = recording_now_ns();
    const uint64_t moved = outlet_moved(recording->outlet);
    if (moved != recording->moved || (is_stopping && !recording->stopped_ns))
        atomic_store(&recording->moved_ns, now_ns);
    recording->moved = moved;
    const int64_t silence_ns = now_ns - atomic_load(&recording->moved_ns);
    if (is_stopping) {
        recording->stopped_ns = recording->stopped_ns ? recording->stopped_ns : now_ns;
        return silence_ns > GRACE_NS || now_ns - recording->stopped_ns > GRACE_NS_MAX;
    }
    const bool is_awaited = is_opening && recording->params.is_waiting;
    return atomic_load(&recording->is_finishing) && silence_ns > SILENCE_NS_MAX &&
           (recording->container.is_network || (is_opening && !is_awaited));
}

/* The thread. Its calls come with the lock held, and let go of it for what takes time. */

void recording_tell(struct recording *recording, const char *text, ...) {
    struct shared *shared = &recording->shared;
    if (shared->lines == LINES_MAX) /* the oldest is the least of interest */
        memmove(shared->line[0], shared->line[1], sizeof(shared->line[0]) * --shared->lines);
    va_list values;
    va_start(values, text);
    vsnprintf(shared->line[shared->lines++], sizeof(shared->line[0]), text, values);
    va_end(values);
}

void recording_update_state(struct recording *recording) {
    struct recording_state *state = &recording->shared.state;
    outlet_state(recording->outlet, state);
    if (recording->replay) {
        state->kept_ns = replay_span_ns(recording->replay);
        state->kept_bytes = replay_bytes(recording->replay);
    }
}

void recording_fail(struct recording *recording, int error) {
    recording->shared.error = error;
    snprintf(recording->shared.why, sizeof(recording->shared.why), "%s", fault_text());
}

int recording_open_outlet(struct recording *recording, int64_t zero_ns) {
    atomic_store(&recording->is_opening, true);
    const int result = outlet_open(recording->outlet, zero_ns);
    atomic_store(&recording->is_opening, false);
    return result;
}

static bool is_over(const struct recording *recording) {
    return recording->shared.is_ending || recording->shared.is_draining || program_is_stopping();
}

/* Waits for a condition, at most so long: signals to the program ring no bell here. */
static void await_condition(struct recording *recording, pthread_cond_t *condition,
                            int64_t wait_ns) {
    const int64_t until_ns = recording_now_ns() + wait_ns;
    const struct timespec until = {until_ns / SECOND_NS, until_ns % SECOND_NS};
    pthread_cond_timedwait(condition, &recording->lock, &until);
}

void recording_wait_for_thread(struct recording *recording) {
    await_condition(recording, &recording->room, LOOK_NS);
    const int64_t now_ns = recording_now_ns();
    if (!recording->params.serve || now_ns - recording->served_ns < LOOK_NS)
        return;
    recording->served_ns = now_ns;
    pthread_mutex_unlock(&recording->lock);
    recording->params.serve(recording->params.serve_user);
    pthread_mutex_lock(&recording->lock);
}

/* Sleeps for so long, unless it ends. */
static void wait_back_off(struct recording *recording, int64_t wait_ns) {
    const int64_t until_ns = recording_now_ns() + wait_ns;
    while (!is_over(recording) && recording_now_ns() < until_ns)
        await_condition(recording, &recording->work, LOOK_NS);
}

/* Looks for the peer until it is found or everything ends. What comes meanwhile is dropped where it
 * comes in. */
static void reconnect(struct recording *recording, const char *reason) {
    struct shared *shared = &recording->shared;
    char why[FAULT_BYTES];
    snprintf(why, sizeof(why), "%s", reason);
    const int64_t lost_ns = recording_now_ns();
    const uint64_t dropped = shared->state.dropped;
    int64_t back_off_ns = BACKOFF_NS;
    int result = -EAGAIN;
    recording_tell(recording, "%s; it is looked for again", why);
    shared->is_away = true;
    shared->state.dropped += merge_clear(shared->merge);
    while (result < 0 && !is_over(recording)) {
        wait_back_off(recording, back_off_ns);
        back_off_ns = back_off_ns * 2 < BACKOFF_NS_MAX ? back_off_ns * 2 : BACKOFF_NS_MAX;
        if (is_over(recording))
            break;
        pthread_mutex_unlock(&recording->lock);
        result = recording_open_outlet(recording, 0);
        pthread_mutex_lock(&recording->lock);
    }
    if (result < 0) {
        fault_set(-ENOTCONN, "%s, and was not there again", why);
        recording_fail(recording, -ENOTCONN);
        return;
    }
    shared->is_away = false;
    shared->state.reconnects++;
    recording_tell(recording, "%s is there again after %.1f s; %llu packets were dropped",
                   recording->params.target, (double)(recording_now_ns() - lost_ns) / 1e9,
                   (unsigned long long)(shared->state.dropped - dropped));
}

/* The first time. */
static void find_peer(struct recording *recording) {
    struct shared *shared = &recording->shared;
    const int64_t begun_ns = recording_now_ns();
    pthread_mutex_unlock(&recording->lock);
    int result = recording_open_outlet(recording, 0);
    pthread_mutex_lock(&recording->lock);
    shared->is_connecting = false;
    pthread_cond_signal(&recording->room);
    if (result == 0) {
        shared->is_away = false;
        if (shared->state.dropped > 0)
            recording_tell(recording, "%s is there after %.1f s; %llu packets were dropped",
                           recording->params.target, (double)(recording_now_ns() - begun_ns) / 1e9,
                           (unsigned long long)shared->state.dropped);
        recording_update_state(recording);
        return;
    }
    if (recording->params.is_reconnecting && result != -EINVAL && result != -EINTR) {
        reconnect(recording, fault_text());
        return;
    }
    if (result == -EINTR && !program_is_stopping())
        result =
            fault_set(-ENOTCONN, "%s was not there: nothing is written", recording->params.target);
    recording_fail(recording, result);
}

static void handle_failure(struct recording *recording, int error) {
    char why[FAULT_BYTES];
    snprintf(why, sizeof(why), "%s", fault_text());
    outlet_close(recording->outlet, error);
    if (recording->params.is_reconnecting && recording->container.is_network &&
        !is_over(recording)) {
        reconnect(recording, why);
        return;
    }
    fault_set(error, "%s", why);
    recording_fail(recording, error);
    recording->shared.state.dropped += merge_clear(recording->shared.merge);
}

/* What was kept does not fit from one key frame to the next: told once. */
static void tell_if_too_small(struct recording *recording) {
    if (!recording->replay || recording->is_told_too_small ||
        !replay_is_too_small(recording->replay))
        return;
    recording->is_told_too_small = true;
    recording_tell(recording, "--keep-size is too small for what comes between two key frames, "
                              "which is given up each time: give more, or record at a lower rate");
}

/* The caller has marked the packet that begins a file, or that one can begin with. */
static bool begins_file(const AVPacket *packet) {
    return packet->opaque;
}

static int put(struct recording *recording, AVPacket *packet, int64_t ns) {
    if (recording->replay)
        return replay_add(recording->replay, packet, ns, begins_file(packet));
    int result = 0;
    if (begins_file(packet))
        result = outlet_close(recording->outlet, 0);
    if (result == 0 && !outlet_is_open(recording->outlet))
        result = recording_open_outlet(recording, ns);
    return result == 0 ? outlet_write(recording->outlet, packet) : result;
}

static void put_next(struct recording *recording, AVPacket *packet, int64_t ns) {
    pthread_mutex_unlock(&recording->lock);
    const int result = put(recording, packet, ns);
    av_packet_unref(packet);
    pthread_mutex_lock(&recording->lock);
    recording->shared.state.packets++;
    recording->shared.state.written_ns = ns;
    tell_if_too_small(recording);
    if (result < 0)
        handle_failure(recording, result);
    recording_update_state(recording);
}

/* Its end is written here as well: it may take as long as any packet. */
static void end_output(struct recording *recording) {
    pthread_mutex_unlock(&recording->lock);
    const int result = outlet_close(recording->outlet, 0);
    pthread_mutex_lock(&recording->lock);
    if (result < 0)
        recording_fail(recording, result);
    recording_update_state(recording);
}

static void keep_answer(struct shared *shared, uint32_t asker, int result, const char *path) {
    struct recording_saved *saved = &shared->saved[shared->saved_count++];
    saved->asker = asker;
    saved->result = result;
    snprintf(saved->text, sizeof(saved->text), "%s", result < 0 ? fault_text() : path);
}

static void save(struct recording *recording) {
    struct shared *shared = &recording->shared;
    char path[RECORDING_PATH_BYTES];
    memcpy(path, shared->save[0].path, sizeof(path));
    const uint32_t asker = shared->save[0].asker;
    const double seconds = (double)replay_span_ns(recording->replay) / 1e9;
    pthread_mutex_unlock(&recording->lock);
    const int result = replay_count(recording->replay) > 0
                           ? outlet_save(recording->outlet, recording->replay, path)
                           : fault_set(-ENODATA, "nothing is kept that could begin %s", path);
    if (result == -ENODATA)
        unlink(path);
    pthread_mutex_lock(&recording->lock);
    memmove(&shared->save[0], &shared->save[1], sizeof(shared->save[0]) * --shared->saves);
    shared->state.saves += result == 0;
    /* That there was nothing yet is no failure where it is answered. */
    shared->has_failed_save |= result < 0 && !(result == -ENODATA && asker);
    if (asker)
        keep_answer(shared, asker, result, path);
    if (result == 0)
        recording_tell(recording, "saved the last %.1f s in %s", seconds, path);
    else
        recording_tell(recording, "not saved: %s", fault_text());
    recording_update_state(recording);
}

/* Once all has come to the buffer that was given before it was asked for; where nothing comes any
 * more, after a moment. */
static bool is_save_due(const struct shared *shared) {
    return shared->saves > 0 && (shared->state.written_ns >= shared->save[0].until_ns ||
                                 recording_now_ns() - shared->save[0].asked_ns > SAVE_PATIENCE_NS);
}

/* Sleeps until there is something to do. */
static void idle(struct recording *recording) {
    struct shared *shared = &recording->shared;
    shared->is_idle = true;
    pthread_cond_signal(&recording->room);
    if (shared->saves > 0)
        await_condition(recording, &recording->work, LOOK_NS);
    else
        pthread_cond_wait(&recording->work, &recording->lock);
    shared->is_idle = false;
}

void *recording_run(void *user) {
    struct recording *recording = user;
    struct shared *shared = &recording->shared;
    AVPacket *packet = av_packet_alloc();
    pthread_mutex_lock(&recording->lock);
    if (shared->is_connecting)
        find_peer(recording);
    for (;;) {
        const bool is_emptied = shared->is_draining || shared->is_ending;
        int64_t ns;
        if (is_save_due(shared)) {
            save(recording);
        } else if (packet && shared->error == 0 &&
                   merge_pop(shared->merge, is_emptied, packet, &ns)) {
            put_next(recording, packet, ns);
            pthread_cond_signal(&recording->room);
        } else if (is_emptied && shared->saves > 0) {
            save(recording);
        } else if (is_emptied && outlet_is_open(recording->outlet)) {
            end_output(recording);
        } else if (shared->is_ending) {
            break;
        } else {
            idle(recording);
        }
    }
    shared->is_done = true;
    pthread_cond_signal(&recording->room);
    pthread_mutex_unlock(&recording->lock);
    av_packet_free(&packet);
    return NULL;
}
