/* shmframe-view: shows the pictures of streams in a window and plays the sound, in step.
 *
 * What happens to a frame on its way is in player.c; here are options and the words at the end.
 */
#include "consumer.h"
#include "player.h"
#include "report.h"
#include "sound_device.h"
#include "sound_system.h"
#include "watchdog.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/log.h>
#include <stdlib.h>

static struct {
    uint32_t size[2];
    const char *screenshot;
    const char *format;
    const char *layout;
    double gain;
    bool has_no_sound;
    bool is_fullscreen;
    bool has_overlay;
    bool has_vsync;
    bool is_muted;
    bool has_gauges;
    bool is_staying;
    bool is_listing;
    const char *sound_device;
    int64_t sound_delay_ns, picture_delay_ns;
} settings = {.format = "text", .gain = 8};

static struct {
    char **names;
    uint32_t count;
} streams;

static const struct option_spec options[] = {
    {.name = "layout",
     .kind = OPTION_TEXT,
     .out = &settings.layout,
     .argument = "LAYOUT",
     .help = "of several streams: grid (side by side), pip (the first fills the window, the others "
             "lie in its corners), or difference (of two, of which pictures are matched by origin "
             "or by capture time)"},
    {.name = "gain",
     .kind = OPTION_NUMBER,
     .out = &settings.gain,
     .argument = "NUMBER",
     .help = "how many times stronger a difference is shown (8)"},
    {.name = "size",
     .kind = OPTION_SIZE,
     .out = settings.size,
     .argument = "WIDTHxHEIGHT",
     .help = "size of the window; as large as the picture by default"},
    {.name = "fullscreen",
     .letter = 'f',
     .kind = OPTION_FLAG,
     .out = &settings.is_fullscreen,
     .help = "cover the screen"},
    {.name = "overlay",
     .letter = 'i',
     .kind = OPTION_FLAG,
     .out = &settings.has_overlay,
     .help = "show rate, latency, losses and the skew of picture and sound in the picture"},
    {.name = "vsync",
     .kind = OPTION_FLAG,
     .out = &settings.has_vsync,
     .help = "show pictures at the screen's refresh only: no tearing, but later"},
    {.name = "no-sound",
     .kind = OPTION_FLAG,
     .out = &settings.has_no_sound,
     .help = "pictures only, each at once"},
    {.name = "mute",
     .letter = 'm',
     .kind = OPTION_FLAG,
     .out = &settings.is_muted,
     .help = "begin without being heard; pictures stay in step with the sound"},
    {.name = "sound-device",
     .kind = OPTION_TEXT,
     .out = &settings.sound_device,
     .argument = "NAME",
     .help = "output device, by name, a part of it or number, see --list; default: the system's"},
    {.name = "sound-delay",
     .kind = OPTION_DURATION,
     .out = &settings.sound_delay_ns,
     .argument = "TIME",
     .help = "play the sound so much later, up to 2s"},
    {.name = "picture-delay",
     .kind = OPTION_DURATION,
     .out = &settings.picture_delay_ns,
     .argument = "TIME",
     .help = "show the pictures so much later, up to 2s"},
    {.name = "gauges",
     .letter = 'a',
     .kind = OPTION_FLAG,
     .out = &settings.has_gauges,
     .help = "show how loud the sound is: peak, held peak and RMS of each channel"},
    {.name = "list",
     .letter = 'l',
     .kind = OPTION_FLAG,
     .out = &settings.is_listing,
     .help = "list the sound devices, and exit"},
    {.name = "screenshot",
     .kind = OPTION_TEXT,
     .out = &settings.screenshot,
     .argument = "FILE.png",
     .help = "at the end, write what the window showed"},
    {.name = "stay",
     .kind = OPTION_FLAG,
     .out = &settings.is_staying,
     .help = "do not end with the stream, wait for its next writer"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "of the report at the end: text, or json on one line"},
    {0},
};

