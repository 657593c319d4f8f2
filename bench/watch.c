/* bench-watch: what the supervisor's watch costs with many streams and readers. */
#include "program.h"
#include "report.h"
#include "supervisor.h"

#include <shmframe/shmframe.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { STREAMS_MAX = 64, READERS_MAX = 16 };
#define TURN_NS INT64_C(20000000)
#define OPEN_NS INT64_C(20000000000)

static uint32_t streams = 64, readers = 8, seconds = 10;
static const struct option_spec options[] = {
    {.name = "streams",
     .kind = OPTION_COUNT,
     .out = &streams,
     .argument = "COUNT",
     .help = "1 to 64, the default"},
    {.name = "readers",
     .kind = OPTION_COUNT,
     .out = &readers,
     .argument = "COUNT",
     .help = "of each stream, 1 to 16; default 8"},
    {.name = "seconds",
     .kind = OPTION_COUNT,
     .out = &seconds,
     .argument = "COUNT",
     .help = "that each case lasts; default 10"},
    {0},
};
static const struct program program = {
    .name = "bench-watch",
    .purpose = "Processor time of a supervisor that watches streams of 50 frames a second.",
    .options = options,
};

static struct shmframe_writer *writer[STREAMS_MAX];
static struct shmframe_reader *reader[STREAMS_MAX][READERS_MAX];

static void open_stream(struct shmframe_session *session, uint32_t stream) {
    char name[SHMFRAME_NAME_BYTES];
    snprintf(name, sizeof(name), "watched-%u", stream);
    struct shmframe_writer_params params = {.stream = name,
                                            .deadline_ns = shmframe_deadline_ns(OPEN_NS)};
    if (shmframe_format_data(&params.format, "bench", 64) < 0 ||
        shmframe_writer_open(session, &params, &writer[stream]) < 0)
        program_fail_call("writer");
    for (uint32_t i = 0; i < readers; i++) {
        const struct shmframe_reader_params eye = {.stream = name,
                                                   .policy = SHMFRAME_IN_ORDER,
                                                   .depth = 1,
                                                   .deadline_ns = params.deadline_ns};
        if (shmframe_reader_open(session, &eye, &reader[stream][i]) < 0)
            program_fail_call("reader");
    }
}

/* One frame more than it can keep is a loss for each reader. */
static void turn(uint32_t frames) {
    for (uint32_t stream = 0; stream < streams; stream++) {
        for (uint32_t i = 0; i < frames; i++) {
            struct shmframe_loan loan;
            if (shmframe_writer_loan(writer[stream], SHMFRAME_NOW, &loan) < 0 ||
                shmframe_writer_publish(writer[stream], &loan) < 0)
                program_fail_call("publish");
        }
        for (uint32_t i = 0; i < readers; i++) {
            struct shmframe_lease lease;
            if (shmframe_reader_acquire(reader[stream][i], SHMFRAME_NOW, &lease) < 0 ||
                shmframe_reader_release(reader[stream][i], &lease) < 0)
                program_fail_call("acquire");
        }
    }
}

static int64_t cpu_ns(pid_t pid) {
    clockid_t clock;
    struct timespec spent;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &spent) < 0)
        program_fail("no clock of the supervisor's: %m");
    return (int64_t)spent.tv_sec * 1000000000 + spent.tv_nsec;
}

/* Share of one processor, in parts of a thousand. */
static double measure(struct shmframe_session *session, uint32_t frames) {
    const int64_t begin_ns = shmframe_now_ns(), before_ns = cpu_ns(supervisor_pid());
    int64_t due_ns = begin_ns;
    while (due_ns - begin_ns < seconds * INT64_C(1000000000)) {
        if (frames)
            turn(frames);
        shmframe_session_dispatch(session);
        due_ns += TURN_NS;
        const struct timespec due = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    return 1e3 * (double)(cpu_ns(supervisor_pid()) - before_ns) /
           (double)(shmframe_now_ns() - begin_ns);
}

int main(int argc, char **argv) {
    program_start(&program, argc, argv);
    if (streams < 1 || streams > STREAMS_MAX || readers < 1 || readers > READERS_MAX || seconds < 1)
        program_fail_usage("--streams 1 to %d, --readers 1 to %d, --seconds at least 1",
                           STREAMS_MAX, READERS_MAX);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    supervisor_start();
    struct shmframe_session *session = program_open_session();
    const double alone = measure(session, 0);
    for (uint32_t stream = 0; stream < streams; stream++)
        open_stream(session, stream);
    const double silent = measure(session, 0);
    const double flowing = measure(session, 1);
    const double losing = measure(session, 2);
    report_print_json(json_pack("{s:i, s:i, s:f, s:f, s:f, s:f}", "streams", (int)streams,
                                "readers", (int)(streams * readers), "alone_permille", alone,
                                "silent_permille", silent, "flowing_permille", flowing,
                                "losing_permille", losing));
    return EXIT_DONE;
}
