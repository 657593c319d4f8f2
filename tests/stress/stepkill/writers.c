/* The writer is killed, or stopped: what it has published is whole, nobody sleeps for ever. */
#include "scene.h"

#include <errno.h>
#include <shmframe/clock.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAMES_BEFORE = 5, FOLLOWED_BEFORE = 3, LEASES_DEAD = 3 };

/* ---- before ---- */

static unsigned count_loans(const struct scene *scene) {
    return scene->operation->frames ? scene->operation->frames : 1;
}

/* It has seen a head, taken two frames, and is to go on with the third. */
static void read_slowly(struct scene *scene) {
    for (unsigned i = 0; i < 2; i++) {
        struct ring_frame frame;
        scene_take(scene, scene->slow, &frame);
        scene_release(scene, scene->slow, &frame);
    }
}

/* One had the first frame, and was evicted; the second is held; the follower has taken three. */
static void publish_before(struct scene *scene) {
    for (unsigned i = 1; i <= FRAMES_BEFORE; i++) {
        scene_publish_one(scene);
        if (i == 1)
            scene_take(scene, scene->evicted, &scene->evicted_frame);
        if (i == 2)
            scene_take(scene, scene->holder, &scene->held);
        if (i == FOLLOWED_BEFORE)
            scene_follow(scene);
        if (i == SCENE_DEPTH)
            read_slowly(scene);
    }
    for (unsigned i = 0; i < scene->operation->sleepers; i++)
        scene_take_newest(scene, scene->sleeper[i].link);
    if (scene->polling)
        scene_take_newest(scene, scene->polling);
    rig_end_grant(scene->rig, scene->evicted, ENTRY_EVICTED);
    ring_writer_refresh(scene->rig->writer);
    scene->before = scene->rig->sequence;
}

static void prepare(struct scene *scene) {
    scene_create(scene, scene->operation->is_batch ? scene->operation->frames : 1, 0, false);
    publish_before(scene);
}

/* Nothing is there yet: the first frame of a later ring. */
static void prepare_first(struct scene *scene) {
    scene_create(scene, 1, 56, false);
    scene->before = scene->rig->sequence;
}

/* A reader that holds three frames has died, and the writer has not noticed. */
static void prepare_dead(struct scene *scene) {
    scene_create(scene, 1 + LEASES_DEAD, 0, false);
    struct rig_link *dead =
        rig_join(scene->rig, (struct rig_want){.leases = LEASES_DEAD, .depth = SCENE_DEPTH});
    publish_before(scene);
    struct ring_frame frame[LEASES_DEAD];
    uint64_t retries = 0;
    dead->reader.is_begun = true;
    dead->reader.cursor = FRAMES_BEFORE - LEASES_DEAD;
    scene_must(scene,
               ring_acquire_batch(&dead->reader, frame, LEASES_DEAD, &retries) == LEASES_DEAD,
               "the dead one had no leases");
    rig_end_grant(scene->rig, dead, ENTRY_GONE);
}

/* The follower is lossless and has taken none of all that are kept for it. */
static void prepare_full(struct scene *scene) {
    scene_create(scene, 1, 0, false);
    for (unsigned i = 0; i < SCENE_DEPTH; i++) {
        scene_publish_one(scene);
        if (i == 1)
            scene_take(scene, scene->holder, &scene->held);
    }
    scene->before = scene->rig->sequence;
    scene_must(scene, ring_writer_behind(scene->rig->writer) != NULL, "there is space left");
}

/* ---- the work ---- */

static void loan_and_publish(struct scene *scene) {
    uint32_t slot;
    if (ring_loan(scene->rig->writer, &slot) < 0)
        _exit(3);
    scene_put(scene, slot);
    ring_announce(scene->rig->writer);
}

/* One after the other, or one. */
static void work_publish(struct scene *scene) {
    for (unsigned i = 0; i < count_loans(scene); i++)
        loan_and_publish(scene);
}

static void work_batch(struct scene *scene) {
    uint32_t slots[8];
    const int found = ring_loan_batch(scene->rig->writer, slots, scene->operation->frames);
    if (found != (int)scene->operation->frames)
        _exit(3);
    for (int i = 0; i < found; i++)
        scene_put(scene, slots[i]);
    ring_announce(scene->rig->writer);
}

