#include "trial.h"

#include "world.h"

#include <signal.h>
#include <string.h>

/* ... and while there is no supervisor. */
enum { FRAMES_ALONE = 6 };

/* What the counters were before. */
struct marks {
    size_t lines;
    pid_t victim;
    struct {
        uint64_t frames, lost, skipped;
        uint32_t gone, ended;
    } seat[SEATS];
};

static struct seat *seat_of(unsigned number) {
    return &board->seat[number];
}

static struct marks take_marks(void) {
    struct marks marks = {.lines = diary_lines()};
    for (unsigned i = 0; i < SEATS; i++) {
        const struct seat *seat = seat_of(i);
        marks.seat[i].frames = atomic_load(&seat->frames);
        marks.seat[i].lost = atomic_load(&seat->lost);
        marks.seat[i].skipped = atomic_load(&seat->skipped);
        marks.seat[i].gone = atomic_load(&seat->gone);
        marks.seat[i].ended = atomic_load(&seat->ended);
    }
    return marks;
}

/* ---- what brings the role to its step ---- */

static struct point *point_of(const struct trial *trial) {
    static const unsigned seats[ROLES] = {SEAT_MAIN_WRITER, SEAT_GUEST, 0};
    return trial->row->role == ROLE_SUPERVISOR ? &board->supervisor
                                               : &seat_of(seats[trial->row->role])->point;
}

static pid_t *pid_of(const struct trial *trial) {
    static const unsigned seats[ROLES] = {SEAT_MAIN_WRITER, SEAT_GUEST, 0};
    return trial->row->role == ROLE_SUPERVISOR ? &cast.supervisor
                                               : &cast.pid[seats[trial->row->role]];
}

/* Where frames flow any of them may do. */
static bool is_flowing(enum scene scene) {
    return scene <= SCENE_LOSSLESS;
}

static void arm(const struct trial *trial) {
    struct point *point = point_of(trial);
    atomic_store(&point->reached_ns, 0);
    atomic_store(&point->held, 0);
    atomic_store(&point->signal, trial->action == ACTION_KILL ? SIGKILL : SIGSTOP);
    atomic_store(&point->passes, 1 + (is_flowing(trial->row->scene) ? (uint32_t)trial->skip : 0));
    atomic_store(&point->armed, (uint32_t)trial->row->step);
}

static bool is_on_main(const struct trial *trial) {
    const bool is_dying = trial->row->scene == SCENE_DEATH && trial->row->role == ROLE_WRITER;
    return trial->row->scene == SCENE_FORMAT || is_dying;
}

static void seat_guest(const struct trial *trial) {
    const enum scene scene = trial->row->scene;
    const bool is_lossless =
        scene == SCENE_LOSSLESS || (scene == SCENE_SPACE && trial->row->role == ROLE_READER);
    cast.guest = (struct reader_role){.stream = is_on_main(trial) ? "main" : "side",
                                      .policy = is_lossless             ? SHMFRAME_LOSSLESS
                                                : scene == SCENE_LATEST ? SHMFRAME_LATEST
                                                                        : SHMFRAME_IN_ORDER,
                                      .depth = 4,
                                      .is_polling = scene == SCENE_POLLING};
    cast_fill(SEAT_GUEST);
}

static bool end_supervisor(void) {
    kill(cast.supervisor, SIGKILL);
    return cast_await_kill(cast.supervisor);
}

static bool end_peer(unsigned seat) {
    kill(cast.pid[seat], SIGKILL);
    return cast_await_kill(cast.pid[seat]);
}

static bool let_leave(unsigned seat) {
    atomic_store(&seat_of(seat)->wish, WISH_LEAVE);
    return cast_await_leave(seat);
}

/* The guest that the scene needs before the step is armed. */
static bool prepare_guest(const struct trial *trial) {
    const enum scene scene = trial->row->scene;
    const bool is_needed = (trial->row->role == ROLE_READER && scene != SCENE_JOIN) ||
                           scene == SCENE_LEAVE || scene == SCENE_DEATH;
    if (!is_needed)
        return true;
    seat_guest(trial);
    return world_await_frames(SEAT_GUEST, 3);
}

