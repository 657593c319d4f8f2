/* A writer for tests/view/view.py: pictures whose left half is white, to be turned clockwise by 90
 * degrees for display; then, from the sixth on, pictures of another size that are white all over.
 */
#include <errno.h>
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TURNED = 5, WHITE = 5 };

static int fail(const char *what) {
    fprintf(stderr, "turned: %s: %s\n", what, shmframe_last_error());
    return 1;
}

static int write_picture(struct shmframe_writer *writer, bool is_half) {
    struct shmframe_loan loan;
    const int result = shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan);
    if (result < 0)
        return result;
    const struct shmframe_plane *plane = &loan.format->plane[0];
    for (uint32_t y = 0; y < plane->rows; y++) {
        uint8_t *row = shmframe_loan_plane(&loan, 0) + (size_t)y * plane->line_bytes;
        memset(row, 255, plane->row_bytes);
        if (is_half)
            memset(row + plane->row_bytes / 2, 0, plane->row_bytes / 2);
    }
    return shmframe_writer_publish(writer, &loan);
}

int main(void) {
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    struct shmframe_writer_params params = {.stream = "turned"};
    if (shmframe_session_open(NULL, &session) < 0 ||
        shmframe_format_video(&params.format, "gray", 64, 32) < 0)
        return fail("open");
    params.format.video.rotation_degrees = 90;
    if (shmframe_writer_open(session, &params, &writer) < 0)
        return fail("open");
    struct shmframe_format white;
    if (shmframe_format_video(&white, "gray", 48, 48) < 0 ||
        shmframe_writer_wait_readers(writer, 1, shmframe_deadline_ns(INT64_C(20000000000))) < 0)
        return fail("wait");
    for (int i = 0; i < TURNED + WHITE; i++) {
        if (i == TURNED && shmframe_writer_set_format(
                               writer, &white, shmframe_deadline_ns(INT64_C(20000000000))) < 0)
            return fail("set_format");
        if (write_picture(writer, i < TURNED) < 0)
            return fail("write");
    }
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    return 0;
}
