/* The AVFrame bridge: leases as frames, frames as loans, slots for decoders. */
#include "clip.h"

#include <check.h>
#include <errno.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixdesc.h>
#include <shmframe/avframe.h>
#include <shmframe/shmframe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static char folder[] = "/tmp/shmframe-test-XXXXXX";
static char socket_path[64], clip_path[64];
static pid_t supervisor;
static struct shmframe_session *session;

static void set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    snprintf(clip_path, sizeof(clip_path), "%s/clip.mkv", folder);
    supervisor = fork();
    if (supervisor == 0) {
        execl(getenv("SHMFRAMED"), "shmframed", "--socket", socket_path, NULL);
        _exit(127);
    }
    const struct shmframe_session_params params = {
        .socket = socket_path,
        .deadline_ns = shmframe_deadline_ns(10 * SECOND_NS),
    };
    ck_assert_msg(shmframe_session_open(&params, &session) == 0, "%s", shmframe_last_error());
}

static void tear_down(void) {
    shmframe_session_close(session);
    kill(supervisor, SIGTERM);
    waitpid(supervisor, NULL, 0);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static struct shmframe_writer *open_writer(const struct shmframe_format *format, uint32_t loans) {
    const struct shmframe_writer_params params = {
        .stream = "test",
        .format = *format,
        .flags = SHMFRAME_WRITER_THREADED,
        .loans = loans,
    };
    struct shmframe_writer *writer;
    ck_assert_msg(shmframe_writer_open(session, &params, &writer) == 0, "%s",
                  shmframe_last_error());
    return writer;
}

static struct shmframe_reader *open_reader(uint32_t leases) {
    const struct shmframe_reader_params params = {
        .stream = "test",
        .leases = leases,
        .deadline_ns = shmframe_deadline_ns(10 * SECOND_NS),
    };
    struct shmframe_reader *reader;
    ck_assert_msg(shmframe_reader_open(session, &params, &reader) == 0, "%s",
                  shmframe_last_error());
    return reader;
}

static struct shmframe_lease acquire(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, shmframe_deadline_ns(10 * SECOND_NS), &lease),
                     0);
    return lease;
}

static AVFrame *make_picture(enum AVPixelFormat pixel_format, int width, int height) {
    AVFrame *frame = av_frame_alloc();
    frame->format = pixel_format;
    frame->width = width;
    frame->height = height;
    ck_assert_int_eq(av_frame_get_buffer(frame, 0), 0);
    for (int plane = 0; plane < 4 && frame->data[plane]; plane++) {
        const int rows = plane == 1 && !frame->linesize[1] ? 1 : height;
        const int bytes = frame->linesize[plane] ? frame->linesize[plane] : 1024;
        const bool is_chroma = plane == 1 || plane == 2;
        const int shift = is_chroma ? av_pix_fmt_desc_get(pixel_format)->log2_chroma_h : 0;
        for (int i = 0; i < AV_CEIL_RSHIFT(rows, shift) * bytes; i++)
            frame->data[plane][i] = (uint8_t)(i * 31 + plane * 7 + i / 251);
    }
    return frame;
}

/* --- Frames to loans, leases to frames -------------------------------------------------------- */

START_TEST(a_picture_and_all_that_belongs_to_it_goes_through_a_slot) {
    AVFrame *frame = make_picture(AV_PIX_FMT_YUV420P10, 101, 57);
    frame->color_range = AVCOL_RANGE_MPEG;
    frame->color_primaries = AVCOL_PRI_BT2020;
    frame->color_trc = AVCOL_TRC_SMPTE2084;
    frame->colorspace = AVCOL_SPC_CHROMA_DERIVED_NCL;
    frame->chroma_location = AVCHROMA_LOC_TOPLEFT;
    frame->sample_aspect_ratio = (AVRational){64, 45};
    frame->pts = 90000;
    frame->time_base = (AVRational){1, 90000};
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    frame->flags |= AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST;
#else
    frame->interlaced_frame = frame->top_field_first = 1;
#endif
    AVMasteringDisplayMetadata *display = av_mastering_display_metadata_create_side_data(frame);
    for (int i = 0; i < 3; i++)
        for (int xy = 0; xy < 2; xy++)
            display->display_primaries[i][xy] = (AVRational){i + 2 * xy + 1, 50000};
    display->white_point[0] = display->white_point[1] = (AVRational){15635, 50000};
    display->min_luminance = (AVRational){1, 10000};
    display->max_luminance = (AVRational){1000, 1};
    display->has_primaries = display->has_luminance = 1;
    av_content_light_metadata_create_side_data(frame)->MaxCLL = 1234;
    AVFrameSideData *matrix =
        av_frame_new_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t));
    av_display_rotation_set((int32_t *)(void *)matrix->data, 270);

    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_avframe(frame, &format), 0);
    ck_assert_str_eq(format.video.color_space, "chroma-derived-nc");
    ck_assert_int_eq(format.video.rotation_degrees, 270);
    ck_assert_uint_eq(format.video.field_order, SHMFRAME_TOP_FIRST);
    struct shmframe_writer *writer = open_writer(&format, 1);
    struct shmframe_reader *reader = open_reader(1);
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    ck_assert_int_eq(shmframe_loan_copy_avframe(&loan, frame), 0);
    ck_assert_int_eq(loan.frame.pts, SECOND_NS); /* in the stream's unit */
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);

    struct shmframe_lease lease = acquire(reader);
    const uint8_t *slot = lease.data;
    AVFrame *seen;
    ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &seen), 0);
    ck_assert_ptr_null(lease.data);
    ck_assert_ptr_eq(seen->data[0], slot + format.plane[0].offset);
    ck_assert(!av_frame_is_writable(seen));
    ck_assert_uint_eq(clip_sum_picture(seen), clip_sum_picture(frame));
    ck_assert_int_eq(seen->width, 101);
    ck_assert_int_eq(seen->color_trc, frame->color_trc);
    ck_assert_int_eq(seen->colorspace, frame->colorspace);
    ck_assert_int_eq(seen->chroma_location, frame->chroma_location);
    ck_assert_int_eq(av_cmp_q(seen->sample_aspect_ratio, frame->sample_aspect_ratio), 0);
    ck_assert_int_eq(av_rescale_q(seen->pts, seen->time_base, (AVRational){1, 1}), 1);
    struct shmframe_format again;
    ck_assert_int_eq(shmframe_format_from_avframe(seen, &again), 0);
    again.time_base = format.time_base;
    ck_assert(shmframe_format_is_equal(&format, &again));

    /* The lease lasts as long as any reference. */
    AVFrame *other = av_frame_clone(seen);
    av_frame_free(&seen);
    struct shmframe_lease more;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &more), -EBUSY);
    ck_assert_uint_eq(clip_sum_picture(other), clip_sum_picture(frame));
    av_frame_free(&other);
    more = acquire(reader);
    ck_assert_int_eq(shmframe_reader_release(reader, &more), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    av_frame_free(&frame);
}
END_TEST

