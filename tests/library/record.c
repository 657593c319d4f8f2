/* Records: what a reader measured, as others see it while it measures. */
#include "record.h"

#include "histogram.h"
#include "layout.h"
#include "suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct shmframe_lease lease_of(uint64_t sequence) {
    const int64_t base_ns = (int64_t)sequence * 1000000;
    return (struct shmframe_lease){
        .frame = {.sequence = sequence, .capture_ns = base_ns, .publish_ns = base_ns + 100},
        .wake_ns = base_ns + 300,
        .acquire_ns = base_ns + 500};
}

static struct record make_record(void) {
    struct record record;
    ck_assert_int_eq(record_create(&record), 0);
    return record;
}

static void released(struct record *record, const struct shmframe_lease *lease, int64_t release_ns,
                     bool is_alone) {
    if (!is_alone)
        record_held(record, release_ns - lease->acquire_ns, 1);
    record_released(record, lease, release_ns, is_alone);
}

static int64_t max_of(const struct record *record, enum shmframe_hop hop, uint64_t *out_count) {
    struct shmframe_histogram histogram;
    ck_assert_int_eq(record_get_histogram(record->page, hop, &histogram), 0);
    *out_count = histogram.count;
    return histogram.max_ns;
}

START_TEST(a_record_is_sealed_and_begins_with_its_mark) {
    struct record record = make_record();
    ck_assert_int_eq(region_check(record.fd, REGION_SEALED, RECORD_BYTES, NULL), 0);
    ck_assert_int_eq(record_check(record.page), 0);
    record_destroy(&record);
    record_destroy(&record); /* nothing is left to destroy */
}
END_TEST

START_TEST(a_page_without_the_mark_is_refused) {
    struct record record = make_record();
    record.page->magic++;
    ck_assert_int_eq(record_check(record.page), -EPROTO);
    record.page->magic--;
    record.page->abi++;
    ck_assert_int_eq(record_check(record.page), -EPROTO);
    record_destroy(&record);
}
END_TEST

START_TEST(every_counter_stands_where_it_is_read) {
    struct record record = make_record();
    for (enum record_counter counter = 0; counter <= RECORD_LATE_AWAY; counter++)
        record_count(&record, counter, 100 + counter);
    struct shmframe_reader_counters counters;
    record_get_counters(record.page, &counters);
    ck_assert_uint_eq(counters.delivered, 100 + RECORD_DELIVERED);
    ck_assert_uint_eq(counters.lost_late, 100 + RECORD_LOST_LATE);
    ck_assert_uint_eq(counters.lost_restart, 100 + RECORD_LOST_RESTART);
    ck_assert_uint_eq(counters.skipped, 100 + RECORD_SKIPPED);
    ck_assert_uint_eq(counters.retries, 100 + RECORD_RETRIES);
    ck_assert_uint_eq(counters.sleeps, 100 + RECORD_SLEEPS);
    ck_assert_uint_eq(counters.spurious, 100 + RECORD_SPURIOUS);
    ck_assert_uint_eq(counters.stale, 100 + RECORD_STALE);
    ck_assert_uint_eq(counters.restarts, 100 + RECORD_RESTARTS);
    ck_assert_uint_eq(counters.formats, 100 + RECORD_FORMATS);
    ck_assert_uint_eq(counters.device_dropped, 100 + RECORD_DEVICE_DROPPED);
    ck_assert_uint_eq(counters.late_woken, 100 + RECORD_LATE_WOKEN);
    ck_assert_uint_eq(counters.late_held, 100 + RECORD_LATE_HELD);
    ck_assert_uint_eq(counters.late_away, 100 + RECORD_LATE_AWAY);
    record_destroy(&record);
}
END_TEST

