#include "whole_file.h"

#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_TRIED = 100, LOOK_MS = 20 };

/* Until the descriptor takes more, at most so long. -EINTR: asked to stop. */
static int wait_for_room(int fd, int wait_ms) {
    struct pollfd polls[] = {
        {.fd = fd, .events = POLLOUT},
        {.fd = program_stop_fd(), .events = POLLIN},
    };
    poll(polls, 2, wait_ms);
    return program_is_stopping() ? -EINTR : 0;
}

/* What may be read by nobody is polled before it is written to; a write of no more than a pipe's
 * atomic size does not wait then, even if the descriptor's owner wants it to. */
static int write_some(int fd, const uint8_t *data, size_t bytes, size_t *out_written) {
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    *out_written = 0;
    if (poll(&room, 1, 0) == 0)
        return wait_for_room(fd, -1);
    const ssize_t written = write(fd, data, bytes < PIPE_BUF ? bytes : PIPE_BUF);
    if (written >= 0)
        *out_written = (size_t)written;
    else if (errno == EAGAIN)
        return wait_for_room(fd, LOOK_MS);
    else if (errno != EINTR)
        return -errno;
    return 0;
}

int whole_file_push(int fd, const void *data, size_t bytes) {
    const uint8_t *at = data;
    struct stat found;
    const bool is_file = fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
    int result = 0;
    while (bytes > 0 && result == 0) {
        size_t written = 0;
        if (is_file) {
            const ssize_t some = write(fd, at, bytes);
            result = some < 0 && errno != EINTR ? -errno : 0;
            written = some > 0 ? (size_t)some : 0;
        } else {
            result = write_some(fd, at, bytes, &written);
        }
        at += written;
        bytes -= written;
    }
    return result;
}

/* Also what is told only when it is closed, as network file systems do. */
static int write_and_close(int fd, const void *data, size_t bytes) {
    const int result = whole_file_push(fd, data, bytes);
    const int closed = close(fd) < 0 ? -errno : 0;
    return result < 0 ? result : closed;
}

static int write_through(const char *path, const void *data, size_t bytes) {
    int fd;
    /* Without O_NONBLOCK the call would wait for a FIFO's reader, whoever asks to stop. */
    while ((fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) < 0 && errno == ENXIO) {
        struct stat there;
        if (stat(path, &there) < 0 || !S_ISFIFO(there.st_mode))
            return -ENXIO;
        if (wait_for_room(-1, LOOK_MS) < 0)
            return -EINTR;
    }
    return fd < 0 ? -errno : write_and_close(fd, data, bytes);
}

/* A file of a name that nobody has, in the same folder. */
static int open_part(const char *path, char part[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    const int folder_bytes = slash ? (int)(slash - path + 1) : 0;
    for (int i = 0; i < NAMES_TRIED; i++) {
        if (snprintf(part, PATH_MAX, "%.*s.shmframe-%d-%d.part", folder_bytes, path, (int)getpid(),
                     i) >= PATH_MAX)
            return -ENAMETOOLONG;
        const int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int name_new(const char *part, const char *path) {
    if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    /* Some file systems, such as NFS, have no such call, but links. */
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (link(part, path) < 0)
        return -errno;
    unlink(part);
    return 0;
}

static int write_beside(const char *path, const void *data, size_t bytes,
                        const struct stat *replaced) {
    char part[PATH_MAX];
    const int fd = open_part(path, part);
    if (fd < 0)
        return fd;
    if (replaced)
        (void)!fchmod(fd, replaced->st_mode & 07777); /* as it was, where we may */
    int result = write_and_close(fd, data, bytes);
    if (result == 0 && replaced)
        result = rename(part, path) < 0 ? -errno : 0;
    else if (result == 0)
        result = name_new(part, path);
    if (result < 0)
        unlink(part);
    return result;
}

/* What a symbolic link names, which need not exist. */
static int find_target(const char *link, char target[PATH_MAX]) {
    const char *slash = strrchr(link, '/');
    char name[PATH_MAX];
    const ssize_t length = readlink(link, name, sizeof(name) - 1);
    if (length < 0)
        return -errno;
    name[length] = '\0';
    const int folder_bytes = slash && name[0] != '/' ? (int)(slash - link + 1) : 0;
    return snprintf(target, PATH_MAX, "%.*s%s", folder_bytes, link, name) < PATH_MAX
               ? 0
               : -ENAMETOOLONG;
}

int whole_file_write(const char *path, const void *data, size_t bytes, bool is_replacing) {
    struct stat there;
    char named[PATH_MAX];
    if (stat(path, &there) < 0) {
        if (is_replacing && errno == ENOENT && find_target(path, named) == 0)
            return whole_file_write(named, data, bytes, true);
        return write_beside(path, data, bytes, NULL);
    }
    if (!S_ISREG(there.st_mode))
        return write_through(path, data, bytes);
    if (!is_replacing)
        return -EEXIST;
    char *target = realpath(path, NULL);
    if (!target)
        return -errno;
    const int result = write_beside(target, data, bytes, &there);
    free(target);
    return result;
}
