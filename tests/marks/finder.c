/* Finder: marks are read in pictures of every format, told when they are torn, and never invented.
 */
#include "mark_finder.h"
#include "mark_search.h"
#include "picture.h"

#include <check.h>
#include <errno.h>
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WIDTH = 640, HEIGHT = 360 };

/* A marked picture, its slot, and a finder that looks at it. */
struct easel {
    struct shmframe_format format;
    struct picture *picture;
    struct mark_finder *finder;
    uint8_t *slot;
};

static int set_up(struct easel *easel, const char *pixel_format, uint32_t width, uint32_t height) {
    int32_t least[2];
    ck_assert_int_eq(shmframe_format_video(&easel->format, pixel_format, width, height), 0);
    easel->format.video.frame_rate = (struct shmframe_rational){60, 1};
    surface_describe_colours(&easel->format);
    ck_assert_int_eq(picture_create_marked(&easel->format, &easel->picture, &least[0], &least[1]),
                     0);
    easel->slot = calloc(1, easel->format.slot_bytes);
    ck_assert_ptr_nonnull(easel->slot);
    return mark_finder_create(&easel->format, &easel->finder);
}

static void tear_down(struct easel *easel) {
    mark_finder_destroy(easel->finder);
    picture_destroy(easel->picture);
    free(easel->slot);
}

static struct mark find_mark(int64_t frame) {
    struct mark mark = scene_mark((struct shmframe_rational){60, 1}, frame);
    mark.stream = 4711;
    mark.clock = 815;
    mark.capture_ns += INT64_C(123456789012345);
    return mark;
}

static void paint(const struct easel *easel, uint8_t *slot, int64_t frame) {
    const struct mark mark = find_mark(frame);
    picture_paint(easel->picture, slot, frame);
    picture_draw_mark(easel->picture, slot, NULL, &mark);
}

static bool look(const struct easel *easel, struct mark_sight *out_sight) {
    const struct shmframe_lease lease = {.data = easel->slot, .format = &easel->format};
    return mark_finder_look(easel->finder, &lease, out_sight);
}

static void expect_mark(const struct mark *seen, int64_t frame) {
    const struct mark mark = find_mark(frame);
    ck_assert_uint_eq(seen->number, mark.number);
    ck_assert_int_eq(seen->capture_ns, mark.capture_ns);
    ck_assert_uint_eq(seen->stream, mark.stream);
    ck_assert_uint_eq(seen->clock, mark.clock);
    ck_assert_uint_eq(seen->beat, mark.beat);
    ck_assert_uint_eq(seen->since_beat_us, mark.since_beat_us);
}

START_TEST(marks_are_read_in_every_format_that_can_be_painted) {
    int formats = 0;
    for (const AVPixFmtDescriptor *at = NULL; (at = av_pix_fmt_desc_next(at));) {
        struct easel easel;
        struct mark_sight sight;
        if (at->flags & AV_PIX_FMT_FLAG_HWACCEL)
            continue;
        ck_assert_msg(set_up(&easel, at->name, WIDTH, HEIGHT) == 0, "%s", at->name);
        for (int64_t frame = 0; frame < 3; frame++) { /* found once, followed twice */
            paint(&easel, easel.slot, frame);
            ck_assert_msg(look(&easel, &sight) && sight.copies == 3, "%s: %u copies", at->name,
                          sight.copies);
            expect_mark(&sight.mark, frame);
            ck_assert(!sight.is_torn);
            ck_assert_uint_eq(sight.corrected, 0);
        }
        tear_down(&easel);
        formats++;
    }
    ck_assert_int_gt(formats, 150);
}
END_TEST

START_TEST(place_and_scale_are_told) {
    struct easel easel;
    struct mark_sight sight;
    ck_assert_int_eq(set_up(&easel, "yuv420p", 1280, 720), 0);
    paint(&easel, easel.slot, 7);
    ck_assert(look(&easel, &sight));
    ck_assert_float_eq_tol(sight.cell_width, 16, 0.01);
    ck_assert_float_eq_tol(sight.cell_height, 12, 0.01);
    ck_assert_int_eq(sight.left, (1280 - MARK_STRIP_COLUMNS * 16) / 2);
    ck_assert_int_eq(sight.top, 0);
    tear_down(&easel);
}
END_TEST

