/* shmframe-pattern: a test picture and a tone, painted where they are read.
 *
 * Frame n shows the instant start + n / rate, and is captured at that instant, whenever it was
 * painted: what painting and waking up cost is part of the produce hop. Sample s belongs to start +
 * s / sample rate on the same clock; a block is captured when its first sample is, and published
 * once its last one is over, as a sound card would. Unpaced, there is no such clock: frames are
 * captured when lent, and only their pts say how picture and sound belong together.
 *
 * What cannot be kept up with is dropped, not made up for: pictures whose successor is due, and
 * sound that is older than a sound card's buffer would be.
 */
#include "burst.h"
#include "option.h"
#include "picture.h"
#include "producer.h"
#include "report.h"
#include "tone.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
/* How far sound may be behind before blocks are dropped: a usual sound card's buffer. */
#define SOUND_BUFFER_NS (SECOND_NS / 10)

/* Loan, history and one reader: the slots that a ring begins with. */
enum { SLOTS_AT_FIRST = 3 };
enum { SLOTS_MAX = 256, RATE_MAX = 10000, SAMPLE_RATE_MIN = 1000, SAMPLE_RATE_MAX = 768000 };

static struct {
    uint32_t size[2];
    struct shmframe_rational rate;
    const char *pixel_format;
    uint32_t sample_rate, channels, block, tone_hz;
    const char *sample_format;
    bool is_silent, is_unpaced, has_marks;
} options = {
    .size = {1280, 720},
    .rate = {60, 1},
    .pixel_format = "yuv420p",
    .sample_rate = 48000,
    .channels = 2,
    .tone_hz = 440,
    .sample_format = "flt",
};

static const struct option_spec specs[] = {
    {"size", 'S', OPTION_SIZE, options.size, "WxH", "size of the picture; default 1280x720"},
    {"rate", 'r', OPTION_RATIONAL, &options.rate, "RATE",
     "pictures a second: 60, 29.97, 30000/1001; default 60"},
    {"pixel-format", 'p', OPTION_TEXT, &options.pixel_format, "NAME",
     "as libavutil names it, see --list; default yuv420p"},
    {"no-sound", 0, OPTION_FLAG, &options.is_silent, NULL, "pictures only"},
    {"sample-rate", 0, OPTION_COUNT, &options.sample_rate, "HZ", "samples a second; default 48000"},
    {"channels", 'c', OPTION_COUNT, &options.channels, "COUNT", "channels of sound; default 2"},
    {"sample-format", 0, OPTION_TEXT, &options.sample_format, "NAME",
     "as libavutil names it, see --list; default flt"},
    {"block", 'b', OPTION_COUNT, &options.block, "SAMPLES",
     "samples a channel in a block; default 10 ms"},
    {"tone", 't', OPTION_COUNT, &options.tone_hz, "HZ", "pitch of the tone; default 440"},
    {"marks", 'm', OPTION_FLAG, &options.has_marks, NULL,
     "paint what shmframe-latency --marks finds in a copy of the picture"},
    {"unpaced", 'u', OPTION_FLAG, &options.is_unpaced, NULL,
     "publish as fast as lossless readers take it, which a live pattern refuses"},
    {0},
};

static const struct program program = {
    .name = "shmframe-pattern",
    .purpose = "Streams a test picture as NAME (demo), and a tone as NAME.sound.",
    .notes = "A flash and a beep mark each second; both begin at the same instant.\n"
             "Requests (shmframe ask NAME VERB): pause, resume, quit, help,\n"
             "set tone HZ.",
    .options = specs,
    .options2 = producer_option_specs,
};

/* Formats. */

