#include "measurement.h"

#include "consumer.h"
#include "reporting.h"
#include "tables.h"

void measurement_start(struct measurement *m) {
    m->start_ns = m->interval_start_ns = shmframe_now_ns();
    m->end_ns = consumer_end_ns();
    m->next_ns = m->interval_ns > 0 ? shmframe_deadline_ns(m->interval_ns) : SHMFRAME_FOREVER;
    for (uint32_t i = 0; i < m->streams; i++)
        measured_begin(&m->stream[i]);
    reporting_start(m);
}

void measurement_look_at_clock(struct measurement *m) {
    const int64_t now_ns = shmframe_now_ns();
    reporting_look(now_ns);
    if (now_ns >= m->next_ns) {
        tables_print_interval(m, now_ns);
        /* From now, not from when it was due: a stopped program does not catch up. */
        m->next_ns = shmframe_deadline_ns(m->interval_ns);
    }
    if (program_is_stopping())
        m->reason = "signal";
    else if (now_ns >= m->end_ns)
        m->reason = "duration";
    else if (consumer_has_enough(measured_frames(&m->stream[0])))
        m->reason = "frames";
}

int64_t measurement_deadline_ns(const struct measurement *m) {
    return m->next_ns < m->end_ns ? m->next_ns : m->end_ns;
}
