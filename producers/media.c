/* shmframe-media: a file or URL, its pictures decoded straight into the slots that are read.
 *
 * A frame is due when its time comes on the producer's clock, and is captured at that instant; it
 * was decoded some frames before. Unpaced there is no such clock: pictures are captured when the
 * decoder gets their slot, sound when its block does. A frame's pts is its place in the file, also
 * after a seek or a loop, when the first frames are marked as discontinuous.
 *
 * What comes late is published at once and counted. Where it is so late that the rest of the file
 * would have to be hurried through, the clock is set back instead.
 */
#include "demux.h"
#include "option.h"
#include "producer.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
/* Behind that much, the clock is set back. */
#define LATE_MAX_NS (SECOND_NS / 2)
/* How long a copy waits for lossless readers before requests are looked at again. */
#define LOAN_SLICE_NS (SECOND_NS / 20)

enum { LOANS_MAX = 64, SLOTS_BESIDE = 16 };

static struct {
    int64_t start_ns;
    bool is_looping, is_unpaced;
} options;

static const struct option_spec specs[] = {
    {"start", 'S', OPTION_DURATION, &options.start_ns, "TIME",
     "begin at that position of the file"},
    {"loop", 'L', OPTION_FLAG, &options.is_looping, NULL, "begin again at the end"},
    {"unpaced", 'u', OPTION_FLAG, &options.is_unpaced, NULL,
     "publish as fast as lossless readers take it, not at the file's own pace"},
    {0},
};

static const struct program program = {
    .name = "shmframe-media",
    .purpose = "Streams the pictures of a file or URL, and its sound as the stream NAME.sound.",
    .operands = "FILE|URL",
    .notes = "--list shows the tracks of FILE.\n"
             "Requests (shmframe ask NAME VERB): pause, resume, quit, seek TIME, where TIME is a\n"
             "position such as 90 or 1.5m, or +TIME or -TIME to go on or back.",
    .options = specs,
    .options2 = producer_option_specs,
};

/* What is played of one track. */
struct playing {
    struct producer_stream *stream; /* NULL: the file has none */
    struct demux_item item;         /* frame NULL: the next is still queued */
    int sample; /* of sound: the first of the frame that was not published yet */
    enum demux_head head;
    int64_t due_ns; /* media time, where head is DEMUX_FRAME */
};

struct media {
    struct producer producer;
    struct demux demux;
    struct shmframe_decoder_slots *slots;
    struct playing playing[DEMUX_TRACKS];
    char sound_name[2 * SHMFRAME_NAME_BYTES];
    uint32_t pass;
    bool has_base;       /* the pass has begun: */
    int64_t base_ns;     /* this position in the file */
    int64_t origin_ns;   /* is due at this media time */
    int64_t end_ns;      /* media time at which what was published ends */
    int64_t position_ns; /* of the newest frame */
    char copied_why[256];
};

/* Seeking. */

/* Where "90", "1.5m", "+10" or "-10" leads to; -1: nowhere. */
static int64_t parse_position(const struct media *media, const char *text) {
    const char sign = *text == '+' || *text == '-' ? *text : 0;
    int64_t ns = 0;
    const struct option_spec spec = {"position", 0, OPTION_DURATION, &ns, NULL, NULL};
    const char *number = text + (sign != 0);
    if (option_store(&spec, number))
        return -1;
    if (sign)
        ns = media->position_ns + (sign == '+' ? ns : -ns);
    return ns > 0 ? ns : 0;
}

static int run_seek(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct media *media = user;
    const int64_t position_ns = parse_position(media, argument);
    const int64_t length_ns = demux_length_ns(&media->demux);
    if (position_ns < 0) {
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "seek takes a position: 90, 1.5m, +10 or -10");
        return -EINVAL;
    }
    if (length_ns && position_ns >= length_ns) {
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%.3f s is behind the end, %.3f s",
                 (double)position_ns / SECOND_NS, (double)length_ns / SECOND_NS);
        return -EINVAL;
    }
    const uint32_t pass = demux_seek(&media->demux, position_ns);
    if (!pass) {
        snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "this input has no positions to go to");
        return -ENOTSUP;
    }
    for (int i = 0; i < DEMUX_TRACKS; i++) {
        demux_item_finish(&media->playing[i].item);
        media->playing[i].sample = 0;
    }
    media->pass = pass;
    media->has_base = false;
    media->position_ns = position_ns;
    snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "going to %.3f s", (double)position_ns / SECOND_NS);
    return 0;
}

