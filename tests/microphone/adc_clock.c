/* The ADC's clock against a device whose truth is known: each case is a made-up arrival pattern. */
#include "adc_clock.h"

#include <check.h>
#include <stdlib.h>

#define MS        INT64_C(1000000)
#define SECOND_NS (1000 * MS)

enum { RATE = 48000 };

/* A device that captures sample i at start + i / rate, but for what it lost, and hands samples over
 * in lumps, each a little late. */
struct device {
    double rate_hz;
    int64_t start_ns;
    int64_t lump; /* samples */
    int64_t jitter_ns;
    int64_t lost;      /* samples captured that never come */
    int64_t delivered; /* samples handed over */
    int64_t now_ns;
    unsigned seed;
};

static int64_t find_truth_ns(const struct device *device, int64_t delivered) {
    return device->start_ns +
           (int64_t)((double)(delivered + device->lost) * SECOND_NS / device->rate_hz);
}

/* The next lump. Returns what the clock finds missing. */
static int64_t hand_over(struct device *device, struct adc_clock *clock) {
    device->delivered += device->lump;
    device->seed = device->seed * 1103515245 + 12345;
    const int64_t late_ns =
        device->jitter_ns ? (int64_t)(device->seed >> 4) % device->jitter_ns : 0;
    const int64_t there_ns = find_truth_ns(device, device->delivered) + late_ns;
    if (there_ns > device->now_ns)
        device->now_ns = there_ns;
    return adc_clock_observe(clock, device->delivered, device->now_ns);
}

/* How far off the capture time of the newest sample is. */
static int64_t find_error_ns(const struct device *device, const struct adc_clock *clock) {
    const int64_t position = adc_clock_position(clock, device->delivered);
    return adc_clock_capture_ns(clock, position) - find_truth_ns(device, device->delivered);
}

static struct device make_device(int64_t lump, int64_t jitter_ns) {
    return (struct device){
        .rate_hz = RATE,
        .start_ns = 7 * SECOND_NS,
        .lump = lump,
        .jitter_ns = jitter_ns,
    };
}

static void begin(struct adc_clock *clock) {
    adc_clock_init(clock);
    adc_clock_open(clock, RATE);
}

START_TEST(a_prompt_device_is_timed_exactly) {
    struct adc_clock clock;
    struct device device = make_device(480, 0);
    begin(&clock);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(hand_over(&device, &clock), 0);
        ck_assert_int_le(llabs(find_error_ns(&device, &clock)), 1);
    }
    ck_assert_int_le(clock.error_ns, 1);
    ck_assert_int_eq(adc_clock_position(&clock, 480000), 480000);
}
END_TEST

START_TEST(jitter_of_the_arrivals_is_not_in_the_times) {
    struct adc_clock clock;
    struct device device = make_device(480, 8 * MS);
    begin(&clock);
    for (int i = 0; i < 3000; i++) {
        ck_assert_int_eq(hand_over(&device, &clock), 0);
        /* After a second the earliest of 50 arrivals is known. */
        if (i > 150)
            ck_assert_int_le(llabs(find_error_ns(&device, &clock)), 8 * MS / 8);
        ck_assert_int_ge(find_error_ns(&device, &clock), -1);
    }
    ck_assert_int_gt(clock.error_ns, 0);
    ck_assert_int_le(clock.error_ns, 8 * MS);
}
END_TEST

START_TEST(no_error_is_larger_than_what_is_told) {
    for (unsigned seed = 1; seed < 50; seed++) {
        struct adc_clock clock;
        struct device device = make_device(480, 5 * MS);
        device.seed = seed * 7919;
        int64_t largest_ns = 0;
        begin(&clock);
        for (int i = 0; i < 2000; i++) {
            hand_over(&device, &clock);
            const int64_t error_ns = llabs(find_error_ns(&device, &clock));
            if (error_ns > largest_ns)
                largest_ns = error_ns;
        }
        /* By how much the earliest of a window's 50 arrivals was late can be known to nobody. */
        ck_assert_int_le(largest_ns, clock.error_ns + 5 * MS / 8);
    }
}
END_TEST

