#include "texture.h"

#include "grade.h"
#include "scaler.h"
#include <libavutil/pixdesc.h>
#include <string.h>

static const struct {
    const char *pixel_format;
    enum texture_layout layout;
    uint32_t sdl_format;
} known[] = {
    {"yuv420p", TEXTURE_YUV, SDL_PIXELFORMAT_IYUV},
    {"yuvj420p", TEXTURE_YUV, SDL_PIXELFORMAT_IYUV},
    {"nv12", TEXTURE_NV, SDL_PIXELFORMAT_NV12},
    {"nv21", TEXTURE_NV, SDL_PIXELFORMAT_NV21},
    {"yuyv422", TEXTURE_PACKED, SDL_PIXELFORMAT_YUY2},
    {"uyvy422", TEXTURE_PACKED, SDL_PIXELFORMAT_UYVY},
    {"yvyu422", TEXTURE_PACKED, SDL_PIXELFORMAT_YVYU},
    {"rgb24", TEXTURE_PACKED, SDL_PIXELFORMAT_RGB24},
    {"bgr24", TEXTURE_PACKED, SDL_PIXELFORMAT_BGR24},
    {"rgba", TEXTURE_PACKED, SDL_PIXELFORMAT_RGBA32},
    {"bgra", TEXTURE_PACKED, SDL_PIXELFORMAT_BGRA32},
    {"argb", TEXTURE_PACKED, SDL_PIXELFORMAT_ARGB32},
    {"abgr", TEXTURE_PACKED, SDL_PIXELFORMAT_ABGR32},
/* SDL names the formats without alpha by the value of a 32 bit word only. */
#if SDL_BYTEORDER == SDL_LIL_ENDIAN
    {"bgr0", TEXTURE_PACKED, SDL_PIXELFORMAT_RGB888},
    {"rgb0", TEXTURE_PACKED, SDL_PIXELFORMAT_BGR888},
    {"0bgr", TEXTURE_PACKED, SDL_PIXELFORMAT_RGBX8888},
    {"0rgb", TEXTURE_PACKED, SDL_PIXELFORMAT_BGRX8888},
    {"rgb565le", TEXTURE_PACKED, SDL_PIXELFORMAT_RGB565},
    {"bgr565le", TEXTURE_PACKED, SDL_PIXELFORMAT_BGR565},
#else
    {"0rgb", TEXTURE_PACKED, SDL_PIXELFORMAT_RGB888},
    {"0bgr", TEXTURE_PACKED, SDL_PIXELFORMAT_BGR888},
    {"rgb0", TEXTURE_PACKED, SDL_PIXELFORMAT_RGBX8888},
    {"bgr0", TEXTURE_PACKED, SDL_PIXELFORMAT_BGRX8888},
    {"rgb565be", TEXTURE_PACKED, SDL_PIXELFORMAT_RGB565},
    {"bgr565be", TEXTURE_PACKED, SDL_PIXELFORMAT_BGR565},
#endif
};

/* Whether SDL has the colours of a YUV format; which mode it calls them. */
static bool choose_yuv_mode(const struct shmframe_video_format *video,
                            SDL_YUV_CONVERSION_MODE *out_mode) {
    const int told_space = av_color_space_from_name(video->color_space);
    const int told_range = av_color_range_from_name(video->color_range);
    enum AVColorSpace space = told_space < 0 ? AVCOL_SPC_UNSPECIFIED : told_space;
    enum AVColorRange range = told_range < 0 ? AVCOL_RANGE_UNSPECIFIED : told_range;
    colors_complete(av_get_pix_fmt(video->pixel_format), (int)video->height, &space, &range);
    const bool is_full = range == AVCOL_RANGE_JPEG;
    if (space == AVCOL_SPC_BT709) {
        *out_mode = SDL_YUV_CONVERSION_BT709;
        return !is_full;
    }
    *out_mode = is_full ? SDL_YUV_CONVERSION_JPEG : SDL_YUV_CONVERSION_BT601;
    return space == AVCOL_SPC_SMPTE170M || space == AVCOL_SPC_BT470BG;
}

struct texture_choice texture_choose(const struct shmframe_video_format *video) {
    const struct texture_choice converted = {
        .layout = TEXTURE_CONVERTED,
        .sdl_format = SDL_PIXELFORMAT_ARGB8888,
        .yuv_mode = SDL_YUV_CONVERSION_BT601,
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].pixel_format, video->pixel_format) != 0) {
            continue;
        }
        struct texture_choice choice = {
            .layout = known[i].layout,
            .sdl_format = known[i].sdl_format,
            .yuv_mode = SDL_YUV_CONVERSION_BT601,
        };
        const bool is_shown_alike = !SDL_ISPIXELFORMAT_FOURCC(choice.sdl_format) ||
                                    choose_yuv_mode(video, &choice.yuv_mode);
        return is_shown_alike && !grade_is_needed(video) ? choice : converted;
    }
    return converted;
}
