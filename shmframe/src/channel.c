#include "channel.h"

#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Room for one descriptor more than any message has, so that a message with too many is told from
 * a process that has no descriptor left: the kernel cuts the list in both cases. */
enum { FDS_ROOM = MESSAGE_FDS_MAX + 1 };

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(FDS_ROOM * sizeof(int))];
};

static void attach_fds(struct msghdr *parts, union control *control, const int *fds,
                       uint32_t count) {
    if (count == 0)
        return;
    memset(control, 0, sizeof(*control));
    parts->msg_control = control->bytes;
    parts->msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *item = CMSG_FIRSTHDR(parts);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(item), fds, count * sizeof(int));
}

static int send_failed(int code, const union message *message) {
    const char *name = message_name(message->header.type);
    switch (code) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return -EAGAIN; /* an expected answer: leaves the last error alone */
    case ETOOMANYREFS:
    case EMFILE:
        return error_set(-EMFILE, "%s: too many descriptors are on their way", name);
    default:
        return error_set(-EPIPE, "%s could not be sent: %s", name, strerror(code));
    }
}

int channel_send(int socket, const union message *message, const int *fds) {
    struct iovec bytes = {.iov_base = (void *)message, .iov_len = message->header.bytes};
    struct msghdr parts = {.msg_iov = &bytes, .msg_iovlen = 1};
    union control control;
    attach_fds(&parts, &control, fds, message_fds((enum message_type)message->header.type));
    ssize_t sent;
    do {
        sent = sendmsg(socket, &parts, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? send_failed(errno, message) : 0;
}

/* Takes every descriptor out of the control data, which has room for no more than `mail`. */
static void take_fds(struct msghdr *parts, struct channel_mail *mail) {
    for (struct cmsghdr *item = CMSG_FIRSTHDR(parts); item; item = CMSG_NXTHDR(parts, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof(fd));
            if (mail->fds < FDS_ROOM)
                mail->fd[mail->fds++] = fd;
            else
                close(fd);
        }
    }
}

static int receive_failed(int code) {
    if (code == EAGAIN || code == EWOULDBLOCK)
        return -EAGAIN;
    if (code == ENOMEM || code == ENOBUFS)
        return error_kernel(code, "a message could not be received");
    return error_set(-EPIPE, "the peer is gone: %s", strerror(code));
}

static int check_received(const struct channel_mail *mail, ssize_t bytes, int flags) {
    if (bytes == 0)
        return error_set(-EPIPE, "the peer closed the connection");
    if (mail->fds > MESSAGE_FDS_MAX)
        return error_set(-EPROTO, "%s came with more descriptors than any message has",
                         message_name(bytes >= (ssize_t)sizeof(struct message_header)
                                          ? mail->message.header.type
                                          : MESSAGE_NONE));
    if (flags & MSG_CTRUNC)
        return error_set(-EMFILE,
                         "descriptors were lost: this process has none left; raise `ulimit -n`");
    if (flags & MSG_TRUNC)
        return error_set(-EPROTO, "a message is longer than any may be");
    return message_check(&mail->message, (size_t)bytes, mail->fds);
}

int channel_receive_open(int socket, struct channel_mail *out_mail) {
    memset(out_mail, 0, sizeof(*out_mail));
    for (unsigned i = 0; i < FDS_ROOM; i++)
        out_mail->fd[i] = -1;
    struct iovec place = {.iov_base = &out_mail->message, .iov_len = sizeof(out_mail->message)};
    union control control;
    struct msghdr parts = {.msg_iov = &place,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = CMSG_LEN(FDS_ROOM * sizeof(int))};
    /* A peer that closed before it had read everything leaves an error, which is told once, in
     * front of the messages it had sent. */
    ssize_t bytes = 0;
    bool was_reset = false;
    do {
        was_reset = was_reset || (bytes < 0 && errno == ECONNRESET);
        bytes = recvmsg(socket, &parts, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (bytes < 0 && (errno == EINTR || (errno == ECONNRESET && !was_reset)));
    if (bytes < 0)
        return receive_failed(errno);
    take_fds(&parts, out_mail);
    return check_received(out_mail, bytes, parts.msg_flags);
}

int channel_receive(int socket, struct channel_mail *out_mail) {
    int code = channel_receive_open(socket, out_mail);
    if (code < 0)
        channel_close_fds(out_mail);
    return code;
}

void channel_close_fds(struct channel_mail *mail) {
    for (uint32_t i = 0; i < mail->fds; i++) {
        if (mail->fd[i] >= 0)
            close(mail->fd[i]);
        mail->fd[i] = -1;
    }
    mail->fds = 0;
}

int channel_default_path(char *path, size_t path_bytes) {
    const char *socket = secure_getenv("SHMFRAME_SOCKET");
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    int length;
    if (socket && socket[0])
        length = snprintf(path, path_bytes, "%s", socket);
    else if (runtime && runtime[0] == '/')
        length = snprintf(path, path_bytes, "%s/shmframe/socket", runtime);
    else
        length = snprintf(path, path_bytes, "/run/user/%u/shmframe/socket", (unsigned)geteuid());
    const size_t limit = sizeof(((struct sockaddr_un *)0)->sun_path);
    if (length < 0 || (size_t)length >= path_bytes || (size_t)length >= limit)
        return error_set(-EINVAL,
                         "the socket's path is longer than %zu bytes: choose a shorter "
                         "one with $SHMFRAME_SOCKET",
                         limit - 1);
    return 0;
}
