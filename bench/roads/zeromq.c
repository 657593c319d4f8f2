#include "zeromq.h"

#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MODULE "zeromq"

enum {
    LARGE_BYTES = 64 << 10,
    HIGH_WATER = 1000, /* the library's default */
    DEPTH = 4,
};

static const char *say_why_not(const struct road_plan *plan) {
    (void)plan;
    return library_why_not(MODULE, "libzmq3-dev");
}

static void remove_names(void *prepared) {
    const struct zeromq *zeromq = prepared;
    unlink(zeromq->path);
    rmdir(zeromq->folder);
}

static void *prepare(const struct road_plan *plan) {
    struct zeromq *zeromq = calloc(1, sizeof(*zeromq));
    if (!zeromq)
        program_fail("no memory for ZeroMQ");
    const bool is_large = plan->bytes >= LARGE_BYTES;
    *zeromq = (struct zeromq){.library = {MODULE, plan, remove_names},
                              .folder = "/tmp/shmframe-bench.XXXXXX",
                              .depth = is_large ? road_depth(plan, DEPTH) : HIGH_WATER,
                              .is_large = is_large};
    if (!mkdtemp(zeromq->folder))
        program_fail("no folder for ZeroMQ: %m");
    snprintf(zeromq->path, sizeof(zeromq->path), "%s/socket", zeromq->folder);
    snprintf(zeromq->endpoint, sizeof(zeromq->endpoint), "ipc://%s", zeromq->path);
    return zeromq;
}

static void finish(void *prepared) {
    remove_names(prepared);
    free(prepared);
}

const struct road road_zeromq = {
    .name = "zeromq",
    .title = "ZeroMQ, ipc",
    .how = "XPUB to SUB with XPUB_NODROP, so that nothing is lost; high-water mark 1000, of large "
           "ones 4; one I/O thread a process",
    .copies_each = 2,
    .why_not = say_why_not,
    .prepare = prepare,
    .finish = finish,
    LIBRARY_MEMBERS,
};
