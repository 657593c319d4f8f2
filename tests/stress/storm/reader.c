/* A reader: takes frames in one of several ways, of one stream or of several in one wait, holds
 * them for a while, and looks at the end what it is left with. */
#include "reading.h"

#include <errno.h>
#include <unistd.h>

#define PATIENCE_NS INT64_C(400000000)

struct reader_peer {
    const struct reader_role *role;
    struct seat *seat;
    struct shmframe_session *session;
    uint64_t random;
    struct reading reading[READINGS_MAX];
    struct holdings before;  /* of this process, before it had a session */
    struct holdings settled; /* ... with all its readers; none: not counted yet */
};

/* A frame has come through each: everything that belongs to a reader is there. */
static void note_settled(struct reader_peer *peer) {
    if (peer->settled.descriptors || !shmframe_session_is_connected(peer->session))
        return;
    for (unsigned i = 0; i < peer->role->readings; i++)
        if (peer->reading[i].last == 0)
            return;
    holdings_count(getpid(), &peer->settled);
}

static void release_all(struct reader_peer *peer) {
    for (unsigned i = 0; i < peer->role->readings; i++)
        reading_release(&peer->reading[i], 0);
}

/* Sleeps until one of them has a frame, then takes from each that has. */
static unsigned take_several(struct reader_peer *peer) {
    struct shmframe_reader *readers[READINGS_MAX];
    uint64_t ready = 0;
    for (unsigned i = 0; i < peer->role->readings; i++) {
        readers[i] = peer->reading[i].reader;
        reading_begin(&peer->reading[i]);
    }
    const int code = shmframe_readers_wait(readers, peer->role->readings,
                                           shmframe_now_ns() + PATIENCE_NS, &ready);
    if (code < 0 && code != -ETIMEDOUT)
        peer_fail(peer->role->name, "readers_wait", code);
    unsigned count = 0;
    for (unsigned i = 0; i < peer->role->readings; i++)
        if (ready >> i & 1)
            count += reading_take(&peer->reading[i], SHMFRAME_NOW);
    return count;
}

static unsigned take_one(struct reader_peer *peer) {
    struct reading *reading = &peer->reading[0];
    reading_begin(reading);
    return reading_take(reading, reading->call_ns + PATIENCE_NS);
}

static void read_some(struct reader_peer *peer) {
    const unsigned count = peer->role->readings > 1 ? take_several(peer) : take_one(peer);
    if (count == 0) {
        release_all(peer);
        return;
    }
    note_settled(peer);
    board_pass(peer->seat, DOOR_HOLD);
    if (peer_roll(&peer->random, 4) == 0)
        peer_sleep((int64_t)peer_roll(&peer->random, (uint64_t)peer->role->hold_ns));
    for (unsigned i = 0; i < peer->role->readings; i++) {
        const uint32_t leases = peer->reading[i].role->leases;
        const bool is_batch = peer->reading[i].role->is_batch;
        reading_release(&peer->reading[i],
                        is_batch ? (uint32_t)peer_roll(&peer->random, leases) : leases - 1);
    }
}

static bool is_drained(const struct reader_peer *peer) {
    for (unsigned i = 0; i < peer->role->readings; i++)
        if (!reading_is_drained(&peer->reading[i]))
            return false;
    return true;
}

/* After all rings and supervisors that it has been through: no more than when it had begun. A ring
 * that was left goes with the next call. */
static void expect_settled(struct reader_peer *peer) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(15000000000));
    if (peer->settled.descriptors == 0)
        return;
    for (;;) {
        release_all(peer);
        for (unsigned i = 0; i < peer->role->readings; i++)
            reading_take(&peer->reading[i], SHMFRAME_NOW);
        struct holdings now;
        holdings_count(getpid(), &now);
        if (now.descriptors <= peer->settled.descriptors && now.mappings <= peer->settled.mappings)
            return;
        if (shmframe_now_ns() > deadline_ns) {
            board_fault("%s: the reader is left with %u descriptors of %u and %u mappings of %u",
                        peer->role->name, now.descriptors, peer->settled.descriptors, now.mappings,
                        peer->settled.mappings);
            return;
        }
        peer_sleep(20000000);
    }
}

static void leave(struct reader_peer *peer) {
    release_all(peer);
    for (unsigned i = 0; i < peer->role->readings; i++)
        reading_close(&peer->reading[i]);
    shmframe_session_close(peer->session);
    struct holdings after;
    holdings_count(getpid(), &after);
    if (after.descriptors != peer->before.descriptors || after.mappings != 0)
        board_fault("%s: a closed reader leaves %u descriptors of %u and %u mappings",
                    peer->role->name, after.descriptors, peer->before.descriptors, after.mappings);
}

void reader_run(unsigned reader, uint64_t seed) {
    const unsigned seat = STREAMS + reader;
    const int64_t born_ns = shmframe_now_ns();
    struct reader_peer peer = {
        .role = &reader_roles[reader], .seat = &board->seat[seat], .random = seed};
    holdings_count(getpid(), &peer.before);
    board_pass(peer.seat, DOOR_SESSION);
    peer.session = peer_open_session(peer.role->name);
    for (unsigned i = 0; i < peer.role->readings; i++) {
        reading_init(&peer.reading[i], seat, i, born_ns);
        reading_open(&peer.reading[i], peer.session);
    }
    atomic_store(&peer.seat->is_open, true);
    while (atomic_load(&board->command) < COMMAND_READERS_LEAVE) {
        read_some(&peer);
        if (is_drained(&peer) && !atomic_load(&peer.seat->is_drained)) {
            expect_settled(&peer);
            atomic_store(&peer.seat->is_drained, true);
        }
    }
    leave(&peer);
    _exit(0);
}
