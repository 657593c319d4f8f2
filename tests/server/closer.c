/* When a user's closes count as stuck. They end, and time passes, as the test says. */
#include "closer.h"
#include "clock.h"
#include "limits.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "../library/suite.h"

enum { SLOW = 1000, FIRST_FD = 100, FIRST_MEMORY = 700, FDS = 1000 };

/* Less than what is stuck, by more than the test itself takes. */
#define STEP_NS (CLOSER_STUCK_NS / 2)

static sem_t may_end, memory_may_end;
static _Atomic unsigned begun;
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
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* it is not to be interrupted all the time */
    atomic_fetch_add(&begun, 1);
    while (sem_wait(fd < FIRST_MEMORY ? &may_end : &memory_may_end) < 0) {
    }
    if (fd < FIRST_MEMORY)
        atomic_fetch_add(&ended, 1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
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
    const int64_t patience_ns = INT64_C(10000000000), until_ns = shmframe_now_ns() + patience_ns;
    pass(1);
    sem_post(&may_end);
    ck_assert_int_eq(closer_await(patience_ns), 0);
    ck_assert_int_lt(shmframe_now_ns(), until_ns); /* nor does whoever waits for those */
    for (int i = 0; i < RINGS; i++)
        sem_post(&memory_may_end);
    while (closer_backlog() > 0)
        usleep(1000);
}
END_TEST

/* A program is tried meanwhile, by a child that has the ring too. */
START_TEST(memory_that_is_held_is_not_closed) {
    sem_init(&may_end, 0, 1);
    sem_init(&memory_may_end, 0, 0);
    ck_assert_int_eq(closer_start(FDS), 0);
    closer_hold_memory(true);
    closer_close_memory(FIRST_MEMORY);
    closer_close_memory(FIRST_MEMORY + 1);
    pass(1);
    while (closer_backlog() > 2) /* it came later, and was taken first */
        usleep(1000);
    ck_assert_uint_eq(closer_count_memory(), 2);
    closer_hold_memory(false);
    const int64_t deadline_ns = shmframe_now_ns() + INT64_C(10000000000);
    while (atomic_load(&begun) < 3 && shmframe_now_ns() < deadline_ns)
        usleep(1000);
    ck_assert_uint_eq(atomic_load(&begun), 3); /* at once: all threads know of it */
    for (int i = 0; i < 2; i++)
        sem_post(&memory_may_end);
    while (closer_count_memory() > 0)
        usleep(1000);
}
END_TEST

/* Each of them keeps as many threads as one may. */
START_TEST(many_users_with_what_never_ends_hold_up_no_other) {
    enum { OTHERS = CLOSER_USERS_MAX - 1, KEPT = OTHERS * CLOSER_THREADS_OF_USER };
    sem_init(&may_end, 0, 0);
    sem_init(&memory_may_end, 0, 2);
    ck_assert_int_eq(closer_start(FDS), 0);
    for (int i = 0; i < KEPT; i++)
        closer_close(next_fd++, (uid_t)(SLOW + i % OTHERS));
    const int64_t deadline_ns = shmframe_now_ns() + INT64_C(40000000000);
    while (atomic_load(&begun) < KEPT && shmframe_now_ns() < deadline_ns)
        usleep(1000);
    closer_close(FIRST_MEMORY, SLOW + OTHERS);
    closer_close_memory(FIRST_MEMORY + 1);
    while (closer_backlog() > KEPT && shmframe_now_ns() < deadline_ns)
        usleep(1000);
    ck_assert_uint_eq(closer_backlog(), KEPT);
    for (int i = 0; i < KEPT; i++)
        sem_post(&may_end);
    ck_assert_int_eq(closer_await(INT64_C(20000000000)), 0);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {one_that_ends_now_and_then_does_not_keep_a_user_behind_for_ever},
        {none_that_ends_is_stuck},
        {memory_that_takes_long_is_nobodys_trouble},
        {memory_that_is_held_is_not_closed},
        {many_users_with_what_never_ends_hold_up_no_other},
    };
    return suite_run("closer", tests, SUITE_COUNT(tests));
}
