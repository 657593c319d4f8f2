/* When a user's closes count as stuck. They end, and time passes, as the test says. */
#include "closer.h"
#include "limits.h"

#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "../library/suite.h"

enum { SLOW = 1000, FIRST_FD = 100, FIRST_MEMORY = 700, FDS = 1000 };

/* Less than what is stuck, by more than the test itself takes. */
#define STEP_NS (CLOSER_STUCK_NS / 2)

static sem_t may_end, memory_may_end;
static _Atomic unsigned ended;   /* all but memory */
static _Atomic int64_t ahead_ns; /* of the clock */
static int next_fd = FIRST_FD;   /* no such descriptor is open */

int __wrap_close(int fd);
int __real_close(int fd);
int64_t __wrap_shmframe_now_ns(void);
int64_t __real_shmframe_now_ns(void);

int __wrap_close(int fd) {
    if (fd < FIRST_FD)
        return __real_close(fd);
    while (sem_wait(fd < FIRST_MEMORY ? &may_end : &memory_may_end) < 0) {
    }
    if (fd < FIRST_MEMORY)
        atomic_fetch_add(&ended, 1);
    return 0;
}

int64_t __wrap_shmframe_now_ns(void) {
    return __real_shmframe_now_ns() + atomic_load(&ahead_ns);
}

static void pass(unsigned count) {
    for (unsigned i = 0; i < count; i++)
        closer_close(next_fd++, SLOW);
}

/* Until `count` more closes have come to an end, and are known to have. */
static void end(unsigned count) {
    const size_t before = closer_backlog();
    for (unsigned i = 0; i < count; i++)
        sem_post(&may_end);
    while (closer_backlog() > before - count)
        usleep(1000);
}

static void advance(int64_t ns) {
    atomic_fetch_add(&ahead_ns, ns);
}

START_TEST(one_that_ends_now_and_then_does_not_keep_a_user_behind_for_ever) {
    sem_init(&may_end, 0, 0);
    ck_assert_int_eq(closer_start(FDS), 0);
    pass(LIMIT_CLOSING_OF_USER - 1);
    ck_assert_int_eq(closer_look(SLOW), CLOSER_KEEPS_UP);
    /* Each time one is too many for less than he may be behind. */
    for (int64_t ns = 0; ns < 3 * CLOSER_BEHIND_NS; ns += STEP_NS) {
        pass(1);
        advance(STEP_NS);
        ck_assert_int_eq(closer_look(SLOW), CLOSER_IS_BEHIND);
        end(1);
        ck_assert_int_eq(closer_look(SLOW), CLOSER_KEEPS_UP);
    }
    pass(2);
    for (int64_t ns = 0; ns + STEP_NS < CLOSER_BEHIND_NS; ns += STEP_NS) {
        advance(STEP_NS);
        ck_assert_int_eq(closer_look(SLOW), CLOSER_IS_BEHIND);
        end(1);
        pass(1);
    }
    advance(STEP_NS);
    end(1);
    pass(1);
    advance(STEP_NS);
    ck_assert_int_eq(closer_look(SLOW), CLOSER_IS_STUCK);
    ck_assert_uint_eq(closer_backlog(), 0);
    for (int i = 0; i < LIMIT_CLOSING_OF_USER + 1; i++)
        sem_post(&may_end);
    ck_assert_int_eq(closer_await(INT64_C(20000000000)), 0);
    ck_assert_int_eq(closer_look(SLOW), CLOSER_KEEPS_UP);
    ck_assert_int_eq(atomic_load(&ended), next_fd - FIRST_FD);
}
END_TEST

START_TEST(none_that_ends_is_stuck) {
    sem_init(&may_end, 0, 0);
    ck_assert_int_eq(closer_start(FDS), 0);
    pass(LIMIT_CLOSING_OF_USER);
    ck_assert_int_eq(closer_look(SLOW), CLOSER_IS_BEHIND);
    advance(CLOSER_STUCK_NS);
    ck_assert_int_eq(closer_look(SLOW), CLOSER_IS_STUCK);
    for (int i = 0; i < LIMIT_CLOSING_OF_USER; i++)
        sem_post(&may_end);
    ck_assert_int_eq(closer_await(INT64_C(20000000000)), 0);
    ck_assert_int_eq(closer_look(SLOW), CLOSER_KEEPS_UP);
}
END_TEST

/* Gigabytes take seconds: nobody has to end a file system for that. */
START_TEST(memory_that_takes_long_is_nobodys_trouble) {
    enum { RINGS = LIMIT_CLOSING_OF_USER + 20 };
    sem_init(&may_end, 0, 0);
    sem_init(&memory_may_end, 0, 0);
    ck_assert_int_eq(closer_start(FDS), 0);
    for (int i = 0; i < RINGS; i++)
        closer_close_memory(FIRST_MEMORY + i);
    pass(LIMIT_CLOSING_OF_USER - 1);
    advance(2 * CLOSER_BEHIND_NS);
    ck_assert_int_eq(closer_look(SLOW), CLOSER_KEEPS_UP);
    ck_assert_uint_eq(closer_backlog(), RINGS + LIMIT_CLOSING_OF_USER - 1);
    advance(-2 * CLOSER_BEHIND_NS); /* threads wait by the kernel's clock */
    ck_assert_int_eq(closer_await(0), -EBUSY);
    end(LIMIT_CLOSING_OF_USER - 1); /* others' closes do not wait for it */
    ck_assert_uint_eq(closer_backlog(), RINGS);
    ck_assert_int_eq(closer_await(0), 0);
    for (int i = 0; i < RINGS; i++)
        sem_post(&memory_may_end);
    while (closer_backlog() > 0)
        usleep(1000);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {one_that_ends_now_and_then_does_not_keep_a_user_behind_for_ever},
        {none_that_ends_is_stuck},
        {memory_that_takes_long_is_nobodys_trouble},
    };
    return suite_run("closer", tests, SUITE_COUNT(tests));
}
