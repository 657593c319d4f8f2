#include "writing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINKS_LEFT_MAX = 8 };
/* A sleep of the library takes at most so long: a loan that was quicker holds none that nobody
 * ended. What it lacks to this, the machine took, also where no clock of its processors tells. */
#define SLEEP_NS INT64_C(100000000)
/* One that nobody ended shows as more than this. */
#define LATE_NS INT64_C(30000000)
/* A new supervisor waits six seconds for readers that live to tell how far a stream came; part of
 * them has gone when it says that it is ready. */
#define GRACE_NS INT64_C(5000000000)

void writing_init(struct writing *writing, unsigned stream, uint32_t life, uint64_t seed) {
    *writing = (struct writing){.role = &writer_roles[stream],
                                .seat = &board->seat[stream],
                                .stream = &board->stream[stream],
                                .number = stream,
                                .life = life,
                                .random = seed};
    holdings_count(getpid(), &writing->before);
}

static void choose_format(struct writing *writing, struct shmframe_format *out_format) {
    const uint64_t least = sizeof(struct payload);
    const bool is_large = !writing->role->has_formats || peer_roll(&writing->random, 3) == 0;
    const uint64_t bytes = least + peer_roll(&writing->random, is_large ? BYTES_MAX : 8000);
    int code = shmframe_format_data(out_format, "storm", is_large ? bytes + BYTES_MAX / 2 : bytes);
    if (code < 0)
        peer_fail(writing->role->stream, "format_data", code);
}

void writing_open(struct writing *writing) {
    struct shmframe_writer_params params = {.stream = writing->role->stream,
                                            .loans = writing->role->loans,
                                            .ring_bytes = UINT64_C(64) << 20,
                                            .deadline_ns =
                                                shmframe_deadline_ns(INT64_C(30000000000))};
    choose_format(writing, &params.format);
    board_pass(writing->seat, DOOR_SESSION);
    writing->session = peer_open_session(writing->role->stream);
    board_pass(writing->seat, DOOR_OPEN);
    int code = shmframe_writer_open(writing->session, &params, &writing->writer);
    if (code < 0)
        peer_fail(writing->role->stream, "writer_open", code);
    writing->opened_ns = shmframe_now_ns();
    writing->is_beyond_grace =
        writing->opened_ns - atomic_load(&board->supervisor_ready_ns) > GRACE_NS;
    writing->opened_awake_ns = board_awake_ns();
    atomic_store(&writing->seat->changed_ns, writing->opened_ns);
    atomic_store(&writing->seat->progress_ns, writing->opened_ns);
}

/* ---- loan ---- */

/* When a reader last made room. It does, and wakes the writer, before it can tell so: it ends what
 * it is at, a wait for a frame that does not come as well. */
static int64_t find_progress(const struct seat *seat) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(5000000000));
    const uint32_t moves = atomic_load(&seat->moves);
    while (moves % 2 && atomic_load(&seat->moves) == moves && shmframe_now_ns() < deadline_ns)
        peer_sleep(1000000);
    const int64_t taken_ns = atomic_load(&seat->progress_ns);
    const int64_t returned_ns = atomic_load(&seat->returned_ns);
    return taken_ns > returned_ns ? taken_ns : returned_ns;
}

/* Who could have given the writer room did so long ago: it slept on. */
static void check_space_wait(const struct writing *writing, int64_t began_ns, int64_t before_ns) {
    const int64_t now_ns = shmframe_now_ns(), awake_ns = board_awake_ns() - before_ns;
    if (now_ns - began_ns < SLEEP_NS || board_is_disturbed(began_ns))
        return;
    board_count(TOTAL_SPACE_WAITS, 1);
    int64_t latest_ns = began_ns, held_ns = board_paused_ns(writing->seat, began_ns);
    for (unsigned i = 0; i < SEATS; i++) {
        const struct seat *seat = &board->seat[i];
        if (!seat_reads(i, writing->number))
            continue;
        const int64_t progress_ns = find_progress(seat);
        /* That a reader came or died is the supervisor's to tell, when it gets to run. */
        if (!atomic_load(&seat->is_open) || atomic_load(&seat->changed_ns) > began_ns)
            return;
        latest_ns = progress_ns > latest_ns ? progress_ns : latest_ns;
        held_ns += board_paused_ns(seat, began_ns);
    }
    const int64_t late_ns = now_ns - latest_ns - held_ns - awake_ns;
    if (late_ns < LATE_NS)
        return;
    const int64_t stalled_ns = board_stalled_ns(latest_ns);
    /* Who sleeps, or waits for its turn, has its times brought up to date: not slept at all. */
    if (awake_ns == 0 || late_ns - stalled_ns < LATE_NS)
        board_count(TOTAL_SLOW_MACHINE, 1);
    else
        board_fault("%s: the writer slept for %lld us after a reader had made room, in a loan of "
                    "%lld us: it was awake for %lld us, was held for %lld us, processors were away "
                    "for %lld us",
                    writing->role->stream, (long long)(late_ns / 1000),
                    (long long)((now_ns - began_ns) / 1000), (long long)(awake_ns / 1000),
                    (long long)(held_ns / 1000), (long long)(stalled_ns / 1000));
}

