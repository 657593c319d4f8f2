/* Regions: memfds, made by their one writer, sealed, and checked before anyone believes them. */
#ifndef SHMFRAME_SRC_REGION_H
#define SHMFRAME_SRC_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A mapping of a whole memfd, page 0 to bytes. */
struct region {
    void *base; /* NULL: none */
    size_t bytes;
};

enum region_seal {
    /* SHRINK, GROW, FUTURE_WRITE, SEAL: its maker's mapping is the last writable one. */
    REGION_SEALED,
    /* SHRINK and GROW: a lease page, not yet mapped by its reader. */
    REGION_LEASE,
};

/* Makes a memfd of `bytes` (a multiple of the page), maps it for writing, not inherited by
 * children. Nothing is backed with memory yet. Errors: -ENOMEM, -EMFILE, -ENFILE. */
int region_create(const char *name, size_t bytes, struct region *out_region, int *out_fd);

/* Seals what region_create() made. Errors: -ENOTSUP the kernel cannot; -ENOMEM. */
int region_seal(int fd, enum region_seal seal);

/* Makes a small region, backs all of it with memory and seals it. Errors: as region_create(),
 * region_populate() and region_seal(). */
int region_create_page(const char *name, size_t bytes, enum region_seal seal,
                       struct region *out_region, int *out_fd);

/* Checks a peer's descriptor: a memfd, sealed so, of exactly `bytes` (0: any size above 0; the size
 * is stored in `out_bytes`, which may be NULL). Errors: -EPROTO with the reason; -ENOMEM. */
int region_check(int fd, enum region_seal seal, size_t bytes, size_t *out_bytes);

/* Maps a checked region for reading. Errors: -ENOMEM, -ENFILE. */
int region_map(int fd, size_t bytes, struct region *out_region);

/* For a lease page: maps it for writing, then adds FUTURE_WRITE and SEAL.
 * Errors: -ENOMEM, -ENFILE; -EPROTO. */
int region_map_lease(int fd, size_t bytes, struct region *out_region);

void region_unmap(struct region *region);

/* Backs part of a mapping with memory and fills its page tables; writable or not as the mapping is.
 * Errors: -ENOMEM. */
int region_populate(const struct region *region, uint64_t offset, uint64_t bytes, bool is_writable);

/* A file's size in memory, st_blocks * 512; 0 on error. */
uint64_t region_memory_bytes(int fd);

#endif
