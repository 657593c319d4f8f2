#include "producer.h"
#include "progress.h"
#include "report.h"
#include "statistics.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)
/* How long a loan waits for lossless readers before requests are looked at again. */
#define LOAN_SLICE_NS     (SECOND_NS / 20)
#define OTHERS_NS         (3 * SECOND_NS)
#define PROGRESS_NS       (SECOND_NS / 2)
#define FORMAT_TIMEOUT_NS (10 * SECOND_NS)
#define RETRY_MIN_NS      (SECOND_NS / 10)

/* Options. */

struct producer_options producer_options = {.format = "text"};

const struct option_spec producer_option_specs[] = {
    {"stream", 's', OPTION_TEXT, &producer_options.stream, "NAME", "name of the stream"},
    {"group", 'g', OPTION_TEXT, &producer_options.group, "NAME",
     "group that the streams belong to; default: the stream's name"},
    {"allow", 0, OPTION_TEXT, &producer_options.allow, "WHO",
     "which other users may read the streams: \"group video\", \"user anna\", several with "
     "commas between them, or \"all\" or \"none\" alone; default: as shmframed.conf says"},
    {"list", 'l', OPTION_FLAG, &producer_options.is_listing, NULL,
     "list what there is to choose from, and exit"},
    {"frames", 'n', OPTION_POSITIVE_COUNT, &producer_options.frames, "COUNT",
     "end after so many pictures, or blocks of sound where there are no pictures"},
    {"duration", 'd', OPTION_POSITIVE_DURATION, &producer_options.duration_ns, "TIME",
     "end after that time: 10, 1.5s, 200ms, 3m"},
    {"wait-readers", 'w', OPTION_COUNT, &producer_options.wait_readers, "COUNT",
     "begin when the stream has so many readers; the first one, of several"},
    {"format", 0, OPTION_TEXT, &producer_options.format, "text|json",
     "how to print the statistics at the end"},
    {0},
};

void producer_check_options(void) {
    struct producer_options *options = &producer_options;
    report_format_parse(options->format);
    if (!options->group)
        options->group = options->stream;
    static const char rule[] =
        "1 to 63 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit";
    if (!shmframe_name_is_valid(options->stream))
        program_fail_usage("--stream: \"%s\" should be %s", options->stream, rule);
    if (!shmframe_name_is_valid(options->group))
        program_fail_usage("--group: \"%s\" should be %s", options->group, rule);
}

/* Requests. */

/* What is paused, or comes as quickly as it can, is not late. */
static void set_pace(const struct producer *producer) {
    for (uint32_t i = 0; i < producer->streams; i++)
        shmframe_writer_set_paced(producer->stream[i].writer,
                                  !producer->is_paused && !producer->is_unpaced);
}

static int run_pause(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct producer *producer = user;
    (void)argument;
    if (!producer->is_paused)
        producer->paused_ns = shmframe_now_ns();
    producer->is_paused = true;
    set_pace(producer);
    strcpy(answer, "paused");
    return 0;
}

static int run_resume(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct producer *producer = user;
    (void)argument;
    strcpy(answer, "running");
    if (!producer->is_paused)
        return 0;
    producer->is_paused = false;
    producer->start_ns += shmframe_now_ns() - producer->paused_ns;
    for (uint32_t i = 0; i < producer->streams; i++)
        producer->stream[i].is_discontinuous = true;
    set_pace(producer);
    return 0;
}

static int run_quit(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct producer *producer = user;
    (void)argument;
    producer->is_quitting = true;
    strcpy(answer, "ending");
    return 0;
}

static const struct verb common_verbs[] = {
    {"pause", run_pause}, {"resume", run_resume}, {"quit", run_quit}, {0}};

/* Takes all events. Returns true if a verb of the program's own was run. */
static bool serve_events(struct producer *producer) {
    const struct verb_table tables[] = {
        {.verbs = common_verbs, .user = producer},
        {.verbs = producer->verbs, .user = producer->user},
    };
    bool is_asked = false;
    for (uint32_t i = 0; i < producer->streams; i++) {
        struct shmframe_writer *writer = producer->stream[i].writer;
        struct shmframe_writer_event event;
        while (shmframe_writer_next_event(writer, &event) == 0)
            if (event.type == SHMFRAME_REQUEST && verb_serve(writer, &event, tables, 2) == 1)
                is_asked = true;
    }
    /* After the answer: stopping interrupts the session. */
    if (producer->is_quitting)
        program_stop();
    return is_asked;
}

