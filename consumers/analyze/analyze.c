/* shmframe-analyze: what the pictures and sounds of streams are like, measured as they come.
 *
 * Results are JSON objects, made in analysis.c; here they become lines, a live view, a stream of
 * data, a verdict and a chart.
 */
#include "analysis.h"
#include "analysis_chart.h"
#include "chart.h"
#include "consumer.h"
#include "dashboard.h"
#include "digest.h"
#include "report.h"
#include "sandbox.h"
#include "terminal.h"
#include "verdict.h"

#include <inttypes.h>
#include <string.h>

/* How often the live view is drawn, and what it shows is of. */
static const int64_t glance_ns = INT64_C(100000000);

static struct {
    const char *format;
    const char *reference;
    const char *match;
    const char *control;
    bool is_sandboxed;
    const char *chart;
    struct option_list expectations;
    int64_t interval_ns;
    double silence_dbfs;
    int64_t silence_ns, black_ns, frozen_ns;
    double black_level, frozen_noise, scene_score;
    uint32_t histogram_bins;
} settings;

static const struct option_spec options[] = {
    {.name = "interval",
     .kind = OPTION_DURATION,
     .out = &settings.interval_ns,
     .argument = "TIME",
     .help = "tell the values of each stretch of so long (1s; in the live view 100ms); 0: only the "
             "total"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "text, or json: one object a line"},
    {.name = "expect",
     .kind = OPTION_LIST,
     .out = &settings.expectations,
     .argument = "NAME>=VALUE",
     .help =
         "exit with 1 unless the total has it so; also <=, >, <, ==, != and STREAM:NAME; may be "
         "given several times"},
    {.name = "reference",
     .kind = OPTION_TEXT,
     .out = &settings.reference,
     .argument = "STREAM",
     .help = "compare pictures with those of this stream: PSNR and SSIM"},
    {.name = "match",
     .kind = OPTION_TEXT,
     .out = &settings.match,
     .argument = "KEY",
     .help =
         "what pictures that are compared have in common: origin (the default), capture or pts"},
    {.name = "silence-level",
     .kind = OPTION_NUMBER,
     .out = &settings.silence_dbfs,
     .argument = "DBFS",
     .help = "samples below that are silent (-60)"},
    {.name = "silence",
     .kind = OPTION_DURATION,
     .out = &settings.silence_ns,
     .argument = "TIME",
     .help = "how long silence lasts before it counts (2s)"},
    {.name = "black",
     .kind = OPTION_DURATION,
     .out = &settings.black_ns,
     .argument = "TIME",
     .help = "how long pictures are black before it counts (2s)"},
    {.name = "frozen",
     .kind = OPTION_DURATION,
     .out = &settings.frozen_ns,
     .argument = "TIME",
     .help = "how long pictures stand still before it counts (2s)"},
    {.name = "black-level",
     .kind = OPTION_NUMBER,
     .out = &settings.black_level,
     .argument = "SHARE",
     .help = "up to where in the range of luma a pixel is black, 0 to 1 (0.1)"},
    {.name = "frozen-noise",
     .kind = OPTION_NUMBER,
     .out = &settings.frozen_noise,
     .argument = "SHARE",
     .help = "mean difference of pictures that still stand still, 0 to 1 of the range (0.001)"},
    {.name = "scene-score",
     .kind = OPTION_NUMBER,
     .out = &settings.scene_score,
     .argument = "SCORE",
     .help = "from which score on a picture begins a scene, 0 to 100 (10)"},
    {.name = "histogram",
     .kind = OPTION_COUNT,
     .out = &settings.histogram_bins,
     .argument = "BINS",
     .help = "add histograms of pictures to the JSON objects, of 2 to 256 bins"},
    {.name = "chart",
     .kind = OPTION_TEXT,
     .out = &settings.chart,
     .argument = "FILE.png",
     .help = "at the end, draw what was measured, over time, into this file"},
    {.name = "sandbox",
     .kind = OPTION_FLAG,
     .out = &settings.is_sandboxed,
     .help = "give up all system calls that reading and printing do not need, once the streams are "
             "open"},
    {.name = "control",
     .kind = OPTION_TEXT,
     .out = &settings.control,
     .argument = "NAME",
     .help = "publish the JSON objects as the data stream NAME as well, and serve requests there"},
    {0},
};

