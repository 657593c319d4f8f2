/* Ledger: what a page says, whoever wrote it. */
#include "ledger.h"

static uint64_t load(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static int64_t load_ns(const _Atomic int64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

void ledger_get_counters(const struct ring *ring, struct ledger_counters *out_counters) {
    const struct ring_ledger *page = &ring->ledger;
    /* In this order: who finds the period, or the name, finds what was stored before it. */
    const int64_t period_ns = atomic_load_explicit(&page->period_ns, memory_order_acquire);
    const uint64_t id = atomic_load_explicit(&page->id, memory_order_acquire);
    *out_counters = (struct ledger_counters){
        .id = id,
        .published = load(&page->published),
        .abandoned = load(&page->abandoned),
        .refused = load(&page->refused),
        .late = load(&page->late),
        .device_dropped = load(&page->device_dropped),
        .pool = load(&page->pool),
        .waits = load(&page->waits),
        .loans_cold = load(&page->loans_cold),
        .incidents = load(&page->incidents),
        .publish_ns = load_ns(&page->publish_ns),
        .period_ns = period_ns,
        .blocked_ns = load_ns(&page->blocked_ns),
        .refused_ns = load_ns(&page->refused_ns),
        .blocker = load(&page->blocker),
        .slots_used = atomic_load_explicit(&page->slots_used, memory_order_relaxed),
    };
}

int64_t ledger_blocked_since(const struct ledger_counters *counters, int64_t now_ns) {
    enum { PATIENCE_NS = 500000000, PERIODS = 2 };
    const int64_t period_ns =
        counters->period_ns > 0 && counters->period_ns < now_ns / PERIODS ? counters->period_ns : 0;
    const int64_t patience_ns =
        PERIODS * period_ns > PATIENCE_NS ? PERIODS * period_ns : PATIENCE_NS;
    const bool has_given_up =
        counters->refused_ns != 0 && counters->refused_ns < now_ns - patience_ns;
    return has_given_up ? 0 : counters->blocked_ns;
}

/* False: the line is another by now, or tells of nothing that a writer tells of. */
static bool copy_line(const struct ring_incident *line, uint64_t number,
                      struct ledger_incident *out) {
    if (atomic_load_explicit(&line->number, memory_order_acquire) != number)
        return false;
    const uint32_t cause = atomic_load_explicit(&line->cause, memory_order_relaxed);
    *out = (struct ledger_incident){
        .number = number,
        .first = load(&line->first),
        .count = load(&line->count),
        .time_ns = load_ns(&line->time_ns),
        .duration_ns = load_ns(&line->duration_ns),
        .culprit = load(&line->culprit),
        .cause = (enum shmframe_cause)cause,
        .leases = atomic_load_explicit(&line->leases, memory_order_relaxed),
    };
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&line->number, memory_order_relaxed) == number &&
           cause >= SHMFRAME_CAUSE_WRITER_LATE && cause <= SHMFRAME_CAUSE_POOL;
}

uint32_t ledger_get_incidents(const struct ring *ring, uint64_t after,
                              struct ledger_incident out_incidents[RING_INCIDENTS]) {
    const uint64_t newest = atomic_load_explicit(&ring->ledger.incidents, memory_order_acquire);
    const uint64_t news = newest > after ? newest - after : 0;
    const uint32_t wanted = news < RING_INCIDENTS ? (uint32_t)news : RING_INCIDENTS;
    uint32_t found = 0;
    for (uint32_t i = 0; i < wanted; i++) {
        const uint64_t number = newest - wanted + 1 + i;
        found += copy_line(&ring->incident[(number - 1) % RING_INCIDENTS], number,
                           &out_incidents[found]);
    }
    return found;
}
