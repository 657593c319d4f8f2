/* read WIDTH HEIGHT FORMAT: looks at raw video on standard input, and prints a line a picture:
 * copies, torn or not, number, capture, beat, time since the beat, cells put right, cell's size,
 * place. */
#include "mark_finder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_planes(const struct shmframe_format *format, uint8_t *slot) {
    for (uint32_t i = 0; i < format->plane_count; i++) {
        const struct shmframe_plane *plane = &format->plane[i];
        for (uint32_t y = 0; y < plane->rows; y++)
            if (fread(slot + plane->offset + (uint64_t)y * plane->line_bytes, plane->row_bytes, 1,
                      stdin) != 1)
                return false;
    }
    return true;
}

int main(int argc, char **argv) {
    struct shmframe_format format;
    struct mark_finder *finder;
    if (argc != 4)
        return 2;
    if (shmframe_format_video(&format, argv[3], (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2])) <
            0 ||
        mark_finder_create(&format, &finder) < 0)
        return 1;
    uint8_t *slot = calloc(1, format.slot_bytes);
    if (!slot)
        return 1;
    while (read_planes(&format, slot)) {
        const struct shmframe_lease lease = {.data = slot, .format = &format};
        struct mark_sight sight;
        mark_finder_look(finder, &lease, &sight);
        printf("%u %d %u %" PRId64 " %u %u %u %.3f %.3f %d %d\n", sight.copies, sight.is_torn,
               sight.mark.number, sight.mark.capture_ns, sight.mark.beat, sight.mark.since_beat_us,
               sight.corrected, (double)sight.cell_width, (double)sight.cell_height, sight.left,
               sight.top);
    }
    free(slot);
    mark_finder_destroy(finder);
    return 0;
}
