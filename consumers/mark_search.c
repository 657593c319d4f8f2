#include "mark_search.h"

#include "mark_guard.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows apart: the guards of the smallest strip are ten pixels high. */
enum { ROW_STEP = 4 };
/* Ways to look, one after another while nothing is found: levels of 255 that an edge has at least,
 * and pixels each way that are seen as one, which takes noise away. */
static const struct way {
    int swing;
    uint32_t pixels;
} ways[] = {{24, 1}, {10, 1}, {24, ROW_STEP}};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };
/* Strips that are read: one for each row that has been searched, and at first as many: no picture
 * can keep a search busy, and what stands below many that are no strips is found still. */
enum { READ_FIRST = 64 };
enum { FAILED_MAX = 32 };
/* Rows of a bar that are looked at, for each row of the picture that has been searched, and at
 * first as many as the four ends of two bars need: long bars anywhere cost a search no more than
 * that, and what stands below them is found still. */
enum { WALK = 64, WALK_FIRST = 4 };
/* A bar that does not end is looked at again after this part of what was walked along it. */
enum { WALK_AGAIN = 16 };

/* Where nothing was read: not tried again before row `until`. */
struct failed {
    struct mark_guards guards;
    uint32_t until;
};

struct mark_search {
    const struct luma *luma;
    struct mark_strip_reader *reader;
    uint8_t *row;
    uint16_t *sums; /* of the levels of several rows */
    struct mark_edge *edges;
    uint32_t found, read;
    uint64_t walked; /* rows of bars */
    uint32_t failures;
    struct failed failed[FAILED_MAX]; /* the newest ones */
};

int mark_search_create(const struct luma *luma, struct mark_strip_reader *reader,
                       struct mark_search **out_search) {
    struct mark_search *search = calloc(1, sizeof(*search));
    if (!search)
        return -ENOMEM;
    search->luma = luma;
    search->reader = reader;
    search->row = malloc(luma->width);
    search->sums = malloc(luma->width * sizeof(*search->sums));
    search->edges = malloc(luma->width * sizeof(*search->edges));
    if (!search->row || !search->sums || !search->edges) {
        mark_search_destroy(search);
        return -ENOMEM;
    }
    *out_search = search;
    return 0;
}

void mark_search_destroy(struct mark_search *search) {
    if (!search)
        return;
    free(search->row);
    free(search->sums);
    free(search->edges);
    free(search);
}

/* The mean level from `left` to `right` in row `y`. */
static float read_span(const struct mark_search *search, const uint8_t *data, float left,
                       float right, uint32_t y) {
    enum { PIXELS_MAX = 16 };
    uint8_t levels[PIXELS_MAX];
    const uint32_t last = search->luma->width - 1;
    const uint32_t first = (uint32_t)fminf(fmaxf(left, 0), (float)last);
    const uint32_t wanted = (uint32_t)fmaxf(right - left, 1), room = last + 1 - first;
    uint32_t count = wanted < PIXELS_MAX ? wanted : PIXELS_MAX, sum = 0;
    count = count < room ? count : room;
    luma_row(search->luma, data, y, first, count, levels);
    for (uint32_t i = 0; i < count; i++)
        sum += levels[i];
    return (float)sum / (float)count;
}

struct bar {
    float left, right; /* the middle of what is black */
    float white;       /* level beside it */
};

/* From row `y` up or down along a black bar: where it ends. False: it does not. */
static bool follow_bar(struct mark_search *search, const uint8_t *data, struct bar bar, uint32_t y,
                       int step, float *out_end) {
    float before = read_span(search, data, bar.left, bar.right, y);
    const float middle = (before + bar.white) / 2;
    /* It is as wide as a cell, of which it is five high; cells are at most eight times as high as
     * wide. */
    const uint32_t rows_max = (uint32_t)(MARK_ROWS * 8 * (bar.right - bar.left)) + 2;
    for (uint32_t i = 0; i < rows_max; i++) {
        if (step < 0 ? y == 0 : y + 1 >= search->luma->height)
            return false;
        y += (uint32_t)step;
        search->walked++;
        const float level = read_span(search, data, bar.left, bar.right, y);
        if (level > middle) {
            const float part = (middle - before) / (level - before);
            *out_end = (float)y + 0.5f - (float)step * (1 - part);
            return true;
        }
        before = level;
    }
    return false;
}

struct extent {
    float top, bottom;
};

static bool measure_bar(struct mark_search *search, const uint8_t *data,
                        const struct mark_guards *guards, bool is_right, uint32_t y,
                        struct extent *out_extent) {
    const float width = guards->cell_width;
    /* Columns of the middle of the bar that is two cells wide, and of the white one beside it. */
    const float black = is_right ? MARK_STRIP_COLUMNS - 2 : 2;
    const float white = is_right ? MARK_STRIP_COLUMNS - 3.5f : 3.5f;
    const float left = guards->left;
    const struct bar bar = {
        .left = left + (black - 0.5f) * width,
        .right = left + (black + 0.5f) * width,
        .white = read_span(search, data, left + (white - 0.25f) * width,
                           left + (white + 0.25f) * width, y),
    };
    return follow_bar(search, data, bar, y, -1, &out_extent->top) &&
           follow_bar(search, data, bar, y, 1, &out_extent->bottom);
}

