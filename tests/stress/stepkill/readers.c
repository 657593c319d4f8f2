/* A reader is killed, or stopped: the writer goes on, and gets back what it held. */
#include "scene.h"

#include <errno.h>
#include <shmframe/clock.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_BEFORE = 5, FRAMES_AFTER = 10 };

static const struct operation *operation_of(const struct scene *scene) {
    return scene->operation;
}

/* ---- before ---- */

static void create(struct scene *scene) {
    scene_create(scene, 1, 0, true);
    rig_grant(scene->rig, scene->victim, operation_of(scene)->want);
}

static void hold(struct scene *scene) {
    scene_take(scene, scene->holder, &scene->held);
}

static void read_one(struct scene *scene) {
    struct ring_frame frame;
    scene_take(scene, scene->victim, &frame);
    scene_must(scene, rig_give_back(scene->victim, &frame) == 0, "the victim reads no frame");
}

/* The victim takes and keeps some frames, the rest is for its work. */
static void prepare(struct scene *scene) {
    create(scene);
    for (unsigned i = 1; i <= FRAMES_BEFORE; i++) {
        struct ring_frame frame;
        const bool is_one_behind = operation_of(scene)->want.is_lossless && i == FRAMES_BEFORE;
        if (is_one_behind && ring_writer_behind(scene->rig->writer))
            break;
        scene_publish(scene, 1);
        if (i == 1)
            hold(scene);
        if (i <= operation_of(scene)->holds)
            scene_take(scene, scene->victim, &frame);
        else if (operation_of(scene)->want.is_lossless && i < FRAMES_BEFORE - 1)
            read_one(scene);
    }
    scene->before = scene->rig->sequence;
}

/* The victim has taken all there is. */
static void prepare_idle(struct scene *scene) {
    create(scene);
    for (unsigned i = 1; i <= FRAMES_BEFORE; i++) {
        scene_publish(scene, 1);
        if (i == 1)
            hold(scene);
        read_one(scene);
    }
    scene->before = scene->rig->sequence;
}

/* Its grant is stored, and that is all that the writer could know of it. */
static void prepare_unknown(struct scene *scene) {
    scene_create(scene, 1, 0, true);
    for (unsigned i = 1; i <= FRAMES_BEFORE; i++) {
        scene_publish(scene, 1);
        if (i == 1)
            hold(scene);
    }
    rig_grant(scene->rig, scene->victim, operation_of(scene)->want);
    scene->before = scene->rig->sequence;
}

/* The victim is as far behind as it may be, and the writer sleeps until it takes a frame. */
static void prepare_full(struct scene *scene) {
    create(scene);
    for (unsigned i = 0; !ring_writer_behind(scene->rig->writer); i++) {
        scene_publish(scene, 1);
        if (i == 0)
            hold(scene);
    }
    scene->before = scene->rig->sequence;
}

/* ---- the work ---- */

static bool is_whole(const struct scene *scene, const struct ring_frame *frame) {
    return scene_is_painted(scene, frame->slot, frame->sequence);
}

static void release(const struct scene *scene, const struct ring_frame *frame,
                    struct told_frame *out_told) {
    out_told->sequence = frame->sequence;
    out_told->is_whole = is_whole(scene, frame);
    out_told->code = rig_give_back(scene->victim, frame);
}

/* Returns how many. */
static int acquire(struct scene *scene, struct ring_frame *out_frames) {
    uint64_t retries = 0;
    struct ring_reader *reader = &scene->victim->reader;
    if (operation_of(scene)->frames == 1)
        return ring_acquire(reader, out_frames, &retries) == 0;
    return ring_acquire_batch(reader, out_frames, operation_of(scene)->frames, &retries);
}

static void work_read(struct scene *scene) {
    struct told *told = scene->told;
    struct ring_frame frame[SHMFRAME_LEASES_MAX];
    const int code = acquire(scene, frame);
    if (code < 1)
        _exit(3);
    for (int i = 0; i < code; i++)
        told->frame[i].was_whole = is_whole(scene, &frame[i]);
    for (int i = 0; i < code; i++)
        release(scene, &frame[i], &told->frame[i]);
    atomic_store(&told->frames, (unsigned)code);
}

