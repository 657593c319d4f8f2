#include "inspection.h"

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
    if (descriptor->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) {
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
    av_read_image_line2(&bits, planes, line_bytes, descriptor, x, y, component, 1,
                        (descriptor->flags & AV_PIX_FMT_FLAG_PAL) != 0, sizeof bits);
    if (!(descriptor->flags & AV_PIX_FMT_FLAG_FLOAT) || descriptor->comp[component].depth != 32) {
        return bits;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
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
    const int count = descriptor->nb_components;
    for (int i = 0; i < count && i < INSPECTION_COMPONENTS; i++) {
        snprintf(inspection->component[i].name, sizeof inspection->component[i].name, "%s",
                 name_component(descriptor, i));
        inspection->component[i].value = read_value(lease, descriptor, pixel, i);
        inspection->components++;
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
