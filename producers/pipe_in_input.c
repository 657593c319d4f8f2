#include "pipe_in_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECES_MAX = 1024, /* IOV_MAX of Linux */
    SLICE_MS = 10,     /* between two looks for more, where poll() cannot tell */
    PIPE_BYTES = 1 << 20,
};

void pipe_in_input_open(struct pipe_in_input *input, const char *path) {
    const bool is_standard = strcmp(path, "-") == 0;
    /* Without O_NONBLOCK the call would wait for a FIFO's writer. */
    const int fd = is_standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                               : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat found;
    if (fd < 0 || fstat(fd, &found) < 0)
        program_fail("%s cannot be read: %m", path);
    if (S_ISDIR(found.st_mode))
        program_fail("%s cannot be read: it is a folder", path);
    pipe_in_input_close(input);
    input->path = path;
    input->fd = fd;
    input->is_fifo = S_ISFIFO(found.st_mode) && !is_standard;
    input->is_file = S_ISREG(found.st_mode);
    /* Fewer, larger reads; what is not allowed is not needed. */
    if (S_ISFIFO(found.st_mode) && fcntl(fd, F_GETPIPE_SZ) < PIPE_BYTES)
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
}

void pipe_in_input_close(struct pipe_in_input *input) {
    if (input->fd >= 0)
        close(input->fd);
    input->fd = -1;
}

void pipe_in_input_keep(const struct pipe_in_input *input) {
    fcntl(input->fd, F_SETFD, 0);
}

static int wait_alone(struct pipe_in_input *input) {
    struct pollfd polls[] = {
        {.fd = input->fd, .events = POLLIN},
        {.fd = program_stop_fd(), .events = POLLIN},
    };
    for (;;) {
        const int ready = poll(polls, 2, -1);
        if (program_is_stopping())
            return -EINTR;
        if (ready > 0 && polls[0].revents)
            return 0;
    }
}

int pipe_in_input_wait(struct pipe_in_input *input, int64_t deadline_ns) {
    if (!input->producer)
        return wait_alone(input);
    switch (producer_wait_for(input->producer, input->fd, deadline_ns)) {
    case PRODUCER_READY:
        return 0;
    case PRODUCER_ASKED:
        return -EAGAIN;
    case PRODUCER_DUE:
        return -ETIMEDOUT;
    case PRODUCER_STOP:
        break;
    }
    return -EINTR;
}

/* Waits inside a frame, whatever is asked meanwhile. A file needs no waiting. */
static int wait_for_more(struct pipe_in_input *input) {
    int result = 0;
    if (input->is_file)
        return program_is_stopping() ? -EINTR : 0;
    do
        result = pipe_in_input_wait(input, input->producer && input->is_live
                                               ? producer_end_ns(input->producer)
                                               : SHMFRAME_FOREVER);
    while (result == -EAGAIN);
    return result;
}

static void advance(struct iovec **pieces, size_t *count, size_t bytes) {
    while (*count && bytes >= (*pieces)->iov_len) {
        bytes -= (*pieces)->iov_len;
        (*pieces)++;
        (*count)--;
    }
    if (*count) {
        (*pieces)->iov_base = (uint8_t *)(*pieces)->iov_base + bytes;
        (*pieces)->iov_len -= bytes;
    }
}

int pipe_in_input_read(struct pipe_in_input *input, struct iovec *pieces, size_t count,
                       uint64_t *out_bytes) {
    uint64_t sum = 0;
    int result = 0;
    advance(&pieces, &count, 0); /* empty ones would look like the end */
    while (count && result == 0) {
        result = wait_for_more(input);
        if (result < 0)
            break;
        if (sum == 0)
            input->first_ns = shmframe_now_ns();
        const ssize_t bytes =
            readv(input->fd, pieces, count < PIECES_MAX ? (int)count : PIECES_MAX);
        if (bytes > 0) {
            sum += (uint64_t)bytes;
            advance(&pieces, &count, (size_t)bytes);
        } else if (bytes == 0) {
            result = sum ? -EPIPE : -ENODATA;
        } else if (errno != EAGAIN && errno != EINTR) {
            result = -errno;
        }
    }
    if (out_bytes)
        *out_bytes = sum;
    return result;
}

int pipe_in_input_skip(struct pipe_in_input *input, uint64_t bytes, uint64_t *out_bytes) {
    static uint8_t nowhere[1 << 16];
    uint64_t sum = 0;
    int result = 0;
    while (sum < bytes && result == 0) {
        const uint64_t left = bytes - sum;
        struct iovec piece = {nowhere, left < sizeof(nowhere) ? left : sizeof(nowhere)};
        uint64_t more;
        result = pipe_in_input_read(input, &piece, 1, &more);
        sum += more;
    }
    if (out_bytes)
        *out_bytes = sum;
    return result == -ENODATA && sum ? -EPIPE : result;
}

uint64_t pipe_in_input_left(const struct pipe_in_input *input) {
    struct stat found;
    const off_t at = lseek(input->fd, 0, SEEK_CUR);
    if (!input->is_file || at < 0 || fstat(input->fd, &found) < 0 || found.st_size < at)
        return 0;
    return (uint64_t)(found.st_size - at);
}

/* tee() leaves a pipe's bytes where they are; they are read from a pipe of our own. */
static int peek_pipe(int fd, uint8_t *out_bytes, int max) {
    int own[2];
    if (pipe2(own, O_CLOEXEC) < 0)
        return -errno;
    ssize_t bytes = tee(fd, own[1], (size_t)max, SPLICE_F_NONBLOCK);
    if (bytes > 0)
        bytes = read(own[0], out_bytes, (size_t)bytes);
    else if (bytes < 0)
        bytes = errno == EAGAIN ? 0 : -ENOTSUP;
    close(own[0]);
    close(own[1]);
    return (int)bytes;
}

static int peek_once(const struct pipe_in_input *input, uint8_t *out_bytes, int max) {
    struct stat found;
    if (fstat(input->fd, &found) < 0)
        return -errno;
    ssize_t bytes = -1;
    if (S_ISFIFO(found.st_mode))
        return peek_pipe(input->fd, out_bytes, max);
    if (S_ISREG(found.st_mode))
        bytes = pread(input->fd, out_bytes, (size_t)max, lseek(input->fd, 0, SEEK_CUR));
    else if (S_ISSOCK(found.st_mode))
        bytes = recv(input->fd, out_bytes, (size_t)max, MSG_PEEK | MSG_DONTWAIT);
    return bytes < 0 ? -ENOTSUP : (int)bytes;
}

/* Whether its writer has left: more will not come. */
static bool has_hung_up(const struct pipe_in_input *input) {
    struct pollfd end = {.fd = input->fd, .events = POLLIN};
    return poll(&end, 1, 0) > 0 && end.revents & POLLHUP;
}

int pipe_in_input_peek(struct pipe_in_input *input, uint8_t *out_bytes, int wanted, int max) {
    for (;;) {
        const int result = wait_for_more(input);
        if (result < 0)
            return result;
        const bool is_last = input->is_file || has_hung_up(input);
        const int bytes = peek_once(input, out_bytes, max);
        if (bytes < 0 || bytes >= wanted || is_last)
            return bytes;
        /* What is there already keeps poll() from waiting for more. */
        struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
        poll(&stop, 1, SLICE_MS);
    }
}
