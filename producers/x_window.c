#include "x_window.h"
#include "program.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOWS_MAX = 4096, DEPTH_MAX = 8 };

/* The atoms of the conventions that are asked after; 0 where nobody on this server uses them. */
struct atoms {
    xcb_atom_t client_list, wm_state, net_name;
};

static struct atoms find_atoms(struct x_display *display) {
    return (struct atoms){
        .client_list = x_display_atom(display, "_NET_CLIENT_LIST"),
        .wm_state = x_display_atom(display, "WM_STATE"),
        .net_name = x_display_atom(display, "_NET_WM_NAME"),
    };
}

/* NULL: the window has no such property. */
static xcb_get_property_reply_t *get_property(struct x_display *display, xcb_window_t window,
                                              xcb_atom_t property, uint32_t words) {
    if (!property)
        return NULL;
    xcb_get_property_reply_t *reply =
        x_display_await(display,
                        xcb_get_property(display->connection, false, window, property,
                                         XCB_GET_PROPERTY_TYPE_ANY, 0, words)
                            .sequence,
                        NULL);
    if (reply && reply->value_len == 0) {
        free(reply);
        return NULL;
    }
    return reply;
}

/* Names. */

/* jansson takes nothing else. */
static bool is_utf8(const char *text, size_t length) {
    json_t *string = json_stringn(text, length);
    json_decref(string);
    return string;
}

/* Without the character that it was cut within. */
static size_t find_whole_length(const char *text, size_t length) {
    enum { CUT_MAX = 3 };
    for (size_t cut = 0; cut <= CUT_MAX && cut < length; cut++)
        if (is_utf8(text, length - cut))
            return length - cut;
    return length;
}

/* Whether a control character begins there: of ASCII, or U+0080 to U+009F. */
static bool is_control(const uint8_t *text, size_t length, bool is_latin) {
    if (is_latin && text[0] >= 0x80)
        return text[0] < 0xa0;
    return text[0] < ' ' || text[0] == 0x7f || (text[0] == 0xc2 && length > 1 && text[1] < 0xa0);
}

/* What is no UTF-8 is Latin-1. Control characters would reach the user's terminal. */
static void store_name(char *out_name, const uint8_t *text, size_t length, bool is_cut) {
    length = strnlen((const char *)text, length); /* several names in one: the first */
    if (is_cut)
        length = find_whole_length((const char *)text, length);
    const bool is_latin = !is_utf8((const char *)text, length);
    size_t used = 0;
    for (size_t i = 0; i < length && used + 3 < X_WINDOW_NAME_BYTES; i++) {
        const uint8_t byte = text[i];
        if (is_control(text + i, length - i, is_latin)) {
            out_name[used++] = '?';
            i += !is_latin && byte >= 0x80; /* of two bytes */
        } else if (is_latin && byte >= 0x80) {
            out_name[used++] = (char)(0xc0 | byte >> 6);
            out_name[used++] = (char)(0x80 | (byte & 0x3f));
        } else {
            out_name[used++] = (char)byte;
        }
    }
    out_name[find_whole_length(out_name, used)] = 0;
}

static void get_name(struct x_display *display, const struct atoms *atoms, xcb_window_t window,
                     char *out_name) {
    out_name[0] = 0;
    xcb_get_property_reply_t *reply =
        get_property(display, window, atoms->net_name, X_WINDOW_NAME_BYTES / 4);
    if (!reply)
        reply = get_property(display, window, XCB_ATOM_WM_NAME, X_WINDOW_NAME_BYTES / 4);
    if (!reply)
        return;
    if (reply->format == 8)
        store_name(out_name, xcb_get_property_value(reply),
                   (size_t)xcb_get_property_value_length(reply), reply->bytes_after);
    free(reply);
}

/* The tree. */

static bool has_state(struct x_display *display, const struct atoms *atoms, xcb_window_t window) {
    xcb_get_property_reply_t *reply = get_property(display, window, atoms->wm_state, 2);
    free(reply);
    return reply;
}

