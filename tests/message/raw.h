/* Bytes and descriptors that channel_send() would not send. */
#ifndef TESTS_MESSAGE_RAW_H
#define TESTS_MESSAGE_RAW_H

#include <check.h>
#include <string.h>
#include <sys/socket.h>

/* `fds` times the same descriptor, at most 16 times. */
static inline void send_raw(int socket, const void *bytes, size_t length, int fd, unsigned fds) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(16 * sizeof(int))];
    } control = {0};
    struct iovec place = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr parts = {.msg_iov = &place, .msg_iovlen = 1};
    if (fds) {
        parts.msg_control = control.bytes;
        parts.msg_controllen = CMSG_SPACE(fds * sizeof(int));
        struct cmsghdr *item = CMSG_FIRSTHDR(&parts);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(fds * sizeof(int));
        for (unsigned i = 0; i < fds; i++)
            memcpy(CMSG_DATA(item) + i * sizeof(int), &fd, sizeof(int));
    }
    ck_assert_int_eq(sendmsg(socket, &parts, MSG_NOSIGNAL), (ssize_t)length);
}

#endif