static const struct program program = {
    .name = "shmframe-view",
    .purpose = "Shows the pictures of streams in a window and plays the sound of a group.",
    .operands = "[STREAM ...]",
    .notes =
        "STREAM is a stream or a group (demo). With sound, pictures are read in order and held "
        "until\n"
        "their sound is heard; alone the newest is shown at once. --policy decides otherwise. Of\n"
        "several streams the first that has sound is heard; they may come and go.\n"
        "\n"
        "Keys: q, Esc quit        space pause        . , step        s screenshot\n"
        "      f full screen      i numbers          m mute          1 to 9 whose sound\n"
        "      l layout           Enter one alone    + - zoom        0 all of it   z 1:1\n"
        "      up down volume     [ ] sound delay    { } picture delay               a gauges\n"
        "      p pixel inspector  S save the frame itself\n"
        "      b background of what is transparent: checks, black, none\n"
        "Mouse: wheel zooms, dragging moves the picture, a double click shows one alone.",
    .options = options,
    .options2 = consumer_options,
};

static double to_ms(int64_t ns) {
    return (double)ns / 1e6;
}

enum { SOURCES_MAX = 3 * LAYOUT_MAX };

/* Every stream that was opened, pictures before the sounds. */
static uint32_t list_sources(const struct player *player, const struct source *out_source[]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < streams.count; i++) {
        const struct pictures *const pictures = player_pictures(player, i);
        if (pictures) {
            out_source[count++] = &pictures->source;
        }
    }
    const struct source *const sounds = player_sounds(player);
    if (sounds) {
        out_source[count++] = sounds;
    }
    for (uint32_t i = 0; player_sounds_before(player, i) && count < SOURCES_MAX; i++) {
        out_source[count++] = player_sounds_before(player, i);
    }
    return count;
}

static void print_text(const struct player *player, const struct player_report *report) {
    const struct source *sources[SOURCES_MAX];
    const uint32_t count = list_sources(player, sources);
    const double seconds = (double)report->duration_ns / 1e9;
    printf("shmframe-view: %" PRIu64 " pictures shown in %.1f s (%.2f /s), %" PRIu64
           " unshown, %" PRIu64 " converted",
           report->shown, seconds, seconds > 0 ? (double)report->shown / seconds : 0,
           report->unshown, report->converted);
    if (report->passed > 0) {
        printf(", %" PRIu64 " passed over while paused", report->passed);
    }
    if (report->missed > 0) {
        printf(", %" PRIu64 " missed while a stream was opened deeper", report->missed);
    }
    if (report->sound_trouble[0] != '\0') {
        printf("; nobody heard the sound: %s", report->sound_trouble);
    } else if (player_sounds(player)) {
        printf("; sound heard %.1f ms after capture, %" PRIu64 " dropouts",
               to_ms(report->sound_delay_ns), report->dropouts);
        if (report->sound_dropped_ns > 0) {
            printf(", %.0f ms thrown away", to_ms(report->sound_dropped_ns));
        }
    }
    if (report->skew.count > 0 && report->sound_trouble[0] == '\0') {
        printf(", skew to picture p50 %.2f p95 %.2f max %.2f ms",
               to_ms(shmframe_histogram_quantile_ns(&report->skew, 0.5)),
               to_ms(shmframe_histogram_quantile_ns(&report->skew, 0.95)),
               to_ms(report->skew.max_ns));
    }
    const struct delta *const delta = player_delta(player);
    if (delta && delta->trouble[0] != '\0') {
        printf("; no difference: %s", delta->trouble);
    } else if (delta) {
        printf("; matched %" PRIu64 ", alone %" PRIu64 " and %" PRIu64
               ", the last pair differs in %.3f %% of its pixels, by %u of 255 at most",
               delta->matched, delta->unmatched[0], delta->unmatched[1], delta->differing * 100,
               delta->most);
    }
    putchar('\n');
    for (uint32_t i = 0; i < count; i++) {
        static struct hops hops;
        source_read_hops(sources[i], &hops);
        printf("\n%s\n", sources[i]->stream);
        hops_print(stdout, &hops);
    }
    report_flush();
}

