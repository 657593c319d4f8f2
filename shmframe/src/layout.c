#include "layout.h"

#include "error.h"
#include "format.h"

#include <errno.h>
#include <string.h>

enum { DEFAULT_SLOTS_MIN = 16 };
static const uint64_t DEFAULT_RING_BYTES = UINT64_C(1) << 30;
static const uint64_t SLOT_BYTES_LIMIT = UINT64_C(1) << 32;

/* Each slot begins a page, so that it gets memory for itself alone. */
static const uint64_t PAYLOAD_OFFSET = sizeof(struct ring);
static_assert(sizeof(struct ring) % PAGE_BYTES == 0, "the payload begins a page");

static uint64_t round_to_page(uint64_t bytes) {
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static uint64_t count_slots(uint64_t ring_bytes, uint64_t stride) {
    uint64_t slots = ring_bytes > PAYLOAD_OFFSET ? (ring_bytes - PAYLOAD_OFFSET) / stride : 0;
    return slots < RING_SLOTS_MAX ? slots : RING_SLOTS_MAX;
}

int layout_plan(struct ring_geometry *geometry, const struct shmframe_format *format,
                uint64_t ring_bytes, uint32_t slots_min) {
    if (format->slot_bytes == 0 || format->slot_bytes >= SLOT_BYTES_LIMIT)
        return error_set(-ENOSPC, "a slot of %llu bytes is not between 1 and 4 GiB",
                         (unsigned long long)format->slot_bytes);
    if (slots_min > RING_SLOTS_MAX)
        return error_set(-ENOSPC,
                         "%u slots are needed, a ring has at most %u: ask for fewer loans "
                         "or less history",
                         slots_min, RING_SLOTS_MAX);
    const uint64_t stride = round_to_page(format->slot_bytes);
    uint64_t slots = count_slots(ring_bytes ? ring_bytes : DEFAULT_RING_BYTES, stride);
    if (ring_bytes == 0) {
        slots = slots > DEFAULT_SLOTS_MIN ? slots : DEFAULT_SLOTS_MIN;
        slots = slots > slots_min ? slots : slots_min;
    }
    if (slots == 0 || slots < slots_min)
        return error_set(-ENOSPC,
                         "ring_bytes %llu has room for %llu slots of %llu bytes, %u are "
                         "needed: raise it, or ask for fewer loans or less history",
                         (unsigned long long)ring_bytes, (unsigned long long)slots,
                         (unsigned long long)stride, slots_min ? slots_min : 1);
    geometry->magic = RING_MAGIC;
    geometry->abi = LAYOUT_ABI;
    geometry->header_bytes = sizeof(struct ring);
    geometry->payload_offset = PAYLOAD_OFFSET;
    geometry->slot_stride = stride;
    geometry->slots = (uint32_t)slots;
    geometry->ring_bytes = PAYLOAD_OFFSET + stride * slots;
    geometry->format = *format;
    return 0;
}

static int check_versions(const struct ring_geometry *geometry) {
    if (geometry->magic != RING_MAGIC)
        return error_set(-EPROTO, "a ring does not begin with the mark of one");
    if (geometry->abi != LAYOUT_ABI)
        return error_set(-EPROTONOSUPPORT,
                         "a ring has layout %u, this program knows %u: "
                         "build both from the same version",
                         geometry->abi, LAYOUT_ABI);
    if (geometry->header_bytes != sizeof(struct ring))
        return error_set(-EPROTO, "a ring's header has %u bytes instead of %zu",
                         geometry->header_bytes, sizeof(struct ring));
    return 0;
}

/* Where the slots lie. Every sum and product is checked before it is believed. */
static int check_places(const struct ring_geometry *geometry, uint64_t memfd_bytes) {
    if (geometry->ring_bytes != memfd_bytes)
        return error_set(-EPROTO, "a ring says it has %llu bytes, its memory has %llu",
                         (unsigned long long)geometry->ring_bytes, (unsigned long long)memfd_bytes);
    if (geometry->slots == 0 || geometry->slots > RING_SLOTS_MAX)
        return error_set(-EPROTO, "a ring says it has %u slots", geometry->slots);
    if (geometry->payload_offset < sizeof(struct ring) ||
        geometry->payload_offset % PAGE_BYTES != 0 || geometry->slot_stride == 0 ||
        geometry->slot_stride % PAGE_BYTES != 0)
        return error_set(-EPROTO, "a ring's slots do not begin where slots may");
    uint64_t slots_bytes, end;
    if (__builtin_mul_overflow(geometry->slot_stride, (uint64_t)geometry->slots, &slots_bytes) ||
        __builtin_add_overflow(geometry->payload_offset, slots_bytes, &end) ||
        end != geometry->ring_bytes)
        return error_set(-EPROTO, "a ring's slots do not fill its memory");
    return 0;
}

static bool is_terminated(const char *text, size_t bytes) {
    return memchr(text, '\0', bytes) != NULL;
}

static int check_names(const struct ring_geometry *geometry) {
    if (!is_terminated(geometry->stream, sizeof(geometry->stream)) ||
        !is_terminated(geometry->group, sizeof(geometry->group)))
        return error_set(-EPROTO, "a ring's names do not end");
    if (!shmframe_name_is_valid(geometry->stream) ||
        (geometry->group[0] && !shmframe_name_is_valid(geometry->group)))
        return error_set(-EPROTO, "a ring's names are none");
    return 0;
}

static int check_format(const struct ring_geometry *geometry) {
    const struct shmframe_format *format = &geometry->format;
    if (format->slot_bytes == 0 || format->slot_bytes >= SLOT_BYTES_LIMIT ||
        format->slot_bytes > geometry->slot_stride)
        return error_set(-EPROTO, "a frame of %llu bytes does not fit a slot of %llu",
                         (unsigned long long)format->slot_bytes,
                         (unsigned long long)geometry->slot_stride);
    if (format->plane_count == 0)
        return error_set(-EPROTO, "a ring's format has no planes");
    int code = format_check(format);
    if (code == -ENOTSUP)
        return error_set(-EPROTONOSUPPORT, "a ring's format is not known here: %s",
                         shmframe_last_error());
    if (code < 0)
        return error_set(-EPROTO, "a ring's format does not hold together: %s",
                         shmframe_last_error());
    return 0;
}

int layout_check(const struct ring_geometry *geometry, uint64_t memfd_bytes) {
    int code = check_versions(geometry);
    if (code == 0)
        code = check_places(geometry, memfd_bytes);
    if (code == 0)
        code = check_names(geometry);
    if (code == 0)
        code = check_format(geometry);
    return code;
}
