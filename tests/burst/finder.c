/* Bursts are found where they began, whatever happened to the sound on its way. */
#include "burst.h"
#include "burst_filter.h"
#include "room.h"
#include "sound_clock.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double limit_ns = 0.2e6, aim_ns = 0.05e6;

/* How many bursts a room hears: more in the long run. */
static uint32_t count_bursts(void) {
    const char *text = getenv("BURSTS");
    return text ? (uint32_t)atoi(text) : 6;
}

static struct room_result result;

static void play(const struct room *room) {
    room_play(room, count_bursts(), &result);
    ck_assert_msg(result.false_bursts == 0, "%s: %u found where none was", room->name,
                  result.false_bursts);
    ck_assert_msg(result.wrong_beats == 0, "%s: %u wrong beats", room->name, result.wrong_beats);
}

static void expect_all(const struct room *room) {
    ck_assert_msg(result.found == result.sent, "%s: %u of %u found", room->name, result.found,
                  result.sent);
}

START_TEST(every_burst_is_found_where_it_began) {
    play(&rooms[_i]);
    expect_all(&rooms[_i]);
    ck_assert_msg(room_quantile(&result, 1) <= limit_ns, "%s: %.1f us off", rooms[_i].name,
                  room_quantile(&result, 1) / 1e3);
    ck_assert_msg(room_quantile(&result, 0.99) <= aim_ns, "%s: p99 %.1f us off", rooms[_i].name,
                  room_quantile(&result, 0.99) / 1e3);
    /* What is told is three standard deviations. */
    ck_assert_msg(result.beyond <= result.found / 50, "%s: %u beyond", rooms[_i].name,
                  result.beyond);
}
END_TEST

START_TEST(the_level_is_the_one_that_was_sent) {
    const struct room quiet = {.gain_db = -20}, loud = {.gain_db = 0};
    play(&quiet);
    ck_assert_double_eq_tol(result.level, 0.05, 0.005);
    play(&loud);
    ck_assert_double_eq_tol(result.level, 0.5, 0.05);
    ck_assert_double_ge(result.confidence, 0.9);
}
END_TEST

START_TEST(lost_blocks_leave_the_other_bursts_where_they_are) {
    const struct room room = {.name = "loss", .lost = 20, .has_no_pts = _i, .is_quiet = true};
    play(&room);
    ck_assert_uint_ge(result.found, result.sent - (result.sent + 19) / 20);
    ck_assert_double_le(room_quantile(&result, 1), limit_ns);
}
END_TEST

/* A gap between the chirps that is not known to a part of a step would tell another beat. */
START_TEST(a_gap_that_is_not_known_well_makes_no_wrong_beat) {
    const struct room some[] = {
        {.name = "loss, jitter",
         .lost = 150,
         .jitter = 1,
         .block = 96,
         .has_no_pts = true,
         .is_quiet = true,
         .channels = 1},
        {.name = "loss, coarse pts",
         .lost = 150,
         .has_coarse_pts = true,
         .block = 96,
         .is_quiet = true,
         .channels = 1},
    };
    room_play(&some[_i], 40 * count_bursts() / 6, &result);
    ck_assert_uint_eq(result.wrong_beats, 0);
    ck_assert_uint_eq(result.false_bursts, 0);
}
END_TEST

START_TEST(stamps_that_waver_are_averaged_and_the_error_told) {
    const struct room room = {.name = "jitter", .jitter = 1, .has_no_pts = _i};
    play(&room);
    expect_all(&room);
    ck_assert_uint_eq(result.beyond, 0);
    const double block_ns = 10e6;
    ck_assert_double_le(room_quantile(&result, 1), block_ns / 3);
    for (uint32_t i = 0; i < result.found; i++)
        ck_assert_double_le(result.told_ns[i], block_ns);
}
END_TEST