static json_t *make_skew(const struct shmframe_histogram *skew) {
    return json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)skew->count, "p50_ns",
                     (json_int_t)shmframe_histogram_quantile_ns(skew, 0.5), "p95_ns",
                     (json_int_t)shmframe_histogram_quantile_ns(skew, 0.95), "max_ns",
                     (json_int_t)skew->max_ns);
}

static json_t *make_stream(const struct source *source) {
    static struct hops hops;
    source_read_hops(source, &hops);
    json_t *const stream = json_pack("{s:s}", "stream", source->stream);
    hops_add_json(stream, &hops);
    return stream;
}

static json_t *make_streams(const struct player *player) {
    json_t *const array = json_array();
    for (uint32_t i = 0; i < streams.count; i++) {
        const struct pictures *const pictures = player_pictures(player, i);
        if (pictures) {
            json_t *const stream = make_stream(&pictures->source);
            json_object_set_new(stream, "shown", json_integer((json_int_t)pictures->shown));
            json_object_set_new(stream, "sequence", json_integer((json_int_t)pictures->sequence));
            json_array_append_new(array, stream);
        }
    }
    const struct source *const sounds = player_sounds(player);
    if (sounds) {
        json_array_append_new(array, make_stream(sounds));
    }
    for (uint32_t i = 0; player_sounds_before(player, i); i++) {
        json_array_append_new(array, make_stream(player_sounds_before(player, i)));
    }
    return array;
}

static json_t *make_inspected(const struct inspector *inspector) {
    json_t *const array = json_array();
    for (uint32_t i = 0; i < inspector->sources; i++) {
        const struct inspection *const inspection = &inspector->inspection[i];
        json_t *const values = json_object();
        for (uint32_t c = 0; c < inspection->components; c++) {
            json_object_set_new(values, inspection->component[c].name,
                                json_real(inspection->component[c].value));
        }
        json_array_append_new(
            array, json_pack("{s:s, s:I, s:i, s:i, s:o, s:[i,i,i]}", "stream", inspection->stream,
                             "sequence", (json_int_t)inspection->sequence, "x", inspection->pixel.x,
                             "y", inspection->pixel.y, "values", values, "shown", inspector->rgb[0],
                             inspector->rgb[1], inspector->rgb[2]));
    }
    return array;
}

static json_t *make_difference(const struct delta *delta) {
    if (!delta) {
        return json_null();
    }
    return json_pack("{s:I, s:[I,I], s:f, s:i, s:s?}", "matched", (json_int_t)delta->matched,
                     "unmatched", (json_int_t)delta->unmatched[0], (json_int_t)delta->unmatched[1],
                     "differing", delta->differing, "most", delta->most, "trouble",
                     delta->trouble[0] != '\0' ? delta->trouble : NULL);
}

static void print_json(const struct player *player, const struct player_report *report) {
    json_t *const object =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "duration_ns",
                  (json_int_t)report->duration_ns, "shown", (json_int_t)report->shown, "unshown",
                  (json_int_t)report->unshown, "converted", (json_int_t)report->converted, "passed",
                  (json_int_t)report->passed, "missed", (json_int_t)report->missed, "heard",
                  (json_int_t)report->heard, "dropouts", (json_int_t)report->dropouts,
                  "sound_delay_ns", (json_int_t)report->sound_delay_ns, "sound_dropped_ns",
                  (json_int_t)report->sound_dropped_ns);
    json_object_set_new(object, "sound_passed", json_integer((json_int_t)report->sound_passed));
    json_object_set_new(object, "sound_trouble",
                        report->sound_trouble[0] != '\0' ? json_string(report->sound_trouble)
                                                         : json_null());
    json_object_set_new(object, "skew", make_skew(&report->skew));
    json_object_set_new(object, "streams", make_streams(player));
    json_object_set_new(object, "inspected", make_inspected(player_inspector(player)));
    json_object_set_new(object, "difference", make_difference(player_delta(player)));
    report_print_json(object);
}

static struct player *player;

