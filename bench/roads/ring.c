#include "program.h"
#include "road.h"
#include "supervisor.h"

#include <stdlib.h>

static const char STREAM[] = "bench-road";
#define OPEN_NS INT64_C(30000000000)
#define SPIN_NS 20000
enum { SLOTS_MAX = 250 };

struct ring_writer {
    const struct road_plan *plan;
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    struct shmframe_loan loan[ROAD_BATCH_MAX];
};

struct ring_reader {
    const struct road_plan *plan;
    struct shmframe_session *session;
    struct shmframe_reader *reader;
    struct shmframe_lease lease[ROAD_BATCH_MAX];
    bool is_held[ROAD_BATCH_MAX];
};

static uint32_t find_leases(const struct road_plan *plan) {
    return plan->held < SHMFRAME_LEASES_MAX ? plan->held : SHMFRAME_LEASES_MAX;
}

/* How far a reader may be behind, within the slots that a ring has. */
static uint32_t find_depth(const struct road_plan *plan) {
    const uint32_t room = SLOTS_MAX - plan->batch - plan->readers * find_leases(plan);
    return road_depth(plan, room < SHMFRAME_DEPTH_MAX ? room : SHMFRAME_DEPTH_MAX);
}

static const char *say_why_not(const struct road_plan *plan) {
    return plan->bytes > SHMFRAME_DATA_MAX ? "a datum has at most 1 GiB" : NULL;
}

/* The same supervisor for all runs: until the program ends. */
static void *prepare(const struct road_plan *plan) {
    if (supervisor_pid() <= 0)
        supervisor_start();
    return (void *)(uintptr_t)plan;
}

static void finish(void *prepared) {
    (void)prepared;
}

static uint32_t list_daemons(void *prepared, pid_t *out_pids) {
    (void)prepared;
    *out_pids = supervisor_pid();
    return 1;
}

/* ---- the writer ---- */

static void *open_writer(void *prepared, struct road_count *count) {
    struct ring_writer *writer = calloc(1, sizeof(*writer));
    (void)count;
    if (!writer)
        program_fail("no memory for a writer");
    writer->plan = prepared;
    writer->session = program_open_session();
    struct shmframe_writer_params params = {.stream = STREAM, .loans = writer->plan->batch};
    if (shmframe_format_data(&params.format, "bench", writer->plan->bytes) < 0 ||
        shmframe_writer_open(writer->session, &params, &writer->writer) < 0 ||
        shmframe_writer_wait_readers(writer->writer, writer->plan->readers,
                                     shmframe_deadline_ns(OPEN_NS)) < 0)
        program_fail_call(STREAM);
    return writer;
}

static void close_writer(void *side) {
    struct ring_writer *writer = side;
    shmframe_writer_close(writer->writer);
    program_close_session(writer->session);
    free(writer);
}

static void lend(void *side, uint32_t count, uint8_t **out_data) {
    struct ring_writer *writer = side;
    for (uint32_t lent = 0; lent < count;) {
        const int code = count == 1
                             ? shmframe_writer_loan(writer->writer, SHMFRAME_FOREVER, writer->loan)
                             : shmframe_writer_loan_batch(writer->writer, SHMFRAME_FOREVER,
                                                          &writer->loan[lent], count - lent);
        if (code < 0)
            program_fail_call("loan");
        lent += count == 1 ? 1 : (uint32_t)code;
    }
    for (uint32_t i = 0; i < count; i++)
        out_data[i] = writer->loan[i].data;
}

/* A parcel is what a frame has stamps for: they travel as those of any producer do. */
static void stamp(struct shmframe_frame *frame, const struct parcel *parcel) {
    frame->pts = (int64_t)parcel->number;
    frame->capture_ns = parcel->send_ns;
    frame->duration = parcel->flags;
}

static struct parcel read_stamps(const struct shmframe_frame *frame) {
    return (struct parcel){.number = (uint64_t)frame->pts,
                           .send_ns = frame->capture_ns,
                           .flags = (uint32_t)frame->duration};
}

