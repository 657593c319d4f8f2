/* shmframe-media: ways through a file. */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int64_t find_step_ns(int picture) {
    return rig_seen.picture[picture].capture_ns - rig_seen.picture[picture - 1].capture_ns;
}

/* A machine that was busy for half a second has the clock set back, and says so. */
static bool is_set_back(int picture) {
    return find_step_ns(picture) >= 500 * MS_NS &&
           (rig_seen.picture[picture].flags & SHMFRAME_DISCONTINUITY);
}

START_TEST(a_loop_begins_again_without_a_gap) {
    rig_make_both(1);
    const pid_t pid =
        MEDIA(rig_clip_path, "--loop", "--frames", "60", "--wait-readers", "1", "--format", "json");
    rig_watch_all(pid, true, true, 0);
    ck_assert_int_eq(rig_seen.pictures, 60);
    for (int i = 1; i < 60; i++) {
        ck_assert_uint_eq(rig_seen.picture[i].sum, rig_seen.picture[i % 25].sum);
        if (is_set_back(i))
            continue;
        const int64_t step_ns = find_step_ns(i);
        const bool is_jump = i % 25 == 0;
        ck_assert_msg(llabs(step_ns - 40 * MS_NS) < (is_jump ? 15 : 1) * MS_NS, "%d: %jd", i,
                      (intmax_t)step_ns);
        ck_assert_int_eq(!!(rig_seen.picture[i].flags & SHMFRAME_DISCONTINUITY), is_jump);
    }
    ck_assert_int_eq(rig_read_figure("media", "copied"), 0);
}
END_TEST

START_TEST(play_begins_at_the_position_asked_for) {
    static struct clip_truth truth;
    rig_make_both(3);
    clip_decode(rig_clip_path, &truth);
    rig_watch_all(MEDIA(UNPACED, "--start", "1.5"), true, true, 0);
    ck_assert_int_ge(rig_seen.picture[0].pts_ns + 40 * MS_NS, 1500 * MS_NS);
    ck_assert_int_le(rig_seen.picture[0].pts_ns, 1500 * MS_NS);
    ck_assert_uint_eq(rig_seen.picture[0].sum,
                      truth.picture[truth.pictures - rig_seen.pictures].sum);
    ck_assert_int_le(llabs(rig_seen.block[0].pts_ns - 1500 * MS_NS), 40 * MS_NS);
}
END_TEST

START_TEST(so_many_frames_end_it) {
    rig_make_both(3);
    rig_watch_all(MEDIA(UNPACED, "--frames", "7"), true, true, 0);
    ck_assert_int_eq(rig_seen.pictures, 7);
}
END_TEST

START_TEST(so_much_time_ends_it) {
    rig_make_both(3);
    rig_watch_all(MEDIA(UNPACED, "--duration", "1"), true, true, 0);
    ck_assert_int_eq(rig_seen.pictures, 25);
    ck_assert_int_le(llabs((int64_t)rig_seen.sound.samples - 48000), 1500);
}
END_TEST

START_TEST(a_seek_jumps_and_says_so) {
    rig_make_both(8);
    const pid_t pid = MEDIA(rig_clip_path, "--wait-readers", "1", "--format", "json");
    struct shmframe_reader *reader = rig_open_reader("media", SHMFRAME_LOSSLESS, 1);
    rig_watch(reader, NULL, 5);
    rig_ask("seek", "somewhere", -EINVAL);
    rig_ask("seek", "1h", -EINVAL);
    rig_ask("seek", "5", 0);
    rig_watch(reader, NULL, 15);
    int jumps = 0;
    for (int i = 0; i < rig_seen.pictures; i++)
        if (rig_seen.picture[i].flags & SHMFRAME_DISCONTINUITY) {
            ck_assert_int_le(llabs(rig_seen.picture[i].pts_ns - 5 * SECOND_NS), 40 * MS_NS);
            jumps++;
        }
    ck_assert_int_eq(jumps, 1);
    rig_ask("seek", "-4", 0);
    rig_watch(reader, NULL, 15);
    ck_assert_int_lt(rig_seen.picture[rig_seen.pictures - 1].pts_ns, 3 * SECOND_NS);
    rig_ask("quit", NULL, 0);
    rig_watch(reader, NULL, 0);
    shmframe_reader_close(reader);
    rig_expect_exit(pid, 0);
    ck_assert_int_eq(rig_read_figure("media", "copied"), 0);
}
END_TEST

