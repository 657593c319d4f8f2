/* What the analyzer says of sounds whose answers are known: every format, silence, clips, phase,
 * DC, losses, and what a new writer or format changes. */
#include "stage.h"

#include <math.h>
#include <string.h>

#define SECOND ((uint64_t)STAGE_RATE_HZ)

static double sine(double amplitude, double hz, uint64_t sample) {
    return amplitude * sin(2 * M_PI * hz * (double)sample / STAGE_RATE_HZ);
}

static void start(struct shmframe_writer *writer, const char *option, const char *value) {
    stage_start((struct shmframe_writer *[]){writer, NULL},
                (const char *[]){"sound", option, value, NULL});
}

/* Measures `seconds` of the signal from beginning to end. */
static const json_t *measure(const char *format, uint32_t channels, stage_signal *signal,
                             double seconds) {
    struct shmframe_writer *writer = stage_open_sound("sound", format, NULL, channels);
    start(writer, NULL, NULL);
    stage_write(writer, signal, NULL, 0, (uint64_t)llround(seconds * STAGE_RATE_HZ));
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    return stage_total("sound");
}

/* ---- formats ---- */

static const struct {
    const char *name;
    uint32_t channels;
    bool is_in_place; /* libebur128 takes it where it lies */
    double step_db;   /* what its rounding may do */
} formats[] = {
    {"u8", 2, false, 0.1},    {"s16", 2, true, 0.01},   {"s32", 2, true, 0.01},
    {"flt", 2, true, 0.01},   {"dbl", 2, true, 0.01},   {"s64", 2, false, 0.01},
    {"u8p", 2, false, 0.1},   {"s16p", 2, false, 0.01}, {"s32p", 2, false, 0.01},
    {"fltp", 2, false, 0.01}, {"dblp", 2, false, 0.01}, {"s64p", 2, false, 0.01},
    {"fltp", 1, true, 0.01},  {"s16p", 1, true, 0.01},
};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

/* -6.02 dBFS left, -12.04 right. */
static double play_pair(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    return sine(channel ? 0.25 : 0.5, 1000, sample);
}

START_TEST(every_format_has_the_same_values) {
    const json_t *total = measure(formats[_i].name, formats[_i].channels, play_pair, 1);
    const double step = formats[_i].step_db;
    const bool is_mono = formats[_i].channels == 1;
    /* A sine of 1 kHz and 0 dBFS in one channel has -3.01 LUFS (BS.1770-4), these have 1.25 times
     * the power of the left one. */
    const double lufs = 20 * log10(0.5) - 3.01 + (is_mono ? 0 : 10 * log10(1.25));
    expect_near(total, "integrated_lufs", lufs, 0.02 + step);
    expect_near(total, "sample_peak_dbfs", 20 * log10(0.5), step);
    expect_near(total, "true_peak_dbtp", 20 * log10(0.5), 0.02 + step);
    expect_near(total, "rms_dbfs", 10 * log10(is_mono ? 0.125 : 0.15625 / 2), step);
    expect_near(total, "dc_offset", 0, 0.003);
    expect_near(total, "sound_s", 1, 1e-6);
    expect_near(total, "converted_blocks", formats[_i].is_in_place ? 0 : 10, 0);
    const json_t *channels = json_object_get(total, "channels");
    ck_assert_uint_eq(json_array_size(channels), formats[_i].channels);
    if (is_mono)
        return;
    expect_near(total, "correlation", 1, 0.001);
    expect_near(json_array_get(channels, 0), "rms_dbfs", 10 * log10(0.125), step);
    expect_near(json_array_get(channels, 1), "rms_dbfs", 10 * log10(0.125 / 4), 4 * step);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(channels, 1), "name")), "FR");
}
END_TEST

/* One sample that is none, of all that a float may be. */
static double play_too_large(void *user, uint32_t channel, uint64_t sample) {
    return sample == 24000 ? 3e38 : play_pair(user, channel, sample);
}

