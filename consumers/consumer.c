#include "consumer.h"
#include "progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_SHOWN = 8 };

struct consumer_settings consumer_settings = {
    .policy = "latest",
    .wait_ns = INT64_C(10000000000),
};

const struct option_spec consumer_options[] = {
    {.name = "policy",
     .kind = OPTION_TEXT,
     .out = &consumer_settings.policy,
     .argument = "POLICY",
     .help = "which frames to get: latest (the newest, always), in-order (every one, up to --depth "
             "behind) or lossless (the writer waits for this reader)"},
    {.name = "depth",
     .kind = OPTION_POSITIVE_COUNT,
     .out = &consumer_settings.depth,
     .argument = "FRAMES",
     .help = "in-order, lossless: how many frames this reader may be behind (1 to 192)"},
    {.name = "leases",
     .kind = OPTION_POSITIVE_COUNT,
     .out = &consumer_settings.leases,
     .argument = "FRAMES",
     .help = "how many frames it may hold at once (1 to 6)"},
    {.name = "wait",
     .kind = OPTION_DURATION,
     .out = &consumer_settings.wait_ns,
     .argument = "TIME",
     .help = "how long to wait for a stream that is not there yet (10s)"},
    {.name = "deadline",
     .kind = OPTION_DURATION,
     .out = &consumer_settings.deadline_ns,
     .argument = "TIME",
     .help = "fail if no frame comes for so long; without it a stream that stands still is waited "
             "for"},
    {.name = "duration",
     .kind = OPTION_POSITIVE_DURATION,
     .out = &consumer_settings.duration_ns,
     .argument = "TIME",
     .help = "end after this time"},
    {.name = "frames",
     .kind = OPTION_POSITIVE_COUNT,
     .out = &consumer_settings.frames,
     .argument = "COUNT",
     .help = "end after so many frames"},
    {0},
};

static const char *const policy_names[] = {
    [SHMFRAME_LATEST] = "latest",
    [SHMFRAME_IN_ORDER] = "in-order",
    [SHMFRAME_LOSSLESS] = "lossless",
};
enum { POLICIES = sizeof(policy_names) / sizeof(policy_names[0]) };

const char *consumer_policy_name(unsigned policy) {
    return policy < POLICIES ? policy_names[policy] : "?";
}

static enum shmframe_policy parse_policy(const char *text) {
    for (unsigned i = 0; i < POLICIES; i++)
        if (strcmp(text, policy_names[i]) == 0)
            return (enum shmframe_policy)i;
    program_fail_usage("--policy: \"%s\" should be latest, in-order or lossless", text);
}

struct shmframe_reader_params consumer_reader_params(const char *stream) {
    const struct consumer_settings *settings = &consumer_settings;
    const enum shmframe_policy policy =
        settings->policy ? parse_policy(settings->policy) : SHMFRAME_LATEST;
    if (!shmframe_name_is_valid(stream))
        program_fail_usage("\"%s\" cannot name a stream: a to z, 0 to 9, '.', '_' and '-' can, up "
                           "to 63 of them, the first a letter or digit",
                           stream);
    if (settings->depth && settings->policy && policy == SHMFRAME_LATEST)
        program_fail_usage("--depth needs --policy in-order or lossless");
    if (settings->depth > SHMFRAME_DEPTH_MAX)
        program_fail_usage("--depth: %u should be 1 to %d", settings->depth, SHMFRAME_DEPTH_MAX);
    if (settings->leases > SHMFRAME_LEASES_MAX)
        program_fail_usage("--leases: %u should be 1 to %d", settings->leases, SHMFRAME_LEASES_MAX);
    return (struct shmframe_reader_params){
        .stream = stream,
        .policy = policy,
        .depth = settings->depth,
        .leases = settings->leases,
    };
}

/* Writes which streams there are into `text`: what to choose from. */
static void describe_streams(struct shmframe_session *session, char *text, size_t text_bytes) {
    static struct shmframe_stream_info streams[NAMES_SHOWN];
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(1000000000));
    const int count = shmframe_session_streams(session, deadline_ns, streams, NAMES_SHOWN);
    size_t used = (size_t)snprintf(text, text_bytes, "start its producer first");
    bool is_first = true;
    for (int i = 0; i < count && i < NAMES_SHOWN; i++) {
        if (streams[i].state != SHMFRAME_STREAM_LIVE || used >= text_bytes)
            continue;
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%s",
                                 is_first ? ", or choose one of: " : ", ", streams[i].name);
        is_first = false;
    }
    if (count > NAMES_SHOWN && used < text_bytes)
        snprintf(text + used, text_bytes - used, " ... (shmframe ls)");
}

