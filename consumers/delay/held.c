#include "held.h"

#include <assert.h>
#include <string.h>

static bool goes_before(const struct held_frame *a, const struct held_frame *b) {
    return a->loan.ring != b->loan.ring ? a->loan.ring < b->loan.ring : a->due_ns < b->due_ns;
}

static void insert(struct held *held, const struct held_frame *frame) {
    assert(held->count < HELD_MAX);
    uint32_t at = held->count++;
    for (; at > 0 && goes_before(frame, &held->frame[at - 1]); at--)
        held->frame[at] = held->frame[at - 1];
    held->frame[at] = *frame;
}

void held_add(struct held *held, const struct held_frame *frame) {
    if (!held->is_waiting) {
        held->is_waiting = frame->action == SCHEDULE_SWAP;
        if (held->is_waiting) /* last, whatever is added out of order */
            held->frame[held->count++] = *frame;
        else
            insert(held, frame);
        return;
    }
    struct held_frame waiting = held->frame[--held->count];
    held->is_waiting = false;
    insert(held, frame);
    if (waiting.due_ns < frame->due_ns)
        waiting.due_ns = frame->due_ns;
    insert(held, &waiting);
}

int64_t held_due_ns(const struct held *held) {
    return held->count > (held->is_waiting ? 1 : 0) ? held->frame[0].due_ns : SHMFRAME_FOREVER;
}

bool held_take(struct held *held, int64_t now_ns, struct held_frame *out_frame) {
    if (held_due_ns(held) > now_ns)
        return false;
    *out_frame = held->frame[0];
    memmove(&held->frame[0], &held->frame[1], --held->count * sizeof(held->frame[0]));
    return true;
}

void held_settle(struct held *held) {
    if (!held->is_waiting)
        return;
    held->is_waiting = false;
    const struct held_frame waiting = held->frame[--held->count];
    insert(held, &waiting);
}

void held_shift(struct held *held, int64_t shift_ns) {
    for (uint32_t i = 0; i < held->count; i++)
        held->frame[i].due_ns += shift_ns;
}
