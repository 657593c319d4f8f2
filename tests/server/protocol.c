/* What a peer may say, and what it costs to say something else. */
#include "peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../message/raw.h"

static struct supervisor supervisor;
enum { LINKS_UNUSED_MAX = 256 };

static struct peer bystander; /* must notice nothing */

static void begin(void) {
    supervisor_prepare(&supervisor);
    supervisor_start(&supervisor);
    peer_open(&bystander, &supervisor, "bystander");
}

static void end(void) {
    peer_expect_silence(&bystander);
    peer_close(&bystander);
    supervisor_expect_fds_back(&supervisor);
    supervisor_clean(&supervisor);
}

static void end_with_leftovers(void) {
    peer_expect_silence(&bystander);
    peer_close(&bystander);
    supervisor_clean(&supervisor);
}

/* Sends a message with any length and descriptors; expects ERROR and the end. */
static void expect_thrown_out(const union message *message, size_t length, unsigned fds) {
    struct peer peer;
    peer_open(&peer, &supervisor, "rogue");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    send_raw(peer.socket, message, length, fd, fds);
    close(fd);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    peer_vanish(&peer);
}

START_TEST(hello_is_answered_with_a_sealed_notice_page) {
    struct peer peer;
    peer_open(&peer, &supervisor, "somebody");
    ck_assert_uint_eq(peer.page->abi, LAYOUT_ABI);
    ck_assert_uint_eq(peer.page->entries, NOTICE_ENTRIES);
    /* The count follows the message that it counts. */
    const int64_t until_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    while (atomic_load(&((struct notice_page *)peer.page)->mail) != 1) {
        ck_assert_int_lt(shmframe_now_ns(), until_ns);
        poll(NULL, 0, 1);
    }
    ck_assert_uint_ge(atomic_load(&((struct notice_page *)peer.page)->word), 1);
    peer_close(&peer);
}
END_TEST

START_TEST(another_version_hears_both_numbers) {
    struct peer peer = {.socket = peer_connect(&supervisor)};
    union message message;
    message_init(&message, MESSAGE_HELLO, 9);
    message.header.abi = LAYOUT_ABI + 41;
    send_raw(peer.socket, &message, message_bytes(MESSAGE_HELLO), -1, 0);
    const char *text = peer_expect_error(&peer, -EPROTONOSUPPORT);
    char number[16];
    snprintf(number, sizeof(number), "version %u", LAYOUT_ABI + 41);
    ck_assert_ptr_nonnull(strstr(text, number));
    snprintf(number, sizeof(number), "version %u", LAYOUT_ABI);
    ck_assert_ptr_nonnull(strstr(text, number));
    peer_expect_end(&peer);
    peer_vanish(&peer);
}
END_TEST

START_TEST(another_time_namespace_is_refused) {
    struct peer peer = {.socket = peer_connect(&supervisor)};
    union message message;
    message_init(&message, MESSAGE_HELLO, 9);
    message.hello.now_ns = shmframe_now_ns() + 11 * INT64_C(1000000000);
    peer_send(&peer, &message, NULL);
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&peer, -ENOTSUP), "time namespace"));
    peer_expect_end(&peer);
    peer_vanish(&peer);
    peer.socket = peer_connect(&supervisor);
    message.hello.now_ns = INT64_MIN;
    peer_send(&peer, &message, NULL);
    peer_expect_error(&peer, -ENOTSUP);
    peer_vanish(&peer);
}
END_TEST

START_TEST(hello_comes_first_and_once) {
    struct peer peer = {.socket = peer_connect(&supervisor)};
    union message message;
    message_init(&message, MESSAGE_LIST_STREAMS, 9);
    peer_send(&peer, &message, NULL);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    peer_vanish(&peer);
    message_init(&message, MESSAGE_HELLO, 9);
    message.hello.now_ns = shmframe_now_ns();
    expect_thrown_out(&message, message_bytes(MESSAGE_HELLO), 0);
}
END_TEST

START_TEST(who_says_nothing_is_not_waited_for) {
    struct peer peer = {.socket = peer_connect(&supervisor)};
    const int64_t begin_ns = shmframe_now_ns();
    peer_expect_end(&peer);
    ck_assert_int_ge(shmframe_now_ns() - begin_ns, 1500000000);
    peer_vanish(&peer);
}
END_TEST

