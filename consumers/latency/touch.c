#include "touch.h"

#include <string.h>

/* Keeps the compiler from dropping what is read. */
static volatile uint64_t touched;

static uint64_t touch_row(const uint8_t *row, uint32_t bytes) {
    uint64_t sum = 0, word;
    uint32_t i = 0;
    for (; i + sizeof(word) <= bytes; i += sizeof(word)) {
        memcpy(&word, row + i, sizeof(word));
        sum += word;
    }
    for (; i < bytes; i++)
        sum += row[i];
    return sum;
}

/* Bytes of a row that count in this frame: data and blocks of samples may be short. */
static uint32_t count_row_bytes(const struct shmframe_lease *lease,
                                const struct shmframe_plane *plane) {
    const struct shmframe_format *format = lease->format;
    if (format->kind == SHMFRAME_DATA && lease->frame.bytes < plane->row_bytes)
        return lease->frame.bytes;
    if (format->kind == SHMFRAME_AUDIO && lease->frame.samples < format->audio.samples_max)
        return plane->row_bytes / format->audio.samples_max * lease->frame.samples;
    return plane->row_bytes;
}

void touch_frame(const struct shmframe_lease *lease) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < lease->format->plane_count; i++) {
        const struct shmframe_plane *plane = &lease->format->plane[i];
        const uint32_t bytes = count_row_bytes(lease, plane);
        const uint8_t *first = shmframe_lease_plane(lease, i);
        for (uint32_t row = 0; row < plane->rows; row++)
            sum += touch_row(first + (size_t)row * plane->line_bytes, bytes);
    }
    touched += sum;
}
