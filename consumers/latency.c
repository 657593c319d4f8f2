/* shmframe-latency: how long the frames of a stream take, hop by hop.
 *
 * It either reads the stream itself, or looks at what another reader measures (--of), which that
 * reader does not notice. The figures are the library's: see stats.h.
 */
#include "budget.h"
#include "consumer.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGETS_MAX = 16 };

static struct {
    const char *format;
    struct option_list budgets;
    int64_t interval_ns;
    int64_t spin_ns;
    uint32_t of;
    bool is_touching;
} settings = {.format = "text", .interval_ns = INT64_C(1000000000)};

static const struct option_spec options[] = {
    {.name = "interval",
     .kind = OPTION_DURATION,
     .out = &settings.interval_ns,
     .argument = "TIME",
     .help = "print a table of the last so long (1s); 0: only the one at the end"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "text, or json: one object a line"},
    {.name = "budget",
     .kind = OPTION_LIST,
     .out = &settings.budgets,
     .argument = "HOP=TIME@QUANTILE",
     .help =
         "exit with 1 if the hop took longer, such as age=5ms@p99 or hold=2ms@max; may be given "
         "several times"},
    {.name = "spin",
     .kind = OPTION_DURATION,
     .out = &settings.spin_ns,
     .argument = "TIME",
     .help = "busy-wait so long for a frame before going to sleep"},
    {.name = "touch",
     .kind = OPTION_FLAG,
     .out = &settings.is_touching,
     .help = "read every byte of each frame"},
    {.name = "of",
     .kind = OPTION_COUNT,
     .out = &settings.of,
     .argument = "READER",
     .help = "do not read the stream: show what the reader of this number measures, as "
             "\"shmframe ls STREAM\" lists it"},
    {0},
};

static const struct program program = {
    .name = "shmframe-latency",
    .purpose = "Measures how long the frames of a stream take, hop by hop.",
    .operands = "STREAM",
    .notes = "Hops: produce (capture to publish), wake (publish to awake), transit (publish to\n"
             "acquire), hold (acquire to release), age (capture to acquire: the total),\n"
             "display (capture to shown).\n"
             "\n"
             "Example: shmframe-latency demo --duration 10 --budget age=5ms@p99",
    .options = options,
    .options2 = consumer_options,
};

/* One measurement, of whichever reader. Snapshots are large: one object, not on the stack. */
static struct measurement {
    const char *stream;
    struct shmframe_reader_params params;
    enum report_format format;
    struct budget budget[BUDGETS_MAX];
    uint32_t budgets;

    /* What is looked at: one of the two. */
    struct shmframe_reader *reader;
    struct shmframe_record *record;

    int64_t start_ns;
    int64_t interval_start_ns;
    int64_t next_ns; /* when the next interval ends */
    int64_t end_ns;
    int64_t frame_ns;   /* when the last frame was taken, for --deadline */
    const char *reason; /* why it ended; NULL: it goes on */
    struct hops start;  /* what a watched reader had measured before */
    struct hops previous;
    struct hops now;
    struct hops shown;

    uint64_t touched; /* keeps the compiler from dropping what --touch reads */
} measurement;

static void parse_settings(struct measurement *m) {
    m->format = report_format_parse(settings.format);
    m->params = consumer_reader_params(m->stream);
    m->params.spin_ns = settings.spin_ns;
    for (uint32_t i = 0; i < settings.budgets.count; i++) {
        const char *text = settings.budgets.text[i];
        const char *wanted = budget_parse(text, &m->budget[m->budgets++]);
        if (wanted)
            program_fail_usage("--budget: \"%s\" should be %s", text, wanted);
    }
    if (settings.of && (settings.is_touching || settings.spin_ns || consumer_settings.deadline_ns))
        program_fail_usage("--of reads no frames: it cannot go with --touch, --spin or --deadline");
}

/* Snapshots and what is printed of them. */

static void read_now(struct measurement *m) {
    if (m->reader)
        hops_read(&m->now, m->reader);
    else
        hops_read_record(&m->now, m->record);
}

static uint64_t count_frames(const struct measurement *m) {
    struct shmframe_reader_counters counters;
    if (m->reader)
        shmframe_reader_counters(m->reader, &counters);
    else
        shmframe_record_counters(m->record, &counters);
    return counters.delivered - m->start.counters.delivered;
}

