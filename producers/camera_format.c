#include "camera_format.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <shmframe/error.h>
#include <stdio.h>
#include <string.h>

enum { PAGE_BYTES = 4096 };

/* Fourccs that are younger than some kernel's headers. */
#define FOURCC(a, b, c, d) v4l2_fourcc(a, b, c, d)

#define RAW(fourcc, name)                                                                          \
    { fourcc, name, false, false, 1 }
#define RAW_SWAPPED(fourcc, name)                                                                  \
    { fourcc, name, false, true, 1 }
#define RAW_PIECES(fourcc, name, pieces)                                                           \
    { fourcc, name, false, false, pieces }
#define RAW_SWAPPED_PIECES(fourcc, name, pieces)                                                   \
    { fourcc, name, false, true, pieces }
#define CODED(fourcc, name)                                                                        \
    { fourcc, name, true, false, 1 }

/* V4L2 names the bytes in memory, or the bits of a word, as its page "Image Formats" says for each;
 * libavutil's names say the same in their own way. */
static const struct camera_pixels table[] = {
    RAW(V4L2_PIX_FMT_YUYV, "yuyv422"),
    RAW(V4L2_PIX_FMT_UYVY, "uyvy422"),
    RAW(V4L2_PIX_FMT_YVYU, "yvyu422"),
    RAW(V4L2_PIX_FMT_NV12, "nv12"),
    RAW_PIECES(V4L2_PIX_FMT_NV12M, "nv12", 2),
    RAW(V4L2_PIX_FMT_YUV420, "yuv420p"),
    RAW_PIECES(V4L2_PIX_FMT_YUV420M, "yuv420p", 3),
    RAW_SWAPPED(V4L2_PIX_FMT_YVU420, "yuv420p"),
    RAW_SWAPPED_PIECES(V4L2_PIX_FMT_YVU420M, "yuv420p", 3),
    RAW(V4L2_PIX_FMT_NV21, "nv21"),
    RAW_PIECES(V4L2_PIX_FMT_NV21M, "nv21", 2),
    RAW(V4L2_PIX_FMT_NV16, "nv16"),
    RAW_PIECES(V4L2_PIX_FMT_NV16M, "nv16", 2),
    RAW(V4L2_PIX_FMT_YUV422P, "yuv422p"),
    RAW_PIECES(V4L2_PIX_FMT_YUV422M, "yuv422p", 3),
    RAW_SWAPPED_PIECES(V4L2_PIX_FMT_YVU422M, "yuv422p", 3),
    RAW(V4L2_PIX_FMT_NV24, "nv24"),
    RAW(V4L2_PIX_FMT_NV42, "nv42"),
    RAW_PIECES(V4L2_PIX_FMT_YUV444M, "yuv444p", 3),
    RAW_SWAPPED_PIECES(V4L2_PIX_FMT_YVU444M, "yuv444p", 3),
    RAW(V4L2_PIX_FMT_YUV411P, "yuv411p"),
    RAW(V4L2_PIX_FMT_YUV410, "yuv410p"),
    RAW_SWAPPED(V4L2_PIX_FMT_YVU410, "yuv410p"),
    RAW(FOURCC('P', '0', '1', '0'), "p010le"),
    RAW(FOURCC('P', '0', '1', '2'), "p012le"),
    RAW(FOURCC('Y', '2', '1', '0'), "y210le"),
    RAW(FOURCC('Y', '2', '1', '2'), "y212le"),
    RAW(V4L2_PIX_FMT_VUYA32, "vuya"),
    RAW(V4L2_PIX_FMT_VUYX32, "vuyx"),
    RAW(V4L2_PIX_FMT_RGB24, "rgb24"),
    RAW(V4L2_PIX_FMT_BGR24, "bgr24"),
    RAW(V4L2_PIX_FMT_XBGR32, "bgr0"),
    RAW(V4L2_PIX_FMT_BGR32, "bgr0"),
    RAW(V4L2_PIX_FMT_RGBX32, "rgb0"),
    RAW(V4L2_PIX_FMT_XRGB32, "0rgb"),
    RAW(V4L2_PIX_FMT_RGB32, "0rgb"),
    RAW(V4L2_PIX_FMT_BGRX32, "0bgr"),
    RAW(V4L2_PIX_FMT_ABGR32, "bgra"),
    RAW(V4L2_PIX_FMT_RGBA32, "rgba"),
    RAW(V4L2_PIX_FMT_ARGB32, "argb"),
    RAW(V4L2_PIX_FMT_BGRA32, "abgr"),
    RAW(V4L2_PIX_FMT_RGB565, "rgb565le"),
    RAW(V4L2_PIX_FMT_RGB565X, "rgb565be"),
    RAW(V4L2_PIX_FMT_RGB555, "rgb555le"),
    RAW(V4L2_PIX_FMT_XRGB555, "rgb555le"),
    RAW(V4L2_PIX_FMT_RGB555X, "rgb555be"),
    RAW(V4L2_PIX_FMT_XRGB555X, "rgb555be"),
    RAW(V4L2_PIX_FMT_XBGR555, "bgr555le"),
    RAW(V4L2_PIX_FMT_RGB444, "rgb444le"),
    RAW(V4L2_PIX_FMT_XRGB444, "rgb444le"),
    RAW(V4L2_PIX_FMT_XBGR444, "bgr444le"),
    CODED(V4L2_PIX_FMT_MJPEG, "mjpeg"),
    CODED(V4L2_PIX_FMT_JPEG, "mjpeg"),
    CODED(V4L2_PIX_FMT_H264, "h264"),
    CODED(V4L2_PIX_FMT_HEVC, "hevc"),
    RAW(V4L2_PIX_FMT_GREY, "gray"),
    RAW(V4L2_PIX_FMT_Y10, "gray10le"),
    RAW(V4L2_PIX_FMT_Y12, "gray12le"),
    RAW(V4L2_PIX_FMT_Y14, "gray14le"),
    RAW(V4L2_PIX_FMT_Y16, "gray16le"),
    RAW(V4L2_PIX_FMT_Y16_BE, "gray16be"),
    RAW(V4L2_PIX_FMT_Z16, "gray16le"),
    RAW(V4L2_PIX_FMT_SBGGR8, "bayer_bggr8"),
    RAW(V4L2_PIX_FMT_SGBRG8, "bayer_gbrg8"),
    RAW(V4L2_PIX_FMT_SGRBG8, "bayer_grbg8"),
    RAW(V4L2_PIX_FMT_SRGGB8, "bayer_rggb8"),
    RAW(V4L2_PIX_FMT_SBGGR16, "bayer_bggr16le"),
    RAW(V4L2_PIX_FMT_SGBRG16, "bayer_gbrg16le"),
    RAW(V4L2_PIX_FMT_SGRBG16, "bayer_grbg16le"),
    RAW(V4L2_PIX_FMT_SRGGB16, "bayer_rggb16le"),
};

