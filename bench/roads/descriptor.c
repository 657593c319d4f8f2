#include "descriptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

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
