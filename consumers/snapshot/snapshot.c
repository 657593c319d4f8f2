/* shmframe-snapshot: frames of a stream as pictures in files.
 *
 * One frame is held at a time, and no longer than it takes to make it fit: where a picture has to
 * be converted, scaled or turned, the lease ends before it is encoded.
 */
#include "consumer.h"
#include "progress.h"
#include "selection.h"
#include "shot.h"
#include "shot_name.h"
#include "shutter.h"
#include "sources.h"
#include "still.h"
#include "whole_file.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
#include <shmframe/avframe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 8, QUALITY_MAX = 100 };
#define NOT_GIVEN UINT32_MAX

static struct {
    const char *as, *every, *format;
    uint32_t nth, count, quality;
    uint32_t size[2];
    bool is_square, is_overwriting;
} settings = {.format = "text", .nth = 1, .quality = NOT_GIVEN};

static const struct option_spec options[] = {
    {.name = "as",
     .kind = OPTION_TEXT,
     .out = &settings.as,
     .argument = "TYPE",
     .help = "png, jpeg, pnm, ppm, pgm or pam; by the file's name without it, or png"},
    {.name = "nth",
     .kind = OPTION_COUNT,
     .out = &settings.nth,
     .argument = "N",
     .help = "begin with the Nth frame that comes (1)"},
    {.name = "every",
     .kind = OPTION_TEXT,
     .out = &settings.every,
     .argument = "N|TIME",
     .help = "go on with every Nth frame, or one frame each so often (2s, 500ms); FILE has a place "
             "for the number, such as shot-%05d.png"},
    {.name = "count",
     .kind = OPTION_COUNT,
     .out = &settings.count,
     .argument = "N",
     .help = "end after so many pictures; without --every, of so many successive frames"},
    {.name = "scale",
     .kind = OPTION_SIZE,
     .out = settings.size,
     .argument = "WxH",
     .help = "size of the picture in the file"},
    {.name = "square",
     .kind = OPTION_FLAG,
     .out = &settings.is_square,
     .help = "enlarge pictures whose pixels are not square until they are"},
    {.name = "quality",
     .kind = OPTION_COUNT,
     .out = &settings.quality,
     .argument = "1-100",
     .help = "of JPEG (90)"},
    {.name = "overwrite",
     .letter = 'y',
     .kind = OPTION_FLAG,
     .out = &settings.is_overwriting,
     .help = "replace files that are there"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "of what is said of each picture: text, or json, one object a line"},
    {0},
};

static const struct program program = {
    .name = "shmframe-snapshot",
    .purpose = "Writes frames of a stream as pictures.",
    .operands = "STREAM [FILE]",
    .notes = "FILE is STREAM-DATE-TIME.png if none is given; - is standard output.\n"
             "\n"
             "Examples: shmframe-snapshot cam\n"
             "          shmframe-snapshot cam lapse-%05d.jpg --every 10s\n"
             "          shmframe-snapshot cam - --as ppm | display",
    .options = options,
    .options2 = consumer_options,
};

static struct snapshot {
    char stream[SHMFRAME_NAME_BYTES];
    struct sources sources;
    struct source *source;
    struct stills *stills;
    struct still_params still;
    struct shutter shutter;
    enum report_format format;
    const char *file; /* as given; NULL: by the stream's name */
    char *pattern;    /* what names are made of; NULL: none was made yet */
    bool is_to_stdout, is_series;

    uint64_t frames; /* taken from the stream */
    uint32_t shots;
    uint64_t converted, scaled, turned;
    const char *reason; /* why it ended; NULL: it goes on */
} snapshot;

/* ---- what was asked for ---- */

static enum still_type find_type(const char *file) {
    if (settings.as) {
        const enum still_type type = still_type_find(settings.as);
        if (type == STILL_NONE)
            program_fail_usage("--as: \"%s\" should be " STILL_TYPE_NAMES, settings.as);
        return type;
    }
    if (!file || strcmp(file, "-") == 0)
        return STILL_PNG;
    const enum still_type type = still_type_of_path(file);
    if (type == STILL_NONE)
        program_fail_usage("%s: its name should end in .png, .jpg, .pnm, .ppm, .pgm or .pam, or "
                           "--as say what it is to be",
                           file);
    return type;
}