/* What is shown while one frame takes another's place from above: rows before `seam` are of
 * `upper`. */
static void tear(const struct easel *easel, const uint8_t *upper, const uint8_t *lower,
                 uint32_t seam) {
    const struct shmframe_plane *plane = &easel->format.plane[0];
    for (uint32_t y = 0; y < plane->rows; y++) {
        const size_t at = plane->offset + (uint64_t)y * plane->line_bytes;
        memcpy(easel->slot + at, (y < seam ? upper : lower) + at, plane->row_bytes);
    }
}

/* What is white in both frames says nothing, nor does less than three quarters of the first row of
 * cells, or of the last. */
START_TEST(a_picture_of_two_frames_is_torn_at_any_row_of_its_marks) {
    enum { OLDER = 1013, STEP = 8 };
    struct easel easel;
    ck_assert_int_eq(set_up(&easel, "gray", 1920, 1080), 0);
    uint8_t *older = calloc(1, easel.format.slot_bytes),
            *newer = calloc(1, easel.format.slot_bytes);
    const struct scene *scene = picture_scene(easel.picture);
    const uint32_t cell = (uint32_t)scene->cell_height, part = cell * 3 / 4;
    const uint32_t begin = (uint32_t)scene->strip[0].top + MARK_TOP * cell + part;
    const uint32_t end = (uint32_t)scene->strip[2].top + (MARK_TOP + MARK_ROWS) * cell - part;
    for (int64_t frame = OLDER; frame < OLDER + STEP / 2; frame++) {
        struct mark_sight sight;
        const bool is_upward = frame % 2;
        paint(&easel, older, frame);
        paint(&easel, newer, frame + 1);
        tear(&easel, older, older, 0);
        ck_assert(look(&easel, &sight) && !sight.is_torn);
        for (uint32_t seam = begin + 2 * (uint32_t)(frame - OLDER); seam <= end; seam += STEP) {
            tear(&easel, is_upward ? older : newer, is_upward ? newer : older, seam);
            ck_assert(look(&easel, &sight));
            ck_assert_msg(sight.is_torn, "seam at row %u", seam);
            if (seam > (uint32_t)scene->strip[0].bottom && seam < (uint32_t)scene->strip[2].top) {
                expect_mark(&sight.mark, frame + 1);
                expect_mark(&sight.oldest, frame);
            }
        }
    }
    free(older);
    free(newer);
    tear_down(&easel);
}
END_TEST

/* What a strip's cells are covered with, whole or in part. */
enum cover { COVER_BLACK, COVER_WHITE, COVER_HALVES, COVER_NOISE, COVER_TEXT, COVERS };

static uint8_t draw_cover(enum cover cover, uint32_t x, uint32_t y) {
    switch (cover) {
    case COVER_BLACK:
        return 0;
    case COVER_WHITE:
        return 255;
    case COVER_HALVES:
        return x < WIDTH / 2 ? 0 : 255;
    case COVER_NOISE:
        return (uint8_t)rand();
    case COVER_TEXT: /* strokes of two pixels, in letters of eight by twelve */
        return y % 12 < 9 && x % 8 < 6 && (x / 8 * 7 + y / 12 * 3 + x % 8 / 2 * (y % 12 / 2)) % 3
                   ? 0
                   : 255;
    case COVERS:
        break;
    }
    return 0;
}

START_TEST(what_is_covered_is_not_torn) {
    struct easel easel;
    ck_assert_int_eq(set_up(&easel, "gray", WIDTH, HEIGHT), 0);
    const struct shmframe_plane *plane = &easel.format.plane[0];
    const struct scene *scene = picture_scene(easel.picture);
    for (uint32_t i = 0; i < 2 * MARK_STRIP_ROWS * SCENE_STRIPS; i++) {
        const struct rect strip = scene->strip[i % SCENE_STRIPS];
        const int32_t edge = strip.top + (int32_t)i / 6 * scene->cell_height;
        const bool is_above = i / SCENE_STRIPS % 2;
        struct mark_sight sight;
        paint(&easel, easel.slot, i);
        ck_assert(look(&easel, &sight) && !sight.is_torn);
        for (int32_t y = is_above ? strip.top : edge; y < (is_above ? edge : strip.bottom); y++)
            for (uint32_t x = 0; x < WIDTH; x++)
                easel.slot[plane->offset + (uint64_t)y * plane->line_bytes + x] =
                    draw_cover((enum cover)_i, x, (uint32_t)y);
        ck_assert(look(&easel, &sight));
        ck_assert_msg(!sight.is_torn, "cover %d, %u", _i, i);
        expect_mark(&sight.mark, i);
    }
    tear_down(&easel);
}
END_TEST

