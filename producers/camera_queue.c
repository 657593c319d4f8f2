#include "camera_queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* Buffers of the driver's own memory. */
enum { MMAP_BUFFERS = 4 };

static uint32_t get_memory(const struct camera_queue *queue) {
    return queue->io == CAMERA_IO_MMAP ? V4L2_MEMORY_MMAP : V4L2_MEMORY_USERPTR;
}

/* A buffer as both of V4L2's ways want it. */
struct message {
    struct v4l2_buffer buffer;
    struct v4l2_plane plane[VIDEO_MAX_PLANES];
};

static void prepare(const struct camera_queue *queue, uint32_t index, struct message *message) {
    memset(message, 0, sizeof(*message));
    message->buffer.index = index;
    message->buffer.type = queue->device->type;
    message->buffer.memory = get_memory(queue);
    if (queue->device->is_multiplanar) {
        message->buffer.m.planes = message->plane;
        message->buffer.length = VIDEO_MAX_PLANES;
    }
}

/* Opening. */

static int request(const struct camera_queue *queue, uint32_t count, uint32_t *out_count) {
    struct v4l2_requestbuffers buffers = {
        .count = count, .type = queue->device->type, .memory = get_memory(queue)};
    const int result = camera_ioctl(queue->device->fd, VIDIOC_REQBUFS, &buffers);
    *out_count = result < 0                           ? 0
                 : buffers.count < CAMERA_BUFFERS_MAX ? buffers.count
                                                      : CAMERA_BUFFERS_MAX;
    return result;
}

static int map_piece(const struct camera_queue *queue, const struct message *message, uint32_t i,
                     struct camera_buffer *buffer) {
    const bool is_multiplanar = queue->device->is_multiplanar;
    const uint32_t bytes = is_multiplanar ? message->plane[i].length : message->buffer.length;
    const uint32_t offset =
        is_multiplanar ? message->plane[i].m.mem_offset : message->buffer.m.offset;
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, queue->device->fd, (off_t)offset);
    if (memory == MAP_FAILED)
        return -errno;
    buffer->memory[i] = memory;
    buffer->memory_bytes[i] = bytes;
    return 0;
}

static int map_buffers(struct camera_queue *queue) {
    int result = 0;
    for (uint32_t index = 0; index < queue->count && result == 0; index++) {
        struct message message;
        prepare(queue, index, &message);
        result = camera_ioctl(queue->device->fd, VIDIOC_QUERYBUF, &message.buffer);
        for (uint32_t i = 0; i < queue->pieces && result == 0; i++)
            result = map_piece(queue, &message, i, &queue->buffer[index]);
        if (result == 0)
            result = camera_queue_return(queue, index);
    }
    return result;
}

int camera_queue_open(struct camera_queue *queue, struct camera_device *device, enum camera_io io,
                      uint32_t pieces, const struct camera_layout *layout,
                      char why[CAMERA_WHY_BYTES]) {
    const char *name = io == CAMERA_IO_MMAP ? "mmap" : "userptr";
    *queue = (struct camera_queue){.device = device, .poll_fd = -1, .io = io, .pieces = pieces};
    if (layout)
        queue->layout = *layout;
    const uint32_t wanted = io == CAMERA_IO_MMAP ? MMAP_BUFFERS : CAMERA_BUFFERS_MAX;
    int result = request(queue, wanted, &queue->count);
    const bool is_offered = result != -EINVAL;
    if (result == 0 && !queue->count)
        result = -ENOMEM;
    if (result == 0 && io == CAMERA_IO_MMAP)
        result = map_buffers(queue);
    if (result == 0)
        return 0;
    if (result == -EBUSY) {
        char holders[96];
        camera_device_name_holders(device->path, holders, sizeof(holders));
        snprintf(why, CAMERA_WHY_BYTES, "%s: it is in use%s", device->path, holders);
    } else if (!is_offered) {
        snprintf(why, CAMERA_WHY_BYTES, "%s: its driver does not offer %s", device->path, name);
    } else {
        snprintf(why, CAMERA_WHY_BYTES, "%s: no buffers by %s: %s", device->path, name,
                 strerror(-result));
    }
    camera_queue_close(queue, NULL);
    return result;
}

/* Events are told as exceptions, which a plain wait for input does not see. Not earlier: looking at
 * a queue without buffers would make the kernel begin to serve read(). */
static int watch(struct camera_queue *queue) {
    struct epoll_event events = {.events = EPOLLIN | EPOLLPRI};
    queue->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (queue->poll_fd < 0 ||
        epoll_ctl(queue->poll_fd, EPOLL_CTL_ADD, queue->device->fd, &events) < 0)
        return -errno;
    return 0;
}

int camera_queue_start(struct camera_queue *queue, char why[CAMERA_WHY_BYTES]) {
    int type = (int)queue->device->type;
    int result = camera_ioctl(queue->device->fd, VIDIOC_STREAMON, &type);
    queue->is_streaming = result == 0;
    if (result == 0)
        result = watch(queue);
    if (result == -EBUSY || result == -ENOSPC)
        snprintf(why, CAMERA_WHY_BYTES, "%s: it, or the bus it is on, has no room: %s",
                 queue->device->path, strerror(-result));
    else if (result < 0)
        snprintf(why, CAMERA_WHY_BYTES, "%s: it does not start: %s", queue->device->path,
                 strerror(-result));
    return result;
}

/* Going round. */