static const struct producer_verb verbs[] = {{"seek", run_seek}, {0}};

/* Looking ahead. */

static int64_t find_position_ns(const struct media *media, int kind) {
    const struct playing *playing = &media->playing[kind];
    const AVFrame *frame = playing->item.frame;
    int64_t ns = demux_position_ns(&media->demux, kind, frame->pts);
    if (playing->sample)
        ns += av_rescale(playing->sample, SECOND_NS, frame->sample_rate);
    return ns;
}

/* Looks at what each track has next. Returns whether the next frame to publish is known. */
static bool look_ahead(struct media *media) {
    bool is_known = true;
    demux_clear_ready(&media->demux);
    for (int i = 0; i < DEMUX_TRACKS; i++) {
        struct playing *playing = &media->playing[i];
        struct demux_item next;
        if (!playing->stream) {
            playing->head = DEMUX_END;
        } else if (playing->item.frame) {
            playing->head = DEMUX_FRAME;
        } else {
            playing->head = demux_peek(&media->demux, i, media->pass, &next);
            if (playing->head == DEMUX_FRAME)
                demux_pop(&media->demux, i, &playing->item);
        }
        is_known = is_known && playing->head != DEMUX_WAIT;
    }
    return is_known;
}

/* Ties the file's time to the clock's at the first frames of a pass. */
static void begin_pass(struct media *media) {
    media->base_ns = INT64_MAX;
    for (int i = 0; i < DEMUX_TRACKS; i++) {
        if (media->playing[i].head != DEMUX_FRAME)
            continue;
        const int64_t position_ns = find_position_ns(media, i);
        media->base_ns = position_ns < media->base_ns ? position_ns : media->base_ns;
    }
    if (media->base_ns == INT64_MAX)
        return;
    const int64_t now_ns = producer_media_ns(&media->producer);
    media->has_base = true;
    media->origin_ns = media->end_ns;
    /* A loop goes on without a gap; a seek, or a file that made us wait, begins now. */
    if (!options.is_unpaced && (now_ns > media->end_ns || media->end_ns - now_ns > LATE_MAX_NS))
        media->origin_ns = now_ns;
    for (int i = 0; i < DEMUX_TRACKS && media->pass > 1; i++)
        if (media->playing[i].stream)
            media->playing[i].stream->is_discontinuous = true;
}

/* The track whose frame is due first; -1: none has any. */
static int choose_track(struct media *media) {
    int chosen = -1;
    for (int i = 0; i < DEMUX_TRACKS; i++) {
        struct playing *playing = &media->playing[i];
        if (playing->head != DEMUX_FRAME)
            continue;
        playing->due_ns = media->origin_ns + find_position_ns(media, i) - media->base_ns;
        if (chosen < 0 || playing->due_ns < media->playing[chosen].due_ns)
            chosen = i;
    }
    return chosen;
}

/* Publishing. */

/* Far behind its time, the rest would have to be hurried: the clock goes on from here instead. */
static void forgive_lateness(struct media *media, struct playing *playing) {
    const int64_t late_ns = producer_media_ns(&media->producer) - playing->due_ns;
    if (options.is_unpaced || late_ns < LATE_MAX_NS)
        return;
    media->origin_ns += late_ns;
    playing->due_ns += late_ns;
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (media->playing[i].stream)
            media->playing[i].stream->is_discontinuous = true;
}

static void finish_loan(struct media *media, struct playing *playing, struct shmframe_loan *loan,
                        bool is_copied) {
    struct producer_stream *stream = playing->stream;
    const struct shmframe_rational unit = loan->format->time_base;
    const int64_t duration_ns = av_rescale_q(loan->frame.duration, (AVRational){unit.num, unit.den},
                                             (AVRational){1, SECOND_NS});
    if (!options.is_unpaced)
        loan->frame.capture_ns = media->producer.start_ns + playing->due_ns;
    producer_publish(stream, loan, is_copied);
    if (media->end_ns < playing->due_ns + duration_ns)
        media->end_ns = playing->due_ns + duration_ns;
    if (!options.is_unpaced && loan->frame.publish_ns > loan->frame.capture_ns + duration_ns)
        stream->overdue++;
}

