/* A supervisor dies; the next one picks everything up. */
#include "peer.h"

#include "limits.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../region/descriptors.h"

static struct supervisor supervisor;
static struct peer writer, reader;
static struct test_ring ring;

static void begin(void) {
    supervisor_prepare(&supervisor);
    supervisor_start(&supervisor);
    ring_make(&ring, "test", 16);
}

static void end(void) {
    ring_drop(&ring);
    supervisor_expect_fds_back(&supervisor);
    supervisor_clean(&supervisor);
}

/* What a writer knows of a link that it brought, as it stands in its page. */
static struct message_held_link note_held(const struct peer *peer, uint32_t entry) {
    const struct notice_entry *place = &peer->page->entry[entry];
    union message message;
    message_init(&message, MESSAGE_HELD_LINK, 0);
    message.held_link.entry = entry;
    message.held_link.word = atomic_load(&((struct notice_entry *)place)->word);
    message.held_link.pid = atomic_load(&((struct notice_entry *)place)->pid);
    message.held_link.start_time = atomic_load(&((struct notice_entry *)place)->start_time);
    return message.held_link;
}

/* The writer comes back with generation 1, `held`, and two fresh links at entries 50 and 51. */
static void return_writer(const struct message_held_link *held, uint32_t count) {
    peer_open(&writer, &supervisor, "writer");
    const struct ring_options options = {
        .links = 2, .held = count, .flags = MESSAGE_RESYNC, .generation = 1, .sequence = 70};
    peer_send_ring(&writer, &ring, "test", &options);
    for (uint32_t i = 0; i < count; i++) {
        union message message = {.held_link = held[i]};
        message.held_link.generation = 1;
        peer_send(&writer, &message, NULL);
    }
    if (count > 0)
        for (uint32_t i = 0; i < 2; i++)
            peer_send_offer(&writer, 0, 1, 50 + i, 150 + i);
    struct channel_mail mail;
    do { /* news of links that ended meanwhile may come before */
        ck_assert_int_eq(
            poll(&(struct pollfd){.fd = writer.socket, .events = POLLIN}, 1, DEADLINE_MS), 1);
        ck_assert_int_eq(channel_receive(writer.socket, &mail), 0);
    } while (mail.message.header.type == MESSAGE_READER_EVENT);
    ck_assert_int_eq(mail.message.header.type, MESSAGE_OPENED);
    ck_assert_uint_eq(mail.message.opened.generation, 1);
    ck_assert_uint_eq(mail.message.opened.sequence, 70);
}

static void return_reader(const struct message_link *link) {
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&reader, "test",
                     &(struct reader_options){.reader = 6,
                                              .flags = MESSAGE_RESYNC,
                                              .generation = link->generation,
                                              .entry = link->entry,
                                              .serial = link->serial,
                                              .head = 60});
}

/* A writer and a linked reader; then the supervisor is killed and another one started. */
static struct message_link open_both(struct message_held_link *out_held) {
    peer_open(&writer, &supervisor, "writer");
    peer_open(&reader, &supervisor, "reader");
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 20});
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 6});
    const struct message_link link = peer_expect_link(&reader);
    *out_held = note_held(&writer, link.entry);
    return link;
}

static void restart(void) {
    supervisor_kill(&supervisor);
    supervisor_start(&supervisor);
}

START_TEST(both_come_back_the_writer_first) {
    struct message_held_link held;
    const struct message_link link = open_both(&held);
    restart();
    peer_expect_end(&reader);
    peer_vanish(&writer);
    peer_vanish(&reader);
    return_writer(&held, 1);
    ck_assert_uint_eq(peer_entry(&writer, link.entry), held.word);
    return_reader(&link);
    peer_expect_silence(&reader); /* its link goes on: it needs no other */
    ck_assert_uint_eq(peer_entry(&reader, 6), reader_word(0, ENTRY_GRANTED));
    peer_close(&reader);
    peer_expect_state(&writer, link.entry, ENTRY_GONE);
    ck_assert_uint_eq(grant_from_word(peer_entry(&writer, link.entry)).serial, link.serial);
    peer_close(&writer);
}
END_TEST

START_TEST(both_come_back_the_reader_first) {
    struct message_held_link held;
    const struct message_link link = open_both(&held);
    restart();
    peer_vanish(&writer);
    peer_vanish(&reader);
    return_reader(&link);
    peer_expect_silence(&reader);
    ck_assert_uint_eq(peer_entry(&reader, 6), reader_word(0, ENTRY_GRANTED));
    return_writer(&held, 1);
    peer_expect_silence(&reader);
    ck_assert_uint_eq(peer_entry(&reader, 6), reader_word(0, ENTRY_GRANTED));
    ck_assert_uint_eq(peer_entry(&writer, link.entry), held.word);
    peer_close(&reader);
    peer_expect_state(&writer, link.entry, ENTRY_GONE);
    peer_close(&writer);
}
END_TEST

/* A process that holds a link and dies while no supervisor is there. */
static struct message_link link_child(struct message_held_link *out_held, pid_t *out_pid) {
    int told[2];
    ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
    const pid_t pid = fork_bound();
    if (pid == 0) {
        struct peer peer;
        peer_open(&peer, &supervisor, "child");
        peer_open_reader(&peer, "test", &(struct reader_options){.reader = 6});
        const struct message_link link = peer_expect_link(&peer);
        if (write(told[1], &link, sizeof(link)) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    struct message_link link;
    ck_assert_int_eq(read(told[0], &link, sizeof(link)), sizeof(link));
    close(told[0]);
    close(told[1]);
    *out_held = note_held(&writer, link.entry);
    *out_pid = pid;
    return link;
}

static void kill_children(const pid_t *pid, unsigned count) {
    int status;
    for (unsigned i = 0; i < count; i++)
        kill(pid[i], SIGKILL);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
}

static void kill_child(pid_t pid) {
    kill_children(&pid, 1);
}

START_TEST(a_holder_that_died_meanwhile_is_gone) {
    struct message_held_link held;
    pid_t child;
    peer_open(&writer, &supervisor, "writer");
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 20});
    const struct message_link link = link_child(&held, &child);
    ck_assert_uint_eq(held.pid, (uint32_t)child);
    supervisor_kill(&supervisor);
    kill_child(child);
    supervisor_start(&supervisor);
    peer_vanish(&writer);
    return_writer(&held, 1);
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, link.entry)).state, ENTRY_GONE);
    peer_close(&writer);
}
END_TEST

