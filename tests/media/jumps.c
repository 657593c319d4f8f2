/* shmframe-media: times that jump, or are missing; damage in the middle. */
#include "gather.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char words[1024];
#define MAKE(...) (snprintf(words, sizeof(words), __VA_ARGS__), reference_run(words))

static const char *in_folder(const char *name) {
    static char path[4][128];
    static int next;
    char *to = path[next++ % 4];
    snprintf(to, sizeof(path[0]), "%s/%s", rig_folder, name);
    return to;
}

/* --- Times ------------------------------------------------------------------------------------ */

/* A second of a broadcast which begins at that time, behind what there is. */
static void add_broadcast(int begin_s) {
    const char *part = in_folder("part.ts");
    MAKE("-f lavfi -i testsrc=size=64x48:rate=25 -f lavfi -i sine=440:sample_rate=48000 -t 1 "
         "-c:v mpeg2video -g 5 -qscale:v 2 -c:a mp2 -output_ts_offset %d -f mpegts %s",
         begin_s, part);
    snprintf(words, sizeof(words), "cat %s >> %s", part, rig_clip_path);
    ck_assert_int_eq(system(words), 0);
}

static void gather_paced(pid_t pid, int exit_code) {
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media.sound", "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, exit_code);
}

/* That stream's positions go on in steps of less than `most_ns`, and its captures too; but a busy
 * machine's may come later. */
static void expect_steady(int stream, int64_t most_ns) {
    const struct gathered_frame *frame = gathered[stream].frame;
    for (int i = 1; i < gathered[stream].frames; i++) {
        const int64_t step_ns = frame[i].capture_ns - frame[i - 1].capture_ns;
        ck_assert_msg(step_ns > 0 && step_ns < 5 * SECOND_NS,
                      "frame %d of stream %d comes %jd ms later", i, stream,
                      (intmax_t)(step_ns / MS_NS));
        ck_assert_int_ge(frame[i].pts_ns - frame[i - 1].pts_ns, 0);
        ck_assert_int_lt(frame[i].pts_ns - frame[i - 1].pts_ns, most_ns);
    }
}

static int count_jumps(int stream) {
    int jumps = 0;
    const struct gathered_frame *frame = gathered[stream].frame;
    for (int i = 1; i < gathered[stream].frames; i++) {
        /* Half a second late, the clock was set back, which is told as well. */
        const bool is_set_back = frame[i].capture_ns - frame[i - 1].capture_ns > 500 * MS_NS;
        jumps += (frame[i].flags & SHMFRAME_DISCONTINUITY) && !is_set_back;
    }
    return jumps;
}

START_TEST(a_broadcast_whose_times_jump_goes_on) {
    rig_name_clip("ts");
    add_broadcast(0);
    add_broadcast(50000);
    add_broadcast(20);
    gather_paced(MEDIA(rig_clip_path, "--wait-readers", "1"), 1); /* damaged at the seams */
    gather_expect_pictures(1, rig_clip_path);
    expect_steady(0, 400 * MS_NS);
    expect_steady(1, 400 * MS_NS);
    ck_assert_int_eq(count_jumps(0), 2);
    ck_assert_int_eq(count_jumps(1), 2);
    /* Sound stays with its picture. */
    const int64_t first_ns = gathered[0].frame[0].capture_ns - gathered[1].frame[0].capture_ns;
    for (int stream = 0, second[2] = {0}; stream < 2; stream++) {
        for (int i = 1, jumps = 0; i < gathered[stream].frames && jumps < 2; i++)
            if (gathered[stream].frame[i].flags & SHMFRAME_DISCONTINUITY && ++jumps == 2)
                second[stream] = i;
        if (stream == 1) {
            const int64_t last_ns =
                gathered[0].frame[second[0]].capture_ns - gathered[1].frame[second[1]].capture_ns;
            ck_assert_msg(llabs(last_ns - first_ns) < 100 * MS_NS, "%jd ms, then %jd ms",
                          (intmax_t)(first_ns / MS_NS), (intmax_t)(last_ns / MS_NS));
        }
    }
}
END_TEST

START_TEST(times_that_wrap_go_on) {
    rig_name_clip("ts");
    add_broadcast(95443); /* 2^33 ticks of 90 kHz are 95443.7 s */
    gather_paced(MEDIA(rig_clip_path, "--wait-readers", "1"), 0);
    gather_expect_pictures(1, rig_clip_path);
    expect_steady(0, 100 * MS_NS);
    expect_steady(1, 100 * MS_NS);
    ck_assert_int_eq(count_jumps(0) + count_jumps(1), 0);
}
END_TEST

START_TEST(unpaced_the_times_of_the_file_stay) {
    rig_name_clip("ts");
    add_broadcast(0);
    add_broadcast(50000);
    gather_paced(MEDIA(rig_clip_path, "--unpaced", "--wait-readers", "1"), 1);
    const struct gathered_frame *frame = gathered[1].frame;
    ck_assert_int_gt(frame[gathered[1].frames - 1].pts_ns - frame[0].pts_ns, 49999 * SECOND_NS);
}
END_TEST

