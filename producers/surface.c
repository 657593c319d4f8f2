#include "surface.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/common.h>
#include <libavutil/imgutils.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLANES = 4, PIECE_BYTES = 16, COLOURS = 256 };

/* One colour in one plane; rows alternate in Bayer patterns, and are the same elsewhere. */
struct piece {
    uint8_t row[2][PIECE_BYTES];
};

struct surface_plane {
    struct shmframe_plane place;
    uint32_t piece_bytes;
    int shift_x, shift_y; /* log2 of the pixels that a piece, or a row, stands for */
};

struct surface {
    enum AVPixelFormat pixel_format;
    const AVPixFmtDescriptor *descriptor;
    char name[32];
    bool is_full_range;
    double red_weight, blue_weight; /* of the YCbCr matrix */
    uint32_t planes;                /* that hold pixels */
    struct surface_plane plane[PLANES];
    struct shmframe_plane palette; /* rows 0: none */
    bool is_bayer;
    uint32_t colours;
    struct colour colour[COLOURS];
    struct piece piece[COLOURS][PLANES];
};

/* Formats. */

static bool is_rgb(const AVPixFmtDescriptor *descriptor) {
    return descriptor->flags & AV_PIX_FMT_FLAG_RGB;
}

static bool is_grey(const AVPixFmtDescriptor *descriptor) {
    return descriptor->nb_components < 3 && !(descriptor->flags & AV_PIX_FMT_FLAG_PAL);
}

static bool is_xyz(const char *name) {
    return strncmp(name, "xyz", 3) == 0;
}

static void set_name(char *field, size_t bytes, const char *name) {
    if (field[0] || !name)
        return;
    memset(field, 0, bytes);
    memcpy(field, name, strnlen(name, bytes - 1));
}

void surface_describe_colours(struct shmframe_format *format) {
    struct shmframe_video_format *video = &format->video;
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(av_get_pix_fmt(video->pixel_format));
    if (!descriptor || is_xyz(video->pixel_format))
        return;
    /* Names only: libavutil's "gbr" is the identity matrix, and JPEG's formats are full range. */
    const bool has_matrix = !is_rgb(descriptor) && !is_grey(descriptor) &&
                            !(descriptor->flags & (AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BAYER));
    const bool is_full = !has_matrix || strncmp(video->pixel_format, "yuvj", 4) == 0;
    const bool is_high = video->height > 576;
    const enum AVColorSpace space = !has_matrix ? AVCOL_SPC_RGB
                                    : is_high   ? AVCOL_SPC_BT709
                                                : AVCOL_SPC_SMPTE170M;
    const enum AVColorPrimaries primaries =
        !has_matrix || is_high ? AVCOL_PRI_BT709 : AVCOL_PRI_SMPTE170M;
    const enum AVColorTransferCharacteristic transfer = !has_matrix ? AVCOL_TRC_IEC61966_2_1
                                                        : is_high   ? AVCOL_TRC_BT709
                                                                    : AVCOL_TRC_SMPTE170M;
    set_name(video->color_range, sizeof(video->color_range),
             av_color_range_name(is_full ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG));
    if (!is_grey(descriptor))
        set_name(video->color_space, sizeof(video->color_space), av_color_space_name(space));
    set_name(video->color_primaries, sizeof(video->color_primaries),
             av_color_primaries_name(primaries));
    set_name(video->color_transfer, sizeof(video->color_transfer),
             av_color_transfer_name(transfer));
    if (descriptor->log2_chroma_w || descriptor->log2_chroma_h)
        set_name(video->chroma_location, sizeof(video->chroma_location),
                 av_chroma_location_name(AVCHROMA_LOC_TOPLEFT));
}