/* As while a seam stands still: the strip it is in is read in none of the pictures. */
START_TEST(tears_are_told_again_and_again) {
    struct easel easel;
    ck_assert_int_eq(set_up(&easel, "gray", WIDTH, HEIGHT), 0);
    uint8_t *older = calloc(1, easel.format.slot_bytes),
            *newer = calloc(1, easel.format.slot_bytes);
    const struct scene *scene = picture_scene(easel.picture);
    for (int64_t frame = 0; frame < 70; frame++) {
        struct mark_sight sight;
        paint(&easel, older, frame);
        paint(&easel, newer, frame + 1);
        tear(&easel, frame ? newer : older, older,
             (uint32_t)(scene->strip[0].top + (MARK_TOP + 3) * scene->cell_height));
        ck_assert(look(&easel, &sight));
        ck_assert_msg(sight.is_torn == (frame > 0), "frame %d", (int)frame);
    }
    free(older);
    free(newer);
    tear_down(&easel);
}
END_TEST

START_TEST(marks_that_move_are_found_again) {
    struct easel small, large;
    ck_assert_int_eq(set_up(&small, "gray", 320, 240), 0);
    ck_assert_int_eq(set_up(&large, "gray", WIDTH, HEIGHT), 0);
    const struct shmframe_plane *from = &small.format.plane[0], *to = &large.format.plane[0];
    for (uint32_t step = 0; step < 20; step++) {
        struct mark_sight sight;
        const uint32_t left = 16 * step, top = step * 6;
        paint(&small, small.slot, step);
        memset(large.slot, 90, large.format.slot_bytes);
        for (uint32_t y = 0; y < from->rows; y++)
            memcpy(large.slot + to->offset + (uint64_t)(y + top) * to->line_bytes + left,
                   small.slot + from->offset + (uint64_t)y * from->line_bytes, from->row_bytes);
        ck_assert_msg(look(&large, &sight), "step %u", step);
        ck_assert_uint_eq(sight.copies, 3);
        ck_assert_int_eq(sight.left, (int32_t)left + 8);
        ck_assert_int_eq(sight.top, (int32_t)top);
        expect_mark(&sight.mark, step);
    }
    tear_down(&small);
    tear_down(&large);
}
END_TEST

/* Paints what `mark` says into the small picture, and that into the large one. */
static void place(const struct easel *small, const struct easel *large, const struct mark *mark,
                  uint32_t left, uint32_t top) {
    const struct shmframe_plane *from = &small->format.plane[0], *to = &large->format.plane[0];
    picture_paint(small->picture, small->slot, mark->number);
    picture_draw_mark(small->picture, small->slot, NULL, mark);
    for (uint32_t y = 0; y < from->rows; y++)
        memcpy(large->slot + to->offset + (uint64_t)(y + top) * to->line_bytes + left,
               small->slot + from->offset + (uint64_t)y * from->line_bytes, from->row_bytes);
}

static void place_stream(const struct easel *small, const struct easel *large, uint16_t stream,
                         uint32_t left, uint32_t top) {
    struct mark mark = find_mark(5);
    mark.stream = stream;
    place(small, large, &mark, left, top);
}

