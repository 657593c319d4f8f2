/* shmframe-microphone as its users meet it: the real program, a real sound server that records a
 * signal whose every sample is known, a real supervisor, a real reader. */
#include "listener.h"
#include "stage.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define MS        INT64_C(1000000)
#define SECOND_NS (1000 * MS)

/* What is recorded. */

START_TEST(every_sample_arrives_once_in_order_at_its_instant) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json", "--wait-readers",
                                 "1", "--duration", stage_seconds("5"));
    struct shmframe_reader *reader = stage_open_reader();
    struct listener listener = listener_make();
    struct shmframe_lease lease;
    int64_t frames = 0, next_pts = 0, before = 0;
    while (stage_acquire(reader, &lease) == 0) {
        if (frames == 0)
            before = atomic_load(&feed.refused);
        listener_hear_frame(&listener, &lease, &feed);
        ck_assert_uint_eq(lease.lost, 0);
        ck_assert_int_eq(lease.frame.pts, next_pts);
        ck_assert_uint_eq(lease.frame.samples, SIGNAL_RATE / 100);
        ck_assert_int_eq(lease.frame.duration, lease.frame.samples);
        ck_assert_int_eq(lease.frame.flags & SHMFRAME_DISCONTINUITY, 0);
        next_pts += lease.frame.samples;
        frames++;
        ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    }
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    shmframe_reader_close(reader);
    /* The signal itself is whole: what the pipe refused would have been a jump, too. */
    ck_assert_int_eq(atomic_load(&feed.refused), before);
    sound_feed_stop(&feed);
    ck_assert_int_eq(listener.jumps, 0);
    ck_assert_int_eq(listener.silent, 0);
    ck_assert_int_ge(frames, 100 * (atoi(stage_seconds("5")) - 2));

    json_t *statistics = stage_read_statistics();
    ck_assert_int_eq(stage_read_number(statistics, "frames"), frames);
    ck_assert_int_eq(stage_read_number(statistics, "in_place"), frames);
    ck_assert_int_eq(stage_read_number(statistics, "copied"), 0);
    ck_assert_int_eq(stage_read_number(statistics, "dropped"), 0);
    /* Each time within what is stated of the truth, but for what the feed and the server are always
     * late by, which nobody can see: below 50 ms even on a busy machine. */
    const int64_t stated_ns = stage_read_number(statistics, "clock_error_us") * 1000;
    ck_assert_int_le(listener.most_error_ns - listener.least_error_ns, stated_ns + 10 * MS);
    ck_assert_int_ge(listener.least_error_ns, -stated_ns - MS);
    ck_assert_int_le(listener.least_error_ns, 50 * MS);
    json_decref(statistics);
}
END_TEST