START_TEST(pts_tell_the_media_time_however_stamps_waver) {
    const struct room room = {.name = "media", .jitter = 1};
    play(&room);
    expect_all(&room);
    for (uint32_t i = 0; i < result.found; i++)
        ck_assert_double_le(fabs(result.media_ns[i]), 20e3);
}
END_TEST

/* Stamps and counts as a peer that lies may have them, then bursts with true ones. */
START_TEST(wild_stamps_do_no_lasting_harm) {
    static const int64_t wild[] = {INT64_MIN, INT64_MAX, 0, -1, INT64_MAX / 2, INT64_MIN + 1};
    struct shmframe_format format;
    struct burst_finder *finder;
    struct burst_sound sound = {0};
    double slot[480];
    ck_assert_int_eq(shmframe_format_audio(&format, "dbl", 1, 48000, 480), 0);
    format.time_base = (struct shmframe_rational){1, 48000};
    ck_assert_int_eq(burst_finder_create(&format, &finder), 0);
    struct shmframe_lease lease = {.data = (uint8_t *)slot, .format = &format};
    for (int64_t block = 0; block < 400; block++) {
        const bool is_wild = block < 200;
        lease.lost = is_wild && block % 5 == 0 ? UINT64_MAX : 0;
        lease.frame.samples = is_wild && block % 7 == 0 ? UINT32_MAX : 480;
        lease.frame.pts = is_wild ? wild[block % 6] : block * 480;
        lease.frame.capture_ns = is_wild ? wild[block / 6 % 6] : block * 10000000;
        for (int i = 0; i < 480; i++)
            slot[i] = burst_at(5, (double)(block * 480 + i) / 48000 - 3);
        burst_finder_add(finder, &lease);
    }
    ck_assert(burst_finder_next(finder, &sound));
    ck_assert_int_le(llabs(sound.start_ns - 3000000000), 50000);
    ck_assert_int_le(llabs(sound.media_ns - 3000000000), 50000);
    ck_assert_uint_eq(sound.beat, 5);
    ck_assert(!burst_finder_next(finder, &sound));
    burst_finder_destroy(finder);
}
END_TEST

/* What is at a block's ends rings on at the other one, beyond the lags that are told. */
START_TEST(lags_do_not_depend_on_where_blocks_begin) {
    static const uint32_t rates[] = {8000, 24100, 48000, 192000};
    struct burst_filter *filter;
    ck_assert_int_eq(burst_filter_create(rates[_i], &filter), 0);
    const struct burst_filter_size *size = burst_filter_size(filter);
    const uint32_t moved = size->lags / 2, samples = size->samples + moved * size->lag_samples;
    float *sound = calloc(samples, sizeof(float));
    struct burst_lag *lags = calloc(size->lags, sizeof(*lags)),
                     *later = calloc(size->lags, sizeof(*later));
    srand(1);
    for (uint32_t i = 0; i < samples; i++)
        sound[i] = (float)rand() / (float)RAND_MAX - 0.5F;
    burst_filter_run(filter, sound, lags);
    burst_filter_run(filter, sound + (size_t)moved * size->lag_samples, later);
    double off = 0, most = 0;
    for (uint32_t i = moved; i < size->lags; i++)
        for (int k = 0; k < 2; k++) {
            most = fmax(most, (double)lags[i].level[k]);
            off = fmax(off, fabs((double)(lags[i].level[k] - later[i - moved].level[k])));
        }
    ck_assert_msg(off < 0.0004 * most, "%u Hz: %g of %g", rates[_i], off, most);
    free(sound);
    free(lags);
    free(later);
    burst_filter_destroy(filter);
}
END_TEST

