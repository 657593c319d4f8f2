/* What the analyzer makes of a stream's fate: losses, a writer that dies, times that begin anew,
 * odd formats; and what can be asked of it meanwhile. */
#include "stage.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static double play(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    return channel ? 0.125 : sample % 48 < 24 ? 0.25 : -0.25;
}

static struct shmframe_writer *open_live(void) {
    struct shmframe_writer_params params = {.stream = "sound", .flags = SHMFRAME_WRITER_LIVE};
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_format_audio(&params.format, "flt", 2, STAGE_RATE_HZ, 4800), 0);
    params.format.time_base = (struct shmframe_rational){1, STAGE_RATE_HZ};
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    return writer;
}

static void start(struct shmframe_writer *writer, const char *option, const char *value) {
    stage_start((struct shmframe_writer *[]){writer, NULL},
                (const char *[]){"sound", option, value, NULL});
}

START_TEST(losses_are_counted_exactly) {
    enum { DEPTH = 4, BLOCKS = 50 };
    struct shmframe_writer *writer = open_live();
    start(writer, "--depth", "4");
    stage_write_block(writer, play, NULL, 0, 0, 0);
    stage_await_told();
    kill(stage_pid(), SIGSTOP);
    int status;
    ck_assert_int_eq(waitpid(stage_pid(), &status, WUNTRACED), stage_pid());
    for (uint64_t i = 1; i <= BLOCKS; i++)
        stage_write_block(writer, play, NULL, i * 4800, 0, 0);
    kill(stage_pid(), SIGCONT);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const json_t *total = stage_total("sound");
    expect_near(total, "frames", 1 + DEPTH, 0);
    expect_near(total, "lost_frames", BLOCKS - DEPTH, 0);
    expect_near(total, "sound_s", (1 + DEPTH) * 0.1, 1e-6);
    expect_near(stage_event("sound", "lost"), "lost_frames", BLOCKS - DEPTH, 0);
    /* They belong to the interval after the gap. */
    expect_near(stage_interval("sound", 0), "lost_frames", 0, 0);
    expect_near(stage_interval("sound", 1), "lost_frames", BLOCKS - DEPTH, 0);
}
END_TEST

/* Writes, waits until the analyzer has taken that, and tells it. */
static void write_first(void) {
    world.session = world_open_session();
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    world_expect_writer_event(writer, SHMFRAME_READER_JOINED);
    /* Lossless, and 32 deep: the last loan waits until the first blocks are taken. */
    for (uint64_t i = 0; i < 40; i++)
        stage_write_block(writer, play, NULL, i * 4800, 0, 0);
    world_tell();
    pause();
}

START_TEST(a_new_writer_is_told_and_followed) {
    const pid_t first = world_fork(write_first);
    stage_start_program((const char *[]){"sound", "--interval", "0", NULL});
    world_await();
    world_kill(first);
    struct shmframe_writer *second = NULL;
    const int64_t deadline_ns = world_deadline();
    while (!(second = stage_try_open_sound("sound")) && shmframe_now_ns() < deadline_ns)
        shmframe_session_dispatch(world.session);
    ck_assert_ptr_nonnull(second);
    stage_write(second, play, NULL, 0, STAGE_RATE_HZ);
    shmframe_writer_close(second);
    ck_assert_int_eq(stage_join(), 0);
    ck_assert_ptr_nonnull(stage_event("sound", "restarted"));
    expect_near(stage_total("sound"), "frames", 40 + 10, 0);
    expect_near(stage_total("sound"), "duration_s", 4 + 1, 1e-6);
}
END_TEST

START_TEST(times_that_begin_anew_are_added_up) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    start(writer, NULL, NULL);
    for (int round = 0; round < 3; round++)
        stage_write(writer, play, NULL, 0, (uint64_t)STAGE_RATE_HZ * 3 / 2);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const json_t *total = stage_total("sound");
    expect_near(total, "start_s", 0, 0);
    expect_near(total, "duration_s", 4.5, 1e-6);
    for (unsigned i = 0; i < 6; i++) {
        expect_near(stage_interval("sound", i), "start_s", i % 2, 1e-6);
        expect_near(stage_interval("sound", i), "frames", i % 2 ? 5 : 10, 0);
    }
}
END_TEST

static const struct {
    uint32_t channels, rate_hz;
    const char *layout;
} odd[] = {
    {1, 8000, NULL},       {3, 44100, NULL},          {9, 48000, ""},    {64, 8000, ""},
    {2, 96000, NULL},      {2, 192000, NULL},         {2, 384000, NULL}, {8, 22050, "7.1"},
    {2, 48000, "downmix"}, {4, 48000, "ambisonic 1"}, {1, 4000, NULL},
};
enum { ODD = sizeof(odd) / sizeof(odd[0]) };

