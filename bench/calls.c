#include "calls.h"

#include "place.h"
#include "program.h"
#include "supervisor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* In one round; in-order readers can be that far behind. */
enum { BATCH = 128, DEPTH = 160, LINKS_MAX = 32 };
#define OPEN_NS INT64_C(20000000000)

/* Two streams: loan + publish is timed on the one, whose readers want the newest frame only, and
 * acquire + release on the other, whose first reader takes every frame. */
static const char *const PUBLISHED = "bench-publish", *const TAKEN = "bench-take";

struct calls {
    pthread_barrier_t barrier;
    uint32_t links, repeats, rounds;
    bool is_apart;
    double sample_ns[CALLS_KINDS][CALLS_REPEATS_MAX][CALLS_ROUNDS_MAX];
};

static void meet(struct calls *calls) {
    pthread_barrier_wait(&calls->barrier);
}

/* ---- writer ---- */

static struct shmframe_writer *open_writer(struct shmframe_session *session, const char *stream,
                                           uint32_t links) {
    struct shmframe_writer_params params = {.stream = stream};
    struct shmframe_writer *writer;
    if (shmframe_format_data(&params.format, "bench", 128) < 0 ||
        shmframe_writer_open(session, &params, &writer) < 0 ||
        shmframe_writer_wait_readers(writer, links, shmframe_deadline_ns(OPEN_NS)) < 0)
        program_fail_call(stream);
    return writer;
}

static void publish_one(struct shmframe_writer *writer) {
    struct shmframe_loan loan;
    if (shmframe_writer_loan(writer, SHMFRAME_NOW, &loan) < 0 ||
        shmframe_writer_publish(writer, &loan) < 0)
        program_fail_call("loan and publish");
}

static double time_publish(struct shmframe_writer *writer) {
    const int64_t start_ns = shmframe_now_ns();
    for (int i = 0; i < BATCH; i++)
        publish_one(writer);
    return (double)(shmframe_now_ns() - start_ns) / BATCH;
}

static double time_clock(void) {
    const int64_t start_ns = shmframe_now_ns();
    for (int i = 0; i < BATCH; i++)
        shmframe_now_ns();
    return (double)(shmframe_now_ns() - start_ns) / (BATCH + 1);
}

static void run_writer(void *argument) {
    struct calls *calls = argument;
    place_pin(0);
    struct shmframe_session *session = program_open_session();
    struct shmframe_writer *published = open_writer(session, PUBLISHED, calls->links);
    struct shmframe_writer *taken = open_writer(session, TAKEN, calls->links);
    struct shmframe_writer_counters before, after;
    /* The slots that the readers' grants add get their memory before anything is timed. */
    for (int i = 0; i < 4 * DEPTH; i++)
        time_publish(published);
    shmframe_writer_counters(published, &before);
    meet(calls);
    /* A reader that came mid-stream begins with the newest frame: that is this one. */
    publish_one(taken);
    meet(calls);
    meet(calls);
    for (uint32_t repeat = 0; repeat < calls->repeats; repeat++)
        for (uint32_t round = 0; round < calls->rounds; round++) {
            calls->sample_ns[CALLS_CLOCK][repeat][round] = time_clock();
            calls->sample_ns[CALLS_PUBLISH][repeat][round] = time_publish(published);
            time_publish(taken);
            meet(calls); /* the reader's turn */
            meet(calls);
        }
    shmframe_writer_counters(published, &after);
    if (after.bells_rung != before.bells_rung)
        program_fail("a reader slept that should not");
    shmframe_writer_close(taken);
    shmframe_writer_close(published);
    program_close_session(session);
}

/* ---- reader ---- */

static void take_one(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    const int code = shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease);
    if (code < 0)
        program_fail("acquire: %s", strerror(-code));
    if (shmframe_reader_release(reader, &lease) < 0)
        program_fail_call("release");
}

static double time_acquire(struct shmframe_reader *reader) {
    const int64_t start_ns = shmframe_now_ns();
    for (int i = 0; i < BATCH; i++)
        take_one(reader);
    return (double)(shmframe_now_ns() - start_ns) / BATCH;
}

static struct shmframe_reader *open_reader(struct shmframe_session *session, const char *stream,
                                           enum shmframe_policy policy) {
    const struct shmframe_reader_params params = {
        .stream = stream,
        .policy = policy,
        .depth = policy == SHMFRAME_LATEST ? 0 : DEPTH,
        .deadline_ns = shmframe_deadline_ns(OPEN_NS),
    };
    struct shmframe_reader *reader;
    if (shmframe_reader_open(session, &params, &reader) < 0)
        program_fail_call(stream);
    return reader;
}

static void run_reader(void *argument) {
    struct calls *calls = argument;
    place_pin(calls->is_apart ? 1 : 0);
    struct shmframe_session *session = program_open_session();
    struct shmframe_reader *published[LINKS_MAX], *taken[LINKS_MAX];
    for (uint32_t i = 0; i < calls->links; i++)
        published[i] = open_reader(session, PUBLISHED, SHMFRAME_LATEST);
    for (uint32_t i = 0; i < calls->links; i++)
        taken[i] = open_reader(session, TAKEN, i == 0 ? SHMFRAME_IN_ORDER : SHMFRAME_LATEST);
    meet(calls);
    meet(calls); /* one is published */
    take_one(taken[0]);
    meet(calls);
    for (uint32_t repeat = 0; repeat < calls->repeats; repeat++)
        for (uint32_t round = 0; round < calls->rounds; round++) {
            meet(calls);
            calls->sample_ns[CALLS_ACQUIRE][repeat][round] = time_acquire(taken[0]);
            meet(calls);
        }
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(taken[0], &counters);
    const uint64_t wanted = 1 + (uint64_t)calls->repeats * calls->rounds * BATCH;
    if (counters.lost_late || counters.delivered != wanted)
        program_fail("the reader got %llu frames and lost %llu",
                     (unsigned long long)counters.delivered,
                     (unsigned long long)counters.lost_late);
    for (uint32_t i = 0; i < calls->links; i++) {
        shmframe_reader_close(published[i]);
        shmframe_reader_close(taken[i]);
    }
    program_close_session(session);
}

/* ---- both ---- */

static int compare(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

void calls_run(uint32_t links, bool is_apart, uint32_t repeats, uint32_t rounds,
               struct calls_result *out_result) {
    struct calls *calls = mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (calls == MAP_FAILED)
        program_fail("no memory for the samples: %m");
    calls->links = links;
    calls->repeats = repeats;
    calls->rounds = rounds;
    calls->is_apart = is_apart;
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&calls->barrier, &shared, 2);
    pthread_barrierattr_destroy(&shared);
    const pid_t pids[] = {process_start(run_reader, calls), process_start(run_writer, calls)};
    process_join(pids, 2);
    for (unsigned kind = 0; kind < CALLS_KINDS; kind++)
        for (uint32_t repeat = 0; repeat < repeats; repeat++) {
            qsort(calls->sample_ns[kind][repeat], rounds, sizeof(double), compare);
            out_result->median_ns[kind][repeat] = calls->sample_ns[kind][repeat][rounds / 2];
        }
    munmap(calls, sizeof(*calls));
}
