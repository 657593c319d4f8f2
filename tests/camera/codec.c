/* What a camera that compresses sends, decoded into a real stream: packets that FFmpeg's encoders
 * made go where those of the driver's queue go. What comes out is what plain libavcodec decodes. */
#include "camera_codec.h"
#include "clip.h"

#include <check.h>
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <shmframe/shmframe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static char folder[] = "/tmp/shmframe-test-XXXXXX";
static char socket_path[64], clip_path[64];
static pid_t supervisor;
static struct shmframe_session *session;
static struct shmframe_writer *writer;
static struct shmframe_reader *reader;
static struct camera_codec codec;
static char why[CAMERA_WHY_BYTES];

static void set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    snprintf(clip_path, sizeof(clip_path), "%s/clip", folder);
    supervisor = fork();
    if (supervisor == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(getenv("SHMFRAMED"), "shmframed", "--quiet", "--socket", socket_path, NULL);
        _exit(127);
    }
    setenv("SHMFRAME_SOCKET", socket_path, 1);
    const struct shmframe_session_params params = {.deadline_ns =
                                                       shmframe_deadline_ns(10 * SECOND_NS)};
    ck_assert_msg(shmframe_session_open(&params, &session) == 0, "%s", shmframe_last_error());
}

static void tear_down(void) {
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    kill(supervisor, SIGTERM);
    waitpid(supervisor, NULL, 0);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* The packets of a clip, one by one, as a camera sends them. */
struct packets {
    AVFormatContext *input;
    AVPacket *packet;
};

static void open_packets(struct packets *packets) {
    packets->input = NULL;
    packets->packet = av_packet_alloc();
    ck_assert_int_eq(avformat_open_input(&packets->input, clip_path, NULL, NULL), 0);
    ck_assert_int_ge(avformat_find_stream_info(packets->input, NULL), 0);
}

static bool next_packet(struct packets *packets) {
    av_packet_unref(packets->packet);
    return av_read_frame(packets->input, packets->packet) >= 0;
}

static void close_packets(struct packets *packets) {
    av_packet_free(&packets->packet);
    avformat_close_input(&packets->input);
}

static void probe(uint32_t fourcc) {
    const struct camera_picture picture = {.fourcc = fourcc,
                                           .width = 320,
                                           .height = 184,
                                           .pieces = 1,
                                           .frame_rate = {30, 1},
                                           .colorspace = V4L2_COLORSPACE_REC709};
    ck_assert_msg(camera_codec_open(&codec, &picture, why) == 0, "%s", why);
    struct packets packets;
    open_packets(&packets);
    int result = -EAGAIN;
    while (result == -EAGAIN && next_packet(&packets))
        result = camera_codec_probe(&codec, packets.packet->data, (uint32_t)packets.packet->size);
    ck_assert_int_eq(result, 0);
    close_packets(&packets);
}

static void open_stream(void) {
    const struct shmframe_writer_params params = {
        .stream = "camera",
        .format = codec.format,
        .flags = SHMFRAME_WRITER_LIVE | SHMFRAME_WRITER_THREADED,
        .loans = codec.loans,
    };
    ck_assert_msg(shmframe_writer_open(session, &params, &writer) == 0, "%s",
                  shmframe_last_error());
    const struct shmframe_reader_params reader_params = {
        .stream = "camera",
        .policy = SHMFRAME_IN_ORDER,
        .depth = 8,
        .deadline_ns = shmframe_deadline_ns(10 * SECOND_NS),
    };
    ck_assert_msg(shmframe_reader_open(session, &reader_params, &reader) == 0, "%s",
                  shmframe_last_error());
    ck_assert_msg(camera_codec_start(&codec, writer, why) == 0, "%s", why);
}

static uint64_t sum_lease(const struct shmframe_lease *lease) {
    AVFrame *frame = av_frame_alloc();
    const struct shmframe_format *format = lease->format;
    frame->format = av_get_pix_fmt(format->video.pixel_format);
    frame->width = (int)format->video.width;
    frame->height = (int)format->video.height;
    for (uint32_t i = 0; i < format->plane_count; i++) {
        frame->data[i] = (uint8_t *)(uintptr_t)shmframe_lease_plane(lease, i);
        frame->linesize[i] = (int)format->plane[i].line_bytes;
    }
    const uint64_t sum = clip_sum_picture(frame);
    av_frame_free(&frame);
    return sum;
}

/* Publishes what the codec has; checks each picture as a reader gets it. */
static int publish_all(const struct clip_truth *truth, int shown, bool *is_copied) {
    int result;
    while ((result = camera_codec_next(&codec)) != -EAGAIN) {
        struct shmframe_loan loan;
        struct shmframe_lease lease;
        if (result == -ESTALE)
            ck_assert_int_eq(shmframe_writer_set_format(writer, &codec.format,
                                                        shmframe_deadline_ns(10 * SECOND_NS)),
                             0);
        ck_assert_msg(camera_codec_loan(&codec, &loan, is_copied) == 0, "%s",
                      shmframe_last_error());
        const int64_t capture_ns = loan.frame.capture_ns;
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        ck_assert_int_eq(
            shmframe_reader_acquire(reader, shmframe_deadline_ns(10 * SECOND_NS), &lease), 0);
        ck_assert_uint_eq(sum_lease(&lease), truth->picture[shown].sum);
        ck_assert_int_eq(lease.frame.capture_ns, capture_ns);
        ck_assert_int_eq(capture_ns, 1000 + shown);
        ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
        shown++;
    }
    return shown;
}

/* Sends all packets; each picture must come out before the next packet is sent. */
static int stream_clip(const struct clip_truth *truth, bool is_in_place) {
    struct packets packets;
    int sent = 0, shown = 0;
    open_packets(&packets);
    while (next_packet(&packets)) {
        bool is_copied = false;
        ck_assert_int_eq(camera_codec_send(&codec, packets.packet->data,
                                           (uint32_t)packets.packet->size, 1000 + sent),
                         0);
        sent++;
        shown = publish_all(truth, shown, &is_copied);
        ck_assert_int_eq(shown, sent);
        ck_assert_int_eq(is_copied, !is_in_place);
    }
    close_packets(&packets);
    return shown;
}

static struct clip_truth truth;

static void explain_copies(void) {
    struct shmframe_decoder_counters copies = {0};
    camera_codec_count_copies(&codec, &copies);
    camera_codec_explain_copies(&copies, why);
}

START_TEST(motion_jpeg_is_decoded_into_the_slot_at_once) {
    clip_make(&(struct clip){.path = clip_path,
                             .muxer = "matroska",
                             .picture = "mjpeg",
                             .pixel_format = AV_PIX_FMT_YUVJ422P,
                             .width = 320,
                             .height = 184,
                             .rate = {30, 1},
                             .pictures = 30});
    clip_decode(clip_path, &truth);
    probe(V4L2_PIX_FMT_MJPEG);
    ck_assert_str_eq(codec.format.video.pixel_format, "yuvj422p");
    ck_assert_uint_eq(codec.format.video.width, 320);
    ck_assert_int_eq(codec.format.video.frame_rate.num, 30);
    ck_assert_str_eq(codec.format.video.color_range, "pc");
    ck_assert_str_eq(codec.format.video.color_primaries, "bt709"); /* the driver's word */
    open_stream();
    ck_assert_int_eq(stream_clip(&truth, true), 30);
    explain_copies();
    ck_assert_str_eq(why, "");
    camera_codec_close(&codec);
}
END_TEST

START_TEST(h264_is_decoded_into_the_slot_without_delay) {
    if (!clip_can_encode("libx264"))
        return;
    clip_make(&(struct clip){.path = clip_path,
                             .muxer = "h264",
                             .picture = "libx264",
                             .pixel_format = AV_PIX_FMT_YUV420P,
                             .width = 320,
                             .height = 180, /* not whole macroblocks */
                             .rate = {30, 1},
                             .pictures = 40,
                             .gop = 12});
    clip_decode(clip_path, &truth);
    probe(V4L2_PIX_FMT_H264);
    ck_assert_uint_eq(codec.format.video.height, 180);
    open_stream();
    ck_assert_int_eq(stream_clip(&truth, true), 40);
    camera_codec_close(&codec);
}
END_TEST

START_TEST(a_packet_that_is_no_picture_harms_no_other) {
    static const uint8_t rubbish[] = {0xff, 0xd8, 1, 2, 3, 4, 5, 6, 7, 8};
    bool is_copied;
    clip_make(&(struct clip){.path = clip_path,
                             .muxer = "matroska",
                             .picture = "mjpeg",
                             .pixel_format = AV_PIX_FMT_YUVJ420P,
                             .width = 320,
                             .height = 184,
                             .rate = {30, 1},
                             .pictures = 3});
    clip_decode(clip_path, &truth);
    probe(V4L2_PIX_FMT_MJPEG);
    open_stream();
    struct packets packets;
    open_packets(&packets);
    for (int i = 0; next_packet(&packets); i++) {
        ck_assert_int_eq(camera_codec_send(&codec, rubbish, sizeof(rubbish), 5), -EBADMSG);
        ck_assert_int_eq(camera_codec_next(&codec), -EAGAIN);
        ck_assert_int_eq(camera_codec_send(&codec, packets.packet->data,
                                           (uint32_t)packets.packet->size, 1000 + i),
                         0);
        ck_assert_int_eq(publish_all(&truth, i, &is_copied), i + 1);
    }
    close_packets(&packets);
    camera_codec_close(&codec);
}
END_TEST

START_TEST(a_camera_that_changes_its_size_changes_the_format) {
    const struct clip clip = {.path = clip_path,
                              .muxer = "matroska",
                              .picture = "mjpeg",
                              .pixel_format = AV_PIX_FMT_YUVJ420P,
                              .width = 320,
                              .height = 184,
                              .rate = {30, 1},
                              .pictures = 2};
    clip_make(&clip);
    clip_decode(clip_path, &truth);
    probe(V4L2_PIX_FMT_MJPEG);
    open_stream();
    ck_assert_int_eq(stream_clip(&truth, true), 2);

    struct clip larger = clip;
    struct packets packets;
    larger.width = 400;
    larger.height = 300;
    clip_make(&larger);
    clip_decode(clip_path, &truth);
    open_packets(&packets);
    ck_assert(next_packet(&packets));
    ck_assert_int_eq(
        camera_codec_send(&codec, packets.packet->data, (uint32_t)packets.packet->size, 1000), 0);
    bool is_copied;
    ck_assert_int_eq(publish_all(&truth, 0, &is_copied), 1);
    ck_assert_uint_eq(shmframe_writer_format(writer)->video.width, 400);
    close_packets(&packets);
    camera_codec_close(&codec);
}
END_TEST

START_TEST(raw_formats_have_no_codec) {
    const struct camera_picture picture = {.fourcc = V4L2_PIX_FMT_YUYV};
    ck_assert_int_eq(camera_codec_open(&codec, &picture, why), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(why, "YUYV"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("camera-codec");
    TCase *run = tcase_create("run");
    tcase_add_checked_fixture(run, set_up, tear_down);
    tcase_set_timeout(run, 60);
    tcase_add_test(run, motion_jpeg_is_decoded_into_the_slot_at_once);
    tcase_add_test(run, h264_is_decoded_into_the_slot_without_delay);
    tcase_add_test(run, a_packet_that_is_no_picture_harms_no_other);
    tcase_add_test(run, a_camera_that_changes_its_size_changes_the_format);
    tcase_add_test(run, raw_formats_have_no_codec);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
