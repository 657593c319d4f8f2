/* Demux: the file. */
#include "demux_input.h"

#include "program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

/* How much earlier to look for a key picture in files without an index. */
#define EARLY_NS (2 * SECOND_NS)

enum { PROBE_PACKETS_MAX = 5000 };

const char *const demux_kinds[DEMUX_TRACKS] = {"picture", "sound"};

/* FFmpeg's own words, for what its error codes do not tell ("moov atom not found"). */

static struct {
    pthread_mutex_t mutex;
    char text[128];
} last_words = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void keep_words(void *who, int level, const char *format, va_list arguments) {
    (void)who;
    if (level > AV_LOG_ERROR)
        return;
    pthread_mutex_lock(&last_words.mutex);
    vsnprintf(last_words.text, sizeof(last_words.text), format, arguments);
    last_words.text[strcspn(last_words.text, "\r\n")] = 0;
    pthread_mutex_unlock(&last_words.mutex);
}

/* Opening. */

/* What the user can do about it. */
static const char *find_remedy(int av_result) {
    switch (av_result) {
    case AVERROR(ENOENT):
        return "check the path";
    case AVERROR(EACCES):
        return "let this user read it";
    case AVERROR(EISDIR):
        return "name a file in it";
    case AVERROR_PROTOCOL_NOT_FOUND:
        return "see `ffmpeg -protocols`; a file with a colon in its name needs ./ before it";
    case AVERROR_INVALIDDATA:
    case AVERROR_EOF:
        return "is it a media file? ffprobe tells more";
    default:
        return "ffprobe tells more";
    }
}

_Noreturn static void fail_input(const struct demux *demux, const char *what, int av_result) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    const char *remedy = find_remedy(av_result);
    av_make_error_string(text, sizeof(text), av_result);
    /* Only what is said of broken contents helps; the rest repeats the code. */
    if (av_result == AVERROR_INVALIDDATA && last_words.text[0])
        program_fail("cannot %s %s: %s (%s); %s", what, demux->url, text, last_words.text, remedy);
    program_fail("cannot %s %s: %s; %s", what, demux->url, text, remedy);
}

static int is_interrupted(void *user) {
    return program_is_stopping() || demux_is_stopping(user);
}

static void open_input(struct demux *demux) {
    demux->input = avformat_alloc_context();
    if (!demux->input)
        program_fail("no memory to open %s", demux->url);
    demux->input->interrupt_callback = (AVIOInterruptCB){is_interrupted, demux};
    int result = avformat_open_input(&demux->input, demux->url, NULL, NULL);
    if (result < 0)
        fail_input(demux, "open", result);
    result = avformat_find_stream_info(demux->input, NULL);
    if (result < 0)
        fail_input(demux, "read", result);
}

static bool is_cover(const AVStream *stream) {
    return stream->disposition & AV_DISPOSITION_ATTACHED_PIC;
}

static void name_missing_decoder(struct demux *demux, int kind, enum AVMediaType type, char *why,
                                 size_t why_bytes) {
    char tag[AV_FOURCC_MAX_STRING_SIZE];
    const AVCodecParameters *codec = NULL;
    for (unsigned i = demux->input->nb_streams; i-- > 0;)
        if (demux->input->streams[i]->codecpar->codec_type == type)
            codec = demux->input->streams[i]->codecpar;
    if (codec)
        snprintf(why, why_bytes, "this FFmpeg has no decoder for its %s, %s", demux_kinds[kind],
                 codec->codec_id != AV_CODEC_ID_NONE
                     ? avcodec_get_name(codec->codec_id)
                     : av_fourcc_make_string(tag, codec->codec_tag));
}

/* Opens the best track of a kind. Returns whether there is one; `why` says what is wrong with it.
 */
static bool open_track(struct demux *demux, int kind, char *why, size_t why_bytes) {
    const enum AVMediaType type = kind == DEMUX_PICTURES ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
    const AVCodec *codec = NULL;
    const int found = av_find_best_stream(demux->input, type, -1, -1, &codec, 0);
    if (found == AVERROR_DECODER_NOT_FOUND)
        name_missing_decoder(demux, kind, type, why, why_bytes);
    if (found < 0 || (is_cover(demux->input->streams[found]) && demux->input->nb_streams > 1))
        return false;
    struct track *track = &demux->track[kind];
    if (track_open(track, demux->input->streams[found], codec) < 0) {
        snprintf(why, why_bytes, "%s: %.200s", demux_kinds[kind], track->why);
        track_close(track);
        return false;
    }
    return true;
}

static void drop_track(struct demux *demux, int kind, char *why, size_t why_bytes) {
    struct track *track = &demux->track[kind];
    snprintf(why, why_bytes, "%s: %.200s", demux_kinds[kind], track->why);
    track->stream->discard = AVDISCARD_ALL;
    track_close(track);
    demux->has_track[kind] = false;
}

static bool is_all_known(const struct demux *demux) {
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (demux->has_track[i] && !demux->track[i].is_known)
            return false;
    return true;
}

struct track *demux_input_find_track(struct demux *demux, const AVPacket *packet) {
    for (int i = 0; i < DEMUX_TRACKS; i++)
        if (demux->has_track[i] && demux->track[i].stream->index == packet->stream_index)
            return &demux->track[i];
    return NULL;
}