static void send(void *side, const struct parcel *parcels, uint32_t count) {
    struct ring_writer *writer = side;
    for (uint32_t i = 0; i < count; i++)
        stamp(&writer->loan[i].frame, &parcels[i]);
    const int code = count == 1
                         ? shmframe_writer_publish(writer->writer, &writer->loan[0])
                         : shmframe_writer_publish_batch(writer->writer, writer->loan, count);
    if (code < 0)
        program_fail_call("publish");
}

/* ---- a reader ---- */

static void *open_reader(void *prepared, uint32_t number, struct road_count *count) {
    struct ring_reader *reader = calloc(1, sizeof(*reader));
    (void)number, (void)count;
    if (!reader)
        program_fail("no memory for a reader");
    reader->plan = prepared;
    reader->session = program_open_session();
    const struct shmframe_reader_params params = {
        .stream = STREAM,
        .policy = SHMFRAME_LOSSLESS, /* as all other roads are */
        .depth = find_depth(reader->plan),
        .leases = find_leases(reader->plan),
        .spin_ns = reader->plan->spin_ns,
        .deadline_ns = shmframe_deadline_ns(OPEN_NS),
    };
    if (shmframe_reader_open(reader->session, &params, &reader->reader) < 0)
        program_fail_call(STREAM);
    return reader;
}

static void close_reader(void *side) {
    struct ring_reader *reader = side;
    shmframe_reader_close(reader->reader);
    program_close_session(reader->session);
    free(reader);
}

static void take(struct ring_reader *reader, uint32_t place, struct message *out_message) {
    struct shmframe_lease *lease = &reader->lease[place];
    out_message->parcel = read_stamps(&lease->frame);
    out_message->data = lease->data;
    out_message->handle = lease;
    reader->is_held[place] = true;
}

static uint32_t receive(void *side, uint32_t count, struct message *out_messages) {
    struct ring_reader *reader = side;
    uint32_t place = 0;
    while (reader->is_held[place])
        place++;
    const int taken =
        count == 1
            ? shmframe_reader_acquire(reader->reader, SHMFRAME_FOREVER, &reader->lease[place])
            : shmframe_reader_acquire_batch(reader->reader, SHMFRAME_FOREVER, reader->lease, count);
    if (taken < 0)
        program_fail_call("acquire");
    const uint32_t messages = count == 1 ? 1 : (uint32_t)taken;
    for (uint32_t i = 0; i < messages; i++)
        take(reader, place + i, &out_messages[i]);
    return messages;
}

static void release(void *side, const struct message *messages, uint32_t count) {
    struct ring_reader *reader = side;
    struct shmframe_lease *first = messages[0].handle; /* of a batch: the others follow it */
    for (uint32_t i = 0; i < count; i++)
        reader->is_held[first - reader->lease + i] = false;
    const int code = count == 1 ? shmframe_reader_release(reader->reader, first)
                                : shmframe_reader_release_batch(reader->reader, first, count);
    if (code < 0)
        program_fail_call("release");
}

#define RING_MEMBERS                                                                               \
    .why_not = say_why_not, .prepare = prepare, .finish = finish, .daemons = list_daemons,         \
    .writer_open = open_writer, .lend = lend, .send = send, .writer_close = close_writer,          \
    .reader_open = open_reader, .receive = receive, .release = release,                            \
    .reader_close = close_reader

static_assert(SHMFRAME_LEASES_MAX == 6, "told in a text");
#define POLICY "lossless"
const struct road road_ring = {.name = "ring",
                               .title = "shmframe",
                               .how = POLICY "; a reader sleeps at once when there is nothing",
                               RING_MEMBERS};
const struct road road_ring_spin = {.name = "ring-spin",
                                    .title = "shmframe, spin then sleep",
                                    .how = POLICY "; waits busily for 20 us, then sleeps",
                                    .spin_ns = SPIN_NS,
                                    RING_MEMBERS};
const struct road road_ring_spinning = {.name = "ring-spinning",
                                        .title = "shmframe, spinning",
                                        .how = POLICY "; never sleeps",
                                        .spin_ns = INT64_MAX,
                                        RING_MEMBERS};
const struct road road_ring_batched = {
    .name = "ring-batched",
    .title = "shmframe, batched",
    .how = POLICY "; up to 64 are published at once, up to 6 are taken at once",
    .batch = ROAD_BATCH_MAX,
    RING_MEMBERS};