START_TEST(of_two_streams_the_wanted_one_is_told_once_it_is_there) {
    enum { UPPER = 1, LOWER = 2, OTHER = 3 };
    struct easel small, large;
    struct mark_sight sight;
    ck_assert_int_eq(set_up(&small, "gray", WIDTH, HEIGHT), 0);
    ck_assert_int_eq(set_up(&large, "gray", WIDTH, 2 * HEIGHT), 0);
    place_stream(&small, &large, UPPER, 0, 0);
    ck_assert(look(&large, &sight));
    ck_assert_uint_eq(sight.mark.stream, UPPER);
    mark_finder_want(large.finder, LOWER);
    ck_assert(look(&large, &sight));
    ck_assert_uint_eq(sight.mark.stream, UPPER); /* better than nothing */
    place_stream(&small, &large, LOWER, 0, HEIGHT);
    for (int looks = 0; looks < 30; looks++)
        ck_assert(look(&large, &sight));
    ck_assert_uint_eq(sight.mark.stream, LOWER);
    ck_assert_uint_eq(sight.copies, 3);
    place_stream(&small, &large, OTHER, 0, 0); /* and goes on being told */
    ck_assert(look(&large, &sight));
    ck_assert_uint_eq(sight.mark.stream, LOWER);
    tear_down(&small);
    tear_down(&large);
}
END_TEST

START_TEST(the_wanted_stream_is_found_below_many_others) {
    enum { WANTED = 1, OTHERS = 12, ACROSS = 4 };
    struct easel small, large;
    struct mark_sight sight;
    ck_assert_int_eq(set_up(&small, "gray", 320, 180), 0);
    ck_assert_int_eq(set_up(&large, "gray", 320 * ACROSS, 180 * (OTHERS / ACROSS + 1)), 0);
    for (uint16_t i = 0; i < OTHERS; i++)
        place_stream(&small, &large, WANTED + 1 + i, i % ACROSS * 320u, i / ACROSS * 180u);
    place_stream(&small, &large, WANTED, 320, OTHERS / ACROSS * 180);
    mark_finder_want(large.finder, WANTED);
    for (int looks = 0; looks < 2; looks++) { /* searched, followed */
        ck_assert(look(&large, &sight));
        ck_assert_uint_eq(sight.mark.stream, WANTED);
        ck_assert_uint_eq(sight.copies, 3);
    }
    tear_down(&small);
    tear_down(&large);
}
END_TEST

/* Where the second window of a source stands, the first being at 8, 8: aside, below, or over it. */
static const struct {
    uint32_t left, top;
} seconds[] = {{330, 100}, {8, 190}, {8, 260}, {8, 40}, {40, 260}};

START_TEST(a_source_in_two_windows_is_not_torn_and_one_of_them_is_told) {
    struct easel small, large;
    ck_assert_int_eq(set_up(&small, "gray", 320, 180), 0);
    ck_assert_int_eq(set_up(&large, "gray", WIDTH + 40, HEIGHT + 90), 0);
    for (uint32_t frame = 10; frame < 50; frame++) {
        const struct mark newer = find_mark(frame), older = find_mark(frame - 6);
        struct mark_sight sight;
        place(&small, &large, &newer, 8, 8);
        place(&small, &large, &older, seconds[_i].left, seconds[_i].top);
        ck_assert(look(&large, &sight));
        ck_assert_msg(!sight.is_torn, "frame %u", frame);
        ck_assert_uint_eq(sight.copies, 3);
        /* Of what is covered in part there are fewer copies. */
        const bool is_covered = seconds[_i].left == 8 && seconds[_i].top < 188;
        expect_mark(&sight.mark, is_covered ? frame - 6 : frame);
    }
    tear_down(&small);
    tear_down(&large);
}
END_TEST

START_TEST(one_of_two_windows_that_is_torn_is_told_as_torn) {
    struct easel small, large;
    struct mark_sight sight;
    ck_assert_int_eq(set_up(&small, "gray", 320, 180), 0);
    ck_assert_int_eq(set_up(&large, "gray", WIDTH + 40, HEIGHT + 90), 0);
    const struct mark newer = find_mark(10), older = find_mark(9), oldest = find_mark(4);
    place(&small, &large, &oldest, 330, 200);
    place(&small, &large, &older, 8, 8);
    /* The upper third of it alone. */
    picture_draw_mark(small.picture, small.slot, NULL, &newer);
    for (uint32_t y = 0; y < 60; y++)
        memcpy(large.slot + large.format.plane[0].offset +
                   (uint64_t)(y + 8) * large.format.plane[0].line_bytes + 8,
               small.slot + small.format.plane[0].offset +
                   (uint64_t)y * small.format.plane[0].line_bytes,
               small.format.plane[0].row_bytes);
    ck_assert(look(&large, &sight));
    ck_assert(sight.is_torn);
    expect_mark(&sight.mark, 10);
    expect_mark(&sight.oldest, 9);
    tear_down(&small);
    tear_down(&large);
}
END_TEST

