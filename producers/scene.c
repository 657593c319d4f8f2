#include "scene.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Time. */

/* a * b / c rounded down, with all of a * b: no overflow for a below 2^62 and 32-bit b, c. */
static int64_t scale(int64_t a, int64_t b, int64_t c) {
    return (int64_t)((__int128)a * b / c);
}

int64_t scene_frame_ns(struct shmframe_rational rate, int64_t frame) {
    return scale(frame, INT64_C(1000000000) * rate.den, rate.num);
}

/* The second that frame `frame` lies in. */
static int64_t find_second(struct shmframe_rational rate, int64_t frame) {
    return scale(frame, rate.den, rate.num);
}

int64_t scene_flash_frame(struct shmframe_rational rate, int64_t second) {
    return (int64_t)(((__int128)second * rate.num + rate.den - 1) / rate.den);
}

struct mark scene_mark(struct shmframe_rational rate, int64_t frame) {
    const int64_t second = find_second(rate, frame);
    const int64_t media_ns = scene_frame_ns(rate, frame);
    return (struct mark){
        .number = (uint32_t)frame,
        .capture_ns = media_ns,
        .beat = (uint8_t)second,
        .since_beat_us = (uint32_t)((media_ns - second * INT64_C(1000000000)) / 1000),
    };
}

bool scene_is_flash(struct shmframe_rational rate, int64_t frame) {
    const int64_t first = scene_flash_frame(rate, find_second(rate, frame));
    return scene_frame_ns(rate, frame - first) < SCENE_FLASH_NS;
}

/* Colours. */

void scene_colours(struct colour out_colours[SCENE_COLOURS]) {
    static const struct colour fixed[SCENE_RAMP] = {
        [SCENE_BLACK] = {0, 0, 0},
        [SCENE_WHITE] = {1, 1, 1},
        [SCENE_GREY] = {0.75f, 0.75f, 0.75f},
        [SCENE_YELLOW] = {0.75f, 0.75f, 0},
        [SCENE_CYAN] = {0, 0.75f, 0.75f},
        [SCENE_GREEN] = {0, 0.75f, 0},
        [SCENE_MAGENTA] = {0.75f, 0, 0.75f},
        [SCENE_RED] = {0.75f, 0, 0},
        [SCENE_BLUE] = {0, 0, 0.75f},
    };
    memcpy(out_colours, fixed, sizeof(fixed));
    for (int i = 0; i < SCENE_RAMP_STEPS; i++) {
        const float level = (float)i / (SCENE_RAMP_STEPS - 1);
        out_colours[SCENE_RAMP + i] = (struct colour){level, level, level};
    }
}

/* Layout. */

static int32_t round_down(int32_t value, int32_t unit) {
    return value - value % unit;
}

/* Part `part` of `parts` of a length, on the grain; the last one is the end itself. */
static int32_t divide(int32_t length, int32_t part, int32_t parts, int32_t grain) {
    return part == parts ? length : round_down((int32_t)((int64_t)length * part / parts), grain);
}

static void add_still(struct scene *scene, struct rect rect, uint32_t colour) {
    assert(scene->stills < SCENE_STILLS);
    scene->still[scene->stills++] = (struct patch){rect, colour};
}

/* Divides `band` into `count` columns of one colour each. */
static void add_columns(struct scene *scene, struct rect band, const uint8_t *colours, int count) {
    const int32_t width = band.right - band.left;
    for (int i = 0; i < count; i++) {
        const int32_t left = divide(width, i, count, scene->grain.chroma_width);
        const int32_t right = divide(width, i + 1, count, scene->grain.chroma_width);
        add_still(scene, (struct rect){band.left + left, band.top, band.left + right, band.bottom},
                  colours[i]);
    }
}