/* Which weights the matrix has: ITU-R BT.601-7 2.5.1, BT.709-6 3.2, BT.2020-2 table 4. */
static void choose_matrix(struct surface *surface, const char *color_space) {
    static const struct {
        enum AVColorSpace space;
        double red, blue;
    } matrices[] = {
        {AVCOL_SPC_BT709, 0.2126, 0.0722},
        {AVCOL_SPC_BT2020_NCL, 0.2627, 0.0593},
        {AVCOL_SPC_FCC, 0.30, 0.11},
        {AVCOL_SPC_SMPTE240M, 0.212, 0.087},
    };
    surface->red_weight = 0.299;
    surface->blue_weight = 0.114;
    for (size_t i = 0; i < sizeof(matrices) / sizeof(matrices[0]); i++) {
        const char *name = av_color_space_name(matrices[i].space);
        if (name && strcmp(name, color_space) == 0) {
            surface->red_weight = matrices[i].red;
            surface->blue_weight = matrices[i].blue;
        }
    }
}

/* Values of samples. */

/* IEEE 754 half precision of a value from 0 to 1, rounded to nearest. */
static uint32_t half_bits(double value) {
    int exponent;
    const double fraction =
        frexp(value, &exponent); /* value = fraction * 2^exponent, fraction >= 1/2 */
    if (value <= 0)
        return 0;
    if (exponent < -13)
        return (uint32_t)lrint(ldexp(value, 24)); /* subnormal */
    return ((uint32_t)(exponent + 14) << 10) + (uint32_t)lrint((fraction * 2 - 1) * 1024);
}

/* A value from 0 to 1 in the component's full range. */
static uint32_t quantize(const AVPixFmtDescriptor *descriptor, int depth, double value) {
    if (descriptor->flags & AV_PIX_FMT_FLAG_FLOAT)
        return depth == 32 ? av_float2int((float)value) : half_bits(value);
    const double max = (double)((UINT64_C(1) << depth) - 1);
    return (uint32_t)llrint(fmin(fmax(value, 0), 1) * max);
}

/* Digital Y, Cb, Cr with `depth` bits: ITU-R BT.709-6 3.4 and 3.5 (limited), H.273 8.3 (full). */
static uint32_t quantize_ycbcr(const struct surface *surface, int component, int depth,
                               double value) {
    const double unit = ldexp(1, depth - 8);
    const double max = ldexp(1, depth) - 1;
    double level;
    if (surface->is_full_range)
        level = component == 0 ? value * max : value * max + 128 * unit;
    else
        level = component == 0 ? (16 + 219 * value) * unit : (128 + 224 * value) * unit;
    return (uint32_t)llrint(fmin(fmax(level, 0), max));
}

static double find_luma(const struct surface *surface, struct colour colour) {
    return surface->red_weight * colour.red + surface->blue_weight * colour.blue +
           (1 - surface->red_weight - surface->blue_weight) * colour.green;
}

/* CIE XYZ with D65, scaled and with gamma 2.6 as SMPTE ST 428-1 has it. */
static double find_xyz(struct colour colour, int component) {
    static const double matrix[3][3] = {
        {0.4124564, 0.3575761, 0.1804375},
        {0.2126729, 0.7151522, 0.0721750},
        {0.0193339, 0.1191920, 0.9503041},
    };
    const double linear = matrix[component][0] * pow(colour.red, 2.2) +
                          matrix[component][1] * pow(colour.green, 2.2) +
                          matrix[component][2] * pow(colour.blue, 2.2);
    return pow(linear * 48 / 52.37, 1 / 2.6);
}

/* The number that component `component` of `colour` has in memory. */
static uint32_t find_sample(const struct surface *surface, struct colour colour, int component) {
    const AVPixFmtDescriptor *descriptor = surface->descriptor;
    const int depth = descriptor->comp[component].depth;
    const bool has_alpha = descriptor->flags & AV_PIX_FMT_FLAG_ALPHA;
    if (has_alpha && component == descriptor->nb_components - 1)
        return quantize(descriptor, depth, 1);
    if (is_rgb(descriptor)) {
        const float parts[3] = {colour.red, colour.green, colour.blue};
        return quantize(descriptor, depth, parts[component]);
    }
    if (is_xyz(surface->name))
        return quantize(descriptor, depth, find_xyz(colour, component));

    const double luma = find_luma(surface, colour);
    if (is_grey(descriptor)) {
        const bool is_inverse = surface->pixel_format == AV_PIX_FMT_MONOWHITE;
        return quantize(descriptor, depth, is_inverse ? 1 - luma : luma);
    }
    if (component == 0)
        return quantize_ycbcr(surface, 0, depth, luma);
    const double difference = component == 1
                                  ? (colour.blue - luma) / (2 * (1 - surface->blue_weight))
                                  : (colour.red - luma) / (2 * (1 - surface->red_weight));
    return quantize_ycbcr(surface, component, depth, difference);
}

