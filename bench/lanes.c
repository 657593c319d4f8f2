#include "lanes.h"

#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPEATS_MAX = 1000 };

struct lanes_options lanes_options = {
    .format = "text", .pixel_format = "yuv420p", .size = {1920, 1080}, .repeats = 25};

const struct option_spec lanes_option_specs[] = {
    {"pixel-format", 'p', OPTION_TEXT, &lanes_options.pixel_format, "NAME",
     "as libavutil names it; default yuv420p"},
    {"size", 'S', OPTION_SIZE, lanes_options.size, "WxH", "default 1920x1080"},
    {"repeats", 'r', OPTION_COUNT, &lanes_options.repeats, "COUNT", "slices of each; default 25"},
    {"format", 0, OPTION_TEXT, &lanes_options.format, "text|json", "how to print the figures"},
    {0},
};

static double time_ms[LANES_MAX][REPEATS_MAX];

void lanes_check_options(void) {
    if (lanes_options.repeats == 0 || lanes_options.repeats > REPEATS_MAX)
        program_fail_usage("--repeats %u: give 1 to %d", lanes_options.repeats, REPEATS_MAX);
    report_format_parse(lanes_options.format);
}

/* Of this process alone: others on the machine take little of it. */
static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double find_median(const double *values) {
    double sorted[REPEATS_MAX];
    memcpy(sorted, values, lanes_options.repeats * sizeof(*values));
    qsort(sorted, lanes_options.repeats, sizeof(*sorted), compare_doubles);
    return sorted[lanes_options.repeats / 2];
}

static json_t *tell_lane(const char *name, uint32_t lane) {
    double ratio[REPEATS_MAX];
    for (uint32_t i = 0; i < lanes_options.repeats; i++)
        ratio[i] = time_ms[lane][i] / time_ms[0][i];
    return json_pack("{s:s, s:f, s:f}", "lane", name, "picture_ms", find_median(time_ms[lane]),
                     "ratio_to_read", find_median(ratio));
}

static void print_table(const json_t *lanes) {
    printf("%s %ux%u\n%-20s %10s %10s %10s\n", lanes_options.pixel_format, lanes_options.size[0],
           lanes_options.size[1], "", "ms", "of read", "pictures/s");
    size_t i;
    const json_t *lane;
    json_array_foreach(lanes, i, lane) {
        const double ms = json_real_value(json_object_get(lane, "picture_ms"));
        printf("%-20s %10.3f %10.2f %10.0f\n", json_string_value(json_object_get(lane, "lane")), ms,
               json_real_value(json_object_get(lane, "ratio_to_read")), 1000 / ms);
    }
    report_flush();
}

static void report(const struct lane *lanes, uint32_t count) {
    json_t *told = json_array();
    for (uint32_t lane = 0; lane < count; lane++)
        json_array_append_new(told, tell_lane(lanes[lane].name, lane));
    if (report_format_parse(lanes_options.format) == REPORT_TEXT)
        print_table(told);
    else
        report_print_json(json_pack("{s:s, s:i, s:i, s:O}", "pixel_format",
                                    lanes_options.pixel_format, "width", (int)lanes_options.size[0],
                                    "height", (int)lanes_options.size[1], "lanes", told));
    json_decref(told);
}

void lanes_run(const struct lane *lanes, uint32_t count,
               void (*run)(uint32_t lane, uint32_t picture)) {
    /* The first one is to warm up. */
    for (uint32_t round = 0; round <= lanes_options.repeats; round++)
        for (uint32_t lane = 0; lane < count; lane++) {
            const int64_t begin_ns = now_ns();
            for (uint32_t i = 0; i < LANES_PICTURES; i++)
                run(lane, round * LANES_PICTURES + i);
            if (round > 0)
                time_ms[lane][round - 1] = (double)(now_ns() - begin_ns) / 1e6 / LANES_PICTURES;
        }
    report(lanes, count);
}
