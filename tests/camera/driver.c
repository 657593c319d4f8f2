#include "driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_NS 5000000

/* A buffer's number is in the upper bits of its place. */
enum { BUFFERS_MAX = 32, PLACE_SHIFT = 24 };

static struct driver_script *script;
static int device_fd = -1;
static bool is_on;
static uint32_t memory, count, sequence, head, tail, fifo[64];
static struct {
    uint8_t *data; /* the slot, or our own mapping */
    size_t bytes;
    int fd;
} buffer[BUFFERS_MAX];
static int32_t automatic, exposure;

static int fail(int code) {
    errno = code;
    return -1;
}

static void map_script(void) {
    const char *path = getenv("SHMFRAME_TEST_DRIVER");
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    const int fd = path && !script ? real_open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0)
        script = mmap(NULL, sizeof(*script), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static bool is_compressed(void) {
    return script->fourcc == V4L2_PIX_FMT_MJPEG;
}

static uint32_t find_image_bytes(void) {
    return is_compressed() ? DRIVER_PACKET_BYTES : script->width * script->height * 2;
}

static int open_device(void) {
    if (script->is_gone)
        return fail(ENOENT);
    const struct itimerspec every = {{0, INTERVAL_NS}, {0, INTERVAL_NS}};
    device_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    timerfd_settime(device_fd, 0, &every, NULL);
    automatic = 1; /* as after plugging in */
    is_on = false;
    return device_fd;
}

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (!real)
        real = dlsym(RTLD_NEXT, "open64");
    map_script();
    return script && strcmp(path, DRIVER_PATH) == 0 ? open_device() : real(path, flags, mode);
}

int close(int fd) {
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "close");
    if (fd >= 0 && fd == device_fd)
        device_fd = -1;
    return real(fd);
}

void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off64_t place) {
    static void *(*real)(void *, size_t, int, int, int, off64_t);
    if (!real)
        real = dlsym(RTLD_NEXT, "mmap64");
    if (fd < 0 || fd != device_fd)
        return real(at, bytes, protection, flags, fd, place);
    return real(at, bytes, protection, flags, buffer[place >> PLACE_SHIFT].fd, 0);
}

/* What it offers. */

