/* Writes and reads the stream that is named, in one process, and says what it did: what a trace of
 * it has to show. Without a number it does a few things of every kind; with one, so many frames as
 * fast as it can, once a line comes; with a word behind it the reader
 *
 *   skips   takes one of each 16 frames,
 *   joins   is opened once the line has come,
 *   comes   so, and is closed again before it says what it did,
 *   writes  is none: it writes, says "ready", and in the end dies without an end of its stream,
 *   streams is none: it writes so many streams, of that name and a number,
 *   reads   reads so many frames that others write, and says what it did.
 *
 * Then it waits for the end of its input. */
#include <shmframe/shmframe.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FOREVER_NS INT64_C(20000000000)

static struct shmframe_session *session;
static struct shmframe_writer *writer;

_Noreturn static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, shmframe_last_error());
    exit(1);
}

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void open_writer(const char *stream) {
    struct shmframe_writer_params params = {.stream = stream};
    if (shmframe_format_data(&params.format, "test", 8) < 0 ||
        shmframe_writer_open(session, &params, &writer) < 0)
        fail("no writer");
}

static struct shmframe_reader *join(const char *stream, const char *name,
                                    enum shmframe_policy policy, uint32_t leases) {
    const struct shmframe_reader_params params = {
        .stream = stream, .name = name, .policy = policy, .leases = leases};
    struct shmframe_reader *reader;
    if (shmframe_reader_open(session, &params, &reader) < 0)
        fail("no reader");
    return reader;
}

static void publish(bool takes_time) {
    struct shmframe_loan loan;
    if (shmframe_writer_loan(writer, SHMFRAME_NOW, &loan) < 0)
        fail("no loan");
    loan.frame.bytes = 8;
    if (takes_time)
        nap();
    if (shmframe_writer_publish(writer, &loan) < 0)
        fail("no publication");
}

static struct shmframe_lease acquire(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    if (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) < 0)
        fail("no frame");
    return lease;
}

static void release(struct shmframe_reader *reader, struct shmframe_lease *lease) {
    if (shmframe_reader_release(reader, lease) < 0)
        fail("no release");
}

static void print_flight(const struct shmframe_flight *flight, bool is_first) {
    printf("%s{\"sequence\":%" PRIu64 ",\"capture_ns\":%" PRId64 ",\"publish_ns\":%" PRId64
           ",\"wake_ns\":%" PRId64 ",\"acquire_ns\":%" PRId64 ",\"release_ns\":%" PRId64
           ",\"present_ns\":%" PRId64 "}",
           is_first ? "" : ",", flight->sequence, flight->capture_ns, flight->publish_ns,
           flight->wake_ns, flight->acquire_ns, flight->release_ns, flight->present_ns);
}

static void print_reader(struct shmframe_reader *reader, const char *separator) {
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS];
    struct shmframe_overrun overruns[SHMFRAME_OVERRUNS];
    const int count = shmframe_reader_flights(reader, flights, SHMFRAME_FLIGHTS);
    printf("%s{\"flights\":[", separator);
    for (int i = 0; i < count; i++)
        print_flight(&flights[i], i == 0);
    printf("],\"lost\":[");
    const int lost = shmframe_reader_overruns(reader, overruns, SHMFRAME_OVERRUNS);
    for (int i = 0; i < lost; i++)
        printf("%s{\"first\":%" PRIu64 ",\"count\":%" PRIu64
               ",\"cause\":\"%s\",\"time_ns\":%" PRId64 ",\"woken_ns\":%" PRId64
               ",\"held_ns\":%" PRId64 ",\"away_ns\":%" PRId64 "}",
               i ? "," : "", overruns[i].first, overruns[i].count,
               shmframe_cause_name(overruns[i].cause), overruns[i].time_ns, overruns[i].woken_ns,
               overruns[i].held_ns, overruns[i].away_ns);
    printf("]}");
}

