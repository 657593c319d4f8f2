/* The whole core under contention: painters with several loans, readers of each policy that take
 * batches, hold several leases and give them back on other threads, readers that come, go and die
 * through a notice page that a supervisor writes. Payloads are plain memory: under ThreadSanitizer
 * an access that the protocol does not protect is a data race, elsewhere a torn frame.
 *
 * usage: stress [SECONDS]
 */
#include "../library/rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <shmframe/clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAINTERS = 2, LOANS = 2, READERS = 4, LEASES = 3, DEPTH = 9, FRAMES_LOGGED = 1 << 16 };
/* I6: all loans, the history, and of each seat what its reader may hold and what the one before
 * left behind, as the writer may see both. */
enum { SLOTS = PAINTERS * LOANS + DEPTH + READERS * (LEASES + 1) };

/* ---- the stage ---- */

/* A place for one reader after the other, each with a link and pages of its own. */
struct seat {
    pthread_mutex_t mutex; /* guards what follows: between this reader and the supervisor */
    struct rig_link *link; /* granted, not taken yet; NULL: none */
    bool is_left;          /* the reader has gone */
    unsigned number;
    struct lease *queue; /* leases for the releaser, newest first */
    uint64_t read, lost, sleeps, lives, deaths, stale;
};

/* One lease on its way to the thread that gives it back. */
struct lease {
    struct rig_link *link;
    struct ring_frame frame;
    struct lease *next;
    _Atomic unsigned *held;
};

static struct rig *rig;
static struct seat seat[READERS];
static pthread_mutex_t frame_mutex = PTHREAD_MUTEX_INITIALIZER; /* as a threaded writer's */
static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;  /* as its session's */
static unsigned sleepers;      /* painters that wait for a lossless reader */
static struct ring_link *over; /* links to be destroyed; under list_mutex */
static _Atomic bool is_over;
static _Atomic int64_t announced_ns[FRAMES_LOGGED]; /* when each frame had been announced */
static _Atomic uint64_t newest_announced;

static void fail(const char *what) {
    fprintf(stderr, "stress: %s\n", what);
    _exit(1);
}

static bool is_time_up(void) {
    return atomic_load_explicit(&is_over, memory_order_relaxed);
}