START_TEST(odd_formats_are_measured) {
    stage_set_rate(odd[_i].rate_hz);
    struct shmframe_writer *writer =
        stage_open_sound("sound", "flt", odd[_i].layout, odd[_i].channels);
    start(writer, NULL, NULL);
    stage_write(writer, play, NULL, 0, odd[_i].rate_hz / 2);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const json_t *total = stage_total("sound");
    expect_near(total, "sound_s", 0.5, 1e-3);
    expect_near(total, "sample_peak_dbfs", -12.04, 0.01);
    ck_assert_uint_eq(json_array_size(json_object_get(total, "channels")), odd[_i].channels);
    ck_assert(json_is_number(json_object_get(total, "integrated_lufs")));
}
END_TEST

/* The filters of BS.1770 do not hold there: no level is better than a wrong one. */
START_TEST(a_rate_too_low_for_loudness_is_told) {
    stage_set_rate(2000);
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 1);
    start(writer, "--expect", "integrated_lufs<=-22");
    stage_write(writer, play, NULL, 2000, 4000);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 1);
    ck_assert_ptr_null(json_object_get(stage_total("sound"), "integrated_lufs"));
    expect_near(stage_total("sound"), "duration_s", 0, 0);
}
END_TEST

/* ---- control ---- */

static struct shmframe_answer ask(const char *verb) {
    struct shmframe_answer answer = {0};
    ck_assert_int_eq(
        shmframe_session_request(world.session, "results", verb, NULL, world_deadline(), &answer),
        0);
    return answer;
}

/* The next object that the control stream carries; the caller's. */
static json_t *read_result(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    json_t *object = json_loadb((const char *)lease.data, lease.frame.bytes, 0, NULL);
    ck_assert_ptr_nonnull(object);
    shmframe_reader_release(reader, &lease);
    return object;
}

static void expect_result(struct shmframe_reader *reader, const char *key, const char *value,
                          double frames) {
    for (;;) {
        json_t *object = read_result(reader);
        const char *found = json_string_value(json_object_get(object, key));
        const bool is_it = found && strcmp(found, value) == 0;
        if (is_it && frames >= 0)
            expect_near(object, "frames", frames, 0);
        json_decref(object);
        if (is_it)
            return;
    }
}

START_TEST(results_can_be_read_and_asked_for) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    start(writer, "--control", "results");
    struct shmframe_reader *reader = world_open_reader("results", SHMFRAME_IN_ORDER);
    for (uint64_t i = 0; i < 12; i++)
        stage_write_block(writer, play, NULL, i * 4800, 0, 0);
    expect_result(reader, "span", "interval", 10);
    ck_assert_str_eq(ask("help").text, "verbs: help, quit, stats, reset");
    const struct shmframe_answer stats = ask("stats");
    ck_assert_int_eq(stats.status, 0);
    ck_assert_ptr_nonnull(strstr(stats.text, "1 streams"));
    expect_result(reader, "span", "total", -1);
    ck_assert_int_eq(ask("reset").status, 0);
    ck_assert_int_eq(ask("stats").status, 0);
    json_t *begun = read_result(reader);
    expect_near(begun, "frames", 0, 0);
    expect_near(begun, "duration_s", 0, 0);
    json_decref(begun);
    stage_write_block(writer, play, NULL, 12 * 4800, 0, 0);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const double frames = stage_number(stage_total("sound"), "frames");
    ck_assert_double_ge(frames, 1);
    ck_assert_double_lt(frames, 13);
    expect_result(reader, "span", "total", frames);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(it_ends_when_it_is_asked_to) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    start(writer, "--control", "results");
    stage_write_block(writer, play, NULL, 0, 0, 0);
    ck_assert_int_eq(ask("quit").status, 0);
    ck_assert_int_eq(stage_join(), 0);
    ck_assert_str_eq(json_string_value(json_object_get(stage_total("sound"), "ended_by")),
                     "signal");
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_stream_that_stands_still_fails_at_the_deadline) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    start(writer, "--deadline", "200ms");
    ck_assert_int_eq(stage_join(), 1);
    ck_assert_str_eq(json_string_value(json_object_get(stage_total("sound"), "ended_by")),
                     "deadline");
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("streams");
    tcase_add_checked_fixture(tests, stage_begin, stage_end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, losses_are_counted_exactly);
    tcase_add_test(tests, a_new_writer_is_told_and_followed);
    tcase_add_test(tests, times_that_begin_anew_are_added_up);
    tcase_add_loop_test(tests, odd_formats_are_measured, 0, ODD);
    tcase_add_test(tests, a_rate_too_low_for_loudness_is_told);
    tcase_add_test(tests, results_can_be_read_and_asked_for);
    tcase_add_test(tests, it_ends_when_it_is_asked_to);
    tcase_add_test(tests, a_stream_that_stands_still_fails_at_the_deadline);
    Suite *suite = suite_create("streams");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