static const struct program program = {
    .name = "shmframe-analyze",
    .purpose = "Measures the pictures and sounds of streams as they come.",
    .operands = "STREAM...",
    .notes =
        "A STREAM may be a group: all of it is measured. Without --policy: lossless where the\n"
        "producer can wait, in order where it is live.\n"
        "Requests (shmframe ask NAME VERB, with --control NAME): stats, reset, quit.\n"
        "\n"
        "Example: shmframe-analyze film --expect 'integrated_lufs<=-22' --expect 'black_s<1'",
    .options = options,
    .options2 = consumer_options,
};

static struct analyzer {
    struct sources sources;
    struct analysis_settings analysis_settings;
    struct analysis analysis[SELECTION_MAX];
    uint32_t count;
    enum report_format format;
    struct verdict verdict;
    struct control *control; /* NULL: none */
    const char *reason;      /* why it ended */
    bool has_failed;
    bool has_dashboard;
} analyzer;

/* Settings. */

static enum pairing_key parse_match(const char *text) {
    static const char *const names[] = {"origin", "capture", "pts"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum pairing_key)i;
    program_fail_usage("--match: \"%s\" should be origin, capture or pts", text);
}

static void set_defaults(void) {
    consumer_settings.policy = NULL;
    settings.format = "text";
    settings.match = "origin";
    settings.interval_ns = -1;
    settings.silence_dbfs = sound_settings_default.silence_dbfs;
    settings.silence_ns = sound_settings_default.silence_ns;
    settings.black_ns = picture_settings_default.black_ns;
    settings.frozen_ns = picture_settings_default.frozen_ns;
    settings.black_level = picture_settings_default.black_pixel_level;
    settings.frozen_noise = picture_settings_default.frozen_noise;
    settings.scene_score = picture_settings_default.scene_score;
}

static void check_range(const char *option, double value, double most) {
    if (!(value >= 0 && value <= most))
        program_fail_usage("--%s: %g should be 0 to %g", option, value, most);
}

static void parse_settings(struct analyzer *a) {
    a->format = report_format_parse(settings.format);
    if (!(settings.silence_dbfs < 0))
        program_fail_usage("--silence-level: %g should be below 0", settings.silence_dbfs);
    if (settings.histogram_bins == 1 || settings.histogram_bins > 256)
        program_fail_usage("--histogram: %u should be 2 to 256", settings.histogram_bins);
    check_range("black-level", settings.black_level, 1);
    check_range("frozen-noise", settings.frozen_noise, 1);
    check_range("scene-score", settings.scene_score, 100);
    if (settings.chart && chart_is_named_otherwise(settings.chart))
        program_fail_usage("--chart: %s is to become a PNG file: let its name end in .png",
                           settings.chart);
    if (settings.chart && settings.is_sandboxed)
        program_fail_usage("--sandbox writes no files: it cannot go with --chart");
    verdict_parse(&a->verdict, &settings.expectations, settings.reference != NULL);
    a->has_dashboard = a->format == REPORT_TEXT && terminal_is_possible();
    struct analysis_settings *to = &a->analysis_settings;
    to->interval_ns = settings.interval_ns;
    if (to->interval_ns < 0)
        to->interval_ns = a->has_dashboard ? glance_ns : INT64_C(1000000000);
    to->reference = settings.reference;
    to->sound = sound_settings_default;
    to->sound.silence_dbfs = settings.silence_dbfs;
    to->sound.silence_ns = settings.silence_ns;
    to->sound.has_history = settings.chart != NULL;
    to->picture = picture_settings_default;
    to->picture.has_history = settings.chart != NULL;
    to->picture.black_ns = settings.black_ns;
    to->picture.frozen_ns = settings.frozen_ns;
    to->picture.black_pixel_level = settings.black_level;
    to->picture.frozen_noise = settings.frozen_noise;
    to->picture.scene_score = settings.scene_score;
    to->picture.histogram_bins = settings.histogram_bins;
    to->picture.pairing.key = parse_match(settings.match);
}

