#include "camera_list.h"

#include "camera_control.h"
#include "camera_device.h"
#include "program.h"
#include "report.h"

#include <stdio.h>

/* Describing. */

static json_t *describe_inputs(const struct camera_device *device) {
    json_t *inputs = json_array();
    struct v4l2_input input = {0};
    for (; camera_ioctl(device->fd, VIDIOC_ENUMINPUT, &input) == 0; input.index++) {
        const bool has_signal =
            !(input.status & (V4L2_IN_ST_NO_POWER | V4L2_IN_ST_NO_SIGNAL | V4L2_IN_ST_NO_SYNC));
        char name[sizeof(input.name)];
        camera_text_copy(name, sizeof(name), input.name, sizeof(input.name));
        json_array_append_new(inputs, json_pack("{s:i, s:s, s:b}", "input", (int)input.index,
                                                "name", name, "has_signal", (int)has_signal));
    }
    return inputs;
}

static double to_number(struct shmframe_rational rate) {
    return (double)rate.num / rate.den;
}

static bool is_same_size(const struct camera_mode *a, const struct camera_mode *b) {
    return a->fourcc == b->fourcc && a->width == b->width && a->height == b->height &&
           a->width_max == b->width_max && a->height_max == b->height_max;
}

/* Each size once, with its rates: [30, 15], or {"min": 1, "max": 60} for a range. */
static json_t *describe_sizes(const struct camera_modes *modes, uint32_t fourcc) {
    json_t *sizes = json_array();
    for (uint32_t i = 0; i < modes->count; i++) {
        const struct camera_mode *mode = &modes->mode[i];
        if (mode->fourcc != fourcc || !mode->width ||
            (i > 0 && is_same_size(mode, &modes->mode[i - 1])))
            continue;
        json_t *size =
            json_pack("{s:i, s:i}", "width", (int)mode->width, "height", (int)mode->height);
        if (mode->width != mode->width_max || mode->height != mode->height_max) {
            json_object_set_new(size, "width_max", json_integer(mode->width_max));
            json_object_set_new(size, "height_max", json_integer(mode->height_max));
            json_object_set_new(size, "width_step", json_integer(mode->width_step));
            json_object_set_new(size, "height_step", json_integer(mode->height_step));
        }
        json_t *rates = json_array();
        for (uint32_t at = i; at < modes->count && is_same_size(mode, &modes->mode[at]); at++) {
            const struct camera_mode *each = &modes->mode[at];
            if (each->rate.num && camera_rate_is_near(each->rate, each->rate_max))
                json_array_append_new(rates, json_real(to_number(each->rate)));
            else if (each->rate.num)
                json_array_append_new(rates, json_pack("{s:f, s:f}", "min", to_number(each->rate),
                                                       "max", to_number(each->rate_max)));
        }
        json_object_set_new(size, "rates", rates);
        json_array_append_new(sizes, size);
    }
    return sizes;
}

static json_t *describe_formats(const struct camera_device *device) {
    struct camera_modes modes = {0};
    const struct camera_wish wish = {0};
    json_t *formats = json_array();
    camera_device_read_modes(device, &wish, &modes);
    struct v4l2_fmtdesc format = {.type = device->type};
    for (; camera_ioctl(device->fd, VIDIOC_ENUM_FMT, &format) == 0; format.index++) {
        const struct camera_pixels *pixels = camera_pixels_find(format.pixelformat);
        char description[sizeof(format.description)];
        camera_text_copy(description, sizeof(description), format.description,
                         sizeof(format.description));
        json_t *object = json_pack(
            "{s:s, s:s, s:o}", "fourcc", camera_fourcc_text(format.pixelformat).text, "description",
            description, "sizes", describe_sizes(&modes, format.pixelformat));
        if (pixels)
            json_object_set_new(object, "pixel_format", json_string(pixels->name));
        json_array_append_new(formats, object);
    }
    camera_modes_free(&modes);
    return formats;
}

