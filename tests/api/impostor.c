/* A supervisor that lies in its page, and what a writer tells the next one. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "futex.h"
#include "layout.h"
#include "link.h"
#include "region.h"

enum { STEP_MS = 20000, LINKS = 4, MORE_LINKS = 2 };

/* ---- the false supervisor, in a process of its own ---- */

static int listener = -1, opened[2] = {-1, -1}; /* the writer's word that it is */
static char path[128];

struct false_page {
    int socket;
    struct region region;
    struct notice_page *page;
};

static void must(bool holds, int status) {
    if (!holds)
        _exit(status);
}

static void receive(int socket, enum message_type type, union message *out_message) {
    struct channel_mail mail;
    struct pollfd there = {.fd = socket, .events = POLLIN};
    must(poll(&there, 1, STEP_MS) == 1, 20);
    must(channel_receive(socket, &mail) == 0, 21);
    channel_close_fds(&mail);
    must(mail.message.header.type == type, 40 + (int)mail.message.header.type);
    *out_message = mail.message;
}

static void welcome(struct false_page *out) {
    union message message;
    int fd;
    out->socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    must(out->socket >= 0, 22);
    receive(out->socket, MESSAGE_HELLO, &message);
    must(region_create_page("notice", NOTICE_BYTES, REGION_SEALED, &out->region, &fd) == 0, 23);
    out->page = out->region.base;
    const uint32_t cookie = message.header.cookie;
    message_init(&message, MESSAGE_WELCOME, cookie);
    message.welcome.entries = NOTICE_ENTRIES;
    message.welcome.pid = (int32_t)getpid();
    must(channel_send(out->socket, &message, &fd) == 0, 24);
    close(fd);
}

static void send_opened(const struct false_page *page, const struct message_open_ring *open,
                        uint32_t generation) {
    union message message;
    message_init(&message, MESSAGE_OPENED, open->header.cookie);
    message.opened.writer = open->writer;
    message.opened.generation = generation;
    must(channel_send(page->socket, &message, NULL) == 0, 25);
}

static void want_links(const struct false_page *page, uint32_t writer) {
    union message message;
    message_init(&message, MESSAGE_WANT_LINKS, 0);
    message.want_links.writer = writer;
    message.want_links.generation = 1;
    message.want_links.links = MORE_LINKS;
    must(channel_send(page->socket, &message, NULL) == 0, 26);
}

static void ring_bell(const struct false_page *page) {
    atomic_fetch_add(&page->page->mail, 1);
    atomic_fetch_add(&page->page->word, 1);
    futex_wake(&page->page->word, 1);
}

/* The page grants the first link to a former one's serial, and the second one as it should be. */
static void open_ring_and_lie(struct message_offer_link *out_granted) {
    struct false_page first;
    union message open, offer[LINKS];
    welcome(&first);
    receive(first.socket, MESSAGE_OPEN_RING, &open);
    must(open.open_ring.links == LINKS && open.open_ring.held == 0, 27);
    for (unsigned i = 0; i < LINKS; i++)
        receive(first.socket, MESSAGE_OFFER_LINK, &offer[i]);
    for (unsigned i = 0; i < 2; i++) {
        const struct message_offer_link *link = &offer[i].offer_link;
        const struct grant grant = {
            .serial = link->serial - (i == 0), .leases = 1, .depth = 1, .state = ENTRY_GRANTED};
        atomic_store(&first.page->entry[link->entry].word, grant_word(grant));
    }
    send_opened(&first, &open.open_ring, 1);
    ring_bell(&first);
    *out_granted = offer[1].offer_link;
    char byte;
    must(read(opened[0], &byte, 1) == 1, 34);
    close(first.socket);
}

static void expect_return(const struct message_offer_link *granted) {
    struct false_page second;
    union message open, held, offer;
    welcome(&second);
    receive(second.socket, MESSAGE_OPEN_RING, &open);
    must(open.open_ring.flags & MESSAGE_RESYNC, 28);
    must(open.open_ring.held == 1, 29);
    must(open.open_ring.links == 0, 30);
    receive(second.socket, MESSAGE_HELD_LINK, &held);
    must(held.held_link.entry == granted->entry, 31);
    must(grant_from_word(held.held_link.word).serial == granted->serial, 32);
    want_links(&second, open.open_ring.writer);
    send_opened(&second, &open.open_ring, 1);
    ring_bell(&second);
    for (unsigned i = 0; i < MORE_LINKS; i++) {
        receive(second.socket, MESSAGE_OFFER_LINK, &offer);
        must(offer.offer_link.entry != granted->entry, 33);
    }
    close(second.socket);
}

