#include "chart_image.h"

#include <math.h>
#include <string.h>

cairo_surface_t *chart_image_begin(int width, int height) {
    return cairo_image_surface_create(CAIRO_FORMAT_ARGB32, width, height);
}

void chart_image_set(cairo_surface_t *image, int x, int y, struct chart_color color, double alpha) {
    uint8_t *data = cairo_image_surface_get_data(image);
    if (!data)
        return;
    /* Colours are multiplied by alpha. */
    const uint32_t pixel =
        (uint32_t)(alpha * 255) << 24 | (uint32_t)(alpha * color.red * 255) << 16 |
        (uint32_t)(alpha * color.green * 255) << 8 | (uint32_t)(alpha * color.blue * 255);
    memcpy(data + (ptrdiff_t)y * cairo_image_surface_get_stride(image) + (ptrdiff_t)x * 4, &pixel,
           sizeof(pixel));
}

void chart_image_end(cairo_surface_t *image, cairo_t *page, struct chart_area area) {
    if (cairo_surface_status(image) == CAIRO_STATUS_SUCCESS) {
        cairo_surface_mark_dirty(image);
        cairo_save(page);
        cairo_translate(page, area.x, area.y);
        cairo_scale(page, area.width / cairo_image_surface_get_width(image),
                    area.height / cairo_image_surface_get_height(image));
        cairo_set_source_surface(page, image, 0, 0);
        cairo_paint(page);
        cairo_restore(page);
    }
    cairo_surface_destroy(image);
}

double chart_brightness(uint64_t count, uint64_t most) {
    return count ? 0.2 + 0.8 * log1p((double)count) / log1p((double)most) : 0;
}
