#include "codec.h"

#include "fault.h"
#include "near.h"

#include <errno.h>
#include <libavutil/avstring.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>

/* --- What an encoder takes -------------------------------------------------------------------- */

/* FFmpeg 7.1 asks for lists by a function. */
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
static const void *find_list(const AVCodec *codec, enum AVCodecConfig config) {
    const void *list = NULL;
    avcodec_get_supported_config(NULL, codec, config, 0, &list, NULL);
    return list;
}
#define FIND_LIST(codec, config, member) find_list(codec, config)
#else
#define FIND_LIST(codec, config, member) ((codec)->member)
#endif

const enum AVPixelFormat *codec_pixel_formats(const AVCodec *codec) {
    return FIND_LIST(codec, AV_CODEC_CONFIG_PIX_FORMAT, pix_fmts);
}

const enum AVSampleFormat *codec_sample_formats(const AVCodec *codec) {
    return FIND_LIST(codec, AV_CODEC_CONFIG_SAMPLE_FORMAT, sample_fmts);
}

const int *codec_sample_rates(const AVCodec *codec) {
    return FIND_LIST(codec, AV_CODEC_CONFIG_SAMPLE_RATE, supported_samplerates);
}

const AVChannelLayout *codec_channel_layouts(const AVCodec *codec) {
    return FIND_LIST(codec, AV_CODEC_CONFIG_CHANNEL_LAYOUT, ch_layouts);
}

const AVRational *codec_frame_rates(const AVCodec *codec) {
    return FIND_LIST(codec, AV_CODEC_CONFIG_FRAME_RATE, supported_framerates);
}

/* --- What suits a container ------------------------------------------------------------------- */

/* The first encoder that this FFmpeg has. Where FFmpeg's own choice is none to be used live, or
 * cannot hold what comes. */
static const struct {
    const char *containers;
    const char *video[3];
    const char *audio[3];
} suits[] = {
    {"webm,webm_chunk", {"libvpx-vp9", "libvpx"}, {"libopus", "libvorbis"}},
    {"matroska,mp4,mov,ipod,ismv,3gp,3g2,f4v,psp,mpegts,hls,dash,flv,rtp,rtp_mpegts,rtsp",
     {"libx264", "libopenh264", "mpeg4"},
     {"aac"}},
    {"avi", {"mpeg4"}, {"pcm"}}, /* it has no place for pictures that overtake each other */
    {"nut", {"ffv1"}, {"pcm"}},
    {"null,framemd5,framehash,framecrc,md5,hash,streamhash,crc", {"rawvideo"}, {"pcm"}},
    {"yuv4mpegpipe", {"wrapped_avframe"}, {0}},
    {"rawvideo", {"rawvideo"}, {0}},
    {"wav,w64,rf64,aiff,caf,au", {0}, {"pcm"}},
    {"ogg,ogv", {"libtheora"}, {"libvorbis", "libopus", "flac"}},
    {"opus", {0}, {"libopus"}},
    {"oga,flac", {0}, {"flac"}},
    {"mp3", {0}, {"libmp3lame"}},
};

/* What each encoder gets that was not set by the user; `quality` only if the user set nothing. */
static const struct {
    const char *codec;
    const char *always;
    const char *quality;
} usual[] = {
    {"libx264", "preset=veryfast,forced-idr=1", NULL},
    {"libx264rgb", "preset=veryfast,forced-idr=1", NULL},
    {"libx265", "preset=veryfast,forced-idr=1,x265-params=log-level=error", NULL},
    {"libvpx-vp9", "deadline=realtime,cpu-used=8,row-mt=1", "crf=30,b=0"},
    {"libvpx", "deadline=realtime,cpu-used=8", "crf=10,b=4M"},
    {"libaom-av1", "usage=realtime,cpu-used=8,row-mt=1", "crf=30,b=0"},
    {"libsvtav1", "preset=10", NULL},
    /* 118 is FF_QP2LAMBDA. */
    {"mpeg4", NULL, "flags=+qscale,global_quality=354"},
    {"mpeg2video", NULL, "flags=+qscale,global_quality=354"},
    {"mjpeg", NULL, "flags=+qscale,global_quality=354"},
    {"libtheora", NULL, "flags=+qscale,global_quality=826"},
    {"ffv1", "level=3,slices=4,slicecrc=1", NULL},
};

