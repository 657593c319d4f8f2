/* The socket's place: one supervisor, in a folder of its own. */
#include "peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../built.h"
#include "../region/descriptors.h"

static struct supervisor supervisor;
static char text[4096];

static void begin(void) {
    supervisor_prepare(&supervisor);
}

static void end(void) {
    supervisor_clean(&supervisor);
}

/* Must refuse to start, with one line that holds `expected`. */
static void refuse_at(const char *socket, const char *expected) {
    const char *const arguments[] = {"shmframed", "--socket", socket, NULL};
    ck_assert_int_eq(supervisor_run(arguments, text, sizeof(text)), 1);
    ck_assert_msg(strstr(text, expected) != NULL, "no '%s' in: %s", expected, text);
    ck_assert_msg(strncmp(text, "shmframed: ", 11) == 0, "%s", text);
    ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "more than one line: %s", text);
}

static unsigned mode_of(const char *path) {
    struct stat info;
    ck_assert_int_eq(lstat(path, &info), 0);
    return info.st_mode & 07777;
}

START_TEST(the_socket_is_closed_to_others) {
    umask(0);
    supervisor_start(&supervisor);
    ck_assert_uint_eq(mode_of(supervisor.socket), 0600);
    char path[128];
    snprintf(path, sizeof(path), "%s.lock", supervisor.socket);
    ck_assert_uint_eq(mode_of(path), 0600);
}
END_TEST

START_TEST(a_missing_folder_is_made_for_us_alone) {
    umask(0);
    ck_assert_int_eq(rmdir(supervisor.folder), 0);
    supervisor_start(&supervisor);
    ck_assert_uint_eq(mode_of(supervisor.folder), 0700);
}
END_TEST

START_TEST(a_second_supervisor_refuses_and_names_the_first) {
    supervisor_start(&supervisor);
    char pid[32];
    snprintf(pid, sizeof(pid), "(pid %d)", (int)supervisor.pid);
    refuse_at(supervisor.socket, pid);
    struct peer peer;
    peer_open(&peer, &supervisor, "peer"); /* the first one goes on */
    peer_expect_silence(&peer);
    peer_close(&peer);
}
END_TEST

START_TEST(a_stale_socket_is_replaced) {
    supervisor_start(&supervisor);
    supervisor_kill(&supervisor);
    ck_assert_int_eq(access(supervisor.socket, F_OK), 0);
    supervisor_start(&supervisor);
    struct peer peer;
    peer_open(&peer, &supervisor, "peer");
    peer_close(&peer);
}
END_TEST

START_TEST(a_file_in_the_sockets_place_is_left_alone) {
    int fd = open(supervisor.socket, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    refuse_at(supervisor.socket, "no socket of ours");
    ck_assert_int_eq(access(supervisor.socket, F_OK), 0);
    ck_assert_int_eq(unlink(supervisor.socket), 0);
    ck_assert_int_eq(symlink("/tmp/no-such-socket", supervisor.socket), 0);
    refuse_at(supervisor.socket, "no socket of ours");
    ck_assert_int_eq(unlink(supervisor.socket), 0);
}
END_TEST

START_TEST(a_folder_open_to_others_is_refused) {
    static const mode_t modes[] = {0750, 0705, 0710, 0701, 0777};
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        ck_assert_int_eq(chmod(supervisor.folder, modes[i]), 0);
        char told[64];
        snprintf(told, sizeof(told), "is open to others (mode %04o): --reach", modes[i]);
        refuse_at(supervisor.socket, told);
        refuse_at(supervisor.socket, "mkdir -m 700");
    }
    ck_assert_int_eq(chmod(supervisor.folder, 0700), 0);
}
END_TEST

START_TEST(a_folder_of_somebody_else_is_refused) {
    if (geteuid() != 0)
        return; /* only root can make one */
    ck_assert_int_eq(chown(supervisor.folder, 12345, 12345), 0);
    refuse_at(supervisor.socket, "belongs to user 12345, not to user 0: ");
    ck_assert_int_eq(chown(supervisor.folder, 0, 0), 0);
}
END_TEST

START_TEST(a_link_to_a_folder_is_refused) {
    char link[96], socket[112];
    snprintf(link, sizeof(link), "%s-link", supervisor.folder);
    snprintf(socket, sizeof(socket), "%s/socket", link);
    ck_assert_int_eq(symlink(supervisor.folder, link), 0);
    refuse_at(socket, "symbolic link");
    ck_assert_int_eq(unlink(link), 0);
}
END_TEST

