/* Several threads on one writer, one reader, one session. Only the main thread asserts. */
#include "world.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 3, A_THREAD = 1500, CHANGES = 12 };

static struct shmframe_writer *writer;

static void open_threaded(uint32_t loans) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.loans = loans;
    params.flags = SHMFRAME_WRITER_THREADED;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
}

static struct shmframe_reader *open_reader(enum shmframe_policy policy, uint32_t depth,
                                           uint32_t leases) {
    const struct shmframe_reader_params params = {.stream = "s",
                                                  .policy = policy,
                                                  .depth = depth,
                                                  .leases = leases,
                                                  .deadline_ns = world_deadline()};
    struct shmframe_reader *reader = NULL;
    const int code = shmframe_reader_open(world.session, &params, &reader);
    ck_assert_msg(code == 0, "no reader: %s", shmframe_last_error());
    return reader;
}

/* Each frame says how large the slots of its format are. */
static int publish_one(uint64_t *published) {
    struct shmframe_loan loan;
    int code = shmframe_writer_loan(writer, world_deadline(), &loan);
    if (code < 0)
        return code;
    memcpy(loan.data, &loan.format->slot_bytes, sizeof(uint64_t));
    code = shmframe_writer_publish(writer, &loan);
    *published += code == 0;
    return code == -ESTALE ? 0 : code; /* the format was changed meanwhile */
}

struct publisher {
    pthread_t thread;
    int code;
    uint64_t published;
};

static void *publish_some(void *user) {
    struct publisher *publisher = user;
    for (unsigned i = 0; i < A_THREAD && publisher->code == 0; i++)
        publisher->code = publish_one(&publisher->published);
    return NULL;
}

struct taker {
    pthread_t thread;
    struct shmframe_reader *reader;
    int code;
    uint64_t taken, lost, bad;
};

/* Until the end of the stream. */
static void *take_all(void *user) {
    struct taker *taker = user;
    struct shmframe_lease lease;
    while ((taker->code = shmframe_reader_acquire(taker->reader, world_deadline(), &lease)) == 0) {
        taker->taken++;
        taker->lost += lease.lost;
        taker->bad +=
            world_value(&lease) != lease.format->slot_bytes || lease.frame.sequence != taker->taken;
        taker->bad += shmframe_reader_release(taker->reader, &lease) != 0;
    }
    return NULL;
}

static void start_publishers(struct publisher *publishers) {
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&publishers[i].thread, NULL, publish_some, &publishers[i]),
                         0);
}

static uint64_t join_publishers(struct publisher *publishers) {
    uint64_t published = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(publishers[i].thread, NULL), 0);
        ck_assert_int_eq(publishers[i].code, 0);
        published += publishers[i].published;
    }
    return published;
}

static void join_taker(struct taker *taker, uint64_t published) {
    ck_assert_int_eq(pthread_join(taker->thread, NULL), 0);
    ck_assert_int_eq(taker->code, -ENODATA);
    ck_assert_uint_eq(taker->taken, published);
    ck_assert_uint_eq(taker->lost, 0);
    ck_assert_uint_eq(taker->bad, 0);
    shmframe_reader_close(taker->reader);
}

static void change_format(unsigned number) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", number % 2 ? 8 : 4096), 0);
    const int code = shmframe_writer_set_format(writer, &format, world_deadline());
    ck_assert_msg(code == 0, "no change of format (%d): %s", code, shmframe_last_error());
}

START_TEST(the_format_may_be_changed_while_threads_publish) {
    open_threaded(THREADS);
    struct taker taker = {.reader = open_reader(SHMFRAME_LOSSLESS, 4, 1)};
    struct publisher publishers[THREADS] = {0};
    ck_assert_int_eq(pthread_create(&taker.thread, NULL, take_all, &taker), 0);
    start_publishers(publishers);
    for (unsigned i = 0; i < CHANGES; i++)
        change_format(i);
    const uint64_t published = join_publishers(publishers);
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    join_taker(&taker, published);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(threads_may_wait_for_different_lossless_readers) {
    enum { READERS = 2 };
    open_threaded(THREADS);
    struct taker takers[READERS] = {0};
    struct publisher publishers[THREADS] = {0};
    for (unsigned i = 0; i < READERS; i++)
        takers[i].reader = open_reader(SHMFRAME_LOSSLESS, 1 + i, 1);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&takers[i].thread, NULL, take_all, &takers[i]), 0);
    start_publishers(publishers);
    const uint64_t published = join_publishers(publishers);
    ck_assert_uint_eq(published, THREADS * A_THREAD);
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    for (unsigned i = 0; i < READERS; i++)
        join_taker(&takers[i], published);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_thread_that_waits_for_a_reader_goes_on_when_that_one_closes) {
    open_threaded(2);
    struct shmframe_reader *idle = open_reader(SHMFRAME_LOSSLESS, 1, 1);
    struct taker taker = {.reader = open_reader(SHMFRAME_LOSSLESS, 1, 1)};
    struct publisher publishers[THREADS] = {0};
    ck_assert_int_eq(pthread_create(&taker.thread, NULL, take_all, &taker), 0);
    start_publishers(publishers);
    ck_assert_int_eq(shmframe_reader_wait(idle, world_deadline()), 0);
    shmframe_reader_close(idle);
    uint64_t published = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(publishers[i].thread, NULL), 0);
        /* More threads than loans: one may find them all out. */
        ck_assert(publishers[i].code == 0 || publishers[i].code == -EBUSY);
        published += publishers[i].published;
    }
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    join_taker(&taker, published);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- leases that other threads give back ---- */

