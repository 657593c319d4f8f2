#include "channel.h"

#include <shmframe/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "descriptors.h"
#include "raw.h"

static int side[2];

static void open_pair(void) {
    descriptors_begin();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, side), 0);
}

static void close_pair(void) {
    for (unsigned i = 0; i < 2; i++)
        if (side[i] >= 0)
            close(side[i]);
    descriptors_end();
}

static void send_to_other(const void *bytes, size_t length, unsigned fds) {
    send_raw(side[0], bytes, length, side[0], fds);
}

/* channel_receive() answers `code` and leaves nothing open. */
static void receive_fails(int code) {
    const int before = descriptors_count(getpid());
    struct channel_mail mail;
    ck_assert_int_eq(channel_receive(side[1], &mail), code);
    ck_assert_uint_eq(mail.fds, 0);
    for (unsigned i = 0; i < MESSAGE_FDS_MAX; i++)
        ck_assert_int_eq(mail.fd[i], -1);
    ck_assert_int_eq(descriptors_count(getpid()), before);
}

START_TEST(a_message_arrives_with_its_descriptors) {
    union message message;
    message_init(&message, MESSAGE_LINK, 3);
    message.link.serial = 77;
    const int fds[4] = {side[0], side[1], 0, 1};
    ck_assert_int_eq(channel_send(side[0], &message, fds), 0);
    struct channel_mail mail;
    ck_assert_int_eq(channel_receive(side[1], &mail), 0);
    ck_assert_int_eq(mail.message.header.type, MESSAGE_LINK);
    ck_assert_uint_eq(mail.message.link.serial, 77);
    ck_assert_uint_eq(mail.fds, 4);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(fcntl(mail.fd[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    int taken = mail.fd[2];
    mail.fd[2] = -1;
    channel_close_fds(&mail);
    ck_assert_uint_eq(mail.fds, 0);
    ck_assert_int_ge(fcntl(taken, F_GETFD), 0);
    close(taken);
}
END_TEST

START_TEST(nothing_there_is_told_from_a_peer_that_is_gone) {
    receive_fails(-EAGAIN);
    close(side[0]);
    side[0] = -1;
    receive_fails(-EPIPE);
    union message message;
    message_init(&message, MESSAGE_DONE, 0);
    ck_assert_int_eq(channel_send(side[1], &message, NULL), -EPIPE);
}
END_TEST

START_TEST(what_was_sent_before_the_end_is_still_received) {
    union message message;
    message_init(&message, MESSAGE_DONE, 5);
    ck_assert_int_eq(channel_send(side[0], &message, NULL), 0);
    close(side[0]);
    side[0] = -1;
    struct channel_mail mail;
    ck_assert_int_eq(channel_receive(side[1], &mail), 0);
    ck_assert_uint_eq(mail.message.header.cookie, 5);
    receive_fails(-EPIPE);
}
END_TEST

START_TEST(a_full_socket_does_not_make_the_sender_wait) {
    union message message;
    message_init(&message, MESSAGE_DONE, 0);
    int code = 0;
    for (unsigned i = 0; i < 100000 && code == 0; i++)
        code = channel_send(side[0], &message, NULL);
    ck_assert_int_eq(code, -EAGAIN);
}
END_TEST

START_TEST(short_and_long_messages_are_refused) {
    union message message;
    message_init(&message, MESSAGE_HELLO, 0);
    char longer[2 * sizeof(union message)] = {0};
    memcpy(longer, &message, sizeof(message));
    send_to_other(longer, sizeof(longer), 0);
    receive_fails(-EPROTO);
    send_to_other(longer, sizeof(longer), 2);
    receive_fails(-EPROTO);
    send_to_other(&message, message_bytes(MESSAGE_HELLO) - 1, 0);
    receive_fails(-EPROTO);
    send_to_other(&message, 1, 0);
    receive_fails(-EPROTO);
    send_to_other(&message, 1, 3);
    receive_fails(-EPROTO);
    send_to_other(&message, 1, 16);
    receive_fails(-EPROTO);
}
END_TEST

/* What is left of it would be a message as it should be. */
START_TEST(a_message_that_was_cut_is_refused) {
    unsigned type = MESSAGE_NONE + 1;
    while (type < MESSAGE_TYPES && message_bytes(type) != sizeof(union message))
        type++;
    ck_assert_uint_lt(type, MESSAGE_TYPES);
    ck_assert_uint_eq(message_fds(type), 0);
    char longer[sizeof(union message) + 1] = {0};
    union message message;
    message_init(&message, type, 0);
    memcpy(longer, &message, sizeof(message));
    send_to_other(longer, sizeof(longer), 0);
    receive_fails(-EPROTO);
}
END_TEST

START_TEST(too_many_and_too_few_descriptors_are_refused_and_closed) {
    union message message;
    message_init(&message, MESSAGE_OFFER_LINK, 0);
    for (unsigned fds = 0; fds <= 16; fds++) {
        if (fds == message_fds(MESSAGE_OFFER_LINK))
            continue;
        send_to_other(&message, message_bytes(MESSAGE_OFFER_LINK), fds);
        receive_fails(-EPROTO);
    }
}
END_TEST

START_TEST(another_version_is_refused_with_its_own_error) {
    union message message;
    message_init(&message, MESSAGE_HELLO, 0);
    message.header.abi++;
    send_to_other(&message, message_bytes(MESSAGE_HELLO), 0);
    receive_fails(-EPROTONOSUPPORT);
}
END_TEST

START_TEST(lost_descriptors_are_noticed) {
    union message message;
    message_init(&message, MESSAGE_LINK, 0);
    const int fds[4] = {side[0], side[0], side[0], side[0]};
    ck_assert_int_eq(channel_send(side[0], &message, fds), 0);
    struct rlimit limit, small;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int next = dup(0); /* the lowest free number: two more fit */
    close(next);
    small = (struct rlimit){.rlim_cur = (rlim_t)next + 2, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
    struct channel_mail mail;
    int code = channel_receive(side[1], &mail);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(code, -EMFILE);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "`ulimit -n`"));
    ck_assert_uint_eq(mail.fds, 0);
}
END_TEST

START_TEST(the_default_path_follows_the_environment) {
    char path[256];
    setenv("SHMFRAME_SOCKET", "/a/b", 1);
    ck_assert_int_eq(channel_default_path(path, sizeof(path)), 0);
    ck_assert_str_eq(path, "/a/b");
    unsetenv("SHMFRAME_SOCKET");
    setenv("XDG_RUNTIME_DIR", "/run/x", 1);
    ck_assert_int_eq(channel_default_path(path, sizeof(path)), 0);
    ck_assert_str_eq(path, "/run/x/shmframe/socket");
    setenv("XDG_RUNTIME_DIR", "not/absolute", 1);
    ck_assert_int_eq(channel_default_path(path, sizeof(path)), 0);
    char expected[64];
    snprintf(expected, sizeof(expected), "/run/user/%u/shmframe/socket", (unsigned)geteuid());
    ck_assert_str_eq(path, expected);
}
END_TEST

START_TEST(a_path_longer_than_a_socket_may_have_is_refused) {
    char path[256], longest[200];
    memset(longest, 'p', sizeof(longest));
    longest[sizeof(((struct sockaddr_un *)0)->sun_path) - 1] = '\0';
    setenv("SHMFRAME_SOCKET", longest, 1);
    ck_assert_int_eq(channel_default_path(path, sizeof(path)), 0);
    ck_assert_int_eq(channel_default_path(path, 20), -EINVAL);
    memset(longest, 'p', sizeof(longest));
    longest[sizeof(((struct sockaddr_un *)0)->sun_path)] = '\0';
    setenv("SHMFRAME_SOCKET", longest, 1);
    ck_assert_int_eq(channel_default_path(path, sizeof(path)), -EINVAL);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("channel");
    tcase_add_checked_fixture(cases, open_pair, close_pair);
    tcase_add_test(cases, a_message_arrives_with_its_descriptors);
    tcase_add_test(cases, nothing_there_is_told_from_a_peer_that_is_gone);
    tcase_add_test(cases, what_was_sent_before_the_end_is_still_received);
    tcase_add_test(cases, a_full_socket_does_not_make_the_sender_wait);
    tcase_add_test(cases, short_and_long_messages_are_refused);
    tcase_add_test(cases, a_message_that_was_cut_is_refused);
    tcase_add_test(cases, too_many_and_too_few_descriptors_are_refused_and_closed);
    tcase_add_test(cases, another_version_is_refused_with_its_own_error);
    tcase_add_test(cases, lost_descriptors_are_noticed);
    tcase_add_test(cases, the_default_path_follows_the_environment);
    tcase_add_test(cases, a_path_longer_than_a_socket_may_have_is_refused);
    Suite *suite = suite_create("channel");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