static unsigned writer_of_guest(const struct trial *trial) {
    return is_on_main(trial) ? SEAT_MAIN_WRITER : SEAT_SIDE_WRITER;
}

/* A lossless reader holds on to a frame until its writer waits for it. */
static bool hold_back(unsigned seat, unsigned writer) {
    const struct seat *held = seat_of(seat);
    atomic_store(&seat_of(seat)->wish, WISH_HOLD);
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    uint64_t frames = 0;
    for (unsigned same = 0; same < 10;) {
        const uint64_t now = atomic_load(&seat_of(writer)->frames);
        same = now == frames && atomic_load(&held->is_holding) ? same + 1 : 0;
        frames = now;
        if (shmframe_now_ns() > deadline_ns)
            return false;
        sleep_ns(3000000);
    }
    return true;
}

static bool have_readers_heard(const struct marks *marks, bool is_end) {
    for (unsigned i = SEAT_MAIN_ORDER; i <= SEAT_MAIN_LATEST; i++) {
        const struct seat *seat = seat_of(i);
        if (is_end ? atomic_load(&seat->ended) == marks->seat[i].ended
                   : atomic_load(&seat->gone) == marks->seat[i].gone)
            return false;
    }
    return true;
}

/* Its readers have heard so, too: what they hear later is of what comes then. */
static bool end_stream(void) {
    const struct marks marks = take_marks();
    const pid_t pid = cast.pid[SEAT_MAIN_WRITER];
    if (!let_leave(SEAT_MAIN_WRITER))
        return false;
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    while (!have_readers_heard(&marks, true)) {
        if (shmframe_now_ns() > deadline_ns) {
            board_fault("readers have not heard of the end of process %d", (int)pid);
            return false;
        }
        sleep_ns(200000);
    }
    const enum note note = diary_await(marks.lines, pid);
    if (note != NOTE_ENDED)
        board_fault("the end of process %d is told as %d", (int)pid, (int)note);
    return note == NOTE_ENDED;
}

/* What is to be so before the step counts. */
static bool prepare(const struct trial *trial) {
    const enum scene scene = trial->row->scene;
    if (!prepare_guest(trial))
        return false;
    if (scene == SCENE_OPEN)
        return end_stream();
    if (scene == SCENE_SPACE && trial->row->role == ROLE_READER)
        return hold_back(SEAT_GUEST, SEAT_SIDE_WRITER);
    if (scene == SCENE_RESTART && trial->row->role == ROLE_SUPERVISOR)
        return end_supervisor();
    return true;
}

static void wish(unsigned seat, enum wish wish) {
    atomic_store(&seat_of(seat)->wish, wish);
}

static bool restart_supervisor(const struct trial *trial) {
    if (trial->row->role != ROLE_SUPERVISOR && !end_supervisor())
        return false;
    cast_start_supervisor();
    return true;
}

static bool provoke(const struct trial *trial) {
    switch (trial->row->scene) {
    case SCENE_FLOW:
    case SCENE_LATEST:
    case SCENE_POLLING:
    case SCENE_LOSSLESS:
    case SCENES:
        break;
    case SCENE_SPACE:
        if (trial->row->role == ROLE_READER)
            wish(SEAT_GUEST, WISH_NONE);
        else
            wish(SEAT_MAIN_LOSSLESS, WISH_HOLD);
        break;
    case SCENE_OPEN:
        cast_fill(SEAT_MAIN_WRITER);
        break;
    case SCENE_JOIN:
        seat_guest(trial);
        break;
    case SCENE_FORMAT:
        wish(SEAT_MAIN_WRITER, WISH_FORMAT);
        break;
    case SCENE_LEAVE:
        wish(SEAT_GUEST, WISH_LEAVE);
        break;
    case SCENE_END:
        wish(SEAT_MAIN_WRITER, WISH_LEAVE);
        break;
    case SCENE_DEATH:
        return end_peer(SEAT_GUEST);
    case SCENE_DEATH_WRITER:
        return end_peer(SEAT_MAIN_WRITER);
    case SCENE_RESTART:
        return restart_supervisor(trial);
    }
    return true;
}

/* ---- what is seen of it ---- */

