#include "source.h"

#include "consumer.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MIN = 2 };

static void add_counters(struct shmframe_reader_counters *sum,
                         const struct shmframe_reader_counters *more) {
    uint64_t left[sizeof *sum / sizeof(uint64_t)];
    uint64_t right[sizeof *sum / sizeof(uint64_t)];
    static_assert(sizeof left == sizeof *sum, "counters are nothing but 64 bit numbers");
    memcpy(left, sum, sizeof left);
    memcpy(right, more, sizeof right);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        left[i] += right[i];
    }
    memcpy(sum, left, sizeof left);
}

void source_add_histogram(struct shmframe_histogram *sum, const struct shmframe_histogram *more) {
    sum->count += more->count;
    if (more->max_ns > sum->max_ns) {
        sum->max_ns = more->max_ns;
    }
    for (size_t i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++) {
        sum->bucket[i] += more->bucket[i];
    }
}

void source_read_hops(const struct source *source, struct hops *out_hops) {
    if (!source->reader) {
        *out_hops = source->earlier;
        return;
    }
    hops_read(out_hops, source->reader);
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++) {
        source_add_histogram(&out_hops->hop[hop], &source->earlier.hop[hop]);
    }
    add_counters(&out_hops->counters, &source->earlier.counters);
}

struct shmframe_reader_counters source_counters(const struct source *source) {
    struct shmframe_reader_counters counters = {0};
    if (source->reader) {
        shmframe_reader_counters(source->reader, &counters);
    }
    add_counters(&counters, &source->earlier.counters);
    return counters;
}

/* With as much of the depth as the stream has slots for. */
static int open_reader(struct shmframe_session *session, struct shmframe_reader_params *params,
                       struct shmframe_reader **out_reader) {
    int error;
    while ((error = shmframe_reader_open(session, params, out_reader)) == -ENOSPC &&
           params->depth > DEPTH_MIN) {
        params->depth = params->depth / 2 > DEPTH_MIN ? params->depth / 2 : DEPTH_MIN;
    }
    return error;
}

static void begin(struct source *source, struct shmframe_reader *reader,
                  const struct shmframe_reader_params *params) {
    source->reader = reader;
    source->params = *params;
    source->params.stream = source->stream;
    source->has_ended = false;
    source->is_evicted = false;
}

int source_open(struct source *source, struct shmframe_session *session,
                const struct shmframe_reader_params *params) {
    struct shmframe_reader_params wanted = *params;
    struct shmframe_reader *reader;
    const int error = open_reader(session, &wanted, &reader);
    if (error) {
        return error;
    }
    snprintf(source->stream, sizeof source->stream, "%s", params->stream);
    begin(source, reader, &wanted);
    return 0;
}

int source_reopen(struct source *source, struct shmframe_session *session,
                  const struct shmframe_reader_params *params) {
    struct shmframe_reader_params wanted = *params;
    struct shmframe_reader *reader;
    const int error = open_reader(session, &wanted, &reader);
    if (error) {
        return error;
    }
    source_close(source);
    begin(source, reader, &wanted);
    return 0;
}

void source_close(struct source *source) {
    if (!source->reader) {
        return;
    }
    struct hops sum;
    source_read_hops(source, &sum);
    source->earlier = sum;
    shmframe_reader_close(source->reader);
    source->reader = NULL;
}

void source_collect_events(struct source *source) {
    while (source->events < SOURCE_EVENTS &&
           shmframe_reader_next_event(source->reader, &source->event[source->events]) == 0) {
        source->events++;
    }
}

void source_tell_events(struct source *source) {
    for (uint32_t i = 0; i < source->events; i++) {
        consumer_tell_event(&source->event[i], source->stream);
    }
    source->events = 0;
}

void source_tell(struct source *source) {
    source_tell_events(source);
    if (source->trouble[0] != '\0') {
        program_fail("stream %s: %s", source->stream, source->trouble);
    }
}

bool source_take(struct source *source, struct shmframe_lease *out_lease) {
    const int result = shmframe_reader_acquire(source->reader, SHMFRAME_NOW, out_lease);
    switch (result) {
    case 0:
        source->has_ended = false;
        source->is_taken = true;
        break;
    case -ENODATA:
        source->has_ended = true;
        break;
    case -ESTALE:
        source->is_evicted = true;
        break;
    case -EBUSY:
        /* Fewer were granted than asked for. */
        source->params.leases -= source->params.leases > 1;
        break;
    case -EAGAIN:
    case -EINTR:
        break;
    default:
        snprintf(source->trouble, sizeof source->trouble, "%s", shmframe_last_error());
        break;
    }
    if (result != 0 || out_lease->flags != 0) {
        source_collect_events(source);
    }
    return result == 0;
}

bool source_is_flowing(const struct source *source) {
    return source->reader && !source->is_evicted && source->trouble[0] == '\0' &&
           (!source->has_ended || source->is_staying);
}

bool source_can_wait(const struct source *source) {
    return source_is_flowing(source) && !source->has_ended;
}
