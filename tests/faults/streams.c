/* Scenarios: sessions, writers and readers, as long as the supervisor stays. */
#include "scenarios.h"

#include "flow.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void publish_unseen(struct shmframe_writer *writer, uint64_t *sequence, unsigned count) {
    sweep_disarm();
    for (unsigned i = 0; i < count; i++)
        flow_publish(writer, sequence);
    sweep_arm();
}

/* ---- sessions ---- */

static void a_session_opens_and_closes(void) {
    const struct shmframe_session_params params = {
        .socket = flow_socket, .name = "faults", .deadline_ns = sweep_deadline()};
    struct shmframe_session *session;
    sweep_arm();
    TRY(shmframe_session_open(&params, &session));
    TRY(shmframe_session_dispatch(session));
    MUST(shmframe_session_is_connected(session), "the session is not connected");
    sweep_disarm();
    struct shmframe_session *other = flow_session();
    struct shmframe_writer *writer = flow_writer(session, flow_stream());
    DO(shmframe_session_dispatch(session));
    struct shmframe_reader *reader = flow_reader(other, flow_stream());
    struct pollfd poll_session = {.fd = shmframe_session_fd(session), .events = POLLIN};
    MUST(poll(&poll_session, 1, 5000) == 1, "the session's descriptor does not tell of mail");
    shmframe_reader_close(reader);
    shmframe_session_close(other);
    shmframe_writer_close(writer);
    sweep_arm();
    shmframe_session_close(session);
}

/* ---- writers ---- */

static void a_writer_opens_and_closes(void) {
    struct shmframe_session *session = flow_session();
    const struct shmframe_writer_params params = flow_writer_params(flow_stream());
    struct shmframe_writer *writer;
    uint64_t sequence = 0;
    sweep_arm();
    TRY(shmframe_writer_open(session, &params, &writer));
    for (unsigned i = 0; i < 3; i++)
        flow_publish(writer, &sequence);
    TRY(shmframe_writer_end(writer));
    shmframe_writer_close(writer);
    shmframe_session_close(session);
}

/* A stream of a crashed opening is free again, and its readers get on. */
static void a_writer_opens_for_who_waits(void) {
    struct shmframe_session *session = flow_session(), *other = flow_session();
    const struct shmframe_writer_params params = flow_writer_params(flow_stream());
    struct shmframe_writer *writer;
    uint64_t published = 0, taken = 0;
    sweep_arm();
    TRY(shmframe_writer_open(session, &params, &writer));
    sweep_disarm();
    struct shmframe_reader *reader = flow_reader(other, flow_stream());
    sweep_arm();
    for (unsigned i = 0; i < 3; i++) {
        flow_publish(writer, &published);
        sweep_disarm();
        flow_take(reader, &taken);
        sweep_arm();
    }
    shmframe_writer_close(writer);
    sweep_disarm();
    shmframe_reader_close(reader);
    shmframe_session_close(other);
    shmframe_session_close(session);
}

static void a_writer_changes_its_format(void) {
    struct shmframe_session *session = flow_session(), *other = flow_session();
    struct shmframe_writer *writer = flow_writer(session, flow_stream());
    struct shmframe_reader *reader = flow_reader(other, flow_stream());
    struct shmframe_format wider;
    uint64_t published = 0, taken = 0;
    DO(shmframe_format_data(&wider, "faults", 512));
    sweep_arm();
    for (unsigned i = 0; i < 2; i++)
        flow_publish(writer, &published);
    TRY(shmframe_writer_set_format(writer, &wider, sweep_deadline()));
    for (unsigned i = 0; i < 2; i++)
        flow_publish(writer, &published);
    sweep_disarm();
    DO(shmframe_format_data(&wider, "faults", 768));
    DO(shmframe_writer_set_format(writer, &wider, sweep_deadline()));
    flow_publish(writer, &published);
    while (taken < published)
        flow_take(reader, &taken);
    MUST(shmframe_reader_format(reader)->slot_bytes >= 768, "the reader is not at the newest ring");
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(other);
    shmframe_session_close(session);
}