static const AVCodec *find_encoder(const char *name, enum AVMediaType type) {
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    if (!codec) {
        const AVCodecDescriptor *const descriptor = avcodec_descriptor_get_by_name(name);
        codec = descriptor ? avcodec_find_encoder(descriptor->id) : NULL;
    }
    return codec && codec->type == type ? codec : NULL;
}

bool codec_is_exact(const struct codec_choice *choice) {
    const AVCodecDescriptor *const descriptor =
        choice->codec ? avcodec_descriptor_get(choice->codec->id) : NULL;
    return choice->is_pcm || (descriptor && (descriptor->props & AV_CODEC_PROP_LOSSLESS) &&
                              !(descriptor->props & AV_CODEC_PROP_LOSSY));
}

static bool is_held(const AVOutputFormat *format, enum AVCodecID id) {
    /* What a container does not tell in advance, it tells when it is opened. */
    return avformat_query_codec(format, id, FF_COMPLIANCE_EXPERIMENTAL) != 0;
}

static bool set_first(struct codec_choice *choice, const char *const *names,
                      enum AVMediaType type) {
    for (unsigned i = 0; i < 3 && names[i]; i++) {
        choice->is_pcm = strcmp(names[i], "pcm") == 0;
        choice->codec = choice->is_pcm ? NULL : find_encoder(names[i], type);
        if (choice->is_pcm || choice->codec)
            return true;
    }
    return false;
}

static void choose_suiting(const AVOutputFormat *format, enum AVMediaType type, bool is_exact,
                           struct codec_choice *choice) {
    const bool is_video = type == AVMEDIA_TYPE_VIDEO;
    if (is_exact && !is_video && is_held(format, AV_CODEC_ID_FLAC) &&
        set_first(choice, (const char *const[]){"flac", NULL, NULL}, type))
        return;
    for (size_t i = 0; i < sizeof(suits) / sizeof(suits[0]); i++) {
        if (av_match_name(format->name, suits[i].containers)) {
            set_first(choice, is_video ? suits[i].video : suits[i].audio, type);
            return;
        }
    }
    const enum AVCodecID id = is_video ? format->video_codec : format->audio_codec;
    choice->codec = id == AV_CODEC_ID_NONE ? NULL : avcodec_find_encoder(id);
}

const AVCodec *codec_find_pcm(const AVOutputFormat *format, enum AVSampleFormat samples) {
    const enum AVCodecID ids[] = {
        av_get_pcm_codec(samples, -1), av_get_pcm_codec(samples, 0), av_get_pcm_codec(samples, 1),
        AV_CODEC_ID_PCM_F32LE,         AV_CODEC_ID_PCM_F32BE,        AV_CODEC_ID_PCM_S16LE,
        AV_CODEC_ID_PCM_S16BE,         AV_CODEC_ID_PCM_U8,
    };
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        if (ids[i] != AV_CODEC_ID_NONE &&
            avformat_query_codec(format, ids[i], FF_COMPLIANCE_NORMAL) == 1)
            return avcodec_find_encoder(ids[i]);
    }
    /* A container that holds anything. */
    return ids[0] == AV_CODEC_ID_NONE ? NULL : avcodec_find_encoder(ids[0]);
}

/* --- What was asked for ----------------------------------------------------------------------- */

/* What standards and programs are called, where FFmpeg calls its encoder something else. */
static void offer_aliases(struct near *near, enum AVMediaType type) {
    static const struct {
        const char *alias, *encoder;
    } aliases[] = {
        {"h265", "libx265"}, {"x265", "libx265"},   {"x264", "libx264"},
        {"avc", "libx264"},  {"mp3", "libmp3lame"}, {"vpx", "libvpx-vp9"},
    };
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        struct near alias = {.wanted = near->wanted};
        near_offer(&alias, aliases[i].alias);
        if (alias.count && near->count < NEAR_NAMES_MAX && find_encoder(aliases[i].encoder, type))
            near->name[near->count++] = aliases[i].encoder;
    }
}

static bool is_other_kind(const char *name, enum AVMediaType type) {
    return find_encoder(name, type == AVMEDIA_TYPE_VIDEO ? AVMEDIA_TYPE_AUDIO : AVMEDIA_TYPE_VIDEO);
}

