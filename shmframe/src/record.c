#include "record.h"

#include "error.h"
#include "histogram.h"
#include "layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static_assert(offsetof(struct shmframe_reader_counters, device_dropped) ==
                  RECORD_DEVICE_DROPPED * sizeof(uint64_t),
              "counters stand in the record as in the public struct");

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

static void measure_alone(struct record_histogram *histogram, int64_t value_ns) {
    add_alone(&histogram->bucket[histogram_bucket(value_ns)], 1);
    if (value_ns > atomic_load_explicit(&histogram->max_ns, memory_order_relaxed))
        atomic_store_explicit(&histogram->max_ns, value_ns, memory_order_relaxed);
}

static void measure(struct record_histogram *histogram, int64_t value_ns) {
    atomic_fetch_add_explicit(&histogram->bucket[histogram_bucket(value_ns)], 1,
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

static struct record_flight *find_flight(struct record_page *page, uint64_t sequence) {
    return &page->flight[sequence % SHMFRAME_FLIGHTS];
}

static void begin_flight(struct record_page *page, const struct shmframe_lease *lease) {
    struct record_flight *flight = find_flight(page, lease->frame.sequence);
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
    atomic_store_explicit(&flight->sequence, lease->frame.sequence, memory_order_release);
}

/* A peer's stamps are data: what cannot be subtracted counts as 0. */
static int64_t between_ns(int64_t from_ns, int64_t to_ns) {
    int64_t ns;
    return __builtin_sub_overflow(to_ns, from_ns, &ns) ? 0 : ns;
}

void record_acquired(struct record *record, const struct shmframe_lease *lease) {
    struct record_page *page = record->page;
    const struct shmframe_frame *frame = &lease->frame;
    add_alone(&page->counter[RECORD_DELIVERED], 1);
    if (frame->device_dropped)
        add_alone(&page->counter[RECORD_DEVICE_DROPPED], frame->device_dropped);
    measure_alone(&page->histogram[SHMFRAME_HOP_PRODUCE],
                  between_ns(frame->capture_ns, frame->publish_ns));
    measure_alone(&page->histogram[SHMFRAME_HOP_TRANSIT],
                  between_ns(frame->publish_ns, lease->acquire_ns));
    measure_alone(&page->histogram[SHMFRAME_HOP_AGE],
                  between_ns(frame->capture_ns, lease->acquire_ns));
    if (lease->wake_ns && lease->wake_ns >= frame->publish_ns)
        measure_alone(&page->histogram[SHMFRAME_HOP_WAKE],
                      between_ns(frame->publish_ns, lease->wake_ns));
    begin_flight(page, lease);
}

/* The line may be a later frame's by now; that it becomes so between look and store would take a
 * thousand frames in as many nanoseconds. */
static void complete_flight(struct record_page *page, uint64_t sequence, bool is_release,
                            int64_t value_ns) {
    struct record_flight *flight = find_flight(page, sequence);
    if (atomic_load_explicit(&flight->sequence, memory_order_relaxed) == sequence)
        atomic_store_explicit(is_release ? &flight->release_ns : &flight->present_ns, value_ns,
                              memory_order_relaxed);
}

void record_released(struct record *record, const struct shmframe_lease *lease, int64_t release_ns,
                     bool is_alone) {
    struct record_page *page = record->page;
    struct record_histogram *hold = &page->histogram[SHMFRAME_HOP_HOLD];
    if (is_alone)
        measure_alone(hold, release_ns - lease->acquire_ns);
    else
        measure(hold, release_ns - lease->acquire_ns);
    complete_flight(page, lease->frame.sequence, true, release_ns);
}

void record_stale(struct record *record) {
    atomic_fetch_add_explicit(&record->page->counter[RECORD_STALE], 1, memory_order_relaxed);
}

void record_presented(struct record *record, const struct shmframe_lease *lease,
                      int64_t present_ns) {
    struct record_page *page = record->page;
    measure(&page->histogram[SHMFRAME_HOP_DISPLAY],
            between_ns(lease->frame.capture_ns, present_ns));
    complete_flight(page, lease->frame.sequence, false, present_ns);
}

/* ---- reading ---- */

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

int record_get_histogram(const struct record_page *page, enum shmframe_hop hop,
                         struct shmframe_histogram *out) {
    if ((unsigned)hop >= SHMFRAME_HOPS)
        return error_set(-EINVAL, "there is no hop %d, only 0 to %d", (int)hop, SHMFRAME_HOPS - 1);
    const struct record_histogram *histogram = &page->histogram[hop];
    out->count = 0;
    out->max_ns = atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
    for (unsigned i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++) {
        out->bucket[i] = atomic_load_explicit(&histogram->bucket[i], memory_order_relaxed);
        out->count += out->bucket[i];
    }
    return 0;
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
