#include "slices.h"

#include "program.h"
#include "supervisor.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define AHEAD_NS 5000000 /* from the meeting to the first picture */
enum { COPIES = 8, COPY_BUFFERS = 4 };

static struct slices *slices; /* shared by all */
static struct {
    struct shmframe_format format;
    size_t bytes; /* that are sent of it: its planes and what lies between them */
    uint8_t *data;
} picture; /* that all frames show */
static struct way {
    const struct road *road;
    struct road_plan plan;
    void *prepared;
} ways[SLICES_ROADS];

/* One process, on all roads. */
struct peer {
    uint32_t number;
    void *side[SLICES_ROADS];
    struct road_count count[SLICES_ROADS];
    uint8_t *buffer[WORK_FRAMES_MAX]; /* where there is no road */
};

const char *slices_road_name(enum slices_road road) {
    static const char *const names[] = {
        [SLICES_NONE] = "none",
        [SLICES_RING] = "ring",
        [SLICES_UNIX] = "unix",
        [SLICES_PIPE] = "pipe",
    };
    return names[road];
}

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
static struct slice *find_slice(uint32_t round, enum slices_road road, uint32_t peer) {
    static struct slice unused;
    return round == 0 ? &unused : &slices->slice[round - 1][road][peer];
}

static uint8_t *copy_picture(void) {
    uint8_t *copy = road_make_buffer(picture.bytes);
    memcpy(copy, picture.data, picture.bytes);
    return copy;
}

/* ---- the writer ---- */

struct sums {
    int64_t work_ns;
    uint64_t frames;
    uint64_t next, lost; /* a reader: number that is due, and those that did not come */
};

static void write_frame(struct peer *writer, enum slices_road which, bool is_last,
                        struct sums *sums) {
    const struct road *road = ways[which].road;
    uint8_t *data = writer->buffer[0];
    if (road) /* what it takes to get a place is no work, but its transport */
        road->lend(writer->side[which], 1, &data);
    const int64_t begin_ns = read_processor_ns();
    memcpy(data, picture.data, picture.bytes);
    sums->work_ns += read_processor_ns() - begin_ns;
    const struct parcel parcel = {
        .number = sums->frames++, .send_ns = shmframe_now_ns(), .flags = is_last ? PARCEL_LAST : 0};
    if (road)
        road->send(writer->side[which], &parcel, 1);
}

static void write_slice(struct peer *writer, enum slices_road road, uint32_t round) {
    const struct slices_plan *plan = &slices->plan;
    struct sums sums = {0};
    uint64_t dropped = 0;
    slices->start_ns = shmframe_now_ns() + AHEAD_NS;
    meet();
    writer->count[road].copied = 0;
    const int64_t begin_ns = read_processor_ns();
    for (uint32_t i = 0; i < plan->frames; i++) {
        const int64_t due_ns = slices->start_ns + i * plan->period_ns;
        const bool is_last = i + 1 == plan->frames;
        const bool is_overdue = shmframe_now_ns() > due_ns + plan->period_ns;
        if (is_overdue && !is_last && road != SLICES_NONE) {
            dropped++;
            continue;
        }
        sleep_until(due_ns);
        write_frame(writer, road, is_last, &sums);
    }
    *find_slice(round, road, SLICES_WRITER) =
        (struct slice){read_processor_ns() - begin_ns, sums.work_ns, writer->count[road].copied};
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
        memcpy(buffer[i % COPY_BUFFERS], buffer[(i + 2) % COPY_BUFFERS], picture.bytes);
    return (read_processor_ns() - begin_ns) / COPIES;
}