/* Pieces. */

/* Writes `samples` samples of a component from the piece's start, and tells whether libavutil reads
 * the same back: a format whose description does not hold together is found out here. */
static bool write_samples(const struct surface *surface, uint8_t *const bytes[PLANES],
                          int component, uint32_t value, int samples) {
    const int lines[PLANES] = {PIECE_BYTES, PIECE_BYTES, PIECE_BYTES, PIECE_BYTES};
    uint32_t values[PIECE_BYTES], back[PIECE_BYTES] = {0};
    for (int i = 0; i < samples; i++)
        values[i] = value;
    av_write_image_line2(values, (uint8_t **)bytes, lines, surface->descriptor, 0, 0, component,
                         samples, sizeof(values[0]));
    av_read_image_line2(back, (const uint8_t **)bytes, lines, surface->descriptor, 0, 0, component,
                        samples, 0, sizeof(back[0]));
    return memcmp(values, back, sizeof(back[0]) * (size_t)samples) == 0;
}

static bool build_described_pieces(const struct surface *surface, struct colour colour,
                                   struct piece pieces[PLANES]) {
    const AVPixFmtDescriptor *descriptor = surface->descriptor;
    /* libavutil reads and writes up to a word beyond the sample. */
    uint8_t room[PLANES][3 * PIECE_BYTES] = {{0}};
    uint8_t *bytes[PLANES];
    for (int i = 0; i < PLANES; i++)
        bytes[i] = room[i] + PIECE_BYTES;

    for (int i = 0; i < descriptor->nb_components; i++) {
        const bool is_chroma = !is_rgb(descriptor) && (i == 1 || i == 2);
        const struct surface_plane *plane = &surface->plane[descriptor->comp[i].plane];
        const int samples = 1 << (plane->shift_x - (is_chroma ? descriptor->log2_chroma_w : 0));
        if (!write_samples(surface, bytes, i, find_sample(surface, colour, i), samples))
            return false;
    }
    for (uint32_t i = 0; i < surface->planes; i++)
        for (int row = 0; row < 2; row++)
            memcpy(pieces[i].row[row], bytes[i], surface->plane[i].piece_bytes);
    return true;
}

/* Bayer mosaics have a name where others have a description: "bayer_rggb16le". */
static void build_bayer_piece(const struct surface *surface, struct colour colour,
                              struct piece *piece) {
    const char *pattern = surface->name + strlen("bayer_");
    const int depth = strncmp(pattern + 4, "16", 2) == 0 ? 16 : 8;
    const bool is_big = surface->descriptor->flags & AV_PIX_FMT_FLAG_BE;
    for (int i = 0; i < 4; i++) {
        const float part = pattern[i] == 'r'   ? colour.red
                           : pattern[i] == 'g' ? colour.green
                                               : colour.blue;
        const uint32_t value = quantize(surface->descriptor, depth, part);
        uint8_t *at = &piece->row[i / 2][i % 2 * depth / 8];
        if (depth == 8)
            *at = (uint8_t)value;
        else if (is_big)
            AV_WB16(at, value);
        else
            AV_WL16(at, value);
    }
}

/* Four pixels in six bytes, U Y Y V Y Y, which a step between samples cannot express. */
static void build_uyyvyy_piece(const struct surface *surface, struct colour colour,
                               struct piece *piece) {
    static const int component[6] = {1, 0, 0, 2, 0, 0};
    for (int row = 0; row < 2; row++)
        for (int i = 0; i < 6; i++)
            piece->row[row][i] = (uint8_t)find_sample(surface, colour, component[i]);
}

