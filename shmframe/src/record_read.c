/* Record: as others see it while it is written. */
#include "record.h"

#include "error.h"
#include "futex.h"
#include "layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert(offsetof(struct shmframe_reader_counters, late_away) ==
                  RECORD_LATE_AWAY * sizeof(uint64_t),
              "counters stand in the record as in the public struct");

int record_check(const struct record_page *page) {
    if (page->magic != RECORD_MAGIC || page->abi != LAYOUT_ABI)
        return error_set(-EPROTO, "a reader's record does not begin with the mark of one");
    return 0;
}

void record_get_counters(const struct record_page *page, struct shmframe_reader_counters *out) {
    uint64_t values[sizeof(*out) / sizeof(uint64_t)];
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        values[i] = atomic_load_explicit(&page->counter[i], memory_order_relaxed);
    memcpy(out, values, sizeof(*out));
}

/* False: the line is empty or was changed meanwhile. */
static bool copy_flight(const struct record_flight *flight, struct shmframe_flight *out) {
    const uint64_t sequence = atomic_load_explicit(&flight->sequence, memory_order_acquire);
    *out = (struct shmframe_flight){
        .sequence = sequence,
        .capture_ns = atomic_load_explicit(&flight->capture_ns, memory_order_relaxed),
        .publish_ns = atomic_load_explicit(&flight->publish_ns, memory_order_relaxed),
        .wake_ns = atomic_load_explicit(&flight->wake_ns, memory_order_relaxed),
        .acquire_ns = atomic_load_explicit(&flight->acquire_ns, memory_order_relaxed),
        .release_ns = atomic_load_explicit(&flight->release_ns, memory_order_relaxed),
        .present_ns = atomic_load_explicit(&flight->present_ns, memory_order_relaxed),
    };
    atomic_thread_fence(memory_order_acquire);
    return sequence && atomic_load_explicit(&flight->sequence, memory_order_relaxed) == sequence;
}

static void copy_buckets(const struct record_histogram *histogram, struct shmframe_histogram *out) {
    out->count = 0;
    out->max_ns = atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
    for (unsigned i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++) {
        out->bucket[i] = atomic_load_explicit(&histogram->bucket[i], memory_order_relaxed);
        out->count += out->bucket[i];
    }
}

static void add_flight(const struct shmframe_flight *flight, bool is_hold_due,
                       enum shmframe_hop hop, struct shmframe_histogram *out) {
    int64_t from_ns = flight->capture_ns, to_ns = flight->publish_ns;
    switch (hop) {
    case SHMFRAME_HOP_PRODUCE:
        break;
    case SHMFRAME_HOP_WAKE:
        if (flight->wake_ns == 0 || flight->wake_ns < flight->publish_ns)
            return;
        from_ns = flight->publish_ns;
        to_ns = flight->wake_ns;
        break;
    case SHMFRAME_HOP_TRANSIT:
        from_ns = flight->publish_ns;
        to_ns = flight->acquire_ns;
        break;
    case SHMFRAME_HOP_HOLD:
        if (!is_hold_due)
            return;
        from_ns = flight->acquire_ns;
        to_ns = flight->release_ns;
        break;
    case SHMFRAME_HOP_AGE:
        to_ns = flight->acquire_ns;
        break;
    case SHMFRAME_HOP_DISPLAY: /* told by the program, at any time: counted then */
    case SHMFRAME_HOPS:
        return;
    }
    shmframe_histogram_add(out, record_between_ns(from_ns, to_ns));
}

/* How many flights from that of number `first` on are not folded yet, of `taken`. False: look
 * again. A peer's words: where more wait than can, and none was folded meanwhile, nothing is
 * believed. */
static bool count_due(const struct record_page *page, uint64_t first, uint64_t taken,
                      uint64_t *out_due) {
    *out_due = taken - first;
    if (*out_due <= RECORD_DUE_MAX)
        return true;
    *out_due = 0;
    /* Relaxed: what was folded before they were taken came with `taken`. */
    return atomic_load_explicit(&page->folded, memory_order_relaxed) == first;
}

