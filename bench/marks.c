/* bench-marks: what marks cost: painting them, following them, searching for them, beside reading
 * the luma of the picture once. */
#include "lanes.h"
#include "luma.h"
#include "mark_finder.h"
#include "picture.h"
#include "program.h"

#include <stdlib.h>

static const struct program program = {
    .name = "bench-marks",
    .purpose = "Time painting and finding of marks, beside reading the picture's luma.",
    .options = lanes_option_specs,
};

enum { READ, PAINT, FOLLOW, SEARCH, SEARCH_PLAIN, SEARCH_NOISE, SEARCH_BARS };
static const struct lane lanes[] = {
    {"read luma", READ},
    {"bring up to date", PAINT},
    {"follow marks", FOLLOW},
    {"search, marks found", SEARCH},
    {"search, no marks", SEARCH_PLAIN},
    {"search, in noise", SEARCH_NOISE},
    {"search, long bars", SEARCH_BARS},
};

static struct shmframe_format format;
static struct luma luma;
static struct picture *picture;
static struct mark_finder *follower;
static uint8_t *marked[LANES_PICTURES], *plain, *noise, *bars, *painted, *row;

static struct mark find_mark(int64_t frame) {
    return scene_mark(format.video.frame_rate, frame);
}

static uint8_t *make_slot(void) {
    uint8_t *slot = calloc(1, format.slot_bytes);
    if (!slot)
        program_fail("no memory for a picture of %llu bytes",
                     (unsigned long long)format.slot_bytes);
    return slot;
}

static void look(struct mark_finder *finder, const uint8_t *slot, bool is_marked) {
    const struct shmframe_lease lease = {.data = slot, .format = &format};
    struct mark_sight sight;
    if (mark_finder_look(finder, &lease, &sight) != is_marked)
        program_fail("%s", is_marked ? "a mark was not found" : "a mark was found in noise");
}

/* By a finder that has seen nothing yet. */
static void search(const uint8_t *slot, bool is_marked) {
    struct mark_finder *finder;
    if (mark_finder_create(&format, &finder) < 0)
        program_fail("no memory for a finder");
    look(finder, slot, is_marked);
    mark_finder_destroy(finder);
}

/* The floor: it is not to be left out by the compiler. */
static volatile uint64_t sum;

static void read_luma(const uint8_t *slot) {
    uint64_t levels = 0;
    for (uint32_t y = 0; y < luma.height; y++) {
        luma_row(&luma, slot, y, 0, luma.width, row);
        for (uint32_t x = 0; x < luma.width; x++)
            levels += row[x];
    }
    sum = levels;
}

static void bring_up_to_date(int64_t frame) {
    const struct mark before = find_mark(frame), after = find_mark(frame + 1);
    picture_draw_mark(picture, painted, &before, &after);
}

static void run_lane(uint32_t lane, uint32_t count) {
    const uint32_t number = count % LANES_PICTURES;
    switch (lanes[lane].what) {
    case READ:
        read_luma(marked[number]);
        break;
    case PAINT:
        bring_up_to_date(number);
        break;
    case FOLLOW:
        look(follower, marked[number], true);
        break;
    case SEARCH:
        search(marked[number], true);
        break;
    case SEARCH_PLAIN:
        search(plain, false);
        break;
    case SEARCH_NOISE:
        search(noise, false);
        break;
    case SEARCH_BARS:
        search(bars, false);
        break;
    }
}

/* Like guards, from top to bottom: none of them can be told from a strip's but by walking along it.
 */
static void paint_bars(void) {
    static const uint8_t guard[] = {255, 0, 0, 255, 0};
    enum { CELL = 12 };
    const struct shmframe_plane *plane = &format.plane[0];
    for (uint64_t y = 0; y < plane->rows; y++)
        for (uint64_t x = 0; x < plane->row_bytes; x++)
            bars[plane->offset + y * plane->line_bytes + x] = guard[x / CELL % sizeof(guard)];
}

static void paint_all(void) {
    struct picture *without;
    if (picture_create(&format, &without) < 0)
        program_fail("no memory for a picture");
    plain = make_slot();
    picture_paint(without, plain, 1);
    picture_destroy(without);
    for (int64_t i = 0; i <= LANES_PICTURES; i++) {
        uint8_t *slot = make_slot();
        const struct mark mark = find_mark(i);
        picture_paint(picture, slot, i);
        picture_draw_mark(picture, slot, NULL, &mark);
        *(i < LANES_PICTURES ? &marked[i] : &painted) = slot;
    }
    noise = make_slot();
    for (uint64_t i = 0; i < format.slot_bytes; i++)
        noise[i] = (uint8_t)rand();
    bars = make_slot();
    paint_bars();
}

static void prepare(void) {
    int32_t least[2];
    if (shmframe_format_video(&format, lanes_options.pixel_format, lanes_options.size[0],
                              lanes_options.size[1]) < 0)
        program_fail_usage("--pixel-format, --size: %s", shmframe_last_error());
    format.video.frame_rate = (struct shmframe_rational){60, 1};
    if (picture_create_marked(&format, &picture, &least[0], &least[1]) < 0 ||
        luma_init(&luma, &format) < 0 || mark_finder_create(&format, &follower) < 0)
        program_fail_usage("--pixel-format %s --size %ux%u cannot be painted with marks",
                           lanes_options.pixel_format, lanes_options.size[0],
                           lanes_options.size[1]);
    row = malloc(luma.width);
    if (!row)
        program_fail("no memory for a row");
    paint_all();
}

static void clean_up(void) {
    for (uint32_t i = 0; i < LANES_PICTURES; i++)
        free(marked[i]);
    free(plain);
    free(noise);
    free(bars);
    free(painted);
    free(row);
    mark_finder_destroy(follower);
    picture_destroy(picture);
}

int main(int argc, char **argv) {
    program_start(&program, argc, argv);
    lanes_check_options();
    prepare();
    lanes_run(lanes, sizeof(lanes) / sizeof(lanes[0]), run_lane);
    clean_up();
    return EXIT_DONE;
}
