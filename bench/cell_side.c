#include "cell_side.h"

#include "board.h"
#include "cell_look.h"
#include "place.h"
#include "program.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define WARM_NS        40000000
#define WARM_PERIOD_NS 2000000 /* paced: at most */
#define AHEAD_NS       1000000 /* from the meeting to the first message */
enum { WARM_MESSAGES = 24, WARM_MIN = 2, MESSAGES_MIN = 5 };

/* A stretch of messages without a pause: those that warm up, then those that are measured. */
struct phase {
    int64_t period_ns, duration_ns;
    uint32_t least, most; /* messages, whatever the time; most 0: no such limit */
    bool is_measured;
};

struct times {
    int64_t now_ns, processor_ns, user_ns, system_ns;
};

static int64_t to_ns(struct timeval time) {
    return time.tv_sec * INT64_C(1000000000) + time.tv_usec * INT64_C(1000);
}

/* How long its threads were ready to run, and others had the processors. */
static int64_t read_waited_ns(void) {
    int64_t sum_ns = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        char path[sizeof("/proc/self/task//schedstat") + NAME_MAX];
        long long ran_ns, waited_ns;
        snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", task->d_name);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%lld %lld", &ran_ns, &waited_ns) == 2)
            sum_ns += waited_ns;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return sum_ns;
}

static struct times read_times(void) {
    struct rusage usage;
    struct timespec processor;
    getrusage(RUSAGE_SELF, &usage);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &processor);
    return (struct times){
        .now_ns = shmframe_now_ns(),
        .processor_ns = processor.tv_sec * INT64_C(1000000000) + processor.tv_nsec,
        .user_ns = to_ns(usage.ru_utime),
        .system_ns = to_ns(usage.ru_stime),
    };
}

/* The sum is the clock's; getrusage() tells how it divides. */
static void note_times(struct cell_side *result, const struct times *begin) {
    const struct times end = read_times();
    const int64_t processor_ns = end.processor_ns - begin->processor_ns;
    const int64_t user_ns = end.user_ns - begin->user_ns;
    const int64_t system_ns = end.system_ns - begin->system_ns;
    const double share =
        user_ns + system_ns > 0 ? (double)system_ns / (double)(user_ns + system_ns) : 0;
    result->elapsed_ns = end.now_ns - begin->now_ns;
    result->ahead_ns = AHEAD_NS;
    result->system_ns = (int64_t)(share * (double)processor_ns);
    result->user_ns = processor_ns - result->system_ns;
}

/* ---- what lies between the sides ---- */

static void report(struct cell_run *run) {
    const char byte = 0;
    if (write(run->report_fd[1], &byte, 1) != 1)
        program_fail("whoever started this is gone");
}

static void await_go(struct cell_run *run) {
    char byte;
    if (read(run->go_fd[0], &byte, 1) != 1)
        _exit(EXIT_FAILED); /* whoever started this knows why */
}

/* Everybody is there, and begins. */
static void meet(struct cell_run *run) {
    report(run);
    await_go(run);
    pthread_barrier_wait(&run->barrier);
}

/* What strace counts lies between: calls for messages alone. */
static void mark_begin(const struct side *side, const struct phase *phase) {
    if (side->cell.is_traced && phase->is_measured)
        trace_begin();
}

static void mark_end(const struct side *side, const struct phase *phase) {
    if (side->cell.is_traced && phase->is_measured)
        trace_end();
}

/* ---- payloads that are checked ---- */

/* Of a payload's bytes, the eight from `offset` on. */
static uint64_t find_word(uint64_t number, size_t offset) {
    return (number + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ offset * UINT64_C(0xc2b2ae3d27d4eb4f);
}

static void write_content(uint8_t *data, size_t bytes, uint64_t number) {
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        const uint64_t word = find_word(number, i);
        memcpy(data + i, &word, bytes - i < sizeof(word) ? bytes - i : sizeof(word));
    }
}

static void check_content(const uint8_t *data, size_t bytes, uint64_t number) {
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        const uint64_t word = find_word(number, i);
        if (memcmp(data + i, &word, bytes - i < sizeof(word) ? bytes - i : sizeof(word)) != 0)
            program_fail("message %llu is not what was sent, from byte %zu of %zu on",
                         (unsigned long long)number, i, bytes);
    }
}

