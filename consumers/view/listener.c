#include "listener.h"

#include "program.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The null device and the speaker's reports are looked after at least this often. */
static const int64_t look_ns = 10000000;
/* Sound servers take so long at most to get under way. */
static const int64_t ready_ns = 1500000000;
/* As long as this it may take to look for devices; one that does not answer then is not waited for.
 */
static const int64_t device_ns = 3000000000;

enum { BEFORE_MAX = 16 }; /* streams; of more the first are forgotten */

struct listener {
    pthread_t thread;
    bool has_thread;
    bool has_told_silence;            /* that there is no sound device */
    bool has_told_replacement;        /* of the chosen one */
    struct source before[BEFORE_MAX]; /* closed; each stream once */
    uint32_t befores;

    /* All below belongs to whoever holds it; the reader itself, inside `source`, to the thread as
     * long as there is one. */
    pthread_mutex_t mutex;
    struct source source;
    struct sound *sound;
    struct listener_state state;
    int64_t late_ns;
    bool is_paused;
    bool is_stopping;
};

static void lock(struct listener *listener) {
    pthread_mutex_lock(&listener->mutex);
}

static void unlock(struct listener *listener) {
    pthread_mutex_unlock(&listener->mutex);
}

/* ---- The thread ---- */

static void refuse_format(struct listener *listener) {
    struct source *const source = &listener->source;
    snprintf(source->trouble, sizeof source->trouble, "sound cannot be played: %s",
             listener->state.title);
}

static bool begin_format(struct listener *listener, const struct shmframe_format *format) {
    char description[128];
    shmframe_format_describe(format, description, sizeof description);
    snprintf(listener->state.title, sizeof listener->state.title, "%s  %s", listener->source.stream,
             description);
    if (sound_set_format(listener->sound, format)) {
        refuse_format(listener);
        return false;
    }
    return true;
}

static void play(struct listener *listener, struct shmframe_lease *lease) {
    if (listener->state.title[0] == '\0' || (lease->flags & SHMFRAME_LEASE_NEW_FORMAT)) {
        if (!begin_format(listener, lease->format)) {
            return;
        }
    }
    if (listener->is_paused) {
        listener->state.passed++;
        sound_jump(listener->sound);
        return;
    }
    const int64_t heard_ns = sound_push(listener->sound, lease);
    if (heard_ns > 0) {
        shmframe_reader_present(listener->source.reader, lease, heard_ns);
        listener->state.heard++;
    }
}

/* Whether a block would be of use; a writer that waits for this reader is kept waiting meanwhile.
 */
static bool wants_sound(const struct listener *listener) {
    const bool is_waited_for = listener->source.params.policy == SHMFRAME_LOSSLESS;
    return source_is_flowing(&listener->source) &&
           (!is_waited_for || (!listener->is_paused && sound_has_room(listener->sound)));
}

static void take_all(struct listener *listener) {
    struct shmframe_lease lease;
    while (wants_sound(listener) && source_take(&listener->source, &lease)) {
        play(listener, &lease);
        shmframe_reader_release(listener->source.reader, &lease);
    }
}

static void nap(void) {
    const struct timespec time = {.tv_nsec = look_ns};
    nanosleep(&time, NULL);
}

static void *listen(void *user) {
    struct listener *const listener = user;
    struct shmframe_reader *const reader = listener->source.reader;
    lock(listener);
    while (!listener->is_stopping) {
        take_all(listener);
        if (sound_update(listener->sound, shmframe_now_ns(), listener->late_ns)) {
            refuse_format(listener);
        }
        const bool is_waiting =
            wants_sound(listener) && source_can_wait(&listener->source) && !program_is_stopping();
        unlock(listener);
        if (is_waiting) {
            shmframe_reader_wait(reader, shmframe_deadline_ns(look_ns));
        } else {
            nap();
        }
        lock(listener);
    }
    unlock(listener);
    return NULL;
}

/* ---- Its user ---- */

int listener_create(const char *device, bool is_staying, struct listener **out_listener) {
    struct listener *const listener = calloc(1, sizeof *listener);
    if (!listener) {
        return -ENOMEM;
    }
    pthread_mutex_init(&listener->mutex, NULL);
    listener->source.is_staying = is_staying;
    if (sound_create(device, &listener->sound) != 0) {
        listener_destroy(listener);
        return -ENOMEM;
    }
    *out_listener = listener;
    return 0;
}

static void stop(struct listener *listener) {
    if (!listener->has_thread) {
        return;
    }
    lock(listener);
    listener->is_stopping = true;
    unlock(listener);
    pthread_join(listener->thread, NULL);
    listener->has_thread = false;
}

void listener_destroy(struct listener *listener) {
    if (!listener) {
        return;
    }
    stop(listener);
    source_close(&listener->source);
    sound_destroy(listener->sound);
    pthread_mutex_destroy(&listener->mutex);
    free(listener);
}

/* Signals are for the program's own thread. */
static int start(struct listener *listener) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&listener->thread, NULL, listen, listener);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    listener->has_thread = !error;
    if (!error) {
        /* It sleeps nearly always, but when it is woken the speaker waits. Where the user is not
         * allowed to ask for this it goes without. */
        const struct sched_param priority = {.sched_priority = 1};
        pthread_setschedparam(listener->thread, SCHED_RR, &priority);
    }
    return -error;
}

