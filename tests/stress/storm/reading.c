#include "reading.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

void reading_init(struct reading *reading, unsigned seat, unsigned number, int64_t born_ns) {
    const struct reading_role *roles;
    seat_readings(seat, &roles);
    const struct reading_role *role = &roles[number];
    *reading = (struct reading){.role = role,
                                .name = seat_name(seat),
                                .number = number,
                                .seat = &board->seat[seat],
                                .writer_seat = &board->seat[role->stream],
                                .stream = &board->stream[role->stream],
                                .born_ns = born_ns};
}

void reading_open(struct reading *reading, struct shmframe_session *session) {
    const struct reading_role *role = reading->role;
    const struct shmframe_reader_params params = {.stream = writer_roles[role->stream].stream,
                                                  .name = reading->name,
                                                  .policy = role->policy,
                                                  .depth = role->depth,
                                                  .leases = role->leases,
                                                  .spin_ns = role->spin_ns,
                                                  .deadline_ns =
                                                      shmframe_deadline_ns(INT64_C(30000000000))};
    reading->session = session;
    reading->evictions = atomic_load(&reading->seat->evictions[reading->number]);
    board_pass(reading->seat, DOOR_OPEN);
    int code = shmframe_reader_open(session, &params, &reading->reader);
    if (code < 0)
        peer_fail(reading->name, "reader_open", code);
    if (role->is_polling && shmframe_reader_fd(reading->reader) < 0)
        peer_fail(reading->name, "reader_fd", -EMFILE);
    reading->last = reading->origin = 0;
    reading->is_account_lost = false;
    atomic_store(&reading->seat->newest[reading->number], 0);
    reading->first = reading->delivered = reading->lost = reading->skipped = 0;
    reading->last_ns = shmframe_now_ns();
    atomic_store(&reading->seat->changed_ns, reading->last_ns);
    atomic_store(&reading->seat->progress_ns, reading->last_ns);
}

/* ---- taking ---- */

/* `is_first`: of its batch; those behind it came when it came. */
static void examine(struct reading *reading, struct held_frame *held, bool is_first) {
    const struct shmframe_lease *lease = &held->lease;
    struct payload payload;
    memcpy(&payload, lease->data, sizeof(payload));
    held->is_torn = !account_sum(reading, lease);
    reading->is_account_lost |= held->is_torn;
    if (!reading->is_account_lost) {
        if (is_first)
            delay_check(reading, lease, &payload);
        account_frame(reading, lease, &payload);
        reading->life = payload.life;
        reading->index = payload.index;
        reading->origin = payload.origin_sequence;
    }
    reading->last = lease->frame.sequence;
    atomic_store(&reading->seat->newest[reading->number], reading->last);
    reading->last_ns = lease->acquire_ns;
    reading->born_ns = 0;
    board_count(TOTAL_DELIVERED, 1);
    if (!board_has_supervisor())
        board_count(TOTAL_DELIVERED_AWAY, 1);
    atomic_store(&reading->seat->progress_ns, shmframe_now_ns());
}

static int acquire(struct reading *reading, int64_t deadline_ns, struct shmframe_lease *leases) {
    const uint32_t room = reading->role->leases - reading->held_count;
    if (reading->role->is_batch)
        return shmframe_reader_acquire_batch(reading->reader, deadline_ns, leases, room);
    const int code = shmframe_reader_acquire(reading->reader, deadline_ns, leases);
    return code < 0 ? code : 1;
}

static int acquire_polling(struct reading *reading, int64_t deadline_ns,
                           struct shmframe_lease *leases) {
    int code = acquire(reading, SHMFRAME_NOW, leases);
    while (code == -EAGAIN && shmframe_now_ns() < deadline_ns) {
        const int64_t left_ns = deadline_ns - shmframe_now_ns();
        struct pollfd ready = {.fd = shmframe_reader_fd(reading->reader), .events = POLLIN};
        poll(&ready, 1, (int)(left_ns / 1000000) + 1);
        code = acquire(reading, SHMFRAME_NOW, leases);
    }
    return code;
}

