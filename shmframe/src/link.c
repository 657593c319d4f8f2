#include "link.h"

#include "error.h"
#include "format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- the writer's end ---- */

/* The writer only looks at the lease page: its own mapping may not write it either. */
static int create_lease_page(struct region *out_region, int *out_fd) {
    struct region made;
    int code = region_create_page("shmframe-lease", LINK_PAGE_BYTES, REGION_LEASE, &made, out_fd);
    if (code < 0)
        return code;
    region_unmap(&made);
    return region_map(*out_fd, LINK_PAGE_BYTES, out_region);
}

static int create_wake(int *out_ours, int *out_theirs) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return error_kernel(errno, "no pair of sockets for a reader");
    *out_ours = ends[0];
    *out_theirs = ends[1];
    return 0;
}

int link_writer_create(uint32_t entry, uint32_t serial, struct link_writer **out_link,
                       int out_fds[LINK_OFFER_FDS]) {
    struct link_writer *link = calloc(1, sizeof(*link));
    if (!link)
        return error_set(-ENOMEM, "no memory for a link");
    int fds[LINK_OFFER_FDS] = {-1, -1, -1};
    link->core.wake = -1;
    int code = create_lease_page(&link->lease, &fds[0]);
    if (code == 0)
        code = region_create_page("shmframe-bell", LINK_PAGE_BYTES, REGION_SEALED, &link->bell,
                                  &fds[1]);
    if (code == 0)
        code = create_wake(&link->core.wake, &fds[2]);
    if (code < 0) {
        for (unsigned i = 0; i < LINK_OFFER_FDS; i++)
            close_fd(&fds[i]);
        link_writer_destroy(link);
        return code;
    }
    link->core.lease = link->lease.base;
    link->core.bell = link->bell.base;
    link->core.entry = entry;
    link->core.serial = serial;
    memcpy(out_fds, fds, sizeof(fds));
    *out_link = link;
    return 0;
}

void link_writer_destroy(struct link_writer *link) {
    region_unmap(&link->lease);
    region_unmap(&link->bell);
    close_fd(&link->core.wake);
    free(link);
}

/* ---- the reader's end ---- */

static int map_ring(struct link_reader *link, int fd, const char *stream) {
    size_t bytes;
    int code = region_check(fd, REGION_SEALED, 0, &bytes);
    if (code < 0)
        return code;
    if (bytes < sizeof(struct ring))
        return error_set(-EPROTO, "a ring of %zu bytes is too short to be one", bytes);
    code = region_map(fd, bytes, &link->ring);
    if (code < 0)
        return code;
    const struct ring *ring = link->ring.base;
    link->geometry = ring->geometry; /* copied once; only the copy is looked at */
    code = layout_check(&link->geometry, bytes);
    if (code == 0 && strcmp(link->geometry.stream, stream) != 0)
        code = error_set(-EPROTO, "a ring of stream '%s' came for stream '%s'",
                         link->geometry.stream, stream);
    return code;
}

/* Time and lack of memory fall on us, who ask for the slots, before we hold one. */
static int warm_ring(struct link_reader *link, const struct message_link *message) {
    const struct ring_geometry *geometry = &link->geometry;
    link->slots_due = message->slots < geometry->slots ? message->slots : geometry->slots;
    int code = region_populate(&link->ring, 0, offsetof(struct ring, slot[link->slots_due]), false);
    if (code == 0)
        code = region_populate(&link->ring, geometry->payload_offset,
                               geometry->slot_stride * link->slots_due, false);
    return code;
}

static int map_bell(struct link_reader *link, int fd) {
    int code = region_check(fd, REGION_SEALED, LINK_PAGE_BYTES, NULL);
    return code == 0 ? region_map(fd, LINK_PAGE_BYTES, &link->bell) : code;
}

static int check_wake(int fd) {
    int type = 0;
    socklen_t length = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_SEQPACKET)
        return error_set(-EPROTO, "a link's wake descriptor is not a socket of a pair");
    return 0;
}

/* Once mapped it is sealed, and cannot be mapped again. */
static int map_lease(struct link_reader *link, int fd) {
    int code = region_check(fd, REGION_LEASE, LINK_PAGE_BYTES, NULL);
    return code == 0 ? region_map_lease(fd, LINK_PAGE_BYTES, &link->lease) : code;
}

static int check_grant(const struct message_link *message) {
    if (message->leases == 0 || message->leases > SHMFRAME_LEASES_MAX || message->generation == 0)
        return error_set(-EPROTO, "a link grants %u leases in generation %u", message->leases,
                         message->generation);
    return 0;
}

static void init_core(struct link_reader *link, const struct message_link *message) {
    const struct shmframe_format *format = &link->geometry.format;
    link->bytes_max = format_bytes_max(format);
    link->samples_max = format->kind == SHMFRAME_AUDIO ? format->audio.samples_max : UINT32_MAX;
    link->generation = message->generation;
    link->gone_generation = message->gone_generation;
    link->core = (struct ring_reader){
        .ring = link->ring.base,
        .lease = link->lease.base,
        .bell = link->bell.base,
        .slots = link->geometry.slots,
        .leases = message->leases,
        .is_lossless = message->is_lossless,
        .depth = message->depth,
        .begin = message->flags & MESSAGE_FROM_START ? RING_BEGIN_FIRST
                 : message->is_lossless              ? RING_BEGIN_TOLD
                                                     : RING_BEGIN_NEWEST,
    };
}

int link_reader_create(struct channel_mail *mail, const char *stream,
                       struct link_reader **out_link) {
    struct link_reader *link = calloc(1, sizeof(*link));
    if (!link)
        return error_set(-ENOMEM, "no memory for a link");
    link->wake = -1;
    int code = check_grant(&mail->message.link);
    if (code == 0)
        code = map_ring(link, mail->fd[0], stream);
    if (code == 0)
        code = warm_ring(link, &mail->message.link);
    if (code == 0)
        code = map_bell(link, mail->fd[2]);
    if (code == 0)
        code = check_wake(mail->fd[3]);
    if (code == 0)
        code = map_lease(link, mail->fd[1]);
    if (code < 0) {
        link_reader_destroy(link);
        return code;
    }
    link->wake = mail->fd[3];
    mail->fd[3] = -1;
    init_core(link, &mail->message.link);
    *out_link = link;
    return 0;
}

void link_reader_destroy(struct link_reader *link) {
    region_unmap(&link->ring);
    region_unmap(&link->lease);
    region_unmap(&link->bell);
    close_fd(&link->wake);
    free(link);
}
