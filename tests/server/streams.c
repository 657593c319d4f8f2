/* Writers and readers find each other, and hear of each other's ends. */
#include "peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct supervisor supervisor;
static struct peer writer, reader, other;
static struct test_ring ring;

static const struct ring_options TWO_LINKS = {.links = 2};

static void begin(void) {
    supervisor_prepare(&supervisor);
    supervisor_start(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    peer_open(&reader, &supervisor, "reader");
    peer_open(&other, &supervisor, "other");
    ring_make(&ring, "test", 16);
}

static void end(void) {
    peer_close(&writer);
    peer_close(&reader);
    peer_close(&other);
    ring_drop(&ring);
    supervisor_expect_fds_back(&supervisor);
    supervisor_clean(&supervisor);
}

/* ---- children: peers with a process of their own ---- */

struct child {
    pid_t pid;
    int ready, go;
};

/* Runs `act` in a child with a session of its own. It returns when the child is ready. */
static struct child child_start(void (*act)(struct peer *)) {
    int ready[2], go[2];
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
    struct child child = {.pid = fork_bound(), .ready = ready[0], .go = go[1]};
    if (child.pid == 0) {
        close(go[1]);
        struct peer peer;
        peer_open(&peer, &supervisor, "child");
        act(&peer);
        char byte = '.';
        if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) < 0)
            _exit(2);
        peer_close(&peer);
        _exit(0);
    }
    close(ready[1]);
    close(go[0]);
    char byte;
    struct pollfd poll_ready = {.fd = child.ready, .events = POLLIN};
    ck_assert_int_eq(poll(&poll_ready, 1, DEADLINE_MS), 1);
    ck_assert_int_eq(read(child.ready, &byte, 1), 1);
    return child;
}

static void child_end(struct child *child, int with_signal) {
    if (with_signal)
        kill(child->pid, with_signal);
    close(child->go);
    int status;
    ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
    if (with_signal)
        ck_assert(WIFSIGNALED(status));
    else
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(child->ready);
}

static void act_read(struct peer *peer) {
    peer_open_reader(peer, "test", &(struct reader_options){.reader = 3});
    peer_expect_link(peer);
}

static void act_wait(struct peer *peer) {
    peer_open_reader(peer, "test", &(struct reader_options){.reader = 3});
}

static void act_write(struct peer *peer) {
    struct test_ring own;
    ring_make(&own, "test", 16);
    peer_open_ring(peer, &own, "test", &TWO_LINKS);
    atomic_store(&own.memory->head, place_word(41, 0));
}

static void expect_reader_event(struct peer *peer, uint32_t number, uint32_t flags, pid_t pid) {
    struct channel_mail mail;
    peer_expect(peer, MESSAGE_READER_EVENT, &mail);
    ck_assert_uint_eq(mail.message.reader_event.number, number);
    ck_assert_uint_eq(mail.message.reader_event.flags, flags);
    ck_assert_int_eq(mail.message.reader_event.pid, pid);
}

static void expect_want_links(struct peer *peer, uint32_t links) {
    struct channel_mail mail;
    peer_expect(peer, MESSAGE_WANT_LINKS, &mail);
    ck_assert_uint_eq(mail.message.want_links.links, links);
}

static void send_request(struct peer *peer, uint32_t cookie, const char *stream) {
    union message message;
    message_init(&message, MESSAGE_REQUEST, cookie);
    strcpy(message.request.stream, stream);
    strcpy(message.request.verb, "pause");
    strcpy(message.request.argument, "now");
    peer_send(peer, &message, NULL);
}

/* ---- joining ---- */

START_TEST(a_reader_that_waits_is_linked_before_the_writers_open_returns) {
    const uint32_t number =
        peer_open_reader(&reader, "test", &(struct reader_options){.reader = 3});
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 10});
    expect_reader_event(&writer, number, 0, getpid());
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 1);
    ck_assert_uint_eq(mail.message.opened.sequence, 0);
    const struct message_link link = peer_expect_link(&reader);
    ck_assert_uint_eq(link.reader, 3);
    ck_assert_uint_eq(link.generation, 1);
    ck_assert_uint_eq(link.entry, 10);
    ck_assert_uint_eq(link.serial, 110);
    ck_assert_uint_eq(link.leases, 1);
    ck_assert_uint_eq(link.depth, 1);
    ck_assert_uint_eq(link.flags, MESSAGE_FROM_START);
    ck_assert_uint_eq(link.slots, 3); /* a loan, a frame of history, a lease: the triple buffer */
    ck_assert_int_eq(link.writer_pid, getpid());
}
END_TEST

START_TEST(the_grant_is_in_the_writers_page_before_the_reader_has_the_link) {
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 40});
    for (uint32_t i = 0; i < 11; i++) {
        peer_open_reader(
            &reader, "test",
            &(struct reader_options){.reader = i, .policy = SHMFRAME_IN_ORDER, .depth = 1 + i % 3});
        const struct message_link link = peer_expect_link(&reader);
        /* Not waited for: it must be there now. */
        const struct grant grant = grant_from_word(peer_entry(&writer, link.entry));
        ck_assert_int_eq(grant.state, ENTRY_GRANTED);
        ck_assert_uint_eq(grant.serial, link.serial);
        ck_assert_uint_eq(grant.depth, 1 + i % 3);
        ck_assert_uint_eq(grant.leases, 1);
        ck_assert(!grant.is_lossless);
        const struct notice_entry *entry = &writer.page->entry[link.entry];
        ck_assert_uint_eq(atomic_load(&((struct notice_entry *)entry)->pid), (uint32_t)getpid());
        ck_assert_uint_eq(atomic_load(&((struct notice_entry *)entry)->start_time),
                          (uint64_t)start_time_of(getpid()));
        ck_assert_uint_eq(link.flags, 0);
    }
}
END_TEST

