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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../built.h"
#include "../region/descriptors.h"

enum { READER_COOKIE = 3 };

/* ---- the supervisor ---- */

/* A short pause between two looks at something that no descriptor tells of. */
static void pause_before_looking_again(int64_t deadline_ns, const char *what) {
    ck_assert_msg(shmframe_now_ns() < deadline_ns, "%s did not happen in time", what);
    poll(NULL, 0, 2);
}

static int64_t deadline(void) {
    return shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
}

pid_t fork_bound(void) {
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return pid;
}

void supervisor_prepare(struct supervisor *supervisor) {
    *supervisor = (struct supervisor){.pid = -1, .is_traceable = true};
    built_supervisor("server/shmframed"); /* before there is a folder for it */
    strcpy(supervisor->folder, "/tmp/shmframed-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(supervisor->folder));
    snprintf(supervisor->socket, sizeof(supervisor->socket), "%s/socket", supervisor->folder);
}

void supervisor_start(struct supervisor *supervisor) {
    int ready[2];
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    const char *path = built_supervisor("server/shmframed");
    supervisor->pid = fork_bound();
    ck_assert_int_ge(supervisor->pid, 0);
    if (supervisor->pid == 0) {
        char number[16];
        int fd = fcntl(ready[1], F_DUPFD, 100);
        snprintf(number, sizeof(number), "%d", fd);
        if (!getenv("SHMFRAMED_LOG")) {
            int null = open("/dev/null", O_WRONLY);
            dup2(null, STDERR_FILENO);
            close(null);
        }
        const struct rlimit limit = {supervisor->fds_limit, supervisor->fds_limit};
        if (supervisor->fds_limit && setrlimit(RLIMIT_NOFILE, &limit) < 0)
            _exit(1);
        const char *arguments[24] = {"shmframed",  "--socket", supervisor->socket,
                                     "--ready-fd", number,     "--verbose"};
        unsigned count = 6;
        if (supervisor->is_traceable && geteuid() != 0) /* its descriptors are counted */
            arguments[count++] = "--traceable";
        for (unsigned i = 0; supervisor->option[i]; i++)
            arguments[count++] = supervisor->option[i];
        if (supervisor->allow_uid[0]) {
            arguments[count++] = "--allow-uid";
            arguments[count++] = supervisor->allow_uid;
        }
        execv(path, (char *const *)arguments);
        _exit(127);
    }
    close(ready[1]);
    struct pollfd poll_ready = {.fd = ready[0], .events = POLLIN};
    ck_assert_int_eq(poll(&poll_ready, 1, DEADLINE_MS), 1);
    char byte = 0;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(byte, '\n');
    ck_assert_int_eq(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    supervisor->fds = descriptors_count(supervisor->pid);
}

static int wait_for_end(pid_t pid) {
    int status = 0;
    const int64_t until_ns = deadline();
    while (waitpid(pid, &status, WNOHANG) == 0)
        pause_before_looking_again(until_ns, "the end of a process");
    return status;
}

void supervisor_stop(struct supervisor *supervisor) {
    kill(supervisor->pid, SIGTERM);
    supervisor_expect_end(supervisor);
}

void supervisor_expect_end(struct supervisor *supervisor) {
    const int status = wait_for_end(supervisor->pid);
    supervisor->pid = -1;
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the supervisor ended with 0x%x",
                  (unsigned)status);
    ck_assert_int_eq(access(supervisor->socket, F_OK), -1);
}

void supervisor_kill(struct supervisor *supervisor) {
    kill(supervisor->pid, SIGKILL);
    wait_for_end(supervisor->pid);
    supervisor->pid = -1;
}

void supervisor_clean(struct supervisor *supervisor) {
    static const char *const names[] = {"socket", "socket.lock", "socket.names", "socket.names.new",
                                        "socket.journal"};
    if (supervisor->pid > 0)
        supervisor_stop(supervisor);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", supervisor->folder, names[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(supervisor->folder), 0);
}

void supervisor_expect_fds_back(const struct supervisor *supervisor) {
    const int64_t until_ns = deadline();
    /* Fewer is possible: it may have been reading a file when it was counted. */
    while (descriptors_count(supervisor->pid) > supervisor->fds) {
        ck_assert_msg(shmframe_now_ns() < until_ns, "the supervisor has %d descriptors, it had %d",
                      descriptors_count(supervisor->pid), supervisor->fds);
        poll(NULL, 0, 2);
    }
}

int supervisor_run(const char *const arguments[], char *out_text, size_t text_bytes) {
    int text[2];
    ck_assert_int_eq(pipe2(text, O_CLOEXEC), 0);
    const char *path = built_supervisor("server/shmframed");
    pid_t pid = fork_bound();
    if (pid == 0) {
        dup2(text[1], STDERR_FILENO);
        execv(path, (char *const *)arguments);
        _exit(127);
    }
    close(text[1]);
    const int status = wait_for_end(pid);
    ssize_t length = read(text[0], out_text, text_bytes - 1);
    out_text[length > 0 ? length : 0] = '\0';
    close(text[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- peers ---- */

int peer_connect(const struct supervisor *supervisor) {
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, supervisor->socket);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

int peer_connect_as(const struct supervisor *supervisor, const struct peer_user *user) {
    gid_t groups[64];
    const int count = getgroups(64, groups);
    ck_assert_int_ge(count, 0);
    ck_assert_int_eq(setgroups(user->groups, user->group), 0);
    ck_assert_int_eq(setegid(user->gid), 0);
    ck_assert_int_eq(seteuid(user->uid), 0);
    const int fd = peer_connect(supervisor);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(setegid(0), 0);
    ck_assert_int_eq(setgroups((size_t)count, groups), 0);
    return fd;
}

static void say_hello(struct peer *peer, const char *name) {
    peer_send_hello(peer, name);
    peer_expect_welcome(peer);
}

void peer_open_as(struct peer *peer, const struct supervisor *supervisor,
                  const struct peer_user *user) {
    *peer = (struct peer){.socket = peer_connect_as(supervisor, user)};
    say_hello(peer, "somebody else");
}

void peer_open(struct peer *peer, const struct supervisor *supervisor, const char *name) {
    *peer = (struct peer){.socket = peer_connect(supervisor)};
    say_hello(peer, name);
}

void peer_send_hello(struct peer *peer, const char *name) {
    union message message;
    message_init(&message, MESSAGE_HELLO, 1);
    message_put_text(message.hello.name, sizeof(message.hello.name), name);
    message.hello.now_ns = shmframe_now_ns();
    peer_send(peer, &message, NULL);
}

void peer_expect_welcome(struct peer *peer) {
    struct channel_mail mail;
    peer_expect(peer, MESSAGE_WELCOME, &mail);
    ck_assert_uint_eq(mail.message.welcome.entries, NOTICE_ENTRIES);
    ck_assert_int_eq(region_check(mail.fd[0], REGION_SEALED, NOTICE_BYTES, NULL), 0);
    ck_assert_int_eq(region_map(mail.fd[0], NOTICE_BYTES, &peer->notice), 0);
    channel_close_fds(&mail);
    peer->page = peer->notice.base;
}

void peer_vanish(struct peer *peer) {
    if (peer->socket >= 0)
        close(peer->socket);
    region_unmap(&peer->notice);
    *peer = (struct peer){.socket = -1};
}

void peer_close(struct peer *peer) {
    union message message;
    for (unsigned i = 0; i < peer->writers && peer->socket >= 0; i++) {
        message_init(&message, MESSAGE_CLOSE_WRITER, 0);
        message.close_writer.writer = peer->writer[i];
        channel_send(peer->socket, &message, NULL);
    }
    for (unsigned i = 0; i < peer->readers && peer->socket >= 0; i++) {
        message_init(&message, MESSAGE_CLOSE_READER, 0);
        message.close_reader.reader = peer->reader[i];
        channel_send(peer->socket, &message, NULL);
    }
    peer_vanish(peer);
}

void peer_send(struct peer *peer, const union message *message, const int *fds) {
    ck_assert_int_eq(channel_send(peer->socket, message, fds), 0);
}

static void wait_for_mail(const struct peer *peer, const char *what) {
    struct pollfd poll_socket = {.fd = peer->socket, .events = POLLIN};
    ck_assert_msg(poll(&poll_socket, 1, DEADLINE_MS) == 1, "%s did not come in time", what);
}

/* That a reader's entry has changed, as the page itself tells the tests; or what is sent only to
 * see that it is read. */
static bool is_notice(const union message *message, enum message_type expected) {
    const uint32_t cookie = message->header.cookie;
    return message->header.type == MESSAGE_DONE &&
           (cookie == 0 || (cookie == READER_COOKIE && expected != MESSAGE_DONE));
}

void peer_expect(struct peer *peer, enum message_type type, struct channel_mail *out_mail) {
    int code;
    do {
        wait_for_mail(peer, message_name(type));
        code = channel_receive(peer->socket, out_mail);
    } while (code == 0 && is_notice(&out_mail->message, type));
    ck_assert_msg(code == 0, "instead of %s: %s", message_name(type), shmframe_last_error());
    const unsigned came = out_mail->message.header.type;
    ck_assert_msg(came == type, "%s came instead of %s: %s", message_name(came), message_name(type),
                  came == MESSAGE_ERROR ? out_mail->message.error.text : "");
}

const char *peer_expect_error(struct peer *peer, int code) {
    static struct channel_mail mail;
    peer_expect(peer, MESSAGE_ERROR, &mail);
    ck_assert_msg(mail.message.error.code == code, "ERROR %d came instead of %d: %s",
                  mail.message.error.code, code, mail.message.error.text);
    ck_assert_str_ne(mail.message.error.text, "");
    return mail.message.error.text;
}

void peer_expect_end(struct peer *peer) {
    wait_for_mail(peer, "the end of the connection");
    struct channel_mail mail;
    ck_assert_int_eq(channel_receive(peer->socket, &mail), -EPIPE);
}

void peer_expect_silence(struct peer *peer) {
    union message message;
    message_init(&message, MESSAGE_LIST_READERS, 4711);
    strcpy(message.list.stream, "there-is-no-such");
    peer_send(peer, &message, NULL);
    peer_expect_error(peer, -ENOENT);
}

uint64_t peer_entry(const struct peer *peer, uint32_t entry) {
    /* G: the page's word is read first, as a loan does. */
    atomic_load_explicit(&((struct notice_page *)peer->page)->word, memory_order_acquire);
    return atomic_load_explicit(&((struct notice_page *)peer->page)->entry[entry].word,
                                memory_order_relaxed);
}

void peer_expect_state(const struct peer *peer, uint32_t entry, enum entry_state state) {
    const int64_t until_ns = deadline();
    while ((peer_entry(peer, entry) & 3) != (uint64_t)state)
        pause_before_looking_again(until_ns, "a change of an entry");
}

void peer_read_until(struct peer *peer, int64_t until_ns) {
    struct pollfd polled = {.fd = peer->socket, .events = POLLIN};
    struct channel_mail mail;
    int64_t left_ns;
    while ((left_ns = until_ns - shmframe_now_ns()) > 0)
        if (poll(&polled, 1, (int)(left_ns / 1000000) + 1) == 1 &&
            channel_receive(peer->socket, &mail) == 0)
            channel_close_fds(&mail);
}

void peer_expect_gone_link(const struct peer *writer, uint32_t entry, struct peer *back) {
    const int64_t until_ns = shmframe_deadline_ns(2 * DEADLINE_MS * INT64_C(1000000));
    while ((peer_entry(writer, entry) & 3) != ENTRY_GONE) {
        ck_assert_msg(shmframe_now_ns() < until_ns, "the link did not end in time");
        peer_read_until(back, shmframe_deadline_ns(INT64_C(20000000)));
    }
}

void peer_expect_gone(const struct peer *peer, uint32_t entry, uint32_t generation) {
    const int64_t until_ns = deadline();
    while (reader_word_gone(peer_entry(peer, entry)) < generation)
        pause_before_looking_again(until_ns, "the news of a writer's end");
}

/* ---- rings and links ---- */

void ring_make(struct test_ring *ring, const char *stream, uint32_t slots) {
    struct ring_geometry geometry = {.group = "tests"};
    struct shmframe_format format;
    message_put_text(geometry.stream, sizeof(geometry.stream), stream);
    ck_assert_int_eq(shmframe_format_data(&format, "test", 64), 0);
    ck_assert_int_eq(layout_plan(&geometry, &format, sizeof(struct ring) + slots * PAGE_BYTES, 1),
                     0);
    ck_assert_uint_eq(geometry.slots, slots);
    ck_assert_int_eq(region_create("test-ring", geometry.ring_bytes, &ring->region, &ring->fd), 0);
    ring->memory = ring->region.base;
    ring->memory->geometry = geometry;
    ck_assert_int_eq(region_seal(ring->fd, REGION_SEALED), 0);
}

void ring_drop(struct test_ring *ring) {
    region_unmap(&ring->region);
    close(ring->fd);
}

void link_make(int out_fds[3]) {
    struct region region;
    int pair[2];
    ck_assert_int_eq(region_create("test-lease", LINK_PAGE_BYTES, &region, &out_fds[0]), 0);
    region_unmap(&region);
    ck_assert_int_eq(region_seal(out_fds[0], REGION_LEASE), 0);
    ck_assert_int_eq(region_create("test-bell", LINK_PAGE_BYTES, &region, &out_fds[1]), 0);
    region_unmap(&region);
    ck_assert_int_eq(region_seal(out_fds[1], REGION_SEALED), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    close(pair[1]);
    out_fds[2] = pair[0];
}

void link_drop(int fds[3]) {
    for (unsigned i = 0; i < 3; i++)
        close(fds[i]);
}

void peer_send_offer(struct peer *peer, uint32_t writer, uint32_t generation, uint32_t entry,
                     uint32_t serial) {
    union message message;
    message_init(&message, MESSAGE_OFFER_LINK, 0);
    message.offer_link.writer = writer;
    message.offer_link.generation = generation;
    message.offer_link.entry = entry;
    message.offer_link.serial = serial;
    int fds[3];
    link_make(fds);
    peer_send(peer, &message, fds);
    link_drop(fds);
}

static void remember(uint32_t *numbers, unsigned *count, uint32_t number) {
    for (unsigned i = 0; i < *count; i++)
        if (numbers[i] == number)
            return;
    ck_assert_uint_lt(*count, PEER_THINGS);
    numbers[(*count)++] = number;
}

void peer_send_ring(struct peer *peer, const struct test_ring *ring, const char *stream,
                    const struct ring_options *options) {
    union message message;
    message_init(&message, MESSAGE_OPEN_RING, 2);
    message_put_text(message.open_ring.stream, sizeof(message.open_ring.stream), stream);
    message.open_ring.writer = options->writer;
    message.open_ring.generation = options->generation;
    message.open_ring.flags = options->flags;
    message.open_ring.loans = options->loans ? options->loans : 1;
    message.open_ring.history = options->history ? options->history : 1;
    message.open_ring.links = options->links;
    message.open_ring.held = options->held;
    message.open_ring.sequence = options->sequence;
    peer_send(peer, &message, &ring->fd);
    remember(peer->writer, &peer->writers, options->writer);
    if (options->held) /* the caller sends these first */
        return;
    for (uint32_t i = 0; i < options->links; i++)
        peer_send_offer(peer, options->writer, options->generation, options->first_entry + i,
                        100 + options->first_entry + i);
}

uint32_t peer_open_ring(struct peer *peer, const struct test_ring *ring, const char *stream,
                        const struct ring_options *options) {
    peer_send_ring(peer, ring, stream, options);
    struct channel_mail mail;
    peer_expect(peer, MESSAGE_OPENED, &mail);
    ck_assert_uint_eq(mail.message.header.cookie, 2);
    ck_assert_uint_eq(mail.message.opened.writer, options->writer);
    const uint32_t generation = mail.message.opened.generation;
    if (options->links < 2) {
        peer_expect(peer, MESSAGE_WANT_LINKS, &mail);
        ck_assert_uint_eq(mail.message.want_links.links, 2 - options->links);
        ck_assert_uint_eq(mail.message.want_links.generation, generation);
    }
    return generation;
}

/* ---- readers ---- */

void peer_send_reader(struct peer *peer, const char *stream, const struct reader_options *options) {
    struct region region;
    int fd = options->record;
    if (fd == 0) {
        ck_assert_int_eq(region_create("test-record", RECORD_BYTES, &region, &fd), 0);
        region_unmap(&region);
        ck_assert_int_eq(region_seal(fd, REGION_SEALED), 0);
    }
    union message message;
    message_init(&message, MESSAGE_OPEN_READER, READER_COOKIE);
    message_put_text(message.open_reader.stream, sizeof(message.open_reader.stream), stream);
    message_put_text(message.open_reader.name, sizeof(message.open_reader.name), "test-reader");
    message.open_reader.reader = options->reader;
    message.open_reader.policy = options->policy;
    message.open_reader.depth = options->depth ? options->depth : 1;
    message.open_reader.leases = options->leases ? options->leases : 1;
    message.open_reader.flags = options->flags;
    message.open_reader.generation = options->generation;
    message.open_reader.entry = options->entry;
    message.open_reader.serial = options->serial;
    message.open_reader.head = options->head;
    peer_send(peer, &message, &fd);
    if (options->record == 0)
        close(fd);
    remember(peer->reader, &peer->readers, options->reader);
}

uint32_t peer_open_reader(struct peer *peer, const char *stream,
                          const struct reader_options *options) {
    peer_send_reader(peer, stream, options);
    struct channel_mail mail;
    peer_expect(peer, MESSAGE_READER_OK, &mail);
    ck_assert_uint_eq(mail.message.header.cookie, READER_COOKIE);
    ck_assert_uint_eq(mail.message.reader_ok.reader, options->reader);
    return mail.message.reader_ok.number;
}

struct message_link peer_expect_link(struct peer *peer) {
    struct channel_mail mail;
    peer_expect(peer, MESSAGE_LINK, &mail);
    ck_assert_uint_eq(mail.fds, 4);
    ck_assert_int_eq(region_check(mail.fd[0], REGION_SEALED, 0, NULL), 0);
    ck_assert_int_eq(region_check(mail.fd[1], REGION_LEASE, LINK_PAGE_BYTES, NULL), 0);
    ck_assert_int_eq(region_check(mail.fd[2], REGION_SEALED, LINK_PAGE_BYTES, NULL), 0);
    struct stat info;
    ck_assert_int_eq(fstat(mail.fd[3], &info), 0);
    ck_assert(S_ISSOCK(info.st_mode));
    channel_close_fds(&mail);
    return mail.message.link;
}

int64_t start_time_of(pid_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
    fclose(file);
    long long start_time = 0;
    ck_assert_int_eq(sscanf(strrchr(text, ')'),
                            ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                            "%*d %*d %lld",
                            &start_time),
                     1);
    return start_time;
}
