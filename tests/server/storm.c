/* Peers that do anything at all in any order, and die at any moment. The supervisor must outlive
 * them, keep nothing of theirs, and serve others meanwhile. Best run with a sanitizer.
 *
 * $SHMFRAME_SEED repeats a storm; $SHMFRAME_ROUNDS makes it longer. */
#include "peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 4, LIVES = 60, SESSIONS = 3, STREAMS = 3, ENTRIES = 24 };

static struct supervisor supervisor;

static uint32_t roll(uint32_t below) {
    return (uint32_t)random() % below;
}

/* Small numbers meet each other often; wild ones test the bounds. */
static uint32_t roll_number(uint32_t below) {
    static const uint32_t wild[] = {UINT32_MAX, NOTICE_ENTRIES, NOTICE_ENTRIES - 1,
                                    1u << 30,   (1u << 30) + 1, 0x7fffffff};
    return roll(200) ? roll(below) : wild[roll(sizeof(wild) / sizeof(wild[0]))];
}

static const char *roll_stream(void) {
    static const char *const names[] = {"one", "two", "three", "Not A Name", ""};
    return names[roll(100) ? roll(STREAMS) : roll(5)];
}

static int connect_quietly(void) {
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, supervisor.socket);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        _exit(1); /* it must always be there */
    union message message;
    message_init(&message, MESSAGE_HELLO, 1);
    strcpy(message.hello.name, "storm\n\x1b[31m");
    message.hello.now_ns = shmframe_now_ns();
    if (roll(20)) {
        channel_send(fd, &message, NULL);
        poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000);
    }
    return fd;
}

/* What each type's interesting fields may be. */
static void fill(union message *message, enum message_type type) {
    message_init(message, type, roll(4));
    switch (type) {
    case MESSAGE_OPEN_RING:
        strcpy(message->open_ring.stream, roll_stream());
        message->open_ring.writer = roll_number(3);
        message->open_ring.flags = roll(4) ? 0 : roll(4);
        message->open_ring.generation =
            message->open_ring.flags & MESSAGE_RESYNC ? 1 + roll_number(5) : roll_number(4);
        message->open_ring.loans = 1 + roll_number(3);
        message->open_ring.history = 1 + roll_number(3);
        message->open_ring.links = roll_number(4);
        message->open_ring.held = message->open_ring.flags & MESSAGE_RESYNC ? roll_number(3) : 0;
        message->open_ring.sequence = (uint64_t)roll_number(100) << roll(50);
        break;
    case MESSAGE_OFFER_LINK:
        message->offer_link.writer = roll_number(3);
        message->offer_link.generation = roll_number(4);
        message->offer_link.entry = roll_number(ENTRIES);
        message->offer_link.serial = roll(8);
        break;
    case MESSAGE_HELD_LINK:
        message->held_link.writer = roll_number(3);
        message->held_link.generation = 1 + roll_number(3);
        message->held_link.entry = roll_number(ENTRIES);
        message->held_link.pid = roll(3) ? (uint32_t)getpid() : roll_number(5);
        message->held_link.start_time = roll(3) ? (uint64_t)start_time_of(getpid()) : roll(9);
        message->held_link.word = grant_word((struct grant){
            .serial = roll(8), .depth = roll(4), .leases = roll(8), .state = roll(4)});
        break;
    case MESSAGE_OPEN_READER:
        strcpy(message->open_reader.stream, roll_stream());
        message->open_reader.reader = roll_number(ENTRIES);
        message->open_reader.policy = roll_number(3);
        message->open_reader.depth = 1 + roll_number(3);
        message->open_reader.leases = 1 + roll_number(2);
        message->open_reader.flags = roll(3) ? 0 : roll(8);
        message->open_reader.generation = roll_number(4);
        message->open_reader.entry = roll_number(ENTRIES);
        message->open_reader.serial = roll(8);
        message->open_reader.head = (uint64_t)roll_number(100) << roll(50);
        break;
    case MESSAGE_CLOSE_WRITER:
        message->close_writer.writer = roll_number(3);
        message->close_writer.flags = roll(64);
        break;
    case MESSAGE_CLOSE_READER:
        message->close_reader.reader = roll_number(ENTRIES);
        break;
    case MESSAGE_REQUEST:
        strcpy(message->request.stream, roll_stream());
        break;
    case MESSAGE_ANSWER:
        message->header.cookie = roll(200);
        break;
    case MESSAGE_LIST_READERS:
        strcpy(message->list.stream, roll_stream());
        break;
    case MESSAGE_GET_RECORD:
    case MESSAGE_EVICT:
        strcpy(message->reader_of.stream, roll_stream());
        message->reader_of.number = roll(400);
        break;
    default:
        break;
    }
}

