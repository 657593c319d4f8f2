/* Links: both ends of what ties one reader to one ring, made and checked off the frame path. */
#ifndef SHMFRAME_SRC_LINK_H
#define SHMFRAME_SRC_LINK_H

#include "channel.h"
#include "region.h"
#include "ring.h"

#include <sys/queue.h>

/* ---- the writer's end ---- */

enum { LINK_OFFER_FDS = 3 };

struct link_writer {
    struct ring_link core; /* first: the ring knows it by this */
    struct region lease, bell;
};

/* Makes a link; its descriptors for OFFER_LINK (lease, bell, wake) are the caller's.
 * Errors: -ENOMEM, -EMFILE, -ENFILE, -ENOTSUP. */
int link_writer_create(uint32_t entry, uint32_t serial, struct link_writer **out_link,
                       int out_fds[LINK_OFFER_FDS]);
void link_writer_destroy(struct link_writer *link);

/* ---- the reader's end ---- */

struct link_reader {
    TAILQ_ENTRY(link_reader) next;
    struct ring_reader core;
    struct region ring, lease, bell;
    int wake;                        /* socket; -1: closed by the writer */
    struct ring_geometry geometry;   /* the checked copy */
    uint32_t bytes_max, samples_max; /* that a frame of its format can say it has */
    uint32_t generation;
    uint32_t gone_generation; /* rings up to it had lost their writer when this one came */
    uint32_t slots_due;       /* were backed with memory before the first lease */
    bool is_watched;          /* `wake` is in the reader's epoll set */
};
TAILQ_HEAD(link_reader_list, link_reader);

/* Checks and maps what came with a LINK for `stream`, backs the slots that it needs with memory,
 * and takes the wake socket out of `mail`. After an error that is not the peer's it can be tried
 * again. Errors: -EPROTO, -EPROTONOSUPPORT, -ENOMEM, -ENFILE. */
int link_reader_create(struct channel_mail *mail, const char *stream,
                       struct link_reader **out_link);
void link_reader_destroy(struct link_reader *link);

#endif