static void supervise_falsely(void) {
    struct message_offer_link granted;
    open_ring_and_lie(&granted);
    expect_return(&granted);
}

static void receive_open_ring(const struct false_page *page, union message *out_open) {
    union message offer;
    receive(page->socket, MESSAGE_OPEN_RING, out_open);
    for (unsigned i = 0; i < out_open->open_ring.links; i++)
        receive(page->socket, MESSAGE_OFFER_LINK, &offer);
}

static void open_ring(const struct false_page *page, uint32_t generation) {
    union message open;
    receive_open_ring(page, &open);
    send_opened(page, &open.open_ring, generation);
}

/* The second one ends with the very word that the stream is back. */
static void supervise_briefly(void) {
    struct false_page page;
    union message open;
    char byte;
    welcome(&page);
    open_ring(&page, 1);
    ring_bell(&page);
    must(read(opened[0], &byte, 1) == 1, 34);
    close(page.socket);
    welcome(&page);
    receive_open_ring(&page, &open);
    kill(getppid(), SIGSTOP); /* it hears the word and the end at once */
    send_opened(&page, &open.open_ring, 1);
    close(page.socket);
    kill(getppid(), SIGCONT);
    welcome(&page);
    open_ring(&page, 1);
    open_ring(&page, 2);
    must(read(opened[0], &byte, 1) == 1, 35);
    close(page.socket);
}

static void refuse_clock(int session) {
    union message message;
    message_init(&message, MESSAGE_ERROR, 0);
    message.error.code = -ENOTSUP;
    strcpy(message.error.text, "it runs in another time namespace");
    must(channel_send(session, &message, NULL) == 0, 36);
    close(session);
}

/* As one that was stopped for so long that the HELLO seems to be of another clock. Nobody looks at
 * the time meanwhile. */
static void supervise_late(void) {
    struct false_page page;
    union message hello;
    char byte;
    const int session = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    receive(session, MESSAGE_HELLO, &hello);
    kill(getppid(), SIGSTOP);
    poll(NULL, 0, 5500); /* longer than a session waits for its WELCOME */
    refuse_clock(session);
    kill(getppid(), SIGCONT);
    welcome(&page);
    must(read(opened[0], &byte, 1) == 1, 37);
    close(page.socket);
}

static void supervise_by_another_clock(void) {
    union message hello;
    const int session = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    receive(session, MESSAGE_HELLO, &hello);
    refuse_clock(session);
}

/* The writer's first ring, or its second one, takes its memory a long time. */
static bool is_second_slow;

/* The first one dies with the word that the stream is to be opened, where there is to be a second
 * ring. The next one comes when that has been made, and answers who waits for it: what is there
 * already would be taken by who is too late, too. */
static void supervise_slow_memory(void) {
    struct false_page page;
    union message open;
    char byte;
    if (is_second_slow) {
        welcome(&page);
        receive_open_ring(&page, &open);
        close(page.socket);
        must(read(opened[0], &byte, 1) == 1, 60);
    }
    welcome(&page);
    receive_open_ring(&page, &open);
    world_await_asleep(getppid());
    send_opened(&page, &open.open_ring, 1);
    ring_bell(&page);
    must(read(opened[0], &byte, 1) == 1, 61);
    close(page.socket);
}

/* ---- the library's clock ---- */

static time_t ahead_s;

int __real_clock_gettime(clockid_t clock, struct timespec *out_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out_time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out_time) {
    const int code = __real_clock_gettime(clock, out_time);
    out_time->tv_sec += ahead_s;
    return code;
}

/* ---- a supervisor that passes on what was never written ---- */

static int make_empty(const char *name, size_t bytes) {
    struct region region;
    int fd;
    must(region_create_page(name, bytes, REGION_SEALED, &region, &fd) == 0, 50);
    return fd; /* its process ends soon */
}

static void pass_on_an_empty_record(const struct false_page *page) {
    union message message;
    receive(page->socket, MESSAGE_GET_RECORD, &message);
    const int fd = make_empty("record", RECORD_BYTES);
    message_init(&message, MESSAGE_RECORD, message.header.cookie);
    must(channel_send(page->socket, &message, &fd) == 0, 51);
}

