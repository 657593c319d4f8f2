/* X grab: the X server writes a picture into a slot.
 *
 * Each ring is attached as one MIT-SHM segment by its descriptor, before it is sealed; after that
 * a picture is one request with the slot's offset. Where that cannot be the picture comes over the
 * socket, and is copied.
 */
#ifndef PRODUCERS_X_GRAB_H
#define PRODUCERS_X_GRAB_H

#include "x_cursor.h"

#include <shmframe/writer.h>

struct x_segment {
    uint32_t id; /* 0: none */
    uint64_t payload_offset, slot_stride;
};

struct x_grab {
    struct x_display *display;
    struct x_segment current; /* of the ring that loans come from */
    struct x_segment next;    /* of the ring that is being opened */
    const char *copied_why;   /* the newest reason, if anything was */
};

void x_grab_init(struct x_grab *grab, struct x_display *display);

/* For shmframe_writer_params.before_seal, with the grab as its user. */
int x_grab_attach(void *grab, int ring_fd, const struct shmframe_ring_map *map);
/* The ring that was attached last is open: loans come from it, none from those before. */
void x_grab_adopt(struct x_grab *grab);

enum x_grab_result {
    X_GRAB_IN_PLACE,
    X_GRAB_COPIED,
    X_GRAB_FAILED,  /* the server refused: the target changed */
    X_GRAB_STOPPED, /* no answer came: not waited for any more, or the server is gone */
};

/* Has the target's present picture written into `loan`, with capture_ns; `cursor` (NULL: none)
 * tells the pointer that was drawn over it. The loan's format must be x_target_describe()'s.
 * `out_error`: the server's, if it FAILED. */
enum x_grab_result x_grab_take(struct x_grab *grab, struct x_target *target,
                               struct x_cursor *cursor, struct shmframe_loan *loan,
                               uint8_t *out_error);

#endif
