#include "mark_strip.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mark_strip_reader {
    const struct luma *luma;
    uint8_t *row;
    float *line; /* of one height, or the mean of several; one more than the row */
};

int mark_strip_reader_create(const struct luma *luma, struct mark_strip_reader **out_reader) {
    struct mark_strip_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    reader->luma = luma;
    reader->row = malloc(luma->width);
    reader->line = malloc(luma->width * sizeof(*reader->line));
    if (!reader->row || !reader->line) {
        mark_strip_reader_destroy(reader);
        return -ENOMEM;
    }
    *out_reader = reader;
    return 0;
}

void mark_strip_reader_destroy(struct mark_strip_reader *reader) {
    if (!reader)
        return;
    free(reader->row);
    free(reader->line);
    free(reader);
}

/* How many places of a cell are looked at along one side, and how far they are apart. */
static int choose_places(float size, float *out_apart) {
    enum { SMALL = 3 };
    *out_apart = size * 0.2f;
    return size < SMALL ? 1 : 3;
}

struct span {
    uint32_t left, count;
};

/* Adds `weight` times a row. */
static void add_row(struct mark_strip_reader *reader, const uint8_t *data, uint32_t y,
                    struct span span, float weight) {
    luma_row(reader->luma, data, y, span.left, span.count, reader->row);
    for (uint32_t x = 0; x < span.count; x++)
        reader->line[x] += weight * (float)reader->row[x];
}

/* The part of the picture around height `y`, between the middles of two rows. */
static void add_height(struct mark_strip_reader *reader, const uint8_t *data, float y,
                       struct span span, float weight) {
    const float last = (float)(reader->luma->height - 1);
    const float place = fminf(fmaxf(y - 0.5f, 0), last);
    const uint32_t above = (uint32_t)place;
    const float part = place - (float)above;
    add_row(reader, data, above, span, weight * (1 - part));
    if (part > 0)
        add_row(reader, data, above + 1, span, weight * part);
}

/* The level around `x`, likewise. */
static float read_place(const struct mark_strip_reader *reader, struct span span, float x) {
    const float last = (float)(span.count - 1);
    const float place = fminf(fmaxf(x - 0.5f - (float)span.left, 0), last);
    const uint32_t before = (uint32_t)place;
    const float part = place - (float)before;
    const float level = reader->line[before];
    return part > 0 ? level + part * (reader->line[before + 1] - level) : level;
}

static void see_row(struct mark_strip_reader *reader, const uint8_t *data,
                    const struct mark_strip *strip, int row, float *out_levels) {
    const float begin = fmaxf(strip->left, 0);
    const float end = fminf(ceilf(strip->left + MARK_STRIP_COLUMNS * strip->cell_width),
                            (float)reader->luma->width);
    const struct span span = {(uint32_t)begin, (uint32_t)end - (uint32_t)begin};
    for (uint32_t x = 0; x < span.count; x++)
        reader->line[x] = 0;
    float apart;
    int places = choose_places(strip->cell_height, &apart);
    const float y = strip->top + ((float)(MARK_TOP + row) + 0.5f) * strip->cell_height;
    for (int i = 0; i < places; i++)
        add_height(reader, data, y + (float)(i - places / 2) * apart, span, 1.0f / (float)places);
    places = choose_places(strip->cell_width, &apart);
    for (int column = 0; column < MARK_STRIP_COLUMNS; column++) {
        const float x = strip->left + ((float)column + 0.5f) * strip->cell_width;
        float sum = 0;
        for (int i = 0; i < places; i++)
            sum += read_place(reader, span, x + (float)(i - places / 2) * apart);
        out_levels[column] = sum / (float)places;
    }
}

/* Written so that what is no number is outside. */
static bool is_inside(const struct luma *luma, const struct mark_strip *strip) {
    const float left = strip->left + strip->cell_width, top = strip->top + strip->cell_height;
    const float right = strip->left + (MARK_STRIP_COLUMNS - 1) * strip->cell_width;
    const float bottom = strip->top + (MARK_STRIP_ROWS - 1) * strip->cell_height;
    return strip->cell_width >= 1 && strip->cell_height >= 1 && left >= -1 && top >= -1 &&
           right <= (float)luma->width + 1 && bottom <= (float)luma->height + 1;
}