static void work_put_back(struct scene *scene) {
    struct ring_frame frame[SHMFRAME_LEASES_MAX];
    const int code = acquire(scene, frame);
    if (code < 1)
        _exit(3);
    ring_put_back(&scene->victim->reader, &frame[1], (uint32_t)code - 1);
    scene->told->frame[0].was_whole = is_whole(scene, &frame[0]);
    release(scene, &frame[0], &scene->told->frame[0]);
    atomic_store(&scene->told->frames, 1);
}

static void wait_until(struct scene *scene, int64_t deadline_ns) {
    struct ring_reader *reader = &scene->victim->reader;
    const struct bell_others others = {
        .notice = scene->rig->notice,
        .notice_seen = atomic_load_explicit(&scene->rig->notice->word, memory_order_acquire)};
    bell_wait(&reader, 1, &others, deadline_ns);
}

static void work_wait(struct scene *scene) {
    wait_until(scene, SHMFRAME_FOREVER);
    if (ring_look(&scene->victim->reader, NULL) == RING_FRAME)
        work_read(scene);
}

static void work_time_out(struct scene *scene) {
    wait_until(scene, shmframe_now_ns());
}

static void work_poll(struct scene *scene) {
    bell_arm(&scene->victim->reader);
    bell_disarm(&scene->victim->reader);
}

static void work_leave(struct scene *scene) {
    ring_reader_leave(&scene->victim->reader);
}

static void publish_for_it(struct scene *scene) {
    scene_publish(scene, 1);
}

/* ---- after its death ---- */

static uint64_t read_lease(const struct scene *scene, unsigned cell) {
    return atomic_load_explicit(&scene->victim->lease->lease[cell], memory_order_acquire);
}

/* What it left behind looks like leases of frames that there are, and of no more than its grant. */
static unsigned count_leases(struct scene *scene) {
    unsigned leases = 0;
    for (unsigned cell = 0; cell < SHMFRAME_LEASES_MAX; cell++) {
        const uint64_t word = read_lease(scene, cell);
        if (word == 0)
            continue;
        const uint64_t sequence = word >> 16;
        leases++;
        scene_must(scene,
                   (word & LEASE_VALID) && sequence >= 1 && sequence <= scene->rig->sequence &&
                       lease_slot(word) < scene->rig->writer->slots,
                   "a lease word names no frame");
        scene_must(scene, cell < operation_of(scene)->want.leases, "a lease beyond its grant");
    }
    return leases;
}

/* Until its death is told, what it has on lease stays as it is: it might be alive. */
static void check_leases(struct scene *scene) {
    for (unsigned cell = 0; cell < operation_of(scene)->want.leases; cell++) {
        const uint64_t word = read_lease(scene, cell);
        if (word && lease_slot(word) < scene->rig->writer->slots)
            scene_must(scene, scene_is_painted(scene, lease_slot(word), word >> 16),
                       "what the dead one has on lease was overwritten");
    }
}

/* Slots that are neither free, nor in the history, nor the holder's. */
static unsigned count_busy(struct scene *scene) {
    const struct ring_writer *writer = scene->rig->writer;
    struct ring_set known = writer->kept;
    unsigned count = 0;
    ring_set_add(&known, scene->held.slot);
    for (uint32_t slot = 0; slot < writer->slots; slot++)
        count += ring_set_has(&known, slot);
    return writer->slots - count - scene_count_free(scene);
}

/* The writer's sleep ends by the victim, if that came so far, else by the news of its death. */
static void end_writers_sleep(struct scene *scene) {
    int64_t told_ns = shmframe_now_ns();
    if (scene->place != STEPPER_THROUGH) {
        scene_tell_victim(scene, ENTRY_GONE);
        told_ns = shmframe_now_ns();
    }
    scene_await_awake(scene, &scene->space, told_ns);
}

