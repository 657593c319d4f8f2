/* Who may what: several users at one supervisor. Only root can be them all. */
#include "peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITER = 12341, READER = 12342, OTHER = 12343, GROUP = 12350, SLOTS = 16 };

static struct supervisor supervisor;
static char path[128], text[4096];

static const struct peer_user writer_user = {.uid = WRITER, .gid = WRITER};
static const struct peer_user reader_user = {
    .uid = READER, .gid = READER, .group = {77, GROUP}, .groups = 2};
static const struct peer_user other_user = {.uid = OTHER, .gid = OTHER};

static void begin(void) {
    supervisor_prepare(&supervisor);
}

static void end(void) {
    supervisor_clean(&supervisor);
}

/* With this file, and a socket that everybody can open. */
static void start(const char *settings) {
    snprintf(path, sizeof(path), "%s.conf", supervisor.folder);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(settings, file), 0);
    fchmod(fileno(file), 0644); /* whatever the umask is */
    fclose(file);
    supervisor.option[0] = "--settings";
    supervisor.option[1] = path;
    supervisor.option[2] = "--reach";
    supervisor.option[3] = "all";
    ck_assert_int_eq(rmdir(supervisor.folder), 0);
    supervisor_start(&supervisor);
    unlink(path);
}

static void open_stream(struct peer *peer, struct test_ring *ring, const char *name) {
    ring_make(ring, name, SLOTS);
    peer_open_ring(peer, ring, name, &(struct ring_options){.links = 8});
}

static void allow(struct peer *peer, uint32_t kind, uint32_t id) {
    union message message;
    message_init(&message, MESSAGE_ALLOW, 0);
    message.allow.count = 1;
    message.allow.rule[0] = (struct access_rule){.kind = kind, .id = id};
    peer_send(peer, &message, NULL);
}

static void expect_turned_away(const struct peer_user *user) {
    struct peer peer = {.socket = peer_connect_as(&supervisor, user)};
    peer_expect_error(&peer, -EACCES);
    peer_expect_end(&peer);
    peer_vanish(&peer);
}

static void expect_no_reader(struct peer *peer, const char *stream, uint32_t policy,
                             const char *why) {
    peer_send_reader(peer, stream,
                     &(struct reader_options){.reader = 30, .policy = policy, .depth = 1});
    const char *told = peer_expect_error(peer, -EACCES);
    ck_assert_msg(strstr(told, why) != NULL, "%s", told);
}

static void expect_reader(struct peer *peer, const char *stream) {
    peer_open_reader(peer, stream, &(struct reader_options){.reader = 31});
    peer_expect_link(peer);
    union message message;
    struct channel_mail mail;
    message_init(&message, MESSAGE_CLOSE_READER, 5);
    message.close_reader.reader = 31;
    peer_send(peer, &message, NULL);
    peer_expect(peer, MESSAGE_DONE, &mail);
}

START_TEST(whom_nobody_has_named_is_turned_away) {
    start("[access]\nwrite = user 12341\nallow = group 12350\n");
    expect_turned_away(&other_user);
    struct peer peer;
    peer_open_as(&peer, &supervisor, &writer_user);
    peer_close(&peer);
    peer_open_as(&peer, &supervisor, &reader_user); /* by a further group of his */
    peer_close(&peer);
}
END_TEST

START_TEST(who_may_read_may_do_nothing_else) {
    start("[access]\nallow = group 12350\n");
    struct peer writer, reader;
    struct test_ring ring, own;
    peer_open(&writer, &supervisor, "writer");
    open_stream(&writer, &ring, "cam");
    peer_open_as(&reader, &supervisor, &reader_user);
    ring_make(&own, "own", SLOTS);
    peer_send_ring(&reader, &own, "own", &(struct ring_options){0});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&reader, -EACCES), "write = user 12342"));
    expect_no_reader(&reader, "cam", SHMFRAME_LOSSLESS, "make it wait");
    union message message;
    message_init(&message, MESSAGE_REQUEST, 8);
    strcpy(message.request.stream, "cam");
    strcpy(message.request.verb, "pause");
    peer_send(&reader, &message, NULL);
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&reader, -EACCES), "not ask its writer"));
    message_init(&message, MESSAGE_COMMAND, 8);
    strcpy(message.command.verb, "reload");
    peer_send(&reader, &message, NULL);
    peer_expect_error(&reader, -EACCES);
    peer_expect_silence(&writer);
    expect_reader(&reader, "cam");
    peer_close(&reader);
    peer_close(&writer);
    ring_drop(&own);
    ring_drop(&ring);
}
END_TEST

