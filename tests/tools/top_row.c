/* Rows of top, of pictures made up: what is wrong with them, what stands in them, which is
 * selected. */
#include "top_view.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct hops nothing;
static struct hops measured;
static const struct gather_process stopped = {.pid = 7, .is_known = true, .state = 'T'};
/* Never looked into: that there is one is what counts. */
static struct shmframe_record *const record = (struct shmframe_record *)&measured;

static struct gather_reader reader[3];
static struct gather_stream stream;
static struct gather gather;
static struct top_view view;

static void begin(void) {
    for (uint32_t i = 0; i < 3; i++)
        reader[i] = (struct gather_reader){.info = {.number = 60 + i, .name = "reader"},
                                           .unmeasured = GATHER_REFUSED,
                                           .all = &nothing,
                                           .span = &nothing,
                                           .rate_hz = -1};
    stream = (struct gather_stream){
        .info = {.name = "cam", .writer = "writer"}, .reader = reader, .readers = 3};
    gather = (struct gather){.time_ns = INT64_C(100000000000), .stream = &stream, .streams = 1};
    view = (struct top_view){.gather = &gather};
}

static void end(void) {
    top_rows_finish(&view.rows);
}

/* The cell of that column and row, without the blanks around it. */
static const char *cell(const char *title, const struct top_row *row) {
    static char text[TOP_CELL_BYTES];
    struct top_column column[TOP_COLUMNS_MAX];
    const int columns = top_columns_choose(400, column);
    for (int i = 0; i < columns; i++)
        if (strcmp(column[i].title, title) == 0) {
            text[0] = '\0';
            column[i].put(&gather, row, text);
            return text;
        }
    ck_abort_msg("no column %s", title);
}

START_TEST(who_is_stopped_is_trouble_also_without_a_record) {
    const struct top_row row = {.kind = TOP_READER, .stream = &stream, .reader = &reader[1]};
    ck_assert_int_eq(top_row_care(&gather, &row), TOP_WELL);
    reader[1].process = &stopped;
    ck_assert_int_eq(top_row_care(&gather, &row), TOP_TROUBLE);
    ck_assert_str_eq(cell("STATE", &row), "stopped");
}
END_TEST

START_TEST(a_row_tells_which_reader_it_is) {
    const struct top_row row = {.kind = TOP_READER, .stream = &stream, .reader = &reader[1]};
    ck_assert_str_eq(cell("NAME", &row), "-> #61 reader");
}
END_TEST

START_TEST(the_first_who_measures_it_tells_what_a_writer_takes) {
    const struct top_row row = {.kind = TOP_WRITER, .stream = &stream};
    ck_assert_str_eq(cell("PRODUCE", &row), "");
    reader[0].record = record;
    ck_assert_str_eq(cell("PRODUCE", &row), "-");
    measured.hop[SHMFRAME_HOP_PRODUCE].count = 1;
    measured.hop[SHMFRAME_HOP_PRODUCE].bucket[5] = 1;
    measured.hop[SHMFRAME_HOP_PRODUCE].max_ns = 5;
    reader[2].record = record;
    reader[2].span = &measured;
    ck_assert_str_eq(cell("PRODUCE", &row), "5 ns");
}
END_TEST

START_TEST(columns_fit_at_every_width) {
    struct top_column column[TOP_COLUMNS_MAX];
    for (int width = 22; width <= 400; width++) { /* of the name alone */
        const int columns = top_columns_choose(width, column);
        int taken = 0;
        for (int i = 0; i < columns; i++)
            taken += column[i].width + (i > 0);
        ck_assert_int_gt(columns, 0);
        ck_assert_int_le(taken, width);
    }
}
END_TEST

START_TEST(every_state_has_room) {
    struct top_column column[TOP_COLUMNS_MAX];
    top_columns_choose(80, column);
    ck_assert_str_eq(column[1].title, "STATE");
    for (unsigned state = SHMFRAME_STREAM_WAITED_FOR; state <= SHMFRAME_STREAM_WRITER_GONE; state++)
        ck_assert_int_ge(column[1].width, (int)strlen(gather_state_name(state)));
    for (unsigned writing = GATHER_WRITING_NOTHING; writing <= GATHER_WRITING_STALLED; writing++)
        ck_assert_int_ge(column[1].width, (int)strlen(gather_writing_name(writing)));
}
END_TEST

static void expect_selected(uint32_t number) {
    const struct top_row *row = top_view_selected(&view);
    ck_assert_ptr_nonnull(row);
    ck_assert_int_eq(row->kind, TOP_READER);
    ck_assert_uint_eq(row->reader->info.number, number);
}

START_TEST(what_is_selected_stays_so_while_it_is_not_there) {
    top_view_list(&view);
    ck_assert_int_eq(top_view_selected(&view)->kind, TOP_STREAM);
    top_view_move(&view, 3);
    expect_selected(61);
    /* A supervisor starts again: nobody is there, then the others are. */
    gather.streams = 0;
    top_view_list(&view);
    ck_assert_ptr_null(top_view_selected(&view));
    gather.streams = 1;
    reader[1].info.number = 63;
    top_view_list(&view);
    ck_assert_ptr_null(top_view_selected(&view));
    reader[1].info.number = 61;
    top_view_list(&view);
    expect_selected(61);
    /* It never comes back: somebody chooses what is in its place. */
    reader[1].info.number = 63;
    top_view_list(&view);
    ck_assert_ptr_null(top_view_selected(&view));
    top_view_move(&view, 1);
    expect_selected(63);
}
END_TEST

START_TEST(it_is_told_how_many_are_too_many) {
    char text[256];
    top_view_describe(&view, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "3 readers, "));
    gather.undetailed = 2;
    top_view_describe(&view, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "3 readers (2 not measured: too many), "));
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("top_row");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, who_is_stopped_is_trouble_also_without_a_record);
    tcase_add_test(cases, a_row_tells_which_reader_it_is);
    tcase_add_test(cases, the_first_who_measures_it_tells_what_a_writer_takes);
    tcase_add_test(cases, columns_fit_at_every_width);
    tcase_add_test(cases, every_state_has_room);
    tcase_add_test(cases, what_is_selected_stays_so_while_it_is_not_there);
    tcase_add_test(cases, it_is_told_how_many_are_too_many);
    Suite *suite = suite_create("top_row");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