START_TEST(every_message_of_another_size_costs_the_connection) {
    for (unsigned type = MESSAGE_HELLO; type < MESSAGE_TYPES; type++) {
        union message message;
        message_init(&message, type, 9);
        expect_thrown_out(&message, message_bytes(type) - 1, message_fds(type));
        char longer[2 * sizeof(message)] = {0};
        memcpy(longer, &message, sizeof(message));
        expect_thrown_out((const union message *)longer, message_bytes(type) + 1,
                          message_fds(type));
    }
    char longest[2 * sizeof(union message)] = {0};
    message_init((union message *)longest, MESSAGE_DONE, 9);
    expect_thrown_out((const union message *)longest, sizeof(longest), 0);
    expect_thrown_out((const union message *)longest, 1, 0);
}
END_TEST

START_TEST(every_other_number_of_descriptors_costs_the_connection) {
    for (unsigned type = MESSAGE_OPEN_RING; type <= MESSAGE_EVICT; type++) {
        union message message;
        message_init(&message, type, 9);
        for (unsigned fds = 0; fds <= 6; fds++)
            if (fds != message_fds(type))
                expect_thrown_out(&message, message_bytes(type), fds);
    }
    union message message;
    message_init(&message, MESSAGE_LIST_STREAMS, 9);
    expect_thrown_out(&message, message_bytes(MESSAGE_LIST_STREAMS), 16);
}
END_TEST

START_TEST(unknown_types_and_those_of_the_supervisor_cost_the_connection) {
    union message message;
    message_init(&message, MESSAGE_LIST_STREAMS, 9);
    static const uint16_t types[] = {MESSAGE_NONE, MESSAGE_TYPES, 0xffff};
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        message.header.type = types[i];
        expect_thrown_out(&message, message_bytes(MESSAGE_LIST_STREAMS), 0);
    }
    for (unsigned type = MESSAGE_WELCOME; type < MESSAGE_TYPES; type++) {
        if (message_is_from_session((enum message_type)type))
            continue;
        message_init(&message, type, 9);
        expect_thrown_out(&message, message_bytes(type), message_fds(type));
    }
}
END_TEST

/* OPEN_RING with `fd`; expects to be thrown out. */
static void expect_ring_thrown_out(int fd, const char *stream) {
    struct peer peer;
    peer_open(&peer, &supervisor, "rogue");
    union message message;
    message_init(&message, MESSAGE_OPEN_RING, 9);
    message_put_text(message.open_ring.stream, sizeof(message.open_ring.stream), stream);
    message.open_ring.loans = 1;
    message.open_ring.history = 1;
    peer_send(&peer, &message, &fd);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    peer_vanish(&peer);
}

static int memfd_with(int seals, size_t bytes) {
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static const int ALL_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

/* All is right of it but its seals. */
static int ring_with(int seals) {
    struct test_ring ring;
    ring_make(&ring, "test", 4);
    const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)ring.region.bytes), 0);
    ck_assert_int_eq(pwrite(fd, ring.memory, sizeof(*ring.memory), 0), sizeof(*ring.memory));
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    ring_drop(&ring);
    return fd;
}

START_TEST(a_ring_that_lacks_a_seal_costs_the_connection) {
    static const int lacking[] = {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL};
    for (unsigned i = 0; i < 4; i++) {
        int fd = memfd_with(ALL_SEALS & ~lacking[i], 1 << 20);
        expect_ring_thrown_out(fd, "test");
        close(fd);
        fd = ring_with(ALL_SEALS & ~lacking[i]);
        expect_ring_thrown_out(fd, "test");
        close(fd);
    }
}
END_TEST

START_TEST(what_is_no_memory_file_costs_the_connection) {
    int pipes[2];
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    const int fds[] = {pipes[0],
                       pipes[1],
                       open("/dev/null", O_RDWR | O_CLOEXEC),
                       open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                       open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
                       socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        expect_ring_thrown_out(fds[i], "test");
        close(fds[i]);
    }
}
END_TEST

/* Nobody passes what he likes in what is refused for something else. */
START_TEST(what_is_no_ring_costs_the_connection_whatever_else_is_wrong) {
    struct peer peer;
    union message message;
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    peer_open(&peer, &supervisor, "rogue");
    message_init(&message, MESSAGE_OPEN_RING, 9); /* no name, no loans */
    peer_send(&peer, &message, &fd);
    close(fd);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    peer_vanish(&peer);
}
END_TEST

