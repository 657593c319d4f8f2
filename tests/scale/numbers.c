/* Numbers that a supervisor and its sessions count, across their ends: with a real supervisor, and
 * through its restart. The inside is linked, so that a session can begin near them; a stream does
 * by the supervisor's names' file.
 */
#include "session.h"
#include "world.h"

#include "../../server/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NEAR = 8, ROUNDS = 24 };

static void restart(void) {
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
}

/* ---- the session's ---- */

/* The writer is this thread's too: what it owes a supervisor that asks for links is done between.
 */
static struct shmframe_reader *open_newest(struct shmframe_writer *writer) {
    const int64_t until_ns = world_deadline();
    for (;;) {
        struct shmframe_reader *reader = NULL;
        const struct shmframe_reader_params params = {
            .stream = "s", .deadline_ns = shmframe_deadline_ns(INT64_C(50000000))};
        struct shmframe_writer_event event;
        while (shmframe_writer_next_event(writer, &event) == 0)
            continue;
        const int code = shmframe_reader_open(world.session, &params, &reader);
        if (code == 0)
            return reader;
        ck_assert_int_eq(code, -ETIMEDOUT);
        ck_assert_int_lt(shmframe_now_ns(), until_ns);
    }
}

/* Two links stay in stock, so each that joins uses a serial, sooner or later. */
static void join_and_leave(struct shmframe_writer *writer, unsigned value) {
    struct shmframe_reader *reader = open_newest(writer);
    const uint64_t sequence = world_publish(writer, value);
    ck_assert_uint_eq(world_take(reader, sequence), value);
    shmframe_reader_close(reader);
}

START_TEST(links_are_told_apart_when_their_serials_begin_anew) {
    const uint32_t first = world.session->next_serial = UINT32_MAX - NEAR;
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *stays = world_open_reader("s", SHMFRAME_LOSSLESS);
    for (unsigned half = 0; half < 2; half++) {
        for (unsigned i = 0; i < ROUNDS / 2; i++) {
            join_and_leave(writer, 7);
            world_take(stays, half * ROUNDS / 2 + i + 1);
        }
        restart();
    }
    join_and_leave(writer, 7);
    world_take(stays, ROUNDS + 1);
    ck_assert_uint_lt(world.session->next_serial, first);
    shmframe_reader_close(stays);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(questions_are_answered_when_their_cookies_begin_anew) {
    world.session->next_cookie = UINT32_MAX - NEAR;
    struct shmframe_writer *writer = world_open_writer("s");
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct shmframe_stream_info info[2];
        ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), info, 2), 1);
    }
    ck_assert_uint_lt(world.session->next_cookie, 2 * ROUNDS);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(writers_are_told_apart_when_their_numbers_begin_anew) {
    struct shmframe_writer *stays = world_open_writer("stays");
    struct shmframe_reader *reader = world_open_reader("stays", SHMFRAME_IN_ORDER);
    world.session->next_writer = UINT32_MAX - NEAR;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct shmframe_writer *writer = world_open_writer("s");
        join_and_leave(writer, 7);
        shmframe_writer_close(writer);
        world_publish(stays, i);
        ck_assert_uint_eq(world_take(reader, i + 1), i);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(stays);
}
END_TEST

/* ---- the stream's ---- */

/* A supervisor to whom a former one has told of stream "s". */
static void restart_with(uint32_t generation, uint64_t sequence) {
    char path[128];
    world_kill_supervisor();
    world_await_connected(false);
    snprintf(path, sizeof(path), "%s.names", world.socket);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "shmframe-names 3\ns %" PRIu32 " %" PRIu32 " %" PRIu64 " 0 0 0\n", generation,
            generation, sequence);
    ck_assert_int_eq(fclose(file), 0);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
}

enum { FRAMES = 60, READERS = 3, WAY = FRAMES / 2 };
static const uint64_t END = UINT64_C(1) << 32;

static void read_across_the_end(void) {
    world.session = world_open_session();
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LOSSLESS);
    for (uint64_t sequence = END - WAY + 1; sequence <= END + WAY; sequence++)
        ck_assert_uint_eq(world_take(reader, sequence), sequence);
    shmframe_reader_close(reader);
    shmframe_session_close(world.session);
}

START_TEST(every_process_gets_every_frame_when_a_stream_passes_32_bits) {
    restart_with(1, END - WAY);
    struct shmframe_writer *writer = world_open_writer("s");
    pid_t pid[READERS];
    for (unsigned i = 0; i < READERS; i++)
        pid[i] = world_fork(read_across_the_end);
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, READERS, world_deadline()), 0);
    for (uint64_t i = 1; i <= FRAMES; i++) {
        for (unsigned r = 0; r < READERS && i % 4 == 0; r++)
            world_await_asleep(pid[r]);
        ck_assert_uint_eq(world_publish(writer, END - WAY + i), END - WAY + i);
        if (i != WAY)
            continue;
        restart(); /* the next one is shown a head of 33 bits */
    }
    for (unsigned i = 0; i < READERS; i++)
        world_join(pid[i]);
    struct shmframe_stream_info info[1];
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), info, 1), 1);
    ck_assert_uint_eq(info[0].head, END + WAY);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(the_last_generation_comes_back_after_a_restart_and_none_follows) {
    restart_with(LIMIT_GENERATION_TOLD - 1, 40);
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    ck_assert_uint_eq(counters.generation, LIMIT_GENERATION_TOLD);
    world_publish(writer, 1);
    world_take(reader, 41);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 4096), 0);
    expect_error(shmframe_writer_set_format(writer, &format, world_deadline()), -ENOSPC,
                 "generations");
    restart();
    struct shmframe_stream_info info[1];
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), info, 1), 1);
    ck_assert_uint_eq(info[0].generation, LIMIT_GENERATION_TOLD);
    ck_assert_uint_eq(info[0].state, SHMFRAME_STREAM_LIVE);
    world_publish(writer, 2);
    ck_assert_uint_eq(world_take(reader, 42), 2);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* A file that says more than any supervisor wrote. */
START_TEST(a_stream_without_generations_left_is_refused_and_no_other) {
    restart_with(UINT32_MAX, 0);
    const struct shmframe_writer_params params = world_writer_params("s");
    struct shmframe_writer *writer = NULL;
    expect_error(shmframe_writer_open(world.session, &params, &writer), -ENOSPC, "generations");
    writer = world_open_writer("other");
    world_publish(writer, 1);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("numbers");
    TCase *tests = tcase_create("numbers");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, links_are_told_apart_when_their_serials_begin_anew);
    tcase_add_test(tests, questions_are_answered_when_their_cookies_begin_anew);
    tcase_add_test(tests, writers_are_told_apart_when_their_numbers_begin_anew);
    tcase_add_test(tests, every_process_gets_every_frame_when_a_stream_passes_32_bits);
    tcase_add_test(tests, the_last_generation_comes_back_after_a_restart_and_none_follows);
    tcase_add_test(tests, a_stream_without_generations_left_is_refused_and_no_other);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