START_TEST(each_hop_is_the_interval_that_it_is_said_to_be) {
    struct record record = make_record();
    struct shmframe_lease lease = lease_of(1);
    record_acquired(&record, &lease, 1);
    record_presented(&record, &lease, lease.frame.capture_ns + 9000);
    released(&record, &lease, lease.acquire_ns + 7000, false);
    static const int64_t expected_ns[SHMFRAME_HOPS] = {
        [SHMFRAME_HOP_PRODUCE] = 100, [SHMFRAME_HOP_WAKE] = 200, [SHMFRAME_HOP_TRANSIT] = 400,
        [SHMFRAME_HOP_HOLD] = 7000,   [SHMFRAME_HOP_AGE] = 500,  [SHMFRAME_HOP_DISPLAY] = 9000,
    };
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++) {
        uint64_t count;
        ck_assert_int_eq(max_of(&record, (enum shmframe_hop)hop, &count), expected_ns[hop]);
        ck_assert_uint_eq(count, 1);
    }
    struct shmframe_histogram histogram;
    ck_assert_int_eq(record_get_histogram(record.page, SHMFRAME_HOPS, &histogram), -EINVAL);
    ck_assert_int_eq(record_get_histogram(record.page, (enum shmframe_hop) - 1, &histogram),
                     -EINVAL);
    record_destroy(&record);
}
END_TEST

START_TEST(a_frame_nobody_slept_for_has_no_wake) {
    struct record record = make_record();
    struct shmframe_lease lease = lease_of(1);
    lease.wake_ns = 0;
    record_acquired(&record, &lease, 1);
    lease = lease_of(2);
    lease.wake_ns = lease.frame.publish_ns - 1; /* woke for something else, before */
    record_acquired(&record, &lease, 1);
    uint64_t count;
    max_of(&record, SHMFRAME_HOP_WAKE, &count);
    ck_assert_uint_eq(count, 0);
    max_of(&record, SHMFRAME_HOP_TRANSIT, &count);
    ck_assert_uint_eq(count, 2);
    record_destroy(&record);
}
END_TEST

/* Whether they went over from the flights into the histograms or not, and whenever they do. */
START_TEST(every_frame_taken_is_in_the_histograms_at_once) {
    struct record record = make_record();
    for (uint64_t sequence = 1; sequence <= 300; sequence++) {
        struct shmframe_lease lease = lease_of(sequence);
        uint64_t count;
        record_acquired(&record, &lease, 1);
        max_of(&record, SHMFRAME_HOP_HOLD, &count);
        ck_assert_uint_eq(count, sequence - 1);
        if (sequence % 50 == 1) /* while it is held */
            record_looked(&record, lease.acquire_ns + 1);
        released(&record, &lease, lease.acquire_ns + (int64_t)sequence, sequence % 4 != 0);
        ck_assert_int_eq(max_of(&record, SHMFRAME_HOP_HOLD, &count), (int64_t)sequence);
        ck_assert_uint_eq(count, sequence);
        for (unsigned hop = SHMFRAME_HOP_PRODUCE; hop <= SHMFRAME_HOP_AGE; hop++) {
            max_of(&record, (enum shmframe_hop)hop, &count);
            ck_assert_uint_eq(count, sequence);
        }
    }
    ck_assert_uint_ge(atomic_load(&record.page->folded), 300 - 64 - 1);
    record_destroy(&record);
}
END_TEST

START_TEST(the_frames_of_a_batch_are_all_in_the_histograms) {
    enum { BATCH = 3, BATCHES = 50 };
    struct record record = make_record();
    for (uint64_t i = 0; i < BATCHES; i++) {
        struct shmframe_lease leases[BATCH];
        for (unsigned k = 0; k < BATCH; k++) {
            leases[k] = lease_of(1 + i); /* at one instant, ... */
            leases[k].frame.sequence += k;
            leases[k].wake_ns = k ? 0 : leases[k].wake_ns;
            leases[k].acquire_ns += k == BATCH - 1 && i % 2; /* ... or nearly so */
        }
        record_acquired(&record, leases, BATCH);
        for (unsigned k = 0; k < BATCH; k++)
            released(&record, &leases[k], leases[k].acquire_ns + 7, false);
        uint64_t count;
        max_of(&record, SHMFRAME_HOP_WAKE, &count);
        ck_assert_uint_eq(count, i + 1);
        ck_assert_int_eq(max_of(&record, SHMFRAME_HOP_TRANSIT, &count), i ? 401 : 400);
        ck_assert_uint_eq(count, (i + 1) * BATCH);
    }
    record_destroy(&record);
}
END_TEST

