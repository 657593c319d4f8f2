#include "rate.h"

#include "board.h"
#include "place.h"
#include "program.h"
#include "supervisor.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { BYTES = 128, DEPTH = SHMFRAME_DEPTH_MAX, LOANS_MAX = 32, WARM_FRAMES = 20000 };
#define OPEN_NS INT64_C(20000000000)
static const char STREAM[] = "bench-rate";

struct rate {
    const struct rate_plan *plan;
    uint32_t repeats;
    pthread_barrier_t barrier;
    struct rate_result result;
};

static void must(int code, const char *call) {
    if (code < 0)
        program_fail("%s: %s", call, strerror(-code));
}

/* ---- writer ---- */

static uint32_t lend(struct shmframe_writer *writer, struct shmframe_loan *loans, uint32_t count) {
    if (count == 1) {
        must(shmframe_writer_loan(writer, SHMFRAME_FOREVER, loans), "loan");
        return 1;
    }
    const int lent = shmframe_writer_loan_batch(writer, SHMFRAME_FOREVER, loans, count);
    must(lent, "loan");
    return (uint32_t)lent;
}

static void publish(struct shmframe_writer *writer, struct shmframe_loan *loans, uint32_t count) {
    must(count == 1 ? shmframe_writer_publish(writer, loans)
                    : shmframe_writer_publish_batch(writer, loans, count),
         "publish");
}

static void write_frames(const struct rate_plan *plan, struct shmframe_writer *writer,
                         uint32_t frames) {
    struct shmframe_loan loans[LOANS_MAX];
    while (frames) {
        const uint32_t lent = lend(writer, loans, plan->loans < frames ? plan->loans : frames);
        for (uint32_t i = 0; i < lent && plan->is_touched; i++)
            payload_fill(loans[i].data, BYTES, frames - i);
        publish(writer, loans, lent);
        frames -= lent;
    }
}

static void run_writer(void *argument) {
    struct rate *rate = argument;
    const struct rate_plan *plan = rate->plan;
    place_pin(0);
    struct shmframe_session *session = program_open_session();
    struct shmframe_writer_params params = {.stream = STREAM, .loans = plan->loans};
    struct shmframe_writer *writer;
    if (shmframe_format_data(&params.format, "bench", BYTES) < 0 ||
        shmframe_writer_open(session, &params, &writer) < 0 ||
        shmframe_writer_wait_readers(writer, 1, shmframe_deadline_ns(OPEN_NS)) < 0)
        program_fail_call(STREAM);
    pthread_barrier_wait(&rate->barrier);
    write_frames(plan, writer, 1 + WARM_FRAMES);
    for (uint32_t repeat = 0; repeat < rate->repeats; repeat++) {
        pthread_barrier_wait(&rate->barrier);
        write_frames(plan, writer, plan->frames);
    }
    pthread_barrier_wait(&rate->barrier);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    rate->result.waits = counters.waits;
    shmframe_writer_close(writer);
    program_close_session(session);
}

/* ---- reader ---- */

static uint32_t take(const struct rate_plan *plan, struct shmframe_reader *reader) {
    struct shmframe_lease leases[SHMFRAME_LEASES_MAX];
    int taken = 1;
    if (plan->leases == 1)
        must(shmframe_reader_acquire(reader, SHMFRAME_FOREVER, leases), "acquire");
    else
        must(taken = shmframe_reader_acquire_batch(reader, SHMFRAME_FOREVER, leases, plan->leases),
             "acquire");
    for (int i = 0; i < taken && plan->is_touched; i++)
        payload_sum(leases[i].data, BYTES);
    must(plan->leases == 1 ? shmframe_reader_release(reader, leases)
                           : shmframe_reader_release_batch(reader, leases, (uint32_t)taken),
         "release");
    return (uint32_t)taken;
}

static void take_all(const struct rate_plan *plan, struct shmframe_reader *reader, uint32_t count) {
    for (uint32_t taken = 0; taken < count;)
        taken += take(plan, reader);
}

/* From the first frame to the last. */
static double measure(const struct rate_plan *plan, struct shmframe_reader *reader) {
    const uint32_t first = take(plan, reader);
    const int64_t start_ns = shmframe_now_ns();
    take_all(plan, reader, plan->frames - first);
    return (plan->frames - first) * 1e9 / (double)(shmframe_now_ns() - start_ns);
}

static void run_reader(void *argument) {
    struct rate *rate = argument;
    const struct rate_plan *plan = rate->plan;
    place_pin(1);
    struct shmframe_session *session = program_open_session();
    const struct shmframe_reader_params params = {.stream = STREAM,
                                                  .policy = SHMFRAME_LOSSLESS,
                                                  .depth = DEPTH,
                                                  .leases = plan->leases,
                                                  .spin_ns = plan->spin_ns,
                                                  .deadline_ns = shmframe_deadline_ns(OPEN_NS)};
    struct shmframe_reader *reader;
    if (shmframe_reader_open(session, &params, &reader) < 0)
        program_fail_call(STREAM);
    pthread_barrier_wait(&rate->barrier);
    take_all(plan, reader, 1 + WARM_FRAMES);
    for (uint32_t repeat = 0; repeat < rate->repeats; repeat++) {
        pthread_barrier_wait(&rate->barrier);
        rate->result.per_second[repeat] = measure(plan, reader);
    }
    pthread_barrier_wait(&rate->barrier);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    rate->result.frames = counters.delivered;
    rate->result.sleeps = counters.sleeps;
    if (counters.lost_late || counters.skipped)
        program_fail("a lossless reader lost frames");
    shmframe_reader_close(reader);
    program_close_session(session);
}

/* ---- both ---- */

void rate_run(const struct rate_plan *plan, uint32_t repeats, struct rate_result *out_result) {
    struct rate *rate = mmap(NULL, sizeof(*rate), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (rate == MAP_FAILED)
        program_fail("no memory for the result: %m");
    rate->plan = plan;
    rate->repeats = repeats;
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&rate->barrier, &shared, 2);
    pthread_barrierattr_destroy(&shared);
    const pid_t pids[] = {process_start(run_reader, rate), process_start(run_writer, rate)};
    process_join(pids, 2);
    *out_result = rate->result;
    munmap(rate, sizeof(*rate));
}
