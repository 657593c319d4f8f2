/* Camera queue: the buffers that a driver fills.
 *
 *   userptr   a slot on loan is a buffer: the driver writes where readers read
 *   mmap      the driver's own memory; what is in it is copied, or decoded
 *
 * There is no way by DMABUF: a dma-buf of the ring's memory takes udmabuf, which kernels may lack
 * (Debian 12's has CONFIG_UDMABUF unset). Drivers that only import dma-bufs are copied from.
 *
 * A loan that is queued is the driver's until it is taken or the queue is closed.
 */
#ifndef PRODUCERS_CAMERA_QUEUE_H
#define PRODUCERS_CAMERA_QUEUE_H

#include "camera_device.h"

#include <shmframe/writer.h>

enum { CAMERA_BUFFERS_MAX = 32 };

enum camera_io {
    CAMERA_IO_AUTO = 0,
    CAMERA_IO_USERPTR,
    CAMERA_IO_MMAP,
};

struct camera_buffer {
    bool is_queued;
    bool has_slot; /* the loan is or was of this slot */
    bool has_loan;
    struct shmframe_loan loan;
    uint8_t *memory[CAMERA_PLANES_MAX]; /* mmap */
    uint32_t memory_bytes[CAMERA_PLANES_MAX];
};

struct camera_queue {
    struct camera_device *device; /* NULL: closed */
    int poll_fd; /* readable when a picture or an event is there, or the device is gone */
    enum camera_io io;
    uint32_t pieces;
    struct camera_layout layout; /* userptr: of slots */
    struct camera_buffer buffer[CAMERA_BUFFERS_MAX];
    uint32_t count;
    uint32_t queued;
    bool is_streaming;
    bool is_refused; /* a slot's memory, which was new to the driver */
};

/* A buffer that came back. */
struct camera_taken {
    uint32_t index;
    uint32_t flags; /* V4L2_BUF_FLAG_... */
    uint32_t field, sequence;
    int64_t stamp_ns;
    uint32_t used_bytes[CAMERA_PLANES_MAX]; /* from the piece's begin, what is skipped included */
    uint32_t skip_bytes[CAMERA_PLANES_MAX];
    bool is_impossible; /* more bytes than the memory has, or it begins behind its end */
};

/* Gets buffers; those of mmap are queued at once. `layout` is needed for userptr only. Errors: a
 * negative errno with `why`; the queue is closed then. */
int camera_queue_open(struct camera_queue *queue, struct camera_device *device, enum camera_io io,
                      uint32_t pieces, const struct camera_layout *layout,
                      char why[CAMERA_WHY_BYTES]);

/* Gives the driver a slot; takes the loan on success. Errors: -ENOBUFS all buffers are in use;
 * others: `is_refused` tells whether the driver cannot use this memory, or has failed. */
int camera_queue_add(struct camera_queue *queue, const struct shmframe_loan *loan);

int camera_queue_start(struct camera_queue *queue, char why[CAMERA_WHY_BYTES]);

/* Takes the next one back from the driver. Errors: -EAGAIN none is there yet; -ENODEV the device is
 * gone; -EPROTO it is a buffer that it had not; others: it stopped. */
int camera_queue_take(struct camera_queue *queue, struct camera_taken *out_taken);

/* The loan of a buffer that was taken. */
struct shmframe_loan camera_queue_take_loan(struct camera_queue *queue, uint32_t index);

/* Gives a buffer that was taken back to the driver as it is. */
int camera_queue_return(struct camera_queue *queue, uint32_t index);

/* Stops the driver, and gives the loans back to `writer` when it cannot write them any more: a
 * device that does not answer is closed for that. */
void camera_queue_close(struct camera_queue *queue, struct shmframe_writer *writer);

#endif