/* Whose frames go on whatever happens. */
static unsigned witness_of(const struct trial *trial) {
    if (trial->row->role == ROLE_READER && (trial->row->is_waited_for || is_on_main(trial)))
        return SEAT_MAIN_WRITER;
    return SEAT_SIDE_WRITER;
}

static bool await_others(const struct trial *trial, uint64_t frames) {
    const unsigned writer = witness_of(trial);
    return world_await_frames(writer, frames) && world_await_frames(writer + 1, 2);
}

static enum heard find_heard(const struct trial *trial, const struct marks *marks) {
    if (trial->row->role == ROLE_READER) {
        const struct seat *writer = seat_of(writer_of_guest(trial));
        return atomic_load(&writer->left) == marks->victim ? HEARD_LEFT : HEARD_NONE;
    }
    return have_readers_heard(marks, false)  ? HEARD_GONE
           : have_readers_heard(marks, true) ? HEARD_ENDED
                                             : HEARD_NONE;
}

static enum heard await_heard(const struct trial *trial, const struct marks *marks) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    enum heard heard;
    while ((heard = find_heard(trial, marks)) == HEARD_NONE && shmframe_now_ns() < deadline_ns)
        sleep_ns(200000);
    return heard;
}

/* What is told while it is stopped, or once it was killed: waits for what is expected, otherwise
 * until all that could tell has had its time. */
static void hear(struct trial *trial, const struct marks *marks, bool is_killed) {
    const struct row *row = trial->row;
    const struct outcome expected = table_expect(row, is_killed ? ACTION_KILL : ACTION_STOP);
    struct outcome *seen = &trial->seen;
    if (expected.note == NOTE_NONE && is_killed)
        trial->is_done = world_await_supervisor_forgets() && trial->is_done;
    if (expected.heard != HEARD_NONE)
        seen->heard = await_heard(trial, marks);
    if (expected.note != NOTE_NONE && expected.note != NOTE_LATER)
        seen->note = diary_await(marks->lines, marks->victim);
    diary_read();
    seen->heard = find_heard(trial, marks);
    seen->note = diary_find(marks->lines, marks->victim);
    /* The account of the whole run tells whether it came; here it may have come already. */
    if (expected.note == NOTE_LATER)
        seen->note = NOTE_LATER;
}

/* The frame that the writer was at when it came to its step: of its life, with its index. */
struct frame_under_way {
    uint64_t of_life, index;
};

static struct frame_under_way find_frame(void) {
    const struct seat *writer = seat_of(SEAT_MAIN_WRITER);
    return (struct frame_under_way){.of_life = atomic_load(&writer->of_life),
                                    .index = atomic_load(&writer->index)};
}

/* By the reader in order, which has taken all there is. */
static enum frame judge_frame(const struct trial *trial, const struct frame_under_way *frame) {
    const struct seat *reader = seat_of(SEAT_MAIN_ORDER);
    if (trial->row->frame == FRAME_NONE)
        return FRAME_NONE;
    const bool is_given = atomic_load(&reader->of_life) == frame->of_life &&
                          atomic_load(&reader->index) >= frame->index;
    return is_given ? FRAME_NEW : FRAME_OLD;
}

static bool is_guest_reclaimed(const struct trial *trial) {
    const struct seat *writer = seat_of(writer_of_guest(trial));
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    /* As the writer saw it after a later loan. */
    if (!world_await_frames(writer_of_guest(trial), 1))
        return false;
    while (atomic_load(&writer->links) + atomic_load(&writer->leases) > 0) {
        if (shmframe_now_ns() > deadline_ns) {
            board_fault("the writer still minds %u links and %u leases of a dead reader",
                        atomic_load(&writer->links), atomic_load(&writer->leases));
            return false;
        }
        sleep_ns(300000);
    }
    return true;
}