/* Those whose times are in no histogram yet, from that of number `first` on. False: some were
 * overwritten by later ones meanwhile. */
static bool add_flights(const struct record_page *page, uint64_t first, enum shmframe_hop hop,
                        struct shmframe_histogram *out) {
    const _Atomic uint64_t *taken_word = &page->counter[RECORD_DELIVERED];
    /* Acquire: brings their flights. */
    const uint64_t taken = atomic_load_explicit(taken_word, memory_order_acquire);
    uint64_t due;
    if (!count_due(page, first, taken, &due))
        return false;
    for (uint64_t i = 0; i < due; i++) {
        const struct record_flight *line = &page->flight[(first + i) % SHMFRAME_FLIGHTS];
        struct shmframe_flight flight;
        /* Acquire: how long it was held is told behind its end. */
        const bool is_hold_due = atomic_load_explicit(&line->is_hold_due, memory_order_acquire);
        if (copy_flight(line, &flight))
            add_flight(&flight, is_hold_due, hop, out);
    }
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(taken_word, memory_order_relaxed) - taken <=
           SHMFRAME_FLIGHTS - RECORD_DUE_MAX - SHMFRAME_LEASES_MAX;
}

/* How far the flights have gone over: `folded` have, and those up to `folding` are on their way. */
struct fold_state {
    uint64_t folded;
    uint64_t folding;
};

/* Waits until no flight is on its way into the histograms, as long as looks are left: who died, or
 * was stopped, just there does not get out of it. */
static struct fold_state await_folded(const struct record_page *page, unsigned *looks) {
    for (;;) {
        struct fold_state state;
        state.folded = atomic_load_explicit(&page->folded, memory_order_acquire);
        state.folding = atomic_load_explicit(&page->folding, memory_order_relaxed);
        if (state.folding == state.folded || *looks == 0)
            return state;
        --*looks;
        futex_relax();
    }
}

/* Flights that go over while the buckets are copied would count in both, or in neither: looked at
 * again. Of a reader that died, or was stopped, just there, one look's frames may count twice. Of a
 * page that lies nothing is right, and a look costs no more than one at the busiest reader's. */
int record_get_histogram(const struct record_page *page, enum shmframe_hop hop,
                         struct shmframe_histogram *out) {
    enum { COPIES_MAX = 256, LOOKS_MAX = 2000 };
    unsigned looks = LOOKS_MAX;
    if ((unsigned)hop >= SHMFRAME_HOPS)
        return error_set(-EINVAL, "there is no hop %d, only 0 to %d", (int)hop, SHMFRAME_HOPS - 1);
    for (unsigned copies = 1; copies <= COPIES_MAX; copies++) {
        const bool is_last = copies == COPIES_MAX;
        const struct fold_state state = await_folded(page, &looks);
        copy_buckets(&page->histogram[hop], out);
        atomic_thread_fence(memory_order_acquire);
        /* Also of one that was stopped there, and went on while we copied. */
        const bool is_still =
            atomic_load_explicit(&page->folding, memory_order_relaxed) == state.folding;
        if ((is_still || is_last) && (add_flights(page, state.folded, hop, out) || is_last))
            break;
    }
    return 0;
}