static void work_abandon(struct scene *scene) {
    uint32_t slot;
    if (ring_loan(scene->rig->writer, &slot) < 0)
        _exit(3);
    scene_paint(scene, slot, 999);
    ring_abandon(scene->rig->writer, slot);
    loan_and_publish(scene);
}

static void work_end(struct scene *scene) {
    ring_end(scene->rig->writer, RING_ENDED);
}

static void work_wait_for_space(struct scene *scene) {
    struct ring_writer *writer = scene->rig->writer;
    struct ring_link *behind;
    while ((behind = ring_writer_behind(writer)) != NULL) {
        const struct bell_others others = {.notice = scene->rig->notice,
                                           .notice_seen = writer->notice_seen};
        struct futex_word words[3];
        const uint32_t count = bell_arm_space(writer, behind, &others, words);
        if (count)
            bell_sleep(words, count, SHMFRAME_FOREVER);
        bell_disarm_space(behind);
    }
    loan_and_publish(scene);
}

/* The follower, whom the writer waits for, takes what there is. */
static void make_space(struct scene *scene) {
    scene_follow(scene);
}

/* ---- after its death ---- */

static void class_newest(struct scene *scene, uint64_t newest) {
    const uint64_t last = scene->before + count_loans(scene);
    const bool is_ended = scene->operation->work == work_end;
    if (newest < scene->before || newest > last || (is_ended && newest != scene->before))
        scene_fault(scene, "the newest frame is %ju", (uintmax_t)newest);
    else
        scene->outcome[newest == scene->before ? OUTCOME_OLD
                       : newest == last        ? OUTCOME_NEW
                                               : OUTCOME_PART]++;
    if (scene->place == STEPPER_THROUGH && !is_ended)
        scene_must(scene, newest == last, "what is published cannot be read");
}

/* Whoever slept is awake, by the writer if it came so far, else by the supervisor. */
static void end_sleeps(struct scene *scene, uint64_t newest) {
    int64_t told_ns = shmframe_now_ns();
    if (scene->place != STEPPER_THROUGH) {
        scene_tell_all(scene);
        told_ns = shmframe_now_ns();
    }
    for (unsigned i = 0; i < scene->operation->sleepers; i++) {
        scene_await_awake(scene, &scene->sleeper[i], told_ns);
        const uint64_t taken = scene_take_newest(scene, scene->sleeper[i].link);
        scene_must(scene, taken == newest || (taken == 0 && newest == scene->before),
                   "who slept gets another frame");
    }
    if (!scene->polling)
        return;
    char byte;
    const bool is_rung = recv(scene->polling->wake, &byte, 1, MSG_DONTWAIT) == 1;
    scene_must(scene, is_rung || scene->place != STEPPER_THROUGH, "who polls was not rung");
    bell_disarm(&scene->polling->reader);
    const uint64_t taken = scene_take_newest(scene, scene->polling);
    scene_must(scene, taken == newest || (taken == 0 && newest == scene->before),
               "who polled gets another frame");
}

static void look_at_end(struct scene *scene) {
    enum ring_state state;
    const enum ring_sight sight = ring_look(&scene->newest->reader, &state);
    const bool is_ended = scene->operation->work == work_end;
    scene->outcome[OUTCOME_OVER] += sight == RING_OVER;
    scene_must(scene, sight == RING_OVER || !is_ended || scene->place != STEPPER_THROUGH,
               "the ring does not say that nothing follows");
    scene_must(scene, sight == RING_NOTHING || is_ended, "the ring says that nothing follows");
}

/* Who joins now takes the oldest frame there is. */
static void join_late(struct scene *scene) {
    rig_grant(scene->rig, scene->late,
              (struct rig_want){.leases = 1, .depth = SCENE_DEPTH - 1, .begin = RING_BEGIN_FIRST});
    scene_lease(scene, scene->late, &scene->late_frame);
    scene_lease(scene, scene->slow, &scene->slow_frame);
}

static void read_all(struct scene *scene, uint64_t newest) {
    scene_release(scene, scene->late, &scene->late_frame);
    scene_release(scene, scene->slow, &scene->slow_frame);
    scene_release_evicted(scene);
    scene_follow(scene);
    scene_must(scene, scene->followed == newest, "the follower got another newest frame");
    look_at_end(scene);
    if (scene->held.sequence)
        scene_release_held(scene);
}

