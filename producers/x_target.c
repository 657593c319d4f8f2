#include "x_target.h"
#include "program.h"

#include <inttypes.h>
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xcb/composite.h>
#include <xcb/damage.h>

/* Areas. */

bool x_area_parse(const char *text, struct x_area *out_area) {
    struct x_area area = {0};
    int end = 0;
    if (strspn(text, "0123456789x+") != strlen(text) ||
        sscanf(text, "%5" SCNu32 "x%5" SCNu32 "+%5" SCNd32 "+%5" SCNd32 "%n", &area.width,
               &area.height, &area.x, &area.y, &end) != 4 ||
        text[end] || !area.width || !area.height)
        return false;
    *out_area = area;
    return true;
}

/* What a window of that size has of `area`; a width of 0: nothing. */
static struct x_area clip(struct x_area area, uint32_t width, uint32_t height) {
    if ((uint32_t)area.x >= width || (uint32_t)area.y >= height)
        return (struct x_area){0};
    const uint32_t right = width - (uint32_t)area.x, below = height - (uint32_t)area.y;
    area.width = area.width < right ? area.width : right;
    area.height = area.height < below ? area.height : below;
    return area;
}

static bool is_part(const struct x_target *target) {
    return target->area.width != target->width || target->area.height != target->height;
}

/* Where the pixels are. */

static bool is_screen(const struct x_target *target) {
    return target->window == target->display->screen->root;
}

static void drop_pixmap(struct x_target *target) {
    if (target->drawable && !is_screen(target))
        xcb_free_pixmap(target->display->connection, target->drawable);
    target->drawable = 0;
}

/* Has the windows above this one tell when they are hidden or shown, or get under another one.
 * False: no answer. */
static bool watch_ancestors(struct x_target *target) {
    xcb_connection_t *connection = target->display->connection;
    const uint32_t events = XCB_EVENT_MASK_STRUCTURE_NOTIFY;
    target->is_reparented = false;
    for (xcb_window_t window = target->window;;) {
        uint8_t error;
        xcb_query_tree_reply_t *tree =
            x_display_await(target->display, xcb_query_tree(connection, window).sequence, &error);
        if (!tree)
            return error; /* closed */
        const xcb_window_t parent = tree->parent;
        const bool is_top = parent == tree->root || !parent;
        free(tree);
        if (is_top)
            return true;
        xcb_change_window_attributes(connection, parent, XCB_CW_EVENT_MASK, &events);
        window = parent;
    }
}

/* Names the window's pixmap. The pixmap's own size is believed: the window's may have changed
 * between two answers, of which an event tells. There is none while the window is not shown. False:
 * no answer. */
static bool name_pixmap(struct x_target *target) {
    struct x_display *display = target->display;
    const xcb_pixmap_t pixmap = xcb_generate_id(display->connection);
    const xcb_void_cookie_t named =
        xcb_composite_name_window_pixmap_checked(display->connection, target->window, pixmap);
    const xcb_get_geometry_cookie_t asked = xcb_get_geometry(display->connection, pixmap);
    uint8_t error, geometry_error;
    const bool is_named = x_display_is_done(display, named, &error);
    xcb_get_geometry_reply_t *geometry = x_display_await(display, asked.sequence, &geometry_error);
    if (is_named && geometry) {
        target->width = (uint16_t)(geometry->width - 2 * target->border);
        target->height = (uint16_t)(geometry->height - 2 * target->border);
        target->drawable = pixmap;
    } else if (is_named) {
        xcb_free_pixmap(display->connection, pixmap);
    }
    free(geometry);
    return (is_named || error) && (geometry || geometry_error);
}

bool x_target_refresh(struct x_target *target) {
    struct x_display *display = target->display;
    drop_pixmap(target);
    target->is_stale = false;
    target->is_changed = true;
    if (target->is_reparented && !is_screen(target) && !watch_ancestors(target))
        return false;
    uint8_t error;
    xcb_get_geometry_reply_t *geometry = x_display_await(
        display, xcb_get_geometry(display->connection, target->window).sequence, &error);
    if (!geometry) {
        target->is_closed = error;
        return error;
    }
    target->width = geometry->width;
    target->height = geometry->height;
    target->border = geometry->border_width;
    free(geometry);
    if (is_screen(target))
        target->drawable = target->window;
    else if (!name_pixmap(target))
        return false;
    const struct x_area whole = {.width = target->width, .height = target->height};
    const struct x_area area =
        clip(target->wanted.width ? target->wanted : whole, target->width, target->height);
    if (!area.width)
        drop_pixmap(target);
    else
        target->area = area;
    return true;
}

