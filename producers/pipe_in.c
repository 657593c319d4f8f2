/* shmframe-pipe-in: raw frames of a FIFO, a file or standard input, read straight into the slots
 * that are looked at. What is not raw goes to shmframe-media.
 */
#include "beside.h"
#include "pipe_in_feed.h"
#include "report.h"
#include "y4m.h"

#include <errno.h>
#include <jansson.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static struct {
    const char *kind;
    bool is_paced, is_unpaced, is_staying;
} options;

static struct pipe_in_feed feed = {.input.fd = -1};

static const struct option_spec specs[] = {
    {"as", 'a', OPTION_TEXT, &options.kind, "CONTAINER",
     "y4m, wav, nut or raw; default: what it looks like"},
    {"pixel-format", 'p', OPTION_TEXT, &feed.wanted.pixel_format, "NAME",
     "of raw pictures, as FFmpeg calls it"},
    {"size", 'S', OPTION_SIZE, feed.wanted.size, "WxH", "of raw pictures"},
    {"rate", 'r', OPTION_RATIONAL, &feed.wanted.rate, "RATE",
     "pictures a second; default: what the header says, or 25"},
    {"sample-format", 'f', OPTION_TEXT, &feed.wanted.sample_format, "NAME",
     "of raw sound: u8, s16, s32, s64, flt, dbl"},
    {"sample-rate", 0, OPTION_COUNT, &feed.wanted.sample_rate, "HZ", "of raw sound"},
    {"channels", 'c', OPTION_COUNT, &feed.wanted.channels, "COUNT", "of raw sound"},
    {"block", 'b', OPTION_COUNT, &feed.wanted.block, "SAMPLES",
     "samples of a block of sound; default 10 ms"},
    {"paced", 0, OPTION_FLAG, &options.is_paced, NULL,
     "publish at the frames' own rate; the default for files"},
    {"unpaced", 'u', OPTION_FLAG, &options.is_unpaced, NULL,
     "publish as fast as lossless readers take it"},
    {"stay", 0, OPTION_FLAG, &options.is_staying, NULL,
     "wait for the next writer of a FIFO when one goes away"},
    {0},
};

static const struct program program = {
    .name = "shmframe-pipe-in",
    .purpose = "Makes a stream of the pictures or the sound that a pipe, FIFO or file brings.",
    .operands = "[FILE|-]",
    .notes = "Without FILE it is standard input. \"shmframe pipe --in NAME\" is the same as\n"
             "\"shmframe pipe-in --stream NAME\".\n"
             "Requests (shmframe ask NAME VERB): pause, resume, quit, help.",
    .options = specs,
    .options2 = producer_option_specs,
};

static int list_formats(void) {
    json_t *pictures = json_array(), *sound = json_array();
    for (const enum AVPixelFormat *at = y4m_pixel_formats(); *at != AV_PIX_FMT_NONE; at++)
        json_array_append_new(pictures, json_string(av_get_pix_fmt_name(*at)));
    for (int i = 0; i < AV_SAMPLE_FMT_NB; i++)
        if (!av_sample_fmt_is_planar(i))
            json_array_append_new(sound, json_string(av_get_sample_fmt_name(i)));
    json_t *all = json_pack("{s:o, s:o}", "y4m", pictures, "wav", sound);
    if (report_format_parse(producer_options.format) == REPORT_JSON) {
        report_print_json(all);
        return EXIT_DONE;
    }
    const char *name;
    json_t *names;
    json_object_foreach(all, name, names) {
        printf("%s:", name);
        for (size_t i = 0; i < json_array_size(names); i++)
            printf(" %s", json_string_value(json_array_get(names, i)));
        putchar('\n');
    }
    json_decref(all);
    return EXIT_DONE;
}

static void check_options(void) {
    const bool is_raw = feed.wanted.pixel_format || feed.wanted.sample_format;
    struct shmframe_format format;
    producer_check_options();
    feed.wanted.kind = options.kind ? pipe_in_kind_find(options.kind)
                       : is_raw     ? PIPE_IN_RAW
                                    : PIPE_IN_NONE;
    if (options.kind && feed.wanted.kind == PIPE_IN_NONE)
        program_fail_usage("--as: \"%s\" should be y4m, wav, nut or raw", options.kind);
    if (feed.wanted.kind == PIPE_IN_RAW)
        pipe_in_header_describe(&feed.wanted, &format);
    else if (is_raw)
        program_fail_usage("--pixel-format and --sample-format are for raw frames, not for --as %s",
                           options.kind);
    if (options.is_paced && options.is_unpaced)
        program_fail_usage("--paced and --unpaced: one of them");
}