enum { ROWS = sizeof(table) / sizeof(table[0]) };

static bool is_supported(const struct camera_pixels *pixels) {
    if (!pixels->is_compressed)
        return av_get_pix_fmt(pixels->name) != AV_PIX_FMT_NONE;
    return avcodec_find_decoder_by_name(pixels->name);
}

const struct camera_pixels *camera_pixels_find(uint32_t fourcc) {
    for (int i = 0; i < ROWS; i++)
        if (table[i].fourcc == fourcc)
            return is_supported(&table[i]) ? &table[i] : NULL;
    return NULL;
}

uint32_t camera_pixels_rank(const struct camera_pixels *pixels) {
    return (uint32_t)(pixels - table);
}

bool camera_pixels_is_name(const char *name) {
    for (int i = 0; i < ROWS; i++)
        if (strcmp(table[i].name, name) == 0)
            return is_supported(&table[i]);
    return false;
}

struct camera_fourcc_text camera_fourcc_text(uint32_t fourcc) {
    struct camera_fourcc_text text = {""};
    for (int i = 0; i < 4; i++)
        text.text[i] = (char)(fourcc >> (8 * i) & 0x7f);
    if (fourcc & 1u << 31)
        memcpy(text.text + 4, "-BE", 4);
    return text;
}

/* Fields and rates. */

int camera_format_field_order(const struct camera_picture *picture) {
    switch ((enum v4l2_field)picture->field) {
    case V4L2_FIELD_ANY:
    case V4L2_FIELD_NONE:
    case V4L2_FIELD_TOP:
    case V4L2_FIELD_BOTTOM:
        return SHMFRAME_PROGRESSIVE;
    case V4L2_FIELD_INTERLACED: /* in the order in which the signal's standard sends them */
        return picture->is_625 ? SHMFRAME_TOP_FIRST : SHMFRAME_BOTTOM_FIRST;
    case V4L2_FIELD_INTERLACED_TB:
        return SHMFRAME_TOP_FIRST;
    case V4L2_FIELD_INTERLACED_BT:
        return SHMFRAME_BOTTOM_FIRST;
    case V4L2_FIELD_SEQ_TB:
    case V4L2_FIELD_SEQ_BT:
    case V4L2_FIELD_ALTERNATE:
        break;
    }
    return -ENOTSUP;
}

/* Colours. What the driver leaves to the default is what V4L2 says that the default is. */