/* ---- a crowd joins ---- */

enum { CROWD = 10, FRAMES_EACH = 2 };

static struct crowd {
    _Atomic uint32_t wanted; /* frames */
    _Atomic bool is_over;
} crowd;

static void *join_one_by_one(void *user) {
    fault_exempt_thread();
    struct shmframe_session *session = flow_session();
    struct shmframe_reader *reader[CROWD];
    for (unsigned i = 0; i < CROWD; i++)
        reader[i] = flow_reader(session, user);
    uint64_t taken[CROWD] = {0};
    atomic_fetch_add(&crowd.wanted, FRAMES_EACH);
    for (unsigned i = 0; i < CROWD; i++)
        for (unsigned k = 0; k < FRAMES_EACH; k++)
            flow_take(reader[i], &taken[i]);
    for (unsigned i = 0; i < CROWD; i++)
        shmframe_reader_close(reader[i]);
    shmframe_session_close(session);
    atomic_store(&crowd.is_over, true);
    return NULL;
}

struct counts {
    unsigned joined, left;
};

static void count_events(struct shmframe_writer *writer, struct counts *counts) {
    struct shmframe_writer_event event;
    while (shmframe_writer_next_event(writer, &event) == 0) {
        counts->joined += event.type == SHMFRAME_READER_JOINED;
        counts->left += event.type == SHMFRAME_READER_LEFT;
    }
}

static void look_after(struct shmframe_session *session) {
    struct pollfd poll_session = {.fd = shmframe_session_fd(session), .events = POLLIN};
    poll(&poll_session, 1, 5);
    TRY(shmframe_session_dispatch(session));
}

static void readers_join_and_leave(void) {
    struct shmframe_session *session = flow_session();
    struct shmframe_writer *writer = flow_writer(session, flow_stream());
    struct counts counts = {0};
    uint64_t published = 0;
    pthread_t thread;
    crowd = (struct crowd){0};
    MUST(pthread_create(&thread, NULL, join_one_by_one, (void *)flow_stream()) == 0, "no thread");
    sweep_arm();
    const int64_t deadline_ns = sweep_deadline();
    while (!atomic_load(&crowd.is_over) || counts.left < CROWD) {
        MUST(shmframe_now_ns() < deadline_ns, "%u readers joined and %u left, of %d", counts.joined,
             counts.left, CROWD);
        look_after(session);
        if (published < atomic_load(&crowd.wanted))
            flow_publish(writer, &published);
        count_events(writer, &counts);
    }
    pthread_join(thread, NULL);
    MUST(counts.joined == CROWD && counts.left == CROWD, "%u readers joined and %u left, of %d",
         counts.joined, counts.left, CROWD);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
}

/* ---- readers ---- */

static void a_reader_opens_and_closes(void) {
    struct shmframe_session *session = flow_session(), *other = flow_session();
    struct shmframe_writer *writer = flow_writer(other, flow_stream());
    const struct shmframe_reader_params params = flow_reader_params(flow_stream());
    struct shmframe_reader *reader;
    uint64_t published = 0, taken = 0;
    sweep_arm();
    TRY(shmframe_reader_open(session, &params, &reader));
    publish_unseen(writer, &published, 4);
    while (taken < published)
        flow_take(reader, &taken);
    shmframe_reader_close(reader);
    sweep_disarm();
    shmframe_writer_close(writer);
    shmframe_session_close(other);
    shmframe_session_close(session);
}

static struct late {
    _Atomic uint32_t wanted; /* frames */
    _Atomic bool is_over;
} late;

