/* What nodes say of themselves by sd_notify(3). One socket for all; the kernel tells who speaks. */
#include "pipeline.h"

#include "closer.h"
#include "log.h"
#include "protect.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* FDS_MAX: the kernel's own, SCM_MAX_FD. */
enum { MESSAGES_A_TURN = 64, LAST_MESSAGES_MAX = 4096, MESSAGE_BYTES_MAX = 4096, FDS_MAX = 253 };

static void take_word(struct node *node, const char *word) {
    if (strcmp(word, "READY=1") == 0) {
        node_set_reason(node, "said that it is ready");
        node_handle(node, NODE_READY);
    } else if (strcmp(word, "WATCHDOG=1") == 0) {
        node->is_hang_told = node->is_hang_said = false;
        if (node->config->watchdog.limit_ns > 0)
            node->watchdog_ns = shmframe_now_ns() + node->config->watchdog.limit_ns;
    } else if (strcmp(word, "WATCHDOG=trigger") == 0) {
        if (node->config->watchdog.limit_ns <= 0)
            return;
        node->is_hang_said = true;
        node->watchdog_ns = 0;
    } else if (strncmp(word, "STATUS=", 7) == 0) {
        client_put_text(node->status, sizeof(node->status), word + 7);
    }
}

/* Nobody: pid 0. */
static struct ucred find_sender(struct msghdr *message) {
    struct ucred sender = {.uid = (uid_t)-1};
    struct cmsghdr *part = CMSG_FIRSTHDR(message);
    if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS)
        memcpy(&sender, CMSG_DATA(part), sizeof(sender));
    return sender;
}

/* As long as somebody does not keep up, nobody passes anything: all else is heard, as a watchdog
 * waits for it. Before Linux 6.16 all goes on. */
static void let_pass(struct server *server, int fd, bool is_let) {
    server->pipeline.is_notify_closed = !is_let;
    listener_let_pass(fd, is_let);
}

/* What comes along is of no use, but to sd_notify_barrier(3), which waits until it is closed. What
 * there is no room for, or is not read, is closed by the kernel, and this loop would wait for it.
 */
static void close_passed(struct server *server, int from, struct msghdr *message, uid_t uid) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
            closer_close(fd, uid);
        }
        if (closer_look(uid) != CLOSER_KEEPS_UP)
            let_pass(server, from, false);
    }
}

/* False: there is none. */
static bool take_message(struct server *server, int fd) {
    char text[MESSAGE_BYTES_MAX + 1];
    _Alignas(struct cmsghdr) char
        control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(FDS_MAX * sizeof(int))];
    struct iovec part = {.iov_base = text, .iov_len = MESSAGE_BYTES_MAX};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    const ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0)
        return false;
    text[length] = '\0';
    const struct ucred sender = find_sender(&message);
    close_passed(server, fd, &message, sender.uid);
    struct node *node = pipeline_find_process(server, sender.pid);
    char *rest = text;
    for (char *word; node && !node->has_ended && (word = strsep(&rest, "\n"));)
        take_word(node, word);
    return true;
}

static int on_message(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)source, (void)events;
    for (unsigned i = 0; i < MESSAGES_A_TURN && take_message(user, fd); i++) {
    }
    return 0;
}

void notify_tick(struct server *server) {
    if (server->pipeline.is_notify_closed && !closer_is_behind())
        let_pass(server, sd_event_source_get_io_fd(server->pipeline.notify_source), true);
}

void notify_drain(struct server *server) {
    sd_event_source *source = server->pipeline.notify_source;
    for (unsigned i = 0; source && i < LAST_MESSAGES_MAX; i++)
        if (!take_message(server, sd_event_source_get_io_fd(source)))
            break;
}

/* Its mode is for all who can be nodes; of these, nobody but nodes is listened to. */
static int bind_socket(int fd, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    if (lstat(path, &info) == 0 && (!S_ISSOCK(info.st_mode) || info.st_uid != geteuid()))
        return -EEXIST;
    strcpy(address.sun_path, path);
    unlink(path);
    const mode_t mask = umask(protect_can_change_user() ? 0 : 0177);
    const int result = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    const int code = -errno;
    umask(mask);
    return result < 0 ? code : 0;
}

static int open_socket(struct server *server, const char *path) {
    const int yes = 1;
    struct pipeline *pipeline = &server->pipeline;
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return -ENAMETOOLONG;
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int code = setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0 ? -errno : 0;
    if (code == 0)
        code = bind_socket(fd, path);
    if (code == 0)
        code = sd_event_add_io(server->event, &pipeline->notify_source, fd, EPOLLIN, on_message,
                               server);
    if (code < 0)
        close(fd);
    return code < 0 ? code : 0;
}

/* In the folder that is ours alone, which may be another than the socket's. */
static int find_path(const struct server *server, char *out, size_t out_bytes) {
    char link[32], folder[PATH_BYTES];
    const char *name = strrchr(server->socket_path, '/');
    if (server->listener.folder < 0)
        return -ENOENT;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", server->listener.folder);
    const ssize_t length = readlink(link, folder, sizeof(folder) - 1);
    if (length < 0)
        return -errno;
    folder[length] = '\0';
    const int bytes = snprintf(out, out_bytes, "%s%s.notify", folder, name);
    return bytes < 0 || (size_t)bytes >= out_bytes ? -ENAMETOOLONG : 0;
}

void notify_open(struct server *server) {
    char path[sizeof(server->notify_path)] = "";
    int code = find_path(server, path, sizeof(path));
    if (code == 0)
        code = open_socket(server, path);
    if (code == 0)
        memcpy(server->notify_path, path, strlen(path) + 1);
    else
        log_trouble("event=no-notify-socket path=%s reason=%s", log_quote(path).text,
                    log_quote(strerror(-code)).text);
}