START_TEST(links_are_asked_for_when_few_are_left) {
    const uint32_t number =
        peer_open_reader(&reader, "test", &(struct reader_options){.reader = 1});
    const uint32_t number2 =
        peer_open_reader(&reader, "test", &(struct reader_options){.reader = 2});
    /* None is brought: the open waits until both have one. */
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 0});
    expect_want_links(&writer, 4);
    peer_send_offer(&writer, 0, 1, 0, 100);
    expect_reader_event(&writer, number, 0, getpid());
    peer_send_offer(&writer, 0, 1, 1, 101);
    expect_reader_event(&writer, number2, 0, getpid());
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(peer_expect_link(&reader).flags, MESSAGE_FROM_START);
    ck_assert_uint_eq(peer_expect_link(&reader).flags, MESSAGE_FROM_START);
    peer_send_offer(&writer, 0, 1, 2, 102);
    peer_send_offer(&writer, 0, 1, 3, 103);
    peer_expect_silence(&writer);
    const uint32_t number3 = peer_open_reader(&other, "test", &(struct reader_options){0});
    peer_expect_link(&other);
    expect_reader_event(&writer, number3, 0, getpid());
    expect_want_links(&writer, 1);
}
END_TEST

START_TEST(a_crowd_of_readers_does_not_flood_the_writer) {
    enum { CROWD = 700, SLOTS = 200 };
    struct test_ring large;
    ring_make(&large, "large", SLOTS);
    peer_send_ring(&writer, &large, "large", &(struct ring_options){.links = 0});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    unsigned waiting = 0;
    for (uint32_t i = 0; i < CROWD; i++) { /* and the writer reads nothing */
        peer_send_reader(&reader, "large", &(struct reader_options){.reader = i});
        reader.readers = 0;
        ck_assert_int_eq(
            poll(&(struct pollfd){.fd = reader.socket, .events = POLLIN}, 1, DEADLINE_MS), 1);
        ck_assert_int_eq(channel_receive(reader.socket, &mail), 0);
        waiting += mail.message.header.type == MESSAGE_READER_OK;
        if (mail.message.header.type == MESSAGE_ERROR)
            ck_assert_int_eq(mail.message.error.code, -ENOSPC);
    }
    ck_assert_uint_eq(waiting, SLOTS - 3); /* a loan, a frame of history, one to spare */
    unsigned questions = 0, links = 0;
    peer_expect_silence(&reader);
    while (channel_receive(writer.socket, &mail) == 0) {
        ck_assert_int_eq(mail.message.header.type, MESSAGE_WANT_LINKS);
        links += mail.message.want_links.links;
        questions++;
    }
    ck_assert_uint_lt(questions, 50);
    ck_assert_uint_le(links, SLOTS);
    ck_assert_uint_gt(links, SLOTS / 2);
    for (uint32_t i = 0; i < CROWD; i++) {
        union message message;
        message_init(&message, MESSAGE_CLOSE_READER, 1);
        message.close_reader.reader = i;
        peer_send(&reader, &message, NULL);
        peer_expect(&reader, MESSAGE_DONE, &mail);
    }
    ring_drop(&large);
}
END_TEST

START_TEST(a_session_does_not_use_up_the_names_by_waiting) {
    enum { NAMES = 64 };
    for (uint32_t i = 0; i <= NAMES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "s%04u", i);
        peer_send_reader(&reader, name, &(struct reader_options){.reader = i});
        struct channel_mail mail;
        if (i < NAMES)
            peer_expect(&reader, MESSAGE_READER_OK, &mail);
        else
            peer_expect_error(&reader, -ENOSPC);
    }
    /* Of what somebody writes it may read more. */
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 70});
    peer_expect_link(&reader);
}
END_TEST

START_TEST(when_all_names_are_used_up_one_that_is_free_again_makes_room) {
    enum { NAMES = 1024, OF_SESSION = 64 };
    static struct peer crowd[NAMES / OF_SESSION];
    for (uint32_t i = 0; i < NAMES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "s%04u", i);
        struct peer *one = &crowd[i / OF_SESSION];
        if (i % OF_SESSION == 0)
            peer_open(one, &supervisor, "crowd");
        peer_open_reader(one, name, &(struct reader_options){.reader = i % OF_SESSION});
    }
    peer_send_reader(&reader, "test", &(struct reader_options){.reader = 3});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&reader, -ENOSPC), "1024 streams"));
    peer_close(&crowd[0]);
    peer_expect_silence(&other);
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 3});
    for (uint32_t i = 1; i < NAMES / OF_SESSION; i++)
        peer_close(&crowd[i]);
}
END_TEST

START_TEST(a_stream_that_must_exist_and_does_not_is_named) {
    peer_send_reader(&reader, "test", &(struct reader_options){.flags = MESSAGE_MUST_EXIST});
    const char *text = peer_expect_error(&reader, -ENOENT);
    ck_assert_ptr_nonnull(strstr(text, "no stream 'test'"));
    ck_assert_ptr_nonnull(strstr(text, "shmframe ls"));
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    peer_open_reader(&reader, "test", &(struct reader_options){.flags = MESSAGE_MUST_EXIST});
    peer_expect_link(&reader);
}
END_TEST

