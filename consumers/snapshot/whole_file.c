#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_TRIED = 100 };

static int write_all(int fd, const uint8_t *data, size_t bytes) {
    while (bytes > 0) {
        const ssize_t written = write(fd, data, bytes);
        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0) {
            data += written;
            bytes -= (size_t)written;
        }
    }
    return 0;
}

/* Also what is told only when it is closed, as network file systems do. */
static int write_and_close(int fd, const void *data, size_t bytes) {
    const int result = write_all(fd, data, bytes);
    const int closed = close(fd) < 0 ? -errno : 0;
    return result < 0 ? result : closed;
}

static int write_through(const char *path, const void *data, size_t bytes) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
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

int whole_file_write(const char *path, const void *data, size_t bytes, bool is_replacing) {
    struct stat there;
    if (stat(path, &there) < 0)
        return write_beside(path, data, bytes, NULL);
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