START_TEST(stale_releases_and_frames_dropped_by_the_device_are_counted) {
    struct record record = make_record();
    struct shmframe_lease lease = lease_of(1);
    lease.frame.device_dropped = 4;
    record_acquired(&record, &lease, 1);
    released(&record, &lease, lease.acquire_ns, true);
    record_stale(&record);
    struct shmframe_reader_counters counters;
    record_get_counters(record.page, &counters);
    ck_assert_uint_eq(counters.delivered, 1);
    ck_assert_uint_eq(counters.stale, 1);
    ck_assert_uint_eq(counters.device_dropped, 4);
    record_destroy(&record);
}
END_TEST

START_TEST(flights_come_oldest_first_the_newest_of_them) {
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS + 1];
    struct record record = make_record();
    ck_assert_int_eq(record_get_flights(record.page, flights, SHMFRAME_FLIGHTS), 0);
    for (uint64_t sequence = 1; sequence <= 3000; sequence++) {
        struct shmframe_lease lease = lease_of(sequence);
        record_acquired(&record, &lease, 1);
        if (sequence % 2)
            released(&record, &lease, lease.acquire_ns + 1, false);
        if (sequence % 3 == 0)
            record_presented(&record, &lease, lease.acquire_ns + 2);
    }
    ck_assert_int_eq(record_get_flights(record.page, flights, SHMFRAME_FLIGHTS + 1),
                     SHMFRAME_FLIGHTS);
    for (unsigned i = 0; i < SHMFRAME_FLIGHTS; i++) {
        const uint64_t sequence = 3000 - SHMFRAME_FLIGHTS + 1 + i;
        const struct shmframe_lease lease = lease_of(sequence);
        ck_assert_uint_eq(flights[i].sequence, sequence);
        ck_assert_int_eq(flights[i].capture_ns, lease.frame.capture_ns);
        ck_assert_int_eq(flights[i].publish_ns, lease.frame.publish_ns);
        ck_assert_int_eq(flights[i].wake_ns, lease.wake_ns);
        ck_assert_int_eq(flights[i].acquire_ns, lease.acquire_ns);
        ck_assert_int_eq(flights[i].release_ns, sequence % 2 ? lease.acquire_ns + 1 : 0);
        ck_assert_int_eq(flights[i].present_ns, sequence % 3 ? 0 : lease.acquire_ns + 2);
    }
    ck_assert_int_eq(record_get_flights(record.page, flights, 2), 2);
    ck_assert_uint_eq(flights[0].sequence, 2999);
    ck_assert_uint_eq(flights[1].sequence, 3000);
    ck_assert_int_eq(record_get_flights(record.page, flights, 0), 0);
    record_destroy(&record);
}
END_TEST

START_TEST(who_skips_frames_keeps_as_many_flights) {
    enum { EACH = 64 };
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS];
    struct record record = make_record();
    for (uint64_t i = 1; i <= SHMFRAME_FLIGHTS + 5; i++) {
        struct shmframe_lease lease = lease_of(EACH * i);
        record_acquired(&record, &lease, 1);
        released(&record, &lease, lease.acquire_ns + 1, false);
        record_presented(&record, &lease, lease.acquire_ns + 2);
    }
    ck_assert_int_eq(record_get_flights(record.page, flights, SHMFRAME_FLIGHTS), SHMFRAME_FLIGHTS);
    for (unsigned i = 0; i < SHMFRAME_FLIGHTS; i++) {
        ck_assert_uint_eq(flights[i].sequence, EACH * (uint64_t)(i + 6));
        ck_assert_int_eq(flights[i].release_ns, flights[i].acquire_ns + 1);
        ck_assert_int_eq(flights[i].present_ns, flights[i].acquire_ns + 2);
    }
    record_destroy(&record);
}
END_TEST

START_TEST(a_late_release_does_not_touch_a_later_frames_flight) {
    struct record record = make_record();
    struct shmframe_lease early = lease_of(5), late;
    record_acquired(&record, &early, 1);
    for (uint64_t sequence = 6; sequence <= 5 + SHMFRAME_FLIGHTS; sequence++) {
        late = lease_of(sequence);
        record_acquired(&record, &late, 1);
    }
    released(&record, &early, early.acquire_ns + 1, false);
    record_presented(&record, &early, early.acquire_ns + 2);
    struct shmframe_flight flight;
    ck_assert_int_eq(record_get_flights(record.page, &flight, 1), 1);
    ck_assert_uint_eq(flight.sequence, late.frame.sequence);
    ck_assert_int_eq(flight.release_ns, 0);
    ck_assert_int_eq(flight.present_ns, 0);
    record_destroy(&record);
}
END_TEST

