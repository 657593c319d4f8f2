/* Scenarios: what programs ask the supervisor and each other. */
#include "scenarios.h"

#include "flow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

/* Two sessions, and a reader of the second at a writer of the first. */
static struct pair {
    struct shmframe_session *session, *other;
    struct shmframe_writer *writer;
    struct shmframe_reader *reader;
} pair;

static void open_pair(void) {
    uint64_t published = 0, taken = 0;
    pair.session = flow_session();
    pair.other = flow_session();
    pair.writer = flow_writer(pair.session, flow_stream());
    pair.reader = flow_reader(pair.other, flow_stream());
    for (unsigned i = 0; i < 3; i++) {
        flow_publish(pair.writer, &published);
        flow_take(pair.reader, &taken);
    }
}

static void close_pair(void) {
    sweep_disarm();
    shmframe_reader_close(pair.reader);
    shmframe_writer_close(pair.writer);
    shmframe_session_close(pair.other);
    shmframe_session_close(pair.session);
}

/* ---- lists and records ---- */

static uint32_t find_reader(struct shmframe_session *session) {
    enum { STREAMS = 512 }; /* those of the runs before are still known */
    static struct shmframe_stream_info streams[STREAMS];
    static struct shmframe_reader_info readers[8];
    int count = 0;
    TRY(count = shmframe_session_streams(session, sweep_deadline(), streams, STREAMS));
    unsigned found = 0;
    for (int i = 0; i < count && i < STREAMS; i++)
        found += strcmp(streams[i].name, flow_stream()) == 0 && streams[i].readers == 1;
    MUST(found == 1, "of %d streams %u are the one with a reader", count, found);
    TRY(count = shmframe_session_readers(session, flow_stream(), sweep_deadline(), readers, 8));
    MUST(count == 1, "it has %d readers", count);
    return readers[0].number;
}

static void a_program_lists_and_looks(void) {
    static struct shmframe_flight flights[8];
    static struct shmframe_event events[8];
    static struct shmframe_node_info nodes[8];
    struct shmframe_record *record;
    struct shmframe_reader_counters counters;
    int count = 0;
    open_pair();
    sweep_arm();
    const uint32_t number = find_reader(pair.session);
    TRY(shmframe_record_open(pair.session, flow_stream(), number, sweep_deadline(), &record));
    shmframe_record_counters(record, &counters);
    MUST(counters.delivered == 3, "the record has %d frames", (int)counters.delivered);
    TRY(count = shmframe_record_flights(record, flights, 8));
    MUST(count == 3 && flights[2].sequence == 3, "the record has %d flights", count);
    shmframe_record_close(record);
    TRY(count = shmframe_reader_flights(pair.reader, flights, 8));
    MUST(count == 3, "the reader has %d flights", count);
    TRY(count = shmframe_session_events(pair.session, 0, sweep_deadline(), events, 8));
    MUST(count > 0, "there are no events");
    TRY(count = shmframe_session_nodes(pair.session, sweep_deadline(), nodes, 8));
    MUST(count == 0, "there are %d nodes", count);
    TRY(shmframe_session_evict(pair.session, flow_stream(), number, sweep_deadline()));
    sweep_disarm();
    struct shmframe_lease lease;
    int code;
    while ((code = shmframe_reader_acquire(pair.reader, sweep_deadline(), &lease)) == -EINTR)
        continue;
    MUST(code == -ESTALE, "who was evicted is answered %s", strerrorname_np(-code));
    close_pair();
}

/* ---- requests ---- */

enum { REQUESTS = 3 };

static const char *verbs[REQUESTS] = {"one", "two", "three"};

static void answer(const struct shmframe_writer_event *event) {
    MUST(strcmp(event->argument, "please") == 0, "the argument is '%s'", event->argument);
    TRY(shmframe_writer_answer(pair.writer, event->request, -EDOM, event->verb));
}

/* A request whose answer did not come through is asked again. */
static void take_requests(_Atomic bool *is_over) {
    struct shmframe_writer_event event;
    const int64_t deadline_ns = sweep_deadline();
    while (!atomic_load(is_over)) {
        MUST(shmframe_now_ns() < deadline_ns, "the requests take too long");
        struct pollfd poll_session = {.fd = shmframe_session_fd(pair.session), .events = POLLIN};
        poll(&poll_session, 1, 5);
        TRY(shmframe_session_dispatch(pair.session));
        while (shmframe_writer_next_event(pair.writer, &event) == 0)
            if (event.type == SHMFRAME_REQUEST)
                answer(&event);
    }
}

static void ask(void) {
    struct shmframe_answer answer;
    for (unsigned i = 0; i < REQUESTS; i++) {
        TRY(shmframe_session_request(pair.other, flow_stream(), verbs[i], "please",
                                     sweep_deadline(), &answer));
        MUST(answer.status == -EDOM && strcmp(answer.text, verbs[i]) == 0,
             "'%s' is answered %d, '%s'", verbs[i], answer.status, answer.text);
    }
}

static _Atomic bool is_over;

static void *answer_meanwhile(void *user) {
    (void)user;
    fault_exempt_thread();
    take_requests(&is_over);
    return NULL;
}

static void *ask_meanwhile(void *user) {
    (void)user;
    fault_exempt_thread();
    ask();
    atomic_store(&is_over, true);
    return NULL;
}

static void a_program_asks_a_writer(void) {
    pthread_t thread;
    open_pair();
    atomic_store(&is_over, false);
    MUST(pthread_create(&thread, NULL, answer_meanwhile, NULL) == 0, "no thread");
    sweep_arm();
    ask();
    sweep_disarm();
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    close_pair();
}

static void a_writer_answers(void) {
    pthread_t thread;
    open_pair();
    atomic_store(&is_over, false);
    MUST(pthread_create(&thread, NULL, ask_meanwhile, NULL) == 0, "no thread");
    sweep_arm();
    take_requests(&is_over);
    sweep_disarm();
    pthread_join(thread, NULL);
    close_pair();
}

const struct scenario asking_scenarios[] = {
    {.name = "lists",
     .act = a_program_lists_and_looks,
     .answers = {{"shmframe_record_open", -ENOMEM}, {"shmframe_reader_flights", -ENOMEM}}},
    {.name = "request", .act = a_program_asks_a_writer},
    {.name = "answer", .act = a_writer_answers},
    {0},
};