/* As a child does that was to be a node when its supervisor was killed, until it runs its program.
 */
START_TEST(a_lock_that_outlives_its_supervisor_for_a_moment_is_waited_for) {
    enum { MOMENT_MS = 300 };
    char path[128];
    int status;
    const pid_t dead = fork_bound();
    if (dead == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(dead, &status, 0), dead);
    snprintf(path, sizeof(path), "%s.lock", supervisor.socket);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_gt(dprintf(fd, "%d\n", (int)dead), 0);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    const pid_t child = fork_bound();
    if (child == 0) {
        poll(NULL, 0, MOMENT_MS);
        _exit(0);
    }
    close(fd);
    supervisor_start(&supervisor);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
}
END_TEST

START_TEST(a_lock_that_is_a_link_is_refused) {
    char lock[128], elsewhere[128];
    snprintf(lock, sizeof(lock), "%s.lock", supervisor.socket);
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", supervisor.folder);
    ck_assert_int_eq(symlink(elsewhere, lock), 0);
    refuse_at(supervisor.socket, ".lock cannot be opened");
    ck_assert_int_eq(access(elsewhere, F_OK), -1);
    ck_assert_int_eq(unlink(lock), 0);
}
END_TEST

START_TEST(places_that_cannot_be_are_refused) {
    refuse_at("/no/such/folder/socket", "/no/such/folder");
    char longest[256];
    memset(longest, 'p', sizeof(longest));
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    refuse_at(longest, "bytes");
}
END_TEST

START_TEST(wrong_options_are_a_usage_error_in_one_line) {
    static const struct {
        const char *argv[4];
        const char *line;
    } wrong[] = {
        {{"shmframed", "--no-such"}, "--no-such is not an option"},
        {{"shmframed", "--sokcet=x"}, "--sokcet is not an option; near it is --socket"},
        {{"shmframed", "--allo"}, "--allo is short for several: --allow-uid, --allow"},
        {{"shmframed", "-x"}, "-x is not an option"},
        {{"shmframed", "--socket"}, "--socket needs a value"},
        {{"shmframed", "--quiet=yes"}, "--quiet=yes: this option takes no value"},
        {{"shmframed", "operand"}, "\"operand\" is too much: only options are taken"},
        {{"shmframed", "--ready-fd", "x"}, "--ready-fd x: a number was expected"},
        {{"shmframed", "--ready-fd", "999"}, "--ready-fd 999: no such descriptor is open"},
        {{"shmframed", "--allow-uid", "-1"}, "--allow-uid -1: a number was expected"},
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char expected[256];
        snprintf(expected, sizeof(expected), "shmframed: %s; see shmframed --help\n",
                 wrong[i].line);
        ck_assert_int_eq(supervisor_run(wrong[i].argv, text, sizeof(text)), 2);
        ck_assert_str_eq(text, expected);
    }
}
END_TEST

START_TEST(both_signals_end_it_cleanly) {
    supervisor_start(&supervisor);
    struct peer peer;
    peer_open(&peer, &supervisor, "peer");
    supervisor_stop(&supervisor); /* SIGTERM; the socket is gone after it */
    peer_expect_end(&peer);
    peer_vanish(&peer);
}
END_TEST

/* Whoever it was, it did not become this supervisor. */
START_TEST(what_another_process_has_kept_open_is_not_taken) {
    struct peer peer;
    setenv("SHMFRAMED_KEPT", "1 0 -1 0 -1", 1);
    supervisor_start(&supervisor);
    peer_open(&peer, &supervisor, "peer");
    peer_close(&peer);
}
END_TEST

/* As a service manager does it: the socket is made by us and passed as descriptor 3. */
static void start_with_passed(int passed, unsigned count, int errors) {
    supervisor.pid = fork_bound();
    if (supervisor.pid == 0) {
        char number[16];
        snprintf(number, sizeof(number), "%d", (int)getpid());
        setenv("LISTEN_PID", number, 1);
        snprintf(number, sizeof(number), "%u", count);
        setenv("LISTEN_FDS", number, 1);
        dup2(errors, STDERR_FILENO);
        const int moved = fcntl(passed, F_DUPFD, 10);
        for (unsigned i = 0; i < count; i++)
            dup2(moved, 3 + (int)i);
        execl(built_supervisor("server/shmframed"), "shmframed", (char *)NULL);
        _exit(127);
    }
}

