/* Stamps: hours of sound and pictures, with clocks that differ, jitter and losses. */
#include "stamps.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { RATE_HZ = 48000, BLOCK = 480, HOUR_BLOCKS = 360000 };
static const int64_t block_ns = 10000000;

/* The same numbers in every run. */
static uint32_t seed;
static double draw(void) { /* 0 to 1 */
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) / 16777216.0;
}

struct scene {
    double drift;     /* the sound card's clock against the clock of all, a fraction */
    double jitter_ns; /* of capture times */
    bool is_late;     /* times are late by up to the jitter, never early */
    uint32_t losses;  /* blocks among a million; that many and up to nine after them */
    enum sound_drift mode;
};

/* Sound of two hours; returns the furthest that any sample is from when it was heard, after the
 * first second. The resampler is one that can be set to 2^-20 and keeps a fraction to itself. */
static int64_t run_sound(const struct scene *scene, struct sound_stamps *stamps) {
    *stamps = (struct sound_stamps){
        .params = {.rate_hz = RATE_HZ, .to_rate_hz = RATE_HZ, .drift = scene->mode}};
    seed = 7;
    int64_t stamp = 0, worst_ns = 0, last = -1;
    double held = 0;
    uint64_t lost = 0;
    for (int64_t i = 0; i < 2 * HOUR_BLOCKS; i++) {
        const double true_ns = (double)(i * block_ns) * (1 + scene->drift);
        if (i > 100 && draw() * 1e6 < scene->losses)
            lost = 1 + (uint64_t)(draw() * 9);
        if (lost > 0 && lost < 100) { /* the block does not come */
            lost = lost == 1 ? 100 : lost - 1;
            continue;
        }
        const double off = scene->is_late ? draw() : 2 * draw() - 1;
        const int64_t time_ns = llrint(true_ns + off * scene->jitter_ns);
        const struct sound_step step = sound_stamps_next(stamps, time_ns, BLOCK, 0, lost == 100);
        lost = 0;
        stamp += step.silence + step.shift;
        if (stamp <= last) /* an assertion that holds takes long, for so many */
            ck_abort_msg("a stamp goes back");
        last = stamp;
        const double stretch = floor(step.stretch * 1048576 + 0.5) / 1048576;
        held += (double)(BLOCK - step.cut) * (1 + stretch);
        const double heard_ns = true_ns + (double)step.cut / RATE_HZ * 1e9;
        const int64_t skew_ns = llrint((double)stamp * 1e9 / RATE_HZ - heard_ns);
        if (i > 100 && llabs(skew_ns) > worst_ns)
            worst_ns = llabs(skew_ns);
        const int64_t whole = llrint(floor(held));
        stamp += whole;
        held -= (double)whole;
        sound_stamps_set_end(stamps, stamp);
    }
    return worst_ns;
}

static const struct scene scenes[] = {
    {0, 0, false, 0, SOUND_KEEP},          {0, 3e6, false, 0, SOUND_KEEP},
    {1e-4, 1e6, false, 0, SOUND_KEEP},     {-3e-4, 3e6, true, 0, SOUND_KEEP},
    {1e-4, 2e6, true, 500, SOUND_KEEP},    {0, 0, false, 0, SOUND_STRETCH},
    {1e-4, 1e6, false, 0, SOUND_STRETCH},  {-3e-4, 3e6, true, 0, SOUND_STRETCH},
    {1e-4, 2e6, true, 500, SOUND_STRETCH}, {1e-3, 1e6, false, 100, SOUND_STRETCH},
};

START_TEST(two_hours_of_sound_stay_within_a_block_of_their_picture) {
    struct sound_stamps stamps;
    const int64_t worst_ns = run_sound(&scenes[_i], &stamps);
    ck_assert_msg(worst_ns < block_ns, "scene %d: %.3f ms", _i, (double)worst_ns / 1e6);
    if (scenes[_i].losses)
        ck_assert_uint_gt(stamps.silence, 0);
    else
        ck_assert_uint_eq(stamps.silence + stamps.gaps, 0);
    ck_assert_double_eq_tol(stamps.drift, scenes[_i].drift, 2e-4);
}
END_TEST

