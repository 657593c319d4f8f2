#include "camera_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/cpu.h>
#include <libavutil/pixdesc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS_MAX = 4 };

/* Times are capture times: nanoseconds. */
static const AVRational ns_unit = {1, 1000000000};

/* What FFmpeg says on its own, from threads of its own. */
static struct {
    pthread_mutex_t mutex;
    struct camera_codec_words words;
} last = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void keep_words(void *who, int level, const char *format, va_list arguments) {
    (void)who;
    if (level > AV_LOG_ERROR)
        return;
    pthread_mutex_lock(&last.mutex);
    vsnprintf(last.words.text, sizeof(last.words.text), format, arguments);
    last.words.text[strcspn(last.words.text, "\r\n")] = 0;
    pthread_mutex_unlock(&last.mutex);
}

struct camera_codec_words camera_codec_words(void) {
    pthread_mutex_lock(&last.mutex);
    const struct camera_codec_words words = last.words;
    pthread_mutex_unlock(&last.mutex);
    return words;
}

/* Threads that share a picture; those that each take one of their own would add a picture of delay
 * each. */
static int open_context(struct camera_codec *codec) {
    avcodec_free_context(&codec->context);
    codec->context = avcodec_alloc_context3(codec->decoder);
    if (!codec->context)
        return -ENOMEM;
    const int cpus = av_cpu_count();
    codec->context->flags |= AV_CODEC_FLAG_LOW_DELAY;
    /* A picture that is not whole would show an older one in the rest of its slot. */
    codec->context->err_recognition |= AV_EF_EXPLODE;
    codec->context->thread_type = FF_THREAD_SLICE;
    codec->context->thread_count = cpus < THREADS_MAX ? cpus : THREADS_MAX;
    codec->context->pkt_timebase = ns_unit;
    codec->context->width = (int)codec->picture.width;
    codec->context->height = (int)codec->picture.height;
    return 0;
}

static int fail(struct camera_codec *codec, int result, char why[CAMERA_WHY_BYTES]) {
    snprintf(why, CAMERA_WHY_BYTES, "the decoder of %s does not start",
             camera_fourcc_text(codec->picture.fourcc).text);
    camera_codec_close(codec);
    return result;
}

int camera_codec_open(struct camera_codec *codec, const struct camera_picture *picture,
                      char why[CAMERA_WHY_BYTES]) {
    const struct camera_pixels *pixels = camera_pixels_find(picture->fourcc);
    av_log_set_callback(keep_words);
    *codec = (struct camera_codec){
        .picture = *picture,
        .decoder =
            pixels && pixels->is_compressed ? avcodec_find_decoder_by_name(pixels->name) : NULL,
        .frame = av_frame_alloc(),
    };
    if (!codec->decoder)
        return fail(codec, -ENOTSUP, why);
    if (!codec->frame || open_context(codec) < 0)
        return fail(codec, -ENOMEM, why);
    return avcodec_open2(codec->context, codec->decoder, NULL) < 0 ? fail(codec, -ENOTSUP, why) : 0;
}

void camera_codec_close(struct camera_codec *codec) {
    av_frame_free(&codec->frame);
    avcodec_free_context(&codec->context);
    shmframe_decoder_slots_close(codec->slots);
    codec->slots = NULL;
}

/* Format. */

static int describe(struct camera_codec *codec, struct shmframe_format *out_format) {
    struct shmframe_format format, coded;
    int result = shmframe_format_from_avframe(codec->frame, &format);
    if (result == 0)
        result = shmframe_format_from_decoder(codec->context, &coded);
    if (result < 0)
        return result;
    struct shmframe_video_format *video = &format.video;
    video->coded_width = coded.video.coded_width;
    video->coded_height = coded.video.coded_height;
    camera_format_describe(&codec->picture, video);
    format.plane_count = 0;
    result = shmframe_format_complete(&format);
    if (result == 0)
        *out_format = format;
    return result;
}