int writing_lend(struct writing *writing, struct shmframe_loan *out_loan) {
    board_pass(writing->seat, DOOR_LOAN);
    const int64_t began_ns = shmframe_now_ns(), awake_ns = board_awake_ns();
    int code = shmframe_writer_loan(writing->writer, began_ns + 500000000, out_loan);
    if (code < 0 && code != -ETIMEDOUT)
        peer_fail(writing->role->stream, "writer_loan", code);
    if (code == 0)
        check_space_wait(writing, began_ns, awake_ns);
    return code;
}

/* ---- fill and publish ---- */

static uint64_t choose_bytes(struct writing *writing, uint64_t room) {
    const uint64_t small = room < 8000 ? room : 8000;
    uint64_t bytes = peer_roll(&writing->random, peer_roll(&writing->random, 3) ? small : room);
    if (bytes < sizeof(struct payload))
        bytes = sizeof(struct payload);
    return bytes / sizeof(uint64_t) * sizeof(uint64_t);
}

void writing_fill(struct writing *writing, struct shmframe_loan *loan,
                  const struct payload *origin) {
    if (writing->index == 0) {
        writing->filled_ns = shmframe_now_ns();
        writing->awake_ns = board_awake_ns() - writing->opened_awake_ns;
    }
    struct payload payload = {.stream = writing->number,
                              .life = writing->life,
                              .index = writing->index++,
                              .bytes = choose_bytes(writing, loan->format->data.bytes_max),
                              .opened_ns = writing->opened_ns,
                              .filled_ns = writing->filled_ns,
                              .awake_ns = writing->awake_ns};
    if (origin) {
        payload.origin_stream = origin->origin_stream;
        payload.origin_sequence = origin->origin_sequence;
        payload.origin_capture_ns = origin->origin_capture_ns;
    }
    payload_begin(loan->data, &payload);
    board_pass(writing->seat, DOOR_FILL);
    if (peer_roll(&writing->random, 10) == 0) /* so that half a frame is seen, if it can be */
        peer_sleep(1000000);
    payload_end(loan->data, &payload);
    loan->frame.bytes = (uint32_t)payload.bytes;
    loan->frame.pts = (int64_t)payload.seed;
}

/* Whether some reader lives that had come further than the frames now published, of which it may
 * have had some already. One that was stopped for long does not count: it could not tell a new
 * supervisor in time. */
static bool is_known(const struct writing *writing, uint64_t sequence) {
    const int64_t since_ns = shmframe_now_ns() - INT64_C(10000000000);
    for (unsigned i = 0; i < SEATS; i++) {
        const struct seat *seat = &board->seat[i];
        const struct reading_role *roles;
        const unsigned count = seat_readings(i, &roles);
        for (unsigned j = 0; j < count; j++)
            if (roles[j].stream == writing->number &&
                atomic_load(&seat->newest[j]) >= sequence + LOANS_MAX &&
                board_paused_ns(seat, since_ns) < INT64_C(1000000000))
                return true;
    }
    return false;
}

/* If writer and all readers die before a new supervisor has heard of them, nobody can tell the next
 * writer how far the stream came; nor if those who can are too late. */
static bool may_forget(const struct writing *writing, uint64_t sequence) {
    return writing->last == 0 && writing->stream->is_unheard &&
           (writing->is_beyond_grace || !is_known(writing, sequence));
}

/* Frames at whose publication a writer was killed may have been published, or not. */
static void check_number(struct writing *writing, uint64_t sequence) {
    struct stream_board *stream = writing->stream;
    const uint64_t published = atomic_load(&stream->published);
    const bool is_first = writing->last == 0;
    const uint64_t most = (is_first ? published + stream->unsure : writing->last) + 1;
    const uint64_t least = (is_first ? published : writing->last) + 1;
    if (sequence < least && may_forget(writing, sequence)) {
        board_count(TOTAL_RENUMBERED, 1);
        atomic_store(&stream->renumbered, writing->life);
    } else if (sequence < least || sequence > most) {
        board_fault("%s: life %u publishes frame %llu, where frame %llu%s must follow: the newest "
                    "in the log is %llu, and %u were on the way when their writer died",
                    writing->role->stream, writing->life, (unsigned long long)sequence,
                    (unsigned long long)least, most > least ? ", or one soon after," : "",
                    (unsigned long long)published, stream->unsure);
    }
    if (is_first) {
        stream->unsure = 0;
        stream->is_unheard = false;
    }
    writing->last = sequence;
}

