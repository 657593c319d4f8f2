/* shmframe trace: what became of each frame, as a trace for Perfetto or Chrome. */
#include "tool.h"
#include "traced.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STREAMS_MAX = 16 };

static struct {
    int64_t last_ns, duration_ns;
    bool is_following;
    const char *output;
} settings = {.last_ns = INT64_C(1000000000)};

static const struct option_spec options[] = {
    {.name = "last",
     .letter = 'l',
     .kind = OPTION_POSITIVE_DURATION,
     .out = &settings.last_ns,
     .argument = "TIME",
     .help = "what happened in the last so long (1s), as far as the recorders go back: each "
             "reader's has its newest 1024 frames"},
    {.name = "duration",
     .letter = 'd',
     .kind = OPTION_POSITIVE_DURATION,
     .out = &settings.duration_ns,
     .argument = "TIME",
     .help = "instead, what happens from now on for so long"},
    {.name = "follow",
     .letter = 'f',
     .kind = OPTION_FLAG,
     .out = &settings.is_following,
     .help = "instead, what happens from now on until Ctrl-C"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .out = &settings.output,
     .argument = "FILE",
     .help = "where to write it; default: standard output"},
    {0},
};

static const struct program program = {
    .name = "shmframe trace",
    .purpose = "Writes what became of each frame of STREAM as a trace, to be opened in Perfetto or "
               "Chrome.",
    .operands = "STREAM [STREAM]...",
    .options = options,
};

struct trace {
    struct shmframe_session *session;
    struct chrome chrome;
    int64_t from_ns;
    struct traced stream[STREAMS_MAX];
    unsigned streams;
    struct shmframe_stream_info *listed;
    uint32_t room;
    uint64_t event; /* number of the newest that was taken */
};

/* ---- who is looked at ---- */

#define ANSWER_NS INT64_C(5000000000)

/* All streams, however many there are: how many. */
static int list_streams(struct trace *trace) {
    for (;;) {
        if (!trace->listed) {
            trace->room = trace->room ? 2 * trace->room : 64;
            trace->listed = calloc(trace->room, sizeof(*trace->listed));
            if (!trace->listed)
                program_fail("no memory for a list of %u streams", trace->room);
        }
        const int count = shmframe_session_streams(trace->session, shmframe_deadline_ns(ANSWER_NS),
                                                   trace->listed, trace->room);
        if (count <= (int)trace->room)
            return count;
        free(trace->listed);
        trace->listed = NULL;
    }
}

static void update(struct trace *trace, bool is_first) {
    const int count = list_streams(trace);
    int code = count < 0 ? count : 0;
    for (unsigned i = 0; i < trace->streams && code == 0; i++) {
        struct traced *stream = &trace->stream[i];
        const struct shmframe_stream_info *info = NULL;
        for (int k = 0; k < count && !info; k++)
            if (strcmp(trace->listed[k].name, stream->name) == 0)
                info = &trace->listed[k];
        if (!info && is_first)
            program_fail("no stream '%s'; 'shmframe ls' lists what there is", stream->name);
        code = traced_update(stream, trace->session, info, is_first);
    }
    if (code < 0 && is_first)
        program_fail_call("the readers cannot be listed");
    if (code < 0 && code != -EINTR && code != -ENOTCONN && code != -ETIMEDOUT)
        program_warn("the readers cannot be listed anew: %s", shmframe_last_error());
}

/* ---- looking ---- */

/* What the journal has had since: true if readers may have come. Without an answer the next look
 * tells. */
static bool take_events(struct trace *trace) {
    enum { BATCH = 64 };
    static struct shmframe_event batch[BATCH];
    bool has_news = false;
    int count;
    do {
        count = shmframe_session_events(trace->session, trace->event, SHMFRAME_NOW, batch, BATCH);
        for (int i = 0; i < count; i++) {
            trace->event = batch[i].id;
            for (unsigned k = 0; k < trace->streams; k++)
                has_news |= traced_take_event(&trace->stream[k], &batch[i], &trace->chrome);
        }
    } while (count == BATCH);
    return has_news;
}

/* First the records: what they have by now was written by whom the journal knows then. */
static bool look(struct trace *trace, bool is_last) {
    for (unsigned i = 0; i < trace->streams; i++)
        traced_look(&trace->stream[i], &trace->chrome, is_last);
    const bool has_news = take_events(trace);
    for (unsigned i = 0; i < trace->streams; i++)
        traced_tell(&trace->stream[i], &trace->chrome);
    if (ferror(trace->chrome.file))
        program_fail("the trace cannot be written: %m");
    return has_news;
}

