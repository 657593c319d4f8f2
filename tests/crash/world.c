#include "world.h"

#include <signal.h>
#include <stdio.h>

/* What each had when all had come. */
static unsigned held_supervisor, held[SEATS];

static bool tell_late(const char *what) {
    if (cast_look())
        board_fault("in %d s it did not come to be that %s", (int)(PATIENCE_NS / 1000000000), what);
    return false;
}

/* Polls: what is awaited is in memory that others write without telling anybody. */
static bool await(bool (*is_so)(void *user), void *user, const char *what) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    while (!is_so(user)) {
        if (shmframe_now_ns() > deadline_ns)
            return tell_late(what);
        sleep_ns(300000);
    }
    return true;
}

struct goal {
    const _Atomic uint64_t *counter;
    uint64_t least;
};

static bool is_reached(void *user) {
    const struct goal *goal = user;
    return atomic_load(goal->counter) >= goal->least;
}

/* Waits until the counter is at least `least`. False, and a fault: not in time. */
static bool await_count(const _Atomic uint64_t *counter, uint64_t least, const char *what) {
    struct goal goal = {.counter = counter, .least = least};
    return await(is_reached, &goal, what);
}

static bool is_open(void *user) {
    const struct seat *seat = user;
    return atomic_load(&seat->is_open);
}

static bool await_open(unsigned number) {
    char what[64];
    snprintf(what, sizeof(what), "%s is open", seat_name(number));
    return await(is_open, &board->seat[number], what);
}

bool world_await_frames(unsigned number, uint64_t frames) {
    char what[64];
    snprintf(what, sizeof(what), "%s has %llu more frames", seat_name(number),
             (unsigned long long)frames);
    const struct seat *seat = &board->seat[number];
    return await_open(number) &&
           await_count(&seat->frames, atomic_load(&seat->frames) + frames, what);
}

static bool has_no_wish(void *user) {
    const struct seat *seat = user;
    return atomic_load(&seat->wish) == WISH_NONE;
}

bool world_await_wish_done(unsigned number) {
    return await(has_no_wish, &board->seat[number], "the format is changed");
}

/* ---- all is well ---- */

static bool is_connected(void *user) {
    const struct seat *seat = user;
    return atomic_load(&seat->is_connected);
}

static bool sees_all(void *user) {
    (void)user;
    const pid_t writers[] = {cast.pid[SEAT_MAIN_WRITER], cast.pid[SEAT_SIDE_WRITER]};
    return diary_sees_all(writers, cast.pid[SEAT_GUEST] != 0 ? cast.guest.stream : "");
}

bool world_settle(void) {
    bool is_well = true;
    for (unsigned i = 0; i < SEAT_GUEST && is_well; i++)
        is_well = await(is_connected, &board->seat[i], "everybody is connected again");
    is_well = is_well && await(sees_all, NULL, "the supervisor knows all streams and readers");
    uint64_t before[SEATS];
    for (unsigned i = 0; i < SEAT_GUEST; i++)
        before[i] = atomic_load(&board->seat[i].frames);
    for (unsigned i = 0; i < SEAT_GUEST && is_well; i++)
        is_well = await_count(&board->seat[i].frames, before[i] + 2, "frames flow to everybody");
    return is_well && cast_look();
}

static bool has_let_go(void *user) {
    (void)user;
    return cast_count_held(cast.supervisor) <= held_supervisor;
}

bool world_await_supervisor_forgets(void) {
    return await(has_let_go, NULL, "the supervisor lets go of what the dead had");
}

static bool is_light(void *user) {
    const unsigned *seat = user;
    return cast_count_held(cast.pid[*seat]) <= held[*seat];
}

bool world_check_held(void) {
    bool is_well = world_await_supervisor_forgets();
    for (unsigned i = 0; i < SEAT_GUEST && is_well; i++) {
        char what[96];
        snprintf(what, sizeof(what), "%s has no more descriptors and mappings than at first",
                 seat_name(i));
        is_well = await(is_light, &i, what);
    }
    return is_well;
}

/* ---- begin and end ---- */

static unsigned max(unsigned a, unsigned b) {
    return a > b ? a : b;
}

/* Until nothing has become more for a while: links are brought to stock after the readers came. */
static void weigh(void) {
    enum { LOOKS = 40, LOOK_NS = 10000000 };
    for (unsigned same = 0; same < LOOKS; same++) {
        unsigned more = 0;
        for (unsigned i = 0; i < SEAT_GUEST; i++) {
            const unsigned now = cast_count_held(cast.pid[i]);
            more += now > held[i];
            held[i] = max(held[i], now);
        }
        const unsigned now = cast_count_held(cast.supervisor);
        more += now > held_supervisor;
        held_supervisor = max(held_supervisor, now);
        same = more ? 0 : same;
        sleep_ns(LOOK_NS);
    }
}

bool world_begin(const char *program) {
    cast_begin(program);
    cast_start_supervisor();
    for (unsigned i = 0; i < SEAT_GUEST; i++)
        cast_fill(i);
    diary_begin();
    if (!world_settle())
        return false;
    diary_read();
    weigh();
    return true;
}

static bool leave(unsigned first, unsigned last) {
    bool is_well = true;
    for (unsigned i = first; i <= last; i++)
        atomic_store(&board->seat[i].wish, WISH_LEAVE);
    for (unsigned i = first; i <= last && is_well; i++)
        is_well = cast.pid[i] == 0 || cast_await_leave(i);
    return is_well;
}

void world_finish(void) {
    if (atomic_load(&board->faults) == 0 && leave(SEAT_MAIN_ORDER, SEAT_MAIN_LATEST) &&
        leave(SEAT_SIDE_ORDER, SEAT_SIDE_LOSSLESS) && leave(SEAT_MAIN_WRITER, SEAT_MAIN_WRITER) &&
        leave(SEAT_SIDE_WRITER, SEAT_SIDE_WRITER))
        diary_check_balance();
    diary_end();
    const unsigned strangers = cast_finish();
    if (strangers > 0)
        board_fault("%u processes were left that nobody knew of", strangers);
}
