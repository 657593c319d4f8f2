/* Interpose: the calls that can fail, memory aside. */
#include "meet.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* `...`: the arguments as they are passed on. */
#define STAND(result, name, parameters, failed, ...)                                               \
    result name parameters {                                                                       \
        static result(*real) parameters;                                                           \
        FAIL_IF_MET(name, failed);                                                                 \
        if (!real)                                                                                 \
            real = REAL(name, result(*) parameters);                                               \
        return real(__VA_ARGS__);                                                                  \
    }

/* Of those that tell their error in the result, with a sign. */
#define STAND_TOLD(sign, name, parameters, ...)                                                    \
    int name parameters {                                                                          \
        static int(*real) parameters;                                                              \
        const int met = MEET(name);                                                                \
        if (met)                                                                                   \
            return sign met;                                                                       \
        if (!real)                                                                                 \
            real = REAL(name, int(*) parameters);                                                  \
        return real(__VA_ARGS__);                                                                  \
    }

/* Those that may come back with less. */
#define STAND_SHORT(name, parameters, bytes, ...)                                                  \
    ssize_t name parameters {                                                                      \
        static ssize_t(*real) parameters;                                                          \
        const int met = MEET(name);                                                                \
        if (met == FAULT_SHORT) {                                                                  \
            bytes = bytes > 1 ? bytes / 2 : bytes;                                                 \
        } else if (met) {                                                                          \
            errno = met;                                                                           \
            return -1;                                                                             \
        }                                                                                          \
        if (!real)                                                                                 \
            real = REAL(name, ssize_t(*) parameters);                                              \
        return real(__VA_ARGS__);                                                                  \
    }

/* ---- descriptors ---- */

STAND(int, socket, (int domain, int type, int protocol), -1, domain, type, protocol)
STAND(int, socketpair, (int domain, int type, int protocol, int fds[2]), -1, domain, type, protocol,
      fds)
STAND(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags), -1, fd,
      address, length, flags)
STAND(int, pipe2, (int fds[2], int flags), -1, fds, flags)
STAND(int, eventfd, (unsigned count, int flags), -1, count, flags)
STAND(int, epoll_create1, (int flags), -1, flags)
STAND(int, timerfd_create, (int clock, int flags), -1, clock, flags)
STAND(int, timer_create, (clockid_t clock, struct sigevent *event, timer_t *timer), -1, clock,
      event, timer)
STAND(int, memfd_create, (const char *name, unsigned flags), -1, name, flags)
STAND(int, pidfd_open, (pid_t pid, unsigned flags), -1, pid, flags)
STAND(DIR *, opendir, (const char *name), NULL, name)
STAND(FILE *, fopen, (const char *name, const char *mode), NULL, name, mode)
STAND(FILE *, fdopen, (int fd, const char *mode), NULL, fd, mode)
STAND(FILE *, open_memstream, (char **text, size_t *bytes), NULL, text, bytes)

static mode_t mode_of(int flags, va_list values) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(values, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    FAIL_IF_MET(open, -1);
    va_list values;
    va_start(values, flags);
    const mode_t mode = mode_of(flags, values);
    va_end(values);
    return REAL(open, int (*)(const char *, int, ...))(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    FAIL_IF_MET(openat, -1);
    va_list values;
    va_start(values, flags);
    const mode_t mode = mode_of(flags, values);
    va_end(values);
    return REAL(openat, int (*)(int, const char *, int, ...))(folder, path, flags, mode);
}

int fcntl(int fd, int command, ...) {
    if (command == F_DUPFD_CLOEXEC || command == F_DUPFD)
        FAIL_IF_MET(fcntl_dupfd, -1);
    if (command == F_ADD_SEALS)
        FAIL_IF_MET(fcntl_add_seals, -1);
    va_list values;
    va_start(values, command);
    void *argument = va_arg(values, void *);
    va_end(values);
    return REAL(fcntl, int (*)(int, int, ...))(fd, command, argument);
}

int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict length) {
    if (level == SOL_SOCKET && option == SO_PEERPIDFD)
        FAIL_IF_MET(peerpidfd, -1);
    return REAL(getsockopt, int (*)(int, int, int, void *, socklen_t *))(fd, level, option, value,
                                                                         length);
}

/* ---- memory files ---- */

