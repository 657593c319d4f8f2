/* shmframe-pipe: the frames of streams in a FIFO, a file or standard output, straight from their
 * slots, for programs that know nothing of them; and with --in, by shmframe-pipe-in, back.
 */
#include "beside.h"
#include "consumer.h"
#include "pipe_run.h"
#include "progress.h"
#include "report.h"
#include "selection.h"

#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STREAMS_LOOKED_AT = 64 };

static struct {
    const char *in; /* for --help: acted upon before options are read */
    const char *container;
    const char *pixel_format, *sample_format;
    const char *on_change;
    const char *format;
    bool is_exact, is_staying, is_overwriting;
} settings = {.on_change = "end", .format = "text"};

static const struct option_spec options[] = {
    {"as", 'a', OPTION_TEXT, &settings.container, "CONTAINER",
     "y4m, nut, wav or raw; default: what FILE ends in, or what carries the stream as it is"},
    {"pixel-format", 'p', OPTION_TEXT, &settings.pixel_format, "NAME",
     "convert pictures to this, as FFmpeg calls it"},
    {"sample-format", 'f', OPTION_TEXT, &settings.sample_format, "NAME",
     "convert sound to this: u8, s16, s32, s64, flt or dbl"},
    {"exact", 0, OPTION_FLAG, &settings.is_exact, NULL,
     "fail rather than convert what the container cannot carry"},
    {"on-change", 0, OPTION_TEXT, &settings.on_change, "end|convert",
     "what to do when a stream changes its format: end (the default), or go on in the first one"},
    {"stay", 0, OPTION_FLAG, &settings.is_staying, NULL,
     "wait for the next reader of a FIFO when one goes away"},
    {"overwrite", 'y', OPTION_FLAG, &settings.is_overwriting, NULL, "replace a file that exists"},
    {"format", 0, OPTION_TEXT, &settings.format, "text|json", "how to print the report at the end"},
    {"in", 'i', OPTION_TEXT, &settings.in, "NAME",
     "the other way round: make a stream of what FILE or standard input brings; "
     "shmframe-pipe-in --help has its options"},
    {0},
};

static const struct program program = {
    .name = "shmframe-pipe",
    .purpose = "Writes the frames of streams into a FIFO, a file or standard output, or reads them "
               "from there.",
    .operands = "STREAM... [FILE|-]",
    .notes =
        "The last of several names is a FILE if it has a slash, ends in .y4m, .nut, .wav, .raw,\n"
        ".yuv, .rgb or .pcm, or is a FIFO. Without one it is standard output.\n"
        "\n"
        "Examples: shmframe pipe cam | mpv -\n"
        "          shmframe pipe mic | sox -t wav - quiet.flac\n"
        "          ffmpeg -i film.mp4 -f yuv4mpegpipe - | shmframe pipe --in film",
    .options = options,
    .options2 = consumer_options,
};

/* --in. */

/* How long the option itself is in "--in", "--in=NAME", "-i", "-iNAME"; 0: it is none of them. */
static size_t measure_in(const char *argument) {
    if (strncmp(argument, "--", 2) != 0)
        return strncmp(argument, "-i", 2) == 0 ? 2 : 0;
    const size_t length = strcspn(argument, "=");
    return length > 2 && strncmp(argument, "--in", length) == 0 ? length : 0;
}

/* Its place; 0: it is not there. */
static int find_in(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (measure_in(argv[i]))
            return i;
    return 0;
}

/* Becomes shmframe-pipe-in, where "--in" is "--stream". */
_Noreturn static void become_producer(int place, int argc, char **argv) {
    static const char name[] = "shmframe-pipe-in";
    char **arguments = calloc((size_t)argc + 1, sizeof(*arguments));
    char stream[128] = "--stream";
    if (!arguments)
        program_fail("no memory");
    const char *name_behind = argv[place] + measure_in(argv[place]);
    if (*name_behind)
        snprintf(stream, sizeof(stream), "--stream=%s", name_behind + (*name_behind == '='));
    memcpy(arguments, argv, (size_t)argc * sizeof(*arguments));
    arguments[0] = (char *)name;
    arguments[place] = stream;
    beside_execute(name, arguments);
    program_fail("%s cannot be run: %m; it belongs beside shmframe-pipe", name);
}

/* Settings. */