static void point_at_slot(const struct camera_queue *queue, const struct shmframe_loan *loan,
                          struct message *message) {
    if (!queue->device->is_multiplanar) {
        message->buffer.m.userptr = (unsigned long)loan->data;
        message->buffer.length = queue->layout.bytes[0];
        return;
    }
    for (uint32_t i = 0; i < queue->pieces; i++) {
        message->plane[i].m.userptr = (unsigned long)(loan->data + queue->layout.offset[i]);
        message->plane[i].length = queue->layout.bytes[i];
    }
}

int camera_queue_return(struct camera_queue *queue, uint32_t index) {
    struct camera_buffer *buffer = &queue->buffer[index];
    struct message message;
    prepare(queue, index, &message);
    if (queue->io != CAMERA_IO_MMAP)
        point_at_slot(queue, &buffer->loan, &message);
    if (queue->device->is_multiplanar)
        message.buffer.length = queue->pieces;
    const int result = camera_ioctl(queue->device->fd, VIDIOC_QBUF, &message.buffer);
    if (result == 0) {
        buffer->is_queued = true;
        queue->queued++;
    }
    return result;
}

/* The buffer that had this slot before, which spares the kernel pinning its pages anew; otherwise
 * one that had none yet, otherwise any. -1: all are queued. */
static int choose_buffer(const struct camera_queue *queue, uint32_t slot) {
    int fresh = -1, used = -1;
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct camera_buffer *buffer = &queue->buffer[i];
        if (buffer->is_queued || buffer->has_loan)
            continue;
        if (buffer->has_slot && buffer->loan.slot == slot)
            return (int)i;
        if (!buffer->has_slot && fresh < 0)
            fresh = (int)i;
        used = (int)i;
    }
    return fresh >= 0 ? fresh : used;
}

int camera_queue_add(struct camera_queue *queue, const struct shmframe_loan *loan) {
    const int index = choose_buffer(queue, loan->slot);
    if (index < 0)
        return -ENOBUFS;
    struct camera_buffer *buffer = &queue->buffer[index];
    const bool is_new = !buffer->has_slot || buffer->loan.slot != loan->slot;
    buffer->loan = *loan;
    const int result = camera_queue_return(queue, (uint32_t)index);
    queue->is_refused = is_new && (result == -EFAULT || result == -EINVAL || result == -ENOMEM);
    buffer->has_slot = buffer->has_loan = result == 0;
    return result;
}

static void describe(const struct camera_queue *queue, const struct message *message,
                     struct camera_taken *taken) {
    const struct v4l2_buffer *buffer = &message->buffer;
    *taken = (struct camera_taken){
        .index = buffer->index,
        .flags = buffer->flags,
        .field = buffer->field,
        .sequence = buffer->sequence,
        .stamp_ns = buffer->timestamp.tv_sec * INT64_C(1000000000) +
                    buffer->timestamp.tv_usec * INT64_C(1000),
        .used_bytes = {buffer->bytesused},
    };
    for (uint32_t i = 0; queue->device->is_multiplanar && i < queue->pieces; i++) {
        taken->used_bytes[i] = message->plane[i].bytesused;
        taken->skip_bytes[i] = message->plane[i].data_offset;
    }
    for (uint32_t i = 0; i < queue->pieces; i++) {
        const uint32_t room = queue->io == CAMERA_IO_MMAP
                                  ? queue->buffer[buffer->index].memory_bytes[i]
                                  : queue->layout.bytes[i];
        if (taken->used_bytes[i] > room || taken->skip_bytes[i] > taken->used_bytes[i])
            taken->is_impossible = true;
    }
}

int camera_queue_take(struct camera_queue *queue, struct camera_taken *out_taken) {
    struct message message;
    prepare(queue, 0, &message);
    const int result = camera_ioctl(queue->device->fd, VIDIOC_DQBUF, &message.buffer);
    if (result < 0)
        return result;
    if (message.buffer.index >= queue->count || !queue->buffer[message.buffer.index].is_queued)
        return -EPROTO;
    queue->buffer[message.buffer.index].is_queued = false;
    queue->queued--;
    describe(queue, &message, out_taken);
    return 0;
}

struct shmframe_loan camera_queue_take_loan(struct camera_queue *queue, uint32_t index) {
    queue->buffer[index].has_loan = false;
    return queue->buffer[index].loan;
}

/* Closing. */

void camera_queue_close(struct camera_queue *queue, struct shmframe_writer *writer) {
    struct camera_device *device = queue->device;
    if (!device)
        return;
    int type = (int)device->type;
    uint32_t none;
    int result = 0;
    if (queue->poll_fd >= 0)
        close(queue->poll_fd);
    if (queue->is_streaming)
        result = camera_ioctl(device->fd, VIDIOC_STREAMOFF, &type);
    for (uint32_t index = 0; index < queue->count; index++)
        for (uint32_t i = 0; i < CAMERA_PLANES_MAX; i++)
            if (queue->buffer[index].memory[i])
                munmap(queue->buffer[index].memory[i], queue->buffer[index].memory_bytes[i]);
    if (result == 0 && queue->count)
        result = request(queue, 0, &none);
    if (result < 0)
        camera_device_close(device);
    for (uint32_t index = 0; index < queue->count; index++)
        if (queue->buffer[index].has_loan)
            shmframe_writer_abandon(writer, &queue->buffer[index].loan);
    *queue = (struct camera_queue){0};
}
