/* No descriptor, no memory, no permission, and supervisors that are none: one errno, one line, and
 * nothing left behind.
 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../shmframe/src/message.h"
#include "../region/descriptors.h"

/* ---- descriptors ---- */

/* The lowest number that no descriptor has. */
static rlim_t next_descriptor(void) {
    const int fd = fcntl(STDIN_FILENO, F_DUPFD, 0);
    ck_assert_int_ge(fd, 0);
    close(fd);
    return (rlim_t)fd;
}

static void set_limit(int resource, rlim_t value) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(resource, &limit), 0);
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    ck_assert_int_eq(setrlimit(resource, &limit), 0);
}

static int open_session_now(struct shmframe_session **out_session) {
    const struct shmframe_session_params params = {.socket = world.socket,
                                                   .deadline_ns = world_deadline()};
    return shmframe_session_open(&params, out_session);
}

/* With one descriptor more each time, until there are enough of them. */
START_TEST(a_session_without_descriptors_is_refused_and_leaves_none) {
    const rlim_t first = next_descriptor();
    const int before = descriptors_count(getpid());
    struct shmframe_session *session = NULL;
    unsigned refused = 0;
    for (rlim_t more = 0; !session; more++) {
        set_limit(RLIMIT_NOFILE, first + more);
        const int code = open_session_now(&session);
        set_limit(RLIMIT_NOFILE, RLIM_INFINITY);
        if (code == 0)
            break;
        expect_error(code, -EMFILE, "ulimit -n");
        ck_assert_int_eq(descriptors_count(getpid()), before);
        refused++;
        ck_assert_uint_lt(more, 32);
    }
    ck_assert_uint_ge(refused, 6); /* its socket and notice page among them */
    shmframe_session_close(session);
    ck_assert_int_eq(descriptors_count(getpid()), before);
}
END_TEST