static void change_format(struct playing *playing) {
    producer_set_format(playing->stream, playing->item.format);
    free(playing->item.format);
    playing->item.format = NULL;
}

/* A slot with the picture; 0, or -EAGAIN the picture is dropped, -EINTR asked to stop. */
static int loan_picture(struct media *media, struct playing *playing,
                        struct shmframe_loan *out_loan) {
    struct producer_stream *stream = playing->stream;
    const AVFrame *frame = playing->item.frame;
    for (;;) {
        const int result = shmframe_decoder_slots_loan(
            media->slots, frame, shmframe_deadline_ns(LOAN_SLICE_NS), out_loan);
        if (result == 0)
            break;
        if (result == -EINVAL || result == -ENOSPC || result == -ENOMEM || result == -EBUSY) {
            if (stream->refused++ == 0)
                program_warn("%s: a picture is dropped: %s", stream->name, shmframe_last_error());
            stream->dropped++;
            return -EAGAIN;
        }
        if (result != -ETIMEDOUT && result != -EINTR)
            program_fail_call(stream->name);
        const uint32_t pass = media->pass;
        if (producer_wait_for(&media->producer, -1, SHMFRAME_NOW) == PRODUCER_STOP)
            return -EINTR;
        if (pass != media->pass)
            return -EINTR; /* a seek took the frame away */
    }
    producer_tell_dropped(stream, out_loan);
    return 0;
}

static void publish_picture(struct media *media, struct playing *playing) {
    struct shmframe_decoder_counters before, after;
    struct shmframe_loan loan;
    if (playing->item.format)
        change_format(playing);
    shmframe_decoder_slots_counters(media->slots, &before);
    const int result = loan_picture(media, playing, &loan);
    if (result == -EINTR)
        return;
    if (result == 0) {
        shmframe_decoder_slots_counters(media->slots, &after);
        media->position_ns = find_position_ns(media, DEMUX_PICTURES);
        finish_loan(media, playing, &loan, after.copied > before.copied);
    }
    demux_item_finish(&playing->item);
}

/* Samples of the next block: a frame is cut into equal parts that fit. */
static int count_samples(const struct playing *playing) {
    const int max = (int)shmframe_writer_format(playing->stream->writer)->audio.samples_max;
    const int left = playing->item.frame->nb_samples - playing->sample;
    const int parts = (left + max - 1) / max;
    return (left + parts - 1) / parts;
}

/* Copies `count` samples from the next one on into the loan. */
static int copy_samples(const struct playing *playing, int count, struct shmframe_loan *loan) {
    AVFrame *part = av_frame_clone(playing->item.frame);
    if (!part)
        program_fail("no memory for a block of sound");
    const bool is_planar = av_sample_fmt_is_planar(part->format);
    const int planes = is_planar ? part->ch_layout.nb_channels : 1;
    const size_t sample_bytes = (size_t)av_get_bytes_per_sample(part->format) *
                                (size_t)(is_planar ? 1 : part->ch_layout.nb_channels);
    for (int i = 0; i < planes; i++)
        part->extended_data[i] += (size_t)playing->sample * sample_bytes;
    part->nb_samples = count;
    const int result = shmframe_loan_copy_avframe(loan, part);
    const AVRational rate = {1, part->sample_rate};
    const struct shmframe_rational unit = loan->format->time_base;
    const AVRational to = {unit.num, unit.den};
    loan->frame.pts += av_rescale_q(playing->sample, rate, to);
    loan->frame.duration = av_rescale_q(count, rate, to);
    av_frame_free(&part);
    return result;
}