START_TEST(sound_whose_clock_is_right_is_never_moved) {
    struct sound_stamps stamps;
    run_sound(&scenes[0], &stamps);
    ck_assert_uint_eq(stamps.shifts, 0);
    ck_assert_int_eq(stamps.end, (int64_t)2 * HOUR_BLOCKS * BLOCK);
    /* Stamps that were rounded to milliseconds are no drift. */
    stamps = (struct sound_stamps){.params = {.rate_hz = 44100, .to_rate_hz = 44100}};
    int64_t samples = 0;
    for (int i = 0; i < 100000; i++) {
        const int64_t time_ns = samples * 1000 / 44100 * 1000000;
        const struct sound_step step = sound_stamps_next(&stamps, time_ns, 1024, 0, false);
        ck_assert_int_eq(step.silence + step.cut + step.shift, 0);
        samples += 1024;
    }
    ck_assert_int_eq(stamps.end, samples);
}
END_TEST

static struct sound_stamps begin_sound(int64_t time_ns) {
    struct sound_stamps stamps = {.params = {.rate_hz = RATE_HZ, .to_rate_hz = RATE_HZ}};
    const struct sound_step step = sound_stamps_next(&stamps, time_ns, BLOCK, 0, false);
    ck_assert_int_eq(step.silence, time_ns > 0 ? time_ns * 48 / 1000000 : 0);
    ck_assert_int_eq(step.cut, time_ns < 0 ? -time_ns * 48 / 1000000 : 0);
    return stamps;
}

START_TEST(lost_blocks_become_silence_of_the_same_length) {
    struct sound_stamps stamps = begin_sound(0);
    sound_stamps_next(&stamps, block_ns, BLOCK, 0, false);
    /* Three are lost, and the time is a little off: still just three. */
    struct sound_step step =
        sound_stamps_next(&stamps, 5 * block_ns + 900000, BLOCK, 3 * BLOCK, false);
    ck_assert_int_eq(step.silence, 3 * BLOCK);
    /* Nobody says so, but the time jumps. */
    step = sound_stamps_next(&stamps, 106 * block_ns, BLOCK, 0, false);
    ck_assert_int_eq(step.silence, 100 * BLOCK);
    ck_assert_uint_eq(stamps.gaps, 2);
    ck_assert_uint_eq(stamps.silence, 103 * BLOCK);
}
END_TEST

START_TEST(a_loss_of_which_the_times_know_nothing_is_none) {
    struct sound_stamps stamps = begin_sound(0);
    const struct sound_step step = sound_stamps_next(&stamps, block_ns, BLOCK, 5 * BLOCK, true);
    ck_assert_int_eq(step.silence + step.cut + step.shift, 0);
}
END_TEST

START_TEST(sound_of_before_the_zero_is_cut) {
    struct sound_stamps stamps = begin_sound(-4000000);
    ck_assert_int_eq(stamps.end, BLOCK - 192);
    stamps = begin_sound(25000000);
    ck_assert_int_eq(stamps.end, 1200 + BLOCK);
    ck_assert_uint_eq(stamps.silence, 0);
    stamps = (struct sound_stamps){.params = {.rate_hz = RATE_HZ, .to_rate_hz = RATE_HZ}};
    int64_t cut = 0;
    for (int i = 0; i < 5; i++)
        cut +=
            sound_stamps_next(&stamps, i * block_ns - 2 * block_ns - 5000000, BLOCK, 0, false).cut;
    ck_assert_int_eq(cut, 2 * BLOCK + BLOCK / 2);
    ck_assert_int_eq(stamps.end, 2 * BLOCK + BLOCK / 2);
}
END_TEST

START_TEST(sound_that_comes_twice_is_cut) {
    struct sound_stamps stamps = begin_sound(0);
    for (int i = 1; i < 30; i++)
        sound_stamps_next(&stamps, i * block_ns, BLOCK, 0, false);
    int64_t cut = 0;
    for (int i = 0; i < 40; i++)
        cut += sound_stamps_next(&stamps, (20 + i) * block_ns, BLOCK, 0, i == 0).cut;
    ck_assert_int_eq(cut, 10 * BLOCK);
    ck_assert_int_eq(stamps.end, 60 * BLOCK);
}
END_TEST

