/* Limits of shmframed.conf: whoever asks for more hears which one, nobody else notices. */
#include "peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 16 };

static struct supervisor supervisor;
static struct peer writer, peer;
static struct test_ring ring;

static void begin(void) {
    supervisor_prepare(&supervisor);
}

static void end(void) {
    supervisor_clean(&supervisor);
}

static void start(const char *limit, const char *other) {
    supervisor.option[0] = "--limit";
    supervisor.option[1] = limit;
    supervisor.option[2] = other ? "--limit" : NULL;
    supervisor.option[3] = other;
    supervisor_start(&supervisor);
    peer_open(&writer, &supervisor, "writer");
    peer_open(&peer, &supervisor, "reader");
    ring_make(&ring, "test", SLOTS);
}

static void finish(void) {
    peer_close(&peer);
    peer_close(&writer);
    ring_drop(&ring);
}

static void expect_refusal(struct peer *asker, const char *key) {
    const char *text = peer_expect_error(asker, -ENOSPC);
    ck_assert_msg(strncmp(text, key, strlen(key)) == 0 && text[strlen(key)] == ':' &&
                      strstr(text, ".conf"),
                  "%s", text);
    ck_assert_msg(!strstr(text, " KiB") || !strstr(text, " MiB"), "two scales: %s", text);
}

static void open_stream(void) {
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 8});
}

static void take_answers(struct peer *from, enum message_type first, enum message_type second) {
    struct channel_mail mail;
    peer_expect(from, first, &mail);
    channel_close_fds(&mail);
    if (second == MESSAGE_NONE)
        return;
    peer_expect(from, second, &mail);
    channel_close_fds(&mail);
}

/* A reader that gets its link. */
static void join(struct peer *from, uint32_t entry, uint32_t depth, uint32_t leases) {
    peer_send_reader(
        from, "test",
        &(struct reader_options){.reader = entry,
                                 .policy = depth > 1 ? SHMFRAME_IN_ORDER : SHMFRAME_LATEST,
                                 .depth = depth,
                                 .leases = leases});
    take_answers(from, MESSAGE_READER_OK, MESSAGE_LINK);
    take_answers(&writer, MESSAGE_READER_EVENT, MESSAGE_NONE);
}

static void ask(struct peer *from, uint32_t entry, uint32_t depth, uint32_t leases) {
    peer_send_reader(
        from, "test",
        &(struct reader_options){.reader = entry,
                                 .policy = depth > 1 ? SHMFRAME_IN_ORDER : SHMFRAME_LATEST,
                                 .depth = depth,
                                 .leases = leases});
}

START_TEST(a_session_beyond_the_limit_is_told_which_it_was) {
    enum { RESERVED = 8 }; /* for the supervisor's own user */
    start("sessions=3", NULL);
    struct peer more[1 + RESERVED], last;
    for (unsigned i = 0; i < 1 + RESERVED; i++)
        peer_open(&more[i], &supervisor, "more");
    last = (struct peer){.socket = peer_connect(&supervisor)};
    expect_refusal(&last, "sessions");
    peer_expect_end(&last);
    peer_vanish(&last);
    for (unsigned i = 0; i < 1 + RESERVED; i++)
        peer_close(&more[i]);
    open_stream(); /* the others go on */
    join(&peer, 20, 1, 1);
    finish();
}
END_TEST

/* Nor with the sessions that are kept for the own user beyond it. */
START_TEST(a_limit_has_no_end) {
    start("sessions=18446744073709551609", "streams=18446744073709551614");
    struct peer more;
    peer_open(&more, &supervisor, "more");
    open_stream();
    peer_close(&more);
    finish();
}
END_TEST

START_TEST(a_process_has_its_own_limit_of_sessions) {
    start("sessions-per-process=2", NULL);
    struct peer third = {.socket = peer_connect(&supervisor)};
    expect_refusal(&third, "sessions-per-process");
    peer_vanish(&third);
    finish();
}
END_TEST

