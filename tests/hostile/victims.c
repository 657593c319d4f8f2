#include "victims.h"

#include "board.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../stress/storm/payload.h"

/* Longest that anything honest may take. */
static const int64_t PATIENCE_NS = INT64_C(20000000000);
enum { VISIT_EVERY_NS = 60000000, LOOK_EVERY_NS = 100000000, LISTED_MAX = 64 };

static const char *const streams[VICTIM_STREAMS] = {VICTIM_STREAM, LOSSLESS_STREAM};

static const struct role {
    const char *name, *stream;
    enum shmframe_policy policy;
    uint32_t depth, writer;
} roles[VICTIM_READERS] = {
    {"latest", VICTIM_STREAM, SHMFRAME_LATEST, 0, 0},
    {"in-order", VICTIM_STREAM, SHMFRAME_IN_ORDER, 32, 0},
    {"lossless", LOSSLESS_STREAM, SHMFRAME_LOSSLESS, 4, 1},
};

enum { VISITOR = VICTIM_STREAMS + VICTIM_READERS, OBSERVER, VICTIMS };
static pid_t victim[VICTIMS];

/* ---- writers ---- */

static struct shmframe_session *open_session(const char *name) {
    struct shmframe_session *session;
    const struct shmframe_session_params params = {
        .socket = board->socket, .name = name, .deadline_ns = shmframe_deadline_ns(PATIENCE_NS)};
    const int code = shmframe_session_open(&params, &session);
    if (code == 0)
        return session;
    board_fault("%s cannot open a session: %s", name, shmframe_last_error());
    _exit(1);
}

static void answer_requests(struct shmframe_writer *writer) {
    struct shmframe_writer_event event;
    while (shmframe_writer_next_event(writer, &event) == 0)
        if (event.type == SHMFRAME_REQUEST)
            shmframe_writer_answer(writer, event.request, 0, "yes");
}

static void publish(struct shmframe_writer *writer, unsigned number, uint64_t index) {
    struct shmframe_loan loan;
    const int code = shmframe_writer_loan(writer, shmframe_deadline_ns(PATIENCE_NS), &loan);
    if (code < 0) {
        board_fault("the writer of %s gets no slot: %d", streams[number], code);
        _exit(1);
    }
    struct payload payload = {.stream = number, .index = index, .bytes = VICTIM_BYTES};
    payload_fill(loan.data, &payload);
    shmframe_writer_publish(writer, &loan);
    atomic_fetch_add(&board->writer[number].published, 1);
}

static _Noreturn void write_stream(unsigned number) {
    struct shmframe_session *session = open_session(streams[number]);
    struct shmframe_writer_params params = {.stream = streams[number], .history = 32};
    struct shmframe_writer *writer;
    shmframe_format_data(&params.format, "frames", VICTIM_BYTES);
    const int code = shmframe_writer_open(session, &params, &writer);
    if (code < 0) {
        board_fault("%s cannot be opened: %s", streams[number], shmframe_last_error());
        _exit(1);
    }
    shmframe_writer_set_paced(writer, false);
    /* All of them begin with the first frame; the visitor is the third. */
    if (shmframe_writer_wait_readers(writer, number == 0 ? 3 : 1,
                                     shmframe_deadline_ns(PATIENCE_NS)) < 0)
        board_fault("the readers of %s do not come", streams[number]);
    int64_t next_ns = shmframe_now_ns();
    for (uint64_t index = 0; !atomic_load(&board->is_draining); index++) {
        publish(writer, number, index);
        shmframe_session_dispatch(session);
        answer_requests(writer);
        next_ns += 1000000000 / FRAMES_PER_S;
        const int64_t now_ns = shmframe_now_ns();
        if (next_ns > now_ns)
            board_sleep(next_ns - now_ns);
        else
            next_ns = now_ns; /* the machine was elsewhere */
    }
    shmframe_writer_end(writer);
    while (!atomic_load(&board->is_over)) {
        shmframe_session_dispatch(session);
        board_sleep(5000000);
    }
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    _exit(0);
}

/* ---- readers ---- */

/* Whole, and the frame that it says it is. */
static bool is_whole(const struct shmframe_lease *lease, unsigned writer) {
    struct payload payload;
    if (lease->frame.bytes != VICTIM_BYTES)
        return false;
    memcpy(&payload, lease->data, sizeof(payload));
    return payload.stream == writer && payload.index + 1 == lease->frame.sequence &&
           payload.sum == payload_sum(lease->data, VICTIM_BYTES);
}

