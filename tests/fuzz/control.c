/* Control: what sessions may say to the supervisor, with whatever descriptors, in any order.
 *
 * The supervisor's own code is here, its loop driven turn by turn. An input is a byte of how it
 * begins, then steps, each an enum step and what that takes. After each step all that it knows must
 * hang together; once all have left, nothing of theirs may be left.
 */
#include "clock.h"
#include "host.h"
#include "input.h"
#include "phrase.h"
#include "stock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum step {
    STEP_CONNECT = 0,
    STEP_SAY,
    STEP_OPEN_WHOLE, /* OPEN_RING and the offers that it announces */
    STEP_SAY_AGAIN,
    STEP_SAY_RAW,
    STEP_HEAR,
    STEP_LEAVE,
    STEP_WAIT,
    STEP_SCRIBBLE, /* on pages that peers can write */
    STEP_DIE,      /* the process that all peers are in */
    STEPS,
};

enum {
    PEERS = 6,
    STEPS_MAX = 160,
    AGAIN_MAX = 40,
    GROWTH_MAX = 16 << 20, /* bytes while they are here */
    REST_MAX = 256 << 10,  /* bytes that a loop may keep for later */
};
enum begin { BEGIN_IN_GRACE = 1, BEGIN_WITH_FOLDER = 2, BEGIN_CONNECTED = 4 };

/* AddressSanitizer's. */
__attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes(void);

static int peer[PEERS];
static bool holds_back; /* the next step comes in the same turn */
static union message last;
static int last_fd[MESSAGE_FDS_MAX];

static size_t allocated_bytes(void) {
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : 0;
}

/* ---- coming and going ---- */

static void send_to(int socket, const void *bytes, size_t count, const int *fds,
                    unsigned fd_count) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr parts = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count) {
        parts.msg_control = &control;
        parts.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(fd_count * sizeof(int)),
                                          .cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
    }
    (void)sendmsg(socket, &parts, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void say_hello(int socket, int64_t apart_ns) {
    union message message;
    message_init(&message, MESSAGE_HELLO, 1);
    strcpy(message.hello.name, "fuzz\n\x1b[31m");
    message.hello.now_ns = clock_peek_ns() + apart_ns;
    send_to(socket, &message, message.header.bytes, NULL, 0);
}

static void leave(unsigned which) {
    if (peer[which] >= 0)
        close(peer[which]);
    peer[which] = -1;
}

/* As a listening socket would give it: the peer's process is this one. */
static void connect_peer(unsigned which, uint8_t manner) {
    int ends[2];
    leave(which);
    fuzz_must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
              "no sockets");
    peer[which] = ends[0];
    client_accept(host_server(), ends[1]);
    if (manner % 8 != 7) /* the others keep silent */
        say_hello(ends[0], manner % 8 == 6 ? 20 * SECOND_NS : 0);
}

/* ---- messages ---- */

static void send_last(unsigned which) {
    if (peer[which] >= 0)
        send_to(peer[which], &last, last.header.bytes, last_fd, message_fds(last.header.type));
}

static void say(struct input *input, unsigned which) {
    const enum message_type type = 1 + input_below(input, MESSAGE_TYPES - 1);
    message_init(&last, type, input_below(input, 8));
    phrase_fill(input, &last);
    phrase_pick_fds(input, &last, last_fd);
    send_last(which);
}

/* The way a writer comes: nothing else gets as far in one step. */
static void open_whole(struct input *input, unsigned which) {
    const uint8_t ring = input_u8(input), shape = input_u8(input), entry = input_u8(input);
    const unsigned links = shape & 3;
    message_init(&last, MESSAGE_OPEN_RING, 1 + (shape >> 4 & 3));
    message_put_text(last.open_ring.stream, SHMFRAME_NAME_BYTES, stock_stream(ring));
    last.open_ring.writer = 1 + (shape >> 2 & 3);
    last.open_ring.flags = shape & 0x40 ? MESSAGE_LIVE : 0;
    last.open_ring.loans = last.open_ring.history = 1;
    last.open_ring.links = links;
    phrase_right_fds(&last, ring, last_fd);
    send_last(which);
    for (unsigned i = 0; i < links; i++) {
        message_init(&last, MESSAGE_OFFER_LINK, 0);
        last.offer_link.writer = 1 + (shape >> 2 & 3);
        last.offer_link.entry = 256 + entry + i;
        last.offer_link.serial = 1 + entry + i;
        phrase_right_fds(&last, 0, last_fd);
        send_last(which);
    }
}

static void say_raw(struct input *input, unsigned which) {
    uint8_t bytes[sizeof(union message) + 16];
    int fds[8];
    const size_t count = (input_u8(input) * 8u) % sizeof(bytes);
    const unsigned fd_count = input_below(input, 8);
    const bool has_header = input_u8(input) & 1;
    memset(bytes, 0, sizeof(bytes));
    if (has_header)
        message_init((union message *)(void *)bytes, 1 + input_below(input, MESSAGE_TYPES - 1), 1);
    for (unsigned i = 0; i < fd_count; i++)
        fds[i] = stock_fd((enum stock_kind)input_below(input, STOCK_KINDS), i);
    const size_t at = has_header ? input_u8(input) : 0;
    input_copy(input, bytes + at, count < 64 ? count : 64);
    if (peer[which] >= 0)
        send_to(peer[which], bytes, count, fds, fd_count);
}

/* ---- what is heard ---- */

