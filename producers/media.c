/* shmframe-media: a file or URL, its tracks decoded straight into the slots that are read. */
#include "option.h"
#include "playback.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS     INT64_C(1000000000)
#define BUFFER_MAX_NS (10 * SECOND_NS)

enum { SLICE_MS = 500 }; /* how long opening is waited for before it is looked at again */

static struct {
    int64_t start_ns;
    struct option_list tracks;
    bool is_looping, is_unpaced, is_reconnecting, is_never_reconnecting;
    int64_t buffer_ns;
} options = {.buffer_ns = SECOND_NS / 10};

static struct playback playback = {.input.timeout_ns = 10 * SECOND_NS};

static const struct option_spec specs[] = {
    {"track", 't', OPTION_LIST, &options.tracks, "TRACK",
     "stream that track: its number in --list, v:0, a:1, or all; may be given again"},
    {"start", 'S', OPTION_DURATION, &options.start_ns, "TIME",
     "begin at that position of the file"},
    {"loop", 'L', OPTION_FLAG, &options.is_looping, NULL, "begin again at the end"},
    {"unpaced", 'u', OPTION_FLAG, &options.is_unpaced, NULL,
     "publish as fast as lossless readers take it, not at the file's own pace"},
    {"live", 0, OPTION_FLAG, &playback.input.is_asked_live, NULL,
     "take the input as live: frames are due as they come in"},
    {"buffer", 0, OPTION_DURATION, &options.buffer_ns, "TIME",
     "how long frames of a live input wait, to come in even steps; default 100ms"},
    {"timeout", 0, OPTION_DURATION, &playback.input.timeout_ns, "TIME",
     "give up on a server that says nothing for so long; 0: never; default 10"},
    {"reconnect", 0, OPTION_FLAG, &options.is_reconnecting, NULL,
     "open the input again when it ends: a FIFO for its next writer"},
    {"no-reconnect", 0, OPTION_FLAG, &options.is_never_reconnecting, NULL,
     "end when a live input does, rather than try until it is back"},
    {"input-format", 0, OPTION_TEXT, &playback.input.format, "NAME",
     "what the input is, where FFmpeg cannot tell: rawvideo, mpegts, s16le"},
    {"input-option", 0, OPTION_LIST, &playback.input.settings, "KEY=VALUE",
     "a setting for FFmpeg's format or protocol; may be given again"},
    {"input-rate", 0, OPTION_RATIONAL, &playback.input.rate, "RATE",
     "pictures a second of a sequence of pictures or of raw video; default 25"},
    {0},
};

static const struct program program = {
    .name = "shmframe-media",
    .purpose = "Streams the pictures of a file or URL, and its sound as the stream NAME.sound.",
    .operands = "FILE|URL|-",
    .notes =
        "--list shows the tracks of FILE. - is standard input; img%03d.png or 'img*.png' is a\n"
        "sequence of pictures.\n"
        "Requests (shmframe ask NAME VERB): pause, resume, quit, help, seek TIME, where TIME\n"
        "is a position such as 90 or 1.5m, or +TIME or -TIME to go on or back.",
    .options = specs,
    .options2 = producer_option_specs,
};

/* Requests. */

/* Where "90", "1.5m", "+10" or "-10" leads to; -1: nowhere. */
static int64_t parse_position(const char *text) {
    const char sign = *text == '+' || *text == '-' ? *text : 0;
    int64_t ns = 0;
    const struct option_spec spec = {"position", 0, OPTION_DURATION, &ns, NULL, NULL};
    const char *number = text + (sign != 0);
    if (option_store(&spec, number))
        return -1;
    if (sign)
        ns = playback.position_ns + (sign == '+' ? ns : -ns);
    return ns > 0 ? ns : 0;
}

