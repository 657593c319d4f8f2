/* shmframe-media as its users meet it: the real program, a real supervisor, real readers. */
#include "clip.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/capability.h>
#include <shmframe/avframe.h>
#include <shmframe/shmframe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)
#define MS_NS     INT64_C(1000000)

enum { ARGUMENTS = 24, FRAMES = 2048 };

static char folder[] = "/tmp/shmframe-test-XXXXXX";
static char socket_path[64], log_path[64], said_path[64], clip_path[64];
static pid_t supervisor;
static struct shmframe_session *session;

/* --- Programs --------------------------------------------------------------------------------- */

static pid_t start_into(const char *path, const char *program, const char *const *arguments) {
    char *argv[ARGUMENTS] = {(char *)program};
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)arguments[i];
    const pid_t pid = fork();
    if (pid == 0) {
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execv(program, argv);
        _exit(127);
    }
    return pid;
}

/* What it says goes where read_said() finds it. */
static pid_t start(const char *program, const char *const *arguments) {
    return start_into(said_path, program, arguments);
}

#define MEDIA(...) start(getenv("SHMFRAME_MEDIA"), (const char *const[]){__VA_ARGS__, NULL})

static int wait_exit(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What the last program said. */
static const char *read_said(void) {
    static char text[8192];
    FILE *file = fopen(said_path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return text;
}

static void expect_exit(pid_t pid, int code) {
    const int found = wait_exit(pid);
    ck_assert_msg(found == code, "exit code %d: %s", found, read_said());
}

/* A failure is one line. */
static void expect_complaint(const char *part) {
    const char *text = read_said();
    ck_assert_msg(strstr(text, part), "%s", text);
    ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "%s", text);
}

/* A number of stream `name` in the statistics, which are the last line. */
static int64_t read_figure(const char *name, const char *figure) {
    const char *text = read_said();
    const char *json = strstr(text, "{\"seconds\"");
    ck_assert_msg(json, "%s", text);
    json_t *report = json_loads(json, JSON_DISABLE_EOF_CHECK, NULL);
    ck_assert_msg(report, "%s", text);
    int64_t value = -1;
    size_t i;
    json_t *stream;
    json_array_foreach(
        json_object_get(report, "streams"), i,
        stream) if (!strcmp(json_string_value(json_object_get(stream, "stream")), name)) value =
        json_integer_value(json_object_get(stream, figure));
    json_decref(report);
    ck_assert_msg(value >= 0, "%s of %s: %s", figure, name, text);
    return value;
}

static void set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    snprintf(said_path, sizeof(said_path), "%s/said", folder);
    setenv("SHMFRAME_SOCKET", socket_path, 1);
    snprintf(log_path, sizeof(log_path), "%s/log", folder);
    supervisor = start_into(log_path, getenv("SHMFRAMED"),
                            (const char *const[]){"--socket", socket_path, NULL});
    const struct shmframe_session_params params = {.deadline_ns =
                                                       shmframe_deadline_ns(10 * SECOND_NS)};
    ck_assert_msg(shmframe_session_open(&params, &session) == 0, "%s", shmframe_last_error());
}

