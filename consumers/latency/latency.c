/* shmframe-latency: how long the frames of a stream take, hop by hop.
 *
 * It either reads the stream itself, or looks at what another reader measures (--of), which that
 * reader does not notice. The figures are the library's: see stats.h.
 */
#include "consumer.h"
#include "mark_reading.h"
#include "reading.h"
#include "reporting.h"
#include "sandbox.h"
#include "watching.h"

#include <stdlib.h>
#include <string.h>

static struct {
    const char *format;
    const char *report, *title;
    struct option_list budgets;
    int64_t interval_ns;
    int64_t spin_ns;
    const char *source;
    uint32_t of;
    bool is_touching, has_marks, is_sandboxed;
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
    {.name = "marks",
     .kind = OPTION_FLAG,
     .out = &settings.has_marks,
     .help =
         "find the marks of shmframe-pattern --marks in pictures and sounds, and tell what they "
         "tell beside; STREAM may be a group, and several can be named"},
    {.name = "source",
     .kind = OPTION_TEXT,
     .out = &settings.source,
     .argument = "NAME",
     .help = "--marks: count the marks of this stream alone, not of the first that is seen"},
    {.name = "of",
     .kind = OPTION_COUNT,
     .out = &settings.of,
     .argument = "READER",
     .help = "do not read the stream: show what the reader of this number measures, as "
             "\"shmframe ls STREAM\" lists it"},
    {.name = "sandbox",
     .kind = OPTION_FLAG,
     .out = &settings.is_sandboxed,
     .help = "give up all system calls that reading and printing do not need, once the supervisor "
             "has answered"},
    {.name = "report",
     .kind = OPTION_TEXT,
     .out = &settings.report,
     .argument = "FOLDER",
     .help = "leave a report there: a page with plots, a line for each frame, and what \"shmframe "
             "report\" compares"},
    {.name = "title",
     .kind = OPTION_TEXT,
     .out = &settings.title,
     .argument = "TEXT",
     .help = "--report: what was measured, as its heading"},
    {0},
};

static const struct program program = {
    .name = "shmframe-latency",
    .purpose = "Measures how long the frames of a stream take, hop by hop.",
    .operands = "STREAM...",
    .notes =
        "Hops: produce (capture to publish), wake (publish to awake), transit (publish to\n"
        "acquire), hold (acquire to release), age (capture to acquire: the total),\n"
        "display (capture to shown). Of marks: mark_age (the mark's capture to acquire), seen\n"
        "(the mark's capture to the picture's), shown_for (until the next frame is seen), heard "
        "(a\n"
        "beat to its burst), skew (picture - sound).\n"
        "\n"
        "Example: shmframe-latency demo --duration 10 --budget age=5ms@p99",
    .options = options,
    .options2 = consumer_options,
};

static void parse_budgets(struct measurement *m) {
    for (uint32_t i = 0; i < settings.budgets.count; i++) {
        const char *text = settings.budgets.text[i];
        struct budget *budget = &m->budget[m->budgets++];
        const char *wanted = budget_parse(text, budget);
        if (wanted)
            program_fail_usage("--budget: \"%s\" should be %s", text, wanted);
        if (budget->hop >= SHMFRAME_HOPS && !settings.has_marks)
            program_fail_usage("--budget: %s is told by marks: it needs --marks", text);
    }
}

static void parse_settings(struct measurement *m) {
    m->format = report_format_parse(settings.format);
    m->spin_ns = settings.spin_ns;
    m->interval_ns = settings.interval_ns;
    m->of = settings.of;
    m->is_touching = settings.is_touching;
    parse_budgets(m);
    if (settings.of && (settings.is_touching || settings.spin_ns || consumer_settings.deadline_ns))
        program_fail_usage("--of reads no frames: it cannot go with --touch, --spin or --deadline");
    if (settings.has_marks && (settings.of || settings.spin_ns))
        program_fail_usage(
            "--marks reads several streams itself: it cannot go with --of or --spin");
    if (settings.is_sandboxed && settings.report)
        program_fail_usage("--sandbox writes no files: it cannot go with --report");
    if (settings.title && !settings.report)
        program_fail_usage("--title heads a report: it needs --report");
    if (settings.source && !settings.has_marks)
        program_fail_usage("--source says whose marks count: it needs --marks");
    if (settings.source && !shmframe_name_is_valid(settings.source))
        program_fail_usage("--source: \"%s\" cannot name a stream", settings.source);
}

/* Without marks: one stream. */
static int measure_stream(struct measurement *m, struct shmframe_session *session,
                          const char *stream) {
    m->stream[m->streams++].stream = stream;
    return m->of ? watching_run(m, session) : reading_run(m, session);
}

/* As they were given: options are put before operands when they are parsed. */
static char **copy_arguments(int argc, char **argv) {
    char **copy = calloc((size_t)argc + 1, sizeof(*copy));
    if (copy)
        memcpy(copy, argv, (size_t)argc * sizeof(*copy));
    return copy ? copy : argv;
}

int main(int argc, char **argv) {
    char **arguments = copy_arguments(argc, argv);
    /* What is not asked for is chosen: every block of a sound in which marks are looked for. */
    const char *policy = consumer_settings.policy;
    consumer_settings.policy = NULL;
    const int operand = program_start(&program, argc, argv);
    struct mark_reading_params marks = {
        .names = argv + operand,
        .count = (uint32_t)(argc - operand),
        .source = settings.source,
        .has_policy = consumer_settings.policy != NULL,
    };
    if (!consumer_settings.policy)
        consumer_settings.policy = policy;
    if (marks.count == 0 || (marks.count > 1 && !settings.has_marks))
        program_fail_usage(settings.has_marks ? "streams or groups are to be named"
                                              : "one stream is to be named");
    static struct measurement measurement;
    struct measurement *m = &measurement;
    parse_settings(m);
    for (uint32_t i = 0; i < marks.count; i++)
        consumer_reader_params(marks.names[i]); /* a mistake ends the program before it waits */

    if (settings.report)
        reporting_prepare(settings.report, settings.title, arguments);
    struct shmframe_session *session = program_open_session();
    program_stop_on_signals(session);
    if (settings.is_sandboxed)
        sandbox_enter_or_end();
    const int exit_code = settings.has_marks ? mark_reading_run(m, session, &marks)
                                             : measure_stream(m, session, marks.names[0]);
    program_close_session(session);
    if (arguments != argv)
        free(arguments);
    return exit_code;
}
