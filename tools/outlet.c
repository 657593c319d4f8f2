#include "outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <shmframe/clock.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLOSE_NS INT64_C(1000000000)

enum { KEPT_MAX = 256 << 10, GAP_BYTES = 96, LINE_BYTES = 2048 };

/* The flags of the descriptor are its other users' as well, so one of our own is opened. */
static int reopen(int fd) {
    struct stat info;
    char path[32];
    if (fstat(fd, &info) < 0 || (!S_ISFIFO(info.st_mode) && !isatty(fd)))
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void outlet_open(struct outlet *outlet, int fd, bool tells_gaps) {
    struct stat info;
    const int own_fd = reopen(fd);
    *outlet = (struct outlet){.fd = own_fd >= 0 ? own_fd : fd,
                              .own_fd = own_fd,
                              .is_socket = fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode),
                              .tells_gaps = tells_gaps,
                              .text = malloc(KEPT_MAX)};
    if (!outlet->text)
        outlet->fd = -1;
}

int outlet_poll_fd(const struct outlet *outlet) {
    return outlet->bytes > 0 ? outlet->fd : -1;
}

/* One that polls writable takes so much without waiting: a pipe by pipe(7), a file ever. */
static ssize_t write_some(const struct outlet *outlet) {
    struct pollfd polled = {.fd = outlet->fd, .events = POLLOUT};
    const size_t bytes = outlet->bytes < PIPE_BUF ? outlet->bytes : PIPE_BUF;
    if (outlet->is_socket)
        return send(outlet->fd, outlet->text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (outlet->own_fd < 0 && poll(&polled, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(outlet->fd, outlet->text, bytes);
}

void outlet_flush(struct outlet *outlet) {
    while (outlet->bytes > 0 && outlet->fd >= 0) {
        const ssize_t written = write_some(outlet);
        if (written < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (written <= 0) {
            outlet->fd = -1;
            outlet->bytes = 0;
            return;
        }
        outlet->bytes -= (size_t)written;
        memmove(outlet->text, outlet->text + written, outlet->bytes);
    }
}

static void keep(struct outlet *outlet, const char *text, size_t bytes) {
    memcpy(outlet->text + outlet->bytes, text, bytes);
    outlet->bytes += bytes;
}

static void tell_gap(struct outlet *outlet) {
    char line[GAP_BYTES];
    if (outlet->dropped == 0 || !outlet->tells_gaps)
        return;
    const int length =
        snprintf(line, sizeof(line), "\n... %" PRIu64 " lines left out: nobody took them in time\n",
                 outlet->dropped);
    outlet->dropped = 0;
    keep(outlet, line, (size_t)length);
}

static uint64_t count_lines(const char *text, size_t bytes) {
    uint64_t lines = 0;
    for (const char *end = text + bytes; (text = memchr(text, '\n', (size_t)(end - text))); text++)
        lines++;
    return lines;
}

void outlet_add(struct outlet *outlet, const char *text, size_t bytes) {
    outlet_flush(outlet);
    if (outlet->fd < 0)
        return;
    if (outlet->bytes + bytes + GAP_BYTES > KEPT_MAX || (outlet->dropped && outlet->bytes)) {
        outlet->dropped += count_lines(text, bytes);
        return;
    }
    tell_gap(outlet);
    keep(outlet, text, bytes);
    outlet_flush(outlet);
}

void outlet_print(struct outlet *outlet, const char *text, ...) {
    char line[LINE_BYTES];
    va_list values;
    va_start(values, text);
    const int length = vsnprintf(line, sizeof(line), text, values);
    va_end(values);
    if (length > 0)
        outlet_add(outlet, line, length < LINE_BYTES ? (size_t)length : LINE_BYTES - 1);
}

void outlet_close(struct outlet *outlet) {
    const int64_t deadline_ns = shmframe_deadline_ns(CLOSE_NS);
    for (;;) {
        outlet_flush(outlet);
        const int64_t left_ns = deadline_ns - shmframe_now_ns();
        struct pollfd polled = {.fd = outlet_poll_fd(outlet), .events = POLLOUT};
        if (polled.fd < 0 || left_ns <= 0)
            break;
        poll(&polled, 1, (int)(left_ns / 1000000) + 1);
    }
    if (outlet->own_fd >= 0)
        close(outlet->own_fd);
    free(outlet->text);
    *outlet = (struct outlet){.fd = -1, .own_fd = -1};
}

bool outlet_has_failed(const struct outlet *outlet) {
    struct pollfd polled = {.fd = outlet->fd, .events = POLLOUT};
    return outlet->fd < 0 || (poll(&polled, 1, 0) > 0 && (polled.revents & POLLERR));
}