static uint32_t draw(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* ---- links ---- */

static struct rig_link *make_link(void) {
    static uint32_t serial; /* the supervisor's thread alone */
    struct rig_link *link = calloc(1, sizeof(*link));
    if (!link)
        fail("no memory");
    link->lease = rig_map(PAGE_BYTES);
    link->bell = rig_map(PAGE_BYTES);
    link->wake = -1;
    link->core = (struct ring_link){
        .lease = link->lease, .bell = link->bell, .wake = -1, .serial = ++serial};
    return link;
}

/* The writer's upkeep, under frame_mutex: takes out the links that are over, unless somebody sleeps
 * on one of them. The supervisor may not add meanwhile. */
static void settle(void) {
    if (rig->writer->links_over == 0 || sleepers || pthread_mutex_trylock(&list_mutex) != 0)
        return;
    struct ring_link *next;
    for (struct ring_link *link = ring_writer_take_over(rig->writer); link; link = next) {
        next = link->next;
        link->next = over;
        over = link;
    }
    pthread_mutex_unlock(&list_mutex);
}

/* The supervisor's thread: the readers of these have left, and the writer knows them no more. */
static void destroy_links(void) {
    pthread_mutex_lock(&list_mutex);
    struct ring_link *next = over;
    over = NULL;
    pthread_mutex_unlock(&list_mutex);
    while (next) {
        struct rig_link *link = (struct rig_link *)next; /* its first member */
        next = next->next;
        munmap(link->lease, PAGE_BYTES);
        munmap(link->bell, PAGE_BYTES);
        free(link);
    }
}

/* ---- painters ---- */

/* Under frame_mutex, which it gives up while it sleeps: the other painter may publish. */
static void await_space(void) {
    struct ring_link *behind;
    ring_writer_refresh(rig->writer);
    while ((behind = ring_writer_behind(rig->writer)) != NULL && !is_time_up()) {
        const struct bell_others others = {.notice = rig->notice,
                                           .notice_seen = rig->writer->notice_seen};
        struct futex_word words[3];
        sleepers++;
        const uint32_t count = bell_arm_space(rig->writer, behind, &others, words);
        pthread_mutex_unlock(&frame_mutex);
        if (count)
            bell_sleep(words, count, SHMFRAME_FOREVER);
        pthread_mutex_lock(&frame_mutex);
        if (--sleepers == 0)
            bell_disarm_space(behind);
        ring_writer_refresh(rig->writer);
    }
}

/* The newest has this tag, those before it the ones before. */
static void publish(const uint32_t *slots, unsigned count, uint64_t tag) {
    pthread_mutex_lock(&frame_mutex);
    for (unsigned i = 0; i < count; i++) {
        const uint64_t own = tag - count + 1 + i;
        struct shmframe_frame frame = {.pts = (int64_t)own, .capture_ns = (int64_t)~own};
        ring_put(rig->writer, slots[i], &frame);
    }
    ring_announce(rig->writer);
    for (uint64_t sequence = rig->sequence - count + 1; sequence <= rig->sequence; sequence++)
        atomic_store_explicit(&announced_ns[sequence % FRAMES_LOGGED], shmframe_now_ns(),
                              memory_order_relaxed);
    atomic_store_explicit(&newest_announced, rig->sequence, memory_order_relaxed);
    settle();
    pthread_mutex_unlock(&frame_mutex);
}

static unsigned loan(uint32_t *slots, unsigned count) {
    pthread_mutex_lock(&frame_mutex);
    await_space();
    const int lent = ring_loan_batch(rig->writer, slots, count);
    if (lent < 0)
        fail("no slot is free, though there are enough for all loans, leases and the history");
    pthread_mutex_unlock(&frame_mutex);
    return (unsigned)lent;
}

static void *paint_frames(void *argument) {
    uint32_t random = (uint32_t)(uintptr_t)argument * 2654435761u | 1;
    uint64_t tag = (uint64_t)(uintptr_t)argument << 40;
    while (!is_time_up()) {
        uint32_t slot[LOANS];
        unsigned count = loan(slot, 1 + draw(&random) % LOANS);
        if (draw(&random) % 16 == 0) {
            pthread_mutex_lock(&frame_mutex);
            ring_abandon(rig->writer, slot[--count]);
            pthread_mutex_unlock(&frame_mutex);
        }
        for (unsigned i = 0; i < count; i++)
            rig_paint(rig->payload[slot[i]], ++tag);
        if (count == 0)
            continue;
        publish(slot, count, tag);
        if (draw(&random) % 32 == 0) /* so that readers get to sleep */
            usleep(draw(&random) % 400);
    }
    return NULL;
}

/* ---- readers ---- */

static void verify(const struct rig_link *link, const struct ring_frame *frame) {
    struct shmframe_frame stamps;
    ring_copy_stamps(&link->reader, frame, &stamps);
    if (stamps.capture_ns != ~stamps.pts)
        fail("torn stamps");
    if (!rig_is_painted(rig->payload[frame->slot], (uint64_t)stamps.pts))
        fail("a torn frame");
}

static void give_back(struct lease *lease) {
    verify(lease->link, &lease->frame);
    const int code = ring_release(&lease->link->reader, lease->frame.cell, lease->frame.sequence,
                                  lease->frame.slot);
    if (code != 0)
        fail("a lease could not be given back");
    atomic_fetch_sub_explicit(lease->held, 1, memory_order_release);
    free(lease);
}

/* Gives back what the readers of one seat handed over. */
static void *give_leases_back(void *argument) {
    struct seat *of = argument;
    for (;;) {
        pthread_mutex_lock(&of->mutex);
        struct lease *lease = of->queue;
        if (lease)
            of->queue = lease->next;
        pthread_mutex_unlock(&of->mutex);
        if (lease)
            give_back(lease);
        else if (is_time_up())
            return NULL;
        else
            sched_yield();
    }
}

static void hand_over(struct seat *of, struct rig_link *link, const struct ring_frame *frame,
                      _Atomic unsigned *held) {
    struct lease *lease = malloc(sizeof(*lease));
    if (!lease)
        fail("no memory");
    *lease = (struct lease){.link = link, .frame = *frame, .held = held};
    atomic_fetch_add_explicit(held, 1, memory_order_relaxed);
    pthread_mutex_lock(&of->mutex);
    lease->next = of->queue;
    of->queue = lease;
    pthread_mutex_unlock(&of->mutex);
}

/* I3. `base` is the sequence before this reader's first possible frame. */
static void check_order(const struct rig_link *link, const struct ring_frame *frame,
                        uint64_t last) {
    const struct ring_reader *reader = &link->reader;
    if (last == 0)
        return;
    if (frame->sequence <= last || frame->passed != frame->sequence - last - 1)
        fail("frames out of order, or counted wrongly");
    if (reader->is_lossless && frame->passed)
        fail("a lossless reader lost a frame");
    const uint64_t head =
        place_sequence(atomic_load_explicit(&rig->ring->head, memory_order_relaxed));
    if (!reader->is_latest && frame->passed && head - last <= DEPTH)
        fail("an in-order reader lost a frame within its depth");
}

/* I4. A whole slice without a ring, though what it waits for had been announced before it ended. */
static void check_sleep(const struct rig_link *link, uint32_t bell, int64_t begin_ns) {
    const uint64_t next = link->reader.cursor + 1;
    if (!link->reader.is_begun ||
        atomic_load_explicit(&newest_announced, memory_order_relaxed) < next ||
        atomic_load_explicit(&link->bell->bell, memory_order_relaxed) != bell)
        return;
    if (atomic_load_explicit(&announced_ns[next % FRAMES_LOGGED], memory_order_relaxed) <
        begin_ns + BELL_SLEEP_MAX_NS)
        fail("a wake-up was lost");
}

static void wait_for_frame(struct seat *of, struct rig_link *link) {
    struct ring_reader *reader = &link->reader;
    const struct bell_others others = {
        .notice = rig->notice,
        .notice_seen = atomic_load_explicit(&rig->notice->word, memory_order_acquire)};
    const uint32_t bell = atomic_load_explicit(&link->bell->bell, memory_order_relaxed);
    const int64_t begin_ns = shmframe_now_ns();
    of->sleeps++;
    if (bell_wait(&reader, 1, &others, SHMFRAME_FOREVER) == -ETIMEDOUT)
        check_sleep(link, bell, begin_ns);
}

/* One reader's life: some frames, then it leaves, or dies with what it holds. */
static void live(struct seat *of, struct rig_link *link, uint32_t *random) {
    _Atomic unsigned held = 0;
    const unsigned frames = 1 + draw(random) % 400;
    uint64_t last = 0, retries = 0;
    for (unsigned taken = 0; taken < frames && !is_time_up();) {
        struct ring_frame frame[LEASES];
        const int code =
            ring_acquire_batch(&link->reader, frame, 1 + draw(random) % LEASES, &retries);
        if (code == -EAGAIN)
            wait_for_frame(of, link);
        else if (code == -EBUSY)
            sched_yield();
        else if (code < 0)
            fail("the ring contradicts itself");
        for (int i = 0; i < code; i++) {
            check_order(link, &frame[i], last);
            last = frame[i].sequence;
            of->lost += frame[i].passed;
        }
        for (int i = 0; i < code; i++, taken++) {
            verify(link, &frame[i]);
            if (draw(random) % 2)
                hand_over(of, link, &frame[i], &held);
            else if (rig_give_back(link, &frame[i]) != 0)
                fail("a lease could not be given back");
        }
        of->read += code > 0 ? (unsigned)code : 0;
    }
    while (atomic_load_explicit(&held, memory_order_acquire))
        sched_yield();
    /* What it holds when it dies is the writer's again once the death is told. */
    struct ring_frame frame;
    if (draw(random) % 2 && ring_acquire(&link->reader, &frame, &retries) == 0) {
        verify(link, &frame);
        of->deaths++;
    }
    of->lives++;
}

static void *read_frames(void *argument) {
    struct seat *of = argument;
    uint32_t random = of->number * 40503u + 7;
    while (!is_time_up()) {
        pthread_mutex_lock(&of->mutex);
        struct rig_link *link = of->link;
        of->link = NULL;
        pthread_mutex_unlock(&of->mutex);
        if (!link) {
            sched_yield();
            continue;
        }
        live(of, link, &random);
        pthread_mutex_lock(&of->mutex);
        of->is_left = true;
        pthread_mutex_unlock(&of->mutex);
    }
    return NULL;
}

/* ---- the supervisor ---- */

/* Each seat its policy, in turn with each new reader so that histories grow and shrink. */
static struct rig_want draw_want(unsigned number, unsigned life) {
    switch ((number + life) % 4) {
    case 0:
        return (struct rig_want){.leases = 1 + life % LEASES};
    case 1:
        return (struct rig_want){.leases = LEASES, .depth = DEPTH};
    case 2:
        return (struct rig_want){.leases = 2, .depth = DEPTH};
    default:
        return (struct rig_want){.leases = 1 + life % LEASES,
                                 .depth = 1 + life % DEPTH,
                                 .is_lossless = true,
                                 .begin = RING_BEGIN_TOLD};
    }
}

/* Offers a link, stores the grant, bumps the word, and only then hands the link over. */
static struct rig_link *seat_reader(struct seat *of, unsigned life) {
    struct rig_link *link = make_link();
    link->core.entry = (of->number + life * READERS) % NOTICE_ENTRIES;
    pthread_mutex_lock(&list_mutex);
    ring_writer_add(rig->writer, &link->core);
    pthread_mutex_unlock(&list_mutex);
    rig_grant(rig, link, draw_want(of->number, life));
    futex_wake(&rig->notice->word, 64);
    pthread_mutex_lock(&of->mutex);
    of->link = link;
    pthread_mutex_unlock(&of->mutex);
    return link;
}

static void *supervise(void *unused) {
    (void)unused;
    struct rig_link *seated[READERS];
    for (unsigned i = 0; i < READERS; i++)
        seated[i] = seat_reader(&seat[i], 0);
    for (unsigned life = 1; !is_time_up();) {
        for (unsigned i = 0; i < READERS; i++) {
            pthread_mutex_lock(&seat[i].mutex);
            const bool is_left = seat[i].is_left;
            seat[i].is_left = false;
            pthread_mutex_unlock(&seat[i].mutex);
            if (!is_left)
                continue;
            rig_end_grant(rig, seated[i], ENTRY_GONE);
            futex_wake(&rig->notice->word, 64);
            seated[i] = seat_reader(&seat[i], life++);
        }
        destroy_links();
        sched_yield();
    }
    return NULL;
}

/* ---- all of it ---- */

static pthread_t start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument) != 0)
        fail("no thread");
    return thread;
}