/* The levels of black and white: the means of those below and above the middle, which is the middle
 * of both. */
static bool find_levels(const float levels[MARK_CELLS], float *out_middle, float *out_half) {
    enum { ROUNDS = 4, CONTRAST_MIN = 6 };
    float low = levels[0], high = levels[0];
    for (int i = 1; i < MARK_CELLS; i++) {
        low = fminf(low, levels[i]);
        high = fmaxf(high, levels[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        const float middle = (low + high) / 2;
        float sum[2] = {0};
        int count[2] = {0};
        for (int i = 0; i < MARK_CELLS; i++) {
            sum[levels[i] > middle] += levels[i];
            count[levels[i] > middle]++;
        }
        if (!count[0] || !count[1])
            return false;
        low = sum[0] / (float)count[0];
        high = sum[1] / (float)count[1];
    }
    *out_middle = (low + high) / 2;
    *out_half = (high - low) / 2;
    return high - low >= CONTRAST_MIN;
}

/* The guards never change, so that encoders keep them longest: what does not show them is no strip,
 * which is quicker to tell than that it cannot be decoded. */
static bool has_guards(float levels[MARK_ROWS][MARK_STRIP_COLUMNS], float middle) {
    enum { WRONG_MAX = 12 /* of 50 */, GUARD = 5 };
    static const bool is_black[GUARD] = {true, true, false, true, false};
    int wrong = 0;
    for (int row = 0; row < MARK_ROWS; row++)
        for (int i = 0; i < GUARD; i++) {
            wrong += (levels[row][1 + i] < middle) != is_black[i];
            wrong += (levels[row][MARK_STRIP_COLUMNS - 2 - i] < middle) != is_black[i];
        }
    return wrong <= WRONG_MAX;
}

bool mark_strip_see(struct mark_strip_reader *reader, const uint8_t *data,
                    const struct mark_strip *strip, float out_cells[MARK_CELLS]) {
    if (!is_inside(reader->luma, strip))
        return false;
    float levels[MARK_ROWS][MARK_STRIP_COLUMNS];
    for (int row = 0; row < MARK_ROWS; row++) {
        see_row(reader, data, strip, row, levels[row]);
        memcpy(out_cells + (size_t)row * MARK_COLUMNS, levels[row] + MARK_LEFT,
               MARK_COLUMNS * sizeof(*out_cells));
    }
    float middle, half;
    if (!find_levels(out_cells, &middle, &half) || !has_guards(levels, middle))
        return false;
    for (int i = 0; i < MARK_CELLS; i++)
        out_cells[i] = (middle - out_cells[i]) / half;
    return true;
}

/* Around the contents there is white, but for the guards, whose innermost cell is white too. */
static float get_cell(const float cells[MARK_CELLS], int column, int row) {
    const bool is_contents = column >= 0 && column < MARK_COLUMNS && row >= 0 && row < MARK_ROWS;
    return is_contents ? cells[row * MARK_COLUMNS + column] : -1;
}

/* Takes from each cell what its four neighbours put into it. */
static void sharpen(const float cells[MARK_CELLS], float part, float out_cells[MARK_CELLS]) {
    for (int row = 0; row < MARK_ROWS; row++)
        for (int column = 0; column < MARK_COLUMNS; column++) {
            const float neighbours =
                get_cell(cells, column - 1, row) + get_cell(cells, column + 1, row) +
                get_cell(cells, column, row - 1) + get_cell(cells, column, row + 1);
            out_cells[row * MARK_COLUMNS + column] =
                (get_cell(cells, column, row) - part * neighbours) / (1 - part);
        }
}

bool mark_strip_decode(const float cells[MARK_CELLS], struct mark *out_mark,
                       uint32_t *out_corrected) {
    static const float parts[] = {0, 0.1f, 0.2f};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        float sharp[MARK_CELLS];
        sharpen(cells, parts[i], sharp);
        if (mark_decode(sharp, out_mark, out_corrected))
            return true;
    }
    return false;
}
