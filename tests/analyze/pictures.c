/* What the analyzer makes of streams of pictures: those that never pause, or are made of each
 * other; of stamps that say anything, few leases, and what cannot be measured. */
#include "stage.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 64, BIG = 2048, RATE = 25 };

static struct shmframe_writer *open_pictures(struct shmframe_session *session, const char *stream,
                                             uint32_t side) {
    struct shmframe_writer_params params = {.stream = stream};
    ck_assert_int_eq(shmframe_format_video(&params.format, "gray", side, side), 0);
    params.format.time_base = (struct shmframe_rational){1, RATE};
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(session, &params, &writer), 0);
    return writer;
}

static void write_picture(struct shmframe_writer *writer, int value, int64_t pts,
                          int64_t duration) {
    struct shmframe_loan loan;
    const int code = shmframe_writer_loan(writer, world_deadline(), &loan);
    ck_assert_msg(code == 0, "no loan (%d): %s", code, shmframe_last_error());
    memset(loan.data, value, loan.format->slot_bytes);
    loan.frame.pts = pts;
    loan.frame.duration = duration;
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
}

static void write_pictures(struct shmframe_writer *writer, int count) {
    for (int i = 0; i < count; i++)
        write_picture(writer, i * 3, i, 1);
}

static void start(struct shmframe_writer *writer, const char *option, const char *value) {
    stage_start((struct shmframe_writer *[]){writer, NULL},
                (const char *[]){"main", option, value, NULL});
}

/* ---- streams that never pause ---- */

static void write_without_end(void) {
    world.session = world_open_session();
    struct shmframe_writer *writer = open_pictures(world.session, "main", BIG);
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    for (int64_t i = 0;; i++) {
        struct shmframe_loan loan;
        if (shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan) < 0)
            break;
        loan.frame.pts = i;
        shmframe_writer_publish(writer, &loan);
    }
}

START_TEST(one_that_always_has_a_next_picture_can_be_stopped) {
    const pid_t producer = world_fork(write_without_end);
    stage_start_program((const char *[]){"main", NULL});
    stage_await_told();
    kill(stage_pid(), SIGINT);
    ck_assert_int_eq(stage_join(), 0);
    ck_assert_str_eq(json_string_value(json_object_get(stage_total("main"), "ended_by")), "signal");
    world_kill(producer);
}
END_TEST

START_TEST(one_that_always_has_a_next_picture_ends_after_the_duration) {
    const pid_t producer = world_fork(write_without_end);
    stage_start_program((const char *[]){"main", "--duration", "100ms", NULL});
    ck_assert_int_eq(stage_join(), 0);
    ck_assert_str_eq(json_string_value(json_object_get(stage_total("main"), "ended_by")),
                     "duration");
    world_kill(producer);
}
END_TEST

/* ---- streams that are made of each other ---- */

static int every; /* of how many pictures of "source" one becomes one of "main" */

/* Reads "source" losslessly, and passes on one of many. */
static void thin_out(void) {
    world.session = world_open_session();
    struct shmframe_writer *writer = open_pictures(world.session, "main", WIDTH);
    struct shmframe_reader *reader;
    const struct shmframe_reader_params params = {.stream = "source",
                                                  .policy = SHMFRAME_LOSSLESS,
                                                  .depth = 4,
                                                  .deadline_ns = world_deadline()};
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader), 0);
    struct shmframe_lease lease;
    for (int i = 1; shmframe_reader_acquire(reader, world_deadline(), &lease) == 0; i++) {
        struct shmframe_loan loan;
        if (i % every == 0 && shmframe_writer_loan(writer, world_deadline(), &loan) == 0) {
            memcpy(loan.data, lease.data, loan.format->slot_bytes);
            shmframe_loan_carry(&loan, &lease);
            shmframe_writer_publish(writer, &loan);
        }
        shmframe_reader_release(reader, &lease);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}

