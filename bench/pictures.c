/* bench-pictures: what each of the picture measures costs: the floor, which adds every byte of the
 * picture up, a copy of it, and each measure alone, then all but PSNR and SSIM, then all. */
#include "lanes.h"
#include "picture_measures.h"
#include "program.h"

#include <libavutil/pixdesc.h>

static const struct program program = {
    .name = "bench-pictures",
    .purpose = "Time a picture of shmframe-analyze's measures, beside reading its bytes.",
    .options = lanes_option_specs,
};

static struct shmframe_format format;
static AVFrame *pictures[LANES_PICTURES], *target;

/* A gradient that moves, with noise: every measure has something to do, nothing stands still. */
static AVFrame *paint(uint32_t number) {
    AVFrame *picture = av_frame_alloc();
    picture->format = av_get_pix_fmt(lanes_options.pixel_format);
    picture->width = (int)lanes_options.size[0];
    picture->height = (int)lanes_options.size[1];
    if (av_frame_get_buffer(picture, 64) < 0)
        program_fail("no picture of %s can be made", lanes_options.pixel_format);
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

enum { LANE_READ, LANE_COPY, LANES = 10 };
static const struct lane lanes[LANES] = {
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

static struct picture_measures *measures[LANES];

static void add(struct picture_measures *to, enum pairing_side side, uint64_t number) {
    const struct shmframe_frame stamps = {.sequence = number, .pts = (int64_t)number};
    if (picture_measures_add(to, side, pictures[(number + side) % LANES_PICTURES], &stamps) < 0)
        program_fail("a picture cannot be measured");
}

static void run_lane(uint32_t lane, uint32_t number) {
    const AVFrame *picture = pictures[number % LANES_PICTURES];
    if (lane == LANE_READ) {
        read_picture(picture);
    } else if (lane == LANE_COPY) {
        av_frame_copy(target, picture);
    } else {
        add(measures[lane], PAIRING_MAIN, number);
        if (lanes[lane].what & (PICTURE_PSNR | PICTURE_SSIM))
            add(measures[lane], PAIRING_REFERENCE, number);
    }
}

static void prepare(void) {
    if (shmframe_format_video(&format, lanes_options.pixel_format, lanes_options.size[0],
                              lanes_options.size[1]) < 0)
        program_fail_usage("--pixel-format, --size: %s", shmframe_last_error());
    for (uint32_t i = 0; i < LANES_PICTURES; i++)
        pictures[i] = paint(i);
    target = paint(0);
    for (uint32_t i = LANE_COPY + 1; i < LANES; i++) {
        struct picture_settings settings = picture_settings_default;
        settings.measures = lanes[i].what;
        settings.pairing.key = PAIRING_BY_PTS;
        settings.pairing.tolerance_ns = 0;
        if (settings.measures & (PICTURE_PSNR | PICTURE_SSIM))
            settings.pairing.stream[PAIRING_REFERENCE] = "reference";
        if (picture_measures_create(&settings, &measures[i]) < 0 ||
            picture_measures_set_format(measures[i], PAIRING_MAIN, &format) < 0 ||
            picture_measures_set_format(measures[i], PAIRING_REFERENCE, &format) < 0)
            program_fail("%s cannot be measured", lanes_options.pixel_format);
    }
}

int main(int argc, char **argv) {
    program_start(&program, argc, argv);
    lanes_check_options();
    prepare();
    lanes_run(lanes, LANES, run_lane);
    for (uint32_t i = LANE_COPY + 1; i < LANES; i++)
        picture_measures_destroy(measures[i]);
    for (uint32_t i = 0; i < LANES_PICTURES; i++)
        av_frame_free(&pictures[i]);
    av_frame_free(&target);
    return EXIT_DONE;
}
