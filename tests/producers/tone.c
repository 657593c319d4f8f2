/* Tone: its pitch, its channels, and beeps that begin with the flash. */
#include "tone.h"

#include "burst.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct shmframe_rational sixty = {60, 1};

static struct tone make_tone(const char *sample_format, uint32_t channels, uint32_t sample_rate,
                             uint32_t block, struct shmframe_rational frame_rate) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_audio(&format, sample_format, channels, sample_rate, block),
                     0);
    struct tone tone;
    ck_assert_int_eq(tone_init(&tone, &format, frame_rate, 440), 0);
    return tone;
}

/* `count` samples of one channel of doubles, from `first` on. */
static double *play(const struct tone *tone, int64_t first, uint32_t count) {
    double *samples = malloc(sizeof(double) * count);
    tone_fill(tone, (uint8_t *)samples, first, count);
    return samples;
}

/* How strong the sine of `hz` is in the samples: Goertzel's sum, over whole turns. */
static double find_level(const double *samples, uint32_t count, double hz, double sample_rate) {
    double real = 0, imaginary = 0;
    for (uint32_t i = 0; i < count; i++) {
        real += samples[i] * cos(2 * M_PI * hz * i / sample_rate);
        imaginary += samples[i] * sin(2 * M_PI * hz * i / sample_rate);
    }
    return 2 * hypot(real, imaginary) / count;
}

START_TEST(the_tone_has_its_pitch_and_level) {
    const struct tone tone = make_tone("dbl", 1, 48000, 48000, sixty);
    /* Half a second without a beep, also after a day. */
    for (int64_t start = 12000; start < INT64_C(48000) * 86400 * 2;
         start += INT64_C(48000) * 86400) {
        double *samples = play(&tone, start, 24000);
        ck_assert_double_eq_tol(find_level(samples, 24000, 440, 48000), TONE_LEVEL, 1e-6);
        ck_assert_double_eq_tol(find_level(samples, 24000, 442, 48000), 0, 1e-6);
        ck_assert_double_eq_tol(find_level(samples, 24000, 1000, 48000), 0, 1e-6);
        free(samples);
    }
}
END_TEST

START_TEST(the_beep_has_its_pitch_and_level) {
    const struct tone tone = make_tone("dbl", 1, 48000, 48000, sixty);
    double *samples = play(&tone, 48000, 4800);
    ck_assert_int_eq(tone_beep_samples(&tone), 4800);
    ck_assert_double_eq_tol(find_level(samples, 4800, TONE_BEEP_HZ, 48000), TONE_BEEP_LEVEL, 1e-6);
    free(samples);
}
END_TEST

/* Sample `number`. Cheap, for millions: an assertion that holds writes to a file where it stands.
 */
static void check_sample(double value, double wanted, int64_t number) {
    if (!(fabs(value - wanted) <= 1e-9))
        ck_abort_msg("sample %lld is %g instead of %g", (long long)number, value, wanted);
}

/* Takes the tone out of what is heard, and leaves the beeps. */
static double find_beep(const struct tone *tone, double sample, int64_t number) {
    const double rate = tone->format.audio.sample_rate;
    return sample - TONE_LEVEL * sin(2 * M_PI * fmod((double)number * 440, rate) / rate);
}

START_TEST(a_beep_begins_at_the_exact_sample_and_lasts_a_tenth_of_a_second) {
    const struct tone tone = make_tone("dbl", 1, 48000, 48000 * 4, sixty);
    double *samples = play(&tone, 0, 48000 * 4);
    for (int64_t i = 0; i < 48000 * 4; i++) {
        const int64_t age = i % 48000;
        const double wanted = age < 4800 ? TONE_BEEP_LEVEL * sin(2 * M_PI * (double)age / 48) : 0;
        check_sample(find_beep(&tone, samples[i], i), wanted, i);
    }
    free(samples);
}
END_TEST

