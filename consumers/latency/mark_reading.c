#include "mark_reading.h"

#include "consumer.h"
#include "mark_lane.h"
#include "reporting.h"
#include "sources.h"
#include "tables.h"
#include "touch.h"

#include <string.h>

/* Blocks of sound are small and many, and a burst goes over several: none is to be missed while a
 * picture is looked at. */
enum { SOUND_DEPTH = 64, STREAMS_LISTED = 256 };
#define ANSWER_NS INT64_C(1000000000)

static struct {
    struct measurement *m;
    bool has_policy;
    struct sources sources;
    struct selection selection; /* stream i is that of source i and lane i */
    struct mark_lane lane[MEASURED_MAX];
    struct shmframe_stream_info known[STREAMS_LISTED]; /* streams there are: a source may be one */
    uint32_t knowns;
} reading;

static struct shmframe_reader_params choose_params(const struct selected_stream *stream) {
    struct shmframe_reader_params params = consumer_reader_params(stream->name);
    if (stream->kind == SHMFRAME_AUDIO && !reading.has_policy) {
        params.policy = SHMFRAME_IN_ORDER;
        params.depth = SOUND_DEPTH;
    }
    return params;
}

static struct mark_lane *find_picture(const char *group) {
    for (uint32_t i = 0; i < reading.selection.count; i++) {
        const struct selected_stream *stream = &reading.selection.stream[i];
        if (stream->kind == SHMFRAME_VIDEO && (!group || strcmp(stream->group, group) == 0))
            return &reading.lane[i];
    }
    return NULL;
}

/* A sound is compared with the picture of its group, or else with the first there is. */
static void pair_sounds(void) {
    for (uint32_t i = 0; i < reading.selection.count; i++) {
        const struct selected_stream *stream = &reading.selection.stream[i];
        if (stream->kind != SHMFRAME_AUDIO)
            continue;
        struct mark_lane *own = stream->group[0] != '\0' ? find_picture(stream->group) : NULL;
        struct mark_lane *picture = own ? own : find_picture(NULL);
        if (picture)
            mark_lane_compare(&reading.lane[i], picture, own != NULL);
    }
}

static void list_streams(void) {
    const int count = shmframe_session_streams(
        reading.sources.session, shmframe_deadline_ns(ANSWER_NS), reading.known, STREAMS_LISTED);
    if (count > 0)
        reading.knowns = count < STREAMS_LISTED ? (uint32_t)count : STREAMS_LISTED;
}

/* False: asked to stop. */
static bool open_streams(const struct mark_reading_params *params) {
    struct measurement *m = reading.m;
    if (!selection_find(reading.sources.session, params->names, params->count, &reading.selection))
        return false;
    for (uint32_t i = 0; i < reading.selection.count; i++) {
        const struct selected_stream *stream = &reading.selection.stream[i];
        const struct shmframe_reader_params wanted = choose_params(stream);
        const struct source *source = sources_add(&reading.sources, &wanted);
        if (!source)
            return false;
        m->stream[i].stream = stream->name;
        m->stream[i].reader = source->reader;
        m->streams++;
        mark_lane_init(&reading.lane[i], m, i, stream->kind, params->source);
    }
    pair_sounds();
    list_streams();
    return true;
}

static void close_streams(void) {
    for (uint32_t i = 0; i < reading.selection.count; i++)
        mark_lane_finish(&reading.lane[i]);
    sources_close(&reading.sources);
}

/* Which of the streams there were at the start the marks are of. Two that share its hash: neither.
 */
static void name_source(struct marked_picture *picture) {
    if (!picture || !picture->tally.has_begun || picture->source[0] != '\0')
        return;
    const char *found = NULL;
    for (uint32_t i = 0; i < reading.knowns; i++) {
        if (mark_stream_id(reading.known[i].name) != picture->tally.source)
            continue;
        if (found)
            return;
        found = reading.known[i].name;
    }
    if (found)
        memcpy(picture->source, found, sizeof(picture->source));
}

/* One frame of each that has one: no stream waits for another to come to its end. */
static void take_frames(uint64_t ready) {
    for (uint32_t i = 0; i < reading.sources.count; i++) {
        struct shmframe_lease lease;
        struct source *source = &reading.sources.source[i];
        if (!(ready & UINT64_C(1) << i) || !source_take(source, &lease))
            continue;
        if (reading.m->is_touching)
            touch_frame(&lease);
        mark_lane_take(&reading.lane[i], &lease);
        shmframe_reader_release(source->reader, &lease);
        name_source(reading.lane[i].measured->picture);
    }
}

static const char *name_end(void) {
    return sources_have_failed(&reading.sources) ? "failure" : "end of stream";
}

/* Returns why it is over; NULL: it is not. */
static const char *read_once(void) {
    uint64_t ready;
    switch (sources_wait(&reading.sources, measurement_deadline_ns(reading.m), &ready)) {
    case SOURCES_READY:
        take_frames(ready);
        break;
    case SOURCES_ASKED:
    case SOURCES_DUE:
        break;
    case SOURCES_OVER:
        return name_end();
    case SOURCES_LATE:
        return "deadline";
    case SOURCES_STOP:
        return "signal";
    }
    return NULL;
}

int mark_reading_run(struct measurement *m, struct shmframe_session *session,
                     const struct mark_reading_params *params) {
    reading.m = m;
    reading.has_policy = params->has_policy;
    reading.sources.session = session;
    if (!open_streams(params)) {
        close_streams();
        consumer_tell_stopped("measured");
        return EXIT_FAILED;
    }
    measurement_start(m);
    while (!m->reason) {
        m->reason = read_once();
        if (!m->reason)
            measurement_look_at_clock(m);
        if (!m->reason && sources_miss_frames(&reading.sources))
            m->reason = name_end();
    }
    for (uint32_t i = 0; i < reading.selection.count; i++)
        mark_lane_end(&reading.lane[i]);
    const bool has_failed =
        sources_have_failed(&reading.sources) || strcmp(m->reason, "deadline") == 0;
    const int exit_code = tables_print_total(m);
    reporting_end(m);
    close_streams();
    return has_failed ? EXIT_FAILED : exit_code;
}
