/* A reader that is killed: takes frames in one of several ways, holds them for a while, and checks
 * each of them, and what it is told of those that it did not get. */
#include "payload.h"
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A sleep of the library takes at most 100 ms: one that nobody ended shows as more than this. */
#define LATE_NS INT64_C(30000000)
/* A reader of a quick stream hears of a new ring, or of a death, so much later, since it listens to
 * its writer alone. */
#define ALONE_NS INT64_C(20000000)
/* A stream flows within this time of its writer's return. */
#define FLOW_NS INT64_C(100000000)

struct reader_peer {
    const struct reader_role *role;
    struct seat *seat, *writer_seat;
    struct stream_board *stream;
    struct shmframe_session *session;
    struct shmframe_reader *reader;
    unsigned number; /* of the stream */
    uint64_t random;
    uint64_t last;    /* sequence of the newest frame; 0: none yet */
    uint32_t life;    /* of the writer of that one */
    uint64_t index;   /* ... its place in that life */
    int64_t last_ns;  /* when it came */
    int64_t call_ns;  /* when this reader began to wait for the next one */
    int64_t delay_ns; /* its run delay then */
    struct shmframe_lease held[SHMFRAME_LEASES_MAX];
    uint32_t held_count;
};

static void open_reader(struct reader_peer *peer) {
    const struct shmframe_reader_params params = {.stream = writer_roles[peer->number].stream,
                                                  .name = peer->role->name,
                                                  .policy = peer->role->policy,
                                                  .depth = peer->role->depth,
                                                  .leases = peer->role->leases,
                                                  .spin_ns = peer->role->spin_ns,
                                                  .deadline_ns =
                                                      shmframe_deadline_ns(INT64_C(20000000000))};
    board_pass(peer->seat, DOOR_OPEN);
    int code = shmframe_reader_open(peer->session, &params, &peer->reader);
    if (code < 0)
        peer_fail(peer->role->name, "reader_open", code);
    const int64_t now_ns = shmframe_now_ns();
    peer->last_ns = now_ns;
    atomic_store(&peer->seat->changed_ns, now_ns);
    atomic_store(&peer->seat->progress_ns, now_ns);
    atomic_store(&peer->seat->is_open, true);
}

/* ---- what a frame must be ---- */

static void check_sum(const struct reader_peer *peer, const struct shmframe_lease *lease,
                      const char *when) {
    struct payload payload;
    memcpy(&payload, lease->data, sizeof(payload));
    const uint32_t bytes = lease->frame.bytes;
    board_count(TOTAL_CHECKS, 1);
    if (payload.stream != peer->number || payload.bytes != bytes ||
        bytes > lease->format->data.bytes_max || payload_sum(lease->data, bytes) != payload.sum)
        board_fault("%s: frame %llu is torn %s", peer->role->name,
                    (unsigned long long)lease->frame.sequence, when);
    board_count(TOTAL_VERIFIED_BYTES, bytes);
}

/* Each loss is told of as an event too, with its cause; they add up. */
static uint64_t sum_events(const struct reader_peer *peer, const struct shmframe_lease *lease,
                           bool is_disturbed) {
    uint64_t sum = 0;
    struct shmframe_reader_event event;
    while (shmframe_reader_next_event(peer->reader, &event) == 0) {
        if (event.type != SHMFRAME_LOST)
            continue;
        sum += event.count;
        const bool is_late = event.cause == SHMFRAME_LOST_LATE;
        board_count(is_late ? TOTAL_LOST_LATE : TOTAL_LOST_RESTART, event.count);
        if (is_disturbed)
            board_count(TOTAL_LOST_DISTURBED, event.count);
        if ((peer->last && event.first <= peer->last) ||
            event.first + event.count > lease->frame.sequence)
            board_fault("%s: lost %llu frames from %llu on, between %llu and %llu",
                        peer->role->name, (unsigned long long)event.count,
                        (unsigned long long)event.first, (unsigned long long)peer->last,
                        (unsigned long long)lease->frame.sequence);
        if (!is_late && !is_disturbed)
            board_fault("%s: %llu frames before %llu lost in a restart, with a supervisor there",
                        peer->role->name, (unsigned long long)event.count,
                        (unsigned long long)lease->frame.sequence);
    }
    return sum;
}