START_TEST(stamps_are_in_samples_that_are_written) {
    struct sound_stamps stamps = {.params = {.rate_hz = 44100, .to_rate_hz = RATE_HZ}};
    sound_stamps_next(&stamps, 0, 441, 0, false);
    ck_assert_int_eq(stamps.end, 480);
    const struct sound_step step = sound_stamps_next(&stamps, 1010000000, 441, 0, false);
    ck_assert_int_eq(step.silence, 48000);
}
END_TEST

START_TEST(pictures_never_go_back) {
    struct picture_stamps stamps = {.time_base = {1, 60}};
    ck_assert_int_eq(picture_stamps_next(&stamps, 0), 0);
    ck_assert_int_eq(picture_stamps_next(&stamps, 16666667), 1);
    ck_assert_int_eq(picture_stamps_next(&stamps, 17000000), 2);
    ck_assert_int_eq(picture_stamps_next(&stamps, 5), 3);
    ck_assert_int_eq(picture_stamps_next(&stamps, 1000000000), 60);
    ck_assert_uint_eq(stamps.moved, 2);
}
END_TEST

START_TEST(times_that_begin_anew_go_on_for_all_streams_alike) {
    const int64_t s = INT64_C(1000000000);
    struct stamps stamps = {.zero_ns = 5 * s, .is_jumping = true};
    struct stamps_place picture = {0}, sound = {0};
    ck_assert_int_eq(stamps_find(&stamps, &picture, 5 * s, s, false), 0);
    ck_assert_int_eq(stamps_find(&stamps, &picture, 6 * s, s, false), s);
    ck_assert_int_eq(stamps_find(&stamps, &sound, 5 * s, s, false), 0);
    /* The file begins again, the picture first. */
    ck_assert_int_eq(stamps_find(&stamps, &picture, 0, s, false), 2 * s);
    ck_assert_int_eq(stamps_find(&stamps, &sound, 6 * s, s, false), s);
    ck_assert_int_eq(stamps_find(&stamps, &sound, 0, s, true), 2 * s);
    ck_assert_int_eq(stamps_find(&stamps, &picture, s, s, false), 3 * s);
    ck_assert_int_eq(stamps_find(&stamps, &sound, s, s, false), 3 * s);
    ck_assert_uint_eq(stamps.jumps, 1);
    /* A seek, far ahead; a picture that merely stands for long is none. */
    ck_assert_int_eq(stamps_find(&stamps, &picture, 1000 * s, s, true), 4 * s);
    ck_assert_int_eq(stamps_find(&stamps, &sound, 1000 * s, s, true), 4 * s);
    ck_assert_int_eq(stamps_find(&stamps, &picture, 1060 * s, s, false), 64 * s);
    ck_assert_uint_eq(stamps.jumps, 2);
}
END_TEST

START_TEST(one_strange_time_moves_nothing_but_its_frame) {
    const int64_t s = INT64_C(1000000000);
    static const int64_t strange_ns[] = {STAMPS_MAX_NS, -STAMPS_MAX_NS, INT64_C(86400000000000), 0};
    struct stamps stamps = {.zero_ns = 50 * s, .is_jumping = true};
    struct stamps_place picture = {0}, sound = {0};
    ck_assert_int_eq(stamps_find(&stamps, &picture, 50 * s, s, false), 0);
    ck_assert_int_eq(stamps_find(&stamps, &picture, 51 * s, s, false), s);
    ck_assert_int_eq(stamps_find(&stamps, &picture, 52 * s, s, false), 2 * s);
    ck_assert_int_eq(stamps_find(&stamps, &sound, 50 * s, s, false), 0);
    ck_assert_int_eq(stamps_find(&stamps, &sound, strange_ns[_i], s, false), s);
    ck_assert_int_eq(stamps_find(&stamps, &sound, 52 * s, s, false), 2 * s);
    ck_assert_int_eq(stamps_find(&stamps, &picture, 53 * s, s, false), 3 * s);
    ck_assert_uint_eq(stamps.jumps, 0);
    /* Two are no accident: all go on from where the recording is. */
    ck_assert_int_eq(stamps_find(&stamps, &sound, strange_ns[_i], s, false), 3 * s);
    ck_assert_int_eq(stamps_find(&stamps, &sound, strange_ns[_i] + s, s, false), 5 * s);
    ck_assert_int_eq(stamps_find(&stamps, &picture, strange_ns[_i] + s, s, true), 5 * s);
    ck_assert_uint_eq(stamps.jumps, 1);
}
END_TEST