static void measure(struct victim_reader *reader, const struct shmframe_lease *lease) {
    const uint32_t row = atomic_load(&board->row), slice = atomic_load(&board->slice);
    const int64_t publish_ns = lease->frame.publish_ns;
    shmframe_histogram_add(&reader->transit[row][slice], lease->acquire_ns - publish_ns);
    if (lease->wake_ns > publish_ns)
        shmframe_histogram_add(&reader->wake[row][slice], lease->wake_ns - publish_ns);
}

static void check_frame(struct victim_reader *reader, const struct role *role,
                        const struct shmframe_lease *lease) {
    const uint64_t sequence = lease->frame.sequence, last = atomic_load(&reader->last);
    if (sequence != last + 1 + lease->lost + lease->skipped)
        board_fault("%s: frame %llu comes after %llu, with %llu told to be lost and %llu skipped",
                    role->name, (unsigned long long)sequence, (unsigned long long)last,
                    (unsigned long long)lease->lost, (unsigned long long)lease->skipped);
    if (lease->lost && role->policy == SHMFRAME_LOSSLESS)
        board_fault("the lossless reader lost %llu frames", (unsigned long long)lease->lost);
    if (!is_whole(lease, role->writer))
        board_fault("%s: frame %llu is torn", role->name, (unsigned long long)sequence);
    atomic_store(&reader->last, sequence);
    atomic_fetch_add(&reader->delivered, 1);
    atomic_fetch_add(&reader->lost, lease->lost);
    atomic_fetch_add(&reader->skipped, lease->skipped);
}

static void read_frames(struct shmframe_reader *reader, unsigned number) {
    const struct role *role = &roles[number];
    for (;;) {
        struct shmframe_lease lease;
        int code = shmframe_reader_acquire(reader, shmframe_deadline_ns(PATIENCE_NS), &lease);
        if (code == -ENODATA)
            return;
        if (code < 0) {
            board_fault("%s: acquire answers %d: %s", role->name, code, shmframe_last_error());
            return;
        }
        measure(&board->reader[number], &lease);
        check_frame(&board->reader[number], role, &lease);
        code = shmframe_reader_release(reader, &lease);
        if (code < 0)
            board_fault("%s: release answers %d", role->name, code);
    }
}

static struct shmframe_reader *open_reader(struct shmframe_session *session, const char *name,
                                           const struct role *role) {
    struct shmframe_reader *reader;
    const struct shmframe_reader_params params = {.stream = role->stream,
                                                  .name = name,
                                                  .policy = role->policy,
                                                  .depth = role->depth,
                                                  .deadline_ns = shmframe_deadline_ns(PATIENCE_NS)};
    const int code = shmframe_reader_open(session, &params, &reader);
    if (code == 0)
        return reader;
    board_fault("%s cannot open %s: %d: %s", name, role->stream, code, shmframe_last_error());
    _exit(1);
}

static _Noreturn void read_stream(unsigned number) {
    const struct role *role = &roles[number];
    struct shmframe_session *session = open_session(role->name);
    struct shmframe_reader *reader = open_reader(session, role->name, role);
    read_frames(reader, number);
    shmframe_reader_close(reader);
    shmframe_session_close(session);
    _exit(0);
}

/* ---- who comes and goes, and who looks on ---- */

static _Noreturn void visit(void) {
    while (!atomic_load(&board->is_leaving)) {
        const int64_t begin_ns = shmframe_now_ns();
        struct shmframe_session *session = open_session("visitor");
        struct shmframe_reader *reader = open_reader(session, "visitor", &roles[0]);
        struct shmframe_lease lease;
        const int code = shmframe_reader_acquire(reader, shmframe_deadline_ns(PATIENCE_NS), &lease);
        if (code == 0 && !is_whole(&lease, 0))
            board_fault("the visitor got a torn frame");
        else if (code < 0 && code != -ENODATA)
            board_fault("the visitor got no frame: %d", code);
        shmframe_reader_close(reader);
        shmframe_session_close(session);
        const int64_t took_ns = shmframe_now_ns() - begin_ns;
        if (took_ns > atomic_load(&board->visit_most_ns))
            atomic_store(&board->visit_most_ns, took_ns);
        atomic_fetch_add(&board->visits, 1);
        board_sleep(VISIT_EVERY_NS);
    }
    _exit(0);
}