/* Sets what kind it is, if that has to be found out. False: asked to stop. */
static bool look(void) {
    if (feed.wanted.kind == PIPE_IN_NONE) {
        int found;
        while ((found = pipe_in_header_look(&feed.input)) == -ENODATA && feed.is_staying)
            pipe_in_input_open(&feed.input, feed.input.path);
        if (found == -EINTR)
            return false;
        if (found == -ENODATA)
            found = PIPE_IN_Y4M; /* whose reader says so */
        if (found < 0)
            program_fail("%s cannot be looked at before it is read: say what it is with --as",
                         feed.input.path);
        feed.wanted.kind = (enum pipe_in_kind)found;
    }
    feed.header.kind = feed.wanted.kind;
    return true;
}

/* Standard input, or the path of a FIFO that may be opened again: our own descriptor is left open
 * then, so that its writer is never without a reader. Nothing of it was taken. */
_Noreturn static void become_media(void) {
    static const char name[] = "shmframe-media";
    if (feed.wanted.rate.num > 0 || feed.wanted.block)
        program_fail_usage("%s goes to %s, which plays it as it is: leave --rate and --block out",
                           feed.input.path, name);
    /* There "SCHEME:" begins an address. */
    const bool is_bare = strchr(feed.input.path, ':') && feed.input.path[0] != '/';
    char path[PATH_MAX + 2];
    snprintf(path, sizeof(path), "%s%s", is_bare ? "./" : "", feed.input.path);
    char frames[16], readers[16], duration[32];
    const char *arguments[24] = {name,
                                 "--stream",
                                 producer_options.stream,
                                 "--group",
                                 producer_options.group,
                                 "--format",
                                 producer_options.format};
    int count = 7;
    snprintf(frames, sizeof(frames), "%u", producer_options.frames);
    snprintf(readers, sizeof(readers), "%u", producer_options.wait_readers);
    snprintf(duration, sizeof(duration), "%.9fs", (double)producer_options.duration_ns / 1e9);
    if (producer_options.frames) {
        arguments[count++] = "--frames";
        arguments[count++] = frames;
    }
    if (producer_options.duration_ns) {
        arguments[count++] = "--duration";
        arguments[count++] = duration;
    }
    arguments[count++] = "--wait-readers";
    arguments[count++] = readers;
    if (feed.pace == PIPE_IN_LIVE)
        arguments[count++] = "--live";
    if (feed.pace == PIPE_IN_UNPACED)
        arguments[count++] = "--unpaced";
    if (feed.is_staying || feed.pace == PIPE_IN_LIVE)
        arguments[count++] = feed.is_staying ? "--reconnect" : "--no-reconnect";
    arguments[count++] = "--";
    arguments[count++] = path;
    if (feed.input.is_fifo)
        pipe_in_input_keep(&feed.input);
    beside_execute(name, (char *const *)(uintptr_t)arguments);
    program_fail("%s cannot be run: %m; it reads what is neither y4m nor wav nor raw", name);
}

static void read_header(void) {
    const char *path = strcmp(feed.input.path, "-") == 0 ? "standard input" : feed.input.path;
    int result;
    while ((result = pipe_in_header_read(&feed.header, &feed.input, &feed.wanted)) == -ENODATA &&
           feed.is_staying)
        pipe_in_input_open(&feed.input, feed.input.path);
    if (result == -ENODATA)
        program_fail("%s brings nothing: it ended before its header", path);
    if (result < 0 && result != -EINTR)
        program_fail("%s: %s", path, feed.header.why);
}

int main(int argc, char **argv) {
    producer_options.stream = "pipe";
    const int operand = program_start(&program, argc, argv);
    if (argc - operand > 1)
        program_fail_usage("\"%s\" is too much: one FILE is read", argv[operand + 1]);
    check_options();
    if (producer_options.is_listing)
        return list_formats();
    program_stop_on_signals(NULL);
    pipe_in_input_open(&feed.input, operand < argc ? argv[operand] : "-");
    feed.is_staying = options.is_staying;
    feed.pace = options.is_unpaced                       ? PIPE_IN_UNPACED
                : options.is_paced || feed.input.is_file ? PIPE_IN_PACED
                                                         : PIPE_IN_LIVE;
    if (feed.is_staying && !feed.input.is_fifo)
        program_fail_usage("--stay: %s is no FIFO, no second writer comes; mkfifo makes one",
                           feed.input.path);
    if (!look())
        return EXIT_DONE;
    if (feed.header.kind == PIPE_IN_MEDIA)
        become_media();
    read_header();
    if (program_is_stopping())
        return EXIT_DONE;
    producer_open(&feed.producer, NULL, NULL);
    if (pipe_in_feed_open(&feed) && producer_start(&feed.producer))
        pipe_in_feed_run(&feed);
    return pipe_in_feed_finish(&feed);
}