static void wait_until(struct listener *listener, bool condition(struct sound *),
                       int64_t timeout_ns) {
    const int64_t deadline_ns = shmframe_deadline_ns(timeout_ns);
    while (!condition(listener->sound) && shmframe_now_ns() < deadline_ns &&
           !program_is_stopping()) {
        nap();
    }
}

void listener_wait_device(struct listener *listener) {
    wait_until(listener, sound_has_device, device_ns);
}

void listener_wait_ready(struct listener *listener) {
    listener_wait_device(listener);
    wait_until(listener, sound_is_ready, ready_ns);
}

/* What was measured of the stream before goes with it. */
static void take_back(struct listener *listener, const char *stream) {
    for (uint32_t i = 0; i < listener->befores; i++) {
        struct source *const before = &listener->before[i];
        if (strcmp(before->stream, stream) == 0) {
            listener->source.earlier = before->earlier;
            *before = listener->before[--listener->befores];
            return;
        }
    }
}

static void put_away(struct listener *listener) {
    struct source *const source = &listener->source;
    if (source->stream[0] != '\0') {
        if (listener->befores == BEFORE_MAX) {
            listener->befores--;
            memmove(listener->before, listener->before + 1,
                    listener->befores * sizeof listener->before[0]);
        }
        listener->before[listener->befores++] = *source;
    }
    *source = (struct source){.is_staying = source->is_staying};
}

int listener_open(struct listener *listener, struct shmframe_session *session,
                  const struct shmframe_reader_params *params) {
    const int error = source_open(&listener->source, session, params);
    if (error) {
        return error;
    }
    take_back(listener, listener->source.stream);
    sound_set_waited_for(listener->sound, params->policy == SHMFRAME_LOSSLESS);
    return start(listener);
}

void listener_close(struct listener *listener) {
    stop(listener);
    source_close(&listener->source);
    put_away(listener);
    listener->state.title[0] = '\0';
    listener->is_stopping = false;
    sound_jump(listener->sound);
}

bool listener_is_open(const struct listener *listener) {
    return listener->has_thread;
}

bool listener_delay_ns(struct listener *listener, int64_t *out_delay_ns, bool *out_is_measured) {
    lock(listener);
    const bool is_known = sound_delay_ns(listener->sound, out_delay_ns);
    *out_is_measured = sound_is_heard(listener->sound);
    unlock(listener);
    return is_known;
}

void listener_set_lateness(struct listener *listener, int64_t late_ns, int64_t delay_limit_ns) {
    lock(listener);
    listener->late_ns = late_ns;
    sound_set_delay_limit(listener->sound, delay_limit_ns);
    unlock(listener);
}

void listener_set_paused(struct listener *listener, bool is_paused) {
    lock(listener);
    listener->is_paused = is_paused;
    unlock(listener);
}

void listener_set_gain(struct listener *listener, float gain) {
    lock(listener);
    sound_set_gain(listener->sound, gain);
    unlock(listener);
}

void listener_set_later(struct listener *listener, int64_t later_ns) {
    lock(listener);
    sound_set_later(listener->sound, later_ns);
    unlock(listener);
}

const char *listener_trouble(struct listener *listener) {
    lock(listener);
    const char *const trouble = sound_trouble(listener->sound);
    unlock(listener);
    return trouble;
}

void listener_read_gauges(struct listener *listener, struct gauge_reading *out_reading) {
    lock(listener);
    sound_read_gauges(listener->sound, out_reading);
    unlock(listener);
}

void listener_get_state(struct listener *listener, struct listener_state *out_state) {
    lock(listener);
    *out_state = listener->state;
    sound_get_state(listener->sound, &out_state->sound);
    out_state->is_evicted = listener->source.is_evicted;
    const char *const trouble = sound_trouble(listener->sound);
    snprintf(out_state->trouble, sizeof out_state->trouble, "%s", trouble ? trouble : "");
    out_state->is_over = !source_is_flowing(&listener->source) && sound_is_drained(listener->sound);
    unlock(listener);
}

void listener_tell(struct listener *listener) {
    lock(listener);
    source_tell(&listener->source);
    if (sound_is_replaced(listener->sound) && !listener->has_told_replacement) {
        listener->has_told_replacement = true;
        program_warn("the chosen sound device went away: the default takes over");
    }
    const bool has_device = sound_has_device(listener->sound);
    const char *const trouble = sound_trouble(listener->sound);
    if (trouble && !listener->has_told_silence) {
        program_warn("%s: %s", trouble,
                     has_device ? "sound goes to a null device, nobody hears it"
                                : "nobody hears the sound");
    } else if (!trouble && listener->has_told_silence && has_device) {
        program_warn("the sound device is back");
    }
    listener->has_told_silence = trouble || (listener->has_told_silence && !has_device);
    unlock(listener);
}

const struct source *listener_source(const struct listener *listener) {
    return &listener->source;
}

const struct source *listener_source_before(const struct listener *listener, uint32_t index) {
    return index < listener->befores ? &listener->before[index] : NULL;
}