START_TEST(a_writer_without_descriptors_is_refused_and_leaves_none) {
    const rlim_t first = next_descriptor();
    const int before = descriptors_count(getpid());
    const struct shmframe_writer_params params = world_writer_params("s");
    struct shmframe_writer *writer = NULL;
    unsigned refused = 0;
    for (rlim_t more = 0; !writer; more++) {
        set_limit(RLIMIT_NOFILE, first + more);
        const int code = shmframe_writer_open(world.session, &params, &writer);
        set_limit(RLIMIT_NOFILE, RLIM_INFINITY);
        if (code == 0)
            break;
        expect_error(code, -EMFILE, "ulimit -n");
        ck_assert_int_eq(descriptors_count(getpid()), before);
        ck_assert(shmframe_session_is_connected(world.session));
        refused++;
        ck_assert_uint_lt(more, 32);
    }
    ck_assert_uint_ge(refused, 1);
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    ck_assert_uint_eq(world_publish(writer, 7), 1);
    ck_assert_uint_eq(world_take(reader, 1), 7);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* In another process than the writer, which needs descriptors for links of its own. */
static void write_until_ended(void) {
    world.session = world_open_session();
    struct shmframe_writer *writer = world_open_writer("s");
    world_publish(writer, 7);
    world_tell();
    for (;;) {
        world_expect_readable(shmframe_session_fd(world.session));
        shmframe_session_dispatch(world.session);
        world_publish(writer, 7);
    }
}

START_TEST(a_reader_without_descriptors_is_refused_and_leaves_none) {
    const pid_t pid = world_fork(write_until_ended);
    world_await();
    const rlim_t first = next_descriptor();
    const int before = descriptors_count(getpid());
    struct shmframe_reader *reader = NULL;
    unsigned refused = 0;
    for (rlim_t more = 0; !reader; more++) {
        set_limit(RLIMIT_NOFILE, first + more);
        const struct shmframe_reader_params params = {
            .stream = "s", .policy = SHMFRAME_IN_ORDER, .deadline_ns = world_deadline()};
        const int64_t began_ns = shmframe_now_ns();
        const int code = shmframe_reader_open(world.session, &params, &reader);
        set_limit(RLIMIT_NOFILE, RLIM_INFINITY);
        if (code == 0)
            break;
        expect_error(code, -EMFILE, "ulimit -n");
        ck_assert_int_lt(shmframe_now_ns() - began_ns, WORLD_NS / 2);
        refused++;
        ck_assert_uint_lt(more, 32);
    }
    ck_assert_uint_ge(refused, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert_uint_eq(world_value(&lease), 7);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    shmframe_reader_close(reader);
    ck_assert_int_eq(descriptors_count(getpid()), before);
    world_kill(pid);
}
END_TEST

static int order[2]; /* a byte: change the format */

static void change_format_when_told(void) {
    world.session = world_open_session();
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_format format;
    char byte;
    world_publish(writer, 7);
    world_tell();
    ck_assert_int_eq(read(order[0], &byte, 1), 1);
    ck_assert_int_eq(shmframe_format_data(&format, "other", 8), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    world_publish(writer, 8);
    world_tell();
    for (;;) {
        world_expect_readable(shmframe_session_fd(world.session));
        shmframe_session_dispatch(world.session);
    }
}

START_TEST(a_reader_without_descriptors_for_the_next_ring_gets_there_once_it_has_some) {
    ck_assert_int_eq(pipe2(order, O_CLOEXEC), 0);
    const pid_t pid = world_fork(change_format_when_told);
    world_await();
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    ck_assert_uint_eq(world_take(reader, 1), 7);
    ck_assert_int_eq(write(order[1], "", 1), 1);
    world_await();
    struct shmframe_lease lease;
    set_limit(RLIMIT_NOFILE, next_descriptor());
    const int code = shmframe_reader_acquire(reader, world_deadline(), &lease);
    set_limit(RLIMIT_NOFILE, RLIM_INFINITY);
    expect_error(code, -EMFILE, "ulimit -n");
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert_uint_eq(world_value(&lease), 8);
    ck_assert_uint_eq(lease.lost, 0);
    ck_assert(lease.flags & SHMFRAME_LEASE_NEW_FORMAT);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    shmframe_reader_close(reader);
    world_kill(pid);
    close(order[0]);
    close(order[1]);
}
END_TEST

/* ---- memory ---- */

enum { MEBIBYTE = 1 << 20 };

static struct shmframe_writer_params large_params(void) {
    struct shmframe_writer_params params = {.stream = "large"};
    ck_assert_int_eq(shmframe_format_data(&params.format, "test", 64 * MEBIBYTE), 0);
    return params;
}

static void expect_no_memory(int resource, rlim_t bytes) {
    const struct shmframe_writer_params params = large_params();
    struct shmframe_writer *writer = NULL;
    const int before = descriptors_count(getpid());
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(resource, &limit), 0);
    set_limit(resource, bytes);
    const int code = shmframe_writer_open(world.session, &params, &writer);
    ck_assert_int_eq(setrlimit(resource, &limit), 0);
    expect_error(code, -ENOMEM, "shmframe-ring");
    ck_assert_int_eq(descriptors_count(getpid()), before);
    struct shmframe_stream_info info;
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), &info, 1), 0);
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    shmframe_writer_close(writer);
}

START_TEST(a_ring_beyond_the_address_space_is_refused_at_open) {
    expect_no_memory(RLIMIT_AS, (rlim_t)512 * MEBIBYTE);
}
END_TEST

/* A signal, SIGXFSZ, by default. */
START_TEST(a_ring_beyond_the_largest_file_is_refused_at_open) {
    expect_no_memory(RLIMIT_FSIZE, (rlim_t)16 * MEBIBYTE);
}
END_TEST

START_TEST(a_format_without_memory_is_refused_and_the_stream_goes_on_in_the_old_one) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    const struct shmframe_writer_params large = large_params();
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    set_limit(RLIMIT_FSIZE, (rlim_t)16 * MEBIBYTE);
    const int code = shmframe_writer_set_format(writer, &large.format, world_deadline());
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_error(code, -ENOMEM, "shmframe-ring");
    ck_assert_uint_eq(world_publish(writer, 5), 1);
    ck_assert_uint_eq(world_take(reader, 1), 5);
    ck_assert_uint_eq(shmframe_writer_format(writer)->data.bytes_max, 8);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- other users ---- */

enum { STRANGER = 65534 };

static void become_a_stranger(void) {
    if (setgroups(0, NULL) < 0 || setgid(STRANGER) < 0 || setuid(STRANGER) < 0)
        _exit(3);
}

static void expect_to_be_refused(void) {
    become_a_stranger();
    struct shmframe_session *session;
    const int code = open_session_now(&session);
    expect_error(code, -EACCES, "user");
}