/* Events. */

/* Whether damage of that event is news: what was drawn before the newest picture was asked for is
 * in it. Events bear the number of the last request that the server had dealt with. */
static bool is_news(const struct x_target *target, const xcb_generic_event_t *event) {
    return (int32_t)(event->full_sequence - target->taken_sequence) >= 0;
}

static bool is_within(const struct x_area *area, const xcb_rectangle_t *rectangle) {
    return rectangle->x < area->x + (int32_t)area->width &&
           rectangle->y < area->y + (int32_t)area->height &&
           rectangle->x + rectangle->width > area->x && rectangle->y + rectangle->height > area->y;
}

static void take_damage(struct x_target *target, const xcb_generic_event_t *event) {
    const xcb_damage_notify_event_t *notify = (const xcb_damage_notify_event_t *)event;
    if (is_news(target, event) && is_within(&target->area, &notify->area))
        target->is_changed = true;
}

static void take_configure(struct x_target *target, const xcb_configure_notify_event_t *event) {
    if (event->window == target->window &&
        (event->width != target->width || event->height != target->height ||
         event->border_width != target->border))
        target->is_stale = true;
}

/* Those that another client sent bear a bit in their type, and so are none of these: they tell what
 * it would have this one believe. */
static void take_event(struct x_target *target, const xcb_generic_event_t *event) {
    const uint8_t type = event->response_type;
    const uint8_t damage = target->display->damage_first_event;
    if (target->damage && type == damage + XCB_DAMAGE_NOTIFY)
        take_damage(target, event);
    else if (type == XCB_CONFIGURE_NOTIFY)
        take_configure(target, (const xcb_configure_notify_event_t *)event);
    else if (type == XCB_DESTROY_NOTIFY)
        target->is_closed |= ((const xcb_destroy_notify_event_t *)event)->window == target->window;
    else if (type == XCB_REPARENT_NOTIFY)
        target->is_stale = target->is_reparented = true;
    else if (type == XCB_MAP_NOTIFY || type == XCB_UNMAP_NOTIFY)
        target->is_stale = true;
    else if (type == XCB_VISIBILITY_NOTIFY && !target->drawable)
        target->is_stale = true; /* shown again; what covers a window does not change its picture */
}

bool x_target_take_events(struct x_target *target) {
    xcb_generic_event_t *event;
    bool has_some = false;
    while ((event = xcb_poll_for_event(target->display->connection))) {
        take_event(target, event);
        free(event);
        has_some = true;
    }
    return has_some;
}

void x_target_expect_damage(struct x_target *target) {
    target->is_changed = false;
    if (target->damage)
        target->taken_sequence =
            xcb_damage_subtract(target->display->connection, target->damage, XCB_NONE, XCB_NONE)
                .sequence;
}

/* Life. */

static void watch_damage(struct x_target *target) {
    struct x_display *display = target->display;
    if (!display->damage_first_event)
        program_fail("--on-change: the X server has no DAMAGE extension; leave --on-change out");
    target->damage = xcb_generate_id(display->connection);
    /* For the whole it matters that something was drawn, for a part where. */
    xcb_damage_create(display->connection, target->damage, target->window,
                      is_part(target) ? XCB_DAMAGE_REPORT_LEVEL_DELTA_RECTANGLES
                                      : XCB_DAMAGE_REPORT_LEVEL_NON_EMPTY);
}

