#include "still_type.h"

#include <libavutil/pixdesc.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum still_type type;
} names[] = {
    /* The first of each type is how its files are called. */
    {"png", STILL_PNG}, {"jpg", STILL_JPEG}, {"jpeg", STILL_JPEG}, {"pnm", STILL_PNM},
    {"ppm", STILL_PPM}, {"pgm", STILL_PGM},  {"pam", STILL_PAM},
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

enum still_type still_type_find(const char *name) {
    for (int i = 0; i < NAMES; i++)
        if (strcasecmp(name, names[i].name) == 0)
            return names[i].type;
    return STILL_NONE;
}

enum still_type still_type_of_path(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    return dot ? still_type_find(dot + 1) : STILL_NONE;
}

const char *still_type_suffix(enum still_type type) {
    for (int i = 0; i < NAMES; i++)
        if (names[i].type == type)
            return names[i].name;
    return "";
}

/* What a picture has that a file may keep. */
struct traits {
    bool is_grey, has_alpha, is_deep;
};

static struct traits find_traits(const AVPixFmtDescriptor *from) {
    const bool is_palette = from->flags & AV_PIX_FMT_FLAG_PAL;
    const bool has_alpha = from->flags & AV_PIX_FMT_FLAG_ALPHA;
    int depth = 0;
    for (int i = 0; i < from->nb_components; i++)
        depth = from->comp[i].depth > depth ? from->comp[i].depth : depth;
    return (struct traits){
        .is_grey = !is_palette && from->nb_components - (has_alpha ? 1 : 0) == 1,
        .has_alpha = has_alpha,
        .is_deep = depth > 8,
    };
}

static enum AVPixelFormat choose_grey(bool is_deep, bool has_alpha) {
    if (has_alpha)
        return is_deep ? AV_PIX_FMT_YA16BE : AV_PIX_FMT_YA8;
    return is_deep ? AV_PIX_FMT_GRAY16BE : AV_PIX_FMT_GRAY8;
}

static enum AVPixelFormat choose_rgb(bool is_deep, bool has_alpha) {
    if (has_alpha)
        return is_deep ? AV_PIX_FMT_RGBA64BE : AV_PIX_FMT_RGBA;
    return is_deep ? AV_PIX_FMT_RGB48BE : AV_PIX_FMT_RGB24;
}

static enum AVPixelFormat choose_jpeg(const AVPixFmtDescriptor *from, struct traits traits,
                                      int degrees) {
    if (traits.is_grey)
        return AV_PIX_FMT_YUV420P; /* without colour, its chroma costs nothing */
    if (from->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL) || from->log2_chroma_w == 0)
        return AV_PIX_FMT_YUV444P;
    if (from->log2_chroma_h > 0)
        return AV_PIX_FMT_YUV420P;
    return degrees % 180 ? AV_PIX_FMT_YUV444P : AV_PIX_FMT_YUV422P;
}

enum AVPixelFormat still_type_choose(enum still_type type, enum AVPixelFormat from, int degrees) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(from);
    const struct traits traits = find_traits(descriptor);
    switch (type) {
    case STILL_JPEG:
        return choose_jpeg(descriptor, traits, degrees);
    case STILL_PNM:
        return traits.is_grey ? choose_grey(traits.is_deep, false)
                              : choose_rgb(traits.is_deep, false);
    case STILL_PPM:
        return choose_rgb(traits.is_deep, false);
    case STILL_PGM:
        return choose_grey(traits.is_deep, false);
    case STILL_NONE:
    case STILL_PNG:
    case STILL_PAM:
        break;
    }
    return traits.is_grey ? choose_grey(traits.is_deep, traits.has_alpha)
                          : choose_rgb(traits.is_deep, traits.has_alpha);
}
