#include "selection.h"

#include "choice.h"
#include "consumer.h"
#include "progress.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_MIN = 16, LOOK_MS = 20 };
static const int64_t answer_ns = 200000000;
static const int64_t settle_ns = 200000000; /* producers open their streams one after the other */

static void add(struct selection *selection, const struct shmframe_stream_info *info) {
    for (uint32_t i = 0; i < selection->count; i++)
        if (strcmp(selection->stream[i].name, info->name) == 0)
            return;
    if (selection->count == SELECTION_MAX)
        program_fail_usage("%d streams can be read at once; name fewer", SELECTION_MAX);
    struct selected_stream *stream = &selection->stream[selection->count++];
    memcpy(stream->name, info->name, sizeof(stream->name));
    memcpy(stream->group, info->group, sizeof(stream->group));
    stream->kind = info->kind;
}

/* The stream of data that is there under that name; NULL: there is none. */
static const struct shmframe_stream_info *find_data(const struct shmframe_stream_info *streams,
                                                    int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(streams[i].name, name) == 0 && streams[i].kind == SHMFRAME_DATA &&
            streams[i].state == SHMFRAME_STREAM_LIVE)
            return &streams[i];
    return NULL;
}

/* A stream that was named beside others stands for itself; a group for all that is in it. */
static bool add_named(struct selection *selection, const struct shmframe_stream_info *streams,
                      int count, const char *name, bool is_alone) {
    struct stream_choices found = choose_all_streams(streams, count, name);
    if (found.video >= 0) {
        add(selection, &streams[found.video]);
        if (!is_alone && strcmp(streams[found.video].name, name) == 0)
            return true;
    }
    for (uint32_t i = 0; i < found.audios; i++)
        add(selection, &streams[found.audio[i]]);
    return found.video >= 0 || found.audios > 0;
}

/* All streams there are. Errors: as shmframe_session_streams(). */
static int list_streams(struct shmframe_session *session, struct shmframe_stream_info **streams) {
    for (uint32_t room = STREAMS_MIN;; room *= 2) {
        *streams = reallocarray(*streams, room, sizeof(**streams));
        if (!*streams)
            program_fail("no memory for a list of streams");
        const int listed =
            shmframe_session_streams(session, shmframe_deadline_ns(answer_ns), *streams, room);
        if (listed <= (int)room)
            return listed;
    }
}

/* What is looked for. */
struct search {
    char *const *names;
    uint32_t count;
    bool takes_data;
};

/* Returns the first name that means nothing yet; NULL: all are there. `out_listed`: how many
 * streams there are, or why nobody said. */
static const char *look(struct shmframe_session *session, const struct search *search,
                        struct selection *out_selection, int *out_listed) {
    static struct shmframe_stream_info *streams;
    const int listed = list_streams(session, &streams);
    *out_listed = listed;
    *out_selection = (struct selection){0};
    for (uint32_t i = 0; i < search->count; i++) {
        const char *name = search->names[i];
        const struct shmframe_stream_info *data = find_data(streams, listed, name);
        if (data && search->takes_data)
            add(out_selection, data);
        else if (data) /* not worth waiting for */
            program_fail("stream %s carries data, neither picture nor sound: shmframe-latency can "
                         "measure it",
                         name);
        else if (!add_named(out_selection, streams, listed, name, search->count == 1))
            return name;
    }
    return NULL;
}

/* Whether more may be about to come: what was named is not just sounds, each by its own name. */
static bool may_grow(const struct selection *selection, char *const *names, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        bool is_complete = false;
        for (uint32_t k = 0; k < selection->count; k++) {
            const struct selected_stream *stream = &selection->stream[k];
            const bool is_itself = strcmp(stream->name, names[i]) == 0;
            const bool has_no_others =
                count > 1 || stream->kind != SHMFRAME_VIDEO || stream->group[0] == '\0';
            is_complete = is_complete || (is_itself && has_no_others);
        }
        if (!is_complete)
            return true;
    }
    return false;
}

static void check_names(char *const *names, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        consumer_reader_params(names[i]); /* whose checks end the program */
}

static bool find(struct shmframe_session *session, const struct search *search,
                 struct selection *out_selection) {
    char *const *names = search->names;
    const uint32_t count = search->count;
    check_names(names, count);
    const int64_t deadline_ns = shmframe_deadline_ns(consumer_settings.wait_ns);
    int64_t told_ns = progress_is_shown() ? INT64_MAX : shmframe_deadline_ns(CONSUMER_SILENT_NS);
    int64_t settled_ns = 0;
    uint32_t known = 0;
    while (!program_is_stopping()) {
        int listed;
        const char *missing = look(session, search, out_selection, &listed);
        const int64_t now_ns = shmframe_now_ns();
        if (out_selection->count != known)
            settled_ns = now_ns + settle_ns;
        known = out_selection->count;
        if (!missing && (now_ns >= settled_ns || !may_grow(out_selection, names, count))) {
            progress_clear();
            return true;
        }
        if (missing && now_ns >= deadline_ns && listed < 0 && listed != -EINTR)
            program_fail("stream %s: the supervisor does not say which streams there are: %s",
                         missing, shmframe_last_error());
        if (missing && now_ns >= deadline_ns && listed >= 0)
            consumer_fail_open(session, missing, consumer_settings.wait_ns ? -ETIMEDOUT : -ENOENT);
        if (missing)
            progress_update("waiting for stream %s", missing);
        if (missing && now_ns >= told_ns) {
            consumer_tell_waiting(missing);
            told_ns = INT64_MAX;
        }
        struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
        poll(&stop, 1, LOOK_MS);
    }
    return false;
}

bool selection_find(struct shmframe_session *session, char *const *names, uint32_t count,
                    struct selection *out_selection) {
    const struct search search = {.names = names, .count = count};
    return find(session, &search, out_selection);
}

bool selection_find_any(struct shmframe_session *session, char *const *names, uint32_t count,
                        struct selection *out_selection) {
    const struct search search = {.names = names, .count = count, .takes_data = true};
    return find(session, &search, out_selection);
}