static void await_end(void) {
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

/* Holds that overlap, frames presented at once, later and never, skips, a loss, and a frame that is
 * held for good. */
static void do_things(const char *stream) {
    struct shmframe_reader *in_order = join(stream, "in \"order\"\\", SHMFRAME_IN_ORDER, 3);
    struct shmframe_reader *latest = join(stream, "latest", SHMFRAME_LATEST, 1);
    struct shmframe_lease lease[3], last;
    for (int i = 0; i < 9; i++) {
        publish(i % 2);
        lease[i % 3] = acquire(in_order);
        if (i % 4 == 0)
            shmframe_reader_present(in_order, &lease[i % 3], shmframe_now_ns());
        if (i % 4 == 1)
            shmframe_reader_present(in_order, &lease[i % 3],
                                    shmframe_deadline_ns(INT64_C(2000000)));
        if (i % 3 == 2)
            for (int k = 0; k < 3; k++) {
                nap();
                release(in_order, &lease[k]);
            }
    }
    last = acquire(latest);
    release(latest, &last);
    publish(true);
    lease[0] = acquire(in_order);
    for (int i = 0; i < 10; i++)
        publish(false);
    nap();
    release(in_order, &lease[0]);
    lease[0] = acquire(in_order);
    last = acquire(latest);
    printf("{\"pid\":%d,\"readers\":[", (int)getpid());
    print_reader(in_order, "");
    print_reader(latest, ",");
    puts("]}");
    await_end();
    release(in_order, &lease[0]);
    release(latest, &last);
    shmframe_reader_close(in_order);
    shmframe_reader_close(latest);
}

static bool is_way(const char *way, const char *name) {
    return strcmp(way, name) == 0;
}

static void do_many(const char *stream, int frames, const char *way) {
    enum { EACH = 16 };
    const bool joins = is_way(way, "joins") || is_way(way, "comes"), skips = is_way(way, "skips");
    const enum shmframe_policy policy = skips ? SHMFRAME_LATEST : SHMFRAME_IN_ORDER;
    struct shmframe_reader *reader = joins ? NULL : join(stream, "many", policy, 1);
    puts("ready");
    fflush(stdout);
    getchar();
    if (joins)
        reader = join(stream, "many", policy, 1);
    printf("{\"flights\":[");
    for (int i = 0; i < frames; i++) {
        struct shmframe_flight flight;
        for (int k = 0; k < (skips ? EACH : 1); k++)
            publish(false);
        struct shmframe_lease lease = acquire(reader);
        release(reader, &lease);
        if (shmframe_reader_flights(reader, &flight, 1) != 1)
            fail("no flight");
        print_flight(&flight, i == 0);
    }
    if (is_way(way, "comes"))
        shmframe_reader_close(reader);
    puts("]}");
    await_end();
    if (!is_way(way, "comes"))
        shmframe_reader_close(reader);
}

static void do_write(int frames) {
    puts("ready");
    fflush(stdout);
    getchar();
    for (int i = 0; i < frames; i++)
        publish(true);
    puts("written");
    await_end();
    _exit(0);
}

static void do_streams(const char *stream, int count) {
    enum { EACH = 50 }; /* a session has a limit */
    char name[SHMFRAME_NAME_BYTES];
    for (int i = 0; i < count; i++) {
        if (i % EACH == 0 && shmframe_session_open(NULL, &session) < 0)
            fail("no session");
        snprintf(name, sizeof(name), "%.32s-%03d", stream, i);
        open_writer(name);
    }
    puts("ready");
    await_end();
    _exit(0);
}

static void do_read(const char *stream, int frames) {
    const struct shmframe_reader_params params = {.stream = stream,
                                                  .policy = SHMFRAME_IN_ORDER,
                                                  .depth = 16,
                                                  .deadline_ns = shmframe_deadline_ns(FOREVER_NS)};
    struct shmframe_reader *reader;
    if (shmframe_reader_open(session, &params, &reader) < 0)
        fail("no reader");
    puts("ready");
    fflush(stdout);
    for (int i = 0; i < frames; i++) {
        struct shmframe_lease lease;
        if (shmframe_reader_acquire(reader, shmframe_deadline_ns(FOREVER_NS), &lease) < 0)
            fail("no frame");
        release(reader, &lease);
    }
    print_reader(reader, "");
    puts("");
    await_end();
    shmframe_reader_close(reader);
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    if (shmframe_session_open(NULL, &session) < 0)
        fail("no session");
    const char *way = argc > 3 ? argv[3] : "";
    if (is_way(way, "reads")) {
        do_read(argv[1], atoi(argv[2]));
        shmframe_session_close(session);
        return 0;
    }
    if (is_way(way, "streams"))
        do_streams(argv[1], atoi(argv[2]));
    open_writer(argv[1]);
    if (is_way(way, "writes"))
        do_write(atoi(argv[2]));
    else if (argc > 2)
        do_many(argv[1], atoi(argv[2]), way);
    else
        do_things(argv[1]);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    return 0;
}
