/* shmframe-media: what is decoded is what readers see. */
#include "rig.h"

#include <errno.h>
#include <shmframe/avframe.h>
#include <string.h>

static const struct {
    const char *encoder, *ending;
    enum AVPixelFormat pixel_format;
    int width, height, b_frames;
    bool is_in_place;
    const char *filter; /* of the bitstream; NULL: none */
} pictures[] = {
    {"mpeg4", "mkv", AV_PIX_FMT_YUV420P, 320, 240, 2, true, NULL},
    {"mpeg4", "avi", AV_PIX_FMT_YUV420P, 322, 242, 0, true, NULL},
    {"mpeg2video", "mpg", AV_PIX_FMT_YUV420P, 352, 288, 2, true, NULL},
    {"mpeg2video", "mkv", AV_PIX_FMT_YUV422P, 176, 144, 2, true, NULL},
    {"mjpeg", "avi", AV_PIX_FMT_YUVJ420P, 101, 77, 0, true, NULL},
    {"mjpeg", "mkv", AV_PIX_FMT_YUVJ444P, 64, 64, 0, true, NULL},
    {"ffv1", "mkv", AV_PIX_FMT_YUV420P, 161, 121, 0, true, NULL},
    {"ffv1", "mkv", AV_PIX_FMT_YUV422P10, 160, 120, 0, true, NULL},
    {"ffv1", "mkv", AV_PIX_FMT_GRAY16, 33, 17, 0, true, NULL},
    {"huffyuv", "avi", AV_PIX_FMT_RGB24, 96, 50, 0, true, NULL},
    {"png", "mkv", AV_PIX_FMT_RGBA, 75, 31, 0, true, NULL},
    {"rawvideo", "nut", AV_PIX_FMT_YUV420P, 100, 60, 0, false, NULL},
    {"libx264", "mp4", AV_PIX_FMT_YUV420P, 854, 480, 2, true, NULL},
    {"libx264", "mp4", AV_PIX_FMT_YUV420P10, 130, 70, 3, true, NULL},
    {"libx265", "mkv", AV_PIX_FMT_YUV420P, 200, 136, 3, true, NULL},
    {"libvpx-vp9", "webm", AV_PIX_FMT_YUV420P, 177, 99, 0, true, NULL},
    {"libvpx", "webm", AV_PIX_FMT_YUV420P, 179, 101, 0, true, NULL},
    {"prores_ks", "mov", AV_PIX_FMT_YUV422P10, 98, 54, 0, true, NULL},
    {"libaom-av1", "mkv", AV_PIX_FMT_YUV420P, 130, 98, 0, false, NULL},
    {"libx264", "ts", AV_PIX_FMT_YUV420P, 320, 240, 2, true,
     "h264_metadata=crop_left=32:crop_top=6"},
    {"libx264", "mp4", AV_PIX_FMT_YUV420P, 320, 240, 2, true,
     "h264_metadata=crop_left=6:crop_right=10:crop_top=2:crop_bottom=4"},
    {"libx265", "mkv", AV_PIX_FMT_YUV420P10, 320, 240, 2, true,
     "hevc_metadata=crop_left=64:crop_right=8:crop_top=8"},
};
enum { PICTURES = sizeof(pictures) / sizeof(pictures[0]) };

START_TEST(every_picture_is_as_ffmpeg_decodes_it) {
    static struct clip_truth truth;
    if (!clip_can_encode(pictures[_i].encoder))
        return;
    const struct clip clip = {
        .path = rig_name_clip(pictures[_i].ending),
        .picture = pictures[_i].encoder,
        .pixel_format = pictures[_i].pixel_format,
        .width = pictures[_i].width,
        .height = pictures[_i].height,
        .rate = {25, 1},
        .pictures = 60,
        .b_frames = pictures[_i].b_frames,
        .filter = pictures[_i].filter,
    };
    clip_make(&clip);
    clip_decode(clip.path, &truth);
    ck_assert_int_ge(truth.pictures, 59);
    rig_watch_all(MEDIA(UNPACED), true, false, 0);
    rig_expect_truth(&truth);
    const int64_t in_place = rig_read_figure("media", "in_place");
    ck_assert_msg(in_place == (pictures[_i].is_in_place ? truth.pictures : 0), "%s %s: %s",
                  clip.picture, pictures[_i].ending, rig_read_said());
    ck_assert_int_eq(rig_read_figure("media", "copied"), truth.pictures - in_place);
}
END_TEST

