/* Demux: the input. */
#include "demux_input.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/parseutils.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

/* How much earlier to look for a key picture in files without an index. */
#define EARLY_NS (2 * SECOND_NS)
/* A track of a live input that sends nothing for so long is left out. */
#define LIVE_PROBE_NS (5 * SECOND_NS)

/* What is read in search of a track that begins late is kept, and no frame is shown meanwhile. */
enum { PROBE_PACKETS_MAX = 5000 };
#define PROBE_BYTES_MAX ((size_t)32 << 20)

/* Tracks. */

struct track *demux_input_find_track(struct demux *demux, const AVPacket *packet) {
    for (uint32_t i = 0; i < demux->tracks; i++)
        if (demux->track[i].stream->index == packet->stream_index)
            return &demux->track[i];
    return NULL;
}

static void add_why(const struct track *track, char *why, size_t why_bytes) {
    const bool is_sound = track->stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    snprintf(why, why_bytes, "%s: %.200s", selection_name_kind(is_sound), track->why);
}

static void open_tracks(struct demux *demux, const struct selection *selection, char *why,
                        size_t why_bytes) {
    for (uint32_t i = 0; i < selection->count; i++) {
        AVStream *stream = demux->input->context->streams[selection->stream[i]];
        struct track *track = &demux->track[demux->tracks];
        if (track_open(track, stream, avcodec_find_decoder(stream->codecpar->codec_id)) == 0) {
            /* Threads that each decode a frame put out each one later by their number. */
            if (demux->input->is_live)
                track->codec->thread_type = FF_THREAD_SLICE;
            demux->tracks++;
            continue;
        }
        add_why(track, why, why_bytes);
        track_close(track);
    }
    for (unsigned i = 0; i < demux->input->context->nb_streams; i++) {
        const AVPacket any = {.stream_index = (int)i};
        if (!demux_input_find_track(demux, &any))
            demux->input->context->streams[i]->discard = AVDISCARD_ALL;
    }
}

void demux_drop_track(struct demux *demux, uint32_t number) {
    struct track *track = &demux->track[number];
    AVFifo **items = &demux->items[number];
    track->stream->discard = AVDISCARD_ALL;
    track_close(track);
    timeline_drop(&demux->timeline, (int)number);
    av_fifo_freep2(items);
    demux->tracks--;
    memmove(track, track + 1, (demux->tracks - number) * sizeof(*track));
    memmove(items, items + 1, (demux->tracks - number) * sizeof(AVFifo *));
    demux->items[demux->tracks] = NULL;
}

static bool is_all_known(const struct demux *demux) {
    for (uint32_t i = 0; i < demux->tracks; i++)
        if (!demux->track[i].is_known)
            return false;
    return true;
}

/* Gives a packet (NULL: there are no more) to the tracks; those that turn out not to be playable
 * are left out. */
static void probe_packet(struct demux *demux, AVPacket *packet, char *why, size_t why_bytes) {
    struct track *its = packet ? demux_input_find_track(demux, packet) : NULL;
    if (its)
        timeline_add(&demux->timeline, (int)(its - demux->track), packet, its->stream->time_base,
                     shmframe_now_ns());
    for (uint32_t i = demux->tracks; i-- > 0;)
        if ((!packet || its == &demux->track[i]) &&
            track_probe(&demux->track[i], demux->input->context, packet) < 0) {
            add_why(&demux->track[i], why, why_bytes);
            demux_drop_track(demux, i);
        }
}

static size_t count_probed_bytes(const struct demux *demux) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < demux->tracks; i++)
        bytes += demux->track[i].packet_bytes;
    return bytes;
}

static void assume_formats(struct demux *demux) {
    for (uint32_t i = 0; i < demux->tracks; i++)
        if (!demux->track[i].is_known)
            track_assume_sound(&demux->track[i], demux->input->context);
}

