#include "descriptor.h"

#include "program.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union passed {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

ssize_t descriptor_send(int socket, const void *data, size_t bytes, int descriptor) {
    struct iovec part = {(void *)data, bytes};
    union passed passed = {.room = {0}};
    const struct msghdr message = {.msg_iov = &part,
                                   .msg_iovlen = 1,
                                   .msg_control = passed.room,
                                   .msg_controllen = sizeof(passed.room)};
    passed.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&passed.header), &descriptor, sizeof(descriptor));
    return sendmsg(socket, &message, 0);
}

ssize_t descriptor_receive(int socket, void *data, size_t bytes, int *out_descriptor) {
    struct iovec part = {data, bytes};
    union passed passed;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = passed.room,
                             .msg_controllen = sizeof(passed.room)};
    const ssize_t done = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (done < 0)
        return done;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int))) {
        errno = EBADMSG;
        return -1;
    }
    memcpy(out_descriptor, CMSG_DATA(header), sizeof(*out_descriptor));
    return done;
}

void descriptor_pairs_open(int pair[][2], uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair[i]) < 0)
            program_fail("no sockets: %m");
}

void descriptor_pairs_close(int pair[][2], uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        close(pair[i][0]);
        close(pair[i][1]);
    }
}