/* What is seen while it is stopped. */
static void watch_stopped(struct trial *trial, const struct marks *marks) {
    const struct row *row = trial->row;
    const struct seat *writer = seat_of(writer_of_guest(trial));
    const uint64_t before = atomic_load(&writer->frames);
    if (!await_others(trial, row->is_long ? FRAMES_OF_GRACE : FRAMES_STOPPED))
        trial->is_done = false;
    if (row->role == ROLE_READER)
        trial->seen.is_waited_for = atomic_load(&writer->frames) - before < FRAMES_STOPPED / 2;
    /* One that waits does not look. */
    if (row->role == ROLE_READER && !row->is_waited_for &&
        atomic_load(&writer->leases) != point_of(trial)->held) {
        board_fault("the writer minds %u leases of a stopped reader that has %u",
                    atomic_load(&writer->leases), atomic_load(&point_of(trial)->held));
        trial->is_done = false;
    }
    if (row->role != ROLE_SUPERVISOR)
        hear(trial, marks, false);
}

/* ---- afterwards ---- */

static void loosen(const struct trial *trial) {
    if (trial->row->scene == SCENE_SPACE && trial->row->role == ROLE_WRITER)
        wish(SEAT_MAIN_LOSSLESS, WISH_NONE);
}

static void see_own(struct trial *trial, const struct marks *marks) {
    const struct seat *guest = seat_of(SEAT_GUEST);
    trial->is_done = world_await_frames(SEAT_GUEST, 3) && trial->is_done;
    if (atomic_load(&guest->lost) != marks->seat[SEAT_GUEST].lost)
        trial->seen.own = OWN_LOST;
    else if (atomic_load(&guest->skipped) - marks->seat[SEAT_GUEST].skipped >= FRAMES_STOPPED / 2)
        trial->seen.own = OWN_SKIPPED;
}

/* One who goes on does what it was about to do. */
static void see_it_go_on(struct trial *trial, const struct marks *marks,
                         const struct frame_under_way *frame) {
    const enum scene scene = trial->row->scene;
    bool is_well = true;
    if (trial->row->role == ROLE_READER && scene != SCENE_LEAVE)
        see_own(trial, marks);
    if (trial->row->role != ROLE_WRITER || scene == SCENE_END)
        return;
    if (scene == SCENE_FORMAT)
        is_well = world_await_wish_done(SEAT_MAIN_WRITER);
    is_well = is_well && world_await_frames(SEAT_MAIN_WRITER, 2) &&
              world_await_frames(SEAT_MAIN_ORDER, 3);
    trial->is_done = is_well && trial->is_done;
    trial->seen.frame = judge_frame(trial, frame);
}

/* Once it is dead. */
static void see_the_end(struct trial *trial, const struct marks *marks,
                        const struct frame_under_way *frame) {
    hear(trial, marks, true);
    if (trial->row->role == ROLE_READER)
        trial->is_done = is_guest_reclaimed(trial) && trial->is_done;
    else
        trial->seen.frame = judge_frame(trial, frame);
}

/* What was asked of a supervisor is done, by the next one if need be. */
static bool await_asked(const struct trial *trial) {
    switch (trial->row->scene) {
    case SCENE_JOIN:
        return world_await_frames(SEAT_GUEST, 2);
    case SCENE_OPEN:
        return world_await_frames(SEAT_MAIN_WRITER, 2);
    case SCENE_FORMAT:
        return world_await_wish_done(SEAT_MAIN_WRITER);
    case SCENE_LEAVE:
        return cast_await_leave(SEAT_GUEST);
    case SCENE_END:
        return cast_await_leave(SEAT_MAIN_WRITER);
    case SCENE_FLOW:
    case SCENE_LATEST:
    case SCENE_POLLING:
    case SCENE_LOSSLESS:
    case SCENE_SPACE:
    case SCENE_DEATH:
    case SCENE_DEATH_WRITER:
    case SCENE_RESTART:
    case SCENES:
        break;
    }
    return true;
}