static void survive(struct scene *scene) {
    if (scene->held.sequence)
        scene_check_held(scene);
    uint64_t newest = scene_take_newest(scene, scene->newest);
    newest = newest ? newest : scene->before;
    class_newest(scene, newest);
    if (scene->place == STEPPER_ASLEEP)
        scene->outcome[OUTCOME_ASLEEP]++;
    join_late(scene);
    end_sleeps(scene, newest);
    read_all(scene, newest);
}

/* ---- while it is stopped, and after ---- */

/* A reader joins and takes the oldest frame; the others go on with what there is. */
static void go_on(struct scene *scene) {
    join_late(scene);
    uint64_t last = 0;
    for (unsigned i = 0; i < SCENE_FRAMES; i++) {
        scene->newest->reader.is_begun = false; /* it comes anew each time */
        const uint64_t taken = scene_take_newest(scene, scene->newest);
        scene_must(scene, taken >= last, "frames go back");
        last = taken;
    }
    scene_must(scene, last >= scene->before || last == 0, "the newest frame is gone");
    if (scene->operation->awaken)
        scene->operation->awaken(scene);
    if (!scene->operation->want.is_lossless)
        scene_follow(scene);
    if (scene->held.sequence)
        scene_check_held(scene);
}

/* The child: once it goes on, it publishes more. */
static void publish_more(struct scene *scene) {
    unsigned frames = 0;
    if (scene->operation->work != work_end)
        while (frames < SCENE_FRAMES && !ring_writer_behind(scene->rig->writer)) {
            loan_and_publish(scene);
            frames++;
        }
    atomic_store(&scene->told->frames, frames);
}

static void meet(struct scene *scene) {
    const bool is_ended = scene->operation->work == work_end;
    const uint64_t last =
        scene->before + (is_ended ? 0 : count_loans(scene)) + atomic_load(&scene->told->frames);
    scene->newest->reader.is_begun = false;
    uint64_t newest = scene_take_newest(scene, scene->newest);
    newest = newest ? newest : scene->before;
    scene_must(scene, newest == last, "the writer was continued and lost a frame");
    scene->outcome[OUTCOME_WHOLE]++;
    scene->place = STEPPER_THROUGH;
    end_sleeps(scene, newest);
    read_all(scene, newest);
}

#define AFTERWARDS .survive = survive, .go_on = go_on, .go_on_itself = publish_more, .meet = meet

const struct operation writer_operations[] = {
    {.name = "loan and publish", .prepare = prepare, .work = work_publish, .frames = 1, AFTERWARDS},
    {.name = "loan and publish, one asleep",
     .prepare = prepare,
     .work = work_publish,
     .frames = 1,
     .sleepers = 1,
     AFTERWARDS},
    {.name = "loan and publish, two asleep, one polls",
     .prepare = prepare,
     .work = work_publish,
     .frames = 1,
     .sleepers = 2,
     .is_polling = true,
     AFTERWARDS},
    {.name = "loan and publish, a lossless reader",
     .prepare = prepare,
     .work = work_publish,
     .frames = 1,
     .want = {.leases = 1, .depth = SCENE_DEPTH, .is_lossless = true, .begin = RING_BEGIN_FIRST},
     AFTERWARDS},
    {.name = "a batch of three, one asleep",
     .prepare = prepare,
     .work = work_batch,
     .is_batch = true,
     .frames = 3,
     .sleepers = 1,
     AFTERWARDS},
    {.name = "three frames, one after the other",
     .prepare = prepare,
     .work = work_publish,
     .frames = 3,
     AFTERWARDS},
    {.name = "the first frame of a later ring",
     .prepare = prepare_first,
     .work = work_publish,
     .frames = 1,
     AFTERWARDS},
    {.name = "loan, abandon, loan and publish",
     .prepare = prepare,
     .work = work_abandon,
     .frames = 1,
     AFTERWARDS},
    {.name = "reclaim of a dead reader's three slots",
     .prepare = prepare_dead,
     .work = work_publish,
     .frames = 2,
     AFTERWARDS},
    {.name = "wait for a lossless reader, and publish",
     .prepare = prepare_full,
     .work = work_wait_for_space,
     .awaken = make_space,
     .may_sleep = true,
     .frames = 1,
     .want = {.leases = 1, .depth = SCENE_DEPTH, .is_lossless = true, .begin = RING_BEGIN_FIRST},
     AFTERWARDS},
    {.name = "end of the stream, one asleep",
     .prepare = prepare,
     .work = work_end,
     .sleepers = 1,
     AFTERWARDS},
    {0},
};