START_TEST(streams_are_limited_for_a_session_and_in_all) {
    start("streams=2", "streams-per-session=1");
    struct test_ring other;
    open_stream();
    ring_make(&other, "other", SLOTS);
    peer_send_ring(&writer, &other, "other",
                   &(struct ring_options){.writer = 1, .links = 2, .first_entry = 30});
    expect_refusal(&writer, "streams-per-session");
    peer_open_ring(&peer, &other, "other", &(struct ring_options){.links = 2});
    struct peer third;
    struct test_ring one_more;
    peer_open(&third, &supervisor, "third");
    ring_make(&one_more, "one-more", SLOTS);
    peer_send_ring(&third, &one_more, "one-more", &(struct ring_options){.links = 2});
    expect_refusal(&third, "streams");
    /* A change of format is no further stream. */
    struct test_ring next;
    ring_make(&next, "test", SLOTS);
    peer_open_ring(&writer, &next, "test",
                   &(struct ring_options){.generation = 1, .links = 2, .first_entry = 40});
    ring_drop(&next);
    ring_drop(&one_more);
    ring_drop(&other);
    peer_close(&third);
    finish();
}
END_TEST

/* What he who asks can do about it comes first: more of the limit would not help him. */
START_TEST(a_name_that_is_taken_is_told_before_a_limit) {
    start("streams=1", NULL);
    open_stream();
    peer_send_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&peer, -EEXIST), "already written by writer"));
    finish();
}
END_TEST

START_TEST(readers_and_leases_are_limited) {
    start("readers-per-session=2", "leases-per-process=5");
    open_stream();
    join(&peer, 20, 1, 2);
    ask(&peer, 21, 1, 4);
    expect_refusal(&peer, "leases-per-process");
    join(&peer, 21, 1, 3);
    ask(&peer, 22, 1, 1);
    expect_refusal(&peer, "readers-per-session");
    peer_expect_silence(&writer);
    finish();
}
END_TEST

static uint64_t bytes_of(uint32_t slots) {
    return ring.memory->geometry.payload_offset + slots * ring.memory->geometry.slot_stride;
}

/* Of memory for so many slots of the stream; loans and history take two. */
static void start_with_memory(uint32_t slots, const char *other) {
    static char limit[64];
    ring_make(&ring, "test", SLOTS);
    snprintf(limit, sizeof(limit), "memory=%llu", (unsigned long long)bytes_of(slots));
    ring_drop(&ring);
    start(limit, other);
}

START_TEST(memory_is_counted_by_what_is_granted) {
    start_with_memory(6, NULL);
    open_stream();
    join(&peer, 20, 1, 3);
    ask(&peer, 21, 1, 2);
    expect_refusal(&peer, "memory");
    ask(&peer, 22, 3, 1); /* two more of history, and its lease */
    expect_refusal(&peer, "memory");
    join(&peer, 23, 1, 1);
    finish();
}
END_TEST

START_TEST(memory_that_is_there_already_is_for_whoever_comes_next) {
    start_with_memory(6, NULL);
    open_stream();
    for (unsigned i = 0; i < 3; i++) {
        struct channel_mail mail;
        join(&peer, 20, 1, 4);
        union message message;
        message_init(&message, MESSAGE_CLOSE_READER, 1);
        message.close_reader.reader = 20;
        peer_send(&peer, &message, NULL);
        peer_expect(&peer, MESSAGE_DONE, &mail);
        peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    }
    finish();
}
END_TEST

START_TEST(a_ring_that_came_with_more_memory_counts_with_that) {
    start_with_memory(6, NULL);
    ck_assert_int_eq(madvise(ring.region.base, ring.region.bytes, MADV_POPULATE_WRITE), 0);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 2});
    expect_refusal(&writer, "memory");
    finish();
}
END_TEST

START_TEST(a_session_leaves_slots_of_a_stream_to_others) {
    start("slots-per-session=50%", NULL);
    struct peer other;
    peer_open(&other, &supervisor, "other");
    open_stream(); /* 16 slots: 2 for loan and history, 1 to spare, 13 for readers, 7 a session */
    ask(&other, 20, 7, 2); /* 6 more of history, and its leases */
    expect_refusal(&other, "slots-per-session");
    join(&peer, 20, 1, 6);
    ask(&peer, 21, 1, 2);
    expect_refusal(&peer, "slots-per-session");
    join(&peer, 22, 1, 1);
    join(&other, 21, 1, 6);
    peer_close(&other);
    finish();
}
END_TEST

