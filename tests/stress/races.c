/* The three store-then-load races of the protocol, as fast as two processors can run into each
 * other:
 *
 *   lease   a lease against the retirement of its slot (L): a torn frame, or -ESTALE
 *   tail    the same with an in-order reader, which looks around before it takes its lease
 *   batch   the same with several leases at once
 *   spare   the same with more slots and a deep history: loans go by an earlier look
 *   wake    a reader that goes to sleep against a publish (W): a sleep though a frame was announced
 *   space   a lossless writer that goes to sleep against an acquire (C): likewise
 *   join    a grant against the next loan (G, L): a frame torn under a reader that has just come
 *
 * usage: races [SECONDS [RACE...]]     SECONDS: for each
 *
 * On x86 a store may pass a later load, and nothing else: without one of the fences this fails.
 */
#include "../library/rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <shmframe/clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct bell_others NOBODY = {0};

static _Atomic bool is_over;   /* time is up */
static _Atomic uint64_t taken; /* newest sequence that the reader took */
static _Atomic uint64_t announced;

#define relaxed(word) atomic_load_explicit(&(word), memory_order_relaxed)

_Noreturn static void fail(const char *what) {
    fprintf(stderr, "races: %s\n", what);
    _exit(1);
}

static bool is_time_up(void) {
    return relaxed(is_over);
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* ---- lease ---- */

/* Two slots, one of them in the history: the other is lent the moment that its lease seems to end.
 */
static void *publish_in_haste(void *argument) {
    struct rig *rig = argument;
    while (!is_time_up()) {
        uint32_t slot;
        if (ring_loan(rig->writer, &slot) != 0)
            continue;
        rig_paint(rig->payload[slot], rig->sequence + 1);
        struct shmframe_frame frame = {0};
        ring_put(rig->writer, slot, &frame);
        ring_announce(rig->writer);
    }
    return NULL;
}

/* Brings the states near: the writer's RETIRED takes longer to be seen, our look at it is quick. */
static void look_at_states(const struct rig *rig) {
    for (uint32_t slot = 0; slot < rig->writer->slots; slot++)
        (void)relaxed(rig->ring->slot[slot].state);
}

/* Looks at what it holds for as long as the writer may take to come round. */
static void look_hard(const struct rig *rig, const struct ring_frame *frame) {
    enum { LOOKS = 2 };
    for (unsigned i = 0; i < LOOKS; i++) {
        atomic_signal_fence(memory_order_seq_cst); /* from memory each time */
        if (!rig_is_painted(rig->payload[frame->slot], frame->sequence))
            fail("a frame was overwritten while it was leased");
    }
}

static void *read_hard(void *argument) {
    struct rig *rig = argument;
    struct rig_link *link = &rig->link[0];
    uint64_t frames = 0, retries = 0;
    while (!is_time_up()) {
        struct ring_frame frame;
        look_at_states(rig);
        const int code = ring_acquire(&link->reader, &frame, &retries);
        if (code == -EAGAIN)
            continue;
        if (code < 0)
            fail("the ring contradicts itself");
        look_hard(rig, &frame);
        if (rig_give_back(link, &frame) != 0)
            fail("a frame went stale while it was leased");
        frames++;
    }
    printf("  %llu frames read of %llu, %llu retries\n", (unsigned long long)frames,
           (unsigned long long)rig->sequence, (unsigned long long)retries);
    return NULL;
}

static struct rig *begin_lease(void) {
    struct rig *rig = rig_create(2, 1, 0);
    rig_join(rig, (struct rig_want){0});
    return rig;
}

/* In order, and mostly behind: between tail and lease stands a look at the index. */
static struct rig *begin_tail(void) {
    struct rig *rig = rig_create(3, 1, 0);
    rig_join(rig, (struct rig_want){.depth = 1});
    return rig;
}

enum { BATCH = 3 };

/* Several are retired at once, so that the reader may find the first of its batch in time and the
 * next too late. */
static void *publish_batches(void *argument) {
    struct rig *rig = argument;
    while (!is_time_up()) {
        uint32_t slot[BATCH];
        const int count = ring_loan_batch(rig->writer, slot, BATCH);
        for (int i = 0; i < count; i++)
            rig_paint(rig->payload[slot[i]], rig->sequence + 1 + (unsigned)i);
        for (int i = 0; i < count; i++) {
            struct shmframe_frame frame = {0};
            ring_put(rig->writer, slot[i], &frame);
        }
        ring_announce(rig->writer);
    }
    return NULL;
}

static void *read_batches(void *argument) {
    struct rig *rig = argument;
    struct rig_link *link = &rig->link[0];
    uint64_t frames = 0, batches = 0, retries = 0;
    while (!is_time_up()) {
        struct ring_frame frame[BATCH];
        look_at_states(rig);
        const int count = ring_acquire_batch(&link->reader, frame, BATCH, &retries);
        if (count == -EAGAIN)
            continue;
        if (count < 0)
            fail("the ring contradicts itself");
        for (int i = 0; i < count; i++)
            look_hard(rig, &frame[i]);
        for (int i = 0; i < count; i++)
            if (rig_give_back(link, &frame[i]) != 0)
                fail("a frame went stale while it was leased");
        frames += (unsigned)count;
        batches += count > 1;
    }
    printf("  %llu frames read of %llu, %llu times several at once, %llu retries\n",
           (unsigned long long)frames, (unsigned long long)rig->sequence,
           (unsigned long long)batches, (unsigned long long)retries);
    if (batches < 100)
        fail("hardly a batch was taken");
    return NULL;
}

/* As deep as a batch, and not one slot more than that takes. */
static struct rig *begin_batch(void) {
    struct rig *rig = rig_create(BATCH + BATCH + BATCH, 1, 0);
    rig_join(rig, (struct rig_want){.leases = BATCH, .depth = BATCH});
    return rig;
}

static struct rig *begin_spare(void) {
    enum { DEEP = 8, MORE = 6 };
    struct rig *rig = rig_create(BATCH + DEEP + BATCH + MORE, 1, 0);
    rig_join(rig, (struct rig_want){.leases = BATCH, .depth = DEEP});
    return rig;
}

/* ---- wake ---- */

/* The next frame as soon as the reader has the last, so that both meet at its way to bed. */
static void *publish_in_step(void *argument) {
    struct rig *rig = argument;
    while (!is_time_up()) {
        const uint64_t sequence = rig_publish(rig);
        atomic_store_explicit(&announced, sequence, memory_order_release);
        while (relaxed(taken) != sequence && !is_time_up())
            relax();
    }
    return NULL;
}

static void *sleep_and_read(void *argument) {
    struct rig *rig = argument;
    struct rig_link *link = &rig->link[0];
    struct ring_reader *reader = &link->reader;
    uint64_t sleeps = 0;
    while (!is_time_up()) {
        const int64_t sequence = rig_read(rig, link);
        if (sequence > 0) {
            atomic_store_explicit(&taken, (uint64_t)sequence, memory_order_relaxed);
            continue;
        }
        const uint32_t bell = relaxed(link->bell->bell);
        sleeps++;
        /* A whole slice, no ring, and yet a frame was announced: it slept through it. That one
         * stood there before the slice ended, as the writer waits for us before the next. */
        if (bell_wait(&reader, 1, &NOBODY, SHMFRAME_FOREVER) == -ETIMEDOUT &&
            atomic_load_explicit(&announced, memory_order_acquire) > reader->cursor &&
            relaxed(link->bell->bell) == bell)
            fail("a wake-up was lost");
    }
    printf("  %llu frames, %llu sleeps, %llu rings\n", (unsigned long long)rig->sequence,
           (unsigned long long)sleeps, (unsigned long long)rig->writer->rings);
    return NULL;
}

static struct rig *begin_wake(void) {
    struct rig *rig = rig_create(3, 1, 0);
    rig_join(rig, (struct rig_want){0});
    return rig;
}

/* ---- space ---- */

static void *wait_and_publish(void *argument) {
    struct rig *rig = argument;
    while (!is_time_up()) {
        ring_writer_refresh(rig->writer);
        struct ring_link *behind = ring_writer_behind(rig->writer);
        if (!behind) {
            rig_publish(rig);
            continue;
        }
        struct futex_word words[3];
        const uint32_t space = relaxed(behind->lease->space);
        const uint32_t count = bell_arm_space(rig->writer, behind, &NOBODY, words);
        if (count && bell_sleep(words, count, SHMFRAME_FOREVER) == -ETIMEDOUT &&
            relaxed(behind->lease->space) == space && !ring_writer_behind(rig->writer))
            fail("a lossless writer slept though there was space");
        bell_disarm_space(behind);
    }
    return NULL;
}

static void *read_at_once(void *argument) {
    struct rig *rig = argument;
    int64_t last = 0;
    while (!is_time_up()) {
        const int64_t sequence = rig_read(rig, &rig->link[0]);
        if (sequence > 0 && sequence != ++last)
            fail("a lossless reader lost a frame");
    }
    printf("  %llu frames, %llu waits\n", (unsigned long long)rig->sequence,
           (unsigned long long)relaxed(rig->link[0].bell->waits));
    return NULL;
}

static struct rig *begin_space(void) {
    struct rig *rig = rig_create(4, 1, 0);
    rig_join(rig, (struct rig_want){.depth = 1, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    return rig;
}

/* ---- join ---- */

/* The same link again, under a new serial: what its writer would do with another page. */
static void renew(struct rig_link *link) {
    atomic_store_explicit(&link->lease->lease[0], 0, memory_order_relaxed);
    link->core.serial++;
    link->core.state = RING_LINK_OFFERED;
}

static _Atomic bool is_offered;

/* A writer that, whenever the reader has left, offers the link again. */
static void *publish_and_offer(void *argument) {
    struct rig *rig = argument;
    while (!is_time_up()) {
        rig_publish(rig);
        if (rig->link[0].core.state == RING_LINK_OVER &&
            !atomic_load_explicit(&is_offered, memory_order_acquire)) {
            renew(&rig->link[0]);
            atomic_store_explicit(&is_offered, true, memory_order_release);
        }
    }
    return NULL;
}

static void *join_and_leave(void *argument) {
    struct rig *rig = argument;
    struct rig_link *link = &rig->link[0];
    uint64_t joins = 0;
    while (!is_time_up()) {
        if (!atomic_load_explicit(&is_offered, memory_order_acquire)) {
            relax();
            continue;
        }
        rig_grant(rig, link, (struct rig_want){0});
        struct ring_frame frame;
        uint64_t retries = 0;
        int code;
        while ((code = ring_acquire(&link->reader, &frame, &retries)) == -EAGAIN && !is_time_up()) {
        }
        if (code == 0) {
            look_hard(rig, &frame);
            if (rig_give_back(link, &frame) != 0)
                fail("a frame went stale under a reader that had just come");
        }
        joins++;
        atomic_store_explicit(&is_offered, false, memory_order_release);
        rig_end_grant(rig, link, ENTRY_GONE);
    }
    printf("  %llu joins, %llu frames\n", (unsigned long long)joins,
           (unsigned long long)rig->sequence);
    return NULL;
}

static struct rig *begin_join(void) {
    struct rig *rig = rig_create(3, 1, 0);
    rig_offer(rig);
    rig_publish(rig);
    atomic_store(&is_offered, true);
    return rig;
}

/* ---- all of them ---- */

/* Each on a processor of its own, if there are two. */
static void pin(pthread_t thread, unsigned which) {
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0 || CPU_COUNT(&allowed) < 2)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || which-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(thread, sizeof(one), &one);
        return;
    }
}

static const struct race {
    const char *name;
    struct rig *(*begin)(void);
    void *(*writer)(void *);
    void *(*reader)(void *);
} races[] = {
    {"lease", begin_lease, publish_in_haste, read_hard},
    {"tail", begin_tail, publish_in_haste, read_hard},
    {"batch", begin_batch, publish_batches, read_batches},
    {"spare", begin_spare, publish_batches, read_batches},
    {"wake", begin_wake, publish_in_step, sleep_and_read},
    {"space", begin_space, wait_and_publish, read_at_once},
    {"join", begin_join, publish_and_offer, join_and_leave},
};

static void run(const struct race *race, double seconds) {
    printf("%s\n", race->name);
    fflush(stdout);
    atomic_store(&is_over, false);
    atomic_store(&taken, 0);
    atomic_store(&announced, 0);
    struct rig *rig = race->begin();
    pthread_t writer, reader;
    if (pthread_create(&writer, NULL, race->writer, rig) != 0 ||
        pthread_create(&reader, NULL, race->reader, rig) != 0)
        fail("no thread");
    pin(writer, 0);
    pin(reader, 1);
    usleep((useconds_t)(seconds * 1e6));
    atomic_store(&is_over, true);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    if (rig->sequence < 100)
        fail("hardly a frame was published");
    rig_destroy(rig);
}

int main(int count, char **arguments) {
    const double seconds = count > 1 ? atof(arguments[1]) : 2;
    unsigned runs = 0;
    for (unsigned i = 0; i < sizeof(races) / sizeof(races[0]); i++) {
        bool is_wanted = count <= 2;
        for (int a = 2; a < count; a++)
            is_wanted |= strcmp(arguments[a], races[i].name) == 0;
        if (is_wanted) {
            run(&races[i], seconds);
            runs++;
        }
    }
    if (runs == 0 || seconds <= 0) {
        fprintf(stderr, "usage: races [SECONDS [lease|tail|batch|spare|wake|space|join...]]\n");
        return 2;
    }
    return 0;
}
