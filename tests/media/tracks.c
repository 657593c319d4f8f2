/* shmframe-media: several tracks of a file as several streams. */
#include "gather.h"

#include <stdio.h>
#include <string.h>

static char parts[4][160];

/* Two tracks of pictures and two of sound, FFV1 and PCM, with subtitles; each track by itself in
 * parts[]. */
static void make_four(void) {
    char words[1024];
    snprintf(words, sizeof(words), "%s/words.srt", rig_folder);
    FILE *file = fopen(words, "w");
    fputs("1\n00:00:00,100 --> 00:00:00,500\nHello\n", file);
    fclose(file);
    rig_name_clip("mkv");
    snprintf(words, sizeof(words),
             "-f lavfi -i testsrc=size=160x120:rate=25 -f lavfi -i testsrc2=size=96x64:rate=10 "
             "-f lavfi -i sine=440:sample_rate=48000 -f lavfi -i sine=880:sample_rate=44100 "
             "-i %s/words.srt -t 2 -map 0 -map 1 -map 2 -map 3 -map 4 -c:v ffv1 -pix_fmt yuv420p "
             "-c:a pcm_s16le -c:s subrip -metadata:s:2 language=eng -metadata:s:3 language=ger "
             "-metadata:s:3 title=Kommentar %s",
             rig_folder, rig_clip_path);
    reference_run(words);
    for (int i = 0; i < 4; i++) {
        snprintf(parts[i], sizeof(parts[i]), "%s/part%d.mkv", rig_folder, i);
        snprintf(words, sizeof(words), "-i %s -map 0:%d -c copy %s", rig_clip_path, i, parts[i]);
        reference_run(words);
    }
}

START_TEST(all_tracks_are_streams_of_one_group) {
    make_four();
    const pid_t pid = MEDIA(UNPACED, "--track", "all", "--stream", "four");
    /* The program waits for the reader of the first. */
    static const char *const names[] = {"four.sound.2", "four.sound", "four.2", "four"};
    GATHER_OPEN(SHMFRAME_LOSSLESS, names[0], names[1], names[2], names[3]);
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    gather_expect_sound(0, parts[3]);
    gather_expect_sound(1, parts[2]);
    gather_expect_pictures(2, parts[1]);
    gather_expect_pictures(3, parts[0]);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(gathered[i].lost, 0);
    ck_assert_int_eq(rig_read_figure("four", "frames"), 50);
    ck_assert_int_eq(rig_read_figure("four.2", "in_place"), 20);
}
END_TEST

/* The most memory that it has had, in MB. */
static int read_peak_mb(pid_t pid) {
    char path[64], line[128];
    int kb = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "VmHWM: %d kB", &kb) == 1)
            break;
    fclose(file);
    return kb >> 10;
}

START_TEST(sound_that_begins_late_is_not_waited_for) {
    char words[512];
    snprintf(words, sizeof(words),
             "-f lavfi -i color=size=640x480:rate=25 -itsoffset 15 -f lavfi -i "
             "sine=440:sample_rate=48000 -t 16 -c:v rawvideo -pix_fmt yuv420p -c:a pcm_s16le %s",
             rig_name_clip("nut"));
    reference_run(words);
    const pid_t pid = MEDIA(UNPACED);
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media", "media.sound");
    gather_read(2);
    ck_assert_int_lt(read_peak_mb(pid), 150); /* 165 MB come before the sound */
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    ck_assert_int_eq(gathered[0].frames, 400);
    gather_expect_sound(1, rig_clip_path);
}
END_TEST

START_TEST(one_clock_is_for_all_tracks) {
    make_four();
    const pid_t pid = MEDIA(rig_clip_path, "--track", "all", "--wait-readers", "1");
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media.sound.2", "media.sound", "media.2", "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    const int64_t shift_ns = gathered[0].frame[0].capture_ns - gathered[0].frame[0].pts_ns;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < gathered[i].frames; k++)
            ck_assert_int_le(
                llabs(gathered[i].frame[k].capture_ns - gathered[i].frame[k].pts_ns - shift_ns),
                2 * MS_NS);
}
END_TEST

START_TEST(tracks_are_chosen_by_number_and_specifier) {
    make_four();
    pid_t pid = MEDIA(UNPACED, "--track", "a:1", "--track", "1");
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media.sound", "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    gather_expect_sound(0, parts[3]);
    gather_expect_pictures(1, parts[1]);

    pid = MEDIA(UNPACED, "--track", "m:language:eng");
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media.sound");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    gather_expect_sound(0, parts[2]);
}
END_TEST

