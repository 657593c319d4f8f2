#include "match.h"

#include <string.h>

/* Where a picture came from in the first place. */
struct origin {
    const char *stream;
    uint64_t sequence;
    int64_t capture_ns;
};

static struct origin find_origin(const struct shmframe_lease *lease) {
    const struct shmframe_frame *const frame = &lease->frame;
    if (frame->flags & SHMFRAME_HAS_ORIGIN) {
        return (struct origin){frame->origin.stream, frame->origin.sequence,
                               frame->origin.capture_ns};
    }
    return (struct origin){lease->stream, frame->sequence, frame->capture_ns};
}

enum match match_judge(const struct shmframe_lease *first, const struct shmframe_lease *second,
                       int64_t interval_ns) {
    const struct origin a = find_origin(first), b = find_origin(second);
    if (strncmp(a.stream, b.stream, SHMFRAME_NAME_BYTES) == 0) {
        return a.sequence == b.sequence  ? MATCH_SAME
               : a.sequence < b.sequence ? MATCH_FIRST_IS_ALONE
                                         : MATCH_SECOND_IS_ALONE;
    }
    /* Unsigned, since writers may stamp anything. */
    const uint64_t half_ns = (uint64_t)interval_ns / 2;
    if (a.capture_ns < b.capture_ns) {
        return (uint64_t)b.capture_ns - (uint64_t)a.capture_ns <= half_ns ? MATCH_SAME
                                                                          : MATCH_FIRST_IS_ALONE;
    }
    return (uint64_t)a.capture_ns - (uint64_t)b.capture_ns <= half_ns ? MATCH_SAME
                                                                      : MATCH_SECOND_IS_ALONE;
}