#define EXPECT_LIE_THROWN_OUT(change)                                                              \
    do {                                                                                           \
        struct test_ring ring;                                                                     \
        ring_make(&ring, "test", 4);                                                               \
        struct ring_geometry *g = &ring.memory->geometry;                                          \
        change;                                                                                    \
        expect_ring_thrown_out(ring.fd, "test");                                                   \
        ring_drop(&ring);                                                                          \
    } while (0)

START_TEST(a_geometry_that_lies_costs_the_connection) {
    EXPECT_LIE_THROWN_OUT(g->magic++);
    EXPECT_LIE_THROWN_OUT(g->ring_bytes += PAGE_BYTES);
    EXPECT_LIE_THROWN_OUT(g->slots++);
    EXPECT_LIE_THROWN_OUT(g->slots = UINT32_MAX);
    EXPECT_LIE_THROWN_OUT(g->payload_offset = UINT64_MAX - PAGE_BYTES + 1);
    EXPECT_LIE_THROWN_OUT(g->slot_stride = 0);
    EXPECT_LIE_THROWN_OUT(g->format.slot_bytes = UINT64_C(1) << 31);
    EXPECT_LIE_THROWN_OUT(g->format.plane_count = 1000);
    EXPECT_LIE_THROWN_OUT(memset(g->stream, 'a', sizeof(g->stream)));
    EXPECT_LIE_THROWN_OUT(strcpy(g->stream, "other"));
    EXPECT_LIE_THROWN_OUT(strcpy(g->group, "A/B"));
    int fd = memfd_with(ALL_SEALS, PAGE_BYTES);
    expect_ring_thrown_out(fd, "test");
    close(fd);
}
END_TEST

START_TEST(a_ring_of_another_version_is_refused_and_no_more) {
    struct test_ring ring;
    struct peer peer;
    ring_make(&ring, "test", 4);
    ring.memory->geometry.abi++;
    peer_open(&peer, &supervisor, "writer");
    peer_send_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
    peer_expect_error(&peer, -EPROTONOSUPPORT);
    peer_expect_silence(&peer);
    peer_close(&peer);
    ring_drop(&ring);
}
END_TEST

/* OFFER_LINK with one descriptor exchanged; expects to be thrown out. */
static void expect_offer_thrown_out(unsigned place, int fd) {
    struct peer peer;
    struct test_ring ring;
    peer_open(&peer, &supervisor, "rogue");
    ring_make(&ring, "test", 8);
    peer_open_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
    union message message;
    message_init(&message, MESSAGE_OFFER_LINK, 0);
    message.offer_link.generation = 1;
    message.offer_link.entry = 7;
    message.offer_link.serial = 7;
    int fds[3];
    link_make(fds);
    const int kept = fds[place];
    fds[place] = fd;
    peer_send(&peer, &message, fds);
    fds[place] = kept;
    link_drop(fds);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    ring_drop(&ring);
    peer_vanish(&peer);
}

/* Each in a process of its own, so that the stream's name is free again. */
START_TEST(a_link_with_a_wrong_descriptor_costs_the_connection) {
    int lease_closed = memfd_with(ALL_SEALS, LINK_PAGE_BYTES);
    int lease_long = memfd_with(F_SEAL_SHRINK | F_SEAL_GROW, 2 * LINK_PAGE_BYTES);
    int bell_open = memfd_with(F_SEAL_SHRINK | F_SEAL_GROW, LINK_PAGE_BYTES);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int machine = socket(AF_VSOCK, SOCK_SEQPACKET | SOCK_CLOEXEC, 0); /* not every kernel has it */
    const struct {
        unsigned place;
        int fd;
    } cases[] = {{0, lease_closed}, {0, lease_long}, {0, null},   {1, bell_open},
                 {1, lease_long},   {1, null},       {2, null},   {2, lease_closed},
                 {2, inet},         {2, stream},     {2, machine}};
    const unsigned i = (unsigned)_i;
    if (cases[i].fd >= 0)
        expect_offer_thrown_out(cases[i].place, cases[i].fd);
    close(lease_closed);
    close(lease_long);
    close(bell_open);
    close(null);
    close(stream);
    if (inet >= 0)
        close(inet);
    if (machine >= 0)
        close(machine);
}
END_TEST

