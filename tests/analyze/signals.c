/* Loudness of the signals whose loudness is known: EBU Tech 3341 (version 4, table 1) and EBU Tech
 * 3342 (table 1), as sines of 1 kHz unless they say otherwise. Levels are peaks in dBFS. */
#include "stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct part {
    double dbfs, seconds;
};

/* A sine in parts, the same in all channels. */
struct sequence {
    struct part part[8];
    unsigned rounds; /* 0: one */
};

static double find_level(const struct sequence *sequence, double second) {
    double round_s = 0;
    for (unsigned i = 0; sequence->part[i].seconds > 0; i++)
        round_s += sequence->part[i].seconds;
    second = fmod(second, round_s);
    unsigned i = 0;
    while (second >= sequence->part[i].seconds && sequence->part[i + 1].seconds > 0)
        second -= sequence->part[i++].seconds;
    return sequence->part[i].dbfs;
}

static double sine(double dbfs, uint64_t sample) {
    return pow(10, dbfs / 20) * sin(2 * M_PI * 1000 * (double)sample / stage_rate_hz());
}

static double play_sequence(void *user, uint32_t channel, uint64_t sample) {
    (void)channel;
    /* A half step aside, so that rounding does not decide where a part begins. */
    const double second = ((double)sample + 0.5) / stage_rate_hz();
    return sine(find_level(user, second), sample);
}

static uint64_t count_samples(const struct sequence *sequence) {
    double seconds = 0;
    for (unsigned i = 0; sequence->part[i].seconds > 0; i++)
        seconds += sequence->part[i].seconds;
    return (uint64_t)llround(seconds * (sequence->rounds ? sequence->rounds : 1) * stage_rate_hz());
}

static const json_t *measure(stage_signal *signal, void *user, uint64_t samples, const char *layout,
                             uint32_t channels) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", layout, channels);
    stage_start((struct shmframe_writer *[]){writer, NULL}, (const char *[]){"sound", NULL});
    stage_write(writer, signal, user, 0, samples);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const json_t *total = stage_total("sound");
    expect_near(total, "sound_s", (double)samples / stage_rate_hz(), 1e-6);
    return total;
}

/* Loudness of 1 kHz is the same at any rate: at a low one it is measured quicker. */
static void choose_rate(void) {
    const char *rate_hz = getenv("RATE_HZ");
    stage_set_rate(rate_hz ? (uint32_t)atoi(rate_hz) : 8000);
}

static const json_t *measure_sequence(const struct sequence *sequence) {
    choose_rate();
    return measure(play_sequence, (void *)sequence, count_samples(sequence), "stereo", 2);
}

/* Tech 3341: 1 to 6. */

static const struct sequence constant[] = {
    {.part = {{-23, 20}}},
    {.part = {{-33, 20}}},
};

START_TEST(a_constant_tone_is_as_loud_at_each_scale) {
    const double wanted = constant[_i].part[0].dbfs;
    const json_t *total = measure_sequence(&constant[_i]);
    expect_near(total, "momentary_max_lufs", wanted, 0.1);
    expect_near(total, "short_term_max_lufs", wanted, 0.1);
    expect_near(total, "integrated_lufs", wanted, 0.1);
    expect_near(total, "loudness_range_lu", 0, 0.1);
    expect_near(stage_interval("sound", 10), "momentary_lufs", wanted, 0.1);
    expect_near(stage_interval("sound", 10), "short_term_lufs", wanted, 0.1);
}
END_TEST

static const struct sequence gated[] = {
    {.part = {{-36, 10}, {-23, 60}, {-36, 10}}},
    {.part = {{-72, 10}, {-36, 10}, {-23, 60}, {-36, 10}, {-72, 10}}},
    {.part = {{-26, 20}, {-20, 20.1}, {-26, 20}}},
};

START_TEST(what_is_below_the_gates_does_not_count) {
    expect_near(measure_sequence(&gated[_i]), "integrated_lufs", -23, 0.1);
}
END_TEST

static double play_surround(void *user, uint32_t channel, uint64_t sample) {
    const double *dbfs = user;
    return sine(dbfs[channel], sample);
}

START_TEST(channels_weigh_by_their_places) {
    /* Left, right, centre, surrounds; in 5.1 something loud in the LFE, which does not count. */
    double levels[] = {-28, -28, -24, -30, -30};
    double with_lfe[] = {-28, -28, -24, -3, -30, -30};
    static const char *const layouts[] = {"5.0", "5.0(side)", "5.1", "5.1(side)"};
    const bool has_lfe = _i >= 2;
    choose_rate();
    const json_t *total = measure(play_surround, has_lfe ? with_lfe : levels, 20 * stage_rate_hz(),
                                  layouts[_i], has_lfe ? 6 : 5);
    expect_near(total, "integrated_lufs", -23, 0.1);
}
END_TEST