START_TEST(a_name_that_is_taken_names_its_owner) {
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    peer_send_ring(&other, &ring, "test", &TWO_LINKS);
    const char *text = peer_expect_error(&other, -EEXIST);
    char expected[64];
    snprintf(expected, sizeof(expected), "already written by writer (pid %d)", (int)getpid());
    ck_assert_ptr_nonnull(strstr(text, expected));
    ck_assert_ptr_nonnull(strstr(text, "choose another name"));
    peer_expect_silence(&other); /* its offers were ignored */
    peer_expect_silence(&writer);
}
END_TEST

START_TEST(a_ring_without_room_for_the_reader_refuses_it) {
    struct test_ring small;
    ring_make(&small, "small", 6);
    peer_open_ring(&writer, &small, "small", &(struct ring_options){.writer = 1, .links = 4});
    /* 1 loan + 1 frame + 3 leases + 1 to spare */
    peer_open_reader(&reader, "small", &(struct reader_options){.reader = 1, .leases = 3});
    ck_assert_uint_eq(peer_expect_link(&reader).slots, 5);
    peer_send_reader(&reader, "small", &(struct reader_options){.reader = 2});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&reader, -ENOSPC), "stream 'small'"));
    peer_send_reader(
        &reader, "small",
        &(struct reader_options){.reader = 2, .policy = SHMFRAME_IN_ORDER, .depth = 4});
    peer_expect_error(&reader, -ENOSPC);
    ring_drop(&small);
}
END_TEST

START_TEST(a_waiting_reader_hears_that_there_is_no_room) {
    struct test_ring small;
    ring_make(&small, "small", 4);
    peer_open_reader(&reader, "small", &(struct reader_options){.reader = 1, .leases = 5});
    peer_open_ring(&writer, &small, "small", &(struct ring_options){.writer = 1, .links = 4});
    peer_expect_error(&reader, -ENOSPC);
    /* It is out: the same entry can be used again. */
    peer_open_reader(&reader, "small", &(struct reader_options){.reader = 1});
    peer_expect_link(&reader);
    ring_drop(&small);
}
END_TEST

START_TEST(a_live_stream_waits_for_nobody) {
    peer_open_ring(&writer, &ring, "test",
                   &(struct ring_options){.links = 2, .flags = MESSAGE_LIVE});
    peer_send_reader(&reader, "test",
                     &(struct reader_options){.policy = SHMFRAME_LOSSLESS, .depth = 2});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&reader, -ENOTSUP), "live"));
    peer_open_reader(&reader, "test",
                     &(struct reader_options){.policy = SHMFRAME_IN_ORDER, .depth = 2});
    peer_expect_link(&reader);
}
END_TEST

START_TEST(a_lossless_reader_is_marked_in_its_grant) {
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    peer_open_reader(
        &reader, "test",
        &(struct reader_options){.policy = SHMFRAME_LOSSLESS, .depth = 4, .leases = 2});
    const struct message_link link = peer_expect_link(&reader);
    ck_assert_uint_eq(link.is_lossless, 1);
    ck_assert_uint_eq(link.depth, 4);
    ck_assert_uint_eq(link.slots, 1 + 4 + 2 - 1); /* its newest lease is in the history */
    ck_assert(grant_from_word(peer_entry(&writer, link.entry)).is_lossless);
}
END_TEST

/* ---- leaving and dying ---- */

START_TEST(a_reader_that_leaves_is_gone_in_the_writers_page) {
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    const uint32_t number =
        peer_open_reader(&reader, "test", &(struct reader_options){.reader = 7});
    const struct message_link link = peer_expect_link(&reader);
    expect_reader_event(&writer, number, 0, getpid());
    expect_want_links(&writer, 1);
    peer_close(&reader);
    expect_reader_event(&writer, number, MESSAGE_LEFT, getpid());
    const struct grant grant = grant_from_word(peer_entry(&writer, link.entry));
    ck_assert_int_eq(grant.state, ENTRY_GONE);
    ck_assert_uint_eq(grant.serial, link.serial);
    /* The entry is free for a link with another serial. */
    peer_send_offer(&writer, 0, 1, link.entry, 900);
    peer_expect_silence(&writer);
    peer_open(&reader, &supervisor, "reader");
}
END_TEST

START_TEST(a_reader_that_dies_is_gone_in_the_writers_page) {
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 4});
    struct child child = child_start(act_read);
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, 0)).state, ENTRY_GRANTED);
    child_end(&child, SIGKILL);
    peer_expect_state(&writer, 0, ENTRY_GONE);
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    expect_reader_event(&writer, mail.message.reader_event.number, MESSAGE_LEFT, child.pid);
}
END_TEST

START_TEST(a_waiting_reader_that_dies_is_forgotten) {
    struct child child = child_start(act_wait);
    child_end(&child, SIGKILL);
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    peer_expect_silence(&writer);
}
END_TEST

START_TEST(a_closed_connection_is_not_a_death) {
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 4});
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 7});
    const struct message_link link = peer_expect_link(&reader);
    peer_vanish(&reader);
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail); /* joined */
    peer_expect_silence(&writer);
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, link.entry)).state, ENTRY_GRANTED);
    /* It comes back: same process, same link. */
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&reader, "test",
                     &(struct reader_options){.reader = 7,
                                              .flags = MESSAGE_RESYNC,
                                              .generation = 1,
                                              .entry = link.entry,
                                              .serial = link.serial});
    peer_expect_silence(&reader);
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, link.entry)).state, ENTRY_GRANTED);
    peer_close(&reader);
    peer_expect_state(&writer, link.entry, ENTRY_GONE);
    peer_open(&reader, &supervisor, "reader");
}
END_TEST