static void run_writer(void *argument) {
    struct peer writer = {.number = SLICES_WRITER, .buffer = {copy_picture()}};
    uint8_t *buffer[COPY_BUFFERS];
    (void)argument;
    for (int i = 0; i < COPY_BUFFERS; i++)
        buffer[i] = copy_picture();
    for (enum slices_road road = SLICES_RING; road < SLICES_ROADS; road++)
        writer.side[road] = ways[road].road->writer_open(ways[road].prepared, &writer.count[road]);
    meet();
    for (uint32_t round = 0; round <= slices->plan.repeats; round++) {
        for (enum slices_road road = SLICES_NONE; road < SLICES_ROADS; road++)
            write_slice(&writer, road, round);
        if (round > 0)
            slices->copy_ns[round - 1] = measure_copy(buffer);
    }
    for (enum slices_road road = SLICES_RING; road < SLICES_ROADS; road++)
        ways[road].road->writer_close(writer.side[road]);
    for (int i = 0; i < COPY_BUFFERS; i++)
        free(buffer[i]);
    free(writer.buffer[0]);
}

/* ---- the readers ---- */

/* What a frame gives back when nobody needs it any more. */
struct hold {
    const struct road *road;
    void *reader;
    struct message message;
};

static void let_go(void *opaque, uint8_t *data) {
    struct hold *hold = opaque;
    (void)data;
    if (hold->road)
        hold->road->release(hold->reader, &hold->message, 1);
    free(hold);
}

static AVFrame *wrap(struct hold *hold) {
    const struct shmframe_format *format = &picture.format;
    uint8_t *data = (uint8_t *)hold->message.data;
    AVFrame *frame = av_frame_alloc();
    if (frame)
        frame->buf[0] =
            av_buffer_create(data, picture.bytes, let_go, hold, AV_BUFFER_FLAG_READONLY);
    if (!frame || !frame->buf[0])
        program_fail("no memory for an AVFrame");
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = (int)format->video.width;
    frame->height = (int)format->video.height;
    for (uint32_t i = 0; i < format->plane_count; i++) {
        frame->data[i] = data + format->plane[i].offset;
        frame->linesize[i] = (int)format->plane[i].line_bytes;
    }
    return frame;
}

/* Waits for the next frame; the caller's to free. */
static AVFrame *receive(struct peer *reader, enum slices_road which, struct sums *sums,
                        struct parcel *out_parcel) {
    struct hold *hold = calloc(1, sizeof(*hold));
    if (!hold)
        program_fail("no memory for a frame");
    hold->road = ways[which].road;
    hold->reader = reader->side[which];
    if (hold->road) {
        hold->road->receive(hold->reader, 1, &hold->message);
    } else {
        sleep_until(slices->start_ns + (int64_t)sums->frames * slices->plan.period_ns);
        hold->message.data = reader->buffer[sums->frames % WORK_FRAMES_MAX];
        hold->message.parcel =
            (struct parcel){.number = sums->frames,
                            .send_ns = shmframe_now_ns(),
                            .flags = sums->frames + 1 == slices->plan.frames ? PARCEL_LAST : 0};
    }
    *out_parcel = hold->message.parcel;
    return wrap(hold);
}

static void read_slice(struct peer *reader, struct work *work, enum slices_road road,
                       uint32_t round) {
    struct sums sums = {0};
    meet();
    reader->count[road].copied = 0;
    const int64_t begin_ns = read_processor_ns();
    for (bool is_last = false; !is_last;) {
        struct parcel parcel;
        AVFrame *frame = receive(reader, road, &sums, &parcel);
        const int64_t age_ns = shmframe_now_ns() - parcel.send_ns;
        const int64_t work_ns = read_processor_ns();
        const struct shmframe_frame stamps = {
            .sequence = parcel.number + 1, .capture_ns = parcel.send_ns, .pts = SHMFRAME_NO_PTS};
        work_do(work, frame, &stamps);
        sums.work_ns += read_processor_ns() - work_ns;
        av_frame_free(&frame);
        sums.frames++;
        sums.lost += parcel.number - sums.next;
        sums.next = parcel.number + 1;
        is_last = parcel.flags & PARCEL_LAST;
        if (round > 0)
            shmframe_histogram_add(&slices->age[road][reader->number], age_ns);
    }
    *find_slice(round, road, reader->number) =
        (struct slice){read_processor_ns() - begin_ns, sums.work_ns, reader->count[road].copied};
    if (round > 0)
        __atomic_fetch_add(&slices->lost[road], sums.lost, __ATOMIC_RELAXED);
    meet();
}

