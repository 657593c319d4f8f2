#include "reading.h"

#include "consumer.h"
#include "reporting.h"
#include "tables.h"
#include "touch.h"

#include <errno.h>
#include <string.h>

struct reading {
    struct measurement *m;
    struct shmframe_reader *reader;
    const char *stream;
    int64_t frame_ns; /* when the last frame was taken, for --deadline */
};

static int64_t find_deadline_ns(const struct reading *reading) {
    const int64_t late_ns = consumer_late_ns(reading->frame_ns);
    const int64_t deadline_ns = measurement_deadline_ns(reading->m);
    return late_ns < deadline_ns ? late_ns : deadline_ns;
}

static void read_frame(struct reading *reading) {
    struct shmframe_lease lease;
    struct measurement *m = reading->m;
    const int result = shmframe_reader_acquire(reading->reader, find_deadline_ns(reading), &lease);
    if (result == 0) {
        reading->frame_ns = lease.acquire_ns;
        if (m->is_touching)
            touch_frame(&lease);
        /* -ESTALE is counted by the library, and shown. */
        shmframe_reader_release(reading->reader, &lease);
    } else if (result == -ENODATA) {
        m->reason = "end of stream";
    } else if (result != -ETIMEDOUT && result != -EAGAIN && result != -EINTR) {
        m->reason = "failure";
        if (result != -ESTALE) /* evicted: an event tells it */
            program_warn("%s cannot be read any more: %s", reading->stream, shmframe_last_error());
    }
    consumer_tell_events(reading->reader, reading->stream);
}

static void look_at_clock(struct reading *reading) {
    measurement_look_at_clock(reading->m);
    if (!reading->m->reason && shmframe_now_ns() >= consumer_late_ns(reading->frame_ns))
        reading->m->reason = "deadline";
}

int reading_run(struct measurement *m, struct shmframe_session *session) {
    struct reading reading = {.m = m, .stream = m->stream[0].stream};
    struct shmframe_reader_params params = consumer_reader_params(reading.stream);
    params.spin_ns = m->spin_ns;
    reading.reader = consumer_open_reader(session, params);
    if (!reading.reader) {
        consumer_tell_stopped("measured");
        return EXIT_FAILED;
    }
    m->stream[0].reader = reading.reader;
    measurement_start(m);
    reading.frame_ns = m->start_ns;
    while (!m->reason) {
        read_frame(&reading);
        if (!m->reason)
            look_at_clock(&reading);
    }
    const bool is_late = strcmp(m->reason, "deadline") == 0;
    const bool has_failed = is_late || strcmp(m->reason, "failure") == 0;
    if (is_late)
        consumer_tell_late(reading.stream);
    const int exit_code = tables_print_total(m);
    reporting_end(m);
    shmframe_reader_close(reading.reader);
    return has_failed ? EXIT_FAILED : exit_code;
}
