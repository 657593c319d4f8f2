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
    for (enum record_counter counter = 0; counter <= RECORD_DEVICE_DROPPED; counter++)
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
    record_destroy(&record);
}
END_TEST

START_TEST(each_hop_is_the_interval_that_it_is_said_to_be) {
    struct record record = make_record();
    const struct shmframe_lease lease = lease_of(1);
    record_acquired(&record, &lease);
    record_presented(&record, &lease, lease.frame.capture_ns + 9000);
    record_released(&record, &lease, lease.acquire_ns + 7000, false);
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
    record_acquired(&record, &lease);
    lease = lease_of(2);
    lease.wake_ns = lease.frame.publish_ns - 1; /* woke for something else, before */
    record_acquired(&record, &lease);
    uint64_t count;
    max_of(&record, SHMFRAME_HOP_WAKE, &count);
    ck_assert_uint_eq(count, 0);
    max_of(&record, SHMFRAME_HOP_TRANSIT, &count);
    ck_assert_uint_eq(count, 2);
    record_destroy(&record);
}
END_TEST

START_TEST(stale_releases_and_frames_dropped_by_the_device_are_counted) {
    struct record record = make_record();
    struct shmframe_lease lease = lease_of(1);
    lease.frame.device_dropped = 4;
    record_acquired(&record, &lease);
    record_released(&record, &lease, lease.acquire_ns, true);
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
        const struct shmframe_lease lease = lease_of(sequence);
        record_acquired(&record, &lease);
        if (sequence % 2)
            record_released(&record, &lease, lease.acquire_ns + 1, false);
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

START_TEST(a_late_release_does_not_touch_a_later_frames_flight) {
    struct record record = make_record();
    const struct shmframe_lease early = lease_of(5), late = lease_of(5 + SHMFRAME_FLIGHTS);
    record_acquired(&record, &early);
    record_acquired(&record, &late);
    record_released(&record, &early, early.acquire_ns + 1, false);
    record_presented(&record, &early, early.acquire_ns + 2);
    struct shmframe_flight flight;
    ck_assert_int_eq(record_get_flights(record.page, &flight, 1), 1);
    ck_assert_uint_eq(flight.sequence, late.frame.sequence);
    ck_assert_int_eq(flight.release_ns, 0);
    ck_assert_int_eq(flight.present_ns, 0);
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
        const struct shmframe_lease lease = lease_of(sequence);
        record_acquired(&shared, &lease);
        record_released(&shared, &lease, lease.acquire_ns + 9, false);
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
        record_released(&shared, &lease, lease.acquire_ns + i, false);
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
        {stale_releases_and_frames_dropped_by_the_device_are_counted},
        {flights_come_oldest_first_the_newest_of_them},
        {a_late_release_does_not_touch_a_later_frames_flight},
        {a_flight_is_whole_or_not_shown_while_the_reader_goes_on},
        {releases_from_several_threads_are_all_counted},
        {any_bytes_can_be_looked_at},
    };
    return suite_run("record", tests, SUITE_COUNT(tests));
}