static bool build_pieces(const struct surface *surface, uint32_t number,
                         struct piece pieces[PLANES]) {
    const struct colour colour = surface->colour[number];
    if (surface->descriptor->flags & AV_PIX_FMT_FLAG_PAL)
        memset(&pieces[0], (int)number, sizeof(pieces[0]));
    else if (surface->is_bayer)
        build_bayer_piece(surface, colour, &pieces[0]);
    else if (surface->pixel_format == AV_PIX_FMT_UYYVYY411)
        build_uyyvyy_piece(surface, colour, &pieces[0]);
    else
        return build_described_pieces(surface, colour, pieces);
    return true;
}

/* What one plane's smallest piece is. */
static struct surface_plane measure_plane(const AVPixFmtDescriptor *descriptor, int number,
                                          const struct shmframe_plane *place) {
    int step = 0;
    bool has_chroma = false, has_full = false;
    for (int i = 0; i < descriptor->nb_components; i++) {
        if (descriptor->comp[i].plane != number)
            continue;
        step = FFMAX(step, descriptor->comp[i].step);
        if (!is_rgb(descriptor) && (i == 1 || i == 2))
            has_chroma = true;
        else
            has_full = true;
    }
    struct surface_plane plane = {.place = *place, .piece_bytes = (uint32_t)step};
    if (descriptor->flags & AV_PIX_FMT_FLAG_BITSTREAM) {
        plane.piece_bytes = 1;
        plane.shift_x = av_log2(8 / (unsigned)step);
    } else if (descriptor->flags & AV_PIX_FMT_FLAG_BAYER) {
        plane.piece_bytes *= 2;
        plane.shift_x = 1;
    } else if (has_chroma) {
        plane.shift_x = descriptor->log2_chroma_w;
        plane.shift_y = has_full ? 0 : descriptor->log2_chroma_h;
    }
    return plane;
}

static bool measure_planes(struct surface *surface, const struct shmframe_format *format) {
    const AVPixFmtDescriptor *descriptor = surface->descriptor;
    const bool has_palette = descriptor->flags & AV_PIX_FMT_FLAG_PAL;
    if (format->plane_count > PLANES)
        return false;
    surface->planes = format->plane_count;
    if (has_palette) {
        if (format->plane_count != 2 || format->plane[1].row_bytes < AVPALETTE_SIZE)
            return false;
        surface->palette = format->plane[1];
        surface->planes = 1;
    }
    for (uint32_t i = 0; i < surface->planes; i++) {
        surface->plane[i] = measure_plane(descriptor, (int)i, &format->plane[i]);
        if (surface->plane[i].piece_bytes == 0 || surface->plane[i].piece_bytes > PIECE_BYTES)
            return false;
    }
    return true;
}

int surface_create(const struct shmframe_format *format, const struct colour *colours,
                   uint32_t count, struct surface **out_surface) {
    assert(count >= 1 && count <= COLOURS);
    const enum AVPixelFormat pixel_format = av_get_pix_fmt(format->video.pixel_format);
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(pixel_format);
    if (!descriptor || descriptor->flags & AV_PIX_FMT_FLAG_HWACCEL)
        return -ENOTSUP;
    struct surface *surface = calloc(1, sizeof(*surface));
    if (!surface)
        return -ENOMEM;

    surface->pixel_format = pixel_format;
    surface->descriptor = descriptor;
    memcpy(surface->name, format->video.pixel_format, sizeof(surface->name));
    surface->is_full_range =
        strcmp(format->video.color_range, av_color_range_name(AVCOL_RANGE_JPEG)) == 0;
    surface->is_bayer = descriptor->flags & AV_PIX_FMT_FLAG_BAYER;
    surface->colours = count;
    memcpy(surface->colour, colours, sizeof(*colours) * count);
    choose_matrix(surface, format->video.color_space);

    bool is_paintable = measure_planes(surface, format);
    for (uint32_t i = 0; is_paintable && i < count; i++)
        is_paintable = build_pieces(surface, i, surface->piece[i]);
    if (!is_paintable) {
        surface_destroy(surface);
        return -ENOTSUP;
    }
    *out_surface = surface;
    return 0;
}

