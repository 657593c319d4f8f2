/* bench-pictures: what each of the picture measures costs, beside reading the same bytes once.
 *
 * One process takes turns, a slice each: the floor, which adds every byte of the picture up, a copy
 * of it, and each measure alone, then all but PSNR and SSIM, then all. What is printed is the
 * median over slices, as processor time a picture and as a ratio to the floor of the same round.
 */
#include "picture_measures.h"
#include "program.h"
#include "report.h"

#include <libavutil/pixdesc.h>
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
    .name = "bench-pictures",
    .purpose = "Time a picture of shmframe-analyze's measures, beside reading its bytes.",
    .options = specs,
};

static struct shmframe_format format;
static AVFrame *pictures[PICTURES], *target;

/* A gradient that moves, with noise: every measure has something to do, nothing stands still. */
static AVFrame *paint(uint32_t number) {
    AVFrame *picture = av_frame_alloc();
    picture->format = av_get_pix_fmt(options.pixel_format);
    picture->width = (int)options.size[0];
    picture->height = (int)options.size[1];
    if (av_frame_get_buffer(picture, 64) < 0)
        program_fail("no picture of %s can be made", options.pixel_format);
    const int depth = av_pix_fmt_desc_get(picture->format)->comp[0].depth;
    uint32_t random = number + 1;
    for (uint32_t i = 0; i < format.plane_count; i++) {
        for (uint32_t y = 0; y < format.plane[i].rows; y++) {
            uint8_t *row = picture->data[i] + (ptrdiff_t)y * picture->linesize[i];
            for (uint32_t x = 0; x < format.plane[i].row_bytes; x++) {
                random = random * 1664525 + 1013904223;
                row[x] = (uint8_t)(x / 8 + y / 8 + 7 * number + (random >> 29));
                if (depth > 8 && x % 2)
                    row[x] &= (uint8_t)((1u << (depth - 8)) - 1);
            }
        }
    }
    return picture;
}

/* The floor: it is not to be left out by the compiler. */
static volatile uint64_t sum;

static void read_picture(const AVFrame *picture) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < format.plane_count; i++) {
        for (uint32_t y = 0; y < format.plane[i].rows; y++) {
            const uint8_t *row = picture->data[i] + (ptrdiff_t)y * picture->linesize[i];
            uint32_t of_row = 0;
            for (uint32_t x = 0; x < format.plane[i].row_bytes; x++)
                of_row += row[x];
            bytes += of_row;
        }
    }
    sum = bytes;
}

static const struct lane {
    const char *name;
    uint32_t measures;
} lanes[] = {
    {"read", 0},
    {"copy", 0},
    {"levels, black", PICTURE_LEVELS | PICTURE_BLACK},
    {"black alone", PICTURE_BLACK},
    {"frozen, scenes", PICTURE_CHANGES},
    {"checksums", PICTURE_CHECKSUMS},
    {"all of one stream", PICTURE_ALL & ~(PICTURE_PSNR | PICTURE_SSIM)},
    {"PSNR", PICTURE_PSNR},
    {"SSIM", PICTURE_SSIM},
    {"all", PICTURE_ALL},
};
enum { LANES = sizeof(lanes) / sizeof(lanes[0]) };

static struct picture_measures *measures[LANES];
static double time_ms[LANES][REPEATS_MAX];
static uint64_t sequence;

static void add(struct picture_measures *to, enum pairing_side side, uint64_t number) {
    const struct shmframe_frame stamps = {.sequence = number, .pts = (int64_t)number};
    if (picture_measures_add(to, side, pictures[(number + side) % PICTURES], &stamps) < 0)
        program_fail("a picture cannot be measured");
}

static void run_lane(uint32_t lane, uint64_t number) {
    const AVFrame *picture = pictures[number % PICTURES];
    if (lane == 0) {
        read_picture(picture);
    } else if (lane == 1) {
        av_frame_copy(target, picture);
    } else {
        add(measures[lane], PAIRING_MAIN, number);
        if (lanes[lane].measures & (PICTURE_PSNR | PICTURE_SSIM))
            add(measures[lane], PAIRING_REFERENCE, number);
    }
}

/* Of this process alone: others on the machine take little of it. */
static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void run_round(uint32_t repeat) {
    for (uint32_t lane = 0; lane < LANES; lane++) {
        const int64_t begin_ns = now_ns();
        for (uint32_t i = 0; i < PICTURES; i++)
            run_lane(lane, sequence + i);
        time_ms[lane][repeat] = (double)(now_ns() - begin_ns) / 1e6 / PICTURES;
    }
    sequence += PICTURES;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, uint32_t count) {
    double sorted[REPEATS_MAX];
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), compare_doubles);
    return sorted[count / 2];
}

static void report(void) {
    json_t *all = json_array();
    for (uint32_t lane = 0; lane < LANES; lane++) {
        double ratio[REPEATS_MAX];
        for (uint32_t i = 0; i < options.repeats; i++)
            ratio[i] = time_ms[lane][i] / time_ms[0][i];
        json_array_append_new(all, json_pack("{s:s, s:f, s:f}", "lane", lanes[lane].name,
                                             "picture_ms", median(time_ms[lane], options.repeats),
                                             "ratio_to_read", median(ratio, options.repeats)));
    }
    if (report_format_parse(options.format) == REPORT_JSON) {
        report_print_json(json_pack("{s:s, s:i, s:i, s:o}", "pixel_format", options.pixel_format,
                                    "width", (int)options.size[0], "height", (int)options.size[1],
                                    "lanes", all));
        return;
    }
    printf("%s %ux%u\n%-18s %10s %10s %10s\n", options.pixel_format, options.size[0],
           options.size[1], "", "ms", "of read", "pictures/s");
    size_t index;
    json_t *lane;
    json_array_foreach(all, index, lane) {
        const double ms = json_real_value(json_object_get(lane, "picture_ms"));
        printf("%-18s %10.3f %10.2f %10.0f\n", lanes[index].name, ms,
               json_real_value(json_object_get(lane, "ratio_to_read")), 1000 / ms);
    }
    json_decref(all);
    report_flush();
}

static void prepare(void) {
    if (shmframe_format_video(&format, options.pixel_format, options.size[0], options.size[1]) < 0)
        program_fail_usage("--pixel-format, --size: %s", shmframe_last_error());
    for (uint32_t i = 0; i < PICTURES; i++)
        pictures[i] = paint(i);
    target = paint(0);
    for (uint32_t i = 2; i < LANES; i++) {
        struct picture_settings settings = picture_settings_default;
        settings.measures = lanes[i].measures;
        settings.pairing.key = PAIRING_BY_PTS;
        settings.pairing.tolerance_ns = 0;
        if (settings.measures & (PICTURE_PSNR | PICTURE_SSIM))
            settings.pairing.stream[PAIRING_REFERENCE] = "reference";
        if (picture_measures_create(&settings, &measures[i]) < 0 ||
            picture_measures_set_format(measures[i], PAIRING_MAIN, &format) < 0 ||
            picture_measures_set_format(measures[i], PAIRING_REFERENCE, &format) < 0)
            program_fail("%s cannot be measured", options.pixel_format);
    }
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
    for (uint32_t i = 2; i < LANES; i++)
        picture_measures_destroy(measures[i]);
    for (uint32_t i = 0; i < PICTURES; i++)
        av_frame_free(&pictures[i]);
    av_frame_free(&target);
    return EXIT_DONE;
}