/* Reads on until each track has shown what its frames are; tracks that do not are left out. */
static void probe_tracks(struct demux *demux, char *why, size_t why_bytes) {
    AVPacket *packet = av_packet_alloc();
    if (!packet)
        program_fail("no memory to read %s", demux->url);
    bool is_end = false;
    for (int packets = 0; !is_end && !is_all_known(demux); packets++) {
        is_end = packets >= PROBE_PACKETS_MAX || av_read_frame(demux->input, packet) < 0;
        for (int i = 0; i < DEMUX_TRACKS; i++) {
            struct track *track = &demux->track[i];
            const bool is_its =
                !is_end && demux->has_track[i] && demux_input_find_track(demux, packet) == track;
            if (demux->has_track[i] && (is_end || is_its) &&
                track_probe(track, demux->input, is_end ? NULL : packet) < 0)
                drop_track(demux, i, why, why_bytes);
        }
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
}

/* An index that points behind the end tells a truncated file before it is played. */
static void check_length(struct demux *demux) {
    const int64_t bytes = demux->input->pb ? avio_size(demux->input->pb) : -1;
    for (int i = 0; bytes > 0 && i < DEMUX_TRACKS; i++) {
        AVStream *stream = demux->has_track[i] ? demux->track[i].stream : NULL;
        const int entries = stream ? avformat_index_get_entries_count(stream) : 0;
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
    AVFormatContext *input = demux->input;
    const int64_t begin = input->start_time == AV_NOPTS_VALUE ? 0 : input->start_time;
    /* Without an index one may come down between key pictures: begin early, what is decoded from
     * before the position is dropped. */
    if (demux->has_track[DEMUX_PICTURES] &&
        !avformat_index_get_entries_count(demux->track[DEMUX_PICTURES].stream))
        position_ns = position_ns > EARLY_NS ? position_ns - EARLY_NS : 0;
    const int64_t target = begin + position_ns / 1000;
    int result = avformat_seek_file(input, -1, INT64_MIN, target, target, 0);
    if (result < 0) /* nothing to come down on before it: then what follows */
        result = avformat_seek_file(input, -1, INT64_MIN, target, INT64_MAX, 0);
    if (result < 0 && position_ns <= 0)
        result = av_seek_frame(input, -1, 0, AVSEEK_FLAG_BYTE);
    return result;
}

void demux_input_open(struct demux *demux, int64_t start_ns) {
    char why[TRACK_WHY_BYTES + 64] = "", text[AV_ERROR_MAX_STRING_SIZE];
    av_log_set_callback(keep_words);
    avformat_network_init();
    open_input(demux);
    for (int i = 0; i < DEMUX_TRACKS; i++)
        demux->has_track[i] = open_track(demux, i, why, sizeof(why));
    for (unsigned i = 0; i < demux->input->nb_streams; i++) {
        const AVPacket any = {.stream_index = (int)i};
        if (!demux_input_find_track(demux, &any))
            demux->input->streams[i]->discard = AVDISCARD_ALL;
    }
    const int64_t length_ns = demux_length_ns(demux);
    if (length_ns && start_ns >= length_ns)
        program_fail("--start: %.1f s is behind the end of %s, %.1f s",
                     (double)start_ns / SECOND_NS, demux->url, (double)length_ns / SECOND_NS);
    if (start_ns > 0) {
        const int result = demux_input_seek(demux, start_ns);
        if (result < 0)
            program_fail("--start: cannot go to a position in %s: %s", demux->url,
                         av_make_error_string(text, sizeof(text), result));
    }
    probe_tracks(demux, why, sizeof(why));
    if (!demux->has_track[DEMUX_PICTURES] && !demux->has_track[DEMUX_SOUND])
        program_fail("%s has no track that can be played: %s", demux->url,
                     why[0] ? why : "neither pictures nor sound in it");
    if (why[0])
        program_warn("%s is played in part: %s", demux->url, why);
    for (int i = 0; start_ns > 0 && i < DEMUX_TRACKS; i++)
        if (demux->has_track[i])
            track_begin_at(&demux->track[i], demux->input, start_ns);
    check_length(demux);
}

/* What is known of the file. */

int64_t demux_input_claimed_ns(const struct demux *demux) {
    int64_t claimed_ns = 0;
    unsigned tracks = 0;
    for (int i = 0; i < DEMUX_TRACKS; i++) {
        if (!demux->has_track[i])
            continue;
        const AVStream *stream = demux->track[i].stream;
        const int64_t ns =
            stream->duration == AV_NOPTS_VALUE
                ? 0
                : av_rescale_q(stream->duration, stream->time_base, (AVRational){1, SECOND_NS});
        claimed_ns = ns > claimed_ns ? ns : claimed_ns;
        tracks++;
    }
    if (demux->input->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE)
        return 0;
    if (!claimed_ns && tracks == demux->input->nb_streams && demux->input->duration > 0)
        claimed_ns = demux->input->duration * 1000;
    return claimed_ns;
}

bool demux_can_seek(const struct demux *demux) {
    const AVFormatContext *input = demux->input;
    return !(input->ctx_flags & AVFMTCTX_UNSEEKABLE) &&
           (!input->pb || (input->pb->seekable & AVIO_SEEKABLE_NORMAL));
}

int64_t demux_length_ns(const struct demux *demux) {
    return demux->input->duration > 0 ? demux->input->duration * 1000 : 0;
}

int64_t demux_position_ns(const struct demux *demux, int kind, int64_t pts) {
    return track_position_ns(&demux->track[kind], demux->input, pts);
}
