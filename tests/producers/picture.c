/* Picture: known pixels, readable digits, and repaints that equal whole paintings. */
#include "picture.h"

#include <check.h>
#include <errno.h>
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 0xa5 };

/* A picture, and memory for one slot of it. */
struct easel {
    struct shmframe_format format;
    struct picture *picture;
    uint8_t *slot;
};

static bool set_up(struct easel *easel, const char *pixel_format, uint32_t width, uint32_t height) {
    if (shmframe_format_video(&easel->format, pixel_format, width, height) < 0)
        return false;
    easel->format.video.frame_rate = (struct shmframe_rational){60, 1};
    surface_describe_colours(&easel->format);
    if (picture_create(&easel->format, &easel->picture) < 0)
        return false;
    easel->slot = malloc(easel->format.slot_bytes);
    ck_assert_ptr_nonnull(easel->slot);
    memset(easel->slot, GUARD, easel->format.slot_bytes);
    return true;
}

static void tear_down(struct easel *easel) {
    free(easel->slot);
    picture_destroy(easel->picture);
}

static struct easel paint(const char *pixel_format, uint32_t width, uint32_t height,
                          int64_t frame) {
    struct easel easel;
    ck_assert_msg(set_up(&easel, pixel_format, width, height), "%s", pixel_format);
    picture_paint(easel.picture, easel.slot, frame);
    return easel;
}

static const uint8_t *find_byte(const struct easel *easel, unsigned plane, uint32_t offset,
                                uint32_t row) {
    const struct shmframe_plane *place = &easel->format.plane[plane];
    return easel->slot + place->offset + (uint64_t)row * place->line_bytes + offset;
}

static unsigned read_byte(const struct easel *easel, unsigned plane, uint32_t offset,
                          uint32_t row) {
    return *find_byte(easel, plane, offset, row);
}

static unsigned read_word(const struct easel *easel, unsigned plane, uint32_t offset,
                          uint32_t row) {
    const uint8_t *at = find_byte(easel, plane, offset, row);
    return at[0] | (unsigned)at[1] << 8;
}

/* The middle of bar `bar`, and a row of the bars that the box does not touch in frame 0. */
static uint32_t bar_x(uint32_t width, uint32_t bar) {
    return width * (2 * bar + 1) / 14;
}

static uint32_t bar_y(uint32_t height) {
    return height / 2;
}

/* 75 % bars in YCbCr, as tables in textbooks have them. */
static const uint8_t bars_bt601[7][3] = {{180, 128, 128}, {162, 44, 142}, {131, 156, 44},
                                         {112, 72, 58},   {84, 184, 198}, {65, 100, 212},
                                         {35, 212, 114}};
static const uint8_t bars_bt709[7][3] = {{180, 128, 128}, {168, 44, 136}, {145, 147, 44},
                                         {133, 63, 52},   {63, 193, 204}, {51, 109, 212},
                                         {28, 212, 120}};
static const uint8_t bars_rgb[7][3] = {{191, 191, 191}, {191, 191, 0}, {0, 191, 191}, {0, 191, 0},
                                       {191, 0, 191},   {191, 0, 0},   {0, 0, 191}};

START_TEST(bars_are_right_in_yuv420p_of_both_matrices) {
    for (int is_high = 0; is_high < 2; is_high++) {
        const uint32_t height = is_high ? 1080 : 480, width = is_high ? 1920 : 640;
        const uint8_t(*bars)[3] = is_high ? bars_bt709 : bars_bt601;
        struct easel easel = paint("yuv420p", width, height, 0);
        ck_assert_str_eq(easel.format.video.color_space, is_high ? "bt709" : "smpte170m");
        ck_assert_str_eq(easel.format.video.color_range, "tv");
        for (uint32_t i = 0; i < 7; i++) {
            const uint32_t x = bar_x(width, i), y = bar_y(height);
            ck_assert_uint_eq(read_byte(&easel, 0, x, y), bars[i][0]);
            ck_assert_uint_eq(read_byte(&easel, 1, x / 2, y / 2), bars[i][1]);
            ck_assert_uint_eq(read_byte(&easel, 2, x / 2, y / 2), bars[i][2]);
        }
        tear_down(&easel);
    }
}
END_TEST