START_TEST(pictures_of_every_kind_of_geometry_are_copied_whole) {
    static const enum AVPixelFormat formats[] = {
        AV_PIX_FMT_PAL8,      AV_PIX_FMT_MONOBLACK,   AV_PIX_FMT_NV12,    AV_PIX_FMT_YUVA444P16,
        AV_PIX_FMT_GBRPF32,   AV_PIX_FMT_BAYER_RGGB8, AV_PIX_FMT_X2RGB10, AV_PIX_FMT_Y210,
        AV_PIX_FMT_UYYVYY411, AV_PIX_FMT_RGB4,        AV_PIX_FMT_YUV410P, AV_PIX_FMT_GRAY8,
    };
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        AVFrame *frame = make_picture(formats[i], 37, 23);
        struct shmframe_format format;
        ck_assert_int_eq(shmframe_format_from_avframe(frame, &format), 0);
        uint8_t *slot = aligned_alloc(64, format.slot_bytes);
        struct shmframe_loan loan = {.data = slot, .format = &format};
        ck_assert_int_eq(shmframe_loan_copy_avframe(&loan, frame), 0);
        for (uint32_t plane = 0; plane < format.plane_count; plane++)
            for (uint32_t row = 0; row < format.plane[plane].rows; row++)
                ck_assert_mem_eq(slot + format.plane[plane].offset +
                                     (uint64_t)row * format.plane[plane].line_bytes,
                                 frame->data[plane] + (ptrdiff_t)row * frame->linesize[plane],
                                 format.plane[plane].row_bytes);
        free(slot);
        av_frame_free(&frame);
    }
}
END_TEST

START_TEST(a_crop_that_a_frame_still_bears_is_applied) {
    AVFrame *frame = make_picture(AV_PIX_FMT_YUV420P, 64, 48);
    frame->crop_left = 6;
    frame->crop_top = 4;
    frame->crop_right = 2;
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_avframe(frame, &format), 0);
    ck_assert_uint_eq(format.video.width, 56);
    ck_assert_uint_eq(format.video.height, 44);
    uint8_t *slot = aligned_alloc(64, format.slot_bytes);
    struct shmframe_loan loan = {.data = slot, .format = &format};
    ck_assert_int_eq(shmframe_loan_copy_avframe(&loan, frame), 0);
    ck_assert_uint_eq(slot[0], frame->data[0][4 * frame->linesize[0] + 6]);
    ck_assert_uint_eq(slot[format.plane[1].offset], frame->data[1][2 * frame->linesize[1] + 3]);
    frame->crop_right = 100;
    ck_assert_int_eq(shmframe_format_from_avframe(frame, &format), -EINVAL);
    free(slot);
    av_frame_free(&frame);
}
END_TEST