static const struct {
    const char *encoder, *ending;
    enum AVSampleFormat sample_format;
    int sample_rate, channels;
} sounds[] = {
    {"pcm_s16le", "wav", AV_SAMPLE_FMT_S16, 44100, 2},
    {"pcm_f32le", "wav", AV_SAMPLE_FMT_FLT, 8000, 1},
    {"aac", "m4a", AV_SAMPLE_FMT_FLTP, 48000, 6},
    {"flac", "flac", AV_SAMPLE_FMT_S16, 48000, 2},
    {"mp2", "mp2", AV_SAMPLE_FMT_S16, 32000, 2},
    {"pcm_s16le", "wav", AV_SAMPLE_FMT_S16, 48000, 13},
};
enum { SOUNDS = sizeof(sounds) / sizeof(sounds[0]) };

START_TEST(every_sample_is_as_ffmpeg_decodes_it) {
    static struct clip_truth truth;
    if (!clip_can_encode(sounds[_i].encoder))
        return;
    const struct clip clip = {
        .path = rig_name_clip(sounds[_i].ending),
        .sound = sounds[_i].encoder,
        .sample_format = sounds[_i].sample_format,
        .sample_rate = sounds[_i].sample_rate,
        .channels = sounds[_i].channels,
        .samples = 2 * sounds[_i].sample_rate + 123,
    };
    clip_make(&clip);
    clip_decode(clip.path, &truth);
    rig_watch_all(MEDIA(UNPACED), false, true, 0);
    rig_expect_truth(&truth);
    ck_assert_str_eq(rig_seen.sound_format.audio.channel_layout, truth.layout);
    for (int i = 1; i < rig_seen.blocks; i++)
        ck_assert_int_le(llabs(rig_seen.block[i].pts - rig_seen.block[i - 1].pts -
                               rig_seen.block[i - 1].duration),
                         1);
}
END_TEST

/* Capture is when a frame is due: the file's clock, shifted. Where somebody was away for half a
 * second the shift becomes larger by that much, at a frame that is marked. Returns the last one. */
static int64_t follow_shift(const struct rig_frame *frame, int frames, int64_t shift_ns) {
    for (int i = 0; i < frames; i++) {
        const int64_t more_ns = frame[i].capture_ns - frame[i].pts_ns - shift_ns;
        const bool is_marked = i > 0 && (frame[i].flags & SHMFRAME_DISCONTINUITY);
        const bool is_shifted = llabs(more_ns) > MS_NS;
        ck_assert_msg(is_shifted == is_marked && (!is_shifted || more_ns >= 500 * MS_NS),
                      "frame %d is due %.3f ms later than those before, and is %smarked", i,
                      (double)more_ns / MS_NS, is_marked ? "" : "not ");
        shift_ns += is_shifted ? more_ns : 0;
    }
    return shift_ns;
}

START_TEST(pictures_and_sound_run_on_one_clock) {
    static struct clip_truth truth;
    rig_make_both(2);
    clip_decode(rig_clip_path, &truth);
    const int64_t start_ns = shmframe_now_ns();
    rig_watch_all(MEDIA(rig_clip_path, "--wait-readers", "1", "--format", "json"), true, true, 0);
    const int64_t elapsed_ns = shmframe_now_ns() - start_ns;
    rig_expect_truth(&truth);
    ck_assert_int_ge(elapsed_ns, 1900 * MS_NS);
    const int64_t shift_ns = rig_seen.picture[0].capture_ns - rig_seen.picture[0].pts_ns;
    const int64_t of_pictures_ns = follow_shift(rig_seen.picture, rig_seen.pictures, shift_ns);
    const int64_t of_sound_ns = follow_shift(rig_seen.block, rig_seen.blocks, shift_ns);
    ck_assert_int_le(llabs(of_pictures_ns - of_sound_ns), MS_NS);
    ck_assert_int_eq(rig_seen.picture_format.video.frame_rate.num, 25);
}
END_TEST

START_TEST(frames_that_are_held_do_not_change) {
    clip_make(&(struct clip){
        .path = rig_name_clip("avi"),
        .picture = "mpeg4",
        .pixel_format = AV_PIX_FMT_YUV420P,
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 200,
        .b_frames = 2,
        .gop = 100,
    });
    const pid_t pid = MEDIA(UNPACED);
    struct shmframe_reader *reader = rig_open_reader("media", SHMFRAME_LOSSLESS, 6);
    AVFrame *held[6] = {0};
    uint64_t sum[6];
    for (int i = 0;; i++) {
        AVFrame **place = &held[i % 6];
        if (*place)
            ck_assert_uint_eq(clip_sum_picture(*place), sum[i % 6]);
        av_frame_free(place);
        struct shmframe_lease lease;
        const int result =
            shmframe_reader_acquire(reader, shmframe_deadline_ns(10 * SECOND_NS), &lease);
        if (result == -ENODATA) {
            ck_assert_int_eq(i, 200);
            break;
        }
        ck_assert_msg(result == 0, "%s", strerror(-result));
        ck_assert_int_eq(shmframe_avframe_from_lease(&lease, place), 0);
        sum[i % 6] = clip_sum_picture(*place);
    }
    for (int i = 0; i < 6; i++)
        av_frame_free(&held[i]);
    shmframe_reader_close(reader);
    rig_expect_exit(pid, 0);
    ck_assert_int_eq(rig_read_figure("media", "copied"), 0);
}
END_TEST