/* Who may open the socket's file is the administrator's word, whom it serves the supervisor's. */
static void let_strangers_reach_the_socket(void) {
    ck_assert_int_eq(chmod(world.folder, 0711), 0);
    ck_assert_int_eq(chmod(world.socket, 0666), 0);
}

START_TEST(a_stranger_is_refused_by_the_folder_and_by_the_supervisor) {
    world_join(world_fork(expect_to_be_refused));
    let_strangers_reach_the_socket();
    world_join(world_fork(expect_to_be_refused));
}
END_TEST

static void change_format_once_not_allowed_any_more(void) {
    become_a_stranger();
    world.session = world_open_session();
    struct shmframe_writer *writer = world_open_writer("of-stranger");
    world_tell();
    world_await_connected(false);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 16), 0);
    expect_error(shmframe_writer_set_format(writer, &format, world_deadline()), -EACCES, "user");
    ck_assert_uint_eq(shmframe_writer_format(writer)->data.bytes_max, 8);
    ck_assert_uint_eq(world_publish(writer, 1), 1);
    shmframe_writer_close(writer);
    shmframe_session_close(world.session);
}

START_TEST(a_writer_that_the_next_supervisor_refuses_goes_on_in_the_old_format) {
    shmframe_session_close(world.session);
    world_kill_supervisor();
    world_start_supervisor("--allow-uid", "65534");
    let_strangers_reach_the_socket();
    const pid_t pid = world_fork(change_format_once_not_allowed_any_more);
    world_await();
    world_kill_supervisor();
    ck_assert_int_eq(chmod(world.folder, 0700), 0); /* no supervisor begins in another one */
    world_start_supervisor(NULL, NULL);
    let_strangers_reach_the_socket();
    world_join(pid);
    world.session = world_open_session();
}
END_TEST

static void read_and_write_as_a_stranger(void) {
    become_a_stranger();
    world.session = world_open_session();
    struct shmframe_reader *reader = world_open_reader("of-root", SHMFRAME_LOSSLESS);
    struct shmframe_writer *writer = world_open_writer("of-stranger");
    if (shmframe_writer_wait_readers(writer, 1, world_deadline()) < 0)
        _exit(4);
    for (uint64_t i = 1; i <= 10; i++) {
        world_publish(writer, 100 + i);
        ck_assert_uint_eq(world_take(reader, i), i);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(world.session);
}

START_TEST(a_stranger_who_is_allowed_reads_and_writes) {
    shmframe_session_close(world.session);
    world_kill_supervisor();
    world_start_supervisor("--allow-uid", "65534");
    let_strangers_reach_the_socket();
    world.session = world_open_session();
    struct shmframe_writer *writer = world_open_writer("of-root");
    const pid_t pid = world_fork(read_and_write_as_a_stranger);
    struct shmframe_reader *reader = world_open_reader("of-stranger", SHMFRAME_LOSSLESS);
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    for (uint64_t i = 1; i <= 10; i++) {
        world_publish(writer, i);
        ck_assert_uint_eq(world_take(reader, i), 100 + i);
    }
    struct shmframe_stream_info info[2];
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), info, 2), 2);
    ck_assert_uint_eq(info[0].writer_uid, getuid());
    world_join(pid);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- supervisors that are none ---- */

static char false_path[128];

static int listen_falsely(void) {
    snprintf(false_path, sizeof(false_path), "%s/false", world.folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, false_path, strlen(false_path) + 1);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    return fd;
}

static void stop_listening(int fd) {
    close(fd);
    unlink(false_path);
}

static int open_falsely(int64_t deadline_ns, struct shmframe_session **out_session) {
    const struct shmframe_session_params params = {.socket = false_path,
                                                   .deadline_ns = deadline_ns};
    return shmframe_session_open(&params, out_session);
}

static int accept_session(int listener, struct message_hello *out_hello) {
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || recv(fd, out_hello, sizeof(*out_hello), 0) != sizeof(*out_hello) ||
        out_hello->header.type != MESSAGE_HELLO)
        _exit(5);
    return fd;
}

static void send_with(int fd, const void *bytes, size_t count, int passed, unsigned times) {
    struct iovec place = {.iov_base = (void *)bytes, .iov_len = count};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct msghdr parts = {.msg_iov = &place, .msg_iovlen = 1};
    if (times) {
        parts.msg_control = &control;
        parts.msg_controllen = CMSG_SPACE(times * sizeof(int));
        struct cmsghdr *item = CMSG_FIRSTHDR(&parts);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(times * sizeof(int));
        for (unsigned i = 0; i < times; i++)
            memcpy(CMSG_DATA(item) + i * sizeof(int), &passed, sizeof(int));
    }
    if (sendmsg(fd, &parts, MSG_NOSIGNAL) < 0)
        _exit(6);
}

