#include "camera_control.h"
#include "camera_device.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STRING_MAX = 1024 };

void camera_control_name(const char *driver_name, char out_name[32]) {
    size_t used = 0;
    bool is_gap = false;
    for (const char *c = driver_name; *c && used < 31; c++) {
        if (!isalnum((unsigned char)*c)) {
            is_gap = used > 0;
            continue;
        }
        if (is_gap && used < 30)
            out_name[used++] = '_';
        is_gap = false;
        out_name[used++] = (char)tolower((unsigned char)*c);
    }
    out_name[used] = 0;
}

/* Values. */

static bool has_menu(const struct camera_control *control) {
    return control->type == V4L2_CTRL_TYPE_MENU || control->type == V4L2_CTRL_TYPE_INTEGER_MENU;
}

static void describe_menu(const struct camera_menu *menu, char *text, size_t bytes) {
    size_t used = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < menu->count && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%" PRId64 ": %s", i ? ", " : "",
                                 menu->item[i].index, menu->item[i].name);
}

static void describe_range(const struct camera_control *control, const struct camera_menu *menu,
                           char *text, size_t bytes) {
    if (has_menu(control))
        describe_menu(menu, text, bytes);
    else if (control->type == V4L2_CTRL_TYPE_BOOLEAN)
        snprintf(text, bytes, "0 or 1, off or on");
    else if (control->type == V4L2_CTRL_TYPE_BITMASK)
        snprintf(text, bytes, "bits of 0x%" PRIx64, (uint64_t)control->max);
    else if (control->type == V4L2_CTRL_TYPE_STRING)
        snprintf(text, bytes, "%" PRId64 " to %" PRId64 " characters", control->min, control->max);
    else if (control->step > 1)
        snprintf(text, bytes, "%" PRId64 " to %" PRId64 " in steps of %" PRId64, control->min,
                 control->max, control->step);
    else
        snprintf(text, bytes, "%" PRId64 " to %" PRId64, control->min, control->max);
}

static bool parse_number(const char *text, int64_t *out_value) {
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 0);
    if (errno || end == text || *end)
        return false;
    *out_value = value;
    return true;
}

static bool parse_item(const struct camera_menu *menu, const char *text, int64_t *out_value) {
    int64_t number;
    for (uint32_t i = 0; i < menu->count; i++)
        if (strcasecmp(menu->item[i].name, text) == 0) {
            *out_value = menu->item[i].index;
            return true;
        }
    for (uint32_t i = 0; i < menu->count && parse_number(text, &number); i++)
        if (menu->item[i].index == number) {
            *out_value = number;
            return true;
        }
    return false;
}

