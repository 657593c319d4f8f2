/* Scene: what the test picture shows, as a list of coloured rectangles.
 *
 *   +--------------------------------------------------+
 *   | grey  yellow  cyan  green  magenta  red    blue  |  bars of 75 %, as in SMPTE EG 1,
 *   |           [box]                                  |  and a box that bounces over them
 *   |--------------------------------------------------|
 *   | blue  black  magenta  black  cyan  black   grey  |  castellations, and a white
 *   |                 | sweep                          |  bar that passes every two seconds
 *   |--------------------------------------------------|
 *   | ramp from black to white in 32 steps             |
 *   |--------------------------------------------------|
 *   | 00000123                            |            |  number of the frame,
 *   | 00:00:02.050                        |   flash    |  its time, and the flash of each second
 *   +--------------------------------------------------+
 *
 * With marks, three strips of cells (common/mark.h) lie above, between and below, the same in each:
 *
 *   mark | bars, castellations | mark | ramp, number and flash | mark
 *
 * so that a picture put together from two frames has strips that differ. They are no part of the
 * list: the scene says where they are, and nothing else ever touches them.
 *
 * The list is a pure function of size, rate and the frame's number, and its n-th rectangle is the
 * same thing in each frame: two frames differ where their lists differ. Later ones cover earlier
 * ones.
 */
#ifndef PRODUCERS_SCENE_H
#define PRODUCERS_SCENE_H

#include "mark.h"
#include "surface.h"

enum {
    SCENE_STRIPS = 3, /* of marks */
    SCENE_NUMBER_DIGITS = 8,
    SCENE_TIME_DIGITS = 9, /* HH MM SS mmm */
    SCENE_DIGITS = SCENE_NUMBER_DIGITS + SCENE_TIME_DIGITS,
    SCENE_SEGMENTS = 7,
    SCENE_RAMP_STEPS = 32,
    SCENE_STILLS = 64, /* room for what never moves */
    SCENE_MOVERS = 4 + SCENE_DIGITS * SCENE_SEGMENTS,
};

/* Numbers of the colours in scene_colours(). */
enum scene_colour {
    SCENE_BLACK = 0,
    SCENE_WHITE,
    SCENE_GREY,
    SCENE_YELLOW,
    SCENE_CYAN,
    SCENE_GREEN,
    SCENE_MAGENTA,
    SCENE_RED,
    SCENE_BLUE,
    SCENE_RAMP, /* the first of SCENE_RAMP_STEPS */
    SCENE_COLOURS = SCENE_RAMP + SCENE_RAMP_STEPS,
};

struct patch {
    struct rect rect; /* empty: not to be seen now */
    uint32_t colour;
};

/* Where the parts are; computed once. */
struct scene {
    int32_t width, height;
    struct shmframe_rational rate;
    struct surface_grain grain;
    struct rect bars, sweep_band, panel, flash;
    int32_t segment_width, segment_height; /* a digit is 4 by 7 of these; 0: too small for digits */
    struct rect digit[SCENE_DIGITS];
    uint32_t stills;
    struct patch still[SCENE_STILLS];
    /* Where the marks are; strips from side to side, 0 of them: none. */
    uint32_t strips;
    struct rect strip[SCENE_STRIPS];
    int32_t cell_width, cell_height;
};

/* The flash lasts a tenth of a second, and the beep as long. */
#define SCENE_FLASH_NS INT64_C(100000000)

/* The colours that patches refer to: SCENE_COLOURS of them. */
void scene_colours(struct colour out_colours[SCENE_COLOURS]);

/* Lays out a picture of width x height at `rate` frames a second, above 0. */
void scene_init(struct scene *scene, int32_t width, int32_t height, struct shmframe_rational rate,
                struct surface_grain grain);

/* Likewise, with room for marks. Errors: -ERANGE the picture is smaller than
 * scene_marks_size() says. */
int scene_init_marked(struct scene *scene, int32_t width, int32_t height,
                      struct shmframe_rational rate, struct surface_grain grain);
void scene_marks_size(struct surface_grain grain, int32_t *out_width, int32_t *out_height);

/* Where the top left cell of strip `index` is. */
struct rect scene_first_cell(const struct scene *scene, uint32_t index);

/* What moves, as it stands in frame number `frame`, from 0. */
void scene_move(const struct scene *scene, int64_t frame, struct patch out_movers[SCENE_MOVERS]);

/* When frame `frame` is due, in nanoseconds after frame 0. */
int64_t scene_frame_ns(struct shmframe_rational rate, int64_t frame);

/* The frame with which the flash of second `second` begins: the first at or after it. */
int64_t scene_flash_frame(struct shmframe_rational rate, int64_t second);
bool scene_is_flash(struct shmframe_rational rate, int64_t frame);

/* What the mark of frame `frame` says, in media time: of no stream's name and no clock yet. The
 * flash of a second is due when that second begins. */
struct mark scene_mark(struct shmframe_rational rate, int64_t frame);

/* Which segments are lit in digit 0 to 9: bit 0 is the top one, then clockwise, bit 6 the middle.
 */
unsigned scene_segments(unsigned digit);
/* The place of segment `segment` of the digit in `digit`. */
struct rect scene_segment(const struct scene *scene, struct rect digit, int segment);

#endif
