#include "strips.h"

#include <string.h>

enum { STRIP_BYTES = 64 * 1024 };

/* From the first byte of the plane to the last one that counts in this frame: data and blocks of
 * samples may be short. */
static size_t count_bytes(const struct shmframe_lease *lease, const struct shmframe_plane *plane) {
    const struct shmframe_format *format = lease->format;
    if (format->kind == SHMFRAME_DATA && lease->frame.bytes < plane->row_bytes)
        return lease->frame.bytes;
    if (format->kind == SHMFRAME_AUDIO && lease->frame.samples < format->audio.samples_max)
        return (size_t)plane->row_bytes / format->audio.samples_max * lease->frame.samples;
    return plane->rows ? (size_t)plane->line_bytes * (plane->rows - 1) + plane->row_bytes : 0;
}

uint64_t strips_copy(const struct shmframe_loan *to, const struct shmframe_lease *from,
                     const struct strips_pause *pause) {
    uint64_t copied = 0;
    for (unsigned i = 0; i < from->format->plane_count; i++) {
        const size_t bytes = count_bytes(from, &from->format->plane[i]);
        const uint8_t *source = shmframe_lease_plane(from, i);
        uint8_t *target = shmframe_loan_plane(to, i);
        for (size_t done = 0; done < bytes; done += STRIP_BYTES) {
            const size_t left = bytes - done;
            memcpy(target + done, source + done, left < STRIP_BYTES ? left : STRIP_BYTES);
            pause->run(pause->user);
        }
        copied += bytes;
    }
    return copied;
}