static int fail_codec(const char *name, enum AVMediaType type) {
    struct near near = {.wanted = name};
    void *at = NULL;
    const AVCodec *codec;
    const bool is_video = type == AVMEDIA_TYPE_VIDEO;
    const char *const option = is_video ? "--video" : "--audio";
    if (is_other_kind(name, type))
        return fault_set(-EINVAL, "%s: %s encodes %s: it goes with %s", option, name,
                         is_video ? "sound" : "pictures", is_video ? "--audio" : "--video");
    while ((codec = av_codec_iterate(&at)))
        if (av_codec_is_encoder(codec) && codec->type == type)
            near_offer(&near, codec->name);
    if (type == AVMEDIA_TYPE_AUDIO)
        near_offer(&near, "pcm");
    offer_aliases(&near, type);
    return fault_set(-EINVAL, "%s: there is no encoder \"%s\" (ffmpeg -encoders lists them)%s",
                     option, name, near_text(&near));
}

static const char *name_of(const struct codec_choice *choice) {
    return choice->codec ? choice->codec->name : "pcm";
}

static int fail_option(const struct codec_choice *choice, AVCodecContext *context,
                       const char *name) {
    struct near near = {.wanted = name};
    const bool has_own = choice->codec && choice->codec->priv_class;
    const AVOption *option = NULL;
    while (has_own && (option = av_opt_next(context->priv_data, option)))
        if (option->type != AV_OPT_TYPE_CONST)
            near_offer(&near, option->name);
    while ((option = av_opt_next(context, option)))
        if (option->type != AV_OPT_TYPE_CONST && (option->flags & AV_OPT_FLAG_ENCODING_PARAM))
            near_offer(&near, option->name);
    return fault_set(-EINVAL, "%s has no option \"%s\" (ffmpeg -h encoder=%s lists them)%s",
                     name_of(choice), name, name_of(choice), near_text(&near));
}

/* Options that are no codec's in FFmpeg either, by the names that its command line gives them. */
static int take_own(struct codec_choice *choice, const AVDictionaryEntry *entry, bool *out_taken) {
    *out_taken = true;
    const char *const key = entry->key;
    bool is_good;
    if (strcmp(key, "pix_fmt") == 0) {
        choice->pixel_format = av_get_pix_fmt(entry->value);
        is_good = choice->pixel_format != AV_PIX_FMT_NONE;
    } else if (strcmp(key, "sample_fmt") == 0) {
        choice->sample_format = av_get_sample_fmt(entry->value);
        is_good = choice->sample_format != AV_SAMPLE_FMT_NONE;
    } else if (strcmp(key, "ar") == 0) {
        choice->sample_rate = atoi(entry->value);
        is_good = choice->sample_rate > 0;
    } else if (strcmp(key, "ac") == 0) {
        choice->channels = atoi(entry->value);
        is_good = choice->channels > 0 && choice->channels <= 64;
    } else {
        *out_taken = false;
        return 0;
    }
    return is_good ? 0
                   : fault_set(-EINVAL, "%s: \"%s\" is none that FFmpeg knows", key, entry->value);
}

static bool is_in(const void *list, size_t bytes, const void *value, const void *end) {
    if (!list)
        return true;
    for (const char *at = list; memcmp(at, end, bytes) != 0; at += bytes)
        if (memcmp(at, value, bytes) == 0)
            return true;
    return false;
}

static int check_formats(const struct codec_choice *choice) {
    if (!choice->codec)
        return 0;
    const enum AVPixelFormat no_pixels = AV_PIX_FMT_NONE;
    const enum AVSampleFormat no_samples = AV_SAMPLE_FMT_NONE;
    const char *wrong = NULL;
    if (choice->pixel_format != AV_PIX_FMT_NONE &&
        !is_in(codec_pixel_formats(choice->codec), sizeof(no_pixels), &choice->pixel_format,
               &no_pixels))
        wrong = av_get_pix_fmt_name(choice->pixel_format);
    if (choice->sample_format != AV_SAMPLE_FMT_NONE &&
        !is_in(codec_sample_formats(choice->codec), sizeof(no_samples), &choice->sample_format,
               &no_samples))
        wrong = av_get_sample_fmt_name(choice->sample_format);
    return wrong
               ? fault_set(-EINVAL, "%s does not take %s (ffmpeg -h encoder=%s lists what it does)",
                           choice->codec->name, wrong, choice->codec->name)
               : 0;
}