/* Analyzes `pictures` of "source" thinned out, beside them. */
static const json_t *compare_thinned(int one_of, int pictures, const char *option,
                                     const char *value) {
    every = one_of;
    struct shmframe_writer *writer = open_pictures(world.session, "source", WIDTH);
    const pid_t filter = world_fork(thin_out);
    world_expect_writer_event(writer, SHMFRAME_READER_JOINED);
    stage_start(
        (struct shmframe_writer *[]){writer, NULL},
        (const char *[]){"main", "--reference", "source", "--interval", "0", option, value, NULL});
    write_pictures(writer, pictures);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    world_kill(filter);
    return stage_total("main");
}

START_TEST(a_stream_made_of_its_reference_finds_all_partners) {
    const json_t *total = compare_thinned(5, 60, NULL, NULL);
    expect_near(total, "pairs", 12, 0);
    expect_near(total, "pairs_equal", 12, 0);
    expect_near(total, "unmatched", 0, 0);
    expect_near(total, "unmatched_reference", 48, 0);
}
END_TEST

START_TEST(what_waits_for_too_long_is_given_up) {
    const json_t *total = compare_thinned(40, 80, NULL, NULL);
    expect_near(total, "pairs_equal", 2, 0);
    expect_near(total, "unmatched_reference", 78, 0);
}
END_TEST

START_TEST(the_last_of_so_many_pictures_find_their_partners) {
    const json_t *total = compare_thinned(1, 40, "--frames", "10");
    expect_near(total, "frames", 10, 0);
    expect_near(total, "pairs_equal", 10, 0);
    expect_near(total, "unmatched", 0, 0);
    ck_assert_str_eq(json_string_value(json_object_get(total, "ended_by")), "frames");
}
END_TEST

START_TEST(few_leases_are_enough_where_pictures_are_copied) {
    const json_t *total = compare_thinned(1, 40, "--leases", "1");
    expect_near(total, "pairs_equal", 40, 0);
    ck_assert_double_ge(stage_number(total, "pictures_copied"), 80);
}
END_TEST

START_TEST(one_lease_is_enough_for_a_stream_alone) {
    struct shmframe_writer *writer = open_pictures(world.session, "main", WIDTH);
    start(writer, "--leases", "1");
    write_pictures(writer, 20);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    expect_near(stage_total("main"), "pictures", 20, 0);
    expect_near(stage_total("main"), "pictures_copied", 20, 0);
}
END_TEST

START_TEST(every_picture_may_have_the_reference) {
    enum { PICTURES = 16 };
    struct shmframe_writer *writers[PICTURES + 1] = {0};
    const char *words[PICTURES + 6] = {"--interval", "0", "--reference", "r"};
    static char names[PICTURES][8];
    for (int i = 0; i < PICTURES; i++) {
        snprintf(names[i], sizeof(names[i]), "v%d", i);
        words[4 + i] = names[i];
        writers[i] = open_pictures(world.session, names[i], 8);
    }
    struct shmframe_writer *reference = open_pictures(world.session, "r", 8);
    stage_start(writers, words);
    for (int i = 0; i < PICTURES; i++)
        world_expect_writer_event(reference, SHMFRAME_READER_JOINED);
    for (int i = 0; i < PICTURES; i++)
        shmframe_writer_close(writers[i]);
    shmframe_writer_close(reference);
    ck_assert_int_eq(stage_join(), 0);
    expect_near(stage_total("v15"), "pictures", 0, 0);
}
END_TEST

/* ---- stamps ---- */

START_TEST(stamps_may_say_anything) {
    static const int64_t wild[] = {-(INT64_C(1) << 62), (INT64_C(1) << 62) + 5, 0, INT64_MAX,
                                   INT64_MIN + 1,       INT64_MAX - 1,          7, 8};
    enum { WILD = sizeof(wild) / sizeof(wild[0]) };
    char chart[128];
    snprintf(chart, sizeof(chart), "%s/chart.png", world.folder);
    struct shmframe_writer *writer = open_pictures(world.session, "main", WIDTH);
    start(writer, "--chart", chart);
    for (int i = 0; i < 3 * WILD; i++)
        write_picture(writer, i / 3, wild[i % WILD], i % 2 ? INT64_MAX : -1);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    expect_near(stage_total("main"), "pictures", 3 * WILD, 0);
    ck_assert_int_eq(unlink(chart), 0);
}
END_TEST

