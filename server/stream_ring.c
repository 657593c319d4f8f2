#include "stream.h"

#include "closer.h"
#include "error.h"
#include "limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The peer cannot change the geometry any more by our rules, but may have kept a second writable
 * mapping for a device: copied once, then only the copy counts. */
static int read_geometry(int fd, size_t bytes, const char *stream,
                         struct ring_geometry *out_geometry) {
    const off_t place = offsetof(struct ring, geometry);
    if (bytes < sizeof(struct ring) ||
        pread(fd, out_geometry, sizeof(*out_geometry), place) != (ssize_t)sizeof(*out_geometry))
        return error_set(-EPROTO, "a ring of %zu bytes is too short to be one", bytes);
    int code = layout_check(out_geometry, bytes);
    if (code == 0 && strcmp(out_geometry->stream, stream) != 0)
        code = error_set(-EPROTO, "a ring says it is of stream '%s', OPEN_RING says '%s'",
                         out_geometry->stream, stream);
    return code;
}

int stream_ring_create(int fd, const char *stream, struct stream_ring **out_ring) {
    size_t bytes;
    int code = region_check(fd, REGION_SEALED, 0, &bytes);
    if (code < 0)
        return code;
    struct stream_ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return error_set(-ENOMEM, "the supervisor has no memory");
    code = read_geometry(fd, bytes, stream, &ring->geometry);
    if (code == 0)
        code = region_map(fd, PAGE_BYTES, &ring->head);
    if (code < 0) {
        free(ring);
        return code;
    }
    ring->fd = fd;
    ring->populated_bytes = region_memory_bytes(fd);
    TAILQ_INIT(&ring->links);
    *out_ring = ring;
    return 0;
}

void stream_ring_drop_links(struct stream_ring *ring) {
    struct stream_link *link;
    while ((link = TAILQ_FIRST(&ring->links)))
        stream_link_destroy(link);
    ring->writer = NULL;
}

void stream_ring_destroy(struct stream_ring *ring) {
    stream_ring_drop_links(ring);
    region_unmap(&ring->head);
    closer_close_memory(ring->fd);
    free(ring);
}

uint64_t stream_ring_head(const struct stream_ring *ring) {
    const struct ring *memory = ring->head.base;
    /* As data: guards nothing here, and any value is possible. */
    const uint64_t place = atomic_load_explicit(&memory->head, memory_order_relaxed);
    const uint64_t sequence = place_sequence(place);
    const uint64_t limit = ring->is_shown ? LIMIT_SEQUENCE_TOLD : LIMIT_SEQUENCE_SEEN;
    return sequence <= limit ? sequence : 0;
}

bool stream_ring_is_ended(const struct stream_ring *ring) {
    const struct ring *memory = ring->head.base;
    return atomic_load_explicit(&memory->state, memory_order_relaxed) == RING_ENDED;
}

bool stream_ring_has_held(const struct stream_ring *ring) {
    const struct stream_link *link;
    if (ring)
        TAILQ_FOREACH (link, &ring->links, of_ring)
            if (link->state == LINK_HELD)
                return true;
    return false;
}

bool stream_ring_is_same(const struct stream_ring *ring, const struct stream_ring *other) {
    struct stat a, b;
    return fstat(ring->fd, &a) == 0 && fstat(other->fd, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

uint64_t stream_ring_granted_bytes(const struct stream_ring *ring) {
    const struct ring_geometry *geometry = &ring->geometry;
    const uint32_t slots =
        ring->slots_granted < geometry->slots ? ring->slots_granted : geometry->slots;
    const uint64_t bytes = geometry->payload_offset + slots * geometry->slot_stride;
    return bytes > ring->populated_bytes ? bytes : ring->populated_bytes;
}

uint64_t stream_ring_memory_bytes(const struct stream_ring *ring) {
    uint64_t bytes = region_memory_bytes(ring->fd);
    const struct stream_link *link;
    TAILQ_FOREACH (link, &ring->links, of_ring) {
        if (link->state == LINK_UNUSED)
            bytes += region_memory_bytes(link->fd[0]) + region_memory_bytes(link->fd[1]);
        else
            bytes += UINT64_C(2) * LINK_PAGE_BYTES; /* passed on; both pages are in use */
    }
    return bytes;
}
