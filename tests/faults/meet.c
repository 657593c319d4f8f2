#include "meet.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fault_page *page;
static uintptr_t base, end; /* of the product's file in memory */
static _Thread_local bool is_exempt;

struct fault_page *fault_page(void) {
    return page;
}

void fault_exempt_thread(void) {
    is_exempt = true;
}

void *fault_real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

bool fault_is_ours(const void *caller) {
    return !is_exempt && (uintptr_t)caller >= base && (uintptr_t)caller < end;
}

/* Found or made; NULL: the table is full, which the test looks for. */
static struct fault_place *find_place(uint64_t address, enum fault_kind kind) {
    for (unsigned i = 0; i < FAULT_PLACES_MAX; i++) {
        struct fault_place *place = &page->place[(address + i) % FAULT_PLACES_MAX];
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(&place->address, &found, address) || found == address) {
            atomic_store(&place->kind, kind);
            return place;
        }
    }
    return NULL;
}

int fault_meet(enum fault_kind kind, const void *caller) {
    if (!page || atomic_load(&page->mode) == FAULT_OFF || !fault_is_ours(caller))
        return 0;
    const uint64_t address = (uintptr_t)caller - base;
    struct fault_place *place = find_place(address, kind);
    const uint32_t nth = place ? atomic_fetch_add(&place->calls, 1) + 1 : 0;
    if (atomic_load(&page->mode) != FAULT_FAIL || address != page->address || nth != page->nth)
        return 0;
    atomic_store(&page->mode, FAULT_OFF);
    atomic_store(&page->fired, 1);
    return page->error;
}

/* ---- start ---- */

static int find_product(struct dl_phdr_info *info, size_t bytes, void *user) {
    (void)bytes;
    const char *wanted = user; /* "": the program itself, which comes first */
    if (wanted[0] && !strstr(info->dlpi_name, wanted))
        return 0;
    base = info->dlpi_addr;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            const uintptr_t last = base + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
            end = last > end ? last : end;
        }
    return 1;
}

/* Preloaded: into the supervisor, and into what it runs, which is none of ours. */
__attribute__((constructor)) static void start(void) {
    const char *path = getenv("FAULT_PAGE");
    if (path && strcmp(program_invocation_short_name, "shmframed") != 0)
        return;
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (path && fd < 0)
        abort();
    struct fault_page *made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE,
                                   path ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS, fd, 0);
    if (made == MAP_FAILED)
        abort();
    if (fd >= 0)
        close(fd);
    dl_iterate_phdr(find_product, (void *)(path ? "" : "libshmframe.so"));
    page = made;
}
