/* T: a reader that is refused finds a newer tail. So no try of an in-order acquire is in vain. */
#include "litmus.h"
#ifndef FRAMES
#define FRAMES 3
#endif
#ifdef MUT_RETIRE_RELAXED
#define RETIRE relaxed
#else
#define RETIRE release
#endif
#define STORE(p, value, order) store(p, value, order)
#define SLOTS                  4

static _Atomic unsigned head, tail, state[SLOTS];

static void *write_frames(void *unused) {
    (void)unused;
    for (unsigned seq = 1; seq <= FRAMES; seq++) {
        store(state[seq % SLOTS], STATE(seq, PUBLISHED), release);
        store(head, seq, release);
#ifdef MUT_RETIRE_BEFORE_TAIL
        STORE(state[(seq - 1) % SLOTS], STATE(seq - 1, RETIRED), RETIRE);
        store(tail, seq, release);
#else
        store(tail, seq, release);
        STORE(state[(seq - 1) % SLOTS], STATE(seq - 1, RETIRED), RETIRE);
#endif
    }
    return NULL;
}

static void *read_frames(void *unused) {
    (void)unused;
    unsigned seen = 0;
    for (int tries = 0; FRAMES > 100 ? seen < FRAMES : tries < 2; tries++) {
        seen = load(head, acquire);
        const unsigned seq = load(tail, acquire);
        if (seq == 0)
            continue;
        const unsigned now = load(state[seq % SLOTS], acquire);
        if (now == STATE(seq, RETIRED))
            assert(load(tail, acquire) > seq);
    }
    return NULL;
}

int main(void) {
    pthread_t writer, reader;
    pthread_create(&writer, NULL, write_frames, NULL);
    pthread_create(&reader, NULL, read_frames, NULL);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    return 0;
}
