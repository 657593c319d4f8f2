/* Readers that go to sleep against a writer that publishes at just that moment (W), in all the ways
 * in which a reader sleeps: alone with its bell, for 20 ms alone and then with what else may wake
 * it, with that from the start, by its socket, after a spin; one frame at a time or batches.
 *
 * The writer goes on only when everybody has what there was, so no later ring mends one that was
 * lost: who sleeps for as long as one may, with frames there and no ring, was forgotten.
 *
 * usage: sleepers [SECONDS [SEED]]     SECONDS: in all
 */
#include "../library/rig.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <shmframe/clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FRAMES_MIN = 20,
    READERS_MAX = 4,
    BATCH_MAX = 3,
    SLEEP_MAX_MS = BELL_SLEEP_MAX_NS / 1000000
};
enum way { WAY_ALONE = 0, WAY_DUE, WAY_OTHERS, WAY_SOCKET, WAY_SPIN, WAYS };
static const char *const way_names[WAYS] = {"alone", "frame due", "others", "socket", "spin"};

struct sleeper {
    struct rig *rig;
    struct rig_link *link;
    uint64_t random;
    uint64_t sleeps[WAYS];
    _Atomic uint64_t taken; /* newest sequence */
    uint32_t batch;
};

static _Atomic bool is_over;       /* time is up */
static _Atomic uint64_t announced; /* newest sequence for which all bells were rung */
static _Atomic uint32_t interrupt; /* nobody's */
static struct sleeper sleepers[READERS_MAX];
static unsigned reader_count;
static uint32_t batch;
static uint64_t writer_random;

#define relaxed(word) atomic_load_explicit(&(word), memory_order_relaxed)

_Noreturn static void fail(const char *what, const char *how) {
    fprintf(stderr, "sleepers: %s (%s)\n", what, how);
    _exit(1);
}

static uint64_t roll(uint64_t *state, uint64_t sides) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 33) % sides;
}

/* Most often so short that both meet on the way to bed. */
static void dawdle(uint64_t *random) {
    static const uint64_t longest[] = {1, 16, 64, 256, 2048};
    const uint64_t turns = roll(random, longest[roll(random, 5)]);
    for (uint64_t i = 0; i < turns; i++)
        futex_relax();
}

/* ---- the writer ---- */

static void publish(struct rig *rig) {
    const uint64_t count = 1 + roll(&writer_random, batch);
    uint64_t sequence = 0;
    for (uint64_t i = 0; i < count; i++)
        sequence = rig_put(rig);
    ring_announce(rig->writer);
    atomic_store_explicit(&announced, sequence, memory_order_release);
}

static bool has_everyone(uint64_t sequence) {
    for (unsigned i = 0; i < reader_count; i++)
        if (relaxed(sleepers[i].taken) != sequence)
            return false;
    return true;
}

static void *write_frames(void *argument) {
    enum { LOOKS = 256 };
    struct rig *rig = argument;
    while (!relaxed(is_over)) {
        publish(rig);
        while (!has_everyone(rig->sequence) && !relaxed(is_over)) {
            for (unsigned i = 0; i < LOOKS && !has_everyone(rig->sequence); i++)
                futex_relax();
            if (reader_count > 1) /* there may be no processor for each */
                sched_yield();
        }
        dawdle(&writer_random);
    }
    return NULL;
}

/* ---- the readers ---- */

/* Returns whether it took any. */
static bool take(struct sleeper *sleeper) {
    struct ring_frame frames[BATCH_MAX];
    uint64_t retries = 0;
    const int count = ring_acquire_batch(&sleeper->link->reader, frames, sleeper->batch, &retries);
    if (count == -EAGAIN)
        return false;
    if (count < 0)
        fail("the ring contradicts itself", strerror(-count));
    for (int i = 0; i < count; i++)
        if (rig_give_back(sleeper->link, &frames[i]) != 0)
            fail("a frame went stale while it was leased", "");
    atomic_store_explicit(&sleeper->taken, frames[count - 1].sequence, memory_order_relaxed);
    return true;
}

/* Frames were there, and their bells rung, before a sleep of full length ended. */
static bool is_forgotten(const struct sleeper *sleeper) {
    return atomic_load_explicit(&announced, memory_order_acquire) > sleeper->link->reader.cursor;
}

static void sleep_on_bell(struct sleeper *sleeper, enum way way) {
    struct rig_link *link = sleeper->link;
    struct ring_reader *reader = &link->reader;
    const bool has_others = way == WAY_OTHERS || way == WAY_DUE;
    const struct bell_others others = {.notice = has_others ? sleeper->rig->notice : NULL,
                                       .notice_seen = relaxed(sleeper->rig->notice->word),
                                       .interrupt = has_others ? &interrupt : NULL,
                                       .is_frame_due = way == WAY_DUE};
    const uint32_t bell = relaxed(link->bell->bell);
    if (bell_wait(&reader, 1, &others, SHMFRAME_FOREVER) == -ETIMEDOUT && is_forgotten(sleeper) &&
        relaxed(link->bell->bell) == bell)
        fail("a wake-up was lost", way_names[way]);
}

