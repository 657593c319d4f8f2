#include "scene.h"

#include <errno.h>
#include <sched.h>
#include <shmframe/clock.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- faults ---- */

void scene_fault(struct scene *scene, const char *text, ...) {
    enum { PRINTED = 4 };
    static const char *const fates[] = {"killed", "stopped", "evicted while stopped"};
    static const char *const places[] = {"", ", asleep", ", through", ", broken"};
    if (scene->faults++ >= PRINTED)
        return;
    printf("stepkill: %s: %s after %u instructions%s: ", scene->operation->name, fates[scene->fate],
           scene->stepper.steps, places[scene->place]);
    va_list arguments;
    va_start(arguments, text);
    vprintf(text, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

void scene_must(struct scene *scene, bool is_so, const char *text) {
    if (!is_so)
        scene_fault(scene, "%s", text);
}

/* ---- life ---- */

static struct rig_link *join_latest(struct scene *scene) {
    return rig_join(scene->rig, (struct rig_want){.leases = 1});
}

static uint32_t count_slots(const struct operation *operation, unsigned loans, bool has_victim) {
    const struct rig_want want = operation->want;
    const uint32_t victim = has_victim ? want.leases - want.is_lossless : 0;
    const uint32_t late = has_victim ? 0 : 1;
    /* Loans, history, and a lease each of holder, follower, newest and who sleeps. */
    return loans + SCENE_DEPTH + 3 + operation->sleepers + operation->is_polling + victim + late;
}

static void join_all(struct scene *scene, bool has_victim) {
    const struct operation *operation = scene->operation;
    const struct rig_want in_order = {.leases = 1, .depth = SCENE_DEPTH, .begin = RING_BEGIN_FIRST};
    scene->holder = join_latest(scene);
    scene->newest = join_latest(scene);
    scene->follower = rig_join(
        scene->rig, !has_victim && operation->want.is_lossless ? operation->want : in_order);
    for (unsigned i = 0; i < operation->sleepers; i++)
        scene->sleeper[i] = (struct sleeper){.scene = scene, .link = join_latest(scene)};
    if (operation->is_polling)
        scene->polling = join_latest(scene);
    if (has_victim)
        scene->victim = rig_offer(scene->rig);
    else
        scene->late = rig_offer(scene->rig);
}

void scene_create(struct scene *scene, unsigned loans, uint64_t sequence, bool has_victim) {
    const uint32_t slots = count_slots(scene->operation, loans, has_victim);
    scene->rig = rig_create(slots, 1, sequence);
    scene->followed = sequence;
    scene->told = rig_map(sizeof(*scene->told));
    scene->holder = scene->follower = scene->newest = scene->victim = scene->late = NULL;
    scene->polling = NULL;
    memset(scene->sleeper, 0, sizeof(scene->sleeper));
    scene->space = (struct sleeper){.scene = scene};
    scene->held = scene->late_frame = (struct ring_frame){0};
    scene->is_late_leased = false;
    join_all(scene, has_victim);
}

void scene_destroy(struct scene *scene) {
    munmap(scene->told, sizeof(*scene->told));
    rig_destroy(scene->rig);
}

/* ---- the writer and its readers ---- */

enum { PAINTED = 4, PAINTED_EACH = 10 };

void scene_paint(const struct scene *scene, uint32_t slot, uint64_t sequence) {
    for (unsigned i = 0; i < PAINTED; i++)
        scene->rig->payload[slot][i * PAINTED_EACH] = sequence << 8 | i;
}

bool scene_is_painted(const struct scene *scene, uint32_t slot, uint64_t sequence) {
    bool is_so = true;
    for (unsigned i = 0; i < PAINTED; i++)
        is_so &= scene->rig->payload[slot][i * PAINTED_EACH] == (sequence << 8 | i);
    return is_so;
}

void scene_put(struct scene *scene, uint32_t slot) {
    const uint64_t sequence = scene->rig->sequence + 1;
    struct shmframe_frame frame = {.capture_ns = (int64_t)sequence * 10};
    scene_paint(scene, slot, sequence);
    ring_put(scene->rig->writer, slot, &frame);
}

void scene_take(struct scene *scene, struct rig_link *link, struct ring_frame *out_frame) {
    uint64_t retries = 0;
    *out_frame = (struct ring_frame){0};
    scene_must(scene, ring_acquire(&link->reader, out_frame, &retries) == 0, "no frame to take");
}

void scene_publish_one(struct scene *scene) {
    struct rig *rig = scene->rig;
    uint32_t slot;
    if (ring_loan(rig->writer, &slot) != 0) {
        scene_fault(scene, "a loan found no slot");
        return;
    }
    scene_put(scene, slot);
    ring_announce(rig->writer);
}

static bool is_whole(const struct scene *scene, const struct rig_link *link,
                     const struct ring_frame *frame) {
    struct shmframe_frame stamps;
    ring_copy_stamps(&link->reader, frame, &stamps);
    return stamps.capture_ns == (int64_t)frame->sequence * 10 &&
           scene_is_painted(scene, frame->slot, frame->sequence);
}

uint64_t scene_take_newest(struct scene *scene, struct rig_link *link) {
    struct ring_frame frame;
    uint64_t retries = 0;
    const int code = ring_acquire(&link->reader, &frame, &retries);
    if (code < 0) {
        if (code != -EAGAIN)
            scene_fault(scene, "the newest frame cannot be taken: %s", strerror(-code));
        return 0;
    }
    scene_must(scene, is_whole(scene, link, &frame), "the newest frame is torn");
    scene_must(scene, rig_give_back(link, &frame) == 0, "the newest frame's release says stale");
    return frame.sequence;
}

void scene_follow(struct scene *scene) {
    struct ring_frame frame;
    uint64_t retries = 0;
    int code;
    while ((code = ring_acquire(&scene->follower->reader, &frame, &retries)) == 0) {
        if (frame.sequence != scene->followed + frame.passed + 1)
            scene_fault(scene, "%ju follows %ju with %ju passed over", (uintmax_t)frame.sequence,
                        (uintmax_t)scene->followed, (uintmax_t)frame.passed);
        scene_must(scene, !frame.passed || !scene->follower->reader.is_lossless,
                   "a lossless reader lost a frame");
        scene_must(scene, is_whole(scene, scene->follower, &frame), "a frame in order is torn");
        scene_must(scene, rig_give_back(scene->follower, &frame) == 0,
                   "a frame's release says stale");
        scene->followed = frame.sequence;
    }
    if (code != -EAGAIN)
        scene_fault(scene, "the follower is told: %s", strerror(-code));
}

void scene_publish(struct scene *scene, unsigned frames) {
    for (unsigned i = 0; i < frames; i++) {
        const uint64_t followed = scene->followed;
        scene_publish_one(scene);
        scene_follow(scene);
        scene_must(scene, scene->followed == followed + 1, "the follower missed a frame");
        if (i % 7 == 0)
            scene_must(scene, scene_take_newest(scene, scene->newest) == scene->followed,
                       "the newest frame is another than the last one");
    }
}

void scene_check_held(struct scene *scene) {
    scene_must(scene, is_whole(scene, scene->holder, &scene->held), "a held frame is damaged");
}

void scene_release_held(struct scene *scene) {
    scene_check_held(scene);
    scene_must(scene, rig_give_back(scene->holder, &scene->held) == 0,
               "the release of a held frame says stale");
}

unsigned scene_count_free(struct scene *scene) {
    uint32_t slots[RING_SLOTS_MAX];
    const int found = ring_loan_batch(scene->rig->writer, slots, RING_SLOTS_MAX);
    for (int i = 0; i < found; i++)
        ring_abandon(scene->rig->writer, slots[i]);
    return found < 0 ? 0 : (unsigned)found;
}

/* ---- the supervisor ---- */

static void wake_all(struct scene *scene) {
    futex_wake(&scene->rig->notice->word, 64);
}

void scene_tell_all(struct scene *scene) {
    atomic_fetch_add_explicit(&scene->rig->notice->word, 1, memory_order_release);
    wake_all(scene);
}

void scene_tell_victim(struct scene *scene, enum entry_state state) {
    rig_end_grant(scene->rig, scene->victim, state);
    wake_all(scene);
}

/* ---- sleepers ---- */

static uint32_t look_at_notice(const struct scene *scene) {
    return atomic_load_explicit(&scene->rig->notice->word, memory_order_acquire);
}

/* A reader: until there is something to take, nothing will follow, or the supervisor has written.
 */
static void *sleep_for_frame(void *argument) {
    struct sleeper *sleeper = argument;
    const struct scene *scene = sleeper->scene;
    struct ring_reader *reader = &sleeper->link->reader;
    const struct bell_others others = {.notice = scene->rig->notice,
                                       .notice_seen = sleeper->notice_seen};
    atomic_store(&sleeper->tid, (pid_t)syscall(SYS_gettid));
    do {
        sleeper->begin_ns = shmframe_now_ns();
        sleeper->code = bell_wait(&reader, 1, &others, SHMFRAME_FOREVER);
    } while (ring_look(reader, NULL) == RING_NOTHING &&
             look_at_notice(scene) == sleeper->notice_seen);
    atomic_store(&sleeper->is_over, true);
    return NULL;
}

/* A writer: until the victim has taken a frame, or is gone. */
static void *sleep_for_space(void *argument) {
    struct sleeper *sleeper = argument;
    struct rig *rig = sleeper->scene->rig;
    struct ring_link *behind;
    atomic_store(&sleeper->tid, (pid_t)syscall(SYS_gettid));
    ring_writer_refresh(rig->writer);
    while ((behind = ring_writer_behind(rig->writer)) != NULL) {
        const struct bell_others others = {.notice = rig->notice,
                                           .notice_seen = rig->writer->notice_seen};
        struct futex_word words[3];
        sleeper->begin_ns = shmframe_now_ns();
        const uint32_t count = bell_arm_space(rig->writer, behind, &others, words);
        sleeper->code = count ? bell_sleep(words, count, SHMFRAME_FOREVER) : 0;
        bell_disarm_space(behind);
        ring_writer_refresh(rig->writer);
    }
    atomic_store(&sleeper->is_over, true);
    return NULL;
}

/* `says`: the word by which it says that it sleeps. */
static void start(struct sleeper *sleeper, void *(*sleep_in)(void *),
                  const _Atomic uint32_t *says) {
    sleeper->notice_seen = look_at_notice(sleeper->scene);
    if (pthread_create(&sleeper->thread, NULL, sleep_in, sleeper) != 0) {
        perror("pthread_create");
        exit(1);
    }
    sleeper->is_started = true;
    while (!atomic_load(&sleeper->is_over) && (!atomic_load_explicit(says, memory_order_relaxed) ||
                                               !stepper_is_asleep(atomic_load(&sleeper->tid))))
        sched_yield();
}

void scene_sleep(struct scene *scene) {
    for (unsigned i = 0; i < scene->operation->sleepers; i++)
        start(&scene->sleeper[i], sleep_for_frame, &scene->sleeper[i].link->lease->waiting);
    if (scene->polling)
        scene_must(scene, bell_arm(&scene->polling->reader), "there is something before it waits");
}

void scene_sleep_for_space(struct scene *scene) {
    start(&scene->space, sleep_for_space, &scene->victim->bell->writer_waiting);
}

void scene_await_awake(struct scene *scene, struct sleeper *sleeper, int64_t told_ns) {
    if (!sleeper->is_started)
        return;
    pthread_join(sleeper->thread, NULL);
    sleeper->is_started = false;
    /* Who was woken in time does not hear that its time is over. */
    scene_must(scene,
               sleeper->code != -ETIMEDOUT || told_ns >= sleeper->begin_ns + BELL_SLEEP_MAX_NS,
               "one sleeps on though it was to be woken");
}