/* The signal in a file, played once. */
static pid_t play(int seconds) {
    char path[96], log_path[96];
    snprintf(path, sizeof(path), "%s/file", stage_server.folder);
    snprintf(log_path, sizeof(log_path), "%s/player", stage_server.folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (int64_t i = 0; i < (int64_t)seconds * SIGNAL_RATE; i++) {
        int16_t sample[SIGNAL_CHANNELS];
        signal_fill(sample, i);
        ck_assert_uint_eq(fwrite(sample, sizeof(sample), 1, file), 1);
    }
    ck_assert_int_eq(fclose(file), 0);
    return stage_start(log_path, "pacat",
                       (const char *const[]){"--playback", "--raw", "--device=null",
                                             "--format=s16le", "--rate=48000", "--channels=2",
                                             "--latency-msec=1000", path, NULL});
}

/* What is played into a sink and recorded from its monitor. The sink's own gaps are told from ours:
 * when a player begins, or is late, the sink has silence in its place, and its monitor may lack
 * what came too late for it; nothing lacks without silence. */
START_TEST(a_monitor_is_recorded_without_gap_and_repeat) {
    const int seconds = atoi(stage_seconds("5"));
    setenv("PULSE_SOURCE", "null.monitor", 1);
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json");
    struct shmframe_reader *reader = stage_open_reader();
    struct listener listener = listener_make();
    struct shmframe_lease lease;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    shmframe_reader_release(reader, &lease);
    const pid_t player = play(seconds);
    const int64_t deadline_ns = shmframe_deadline_ns((60 + 2 * seconds) * SECOND_NS);
    int64_t next_pts = -1;
    while (listener.next < (int64_t)seconds * SIGNAL_RATE) {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        ck_assert_int_eq(stage_acquire(reader, &lease), 0);
        if (next_pts >= 0)
            ck_assert_int_eq(lease.frame.pts, next_pts);
        next_pts = lease.frame.pts + lease.frame.samples;
        listener_hear_frame(&listener, &lease, NULL);
        ck_assert_int_eq(listener.jumps, 0);
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_ge(listener.samples, (int64_t)(seconds - 1) * SIGNAL_RATE);
    if (listener.pauses > 0)
        fprintf(stderr, "the player was late %jd times\n", (intmax_t)listener.pauses);
    ck_assert_int_eq(stage_wait_exit(player), 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    json_t *statistics = stage_read_statistics();
    ck_assert_int_eq(stage_read_number(statistics, "dropped"), 0);
    ck_assert_int_eq(stage_read_number(statistics, "copied"), 0);
    json_decref(statistics);
    shmframe_reader_close(reader);
}
END_TEST

static void expect_format(const char *name, uint32_t planes, double scale) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", name, "--frames", "20", "--block", "777");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    ck_assert_str_eq(lease.format->audio.sample_format, name);
    ck_assert_uint_eq(lease.format->plane_count, planes);
    ck_assert_uint_eq(lease.frame.samples, 777);
    /* The right channel counts. */
    for (uint32_t i = 1; i < 777; i++) {
        const uint8_t *right = shmframe_lease_plane(&lease, planes - 1);
        const uint32_t at = planes == 2 ? i : 2 * i + 1, step = planes == 2 ? 1 : 2;
        double now, before;
        if (name[0] == 'f') {
            now = (double)((const float *)right)[at];
            before = (double)((const float *)right)[at - step];
        } else {
            now = ((const int32_t *)right)[at];
            before = ((const int32_t *)right)[at - step];
        }
        if (now * scale > 1.5) /* not where it begins anew */
            ck_assert_msg(fabs(now * scale - before * scale - 1) < 0.01, "%s: %f behind %f", name,
                          now * scale, before * scale);
    }
    shmframe_reader_release(reader, &lease);
    while (stage_acquire(reader, &lease) == 0)
        shmframe_reader_release(reader, &lease);
    shmframe_reader_close(reader);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(stage_said(), ": 20 frames in"));
    sound_feed_stop(&feed);
}

/* Each with a supervisor of its own: a reader that comes while one stream ends and the next one of
 * that name begins may have either. */
START_TEST(flt_is_as_libavutil_lays_it_out) {
    expect_format("flt", 1, 32768);
}
END_TEST

START_TEST(fltp_is_as_libavutil_lays_it_out) {
    expect_format("fltp", 2, 32768);
}
END_TEST

START_TEST(s32_is_as_libavutil_lays_it_out) {
    expect_format("s32", 1, 1.0 / 65536);
}
END_TEST

START_TEST(s32p_is_as_libavutil_lays_it_out) {
    expect_format("s32p", 2, 1.0 / 65536);
}
END_TEST

/* Longer than the buffer that the device was asked for. */
START_TEST(a_block_may_be_longer_than_the_devices_buffer) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--block", "48000", "--latency", "10ms",
                                 "--frames", "2", "--wait-readers", "1");
    struct shmframe_reader *reader = stage_open_reader();
    struct listener listener = listener_make();
    struct shmframe_lease lease;
    while (stage_acquire(reader, &lease) == 0) {
        listener_hear_frame(&listener, &lease, &feed);
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_eq(listener.samples, 2 * 48000);
    ck_assert_int_eq(listener.jumps, 0);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

int main(void) {
    const TTest *const cases[] = {
        every_sample_arrives_once_in_order_at_its_instant,
        a_monitor_is_recorded_without_gap_and_repeat,
        flt_is_as_libavutil_lays_it_out,
        fltp_is_as_libavutil_lays_it_out,
        s32_is_as_libavutil_lays_it_out,
        s32p_is_as_libavutil_lays_it_out,
        a_block_may_be_longer_than_the_devices_buffer,
        NULL,
    };
    return stage_run("microphone", cases);
}
