/* Whether a frame that was waited for came in time, and if not, whether it was the machine. */
#include "reading.h"

/* A sleep of the library takes at most 100 ms: one that nobody ended shows as more than this. */
#define LATE_NS INT64_C(30000000)
/* A reader of a quick stream hears of a new ring, or of a death, so much later, since it listens to
 * its writer alone. */
#define ALONE_NS INT64_C(20000000)
/* A stream flows within this time of its writer's return. */
#define FLOW_NS INT64_C(100000000)

static int64_t max_ns(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Nanoseconds since `from_ns` in which the storm held the reader or its writer. */
static int64_t held_ns(const struct reading *reading, int64_t from_ns) {
    return board_paused_ns(reading->seat, from_ns) + board_paused_ns(reading->writer_seat, from_ns);
}

/* When publish had returned: whoever slept has been woken by then. False: the writer died in it. */
static bool find_return(const struct reading *reading, const struct shmframe_lease *lease,
                        int64_t *out_returned_ns) {
    const uint64_t sequence = lease->frame.sequence;
    const struct log_frame *line = &reading->stream->log[sequence % LOG_FRAMES];
    for (;;) {
        const int64_t returned_ns = atomic_load(&line->returned_ns);
        /* Not a former frame of this number. */
        if (atomic_load(&line->sequence) >= sequence && returned_ns >= lease->frame.publish_ns) {
            *out_returned_ns = returned_ns;
            return true;
        }
        if (atomic_load(&reading->writer_seat->changed_ns) > lease->frame.publish_ns)
            return false;
        peer_sleep(1000000);
    }
}

/* A frame that was waited for, and came late: was it the machine, or was nobody woken? */
static void examine(const struct reading *reading, const struct shmframe_lease *lease,
                    int64_t awake_ns, int64_t late_ns) {
    const int64_t publish_ns = lease->frame.publish_ns;
    const int64_t delay_ns = lease->acquire_ns - publish_ns;
    int64_t from_ns = publish_ns;
    const bool has_returned = find_return(reading, lease, &from_ns);
    if (!has_returned) {
        board_count(TOTAL_KILLED_IN_PUBLISH, 1);
        from_ns = atomic_load(&reading->writer_seat->changed_ns);
        /* It is the supervisor who tells of a death, once it has a processor. */
        if (board_is_disturbed(publish_ns))
            return;
        awake_ns += board_supervisor_awake_ns() - reading->supervisor_awake_ns;
        late_ns += ALONE_NS;
    }
    const int64_t paused_ns =
        board_paused_ns(reading->seat, publish_ns) + board_paused_ns(reading->writer_seat, from_ns);
    const int64_t stalled_ns = board_stalled_ns(publish_ns);
    if (delay_ns - awake_ns - (from_ns - publish_ns) - paused_ns - stalled_ns < late_ns)
        board_count(TOTAL_SLOW_MACHINE, 1);
    else
        board_fault("%s: nobody woke it for frame %llu, which came %lld ms after it was published: "
                    "its writer %s %lld us after that, it waited from %lld us on, was awake "
                    "(or who told of the death) for %lld us, was held for %lld us, processors were "
                    "away for %lld "
                    "us; it woke %lld us after it was published; flags %x, last frame %llu%s",
                    reading->name, (unsigned long long)lease->frame.sequence,
                    (long long)(delay_ns / 1000000), has_returned ? "returned" : "died",
                    (long long)((from_ns - publish_ns) / 1000),
                    (long long)((reading->call_ns - publish_ns) / 1000),
                    (long long)(awake_ns / 1000), (long long)(paused_ns / 1000),
                    (long long)(stalled_ns / 1000),
                    lease->wake_ns ? (long long)((lease->wake_ns - publish_ns) / 1000) : -1LL,
                    lease->flags, (unsigned long long)reading->last,
                    board_is_disturbed(reading->last_ns) ? ", disturbed" : "");
}

static void check_wake(const struct reading *reading, const struct shmframe_lease *lease) {
    if (lease->frame.publish_ns < reading->call_ns)
        return;
    board_count(TOTAL_SLEPT, 1);
    const bool is_new_ring = lease->flags & (SHMFRAME_LEASE_RESTARTED | SHMFRAME_LEASE_NEW_FORMAT);
    if ((is_new_ring || reading->last == 0) && board_is_disturbed(reading->last_ns))
        return; /* its link came late */
    const int64_t late_ns = LATE_NS + (is_new_ring ? ALONE_NS : 0);
    const int64_t delay_ns = lease->acquire_ns - lease->frame.publish_ns;
    if (delay_ns < late_ns)
        return;
    if (lease->wake_ns == 0) {
        board_count(TOTAL_NOT_ASLEEP, 1); /* its last sleep, if any, was over before that */
        return;
    }
    const int64_t awake_ns = board_awake_ns() - reading->awake_ns;
    if (delay_ns - awake_ns < late_ns)
        board_count(TOTAL_SLOW_MACHINE, 1);
    else
        examine(reading, lease, awake_ns, late_ns);
}

/* The first frame of a writer that came back, for a reader that had one of the former. */
static void check_flow(const struct reading *reading, const struct shmframe_lease *lease,
                       const struct payload *payload) {
    const bool is_disturbed = board_is_disturbed(reading->last_ns);
    /* A filter has nothing to give before it is given something. */
    const bool is_filter = writer_roles[reading->role->stream].is_filter;
    const int64_t writer_ns = is_filter ? payload->filled_ns : payload->opened_ns;
    const int64_t opened_ns = max_ns(writer_ns, reading->call_ns);
    int64_t delay_ns = lease->acquire_ns - opened_ns;
    board_sample(is_disturbed ? RECOVERY_WRITER_DISTURBED : RECOVERY_WRITER_OPEN, delay_ns);
    if (!is_disturbed)
        board_sample(RECOVERY_WRITER_PUBLISH,
                     lease->acquire_ns - max_ns(payload->filled_ns, reading->call_ns));
    if (is_disturbed || delay_ns < FLOW_NS)
        return;
    delay_ns -= payload->awake_ns + board_awake_ns() - reading->awake_ns;
    /* It is the supervisor who links the two, once it has a processor. */
    delay_ns -= board_supervisor_awake_ns() - reading->supervisor_awake_ns;
    delay_ns -= held_ns(reading, writer_ns);
    if (delay_ns - board_stalled_ns(writer_ns) < FLOW_NS)
        board_count(TOTAL_SLOW_MACHINE, 1);
    else
        board_fault("%s: %lld ms from the writer's return to its first frame, %llu, which is the "
                    "writer's number %llu and was published %lld ms before it came",
                    reading->name, (long long)(delay_ns / 1000000),
                    (unsigned long long)lease->frame.sequence, (unsigned long long)payload->index,
                    (long long)((lease->acquire_ns - lease->frame.publish_ns) / 1000000));
}

void delay_check(const struct reading *reading, const struct shmframe_lease *lease,
                 const struct payload *payload) {
    check_wake(reading, lease);
    if (reading->born_ns)
        board_sample(board_is_disturbed(reading->born_ns) ? RECOVERY_READER_DISTURBED
                                                          : RECOVERY_READER,
                     lease->acquire_ns - reading->born_ns);
    if (reading->last && payload->life != reading->life)
        check_flow(reading, lease, payload);
}