static void expect_hang_up(int fd) {
    char byte;
    struct pollfd end = {.fd = fd, .events = POLLIN};
    if (poll(&end, 1, 20000) != 1 || recv(fd, &byte, 1, 0) > 0)
        _exit(7);
    close(fd);
}

static int false_listener = -1;

static void answer_with_another_version(void) {
    struct message_hello hello;
    const int fd = accept_session(false_listener, &hello);
    struct message_error answer = {.header = hello.header};
    answer.header.type = MESSAGE_ERROR;
    answer.header.bytes = sizeof(answer);
    answer.header.abi++;
    send_with(fd, &answer, sizeof(answer), -1, 0);
    expect_hang_up(fd);
}

START_TEST(a_supervisor_of_another_version_is_refused) {
    false_listener = listen_falsely();
    const pid_t pid = world_fork(answer_with_another_version);
    struct shmframe_session *session;
    expect_error(open_falsely(world_deadline(), &session), -EPROTONOSUPPORT, "version");
    world_join(pid);
    stop_listening(false_listener);
}
END_TEST

static void answer_with_garbage(void) {
    struct message_hello hello;
    const int fd = accept_session(false_listener, &hello);
    send_with(fd, "what is not a message of any kind", 33, -1, 0);
    expect_hang_up(fd);
}

static int make_notice(bool is_sealed) {
    const int fd = memfd_create("notice", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, NOTICE_BYTES) < 0 ||
        (is_sealed && fcntl(fd, F_ADD_SEALS,
                            F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0))
        _exit(8);
    return fd;
}

static struct message_welcome make_welcome(const struct message_hello *hello) {
    struct message_welcome welcome = {
        .header = hello->header, .entries = NOTICE_ENTRIES, .pid = getpid()};
    welcome.header.type = MESSAGE_WELCOME;
    welcome.header.bytes = sizeof(welcome);
    return welcome;
}

static void welcome_to_another_page(void) {
    struct message_hello hello;
    const int fd = accept_session(false_listener, &hello);
    struct message_welcome welcome = make_welcome(&hello);
    welcome.entries++;
    send_with(fd, &welcome, sizeof(welcome), make_notice(true), 1);
    expect_hang_up(fd);
}

static void answer_before_welcome(void) {
    struct message_hello hello;
    const int fd = accept_session(false_listener, &hello);
    struct message_reader_ok answer = {.header = hello.header, .reader = 1, .number = 1};
    answer.header.type = MESSAGE_READER_OK;
    answer.header.bytes = sizeof(answer);
    send_with(fd, &answer, sizeof(answer), -1, 0);
    expect_hang_up(fd);
}

static const struct {
    void (*answer)(void);
    const char *told;
} strange[] = {
    {answer_with_garbage, "message"},
    {welcome_to_another_page, "entries"},
    {answer_before_welcome, "before WELCOME"},
};

START_TEST(a_socket_that_speaks_something_else_is_refused) {
    false_listener = listen_falsely();
    const pid_t pid = world_fork(strange[_i].answer);
    struct shmframe_session *session;
    expect_error(open_falsely(world_deadline(), &session), -EPROTO, strange[_i].told);
    world_join(pid);
    stop_listening(false_listener);
}
END_TEST

static void welcome_without_seals(void) {
    struct message_hello hello;
    const int fd = accept_session(false_listener, &hello);
    const struct message_welcome welcome = make_welcome(&hello);
    send_with(fd, &welcome, sizeof(welcome), make_notice(false), 1);
    expect_hang_up(fd);
}

START_TEST(a_notice_page_that_could_shrink_is_refused) {
    false_listener = listen_falsely();
    const pid_t pid = world_fork(welcome_without_seals);
    struct shmframe_session *session;
    expect_error(open_falsely(world_deadline(), &session), -EPROTO, "seals");
    world_join(pid);
    stop_listening(false_listener);
}
END_TEST