START_TEST(bars_are_right_in_nv12) {
    struct easel easel = paint("nv12", 640, 480, 0);
    for (uint32_t i = 0; i < 7; i++) {
        const uint32_t x = bar_x(640, i) & ~1u;
        ck_assert_uint_eq(read_byte(&easel, 0, x, 240), bars_bt601[i][0]);
        ck_assert_uint_eq(read_byte(&easel, 1, x, 120), bars_bt601[i][1]);
        ck_assert_uint_eq(read_byte(&easel, 1, x + 1, 120), bars_bt601[i][2]);
    }
    tear_down(&easel);
}
END_TEST

START_TEST(bars_are_right_in_yuyv422_and_uyyvyy411) {
    struct easel easel = paint("yuyv422", 640, 480, 0);
    for (uint32_t i = 0; i < 7; i++) {
        const uint32_t at = bar_x(640, i) / 2 * 4;
        ck_assert_uint_eq(read_byte(&easel, 0, at, 240), bars_bt601[i][0]);
        ck_assert_uint_eq(read_byte(&easel, 0, at + 1, 240), bars_bt601[i][1]);
        ck_assert_uint_eq(read_byte(&easel, 0, at + 2, 240), bars_bt601[i][0]);
        ck_assert_uint_eq(read_byte(&easel, 0, at + 3, 240), bars_bt601[i][2]);
    }
    tear_down(&easel);

    easel = paint("uyyvyy411", 640, 480, 0);
    for (uint32_t i = 0; i < 7; i++) {
        static const int part[6] = {1, 0, 0, 2, 0, 0};
        const uint32_t at = bar_x(640, i) / 4 * 6;
        for (uint32_t k = 0; k < 6; k++)
            ck_assert_uint_eq(read_byte(&easel, 0, at + k, 240), bars_bt601[i][part[k]]);
    }
    tear_down(&easel);
}
END_TEST

START_TEST(bars_are_right_in_packed_rgb) {
    static const struct {
        const char *name;
        uint32_t step, red, green, blue;
        int alpha;
    } formats[] = {{"rgb24", 3, 0, 1, 2, -1},
                   {"bgr24", 3, 2, 1, 0, -1},
                   {"rgba", 4, 0, 1, 2, 3},
                   {"bgra", 4, 2, 1, 0, 3},
                   {"argb", 4, 1, 2, 3, 0}};
    for (size_t k = 0; k < sizeof(formats) / sizeof(formats[0]); k++) {
        struct easel easel = paint(formats[k].name, 640, 480, 0);
        for (uint32_t i = 0; i < 7; i++) {
            const uint32_t at = bar_x(640, i) * formats[k].step;
            ck_assert_uint_eq(read_byte(&easel, 0, at + formats[k].red, 240), bars_rgb[i][0]);
            ck_assert_uint_eq(read_byte(&easel, 0, at + formats[k].green, 240), bars_rgb[i][1]);
            ck_assert_uint_eq(read_byte(&easel, 0, at + formats[k].blue, 240), bars_rgb[i][2]);
            if (formats[k].alpha >= 0)
                ck_assert_uint_eq(read_byte(&easel, 0, at + (uint32_t)formats[k].alpha, 240), 255);
        }
        tear_down(&easel);
    }
}
END_TEST

START_TEST(bars_are_right_with_ten_bits) {
    /* Four times the exact values, which is not four times the rounded ones. */
    static const uint16_t bars[7][3] = {{721, 512, 512}, {646, 176, 567}, {525, 625, 176},
                                        {450, 289, 231}, {335, 735, 793}, {260, 399, 848},
                                        {139, 848, 457}};
    struct easel easel = paint("yuv444p10le", 640, 480, 0);
    for (uint32_t i = 0; i < 7; i++)
        for (unsigned plane = 0; plane < 3; plane++)
            ck_assert_uint_eq(read_word(&easel, plane, bar_x(640, i) * 2, 240), bars[i][plane]);
    tear_down(&easel);

    easel = paint("p010le", 640, 480, 0);
    for (uint32_t i = 0; i < 7; i++) {
        const uint32_t at = (bar_x(640, i) & ~1u) * 2;
        ck_assert_uint_eq(read_word(&easel, 0, at, 240), bars[i][0] << 6);
        ck_assert_uint_eq(read_word(&easel, 1, at, 120), bars[i][1] << 6);
        ck_assert_uint_eq(read_word(&easel, 1, at + 2, 120), bars[i][2] << 6);
    }
    tear_down(&easel);
}
END_TEST

