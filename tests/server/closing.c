/* What is slow to close, or never is, is one user's trouble: others come, go and are served. */
#include "peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

enum { STRANGER_UID = 12345 };

static const struct peer_user root = {0}, stranger = {.uid = STRANGER_UID, .gid = STRANGER_UID};
static struct supervisor supervisor;
static char config[96]; /* of its nodes, if it has any */
/* The silent file system, see below: whether it is late, and how many questions it holds back. */
static bool is_late;
static atomic_uint *held_back;

static void begin(void) {
    is_late = false;
    supervisor_prepare(&supervisor);
}

static void end(void) {
    unlink(config);
    supervisor_clean(&supervisor);
}

static void open_to_stranger(void) {
    snprintf(supervisor.allow_uid, sizeof(supervisor.allow_uid), "%d", STRANGER_UID);
    supervisor_start(&supervisor);
    ck_assert_int_eq(chmod(supervisor.folder, 0711), 0);
    ck_assert_int_eq(chmod(supervisor.socket, 0666), 0);
}

/* Until SIGCONT. */
static void hold_supervisor(void) {
    int status;
    kill(supervisor.pid, SIGSTOP);
    ck_assert_int_eq(waitpid(supervisor.pid, &status, WUNTRACED), supervisor.pid);
}

static void send_command(struct peer *peer, const char *verb) {
    union message message;
    message_init(&message, MESSAGE_COMMAND, 9);
    strcpy(message.command.verb, verb);
    peer_send(peer, &message, NULL);
}

/* By a peer that has asked for it. */
static void expect_upgrade(struct peer *peer) {
    struct channel_mail mail;
    peer_expect(peer, MESSAGE_DONE, &mail);
    peer_expect_end(peer);
    peer_vanish(peer);
    peer_open(peer, &supervisor, "with the new one");
    peer_close(peer);
}

static void upgrade(void) {
    struct peer peer;
    peer_open(&peer, &supervisor, "asks for an upgrade");
    send_command(&peer, "upgrade");
    expect_upgrade(&peer);
}

/* ---- what is refused or ignored ---- */

static void expect_cut(struct peer *peer, const union message *message, const int *fds) {
    peer_send(peer, message, fds);
    peer_expect_error(peer, -EPROTO);
    peer_expect_end(peer);
    peer_vanish(peer);
}

START_TEST(what_is_ignored_or_refused_is_looked_at_all_the_same) {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fds[3] = {null, null, null};
    supervisor_start(&supervisor);
    struct peer peer;
    union message message;
    peer_open(&peer, &supervisor, "shows a ring of no reader");
    message_init(&message, MESSAGE_HELD_RING, 0);
    message.held_ring.reader = 7;
    message.held_ring.generation = 1;
    expect_cut(&peer, &message, fds);
    peer_open(&peer, &supervisor, "offers a link of no writer");
    message_init(&message, MESSAGE_OFFER_LINK, 0);
    message.offer_link.writer = 7;
    expect_cut(&peer, &message, fds);
    peer_open(&peer, &supervisor, "opens a ring without loans");
    message_init(&message, MESSAGE_OPEN_RING, 5);
    strcpy(message.open_ring.stream, "test");
    expect_cut(&peer, &message, fds);
    close(null);
    supervisor_expect_fds_back(&supervisor);
}
END_TEST

/* Then what is closed unread, as who sent it is turned away, has nothing in it that is slow to
 * close. */
START_TEST(who_is_not_welcome_yet_passes_nothing) {
    const int value = 0, null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const bool is_known = setsockopt(probe, SOL_SOCKET, SO_PASSRIGHTS, &value, sizeof(value)) == 0;
    close(probe);
    supervisor_start(&supervisor);
    struct peer peer = {.socket = peer_connect(&supervisor)};
    union message message;
    message_init(&message, MESSAGE_HELD_RING, 0);
    const int code = channel_send(peer.socket, &message, &null);
    if (is_known) /* Linux 6.16 */
        ck_assert_int_eq(code, -EPIPE);
    peer_vanish(&peer);
    peer_open(&peer, &supervisor, "welcome");
    message.held_ring.reader = 7;
    expect_cut(&peer, &message, &null);
    close(null);
    supervisor_expect_fds_back(&supervisor);
}
END_TEST

