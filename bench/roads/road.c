#include "road.h"

#include "program.h"

#include <stdlib.h>
#include <string.h>

/* Payloads up to SMALL_BYTES, and from LARGE_BYTES on. */
enum { SMALL_BYTES = 64 << 10, LARGE_BYTES = 16 << 20, DEPTH = 4 };

extern const struct road road_ring, road_ring_spin, road_ring_spinning, road_ring_batched;
extern const struct road road_pipe, road_fifo, road_fifo_batched;
extern const struct road road_unix, road_seqpacket, road_tcp;
extern const struct road road_mq, road_memfd, road_memfd_pool;
extern const struct road road_zeromq, road_iceoryx, road_iceoryx_spinning, road_gstreamer;
extern const struct road floor_futex, floor_line;

const struct road *const roads[] = {
    &road_ring,
    &road_ring_spin,
    &road_ring_spinning,
    &road_ring_batched,
    &road_fifo,
    &road_fifo_batched,
    &road_pipe,
    &road_unix,
    &road_seqpacket,
    &road_tcp,
    &road_mq,
    &road_memfd,
    &road_memfd_pool,
    &road_zeromq,
    &road_iceoryx,
    &road_iceoryx_spinning,
    &road_gstreamer,
    NULL,
};
const struct road *const floors[] = {&floor_futex, &floor_line, NULL};

static const struct road *find(const struct road *const *table, const char *name) {
    for (; *table; table++)
        if (strcmp((*table)->name, name) == 0)
            return *table;
    return NULL;
}

const struct road *road_find(const char *name) {
    const struct road *road = find(roads, name);
    return road ? road : find(floors, name);
}

uint32_t road_depth(const struct road_plan *plan, uint32_t most) {
    if (plan->bytes > LARGE_BYTES)
        return 1;
    return plan->is_saturated && plan->bytes <= SMALL_BYTES ? most : DEPTH;
}

uint8_t *road_make_buffer(size_t bytes) {
    const size_t whole = (bytes + SHMFRAME_TAIL_BYTES + 4095) / 4096 * 4096;
    uint8_t *buffer = aligned_alloc(4096, whole);
    if (!buffer)
        program_fail("no memory for a payload of %zu bytes", bytes);
    memset(buffer, 1, whole); /* touched before anything is measured */
    return buffer;
}