static struct sockaddr_un own_address(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, supervisor.socket);
    return address;
}

START_TEST(a_passed_socket_is_served_and_not_removed) {
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const struct sockaddr_un address = own_address();
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    start_with_passed(listener, 1, null);
    close(null);
    close(listener);
    struct peer peer;
    peer_open(&peer, &supervisor, "peer"); /* waits in the backlog until it is there */
    peer_close(&peer);
    supervisor_kill(&supervisor);
    ck_assert_int_eq(access(supervisor.socket, F_OK), 0);
}
END_TEST

static const struct {
    int type;
    bool has_path, listens;
    unsigned count;
    const char *expected;
} passed_wrongly[] = {
    {SOCK_SEQPACKET, true, true, 2, "passed 2 descriptors"},
    {SOCK_STREAM, true, true, 1, "kind SOCK_SEQPACKET"},
    {SOCK_SEQPACKET, true, false, 1, "kind SOCK_SEQPACKET"},
    {SOCK_SEQPACKET, false, true, 1, "no path"},
};
enum { PASSED_WRONGLY = sizeof(passed_wrongly) / sizeof(passed_wrongly[0]) };

START_TEST(a_passed_socket_that_cannot_be_served_is_refused) {
    struct sockaddr_un address = own_address();
    if (!passed_wrongly[_i].has_path)
        memmove(address.sun_path + 1, address.sun_path, sizeof(address.sun_path) - 1);
    address.sun_path[0] = passed_wrongly[_i].has_path ? address.sun_path[0] : '\0';
    int listener = socket(AF_UNIX, passed_wrongly[_i].type | SOCK_CLOEXEC, 0), errors[2];
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    if (passed_wrongly[_i].listens)
        ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(pipe2(errors, O_CLOEXEC), 0);
    start_with_passed(listener, passed_wrongly[_i].count, errors[1]);
    close(listener);
    close(errors[1]);
    size_t length = 0;
    ssize_t more = 1;
    while (more > 0 && length < sizeof(text) - 1) {
        ck_assert_int_eq(poll(&(struct pollfd){.fd = errors[0], .events = POLLIN}, 1, DEADLINE_MS),
                         1);
        more = read(errors[0], text + length, sizeof(text) - 1 - length);
        length += more > 0 ? (size_t)more : 0;
    }
    text[length] = '\0';
    ck_assert_msg(strstr(text, passed_wrongly[_i].expected) != NULL, "%s", text);
    int status;
    ck_assert_int_eq(waitpid(supervisor.pid, &status, 0), supervisor.pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    supervisor.pid = -1;
    close(errors[0]);
}
END_TEST

START_TEST(a_user_who_is_not_allowed_is_told) {
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    supervisor_start(&supervisor);
    ck_assert_int_eq(chmod(supervisor.folder, 0711), 0);
    ck_assert_int_eq(chmod(supervisor.socket, 0666), 0);
    ck_assert_int_eq(seteuid(12345), 0);
    struct peer peer = {.socket = peer_connect(&supervisor)};
    const char *told = peer_expect_error(&peer, -EACCES);
    /* What lets him do least comes first, and what would trust him is not told. */
    ck_assert_msg(strstr(told, "--allow 'user 12345'") && strstr(told, "[access]"), "%s", told);
    ck_assert_msg(!strstr(told, "--allow-uid"), "%s", told);
    peer_expect_end(&peer);
    peer_vanish(&peer);
    ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* ---- descriptors ---- */

/* Opens readers that wait until it is refused another one. */
static void take_descriptors(struct peer *peer) {
    int code = 0;
    for (uint32_t i = 0; code == 0; i++) {
        struct channel_mail mail;
        peer_send_reader(peer, "wanted", &(struct reader_options){.reader = i});
        peer->readers = 0;
        ck_assert_int_eq(
            poll(&(struct pollfd){.fd = peer->socket, .events = POLLIN}, 1, DEADLINE_MS), 1);
        ck_assert_int_eq(channel_receive(peer->socket, &mail), 0);
        if (mail.message.header.type == MESSAGE_ERROR)
            code = mail.message.error.code;
    }
    ck_assert_int_eq(code, -EMFILE);
    peer_expect_silence(peer);
}

START_TEST(who_takes_many_descriptors_costs_nobody_the_connection) {
    enum { GREEDY = 4 };
    struct peer greedy[GREEDY], peer;
    struct test_ring ring;
    supervisor.fds_limit = 300;
    supervisor_start(&supervisor);
    peer_open(&peer, &supervisor, "peer");
    ring_make(&ring, "test", 16);
    for (unsigned i = 0; i < GREEDY; i++)
        peer_open(&greedy[i], &supervisor, "greedy");
    take_descriptors(&greedy[0]);
    /* Alone it cannot take them all. */
    peer_open_reader(&peer, "test", &(struct reader_options){.reader = 30});
    for (unsigned i = 1; i < GREEDY; i++)
        take_descriptors(&greedy[i]);
    peer_send_reader(&peer, "test", &(struct reader_options){.reader = 31});
    peer_expect_error(&peer, -EMFILE);
    peer_send_ring(&peer, &ring, "test", &(struct ring_options){.links = 3});
    peer_expect_error(&peer, -EMFILE);
    peer_expect_silence(&peer);
    for (uint32_t i = 0; i < 20; i++) {
        union message message;
        struct channel_mail mail;
        message_init(&message, MESSAGE_CLOSE_READER, 1);
        message.close_reader.reader = i;
        peer_send(&greedy[0], &message, NULL);
        peer_expect(&greedy[0], MESSAGE_DONE, &mail);
    }
    peer_send_ring(&peer, &ring, "test", &(struct ring_options){.links = 3});
    struct channel_mail mail;
    peer_expect_link(&peer);
    peer_expect(&peer, MESSAGE_READER_EVENT, &mail);
    peer_expect(&peer, MESSAGE_OPENED, &mail);
    for (unsigned i = 0; i < GREEDY; i++)
        peer_close(&greedy[i]);
    peer_close(&peer);
    ring_drop(&ring);
}
END_TEST

START_TEST(new_connections_leave_descriptors_to_those_who_are_there) {
    enum { CROWD = 63 }; /* less than a process may have sessions */
    struct peer peer;
    struct test_ring ring;
    int crowd[CROWD], code = 0;
    unsigned count = 0;
    supervisor.fds_limit = 110;
    supervisor_start(&supervisor);
    peer_open(&peer, &supervisor, "peer");
    while (code == 0 && count < CROWD) {
        struct channel_mail mail;
        union message message;
        struct peer one = {.socket = peer_connect(&supervisor)};
        crowd[count++] = one.socket;
        message_init(&message, MESSAGE_HELLO, 1);
        message.hello.now_ns = shmframe_now_ns();
        channel_send(one.socket, &message, NULL); /* may be refused already */
        ck_assert_int_eq(poll(&(struct pollfd){.fd = one.socket, .events = POLLIN}, 1, DEADLINE_MS),
                         1);
        ck_assert_int_eq(channel_receive(one.socket, &mail), 0);
        channel_close_fds(&mail);
        if (mail.message.header.type == MESSAGE_ERROR)
            code = mail.message.error.code;
    }
    ck_assert_int_eq(code, -EMFILE);
    ring_make(&ring, "test", 16);
    peer_open_ring(&peer, &ring, "test", &(struct ring_options){.links = 8});
    for (unsigned i = 0; i < count; i++)
        close(crowd[i]);
    peer_close(&peer);
    ring_drop(&ring);
}
END_TEST

/* Its close waits for an hour, as the other end reads nothing. Returns it, and that end. */
static int make_lingering(int *out_other) {
    static char bytes[1 << 16];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *out_other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(*out_other, (struct sockaddr *)&address, length) < 0 || listen(*out_other, 1) < 0 ||
        getsockname(*out_other, (struct sockaddr *)&address, &length) < 0 ||
        connect(fd, (struct sockaddr *)&address, length) < 0)
        return -1; /* no network at all */
    while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        continue;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    return fd;
}

/* In hand, or still in the queue of a connection that is cut. */
START_TEST(a_descriptor_that_blocks_on_close_holds_up_no_other) {
    enum { SENT = 20 };
    int other[SENT];
    supervisor_start(&supervisor);
    for (unsigned i = 0; i < SENT; i++) {
        struct peer peer;
        const int fd = make_lingering(&other[i]);
        if (fd < 0)
            return;
        peer_open(&peer, &supervisor, "lingering");
        union message message;
        message_init(&message, MESSAGE_OPEN_READER, 3);
        for (unsigned k = 0; k < 3; k++) /* it may be cut after the first */
            channel_send(peer.socket, &message, &fd);
        close(fd);
        peer_expect_error(&peer, -EPROTO);
        peer_vanish(&peer);
    }
    supervisor_expect_fds_back(&supervisor);
    for (unsigned i = 0; i < SENT; i++)
        close(other[i]);
}
END_TEST

/* Comes back as reader `i` of a stream of its own, and shows the rings that may be shown. */
static int show_rings(struct peer *peer, uint32_t i) {
    char name[SHMFRAME_NAME_BYTES];
    struct test_ring former;
    snprintf(name, sizeof(name), "former%u", i);
    ring_make(&former, name, 8);
    peer_send_reader(
        peer, name,
        &(struct reader_options){.reader = i, .flags = MESSAGE_RESYNC, .generation = 4, .head = 9});
    struct channel_mail mail;
    ck_assert_int_eq(poll(&(struct pollfd){.fd = peer->socket, .events = POLLIN}, 1, DEADLINE_MS),
                     1);
    ck_assert_int_eq(channel_receive(peer->socket, &mail), 0);
    for (uint32_t generation = 1; generation <= HELD_RINGS_MAX; generation++) {
        union message message;
        message_init(&message, MESSAGE_HELD_RING, 0);
        message.held_ring.reader = i;
        message.held_ring.generation = generation;
        peer_send(peer, &message, &former.fd);
    }
    peer_expect_silence(peer);
    ring_drop(&former);
    return mail.message.header.type == MESSAGE_ERROR ? mail.message.error.code : 0;
}

START_TEST(rings_that_are_shown_count_as_the_sessions_that_shows_them) {
    struct peer peer;
    int code = 0;
    supervisor.fds_limit = 300;
    supervisor_start(&supervisor); /* who comes back within 2 s may show rings */
    peer_open(&peer, &supervisor, "greedy");
    for (uint32_t i = 0; code == 0 && i < 75; i++)
        code = show_rings(&peer, i);
    ck_assert(code == 0 || code == -EMFILE);
    /* Half of them, and what is under way. */
    ck_assert_int_le(descriptors_count(supervisor.pid), 300 / 2 + 16);
    peer_close(&peer);
}
END_TEST

/* ---- other users ---- */

START_TEST(a_user_who_cannot_reach_the_socket_is_named_at_the_start) {
    const char *allowing[] = {"shmframed", "--allow-uid", "0", "--socket", "/no/such/folder/socket",
                              "--quiet",   NULL};
    supervisor_run(allowing, text, sizeof(text));
    ck_assert_ptr_null(strstr(text, "event=")); /* root can */
    allowing[2] = "12345";
    supervisor_run(allowing, text, sizeof(text));
    ck_assert_msg(strstr(text, "event=user-out-of-reach by=\"--allow-uid 12345\" reason=\"only") &&
                      strstr(text, "--reach") && strstr(text, "sd_listen_fds(3)"),
                  "%s", text);
    allowing[1] = "--allow";
    allowing[2] = "user 0";
    supervisor_run(allowing, text, sizeof(text));
    ck_assert_ptr_null(strstr(text, "event="));
    allowing[2] = "group 12345";
    supervisor_run(allowing, text, sizeof(text));
    ck_assert_msg(strstr(text, "event=user-out-of-reach by=\"allow\" reason="), "%s", text);
}
END_TEST

/* What keeps it from starting there, it says beforehand; and makes nothing. */
START_TEST(a_check_judges_the_place_as_the_start_does) {
    const char *check[] = {"shmframed", "--socket", supervisor.socket, "--check", "--reach",
                           "all",       NULL};
    ck_assert_int_eq(supervisor_run(check, text, sizeof(text)), 1);
    ck_assert_msg(strstr(text, " has mode 0700, which is not what --reach all needs: ") &&
                      strstr(text, "mkdir -m 755"),
                  "%s", text);
    check[5] = "own";
    ck_assert_msg(supervisor_run(check, text, sizeof(text)) == 0, "%s", text);
    check[4] = "--allow-uid";
    check[5] = "12345";
    ck_assert_int_eq(supervisor_run(check, text, sizeof(text)), 0);
    ck_assert_msg(strstr(text, "event=user-out-of-reach"), "%s", text);
    ck_assert_int_eq(rmdir(supervisor.folder), 0); /* it is empty, and it would be made */
    check[4] = "--reach";
    check[5] = "all";
    ck_assert_msg(supervisor_run(check, text, sizeof(text)) == 0, "%s", text);
    ck_assert_int_eq(mkdir(supervisor.folder, 0700), 0);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_told_by_the_programs_name) {
    const char *argv[] = {"shmframed", "--config", "/no/such.ini", NULL};
    ck_assert_int_eq(supervisor_run(argv, text, sizeof(text)), 2);
    ck_assert_str_eq(text,
                     "shmframed: /no/such.ini: it cannot be read: No such file or directory\n");
}
END_TEST

/* One folder is made, not a whole path. */
START_TEST(a_check_refuses_a_folder_that_cannot_be_made) {
    char deep[256];
    snprintf(deep, sizeof(deep), "%s/a/b/socket", supervisor.folder);
    const char *check[] = {"shmframed", "--socket", deep, "--check", NULL};
    ck_assert_int_eq(supervisor_run(check, text, sizeof(text)), 1);
    ck_assert_msg(strstr(text, "/a/b cannot be made: No such file or directory; choose another"),
                  "%s", text);
    refuse_at(deep, "/a/b cannot be made: No such file or directory; choose another");
}
END_TEST

START_TEST(a_check_takes_a_slash_more_for_one) {
    char path[256];
    snprintf(path, sizeof(path), "%s//made//socket", supervisor.folder);
    const char *check[] = {"shmframed", "--socket", path, "--check", NULL};
    ck_assert_msg(supervisor_run(check, text, sizeof(text)) == 0, "%s", text);
}
END_TEST

enum { STRANGER_UID = 12345 };

static void start_for_stranger(void) {
    snprintf(supervisor.allow_uid, sizeof(supervisor.allow_uid), "%d", STRANGER_UID);
    supervisor_start(&supervisor);
    ck_assert_int_eq(chmod(supervisor.folder, 0711), 0);
    ck_assert_int_eq(chmod(supervisor.socket, 0666), 0);
}

static void open_as_stranger(struct peer *peer) {
    ck_assert_int_eq(seteuid(STRANGER_UID), 0);
    peer_open(peer, &supervisor, "stranger");
    ck_assert_int_eq(seteuid(0), 0);
}

static void ask_of_reader(struct peer *peer, enum message_type type, const char *stream,
                          uint32_t number) {
    union message message;
    message_init(&message, type, 6);
    strcpy(message.reader_of.stream, stream);
    message.reader_of.number = number;
    peer_send(peer, &message, NULL);
}

START_TEST(readers_are_not_for_other_users_to_see_or_evict) {
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    start_for_stranger();
    struct peer own, stranger;
    struct test_ring ring, theirs;
    peer_open(&own, &supervisor, "own");
    open_as_stranger(&stranger);
    ring_make(&ring, "ours", 16);
    ring_make(&theirs, "theirs", 16);
    peer_open_ring(&own, &ring, "ours", &(struct ring_options){.links = 4});
    peer_open_ring(&stranger, &theirs, "theirs", &(struct ring_options){.links = 4});
    const uint32_t of_own = peer_open_reader(&own, "ours", &(struct reader_options){.reader = 20});
    ask_of_reader(&stranger, MESSAGE_EVICT, "ours", of_own);
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&stranger, -EACCES), "user 0"));
    ask_of_reader(&stranger, MESSAGE_GET_RECORD, "ours", of_own);
    peer_expect_error(&stranger, -EACCES);
    ck_assert_uint_eq(peer_entry(&own, 20), reader_word(0, ENTRY_GRANTED));
    /* Of his own reader, and of a reader of his own stream, he may. */
    const uint32_t of_stranger =
        peer_open_reader(&stranger, "ours", &(struct reader_options){.reader = 21});
    peer_expect_link(&stranger);
    struct channel_mail mail;
    ask_of_reader(&stranger, MESSAGE_GET_RECORD, "ours", of_stranger);
    peer_expect(&stranger, MESSAGE_RECORD, &mail);
    channel_close_fds(&mail);
    peer_vanish(&own);
    peer_open(&own, &supervisor, "own");
    const uint32_t of_theirs =
        peer_open_reader(&own, "theirs", &(struct reader_options){.reader = 22});
    peer_expect_link(&own);
    peer_expect(&stranger, MESSAGE_READER_EVENT, &mail);
    ask_of_reader(&stranger, MESSAGE_EVICT, "theirs", of_theirs);
    peer_expect(&stranger, MESSAGE_READER_EVENT, &mail);
    peer_expect(&stranger, MESSAGE_DONE, &mail);
    /* The operator may anything. */
    ask_of_reader(&own, MESSAGE_EVICT, "ours", of_stranger);
    peer_expect(&own, MESSAGE_DONE, &mail);
    peer_close(&stranger);
    peer_close(&own);
    ring_drop(&theirs);
    ring_drop(&ring);
}
END_TEST

