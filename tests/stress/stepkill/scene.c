#include "scene.h"

#include <errno.h>
#include <sched.h>
#include <shmframe/clock.h>
#include <stdarg.h>
#include <stddef.h>
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
    /* The late one joins when the evicted one is gone. */
    const uint32_t slow_and_late = has_victim ? 0 : 2;
    /* Loans, history, and a lease each of holder, follower, newest and who sleeps. */
    return loans + SCENE_DEPTH + 3 + operation->sleepers + operation->is_polling + victim +
           slow_and_late;
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
    if (has_victim) {
        scene->victim = rig_offer(scene->rig);
        return;
    }
    scene->slow = rig_join(scene->rig, in_order);
    scene->evicted = join_latest(scene);
    scene->late = rig_offer(scene->rig);
}

void scene_create(struct scene *scene, unsigned loans, uint64_t sequence, bool has_victim) {
    const uint32_t slots = count_slots(scene->operation, loans, has_victim);
    scene->rig = rig_create(slots, 1, sequence);
    scene->followed = sequence;
    scene->told = rig_map(sizeof(*scene->told));
    scene->victim = scene->slow = scene->evicted = scene->late = scene->polling = NULL;
    memset(scene->sleeper, 0, sizeof(scene->sleeper));
    scene->space = (struct sleeper){.scene = scene};
    scene->held = scene->slow_frame = (struct ring_frame){0};
    scene->evicted_frame = scene->late_frame = (struct ring_frame){0};
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

void scene_lease(struct scene *scene, struct rig_link *link, struct ring_frame *out_frame) {
    uint64_t retries = 0;
    const uint64_t head = atomic_load_explicit(&scene->rig->ring->head, memory_order_acquire);
    const int code = ring_acquire(&link->reader, out_frame, &retries);
    if (code != 0)
        *out_frame = (struct ring_frame){0};
    if (code != 0 && (code != -EAGAIN || head != 0))
        scene_fault(scene, "a frame cannot be taken: %s", strerror(-code));
    if (code == 0)
        scene_must(scene, is_whole(scene, link, out_frame), "a frame is torn when it is taken");
}

void scene_release(struct scene *scene, struct rig_link *link, const struct ring_frame *frame) {
    if (frame->sequence == 0)
        return;
    scene_must(scene, is_whole(scene, link, frame), "a frame on lease is damaged");
    scene_must(scene, rig_give_back(link, frame) == 0, "a frame on lease was taken away");
}

void scene_release_evicted(struct scene *scene) {
    const struct ring_frame *frame = &scene->evicted_frame;
    if (frame->sequence == 0)
        return;
    const bool was_whole = is_whole(scene, scene->evicted, frame);
    const int code = rig_give_back(scene->evicted, frame);
    scene_must(scene, code == 0 || code == -ESTALE, "an evicted one's release fails");
    scene_must(scene, was_whole || code == -ESTALE,
               "a frame is torn, and its release says that it was whole");
    scene->outcome[OUTCOME_STALE] += code == -ESTALE;
}

void scene_check_held(struct scene *scene) {
    scene_must(scene, is_whole(scene, scene->holder, &scene->held), "a held frame is damaged");
}

void scene_release_held(struct scene *scene) {
    scene_check_held(scene);
    scene_must(scene, rig_give_back(scene->holder, &scene->held) == 0,
               "the release of a held frame says stale");
}

static uint64_t add_words(uint64_t sum, const volatile void *base, size_t bytes) {
    const volatile uint64_t *word = base;
    for (size_t i = 0; i < bytes / sizeof(*word); i++)
        sum = (sum ^ word[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return sum;
}

uint64_t scene_sum(const struct scene *scene) {
    const struct rig *rig = scene->rig;
    const uint32_t slots = rig->writer->slots;
    uint64_t sum = add_words(0, rig->ring, offsetof(struct ring, geometry));
    sum = add_words(sum, rig->ring->slot, slots * sizeof(rig->ring->slot[0]));
    sum = add_words(sum, rig->payload, slots * (size_t)RIG_PAYLOAD_BYTES);
    for (uint32_t i = 0; i < rig->links; i++) {
        sum = add_words(sum, rig->link[i].lease, sizeof(struct lease_page));
        sum = add_words(sum, rig->link[i].bell, sizeof(struct bell_page));
    }
    return sum;
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

/* It sleeps again and again; not for ever. */
static bool is_patient(struct sleeper *sleeper) {
    const int64_t patience_ns = INT64_C(10000000000);
    sleeper->is_patient = shmframe_now_ns() < sleeper->since_ns + patience_ns;
    return sleeper->is_patient;
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
             look_at_notice(scene) == sleeper->notice_seen && is_patient(sleeper));
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
    while ((behind = ring_writer_behind(rig->writer)) != NULL && is_patient(sleeper)) {
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
    atomic_store(&sleeper->is_over, false);
    sleeper->notice_seen = look_at_notice(sleeper->scene);
    sleeper->since_ns = shmframe_now_ns();
    sleeper->is_patient = true;
    if (pthread_create(&sleeper->thread, NULL, sleep_in, sleeper) != 0) {
        perror("pthread_create");
        exit(1);
    }
    sleeper->is_started = true;
    while (!atomic_load(&sleeper->is_over) && (!atomic_load_explicit(says, memory_order_relaxed) ||
                                               !stepper_is_asleep(atomic_load(&sleeper->tid))))
        sched_yield();
}

void scene_sleep_for_space(struct scene *scene) {
    start(&scene->space, sleep_for_space, &scene->victim->bell->writer_waiting);
}

void scene_sleep(struct scene *scene) {
    if (scene->operation->is_held_up)
        scene_sleep_for_space(scene);
    for (unsigned i = 0; i < scene->operation->sleepers; i++)
        start(&scene->sleeper[i], sleep_for_frame, &scene->sleeper[i].link->lease->waiting);
    if (scene->polling)
        scene_must(scene, bell_arm(&scene->polling->reader), "there is something before it waits");
}

void scene_await_awake(struct scene *scene, struct sleeper *sleeper, int64_t told_ns) {
    if (!sleeper->is_started)
        return;
    pthread_join(sleeper->thread, NULL);
    sleeper->is_started = false;
    if (!sleeper->is_patient) {
        scene_fault(scene, "one sleeps for ever");
        scene->faults += SCENE_FAULTS_ENOUGH;
    }
    /* Who was woken in time does not hear that its time is over. */
    scene_must(scene,
               sleeper->code != -ETIMEDOUT || told_ns >= sleeper->begin_ns + BELL_SLEEP_MAX_NS,
               "one sleeps on though it was to be woken");
}