START_TEST(what_is_too_large_to_be_sound_spoils_nothing) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    start(writer, "--expect", "integrated_lufs<=-22");
    stage_write(writer, play_too_large, NULL, 0, SECOND);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 1);
    expect_near(stage_total("sound"), "not_finite_samples", 2, 0);
    expect_near(stage_total("sound"), "integrated_lufs", -8.06, 0.1);
    expect_near(stage_total("sound"), "sample_peak_dbfs", 20 * log10(0.5), 0.01);
}
END_TEST

static double play_holes(void *user, uint32_t channel, uint64_t sample) {
    if (channel == 0 && sample % 4800 == 77)
        return sample < 4800 ? (double)NAN : (double)INFINITY;
    return play_pair(user, channel, sample);
}

START_TEST(what_is_not_finite_is_counted_and_spoils_nothing) {
    const json_t *total = measure("flt", 2, play_holes, 1);
    expect_near(total, "not_finite_samples", 10, 0);
    expect_near(total, "converted_blocks", 10, 0);
    expect_near(total, "integrated_lufs", -8.06, 0.05);
    expect_near(total, "sample_peak_dbfs", 20 * log10(0.5), 0.01);
    expect_near(total, "correlation", 1, 0.01);
}
END_TEST

/* ---- levels ---- */

static double play_clips(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    (void)channel;
    /* A square of 500 Hz: runs of 48 samples. One sample alone, and two, are no clips. */
    if (sample < 4800)
        return sample % 96 < 48 ? 1 : -1;
    if (sample == 10000 || sample == 20000 || sample == 20001)
        return 1;
    return 0.1;
}

START_TEST(runs_at_full_scale_are_clips) {
    const json_t *total = measure(_i == 0 ? "s16" : _i == 1 ? "u8" : "flt", 1, play_clips, 1);
    /* 50 periods, but the signs follow without a break: the level is full scale all the time. */
    expect_near(total, "clips", 1, 0);
    expect_near(total, "full_scale_samples", 4800 + 3, 0);
    expect_near(stage_interval("sound", 0), "clips", 1, 0);
}
END_TEST

static double play_crackle(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    (void)channel;
    return sample % 10 < 2 ? -1 : 0;
}

START_TEST(single_samples_at_full_scale_are_no_clips) {
    const json_t *total = measure("s16", 1, play_crackle, 1);
    expect_near(total, "clips", 0, 0);
    expect_near(total, "full_scale_samples", 9600, 0);
}
END_TEST

static double play_click(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    (void)channel;
    return sample == 2400 + 4000 ? 0.75 : 0;
}

START_TEST(blocks_may_lie_across_the_steps_of_loudness) {
    struct shmframe_writer *writer = stage_open_sound("sound", "fltp", NULL, 2);
    start(writer, NULL, NULL);
    stage_write(writer, play_click, NULL, 0, 2400);
    stage_write(writer, play_click, NULL, 2400, SECOND);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const json_t *total = stage_total("sound");
    expect_near(total, "sample_peak_dbfs", 20 * log10(0.75), 0.01);
    expect_near(total, "true_peak_dbtp", 20 * log10(0.75), 0.01);
    expect_near(total, "sound_s", 1.05, 1e-6);
    expect_near(total, "converted_blocks", 11, 0);
}
END_TEST

static double play_offset(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    return sine(0.25, 1000, sample) + (channel ? -0.125 : 0.0625);
}

START_TEST(the_offset_is_that_of_the_worst_channel) {
    const json_t *total = measure("flt", 2, play_offset, 1);
    expect_near(total, "dc_offset", -0.125, 1e-6);
    expect_near(json_array_get(json_object_get(total, "channels"), 0), "dc_offset", 0.0625, 1e-6);
}
END_TEST

