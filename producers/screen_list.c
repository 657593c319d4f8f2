#include "screen_list.h"
#include "program.h"
#include "report.h"
#include "x_window.h"

#include <stdio.h>
#include <stdlib.h>
#include <xcb/randr.h>

static json_t *get_atom_name(struct x_display *display, xcb_atom_t atom) {
    xcb_get_atom_name_reply_t *reply =
        x_display_await(display, xcb_get_atom_name(display->connection, atom).sequence, NULL);
    json_t *name = reply ? json_stringn(xcb_get_atom_name_name(reply),
                                        (size_t)xcb_get_atom_name_name_length(reply))
                         : NULL;
    free(reply);
    return name ? name : json_string("");
}

/* The area is as --area takes it. */
static json_t *describe_output(struct x_display *display, const xcb_randr_monitor_info_t *monitor) {
    char area[64];
    snprintf(area, sizeof(area), "%ux%u+%d+%d", monitor->width, monitor->height, monitor->x,
             monitor->y);
    return json_pack("{s:o, s:s, s:b}", "name", get_atom_name(display, monitor->name), "area", area,
                     "is_primary", monitor->primary);
}

static json_t *list_outputs(struct x_display *display) {
    json_t *outputs = json_array();
    if (!display->has_monitors)
        return outputs;
    xcb_randr_get_monitors_reply_t *reply = x_display_await(
        display, xcb_randr_get_monitors(display->connection, display->screen->root, true).sequence,
        NULL);
    if (!reply)
        return outputs;
    xcb_randr_monitor_info_iterator_t monitors = xcb_randr_get_monitors_monitors_iterator(reply);
    for (; monitors.rem; xcb_randr_monitor_info_next(&monitors))
        json_array_append_new(outputs, describe_output(display, monitors.data));
    free(reply);
    return outputs;
}

static json_t *list_windows(struct x_display *display) {
    json_t *windows = json_array();
    struct x_window_list list;
    x_window_list(display, &list);
    for (size_t i = 0; i < list.count; i++) {
        const struct x_window *window = &list.window[i];
        char id[16];
        snprintf(id, sizeof(id), "0x%x", window->id);
        json_array_append_new(windows, json_pack("{s:s, s:i, s:i, s:s}", "id", id, "width",
                                                 (int)window->width, "height", (int)window->height,
                                                 "name", window->name));
    }
    x_window_list_finish(&list);
    return windows;
}

static json_t *describe_screen(struct x_display *display) {
    xcb_get_geometry_reply_t *geometry = x_display_await(
        display, xcb_get_geometry(display->connection, display->screen->root).sequence, NULL);
    if (!geometry)
        program_fail("display \"%s\": the X server is gone", display->name);
    struct x_pixel pixel;
    const bool is_known =
        x_display_pixel(display, display->screen->root_visual, display->screen->root_depth, &pixel);
    json_t *screen = json_pack("{s:i, s:i, s:i, s:s?}", "width", (int)geometry->width, "height",
                               (int)geometry->height, "depth", (int)geometry->depth, "pixel_format",
                               is_known ? pixel.name : NULL);
    free(geometry);
    return screen;
}

static const char *get_text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static int get_number(const json_t *object, const char *key) {
    return (int)json_integer_value(json_object_get(object, key));
}

static void print_text(const struct x_display *display, const json_t *screen, const json_t *outputs,
                       const json_t *windows) {
    const char *pixel_format = get_text(screen, "pixel_format");
    printf("display %s: %dx%d, depth %d, %s\n", display->name, get_number(screen, "width"),
           get_number(screen, "height"), get_number(screen, "depth"),
           pixel_format ? pixel_format : "whose pixels cannot be captured");
    size_t i;
    const json_t *at;
    json_array_foreach(outputs, i, at) {
        const bool is_primary = json_is_true(json_object_get(at, "is_primary"));
        printf("output %s: %s%s\n", get_text(at, "name"), get_text(at, "area"),
               is_primary ? ", primary" : "");
    }
    json_array_foreach(windows, i, at)
        printf("window %s: %dx%d \"%s\"\n", get_text(at, "id"), get_number(at, "width"),
               get_number(at, "height"), get_text(at, "name"));
}

int screen_list_print(struct x_display *display, const char *format) {
    json_t *screen = describe_screen(display);
    json_t *outputs = list_outputs(display);
    json_t *windows = list_windows(display);
    if (x_display_is_gone(display))
        program_fail("display \"%s\": the X server is gone", display->name);
    if (report_format_parse(format) == REPORT_JSON) {
        report_print_json(json_pack("{s:s, s:o, s:o, s:o}", "display", display->name, "screen",
                                    screen, "outputs", outputs, "windows", windows));
        return EXIT_DONE;
    }
    print_text(display, screen, outputs, windows);
    json_decref(screen);
    json_decref(outputs);
    json_decref(windows);
    report_flush();
    return EXIT_DONE;
}