START_TEST(all_tracks_are_listed) {
    make_four();
    static const char *const lines[] = {
        "track 0: pictures, ffv1, 160x120 yuv420p 25 fps: stream media\n",
        "eng: stream media.sound\n",
        "track 1: pictures, ffv1, 96x64 yuv420p 10 fps: only with --track\n",
        "ger, \"Kommentar\": only with --track\n",
        "track 4: subtitles, subrip: no stream: neither pictures nor sound\n",
    };
    rig_expect_exit(MEDIA(rig_clip_path, "--list"), 0);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        ck_assert_msg(strstr(rig_read_said(), lines[i]), "%s in: %s", lines[i], rig_read_said());
    rig_expect_exit(
        MEDIA(rig_clip_path, "--list", "--track", "1", "--track", "all", "--stream", "x"), 0);
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "96x64 yuv420p 10 fps: stream x\n"));
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "160x120 yuv420p 25 fps: stream x.2\n"));
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "\"Kommentar\": stream x.sound.2\n"));
}
END_TEST

START_TEST(a_track_that_is_not_there_is_told_with_those_that_are) {
    make_four();
    static const char *const wrong[] = {"7", "v:2", "s:3", "nonsense", "m:language:fre"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        rig_expect_exit(MEDIA(rig_clip_path, "--track", wrong[i]), 1);
        rig_expect_complaint(wrong[i]);
        rig_expect_complaint(
            "there are 0 (pictures), 1 (pictures), 2 (sound), 3 (sound), 4 (subtitles)");
    }
    rig_expect_exit(MEDIA(rig_clip_path, "--track", "4"), 1);
    rig_expect_complaint("track 4 (subtitles) cannot be a stream: neither pictures nor sound");
}
END_TEST

START_TEST(tracks_that_begin_late_and_end_early_hold_nobody_up) {
    char words[512];
    rig_name_clip("mkv");
    snprintf(words, sizeof(words),
             "-f lavfi -i testsrc=size=64x48:rate=25:duration=6 "
             "-itsoffset 4.5 -f lavfi -i sine=440:duration=1 "
             "-f lavfi -i testsrc2=size=96x64:rate=10:duration=1 "
             "-map 0 -map 1 -map 2 -c:v ffv1 -c:a pcm_s16le %s",
             rig_clip_path);
    reference_run(words);
    const pid_t pid = MEDIA(UNPACED, "--track", "all");
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media.sound", "media.2", "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    ck_assert_uint_eq(gathered[0].sound.samples, 44100);
    ck_assert_int_le(llabs(gathered[0].frame[0].pts_ns - 4500 * MS_NS), 2 * MS_NS);
    ck_assert_int_eq(gathered[1].frames, 10);
    ck_assert_int_eq(gathered[2].frames, 150);
}
END_TEST

/* A short song with a picture of its sleeve. */
static void make_song(void) {
    char words[512];
    rig_name_clip("flac");
    snprintf(words, sizeof(words),
             "-f lavfi -i testsrc=size=64x48:rate=1:duration=1 -f lavfi -i sine=440:duration=1 "
             "-map 1 -map 0 -c:a flac -c:v png -disposition:v attached_pic %s",
             rig_clip_path);
    reference_run(words);
}

START_TEST(a_cover_is_a_stream_only_if_asked_for) {
    make_song();
    rig_expect_exit(MEDIA(rig_clip_path, "--list"), 0);
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "track 1: cover, png: only with --track\n"));
    pid_t pid = MEDIA(UNPACED);
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media.sound");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    ck_assert_uint_eq(gathered[0].sound.samples, 44100);
    ck_assert_ptr_null(strstr(rig_read_said(), "\"media\""));

    pid = MEDIA(UNPACED, "--track", "1", "--track", "0");
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media.sound", "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    ck_assert_uint_eq(gathered[0].sound.samples, 44100);
    ck_assert_int_eq(gathered[1].frames, 1);
    ck_assert_int_eq(gathered[1].frame[0].width, 64);
}
END_TEST

static void add_tests(TCase *tests) {
    tcase_add_test(tests, all_tracks_are_streams_of_one_group);
    tcase_add_test(tests, sound_that_begins_late_is_not_waited_for);
    tcase_add_test(tests, one_clock_is_for_all_tracks);
    tcase_add_test(tests, tracks_are_chosen_by_number_and_specifier);
    tcase_add_test(tests, all_tracks_are_listed);
    tcase_add_test(tests, a_track_that_is_not_there_is_told_with_those_that_are);
    tcase_add_test(tests, tracks_that_begin_late_and_end_early_hold_nobody_up);
    tcase_add_test(tests, a_cover_is_a_stream_only_if_asked_for);
}

int main(void) {
    return rig_run("media-tracks", add_tests);
}
