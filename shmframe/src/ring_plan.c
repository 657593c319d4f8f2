/* Ring plan: what a ring will take, before there is one. */
#include "writer.h"

#include "error.h"
#include "layout.h"

#include <errno.h>

static uint32_t at_least(uint32_t value, uint32_t least) {
    return value > least ? value : least;
}

static int check_counts(const struct shmframe_writer_params *params, uint32_t depth,
                        uint32_t leases) {
    const int code = writer_check_counts(params);
    if (code < 0)
        return code;
    if (depth > SHMFRAME_DEPTH_MAX)
        return error_set(-EINVAL, "a depth of %u frames is more than %d", depth,
                         SHMFRAME_DEPTH_MAX);
    if (leases > RING_SLOTS_MAX)
        return error_set(-ENOSPC, "%u leases are more than the %u slots of a ring", leases,
                         RING_SLOTS_MAX);
    return 0;
}

int shmframe_ring_plan(const struct shmframe_writer_params *params, uint32_t depth, uint32_t leases,
                       struct shmframe_ring_plan *out_plan) {
    struct shmframe_format format = params->format;
    int code = check_counts(params, depth, leases);
    if (code == 0)
        code = shmframe_format_complete(&format);
    if (code < 0)
        return code;
    const uint32_t loans = at_least(params->loans, 1), history = at_least(params->history, 1);
    struct ring_geometry geometry;
    code = layout_plan(&geometry, &format, params->ring_bytes,
                       loans + history + WRITER_READER_SLOTS + WRITER_SPARE_SLOTS);
    if (code < 0)
        return code;
    const uint32_t kept = at_least(history, depth);
    const uint32_t needed = loans + kept + at_least(leases, WRITER_READER_SLOTS);
    if (needed + WRITER_SPARE_SLOTS > geometry.slots)
        return error_set(-ENOSPC,
                         "%u slots are needed, %llu bytes have room for %u: fewer readers, less "
                         "depth, or more ring_bytes",
                         needed + WRITER_SPARE_SLOTS, (unsigned long long)geometry.ring_bytes,
                         geometry.slots);
    const uint32_t used =
        writer_ring_count_warm(loans, kept, leases, geometry.slot_stride, geometry.slots);
    const uint64_t headers_bytes = offsetof(struct ring, slot[used]);
    *out_plan = (struct shmframe_ring_plan){
        .ring_bytes = geometry.ring_bytes,
        .slot_bytes = geometry.slot_stride,
        .memory_bytes = (headers_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES +
                        geometry.slot_stride * used,
        .slots = geometry.slots,
        .slots_used = used,
    };
    return 0;
}