START_TEST(a_picture_without_marks_has_none) {
    struct easel easel;
    struct mark_sight sight;
    struct picture *plain;
    ck_assert_int_eq(set_up(&easel, "yuv420p", 1280, 720), 0);
    ck_assert_int_eq(picture_create(&easel.format, &plain), 0);
    for (int64_t frame = 0; frame < 20; frame++) {
        picture_paint(plain, easel.slot, frame * 61);
        ck_assert(!look(&easel, &sight));
        ck_assert_uint_eq(sight.copies, 0);
    }
    picture_destroy(plain);
    tear_down(&easel);
}
END_TEST

START_TEST(noise_has_no_marks) {
    struct easel easel;
    struct mark_sight sight;
    ck_assert_int_eq(set_up(&easel, "gray", WIDTH, HEIGHT), 0);
    for (int round = 0; round < 60; round++) {
        /* Of black and white in runs of up to `round` pixels, which has many guards. */
        uint8_t level = 0;
        for (uint64_t i = 0, left = 0; i < easel.format.slot_bytes; i++, left--) {
            if (left == 0) {
                left = 1 + (uint64_t)rand() % (1 + (uint64_t)round / 4);
                level = round % 2 ? ~level : (uint8_t)rand();
            }
            easel.slot[i] = level;
        }
        ck_assert(!look(&easel, &sight));
    }
    tear_down(&easel);
}
END_TEST

