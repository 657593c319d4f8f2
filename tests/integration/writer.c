/* A writer that is killed: publishes frames of random size at a random pace, in batches and in
 * changing formats, and at the end looks whether it got everything back. */
#include "payload.h"
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOANS_MAX = 3, LINKS_LEFT_MAX = 8 };
/* A sleep of the library takes at most 100 ms: one that nobody ended shows as more than this. */
#define LATE_NS INT64_C(30000000)

struct writer_peer {
    const struct writer_role *role;
    struct seat *seat;
    struct stream_board *stream;
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    unsigned number; /* of the stream */
    uint32_t life;
    uint64_t random, index;
    int64_t opened_ns, filled_ns, opened_delay_ns, delay_ns;
    struct holdings before; /* of this process, before it had a session */
};

static void choose_format(struct writer_peer *peer, struct shmframe_format *out_format) {
    const uint64_t least = sizeof(struct payload);
    const bool is_large = !peer->role->has_formats || peer_roll(&peer->random, 3) == 0;
    const uint64_t bytes = least + peer_roll(&peer->random, is_large ? BYTES_MAX : 8000);
    int code = shmframe_format_data(out_format, "kill", is_large ? bytes + BYTES_MAX / 2 : bytes);
    if (code < 0)
        peer_fail(peer->role->stream, "format_data", code);
}

static void open_writer(struct writer_peer *peer) {
    struct shmframe_writer_params params = {.stream = peer->role->stream,
                                            .loans = peer->role->loans,
                                            .ring_bytes = UINT64_C(64) << 20,
                                            .deadline_ns =
                                                shmframe_deadline_ns(INT64_C(20000000000))};
    choose_format(peer, &params.format);
    board_pass(peer->seat, DOOR_OPEN);
    int code = shmframe_writer_open(peer->session, &params, &peer->writer);
    if (code < 0)
        peer_fail(peer->role->stream, "writer_open", code);
    peer->opened_ns = shmframe_now_ns();
    peer->opened_delay_ns = board_run_delay_ns();
    atomic_store(&peer->seat->changed_ns, peer->opened_ns);
    atomic_store(&peer->seat->progress_ns, peer->opened_ns);
    atomic_store(&peer->seat->is_open, true);
}

/* ---- one frame ---- */

static void fill(struct writer_peer *peer, struct shmframe_loan *loan) {
    const uint64_t room = loan->format->data.bytes_max;
    const uint64_t small = room < 8000 ? room : 8000;
    uint64_t bytes = peer_roll(&peer->random, peer_roll(&peer->random, 3) ? small : room);
    if (bytes < sizeof(struct payload))
        bytes = sizeof(struct payload);
    bytes = bytes / sizeof(uint64_t) * sizeof(uint64_t);
    if (peer->index == 0) {
        peer->filled_ns = shmframe_now_ns();
        peer->delay_ns = board_run_delay_ns() - peer->opened_delay_ns;
    }
    struct payload payload = {.stream = peer->number,
                              .life = peer->life,
                              .index = peer->index++,
                              .bytes = bytes,
                              .opened_ns = peer->opened_ns,
                              .filled_ns = peer->filled_ns,
                              .delay_ns = peer->delay_ns};
    payload_fill(loan->data, &payload);
    loan->frame.bytes = (uint32_t)bytes;
}

/* A reader gives room, and wakes the writer, before it can tell so. It ends what it is at, a wait
 * for a frame that does not come as well. */
static void await_progress(const struct seat *seat) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(5000000000));
    const uint32_t takes = atomic_load(&seat->takes);
    while (takes % 2 && atomic_load(&seat->takes) == takes && shmframe_now_ns() < deadline_ns)
        peer_sleep(1000000);
}

