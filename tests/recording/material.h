/* Material: packets of real encoders, as shmframe-encode hands them on, and what is in a file. */
#ifndef TESTS_MATERIAL_H
#define TESTS_MATERIAL_H

#include "recording.h"

#include <stdbool.h>
#include <stdint.h>

enum { MATERIAL_PACKETS_MAX = 4096, MATERIAL_RATE = 25, MATERIAL_SAMPLE_RATE = 48000 };

struct material_params {
    const char *picture; /* encoder; NULL: none */
    const char *sound;   /* encoder; NULL: none */
    double seconds;
    int gop;      /* 0: only the pictures are key frames that `wants_key` asks for, and the first */
    int b_frames; /* as far as the encoder has them */
    int width, height; /* 0: 64x48 */
    bool is_noise;     /* pictures that do not compress */
};

/* Encodes picture and sound in step with each other, and writes each packet as it comes. Returns
 * what the last recording_write() returned. */
int material_write(const struct material_params *params, struct recording *recording);

/* The same in pieces: begin sets the streams; each step is one picture and its sound. */
struct material;
struct material *material_begin(const struct material_params *params, struct recording *recording);
int material_step(struct material *material);
/* Its sound only. */
int material_step_sound(struct material *material);
/* Empties the encoders. */
int material_end(struct material *material);
int material_set_streams(struct material *material);

/* What a file decodes to; any error or damage fails the test. */
struct material_content {
    int pictures, sounds; /* packets */
    uint64_t picture_sum; /* over the pictures, in their order */
    uint64_t sound_sum;   /* over the samples */
    uint64_t samples;
    int64_t first_picture_us, last_picture_us, first_sound_us, end_sound_us;
    char format[64];
};
void material_read(const char *path, struct material_content *out_content);
/* Adds what the file has to `content`, as if it went on. */
void material_read_more(const char *path, struct material_content *content);

/* A folder for all tests of a program: unchecked fixtures. */
void material_make_folder(void);
void material_remove_folder(void);
/* A path in it; lives until the next call but seven. */
const char *material_path(const char *name);

#endif