static int send(struct camera_codec *codec, const uint8_t *data, uint32_t bytes,
                int64_t capture_ns) {
    AVPacket *packet = av_packet_alloc();
    if (!packet)
        return -ENOMEM;
    /* Not counted by references: the decoder takes a copy, with the padding that it reads over. */
    packet->data = (uint8_t *)(uintptr_t)data;
    packet->size = (int)bytes;
    packet->pts = capture_ns;
    const int result = avcodec_send_packet(codec->context, packet);
    av_packet_free(&packet);
    return result < 0 ? -EBADMSG : 0;
}

static bool is_damaged(const AVFrame *frame) {
    return (frame->flags & AV_FRAME_FLAG_CORRUPT) || frame->decode_error_flags;
}

int camera_codec_probe(struct camera_codec *codec, const uint8_t *data, uint32_t bytes) {
    if (send(codec, data, bytes, 0) < 0)
        return -EAGAIN;
    while (!codec->is_known && avcodec_receive_frame(codec->context, codec->frame) == 0) {
        if (is_damaged(codec->frame))
            continue;
        codec->is_known = describe(codec, &codec->format) == 0;
        codec->loans = shmframe_decoder_loans(codec->context);
    }
    return codec->is_known ? 0 : -EAGAIN;
}

int camera_codec_start(struct camera_codec *codec, struct shmframe_writer *writer,
                       char why[CAMERA_WHY_BYTES]) {
    if (open_context(codec) < 0 ||
        shmframe_decoder_slots_open(writer, codec->context, &codec->slots) < 0)
        return fail(codec, -ENOMEM, why);
    return avcodec_open2(codec->context, codec->decoder, NULL) < 0 ? fail(codec, -ENOTSUP, why) : 0;
}

/* Pictures. */

int camera_codec_send(struct camera_codec *codec, const uint8_t *data, uint32_t bytes,
                      int64_t capture_ns) {
    return send(codec, data, bytes, capture_ns);
}

int camera_codec_next(struct camera_codec *codec) {
    struct shmframe_format format;
    const int result = avcodec_receive_frame(codec->context, codec->frame);
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF)
        return -EAGAIN;
    if (result < 0 || is_damaged(codec->frame))
        return -EBADMSG;
    if (describe(codec, &format) < 0 || shmframe_format_is_equal(&format, &codec->format))
        return 0;
    codec->format = format;
    return -ESTALE;
}

int camera_codec_loan(struct camera_codec *codec, struct shmframe_loan *out_loan,
                      bool *out_is_copied) {
    struct shmframe_decoder_counters before, after;
    shmframe_decoder_slots_counters(codec->slots, &before);
    const int result =
        shmframe_decoder_slots_loan(codec->slots, codec->frame, SHMFRAME_NOW, out_loan);
    if (result < 0)
        return result;
    shmframe_decoder_slots_counters(codec->slots, &after);
    *out_is_copied = after.copied > before.copied;
    if (codec->frame->pts != AV_NOPTS_VALUE)
        out_loan->frame.capture_ns = codec->frame->pts;
    return 0;
}

void camera_codec_count_copies(const struct camera_codec *codec,
                               struct shmframe_decoder_counters *sum) {
    struct shmframe_decoder_counters counters;
    shmframe_decoder_slots_counters(codec->slots, &counters);
    sum->copied_no_slot += counters.copied_no_slot;
    sum->copied_geometry += counters.copied_geometry;
    sum->copied_codec += counters.copied_codec;
    sum->copied_repeated += counters.copied_repeated;
}

void camera_codec_explain_copies(const struct shmframe_decoder_counters *counters,
                                 char text[CAMERA_WHY_BYTES]) {
    const struct {
        uint64_t count;
        const char *why;
    } causes[] = {
        {counters->copied_no_slot, "no slot was free"},
        {counters->copied_geometry, "size or lines differ from the ring's"},
        {counters->copied_codec, "the decoder takes no buffers from outside"},
        {counters->copied_repeated, "the decoder showed a picture again"},
    };
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
        if (causes[i].count)
            used += (size_t)snprintf(text + used, CAMERA_WHY_BYTES - used, "%s%" PRIu64 ": %s",
                                     used ? ", " : "", causes[i].count, causes[i].why);
}
