/* Channel: a message and its descriptors over an AF_UNIX SOCK_SEQPACKET socket. */
#ifndef SHMFRAME_SRC_CHANNEL_H
#define SHMFRAME_SRC_CHANNEL_H

#include "message.h"

struct channel_mail {
    union message message;
    int fd[MESSAGE_FDS_MAX + 1]; /* -1 where there is none; the receiver owns them */
    uint32_t fds;
};

/* Sends `message` with its exact number of descriptors, which stay the caller's. Never waits, never
 * raises SIGPIPE. Errors: -EAGAIN the socket is full; -EPIPE the peer is gone; -EMFILE too many
 * descriptors in flight. */
int channel_send(int socket, const union message *message, const int *fds);

/* Receives one message without waiting, descriptors close-on-exec, and checks it with
 * message_check(). On any error no descriptor stays open and out_mail->fds is 0.
 * Errors: -EAGAIN nothing there; -ENOMEM it is still there, later; -EPIPE end of file; -EPROTO,
 * -EPROTONOSUPPORT a bad message; -EMFILE descriptors were lost for lack of room. */
int channel_receive(int socket, struct channel_mail *out_mail);

/* The same, but descriptors stay in out_mail on an error too, one more than any message has at
 * most: for a receiver who must not wait while they are closed. */
int channel_receive_open(int socket, struct channel_mail *out_mail);

/* Closes the descriptors that are still in `mail` (entries set to -1 were taken). */
void channel_close_fds(struct channel_mail *mail);

/* Writes the default path of the supervisor's socket into `path`: $SHMFRAME_SOCKET, else
 * $XDG_RUNTIME_DIR/shmframe/socket, else /run/user/UID/shmframe/socket.
 * Errors: -EINVAL longer than a socket's path may be. */
int channel_default_path(char *path, size_t path_bytes);

#endif
