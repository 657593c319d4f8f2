/* Reads what demos/filter.c makes of demos/writer.c's gradient, and checks pictures and stamps. */
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <string.h>

enum { PICTURES = 20 };

static int check_picture(const struct shmframe_lease *lease) {
    const struct shmframe_frame *frame = &lease->frame;
    const struct shmframe_plane *plane = &lease->format->plane[0];
    if (!(frame->flags & SHMFRAME_HAS_ORIGIN) || strcmp(frame->origin.stream, "gradient") != 0 ||
        frame->origin.capture_ns != frame->capture_ns || frame->capture_ns >= frame->loan_ns) {
        fprintf(stderr, "frame %llu: the origin is not the gradient's\n",
                (unsigned long long)frame->sequence);
        return -1;
    }
    for (uint32_t y = 0; y < plane->rows; y++) {
        const uint8_t *row = shmframe_lease_plane(lease, 0) + (size_t)y * plane->line_bytes;
        for (uint32_t x = 0; x < plane->row_bytes; x++) {
            /* The writer's frames count from 0, sequences from 1. */
            const uint8_t wanted = (uint8_t) ~(x + y + frame->origin.sequence - 1);
            if (row[x] != wanted) {
                fprintf(stderr, "frame %llu: %u at %u, %u should be %u\n",
                        (unsigned long long)frame->sequence, row[x], x, y, wanted);
                return -1;
            }
        }
    }
    return 0;
}

int main(void) {
    struct shmframe_session *session;
    struct shmframe_reader *reader;
    const struct shmframe_reader_params params = {
        .stream = "negative",
        .policy = SHMFRAME_IN_ORDER,
        .deadline_ns = shmframe_deadline_ns(INT64_C(10000000000)),
    };
    int result = shmframe_session_open(NULL, &session);
    if (result == 0)
        result = shmframe_reader_open(session, &params, &reader);
    for (int i = 0; result == 0 && i < PICTURES; i++) {
        struct shmframe_lease lease;
        result = shmframe_reader_acquire(reader, params.deadline_ns, &lease);
        if (result < 0)
            break;
        const int checked = check_picture(&lease);
        shmframe_reader_release(reader, &lease);
        if (checked < 0)
            return 1;
    }
    if (result < 0)
        fprintf(stderr, "negative: %d %s\n", result, shmframe_last_error());
    return result < 0;
}