static int run_seek(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    (void)user;
    const int64_t position_ns = parse_position(argument);
    const int64_t length_ns = playback.is_open ? demux_length_ns(&playback.demux) : 0;
    if (position_ns < 0) {
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "seek takes a position: 90, 1.5m, +10 or -10");
        return -EINVAL;
    }
    if (length_ns && position_ns >= length_ns) {
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%.3f s is behind the end, %.3f s",
                 (double)position_ns / SECOND_NS, (double)length_ns / SECOND_NS);
        return -EINVAL;
    }
    if (!playback_seek(&playback, position_ns)) {
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%s has no positions to go to",
                 playback.input.is_live ? "a live input" : "this input");
        return -ENOTSUP;
    }
    snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "going to %.3f s", (double)position_ns / SECOND_NS);
    return 0;
}

static const struct verb verbs[] = {{"seek", run_seek}, {0}};

/* Opening. */

/* Whether opening does not even notice any more that its time is over: a name is looked up. */
static bool is_stuck(void) {
    const int64_t deadline_ns =
        atomic_load_explicit(&playback.input.deadline_ns, memory_order_relaxed);
    return deadline_ns && deadline_ns != INT64_MAX && shmframe_now_ns() > deadline_ns + SECOND_NS;
}

/* Opens in a thread, which may be left where it is when the program ends. As demux_end_opening().
 */
static int open_demux(void) {
    struct demux *demux = &playback.demux;
    demux_begin_opening(demux, &playback.input, &playback.params);
    struct pollfd events[] = {{.fd = demux->ready_fd, .events = POLLIN},
                              {.fd = program_stop_fd(), .events = POLLIN}};
    for (;;) {
        const bool was_stopping = program_is_stopping();
        const int result = demux_end_opening(demux);
        if (result != -EAGAIN)
            return result;
        if (was_stopping)
            return -EINTR;
        if (is_stuck())
            program_fail("cannot open %s: no answer within %.3g s; --timeout says how long to wait",
                         playback.input.url, (double)playback.input.timeout_ns / SECOND_NS);
        poll(events, 2, SLICE_MS);
        if (program_is_stopping())
            poll(events, 1, SLICE_MS); /* most notice soon */
    }
}

/* --list. */

/* Adds to each track that is or could be a stream what its frames are, and the stream's name. */
static void name_streams(json_t *tracks, const struct demux *demux,
                         const struct selection *chosen) {
    char text[128], name[SHMFRAME_NAME_BYTES];
    for (uint32_t i = 0; i < demux->tracks; i++) {
        json_t *track = json_array_get(tracks, (size_t)demux->track[i].stream->index);
        shmframe_format_describe(&demux->track[i].format, text, sizeof(text));
        json_object_set_new(track, "format", json_string(text));
    }
    uint32_t ordinals[2] = {0};
    for (uint32_t i = 0; i < chosen->count; i++) {
        json_t *track = json_array_get(tracks, chosen->stream[i]);
        const AVStream *stream = demux->input->context->streams[chosen->stream[i]];
        const bool is_sound = stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
        if (json_object_get(track, "format") &&
            selection_name_stream(producer_options.stream, is_sound, ordinals[is_sound]++, name))
            json_object_set_new(track, "stream", json_string(name));
    }
}

static void print_track(const json_t *track) {
    static const struct {
        const char *key, *before, *behind;
    } parts[] = {
        {"codec", ", ", ""},     {"format", ", ", ""},        {"language", ", ", ""},
        {"title", ", \"", "\""}, {"stream", ": stream ", ""}, {"why", ": no stream: ", ""},
    };
    printf("track %d: %s", (int)json_integer_value(json_object_get(track, "track")),
           json_string_value(json_object_get(track, "kind")));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const char *text = json_string_value(json_object_get(track, parts[i].key));
        if (text)
            printf("%s%s%s", parts[i].before, text, parts[i].behind);
    }
    const bool is_told = json_object_get(track, "stream") || json_object_get(track, "why");
    puts(is_told ? "" : ": only with --track");
}