START_TEST(a_holder_that_lives_keeps_its_link_until_it_dies) {
    struct message_held_link held;
    pid_t child;
    peer_open(&writer, &supervisor, "writer");
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 20});
    const struct message_link link = link_child(&held, &child);
    restart();
    peer_vanish(&writer);
    return_writer(&held, 1);
    /* Longer than the grace: a living reader may still read. */
    poll(NULL, 0, 2600);
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, link.entry)).state, ENTRY_GRANTED);
    kill_child(child);
    peer_expect_state(&writer, link.entry, ENTRY_GONE);
    peer_close(&writer);
}
END_TEST

START_TEST(a_link_whose_process_came_back_without_it_ends) {
    struct message_held_link held;
    const struct message_link link = open_both(&held);
    restart();
    peer_vanish(&writer);
    peer_vanish(&reader);
    return_writer(&held, 1); /* the same process as the reader's, which has closed it */
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, link.entry)).state, ENTRY_GRANTED);
    peer_expect_gone_link(&writer, link.entry, &writer);
    peer_close(&writer);
}
END_TEST

/* Its process gets no turn for longer than those are waited for who come back without a link:
 * before it has read that it is welcome, or right after. So it may, as the supervisor begins anew
 * or as only its connection broke. */
START_TEST(a_reader_that_is_slow_to_come_back_keeps_its_link) {
    const bool is_restart = _i & 1, has_read = _i & 2;
    struct message_held_link held;
    const struct message_link link = open_both(&held);
    if (is_restart) {
        restart();
        peer_vanish(&writer);
    }
    peer_vanish(&reader);
    reader = (struct peer){.socket = peer_connect(&supervisor)};
    peer_send_hello(&reader, "reader");
    if (has_read)
        peer_expect_welcome(&reader);
    if (is_restart)
        return_writer(&held, 1);
    poll(NULL, 0, 6500);
    if (!has_read)
        peer_expect_welcome(&reader);
    peer_open_reader(&reader, "test",
                     &(struct reader_options){.reader = 6,
                                              .flags = MESSAGE_RESYNC,
                                              .generation = link.generation,
                                              .entry = link.entry,
                                              .serial = link.serial});
    peer_expect_silence(&reader);
    ck_assert_uint_eq(peer_entry(&reader, 6), reader_word(0, ENTRY_GRANTED));
    ck_assert_uint_eq(peer_entry(&writer, link.entry), held.word);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

/* A reader's process that, once it is told, comes back every second without the link. */
_Noreturn static void come_back_on(int go, int told) {
    struct peer peer;
    char byte;
    peer_open(&peer, &supervisor, "child");
    peer_open_reader(&peer, "test", &(struct reader_options){.reader = 6});
    const struct message_link link = peer_expect_link(&peer);
    if (write(told, &link, sizeof(link)) < 0 || read(go, &byte, 1) != 1)
        _exit(1);
    for (;;) {
        peer_vanish(&peer);
        peer_open(&peer, &supervisor, "child");
        peer_read_until(&peer, shmframe_deadline_ns(INT64_C(1000000000)));
    }
}

/* Not each connection has its time anew to tell of it. */
START_TEST(a_link_whose_process_comes_back_again_and_again_without_it_ends) {
    int go[2], told[2];
    ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
    peer_open(&writer, &supervisor, "writer");
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 20});
    const pid_t child = fork_bound();
    if (child == 0)
        come_back_on(go[0], told[1]);
    struct message_link link;
    ck_assert_int_eq(read(told[0], &link, sizeof(link)), sizeof(link));
    const struct message_held_link held = note_held(&writer, link.entry);
    restart();
    peer_vanish(&writer);
    return_writer(&held, 1);
    ck_assert_int_eq(write(go[1], "x", 1), 1);
    peer_expect_gone_link(&writer, link.entry, &writer);
    kill_child(child);
    for (unsigned i = 0; i < 2; i++) {
        close(go[i]);
        close(told[i]);
    }
    peer_close(&writer);
}
END_TEST

static atomic_bool is_enough;

static void *talk_on(void *user) {
    const int socket = *(const int *)user;
    union message message;
    message_init(&message, MESSAGE_CLOSE_READER, 0);
    message.close_reader.reader = 99;
    while (!atomic_load(&is_enough))
        if (channel_send(socket, &message, NULL) == -EAGAIN)
            poll(&(struct pollfd){.fd = socket, .events = POLLOUT}, 1, 100);
    return NULL;
}

/* More than all that anybody can have to tell, so that something is unread at all times. */
START_TEST(a_link_whose_process_never_stops_talking_ends_too) {
    struct message_held_link held;
    pthread_t talker;
    const struct message_link link = open_both(&held);
    restart();
    peer_vanish(&writer);
    peer_vanish(&reader);
    peer_open(&reader, &supervisor, "reader");
    atomic_store(&is_enough, false);
    ck_assert_int_eq(pthread_create(&talker, NULL, talk_on, &reader.socket), 0);
    return_writer(&held, 1);
    peer_expect_gone_link(&writer, link.entry, &writer);
    atomic_store(&is_enough, true);
    pthread_join(talker, NULL);
    peer_vanish(&reader);
    peer_close(&writer);
}
END_TEST