static void describe_picture(struct shmframe_format *out_format) {
    const int64_t num = options.rate.num, den = options.rate.den;
    if (num * 1000 < den || num > RATE_MAX * den)
        program_fail_usage("--rate should be from 0.001 to %d", RATE_MAX);
    if (shmframe_format_video(out_format, options.pixel_format, options.size[0], options.size[1]) <
        0)
        program_fail_usage("--pixel-format %s --size %ux%u: %s", options.pixel_format,
                           options.size[0], options.size[1], shmframe_last_error());
    out_format->time_base = (struct shmframe_rational){options.rate.den, options.rate.num};
    out_format->video.frame_rate = options.rate;
    out_format->video.sample_aspect = (struct shmframe_rational){1, 1};
    surface_describe_colours(out_format);
}

static void describe_sound(struct shmframe_format *out_format) {
    if (options.sample_rate < SAMPLE_RATE_MIN || options.sample_rate > SAMPLE_RATE_MAX)
        program_fail_usage("--sample-rate should be from %d to %d", SAMPLE_RATE_MIN,
                           SAMPLE_RATE_MAX);
    if (!options.block)
        options.block = options.sample_rate / 100;
    if (options.block > options.sample_rate)
        program_fail_usage("--block should be a second at most, which is %u samples",
                           options.sample_rate);
    if (shmframe_format_audio(out_format, options.sample_format, options.channels,
                              options.sample_rate, options.block) < 0)
        program_fail_usage("--sample-format %s --channels %u: %s", options.sample_format,
                           options.channels, shmframe_last_error());
    out_format->time_base = (struct shmframe_rational){1, (int32_t)options.sample_rate};
}

/* --list. */

static bool can_paint(const char *pixel_format) {
    struct shmframe_format format;
    struct picture *picture;
    if (shmframe_format_video(&format, pixel_format, 16, 16) < 0)
        return false;
    format.video.frame_rate = options.rate;
    if (picture_create(&format, &picture) < 0)
        return false;
    picture_destroy(picture);
    return true;
}

static json_t *list_pixel_formats(void) {
    json_t *names = json_array();
    for (const AVPixFmtDescriptor *at = NULL; (at = av_pix_fmt_desc_next(at));)
        if (can_paint(at->name))
            json_array_append_new(names, json_string(at->name));
    return names;
}

static json_t *list_sample_formats(void) {
    json_t *names = json_array();
    for (int i = 0; i < AV_SAMPLE_FMT_NB; i++)
        json_array_append_new(names, json_string(av_get_sample_fmt_name(i)));
    return names;
}

static void print_names(const char *title, const json_t *names) {
    printf("%s:", title);
    for (size_t i = 0; i < json_array_size(names); i++)
        printf(" %s", json_string_value(json_array_get(names, i)));
    putchar('\n');
}

static int list_formats(void) {
    json_t *pixel_formats = list_pixel_formats(), *sample_formats = list_sample_formats();
    if (report_format_parse(producer_options.format) == REPORT_JSON) {
        report_print_json(json_pack("{s:o, s:o}", "pixel_formats", pixel_formats, "sample_formats",
                                    sample_formats));
        return EXIT_DONE;
    }
    print_names("pixel formats", pixel_formats);
    print_names("sample formats", sample_formats);
    json_decref(pixel_formats);
    json_decref(sample_formats);
    return EXIT_DONE;
}

/* Running. */

struct pattern {
    struct producer producer;
    struct producer_stream *pictures, *sound; /* sound NULL: none */
    struct picture *picture;
    struct tone tone;
    int64_t end_ns; /* media time; pictures and sound end there */
    int64_t frame;  /* number of the next one */
    int64_t sample; /* number of the next one */
    /* What each slot of the present ring holds, so that only the difference is painted. */
    uint32_t ring;           /* 0: no loan yet */
    int64_t held[SLOTS_MAX]; /* number of the frame; -1: not known */
    struct mark held_mark[SLOTS_MAX];
    uint16_t stream_id, clock_id; /* of the marks */
};