START_TEST(sound_of_many_channels_goes_through_a_slot) {
    static const int channels[] = {1, 2, 8, 9, 64};
    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
        AVFrame *frame = av_frame_alloc();
        frame->format = i % 2 ? AV_SAMPLE_FMT_S16P : AV_SAMPLE_FMT_FLTP;
        frame->sample_rate = 48000;
        frame->nb_samples = 333;
        av_channel_layout_default(&frame->ch_layout, channels[i]);
        ck_assert_int_eq(av_frame_get_buffer(frame, 0), 0);
        for (int c = 0; c < channels[i]; c++)
            for (int b = 0; b < 333 * 2; b++)
                frame->extended_data[c][b] = (uint8_t)(b * 13 + c);
        struct shmframe_format format;
        ck_assert_int_eq(shmframe_format_from_avframe(frame, &format), 0);
        struct shmframe_writer *writer = open_writer(&format, 1);
        struct shmframe_reader *reader = open_reader(1);
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
        ck_assert_int_eq(shmframe_loan_copy_avframe(&loan, frame), 0);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        struct shmframe_lease lease = acquire(reader);
        AVFrame *seen;
        ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &seen), 0);
        ck_assert_int_eq(seen->nb_samples, 333);
        ck_assert_int_eq(seen->ch_layout.nb_channels, channels[i]);
        ck_assert_int_eq(seen->sample_rate, 48000);
        struct clip_sound sent = {0}, got = {0};
        clip_add_sound(&sent, frame);
        clip_add_sound(&got, seen);
        ck_assert(clip_is_same_sound(&sent, &got));
        AVFrame *other = av_frame_clone(seen);
        ck_assert_ptr_eq(other->extended_data[channels[i] - 1],
                         seen->extended_data[channels[i] - 1]);
        av_frame_free(&other);
        av_frame_free(&seen);
        shmframe_reader_close(reader);
        shmframe_writer_close(writer);
        av_frame_free(&frame);
    }
}
END_TEST

START_TEST(what_does_not_fit_is_refused_with_both_named) {
    AVFrame *frame = make_picture(AV_PIX_FMT_YUV420P, 64, 48);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 64, 50), 0);
    struct shmframe_loan loan = {.format = &format};
    ck_assert_int_eq(shmframe_loan_copy_avframe(&loan, frame), -EINVAL);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "64x48 yuv420p"));
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "64x50 yuv420p"));
    ck_assert_int_eq(shmframe_format_audio(&format, "flt", 2, 48000, 10), 0);
    ck_assert_int_eq(shmframe_loan_copy_avframe(&loan, frame), -EINVAL);
    av_frame_unref(frame);
    ck_assert_int_eq(shmframe_format_from_avframe(frame, &format), -EINVAL);
    frame->format = AV_PIX_FMT_VAAPI;
    frame->width = frame->height = 64;
    ck_assert_int_eq(shmframe_format_from_avframe(frame, &format), -ENOTSUP);
    frame->format = AV_SAMPLE_FMT_FLT;
    frame->nb_samples = 10;
    frame->sample_rate = 48000;
    frame->ch_layout = (AVChannelLayout){.order = AV_CHANNEL_ORDER_UNSPEC, .nb_channels = 65};
    ck_assert_int_eq(shmframe_format_from_avframe(frame, &format), -EINVAL);
    av_frame_free(&frame);
}
END_TEST

START_TEST(data_are_no_avframe) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "x", 10), 0);
    struct shmframe_writer *writer = open_writer(&format, 1);
    struct shmframe_reader *reader = open_reader(1);
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    struct shmframe_lease lease = acquire(reader);
    AVFrame *frame;
    ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &frame), -EINVAL);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0); /* still the caller's */
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* --- Slots for decoders ----------------------------------------------------------------------- */

struct decoding {
    AVFormatContext *file;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    bool is_end;
};

static struct decoding open_decoder_of_type(int threads, int thread_type) {
    struct decoding decoding = {.packet = av_packet_alloc(), .frame = av_frame_alloc()};
    ck_assert_int_eq(avformat_open_input(&decoding.file, clip_path, NULL, NULL), 0);
    ck_assert_int_ge(avformat_find_stream_info(decoding.file, NULL), 0);
    const AVCodecParameters *parameters = decoding.file->streams[0]->codecpar;
    const AVCodec *codec = avcodec_find_decoder(parameters->codec_id);
    decoding.codec = avcodec_alloc_context3(codec);
    avcodec_parameters_to_context(decoding.codec, parameters);
    decoding.codec->pkt_timebase = decoding.file->streams[0]->time_base;
    decoding.codec->thread_count = threads;
    decoding.codec->thread_type = thread_type;
    ck_assert_int_eq(avcodec_open2(decoding.codec, codec, NULL), 0);
    return decoding;
}

static struct decoding open_decoder(int threads) {
    return open_decoder_of_type(threads, FF_THREAD_FRAME | FF_THREAD_SLICE);
}

static bool next_frame(struct decoding *decoding) {
    for (;;) {
        const int result = avcodec_receive_frame(decoding->codec, decoding->frame);
        if (result != AVERROR(EAGAIN))
            return result >= 0;
        const int read = av_read_frame(decoding->file, decoding->packet);
        avcodec_send_packet(decoding->codec, read >= 0 ? decoding->packet : NULL);
        av_packet_unref(decoding->packet);
    }
}

static void close_decoder(struct decoding *decoding) {
    av_frame_free(&decoding->frame);
    av_packet_free(&decoding->packet);
    avcodec_free_context(&decoding->codec);
    avformat_close_input(&decoding->file);
}

static void make_clip(int width, int height, const char *encoder, enum AVPixelFormat pixels) {
    clip_make(&(struct clip){
        .path = clip_path,
        .picture = encoder,
        .pixel_format = pixels,
        .width = width,
        .height = height,
        .rate = {25, 1},
        .pictures = 50,
        .b_frames = strcmp(encoder, "mjpeg") ? 2 : 0,
    });
}