START_TEST(flash_and_beep_begin_together) {
    static const struct shmframe_rational rates[] = {{60, 1},       {25, 1}, {30000, 1001},
                                                     {24000, 1001}, {7, 2},  {2997, 100}};
    static const uint32_t sample_rates[] = {48000, 44100, 8000, 96000};
    for (size_t k = 0; k < sizeof(rates) / sizeof(rates[0]); k++)
        for (size_t j = 0; j < sizeof(sample_rates) / sizeof(sample_rates[0]); j++) {
            const uint32_t sample_rate = sample_rates[j];
            const struct tone tone = make_tone("dbl", 1, sample_rate, sample_rate, rates[k]);
            for (int64_t second = 0; second < 100; second++) {
                const int64_t frame = scene_flash_frame(rates[k], second);
                const int64_t start = tone_beep_start(&tone, frame);
                const double frame_s = (double)frame * rates[k].den / rates[k].num;
                const double start_s = (double)start / sample_rate;
                ck_assert_double_ge(start_s, frame_s - 1e-9);
                ck_assert_double_lt(start_s, frame_s + 1.0 / sample_rate);
                /* And that is where it is heard: a sine's first sample is 0, its second is not. */
                double *samples = play(&tone, start, 2);
                const double step = TONE_BEEP_LEVEL * sin(2 * M_PI * tone.beep_hz / sample_rate);
                ck_assert_double_eq_tol(find_beep(&tone, samples[0], start), 0, 1e-9);
                ck_assert_double_eq_tol(find_beep(&tone, samples[1], start + 1), step, 1e-9);
                free(samples);
                if (start == 0)
                    continue;
                samples = play(&tone, start - 1, 1);
                ck_assert_double_eq_tol(find_beep(&tone, samples[0], start - 1), 0, 1e-9);
                free(samples);
            }
        }
}
END_TEST

START_TEST(a_burst_begins_with_the_sample_of_its_second) {
    static const uint32_t sample_rates[] = {48000, 44100, 8000, 96000};
    const int64_t rate = sample_rates[_i];
    struct tone tone =
        make_tone("dbl", 1, sample_rates[_i], sample_rates[_i], (struct shmframe_rational){7, 2});
    ck_assert_int_eq(tone_use_marks(&tone), 0);
    /* All beats, and a day later. */
    for (int64_t second = 0; second < 86420; second += second == 17 ? 86400 - 17 : 1) {
        double *samples = play(&tone, second * rate, (uint32_t)rate);
        for (int64_t i = 0; i < rate; i++)
            check_sample(find_beep(&tone, samples[i], second * rate + i),
                         TONE_BEEP_LEVEL *
                             burst_at((uint32_t)(second % 16), (double)i / (double)rate),
                         second * rate + i);
        free(samples);
    }
}
END_TEST

START_TEST(marks_stay_when_the_pitch_changes) {
    struct tone tone = make_tone("dbl", 1, 48000, 48000, sixty);
    ck_assert_int_eq(tone_use_marks(&tone), 0);
    ck_assert_int_eq(tone_set_hz(&tone, 24001), -EINVAL);
    ck_assert_int_eq(tone_set_hz(&tone, 500), 0);
    double *samples = play(&tone, 0, 48000);
    /* The burst, the tone after it. */
    ck_assert_double_gt(find_level(samples + 480, 480, BURST_HIGH_HZ - 1050, 48000), 0.1);
    ck_assert_double_eq_tol(find_level(samples + 24000, 24000, 500, 48000), TONE_LEVEL, 1e-6);
    free(samples);
}
END_TEST

START_TEST(a_rate_that_cannot_carry_bursts_is_refused) {
    struct tone tone = make_tone("dbl", 1, BURST_RATE_MIN - 1, 1000, sixty);
    ck_assert_int_eq(tone_use_marks(&tone), -ENOTSUP);
    ck_assert(!tone.has_marks);
}
END_TEST

START_TEST(blocks_join_without_a_seam) {
    static const uint32_t lengths[] = {1, 7, 480, 1024, 4801};
    struct tone tone =
        make_tone("dbl", 1, 44100, 44100 * 3, (struct shmframe_rational){30000, 1001});
    if (_i)
        ck_assert_int_eq(tone_use_marks(&tone), 0);
    double *whole = play(&tone, 0, 44100 * 3);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (uint32_t first = 0; first + lengths[i] <= 44100 * 3; first += lengths[i]) {
            double *block = play(&tone, first, lengths[i]);
            if (memcmp(block, whole + first, sizeof(double) * lengths[i]) != 0)
                ck_abort_msg("%u samples from %u on differ", lengths[i], first);
            free(block);
        }
    free(whole);
}
END_TEST

