/* Descriptors of every kind, seal, size and number, in each message that has some. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- a zoo ---- */

static int open_path(const char *path) {
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int make_pipe(void) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    close(ends[1]);
    return ends[0];
}

static int make_orphan_socket(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    close(pair[1]);
    return pair[0];
}

/* Whoever closes it last waits until what was sent has arrived, which it never does. */
static int make_lingering_socket(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    const struct linger linger = {.l_onoff = 1, .l_linger = 10};
    static char bytes[1 << 16];
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
        connect(fd, (struct sockaddr *)&address, length) == 0) {
        while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    return fd; /* the listener stays open, with the other end in its queue */
}

static int make_signalfd(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

enum { ZOO_MAX = 32 };
static unsigned open_zoo(int *fds) {
    const int all[] = {open_path("/"),
                       open_path("/dev/null"),
                       open_path("/dev/zero"),
                       open_path("/dev/tty"),
                       open_path("/proc/self/mem"),
                       open_path("/proc/self/maps"),
                       open_path("/proc/self/exe"),
                       open_path("/proc/self/ns/user"),
                       open("/", O_PATH | O_CLOEXEC),
                       make_pipe(),
                       make_orphan_socket(),
                       make_lingering_socket(),
                       make_signalfd(),
                       epoll_create1(EPOLL_CLOEXEC),
                       eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                       timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC),
                       inotify_init1(IN_CLOEXEC),
                       pidfd_open(getpid(), 0),
                       socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                       (int)memfd_create("plain", MFD_CLOEXEC)};
    unsigned count = 0;
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i] >= 0)
            fds[count++] = all[i];
    return count;
}

/* ---- memory that is nearly right ---- */

enum { ALL_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL };

static int make_memory(uint64_t bytes, int seals, unsigned flags) {
    const int fd = memfd_create("nearly", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    if (fd < 0)
        return -1;
    if ((bytes && ftruncate(fd, (off_t)bytes) < 0) ||
        (seals && fcntl(fd, F_ADD_SEALS, seals) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The same, opened once more in another mode. */
static int open_again(int fd, int mode) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const int again = open(path, mode | O_CLOEXEC);
    close(fd);
    return again;
}

static unsigned open_nearly_right(uint64_t bytes, int *fds) {
    const int all[] = {
        make_memory(bytes, ALL_SEALS & ~F_SEAL_SHRINK, 0),
        make_memory(bytes, ALL_SEALS & ~F_SEAL_GROW, 0),
        make_memory(bytes, ALL_SEALS & ~F_SEAL_FUTURE_WRITE, 0),
        make_memory(bytes, ALL_SEALS & ~F_SEAL_SEAL, 0),
        make_memory(bytes, 0, 0),
        make_memory(0, ALL_SEALS, 0),
        make_memory(1, ALL_SEALS, 0),
        make_memory(bytes - 1, ALL_SEALS, 0),
        make_memory(bytes + 1, ALL_SEALS, 0),
        make_memory(bytes - PAGE_BYTES, ALL_SEALS, 0),
        make_memory(bytes + PAGE_BYTES, ALL_SEALS, 0),
        make_memory(UINT64_C(1) << 40, ALL_SEALS, 0),
        make_memory(INT64_MAX, ALL_SEALS, 0),
        make_memory(UINT64_C(2) << 20, ALL_SEALS, MFD_HUGETLB),
        open_again(make_memory(bytes, ALL_SEALS & ~F_SEAL_SEAL, 0), O_RDONLY),
        open_again(make_memory(bytes + PAGE_BYTES, ALL_SEALS, 0), O_WRONLY),
        open_again(make_memory(bytes + PAGE_BYTES, ALL_SEALS, 0), O_PATH),
    };
    unsigned count = 0;
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i] >= 0)
            fds[count++] = all[i];
    return count;
}

/* ---- each in each message ---- */

/* A ring is announced, so that its links are due. */
static void announce_ring(struct intruder *intruder) {
    union message message;
    struct intruder_ring ring;
    if (intruder_make_ring("zoo", 8, &ring) < 0)
        attack_fail("make a ring", 0);
    intruder_fill_ring(&message, "zoo", 4);
    intruder_send_message(intruder, &message, &ring.fd);
    intruder_drop_ring(&ring);
}

/* In place `place` of the message's descriptors; the others are as good as these. */
static void send_one(enum message_type type, int fd) {
    struct intruder intruder;
    union message message;
    int fds[3] = {fd, fd, fd};
    attack_open(&intruder);
    switch (type) {
    case MESSAGE_OPEN_RING:
        intruder_fill_ring(&message, "zoo", 0);
        break;
    case MESSAGE_OFFER_LINK:
        announce_ring(&intruder);
        message_init(&message, type, 0);
        break;
    default:
        intruder_fill_reader(&message, "zoo", 0);
    }
    intruder_send_message(&intruder, &message, fds);
    attack_expect(&intruder, VERDICT_CUT, -EPROTO, "a descriptor of another kind");
    intruder_close(&intruder);
}

static const enum message_type with_fds[] = {MESSAGE_OPEN_RING, MESSAGE_OFFER_LINK,
                                             MESSAGE_OPEN_READER};
enum { WITH_FDS = sizeof(with_fds) / sizeof(with_fds[0]) };

static void send_all(const int *fds, unsigned count) {
    for (unsigned i = 0; i < count && attack_goes_on(); i++)
        for (unsigned type = 0; type < WITH_FDS; type++)
            send_one(with_fds[type], fds[i]);
}

static void close_all(const int *fds, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

static void send_zoo(struct attacker *attacker) {
    (void)attacker;
    int fds[ZOO_MAX];
    const unsigned count = open_zoo(fds);
    while (attack_goes_on())
        send_all(fds, count);
}

static void send_nearly_right(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        static const uint64_t sizes[WITH_FDS] = {sizeof(struct ring) + 8 * PAGE_BYTES,
                                                 LINK_PAGE_BYTES, RECORD_BYTES};
        for (unsigned type = 0; type < WITH_FDS && attack_goes_on(); type++) {
            int fds[ZOO_MAX];
            const unsigned count = open_nearly_right(sizes[type], fds);
            for (unsigned i = 0; i < count; i++)
                send_one(with_fds[type], fds[i]);
            close_all(fds, count);
        }
    }
}

/* Of the last one that sees it, each close waits for seconds. */
static void send_what_blocks_on_close(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        const int fd = make_lingering_socket();
        struct intruder intruder;
        union message message;
        attack_open(&intruder);
        intruder_fill_reader(&message, "zoo", 0);
        intruder_send_message(&intruder, &message, &fd);
        close(fd);
        attack_expect(&intruder, VERDICT_CUT, -EPROTO, "a descriptor that blocks on close");
        intruder_close(&intruder);
    }
}