START_TEST(a_reused_pid_is_not_the_holder) {
    struct message_held_link held;
    open_both(&held);
    restart();
    peer_vanish(&writer);
    peer_vanish(&reader);
    held.start_time++; /* somebody else who had our pid */
    return_writer(&held, 1);
    ck_assert_int_eq(grant_from_word(peer_entry(&writer, held.entry)).state, ENTRY_GONE);
    peer_close(&writer);
}
END_TEST

START_TEST(a_stranger_hears_not_yet_and_generations_go_on) {
    struct message_held_link held;
    open_both(&held);
    restart();
    /* The owner - this process - lives and has not come back. */
    const pid_t stranger = fork_bound();
    if (stranger == 0) {
        struct peer peer;
        peer_open(&peer, &supervisor, "stranger");
        peer_send_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
        const char *text = peer_expect_error(&peer, -EAGAIN);
        _exit(strncmp(text, "not yet:", 8) == 0 ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(stranger, &status, 0), stranger);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    peer_vanish(&writer);
    peer_vanish(&reader);
    return_writer(&held, 1);
    union message message;
    message_init(&message, MESSAGE_CLOSE_WRITER, 0);
    peer_send(&writer, &message, NULL);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 2});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 2);
    ck_assert_uint_eq(mail.message.opened.sequence, 70);
    peer_close(&writer);
}
END_TEST

START_TEST(names_of_the_dead_are_free_and_their_numbers_go_on) {
    const pid_t child = fork_bound();
    if (child == 0) {
        struct peer peer;
        peer_open(&peer, &supervisor, "child");
        struct test_ring own; /* mappings are not inherited */
        ring_make(&own, "test", 8);
        atomic_store(&own.memory->head, place_word(33, 0));
        peer_open_ring(&peer, &own, "test", &(struct ring_options){.links = 2});
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* In good order: only that way the newest sequence is sure to be in the file. */
    supervisor_stop(&supervisor);
    supervisor_start(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 2});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 2);
    ck_assert_uint_eq(mail.message.opened.sequence, 33);
    peer_close(&writer);
}
END_TEST

START_TEST(a_reader_alone_waits_for_the_next_writer) {
    struct message_held_link held;
    const struct message_link link = open_both(&held);
    union message message;
    message_init(&message, MESSAGE_CLOSE_WRITER, 1);
    message.close_writer.sequence = 61;
    peer_send(&writer, &message, NULL);
    peer_expect_gone(&reader, 6, 1);
    restart();
    peer_vanish(&writer);
    peer_vanish(&reader);
    return_reader(&link);
    peer_expect_gone(&reader, 6, 1);
    peer_open(&writer, &supervisor, "writer");
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 2);
    ck_assert_uint_eq(mail.message.opened.sequence, 61); /* as the writer told it */
    const struct message_link next = peer_expect_link(&reader);
    ck_assert_uint_eq(next.generation, 2);
    ck_assert_uint_eq(next.flags, MESSAGE_FROM_START);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

/* A writer in a process of its own, once its stream is open. */
static pid_t start_child_writer(void) {
    int go[2];
    ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
    const pid_t child = fork_bound();
    if (child == 0) {
        struct peer peer;
        peer_open(&peer, &supervisor, "child");
        struct test_ring own; /* mappings are not inherited */
        ring_make(&own, "test", 8);
        peer_open_ring(&peer, &own, "test", &(struct ring_options){.links = 2});
        if (write(go[1], "x", 1) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    char byte;
    ck_assert_int_eq(read(go[0], &byte, 1), 1);
    close(go[0]);
    close(go[1]);
    return child;
}

START_TEST(a_writer_that_died_meanwhile_is_gone_for_its_reader) {
    const pid_t child = start_child_writer();
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 6});
    const struct message_link link = peer_expect_link(&reader);
    supervisor_kill(&supervisor);
    kill_child(child);
    supervisor_start(&supervisor);
    peer_vanish(&reader);
    return_reader(&link);
    ck_assert_uint_eq(peer_entry(&reader, 6), reader_word(1, ENTRY_GRANTED));
    peer_close(&reader);
}
END_TEST

static void show_ring(struct peer *peer, uint32_t entry, uint32_t generation, uint64_t head) {
    struct test_ring former;
    ring_make(&former, "test", 8);
    atomic_store(&former.memory->head, place_word(head, 0));
    union message message;
    message_init(&message, MESSAGE_HELD_RING, 0);
    message.held_ring.reader = entry;
    message.held_ring.generation = generation;
    peer_send(peer, &message, &former.fd);
    peer_expect_silence(peer);
    ring_drop(&former);
}

START_TEST(a_next_writer_hears_not_yet_until_the_readers_have_shown_how_far_the_stream_came) {
    const pid_t child = start_child_writer();
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 6});
    const struct message_link link = peer_expect_link(&reader);
    peer_expect_silence(&reader); /* the names' file knows of it by now */
    supervisor_kill(&supervisor);
    kill_child(child);
    supervisor_start(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 2});
    peer_expect_error(&writer, -EAGAIN);
    peer_vanish(&reader);
    return_reader(&link);
    show_ring(&reader, 6, link.generation, 77);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 2, .first_entry = 8});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail); /* the reader is linked before */
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 2);
    ck_assert_uint_eq(mail.message.opened.sequence, 77);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

/* What was learnt of it counts; the ring itself is a whole ring in memory, for as long as the
 * reader waits. */