enum garbage {
    SHORT,
    LONG,
    OTHER_MARK,
    OTHER_VERSION,
    UNKNOWN_TYPE,
    WRONG_SIZE,
    FROM_A_SESSION,
    A_SECOND_WELCOME,
    TOO_MANY_DESCRIPTORS,
    DESCRIPTORS_OF_NOTHING,
    TEXT_WITHOUT_END,
    GARBAGE_KINDS,
};
static enum garbage garbage_kind;
static _Atomic unsigned *visits; /* shared with the false supervisor: those that said HELLO */

static void send_garbage(int fd, const struct message_hello *hello) {
    static union {
        union message message;
        char bytes[2 * sizeof(union message)];
    } out;
    const int notice = make_notice(true);
    out.message.error.header = hello->header;
    out.message.header.type = MESSAGE_ERROR;
    size_t bytes = out.message.header.bytes = sizeof(struct message_error);
    unsigned passed = 0;
    switch (garbage_kind) {
    case SHORT:
        bytes = sizeof(struct message_header) - 1;
        break;
    case LONG:
        bytes = sizeof(out);
        break;
    case OTHER_MARK:
        out.message.header.magic ^= 1;
        break;
    case OTHER_VERSION:
        out.message.header.abi++;
        break;
    case UNKNOWN_TYPE:
        out.message.header.type = MESSAGE_TYPES;
        break;
    case WRONG_SIZE:
        bytes++;
        break;
    case FROM_A_SESSION:
        out.message.hello = *hello;
        bytes = sizeof(*hello);
        break;
    case A_SECOND_WELCOME:
        out.message.welcome = make_welcome(hello);
        bytes = sizeof(struct message_welcome);
        passed = 1;
        break;
    case TOO_MANY_DESCRIPTORS:
        passed = 8;
        break;
    case DESCRIPTORS_OF_NOTHING:
        passed = 1;
        break;
    case TEXT_WITHOUT_END:
        memset(out.message.error.text, 'x', sizeof(out.message.error.text));
        break;
    case GARBAGE_KINDS:
        break;
    }
    send_with(fd, &out, bytes, notice, passed);
    close(notice);
}

/* Welcomes and sends garbage; behaves when the session comes again. */
static void welcome_and_then_send_garbage(void) {
    struct message_hello hello;
    for (unsigned visit = 0; visit < 2; visit++) {
        const int fd = accept_session(false_listener, &hello);
        atomic_store(visits, visit + 1);
        const struct message_welcome welcome = make_welcome(&hello);
        const int notice = make_notice(true);
        send_with(fd, &welcome, sizeof(welcome), notice, 1);
        close(notice);
        if (visit == 0)
            send_garbage(fd, &hello);
        expect_hang_up(fd);
    }
}

