/* Every refusal is one errno and one line that names the thing. */
#include "world.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

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

/* Nobody needs to be asked. */
START_TEST(bad_parameters_of_a_reader_are_named) {
    kill(world.supervisor, SIGSTOP);
    expect_error(open_reader((struct shmframe_reader_params){.stream = "No Good"}), -EINVAL,
                 "'No Good'");
    expect_error(open_reader((struct shmframe_reader_params){.stream = "s", .policy = 7}), -EINVAL,
                 "7");
    expect_error(open_reader((struct shmframe_reader_params){.stream = "s", .depth = 193}), -EINVAL,
                 "193");
    expect_error(open_reader((struct shmframe_reader_params){.stream = "s", .leases = 7}), -EINVAL,
                 "7");
    kill(world.supervisor, SIGCONT);
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

START_TEST(what_is_not_on_loan_can_be_neither_kept_nor_given_back) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    const struct shmframe_loan former = loan;
    ck_assert_int_eq(shmframe_writer_abandon(writer, &loan), 0);
    expect_error(shmframe_writer_pin(writer, &former), -EINVAL, "'s'");
    expect_error(shmframe_writer_unpin(writer, former.ring, former.slot), -EINVAL, "'s'");
    loan = former;
    expect_error(shmframe_writer_abandon(writer, &loan), -EINVAL, "'s'");
    expect_error(shmframe_writer_publish(writer, &loan), -EINVAL, "'s'");
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(loans_of_a_ring_that_a_later_one_closed_are_stale) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.loans = 3;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_loan loan[3], later;
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, 3), 3);
    ck_assert_int_eq(shmframe_format_data(&params.format, "test", 16), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &params.format, world_deadline()), 0);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &later), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &later), 0);
    expect_error(shmframe_writer_publish(writer, &loan[0]), -ESTALE, "'s'");
    expect_error(shmframe_writer_publish_batch(writer, &loan[1], 2), -ESTALE, "'s'");
    shmframe_writer_close(writer);
}
END_TEST

/* And the stream goes on in the old one. */
START_TEST(a_format_that_cannot_be_is_refused) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.ring_bytes = 1 << 20;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_format format = {.kind = SHMFRAME_NONE};
    expect_error(shmframe_writer_set_format(writer, &format, world_deadline()), -EINVAL, "kind");
    ck_assert_int_eq(shmframe_format_video(&format, "gray", 16, 16), 0);
    format.plane_count = 0;
    strcpy(format.video.pixel_format, "vaapi");
    expect_error(shmframe_writer_set_format(writer, &format, world_deadline()), -ENOTSUP, "vaapi");
    ck_assert_int_eq(shmframe_format_data(&format, "test", 1 << 20), 0);
    expect_error(shmframe_writer_set_format(writer, &format, world_deadline()), -ENOSPC,
                 "ring_bytes");
    ck_assert_uint_eq(shmframe_writer_format(writer)->data.bytes_max, 8);
    ck_assert_uint_eq(world_publish(writer, 7), 1);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_format_without_a_supervisor_is_refused) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 16), 0);
    world_kill_supervisor();
    world_await_connected(false);
    expect_error(shmframe_writer_set_format(writer, &format, shmframe_deadline_ns(1000000)),
                 -ENOTCONN, world.socket);
    shmframe_session_interrupt(world.session);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), -EINTR);
    shmframe_session_resume(world.session);
    ck_assert_uint_eq(world_publish(writer, 7), 1);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_hop_that_there_is_not_has_no_histogram) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LATEST);
    static struct shmframe_histogram histogram;
    expect_error(shmframe_reader_histogram(reader, SHMFRAME_HOPS, &histogram), -EINVAL, "hop");
    ck_assert_ptr_null(shmframe_hop_name(SHMFRAME_HOPS));
    ck_assert_ptr_null(shmframe_cause_name(SHMFRAME_CAUSES));
    ck_assert_ptr_null(shmframe_cause_name(UINT_MAX));
    ck_assert_ptr_null(shmframe_event_type_name(SHMFRAME_JOURNAL_TYPES));
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* As a kernel before 5.16 does. */
static void know_no_futex_waitv(void) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = sizeof(steps) / sizeof(steps[0]), .filter = steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        _exit(4);
    const struct shmframe_session_params params = {.socket = world.socket};
    struct shmframe_session *session;
    expect_error(shmframe_session_open(&params, &session), -ENOTSUP, "5.16");
}

START_TEST(a_kernel_that_is_too_old_is_named) {
    world_join(world_fork(know_no_futex_waitv));
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
    tcase_add_test(tests, what_is_not_on_loan_can_be_neither_kept_nor_given_back);
    tcase_add_test(tests, loans_of_a_ring_that_a_later_one_closed_are_stale);
    tcase_add_test(tests, a_format_that_cannot_be_is_refused);
    tcase_add_test(tests, a_format_without_a_supervisor_is_refused);
    tcase_add_test(tests, a_hop_that_there_is_not_has_no_histogram);
    tcase_add_test(tests, a_kernel_that_is_too_old_is_named);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
