#include "x_cursor.h"

#include <stdlib.h>
#include <xcb/xfixes.h>

struct x_cursor_query x_cursor_ask(const struct x_target *target) {
    xcb_connection_t *connection = target->display->connection;
    return (struct x_cursor_query){
        .image = xcb_xfixes_get_cursor_image(connection).sequence,
        .place = xcb_translate_coordinates(connection, target->window,
                                           target->display->screen->root, 0, 0)
                     .sequence,
    };
}

struct x_cursor x_cursor_await(const struct x_target *target, struct x_cursor_query query) {
    xcb_xfixes_get_cursor_image_reply_t *image =
        x_display_await(target->display, query.image, NULL);
    xcb_translate_coordinates_reply_t *place = x_display_await(target->display, query.place, NULL);
    struct x_cursor cursor = {0};
    if (image && place) {
        cursor.area = (struct x_area){
            .x = image->x - image->xhot - place->dst_x - target->area.x,
            .y = image->y - image->yhot - place->dst_y - target->area.y,
            .width = image->width,
            .height = image->height,
        };
        cursor.serial = image->cursor_serial;
        cursor.image = image;
    } else {
        free(image);
    }
    free(place);
    return cursor;
}

void x_cursor_finish(struct x_cursor *cursor) {
    free(cursor->image);
    cursor->image = NULL;
}

static bool is_visible(const struct x_target *target, const struct x_cursor *cursor) {
    const struct x_area *area = &cursor->area;
    return area->x + (int32_t)area->width > 0 && area->y + (int32_t)area->height > 0 &&
           area->x < (int32_t)target->area.width && area->y < (int32_t)target->area.height;
}

bool x_cursor_is_same(const struct x_target *target, const struct x_cursor *a,
                      const struct x_cursor *b) {
    if (!is_visible(target, a) || !is_visible(target, b))
        return is_visible(target, a) == is_visible(target, b);
    return a->serial == b->serial && a->area.x == b->area.x && a->area.y == b->area.y;
}

void x_cursor_draw(const struct x_cursor *cursor, const struct x_target *target, uint8_t *data,
                   uint32_t line_bytes) {
    if (!cursor->image)
        return;
    const uint32_t *argb = xcb_xfixes_get_cursor_image_cursor_image(cursor->image);
    const struct x_pixel *pixel = &target->pixel;
    for (uint32_t row = 0; row < cursor->area.height; row++) {
        const int32_t y = cursor->area.y + (int32_t)row;
        if (y < 0 || y >= (int32_t)target->area.height)
            continue;
        for (uint32_t column = 0; column < cursor->area.width; column++) {
            const int32_t x = cursor->area.x + (int32_t)column;
            if (x >= 0 && x < (int32_t)target->area.width)
                x_pixel_blend(pixel,
                              data + (uint64_t)y * line_bytes + (uint64_t)x * (pixel->bits / 8),
                              argb[(uint64_t)row * cursor->area.width + column]);
        }
    }
}
