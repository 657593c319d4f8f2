/* Camera device: its inputs, and the signal that they have. */
#include "camera_device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int tell_busy(const struct camera_device *device, char why[CAMERA_WHY_BYTES]) {
    char holders[96];
    camera_device_name_holders(device->path, holders, sizeof(holders));
    snprintf(why, CAMERA_WHY_BYTES, "%s: it is in use%s", device->path, holders);
    return -EBUSY;
}

static int take_input(struct camera_device *device, int32_t input, char why[CAMERA_WHY_BYTES]) {
    if (input < 0)
        return 0;
    int number = input;
    const int result = camera_ioctl(device->fd, VIDIOC_S_INPUT, &number);
    if (result == 0 || result == -ENODEV)
        return result;
    if (result == -EBUSY)
        return tell_busy(device, why);
    size_t used = (size_t)snprintf(why, CAMERA_WHY_BYTES,
                                   "%s: --input %d is not offered, but:", device->path, input);
    struct v4l2_input offered = {0};
    for (; camera_ioctl(device->fd, VIDIOC_ENUMINPUT, &offered) == 0; offered.index++)
        if (used < CAMERA_WHY_BYTES)
            used += (size_t)snprintf(why + used, CAMERA_WHY_BYTES - used, "%s %u (%s)",
                                     offered.index ? "," : "", offered.index, offered.name);
    return -EINVAL;
}

/* Analogue inputs: the standard that is received, where the device can tell. */
static void take_standard(struct camera_device *device) {
    v4l2_std_id standard = V4L2_STD_UNKNOWN;
    if (camera_ioctl(device->fd, VIDIOC_QUERYSTD, &standard) == 0 && standard != V4L2_STD_UNKNOWN &&
        standard != V4L2_STD_ALL)
        camera_ioctl(device->fd, VIDIOC_S_STD, &standard);
}

/* Digital inputs: the timings that are received. */
static int take_timings(struct camera_device *device, char why[CAMERA_WHY_BYTES]) {
    struct v4l2_dv_timings timings;
    memset(&timings, 0, sizeof(timings));
    int result = camera_ioctl(device->fd, VIDIOC_QUERY_DV_TIMINGS, &timings);
    if (result == 0 && camera_ioctl(device->fd, VIDIOC_S_DV_TIMINGS, &timings) == -EBUSY)
        return tell_busy(device, why);
    if (result == 0 || result == -ENOTTY || result == -ENODATA || result == -EINVAL)
        return 0; /* where it cannot tell, what is set stays */
    if (result == -ENODEV)
        return result;
    snprintf(why, CAMERA_WHY_BYTES, "%s: %s", device->path,
             result == -ERANGE   ? "its signal is out of what it can capture"
             : result == -ENOLCK ? "its input's signal is not stable"
             : result == -EBUSY  ? "its signal cannot be looked at while it is in use"
                                 : "its input has no signal");
    return -ENOLINK;
}

static void ask_for_changes(struct camera_device *device) {
    struct v4l2_event_subscription wanted = {.type = V4L2_EVENT_SOURCE_CHANGE};
    int input = 0;
    if (camera_ioctl(device->fd, VIDIOC_G_INPUT, &input) == 0)
        wanted.id = (uint32_t)input;
    camera_ioctl(device->fd, VIDIOC_SUBSCRIBE_EVENT, &wanted);
}

int camera_device_set_input(struct camera_device *device, int32_t input,
                            char why[CAMERA_WHY_BYTES]) {
    int result = take_input(device, input, why);
    if (result < 0)
        return result;
    ask_for_changes(device);
    struct v4l2_input taken = {0};
    int number = 0;
    if (camera_ioctl(device->fd, VIDIOC_G_INPUT, &number) == 0) {
        taken.index = (uint32_t)number;
        if (camera_ioctl(device->fd, VIDIOC_ENUMINPUT, &taken) < 0)
            taken.capabilities = 0;
    }
    if (taken.capabilities & V4L2_IN_CAP_STD)
        take_standard(device);
    if (taken.capabilities & V4L2_IN_CAP_DV_TIMINGS)
        result = take_timings(device, why);
    return result;
}

bool camera_device_take_change(struct camera_device *device) {
    struct v4l2_event event;
    bool is_changed = false;
    while (camera_ioctl(device->fd, VIDIOC_DQEVENT, &event) == 0)
        if (event.type == V4L2_EVENT_SOURCE_CHANGE &&
            (event.u.src_change.changes & V4L2_EVENT_SRC_CH_RESOLUTION))
            is_changed = true;
    return is_changed;
}