/* The digits' places: two lines on the panel, as large as fit. */
static void lay_out_digits(struct scene *scene) {
    enum {
        DIGIT = 5,                                           /* 4 segments wide, and a gap */
        COLON = 2,                                           /* a dot, and a gap */
        COLUMNS = SCENE_TIME_DIGITS * DIGIT + 3 * COLON + 2, /* with a margin each side */
        ROWS = 3 * 1 + 2 * 7,                                /* two lines with gaps around */
    };
    const struct rect panel = scene->panel;
    const int32_t across = (panel.right - panel.left) / COLUMNS;
    const int32_t down = (panel.bottom - panel.top) / ROWS;
    const int32_t unit = across < down ? across : down;
    const int32_t width = round_down(unit, scene->grain.width);
    const int32_t height = round_down(unit, scene->grain.height);
    if (width == 0 || height == 0)
        return;

    scene->segment_width = width;
    scene->segment_height = height;
    const int32_t left = panel.left + width;
    int32_t top = panel.top + height;
    for (int i = 0; i < SCENE_NUMBER_DIGITS; i++) {
        const int32_t x = left + i * DIGIT * width;
        scene->digit[i] = (struct rect){x, top, x + 4 * width, top + 7 * height};
    }

    int32_t x = left;
    top += 8 * height;
    for (int i = 0; i < SCENE_TIME_DIGITS; i++) {
        scene->digit[SCENE_NUMBER_DIGITS + i] =
            (struct rect){x, top, x + 4 * width, top + 7 * height};
        x += DIGIT * width;
        if (i != 1 && i != 3 && i != 5)
            continue;
        /* "HH:MM:SS.mmm": two dots, or the one at the foot. */
        if (i != 5)
            add_still(scene, (struct rect){x, top + 2 * height, x + width, top + 3 * height},
                      SCENE_WHITE);
        const int32_t foot = top + (i == 5 ? 6 : 4) * height;
        add_still(scene, (struct rect){x, foot, x + width, foot + height}, SCENE_WHITE);
        x += COLON * width;
    }
}

/* The rows at which the parts begin and end. */
struct rows {
    int32_t bars, castellations, upper_end, ramp, panel, lower_end;
};

static void lay_out(struct scene *scene, const struct rows *rows) {
    static const uint8_t bars[] = {SCENE_GREY,    SCENE_YELLOW, SCENE_CYAN, SCENE_GREEN,
                                   SCENE_MAGENTA, SCENE_RED,    SCENE_BLUE};
    static const uint8_t castellations[] = {SCENE_BLUE, SCENE_BLACK, SCENE_MAGENTA, SCENE_BLACK,
                                            SCENE_CYAN, SCENE_BLACK, SCENE_GREY};
    uint8_t ramp[SCENE_RAMP_STEPS];
    for (int i = 0; i < SCENE_RAMP_STEPS; i++)
        ramp[i] = (uint8_t)(SCENE_RAMP + i);

    const int32_t width = scene->width;
    const int32_t panel_end = divide(width, 3, 4, scene->grain.chroma_width);
    scene->bars = (struct rect){0, rows->bars, width, rows->castellations};
    scene->sweep_band = (struct rect){0, rows->castellations, width, rows->upper_end};
    scene->panel = (struct rect){0, rows->panel, panel_end, rows->lower_end};
    scene->flash = (struct rect){panel_end, rows->panel, width, rows->lower_end};

    add_columns(scene, scene->bars, bars, sizeof(bars));
    add_columns(scene, scene->sweep_band, castellations, sizeof(castellations));
    add_columns(scene, (struct rect){0, rows->ramp, width, rows->panel}, ramp, sizeof(ramp));
    add_still(scene, scene->panel, SCENE_BLACK);
    lay_out_digits(scene);
}