/* Both bars have the same height, and are where the other one is. */
static bool measure(struct mark_search *search, const uint8_t *data,
                    const struct mark_guards *guards, uint32_t y, struct mark_strip *out_strip) {
    struct extent left, right;
    if (!measure_bar(search, data, guards, false, y, &left) ||
        !measure_bar(search, data, guards, true, y, &right))
        return false;
    const float top = (left.top + right.top) / 2, bottom = (left.bottom + right.bottom) / 2;
    const float height = (bottom - top) / MARK_ROWS;
    const float tolerance = height * 0.6f + 0.5f;
    *out_strip =
        (struct mark_strip){guards->left, top - MARK_TOP * height, guards->cell_width, height};
    return fabsf(left.top - right.top) < tolerance && fabsf(left.bottom - right.bottom) < tolerance;
}

/* Guards that are not the same may be a few cells apart: what the contents look like by chance. */
static bool is_same(const struct mark_guards *a, const struct mark_guards *b) {
    const float left = a->left - b->left;
    const float right = left + MARK_STRIP_COLUMNS * (a->cell_width - b->cell_width);
    return fabsf(left) < 0.5f * a->cell_width && fabsf(right) < 0.5f * a->cell_width;
}

/* Whether that place was read already, or tried in vain a moment ago. */
static bool is_known(const struct mark_search *search, const struct mark_reading *readings,
                     const struct mark_guards *guards, uint32_t y) {
    for (uint32_t i = 0; i < search->found; i++) {
        const struct mark_strip *strip = &readings[i].strip;
        if (fabsf(strip->left - guards->left) < strip->cell_width &&
            (float)y < strip->top + MARK_STRIP_ROWS * strip->cell_height)
            return true;
    }
    for (uint32_t i = 0; i < FAILED_MAX; i++)
        if (y < search->failed[i].until && is_same(&search->failed[i].guards, guards))
            return true;
    return false;
}

static void note_failure(struct mark_search *search, const struct mark_guards *guards,
                         uint32_t until) {
    search->failed[search->failures++ % FAILED_MAX] = (struct failed){*guards, until};
}

static void try_guards(struct mark_search *search, const uint8_t *data,
                       const struct mark_guards *guards, uint32_t y,
                       struct mark_reading readings[MARK_READINGS_MAX]) {
    const uint64_t walk_max = WALK_FIRST * (uint64_t)search->luma->height + WALK * (uint64_t)y;
    if (search->found == MARK_READINGS_MAX || search->read >= READ_FIRST + y / ROW_STEP ||
        search->walked >= walk_max || is_known(search, readings, guards, y))
        return;
    struct mark_reading *reading = &readings[search->found];
    float cells[MARK_CELLS];
    const uint64_t before = search->walked;
    if (!measure(search, data, guards, y, &reading->strip)) {
        const uint32_t again = (uint32_t)(search->walked - before) / WALK_AGAIN;
        if (again >= ROW_STEP)
            note_failure(search, guards, y + again + 1);
        return;
    }
    search->read++;
    if (mark_strip_see(search->reader, data, &reading->strip, cells) &&
        mark_strip_decode(cells, &reading->mark, &reading->corrected))
        search->found++;
    else
        note_failure(search, guards, y + (uint32_t)reading->strip.cell_height + 1);
}

/* The rows from `y` on as one, and the columns too; returns how many pixels that makes. */
static uint32_t read_row(struct mark_search *search, const uint8_t *data, uint32_t y,
                         uint32_t pixels) {
    const struct luma *luma = search->luma;
    const uint32_t width = luma->width / pixels;
    if (pixels == 1) {
        luma_row(luma, data, y, 0, luma->width, search->row);
        return width;
    }
    memset(search->sums, 0, luma->width * sizeof(*search->sums));
    for (uint32_t i = 0; i < pixels; i++) {
        luma_row(luma, data, y + i, 0, luma->width, search->row);
        for (uint32_t x = 0; x < luma->width; x++)
            search->sums[x] += search->row[x];
    }
    for (uint32_t x = 0; x < width; x++) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < pixels; i++)
            sum += search->sums[x * pixels + i];
        search->row[x] = (uint8_t)(sum / (pixels * pixels));
    }
    return width;
}

static void search_rows(struct mark_search *search, const uint8_t *data, const struct way *way,
                        struct mark_reading readings[MARK_READINGS_MAX]) {
    search->found = search->read = search->failures = 0;
    search->walked = 0;
    for (uint32_t i = 0; i < FAILED_MAX; i++)
        search->failed[i].until = 0;
    for (uint32_t y = 0; y + ROW_STEP <= search->luma->height; y += ROW_STEP) {
        const uint32_t width = read_row(search, data, y, way->pixels);
        const uint32_t edges = mark_edges_find(search->row, width, way->swing, search->edges);
        struct mark_guards guards[MARK_GUARDS_MAX];
        const uint32_t count = mark_guards_find(search->edges, edges, guards);
        for (uint32_t i = 0; i < count; i++) {
            guards[i].left *= (float)way->pixels;
            guards[i].cell_width *= (float)way->pixels;
            try_guards(search, data, &guards[i], y + way->pixels / 2, readings);
        }
    }
}

uint32_t mark_search_run(struct mark_search *search, const uint8_t *data,
                         struct mark_reading out_readings[MARK_READINGS_MAX]) {
    search->found = 0;
    for (int i = 0; i < WAYS && !search->found; i++)
        search_rows(search, data, &ways[i], out_readings);
    return search->found;
}