START_TEST(grey_is_the_luma_in_full_range) {
    static const uint8_t bars[7] = {191, 169, 134, 112, 79, 57, 22};
    struct easel easel = paint("gray", 640, 480, 0);
    ck_assert_str_eq(easel.format.video.color_range, "pc");
    for (uint32_t i = 0; i < 7; i++)
        ck_assert_uint_eq(read_byte(&easel, 0, bar_x(640, i), 240), bars[i]);
    tear_down(&easel);
}
END_TEST

START_TEST(a_palette_comes_with_the_picture) {
    struct easel easel = paint("pal8", 640, 480, 0);
    for (uint32_t i = 0; i < 7; i++) {
        const unsigned index = read_byte(&easel, 0, bar_x(640, i), 240);
        uint32_t entry;
        memcpy(&entry, find_byte(&easel, 1, index * 4, 0), sizeof(entry));
        ck_assert_uint_eq(entry, 0xff000000u | (uint32_t)bars_rgb[i][0] << 16 |
                                     (uint32_t)bars_rgb[i][1] << 8 | bars_rgb[i][2]);
    }
    tear_down(&easel);
}
END_TEST

START_TEST(mosaics_floats_and_bits_are_right) {
    struct easel easel = paint("bayer_rggb8", 640, 480, 0);
    for (uint32_t i = 0; i < 7; i++) {
        const uint32_t x = bar_x(640, i) & ~1u;
        ck_assert_uint_eq(read_byte(&easel, 0, x, 240), bars_rgb[i][0]);
        ck_assert_uint_eq(read_byte(&easel, 0, x + 1, 240), bars_rgb[i][1]);
        ck_assert_uint_eq(read_byte(&easel, 0, x, 241), bars_rgb[i][1]);
        ck_assert_uint_eq(read_byte(&easel, 0, x + 1, 241), bars_rgb[i][2]);
    }
    tear_down(&easel);

    easel = paint("grayf32le", 640, 480, 0);
    float value;
    memcpy(&value, find_byte(&easel, 0, bar_x(640, 0) * 4, 240), sizeof(value));
    ck_assert_float_eq_tol(value, 0.75f, 1e-6f);
    tear_down(&easel);

    /* Black is 0 in one and 1 in the other; the last bar, blue, is dark. */
    easel = paint("monob", 640, 480, 0);
    ck_assert_uint_eq(read_byte(&easel, 0, bar_x(640, 0) / 8, 240), 0xff);
    ck_assert_uint_eq(read_byte(&easel, 0, bar_x(640, 6) / 8, 240), 0x00);
    tear_down(&easel);
    easel = paint("monow", 640, 480, 0);
    ck_assert_uint_eq(read_byte(&easel, 0, bar_x(640, 0) / 8, 240), 0x00);
    ck_assert_uint_eq(read_byte(&easel, 0, bar_x(640, 6) / 8, 240), 0xff);
    tear_down(&easel);
}
END_TEST