/* A link that a writer says its reader has, of a ring that comes back. */
static const struct {
    uint32_t announced, entry, depth, leases;
    enum entry_state state;
} held_lies[] = {
    {0, 20, 1, 1, ENTRY_GRANTED},
    {1, NOTICE_ENTRIES, 1, 1, ENTRY_GRANTED},
    {1, UINT32_MAX, 1, 1, ENTRY_GRANTED},
    {1, 5, 1, 1, ENTRY_GRANTED}, /* a reader's */
    {1, 20, SHMFRAME_DEPTH_MAX + 1, 1, ENTRY_GRANTED},
    {1, 20, 1, SHMFRAME_LEASES_MAX + 1, ENTRY_GRANTED},
    /* What is over is put down in the page, and no link is made of it. */
    {1, NOTICE_ENTRIES, 1, 1, ENTRY_GONE},
    {1, UINT32_MAX, 1, 1, ENTRY_GONE},
    {1, 5, 1, 1, ENTRY_GONE},
};
enum { HELD_LIES = sizeof(held_lies) / sizeof(held_lies[0]) };

START_TEST(a_held_link_that_cannot_be_costs_the_connection) {
    struct peer peer;
    struct test_ring ring;
    peer_open(&peer, &supervisor, "rogue");
    ring_make(&ring, "test", 8);
    peer_open_reader(&peer, "other", &(struct reader_options){.reader = 5});
    peer_send_ring(&peer, &ring, "test",
                   &(struct ring_options){
                       .flags = MESSAGE_RESYNC, .generation = 1, .held = held_lies[_i].announced});
    if (held_lies[_i].announced == 0) {
        struct channel_mail mail;
        peer_expect(&peer, MESSAGE_OPENED, &mail);
        peer_expect(&peer, MESSAGE_WANT_LINKS, &mail);
    }
    union message message;
    message_init(&message, MESSAGE_HELD_LINK, 0);
    message.held_link.generation = 1;
    message.held_link.entry = held_lies[_i].entry;
    message.held_link.pid = (uint32_t)getpid();
    message.held_link.start_time = (uint64_t)start_time_of(getpid());
    message.held_link.word = grant_word((struct grant){.serial = 120,
                                                       .depth = held_lies[_i].depth,
                                                       .leases = held_lies[_i].leases,
                                                       .state = held_lies[_i].state});
    peer_send(&peer, &message, NULL);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    ring_drop(&ring);
    peer_vanish(&peer);
}
END_TEST

START_TEST(a_link_for_a_ring_to_come_costs_the_connection) {
    struct peer peer;
    struct test_ring ring;
    peer_open(&peer, &supervisor, "rogue");
    ring_make(&ring, "test", 8);
    peer_open_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
    peer_send_offer(&peer, 0, 2, 7, 7);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    ring_drop(&ring);
    peer_vanish(&peer);
}
END_TEST

/* It was asked for before the newer ring came. */
START_TEST(a_link_for_a_former_ring_is_let_go) {
    struct peer peer;
    struct test_ring ring, next;
    peer_open(&peer, &supervisor, "writer");
    ring_make(&ring, "test", 8);
    ring_make(&next, "test", 8);
    peer_open_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
    ck_assert_uint_eq(
        peer_open_ring(&peer, &next, "test",
                       &(struct ring_options){.links = 2, .generation = 1, .first_entry = 10}),
        2);
    peer_send_offer(&peer, 0, 1, 7, 7);
    peer_send_offer(&peer, 0, 2, 7, 8); /* the entry is still free */
    peer_expect_silence(&peer);
    ring_drop(&ring);
    ring_drop(&next);
    peer_vanish(&peer);
}
END_TEST

START_TEST(unused_links_beyond_the_limit_cost_the_connection) {
    struct peer peer;
    struct test_ring ring;
    peer_open(&peer, &supervisor, "rogue");
    ring_make(&ring, "test", 8);
    peer_open_ring(&peer, &ring, "test", &(struct ring_options){.links = LINKS_UNUSED_MAX});
    peer_send_offer(&peer, 0, 1, LINKS_UNUSED_MAX, 7);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    ring_drop(&ring);
    peer_vanish(&peer);
}
END_TEST