static void tear_down(void) {
    shmframe_session_close(session);
    kill(supervisor, SIGTERM);
    wait_exit(supervisor);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *name_clip(const char *ending) {
    snprintf(clip_path, sizeof(clip_path), "%s/clip.%s", folder, ending);
    return clip_path;
}

/* --- What readers see ------------------------------------------------------------------------- */

struct seen_frame {
    int64_t pts, duration, capture_ns, publish_ns, pts_ns;
    uint64_t sum;
    int width, height;
    uint32_t flags, samples;
};

struct seen {
    struct seen_frame picture[FRAMES], block[FRAMES];
    int pictures, blocks;
    struct clip_sound sound;
    struct shmframe_format picture_format, sound_format;
    uint64_t lost;
};
static struct seen seen;

static struct shmframe_reader *open_reader(const char *stream, enum shmframe_policy policy,
                                           uint32_t leases) {
    const struct shmframe_reader_params params = {
        .stream = stream,
        .policy = policy,
        .leases = leases,
        .depth = 8,
        .deadline_ns = shmframe_deadline_ns(20 * SECOND_NS),
    };
    struct shmframe_reader *reader;
    const int result = shmframe_reader_open(session, &params, &reader);
    ck_assert_msg(result == 0, "%s; %s", shmframe_last_error(), read_said());
    return reader;
}

static void look_at(struct shmframe_lease *lease) {
    const struct shmframe_format format = *lease->format;
    const bool is_picture = format.kind == SHMFRAME_VIDEO;
    struct seen_frame *frame =
        is_picture ? &seen.picture[seen.pictures++] : &seen.block[seen.blocks++];
    ck_assert_int_lt(seen.pictures, FRAMES);
    ck_assert_int_lt(seen.blocks, FRAMES);
    ck_assert_int_le(lease->frame.capture_ns, lease->frame.publish_ns);
    *frame = (struct seen_frame){
        .pts = lease->frame.pts,
        .duration = lease->frame.duration,
        .capture_ns = lease->frame.capture_ns,
        .publish_ns = lease->frame.publish_ns,
        .pts_ns =
            av_rescale_q(lease->frame.pts, (AVRational){format.time_base.num, format.time_base.den},
                         (AVRational){1, SECOND_NS}),
        .flags = lease->frame.flags,
        .samples = lease->frame.samples,
    };
    seen.lost += lease->lost;
    AVFrame *bridged;
    ck_assert_int_eq(shmframe_avframe_from_lease(lease, &bridged), 0);
    if (is_picture) {
        seen.picture_format = format;
        frame->sum = clip_sum_picture(bridged);
        frame->width = bridged->width;
        frame->height = bridged->height;
    } else {
        seen.sound_format = format;
        clip_add_sound(&seen.sound, bridged);
    }
    av_frame_free(&bridged);
}

/* Takes what is there. Returns whether the stream has ended. */
static bool drain(struct shmframe_reader *reader) {
    for (;;) {
        struct shmframe_lease lease;
        const int result = shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease);
        if (result == -EAGAIN)
            return false;
        if (result == -ENODATA)
            return true;
        ck_assert_msg(result == 0, "%s", strerror(-result));
        look_at(&lease);
    }
}

/* Reads both streams, or the one that is not NULL, to their ends or to `pictures` pictures. */
static void watch(struct shmframe_reader *pictures, struct shmframe_reader *sound, int count) {
    memset(&seen, 0, sizeof(seen));
    struct shmframe_reader *readers[2];
    uint32_t left = 0;
    if (pictures)
        readers[left++] = pictures;
    if (sound)
        readers[left++] = sound;
    while (left && (!count || seen.pictures < count)) {
        uint64_t ready;
        const int result =
            shmframe_readers_wait(readers, left, shmframe_deadline_ns(20 * SECOND_NS), &ready);
        ck_assert_msg(result > 0, "%s after %d pictures, %d blocks: %s", strerror(-result),
                      seen.pictures, seen.blocks, read_said());
        for (uint32_t i = left; i-- > 0;)
            if ((ready & (UINT64_C(1) << i)) && drain(readers[i]))
                readers[i] = readers[--left];
    }
}

/* Reads a whole run of the program, losslessly. The sound's reader comes first: the program waits
 * for one of the pictures. */
static void watch_all(pid_t pid, bool has_pictures, bool has_sound, int exit_code) {
    struct shmframe_reader *sound =
        has_sound ? open_reader("media.sound", SHMFRAME_LOSSLESS, 1) : NULL;
    struct shmframe_reader *pictures =
        has_pictures ? open_reader("media", SHMFRAME_LOSSLESS, 1) : NULL;
    watch(pictures, sound, 0);
    shmframe_reader_close(pictures);
    shmframe_reader_close(sound);
    expect_exit(pid, exit_code);
    ck_assert_uint_eq(seen.lost, 0);
}