START_TEST(a_wild_stamp_is_no_time_that_passed) {
    struct shmframe_writer *writer = open_pictures(world.session, "main", WIDTH);
    start(writer, "--frozen", "100ms");
    for (int i = 0; i < 50; i++)
        write_picture(writer, 100, i == 20 ? INT64_C(86400) * 365 * RATE : i, 1);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    expect_near(stage_total("main"), "frozen_s", 49 / 25., 1e-6);
    expect_near(stage_total("main"), "duration_s", 50 / 25., 1e-6);
}
END_TEST

/* ---- what cannot be measured ---- */

static struct shmframe_writer *open_bits(const char *stream) {
    struct shmframe_writer_params params = {.stream = stream};
    ck_assert_int_eq(shmframe_format_audio(&params.format, "flt", 1, 12, 1), 0);
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    return writer;
}

START_TEST(what_cannot_be_measured_does_not_end_the_others) {
    struct shmframe_writer *bad = open_bits("bad"),
                           *good = open_pictures(world.session, "good", WIDTH);
    stage_start((struct shmframe_writer *[]){bad, good, NULL},
                (const char *[]){"bad", "good", NULL});
    for (int i = 0; i < 40; i++) {
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_writer_loan(bad, world_deadline(), &loan), 0);
        ck_assert_int_eq(shmframe_writer_publish(bad, &loan), 0);
        write_picture(good, i, i, 1);
    }
    shmframe_writer_close(bad);
    shmframe_writer_close(good);
    ck_assert_int_eq(stage_join(), 1);
    expect_near(stage_total("good"), "frames", 40, 0);
    ck_assert_str_eq(json_string_value(json_object_get(stage_total("bad"), "span")), "total");
}
END_TEST

START_TEST(where_nothing_came_nothing_is_met) {
    struct shmframe_writer *writer = open_pictures(world.session, "main", WIDTH);
    start(writer, "--expect", "black_s<1");
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 1);
    ck_assert_ptr_null(json_object_get(stage_total("main"), "black_s"));
}
END_TEST

START_TEST(where_nothing_came_another_stream_does_not_speak_for_it) {
    struct shmframe_writer *empty = open_pictures(world.session, "empty", WIDTH),
                           *full = open_pictures(world.session, "full", WIDTH);
    stage_start((struct shmframe_writer *[]){empty, full, NULL},
                (const char *[]){"empty", "full", "--expect", "black_s<1", NULL});
    write_pictures(full, 10);
    shmframe_writer_close(empty);
    shmframe_writer_close(full);
    ck_assert_int_eq(stage_join(), 1);
    expect_near(stage_total("full"), "black_s", 0, 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("pictures");
    tcase_add_checked_fixture(tests, stage_begin, stage_end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, one_that_always_has_a_next_picture_can_be_stopped);
    tcase_add_test(tests, one_that_always_has_a_next_picture_ends_after_the_duration);
    tcase_add_test(tests, a_stream_made_of_its_reference_finds_all_partners);
    tcase_add_test(tests, what_waits_for_too_long_is_given_up);
    tcase_add_test(tests, the_last_of_so_many_pictures_find_their_partners);
    tcase_add_test(tests, few_leases_are_enough_where_pictures_are_copied);
    tcase_add_test(tests, one_lease_is_enough_for_a_stream_alone);
    tcase_add_test(tests, every_picture_may_have_the_reference);
    tcase_add_test(tests, stamps_may_say_anything);
    tcase_add_test(tests, a_wild_stamp_is_no_time_that_passed);
    tcase_add_test(tests, what_cannot_be_measured_does_not_end_the_others);
    tcase_add_test(tests, where_nothing_came_nothing_is_met);
    tcase_add_test(tests, where_nothing_came_another_stream_does_not_speak_for_it);
    Suite *suite = suite_create("pictures");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
