/* Writer: the memory of its rings. */
#include "writer.h"

#include "error.h"
#include "step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int writer_ring_warm(struct writer_ring *ring, uint32_t end) {
    struct ring_writer *core = &ring->core;
    while (core->warm < end) {
        const uint32_t slot = core->warm;
        int code = region_populate(&ring->region, offsetof(struct ring, slot[slot]),
                                   sizeof(struct slot_header), true);
        if (code == 0)
            code = region_populate(&ring->region, writer_ring_slot_offset(ring, slot),
                                   ring->slot_stride, true);
        if (code < 0)
            return code;
        core->warm++;
    }
    return 0;
}

/* Small slots beyond what is needed let the writer go on for so many frames without a look at its
 * readers' leases. */
static uint32_t count_spare(uint32_t history, uint64_t slot_stride) {
    enum { FRAMES_A_SPARE = 8, BYTES_MAX = 65536 };
    const uint32_t most = (uint32_t)(BYTES_MAX / slot_stride);
    const uint32_t spare = history / FRAMES_A_SPARE;
    return spare < most ? spare : most;
}

uint32_t writer_ring_count_warm(uint32_t loans, uint32_t history, uint32_t leases,
                                uint64_t slot_stride, uint32_t slots) {
    const uint32_t leased = leases > WRITER_READER_SLOTS ? leases : WRITER_READER_SLOTS;
    const uint32_t warm = loans + history + leased + count_spare(history, slot_stride);
    return warm < slots ? warm : slots;
}

uint32_t writer_ring_warm_target(const struct shmframe_writer *writer,
                                 const struct writer_ring *ring) {
    return writer_ring_count_warm(writer->loans, ring->core.history, ring->core.leased_slots,
                                  ring->slot_stride, ring->core.slots);
}

static void describe_ring(const struct shmframe_writer *writer, struct ring_geometry *geometry) {
    message_put_text(geometry->stream, sizeof(geometry->stream), writer->stream);
    message_put_text(geometry->group, sizeof(geometry->group), writer->group);
}

static int let_attach(const struct shmframe_writer *writer, const struct writer_ring *ring) {
    if (!writer->before_seal)
        return 0;
    const struct shmframe_ring_map map = {.base = ring->region.base,
                                          .bytes = ring->region.bytes,
                                          .payload_offset = ring->payload_offset,
                                          .slot_stride = ring->slot_stride,
                                          .slots = ring->core.slots};
    int code = writer->before_seal(writer->before_seal_user, ring->fd, &map);
    return code < 0 ? error_set(code, "before_seal refused the ring of stream '%s': %s",
                                writer->stream, strerror(-code))
                    : 0;
}

static int fill_ring(struct shmframe_writer *writer, struct writer_ring *ring,
                     const struct ring_geometry *geometry) {
    ring->payload_offset = geometry->payload_offset;
    ring->slot_stride = geometry->slot_stride;
    ring->format = geometry->format;
    int code = region_create("shmframe-ring", geometry->ring_bytes, &ring->region, &ring->fd);
    if (code == 0)
        code = region_populate(&ring->region, 0, offsetof(struct ring, slot), true);
    if (code < 0)
        return code;
    struct ring *memory = ring->region.base;
    memory->geometry = *geometry;
    ring_writer_init(&ring->core, memory, geometry->slots, writer->history, &writer->sequence,
                     NULL);
    code = writer_ring_warm(ring, writer_ring_warm_target(writer, ring));
    if (code == 0)
        code = let_attach(writer, ring);
    STEP(RING_MADE);
    if (code == 0)
        code = region_seal(ring->fd, REGION_SEALED);
    STEP(RING_SEALED);
    return code;
}

int writer_ring_create(struct shmframe_writer *writer, const struct shmframe_format *format,
                       struct writer_ring **out_ring) {
    struct ring_geometry *geometry = calloc(1, sizeof(*geometry));
    struct writer_ring *ring = calloc(1, sizeof(*ring));
    int code = geometry && ring ? 0 : error_set(-ENOMEM, "no memory for a ring");
    if (ring)
        ring->fd = -1;
    if (code == 0) {
        ring->id = ++writer->last_id;
        describe_ring(writer, geometry);
        code =
            layout_plan(geometry, format, writer->ring_bytes,
                        writer->loans + writer->history + WRITER_READER_SLOTS + WRITER_SPARE_SLOTS);
    }
    if (code == 0)
        code = fill_ring(writer, ring, geometry);
    free(geometry);
    if (code < 0) {
        if (ring)
            writer_ring_destroy(writer, ring);
        return code;
    }
    *out_ring = ring;
    return 0;
}

void writer_ring_destroy(struct shmframe_writer *writer, struct writer_ring *ring) {
    if (!ring)
        return;
    writer_drop_links(writer, ring);
    session_notice_unref(ring->notice);
    region_unmap(&ring->region);
    if (ring->fd >= 0)
        close(ring->fd);
    free(ring);
}