static void log_frame(struct writing *writing, uint64_t sequence, uint64_t index, int64_t now_ns) {
    struct stream_board *stream = writing->stream;
    check_number(writing, sequence);
    struct log_frame *line = &stream->log[sequence % LOG_FRAMES];
    atomic_store(&line->sequence, 0);
    atomic_store(&line->returned_ns, now_ns);
    atomic_store(&line->index, index);
    atomic_store(&line->life, writing->life);
    atomic_store(&line->sequence, sequence);
    atomic_store(&stream->published, sequence);
}

void writing_publish(struct writing *writing, struct shmframe_loan *loans, uint32_t count) {
    atomic_store(&writing->stream->publishing, count);
    board_pass(writing->seat, DOOR_PUBLISH);
    int code = count == 1 ? shmframe_writer_publish(writing->writer, loans)
                          : shmframe_writer_publish_batch(writing->writer, loans, count);
    const int64_t now_ns = shmframe_now_ns();
    if (code < 0)
        peer_fail(writing->role->stream, "writer_publish", code);
    for (uint32_t i = 0; i < count; i++)
        log_frame(writing, loans[i].frame.sequence, writing->index - count + i, now_ns);
    atomic_store(&writing->stream->publishing, 0);
    atomic_store(&writing->seat->progress_ns, now_ns);
    board_count(TOTAL_PUBLISHED, count);
}

void writing_change_format(struct writing *writing) {
    struct shmframe_format format;
    choose_format(writing, &format);
    struct shmframe_loan loan;
    const bool has_loan = peer_roll(&writing->random, 2) && writing_lend(writing, &loan) == 0;
    if (has_loan)
        writing_fill(writing, &loan, NULL);
    board_pass(writing->seat, DOOR_FORMAT);
    int code = shmframe_writer_set_format(writing->writer, &format,
                                          shmframe_deadline_ns(INT64_C(5000000000)));
    if (code == -ENOTCONN || code == -ETIMEDOUT)
        board_count(TOTAL_FORMATS_REFUSED, 1);
    else if (code < 0)
        peer_fail(writing->role->stream, "writer_set_format", code);
    else
        board_count(TOTAL_FORMATS, 1);
    if (has_loan)
        writing_publish(writing, &loan, 1);
}

void writing_note_slots(const struct writing *writing) {
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writing->writer, &counters);
    atomic_store(&writing->seat->slots_used, counters.slots_used);
}

/* ---- the end ---- */

/* Without readers only the lowest slots are used in turn: who does not come up is leaked. */
static uint32_t find_highest_slot(struct writing *writing) {
    uint32_t highest = 0;
    for (unsigned i = 0; i < 32; i++) {
        struct shmframe_loan loan;
        int code = shmframe_writer_loan(writing->writer, SHMFRAME_NOW, &loan);
        if (code < 0)
            peer_fail(writing->role->stream, "a loan without readers", code);
        if (i >= 16 && loan.slot > highest)
            highest = loan.slot;
        loan.frame.bytes = sizeof(struct payload);
        shmframe_writer_publish(writing->writer, &loan);
    }
    return highest;
}

/* Ring, notice page, links in stock; session, ring, a wake socket for each link. */
static void expect_all_back(struct writing *writing) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(15000000000));
    for (;;) {
        shmframe_session_dispatch(writing->session);
        struct holdings now;
        holdings_count(getpid(), &now);
        const uint32_t readers = shmframe_writer_readers(writing->writer);
        const uint32_t slot = readers ? UINT32_MAX : find_highest_slot(writing);
        const unsigned descriptors = now.descriptors - writing->before.descriptors;
        if (readers == 0 && slot <= writing->role->loans + 1 &&
            now.mappings <= 2 + 2 * LINKS_LEFT_MAX && descriptors <= 6 + LINKS_LEFT_MAX)
            return;
        if (shmframe_now_ns() > deadline_ns) {
            board_fault("%s: the writer is left with %u readers, slot %u in use, %u mappings, %u "
                        "descriptors",
                        writing->role->stream, readers, slot, now.mappings, descriptors);
            return;
        }
        peer_sleep(20000000);
    }
}

void writing_close(struct writing *writing) {
    expect_all_back(writing);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writing->writer, &counters);
    board_count(TOTAL_COLD, counters.loans_cold);
    shmframe_writer_close(writing->writer);
    shmframe_session_close(writing->session);
    struct holdings after;
    holdings_count(getpid(), &after);
    if (after.descriptors != writing->before.descriptors || after.mappings != 0)
        board_fault("%s: a closed writer leaves %u descriptors of %u and %u mappings",
                    writing->role->stream, after.descriptors, writing->before.descriptors,
                    after.mappings);
}