/* What libswscale makes of one pixel, as a second opinion. */
static void convert_to_rgb(const struct easel *easel, enum AVPixelFormat pixel_format,
                           uint8_t *out_rgb, int width, int height) {
    struct SwsContext *context =
        sws_getContext(width, height, pixel_format, width, height, AV_PIX_FMT_RGB24,
                       SWS_POINT | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(context);
    const uint8_t *planes[4] = {NULL};
    int lines[4] = {0};
    for (uint32_t i = 0; i < easel->format.plane_count; i++) {
        planes[i] = easel->slot + easel->format.plane[i].offset;
        lines[i] = (int)easel->format.plane[i].line_bytes;
    }
    uint8_t *const out_planes[1] = {out_rgb};
    const int out_lines[1] = {width * 3};
    ck_assert_int_eq(sws_scale(context, planes, lines, 0, height, out_planes, out_lines), height);
    sws_freeContext(context);
}

START_TEST(libswscale_sees_the_same_bars_in_every_format_it_reads) {
    enum { WIDTH = 448, HEIGHT = 240 };
    uint8_t *rgb = malloc(WIDTH * HEIGHT * 3 + 64);
    int formats = 0;
    for (const AVPixFmtDescriptor *at = NULL; (at = av_pix_fmt_desc_next(at));) {
        const enum AVPixelFormat pixel_format = av_pix_fmt_desc_get_id(at);
        struct easel easel;
        /* XYZ is left out since libswscale's transfer curves differ from SMPTE ST 428-1, and grey
         * floats since it takes them for limited range. */
        if (!sws_isSupportedInput(pixel_format) || strncmp(at->name, "xyz", 3) == 0 ||
            strncmp(at->name, "grayf", 5) == 0)
            continue;
        /* Of few levels, no value comes near the colour. */
        if (at->comp[0].depth < 3 || !set_up(&easel, at->name, WIDTH, HEIGHT))
            continue;
        picture_paint(easel.picture, easel.slot, 0);
        convert_to_rgb(&easel, pixel_format, rgb, WIDTH, HEIGHT);
        const bool is_grey = at->nb_components < 3 && !(at->flags & AV_PIX_FMT_FLAG_PAL);
        const int depth = at->comp[at->nb_components > 2 ? 2 : 0].depth;
        const int tolerance = depth < 8 && !(at->flags & AV_PIX_FMT_FLAG_BAYER) ? 255 >> depth : 5;
        for (uint32_t i = 0; i < 7; i++) {
            const uint8_t *pixel = rgb + (bar_y(HEIGHT) * WIDTH + bar_x(WIDTH, i)) * 3;
            const double luma =
                0.299 * bars_rgb[i][0] + 0.587 * bars_rgb[i][1] + 0.114 * bars_rgb[i][2];
            for (int k = 0; k < 3; k++) {
                const double wanted = is_grey ? luma : bars_rgb[i][k];
                ck_assert_msg(pixel[k] >= wanted - tolerance && pixel[k] <= wanted + tolerance,
                              "%s bar %u: %u %u %u", at->name, i, pixel[0], pixel[1], pixel[2]);
            }
        }
        formats++;
        tear_down(&easel);
    }
    free(rgb);
    ck_assert_int_gt(formats, 100);
}
END_TEST

/* Reads a digit back from segments' middles in a grey picture; -1: no digit looks so. */
static int read_digit(const struct easel *easel, int index) {
    const struct scene *scene = picture_scene(easel->picture);
    const struct rect digit = scene->digit[index];
    unsigned lit = 0;
    for (int segment = 0; segment < SCENE_SEGMENTS; segment++) {
        const struct rect rect = scene_segment(scene, digit, segment);
        const unsigned value = read_byte(easel, 0, (uint32_t)(rect.left + rect.right) / 2,
                                         (uint32_t)(rect.top + rect.bottom) / 2);
        ck_assert(value == 0 || value == 255);
        lit |= (unsigned)(value == 255) << segment;
    }
    for (unsigned number = 0; number < 10; number++)
        if (scene_segments(number) == lit)
            return (int)number;
    return -1;
}

static int64_t read_number(const struct easel *easel, int first, int count) {
    int64_t number = 0;
    for (int i = 0; i < count; i++) {
        const int digit = read_digit(easel, first + i);
        ck_assert_int_ge(digit, 0);
        number = number * 10 + digit;
    }
    return number;
}

START_TEST(digits_tell_number_and_time) {
    static const struct {
        int64_t frame, clock; /* HHMMSSmmm */
    } frames[] = {{0, 0},
                  {1, 16},
                  {61, 1016},
                  {12345678, 570921300}, /* 57 h 9 min 21.3 s */
                  {216000 + 61 * 60 + 30, 10101500}};
    static const uint32_t sizes[][2] = {{1920, 1080}, {640, 480}, {641, 481}, {160, 160}};
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
        for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
            struct easel easel = paint("gray", sizes[k][0], sizes[k][1], frames[i].frame);
            ck_assert_int_gt(picture_scene(easel.picture)->segment_width, 0);
            ck_assert_int_eq(read_number(&easel, 0, SCENE_NUMBER_DIGITS), frames[i].frame);
            ck_assert_int_eq(read_number(&easel, SCENE_NUMBER_DIGITS, SCENE_TIME_DIGITS),
                             frames[i].clock);
            tear_down(&easel);
        }
}
END_TEST

