#include "container.h"

#include "fault.h"
#include "near.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* What goes over a scheme if nothing else is said. The empty name: the ending decides. */
static const struct {
    const char *scheme;
    const char *muxer;
} schemes[] = {
    {"rtmp", "flv"},       {"rtmps", "flv"},   {"rtmpt", "flv"},      {"rtmpts", "flv"},
    {"rtmpe", "flv"},      {"rtmpte", "flv"},  {"srt", "mpegts"},     {"udp", "mpegts"},
    {"udplite", "mpegts"}, {"tcp", "mpegts"},  {"tls", "mpegts"},     {"sctp", "mpegts"},
    {"rist", "mpegts"},    {"unix", "mpegts"}, {"rtp", "rtp_mpegts"}, {"srtp", "rtp_mpegts"},
    {"rtsp", "rtsp"},      {"rtsps", "rtsp"},  {"icecast", "ogg"},
};

/* Endings that FFmpeg leaves to several muxers, or to none. */
static const struct {
    const char *ending;
    const char *muxer;
} endings[] = {
    {"ts", "mpegts"}, {"m2ts", "mpegts"}, {"mts", "mpegts"}, {"m3u8", "hls"}, {"mpd", "dash"},
};

/* Defaults of muxers, in their own terms. A file is to be playable up to the last second wherever
 * it ends: the head stands first, and what follows comes in pieces that are whole. The recording
 * asks for the pieces itself, once a second (output_write), hence frag_custom. delay_moov: the head
 * waits for the first packets, which tell the delay of the first picture. */
static const struct {
    const char *muxer, *name, *value;
} defaults[] = {
    {"mp4", "movflags", "+frag_custom+empty_moov+delay_moov+default_base_moof"},
    {"mov", "movflags", "+frag_custom+empty_moov+delay_moov+default_base_moof"},
    {"ipod", "movflags", "+frag_custom+empty_moov+delay_moov+default_base_moof"},
    {"psp", "movflags", "+frag_custom+empty_moov+delay_moov+default_base_moof"},
    {"3gp", "movflags", "+frag_custom+empty_moov+delay_moov+default_base_moof"},
    {"3g2", "movflags", "+frag_custom+empty_moov+delay_moov+default_base_moof"},
    {"f4v", "movflags", "+frag_custom+empty_moov+delay_moov+default_base_moof"},
    {"ismv", "movflags", "+frag_custom"}, /* in fragments by nature */
    {"matroska", "cluster_time_limit", "1000"},
    {"webm", "cluster_time_limit", "1000"},
    {"ogg", "page_duration", "500000"},
    /* Everything stays in the list: a recording, not only what is on the air. */
    {"hls", "hls_list_size", "0"},
    {"dash", "window_size", "0"},
    {"dash", "seg_duration", "2"},
    /* Whoever joins a flow need not wait for a table long. */
    {"mpegts", "pat_period", "0.2"},
};

static bool is_muxer(const char *names, const char *name) {
    const size_t length = strlen(name);
    for (const char *at = names; *at;) {
        const size_t one = strcspn(at, ",");
        if (one == length && strncmp(at, name, one) == 0)
            return true;
        at += one + (at[one] == ',');
    }
    return false;
}

/* The scheme's length if the target has one, as RFC 3986 writes it; a single letter is none. */
static size_t find_scheme(const char *target) {
    const size_t length =
        strspn(target, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    return length > 1 && target[length] == ':' ? length : 0;
}

static bool is_scheme(const char *target, size_t length, const char *scheme) {
    return strlen(scheme) == length && strncasecmp(target, scheme, length) == 0;
}

static bool has_protocol(const char *target, size_t length, struct near *near) {
    void *state = NULL;
    const char *name;
    bool is_found = false;
    while ((name = avio_enum_protocols(&state, 1))) {
        is_found |= is_scheme(target, length, name);
        near_offer(near, name);
    }
    return is_found;
}

static int find_by_name(const char *name, struct container *container) {
    struct near near = {.wanted = name};
    void *state = NULL;
    const AVOutputFormat *format;
    while ((format = av_muxer_iterate(&state))) {
        if (is_muxer(format->name, name)) {
            container->format = format;
            return 0;
        }
        near_offer(&near, format->name);
    }
    /* An ending is what many mean: mkv is FFmpeg's matroska, ts its mpegts. */
    char file[64];
    snprintf(file, sizeof(file), "x.%s", name);
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
        if (strcasecmp(name, endings[i].ending) == 0)
            return find_by_name(endings[i].muxer, container);
    container->format = av_guess_format(NULL, file, NULL);
    if (container->format)
        return 0;
    return fault_set(-EINVAL,
                     "--container: FFmpeg has no muxer \"%s\"%s (\"ffmpeg -muxers\" lists "
                     "them)",
                     name, near_text(&near));
}

static int find_by_ending(const char *path, struct container *container) {
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; dot && i < sizeof(endings) / sizeof(*endings); i++)
        if (strcasecmp(dot + 1, endings[i].ending) == 0)
            return find_by_name(endings[i].muxer, container);
    container->format = av_guess_format(NULL, path, NULL);
    if (container->format && is_muxer(container->format->name, "image2") && !strchr(path, '%'))
        return fault_set(-EINVAL, "%s names a picture: shmframe-snapshot writes those, one or many",
                         path);
    if (container->format)
        return 0;
    if (!dot || !dot[1])
        return fault_set(-EINVAL,
                         "%s has no ending that names a container: add one, such as .mkv, "
                         "or give --container NAME",
                         path);
    struct near near = {.wanted = dot + 1};
    void *state = NULL;
    const AVOutputFormat *format;
    while ((format = av_muxer_iterate(&state)))
        near_offer(&near, format->name);
    return fault_set(-EINVAL,
                     "%s: no container has the ending .%s%s; take another, such as .mkv, or "
                     "give --container NAME",
                     path, dot + 1, near_text(&near));
}

