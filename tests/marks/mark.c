/* Mark: contents come back whole from cells that were wrong, unsure or burst, and never from noise.
 */
#include "mark.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t make_noise(void) {
    static uint64_t state = 88172645463325252u; /* xorshift */
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static struct mark make_mark(void) {
    return (struct mark){
        .stream = (uint16_t)make_noise(),
        .clock = (uint16_t)make_noise(),
        .number = (uint32_t)make_noise(),
        .capture_ns = (int64_t)(make_noise() % MARK_CAPTURE_END_NS),
        .beat = (uint8_t)make_noise(),
        .since_beat_us = (uint32_t)make_noise() & 0xffffff,
    };
}

static void expect_same(const struct mark *a, const struct mark *b) {
    ck_assert_uint_eq(a->stream, b->stream);
    ck_assert_uint_eq(a->clock, b->clock);
    ck_assert_uint_eq(a->number, b->number);
    ck_assert_int_eq(a->capture_ns, b->capture_ns);
    ck_assert_uint_eq(a->beat, b->beat);
    ck_assert_uint_eq(a->since_beat_us, b->since_beat_us);
}

static void see(const struct mark *mark, float out_cells[MARK_CELLS]) {
    uint8_t cells[MARK_CELLS];
    mark_encode(mark, cells);
    for (int i = 0; i < MARK_CELLS; i++)
        out_cells[i] = cells[i] ? 1 : -1;
}

START_TEST(any_contents_come_back) {
    static const struct mark edges[] = {
        {0},
        {UINT16_MAX, UINT16_MAX, UINT32_MAX, MARK_CAPTURE_END_NS - 1, UINT8_MAX, 0xffffff},
        {1, 2, 3, 0, 4, 0xffffff}, /* the beat was before 0 */
    };
    enum { EDGES = sizeof(edges) / sizeof(edges[0]) };
    for (int i = 0; i < 2000; i++) {
        const struct mark mark = i < EDGES ? edges[i] : make_mark();
        struct mark back;
        uint32_t corrected;
        float cells[MARK_CELLS];
        see(&mark, cells);
        ck_assert(mark_decode(cells, &back, &corrected));
        ck_assert_uint_eq(corrected, 0);
        expect_same(&back, &mark);
    }
}
END_TEST

START_TEST(instants_that_no_clock_tells_are_refused) {
    static const int64_t instants[] = {INT64_MIN, INT64_MIN + 16777215000, -1, MARK_CAPTURE_END_NS,
                                       INT64_MAX};
    for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
        struct mark mark = make_mark(), back;
        uint32_t corrected;
        float cells[MARK_CELLS];
        mark.capture_ns = instants[i];
        see(&mark, cells);
        ck_assert(!mark_decode(cells, &back, &corrected));
    }
}
END_TEST

START_TEST(every_single_wrong_cell_is_put_right_and_counted) {
    const struct mark mark = make_mark();
    float cells[MARK_CELLS];
    see(&mark, cells);
    for (int i = 0; i < MARK_CELLS; i++) {
        struct mark back;
        uint32_t corrected;
        cells[i] = -cells[i];
        ck_assert(mark_decode(cells, &back, &corrected));
        ck_assert_uint_eq(corrected, 1);
        expect_same(&back, &mark);
        cells[i] = -cells[i];
    }
}
END_TEST

/* A burst of cells that are all wrong, at any place. */
static bool survives_burst(const struct mark *mark, int first, int count, uint32_t *out_corrected) {
    float cells[MARK_CELLS];
    see(mark, cells);
    for (int i = first; i < first + count; i++)
        cells[i] = -cells[i];
    struct mark back;
    if (!mark_decode(cells, &back, out_corrected))
        return false;
    expect_same(&back, mark);
    return true;
}

START_TEST(every_burst_up_to_the_limit_is_put_right) {
    const struct mark mark = make_mark();
    uint32_t corrected;
    for (int count = 2; count <= 40; count++)
        for (int first = 0; first + count <= MARK_CELLS; first++) {
            ck_assert(survives_burst(&mark, first, count, &corrected));
            ck_assert_uint_eq(corrected, count);
        }
}
END_TEST

START_TEST(bursts_beyond_the_limit_are_refused) {
    const struct mark mark = make_mark();
    uint32_t corrected;
    for (int count = 73; count <= 160; count++)
        for (int first = 0; first + count <= MARK_CELLS; first++)
            ck_assert(!survives_burst(&mark, first, count, &corrected));
}
END_TEST