/* ---- overruns ---- */

static struct shmframe_overrun overrun_of(uint64_t number) {
    return (struct shmframe_overrun){.first = 10 * number,
                                     .count = 1 + number % 3,
                                     .time_ns = (int64_t)number * 1000,
                                     .woken_ns = (int64_t)number + 1,
                                     .held_ns = (int64_t)number + 2,
                                     .away_ns = (int64_t)number + 3,
                                     .cause = SHMFRAME_CAUSE_WOKEN_LATE + number % 4,
                                     .generation = (uint32_t)number + 4};
}

static bool is_overrun_of(const struct shmframe_overrun *overrun, uint64_t number) {
    const struct shmframe_overrun expected = overrun_of(number);
    return overrun->number == number && overrun->first == expected.first &&
           overrun->count == expected.count && overrun->time_ns == expected.time_ns &&
           overrun->woken_ns == expected.woken_ns && overrun->held_ns == expected.held_ns &&
           overrun->away_ns == expected.away_ns && overrun->cause == expected.cause &&
           overrun->generation == expected.generation;
}

START_TEST(the_log_of_overruns_keeps_its_newest_lines) {
    struct record record = make_record();
    struct shmframe_overrun overruns[SHMFRAME_OVERRUNS + 1];
    ck_assert_int_eq(record_get_overruns(record.page, overruns, SHMFRAME_OVERRUNS), 0);
    for (uint64_t number = 1; number <= 3 * SHMFRAME_OVERRUNS + 5; number++) {
        struct shmframe_overrun overrun = overrun_of(number);
        record_lost(&record, &overrun);
        ck_assert_uint_eq(overrun.number, number);
        const int there = number < SHMFRAME_OVERRUNS ? (int)number : SHMFRAME_OVERRUNS;
        ck_assert_int_eq(record_get_overruns(record.page, overruns, SHMFRAME_OVERRUNS + 1), there);
        for (int i = 0; i < there; i++)
            ck_assert(is_overrun_of(&overruns[i], number - (uint64_t)(there - 1 - i)));
        ck_assert_int_eq(record_get_overruns(record.page, overruns, 1), 1);
        ck_assert(is_overrun_of(&overruns[0], number));
        ck_assert_int_eq(record_get_overruns(record.page, overruns, 0), 0);
    }
    record_destroy(&record);
}
END_TEST

START_TEST(a_loss_is_counted_by_its_cause) {
    struct record record = make_record();
    for (unsigned cause = SHMFRAME_CAUSE_WOKEN_LATE; cause <= SHMFRAME_CAUSE_RESTART; cause++) {
        struct shmframe_overrun overrun = {.cause = cause, .count = 10 * cause};
        record_lost(&record, &overrun);
    }
    struct shmframe_reader_counters counters;
    record_get_counters(record.page, &counters);
    ck_assert_uint_eq(counters.late_woken, 10 * SHMFRAME_CAUSE_WOKEN_LATE);
    ck_assert_uint_eq(counters.late_held, 10 * SHMFRAME_CAUSE_HELD);
    ck_assert_uint_eq(counters.late_away, 10 * SHMFRAME_CAUSE_AWAY);
    ck_assert_uint_eq(counters.lost_late,
                      counters.late_woken + counters.late_held + counters.late_away);
    ck_assert_uint_eq(counters.lost_restart, 10 * SHMFRAME_CAUSE_RESTART);
    record_destroy(&record);
}
END_TEST

/* ---- what the reader does ---- */

static struct shmframe_reader_state state_of(const struct record *record) {
    struct shmframe_reader_state state;
    record_get_state(record->page, &state);
    return state;
}

