/* G: a link is seen by the writer's next loan. The supervisor stores the grant, then the notice
 * word, then sends the link; whoever has received it may lease at once. The writer reads its
 * entries again only when the word has changed. Links are used once: serials count the joins.
 */
#include "litmus.h"
#ifndef JOINS
#define JOINS 1
#endif
#ifndef FRAMES
#define FRAMES 4 /* 0: until the last link is gone */
#endif
#ifndef LOOKS
#define LOOKS 1
#endif
#define SLOTS   3
#define GRANTED 1
#define GONE    2
#ifdef MUT_WORD_RELAXED
#define BUMP relaxed
#else
#define BUMP release
#endif
#ifdef MUT_WORD_LOAD_RELAXED
#define LOOK relaxed
#else
#define LOOK acquire
#endif
#define LOAD(p, order)         load(p, order)
#define STORE(p, value, order) store(p, value, order)

static _Atomic unsigned head, state[SLOTS], lease;
static _Atomic unsigned word, entry;         /* notice page */
static _Atomic unsigned sent, left, is_over; /* socket, pidfd */
static unsigned payload[SLOTS];

static void *write_frames(void *unused) {
    (void)unused;
    unsigned seen = 0, active = 0, newest = SLOTS;
    for (unsigned seq = 1; FRAMES != 0 ? seq <= FRAMES : !load(is_over, relaxed); seq++) {
        unsigned busy = 0, slot = 0;
        const unsigned now = LOAD(word, LOOK);
        if (now != seen) {
            seen = now;
            active = (load(entry, acquire) & 3) == GRANTED;
        }
        if (active) {
            const unsigned held = load(lease, acquire);
            if (held != 0)
                busy = 1U << SLOT(held);
        }
        if (newest < SLOTS)
            busy |= 1U << newest;
        while (slot < SLOTS && (busy >> slot & 1) != 0)
            slot++;
        assert(slot < SLOTS);
        store(state[slot], WRITING, relaxed);
        fence(release);
        payload[slot] = seq;
        store(state[slot], STATE(seq, PUBLISHED), release);
        store(head, WORD(seq, slot), release);
        if (newest < SLOTS)
            store(state[newest], STATE(seq - 1, RETIRED), release);
#ifndef MUT_NO_WRITER_FENCE
        fence(seq_cst); /* publish's, before it looks who waits */
#endif
        newest = slot;
    }
    return NULL;
}

static void *introduce(void *unused) {
    (void)unused;
    unsigned bumps = 0;
    for (unsigned serial = 1; serial <= JOINS; serial++) {
#ifdef MUT_LATE_GRANT
        store(sent, serial, release);
        stall();
#endif
#ifdef MUT_WORD_BEFORE_ENTRY
        STORE(word, ++bumps, BUMP);
        stall();
        store(entry, serial << 2 | GRANTED, release);
#else
        store(entry, serial << 2 | GRANTED, release);
        STORE(word, ++bumps, BUMP);
#endif
#ifndef MUT_LATE_GRANT
        store(sent, serial, release);
#endif
        if (serial == JOINS)
            break;
        while (load(left, acquire) != serial)
            idle();
        store(entry, serial << 2 | GONE, release);
        store(word, ++bumps, release);
    }
    return NULL;
}

static void *read_frames(void *unused) {
    (void)unused;
    for (unsigned serial = 1; serial <= JOINS; serial++) {
        if (JOINS == 1 && load(sent, acquire) != serial)
            return NULL;
        while (load(sent, acquire) != serial)
            idle();
        for (int tries = 0; tries < 2; tries++) {
            const unsigned where = load(head, acquire), slot = SLOT(where);
            if (where == 0)
                continue;
            store(lease, WORD(SEQ(where), slot), release);
#ifndef MUT_NO_READER_FENCE
            fence(seq_cst);
#endif
            if (load(state[slot], acquire) == STATE(SEQ(where), PUBLISHED))
                for (int i = 0; i < LOOKS; i++) {
                    const volatile unsigned *const pixel = &payload[slot];
                    const unsigned first = *pixel;
                    assert(first == SEQ(where));
                }
            store(lease, 0, release);
        }
        store(left, serial, release);
    }
    store(is_over, 1, release);
    return NULL;
}

int main(void) {
    pthread_t writer, supervisor, reader;
    pthread_create(&writer, NULL, write_frames, NULL);
    pthread_create(&supervisor, NULL, introduce, NULL);
    pthread_create(&reader, NULL, read_frames, NULL);
    pthread_join(writer, NULL);
    pthread_join(supervisor, NULL);
    pthread_join(reader, NULL);
    return 0;
}