#define UNPACED clip_path, "--unpaced", "--wait-readers", "1", "--format", "json"

static void expect_truth(const struct clip_truth *truth) {
    ck_assert_int_eq(seen.pictures, truth->pictures);
    for (int i = 0; i < seen.pictures; i++) {
        ck_assert_msg(seen.picture[i].sum == truth->picture[i].sum, "picture %d of %d differs", i,
                      seen.pictures);
        ck_assert_int_eq(seen.picture[i].pts, truth->picture[i].pts);
        ck_assert_int_eq(seen.picture[i].width, truth->picture[i].width);
    }
    ck_assert_uint_eq(seen.sound.samples, truth->sound.samples);
    ck_assert(clip_is_same_sound(&seen.sound, &truth->sound));
}

/* --- Pictures and sound ----------------------------------------------------------------------- */

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
        .path = name_clip(pictures[_i].ending),
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
    watch_all(MEDIA(UNPACED), true, false, 0);
    expect_truth(&truth);
    const int64_t in_place = read_figure("media", "in_place");
    ck_assert_msg(in_place == (pictures[_i].is_in_place ? truth.pictures : 0), "%s %s: %s",
                  clip.picture, pictures[_i].ending, read_said());
    ck_assert_int_eq(read_figure("media", "copied"), truth.pictures - in_place);
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
        .path = name_clip(sounds[_i].ending),
        .sound = sounds[_i].encoder,
        .sample_format = sounds[_i].sample_format,
        .sample_rate = sounds[_i].sample_rate,
        .channels = sounds[_i].channels,
        .samples = 2 * sounds[_i].sample_rate + 123,
    };
    clip_make(&clip);
    clip_decode(clip.path, &truth);
    watch_all(MEDIA(UNPACED), false, true, 0);
    expect_truth(&truth);
    ck_assert_str_eq(seen.sound_format.audio.channel_layout, truth.layout);
    for (int i = 1; i < seen.blocks; i++)
        ck_assert_int_le(
            llabs(seen.block[i].pts - seen.block[i - 1].pts - seen.block[i - 1].duration), 1);
}
END_TEST

static void make_both(int seconds) {
    clip_make(&(struct clip){
        .path = name_clip("mkv"),
        .picture = "mpeg4",
        .pixel_format = AV_PIX_FMT_YUV420P,
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 25 * seconds,
        .b_frames = 1,
        .sound = "pcm_s16le",
        .sample_format = AV_SAMPLE_FMT_S16,
        .sample_rate = 48000,
        .channels = 2,
        .samples = 48000 * seconds,
    });
}

START_TEST(pictures_and_sound_run_on_one_clock) {
    static struct clip_truth truth;
    make_both(2);
    clip_decode(clip_path, &truth);
    const int64_t start_ns = shmframe_now_ns();
    watch_all(MEDIA(clip_path, "--wait-readers", "1", "--format", "json"), true, true, 0);
    const int64_t elapsed_ns = shmframe_now_ns() - start_ns;
    expect_truth(&truth);
    ck_assert_int_ge(elapsed_ns, 1900 * MS_NS);
    /* Capture is when a frame is due: the file's clock, shifted by the same for both. */
    const int64_t shift_ns = seen.picture[0].capture_ns - seen.picture[0].pts_ns;
    for (int i = 0; i < seen.pictures; i++)
        ck_assert_int_le(llabs(seen.picture[i].capture_ns - seen.picture[i].pts_ns - shift_ns),
                         MS_NS);
    for (int i = 0; i < seen.blocks; i++)
        ck_assert_int_le(llabs(seen.block[i].capture_ns - seen.block[i].pts_ns - shift_ns), MS_NS);
    ck_assert_uint_eq(seen.picture[10].flags & SHMFRAME_DISCONTINUITY, 0);
    ck_assert_int_eq(seen.picture_format.video.frame_rate.num, 25);
}
END_TEST

