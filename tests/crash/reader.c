#include "../stress/storm/payload.h"
#include "peer.h"

#include "link.h"
#include "reader.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define WAIT_NS INT64_C(4000000)

struct peer {
    unsigned number;
    struct seat *seat;
    struct shmframe_session *session;
    struct shmframe_reader *reader;
    int fd; /* to poll; -1: none */
    uint64_t last;
    /* Frames of one life of the writer have an index each, beside the sequence. */
    uint64_t life, life_begins;
};

/* The leases that it has when it comes to its point. */
static void note_leases(void *user, struct point *point) {
    const struct peer *peer = user;
    uint32_t leases = 0;
    if (peer->reader && peer->reader->link)
        for (unsigned i = 0; i < SHMFRAME_LEASES_MAX; i++)
            leases += atomic_load(&peer->reader->link->core.lease->lease[i]) != 0;
    atomic_store(&point->held, leases);
}

static void open_reader(struct peer *peer, const struct reader_role *role) {
    const struct shmframe_reader_params params = {.stream = role->stream,
                                                  .policy = role->policy,
                                                  .depth = role->depth,
                                                  .deadline_ns = shmframe_deadline_ns(PATIENCE_NS)};
    int code = shmframe_reader_open(peer->session, &params, &peer->reader);
    if (code < 0)
        peer_fail(peer->number, "reader_open", code);
    if (!role->is_polling)
        return;
    peer->fd = code = shmframe_reader_fd(peer->reader);
    if (code < 0)
        peer_fail(peer->number, "reader_fd", code);
}

static _Atomic uint32_t *counter_of(struct seat *seat, enum shmframe_reader_event_type type) {
    switch (type) {
    case SHMFRAME_WRITER_GONE:
        return &seat->gone;
    case SHMFRAME_RESTARTED:
        return &seat->restarted;
    case SHMFRAME_FORMAT:
        return &seat->formats;
    case SHMFRAME_ENDED:
        return &seat->ended;
    case SHMFRAME_READER_EVENT_NONE:
    case SHMFRAME_EVICTED:
    case SHMFRAME_LOST:
        break;
    }
    return NULL;
}

static void take_events(struct peer *peer) {
    struct shmframe_reader_event event;
    while (shmframe_reader_next_event(peer->reader, &event) == 0) {
        if (event.type == SHMFRAME_EVICTED)
            board_fault("%s was evicted", seat_name(peer->number));
        _Atomic uint32_t *counter = counter_of(peer->seat, event.type);
        if (!counter)
            continue;
        atomic_store(&peer->seat->heard_ns, shmframe_now_ns());
        atomic_fetch_add(counter, 1);
    }
}

/* No frame is missing that nobody told of, by two accounts. */
static void check_order(struct peer *peer, const struct shmframe_lease *lease,
                        const struct payload *payload) {
    const uint64_t sequence = lease->frame.sequence;
    const uint64_t missing = lease->lost + lease->skipped;
    if (peer->last && sequence != peer->last + 1 + missing)
        board_fault("%s: frame %llu came after %llu, and %llu are told to be missing",
                    seat_name(peer->number), (unsigned long long)sequence,
                    (unsigned long long)peer->last, (unsigned long long)missing);
    if (payload->life < peer->life ||
        (payload->life == peer->life && sequence - payload->index != peer->life_begins))
        board_fault("%s: frame %llu is the writer's number %llu of life %llu",
                    seat_name(peer->number), (unsigned long long)sequence,
                    (unsigned long long)payload->index, (unsigned long long)payload->life);
    peer->last = sequence;
    peer->life = payload->life;
    peer->life_begins = sequence - payload->index;
}

static void check_sum(const struct peer *peer, const struct shmframe_lease *lease,
                      const char *when) {
    struct payload payload;
    memcpy(&payload, lease->data, sizeof(payload));
    if (payload.bytes != lease->frame.bytes ||
        payload.sum != payload_sum(lease->data, lease->frame.bytes))
        board_fault("%s: frame %llu is torn %s", seat_name(peer->number),
                    (unsigned long long)lease->frame.sequence, when);
}

static void hold(const struct peer *peer) {
    while (atomic_load(&peer->seat->wish) == WISH_HOLD) {
        atomic_store(&peer->seat->is_holding, true);
        sleep_ns(1000000);
    }
    atomic_store(&peer->seat->is_holding, false);
}

static void use(struct peer *peer, struct shmframe_lease *lease) {
    struct payload payload;
    struct seat *seat = peer->seat;
    memcpy(&payload, lease->data, sizeof(payload));
    check_sum(peer, lease, "when it comes");
    check_order(peer, lease, &payload);
    hold(peer);
    check_sum(peer, lease, "when it is released");
    const uint64_t lost = lease->lost, skipped = lease->skipped, sequence = lease->frame.sequence;
    const int code = shmframe_reader_release(peer->reader, lease);
    if (code < 0)
        peer_fail(peer->number, "release", code);
    atomic_fetch_add(&board->checked, 1);
    atomic_fetch_add(&seat->lost, lost);
    atomic_fetch_add(&seat->skipped, skipped);
    atomic_store(&seat->of_life, payload.life);
    atomic_store(&seat->index, payload.index);
    atomic_store(&seat->sequence, sequence);
    atomic_fetch_add(&seat->frames, 1);
}

static void take(struct peer *peer) {
    struct shmframe_lease lease;
    const bool is_polling = peer->fd >= 0;
    const int code = shmframe_reader_acquire(
        peer->reader, is_polling ? SHMFRAME_NOW : shmframe_deadline_ns(WAIT_NS), &lease);
    take_events(peer);
    if (code == 0) {
        use(peer, &lease);
    } else if (code == -EAGAIN && is_polling) {
        struct pollfd polled = {.fd = peer->fd, .events = POLLIN};
        poll(&polled, 1, (int)(WAIT_NS / 1000000));
    } else if (code != -ETIMEDOUT && code != -ENODATA) {
        peer_fail(peer->number, "acquire", code);
    }
}

void reader_run(unsigned number, const struct reader_role *role) {
    struct seat *seat = &board->seat[number];
    struct peer peer = {.number = number, .seat = seat, .fd = -1};
    point_use(&seat->point);
    point_call_before(note_leases, &peer);
    peer.session = peer_open_session(number);
    open_reader(&peer, role);
    atomic_store(&seat->is_open, true);
    while (atomic_load(&seat->wish) != WISH_LEAVE) {
        take(&peer);
        atomic_store(&seat->is_connected, shmframe_session_is_connected(peer.session));
    }
    shmframe_reader_close(peer.reader);
    shmframe_session_close(peer.session);
    _exit(0);
}