const char *producer_split_setting(const char *argument, char out_name[SHMFRAME_ARGUMENT_BYTES]) {
    const size_t length = strcspn(argument, " ");
    const char *value = argument + length + strspn(argument + length, " ");
    if (!length || length >= SHMFRAME_ARGUMENT_BYTES || !*value)
        return NULL;
    memcpy(out_name, argument, length);
    out_name[length] = 0;
    return value;
}

/* Waiting. */

static void show_progress(struct producer *producer) {
    const int64_t now_ns = shmframe_now_ns();
    if (!progress_is_shown() || !producer->streams || now_ns - producer->progress_ns < PROGRESS_NS)
        return;
    producer->progress_ns = now_ns;
    const struct producer_stream *stream = &producer->stream[0];
    const uint64_t frames = stream->in_place + stream->copied;
    const double seconds = (double)(now_ns - producer->started_ns) / SECOND_NS;
    if (!producer->started_ns)
        progress_update("%s: waiting for readers: %u of %u", stream->name,
                        shmframe_writer_readers(stream->writer), producer_options.wait_readers);
    else
        progress_update("%s: %" PRIu64 " frames in %.1f s, %u readers, %" PRIu64 " overdue%s",
                        stream->name, frames, seconds, shmframe_writer_readers(stream->writer),
                        stream->overdue, producer->is_paused ? ", paused" : "");
}

/* Sleeps until something happens or the deadline is there. Returns whether `fd` is readable. */
static bool sleep_once(struct producer *producer, int fd, int64_t deadline_ns) {
    struct pollfd polls[] = {
        {.fd = shmframe_session_fd(producer->session), .events = POLLIN},
        {.fd = program_stop_fd(), .events = POLLIN},
        {.fd = fd, .events = POLLIN},
    };
    /* A terminal wants its progress line now and then, also while nothing happens. */
    if (progress_is_shown() && deadline_ns > producer->progress_ns + PROGRESS_NS)
        deadline_ns = producer->progress_ns + PROGRESS_NS;
    int64_t left_ns = deadline_ns - shmframe_now_ns();
    if (left_ns < 0)
        left_ns = 0;
    const struct timespec timeout = {.tv_sec = left_ns / SECOND_NS, .tv_nsec = left_ns % SECOND_NS};
    if (ppoll(polls, 3, deadline_ns == SHMFRAME_FOREVER ? NULL : &timeout, NULL) <= 0)
        return false;
    if (polls[0].revents)
        shmframe_session_dispatch(producer->session);
    return polls[2].revents;
}

enum producer_wait producer_wait_for(struct producer *producer, int fd, int64_t deadline_ns) {
    for (;;) {
        const bool is_ready = sleep_once(producer, fd, deadline_ns);
        const bool was_paused = producer->is_paused;
        const bool is_asked = serve_events(producer);
        show_progress(producer);
        if (program_is_stopping())
            return PRODUCER_STOP;
        if (is_asked || was_paused != producer->is_paused)
            return PRODUCER_ASKED;
        if (is_ready)
            return PRODUCER_READY;
        if (shmframe_now_ns() >= deadline_ns)
            return PRODUCER_DUE;
    }
}

enum producer_wait producer_wait_until(struct producer *producer, int64_t media_ns) {
    for (;;) {
        const bool was_paused = producer->is_paused;
        const int64_t deadline_ns = was_paused             ? SHMFRAME_FOREVER
                                    : producer->is_unpaced ? SHMFRAME_NOW
                                                           : producer->start_ns + media_ns;
        const enum producer_wait result = producer_wait_for(producer, -1, deadline_ns);
        if (result != PRODUCER_ASKED || was_paused == producer->is_paused)
            return result;
    }
}