/* The writer goes on until it is held up by a lossless victim. */
static unsigned publish_with_dead(struct scene *scene) {
    unsigned frames = 0;
    while (frames < SCENE_FRAMES && !ring_writer_behind(scene->rig->writer)) {
        scene_publish(scene, 1);
        frames++;
    }
    scene_must(scene, frames == SCENE_FRAMES || operation_of(scene)->want.is_lossless,
               "the writer waits for a reader that is not lossless");
    return frames;
}

static void check_rings(struct scene *scene, uint64_t rings_before) {
    const struct bell_page *bell = scene->victim->bell;
    const bool is_waiting = atomic_load(&scene->victim->lease->waiting) != 0;
    scene->outcome[OUTCOME_WAITING] += is_waiting;
    scene_must(scene, atomic_load(&bell->rings) <= rings_before + is_waiting,
               "the dead one is rung again and again");
}

/* Its death is told: one frame later all that it held can be lent. */
static void reclaim(struct scene *scene) {
    scene_tell_victim(scene, ENTRY_GONE);
    scene_publish(scene, 1);
    const unsigned busy = count_busy(scene);
    if (busy)
        scene_fault(scene, "%u slots are not free one frame after its death was told", busy);
    const struct ring_link *over = ring_writer_take_over(scene->rig->writer);
    scene_must(scene, over == &scene->victim->core && !over->next, "its link is not over");
    scene_publish(scene, FRAMES_AFTER);
    scene_release_held(scene);
}

static void class_death(struct scene *scene) {
    const unsigned leases = count_leases(scene);
    scene->outcome[leases ? OUTCOME_LEASE : OUTCOME_NO_LEASE]++;
    scene->outcome[OUTCOME_ASLEEP] += scene->place == STEPPER_ASLEEP;
    if (scene->place == STEPPER_THROUGH && operation_of(scene)->work == work_leave)
        scene_must(scene, leases == 0, "who has left has leases");
    else if (scene->place == STEPPER_THROUGH)
        scene_must(scene, leases == operation_of(scene)->holds, "who has given back has leases");
}

static void survive(struct scene *scene) {
    const uint64_t rings = atomic_load(&scene->victim->bell->rings);
    class_death(scene);
    scene_check_held(scene);
    if (scene->space.is_started)
        end_writers_sleep(scene);
    const bool is_held_up = publish_with_dead(scene) < SCENE_FRAMES;
    check_leases(scene);
    const unsigned busy = count_busy(scene);
    if (busy > operation_of(scene)->want.leases)
        scene_fault(scene, "%u slots are busy because of it", busy);
    if (is_held_up) {
        scene->outcome[OUTCOME_HELD_UP]++;
        scene_sleep_for_space(scene);
        scene->place = STEPPER_WITHIN;
        end_writers_sleep(scene);
    }
    check_rings(scene, rings);
    reclaim(scene);
}

/* ---- while it is stopped, and after ---- */

static void go_on(struct scene *scene) {
    if (scene->space.is_started)
        return; /* the writer waits for it */
    if (scene->fate == FATE_EVICTED)
        scene_tell_victim(scene, ENTRY_EVICTED);
    publish_with_dead(scene);
    if (scene->fate == FATE_STOPPED)
        check_leases(scene);
}

/* What it says of each frame: whole all along, or it was told so. */
static void check_told(struct scene *scene) {
    const unsigned frames = atomic_load(&scene->told->frames);
    unsigned stale = 0;
    for (unsigned i = 0; i < frames; i++) {
        const struct told_frame *frame = &scene->told->frame[i];
        scene_must(scene, frame->code == 0 || frame->code == -ESTALE, "a release fails");
        stale += frame->code == -ESTALE;
        if ((!frame->was_whole || !frame->is_whole) && frame->code == 0)
            scene_fault(scene, "frame %ju is torn, and its release says that it was whole",
                        (uintmax_t)frame->sequence);
    }
    scene_must(scene, stale == 0 || scene->fate == FATE_EVICTED, "a frame on lease was taken away");
    scene->outcome[stale ? OUTCOME_STALE : OUTCOME_WHOLE]++;
}