START_TEST(a_decoders_frames_are_published_where_they_were_decoded) {
    static struct clip_truth truth;
    make_clip(322, 182, "mpeg4", AV_PIX_FMT_YUV420P);
    clip_decode(clip_path, &truth);
    struct decoding decoding = open_decoder(_i);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_decoder(decoding.codec, &format), 0);
    ck_assert_uint_eq(format.video.width, 322);
    ck_assert_uint_ge(format.video.coded_width, 336);
    struct shmframe_writer *writer =
        open_writer(&format, shmframe_decoder_loans(decoding.codec) + 1);
    struct shmframe_reader *reader = open_reader(1);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding.codec, &slots), 0);
    int number = 0;
    for (; next_frame(&decoding); number++) {
        struct shmframe_loan loan;
        ck_assert(!av_frame_is_writable(decoding.frame));
        ck_assert_int_eq(shmframe_decoder_slots_loan(slots, decoding.frame,
                                                     shmframe_deadline_ns(SECOND_NS), &loan),
                         0);
        ck_assert_ptr_eq(loan.data + format.plane[1].offset, decoding.frame->data[1]);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        av_frame_unref(decoding.frame);
        struct shmframe_lease lease = acquire(reader);
        AVFrame *seen;
        ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &seen), 0);
        ck_assert_uint_eq(clip_sum_picture(seen), truth.picture[number].sum);
        av_frame_free(&seen);
    }
    ck_assert_int_eq(number, truth.pictures);
    struct shmframe_decoder_counters counters;
    shmframe_decoder_slots_counters(slots, &counters);
    ck_assert_uint_eq(counters.in_place, (uint64_t)number);
    ck_assert_uint_eq(counters.copied, 0);
    close_decoder(&decoding);
    shmframe_decoder_slots_close(slots);
    ck_assert_int_eq(shmframe_writer_end(writer), 0); /* no loan is left */
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* Decodes the clip into `loans` slots at once, and compares each picture with what libavcodec makes
 * of it alone. Frames are kept one longer than they are shown, as a player does. */
static struct shmframe_decoder_counters play_clip(struct decoding *decoding, uint32_t loans,
                                                  const struct clip_truth *truth,
                                                  struct shmframe_writer_counters *out_counters) {
    struct shmframe_format format;
    ck_assert_msg(shmframe_format_from_decoder(decoding->codec, &format) == 0, "%s",
                  shmframe_last_error());
    struct shmframe_writer *writer = open_writer(&format, loans);
    struct shmframe_reader *reader = open_reader(1);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding->codec, &slots), 0);
    int number = 0;
    for (; next_frame(decoding); number++) {
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_decoder_slots_loan(slots, decoding->frame, SHMFRAME_NOW, &loan),
                         0);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        struct shmframe_lease lease = acquire(reader);
        AVFrame *seen;
        ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &seen), 0);
        ck_assert_uint_eq(clip_sum_picture(seen), truth->picture[number].sum);
        av_frame_free(&seen);
    }
    ck_assert_int_eq(number, truth->pictures);
    struct shmframe_decoder_counters counters;
    shmframe_decoder_slots_counters(slots, &counters);
    shmframe_writer_counters(writer, out_counters);
    close_decoder(decoding);
    shmframe_decoder_slots_close(slots);
    ck_assert_int_eq(shmframe_writer_end(writer), 0); /* no loan is left */
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    return counters;
}

static const struct {
    const char *encoder;
    enum AVPixelFormat pixel_format;
    int b_frames, references, slices;
    bool is_in_place;
} decoders[] = {
    {"libx264", AV_PIX_FMT_YUV420P, 3, 16, 1, true},
    {"libx264", AV_PIX_FMT_YUV420P10, 0, 1, 4, true},
    {"libx265", AV_PIX_FMT_YUV420P, 4, 6, 1, true},
    {"libvpx-vp9", AV_PIX_FMT_YUV420P, 0, 0, 0, true},
    {"libvpx", AV_PIX_FMT_YUV420P, 0, 0, 0, true},
    {"mpeg4", AV_PIX_FMT_YUV420P, 2, 0, 0, true},
    {"mpeg2video", AV_PIX_FMT_YUV420P, 2, 0, 4, true},
    {"mjpeg", AV_PIX_FMT_YUVJ422P, 0, 0, 0, true},
    {"prores_ks", AV_PIX_FMT_YUV422P10, 0, 0, 0, true},
    {"ffv1", AV_PIX_FMT_YUV420P, 0, 0, 4, true},
    {"libaom-av1", AV_PIX_FMT_YUV420P, 0, 0, 0, false}, /* its decoders have memory of their own */
};
enum { DECODERS = sizeof(decoders) / sizeof(decoders[0]) };

