/* Guards: what stands at both sides of a mark's strip, found in one row of pixels.
 *
 * From the left: two cells black, one white, one black; and behind 66 cells the same turned round.
 * Only distances between edges count, and an edge is where the level passes the middle between two
 * extremes: brightness, contrast, gamma, blur and scale do not matter.
 *
 * Threads: one for each set of edges.
 */
#ifndef CONSUMERS_MARK_GUARD_H
#define CONSUMERS_MARK_GUARD_H

#include <stdbool.h>
#include <stdint.h>

struct mark_edge {
    float x; /* of the crossing; pixel n reaches from n to n + 1 */
    bool is_falling;
};

/* Where a row passes through both guards of what may be a strip, its white margins included. */
struct mark_guards {
    float left, cell_width;
    float error; /* how far the edges are from where they should be, in cells, squared */
};

enum { MARK_GUARDS_MAX = 16 /* that are looked at in a row */ };

/* The edges of a row, at most one a pixel, each of which changes the level by more than `swing`.
 * Falling and rising ones alternate. */
uint32_t mark_edges_find(const uint8_t *row, uint32_t width, int swing,
                         struct mark_edge *out_edges);

/* Those that fit best come first. */
uint32_t mark_guards_find(const struct mark_edge *edges, uint32_t count,
                          struct mark_guards out_guards[MARK_GUARDS_MAX]);

#endif