static void publish_sound(struct media *media, struct playing *playing) {
    if (playing->item.format)
        change_format(playing);
    const uint32_t pass = media->pass;
    const int count = count_samples(playing);
    struct shmframe_loan loan;
    const int result = producer_loan(&media->producer, playing->stream, &loan);
    if (result == -EINTR)
        return;
    if (pass != media->pass) { /* a seek took the frame away */
        if (result == 0)
            shmframe_writer_abandon(playing->stream->writer, &loan);
        return;
    }
    if (result == 0) {
        if (copy_samples(playing, count, &loan) < 0)
            program_fail_call(playing->stream->name);
        if (!media->playing[DEMUX_PICTURES].stream)
            media->position_ns = find_position_ns(media, DEMUX_SOUND);
        finish_loan(media, playing, &loan, true);
    }
    playing->sample += count;
    if (playing->sample >= playing->item.frame->nb_samples) {
        playing->sample = 0;
        demux_item_finish(&playing->item);
    }
}

/* Running. */

/* Returns whether there is more to come. */
static bool end_pass(struct media *media) {
    if (!demux_has_next_pass(&media->demux, media->pass))
        return false;
    media->pass++;
    media->has_base = false;
    return true;
}

static bool is_all_over(const struct media *media) {
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (media->playing[i].head != DEMUX_END)
            return false;
    return true;
}

static void run_media(struct media *media) {
    const int64_t end_ns = producer_options.duration_ns ? producer_options.duration_ns : INT64_MAX;
    while (!producer_has_enough(&media->producer)) {
        if (!look_ahead(media)) {
            if (producer_wait_for(&media->producer, media->demux.ready_fd, SHMFRAME_FOREVER) ==
                PRODUCER_STOP)
                return;
            continue;
        }
        if (is_all_over(media)) {
            if (!end_pass(media))
                return;
            continue;
        }
        if (!media->has_base)
            begin_pass(media);
        const int chosen = choose_track(media);
        if (chosen < 0) { /* one track is over, the other's next frame is far */
            if (producer_wait_for(&media->producer, media->demux.ready_fd, SHMFRAME_FOREVER) ==
                PRODUCER_STOP)
                return;
            continue;
        }
        struct playing *playing = &media->playing[chosen];
        if (playing->due_ns >= end_ns)
            return;
        const enum producer_wait wait = producer_wait_until(&media->producer, playing->due_ns);
        if (wait == PRODUCER_STOP)
            return;
        if (wait != PRODUCER_DUE)
            continue;
        forgive_lateness(media, playing);
        if (chosen == DEMUX_PICTURES)
            publish_picture(media, playing);
        else
            publish_sound(media, playing);
    }
}

/* Opening. */

static bool open_pictures(struct media *media) {
    struct track *track = &media->demux.track[DEMUX_PICTURES];
    /* The frames that are decoded ahead, and the one that is being published. */
    const uint32_t loans = track_loans(track) + DEMUX_PICTURES_AHEAD + 1;
    struct shmframe_writer_params params = {
        .stream = producer_options.stream,
        .group = producer_options.group,
        .format = track->format,
        .flags = SHMFRAME_WRITER_THREADED,
        .loans = loans < LOANS_MAX ? loans : LOANS_MAX,
    };
    const uint64_t bytes = (params.loans + SLOTS_BESIDE) * track->format.slot_bytes;
    if (bytes > UINT64_C(1) << 30)
        params.ring_bytes = bytes;
    struct playing *playing = &media->playing[DEMUX_PICTURES];
    playing->stream = producer_add(&media->producer, &params);
    if (!playing->stream)
        return false;
    if (shmframe_decoder_slots_open(playing->stream->writer, track->codec, &media->slots) < 0)
        program_fail_call(producer_options.stream);
    return true;
}

static bool open_sound(struct media *media) {
    const struct shmframe_writer_params params = {
        .stream = media->sound_name,
        .group = producer_options.group,
        .format = media->demux.track[DEMUX_SOUND].format,
    };
    struct playing *playing = &media->playing[DEMUX_SOUND];
    playing->stream = producer_add(&media->producer, &params);
    if (!playing->stream)
        return false;
    playing->stream->copied_why = "sound is cut into blocks from what the decoder puts out";
    return true;
}

static bool open_streams(struct media *media) {
    const bool *has_track = media->demux.has_track;
    return (!has_track[DEMUX_PICTURES] || open_pictures(media)) &&
           (!has_track[DEMUX_SOUND] || open_sound(media));
}