static enum AVColorPrimaries find_primaries(uint32_t colorspace) {
    switch ((enum v4l2_colorspace)colorspace) {
    case V4L2_COLORSPACE_SMPTE170M:
        return AVCOL_PRI_SMPTE170M;
    case V4L2_COLORSPACE_SMPTE240M:
        return AVCOL_PRI_SMPTE240M;
    case V4L2_COLORSPACE_REC709:
    case V4L2_COLORSPACE_SRGB:
    case V4L2_COLORSPACE_JPEG:
        return AVCOL_PRI_BT709;
    case V4L2_COLORSPACE_470_SYSTEM_M:
        return AVCOL_PRI_BT470M;
    case V4L2_COLORSPACE_470_SYSTEM_BG:
        return AVCOL_PRI_BT470BG;
    case V4L2_COLORSPACE_BT2020:
        return AVCOL_PRI_BT2020;
    case V4L2_COLORSPACE_DCI_P3:
        return AVCOL_PRI_SMPTE431;
    default: /* libavutil has no name for opRGB's; drivers may be newer than this */
        return AVCOL_PRI_UNSPECIFIED;
    }
}

static enum AVColorTransferCharacteristic find_transfer(uint32_t xfer_func) {
    switch ((enum v4l2_xfer_func)xfer_func) {
    case V4L2_XFER_FUNC_709:
        return AVCOL_TRC_BT709;
    case V4L2_XFER_FUNC_SRGB:
        return AVCOL_TRC_IEC61966_2_1;
    case V4L2_XFER_FUNC_OPRGB:
        return AVCOL_TRC_GAMMA22;
    case V4L2_XFER_FUNC_SMPTE240M:
        return AVCOL_TRC_SMPTE240M;
    case V4L2_XFER_FUNC_NONE:
        return AVCOL_TRC_LINEAR;
    case V4L2_XFER_FUNC_DCI_P3:
        return AVCOL_TRC_SMPTE428;
    case V4L2_XFER_FUNC_SMPTE2084:
        return AVCOL_TRC_SMPTE2084;
    default:
        return AVCOL_TRC_UNSPECIFIED;
    }
}

static enum AVColorSpace find_space(uint32_t ycbcr_enc) {
    switch ((enum v4l2_ycbcr_encoding)ycbcr_enc) {
    case V4L2_YCBCR_ENC_601:
    case V4L2_YCBCR_ENC_XV601:
        return AVCOL_SPC_SMPTE170M;
    case V4L2_YCBCR_ENC_709:
    case V4L2_YCBCR_ENC_XV709:
        return AVCOL_SPC_BT709;
    case V4L2_YCBCR_ENC_BT2020:
        return AVCOL_SPC_BT2020_NCL;
    case V4L2_YCBCR_ENC_BT2020_CONST_LUM:
        return AVCOL_SPC_BT2020_CL;
    case V4L2_YCBCR_ENC_SMPTE240M:
        return AVCOL_SPC_SMPTE240M;
    default:
        return AVCOL_SPC_UNSPECIFIED;
    }
}

#define SET_NAME(field, name, is_known)                                                            \
    do {                                                                                           \
        if ((is_known) && !(field)[0])                                                             \
            snprintf(field, sizeof(field), "%s", (name) ? (name) : "");                            \
    } while (0)

void camera_format_describe(const struct camera_picture *picture,
                            struct shmframe_video_format *video) {
    const AVPixFmtDescriptor *pixels = av_pix_fmt_desc_get(av_get_pix_fmt(video->pixel_format));
    const bool is_rgb = pixels && (pixels->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_BAYER));
    const bool is_grey = pixels && pixels->nb_components == 1;
    if (!video->frame_rate.num)
        video->frame_rate = picture->frame_rate;
    if (!video->sample_aspect.num)
        video->sample_aspect = picture->sample_aspect;
    const int order = camera_format_field_order(picture);
    if (order > 0)
        video->field_order = (uint32_t)order;
    const uint32_t colorspace = picture->colorspace;
    if (colorspace == V4L2_COLORSPACE_DEFAULT)
        return;
    const enum AVColorPrimaries primaries = find_primaries(colorspace);
    SET_NAME(video->color_primaries, av_color_primaries_name(primaries),
             primaries != AVCOL_PRI_UNSPECIFIED);
    const enum AVColorTransferCharacteristic transfer = find_transfer(
        picture->xfer_func ? picture->xfer_func : (uint32_t)V4L2_MAP_XFER_FUNC_DEFAULT(colorspace));
    SET_NAME(video->color_transfer, av_color_transfer_name(transfer),
             transfer != AVCOL_TRC_UNSPECIFIED);
    const uint32_t encoding =
        picture->ycbcr_enc ? picture->ycbcr_enc : (uint32_t)V4L2_MAP_YCBCR_ENC_DEFAULT(colorspace);
    const enum AVColorSpace space = is_rgb ? AVCOL_SPC_RGB : find_space(encoding);
    SET_NAME(video->color_space, av_color_space_name(space),
             space != AVCOL_SPC_UNSPECIFIED && (is_rgb || !is_grey));
    /* Grey comes from sensors, which use all values, as RGB does. */
    const uint32_t quantization =
        picture->quantization
            ? picture->quantization
            : (uint32_t)V4L2_MAP_QUANTIZATION_DEFAULT(is_rgb || is_grey, colorspace, encoding);
    SET_NAME(video->color_range,
             av_color_range_name(quantization == V4L2_QUANTIZATION_FULL_RANGE ? AVCOL_RANGE_JPEG
                                                                              : AVCOL_RANGE_MPEG),
             true);
}