START_TEST(no_decoder_keeps_more_slots_than_it_says) {
    static const struct {
        int threads, type;
    } ways[] = {
        {1, FF_THREAD_FRAME}, {2, FF_THREAD_FRAME}, {5, FF_THREAD_FRAME}, {4, FF_THREAD_SLICE}};
    static struct clip_truth truth;
    if (!clip_can_encode(decoders[_i].encoder))
        return;
    clip_make(&(struct clip){
        .path = clip_path,
        .picture = decoders[_i].encoder,
        .pixel_format = decoders[_i].pixel_format,
        .width = 178,
        .height = 146,
        .rate = {25, 1},
        .pictures = 50,
        .gop = 25,
        .b_frames = decoders[_i].b_frames,
        .references = decoders[_i].references,
        .slices = decoders[_i].slices,
    });
    clip_decode(clip_path, &truth);
    ck_assert_int_eq(truth.pictures, 50);
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        struct decoding decoding = open_decoder_of_type(ways[way].threads, ways[way].type);
        const uint32_t loans = shmframe_decoder_loans(decoding.codec) + 1;
        struct shmframe_writer_counters writer;
        const struct shmframe_decoder_counters counters =
            play_clip(&decoding, loans, &truth, &writer);
        const bool is_copied = !decoders[_i].is_in_place && counters.copied_codec == 50;
        ck_assert_msg(counters.copied == (is_copied ? 50 : 0),
                      "%s, %d threads of type %d, %u loans: %ju copied, %ju for lack of a slot",
                      decoders[_i].encoder, ways[way].threads, ways[way].type, loans,
                      (uintmax_t)counters.copied, (uintmax_t)counters.copied_no_slot);
        ck_assert_uint_eq(writer.loans_refused, 0);
    }
}
END_TEST

START_TEST(a_slot_that_the_decoder_refers_to_is_not_lent_again) {
    make_clip(160, 120, "mjpeg", AV_PIX_FMT_YUVJ420P);
    struct decoding decoding = open_decoder(1);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_decoder(decoding.codec, &format), 0);
    enum { LOANS = 3, ROUNDS = 20 };
    struct shmframe_writer *writer = open_writer(&format, LOANS);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding.codec, &slots), 0);
    ck_assert(next_frame(&decoding));
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_decoder_slots_loan(slots, decoding.frame, SHMFRAME_NOW, &loan), 0);
    const uint32_t referred = loan.slot;
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    /* The only reference that FFmpeg has, and yet not its own to write. */
    ck_assert(!av_frame_is_writable(decoding.frame));

    /* Retired long ago, and no reader ever leased it. */
    const uint64_t sum = clip_sum_picture(decoding.frame);
    for (int i = 0; i < ROUNDS; i++) {
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
        ck_assert_uint_ne(loan.slot, referred);
        memset(loan.data, i, format.slot_bytes);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    }
    ck_assert_uint_eq(clip_sum_picture(decoding.frame), sum);

    /* Let go of, it is a slot as any other, from the decoder's next on. */
    av_frame_unref(decoding.frame);
    bool is_lent = false;
    for (int i = 0; i < ROUNDS && !is_lent; i++) {
        ck_assert(next_frame(&decoding));
        ck_assert_int_eq(shmframe_decoder_slots_loan(slots, decoding.frame, SHMFRAME_NOW, &loan),
                         0);
        is_lent = loan.slot == referred;
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        av_frame_unref(decoding.frame);
    }
    ck_assert(is_lent);
    close_decoder(&decoding);
    shmframe_decoder_slots_close(slots);
    shmframe_writer_close(writer);
}
END_TEST

/* Some decoders put the next picture into the memory of the last one, if they hold it alone. */
START_TEST(a_picture_that_is_read_is_not_decoded_over) {
    static const char *const encoders[] = {"qtrle", "cinepak", "flashsv", "zmbv"};
    static const enum AVPixelFormat pixels[] = {AV_PIX_FMT_RGB24, AV_PIX_FMT_RGB24,
                                                AV_PIX_FMT_BGR24, AV_PIX_FMT_BGR0};
    static struct clip_truth truth;
    if (!clip_can_encode(encoders[_i]))
        return;
    clip_make(&(struct clip){
        .path = clip_path,
        .muxer = "mov",
        .picture = encoders[_i],
        .pixel_format = pixels[_i],
        .width = 160,
        .height = 120,
        .rate = {25, 1},
        .pictures = 20,
    });
    clip_decode(clip_path, &truth);
    struct decoding decoding = open_decoder(1);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_decoder(decoding.codec, &format), 0);
    struct shmframe_writer *writer = open_writer(&format, 8);
    struct shmframe_reader *reader = open_reader(2);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding.codec, &slots), 0);
    AVFrame *held = NULL;
    int number = 0;
    for (; next_frame(&decoding); number++) {
        /* The next one is decoded by now. */
        if (held)
            ck_assert_uint_eq(clip_sum_picture(held), truth.picture[number - 1].sum);
        av_frame_free(&held);
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_decoder_slots_loan(slots, decoding.frame, SHMFRAME_NOW, &loan),
                         0);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        av_frame_unref(decoding.frame);
        struct shmframe_lease lease = acquire(reader);
        ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &held), 0);
        ck_assert_uint_eq(clip_sum_picture(held), truth.picture[number].sum);
    }
    ck_assert_int_eq(number, truth.pictures);
    av_frame_free(&held);
    struct shmframe_decoder_counters counters;
    shmframe_decoder_slots_counters(slots, &counters);
    ck_assert_uint_eq(counters.copied, 0);
    close_decoder(&decoding);
    shmframe_decoder_slots_close(slots);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* Frames that were decoded before anybody read are published to whoever was waited for. */
