/* Gauge: levels appear when they are heard, fall, and are held. */
#include "gauge.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define MS INT64_C(1000000)

enum { RATE = 48000, BLOCK = 480 };

static struct gauge gauge;
static struct gauge_reading reading;

/* 10 ms of a square wave on the left, and half of it on the right. */
static void add(int64_t capture_ns, int16_t level) {
    int16_t samples[BLOCK][2];
    for (int i = 0; i < BLOCK; i++) {
        samples[i][0] = i % 2 ? level : (int16_t)-level;
        samples[i][1] = (int16_t)(samples[i][0] / 2);
    }
    const struct sound_block block = {
        .channel = {(const uint8_t *)&samples[0][0], (const uint8_t *)&samples[0][1]},
        .stride_bytes = sizeof samples[0],
        .type = AV_SAMPLE_FMT_S16,
        .channels = 2,
        .samples = BLOCK,
    };
    gauge_add(&gauge, &block, capture_ns, 10 * MS);
}

static void expect(float value, double wanted, const char *what) {
    ck_assert_msg(fabs((double)value - wanted) < 0.01, "%s: %f instead of %f", what, (double)value,
                  wanted);
}

START_TEST(levels_are_those_of_the_channels_once_they_are_heard) {
    gauge_init(&gauge, 2);
    gauge_advance(&gauge, 990 * MS);
    for (int i = 0; i < 200; i++) {
        add((1000 + 10 * i) * MS, 16384);
    }
    gauge_advance(&gauge, 999 * MS);
    gauge_read(&gauge, &reading);
    ck_assert_uint_eq(reading.channels, 2);
    expect(reading.channel[0].peak, 0, "not heard yet");
    for (int i = 0; i < 200; i++) {
        gauge_advance(&gauge, (1000 + 10 * i) * MS);
    }
    gauge_read(&gauge, &reading);
    expect(reading.channel[0].peak, 0.5, "peak");
    expect(reading.channel[0].rms, 0.5, "rms");
    expect(reading.channel[1].peak, 0.25, "peak of the right");
    expect(reading.channel[1].rms, 0.25, "rms of the right");
}
END_TEST

START_TEST(peaks_fall_and_are_held) {
    gauge_init(&gauge, 2);
    gauge_advance(&gauge, 990 * MS);
    add(1000 * MS, 32767);
    gauge_advance(&gauge, 1001 * MS);
    for (int i = 1; i <= 100; i++) {
        gauge_advance(&gauge, (1001 + 10 * i) * MS);
    }
    gauge_read(&gauge, &reading);
    expect(reading.channel[0].peak, 0.1, "20 dB in a second");
    expect(reading.channel[0].held, 1, "held");
    ck_assert(reading.channel[0].rms < 0.05F);
    for (int i = 101; i <= 160; i++) {
        gauge_advance(&gauge, (1001 + 10 * i) * MS);
    }
    gauge_read(&gauge, &reading);
    expect(reading.channel[0].held, pow(10, -1.6), "held no longer");
}
END_TEST

START_TEST(another_time_line_is_followed) {
    gauge_init(&gauge, 2);
    gauge_advance(&gauge, 100000 * MS);
    add(1000 * MS, 16384);
    gauge_advance(&gauge, 1000 * MS);
    gauge_read(&gauge, &reading);
    expect(reading.channel[0].peak, 0.5, "an earlier one");
    add(900000 * MS, 32767);
    gauge_advance(&gauge, 900000 * MS);
    gauge_read(&gauge, &reading);
    expect(reading.channel[0].peak, 1, "a later one");
}
END_TEST

START_TEST(too_many_blocks_cost_the_oldest) {
    gauge_init(&gauge, 2);
    for (int i = 0; i < 3 * GAUGE_BLOCKS; i++) {
        add((1000 + 10 * i) * MS, i < 2 * GAUGE_BLOCKS ? 32767 : 3277);
    }
    gauge_advance(&gauge, 1000000 * MS);
    gauge_read(&gauge, &reading);
    expect(reading.channel[0].peak, 0.1, "the loud ones are forgotten");
}
END_TEST

START_TEST(channels_beyond_those_shown_do_no_harm) {
    gauge_init(&gauge, 64);
    add(1000 * MS, 16384);
    gauge_advance(&gauge, 1000 * MS);
    gauge_read(&gauge, &reading);
    ck_assert_uint_eq(reading.channels, GAUGE_CHANNELS);
    expect(reading.channel[2].peak, 0, "a channel that the block does not have");
}
END_TEST

int main(void) {
    TCase *const tests = tcase_create("gauge");
    tcase_add_test(tests, levels_are_those_of_the_channels_once_they_are_heard);
    tcase_add_test(tests, peaks_fall_and_are_held);
    tcase_add_test(tests, another_time_line_is_followed);
    tcase_add_test(tests, too_many_blocks_cost_the_oldest);
    tcase_add_test(tests, channels_beyond_those_shown_do_no_harm);
    Suite *const suite = suite_create("gauge");
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
