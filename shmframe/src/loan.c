/* Loan: what a producer does with one by itself, before it is published. */
#include <shmframe/writer.h>

#include "clock.h"
#include "message.h"

#include <shmframe/reader.h>
#include <string.h>

void shmframe_loan_stamp(struct shmframe_loan *loan, unsigned stage) {
    if (stage >= SHMFRAME_STAGES)
        return;
    struct shmframe_frame *frame = &loan->frame;
    if (!(frame->flags & SHMFRAME_HAS_STAGES))
        memset(frame->stage_ns, 0, sizeof(frame->stage_ns));
    frame->flags |= SHMFRAME_HAS_STAGES;
    frame->stage_ns[stage] = clock_now_ns();
}

void shmframe_loan_carry(struct shmframe_loan *loan, const struct shmframe_lease *lease) {
    enum { OWN = SHMFRAME_HAS_ORIGIN };
    const struct shmframe_frame *from = &lease->frame;
    struct shmframe_frame *to = &loan->frame;
    to->capture_ns = from->capture_ns;
    to->pts = from->pts;
    to->duration = from->duration;
    to->flags = from->flags | OWN;
    to->device_dropped = from->device_dropped;
    if (from->flags & SHMFRAME_HAS_STAGES)
        memcpy(to->stage_ns, from->stage_ns, sizeof(to->stage_ns));
    if (from->flags & SHMFRAME_HAS_USER)
        memcpy(to->user, from->user, sizeof(to->user));
    if (from->flags & SHMFRAME_HAS_ORIGIN) {
        to->origin = from->origin;
    } else {
        to->origin =
            (struct shmframe_origin){.sequence = from->sequence, .capture_ns = from->capture_ns};
        message_put_text(to->origin.stream, sizeof(to->origin.stream), lease->stream);
    }
}

uint8_t *shmframe_loan_plane(const struct shmframe_loan *loan, unsigned plane) {
    return plane < loan->format->plane_count ? loan->data + loan->format->plane[plane].offset
                                             : NULL;
}
