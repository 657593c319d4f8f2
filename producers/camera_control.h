/* Camera control: a device's brightness, exposure and so on, by name.
 *
 * A name is the driver's own in lower case, with underscores for what is no letter or digit:
 * "White Balance, Automatic" is white_balance_automatic.
 */
#ifndef PRODUCERS_CAMERA_CONTROL_H
#define PRODUCERS_CAMERA_CONTROL_H

#include "camera_format.h"

#include <jansson.h>

struct camera_control {
    uint32_t id;
    uint32_t type;  /* enum v4l2_ctrl_type */
    uint32_t flags; /* V4L2_CTRL_FLAG_... */
    char name[32];
    int64_t min, max, step, preset;
};

/* An item of a menu. */
struct camera_menu_item {
    int64_t index;
    char name[32]; /* of a menu of numbers: the number */
};

struct camera_menu {
    struct camera_menu_item item[64];
    uint32_t count;
};

void camera_control_name(const char *driver_name, char out_name[32]);

/* What `text` means for the control. `menu` is its items, if it has any. Errors: -EINVAL, -EACCES
 * it cannot be set, with the range in `why`. Pure. */
int camera_control_parse(const struct camera_control *control, const struct camera_menu *menu,
                         const char *text, int64_t *out_value, char why[CAMERA_WHY_BYTES]);

/* Whether it holds what it is set to. A button does not: setting it is doing something. Pure. */
bool camera_control_is_state(const struct camera_control *control);

/* The control after `id` (0: the first). Returns false behind the last. Those that hold no number
 * or text are passed over. */
bool camera_control_next(int fd, uint32_t id, struct camera_control *out_control);
/* Errors: -ENOENT. */
int camera_control_find(int fd, const char *name, struct camera_control *out_control);

/* Sets by name. Errors: a negative errno with `why`. */
int camera_control_set(int fd, const char *name, const char *text, char why[CAMERA_WHY_BYTES]);

/* "128 (0 to 255, default 128)". Errors: a negative errno with the reason in `text`. */
int camera_control_get(int fd, const char *name, char text[CAMERA_WHY_BYTES]);

/* All controls with range, preset and value. */
json_t *camera_control_list(int fd);

#endif
