#include "level_reader.h"

#include <errno.h>
#include <stdlib.h>

/* One for each component, and for the luma of RGB. */
enum { LUMA_OF_RGB = COMPONENTS_MAX, COUNTERS };

struct level_reader {
    struct levels_counter *counter[COUNTERS];
    uint8_t row[COUNTERS][COMPONENT_ROW_BYTES];
};

int level_reader_create(struct level_reader **out_reader) {
    struct level_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    for (int i = 0; i < COUNTERS; i++) {
        if (levels_counter_create(&reader->counter[i]) < 0) {
            level_reader_destroy(reader);
            return -ENOMEM;
        }
    }
    *out_reader = reader;
    return 0;
}

void level_reader_destroy(struct level_reader *reader) {
    if (!reader)
        return;
    for (int i = 0; i < COUNTERS; i++)
        levels_counter_destroy(reader->counter[i]);
    free(reader);
}

static void count_row(struct level_reader *reader, const struct components *components, int index,
                      int y) {
    const struct component *component = &components->component[index];
    if (y < component->height)
        levels_counter_add(reader->counter[index], component_row(component, y, reader->row[index]),
                           component->width);
}

/* Components that lie in the same memory go row by row together, which finds them in the cache, the
 * others one after another, which leaves the cache to one counter. */
static void count_samples(struct level_reader *reader, const struct components *components,
                          int count) {
    const struct component *first = &components->component[0];
    const bool is_packed = first->step_bytes > first->word_bytes;
    for (int i = 0; i < count; i++)
        levels_counter_begin(reader->counter[i], components->component[i].depth);
    for (int i = 0; i < count && !is_packed; i++)
        for (int y = 0; y < components->component[i].height; y++)
            count_row(reader, components, i, y);
    for (int y = 0; y < first->height && is_packed; y++)
        for (int i = 0; i < count; i++)
            count_row(reader, components, i, y);
}

static void count_rgb(struct level_reader *reader, const struct components *components,
                      bool luma_alone) {
    const struct component *red = &components->component[0];
    for (int i = 0; i < COUNTERS; i++)
        levels_counter_begin(reader->counter[i], red->depth);
    for (int y = 0; y < red->height; y++) {
        const void *rows[COMPONENTS_MAX];
        for (int i = 0; i < COMPONENTS_MAX; i++) {
            rows[i] = component_row(&components->component[i], y, reader->row[i]);
            if (!luma_alone)
                levels_counter_add(reader->counter[i], rows[i], red->width);
        }
        component_rgb_luma(rows, reader->row[LUMA_OF_RGB], red->width, red->depth);
        levels_counter_add(reader->counter[LUMA_OF_RGB], reader->row[LUMA_OF_RGB], red->width);
    }
}

/* Legal, in 8 bits: luma 16 to 235, chroma 16 to 240 (BT.601, BT.709). */
static void read_levels(const struct levels_counter *counter, enum picture_color color,
                        bool is_full, int depth, struct levels *out_levels) {
    const uint32_t unit = depth > 8 ? 1u << (depth - 8) : 1;
    const uint32_t max = color == PICTURE_LUMA ? 235 : 240;
    levels_counter_read(counter, is_full ? 0 : 16 * unit, is_full ? UINT32_MAX : max * unit,
                        out_levels);
}

static uint32_t find_black_limit(double level, int depth, bool is_full) {
    const uint32_t values = 1u << depth;
    return (uint32_t)(is_full ? level * (values - 1)
                              : (16 + level * (235 - 16)) * ((double)values / 256));
}

void level_reader_read(struct level_reader *reader, const struct components *components,
                       double black_level, bool luma_alone, struct picture_tally *tally) {
    const bool is_full = components->is_full;
    const struct component *first = &components->component[0];
    if (components->is_rgb)
        count_rgb(reader, components, luma_alone);
    else
        count_samples(reader, components, luma_alone ? 1 : components->count);
    const struct levels_counter *luma = reader->counter[components->is_rgb ? LUMA_OF_RGB : 0];
    read_levels(luma, PICTURE_LUMA, is_full, first->depth, &tally->levels[PICTURE_LUMA]);
    const uint64_t black =
        levels_counter_up_to(luma, find_black_limit(black_level, first->depth, is_full));
    tally->black_measured = 1;
    tally->black_share_sum = (double)black / first->width / first->height;
    if (luma_alone)
        return;
    for (int i = components->is_rgb ? 0 : 1; i < components->count; i++) {
        const enum picture_color color = (components->is_rgb ? PICTURE_RED : PICTURE_LUMA) + i;
        read_levels(reader->counter[i], color, is_full, components->component[i].depth,
                    &tally->levels[color]);
    }
}
