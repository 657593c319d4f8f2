#include "intruder.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MS = 15000, PING = 0x70696e67, FDS_MAX = 253 };

/* ---- a session ---- */

int intruder_connect(struct intruder *intruder) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *intruder = (struct intruder){.socket = -1};
    message_put_text(address.sun_path, sizeof(address.sun_path), board->socket);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        const int code = -errno;
        close(fd);
        return code;
    }
    intruder->socket = fd;
    return 0;
}

int intruder_open(struct intruder *intruder, const char *name) {
    union message message;
    struct channel_mail mail;
    int code = intruder_connect(intruder);
    if (code < 0)
        return code;
    message_init(&message, MESSAGE_HELLO, 1);
    message_put_text(message.hello.name, sizeof(message.hello.name), name);
    message.hello.now_ns = shmframe_now_ns();
    intruder_send_message(intruder, &message, NULL);
    code = intruder_await(intruder, MESSAGE_WELCOME, &mail);
    if (code == 0)
        code = region_map(mail.fd[0], NOTICE_BYTES, &intruder->notice);
    if (code < 0) {
        intruder_close(intruder);
        return code;
    }
    channel_close_fds(&mail);
    return 0;
}

void intruder_close(struct intruder *intruder) {
    if (intruder->socket >= 0)
        close(intruder->socket);
    region_unmap(&intruder->notice);
    intruder->socket = -1;
}

/* ---- sending ---- */

