#include "road.h"

#include "program.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libavutil/pixdesc.h>
#include <poll.h>
#include <shmframe/avframe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static const char STREAM[] = "bench-consumers";
#define OPEN_NS INT64_C(20000000000)
enum { DEPTH = 4, KERNEL_BYTES_MAX = 4 << 20 };

static_assert(sizeof(struct parcel) == 64, "a cache line");

const char *road_name(enum road road) {
    static const char *const names[] = {
        [ROAD_PRIVATE] = "none",
        [ROAD_RING] = "ring",
        [ROAD_SOCKET] = "socket",
        [ROAD_PIPE] = "pipe",
    };
    return names[road];
}

/* ---- making them ---- */

static uint8_t *make_frame(size_t bytes) {
    uint8_t *frame = aligned_alloc(4096, (bytes + SHMFRAME_TAIL_BYTES + 4095) / 4096 * 4096);
    if (!frame)
        program_fail("no memory for a frame");
    return frame;
}

/* Shades with some noise: no work on it finds a short cut. */
static uint8_t *paint(size_t bytes) {
    uint8_t *picture = make_frame(bytes);
    uint32_t noise = 1;
    for (size_t i = 0; i < bytes; i++) {
        noise = noise * 1664525 + 1013904223;
        picture[i] = (uint8_t)(64 + i / 64 % 96 + (noise >> 29));
    }
    return picture;
}

/* As much of a frame as the kernel lets it keep. */
static size_t make_socket(int end[2]) {
    const int wanted = KERNEL_BYTES_MAX;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end) < 0)
        program_fail("no sockets: %m");
    if (setsockopt(end[1], SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof(wanted)) < 0)
        (void)!setsockopt(end[1], SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
    int bytes = 0;
    socklen_t length = sizeof(bytes);
    (void)!getsockopt(end[1], SOL_SOCKET, SO_SNDBUF, &bytes, &length);
    return (size_t)bytes;
}

static size_t make_pipe(int end[2]) {
    if (pipe2(end, O_CLOEXEC) < 0)
        program_fail("no pipes: %m");
    int bytes = -1;
    for (int wanted = KERNEL_BYTES_MAX; bytes < 0 && wanted > 4096; wanted /= 2)
        bytes = fcntl(end[1], F_SETPIPE_SZ, wanted);
    return bytes > 0 ? (size_t)bytes : 0;
}

void roads_create(struct roads *roads, uint32_t width, uint32_t height) {
    struct shmframe_format *format = &roads->format;
    if (shmframe_format_video(format, "yuv420p", width, height) < 0 ||
        shmframe_format_complete(format) < 0)
        program_fail_call("format");
    const struct shmframe_plane *last = &format->plane[format->plane_count - 1];
    roads->frame_bytes = last->offset + (size_t)last->line_bytes * last->rows;
    roads->picture = paint(roads->frame_bytes);
    for (uint32_t i = 0; i < ROAD_READERS; i++) {
        roads->buffer_bytes[ROAD_SOCKET] = make_socket(roads->end[ROAD_SOCKET][i]);
        roads->buffer_bytes[ROAD_PIPE] = make_pipe(roads->end[ROAD_PIPE][i]);
        for (enum road road = ROAD_SOCKET; road <= ROAD_PIPE; road++)
            fcntl(roads->end[road][i][1], F_SETFL, O_NONBLOCK); /* one reader holds up no other */
    }
}

/* ---- the writer's side ---- */

void road_writer_open(struct road_writer *writer, const struct roads *roads) {
    *writer = (struct road_writer){.roads = roads, .buffer = make_frame(roads->frame_bytes)};
    writer->session = program_open_session();
    const struct shmframe_writer_params params = {
        .stream = STREAM, .format = roads->format, .flags = SHMFRAME_WRITER_LIVE};
    if (shmframe_writer_open(writer->session, &params, &writer->writer) < 0 ||
        shmframe_writer_wait_readers(writer->writer, ROAD_READERS, shmframe_deadline_ns(OPEN_NS)) <
            0)
        program_fail_call(STREAM);
    /* Touched before anything is measured, as the ring's slots are by its first frames. */
    memcpy(writer->buffer, roads->picture, roads->frame_bytes);
}