/* Telling. */

static void tell(void *user, json_t *object) {
    struct analyzer *a = user;
    if (a->control)
        control_tell(a->control, json_incref(object));
    if (a->format == REPORT_JSON) {
        report_print_json(object);
        return;
    }
    if (a->has_dashboard)
        dashboard_tell(object);
    else
        digest_print(stdout, object);
    json_decref(object);
    if (!a->has_dashboard)
        report_flush();
}

static void warn_of_no_pairs(const struct analysis *analysis, const json_t *total) {
    const json_t *pairs = json_object_get(total, "pairs");
    if (!pairs || json_integer_value(pairs) > 0 ||
        json_integer_value(json_object_get(total, "frames")) == 0)
        return;
    program_warn("%s: no picture belonged together with one of %s by --match %s; try another of "
                 "origin, capture and pts",
                 analysis_stream(analysis), settings.reference, settings.match);
}

static void tell_total(struct analyzer *a, struct analysis *analysis) {
    json_t *total = analysis_make_total(analysis);
    warn_of_no_pairs(analysis, total);
    json_object_set_new(total, "ended_by", json_string(a->reason));
    json_object_set_new(total, "expectations",
                        verdict_judge(&a->verdict, analysis_stream(analysis), total));
    tell(a, total);
}

static void end_intervals(struct analyzer *a) {
    for (uint32_t i = 0; i < a->count; i++)
        analysis_end(&a->analysis[i]);
}

static void tell_totals(struct analyzer *a) {
    for (uint32_t i = 0; i < a->count; i++)
        tell_total(a, &a->analysis[i]);
    verdict_end(&a->verdict, a->format == REPORT_TEXT);
}

static void draw(struct analyzer *a) {
    const int result = analysis_chart_write(a->analysis, a->count, settings.chart);
    if (result == 0)
        return;
    program_warn("%s cannot be written: %s", settings.chart, strerror(-result));
    a->has_failed = true;
}

static void try_chart(void) {
    const int result = chart_try(settings.chart);
    if (result < 0)
        program_fail("%s cannot be written: %s", settings.chart, strerror(-result));
}

/* Requests. */

static int run_stats(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct analyzer *a = user;
    (void)argument;
    uint64_t frames = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        frames += a->analysis[i].frames;
        json_t *total = analysis_make_total(&a->analysis[i]);
        control_tell(a->control, total);
    }
    snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%u streams, %" PRIu64 " frames; told on %s",
             a->count, frames, settings.control);
    return 0;
}

static void reset(struct analyzer *a) {
    for (uint32_t i = 0; i < a->count; i++)
        analysis_reset(&a->analysis[i]);
    dashboard_forget();
}

static int run_reset(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    (void)argument;
    reset(user);
    strcpy(answer, "begun anew");
    return 0;
}

static const struct verb verbs[] = {{"stats", run_stats}, {"reset", run_reset}, {0}};

/* Measuring. */

static bool open_streams(struct analyzer *a, const struct selection *selection) {
    const struct analysis_settings *to = &a->analysis_settings;
    bool has_picture = false;
    for (uint32_t i = 0; i < selection->count; i++) {
        const struct selected_stream *stream = &selection->stream[i];
        has_picture = has_picture || stream->kind == SHMFRAME_VIDEO;
        if (to->reference && strcmp(to->reference, stream->name) == 0)
            program_fail_usage("--reference: %s is compared with itself", to->reference);
    }
    if (to->reference && !has_picture)
        program_fail_usage("--reference: there is no stream of pictures to compare with %s",
                           to->reference);
    verdict_check(&a->verdict, selection);
    for (; a->count < selection->count; a->count++)
        if (!analysis_open(&a->analysis[a->count], to, &a->sources, &selection->stream[a->count]))
            return false;
    /* Those of the first stream: a picture's, if there is one. */
    a->analysis[0].frames_max = consumer_settings.frames;
    return true;
}

