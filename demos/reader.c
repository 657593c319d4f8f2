/* The smallest reader: every frame's number, its age, and how many were lost before it.
 *
 *   cc reader.c $(pkg-config --cflags --libs shmframe) -o reader && ./reader gradient
 */
#include <errno.h>
#include <inttypes.h>
#include <shmframe/shmframe.h>
#include <stdio.h>

int main(int argc, char **argv) {
    struct shmframe_session *session;
    struct shmframe_reader *reader;
    const struct shmframe_reader_params params = {
        .stream = argc > 1 ? argv[1] : "gradient",
        .policy = SHMFRAME_IN_ORDER, /* every frame, up to 4 behind */
        .deadline_ns = shmframe_deadline_ns(INT64_C(10000000000)),
    };
    int result = shmframe_session_open(NULL, &session);
    if (result == 0)
        result = shmframe_reader_open(session, &params, &reader);
    while (result == 0) {
        struct shmframe_lease lease;
        result = shmframe_reader_acquire(reader, SHMFRAME_FOREVER, &lease);
        if (result < 0)
            break;
        /* Here the frame can be read in place: shmframe_lease_plane(&lease, 0) ... */
        printf("frame %" PRIu64 ", age %.3f ms, lost %" PRIu64 "\n", lease.frame.sequence,
               (double)(lease.acquire_ns - lease.frame.capture_ns) / 1e6, lease.lost);
        result = shmframe_reader_release(reader, &lease);
    }
    if (result == -ENODATA) /* the end of the stream, all was delivered */
        return 0;
    fprintf(stderr, "reader: %s\n", shmframe_last_error());
    return 1;
}