static bool parse_switch(const char *text, int64_t *out_value) {
    static const char *const words[][2] = {
        {"0", "1"}, {"off", "on"}, {"false", "true"}, {"no", "yes"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (int value = 0; value < 2; value++)
            if (strcasecmp(text, words[i][value]) == 0) {
                *out_value = value;
                return true;
            }
    return false;
}

static bool parse_value(const struct camera_control *control, const struct camera_menu *menu,
                        const char *text, int64_t *out_value) {
    if (has_menu(control))
        return parse_item(menu, text, out_value);
    if (control->type == V4L2_CTRL_TYPE_BOOLEAN)
        return parse_switch(text, out_value);
    if (control->type == V4L2_CTRL_TYPE_BUTTON) {
        *out_value = 1; /* pressing is all that can be done to it */
        return true;
    }
    int64_t value;
    if (!parse_number(text, &value))
        return false;
    if (control->type == V4L2_CTRL_TYPE_BITMASK) {
        if (value & ~control->max)
            return false;
    } else if (value < control->min || value > control->max ||
               (control->step > 1 &&
                ((uint64_t)value - (uint64_t)control->min) % (uint64_t)control->step))
        return false;
    *out_value = value;
    return true;
}

int camera_control_parse(const struct camera_control *control, const struct camera_menu *menu,
                         const char *text, int64_t *out_value, char why[CAMERA_WHY_BYTES]) {
    if (control->flags & V4L2_CTRL_FLAG_READ_ONLY) {
        snprintf(why, CAMERA_WHY_BYTES, "%s can only be read", control->name);
        return -EACCES;
    }
    if (parse_value(control, menu, text, out_value))
        return 0;
    char range[160];
    describe_range(control, menu, range, sizeof(range));
    snprintf(why, CAMERA_WHY_BYTES, "%s: \"%.24s\" should be %s", control->name, text, range);
    return -EINVAL;
}

bool camera_control_is_state(const struct camera_control *control) {
    const uint32_t acts = V4L2_CTRL_FLAG_WRITE_ONLY | V4L2_CTRL_FLAG_EXECUTE_ON_WRITE;
    return control->type != V4L2_CTRL_TYPE_BUTTON && !(control->flags & acts);
}

/* The device. */

bool camera_control_next(int fd, uint32_t id, struct camera_control *out_control) {
    struct v4l2_query_ext_ctrl query = {.id = id | V4L2_CTRL_FLAG_NEXT_CTRL};
    while (camera_ioctl(fd, VIDIOC_QUERY_EXT_CTRL, &query) == 0) {
        if (query.type != V4L2_CTRL_TYPE_CTRL_CLASS && query.nr_of_dims == 0 &&
            !(query.flags & V4L2_CTRL_FLAG_DISABLED) && query.type < V4L2_CTRL_COMPOUND_TYPES) {
            *out_control = (struct camera_control){
                .id = query.id,
                .type = query.type,
                .flags = query.flags,
                .min = query.minimum,
                .max = query.maximum,
                .step = (int64_t)query.step,
                .preset = query.default_value,
            };
            if (query.type == V4L2_CTRL_TYPE_BITMASK)
                out_control->max = (int64_t)(uint32_t)query.maximum;
            camera_control_name(query.name, out_control->name);
            return true;
        }
        query.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
    }
    return false;
}

int camera_control_find(int fd, const char *name, struct camera_control *out_control) {
    char wanted[32];
    camera_control_name(name, wanted);
    for (uint32_t id = 0; camera_control_next(fd, id, out_control); id = out_control->id)
        if (strcmp(out_control->name, wanted) == 0)
            return 0;
    return -ENOENT;
}

static void read_menu(int fd, const struct camera_control *control, struct camera_menu *out_menu) {
    out_menu->count = 0;
    for (int64_t i = control->min; has_menu(control) && i <= control->max; i++) {
        struct v4l2_querymenu query = {.id = control->id, .index = (uint32_t)i};
        if (out_menu->count == sizeof(out_menu->item) / sizeof(out_menu->item[0]))
            return;
        if (camera_ioctl(fd, VIDIOC_QUERYMENU, &query) < 0)
            continue; /* items may be missing in between */
        struct camera_menu_item *item = &out_menu->item[out_menu->count++];
        item->index = i;
        if (control->type == V4L2_CTRL_TYPE_INTEGER_MENU)
            snprintf(item->name, sizeof(item->name), "%" PRId64, (int64_t)query.value);
        else
            camera_text_copy(item->name, sizeof(item->name), query.name, sizeof(query.name));
    }
}

static int find_or_tell(int fd, const char *name, struct camera_control *out_control,
                        char why[CAMERA_WHY_BYTES]) {
    if (camera_control_find(fd, name, out_control) == 0)
        return 0;
    size_t used = (size_t)snprintf(why, CAMERA_WHY_BYTES, "no control \"%.31s\":", name);
    struct camera_control control;
    for (uint32_t id = 0; camera_control_next(fd, id, &control); id = control.id) {
        if (used + strlen(control.name) + 8 > CAMERA_WHY_BYTES) {
            snprintf(why + used, CAMERA_WHY_BYTES - used, " ...");
            break;
        }
        used += (size_t)snprintf(why + used, CAMERA_WHY_BYTES - used, " %s", control.name);
    }
    return -ENOENT;
}

static int exchange(int fd, unsigned long request, const struct camera_control *control,
                    struct v4l2_ext_control *value) {
    value->id = control->id;
    struct v4l2_ext_controls values = {
        .which = V4L2_CTRL_WHICH_CUR_VAL, .count = 1, .controls = value};
    return camera_ioctl(fd, request, &values);
}

static int set_text(int fd, const struct camera_control *control, const char *text) {
    char padded[STRING_MAX + 1];
    const size_t length = strlen(text);
    /* Strings shorter than the driver's least are filled with blanks. */
    if (control->max > STRING_MAX || (int64_t)length > control->max)
        return -ERANGE;
    memset(padded, ' ', sizeof(padded));
    memcpy(padded, text, length);
    padded[(int64_t)length < control->min ? (size_t)control->min : length] = 0;
    struct v4l2_ext_control value = {.size = (uint32_t)control->max + 1, .string = padded};
    return exchange(fd, VIDIOC_S_EXT_CTRLS, control, &value);
}

int camera_control_set(int fd, const char *name, const char *text, char why[CAMERA_WHY_BYTES]) {
    struct camera_control control;
    struct camera_menu menu;
    int result = find_or_tell(fd, name, &control, why);
    if (result < 0)
        return result;
    read_menu(fd, &control, &menu);
    struct v4l2_ext_control value = {0};
    int64_t number = 0;
    if (control.type == V4L2_CTRL_TYPE_STRING && !(control.flags & V4L2_CTRL_FLAG_READ_ONLY)) {
        result = set_text(fd, &control, text);
    } else {
        result = camera_control_parse(&control, &menu, text, &number, why);
        if (result < 0)
            return result;
        if (control.type == V4L2_CTRL_TYPE_INTEGER64)
            value.value64 = number;
        else
            value.value = (int32_t)number;
        result = exchange(fd, VIDIOC_S_EXT_CTRLS, &control, &value);
    }
    char range[160];
    describe_range(&control, &menu, range, sizeof(range));
    if (result == -ERANGE)
        snprintf(why, CAMERA_WHY_BYTES, "%s: the device refuses this value; it should be %s",
                 control.name, range);
    else if (result < 0)
        snprintf(why, CAMERA_WHY_BYTES, "%s: the device refuses this value: %s%s", control.name,
                 strerror(-result),
                 control.flags & V4L2_CTRL_FLAG_INACTIVE ? " (an automatic control rules it)" : "");
    return result;
}

/* The value as JSON; NULL: it cannot be read. */
static json_t *read_value(int fd, const struct camera_control *control) {
    char text[STRING_MAX + 1] = "";
    struct v4l2_ext_control value = {0};
    if (control->type == V4L2_CTRL_TYPE_BUTTON || (control->flags & V4L2_CTRL_FLAG_WRITE_ONLY))
        return NULL;
    if (control->type == V4L2_CTRL_TYPE_STRING) {
        value.size = sizeof(text);
        value.string = text;
    }
    if (exchange(fd, VIDIOC_G_EXT_CTRLS, control, &value) < 0)
        return NULL;
    switch ((enum v4l2_ctrl_type)control->type) {
    case V4L2_CTRL_TYPE_STRING:
        camera_text_copy(text, sizeof(text), text, sizeof(text));
        return json_string(text);
    case V4L2_CTRL_TYPE_INTEGER64:
        return json_integer(value.value64);
    case V4L2_CTRL_TYPE_BITMASK:
        return json_integer((uint32_t)value.value);
    default: /* new kernels have more types */
        return json_integer(value.value);
    }
}

int camera_control_get(int fd, const char *name, char text[CAMERA_WHY_BYTES]) {
    struct camera_control control;
    struct camera_menu menu;
    const int result = find_or_tell(fd, name, &control, text);
    if (result < 0)
        return result;
    read_menu(fd, &control, &menu);
    json_t *value = read_value(fd, &control);
    if (!value) {
        snprintf(text, CAMERA_WHY_BYTES, "%s cannot be read", control.name);
        return -EACCES;
    }
    char range[160];
    describe_range(&control, &menu, range, sizeof(range));
    if (json_is_string(value))
        snprintf(text, CAMERA_WHY_BYTES, "%.64s (%s)", json_string_value(value), range);
    else
        snprintf(text, CAMERA_WHY_BYTES, "%" JSON_INTEGER_FORMAT " (%s; default %" PRId64 ")",
                 json_integer_value(value), range, control.preset);
    json_decref(value);
    return 0;
}

static const char *name_type(uint32_t type) {
    switch ((enum v4l2_ctrl_type)type) {
    case V4L2_CTRL_TYPE_INTEGER:
    case V4L2_CTRL_TYPE_INTEGER64:
        return "number";
    case V4L2_CTRL_TYPE_BOOLEAN:
        return "switch";
    case V4L2_CTRL_TYPE_MENU:
    case V4L2_CTRL_TYPE_INTEGER_MENU:
        return "menu";
    case V4L2_CTRL_TYPE_BUTTON:
        return "button";
    case V4L2_CTRL_TYPE_STRING:
        return "text";
    case V4L2_CTRL_TYPE_BITMASK:
        return "bits";
    default: /* new kernels have more types */
        return "number";
    }
}

static json_t *describe_control(int fd, const struct camera_control *control) {
    json_t *object =
        json_pack("{s:s, s:s}", "name", control->name, "type", name_type(control->type));
    if (control->type != V4L2_CTRL_TYPE_BUTTON) {
        json_object_set_new(object, "min", json_integer(control->min));
        json_object_set_new(object, "max", json_integer(control->max));
        json_object_set_new(object, "step", json_integer(control->step));
    }
    if (control->type != V4L2_CTRL_TYPE_BUTTON && control->type != V4L2_CTRL_TYPE_STRING)
        json_object_set_new(object, "default", json_integer(control->preset));
    json_t *value = read_value(fd, control);
    if (value)
        json_object_set_new(object, "value", value);
    json_object_set_new(object, "is_read_only",
                        json_boolean(control->flags & V4L2_CTRL_FLAG_READ_ONLY));
    struct camera_menu menu;
    read_menu(fd, control, &menu);
    json_t *items = json_array();
    for (uint32_t i = 0; i < menu.count; i++)
        json_array_append_new(items,
                              json_pack("{s:I, s:s}", "value", (json_int_t)menu.item[i].index,
                                        "name", menu.item[i].name));
    if (menu.count)
        json_object_set(object, "menu", items);
    json_decref(items);
    return object;
}

json_t *camera_control_list(int fd) {
    json_t *controls = json_array();
    struct camera_control control;
    for (uint32_t id = 0; camera_control_next(fd, id, &control); id = control.id)
        json_array_append_new(controls, describe_control(fd, &control));
    return controls;
}