START_TEST(a_reader_is_asleep_polling_or_away_since_it_last_came) {
    struct record record = make_record();
    record_set_doing(&record, SHMFRAME_DOING_ASLEEP, 5000);
    ck_assert_uint_eq(state_of(&record).doing, SHMFRAME_DOING_ASLEEP);
    ck_assert_int_eq(state_of(&record).since_ns, 5000);
    record_set_doing(&record, SHMFRAME_DOING_POLLING, 6000);
    record_looked(&record, 6500);
    ck_assert_uint_eq(state_of(&record).doing, SHMFRAME_DOING_POLLING);
    ck_assert_int_eq(state_of(&record).since_ns, 6000);
    record_set_doing(&record, SHMFRAME_DOING_AWAY, 7000);
    ck_assert_int_eq(state_of(&record).since_ns, 7000);
    record_looked(&record, 8000);
    ck_assert_uint_eq(state_of(&record).doing, SHMFRAME_DOING_AWAY);
    ck_assert_int_eq(state_of(&record).since_ns, 8000);
    struct shmframe_lease lease = lease_of(9);
    record_acquired(&record, &lease, 1);
    ck_assert_int_eq(state_of(&record).since_ns, lease.acquire_ns);
    released(&record, &lease, lease.acquire_ns + 77, true);
    ck_assert_int_eq(state_of(&record).since_ns, lease.acquire_ns + 77);
    record_destroy(&record);
}
END_TEST

/* Leases of two rings may have the same cell there. */
START_TEST(each_lease_is_held_until_it_is_released_whichever_ring_it_is_of) {
    struct record record = make_record();
    struct shmframe_lease former = lease_of(1), newer = lease_of(2);
    former.cell = newer.cell = 3 << 16 | 0x05;
    ck_assert(!record_is_holding(&record));
    record_acquired(&record, &former, 1);
    record_acquired(&record, &newer, 1);
    ck_assert_uint_eq(former.cell >> 16, 3);
    ck_assert_uint_eq(newer.cell & 0xff, 0x05);
    ck_assert_uint_eq(state_of(&record).held, 2);
    ck_assert_int_eq(state_of(&record).held_since_ns, former.acquire_ns);
    released(&record, &newer, newer.acquire_ns + 1, false);
    ck_assert(record_is_holding(&record));
    ck_assert_uint_eq(state_of(&record).held, 1);
    ck_assert_int_eq(state_of(&record).held_since_ns, former.acquire_ns);
    released(&record, &former, newer.acquire_ns + 2, true);
    ck_assert(!record_is_holding(&record));
    ck_assert_uint_eq(state_of(&record).held, 0);
    ck_assert_int_eq(state_of(&record).held_since_ns, 0);
    record_destroy(&record);
}
END_TEST

START_TEST(more_leases_than_there_are_places_do_not_push_others_out) {
    struct record record = make_record();
    struct shmframe_lease lease[SHMFRAME_LEASES_MAX + 1];
    for (unsigned i = 0; i <= SHMFRAME_LEASES_MAX; i++) {
        lease[i] = lease_of(1 + i);
        record_acquired(&record, &lease[i], 1);
    }
    ck_assert_uint_eq(state_of(&record).held, SHMFRAME_LEASES_MAX);
    released(&record, &lease[SHMFRAME_LEASES_MAX], 1, false);
    ck_assert_uint_eq(state_of(&record).held, SHMFRAME_LEASES_MAX);
    for (unsigned i = 0; i < SHMFRAME_LEASES_MAX; i++)
        released(&record, &lease[i], 1, false);
    ck_assert_uint_eq(state_of(&record).held, 0);
    record_destroy(&record);
}
END_TEST

/* ---- read while it is written ---- */

static struct record shared;
static _Atomic bool is_over;

static void *read_snapshots(void *unused) {
    (void)unused;
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS];
    intptr_t torn = 0;
    uint64_t newest = 0;
    while (!atomic_load(&is_over)) {
        const int count = record_get_flights(shared.page, flights, SHMFRAME_FLIGHTS);
        for (int i = 0; i < count; i++) {
            const struct shmframe_lease lease = lease_of(flights[i].sequence);
            torn += flights[i].capture_ns != lease.frame.capture_ns ||
                    flights[i].publish_ns != lease.frame.publish_ns ||
                    flights[i].wake_ns != lease.wake_ns ||
                    flights[i].acquire_ns != lease.acquire_ns ||
                    (flights[i].release_ns && flights[i].release_ns != lease.acquire_ns + 9);
            torn += i > 0 && flights[i].sequence <= flights[i - 1].sequence;
        }
        torn += count > 0 && flights[count - 1].sequence < newest;
        newest = count > 0 ? flights[count - 1].sequence : newest;
    }
    return (void *)torn;
}

