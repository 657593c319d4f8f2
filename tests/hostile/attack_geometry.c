/* Geometry: what a ring says of itself, huge, overlapping, wrapping, and random. */
#include "attack.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 8 };

/* Opens a ring whose geometry `change` has been at. */
static void open_changed(void (*change)(struct ring_geometry *geometry, uint64_t value),
                         uint64_t value, bool is_random) {
    struct intruder intruder;
    struct intruder_ring ring;
    union message message;
    attack_open(&intruder);
    if (intruder_make_ring("shape", SLOTS, &ring) < 0)
        attack_fail("make a ring", 0);
    change(&ring.memory->geometry, value);
    intruder_fill_ring(&message, "shape", 0);
    intruder_send_message(&intruder, &message, &ring.fd);
    if (!is_random) {
        attack_expect(&intruder, VERDICT_CUT, -EPROTO, "a geometry that does not hold together");
    } else { /* it may hold together, or be of another version, or another format */
        intruder_judge(&intruder);
        attack_count();
    }
    intruder_close(&intruder);
    intruder_drop_ring(&ring);
}

#define FIELD(name)                                                                                \
    static void set_##name(struct ring_geometry *geometry, uint64_t value) {                       \
        geometry->name = (__typeof__(geometry->name))value;                                        \
    }
FIELD(magic)
FIELD(header_bytes)
FIELD(ring_bytes)
FIELD(payload_offset)
FIELD(slot_stride)
FIELD(slots)

/* What it says fits together, but not its memory. */
static void claim_more_slots(struct ring_geometry *geometry, uint64_t value) {
    geometry->slots += (uint32_t)value;
    geometry->ring_bytes += geometry->slot_stride * value;
}

static void claim_fewer_slots(struct ring_geometry *geometry, uint64_t value) {
    geometry->slots -= (uint32_t)value;
    geometry->ring_bytes -= geometry->slot_stride * value;
}

/* The product wraps to what it should be: 8 slots of 2^61 + a page. */
static void wrap_product(struct ring_geometry *geometry, uint64_t value) {
    geometry->slot_stride = (value << 61) + PAGE_BYTES;
}

static void wrap_sum(struct ring_geometry *geometry, uint64_t value) {
    geometry->payload_offset = UINT64_MAX / PAGE_BYTES * PAGE_BYTES - value * PAGE_BYTES;
}

static void overlap_header(struct ring_geometry *geometry, uint64_t value) {
    geometry->payload_offset = PAGE_BYTES * value;
    geometry->slots = (uint32_t)((geometry->ring_bytes - geometry->payload_offset) / PAGE_BYTES);
}

static void set_slot_bytes(struct ring_geometry *geometry, uint64_t value) {
    geometry->format.slot_bytes = value;
}

static void unterminate_stream(struct ring_geometry *geometry, uint64_t value) {
    memset(geometry->stream, (int)value, sizeof(geometry->stream));
}

static void unterminate_group(struct ring_geometry *geometry, uint64_t value) {
    memset(geometry->group, (int)value, sizeof(geometry->group));
}

static void set_planes(struct ring_geometry *geometry, uint64_t value) {
    geometry->format.plane_count = (uint32_t)value;
}

/* A picture in the same slot. */
static void make_video(struct ring_geometry *geometry) {
    shmframe_format_video(&geometry->format, "yuv420p", 16, 16);
}

static void set_plane_offset(struct ring_geometry *geometry, uint64_t value) {
    make_video(geometry);
    geometry->format.plane[1].offset = (__typeof__(geometry->format.plane[1].offset))value;
}

static void set_line(struct ring_geometry *geometry, uint64_t value) {
    make_video(geometry);
    geometry->format.plane[1].line_bytes = (__typeof__(geometry->format.plane[1].line_bytes))value;
}

static void set_width(struct ring_geometry *geometry, uint64_t value) {
    make_video(geometry);
    geometry->format.video.width = (__typeof__(geometry->format.video.width))value;
}

static void set_height(struct ring_geometry *geometry, uint64_t value) {
    make_video(geometry);
    geometry->format.video.height = (__typeof__(geometry->format.video.height))value;
}

static const struct {
    void (*change)(struct ring_geometry *geometry, uint64_t value);
    uint64_t value;
} lies[] = {
    {set_magic, 0},
    {set_header_bytes, 0},
    {set_header_bytes, UINT32_MAX},
    {set_ring_bytes, 0},
    {set_ring_bytes, UINT64_MAX},
    {set_ring_bytes, UINT64_C(1) << 40},
    {set_payload_offset, 0},
    {set_payload_offset, 1},
    {set_payload_offset, UINT64_MAX},
    {set_payload_offset, UINT64_C(1) << 63},
    {set_slot_stride, 0},
    {set_slot_stride, 1},
    {set_slot_stride, UINT64_C(1) << 62},
    {set_slot_stride, UINT64_MAX / PAGE_BYTES *PAGE_BYTES},
    {set_slots, 0},
    {set_slots, SLOTS - 1},
    {set_slots, SLOTS + 1},
    {set_slots, RING_SLOTS_MAX + 1},
    {set_slots, UINT32_MAX},
    {claim_more_slots, 1},
    {claim_more_slots, RING_SLOTS_MAX - SLOTS},
    {claim_fewer_slots, 1},
    {wrap_product, 1},
    {wrap_product, 7},
    {wrap_sum, 0},
    {wrap_sum, SLOTS},
    {overlap_header, 0},
    {overlap_header, 1},
    {overlap_header, 2},
    {set_slot_bytes, 0},
    {set_slot_bytes, PAGE_BYTES + 1},
    {set_slot_bytes, UINT64_C(1) << 32},
    {set_slot_bytes, UINT64_MAX},
    {unterminate_stream, 'a'},
    {unterminate_stream, 0xff},
    {unterminate_group, 'a'},
    {set_planes, 0},
    {set_planes, 9},
    {set_planes, UINT32_MAX},
    {set_plane_offset, 0},
    {set_plane_offset, UINT32_MAX},
    {set_plane_offset, UINT64_MAX},
    {set_line, 1},
    {set_line, UINT32_MAX},
    {set_line, INT32_MAX},
    {set_width, 0},
    {set_width, INT32_MAX},
    {set_width, UINT32_MAX},
    {set_height, 0},
    {set_height, INT32_MAX},
    {set_height, UINT32_MAX},
};

static void tell_lies(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on())
        for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]) && attack_goes_on(); i++)
            open_changed(lies[i].change, lies[i].value, false);
}

static struct attacker *roller; /* whose dice the next one uses */

static void change_a_word(struct ring_geometry *geometry, uint64_t value) {
    uint64_t wild = attack_wild(roller);
    const size_t words = sizeof(*geometry) / sizeof(wild);
    if (value % 2)
        make_video(geometry);
    memcpy((uint8_t *)geometry + board_roll(&roller->random, words) * sizeof(wild), &wild,
           sizeof(wild));
}

static void tell_anything(struct attacker *attacker) {
    roller = attacker;
    for (uint64_t round = 0; attack_goes_on(); round++)
        open_changed(change_a_word, round, true);
}

const struct attack attacks_with_geometry[] = {
    {"geometry-lies", "writer", "cut, -EPROTO", tell_lies, 0},
    {"geometry-random", "writer", "harmless", tell_anything, 0},
    {NULL, NULL, NULL, NULL, 0},
};