static int find_by_scheme(const char *target, size_t length, struct container *container) {
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
        if (is_scheme(target, length, schemes[i].scheme))
            return find_by_name(schemes[i].muxer, container);
    /* The query of a URL is no part of the ending. */
    char path[256];
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(target, "?"), target);
    return find_by_ending(path, container);
}

/* A target with a scheme that libavformat can write. */
static int choose_url(const char *target, size_t length, const char *name,
                      struct container *container) {
    char scheme[64];
    snprintf(scheme, sizeof(scheme), "%.*s", (int)length, target);
    struct near near = {.wanted = scheme};
    const bool is_muxers_own =
        is_scheme(target, length, "rtsp") || is_scheme(target, length, "rtsps");
    if (!is_muxers_own && !has_protocol(target, length, &near))
        return fault_set(-EINVAL, "%s: FFmpeg writes to no \"%s:\"%s (a file of that name: ./%s)",
                         target, scheme, near_text(&near), target);
    container->road = CONTAINER_URL;
    container->is_network = !is_scheme(target, length, "pipe") &&
                            !is_scheme(target, length, "md5") &&
                            !is_scheme(target, length, "crypto");
    return name ? find_by_name(name, container) : find_by_scheme(target, length, container);
}

static bool is_special(const char *path) {
    struct stat what;
    return stat(path, &what) == 0 && !S_ISREG(what.st_mode) && !S_ISDIR(what.st_mode);
}

int container_choose(const char *target, const char *name, struct container *out_container) {
    struct container container = {.path = target};
    const size_t scheme = find_scheme(target);
    int result;
    if (strcmp(target, "-") == 0) {
        container.road = CONTAINER_FLOW;
        result = name ? find_by_name(name, &container)
                      : fault_set(-EINVAL, "standard output has no ending that names a container: "
                                           "give --container NAME, such as matroska");
    } else if (scheme && !is_scheme(target, scheme, "file")) {
        result = choose_url(target, scheme, name, &container);
    } else {
        container.path += scheme ? scheme + 1 : 0;
        container.road = is_special(container.path) ? CONTAINER_PIPE : CONTAINER_FILE;
        result = name ? find_by_name(name, &container) : find_by_ending(container.path, &container);
    }
    if (result < 0)
        return result;
    if (container.format->flags & AVFMT_NOFILE)
        container.road = CONTAINER_SELF;
    container.is_split = is_muxer(container.format->name, "rtp");
    *out_container = container;
    return 0;
}

static int add_own(const char *text, AVDictionary **options) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return fault_set(-EINVAL, "--format-option: \"%s\" should be NAME=VALUE", text);
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
    return av_dict_set(options, name, equals + 1, 0);
}

int container_set_options(const struct container *container, const struct option_list *own,
                          AVDictionary **options) {
    for (size_t i = 0; i < sizeof(defaults) / sizeof(*defaults); i++)
        if (is_muxer(container->format->name, defaults[i].muxer))
            av_dict_set(options, defaults[i].name, defaults[i].value, 0);
    /* Seven packets of MPEG-TS: what fits into a datagram everywhere. */
    if (strncasecmp(container->path, "udp:", 4) == 0 && !strstr(container->path, "pkt_size"))
        av_dict_set(options, "pkt_size", "1316", 0);
    for (uint32_t i = 0; own && i < own->count; i++) {
        const int result = add_own(own->text[i], options);
        if (result < 0)
            return result;
    }
    return 0;
}

bool container_is_in_pieces(const struct container *container, const struct option_list *own) {
    static const char *const muxers[] = {"matroska", "webm", "mp4",  "mov",  "ipod",        "psp",
                                         "3gp",      "3g2",  "f4v",  "ismv", "mpegts",      "nut",
                                         "avi",      "flv",  "ogg",  "oga",  "ogv",         "opus",
                                         "wav",      "flac", "adts", "mp3",  "yuv4mpegpipe"};
    bool is_known = false;
    for (size_t i = 0; i < sizeof(muxers) / sizeof(*muxers); i++)
        is_known |= is_muxer(container->format->name, muxers[i]);
    for (uint32_t i = 0; own && i < own->count; i++)
        is_known &= strncmp(own->text[i], "movflags=", 9) != 0;
    return is_known;
}

int64_t container_key_ns(const struct container *container, const struct option_list *own) {
    const bool is_hls = is_muxer(container->format->name, "hls");
    if (!is_hls && !is_muxer(container->format->name, "dash"))
        return 0;
    double seconds = 2; /* FFmpeg's own of hls; dash's is above */
    const char *name = is_hls ? "hls_time=" : "seg_duration=";
    for (uint32_t i = 0; own && i < own->count; i++)
        if (strncmp(own->text[i], name, strlen(name)) == 0)
            seconds = strtod(own->text[i] + strlen(name), NULL);
    return seconds > 0 ? (int64_t)(seconds * 1e9) : 0;
}