void scene_init(struct scene *scene, int32_t width, int32_t height, struct shmframe_rational rate,
                struct surface_grain grain) {
    *scene = (struct scene){.width = width, .height = height, .rate = rate, .grain = grain};
    const int32_t castellations_end = divide(height, 8, 12, grain.chroma_height);
    const struct rows rows = {
        .castellations = divide(height, 7, 12, grain.chroma_height),
        .upper_end = castellations_end,
        .ramp = castellations_end,
        .panel = divide(height, 9, 12, grain.chroma_height),
        .lower_end = height,
    };
    lay_out(scene, &rows);
}

/* Marks. */

/* Smallest cells that a finder reads; and how many cells' heights a picture should have at least,
 * so that the marks leave two thirds of it. */
enum { CELL_MIN = 2, CELLS_DOWN = 60 };

static int32_t round_up(int32_t value, int32_t unit) {
    return (value + unit - 1) / unit * unit;
}

void scene_marks_size(struct surface_grain grain, int32_t *out_width, int32_t *out_height) {
    *out_width = MARK_STRIP_COLUMNS * round_up(CELL_MIN, grain.width);
    *out_height = CELLS_DOWN * round_up(CELL_MIN, grain.chroma_height);
}

int scene_init_marked(struct scene *scene, int32_t width, int32_t height,
                      struct shmframe_rational rate, struct surface_grain grain) {
    *scene = (struct scene){.width = width, .height = height, .rate = rate, .grain = grain};
    int32_t width_min, height_min;
    scene_marks_size(grain, &width_min, &height_min);
    if (width < width_min || height < height_min)
        return -ERANGE;
    const int32_t tallest = height / CELLS_DOWN;
    scene->cell_width = round_down(width / MARK_STRIP_COLUMNS, grain.width);
    scene->cell_height = round_down(
        tallest < 2 * scene->cell_width ? tallest : 2 * scene->cell_width, grain.chroma_height);
    const int32_t strip = MARK_STRIP_ROWS * scene->cell_height;
    const int32_t middle = round_down((height - strip) / 2, grain.chroma_height);
    const int32_t bottom = round_down(height - strip, grain.chroma_height);
    scene->strips = SCENE_STRIPS;
    scene->strip[0] = (struct rect){0, 0, width, strip};
    scene->strip[1] = (struct rect){0, middle, width, middle + strip};
    scene->strip[2] = (struct rect){0, bottom, width, height};

    const int32_t upper = middle - strip, lower = bottom - (middle + strip);
    const struct rows rows = {
        .bars = strip,
        .castellations = strip + divide(upper, 7, 8, grain.chroma_height),
        .upper_end = middle,
        .ramp = middle + strip,
        .panel = middle + strip + divide(lower, 1, 4, grain.chroma_height),
        .lower_end = bottom,
    };
    lay_out(scene, &rows);
    return 0;
}

struct rect scene_first_cell(const struct scene *scene, uint32_t index) {
    const int32_t margin = scene->width - MARK_STRIP_COLUMNS * scene->cell_width;
    const int32_t left = round_down(margin / 2, scene->grain.width);
    const int32_t top = scene->strip[index].top;
    return (struct rect){left, top, left + scene->cell_width, top + scene->cell_height};
}

/* Movement. */

/* Where something is that goes from 0 to `range` and back in `period_ns`. */
static int32_t bounce(int64_t time_ns, int64_t period_ns, int32_t range, int32_t grain) {
    const int64_t half = period_ns / 2;
    const int64_t phase = time_ns % period_ns;
    const int64_t way = phase < half ? phase : period_ns - phase;
    return round_down((int32_t)scale(way, range, half), grain);
}