START_TEST(digits_stay_readable_where_eight_pixels_share_a_byte) {
    struct easel easel = paint("monob", 1280, 720, 0);
    const struct scene *scene = picture_scene(easel.picture);
    ck_assert_int_gt(scene->segment_width, 0);
    ck_assert_int_eq(scene->segment_width % 8, 0);
    ck_assert_int_eq(scene->digit[0].left % 8, 0);
    tear_down(&easel);
}
END_TEST

START_TEST(the_flash_is_white_for_a_tenth_of_a_second) {
    struct easel easel = paint("gray", 640, 480, 0);
    const struct rect flash = picture_scene(easel.picture)->flash;
    for (int64_t frame = 0; frame < 180; frame++) {
        picture_paint(easel.picture, easel.slot, frame);
        const unsigned wanted = frame % 60 < 6 ? 255 : 0;
        ck_assert_uint_eq(read_byte(&easel, 0, (uint32_t)flash.left, (uint32_t)flash.top), wanted);
        ck_assert_uint_eq(
            read_byte(&easel, 0, (uint32_t)flash.right - 1, (uint32_t)flash.bottom - 1), wanted);
    }
    tear_down(&easel);
}
END_TEST

START_TEST(each_second_has_one_flash_that_begins_with_its_first_frame) {
    static const struct shmframe_rational rates[] = {{60, 1},       {25, 1}, {30000, 1001},
                                                     {24000, 1001}, {7, 2},  {120, 1}};
    for (size_t k = 0; k < sizeof(rates) / sizeof(rates[0]); k++)
        for (int64_t second = 0; second < 2000; second++) {
            const int64_t frame = scene_flash_frame(rates[k], second);
            const int64_t due_ns = scene_frame_ns(rates[k], frame);
            ck_assert(scene_is_flash(rates[k], frame));
            ck_assert_int_ge(due_ns, second * 1000000000);
            ck_assert_int_lt(due_ns, second * 1000000000 + scene_frame_ns(rates[k], 1) + 1);
            if (frame > 0)
                ck_assert(!scene_is_flash(rates[k], frame - 1));
        }
}
END_TEST

/* Paints `frame` anew and compares it with what the easel holds, padding and guards included. */
static void expect_whole(const struct easel *easel, uint8_t *fresh, int64_t frame) {
    memset(fresh, GUARD, easel->format.slot_bytes);
    picture_paint(easel->picture, fresh, frame);
    ck_assert_msg(memcmp(fresh, easel->slot, easel->format.slot_bytes) == 0, "%s %ux%u frame %lld",
                  easel->format.video.pixel_format, easel->format.video.width,
                  easel->format.video.height, (long long)frame);
}

static void check_repaints(const char *pixel_format, uint32_t width, uint32_t height, int jumps) {
    struct easel easel;
    ck_assert_msg(set_up(&easel, pixel_format, width, height), "%s", pixel_format);
    uint8_t *fresh = malloc(easel.format.slot_bytes);
    int64_t held = 0;
    picture_paint(easel.picture, easel.slot, held);
    for (int i = 0; i < jumps; i++) {
        /* Near ones mostly, then far ones, forward and back. */
        const int64_t frame = i % 4 ? held + 1 + rand() % 7 : rand() % 100000000;
        picture_repaint(easel.picture, easel.slot, held, frame);
        expect_whole(&easel, fresh, frame);
        held = frame;
    }
    free(fresh);
    tear_down(&easel);
}