static void meet_eviction(struct reading *reading) {
    const bool is_asked =
        atomic_load(&reading->seat->evictions[reading->number]) != reading->evictions;
    if (!account_may_be_evicted(reading))
        board_fault("%s: evicted, and nobody asked for it", reading->name);
    board_count(is_asked ? TOTAL_EVICTED : TOTAL_EVICTED_RESTART, 1);
    atomic_store(&reading->seat->changed_ns, shmframe_now_ns()); /* before it, for who looks on */
    atomic_store(&reading->seat->is_open, false);
    reading_release(reading, 0);
    struct shmframe_session *session = reading->session;
    reading_close(reading);
    reading_open(reading, session);
    atomic_store(&reading->seat->is_open, true);
}

void reading_begin(struct reading *reading) {
    reading->awake_ns = board_awake_ns();
    reading->supervisor_awake_ns = board_supervisor_awake_ns();
    reading->call_ns = shmframe_now_ns();
}

unsigned reading_take(struct reading *reading, int64_t deadline_ns) {
    struct shmframe_lease leases[SHMFRAME_LEASES_MAX];
    atomic_fetch_add(&reading->seat->moves, 1);
    board_pass(reading->seat, DOOR_ACQUIRE);
    const int code = reading->role->is_polling && deadline_ns != SHMFRAME_NOW
                         ? acquire_polling(reading, deadline_ns, leases)
                         : acquire(reading, deadline_ns, leases);
    for (int i = 0; i < code; i++) {
        struct held_frame *held = &reading->held[reading->held_count++];
        *held = (struct held_frame){.lease = leases[i]};
        examine(reading, held, i == 0);
    }
    atomic_fetch_add(&reading->seat->moves, 1);
    if (code == -ESTALE)
        meet_eviction(reading);
    else if (code < 0 && code != -ETIMEDOUT && code != -EAGAIN)
        peer_fail(reading->name, "reader_acquire", code);
    return code > 0 ? (unsigned)code : 0;
}

/* ---- giving back ---- */

/* Torn, and nobody says so: that is the one thing that must not happen. */
static void judge(const struct reading *reading, const struct held_frame *held, bool is_stale) {
    const unsigned long long sequence = held->lease.frame.sequence;
    if (is_stale)
        board_count(TOTAL_STALE, 1);
    if (held->is_torn && !is_stale)
        board_fault("%s: frame %llu is torn, and its release does not tell", reading->name,
                    sequence);
    if (is_stale && !account_may_be_evicted(reading))
        board_fault("%s: frame %llu was overwritten while it was held, and nobody was evicted",
                    reading->name, sequence);
}

static void release_one(struct reading *reading) {
    struct held_frame *oldest = &reading->held[0];
    const int code = shmframe_reader_release(reading->reader, &oldest->lease);
    if (code < 0 && code != -ESTALE)
        peer_fail(reading->name, "reader_release", code);
    judge(reading, oldest, code == -ESTALE);
}

static void release_batch(struct reading *reading, unsigned count) {
    struct shmframe_lease leases[SHMFRAME_LEASES_MAX];
    for (unsigned i = 0; i < count; i++)
        leases[i] = reading->held[i].lease;
    const int code = shmframe_reader_release_batch(reading->reader, leases, count);
    if (code < 0 && code != -ESTALE)
        peer_fail(reading->name, "reader_release_batch", code);
    for (unsigned i = 0; i < count; i++)
        judge(reading, &reading->held[i], leases[i].flags & SHMFRAME_LEASE_STALE);
}

void reading_release(struct reading *reading, unsigned keep) {
    if (reading->held_count <= keep)
        return;
    atomic_fetch_add(&reading->seat->moves, 1);
    while (reading->held_count > keep) {
        const unsigned over = reading->held_count - keep;
        const unsigned count = reading->role->is_batch ? over : 1;
        board_pass(reading->seat, DOOR_RELEASE);
        for (unsigned i = 0; i < count; i++)
            reading->held[i].is_torn |= !account_sum(reading, &reading->held[i].lease);
        if (reading->role->is_batch)
            release_batch(reading, count);
        else
            release_one(reading);
        reading->held_count -= count;
        memmove(&reading->held[0], &reading->held[count],
                reading->held_count * sizeof(reading->held[0]));
    }
    atomic_store(&reading->seat->returned_ns, shmframe_now_ns());
    atomic_fetch_add(&reading->seat->moves, 1);
}

bool reading_is_drained(const struct reading *reading) {
    const uint64_t last = atomic_load(&reading->stream->last);
    return last && reading->last == last;
}

void reading_close(struct reading *reading) {
    account_close(reading);
    shmframe_reader_close(reading->reader);
    reading->reader = NULL;
}