/* Once a reader asks for the stream; then as many frames as are wanted, in their time. */
static void *publish_for_who_waits(void *user) {
    fault_exempt_thread();
    struct shmframe_session *session = flow_session();
    struct shmframe_reader_info info;
    const int64_t deadline_ns = sweep_deadline();
    while (shmframe_session_readers(session, user, sweep_deadline(), &info, 1) <= 0) {
        MUST(shmframe_now_ns() < deadline_ns, "the reader did not ask for its stream");
        poll(NULL, 0, 1);
    }
    struct shmframe_writer *writer = flow_writer(session, user);
    uint64_t published = 0;
    while (!atomic_load(&late.is_over)) {
        DO(shmframe_session_dispatch(session));
        if (published < atomic_load(&late.wanted))
            flow_publish(writer, &published);
        poll(NULL, 0, 1); /* a pace at which the reader sleeps */
    }
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    return NULL;
}

static void a_reader_waits_for_its_stream(void) {
    struct shmframe_session *session = flow_session();
    const struct shmframe_reader_params params = flow_reader_params(flow_stream());
    struct shmframe_reader *reader;
    uint64_t taken = 0;
    pthread_t thread;
    late = (struct late){0};
    MUST(pthread_create(&thread, NULL, publish_for_who_waits, (void *)flow_stream()) == 0,
         "no thread");
    sweep_arm();
    TRY(shmframe_reader_open(session, &params, &reader));
    atomic_store(&late.wanted, 4);
    while (taken < 4)
        flow_take(reader, &taken);
    atomic_store(&late.is_over, true);
    struct shmframe_lease lease;
    int code = -EINTR;
    while (code == -EINTR || code == -EAGAIN)
        code = shmframe_reader_acquire(reader, sweep_deadline(), &lease);
    MUST(code == -ENODATA, "at the end acquire answers %s", strerrorname_np(-code));
    shmframe_reader_close(reader);
    sweep_disarm();
    pthread_join(thread, NULL);
    shmframe_session_close(session);
}

static void a_reader_follows_a_change_of_format(void) {
    struct shmframe_session *session = flow_session(), *other = flow_session();
    struct shmframe_writer *writer = flow_writer(other, flow_stream());
    struct shmframe_reader *reader = flow_reader(session, flow_stream());
    uint64_t published = 0, taken = 0;
    struct shmframe_format format;
    sweep_arm();
    for (uint32_t bytes = 256; bytes <= 1024; bytes += 256) {
        publish_unseen(writer, &published, 2);
        sweep_disarm();
        DO(shmframe_format_data(&format, "faults", bytes + 256));
        DO(shmframe_writer_set_format(writer, &format, sweep_deadline()));
        sweep_arm();
        publish_unseen(writer, &published, 2);
        while (taken < published)
            flow_take(reader, &taken);
    }
    sweep_disarm();
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(other);
    shmframe_session_close(session);
}

/* ---- descriptors to poll ---- */

static void await_readable(struct shmframe_reader *reader) {
    struct pollfd poll_reader = {.fd = shmframe_reader_fd(reader), .events = POLLIN};
    MUST(poll(&poll_reader, 1, 5000) == 1, "the reader's descriptor does not tell of a frame");
}

/* All that is there; -EAGAIN is its end, and arms the descriptor. */
static void take_all(struct shmframe_reader *reader, uint64_t *taken) {
    struct shmframe_lease lease;
    for (unsigned failures = 0;;) {
        const int code = shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease);
        if (code == -EAGAIN)
            return;
        if (code < 0) {
            sweep_judge("shmframe_reader_acquire(SHMFRAME_NOW)", code);
            MUST(++failures == 1, "acquire fails twice");
            continue;
        }
        MUST(lease.frame.sequence == *taken + 1 && lease.lost == 0,
             "frame %llu came instead of %llu", (unsigned long long)lease.frame.sequence,
             (unsigned long long)*taken + 1);
        flow_check(&lease);
        ++*taken;
        TRY(shmframe_reader_release(reader, &lease));
    }
}