/* The end. */

static void explain_copies(struct media *media) {
    struct producer_stream *stream = media->playing[DEMUX_PICTURES].stream;
    struct shmframe_decoder_counters counters;
    if (!stream || !media->slots)
        return;
    shmframe_decoder_slots_counters(media->slots, &counters);
    const struct {
        uint64_t count;
        const char *why;
    } causes[] = {
        {counters.copied_no_slot, "no slot was free"},
        {counters.copied_geometry, "size or lines differ from the ring's"},
        {counters.copied_codec, "the decoder takes no buffers from outside"},
        {counters.copied_repeated, "the decoder showed a picture again"},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
        if (causes[i].count && used < sizeof(media->copied_why))
            used += (size_t)snprintf(media->copied_why + used, sizeof(media->copied_why) - used,
                                     "%s%" PRIu64 ": %s", used ? ", " : "", causes[i].count,
                                     causes[i].why);
    stream->copied_why = media->copied_why;
}

/* The thread may wait in a loan for a lossless reader, and the decoder holds slots: both end before
 * the streams do. */
static int finish_media(struct media *media) {
    shmframe_session_interrupt(media->producer.session);
    demux_stop(&media->demux);
    for (int i = 0; i < DEMUX_TRACKS; i++)
        demux_item_finish(&media->playing[i].item);
    explain_copies(media);
    shmframe_decoder_slots_close(media->slots);
    const int exit_code = producer_finish(&media->producer);
    const bool is_bad = demux_report(&media->demux);
    demux_close(&media->demux);
    return is_bad ? EXIT_FAILED : exit_code;
}

/* --list. */

static json_t *describe_track(const struct demux *demux, int kind) {
    char text[128];
    const struct track *track = &demux->track[kind];
    shmframe_format_describe(&track->format, text, sizeof(text));
    return json_pack("{s:i, s:s, s:s, s:s}", "track", track->stream->index, "kind",
                     kind == DEMUX_PICTURES ? "pictures" : "sound", "codec",
                     avcodec_get_name(track->codec->codec_id), "format", text);
}

static int list_tracks(struct demux *demux) {
    json_t *tracks = json_array();
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (demux->has_track[i])
            json_array_append_new(tracks, describe_track(demux, i));
    if (report_format_parse(producer_options.format) == REPORT_JSON) {
        report_print_json(json_pack("{s:f, s:o}", "seconds",
                                    (double)demux_length_ns(demux) / SECOND_NS, "tracks", tracks));
    } else {
        size_t i;
        json_t *track;
        json_array_foreach(tracks, i, track) printf(
            "track %d: %s, %s, %s\n", (int)json_integer_value(json_object_get(track, "track")),
            json_string_value(json_object_get(track, "kind")),
            json_string_value(json_object_get(track, "codec")),
            json_string_value(json_object_get(track, "format")));
        json_decref(tracks);
    }
    demux_stop(demux);
    const bool is_bad = demux_report(demux);
    demux_close(demux);
    return is_bad ? EXIT_FAILED : EXIT_DONE;
}

int main(int argc, char **argv) {
    static struct media media = {.pass = 1};
    producer_options.stream = "media";
    const int operand = program_start(&program, argc, argv);
    producer_check_options();
    if (operand + 1 != argc)
        program_fail_usage("one FILE or URL is needed");
    if ((size_t)snprintf(media.sound_name, sizeof(media.sound_name), "%s.sound",
                         producer_options.stream) >= SHMFRAME_NAME_BYTES)
        program_fail_usage("--stream: with \".sound\" behind it, the name is too long");
    demux_open(&media.demux, argv[operand], options.start_ns);
    media.demux.is_looping = options.is_looping;
    if (options.is_looping && !demux_can_seek(&media.demux))
        program_fail("--loop: %s cannot be played again from its beginning", argv[operand]);
    if (producer_options.is_listing)
        return list_tracks(&media.demux);

    producer_open(&media.producer, verbs, &media);
    media.producer.is_unpaced = options.is_unpaced;
    if (open_streams(&media)) {
        demux_start(&media.demux);
        if (producer_start(&media.producer))
            run_media(&media);
    }
    return finish_media(&media);
}