/* Tech 3341: 9, 10, 12, 13. */

START_TEST(short_term_loudness_is_that_of_three_seconds) {
    const struct sequence sequence = {.part = {{-20, 1.34}, {-30, 1.66}}, .rounds = 5};
    const json_t *total = measure_sequence(&sequence);
    expect_near(total, "short_term_max_lufs", -23, 0.1);
    for (unsigned i = 3; i < 14; i++)
        expect_near(stage_interval("sound", i), "short_term_lufs", -23, 0.1);
}
END_TEST

START_TEST(momentary_loudness_is_that_of_four_tenths) {
    const struct sequence sequence = {.part = {{-20, 0.18}, {-30, 0.22}}, .rounds = 25};
    const json_t *total = measure_sequence(&sequence);
    expect_near(total, "momentary_max_lufs", -23, 0.1);
    for (unsigned i = 0; i < 10; i++)
        expect_near(stage_interval("sound", i), "momentary_lufs", -23, 0.1);
}
END_TEST

START_TEST(the_largest_values_are_of_any_moment) {
    /* As long as the window, and beginning at any step of it. */
    const struct sequence three_s = {.part = {{-120, 0.1 * (_i + 1)}, {-23, 3}, {-120, 1}}};
    expect_near(measure_sequence(&three_s), "short_term_max_lufs", -23, 0.1);
}
END_TEST

/* Tech 3341: 15 to 19: a sine between whose samples the peak lies. */

struct peak_case {
    double divisor, phase_degrees, amplitude, dbtp;
};

static const struct peak_case peak_cases[] = {
    {4, 0, 0.5, -6}, {4, 45, 0.5, -6}, {6, 60, 0.5, -6}, {8, 67.5, 0.5, -6}, {4, 45, 1.41, 3},
};

static double play_peak(void *user, uint32_t channel, uint64_t sample) {
    const struct peak_case *wanted = user;
    (void)channel;
    const double fade =
        fmin(1, 10 * (double)sample / stage_rate_hz()); /* a hard beginning has a peak of its own */
    const double phase =
        2 * M_PI * (double)sample / wanted->divisor + wanted->phase_degrees * M_PI / 180;
    return fade * wanted->amplitude * sin(phase);
}

START_TEST(true_peaks_are_found_between_the_samples) {
    const struct peak_case *wanted = &peak_cases[_i];
    const json_t *total = measure(play_peak, (void *)wanted, 2 * stage_rate_hz(), "stereo", 2);
    expect_near(total, "true_peak_dbtp", wanted->dbtp - 0.1, 0.3); /* +0.2, -0.4 */
    const double between = wanted->phase_degrees == 0 ? 0 : cos(M_PI / wanted->divisor);
    if (between > 0) /* the samples themselves stay below */
        expect_near(total, "sample_peak_dbfs", wanted->dbtp + 20 * log10(between), 0.1);
}
END_TEST

/* Tech 3342: 1 to 4. */

static const struct {
    struct sequence sequence;
    double range_lu;
} ranges[] = {
    {{.part = {{-20, 20}, {-30, 20}}}, 10},
    {{.part = {{-20, 20}, {-15, 20}}}, 5},
    {{.part = {{-40, 20}, {-20, 20}}}, 20},
    {{.part = {{-50, 20}, {-35, 20}, {-20, 20}, {-35, 20}, {-50, 20}}}, 15},
};

START_TEST(the_range_is_that_of_the_middle) {
    expect_near(measure_sequence(&ranges[_i].sequence), "loudness_range_lu", ranges[_i].range_lu,
                1);
}
END_TEST

#define LENGTH(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void) {
    TCase *tests = tcase_create("signals");
    tcase_add_checked_fixture(tests, stage_begin, stage_end);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_constant_tone_is_as_loud_at_each_scale, 0, LENGTH(constant));
    tcase_add_loop_test(tests, what_is_below_the_gates_does_not_count, 0, LENGTH(gated));
    tcase_add_loop_test(tests, channels_weigh_by_their_places, 0, 4);
    tcase_add_test(tests, short_term_loudness_is_that_of_three_seconds);
    tcase_add_test(tests, momentary_loudness_is_that_of_four_tenths);
    tcase_add_loop_test(tests, the_largest_values_are_of_any_moment, 0, 3);
    tcase_add_loop_test(tests, true_peaks_are_found_between_the_samples, 0, LENGTH(peak_cases));
    tcase_add_loop_test(tests, the_range_is_that_of_the_middle, 0, LENGTH(ranges));
    Suite *suite = suite_create("signals");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