START_TEST(a_ring_that_is_shown_is_not_kept_once_its_writer_is_dead) {
    const pid_t child = start_child_writer();
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 6});
    const struct message_link link = peer_expect_link(&reader);
    peer_expect_silence(&reader); /* the names' file knows of it by now */
    supervisor_kill(&supervisor);
    kill_child(child);
    supervisor_start(&supervisor);
    peer_vanish(&reader);
    return_reader(&link);
    peer_expect_gone(&reader, 6, link.generation);
    peer_expect_silence(&reader);
    struct supervisor before = supervisor;
    before.fds = descriptors_count(supervisor.pid);
    show_ring(&reader, 6, link.generation, 77);
    supervisor_expect_fds_back(&before);
    peer_open(&writer, &supervisor, "writer");
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 2, .first_entry = 8});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.sequence, 77);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

/* One that had not come back to the former supervisor either knows older rings only. */
START_TEST(the_next_writer_waits_for_a_reader_of_the_newest_ring) {
    supervisor_kill(&supervisor);
    char path[128];
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("shmframe-names 3\ntest 2 1 5 0 0 2\n", file);
    ck_assert_int_eq(fclose(file), 0);
    supervisor_start(&supervisor);
    struct message_link link = {.generation = 1, .entry = 3, .serial = 4};
    return_reader(&link);
    show_ring(&reader, 6, 2, 99); /* not its own: it counts for nothing */
    show_ring(&reader, 6, 1, 10);
    peer_open(&writer, &supervisor, "writer");
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    peer_expect_error(&writer, -EAGAIN);
    struct peer newest;
    peer_open(&newest, &supervisor, "newest");
    peer_open_reader(&newest, "test",
                     &(struct reader_options){.reader = 7,
                                              .flags = MESSAGE_RESYNC,
                                              .generation = 2,
                                              .entry = 5,
                                              .serial = 6,
                                              .head = 60});
    show_ring(&newest, 7, 2, 77);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 8});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 3);
    ck_assert_uint_eq(mail.message.opened.sequence, 77);
    peer_close(&newest);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

/* The one who showed it may be gone, and the writer have gone on, when the next supervisor comes.
 */
START_TEST(who_has_not_come_back_yet_is_waited_for_by_each_supervisor) {
    const pid_t child = start_child_writer();
    struct peer other;
    peer_open(&other, &supervisor, "other");
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&other, "test", &(struct reader_options){.reader = 5});
    peer_expect_link(&other);
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 6});
    const struct message_link link = peer_expect_link(&reader);
    restart();
    peer_vanish(&other);
    peer_vanish(&reader);
    return_reader(&link);
    show_ring(&reader, 6, 1, 10);
    union message message;
    message_init(&message, MESSAGE_CLOSE_READER, 1);
    message.close_reader.reader = 6;
    peer_send(&reader, &message, NULL);
    struct channel_mail mail;
    peer_expect(&reader, MESSAGE_DONE, &mail);
    peer_expect_silence(&reader); /* the names' file knows of it by now */
    supervisor_kill(&supervisor);
    kill_child(child);
    supervisor_start(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    peer_expect_error(&writer, -EAGAIN);
    peer_vanish(&reader);
    return_reader(&link);
    show_ring(&reader, 6, 1, 77);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 8});
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.sequence, 77);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

/* The supervisor knows it, or the writer does: no session may use up the numbers of a stream. */
static void tell(int pipe_end) {
    if (write(pipe_end, "x", 1) != 1)
        _exit(1);
}

static void await(int pipe_end) {
    char byte;
    if (read(pipe_end, &byte, 1) != 1)
        _exit(1);
}

/* Comes back, once told, with its ring and its reader's link; then it changes its format. */
_Noreturn static void write_on(int orders, int answers) {
    struct peer peer;
    struct test_ring own, next; /* mappings are not inherited */
    struct channel_mail mail;
    peer_open(&peer, &supervisor, "child");
    ring_make(&own, "test", 8);
    ring_make(&next, "test", 8);
    peer_open_ring(&peer, &own, "test", &(struct ring_options){.links = 3});
    tell(answers);
    peer_expect(&peer, MESSAGE_READER_EVENT, &mail);
    union message held = {.held_link = note_held(&peer, 0)};
    held.held_link.generation = 1;
    tell(answers);
    await(orders);
    peer_vanish(&peer);
    peer_open(&peer, &supervisor, "child");
    peer_send_ring(&peer, &own, "test",
                   &(struct ring_options){
                       .held = 1, .flags = MESSAGE_RESYNC, .generation = 1, .sequence = 70});
    peer_send(&peer, &held, NULL);
    peer_expect(&peer, MESSAGE_OPENED, &mail);
    peer_expect(&peer, MESSAGE_WANT_LINKS, &mail);
    peer_open_ring(&peer, &next, "test", &(struct ring_options){.links = 2, .first_entry = 8});
    tell(answers);
    for (;;)
        pause();
}

/* What was on loan is published in the ring of the former format, where it reads on. */
START_TEST(who_has_not_come_back_yet_is_waited_for_after_a_change_of_format_as_well) {
    int orders[2], answers[2];
    ck_assert_int_eq(pipe2(orders, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(answers, O_CLOEXEC), 0);
    const pid_t child = fork_bound();
    if (child == 0)
        write_on(orders[0], answers[1]);
    await(answers[0]);
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 6});
    const struct message_link link = peer_expect_link(&reader);
    await(answers[0]);
    restart();
    peer_vanish(&reader);
    tell(orders[1]);
    await(answers[0]);
    supervisor_kill(&supervisor);
    kill_child(child);
    supervisor_start(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    peer_expect_error(&writer, -EAGAIN);
    return_reader(&link);
    show_ring(&reader, 6, 1, 77);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 8});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.sequence, 77);
    for (unsigned i = 0; i < 2; i++) {
        close(orders[i]);
        close(answers[i]);
    }
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