START_TEST(a_link_that_nobody_comes_back_for_ends) {
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 4});
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 7});
    const struct message_link link = peer_expect_link(&reader);
    peer_vanish(&reader);
    peer_open(&reader, &supervisor, "reader"); /* the process is back, without its reader */
    peer_expect_gone_link(&writer, link.entry, &reader);
}
END_TEST

START_TEST(readers_hear_at_once_that_the_writer_died) {
    struct child child = child_start(act_write);
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 9});
    peer_expect_link(&reader);
    ck_assert_uint_eq(peer_entry(&reader, 9), reader_word(0, ENTRY_GRANTED));
    child_end(&child, SIGKILL);
    peer_expect_gone(&reader, 9, 1);
    ck_assert_uint_eq(peer_entry(&reader, 9), reader_word(1, ENTRY_GRANTED));
}
END_TEST

START_TEST(the_next_writer_goes_on_with_generation_and_sequence) {
    struct child child = child_start(act_write);
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 9});
    ck_assert_uint_eq(peer_expect_link(&reader).generation, 1);
    child_end(&child, SIGKILL);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 2);
    ck_assert_uint_eq(mail.message.opened.sequence, 41);
    const struct message_link link = peer_expect_link(&reader);
    ck_assert_uint_eq(link.generation, 2);
    ck_assert_uint_eq(link.flags, MESSAGE_FROM_START);
}
END_TEST

static void act_write_with_much_memory(struct peer *peer) {
    const size_t bytes = (size_t)256 << 20;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < bytes; i += PAGE_BYTES)
        memory[i] = 1;
    act_write(peer);
}

START_TEST(who_comes_while_the_writer_is_still_dying_hears_not_yet) {
    struct child child = child_start(act_write_with_much_memory);
    kill(child.pid, SIGKILL); /* and not waited for */
    unsigned refused = 0;
    for (;;) {
        peer_send_ring(&writer, &ring, "test", &TWO_LINKS);
        ck_assert_int_eq(
            poll(&(struct pollfd){.fd = writer.socket, .events = POLLIN}, 1, DEADLINE_MS), 1);
        struct channel_mail mail;
        ck_assert_int_eq(channel_receive(writer.socket, &mail), 0);
        if (mail.message.header.type == MESSAGE_OPENED)
            break;
        ck_assert_int_eq(mail.message.header.type, MESSAGE_ERROR);
        ck_assert_int_eq(mail.message.error.code, -EAGAIN);
        refused++;
        poll(NULL, 0, 1);
    }
    child_end(&child, SIGKILL);
    ck_assert_uint_lt(refused, DEADLINE_MS);
}
END_TEST

START_TEST(a_writer_that_closes_is_gone_and_the_name_is_free) {
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 9});
    peer_expect_link(&reader);
    union message message;
    message_init(&message, MESSAGE_CLOSE_WRITER, 0);
    message.close_writer.sequence = 17;
    message.close_writer.flags = MESSAGE_ENDED;
    peer_send(&writer, &message, NULL);
    peer_expect_gone(&reader, 9, 1);
    peer_send_ring(&other, &ring, "test", &(struct ring_options){.links = 3});
    struct channel_mail mail;
    peer_expect(&other, MESSAGE_READER_EVENT, &mail);
    peer_expect(&other, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 2);
    ck_assert_uint_eq(mail.message.opened.sequence, 17);
}
END_TEST

START_TEST(a_writer_that_comes_back_to_what_others_have_written_since_is_refused) {
    static const uint32_t numbers[] = {1, 2};
    for (uint32_t i = 0; i < 2; i++) {
        struct peer former;
        peer_open(&former, &supervisor, "former");
        ck_assert_uint_eq(peer_open_ring(&former, &ring, "test", &TWO_LINKS), numbers[i]);
        peer_close(&former);
        peer_expect_silence(&writer);
    }
    peer_send_ring(&writer, &ring, "test",
                   &(struct ring_options){.flags = MESSAGE_RESYNC, .generation = 1});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&writer, -EEXIST), "another writer"));
}
END_TEST

START_TEST(a_writer_that_comes_back_does_not_use_up_the_numbers) {
    static const uint64_t told[] = {UINT64_C(1) << 44, (UINT64_C(1) << 44) + 1, UINT64_MAX};
    const struct ring_options back = {
        .links = 2, .flags = MESSAGE_RESYNC, .generation = 1, .sequence = told[_i]};
    peer_send_ring(&writer, &ring, "test", &back);
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.sequence, _i == 0 ? told[0] : 0);
}
END_TEST

START_TEST(a_poisoned_head_does_not_use_up_the_numbers) {
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    atomic_store(&ring.memory->head, UINT64_MAX);
    union message message;
    message_init(&message, MESSAGE_CLOSE_WRITER, 0);
    message.close_writer.sequence = UINT64_MAX;
    peer_send(&writer, &message, NULL);
    peer_send_ring(&writer, &ring, "test", &TWO_LINKS);
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.sequence, 0);
}
END_TEST

/* ---- another format, by the same writer ---- */

