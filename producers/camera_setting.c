#include "camera_setting.h"

#include "camera_control.h"
#include "producer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void camera_settings_keep(struct camera_settings *settings, const char *control,
                          const char *value) {
    char name[32];
    uint32_t at = 0;
    camera_control_name(control, name);
    while (at < settings->count && strcmp(settings->setting[at].control, name) != 0)
        at++;
    if (at == CAMERA_SETTINGS_MAX)
        return;
    if (at == settings->count)
        settings->count++;
    snprintf(settings->setting[at].control, sizeof(settings->setting[at].control), "%s", name);
    snprintf(settings->setting[at].value, sizeof(settings->setting[at].value), "%s", value);
}

int camera_settings_apply(const struct camera_settings *settings,
                          const struct camera_device *device, char why[CAMERA_WHY_BYTES]) {
    int first = 0;
    for (uint32_t i = 0; i < settings->count; i++) {
        char reason[CAMERA_WHY_BYTES];
        const int result = camera_control_set(device->fd, settings->setting[i].control,
                                              settings->setting[i].value, reason);
        if (result < 0 && first == 0) {
            first = result;
            memcpy(why, reason, sizeof(reason));
        }
    }
    return first;
}

/* Answers are cut where they are too long. */
static int answer_with(char answer[SHMFRAME_ARGUMENT_BYTES], int result, const char *text) {
    snprintf(answer, SHMFRAME_ARGUMENT_BYTES, "%.*s", SHMFRAME_ARGUMENT_BYTES - 1, text);
    return result;
}

static int answer_absent(char answer[SHMFRAME_ARGUMENT_BYTES]) {
    return answer_with(answer, -ENODEV, "the camera is not there now");
}

int camera_setting_run_set(struct camera_settings *settings, const struct camera_device *device,
                           const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    char name[SHMFRAME_ARGUMENT_BYTES], why[CAMERA_WHY_BYTES];
    const char *value = producer_split_setting(argument, name);
    if (!value)
        return answer_with(answer, -EINVAL, "set takes CONTROL VALUE, such as brightness 50");
    if (device->fd < 0)
        return answer_absent(answer);
    const int result = camera_control_set(device->fd, name, value, why);
    if (result < 0)
        return answer_with(answer, result, why);
    camera_settings_keep(settings, name, value);
    if (camera_control_get(device->fd, name, why) < 0)
        return answer_with(answer, 0, "done");
    return answer_with(answer, 0, why);
}

int camera_setting_run_get(const struct camera_device *device, const char *argument,
                           char answer[SHMFRAME_ARGUMENT_BYTES]) {
    char text[CAMERA_WHY_BYTES];
    if (device->fd < 0)
        return answer_absent(answer);
    if (!*argument)
        return answer_with(answer, -EINVAL, "get takes the name of a control");
    const int result = camera_control_get(device->fd, argument, text);
    return answer_with(answer, result, text);
}

int camera_setting_run_controls(const struct camera_device *device, const char *argument,
                                char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct camera_control control;
    size_t used = 0;
    if (device->fd < 0)
        return answer_absent(answer);
    answer[0] = 0;
    for (uint32_t id = 0; camera_control_next(device->fd, id, &control); id = control.id) {
        if (strncmp(control.name, argument, strlen(argument)) != 0)
            continue;
        if (used + strlen(control.name) + 6 > SHMFRAME_ARGUMENT_BYTES) {
            snprintf(answer + used, SHMFRAME_ARGUMENT_BYTES - used, " ...");
            return 0;
        }
        used += (size_t)snprintf(answer + used, SHMFRAME_ARGUMENT_BYTES - used, "%s%s",
                                 used ? " " : "", control.name);
    }
    return used ? 0 : answer_with(answer, -ENOENT, "there is no such control");
}
