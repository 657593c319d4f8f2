/* shmframe-encode: records or streams a picture and any number of sounds.
 *
 * codec.h chooses, track.h encodes, stamps.h times, recording.h writes: here it is decided when.
 */
#include "consumer.h"
#include "container.h"
#include "fault.h"
#include "progress.h"
#include "recorder_report.h"
#include "requests.h"
#include "selection.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static struct {
    const char *video, *audio;
    const char *container;
    struct option_list container_options;
    const char *time;
    const char *drift;
    const char *on_change;
    int64_t segment_ns;
    const char *segment_size;
    int64_t keep_ns;
    const char *keep_size;
    const char *sdp;
    const char *control;
    const char *format;
    bool is_overwriting;
    bool is_reconnecting;
} settings = {.time = "auto", .drift = "auto", .format = "text"};

static const struct option_spec options[] = {
    {.name = "video",
     .kind = OPTION_TEXT,
     .out = &settings.video,
     .argument = "CODEC[:NAME=VALUE,...]",
     .help = "encoder of the picture and its options, as FFmpeg names them, such as "
             "libx264:crf=20,preset=fast; none: leave it out"},
    {.name = "audio",
     .kind = OPTION_TEXT,
     .out = &settings.audio,
     .argument = "CODEC[:NAME=VALUE,...]",
     .help = "likewise of each sound; pcm: what its samples are"},
    {.name = "container",
     .kind = OPTION_TEXT,
     .out = &settings.container,
     .argument = "NAME",
     .help = "what to write, as FFmpeg names muxers (mp4, matroska, mpegts ...), where the target "
             "does not tell"},
    {.name = "format-option",
     .kind = OPTION_LIST,
     .out = &settings.container_options,
     .argument = "NAME=VALUE",
     .help = "an option of the container or protocol; may be given several times"},
    {.name = "time",
     .kind = OPTION_TEXT,
     .out = &settings.time,
     .argument = "CLOCK",
     .help = "timestamps are when frames were captured (capture), or what their producer says "
             "(pts: the default where all streams are read lossless)"},
    {.name = "drift",
     .kind = OPTION_TEXT,
     .out = &settings.drift,
     .argument = "WAY",
     .help = "a sound card whose clock differs: keep its samples and move their timestamps, or "
             "stretch the sound (the default of live sound in lossy codecs)"},
    {.name = "on-change",
     .kind = OPTION_TEXT,
     .out = &settings.on_change,
     .argument = "WAY",
     .help = "when a stream's format changes: segment (a new file; the default of files) or "
             "rescale (to what it was at first)"},
    {.name = "segment",
     .kind = OPTION_POSITIVE_DURATION,
     .out = &settings.segment_ns,
     .argument = "TIME",
     .help = "a new file after so long"},
    {.name = "segment-size",
     .kind = OPTION_TEXT,
     .out = &settings.segment_size,
     .argument = "BYTES",
     .help = "a new file after so much: 500k, 100M, 4G"},
    {.name = "keep",
     .kind = OPTION_POSITIVE_DURATION,
     .out = &settings.keep_ns,
     .argument = "TIME",
     .help = "replay: keep the last so long in memory, and write it when asked to (SIGUSR1, or the "
             "request save)"},
    {.name = "keep-size",
     .kind = OPTION_TEXT,
     .out = &settings.keep_size,
     .argument = "BYTES",
     .help = "how much memory that may take (1G)"},
    {.name = "sdp",
     .kind = OPTION_TEXT,
     .out = &settings.sdp,
     .argument = "FILE",
     .help = "rtp: where to write the description that receivers need; -: standard output"},
    {.name = "overwrite",
     .letter = 'y',
     .kind = OPTION_FLAG,
     .out = &settings.is_overwriting,
     .help = "replace files that exist"},
    {.name = "reconnect",
     .kind = OPTION_FLAG,
     .out = &settings.is_reconnecting,
     .help = "look for a peer again that went away"},
    {.name = "control",
     .kind = OPTION_TEXT,
     .out = &settings.control,
     .argument = "NAME",
     .help = "answer to \"shmframe ask NAME VERB\": save, split, pause, resume, stats, quit"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "of the report at the end: text, or json"},
    {0},
};

static const struct program program = {
    .name = "shmframe-encode",
    .purpose = "Records or streams a picture and its sounds.",
    .operands = "STREAM... FILE|URL|-",
    .notes = "Examples: shmframe-encode demo demo.mp4\n"
             "          shmframe-encode camera microphone talk.mkv --video libx264:crf=20\n"
             "          shmframe-encode demo replay-%d.mp4 --keep 30s --control replay",
    .options = options,
    .options2 = consumer_options,
};