START_TEST(seconds_at_once_are_no_gap) {
    struct adc_clock clock;
    struct device device = make_device(2 * RATE, 30 * MS);
    begin(&clock);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(hand_over(&device, &clock), 0);
        ck_assert_int_le(llabs(find_error_ns(&device, &clock)), 30 * MS);
    }
}
END_TEST

/* 200 ppm, both ways, for ten minutes: 120 ms in all. */
START_TEST(a_crystal_that_is_off_is_followed) {
    const double ppm[] = {200, -200};
    struct adc_clock clock;
    struct device device = make_device(480, MS);
    device.rate_hz = RATE * (1 + ppm[_i] / 1e6);
    begin(&clock);
    for (int i = 0; i < 60000; i++) {
        ck_assert_int_eq(hand_over(&device, &clock), 0);
        if (i > 150)
            ck_assert_int_le(llabs(find_error_ns(&device, &clock)), MS);
    }
}
END_TEST

START_TEST(a_loss_that_the_device_tells_is_counted_at_once) {
    struct adc_clock clock;
    struct device device = make_device(480, MS);
    begin(&clock);
    for (int i = 0; i < 500; i++)
        hand_over(&device, &clock);
    device.lost += 12345;
    adc_clock_overflow(&clock, device.delivered);
    const int64_t missing = hand_over(&device, &clock);
    ck_assert_int_le(llabs(missing - 12345), 2 * RATE / 1000);
    ck_assert_int_le(clock.error_ns, 2 * MS); /* no time was wrong */
    ck_assert_int_eq(adc_clock_position(&clock, device.delivered), device.delivered + missing);
    ck_assert_int_le(llabs(find_error_ns(&device, &clock)), 2 * MS);
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(hand_over(&device, &clock), 0);
    ck_assert_int_le(llabs(find_error_ns(&device, &clock)), MS);
}
END_TEST

/* What waited in the device's buffer is lost with the rest, and was counted as delivered. */
START_TEST(what_was_seen_and_then_lost_is_missing_too) {
    struct adc_clock clock;
    struct device device = make_device(480, 0);
    begin(&clock);
    for (int i = 0; i < 500; i++)
        hand_over(&device, &clock);
    device.delivered -= 960;
    device.lost += 960 + 4800;
    adc_clock_overflow(&clock, device.delivered);
    ck_assert_int_eq(hand_over(&device, &clock), 960 + 4800);
    ck_assert_int_le(llabs(find_error_ns(&device, &clock)), MS);
}
END_TEST

START_TEST(a_loss_that_the_device_hides_is_found_within_two_seconds) {
    struct adc_clock clock;
    struct device device = make_device(480, 2 * MS);
    begin(&clock);
    for (int i = 0; i < 500; i++)
        hand_over(&device, &clock);
    device.lost += RATE / 10;
    int64_t missing = 0, largest_ns = 0;
    for (int i = 0; i < 200; i++) {
        missing += hand_over(&device, &clock);
        const int64_t error_ns = llabs(find_error_ns(&device, &clock));
        if (error_ns > largest_ns)
            largest_ns = error_ns;
    }
    ck_assert_int_le(llabs(missing - RATE / 10), 4 * RATE / 1000);
    /* Until then times were too early, which nobody knew: it is told afterwards. */
    ck_assert_int_ge(largest_ns, 100 * MS - 2 * MS);
    ck_assert_int_ge(clock.error_ns, largest_ns - 2 * MS);
    ck_assert_int_le(clock.error_ns, largest_ns + 4 * MS);
    ck_assert_int_le(llabs(find_error_ns(&device, &clock)), 2 * MS);
}
END_TEST

