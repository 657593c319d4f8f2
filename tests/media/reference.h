/* Reference: clips that the program `ffmpeg` makes, and what it says of their frames. */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include <libavutil/frame.h>
#include <stdbool.h>
#include <stdint.h>

/* Runs ffmpeg with the words of `arguments`, none of which has a space in it; a failure fails the
 * test. */
void reference_run(const char *arguments);

enum { REFERENCE_FRAMES = 4096, REFERENCE_SUM_BYTES = 16 };

struct reference_frame {
    int64_t pts;
    uint32_t bytes;
    uint8_t sum[REFERENCE_SUM_BYTES];
};

/* FFmpeg's own framemd5 of the first track of a kind, as the decoder puts its frames out. */
struct reference {
    AVRational unit; /* of pts */
    struct reference_frame frame[REFERENCE_FRAMES];
    int frames;
};
/* `encoder` makes raw bytes of the frames: "rawvideo", or a kind of PCM that holds the samples as
 * they are. */
void reference_read(const char *clip, const char *encoder, struct reference *out_reference);

/* The bytes that framemd5 sums up: visible picture or samples, without padding. */
uint8_t *reference_pack(const AVFrame *frame, uint32_t *out_bytes); /* free() it */
void reference_sum(const uint8_t *bytes, uint32_t count, uint8_t out_sum[REFERENCE_SUM_BYTES]);

/* The encoder for reference_read() that keeps samples as they are. */
const char *reference_name_pcm(enum AVSampleFormat format);

#endif
