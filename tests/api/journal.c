#include "journal.h"

#include <unistd.h>

struct journal journal;

void journal_take_all(void) {
    const int found =
        shmframe_session_events(world.session, 0, SHMFRAME_NOW, journal.event, JOURNAL_EVENTS_MAX);
    ck_assert_msg(found > 0, "no events (%d): %s", found, shmframe_last_error());
    journal.events = (unsigned)found;
    for (unsigned i = 0; i < journal.events; i++)
        ck_assert_uint_eq(journal.event[i].id, journal.event[0].id + i);
}

const struct shmframe_event *journal_find(enum shmframe_event_type type,
                                          enum shmframe_cause cause) {
    journal_take_all();
    for (unsigned i = journal.events; i > 0; i--)
        if (journal.event[i - 1].type == type && journal.event[i - 1].cause == cause)
            return &journal.event[i - 1];
    return NULL;
}

const struct shmframe_event *journal_await(enum shmframe_event_type type,
                                           enum shmframe_cause cause) {
    const int64_t deadline_ns = world_deadline();
    const struct shmframe_event *found;
    while (!(found = journal_find(type, cause))) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "no %s of cause %s",
                      shmframe_event_type_name(type), shmframe_cause_name(cause));
        shmframe_session_events(world.session, journal.event[journal.events - 1].id,
                                shmframe_deadline_ns(100000000), journal.event, 1);
    }
    return found;
}

unsigned journal_count(enum shmframe_event_type type) {
    journal_take_all();
    unsigned found = 0;
    for (unsigned i = 0; i < journal.events; i++)
        found += journal.event[i].type == (uint32_t)type;
    return found;
}

uint64_t journal_sum_lost(void) {
    uint64_t sum = 0;
    journal_take_all();
    for (unsigned i = 0; i < journal.events; i++)
        if (journal.event[i].type == SHMFRAME_JOURNAL_LOSS)
            sum += journal.event[i].count;
    return sum;
}

struct shmframe_reader *journal_open_reader(struct shmframe_session *session,
                                            enum shmframe_policy policy, uint32_t depth) {
    const struct shmframe_reader_params params = {.stream = "s",
                                                  .name = "eye",
                                                  .policy = policy,
                                                  .depth = depth,
                                                  .leases = 2,
                                                  .deadline_ns = world_deadline()};
    struct shmframe_reader *reader = NULL;
    const int code = shmframe_reader_open(session, &params, &reader);
    ck_assert_msg(code == 0, "no reader: %s", shmframe_last_error());
    return reader;
}

void journal_expect_reader(const struct shmframe_event *told) {
    ck_assert_str_eq(told->stream, "s");
    ck_assert_str_eq(told->name, "eye");
    ck_assert_int_eq(told->pid, getpid());
    ck_assert_uint_ne(told->reader, 0);
}

void journal_publish(struct shmframe_writer *writer, unsigned frames) {
    for (unsigned i = 0; i < frames; i++)
        world_publish(writer, i);
}