enum producer_wait producer_wait_retry(struct producer *producer, uint32_t *tries) {
    static const uint32_t doublings_max = 4; /* to 1.6 s, then 2 s */
    const int64_t wait_ns = *tries <= doublings_max ? RETRY_MIN_NS << *tries : 2 * SECOND_NS;
    const int64_t try_ns = shmframe_deadline_ns(wait_ns);
    *tries += 1;
    for (;;) {
        const int64_t end_ns = producer_end_ns(producer);
        const enum producer_wait result =
            producer_wait_for(producer, -1, end_ns < try_ns ? end_ns : try_ns);
        if (result == PRODUCER_DUE && producer_is_over(producer))
            return PRODUCER_STOP;
        if (result != PRODUCER_ASKED)
            return result;
    }
}

int64_t producer_end_ns(const struct producer *producer) {
    if (!producer_options.duration_ns || producer->is_paused)
        return SHMFRAME_FOREVER;
    return producer->start_ns + producer_options.duration_ns;
}

int64_t producer_media_ns(const struct producer *producer) {
    return (producer->is_paused ? producer->paused_ns : shmframe_now_ns()) - producer->start_ns;
}

/* Life. */

void producer_open(struct producer *producer, const struct verb *verbs, void *user) {
    program_end_on_signals(EXIT_DONE); /* while it waits for a supervisor */
    *producer = (struct producer){
        .session = program_open_session(),
        .verbs = verbs,
        .user = user,
    };
    program_stop_on_signals(producer->session);
    /* The kernel may make sleeps longer by 50 us to save wake-ups; here each one is a frame's. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

struct producer_stream *producer_add(struct producer *producer,
                                     const struct shmframe_writer_params *params) {
    assert(producer->streams < PRODUCER_STREAMS_MAX);
    struct producer_stream *stream = &producer->stream[producer->streams];
    *stream = (struct producer_stream){.is_live = params->flags & SHMFRAME_WRITER_LIVE};
    snprintf(stream->name, sizeof(stream->name), "%s", params->stream);
    struct shmframe_writer_params told = *params;
    told.flags |= SHMFRAME_WRITER_TELLS_DROPS;
    told.allow = producer_options.allow;
    const int result = shmframe_writer_open(producer->session, &told, &stream->writer);
    if (result == -EINTR && program_is_stopping())
        return NULL;
    if (result < 0)
        program_fail_call(stream->name);
    producer->streams++;
    return stream;
}

/* The most readers that any stream but the first has, and which that is. */
static uint32_t count_other_readers(const struct producer *producer, const char **out_name) {
    uint32_t most = 0;
    for (uint32_t i = 1; i < producer->streams; i++) {
        const uint32_t readers = shmframe_writer_readers(producer->stream[i].writer);
        if (readers > most)
            *out_name = producer->stream[i].name;
        if (readers > most)
            most = readers;
    }
    return most;
}

/* Who reads another stream of ours waits as we do, and cannot know for what: consumers open theirs
 * one after the other, but after OTHERS_NS nobody comes for the first any more. */
static bool is_first_unwanted(struct producer *producer) {
    const char *other = "";
    if (count_other_readers(producer, &other) < producer_options.wait_readers) {
        producer->others_ns = 0;
        return false;
    }
    if (producer->others_ns == 0)
        producer->others_ns = shmframe_deadline_ns(OTHERS_NS);
    if (shmframe_now_ns() < producer->others_ns)
        return false;
    program_warn("%s has the readers that were waited for, %s has not: beginning", other,
                 producer->stream[0].name);
    return true;
}

enum producer_wait producer_wait_readers(struct producer *producer, int fd) {
    const uint32_t wanted = producer_options.wait_readers;
    struct shmframe_writer *first = producer->stream[0].writer;
    while (wanted && shmframe_writer_readers(first) < wanted && !is_first_unwanted(producer)) {
        /* A reader that joins is mail, and ends the sleep. */
        const int64_t deadline_ns = shmframe_deadline_ns(SECOND_NS / 10);
        const enum producer_wait result = producer_wait_for(producer, fd, deadline_ns);
        if (result != PRODUCER_DUE)
            return result;
    }
    return program_is_stopping() ? PRODUCER_STOP : PRODUCER_DUE;
}

bool producer_start(struct producer *producer) {
    enum producer_wait wait;
    do
        wait = producer_wait_readers(producer, -1);
    while (wait == PRODUCER_ASKED);
    if (wait == PRODUCER_STOP)
        return false;
    /* Slots that a decoder has ahead were lent before readers came: who joined the other streams is
     * looked for now, or their first frames would be published past them. */
    for (uint32_t i = 0; i < producer->streams; i++)
        shmframe_writer_readers(producer->stream[i].writer);
    set_pace(producer);
    producer->started_ns = shmframe_now_ns();
    producer->start_ns = producer->started_ns;
    producer->paused_ns = producer->started_ns;
    return !program_is_stopping();
}

/* Frames. */

static void refuse_frame(struct producer_stream *stream, int result) {
    if (stream->refused++ == 0)
        program_warn("%s: a frame is dropped, no slot: %s", stream->name,
                     result == -EAGAIN ? "a lossless reader is behind" : shmframe_last_error());
    stream->dropped++;
}

void producer_count_dropped(struct producer_stream *stream, uint32_t frames) {
    stream->dropped += frames;
    stream->dropped_by_device += frames;
    stream->device_dropped += frames;
}

bool producer_set_format(struct producer_stream *stream, const struct shmframe_format *format) {
    const int result =
        shmframe_writer_set_format(stream->writer, format, shmframe_deadline_ns(FORMAT_TIMEOUT_NS));
    if (result < 0 && !(result == -EINTR && program_is_stopping()))
        program_fail_call(stream->name);
    return result == 0;
}

void producer_tell_dropped(const struct producer_stream *stream, struct shmframe_loan *loan) {
    loan->frame.device_dropped = stream->dropped;
    loan->own_dropped = stream->dropped - stream->dropped_by_device;
    if (stream->is_discontinuous || stream->dropped)
        loan->frame.flags |= SHMFRAME_DISCONTINUITY;
}

int producer_loan(struct producer *producer, struct producer_stream *stream,
                  struct shmframe_loan *out_loan) {
    for (;;) {
        const int64_t deadline_ns =
            stream->is_live ? SHMFRAME_NOW : shmframe_deadline_ns(LOAN_SLICE_NS);
        const int result = shmframe_writer_loan(stream->writer, deadline_ns, out_loan);
        if (result == 0)
            break;
        if (result == -ENOSPC || result == -ENOMEM || result == -EAGAIN) {
            refuse_frame(stream, result);
            return -EAGAIN;
        }
        if (result != -ETIMEDOUT && result != -EINTR)
            program_fail_call(stream->name);
        /* A lossless reader is behind, and may be for long: requests are served meanwhile. */
        if (producer_wait_for(producer, -1, SHMFRAME_NOW) == PRODUCER_STOP)
            return -EINTR;
    }
    producer_tell_dropped(stream, out_loan);
    return 0;
}

void producer_publish(struct producer_stream *stream, struct shmframe_loan *loan, bool is_copied) {
    if (shmframe_writer_publish(stream->writer, loan) < 0)
        program_fail_call(stream->name);
    stream->dropped = stream->dropped_by_device = 0;
    stream->is_discontinuous = false;
    if (is_copied)
        stream->copied++;
    else
        stream->in_place++;
}

bool producer_has_enough(const struct producer *producer) {
    const struct producer_stream *first = &producer->stream[0];
    return producer_options.frames && first->in_place + first->copied >= producer_options.frames;
}

bool producer_is_over(const struct producer *producer) {
    return producer_has_enough(producer) || shmframe_now_ns() >= producer_end_ns(producer);
}

/* The end. */

int producer_finish(struct producer *producer) {
    const int64_t end_ns = shmframe_now_ns();
    const double seconds =
        producer->started_ns ? (double)(end_ns - producer->started_ns) / SECOND_NS : 0;
    /* What interrupted the loop is not to interrupt its end. */
    shmframe_session_resume(producer->session);
    int exit_code = EXIT_DONE;
    struct shmframe_writer_counters counters[PRODUCER_STREAMS_MAX];
    for (uint32_t i = 0; i < producer->streams; i++) {
        struct producer_stream *stream = &producer->stream[i];
        shmframe_writer_counters(stream->writer, &counters[i]);
        if (shmframe_writer_end(stream->writer) < 0) {
            program_warn("%s: %s", stream->name, shmframe_last_error());
            exit_code = EXIT_FAILED;
        }
        shmframe_writer_close(stream->writer);
        stream->writer = NULL;
    }
    progress_clear();
    statistics_print(producer, counters, seconds);
    program_close_session(producer->session);
    producer->session = NULL;
    return exit_code;
}
