#include "slices.h"

#include "program.h"
#include "supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define AHEAD_NS 5000000 /* from the meeting to the first picture */
enum { COPIES = 8, COPY_BUFFERS = 4 };

static struct slices *slices; /* shared by all */
static struct roads roads;

static int64_t read_processor_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void sleep_until(int64_t instant_ns) {
    const struct timespec instant = {.tv_sec = instant_ns / 1000000000,
                                     .tv_nsec = instant_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &instant, NULL) == EINTR)
        ;
}

static void meet(void) {
    pthread_barrier_wait(&slices->barrier);
}

/* The first round warms everything up and is not kept. */
static struct slice *find_slice(uint32_t round, enum road road, uint32_t peer) {
    static struct slice unused;
    return round == 0 ? &unused : &slices->slice[round - 1][road][peer];
}

/* ---- the writer ---- */

struct sums {
    int64_t work_ns;
    uint64_t frames;
};

static void write_frame(struct road_writer *writer, enum road road, bool is_last,
                        struct sums *sums) {
    uint8_t *data = road_lend(writer, road); /* the ring's loan is no work, but its transport */
    const int64_t begin_ns = read_processor_ns();
    memcpy(data, roads.picture, roads.frame_bytes);
    sums->work_ns += read_processor_ns() - begin_ns;
    const struct parcel parcel = {
        .number = ++sums->frames, .capture_ns = shmframe_now_ns(), .is_last = is_last};
    road_send(writer, road, &parcel);
}

static void write_slice(struct road_writer *writer, enum road road, uint32_t round) {
    const struct slices_plan *plan = &slices->plan;
    struct sums sums = {0};
    uint64_t dropped = 0;
    slices->start_ns = shmframe_now_ns() + AHEAD_NS;
    meet();
    writer->copied = 0;
    const int64_t begin_ns = read_processor_ns();
    for (uint32_t i = 0; i < plan->frames; i++) {
        const int64_t due_ns = slices->start_ns + i * plan->period_ns;
        const bool is_last = i + 1 == plan->frames;
        const bool is_overdue = shmframe_now_ns() > due_ns + plan->period_ns;
        if (is_overdue && !is_last && road != ROAD_PRIVATE) {
            dropped++;
            continue;
        }
        sleep_until(due_ns);
        write_frame(writer, road, is_last, &sums);
    }
    *find_slice(round, road, SLICES_WRITER) =
        (struct slice){read_processor_ns() - begin_ns, sums.work_ns, writer->copied};
    if (round > 0) {
        slices->sent[round - 1][road] = sums.frames;
        slices->dropped[road] += dropped;
    }
    meet();
}

/* A frame's bytes from one place to another, neither of them in the nearest caches. */
static int64_t measure_copy(uint8_t *const buffer[COPY_BUFFERS]) {
    const int64_t begin_ns = read_processor_ns();
    for (int i = 0; i < COPIES; i++)
        memcpy(buffer[i % COPY_BUFFERS], buffer[(i + 2) % COPY_BUFFERS], roads.frame_bytes);
    return (read_processor_ns() - begin_ns) / COPIES;
}

static void run_writer(void *argument) {
    (void)argument;
    struct road_writer writer;
    uint8_t *buffer[COPY_BUFFERS];
    for (int i = 0; i < COPY_BUFFERS; i++) {
        if (!(buffer[i] = malloc(roads.frame_bytes)))
            program_fail("no memory for a frame");
        memcpy(buffer[i], roads.picture, roads.frame_bytes);
    }
    road_writer_open(&writer, &roads);
    meet();
    for (uint32_t round = 0; round <= slices->plan.repeats; round++) {
        for (enum road road = ROAD_PRIVATE; road < ROADS; road++)
            write_slice(&writer, road, round);
        if (round > 0)
            slices->copy_ns[round - 1] = measure_copy(buffer);
    }
    road_writer_close(&writer);
    for (int i = 0; i < COPY_BUFFERS; i++)
        free(buffer[i]);
}

/* ---- the readers ---- */

static void read_slice(struct road_reader *reader, struct work *work, enum road road,
                       uint32_t round) {
    const struct slices_plan *plan = &slices->plan;
    struct sums sums = {0};
    const uint64_t lost_before = road_lost(reader);
    meet();
    reader->copied = 0;
    const int64_t begin_ns = read_processor_ns();
    for (bool is_last = false; !is_last;) {
        struct shmframe_frame stamps;
        if (road == ROAD_PRIVATE)
            sleep_until(slices->start_ns + (int64_t)sums.frames * plan->period_ns);
        AVFrame *frame = road_receive(reader, road, &stamps, &is_last);
        const int64_t age_ns = shmframe_now_ns() - stamps.capture_ns;
        const int64_t work_ns = read_processor_ns();
        work_do(work, frame, &stamps);
        sums.work_ns += read_processor_ns() - work_ns;
        av_frame_free(&frame);
        sums.frames++;
        is_last = is_last || (road == ROAD_PRIVATE && sums.frames == plan->frames);
        if (round > 0)
            shmframe_histogram_add(&slices->age[road][reader->number], age_ns);
    }
    *find_slice(round, road, reader->number) =
        (struct slice){read_processor_ns() - begin_ns, sums.work_ns, reader->copied};
    if (round > 0 && road == ROAD_RING) /* the others lose nothing: their writer waits */
        __atomic_fetch_add(&slices->lost[road], road_lost(reader) - lost_before, __ATOMIC_RELAXED);
    meet();
}

static void run_reader(void *argument) {
    const uint32_t number = (uint32_t)(uintptr_t)argument;
    const enum work_kind kind = (enum work_kind)number;
    struct road_reader reader;
    struct work *work = work_create(kind, &roads.format);
    road_reader_open(&reader, &roads, number, work_frames(kind));
    meet();
    for (uint32_t round = 0; round <= slices->plan.repeats; round++)
        for (enum road road = ROAD_PRIVATE; road < ROADS; road++)
            read_slice(&reader, work, road, round);
    work_destroy(work); /* with the frames that it keeps */
    road_reader_close(&reader);
}

/* ---- all of them ---- */

struct slices *slices_run(const struct slices_plan *plan) {
    slices = mmap(NULL, sizeof(*slices), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (slices == MAP_FAILED)
        program_fail("no memory: %m");
    slices->plan = *plan;
    roads_create(&roads, plan->width, plan->height);
    slices->frame_bytes = roads.frame_bytes;
    memcpy(slices->buffer_bytes, roads.buffer_bytes, sizeof(slices->buffer_bytes));
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&slices->barrier, &shared, SLICES_PEERS);
    pthread_barrierattr_destroy(&shared);
    pid_t pids[SLICES_PEERS];
    for (uint32_t i = 0; i < ROAD_READERS; i++)
        pids[i] = process_start(run_reader, (void *)(uintptr_t)i);
    pids[SLICES_WRITER] = process_start(run_writer, NULL);
    process_join(pids, SLICES_PEERS);
    return slices;
}

void slices_destroy(struct slices *done) {
    pthread_barrier_destroy(&done->barrier);
    munmap(done, sizeof(*done));
}
