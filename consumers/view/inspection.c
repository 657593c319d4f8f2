#include "inspection.h"

#include <ctype.h>
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>

static const char *name_component(const AVPixFmtDescriptor *descriptor, int component) {
    const bool has_alpha = descriptor->flags & AV_PIX_FMT_FLAG_ALPHA;
    if (has_alpha && component == descriptor->nb_components - 1) {
        return "A";
    }
    static const char *const rgb[] = {"R", "G", "B"}, *const yuv[] = {"Y", "U", "V"},
                             *const xyz[] = {"X", "Y", "Z"};
    if (descriptor->flags & AV_PIX_FMT_FLAG_RGB) {
        return rgb[component];
    }
    return strncmp(descriptor->name, "xyz", 3) == 0 ? xyz[component] : yuv[component];
}

/* One component of one pixel; floats are numbers of the IEEE. */
static double read_value(const struct shmframe_lease *lease, const AVPixFmtDescriptor *descriptor,
                         struct fit_point pixel, int component) {
    const uint8_t *planes[4] = {0};
    int line_bytes[4] = {0};
    for (unsigned i = 0; i < 4 && i < lease->format->plane_count; i++) {
        planes[i] = shmframe_lease_plane(lease, i);
        line_bytes[i] = (int)lease->format->plane[i].line_bytes;
    }
    const bool is_chroma =
        !(descriptor->flags & AV_PIX_FMT_FLAG_RGB) && (component == 1 || component == 2);
    const int x = is_chroma ? pixel.x >> descriptor->log2_chroma_w : pixel.x;
    const int y = is_chroma ? pixel.y >> descriptor->log2_chroma_h : pixel.y;
    uint32_t bits = 0;
    av_read_image_line2(&bits, planes, line_bytes, descriptor, x, y, component, 1, 0, sizeof bits);
    if (!(descriptor->flags & AV_PIX_FMT_FLAG_FLOAT) || descriptor->comp[component].depth != 32) {
        return bits;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static void add(struct inspection *inspection, const char *name, double value) {
    snprintf(inspection->component[inspection->components].name,
             sizeof inspection->component[0].name, "%s", name);
    inspection->component[inspection->components++].value = value;
}

static const uint8_t *find_pixel(const struct shmframe_lease *lease, struct fit_point pixel,
                                 size_t pixel_bytes) {
    return shmframe_lease_plane(lease, 0) + (size_t)pixel.y * lease->format->plane[0].line_bytes +
           (size_t)pixel.x * pixel_bytes;
}

/* The palette is the second plane: 256 words of 32 bits in the machine's order, alpha uppermost. */
static void read_palette(struct inspection *inspection, const struct shmframe_lease *lease) {
    const uint8_t index = *find_pixel(lease, inspection->pixel, 1);
    uint32_t color;
    memcpy(&color, shmframe_lease_plane(lease, 1) + index * sizeof color, sizeof color);
    add(inspection, "index", index);
    add(inspection, "R", color >> 16 & 255);
    add(inspection, "G", color >> 8 & 255);
    add(inspection, "B", color & 255);
    add(inspection, "A", color >> 24);
}

/* A sample a pixel, whose colour the name of the format has for each four: "bayer_rggb8". Their
 * depths in the descriptor are those of the colours that could be made of them. */
static void read_mosaic(struct inspection *inspection, const struct shmframe_lease *lease,
                        const AVPixFmtDescriptor *descriptor) {
    static const char before[] = "bayer_";
    const struct fit_point pixel = inspection->pixel;
    const size_t bytes = (size_t)descriptor->comp[0].step;
    const uint8_t *const at = find_pixel(lease, pixel, bytes);
    const bool is_big = descriptor->flags & AV_PIX_FMT_FLAG_BE;
    const unsigned value = bytes == 1 ? at[0]
                           : is_big   ? (unsigned)at[0] << 8 | at[1]
                                      : (unsigned)at[1] << 8 | at[0];
    const char letter = descriptor->name[sizeof before - 1 + 2 * (pixel.y & 1) + (pixel.x & 1)];
    add(inspection, (char[]){(char)toupper(letter), '\0'}, value);
}

int inspection_read(struct inspection *inspection, const struct shmframe_lease *lease,
                    struct fit_point pixel) {
    const struct shmframe_video_format *const video = &lease->format->video;
    const AVPixFmtDescriptor *const descriptor =
        av_pix_fmt_desc_get(av_get_pix_fmt(video->pixel_format));
    if (!descriptor || descriptor->flags & AV_PIX_FMT_FLAG_HWACCEL) {
        return -ENOTSUP;
    }
    if (pixel.x < 0 || pixel.y < 0 || pixel.x >= (int)video->width ||
        pixel.y >= (int)video->height) {
        return -EINVAL;
    }
    *inspection = (struct inspection){.sequence = lease->frame.sequence, .pixel = pixel};
    snprintf(inspection->stream, sizeof inspection->stream, "%s", lease->stream);
    if (descriptor->flags & AV_PIX_FMT_FLAG_PAL) {
        read_palette(inspection, lease);
        return 0;
    }
    if (descriptor->flags & AV_PIX_FMT_FLAG_BAYER) {
        read_mosaic(inspection, lease, descriptor);
        return 0;
    }
    for (int i = 0; i < descriptor->nb_components; i++) {
        add(inspection, name_component(descriptor, i), read_value(lease, descriptor, pixel, i));
    }
    return 0;
}

void inspection_describe(const struct inspection *inspection, char *out_text, size_t text_bytes) {
    size_t used = 0;
    out_text[0] = '\0';
    for (uint32_t i = 0; i < inspection->components && used < text_bytes; i++) {
        used += (size_t)snprintf(out_text + used, text_bytes - used, "%s%s %g", i > 0 ? "  " : "",
                                 inspection->component[i].name, inspection->component[i].value);
    }
}