/* Names of streams have dots as well: a FILE is what can be nothing else. */
static bool is_file_name(const char *name) {
    return strcmp(name, "-") == 0 || strchr(name, '/') || pipe_container_find_by_path(name) ||
           pipe_outlet_is_pipe(name);
}

/* A FIFO or a device is written to whatever it is called. */
static bool is_plain_file(const char *path) {
    struct stat found;
    return strcmp(path, "-") != 0 && (stat(path, &found) < 0 || S_ISREG(found.st_mode));
}

/* What would be a surprise is told before anything is waited for. */
static void check_file(const char *path) {
    if (!is_plain_file(path))
        return;
    if (!settings.container && pipe_container_is_other(path))
        program_fail_usage("%s: here are y4m, nut, wav and raw only, which --as writes under any "
                           "name; shmframe-encode and shmframe-snapshot write other kinds of files",
                           path);
    if (!settings.is_overwriting && access(path, F_OK) == 0)
        program_fail("%s exists: take another name, or add --overwrite", path);
}

/* The last of several names may have been meant as a file's; not cam.sound behind cam. */
static void tell_of_name(struct shmframe_session *session, const char *first, const char *name) {
    const size_t length = strlen(first);
    if (!strchr(name, '.') || (strncmp(name, first, length) == 0 && name[length] == '.'))
        return;
    static struct shmframe_stream_info streams[STREAMS_LOOKED_AT];
    const int count = shmframe_session_streams(session, shmframe_deadline_ns(INT64_C(1000000000)),
                                               streams, STREAMS_LOOKED_AT);
    if (count < 0 || count > STREAMS_LOOKED_AT)
        return;
    for (int i = 0; i < count; i++)
        if (strcmp(streams[i].name, name) == 0 || strcmp(streams[i].group, name) == 0)
            return;
    program_warn("%s is no stream yet: if it is to be a file, write ./%s", name, name);
}

static void check_settings(struct pipe_run *run) {
    const struct pipe_run wanted = {
        .path = run->path,
        .is_fifo = strcmp(run->path, "-") != 0 && pipe_outlet_is_pipe(run->path),
        .pixel_format = settings.pixel_format,
        .sample_format = settings.sample_format,
        .is_exact = settings.is_exact,
        .is_staying = settings.is_staying,
        .is_adapting = strcmp(settings.on_change, "convert") == 0,
    };
    *run = wanted;
    if (!run->is_adapting && strcmp(settings.on_change, "end") != 0)
        program_fail_usage("--on-change: \"%s\" should be end or convert", settings.on_change);
    if (settings.pixel_format && av_get_pix_fmt(settings.pixel_format) == AV_PIX_FMT_NONE)
        program_fail_usage("--pixel-format: FFmpeg has no \"%s\"; ffmpeg -pix_fmts lists them",
                           settings.pixel_format);
    if (settings.sample_format && !pipe_run_knows_samples(settings.sample_format))
        program_fail_usage("--sample-format: \"%s\" should be u8, s16, s32, s64, flt or dbl",
                           settings.sample_format);
    run->container.kind = settings.container ? pipe_container_find(settings.container)
                                             : pipe_container_find_by_path(run->path);
    if (settings.container && run->container.kind == PIPE_NONE)
        program_fail_usage("--as: \"%s\" should be y4m, nut, wav or raw", settings.container);
    if (strcmp(run->path, "-") == 0 && isatty(STDOUT_FILENO))
        program_fail_usage(
            "standard output is a terminal: name a FILE, or put \"| PROGRAM\" behind");
    if (run->is_staying && !run->is_fifo)
        program_fail_usage("--stay: %s is no FIFO, nobody reads it a second time; mkfifo makes one",
                           run->path);
    check_file(run->path);
}

/* Report. */

/* Why frames were moved together; NULL: none were. */
static const char *find_packing(const struct pipe_lane *lane) {
    if (lane->adapter.packed)
        return "its channels are planes of their own, and the container's samples interleaved";
    if (lane->packed)
        return "its lines or planes have padding between them, which nut has not";
    return NULL;
}