START_TEST(a_reader_that_is_counted_gets_what_was_on_loan_before) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 64, 48), 0);
    struct shmframe_writer *writer = open_writer(&format, 2);
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    const struct shmframe_reader_params params = {
        .stream = "test",
        .policy = SHMFRAME_LOSSLESS,
        .deadline_ns = shmframe_deadline_ns(10 * SECOND_NS),
    };
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(session, &params, &reader), 0);
    ck_assert_uint_eq(shmframe_writer_readers(writer), 1);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    struct shmframe_lease lease = acquire(reader);
    ck_assert_uint_eq(lease.frame.sequence, 1);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(frames_that_are_dropped_give_their_slots_back) {
    make_clip(160, 120, "mpeg4", AV_PIX_FMT_YUV420P);
    struct decoding decoding = open_decoder(1);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_decoder(decoding.codec, &format), 0);
    const uint32_t loans = shmframe_decoder_loans(decoding.codec) + 1;
    struct shmframe_writer *writer = open_writer(&format, loans);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding.codec, &slots), 0);
    /* Many more frames than slots, none published. */
    int number = 0;
    for (; next_frame(&decoding); number++)
        av_frame_unref(decoding.frame);
    ck_assert_int_eq(number, 50);
    struct shmframe_writer_counters writer_counters;
    close_decoder(&decoding);
    shmframe_decoder_slots_close(slots);
    shmframe_writer_counters(writer, &writer_counters);
    ck_assert_uint_ge(writer_counters.abandoned, 50);
    ck_assert_uint_eq(writer_counters.loans_refused, 0);
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(without_a_free_slot_pictures_are_copied_and_counted) {
    static struct clip_truth truth;
    make_clip(160, 120, "mpeg4", AV_PIX_FMT_YUV420P);
    clip_decode(clip_path, &truth);
    struct decoding decoding = open_decoder(1);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_decoder(decoding.codec, &format), 0);
    enum { LOANS = 4 };
    struct shmframe_writer *writer = open_writer(&format, LOANS);
    struct shmframe_reader *reader = open_reader(1);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding.codec, &slots), 0);
    for (int number = 0; number < truth.pictures; number++) {
        struct shmframe_loan taken[LOANS], loan;
        for (int i = 0; i < LOANS; i++)
            ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &taken[i]), 0);
        ck_assert(next_frame(&decoding));
        for (int i = 0; i < LOANS; i++)
            ck_assert_int_eq(shmframe_writer_abandon(writer, &taken[i]), 0);
        ck_assert_int_eq(shmframe_decoder_slots_loan(slots, decoding.frame, SHMFRAME_NOW, &loan),
                         0);
        av_frame_unref(decoding.frame);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        struct shmframe_lease lease = acquire(reader);
        AVFrame *seen;
        ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &seen), 0);
        ck_assert_uint_eq(clip_sum_picture(seen), truth.picture[number].sum);
        av_frame_free(&seen);
    }
    struct shmframe_decoder_counters counters;
    shmframe_decoder_slots_counters(slots, &counters);
    ck_assert_uint_eq(counters.copied_no_slot, (uint64_t)truth.pictures);
    ck_assert_uint_eq(counters.copied, (uint64_t)truth.pictures);
    ck_assert_uint_eq(counters.in_place, 0);
    close_decoder(&decoding);
    shmframe_decoder_slots_close(slots);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_decoder_never_takes_the_last_slot) {
    static struct clip_truth truth;
    make_clip(160, 120, "mjpeg", AV_PIX_FMT_YUVJ420P);
    clip_decode(clip_path, &truth);
    struct decoding decoding = open_decoder(1);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_decoder(decoding.codec, &format), 0);
    enum { LOANS = 4, FRAMES = 10 };
    struct shmframe_writer *writer = open_writer(&format, LOANS);
    struct shmframe_reader *reader = open_reader(1);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding.codec, &slots), 0);
    AVFrame *kept[FRAMES];
    for (int i = 0; i < FRAMES; i++) {
        ck_assert(next_frame(&decoding));
        kept[i] = av_frame_clone(decoding.frame);
    }
    av_frame_unref(decoding.frame);
    for (int i = 0; i < FRAMES; i++) {
        struct shmframe_loan loan;
        ck_assert_msg(shmframe_decoder_slots_loan(slots, kept[i], SHMFRAME_NOW, &loan) == 0,
                      "%d: %s", i, shmframe_last_error());
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        struct shmframe_lease lease = acquire(reader);
        AVFrame *seen;
        ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &seen), 0);
        ck_assert_uint_eq(clip_sum_picture(seen), truth.picture[i].sum);
        av_frame_free(&seen);
    }
    for (int i = 0; i < FRAMES; i++)
        av_frame_free(&kept[i]);
    struct shmframe_decoder_counters counters;
    shmframe_decoder_slots_counters(slots, &counters);
    ck_assert_uint_eq(counters.in_place, LOANS - 1);
    ck_assert_uint_eq(counters.copied_no_slot, FRAMES - (LOANS - 1));
    close_decoder(&decoding);
    shmframe_decoder_slots_close(slots);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(pictures_of_another_size_are_refused_until_the_format_changes) {
    make_clip(160, 120, "mpeg4", AV_PIX_FMT_YUV420P);
    struct decoding decoding = open_decoder(1);
    struct shmframe_format format, right;
    ck_assert_int_eq(shmframe_format_from_decoder(decoding.codec, &right), 0);
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 64, 64), 0);
    struct shmframe_writer *writer = open_writer(&format, 20);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding.codec, &slots), 0);
    ck_assert(next_frame(&decoding));
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_decoder_slots_loan(slots, decoding.frame, SHMFRAME_NOW, &loan),
                     -EINVAL);
    ck_assert_int_eq(
        shmframe_writer_set_format(writer, &right, shmframe_deadline_ns(10 * SECOND_NS)), 0);
    int number = 0;
    do {
        ck_assert_int_eq(shmframe_decoder_slots_loan(slots, decoding.frame, SHMFRAME_NOW, &loan),
                         0);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        av_frame_unref(decoding.frame);
        number++;
    } while (next_frame(&decoding));
    struct shmframe_decoder_counters counters;
    shmframe_decoder_slots_counters(slots, &counters);
    ck_assert_uint_ge(counters.copied_geometry, 1);
    ck_assert_uint_eq(counters.copied, counters.copied_geometry);
    ck_assert_uint_ge(counters.in_place, 40);
    ck_assert_uint_eq(counters.in_place + counters.copied, (uint64_t)number);
    close_decoder(&decoding);
    shmframe_decoder_slots_close(slots);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(frames_of_before_a_change_that_keeps_the_geometry_are_in_the_new_format) {
    make_clip(160, 120, "mpeg4", AV_PIX_FMT_YUV420P);
    struct decoding decoding = open_decoder(1);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_decoder(decoding.codec, &format), 0);
    struct shmframe_writer *writer = open_writer(&format, 20);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding.codec, &slots), 0);
    AVFrame *ahead[2];
    for (int i = 0; i < 2; i++) {
        ck_assert(next_frame(&decoding));
        ahead[i] = av_frame_clone(decoding.frame);
    }
    format.video.sample_aspect = (struct shmframe_rational){4, 3};
    ck_assert_int_eq(
        shmframe_writer_set_format(writer, &format, shmframe_deadline_ns(10 * SECOND_NS)), 0);
    struct shmframe_loan newest, loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &newest), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(shmframe_decoder_slots_loan(slots, ahead[i], SHMFRAME_NOW, &loan), 0);
        ck_assert_uint_eq(loan.ring, newest.ring);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        av_frame_free(&ahead[i]);
    }
    struct shmframe_decoder_counters counters;
    shmframe_decoder_slots_counters(slots, &counters);
    ck_assert_uint_eq(counters.copied_geometry, 2);
    ck_assert_int_eq(shmframe_writer_abandon(writer, &newest), 0);
    close_decoder(&decoding);
    shmframe_decoder_slots_close(slots);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_frame_that_is_published_twice_is_copied_the_second_time) {
    make_clip(160, 120, "mjpeg", AV_PIX_FMT_YUVJ420P);
    struct decoding decoding = open_decoder(1);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_decoder(decoding.codec, &format), 0);
    struct shmframe_writer *writer = open_writer(&format, 20);
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, decoding.codec, &slots), 0);
    ck_assert(next_frame(&decoding));
    for (int i = 0; i < 3; i++) {
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_decoder_slots_loan(slots, decoding.frame, SHMFRAME_NOW, &loan),
                         0);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    }
    struct shmframe_decoder_counters counters;
    shmframe_decoder_slots_counters(slots, &counters);
    ck_assert_uint_eq(counters.in_place, 1);
    ck_assert_uint_eq(counters.copied_repeated, 2);
    close_decoder(&decoding);
    shmframe_decoder_slots_close(slots);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_sound_format_has_room_beyond_its_blocks) {
    struct shmframe_format format, before;
    ck_assert_int_eq(shmframe_format_audio(&format, "s16p", 2, 48000, 1000), 0);
    ck_assert_int_eq(shmframe_format_add_room(&format, 2047), 0);
    ck_assert_uint_eq(format.audio.samples_max, 1000);
    ck_assert_uint_eq(format.plane[1].row_bytes, 2000);
    ck_assert_uint_ge(format.plane[1].line_bytes, 4096);
    ck_assert_uint_ge(format.plane[1].offset - format.plane[0].offset, 4096);
    ck_assert_uint_ge(format.slot_bytes, format.plane[1].offset + 4096);
    /* Once more is the same. */
    before = format;
    ck_assert_int_eq(shmframe_format_add_room(&format, 2048), 0);
    ck_assert(shmframe_format_is_equal(&before, &format));
    ck_assert_int_eq(shmframe_format_video(&format, "gray", 8, 8), 0);
    ck_assert_int_eq(shmframe_format_add_room(&format, 10), -EINVAL);
    ck_assert_int_eq(shmframe_format_audio(&format, "s16p", 2, 48000, 1000), 0);
    ck_assert_int_eq(shmframe_format_add_room(&format, INT32_MAX), -ENOTSUP);
    ck_assert_uint_eq(format.plane[1].row_bytes, 2000); /* as it was */
}
END_TEST