/* Geometry. */

static uint32_t round_to_page(uint64_t bytes) {
    return (uint32_t)((bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
}

/* Line of plane `i` where the driver tells only that of the first: in the proportion that their
 * widths have. */
static uint32_t find_line_bytes(enum AVPixelFormat pixels, uint32_t first, int i) {
    enum { WIDTH = 64 }; /* any that all subsamplings divide */
    const int64_t part = av_image_get_linesize(pixels, WIDTH, i);
    const int64_t whole = av_image_get_linesize(pixels, WIDTH, 0);
    return (uint32_t)(first * part / whole);
}

/* Places the planes of a picture. Each begins where its piece does, or behind the one before. */
static int place_planes(const struct camera_picture *picture, const struct camera_pixels *pixels,
                        struct camera_layout *layout) {
    const enum AVPixelFormat pixel_format = av_get_pix_fmt(pixels->name);
    struct shmframe_format *format = &layout->format;
    uint64_t end[CAMERA_PLANES_MAX] = {0};
    for (uint32_t i = 0; i < picture->pieces; i++)
        end[i] = picture->skip_bytes[i];
    for (uint32_t at = 0; at < format->plane_count; at++) {
        const uint32_t i = pixels->is_swapped && at ? 3 - at : at;
        const uint32_t piece = picture->pieces > 1 ? at : 0;
        struct shmframe_plane *plane = &format->plane[i];
        uint32_t line_bytes = picture->line_bytes[piece];
        if (picture->pieces == 1 && line_bytes)
            line_bytes = find_line_bytes(pixel_format, line_bytes, (int)i);
        plane->line_bytes = line_bytes ? line_bytes : plane->row_bytes;
        plane->offset = end[piece];
        layout->needed[piece] =
            (uint32_t)(end[piece] + (uint64_t)plane->line_bytes * (plane->rows - 1) +
                       plane->row_bytes);
        end[piece] += (uint64_t)plane->line_bytes * plane->rows;
    }
    uint64_t offset = 0;
    for (uint32_t i = 0; i < picture->pieces; i++) {
        const uint64_t bytes = end[i] > picture->size_bytes[i] ? end[i] : picture->size_bytes[i];
        layout->offset[i] = offset;
        if (bytes > UINT32_MAX - PAGE_BYTES)
            return -EINVAL;
        layout->bytes[i] = round_to_page(bytes);
        offset += layout->bytes[i];
    }
    for (uint32_t at = 0; at < format->plane_count && picture->pieces > 1; at++)
        format->plane[pixels->is_swapped && at ? 3 - at : at].offset += layout->offset[at];
    /* The tail that readers may look at lies behind what the driver writes. */
    format->slot_bytes = offset + SHMFRAME_TAIL_BYTES;
    return 0;
}

int camera_format_lay_out(const struct camera_picture *picture, struct camera_layout *out_layout,
                          char why[CAMERA_WHY_BYTES]) {
    const struct camera_pixels *pixels = camera_pixels_find(picture->fourcc);
    struct camera_layout layout = {.pieces = picture->pieces};
    if (!pixels || pixels->is_compressed || pixels->pieces != picture->pieces) {
        snprintf(why, CAMERA_WHY_BYTES, "pictures of format %s in %u pieces are not known here",
                 camera_fourcc_text(picture->fourcc).text, picture->pieces);
        return -ENOTSUP;
    }
    int result =
        shmframe_format_video(&layout.format, pixels->name, picture->width, picture->height);
    if (result == 0)
        result = place_planes(picture, pixels, &layout);
    if (result == 0) {
        camera_format_describe(picture, &layout.format.video);
        result = shmframe_format_complete(&layout.format);
    }
    if (result < 0) {
        snprintf(why, CAMERA_WHY_BYTES, "the driver's %s of %ux%u: %s", pixels->name,
                 picture->width, picture->height, shmframe_last_error());
        return result;
    }
    *out_layout = layout;
    return 0;
}