START_TEST(frames_that_are_held_do_not_change) {
    clip_make(&(struct clip){
        .path = name_clip("avi"),
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
    struct shmframe_reader *reader = open_reader("media", SHMFRAME_LOSSLESS, 6);
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
    expect_exit(pid, 0);
    ck_assert_int_eq(read_figure("media", "copied"), 0);
}
END_TEST

START_TEST(a_reader_that_lets_nothing_go_costs_the_others_nothing) {
    clip_make(&(struct clip){
        .path = name_clip("mkv"),
        .picture = "mpeg4",
        .pixel_format = AV_PIX_FMT_YUV420P,
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 200,
        .b_frames = 2,
    });
    const pid_t pid = MEDIA(clip_path, "--unpaced", "--wait-readers", "2", "--format", "json");
    struct shmframe_reader *holder = open_reader("media", SHMFRAME_LATEST, 6);
    struct shmframe_reader *reader = open_reader("media", SHMFRAME_LOSSLESS, 1);
    AVFrame *held[6];
    uint64_t sum[6];
    for (int i = 0; i < 6; i++) {
        /* The writer goes on only as the other reads. */
        watch(reader, NULL, 1);
        struct shmframe_lease lease;
        ck_assert_int_eq(
            shmframe_reader_acquire(holder, shmframe_deadline_ns(10 * SECOND_NS), &lease), 0);
        ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &held[i]), 0);
        sum[i] = clip_sum_picture(held[i]);
    }
    watch(reader, NULL, 0);
    ck_assert_uint_eq(seen.lost, 0);
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_eq(clip_sum_picture(held[i]), sum[i]);
        av_frame_free(&held[i]);
    }
    shmframe_reader_close(holder);
    shmframe_reader_close(reader);
    expect_exit(pid, 0);
    ck_assert_int_eq(read_figure("media", "in_place"), 200);
    ck_assert_int_eq(read_figure("media", "refused_loans"), 0);
}
END_TEST

START_TEST(a_picture_that_is_shown_again_is_copied_and_told) {
    static struct clip_truth truth;
    clip_make(&(struct clip){
        .path = name_clip("mov"),
        .picture = "qtrle",
        .pixel_format = AV_PIX_FMT_RGB24,
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 20,
        .is_still = true,
    });
    clip_decode(clip_path, &truth);
    watch_all(MEDIA(UNPACED), true, false, 0);
    expect_truth(&truth);
    ck_assert_int_eq(read_figure("media", "in_place"), 2); /* one for each key picture */
    ck_assert_int_eq(read_figure("media", "copied"), 18);
    ck_assert_ptr_nonnull(strstr(read_said(), "18: the decoder showed a picture again"));
}
END_TEST

START_TEST(what_the_file_tells_of_its_pictures_is_in_the_format) {
    if (!clip_can_encode("libx264"))
        return;
    clip_make(&(struct clip){
        .path = name_clip("mp4"),
        .picture = "libx264",
        .pixel_format = AV_PIX_FMT_YUV420P,
        .width = 128,
        .height = 96,
        .rate = {30000, 1001},
        .pictures = 10,
        .rotation_degrees = 90,
        .is_interlaced = true,
    });
    watch_all(MEDIA(UNPACED), true, false, 0);
    const struct shmframe_video_format *video = &seen.picture_format.video;
    ck_assert_int_eq(video->rotation_degrees, 90);
    ck_assert_uint_eq(video->field_order, SHMFRAME_TOP_FIRST);
    ck_assert_int_eq(video->frame_rate.num, 30000);
    ck_assert_int_eq(video->frame_rate.den, 1001);
    ck_assert(seen.picture[5].flags & SHMFRAME_INTERLACED);
    ck_assert_int_eq(read_figure("media", "copied"), 0);
}
END_TEST

/* --- Ways through a file ---------------------------------------------------------------------- */

