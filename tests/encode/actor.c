/* actor: plays a scene into the streams "act" (25 pictures a second) and "act.sound" (10 ms a
 * block, mono, every sample 1000), as fast as its readers take it, with capture times of the
 * scene's own: they begin at BASE_MS of the environment.
 *
 *   actor SCENE START_MS [act|act.sound]    only that stream
 *   plain     two seconds
 *   losses    ten blocks and five pictures do not come, as if the device had lost them
 *   drift     a minute, in which the sound card's clock is 300 millionths too slow
 *   resize    the picture changes its size after one second
 *   dies      after one second, without a word
 *   rotated   a picture that lies on its side, in HDR
 *   leaps     after one second the producer's times begin anew
 *   ahead     one block and one picture say that they come from tomorrow
 *   first     the first ones do, and the second ones from the beginning of time
 *   wild      all times are drawn by lot
 *   clock     captures are of a clock that began with the scene
 *   gap       the sound's times miss a minute after one second
 *   flaps     each picture has another size than the one before
 */
#include <shmframe/shmframe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 480, RATE_HZ = 48000, PICTURE_MS = 40, BLOCK_MS = 10 };
static const int64_t ms_ns = 1000000;
static const int64_t day_ms = 24 * 3600 * 1000;

static struct shmframe_session *session;
static struct shmframe_writer *picture, *sound;
static const char *scene;
static int64_t base_ns, start_ms;
static uint32_t lost_pictures, lost_blocks;

static bool is_scene(const char *name) {
    return strcmp(scene, name) == 0;
}

static void check(int result, const char *what) {
    if (result >= 0)
        return;
    fprintf(stderr, "actor: %s: %s\n", what, shmframe_last_error());
    exit(1);
}

static struct shmframe_format make_picture_format(uint32_t width, uint32_t height) {
    struct shmframe_format format;
    check(shmframe_format_video(&format, "yuv420p", width, height), "format");
    format.time_base = (struct shmframe_rational){1, 1000};
    format.video.frame_rate = (struct shmframe_rational){25, 1};
    strcpy(format.video.color_range, "tv");
    if (is_scene("rotated")) {
        format.video.rotation_degrees = 90;
        strcpy(format.video.color_primaries, "bt2020");
        strcpy(format.video.color_transfer, "smpte2084");
        strcpy(format.video.color_space, "bt2020nc");
        format.video.sample_aspect = (struct shmframe_rational){4, 3};
        format.video.hdr.luminance_min = (struct shmframe_rational){1, 10000};
        format.video.hdr.luminance_max = (struct shmframe_rational){1000, 1};
        format.video.hdr.content_light_max = 900;
        format.video.hdr.frame_average_max = 400;
    }
    return format;
}

static void await_reader(struct shmframe_writer *writer) {
    while (writer && shmframe_writer_readers(writer) == 0) {
        shmframe_session_dispatch(session);
        usleep(1000);
    }
}

static void open_streams(const char *only) {
    struct shmframe_writer_params params = {
        .stream = "act",
        .group = "act",
        .format = make_picture_format(160, 120),
    };
    if (!only || strcmp(only, "act") == 0)
        check(shmframe_writer_open(session, &params, &picture), "picture");
    params.stream = "act.sound";
    check(shmframe_format_audio(&params.format, "s16", 1, RATE_HZ, BLOCK), "format");
    params.format.time_base = (struct shmframe_rational){1, 1000};
    if (!only || strcmp(only, "act.sound") == 0)
        check(shmframe_writer_open(session, &params, &sound), "sound");
    await_reader(picture);
    await_reader(sound);
}

/* What is wrong with the times of the frame at `ms`. */
static void falsify(struct shmframe_frame *frame, int64_t ms, bool is_sound) {
    if ((is_scene("ahead") && ms == 1000) || (is_scene("first") && ms == 0)) {
        frame->capture_ns += day_ms * ms_ns;
        frame->pts += day_ms;
    } else if (is_scene("first") && ms < 80) {
        frame->capture_ns = INT64_MIN + ms;
        frame->pts = INT64_MIN + 1 + ms;
    } else if (is_scene("wild")) {
        frame->capture_ns = (int64_t)((uint64_t)random() << 33 ^ (uint64_t)random() << 11);
        frame->capture_ns *= random() % 2 ? 1 : -1;
        frame->pts = frame->capture_ns;
    } else if (is_scene("clock")) {
        frame->capture_ns = ms * ms_ns;
    } else if (is_scene("gap") && is_sound && ms >= 1000) {
        frame->pts += 60000;
    }
}

static void publish(struct shmframe_writer *writer, int64_t at_ns, int value, uint32_t lost) {
    struct shmframe_loan loan;
    const int64_t leap_ms = is_scene("leaps") && at_ns >= 1000 * ms_ns ? 1000 : 0;
    check(shmframe_writer_loan(writer, shmframe_deadline_ns(20000 * ms_ns), &loan), "loan");
    if (writer == sound) {
        for (int i = 0; i < BLOCK; i++)
            ((int16_t *)(void *)loan.data)[i] = (int16_t)value;
    } else {
        memset(loan.data, value, loan.format->slot_bytes);
    }
    loan.frame.capture_ns = base_ns + start_ms * ms_ns + at_ns;
    loan.frame.pts = at_ns / ms_ns - leap_ms;
    loan.frame.device_dropped = lost;
    loan.frame.flags |= lost || (leap_ms && at_ns == 1000 * ms_ns) ? SHMFRAME_DISCONTINUITY : 0;
    falsify(&loan.frame, at_ns / ms_ns, writer == sound);
    check(shmframe_writer_publish(writer, &loan), "publish");
}

static void play_picture(int64_t ms) {
    const int number = (int)(ms / PICTURE_MS);
    if (is_scene("losses") && number >= 10 && number < 15) {
        lost_pictures++;
        return;
    }
    if (is_scene("resize") && ms == 1000) {
        const struct shmframe_format format = make_picture_format(200, 100);
        check(shmframe_writer_set_format(picture, &format, shmframe_deadline_ns(20000 * ms_ns)),
              "resize");
    }
    if (is_scene("flaps")) {
        const struct shmframe_format format =
            make_picture_format(160 + 16 * (uint32_t)(number % 2), 120);
        check(shmframe_writer_set_format(picture, &format, shmframe_deadline_ns(20000 * ms_ns)),
              "another size");
    }
    publish(picture, ms * ms_ns, 16 + number % 200, lost_pictures);
    lost_pictures = 0;
}

static void play_block(int64_t ms) {
    if (is_scene("losses") && ms >= 500 && ms < 600) {
        lost_blocks++;
        return;
    }
    const int64_t late_ns = is_scene("drift") ? ms * 300 : 0;
    publish(sound, ms * ms_ns + late_ns, 1000, lost_blocks);
    lost_blocks = 0;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    scene = argv[1];
    start_ms = atoi(argv[2]);
    base_ns = strtoll(getenv("BASE_MS"), NULL, 10) * ms_ns;
    check(shmframe_session_open(NULL, &session), "session");
    open_streams(argv[3]);
    const int64_t end_ms = is_scene("drift") ? 60000 : 2000;
    for (int64_t ms = 0; ms < end_ms; ms += BLOCK_MS) {
        if (is_scene("dies") && ms == 1000)
            _exit(0);
        if (picture && ms % PICTURE_MS == 0)
            play_picture(ms);
        if (sound)
            play_block(ms);
    }
    shmframe_writer_close(picture);
    shmframe_writer_close(sound);
    shmframe_session_close(session);
    return 0;
}