START_TEST(every_sample_format_carries_the_same_sound) {
    static const char *const names[] = {"u8",  "s16",  "s32",  "s64",  "flt",  "dbl",
                                        "u8p", "s16p", "s32p", "s64p", "fltp", "dblp"};
    const struct tone reference = make_tone("dbl", 1, 48000, 480, sixty);
    double *wanted = play(&reference, 47800, 480);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct tone tone = make_tone(names[i], 1, 48000, 480, sixty);
        uint8_t *slot = malloc(tone.format.slot_bytes);
        tone_fill(&tone, slot, 47800, 480);
        for (int k = 0; k < 480; k++) {
            double value = 0, tolerance = 1e-9;
            switch (av_get_packed_sample_fmt(tone.sample_format)) {
            case AV_SAMPLE_FMT_U8:
                value = (slot[k] - 128) / 127.0;
                tolerance = 0.5 / 127 + 1e-9;
                break;
            case AV_SAMPLE_FMT_S16:
                value = ((int16_t *)slot)[k] / 32767.0;
                tolerance = 0.5 / 32767 + 1e-9;
                break;
            case AV_SAMPLE_FMT_S32:
                value = ((int32_t *)slot)[k] / 2147483647.0;
                break;
            case AV_SAMPLE_FMT_S64:
                value = (double)((int64_t *)slot)[k] / 0x1p63;
                break;
            case AV_SAMPLE_FMT_FLT:
                value = (double)((float *)slot)[k];
                tolerance = 1e-7;
                break;
            case AV_SAMPLE_FMT_DBL:
                value = ((double *)slot)[k];
                break;
            default:
                ck_abort_msg("%s", names[i]);
            }
            ck_assert_msg(fabs(value - wanted[k]) <= tolerance, "%s sample %d", names[i], k);
        }
        free(slot);
    }
    free(wanted);
}
END_TEST

START_TEST(channels_have_harmonics_of_their_own) {
    const char *const names[] = {"flt", "fltp"};
    for (int planar = 0; planar < 2; planar++) {
        const struct tone tone = make_tone(names[planar], 10, 48000, 24000, sixty);
        float *slot = malloc(tone.format.slot_bytes);
        tone_fill(&tone, (uint8_t *)slot, 12000, 24000);
        double *samples = malloc(sizeof(double) * 24000);
        for (uint32_t channel = 0; channel < 10; channel++) {
            for (uint32_t i = 0; i < 24000; i++)
                samples[i] = planar ? (double)slot[tone.format.plane[channel].offset / 4 + i]
                                    : (double)slot[i * 10 + channel];
            const double hz = 440.0 * (channel % 8 + 1);
            ck_assert_double_eq_tol(find_level(samples, 24000, hz, 48000), TONE_LEVEL, 1e-6);
        }
        free(samples);
        free(slot);
    }
}
END_TEST

START_TEST(a_low_sample_rate_has_no_harmonics_above_half_of_it) {
    const struct tone tone = make_tone("dbl", 8, 2000, 2000, sixty);
    ck_assert_uint_eq(tone.harmonics, 2);
    ck_assert_uint_le(tone.beep_hz, 1000);
}
END_TEST

START_TEST(what_cannot_sound_is_refused) {
    struct shmframe_format format;
    struct tone tone;
    ck_assert_int_eq(shmframe_format_audio(&format, "flt", 1, 48000, 480), 0);
    ck_assert_int_eq(tone_init(&tone, &format, sixty, 0), -EINVAL);
    ck_assert_int_eq(tone_init(&tone, &format, sixty, 24001), -EINVAL);
    strcpy(format.audio.sample_format, "s24");
    ck_assert_int_eq(tone_init(&tone, &format, sixty, 440), -ENOTSUP);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tone");
    TCase *sound = tcase_create("sound");
    tcase_set_timeout(sound, 60);
    tcase_add_test(sound, the_tone_has_its_pitch_and_level);
    tcase_add_test(sound, the_beep_has_its_pitch_and_level);
    tcase_add_test(sound, a_beep_begins_at_the_exact_sample_and_lasts_a_tenth_of_a_second);
    tcase_add_test(sound, flash_and_beep_begin_together);
    tcase_add_loop_test(sound, a_burst_begins_with_the_sample_of_its_second, 0, 4);
    tcase_add_test(sound, marks_stay_when_the_pitch_changes);
    tcase_add_test(sound, a_rate_that_cannot_carry_bursts_is_refused);
    tcase_add_loop_test(sound, blocks_join_without_a_seam, 0, 2);
    tcase_add_test(sound, every_sample_format_carries_the_same_sound);
    tcase_add_test(sound, channels_have_harmonics_of_their_own);
    tcase_add_test(sound, a_low_sample_rate_has_no_harmonics_above_half_of_it);
    tcase_add_test(sound, what_cannot_sound_is_refused);
    suite_add_tcase(suite, sound);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