START_TEST(twelve_bytes_that_cannot_be_seen_are_made_up_for) {
    for (int round = 0; round < 2000; round++) {
        const struct mark mark = make_mark();
        float cells[MARK_CELLS];
        see(&mark, cells);
        const int first = (int)(make_noise() % (40 - 12 + 1)) * 8;
        for (int i = first; i < first + 12 * 8; i++)
            cells[i] = i % 3 ? cells[i] * 0.01f : round % 2 ? NAN : cells[i] * -0.01f;
        struct mark back;
        uint32_t corrected;
        ck_assert(mark_decode(cells, &back, &corrected));
        expect_same(&back, &mark);
    }
}
END_TEST

/* Given on the command line where more are wanted. */
static long noise_words = 20000;

START_TEST(noise_is_never_a_mark) {
    for (long i = 0; i < noise_words; i++) {
        float cells[MARK_CELLS];
        for (int k = 0; k < MARK_CELLS; k += 8) {
            const uint64_t bits = make_noise();
            for (int bit = 0; bit < 8; bit++)
                cells[k + bit] = (float)(int8_t)(bits >> bit * 8) + 0.5f;
        }
        struct mark mark;
        uint32_t corrected;
        ck_assert(!mark_decode(cells, &mark, &corrected));
    }
}
END_TEST

START_TEST(few_cells_change_between_neighbours) {
    struct mark mark = {.stream = 7, .clock = 9, .capture_ns = INT64_C(5012345678901)};
    int most = 0;
    uint8_t before[MARK_CELLS], after[MARK_CELLS];
    mark_encode(&mark, before);
    for (int i = 1; i < 60; i++) {
        mark.number++;
        mark.capture_ns += 16666666 + (i % 3 > 0);
        mark.since_beat_us = (uint32_t)((mark.capture_ns - INT64_C(5012345678901)) / 1000);
        mark_encode(&mark, after);
        int changed = 0;
        for (int k = 0; k < MARK_CELLS; k++)
            changed += before[k] != after[k];
        most = changed > most ? changed : most;
        memcpy(before, after, sizeof(before));
    }
    /* Half of the code's and the check's cells, and those of the clock's last bytes. */
    ck_assert_int_lt(most, MARK_CELLS / 3 + 20);
}
END_TEST

START_TEST(the_strip_has_its_guards_at_both_sides_and_white_around) {
    uint8_t strip[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS], cells[MARK_CELLS];
    const struct mark mark = make_mark();
    mark_draw(&mark, strip);
    mark_encode(&mark, cells);
    static const uint8_t guard[] = {0, 1, 1, 0, 1, 0};
    for (int row = 0; row < MARK_STRIP_ROWS; row++)
        for (int column = 0; column < MARK_STRIP_COLUMNS; column++) {
            const int right = MARK_STRIP_COLUMNS - 1 - column;
            const bool is_edge = row < MARK_TOP || row >= MARK_TOP + MARK_ROWS;
            const int wanted = is_edge              ? 0
                               : column < MARK_LEFT ? guard[column]
                               : right < MARK_LEFT
                                   ? guard[right]
                                   : cells[(row - MARK_TOP) * MARK_COLUMNS + column - MARK_LEFT];
            ck_assert_int_eq(strip[row][column], wanted);
        }
}
END_TEST

START_TEST(ids_tell_names_apart_and_stay_the_same) {
    ck_assert_uint_eq(mark_stream_id("demo"), mark_stream_id("demo"));
    ck_assert_uint_ne(mark_stream_id("demo"), mark_stream_id("demo2"));
    ck_assert_uint_ne(mark_stream_id("a.b"), mark_stream_id("b.a"));
    ck_assert_uint_ne(mark_clock_id(), 0);
    ck_assert_uint_eq(mark_clock_id(), mark_clock_id());
}
END_TEST

int main(int argc, char **argv) {
    if (argc > 1)
        noise_words = atol(argv[1]);
    Suite *suite = suite_create("mark");
    TCase *cells = tcase_create("cells");
    tcase_set_timeout(cells, 600);
    tcase_add_test(cells, any_contents_come_back);
    tcase_add_test(cells, instants_that_no_clock_tells_are_refused);
    tcase_add_test(cells, every_single_wrong_cell_is_put_right_and_counted);
    tcase_add_test(cells, every_burst_up_to_the_limit_is_put_right);
    tcase_add_test(cells, bursts_beyond_the_limit_are_refused);
    tcase_add_test(cells, twelve_bytes_that_cannot_be_seen_are_made_up_for);
    tcase_add_test(cells, noise_is_never_a_mark);
    tcase_add_test(cells, few_cells_change_between_neighbours);
    tcase_add_test(cells, the_strip_has_its_guards_at_both_sides_and_white_around);
    tcase_add_test(cells, ids_tell_names_apart_and_stay_the_same);
    suite_add_tcase(suite, cells);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
