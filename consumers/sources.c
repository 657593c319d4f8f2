#include "sources.h"

#include "consumer.h"
#include "progress.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <time.h>

static const int64_t look_ns = 50000000; /* requests are answered within that */

static int open_by_policy(struct sources *sources, struct source *source,
                          struct shmframe_reader_params params) {
    const bool is_free = !consumer_settings.policy;
    if (is_free)
        params.policy = SHMFRAME_LOSSLESS;
    int result = source_open(source, sources->session, &params);
    if (result == -ENOTSUP && is_free) {
        params.policy = SHMFRAME_IN_ORDER;
        result = source_open(source, sources->session, &params);
    }
    return result;
}

struct source *sources_add(struct sources *sources, const struct shmframe_reader_params *params) {
    assert(sources->count < SOURCES_MAX);
    struct source *source = &sources->source[sources->count];
    struct shmframe_reader_params wanted = *params;
    wanted.deadline_ns =
        consumer_settings.wait_ns > 0 ? shmframe_deadline_ns(consumer_settings.wait_ns) : 0;
    progress_update("waiting for stream %s", params->stream);
    int result;
    do
        result = open_by_policy(sources, source, wanted);
    while (result == -EINTR && !program_is_stopping());
    progress_clear();
    if (result == -EINTR)
        return NULL;
    if (result < 0)
        consumer_fail_open(sources->session, params->stream, result);
    sources->frame_ns[sources->count++] = shmframe_now_ns();
    return source;
}

/* The readers of which something may come, and which sources they are of. */
struct waited {
    struct shmframe_reader *reader[SOURCES_MAX];
    uint32_t index[SOURCES_MAX];
    uint32_t count;
    int64_t late_ns; /* the first --deadline of theirs */
    uint32_t first;  /* whose it is */
};

static struct waited gather(struct sources *sources) {
    struct waited waited = {.late_ns = SHMFRAME_FOREVER};
    for (uint32_t i = 0; i < sources->count; i++) {
        if (sources->paused & UINT64_C(1) << i || !source_can_wait(&sources->source[i]))
            continue;
        waited.reader[waited.count] = sources->source[i].reader;
        waited.index[waited.count++] = i;
        const int64_t late_ns = consumer_late_ns(sources->frame_ns[i]);
        if (late_ns < waited.late_ns) {
            waited.late_ns = late_ns;
            waited.first = i;
        }
    }
    return waited;
}

static int64_t earlier(int64_t a_ns, int64_t b_ns) {
    return a_ns < b_ns ? a_ns : b_ns;
}

/* Sources that ended, and stay: their next writers are looked for now and then. */
static uint64_t find_idle(const struct sources *sources) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < sources->count; i++)
        if (source_is_flowing(&sources->source[i]) && !source_can_wait(&sources->source[i]))
            bits |= UINT64_C(1) << i;
    return bits;
}

/* Sleeps without a reader: until the instant, a signal, or mail. */
static void nap(struct sources *sources, int64_t until_ns) {
    const int64_t left_ns = until_ns - shmframe_now_ns();
    struct pollfd descriptors[] = {
        {.fd = program_stop_fd(), .events = POLLIN},
        {.fd = shmframe_session_fd(sources->session), .events = POLLIN},
    };
    const struct timespec timeout = {.tv_nsec = left_ns > 0 ? left_ns : 0};
    ppoll(descriptors, 2, &timeout, NULL);
    shmframe_session_dispatch(sources->session);
}

/* Waits for readers or, if there are none, for the time to pass: look_ns at most. */
static uint64_t wait_once(struct sources *sources, const struct waited *waited, int64_t until_ns) {
    uint64_t ready = 0, bits = 0;
    if (waited->count == 0) {
        nap(sources, until_ns);
        return find_idle(sources);
    }
    if (shmframe_readers_wait(waited->reader, waited->count, until_ns, &ready) <= 0)
        return find_idle(sources);
    for (uint32_t i = 0; i < waited->count; i++) {
        if (!(ready & UINT64_C(1) << i))
            continue;
        bits |= UINT64_C(1) << waited->index[i];
        sources->frame_ns[waited->index[i]] = shmframe_now_ns();
    }
    return bits;
}

static void tell(struct sources *sources) {
    for (uint32_t i = 0; i < sources->count; i++) {
        struct source *source = &sources->source[i];
        if (source->reader)
            source_collect_events(source);
        source_tell_events(source);
        if (source->trouble[0] != '\0' && !(sources->told & UINT64_C(1) << i)) {
            sources->told |= UINT64_C(1) << i;
            program_warn("stream %s cannot be read any more: %s", source->stream, source->trouble);
        }
    }
}

/* Whoever worked on a frame, or left a source alone, was not waiting for the next one. */
static void begin_waiting(struct sources *sources) {
    const int64_t now_ns = shmframe_now_ns();
    for (uint32_t i = 0; i < sources->count; i++) {
        if (sources->source[i].is_taken || sources->paused & UINT64_C(1) << i)
            sources->frame_ns[i] = now_ns;
        sources->source[i].is_taken = false;
    }
}

enum sources_wait sources_wait(struct sources *sources, int64_t deadline_ns, uint64_t *out_ready) {
    begin_waiting(sources);
    for (;;) {
        tell(sources);
        *out_ready = 0;
        if (program_is_stopping())
            return SOURCES_STOP;
        if (sources->control && control_serve(sources->control))
            return SOURCES_ASKED;
        const struct waited waited = gather(sources);
        if (waited.count == 0 && !find_idle(sources))
            return SOURCES_OVER;
        const int64_t look_again_ns = shmframe_deadline_ns(look_ns);
        const int64_t until_ns = earlier(earlier(deadline_ns, waited.late_ns), look_again_ns);
        *out_ready = wait_once(sources, &waited, until_ns);
        if (*out_ready)
            return SOURCES_READY;
        const int64_t now_ns = shmframe_now_ns();
        if (now_ns >= waited.late_ns) {
            consumer_tell_late(sources->source[waited.first].stream);
            return SOURCES_LATE;
        }
        if (now_ns >= deadline_ns)
            return SOURCES_DUE;
    }
}

bool sources_miss_frames(const struct sources *sources) {
    return consumer_settings.frames && sources->count && !source_is_flowing(&sources->source[0]);
}

bool sources_have_failed(const struct sources *sources) {
    for (uint32_t i = 0; i < sources->count; i++)
        if (sources->source[i].is_evicted || sources->source[i].trouble[0] != '\0')
            return true;
    return false;
}

void sources_close(struct sources *sources) {
    for (uint32_t i = 0; i < sources->count; i++)
        source_close(&sources->source[i]);
}