START_TEST(a_reader_is_not_believed_how_far_a_stream_came_that_others_know) {
    const struct reader_options liar = {
        .reader = 9, .flags = MESSAGE_RESYNC, .head = UINT64_C(1) << 44};
    const struct reader_options liar_of_link = {
        .reader = 10, .flags = MESSAGE_RESYNC, .generation = 1, .head = UINT64_C(1) << 44};
    peer_open(&writer, &supervisor, "writer");
    peer_open(&reader, &supervisor, "reader");
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 5});
    peer_open_reader(&reader, "test", &liar);
    peer_expect_link(&reader);
    union message message;
    message_init(&message, MESSAGE_CLOSE_WRITER, 0);
    message.close_writer.sequence = 5;
    peer_send(&writer, &message, NULL);
    peer_expect_gone(&reader, 9, 1);
    peer_open_reader(&reader, "test", &liar_of_link);
    struct test_ring forged;
    ring_make(&forged, "test", 8);
    atomic_store(&forged.memory->head, place_word(UINT64_C(1) << 44, 0));
    for (uint32_t i = 9; i <= 10; i++) {
        message_init(&message, MESSAGE_HELD_RING, 0);
        message.held_ring.reader = i;
        message.held_ring.generation = 1;
        peer_send(&reader, &message, &forged.fd);
    }
    peer_expect_silence(&reader);
    ring_drop(&forged);
    struct peer next;
    struct test_ring own;
    ring_make(&own, "test", 16);
    peer_open(&next, &supervisor, "next");
    peer_send_ring(&next, &own, "test", &(struct ring_options){.links = 5});
    struct channel_mail mail;
    peer_expect(&next, MESSAGE_READER_EVENT, &mail);
    peer_expect(&next, MESSAGE_READER_EVENT, &mail);
    peer_expect(&next, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.sequence, 5);
    ring_drop(&own);
    peer_close(&reader);
    peer_close(&next);
    peer_vanish(&writer);
}
END_TEST

START_TEST(a_reader_of_a_former_generation_gets_the_newest) {
    struct message_held_link held;
    const struct message_link link = open_both(&held);
    struct test_ring next;
    ring_make(&next, "test", 16);
    struct channel_mail mail;
    while (channel_receive(writer.socket, &mail) == 0) {
    }
    peer_send_ring(&writer, &next, "test",
                   &(struct ring_options){.links = 3, .generation = 1, .first_entry = 30});
    ck_assert_uint_eq(peer_expect_link(&reader).generation, 2);
    restart();
    peer_vanish(&writer);
    peer_vanish(&reader);
    /* The second link did not reach it, as far as it says. */
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&reader, "test",
                     &(struct reader_options){.reader = 6,
                                              .policy = (uint32_t)_i,
                                              .depth = _i == SHMFRAME_LATEST ? 0 : 2,
                                              .flags = MESSAGE_RESYNC,
                                              .generation = link.generation,
                                              .entry = link.entry,
                                              .serial = link.serial,
                                              .head = 60});
    peer_open(&writer, &supervisor, "writer");
    peer_open_ring(&writer, &next, "test",
                   &(struct ring_options){.links = 3, .flags = MESSAGE_RESYNC, .generation = 2});
    const struct message_link second = peer_expect_link(&reader);
    ck_assert_uint_eq(second.generation, 2);
    /* Nothing was kept for a lossless one: it is for the writer to say where it begins. */
    ck_assert_uint_eq(second.flags, _i == SHMFRAME_LOSSLESS ? 0 : MESSAGE_FROM_START);
    /* The same writer's former ring: nobody is gone. */
    ck_assert_uint_eq(peer_entry(&reader, 6), reader_word(0, ENTRY_GRANTED));
    peer_close(&reader);
    peer_close(&writer);
    ring_drop(&next);
}
END_TEST

START_TEST(a_number_that_nobody_can_know_costs_the_place) {
    struct message_held_link held;
    open_both(&held);
    restart();
    peer_vanish(&writer);
    peer_vanish(&reader);
    /* The names' file tells of one generation. */
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(
        &reader, "test",
        &(struct reader_options){.reader = 6, .flags = MESSAGE_RESYNC, .generation = 5});
    peer_expect_state(&reader, 6, ENTRY_EVICTED);
    return_writer(&held, 1);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

/* Each has a stream of its own, of which the supervisor knows nothing. */
START_TEST(numbers_beyond_what_is_believed_are_refused_of_unknown_streams_too) {
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&reader, "most",
                     &(struct reader_options){.flags = MESSAGE_RESYNC, .generation = 1u << 30});
    peer_close(&reader);
    peer_open(&reader, &supervisor, "reader");
    peer_send_reader(&reader, "more",
                     &(struct reader_options){
                         .reader = 1, .flags = MESSAGE_RESYNC, .generation = (1u << 30) + 1});
    peer_expect_error(&reader, -EPROTO);
    peer_expect_end(&reader);
    peer_vanish(&reader);
    static const uint32_t generations[] = {0, (1u << 30) + 1};
    for (unsigned i = 0; i < 2; i++) {
        peer_open(&writer, &supervisor, "writer");
        peer_send_ring(
            &writer, &ring, "test",
            &(struct ring_options){.flags = MESSAGE_RESYNC, .generation = generations[i]});
        peer_expect_error(&writer, -EPROTO);
        peer_expect_end(&writer);
        peer_vanish(&writer);
    }
}
END_TEST

