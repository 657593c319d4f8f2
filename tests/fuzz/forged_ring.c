#include "forged_ring.h"

#include "clock.h"

#include <shmframe/shmframe.h>

enum { PATCHES_MAX = 12, FRAMES_MAX = 64 };
#define RING_BYTES_MAX (UINT64_C(1) << 36)

static bool make_format(struct input *input, struct shmframe_format *out_format) {
    static const char *const pixels[] = {"gray", "yuv420p", "nv12", "rgb24", "yuva444p", "pal8"};
    static const char *const samples[] = {"flt", "fltp", "s16", "s32p"};
    const uint8_t kind = input_u8(input), size = input_u8(input), more = input_u8(input);
    switch (kind % 3) {
    case 0:
        return shmframe_format_video(out_format, pixels[kind / 3 % 6], 1u + size, 1u + more) == 0;
    case 1:
        return shmframe_format_audio(out_format, samples[kind / 3 % 4], 1 + size % 8, 48000,
                                     1 + more) == 0;
    default:
        return shmframe_format_data(out_format, "test", 1 + size + more * 16u) == 0;
    }
}

/* A few bytes of the geometry become others: sizes, offsets, names, formats. */
static void patch(struct input *input, struct ring_geometry *geometry) {
    for (unsigned patches = input_u8(input) % PATCHES_MAX; patches > 0; patches--) {
        const size_t place = input_u8(input) | (size_t)input_u8(input) << 8;
        const uint8_t how = input_u8(input);
        uint64_t word = how & 0x80 ? input_number(input) : input_u8(input);
        const size_t bytes = how & 0x80 ? (how & 0x40 ? 8 : 4) : 1;
        /* Most of it is planes that there are not. */
        const size_t room = how & 1 ? sizeof(*geometry)
                                    : offsetof(struct ring_geometry, format) +
                                          offsetof(struct shmframe_format, plane[3]);
        memcpy((uint8_t *)geometry + place % (room - bytes), &word, bytes);
    }
}

void forged_ring_put(struct ring *ring, uint64_t first, uint64_t head, uint32_t slots) {
    const uint64_t oldest = head - first < FRAMES_MAX ? first : head - FRAMES_MAX + 1;
    for (uint64_t sequence = oldest; sequence <= head && slots; sequence++) {
        const uint32_t slot = (uint32_t)(sequence % slots);
        struct slot_header *header = &ring->slot[slot % RING_SLOTS_MAX];
        atomic_store(&header->state, slot_word(sequence, SLOT_PUBLISHED));
        header->publish_ns = clock_peek_ns();
        atomic_store(&ring->index[sequence % RING_INDEX], place_word(sequence, slot));
        atomic_store(&ring->head, place_word(sequence, slot));
    }
    atomic_store(&ring->first, first);
    atomic_store(&ring->tail, head - first + 1 < slots ? first : head - slots / 2);
}

int forged_ring_make(struct input *input, struct region *out_region, uint64_t *out_bytes) {
    struct ring_geometry geometry = {.group = "group", .stream = "a"};
    struct shmframe_format format;
    int fd;
    if (!make_format(input, &format))
        return -1;
    const uint8_t shape = input_u8(input), frames = input_u8(input);
    const uint32_t slots = 1 + shape % FORGED_SLOTS_MAX;
    if (layout_plan(&geometry, &format,
                    sizeof(struct ring) + slots * ((format.slot_bytes + 4095) / 4096 * 4096),
                    1) < 0)
        return -1;
    uint64_t bytes = geometry.ring_bytes;
    patch(input, &geometry);
    if (shape & 0x40)
        bytes = geometry.ring_bytes; /* as it says, whatever that is */
    if (bytes < sizeof(struct ring) || bytes > RING_BYTES_MAX ||
        region_create("ring", bytes, out_region, &fd) < 0)
        return -1;
    struct ring *ring = out_region->base;
    ring->geometry = geometry;
    if (frames)
        forged_ring_put(ring, 1 + (shape & 0x80 ? 100 : 0),
                        (frames & 31) + (shape & 0x80 ? 100 : 0), geometry.slots);
    fuzz_must(region_seal(fd, REGION_SEALED) == 0, "no seal");
    *out_bytes = bytes;
    return fd;
}
