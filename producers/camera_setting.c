#include "camera_setting.h"

#include "camera_control.h"
#include "producer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void forget(struct camera_settings *settings, uint32_t at) {
    settings->count--;
    memmove(&settings->setting[at], &settings->setting[at + 1],
            (settings->count - at) * sizeof(settings->setting[0]));
}

void camera_settings_keep(struct camera_settings *settings, const char *control,
                          const char *value) {
    char name[32];
    uint32_t at = 0;
    camera_control_name(control, name);
    while (at < settings->count && strcmp(settings->setting[at].control, name) != 0)
        at++;
    if (at < settings->count)
        forget(settings, at);
    else if (at == CAMERA_SETTINGS_MAX)
        forget(settings, 0);
    at = settings->count++;
    snprintf(settings->setting[at].control, sizeof(settings->setting[at].control), "%s", name);
    snprintf(settings->setting[at].value, sizeof(settings->setting[at].value), "%s", value);
}

/* Whether setting it once more does no more than setting it once. */
static bool is_state(const struct camera_device *device, const char *name) {
    struct camera_control control;
    return camera_control_find(device->fd, name, &control) == 0 &&
           camera_control_is_state(&control);
}

int camera_settings_apply(struct camera_settings *settings, const struct camera_device *device,
                          char why[CAMERA_WHY_BYTES]) {
    int first = 0;
    for (uint32_t i = 0; i < settings->count;) {
        char reason[CAMERA_WHY_BYTES];
        const int result = camera_control_set(device->fd, settings->setting[i].control,
                                              settings->setting[i].value, reason);
        if (result < 0 && (first == 0 || result == -ENODEV)) {
            first = result;
            memcpy(why, reason, sizeof(reason));
        }
        if (result == 0 && !is_state(device, settings->setting[i].control))
            forget(settings, i);
        else
            i++;
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
    if (is_state(device, name))
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
