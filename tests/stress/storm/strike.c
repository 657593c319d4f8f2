#include "strike.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static void spin(int64_t duration_ns) {
    const int64_t until_ns = shmframe_now_ns() + duration_ns;
    while (shmframe_now_ns() < until_ns) {
    }
}

/* ---- stops ---- */

static void stop_for(struct stop *stop, const struct act *act) {
    *stop = (struct stop){.until_ns = shmframe_now_ns() + act->pause_ns,
                          .is_death = act->deed == DEED_STOP_KILL,
                          .seed = act->seed};
}

static void end_stop(struct cast *cast, unsigned number) {
    const struct stop stop = cast->stop[number];
    if (stop.is_death) {
        cast_seat_kill(cast, number);
        cast_seat_fill(cast, number, stop.seed);
    } else {
        kill(cast->pid[number], SIGCONT);
        board_pause_end(&board->seat[number]);
    }
    cast->stop[number].until_ns = 0;
}

static void end_supervisor_stop(struct cast *cast) {
    if (cast->supervisor_stop.is_death) {
        cast_supervisor_kill(cast);
        cast_supervisor_start(cast);
    } else {
        cast_supervisor_resume(cast);
    }
}

static void end_stops_due(struct cast *cast, int64_t now_ns) {
    for (unsigned i = 0; i < SEATS; i++)
        if (cast->stop[i].until_ns && cast->stop[i].until_ns <= now_ns)
            end_stop(cast, i);
    if (cast->supervisor_stop.until_ns && cast->supervisor_stop.until_ns <= now_ns)
        end_supervisor_stop(cast);
}

void strike_end_stops(struct cast *cast) {
    end_stops_due(cast, shmframe_now_ns());
}

void strike_end_all_stops(struct cast *cast) {
    end_stops_due(cast, INT64_MAX);
}

/* ---- to a door, and some instructions further ---- */

/* Whether the peer comes to the door before long. */
static bool await_door(struct cast *cast, const struct seat *seat, enum door door) {
    const int64_t until_ns = shmframe_now_ns() + 300000000;
    while (atomic_load(&seat->door) != (uint32_t)door) {
        if (shmframe_now_ns() > until_ns || board_has_faults())
            return false;
        strike_end_stops(cast);
        peer_sleep(50000);
    }
    return true;
}

static bool await_trap(pid_t pid, int64_t until_ns) {
    for (;;) {
        int status;
        const pid_t changed = waitpid(pid, &status, __WALL | WNOHANG);
        if (changed == pid)
            return WIFSTOPPED(status);
        if (changed < 0 || shmframe_now_ns() > until_ns)
            return false;
    }
}

enum place {
    PLACE_FREE = 0, /* nobody holds it */
    PLACE_TRAP,     /* traced, between two instructions */
    PLACE_ASLEEP, /* traced, in a call of the system: it can be killed there, but not left alone */
};

