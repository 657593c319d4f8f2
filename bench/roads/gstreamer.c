#include "gstreamer.h"

#include "program.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MODULE "gstreamer"

enum {
    EXTRA_BYTES = 4096,
    /* More that nobody has acknowledged would fill the sockets of both, each waiting for the other
     * to read its own. */
    BUFFERS_MAX = 128,
};

/* One is lent; some are on their way, and held by the slowest reader. */
static uint32_t find_buffers(const struct road_plan *plan) {
    return 1 + road_depth(plan, BUFFERS_MAX) + plan->held;
}

static size_t find_memory_bytes(const struct road_plan *plan) {
    return find_buffers(plan) * (GSTREAMER_HEAD_BYTES + plan->bytes + EXTRA_BYTES);
}

static const char *say_why_not(const struct road_plan *plan) {
    const char *lacking = library_why_not(MODULE, "libgstreamer-plugins-base1.0-dev");
    if (lacking)
        return lacking;
    if (access(GSTREAMER_PLUGINS "/libgstapp.so", R_OK) < 0)
        return "appsrc is not there: package gstreamer1.0-plugins-base";
    if (access(GSTREAMER_PLUGINS "/libgstshm.so", R_OK) < 0)
        return "shmsink is not there: package gstreamer1.0-plugins-bad";
    return find_memory_bytes(plan) > UINT32_MAX ? "shmsink has at most 4 GiB" : NULL;
}

/* Of its memory it bears the number of the writer's process. */
static void remove_names(void *prepared) {
    const struct gstreamer *gstreamer = prepared;
    char name[32];
    snprintf(name, sizeof(name), "/shmpipe.%5d.%5d", (int)gstreamer->writer_pid, 0);
    shm_unlink(name);
    unlink(gstreamer->path);
    rmdir(gstreamer->folder);
}

static void *prepare(const struct road_plan *plan) {
    struct gstreamer *gstreamer =
        mmap(NULL, sizeof(*gstreamer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (gstreamer == MAP_FAILED)
        program_fail("no memory for GStreamer: %m");
    *gstreamer = (struct gstreamer){.library = {MODULE, plan, remove_names},
                                    .buffers = find_buffers(plan),
                                    .memory_bytes = find_memory_bytes(plan),
                                    .folder = "/tmp/shmframe-bench.XXXXXX"};
    if (!mkdtemp(gstreamer->folder) || pipe2(gstreamer->started, O_CLOEXEC) < 0 ||
        pipe2(gstreamer->arrived, O_CLOEXEC) < 0)
        program_fail("no folder or pipe for GStreamer: %m");
    snprintf(gstreamer->path, sizeof(gstreamer->path), "%s/socket", gstreamer->folder);
    return gstreamer;
}

static void finish(void *prepared) {
    struct gstreamer *gstreamer = prepared;
    remove_names(gstreamer);
    close(gstreamer->started[0]);
    close(gstreamer->started[1]);
    close(gstreamer->arrived[0]);
    close(gstreamer->arrived[1]);
    munmap(gstreamer, sizeof(*gstreamer));
}

const struct road road_gstreamer = {
    .name = "gstreamer",
    .title = "GStreamer, shmsink",
    .how = "appsrc ! shmsink and shmsrc ! appsink, not synchronised; written in the sink's own "
           "memory, through a pool of buffers",
    .why_not = say_why_not,
    .prepare = prepare,
    .finish = finish,
    LIBRARY_MEMBERS,
};