START_TEST(another_user_does_not_use_up_the_sessions) {
    enum { PROCESSES = 4, OF_PROCESS = 64 };
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    start_for_stranger();
    pid_t child[PROCESSES];
    int ready[2];
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    for (unsigned i = 0; i < PROCESSES; i++) {
        child[i] = fork_bound();
        if (child[i] != 0)
            continue;
        static struct peer peer[OF_PROCESS];
        for (unsigned k = 0; k < OF_PROCESS; k++)
            open_as_stranger(&peer[k]);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        char byte;
        ck_assert_int_eq(poll(&(struct pollfd){.fd = ready[0], .events = POLLIN}, 1, DEADLINE_MS),
                         1);
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    }
    struct peer peer;
    ck_assert_int_eq(seteuid(STRANGER_UID), 0);
    peer = (struct peer){.socket = peer_connect(&supervisor)};
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&peer, -ENOSPC), "user 12345"));
    peer_vanish(&peer);
    peer_open(&peer, &supervisor, "own");
    peer_close(&peer);
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        kill(child[i], SIGKILL);
        ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
    }
    close(ready[0]);
    close(ready[1]);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("place");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, the_socket_is_closed_to_others);
    tcase_add_test(cases, a_missing_folder_is_made_for_us_alone);
    tcase_add_test(cases, a_second_supervisor_refuses_and_names_the_first);
    tcase_add_test(cases, a_stale_socket_is_replaced);
    tcase_add_test(cases, a_file_in_the_sockets_place_is_left_alone);
    tcase_add_test(cases, a_folder_open_to_others_is_refused);
    tcase_add_test(cases, a_folder_of_somebody_else_is_refused);
    tcase_add_test(cases, a_link_to_a_folder_is_refused);
    tcase_add_test(cases, a_lock_that_outlives_its_supervisor_for_a_moment_is_waited_for);
    tcase_add_test(cases, a_lock_that_is_a_link_is_refused);
    tcase_add_test(cases, places_that_cannot_be_are_refused);
    tcase_add_test(cases, a_file_that_is_not_there_is_told_by_the_programs_name);
    tcase_add_test(cases, wrong_options_are_a_usage_error_in_one_line);
    tcase_add_test(cases, both_signals_end_it_cleanly);
    tcase_add_test(cases, what_another_process_has_kept_open_is_not_taken);
    tcase_add_test(cases, a_passed_socket_is_served_and_not_removed);
    tcase_add_loop_test(cases, a_passed_socket_that_cannot_be_served_is_refused, 0, PASSED_WRONGLY);
    tcase_add_test(cases, a_user_who_is_not_allowed_is_told);
    tcase_add_test(cases, a_user_who_cannot_reach_the_socket_is_named_at_the_start);
    tcase_add_test(cases, a_check_judges_the_place_as_the_start_does);
    tcase_add_test(cases, a_check_refuses_a_folder_that_cannot_be_made);
    tcase_add_test(cases, a_check_takes_a_slash_more_for_one);
    tcase_add_test(cases, who_takes_many_descriptors_costs_nobody_the_connection);
    tcase_add_test(cases, new_connections_leave_descriptors_to_those_who_are_there);
    tcase_add_test(cases, a_descriptor_that_blocks_on_close_holds_up_no_other);
    tcase_add_test(cases, rings_that_are_shown_count_as_the_sessions_that_shows_them);
    tcase_add_test(cases, another_user_does_not_use_up_the_sessions);
    tcase_add_test(cases, readers_are_not_for_other_users_to_see_or_evict);
    Suite *suite = suite_create("place");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