static void parse_file(struct snapshot *s) {
    s->is_to_stdout = s->file && strcmp(s->file, "-") == 0;
    s->still.type = find_type(s->file);
    if (s->is_to_stdout && s->format == REPORT_JSON)
        program_fail_usage("--format json and pictures cannot both go to standard output");
    if (s->is_to_stdout && isatty(STDOUT_FILENO))
        program_fail_usage("pictures are not for a terminal: send standard output elsewhere");
    if (s->file && s->is_series && !s->is_to_stdout && !shot_name_is_numbered(s->file))
        program_fail_usage("%s: several pictures need a place for their number, such as "
                           "shot-%%05d.%s",
                           s->file, still_type_suffix(s->still.type));
    if (s->file && !s->is_series && !settings.count && shot_name_is_numbered(s->file))
        program_fail_usage("%s: a place for a number is for several pictures: --every or --count "
                           "says which",
                           s->file);
    const bool has_quality = settings.quality != NOT_GIVEN;
    if (has_quality && s->still.type != STILL_JPEG)
        program_fail_usage("--quality is for JPEG: this is to be %s",
                           still_type_suffix(s->still.type));
    if (has_quality && (settings.quality < 1 || settings.quality > QUALITY_MAX))
        program_fail_usage("--quality: %u should be 1 to %d", settings.quality, QUALITY_MAX);
}

static void parse_settings(struct snapshot *s) {
    s->format = report_format_parse(settings.format);
    if (settings.nth == 0)
        program_fail_usage("--nth: 0 should be 1 or more");
    s->shutter.nth = settings.nth;
    const char *wanted = settings.every ? shutter_parse(&s->shutter, settings.every) : NULL;
    if (wanted)
        program_fail_usage("--every: \"%s\" should be %s", settings.every, wanted);
    if (!settings.every && settings.count > 1)
        s->shutter.every = 1;
    if (settings.is_square && settings.size[0])
        program_fail_usage("--square and --scale cannot both say how large the picture is");
    s->is_series = s->shutter.every || s->shutter.every_ns;
    parse_file(s);
    s->still.width = (int)settings.size[0];
    s->still.height = (int)settings.size[1];
    s->still.is_square = settings.is_square;
    s->still.quality = settings.quality == NOT_GIVEN ? 0 : (int)settings.quality;
    /* Who counts frames wants them all; who does not is served by the newest. */
    const bool is_counting = s->shutter.every || settings.nth > 1;
    if (!consumer_settings.policy && !is_counting)
        consumer_settings.policy = "latest";
}

/* ---- names ---- */

static char *expect_memory(char *text) {
    if (!text)
        program_fail("no memory for a file's name");
    return text;
}

static char *make_path(struct snapshot *s) {
    if (s->is_to_stdout)
        return expect_memory(strdup("-"));
    if (!s->pattern)
        s->pattern = expect_memory(s->file ? strdup(s->file)
                                           : shot_name_default(s->stream, time(NULL),
                                                               still_type_suffix(s->still.type),
                                                               s->is_series));
    return expect_memory(shot_name_make(s->pattern, s->shots + 1));
}

_Noreturn static void fail_file(const char *path, int error) {
    progress_clear();
    if (error == -EEXIST)
        program_fail("%s is there already: --overwrite replaces it", path);
    if (error == -ENOSPC || error == -EDQUOT)
        program_fail("%s cannot be written: no space is left for it", path);
    program_fail("%s cannot be written: %s%s", path, strerror(-error),
                 error == -ENOENT ? " (make its directory first)" : "");
}

/* What is there already is told before anything is waited for. */
static void look_for_file(struct snapshot *s) {
    if (!s->file || s->is_to_stdout || settings.is_overwriting)
        return;
    char *path = make_path(s);
    struct stat there; /* a device or a FIFO is written to */
    if (stat(path, &there) == 0 && S_ISREG(there.st_mode))
        fail_file(path, -EEXIST);
    free(path);
}

/* ---- one picture ---- */

_Noreturn static void fail_picture(const struct snapshot *s, const char *format, int error) {
    progress_clear();
    if (error == -ENOTSUP)
        program_fail("%s: this FFmpeg cannot make %s of %s pictures", s->stream,
                     still_type_suffix(s->still.type), format);
    if (error == -EINVAL)
        program_fail("%s: the picture would be too large for a file; --scale makes it smaller",
                     s->stream);
    program_fail("%s: no picture can be made: %s", s->stream, strerror(-error));
}