START_TEST(a_loop_begins_again_without_a_gap) {
    make_both(1);
    const pid_t pid =
        MEDIA(clip_path, "--loop", "--frames", "60", "--wait-readers", "1", "--format", "json");
    watch_all(pid, true, true, 0);
    ck_assert_int_eq(seen.pictures, 60);
    for (int i = 1; i < 60; i++) {
        const int64_t step_ns = seen.picture[i].capture_ns - seen.picture[i - 1].capture_ns;
        const bool is_jump = i % 25 == 0;
        ck_assert_msg(llabs(step_ns - 40 * MS_NS) < (is_jump ? 15 : 1) * MS_NS, "%d: %jd", i,
                      (intmax_t)step_ns);
        ck_assert_int_eq(!!(seen.picture[i].flags & SHMFRAME_DISCONTINUITY), is_jump);
        ck_assert_uint_eq(seen.picture[i].sum, seen.picture[i % 25].sum);
    }
    ck_assert_int_eq(read_figure("media", "copied"), 0);
}
END_TEST

START_TEST(play_begins_at_the_position_asked_for) {
    static struct clip_truth truth;
    make_both(3);
    clip_decode(clip_path, &truth);
    watch_all(MEDIA(UNPACED, "--start", "1.5"), true, true, 0);
    ck_assert_int_ge(seen.picture[0].pts_ns + 40 * MS_NS, 1500 * MS_NS);
    ck_assert_int_le(seen.picture[0].pts_ns, 1500 * MS_NS);
    ck_assert_uint_eq(seen.picture[0].sum, truth.picture[truth.pictures - seen.pictures].sum);
    ck_assert_int_le(llabs(seen.block[0].pts_ns - 1500 * MS_NS), 40 * MS_NS);
}
END_TEST

START_TEST(so_many_frames_end_it) {
    make_both(3);
    watch_all(MEDIA(UNPACED, "--frames", "7"), true, true, 0);
    ck_assert_int_eq(seen.pictures, 7);
}
END_TEST

START_TEST(so_much_time_ends_it) {
    make_both(3);
    watch_all(MEDIA(UNPACED, "--duration", "1"), true, true, 0);
    ck_assert_int_eq(seen.pictures, 25);
    ck_assert_int_le(llabs((int64_t)seen.sound.samples - 48000), 1500);
}
END_TEST

static void ask(const char *verb, const char *argument, int status) {
    struct shmframe_answer answer;
    const int result = shmframe_session_request(session, "media", verb, argument,
                                                shmframe_deadline_ns(10 * SECOND_NS), &answer);
    ck_assert_msg(result == 0, "%s", shmframe_last_error());
    ck_assert_msg(answer.status == status, "%s: %s", verb, answer.text);
}

START_TEST(a_seek_jumps_and_says_so) {
    make_both(8);
    const pid_t pid = MEDIA(clip_path, "--wait-readers", "1", "--format", "json");
    struct shmframe_reader *reader = open_reader("media", SHMFRAME_LOSSLESS, 1);
    watch(reader, NULL, 5);
    ask("seek", "somewhere", -EINVAL);
    ask("seek", "1h", -EINVAL);
    ask("seek", "5", 0);
    watch(reader, NULL, 15);
    int jumps = 0;
    for (int i = 0; i < seen.pictures; i++)
        if (seen.picture[i].flags & SHMFRAME_DISCONTINUITY) {
            ck_assert_int_le(llabs(seen.picture[i].pts_ns - 5 * SECOND_NS), 40 * MS_NS);
            jumps++;
        }
    ck_assert_int_eq(jumps, 1);
    ask("seek", "-4", 0);
    watch(reader, NULL, 15);
    ck_assert_int_lt(seen.picture[seen.pictures - 1].pts_ns, 3 * SECOND_NS);
    ask("quit", NULL, 0);
    watch(reader, NULL, 0);
    shmframe_reader_close(reader);
    expect_exit(pid, 0);
    ck_assert_int_eq(read_figure("media", "copied"), 0);
}
END_TEST