START_TEST(a_stream_is_for_whom_its_section_names) {
    start("[access]\nallow = user 12342\n[stream door]\nallow = user 12343\n");
    struct peer writer, reader, other;
    struct test_ring cam, door;
    peer_open(&writer, &supervisor, "writer");
    open_stream(&writer, &cam, "cam");
    ring_make(&door, "door", SLOTS);
    peer_open_ring(&writer, &door, "door",
                   &(struct ring_options){.writer = 1, .links = 8, .first_entry = 40});
    peer_open_as(&reader, &supervisor, &reader_user);
    peer_open_as(&other, &supervisor, &other_user);
    expect_reader(&reader, "cam");
    expect_no_reader(&reader, "door", SHMFRAME_LATEST, "[stream door]");
    expect_reader(&other, "door");
    expect_no_reader(&other, "cam", SHMFRAME_LATEST, "[stream cam]");
    peer_close(&other);
    peer_close(&reader);
    peer_close(&writer);
    ring_drop(&door);
    ring_drop(&cam);
}
END_TEST

START_TEST(who_may_write_reads_his_own_streams_and_no_others) {
    start("[access]\nwrite = user 12341, user 12343\n");
    struct peer writer, again, other;
    struct test_ring ring;
    peer_open_as(&writer, &supervisor, &writer_user);
    peer_open_as(&again, &supervisor, &writer_user);
    peer_open_as(&other, &supervisor, &other_user);
    open_stream(&writer, &ring, "cam");
    expect_reader(&again, "cam");
    expect_no_reader(&other, "cam", SHMFRAME_LATEST, "of user 12341");
    peer_close(&other);
    peer_close(&again);
    peer_close(&writer);
    ring_drop(&ring);
}
END_TEST

/* Answers and requests that are of no interest. */
static void skip_mail(const struct peer *peer) {
    struct channel_mail mail;
    while (poll(&(struct pollfd){.fd = peer->socket, .events = POLLIN}, 1, 0) == 1) {
        ck_assert_int_eq(channel_receive(peer->socket, &mail), 0);
        channel_close_fds(&mail);
    }
}

START_TEST(what_the_writer_says_is_of_one_ring) {
    start("[access]\nwrite = user 12341\n[stream cam]\nallow = user 12342\n");
    struct peer writer, reader, other;
    struct test_ring ring, next;
    peer_open_as(&writer, &supervisor, &writer_user);
    allow(&writer, ACCESS_USER, OTHER);
    open_stream(&writer, &ring, "cam");
    peer_open_as(&other, &supervisor, &other_user);
    peer_open_as(&reader, &supervisor, &reader_user);
    expect_reader(&other, "cam");
    skip_mail(&writer);
    ring_make(&next, "cam", SLOTS);
    peer_open_ring(&writer, &next, "cam",
                   &(struct ring_options){.generation = 1, .links = 4, .first_entry = 40});
    expect_no_reader(&other, "cam", SHMFRAME_LATEST, "--allow");
    expect_reader(&reader, "cam");
    peer_close(&reader);
    peer_close(&other);
    peer_close(&writer);
    ring_drop(&next);
    ring_drop(&ring);
}
END_TEST