/* 16 slots, as above: a depth is borne by each who wants it, also while others keep it up. */
START_TEST(a_depth_that_others_have_too_counts) {
    start("slots-per-session=50%", NULL);
    struct peer other;
    peer_open(&other, &supervisor, "other");
    open_stream();
    join(&peer, 20, 7, 1);
    join(&other, 20, 7, 1);
    ask(&other, 21, 1, 1);
    expect_refusal(&other, "slots-per-session");
    peer_close(&other);
    finish();
}
END_TEST

enum { STRANGER = 12345 };
static const struct peer_user stranger = {.uid = STRANGER, .gid = STRANGER};

static void start_for_stranger(const char *limit, const char *other) {
    supervisor.option[4] = "--reach";
    supervisor.option[5] = "all";
    supervisor.option[6] = "--allow-uid=12345";
    ck_assert_int_eq(rmdir(supervisor.folder), 0);
    start(limit, other);
}

START_TEST(when_others_have_all_sessions_the_own_user_still_looks) {
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    start_for_stranger("sessions=3", "streams=9");
    struct peer one, two, look;
    peer_open_as(&one, &supervisor, &stranger);
    two = (struct peer){.socket = peer_connect_as(&supervisor, &stranger)};
    expect_refusal(&two, "sessions");
    peer_open(&look, &supervisor, "look");
    peer_close(&look);
    peer_vanish(&two);
    peer_close(&one);
    finish();
}
END_TEST

START_TEST(another_user_has_limits_that_the_own_one_has_not) {
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    start_for_stranger("readers-per-user=1", "streams=9");
    struct peer one, two;
    open_stream();
    peer_open_as(&one, &supervisor, &stranger);
    peer_open_as(&two, &supervisor, &stranger);
    join(&one, 20, 1, 1);
    ask(&two, 20, 1, 1);
    expect_refusal(&two, "readers-per-user");
    join(&peer, 20, 1, 1);
    join(&peer, 21, 1, 1);
    peer_close(&one);
    peer_close(&two);
    finish();
}
END_TEST

START_TEST(memory_for_a_depth_that_others_have_too_counts) {
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    static char limit[64];
    ring_make(&ring, "test", SLOTS);
    snprintf(limit, sizeof(limit), "memory-per-user=%llu",
             (unsigned long long)(7 * ring.memory->geometry.slot_stride));
    ring_drop(&ring);
    start_for_stranger(limit, "slots-per-user=100%");
    struct peer other;
    open_stream();
    join(&peer, 20, 7, 1);
    peer_open_as(&other, &supervisor, &stranger);
    ask(&other, 20, 7, 2);
    expect_refusal(&other, "memory-per-user");
    join(&other, 20, 7, 1);
    peer_close(&other);
    finish();
}
END_TEST

START_TEST(another_user_leaves_slots_with_all_of_his_sessions) {
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    start_for_stranger("readers-per-user=9", "streams=9");
    struct peer one, two;
    open_stream(); /* 13 slots for readers, 7 for each user but the writer's by default */
    peer_open_as(&one, &supervisor, &stranger);
    peer_open_as(&two, &supervisor, &stranger);
    join(&one, 20, 1, 4);
    ask(&two, 20, 1, 4);
    expect_refusal(&two, "slots-per-user");
    join(&two, 20, 1, 3);
    join(&peer, 20, 1, 6);
    peer_close(&one);
    peer_close(&two);
    finish();
}
END_TEST

START_TEST(what_was_there_stays_under_a_supervisor_with_less) {
    start("readers=10", NULL);
    open_stream();
    join(&peer, 20, 1, 1);
    supervisor_kill(&supervisor);
    supervisor.option[1] = "streams=0";
    supervisor.option[2] = "--limit";
    supervisor.option[3] = "readers=0";
    supervisor_start(&supervisor);
    peer_vanish(&writer);
    peer_vanish(&peer);
    peer_open(&writer, &supervisor, "writer");
    peer_open(&peer, &supervisor, "reader");
    peer_send_ring(&writer, &ring, "test",
                   &(struct ring_options){.flags = MESSAGE_RESYNC, .generation = 1});
    take_answers(&writer, MESSAGE_OPENED, MESSAGE_WANT_LINKS);
    ask(&peer, 20, 1, 1);
    expect_refusal(&peer, "readers"); /* it does not come back, it comes */
    finish();
}
END_TEST

/* ---- those who come back ---- */