START_TEST(a_reader_that_lets_nothing_go_costs_the_others_nothing) {
    clip_make(&(struct clip){
        .path = rig_name_clip("mkv"),
        .picture = "mpeg4",
        .pixel_format = AV_PIX_FMT_YUV420P,
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 200,
        .b_frames = 2,
    });
    const pid_t pid = MEDIA(rig_clip_path, "--unpaced", "--wait-readers", "2", "--format", "json");
    struct shmframe_reader *holder = rig_open_reader("media", SHMFRAME_LATEST, 6);
    struct shmframe_reader *reader = rig_open_reader("media", SHMFRAME_LOSSLESS, 1);
    AVFrame *held[6];
    uint64_t sum[6];
    for (int i = 0; i < 6; i++) {
        /* The writer goes on only as the other reads. */
        rig_watch(reader, NULL, 1);
        struct shmframe_lease lease;
        ck_assert_int_eq(
            shmframe_reader_acquire(holder, shmframe_deadline_ns(10 * SECOND_NS), &lease), 0);
        ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &held[i]), 0);
        sum[i] = clip_sum_picture(held[i]);
    }
    rig_watch(reader, NULL, 0);
    ck_assert_uint_eq(rig_seen.lost, 0);
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_eq(clip_sum_picture(held[i]), sum[i]);
        av_frame_free(&held[i]);
    }
    shmframe_reader_close(holder);
    shmframe_reader_close(reader);
    rig_expect_exit(pid, 0);
    ck_assert_int_eq(rig_read_figure("media", "in_place"), 200);
    ck_assert_int_eq(rig_read_figure("media", "refused_loans"), 0);
}
END_TEST

START_TEST(a_picture_that_is_shown_again_is_copied_and_told) {
    static struct clip_truth truth;
    clip_make(&(struct clip){
        .path = rig_name_clip("mov"),
        .picture = "qtrle",
        .pixel_format = AV_PIX_FMT_RGB24,
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 20,
        .is_still = true,
    });
    clip_decode(rig_clip_path, &truth);
    rig_watch_all(MEDIA(UNPACED), true, false, 0);
    rig_expect_truth(&truth);
    ck_assert_int_eq(rig_read_figure("media", "in_place"), 2); /* one for each key picture */
    ck_assert_int_eq(rig_read_figure("media", "copied"), 18);
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "18: the decoder showed a picture again"));
}
END_TEST

START_TEST(what_the_file_tells_of_its_pictures_is_in_the_format) {
    if (!clip_can_encode("libx264"))
        return;
    clip_make(&(struct clip){
        .path = rig_name_clip("mp4"),
        .picture = "libx264",
        .pixel_format = AV_PIX_FMT_YUV420P,
        .width = 128,
        .height = 96,
        .rate = {30000, 1001},
        .pictures = 10,
        .rotation_degrees = 90,
        .is_interlaced = true,
    });
    rig_watch_all(MEDIA(UNPACED), true, false, 0);
    const struct shmframe_video_format *video = &rig_seen.picture_format.video;
    ck_assert_int_eq(video->rotation_degrees, 90);
    ck_assert_uint_eq(video->field_order, SHMFRAME_TOP_FIRST);
    ck_assert_int_eq(video->frame_rate.num, 30000);
    ck_assert_int_eq(video->frame_rate.den, 1001);
    ck_assert(rig_seen.picture[5].flags & SHMFRAME_INTERLACED);
    ck_assert_int_eq(rig_read_figure("media", "copied"), 0);
}
END_TEST

static void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, every_picture_is_as_ffmpeg_decodes_it, 0, PICTURES);
    tcase_add_loop_test(tests, every_sample_is_as_ffmpeg_decodes_it, 0, SOUNDS);
    tcase_add_test(tests, pictures_and_sound_run_on_one_clock);
    tcase_add_test(tests, frames_that_are_held_do_not_change);
    tcase_add_test(tests, a_reader_that_lets_nothing_go_costs_the_others_nothing);
    tcase_add_test(tests, a_picture_that_is_shown_again_is_copied_and_told);
    tcase_add_test(tests, what_the_file_tells_of_its_pictures_is_in_the_format);
}

int main(void) {
    return rig_run("media", add_tests);
}