START_TEST(a_pause_holds_pictures_and_sound_and_the_clock) {
    rig_make_both(2);
    const pid_t pid = MEDIA(rig_clip_path, "--wait-readers", "1", "--format", "json");
    struct shmframe_reader *reader = rig_open_reader("media", SHMFRAME_LOSSLESS, 1);
    rig_watch(reader, NULL, 5);
    rig_ask("pause", NULL, 0);
    rig_drain(reader);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, shmframe_deadline_ns(300 * MS_NS), &lease),
                     -ETIMEDOUT);
    rig_ask("resume", NULL, 0);
    rig_watch(reader, NULL, 0);
    ck_assert(rig_seen.picture[0].flags & SHMFRAME_DISCONTINUITY);
    for (int i = 1; i < rig_seen.pictures; i++)
        if (!is_set_back(i))
            ck_assert_int_lt(llabs(find_step_ns(i) - 40 * MS_NS), MS_NS);
    shmframe_reader_close(reader);
    rig_expect_exit(pid, 0);
    /* All of them, had the clock gone on; one or two are a busy machine's. */
    ck_assert_int_lt(rig_read_figure("media", "overdue"), rig_seen.pictures / 2);
}
END_TEST

/* Puts one raw file behind another. */
static void append_file(const char *path, const char *to) {
    char command[384];
    snprintf(command, sizeof(command), "cat %s >> %s", path, to);
    ck_assert_int_eq(system(command), 0);
}

static const struct {
    const char *encoder, *ending;
    enum AVPixelFormat pixel_format;
    int b_frames;
} changing[] = {
    {"mjpeg", "mjpeg", AV_PIX_FMT_YUVJ420P, 0},
    {"mpeg2video", "ts", AV_PIX_FMT_YUV420P, 2},
    {"libx264", "h264", AV_PIX_FMT_YUV420P, 2},
    {"libx265", "hevc", AV_PIX_FMT_YUV420P, 2},
};
enum { CHANGING = sizeof(changing) / sizeof(changing[0]) };

START_TEST(a_change_of_size_in_the_middle_is_followed) {
    static struct clip_truth truth;
    char whole[128];
    if (!clip_can_encode(changing[_i].encoder))
        return;
    snprintf(whole, sizeof(whole), "%s/whole.%s", rig_folder, changing[_i].ending);
    static const int sizes[][2] = {{64, 48}, {162, 122}, {64, 48}};
    for (int i = 0; i < 3; i++) {
        clip_make(&(struct clip){
            .path = rig_name_clip(changing[_i].ending),
            .muxer = strcmp(changing[_i].ending, "ts") ? NULL : "mpegts",
            .picture = changing[_i].encoder,
            .pixel_format = changing[_i].pixel_format,
            .width = sizes[i][0],
            .height = sizes[i][1],
            .rate = {25, 1},
            .pictures = 20,
            .b_frames = changing[_i].b_frames,
        });
        append_file(rig_clip_path, whole);
    }
    snprintf(rig_clip_path, sizeof(rig_clip_path), "%s", whole);
    clip_decode(rig_clip_path, &truth);
    ck_assert_int_ge(truth.pictures, 57);
    /* Pictures that refer across the seam cannot be decoded, which counts as damage. */
    rig_watch_all(MEDIA(UNPACED), true, false, truth.pictures < 60);
    ck_assert_int_eq(rig_seen.pictures, truth.pictures);
    for (int i = 0; i < rig_seen.pictures; i++) {
        ck_assert_uint_eq(rig_seen.picture[i].sum, truth.picture[i].sum);
        ck_assert_int_eq(rig_seen.picture[i].width, truth.picture[i].width);
        ck_assert_int_eq(rig_seen.picture[i].height, truth.picture[i].height);
    }
    ck_assert_int_eq(rig_read_figure("media", "generation"), 3);
    /* Only what was decoded before the change was known, and what fits neither. */
    ck_assert_int_ge(rig_read_figure("media", "in_place"), 20);
}
END_TEST