static void pass_on_an_empty_ring(const struct false_page *page) {
    union message open, message;
    receive(page->socket, MESSAGE_OPEN_READER, &open);
    message_init(&message, MESSAGE_READER_OK, open.header.cookie);
    message.reader_ok.reader = open.open_reader.reader;
    message.reader_ok.number = 1;
    must(channel_send(page->socket, &message, NULL) == 0, 52);
    message_init(&message, MESSAGE_LINK, 0);
    message.link.reader = open.open_reader.reader;
    message.link.generation = message.link.leases = message.link.depth = 1;
    const int ring = make_empty("ring", sizeof(struct ring));
    const int fds[] = {ring, ring, ring, page->socket};
    must(channel_send(page->socket, &message, fds) == 0, 53);
}

static void supervise_with(void (*pass_on)(const struct false_page *page)) {
    struct false_page page;
    char byte;
    welcome(&page);
    pass_on(&page);
    ring_bell(&page);
    must(read(opened[0], &byte, 1) == 1, 54);
}

static void supervise_an_empty_record(void) {
    supervise_with(pass_on_an_empty_record);
}

static void supervise_an_empty_ring(void) {
    supervise_with(pass_on_an_empty_ring);
}

/* ---- the writer ---- */

static void listen_falsely(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, sizeof(path), "%s/false", world.folder);
    memcpy(address.sun_path, path, strlen(path) + 1);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
    ck_assert_int_eq(pipe2(opened, O_CLOEXEC), 0);
}

static void stop_listening(void) {
    close(listener);
    close(opened[0]);
    close(opened[1]);
}

/* As a program does: publishes, and looks after its session. */
static void write_until_ended(struct shmframe_session *session, struct shmframe_writer *writer,
                              pid_t supervisor) {
    const int64_t deadline_ns = world_deadline();
    int status;
    while (waitpid(supervisor, &status, WNOHANG) == 0) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the false supervisor did not end");
        struct pollfd mail = {.fd = shmframe_session_fd(session), .events = POLLIN};
        poll(&mail, 1, 10);
        ck_assert_int_eq(shmframe_session_dispatch(session), 0);
        world_publish(writer, 1);
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "the false supervisor ended with 0x%x", (unsigned)status);
}

START_TEST(a_writer_that_comes_back_tells_of_its_own_grants_and_waits_to_be_asked_for_links) {
    listen_falsely();
    const pid_t supervisor = world_fork(supervise_falsely);
    const struct shmframe_session_params at = {.socket = path, .deadline_ns = world_deadline()};
    struct shmframe_session *session;
    ck_assert_int_eq(shmframe_session_open(&at, &session), 0);
    const struct shmframe_writer_params params = world_writer_params("s");
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(session, &params, &writer), 0);
    ck_assert_int_eq(write(opened[1], "", 1), 1);
    write_until_ended(session, writer, supervisor);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    stop_listening();
}
END_TEST

START_TEST(a_supervisor_that_ends_as_the_stream_is_back_leaves_the_change_of_format_to_the_next) {
    listen_falsely();
    const pid_t supervisor = world_fork(supervise_briefly);
    const struct shmframe_session_params at = {.socket = path, .deadline_ns = world_deadline()};
    struct shmframe_session *session;
    ck_assert_int_eq(shmframe_session_open(&at, &session), 0);
    const struct shmframe_writer_params params = world_writer_params("s");
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(session, &params, &writer), 0);
    ck_assert_int_eq(write(opened[1], "", 1), 1);
    struct pollfd gone = {.fd = shmframe_session_fd(session), .events = POLLIN};
    ck_assert_int_eq(poll(&gone, 1, STEP_MS), 1);
    ck_assert_int_eq(shmframe_session_dispatch(session), 0);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "other", 64), 0);
    const int code = shmframe_writer_set_format(writer, &format, world_deadline());
    ck_assert_msg(code == 0, "the format is not changed (%d): %s", code, shmframe_last_error());
    world_publish(writer, 1);
    ck_assert_int_eq(write(opened[1], "", 1), 1);
    int status;
    ck_assert_int_eq(waitpid(supervisor, &status, 0), supervisor);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "the false supervisor ended with 0x%x", (unsigned)status);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    stop_listening();
}
END_TEST

