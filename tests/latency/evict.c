/* Evicts the first reader of the stream that is named, once it reads. */
#include <shmframe/shmframe.h>

#include <errno.h>
#include <stdio.h>
#include <time.h>

static struct shmframe_session *session;
static const char *stream;

static int64_t soon_ns(void) {
    return shmframe_deadline_ns(INT64_C(10000000000));
}

/* How many readers there are; `out_reader` is the first. */
static int count_readers(struct shmframe_reader_info *out_reader) {
    const int count = shmframe_session_readers(session, stream, soon_ns(), out_reader, 1);
    return count == -ENOENT ? 0 : count;
}

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, shmframe_last_error());
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    stream = argv[1];
    const struct timespec pause = {.tv_nsec = 20000000};
    struct shmframe_reader_info reader = {0};
    if (shmframe_session_open(NULL, &session) < 0)
        return fail("no session");
    int count;
    while ((count = count_readers(&reader)) == 0 || (count > 0 && reader.generation == 0))
        nanosleep(&pause, NULL);
    if (count < 0 || shmframe_session_evict(session, stream, reader.number, soon_ns()) < 0)
        return fail("no eviction");
    shmframe_session_close(session);
    return 0;
}