START_TEST(a_seek_away_from_a_change_of_size_follows_it) {
    char whole[128];
    snprintf(whole, sizeof(whole), "%s/whole.ts", rig_folder);
    for (int i = 0; i < 2; i++) {
        clip_make(&(struct clip){
            .path = rig_name_clip("ts"),
            .muxer = "mpegts",
            .picture = "mpeg2video",
            .pixel_format = AV_PIX_FMT_YUV420P,
            .width = i ? 96 : 64,
            .height = i ? 64 : 48,
            .rate = {25, 1},
            .pictures = i ? 75 : 25,
        });
        append_file(rig_clip_path, whole);
    }
    const pid_t pid = MEDIA(whole, "--wait-readers", "1", "--format", "json");
    struct shmframe_reader *reader = rig_open_reader("media", SHMFRAME_LOSSLESS, 1);
    /* The new size has been decoded, but not shown. */
    rig_watch(reader, NULL, 23);
    rig_ask("pause", NULL, 0);
    rig_drain(reader);
    rig_ask("seek", "2.5", 0);
    rig_ask("resume", NULL, 0);
    rig_watch(reader, NULL, 0);
    shmframe_reader_close(reader);
    rig_expect_exit(pid, 0);
    ck_assert_msg(rig_seen.pictures > 5, "%s", rig_read_said());
    ck_assert_int_eq(rig_seen.picture[0].width, 96);
}
END_TEST

START_TEST(a_seek_after_a_long_wait_is_not_late) {
    rig_make_both(4);
    const pid_t pid = MEDIA(rig_clip_path, "--wait-readers", "1", "--timeout", "200ms");
    struct shmframe_reader *reader = rig_open_reader("media", SHMFRAME_LOSSLESS, 1);
    rig_watch(reader, NULL, 5);
    rig_ask("pause", NULL, 0);
    rig_drain(reader);
    ck_assert_int_eq(shmframe_reader_wait(reader, shmframe_deadline_ns(500 * MS_NS)), -ETIMEDOUT);
    rig_ask("seek", "3.5", 0);
    rig_ask("resume", NULL, 0);
    rig_watch(reader, NULL, 0);
    shmframe_reader_close(reader);
    rig_expect_exit(pid, 0);
}
END_TEST

START_TEST(tracks_are_listed_without_a_supervisor) {
    rig_make_both(1);
    rig_expect_exit(MEDIA(rig_clip_path, "--list"), 0);
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "pictures, mpeg4, 160x120 yuv420p 25 fps"));
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "sound, pcm_s16le, 48000 Hz 2 channels s16"));
}
END_TEST

static void add_tests(TCase *tests) {
    tcase_add_test(tests, a_loop_begins_again_without_a_gap);
    tcase_add_test(tests, play_begins_at_the_position_asked_for);
    tcase_add_test(tests, so_many_frames_end_it);
    tcase_add_test(tests, so_much_time_ends_it);
    tcase_add_test(tests, a_seek_jumps_and_says_so);
    tcase_add_test(tests, a_pause_holds_pictures_and_sound_and_the_clock);
    tcase_add_loop_test(tests, a_change_of_size_in_the_middle_is_followed, 0, CHANGING);
    tcase_add_test(tests, a_seek_away_from_a_change_of_size_follows_it);
    tcase_add_test(tests, a_seek_after_a_long_wait_is_not_late);
    tcase_add_test(tests, tracks_are_listed_without_a_supervisor);
}

int main(void) {
    return rig_run("media-play", add_tests);
}