/* False: no answer. */
static bool find_pixel(struct x_target *target) {
    struct x_display *display = target->display;
    const xcb_get_window_attributes_cookie_t asked =
        xcb_get_window_attributes(display->connection, target->window);
    const xcb_get_geometry_cookie_t asked_depth =
        xcb_get_geometry(display->connection, target->window);
    uint8_t error, depth_error;
    xcb_get_window_attributes_reply_t *attributes =
        x_display_await(display, asked.sequence, &error);
    xcb_get_geometry_reply_t *geometry =
        x_display_await(display, asked_depth.sequence, &depth_error);
    if (error || depth_error)
        program_fail("--window 0x%x: there is no such window; --list shows those there are",
                     target->window);
    if (!attributes || !geometry) {
        free(attributes);
        free(geometry);
        return false;
    }
    if (attributes->_class != XCB_WINDOW_CLASS_INPUT_OUTPUT)
        program_fail("--window 0x%x: it takes input only, it has no picture", target->window);
    target->depth = geometry->depth;
    if (!x_display_pixel(display, attributes->visual, geometry->depth, &target->pixel))
        program_fail("display \"%s\": pixels of depth %u that are no true colours are not known "
                     "here; start the X server with a depth of 16, 24 or 30",
                     display->name, geometry->depth);
    free(attributes);
    free(geometry);
    return true;
}

static void check_area(const struct x_target *target) {
    const struct x_area *wanted = &target->wanted;
    if (wanted->width &&
        (wanted->width != target->area.width || wanted->height != target->area.height))
        program_fail("--area %ux%u+%d+%d does not lie within the %s's %ux%u pixels", wanted->width,
                     wanted->height, wanted->x, wanted->y, is_screen(target) ? "screen" : "window",
                     target->width, target->height);
}

/* False: no answer. */
static bool await_events(struct x_target *target) {
    struct x_display *display = target->display;
    const uint32_t events = XCB_EVENT_MASK_STRUCTURE_NOTIFY | XCB_EVENT_MASK_VISIBILITY_CHANGE;
    xcb_change_window_attributes(display->connection, target->window, XCB_CW_EVENT_MASK, &events);
    if (is_screen(target))
        return true;
    if (!display->has_composite)
        program_fail("--window: the X server has no Composite extension 0.2, by which it keeps "
                     "windows' pictures; capture the window's place with --area");
    uint8_t error;
    const xcb_void_cookie_t redirected = xcb_composite_redirect_window_checked(
        display->connection, target->window, XCB_COMPOSITE_REDIRECT_AUTOMATIC);
    const bool is_done = x_display_is_done(display, redirected, &error);
    if (error && error != XCB_WINDOW) /* that one: closed, as x_target_refresh() will find */
        program_fail("--window 0x%x: the X server does not keep its picture: %s", target->window,
                     x_display_error_name(error));
    return is_done || error;
}

bool x_target_open(struct x_target *target, struct x_display *display, xcb_window_t window,
                   const struct x_area *area, bool is_watched) {
    *target = (struct x_target){
        .display = display,
        .window = window ? window : display->screen->root,
        .wanted = area ? *area : (struct x_area){0},
        .is_reparented = true,
    };
    if (!find_pixel(target) || !await_events(target) || !x_target_refresh(target) ||
        target->is_closed)
        return false;
    check_area(target);
    if (is_watched)
        watch_damage(target);
    return true;
}

static void put_text(char *out_text, size_t bytes, const char *text) {
    snprintf(out_text, bytes, "%s", text);
}

void x_target_describe(const struct x_target *target, struct shmframe_format *out_format) {
    const struct x_area *area = &target->area;
    if (shmframe_format_video(out_format, target->pixel.name, area->width, area->height) < 0)
        program_fail("%ux%u pixels are too many; capture a part with --area: %s", area->width,
                     area->height, shmframe_last_error());
    struct shmframe_plane *plane = &out_format->plane[0];
    plane->line_bytes = x_display_line_bytes(target->display, target->depth, area->width);
    out_format->slot_bytes = (uint64_t)plane->line_bytes * plane->rows + SHMFRAME_TAIL_BYTES;
    struct shmframe_video_format *video = &out_format->video;
    /* What X draws is meant for screens as sRGB describes them; libavutil's names. */
    put_text(video->color_range, sizeof(video->color_range), "pc");
    put_text(video->color_space, sizeof(video->color_space), "gbr");
    put_text(video->color_primaries, sizeof(video->color_primaries), "bt709");
    put_text(video->color_transfer, sizeof(video->color_transfer), "iec61966-2-1");
}