/* Whoever is missing comes again; a guest that lives leaves. */
static bool restore(const struct trial *trial) {
    bool is_well = true;
    if (trial->row->role == ROLE_WRITER && trial->row->scene == SCENE_END &&
        cast.pid[SEAT_MAIN_WRITER] != 0)
        is_well = cast_await_leave(SEAT_MAIN_WRITER);
    if (trial->row->role == ROLE_READER && trial->row->scene == SCENE_LEAVE &&
        cast.pid[SEAT_GUEST] != 0)
        is_well = cast_await_leave(SEAT_GUEST);
    if (cast.supervisor == 0) {
        is_well = await_others(trial, FRAMES_ALONE) && is_well;
        cast_start_supervisor();
    }
    if (trial->row->role == ROLE_SUPERVISOR)
        is_well = await_asked(trial) && is_well;
    if (cast.pid[SEAT_MAIN_WRITER] == 0)
        cast_fill(SEAT_MAIN_WRITER);
    is_well = is_well && world_settle();
    if (cast.pid[SEAT_GUEST] != 0)
        is_well = is_well && let_leave(SEAT_GUEST);
    return is_well;
}

static void note_told(struct trial *trial, int64_t since_ns) {
    int64_t last_ns = 0;
    for (unsigned i = 0; i < SEATS; i++) {
        const int64_t heard_ns = atomic_load(&seat_of(i)->heard_ns);
        last_ns = heard_ns > last_ns ? heard_ns : last_ns;
    }
    trial->told_ns = trial->seen.heard != HEARD_NONE && last_ns > since_ns ? last_ns - since_ns : 0;
}

/* Waits for the signal at the step; sends the other one. Returns when what is told of began. */
static int64_t do_action(struct trial *trial, const struct marks *marks) {
    const pid_t victim = marks->victim;
    struct point *point = point_of(trial);
    if (trial->action == ACTION_KILL) {
        trial->is_done = cast_await_kill(victim) && trial->is_done;
        trial->seen.held = atomic_load(&point->held);
        return atomic_load(&point->reached_ns);
    }
    trial->is_done = cast_await_stop(victim) && trial->is_done;
    trial->seen.held = atomic_load(&point->held);
    if (!trial->is_done)
        return shmframe_now_ns();
    watch_stopped(trial, marks);
    const int64_t since_ns = shmframe_now_ns();
    kill(victim, trial->action == ACTION_STOP ? SIGCONT : SIGKILL);
    if (trial->action == ACTION_STOP_KILL)
        trial->is_done = cast_await_kill(victim) && trial->is_done;
    return since_ns;
}

/* What was told while it was stopped is no outcome of its death, but has to be nothing. */
static void begin_death(struct trial *trial, const struct outcome *stopped) {
    const struct outcome expected = table_expect(trial->row, ACTION_STOP);
    if (trial->action != ACTION_STOP_KILL || trial->row->role == ROLE_SUPERVISOR)
        return;
    if (stopped->note == expected.note && stopped->heard == expected.heard)
        return;
    board_fault("while it was stopped: %s", table_describe(trial->row->role, ACTION_STOP, stopped));
    trial->is_done = false;
}

static bool see_takeover(size_t lines) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    while (!diary_tells_of_takeover(lines)) {
        if (shmframe_now_ns() > deadline_ns) {
            board_fault("the journal does not tell of the next supervisor");
            return false;
        }
        diary_read();
        sleep_ns(1000000);
    }
    return true;
}

bool trial_run(struct trial *trial) {
    const enum role role = trial->row->role;
    trial->is_done = true;
    trial->seen = (struct outcome){0};
    if (!prepare(trial))
        return false;
    diary_read();
    struct marks marks = take_marks();
    arm(trial);
    if (!provoke(trial))
        return false;
    marks.victim = *pid_of(trial);
    const int64_t since_ns = do_action(trial, &marks);
    const struct frame_under_way frame = find_frame();
    begin_death(trial, &trial->seen);
    loosen(trial);
    if (role == ROLE_SUPERVISOR)
        trial->is_done = restore(trial) && trial->is_done;
    /* Whoever died without a supervisor: the next one is there by now, or comes. */
    else if (trial->action == ACTION_STOP)
        see_it_go_on(trial, &marks, &frame);
    else
        see_the_end(trial, &marks, &frame);
    note_told(trial, since_ns);
    const bool is_well = role == ROLE_SUPERVISOR ? trial->is_done : restore(trial);
    trial->well_ns = shmframe_now_ns() - since_ns;
    if (role == ROLE_SUPERVISOR && trial->action != ACTION_STOP)
        trial->is_done = see_takeover(marks.lines) && trial->is_done;
    return is_well;
}
