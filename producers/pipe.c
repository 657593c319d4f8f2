#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 64 << 10, /* what a pipe holds */
    SLICE_MS = 100,          /* between two looks at the interrupt, as FFmpeg's own waits */
};

/* The number in "-", "pipe:" and "pipe:3"; -1: it is neither. */
static int find_descriptor(const char *url) {
    if (!strcmp(url, "-") || !strcmp(url, "pipe:"))
        return STDIN_FILENO;
    if (strncmp(url, "pipe:", 5) != 0)
        return -1;
    char *end;
    const long number = strtol(url + 5, &end, 10);
    return *end || number < 0 || number > 1 << 20 ? -1 : (int)number;
}

bool pipe_is_meant(const char *url) {
    struct stat found;
    return find_descriptor(url) >= 0 || (stat(url, &found) == 0 && !S_ISREG(found.st_mode) &&
                                         !S_ISDIR(found.st_mode) && !S_ISBLK(found.st_mode));
}

static int read_bytes(void *user, uint8_t *data, int bytes) {
    const struct pipe *pipe = user;
    for (;;) {
        struct pollfd wait = {.fd = pipe->fd, .events = POLLIN};
        if (pipe->interrupt.callback(pipe->interrupt.opaque))
            return AVERROR_EXIT;
        if (poll(&wait, 1, SLICE_MS) <= 0)
            continue;
        const ssize_t count = read(pipe->fd, data, (size_t)bytes);
        if (count > 0)
            return (int)count;
        if (count == 0)
            return AVERROR_EOF;
        if (errno != EAGAIN && errno != EINTR)
            return AVERROR(errno);
    }
}

int pipe_open(struct pipe *pipe, const char *url, AVIOInterruptCB interrupt) {
    const int given = find_descriptor(url);
    /* Without O_NONBLOCK the call would wait for a writer. */
    const int fd = given >= 0 ? given : open(url, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return AVERROR(errno);
    pipe_close(pipe);
    *pipe = (struct pipe){.interrupt = interrupt, .fd = fd, .is_ours = given < 0};
    uint8_t *buffer = av_malloc(BUFFER_BYTES);
    if (buffer)
        pipe->io = avio_alloc_context(buffer, BUFFER_BYTES, 0, pipe, read_bytes, NULL, NULL);
    if (pipe->io)
        return 0;
    av_free(buffer);
    return AVERROR(ENOMEM);
}

void pipe_detach(struct pipe *pipe) {
    if (pipe->io)
        av_freep(&pipe->io->buffer);
    avio_context_free(&pipe->io);
}

void pipe_close(struct pipe *pipe) {
    pipe_detach(pipe);
    if (pipe->fd >= 0 && pipe->is_ours)
        close(pipe->fd);
    pipe->fd = -1;
}
