#include "flow.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

char flow_socket[128];
pid_t flow_supervisor;

enum { FRAME_WORDS = 32 };

struct shmframe_session *flow_session(void) {
    const struct shmframe_session_params params = {
        .socket = flow_socket, .name = "faults", .deadline_ns = sweep_deadline()};
    struct shmframe_session *session;
    DO(shmframe_session_open(&params, &session));
    return session;
}

struct shmframe_writer_params flow_writer_params(const char *stream) {
    struct shmframe_writer_params params = {.stream = stream,
                                            .loans = 2,
                                            .ring_bytes = 1 << 20,
                                            .history = 16,
                                            .deadline_ns = sweep_deadline()};
    DO(shmframe_format_data(&params.format, "faults", FRAME_WORDS * sizeof(uint64_t)));
    return params;
}

struct shmframe_writer *flow_writer(struct shmframe_session *session, const char *stream) {
    const struct shmframe_writer_params params = flow_writer_params(stream);
    struct shmframe_writer *writer;
    DO(shmframe_writer_open(session, &params, &writer));
    return writer;
}

struct shmframe_reader_params flow_reader_params(const char *stream) {
    return (struct shmframe_reader_params){.stream = stream,
                                           .policy = SHMFRAME_IN_ORDER,
                                           .depth = 16,
                                           .deadline_ns = sweep_deadline()};
}

struct shmframe_reader *flow_reader(struct shmframe_session *session, const char *stream) {
    const struct shmframe_reader_params params = flow_reader_params(stream);
    struct shmframe_reader *reader;
    DO(shmframe_reader_open(session, &params, &reader));
    return reader;
}

const char *flow_stream(void) {
    static char name[32];
    snprintf(name, sizeof(name), "run-%d", (int)getpid());
    return name;
}

static uint64_t word_of(uint64_t sequence, unsigned i) {
    return (sequence * 64 + i) * UINT64_C(0x9e3779b97f4a7c15);
}

void flow_fill(struct shmframe_loan *loan, uint64_t sequence) {
    for (unsigned i = 0; i < FRAME_WORDS; i++) {
        const uint64_t word = word_of(sequence, i);
        memcpy(loan->data + i * sizeof(word), &word, sizeof(word));
    }
    loan->frame.pts = (int64_t)sequence;
}

void flow_check(const struct shmframe_lease *lease) {
    for (unsigned i = 0; i < FRAME_WORDS; i++) {
        uint64_t word;
        memcpy(&word, lease->data + i * sizeof(word), sizeof(word));
        MUST(word == word_of((uint64_t)lease->frame.pts, i), "frame %llu of '%s' is torn",
             (unsigned long long)lease->frame.sequence, lease->stream);
    }
}

void flow_publish(struct shmframe_writer *writer, uint64_t *sequence) {
    struct shmframe_loan loan;
    TRY(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan));
    flow_fill(&loan, *sequence + 1);
    TRY(shmframe_writer_publish(writer, &loan));
    MUST(loan.frame.sequence == *sequence + 1, "frame %llu was published instead of %llu",
         (unsigned long long)loan.frame.sequence, (unsigned long long)*sequence + 1);
    ++*sequence;
}

void flow_take(struct shmframe_reader *reader, uint64_t *sequence) {
    struct shmframe_lease lease;
    TRY(shmframe_reader_acquire(reader, sweep_deadline(), &lease));
    MUST(lease.lost == 0, "%llu frames are lost before frame %llu", (unsigned long long)lease.lost,
         (unsigned long long)lease.frame.sequence);
    MUST(lease.frame.sequence == *sequence + 1, "frame %llu came instead of %llu",
         (unsigned long long)lease.frame.sequence, (unsigned long long)*sequence + 1);
    flow_check(&lease);
    ++*sequence;
    TRY(shmframe_reader_release(reader, &lease));
}
