/* Each release and acquire of the protocol by itself: one thread changes plain memory, then the
 * word; the other sees the word, then looks at the memory. Nothing else orders the two, so under
 * ThreadSanitizer a relaxed end is a data race. Fences are no part of this (races.c); where several
 * words carry the same bytes, the test plays the other end and leaves all but one of them relaxed.
 */
#include "../library/rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 100 };

/* Between two threads that have nothing else in common. */
struct pair {
    struct rig *rig;
    struct rig_link *link;
    uint64_t plain;
    struct ring_frame frame;
};

static void must(bool is_so, const char *what) {
    if (is_so)
        return;
    fprintf(stderr, "edges: %s\n", what);
    abort();
}

static uint64_t wait_for(const _Atomic uint64_t *word, uint64_t value) {
    while (atomic_load_explicit(word, memory_order_acquire) != value)
        sched_yield();
    return value;
}

static void look_at(const struct pair *pair, uint32_t slot, uint64_t sequence) {
    must(rig_is_painted(pair->rig->payload[slot], sequence), "a torn frame");
}

/* ---- P: the writer's stores, each alone ---- */

static void put_one(struct pair *pair) {
    rig_put(pair->rig);
}

static void look_by_head(struct pair *pair) {
    wait_for(&pair->rig->ring->head, place_word(1, 0));
    look_at(pair, 0, 1);
}

static void look_by_index(struct pair *pair) {
    wait_for(&pair->rig->ring->index[1], place_word(1, 0));
    look_at(pair, 0, 1);
}

static void look_by_state(struct pair *pair) {
    wait_for(&pair->rig->ring->slot[0].state, slot_word(1, SLOT_PUBLISHED));
    look_at(pair, 0, 1);
}

/* ---- P: the reader's loads, each alone ---- */

static void begin_empty(struct pair *pair) {
    pair->link = rig_join(pair->rig, (struct rig_want){0});
}

static void begin_in_order(struct pair *pair) {
    pair->link = rig_join(pair->rig, (struct rig_want){.depth = 2, .begin = RING_BEGIN_FIRST});
}

/* Frames 1 and 2 in slots 0 and 1, with these orders. */
static void put_two(struct pair *pair, memory_order state, memory_order index, memory_order head) {
    struct ring *ring = pair->rig->ring;
    atomic_store_explicit(&ring->first, 1, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, 1, memory_order_relaxed);
    for (uint32_t slot = 0; slot < 2; slot++) {
        const uint64_t sequence = slot + 1, place = place_word(sequence, slot);
        rig_paint(pair->rig->payload[slot], sequence);
        atomic_store_explicit(&ring->slot[slot].state, slot_word(sequence, SLOT_PUBLISHED), state);
        atomic_store_explicit(&ring->index[sequence], place, index);
    }
    atomic_store_explicit(&ring->head, place_word(2, 1), head);
}

static void put_by_state(struct pair *pair) {
    put_two(pair, memory_order_release, memory_order_relaxed, memory_order_relaxed);
}

static void put_by_index(struct pair *pair) {
    put_two(pair, memory_order_relaxed, memory_order_release, memory_order_relaxed);
}

static void put_by_head(struct pair *pair) {
    put_two(pair, memory_order_relaxed, memory_order_relaxed, memory_order_release);
}

static void acquire_and_look(struct pair *pair) {
    struct ring_frame frame;
    uint64_t retries = 0;
    while (ring_acquire(&pair->link->reader, &frame, &retries) != 0)
        sched_yield();
    look_at(pair, frame.slot, frame.sequence);
}

/* ---- what the tail and the end carry ---- */

static void begin_published(struct pair *pair) {
    rig_publish(pair->rig);
}

static void retire_one(struct pair *pair) {
    rig_put(pair->rig);
    pair->plain = 1;
    ring_announce(pair->rig->writer);
}

static void look_by_retired(struct pair *pair) {
    wait_for(&pair->rig->ring->slot[0].state, slot_word(1, SLOT_RETIRED));
    must(pair->plain == 1, "RETIRED came alone");
}

static void look_by_tail(struct pair *pair) {
    wait_for(&pair->rig->ring->tail, 2);
    must(pair->plain == 1, "tail came alone");
}

static void end_stream(struct pair *pair) {
    pair->plain = 1;
    ring_end(pair->rig->writer, RING_ENDED);
}

static void look_by_end(struct pair *pair) {
    while (ring_look(&pair->link->reader, NULL) != RING_OVER)
        sched_yield();
    must(pair->plain == 1, "the end came alone");
}

/* ---- R: the end of a lease ---- */

static void begin_leased(struct pair *pair) {
    pair->link = rig_join(pair->rig, (struct rig_want){0});
    rig_publish(pair->rig);
    must(rig_take(pair->rig, pair->link, &pair->frame) == 0, "no frame");
    rig_publish(pair->rig);
}

static void look_and_give_back(struct pair *pair) {
    look_at(pair, pair->frame.slot, pair->frame.sequence);
    must(rig_give_back(pair->link, &pair->frame) == 0, "a stale frame");
}

/* Two slots: one in the history, one leased. */
static void loan_and_paint(struct pair *pair) {
    uint32_t slot;
    while (ring_loan(pair->rig->writer, &slot) != 0)
        sched_yield();
    must(slot == pair->frame.slot, "another slot");
    rig_paint(pair->rig->payload[slot], 3);
}