/* Who could have given the writer room did so long ago: it slept on. */
static void check_space_wait(const struct writer_peer *peer, int64_t began_ns, int64_t delay_ns) {
    const int64_t now_ns = shmframe_now_ns(), queued_ns = board_run_delay_ns() - delay_ns;
    if (now_ns - began_ns < LATE_NS || board_is_disturbed(began_ns))
        return;
    board_count(TOTAL_SPACE_WAITS, 1);
    int64_t latest_ns = began_ns, held_ns = 0;
    for (unsigned i = 0; i < READERS_OF_STREAM; i++) {
        const struct seat *seat = &board->seat[STREAMS + peer->number * READERS_OF_STREAM + i];
        await_progress(seat);
        const int64_t progress_ns = atomic_load(&seat->progress_ns);
        const int64_t changed_ns = atomic_load(&seat->changed_ns);
        latest_ns = progress_ns > latest_ns ? progress_ns : latest_ns;
        latest_ns = changed_ns > latest_ns ? changed_ns : latest_ns;
        held_ns += board_held_ns(seat, began_ns);
    }
    const int64_t late_ns = now_ns - latest_ns - held_ns - queued_ns;
    if (late_ns < LATE_NS)
        return;
    if (late_ns - board_stalled_ns(latest_ns) < LATE_NS)
        board_count(TOTAL_SLOW_MACHINE, 1);
    else
        board_fault("%s: the writer slept for %lld ms after a reader had made room",
                    peer->role->stream, (long long)(late_ns / 1000000));
}

static int lend(struct writer_peer *peer, struct shmframe_loan *out_loan) {
    board_pass(peer->seat, DOOR_LOAN);
    const int64_t began_ns = shmframe_now_ns(), delay_ns = board_run_delay_ns();
    int code = shmframe_writer_loan(peer->writer, began_ns + 500000000, out_loan);
    if (code < 0 && code != -ETIMEDOUT)
        peer_fail(peer->role->stream, "writer_loan", code);
    if (code == 0)
        check_space_wait(peer, began_ns, delay_ns);
    return code;
}

static void publish(struct writer_peer *peer, struct shmframe_loan *loans, uint32_t count) {
    board_pass(peer->seat, DOOR_PUBLISH);
    int code = count == 1 ? shmframe_writer_publish(peer->writer, loans)
                          : shmframe_writer_publish_batch(peer->writer, loans, count);
    const int64_t now_ns = shmframe_now_ns();
    if (code < 0)
        peer_fail(peer->role->stream, "writer_publish", code);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t sequence = loans[i].frame.sequence;
        struct publication *publication = &peer->stream->publication[sequence % PUBLICATIONS];
        atomic_store(&publication->returned_ns, now_ns);
        atomic_store(&publication->sequence, sequence);
        atomic_store(&peer->stream->published, sequence);
    }
    atomic_store(&peer->seat->progress_ns, now_ns);
    board_count(TOTAL_PUBLISHED, count);
}

/* Frames of a batch, or one; now and then one that is not published after all. */
static void publish_some(struct writer_peer *peer) {
    struct shmframe_loan loans[LOANS_MAX];
    const uint32_t wanted = 1 + (uint32_t)peer_roll(&peer->random, peer->role->loans);
    uint32_t count = 0;
    while (count < wanted && lend(peer, &loans[count]) == 0) {
        board_pass(peer->seat, DOOR_FILL);
        if (peer->index > 0 && peer_roll(&peer->random, 20) == 0) {
            loans[count].data[0] ^= 1;
            shmframe_writer_abandon(peer->writer, &loans[count]);
            board_count(TOTAL_ABANDONED, 1);
            continue;
        }
        fill(peer, &loans[count++]);
    }
    if (count > 0)
        publish(peer, loans, count);
}

/* A loan of the old ring may still be published behind the change. */
static void change_format(struct writer_peer *peer) {
    struct shmframe_format format;
    choose_format(peer, &format);
    struct shmframe_loan loan;
    const bool has_loan = peer_roll(&peer->random, 2) && lend(peer, &loan) == 0;
    if (has_loan)
        fill(peer, &loan);
    board_pass(peer->seat, DOOR_FORMAT);
    int code = shmframe_writer_set_format(peer->writer, &format,
                                          shmframe_deadline_ns(INT64_C(5000000000)));
    if (code == -ENOTCONN || code == -ETIMEDOUT)
        board_count(TOTAL_FORMATS_REFUSED, 1);
    else if (code < 0)
        peer_fail(peer->role->stream, "writer_set_format", code);
    else
        board_count(TOTAL_FORMATS, 1);
    if (has_loan)
        publish(peer, &loan, 1);
}

static void note_counters(const struct writer_peer *peer) {
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(peer->writer, &counters);
    atomic_store(&peer->seat->slots_used, counters.slots_used);
}