static void come_back(struct peer *from, const char *stream, uint32_t entry, uint32_t generation,
                      const struct message_link *link) {
    peer_send_reader(from, stream,
                     &(struct reader_options){.reader = entry,
                                              .flags = MESSAGE_RESYNC,
                                              .leases = link ? link->leases : 1,
                                              .generation = generation,
                                              .entry = link ? link->entry : 3,
                                              .serial = link ? link->serial : 4});
}

/* In the first two seconds of a supervisor, as in all others. */
START_TEST(a_reader_that_says_it_comes_back_and_was_never_there_is_measured) {
    start("readers-per-session=1", NULL);
    come_back(&peer, "first", 20, 1, NULL);
    take_answers(&peer, MESSAGE_READER_OK, MESSAGE_NONE);
    come_back(&peer, "second", 21, 1, NULL);
    expect_refusal(&peer, "readers-per-session");
    come_back(&peer, "second", 21, 0, NULL);
    expect_refusal(&peer, "readers-per-session");
    finish();
}
END_TEST

START_TEST(a_stream_that_is_said_to_come_back_and_was_never_there_is_measured) {
    start("streams=0", NULL);
    peer_send_ring(&writer, &ring, "test",
                   &(struct ring_options){.flags = MESSAGE_RESYNC, .generation = 1});
    expect_refusal(&writer, "streams");
    finish();
}
END_TEST

static struct message_link join_for_link(uint32_t entry) {
    struct channel_mail mail;
    peer_open_reader(&peer, "test", &(struct reader_options){.reader = entry});
    const struct message_link link = peer_expect_link(&peer);
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    return link;
}

START_TEST(a_reader_at_its_limit_survives_a_broken_connection) {
    start("readers=1", "leases=1");
    open_stream();
    struct message_link link = join_for_link(20);
    peer_vanish(&peer);
    peer_open(&peer, &supervisor, "reader");
    link.leases = 2; /* it has had one */
    come_back(&peer, "test", 20, 1, &link);
    expect_refusal(&peer, "leases");
    link.leases = 1;
    come_back(&peer, "test", 20, 1, &link);
    take_answers(&peer, MESSAGE_READER_OK, MESSAGE_NONE);
    ask(&peer, 21, 1, 1);
    expect_refusal(&peer, "readers");
    finish();
}
END_TEST

/* What a connection that is broken has left does not make room for more. */
START_TEST(a_process_is_measured_with_what_its_broken_connections_have) {
    start("readers-per-process=1", NULL);
    open_stream();
    join(&peer, 20, 1, 1);
    peer_vanish(&peer);
    peer_open(&peer, &supervisor, "reader");
    ask(&peer, 20, 1, 1);
    expect_refusal(&peer, "readers-per-process");
    finish();
}
END_TEST

/* Its memory is what was measured, not its name. */
START_TEST(a_stream_that_is_taken_over_with_another_ring_is_measured) {
    start_with_memory(6, NULL);
    open_stream();
    peer_vanish(&writer);
    peer_open(&writer, &supervisor, "writer");
    struct test_ring other;
    ring_make(&other, "test", SLOTS);
    ck_assert_int_eq(madvise(other.region.base, other.region.bytes, MADV_POPULATE_WRITE), 0);
    const struct ring_options back = {.flags = MESSAGE_RESYNC, .generation = 1};
    peer_send_ring(&writer, &other, "test", &back);
    expect_refusal(&writer, "memory");
    ck_assert_int_eq(madvise(ring.region.base, ring.region.bytes, MADV_POPULATE_WRITE), 0);
    const struct ring_options more = {.flags = MESSAGE_RESYNC, .generation = 1, .history = 6};
    peer_send_ring(&writer, &ring, "test", &more);
    expect_refusal(&writer, "memory");
    peer_send_ring(&writer, &ring, "test", &back);
    take_answers(&writer, MESSAGE_OPENED, MESSAGE_WANT_LINKS);
    ring_drop(&other);
    finish();
}
END_TEST

/* What the writer tells of a link when it comes back. */
static struct message_held_link note_held(const struct peer *from, uint32_t entry) {
    union message held;
    message_init(&held, MESSAGE_HELD_LINK, 0);
    held.held_link.generation = 1;
    held.held_link.entry = entry;
    held.held_link.word = peer_entry(from, entry);
    held.held_link.pid = (uint32_t)getpid();
    held.held_link.start_time = (uint64_t)start_time_of(getpid());
    return held.held_link;
}