enum { QUEUE = 8 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct shmframe_lease lease[QUEUE];
    unsigned count, given_back, bad;
    bool is_over;
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *give_back(void *user) {
    for (;;) {
        pthread_mutex_lock(&queue.mutex);
        while (queue.count == 0 && !queue.is_over)
            pthread_cond_wait(&queue.changed, &queue.mutex);
        if (queue.count == 0) {
            pthread_mutex_unlock(&queue.mutex);
            return NULL;
        }
        struct shmframe_lease lease = queue.lease[--queue.count];
        pthread_mutex_unlock(&queue.mutex);
        const bool is_bad = world_value(&lease) != lease.format->slot_bytes;
        const int code = shmframe_reader_release(user, &lease);
        pthread_mutex_lock(&queue.mutex);
        queue.bad += is_bad || code < 0;
        queue.given_back++;
        pthread_cond_broadcast(&queue.changed);
        pthread_mutex_unlock(&queue.mutex);
    }
}

START_TEST(other_threads_may_give_leases_back_while_the_reader_moves_on) {
    enum { FRAMES = 600, A_FORMAT = 20, LEASES = 4 };
    writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(SHMFRAME_LOSSLESS, 4, LEASES);
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, give_back, reader), 0);
    uint64_t published = 0;
    for (unsigned i = 0; i < FRAMES; i++) {
        if (i % A_FORMAT == A_FORMAT - 1)
            change_format(i / A_FORMAT);
        ck_assert_int_eq(publish_one(&published), 0);
        struct shmframe_lease lease;
        pthread_mutex_lock(&queue.mutex);
        while (i - queue.given_back >= LEASES)
            pthread_cond_wait(&queue.changed, &queue.mutex);
        pthread_mutex_unlock(&queue.mutex);
        ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
        ck_assert_uint_eq(lease.frame.sequence, i + 1);
        pthread_mutex_lock(&queue.mutex);
        queue.lease[queue.count++] = lease;
        pthread_cond_broadcast(&queue.changed);
        pthread_mutex_unlock(&queue.mutex);
    }
    pthread_mutex_lock(&queue.mutex);
    queue.is_over = true;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.mutex);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(queue.given_back, FRAMES);
    ck_assert_uint_eq(queue.bad, 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- one session, a thread for each thing ---- */

static atomic_bool is_over;

static void *dispatch(void *user) {
    (void)user;
    while (!atomic_load(&is_over)) {
        struct pollfd poll_session = {.fd = shmframe_session_fd(world.session), .events = POLLIN};
        poll(&poll_session, 1, 10);
        shmframe_session_dispatch(world.session);
    }
    return NULL;
}

enum { REQUESTS = 1000 };

struct asker {
    pthread_t thread;
    unsigned answered;
    int code;
};

/* All of them by one deadline: with many a wake-up lost, each made good only by the next look, they
 * would not be through by then. */
static void *ask_much(void *user) {
    struct asker *asker = user;
    const int64_t deadline_ns = world_deadline();
    struct shmframe_answer answer = {0};
    char verb[SHMFRAME_VERB_BYTES];
    for (unsigned i = 0; i < REQUESTS; i++) {
        snprintf(verb, sizeof(verb), "do-%u", i);
        asker->code =
            shmframe_session_request(world.session, "s", verb, NULL, deadline_ns, &answer);
        if (asker->code < 0)
            return NULL;
        asker->answered += strcmp(answer.text, verb) == 0;
    }
    return NULL;
}

/* Answers, and publishes a frame for each answer, until it is told to end. */
static void serve(void) {
    world.session = world_open_session();
    writer = world_open_writer("s");
    world_tell();
    struct shmframe_writer_event event = {0};
    uint64_t published = 0;
    do {
        while (shmframe_writer_next_event(writer, &event) == -EAGAIN) {
            world_expect_readable(shmframe_session_fd(world.session));
            shmframe_session_dispatch(world.session);
        }
        if (event.type != SHMFRAME_REQUEST)
            continue;
        if (shmframe_writer_answer(writer, event.request, 0, event.verb) < 0 ||
            publish_one(&published) < 0)
            _exit(3);
    } while (strcmp(event.verb, "end") != 0);
    shmframe_writer_close(writer);
    shmframe_session_close(world.session);
}

START_TEST(threads_share_a_session_and_none_misses_its_mail) {
    enum { ASKERS = 2 };
    const pid_t pid = world_fork(serve);
    world_await();
    struct taker taker = {.reader = open_reader(SHMFRAME_LOSSLESS, 4, 1)};
    struct asker askers[ASKERS] = {0};
    pthread_t dispatcher;
    ck_assert_int_eq(pthread_create(&dispatcher, NULL, dispatch, NULL), 0);
    ck_assert_int_eq(pthread_create(&taker.thread, NULL, take_all, &taker), 0);
    for (unsigned i = 0; i < ASKERS; i++)
        ck_assert_int_eq(pthread_create(&askers[i].thread, NULL, ask_much, &askers[i]), 0);
    for (unsigned i = 0; i < ASKERS; i++) {
        ck_assert_int_eq(pthread_join(askers[i].thread, NULL), 0);
        ck_assert_int_eq(askers[i].code, 0);
        ck_assert_uint_eq(askers[i].answered, REQUESTS);
    }
    struct shmframe_answer answer;
    ck_assert_int_eq(
        shmframe_session_request(world.session, "s", "end", NULL, world_deadline(), &answer), 0);
    join_taker(&taker, ASKERS * REQUESTS + 1);
    atomic_store(&is_over, true);
    ck_assert_int_eq(pthread_join(dispatcher, NULL), 0);
    world_join(pid);
}
END_TEST

struct opener {
    pthread_t thread;
    unsigned opened;
    int code; /* of the open that failed, and why */
    char text[256];
};

static void *open_and_close(void *user) {
    struct opener *opener = user;
    const int64_t deadline_ns = world_deadline();
    for (unsigned i = 0; i < 200; i++) {
        const struct shmframe_reader_params params = {
            .stream = "s", .policy = SHMFRAME_LATEST, .deadline_ns = deadline_ns};
        struct shmframe_reader *reader;
        opener->code = shmframe_reader_open(world.session, &params, &reader);
        if (opener->code < 0) {
            snprintf(opener->text, sizeof(opener->text), "%s", shmframe_last_error());
            return NULL;
        }
        opener->opened++;
        shmframe_reader_close(reader);
    }
    return NULL;
}

START_TEST(readers_come_and_go_in_threads_while_others_publish_and_change_the_format) {
    enum { OPENERS = 2 };
    open_threaded(THREADS);
    struct taker taker = {.reader = open_reader(SHMFRAME_LOSSLESS, 4, 1)};
    struct opener openers[OPENERS] = {0};
    struct publisher publishers[THREADS] = {0};
    ck_assert_int_eq(pthread_create(&taker.thread, NULL, take_all, &taker), 0);
    for (unsigned i = 0; i < OPENERS; i++)
        ck_assert_int_eq(pthread_create(&openers[i].thread, NULL, open_and_close, &openers[i]), 0);
    start_publishers(publishers);
    for (unsigned i = 0; i < CHANGES; i++)
        change_format(i);
    const uint64_t published = join_publishers(publishers);
    /* Nobody calls the writer now: links that they want are made as they wait for them. */
    for (unsigned i = 0; i < OPENERS; i++) {
        ck_assert_int_eq(pthread_join(openers[i].thread, NULL), 0);
        ck_assert_msg(openers[i].opened == 200, "open %u answers %d: %s", openers[i].opened + 1,
                      openers[i].code, openers[i].text);
    }
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    join_taker(&taker, published);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("threads");
    TCase *tests = tcase_create("threads");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, the_format_may_be_changed_while_threads_publish);
    tcase_add_test(tests, threads_may_wait_for_different_lossless_readers);
    tcase_add_test(tests, a_thread_that_waits_for_a_reader_goes_on_when_that_one_closes);
    tcase_add_test(tests, other_threads_may_give_leases_back_while_the_reader_moves_on);
    tcase_add_test(tests, threads_share_a_session_and_none_misses_its_mail);
    tcase_add_test(tests,
                   readers_come_and_go_in_threads_while_others_publish_and_change_the_format);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
