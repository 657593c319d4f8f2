/* shmframe-media: what cannot be played, or not whole. */
#include "rig.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nothing overrides what the file's mode says; needed for root only, which alone may. */
static void obey_modes(void) {
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
}

START_TEST(a_file_that_may_not_be_read_is_told_in_one_line) {
    rig_make_both(1);
    ck_assert_int_eq(chmod(rig_clip_path, 0), 0);
    obey_modes();
    rig_expect_exit(MEDIA(rig_clip_path), 1);
    rig_expect_complaint("Permission denied; let this user read it");
}
END_TEST

START_TEST(what_cannot_be_played_is_told_in_one_line) {
    rig_expect_exit(MEDIA("/nowhere/at/all.mp4"), 1);
    rig_expect_complaint(
        "cannot open /nowhere/at/all.mp4: No such file or directory; check the path");
    rig_expect_exit(MEDIA("nowhere:film.mp4"), 1);
    rig_expect_complaint("Protocol not found; see `ffmpeg -protocols`");
    FILE *file = fopen(rig_name_clip("mp4"), "w");
    for (int i = 0; i < 2000; i++)
        fputs("this is no film\n", file);
    fclose(file);
    rig_expect_exit(MEDIA(rig_clip_path), 1);
    rig_expect_complaint(rig_clip_path);
    rig_expect_complaint("is it a media file? ffprobe tells more");
    file = fopen(rig_name_clip("empty"), "w");
    fclose(file);
    rig_expect_exit(MEDIA(rig_clip_path), 1);
    rig_expect_complaint("cannot open");
    rig_expect_exit(MEDIA(rig_folder), 1);
    rig_expect_complaint("Is a directory; name a file in it");
    rig_expect_exit(MEDIA("--unpaced"), 2);
    rig_expect_complaint("FILE");
    file = fopen(rig_name_clip("srt"), "w");
    fputs("1\n00:00:01,000 --> 00:00:02,000\nHello\n", file);
    fclose(file);
    rig_expect_exit(MEDIA(rig_clip_path), 1);
    rig_expect_complaint("neither pictures nor sound");
    rig_make_both(1);
    rig_expect_exit(MEDIA(rig_clip_path, "--stream", "Bad Name"), 2);
    rig_expect_complaint("--stream");
    setenv("SHMFRAME_SOCKET", "/nowhere/socket", 1);
    rig_expect_exit(MEDIA(rig_clip_path), 1);
    setenv("SHMFRAME_SOCKET", rig_socket_path, 1);
    rig_expect_complaint("/nowhere/socket");
}
END_TEST

/* Gives the codec in the clip a name that none has. */
static void rename_codec(const char *tag) {
    static char bytes[1 << 20];
    FILE *file = fopen(rig_clip_path, "r+");
    ck_assert_ptr_nonnull(file);
    const size_t count = fread(bytes, 1, sizeof(bytes), file);
    int renamed = 0;
    for (char *at = bytes; (at = memmem(at, count - (size_t)(at - bytes), tag, 4)); renamed++)
        memcpy(at, "QQz9", 4);
    ck_assert_int_ge(renamed, 2); /* the stream's header and its format */
    rewind(file);
    ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

START_TEST(an_unknown_codec_is_named_and_the_rest_is_played) {
    struct clip clip = {
        .path = rig_name_clip("avi"),
        .picture = "mjpeg",
        .pixel_format = AV_PIX_FMT_YUVJ420P,
        .width = 64,
        .height = 64,
        .rate = {25, 1},
        .pictures = 10,
    };
    clip_make(&clip);
    rename_codec("MJPG");
    rig_expect_exit(MEDIA(rig_clip_path), 1);
    rig_expect_complaint("no decoder for its picture, QQz9");

    clip.sound = "pcm_s16le";
    clip.sample_format = AV_SAMPLE_FMT_S16;
    clip.sample_rate = 48000;
    clip.channels = 2;
    clip.samples = 19200;
    clip_make(&clip);
    rename_codec("MJPG");
    rig_watch_all(MEDIA(UNPACED), false, true, 0);
    ck_assert_uint_eq(rig_seen.sound.samples, 19200);
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "played in part"));
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "QQz9"));
}
END_TEST

static void truncate_clip(double part) {
    struct stat stat_of;
    ck_assert_int_eq(stat(rig_clip_path, &stat_of), 0);
    ck_assert_int_eq(truncate(rig_clip_path, (off_t)((double)stat_of.st_size * part)), 0);
}