START_TEST(followers_are_linked_to_the_next_ring_before_its_open_returns) {
    struct test_ring next;
    ring_make(&next, "test", 16);
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    const uint32_t number =
        peer_open_reader(&reader, "test", &(struct reader_options){.reader = 4});
    const struct message_link first = peer_expect_link(&reader);
    expect_reader_event(&writer, number, 0, getpid());
    expect_want_links(&writer, 1);
    atomic_store(&ring.memory->head, place_word(5, 0));
    peer_send_ring(&writer, &next, "test",
                   &(struct ring_options){.links = 3, .generation = 1, .first_entry = 20});
    expect_reader_event(&writer, number, MESSAGE_FOLLOWS, getpid());
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 2);
    ck_assert_uint_eq(mail.message.opened.sequence, 5);
    const struct message_link second = peer_expect_link(&reader);
    ck_assert_uint_eq(second.generation, 2);
    ck_assert_uint_eq(second.entry, 20);
    ck_assert_uint_eq(second.flags, MESSAGE_FROM_START);
    /* Nobody is gone: the old ring's loans may still be published. */
    ck_assert_uint_eq(peer_entry(&reader, 4), reader_word(0, ENTRY_GRANTED));
    /* An answer to what was asked for the former ring is too late, and no offence. */
    peer_send_offer(&writer, 0, 1, 30, 130);
    peer_expect_silence(&writer);
    /* The end of the reader concerns the newer link only. */
    peer_close(&reader);
    peer_expect_state(&writer, second.entry, ENTRY_GONE);
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, first.entry)).state, ENTRY_GRANTED);
    /* The older entry is free for links of the newer ring. */
    peer_send_offer(&writer, 0, 2, first.entry, 777);
    expect_reader_event(&writer, number, MESSAGE_LEFT, getpid());
    peer_expect_silence(&writer);
    peer_open(&reader, &supervisor, "reader");
    ring_drop(&next);
}
END_TEST

START_TEST(a_refused_next_ring_leaves_the_former_as_it_was) {
    struct test_ring next;
    ring_make(&next, "test", 3);
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    peer_send_ring(
        &writer, &next, "test",
        &(struct ring_options){.links = 3, .generation = 1, .history = 8, .first_entry = 20});
    peer_expect_error(&writer, -ENOSPC);
    peer_open_reader(&reader, "test", &(struct reader_options){0});
    ck_assert_uint_eq(peer_expect_link(&reader).entry, 0);
    ring_drop(&next);
}
END_TEST

START_TEST(a_follower_without_room_stays_and_gets_room_that_is_freed) {
    struct test_ring next;
    ring_make(&next, "test", 5);
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 8});
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 1, .leases = 2});
    peer_expect_link(&reader);
    peer_open_reader(&other, "test", &(struct reader_options){.reader = 1, .leases = 2});
    peer_expect_link(&other);
    peer_send_ring(&writer, &next, "test",
                   &(struct ring_options){.links = 4, .generation = 1, .first_entry = 20});
    ck_assert_uint_eq(peer_expect_link(&reader).generation, 2);
    peer_expect_error(&other, -ENOSPC);
    peer_close(&reader);
    const struct message_link link = peer_expect_link(&other);
    ck_assert_uint_eq(link.generation, 2);
    ck_assert_uint_eq(link.flags, MESSAGE_FROM_START);
    peer_open(&reader, &supervisor, "reader");
    ring_drop(&next);
}
END_TEST

/* ---- the writer's connection is lost, its process lives ---- */

START_TEST(a_writer_comes_back_with_its_links) {
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 4});
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 6});
    const struct message_link link = peer_expect_link(&reader);
    const uint64_t word = peer_entry(&writer, link.entry);
    peer_vanish(&writer);
    send_request(&other, 9, "test");
    peer_expect_error(&other, -EPIPE);                             /* its end has been noticed */
    peer_open_reader(&other, "test", &(struct reader_options){0}); /* waits for it */
    ck_assert_uint_eq(reader_word_gone(peer_entry(&reader, 6)), 0);

    peer_open(&writer, &supervisor, "writer");
    peer_send_ring(
        &writer, &ring, "test",
        &(struct ring_options){
            .links = 2, .held = 1, .flags = MESSAGE_RESYNC, .generation = 1, .sequence = 99});
    union message message;
    message_init(&message, MESSAGE_HELD_LINK, 0);
    message.held_link.generation = 1;
    message.held_link.entry = link.entry;
    message.held_link.pid = (uint32_t)getpid();
    message.held_link.start_time = (uint64_t)start_time_of(getpid());
    message.held_link.word = word;
    peer_send(&writer, &message, NULL);
    peer_send_offer(&writer, 0, 1, 30, 130);
    peer_send_offer(&writer, 0, 1, 31, 131);
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 1);
    ck_assert_uint_eq(mail.message.opened.sequence, 99);
    ck_assert_uint_eq(peer_entry(&writer, link.entry), word);
    const struct message_link new_link = peer_expect_link(&other);
    ck_assert_uint_eq(new_link.entry, 30);
    ck_assert_uint_eq(new_link.flags, 0);
    ck_assert_uint_eq(peer_entry(&reader, 6), reader_word(0, ENTRY_GRANTED));
    peer_close(&reader);
    peer_expect_state(&writer, link.entry, ENTRY_GONE);
    peer_open(&reader, &supervisor, "reader");
}
END_TEST

START_TEST(a_reader_whose_link_the_writer_does_not_know_is_evicted) {
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 4});
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 6});
    peer_expect_link(&reader);
    peer_vanish(&writer);
    peer_open(&writer, &supervisor, "writer");
    peer_open_ring(&writer, &ring, "test",
                   &(struct ring_options){
                       .links = 2, .flags = MESSAGE_RESYNC, .generation = 1, .first_entry = 40});
    peer_expect_state(&reader, 6, ENTRY_EVICTED);
}
END_TEST

/* ---- requests ---- */