/* ---- numbers of them ---- */

static void send_number(enum message_type type, unsigned count) {
    enum { MOST = 253 };
    struct intruder intruder;
    union message message;
    int fds[MOST];
    for (unsigned i = 0; i < MOST; i++)
        fds[i] = STDIN_FILENO;
    attack_open(&intruder);
    message_init(&message, type, 9);
    if (intruder_send(&intruder, &message, message.header.bytes, fds, count) == 0)
        attack_expect(&intruder, VERDICT_CUT, 0, "another number of descriptors");
    intruder_close(&intruder);
}

static void send_numbers(struct attacker *attacker) {
    static const unsigned counts[] = {0, 1, 2, 3, 4, 5, 6, 16, 200, 253};
    (void)attacker;
    while (attack_goes_on())
        for (unsigned type = MESSAGE_OPEN_RING; type <= MESSAGE_COMMAND && attack_goes_on(); type++)
            for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
                if (counts[i] != message_fds((enum message_type)type))
                    send_number((enum message_type)type, counts[i]);
}

/* Sockets that hold sockets that hold descriptors, on their way to somebody who reads none of it.
 */
static void send_nested(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        int pair[2] = {-1, -1};
        for (unsigned depth = 0; depth < 4; depth++) {
            struct intruder holder;
            int next[2];
            if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, next) < 0)
                attack_fail("make a socket", -errno);
            holder.socket = next[0];
            if (depth > 0) {
                intruder_send(&holder, "x", 1, pair, 2);
                close_all(pair, 2);
            }
            memcpy(pair, next, sizeof(pair));
        }
        send_one(MESSAGE_OPEN_READER, pair[1]);
        close_all(pair, 2);
    }
}

const struct attack attacks_with_descriptors[] = {
    {"descriptor-zoo", "session", "cut, -EPROTO", send_zoo, 0},
    {"nearly-right-memory", "session", "cut, -EPROTO", send_nearly_right, 0},
    {"blocks-on-close", "session", "cut, -EPROTO", send_what_blocks_on_close, 0},
    {"descriptor-numbers", "session", "cut", send_numbers, 0},
    {"nested-sockets", "session", "cut, -EPROTO", send_nested, 0},
    {"descriptor-zoo-uid", "stranger", "cut, -EPROTO", send_zoo, ATTACK_AS_STRANGER},
    {NULL, NULL, NULL, NULL, 0},
};