void consumer_fail_open(struct shmframe_session *session, const char *stream, int result) {
    if (result != -ENOENT && result != -ETIMEDOUT)
        program_fail("stream %s cannot be read: %s", stream, shmframe_last_error());
    char remedy[640];
    describe_streams(session, remedy, sizeof(remedy));
    if (result == -ENOENT)
        program_fail("no stream '%s'; %s", stream, remedy);
    program_fail("stream %s did not appear within %g s; %s", stream,
                 (double)consumer_settings.wait_ns / 1e9, remedy);
}

void consumer_tell_waiting(const char *stream) {
    program_warn("waiting for stream %s, for %g s in all (--wait)", stream,
                 (double)consumer_settings.wait_ns / 1e9);
}

struct shmframe_reader *consumer_open_reader(struct shmframe_session *session,
                                             struct shmframe_reader_params params) {
    struct shmframe_reader *reader = NULL;
    progress_update("waiting for stream %s", params.stream);
    const int64_t deadline_ns =
        consumer_settings.wait_ns > 0 ? shmframe_deadline_ns(consumer_settings.wait_ns) : 0;
    const int64_t told_ns = shmframe_deadline_ns(CONSUMER_SILENT_NS);
    bool is_silent = !progress_is_shown() && told_ns < deadline_ns;
    int result;
    do {
        params.deadline_ns = is_silent ? told_ns : deadline_ns;
        result = shmframe_reader_open(session, &params, &reader);
        if (result != -ETIMEDOUT || !is_silent)
            continue;
        consumer_tell_waiting(params.stream);
        is_silent = false;
        result = -EINTR; /* on with it */
    } while (result == -EINTR && !program_is_stopping());
    progress_clear();
    if (result == 0)
        return reader;
    if (result != -EINTR)
        consumer_fail_open(session, params.stream, result);
    return NULL;
}

void consumer_tell_stopped(const char *done) {
    program_warn("it was stopped before all that it waited for was there: nothing is %s", done);
}

int64_t consumer_late_ns(int64_t frame_ns) {
    const int64_t deadline_ns = consumer_settings.deadline_ns;
    return deadline_ns > 0 ? frame_ns + deadline_ns : SHMFRAME_FOREVER;
}

void consumer_tell_late(const char *stream) {
    program_warn("%s: no frame for %g s: its producer stands still, or --deadline is too short",
                 stream, (double)consumer_settings.deadline_ns / 1e9);
}

int64_t consumer_end_ns(void) {
    const int64_t duration_ns = consumer_settings.duration_ns;
    return duration_ns > 0 ? shmframe_deadline_ns(duration_ns) : SHMFRAME_FOREVER;
}

bool consumer_has_enough(uint64_t frames) {
    return consumer_settings.frames && frames >= consumer_settings.frames;
}

void consumer_tell_event(const struct shmframe_reader_event *event, const char *stream) {
    switch (event->type) {
    case SHMFRAME_WRITER_GONE:
        program_warn("%s: its writer is gone; waiting for the next one", stream);
        break;
    case SHMFRAME_RESTARTED:
        program_warn("%s: a new writer, generation %u", stream, event->generation);
        break;
    case SHMFRAME_FORMAT:
        program_warn("%s: a new format, generation %u", stream, event->generation);
        break;
    case SHMFRAME_EVICTED:
        program_warn("%s: the supervisor evicted this reader", stream);
        break;
    case SHMFRAME_READER_EVENT_NONE:
    case SHMFRAME_ENDED:
    case SHMFRAME_LOST:
        break;
    }
}

void consumer_tell_events(struct shmframe_reader *reader, const char *stream) {
    struct shmframe_reader_event event;
    while (shmframe_reader_next_event(reader, &event) == 0)
        consumer_tell_event(&event, stream);
}