static void create_picture(struct pattern *pattern, const struct shmframe_format *video) {
    int32_t width = 0, height = 0;
    const int result = options.has_marks
                           ? picture_create_marked(video, &pattern->picture, &width, &height)
                           : picture_create(video, &pattern->picture);
    if (result == -ERANGE)
        program_fail_usage("--marks: %ux%u is too small for them: --size should be %dx%d or more",
                           options.size[0], options.size[1], width, height);
    if (result < 0)
        program_fail_usage("--pixel-format %s cannot be painted: --list shows what can",
                           options.pixel_format);
    pattern->stream_id = mark_stream_id(producer_options.stream);
    pattern->clock_id = options.is_unpaced ? 0 : mark_clock_id();
}

static int64_t find_sample_ns(int64_t sample) {
    return (int64_t)((__int128)sample * SECOND_NS / options.sample_rate);
}

static int64_t find_frame_at(int64_t media_ns) {
    const struct shmframe_rational rate = options.rate;
    return (int64_t)((__int128)media_ns * rate.num / ((__int128)rate.den * SECOND_NS));
}

static void forget_slots(struct pattern *pattern, uint32_t ring) {
    pattern->ring = ring;
    for (int i = 0; i < SLOTS_MAX; i++)
        pattern->held[i] = -1;
}

static struct mark find_mark(const struct pattern *pattern, int64_t frame) {
    struct mark mark = scene_mark(options.rate, frame);
    mark.stream = pattern->stream_id;
    mark.clock = pattern->clock_id;
    if (!options.is_unpaced)
        mark.capture_ns += pattern->producer.start_ns;
    return mark;
}

/* Paints a frame into memory that holds the one that `held` and `held_mark` tell of; -1: none. */
static void paint(const struct pattern *pattern, uint8_t *data, int64_t held,
                  const struct mark *held_mark, const struct mark *mark) {
    const int64_t frame = pattern->frame;
    if (held < 0)
        picture_paint(pattern->picture, data, frame);
    else if (held != frame)
        picture_repaint(pattern->picture, data, held, frame);
    if (options.has_marks)
        picture_draw_mark(pattern->picture, data, held < 0 ? NULL : held_mark, mark);
}

/* Paints the slots that come first before anybody waits for them: a whole picture costs ten times
 * what a changed one does. */
static int paint_ahead(void *user, int ring_fd, const struct shmframe_ring_map *map) {
    struct pattern *pattern = user;
    (void)ring_fd;
    forget_slots(pattern, 0);
    const struct mark mark = find_mark(pattern, 0);
    for (uint32_t slot = 0; slot < SLOTS_AT_FIRST && slot < map->slots; slot++) {
        uint8_t *data = (uint8_t *)map->base + map->payload_offset + map->slot_stride * slot;
        paint(pattern, data, -1, NULL, &mark);
        pattern->held[slot] = 0;
        pattern->held_mark[slot] = mark;
    }
    return 0;
}

static void paint_slot(struct pattern *pattern, const struct shmframe_loan *loan) {
    if (!pattern->ring)
        pattern->ring = loan->ring; /* the one that was painted ahead */
    if (loan->ring != pattern->ring)
        forget_slots(pattern, loan->ring);
    const struct mark mark = find_mark(pattern, pattern->frame);
    if (loan->slot >= SLOTS_MAX) {
        paint(pattern, loan->data, -1, NULL, &mark);
        return;
    }
    int64_t *held = &pattern->held[loan->slot];
    struct mark *held_mark = &pattern->held_mark[loan->slot];
    paint(pattern, loan->data, *held, held_mark, &mark);
    *held = pattern->frame;
    *held_mark = mark;
}

/* Passes over the pictures whose successor is due already, or would be but for the end. */
static void drop_pictures(struct pattern *pattern) {
    if (options.is_unpaced)
        return;
    const int64_t media_ns = producer_media_ns(&pattern->producer);
    const int64_t due = media_ns < pattern->end_ns ? find_frame_at(media_ns)
                                                   : find_frame_at(pattern->end_ns - 1) + 1;
    if (due <= pattern->frame)
        return;
    pattern->pictures->dropped += (uint32_t)(due - pattern->frame);
    pattern->frame = due;
}

