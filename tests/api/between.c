/* What others do between two steps of a call: linked so that these steps go through here, and the
 * others' part is done there and then. */
#include "world.h"

#include "ring.h"
#include "session.h"

#include <errno.h>

enum { READERS = 8 }; /* more than links that come with a ring */

static struct shmframe_writer *writer;
static struct shmframe_reader *joining[READERS];
static bool is_opening_due, is_publication_due;
static unsigned unlocks_left; /* until the supervisor is another one; 0: it stays */

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

static void replace_supervisor(void) {
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
}

void __wrap_session_unlock(struct shmframe_session *session) {
    __real_session_unlock(session);
    if (unlocks_left > 0 && --unlocks_left == 0)
        replace_supervisor();
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

/* ---- the supervisor dies as soon as it has opened a ring ---- */

static void expect_known(void) {
    ck_assert_uint_eq(unlocks_left, 0);
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LATEST);
    world_publish(writer, 1);
    world_take(reader, 1);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}

/* All that the session's other threads do, between the answer and the writer's next step: they have
 * told the next one of all rings but this. */
START_TEST(a_first_ring_is_known_to_the_next_supervisor) {
    unlocks_left = 2; /* the first one is from before the opening */
    writer = world_open_writer("s");
    expect_known();
}
END_TEST

START_TEST(a_ring_of_another_format_is_known_to_the_next_supervisor) {
    writer = world_open_writer("s");
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "other", 8), 0);
    unlocks_left = 1;
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    expect_known();
}
END_TEST

/* ---- a writer that does not publish ---- */

/* All of the session's places but a few, as if so many links were there. */
static void take_places(void) {
    enum { LEFT = 8 };
    uint32_t entry;
    session_lock(world.session);
    for (unsigned i = 0; i < NOTICE_ENTRIES - LEFT; i++)
        ck_assert_int_eq(session_take_entry(world.session, &entry), 0);
    session_unlock(world.session);
}

/* The reader's session is another one: the writer's is looked after in between. */
static struct shmframe_reader *open_slowly(struct shmframe_session *session) {
    enum { LOOK_NS = 20000000 };
    const int64_t deadline_ns = world_deadline();
    struct shmframe_reader_params params = {.stream = "s"};
    struct shmframe_reader *reader = NULL;
    struct shmframe_writer_event event;
    int code = -ETIMEDOUT;
    while (code == -ETIMEDOUT && shmframe_now_ns() < deadline_ns) {
        ck_assert_int_eq(shmframe_session_dispatch(world.session), 0);
        while (shmframe_writer_next_event(writer, &event) == 0)
            continue;
        params.deadline_ns = shmframe_deadline_ns(LOOK_NS);
        code = shmframe_reader_open(session, &params, &reader);
    }
    ck_assert_msg(code == 0, "no reader (%d): %s", code, shmframe_last_error());
    return reader;
}

START_TEST(a_writer_that_does_not_publish_has_links_for_all_who_come_and_go) {
    enum { JOINS = 20 };
    take_places();
    writer = world_open_writer("s");
    struct shmframe_session *session = world_open_session();
    for (unsigned i = 0; i < JOINS; i++)
        shmframe_reader_close(open_slowly(session));
    shmframe_session_close(session);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- a frame that comes between two looks ---- */

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
    tcase_add_test(tests, a_writer_that_does_not_publish_has_links_for_all_who_come_and_go);
    tcase_add_test(tests, a_first_ring_is_known_to_the_next_supervisor);
    tcase_add_test(tests, a_ring_of_another_format_is_known_to_the_next_supervisor);
    tcase_add_test(tests, readers_that_come_as_a_ring_is_opened_get_their_links);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
