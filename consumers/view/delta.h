/* The difference of two streams: of pictures that belong together, how far each pixel's red, green
 * and blue are apart, made stronger, as a picture of its own.
 */
#ifndef CONSUMERS_DELTA_H
#define CONSUMERS_DELTA_H

#include "painter.h"
#include "pictures.h"

struct delta {
    struct pictures *pictures[2]; /* borrowed; without a canvas of their own */
    struct canvas *canvas;        /* borrowed */
    double gain;
    uint64_t matched, unmatched[2];
    uint64_t converted; /* pictures, by libswscale */
    char trouble[200];  /* why pairs of these formats cannot be compared; "": they can */
    char told[200];     /* the last one that was told */
    uint8_t most;       /* of the last pair: the largest difference, before it was made stronger */
    double differing;   /* of the last pair: the share of pixels that are not the same */
    struct painter *painter[2];
    struct shmframe_format painted[2]; /* what the painters are for */
    struct shmframe_format format;     /* of the difference: as large as the first's pictures */
    uint8_t *pixels[2];                /* in `format`; the first becomes the difference */
};

void delta_finish(struct delta *delta);

/* As pictures_bring(), of the next pair; pictures without a partner are passed over. Call
 * pictures_presented() of both afterwards. Pairs that cannot be compared are told, and leave what
 * there was. */
bool delta_bring(struct delta *delta);
/* The canvas lost its picture: it is brought again, if it is held. */
void delta_renew(struct delta *delta);

/* "a - b  matched 12 ..." */
void delta_describe(const struct delta *delta, char *out_text, size_t text_bytes);

#endif