/* Mostly a few milliseconds; sometimes longer than the library's longest sleep, so that a wake-up
 * that is missing cannot hide behind it. */
static void pace(struct writer_peer *peer) {
    const uint64_t kind = peer_roll(&peer->random, 40);
    if (kind == 0)
        peer_sleep(120000000 + (int64_t)peer_roll(&peer->random, 130000000));
    else if (kind > 8)
        peer_sleep((int64_t)peer_roll(&peer->random, 6000000));
    note_counters(peer);
}

/* ---- the end ---- */

static void drain(struct writer_peer *peer) {
    struct shmframe_loan loan;
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(20000000000));
    while (lend(peer, &loan) < 0)
        if (shmframe_now_ns() > deadline_ns)
            peer_fail(peer->role->stream, "the last loan", -ETIMEDOUT);
    fill(peer, &loan);
    publish(peer, &loan, 1);
    atomic_store(&peer->stream->last, loan.frame.sequence);
    atomic_store(&peer->seat->is_drained, true);
    while (atomic_load(&board->command) != COMMAND_WRITERS_LEAVE) {
        struct pollfd mail = {.fd = shmframe_session_fd(peer->session), .events = POLLIN};
        poll(&mail, 1, 20);
        shmframe_session_dispatch(peer->session);
    }
}

/* Without readers only the lowest slots are used in turn: who does not come up is leaked. */
static uint32_t find_highest_slot(struct writer_peer *peer) {
    uint32_t highest = 0;
    for (unsigned i = 0; i < 32; i++) {
        struct shmframe_loan loan;
        int code = shmframe_writer_loan(peer->writer, SHMFRAME_NOW, &loan);
        if (code < 0)
            peer_fail(peer->role->stream, "a loan without readers", code);
        if (i >= 16 && loan.slot > highest)
            highest = loan.slot;
        loan.frame.bytes = sizeof(struct payload);
        shmframe_writer_publish(peer->writer, &loan);
    }
    return highest;
}

/* Ring, notice page, links in stock; session, ring, a wake socket for each link. */
static void expect_all_back(struct writer_peer *peer) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(15000000000));
    for (;;) {
        shmframe_session_dispatch(peer->session);
        struct holdings now;
        holdings_count(getpid(), &now);
        const uint32_t readers = shmframe_writer_readers(peer->writer);
        const uint32_t slot = readers ? UINT32_MAX : find_highest_slot(peer);
        const unsigned descriptors = now.descriptors - peer->before.descriptors;
        if (readers == 0 && slot <= peer->role->loans + 1 &&
            now.mappings <= 2 + 2 * LINKS_LEFT_MAX && descriptors <= 6 + LINKS_LEFT_MAX)
            return;
        if (shmframe_now_ns() > deadline_ns) {
            board_fault("%s: the writer is left with %u readers, slot %u in use, %u mappings, %u "
                        "descriptors",
                        peer->role->stream, readers, slot, now.mappings, descriptors);
            return;
        }
        peer_sleep(20000000);
    }
}

static void leave(struct writer_peer *peer) {
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(peer->writer, &counters);
    board_count(TOTAL_COLD, counters.loans_cold);
    shmframe_writer_close(peer->writer);
    shmframe_session_close(peer->session);
    struct holdings after;
    holdings_count(getpid(), &after);
    if (after.descriptors != peer->before.descriptors || after.mappings != 0)
        board_fault("%s: a closed writer leaves %u descriptors of %u and %u mappings",
                    peer->role->stream, after.descriptors, peer->before.descriptors,
                    after.mappings);
}

void writer_run(unsigned stream, uint32_t life, uint64_t seed) {
    struct writer_peer peer = {.role = &writer_roles[stream],
                               .seat = &board->seat[stream],
                               .stream = &board->stream[stream],
                               .number = stream,
                               .life = life,
                               .random = seed};
    holdings_count(getpid(), &peer.before);
    board_pass(peer.seat, DOOR_SESSION);
    peer.session = peer_open_session(peer.role->stream);
    open_writer(&peer);
    while (atomic_load(&board->command) == COMMAND_RUN) {
        publish_some(&peer);
        pace(&peer);
        if (peer.role->has_formats && peer_roll(&peer.random, 30) == 0)
            change_format(&peer);
    }
    drain(&peer);
    expect_all_back(&peer);
    leave(&peer);
    _exit(0);
}
