#include "level_reader.h"

#include <errno.h>
#include <stdlib.h>

struct level_reader {
    struct levels_counter *counter;
    uint8_t row[COMPONENTS_MAX + 1][COMPONENT_ROW_BYTES];
};

int level_reader_create(struct level_reader **out_reader) {
    struct level_reader *reader = calloc(1, sizeof(*reader));
    if (!reader || levels_counter_create(&reader->counter) < 0) {
        free(reader);
        return -ENOMEM;
    }
    *out_reader = reader;
    return 0;
}

void level_reader_destroy(struct level_reader *reader) {
    if (!reader)
        return;
    levels_counter_destroy(reader->counter);
    free(reader);
}

static uint32_t find_black_limit(double level, int depth, bool is_full) {
    const uint32_t values = 1u << depth;
    return (uint32_t)(is_full ? level * (values - 1)
                              : (16 + level * (235 - 16)) * ((double)values / 256));
}

/* Legal, in 8 bits: luma 16 to 235, chroma 16 to 240 (BT.601, BT.709). */
static void read_levels(const struct level_reader *reader, enum picture_color color, bool is_full,
                        struct levels *out_levels, int depth) {
    const uint32_t unit = depth > 8 ? 1u << (depth - 8) : 1;
    const uint32_t max = color == PICTURE_LUMA ? 235 : 240;
    levels_counter_read(reader->counter, is_full ? 0 : 16 * unit, is_full ? UINT32_MAX : max * unit,
                        out_levels);
}

static void count_rows(struct level_reader *reader, const struct component *component) {
    levels_counter_begin(reader->counter, component->depth);
    for (int y = 0; y < component->height; y++)
        levels_counter_add(reader->counter, component_row(component, y, reader->row[0]),
                           component->width);
}

static void count_rgb_luma(struct level_reader *reader, const struct components *components) {
    const struct component *red = &components->component[0];
    void *luma = reader->row[COMPONENTS_MAX];
    levels_counter_begin(reader->counter, red->depth);
    for (int y = 0; y < red->height; y++) {
        const void *rows[COMPONENTS_MAX];
        for (int i = 0; i < COMPONENTS_MAX; i++)
            rows[i] = component_row(&components->component[i], y, reader->row[i]);
        component_rgb_luma(rows, luma, red->width, red->depth);
        levels_counter_add(reader->counter, luma, red->width);
    }
}

void level_reader_read(struct level_reader *reader, const struct components *components,
                       double black_level, bool luma_alone, struct picture_tally *tally) {
    const bool is_full = components->is_full;
    const struct component *first = &components->component[0];
    if (components->is_rgb)
        count_rgb_luma(reader, components);
    else
        count_rows(reader, first);
    read_levels(reader, PICTURE_LUMA, is_full, &tally->levels[PICTURE_LUMA], first->depth);
    const uint64_t black =
        levels_counter_up_to(reader->counter, find_black_limit(black_level, first->depth, is_full));
    tally->black_measured = 1;
    tally->black_share_sum = (double)black / first->width / first->height;
    if (luma_alone)
        return;
    for (int i = components->is_rgb ? 0 : 1; i < components->count; i++) {
        const enum picture_color color = (components->is_rgb ? PICTURE_RED : PICTURE_LUMA) + i;
        count_rows(reader, &components->component[i]);
        read_levels(reader, color, is_full, &tally->levels[color], components->component[i].depth);
    }
}
