/* witness: reads streams beside an encoder, and says what was published.
 *
 *   witness STREAM...    opens them in that order; then
 *                        pictures: "STREAM SEQUENCE PTS_NS MD5" a line, of the bytes as rawvideo
 *                        has them; sound: "STREAM SAMPLES MD5" of all, interleaved
 */
#include <errno.h>
#include <inttypes.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libavutil/mathematics.h>
#include <libavutil/md5.h>
#include <libavutil/mem.h>
#include <libavutil/samplefmt.h>
#include <shmframe/avframe.h>
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *what) {
    fprintf(stderr, "witness: %s: %s\n", what, shmframe_last_error());
    exit(1);
}

static void print_md5(const uint8_t sum[16]) {
    for (int i = 0; i < 16; i++)
        printf("%02x", sum[i]);
    putchar('\n');
}

static void see_picture(const AVFrame *frame, uint64_t sequence) {
    const int bytes = av_image_get_buffer_size(frame->format, frame->width, frame->height, 1);
    uint8_t *packed = av_malloc((size_t)bytes), sum[16];
    av_image_copy_to_buffer(packed, bytes, (const uint8_t *const *)frame->data, frame->linesize,
                            frame->format, frame->width, frame->height, 1);
    av_md5_sum(sum, packed, (size_t)bytes);
    printf("%" PRIu64 " %" PRId64 " ", sequence,
           av_rescale_q(frame->pts, frame->time_base, (AVRational){1, 1000000000}));
    print_md5(sum);
    av_free(packed);
}

static void see_sound(const AVFrame *frame, struct AVMD5 *md5) {
    const int bytes = av_get_bytes_per_sample(frame->format);
    const int channels = frame->ch_layout.nb_channels;
    if (!av_sample_fmt_is_planar(frame->format)) {
        av_md5_update(md5, frame->data[0], (size_t)(frame->nb_samples * bytes * channels));
        return;
    }
    for (int i = 0; i < frame->nb_samples; i++)
        for (int channel = 0; channel < channels; channel++)
            av_md5_update(md5, frame->extended_data[channel] + (ptrdiff_t)i * bytes, (size_t)bytes);
}

enum { STREAMS_MAX = 4 };

static struct seen {
    const char *stream;
    struct shmframe_reader *reader; /* NULL: the stream has ended */
    struct AVMD5 *md5;
    uint64_t samples;
} seen[STREAMS_MAX];

static void open_stream(struct shmframe_session *session, struct seen *one, const char *stream,
                        int64_t deadline_ns) {
    const struct shmframe_reader_params params = {
        .stream = stream,
        .policy = SHMFRAME_LOSSLESS,
        .deadline_ns = deadline_ns,
    };
    if (shmframe_reader_open(session, &params, &one->reader) < 0)
        fail(stream);
    one->stream = stream;
    one->md5 = av_md5_alloc();
    av_md5_init(one->md5);
}

static void see(struct seen *one) {
    struct shmframe_lease lease;
    int result;
    while ((result = shmframe_reader_acquire(one->reader, SHMFRAME_NOW, &lease)) == 0) {
        const uint64_t sequence = lease.frame.sequence;
        AVFrame *frame;
        if (shmframe_avframe_from_lease(&lease, &frame) < 0)
            fail("frame");
        if (frame->nb_samples > 0) {
            see_sound(frame, one->md5);
        } else {
            printf("%s ", one->stream);
            see_picture(frame, sequence);
        }
        one->samples += (uint64_t)frame->nb_samples;
        av_frame_free(&frame);
    }
    if (result == -EAGAIN)
        return;
    if (result != -ENODATA)
        fail("acquire");
    shmframe_reader_close(one->reader);
    one->reader = NULL;
}

/* Sees what comes next; false: all streams have ended. */
static bool see_next(int64_t deadline_ns) {
    struct shmframe_reader *readers[STREAMS_MAX];
    struct seen *of[STREAMS_MAX];
    uint64_t ready;
    uint32_t count = 0;
    for (int i = 0; i < STREAMS_MAX; i++) {
        if (!seen[i].reader)
            continue;
        of[count] = &seen[i];
        readers[count++] = seen[i].reader;
    }
    if (count == 0)
        return false;
    if (shmframe_readers_wait(readers, count, deadline_ns, &ready) < 0)
        fail("wait");
    for (uint32_t i = 0; i < count; i++)
        if (ready & UINT64_C(1) << i)
            see(of[i]);
    return true;
}

int main(int argc, char **argv) {
    struct shmframe_session *session = NULL;
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(60000000000));
    if (argc - 1 > STREAMS_MAX || shmframe_session_open(NULL, &session) < 0)
        fail("open");
    for (int i = 1; i < argc; i++)
        open_stream(session, &seen[i - 1], argv[i], deadline_ns);
    while (see_next(deadline_ns))
        ;
    for (int i = 0; i < argc - 1; i++) {
        uint8_t sum[16];
        av_md5_final(seen[i].md5, sum);
        av_free(seen[i].md5);
        if (!seen[i].samples)
            continue;
        printf("%s %" PRIu64 " ", seen[i].stream, seen[i].samples);
        print_md5(sum);
    }
    shmframe_session_close(session);
    return 0;
}