/* A second each: the same, opposite, a quarter of a period apart. */
static double play_phases(void *user, uint32_t channel, uint64_t sample) {
    const double shift[] = {0, M_PI, M_PI / 2};
    (void)user;
    const double phase = channel ? shift[sample / SECOND % 3] : 0;
    return 0.5 * sin(2 * M_PI * 1000 * (double)sample / STAGE_RATE_HZ + phase);
}

START_TEST(correlation_tells_the_phase) {
    const json_t *total = measure("flt", 2, play_phases, 3);
    const double wanted[] = {1, -1, 0};
    for (unsigned i = 0; i < 3; i++)
        expect_near(stage_interval("sound", i), "correlation", wanted[i], 0.001);
    expect_near(total, "correlation", 0, 0.001);
    expect_near(total, "correlation_min", -1, 0.001);
}
END_TEST

static double play_nothing(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    (void)channel;
    (void)sample;
    return 0;
}

START_TEST(digital_silence_has_no_level) {
    const json_t *total = measure("s16", 2, play_nothing, 1);
    static const char *const names[] = {"integrated_lufs",  "true_peak_dbtp", "rms_dbfs",
                                        "sample_peak_dbfs", "correlation",    "correlation_min"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_msg(json_is_null(json_object_get(total, names[i])), "%s", names[i]);
}
END_TEST

/* ---- silence ---- */

/* Quiet from 1.5 s to 4 s, with a click of one sample in one channel at 2.5 s if `user` says so. */
static double play_pause(void *user, uint32_t channel, uint64_t sample) {
    const bool has_click = user != NULL;
    if (has_click && channel == 1 && sample == 5 * SECOND / 2)
        return 0.01;
    if (sample >= 3 * SECOND / 2 && sample < 4 * SECOND)
        return sine(0.0009, 1000, sample);
    return 0.3;
}

START_TEST(silence_is_told_where_it_is) {
    const json_t *total = measure("flt", 2, play_pause, 5);
    expect_near(total, "silence_spells", 1, 0);
    expect_near(total, "silence_s", 2.5, 1e-6);
    expect_near(stage_event("sound", "silence_began"), "begin_s", 1.5, 1e-4);
    const json_t *ended = stage_event("sound", "silence_ended");
    expect_near(ended, "begin_s", 1.5, 1e-4);
    expect_near(ended, "end_s", 4, 1e-4);
    expect_near(ended, "duration_s", 2.5, 1e-4);
    ck_assert(json_is_true(json_object_get(stage_interval("sound", 3), "is_silent")));
    ck_assert(json_is_false(json_object_get(stage_interval("sound", 0), "is_silent")));
}
END_TEST

START_TEST(what_is_short_or_loud_in_one_channel_is_no_silence) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    start(writer, NULL, NULL);
    stage_write(writer, play_pause, writer, 0, 5 * SECOND);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    expect_near(stage_total("sound"), "silence_s", 0, 0);
    ck_assert_ptr_null(stage_event("sound", "silence_began"));
}
END_TEST

START_TEST(the_level_and_the_length_can_be_chosen) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    stage_start((struct shmframe_writer *[]){writer, NULL},
                (const char *[]){"sound", "--silence", "1s", "--silence-level", "-39", NULL});
    stage_write(writer, play_pause, writer, 0, 5 * SECOND);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    expect_near(stage_total("sound"), "silence_s", 2.5, 1e-6); /* the click is at -40 dBFS */
}
END_TEST

/* A little below and a little above -60 dBFS. */
static double play_threshold(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    (void)channel;
    return sample < 5 * SECOND / 2 ? 0.00099 : 0.00101;
}

START_TEST(what_is_at_the_level_is_not_silent) {
    const json_t *total = measure("flt", 2, play_threshold, 5);
    expect_near(total, "silence_s", 2.5, 1e-6);
    expect_near(stage_event("sound", "silence_ended"), "end_s", 2.5, 1e-6);
}
END_TEST