START_TEST(a_flight_is_whole_or_not_shown_while_the_reader_goes_on) {
    shared = make_record();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_snapshots, NULL), 0);
    for (uint64_t sequence = 1; sequence <= 400000; sequence++) {
        struct shmframe_lease lease = lease_of(sequence);
        record_acquired(&shared, &lease, 1);
        released(&shared, &lease, lease.acquire_ns + 9, false);
    }
    atomic_store(&is_over, true);
    void *torn;
    ck_assert_int_eq(pthread_join(thread, &torn), 0);
    ck_assert_int_eq((intptr_t)torn, 0);
    record_destroy(&shared);
}
END_TEST

/* How often a snapshot has fewer frames than were taken before it, or more than after it. One frame
 * is in doubt where the reader lost its processor as it went over. */
static void *read_histograms(void *unused) {
    (void)unused;
    static struct shmframe_histogram histogram;
    intptr_t wrong = 0;
    while (!atomic_load(&is_over)) {
        struct shmframe_reader_counters before, after;
        record_get_counters(shared.page, &before);
        atomic_thread_fence(memory_order_acquire);
        record_get_histogram(shared.page, SHMFRAME_HOP_TRANSIT, &histogram);
        atomic_thread_fence(memory_order_acquire);
        record_get_counters(shared.page, &after);
        wrong += histogram.count + 1 < before.delivered || histogram.count > after.delivered + 1;
    }
    return (void *)wrong;
}

START_TEST(a_histogram_has_each_frame_once_while_the_reader_goes_on) {
    shared = make_record();
    pthread_t thread;
    atomic_store(&is_over, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, read_histograms, NULL), 0);
    for (uint64_t sequence = 1; sequence <= 400000; sequence++) {
        struct shmframe_lease lease = lease_of(sequence);
        record_acquired(&shared, &lease, 1);
        released(&shared, &lease, lease.acquire_ns + 9, true);
    }
    atomic_store(&is_over, true);
    void *wrong;
    ck_assert_int_eq(pthread_join(thread, &wrong), 0);
    ck_assert_int_eq((intptr_t)wrong, 0);
    record_destroy(&shared);
}
END_TEST

static void *read_overruns(void *unused) {
    (void)unused;
    intptr_t torn = 0;
    while (!atomic_load(&is_over)) {
        struct shmframe_overrun overruns[SHMFRAME_OVERRUNS];
        const int count = record_get_overruns(shared.page, overruns, SHMFRAME_OVERRUNS);
        for (int i = 0; i < count; i++)
            torn += !is_overrun_of(&overruns[i], overruns[i].number) ||
                    (i > 0 && overruns[i].number <= overruns[i - 1].number);
    }
    return (void *)torn;
}

START_TEST(an_overrun_is_whole_or_not_shown_while_the_reader_goes_on) {
    shared = make_record();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_overruns, NULL), 0);
    for (uint64_t number = 1; number <= 400000; number++) {
        struct shmframe_overrun overrun = overrun_of(number);
        record_lost(&shared, &overrun);
    }
    atomic_store(&is_over, true);
    void *torn;
    ck_assert_int_eq(pthread_join(thread, &torn), 0);
    ck_assert_int_eq((intptr_t)torn, 0);
    record_destroy(&shared);
}
END_TEST

static void *release_many(void *unused) {
    (void)unused;
    const struct shmframe_lease lease = lease_of(1);
    for (int64_t i = 1; i <= 20000; i++) {
        released(&shared, &lease, lease.acquire_ns + i, false);
        record_stale(&shared);
    }
    return NULL;
}