void road_writer_close(struct road_writer *writer) {
    shmframe_writer_close(writer->writer);
    program_close_session(writer->session);
    free(writer->buffer);
}

uint8_t *road_lend(struct road_writer *writer, enum road road) {
    if (road != ROAD_RING)
        return writer->buffer;
    if (shmframe_writer_loan(writer->writer, SHMFRAME_NOW, &writer->loan) < 0)
        program_fail_call("loan");
    return writer->loan.data;
}

static void publish(struct road_writer *writer, const struct parcel *parcel) {
    struct shmframe_frame *frame = &writer->loan.frame;
    frame->capture_ns = parcel->capture_ns;
    frame->flags |= SHMFRAME_HAS_USER;
    frame->user[0] = (uint8_t)parcel->is_last;
    if (shmframe_writer_publish(writer->writer, &writer->loan) < 0)
        program_fail_call("publish");
}

/* As much as fits now; returns whether all is gone. */
static bool push(struct road_writer *writer, int fd, const struct parcel *parcel, size_t *sent) {
    const size_t head = sizeof(*parcel), all = head + writer->roads->frame_bytes;
    while (*sent < all) {
        const size_t of_head = *sent < head ? *sent : head, of_frame = *sent - of_head;
        const struct iovec parts[] = {
            {(uint8_t *)parcel + of_head, head - of_head},
            {writer->buffer + of_frame, writer->roads->frame_bytes - of_frame},
        };
        const int first = of_head == head;
        const ssize_t bytes = writev(fd, parts + first, 2 - first);
        if (bytes < 0 && errno == EAGAIN)
            return false;
        if (bytes < 0 && errno != EINTR)
            program_fail("a reader is gone: %m");
        if (bytes > 0) {
            *sent += (size_t)bytes;
            writer->copied += (uint64_t)bytes;
        }
    }
    return true;
}

/* To whoever takes: a reader that is slow holds up the next frame, not the others. */
static void push_to_all(struct road_writer *writer, enum road road, const struct parcel *parcel) {
    size_t sent[ROAD_READERS] = {0};
    for (;;) {
        struct pollfd waiting[ROAD_READERS];
        nfds_t count = 0;
        for (uint32_t i = 0; i < ROAD_READERS; i++) {
            const int fd = writer->roads->end[road][i][1];
            if (!push(writer, fd, parcel, &sent[i]))
                waiting[count++] = (struct pollfd){.fd = fd, .events = POLLOUT};
        }
        if (count == 0)
            return;
        poll(waiting, count, -1);
    }
}

void road_send(struct road_writer *writer, enum road road, const struct parcel *parcel) {
    switch (road) {
    case ROAD_PRIVATE:
        break;
    case ROAD_RING:
        publish(writer, parcel);
        break;
    case ROAD_SOCKET:
    case ROAD_PIPE:
        push_to_all(writer, road, parcel);
        break;
    case ROADS:
        break;
    }
}

/* ---- a reader's side ---- */

void road_reader_open(struct road_reader *reader, const struct roads *roads, uint32_t number,
                      uint32_t buffers) {
    *reader = (struct road_reader){.roads = roads, .number = number, .buffers = buffers};
    for (uint32_t i = 0; i < buffers; i++) {
        reader->buffer[i] = make_frame(roads->frame_bytes);
        memcpy(reader->buffer[i], roads->picture, roads->frame_bytes);
    }
    reader->session = program_open_session();
    const struct shmframe_reader_params params = {
        .stream = STREAM,
        .policy = SHMFRAME_IN_ORDER,
        .depth = DEPTH,
        .leases = buffers,
        .deadline_ns = shmframe_deadline_ns(OPEN_NS),
    };
    if (shmframe_reader_open(reader->session, &params, &reader->reader) < 0)
        program_fail_call(STREAM);
}