void surface_destroy(struct surface *surface) {
    free(surface);
}

/* Filling. */

/* Fills `bytes` bytes with copies of a piece, each copy twice as long as the one before. */
static void fill_row(uint8_t *row, size_t bytes, const uint8_t *piece, size_t piece_bytes) {
    if (piece_bytes == 1) {
        memset(row, piece[0], bytes);
        return;
    }
    size_t done = FFMIN(piece_bytes, bytes);
    memcpy(row, piece, done);
    while (done < bytes) {
        const size_t more = FFMIN(done, bytes - done);
        memcpy(row + done, row, more);
        done += more;
    }
}

static void fill_plane(const struct surface_plane *plane, uint8_t *slot, struct rect rect,
                       const struct piece *piece, bool is_alternating) {
    const size_t left = (size_t)AV_CEIL_RSHIFT(rect.left, plane->shift_x) * plane->piece_bytes;
    const size_t right =
        FFMIN((size_t)AV_CEIL_RSHIFT(rect.right, plane->shift_x) * plane->piece_bytes,
              plane->place.row_bytes);
    const int32_t top = AV_CEIL_RSHIFT(rect.top, plane->shift_y);
    const int32_t bottom =
        FFMIN(AV_CEIL_RSHIFT(rect.bottom, plane->shift_y), (int32_t)plane->place.rows);
    if (left >= right || top >= bottom)
        return;

    const size_t line = plane->place.line_bytes;
    uint8_t *row = slot + plane->place.offset + (size_t)top * line + left;
    const int32_t period = is_alternating ? 2 : 1;
    for (int32_t y = top; y < bottom; y++, row += line) {
        if (y < top + period)
            fill_row(row, right - left, piece->row[y & 1], plane->piece_bytes);
        else
            memcpy(row, row - (size_t)period * line, right - left);
    }
}

void surface_fill(const struct surface *surface, uint8_t *slot, struct rect rect, uint32_t colour) {
    assert(colour < surface->colours);
    for (uint32_t i = 0; i < surface->planes; i++)
        fill_plane(&surface->plane[i], slot, rect, &surface->piece[colour][i], surface->is_bayer);
}

void surface_fill_palette(const struct surface *surface, uint8_t *slot) {
    if (!surface->palette.rows)
        return;
    uint8_t *palette = slot + surface->palette.offset;
    memset(palette, 0, AVPALETTE_SIZE);
    for (uint32_t i = 0; i < surface->colours; i++) {
        const struct colour colour = surface->colour[i];
        /* Native-endian ARGB: libavutil/pixfmt.h, AV_PIX_FMT_PAL8. */
        const uint32_t entry = UINT32_C(0xff) << 24 | (uint32_t)lrintf(colour.red * 255) << 16 |
                               (uint32_t)lrintf(colour.green * 255) << 8 |
                               (uint32_t)lrintf(colour.blue * 255);
        memcpy(palette + 4 * (size_t)i, &entry, sizeof(entry));
    }
}

struct surface_grain surface_grain(const struct surface *surface) {
    struct surface_grain grain = {1, 1, 1, 1};
    grain.width = 1 << surface->plane[0].shift_x;
    grain.height = surface->is_bayer ? 2 : 1;
    grain.chroma_width = grain.width;
    grain.chroma_height = grain.height;
    for (uint32_t i = 1; i < surface->planes; i++) {
        grain.chroma_width = FFMAX(grain.chroma_width, 1 << surface->plane[i].shift_x);
        grain.chroma_height = FFMAX(grain.chroma_height, 1 << surface->plane[i].shift_y);
    }
    return grain;
}
