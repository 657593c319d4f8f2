/* Checksums of planes: Adler-32 that starts from 0, as FFmpeg's showinfo filter prints it. */
#ifndef CONSUMERS_CHECKSUM_H
#define CONSUMERS_CHECKSUM_H

#include <libavutil/frame.h>
#include <stdbool.h>
#include <stdint.h>

enum { CHECKSUM_PLANES = 4 };

struct checksums {
    int planes;
    uint32_t adler32[CHECKSUM_PLANES];
    uint64_t bytes[CHECKSUM_PLANES];
};

/* Of what is visible, as it lies in memory. */
void checksums_read(const AVFrame *picture, struct checksums *out_checksums);

/* Those of the same planes one after another; all zeros is none. */
void checksums_append(struct checksums *checksums, const struct checksums *next);

#endif