START_TEST(releases_from_several_threads_are_all_counted) {
    enum { THREADS = 4 };
    shared = make_record();
    pthread_t thread[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, release_many, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    struct shmframe_histogram histogram;
    ck_assert_int_eq(record_get_histogram(shared.page, SHMFRAME_HOP_HOLD, &histogram), 0);
    ck_assert_uint_eq(histogram.count, THREADS * 20000);
    ck_assert_int_eq(histogram.max_ns, 20000);
    uint64_t sum = 0;
    for (unsigned i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++)
        sum += histogram.bucket[i];
    ck_assert_uint_eq(sum, THREADS * 20000);
    struct shmframe_reader_counters counters;
    record_get_counters(shared.page, &counters);
    ck_assert_uint_eq(counters.stale, THREADS * 20000);
    record_destroy(&shared);
}
END_TEST

/* A hostile reader's page: whatever it holds, a look at it is bounded. */
START_TEST(any_bytes_can_be_looked_at) {
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS];
    struct record record = make_record();
    srandom(1);
    for (unsigned round = 0; round < 20; round++) {
        uint8_t *bytes = (uint8_t *)record.page;
        for (size_t i = 0; i < sizeof(*record.page); i++)
            bytes[i] = round == 0 ? 0xff : (uint8_t)random();
        struct shmframe_reader_counters counters;
        record_get_counters(record.page, &counters);
        ck_assert_int_le(record_get_flights(record.page, flights, SHMFRAME_FLIGHTS),
                         SHMFRAME_FLIGHTS);
        struct shmframe_histogram histogram;
        ck_assert_int_eq(record_get_histogram(record.page, SHMFRAME_HOP_AGE, &histogram), 0);
        shmframe_histogram_quantile_ns(&histogram, 0.5);
        ck_assert_uint_le(state_of(&record).held, SHMFRAME_LEASES_MAX);
        ck_assert_uint_le(state_of(&record).doing, SHMFRAME_DOING_POLLING);
    }
    record_destroy(&record);
}
END_TEST

START_TEST(any_number_of_overruns_can_be_claimed) {
    struct record record = make_record();
    struct shmframe_overrun overruns[SHMFRAME_OVERRUNS + 1];
    static const uint64_t claims[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 63, 1, 63, 64, 65};
    for (unsigned i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        memset(overruns, 0x5a, sizeof(overruns));
        atomic_store(&record.page->overruns, claims[i]);
        for (unsigned line = 0; line < SHMFRAME_OVERRUNS; line++)
            atomic_store(&record.page->overrun[line].number,
                         claims[i] - (claims[i] - 1 - line) % SHMFRAME_OVERRUNS);
        ck_assert_int_le(record_get_overruns(record.page, overruns, SHMFRAME_OVERRUNS),
                         SHMFRAME_OVERRUNS);
        const uint8_t *beyond = (const uint8_t *)&overruns[SHMFRAME_OVERRUNS];
        for (size_t at = 0; at < sizeof(overruns[0]); at++)
            ck_assert_uint_eq(beyond[at], 0x5a);
    }
    record_destroy(&record);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {a_record_is_sealed_and_begins_with_its_mark},
        {a_page_without_the_mark_is_refused},
        {every_counter_stands_where_it_is_read},
        {each_hop_is_the_interval_that_it_is_said_to_be},
        {a_frame_nobody_slept_for_has_no_wake},
        {every_frame_taken_is_in_the_histograms_at_once},
        {the_frames_of_a_batch_are_all_in_the_histograms},
        {stale_releases_and_frames_dropped_by_the_device_are_counted},
        {flights_come_oldest_first_the_newest_of_them},
        {who_skips_frames_keeps_as_many_flights},
        {a_late_release_does_not_touch_a_later_frames_flight},
        {a_flight_is_whole_or_not_shown_while_the_reader_goes_on},
        {the_log_of_overruns_keeps_its_newest_lines},
        {a_loss_is_counted_by_its_cause},
        {a_reader_is_asleep_polling_or_away_since_it_last_came},
        {each_lease_is_held_until_it_is_released_whichever_ring_it_is_of},
        {more_leases_than_there_are_places_do_not_push_others_out},
        {a_histogram_has_each_frame_once_while_the_reader_goes_on},
        {an_overrun_is_whole_or_not_shown_while_the_reader_goes_on},
        {releases_from_several_threads_are_all_counted},
        {any_bytes_can_be_looked_at},
        {any_number_of_overruns_can_be_claimed},
    };
    return suite_run("record", tests, SUITE_COUNT(tests));
}