static void meet(struct scene *scene) {
    check_told(scene);
    scene_check_held(scene);
    scene->place = STEPPER_THROUGH;
    if (scene->space.is_started)
        end_writers_sleep(scene);
    if (scene->fate == FATE_EVICTED) {
        scene_release_held(scene);
        return;
    }
    scene_must(scene, count_leases(scene) <= operation_of(scene)->holds,
               "who has given back has leases");
    reclaim(scene);
}

#define AFTERWARDS .survive = survive, .go_on = go_on, .meet = meet
#define LATEST     .leases = 1
#define IN_ORDER   .depth = SCENE_DEPTH, .begin = RING_BEGIN_FIRST
#define LOSSLESS   .depth = 2, .is_lossless = true, .begin = RING_BEGIN_FIRST

const struct operation reader_operations[] = {
    {.name = "acquire and release, newest",
     .prepare = prepare,
     .work = work_read,
     .want = {LATEST},
     .frames = 1,
     AFTERWARDS},
    {.name = "acquire and release, newest, holds two of three",
     .prepare = prepare,
     .work = work_read,
     .want = {.leases = 3},
     .frames = 1,
     .holds = 2,
     AFTERWARDS},
    {.name = "acquire and release, in order, holds one of two",
     .prepare = prepare,
     .work = work_read,
     .want = {.leases = 2, IN_ORDER},
     .frames = 1,
     .holds = 1,
     AFTERWARDS},
    {.name = "a batch of three, in order",
     .prepare = prepare,
     .work = work_read,
     .want = {.leases = 3, IN_ORDER},
     .frames = 3,
     AFTERWARDS},
    {.name = "a batch of three, two of them put back",
     .prepare = prepare,
     .work = work_put_back,
     .want = {.leases = 3, IN_ORDER},
     .frames = 3,
     AFTERWARDS},
    {.name = "acquire and release, lossless",
     .prepare = prepare,
     .work = work_read,
     .want = {.leases = 1, LOSSLESS},
     .frames = 1,
     AFTERWARDS},
    {.name = "acquire and release, lossless, the writer asleep",
     .prepare = prepare_full,
     .is_held_up = true,
     .work = work_read,
     .want = {.leases = 1, LOSSLESS},
     .frames = 1,
     AFTERWARDS},
    {.name = "first lease of a reader that joins",
     .prepare = prepare_unknown,
     .work = work_read,
     .want = {.leases = 2, IN_ORDER},
     .frames = 1,
     AFTERWARDS},
    {.name = "wait, is woken, acquire and release",
     .prepare = prepare_idle,
     .work = work_wait,
     .awaken = publish_for_it,
     .may_sleep = true,
     .want = {LATEST},
     .frames = 1,
     AFTERWARDS},
    {.name = "wait, is told of something else",
     .prepare = prepare_idle,
     .work = work_wait,
     .awaken = scene_tell_all,
     .may_sleep = true,
     .want = {.leases = 1, IN_ORDER},
     .frames = 1,
     AFTERWARDS},
    {.name = "wait, and time out",
     .prepare = prepare_idle,
     .work = work_time_out,
     .may_sleep = true,
     .want = {LATEST},
     AFTERWARDS},
    {.name = "say that one polls, and no more",
     .prepare = prepare_idle,
     .work = work_poll,
     .want = {LATEST},
     AFTERWARDS},
    {.name = "leave, holding two",
     .prepare = prepare,
     .work = work_leave,
     .want = {.leases = 2},
     .holds = 2,
     AFTERWARDS},
    {.name = "leave, lossless, the writer asleep",
     .prepare = prepare_full,
     .is_held_up = true,
     .work = work_leave,
     .want = {.leases = 1, LOSSLESS},
     AFTERWARDS},
    {0},
};
