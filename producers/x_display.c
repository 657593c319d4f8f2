#include "x_display.h"
#include "program.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <xcb/composite.h>
#include <xcb/damage.h>
#include <xcb/randr.h>
#include <xcb/shm.h>
#include <xcb/xcbext.h>
#include <xcb/xfixes.h>

/* Waiting. */

bool x_display_is_gone(const struct x_display *display) {
    return xcb_connection_has_error(display->connection);
}

bool x_display_has_ended(const struct x_display *display) {
    return program_is_stopping() || x_display_is_gone(display);
}

/* False: what is waited for is not wanted any more. */
static bool sleep_for_server(struct x_display *display) {
    const int fd = xcb_get_file_descriptor(display->connection);
    if (display->sleep)
        return display->sleep(display->sleep_user, fd);
    struct pollfd polls[] = {
        {.fd = fd, .events = POLLIN},
        {.fd = program_stop_fd(), .events = POLLIN},
    };
    poll(polls, 2, -1);
    return true;
}

void *x_display_await(struct x_display *display, unsigned sequence, uint8_t *out_error) {
    if (out_error)
        *out_error = 0;
    xcb_flush(display->connection);
    for (;;) {
        void *reply = NULL;
        xcb_generic_error_t *error = NULL;
        if (xcb_poll_for_reply(display->connection, sequence, &reply, &error)) {
            if (error && out_error)
                *out_error = error->error_code;
            free(error);
            return reply;
        }
        if (program_is_stopping() || !sleep_for_server(display)) {
            xcb_discard_reply(display->connection, sequence);
            return NULL;
        }
    }
}

bool x_display_is_done(struct x_display *display, xcb_void_cookie_t cookie, uint8_t *out_error) {
    if (out_error)
        *out_error = 0;
    /* Once this one is answered, the server has dealt with those before it. */
    void *focus = x_display_await(display, xcb_get_input_focus(display->connection).sequence, NULL);
    if (!focus) {
        xcb_discard_reply(display->connection, cookie.sequence);
        return false;
    }
    free(focus);
    xcb_generic_error_t *error = xcb_request_check(display->connection, cookie);
    if (error && out_error)
        *out_error = error->error_code;
    const bool is_done = !error;
    free(error);
    return is_done;
}

xcb_generic_event_t *x_display_await_event(struct x_display *display) {
    xcb_flush(display->connection);
    for (;;) {
        xcb_generic_event_t *event = xcb_poll_for_event(display->connection);
        if (event || x_display_has_ended(display) || !sleep_for_server(display))
            return event;
    }
}

const char *x_display_error_name(uint8_t error) {
    static const char *const names[] = {
        "no error",  "BadRequest",  "BadValue",    "BadWindow",   "BadPixmap", "BadAtom",
        "BadCursor", "BadFont",     "BadMatch",    "BadDrawable", "BadAccess", "BadAlloc",
        "BadColor",  "BadGContext", "BadIDChoice", "BadName",     "BadLength", "BadImplementation",
    };
    return error < sizeof(names) / sizeof(names[0]) ? names[error] : "an extension's error";
}

xcb_atom_t x_display_atom(struct x_display *display, const char *name) {
    xcb_intern_atom_reply_t *reply = x_display_await(
        display, xcb_intern_atom(display->connection, true, (uint16_t)strlen(name), name).sequence,
        NULL);
    const xcb_atom_t atom = reply ? reply->atom : (xcb_atom_t)XCB_ATOM_NONE;
    free(reply);
    return atom;
}

/* Pixels. */

static const xcb_format_t *find_format(const struct x_display *display, uint8_t depth) {
    const xcb_setup_t *setup = xcb_get_setup(display->connection);
    const xcb_format_t *formats = xcb_setup_pixmap_formats(setup);
    for (int i = 0; i < xcb_setup_pixmap_formats_length(setup); i++)
        if (formats[i].depth == depth)
            return &formats[i];
    return NULL;
}

static const xcb_visualtype_t *find_visual(const struct x_display *display, xcb_visualid_t visual) {
    xcb_depth_iterator_t depths = xcb_screen_allowed_depths_iterator(display->screen);
    for (; depths.rem; xcb_depth_next(&depths)) {
        xcb_visualtype_iterator_t visuals = xcb_depth_visuals_iterator(depths.data);
        for (; visuals.rem; xcb_visualtype_next(&visuals))
            if (visuals.data->visual_id == visual)
                return visuals.data;
    }
    return NULL;
}

bool x_display_pixel(const struct x_display *display, xcb_visualid_t visual, uint8_t depth,
                     struct x_pixel *out_pixel) {
    const xcb_format_t *format = find_format(display, depth);
    const xcb_visualtype_t *type = find_visual(display, visual);
    if (!format || !type ||
        (type->_class != XCB_VISUAL_CLASS_TRUE_COLOR &&
         type->_class != XCB_VISUAL_CLASS_DIRECT_COLOR))
        return false;
    *out_pixel = (struct x_pixel){
        .bits = format->bits_per_pixel,
        .is_msb_first =
            xcb_get_setup(display->connection)->image_byte_order == XCB_IMAGE_ORDER_MSB_FIRST,
        .mask = {type->red_mask, type->green_mask, type->blue_mask},
    };
    return x_pixel_name(out_pixel);
}

uint32_t x_display_line_bytes(const struct x_display *display, uint8_t depth, uint32_t width) {
    const xcb_format_t *format = find_format(display, depth);
    const uint32_t pad = format->scanline_pad;
    return (width * format->bits_per_pixel + pad - 1) / pad * pad / 8;
}