/* ---- what is slow to close ---- */

/* A socket that nobody accepts from, and where it is. -1: there is no network. */
static int listen_silently(struct sockaddr_in *out_address, int backlog) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    const int room = 4096;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, backlog) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0) {
        close(listener);
        return -1;
    }
    *out_address = address;
    return listener;
}

/* To a socket that nobody accepts from: full, so that a close of it would wait for an hour. */
static int make_lingering(const struct sockaddr_in *address) {
    static const char bytes[1 << 16];
    const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    const int room = 4096;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        continue;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    return fd;
}

/* A link as it is to be, but for what is on its way in the wake socket. False: there may be no more
 * on their way, and it is none. */
static bool link_make_loaded(int out_fds[3], const struct sockaddr_in *address) {
    union message message;
    int pair[2];
    link_make(out_fds);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    const int lingering = make_lingering(address);
    message_init(&message, MESSAGE_HELD_RING, 0); /* any with one descriptor */
    const bool is_loaded = channel_send(pair[0], &message, &lingering) == 0;
    if (!is_loaded)
        ck_assert_int_eq(setsockopt(lingering, SOL_SOCKET, SO_LINGER, &(struct linger){0},
                                    sizeof(struct linger)),
                         0);
    close(lingering);
    close(pair[0]);
    close(out_fds[2]);
    out_fds[2] = pair[1];
    return is_loaded;
}

/* As of no writer. While the supervisor is stopped: its close must be the last one. False: there
 * may be no more on their way. */
static bool send_loaded_link(struct peer *peer, const struct sockaddr_in *address) {
    union message message;
    int fds[3];
    const bool is_loaded = link_make_loaded(fds, address);
    message_init(&message, MESSAGE_OFFER_LINK, 0);
    message.offer_link.writer = 7;
    if (is_loaded)
        peer_send(peer, &message, fds);
    link_drop(fds);
    return is_loaded;
}

/* As many as fit into the peer's socket. */
static bool send_some(struct peer *peer, const struct sockaddr_in *address) {
    enum { SOME = 32 };
    bool goes_on = true;
    hold_supervisor();
    for (unsigned i = 0; i < SOME && goes_on; i++)
        goes_on = send_loaded_link(peer, address);
    kill(supervisor.pid, SIGCONT);
    peer_expect_silence(peer); /* they were read */
    return goes_on;
}

