#include "watching.h"

#include "consumer.h"
#include "reporting.h"
#include "tables.h"

#include <errno.h>
#include <poll.h>

static bool is_reader_there(const struct measurement *m, struct shmframe_session *session) {
    static struct shmframe_reader_info readers[256];
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(1000000000));
    const int count =
        shmframe_session_readers(session, m->stream[0].stream, deadline_ns, readers, 256);
    if (count == -ENOENT)
        return false;
    if (count < 0 || count > 256) /* not known at this moment: ask again later */
        return true;
    for (int i = 0; i < count; i++)
        if (readers[i].number == m->of)
            return true;
    return false;
}

int watching_run(struct measurement *m, struct shmframe_session *session) {
    enum { LOOK_MS = 100, LOOKS_A_QUESTION = 5 };
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(2000000000));
    struct shmframe_record *record;
    const char *stream = m->stream[0].stream;
    if (shmframe_record_open(session, stream, m->of, deadline_ns, &record) < 0)
        program_fail("reader %u of %s cannot be watched: %s", m->of, stream, shmframe_last_error());
    m->stream[0].record = record;
    measurement_start(m);
    for (unsigned looks = 1; !m->reason; looks++) {
        struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
        poll(&stop, 1, LOOK_MS);
        shmframe_session_dispatch(session);
        measurement_look_at_clock(m);
        if (!m->reason && looks % LOOKS_A_QUESTION == 0 && !is_reader_there(m, session))
            m->reason = "reader left";
    }
    const int exit_code = tables_print_total(m);
    reporting_end(m);
    shmframe_record_close(record);
    return exit_code;
}