START_TEST(garbage_ends_the_connection_and_the_session_comes_back) {
    garbage_kind = (enum garbage)_i;
    visits = mmap(NULL, sizeof(*visits), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne((void *)visits, MAP_FAILED);
    false_listener = listen_falsely();
    const pid_t pid = world_fork(welcome_and_then_send_garbage);
    struct shmframe_session *session;
    const int code = open_falsely(world_deadline(), &session);
    ck_assert_msg(code == 0, "no session: %s", shmframe_last_error());
    /* Either the open has met the garbage already, and has come back, or dispatch does it. */
    while (atomic_load(visits) < 2 || !shmframe_session_is_connected(session)) {
        world_expect_readable(shmframe_session_fd(session));
        ck_assert_int_eq(shmframe_session_dispatch(session), 0);
    }
    ck_assert_int_eq(shmframe_session_dispatch(session), 0);
    ck_assert(shmframe_session_is_connected(session));
    shmframe_session_close(session);
    world_join(pid);
    munmap((void *)visits, sizeof(*visits));
    stop_listening(false_listener);
}
END_TEST

static void answer_a_question_with_garbage(void) {
    struct message_hello hello;
    const int fd = accept_session(false_listener, &hello);
    const struct message_welcome welcome = make_welcome(&hello);
    const int notice = make_notice(true);
    send_with(fd, &welcome, sizeof(welcome), notice, 1);
    close(notice);
    struct pollfd question = {.fd = fd, .events = POLLIN};
    union message message;
    if (poll(&question, 1, 20000) != 1 || recv(fd, &message, sizeof(message), 0) <= 0)
        _exit(9);
    send_garbage(fd, &hello);
    expect_hang_up(fd);
}

static const struct {
    enum garbage kind;
    const char *told;
} told_garbage[] = {
    {A_SECOND_WELCOME, "WELCOME came twice"},
    {FROM_A_SESSION, "not for a supervisor to send"},
    {LONG, "longer than any may be"},
};

START_TEST(who_asks_hears_why_the_connection_was_ended) {
    garbage_kind = told_garbage[_i].kind;
    false_listener = listen_falsely();
    const pid_t pid = world_fork(answer_a_question_with_garbage);
    struct shmframe_session *session;
    ck_assert_int_eq(open_falsely(world_deadline(), &session), 0);
    struct shmframe_answer answer;
    expect_error(shmframe_session_request(session, "s", "verb", NULL, world_deadline(), &answer),
                 -EPROTO, told_garbage[_i].told);
    shmframe_session_close(session);
    world_join(pid);
    stop_listening(false_listener);
}
END_TEST

/* ---- paths ---- */

static int open_at(const char *path) {
    struct shmframe_session *session;
    return shmframe_session_open(&(struct shmframe_session_params){.socket = path}, &session);
}

START_TEST(a_path_that_cannot_be_one_is_refused) {
    char path[200];
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    expect_error(open_at(path), -EINVAL, "107 bytes");
    path[108] = '\0';
    expect_error(open_at(path), -EINVAL, "107 bytes");
    path[107] = '\0';
    expect_error(open_at(path), -ENOTCONN, path);
}
END_TEST

START_TEST(a_path_without_a_supervisor_is_named) {
    expect_error(open_at("/nowhere/at/all"), -ENOTCONN, "/nowhere/at/all");
    char path[128];
    snprintf(path, sizeof(path), "%s/left", world.folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    expect_error(open_at(path), -ENOTCONN, path); /* nobody listens */
    close(fd);
    unlink(path);
    const int64_t deadline_ns = shmframe_deadline_ns(30000000);
    struct shmframe_session *session;
    expect_error(shmframe_session_open(
                     &(struct shmframe_session_params){.socket = path, .deadline_ns = deadline_ns},
                     &session),
                 -ENOTCONN, path);
    ck_assert_int_ge(shmframe_now_ns(), deadline_ns);
}
END_TEST

START_TEST(a_supervisor_that_does_not_answer_is_named) {
    const int listener = listen_falsely();
    struct shmframe_session *session;
    const int64_t offset_ns = _i * INT64_C(5300000000);
    expect_error(open_falsely(_i ? shmframe_deadline_ns(offset_ns) : 0, &session), -ETIMEDOUT,
                 false_path);
    stop_listening(listener);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("limits");
    TCase *tests = tcase_create("limits");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, a_session_without_descriptors_is_refused_and_leaves_none);
    tcase_add_test(tests, a_writer_without_descriptors_is_refused_and_leaves_none);
    tcase_add_test(tests, a_reader_without_descriptors_is_refused_and_leaves_none);
    tcase_add_test(tests,
                   a_reader_without_descriptors_for_the_next_ring_gets_there_once_it_has_some);
    tcase_add_test(tests, a_ring_beyond_the_address_space_is_refused_at_open);
    tcase_add_test(tests, a_ring_beyond_the_largest_file_is_refused_at_open);
    tcase_add_test(tests, a_format_without_memory_is_refused_and_the_stream_goes_on_in_the_old_one);
    if (geteuid() == 0) { /* nobody else can become another user */
        tcase_add_test(tests, a_stranger_is_refused_by_the_folder_and_by_the_supervisor);
        tcase_add_test(tests, a_writer_that_the_next_supervisor_refuses_goes_on_in_the_old_format);
        tcase_add_test(tests, a_stranger_who_is_allowed_reads_and_writes);
    }
    tcase_add_test(tests, a_supervisor_of_another_version_is_refused);
    tcase_add_loop_test(tests, a_socket_that_speaks_something_else_is_refused, 0,
                        (int)(sizeof(strange) / sizeof(strange[0])));
    tcase_add_test(tests, a_notice_page_that_could_shrink_is_refused);
    tcase_add_loop_test(tests, garbage_ends_the_connection_and_the_session_comes_back, 0,
                        GARBAGE_KINDS);
    tcase_add_loop_test(tests, who_asks_hears_why_the_connection_was_ended, 0,
                        sizeof(told_garbage) / sizeof(told_garbage[0]));
    tcase_add_test(tests, a_path_that_cannot_be_one_is_refused);
    tcase_add_test(tests, a_path_without_a_supervisor_is_named);
    tcase_add_loop_test(tests, a_supervisor_that_does_not_answer_is_named, 0, 2);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