START_TEST(a_pause_holds_pictures_and_sound_and_the_clock) {
    make_both(2);
    const pid_t pid = MEDIA(clip_path, "--wait-readers", "1", "--format", "json");
    struct shmframe_reader *reader = open_reader("media", SHMFRAME_LOSSLESS, 1);
    watch(reader, NULL, 5);
    ask("pause", NULL, 0);
    drain(reader);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, shmframe_deadline_ns(300 * MS_NS), &lease),
                     -ETIMEDOUT);
    ask("resume", NULL, 0);
    watch(reader, NULL, 0);
    ck_assert(seen.picture[0].flags & SHMFRAME_DISCONTINUITY);
    for (int i = 1; i < seen.pictures; i++)
        ck_assert_int_lt(
            llabs(seen.picture[i].capture_ns - seen.picture[i - 1].capture_ns - 40 * MS_NS), MS_NS);
    shmframe_reader_close(reader);
    expect_exit(pid, 0);
    /* All of them, had the clock gone on; one or two are a busy machine's. */
    ck_assert_int_lt(read_figure("media", "overdue"), seen.pictures / 2);
}
END_TEST

/* Puts one raw file behind another. */
static void append_file(const char *path, const char *to) {
    char command[256];
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
    char whole[64];
    if (!clip_can_encode(changing[_i].encoder))
        return;
    snprintf(whole, sizeof(whole), "%s/whole.%s", folder, changing[_i].ending);
    static const int sizes[][2] = {{64, 48}, {162, 122}, {64, 48}};
    for (int i = 0; i < 3; i++) {
        clip_make(&(struct clip){
            .path = name_clip(changing[_i].ending),
            .muxer = strcmp(changing[_i].ending, "ts") ? NULL : "mpegts",
            .picture = changing[_i].encoder,
            .pixel_format = changing[_i].pixel_format,
            .width = sizes[i][0],
            .height = sizes[i][1],
            .rate = {25, 1},
            .pictures = 20,
            .b_frames = changing[_i].b_frames,
        });
        append_file(clip_path, whole);
    }
    snprintf(clip_path, sizeof(clip_path), "%s", whole);
    clip_decode(clip_path, &truth);
    ck_assert_int_ge(truth.pictures, 57);
    /* Pictures that refer across the seam cannot be decoded, which counts as damage. */
    watch_all(MEDIA(UNPACED), true, false, truth.pictures < 60);
    ck_assert_int_eq(seen.pictures, truth.pictures);
    for (int i = 0; i < seen.pictures; i++) {
        ck_assert_uint_eq(seen.picture[i].sum, truth.picture[i].sum);
        ck_assert_int_eq(seen.picture[i].width, truth.picture[i].width);
        ck_assert_int_eq(seen.picture[i].height, truth.picture[i].height);
    }
    ck_assert_int_eq(read_figure("media", "generation"), 3);
    /* Only what was decoded before the change was known, and what fits neither. */
    ck_assert_int_ge(read_figure("media", "in_place"), 20);
}
END_TEST

START_TEST(tracks_are_listed_without_a_supervisor) {
    make_both(1);
    expect_exit(MEDIA(clip_path, "--list"), 0);
    ck_assert_ptr_nonnull(strstr(read_said(), "pictures, mpeg4, 160x120 yuv420p 25 fps"));
    ck_assert_ptr_nonnull(strstr(read_said(), "sound, pcm_s16le, 48000 Hz 2 channels s16"));
}
END_TEST

/* --- Bad input -------------------------------------------------------------------------------- */

/* Nothing overrides what the file's mode says; needed for root only, which alone may. */
static void obey_modes(void) {
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
}

START_TEST(a_file_that_may_not_be_read_is_told_in_one_line) {
    make_both(1);
    ck_assert_int_eq(chmod(clip_path, 0), 0);
    obey_modes();
    expect_exit(MEDIA(clip_path), 1);
    expect_complaint("Permission denied; let this user read it");
}
END_TEST

