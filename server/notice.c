#include "notice.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Threads of one process that may sleep on its page: its readers. The bound is for a peer that
 * parks thousands, which would cost us time that belongs to the others. */
enum { WAKE_MAX = 64 };

int notice_create(struct notice *notice, int *out_fd) {
    struct region region;
    int code = region_create_page("shmframe-notice", NOTICE_BYTES, REGION_SEALED, &region, out_fd);
    if (code < 0)
        return code;
    notice->region = region;
    notice->page = region.base;
    notice->page->abi = LAYOUT_ABI;
    notice->page->entries = NOTICE_ENTRIES;
    return 0;
}

void notice_destroy(struct notice *notice) {
    region_unmap(&notice->region);
    notice->page = NULL;
}

static void bump(struct notice_page *page) {
    /* G -> loan, acquire: only we write the word; the store carries what was changed before it. */
    const uint32_t word = atomic_load_explicit(&page->word, memory_order_relaxed);
    atomic_store_explicit(&page->word, word + 1, memory_order_release);
    syscall(SYS_futex, &page->word, FUTEX_WAKE, WAKE_MAX, NULL, NULL, 0);
}

void notice_set_entry(struct notice *notice, uint32_t entry, uint64_t word, pid_t pid,
                      uint64_t start_time) {
    struct notice_entry *place = &notice->page->entry[entry];
    atomic_store_explicit(&place->pid, (uint32_t)pid, memory_order_relaxed);
    atomic_store_explicit(&place->start_time, start_time, memory_order_relaxed);
    atomic_store_explicit(&place->word, word, memory_order_release); /* G */
    bump(notice->page);
}

void notice_mail(struct notice *notice) {
    struct notice_page *page = notice->page;
    const uint32_t mail = atomic_load_explicit(&page->mail, memory_order_relaxed);
    atomic_store_explicit(&page->mail, mail + 1, memory_order_relaxed); /* G: carried by bump() */
    bump(page);
}
