/* bench-frames: frames with marks around what is to be looked at from outside. bench/syscalls runs
 * it under strace, bench/memory looks at its memory. The process itself is the side in question;
 * the other side is its children. */
#include "board.h"
#include "place.h"
#include "program.h"
#include "report.h"
#include "supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char STREAM[] = "bench-frames";
#define OPEN_NS INT64_C(20000000000)
#define LOOK_NS 100000
enum { BATCH = 32, DEPTH = 64, PICTURES = 32 };

static uint32_t frames = 1000, readers = 0;
static const struct option_spec options[] = {
    {.name = "frames",
     .kind = OPTION_COUNT,
     .out = &frames,
     .argument = "COUNT",
     .help = "how many; default 1000"},
    {.name = "readers",
     .kind = OPTION_COUNT,
     .out = &readers,
     .argument = "COUNT",
     .help = "publish: how many sleep, default 0; hold: how many hold a frame, default 1"},
    {0},
};
static const struct program program = {
    .name = "bench-frames",
    .purpose = "Frames whose cost bench/syscalls and bench/memory look at from outside.",
    .operands = "publish|acquire|hold",
    .options = options,
};

/* What parent and children share. */
struct count {
    alignas(64) _Atomic uint32_t published, taken[BOARD_READERS_MAX];
};
static struct count *count;

/* A system call that does nothing and that strace shows: what lies between is counted. */
static void mark(const char *name) {
    (void)!access(name, F_OK);
}