static void take(struct analyzer *a, uint64_t ready) {
    for (uint32_t i = 0; i < a->count; i++)
        analysis_take(&a->analysis[i], ready);
    if (analysis_has_enough(&a->analysis[0]))
        a->reason = "frames";
}

static int64_t find_due(const struct analyzer *a, int64_t until_ns) {
    for (uint32_t i = 0; i < a->count; i++) {
        const int64_t due_ns = analysis_due_ns(&a->analysis[i]);
        until_ns = due_ns < until_ns ? due_ns : until_ns;
    }
    return until_ns;
}

static void serve_keys(struct analyzer *a) {
    enum dashboard_key key;
    while ((key = dashboard_next_key()) != DASHBOARD_NO_KEY) {
        if (key == DASHBOARD_QUIT)
            a->reason = "key";
        else
            reset(a);
    }
}

/* Waits for frames, and measures them. */
static void step(struct analyzer *a, int64_t until_ns, int64_t end_ns) {
    uint64_t ready;
    switch (sources_wait(&a->sources, find_due(a, until_ns), &ready)) {
    case SOURCES_READY:
    case SOURCES_DUE:
        take(a, ready);
        break;
    case SOURCES_ASKED:
        break;
    case SOURCES_OVER:
        a->reason = sources_have_failed(&a->sources) ? "failure" : "end of stream";
        break;
    case SOURCES_LATE:
        a->reason = "deadline";
        break;
    case SOURCES_STOP:
        a->reason = "signal";
        break;
    }
    if (!a->reason && shmframe_now_ns() >= end_ns)
        a->reason = "duration";
}

static void measure(struct analyzer *a) {
    const int64_t end_ns = consumer_end_ns();
    int64_t draw_ns = a->has_dashboard ? shmframe_now_ns() : SHMFRAME_FOREVER;
    while (!a->reason) {
        step(a, draw_ns < end_ns ? draw_ns : end_ns, end_ns);
        if (shmframe_now_ns() < draw_ns)
            continue;
        serve_keys(a);
        dashboard_draw();
        draw_ns = shmframe_deadline_ns(glance_ns);
    }
}

/* False: asked to stop. */
static bool open_all(struct analyzer *a, char *const *names, uint32_t count) {
    struct selection selection;
    if (!selection_find(a->sources.session, names, count, &selection))
        return false;
    if (settings.control) {
        a->control = control_open(a->sources.session, settings.control, verbs, a);
        a->sources.control = a->control;
        if (!a->control)
            return false;
    }
    return open_streams(a, &selection);
}

static int analyze(struct analyzer *a, struct shmframe_session *session, char *const *names,
                   uint32_t count) {
    a->sources.session = session;
    if (settings.chart)
        try_chart();
    if (!open_all(a, names, count)) {
        consumer_tell_stopped("measured");
        a->has_failed = true;
    } else {
        a->has_dashboard = a->has_dashboard && dashboard_open() == 0;
        if (settings.is_sandboxed)
            sandbox_enter_or_end();
        measure(a);
        end_intervals(a);
        dashboard_close();
        a->has_dashboard = false;
        tell_totals(a);
        if (settings.chart)
            draw(a);
        const bool is_late = strcmp(a->reason, "deadline") == 0;
        a->has_failed =
            a->has_failed || a->verdict.has_failed || is_late || sources_have_failed(&a->sources);
    }
    for (uint32_t i = 0; i < a->count; i++)
        analysis_close(&a->analysis[i]);
    sources_close(&a->sources);
    control_close(a->control);
    return a->has_failed ? EXIT_FAILED : EXIT_DONE;
}

int main(int argc, char **argv) {
    struct analyzer *a = &analyzer;
    set_defaults();
    const int operand = program_start(&program, argc, argv);
    if (argc == operand)
        program_fail_usage("a stream is to be named");
    parse_settings(a);
    a->analysis_settings.tell = tell;
    a->analysis_settings.user = a;
    struct shmframe_session *session = program_open_session();
    program_stop_on_signals(session);
    const int exit_code = analyze(a, session, argv + operand, (uint32_t)(argc - operand));
    program_close_session(session);
    return exit_code;
}
