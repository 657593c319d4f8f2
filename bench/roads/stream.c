#include "stream.h"

#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Messages up to this size are read as many at a time as there are, into READ_BYTES; larger ones
 * each into its own place. */
enum { SMALL_BYTES = 16 << 10, READ_BYTES = 64 << 10, PAGE_BYTES = 4096 };

struct side {
    struct stream *stream;
    struct road_count *count;
    size_t bytes;   /* of a message: parcel and payload, one behind the other */
    uint8_t *place; /* of the writer's first message; its payload begins a page */
    void *memory;   /* that it lies in */
};

struct reader_side {
    struct side side;
    int fd;
    bool is_small, is_waiting_for_all;
    size_t next, filled; /* small: of `place`, what was not given out, and what was read */
    uint8_t **buffer;    /* otherwise: as many as may be held */
    uint32_t turn;
};

struct stream *stream_create(const struct road_plan *plan) {
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        program_fail("no memory for a road");
    stream->plan = plan;
    memset(stream->end, -1, sizeof(stream->end));
    return stream;
}

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Of a side's own process: whoever dies is noticed at the other end. `reader` ROAD_READERS_MAX: of
 * the writer. */
static void close_others(struct stream *stream, uint32_t reader) {
    for (uint32_t i = 0; i < ROAD_READERS_MAX; i++) {
        if (i != reader)
            close_end(&stream->end[i][0]);
        if (reader != ROAD_READERS_MAX)
            close_end(&stream->end[i][1]);
    }
}

void stream_finish(void *prepared) {
    struct stream *stream = prepared;
    for (uint32_t i = 0; i < ROAD_READERS_MAX; i++) {
        close_end(&stream->end[i][0]);
        close_end(&stream->end[i][1]);
    }
    free(stream);
}

size_t stream_kernel_bytes(void *prepared) {
    const struct stream *stream = prepared;
    return stream->kernel_bytes * stream->plan->readers;
}

static uint8_t *make_place(size_t messages_bytes, void **out_memory) {
    uint8_t *memory = road_make_buffer(PAGE_BYTES + messages_bytes);
    *out_memory = memory;
    return memory + PAGE_BYTES - sizeof(struct parcel);
}

static struct side start_side(struct stream *stream, struct road_count *count) {
    return (struct side){
        .stream = stream,
        .count = count,
        .bytes = sizeof(struct parcel) + stream->plan->bytes,
    };
}

/* ---- the writer ---- */

void *stream_writer_open(void *prepared, struct road_count *count) {
    struct side *writer = calloc(1, sizeof(*writer));
    if (!writer)
        program_fail("no memory for a writer");
    *writer = start_side(prepared, count);
    const struct road_plan *plan = writer->stream->plan;
    writer->place = make_place(plan->batch * writer->bytes, &writer->memory);
    signal(SIGPIPE, SIG_IGN);
    close_others(writer->stream, ROAD_READERS_MAX);
    /* One reader that is slow holds up no other; where there is no other, the call may wait. */
    for (uint32_t i = 0; plan->readers > 1 && i < plan->readers; i++)
        fcntl(writer->stream->end[i][1], F_SETFL, O_NONBLOCK);
    return writer;
}

void stream_writer_close(void *side) {
    struct side *writer = side;
    free(writer->memory);
    free(writer);
}

void stream_lend(void *side, uint32_t count, uint8_t **out_data) {
    struct side *writer = side;
    for (uint32_t i = 0; i < count; i++)
        out_data[i] = writer->place + i * writer->bytes + sizeof(struct parcel);
}

/* As much as fits now; returns whether all is gone. */
static bool push(struct side *writer, int fd, size_t bytes, size_t *sent) {
    const size_t most = writer->stream->packet_bytes ? writer->stream->packet_bytes : bytes;
    while (*sent < bytes) {
        const size_t left = bytes - *sent;
        const ssize_t done = write(fd, writer->place + *sent, left < most ? left : most);
        writer->count->calls++;
        if (done < 0 && errno == EAGAIN)
            return false;
        if (done < 0 && errno != EINTR)
            program_fail("a reader is gone: %m");
        if (done > 0) {
            *sent += (size_t)done;
            writer->count->copied += (uint64_t)done;
        }
    }
    return true;
}