START_TEST(silence_to_the_end_counts) {
    const json_t *total = measure("s16", 2, play_nothing, 3.05);
    expect_near(total, "silence_s", 3.05, 1e-6);
    expect_near(total, "silence_spells", 1, 0);
    const json_t *ended = stage_event("sound", "silence_ended");
    ck_assert_ptr_nonnull(ended);
    expect_near(ended, "end_s", 3.05, 1e-6);
    expect_near(ended, "duration_s", 3.05, 1e-6);
}
END_TEST

/* ---- what is missing ---- */

START_TEST(lost_blocks_are_told_and_are_no_silence) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    start(writer, "--silence", "1s");
    stage_write(writer, play_pair, NULL, 0, SECOND);
    stage_write_block(writer, play_pair, NULL, 4 * SECOND, SHMFRAME_DISCONTINUITY, 30);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const json_t *total = stage_total("sound");
    expect_near(total, "device_dropped_frames", 30, 0);
    expect_near(total, "silence_s", 0, 0);
    expect_near(total, "sound_s", 1.1, 1e-6);
    expect_near(total, "duration_s", 4.1, 1e-6);
    expect_near(total, "integrated_lufs", -8.06, 0.02);
    const json_t *lost = stage_event("sound", "lost");
    expect_near(lost, "device_dropped_frames", 30, 0);
    expect_near(lost, "time_s", 4, 1e-6);
}
END_TEST

START_TEST(a_full_scale_run_does_not_go_on_over_a_gap) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 1);
    start(writer, NULL, NULL);
    stage_write_block(writer, play_clips, NULL, 0, 0, 0);
    stage_write_block(writer, play_clips, NULL, 0, SHMFRAME_DISCONTINUITY, 1);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    expect_near(stage_total("sound"), "clips", 2, 0);
}
END_TEST

/* ---- changes ---- */

static void change_format(struct shmframe_writer *writer, const char *sample_format,
                          const char *layout, uint32_t channels) {
    struct shmframe_format format = *shmframe_writer_format(writer);
    snprintf(format.audio.sample_format, sizeof(format.audio.sample_format), "%s", sample_format);
    snprintf(format.audio.channel_layout, sizeof(format.audio.channel_layout), "%s", layout);
    format.audio.channels = channels;
    format.plane_count = 0;
    ck_assert_int_eq(shmframe_format_complete(&format), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
}

static double play_full(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    (void)channel;
    return sample % 96 < 48 ? 1 : -1;
}

static double play_quiet(void *user, uint32_t channel, uint64_t sample) {
    (void)user;
    (void)channel;
    return sample % 96 < 48 ? 0.1 : -0.1;
}

/* In the middle of an interval, with and without intervals. */
START_TEST(what_came_before_another_format_counts) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 1);
    start(writer, "--interval", _i ? "0" : "1s");
    stage_write(writer, play_full, NULL, 0, SECOND / 2);
    change_format(writer, "flt", "stereo", 2);
    stage_write(writer, play_quiet, NULL, SECOND / 2, SECOND);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const json_t *total = stage_total("sound"), *channels = json_object_get(total, "channels");
    expect_near(total, "sample_peak_dbfs", 0, 0.01);
    expect_near(total, "clips", 1, 0);
    /* Half a second of 1 in one channel, a second of 0.1 in two. */
    expect_near(total, "rms_dbfs", 10 * log10((0.5 + 2 * 0.01) / 2.5), 0.01);
    expect_near(json_array_get(channels, 0), "rms_dbfs", 10 * log10((0.5 + 0.01) / 1.5), 0.01);
    expect_near(json_array_get(channels, 1), "rms_dbfs", -20, 0.01);
    if (_i)
        return;
    expect_near(stage_interval("sound", 0), "frames", 5, 0);
    expect_near(stage_interval("sound", 0), "clips", 1, 0);
    expect_near(stage_interval("sound", 1), "start_s", 0.5, 1e-6);
}
END_TEST

