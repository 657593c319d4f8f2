/* Clips: files that a test makes for itself, and what FFmpeg alone decodes from them. */
#ifndef TESTS_CLIP_H
#define TESTS_CLIP_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stdint.h>

struct clip {
    const char *path;
    const char *muxer;   /* NULL: by the path's ending */
    const char *picture; /* name of the encoder; NULL: no pictures */
    enum AVPixelFormat pixel_format;
    int width, height;
    AVRational rate;
    int pictures;
    int b_frames, gop;
    int references, slices; /* 0: the encoder's own choice */
    int rotation_degrees; /* clockwise */
    const char *sound;    /* name of the encoder; NULL: no sound */
    enum AVSampleFormat sample_format;
    int sample_rate, channels, samples;
    bool is_interlaced;
    bool is_hdr;       /* the file tells mastering display and content light */
    bool has_captions; /* each picture has three of ATSC A53 */
    bool is_still;      /* all pictures are the same */
    const char *filter; /* bitstream filters for the pictures, as FFmpeg writes them; NULL: none */
};

/* Whether this FFmpeg has the encoder. */
bool clip_can_encode(const char *encoder);

/* Writes the file; a failure fails the test. */
void clip_make(const struct clip *clip);

/* Sum over the visible bytes of a picture. */
uint64_t clip_sum_picture(const AVFrame *frame);

/* Sum over each channel of what was added. */
struct clip_sound {
    uint64_t sum[64];
    uint64_t samples;
};
void clip_add_sound(struct clip_sound *sound, const AVFrame *frame);
bool clip_is_same_sound(const struct clip_sound *a, const struct clip_sound *b);

/* What plain libavcodec decodes. */
struct clip_truth {
    struct {
        int64_t pts;
        uint64_t sum;
        int width, height;
    } picture[1024];
    int pictures;
    struct clip_sound sound;
    char layout[64]; /* of the sound's channels; "": FFmpeg does not know it */
};
void clip_decode(const char *path, struct clip_truth *out_truth);

#endif