static const uint32_t odd_sizes[][2] = {{1, 1}, {3, 5}, {16, 16}, {641, 481}, {17, 200}, {200, 9}};

START_TEST(a_repaint_equals_a_whole_painting_after_any_jump) {
    static const char *const formats[] = {"yuv420p",        "nv12",      "rgb24",   "rgba",
                                          "yuv444p10le",    "gray",      "yuyv422", "monob",
                                          "bayer_gbrg16le", "uyyvyy411", "yuv410p", "pal8"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        for (size_t k = 0; k < sizeof(odd_sizes) / sizeof(odd_sizes[0]); k++)
            check_repaints(formats[i], odd_sizes[k][0], odd_sizes[k][1], 60);
}
END_TEST

static const uint32_t small_sizes[][2] = {{1, 1}, {3, 5}, {16, 16}, {17, 90}, {161, 143}};

START_TEST(every_format_can_be_painted_and_repainted_inside_its_planes) {
    int formats = 0;
    for (const AVPixFmtDescriptor *at = NULL; (at = av_pix_fmt_desc_next(at));) {
        if (at->flags & AV_PIX_FMT_FLAG_HWACCEL)
            continue;
        for (size_t k = 0; k < sizeof(small_sizes) / sizeof(small_sizes[0]); k++) {
            const uint32_t width = small_sizes[k][0], height = small_sizes[k][1];
            struct easel easel = paint(at->name, width, height, 1234);
            /* Between the planes nothing is written, and in them everything. */
            uint8_t *map = calloc(1, easel.format.slot_bytes);
            for (uint32_t i = 0; i < easel.format.plane_count; i++) {
                const struct shmframe_plane *plane = &easel.format.plane[i];
                for (uint32_t row = 0; row < plane->rows; row++)
                    memset(map + plane->offset + (uint64_t)row * plane->line_bytes, 1,
                           plane->row_bytes);
            }
            uint8_t *second = malloc(easel.format.slot_bytes);
            memset(second, (uint8_t)~GUARD, easel.format.slot_bytes);
            picture_paint(easel.picture, second, 1234);
            uint64_t right = 0;
            while (right < easel.format.slot_bytes &&
                   (easel.slot[right] == second[right]) == (bool)map[right])
                right++;
            ck_assert_msg(right == easel.format.slot_bytes, "%s %ux%u byte %llu", at->name, width,
                          height, (unsigned long long)right);
            free(second);
            free(map);
            tear_down(&easel);
        }
        check_repaints(at->name, 161, 143, 8);
        formats++;
    }
    ck_assert_int_gt(formats, 150);
}
END_TEST

/* Marks. */

static bool set_up_marked(struct easel *easel, const char *pixel_format, uint32_t width,
                          uint32_t height) {
    int32_t least[2];
    ck_assert_int_eq(shmframe_format_video(&easel->format, pixel_format, width, height), 0);
    easel->format.video.frame_rate = (struct shmframe_rational){60, 1};
    if (picture_create_marked(&easel->format, &easel->picture, &least[0], &least[1]) < 0)
        return false;
    easel->slot = malloc(easel->format.slot_bytes);
    ck_assert_ptr_nonnull(easel->slot);
    memset(easel->slot, GUARD, easel->format.slot_bytes);
    return true;
}

static struct mark find_mark(int64_t frame) {
    struct mark mark = scene_mark((struct shmframe_rational){60, 1}, frame);
    mark.stream = 4711;
    mark.capture_ns += INT64_C(123456789012345);
    return mark;
}

/* What the cells of a strip show in a grey picture, all of whose pixels are looked at. */
static void read_strip(const struct easel *easel, uint32_t index,
                       uint8_t out_strip[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS]) {
    const struct scene *scene = picture_scene(easel->picture);
    const struct rect first = scene_first_cell(scene, index);
    unsigned others = 0;
    for (int row = 0; row < MARK_STRIP_ROWS; row++)
        for (int column = 0; column < MARK_STRIP_COLUMNS; column++) {
            const int32_t left = first.left + column * scene->cell_width;
            const int32_t top = first.top + row * scene->cell_height;
            const unsigned value = read_byte(easel, 0, (uint32_t)left, (uint32_t)top);
            for (int32_t y = top; y < top + scene->cell_height; y++)
                for (int32_t x = left; x < left + scene->cell_width; x++)
                    others += read_byte(easel, 0, (uint32_t)x, (uint32_t)y) != value;
            others += value != 0 && value != 255;
            out_strip[row][column] = value == 0;
        }
    ck_assert_uint_eq(others, 0);
}

START_TEST(three_strips_show_the_mark_whatever_moves_between_them) {
    static const uint32_t sizes[][2] = {{1280, 720}, {1920, 1080}, {720, 1280}, {161, 143}};
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        struct easel easel;
        ck_assert(set_up_marked(&easel, "gray", sizes[k][0], sizes[k][1]));
        picture_paint(easel.picture, easel.slot, 0);
        struct mark held = find_mark(0);
        picture_draw_mark(easel.picture, easel.slot, NULL, &held);
        for (int64_t frame = 150; frame < 200; frame += 3) { /* the box comes back to the top */
            const struct mark mark = find_mark(frame);
            picture_repaint(easel.picture, easel.slot, (int64_t)held.number, frame);
            picture_draw_mark(easel.picture, easel.slot, &held, &mark);
            uint8_t wanted[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS];
            uint8_t strip[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS];
            mark_draw(&mark, wanted);
            for (uint32_t i = 0; i < SCENE_STRIPS; i++) {
                read_strip(&easel, i, strip);
                ck_assert_mem_eq(strip, wanted, sizeof(strip));
            }
            held = mark;
        }
        tear_down(&easel);
    }
}
END_TEST