/* The lease is given back by one thread, the word used again by another, and seen only then. */
static void reuse_cell(struct pair *pair) {
    struct ring_frame frame;
    uint64_t retries = 0;
    while (ring_acquire(&pair->link->reader, &frame, &retries) != 0)
        sched_yield();
    must(frame.cell == pair->frame.cell && frame.sequence == 2, "another cell");
}

static void loan_after_reuse(struct pair *pair) {
    const _Atomic uint64_t *word = &pair->link->lease->lease[pair->frame.cell];
    while (atomic_load_explicit(word, memory_order_relaxed) >> 16 != 2)
        sched_yield();
    loan_and_paint(pair);
}

/* ---- G: grants; S: start ---- */

static void begin_offered(struct pair *pair) {
    pair->link = rig_offer(pair->rig);
    ring_writer_refresh(pair->rig->writer); /* from here on it goes by the word */
}

static void grant_with(struct pair *pair, memory_order entry, memory_order word) {
    const struct grant grant = {
        .serial = pair->link->core.serial, .leases = 1, .depth = 1, .state = ENTRY_GRANTED};
    pair->plain = 1;
    atomic_store_explicit(&pair->rig->notice->entry[0].word, grant_word(grant), entry);
    atomic_store_explicit(&pair->rig->notice->word, 1, word);
}

static void grant_by_entry(struct pair *pair) {
    grant_with(pair, memory_order_release, memory_order_relaxed);
}

static void grant_by_word(struct pair *pair) {
    grant_with(pair, memory_order_relaxed, memory_order_release);
}

static void offer_and_grant(struct pair *pair) {
    pair->link = rig_offer(pair->rig);
    grant_with(pair, memory_order_relaxed, memory_order_relaxed);
}

static void look_by_word(struct pair *pair) {
    struct ring_writer *writer = pair->rig->writer;
    while (writer->active_count == 0) {
        ring_writer_refresh(writer);
        sched_yield();
    }
    must(pair->plain == 1, "the grant came alone");
}

/* Looks at the entries whether the word has changed or not. */
static void look_by_entry(struct pair *pair) {
    struct ring_writer *writer = pair->rig->writer;
    while (writer->active_count == 0) {
        writer->is_notice_new = true;
        ring_writer_refresh(writer);
        sched_yield();
    }
}

static void look_by_entry_alone(struct pair *pair) {
    look_by_entry(pair);
    must(pair->plain == 1, "the grant came alone");
}

static void begin_granted(struct pair *pair) {
    pair->link = rig_join(pair->rig, (struct rig_want){.depth = 1, .is_lossless = true});
}

static void notice_grant(struct pair *pair) {
    pair->plain = 1;
    ring_writer_refresh(pair->rig->writer);
}

static void look_by_start(struct pair *pair) {
    wait_for(&pair->link->bell->start, 1);
    must(pair->plain == 1, "start came alone");
}

/* ---- all of them ---- */

static const struct edge {
    const char *name;
    uint32_t slots;
    uint32_t history;
    void (*begin)(struct pair *pair);
    void (*thread[3])(struct pair *pair);
} edges[] = {
    {"P: head carries the frame", 4, 2, NULL, {put_one, look_by_head}},
    {"P: index carries the frame", 4, 2, NULL, {put_one, look_by_index}},
    {"P: the state carries the frame", 4, 2, NULL, {put_one, look_by_state}},
    {"P: acquire goes by head", 4, 2, begin_empty, {put_by_head, acquire_and_look}},
    {"P: acquire goes by the index", 4, 2, begin_in_order, {put_by_index, acquire_and_look}},
    {"P: acquire goes by the state", 4, 2, begin_in_order, {put_by_state, acquire_and_look}},
    {"P: RETIRED carries the tail", 4, 1, begin_published, {retire_one, look_by_retired}},
    {"P: tail is a release", 4, 1, begin_published, {retire_one, look_by_tail}},
    {"P: the end carries what came before", 4, 1, begin_empty, {end_stream, look_by_end}},
    {"R: release to loan", 2, 1, begin_leased, {look_and_give_back, loan_and_paint}},
    {"R: by way of another thread's lease",
     2,
     1,
     begin_leased,
     {look_and_give_back, reuse_cell, loan_after_reuse}},
    {"G: the entry carries the grant", 4, 1, begin_offered, {grant_by_entry, look_by_entry_alone}},
    {"G: the word carries the grant", 4, 1, begin_offered, {grant_by_word, look_by_word}},
    {"G: a link is complete when it is found", 4, 1, NULL, {offer_and_grant, look_by_entry}},
    {"S: start is a release", 4, 1, begin_granted, {notice_grant, look_by_start}},
};

struct part {
    struct pair *pair;
    void (*run)(struct pair *pair);
};

static void *run_part(void *argument) {
    const struct part *part = argument;
    part->run(part->pair);
    return NULL;
}

static void try_edge(const struct edge *edge) {
    struct pair pair = {.rig = rig_create(edge->slots, edge->history, 0)};
    struct part part[3];
    pthread_t thread[3];
    unsigned parts = 0;
    if (edge->begin)
        edge->begin(&pair);
    for (; parts < 3 && edge->thread[parts]; parts++) {
        part[parts] = (struct part){.pair = &pair, .run = edge->thread[parts]};
        must(pthread_create(&thread[parts], NULL, run_part, &part[parts]) == 0, "no thread");
    }
    while (parts-- > 0)
        pthread_join(thread[parts], NULL);
    rig_destroy(pair.rig);
}

int main(void) {
    for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        printf("%s\n", edges[i].name);
        fflush(stdout);
        for (unsigned round = 0; round < ROUNDS; round++)
            try_edge(&edges[i]);
    }
    return 0;
}