/* With `count` held links. */
static void return_writer(const struct message_held_link *held, unsigned count) {
    const struct ring_options back = {.flags = MESSAGE_RESYNC, .generation = 1, .held = count};
    peer_send_ring(&writer, &ring, "test", &back);
    for (unsigned i = 0; i < count; i++)
        peer_send(&writer, &(union message){.held_link = held[i]}, NULL);
    take_answers(&writer, MESSAGE_OPENED, MESSAGE_WANT_LINKS);
}

START_TEST(what_links_have_counts_after_a_restart_too) {
    static char limit[64];
    ring_make(&ring, "test", SLOTS);
    snprintf(limit, sizeof(limit), "memory=%llu",
             (unsigned long long)(bytes_of(6) + bytes_of(2) - 1));
    ring_drop(&ring);
    start(limit, "slots-per-session=50%");
    open_stream();
    struct channel_mail mail;
    peer_open_reader(&peer, "test", &(struct reader_options){.reader = 20, .leases = 4});
    const struct message_link link = peer_expect_link(&peer);
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    const struct message_held_link held = note_held(&writer, link.entry);
    supervisor_kill(&supervisor);
    supervisor_start(&supervisor);
    peer_vanish(&writer);
    peer_vanish(&peer);
    peer_open(&writer, &supervisor, "writer");
    peer_open(&peer, &supervisor, "reader");
    return_writer(&held, 1);
    come_back(&peer, "test", 20, 1, &link);
    take_answers(&peer, MESSAGE_READER_OK, MESSAGE_NONE);
    ask(&peer, 21, 1, 4);
    expect_refusal(&peer, "slots-per-session");
    struct test_ring other;
    ring_make(&other, "other", SLOTS);
    peer_send_ring(&peer, &other, "other", &(struct ring_options){.first_entry = 40});
    expect_refusal(&peer, "memory");
    ring_drop(&other);
    finish();
}
END_TEST

static void restart_without_names(void) {
    char names[128];
    snprintf(names, sizeof(names), "%s.names", supervisor.socket);
    supervisor_kill(&supervisor);
    ck_assert_int_eq(unlink(names), 0);
    supervisor_start(&supervisor);
}

/* One that leaves unread what it is sent: as long as that, its process may still claim links. */
static void open_silent(struct peer *silent) {
    peer_open(silent, &supervisor, "silent");
}

/* The names' file is lost in every second one: then only its link tells that it was there. */
START_TEST(a_link_that_was_not_claimed_yet_counts_for_its_process) {
    static const char *const limits[][3] = {
        {"readers-per-process=2", "streams=9", "readers-per-process"},
        {"leases-per-process=4", "streams=9", "leases-per-process"},
    };
    const char *const *limit = limits[_i / 2];
    struct peer silent;
    start(limit[0], limit[1]);
    open_stream();
    struct channel_mail mail;
    peer_open_reader(&peer, "test", &(struct reader_options){.reader = 20, .leases = 2});
    const struct message_link link = peer_expect_link(&peer);
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    const struct message_held_link held = note_held(&writer, link.entry);
    if (_i % 2 == 0) {
        supervisor_kill(&supervisor);
        supervisor_start(&supervisor);
    } else {
        restart_without_names();
    }
    peer_vanish(&writer);
    peer_vanish(&peer);
    open_silent(&silent);
    peer_open(&writer, &supervisor, "writer");
    peer_open(&peer, &supervisor, "reader");
    return_writer(&held, 1);
    ask(&peer, 21, 1, 2);
    take_answers(&peer, MESSAGE_READER_OK, MESSAGE_NONE);
    ask(&peer, 22, 1, 1);
    expect_refusal(&peer, limit[2]);
    /* To claim it takes no more than it has. */
    come_back(&peer, "test", 20, 1, &link);
    take_answers(&peer, MESSAGE_READER_OK, MESSAGE_NONE);
    ck_assert_uint_eq(peer_entry(&peer, 20), reader_word(0, ENTRY_GRANTED));
    ask(&peer, 23, 1, 1);
    expect_refusal(&peer, limit[2]);
    peer_vanish(&silent);
    finish();
}
END_TEST