START_TEST(a_marked_picture_brought_up_to_date_equals_a_new_one_in_every_format) {
    int formats = 0;
    for (const AVPixFmtDescriptor *at = NULL; (at = av_pix_fmt_desc_next(at));) {
        struct easel easel;
        if (at->flags & AV_PIX_FMT_FLAG_HWACCEL)
            continue;
        ck_assert_msg(set_up_marked(&easel, at->name, 643, 363), "%s", at->name);
        uint8_t *fresh = malloc(easel.format.slot_bytes);
        struct mark held = find_mark(0);
        picture_paint(easel.picture, easel.slot, 0);
        picture_draw_mark(easel.picture, easel.slot, NULL, &held);
        for (int64_t frame = 1; frame < 4; frame++) {
            const struct mark mark = find_mark(frame * frame * frame * 997);
            picture_repaint(easel.picture, easel.slot, (int64_t)held.number, (int64_t)mark.number);
            picture_draw_mark(easel.picture, easel.slot, &held, &mark);
            memset(fresh, GUARD, easel.format.slot_bytes);
            picture_paint(easel.picture, fresh, (int64_t)mark.number);
            picture_draw_mark(easel.picture, fresh, NULL, &mark);
            ck_assert_msg(memcmp(fresh, easel.slot, easel.format.slot_bytes) == 0, "%s", at->name);
            held = mark;
        }
        free(fresh);
        tear_down(&easel);
        formats++;
    }
    ck_assert_int_gt(formats, 150);
}
END_TEST

START_TEST(pictures_too_small_for_marks_are_refused_with_what_it_takes) {
    static const struct {
        const char *name;
        int32_t width, height;
    } formats[] = {{"yuv420p", 152, 120}, {"gray", 152, 120}, {"monob", 608, 120}};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        for (int narrow = 0; narrow < 3; narrow++) {
            struct shmframe_format format;
            struct picture *picture = NULL;
            const int32_t width = formats[i].width - (narrow == 1);
            const int32_t height = formats[i].height - (narrow == 2);
            int32_t least[2] = {0};
            ck_assert_int_eq(
                shmframe_format_video(&format, formats[i].name, (uint32_t)width, (uint32_t)height),
                0);
            format.video.frame_rate = (struct shmframe_rational){60, 1};
            ck_assert_int_eq(picture_create_marked(&format, &picture, &least[0], &least[1]),
                             narrow ? -ERANGE : 0);
            ck_assert_int_eq(least[0], formats[i].width);
            ck_assert_int_eq(least[1], formats[i].height);
            picture_destroy(picture);
        }
}
END_TEST

