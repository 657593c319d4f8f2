#include "group.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>

struct group group;

enum { LOOK_AGAIN_MS = 5, FRAME_NS = 1000000000 / GROUP_FRAMES_A_SECOND };
static unsigned place; /* a reader's */

static void open_session(_Atomic uint64_t *interrupted) {
    const struct shmframe_session_params params = {.socket = world.socket,
                                                   .deadline_ns = world_deadline()};
    int code;
    while ((code = shmframe_session_open(&params, &world.session)) == -EINTR)
        atomic_fetch_add(interrupted, 1);
    ck_assert_msg(code == 0, "no session: %s", shmframe_last_error());
}

/* ---- the writer ---- */

static struct shmframe_writer *open_writer(void) {
    struct shmframe_writer_params params = {.stream = "group", .deadline_ns = world_deadline()};
    ck_assert_int_eq(shmframe_format_video(&params.format, "gray", 16, 16), 0);
    params.format.video.frame_rate = (struct shmframe_rational){GROUP_FRAMES_A_SECOND, 1};
    struct shmframe_writer *writer = NULL;
    int code;
    while ((code = shmframe_writer_open(world.session, &params, &writer)) == -EINTR)
        atomic_fetch_add(&group.board->interrupted, 1);
    ck_assert_msg(code == 0, "no writer: %s", shmframe_last_error());
    return writer;
}

static int publish(struct shmframe_writer *writer) {
    struct shmframe_loan loan;
    int code;
    while ((code = shmframe_writer_loan(writer, world_deadline(), &loan)) == -EINTR ||
           code == -ETIMEDOUT)
        atomic_fetch_add(&group.board->interrupted, code == -EINTR);
    if (code < 0)
        return code;
    loan.frame.capture_ns = shmframe_now_ns();
    memset(loan.data, (int)(uint8_t)(atomic_load(&group.board->published) + 1), 256);
    return shmframe_writer_publish(writer, &loan);
}

static void sleep_until(int64_t instant_ns) {
    const struct timespec instant = {.tv_sec = instant_ns / 1000000000,
                                     .tv_nsec = instant_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &instant, NULL) == EINTR)
        continue;
}

/* A reader whose open was interrupted may be linked for a moment, and another one the next time:
 * that so many are linked does not say that all are there. */
static int wait_readers(struct shmframe_writer *writer) {
    int code;
    while ((code = shmframe_writer_wait_readers(writer, GROUP_READERS, world_deadline())) == -EINTR)
        atomic_fetch_add(&group.board->interrupted, 1);
    for (unsigned i = 0; i < GROUP_READERS; i++)
        while (!atomic_load(&group.board->reader[i].is_open) && !atomic_load(&group.board->is_over))
            sleep_until(shmframe_now_ns() + FRAME_NS);
    return code;
}

static void write_frames(void) {
    struct group_board *board = group.board;
    if (group.begin)
        group.begin();
    open_session(&board->interrupted);
    struct shmframe_writer *writer = open_writer();
    int code = wait_readers(writer);
    while (code == 0 && !atomic_load(&board->is_over)) {
        code = publish(writer);
        if (code == 0)
            atomic_fetch_add(&board->published, 1);
        sleep_until(shmframe_now_ns() + FRAME_NS);
    }
    atomic_store(&board->wrong, code);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    atomic_store(&board->late, counters.late);
    atomic_store(&board->generation, counters.generation);
    shmframe_writer_close(writer);
    shmframe_session_close(world.session);
}

/* ---- a reader ---- */

static struct shmframe_reader *open_reader(struct group_reader *self) {
    static const enum shmframe_policy POLICIES[GROUP_READERS] = {SHMFRAME_LATEST, SHMFRAME_IN_ORDER,
                                                                 SHMFRAME_LOSSLESS};
    const struct shmframe_reader_params params = {.stream = "group",
                                                  .policy = POLICIES[place],
                                                  .depth = place ? SHMFRAME_DEPTH_MAX : 0,
                                                  .deadline_ns = world_deadline()};
    struct shmframe_reader *reader = NULL;
    int code;
    while ((code = shmframe_reader_open(world.session, &params, &reader)) == -EINTR)
        atomic_fetch_add(&self->interrupted, 1);
    ck_assert_msg(code == 0, "no reader: %s", shmframe_last_error());
    return reader;
}

static int take(struct shmframe_reader *reader, struct group_reader *self) {
    struct shmframe_lease lease;
    int code = shmframe_reader_acquire(reader, world_deadline(), &lease);
    atomic_fetch_add(&self->interrupted, code == -EINTR);
    if (code == -EINTR || code == -ETIMEDOUT) /* the latter in a gap longer than the deadline */
        return 0;
    if (code < 0)
        return code;
    const bool is_whole = lease.data[0] == (uint8_t)lease.frame.sequence &&
                          lease.data[255] == (uint8_t)lease.frame.sequence;
    atomic_store(&self->taken, lease.frame.sequence);
    code = shmframe_reader_release(reader, &lease);
    return is_whole ? code : -EPROTO;
}

static void count_events(struct shmframe_reader *reader, struct group_reader *self) {
    struct shmframe_reader_event event;
    while (shmframe_reader_next_event(reader, &event) == 0)
        if (event.type != SHMFRAME_LOST && event.type != SHMFRAME_ENDED)
            atomic_fetch_add(&self->unasked, 1);
}

static void read_frames(void) {
    struct group_reader *self = &group.board->reader[place];
    if (group.begin)
        group.begin();
    open_session(&self->interrupted);
    struct shmframe_reader *reader = open_reader(self);
    atomic_store(&self->is_open, true);
    int code;
    do {
        code = take(reader, self);
        if (code != -ENODATA) /* after the end its writer goes, too */
            count_events(reader, self);
    } while (code == 0);
    atomic_store(&self->wrong, code == -ENODATA ? 0 : code);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    atomic_store(&self->delivered, counters.delivered);
    atomic_store(&self->lost, counters.lost_late + counters.lost_restart);
    shmframe_reader_close(reader);
    shmframe_session_close(world.session);
}

/* ---- all ---- */

void group_start(void) {
    group.board =
        mmap(NULL, sizeof(*group.board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne((void *)group.board, MAP_FAILED);
    memset(group.board, 0, sizeof(*group.board));
    group.writer = world_fork(write_frames);
    for (place = 0; place < GROUP_READERS; place++)
        group.reader[place] = world_fork(read_frames);
    group_await(25);
}

static void await_count(const _Atomic uint64_t *count, uint64_t wanted) {
    const uint64_t now = atomic_load(count), frames = wanted > now ? wanted - now : 0;
    const int64_t until_ns = world_deadline() + WORLD_NS + 3 * (int64_t)frames * FRAME_NS;
    while (atomic_load(count) < wanted) {
        ck_assert_msg(shmframe_now_ns() < until_ns, "no frame comes any more");
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
}

void group_await(uint64_t frames) {
    const uint64_t wanted = atomic_load(&group.board->published) + frames;
    await_count(&group.board->published, wanted);
    for (unsigned i = 0; i < GROUP_READERS; i++)
        await_count(&group.board->reader[i].taken, wanted);
}

void group_finish(void) {
    struct group_board *board = group.board;
    atomic_store(&board->is_over, true);
    world_join(group.writer);
    ck_assert_int_eq(atomic_load(&board->wrong), 0);
    for (unsigned i = 0; i < GROUP_READERS; i++) {
        world_join(group.reader[i]);
        ck_assert_int_eq(atomic_load(&board->reader[i].wrong), 0);
    }
}