void road_reader_close(struct road_reader *reader) {
    shmframe_reader_close(reader->reader);
    program_close_session(reader->session);
    for (uint32_t i = 0; i < reader->buffers; i++)
        free(reader->buffer[i]);
}

static AVFrame *take_lease(struct road_reader *reader, struct shmframe_frame *out_stamps) {
    struct shmframe_lease lease;
    AVFrame *frame;
    if (shmframe_reader_acquire(reader->reader, SHMFRAME_FOREVER, &lease) < 0)
        program_fail_call("acquire");
    *out_stamps = lease.frame;
    if (shmframe_avframe_from_lease(&lease, &frame) < 0)
        program_fail_call("AVFrame");
    return frame;
}

static void keep(void *opaque, uint8_t *data) {
    (void)opaque, (void)data;
}

static AVFrame *wrap(const struct roads *roads, uint8_t *data) {
    AVFrame *frame = av_frame_alloc();
    if (frame)
        frame->buf[0] =
            av_buffer_create(data, roads->frame_bytes, keep, NULL, AV_BUFFER_FLAG_READONLY);
    if (!frame || !frame->buf[0])
        program_fail("no memory for an AVFrame");
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = (int)roads->format.video.width;
    frame->height = (int)roads->format.video.height;
    for (uint32_t i = 0; i < roads->format.plane_count; i++) {
        frame->data[i] = data + roads->format.plane[i].offset;
        frame->linesize[i] = (int)roads->format.plane[i].line_bytes;
    }
    return frame;
}

static void pull(struct road_reader *reader, enum road road, struct parcel *parcel, uint8_t *data) {
    const int fd = reader->roads->end[road][reader->number][0];
    const size_t head = sizeof(*parcel), all = head + reader->roads->frame_bytes;
    for (size_t got = 0; got < all;) {
        const size_t of_head = got < head ? got : head, of_frame = got - of_head;
        struct iovec parts[] = {
            {(uint8_t *)parcel + of_head, head - of_head},
            {data + of_frame, reader->roads->frame_bytes - of_frame},
        };
        const int first = of_head == head;
        struct msghdr message = {.msg_iov = parts + first, .msg_iovlen = (size_t)(2 - first)};
        const ssize_t bytes = road == ROAD_SOCKET ? recvmsg(fd, &message, MSG_WAITALL)
                                                  : readv(fd, parts + first, 2 - first);
        if (bytes == 0 || (bytes < 0 && errno != EINTR))
            program_fail("the writer is gone");
        if (bytes > 0) {
            got += (size_t)bytes;
            reader->copied += (uint64_t)bytes;
        }
    }
}

AVFrame *road_receive(struct road_reader *reader, enum road road, struct shmframe_frame *out_stamps,
                      bool *out_is_last) {
    if (road == ROAD_RING) {
        AVFrame *frame = take_lease(reader, out_stamps);
        *out_is_last = out_stamps->user[0];
        return frame;
    }
    uint8_t *data = reader->buffer[reader->next++ % reader->buffers];
    struct parcel parcel = {.number = reader->next};
    if (road == ROAD_PRIVATE)
        parcel.capture_ns = shmframe_now_ns();
    else
        pull(reader, road, &parcel, data);
    *out_stamps = (struct shmframe_frame){
        .sequence = parcel.number, .capture_ns = parcel.capture_ns, .pts = SHMFRAME_NO_PTS};
    *out_is_last = parcel.is_last;
    return wrap(reader->roads, data);
}

uint64_t road_lost(const struct road_reader *reader) {
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader->reader, &counters);
    return counters.lost_late + counters.lost_restart;
}
