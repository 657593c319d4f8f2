#include "selection.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *selection_name_kind(bool is_sound) {
    return is_sound ? "sound" : "picture";
}

static const char *name_type(const AVStream *stream) {
    switch (stream->codecpar->codec_type) {
    case AVMEDIA_TYPE_VIDEO:
        return stream->disposition & AV_DISPOSITION_ATTACHED_PIC ? "cover" : "pictures";
    case AVMEDIA_TYPE_AUDIO:
        return "sound";
    case AVMEDIA_TYPE_SUBTITLE:
        return "subtitles";
    case AVMEDIA_TYPE_ATTACHMENT:
        return "attachment";
    case AVMEDIA_TYPE_DATA:
    case AVMEDIA_TYPE_UNKNOWN:
    case AVMEDIA_TYPE_NB:
        break;
    }
    return "data";
}

static void name_codec(const AVStream *stream, char out_name[64]) {
    const AVCodecParameters *codec = stream->codecpar;
    char tag[AV_FOURCC_MAX_STRING_SIZE];
    snprintf(out_name, 64, "%s",
             codec->codec_id != AV_CODEC_ID_NONE ? avcodec_get_name(codec->codec_id)
                                                 : av_fourcc_make_string(tag, codec->codec_tag));
}

static bool is_sound(const AVStream *stream) {
    return stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
}

static bool is_picture(const AVStream *stream) {
    return stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
}

/* Why the track cannot be a stream. Returns whether it can. */
static bool can_play(const AVStream *stream, char why[128]) {
    char codec[64];
    if (!is_sound(stream) && !is_picture(stream)) {
        snprintf(why, 128, "neither pictures nor sound");
    } else if (!avcodec_find_decoder(stream->codecpar->codec_id)) {
        name_codec(stream, codec);
        snprintf(why, 128, "this FFmpeg has no decoder for its %s, %s",
                 selection_name_kind(is_sound(stream)), codec);
    } else {
        return true;
    }
    return false;
}

static void add_why(struct selection *selection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_why(struct selection *selection, const char *format, ...) {
    const size_t used = strlen(selection->why);
    va_list arguments;
    va_start(arguments, format);
    const char *between = used ? "; " : "";
    snprintf(selection->why + used, sizeof(selection->why) - used, "%s", between);
    vsnprintf(selection->why + strlen(selection->why),
              sizeof(selection->why) - strlen(selection->why), format, arguments);
    va_end(arguments);
}

/* Behind those of its kind: pictures come before sound. */
static void add(AVFormatContext *input, struct selection *selection, unsigned number) {
    uint32_t place = selection->count;
    for (uint32_t i = 0; i < selection->count; i++)
        if (selection->stream[i] == number)
            return;
    if (place == SELECTION_TRACKS_MAX) {
        if (!strstr(selection->why, "tracks at once"))
            add_why(selection, "%d tracks at once are the most", SELECTION_TRACKS_MAX);
        return;
    }
    while (!is_sound(input->streams[number]) && place > 0 &&
           is_sound(input->streams[selection->stream[place - 1]]))
        place--;
    memmove(&selection->stream[place + 1], &selection->stream[place],
            (selection->count - place) * sizeof(selection->stream[0]));
    selection->stream[place] = number;
    selection->count++;
}

/* Where the best one has no decoder, av_find_best_stream() has found the others without one too. */
static void choose_best(AVFormatContext *input, struct selection *selection) {
    static const enum AVMediaType types[] = {AVMEDIA_TYPE_VIDEO, AVMEDIA_TYPE_AUDIO};
    char why[128];
    for (int i = 0; i < 2; i++) {
        const AVCodec *codec;
        const int found = av_find_best_stream(input, types[i], -1, -1, &codec, 0);
        const bool is_cover =
            found >= 0 && (input->streams[found]->disposition & AV_DISPOSITION_ATTACHED_PIC);
        if (found >= 0 && (!is_cover || input->nb_streams == 1))
            add(input, selection, (unsigned)found);
        for (unsigned number = 0; found == AVERROR_DECODER_NOT_FOUND && number < input->nb_streams;
             number++) {
            if (input->streams[number]->codecpar->codec_type != types[i])
                continue;
            if (!can_play(input->streams[number], why))
                add_why(selection, "%s", why);
            break;
        }
    }
}

static void choose_all(AVFormatContext *input, struct selection *selection) {
    char why[128];
    for (unsigned i = 0; i < input->nb_streams; i++) {
        const AVStream *stream = input->streams[i];
        if (can_play(stream, why) && !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC))
            add(input, selection, i);
        else if (is_sound(stream) || is_picture(stream))
            add_why(selection, "track %u: %s", i, can_play(stream, why) ? "a cover" : why);
    }
}

