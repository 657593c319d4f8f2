/* Notice: the page through which the supervisor speaks to one session without its asking. */
#ifndef SERVER_NOTICE_H
#define SERVER_NOTICE_H

#include "layout.h"
#include "region.h"

#include <sys/types.h>

struct notice {
    struct region region;
    struct notice_page *page; /* NULL: none */
};

/* Makes and seals a page; `out_fd` is the caller's, for the peer.
 * Errors: -ENOMEM, -EMFILE, -ENFILE, -ENOTSUP. */
int notice_create(struct notice *notice, int *out_fd);
void notice_destroy(struct notice *notice);

/* Changes an entry, then wakes who sleeps on the page. `pid` and `start_time` tell who holds a
 * link; 0 for other entries. */
void notice_set_entry(struct notice *notice, uint32_t entry, uint64_t word, pid_t pid,
                      uint64_t start_time);

/* Says that one more message is in the session's socket. */
void notice_mail(struct notice *notice);

#endif