STAND(void *, mmap, (void *place, size_t bytes, int protection, int flags, int fd, off_t offset),
      MAP_FAILED, place, bytes, protection, flags, fd, offset)
STAND(int, ftruncate, (int fd, off_t bytes), -1, fd, bytes)
STAND(int, fchmod, (int fd, mode_t mode), -1, fd, mode)
STAND(int, fstat, (int fd, struct stat *info), -1, fd, info)
STAND(int, fstatfs, (int fd, struct statfs *info), -1, fd, info)
STAND_TOLD(+, posix_fallocate, (int fd, off_t offset, off_t bytes), fd, offset, bytes)

int madvise(void *place, size_t bytes, int advice) {
    if (advice == MADV_DONTFORK)
        FAIL_IF_MET(madvise_dontfork, -1);
    if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
        FAIL_IF_MET(madvise_populate, -1);
    return REAL(madvise, int (*)(void *, size_t, int))(place, bytes, advice);
}

/* ---- files ---- */

STAND(int, flock, (int fd, int operation), -1, fd, operation)
STAND(int, renameat, (int from, const char *name, int to, const char *new_name), -1, from, name, to,
      new_name)
STAND(int, unlinkat, (int folder, const char *name, int flags), -1, folder, name, flags)
STAND_SHORT(read, (int fd, void *place, size_t bytes), bytes, fd, place, bytes)
STAND_SHORT(pread, (int fd, void *place, size_t bytes, off_t offset), bytes, fd, place, bytes,
            offset)
STAND_SHORT(pwrite, (int fd, const void *place, size_t bytes, off_t offset), bytes, fd, place,
            bytes, offset)
STAND_SHORT(write, (int fd, const void *place, size_t bytes), bytes, fd, place, bytes)

/* Closed in any case, as close(2) says of most errors. */
int fclose(FILE *file) {
    const int met = MEET(fclose);
    const int result = REAL(fclose, int (*)(FILE *))(file);
    if (!met)
        return result;
    errno = met;
    return EOF;
}

/* ---- messages ---- */

STAND(int, connect, (int fd, const struct sockaddr *address, socklen_t length), -1, fd, address,
      length)
STAND(int, bind, (int fd, const struct sockaddr *address, socklen_t length), -1, fd, address,
      length)
STAND(int, listen, (int fd, int backlog), -1, fd, backlog)
STAND(ssize_t, sendmsg, (int fd, const struct msghdr *parts, int flags), -1, fd, parts, flags)
STAND(ssize_t, recvmsg, (int fd, struct msghdr *parts, int flags), -1, fd, parts, flags)
STAND(ssize_t, send, (int fd, const void *place, size_t bytes, int flags), -1, fd, place, bytes,
      flags)
STAND(ssize_t, recv, (int fd, void *place, size_t bytes, int flags), -1, fd, place, bytes, flags)

/* ---- waiting ---- */

STAND(int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event), -1, epoll,
      operation, fd, event)
STAND(int, poll, (struct pollfd * fds, nfds_t count, int timeout_ms), -1, fds, count, timeout_ms)
STAND(int, ppoll,
      (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask), -1,
      fds, count, timeout, mask)

long syscall(long number, ...) {
    long value[6];
    va_list values;
    va_start(values, number);
    for (unsigned i = 0; i < 6; i++)
        value[i] = va_arg(values, long);
    va_end(values);
    if (number == SYS_futex && (value[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET)
        FAIL_IF_MET(futex_wait, -1);
    if (number == SYS_futex_waitv && value[1] > 0)
        FAIL_IF_MET(futex_waitv, -1);
    if (number == SYS_pidfd_open)
        FAIL_IF_MET(pidfd_open, -1);
    return REAL(syscall, long (*)(long, ...))(number, value[0], value[1], value[2], value[3],
                                              value[4], value[5]);
}

/* ---- processes ---- */

STAND(ssize_t, getrandom, (void *place, size_t bytes, unsigned flags), -1, place, bytes, flags)
STAND(pid_t, fork, (void), -1, )
STAND(pid_t, waitpid, (pid_t pid, int *status, int options), -1, pid, status, options)
STAND(int, setenv, (const char *name, const char *value, int is_replaced), -1, name, value,
      is_replaced)
STAND_TOLD(+, pthread_create,
           (pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
            void *(*run)(void *), void *restrict user),
           thread, attributes, run, user)