enum { PICTURE_DEPTH = 16, SOUND_DEPTH = 160, PICTURE_LEASES = 6, SOUND_LEASES = 2 };
static const int64_t look_ns = 100000000;

/* One recording. Frames that wait make it large: not on the stack. */
static struct encode {
    const char *target;
    struct container container;
    enum report_format format;
    struct recording_params recording;
    struct codec_choice video, audio;
    struct recorder recorder;
    struct sources sources;
    struct requests requests;
    const char *reason; /* why it ended; NULL: it goes on */
    bool has_failed;
    int64_t progress_ns;
} encode;

static volatile sig_atomic_t is_save_asked;

static void ask_save(int number) {
    (void)number;
    is_save_asked = 1;
}

/* --- Settings --------------------------------------------------------------------------------- */

/* Which of the words `text` is; a mistake ends the program. */
static unsigned parse_word(const char *option, const char *text, const char *const *words,
                           const char *wanted) {
    for (unsigned i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    program_fail_usage("--%s: \"%s\" should be %s", option, text, wanted);
}

static uint64_t parse_bytes(const char *option, const char *text) {
    char *end = NULL;
    if (!text)
        return 0;
    double bytes = strtod(text, &end);
    static const char units[] = "kMGT";
    const char *unit = end != text && *end ? strchr(units, *end) : NULL;
    for (const char *at = units; unit && at <= unit; at++)
        bytes *= 1000;
    end += unit != NULL;
    if (end == text || *end || !(bytes >= 1) || bytes > 1e18)
        program_fail_usage("--%s: \"%s\" should be a size such as 500k, 100M or 4G", option, text);
    return (uint64_t)bytes;
}

static void choose_codec(const char *text, enum AVMediaType type, bool is_exact,
                         struct codec_choice *choice) {
    if (codec_choose(text, type, encode.container.format, is_exact, choice) < 0)
        program_fail_usage("%s", fault_text());
}

static bool is_empty(const struct codec_choice *choice) {
    return !choice->codec && !choice->is_pcm;
}

static void parse_settings(void) {
    static const char *const times[] = {"auto", "capture", "pts", NULL};
    static const char *const drifts[] = {"auto", "keep", "stretch", NULL};
    static const char *const changes[] = {"segment", "rescale", NULL};
    struct recorder_params *params = &encode.recorder.params;
    encode.format = report_format_parse(settings.format);
    if (container_choose(encode.target, settings.container, &encode.container) < 0)
        program_fail_usage("%s", fault_text());
    choose_codec(settings.video, AVMEDIA_TYPE_VIDEO, false, &encode.video);
    choose_codec(settings.audio, AVMEDIA_TYPE_AUDIO,
                 encode.video.is_asked && codec_is_exact(&encode.video), &encode.audio);
    if (settings.video && settings.audio && is_empty(&encode.video) && is_empty(&encode.audio))
        program_fail_usage("nothing is left to be recorded: --video and --audio are both none");
    if (is_empty(&encode.video) && is_empty(&encode.audio))
        program_fail_usage("%s holds neither picture nor sound: name a codec with --video or "
                           "--audio, or another --container",
                           encode.container.format->name);
    params->time = parse_word("time", settings.time, times, "auto, capture or pts");
    params->drift = parse_word("drift", settings.drift, drifts, "auto, keep or stretch");
    params->is_rescaling = settings.on_change ? parse_word("on-change", settings.on_change, changes,
                                                           "segment or rescale") == 1
                                              : encode.container.road != CONTAINER_FILE;
    if (settings.on_change && !params->is_rescaling && encode.container.road != CONTAINER_FILE &&
        encode.container.road != CONTAINER_URL)
        program_fail_usage("%s is one flow: --on-change segment needs files", encode.target);
    params->frames = consumer_settings.frames;
    params->duration_ns = consumer_settings.duration_ns;
    encode.recording = (struct recording_params){
        .target = encode.target,
        .container = settings.container,
        .options = &settings.container_options,
        .segment_ns = settings.segment_ns,
        .segment_bytes = parse_bytes("segment-size", settings.segment_size),
        .keep_ns = settings.keep_ns,
        .keep_bytes = parse_bytes("keep-size", settings.keep_size),
        .sdp = settings.sdp,
        .is_overwriting = settings.is_overwriting,
        .is_reconnecting = settings.is_reconnecting,
    };
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* As deep as makes up for a key frame that takes long. */
static struct shmframe_reader_params choose_reader(const struct selected_stream *stream) {
    struct shmframe_reader_params params = consumer_reader_params(stream->name);
    const bool is_video = stream->kind == SHMFRAME_VIDEO;
    const bool is_deep = !consumer_settings.policy || params.policy != SHMFRAME_LATEST;
    if (!params.depth && is_deep)
        params.depth = is_video ? PICTURE_DEPTH : SOUND_DEPTH;
    if (!params.leases)
        params.leases = is_video ? PICTURE_LEASES : SOUND_LEASES;
    return params;
}

static bool is_wanted(const struct selected_stream *stream) {
    const bool is_video = stream->kind == SHMFRAME_VIDEO;
    const char *const asked = is_video ? settings.video : settings.audio;
    if (!is_empty(is_video ? &encode.video : &encode.audio))
        return true;
    if (!asked)
        program_warn("%s is left out: %s holds no %s", stream->name, encode.container.format->name,
                     is_video ? "pictures" : "sound");
    return false;
}

static uint32_t count_wanted(struct selection *selection) {
    uint32_t pictures = 0, wanted = 0;
    for (uint32_t i = 0; i < selection->count; i++) {
        const struct selected_stream stream = selection->stream[i];
        if (!is_wanted(&stream))
            continue;
        pictures += stream.kind == SHMFRAME_VIDEO;
        if (pictures > 1)
            program_fail_usage("%s: one picture can be recorded at once; start another "
                               "shmframe-encode for it",
                               stream.name);
        selection->stream[wanted++] = stream;
    }
    return wanted;
}

/* Sounds first: producers that wait for readers begin when the picture has one. False: asked to
 * stop. */
static bool open_sources(char *const *names, uint32_t count) {
    static const uint32_t kinds[] = {SHMFRAME_AUDIO, SHMFRAME_VIDEO};
    struct selection selection;
    if (!selection_find(encode.sources.session, names, count, &selection))
        return false;
    selection.count = count_wanted(&selection);
    if (selection.count == 0)
        program_fail_usage("nothing is left to be recorded: name a codec with --video or --audio");
    encode.recording.is_waiting = true;
    for (uint32_t k = 0; k < 2 * selection.count; k++) {
        const struct selected_stream *stream = &selection.stream[k % selection.count];
        if (stream->kind != kinds[k / selection.count])
            continue;
        const struct shmframe_reader_params params = choose_reader(stream);
        struct source *source = sources_add(&encode.sources, &params);
        if (!source)
            return false;
        if (source->params.policy != SHMFRAME_LOSSLESS)
            encode.recording.is_waiting = false;
    }
    return true;
}

/* --- Attending to the user -------------------------------------------------------------------- */

/* What the recording's thread has to say, to the user and to those who asked. */
static void tell_lines(void) {
    char line[RECORDING_PATH_BYTES];
    while (recording_next_line(encode.recorder.params.recording, line))
        program_warn("%s", line);
    requests_answer(&encode.requests);
}

static void show_progress(void) {
    const int64_t now_ns = shmframe_now_ns();
    if (!progress_is_shown() || now_ns - encode.progress_ns < 2 * look_ns)
        return;
    char line[RECORDER_LINE_BYTES];
    encode.progress_ns = now_ns;
    recorder_report_line(&encode.recorder, line);
    progress_update("%s", line);
}

/* While the recording waits for its target. */
static void serve(void *user) {
    (void)user;
    shmframe_session_dispatch(encode.sources.session);
    if (encode.sources.control)
        control_serve(encode.sources.control);
    tell_lines();
    show_progress();
}

static void create_recording(void) {
    struct recorder_params *params = &encode.recorder.params;
    encode.recording.serve = serve;
    const int result = recording_create(&encode.recording, &params->recording);
    if (result == -EINVAL)
        program_fail_usage("%s", recording_error());
    if (result < 0)
        program_fail("%s", recording_error());
    params->sources = &encode.sources;
    params->video = &encode.video;
    params->audio = &encode.audio;
    for (uint32_t i = 0; i < encode.sources.count; i++)
        recorder_add(&encode.recorder, &encode.sources.source[i]);
}

/* --- Recording -------------------------------------------------------------------------------- */

static void fail(int result) {
    encode.reason = "failure";
    encode.has_failed = true;
    if (result == -EINTR)
        return;
    tell_lines();
    if (result == -EINVAL && !encode.recorder.stamps.end_ns)
        program_fail_usage("%s", fault_text());
    program_warn("%s", fault_text());
}

static void look(void) {
    const int result = recorder_look(&encode.recorder);
    if (result < 0)
        fail(result);
    tell_lines();
    if (is_save_asked) {
        char path[RECORDING_PATH_BYTES];
        is_save_asked = 0;
        if (recording_save(encode.recorder.params.recording, 0, path) < 0)
            program_warn("nothing is saved: %s", recording_error());
    }
    show_progress();
}

/* Takes what there is of a source, `most` frames at once. */
static void take_some(uint32_t index, unsigned most) {
    int taken = 1;
    for (unsigned i = 0; i < most && taken > 0 && !encode.reason; i++) {
        taken = recorder_take(&encode.recorder, index);
        if (taken < 0)
            fail(taken);
    }
}

/* Blocks of sound come more often than pictures and take less: all that are there come before the
 * next picture, or a slow encoder of pictures would cost them too. A writer that waits for this
 * reader needs no such hurry, and its sound should not run ahead. */
static unsigned most_at_once(uint32_t index) {
    const struct source *source = &encode.sources.source[index];
    const bool is_sound = shmframe_reader_format(source->reader)->kind == SHMFRAME_AUDIO;
    return is_sound && source->params.policy != SHMFRAME_LOSSLESS ? SOUND_DEPTH : 1;
}

/* Of each that has some. Requests are answered before the next round: one picture of a slow encoder
 * is long enough. */
static void take(uint64_t ready) {
    for (uint32_t i = 0; i < encode.sources.count && !encode.reason; i++)
        if (ready & UINT64_C(1) << i)
            take_some(i, most_at_once(i));
}

static void record(void) {
    while (!encode.reason) {
        uint64_t ready;
        switch (sources_wait(&encode.sources, shmframe_deadline_ns(look_ns), &ready)) {
        case SOURCES_READY:
            take(ready);
            break;
        case SOURCES_ASKED:
        case SOURCES_DUE:
            break;
        case SOURCES_OVER:
            encode.reason = "end of stream";
            break;
        case SOURCES_LATE:
            encode.reason = "deadline";
            encode.has_failed = true;
            break;
        case SOURCES_STOP:
            encode.reason = "signal";
            break;
        }
        if (!encode.reason)
            look();
        if (!encode.reason && recorder_is_done(&encode.recorder))
            encode.reason = consumer_settings.frames ? "frames" : "duration";
    }
}

/* A last frame of each live stream, if one is there: with it come the losses of before it. */
static int take_last(void) {
    int result = 0;
    for (uint32_t i = 0; i < encode.sources.count && result >= 0; i++)
        if (encode.sources.source[i].params.policy != SHMFRAME_LOSSLESS)
            result = recorder_take(&encode.recorder, i);
    return result;
}

/* Not of what did not come to begin: that was told, and the target is as it was. */
static bool has_report(void) {
    struct recording_state state;
    recording_state(encode.recorder.params.recording, &state);
    return strcmp(encode.reason, "failure") != 0 || state.segments || state.packets ||
           state.dropped;
}

static void finish(void) {
    struct recording *recording = encode.recorder.params.recording;
    int result = 0;
    if (strcmp(encode.reason, "failure") != 0) {
        result = take_last();
        if (result >= 0)
            result = recorder_finish(&encode.recorder);
    }
    if (result < 0)
        fail(result);
    const bool has_failed = encode.has_failed;
    result = recording_finish(recording);
    progress_clear();
    tell_lines();
    if (result < 0 && !has_failed)
        fail(result);
    /* Standard output is the file there. */
    if (encode.container.road == CONTAINER_FLOW)
        dup2(STDERR_FILENO, STDOUT_FILENO);
    encode.has_failed = encode.has_failed || sources_have_failed(&encode.sources);
    if (!has_report())
        return;
    if (encode.format == REPORT_JSON)
        report_print_json(recorder_report_json(&encode.recorder, encode.target, encode.reason));
    else
        recorder_report_print(&encode.recorder, encode.target);
}

int main(int argc, char **argv) {
    consumer_settings.policy = NULL;
    const int operand = program_start(&program, argc, argv);
    const int operands = argc - operand;
    if (operands < 2)
        program_fail_usage("at least one stream is to be named, and a file or URL after it");
    encode.target = argv[argc - 1];
    av_log_set_level(AV_LOG_QUIET);
    parse_settings();

    struct shmframe_session *session = program_open_session();
    program_stop_on_signals(session);
    const struct sigaction on_save = {.sa_handler = ask_save, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &on_save, NULL);
    encode.sources.session = session;
    encode.requests = (struct requests){&encode.recorder, &encode.sources, encode.target};
    if (open_sources(argv + operand, (uint32_t)(operands - 1))) {
        if (settings.control)
            encode.sources.control =
                control_open(session, settings.control, requests_verbs, &encode.requests);
        create_recording();
        record();
        finish();
        recording_destroy(encode.recorder.params.recording);
        recorder_close(&encode.recorder);
        control_close(encode.sources.control);
    } else {
        consumer_tell_stopped("recorded");
        encode.has_failed = true;
    }
    sources_close(&encode.sources);
    codec_choice_finish(&encode.video);
    codec_choice_finish(&encode.audio);
    program_close_session(session);
    return encode.has_failed ? EXIT_FAILED : EXIT_DONE;
}