/* From the lease, which is over sooner or later, to a frame that can be encoded. */
static void fit(struct snapshot *s, struct shmframe_lease *lease, struct shot *shot) {
    const int degrees = lease->format->video.rotation_degrees;
    AVFrame *frame;
    int result = shmframe_avframe_from_lease(lease, &frame);
    if (result < 0)
        program_fail("%s: %s", s->stream, shmframe_last_error());
    shot->from_format = av_get_pix_fmt_name(frame->format);
    result = stills_fit(s->stills, frame, degrees, &shot->frame, &shot->changes);
    av_frame_free(&frame);
    if (result < 0)
        fail_picture(s, shot->from_format, result);
    if (shot->changes) /* the lease is over */
        shot->hold_ns = shmframe_now_ns() - shot->acquire_ns;
}

static void encode(struct snapshot *s, struct shot *shot) {
    const int64_t start_ns = shmframe_now_ns();
    int result = stills_encode(s->stills, shot->frame, &shot->packet);
    const int64_t end_ns = shmframe_now_ns();
    shot->encode_ns = end_ns - start_ns;
    if (!shot->changes) /* the encoder read the slot itself */
        shot->hold_ns = end_ns - shot->acquire_ns;
    if (result == 0 && s->still.type == STILL_PNG)
        result = shot_add_words(shot);
    if (result < 0)
        fail_picture(s, av_get_pix_fmt_name(shot->frame->format), result);
}

/* What is told of the picture stays; the slot is not held while its file is written. */
static void give_back(AVFrame *frame) {
    const int width = frame->width, height = frame->height, format = frame->format;
    av_frame_unref(frame);
    frame->width = width;
    frame->height = height;
    frame->format = format;
}

/* False: asked to stop meanwhile, or nobody reads it any more; the reason is set. */
static bool write_shot(struct snapshot *s, struct shot *shot) {
    shot->path = make_path(s);
    const size_t bytes = (size_t)shot->packet->size;
    const int result = s->is_to_stdout ? whole_file_push(STDOUT_FILENO, shot->packet->data, bytes)
                                       : whole_file_write(shot->path, shot->packet->data, bytes,
                                                          settings.is_overwriting);
    if (result == -EINTR)
        s->reason = "signal";
    else if (result == -EPIPE || result == -ECONNRESET)
        s->reason = "reader";
    else if (result < 0)
        fail_file(s->is_to_stdout ? "standard output" : shot->path, result);
    return result == 0;
}

static void shoot(struct snapshot *s, struct shmframe_lease *lease) {
    struct shot shot = {
        .stream = s->stream,
        .sequence = lease->frame.sequence,
        .capture_ns = lease->frame.capture_ns,
        .acquire_ns = lease->acquire_ns,
    };
    shot_describe_instant(&shot);
    fit(s, lease, &shot);
    encode(s, &shot);
    give_back(shot.frame);
    if (!write_shot(s, &shot)) {
        shot_finish(&shot);
        return;
    }
    s->shots++;
    s->converted += (shot.changes & STILL_CONVERTED) != 0;
    s->scaled += (shot.changes & STILL_SCALED) != 0;
    s->turned += (shot.changes & STILL_TURNED) != 0;
    progress_clear();
    if (!s->is_to_stdout)
        shot_tell(&shot, s->format);
    shot_finish(&shot);
}

/* ---- the stream ---- */

/* Also of a stream whose next frame is there always. */
static bool is_interrupted(struct snapshot *s, int64_t end_ns) {
    if (!s->reason && program_is_stopping())
        s->reason = "signal";
    if (!s->reason && shmframe_now_ns() >= end_ns)
        s->reason = "duration";
    return s->reason;
}

static void take_frames(struct snapshot *s, int64_t end_ns) {
    struct shmframe_lease lease;
    while (!is_interrupted(s, end_ns) && source_take(s->source, &lease)) {
        s->frames++;
        if (shutter_is_due(&s->shutter, lease.frame.sequence, lease.frame.capture_ns))
            shoot(s, &lease);
        else
            shmframe_reader_release(s->source->reader, &lease);
        const uint32_t wanted = settings.count ? settings.count : s->is_series ? 0 : 1;
        if (s->reason)
            break;
        if (wanted && s->shots >= wanted)
            s->reason = "count";
        else if (consumer_has_enough(s->frames))
            s->reason = "frames";
    }
}

