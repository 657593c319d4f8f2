/* paint WIDTH HEIGHT FORMAT FIRST COUNT: marked pictures as raw video on standard output. */
#include "picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_planes(const struct shmframe_format *format, const uint8_t *slot) {
    for (uint32_t i = 0; i < format->plane_count; i++) {
        const struct shmframe_plane *plane = &format->plane[i];
        for (uint32_t y = 0; y < plane->rows; y++)
            fwrite(slot + plane->offset + (uint64_t)y * plane->line_bytes, 1, plane->row_bytes,
                   stdout);
    }
}

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    struct shmframe_format format;
    struct picture *picture;
    int32_t least[2];
    if (shmframe_format_video(&format, argv[3], (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2])) <
        0)
        return 1;
    format.video.frame_rate = (struct shmframe_rational){60, 1};
    surface_describe_colours(&format);
    if (picture_create_marked(&format, &picture, &least[0], &least[1]) < 0)
        return 1;
    uint8_t *slot = malloc(format.slot_bytes);
    if (!slot)
        return 1;
    memset(slot, 0, format.slot_bytes);
    const int64_t first = atoll(argv[4]), count = atoll(argv[5]);
    for (int64_t frame = first; frame < first + count; frame++) {
        struct mark mark = scene_mark(format.video.frame_rate, frame);
        mark.stream = mark_stream_id("demo");
        mark.clock = 4711;
        mark.capture_ns += INT64_C(987654321012345);
        picture_paint(picture, slot, frame);
        picture_draw_mark(picture, slot, NULL, &mark);
        write_planes(&format, slot);
    }
    free(slot);
    picture_destroy(picture);
    return fflush(stdout) == 0 ? 0 : 1;
}