/* A white square with a black core, on the bars. */
static void move_box(const struct scene *scene, int64_t time_ns, struct patch out_box[2]) {
    const struct surface_grain *grain = &scene->grain;
    const int32_t side =
        scene->height / 8 < scene->width / 4 ? scene->height / 8 : scene->width / 4;
    const int32_t width = round_down(side, 4 * grain->chroma_width);
    const int32_t height = round_down(side, 4 * grain->chroma_height);
    const int32_t x =
        bounce(time_ns, INT64_C(7000000000), scene->bars.right - width, grain->chroma_width);
    const int32_t y = scene->bars.top + bounce(time_ns, INT64_C(3000000000),
                                               scene->bars.bottom - scene->bars.top - height,
                                               grain->chroma_height);
    out_box[0] = (struct patch){{x, y, x + width, y + height}, SCENE_WHITE};
    out_box[1] = (struct patch){
        {x + width / 4, y + height / 4, x + width - width / 4, y + height - height / 4},
        SCENE_BLACK,
    };
}

static struct patch move_sweep(const struct scene *scene, int64_t time_ns) {
    const struct rect band = scene->sweep_band;
    const int64_t period_ns = INT64_C(2000000000);
    const int32_t grain = scene->grain.chroma_width;
    int32_t width = round_down(scene->width / 64, grain);
    if (width == 0)
        width = grain;
    const int32_t left =
        round_down((int32_t)scale(time_ns % period_ns, scene->width, period_ns), grain);
    const int32_t right = left + width < band.right ? left + width : band.right;
    return (struct patch){{left, band.top, right, band.bottom}, SCENE_WHITE};
}

/* What digit number `index` shows in frame `frame`: first the number's, then the time's. */
static unsigned find_digit(const struct scene *scene, int64_t frame, int index) {
    static const int64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    if (index < SCENE_NUMBER_DIGITS)
        return (unsigned)(frame / powers[SCENE_NUMBER_DIGITS - 1 - index] % 10);
    const int64_t ms = scene_frame_ns(scene->rate, frame) / 1000000;
    const int64_t seconds = ms / 1000;
    /* HHMMSSmmm as one decimal number. */
    const int64_t clock = seconds / 3600 % 100 * 10000000 + seconds / 60 % 60 * 100000 +
                          seconds % 60 * 1000 + ms % 1000;
    const int place = SCENE_DIGITS - 1 - index;
    return (unsigned)((place < 8 ? clock / powers[place] : clock / 100000000) % 10);
}

unsigned scene_segments(unsigned digit) {
    static const uint8_t lit[10] = {0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f};
    assert(digit < 10);
    return lit[digit];
}

struct rect scene_segment(const struct scene *scene, struct rect digit, int segment) {
    /* left, top, right, bottom in segments, from the digit's corner */
    static const uint8_t place[SCENE_SEGMENTS][4] = {
        {0, 0, 4, 1}, {3, 0, 4, 4}, {3, 3, 4, 7}, {0, 6, 4, 7},
        {0, 3, 1, 7}, {0, 0, 1, 4}, {0, 3, 4, 4},
    };
    const uint8_t *at = place[segment];
    return (struct rect){
        digit.left + at[0] * scene->segment_width,
        digit.top + at[1] * scene->segment_height,
        digit.left + at[2] * scene->segment_width,
        digit.top + at[3] * scene->segment_height,
    };
}

void scene_move(const struct scene *scene, int64_t frame, struct patch out_movers[SCENE_MOVERS]) {
    const int64_t time_ns = scene_frame_ns(scene->rate, frame);
    move_box(scene, time_ns, &out_movers[0]);
    out_movers[2] = move_sweep(scene, time_ns);
    out_movers[3] = (struct patch){scene->flash,
                                   scene_is_flash(scene->rate, frame) ? SCENE_WHITE : SCENE_BLACK};

    struct patch *at = &out_movers[4];
    for (int i = 0; i < SCENE_DIGITS; i++) {
        const unsigned lit = scene_segments(find_digit(scene, frame, i));
        for (int segment = 0; segment < SCENE_SEGMENTS; segment++)
            *at++ = (struct patch){
                lit >> segment & 1 ? scene_segment(scene, scene->digit[i], segment)
                                   : (struct rect){0, 0, 0, 0},
                SCENE_WHITE,
            };
    }
}
