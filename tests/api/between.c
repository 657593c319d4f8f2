/* What others do between two steps of a call: linked so that these steps go through here, and the
 * others' part is done there and then. */
#include "world.h"

#include "ring.h"
#include "session.h"

enum { READERS = 8 }; /* more than links that come with a ring */

static struct shmframe_writer *writer;
static struct shmframe_reader *joining[READERS];
static bool is_opening_due, is_publication_due;

void __real_session_unlock(struct shmframe_session *session);
void __wrap_session_unlock(struct shmframe_session *session);
int __real_ring_acquire(struct ring_reader *core, struct ring_frame *out_frame, uint64_t *retries);
int __wrap_ring_acquire(struct ring_reader *core, struct ring_frame *out_frame, uint64_t *retries);
int __real_ring_acquire_batch(struct ring_reader *core, struct ring_frame *out_frames,
                              uint32_t count, uint64_t *retries);
int __wrap_ring_acquire_batch(struct ring_reader *core, struct ring_frame *out_frames,
                              uint32_t count, uint64_t *retries);

static void open_readers(void) {
    for (unsigned i = 0; i < READERS; i++)
        joining[i] = world_open_reader("s", SHMFRAME_LATEST);
}

void __wrap_session_unlock(struct shmframe_session *session) {
    __real_session_unlock(session);
    if (!is_opening_due)
        return;
    is_opening_due = false;
    open_readers();
}

/* By then the reader has read the clock. */
static void publish_if_due(void) {
    if (!is_publication_due)
        return;
    is_publication_due = false;
    world_publish(writer, 2);
}

int __wrap_ring_acquire(struct ring_reader *core, struct ring_frame *out_frame, uint64_t *retries) {
    publish_if_due();
    return __real_ring_acquire(core, out_frame, retries);
}

int __wrap_ring_acquire_batch(struct ring_reader *core, struct ring_frame *out_frames,
                              uint32_t count, uint64_t *retries) {
    publish_if_due();
    return __real_ring_acquire_batch(core, out_frames, count, retries);
}

/* The mutex is given up once the supervisor has said that the ring is open, and the writer has not
 * gone on in it: links that are wanted by then are of neither ring's number. */
START_TEST(readers_that_come_as_a_ring_is_opened_get_their_links) {
    writer = world_open_writer("s");
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "other", 8), 0);
    is_opening_due = true;
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    ck_assert(!is_opening_due);
    world_publish(writer, 1);
    for (unsigned i = 0; i < READERS; i++) {
        world_take(joining[i], 1);
        shmframe_reader_close(joining[i]);
    }
    shmframe_writer_close(writer);
}
END_TEST

static struct shmframe_lease acquire(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    is_publication_due = true;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert(!is_publication_due);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    return lease;
}

START_TEST(a_frame_that_comes_as_it_is_looked_for_is_not_acquired_before_it_was_published) {
    writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    const struct shmframe_lease lease = acquire(reader);
    ck_assert_int_ge(lease.acquire_ns, lease.frame.publish_ns);
    struct shmframe_flight flight;
    ck_assert_int_eq(shmframe_reader_flights(reader, &flight, 1), 1);
    ck_assert_int_eq(flight.acquire_ns, lease.acquire_ns);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* With one instant for all of them. */
START_TEST(nor_is_the_last_one_of_a_batch) {
    writer = world_open_writer("s");
    const struct shmframe_reader_params params = {
        .stream = "s", .policy = SHMFRAME_IN_ORDER, .leases = 2, .deadline_ns = world_deadline()};
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader), 0);
    struct shmframe_lease leases[2];
    world_publish(writer, 1);
    is_publication_due = true;
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, world_deadline(), leases, 2), 2);
    ck_assert(!is_publication_due);
    ck_assert_int_ge(leases[1].acquire_ns, leases[1].frame.publish_ns);
    ck_assert_int_eq(leases[0].acquire_ns, leases[1].acquire_ns);
    ck_assert_int_eq(shmframe_reader_release_batch(reader, leases, 2), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("between");
    TCase *tests = tcase_create("between");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests,
                   a_frame_that_comes_as_it_is_looked_for_is_not_acquired_before_it_was_published);
    tcase_add_test(tests, nor_is_the_last_one_of_a_batch);
    tcase_add_test(tests, readers_that_come_as_a_ring_is_opened_get_their_links);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
