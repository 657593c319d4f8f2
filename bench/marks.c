/* bench-marks: what marks cost: painting them, following them, searching for them, beside reading
 * the luma of the picture once.
 *
 * One process takes turns, a slice each. What is printed is the median over slices, as processor
 * time a picture and as a ratio to the floor of the same round.
 */
#include "luma.h"
#include "mark_finder.h"
#include "picture.h"
#include "program.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PICTURES = 8, REPEATS_MAX = 1000 };

static struct {
    const char *format, *pixel_format;
    uint32_t size[2];
    uint32_t repeats;
} options = {.format = "text", .pixel_format = "yuv420p", .size = {1920, 1080}, .repeats = 25};

static const struct option_spec specs[] = {
    {"pixel-format", 'p', OPTION_TEXT, &options.pixel_format, "NAME",
     "as libavutil names it; default yuv420p"},
    {"size", 'S', OPTION_SIZE, options.size, "WxH", "default 1920x1080"},
    {"repeats", 'r', OPTION_COUNT, &options.repeats, "COUNT", "slices of each; default 25"},
    {"format", 0, OPTION_TEXT, &options.format, "text|json", "how to print the figures"},
    {0},
};
static const struct program program = {
    .name = "bench-marks",
    .purpose = "Time painting and finding of marks, beside reading the picture's luma.",
    .options = specs,
};

enum lane {
    LANE_READ,
    LANE_PAINT,
    LANE_FOLLOW,
    LANE_SEARCH,
    LANE_NONE,
    LANE_NOISE,
    LANE_BARS,
    LANES
};
static const char *const names[LANES] = {
    [LANE_READ] = "read luma",         [LANE_PAINT] = "bring up to date",
    [LANE_FOLLOW] = "follow marks",    [LANE_SEARCH] = "search, marks found",
    [LANE_NONE] = "search, no marks",  [LANE_NOISE] = "search, in noise",
    [LANE_BARS] = "search, long bars",
};

static struct shmframe_format format;
static struct luma luma;
static struct picture *picture;
static struct mark_finder *follower;
static uint8_t *marked[PICTURES], *plain, *noise, *bars, *painted, *row;
static double time_ms[LANES][REPEATS_MAX];

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

static void run_lane(enum lane lane, uint32_t number) {
    switch (lane) {
    case LANE_READ:
        read_luma(marked[number]);
        break;
    case LANE_PAINT:
        bring_up_to_date(number);
        break;
    case LANE_FOLLOW:
        look(follower, marked[number], true);
        break;
    case LANE_SEARCH:
        search(marked[number], true);
        break;
    case LANE_NONE:
        search(plain, false);
        break;
    case LANE_NOISE:
        search(noise, false);
        break;
    case LANE_BARS:
        search(bars, false);
        break;
    case LANES:
        break;
    }
}

/* Of this process alone: others on the machine take little of it. */
static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void run_round(uint32_t repeat) {
    for (enum lane lane = 0; lane < LANES; lane++) {
        const int64_t begin_ns = now_ns();
        for (uint32_t i = 0; i < PICTURES; i++)
            run_lane(lane, i);
        time_ms[lane][repeat] = (double)(now_ns() - begin_ns) / 1e6 / PICTURES;
    }
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double find_median(const double *values) {
    double sorted[REPEATS_MAX];
    memcpy(sorted, values, options.repeats * sizeof(*values));
    qsort(sorted, options.repeats, sizeof(*sorted), compare_doubles);
    return sorted[options.repeats / 2];
}

static void report(void) {
    json_t *lanes = json_array();
    for (enum lane lane = 0; lane < LANES; lane++) {
        double ratio[REPEATS_MAX];
        for (uint32_t i = 0; i < options.repeats; i++)
            ratio[i] = time_ms[lane][i] / time_ms[LANE_READ][i];
        json_array_append_new(lanes, json_pack("{s:s, s:f, s:f}", "lane", names[lane], "picture_ms",
                                               find_median(time_ms[lane]), "ratio_to_read",
                                               find_median(ratio)));
    }
    if (report_format_parse(options.format) == REPORT_JSON) {
        report_print_json(json_pack("{s:s, s:i, s:i, s:o}", "pixel_format", options.pixel_format,
                                    "width", (int)options.size[0], "height", (int)options.size[1],
                                    "lanes", lanes));
        return;
    }
    printf("%s %ux%u\n%-20s %8s %8s\n", options.pixel_format, options.size[0], options.size[1], "",
           "ms", "of read");
    size_t index;
    json_t *lane;
    json_array_foreach(lanes, index, lane) {
        printf("%-20s %8.3f %8.2f\n", names[index],
               json_real_value(json_object_get(lane, "picture_ms")),
               json_real_value(json_object_get(lane, "ratio_to_read")));
    }
    json_decref(lanes);
    report_flush();
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
    for (int64_t i = 0; i <= PICTURES; i++) {
        uint8_t *slot = make_slot();
        const struct mark mark = find_mark(i);
        picture_paint(picture, slot, i);
        picture_draw_mark(picture, slot, NULL, &mark);
        *(i < PICTURES ? &marked[i] : &painted) = slot;
    }
    noise = make_slot();
    for (uint64_t i = 0; i < format.slot_bytes; i++)
        noise[i] = (uint8_t)rand();
    bars = make_slot();
    paint_bars();
}

static void prepare(void) {
    int32_t least[2];
    if (shmframe_format_video(&format, options.pixel_format, options.size[0], options.size[1]) < 0)
        program_fail_usage("--pixel-format, --size: %s", shmframe_last_error());
    format.video.frame_rate = (struct shmframe_rational){60, 1};
    if (picture_create_marked(&format, &picture, &least[0], &least[1]) < 0 ||
        luma_init(&luma, &format) < 0 || mark_finder_create(&format, &follower) < 0)
        program_fail_usage("--pixel-format %s --size %ux%u cannot be painted with marks",
                           options.pixel_format, options.size[0], options.size[1]);
    row = malloc(luma.width);
    if (!row)
        program_fail("no memory for a row");
    paint_all();
}

static void clean_up(void) {
    for (uint32_t i = 0; i < PICTURES; i++)
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
    if (options.repeats == 0 || options.repeats > REPEATS_MAX)
        program_fail_usage("--repeats %u: give 1 to %d", options.repeats, REPEATS_MAX);
    report_format_parse(options.format);
    prepare();
    run_round(0); /* to warm up */
    for (uint32_t i = 0; i < options.repeats; i++)
        run_round(i);
    report();
    clean_up();
    return EXIT_DONE;
}