static void pause_short(void) {
    nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

static void await_count(const _Atomic uint32_t *word, uint32_t value) {
    while (atomic_load_explicit(word, memory_order_acquire) < value)
        pause_short();
}

/* As /proc tells: not running and not about to. */
static void await_sleep(pid_t pid) {
    char path[64], line[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    for (;;) {
        FILE *file = fopen(path, "re");
        if (!file || !fgets(line, sizeof(line), file))
            program_fail("a reader is gone");
        fclose(file);
        const char *end = strrchr(line, ')');
        if (end && end[2] == 'S')
            return;
        pause_short();
    }
}

/* ---- both sides ---- */

static struct shmframe_writer *open_writer(struct shmframe_session *session,
                                           const struct shmframe_format *format,
                                           uint32_t waited_for) {
    const struct shmframe_writer_params params = {.stream = STREAM, .format = *format};
    struct shmframe_writer *writer;
    if (shmframe_writer_open(session, &params, &writer) < 0 ||
        shmframe_writer_wait_readers(writer, waited_for, shmframe_deadline_ns(OPEN_NS)) < 0)
        program_fail_call(STREAM);
    return writer;
}

static struct shmframe_reader *open_reader(struct shmframe_session *session,
                                           enum shmframe_policy policy) {
    const struct shmframe_reader_params params = {.stream = STREAM,
                                                  .policy = policy,
                                                  .depth = policy == SHMFRAME_LATEST ? 0 : DEPTH,
                                                  .deadline_ns = shmframe_deadline_ns(OPEN_NS)};
    struct shmframe_reader *reader;
    if (shmframe_reader_open(session, &params, &reader) < 0)
        program_fail_call(STREAM);
    return reader;
}

static void publish_one(struct shmframe_writer *writer) {
    struct shmframe_loan loan;
    if (shmframe_writer_loan(writer, SHMFRAME_NOW, &loan) < 0 ||
        shmframe_writer_publish(writer, &loan) < 0)
        program_fail_call("loan and publish");
}

static void take_one(struct shmframe_reader *reader, int64_t deadline_ns) {
    struct shmframe_lease lease;
    const int code = shmframe_reader_acquire(reader, deadline_ns, &lease);
    if (code < 0)
        program_fail("acquire: %s", strerror(-code));
    if (shmframe_reader_release(reader, &lease) < 0)
        program_fail_call("release");
}

static void make_datum(struct shmframe_format *out_format) {
    if (shmframe_format_data(out_format, "bench", 4096) < 0)
        program_fail_call("format");
}

/* ---- publish: the writer, with readers that sleep ---- */

static void read_all_frames(void *argument) {
    const uint32_t number = (uint32_t)(uintptr_t)argument;
    struct shmframe_session *session = program_open_session();
    struct shmframe_reader *reader = open_reader(session, SHMFRAME_LATEST);
    int code = 0;
    for (uint32_t frame = 1; code == 0; frame++) {
        struct shmframe_lease lease;
        code = shmframe_reader_acquire(reader, SHMFRAME_FOREVER, &lease);
        if (code == 0)
            code = shmframe_reader_release(reader, &lease);
        if (code == 0)
            atomic_store_explicit(&count->taken[number], frame, memory_order_release);
    }
    if (code != -ENODATA)
        program_fail("the stream did not end: %s", strerror(-code));
    shmframe_reader_close(reader);
    program_close_session(session);
}

/* Every reader is done with `frame` frames and asleep. */
static void await_sleepers(const pid_t *pids, uint32_t frame) {
    for (uint32_t i = 0; i < readers; i++) {
        await_count(&count->taken[i], frame);
        await_sleep(pids[i]);
    }
}

/* Frames until the writer has backed with memory what its new readers add: one slot for each beside
 * loan and history. Returns how many. */
static uint32_t settle(struct shmframe_writer *writer, const pid_t *pids) {
    struct shmframe_writer_counters counters;
    uint32_t frame = 0;
    do {
        await_sleepers(pids, frame);
        publish_one(writer);
        frame++;
        shmframe_writer_counters(writer, &counters);
    } while (counters.slots_used < 2 + readers);
    return frame;
}

static json_t *publish(void) {
    pid_t pids[BOARD_READERS_MAX];
    for (uint32_t i = 0; i < readers; i++)
        pids[i] = process_start(read_all_frames, (void *)(uintptr_t)i);
    struct shmframe_session *session = program_open_session();
    struct shmframe_format format;
    make_datum(&format);
    struct shmframe_writer *writer = open_writer(session, &format, readers);
    struct shmframe_writer_counters before, after;
    const uint32_t first = settle(writer, pids);
    shmframe_writer_counters(writer, &before);
    const int64_t start_ns = shmframe_now_ns();
    for (uint32_t frame = first; frame < first + frames; frame++) {
        await_sleepers(pids, frame);
        mark("/bench/begin");
        publish_one(writer);
        mark("/bench/end");
    }
    const int64_t seconds = (shmframe_now_ns() - start_ns) / 1000000000 + 1;
    shmframe_writer_counters(writer, &after);
    await_sleepers(pids, first + frames);
    shmframe_writer_close(writer);
    process_join(pids, readers);
    program_close_session(session);
    return json_pack("{s:I, s:I}", "rings", (json_int_t)(after.bells_rung - before.bells_rung),
                     "seconds", (json_int_t)seconds);
}

/* ---- acquire: a reader for whom frames wait ---- */

static void write_batches(void *argument) {
    (void)argument;
    struct shmframe_session *session = program_open_session();
    struct shmframe_format format;
    make_datum(&format);
    struct shmframe_writer *writer = open_writer(session, &format, 1);
    /* A reader that came mid-stream begins with the newest frame: that is this one. */
    publish_one(writer);
    for (uint32_t frame = 0; frame < frames;) {
        await_count(&count->taken[0], frame + 1);
        for (uint32_t i = 0; i < BATCH && frame < frames; i++, frame++)
            publish_one(writer);
        atomic_store_explicit(&count->published, frame, memory_order_release);
    }
    await_count(&count->taken[0], frames + 1);
    shmframe_writer_close(writer);
    program_close_session(session);
}

static json_t *acquire(void) {
    const pid_t pid = process_start(write_batches, NULL);
    struct shmframe_session *session = program_open_session();
    struct shmframe_reader *reader = open_reader(session, SHMFRAME_IN_ORDER);
    take_one(reader, SHMFRAME_FOREVER);
    atomic_store_explicit(&count->taken[0], 1, memory_order_release);
    const int64_t start_ns = shmframe_now_ns();
    for (uint32_t frame = 0; frame < frames;) {
        const uint32_t end = frame + BATCH < frames ? frame + BATCH : frames;
        await_count(&count->published, end);
        mark("/bench/begin");
        for (; frame < end; frame++)
            take_one(reader, SHMFRAME_NOW);
        mark("/bench/end");
        atomic_store_explicit(&count->taken[0], frame + 1, memory_order_release);
    }
    const int64_t seconds = (shmframe_now_ns() - start_ns) / 1000000000 + 1;
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    shmframe_reader_close(reader);
    process_join(&pid, 1);
    program_close_session(session);
    return json_pack("{s:I, s:I}", "lost", (json_int_t)counters.lost_late, "seconds",
                     (json_int_t)seconds);
}

/* ---- hold: a picture stream whose readers hold a frame each ---- */

static void hold_one(void *argument) {
    const uint32_t number = (uint32_t)(uintptr_t)argument;
    struct shmframe_session *session = program_open_session();
    struct shmframe_reader *reader = open_reader(session, SHMFRAME_LATEST);
    struct shmframe_lease lease;
    /* Each its own: frame number + 1. */
    do {
        if (shmframe_reader_acquire(reader, SHMFRAME_FOREVER, &lease) < 0)
            program_fail_call("acquire");
        if (lease.frame.sequence > number)
            break;
    } while (shmframe_reader_release(reader, &lease) == 0);
    payload_sum(lease.data, lease.format->slot_bytes);
    atomic_store_explicit(&count->taken[number], 1, memory_order_release);
    for (;;)
        pause();
}

static json_t *hold(void) {
    pid_t pids[BOARD_READERS_MAX];
    const uint32_t holders = readers ? readers : 1;
    json_t *members = json_pack("[i, i]", getpid(), supervisor_pid());
    for (uint32_t i = 0; i < holders; i++) {
        pids[i] = process_start(hold_one, (void *)(uintptr_t)i);
        json_array_append_new(members, json_integer(pids[i]));
    }
    struct shmframe_session *session = program_open_session();
    struct shmframe_format format;
    if (shmframe_format_video(&format, "yuv420p", 1920, 1080) < 0 ||
        shmframe_format_complete(&format) < 0)
        program_fail_call("format");
    struct shmframe_writer *writer = open_writer(session, &format, holders);
    /* One frame for each to hold, then enough for every slot to have been used that ever will. */
    for (uint32_t frame = 0; frame < holders + PICTURES; frame++) {
        struct shmframe_loan loan;
        if (shmframe_writer_loan(writer, SHMFRAME_NOW, &loan) < 0)
            program_fail_call("loan");
        payload_fill(loan.data, format.slot_bytes, frame);
        if (shmframe_writer_publish(writer, &loan) < 0)
            program_fail_call("publish");
        if (frame < holders)
            await_count(&count->taken[frame], 1);
    }
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    report_print_json(json_pack("{s:o, s:I, s:I}", "pids", members, "slot_bytes",
                                (json_int_t)format.slot_bytes, "slots_used",
                                (json_int_t)counters.slots_used));
    fflush(stdout);
    /* Until whoever looks has seen enough. */
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    exit(EXIT_DONE); /* children die with us */
}

int main(int argc, char **argv) {
    const int operand = program_start(&program, argc, argv);
    static const struct {
        const char *name;
        json_t *(*run)(void);
    } modes[] = {{"publish", publish}, {"acquire", acquire}, {"hold", hold}};
    if (readers > BOARD_READERS_MAX)
        program_fail_usage("--readers: at most %d", BOARD_READERS_MAX);
    if (frames == 0)
        program_fail_usage("--frames: at least 1");
    count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (count == MAP_FAILED)
        program_fail("no memory: %m");
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (operand + 1 == argc && strcmp(argv[operand], modes[i].name) == 0) {
            supervisor_start();
            report_print_json(modes[i].run());
            return EXIT_DONE;
        }
    program_fail_usage("publish, acquire or hold is to be named");
}
