#include "levels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Equal neighbours are counted in different tables, so that one count need not wait for the other:
 * flat pictures would take four times as long. Tables of deep samples are large: two of them still
 * find room in the cache. */
enum { TABLES = 4, NARROW_DEPTH = 12, TABLE_SIZE = 1 << 16, BIN_SHIFT = 8, FULL_DEPTH = 16 };

struct levels_counter {
    int depth;
    uint32_t table[TABLES][TABLE_SIZE];
};

int levels_counter_create(struct levels_counter **out_counter) {
    *out_counter = calloc(1, sizeof(**out_counter));
    return *out_counter ? 0 : -ENOMEM;
}

void levels_counter_destroy(struct levels_counter *counter) {
    free(counter);
}

void levels_counter_begin(struct levels_counter *counter, int depth) {
    counter->depth = depth;
    for (int i = 0; i < TABLES; i++)
        memset(counter->table[i], 0, sizeof(counter->table[i][0]) << depth);
}

static void add_bytes(struct levels_counter *counter, const uint8_t *row, int width) {
    int x = 0;
    for (; x + 8 <= width; x += 8) {
        uint64_t eight;
        memcpy(&eight, row + x, sizeof(eight));
        counter->table[0][eight & 255]++;
        counter->table[1][eight >> 8 & 255]++;
        counter->table[2][eight >> 16 & 255]++;
        counter->table[3][eight >> 24 & 255]++;
        counter->table[0][eight >> 32 & 255]++;
        counter->table[1][eight >> 40 & 255]++;
        counter->table[2][eight >> 48 & 255]++;
        counter->table[3][eight >> 56]++;
    }
    for (; x < width; x++)
        counter->table[0][row[x]]++;
}

/* What lies in a slot may have bits above its depth. */
static void add_words(struct levels_counter *counter, const uint16_t *row, int width) {
    const uint32_t mask = (1u << counter->depth) - 1;
    int x = 0;
    for (; counter->depth > NARROW_DEPTH && x + 2 <= width; x += 2) {
        counter->table[0][row[x] & mask]++;
        counter->table[1][row[x + 1] & mask]++;
    }
    for (; x + TABLES <= width; x += TABLES) {
        counter->table[0][row[x] & mask]++;
        counter->table[1][row[x + 1] & mask]++;
        counter->table[2][row[x + 2] & mask]++;
        counter->table[3][row[x + 3] & mask]++;
    }
    for (; x < width; x++)
        counter->table[0][row[x] & mask]++;
}

void levels_counter_add(struct levels_counter *counter, const void *row, int width) {
    if (counter->depth > 8)
        add_words(counter, row, width);
    else
        add_bytes(counter, row, width);
}

static uint64_t count_value(const struct levels_counter *counter, uint32_t value) {
    uint64_t count = 0;
    for (int i = 0; i < TABLES; i++)
        count += counter->table[i][value];
    return count;
}

uint64_t levels_counter_up_to(const struct levels_counter *counter, uint32_t value) {
    const uint32_t end = 1u << counter->depth;
    uint64_t count = 0;
    for (uint32_t i = 0; i <= value && i < end; i++)
        count += count_value(counter, i);
    return count;
}

void levels_counter_read(const struct levels_counter *counter, uint32_t legal_min,
                         uint32_t legal_max, struct levels *out_levels) {
    *out_levels = (struct levels){.depth = counter->depth};
    const int shift = FULL_DEPTH - counter->depth;
    uint64_t sum = 0;
    for (uint32_t value = 0; value < 1u << counter->depth; value++) {
        const uint64_t count = count_value(counter, value);
        if (count == 0)
            continue;
        const uint32_t full = value << shift;
        if (out_levels->samples == 0)
            out_levels->min = full;
        out_levels->max = full;
        out_levels->samples += count;
        out_levels->below += value < legal_min ? count : 0;
        out_levels->above += value > legal_max ? count : 0;
        out_levels->histogram[full >> BIN_SHIFT] += count;
        sum += count * full;
    }
    out_levels->sum = (double)sum;
}

void levels_add(struct levels *sum, const struct levels *levels) {
    if (levels->samples == 0)
        return;
    if (sum->samples == 0 || levels->min < sum->min)
        sum->min = levels->min;
    if (levels->max > sum->max)
        sum->max = levels->max;
    sum->samples += levels->samples;
    sum->below += levels->below;
    sum->above += levels->above;
    sum->sum += levels->sum;
    for (int i = 0; i < LEVELS_BINS; i++)
        sum->histogram[i] += levels->histogram[i];
    sum->depth = levels->depth;
}

static void set_number(json_t *object, const char *name, const char *what, double value) {
    char key[64];
    snprintf(key, sizeof(key), "%s_%s", name, what);
    json_object_set_new(object, key, json_real(value));
}

static json_t *make_histogram(const struct levels *levels, uint32_t bins) {
    json_t *shares = json_array();
    uint32_t from = 0;
    for (uint32_t bin = 1; bin <= bins; bin++) {
        const uint32_t to = bin * LEVELS_BINS / bins;
        uint64_t count = 0;
        for (; from < to; from++)
            count += levels->histogram[from];
        json_array_append_new(shares, json_real((double)count / (double)levels->samples));
    }
    return shares;
}

void levels_report(const struct levels *levels, const char *name, uint32_t bins, json_t *object) {
    if (levels->samples == 0)
        return;
    const double scale = 1u << (FULL_DEPTH - levels->depth);
    const double samples = (double)levels->samples;
    set_number(object, name, "min", levels->min / scale);
    set_number(object, name, "max", levels->max / scale);
    set_number(object, name, "mean", levels->sum / samples / scale);
    set_number(object, name, "below_share", (double)levels->below / samples);
    set_number(object, name, "above_share", (double)levels->above / samples);
    if (bins) {
        char key[64];
        snprintf(key, sizeof(key), "%s_histogram", name);
        json_object_set_new(object, key, make_histogram(levels, bins));
    }
}