/* A slot between two pages that cannot be read, at the end of its own. */
static uint8_t *map_slot(uint64_t bytes, void **out_mapping, size_t *out_bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t room = (bytes + page - 1) / page * page;
    *out_bytes = room + 2 * page;
    *out_mapping = mmap(NULL, *out_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(*out_mapping, MAP_FAILED);
    uint8_t *readable = (uint8_t *)*out_mapping + page;
    ck_assert_int_eq(mprotect(readable, room, PROT_READ | PROT_WRITE), 0);
    return readable + (room - bytes);
}

/* Part of a marked picture that is cut off at all sides, somewhere else each time. */
static void paint_part(const struct easel *whole, const struct shmframe_format *format,
                       uint8_t *slot) {
    const struct shmframe_plane *from = &whole->format.plane[0], *to = &format->plane[0];
    const int32_t left = rand() % 60 - 30, top = rand() % 300 - 150;
    for (int32_t y = 0; y < (int32_t)to->rows; y++)
        for (int32_t x = 0; x < (int32_t)format->video.width; x++) {
            const int32_t u = x + left, v = y + top;
            const bool is_inside = u >= 0 && v >= 0 && u < WIDTH && v < HEIGHT;
            slot[to->offset + (uint64_t)y * to->line_bytes + (uint64_t)x] =
                is_inside ? whole->slot[from->offset + (uint64_t)v * from->line_bytes + (uint64_t)u]
                          : (uint8_t)rand();
        }
}

START_TEST(nothing_outside_of_the_picture_is_read) {
    struct easel whole;
    ck_assert_int_eq(set_up(&whole, "gray", WIDTH, HEIGHT), 0);
    paint(&whole, whole.slot, 5);
    uint32_t found = 0;
    for (int round = 0; round < 60; round++) {
        struct shmframe_format format;
        struct mark_finder *finder;
        void *mapping;
        size_t bytes;
        ck_assert_int_eq(shmframe_format_video(&format, "gray", 1 + (uint32_t)rand() % 900,
                                               1 + (uint32_t)rand() % 400),
                         0);
        format.plane[0].line_bytes = format.plane[0].row_bytes; /* no room beyond a row's end */
        format.slot_bytes = (uint64_t)format.plane[0].line_bytes * format.plane[0].rows;
        uint8_t *slot = map_slot(format.slot_bytes, &mapping, &bytes);
        ck_assert_int_eq(mark_finder_create(&format, &finder), 0);
        for (int look_number = 0; look_number < 4; look_number++) {
            const struct shmframe_lease lease = {.data = slot, .format = &format};
            struct mark_sight sight;
            paint_part(&whole, &format, slot);
            if (mark_finder_look(finder, &lease, &sight)) {
                expect_mark(&sight.mark, 5);
                found++;
            }
        }
        mark_finder_destroy(finder);
        ck_assert_int_eq(munmap(mapping, bytes), 0);
    }
    ck_assert_uint_gt(found, 10); /* those with a whole strip */
    tear_down(&whole);
}
END_TEST

/* The left guard and the right one in turn, all over, as high as those of a strip are. */
static void paint_guards(const struct shmframe_format *format, uint32_t cell, uint8_t *slot) {
    static const uint8_t guards[] = {0, 0, 255, 0, 255, 255, 0, 255, 0, 0, 255, 255};
    const struct shmframe_plane *plane = &format->plane[0];
    for (uint32_t y = 0; y < plane->rows; y++)
        for (uint32_t x = 0; x < plane->row_bytes; x++)
            slot[plane->offset + (uint64_t)y * plane->line_bytes + x] =
                y / (5 * cell) % 2 ? 255 : guards[x / cell % sizeof(guards)];
}

START_TEST(a_picture_of_nothing_but_guards_has_no_marks_and_is_done_with) {
    struct easel easel;
    struct mark_sight sight;
    ck_assert_int_eq(set_up(&easel, "gray", 1920, 1080), 0);
    for (uint32_t cell = 2; cell < 6; cell++) {
        paint_guards(&easel.format, cell, easel.slot);
        ck_assert(!look(&easel, &sight));
    }
    tear_down(&easel);
}
END_TEST

/* Stripes from top to bottom that are as guards are, all over. */
static void paint_stripes(const struct shmframe_format *format, uint32_t cell, uint8_t *slot) {
    static const uint8_t guard[] = {255, 0, 0, 255, 0};
    const struct shmframe_plane *plane = &format->plane[0];
    for (uint32_t y = 0; y < plane->rows; y++)
        for (uint32_t x = 0; x < plane->row_bytes; x++)
            slot[plane->offset + (uint64_t)y * plane->line_bytes + x] =
                guard[x / cell % sizeof(guard)];
}

static luma_reader *read_luma;
static uint64_t reads;

static void count_read(const struct luma *luma, const uint8_t *row, uint32_t left, uint32_t count,
                       uint8_t *out) {
    reads++;
    read_luma(luma, row, left, count, out);
}

START_TEST(long_bars_keep_no_search_busy) {
    static const uint32_t cells[] = {3, 6, 12, 25};
    struct shmframe_format format;
    struct luma luma;
    struct mark_strip_reader *reader;
    struct mark_search *search;
    ck_assert_int_eq(shmframe_format_video(&format, "gray", 1920, 2160), 0);
    ck_assert_int_eq(luma_init(&luma, &format), 0);
    read_luma = luma.read;
    luma.read = count_read;
    ck_assert_int_eq(mark_strip_reader_create(&luma, &reader), 0);
    ck_assert_int_eq(mark_search_create(&luma, reader, &search), 0);
    uint8_t *slot = malloc(format.slot_bytes);
    ck_assert_ptr_nonnull(slot);
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        struct mark_reading readings[MARK_READINGS_MAX];
        paint_stripes(&format, cells[i], slot);
        reads = 0;
        ck_assert_uint_eq(mark_search_run(search, slot, readings), 0);
        /* Three ways to look; 68 steps along bars a row, and few other reads. */
        ck_assert_msg(reads < UINT64_C(3) * 100 * luma.height, "%lu reads a row",
                      reads / luma.height);
    }
    free(slot);
    mark_search_destroy(search);
    mark_strip_reader_destroy(reader);
}
END_TEST