/* 13 slots for readers, as above, of which another user than the writer's has 7. */
START_TEST(slots_that_a_user_has_not_claimed_yet_are_his) {
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    struct peer one, silent;
    struct channel_mail mail;
    start_for_stranger("readers-per-user=9", "streams=9");
    open_stream();
    peer_open_as(&one, &supervisor, &stranger);
    peer_open_reader(&one, "test", &(struct reader_options){.reader = 20, .leases = 6});
    const struct message_link link = peer_expect_link(&one);
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    const struct message_held_link held = note_held(&writer, link.entry);
    restart_without_names(); /* so that whose our process is, is told by who connects first */
    peer_vanish(&writer);
    peer_vanish(&one);
    peer_vanish(&peer);
    peer_open_as(&silent, &supervisor, &stranger);
    peer_open_as(&one, &supervisor, &stranger);
    peer_open(&peer, &supervisor, "reader");
    peer_open(&writer, &supervisor, "writer");
    return_writer(&held, 1);
    ask(&one, 21, 1, 2);
    expect_refusal(&one, "slots-per-user");
    ask(&one, 21, 1, 1);
    take_answers(&one, MESSAGE_READER_OK, MESSAGE_NONE);
    peer_vanish(&silent);
    peer_vanish(&one);
    finish();
}
END_TEST

/* ---- the settings' file ---- */

static char path[128], text[4096];

static void write_settings(const char *content) {
    snprintf(path, sizeof(path), "%s.conf", supervisor.folder);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(content, file), 0);
    fchmod(fileno(file), 0644); /* whatever the umask is */
    fclose(file);
}

START_TEST(options_count_more_than_the_file_and_both_more_than_nothing) {
    write_settings("[limits]\nsessions-per-process = 1\nreaders-per-session = 1\n");
    supervisor.option[4] = "--settings";
    supervisor.option[5] = path;
    start("sessions-per-process=2", "streams=9");
    open_stream();
    join(&peer, 20, 1, 1);
    ask(&peer, 21, 1, 1);
    expect_refusal(&peer, "readers-per-session");
    finish();
    unlink(path);
}
END_TEST

static void expect_remedy(struct peer *asker, const char *remedy) {
    const char *told = peer_expect_error(asker, -ENOSPC);
    ck_assert_msg(strstr(told, remedy) != NULL, "%s", told);
}

START_TEST(a_refusal_tells_where_the_limit_is_from_and_what_to_do) {
    char expected[256];
    write_settings("[limits]\nreaders-per-session = 1\nstreams-per-session = 1\n");
    supervisor.option[4] = "--settings";
    supervisor.option[5] = path;
    start("streams-per-session=0", "leases-per-session=1");
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){0});
    expect_remedy(&writer, "of 0, from --limit, which counts more than shmframed.conf: start "
                           "shmframed with a higher one");
    ask(&peer, 20, 1, 1);
    take_answers(&peer, MESSAGE_READER_OK, MESSAGE_NONE);
    ask(&peer, 21, 1, 1);
    snprintf(expected, sizeof(expected),
             "of 1: raise readers-per-session in [limits] of %s, then shmframe reload", path);
    expect_remedy(&peer, expected);
    struct peer more[64];
    unsigned count = 0;
    while (count < 64 - 2)
        peer_open(&more[count++], &supervisor, "more");
    struct peer last = {.socket = peer_connect(&supervisor)};
    expect_remedy(&last, "of 64, the default: set sessions-per-process in [limits] of "
                         "shmframed.conf, then shmframe reload");
    peer_vanish(&last);
    while (count > 0)
        peer_close(&more[--count]);
    finish();
    unlink(path);
}
END_TEST

/* `end` of a command, and what lines came before it. */
static int reload(char *out_text) {
    union message message;
    struct channel_mail mail;
    message_init(&message, MESSAGE_COMMAND, 7);
    strcpy(message.command.verb, "reload");
    peer_send(&peer, &message, NULL);
    out_text[0] = '\0';
    for (;;) {
        ck_assert_int_eq(
            poll(&(struct pollfd){.fd = peer.socket, .events = POLLIN}, 1, DEADLINE_MS), 1);
        ck_assert_int_eq(channel_receive(peer.socket, &mail), 0);
        if (mail.message.header.type == MESSAGE_DONE)
            return 0;
        if (mail.message.header.type == MESSAGE_ERROR)
            return mail.message.error.code;
        strcat(out_text, mail.message.line.text);
    }
}

