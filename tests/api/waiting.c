/* Calls that wait: what they wait for, their deadlines, and what ends them before. */
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct shmframe_writer *writer;
static struct shmframe_reader *reader, *second;

static void begin(void) {
    world_begin();
    writer = NULL;
    reader = second = NULL;
}

static void end(void) {
    shmframe_reader_close(second);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    world_end();
}

/* ---- a stream that is not there yet ---- */

struct opening {
    enum shmframe_policy policy;
    int code;
    struct shmframe_reader *reader;
};

static void *open_early(void *user) {
    struct opening *opening = user;
    const struct shmframe_reader_params params = {
        .stream = "s", .policy = opening->policy, .deadline_ns = world_deadline()};
    opening->code = shmframe_reader_open(world.session, &params, &opening->reader);
    return NULL;
}

START_TEST(who_waited_for_a_stream_gets_it_from_its_first_frame) {
    struct opening opening = {.policy = (enum shmframe_policy)_i};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, open_early, &opening), 0);
    struct shmframe_session *other = world_open_session();
    struct shmframe_stream_info info = {0};
    while (info.readers == 0)
        ck_assert_int_ge(shmframe_session_streams(other, world_deadline(), &info, 1), 0);
    ck_assert_str_eq(info.name, "s");
    ck_assert_uint_eq(info.state, SHMFRAME_STREAM_WAITED_FOR);
    const struct shmframe_writer_params params = world_writer_params("s");
    ck_assert_int_eq(shmframe_writer_open(other, &params, &writer), 0);
    for (uint64_t i = 1; i <= 4; i++)
        ck_assert_uint_eq(world_publish(writer, i), i);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(opening.code, 0);
    for (uint64_t i = 1; i <= 4; i++)
        ck_assert_uint_eq(world_take(opening.reader, i), i);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(opening.reader, &counters);
    ck_assert_uint_eq(counters.lost_late + counters.lost_restart, 0);
    shmframe_reader_close(opening.reader);
    shmframe_writer_close(writer);
    writer = NULL;
    shmframe_session_close(other);
}
END_TEST

/* ---- every call that waits ---- */

enum call {
    CALL_OPEN_READER,
    CALL_ACQUIRE,
    CALL_ACQUIRE_BATCH,
    CALL_WAIT,
    CALL_WAIT_SEVERAL,
    CALL_LOAN,
    CALL_LOAN_BATCH,
    CALL_WAIT_READERS,
    CALL_REQUEST,
    CALLS
};

static void open_for(enum call call, int64_t spin_ns) {
    writer = world_open_writer("s");
    if (call == CALL_WAIT_READERS || call == CALL_REQUEST || call == CALL_OPEN_READER)
        return;
    const struct shmframe_reader_params params = {
        .stream = "s", .policy = SHMFRAME_LOSSLESS, .depth = 2, .spin_ns = spin_ns};
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader), 0);
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &second), 0);
    if (call == CALL_LOAN || call == CALL_LOAN_BATCH)
        for (uint64_t i = 1; i <= 2; i++)
            world_publish(writer, i);
}

/* What it waits for does not come. */
static int make(enum call call, int64_t deadline_ns) {
    struct shmframe_reader *const both[] = {reader, second};
    const struct shmframe_reader_params params = {.stream = "nowhere", .deadline_ns = deadline_ns};
    struct shmframe_reader *opened;
    struct shmframe_lease lease[2];
    struct shmframe_loan loan[2];
    struct shmframe_answer answer;
    uint64_t ready;
    switch (call) {
    case CALL_OPEN_READER:
        return shmframe_reader_open(world.session, &params, &opened);
    case CALL_ACQUIRE:
        return shmframe_reader_acquire(reader, deadline_ns, lease);
    case CALL_ACQUIRE_BATCH:
        return shmframe_reader_acquire_batch(reader, deadline_ns, lease, 2);
    case CALL_WAIT:
        return shmframe_reader_wait(reader, deadline_ns);
    case CALL_WAIT_SEVERAL:
        return shmframe_readers_wait(both, 2, deadline_ns, &ready);
    case CALL_LOAN:
        return shmframe_writer_loan(writer, deadline_ns, loan);
    case CALL_LOAN_BATCH:
        return shmframe_writer_loan_batch(writer, deadline_ns, loan, 2);
    case CALL_WAIT_READERS:
        return shmframe_writer_wait_readers(writer, 1, deadline_ns);
    case CALL_REQUEST:
        return shmframe_session_request(world.session, "s", "pause", NULL, deadline_ns, &answer);
    case CALLS:
        break;
    }
    return 0;
}