/* Where a track is left out, what the file as a whole claims may be that one's. */
START_TEST(a_truncated_file_is_told_also_if_it_is_played_in_part) {
    rig_name_clip("mkv");
    rig_make_both(4);
    truncate_clip(0.5);
    rig_watch_all(MEDIA(UNPACED, "--track", "v"), true, false, 1);
    ck_assert_int_lt(rig_seen.pictures, 90);
    ck_assert_msg(strstr(rig_read_said(), "truncated"), "%s", rig_read_said());
}
END_TEST

START_TEST(a_truncated_file_is_played_as_far_as_it_goes) {
    static const char *const endings[] = {"mkv", "avi", "nut"};
    static struct clip_truth truth;
    clip_make(&(struct clip){
        .path = rig_name_clip(endings[_i]),
        .picture = "mpeg4",
        .pixel_format = AV_PIX_FMT_YUV420P,
        .width = 320,
        .height = 240,
        .rate = {25, 1},
        .pictures = 100,
    });
    truncate_clip(0.6);
    clip_decode(rig_clip_path, &truth);
    rig_watch_all(MEDIA(UNPACED), true, false, 1);
    ck_assert_int_ge(rig_seen.pictures, 40);
    ck_assert_int_lt(rig_seen.pictures, 90);
    ck_assert_int_eq(rig_seen.pictures, truth.pictures);
    /* nut gives the last packet as if it were whole: the decoder only finds out. */
    ck_assert_msg(strstr(rig_read_said(), _i == 2 ? "damaged" : "truncated"), "%s",
                  rig_read_said());
}
END_TEST

START_TEST(damage_is_reported_and_the_rest_arrives) {
    clip_make(&(struct clip){
        .path = rig_name_clip("mkv"),
        .picture = "png",
        .pixel_format = AV_PIX_FMT_RGB24,
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 50,
    });
    FILE *file = fopen(rig_clip_path, "r+");
    fseek(file, 0, SEEK_END);
    const long bytes = ftell(file);
    fseek(file, bytes / 2, SEEK_SET);
    for (int i = 0; i < 300; i++)
        fputc(i * 37, file);
    fclose(file);
    rig_watch_all(MEDIA(UNPACED), true, false, 1);
    ck_assert_int_ge(rig_seen.pictures, 45);
    ck_assert_int_lt(rig_seen.pictures, 50);
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "damaged"));
}
END_TEST

START_TEST(a_signal_ends_it_cleanly) {
    rig_make_both(5);
    const pid_t pid = MEDIA(rig_clip_path, "--wait-readers", "1", "--format", "json");
    struct shmframe_reader *reader = rig_open_reader("media", SHMFRAME_IN_ORDER, 1);
    rig_watch(reader, NULL, 3);
    kill(pid, SIGINT);
    rig_watch(reader, NULL, 0);
    shmframe_reader_close(reader);
    rig_expect_exit(pid, 0);
}
END_TEST

START_TEST(a_lossless_reader_that_does_not_read_holds_no_signal_up) {
    rig_make_both(5);
    const pid_t pid = MEDIA(UNPACED);
    struct shmframe_reader *reader = rig_open_reader("media", SHMFRAME_LOSSLESS, 1);
    ck_assert_int_eq(shmframe_reader_wait(reader, shmframe_deadline_ns(10 * SECOND_NS)), 0);
    kill(pid, SIGTERM);
    rig_expect_exit(pid, 0);
    shmframe_reader_close(reader);
}
END_TEST

static void add_tests(TCase *tests) {
    tcase_add_test(tests, what_cannot_be_played_is_told_in_one_line);
    tcase_add_test(tests, a_file_that_may_not_be_read_is_told_in_one_line);
    tcase_add_test(tests, an_unknown_codec_is_named_and_the_rest_is_played);
    tcase_add_loop_test(tests, a_truncated_file_is_played_as_far_as_it_goes, 0, 3);
    tcase_add_test(tests, a_truncated_file_is_told_also_if_it_is_played_in_part);
    tcase_add_test(tests, damage_is_reported_and_the_rest_arrives);
    tcase_add_test(tests, a_signal_ends_it_cleanly);
    tcase_add_test(tests, a_lossless_reader_that_does_not_read_holds_no_signal_up);
}

int main(void) {
    return rig_run("media-damage", add_tests);
}
