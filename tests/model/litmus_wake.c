/* W: waiting against head. No wake-up is lost: in GenMC the loops end, on real threads the program
 * does. LOCKSTEP: the writer waits for each frame to be taken, so that no later bell mends a lost
 * one.
 */
#include "litmus.h"
#ifndef FRAMES
#define FRAMES 2
#endif

static _Atomic unsigned head, bell, waiting;
static _Atomic unsigned taken;
static struct futex sleeper = {.bucket = PTHREAD_MUTEX_INITIALIZER};

static void *write_frames(void *unused) {
    (void)unused;
    unsigned rung = 0;
    for (unsigned seq = 1; seq <= FRAMES; seq++) {
        store(head, seq, release);
#ifndef MUT_NO_WRITER_FENCE
        fence(seq_cst);
#endif
        const unsigned episode = load(waiting, relaxed);
        if (episode != 0 && episode != rung) {
            rung = episode;
#ifndef MUT_NO_BELL
            store(bell, load(bell, relaxed) + 1, relaxed); /* only we write it */
#endif
            futex_wake(&sleeper);
        }
#ifdef LOCKSTEP
        while (load(taken, relaxed) != seq)
            idle();
#endif
    }
    return NULL;
}

static void *read_frames(void *unused) {
    (void)unused;
    unsigned episode = 0;
    for (unsigned seq = 1; seq <= FRAMES; seq++) {
        for (;;) {
#ifndef MUT_LATE_BELL
            const unsigned heard = load(bell, acquire);
#endif
            if (load(head, acquire) >= seq)
                break;
#ifdef MUT_SAME_EPISODE
            episode = 1;
#else
            episode++;
#endif
            store(waiting, episode, relaxed);
#ifndef MUT_NO_READER_FENCE
            fence(seq_cst);
#endif
#ifndef MUT_NO_HEAD_RECHECK
            if (load(head, acquire) >= seq) {
                store(waiting, 0, relaxed);
                break;
            }
#endif
#ifdef MUT_LATE_BELL
            const unsigned heard = load(bell, acquire);
#endif
            futex_wait(&sleeper, &bell, heard);
            store(waiting, 0, relaxed);
        }
        store(taken, seq, relaxed);
    }
    return NULL;
}

int main(void) {
    pthread_t writer, reader;
    pthread_create(&writer, NULL, write_frames, NULL);
    pthread_create(&reader, NULL, read_frames, NULL);
    watch(&taken, FRAMES);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    return 0;
}