START_TEST(a_mark_tells_its_flash_and_how_long_ago_that_was_due) {
    static const struct shmframe_rational rates[] = {{60, 1},       {25, 1}, {30000, 1001},
                                                     {24000, 1001}, {1, 3},  {1000, 1}};
    for (size_t k = 0; k < sizeof(rates) / sizeof(rates[0]); k++)
        for (int64_t frame = 0; frame < 3000; frame++) {
            const struct mark mark = scene_mark(rates[k], frame);
            ck_assert_uint_eq(mark.number, frame);
            ck_assert_int_eq(mark.capture_ns, scene_frame_ns(rates[k], frame));
            const int64_t second = mark.capture_ns / 1000000000;
            ck_assert_uint_eq(mark.beat, second % 256);
            ck_assert_uint_eq(mark.since_beat_us, mark.capture_ns % 1000000000 / 1000);
        }
}
END_TEST

START_TEST(what_cannot_be_painted_is_refused) {
    struct shmframe_format format;
    struct picture *picture;
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 16, 16), 0);
    ck_assert_int_eq(picture_create(&format, &picture), -EINVAL); /* no frame rate */
    format.video.frame_rate = (struct shmframe_rational){25, 1};
    strcpy(format.video.pixel_format, "vaapi");
    ck_assert_int_eq(picture_create(&format, &picture), -ENOTSUP);
    picture_destroy(NULL);
}
END_TEST

int main(void) {
    av_log_set_level(AV_LOG_ERROR);
    Suite *suite = suite_create("picture");
    TCase *colours = tcase_create("colours");
    tcase_set_timeout(colours, 60);
    tcase_add_test(colours, bars_are_right_in_yuv420p_of_both_matrices);
    tcase_add_test(colours, bars_are_right_in_nv12);
    tcase_add_test(colours, bars_are_right_in_yuyv422_and_uyyvyy411);
    tcase_add_test(colours, bars_are_right_in_packed_rgb);
    tcase_add_test(colours, bars_are_right_with_ten_bits);
    tcase_add_test(colours, grey_is_the_luma_in_full_range);
    tcase_add_test(colours, a_palette_comes_with_the_picture);
    tcase_add_test(colours, mosaics_floats_and_bits_are_right);
    tcase_add_test(colours, libswscale_sees_the_same_bars_in_every_format_it_reads);
    suite_add_tcase(suite, colours);
    TCase *frames = tcase_create("frames");
    tcase_set_timeout(frames, 60);
    tcase_add_test(frames, digits_tell_number_and_time);
    tcase_add_test(frames, digits_stay_readable_where_eight_pixels_share_a_byte);
    tcase_add_test(frames, the_flash_is_white_for_a_tenth_of_a_second);
    tcase_add_test(frames, each_second_has_one_flash_that_begins_with_its_first_frame);
    tcase_add_test(frames, a_repaint_equals_a_whole_painting_after_any_jump);
    tcase_add_test(frames, every_format_can_be_painted_and_repainted_inside_its_planes);
    tcase_add_test(frames, what_cannot_be_painted_is_refused);
    suite_add_tcase(suite, frames);
    TCase *marks = tcase_create("marks");
    tcase_set_timeout(marks, 60);
    tcase_add_test(marks, three_strips_show_the_mark_whatever_moves_between_them);
    tcase_add_test(marks, a_marked_picture_brought_up_to_date_equals_a_new_one_in_every_format);
    tcase_add_test(marks, pictures_too_small_for_marks_are_refused_with_what_it_takes);
    tcase_add_test(marks, a_mark_tells_its_flash_and_how_long_ago_that_was_due);
    suite_add_tcase(suite, marks);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