START_TEST(a_loss_in_the_first_second_is_a_gap_too) {
    struct adc_clock clock;
    struct device device = make_device(480, 2 * MS);
    begin(&clock);
    for (int i = 0; i < 40; i++)
        hand_over(&device, &clock);
    device.lost += 3 * RATE;
    int64_t missing = 0;
    for (int i = 0; i < 300; i++)
        missing += hand_over(&device, &clock);
    ck_assert_int_le(llabs(missing - 3 * RATE), 4 * RATE / 1000);
    ck_assert_int_le(llabs(find_error_ns(&device, &clock)), 2 * MS);
}
END_TEST

/* The process or the sound server stood still, and all comes at last: nothing is missing. */
START_TEST(a_delay_that_is_caught_up_with_is_no_gap) {
    struct adc_clock clock;
    struct device device = make_device(480, MS);
    begin(&clock);
    for (int i = 0; i < 500; i++)
        hand_over(&device, &clock);
    device.now_ns += 3 * SECOND_NS;
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(hand_over(&device, &clock), 0);
        ck_assert_int_le(llabs(find_error_ns(&device, &clock)), MS);
    }
    ck_assert_int_le(clock.error_ns, 2 * MS);
}
END_TEST

START_TEST(a_server_that_begins_with_old_samples_is_no_gap) {
    struct adc_clock clock;
    struct device device = make_device(480, 0);
    begin(&clock);
    /* 100 ms that were captured before are there at once. */
    adc_clock_observe(&clock, 4800, device.start_ns);
    device.delivered = 4800;
    device.start_ns -= 100 * MS;
    device.start_ns += 60 * MS; /* and then it pauses */
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(hand_over(&device, &clock), 0);
    ck_assert_int_le(llabs(find_error_ns(&device, &clock)), MS);
    ck_assert_int_ge(clock.error_ns, 59 * MS);
}
END_TEST

START_TEST(a_device_that_comes_back_goes_on_in_its_own_rate) {
    struct adc_clock clock;
    struct device device = make_device(480, 0);
    begin(&clock);
    for (int i = 0; i < 1000; i++)
        hand_over(&device, &clock);
    /* After ten seconds of sound and five without, at 44100 Hz. */
    adc_clock_open(&clock, 44100);
    struct device second = make_device(441, 0);
    second.rate_hz = 44100;
    second.start_ns = device.start_ns + 15 * SECOND_NS;
    second.now_ns = second.start_ns;
    const int64_t missing = hand_over(&second, &clock);
    ck_assert_int_le(llabs(missing - 5 * 44100), 1);
    ck_assert_int_le(llabs(adc_clock_position(&clock, 0) - 15 * 44100), 1);
    ck_assert_int_le(llabs(find_error_ns(&second, &clock)), MS / 10);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("adc_clock");
    TCase *cases = tcase_create("adc_clock");
    suite_add_tcase(suite, cases);
    tcase_add_test(cases, a_prompt_device_is_timed_exactly);
    tcase_add_test(cases, jitter_of_the_arrivals_is_not_in_the_times);
    tcase_add_test(cases, no_error_is_larger_than_what_is_told);
    tcase_add_test(cases, seconds_at_once_are_no_gap);
    tcase_add_loop_test(cases, a_crystal_that_is_off_is_followed, 0, 2);
    tcase_add_test(cases, a_loss_that_the_device_tells_is_counted_at_once);
    tcase_add_test(cases, what_was_seen_and_then_lost_is_missing_too);
    tcase_add_test(cases, a_loss_that_the_device_hides_is_found_within_two_seconds);
    tcase_add_test(cases, a_loss_in_the_first_second_is_a_gap_too);
    tcase_add_test(cases, a_delay_that_is_caught_up_with_is_no_gap);
    tcase_add_test(cases, a_server_that_begins_with_old_samples_is_no_gap);
    tcase_add_test(cases, a_device_that_comes_back_goes_on_in_its_own_rate);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