static void report(void) {
    static struct player_report report;
    player_get_report(player, &report);
    if (report_format_parse(settings.format) == REPORT_JSON) {
        print_json(player, &report);
    } else {
        print_text(player, &report);
    }
}

/* While the player stands still, somewhere in the display's library: then nobody changes what is
 * read here without a lock. */
static int report_hanging(void) {
    report();
    return EXIT_FAILED;
}

static void choose_streams_to_show(int argc, char **argv, int operand) {
    static char *fallback[] = {"demo"};
    streams.names = operand < argc ? argv + operand : fallback;
    streams.count = operand < argc ? (uint32_t)(argc - operand) : 1;
    if (streams.count > LAYOUT_MAX) {
        program_fail_usage("%d streams can be shown at once, not %u", LAYOUT_MAX, streams.count);
    }
}

static enum layout choose_layout(void) {
    if (!settings.layout) {
        return LAYOUT_AUTO;
    }
    const enum layout layout = layout_parse(settings.layout);
    if (layout == LAYOUT_AUTO) {
        program_fail_usage("--layout: \"%s\" should be grid, pip or difference", settings.layout);
    }
    if (layout == LAYOUT_DIFFERENCE && streams.count != 2) {
        program_fail_usage("--layout difference takes two streams, not %u", streams.count);
    }
    return layout;
}

static int list_devices(enum report_format format) {
    const bool is_there = sound_system_start();
    if (format == REPORT_JSON) {
        report_print_json(json_pack("{s:o}", "devices",
                                    is_there ? sound_device_list(SOUND_OUTPUT) : json_array()));
    } else {
        if (!is_there || !sound_device_print(SOUND_OUTPUT)) {
            program_warn("there is no output device");
        }
        report_flush();
    }
    if (is_there) {
        sound_system_stop();
    }
    return EXIT_DONE;
}

static void check_delay(const char *option, int64_t delay_ns) {
    if (delay_ns > SOUND_LATER_MAX_NS) {
        program_fail_usage("%s should be %.0fs at most", option, (double)SOUND_LATER_MAX_NS / 1e9);
    }
}

int main(int argc, char **argv) {
    /* Which pictures are wanted depends on whether there is sound; see player.h. */
    consumer_settings.policy = NULL;
    const int operand = program_start(&program, argc, argv);
    const enum report_format format = report_format_parse(settings.format);
    if (settings.is_listing) {
        return list_devices(format);
    }
    check_delay("--sound-delay", settings.sound_delay_ns);
    check_delay("--picture-delay", settings.picture_delay_ns);
    choose_streams_to_show(argc, argv, operand);
    const struct player_settings player_settings = {
        .stage =
            {
                .names = streams.names,
                .count = streams.count,
                .layout = choose_layout(),
                .gain = settings.gain,
                .size = {(int)settings.size[0], (int)settings.size[1]},
                .is_fullscreen = settings.is_fullscreen,
                .has_vsync = settings.has_vsync,
                .has_sound = !settings.has_no_sound,
                .has_overlay = settings.has_overlay,
                .sound_device = settings.sound_device,
                .delays = {settings.sound_delay_ns, settings.picture_delay_ns},
                .is_staying = settings.is_staying,
            },
        .screenshot = settings.screenshot,
        .is_muted = settings.is_muted,
        .has_gauges = settings.has_gauges,
    };
    if (!settings.has_no_sound) {
        sound_system_prepare();
    }
    if (!(settings.gain > 0)) {
        program_fail_usage("--gain: %g should be above 0", settings.gain);
    }
    /* libswscale and the PNG encoder have remarks that help nobody here. */
    av_log_set_level(AV_LOG_QUIET);

    const int error = player_create(&player_settings, &player);
    if (error == -ENOMEM) {
        program_fail("no memory");
    }
    int exit_code = EXIT_DONE;
    if (!error) {
        watchdog_play(report_hanging);
        exit_code = player_run(player);
        watchdog_claim();
        report();
        watchdog_told(exit_code);
    }
    player_destroy(player);
    return exit_code;
}
