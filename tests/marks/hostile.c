/* Hostile pictures: whatever a format that the library accepts and the bytes of a slot are, a
 * finder reads nothing outside of the slot, comes back, and tells no mark that nobody painted. */
#include "luma.h"
#include "mark_finder.h"

#include <check.h>
#include <format.h>
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint32_t rounds = 100;

static uint32_t draw(uint32_t end) {
    return (uint32_t)rand() % end;
}

/* ---- Formats ---- */

static const char *const *list_names(uint32_t *out_count) {
    static const char *names[512];
    static uint32_t count;
    if (count == 0)
        for (const AVPixFmtDescriptor *at = NULL; (at = av_pix_fmt_desc_next(at));)
            if (!(at->flags & AV_PIX_FMT_FLAG_HWACCEL) && count < 512)
                names[count++] = at->name;
    *out_count = count;
    return names;
}

/* From one pixel to strips that just fit, and pictures that are very wide or very high. */
static uint32_t draw_side(void) {
    switch (draw(8)) {
    case 0:
        return 1 + draw(8);
    case 1:
        return 60 + draw(40);
    case 2:
        return SHMFRAME_SIDE_MAX - draw(2);
    default:
        return 1 + draw(700);
    }
}

/* One that format_check() accepts, with lines as long as they may be, or as short. */
static bool draw_format(struct shmframe_format *out_format) {
    uint32_t count;
    const char *const *names = list_names(&count);
    const uint32_t width = draw_side(), height = draw_side();
    struct shmframe_format format;
    if ((uint64_t)width * height > (draw(20) ? 200000 : 4000000) ||
        shmframe_format_video(&format, names[draw(count)], width, height) < 0)
        return false;
    uint64_t end = draw(3) ? 0 : draw(100);
    for (uint32_t i = 0; i < format.plane_count; i++) {
        struct shmframe_plane *plane = &format.plane[i];
        plane->offset = end;
        plane->line_bytes = plane->row_bytes + (draw(2) ? 0 : draw(70));
        end += (uint64_t)plane->line_bytes * plane->rows;
    }
    format.slot_bytes = end + SHMFRAME_TAIL_BYTES;
    if (format_check(&format) < 0)
        return false;
    *out_format = format;
    return true;
}

/* ---- Pictures ---- */

static void fill_noise(uint8_t *slot, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i++)
        slot[i] = (uint8_t)rand();
}

static void fill_runs(uint8_t *slot, uint64_t bytes) {
    const uint32_t longest = 1 + draw(40);
    uint8_t level = 0;
    for (uint64_t i = 0, left = 0; i < bytes; i++, left--) {
        if (left == 0) {
            left = 1 + draw(longest);
            level = draw(2) ? ~level : (uint8_t)rand();
        }
        slot[i] = level;
    }
}

/* Along one side: where a strip begins, most often at an edge or just beyond it. */
static int64_t draw_place(uint32_t side, uint32_t strip, uint32_t cell) {
    const int64_t last = (int64_t)side - strip;
    switch (draw(4)) {
    case 0:
        return -(int64_t)draw(2 * cell + 2);
    case 1:
        return last + draw(2 * cell + 2);
    case 2:
        return last > 0 ? draw((uint32_t)last) : 0;
    default:
        return (int64_t)draw(side + strip) - strip;
    }
}

/* A strip of which any part may be outside of the picture; none in formats whose pixels have no
 * bytes of their own. */
static void draw_strip(const struct shmframe_format *format, uint8_t *slot) {
    struct luma luma;
    if (luma_init(&luma, format) < 0 || luma.descriptor->flags & AV_PIX_FMT_FLAG_BITSTREAM ||
        (uint64_t)luma.width * (uint64_t)luma.step > luma.line_bytes)
        return;
    const struct mark mark = {.number = (uint32_t)rand(), .capture_ns = 1 + rand()};
    uint8_t cells[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS];
    mark_draw(&mark, cells);
    const uint32_t cell = 2 + draw(luma.width / MARK_STRIP_COLUMNS + 1),
                   high = 2 + draw(luma.height / MARK_STRIP_ROWS + 1);
    const int64_t left = draw_place(luma.width, MARK_STRIP_COLUMNS * cell, cell);
    const int64_t top = draw_place(luma.height, MARK_STRIP_ROWS * high, high);
    /* Of floats no number, but near 1. */
    const int white = luma.descriptor->flags & AV_PIX_FMT_FLAG_FLOAT ? 0x3f : 0xff;
    for (int64_t y = top < 0 ? -top : 0; y < MARK_STRIP_ROWS * high && top + y < luma.height; y++)
        for (int64_t x = left < 0 ? -left : 0;
             x < MARK_STRIP_COLUMNS * cell && left + x < luma.width; x++)
            memset(slot + luma.offset + (uint64_t)(top + y) * luma.line_bytes +
                       (uint64_t)(left + x) * (uint64_t)luma.step,
                   cells[y / high][x / cell] ? 0 : white,
                   luma.descriptor->comp[luma.component].depth > 8 ? 2 : 1);
}

