/* The writer of a stream: a source publishes frames of random size at a random pace, in batches and
 * in changing formats; a filter makes a frame of each that it reads. At the end both look whether
 * they got everything back. */
#include "reading.h"
#include "writing.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* ---- a source ---- */

/* Frames of a batch, or one; now and then one that is not published after all. */
static void publish_some(struct writing *writing) {
    struct shmframe_loan loans[LOANS_MAX];
    const uint32_t wanted = 1 + (uint32_t)peer_roll(&writing->random, writing->role->loans);
    uint32_t count = 0;
    while (count < wanted && writing_lend(writing, &loans[count]) == 0) {
        if (writing->index > 0 && peer_roll(&writing->random, 20) == 0) {
            loans[count].data[0] ^= 1;
            shmframe_writer_abandon(writing->writer, &loans[count]);
            board_count(TOTAL_ABANDONED, 1);
            continue;
        }
        writing_fill(writing, &loans[count++], NULL);
    }
    if (count > 0)
        writing_publish(writing, loans, count);
}

/* Mostly a few milliseconds; sometimes longer than the library's longest sleep, so that a wake-up
 * that is missing cannot hide behind it. */
static void pace(struct writing *writing) {
    const uint64_t kind = peer_roll(&writing->random, 40);
    if (kind == 0)
        peer_sleep(120000000 + (int64_t)peer_roll(&writing->random, 130000000));
    else if (kind > 8)
        peer_sleep((int64_t)peer_roll(&writing->random, 6000000));
}

static void publish_last(struct writing *writing) {
    struct shmframe_loan loan;
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(20000000000));
    while (writing_lend(writing, &loan) < 0)
        if (shmframe_now_ns() > deadline_ns)
            peer_fail(writing->role->stream, "the last loan", -ETIMEDOUT);
    writing_fill(writing, &loan, NULL);
    writing_publish(writing, &loan, 1);
}

static void run_source(struct writing *writing) {
    atomic_store(&writing->seat->is_open, true);
    while (atomic_load(&board->command) == COMMAND_RUN) {
        publish_some(writing);
        pace(writing);
        writing_note_slots(writing);
        const bool is_told = atomic_exchange(&writing->seat->wants_format, false);
        if (writing->role->has_formats && (is_told || peer_roll(&writing->random, 40) == 0))
            writing_change_format(writing);
    }
    publish_last(writing);
}

/* ---- a filter ---- */

static void find_origin(const struct reading *reading, const struct shmframe_lease *lease,
                        struct payload *out_origin) {
    memcpy(out_origin, lease->data, sizeof(*out_origin));
    if (out_origin->origin_sequence)
        return;
    out_origin->origin_stream = reading->role->stream;
    out_origin->origin_sequence = lease->frame.sequence;
    out_origin->origin_capture_ns = lease->frame.capture_ns;
}

/* While it goes on: who waits for a lossless reader of its own may have to wait for long. */
static void carry(struct writing *writing, const struct shmframe_lease *lease,
                  const struct payload *origin) {
    struct shmframe_loan loan;
    while (writing_lend(writing, &loan) < 0)
        if (atomic_load(&board->command) >= COMMAND_READERS_LEAVE)
            return;
    shmframe_loan_carry(&loan, lease);
    writing_fill(writing, &loan, origin);
    writing_publish(writing, &loan, 1);
}

static void filter_some(struct writing *writing, struct reading *reading) {
    reading_begin(reading);
    const unsigned count = reading_take(reading, reading->call_ns + INT64_C(400000000));
    if (count == 0)
        return;
    const struct held_frame *newest = &reading->held[reading->held_count - 1];
    struct payload origin;
    if (!newest->is_torn) {
        find_origin(reading, &newest->lease, &origin);
        carry(writing, &newest->lease, &origin);
    }
    reading_release(reading, reading->role->leases - 1);
    writing_note_slots(writing);
}

static void run_filter(struct writing *writing, struct reading *reading) {
    reading_open(reading, writing->session);
    atomic_store(&writing->seat->is_open, true);
    while (!reading_is_drained(reading))
        filter_some(writing, reading);
}

/* ---- the end ---- */

static void await_leave(struct writing *writing, struct reading *reading) {
    while (atomic_load(&board->command) != COMMAND_WRITERS_LEAVE) {
        struct pollfd mail = {.fd = shmframe_session_fd(writing->session), .events = POLLIN};
        poll(&mail, 1, 20);
        shmframe_session_dispatch(writing->session);
        if (reading->reader && atomic_load(&board->command) == COMMAND_READERS_LEAVE) {
            reading_release(reading, 0);
            reading_close(reading);
        }
    }
}

void writer_run(unsigned stream, uint32_t life, uint64_t seed) {
    struct writing writing;
    struct reading reading = {.reader = NULL};
    writing_init(&writing, stream, life, seed);
    const int64_t born_ns = shmframe_now_ns();
    writing_open(&writing);
    if (writing.role->is_filter) {
        reading_init(&reading, stream, 0, born_ns);
        run_filter(&writing, &reading);
    } else {
        run_source(&writing);
    }
    atomic_store(&writing.stream->last, writing.last);
    atomic_store(&writing.seat->is_drained, true);
    await_leave(&writing, &reading);
    writing_close(&writing);
    _exit(0);
}
