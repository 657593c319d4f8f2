#include "scene.h"

#include "floor.h"
#include "place.h"
#include "program.h"
#include "supervisor.h"

#include <stdio.h>
#include <time.h>

/* Longer than any slice: a reader that spins never falls asleep in between. */
#define SPIN_NS     INT64_C(60000000000)
#define OPEN_NS     INT64_C(20000000000)
#define LATE_NS     50000
#define WARM_FRAMES 20

struct peer {
    struct board *board;
    uint32_t number; /* of the reader */
    struct shmframe_session *session;
    struct shmframe_writer *writer[BOARD_LANES_MAX];
    struct shmframe_reader *reader[BOARD_LANES_MAX];
};

/* One slice of one lane. */
struct slice {
    uint32_t lane, repeat, frames;
    bool is_recorded;
};

static void name_stream(char *name, size_t bytes, uint32_t lane) {
    snprintf(name, bytes, "bench-%u", lane);
}

/* ---- pace ---- */

static void wait_until(const struct board *board, int64_t instant_ns) {
    if (board->is_spinning) {
        while (shmframe_now_ns() < instant_ns)
            ;
        return;
    }
    const struct timespec until = {.tv_sec = instant_ns / 1000000000,
                                   .tv_nsec = instant_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        ;
}

/* At its time, but not before every reader is done with the previous one and back to waiting. */
static int64_t await_turn(const struct board *board, const struct board_lane *lane, uint32_t done,
                          int64_t due_ns) {
    wait_until(board, due_ns);
    for (uint32_t i = 0; i < board->readers; i++)
        while (atomic_load_explicit(&board->reader[i].done, memory_order_acquire) < done) {
            due_ns = shmframe_now_ns() + LATE_NS;
            wait_until(board, due_ns);
        }
    return due_ns + lane->pace_ns;
}

/* ---- writer ---- */

static void open_writers(struct peer *peer) {
    peer->session = program_open_session();
    for (uint32_t i = 0; i < peer->board->lanes; i++) {
        if (peer->board->lane[i].is_floor)
            continue;
        char name[SHMFRAME_NAME_BYTES];
        name_stream(name, sizeof(name), i);
        const struct shmframe_writer_params params = {.stream = name,
                                                      .format = peer->board->lane[i].format};
        if (shmframe_writer_open(peer->session, &params, &peer->writer[i]) < 0 ||
            shmframe_writer_wait_readers(peer->writer[i], peer->board->readers,
                                         shmframe_deadline_ns(OPEN_NS)) < 0)
            program_fail_call(name);
    }
}

static void record(struct board *board, const struct slice *slice, enum board_measure measure,
                   uint32_t number, int64_t value_ns) {
    if (slice->is_recorded)
        board_add(board, slice->lane, slice->repeat, measure, number, value_ns);
}

static void fill(struct board *board, const struct slice *slice, uint8_t *data, uint32_t frame) {
    const struct board_lane *lane = &board->lane[slice->lane];
    if (!lane->is_touched)
        return;
    const int64_t start_ns = shmframe_now_ns();
    payload_fill(data, lane->format.slot_bytes, frame);
    record(board, slice, BOARD_FILL, 0, shmframe_now_ns() - start_ns);
}

/* Sends one frame, or one raw wake. Returns when the next one is due. */
static int64_t send_one(struct peer *peer, const struct slice *slice, uint32_t frame,
                        int64_t due_ns) {
    struct board *board = peer->board;
    const struct board_lane *lane = &board->lane[slice->lane];
    struct shmframe_writer *writer = peer->writer[slice->lane];
    struct shmframe_loan loan;
    if (!lane->is_floor && shmframe_writer_loan(writer, SHMFRAME_NOW, &loan) < 0)
        program_fail_call("loan");
    fill(board, slice, lane->is_floor ? board_buffer(board, frame) : loan.data, frame);
    due_ns = await_turn(board, lane, frame - 1, due_ns);
    const int64_t start_ns = shmframe_now_ns();
    if (lane->is_floor) {
        floor_wake(board, frame);
    } else {
        loan.frame.capture_ns = start_ns; /* the reader subtracts it */
        if (shmframe_writer_publish(writer, &loan) < 0)
            program_fail_call("publish");
    }
    record(board, slice, BOARD_PUBLISH, 0, shmframe_now_ns() - start_ns);
    return due_ns;
}

static void write_slice(struct peer *peer, const struct slice *slice) {
    struct board *board = peer->board;
    atomic_store_explicit(&board->line, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < board->readers; i++) {
        atomic_store_explicit(&board->reader[i].word, 0, memory_order_relaxed);
        atomic_store_explicit(&board->reader[i].done, 0, memory_order_relaxed);
    }
    board_meet(board);
    int64_t due_ns = shmframe_now_ns() + board->lane[slice->lane].pace_ns;
    for (uint32_t frame = 1; frame <= slice->frames; frame++)
        due_ns = send_one(peer, slice, frame, due_ns);
    board_meet(board);
}

/* ---- reader ---- */

static void open_readers(struct peer *peer) {
    peer->session = program_open_session();
    for (uint32_t i = 0; i < peer->board->lanes; i++) {
        if (peer->board->lane[i].is_floor)
            continue;
        char name[SHMFRAME_NAME_BYTES];
        name_stream(name, sizeof(name), i);
        const struct shmframe_reader_params params = {
            .stream = name,
            .spin_ns = peer->board->is_spinning ? SPIN_NS : 0,
            .deadline_ns = shmframe_deadline_ns(OPEN_NS),
        };
        if (shmframe_reader_open(peer->session, &params, &peer->reader[i]) < 0)
            program_fail_call(name);
    }
}

static void read_all(struct peer *peer, const struct slice *slice, const uint8_t *data) {
    const struct board_lane *lane = &peer->board->lane[slice->lane];
    if (!lane->is_touched)
        return;
    const int64_t start_ns = shmframe_now_ns();
    payload_sum(data, lane->format.slot_bytes);
    record(peer->board, slice, BOARD_READ, peer->number, shmframe_now_ns() - start_ns);
}

/* How long the news took, if the reader was waiting as the scene wants it. */
static void record_news(struct peer *peer, const struct slice *slice, bool is_as_wanted,
                        int64_t transit_ns, int64_t whole_ns) {
    if (is_as_wanted) {
        record(peer->board, slice, BOARD_TRANSIT, peer->number, transit_ns);
        record(peer->board, slice, BOARD_WHOLE, peer->number, whole_ns);
    } else if (slice->is_recorded) {
        peer->board->reader[peer->number].missed[slice->lane]++;
    }
}

static void take_frame(struct peer *peer, const struct slice *slice) {
    struct shmframe_reader *reader = peer->reader[slice->lane];
    struct shmframe_lease lease;
    if (shmframe_reader_acquire(reader, SHMFRAME_FOREVER, &lease) < 0)
        program_fail_call("acquire");
    const int64_t came_ns = shmframe_now_ns();
    record_news(peer, slice, (lease.wake_ns == 0) == peer->board->is_spinning,
                lease.acquire_ns - lease.frame.publish_ns, came_ns - lease.frame.capture_ns);
    peer->board->reader[peer->number].skipped += lease.skipped;
    read_all(peer, slice, lease.data);
    if (shmframe_reader_release(reader, &lease) < 0)
        program_fail_call("release");
}

static void take_wake(struct peer *peer, const struct slice *slice, uint32_t frame) {
    int64_t sent_ns, came_ns;
    const bool is_asleep = floor_wait(peer->board, peer->number, frame, &sent_ns, &came_ns);
    record_news(peer, slice, is_asleep, came_ns - sent_ns, came_ns - sent_ns);
    read_all(peer, slice, board_buffer(peer->board, frame));
}

static void read_slice(struct peer *peer, const struct slice *slice) {
    board_meet(peer->board);
    for (uint32_t frame = 1; frame <= slice->frames; frame++) {
        if (peer->board->lane[slice->lane].is_floor)
            take_wake(peer, slice, frame);
        else
            take_frame(peer, slice);
        atomic_store_explicit(&peer->board->reader[peer->number].done, frame, memory_order_release);
    }
    board_meet(peer->board);
}

/* ---- processes ---- */

/* The same order in every process. */
static void run_slices(struct peer *peer, void (*run)(struct peer *, const struct slice *)) {
    const struct board *board = peer->board;
    for (uint32_t lane = 0; lane < board->lanes; lane++)
        run(peer, &(struct slice){.lane = lane, .frames = WARM_FRAMES});
    for (uint32_t repeat = 0; repeat < board->repeats; repeat++)
        for (uint32_t i = 0; i < board->lane[0].slices; i++)
            for (uint32_t lane = 0; lane < board->lanes; lane++)
                run(peer,
                    &(struct slice){.lane = lane,
                                    .repeat = repeat,
                                    .frames = board->lane[lane].frames / board->lane[0].slices,
                                    .is_recorded = true});
}

static void run_writer(void *argument) {
    struct peer *peer = argument;
    place_pin(0);
    open_writers(peer);
    run_slices(peer, write_slice);
    for (uint32_t i = 0; i < peer->board->lanes; i++)
        shmframe_writer_close(peer->writer[i]);
    program_close_session(peer->session);
}

static void run_reader(void *argument) {
    struct peer *peer = argument;
    place_pin(place_of_reader(peer->number));
    open_readers(peer);
    run_slices(peer, read_slice);
    for (uint32_t i = 0; i < peer->board->lanes; i++)
        shmframe_reader_close(peer->reader[i]);
    program_close_session(peer->session);
}

void scene_run(struct board *board) {
    pid_t pids[1 + BOARD_READERS_MAX];
    for (uint32_t i = 0; i < board->readers; i++)
        pids[i] = process_start(run_reader, &(struct peer){.board = board, .number = i});
    pids[board->readers] = process_start(run_writer, &(struct peer){.board = board});
    process_join(pids, 1 + board->readers);
    for (uint32_t i = 0; i < board->readers; i++)
        if (board->reader[i].skipped)
            program_fail("reader %u skipped %llu frames: the writer did not wait for it", i,
                         (unsigned long long)board->reader[i].skipped);
}
