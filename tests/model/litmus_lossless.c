/* C: cursor against writer_waiting. The writer is one frame ahead at most, and sleeps; no wake-up
 * is lost. The reader looks for frames without sleeping: that side is litmus_wake.c.
 */
#include "litmus.h"
#ifndef FRAMES
#define FRAMES 3
#endif

static _Atomic unsigned head, cursor, space, writer_waiting;
static struct futex sleeper = {.bucket = PTHREAD_MUTEX_INITIALIZER};

static void *write_frames(void *unused) {
    (void)unused;
    for (unsigned seq = 1; seq <= FRAMES; seq++) {
        while (seq - load(cursor, relaxed) > 1) {
#ifndef MUT_LATE_SPACE
            const unsigned seen = load(space, relaxed);
#endif
            store(writer_waiting, 1, relaxed);
#ifndef MUT_NO_WRITER_FENCE
            fence(seq_cst);
#endif
#ifndef MUT_NO_CURSOR_RECHECK
            if (seq - load(cursor, relaxed) <= 1)
                break;
#endif
#ifdef MUT_LATE_SPACE
            const unsigned seen = load(space, relaxed);
#endif
            futex_wait(&sleeper, &space, seen);
        }
        store(writer_waiting, 0, relaxed);
        store(head, seq, release);
    }
    return NULL;
}

static void *read_frames(void *unused) {
    (void)unused;
    for (unsigned seq = 1; seq <= FRAMES; seq++) {
        while (load(head, acquire) < seq)
            idle();
        store(cursor, seq, relaxed);
#ifndef MUT_NO_READER_FENCE
        fence(seq_cst);
#endif
        if (load(writer_waiting, relaxed) != 0) {
#ifndef MUT_NO_SPACE_BUMP
            store(space, load(space, relaxed) + 1, relaxed); /* only we write it */
#endif
            futex_wake(&sleeper);
        }
    }
    return NULL;
}

int main(void) {
    pthread_t writer, reader;
    pthread_create(&writer, NULL, write_frames, NULL);
    pthread_create(&reader, NULL, read_frames, NULL);
    watch(&cursor, FRAMES);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    return 0;
}