START_TEST(what_cannot_be_played_is_told_in_one_line) {
    expect_exit(MEDIA("/nowhere/at/all.mp4"), 1);
    expect_complaint("cannot open /nowhere/at/all.mp4: No such file or directory; check the path");
    expect_exit(MEDIA("nowhere:film.mp4"), 1);
    expect_complaint("Protocol not found; see `ffmpeg -protocols`");
    FILE *file = fopen(name_clip("mp4"), "w");
    for (int i = 0; i < 2000; i++)
        fputs("this is no film\n", file);
    fclose(file);
    expect_exit(MEDIA(clip_path), 1);
    expect_complaint(clip_path);
    expect_complaint("is it a media file? ffprobe tells more");
    file = fopen(name_clip("empty"), "w");
    fclose(file);
    expect_exit(MEDIA(clip_path), 1);
    expect_complaint("cannot open");
    expect_exit(MEDIA(folder), 1);
    expect_complaint("Is a directory; name a file in it");
    expect_exit(MEDIA("--unpaced"), 2);
    expect_complaint("FILE");
    file = fopen(name_clip("srt"), "w");
    fputs("1\n00:00:01,000 --> 00:00:02,000\nHello\n", file);
    fclose(file);
    expect_exit(MEDIA(clip_path), 1);
    expect_complaint("neither pictures nor sound");
    make_both(1);
    expect_exit(MEDIA(clip_path, "--stream", "Bad Name"), 2);
    expect_complaint("--stream");
    setenv("SHMFRAME_SOCKET", "/nowhere/socket", 1);
    expect_exit(MEDIA(clip_path), 1);
    setenv("SHMFRAME_SOCKET", socket_path, 1);
    expect_complaint("/nowhere/socket");
}
END_TEST

/* Gives the codec in the clip a name that none has. */
static void rename_codec(const char *tag) {
    static char bytes[1 << 20];
    FILE *file = fopen(clip_path, "r+");
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
        .path = name_clip("avi"),
        .picture = "mjpeg",
        .pixel_format = AV_PIX_FMT_YUVJ420P,
        .width = 64,
        .height = 64,
        .rate = {25, 1},
        .pictures = 10,
    };
    clip_make(&clip);
    rename_codec("MJPG");
    expect_exit(MEDIA(clip_path), 1);
    expect_complaint("no decoder for its picture, QQz9");

    clip.sound = "pcm_s16le";
    clip.sample_format = AV_SAMPLE_FMT_S16;
    clip.sample_rate = 48000;
    clip.channels = 2;
    clip.samples = 19200;
    clip_make(&clip);
    rename_codec("MJPG");
    watch_all(MEDIA(UNPACED), false, true, 0);
    ck_assert_uint_eq(seen.sound.samples, 19200);
    ck_assert_ptr_nonnull(strstr(read_said(), "played in part"));
    ck_assert_ptr_nonnull(strstr(read_said(), "QQz9"));
}
END_TEST

static void truncate_clip(double part) {
    struct stat stat_of;
    ck_assert_int_eq(stat(clip_path, &stat_of), 0);
    ck_assert_int_eq(truncate(clip_path, (off_t)((double)stat_of.st_size * part)), 0);
}

START_TEST(a_truncated_file_is_played_as_far_as_it_goes) {
    static const char *const endings[] = {"mkv", "avi", "nut"};
    static struct clip_truth truth;
    clip_make(&(struct clip){
        .path = name_clip(endings[_i]),
        .picture = "mpeg4",
        .pixel_format = AV_PIX_FMT_YUV420P,
        .width = 320,
        .height = 240,
        .rate = {25, 1},
        .pictures = 100,
    });
    truncate_clip(0.6);
    clip_decode(clip_path, &truth);
    watch_all(MEDIA(UNPACED), true, false, 1);
    ck_assert_int_ge(seen.pictures, 40);
    ck_assert_int_lt(seen.pictures, 90);
    ck_assert_int_eq(seen.pictures, truth.pictures);
    /* nut gives the last packet as if it were whole: the decoder only finds out. */
    ck_assert_msg(strstr(read_said(), _i == 2 ? "damaged" : "truncated"), "%s", read_said());
}
END_TEST