/* What `shmframe top` does: everything that anybody says of himself is read. */
static void look_at_record(struct shmframe_session *session, const char *stream, uint32_t number) {
    struct shmframe_record *record;
    if (shmframe_record_open(session, stream, number, shmframe_deadline_ns(PATIENCE_NS), &record) <
        0)
        return; /* it left, or lies */
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS];
    struct shmframe_overrun overruns[SHMFRAME_OVERRUNS];
    struct shmframe_reader_counters counters;
    struct shmframe_reader_state state;
    struct shmframe_histogram histogram;
    shmframe_record_counters(record, &counters);
    shmframe_record_state(record, &state);
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++)
        if (shmframe_record_histogram(record, (enum shmframe_hop)hop, &histogram) == 0)
            shmframe_histogram_quantile_ns(&histogram, 0.99);
    shmframe_record_flights(record, flights, SHMFRAME_FLIGHTS);
    shmframe_record_overruns(record, overruns, SHMFRAME_OVERRUNS);
    shmframe_record_close(record);
    atomic_fetch_add(&board->looks, 1);
}

static _Noreturn void observe(void) {
    struct shmframe_session *session = open_session("observer");
    static struct shmframe_stream_info infos[LISTED_MAX];
    static struct shmframe_reader_info readers[LISTED_MAX];
    while (!atomic_load(&board->is_leaving)) {
        const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
        const int found = shmframe_session_streams(session, deadline_ns, infos, LISTED_MAX);
        if (found < 0)
            board_fault("streams cannot be listed: %d", found);
        for (int i = 0; i < found && i < LISTED_MAX; i++) {
            const int count =
                shmframe_session_readers(session, infos[i].name, deadline_ns, readers, LISTED_MAX);
            for (int k = 0; k < count && k < 8; k++)
                look_at_record(session, infos[i].name, readers[k].number);
        }
        board_sleep(LOOK_EVERY_NS);
    }
    shmframe_session_close(session);
    _exit(0);
}

/* ---- life ---- */

static _Noreturn void act(unsigned number) {
    if (number < VICTIM_STREAMS)
        write_stream(number);
    if (number < VISITOR)
        read_stream(number - VICTIM_STREAMS);
    if (number == VISITOR)
        visit();
    observe();
}

int victims_start(void) {
    const int64_t until_ns = shmframe_now_ns() + PATIENCE_NS;
    /* Readers first: they wait for the stream, and begin with its first frame. */
    for (unsigned i = VICTIMS; i-- > 0;) {
        victim[i] = board_fork();
        if (victim[i] == 0)
            act(i);
    }
    board->victim = victim[0];
    for (unsigned i = 0; i < VICTIM_READERS; i++)
        while (atomic_load(&board->reader[i].delivered) < 5) {
            if (shmframe_now_ns() > until_ns || atomic_load(&board->faults))
                return -ETIMEDOUT;
            board_sleep(5000000);
        }
    return 0;
}

void victims_look(void) {
    for (unsigned i = 0; i < VICTIMS; i++) {
        int status;
        if (victim[i] > 0 && waitpid(victim[i], &status, WNOHANG) == victim[i]) {
            board_fault("victim %u ended with status 0x%x", i, (unsigned)status);
            victim[i] = 0;
        }
    }
}

static void await_end(unsigned number, int64_t until_ns) {
    int status = -1;
    if (victim[number] <= 0)
        return;
    while (waitpid(victim[number], &status, WNOHANG) == 0) {
        if (shmframe_now_ns() > until_ns) {
            board_fault("victim %u does not end", number);
            kill(victim[number], SIGKILL);
            waitpid(victim[number], &status, 0);
            return;
        }
        board_sleep(2000000);
    }
    victim[number] = 0;
    if (status != 0)
        board_fault("victim %u ended with status 0x%x", number, (unsigned)status);
}

static void check_sums(void) {
    for (unsigned i = 0; i < VICTIM_READERS; i++) {
        const struct victim_reader *reader = &board->reader[i];
        const uint64_t got = atomic_load(&reader->delivered) + atomic_load(&reader->lost) +
                             atomic_load(&reader->skipped);
        const uint64_t published = atomic_load(&board->writer[roles[i].writer].published);
        if (got != published)
            board_fault("%s: %llu frames delivered, lost and skipped, %llu were published",
                        roles[i].name, (unsigned long long)got, (unsigned long long)published);
    }
}

void victims_end(void) {
    const int64_t until_ns = shmframe_now_ns() + PATIENCE_NS;
    atomic_store(&board->is_leaving, true);
    for (unsigned i = VISITOR; i < VICTIMS; i++)
        await_end(i, until_ns);
    atomic_store(&board->is_draining, true);
    for (unsigned i = VICTIM_STREAMS; i < VISITOR; i++)
        await_end(i, until_ns);
    atomic_store(&board->is_over, true);
    for (unsigned i = 0; i < VICTIM_STREAMS; i++)
        await_end(i, until_ns);
    if (atomic_load(&board->faults) == 0)
        check_sums();
}