static int compare_flights(const void *left, const void *right) {
    const struct shmframe_flight *a = left, *b = right;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

int record_get_flights(const struct record_page *page, struct shmframe_flight *out,
                       uint32_t count) {
    struct shmframe_flight *all = calloc(SHMFRAME_FLIGHTS, sizeof(*all));
    if (!all)
        return error_set(-ENOMEM, "no memory for a copy of the flights");
    uint32_t found = 0;
    for (unsigned i = 0; i < SHMFRAME_FLIGHTS; i++)
        found += copy_flight(&page->flight[i], &all[found]);
    qsort(all, found, sizeof(*all), compare_flights);
    const uint32_t taken = found < count ? found : count;
    memcpy(out, all + (found - taken), taken * sizeof(*out));
    free(all);
    return (int)taken;
}

/* False: the line is empty, or another by now. */
static bool copy_overrun(const struct record_overrun *line, uint64_t number,
                         struct shmframe_overrun *out) {
    if (atomic_load_explicit(&line->number, memory_order_acquire) != number)
        return false;
    *out = (struct shmframe_overrun){
        .number = number,
        .first = atomic_load_explicit(&line->first, memory_order_relaxed),
        .count = atomic_load_explicit(&line->count, memory_order_relaxed),
        .time_ns = atomic_load_explicit(&line->time_ns, memory_order_relaxed),
        .woken_ns = atomic_load_explicit(&line->woken_ns, memory_order_relaxed),
        .held_ns = atomic_load_explicit(&line->held_ns, memory_order_relaxed),
        .away_ns = atomic_load_explicit(&line->away_ns, memory_order_relaxed),
        .cause = atomic_load_explicit(&line->cause, memory_order_relaxed),
        .generation = atomic_load_explicit(&line->generation, memory_order_relaxed),
    };
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&line->number, memory_order_relaxed) == number;
}

int record_get_overruns(const struct record_page *page, struct shmframe_overrun *out,
                        uint32_t count) {
    const uint64_t newest = atomic_load_explicit(&page->overruns, memory_order_acquire);
    const uint32_t wanted = newest < count ? (uint32_t)newest : count;
    uint32_t found = 0;
    for (uint32_t i = 0; i < wanted; i++) {
        const uint64_t number = newest - wanted + 1 + i;
        found +=
            copy_overrun(&page->overrun[(number - 1) % SHMFRAME_OVERRUNS], number, &out[found]);
    }
    return (int)found;
}

void record_get_state(const struct record_page *page, struct shmframe_reader_state *out) {
    const uint64_t word = atomic_load_explicit(&page->state.doing, memory_order_relaxed);
    const int64_t came_ns = atomic_load_explicit(&page->state.came_ns, memory_order_relaxed);
    *out = (struct shmframe_reader_state){.doing = (uint32_t)(word & 3),
                                          .since_ns = (int64_t)(word >> 2)};
    if (out->doing > SHMFRAME_DOING_POLLING)
        out->doing = SHMFRAME_DOING_AWAY;
    if (out->doing == SHMFRAME_DOING_AWAY && came_ns > out->since_ns)
        out->since_ns = came_ns;
    for (unsigned i = 0; i < SHMFRAME_LEASES_MAX; i++) {
        const int64_t held_ns = atomic_load_explicit(&page->state.held_ns[i], memory_order_relaxed);
        if (held_ns == 0)
            continue;
        out->held++;
        if (out->held_since_ns == 0 || held_ns < out->held_since_ns)
            out->held_since_ns = held_ns;
    }
}

const char *shmframe_cause_name(unsigned cause) {
    static const char *const names[SHMFRAME_CAUSES] = {
        [SHMFRAME_CAUSE_NONE] = "none",
        [SHMFRAME_CAUSE_WOKEN_LATE] = "woken-late",
        [SHMFRAME_CAUSE_HELD] = "held",
        [SHMFRAME_CAUSE_AWAY] = "away",
        [SHMFRAME_CAUSE_RESTART] = "restart",
        [SHMFRAME_CAUSE_EVICTED] = "evicted",
        [SHMFRAME_CAUSE_WRITER_LATE] = "writer-late",
        [SHMFRAME_CAUSE_DEVICE] = "device",
        [SHMFRAME_CAUSE_POOL] = "pool",
    };
    return cause < SHMFRAME_CAUSES ? names[cause] : NULL;
}