int intruder_send(struct intruder *intruder, const void *bytes, size_t count, const int *fds,
                  unsigned fd_count) {
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr parts = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        parts.msg_control = &control;
        parts.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *item = CMSG_FIRSTHDR(&parts);
        *item = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                 .cmsg_type = SCM_RIGHTS,
                                 .cmsg_len = CMSG_LEN(fd_count * sizeof(int))};
        memcpy(CMSG_DATA(item), fds, fd_count * sizeof(int));
    }
    return sendmsg(intruder->socket, &parts, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int intruder_send_message(struct intruder *intruder, const union message *message, const int *fds) {
    return intruder_send(intruder, message, message->header.bytes, fds,
                         message_fds((enum message_type)message->header.type));
}

/* ---- hearing ---- */

static int receive(struct intruder *intruder, struct channel_mail *out_mail) {
    struct pollfd poll_socket = {.fd = intruder->socket, .events = POLLIN};
    if (poll(&poll_socket, 1, ANSWER_MS) != 1)
        return -ETIMEDOUT;
    const int code = channel_receive(intruder->socket, out_mail);
    if (code == 0 && out_mail->message.header.type == MESSAGE_ERROR) {
        intruder->code = out_mail->message.error.code;
        message_put_text(intruder->text, sizeof(intruder->text), out_mail->message.error.text);
    }
    return code;
}

int intruder_await(struct intruder *intruder, enum message_type type,
                   struct channel_mail *out_mail) {
    for (;;) {
        const int code = receive(intruder, out_mail);
        if (code < 0)
            return code;
        if (out_mail->message.header.type == type)
            return 0;
        if (out_mail->message.header.type == MESSAGE_ERROR)
            return intruder->code;
        channel_close_fds(out_mail);
    }
}

enum verdict intruder_judge(struct intruder *intruder) {
    union message message;
    struct channel_mail mail;
    intruder->code = 0;
    message_init(&message, MESSAGE_LIST_READERS, PING);
    strcpy(message.list.stream, "there-is-no-such");
    intruder_send_message(intruder, &message, NULL);
    for (int said = 0;; said = intruder->code) {
        const int code = receive(intruder, &mail);
        if (code == -ETIMEDOUT)
            board_fault("an intruder hears nothing");
        if (code < 0)
            return VERDICT_CUT;
        channel_close_fds(&mail);
        if (mail.message.header.cookie != PING || intruder->code != -ENOENT)
            continue;
        intruder->code = said; /* the answer is an ERROR itself */
        return said ? VERDICT_REFUSED : VERDICT_HARMLESS;
    }
}

/* ---- as a reader ---- */

int intruder_make_record(struct region *out_region) {
    int fd;
    const int code = region_create("intruder-record", RECORD_BYTES, out_region, &fd);
    if (code < 0)
        return code;
    region_seal(fd, REGION_SEALED);
    return fd;
}

void intruder_fill_reader(union message *message, const char *stream, uint32_t entry) {
    message_init(message, MESSAGE_OPEN_READER, 3);
    message_put_text(message->open_reader.stream, sizeof(message->open_reader.stream), stream);
    strcpy(message->open_reader.name, "intruder");
    message->open_reader.reader = entry;
    message->open_reader.policy = SHMFRAME_IN_ORDER;
    message->open_reader.depth = 4;
    message->open_reader.leases = SHMFRAME_LEASES_MAX;
}

int intruder_join(struct intruder *intruder, const char *stream, int record,
                  struct intruder_link *out_link) {
    union message message;
    struct channel_mail mail;
    struct region region = {0};
    const int fd = record < 0 ? intruder_make_record(&region) : record;
    intruder_fill_reader(&message, stream, 0);
    intruder_send_message(intruder, &message, &fd);
    region_unmap(&region);
    if (record < 0)
        close(fd);
    int code = intruder_await(intruder, MESSAGE_LINK, &mail);
    if (code < 0)
        return code;
    *out_link = (struct intruder_link){.message = mail.message.link};
    memcpy(out_link->fd, mail.fd, sizeof(out_link->fd));
    code = region_map(mail.fd[0], sizeof(struct ring), &out_link->ring);
    if (code == 0)
        code = region_map_lease(mail.fd[1], LINK_PAGE_BYTES, &out_link->lease);
    if (code == 0)
        code = region_map(mail.fd[2], LINK_PAGE_BYTES, &out_link->bell);
    return code;
}

void intruder_leave(struct intruder_link *link) {
    region_unmap(&link->ring);
    region_unmap(&link->lease);
    region_unmap(&link->bell);
    for (unsigned i = 0; i < 4; i++)
        close(link->fd[i]);
}

/* ---- as a writer ---- */

int intruder_make_ring(const char *stream, uint32_t slots, struct intruder_ring *out_ring) {
    struct ring_geometry geometry = {.group = ""};
    struct shmframe_format format;
    *out_ring = (struct intruder_ring){.fd = -1};
    message_put_text(geometry.stream, sizeof(geometry.stream), stream);
    shmframe_format_data(&format, "evil", 256);
    int code = layout_plan(&geometry, &format, sizeof(struct ring) + slots * PAGE_BYTES, 1);
    if (code == 0)
        code = region_create("evil-ring", geometry.ring_bytes, &out_ring->region, &out_ring->fd);
    if (code < 0)
        return code;
    out_ring->memory = out_ring->region.base;
    out_ring->memory->geometry = geometry;
    return region_seal(out_ring->fd, REGION_SEALED);
}

void intruder_drop_ring(struct intruder_ring *ring) {
    for (uint32_t i = 0; i < ring->links; i++) {
        region_unmap(&ring->bells[i]);
        region_unmap(&ring->leases[i]);
    }
    region_unmap(&ring->region);
    close(ring->fd);
}

void intruder_fill_ring(union message *message, const char *stream, uint32_t links) {
    message_init(message, MESSAGE_OPEN_RING, 2);
    message_put_text(message->open_ring.stream, sizeof(message->open_ring.stream), stream);
    message->open_ring.loans = 1;
    message->open_ring.history = 2;
    message->open_ring.links = links;
}

static void offer(struct intruder *intruder, struct intruder_ring *ring, uint32_t entry) {
    union message message;
    int fds[3], pair[2];
    region_create("evil-lease", LINK_PAGE_BYTES, &ring->leases[entry], &fds[0]);
    region_seal(fds[0], REGION_LEASE);
    region_create("evil-bell", LINK_PAGE_BYTES, &ring->bells[entry], &fds[1]);
    region_seal(fds[1], REGION_SEALED);
    ring->bell[entry] = ring->bells[entry].base;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    fds[2] = pair[0];
    message_init(&message, MESSAGE_OFFER_LINK, 0);
    message.offer_link.entry = entry;
    message.offer_link.serial = 100 + entry;
    intruder_send_message(intruder, &message, fds);
    for (unsigned i = 0; i < 3; i++)
        close(fds[i]);
    close(pair[1]);
}

int intruder_write(struct intruder *intruder, const char *stream, struct intruder_ring *ring) {
    enum { LINKS = 4 };
    union message message;
    struct channel_mail mail;
    intruder_fill_ring(&message, stream, LINKS);
    intruder_send_message(intruder, &message, &ring->fd);
    for (uint32_t i = 0; i < LINKS; i++)
        offer(intruder, ring, i);
    ring->links = LINKS;
    const int code = intruder_await(intruder, MESSAGE_OPENED, &mail);
    if (code == 0)
        ring->generation = mail.message.opened.generation;
    return code;
}