/* ---- the writer ---- */

static void wait_until(const struct road_plan *plan, int64_t instant_ns) {
    if (plan->spin_ns == INT64_MAX) { /* a processor that went to sleep wakes up slowly */
        while (shmframe_now_ns() < instant_ns)
            ;
        return;
    }
    const struct timespec until = {.tv_sec = instant_ns / 1000000000,
                                   .tv_nsec = instant_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

struct sending {
    const struct side *side;
    const struct phase *phase;
    void *writer;
    int64_t due_ns, end_ns;
    struct cell_side *result;
};

static uint32_t choose_count(const struct sending *sending) {
    const uint64_t left = sending->phase->most - sending->result->messages;
    const uint32_t batch = sending->side->cell.plan.batch;
    return sending->phase->most && left < batch ? (uint32_t)left : batch;
}

static bool is_over(const struct sending *sending, uint64_t sent, int64_t now_ns) {
    const struct phase *phase = sending->phase;
    return (phase->most && sent >= phase->most) ||
           (sent >= phase->least && now_ns >= sending->end_ns);
}

/* Those that go at once; returns whether they were the last. */
static bool send_some(struct sending *sending) {
    const struct cell *cell = &sending->side->cell;
    const struct road *road = cell->plan.road;
    const uint32_t count = choose_count(sending);
    const uint64_t first = sending->result->messages;
    uint8_t *data[ROAD_BATCH_MAX];
    struct parcel parcel[ROAD_BATCH_MAX];
    road->lend(sending->writer, count, data);
    for (uint32_t i = 0; i < count; i++) {
        if (cell->is_checked)
            write_content(data[i], cell->plan.bytes, first + i);
        else if (cell->is_touched)
            payload_fill(data[i], cell->plan.bytes, (uint32_t)(first + i));
    }
    if (sending->phase->period_ns)
        wait_until(&cell->plan, sending->due_ns);
    const int64_t now_ns = shmframe_now_ns();
    const bool is_last = is_over(sending, first + count, now_ns);
    for (uint32_t i = 0; i < count; i++)
        parcel[i] = (struct parcel){.number = first + i, .send_ns = now_ns};
    parcel[count - 1].flags = is_last ? PARCEL_LAST : 0;
    road->send(sending->writer, parcel, count);
    sending->result->messages += count;
    sending->due_ns += sending->phase->period_ns;
    if (sending->phase->period_ns && now_ns > sending->due_ns) {
        sending->due_ns = now_ns; /* what is late delays those after it; none is left out */
        sending->result->late++;
    }
    return is_last;
}

static void write_phase(const struct side *side, const struct phase *phase, void *writer,
                        struct cell_side *result) {
    struct cell_run *run = side->run;
    meet(run);
    const struct times begin = read_times();
    struct sending sending = {
        .side = side,
        .phase = phase,
        .writer = writer,
        .due_ns = begin.now_ns + AHEAD_NS,
        .end_ns = begin.now_ns + AHEAD_NS + phase->duration_ns - phase->period_ns,
        .result = result,
    };
    mark_begin(side, phase);
    while (!send_some(&sending))
        ;
    mark_end(side, phase);
    note_times(result, &begin);
}

/* ---- a reader ---- */

/* xorshift32 */
static uint32_t choose(struct cell_samples *samples) {
    samples->chance ^= samples->chance << 13;
    samples->chance ^= samples->chance >> 17;
    samples->chance ^= samples->chance << 5;
    return samples->chance;
}

static void add_sample(struct cell_samples *samples, int64_t latency_ns) {
    if (samples->left-- > 1)
        return;
    if (samples->count == CELL_SAMPLES) { /* every second one makes room */
        for (uint32_t i = 0; i < CELL_SAMPLES / 2; i++)
            samples->latency_ns[i] = samples->latency_ns[2 * i + 1];
        samples->count /= 2;
        samples->stride *= 2;
    }
    samples->left = 1 + choose(samples) % (2 * samples->stride - 1);
    samples->latency_ns[samples->count++] = latency_ns < 0            ? 0
                                            : latency_ns < UINT32_MAX ? (uint32_t)latency_ns
                                                                      : UINT32_MAX;
}

struct receiving {
    const struct side *side;
    const struct phase *phase;
    uint64_t next; /* number that is due */
    struct cell_side *result;
};

/* Returns whether it was the last. */
static bool look_at(struct receiving *receiving, const struct message *message, int64_t now_ns) {
    const struct side *side = receiving->side;
    const size_t bytes = side->cell.plan.bytes;
    const struct parcel *parcel = &message->parcel;
    if (parcel->number < receiving->next)
        program_fail("message %llu came again, or too late", (unsigned long long)parcel->number);
    receiving->result->lost += parcel->number - receiving->next;
    receiving->next = parcel->number + 1;
    receiving->result->messages++;
    if (receiving->phase->is_measured)
        add_sample(&side->run->samples[side->number], now_ns - parcel->send_ns);
    if (side->cell.is_checked)
        check_content(message->data, bytes, parcel->number);
    else if (side->cell.is_touched)
        payload_sum(message->data, bytes);
    return parcel->flags & PARCEL_LAST;
}

static void read_phase(const struct side *side, const struct phase *phase, void *reader,
                       struct cell_side *result) {
    const struct road_plan *plan = &side->cell.plan;
    struct receiving receiving = {.side = side, .phase = phase, .result = result};
    meet(side->run);
    const struct times begin = read_times();
    mark_begin(side, phase);
    for (bool is_last = false; !is_last;) {
        struct message message[ROAD_BATCH_MAX];
        const uint32_t count = plan->road->receive(reader, plan->batch, message);
        const int64_t now_ns = shmframe_now_ns();
        for (uint32_t i = 0; i < count; i++)
            is_last |= look_at(&receiving, &message[i], now_ns);
        plan->road->release(reader, message, count);
    }
    mark_end(side, phase);
    note_times(result, &begin);
}

/* ---- both ---- */

static void run_phases(const struct side *side, void *opened, struct road_count *count,
                       void (*run_phase)(const struct side *, const struct phase *, void *,
                                         struct cell_side *)) {
    const struct cell *cell = &side->cell;
    const int64_t warm_ns = cell->period_ns < WARM_PERIOD_NS ? cell->period_ns : WARM_PERIOD_NS;
    const struct phase warm = {.period_ns = warm_ns,
                               .duration_ns = WARM_NS,
                               .least = WARM_MIN,
                               .most = cell->is_checked  ? WARM_MIN
                                       : cell->period_ns ? WARM_MESSAGES
                                                         : 0};
    const struct phase measured = {.period_ns = cell->period_ns,
                                   .duration_ns = cell->duration_ns,
                                   .least = cell->messages ? cell->messages : MESSAGES_MIN,
                                   .most = cell->messages,
                                   .is_measured = true};
    struct cell_side unused = {0}, *result = &side->run->side[side->number];
    run_phase(side, &warm, opened, &unused);
    *count = (struct road_count){0};
    const int64_t waited_ns = cell->is_traced ? 0 : read_waited_ns(); /* strace would see it */
    run_phase(side, &measured, opened, result);
    result->waited_ns = cell->is_traced ? 0 : read_waited_ns() - waited_ns;
    result->count = *count;
    /* Everything stays open until it was looked at; and until the others have what was sent. */
    meet(side->run);
}

void side_run(const struct side *side) {
    struct cell_run *run = side->run;
    const struct road *road = side->cell.plan.road;
    struct road_count *count = &(struct road_count){0};
    const bool is_writer = side->number == CELL_WRITER;
    char name[16] = "bench-writer";
    if (!is_writer)
        snprintf(name, sizeof(name), "bench-reader-%u", side->number);
    prctl(PR_SET_NAME, name);
    signal(SIGINT, SIG_IGN);                   /* who started this ends it */
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* strace is no ancestor */
    close(run->report_fd[0]);
    close(run->go_fd[1]);
    place_pin(is_writer ? 0 : place_of_reader(side->number));
    if (is_writer) {
        void *writer = road->writer_open(side->prepared, count);
        run_phases(side, writer, count, write_phase);
        road->writer_close(writer);
        return;
    }
    void *reader = road->reader_open(side->prepared, side->number, count);
    run_phases(side, reader, count, read_phase);
    road->reader_close(reader);
}