/* The codec's own options. */
static int try_option(const struct codec_choice *choice, AVCodecContext *context,
                      const AVDictionaryEntry *entry) {
    const int error = av_opt_set(context, entry->key, entry->value, AV_OPT_SEARCH_CHILDREN);
    if (error == AVERROR_OPTION_NOT_FOUND)
        return fail_option(choice, context, entry->key);
    if (error < 0)
        return fault_set(-EINVAL, "%s: its option %s cannot be \"%s\"", name_of(choice), entry->key,
                         entry->value);
    return 0;
}

/* Tries each option, so that the one that is wrong can be named. */
static int check_options(struct codec_choice *choice) {
    AVCodecContext *context = avcodec_alloc_context3(choice->codec);
    AVDictionary *kept = NULL;
    const AVDictionaryEntry *entry = NULL;
    int result = context ? 0 : fault_set(-ENOMEM, "no memory for a codec");
    while (result == 0 &&
           (entry = av_dict_get(choice->options, "", entry, AV_DICT_IGNORE_SUFFIX))) {
        bool is_taken;
        result = take_own(choice, entry, &is_taken);
        if (result < 0 || is_taken)
            continue;
        result = try_option(choice, context, entry);
        av_dict_set(&kept, entry->key, entry->value, 0);
    }
    if (result == 0)
        result = check_formats(choice);
    avcodec_free_context(&context);
    av_dict_free(&choice->options);
    choice->options = kept;
    return result;
}

static void add_usual(struct codec_choice *choice) {
    if (!choice->codec)
        return;
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (strcmp(usual[i].codec, choice->codec->name) != 0)
            continue;
        AVDictionary *options = NULL;
        if (usual[i].quality && av_dict_count(choice->options) == 0)
            av_dict_parse_string(&options, usual[i].quality, "=", ",", 0);
        if (usual[i].always)
            av_dict_parse_string(&options, usual[i].always, "=", ",", 0);
        av_dict_copy(&options, choice->options, 0);
        av_dict_free(&choice->options);
        choice->options = options;
    }
}

static int choose_named(const char *text, enum AVMediaType type, const AVOutputFormat *format,
                        struct codec_choice *choice) {
    char name[64];
    const size_t length = strcspn(text, ":");
    av_strlcpy(name, text, length + 1 < sizeof(name) ? length + 1 : sizeof(name));
    choice->is_asked = true;
    choice->is_pcm = type == AVMEDIA_TYPE_AUDIO && strcmp(name, "pcm") == 0;
    choice->codec = choice->is_pcm ? NULL : find_encoder(name, type);
    if (!choice->codec && !choice->is_pcm)
        return fail_codec(name, type);
    if (choice->codec && !is_held(format, choice->codec->id))
        return fault_set(-EINVAL,
                         "%s cannot hold what %s makes: choose another codec, or "
                         "--container matroska",
                         format->name, name);
    if (text[length] && av_dict_parse_string(&choice->options, text + length + 1, "=", ",", 0) < 0)
        return fault_set(-EINVAL, "\"%s\" should be CODEC:NAME=VALUE,NAME=VALUE...", text);
    return check_options(choice);
}

int codec_choose(const char *text, enum AVMediaType type, const AVOutputFormat *format,
                 bool is_exact, struct codec_choice *out_choice) {
    struct codec_choice choice = {
        .pixel_format = AV_PIX_FMT_NONE,
        .sample_format = AV_SAMPLE_FMT_NONE,
    };
    int result = 0;
    if (!text)
        choose_suiting(format, type, is_exact, &choice);
    else if (strcmp(text, "none") != 0)
        result = choose_named(text, type, format, &choice);
    if (result == 0) {
        add_usual(&choice);
        /* It takes no others: see encoder_create(). */
        if (choice.codec && type == AVMEDIA_TYPE_VIDEO && strcmp(format->name, "flv") == 0 &&
            !av_dict_get(choice.options, "bf", NULL, 0))
            av_dict_set(&choice.options, "bf", "0", 0);
        *out_choice = choice;
    } else {
        codec_choice_finish(&choice);
    }
    return result;
}

void codec_choice_finish(struct codec_choice *choice) {
    av_dict_free(&choice->options);
}