/* As another user than the writer's, after a restart, of a stream that is not for him. */
START_TEST(who_may_not_read_a_stream_is_not_believed_how_far_it_came) {
    start("[access]\nwrite = user 12341\n[stream open]\nallow = user 12342\n");
    struct peer writer, reader;
    struct test_ring ring, next, forged;
    peer_open_as(&writer, &supervisor, &writer_user);
    open_stream(&writer, &ring, "secret");
    int told[2];
    ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
    const pid_t child = fork_bound(); /* the process tells them apart */
    if (child == 0) {
        struct peer own;
        peer_open_as(&own, &supervisor, &writer_user);
        peer_open_reader(&own, "secret", &(struct reader_options){.reader = 31});
        peer_expect_link(&own);
        if (write(told[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char byte;
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    close(told[0]);
    close(told[1]);
    atomic_store(&ring.memory->head, place_word(4, 0));
    supervisor_kill(&supervisor);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs("[access]\nwrite = user 12341\n[stream open]\nallow = user 12342\n", file);
    fchmod(fileno(file), 0644);
    fclose(file);
    supervisor_start(&supervisor);
    unlink(path);
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    peer_vanish(&writer);
    peer_open_as(&reader, &supervisor, &reader_user);
    peer_open_reader(
        &reader, "secret",
        &(struct reader_options){
            .reader = 30, .flags = MESSAGE_RESYNC, .generation = 1, .head = UINT64_C(1) << 43});
    ring_make(&forged, "secret", SLOTS);
    atomic_store(&forged.memory->head, place_word(UINT64_C(1) << 42, 0));
    union message message;
    message_init(&message, MESSAGE_HELD_RING, 0);
    message.held_ring.reader = 30;
    message.held_ring.generation = 1;
    peer_send(&reader, &message, &forged.fd);
    peer_expect_silence(&reader);
    peer_open_as(&writer, &supervisor, &writer_user);
    ring_make(&next, "secret", SLOTS);
    struct channel_mail mail = {0};
    for (unsigned tries = 0; mail.message.header.type != MESSAGE_OPENED; tries++) {
        ck_assert_uint_lt(tries, 200);
        poll(NULL, 0, 50);
        peer_send_ring(&writer, &next, "secret", &(struct ring_options){.links = 4});
        ck_assert_int_eq(poll(&(struct pollfd){.fd = writer.socket, .events = POLLIN}, 1, 10000),
                         1);
        ck_assert_int_eq(channel_receive(writer.socket, &mail), 0);
    }
    ck_assert_uint_le(mail.message.opened.sequence, 4);
    peer_vanish(&reader);
    peer_vanish(&writer);
    ring_drop(&forged);
    ring_drop(&next);
    ring_drop(&ring);
}
END_TEST

START_TEST(who_may_only_read_is_not_believed_of_streams_that_nobody_knows) {
    start("[access]\nallow = user 12342\n");
    struct peer writer, reader;
    struct test_ring ring, forged;
    peer_open_as(&reader, &supervisor, &reader_user);
    peer_open_reader(
        &reader, "cam",
        &(struct reader_options){
            .reader = 30, .flags = MESSAGE_RESYNC, .generation = 7, .head = UINT64_C(1) << 43});
    ring_make(&forged, "cam", SLOTS);
    atomic_store(&forged.memory->head, place_word(UINT64_C(1) << 42, 0));
    union message message;
    message_init(&message, MESSAGE_HELD_RING, 0);
    message.held_ring.reader = 30;
    message.held_ring.generation = 7;
    peer_send(&reader, &message, &forged.fd);
    peer_expect_silence(&reader);
    peer_open(&writer, &supervisor, "writer");
    ring_make(&ring, "cam", SLOTS);
    peer_send_ring(&writer, &ring, "cam", &(struct ring_options){.links = 4});
    struct channel_mail mail;
    peer_expect(&writer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.opened.generation, 1);
    ck_assert_uint_eq(mail.message.opened.sequence, 0);
    peer_vanish(&reader);
    peer_close(&writer);
    ring_drop(&forged);
    ring_drop(&ring);
}
END_TEST

/* The names' file is lost, and with it the generation that an honest one may well have come to: it
 * would wait for a later one than there will be for long. */
static void return_unbelieved(struct peer *writer, struct peer *reader, const char *stream,
                              bool is_writer_first) {
    const struct reader_options resync = {.reader = 30, .flags = MESSAGE_RESYNC, .generation = 7};
    const struct reader_options again = {.reader = 31};
    struct test_ring ring;
    ring_make(&ring, stream, SLOTS);
    if (!is_writer_first)
        peer_open_reader(reader, stream, &resync);
    ck_assert_uint_eq(peer_open_ring(writer, &ring, stream, &(struct ring_options){.links = 4}), 1);
    if (is_writer_first)
        peer_open_reader(reader, stream, &resync);
    peer_expect_state(reader, 30, ENTRY_EVICTED);
    peer_open_reader(reader, stream, &again);
    ck_assert_uint_eq(peer_expect_link(reader).generation, 1);
    peer_close(reader);
    peer_close(writer);
    ring_drop(&ring);
}

START_TEST(who_is_not_believed_its_generation_hears_that_its_place_is_gone) {
    struct peer writer, reader;
    start("[access]\nallow = user 12342\n");
    for (unsigned i = 0; i < 2; i++) {
        peer_open(&writer, &supervisor, "writer");
        peer_open_as(&reader, &supervisor, &reader_user);
        return_unbelieved(&writer, &reader, i ? "cam" : "other", i);
    }
}
END_TEST

START_TEST(what_the_writer_says_counts_more_than_the_settings) {
    start("[access]\nwrite = user 12341\n[stream cam]\nallow = user 12342\n");
    struct peer writer, reader, other;
    struct test_ring ring, next;
    peer_open_as(&writer, &supervisor, &writer_user);
    allow(&writer, ACCESS_USER, OTHER);
    expect_turned_away(&other_user); /* there is no stream for him yet */
    open_stream(&writer, &ring, "cam");
    peer_open_as(&other, &supervisor, &other_user);
    peer_open_as(&reader, &supervisor, &reader_user);
    expect_reader(&other, "cam");
    expect_no_reader(&reader, "cam", SHMFRAME_LATEST, "--allow");
    /* A new ring, and nobody is allowed it. */
    struct channel_mail mail;
    while (poll(&(struct pollfd){.fd = writer.socket, .events = POLLIN}, 1, 0) == 1)
        ck_assert_int_eq(channel_receive(writer.socket, &mail), 0);
    allow(&writer, ACCESS_NOBODY, 0);
    ring_make(&next, "cam", SLOTS);
    peer_open_ring(&writer, &next, "cam",
                   &(struct ring_options){.generation = 1, .links = 4, .first_entry = 40});
    expect_no_reader(&other, "cam", SHMFRAME_LATEST, "--allow");
    expect_no_reader(&reader, "cam", SHMFRAME_LATEST, "--allow");
    peer_close(&reader);
    peer_close(&other);
    peer_close(&writer);
    ring_drop(&next);
    ring_drop(&ring);
}
END_TEST

START_TEST(one_who_waits_for_a_stream_that_is_not_for_him_hears_so_when_it_comes) {
    start("[access]\nallow = user 12342\n[stream door]\nallow = none\n");
    struct peer writer, reader;
    struct test_ring ring;
    peer_open_as(&reader, &supervisor, &reader_user);
    peer_open_reader(&reader, "door", &(struct reader_options){.reader = 20});
    peer_open(&writer, &supervisor, "writer");
    open_stream(&writer, &ring, "door");
    peer_expect_error(&reader, -EACCES);
    peer_expect_silence(&reader);
    reader.readers = 0;
    peer_close(&reader);
    peer_close(&writer);
    ring_drop(&ring);
}
END_TEST

START_TEST(who_only_reads_cannot_use_up_the_names) {
    enum { MOST = 64 };
    start("[access]\nallow = user 12342\n");
    struct peer one, two;
    peer_open_as(&one, &supervisor, &reader_user);
    peer_open_as(&two, &supervisor, &reader_user);
    for (uint32_t i = 0; i < MOST; i++) {
        char name[32];
        snprintf(name, sizeof(name), "name-%u", i);
        peer_open_reader(i % 2 ? &one : &two, name, &(struct reader_options){.reader = i});
    }
    peer_send_reader(&two, "one-more", &(struct reader_options){.reader = MOST});
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&two, -ENOSPC), "waits for 64 streams"));
    peer_close(&one);
    peer_close(&two);
}
END_TEST

START_TEST(rules_that_do_not_exist_cost_the_connection) {
    struct peer peer;
    supervisor_start(&supervisor);
    for (unsigned i = 0; i < 2; i++) {
        union message message;
        message_init(&message, MESSAGE_ALLOW, 0);
        message.allow.count = i ? ACCESS_RULES_MAX + 1 : 1;
        message.allow.rule[0].kind = i ? 0 : ACCESS_KINDS;
        peer_open(&peer, &supervisor, "rogue");
        peer_send(&peer, &message, NULL);
        peer_expect_error(&peer, -EPROTO);
        peer_expect_end(&peer);
        peer_vanish(&peer);
    }
}
END_TEST

/* ---- who can open the socket ---- */

static void expect_mode(const char *what, unsigned mode, gid_t gid) {
    struct stat info;
    ck_assert_int_eq(lstat(what, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, mode);
    ck_assert_uint_eq(info.st_gid, gid);
}

START_TEST(a_socket_for_a_group_is_closed_to_others) {
    supervisor.option[0] = "--reach";
    supervisor.option[1] = "group 12350";
    supervisor.option[2] = "--allow";
    supervisor.option[3] = "all";
    ck_assert_int_eq(rmdir(supervisor.folder), 0);
    umask(0);
    supervisor_start(&supervisor);
    expect_mode(supervisor.folder, 0750, GROUP);
    expect_mode(supervisor.socket, 0660, GROUP);
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    struct peer peer;
    peer_open_as(&peer, &supervisor, &reader_user);
    ck_assert_int_eq(setegid(OTHER), 0);
    ck_assert_int_eq(seteuid(OTHER), 0);
    ck_assert_int_eq(access(supervisor.folder, F_OK), 0);
    ck_assert_int_eq(faccessat(AT_FDCWD, supervisor.socket, W_OK, AT_EACCESS), -1);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(setegid(0), 0);
    peer_close(&peer);
}
END_TEST

START_TEST(a_folder_in_which_others_could_write_is_refused_whoever_may_reach_it) {
    static const struct {
        mode_t mode;
        const char *reach, *told;
    } folders[] = {{0757, "all", "mkdir -m 755"},
                   {0775, "all", "mkdir -m 755"},
                   {0700, "all", "mkdir -m 755"},
                   {0755, "group 0", "mkdir -m 750"},
                   {0750, "own", "mkdir -m 700"}};
    for (unsigned i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        const char *const arguments[] = {"shmframed", "--socket",       supervisor.socket,
                                         "--reach",   folders[i].reach, NULL};
        ck_assert_int_eq(chmod(supervisor.folder, folders[i].mode), 0);
        ck_assert_int_eq(supervisor_run(arguments, text, sizeof(text)), 1);
        ck_assert_msg(strstr(text, folders[i].told) != NULL, "%s", text);
    }
    ck_assert_int_eq(chmod(supervisor.folder, 0700), 0);
}
END_TEST

int main(void) {
    const struct {
        const TTest *test;
        bool is_roots;
    } tests[] = {
        {whom_nobody_has_named_is_turned_away, true},
        {who_may_read_may_do_nothing_else, true},
        {a_stream_is_for_whom_its_section_names, true},
        {who_may_write_reads_his_own_streams_and_no_others, true},
        {what_the_writer_says_is_of_one_ring, true},
        {who_may_not_read_a_stream_is_not_believed_how_far_it_came, true},
        {who_may_only_read_is_not_believed_of_streams_that_nobody_knows, true},
        {who_is_not_believed_its_generation_hears_that_its_place_is_gone, true},
        {what_the_writer_says_counts_more_than_the_settings, true},
        {one_who_waits_for_a_stream_that_is_not_for_him_hears_so_when_it_comes, true},
        {who_only_reads_cannot_use_up_the_names, true},
        {rules_that_do_not_exist_cost_the_connection, false},
        {a_socket_for_a_group_is_closed_to_others, true},
        {a_folder_in_which_others_could_write_is_refused_whoever_may_reach_it, false},
    };
    TCase *cases = tcase_create("permission");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        if (geteuid() == 0 || !tests[i].is_roots)
            tcase_add_test(cases, tests[i].test);
        else
            printf("only root can be several users: %s\n", tests[i].test->name);
    }
    Suite *suite = suite_create("permission");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