START_TEST(a_deadline_that_passes_ends_the_call_and_not_before) {
    const enum call call = (enum call)_i;
    open_for(call, 0);
    /* Longer than the library ever sleeps at once. */
    const int64_t deadline_ns = shmframe_deadline_ns(150000000);
    ck_assert_int_eq(make(call, deadline_ns), -ETIMEDOUT);
    ck_assert_int_ge(shmframe_now_ns(), deadline_ns);
}
END_TEST

START_TEST(who_looks_once_is_told_that_nothing_is_there_yet) {
    const enum call call = (enum call)_i;
    open_for(call, 0);
    ck_assert_int_eq(make(call, SHMFRAME_NOW), -EAGAIN);
}
END_TEST

/* ---- interrupts and signals ---- */

static void interrupt_session(int signal) {
    (void)signal;
    shmframe_session_interrupt(world.session);
}

static void do_nothing(int signal) {
    (void)signal;
}

static void handle_signal(void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

/* Disturbs the main thread while it waits. */
struct disturber {
    pthread_t thread, victim;
    pid_t victim_id;
    bool is_by_signal;
    atomic_bool is_over;
};

static void *disturb(void *user) {
    struct disturber *disturber = user;
    /* The sleep that is seen may be over when the signal comes: so until it was noticed. */
    while (!atomic_load(&disturber->is_over)) {
        world_await_asleep(disturber->victim_id);
        if (disturber->is_by_signal)
            pthread_kill(disturber->victim, SIGUSR1);
        else
            shmframe_session_interrupt(world.session);
    }
    return NULL;
}

static int make_disturbed(enum call call, bool is_by_signal) {
    struct disturber disturber = {
        .victim = pthread_self(), .victim_id = gettid(), .is_by_signal = is_by_signal};
    ck_assert_int_eq(pthread_create(&disturber.thread, NULL, disturb, &disturber), 0);
    const int code = make(call, world_deadline());
    atomic_store(&disturber.is_over, true);
    ck_assert_int_eq(pthread_join(disturber.thread, NULL), 0);
    return code;
}

START_TEST(an_interrupt_from_another_thread_ends_the_call_until_resume) {
    const enum call call = (enum call)_i;
    open_for(call, 0);
    ck_assert_int_eq(make_disturbed(call, false), -EINTR);
    ck_assert_int_eq(make(call, world_deadline()), -EINTR);
    shmframe_session_resume(world.session);
    ck_assert_int_eq(make(call, shmframe_deadline_ns(1000000)), -ETIMEDOUT);
}
END_TEST

START_TEST(an_interrupt_from_a_signal_handler_ends_the_call_until_resume) {
    const enum call call = (enum call)_i;
    handle_signal(interrupt_session);
    open_for(call, 0);
    ck_assert_int_eq(make_disturbed(call, true), -EINTR);
    ck_assert_int_eq(make(call, world_deadline()), -EINTR);
    shmframe_session_resume(world.session);
    ck_assert_int_eq(make(call, shmframe_deadline_ns(1000000)), -ETIMEDOUT);
}
END_TEST

START_TEST(a_signal_ends_the_call_once) {
    const enum call call = (enum call)_i;
    handle_signal(do_nothing);
    open_for(call, 0);
    ck_assert_int_eq(make_disturbed(call, true), -EINTR);
    ck_assert_int_eq(make(call, shmframe_deadline_ns(1000000)), -ETIMEDOUT);
}
END_TEST

START_TEST(an_interrupt_keeps_no_frame_back) {
    writer = world_open_writer("s");
    reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    shmframe_session_interrupt(world.session);
    world_publish(writer, 1);
    ck_assert_int_eq(shmframe_reader_wait(reader, world_deadline()), 0);
    world_take(reader, 1);
    ck_assert_int_eq(shmframe_reader_wait(reader, world_deadline()), -EINTR);
    shmframe_session_resume(world.session);
}
END_TEST

static void write_and_stop(void) {
    world.session = world_open_session();
    world_open_writer("kept");
    world_tell();
    raise(SIGSTOP);
}

START_TEST(an_interrupt_ends_the_wait_for_a_name_that_is_kept_for_its_owner) {
    const pid_t pid = world_fork(write_and_stop);
    world_await();
    int status;
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    shmframe_session_interrupt(world.session);
    struct shmframe_writer_params params = world_writer_params("kept");
    params.deadline_ns = world_deadline();
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), -EINTR);
    shmframe_session_resume(world.session);
    world_kill(pid);
}
END_TEST

