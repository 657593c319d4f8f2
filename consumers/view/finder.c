#include "finder.h"

#include "choice.h"
#include "consumer.h"
#include "progress.h"
#include <poll.h>
#include <string.h>

static const int64_t answer_ns = 200000000;
static const int64_t pair_ns = 200000000; /* producers open picture and sound one after the other */
enum { LOOK_MS = 20 };

static const char *name_of(const struct finder *finder, int index) {
    return index >= 0 ? finder->streams[index].name : NULL;
}

bool finder_look(struct finder *finder, int64_t wait_ns) {
    const int listed = shmframe_session_streams(finder->session, shmframe_deadline_ns(wait_ns),
                                                finder->streams, FINDER_STREAMS);
    finder->count = listed < 0 ? 0 : listed > FINDER_STREAMS ? FINDER_STREAMS : (uint32_t)listed;
    return listed >= 0;
}

struct finder_result finder_find(const struct finder *finder, const char *name) {
    const struct stream_choice choice = choose_streams(finder->streams, (int)finder->count, name);
    struct finder_result result = {
        .video = name_of(finder, choice.video),
        .audio = name_of(finder, choice.audio),
    };
    if (result.video && !result.audio) {
        result.is_pair_likely = finder->streams[choice.video].group[0] != '\0';
    } else if (result.audio && !result.video) {
        result.is_pair_likely = strcmp(result.audio, name) != 0;
    }
    return result;
}

/* A stream that is there and can never be shown is not worth waiting for. */
static void fail_if_data(const struct finder *finder, const char *name) {
    for (uint32_t i = 0; i < finder->count; i++) {
        if (strcmp(finder->streams[i].name, name) == 0 &&
            finder->streams[i].kind == SHMFRAME_DATA) {
            program_fail("stream %s carries data, neither picture nor sound: shmframe-latency can "
                         "measure it",
                         name);
        }
    }
}

/* The line for a stream that is not there is consumer.h's. */
static void fail_to_find(const struct finder *finder, const char *name) {
    consumer_settings.wait_ns = 0;
    consumer_settings.policy = "latest";
    consumer_settings.depth = 0;
    shmframe_reader_close(consumer_open_reader(finder->session, consumer_reader_params(name)));
    program_fail("stream %s came and went: start again", name);
}

enum progress { NOTHING, A_PART, ENOUGH };

/* How far the best of them is. */
static enum progress look(struct finder *finder, char *const names[], uint32_t count) {
    finder_look(finder, answer_ns);
    enum progress progress = NOTHING;
    for (uint32_t i = 0; i < count && progress != ENOUGH; i++) {
        const struct finder_result found = finder_find(finder, names[i]);
        if (found.video || found.audio) {
            progress = found.is_pair_likely ? A_PART : ENOUGH;
        }
        fail_if_data(finder, names[i]);
    }
    return progress;
}

bool finder_wait(struct finder *finder, char *const names[], uint32_t count) {
    const int64_t deadline_ns = shmframe_deadline_ns(consumer_settings.wait_ns);
    int64_t told_ns =
        progress_is_shown() ? SHMFRAME_FOREVER : shmframe_deadline_ns(CONSUMER_SILENT_NS);
    int64_t pair_deadline_ns = SHMFRAME_FOREVER;
    while (!program_is_stopping()) {
        const enum progress progress = look(finder, names, count);
        const int64_t now_ns = shmframe_now_ns();
        if (progress == ENOUGH || (progress == A_PART && now_ns >= pair_deadline_ns)) {
            progress_clear();
            return true;
        }
        if (progress == A_PART && pair_deadline_ns == SHMFRAME_FOREVER) {
            pair_deadline_ns = now_ns + pair_ns;
        }
        if (progress == NOTHING && now_ns >= deadline_ns) {
            fail_to_find(finder, names[0]);
        }
        progress_update("waiting for stream %s", names[0]);
        if (progress == NOTHING && now_ns >= told_ns) {
            consumer_tell_waiting(names[0]);
            told_ns = SHMFRAME_FOREVER;
        }
        struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
        poll(&stop, 1, LOOK_MS);
    }
    return false;
}
