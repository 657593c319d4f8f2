#include "scope.h"

#include "scaler.h"

/* Rows of a picture that are looked at, about. */
enum { ROWS = 96 };

/* The upper 8 bits of a sample; what lies in a slot may have bits above its depth. */
static uint8_t value_at(const void *row, int x, int depth) {
    if (depth > 8)
        return (uint8_t)(((const uint16_t *)row)[x] >> (depth - 8));
    return (uint8_t)(((const uint8_t *)row)[x] << (8 - depth));
}

static void add_luma(struct scope *scope, const void *row, const struct component *component) {
    for (int x = 0; x < component->width; x++)
        scope->luma[(int64_t)x * SCOPE_COLUMNS / component->width]
                   [value_at(row, x, component->depth)]++;
}

static void add_chroma(struct scope *scope, const void *cb, const void *cr,
                       const struct component *component) {
    for (int x = 0; x < component->width; x++)
        scope->chroma[value_at(cr, x, component->depth)][value_at(cb, x, component->depth)]++;
}

static uint8_t code_of(double value) {
    const int code = (int)(value + 128.5);
    return (uint8_t)(code < 0 ? 0 : code > 255 ? 255 : code);
}

/* BT.709: Cb is (B - Y) / 1.8556, Cr (R - Y) / 1.5748. */
static void add_rgb_chroma(struct scope *scope, const void *const rows[3], const void *luma,
                           const struct component *red) {
    for (int x = 0; x < red->width; x++) {
        const double y = value_at(luma, x, red->depth);
        const double cb = (value_at(rows[2], x, red->depth) - y) / 1.8556;
        const double cr = (value_at(rows[0], x, red->depth) - y) / 1.5748;
        scope->chroma[code_of(cr)][code_of(cb)]++;
    }
}

static void add_rgb_row(struct scope *scope, const struct components *components, int y) {
    const struct component *red = &components->component[0];
    const void *rows[COMPONENTS_MAX];
    for (int i = 0; i < COMPONENTS_MAX; i++)
        rows[i] = component_row(&components->component[i], y, scope->row[i]);
    void *luma = scope->row[COMPONENTS_MAX];
    component_rgb_luma(rows, luma, red->width, red->depth);
    add_luma(scope, luma, red);
    add_rgb_chroma(scope, rows, luma, red);
}

static void add_row(struct scope *scope, const struct components *components, int y) {
    const struct component *luma = &components->component[0];
    const struct component *cb = &components->component[1], *cr = &components->component[2];
    add_luma(scope, component_row(luma, y, scope->row[0]), luma);
    if (components->count < 3)
        return;
    const int chroma_y = (int)((int64_t)y * cb->height / luma->height);
    add_chroma(scope, component_row(cb, chroma_y, scope->row[1]),
               component_row(cr, chroma_y, scope->row[2]), cb);
}

void scope_add(struct scope *scope, const AVFrame *picture, const struct components *components) {
    enum AVColorRange range;
    picture_colors(picture, &scope->color_space, &range);
    scope->is_full = components->is_full;
    scope->has_chroma = components->count == COMPONENTS_MAX;
    const int height = components->component[0].height;
    const int step = height > ROWS ? height / ROWS : 1;
    for (int y = (int)(scope->pictures % (uint64_t)step); y < height; y += step) {
        if (components->is_rgb)
            add_rgb_row(scope, components, y);
        else
            add_row(scope, components, y);
    }
    scope->pictures++;
}
