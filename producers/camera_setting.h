/* Camera setting: what controls were set to, so that a camera that comes back is set alike. */
#ifndef PRODUCERS_CAMERA_SETTING_H
#define PRODUCERS_CAMERA_SETTING_H

#include "camera_device.h"

#include <shmframe/session.h>

enum { CAMERA_SETTINGS_MAX = 64 };

struct camera_settings {
    struct {
        char control[32];
        char value[SHMFRAME_ARGUMENT_BYTES];
    } setting[CAMERA_SETTINGS_MAX];
    uint32_t count;
};

/* Keeps a setting, in place of an earlier one of the same control, behind all others: what it needs
 * set before it was set by then. */
void camera_settings_keep(struct camera_settings *settings, const char *control, const char *value);

/* Sets all of them, in their order. Those that are no state, such as buttons, are done then, and
 * forgotten. Errors: of the first that failed, with `why`; the others are set. */
int camera_settings_apply(struct camera_settings *settings, const struct camera_device *device,
                          char why[CAMERA_WHY_BYTES]);

/* The verbs that ask for controls: what shmframe ask is answered. `device` may be closed. */
int camera_setting_run_set(struct camera_settings *settings, const struct camera_device *device,
                           const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]);
int camera_setting_run_get(const struct camera_device *device, const char *argument,
                           char answer[SHMFRAME_ARGUMENT_BYTES]);
int camera_setting_run_controls(const struct camera_device *device, const char *argument,
                                char answer[SHMFRAME_ARGUMENT_BYTES]);

#endif
