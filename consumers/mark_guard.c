#include "mark_guard.h"

#include "mark.h"

#include <math.h>

/* Narrower cells cannot be told from each other; mosaics have edges at every pixel. */
static const float cell_min = 1.6f;
/* How far edges may be from where they should be, a quarter of a cell, squared: what noise and
 * other contents put together by chance is mostly farther. */
static const float error_max = 0.0625f;

/* Columns of the strip at which each guard has its edges: the first falls, the second rises ... */
enum { EDGES = 4 };
static const float left_columns[EDGES] = {1, 3, 4, 5};
static const float right_columns[EDGES] = {71, 72, 73, 75};

/* Between the extremes at `from` and `to`, where the level passes the middle of both. */
static float find_crossing(const uint8_t *row, uint32_t from, uint32_t to) {
    const float middle = (float)(row[from] + row[to]) / 2;
    const bool is_falling = row[from] > row[to];
    uint32_t x = from + 1;
    while (x < to && ((float)row[x] > middle) == is_falling)
        x++;
    const float before = row[x - 1], after = row[x];
    const float part = before == after ? 0 : (middle - before) / (after - before);
    return (float)x - 0.5f + part; /* from the middle of pixel x - 1 on */
}

/* `from` is the last extreme, `to` what may become the next one: it does once the level has come
 * back from it by more than `swing`. */
uint32_t mark_edges_find(const uint8_t *row, uint32_t width, int swing,
                         struct mark_edge *out_edges) {
    uint32_t count = 0, from = 0, to = 0;
    bool is_rising = true;
    for (uint32_t x = 1; x < width; x++) {
        const int beyond = is_rising ? row[x] - row[to] : row[to] - row[x];
        if (beyond > 0)
            to = x;
        if (beyond >= -swing)
            continue;
        if (to > from) /* the first one may have gone the other way from the start */
            out_edges[count++] = (struct mark_edge){find_crossing(row, from, to), !is_rising};
        is_rising = !is_rising;
        from = to;
        to = x;
    }
    const int last = row[to] - row[from];
    if (width && (last > swing || last < -swing))
        out_edges[count++] = (struct mark_edge){find_crossing(row, from, to), last < 0};
    return count;
}

/* Whether four edges have the distances of a guard; then how wide a cell is. Falling edges are
 * compared with falling ones, since blur and gamma move them by the same. */
static bool is_guard(const struct mark_edge *edges, const float columns[EDGES], float *out_width) {
    const float falls = edges[2].x - edges[0].x, rises = edges[3].x - edges[1].x;
    const float fall_cells = columns[2] - columns[0], rise_cells = columns[3] - columns[1];
    const float width = (falls + rises) / (fall_cells + rise_cells);
    const float tolerance = 0.5f * width + 0.25f;
    const float wide = columns[1] - columns[0] > 1 ? edges[1].x - edges[0].x /* of the two cells */
                                                   : edges[3].x - edges[2].x;
    *out_width = width;
    return width >= cell_min && fabsf(falls - fall_cells * width) < tolerance &&
           fabsf(rises - rise_cells * width) < tolerance && wide > width && wide < 3 * width;
}

/* A line through two edges of each guard: those that fall, or those that rise. */
static void fit(const struct mark_edge *left, const struct mark_edge *right, int first,
                float *out_begin, float *out_width) {
    float columns = 0, places = 0, squares = 0, products = 0;
    for (int i = 0; i < EDGES; i++) {
        const int edge = first + i / 2 * 2;
        const float column = i % 2 ? right_columns[edge] : left_columns[edge];
        const float place = i % 2 ? right[edge].x : left[edge].x;
        columns += column / EDGES;
        places += place / EDGES;
        squares += column * column / EDGES;
        products += column * place / EDGES;
    }
    *out_width = (products - columns * places) / (squares - columns * columns);
    *out_begin = places - columns * *out_width;
}

static struct mark_guards fit_guards(const struct mark_edge *left, const struct mark_edge *right) {
    float begin[2], width[2], error = 0;
    for (int i = 0; i < 2; i++)
        fit(left, right, i, &begin[i], &width[i]);
    for (int i = 0; i < EDGES; i++) {
        const float from_left = left[i].x - begin[i % 2] - left_columns[i] * width[i % 2];
        const float from_right = right[i].x - begin[i % 2] - right_columns[i] * width[i % 2];
        error += from_left * from_left + from_right * from_right;
    }
    const float cell_width = (width[0] + width[1]) / 2;
    return (struct mark_guards){(begin[0] + begin[1]) / 2, cell_width,
                                error / (2 * EDGES * cell_width * cell_width)};
}

/* Into a list that is sorted, of which the worst falls out. */
static uint32_t insert(struct mark_guards guards[MARK_GUARDS_MAX], uint32_t count,
                       struct mark_guards added) {
    uint32_t place = count < MARK_GUARDS_MAX ? count++ : MARK_GUARDS_MAX;
    if (place == MARK_GUARDS_MAX && guards[--place].error <= added.error)
        return count;
    for (; place > 0 && guards[place - 1].error > added.error; place--)
        guards[place] = guards[place - 1];
    guards[place] = added;
    return count;
}

static uint32_t find_first_behind(const struct mark_edge *edges, uint32_t count, float x) {
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (edges[middle].x < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t mark_guards_find(const struct mark_edge *edges, uint32_t count,
                          struct mark_guards out_guards[MARK_GUARDS_MAX]) {
    const float between = right_columns[0] - left_columns[0];
    uint32_t found = 0;
    for (uint32_t i = 0; i + 2 * EDGES <= count; i++) {
        float width, other;
        if (!edges[i].is_falling || !is_guard(edges + i, left_columns, &width))
            continue;
        /* How far the other one is is known to a tenth at best, from so few cells. */
        const float least = edges[i].x + between * width * 0.85f;
        const float most = edges[i].x + between * width * 1.15f;
        for (uint32_t k = find_first_behind(edges, count, least);
             k + EDGES <= count && edges[k].x < most; k++) {
            if (!edges[k].is_falling || !is_guard(edges + k, right_columns, &other))
                continue;
            const float whole = (edges[k].x - edges[i].x) / between;
            if (fabsf(other - whole) > 0.2f * whole + 0.1f ||
                fabsf(width - whole) > 0.2f * whole + 0.1f)
                continue;
            const struct mark_guards guards = fit_guards(edges + i, edges + k);
            if (guards.error < error_max)
                found = insert(out_guards, found, guards);
        }
    }
    return found;
}
