/* Scenarios: FFmpeg reads leases and decodes into loans. */
#include "scenarios.h"

#include "flow.h"

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/mastering_display_metadata.h>
#include <shmframe/avframe.h>
#include <string.h>

enum { WIDTH = 96, HEIGHT = 64, PICTURES = 3 };

/* ---- leases ---- */

static struct shmframe_format bright_format(void) {
    struct shmframe_format format;
    AVFrame *frame = av_frame_alloc();
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = WIDTH;
    frame->height = HEIGHT;
    AVMasteringDisplayMetadata *display = av_mastering_display_metadata_create_side_data(frame);
    display->has_luminance = 1;
    display->max_luminance = (AVRational){1000, 1};
    display->min_luminance = (AVRational){1, 100};
    av_content_light_metadata_create_side_data(frame)->MaxCLL = 900;
    DO(shmframe_format_from_avframe(frame, &format));
    av_frame_free(&frame);
    return format;
}

static void fill(struct shmframe_loan *loan, unsigned value) {
    memset(loan->data, (int)value, loan->frame.bytes);
    loan->frame.pts = value;
}

static struct shmframe_writer *open_writer(struct shmframe_session *session,
                                           const struct shmframe_format *format, uint32_t loans) {
    const struct shmframe_writer_params params = {.stream = flow_stream(),
                                                  .flags = SHMFRAME_WRITER_THREADED,
                                                  .format = *format,
                                                  .loans = loans,
                                                  .deadline_ns = sweep_deadline()};
    struct shmframe_writer *writer;
    DO(shmframe_writer_open(session, &params, &writer));
    return writer;
}

static void look_at(struct shmframe_reader *reader, unsigned value) {
    struct shmframe_lease lease;
    AVFrame *frame, *other;
    TRY(shmframe_reader_acquire(reader, sweep_deadline(), &lease));
    TRY(shmframe_avframe_from_lease(&lease, &frame));
    MUST(!lease.data, "the lease was not taken");
    MUST(frame->width == WIDTH && frame->pts == (int64_t)value, "the picture is another");
    MUST(frame->data[0][0] == value, "the picture has other bytes");
    MUST(av_frame_get_side_data(frame, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA) &&
             av_frame_get_side_data(frame, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL),
         "the picture came without its side data");
    sweep_disarm();
    other = av_frame_clone(frame);
    sweep_arm();
    av_frame_free(&frame);
    av_frame_free(&other);
}

static void a_lease_becomes_a_frame(void) {
    struct shmframe_session *session = flow_session(), *other = flow_session();
    const struct shmframe_format format = bright_format();
    struct shmframe_writer *writer = open_writer(other, &format, 2);
    struct shmframe_reader *reader = flow_reader(session, flow_stream());
    for (unsigned i = 1; i <= PICTURES; i++) {
        struct shmframe_loan loan;
        sweep_disarm();
        DO(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan));
        fill(&loan, i);
        DO(shmframe_writer_publish(writer, &loan));
        sweep_arm();
        look_at(reader, i);
    }
    sweep_disarm();
    struct shmframe_lease none;
    const int code = shmframe_reader_acquire(reader, SHMFRAME_NOW, &none);
    MUST(code == -EAGAIN, "at the end acquire answers %s", strerrorname_np(-code));
    DO(shmframe_writer_end(writer)); /* nobody has a lease */
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(other);
    shmframe_session_close(session);
}

/* ---- loans ---- */

static AVPacket *packet[PICTURES];

static void encode_pictures(void) {
    AVCodecContext *encoder = avcodec_alloc_context3(avcodec_find_encoder(AV_CODEC_ID_MJPEG));
    AVFrame *frame = av_frame_alloc();
    frame->format = encoder->pix_fmt = AV_PIX_FMT_YUVJ420P;
    frame->width = encoder->width = WIDTH;
    frame->height = encoder->height = HEIGHT;
    encoder->time_base = (AVRational){1, 25};
    MUST(avcodec_open2(encoder, NULL, NULL) == 0 && av_frame_get_buffer(frame, 0) == 0,
         "no encoder");
    for (unsigned i = 0; i < PICTURES; i++) {
        for (int plane = 0; plane < 3; plane++)
            memset(frame->data[plane], (int)(i * 40 + 20),
                   (size_t)frame->linesize[plane] * (plane ? HEIGHT / 2 : HEIGHT));
        frame->pts = i;
        packet[i] = av_packet_alloc();
        MUST(avcodec_send_frame(encoder, frame) == 0 &&
                 avcodec_receive_packet(encoder, packet[i]) == 0,
             "picture %u is not encoded", i);
    }
    av_frame_free(&frame);
    avcodec_free_context(&encoder);
}