START_TEST(times_that_are_missing_are_counted_on) {
    static const struct {
        const char *ending, *encode;
    } files[] = {
        {"h264", "-c:v libx264 -bf 2"},
        {"avi", "-c:v mpeg4 -bf 2"},
        {"m2v", "-c:v mpeg2video -bf 2"},
        {"mjpeg", "-c:v mjpeg"},
    };
    MAKE("-f lavfi -i testsrc=size=64x48:rate=25 -t 1 -pix_fmt yuvj420p %s %s", files[_i].encode,
         rig_name_clip(files[_i].ending));
    const pid_t pid = MEDIA(rig_clip_path, "--wait-readers", "1");
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    gather_expect_pictures(0, rig_clip_path);
    expect_steady(0, 100 * MS_NS);
}
END_TEST

/* --- Damage ----------------------------------------------------------------------------------- */

static const struct {
    const char *ending, *encode;
    bool is_silent; /* neither FFmpeg's demuxer nor its decoder says that something was wrong */
} damaged[] = {
    {"mkv", "-c:v ffv1 -slices 4 -slicecrc 1 -pix_fmt yuv420p", false},
    {"avi", "-c:v mjpeg -q:v 2", true},
    {"nut", "-c:v png", false},
    {"ts", "-c:v mpeg2video -g 1 -qscale:v 2 -f mpegts", false},
    {"mp4", "-c:v libx264 -g 5 -pix_fmt yuv420p -movflags +faststart", false},
    {"mpg", "-c:v mpeg2video -g 1 -qscale:v 2", false},
    {"flv", "-c:v flv -g 5 -q:v 2", false},
};
enum { DAMAGED = sizeof(damaged) / sizeof(damaged[0]) };

START_TEST(frames_before_and_behind_damage_arrive) {
    static struct reference whole;
    MAKE("-f lavfi -i testsrc=size=160x120:rate=25 -t 4 %s %s", damaged[_i].encode,
         rig_name_clip(damaged[_i].ending));
    reference_read(rig_clip_path, "rawvideo", &whole);
    struct stat found;
    ck_assert_int_eq(stat(rig_clip_path, &found), 0);
    FILE *file = fopen(rig_clip_path, "r+");
    ck_assert_int_eq(fseek(file, found.st_size / 2, SEEK_SET), 0);
    for (long i = 0; i < found.st_size / 50; i++)
        fputc((int)(i * 37 + i / 91), file);
    fclose(file);

    const pid_t pid = MEDIA(UNPACED);
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, !damaged[_i].is_silent);
    if (!damaged[_i].is_silent)
        ck_assert_msg(strstr(rig_read_said(), "damaged"), "%s", rig_read_said());
    int right = 0, early = 0, late = 0;
    for (int i = 0; i < whole.frames; i++)
        for (int k = 0; k < gathered[0].frames; k++)
            if (!memcmp(whole.frame[i].sum, gathered[0].frame[k].sum, REFERENCE_SUM_BYTES)) {
                right++;
                early += i < whole.frames / 3;
                late += i > whole.frames * 2 / 3;
                break;
            }
    ck_assert_msg(early >= whole.frames / 3 - 1 && late >= whole.frames / 3 - 4,
                  "%s: %d of %d right, %d early, %d late: %s", damaged[_i].ending, right,
                  whole.frames, early, late, rig_read_said());
    ck_assert_int_lt(right, whole.frames);
}
END_TEST

START_TEST(times_that_do_not_fit_are_counted_on) {
    MAKE("-f lavfi -i testsrc=size=64x48:rate=25 -t 1 -c:v ffv1 -output_ts_offset 9300000000 %s",
         rig_name_clip("nut"));
    const pid_t pid = MEDIA(rig_clip_path, "--wait-readers", "1");
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    ck_assert_int_eq(gathered[0].frames, 25);
    expect_steady(0, 100 * MS_NS);
    ck_assert_int_ge(gathered[0].frame[24].capture_ns - gathered[0].frame[0].capture_ns,
                     900 * MS_NS);
}
END_TEST

START_TEST(damage_in_the_last_packets_is_counted) {
    MAKE("-f lavfi -i testsrc=size=160x120:rate=25 -frames:v 52 -c:v png "
         "-bsf:v noise=amount=eq(n\\,51) %s",
         rig_name_clip("nut"));
    const pid_t pid = MEDIA(UNPACED);
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 1);
    ck_assert_int_eq(gathered[0].frames, 51);
    ck_assert_msg(strstr(rig_read_said(), "1 damaged packets"), "%s", rig_read_said());
}
END_TEST

static void add_tests(TCase *tests) {
    tcase_add_test(tests, a_broadcast_whose_times_jump_goes_on);
    tcase_add_test(tests, times_that_wrap_go_on);
    tcase_add_test(tests, unpaced_the_times_of_the_file_stay);
    tcase_add_loop_test(tests, times_that_are_missing_are_counted_on, 0, 4);
    tcase_add_test(tests, times_that_do_not_fit_are_counted_on);
    tcase_add_test(tests, damage_in_the_last_packets_is_counted);
    tcase_add_loop_test(tests, frames_before_and_behind_damage_arrive, 0, DAMAGED);
}

int main(void) {
    return rig_run("media-jumps", add_tests);
}