START_TEST(without_a_names_file_a_reader_is_not_believed_a_head_that_cannot_be) {
    struct message_held_link held;
    const struct message_link link = open_both(&held);
    supervisor_kill(&supervisor);
    char path[128];
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    ck_assert_int_eq(unlink(path), 0);
    supervisor_start(&supervisor);
    peer_vanish(&writer);
    peer_vanish(&reader);
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(&reader, "test",
                     &(struct reader_options){.reader = 6,
                                              .flags = MESSAGE_RESYNC,
                                              .generation = link.generation,
                                              .entry = link.entry,
                                              .serial = link.serial,
                                              .head = (UINT64_C(1) << 44) + 1});
    return_writer(&held, 1); /* opened at its own sequence */
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

START_TEST(a_reader_that_claims_another_link_than_its_own_is_evicted) {
    struct message_held_link held;
    struct message_link link = open_both(&held);
    restart();
    peer_vanish(&writer);
    peer_vanish(&reader);
    link.serial++;
    return_writer(&held, 1);
    return_reader(&link);
    peer_expect_state(&reader, 6, ENTRY_EVICTED);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

START_TEST(a_reader_that_claims_the_link_of_another_process_is_evicted) {
    struct message_held_link held;
    pid_t child;
    peer_open(&writer, &supervisor, "writer");
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 20});
    const struct message_link link = link_child(&held, &child);
    restart();
    peer_vanish(&writer);
    return_writer(&held, 1);
    return_reader(&link);
    peer_expect_state(&reader, 6, ENTRY_EVICTED);
    ck_assert_uint_eq(peer_entry(&writer, link.entry), held.word);
    kill_child(child);
    peer_expect_state(&writer, link.entry, ENTRY_GONE);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

START_TEST(a_record_in_another_process_is_another_reader) {
    struct region page;
    int record;
    ck_assert_int_eq(region_create("test-record", RECORD_BYTES, &page, &record), 0);
    region_unmap(&page);
    ck_assert_int_eq(region_seal(record, REGION_SEALED), 0);
    const struct reader_options options = {.reader = 6, .record = record};
    const struct reader_options resync = {.reader = 6, .record = record, .flags = MESSAGE_RESYNC};
    peer_open(&writer, &supervisor, "writer");
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 20});
    peer_open(&reader, &supervisor, "reader");
    const uint32_t number = peer_open_reader(&reader, "test", &options);
    peer_expect_link(&reader);
    restart();
    peer_vanish(&writer);
    peer_vanish(&reader);
    const pid_t stranger = fork_bound();
    if (stranger == 0) {
        struct peer peer;
        peer_open(&peer, &supervisor, "stranger");
        _exit(peer_open_reader(&peer, "test", &resync) == number ? 1 : 0);
    }
    int status;
    ck_assert_int_eq(waitpid(stranger, &status, 0), stranger);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    peer_open(&reader, &supervisor, "reader");
    ck_assert_uint_eq(peer_open_reader(&reader, "test", &resync), number);
    close(record);
    peer_close(&reader);
}
END_TEST

START_TEST(without_a_names_file_both_still_come_back) {
    struct message_held_link held;
    const struct message_link link = open_both(&held);
    supervisor_kill(&supervisor);
    char path[128];
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    ck_assert_int_eq(unlink(path), 0);
    supervisor_start(&supervisor);
    peer_vanish(&writer);
    peer_vanish(&reader);
    return_reader(&link);
    ck_assert_uint_eq(peer_entry(&reader, 6), reader_word(0, ENTRY_GRANTED));
    return_writer(&held, 1);
    peer_close(&reader);
    peer_expect_state(&writer, link.entry, ENTRY_GONE);
    peer_close(&writer);
}
END_TEST

/* The names' file is `content`, and so many x. */
static void restart_with_names(const char *content, unsigned times) {
    supervisor_stop(&supervisor);
    char path[128];
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(content, file);
    for (unsigned i = 0; i < times; i++)
        fputc('x', file);
    fclose(file);
    supervisor_start(&supervisor);
}

/* After that the writer opens "good"; returns its generation. */
static uint32_t open_after(const char *content, unsigned times, struct channel_mail *out_mail) {
    restart_with_names(content, times);
    peer_open(&writer, &supervisor, "writer");
    struct test_ring good;
    ring_make(&good, "good", 8);
    peer_send_ring(&writer, &good, "good", &(struct ring_options){.links = 2});
    peer_expect(&writer, MESSAGE_OPENED, out_mail);
    ring_drop(&good);
    return out_mail->message.opened.generation;
}

/* The names' file as it is now. */
static const char *read_names(void) {
    static char content[4096];
    char path[128];
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    content[fread(content, 1, sizeof(content) - 1, file)] = '\0';
    fclose(file);
    return content;
}

START_TEST(a_names_file_of_another_kind_is_not_believed) {
    struct channel_mail mail;
    ck_assert_uint_eq(open_after("shmframe-names 2\ngood 7 7 5 0 0 0\n", 0, &mail), 1);
    ck_assert_uint_eq(mail.message.opened.sequence, 0);
    peer_close(&writer);
}
END_TEST

START_TEST(a_damaged_names_file_does_no_harm) {
    struct channel_mail mail;
    static const char content[] =
        "shmframe-names 3\n\n\ngarbage\ntest -1 99999999999999999999 x\nUPPER 1 0 1 0 0 0\n"
        "good 7 7 5 0 0 0\ngood 8 8 5 0 0 0\nbad 3 9 0 0 0 0\nless 3 3 1 0 0\n"
        "head 2 2 99999999999999999 0 0 4294967295\n=4294967295 1 1 1 good\n";
    ck_assert_uint_eq(open_after(content, 5000, &mail), 8);
    ck_assert_uint_eq(mail.message.opened.sequence, 5);
    /* What it goes on with is what could be believed. */
    const char *names = read_names();
    ck_assert_msg(strstr(names, "good 8 ") && strstr(names, "head 2 2 0 "), "%s", names);
    ck_assert_msg(!strstr(names, "UPPER") && !strstr(names, "bad ") && !strstr(names, "4294967295"),
                  "%s", names);
    ck_assert_uint_eq(peer_open_reader(&writer, "none", &(struct reader_options){.reader = 60}), 1);
    peer_close(&writer);
}
END_TEST