/* Words of two and four bytes that are no numbers, infinite, or the largest there are. */
static void fill_words(uint8_t *slot, uint64_t bytes) {
    static const uint8_t words[][4] = {{0xff, 0xff, 0xff, 0xff}, {0x00, 0x00, 0x80, 0x7f},
                                       {0x00, 0x00, 0x80, 0xff}, {0x00, 0x7c, 0x00, 0xfc},
                                       {0x01, 0x00, 0x00, 0x00}, {0x00, 0x00, 0x00, 0x80}};
    for (uint64_t i = 0; i + 4 <= bytes; i += 4)
        memcpy(slot + i, words[draw(6)], 4);
}

static void paint(const struct shmframe_format *format, uint8_t *slot) {
    switch (draw(4)) {
    case 0:
        fill_noise(slot, format->slot_bytes);
        break;
    case 1:
        fill_runs(slot, format->slot_bytes);
        break;
    case 2:
        fill_words(slot, format->slot_bytes);
        break;
    default:
        memset(slot, rand(), format->slot_bytes);
    }
    for (uint32_t strips = draw(6); strips > 0; strips--)
        draw_strip(format, slot);
}

/* ---- Looks ---- */

/* A slot between two pages that cannot be read, at the end or at the beginning of its own. */
static uint8_t *map_slot(uint64_t bytes, void **out_mapping, size_t *out_bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t room = (bytes + page - 1) / page * page;
    *out_bytes = room + 2 * page;
    *out_mapping = mmap(NULL, *out_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(*out_mapping, MAP_FAILED);
    uint8_t *readable = (uint8_t *)*out_mapping + page;
    ck_assert_int_eq(mprotect(readable, room, PROT_READ | PROT_WRITE), 0);
    return draw(2) ? readable + (room - bytes) : readable;
}

static uint32_t look_at(const struct shmframe_format *format) {
    struct mark_finder *finder;
    void *mapping;
    size_t bytes;
    uint32_t found = 0;
    if (mark_finder_create(format, &finder) < 0)
        return 0;
    uint8_t *slot = map_slot(format->slot_bytes, &mapping, &bytes);
    for (int i = 0; i < 4; i++) {
        const struct shmframe_lease lease = {.data = slot, .format = format};
        struct mark_sight sight;
        if (i % 2 == 0 || draw(2))
            paint(format, slot);
        if (!mark_finder_look(finder, &lease, &sight))
            continue;
        found++;
        ck_assert_uint_ge(sight.copies, 1);
        ck_assert_uint_le(sight.copies, 3);
        ck_assert(isfinite(sight.cell_width) && isfinite(sight.cell_height));
        /* What was painted, and nothing else. */
        ck_assert_msg(sight.mark.stream == 0 && sight.mark.beat == 0 &&
                          sight.mark.capture_ns <= (int64_t)RAND_MAX + 1,
                      "%s %ux%u: a mark that nobody painted", format->video.pixel_format,
                      format->video.width, format->video.height);
    }
    mark_finder_destroy(finder);
    ck_assert_int_eq(munmap(mapping, bytes), 0);
    return found;
}

START_TEST(no_picture_whatever_makes_a_finder_read_beyond_the_slot) {
    uint32_t found = 0, looked_at = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        struct shmframe_format format;
        srand(i);
        if (!draw_format(&format))
            continue;
        looked_at++;
        found += look_at(&format);
    }
    ck_assert_uint_gt(looked_at, rounds / 3);
    ck_assert_uint_gt(found, rounds / 100);
}
END_TEST

START_TEST(any_floats_are_decoded_to_nothing_or_a_mark_in_range) {
    static const float wild[] = {NAN, INFINITY, -INFINITY, 0, -0.0F, 1e-45F, 3e38F, -3e38F};
    const struct mark painted = {.number = 7, .capture_ns = 5};
    uint8_t right[MARK_CELLS];
    mark_encode(&painted, right);
    for (uint32_t i = 0; i < rounds * 30; i++) {
        float cells[MARK_CELLS];
        struct mark mark;
        uint32_t corrected, spoilt = draw(2) ? MARK_CELLS : draw(160);
        srand(i);
        for (int k = 0; k < MARK_CELLS; k++)
            cells[k] = right[k] ? 1 : -1;
        for (uint32_t k = 0; k < spoilt; k++)
            cells[draw(MARK_CELLS)] =
                draw(3) ? wild[draw(8)] : (float)rand() / (float)RAND_MAX - 0.5F;
        if (mark_decode(cells, &mark, &corrected)) {
            ck_assert_uint_eq(mark.number, 7);
            ck_assert_int_eq(mark.capture_ns, 5);
            ck_assert_uint_le(corrected, 40);
        }
    }
}
END_TEST

int main(int argc, char **argv) {
    av_log_set_level(AV_LOG_ERROR);
    if (argc > 1)
        rounds = (uint32_t)atoi(argv[1]);
    Suite *suite = suite_create("hostile");
    TCase *pictures = tcase_create("pictures");
    tcase_set_timeout(pictures, 3600);
    tcase_add_test(pictures, no_picture_whatever_makes_a_finder_read_beyond_the_slot);
    tcase_add_test(pictures, any_floats_are_decoded_to_nothing_or_a_mark_in_range);
    suite_add_tcase(suite, pictures);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
