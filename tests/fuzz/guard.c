/* Guard: pages that nobody may touch around each shared mapping. AddressSanitizer watches the heap;
 * this watches what lies in shared memory. Linked with --wrap=mmap,--wrap=munmap. */
#include "input.h"

#include <sys/mman.h>
#include <sys/types.h>

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t bytes);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t bytes);

enum { PAGE = 4096, MAPPINGS_MAX = 256 };

static void *guarded[MAPPINGS_MAX];

static size_t round_up(size_t bytes) {
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    unsigned place = 0;
    while (place < MAPPINGS_MAX && guarded[place])
        place++;
    if (fd < 0 || address || place == MAPPINGS_MAX || bytes > SIZE_MAX / 2)
        return __real_mmap(address, bytes, protection, flags, fd, offset);
    const size_t room = round_up(bytes) + 2 * PAGE;
    uint8_t *base =
        __real_mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return base;
    void *inside = __real_mmap(base + PAGE, bytes, protection, flags | MAP_FIXED, fd, offset);
    if (inside == MAP_FAILED)
        __real_munmap(base, room);
    else
        guarded[place] = inside;
    return inside;
}

int __wrap_munmap(void *address, size_t bytes) {
    for (unsigned i = 0; i < MAPPINGS_MAX; i++) {
        if (guarded[i] != address)
            continue;
        guarded[i] = NULL;
        return __real_munmap((uint8_t *)address - PAGE, round_up(bytes) + 2 * PAGE);
    }
    return __real_munmap(address, bytes);
}