/* Nothing comes behind the last burst: the sound ends with its last sample. */
START_TEST(the_end_tells_a_burst_that_was_just_over) {
    enum { RATE = 48000, BLOCK = 480 };
    struct shmframe_format format;
    struct burst_finder *finder;
    struct burst_sound sound = {0};
    double slot[BLOCK];
    ck_assert_int_eq(shmframe_format_audio(&format, "dbl", 1, RATE, BLOCK), 0);
    ck_assert_int_eq(burst_finder_create(&format, &finder), 0);
    struct shmframe_lease lease = {.data = (uint8_t *)slot, .format = &format};
    lease.frame.samples = BLOCK;
    lease.frame.pts = SHMFRAME_NO_PTS;
    const double end_s = 1 + burst_second_s(15) + BURST_CHIRP_S;
    for (int64_t first = 0; first < end_s * RATE; first += BLOCK) {
        lease.frame.capture_ns = first * INT64_C(1000000000) / RATE;
        for (int i = 0; i < BLOCK; i++)
            slot[i] = burst_at(15, (double)(first + i) / RATE - 1);
        burst_finder_add(finder, &lease);
    }
    ck_assert(!burst_finder_next(finder, &sound));
    burst_finder_end(finder);
    ck_assert(burst_finder_next(finder, &sound));
    ck_assert_int_le(llabs(sound.start_ns - 1000000000), 50000);
    ck_assert_uint_eq(sound.beat, 15);
    burst_finder_destroy(finder);
}
END_TEST

START_TEST(what_carries_no_burst_is_refused) {
    struct shmframe_format format;
    struct burst_finder *finder;
    ck_assert_int_eq(shmframe_format_audio(&format, "flt", 1, BURST_RATE_MIN - 1, 80), 0);
    ck_assert_int_eq(burst_finder_create(&format, &finder), -ENOTSUP);
    ck_assert_int_eq(shmframe_format_audio(&format, "flt", 1, 48000, 480), 0);
    strcpy(format.audio.sample_format, "s24");
    ck_assert_int_eq(burst_finder_create(&format, &finder), -ENOTSUP);
    ck_assert_int_eq(shmframe_format_video(&format, "gray", 64, 64), 0);
    ck_assert_int_eq(burst_finder_create(&format, &finder), -ENOTSUP);
    burst_finder_destroy(NULL);
}
END_TEST

START_TEST(a_clock_follows_exact_stamps_of_any_rate) {
    struct sound_clock clock;
    struct sound_instant instant;
    sound_clock_reset(&clock, 48000);
    ck_assert(!sound_clock_find(&clock, 0, &instant));
    const double ns = 1e9 / 48000 * 1.0005; /* of a sample: 500 ppm */
    for (int64_t sample = 0; sample < 48000 * 20; sample += 480)
        sound_clock_add(&clock, sample, (int64_t)1e15 + llround((double)sample * ns));
    for (int64_t sample = 48000 * 12; sample < 48000 * 20; sample += 4801) {
        ck_assert(sound_clock_find(&clock, (double)sample + 0.5, &instant));
        const int64_t wanted_ns = (int64_t)1e15 + llround(((double)sample + 0.5) * ns);
        ck_assert_int_le(llabs(instant.ns - wanted_ns), 10);
        ck_assert_int_le(instant.error_ns, 10);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("finder");
    TCase *tests = tcase_create("bursts");
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, every_burst_is_found_where_it_began, 0, (int)room_count);
    tcase_add_test(tests, the_level_is_the_one_that_was_sent);
    tcase_add_loop_test(tests, lost_blocks_leave_the_other_bursts_where_they_are, 0, 2);
    tcase_add_loop_test(tests, a_gap_that_is_not_known_well_makes_no_wrong_beat, 0, 2);
    tcase_add_loop_test(tests, stamps_that_waver_are_averaged_and_the_error_told, 0, 2);
    tcase_add_test(tests, pts_tell_the_media_time_however_stamps_waver);
    tcase_add_test(tests, wild_stamps_do_no_lasting_harm);
    tcase_add_loop_test(tests, lags_do_not_depend_on_where_blocks_begin, 0, 4);
    tcase_add_test(tests, the_end_tells_a_burst_that_was_just_over);
    tcase_add_test(tests, what_carries_no_burst_is_refused);
    tcase_add_test(tests, a_clock_follows_exact_stamps_of_any_rate);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
