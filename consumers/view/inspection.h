/* What one pixel of a picture is, read in place, before any conversion. Pure.
 */
#ifndef CONSUMERS_INSPECTION_H
#define CONSUMERS_INSPECTION_H

#include "fit.h"
#include <shmframe/reader.h>

enum { INSPECTION_COMPONENTS = 5 };

struct inspection {
    char stream[SHMFRAME_NAME_BYTES];
    uint64_t sequence;
    struct fit_point pixel; /* as it lies in memory */
    uint32_t components;
    struct {
        char name[8]; /* "R", "Y", "U", "A", ...; "index" of a palette */
        double value;
    } component[INSPECTION_COMPONENTS];
};

/* Reads the components of a pixel as the format has them: of chroma, the sample that the pixel lies
 * in; of a palette the index, and what it has there; of a mosaic (Bayer) the one sample that there
 * is, by the name of its colour. Errors: -ENOTSUP libavutil cannot read such pixels;
 * -EINVAL there is no such pixel. */
int inspection_read(struct inspection *inspection, const struct shmframe_lease *lease,
                    struct fit_point pixel);

/* "Y 235  U 128  V 128" */
void inspection_describe(const struct inspection *inspection, char *out_text, size_t text_bytes);

#endif