START_TEST(a_reload_has_the_settings_read_again) {
    write_settings("[limits]\nreaders-per-session = 1\n");
    supervisor.option[4] = "--settings";
    supervisor.option[5] = path;
    start("sessions=9", "streams=9");
    open_stream();
    join(&peer, 20, 1, 1);
    write_settings("[limits]\nreaders-per-session = x\n");
    ck_assert_int_eq(reload(text), -EINVAL);
    ck_assert_msg(strstr(text, ".conf:2: readers-per-session: expected a number"), "%s", text);
    ask(&peer, 21, 1, 1);
    expect_refusal(&peer, "readers-per-session");
    write_settings("[limits]\nreaders-per-session = 2\n");
    ck_assert_int_eq(reload(text), 0);
    join(&peer, 21, 1, 1);
    /* Who has more than that by now keeps it, and gets no more. */
    write_settings("[limits]\nreaders-per-session = 1\n");
    ck_assert_int_eq(reload(text), 0);
    ask(&peer, 22, 1, 1);
    expect_refusal(&peer, "readers-per-session");
    finish();
    unlink(path);
}
END_TEST

/* It follows the stream, and the next ring was refused to it. */
START_TEST(who_waits_for_room_is_asked_again_once_a_reload_makes_some) {
    struct peer follower;
    struct channel_mail mail;
    write_settings("[limits]\nslots-per-session = 50%\n");
    supervisor.option[4] = "--settings";
    supervisor.option[5] = path;
    start("sessions=9", "streams=9");
    open_stream();
    peer_open(&follower, &supervisor, "follower");
    join(&follower, 20, 1, 6);
    write_settings("[limits]\nslots-per-session = 10%\n");
    ck_assert_int_eq(reload(text), 0);
    peer_send_ring(&writer, &ring, "test", &(struct ring_options){.links = 4, .first_entry = 40});
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    expect_refusal(&follower, "slots-per-session");
    write_settings("[limits]\nslots-per-session = 50%\n");
    ck_assert_int_eq(reload(text), 0);
    ck_assert_uint_eq(peer_expect_link(&follower).generation, 2);
    peer_close(&follower);
    finish();
    unlink(path);
}
END_TEST

START_TEST(a_file_with_mistakes_is_told_and_nothing_starts) {
    write_settings("[limits]\nreaders = x\n[acess]\n");
    const char *const arguments[] = {"shmframed", "--settings", path, "--check", NULL};
    ck_assert_int_eq(supervisor_run(arguments, text, sizeof(text)), 2);
    ck_assert_msg(strstr(text, ".conf:2: readers") && strstr(text, ".conf:3: expected [limits]"),
                  "%s", text);
    const char *const wrong[] = {"shmframed", "--limit", "reader=1", NULL};
    ck_assert_int_eq(supervisor_run(wrong, text, sizeof(text)), 2);
    ck_assert_msg(strstr(text, "--limit \"reader=1\": expected a key of [limits], see "
                               "shmframed.conf(5), not \"reader\"; near it"),
                  "%s", text);
    unlink(path);
}
END_TEST

/* Whoever writes may tell of links of whomever he likes. Who is not trusted is believed, besides of
 * his own user's processes, as many of each as the former supervisor has told of. */
START_TEST(a_stranger_does_not_use_up_the_limits_of_others_by_links_that_he_tells_of) {
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    struct message_held_link held[3];
    struct channel_mail mail;
    struct peer silent;
    write_settings("[access]\nwrite = user 12345\n");
    supervisor.option[4] = "--settings";
    supervisor.option[5] = path;
    supervisor.option[6] = "--reach=all";
    ck_assert_int_eq(rmdir(supervisor.folder), 0);
    start("readers-per-process=2", "streams=9");
    peer_vanish(&writer);
    peer_open_as(&writer, &supervisor, &stranger);
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    peer_open_reader(&peer, "test", &(struct reader_options){.reader = 20});
    held[0] = note_held(&writer, peer_expect_link(&peer).entry);
    peer_expect(&writer, MESSAGE_READER_EVENT, &mail);
    for (uint32_t i = 1; i < 3; i++) {
        held[i] = held[0];
        held[i].entry = 10 + i;
    }
    supervisor_stop(&supervisor);
    supervisor_start(&supervisor);
    peer_vanish(&writer);
    peer_vanish(&peer);
    open_silent(&silent); /* the first one, of another user than the writer's */
    peer_open(&peer, &supervisor, "reader");
    peer_open_as(&writer, &supervisor, &stranger);
    return_writer(held, 3);
    ask(&peer, 21, 1, 1);
    take_answers(&peer, MESSAGE_READER_OK, MESSAGE_NONE);
    ask(&peer, 22, 1, 1);
    expect_refusal(&peer, "readers-per-process");
    peer_vanish(&silent);
    finish();
    unlink(path);
}
END_TEST