/* ---- spinning ---- */

static void *publish_when_asleep(void *user) {
    world_await_asleep(*(pid_t *)user);
    world_publish(writer, 7);
    return NULL;
}

static void *publish_soon(void *user) {
    (void)user;
    world_publish(writer, 7);
    return NULL;
}

START_TEST(who_spins_takes_the_frame_without_a_sleep) {
    open_for(CALL_ACQUIRE, WORLD_NS);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_soon, NULL), 0);
    ck_assert_uint_eq(world_take(reader, 1), 7);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.sleeps, 0);
}
END_TEST

START_TEST(who_spins_keeps_its_deadline) {
    open_for(CALL_ACQUIRE, WORLD_NS);
    const int64_t deadline_ns = shmframe_deadline_ns(2000000);
    ck_assert_int_eq(make(CALL_ACQUIRE, deadline_ns), -ETIMEDOUT);
    ck_assert_int_ge(shmframe_now_ns(), deadline_ns);
    ck_assert_int_lt(shmframe_now_ns(), deadline_ns + WORLD_NS / 2);
}
END_TEST

START_TEST(who_spins_for_ever_does_not_sleep) {
    open_for(CALL_ACQUIRE, SHMFRAME_FOREVER);
    ck_assert_int_eq(make(CALL_ACQUIRE, shmframe_deadline_ns(2000000)), -ETIMEDOUT);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.sleeps, 0);
}
END_TEST

/* Upkeep comes five times a second. */
START_TEST(upkeep_ends_no_spin) {
    open_for(CALL_ACQUIRE, WORLD_NS);
    ck_assert_int_eq(make(CALL_ACQUIRE, shmframe_deadline_ns(700000000)), -ETIMEDOUT);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.sleeps, 0);
}
END_TEST

START_TEST(who_has_spun_for_long_enough_sleeps) {
    open_for(CALL_ACQUIRE, 1000000);
    pid_t self = gettid();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_when_asleep, &self), 0);
    ck_assert_uint_eq(world_take(reader, 1), 7);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_ge(counters.sleeps, 1);
}
END_TEST

static void *interrupt_soon(void *user) {
    (void)user;
    shmframe_session_interrupt(world.session);
    return NULL;
}

START_TEST(an_interrupt_ends_a_spin) {
    open_for(CALL_ACQUIRE, WORLD_NS);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_soon, NULL), 0);
    ck_assert_int_eq(make(CALL_ACQUIRE, world_deadline()), -EINTR);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    shmframe_session_resume(world.session);
}
END_TEST

/* ---- several readers ---- */

