#include "pipe_outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECES_MAX = 256, PIPE_BYTES_MIN = 4096 };

static bool is_standard(const char *path) {
    return strcmp(path, "-") == 0;
}

static bool stat_outlet(const char *path, struct stat *out_found) {
    return (is_standard(path) ? fstat(STDOUT_FILENO, out_found) : stat(path, out_found)) == 0;
}

bool pipe_outlet_is_pipe(const char *path) {
    struct stat found;
    return stat_outlet(path, &found) && S_ISFIFO(found.st_mode);
}

/* What any user may ask for. */
static uint64_t find_largest(void) {
    unsigned long long bytes = 1 << 20;
    FILE *file = fopen("/proc/sys/fs/pipe-max-size", "re");
    if (file) {
        if (fscanf(file, "%llu", &bytes) != 1)
            bytes = 1 << 20;
        fclose(file);
    }
    return bytes;
}

/* A user's pipes together are limited as well: a half may be granted where the whole is not. */
void pipe_outlet_resize(struct pipe_outlet *outlet, uint64_t bytes) {
    if (fcntl(outlet->fd, F_GETPIPE_SZ) < 0)
        return; /* it is none */
    const uint64_t largest = find_largest();
    if (bytes > largest)
        bytes = largest;
    for (; bytes >= PIPE_BYTES_MIN && fcntl(outlet->fd, F_SETPIPE_SZ, (int)bytes) < 0; bytes /= 2)
        ;
}

/* Standard output whose flags were changed: however the program ends, others have it as it was. */
static struct { int fd, flags; } changed = {.fd = -1};

static void restore_flags(void) {
    if (changed.fd >= 0)
        fcntl(changed.fd, F_SETFL, changed.flags);
    changed.fd = -1;
}

static void stop_waiting(int fd) {
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || flags & O_NONBLOCK)
        return;
    changed.fd = fd;
    changed.flags = flags;
    atexit(restore_flags);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Standard output may be shared with other programs, which did not ask for O_NONBLOCK: a pipe or
 * file is opened once more, a socket or device has its flags changed until the end. */
static int open_standard(void) {
    struct stat found;
    if (fstat(STDOUT_FILENO, &found) < 0)
        return -errno;
    int fd = -1;
    if (S_ISFIFO(found.st_mode)) {
        fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno == ENXIO)
            return -EPIPE;
    }
    if (fd < 0) {
        /* Of a file the position counts, which is shared likewise. */
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return -errno;
        if (!S_ISREG(found.st_mode))
            stop_waiting(fd);
    }
    /* What is printed now is no frame. */
    dup2(STDERR_FILENO, STDOUT_FILENO);
    return fd;
}

int pipe_outlet_open(struct pipe_outlet *outlet, const char *path, bool is_fifo) {
    *outlet = (struct pipe_outlet){.path = path, .fd = -1};
    const int flags = O_WRONLY | O_NONBLOCK | O_CLOEXEC | (is_fifo ? 0 : O_CREAT);
    const int fd = is_standard(path) ? open_standard() : open(path, flags, 0666);
    if (fd < 0)
        return is_standard(path) ? fd : -errno;
    struct stat found = {0};
    fstat(fd, &found);
    if (is_fifo && !S_ISFIFO(found.st_mode)) {
        close(fd);
        return -ENOENT;
    }
    outlet->fd = fd;
    outlet->is_file = S_ISREG(found.st_mode) && !is_standard(path);
    return 0;
}

void pipe_outlet_close(struct pipe_outlet *outlet) {
    if (outlet->fd < 0)
        return;
    if (outlet->fd == changed.fd)
        restore_flags();
    close(outlet->fd);
    outlet->fd = -1;
}

int pipe_outlet_push(struct pipe_outlet *outlet, struct pipe_message *message) {
    struct iovec piece[PIECES_MAX];
    while (!pipe_message_is_sent(message)) {
        const int pieces = pipe_message_peek(message, piece, PIECES_MAX);
        const ssize_t bytes = writev(outlet->fd, piece, pieces);
        if (bytes < 0 && errno != EINTR)
            return -errno;
        if (bytes < 0)
            continue;
        outlet->sent += (uint64_t)bytes;
        pipe_message_advance(message, (size_t)bytes);
    }
    outlet->whole = outlet->sent;
    return 0;
}

bool pipe_outlet_is_left(const struct pipe_outlet *outlet) {
    struct pollfd end = {.fd = outlet->fd};
    return poll(&end, 1, 0) > 0 && (end.revents & (POLLERR | POLLHUP));
}

int pipe_outlet_patch(struct pipe_outlet *outlet, uint64_t at, const void *data, size_t bytes) {
    return pwrite(outlet->fd, data, bytes, (off_t)at) == (ssize_t)bytes ? 0 : -errno;
}

int pipe_outlet_empty(struct pipe_outlet *outlet) {
    return outlet->is_file && ftruncate(outlet->fd, 0) < 0 ? -errno : 0;
}

void pipe_outlet_cut(struct pipe_outlet *outlet) {
    if (outlet->is_file && outlet->sent > outlet->whole)
        (void)!ftruncate(outlet->fd, (off_t)outlet->whole);
}