/* Only who reads the latest frame skips, only who reads in order comes late; who reads without loss
 * may lose frames only where a new ring came while no supervisor could link him to it. */
static void check_policy(const struct reader_peer *peer, const struct shmframe_lease *lease,
                         bool is_disturbed) {
    const bool is_new_ring = lease->flags & (SHMFRAME_LEASE_RESTARTED | SHMFRAME_LEASE_NEW_FORMAT);
    const uint64_t lost = lease->lost;
    bool is_right = true;
    switch (peer->role->policy) {
    case SHMFRAME_LATEST:
        is_right = lost == 0;
        break;
    case SHMFRAME_IN_ORDER:
        is_right = lease->skipped == 0;
        break;
    case SHMFRAME_LOSSLESS:
        is_right = lease->skipped == 0 && (lost == 0 || (is_new_ring && is_disturbed));
        break;
    }
    if (!is_right)
        board_fault("%s: frame %llu: %llu lost, %llu skipped%s%s", peer->role->name,
                    (unsigned long long)lease->frame.sequence, (unsigned long long)lost,
                    (unsigned long long)lease->skipped, is_new_ring ? ", new ring" : "",
                    is_disturbed ? ", disturbed" : "");
}

static void check_account(struct reader_peer *peer, const struct shmframe_lease *lease,
                          const struct payload *payload) {
    const uint64_t sequence = lease->frame.sequence, last = peer->last;
    const bool is_disturbed = board_is_disturbed(peer->last_ns);
    const uint64_t told = sum_events(peer, lease, is_disturbed);
    board_count(TOTAL_SKIPPED, lease->skipped);
    if (told != lease->lost)
        board_fault("%s: frame %llu: %llu lost before it, events tell of %llu", peer->role->name,
                    (unsigned long long)sequence, (unsigned long long)lease->lost,
                    (unsigned long long)told);
    check_policy(peer, lease, is_disturbed);
    if (last == 0)
        return;
    if (sequence <= last) {
        board_fault("%s: frame %llu comes after frame %llu", peer->role->name,
                    (unsigned long long)sequence, (unsigned long long)last);
        return;
    }
    if (sequence - last != 1 + lease->lost + lease->skipped)
        board_fault("%s: frame %llu after %llu: %llu lost and %llu skipped do not explain it",
                    peer->role->name, (unsigned long long)sequence, (unsigned long long)last,
                    (unsigned long long)lease->lost, (unsigned long long)lease->skipped);
    if (payload->life == peer->life && payload->index - peer->index != sequence - last)
        board_fault("%s: frame %llu is number %llu of its writer, frame %llu was %llu",
                    peer->role->name, (unsigned long long)sequence,
                    (unsigned long long)payload->index, (unsigned long long)last,
                    (unsigned long long)peer->index);
    if ((payload->life != peer->life) != !!(lease->flags & SHMFRAME_LEASE_RESTARTED))
        board_fault("%s: frame %llu of life %u after life %u: flags %x", peer->role->name,
                    (unsigned long long)sequence, payload->life, peer->life, lease->flags);
}

/* ---- when it must come ---- */

/* When publish had returned: whoever slept has been woken by then. False: the writer died in it. */
static bool find_return(const struct reader_peer *peer, const struct shmframe_lease *lease,
                        int64_t *out_returned_ns) {
    const uint64_t sequence = lease->frame.sequence;
    const struct publication *publication = &peer->stream->publication[sequence % PUBLICATIONS];
    for (;;) {
        if (atomic_load(&publication->sequence) >= sequence) {
            *out_returned_ns = atomic_load(&publication->returned_ns);
            return true;
        }
        if (atomic_load(&peer->writer_seat->changed_ns) > lease->frame.publish_ns)
            return false;
        peer_sleep(1000000);
    }
}