static void a_reader_polls_its_descriptor(void) {
    struct shmframe_session *session = flow_session(), *other = flow_session();
    struct shmframe_writer *writer = flow_writer(other, flow_stream());
    struct shmframe_reader *reader = flow_reader(session, flow_stream());
    struct shmframe_format format;
    uint64_t published = 0, taken = 0;
    sweep_arm();
    TRY(shmframe_reader_fd(reader));
    for (unsigned i = 0; i < 6; i++) {
        take_all(reader, &taken);
        sweep_disarm();
        if (i == 2) {
            DO(shmframe_format_data(&format, "faults", 512));
            DO(shmframe_writer_set_format(writer, &format, sweep_deadline()));
        }
        flow_publish(writer, &published);
        sweep_arm();
        while (taken < published) {
            await_readable(reader);
            take_all(reader, &taken);
        }
    }
    sweep_disarm();
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(other);
    shmframe_session_close(session);
}

static void a_writer_wakes_who_polls(void) {
    struct shmframe_session *session = flow_session(), *other = flow_session();
    struct shmframe_writer *writer = flow_writer(session, flow_stream());
    struct shmframe_reader *reader = flow_reader(other, flow_stream());
    uint64_t published = 0, taken = 0;
    DO(shmframe_reader_fd(reader));
    /* Which looks for readers that sleep too long. */
    kill(flow_supervisor, SIGSTOP);
    for (unsigned i = 0; i < 4; i++) {
        take_all(reader, &taken);
        sweep_arm();
        flow_publish(writer, &published);
        sweep_disarm();
        while (taken < published) {
            await_readable(reader);
            take_all(reader, &taken);
        }
    }
    kill(flow_supervisor, SIGCONT);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(other);
    shmframe_session_close(session);
}

/* ---- lossless ---- */

static void *take_slowly(void *user) {
    fault_exempt_thread();
    struct shmframe_session *session = flow_session();
    struct shmframe_reader_params params = flow_reader_params(user);
    params.policy = SHMFRAME_LOSSLESS;
    params.depth = 1;
    struct shmframe_reader *reader;
    uint64_t taken = 0;
    DO(shmframe_reader_open(session, &params, &reader));
    while (taken < 6) {
        poll(NULL, 0, 1); /* the writer is to wait */
        flow_take(reader, &taken);
    }
    shmframe_reader_close(reader);
    shmframe_session_close(session);
    return NULL;
}

static void a_writer_waits_for_a_lossless_reader(void) {
    struct shmframe_session *session = flow_session();
    struct shmframe_writer_params params = flow_writer_params(flow_stream());
    params.history = 1;
    struct shmframe_writer *writer;
    DO(shmframe_writer_open(session, &params, &writer));
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, take_slowly, (void *)flow_stream()) == 0, "no thread");
    sweep_arm();
    TRY(shmframe_writer_wait_readers(writer, 1, sweep_deadline()));
    for (unsigned i = 0; i < 6; i++) {
        struct shmframe_loan loan;
        TRY(shmframe_writer_loan(writer, sweep_deadline(), &loan));
        flow_fill(&loan, i + 1);
        TRY(shmframe_writer_publish(writer, &loan));
    }
    sweep_disarm();
    pthread_join(thread, NULL);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
}

const struct scenario stream_scenarios[] = {
    {.name = "session", .act = a_session_opens_and_closes},
    {.name = "writer", .act = a_writer_opens_and_closes},
    {.name = "writer-read", .act = a_writer_opens_for_who_waits},
    {.name = "writer-format", .act = a_writer_changes_its_format},
    {.name = "writer-joined", .act = readers_join_and_leave},
    {.name = "writer-lossless", .act = a_writer_waits_for_a_lossless_reader},
    {.name = "writer-wakes", .act = a_writer_wakes_who_polls},
    {.name = "reader", .act = a_reader_opens_and_closes},
    {.name = "reader-waits", .act = a_reader_waits_for_its_stream},
    {.name = "reader-format", .act = a_reader_follows_a_change_of_format},
    {.name = "reader-polls", .act = a_reader_polls_its_descriptor},
    {0},
};