static void publish_picture(struct pattern *pattern) {
    drop_pictures(pattern);
    const int64_t media_ns = scene_frame_ns(options.rate, pattern->frame);
    if (media_ns >= pattern->end_ns)
        return;
    struct shmframe_loan loan;
    const int result = producer_loan(&pattern->producer, pattern->pictures, &loan);
    if (result == -EINTR)
        return;
    if (result == 0) {
        if (!options.is_unpaced)
            loan.frame.capture_ns = pattern->producer.start_ns + media_ns;
        loan.frame.pts = pattern->frame;
        loan.frame.duration = 1;
        paint_slot(pattern, &loan);
        producer_publish(pattern->pictures, &loan, false);
        const int64_t next_ns = scene_frame_ns(options.rate, pattern->frame + 1);
        if (!options.is_unpaced && loan.frame.publish_ns > pattern->producer.start_ns + next_ns)
            pattern->pictures->overdue++;
    }
    pattern->frame++;
    if (producer_has_enough(&pattern->producer))
        pattern->end_ns = scene_frame_ns(options.rate, pattern->frame);
}

/* The samples of the next block: fewer at the end. */
static uint32_t count_samples(const struct pattern *pattern) {
    if (find_sample_ns(pattern->sample + options.block) <= pattern->end_ns)
        return options.block;
    uint32_t count = 0;
    while (find_sample_ns(pattern->sample + count) < pattern->end_ns)
        count++;
    return count;
}

static int64_t find_block_due_ns(const struct pattern *pattern) {
    const uint32_t count = count_samples(pattern);
    return count ? find_sample_ns(pattern->sample + count) : INT64_MAX;
}

/* Those that begin before the end. */
static int64_t count_blocks_left(const struct pattern *pattern) {
    const __int128 end_sample =
        ((__int128)pattern->end_ns * options.sample_rate + SECOND_NS - 1) / SECOND_NS;
    return (int64_t)((end_sample - pattern->sample + options.block - 1) / options.block);
}

static void drop_sound(struct pattern *pattern) {
    if (options.is_unpaced)
        return;
    const int64_t behind_ns =
        producer_media_ns(&pattern->producer) - find_sample_ns(pattern->sample + options.block);
    const int64_t block_ns = find_sample_ns(options.block);
    if (behind_ns < SOUND_BUFFER_NS || behind_ns < 2 * block_ns)
        return;
    int64_t blocks = behind_ns / block_ns;
    const int64_t left = count_blocks_left(pattern);
    if (blocks > left)
        blocks = left;
    pattern->sound->dropped += (uint32_t)blocks;
    pattern->sample += blocks * options.block;
}

static void publish_sound(struct pattern *pattern) {
    drop_sound(pattern);
    const uint32_t count = count_samples(pattern);
    if (!count)
        return;
    struct shmframe_loan loan;
    const int result = producer_loan(&pattern->producer, pattern->sound, &loan);
    if (result == -EINTR)
        return;
    if (result == 0) {
        if (!options.is_unpaced)
            loan.frame.capture_ns = pattern->producer.start_ns + find_sample_ns(pattern->sample);
        loan.frame.pts = pattern->sample;
        loan.frame.duration = count;
        loan.frame.samples = count;
        tone_fill(&pattern->tone, loan.data, pattern->sample, count);
        producer_publish(pattern->sound, &loan, false);
        if (!options.is_unpaced &&
            loan.frame.publish_ns > pattern->producer.start_ns +
                                        find_sample_ns(pattern->sample + count + options.block))
            pattern->sound->overdue++;
    }
    pattern->sample += count;
}

/* Waits for what is due next. False: it is over. */
static bool do_next(struct pattern *pattern) {
    const int64_t picture_ns = scene_frame_ns(options.rate, pattern->frame);
    const int64_t sound_ns = pattern->sound ? find_block_due_ns(pattern) : INT64_MAX;
    const bool is_picture_left = picture_ns < pattern->end_ns;
    if (!is_picture_left && sound_ns == INT64_MAX)
        return false;
    const bool is_picture = is_picture_left && picture_ns <= sound_ns;
    const enum producer_wait wait =
        producer_wait_until(&pattern->producer, is_picture ? picture_ns : sound_ns);
    if (wait == PRODUCER_DUE && is_picture)
        publish_picture(pattern);
    else if (wait == PRODUCER_DUE)
        publish_sound(pattern);
    return wait != PRODUCER_STOP;
}

