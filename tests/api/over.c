/* A ring that ends just after a reader has looked at it, and before it sleeps: it hears of the
 * frame that waits in the next one. Linked so that what the reader sees of a ring goes through
 * here. */
#include "world.h"

#include "futex.h"
#include "ring.h"

#include <errno.h>

static struct shmframe_writer *writer;
static struct shmframe_reader *reader;
static bool is_publication_due; /* in the ring that follows, which ends the one before */
static unsigned sleeps;         /* since then */

enum ring_sight __real_ring_look(const struct ring_reader *core, enum ring_state *out_state);
enum ring_sight __wrap_ring_look(const struct ring_reader *core, enum ring_state *out_state);
int __real_futex_wait(const struct futex_word *words, uint32_t count, int64_t deadline_ns);
int __wrap_futex_wait(const struct futex_word *words, uint32_t count, int64_t deadline_ns);

/* Only who asks for the state as well decides by it what comes next. */
enum ring_sight __wrap_ring_look(const struct ring_reader *core, enum ring_state *out_state) {
    const enum ring_sight sight = __real_ring_look(core, out_state);
    if (sight == RING_NOTHING && out_state && is_publication_due) {
        is_publication_due = false;
        world_publish(writer, 2);
        sleeps = 0;
    }
    return sight;
}

int __wrap_futex_wait(const struct futex_word *words, uint32_t count, int64_t deadline_ns) {
    sleeps++;
    return __real_futex_wait(words, count, deadline_ns);
}

/* The reader has had all of the first ring, and knows of the second one. */
static void begin(void) {
    world_begin();
    is_publication_due = false;
    writer = world_open_writer("s");
    reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    world_publish(writer, 1);
    world_take(reader, 1);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 4096), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), -EAGAIN);
}

static void end(void) {
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    world_end();
}

START_TEST(acquire_does_not_sleep_over_it) {
    struct shmframe_lease lease;
    is_publication_due = true;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert(!is_publication_due);
    ck_assert_uint_eq(sleeps, 0);
    ck_assert_uint_eq(world_value(&lease), 2);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
}
END_TEST

START_TEST(a_wait_for_several_does_not_sleep_over_it) {
    struct shmframe_writer *others = world_open_writer("others");
    struct shmframe_reader *other = world_open_reader("others", SHMFRAME_IN_ORDER);
    struct shmframe_reader *const readers[] = {reader, other};
    uint64_t ready = 0;
    is_publication_due = true;
    ck_assert_int_eq(shmframe_readers_wait(readers, 2, world_deadline(), &ready), 1);
    ck_assert_uint_eq(ready, 1);
    ck_assert_uint_eq(sleeps, 0);
    world_take(reader, 2);
    shmframe_reader_close(other);
    shmframe_writer_close(others);
}
END_TEST

START_TEST(a_descriptor_is_readable_after_it) {
    const int fd = shmframe_reader_fd(reader);
    struct shmframe_lease lease;
    /* It is readable at first, for the acquire that arms it. */
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), -EAGAIN);
    is_publication_due = true;
    int code = shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease);
    ck_assert(!is_publication_due);
    while (code == -EAGAIN) {
        world_expect_readable(fd);
        code = shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease);
    }
    ck_assert_int_eq(code, 0);
    ck_assert_uint_eq(world_value(&lease), 2);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("over");
    TCase *tests = tcase_create("over");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, acquire_does_not_sleep_over_it);
    tcase_add_test(tests, a_wait_for_several_does_not_sleep_over_it);
    tcase_add_test(tests, a_descriptor_is_readable_after_it);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