/* Its slots take up this much room, and no memory. */
static void make_wide(struct test_ring *wide, const char *stream, uint64_t slot_bytes) {
    struct test_ring plain;
    ring_make(&plain, stream, SLOTS);
    struct ring_geometry *geometry = &plain.memory->geometry;
    geometry->slot_stride = slot_bytes;
    geometry->ring_bytes = geometry->payload_offset + SLOTS * slot_bytes;
    wide->region = (struct region){0};
    wide->fd = memfd_create("test-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_ge(wide->fd, 0);
    ck_assert_int_eq(ftruncate(wide->fd, (off_t)geometry->ring_bytes), 0);
    ck_assert_int_eq(pwrite(wide->fd, plain.memory, sizeof(struct ring), 0), sizeof(struct ring));
    ck_assert_int_eq(region_seal(wide->fd, REGION_SEALED), 0);
    ring_drop(&plain);
}

START_TEST(the_rings_of_a_session_have_so_much_address_space) {
    static const uint64_t MOST = UINT64_C(1) << 42;
    start("memory=none", "memory-per-user=none");
    struct test_ring wide[2];
    make_wide(&wide[0], "wide", MOST / SLOTS * 3 / 4);
    make_wide(&wide[1], "test", MOST / SLOTS / 4);
    peer_open_ring(&writer, &wide[0], "wide", &(struct ring_options){.links = 2});
    peer_send_ring(&writer, &wide[1], "test", &(struct ring_options){.writer = 1});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&writer, -ENOSPC), "address space"));
    /* Each session has its own. */
    peer_open_ring(&peer, &wide[1], "test", &(struct ring_options){.links = 2});
    ring_drop(&wide[0]);
    ring_drop(&wide[1]);
    finish();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_session_beyond_the_limit_is_told_which_it_was,
        a_limit_has_no_end,
        a_process_has_its_own_limit_of_sessions,
        streams_are_limited_for_a_session_and_in_all,
        a_name_that_is_taken_is_told_before_a_limit,
        readers_and_leases_are_limited,
        memory_is_counted_by_what_is_granted,
        memory_that_is_there_already_is_for_whoever_comes_next,
        a_ring_that_came_with_more_memory_counts_with_that,
        the_rings_of_a_session_have_so_much_address_space,
        a_session_leaves_slots_of_a_stream_to_others,
        a_depth_that_others_have_too_counts,
        memory_for_a_depth_that_others_have_too_counts,
        when_others_have_all_sessions_the_own_user_still_looks,
        another_user_has_limits_that_the_own_one_has_not,
        another_user_leaves_slots_with_all_of_his_sessions,
        what_was_there_stays_under_a_supervisor_with_less,
        a_reader_that_says_it_comes_back_and_was_never_there_is_measured,
        a_stream_that_is_said_to_come_back_and_was_never_there_is_measured,
        a_reader_at_its_limit_survives_a_broken_connection,
        a_process_is_measured_with_what_its_broken_connections_have,
        a_stream_that_is_taken_over_with_another_ring_is_measured,
        what_links_have_counts_after_a_restart_too,
        slots_that_a_user_has_not_claimed_yet_are_his,
        options_count_more_than_the_file_and_both_more_than_nothing,
        a_refusal_tells_where_the_limit_is_from_and_what_to_do,
        a_reload_has_the_settings_read_again,
        who_waits_for_room_is_asked_again_once_a_reload_makes_some,
        a_file_with_mistakes_is_told_and_nothing_starts,
        a_stranger_does_not_use_up_the_limits_of_others_by_links_that_he_tells_of,
    };
    TCase *cases = tcase_create("quota");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(cases, tests[i]);
    tcase_add_loop_test(cases, a_link_that_was_not_claimed_yet_counts_for_its_process, 0, 4);
    Suite *suite = suite_create("quota");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