static json_t *make_json(const struct measurement *m, const char *span, int64_t from_ns,
                         int64_t to_ns) {
    json_t *object = json_object();
    json_object_set_new(object, "span", json_string(span));
    json_object_set_new(object, "stream", json_string(m->stream));
    json_object_set_new(object, "start_ns", json_integer(from_ns));
    json_object_set_new(object, "duration_ns", json_integer(to_ns - from_ns));
    hops_add_json(object, &m->shown);
    return object;
}

static void print_interval(struct measurement *m, int64_t now_ns) {
    read_now(m);
    m->shown = m->now;
    hops_subtract(&m->shown, &m->previous);
    m->previous = m->now;
    if (m->format == REPORT_JSON) {
        report_print_json(make_json(m, "interval", m->interval_start_ns, now_ns));
    } else {
        printf("%s, second %.1f to %.1f\n", m->stream,
               (double)(m->interval_start_ns - m->start_ns) / 1e9,
               (double)(now_ns - m->start_ns) / 1e9);
        hops_print(stdout, &m->shown);
        putchar('\n');
        report_flush();
    }
    m->interval_start_ns = now_ns;
}

/* Prints the whole and judges it; returns the exit code. */
static int print_total(struct measurement *m) {
    const int64_t now_ns = shmframe_now_ns();
    read_now(m);
    m->shown = m->now;
    if (m->record) /* a reader of one's own began with nothing, and its maximum is exact */
        hops_subtract(&m->shown, &m->start);

    json_t *verdicts = json_array();
    int exit_code = EXIT_DONE;
    if (m->format == REPORT_TEXT) {
        printf("%s, all %.1f s\n", m->stream, (double)(now_ns - m->start_ns) / 1e9);
        hops_print(stdout, &m->shown);
        report_flush();
    }
    for (uint32_t i = 0; i < m->budgets; i++) {
        const struct budget_verdict verdict = budget_judge(&m->budget[i], &m->shown);
        json_array_append_new(verdicts, budget_make_json(&m->budget[i], &verdict));
        if (verdict.is_met)
            continue;
        char line[BUDGET_LINE_BYTES];
        budget_describe(&m->budget[i], &verdict, line);
        program_warn("%s", line);
        exit_code = EXIT_FAILED;
    }
    if (m->format == REPORT_JSON) {
        json_t *object = make_json(m, "total", m->start_ns, now_ns);
        json_object_set(object, "budgets", verdicts);
        json_object_set_new(object, "ended_by", json_string(m->reason));
        report_print_json(object);
    }
    json_decref(verdicts);
    return exit_code;
}

/* What both ways of measuring do between two frames, or two looks. */
static void look_at_clock(struct measurement *m) {
    const int64_t now_ns = shmframe_now_ns();
    if (now_ns >= m->next_ns) {
        print_interval(m, now_ns);
        /* From now, not from when it was due: a stopped program does not catch up. */
        m->next_ns = shmframe_deadline_ns(settings.interval_ns);
    }
    if (program_is_stopping())
        m->reason = "signal";
    else if (now_ns >= m->end_ns)
        m->reason = "duration";
    else if (now_ns >= consumer_late_ns(m->frame_ns))
        m->reason = "deadline";
}

static void start_clock(struct measurement *m) {
    m->start_ns = m->interval_start_ns = m->frame_ns = shmframe_now_ns();
    m->end_ns = consumer_end_ns();
    m->next_ns =
        settings.interval_ns > 0 ? shmframe_deadline_ns(settings.interval_ns) : SHMFRAME_FOREVER;
}

static int64_t next_deadline_ns(const struct measurement *m) {
    const int64_t late_ns = consumer_late_ns(m->frame_ns);
    const int64_t end_ns = late_ns < m->end_ns ? late_ns : m->end_ns;
    return m->next_ns < end_ns ? m->next_ns : end_ns;
}

/* Reading the stream. */

static uint64_t touch_row(const uint8_t *row, uint32_t bytes) {
    uint64_t sum = 0, word;
    uint32_t i = 0;
    for (; i + sizeof(word) <= bytes; i += sizeof(word)) {
        memcpy(&word, row + i, sizeof(word));
        sum += word;
    }
    for (; i < bytes; i++)
        sum += row[i];
    return sum;
}