START_TEST(an_entry_in_use_or_out_of_range_costs_the_connection) {
    static const uint32_t entries[] = {0, 5, NOTICE_ENTRIES, UINT32_MAX};
    struct peer peer;
    struct test_ring ring;
    peer_open(&peer, &supervisor, "rogue");
    ring_make(&ring, "test", 8);
    peer_open_reader(&peer, "other", &(struct reader_options){.reader = 5});
    peer_open_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
    peer_send_offer(&peer, 0, 1, entries[_i], 700);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    ring_drop(&ring);
    peer_vanish(&peer);
}
END_TEST

static void ask_for_reader(struct peer *peer, uint32_t entry, enum shmframe_policy policy,
                           uint32_t leases) {
    union message message;
    message_init(&message, MESSAGE_OPEN_READER, 9);
    strcpy(message.open_reader.stream, "test");
    message.open_reader.reader = entry;
    message.open_reader.policy = policy;
    message.open_reader.leases = leases;
    const int record = memfd_with(ALL_SEALS, RECORD_BYTES);
    peer_send(peer, &message, &record);
    close(record);
}

static void send_open_ring(struct peer *peer, const struct test_ring *ring, uint32_t loans,
                           uint32_t history, uint32_t links) {
    union message message;
    message_init(&message, MESSAGE_OPEN_RING, 9);
    strcpy(message.open_ring.stream, "test");
    message.open_ring.loans = loans;
    message.open_ring.history = history;
    message.open_ring.links = links;
    peer_send(peer, &message, &ring->fd);
}

/* While its ring is still to come, under another name, as one that comes back and never left. */
START_TEST(a_second_ring_of_a_writer_that_is_busy_costs_the_connection) {
    static const struct {
        const char *stream;
        uint32_t links;
        struct ring_options second;
    } cases[] = {
        {"test", 1, {0}},
        {"other", 0, {0}},
        {"test", 0, {.flags = MESSAGE_RESYNC, .generation = 1}},
    };
    struct peer peer;
    struct test_ring ring, second;
    peer_open(&peer, &supervisor, "rogue");
    ring_make(&ring, "test", 8);
    ring_make(&second, cases[_i].stream, 8);
    if (cases[_i].links)
        send_open_ring(&peer, &ring, 1, 1, cases[_i].links); /* and never brings them */
    else
        peer_open_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
    peer_send_ring(&peer, &second, cases[_i].stream, &cases[_i].second);
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&peer, -EPROTO), "busy"));
    peer_expect_end(&peer);
    ring_drop(&second);
    ring_drop(&ring);
    peer_vanish(&peer);
}
END_TEST

START_TEST(a_reader_with_an_entry_in_use_or_out_of_range_costs_the_connection) {
    static const uint32_t entries[] = {5, NOTICE_ENTRIES, UINT32_MAX};
    struct peer peer;
    peer_open(&peer, &supervisor, "rogue");
    peer_open_reader(&peer, "other", &(struct reader_options){.reader = 5});
    ask_for_reader(&peer, entries[_i], SHMFRAME_LATEST, 1);
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&peer, -EPROTO), "in use or does not exist"));
    peer_expect_end(&peer);
    peer_vanish(&peer);
}
END_TEST

START_TEST(a_reader_of_no_depth_or_no_leases_is_refused_and_no_more) {
    struct peer peer;
    peer_open(&peer, &supervisor, "reader");
    ask_for_reader(&peer, 1, SHMFRAME_IN_ORDER, 1); /* its depth is 0 */
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&peer, -EINVAL), "depth"));
    ask_for_reader(&peer, 1, SHMFRAME_LATEST, 0);
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&peer, -EINVAL), "leases"));
    peer_expect_silence(&peer);
    peer_close(&peer);
}
END_TEST

