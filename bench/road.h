/* Road: the ways on which a frame comes from one writer to several readers in processes of their
 * own. All carry the same bytes, and end in the same AVFrame.
 *
 * Made before the processes are: each then opens its side.
 */
#ifndef BENCH_ROAD_H
#define BENCH_ROAD_H

#include <libavutil/frame.h>
#include <shmframe/shmframe.h>
#include <stdbool.h>

enum { ROAD_READERS = 4, ROAD_BUFFERS_MAX = 3 };

enum road {
    ROAD_PRIVATE = 0, /* none: each process has frames of its own in memory already */
    ROAD_RING,        /* the library */
    ROAD_SOCKET,      /* AF_UNIX, SOCK_STREAM, one connection a reader */
    ROAD_PIPE,        /* one pipe a reader */
    ROADS,
};

const char *road_name(enum road road);

/* What travels with a frame: as many bytes as a cache line. */
struct parcel {
    uint64_t number;
    int64_t capture_ns;
    uint32_t is_last; /* of its slice */
    uint32_t reserved[11];
};

struct roads {
    struct shmframe_format format;
    size_t frame_bytes;     /* that are sent of a frame: its planes and what lies between them */
    const uint8_t *picture; /* frame_bytes that all frames show */
    int end[ROADS][ROAD_READERS][2]; /* read, write; -1: none */
    size_t buffer_bytes[ROADS];      /* that the kernel keeps of a connection at most */
};

void roads_create(struct roads *roads, uint32_t width, uint32_t height);

struct road_writer {
    const struct roads *roads;
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    struct shmframe_loan loan;
    uint8_t *buffer;
    uint64_t copied; /* bytes that system calls took from this process */
};

void road_writer_open(struct road_writer *writer, const struct roads *roads);
void road_writer_close(struct road_writer *writer);
/* Where the next frame is to be put, frame_bytes. */
uint8_t *road_lend(struct road_writer *writer, enum road road);
/* Sends it to all readers. */
void road_send(struct road_writer *writer, enum road road, const struct parcel *parcel);

struct road_reader {
    const struct roads *roads;
    uint32_t number;  /* from 0 */
    uint32_t buffers; /* that frames are received into, in turn: one more than are kept */
    struct shmframe_session *session;
    struct shmframe_reader *reader;
    uint8_t *buffer[ROAD_BUFFERS_MAX];
    uint32_t next;
    uint64_t copied; /* bytes that system calls gave to this process */
};

void road_reader_open(struct road_reader *reader, const struct roads *roads, uint32_t number,
                      uint32_t buffers);
void road_reader_close(struct road_reader *reader);
/* Waits for the next frame; the caller's to free, `buffers` of them may be kept at once. */
AVFrame *road_receive(struct road_reader *reader, enum road road, struct shmframe_frame *out_stamps,
                      bool *out_is_last);
uint64_t road_lost(const struct road_reader *reader);

#endif
