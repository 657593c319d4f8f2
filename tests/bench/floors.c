/* Bench: the floor of a cache line gives a reader each message whole, however late it comes. */
#include "roads/road.h"

#include <check.h>
#include <pthread.h>
#include <shmframe/clock.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGES = 200000, STRIDE = 3, PERIOD_NS = 500, INTERRUPT_NS = 7000 };

static struct road_plan plan = {.bytes = 1, .readers = 1, .batch = 1, .held = 1};

static void *run_writer(void *prepared) {
    struct road_count count;
    void *writer = plan.road->writer_open(prepared, &count);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        uint8_t *data;
        for (const int64_t begin_ns = shmframe_now_ns(); shmframe_now_ns() < begin_ns + PERIOD_NS;)
            ;
        plan.road->lend(writer, 1, &data);
        const struct parcel parcel = {.number = i,
                                      .send_ns = (int64_t)i * STRIDE,
                                      .flags = i == MESSAGES - 1 ? PARCEL_LAST : 0};
        plan.road->send(writer, &parcel, 1);
    }
    plan.road->writer_close(writer);
    return NULL;
}

static void look_away(int number) {
    (void)number;
}

/* The calling thread is interrupted all the time: also between what it reads of one message. */
static timer_t interrupt(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    const struct itimerspec times = {{.tv_nsec = INTERRUPT_NS}, {.tv_nsec = INTERRUPT_NS}};
    timer_t timer;
    event._sigev_un._tid = gettid();
    signal(SIGUSR1, look_away);
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    ck_assert_int_eq(timer_settime(timer, 0, &times, NULL), 0);
    return timer;
}

START_TEST(a_message_is_whole) {
    struct road_count count;
    struct message message = {0};
    pthread_t thread;
    plan.road = road_find("floor-line");
    void *prepared = plan.road->prepare(&plan);
    void *reader = plan.road->reader_open(prepared, 0, &count);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_writer, prepared), 0);
    const timer_t timer = interrupt();
    for (uint64_t next = 0; !(message.parcel.flags & PARCEL_LAST);) {
        ck_assert_uint_eq(plan.road->receive(reader, 1, &message), 1);
        ck_assert_uint_ge(message.parcel.number, next);
        ck_assert_int_eq(message.parcel.send_ns, (int64_t)message.parcel.number * STRIDE);
        next = message.parcel.number + 1;
    }
    timer_delete(timer);
    pthread_join(thread, NULL);
    plan.road->reader_close(reader);
    plan.road->finish(prepared);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("floors");
    TCase *tests = tcase_create("line");
    tcase_set_timeout(tests, 60); /* both spin, perhaps on one processor */
    tcase_add_test(tests, a_message_is_whole);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