/* What the next supervisor would not believe is not given out. */
START_TEST(a_stream_that_has_used_up_its_generations_gets_no_more) {
    static const char names[] = "shmframe-names 3\ngood 1073741824 1073741824 5 0 0 0\n"
                                "last 1073741823 1073741823 5 0 0 0\n";
    restart_with_names(names, 0);
    peer_open(&writer, &supervisor, "writer");
    struct test_ring good, last;
    ring_make(&good, "good", 8);
    ring_make(&last, "last", 8);
    peer_send_ring(&writer, &good, "good", &(struct ring_options){.links = 2});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&writer, -ENOSPC), "generations"));
    ck_assert_uint_eq(peer_open_ring(&writer, &last, "last", &(struct ring_options){.links = 2}),
                      1073741824);
    ring_drop(&good);
    ring_drop(&last);
    peer_close(&writer);
}
END_TEST

/* Names are kept in the grace, which is over where the machine is too slow to be refused in it. */
static bool was_given_after_the_grace(int64_t begun_ns, struct channel_mail *out_mail) {
    struct pollfd poll_socket = {.fd = writer.socket, .events = POLLIN};
    ck_assert_int_eq(poll(&poll_socket, 1, DEADLINE_MS), 1);
    ck_assert_int_eq(channel_receive(writer.socket, out_mail), 0);
    if (out_mail->message.header.type != MESSAGE_OPENED)
        return false;
    ck_assert_int_ge(shmframe_now_ns() - begun_ns, GRACE_NS);
    return true;
}

/* Fewer descriptors than owners to watch. */
START_TEST(an_owner_whom_nobody_can_watch_is_not_taken_for_dead) {
    enum { OWNERS = 160, DEAD = 130 };
    pid_t owner[OWNERS];
    supervisor_stop(&supervisor);
    char path[128];
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs("shmframe-names 3\n", file);
    for (unsigned i = 0; i < OWNERS; i++) {
        owner[i] = fork_bound();
        if (owner[i] == 0)
            for (;;)
                pause();
        fprintf(file, "s%u 3 2 5 %d %lld 0\n", i, (int)owner[i],
                (long long)start_time_of(owner[i]));
    }
    fclose(file);
    supervisor.fds_limit = OWNERS;
    const int64_t begun_ns = shmframe_now_ns();
    supervisor_start(&supervisor);
    kill_children(owner, DEAD); /* then there is room for us, while the others are waited for */
    supervisor.fds = OWNERS - DEAD + 30;
    supervisor_expect_fds_back(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    struct test_ring last;
    char name[16];
    snprintf(name, sizeof(name), "s%u", OWNERS - 1);
    ring_make(&last, name, 8);
    peer_send_ring(&writer, &last, name, &(struct ring_options){.links = 2});
    struct channel_mail mail;
    const bool is_kept = !was_given_after_the_grace(begun_ns, &mail);
    if (is_kept)
        ck_assert_ptr_nonnull(strstr(mail.message.error.text, "kept for its writer"));
    kill_children(owner + DEAD, OWNERS - DEAD);
    if (is_kept) {
        peer_send_ring(&writer, &last, name, &(struct ring_options){.links = 2});
        peer_expect(&writer, MESSAGE_OPENED, &mail);
    }
    ck_assert_uint_eq(mail.message.opened.generation, 4);
    ring_drop(&last);
    peer_close(&writer);
}
END_TEST

/* Nobody can tell then whether it lives, and whoever is short of descriptors lives through it. */
START_TEST(one_who_has_not_come_back_may_live_while_descriptors_are_short) {
    enum { OWNERS = 160 };
    pid_t owner[OWNERS], child;
    struct message_held_link held;
    char path[128];
    peer_open(&writer, &supervisor, "writer");
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 3, .first_entry = 20});
    link_child(&held, &child);
    supervisor_kill(&supervisor);
    peer_vanish(&writer);
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs("shmframe-names 3\n", file);
    for (unsigned i = 0; i < OWNERS; i++) {
        owner[i] = fork_bound();
        if (owner[i] == 0)
            for (;;)
                pause();
        fprintf(file, "s%u 3 2 5 %d %lld 0\n", i, (int)owner[i],
                (long long)start_time_of(owner[i]));
    }
    fclose(file);
    supervisor.fds_limit = OWNERS;
    supervisor_start(&supervisor);
    poll(NULL, 0, 3500); /* beyond the grace, when it looks for those who are not back */
    for (unsigned i = 0; i < OWNERS; i++)
        kill_child(owner[i]);
    kill_child(child);
    supervisor.fds = 40;
    supervisor_expect_fds_back(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    peer_close(&writer);
}
END_TEST

START_TEST(a_writer_whose_connection_breaks_in_a_change_of_format_goes_on_in_the_former_one) {
    const struct ring_options first = {.links = 2}, next = {.links = 2, .first_entry = 8};
    peer_open(&writer, &supervisor, "writer");
    peer_open(&reader, &supervisor, "reader");
    peer_open_ring(&writer, &ring, "test", &first);
    peer_open_reader(&reader, "test", &(struct reader_options){.reader = 4});
    const struct message_link link = peer_expect_link(&reader);
    ck_assert_uint_eq(link.generation, 1);
    peer_send_ring(&writer, &ring, "test", &next);
    ck_assert_uint_eq(peer_expect_link(&reader).generation, 2);
    const struct message_held_link held = note_held(&writer, link.entry);
    peer_vanish(&writer);    /* before it has read that generation 2 is open */
    return_writer(&held, 1); /* hears OPENED of generation 1 */
    peer_expect_state(&writer, link.entry, ENTRY_GRANTED);
    const struct ring_options last = {.links = 2, .first_entry = 16};
    peer_send_ring(&writer, &ring, "test", &last);
    ck_assert_uint_eq(peer_expect_link(&reader).generation, 3);
    peer_close(&reader);
    peer_close(&writer);
}
END_TEST

