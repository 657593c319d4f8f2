/* E: the end-of-use check. The writer no longer looks at this reader's lease, so frames may be torn
 * under its eyes, but never silently: what the check lets pass was the frame. The payload is atomic
 * here, since it is raced on.
 */
#include "litmus.h"
#ifndef FRAMES
#define FRAMES 4
#endif
#ifndef ACQUIRES
#define ACQUIRES 1 /* 0: until the last frame */
#endif
#define SLOTS 2

static _Atomic unsigned head, state[SLOTS], payload[SLOTS][2];

static void *write_frames(void *unused) {
    (void)unused;
    for (unsigned seq = 1; seq <= FRAMES; seq++) {
        const unsigned slot = seq % SLOTS;
#ifndef MUT_NO_WRITING
        store(state[slot], WRITING, relaxed);
#endif
#ifndef MUT_NO_RELEASE_FENCE
        fence(release);
#endif
        store(payload[slot][0], seq, relaxed);
        stall();
        store(payload[slot][1], seq, relaxed);
        store(state[slot], STATE(seq, PUBLISHED), release);
        store(head, seq, release);
    }
    return NULL;
}

static void *read_frames(void *unused) {
    (void)unused;
    unsigned cursor = 0;
    for (int tries = 0; (ACQUIRES == 0 || tries < ACQUIRES) && cursor < FRAMES; tries++) {
        const unsigned seq = load(head, acquire), slot = seq % SLOTS;
        if (seq <= cursor || load(state[slot], acquire) != STATE(seq, PUBLISHED))
            continue;
        cursor = seq;
        const unsigned first = load(payload[slot][0], relaxed);
        const unsigned second = load(payload[slot][1], relaxed);
#ifndef MUT_NO_ACQUIRE_FENCE
        fence(acquire);
#endif
        const unsigned now = load(state[slot], relaxed);
        if (now >> 2 == seq && (now & 3) != WRITING)
            assert(first == seq && second == seq);
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