static int list_tracks(const struct selection *chosen) {
    struct demux *demux = &playback.demux;
    json_t *tracks = selection_list(demux->input->context);
    name_streams(tracks, demux, chosen);
    if (report_format_parse(producer_options.format) == REPORT_JSON) {
        report_print_json(json_pack("{s:f, s:b, s:o}", "seconds",
                                    (double)demux_length_ns(demux) / SECOND_NS, "live",
                                    playback.input.is_live, "tracks", tracks));
    } else {
        size_t i;
        json_t *track;
        json_array_foreach(tracks, i, track) print_track(track);
        json_decref(tracks);
    }
    demux_stop(demux);
    const bool is_bad = demux_report(demux);
    demux_close(demux);
    input_finish(&playback.input);
    return is_bad ? EXIT_FAILED : EXIT_DONE;
}

/* Formats of all tracks are looked at, whichever would be chosen. */
static int open_and_list(void) {
    static const struct option_list all = {.text = {"all"}, .count = 1};
    struct selection chosen;
    playback.params.tracks = &all;
    const int result = open_demux();
    if (result == -EINTR)
        return EXIT_DONE;
    if (result < 0)
        program_fail("%s", playback.demux.why);
    if (selection_choose(playback.input.context, &options.tracks, &chosen) < 0)
        program_fail("%s: %s", playback.input.url, chosen.why);
    return list_tracks(&chosen);
}

/* Running. */

static void check_options(void) {
    char name[SHMFRAME_NAME_BYTES];
    producer_check_options();
    if (!selection_name_stream(producer_options.stream, true, 0, name))
        program_fail_usage("--stream: with \".sound\" behind it, the name is too long");
    if (options.is_unpaced && playback.input.is_asked_live)
        program_fail_usage("--unpaced: a live input has a pace of its own, leave --live out");
    if (options.is_reconnecting && options.is_never_reconnecting)
        program_fail_usage("--reconnect and --no-reconnect: one of them");
    if (options.is_reconnecting && options.is_looping)
        program_fail_usage("--loop: what is opened again when it ends has no beginning");
    if (options.buffer_ns > BUFFER_MAX_NS)
        program_fail_usage("--buffer: %.3g s of decoded frames are too many, 10 s at most",
                           (double)options.buffer_ns / SECOND_NS);
    input_check(&playback.input);
}

static void check_input(void) {
    const char *url = playback.input.url;
    const bool comes_again = input_comes_again(&playback.input);
    if (options.is_looping && !input_can_seek(&playback.input))
        program_fail("--loop: %s cannot be played again from its beginning", url);
    if (options.is_reconnecting && !comes_again)
        program_fail("--reconnect: %s does not come again; --loop plays a file again", url);
    playback.is_reconnecting = options.is_reconnecting || (playback.input.is_live && comes_again &&
                                                           !options.is_never_reconnecting);
}

/* The exit code. */
static int play(void) {
    playback.params.tracks = &options.tracks;
    const int result = open_demux();
    if (result == -EINTR)
        return EXIT_DONE;
    if (result < 0)
        program_fail("%s", playback.demux.why);
    playback.is_open = true;
    check_input();
    playback.params.start_ns = 0; /* of what it is opened again for */
    producer_open(&playback.producer, verbs, NULL);
    playback.producer.is_unpaced = options.is_unpaced;
    if (playback_open(&playback)) {
        demux_start(&playback.demux);
        if (producer_start(&playback.producer))
            playback_run(&playback);
    }
    return playback_finish(&playback);
}

int main(int argc, char **argv) {
    producer_options.stream = "media";
    const int operand = program_start(&program, argc, argv);
    check_options();
    if (operand + 1 != argc)
        program_fail_usage("one FILE or URL is needed");
    playback.input.url = argv[operand];
    playback.input.is_never_live = options.is_unpaced;
    playback.params = (struct demux_params){
        .start_ns = options.start_ns,
        .is_looping = options.is_looping,
        .is_mending = !options.is_unpaced,
    };
    playback.pace.buffer_ns = options.buffer_ns;
    program_stop_on_signals(NULL); /* opening may wait for somebody */
    return producer_options.is_listing ? open_and_list() : play();
}