START_TEST(a_record_with_wrong_seals_or_size_costs_the_connection) {
    const int fds[] = {memfd_with(F_SEAL_SHRINK | F_SEAL_GROW, RECORD_BYTES),
                       memfd_with(ALL_SEALS, RECORD_BYTES - PAGE_BYTES),
                       open("/dev/null", O_RDWR | O_CLOEXEC)};
    for (unsigned i = 0; i < 3; i++) {
        struct peer peer;
        peer_open(&peer, &supervisor, "rogue");
        union message message;
        message_init(&message, MESSAGE_OPEN_READER, 9);
        strcpy(message.open_reader.stream, "test");
        message.open_reader.leases = 1;
        peer_send(&peer, &message, &fds[i]);
        peer_expect_error(&peer, -EPROTO);
        peer_expect_end(&peer);
        peer_vanish(&peer);
        close(fds[i]);
    }
}
END_TEST

START_TEST(wishes_out_of_range_are_refused_and_no_more) {
    struct peer peer;
    peer_open(&peer, &supervisor, "reader");
    static const struct reader_options wishes[] = {
        {.policy = 3},
        {.policy = SHMFRAME_IN_ORDER, .depth = SHMFRAME_DEPTH_MAX + 1},
        {.leases = SHMFRAME_LEASES_MAX + 1},
    };
    for (unsigned i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        peer_send_reader(&peer, "test", &wishes[i]);
        peer_expect_error(&peer, -EINVAL);
    }
    peer_send_reader(&peer, "No Name", &(struct reader_options){0});
    peer_expect_error(&peer, -EINVAL);
    struct test_ring ring;
    ring_make(&ring, "test", 4);
    peer_send_ring(&peer, &ring, "test", &(struct ring_options){.loans = 65});
    peer_expect_error(&peer, -EINVAL);
    peer_send_ring(&peer, &ring, "test", &(struct ring_options){.history = 257});
    peer_expect_error(&peer, -EINVAL);
    peer_send_ring(&peer, &ring, "test", &(struct ring_options){.history = 4, .links = 3});
    peer_expect_error(&peer, -ENOSPC);
    send_open_ring(&peer, &ring, 0, 1, 0);
    peer_expect_error(&peer, -EINVAL);
    send_open_ring(&peer, &ring, 1, 0, 0);
    peer_expect_error(&peer, -EINVAL);
    peer_send_ring(&peer, &ring, "No Name", &(struct ring_options){0});
    peer_expect_error(&peer, -EINVAL);
    send_open_ring(&peer, &ring, 1, 1, LINKS_UNUSED_MAX + 1);
    peer_expect_error(&peer, -ENOSPC);
    peer_expect_silence(&peer);
    ring_drop(&ring);
    peer_close(&peer);
}
END_TEST

/* They are shown on terminals and stand in lines of a log. */
START_TEST(control_characters_of_a_name_are_not_passed_on) {
    struct peer peer;
    struct test_ring ring;
    struct channel_mail mail;
    peer_open(&peer, &supervisor, "wri\x1b[2J\nter\x7f");
    ring_make(&ring, "test", 8);
    peer_open_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
    union message message;
    message_init(&message, MESSAGE_LIST_STREAMS, 9);
    peer_send(&peer, &message, NULL);
    peer_expect(&peer, MESSAGE_STREAM, &mail);
    ck_assert_str_eq(mail.message.stream.info.writer, "wri?[2J?ter?");
    peer_expect(&peer, MESSAGE_DONE, &mail);
    ring_drop(&ring);
    peer_close(&peer);
}
END_TEST

START_TEST(who_does_not_read_is_dropped_and_nobody_else_notices) {
    struct peer deaf, asker;
    struct test_ring ring;
    peer_open(&deaf, &supervisor, "deaf");
    peer_open(&asker, &supervisor, "asker");
    ring_make(&ring, "test", 8);
    peer_open_ring(&deaf, &ring, "test", &(struct ring_options){.links = 2});
    /* Every refusal is a message that is not read. */
    bool is_dropped = false;
    for (unsigned i = 0; i < 20000 && !is_dropped; i++) {
        union message message;
        message_init(&message, MESSAGE_GET_RECORD, 1);
        strcpy(message.reader_of.stream, "no-such-stream");
        const int code = channel_send(deaf.socket, &message, NULL);
        is_dropped = code == -EPIPE;
        if (code == -EAGAIN)
            poll(NULL, 0, 1);
    }
    ck_assert(is_dropped);
    peer_expect_silence(&asker);
    /* It is away, and its process - this one - lives: the name stays taken. */
    peer_vanish(&deaf);
    ring_drop(&ring);
    ring_make(&ring, "test", 8);
    peer_send_ring(&asker, &ring, "test", &(struct ring_options){.links = 2});
    peer_expect_error(&asker, -EAGAIN);
    peer_vanish(&asker);
    ring_drop(&ring);
}
END_TEST