/* Reads on until each track has shown what its frames are; tracks that do not are left out. */
static int probe_tracks(struct demux *demux, char *why, size_t why_bytes) {
    AVPacket *packet = av_packet_alloc();
    const int64_t end_ns =
        demux->input->is_live ? shmframe_deadline_ns(LIVE_PROBE_NS) : SHMFRAME_FOREVER;
    bool is_end = !packet;
    for (int packets = 0; !is_end && !is_all_known(demux); packets++) {
        const bool is_enough =
            packets >= PROBE_PACKETS_MAX || count_probed_bytes(demux) > PROBE_BYTES_MAX;
        if (is_enough && !demux->input->is_live)
            assume_formats(demux);
        input_expect(demux->input);
        is_end = is_enough || shmframe_now_ns() > end_ns ||
                 av_read_frame(demux->input->context, packet) < 0;
        probe_packet(demux, is_end ? NULL : packet, why, why_bytes);
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return program_is_stopping() || input_is_stopping(demux->input) ? -EINTR : 0;
}

/* An index that points behind the end tells a truncated file before it is played. */
static void check_length(struct demux *demux) {
    const int64_t bytes = demux->input->context->pb ? avio_size(demux->input->context->pb) : -1;
    for (uint32_t i = 0; bytes > 0 && i < demux->tracks; i++) {
        AVStream *stream = demux->track[i].stream;
        const int entries = avformat_index_get_entries_count(stream);
        for (int entry = entries - 1; entry >= 0; entry--) {
            const AVIndexEntry *at = avformat_index_get_entry(stream, entry);
            if (at->pos + at->size > bytes) {
                snprintf(demux->why, sizeof(demux->why),
                         "truncated: its index goes to byte %" PRId64 ", it has %" PRId64,
                         at->pos + at->size, bytes);
                return;
            }
        }
    }
}

int demux_input_seek(struct demux *demux, int64_t position_ns) {
    AVFormatContext *input = demux->input->context;
    const int64_t begin = input->start_time == AV_NOPTS_VALUE ? 0 : input->start_time;
    /* Without an index one may come down between key pictures: begin early, what is decoded from
     * before the position is dropped. */
    if (!demux_is_sound(demux, 0) && !avformat_index_get_entries_count(demux->track[0].stream))
        position_ns = position_ns > EARLY_NS ? position_ns - EARLY_NS : 0;
    const int64_t target = begin + position_ns / 1000;
    input_expect_anew(demux->input);
    int result = avformat_seek_file(input, -1, INT64_MIN, target, target, 0);
    if (result < 0) /* nothing to come down on before it: then what follows */
        result = avformat_seek_file(input, -1, INT64_MIN, target, INT64_MAX, 0);
    if (result < 0 && position_ns <= 0)
        result = av_seek_frame(input, -1, 0, AVSEEK_FLAG_BYTE);
    return result;
}

static int fail(struct demux *demux, const char *what, const char *detail) {
    snprintf(demux->why, sizeof(demux->why), "%.300s %s%s", demux->input->url, what, detail);
    return -EINVAL;
}

/* Goes where it is to begin. */
static int go_to_start(struct demux *demux) {
    const int64_t start_ns = demux->params.start_ns, length_ns = demux_length_ns(demux);
    char text[AV_ERROR_MAX_STRING_SIZE];
    if (start_ns <= 0)
        return 0;
    if (!input_can_seek(demux->input))
        return fail(demux, "has no positions to go to: --start is not for it", "");
    if (length_ns && start_ns >= length_ns) {
        snprintf(demux->why, sizeof(demux->why), "--start: %.1f s is behind the end of %s, %.1f s",
                 (double)start_ns / SECOND_NS, demux->input->url, (double)length_ns / SECOND_NS);
        return -EINVAL;
    }
    const int result = demux_input_seek(demux, start_ns);
    if (result < 0)
        return fail(demux, "does not go to the position of --start: ",
                    av_make_error_string(text, sizeof(text), result));
    return 0;
}

static int choose_tracks(struct demux *demux, char *why, size_t why_bytes) {
    struct selection selection;
    const int result = selection_choose(demux->input->context, demux->params.tracks, &selection);
    if (result < 0 && demux->params.tracks->count)
        return fail(demux, "--track: ", selection.why);
    if (result < 0)
        return fail(demux, "has no track that can be played: ", selection.why);
    snprintf(why, why_bytes, "%s", selection.why);
    open_tracks(demux, &selection, why, why_bytes);
    return 0;
}

int demux_input_open(struct demux *demux) {
    char why[SELECTION_WHY_BYTES] = "";
    int result = input_open(demux->input);
    if (result < 0) {
        snprintf(demux->why, sizeof(demux->why), "%s", demux->input->why);
        return result;
    }
    timeline_reset(&demux->timeline, demux->params.is_mending);
    result = choose_tracks(demux, why, sizeof(why));
    if (result == 0)
        result = go_to_start(demux);
    if (result == 0)
        result = probe_tracks(demux, why, sizeof(why));
    if (result < 0)
        return result;
    if (!demux->tracks)
        return fail(demux, "has no track that can be played: ", why);
    if (why[0])
        program_warn("%s is played in part: %s", demux->input->url, why);
    for (uint32_t i = 0; demux->params.start_ns > 0 && i < demux->tracks; i++)
        track_begin_at(&demux->track[i], demux->input->context, demux->params.start_ns);
    check_length(demux);
    return 0;
}

/* What is known of the file. */

/* Matroska tells it by a tag. */
static int64_t find_length_ns(const AVStream *stream) {
    const AVDictionaryEntry *tag = av_dict_get(stream->metadata, "DURATION", NULL, 0);
    int64_t us;
    if (stream->duration != AV_NOPTS_VALUE)
        return av_rescale_q(stream->duration, stream->time_base, (AVRational){1, SECOND_NS});
    return tag && av_parse_time(&us, tag->value, true) >= 0 && us < INT64_MAX / 1000 ? us * 1000
                                                                                     : 0;
}

int64_t demux_input_claimed_ns(const struct demux *demux) {
    int64_t claimed_ns = 0;
    for (uint32_t i = 0; i < demux->tracks; i++) {
        const int64_t ns = find_length_ns(demux->track[i].stream);
        claimed_ns = ns > claimed_ns ? ns : claimed_ns;
    }
    if (demux->input->context->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE)
        return 0;
    if (!claimed_ns && demux->tracks == demux->input->context->nb_streams &&
        demux->input->context->duration > 0)
        claimed_ns = demux->input->context->duration * 1000;
    return claimed_ns;
}

int64_t demux_length_ns(const struct demux *demux) {
    return demux->input->context->duration > 0 ? demux->input->context->duration * 1000 : 0;
}

int64_t demux_position_ns(const struct demux *demux, uint32_t track, int64_t pts) {
    return track_position_ns(&demux->track[track], demux->input->context, pts);
}