static void run_reader(void *argument) {
    struct peer reader = {.number = (uint32_t)(uintptr_t)argument};
    struct work *work = work_create((enum work_kind)reader.number, &picture.format);
    for (int i = 0; i < WORK_FRAMES_MAX; i++)
        reader.buffer[i] = copy_picture();
    for (enum slices_road road = SLICES_RING; road < SLICES_ROADS; road++)
        reader.side[road] =
            ways[road].road->reader_open(ways[road].prepared, reader.number, &reader.count[road]);
    meet();
    for (uint32_t round = 0; round <= slices->plan.repeats; round++)
        for (enum slices_road road = SLICES_NONE; road < SLICES_ROADS; road++)
            read_slice(&reader, work, road, round);
    work_destroy(work); /* with the frames that it keeps */
    for (enum slices_road road = SLICES_RING; road < SLICES_ROADS; road++)
        ways[road].road->reader_close(reader.side[road]);
    for (int i = 0; i < WORK_FRAMES_MAX; i++)
        free(reader.buffer[i]);
}

/* ---- all of them ---- */

/* Shades with some noise: no work on it finds a short cut. */
static void paint(uint32_t width, uint32_t height) {
    struct shmframe_format *format = &picture.format;
    if (shmframe_format_video(format, "yuv420p", width, height) < 0 ||
        shmframe_format_complete(format) < 0)
        program_fail_call("format");
    const struct shmframe_plane *last = &format->plane[format->plane_count - 1];
    picture.bytes = last->offset + (size_t)last->line_bytes * last->rows;
    picture.data = road_make_buffer(picture.bytes);
    uint32_t noise = 1;
    for (size_t i = 0; i < picture.bytes; i++) {
        noise = noise * 1664525 + 1013904223;
        picture.data[i] = (uint8_t)(64 + i / 64 % 96 + (noise >> 29));
    }
}

static void prepare_ways(void) {
    for (enum slices_road which = SLICES_RING; which < SLICES_ROADS; which++) {
        struct way *way = &ways[which];
        way->road = road_find(slices_road_name(which));
        way->plan = (struct road_plan){.road = way->road,
                                       .bytes = picture.bytes,
                                       .readers = SLICES_READERS,
                                       .batch = 1,
                                       .held = WORK_FRAMES_MAX};
        way->prepared = way->road->prepare(&way->plan);
        if (way->road->kernel_bytes)
            slices->kernel_bytes[which] = way->road->kernel_bytes(way->prepared);
    }
}

struct slices *slices_run(const struct slices_plan *plan) {
    slices = mmap(NULL, sizeof(*slices), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (slices == MAP_FAILED)
        program_fail("no memory: %m");
    slices->plan = *plan;
    paint(plan->width, plan->height);
    slices->frame_bytes = picture.bytes;
    prepare_ways();
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&slices->barrier, &shared, SLICES_PEERS);
    pthread_barrierattr_destroy(&shared);
    pid_t pids[SLICES_PEERS];
    for (uint32_t i = 0; i < SLICES_READERS; i++)
        pids[i] = process_start(run_reader, (void *)(uintptr_t)i);
    pids[SLICES_WRITER] = process_start(run_writer, NULL);
    process_join(pids, SLICES_PEERS);
    for (enum slices_road road = SLICES_RING; road < SLICES_ROADS; road++)
        ways[road].road->finish(ways[road].prepared);
    free(picture.data);
    return slices;
}

void slices_destroy(struct slices *done) {
    pthread_barrier_destroy(&done->barrier);
    munmap(done, sizeof(*done));
}