START_TEST(many_messages_at_once_are_read_later_not_refused) {
    struct peer peer;
    peer_open(&peer, &supervisor, "chatty");
    enum { MESSAGES = 20000 };
    unsigned sent = 0, answered = 0;
    struct pollfd poll_socket = {.fd = peer.socket, .events = POLLIN | POLLOUT};
    while (answered < MESSAGES) {
        poll_socket.events = POLLIN | (sent < MESSAGES ? POLLOUT : 0);
        ck_assert_int_gt(poll(&poll_socket, 1, DEADLINE_MS), 0);
        if (poll_socket.revents & POLLIN) {
            struct channel_mail mail;
            peer_expect(&peer, MESSAGE_DONE, &mail);
            answered++;
        }
        if (sent < MESSAGES && sent - answered < 64 && (poll_socket.revents & POLLOUT)) {
            union message message;
            message_init(&message, MESSAGE_CLOSE_READER, sent + 1);
            if (channel_send(peer.socket, &message, NULL) == 0)
                sent++;
        }
    }
    peer_close(&peer);
}
END_TEST

START_TEST(without_descriptors_new_peers_are_refused_and_old_ones_served) {
    enum { FDS = 128, CROWD = 2 * FDS };
    const struct rlimit small = {.rlim_cur = FDS, .rlim_max = FDS};
    ck_assert_int_eq(prlimit(supervisor.pid, RLIMIT_NOFILE, &small, NULL), 0);
    /* The limit was lowered behind its back: it finds out from the kernel. */
    int crowd[CROWD];
    unsigned count = 0;
    int code = 0;
    while (code == 0 && count < CROWD) {
        struct peer peer = {.socket = peer_connect(&supervisor)};
        crowd[count++] = peer.socket;
        union message message;
        message_init(&message, MESSAGE_HELLO, 1);
        message.hello.now_ns = shmframe_now_ns();
        channel_send(peer.socket, &message, NULL); /* may be refused already */
        struct channel_mail mail;
        struct pollfd poll_socket = {.fd = peer.socket, .events = POLLIN};
        ck_assert_int_eq(poll(&poll_socket, 1, DEADLINE_MS), 1);
        ck_assert_int_eq(channel_receive(peer.socket, &mail), 0);
        if (mail.message.header.type == MESSAGE_ERROR)
            code = mail.message.error.code;
        channel_close_fds(&mail);
    }
    ck_assert_int_ne(code, 0);
    peer_expect_silence(&bystander);
    struct test_ring ring; /* it has room for more than an answer */
    ring_make(&ring, "kept", 8);
    peer_open_ring(&bystander, &ring, "kept", &(struct ring_options){.links = 8});
    ring_drop(&ring);
    for (unsigned i = 0; i < count; i++)
        close(crowd[i]);
    peer_expect_silence(&bystander);
}
END_TEST

/* A connection with data that nobody reads: who closes it waits for a minute. */
static int make_lingering(int *out_other_end) {
    const struct linger linger = {.l_onoff = 1, .l_linger = 60};
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, length), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, length), 0);
    *out_other_end = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(*out_other_end, 0);
    close(listener);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    static const char data[65536];
    while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0) {
    }
    return fd;
}

enum { LINGERING_PLACES = 4 };

/* In a message of its own, one too many, behind what costs the connection, in a wake socket. */
static void send_lingering(struct peer *peer, int place, int fd) {
    union message message;
    int pair[2], fds[3];
    switch (place) {
    case 0:
        message_init(&message, MESSAGE_OPEN_READER, 9);
        strcpy(message.open_reader.stream, "test");
        message.open_reader.leases = 1;
        peer_send(peer, &message, &fd);
        break;
    case 1:
        message_init(&message, MESSAGE_CLOSE_READER, 9);
        send_raw(peer->socket, &message, message.header.bytes, fd, 5);
        break;
    case 2:
        message_init(&message, MESSAGE_WELCOME, 9);
        send_raw(peer->socket, &message, message.header.bytes, -1, 0);
        message_init(&message, MESSAGE_OPEN_READER, 9);
        peer_send(peer, &message, &fd);
        break;
    default:
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        send_raw(pair[1], "x", 1, fd, 1);
        link_make(fds);
        close(fds[2]);
        fds[2] = pair[0];
        message_init(&message, MESSAGE_OFFER_LINK, 0); /* of a writer that does not exist */
        peer_send(peer, &message, fds);
        link_drop(fds);
        close(pair[1]);
    }
}