START_TEST(decoders_say_how_many_slots_they_need) {
    make_clip(160, 120, "mpeg4", AV_PIX_FMT_YUV420P);
    struct decoding decoding = open_decoder(1);
    const uint32_t one = shmframe_decoder_loans(decoding.codec);
    ck_assert_uint_ge(one, 4);
    ck_assert_uint_le(one, 10);
    struct shmframe_decoder_slots *slots;
    decoding.codec->codec_type = AVMEDIA_TYPE_SUBTITLE;
    ck_assert_int_eq(shmframe_decoder_slots_open(NULL, decoding.codec, &slots), -EINVAL);
    decoding.codec->codec_type = AVMEDIA_TYPE_VIDEO;
    close_decoder(&decoding);
    AVCodecContext *unknown = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_from_decoder(unknown, &format), -EINVAL);
    unknown->width = unknown->coded_width = unknown->height = unknown->coded_height = 64;
    unknown->pix_fmt = AV_PIX_FMT_VAAPI;
    ck_assert_int_eq(shmframe_format_from_decoder(unknown, &format), -ENOTSUP);
    avcodec_free_context(&unknown);
}
END_TEST

START_TEST(a_format_of_another_ffmpeg_makes_no_avframe) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "gray", 16, 16), 0);
    struct shmframe_writer *writer = open_writer(&format, 1);
    struct shmframe_reader *reader = open_reader(1);
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    struct shmframe_lease lease = acquire(reader);
    strcpy(format.video.pixel_format, "of-tomorrow");
    lease.format = &format;
    AVFrame *frame;
    ck_assert_int_eq(shmframe_avframe_from_lease(&lease, &frame), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "of-tomorrow"));
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0); /* still the caller's */
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* A frame that was decoded elsewhere takes a loan like any other. */
START_TEST(a_decoded_frame_for_which_there_is_no_loan_hears_why) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "gray", 16, 16), 0);
    struct shmframe_writer *writer = open_writer(&format, 1);
    AVCodecContext *codec = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MPEG4));
    struct shmframe_decoder_slots *slots;
    ck_assert_int_eq(shmframe_decoder_slots_open(writer, codec, &slots), 0);
    AVFrame *frame = av_frame_alloc();
    frame->format = AV_PIX_FMT_GRAY8;
    frame->width = frame->height = 16;
    ck_assert_int_eq(av_frame_get_buffer(frame, 0), 0);
    struct shmframe_loan loan, other;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &other), 0);
    ck_assert_int_eq(shmframe_decoder_slots_loan(slots, frame, SHMFRAME_NOW, &loan), -EBUSY);
    ck_assert_int_eq(shmframe_writer_abandon(writer, &other), 0);
    const struct shmframe_reader_params params = {
        .stream = "test", .policy = SHMFRAME_LOSSLESS, .depth = 1};
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(session, &params, &reader), 0);
    int code;
    while ((code = shmframe_decoder_slots_loan(slots, frame, SHMFRAME_NOW, &loan)) == 0)
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    ck_assert_int_eq(code, -EAGAIN); /* the reader is behind */
    ck_assert_int_eq(
        shmframe_decoder_slots_loan(slots, frame, shmframe_deadline_ns(1000000), &loan),
        -ETIMEDOUT);
    shmframe_session_interrupt(session);
    ck_assert_int_eq(
        shmframe_decoder_slots_loan(slots, frame, shmframe_deadline_ns(10 * SECOND_NS), &loan),
        -EINTR);
    shmframe_session_resume(session);
    shmframe_reader_close(reader);
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    ck_assert_int_eq(shmframe_decoder_slots_loan(slots, frame, SHMFRAME_NOW, &loan), -ENODATA);
    av_frame_free(&frame);
    avcodec_free_context(&codec);
    shmframe_decoder_slots_close(slots);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("avframe");
    TCase *tests = tcase_create("avframe");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_picture_and_all_that_belongs_to_it_goes_through_a_slot);
    tcase_add_test(tests, pictures_of_every_kind_of_geometry_are_copied_whole);
    tcase_add_test(tests, a_crop_that_a_frame_still_bears_is_applied);
    tcase_add_test(tests, sound_of_many_channels_goes_through_a_slot);
    tcase_add_test(tests, what_does_not_fit_is_refused_with_both_named);
    tcase_add_test(tests, data_are_no_avframe);
    tcase_add_loop_test(tests, a_decoders_frames_are_published_where_they_were_decoded, 1, 4);
    tcase_add_loop_test(tests, no_decoder_keeps_more_slots_than_it_says, 0, DECODERS);
    tcase_add_test(tests, a_slot_that_the_decoder_refers_to_is_not_lent_again);
    tcase_add_loop_test(tests, a_picture_that_is_read_is_not_decoded_over, 0, 4);
    tcase_add_test(tests, a_reader_that_is_counted_gets_what_was_on_loan_before);
    tcase_add_test(tests, frames_that_are_dropped_give_their_slots_back);
    tcase_add_test(tests, without_a_free_slot_pictures_are_copied_and_counted);
    tcase_add_test(tests, a_decoder_never_takes_the_last_slot);
    tcase_add_test(tests, pictures_of_another_size_are_refused_until_the_format_changes);
    tcase_add_test(tests, frames_of_before_a_change_that_keeps_the_geometry_are_in_the_new_format);
    tcase_add_test(tests, a_frame_that_is_published_twice_is_copied_the_second_time);
    tcase_add_test(tests, a_sound_format_has_room_beyond_its_blocks);
    tcase_add_test(tests, decoders_say_how_many_slots_they_need);
    tcase_add_test(tests, a_format_of_another_ffmpeg_makes_no_avframe);
    tcase_add_test(tests, a_decoded_frame_for_which_there_is_no_loan_hears_why);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