/* Lets the peer do so many instructions after the door. A call of the system counts as one. */
static enum place step(struct cast *cast, unsigned number, unsigned steps) {
    const pid_t pid = cast->pid[number];
    const int64_t until_ns = shmframe_now_ns() + 200000000;
    if (!cast->can_step || ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
        return PLACE_FREE;
    bool is_trapped = ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && await_trap(pid, until_ns);
    atomic_store(&board->seat[number].held_at, DOOR_NONE);
    for (unsigned i = 0; i < steps && is_trapped; i++)
        is_trapped = ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && await_trap(pid, until_ns);
    return is_trapped ? PLACE_TRAP : PLACE_ASLEEP;
}

/* Ends PLACE_TRAP. `is_stop`: it is stopped then. */
static void leave_trace(pid_t pid, bool is_stop) {
    if (is_stop)
        kill(pid, SIGSTOP);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

/* Doors that a peer passes once, when it comes. */
static bool is_entrance(enum door door) {
    return door == DOOR_SESSION || door == DOOR_OPEN;
}

static void hold(unsigned number, enum door door) {
    board_pause_begin(&board->seat[number]);
    atomic_store(&board->seat[number].held_at, door);
}

/* Between a few instructions and a few milliseconds after the door. */
static enum place go_to_door(struct cast *cast, const struct act *act, struct strikes *strikes) {
    struct seat *seat = &board->seat[act->seat];
    hold(act->seat, act->door);
    if (act->door == DOOR_FORMAT)
        atomic_store(&seat->wants_format, true);
    const bool is_there = await_door(cast, seat, act->door);
    const enum place place =
        is_there && act->steps ? step(cast, act->seat, act->steps) : PLACE_FREE;
    if (place != PLACE_FREE) {
        strikes->in_step++;
        return place;
    }
    atomic_store(&seat->held_at, DOOR_NONE);
    spin(act->spin_ns);
    strikes->at_door++;
    return PLACE_FREE;
}

/* ---- deeds ---- */

static void kill_and_fill(struct cast *cast, const struct act *act) {
    cast_seat_kill(cast, act->seat);
    if (act->absent_ns)
        peer_sleep(act->absent_ns);
    cast_seat_fill(cast, act->seat, act->seed);
}

/* A peer that is to be struck where it comes in, and is past that: its successor is. */
static void begin_anew(struct cast *cast, const struct act *act) {
    cast_seat_kill(cast, act->seat);
    atomic_store(&board->seat[act->seat].held_at, act->door);
    cast_seat_fill(cast, act->seat, act->seed ^ 1);
}

static void strike_peer(struct cast *cast, const struct act *act, struct strikes *strikes) {
    enum place place = PLACE_FREE;
    if (is_entrance(act->door) && atomic_load(&board->seat[act->seat].is_open))
        begin_anew(cast, act);
    board_pause_begin(&board->seat[act->seat]);
    if (act->door != DOOR_NONE) {
        place = go_to_door(cast, act, strikes);
    } else {
        spin(act->spin_ns);
        strikes->at_once++;
    }
    if (act->deed == DEED_KILL || place == PLACE_ASLEEP) {
        kill_and_fill(cast, act);
        return;
    }
    if (place == PLACE_TRAP)
        leave_trace(cast->pid[act->seat], true);
    else
        kill(cast->pid[act->seat], SIGSTOP);
    stop_for(&cast->stop[act->seat], act);
}

/* A reader that holds frames loses its place, and the writer goes on. */
static void evict(struct cast *cast, const struct act *act, struct strikes *strikes) {
    enum { MAYBE_MS = 6000 };
    struct seat *seat = &board->seat[act->seat];
    hold(act->seat, act->door);
    if (await_door(cast, seat, act->door)) {
        atomic_store(&board->evict_seat, act->seat);
        atomic_store(&board->evict_reading, act->reading);
        atomic_fetch_add(&seat->evictions[act->reading], 1);
        const uint32_t question = atomic_fetch_add(&board->evict_asked, 1) + 1;
        const int64_t deadline_ns = shmframe_deadline_ns(MAYBE_MS * INT64_C(1000000));
        while (atomic_load(&board->evict_done) != question && shmframe_now_ns() < deadline_ns) {
            strike_end_stops(cast);
            peer_sleep(500000);
        }
        strikes->evicted += atomic_load(&board->evict_code) == 0;
        peer_sleep(act->pause_ns);
    }
    atomic_store(&seat->held_at, DOOR_NONE);
    board_pause_end(seat);
}

/* Who sleeps there is replaced: it has nothing to do. */
static bool trap_at(struct cast *cast, const struct act *act, unsigned number, enum door door,
                    unsigned steps) {
    struct seat *seat = &board->seat[number];
    hold(number, door);
    enum place place = PLACE_FREE;
    if (await_door(cast, seat, door)) {
        peer_sleep(2000000); /* so that there is something to take */
        place = step(cast, number, steps);
    }
    if (place == PLACE_TRAP)
        return true;
    atomic_store(&seat->held_at, DOOR_NONE);
    board_pause_end(seat);
    if (place == PLACE_ASLEEP) {
        cast_seat_kill(cast, number);
        cast_seat_fill(cast, number, act->seed);
    }
    return false;
}

static void let_go(struct cast *cast, unsigned number) {
    leave_trace(cast->pid[number], false);
    board_pause_end(&board->seat[number]);
}

/* The reader is left in the midst of acquire while frames go by, then goes on while its writer is
 * left in the midst of loan or publish; what it has then, it keeps until the writer has gone on. */
static void cross(struct cast *cast, const struct act *act) {
    const struct reading_role *roles;
    seat_readings(act->seat, &roles);
    const unsigned writer = roles[act->reading].stream;
    if (!trap_at(cast, act, act->seat, DOOR_ACQUIRE, act->steps))
        return;
    peer_sleep(act->pause_ns / 2);
    const bool is_crossed = cast->stop[writer].until_ns == 0 &&
                            trap_at(cast, act, writer, act->writer_door, act->writer_steps);
    atomic_store(&board->seat[act->seat].held_at, DOOR_RELEASE);
    leave_trace(cast->pid[act->seat], false);
    peer_sleep(2000000);
    if (is_crossed)
        let_go(cast, writer);
    peer_sleep(3000000);
    atomic_store(&board->seat[act->seat].held_at, DOOR_NONE);
    board_pause_end(&board->seat[act->seat]);
}

/* ---- the supervisor ---- */

static void strike_supervisor(struct cast *cast, const struct act *act) {
    if (act->has_seat && cast->stop[act->seat].until_ns == 0) {
        cast_seat_kill(cast, act->seat);
        cast_seat_fill(cast, act->seat, act->seed);
        peer_sleep(act->spin_ns);
    }
    if (act->deed == DEED_KILL) {
        cast_supervisor_kill(cast);
        peer_sleep(act->absent_ns);
        cast_supervisor_start(cast);
        return;
    }
    cast_supervisor_pause(cast);
    stop_for(&cast->supervisor_stop, act);
}

static bool is_stopped(const struct cast *cast, const struct act *act) {
    return (act->is_supervisor ? cast->supervisor_stop : cast->stop[act->seat]).until_ns != 0;
}

void strike(struct cast *cast, const struct act *act, struct strikes *strikes) {
    if (is_stopped(cast, act)) {
        /* Whoever is stopped can be killed where he is, and nothing else. */
        strikes->passed_over += act->deed != DEED_KILL;
        if (act->deed != DEED_KILL)
            return;
        strikes->count[DEED_STOP_KILL]++;
        if (act->is_supervisor)
            strike_supervisor(cast, act);
        else
            kill_and_fill(cast, act);
        return;
    }
    strikes->count[act->deed]++;
    if (act->is_supervisor)
        strike_supervisor(cast, act);
    else if (act->deed == DEED_EVICT)
        evict(cast, act, strikes);
    else if (act->deed == DEED_CROSS)
        cross(cast, act);
    else
        strike_peer(cast, act, strikes);
}