START_TEST(a_descriptor_that_takes_long_to_close_holds_nobody_up) {
    int other_end;
    const int fd = make_lingering(&other_end);
    struct peer peer;
    peer_open(&peer, &supervisor, "rogue");
    /* It stands still meanwhile, so that its reference is the last one. */
    int status;
    ck_assert_int_eq(kill(supervisor.pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(supervisor.pid, &status, WUNTRACED), supervisor.pid);
    send_lingering(&peer, _i, fd);
    close(fd);
    ck_assert_int_eq(kill(supervisor.pid, SIGCONT), 0);
    peer_expect_silence(&bystander);
    peer_vanish(&peer);
    peer_expect_silence(&bystander);
    close(other_end);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("protocol");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, hello_is_answered_with_a_sealed_notice_page);
    tcase_add_test(cases, another_version_hears_both_numbers);
    tcase_add_test(cases, another_time_namespace_is_refused);
    tcase_add_test(cases, hello_comes_first_and_once);
    tcase_add_test(cases, who_says_nothing_is_not_waited_for);
    tcase_add_test(cases, every_message_of_another_size_costs_the_connection);
    tcase_add_test(cases, every_other_number_of_descriptors_costs_the_connection);
    tcase_add_test(cases, unknown_types_and_those_of_the_supervisor_cost_the_connection);
    tcase_add_test(cases, a_ring_that_lacks_a_seal_costs_the_connection);
    tcase_add_test(cases, what_is_no_memory_file_costs_the_connection);
    tcase_add_test(cases, what_is_no_ring_costs_the_connection_whatever_else_is_wrong);
    tcase_add_test(cases, a_geometry_that_lies_costs_the_connection);
    tcase_add_test(cases, a_ring_of_another_version_is_refused_and_no_more);
    tcase_add_test(cases, a_record_with_wrong_seals_or_size_costs_the_connection);
    tcase_add_test(cases, wishes_out_of_range_are_refused_and_no_more);
    tcase_add_test(cases, control_characters_of_a_name_are_not_passed_on);
    tcase_add_test(cases, many_messages_at_once_are_read_later_not_refused);
    TCase *dying = tcase_create("protocol of those who stay away");
    tcase_set_timeout(dying, 60);
    /* The peers' process lives on, so what they had stays with the supervisor. */
    tcase_add_checked_fixture(dying, begin, end_with_leftovers);
    tcase_add_loop_test(dying, a_link_with_a_wrong_descriptor_costs_the_connection, 0, 11);
    tcase_add_loop_test(dying, a_held_link_that_cannot_be_costs_the_connection, 0, HELD_LIES);
    tcase_add_test(dying, a_link_for_a_ring_to_come_costs_the_connection);
    tcase_add_test(dying, a_link_for_a_former_ring_is_let_go);
    tcase_add_test(dying, unused_links_beyond_the_limit_cost_the_connection);
    tcase_add_loop_test(dying, a_descriptor_that_takes_long_to_close_holds_nobody_up, 0,
                        LINGERING_PLACES);
    tcase_add_loop_test(dying, an_entry_in_use_or_out_of_range_costs_the_connection, 0, 4);
    tcase_add_loop_test(dying, a_second_ring_of_a_writer_that_is_busy_costs_the_connection, 0, 3);
    tcase_add_loop_test(dying, a_reader_with_an_entry_in_use_or_out_of_range_costs_the_connection,
                        0, 3);
    tcase_add_test(dying, a_reader_of_no_depth_or_no_leases_is_refused_and_no_more);
    tcase_add_test(dying, who_does_not_read_is_dropped_and_nobody_else_notices);
    tcase_add_test(dying, without_descriptors_new_peers_are_refused_and_old_ones_served);
    Suite *suite = suite_create("protocol");
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, dying);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
