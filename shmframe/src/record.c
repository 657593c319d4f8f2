#include "record.h"

#include "clock.h"
#include "histogram.h"
#include "layout.h"

#include <sys/random.h>
#include <unistd.h>

/* ---- life ---- */

int record_create(struct record *record) {
    struct region region;
    int fd;
    int code = region_create_page("shmframe-record", RECORD_BYTES, REGION_SEALED, &region, &fd);
    if (code < 0)
        return code;
    *record = (struct record){.region = region, .fd = fd, .page = region.base};
    record->page->magic = RECORD_MAGIC;
    record->page->abi = LAYOUT_ABI;
    do { /* without it the name is of this instant alone, which will do on one machine */
        if (getrandom(&record->page->id, sizeof(record->page->id), GRND_NONBLOCK) < 0)
            record->page->id = (uint64_t)clock_now_ns();
    } while (record->page->id == 0);
    return 0;
}

void record_destroy(struct record *record) {
    if (!record->page)
        return;
    region_unmap(&record->region);
    close(record->fd);
    *record = (struct record){.fd = -1};
}

/* ---- writing ---- */

/* Words that one thread alone writes need no atomic addition. */
static void add_alone(_Atomic uint64_t *word, uint64_t more) {
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static void measure_alone(struct record_histogram *histogram, int64_t value_ns, uint64_t times) {
    add_alone(&histogram->bucket[histogram_bucket(value_ns)], times);
    if (value_ns > atomic_load_explicit(&histogram->max_ns, memory_order_relaxed))
        atomic_store_explicit(&histogram->max_ns, value_ns, memory_order_relaxed);
}

static void measure(struct record_histogram *histogram, int64_t value_ns, uint64_t times) {
    atomic_fetch_add_explicit(&histogram->bucket[histogram_bucket(value_ns)], times,
                              memory_order_relaxed);
    int64_t max_ns = atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
    while (value_ns > max_ns &&
           !atomic_compare_exchange_weak_explicit(&histogram->max_ns, &max_ns, value_ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void record_count(struct record *record, enum record_counter counter, uint64_t more) {
    add_alone(&record->page->counter[counter], more);
}

/* A flight's line is by how manieth the frame is that was taken, so that a reader that skips keeps
 * as many; a lease has it above the ring's cell. */
enum { LINE_SHIFT = 20 };
static_assert(SHMFRAME_FLIGHTS <= 1 << (32 - LINE_SHIFT), "a lease's cell has room for a line");

static struct record_flight *find_flight(struct record_page *page,
                                         const struct shmframe_lease *lease) {
    return &page->flight[(lease->cell >> LINE_SHIFT) % SHMFRAME_FLIGHTS];
}

/* Of the frame that is to be counted next. */
static void begin_flight(struct record_page *page, struct shmframe_lease *lease, uint64_t taken) {
    lease->cell |= (uint32_t)(taken % SHMFRAME_FLIGHTS) << LINE_SHIFT;
    struct record_flight *flight = find_flight(page, lease);
    /* A seqlock with one writer: who copies the line sees either number, or 0, or the same twice.
     */
    atomic_store_explicit(&flight->sequence, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&flight->capture_ns, lease->frame.capture_ns, memory_order_relaxed);
    atomic_store_explicit(&flight->publish_ns, lease->frame.publish_ns, memory_order_relaxed);
    atomic_store_explicit(&flight->wake_ns, lease->wake_ns, memory_order_relaxed);
    atomic_store_explicit(&flight->acquire_ns, lease->acquire_ns, memory_order_relaxed);
    atomic_store_explicit(&flight->release_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&flight->present_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&flight->is_hold_due, 0, memory_order_relaxed);
    atomic_store_explicit(&flight->sequence, lease->frame.sequence, memory_order_release);
}

/* A lease's place among those that are held, in the second byte of its cell. Not the ring's own
 * cell: of two rings, each may have one of that number out. One without a place is not shown. */
enum { PLACE_SHIFT = 8 };

static uint32_t place_of(const struct shmframe_lease *lease) {
    return lease->cell >> PLACE_SHIFT & 0xff;
}

static void show_held(struct record_page *page, struct shmframe_lease *lease) {
    uint32_t place = 0;
    /* Relaxed: another thread may have ended a lease, but only we begin one. */
    while (place < SHMFRAME_LEASES_MAX &&
           atomic_load_explicit(&page->state.held_ns[place], memory_order_relaxed))
        place++;
    if (place < SHMFRAME_LEASES_MAX)
        atomic_store_explicit(&page->state.held_ns[place], lease->acquire_ns, memory_order_relaxed);
    lease->cell |= place << PLACE_SHIFT;
}

/* ---- into the histograms ---- */

static int64_t load_ns(const _Atomic int64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* Whether no more is measured of the second than of the first: they were acquired at once. */
static bool is_alike(const struct record_flight *a, const struct record_flight *b) {
    return load_ns(&a->acquire_ns) == load_ns(&b->acquire_ns) &&
           load_ns(&a->publish_ns) == load_ns(&b->publish_ns) &&
           load_ns(&a->capture_ns) == load_ns(&b->capture_ns) && load_ns(&b->wake_ns) == 0 &&
           !atomic_load_explicit(&a->is_hold_due, memory_order_relaxed) &&
           !atomic_load_explicit(&b->is_hold_due, memory_order_relaxed);
}

/* Of `times` flights that are alike, of which only the first may have been slept for. */
static void fold_flights(struct record_page *page, const struct record_flight *flight,
                         uint64_t times) {
    const int64_t capture_ns = load_ns(&flight->capture_ns);
    const int64_t publish_ns = load_ns(&flight->publish_ns);
    const int64_t acquire_ns = load_ns(&flight->acquire_ns);
    const int64_t wake_ns = load_ns(&flight->wake_ns);
    measure_alone(&page->histogram[SHMFRAME_HOP_PRODUCE], record_between_ns(capture_ns, publish_ns),
                  times);
    measure_alone(&page->histogram[SHMFRAME_HOP_TRANSIT], record_between_ns(publish_ns, acquire_ns),
                  times);
    measure_alone(&page->histogram[SHMFRAME_HOP_AGE], record_between_ns(capture_ns, acquire_ns),
                  times);
    if (wake_ns && wake_ns >= publish_ns)
        measure_alone(&page->histogram[SHMFRAME_HOP_WAKE], record_between_ns(publish_ns, wake_ns),
                      1);
}

static void fold_hold(struct record *record, const struct record_flight *flight) {
    struct record_histogram *hold = &record->page->histogram[SHMFRAME_HOP_HOLD];
    if (!atomic_load_explicit(&flight->is_hold_due, memory_order_acquire))
        return;
    const int64_t hold_ns =
        record_between_ns(load_ns(&flight->acquire_ns), load_ns(&flight->release_ns));
    /* Another thread may end a lease in a batch, and count it there, at this moment. */
    measure(hold, hold_ns, 1);
}

/* All but the newest: it may still be on lease, and its hold be told there. */
static __attribute__((noinline)) void fold(struct record *record, uint64_t taken) {
    struct record_page *page = record->page;
    uint64_t folded = atomic_load_explicit(&page->folded, memory_order_relaxed);
    while (folded + 1 < taken) {
        const struct record_flight *first = &page->flight[folded++ % SHMFRAME_FLIGHTS];
        uint64_t times = 1;
        while (folded + 1 < taken && is_alike(first, &page->flight[folded % SHMFRAME_FLIGHTS])) {
            folded++;
            times++;
        }
        atomic_store_explicit(&page->folding, folded, memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
        fold_flights(page, first, times);
        fold_hold(record, first);
        atomic_store_explicit(&page->folded, folded, memory_order_release);
    }
}

/* How many flights wait to be folded: a few when there is time for it, at most RECORD_FOLD_MOST.
 * The pages of the histograms are cold then, but one time in so many; and who looks on needs the
 * time between two folds to copy the buckets, which takes as long as sixty frames of a saturated
 * reader. */
enum { FOLD_FEW = 32 };

static uint64_t count_due(const struct record_page *page, uint64_t taken) {
    return taken - atomic_load_explicit(&page->folded, memory_order_relaxed);
}

void record_looked(struct record *record, int64_t now_ns) {
    struct record_page *page = record->page;
    const uint64_t taken =
        atomic_load_explicit(&page->counter[RECORD_DELIVERED], memory_order_relaxed);
    if (count_due(page, taken) > FOLD_FEW)
        fold(record, taken);
    atomic_store_explicit(&page->state.came_ns, now_ns, memory_order_relaxed);
}

void record_acquired(struct record *record, struct shmframe_lease *leases, uint32_t count) {
    struct record_page *page = record->page;
    uint64_t taken = atomic_load_explicit(&page->counter[RECORD_DELIVERED], memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        if (leases[i].frame.device_dropped)
            add_alone(&page->counter[RECORD_DEVICE_DROPPED], leases[i].frame.device_dropped);
        begin_flight(page, &leases[i], taken++);
        show_held(page, &leases[i]);
    }
    /* Release: who finds them counted finds their flights. */
    atomic_store_explicit(&page->counter[RECORD_DELIVERED], taken, memory_order_release);
    atomic_store_explicit(&page->state.came_ns, leases[0].acquire_ns, memory_order_relaxed);
    if (count_due(page, taken) > RECORD_FOLD_MOST)
        fold(record, taken);
}

/* The line may be a later frame's by now; that it becomes so between look and store would take a
 * thousand frames in as many nanoseconds. */
static bool is_still(const struct record_flight *flight, const struct shmframe_lease *lease) {
    return atomic_load_explicit(&flight->sequence, memory_order_relaxed) == lease->frame.sequence;
}

void record_held(struct record *record, int64_t hold_ns, uint64_t times) {
    measure(&record->page->histogram[SHMFRAME_HOP_HOLD], hold_ns, times);
}

void record_released(struct record *record, const struct shmframe_lease *lease, int64_t release_ns,
                     bool is_hold_due) {
    struct record_page *page = record->page;
    struct record_flight *flight = find_flight(page, lease);
    if (is_still(flight, lease)) {
        atomic_store_explicit(&flight->release_ns, release_ns, memory_order_relaxed);
        if (is_hold_due) /* release: behind the time that is counted */
            atomic_store_explicit(&flight->is_hold_due, 1, memory_order_release);
    }
    /* Release: who finds it gone finds when that was. */
    if (place_of(lease) < SHMFRAME_LEASES_MAX)
        atomic_store_explicit(&page->state.held_ns[place_of(lease)], 0, memory_order_release);
    atomic_store_explicit(&page->state.came_ns, release_ns, memory_order_relaxed);
}

void record_set_doing(struct record *record, enum shmframe_doing doing, int64_t now_ns) {
    atomic_store_explicit(&record->page->state.doing, (uint64_t)now_ns << 2 | (uint64_t)doing,
                          memory_order_relaxed);
}

bool record_is_holding(const struct record *record) {
    for (unsigned i = 0; i < SHMFRAME_LEASES_MAX; i++)
        if (atomic_load_explicit(&record->page->state.held_ns[i], memory_order_acquire))
            return true;
    return false;
}

static void count_loss(struct record *record, const struct shmframe_overrun *overrun) {
    if (overrun->cause == SHMFRAME_CAUSE_RESTART) {
        record_count(record, RECORD_LOST_RESTART, overrun->count);
        return;
    }
    record_count(record, RECORD_LOST_LATE, overrun->count);
    record_count(record,
                 overrun->cause == SHMFRAME_CAUSE_WOKEN_LATE ? RECORD_LATE_WOKEN
                 : overrun->cause == SHMFRAME_CAUSE_HELD     ? RECORD_LATE_HELD
                                                             : RECORD_LATE_AWAY,
                 overrun->count);
}

void record_lost(struct record *record, struct shmframe_overrun *overrun) {
    struct record_page *page = record->page;
    overrun->number = atomic_load_explicit(&page->overruns, memory_order_relaxed) + 1;
    struct record_overrun *line = &page->overrun[(overrun->number - 1) % SHMFRAME_OVERRUNS];
    atomic_store_explicit(&line->number, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    /* While the line is marked: who finds no line marked finds no more counted than told. */
    count_loss(record, overrun);
    atomic_store_explicit(&line->first, overrun->first, memory_order_relaxed);
    atomic_store_explicit(&line->count, overrun->count, memory_order_relaxed);
    atomic_store_explicit(&line->time_ns, overrun->time_ns, memory_order_relaxed);
    atomic_store_explicit(&line->woken_ns, overrun->woken_ns, memory_order_relaxed);
    atomic_store_explicit(&line->held_ns, overrun->held_ns, memory_order_relaxed);
    atomic_store_explicit(&line->away_ns, overrun->away_ns, memory_order_relaxed);
    atomic_store_explicit(&line->cause, overrun->cause, memory_order_relaxed);
    atomic_store_explicit(&line->generation, overrun->generation, memory_order_relaxed);
    atomic_store_explicit(&line->number, overrun->number, memory_order_release);
    atomic_store_explicit(&page->overruns, overrun->number, memory_order_release);
}

void record_stale(struct record *record) {
    atomic_fetch_add_explicit(&record->page->counter[RECORD_STALE], 1, memory_order_relaxed);
}

void record_presented(struct record *record, const struct shmframe_lease *lease,
                      int64_t present_ns) {
    struct record_page *page = record->page;
    measure(&page->histogram[SHMFRAME_HOP_DISPLAY],
            record_between_ns(lease->frame.capture_ns, present_ns), 1);
    struct record_flight *flight = find_flight(page, lease);
    if (is_still(flight, lease))
        atomic_store_explicit(&flight->present_ns, present_ns, memory_order_relaxed);
}