/* Mostly the right descriptors. */
static void send_with_fds(int socket, const union message *message) {
    struct test_ring ring = {.fd = -1};
    struct region region = {0};
    int fds[4] = {-1, -1, -1, -1};
    switch (roll(200) ? message->header.type : MESSAGE_NONE) {
    case MESSAGE_OPEN_RING:
        ring_make(&ring,
                  roll(200) && message->open_ring.stream[0] > 'Z' ? message->open_ring.stream
                                                                  : "one",
                  6 + roll(40));
        atomic_store(&ring.memory->head, (uint64_t)roll(100) << roll(60));
        fds[0] = ring.fd;
        break;
    case MESSAGE_OFFER_LINK:
        link_make(fds);
        break;
    case MESSAGE_OPEN_READER:
        if (region_create("storm", RECORD_BYTES, &region, &fds[0]) < 0)
            _exit(1);
        region_unmap(&region);
        region_seal(fds[0], REGION_SEALED);
        break;
    default:
        for (unsigned i = 0; i < 4; i++)
            fds[i] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    channel_send(socket, message, fds);
    region_unmap(&ring.region);
    for (unsigned i = 0; i < 4; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* What OPEN_RING has announced, most of the time. */
static void follow_up(int socket, const union message *open) {
    static uint32_t entry, serial;
    if (open->header.type != MESSAGE_OPEN_RING || roll(10) == 0)
        return;
    for (uint32_t i = 0; i < open->open_ring.held + open->open_ring.links && i < 8; i++) {
        const bool is_held = i < open->open_ring.held;
        union message message;
        fill(&message, is_held ? MESSAGE_HELD_LINK : MESSAGE_OFFER_LINK);
        if (is_held) {
            message.held_link.writer = open->open_ring.writer;
            message.held_link.generation = open->open_ring.generation;
            message.held_link.entry = ENTRIES + entry++ % 400;
        } else {
            message.offer_link.writer = open->open_ring.writer;
            message.offer_link.entry = ENTRIES + entry++ % 400;
            message.offer_link.serial = serial++;
        }
        send_with_fds(socket, &message);
    }
}

static void act(unsigned rounds) {
    static const enum message_type types[] = {
        MESSAGE_OPEN_RING,   MESSAGE_OPEN_RING,    MESSAGE_OFFER_LINK,   MESSAGE_OFFER_LINK,
        MESSAGE_OFFER_LINK,  MESSAGE_OFFER_LINK,   MESSAGE_HELD_LINK,    MESSAGE_OPEN_READER,
        MESSAGE_OPEN_READER, MESSAGE_CLOSE_WRITER, MESSAGE_CLOSE_READER,
        MESSAGE_REQUEST,     MESSAGE_ANSWER,       MESSAGE_LIST_STREAMS, MESSAGE_LIST_READERS,
        MESSAGE_GET_RECORD,  MESSAGE_EVICT,
    };
    int sockets[SESSIONS];
    for (unsigned i = 0; i < SESSIONS; i++)
        sockets[i] = connect_quietly();
    for (unsigned round = 0; round < rounds; round++) {
        int *socket = &sockets[roll(SESSIONS)];
        struct channel_mail mail;
        int code = 0;
        if (roll(4) == 0) /* now and then it hears what came of it */
            poll(&(struct pollfd){.fd = *socket, .events = POLLIN}, 1, 3);
        while ((code = channel_receive(*socket, &mail)) == 0)
            channel_close_fds(&mail);
        if (code == -EPIPE || roll(60) == 0) {
            close(*socket);
            *socket = connect_quietly();
        }
        union message message;
        fill(&message, types[roll(sizeof(types) / sizeof(types[0]))]);
        send_with_fds(*socket, &message);
        follow_up(*socket, &message);
    }
}

static void start_life(pid_t *out_pid, unsigned seed, unsigned rounds) {
    *out_pid = fork_bound();
    if (*out_pid == 0) {
        srandom(seed);
        act(rounds / 2 + roll(rounds));
        raise(SIGKILL);
    }
}

static void expect_killed(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
}

static unsigned number_from(const char *name, unsigned otherwise) {
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

START_TEST(no_storm_harms_the_supervisor_or_a_bystander) {
    const unsigned seed = number_from("SHMFRAME_SEED", 1);
    const unsigned rounds = number_from("SHMFRAME_ROUNDS", 120);
    struct test_ring ring;
    struct peer writer, reader;
    supervisor_prepare(&supervisor);
    supervisor_start(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    peer_open(&reader, &supervisor, "reader");
    ring_make(&ring, "calm", 16);
    peer_open_ring(&writer, &ring, "calm", &(struct ring_options){.links = 4});
    peer_open_reader(&reader, "calm", &(struct reader_options){0});
    const uint32_t entry = peer_expect_link(&reader).entry;
    pid_t child[CHILDREN];
    for (unsigned life = 0; life < LIVES; life++) {
        if (life >= CHILDREN)
            expect_killed(child[life % CHILDREN]);
        start_life(&child[life % CHILDREN], seed * 1000 + life, rounds);
    }
    for (unsigned i = 0; i < CHILDREN; i++)
        expect_killed(child[i]);
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    peer_expect_silence(&writer);
    peer_expect_silence(&reader);
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, entry)).state, ENTRY_GRANTED);
    peer_close(&reader);
    peer_expect_state(&writer, entry, ENTRY_GONE);
    peer_close(&writer);
    ring_drop(&ring);
    supervisor_expect_fds_back(&supervisor);
    supervisor_clean(&supervisor);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("storm");
    tcase_set_timeout(cases, 600);
    tcase_add_test(cases, no_storm_harms_the_supervisor_or_a_bystander);
    Suite *suite = suite_create("storm");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