/* A frame that was waited for, and came late: was it the machine, or was nobody woken? */
static void examine_delay(const struct reader_peer *peer, const struct shmframe_lease *lease,
                          int64_t delay_ns, int64_t late_ns) {
    const int64_t publish_ns = lease->frame.publish_ns;
    int64_t from_ns = publish_ns;
    const bool has_returned = find_return(peer, lease, &from_ns);
    if (!has_returned) {
        board_count(TOTAL_KILLED_IN_PUBLISH, 1);
        from_ns = atomic_load(&peer->writer_seat->changed_ns);
        if (board_is_disturbed(publish_ns))
            return; /* it is the supervisor who tells of a death */
        late_ns += ALONE_NS;
    }
    delay_ns -= from_ns - publish_ns + board_held_ns(peer->writer_seat, from_ns);
    const int64_t stalled_ns = board_stalled_ns(publish_ns);
    if (delay_ns - stalled_ns < late_ns)
        board_count(TOTAL_SLOW_MACHINE, 1);
    else
        board_fault(
            "%s: nobody woke it for frame %llu, which came %lld ms after it was published: "
            "its writer %s %lld us after that, it waited from %lld us on, was ready and did "
            "not run for %lld us, processors were away for %lld us; flags %x, number %llu "
            "of its writer, last frame %llu",
            peer->role->name, (unsigned long long)lease->frame.sequence,
            (long long)((lease->acquire_ns - publish_ns) / 1000000),
            has_returned ? "returned" : "died", (long long)((from_ns - publish_ns) / 1000),
            (long long)((peer->call_ns - publish_ns) / 1000),
            (long long)((board_run_delay_ns() - peer->delay_ns) / 1000),
            (long long)(stalled_ns / 1000), lease->flags,
            (unsigned long long)((const struct payload *)lease->data)->index,
            (unsigned long long)peer->last);
}

static void check_delay(const struct reader_peer *peer, const struct shmframe_lease *lease) {
    if (lease->frame.publish_ns < peer->call_ns)
        return;
    board_count(TOTAL_SLEPT, 1);
    const bool is_new_ring = lease->flags & (SHMFRAME_LEASE_RESTARTED | SHMFRAME_LEASE_NEW_FORMAT);
    if (is_new_ring && board_is_disturbed(peer->last_ns))
        return; /* its link came late */
    const int64_t late_ns = LATE_NS + (is_new_ring ? ALONE_NS : 0);
    const int64_t delay_ns = lease->acquire_ns - lease->frame.publish_ns;
    if (delay_ns < late_ns)
        return;
    const int64_t queued_ns = board_run_delay_ns() - peer->delay_ns;
    if (delay_ns - queued_ns < late_ns)
        board_count(TOTAL_SLOW_MACHINE, 1);
    else
        examine_delay(peer, lease, delay_ns - queued_ns, late_ns);
}