/* In each of three columns and so many `rows`, over what is painted with cells of each size. */
static void find_everywhere(void (*cover)(const struct shmframe_format *format, uint32_t cell,
                                          uint8_t *slot),
                            const uint32_t *cells, uint32_t sizes, uint32_t rows) {
    const uint32_t places = 3 * rows;
    struct easel small, large;
    ck_assert_int_eq(set_up(&small, "gray", 320, 180), 0);
    ck_assert_int_eq(set_up(&large, "gray", 3 * 320, rows * 180), 0);
    struct mark mark = find_mark(5);
    for (uint32_t i = 0; i < sizes * places; i++) {
        struct mark_sight sight;
        cover(&large.format, cells[i / places], large.slot);
        mark.number = i;
        place(&small, &large, &mark, i % 3 * 320, i / 3 % rows * 180);
        ck_assert_msg(look(&large, &sight) && sight.copies == 3, "cells of %u, place %u",
                      cells[i / places], i % places);
        ck_assert_uint_eq(sight.mark.number, i);
    }
    tear_down(&small);
    tear_down(&large);
}

START_TEST(marks_beside_and_below_long_bars_are_found) {
    static const uint32_t cells[] = {2, 3, 4, 6, 8};
    find_everywhere(paint_stripes, cells, sizeof(cells) / sizeof(cells[0]), 3);
}
END_TEST

START_TEST(marks_below_a_thousand_guards_are_found) {
    static const uint32_t cells[] = {2, 3, 5};
    find_everywhere(paint_guards, cells, sizeof(cells) / sizeof(cells[0]), 4);
}
END_TEST

START_TEST(what_is_no_picture_is_refused_and_another_format_not_read) {
    struct mark_finder *finder;
    struct shmframe_format sound;
    ck_assert_int_eq(shmframe_format_audio(&sound, "flt", 2, 48000, 480), 0);
    ck_assert_int_eq(mark_finder_create(&sound, &finder), -ENOTSUP);
    mark_finder_destroy(NULL);

    struct easel easel, other;
    struct mark_sight sight;
    ck_assert_int_eq(set_up(&easel, "gray", WIDTH, HEIGHT), 0);
    ck_assert_int_eq(set_up(&other, "gray", 320, 240), 0);
    paint(&easel, easel.slot, 3);
    const struct shmframe_lease lease = {.data = easel.slot, .format = &easel.format};
    ck_assert(!mark_finder_look(other.finder, &lease, &sight));
    ck_assert(mark_finder_look(easel.finder, &lease, &sight));
    tear_down(&easel);
    tear_down(&other);
}
END_TEST

int main(void) {
    av_log_set_level(AV_LOG_ERROR);
    Suite *suite = suite_create("finder");
    TCase *pictures = tcase_create("pictures");
    tcase_set_timeout(pictures, 60);
    tcase_add_test(pictures, marks_are_read_in_every_format_that_can_be_painted);
    tcase_add_test(pictures, place_and_scale_are_told);
    tcase_add_test(pictures, a_picture_of_two_frames_is_torn_at_any_row_of_its_marks);
    tcase_add_loop_test(pictures, what_is_covered_is_not_torn, 0, COVERS);
    tcase_add_test(pictures, tears_are_told_again_and_again);
    tcase_add_test(pictures, marks_that_move_are_found_again);
    tcase_add_test(pictures, of_two_streams_the_wanted_one_is_told_once_it_is_there);
    tcase_add_test(pictures, the_wanted_stream_is_found_below_many_others);
    tcase_add_loop_test(pictures, a_source_in_two_windows_is_not_torn_and_one_of_them_is_told, 0,
                        sizeof(seconds) / sizeof(seconds[0]));
    tcase_add_test(pictures, one_of_two_windows_that_is_torn_is_told_as_torn);
    tcase_add_test(pictures, a_picture_without_marks_has_none);
    tcase_add_test(pictures, noise_has_no_marks);
    tcase_add_test(pictures, nothing_outside_of_the_picture_is_read);
    tcase_add_test(pictures, a_picture_of_nothing_but_guards_has_no_marks_and_is_done_with);
    tcase_add_test(pictures, long_bars_keep_no_search_busy);
    tcase_add_test(pictures, marks_beside_and_below_long_bars_are_found);
    tcase_add_test(pictures, marks_below_a_thousand_guards_are_found);
    tcase_add_test(pictures, what_is_no_picture_is_refused_and_another_format_not_read);
    suite_add_tcase(suite, pictures);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