/* What the server can do. */

static bool has_extension(struct x_display *display, xcb_extension_t *extension) {
    const xcb_query_extension_reply_t *reply =
        xcb_get_extension_data(display->connection, extension);
    return reply && reply->present;
}

/* Descriptors go over a local socket only, and MIT-SHM takes them since 1.2. */
static const char *find_copied_why(struct x_display *display) {
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);
    const int fd = xcb_get_file_descriptor(display->connection);
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) < 0 || address.ss_family != AF_UNIX)
        return "the connection to the X server is not local";
    if (!has_extension(display, &xcb_shm_id))
        return "the X server has no MIT-SHM";
    xcb_shm_query_version_reply_t *version =
        x_display_await(display, xcb_shm_query_version(display->connection).sequence, NULL);
    const bool takes_descriptors =
        version && (version->major_version > 1 ||
                    (version->major_version == 1 && version->minor_version >= 2));
    free(version);
    return takes_descriptors ? NULL : "the X server's MIT-SHM is older than 1.2";
}

/* A client tells the version that it speaks before it uses an extension. */
static void agree_on_versions(struct x_display *display) {
    xcb_connection_t *connection = display->connection;
    if (has_extension(display, &xcb_xfixes_id)) {
        free(x_display_await(display, xcb_xfixes_query_version(connection, 5, 0).sequence, NULL));
        display->has_cursor = true;
    }
    if (has_extension(display, &xcb_damage_id)) {
        free(x_display_await(display, xcb_damage_query_version(connection, 1, 1).sequence, NULL));
        display->damage_first_event =
            xcb_get_extension_data(connection, &xcb_damage_id)->first_event;
    }
    if (has_extension(display, &xcb_composite_id)) {
        xcb_composite_query_version_reply_t *version =
            x_display_await(display, xcb_composite_query_version(connection, 0, 4).sequence, NULL);
        /* 0.2 has NameWindowPixmap. */
        display->has_composite =
            version && (version->major_version > 0 || version->minor_version >= 2);
        free(version);
    }
    if (has_extension(display, &xcb_randr_id)) {
        xcb_randr_query_version_reply_t *version =
            x_display_await(display, xcb_randr_query_version(connection, 1, 5).sequence, NULL);
        display->has_monitors =
            version && (version->major_version > 1 || version->minor_version >= 5);
        free(version);
    }
}

/* Xwayland has told by an extension of this name since 23.1; before, its outputs' names did. */
static bool is_xwayland(struct x_display *display) {
    static const char name[] = "XWAYLAND";
    xcb_query_extension_reply_t *extension = x_display_await(
        display, xcb_query_extension(display->connection, sizeof(name) - 1, name).sequence, NULL);
    bool is_there = extension && extension->present;
    free(extension);
    if (is_there || !display->has_monitors)
        return is_there;
    xcb_randr_get_screen_resources_current_reply_t *resources = x_display_await(
        display,
        xcb_randr_get_screen_resources_current(display->connection, display->screen->root).sequence,
        NULL);
    if (!resources)
        return false;
    const xcb_randr_output_t *outputs = xcb_randr_get_screen_resources_current_outputs(resources);
    for (int i = 0; i < resources->num_outputs && !is_there; i++) {
        xcb_randr_get_output_info_reply_t *info = x_display_await(
            display,
            xcb_randr_get_output_info(display->connection, outputs[i], resources->config_timestamp)
                .sequence,
            NULL);
        is_there = info && info->name_len >= sizeof(name) - 1 &&
                   memcmp(xcb_randr_get_output_info_name(info), name, sizeof(name) - 1) == 0;
        free(info);
    }
    free(resources);
    return is_there;
}

/* Life. */

static void fail_to_connect(const char *name, int error) {
    if (error == XCB_CONN_CLOSED_PARSE_ERR)
        program_fail("display \"%s\": a display is named like :0, :0.1 or host:0", name);
    if (error == XCB_CONN_CLOSED_INVALID_SCREEN)
        program_fail("display \"%s\": the X server there has no screen of that number", name);
    program_fail("display \"%s\": no X server lets us in there; see --display, DISPLAY and "
                 "XAUTHORITY",
                 name);
}

void x_display_open(struct x_display *display, const char *name) {
    *display = (struct x_display){.name = name ? name : getenv("DISPLAY")};
    if (!display->name || !display->name[0]) {
        if (getenv("WAYLAND_DISPLAY"))
            program_fail("Wayland shows its screen to no X client: play OBS Studio's virtual "
                         "camera with shmframe-camera, or see WAYLAND in shmframe-screen(1)");
        program_fail("no display: name one with --display, such as :0, or set DISPLAY");
    }
    int number = 0;
    display->connection = xcb_connect(display->name, &number);
    const int error = xcb_connection_has_error(display->connection);
    if (error)
        fail_to_connect(display->name, error);
    xcb_screen_iterator_t screens = xcb_setup_roots_iterator(xcb_get_setup(display->connection));
    for (; number > 0; number--)
        xcb_screen_next(&screens);
    display->screen = screens.data;
    agree_on_versions(display);
    display->copied_why = find_copied_why(display);
    display->is_xwayland = is_xwayland(display);
}

void x_display_close(struct x_display *display) {
    xcb_disconnect(display->connection);
    display->connection = NULL;
}