START_TEST(requests_go_to_the_writer_and_answers_to_their_askers) {
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.writer = 5, .links = 2});
    struct peer *const askers[] = {&reader, &other};
    struct channel_mail mail[2];
    for (unsigned i = 0; i < 2; i++) {
        send_request(askers[i], 77, "test");
        peer_expect(&writer, MESSAGE_REQUEST, &mail[i]);
        ck_assert_uint_eq(mail[i].message.request.writer, 5);
        ck_assert_str_eq(mail[i].message.request.verb, "pause");
        ck_assert_str_eq(mail[i].message.request.argument, "now");
    }
    ck_assert_uint_ne(mail[0].message.header.cookie, mail[1].message.header.cookie);
    for (int i = 1; i >= 0; i--) { /* in the other order */
        union message message;
        message_init(&message, MESSAGE_ANSWER, mail[i].message.header.cookie);
        message.answer.status = -i;
        snprintf(message.answer.text, sizeof(message.answer.text), "answer %d", i);
        peer_send(&writer, &message, NULL);
    }
    for (int i = 0; i < 2; i++) {
        struct channel_mail answer;
        peer_expect(askers[i], MESSAGE_ANSWER, &answer);
        ck_assert_uint_eq(answer.message.header.cookie, 77);
        ck_assert_int_eq(answer.message.answer.status, -i);
    }
}
END_TEST

START_TEST(requests_without_a_writer_are_answered) {
    send_request(&reader, 77, "test");
    peer_expect_error(&reader, -ENOENT);
    struct child child = child_start(act_write);
    send_request(&reader, 78, "test");
    child_end(&child, SIGKILL);
    peer_expect_error(&reader, -EPIPE);
    send_request(&reader, 79, "test");
    peer_expect_error(&reader, -EPIPE);
}
END_TEST

START_TEST(a_writer_that_answers_nothing_is_not_asked_for_ever) {
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    for (uint32_t i = 1; i <= 64; i++)
        send_request(&reader, i, "test");
    send_request(&reader, 65, "test");
    peer_expect_error(&reader, -EBUSY);
    peer_close(&reader); /* the askers' end does not harm the writer */
    peer_open(&reader, &supervisor, "reader");
    struct channel_mail mail;
    for (uint32_t i = 1; i <= 64; i++) {
        peer_expect(&writer, MESSAGE_REQUEST, &mail);
        union message message;
        message_init(&message, MESSAGE_ANSWER, mail.message.header.cookie);
        peer_send(&writer, &message, NULL);
    }
    peer_expect_silence(&writer);
    peer_expect_silence(&reader); /* it has asked nothing yet */
    send_request(&reader, 66, "test");
    peer_expect(&writer, MESSAGE_REQUEST, &mail);
}
END_TEST

/* ---- lists, records, eviction ---- */

static void send_list(struct peer *peer, enum message_type type, const char *stream) {
    union message message;
    message_init(&message, type, 5);
    strcpy(message.list.stream, stream);
    peer_send(peer, &message, NULL);
}

START_TEST(streams_are_listed_by_name_with_what_they_are) {
    struct test_ring second;
    ring_make(&second, "alpha", 8);
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    peer_open_ring(&writer, &second, "alpha",
                   &(struct ring_options){.writer = 1, .links = 2, .first_entry = 10});
    peer_open_reader(&reader, "waited-for", &(struct reader_options){0});
    atomic_store(&ring.memory->head, place_word(12, 3));
    send_list(&other, MESSAGE_LIST_STREAMS, "");
    struct channel_mail mail;
    peer_expect(&other, MESSAGE_STREAM, &mail);
    ck_assert_str_eq(mail.message.stream.info.name, "alpha");
    peer_expect(&other, MESSAGE_STREAM, &mail);
    const struct shmframe_stream_info *info = &mail.message.stream.info;
    ck_assert_uint_eq(mail.message.header.cookie, 5);
    ck_assert_str_eq(info->name, "test");
    ck_assert_str_eq(info->group, "tests");
    ck_assert_str_eq(info->writer, "writer");
    ck_assert_str_ne(info->format, "");
    ck_assert_uint_eq(info->state, SHMFRAME_STREAM_LIVE);
    ck_assert_uint_eq(info->kind, SHMFRAME_DATA);
    ck_assert_uint_eq(info->generation, 1);
    ck_assert_uint_eq(info->head, 12);
    ck_assert_int_eq(info->writer_pid, getpid());
    ck_assert_uint_eq(info->writer_uid, getuid());
    ck_assert_uint_eq(info->memory_bytes, region_memory_bytes(ring.fd));
    peer_expect(&other, MESSAGE_STREAM, &mail);
    ck_assert_str_eq(mail.message.stream.info.name, "waited-for");
    ck_assert_uint_eq(mail.message.stream.info.state, SHMFRAME_STREAM_WAITED_FOR);
    ck_assert_uint_eq(mail.message.stream.info.readers, 1);
    peer_expect(&other, MESSAGE_DONE, &mail);
    ck_assert_uint_eq(mail.message.header.cookie, 5);
    ring_drop(&second);
}
END_TEST

START_TEST(a_stream_that_is_over_is_listed_as_that) {
    struct child child = child_start(act_write);
    child_end(&child, 0); /* CLOSE_WRITER, without an end */
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    atomic_store(&ring.memory->state, RING_ENDED);
    send_list(&other, MESSAGE_LIST_STREAMS, "");
    struct channel_mail mail;
    peer_expect(&other, MESSAGE_STREAM, &mail);
    ck_assert_uint_eq(mail.message.stream.info.state, SHMFRAME_STREAM_ENDED);
    ck_assert_uint_eq(mail.message.stream.info.generation, 2);
    peer_expect(&other, MESSAGE_DONE, &mail);
    peer_close(&writer);
    peer_open(&writer, &supervisor, "writer");
    send_list(&other, MESSAGE_LIST_STREAMS, "");
    peer_expect(&other, MESSAGE_STREAM, &mail);
    ck_assert_uint_eq(mail.message.stream.info.state, SHMFRAME_STREAM_ENDED);
    ck_assert_int_eq(mail.message.stream.info.writer_pid, 0);
    ck_assert_uint_eq(mail.message.stream.info.memory_bytes, 0);
    peer_expect(&other, MESSAGE_DONE, &mail);
}
END_TEST