static AVCodecContext *open_decoder(void) {
    AVCodecContext *decoder = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MJPEG));
    decoder->thread_count = 1;
    decoder->width = WIDTH;
    decoder->height = HEIGHT;
    decoder->pix_fmt = AV_PIX_FMT_YUVJ420P;
    MUST(avcodec_open2(decoder, NULL, NULL) == 0, "no decoder");
    return decoder;
}

/* A decoder that gets no slot says so, and decodes the same once more. */
static void decode(AVCodecContext *decoder, unsigned number, AVFrame *frame) {
    int code = avcodec_send_packet(decoder, packet[number]);
    code = code < 0 ? code : avcodec_receive_frame(decoder, frame);
    if (code < 0) {
        MUST(sweep_error() == ENOMEM, "decoding answers %d", code); /* each decoder its own */
        sweep_disarm();
        code = avcodec_send_packet(decoder, packet[number]);
        code = code < 0 ? code : avcodec_receive_frame(decoder, frame);
    }
    MUST(code == 0, "decoding answers %d again", code);
}

/* While the program has all slots on loan: elsewhere. */
static void decode_elsewhere(struct shmframe_writer *writer, AVCodecContext *decoder,
                             unsigned number, AVFrame *frame) {
    enum { LOANS_MAX = 64 };
    struct shmframe_loan loan[LOANS_MAX];
    unsigned count = 0;
    int code = 0;
    sweep_disarm();
    while (count < LOANS_MAX &&
           (code = shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[count])) == 0)
        count++;
    MUST(code == -EBUSY, "after %u loans the next one answers %s", count, strerrorname_np(-code));
    sweep_arm();
    decode(decoder, number, frame);
    sweep_disarm();
    while (count > 0)
        DO(shmframe_writer_abandon(writer, &loan[--count]));
    sweep_arm();
}

static void a_decoder_fills_slots(void) {
    struct shmframe_session *session = flow_session(), *other = flow_session();
    struct shmframe_format format;
    struct shmframe_decoder_slots *slots;
    struct shmframe_decoder_counters counters;
    encode_pictures();
    AVCodecContext *decoder = open_decoder();
    AVFrame *frame = av_frame_alloc();
    sweep_arm();
    TRY(shmframe_format_from_decoder(decoder, &format));
    sweep_disarm();
    struct shmframe_writer *writer =
        open_writer(other, &format, shmframe_decoder_loans(decoder) + 1);
    struct shmframe_reader *reader = flow_reader(session, flow_stream());
    sweep_arm();
    TRY(shmframe_decoder_slots_open(writer, decoder, &slots));
    for (unsigned i = 0; i < PICTURES; i++) {
        struct shmframe_loan loan;
        struct shmframe_lease lease;
        if (i == 0)
            decode_elsewhere(writer, decoder, i, frame);
        else
            decode(decoder, i, frame);
        TRY(shmframe_decoder_slots_loan(slots, frame, sweep_deadline(), &loan));
        TRY(shmframe_writer_publish(writer, &loan));
        sweep_disarm();
        DO(shmframe_reader_acquire(reader, sweep_deadline(), &lease));
        MUST(abs(lease.data[0] - (int)(i * 40 + 20)) <= 2, "picture %u begins with %d", i,
             lease.data[0]);
        DO(shmframe_reader_release(reader, &lease));
        sweep_arm();
        av_frame_unref(frame);
    }
    shmframe_decoder_slots_counters(slots, &counters);
    MUST(counters.in_place + counters.copied == PICTURES, "%d pictures in place and %d copied",
         (int)counters.in_place, (int)counters.copied);
    MUST(sweep_has_fired() || counters.copied == 1, "%d pictures are copied", (int)counters.copied);
    avcodec_free_context(&decoder);
    shmframe_decoder_slots_close(slots);
    sweep_disarm();
    for (unsigned i = 0; i < PICTURES; i++)
        av_packet_free(&packet[i]);
    av_frame_free(&frame);
    DO(shmframe_writer_end(writer)); /* no slot is on loan */
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(other);
    shmframe_session_close(session);
}

const struct scenario picture_scenarios[] = {
    {.name = "avframe",
     .act = a_lease_becomes_a_frame,
     .answers = {{"shmframe_avframe_from_lease", -ENOMEM}}},
    {.name = "decoder",
     .act = a_decoder_fills_slots,
     .answers = {{"shmframe_decoder_slots_open", -ENOMEM}}},
    {0},
};
