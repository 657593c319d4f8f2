#include "layout.h"

#include <string.h>

enum {
    CORNERS_PER_EDGE = 4, /* so many small pictures would fit along the window's edge */
    MARGIN_SHARE = 64,    /* of the window, around small pictures */
    WIDE = 16,
    HIGH = 9, /* the shape that a grid is made for */
};

enum layout layout_parse(const char *text) {
    static const char *const names[] = {
        [LAYOUT_GRID] = "grid",
        [LAYOUT_PIP] = "pip",
        [LAYOUT_DIFFERENCE] = "difference",
    };
    for (int i = LAYOUT_GRID; i <= LAYOUT_DIFFERENCE; i++) {
        if (strcmp(names[i], text) == 0) {
            return (enum layout)i;
        }
    }
    return LAYOUT_AUTO;
}

static int divide_up(int value, int by) {
    return (value + by - 1) / by;
}

struct fit_size layout_grid(uint32_t count, struct fit_size window) {
    struct fit_size best = {1, 1};
    double best_size = -1;
    for (int columns = 1; columns <= (int)count; columns++) {
        const int rows = divide_up((int)count, columns);
        const double by_width = (double)window.width / columns / WIDE;
        const double by_height = (double)window.height / rows / HIGH;
        const double size = by_width < by_height ? by_width : by_height;
        if (size >= best_size) { /* rather side by side than one above the other */
            best_size = size;
            best = (struct fit_size){columns, rows};
        }
    }
    return best;
}

static void place_grid(uint32_t count, struct fit_size window, struct fit_area out_area[]) {
    const struct fit_size cells = layout_grid(count, window);
    for (int i = 0; i < (int)count; i++) {
        const int column = i % cells.width, row = i / cells.width;
        const int left = column * window.width / cells.width;
        const int top = row * window.height / cells.height;
        out_area[i] = (struct fit_area){
            .x = left,
            .y = top,
            .width = (column + 1) * window.width / cells.width - left,
            .height = (row + 1) * window.height / cells.height - top,
        };
    }
}

/* Corners first, clockwise from the lower right one every other time, then towards the middle of
 * the lower and the upper edge. */
static void place_corners(uint32_t count, struct fit_size window, struct fit_area out_area[]) {
    const int pairs = divide_up((int)count, 4); /* on either edge, one right and one left */
    const int slots = 2 * pairs > CORNERS_PER_EDGE ? 2 * pairs : CORNERS_PER_EDGE;
    const int margin = (window.width < window.height ? window.width : window.height) / MARGIN_SHARE;
    const int width = (window.width - (slots + 1) * margin) / slots;
    const int height = (window.height - (slots + 1) * margin) / slots;
    for (int i = 0; i < (int)count; i++) {
        const bool is_lower = i % 4 < 2, is_right = i % 2 == 0;
        const int from_edge = margin + i / 4 * (width + margin);
        out_area[i] = (struct fit_area){
            .x = is_right ? window.width - width - from_edge : from_edge,
            .y = is_lower ? window.height - height - margin : margin,
            .width = width > 0 ? width : 0,
            .height = height > 0 ? height : 0,
        };
    }
}

void layout_place(enum layout layout, uint32_t count, struct fit_size window,
                  struct fit_area out_area[]) {
    switch (layout) {
    case LAYOUT_AUTO:
    case LAYOUT_GRID:
        place_grid(count, window, out_area);
        break;
    case LAYOUT_PIP:
        place_grid(count > 0, window, out_area);
        if (count > 1) {
            place_corners(count - 1, window, out_area + 1);
        }
        break;
    case LAYOUT_DIFFERENCE:
        place_grid(count > 0, window, out_area);
        break;
    }
}

struct fit_area layout_free(const struct fit_area area[], uint32_t count, uint32_t index) {
    const struct fit_area *const under = &area[index];
    const int middle = under->x + under->width / 2, centre = under->y + under->height / 2;
    const int bottom = under->y + under->height;
    int left = under->x, right = under->x + under->width;
    for (uint32_t i = index + 1; i < count; i++) {
        const struct fit_area *const over = &area[i];
        if (over->x >= right || over->x + over->width <= left || over->y < centre ||
            over->y >= bottom) {
            continue;
        }
        if (over->x + over->width / 2 < middle) {
            left = over->x + over->width;
        } else {
            right = over->x;
        }
    }
    return (struct fit_area){left, under->y, right > left ? right - left : 0, under->height};
}

int layout_find(const struct fit_area area[], uint32_t count, struct fit_point point) {
    for (int i = (int)count - 1; i >= 0; i--) {
        if (point.x >= area[i].x && point.x < area[i].x + area[i].width && point.y >= area[i].y &&
            point.y < area[i].y + area[i].height) {
            return i;
        }
    }
    return -1;
}
