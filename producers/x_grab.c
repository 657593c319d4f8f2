#include "x_grab.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xcb/shm.h>

void x_grab_init(struct x_grab *grab, struct x_display *display) {
    *grab = (struct x_grab){.display = display, .copied_why = display->copied_why};
}

/* Segments. */

static void detach(struct x_grab *grab, struct x_segment *segment) {
    if (segment->id)
        xcb_shm_detach(grab->display->connection, segment->id);
    *segment = (struct x_segment){0};
}

int x_grab_attach(void *user, int ring_fd, const struct shmframe_ring_map *map) {
    struct x_grab *grab = user;
    struct x_display *display = grab->display;
    /* A ring of which the opening failed. */
    detach(grab, &grab->next);
    if (display->copied_why)
        return 0;
    const int fd = fcntl(ring_fd, F_DUPFD_CLOEXEC, 0); /* xcb closes what it sends */
    if (fd < 0)
        return -errno;
    const uint32_t id = xcb_generate_id(display->connection);
    uint8_t error;
    if (!x_display_is_done(
            display, xcb_shm_attach_fd_checked(display->connection, id, fd, /* read_only */ false),
            &error)) {
        if (program_is_stopping())
            return -EINTR;
        if (!error) /* the server is gone: no picture will be asked for */
            return 0;
        /* A proxy for instance, which does not pass descriptors on. */
        display->copied_why = "the X server did not take the ring's descriptor";
        grab->copied_why = display->copied_why;
        return 0;
    }
    grab->next = (struct x_segment){
        .id = id, .payload_offset = map->payload_offset, .slot_stride = map->slot_stride};
    return 0;
}

void x_grab_adopt(struct x_grab *grab) {
    detach(grab, &grab->current);
    grab->current = grab->next;
    grab->next = (struct x_segment){0};
}

/* Pictures. */

static const uint32_t all_planes = ~UINT32_C(0);

/* Where the target's area begins in its drawable: a window's pixmap has the window's border. */
static int16_t find_left(const struct x_target *target) {
    const bool has_border = target->drawable != target->window;
    return (int16_t)(target->area.x + (has_border ? target->border : 0));
}

static int16_t find_top(const struct x_target *target) {
    const bool has_border = target->drawable != target->window;
    return (int16_t)(target->area.y + (has_border ? target->border : 0));
}

static unsigned ask_in_place(const struct x_target *target, uint32_t segment, uint32_t offset) {
    const struct x_area *area = &target->area;
    return xcb_shm_get_image(target->display->connection, target->drawable, find_left(target),
                             find_top(target), (uint16_t)area->width, (uint16_t)area->height,
                             all_planes, XCB_IMAGE_FORMAT_Z_PIXMAP, segment, offset)
        .sequence;
}

static unsigned ask_for_copy(const struct x_target *target) {
    const struct x_area *area = &target->area;
    return xcb_get_image(target->display->connection, XCB_IMAGE_FORMAT_Z_PIXMAP, target->drawable,
                         find_left(target), find_top(target), (uint16_t)area->width,
                         (uint16_t)area->height, all_planes)
        .sequence;
}

static void copy(const xcb_get_image_reply_t *reply, const struct shmframe_loan *loan) {
    const struct shmframe_plane *plane = &loan->format->plane[0];
    const size_t bytes = (size_t)plane->line_bytes * plane->rows;
    const size_t got = (size_t)xcb_get_image_data_length(reply);
    memcpy(loan->data, xcb_get_image_data(reply), got < bytes ? got : bytes);
}

enum x_grab_result x_grab_take(struct x_grab *grab, struct x_target *target,
                               struct x_cursor *cursor, struct shmframe_loan *loan,
                               uint8_t *out_error) {
    const struct x_segment *segment = &grab->current;
    const uint64_t offset = segment->payload_offset + segment->slot_stride * loan->slot;
    const bool is_in_place = segment->id && offset <= UINT32_MAX;
    if (segment->id && !is_in_place)
        grab->copied_why = "the slot is beyond the 4 GiB that MIT-SHM can name";

    x_target_expect_damage(target);
    const unsigned asked =
        is_in_place ? ask_in_place(target, segment->id, (uint32_t)offset) : ask_for_copy(target);
    /* On its way together with the picture's request: one round trip for both. */
    struct x_cursor_query query = {0};
    if (cursor)
        query = x_cursor_ask(target);
    void *reply = x_display_await(target->display, asked, out_error);
    loan->frame.capture_ns = shmframe_now_ns();
    if (cursor)
        *cursor = x_cursor_await(target, query);
    if (!reply)
        return *out_error ? X_GRAB_FAILED : X_GRAB_STOPPED;
    if (!is_in_place)
        copy(reply, loan);
    free(reply);
    if (cursor)
        x_cursor_draw(cursor, target, loan->data, loan->format->plane[0].line_bytes);
    return is_in_place ? X_GRAB_IN_PLACE : X_GRAB_COPIED;
}
