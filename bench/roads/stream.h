/* Byte stream: what roads share that carry a sequence of bytes over a descriptor for each reader:
 * pipes, FIFOs, sockets. Each message is its parcel and its payload. */
#ifndef BENCH_ROADS_STREAM_H
#define BENCH_ROADS_STREAM_H

#include "road.h"

struct stream {
    const struct road_plan *plan;
    int end[ROAD_READERS_MAX][2]; /* to read from, to write into */
    size_t kernel_bytes;          /* of one connection's buffers */
    size_t packet_bytes; /* that one call carries at most, and keeps apart; 0: no such bound */
    bool is_socket;
};

/* What a road's prepare() begins with: no descriptors yet. */
struct stream *stream_create(const struct road_plan *plan);

/* For the table; `prepared` is a struct stream. */
void stream_finish(void *prepared);
size_t stream_kernel_bytes(void *prepared);
void *stream_writer_open(void *prepared, struct road_count *count);
void stream_lend(void *writer, uint32_t count, uint8_t **out_data);
void stream_send(void *writer, const struct parcel *parcels, uint32_t count);
void stream_writer_close(void *writer);
void *stream_reader_open(void *prepared, uint32_t number, struct road_count *count);
uint32_t stream_receive(void *reader, uint32_t count, struct message *out_messages);
void stream_release(void *reader, const struct message *messages, uint32_t count);
void stream_reader_close(void *reader);

/* The members of struct road that all of them have alike. */
#define STREAM_MEMBERS                                                                             \
    .copies_each = 2, .is_counted = true, .finish = stream_finish,                                 \
    .kernel_bytes = stream_kernel_bytes, .writer_open = stream_writer_open, .lend = stream_lend,   \
    .send = stream_send, .writer_close = stream_writer_close, .reader_open = stream_reader_open,   \
    .receive = stream_receive, .release = stream_release, .reader_close = stream_reader_close

#endif