START_TEST(of_several_readers_each_that_is_ready_is_told) {
    struct shmframe_writer *other = world_open_writer("t"), *quiet = world_open_writer("u");
    writer = world_open_writer("s");
    struct shmframe_reader *const readers[] = {world_open_reader("t", SHMFRAME_IN_ORDER),
                                               world_open_reader("u", SHMFRAME_LATEST),
                                               world_open_reader("s", SHMFRAME_LOSSLESS)};
    uint64_t ready = 0;
    ck_assert_int_eq(shmframe_readers_wait(readers, 3, SHMFRAME_NOW, &ready), -EAGAIN);
    world_publish(writer, 1);
    ck_assert_int_eq(shmframe_readers_wait(readers, 3, world_deadline(), &ready), 1);
    ck_assert_uint_eq(ready, 4);
    ck_assert_int_eq(shmframe_writer_end(other), 0);
    ck_assert_int_eq(shmframe_readers_wait(readers, 3, world_deadline(), &ready), 2);
    ck_assert_uint_eq(ready, 5);
    world_take(readers[2], 1);
    ck_assert_int_eq(shmframe_readers_wait(readers, 3, world_deadline(), &ready), 1);
    ck_assert_uint_eq(ready, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(readers[0], SHMFRAME_NOW, &lease), -ENODATA);
    ck_assert_int_eq(shmframe_readers_wait(readers, 3, SHMFRAME_NOW, &ready), -EAGAIN);
    for (unsigned i = 0; i < 3; i++)
        shmframe_reader_close(readers[i]);
    shmframe_writer_close(other);
    shmframe_writer_close(quiet);
}
END_TEST

struct late_end {
    pid_t sleeper;
    struct shmframe_writer *ends;
};

static void *end_when_asleep(void *user) {
    const struct late_end *late_end = user;
    world_await_asleep(late_end->sleeper);
    shmframe_writer_end(late_end->ends);
    return NULL;
}

START_TEST(who_sleeps_on_several_streams_is_woken_by_each) {
    struct shmframe_writer *other = world_open_writer("t");
    writer = world_open_writer("s");
    struct shmframe_reader *const readers[] = {world_open_reader("s", SHMFRAME_IN_ORDER),
                                               world_open_reader("t", SHMFRAME_IN_ORDER)};
    struct late_end late_end = {.sleeper = gettid(), .ends = other};
    pthread_t thread;
    uint64_t ready = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_when_asleep, &late_end.sleeper), 0);
    ck_assert_int_eq(shmframe_readers_wait(readers, 2, world_deadline(), &ready), 1);
    ck_assert_uint_eq(ready, 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(world_take(readers[0], 1), 7);
    ck_assert_int_eq(pthread_create(&thread, NULL, end_when_asleep, &late_end), 0);
    ck_assert_int_eq(shmframe_readers_wait(readers, 2, world_deadline(), &ready), 1);
    ck_assert_uint_eq(ready, 2);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    for (unsigned i = 0; i < 2; i++)
        shmframe_reader_close(readers[i]);
    shmframe_writer_close(other);
}
END_TEST

START_TEST(as_many_readers_as_are_allowed_can_be_waited_for) {
    enum { STREAMS = SHMFRAME_WAIT_MAX };
    struct shmframe_reader *readers[STREAMS + 1];
    writer = world_open_writer("s");
    for (unsigned i = 0; i < STREAMS; i++)
        readers[i] = world_open_reader("s", SHMFRAME_LATEST);
    readers[STREAMS] = readers[0];
    pid_t self = gettid();
    pthread_t thread;
    uint64_t ready = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_when_asleep, &self), 0);
    ck_assert_int_ge(shmframe_readers_wait(readers, STREAMS, world_deadline(), &ready), 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(shmframe_readers_wait(readers, STREAMS, world_deadline(), &ready), STREAMS);
    ck_assert_uint_eq(ready, UINT64_MAX);
    expect_error(shmframe_readers_wait(readers, STREAMS + 1, SHMFRAME_NOW, &ready), -EINVAL, "65");
    expect_error(shmframe_readers_wait(readers, 0, SHMFRAME_NOW, &ready), -EINVAL, "0");
    for (unsigned i = 0; i < STREAMS; i++)
        shmframe_reader_close(readers[i]);
}
END_TEST