/* Two sessions of a process are away, one is back: the other may be its own. */
START_TEST(a_stream_of_the_same_process_that_is_away_is_not_yet_free) {
    struct peer other;
    const struct ring_options options = {.links = 2}, again = {.links = 2, .writer = 1};
    peer_open(&writer, &supervisor, "writer");
    peer_open(&other, &supervisor, "other");
    peer_open_ring(&writer, &ring, "test", &options);
    peer_open_reader(&other, "test", &(struct reader_options){.reader = 4});
    peer_expect_link(&other);
    peer_vanish(&writer);
    peer_vanish(&other);
    peer_open(&writer, &supervisor, "writer");
    const int64_t enough_ns = shmframe_now_ns() + 5 * INT64_C(500000000);
    while (shmframe_now_ns() < enough_ns) {
        peer_send_ring(&writer, &ring, "test", &again);
        peer_expect_error(&writer, -EAGAIN);
        poll(NULL, 0, 50);
    }
    peer_vanish(&writer);
    return_writer(NULL, 0);
    peer_close(&writer);
    peer_open(&other, &supervisor, "other");
    peer_open_reader(&other, "test",
                     &(struct reader_options){.reader = 4, .flags = MESSAGE_RESYNC});
    peer_close(&other);
}
END_TEST

/* Nobody writes to it; or what is in it is not believed. */
START_TEST(a_pipe_in_the_place_of_the_names_is_not_waited_for) {
    supervisor_stop(&supervisor);
    char path[128], beside[136];
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    snprintf(beside, sizeof(beside), "%s.new", path);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(mkfifo(beside, 0600), 0);
    static const char content[] = "shmframe-names 3\ntest 7 7 5 0 0 0\n";
    const int pipe = _i ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
    if (_i)
        ck_assert_int_eq(write(pipe, content, strlen(content)), strlen(content));
    supervisor_start(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    ck_assert_uint_eq(peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 2}),
                      1);
    if (_i)
        close(pipe);
    peer_expect_silence(&writer);
    struct stat info;
    ck_assert_int_eq(lstat(path, &info), 0);
    ck_assert(S_ISREG(info.st_mode));
    ck_assert_int_eq(lstat(beside, &info), -1);
    peer_close(&writer);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("restart");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, both_come_back_the_writer_first);
    tcase_add_test(cases, both_come_back_the_reader_first);
    tcase_add_test(cases, a_holder_that_died_meanwhile_is_gone);
    tcase_add_test(cases, a_holder_that_lives_keeps_its_link_until_it_dies);
    tcase_add_test(cases, a_link_whose_process_came_back_without_it_ends);
    tcase_add_loop_test(cases, a_reader_that_is_slow_to_come_back_keeps_its_link, 0, 4);
    tcase_add_test(cases, a_link_whose_process_comes_back_again_and_again_without_it_ends);
    tcase_add_test(cases, a_link_whose_process_never_stops_talking_ends_too);
    tcase_add_test(cases, a_reused_pid_is_not_the_holder);
    tcase_add_test(cases, a_stranger_hears_not_yet_and_generations_go_on);
    tcase_add_test(cases, names_of_the_dead_are_free_and_their_numbers_go_on);
    tcase_add_test(cases, a_reader_alone_waits_for_the_next_writer);
    tcase_add_test(cases, a_writer_that_died_meanwhile_is_gone_for_its_reader);
    tcase_add_test(
        cases, a_next_writer_hears_not_yet_until_the_readers_have_shown_how_far_the_stream_came);
    tcase_add_loop_test(cases, a_reader_of_a_former_generation_gets_the_newest, SHMFRAME_LATEST,
                        SHMFRAME_LOSSLESS + 1);
    tcase_add_test(cases, a_ring_that_is_shown_is_not_kept_once_its_writer_is_dead);
    tcase_add_test(cases, the_next_writer_waits_for_a_reader_of_the_newest_ring);
    tcase_add_test(cases, who_has_not_come_back_yet_is_waited_for_by_each_supervisor);
    tcase_add_test(cases, who_has_not_come_back_yet_is_waited_for_after_a_change_of_format_as_well);
    tcase_add_test(cases, a_reader_is_not_believed_how_far_a_stream_came_that_others_know);
    tcase_add_test(cases, a_number_that_nobody_can_know_costs_the_place);
    tcase_add_test(cases, numbers_beyond_what_is_believed_are_refused_of_unknown_streams_too);
    tcase_add_test(cases, without_a_names_file_a_reader_is_not_believed_a_head_that_cannot_be);
    tcase_add_test(cases, a_reader_that_claims_another_link_than_its_own_is_evicted);
    tcase_add_test(cases, a_reader_that_claims_the_link_of_another_process_is_evicted);
    tcase_add_test(cases, a_record_in_another_process_is_another_reader);
    tcase_add_test(cases, without_a_names_file_both_still_come_back);
    tcase_add_test(cases, a_names_file_of_another_kind_is_not_believed);
    tcase_add_test(cases, a_damaged_names_file_does_no_harm);
    tcase_add_test(cases, a_stream_that_has_used_up_its_generations_gets_no_more);
    tcase_add_test(cases, an_owner_whom_nobody_can_watch_is_not_taken_for_dead);
    tcase_add_test(cases, one_who_has_not_come_back_may_live_while_descriptors_are_short);
    tcase_add_test(
        cases, a_writer_whose_connection_breaks_in_a_change_of_format_goes_on_in_the_former_one);
    tcase_add_test(cases, a_stream_of_the_same_process_that_is_away_is_not_yet_free);
    tcase_add_loop_test(cases, a_pipe_in_the_place_of_the_names_is_not_waited_for, 0, 2);
    Suite *suite = suite_create("restart");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
