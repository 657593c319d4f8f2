#include "../stress/storm/payload.h"
#include "peer.h"

#include "ring.h"
#include "writer.h"

#include <errno.h>
#include <unistd.h>

#define PERIOD_NS INT64_C(2000000)

struct peer {
    unsigned number;
    struct seat *seat;
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    struct payload payload;
};

/* What it has on loan when it comes to its point. */
static void note_loans(void *user, struct point *point) {
    const struct peer *peer = user;
    uint32_t loans = 0;
    if (peer->writer)
        for (unsigned i = 0; i < RING_SLOTS_MAX / 64; i++)
            loans += (uint32_t)__builtin_popcountll(peer->writer->ring->core.loaned.word[i]);
    atomic_store(&point->held, loans);
}

static struct shmframe_format choose_format(uint64_t formats) {
    struct shmframe_format format;
    shmframe_format_data(&format, "crash", formats % 2 ? 1024 : 4096);
    return format;
}

static void open_writer(struct peer *peer, const char *stream) {
    const struct shmframe_writer_params params = {.stream = stream,
                                                  .format = choose_format(0),
                                                  .history = 4,
                                                  .deadline_ns = shmframe_deadline_ns(PATIENCE_NS)};
    const int code = shmframe_writer_open(peer->session, &params, &peer->writer);
    if (code < 0)
        peer_fail(peer->number, "writer_open", code);
}

static void take_events(struct peer *peer) {
    struct shmframe_writer_event event;
    while (shmframe_writer_next_event(peer->writer, &event) == 0) {
        if (event.type != SHMFRAME_READER_LEFT || event.pid != atomic_load(&board->guest))
            continue;
        atomic_store(&peer->seat->heard_ns, shmframe_now_ns());
        atomic_store(&peer->seat->left, event.pid);
    }
}

/* As the writer itself sees it at its next loan. */
static void look_at_guest(const struct peer *peer) {
    const struct ring_writer *core = &peer->writer->ring->core;
    const uint32_t guest = (uint32_t)atomic_load(&board->guest);
    uint32_t links = 0, leases = 0;
    for (uint32_t i = 0; i < core->active_count; i++) {
        const struct ring_link *link = core->active[i];
        if (link->state != RING_LINK_ACTIVE ||
            atomic_load(&core->notice->entry[link->entry].pid) != guest)
            continue;
        links++;
        for (uint32_t cell = 0; cell < link->grant.leases; cell++)
            leases += atomic_load(&link->lease->lease[cell]) != 0;
    }
    atomic_store(&peer->seat->leases, leases);
    atomic_store(&peer->seat->links, links);
}

static void publish(struct peer *peer) {
    struct shmframe_loan loan;
    struct payload *payload = &peer->payload;
    atomic_store(&peer->seat->index, payload->index);
    int code = shmframe_writer_loan(peer->writer, shmframe_deadline_ns(PATIENCE_NS), &loan);
    if (code < 0)
        peer_fail(peer->number, "loan", code);
    payload->bytes = loan.frame.bytes;
    payload_fill(loan.data, payload);
    code = shmframe_writer_publish(peer->writer, &loan);
    if (code < 0)
        peer_fail(peer->number, "publish", code);
    payload->index++;
    atomic_store(&peer->seat->sequence, loan.frame.sequence);
    atomic_fetch_add(&peer->seat->frames, 1);
}

static void change_format(struct peer *peer, uint64_t formats) {
    const struct shmframe_format format = choose_format(formats);
    const int code =
        shmframe_writer_set_format(peer->writer, &format, shmframe_deadline_ns(PATIENCE_NS));
    if (code < 0)
        peer_fail(peer->number, "set_format", code);
    atomic_store(&peer->seat->wish, WISH_NONE);
}

void writer_run(unsigned number, const char *stream) {
    struct seat *seat = &board->seat[number];
    struct peer peer = {.number = number, .seat = seat};
    peer.payload = (struct payload){.stream = number, .life = (uint32_t)atomic_load(&seat->life)};
    atomic_store(&seat->of_life, peer.payload.life);
    point_use(&seat->point);
    point_call_before(note_loans, &peer);
    peer.session = peer_open_session(number);
    open_writer(&peer, stream);
    atomic_store(&seat->is_open, true);
    uint64_t formats = 0;
    while (atomic_load(&seat->wish) != WISH_LEAVE) {
        if (atomic_load(&seat->wish) == WISH_FORMAT)
            change_format(&peer, ++formats);
        publish(&peer);
        take_events(&peer);
        look_at_guest(&peer);
        atomic_store(&seat->is_connected, shmframe_session_is_connected(peer.session));
        sleep_ns(PERIOD_NS);
    }
    shmframe_writer_close(peer.writer);
    shmframe_session_close(peer.session);
    _exit(0);
}