START_TEST(a_list_longer_than_the_socket_arrives_whole) {
    enum { READERS = 800, OF_SESSION = 50 };
    static struct peer crowd[READERS / OF_SESSION];
    for (uint32_t i = 0; i < READERS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "s%04u", i);
        struct peer *one = &crowd[i / OF_SESSION];
        if (i % OF_SESSION == 0)
            peer_open(one, &supervisor, "crowd");
        peer_open_reader(one, name, &(struct reader_options){.reader = i % OF_SESSION});
    }
    send_list(&other, MESSAGE_LIST_STREAMS, "");
    send_list(&other, MESSAGE_LIST_STREAMS, ""); /* one at a time */
    peer_expect_silence(&reader);                /* others are served meanwhile */
    unsigned streams = 0, refused = 0;
    struct channel_mail mail;
    for (unsigned done = 0; done + refused < 2;) {
        struct pollfd poll_socket = {.fd = other.socket, .events = POLLIN};
        ck_assert_int_eq(poll(&poll_socket, 1, DEADLINE_MS), 1);
        ck_assert_int_eq(channel_receive(other.socket, &mail), 0);
        streams += mail.message.header.type == MESSAGE_STREAM;
        done += mail.message.header.type == MESSAGE_DONE;
        refused += mail.message.header.type == MESSAGE_ERROR;
    }
    ck_assert_uint_eq(streams, refused ? READERS : 2 * READERS);
    for (uint32_t i = 0; i < READERS / OF_SESSION; i++)
        peer_close(&crowd[i]);
}
END_TEST

START_TEST(readers_are_listed_and_their_records_given_out) {
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    const uint32_t number = peer_open_reader(
        &reader, "test",
        &(struct reader_options){.policy = SHMFRAME_IN_ORDER, .depth = 5, .leases = 2});
    peer_expect_link(&reader);
    send_list(&other, MESSAGE_LIST_READERS, "test");
    struct channel_mail mail;
    peer_expect(&other, MESSAGE_READER, &mail);
    const struct shmframe_reader_info *info = &mail.message.reader.info;
    ck_assert_str_eq(info->name, "test-reader");
    ck_assert_uint_eq(info->number, number);
    ck_assert_int_eq(info->pid, getpid());
    ck_assert_uint_eq(info->policy, SHMFRAME_IN_ORDER);
    ck_assert_uint_eq(info->depth, 5);
    ck_assert_uint_eq(info->leases, 2);
    ck_assert_uint_eq(info->generation, 1);
    peer_expect(&other, MESSAGE_DONE, &mail);

    union message message;
    message_init(&message, MESSAGE_GET_RECORD, 6);
    strcpy(message.reader_of.stream, "test");
    message.reader_of.number = number;
    peer_send(&other, &message, NULL);
    peer_expect(&other, MESSAGE_RECORD, &mail);
    ck_assert_int_eq(region_check(mail.fd[0], REGION_SEALED, RECORD_BYTES, NULL), 0);
    channel_close_fds(&mail);
    message.reader_of.number = number + 1000;
    peer_send(&other, &message, NULL);
    peer_expect_error(&other, -ENOENT);
    send_list(&other, MESSAGE_LIST_READERS, "no-such");
    peer_expect_error(&other, -ENOENT);
}
END_TEST

START_TEST(an_evicted_reader_is_told_and_the_writer_too) {
    peer_open_ring(&writer, &ring, "test", &TWO_LINKS);
    const uint32_t number =
        peer_open_reader(&reader, "test", &(struct reader_options){.reader = 8});
    const struct message_link link = peer_expect_link(&reader);
    union message message;
    message_init(&message, MESSAGE_EVICT, 6);
    strcpy(message.reader_of.stream, "test");
    message.reader_of.number = number;
    peer_send(&other, &message, NULL);
    struct channel_mail mail;
    peer_expect(&other, MESSAGE_DONE, &mail);
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, link.entry)).state, ENTRY_EVICTED);
    ck_assert_uint_eq(grant_from_word(peer_entry(&writer, link.entry)).serial, link.serial);
    ck_assert_uint_eq(peer_entry(&reader, 8), reader_word(0, ENTRY_EVICTED));
    /* For good: the next ring is not for it. */
    struct test_ring next;
    ring_make(&next, "test", 8);
    peer_send_ring(&writer, &next, "test",
                   &(struct ring_options){.links = 3, .generation = 1, .first_entry = 20});
    peer_expect_silence(&reader);
    ring_drop(&next);
}
END_TEST