/* Bytes of a row that count in this frame: data and blocks of samples may be short. */
static uint32_t count_row_bytes(const struct shmframe_lease *lease,
                                const struct shmframe_plane *plane) {
    const struct shmframe_format *format = lease->format;
    if (format->kind == SHMFRAME_DATA && lease->frame.bytes < plane->row_bytes)
        return lease->frame.bytes;
    if (format->kind == SHMFRAME_AUDIO && lease->frame.samples < format->audio.samples_max)
        return plane->row_bytes / format->audio.samples_max * lease->frame.samples;
    return plane->row_bytes;
}

static uint64_t touch_frame(const struct shmframe_lease *lease) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < lease->format->plane_count; i++) {
        const struct shmframe_plane *plane = &lease->format->plane[i];
        const uint32_t bytes = count_row_bytes(lease, plane);
        const uint8_t *first = shmframe_lease_plane(lease, i);
        for (uint32_t row = 0; row < plane->rows; row++)
            sum += touch_row(first + (size_t)row * plane->line_bytes, bytes);
    }
    return sum;
}

static void read_frame(struct measurement *m) {
    struct shmframe_lease lease;
    const int result = shmframe_reader_acquire(m->reader, next_deadline_ns(m), &lease);
    if (result == 0) {
        m->frame_ns = lease.acquire_ns;
        if (settings.is_touching)
            m->touched += touch_frame(&lease);
        /* -ESTALE is counted by the library, and shown. */
        shmframe_reader_release(m->reader, &lease);
    } else if (result == -ENODATA) {
        m->reason = "end of stream";
    } else if (result != -ETIMEDOUT && result != -EAGAIN && result != -EINTR) {
        m->reason = "failure";
        if (result != -ESTALE) /* evicted: an event tells it */
            program_warn("%s cannot be read any more: %s", m->stream, shmframe_last_error());
    }
    consumer_tell_events(m->reader, m->stream);
}

static int measure_by_reading(struct measurement *m, struct shmframe_session *session) {
    m->reader = consumer_open_reader(session, m->params);
    if (!m->reader)
        return EXIT_DONE;
    start_clock(m);
    while (!m->reason) {
        read_frame(m);
        if (!m->reason)
            look_at_clock(m);
        if (!m->reason && consumer_has_enough(count_frames(m)))
            m->reason = "frames";
    }
    const bool is_late = strcmp(m->reason, "deadline") == 0;
    const bool has_failed = is_late || strcmp(m->reason, "failure") == 0;
    if (is_late)
        consumer_tell_late(m->stream);
    const int exit_code = print_total(m);
    shmframe_reader_close(m->reader);
    return has_failed ? EXIT_FAILED : exit_code;
}

/* Watching another reader. */

static bool is_reader_there(struct measurement *m, struct shmframe_session *session) {
    static struct shmframe_reader_info readers[256];
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(1000000000));
    const int count = shmframe_session_readers(session, m->stream, deadline_ns, readers, 256);
    if (count == -ENOENT)
        return false;
    if (count < 0 || count > 256) /* not known at this moment: ask again later */
        return true;
    for (int i = 0; i < count; i++)
        if (readers[i].number == settings.of)
            return true;
    return false;
}

static int measure_by_watching(struct measurement *m, struct shmframe_session *session) {
    enum { LOOK_MS = 100, LOOKS_A_QUESTION = 5 };
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(2000000000));
    if (shmframe_record_open(session, m->stream, settings.of, deadline_ns, &m->record) < 0)
        program_fail("reader %u of %s cannot be watched: %s", settings.of, m->stream,
                     shmframe_last_error());
    start_clock(m);
    hops_read_record(&m->start, m->record);
    m->previous = m->start;
    for (unsigned looks = 1; !m->reason; looks++) {
        struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
        poll(&stop, 1, LOOK_MS);
        shmframe_session_dispatch(session);
        look_at_clock(m);
        if (!m->reason && consumer_has_enough(count_frames(m)))
            m->reason = "frames";
        if (!m->reason && looks % LOOKS_A_QUESTION == 0 && !is_reader_there(m, session))
            m->reason = "reader left";
    }
    const int exit_code = print_total(m);
    shmframe_record_close(m->record);
    return exit_code;
}

int main(int argc, char **argv) {
    const int operand = program_start(&program, argc, argv);
    if (argc - operand != 1)
        program_fail_usage("one stream is to be named");
    struct measurement *m = &measurement;
    m->stream = argv[operand];
    parse_settings(m);

    struct shmframe_session *session = program_open_session();
    program_stop_on_signals(session);
    const int exit_code =
        settings.of ? measure_by_watching(m, session) : measure_by_reading(m, session);
    program_close_session(session);
    return exit_code;
}