static void report(void) {
    static const char *const format = "%-8u %9llu read %9llu passed %9llu sleeps %7llu lives, "
                                      "%llu of which ended with a lease\n";
    for (unsigned i = 0; i < READERS; i++) {
        printf(format, i, (unsigned long long)seat[i].read, (unsigned long long)seat[i].lost,
               (unsigned long long)seat[i].sleeps, (unsigned long long)seat[i].lives,
               (unsigned long long)seat[i].deaths);
        if (seat[i].read < 100 || seat[i].lives < 3)
            fail("hardly anything was read");
    }
    printf("%llu frames, %llu rings\n", (unsigned long long)rig->sequence,
           (unsigned long long)rig->writer->rings);
}

int main(int count, char **arguments) {
    const double seconds = count > 1 ? atof(arguments[1]) : 5;
    if (seconds <= 0 || count > 2) {
        fprintf(stderr, "usage: stress [SECONDS]\n");
        return 2;
    }
    rig = rig_create(SLOTS, 1, 0);
    pthread_t thread[PAINTERS + 2 * READERS + 1];
    unsigned threads = 0;
    for (unsigned i = 0; i < READERS; i++) {
        seat[i].number = i;
        pthread_mutex_init(&seat[i].mutex, NULL);
    }
    thread[threads++] = start(supervise, NULL);
    for (unsigned i = 0; i < PAINTERS; i++)
        thread[threads++] = start(paint_frames, (void *)(uintptr_t)(i + 1));
    for (unsigned i = 0; i < READERS; i++) {
        thread[threads++] = start(read_frames, &seat[i]);
        thread[threads++] = start(give_leases_back, &seat[i]);
    }
    usleep((useconds_t)(seconds * 1e6));
    atomic_store(&is_over, true);
    while (threads-- > 0)
        pthread_join(thread[threads], NULL);
    report();
    return 0;
}