/* A window manager's frame has the program's window in it, which bears WM_STATE. 0: none has. */
static xcb_window_t find_client(struct x_display *display, const struct atoms *atoms,
                                xcb_window_t window, int depth) {
    if (has_state(display, atoms, window))
        return window;
    if (depth == DEPTH_MAX || !atoms->wm_state)
        return 0;
    xcb_query_tree_reply_t *tree =
        x_display_await(display, xcb_query_tree(display->connection, window).sequence, NULL);
    if (!tree)
        return 0;
    const xcb_window_t *children = xcb_query_tree_children(tree);
    xcb_window_t found = 0;
    for (int i = 0; i < xcb_query_tree_children_length(tree) && !found; i++)
        found = find_client(display, atoms, children[i], depth + 1);
    free(tree);
    return found;
}

static bool is_visible(struct x_display *display, xcb_window_t window) {
    xcb_get_window_attributes_reply_t *attributes = x_display_await(
        display, xcb_get_window_attributes(display->connection, window).sequence, NULL);
    const bool result = attributes && attributes->map_state == XCB_MAP_STATE_VIEWABLE &&
                        attributes->_class == XCB_WINDOW_CLASS_INPUT_OUTPUT;
    free(attributes);
    return result;
}

static void add_window(struct x_display *display, const struct atoms *atoms,
                       struct x_window_list *list, xcb_window_t id) {
    xcb_get_geometry_reply_t *geometry =
        x_display_await(display, xcb_get_geometry(display->connection, id).sequence, NULL);
    if (!geometry) /* closed since */
        return;
    struct x_window *window = &list->window[list->count++];
    window->id = id;
    window->width = geometry->width;
    window->height = geometry->height;
    free(geometry);
    get_name(display, atoms, id, window->name);
}

static void list_tree(struct x_display *display, const struct atoms *atoms,
                      struct x_window_list *list) {
    xcb_query_tree_reply_t *tree = x_display_await(
        display, xcb_query_tree(display->connection, display->screen->root).sequence, NULL);
    if (!tree)
        return;
    const xcb_window_t *children = xcb_query_tree_children(tree);
    for (int i = 0; i < xcb_query_tree_children_length(tree) && list->count < WINDOWS_MAX; i++) {
        if (!is_visible(display, children[i]))
            continue;
        const xcb_window_t client = find_client(display, atoms, children[i], 0);
        add_window(display, atoms, list, client ? client : children[i]);
    }
    free(tree);
}

void x_window_list(struct x_display *display, struct x_window_list *out_list) {
    const struct atoms atoms = find_atoms(display);
    *out_list = (struct x_window_list){.window = calloc(WINDOWS_MAX, sizeof(struct x_window))};
    if (!out_list->window)
        program_fail("no memory for a list of windows");
    xcb_get_property_reply_t *clients =
        get_property(display, display->screen->root, atoms.client_list, WINDOWS_MAX);
    if (!clients) {
        list_tree(display, &atoms, out_list);
        return;
    }
    const xcb_window_t *ids = xcb_get_property_value(clients);
    if (clients->format == 32)
        for (uint32_t i = 0; i < clients->value_len && i < WINDOWS_MAX; i++)
            add_window(display, &atoms, out_list, ids[i]);
    free(clients);
}

void x_window_list_finish(struct x_window_list *list) {
    free(list->window);
    *list = (struct x_window_list){0};
}

/* By id and name. */

/* Digits that no id has are one that no window has. */
static bool parse_id(const char *text, xcb_window_t *out_id) {
    char *end;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end)
        return false;
    *out_id = errno || value > UINT32_MAX ? XCB_NONE : (xcb_window_t)value;
    return true;
}

static bool is_window(struct x_display *display, xcb_window_t id) {
    if (id == XCB_NONE)
        return false;
    void *attributes =
        x_display_await(display, xcb_get_window_attributes(display->connection, id).sequence, NULL);
    free(attributes);
    return attributes;
}

static _Noreturn void name_candidates(const char *text, const struct x_window **found,
                                      size_t count) {
    char list[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s 0x%x \"%s\"", i ? "," : "",
                                 found[i]->id, found[i]->name);
    program_fail("--window \"%s\": several windows are named so, give the id of one:%s", text,
                 list);
}