void stream_send(void *side, const struct parcel *parcels, uint32_t count) {
    struct side *writer = side;
    const struct stream *stream = writer->stream;
    size_t sent[ROAD_READERS_MAX] = {0};
    for (uint32_t i = 0; i < count; i++)
        memcpy(writer->place + i * writer->bytes, &parcels[i], sizeof(parcels[i]));
    for (;;) {
        struct pollfd waiting[ROAD_READERS_MAX];
        nfds_t left = 0;
        for (uint32_t i = 0; i < stream->plan->readers; i++)
            if (!push(writer, stream->end[i][1], count * writer->bytes, &sent[i]))
                waiting[left++] = (struct pollfd){.fd = stream->end[i][1], .events = POLLOUT};
        if (left == 0)
            return;
        poll(waiting, left, -1);
        writer->count->calls++;
    }
}

/* ---- a reader ---- */

void *stream_reader_open(void *prepared, uint32_t number, struct road_count *count) {
    struct reader_side *reader = calloc(1, sizeof(*reader));
    if (!reader)
        program_fail("no memory for a reader");
    reader->side = start_side(prepared, count);
    struct side *side = &reader->side;
    const struct road_plan *plan = side->stream->plan;
    reader->is_small = side->bytes <= SMALL_BYTES && plan->held == plan->batch;
    reader->is_waiting_for_all =
        side->stream->is_socket && !side->stream->packet_bytes && !reader->is_small;
    reader->fd = side->stream->end[number][0];
    close_others(side->stream, number);
    if (reader->is_small)
        side->place = make_place(READ_BYTES, &side->memory);
    else if (!(reader->buffer = calloc(plan->held, sizeof(*reader->buffer))))
        program_fail("no memory for a reader");
    for (uint32_t i = 0; reader->buffer && i < plan->held; i++)
        reader->buffer[i] = road_make_buffer(PAGE_BYTES + side->bytes);
    return reader;
}

void stream_reader_close(void *side) {
    struct reader_side *reader = side;
    free(reader->side.memory);
    for (uint32_t i = 0; reader->buffer && i < reader->side.stream->plan->held; i++)
        free(reader->buffer[i]);
    free(reader->buffer);
    free(reader);
}

static size_t pull(struct reader_side *reader, uint8_t *place, size_t room) {
    for (;;) {
        const ssize_t done = reader->is_waiting_for_all ? recv(reader->fd, place, room, MSG_WAITALL)
                                                        : read(reader->fd, place, room);
        reader->side.count->calls++;
        if (done == 0 || (done < 0 && errno != EINTR))
            program_fail("the writer is gone");
        if (done > 0) {
            reader->side.count->copied += (uint64_t)done;
            return (size_t)done;
        }
    }
}

static void take(const uint8_t *place, struct message *out_message) {
    memcpy(&out_message->parcel, place, sizeof(out_message->parcel));
    out_message->data = place + sizeof(out_message->parcel);
}

/* All that were given out are released: their places are free. */
static uint32_t receive_small(struct reader_side *reader, uint32_t count, struct message *out) {
    struct side *side = &reader->side;
    if (reader->filled - reader->next < side->bytes) {
        reader->filled -= reader->next;
        memmove(side->place, side->place + reader->next, reader->filled);
        reader->next = 0;
        while (reader->filled < side->bytes)
            reader->filled +=
                pull(reader, side->place + reader->filled, READ_BYTES - reader->filled);
    }
    uint32_t taken = 0;
    for (; taken < count && reader->filled - reader->next >= side->bytes; taken++) {
        take(side->place + reader->next, &out[taken]);
        reader->next += side->bytes;
    }
    return taken;
}

uint32_t stream_receive(void *side, uint32_t count, struct message *out_messages) {
    struct reader_side *reader = side;
    if (reader->is_small)
        return receive_small(reader, count, out_messages);
    uint8_t *place = reader->buffer[reader->turn++ % reader->side.stream->plan->held] + PAGE_BYTES -
                     sizeof(struct parcel);
    for (size_t got = 0; got < reader->side.bytes;)
        got += pull(reader, place + got, reader->side.bytes - got);
    take(place, out_messages);
    return 1;
}

void stream_release(void *side, const struct message *messages, uint32_t count) {
    (void)side, (void)messages, (void)count;
}