static int tell_capability(struct v4l2_capability *capability) {
    memset(capability, 0, sizeof(*capability));
    strcpy((char *)capability->driver, "test");
    memcpy(capability->card, script->card, sizeof(capability->card));
    strcpy((char *)capability->bus_info, "test-0");
    capability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
    capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

static int tell_format(struct v4l2_fmtdesc *format) {
    if (script->list_error)
        return fail((int)script->list_error);
    if (format->index)
        return fail(EINVAL);
    format->pixelformat = script->fourcc;
    strcpy((char *)format->description, "Test");
    return 0;
}

static int tell_size(struct v4l2_frmsizeenum *size) {
    if (size->index)
        return fail(EINVAL);
    size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
    size->discrete = (struct v4l2_frmsize_discrete){script->width, script->height};
    return 0;
}

static int tell_interval(struct v4l2_frmivalenum *interval) {
    if (interval->index)
        return fail(EINVAL);
    interval->type = V4L2_FRMIVAL_TYPE_DISCRETE;
    interval->discrete = (struct v4l2_fract){1, 30};
    return 0;
}

static int tell_picture(struct v4l2_format *format) {
    format->fmt.pix = (struct v4l2_pix_format){
        .width = script->width,
        .height = script->height,
        .pixelformat = script->fourcc,
        .field = script->field,
        .bytesperline = is_compressed() ? 0 : script->width * 2,
        .sizeimage = find_image_bytes(),
        .colorspace = V4L2_COLORSPACE_SRGB,
    };
    return 0;
}

static int tell_input(struct v4l2_input *input) {
    if (input->index)
        return fail(EINVAL);
    strcpy((char *)input->name, "Test");
    input->capabilities = V4L2_IN_CAP_DV_TIMINGS;
    return 0;
}

/* Its controls: a switch, a number that can be set while the switch is off, a button. */

static int tell_control(struct v4l2_query_ext_ctrl *control) {
    static const struct v4l2_query_ext_ctrl all[] = {
        {.id = 1, .type = V4L2_CTRL_TYPE_BOOLEAN, .name = "Auto", .maximum = 1, .step = 1},
        {.id = 2, .type = V4L2_CTRL_TYPE_INTEGER, .name = "Exposure", .maximum = 100, .step = 1},
        {.id = 3, .type = V4L2_CTRL_TYPE_BUTTON, .name = "Press"},
    };
    const uint32_t next =
        (control->id & ~(V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND)) + 1;
    if (next > sizeof(all) / sizeof(all[0]))
        return fail(EINVAL);
    *control = all[next - 1];
    return 0;
}

static int set_control(const struct v4l2_ext_control *control) {
    if (control->id == 1)
        automatic = control->value;
    else if (control->id == 3)
        script->presses++;
    else if (automatic)
        return fail(EACCES);
    else
        exposure = control->value;
    return 0;
}

static int get_control(struct v4l2_ext_control *control) {
    control->value = control->id == 1 ? automatic : exposure;
    return 0;
}

/* Its buffers. */

static int request_buffers(struct v4l2_requestbuffers *request) {
    if (request->memory == V4L2_MEMORY_USERPTR && request->count && script->refuses)
        return fail(EINVAL);
    for (uint32_t i = 0; i < count && memory == V4L2_MEMORY_MMAP; i++) {
        munmap(buffer[i].data, buffer[i].bytes);
        close(buffer[i].fd);
    }
    memset(buffer, 0, sizeof(buffer));
    head = tail = 0;
    memory = request->memory;
    count = request->count;
    for (uint32_t i = 0; i < count && memory == V4L2_MEMORY_MMAP; i++) {
        buffer[i].fd = memfd_create("buffer", MFD_CLOEXEC);
        buffer[i].bytes = find_image_bytes();
        if (ftruncate(buffer[i].fd, (off_t)buffer[i].bytes) < 0)
            return -1;
        buffer[i].data =
            mmap(NULL, buffer[i].bytes, PROT_READ | PROT_WRITE, MAP_SHARED, buffer[i].fd, 0);
    }
    return 0;
}

static int tell_buffer(struct v4l2_buffer *message) {
    message->length = (uint32_t)buffer[message->index].bytes;
    message->m.offset = message->index << PLACE_SHIFT;
    return 0;
}

static int give(const struct v4l2_buffer *message) {
    if (script->give_errors) {
        script->give_errors--;
        return fail((int)script->give_error);
    }
    if (memory == V4L2_MEMORY_USERPTR) {
        buffer[message->index].data = (uint8_t *)message->m.userptr;
        buffer[message->index].bytes = message->length;
    }
    fifo[tail++ % 64] = message->index;
    return 0;
}

static bool is_due(void) {
    uint64_t expirations;
    if (script->is_flooding)
        return true;
    return read(device_fd, &expirations, sizeof(expirations)) > 0 && !script->is_silent;
}

static void fill(uint8_t *data, struct v4l2_buffer *message) {
    const uint32_t bytes = is_compressed() ? script->packet_bytes : find_image_bytes();
    if (is_compressed())
        memcpy(data, script->packet, bytes);
    else
        memset(data, (int)sequence, bytes);
    message->bytesused = bytes - script->short_bytes + script->extra_bytes;
}

static int take(struct v4l2_buffer *message) {
    struct timespec now;
    if (!is_on)
        return fail(EINVAL);
    if (script->take_error)
        return fail((int)script->take_error);
    if (!is_due() || (tail == head && !script->repeats))
        return fail(EAGAIN);
    const uint32_t index = script->repeats && sequence > 5 ? 0 : fifo[head++ % 64];
    clock_gettime(CLOCK_MONOTONIC, &now);
    message->index = index;
    message->sequence = sequence++;
    message->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    message->field = script->field;
    message->timestamp.tv_sec = now.tv_sec;
    message->timestamp.tv_usec = now.tv_nsec / 1000;
    fill(buffer[index].data, message);
    script->pictures++;
    return 0;
}

static int start(void) {
    script->starts++;
    is_on = true;
    sequence = 0;
    return 0;
}

static int stop(void) {
    is_on = false;
    head = tail;
    return 0;
}

static int answer(uint32_t request, void *argument) {
    if (script->is_gone)
        return fail(ENODEV);
    switch (request) {
    case (uint32_t)VIDIOC_QUERYCAP:
        return tell_capability(argument);
    case (uint32_t)VIDIOC_ENUM_FMT:
        return tell_format(argument);
    case (uint32_t)VIDIOC_ENUM_FRAMESIZES:
        return tell_size(argument);
    case (uint32_t)VIDIOC_ENUM_FRAMEINTERVALS:
        return tell_interval(argument);
    case (uint32_t)VIDIOC_G_FMT:
    case (uint32_t)VIDIOC_S_FMT:
        return tell_picture(argument);
    case (uint32_t)VIDIOC_G_INPUT:
        *(int *)argument = 0;
        return script->timings_error ? 0 : fail(ENOTTY);
    case (uint32_t)VIDIOC_ENUMINPUT:
        return script->timings_error ? tell_input(argument) : fail(EINVAL);
    case (uint32_t)VIDIOC_QUERY_DV_TIMINGS:
        return 0;
    case (uint32_t)VIDIOC_S_DV_TIMINGS:
        return fail((int)script->timings_error);
    case (uint32_t)VIDIOC_QUERY_EXT_CTRL:
        return tell_control(argument);
    case (uint32_t)VIDIOC_S_EXT_CTRLS:
        return set_control(((struct v4l2_ext_controls *)argument)->controls);
    case (uint32_t)VIDIOC_G_EXT_CTRLS:
        return get_control(((struct v4l2_ext_controls *)argument)->controls);
    case (uint32_t)VIDIOC_REQBUFS:
        return request_buffers(argument);
    case (uint32_t)VIDIOC_QUERYBUF:
        return tell_buffer(argument);
    case (uint32_t)VIDIOC_QBUF:
        return give(argument);
    case (uint32_t)VIDIOC_DQBUF:
        return take(argument);
    case (uint32_t)VIDIOC_STREAMON:
        return start();
    case (uint32_t)VIDIOC_STREAMOFF:
        return stop();
    case (uint32_t)VIDIOC_DQEVENT:
        return fail(ENOENT);
    default: /* there are many more */
        return fail(ENOTTY);
    }
}

int ioctl(int fd, unsigned long request, ...) {
    static int (*real)(int, unsigned long, ...);
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!real)
        real = dlsym(RTLD_NEXT, "ioctl");
    return fd >= 0 && fd == device_fd ? answer((uint32_t)request, argument)
                                      : real(fd, request, argument);
}
