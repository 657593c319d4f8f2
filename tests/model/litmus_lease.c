/* L, R, P: lease against retire. The payload is not atomic, so a frame that could be torn is a data
 * race, which GenMC finds under RC11 and ThreadSanitizer by the happens-before that is missing; the
 * asserts find it on the machine itself.
 */
#include "litmus.h"
#ifndef FRAMES
#define FRAMES 4
#endif
#ifndef ACQUIRES
#define ACQUIRES 2 /* 0: until the last frame */
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef HISTORY
#define HISTORY 1
#endif
#ifndef LOOKS
#define LOOKS 1 /* how often a reader looks at what it holds */
#endif
#define SLOTS (1 + HISTORY + READERS)
#define INDEX 4

#ifdef MUT_NO_WRITER_FENCE
#define WRITER_FENCE()
#else
#define WRITER_FENCE() fence(seq_cst)
#endif
#ifdef MUT_NO_READER_FENCE
#define READER_FENCE()
#else
#define READER_FENCE() fence(seq_cst)
#endif
#ifdef MUT_SET_RELAXED
#define SET relaxed
#else
#define SET release
#endif
#ifdef MUT_CLEAR_RELAXED
#define CLEAR relaxed
#else
#define CLEAR release
#endif
#ifdef MUT_SCAN_RELAXED
#define SCAN relaxed
#else
#define SCAN acquire
#endif
#if defined(MUT_PUBLISH_RELAXED) || defined(MUT_STATE_STORE_RELAXED)
#define STATE_STORE relaxed
#else
#define STATE_STORE release
#endif
#ifdef MUT_PUBLISH_RELAXED
#define PLACE_STORE relaxed
#else
#define PLACE_STORE release
#endif
#if defined(MUT_LOADS_RELAXED) || defined(MUT_STATE_LOAD_RELAXED)
#define STATE_LOAD relaxed
#else
#define STATE_LOAD acquire
#endif
#ifdef MUT_LOADS_RELAXED
#define PLACE_LOAD relaxed
#else
#define PLACE_LOAD acquire
#endif

static _Atomic unsigned head, tail, place[INDEX], state[SLOTS], lease[READERS];
static unsigned payload[SLOTS][2];

/* The macros paste the order's name, so it must be expanded first. */
#define LOAD(p, order)         load(p, order)
#define STORE(p, value, order) store(p, value, order)

static void *write_frames(void *unused) {
    (void)unused;
    unsigned history = 0, slot_of[INDEX] = {0};
    for (unsigned seq = 1; seq <= FRAMES; seq++) {
        unsigned busy = 0, slot = 0;
        for (int i = 0; i < READERS; i++) {
            const unsigned word = LOAD(lease[i], SCAN);
            if (word != 0)
                busy |= 1U << SLOT(word);
        }
        while (slot < SLOTS && ((busy | history) >> slot & 1) != 0)
            slot++;
        assert(slot < SLOTS);
        store(state[slot], WRITING, relaxed);
        fence(release);
        payload[slot][0] = seq;
        payload[slot][1] = seq;
        STORE(state[slot], STATE(seq, PUBLISHED), STATE_STORE);
        STORE(place[seq % INDEX], WORD(seq, slot), PLACE_STORE);
        STORE(head, WORD(seq, slot), PLACE_STORE);
        history |= 1U << slot;
        slot_of[seq % INDEX] = slot;
        if (seq > HISTORY) {
            const unsigned gone = slot_of[(seq - HISTORY) % INDEX];
            store(tail, seq - HISTORY + 1, release);
#ifndef MUT_NO_RETIRE
            store(state[gone], STATE(seq - HISTORY, RETIRED), release);
#endif
            history &= ~(1U << gone);
        }
        WRITER_FENCE(); /* publish's, before it looks who waits */
    }
    return NULL;
}

static void *read_frames(void *argument) {
    _Atomic unsigned *const word = argument;
    unsigned cursor = 0;
    for (int tries = 0; (ACQUIRES == 0 || tries < ACQUIRES) && cursor < FRAMES; tries++) {
        unsigned where = LOAD(head, PLACE_LOAD);
        if (SEQ(where) <= cursor)
            continue;
#ifdef IN_ORDER
        const unsigned oldest = load(tail, acquire);
        const unsigned seq = oldest > cursor + 1 ? oldest : cursor + 1;
        where = LOAD(place[seq % INDEX], PLACE_LOAD);
        if (SEQ(where) != seq)
            continue;
#else
        const unsigned seq = SEQ(where);
#endif
        const unsigned slot = SLOT(where);
        STORE(*word, WORD(seq, slot), SET);
        READER_FENCE();
#ifndef MUT_NO_VALIDATION
        if (LOAD(state[slot], STATE_LOAD) != STATE(seq, PUBLISHED)) {
            STORE(*word, 0, CLEAR);
            continue;
        }
#endif
        for (int i = 0; i < LOOKS; i++) {
            const volatile unsigned *const pixels = payload[slot];
            const unsigned first = pixels[0], second = pixels[1];
            assert(first == seq && second == seq);
        }
        cursor = seq;
#ifndef RECYCLE /* else the next lease ends this one: the store that sets it must be a release */
        STORE(*word, 0, CLEAR);
#endif
    }
    store(*word, 0, release);
    return NULL;
}

int main(void) {
    pthread_t writer, reader[READERS];
    pthread_create(&writer, NULL, write_frames, NULL);
    for (int i = 0; i < READERS; i++)
        pthread_create(&reader[i], NULL, read_frames, &lease[i]);
    pthread_join(writer, NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(reader[i], NULL);
    return 0;
}
