/* Mark: what a picture says of itself in black and white cells: stream, number, instant of capture.
 *
 * A mark is drawn as a strip of MARK_STRIP_COLUMNS x MARK_STRIP_ROWS cells, all of one size, white
 * around; docs/marks.md has a picture of it, its bits and its odds:
 *
 *     ............................................................................   white
 *     .##.#.<----------------- MARK_COLUMNS cells of contents ----------------->.#.##.
 *     .##.#.<-------------------- in MARK_ROWS rows of 8 bytes ----------------->.#.##.   # black
 *     ............................................................................
 *
 * What stands at both sides is found, and says where the cells are. The cells are a pure function
 * of the contents: 24 bytes, the last four of them a check of the others, and 16 of Reed-Solomon
 * code.
 *
 * Threads: any.
 */
#ifndef COMMON_MARK_H
#define COMMON_MARK_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MARK_COLUMNS = 64, /* of contents */
    MARK_ROWS = 5,
    MARK_CELLS = MARK_COLUMNS * MARK_ROWS,
    MARK_LEFT = 6, /* column and row of the strip with which the contents begin */
    MARK_TOP = 1,
    MARK_STRIP_COLUMNS = MARK_LEFT + MARK_COLUMNS + 6,
    MARK_STRIP_ROWS = MARK_TOP + MARK_ROWS + 1,
};

/* Instants are from 0 to before this one, 73 years: what compares two of them need not look out for
 * overflow, whatever a picture shows. */
#define MARK_CAPTURE_END_NS (INT64_C(1) << 61)

struct mark {
    uint16_t stream;        /* mark_stream_id() of the stream's name */
    uint16_t clock;         /* whose capture_ns it is: mark_clock_id(); 0: media time, no clock's */
    uint32_t number;        /* of the frame, from 0, without gaps at the source */
    int64_t capture_ns;     /* others than of 0 to MARK_CAPTURE_END_NS - 1 are not read */
    uint8_t beat;           /* number of the newest flash, modulo 256 */
    uint32_t since_beat_us; /* from the instant at which that flash was due to capture; 24 bits */
};

/* A hash of the name. */
uint16_t mark_stream_id(const char *name);
/* A hash of what CLOCK_MONOTONIC counts from: this boot, or this time namespace in it. Never 0. */
uint16_t mark_clock_id(void);

/* Which cells are black (1) or white (0), row by row. */
void mark_encode(const struct mark *mark, uint8_t out_cells[MARK_CELLS]);

/* Reads cells that were seen: above 0 black, below 0 white, the farther the surer. Puts right up to
 * 8 bytes anywhere, or 12 of the least sure ones and 2 others. Returns whether it is a mark;
 * `out_corrected` is the number of cells that were wrong. */
bool mark_decode(const float cells[MARK_CELLS], struct mark *out_mark, uint32_t *out_corrected);

/* Whether cells that were seen, likewise, are of two frames, `mark` and another one: the first row
 * is that of another number of the stream, or the last one is another's. Only rows of which each
 * cell is sure are judged. */
bool mark_is_torn(const float cells[MARK_CELLS], const struct mark *mark);

/* The whole strip: 1 is black. */
void mark_draw(const struct mark *mark, uint8_t out_strip[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS]);

#endif