START_TEST(damage_is_reported_and_the_rest_arrives) {
    clip_make(&(struct clip){
        .path = name_clip("mkv"),
        .picture = "png",
        .pixel_format = AV_PIX_FMT_RGB24,
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 50,
    });
    FILE *file = fopen(clip_path, "r+");
    fseek(file, 0, SEEK_END);
    const long bytes = ftell(file);
    fseek(file, bytes / 2, SEEK_SET);
    for (int i = 0; i < 300; i++)
        fputc(i * 37, file);
    fclose(file);
    watch_all(MEDIA(UNPACED), true, false, 1);
    ck_assert_int_ge(seen.pictures, 45);
    ck_assert_int_lt(seen.pictures, 50);
    ck_assert_ptr_nonnull(strstr(read_said(), "damaged"));
}
END_TEST

START_TEST(a_signal_ends_it_cleanly) {
    make_both(5);
    const pid_t pid = MEDIA(clip_path, "--wait-readers", "1", "--format", "json");
    struct shmframe_reader *reader = open_reader("media", SHMFRAME_IN_ORDER, 1);
    watch(reader, NULL, 3);
    kill(pid, SIGINT);
    watch(reader, NULL, 0);
    shmframe_reader_close(reader);
    expect_exit(pid, 0);
}
END_TEST

START_TEST(a_lossless_reader_that_does_not_read_holds_no_signal_up) {
    make_both(5);
    const pid_t pid = MEDIA(UNPACED);
    struct shmframe_reader *reader = open_reader("media", SHMFRAME_LOSSLESS, 1);
    ck_assert_int_eq(shmframe_reader_wait(reader, shmframe_deadline_ns(10 * SECOND_NS)), 0);
    kill(pid, SIGTERM);
    expect_exit(pid, 0);
    shmframe_reader_close(reader);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("media");
    TCase *tests = tcase_create("media");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, every_picture_is_as_ffmpeg_decodes_it, 0, PICTURES);
    tcase_add_loop_test(tests, every_sample_is_as_ffmpeg_decodes_it, 0, SOUNDS);
    tcase_add_test(tests, pictures_and_sound_run_on_one_clock);
    tcase_add_test(tests, frames_that_are_held_do_not_change);
    tcase_add_test(tests, a_reader_that_lets_nothing_go_costs_the_others_nothing);
    tcase_add_test(tests, a_picture_that_is_shown_again_is_copied_and_told);
    tcase_add_test(tests, what_the_file_tells_of_its_pictures_is_in_the_format);
    tcase_add_test(tests, a_loop_begins_again_without_a_gap);
    tcase_add_test(tests, play_begins_at_the_position_asked_for);
    tcase_add_test(tests, so_many_frames_end_it);
    tcase_add_test(tests, so_much_time_ends_it);
    tcase_add_test(tests, a_seek_jumps_and_says_so);
    tcase_add_test(tests, a_pause_holds_pictures_and_sound_and_the_clock);
    tcase_add_loop_test(tests, a_change_of_size_in_the_middle_is_followed, 0, CHANGING);
    tcase_add_test(tests, tracks_are_listed_without_a_supervisor);
    tcase_add_test(tests, what_cannot_be_played_is_told_in_one_line);
    tcase_add_test(tests, a_file_that_may_not_be_read_is_told_in_one_line);
    tcase_add_test(tests, an_unknown_codec_is_named_and_the_rest_is_played);
    tcase_add_loop_test(tests, a_truncated_file_is_played_as_far_as_it_goes, 0, 3);
    tcase_add_test(tests, damage_is_reported_and_the_rest_arrives);
    tcase_add_test(tests, a_signal_ends_it_cleanly);
    tcase_add_test(tests, a_lossless_reader_that_does_not_read_holds_no_signal_up);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