static int explain_missing(const AVFormatContext *input, const char *wanted,
                           struct selection *selection) {
    selection->why[0] = 0;
    add_why(selection, "there is no track \"%s\"; there are", wanted);
    for (unsigned i = 0; i < input->nb_streams; i++) {
        const size_t used = strlen(selection->why);
        snprintf(selection->why + used, sizeof(selection->why) - used, "%s %u (%s)", i ? "," : "",
                 i, name_type(input->streams[i]));
    }
    return -ENOENT;
}

static int choose_wanted(AVFormatContext *input, const char *wanted, struct selection *selection) {
    char why[128];
    bool is_found = false;
    for (unsigned i = 0; i < input->nb_streams; i++) {
        const int match = avformat_match_stream_specifier(input, input->streams[i], wanted);
        if (match < 0)
            break;
        if (!match)
            continue;
        if (!can_play(input->streams[i], why)) {
            selection->why[0] = 0;
            add_why(selection, "track %u (%s) cannot be a stream: %s", i,
                    name_type(input->streams[i]), why);
            return -ENOENT;
        }
        add(input, selection, i);
        is_found = true;
    }
    return is_found ? 0 : explain_missing(input, wanted, selection);
}

int selection_choose(AVFormatContext *input, const struct option_list *wanted,
                     struct selection *out_selection) {
    *out_selection = (struct selection){0};
    if (!wanted->count)
        choose_best(input, out_selection);
    for (uint32_t i = 0; i < wanted->count; i++) {
        int result = 0;
        if (!strcmp(wanted->text[i], "all"))
            choose_all(input, out_selection);
        else
            result = choose_wanted(input, wanted->text[i], out_selection);
        if (result < 0)
            return result;
    }
    if (out_selection->count)
        return 0;
    if (!out_selection->why[0])
        add_why(out_selection, "neither pictures nor sound in it");
    return -ENOENT;
}

bool selection_name_stream(const char *base, bool is_sound_track, uint32_t ordinal,
                           char out_name[SHMFRAME_NAME_BYTES]) {
    const char *kind = is_sound_track ? ".sound" : "";
    const int length =
        ordinal ? snprintf(out_name, SHMFRAME_NAME_BYTES, "%s%s.%u", base, kind, ordinal + 1)
                : snprintf(out_name, SHMFRAME_NAME_BYTES, "%s%s", base, kind);
    return length < SHMFRAME_NAME_BYTES;
}

json_t *selection_list(const AVFormatContext *input) {
    json_t *tracks = json_array();
    for (unsigned i = 0; i < input->nb_streams; i++) {
        const AVStream *stream = input->streams[i];
        char codec[64], why[128];
        name_codec(stream, codec);
        json_t *track = json_pack("{s:i, s:s, s:s}", "track", (int)i, "kind", name_type(stream),
                                  "codec", codec);
        static const char *const tags[] = {"language", "title"};
        for (int tag = 0; tag < 2; tag++) {
            const AVDictionaryEntry *entry = av_dict_get(stream->metadata, tags[tag], NULL, 0);
            if (entry) /* NULL where it is no UTF-8: left out then */
                json_object_set_new(track, tags[tag], json_string(entry->value));
        }
        if (!can_play(stream, why))
            json_object_set_new(track, "why", json_string(why));
        json_array_append_new(tracks, track);
    }
    return tracks;
}
