/* The smallest writer: a moving gradient, 30 pictures a second, painted into the shared slot.
 *
 *   cc writer.c $(pkg-config --cflags --libs shmframe) -o writer && ./writer
 */
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <threads.h>

static int fail(const char *what) {
    fprintf(stderr, "writer: %s: %s\n", what, shmframe_last_error());
    return 1;
}

int main(void) {
    struct shmframe_session *session;
    if (shmframe_session_open(NULL, &session) < 0)
        return fail("session");
    struct shmframe_writer_params params = {.stream = "gradient"};
    shmframe_format_video(&params.format, "gray", 640, 360);
    struct shmframe_writer *writer;
    if (shmframe_writer_open(session, &params, &writer) < 0)
        return fail("open");

    for (unsigned frame = 0; frame < 300; frame++) {
        struct shmframe_loan loan;
        if (shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan) < 0)
            return fail("loan");
        const struct shmframe_plane *plane = &loan.format->plane[0];
        for (uint32_t y = 0; y < plane->rows; y++)
            for (uint32_t x = 0; x < plane->row_bytes; x++)
                shmframe_loan_plane(&loan, 0)[y * plane->line_bytes + x] = (uint8_t)(x + y + frame);
        if (shmframe_writer_publish(writer, &loan) < 0)
            return fail("publish");
        thrd_sleep(&(struct timespec){.tv_nsec = 33333333}, NULL);
    }
    shmframe_writer_close(writer); /* readers hear of the end */
    shmframe_session_close(session);
}
