/* Every refusal is one errno and one line that names the thing. */
#include "world.h"

#include <errno.h>
#include <string.h>

static int open_reader(struct shmframe_reader_params params) {
    struct shmframe_reader *reader;
    return shmframe_reader_open(world.session, &params, &reader);
}

START_TEST(an_unknown_stream_is_named) {
    expect_error(open_reader((struct shmframe_reader_params){.stream = "nowhere"}), -ENOENT,
                 "'nowhere'");
    expect_error(open_reader((struct shmframe_reader_params){.stream = "nowhere",
                                                             .flags = SHMFRAME_READER_MUST_EXIST,
                                                             .deadline_ns = world_deadline()}),
                 -ENOENT, "'nowhere'");
    struct shmframe_answer answer;
    expect_error(shmframe_session_request(world.session, "nowhere", "pause", NULL, world_deadline(),
                                          &answer),
                 -ENOENT, "'nowhere'");
    expect_error(shmframe_session_evict(world.session, "nowhere", 1, world_deadline()), -ENOENT,
                 "'nowhere'");
    struct shmframe_record *record;
    expect_error(shmframe_record_open(world.session, "nowhere", 1, world_deadline(), &record),
                 -ENOENT, "'nowhere'");
}
END_TEST

START_TEST(a_stream_that_does_not_appear_is_named) {
    expect_error(open_reader((struct shmframe_reader_params){
                     .stream = "late", .deadline_ns = shmframe_deadline_ns(10000000)}),
                 -ETIMEDOUT, "'late'");
}
END_TEST

START_TEST(every_call_refuses_a_name_that_no_stream_can_have) {
    const char *const names[] = {"No Good", "", NULL};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *const text = names[i] ? names[i] : "'' cannot name";
        expect_error(open_reader((struct shmframe_reader_params){.stream = names[i]}), -EINVAL,
                     text);
        struct shmframe_writer *writer;
        const struct shmframe_writer_params params = world_writer_params(names[i]);
        expect_error(shmframe_writer_open(world.session, &params, &writer), -EINVAL, text);
        struct shmframe_answer answer;
        expect_error(shmframe_session_request(world.session, names[i], "pause", NULL,
                                              world_deadline(), &answer),
                     -EINVAL, text);
        struct shmframe_reader_info info;
        expect_error(shmframe_session_readers(world.session, names[i], world_deadline(), &info, 1),
                     -EINVAL, text);
        expect_error(shmframe_session_evict(world.session, names[i], 1, world_deadline()), -EINVAL,
                     text);
        struct shmframe_record *record;
        expect_error(shmframe_record_open(world.session, names[i], 1, world_deadline(), &record),
                     -EINVAL, text);
    }
}
END_TEST

START_TEST(bad_parameters_of_a_reader_are_named) {
    expect_error(open_reader((struct shmframe_reader_params){.stream = "No Good"}), -EINVAL,
                 "'No Good'");
    expect_error(open_reader((struct shmframe_reader_params){.stream = "s", .policy = 7}), -EINVAL,
                 "7");
    expect_error(open_reader((struct shmframe_reader_params){.stream = "s", .depth = 193}), -EINVAL,
                 "193");
    expect_error(open_reader((struct shmframe_reader_params){.stream = "s", .leases = 7}), -EINVAL,
                 "7");
}
END_TEST

START_TEST(bad_parameters_of_a_writer_are_named) {
    struct shmframe_writer *writer;
    struct shmframe_writer_params params = world_writer_params("UPPER");
    expect_error(shmframe_writer_open(world.session, &params, &writer), -EINVAL, "'UPPER'");
    params = world_writer_params("s");
    params.group = "a b";
    expect_error(shmframe_writer_open(world.session, &params, &writer), -EINVAL, "'a b'");
    params = world_writer_params("s");
    params.loans = 65;
    expect_error(shmframe_writer_open(world.session, &params, &writer), -EINVAL, "65");
    params = world_writer_params("s");
    params.history = 193;
    expect_error(shmframe_writer_open(world.session, &params, &writer), -EINVAL, "193");
    params = world_writer_params("s");
    params.ring_bytes = 4096;
    expect_error(shmframe_writer_open(world.session, &params, &writer), -ENOSPC, "ring_bytes");
}
END_TEST

START_TEST(a_taken_name_tells_who_has_it) {
    struct shmframe_writer *writer = world_open_writer("taken"), *second;
    struct shmframe_session *other = world_open_session();
    const struct shmframe_writer_params params = world_writer_params("taken");
    expect_error(shmframe_writer_open(other, &params, &second), -EEXIST, "'taken'");
    shmframe_session_close(other);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(lossless_is_not_offered_by_a_live_stream) {
    struct shmframe_writer_params params = world_writer_params("live");
    params.flags = SHMFRAME_WRITER_LIVE;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    expect_error(
        open_reader((struct shmframe_reader_params){.stream = "live", .policy = SHMFRAME_LOSSLESS}),
        -ENOTSUP, "'live'");
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_stream_without_room_for_the_reader_is_named) {
    struct shmframe_writer *writer = world_open_writer("small");
    shmframe_writer_close(writer);
    struct shmframe_writer_params params = world_writer_params("small");
    params.ring_bytes = 180224; /* a header, and few slots of a page each */
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    expect_error(open_reader((struct shmframe_reader_params){
                     .stream = "small", .policy = SHMFRAME_IN_ORDER, .depth = 192}),
                 -ENOSPC, "'small'");
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(an_ended_stream_lends_nothing_and_its_writer_is_gone_for_requests) {
    struct shmframe_writer *writer = world_open_writer("over");
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    expect_error(shmframe_writer_end(writer), -EBUSY, "'over'");
    ck_assert_int_eq(shmframe_writer_abandon(writer, &loan), 0);
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), -ENODATA);
    struct shmframe_answer answer;
    expect_error(
        shmframe_session_request(world.session, "over", "pause", NULL, world_deadline(), &answer),
        -EPIPE, "'over'");
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("errors");
    TCase *tests = tcase_create("errors");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, an_unknown_stream_is_named);
    tcase_add_test(tests, a_stream_that_does_not_appear_is_named);
    tcase_add_test(tests, every_call_refuses_a_name_that_no_stream_can_have);
    tcase_add_test(tests, bad_parameters_of_a_reader_are_named);
    tcase_add_test(tests, bad_parameters_of_a_writer_are_named);
    tcase_add_test(tests, a_taken_name_tells_who_has_it);
    tcase_add_test(tests, lossless_is_not_offered_by_a_live_stream);
    tcase_add_test(tests, a_stream_without_room_for_the_reader_is_named);
    tcase_add_test(tests, an_ended_stream_lends_nothing_and_its_writer_is_gone_for_requests);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
