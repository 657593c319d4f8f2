/* A writer and a reader that give back all they took, for memcheck.py.
 *
 *   frames write      publishes until its standard input ends
 *   frames read       reads each frame until the stream ends, and tells its number
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <string.h>

enum { PERIOD_MS = 20, DEPTH = 60 };

static int fail(const char *what) {
    fprintf(stderr, "frames: %s: %s\n", what, shmframe_last_error());
    return 1;
}

static int publish(struct shmframe_writer *writer) {
    struct shmframe_loan loan;
    if (shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan) < 0)
        return fail("loan");
    memset(shmframe_loan_plane(&loan, 0), 7, loan.format->plane[0].row_bytes);
    return shmframe_writer_publish(writer, &loan) < 0 ? fail("publish") : 0;
}

static int write_frames(struct shmframe_session *session) {
    struct shmframe_writer_params params = {.stream = "frames", .deadline_ns = SHMFRAME_FOREVER};
    shmframe_format_video(&params.format, "gray", 64, 32);
    struct shmframe_writer *writer;
    if (shmframe_writer_open(session, &params, &writer) < 0)
        return fail("writer");
    struct pollfd input = {.events = POLLIN};
    int result = 0;
    while (result == 0 && poll(&input, 1, PERIOD_MS) == 0) {
        shmframe_session_dispatch(session);
        result = publish(writer);
    }
    shmframe_writer_close(writer);
    return result;
}

static int read_frames(struct shmframe_session *session) {
    const struct shmframe_reader_params params = {.stream = "frames",
                                                  .policy = SHMFRAME_LOSSLESS,
                                                  .depth = DEPTH,
                                                  .deadline_ns = SHMFRAME_FOREVER};
    struct shmframe_reader *reader;
    if (shmframe_reader_open(session, &params, &reader) < 0)
        return fail("reader");
    int code = 0;
    while (code == 0) {
        struct shmframe_lease lease;
        code = shmframe_reader_acquire(reader, SHMFRAME_FOREVER, &lease);
        if (code < 0)
            break;
        printf("%" PRIu64 " lost=%" PRIu64 "\n", lease.frame.sequence, lease.lost);
        fflush(stdout);
        code = shmframe_reader_release(reader, &lease);
    }
    shmframe_reader_close(reader);
    return code == -ENODATA ? 0 : fail("frames");
}

int main(int argc, char **argv) {
    if (argc != 2 || (strcmp(argv[1], "write") != 0 && strcmp(argv[1], "read") != 0)) {
        fprintf(stderr, "usage: frames write|read\n");
        return 2;
    }
    const struct shmframe_session_params params = {.name = argv[1],
                                                   .deadline_ns = SHMFRAME_FOREVER};
    struct shmframe_session *session;
    if (shmframe_session_open(&params, &session) < 0)
        return fail("session");
    const int result = argv[1][0] == 'w' ? write_frames(session) : read_frames(session);
    shmframe_session_close(session);
    return result;
}