static void read_stream(struct snapshot *s) {
    const int64_t end_ns = consumer_end_ns();
    while (!s->reason) {
        uint64_t ready;
        if (s->is_series && progress_is_shown())
            progress_update("%s: %u pictures, %" PRIu64 " frames", s->stream, s->shots, s->frames);
        switch (sources_wait(&s->sources, end_ns, &ready)) {
        case SOURCES_READY:
            take_frames(s, end_ns);
            break;
        case SOURCES_ASKED:
            break;
        case SOURCES_DUE:
            s->reason = "duration";
            break;
        case SOURCES_OVER:
            s->reason = sources_have_failed(&s->sources) ? "failure" : "end of stream";
            break;
        case SOURCES_LATE:
            s->reason = "deadline";
            break;
        case SOURCES_STOP:
            s->reason = "signal";
            break;
        }
        if (!s->reason && shmframe_now_ns() >= end_ns)
            s->reason = "duration";
    }
    progress_clear();
}

/* Says what came of it; returns the exit code. */
static int conclude(const struct snapshot *s) {
    const struct shmframe_reader_counters counters = source_counters(s->source);
    const uint64_t lost = counters.lost_late + counters.lost_restart;
    if (s->format == REPORT_JSON)
        report_print_json(json_pack(
            "{s:s, s:s, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "span", "total", "stream",
            s->stream, "pictures", (int)s->shots, "late", (int)s->shutter.late, "frames",
            (json_int_t)s->frames, "lost", (json_int_t)lost, "skipped",
            (json_int_t)counters.skipped, "converted", (json_int_t)s->converted, "scaled",
            (json_int_t)s->scaled, "turned", (json_int_t)s->turned, "ended_by", s->reason));
    else if (s->shutter.late > 0)
        program_warn("%s: %u pictures are of a later frame than was asked for, which passed while "
                     "another was made; a greater --depth may help",
                     s->stream, s->shutter.late);
    if (strcmp(s->reason, "reader") == 0)
        return EXIT_DONE; /* it had what it wanted */
    const bool is_short = strcmp(s->reason, "end of stream") == 0 && s->shots < settings.count;
    if (s->shots == 0 || is_short)
        program_warn("%s: %u of %u pictures were taken: %s after %" PRIu64 " frames", s->stream,
                     s->shots, settings.count ? settings.count : 1, s->reason, s->frames);
    const bool has_failed = strcmp(s->reason, "failure") == 0 || strcmp(s->reason, "deadline") == 0;
    return s->shots == 0 || is_short || has_failed ? EXIT_FAILED : EXIT_DONE;
}

/* The picture that the name means, by itself or for its group. */
static bool find_stream(struct snapshot *s, char *name) {
    struct selection selection;
    if (!selection_find(s->sources.session, &name, 1, &selection))
        return false;
    if (selection.stream[0].kind != SHMFRAME_VIDEO)
        program_fail("%s is sound, of which there is no picture: name a stream of pictures", name);
    snprintf(s->stream, sizeof(s->stream), "%s", selection.stream[0].name);
    return true;
}

/* Asked to stop while it waited. */
static int give_up(void) {
    consumer_tell_stopped("taken");
    return EXIT_FAILED;
}

static int run(struct snapshot *s, char *name) {
    if (!find_stream(s, name))
        return give_up();
    struct shmframe_reader_params params = consumer_reader_params(s->stream);
    if (!params.depth)
        params.depth = DEPTH;
    s->source = sources_add(&s->sources, &params);
    if (!s->source)
        return give_up();
    if (stills_create(&s->still, &s->stills) < 0)
        program_fail("no memory");
    read_stream(s);
    const int exit_code = conclude(s);
    stills_destroy(s->stills);
    sources_close(&s->sources);
    free(s->pattern);
    return exit_code;
}

int main(int argc, char **argv) {
    consumer_settings.policy = NULL; /* by what is asked for */
    const int operand = program_start(&program, argc, argv);
    if (argc - operand < 1 || argc - operand > 2)
        program_fail_usage("a stream is to be named, and at most one file");
    struct snapshot *s = &snapshot;
    s->file = argc - operand == 2 ? argv[operand + 1] : NULL;
    parse_settings(s);
    consumer_reader_params(argv[operand]); /* whose checks end the program */
    look_for_file(s);
    av_log_set_level(AV_LOG_ERROR);
    s->sources.session = program_open_session();
    program_stop_on_signals(s->sources.session);
    const int exit_code = run(s, argv[operand]);
    program_close_session(s->sources.session);
    return exit_code;
}