START_TEST(readers_of_different_sessions_cannot_be_waited_for_at_once) {
    writer = world_open_writer("s");
    reader = world_open_reader("s", SHMFRAME_LATEST);
    struct shmframe_session *other = world_open_session();
    const struct shmframe_reader_params params = {.stream = "s"};
    struct shmframe_reader *foreign;
    ck_assert_int_eq(shmframe_reader_open(other, &params, &foreign), 0);
    struct shmframe_reader *const both[] = {reader, foreign};
    uint64_t ready;
    expect_error(shmframe_readers_wait(both, 2, SHMFRAME_NOW, &ready), -EINVAL, "'s'");
    shmframe_reader_close(foreign);
    shmframe_session_close(other);
}
END_TEST

/* ---- events ---- */

START_TEST(the_last_64_events_are_kept) {
    enum { KEPT = 64, LOSSES = 70 };
    writer = world_open_writer("s");
    const struct shmframe_reader_params params = {
        .stream = "s", .policy = SHMFRAME_IN_ORDER, .depth = 1};
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader), 0);
    for (uint64_t i = 1; i <= LOSSES; i++) { /* of 3 i - 2 to 3 i the first two are lost */
        for (unsigned j = 0; j < 3; j++)
            world_publish(writer, i);
        world_take(reader, 3 * i);
    }
    for (uint64_t i = LOSSES - KEPT + 1; i <= LOSSES; i++) {
        const struct shmframe_reader_event event = world_expect_event(reader, SHMFRAME_LOST);
        ck_assert_uint_eq(event.first, 3 * i - 2);
        ck_assert_uint_eq(event.count, 2);
    }
    struct shmframe_reader_event event;
    ck_assert_int_eq(shmframe_reader_next_event(reader, &event), -EAGAIN);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("waiting");
    TCase *tests = tcase_create("waiting");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, who_waited_for_a_stream_gets_it_from_its_first_frame,
                        SHMFRAME_IN_ORDER, SHMFRAME_LOSSLESS + 1);
    tcase_add_loop_test(tests, a_deadline_that_passes_ends_the_call_and_not_before, 0, CALLS);
    tcase_add_loop_test(tests, who_looks_once_is_told_that_nothing_is_there_yet, CALL_ACQUIRE,
                        CALL_WAIT_READERS);
    tcase_add_loop_test(tests, an_interrupt_from_another_thread_ends_the_call_until_resume, 0,
                        CALLS);
    tcase_add_loop_test(tests, an_interrupt_from_a_signal_handler_ends_the_call_until_resume, 0,
                        CALLS);
    tcase_add_loop_test(tests, a_signal_ends_the_call_once, 0, CALLS);
    tcase_add_test(tests, an_interrupt_keeps_no_frame_back);
    tcase_add_test(tests, an_interrupt_ends_the_wait_for_a_name_that_is_kept_for_its_owner);
    tcase_add_test(tests, who_spins_takes_the_frame_without_a_sleep);
    tcase_add_test(tests, who_spins_keeps_its_deadline);
    tcase_add_test(tests, who_spins_for_ever_does_not_sleep);
    tcase_add_test(tests, upkeep_ends_no_spin);
    tcase_add_test(tests, who_has_spun_for_long_enough_sleeps);
    tcase_add_test(tests, an_interrupt_ends_a_spin);
    tcase_add_test(tests, of_several_readers_each_that_is_ready_is_told);
    tcase_add_test(tests, who_sleeps_on_several_streams_is_woken_by_each);
    tcase_add_test(tests, as_many_readers_as_are_allowed_can_be_waited_for);
    tcase_add_test(tests, readers_of_different_sessions_cannot_be_waited_for_at_once);
    tcase_add_test(tests, the_last_64_events_are_kept);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