static void raise_fds_limit(void) {
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(a_flood_of_what_is_slow_to_close_keeps_nobody_out) {
    enum { TIMES = 90, LINKS = 32 * TIMES };
    struct sockaddr_in address;
    const int listener = listen_silently(&address, LINKS);
    if (listener < 0)
        return; /* no network at all */
    raise_fds_limit();
    supervisor_start(&supervisor);
    struct peer flood, peer;
    peer_open(&flood, &supervisor, "flood");
    for (unsigned i = 0; i < TIMES && send_some(&flood, &address); i++)
        continue;
    peer_open(&peer, &supervisor, "somebody else");
    peer_expect_silence(&peer);
    peer_expect_silence(&flood); /* it was not cut */
    peer_close(&peer);
    peer_close(&flood);
    supervisor_expect_fds_back(&supervisor);
    close(listener);
}
END_TEST

/* ---- what is never closed ---- */

/* A file system of one file, which answers everything but that the file is closed. */
struct silent {
    pid_t pid;
    int file;   /* -1: not opened */
    int closes; /* a byte comes each time that somebody closes it */
    char path[128];
};

static void answer(int device, const struct fuse_in_header *question, int error, const void *out,
                   size_t bytes) {
    char data[sizeof(struct fuse_out_header) + 256] = {0};
    const struct fuse_out_header header = {
        .len = (uint32_t)(sizeof(header) + bytes), .error = error, .unique = question->unique};
    memcpy(data, &header, sizeof(header));
    if (bytes)
        memcpy(data + sizeof(header), out, bytes);
    if (write(device, data, header.len) < 0)
        return; /* it was given up meanwhile */
}

enum { MOST = 4 };

/* The first ones, as many as are closed at once of a user's, are answered once somebody looks at
 * the file; others, as of a child that leaves it behind, until then. */
static void answer_late(int device, const struct fuse_in_header *question) {
    static struct fuse_in_header held[MOST];
    static unsigned count;
    static bool is_over;
    if (question->opcode == FUSE_GETATTR && count == MOST && !is_over) {
        for (unsigned i = 0; i < count; i++)
            answer(device, &held[i], 0, NULL, 0);
        is_over = true;
    }
    if (question->opcode != FUSE_FLUSH || is_over)
        return;
    if (count < MOST)
        held[count++] = *question, atomic_store(held_back, count);
    else
        answer(device, question, 0, NULL, 0);
}

static void serve(int device, int closes, const struct fuse_in_header *question) {
    const struct fuse_init_out init = {
        .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096};
    const struct fuse_attr_out attributes = {
        .attr = {.ino = FUSE_ROOT_ID, .mode = S_IFREG | 0600, .nlink = 1}};
    const struct fuse_open_out opened = {.fh = 1};
    switch (question->opcode) {
    case FUSE_INIT:
        answer(device, question, 0, &init, sizeof(init));
        break;
    case FUSE_GETATTR:
        answer(device, question, 0, &attributes, sizeof(attributes));
        break;
    case FUSE_OPEN:
        answer(device, question, 0, &opened, sizeof(opened));
        break;
    case FUSE_FLUSH:
        if (write(closes, "", 1) < 0)
            _exit(1);
        break;
    case FUSE_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        answer(device, question, -ENOSYS, NULL, 0);
    }
}

/* A process of its own, and not for ever: one that ends by a failure closes the file, too. */
static void serve_all(int device, int closes) {
    static char data[1 << 16];
    ssize_t bytes;
    alarm(60);
    while ((bytes = read(device, data, sizeof(data))) > 0 || errno == EINTR || errno == ENOENT) {
        const struct fuse_in_header *question = (const struct fuse_in_header *)(void *)data;
        if (bytes > 0 && is_late)
            answer_late(device, question);
        if (bytes > 0)
            serve(device, closes, question);
    }
    _exit(0);
}

/* False: this system or this user has no such file systems. */
static bool silent_mount(struct silent *silent) {
    char options[96];
    int closes[2];
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
        mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    const int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0)
        return false;
    snprintf(silent->path, sizeof(silent->path), "%s/silent", supervisor.folder);
    const int place = open(silent->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(place, 0);
    close(place);
    snprintf(options, sizeof(options), "fd=%d,rootmode=100000,user_id=0,group_id=0,allow_other",
             device);
    if (mount("silent", silent->path, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
        unlink(silent->path);
        close(device);
        return false;
    }
    held_back =
        mmap(NULL, sizeof(*held_back), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(held_back, MAP_FAILED);
    ck_assert_int_eq(pipe2(closes, O_CLOEXEC), 0);
    silent->pid = fork_bound();
    ck_assert_int_ge(silent->pid, 0);
    if (silent->pid == 0)
        serve_all(device, closes[1]);
    close(device);
    close(closes[1]);
    silent->closes = closes[0];
    silent->file = -1;
    return true;
}

/* Not before the supervisor runs: a child that closes the file never comes to run a program, and
 * who looks at it in /proc waits too. */
static bool silent_open(struct silent *silent) {
    if (!silent_mount(silent))
        return false;
    silent->file = open(silent->path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(silent->file >= 0, "%s", strerror(errno));
    return true;
}

/* Whoever waits for it waits no more. */
static void silent_close(struct silent *silent) {
    kill(silent->pid, SIGKILL);
    ck_assert_int_eq(waitpid(silent->pid, NULL, 0), silent->pid);
    if (silent->file >= 0)
        close(silent->file);
    close(silent->closes);
    umount2(silent->path, MNT_DETACH);
    unlink(silent->path);
}

/* Somebody closes it, and has no descriptor of it any more. */
static void await_close(const struct silent *silent) {
    struct pollfd polled = {.fd = silent->closes, .events = POLLIN};
    char byte;
    ck_assert_int_eq(poll(&polled, 1, DEADLINE_MS), 1);
    ck_assert_int_eq(read(silent->closes, &byte, 1), 1);
}

/* One session's, or part of it: it is cut after the first. */
static void send_file(struct peer *peer, int file) {
    union message message;
    message_init(&message, MESSAGE_HELD_RING, 0);
    message.held_ring.reader = 7;
    channel_send(peer->socket, &message, &file);
}

START_TEST(a_file_that_is_never_closed_holds_up_no_other) {
    struct silent silent;
    struct peer peer, other;
    supervisor_start(&supervisor);
    if (!silent_open(&silent))
        return;
    peer_open(&peer, &supervisor, "with a file of its own");
    send_file(&peer, silent.file);
    peer_expect_error(&peer, -EPROTO);
    peer_expect_end(&peer);
    peer_vanish(&peer);
    peer_open(&other, &supervisor, "somebody else");
    peer_expect_silence(&other);
    peer_close(&other);
    supervisor_expect_fds_back(&supervisor); /* what is being closed has no number any more */
    silent_close(&silent);
}
END_TEST

START_TEST(a_program_is_not_run_anew_while_a_file_is_not_closed) {
    struct silent silent;
    struct peer peer, other;
    char user[32];
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    open_to_stranger();
    if (!silent_open(&silent))
        return;
    peer_open_as(&peer, &supervisor, &stranger);
    peer_open(&other, &supervisor, "somebody else");
    send_file(&peer, silent.file);
    peer_expect_error(&peer, -EPROTO);
    await_close(&silent);
    send_command(&other, "upgrade");
    snprintf(user, sizeof(user), "user %d ", STRANGER_UID);
    ck_assert_ptr_nonnull(strstr(peer_expect_error(&other, -EBUSY), user));
    peer_expect_silence(&other); /* as before, and served */
    silent_close(&silent);
    peer_vanish(&peer);
    peer_close(&other);
}
END_TEST

START_TEST(a_program_is_not_run_anew_while_a_file_waits_to_be_closed) {
    enum { FILES = 6 }; /* the first of them are being closed */
    struct silent silent;
    struct peer peer[FILES], other;
    struct stat info;
    is_late = true;
    supervisor_start(&supervisor);
    if (!silent_open(&silent))
        return;
    peer_open(&other, &supervisor, "somebody else");
    for (unsigned i = 0; i < FILES; i++)
        peer_open(&peer[i], &supervisor, "with a file of its own");
    for (unsigned i = 0; i < FILES; i++) {
        send_file(&peer[i], silent.file);
        peer_expect_error(&peer[i], -EPROTO);
    }
    for (unsigned i = 0; i < DEADLINE_MS && atomic_load(held_back) < MOST; i++)
        poll(NULL, 0, 1);
    send_command(&other, "upgrade");
    peer_expect_error(&other, -EBUSY);
    ck_assert_int_eq(stat(silent.path, &info), 0);
    peer_expect_silence(&other); /* as before, and served */
    silent_close(&silent);
    for (unsigned i = 0; i < FILES; i++)
        peer_vanish(&peer[i]);
    peer_close(&other);
}
END_TEST

/* The newest child of the supervisor, which has so many: the program that it tries. */
static void await_check(unsigned count) {
    char name[64];
    snprintf(name, sizeof(name), "/proc/%d/task/%d/children", (int)supervisor.pid,
             (int)supervisor.pid);
    for (unsigned i = 0; i < DEADLINE_MS; i++) {
        FILE *file = fopen(name, "re");
        unsigned children = 0;
        int pid;
        while (file && fscanf(file, "%d", &pid) == 1)
            children++;
        if (file)
            fclose(file);
        if (children >= count)
            return;
        poll(NULL, 0, 1);
    }
}

/* What is slow to close comes while the supervisor tries the program, which then would close it. */
START_TEST(what_is_not_read_does_not_hold_up_the_new_program) {
    struct sockaddr_in address;
    struct peer peer, other;
    const int listener = listen_silently(&address, 1);
    if (listener < 0)
        return; /* no network at all */
    supervisor_start(&supervisor);
    peer_open(&peer, &supervisor, "with a socket of its own");
    peer_open(&other, &supervisor, "asks for an upgrade");
    const int lingering = make_lingering(&address);
    send_command(&other, "upgrade");
    await_check(1);
    send_file(&peer, lingering);
    close(lingering);
    expect_upgrade(&other);
    peer_vanish(&peer);
    close(listener);
}
END_TEST

/* Of a ring that is there (0), or of one that is announced (1). */
static void open_with_loaded_link(struct peer *peer, struct test_ring *ring, bool is_announced,
                                  const struct sockaddr_in *address) {
    union message message;
    int fds[3];
    ring_make(ring, "test", 8);
    message_init(&message, MESSAGE_OFFER_LINK, 0);
    if (is_announced) {
        /* One that it says it brings stays away. */
        message_init(&message, MESSAGE_OPEN_RING, 2);
        strcpy(message.open_ring.stream, "test");
        message.open_ring.loans = message.open_ring.history = 1;
        message.open_ring.links = 2;
        peer_send(peer, &message, &ring->fd);
        message_init(&message, MESSAGE_OFFER_LINK, 0);
    } else {
        const struct ring_options options = {.links = 2};
        message.offer_link.generation = peer_open_ring(peer, ring, "test", &options);
    }
    message.offer_link.entry = 5;
    message.offer_link.serial = 105;
    ck_assert(link_make_loaded(fds, address));
    peer_send(peer, &message, fds);
    link_drop(fds);
    peer_expect_silence(peer);
}

START_TEST(a_link_that_nobody_uses_does_not_hold_up_the_new_program) {
    struct sockaddr_in address;
    struct test_ring ring;
    struct peer peer;
    const int listener = listen_silently(&address, 1);
    if (listener < 0)
        return; /* no network at all */
    supervisor_start(&supervisor);
    peer_open(&peer, &supervisor, "with a link of its own");
    open_with_loaded_link(&peer, &ring, _i == 1, &address);
    upgrade();
    peer_vanish(&peer);
    ring_drop(&ring);
    close(listener);
}
END_TEST

START_TEST(who_passes_many_files_that_are_never_closed_is_turned_away) {
    struct silent silent;
    struct peer peer, other;
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    open_to_stranger();
    if (!silent_open(&silent))
        return;
    peer_open(&other, &supervisor, "somebody else");
    const int64_t until_ns = shmframe_deadline_ns(4 * DEADLINE_MS * INT64_C(1000000));
    int code = 0;
    while (code != -EMFILE) {
        union message message;
        struct channel_mail mail;
        ck_assert_msg(shmframe_now_ns() < until_ns, "nobody was turned away");
        peer = (struct peer){.socket = peer_connect_as(&supervisor, &stranger)};
        message_init(&message, MESSAGE_HELLO, 1);
        message.hello.now_ns = shmframe_now_ns();
        channel_send(peer.socket, &message, NULL);
        struct pollfd polled = {.fd = peer.socket, .events = POLLIN};
        while (poll(&polled, 1, DEADLINE_MS) == 1 && channel_receive(peer.socket, &mail) == 0) {
            if (mail.message.header.type == MESSAGE_WELCOME)
                send_file(&peer, silent.file);
            else if (mail.message.header.type == MESSAGE_ERROR)
                code = mail.message.error.code;
            channel_close_fds(&mail);
        }
        peer_vanish(&peer);
        peer_expect_silence(&other); /* all the while */
    }
    peer_close(&other);
    peer_open(&other, &supervisor, "somebody else again");
    peer_expect_silence(&other);
    peer_close(&other);
    silent_close(&silent);
    supervisor_expect_fds_back(&supervisor);
}
END_TEST

/* ---- who hangs as he runs a program ---- */

/* Connects as this user, and is him from then on. */
static int become_peer(const struct peer_user *user) {
    const int socket = user->uid ? peer_connect_as(&supervisor, user) : peer_connect(&supervisor);
    if (user->uid && setresuid(user->uid, user->uid, user->uid) < 0)
        _exit(1);
    return socket;
}

/* Connects first, unless `user` is NULL. */
static pid_t start_hanging(struct silent *silent, const struct peer_user *user) {
    const pid_t pid = fork_bound();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (user)
            fcntl(become_peer(user), F_SETFD, 0);
        if (open(silent->path, O_RDONLY | O_CLOEXEC) >= 0)
            execl("/bin/true", "true", NULL);
        _exit(1);
    }
    await_close(silent);
    return pid;
}

static void end_hanging(struct silent *silent, const pid_t *pid, unsigned count) {
    silent_close(silent);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(waitpid(pid[i], NULL, 0), pid[i]);
}

/* Before the supervisor looks at who connects, he hangs. Once: a thread that is left behind does
 * not stop with the others. */
static void start_hanging_peers(struct silent *silent, const struct peer_user *user, pid_t *out_pid,
                                unsigned count) {
    hold_supervisor();
    for (unsigned i = 0; i < count; i++)
        out_pid[i] = start_hanging(silent, user);
    kill(supervisor.pid, SIGCONT);
}

START_TEST(a_peer_that_hangs_as_it_runs_a_program_holds_up_no_other) {
    enum { HANGING = 3 };
    struct silent silent;
    struct peer peer;
    pid_t hanging[HANGING];
    supervisor_start(&supervisor);
    if (!silent_mount(&silent))
        return;
    start_hanging_peers(&silent, &root, hanging, HANGING);
    peer_open(&peer, &supervisor, "somebody else");
    peer_expect_silence(&peer);
    peer_close(&peer);
    end_hanging(&silent, hanging, HANGING);
    peer_open(&peer, &supervisor, "once more");
    peer_close(&peer);
    supervisor_expect_fds_back(&supervisor);
}
END_TEST

/* What a new peer of this user hears first: 0, if it is welcome. */
static int hear_as(const struct peer_user *user) {
    int status;
    const pid_t pid = fork_bound();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        const int socket = become_peer(user);
        struct pollfd polled = {.fd = socket, .events = POLLIN};
        union message message;
        struct channel_mail mail;
        message_init(&message, MESSAGE_HELLO, 1);
        message.hello.now_ns = shmframe_now_ns();
        channel_send(socket, &message, NULL);
        if (poll(&polled, 1, DEADLINE_MS) != 1 || channel_receive(socket, &mail) < 0)
            _exit(255);
        _exit(mail.message.header.type == MESSAGE_ERROR ? -mail.message.error.code : 0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

START_TEST(of_a_user_with_many_that_hang_nobody_is_looked_at) {
    enum { MANY = 4 }; /* PROC_READ_STUCK_OF_USER */
    const unsigned count = (unsigned)_i;
    struct silent silent;
    pid_t hanging[MANY];
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    open_to_stranger();
    if (!silent_mount(&silent))
        return;
    start_hanging_peers(&silent, &stranger, hanging, count);
    ck_assert_int_eq(hear_as(&root), 0);
    ck_assert_int_eq(hear_as(&stranger), count == MANY ? -EBUSY : 0);
    end_hanging(&silent, hanging, count);
    supervisor_expect_fds_back(&supervisor);
}
END_TEST

START_TEST(a_program_is_run_anew_while_a_peer_hangs) {
    struct silent silent;
    pid_t hanging;
    supervisor_start(&supervisor);
    if (!silent_mount(&silent))
        return;
    start_hanging_peers(&silent, &root, &hanging, 1);
    upgrade();
    end_hanging(&silent, &hanging, 1);
}
END_TEST

/* A supervisor with a node that writes its number into a file, after whatever else it is to do
 * `first`. */
static pid_t start_node(const char *first) {
    char number[96];
    snprintf(config, sizeof(config), "%s/nodes", supervisor.folder);
    snprintf(number, sizeof(number), "%s/number", supervisor.folder);
    FILE *file = fopen(config, "we");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "[consumer a]\ncommand = %secho $$ > %s.new; mv %s.new %s; exec sleep 60\n",
            first, number, number, number);
    fclose(file);
    supervisor.option[0] = "--config";
    supervisor.option[1] = config;
    supervisor_start(&supervisor);
    const int64_t until_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    while (!(file = fopen(number, "re"))) {
        ck_assert_msg(shmframe_now_ns() < until_ns, "the node does not run");
        poll(NULL, 0, 2);
    }
    int pid;
    ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
    fclose(file);
    unlink(number);
    return pid;
}

START_TEST(a_node_ends_while_somebody_hangs_as_he_runs_a_program) {
    struct silent silent;
    struct peer peer;
    struct channel_mail mail;
    const pid_t node = start_node("");
    if (!silent_mount(&silent))
        return;
    const pid_t hanging = start_hanging(&silent, NULL);
    peer_open(&peer, &supervisor, "asks for the end");
    send_command(&peer, "stop");
    peer_expect(&peer, MESSAGE_DONE, &mail);
    const int64_t until_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    while (kill(node, 0) == 0) {
        ck_assert_msg(shmframe_now_ns() < until_ns, "the node does not end");
        poll(NULL, 0, 2);
    }
    peer_expect_silence(&peer); /* what the node left behind was looked for */
    peer_close(&peer);
    end_hanging(&silent, &hanging, 1);
}
END_TEST

/* ---- what comes to the socket for sd_notify(3) ---- */

static void send_to_notify(int fd) {
    union {
        struct cmsghdr item;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.item = {.cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS,
                          .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct iovec part = {.iov_base = "STATUS=", .iov_len = 7};
    const struct msghdr message = {.msg_name = &address,
                                   .msg_namelen = sizeof(address),
                                   .msg_iov = &part,
                                   .msg_iovlen = 1,
                                   .msg_control = control.bytes,
                                   .msg_controllen = sizeof(control.bytes)};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s.notify", supervisor.socket);
    memcpy(CMSG_DATA(&control.item), &fd, sizeof(fd));
    const int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(sendmsg(socket_fd, &message, 0), 7);
    close(socket_fd);
}

/* It is read (0), or not before the supervisor runs another program (1). */
START_TEST(what_comes_to_the_notify_socket_holds_up_nobody) {
    struct sockaddr_in address;
    struct peer peer;
    const int listener = listen_silently(&address, 1);
    if (listener < 0)
        return; /* no network at all */
    start_node("");
    peer_open(&peer, &supervisor, "somebody else");
    const int lingering = make_lingering(&address);
    if (_i) {
        send_command(&peer, "upgrade");
        await_check(2);
    } else {
        hold_supervisor(); /* its close is the last one */
    }
    send_to_notify(lingering);
    close(lingering);
    kill(supervisor.pid, SIGCONT);
    if (_i) {
        expect_upgrade(&peer);
    } else {
        peer_expect_silence(&peer);
        peer_close(&peer);
    }
    supervisor_stop(&supervisor);
    close(listener);
}
END_TEST

/* ---- an upgrade and an end at once ---- */

/* The supervisor finds both when it goes on. */
static void upgrade_and_end(struct peer *peer) {
    hold_supervisor();
    send_command(peer, "upgrade");
    kill(supervisor.pid, SIGTERM);
    kill(supervisor.pid, SIGCONT);
}

START_TEST(who_is_to_end_runs_no_program_anew) {
    struct peer peer;
    supervisor_start(&supervisor);
    peer_open(&peer, &supervisor, "asks for an upgrade");
    upgrade_and_end(&peer);
    supervisor_expect_end(&supervisor);
    peer_vanish(&peer);
}
END_TEST

START_TEST(who_is_to_end_after_its_nodes_runs_no_program_anew) {
    struct peer peer;
    const pid_t node = start_node("");
    peer_open(&peer, &supervisor, "asks for an upgrade");
    upgrade_and_end(&peer);
    supervisor_expect_end(&supervisor);
    ck_assert_int_eq(kill(node, 0), -1);
    peer_vanish(&peer);
}
END_TEST

/* It ends nodes, as it starts none any more. */
static void await_ending(struct peer *peer) {
    const int64_t until_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    struct channel_mail mail;
    do {
        ck_assert_msg(shmframe_now_ns() < until_ns, "the supervisor does not end");
        send_command(peer, "start");
        struct pollfd polled = {.fd = peer->socket, .events = POLLIN};
        ck_assert_int_eq(poll(&polled, 1, DEADLINE_MS), 1);
        ck_assert_int_eq(channel_receive(peer->socket, &mail), 0);
    } while (mail.message.header.type != MESSAGE_ERROR);
}

START_TEST(who_ends_does_not_say_that_a_program_is_run_anew) {
    struct peer peer;
    start_node("trap '' TERM; ");
    peer_open(&peer, &supervisor, "asks for an upgrade");
    kill(supervisor.pid, SIGTERM);
    await_ending(&peer);
    send_command(&peer, "upgrade");
    peer_expect_error(&peer, -EBUSY);
    kill(supervisor.pid, SIGTERM); /* once more: then the node is killed */
    supervisor_expect_end(&supervisor);
    peer_vanish(&peer);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("closing");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, what_is_ignored_or_refused_is_looked_at_all_the_same);
    tcase_add_test(cases, who_is_not_welcome_yet_passes_nothing);
    tcase_add_test(cases, a_flood_of_what_is_slow_to_close_keeps_nobody_out);
    tcase_add_test(cases, a_file_that_is_never_closed_holds_up_no_other);
    tcase_add_test(cases, a_program_is_not_run_anew_while_a_file_is_not_closed);
    tcase_add_test(cases, a_program_is_not_run_anew_while_a_file_waits_to_be_closed);
    tcase_add_test(cases, what_is_not_read_does_not_hold_up_the_new_program);
    tcase_add_loop_test(cases, a_link_that_nobody_uses_does_not_hold_up_the_new_program, 0, 2);
    tcase_add_test(cases, who_passes_many_files_that_are_never_closed_is_turned_away);
    tcase_add_test(cases, a_peer_that_hangs_as_it_runs_a_program_holds_up_no_other);
    tcase_add_loop_test(cases, of_a_user_with_many_that_hang_nobody_is_looked_at, 3, 5);
    tcase_add_test(cases, a_program_is_run_anew_while_a_peer_hangs);
    tcase_add_test(cases, a_node_ends_while_somebody_hangs_as_he_runs_a_program);
    tcase_add_loop_test(cases, what_comes_to_the_notify_socket_holds_up_nobody, 0, 2);
    tcase_add_loop_test(cases, who_is_to_end_runs_no_program_anew, 0, 3);
    tcase_add_loop_test(cases, who_is_to_end_after_its_nodes_runs_no_program_anew, 0, 3);
    tcase_add_test(cases, who_ends_does_not_say_that_a_program_is_run_anew);
    Suite *suite = suite_create("closing");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
