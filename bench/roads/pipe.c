#include "program.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WANTED_BYTES = 1 << 20 };

/* As much as the kernel lets it keep, up to what is wanted. */
static size_t enlarge(int fd) {
    int bytes = -1;
    for (int wanted = WANTED_BYTES; bytes < 0 && wanted > 4096; wanted /= 2)
        bytes = fcntl(fd, F_SETPIPE_SZ, wanted);
    bytes = fcntl(fd, F_GETPIPE_SZ);
    return bytes > 0 ? (size_t)bytes : 0;
}

static void *prepare_pipes(const struct road_plan *plan) {
    struct stream *stream = stream_create(plan);
    for (uint32_t i = 0; i < plan->readers; i++) {
        if (pipe2(stream->end[i], O_CLOEXEC) < 0)
            program_fail("no pipe: %m");
        stream->kernel_bytes = enlarge(stream->end[i][1]);
    }
    return stream;
}

/* Both ends of a FIFO, whose name is gone again. */
static void open_fifo(int end[2]) {
    char folder[] = "/tmp/shmframe-bench.XXXXXX", path[sizeof(folder) + 8];
    if (!mkdtemp(folder))
        program_fail("no folder for a FIFO: %m");
    snprintf(path, sizeof(path), "%s/fifo", folder);
    if (mkfifo(path, 0600) == 0) {
        end[0] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        end[1] = open(path, O_WRONLY | O_CLOEXEC);
        unlink(path);
    }
    rmdir(folder);
    if (end[0] < 0 || end[1] < 0 || fcntl(end[0], F_SETFL, 0) < 0)
        program_fail("no FIFO: %m");
}

static void *prepare_fifos(const struct road_plan *plan) {
    struct stream *stream = stream_create(plan);
    for (uint32_t i = 0; i < plan->readers; i++) {
        open_fifo(stream->end[i]);
        stream->kernel_bytes = enlarge(stream->end[i][1]);
    }
    return stream;
}

#define HOW                                                                                        \
    "one for each reader, of 1 MiB; one write a message; small ones read as many as there are"

const struct road road_pipe = {
    .name = "pipe", .title = "pipe", .how = HOW, .prepare = prepare_pipes, STREAM_MEMBERS};
const struct road road_fifo = {
    .name = "fifo", .title = "named pipe", .how = HOW, .prepare = prepare_fifos, STREAM_MEMBERS};
const struct road road_fifo_batched = {.name = "fifo-batched",
                                       .title = "named pipe, batched",
                                       .how = HOW ", and written up to 64 at a time",
                                       .batch = ROAD_BATCH_MAX,
                                       .prepare = prepare_fifos,
                                       STREAM_MEMBERS};