START_TEST(memory_that_is_no_ring_and_no_record_is_refused) {
    listen_falsely();
    const pid_t supervisor = world_fork(_i ? supervise_an_empty_ring : supervise_an_empty_record);
    const struct shmframe_session_params at = {.socket = path, .deadline_ns = world_deadline()};
    const struct shmframe_reader_params params = {.stream = "s", .deadline_ns = world_deadline()};
    struct shmframe_session *session;
    struct shmframe_reader *reader;
    struct shmframe_record *record;
    ck_assert_int_eq(shmframe_session_open(&at, &session), 0);
    const int code = _i ? shmframe_reader_open(session, &params, &reader)
                        : shmframe_record_open(session, "s", 1, world_deadline(), &record);
    expect_error(code, -EPROTO, _i ? "ring" : "record");
    ck_assert_int_eq(write(opened[1], "", 1), 1);
    world_join(supervisor);
    shmframe_session_close(session);
    stop_listening();
}
END_TEST

START_TEST(a_hello_that_was_read_too_late_is_said_again) {
    listen_falsely();
    const pid_t supervisor = world_fork(_i ? supervise_late : supervise_by_another_clock);
    const struct shmframe_session_params at = {.socket = path, .deadline_ns = world_deadline()};
    struct shmframe_session *session;
    int status;
    ck_assert_msg(shmframe_session_open(&at, &session) == (_i ? 0 : -ENOTSUP), "%s",
                  shmframe_last_error());
    if (_i) {
        ck_assert_int_eq(write(opened[1], "", 1), 1);
        shmframe_session_close(session);
    }
    ck_assert_int_eq(waitpid(supervisor, &status, 0), supervisor);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "the false supervisor ended with 0x%x", (unsigned)status);
    stop_listening();
}
END_TEST

static void await_supervisor(struct shmframe_session *session) {
    const int64_t deadline_ns = world_deadline();
    while (!shmframe_session_is_connected(session)) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the session did not come back");
        struct pollfd mail = {.fd = shmframe_session_fd(session), .events = POLLIN};
        poll(&mail, 1, 1000);
        ck_assert_int_eq(shmframe_session_dispatch(session), 0);
    }
}

struct slowness {
    struct shmframe_session *session;
    unsigned rings;
};

/* Longer than a supervisor is waited for by default. It is there by then: what it has said is not
 * measured by this clock. */
static int take_long(void *user, int ring_fd, const struct shmframe_ring_map *map) {
    struct slowness *slowness = user;
    (void)ring_fd, (void)map;
    if (slowness->rings++ != is_second_slow)
        return 0;
    if (is_second_slow) {
        ck_assert_int_eq(write(opened[1], "", 1), 1);
        await_supervisor(slowness->session);
    }
    ahead_s += 11;
    return 0;
}

START_TEST(by_default_the_time_that_memory_takes_does_not_count) {
    listen_falsely();
    is_second_slow = _i;
    const pid_t supervisor = world_fork(supervise_slow_memory);
    const struct shmframe_session_params at = {.socket = path, .deadline_ns = world_deadline()};
    struct slowness slowness = {.rings = 0};
    ck_assert_int_eq(shmframe_session_open(&at, &slowness.session), 0);
    struct shmframe_writer_params params = world_writer_params("s");
    params.before_seal = take_long;
    params.user = &slowness;
    struct shmframe_writer *writer;
    const int code = shmframe_writer_open(slowness.session, &params, &writer);
    ck_assert_msg(code == 0, "not opened (%d): %s", code, shmframe_last_error());
    ck_assert_uint_eq(slowness.rings, 1 + is_second_slow);
    ck_assert_int_eq(write(opened[1], "", 1), 1);
    world_join(supervisor);
    shmframe_writer_close(writer);
    shmframe_session_close(slowness.session);
    stop_listening();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("impostor");
    TCase *tests = tcase_create("impostor");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(
        tests, a_writer_that_comes_back_tells_of_its_own_grants_and_waits_to_be_asked_for_links);
    tcase_add_test(
        tests,
        a_supervisor_that_ends_as_the_stream_is_back_leaves_the_change_of_format_to_the_next);
    tcase_add_loop_test(tests, memory_that_is_no_ring_and_no_record_is_refused, 0, 2);
    tcase_add_loop_test(tests, a_hello_that_was_read_too_late_is_said_again, 0, 2);
    tcase_add_loop_test(tests, by_default_the_time_that_memory_takes_does_not_count, 0, 2);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