START_TEST(a_stream_whose_first_time_is_strange_begins_where_the_recording_is) {
    const int64_t s = INT64_C(1000000000);
    static const int64_t strange_ns[] = {STAMPS_MAX_NS, -STAMPS_MAX_NS};
    struct stamps stamps = {.zero_ns = 50 * s, .is_jumping = true};
    struct stamps_place picture = {0}, sound = {0};
    ck_assert_int_eq(stamps_find(&stamps, &picture, 50 * s, s, false), 0);
    ck_assert_int_eq(stamps_find(&stamps, &sound, strange_ns[_i], s, false), s);
    ck_assert_int_eq(stamps_find(&stamps, &sound, 52 * s, s, false), 2 * s);
}
END_TEST

START_TEST(a_capture_is_believed_if_it_can_be) {
    const int64_t s = INT64_C(1000000000), now_ns = 5000 * s;
    struct capture_times times = {0};
    ck_assert(!capture_times_believe(&times, INT64_MAX, now_ns));
    ck_assert(!capture_times_believe(&times, INT64_MIN, now_ns));
    ck_assert(!times.has_latency);
    ck_assert(capture_times_believe(&times, now_ns - 120 * s, now_ns));
    ck_assert_int_eq(times.latency_ns, 120 * s);
    ck_assert(!capture_times_believe(&times, now_ns - 120 * s - 1, now_ns));
    ck_assert(!capture_times_believe(&times, now_ns + s + 1, now_ns));
    ck_assert_int_eq(times.latency_ns, 120 * s);
    ck_assert(capture_times_believe(&times, now_ns + s, now_ns));
    ck_assert_int_eq(times.latency_ns, -s);
    ck_assert_uint_eq(times.not_believed, 4);
}
END_TEST

START_TEST(captured_times_do_not_jump_and_pauses_are_left_out) {
    const int64_t s = INT64_C(1000000000);
    struct stamps stamps = {.zero_ns = 5 * s};
    struct stamps_place picture = {0};
    ck_assert_int_eq(stamps_find(&stamps, &picture, 6 * s, s, false), s);
    ck_assert_int_eq(stamps_find(&stamps, &picture, 600 * s, s, true), 595 * s);
    stamps_skip(&stamps, 100 * s);
    ck_assert_int_eq(stamps_find(&stamps, &picture, 701 * s, s, true), 596 * s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("stamps");
    TCase *tcase = tcase_create("stamps");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, two_hours_of_sound_stay_within_a_block_of_their_picture, 0,
                        (int)(sizeof(scenes) / sizeof(scenes[0])));
    tcase_add_test(tcase, sound_whose_clock_is_right_is_never_moved);
    tcase_add_test(tcase, lost_blocks_become_silence_of_the_same_length);
    tcase_add_test(tcase, a_loss_of_which_the_times_know_nothing_is_none);
    tcase_add_test(tcase, sound_of_before_the_zero_is_cut);
    tcase_add_test(tcase, sound_that_comes_twice_is_cut);
    tcase_add_test(tcase, stamps_are_in_samples_that_are_written);
    tcase_add_test(tcase, pictures_never_go_back);
    tcase_add_test(tcase, times_that_begin_anew_go_on_for_all_streams_alike);
    tcase_add_loop_test(tcase, one_strange_time_moves_nothing_but_its_frame, 0, 4);
    tcase_add_loop_test(tcase, a_stream_whose_first_time_is_strange_begins_where_the_recording_is,
                        0, 2);
    tcase_add_test(tcase, a_capture_is_believed_if_it_can_be);
    tcase_add_test(tcase, captured_times_do_not_jump_and_pauses_are_left_out);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