static void run_pattern(struct pattern *pattern) {
    while (do_next(pattern))
        ;
    /* What a signal found not published. */
    drop_pictures(pattern);
    if (pattern->sound)
        drop_sound(pattern);
}

/* "tone 880": the beep stays, and each second with it. */
static int run_set(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct pattern *pattern = user;
    char name[SHMFRAME_ARGUMENT_BYTES];
    const char *value = producer_split_setting(argument, name);
    uint32_t tone_hz = 0;
    const struct option_spec spec = {"tone", 0, OPTION_COUNT, &tone_hz, NULL, NULL};
    if (!value || strcmp(name, "tone") != 0 || !pattern->sound) {
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%s",
                 pattern->sound ? "there is one control: set tone HZ"
                                : "there is no control: --no-sound was given");
        return -EINVAL;
    }
    if (option_store(&spec, value) || tone_set_hz(&pattern->tone, tone_hz) < 0) {
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "tone should be from 1 to %u",
                 options.sample_rate / 2);
        return -ERANGE;
    }
    snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "tone %u", tone_hz);
    return 0;
}

static const struct verb verbs[] = {{"set", run_set}, {0}};

/* Opens both streams. False: asked to stop. */
static bool open_streams(struct pattern *pattern, const struct shmframe_format *video,
                         const struct shmframe_format *audio) {
    struct shmframe_writer_params params = {
        .stream = producer_options.stream,
        .group = producer_options.group,
        .format = *video,
        .flags = options.is_unpaced ? 0 : SHMFRAME_WRITER_LIVE,
        .before_seal = paint_ahead,
        .user = pattern,
    };
    pattern->pictures = producer_add(&pattern->producer, &params);
    if (!pattern->pictures || !audio)
        return pattern->pictures;
    char name[2 * SHMFRAME_NAME_BYTES];
    snprintf(name, sizeof(name), "%s.sound", producer_options.stream);
    params.stream = name;
    params.format = *audio;
    params.before_seal = NULL;
    pattern->sound = producer_add(&pattern->producer, &params);
    return pattern->sound;
}

int main(int argc, char **argv) {
    static struct pattern pattern;
    producer_options.stream = "demo";
    program_start(&program, argc, argv);
    producer_check_options();
    if (producer_options.is_listing)
        return list_formats();

    struct shmframe_format video, audio;
    describe_picture(&video);
    create_picture(&pattern, &video);
    if (!options.is_silent) {
        describe_sound(&audio);
        if (tone_init(&pattern.tone, &audio, options.rate, options.tone_hz) < 0)
            program_fail_usage("--tone should be from 1 to %u", options.sample_rate / 2);
        if (options.has_marks && tone_use_marks(&pattern.tone) < 0)
            program_fail_usage("--marks: --sample-rate should be %d or more, or --no-sound given",
                               BURST_RATE_MIN);
        if (strlen(producer_options.stream) + strlen(".sound") >= SHMFRAME_NAME_BYTES)
            program_fail_usage("--stream: with \".sound\" behind it, the name is too long");
    }

    pattern.end_ns = producer_options.duration_ns ? producer_options.duration_ns : INT64_MAX;
    forget_slots(&pattern, 0);
    producer_open(&pattern.producer, verbs, &pattern);
    pattern.producer.is_unpaced = options.is_unpaced;
    if (open_streams(&pattern, &video, options.is_silent ? NULL : &audio) &&
        producer_start(&pattern.producer))
        run_pattern(&pattern);
    const int exit_code = producer_finish(&pattern.producer);
    picture_destroy(pattern.picture);
    return exit_code;
}