START_TEST(thirty_two_readers_and_sixty_four_streams_fit) {
    static struct test_ring rings[64];
    for (uint32_t i = 0; i < 64; i++) {
        char name[16];
        snprintf(name, sizeof(name), "stream%u", i);
        ring_make(&rings[i], name, 64);
        peer_open_ring(&writer, &rings[i], name,
                       &(struct ring_options){.writer = i, .links = 2, .first_entry = 10 * i});
    }
    struct test_ring one_more;
    ring_make(&one_more, "one-more", 64);
    peer_send_ring(&writer, &one_more, "one-more",
                   &(struct ring_options){.writer = 64, .links = 2});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&writer, -ENOSPC), "64"));
    writer.writers = 64;
    for (uint32_t i = 0; i < 32; i++) {
        peer_open_reader(&reader, "stream0", &(struct reader_options){.reader = i});
        peer_expect_link(&reader);
        struct channel_mail mail;
        peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
        peer_expect(&writer, MESSAGE_WANT_LINKS, &mail);
        ck_assert_uint_eq(mail.message.want_links.links, 1);
        peer_send_offer(&writer, 0, 1, 1000 + i, 1000 + i);
        peer_expect_silence(&writer); /* it is there before the next reader comes */
    }
    ring_drop(&one_more);
    for (uint32_t i = 0; i < 64; i++)
        ring_drop(&rings[i]);
}
END_TEST

static uint64_t resident_bytes(pid_t pid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    unsigned long long size, resident;
    ck_assert_int_eq(fscanf(file, "%llu %llu", &size, &resident), 2);
    fclose(file);
    return resident * 4096;
}

START_TEST(coming_and_going_costs_no_memory_and_no_descriptors) {
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 100});
    uint64_t early = 0;
    for (unsigned round = 0; round < 600; round++) {
        struct peer visitor;
        peer_open(&visitor, &supervisor, "visitor");
        peer_open_reader(&visitor, round % 2 ? "test" : "elsewhere",
                         &(struct reader_options){.reader = round % 7});
        if (round % 2) {
            const struct message_link link = peer_expect_link(&visitor);
            peer_close(&visitor);
            peer_expect_state(&writer, link.entry, ENTRY_GONE);
            peer_send_offer(&writer, 0, 1, link.entry, 1000 + round);
        } else {
            peer_close(&visitor);
        }
        struct channel_mail mail;
        while (channel_receive(writer.socket, &mail) == 0) {
        }
        if (round == 200)
            early = resident_bytes(supervisor.pid);
    }
    peer_expect_silence(&other);
    ck_assert_uint_le(resident_bytes(supervisor.pid), early + (8u << 20));
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("streams");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, a_reader_that_waits_is_linked_before_the_writers_open_returns);
    tcase_add_test(cases, the_grant_is_in_the_writers_page_before_the_reader_has_the_link);
    tcase_add_test(cases, links_are_asked_for_when_few_are_left);
    tcase_add_test(cases, a_crowd_of_readers_does_not_flood_the_writer);
    tcase_add_test(cases, a_session_does_not_use_up_the_names_by_waiting);
    tcase_add_test(cases, when_all_names_are_used_up_one_that_is_free_again_makes_room);
    tcase_add_test(cases, a_stream_that_must_exist_and_does_not_is_named);
    tcase_add_test(cases, a_name_that_is_taken_names_its_owner);
    tcase_add_test(cases, a_ring_without_room_for_the_reader_refuses_it);
    tcase_add_test(cases, a_waiting_reader_hears_that_there_is_no_room);
    tcase_add_test(cases, a_live_stream_waits_for_nobody);
    tcase_add_test(cases, a_lossless_reader_is_marked_in_its_grant);
    tcase_add_test(cases, a_reader_that_leaves_is_gone_in_the_writers_page);
    tcase_add_test(cases, a_reader_that_dies_is_gone_in_the_writers_page);
    tcase_add_test(cases, a_waiting_reader_that_dies_is_forgotten);
    tcase_add_test(cases, a_closed_connection_is_not_a_death);
    tcase_add_test(cases, a_link_that_nobody_comes_back_for_ends);
    tcase_add_test(cases, readers_hear_at_once_that_the_writer_died);
    tcase_add_test(cases, the_next_writer_goes_on_with_generation_and_sequence);
    tcase_add_test(cases, who_comes_while_the_writer_is_still_dying_hears_not_yet);
    tcase_add_test(cases, a_writer_that_closes_is_gone_and_the_name_is_free);
    tcase_add_test(cases, a_writer_that_comes_back_to_what_others_have_written_since_is_refused);
    tcase_add_loop_test(cases, a_writer_that_comes_back_does_not_use_up_the_numbers, 0, 3);
    tcase_add_test(cases, a_poisoned_head_does_not_use_up_the_numbers);
    tcase_add_test(cases, followers_are_linked_to_the_next_ring_before_its_open_returns);
    tcase_add_test(cases, a_refused_next_ring_leaves_the_former_as_it_was);
    tcase_add_test(cases, a_follower_without_room_stays_and_gets_room_that_is_freed);
    tcase_add_test(cases, a_writer_comes_back_with_its_links);
    tcase_add_test(cases, a_reader_whose_link_the_writer_does_not_know_is_evicted);
    tcase_add_test(cases, requests_go_to_the_writer_and_answers_to_their_askers);
    tcase_add_test(cases, requests_without_a_writer_are_answered);
    tcase_add_test(cases, a_writer_that_answers_nothing_is_not_asked_for_ever);
    tcase_add_test(cases, streams_are_listed_by_name_with_what_they_are);
    tcase_add_test(cases, a_stream_that_is_over_is_listed_as_that);
    tcase_add_test(cases, a_list_longer_than_the_socket_arrives_whole);
    tcase_add_test(cases, readers_are_listed_and_their_records_given_out);
    tcase_add_test(cases, an_evicted_reader_is_told_and_the_writer_too);
    tcase_add_test(cases, thirty_two_readers_and_sixty_four_streams_fit);
    tcase_add_test(cases, coming_and_going_costs_no_memory_and_no_descriptors);
    Suite *suite = suite_create("streams");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