static json_t *describe_lane(const struct pipe_lane *lane) {
    const struct shmframe_reader_counters counters = source_counters(lane->source);
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s?}", "stream",
        lane->source->stream, "policy", consumer_policy_name(lane->source->params.policy), "frames",
        (json_int_t)lane->frames, "in_place",
        (json_int_t)(lane->frames - lane->adapter.converted - lane->adapter.packed - lane->packed),
        "converted", (json_int_t)lane->adapter.converted, "packed",
        (json_int_t)(lane->adapter.packed + lane->packed), "lost_late",
        (json_int_t)counters.lost_late, "lost_restart", (json_int_t)counters.lost_restart,
        "skipped", (json_int_t)counters.skipped, "unread", (json_int_t)lane->unread, "early",
        (json_int_t)lane->early, "silent_samples", (json_int_t)lane->silent, "packed_because",
        find_packing(lane));
}

static json_t *describe_run(const struct pipe_run *run, double seconds) {
    json_t *streams = json_array();
    for (uint32_t i = 0; i < run->lanes; i++)
        json_array_append_new(streams, describe_lane(&run->lane[i]));
    return json_pack("{s:s, s:s, s:f, s:I, s:I, s:I, s:s, s:o}", "file", run->path, "container",
                     pipe_container_name(run->container.kind), "seconds", seconds, "bytes",
                     (json_int_t)run->bytes, "readers", (json_int_t)run->readers, "full_ns",
                     (json_int_t)run->full_ns, "ended_by", run->reason, "streams", streams);
}

static json_int_t read_number(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static void print_lane(const json_t *lane) {
    static const struct {
        const char *key, *text;
    } figures[] = {
        {"converted", "converted"},
        {"packed", "moved together"},
        {"lost_late", "lost late"},
        {"lost_restart", "lost at a restart"},
        {"skipped", "skipped"},
        {"unread", "while nobody read"},
        {"early", "from before the beginning"},
        {"silent_samples", "samples of silence for lost ones"},
    };
    printf("%s, %s: %lld frames, %lld straight from the slot",
           json_string_value(json_object_get(lane, "stream")),
           json_string_value(json_object_get(lane, "policy")),
           (long long)read_number(lane, "frames"), (long long)read_number(lane, "in_place"));
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        if (read_number(lane, figures[i].key))
            printf(", %lld %s", (long long)read_number(lane, figures[i].key), figures[i].text);
    putchar('\n');
    if (read_number(lane, "packed"))
        printf("  moved together: %s\n",
               json_string_value(json_object_get(lane, "packed_because")));
}

static void print_report(const struct pipe_run *run, enum report_format format) {
    const double seconds = (double)(shmframe_now_ns() - run->start_ns) / 1e9;
    json_t *report = describe_run(run, seconds);
    progress_clear();
    if (format == REPORT_JSON) {
        report_print_json(report);
        return;
    }
    printf("%s, %s: %.1f MB in %.1f s, %.1f s of it full, ended by %s\n", run->path,
           pipe_container_name(run->container.kind), (double)run->bytes / 1e6, seconds,
           (double)run->full_ns / 1e9, run->reason);
    size_t i;
    const json_t *lane;
    json_array_foreach(json_object_get(report, "streams"), i, lane) print_lane(lane);
    json_decref(report);
    report_flush();
}

int main(int argc, char **argv) {
    static struct pipe_run run;
    const int in = find_in(argc, argv);
    if (in)
        become_producer(in, argc, argv);
    consumer_settings.policy = NULL;
    const int operand = program_start(&program, argc, argv);
    int names = argc - operand;
    run.path = "-";
    if (names > 1 && is_file_name(argv[argc - 1]))
        run.path = argv[operand + --names];
    if (names < 1)
        program_fail_usage("at least one STREAM is to be named");
    const enum report_format format = report_format_parse(settings.format);
    check_settings(&run);
    for (int i = 0; i < names; i++)
        consumer_reader_params(argv[operand + i]); /* whose checks end the program */
    av_log_set_level(AV_LOG_ERROR);

    struct shmframe_session *session = program_open_session();
    program_stop_on_signals(session);
    run.sources.session = session;
    if (names > 1)
        tell_of_name(session, argv[operand], argv[operand + names - 1]);
    struct selection selection;
    int exit_code = EXIT_FAILED;
    if (selection_find(session, &argv[operand], (uint32_t)names, &selection) &&
        pipe_run_open(&run, &selection)) {
        exit_code = pipe_run(&run);
        print_report(&run, format);
    } else if (program_is_stopping()) {
        consumer_tell_stopped("written");
    } else {
        exit_code = EXIT_DONE; /* nobody reads any more, and there was nothing to write yet */
    }
    pipe_run_close(&run);
    program_close_session(session);
    return exit_code;
}