static void check_heard(const struct channel_mail *mail) {
    const union message *message = &mail->message;
    fuzz_must(message_is_from_supervisor(message->header.type),
              "the supervisor says what is for sessions to say");
    if (message->header.type == MESSAGE_WELCOME)
        fuzz_must(host_is_sealed(mail->fd[0], true, NOTICE_BYTES), "a notice page is none");
    if (message->header.type == MESSAGE_RECORD)
        fuzz_must(host_is_sealed(mail->fd[0], true, RECORD_BYTES),
                  "a record is passed on that is none");
    if (message->header.type == MESSAGE_ERROR)
        fuzz_must(message->error.code < 0 && message->error.text[0], "an error without a reason");
    if (message->header.type != MESSAGE_LINK)
        return;
    fuzz_must(host_is_sealed(mail->fd[0], true, 0) &&
                  host_is_sealed(mail->fd[1], false, LINK_PAGE_BYTES) &&
                  host_is_sealed(mail->fd[2], true, LINK_PAGE_BYTES),
              "a link is passed on that is none");
    fuzz_must(message->link.leases >= 1 && message->link.leases <= SHMFRAME_LEASES_MAX &&
                  message->link.generation >= 1 && message->link.slots <= RING_SLOTS_MAX,
              "a link grants what nobody may have");
}

static void hear(unsigned which) {
    struct channel_mail mail;
    int code = -EAGAIN;
    while (peer[which] >= 0 && (code = channel_receive(peer[which], &mail)) == 0) {
        check_heard(&mail);
        channel_close_fds(&mail);
    }
    fuzz_must(code == -EAGAIN || code == -EPIPE, "the supervisor says what is no message");
}

/* ---- steps ---- */

static void scribble(struct input *input) {
    const uint8_t which = input_u8(input);
    const size_t place = (input_u8(input) | (size_t)input_u8(input) << 8) * 8;
    const uint64_t word = input_number(input) << (input_u8(input) & 15);
    if (which & 1) {
        /* head, index, ledger, incidents and, as a second mapping can, the geometry */
        const size_t room = offsetof(struct ring, slot) - sizeof(word);
        memcpy((uint8_t *)stock_ring(which >> 1) + place % room, &word, sizeof(word));
    } else {
        const size_t room = RECORD_BYTES - sizeof(word);
        memcpy((uint8_t *)stock_record(which >> 1) + place % room, &word, sizeof(word));
    }
}

static void wait_a_while(struct input *input) {
    static const int64_t spans_ns[] = {SECOND_NS / 1000, SECOND_NS / 3, SECOND_NS * 5 / 2,
                                       11 * SECOND_NS};
    clock_advance(spans_ns[input_below(input, 4)]);
}

static void die(void) {
    struct server *server = host_server();
    struct process *process;
    while ((process = TAILQ_FIRST(&server->processes)))
        server_process_died(server, process);
}

static void take_step(struct input *input) {
    const uint8_t first = input_u8(input);
    const unsigned which = input_u8(input) % PEERS;
    holds_back = first & 0x80;
    switch ((enum step)((first & 0x7f) % STEPS)) {
    case STEP_CONNECT:
        connect_peer(which, input_u8(input));
        break;
    case STEP_SAY:
        say(input, which);
        break;
    case STEP_OPEN_WHOLE:
        open_whole(input, which);
        break;
    case STEP_SAY_AGAIN:
        for (unsigned i = input_below(input, AGAIN_MAX); i > 0 && last.header.bytes; i--)
            send_last(which);
        break;
    case STEP_SAY_RAW:
        say_raw(input, which);
        break;
    case STEP_HEAR:
        hear(which);
        break;
    case STEP_LEAVE:
        leave(which);
        break;
    case STEP_WAIT:
        wait_a_while(input);
        break;
    case STEP_SCRIBBLE:
        scribble(input);
        break;
    case STEP_DIE:
        die();
        break;
    case STEPS:
        break;
    }
}

/* ---- a run ---- */

static void begin(uint8_t how, int folder) {
    struct server *server = host_server();
    clock_advance(1000 * SECOND_NS); /* budgets are full again */
    server->started_ns = clock_peek_ns() - (how & BEGIN_IN_GRACE ? 0 : 3600 * SECOND_NS);
    server->listener.folder = how & BEGIN_WITH_FOLDER ? folder : -1;
    last.header.bytes = 0;
    for (unsigned i = 0; i < PEERS; i++) {
        peer[i] = -1;
        if (how & BEGIN_CONNECTED)
            connect_peer(i, 0);
    }
    host_turn();
}

static void end(unsigned fds_before, size_t bytes_before) {
    struct server *server = host_server();
    static bool is_warm;
    for (unsigned i = 0; i < PEERS; i++) {
        hear(i);
        leave(i);
    }
    host_turn();
    host_check();
    die();
    clock_advance(4 * SECOND_NS);
    host_turn();
    host_check();
    fuzz_must(server->client_count == 0, "somebody is still here");
    host_forget();
    fuzz_must(TAILQ_EMPTY(&server->processes), "a process is watched for nobody");
    fuzz_must(host_count_fds() == fds_before, "descriptors are left");
    fuzz_must(!is_warm || allocated_bytes() <= bytes_before + REST_MAX, "memory is left");
    is_warm = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    struct input input = {bytes, count};
    struct server *server = host_server();
    const int folder = server->listener.folder;
    stock_reset();
    const unsigned fds_before = host_count_fds();
    const size_t bytes_before = allocated_bytes();
    begin(input_u8(&input), folder);
    for (unsigned i = 0; i < STEPS_MAX && input.left; i++) {
        take_step(&input);
        if (holds_back)
            continue;
        host_turn();
        host_check();
        fuzz_must(allocated_bytes() <= bytes_before + GROWTH_MAX, "memory grows without bound");
    }
    end(fds_before, bytes_before);
    server->listener.folder = folder;
    return 0;
}