static bool add_device(void *user, struct camera_device *device) {
    const struct camera_identity *identity = &device->identity;
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o}", "path", device->path, "name",
                  identity->card, "driver", identity->driver, "bus", identity->bus,
                  "is_multiplanar", (int)device->is_multiplanar, "inputs", describe_inputs(device),
                  "formats", describe_formats(device), "controls", camera_control_list(device->fd));
    if (object && identity->serial[0])
        json_object_set_new(object, "serial", json_string(identity->serial));
    json_array_append_new(user, object);
    return true;
}

/* Words. */

static const char *get_text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static long long get_number(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static void print_size(const json_t *size) {
    printf("    %lldx%lld", get_number(size, "width"), get_number(size, "height"));
    if (json_object_get(size, "width_max"))
        printf(" to %lldx%lld in steps of %lldx%lld", get_number(size, "width_max"),
               get_number(size, "height_max"), get_number(size, "width_step"),
               get_number(size, "height_step"));
    size_t i;
    const json_t *rate;
    json_array_foreach(json_object_get(size, "rates"), i, rate) {
        if (json_is_object(rate))
            printf("%s %.5g to %.5g", i ? "," : " at",
                   json_number_value(json_object_get(rate, "min")),
                   json_number_value(json_object_get(rate, "max")));
        else
            printf("%s %.5g", i ? "," : " at", json_number_value(rate));
    }
    putchar('\n');
}

static void print_format(const json_t *format) {
    const char *name = get_text(format, "pixel_format");
    printf("  %s: %s (%s)\n", name ? name : "not supported", get_text(format, "description"),
           get_text(format, "fourcc"));
    size_t i;
    const json_t *size;
    json_array_foreach(json_object_get(format, "sizes"), i, size) print_size(size);
}

static void print_control(const json_t *control) {
    printf("  %s: %s", get_text(control, "name"), get_text(control, "type"));
    const json_t *value = json_object_get(control, "value"), *item;
    if (json_object_get(control, "min"))
        printf(", %lld to %lld", get_number(control, "min"), get_number(control, "max"));
    if (get_number(control, "step") > 1)
        printf(" in steps of %lld", get_number(control, "step"));
    if (json_object_get(control, "default"))
        printf(", default %lld", get_number(control, "default"));
    if (json_is_string(value))
        printf(", now \"%s\"", json_string_value(value));
    else if (value)
        printf(", now %lld", (long long)json_integer_value(value));
    puts(json_is_true(json_object_get(control, "is_read_only")) ? ", read only" : "");
    size_t i;
    json_array_foreach(json_object_get(control, "menu"), i, item)
        printf("    %lld: %s\n", get_number(item, "value"), get_text(item, "name"));
}

static void print_device(const json_t *device) {
    size_t i;
    const json_t *item;
    printf("%s: %s (%s, %s%s)\n", get_text(device, "path"), get_text(device, "name"),
           get_text(device, "driver"), get_text(device, "bus"),
           json_is_true(json_object_get(device, "is_multiplanar")) ? ", multi-planar" : "");
    json_array_foreach(json_object_get(device, "inputs"), i, item)
        printf("  input %lld: %s%s\n", get_number(item, "input"), get_text(item, "name"),
               json_is_true(json_object_get(item, "has_signal")) ? "" : ", no signal");
    json_array_foreach(json_object_get(device, "formats"), i, item) print_format(item);
    json_array_foreach(json_object_get(device, "controls"), i, item) print_control(item);
}

int camera_list(const char *path, bool is_json) {
    json_t *devices = json_array();
    if (path) {
        char why[CAMERA_WHY_BYTES];
        struct camera_device device;
        if (camera_device_open(&device, path, why) < 0)
            program_fail("%s", why);
        add_device(devices, &device);
        camera_device_close(&device);
    } else {
        camera_device_visit(add_device, devices);
    }
    if (is_json) {
        report_print_json(json_pack("{s:o}", "devices", devices));
        return EXIT_DONE;
    }
    size_t i;
    const json_t *device;
    json_array_foreach(devices, i, device) print_device(device);
    if (!json_array_size(devices))
        puts("there is no camera in /dev/video* that may be used");
    json_decref(devices);
    report_flush();
    return EXIT_DONE;
}