static int64_t max_ns(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* The first frame of a writer that came back, for a reader that had one of the former. */
static void check_flow(const struct reader_peer *peer, const struct shmframe_lease *lease,
                       const struct payload *payload) {
    const bool is_disturbed = board_is_disturbed(peer->last_ns);
    const int64_t now_ns = lease->acquire_ns;
    const uint32_t place = atomic_fetch_add(&board->samples, 1);
    if (place < SAMPLES_MAX) {
        struct sample *sample = &board->sample[place];
        sample->since_open_ns = now_ns - max_ns(payload->opened_ns, peer->call_ns);
        sample->since_publish_ns = now_ns - max_ns(payload->filled_ns, peer->call_ns);
        sample->is_disturbed = is_disturbed;
        atomic_store(&sample->is_complete, true);
    }
    int64_t delay_ns = now_ns - max_ns(payload->opened_ns, peer->call_ns);
    if (is_disturbed || delay_ns < FLOW_NS)
        return;
    delay_ns -= payload->delay_ns + board_run_delay_ns() - peer->delay_ns;
    delay_ns -= board_held_ns(peer->writer_seat, payload->opened_ns);
    if (delay_ns - board_stalled_ns(payload->opened_ns) < FLOW_NS)
        board_count(TOTAL_SLOW_MACHINE, 1);
    else
        board_fault("%s: %lld ms from the writer's return to its first frame, %llu, which is the "
                    "writer's number %llu and was published %lld ms before it came",
                    peer->role->name, (long long)(delay_ns / 1000000),
                    (unsigned long long)lease->frame.sequence, (unsigned long long)payload->index,
                    (long long)((now_ns - lease->frame.publish_ns) / 1000000));
}

/* ---- its day ---- */

static void examine(struct reader_peer *peer, const struct shmframe_lease *lease) {
    struct payload payload;
    check_sum(peer, lease, "when it comes");
    memcpy(&payload, lease->data, sizeof(payload));
    check_delay(peer, lease);
    check_account(peer, lease, &payload);
    if (peer->last && payload.life != peer->life)
        check_flow(peer, lease, &payload);
    peer->last = lease->frame.sequence;
    peer->life = payload.life;
    peer->index = payload.index;
    peer->last_ns = lease->acquire_ns;
    board_count(TOTAL_DELIVERED, 1);
    atomic_store(&peer->seat->progress_ns, shmframe_now_ns());
}

static void release_oldest(struct reader_peer *peer) {
    struct shmframe_lease lease = peer->held[0];
    memmove(&peer->held[0], &peer->held[1], --peer->held_count * sizeof(lease));
    check_sum(peer, &lease, "while it is held");
    board_pass(peer->seat, DOOR_RELEASE);
    int code = shmframe_reader_release(peer->reader, &lease);
    if (code < 0)
        peer_fail(peer->role->name, "reader_release", code);
}

static int take(struct reader_peer *peer, struct shmframe_lease *out_lease) {
    enum { PATIENCE_MS = 400 };
    peer->delay_ns = board_run_delay_ns();
    peer->call_ns = shmframe_now_ns();
    board_pass(peer->seat, DOOR_ACQUIRE);
    if (!peer->role->is_polling)
        return shmframe_reader_acquire(peer->reader, peer->call_ns + PATIENCE_MS * INT64_C(1000000),
                                       out_lease);
    int code = shmframe_reader_acquire(peer->reader, SHMFRAME_NOW, out_lease);
    const int64_t until_ns = peer->call_ns + PATIENCE_MS * INT64_C(1000000);
    while (code == -EAGAIN && shmframe_now_ns() < until_ns) {
        struct pollfd ready = {.fd = shmframe_reader_fd(peer->reader), .events = POLLIN};
        poll(&ready, 1, PATIENCE_MS);
        code = shmframe_reader_acquire(peer->reader, SHMFRAME_NOW, out_lease);
    }
    return code;
}

static void read_one(struct reader_peer *peer) {
    struct shmframe_lease lease;
    atomic_fetch_add(&peer->seat->takes, 1);
    int code = take(peer, &lease);
    if (code == 0)
        examine(peer, &lease);
    atomic_fetch_add(&peer->seat->takes, 1);
    if (code == -ETIMEDOUT || code == -EAGAIN) {
        while (peer->held_count > 0)
            release_oldest(peer);
        return;
    }
    if (code < 0)
        peer_fail(peer->role->name, "reader_acquire", code);
    peer->held[peer->held_count++] = lease;
    board_pass(peer->seat, DOOR_HOLD);
    if (peer_roll(&peer->random, 4) == 0)
        peer_sleep((int64_t)peer_roll(&peer->random, (uint64_t)peer->role->hold_ns));
    while (peer->held_count == peer->role->leases)
        release_oldest(peer);
}

static void leave(struct reader_peer *peer, const struct holdings *before) {
    while (peer->held_count > 0)
        release_oldest(peer);
    shmframe_reader_close(peer->reader);
    shmframe_session_close(peer->session);
    struct holdings after;
    holdings_count(getpid(), &after);
    if (after.descriptors != before->descriptors || after.mappings != 0)
        board_fault("%s: a closed reader leaves %u descriptors of %u and %u mappings",
                    peer->role->name, after.descriptors, before->descriptors, after.mappings);
}

void reader_run(unsigned reader, uint32_t life, uint64_t seed) {
    (void)life;
    const unsigned stream = reader / READERS_OF_STREAM;
    struct reader_peer peer = {.role = &reader_roles[reader],
                               .seat = &board->seat[STREAMS + reader],
                               .writer_seat = &board->seat[stream],
                               .stream = &board->stream[stream],
                               .number = stream,
                               .random = seed};
    struct holdings before = {0};
    holdings_count(getpid(), &before);
    board_pass(peer.seat, DOOR_SESSION);
    peer.session = peer_open_session(peer.role->name);
    open_reader(&peer);
    while (atomic_load(&board->command) < COMMAND_READERS_LEAVE) {
        read_one(&peer);
        const uint64_t last = atomic_load(&peer.stream->last);
        atomic_store(&peer.seat->is_drained, last && peer.last == last);
    }
    leave(&peer, &before);
    _exit(0);
}
