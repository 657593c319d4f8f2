#include "gather_answers.h"
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *gather_grow(void *list, size_t entry_bytes, uint32_t count) {
    void *grown = realloc(list, entry_bytes * (count ? count : 1));
    if (!grown)
        program_fail("no memory for a list of %u entries", count);
    return grown;
}

static bool is_wanted(const char *name, const char *const *wanted, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(name, wanted[i]) == 0)
            return true;
    return count == 0;
}

/* All streams, if none is `wanted`. */
static int ask_streams(struct gather_answers *answers, struct shmframe_session *session,
                       const char *const *wanted, uint32_t count, int64_t deadline_ns) {
    for (;;) {
        const int found =
            shmframe_session_streams(session, deadline_ns, answers->stream, answers->stream_room);
        if (found < 0)
            return found;
        answers->streams = (uint32_t)found;
        if (answers->streams <= answers->stream_room)
            break;
        answers->stream_room = answers->streams + 16;
        answers->stream =
            gather_grow(answers->stream, sizeof(*answers->stream), answers->stream_room);
    }
    const uint32_t listed = answers->streams;
    answers->streams = 0;
    for (uint32_t i = 0; i < listed; i++)
        if (is_wanted(answers->stream[i].name, wanted, count))
            answers->stream[answers->streams++] = answers->stream[i];
    return 0;
}

/* Adds the readers of a stream behind those of the streams before it. */
static int ask_readers(struct gather_answers *answers, struct shmframe_session *session,
                       const char *stream, int64_t deadline_ns, uint32_t *out_readers) {
    for (;;) {
        const uint32_t room = answers->reader_room - answers->all_readers;
        int found = shmframe_session_readers(session, stream, deadline_ns,
                                             answers->reader + answers->all_readers, room);
        if (found == -ENOENT) /* gone meanwhile */
            found = 0;
        if (found < 0)
            return found;
        *out_readers = (uint32_t)found;
        if (*out_readers <= room) {
            answers->all_readers += *out_readers;
            return 0;
        }
        answers->reader_room = answers->all_readers + *out_readers + 16;
        answers->reader =
            gather_grow(answers->reader, sizeof(*answers->reader), answers->reader_room);
    }
}

static int ask_all_readers(struct gather_answers *answers, struct shmframe_session *session,
                           int64_t deadline_ns) {
    answers->all_readers = 0;
    if (answers->readers_room < answers->streams) {
        answers->readers_room = answers->streams;
        answers->readers =
            gather_grow(answers->readers, sizeof(*answers->readers), answers->readers_room);
    }
    /* A call needs somewhere to write, also for a list of nobody. */
    if (!answers->reader)
        answers->reader = gather_grow(NULL, sizeof(*answers->reader), answers->reader_room = 16);
    int code = 0;
    for (uint32_t i = 0; i < answers->streams && code == 0; i++)
        code = ask_readers(answers, session, answers->stream[i].name, deadline_ns,
                           &answers->readers[i]);
    return code;
}

static int ask_nodes(struct gather_answers *answers, struct shmframe_session *session,
                     int64_t deadline_ns) {
    for (;;) {
        const int found =
            shmframe_session_nodes(session, deadline_ns, answers->node, answers->node_room);
        if (found < 0)
            return found;
        answers->nodes = (uint32_t)found;
        if (answers->nodes <= answers->node_room)
            return 0;
        answers->node_room = answers->nodes + 16;
        answers->node = gather_grow(answers->node, sizeof(*answers->node), answers->node_room);
    }
}

int gather_answers_ask(struct gather_answers *answers, struct shmframe_session *session,
                       const char *const *stream, uint32_t streams, int64_t deadline_ns) {
    int code = ask_streams(answers, session, stream, streams, deadline_ns);
    if (code == 0)
        code = ask_all_readers(answers, session, deadline_ns);
    if (code == 0)
        code = ask_nodes(answers, session, deadline_ns);
    return code;
}

void gather_answers_finish(struct gather_answers *answers) {
    free(answers->stream);
    free(answers->reader);
    free(answers->readers);
    free(answers->node);
    *answers = (struct gather_answers){0};
}