static bool is_due(const struct trace *trace) {
    for (unsigned i = 0; i < trace->streams; i++)
        if (traced_is_due(&trace->stream[i]))
            return true;
    return false;
}

static void pause_for(int64_t pause_ns) {
    struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
    const struct timespec timeout = {.tv_sec = pause_ns / 1000000000,
                                     .tv_nsec = pause_ns % 1000000000};
    ppoll(&stop, 1, &timeout, NULL);
}

/* The counters are looked at often, which costs next to nothing, and the recorders when they have
 * something to tell. */
static void follow(struct trace *trace) {
    enum { COUNTERS_NS = 4000000, RECORDERS_NS = 100000000, READERS_NS = 1000000000 };
    const int64_t end_ns =
        settings.duration_ns ? shmframe_deadline_ns(settings.duration_ns) : SHMFRAME_FOREVER;
    int64_t now_ns = shmframe_now_ns(), looked_ns = now_ns, updated_ns = now_ns;
    look(trace, false);
    fflush(trace->chrome.file); /* who reads along sees that it has begun */
    while (!program_is_stopping() && now_ns < end_ns) {
        pause_for(end_ns - now_ns < COUNTERS_NS ? end_ns - now_ns : COUNTERS_NS);
        now_ns = shmframe_now_ns();
        const bool has_readers_due = now_ns - updated_ns >= READERS_NS;
        if (!has_readers_due && now_ns - looked_ns < RECORDERS_NS && !is_due(trace))
            continue;
        const bool has_news = look(trace, false);
        looked_ns = now_ns;
        if (has_readers_due || has_news) {
            update(trace, false);
            updated_ns = now_ns;
        }
    }
}

/* ---- the end ---- */

static void end_trace(struct trace *trace, bool has_followed) {
    uint64_t missed = 0;
    for (unsigned i = 0; i < trace->streams; i++)
        missed += traced_finish(&trace->stream[i], has_followed);
    char more[256];
    snprintf(more, sizeof(more),
             "{\"program\":\"shmframe trace %s\",\"clock\":\"CLOCK_MONOTONIC\",\"from_ns\":%" PRId64
             ",\"to_ns\":%" PRId64 ",\"missed\":%" PRIu64 "}",
             shmframe_version(), trace->from_ns, shmframe_now_ns(), missed);
    chrome_end(&trace->chrome, more);
    free(trace->listed);
}

/* ---- the file ---- */

/* That was begun, and is not whole; NULL: none. */
static const char *begun;

static void remove_begun(void) {
    if (begun)
        unlink(begun);
}

static FILE *open_output(void) {
    if (!settings.output || strcmp(settings.output, "-") == 0)
        return stdout;
    FILE *file = fopen(settings.output, "we");
    if (!file)
        program_fail("%s cannot be written: %m", settings.output);
    struct stat status;
    if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode)) {
        begun = settings.output;
        signal(SIGXFSZ, SIG_IGN);
        atexit(remove_begun);
    }
    return file;
}

static void take_operands(struct trace *trace, int count, char **names) {
    if (count == 0)
        program_fail_usage("a stream is to be named; \"shmframe ls\" lists those that there are");
    if (count > STREAMS_MAX)
        program_fail_usage("at most %d streams can be named", STREAMS_MAX);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                program_fail_usage("%s is named twice", names[i]);
        trace->stream[trace->streams++].name = names[i];
    }
}

int tool_trace(int argc, char **argv) {
    const int operand = program_start(&program, argc, argv);
    static struct trace trace;
    take_operands(&trace, argc - operand, argv + operand);
    const bool is_following = settings.is_following || settings.duration_ns;
    trace.session = program_open_session();
    const int64_t now_ns = shmframe_now_ns();
    trace.from_ns = is_following                ? now_ns
                    : now_ns > settings.last_ns ? now_ns - settings.last_ns
                                                : 0;
    for (unsigned i = 0; i < trace.streams; i++)
        traced_init(&trace.stream[i], trace.stream[i].name, trace.from_ns);
    update(&trace, true);
    /* Only now: what cannot be traced leaves the file as it is. */
    FILE *file = open_output();
    chrome_begin(&trace.chrome, file);
    if (is_following) {
        program_stop_on_signals(trace.session);
        follow(&trace);
        shmframe_session_resume(trace.session); /* who came at last is looked at, too */
        look(&trace, false);
        update(&trace, false); /* the one before may have been interrupted */
    }
    look(&trace, true);
    end_trace(&trace, is_following);
    program_close_session(trace.session);
    if (fflush(file) == EOF || ferror(file) || (file != stdout && fclose(file) == EOF))
        program_fail("the trace cannot be written: %m");
    begun = NULL;
    return EXIT_DONE;
}
