/* What another process gets, it cannot change: every descriptor that the supervisor hands out,
 * tried as another user, as the one who made it, and as root.
 *
 * The stream is written by the library, in a process of its own user.
 */
#include "peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITER = 12341, READER = 12342 };

static struct supervisor supervisor;

static void begin(void) {
    supervisor_prepare(&supervisor);
    if (geteuid() == 0) {
        ck_assert_int_eq(rmdir(supervisor.folder), 0);
        supervisor.option[0] = "--reach";
        supervisor.option[1] = "all";
        supervisor.option[2] = "--allow-uid=12341";
    }
    supervisor_start(&supervisor);
}

static void end(void) {
    supervisor_clean(&supervisor);
}

/* For good, as a process of that user; 0: stays what it is. Never what could follow by a ptrace. */
static void become(uid_t uid) {
    if (uid != 0 &&
        (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
        _exit(90);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* ---- the writer: a process that publishes one frame and stays ---- */

_Noreturn static void write_stream(uid_t uid, int told) {
    become(uid);
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    struct shmframe_loan loan;
    const struct shmframe_session_params params = {.name = "writer", .socket = supervisor.socket};
    struct shmframe_writer_params stream = {.stream = "cam", .allow = "user 12342"};
    shmframe_format_data(&stream.format, "test", 64);
    if (shmframe_session_open(&params, &session) < 0 ||
        shmframe_writer_open(session, &stream, &writer) < 0 ||
        shmframe_writer_loan(writer, shmframe_deadline_ns(1000000000), &loan) < 0)
        _exit(91);
    memset(loan.data, 42, 64);
    if (shmframe_writer_publish(writer, &loan) < 0 || write(told, "x", 1) != 1)
        _exit(92);
    for (;;)
        if (poll(&(struct pollfd){.fd = shmframe_session_fd(session), .events = POLLIN}, 1, 1000) >=
            0)
            shmframe_session_dispatch(session);
}

static pid_t start_writer(uid_t uid) {
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    const pid_t pid = fork_bound();
    if (pid == 0)
        write_stream(uid, ends[1]);
    ck_assert_int_eq(poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, DEADLINE_MS), 1);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

/* ---- the attacks; each exits with a number of its own where one succeeds ---- */

#define MUST(number, what)                                                                         \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s: %s, errno %d\n", name, #what, errno);                             \
            _exit(number);                                                                         \
        }                                                                                          \
    } while (0)

static void try_to_map(const char *name, int fd, size_t bytes) {
    MUST(1, mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    MUST(2, mmap(NULL, bytes, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    void *base = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    MUST(3, base != MAP_FAILED);
    MUST(4, mprotect(base, bytes, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
    MUST(5, madvise(base, bytes, MADV_REMOVE) < 0);
    /* A copy of one's own is no harm. */
    volatile char *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    MUST(6, copy != MAP_FAILED);
    const char before = *(volatile char *)base;
    *copy = (char)(before + 1);
    MUST(7, *(volatile char *)base == before);
}

static void try_to_change(const char *name, int fd, size_t bytes) {
    const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    MUST(10, pwrite(fd, "x", 1, 0) < 0);
    MUST(11, ftruncate(fd, 0) < 0);
    MUST(12, ftruncate(fd, (off_t)bytes * 2) < 0);
    MUST(13, fallocate(fd, punch, 0, 4096) < 0);
    MUST(14, fallocate(fd, 0, (off_t)bytes, 4096) < 0);
    MUST(15, fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096) < 0);
    MUST(16, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 && errno == EPERM);
    MUST(17, fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0 && errno == EPERM);
}

/* `is_others`: who tries has not made it, and is not root. */
static void try_to_reopen(const char *name, int fd, size_t bytes, bool is_others) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (is_others) {
        MUST(20, open(path, O_RDWR | O_CLOEXEC) < 0 && errno == EACCES);
        MUST(21, fchmod(fd, 0666) < 0 && errno == EPERM);
        MUST(22, fchown(fd, getuid(), getgid()) < 0 && errno == EPERM);
    } else {
        fchmod(fd, 0666); /* its maker may, in vain */
        const int again = open(path, O_RDWR | O_CLOEXEC);
        MUST(23, again >= 0);
        try_to_map(name, again, bytes);
        try_to_change(name, again, bytes);
        close(again);
    }
}

static void attack(const char *name, int fd, bool is_others) {
    struct stat info;
    MUST(30, fstat(fd, &info) == 0 && (info.st_mode & 0777) == 0400);
    const size_t bytes = (size_t)info.st_size;
    try_to_map(name, fd, bytes);
    try_to_change(name, fd, bytes);
    try_to_reopen(name, fd, bytes, is_others);
}

/* The one page that its reader does write: once he has it mapped, he is the last. */
static void attack_lease(const char *name, int fd) {
    struct region region;
    MUST(40, ftruncate(fd, 0) < 0 && errno == EPERM);
    MUST(41, ftruncate(fd, 2 * LINK_PAGE_BYTES) < 0 && errno == EPERM);
    MUST(42, region_map_lease(fd, LINK_PAGE_BYTES, &region) == 0);
    MUST(43, mmap(NULL, LINK_PAGE_BYTES, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    MUST(44, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
    MUST(45, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0);
}

/* Its other end is the writer's: it cannot be used for more than to be woken. */
static void attack_wake(const char *name, int fd) {
    int flags = 0;
    socklen_t length = sizeof(flags);
    MUST(50, getsockopt(fd, SOL_SOCKET, SO_TYPE, &flags, &length) == 0 && flags == SOCK_SEQPACKET);
    MUST(51, listen(fd, 1) < 0);
}

/* ---- the reader ---- */

static void receive(const char *name, int socket, enum message_type type,
                    struct channel_mail *out_mail) {
    MUST(60, poll(&(struct pollfd){.fd = socket, .events = POLLIN}, 1, DEADLINE_MS) == 1);
    MUST(61, channel_receive(socket, out_mail) == 0);
    if (out_mail->message.header.type == MESSAGE_ERROR)
        fprintf(stderr, "%s\n", out_mail->message.error.text);
    MUST(62, out_mail->message.header.type == type);
}

static void ask_for_link(const char *name, int socket, int record) {
    union message message;
    message_init(&message, MESSAGE_OPEN_READER, 2);
    strcpy(message.open_reader.stream, "cam");
    message.open_reader.depth = message.open_reader.leases = 1;
    MUST(63, channel_send(socket, &message, &record) == 0);
}

_Noreturn static void read_and_attack(uid_t uid, bool is_others) {
    static const char *const names[] = {"ring", "lease", "bell", "wake"};
    const char *name = "reader";
    struct channel_mail mail;
    struct region record;
    int record_fd;
    become(uid);
    const int socket = peer_connect(&supervisor);
    union message message;
    message_init(&message, MESSAGE_HELLO, 1);
    message.hello.now_ns = shmframe_now_ns();
    MUST(64, channel_send(socket, &message, NULL) == 0);
    receive(name, socket, MESSAGE_WELCOME, &mail);
    /* Its maker, the supervisor, is root or the one who runs all of this. */
    attack("notice", mail.fd[0], geteuid() != 0 && uid != 0);
    MUST(65, region_create_page("record", RECORD_BYTES, REGION_SEALED, &record, &record_fd) == 0);
    ask_for_link(name, socket, record_fd);
    receive(name, socket, MESSAGE_READER_OK, &mail);
    receive(name, socket, MESSAGE_LINK, &mail);
    attack(names[0], mail.fd[0], is_others);
    attack_lease(names[1], mail.fd[1]);
    attack(names[2], mail.fd[2], is_others);
    attack_wake(names[3], mail.fd[3]);
    _exit(0);
}

static void expect_all_in_vain(uid_t writer_uid, uid_t reader_uid) {
    int status;
    const pid_t writer = start_writer(writer_uid);
    const pid_t reader = fork_bound();
    if (reader == 0)
        read_and_attack(reader_uid, reader_uid != 0 && reader_uid != writer_uid);
    ck_assert_int_eq(waitpid(reader, &status, 0), reader);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "user %d of %d: attack %d",
                  (int)reader_uid, (int)writer_uid,
                  WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    kill(writer, SIGKILL);
    ck_assert_int_eq(waitpid(writer, &status, 0), writer);
    ck_assert_msg(WIFSIGNALED(status), "the writer ended with %d", WEXITSTATUS(status));
}

START_TEST(another_user_can_change_nothing_that_he_is_given) {
    expect_all_in_vain(WRITER, READER);
}
END_TEST

START_TEST(the_writers_own_user_can_change_nothing_either) {
    if (geteuid() == 0)
        expect_all_in_vain(WRITER, WRITER);
    else
        expect_all_in_vain(0, 0); /* as we are */
}
END_TEST

START_TEST(not_even_root_can_by_what_he_is_given) {
    expect_all_in_vain(WRITER, 0);
}
END_TEST

int main(void) {
    const bool is_root = geteuid() == 0;
    TCase *cases = tcase_create("matrix");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    if (is_root) {
        tcase_add_test(cases, another_user_can_change_nothing_that_he_is_given);
        tcase_add_test(cases, not_even_root_can_by_what_he_is_given);
    } else {
        puts("only root can be several users: two of three tests are left out");
    }
    tcase_add_test(cases, the_writers_own_user_can_change_nothing_either);
    Suite *suite = suite_create("matrix");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
