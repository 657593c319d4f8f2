/* Camera device: a V4L2 node, its inputs and formats, single- or multi-planar alike.
 *
 * Functions return 0 or a negative errno, most with the reason in `why`. -ENODEV is said of a
 * device that was unplugged.
 */
#ifndef PRODUCERS_CAMERA_DEVICE_H
#define PRODUCERS_CAMERA_DEVICE_H

#include "camera_mode.h"

/* What tells one camera from another, also after it was unplugged and plugged in again. */
struct camera_identity {
    char driver[16], card[32], bus[32];
    char serial[64]; /* "": it has none */
    uint32_t node;   /* among the device's nodes */
};

struct camera_device {
    int fd; /* -1: closed */
    char path[256];
    struct camera_identity identity;
    bool is_multiplanar;
    uint32_t type; /* enum v4l2_buf_type */
};

extern const struct camera_device camera_device_none; /* a closed one */

/* Copies a text of the driver's, at most `max` bytes of it. What is no UTF-8, or no character to
 * print, becomes a question mark. In place is allowed. */
void camera_text_copy(char *out_text, size_t bytes, const void *text, size_t max);

/* How well a device that is seen fits one that is wanted. Pure. */
enum camera_fit {
    CAMERA_OTHER = 0,
    CAMERA_SAME_MODEL,  /* that has no serial number, or it is at another place: it may be */
    CAMERA_SAME_SERIAL, /* at another place; makers give one number to many */
    CAMERA_SAME,
};
enum camera_fit camera_identity_compare(const struct camera_identity *wanted,
                                        const struct camera_identity *seen);

/* ioctl() again after signals; 0 or a negative errno. */
int camera_ioctl(int fd, unsigned long request, void *argument);

/* Errors: also -ENOTTY it is no V4L2 node; -ENOTSUP it does not capture pictures by streaming. */
int camera_device_open(struct camera_device *device, const char *path, char why[CAMERA_WHY_BYTES]);
void camera_device_close(struct camera_device *device);

/* Calls `visit` with each capture device until it returns false; closes `device` after it, unless
 * that one took it and left camera_device_none. */
void camera_device_visit(bool (*visit)(void *user, struct camera_device *device), void *user);

/* Opens the first one. Errors: -ENODEV. */
int camera_device_open_first(struct camera_device *device, char why[CAMERA_WHY_BYTES]);

/* Opens the device that was `identity`: where it was; by its serial number wherever it is now, but
 * not one that somebody else uses; without one also if it is at another place of its bus, and at
 * `path` (NULL: none). Errors: -ENODEV it is not there. */
int camera_device_find(struct camera_device *device, const struct camera_identity *identity,
                       const char *path, char why[CAMERA_WHY_BYTES]);

/* Takes an input, and the standard or timings that its signal has. `input` -1: as it is. Events of
 * changes are asked for. Errors: -EINVAL no such input; -ENOLINK there is no signal. */
int camera_device_set_input(struct camera_device *device, int32_t input,
                            char why[CAMERA_WHY_BYTES]);

/* What is offered. `wish` tells which size of a range is of interest. Errors: it failed. */
int camera_device_read_modes(const struct camera_device *device, const struct camera_wish *wish,
                             struct camera_modes *modes);

/* Sets what was chosen, and reads what it became. Errors: -EBUSY with who holds it. */
int camera_device_set_mode(struct camera_device *device, const struct camera_choice *choice,
                           struct camera_picture *out_picture, char why[CAMERA_WHY_BYTES]);

/* Takes an event. Returns whether the signal is another one now. */
bool camera_device_take_change(struct camera_device *device);

/* " (held by 123 cheese)", or "" if nobody can be found. */
void camera_device_name_holders(const char *path, char *text, size_t bytes);

#endif