START_TEST(channels_keep_the_names_they_had) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", "stereo", 2);
    start(writer, NULL, NULL);
    stage_write(writer, play_pair, NULL, 0, SECOND);
    change_format(writer, "flt", "mono", 1);
    stage_write(writer, play_pair, NULL, SECOND, SECOND);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const json_t *channels = json_object_get(stage_total("sound"), "channels");
    static const char *const names[] = {"FC", "FR"};
    for (size_t i = 0; i < 2; i++)
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(channels, i), "name")),
                         names[i]);
}
END_TEST

START_TEST(the_measurement_goes_on_in_another_format) {
    struct shmframe_writer *writer = stage_open_sound("sound", "flt", NULL, 2);
    start(writer, NULL, NULL);
    stage_write(writer, play_pair, NULL, 0, SECOND);
    change_format(writer, "s16p", "5.1", 6);
    stage_write(writer, play_pair, NULL, SECOND, SECOND);
    shmframe_writer_close(writer);
    ck_assert_int_eq(stage_join(), 0);
    const json_t *total = stage_total("sound");
    expect_near(total, "sound_s", 2, 1e-6);
    expect_near(total, "sample_peak_dbfs", 20 * log10(0.5), 0.01);
    expect_near(total, "converted_blocks", 10, 0);
    ck_assert_uint_eq(json_array_size(json_object_get(total, "channels")), 6);
    expect_near(stage_interval("sound", 1), "frames", 10, 0);
}
END_TEST

START_TEST(several_streams_are_measured_at_once) {
    struct shmframe_writer *a = stage_open_sound("a", "flt", NULL, 2),
                           *b = stage_open_sound("b", "s16", NULL, 1);
    stage_start((struct shmframe_writer *[]){a, b, NULL}, (const char *[]){"a", "b", NULL});
    for (uint64_t i = 0; i < 10; i++) {
        stage_write_block(a, play_pair, NULL, i * 4800, 0, 0);
        stage_write_block(b, play_nothing, NULL, i * 4800, 0, 0);
    }
    shmframe_writer_close(a);
    shmframe_writer_close(b);
    ck_assert_int_eq(stage_join(), 0);
    expect_near(stage_total("a"), "integrated_lufs", -8.06, 0.02);
    ck_assert(json_is_null(json_object_get(stage_total("b"), "integrated_lufs")));
    expect_near(stage_total("b"), "frames", 10, 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("sound");
    tcase_add_checked_fixture(tests, stage_begin, stage_end);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, every_format_has_the_same_values, 0, FORMATS);
    tcase_add_test(tests, what_is_not_finite_is_counted_and_spoils_nothing);
    tcase_add_test(tests, what_is_too_large_to_be_sound_spoils_nothing);
    tcase_add_loop_test(tests, runs_at_full_scale_are_clips, 0, 3);
    tcase_add_test(tests, single_samples_at_full_scale_are_no_clips);
    tcase_add_test(tests, blocks_may_lie_across_the_steps_of_loudness);
    tcase_add_test(tests, what_is_at_the_level_is_not_silent);
    tcase_add_test(tests, the_offset_is_that_of_the_worst_channel);
    tcase_add_test(tests, correlation_tells_the_phase);
    tcase_add_test(tests, digital_silence_has_no_level);
    tcase_add_test(tests, silence_is_told_where_it_is);
    tcase_add_test(tests, what_is_short_or_loud_in_one_channel_is_no_silence);
    tcase_add_test(tests, the_level_and_the_length_can_be_chosen);
    tcase_add_test(tests, silence_to_the_end_counts);
    tcase_add_test(tests, lost_blocks_are_told_and_are_no_silence);
    tcase_add_test(tests, a_full_scale_run_does_not_go_on_over_a_gap);
    tcase_add_test(tests, the_measurement_goes_on_in_another_format);
    tcase_add_loop_test(tests, what_came_before_another_format_counts, 0, 2);
    tcase_add_test(tests, channels_keep_the_names_they_had);
    tcase_add_test(tests, several_streams_are_measured_at_once);
    Suite *suite = suite_create("sound");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