static void sleep_on_socket(struct sleeper *sleeper) {
    struct pollfd wake = {.fd = sleeper->link->wake, .events = POLLIN};
    struct ring_reader *reader = &sleeper->link->reader;
    char byte;
    while (recv(wake.fd, &byte, 1, MSG_DONTWAIT) > 0) {
    }
    if (bell_arm(reader) && poll(&wake, 1, SLEEP_MAX_MS) == 0 && is_forgotten(sleeper) &&
        poll(&wake, 1, 0) == 0)
        fail("a wake-up was lost", way_names[WAY_SOCKET]);
    bell_disarm(reader);
}

static void spin_and_sleep(struct sleeper *sleeper) {
    static const struct bell_others nobody;
    struct ring_reader *reader = &sleeper->link->reader;
    if (!bell_spin(&reader, 1, &nobody, 0))
        sleep_on_bell(sleeper, WAY_SPIN);
}

static void *read_frames(void *argument) {
    struct sleeper *sleeper = argument;
    while (!relaxed(is_over)) {
        if (take(sleeper))
            continue;
        const enum way way = (enum way)roll(&sleeper->random, WAYS);
        dawdle(&sleeper->random);
        sleeper->sleeps[way]++;
        if (way == WAY_SOCKET)
            sleep_on_socket(sleeper);
        else if (way == WAY_SPIN)
            spin_and_sleep(sleeper);
        else
            sleep_on_bell(sleeper, way);
    }
    return NULL;
}

/* ---- all of them ---- */

static struct rig *begin(unsigned readers, uint32_t depth, uint32_t frames, uint64_t *seed) {
    /* One loan, the batch that is kept, what readers hold. */
    struct rig *rig = rig_create(1 + 2 * BATCH_MAX + readers * BATCH_MAX, BATCH_MAX, 0);
    reader_count = readers;
    batch = frames;
    atomic_store(&is_over, false);
    atomic_store(&announced, 0);
    writer_random = roll(seed, UINT64_MAX);
    for (unsigned i = 0; i < readers; i++)
        sleepers[i] = (struct sleeper){
            .rig = rig,
            .link = rig_join(rig, (struct rig_want){.depth = depth, .leases = frames}),
            .random = roll(seed, UINT64_MAX),
            .batch = frames};
    return rig;
}

static void run(unsigned readers, uint32_t depth, uint32_t frames, double seconds, uint64_t *seed) {
    struct rig *rig = begin(readers, depth, frames, seed);
    pthread_t writer, reader[READERS_MAX];
    uint64_t sleeps[WAYS] = {0};
    for (unsigned i = 0; i < readers; i++)
        if (pthread_create(&reader[i], NULL, read_frames, &sleepers[i]) != 0)
            fail("no thread", "reader");
    if (pthread_create(&writer, NULL, write_frames, rig) != 0)
        fail("no thread", "writer");
    do { /* on a busy machine it takes longer until anything happens */
        usleep((useconds_t)(seconds * 1e6));
    } while (relaxed(announced) < FRAMES_MIN);
    atomic_store(&is_over, true);
    pthread_join(writer, NULL);
    for (unsigned i = 0; i < readers; i++) {
        pthread_join(reader[i], NULL);
        for (unsigned way = 0; way < WAYS; way++)
            sleeps[way] += sleepers[i].sleeps[way];
    }
    printf("%u readers, %s, up to %u at once: %llu frames, %llu rings; sleeps", readers,
           depth ? "in order" : "latest", frames, (unsigned long long)rig->sequence,
           (unsigned long long)rig->writer->rings);
    for (unsigned way = 0; way < WAYS; way++)
        printf("%s %s %llu", way ? "," : "", way_names[way], (unsigned long long)sleeps[way]);
    printf("\n");
    fflush(stdout);
    if (rig->writer->rings == 0)
        fail("nobody slept", "");
    rig_destroy(rig);
}

int main(int count, char **arguments) {
    const double seconds = count > 1 ? atof(arguments[1]) : 2;
    uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : (uint64_t)shmframe_now_ns();
    if (seconds <= 0 || count > 3) {
        fprintf(stderr, "usage: sleepers [SECONDS [SEED]]\n");
        return 2;
    }
    printf("seed %llu\n", (unsigned long long)seed);
    const double part = seconds / (READERS_MAX * 4);
    for (unsigned readers = 1; readers <= READERS_MAX; readers++)
        for (uint32_t depth = 0; depth <= BATCH_MAX; depth += BATCH_MAX)
            for (uint32_t frames = 1; frames <= BATCH_MAX; frames += BATCH_MAX - 1)
                run(readers, depth, frames, part, &seed);
    return 0;
}