static xcb_window_t find_named(struct x_display *display, const char *text, bool is_whole) {
    struct x_window_list list;
    x_window_list(display, &list);
    if (x_display_has_ended(display)) {
        x_window_list_finish(&list);
        return 0;
    }
    const struct x_window **found = calloc(list.count + 1, sizeof(*found));
    if (!found)
        program_fail("no memory for a list of windows");
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++)
        if (strcmp(list.window[i].name, text) == 0)
            found[count++] = &list.window[i];
    const bool is_part_enough = count == 0 && !is_whole;
    for (size_t i = 0; i < list.count && is_part_enough; i++)
        if (strcasestr(list.window[i].name, text))
            found[count++] = &list.window[i];
    if (count == 0 && is_whole)
        program_fail("--window %s: there is no such window; --list shows those there are", text);
    if (count == 0)
        program_fail("--window \"%s\": no window is named so; --list shows those there are", text);
    if (count > 1)
        name_candidates(text, found, count);
    const xcb_window_t id = found[0]->id;
    free(found);
    x_window_list_finish(&list);
    return id;
}

xcb_window_t x_window_find(struct x_display *display, const char *text) {
    if (!text[0])
        program_fail("--window: it names no window; leave it out for the screen");
    xcb_window_t id;
    const bool is_id = parse_id(text, &id);
    if (is_id && is_window(display, id))
        return id;
    /* A number may be a title, such as the game 2048's, but not a part of one: who gives the id of
     * a window that is gone does not want any other. */
    return find_named(display, text, is_id);
}

/* By click. */

/* A cross-hair, as pointer while the user chooses. */
static xcb_cursor_t create_cross(xcb_connection_t *connection) {
    enum { XC_CROSSHAIR = 34 };
    static const char name[] = "cursor";
    const xcb_font_t font = xcb_generate_id(connection);
    const xcb_cursor_t cursor = xcb_generate_id(connection);
    xcb_open_font(connection, font, sizeof(name) - 1, name);
    xcb_create_glyph_cursor(connection, cursor, font, font, XC_CROSSHAIR, XC_CROSSHAIR + 1, 0, 0, 0,
                            UINT16_MAX, UINT16_MAX, UINT16_MAX);
    xcb_close_font(connection, font);
    return cursor;
}

/* The button's release belongs to the click, and is not to reach the window. */
static xcb_window_t await_click(struct x_display *display) {
    xcb_window_t clicked = 0;
    for (;;) {
        xcb_generic_event_t *event = x_display_await_event(display);
        if (!event)
            return 0;
        const uint8_t type = event->response_type & 0x7f;
        if (type == XCB_BUTTON_PRESS && !clicked) {
            const xcb_button_press_event_t *press = (xcb_button_press_event_t *)event;
            clicked = press->child ? press->child : display->screen->root;
        }
        free(event);
        if (type == XCB_BUTTON_RELEASE && clicked)
            return clicked;
    }
}

xcb_window_t x_window_click(struct x_display *display) {
    xcb_connection_t *connection = display->connection;
    const xcb_window_t root = display->screen->root;
    xcb_grab_pointer_reply_t *grab = x_display_await(
        display,
        xcb_grab_pointer(connection, false, root,
                         XCB_EVENT_MASK_BUTTON_PRESS | XCB_EVENT_MASK_BUTTON_RELEASE,
                         XCB_GRAB_MODE_ASYNC, XCB_GRAB_MODE_ASYNC, XCB_NONE,
                         create_cross(connection), XCB_CURRENT_TIME)
            .sequence,
        NULL);
    const bool is_grabbed = grab && grab->status == XCB_GRAB_STATUS_SUCCESS;
    free(grab);
    if (x_display_has_ended(display))
        return 0;
    if (!is_grabbed)
        program_fail("--window click: another program has the pointer; end what it shows (a menu?)"
                     " or give the window's name or id");
    program_warn("click at the window that is to be captured");
    xcb_window_t window = await_click(display);
    xcb_ungrab_pointer(connection, XCB_CURRENT_TIME);
    xcb_flush(connection);
    if (!window || window == root)
        return window;
    const struct atoms atoms = find_atoms(display);
    const xcb_window_t client = find_client(display, &atoms, window, 0);
    return client ? client : window;
}
