#include "ledger.h"

#include "clock.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* ---- life ---- */

void ledger_init(struct ledger *ledger, bool tells_drops) {
    *ledger = (struct ledger){.tells_drops = tells_drops};
    do { /* as a record's: without it the name is of this instant alone */
        if (getrandom(&ledger->id, sizeof(ledger->id), GRND_NONBLOCK) < 0)
            ledger->id = (uint64_t)clock_now_ns();
    } while (ledger->id == 0);
}

static int64_t find_period_ns(const struct shmframe_format *format) {
    const struct shmframe_rational rate = format->video.frame_rate;
    if (format->kind == SHMFRAME_VIDEO && rate.num > 0 && rate.den > 0)
        return INT64_C(1000000000) * rate.den / rate.num;
    if (format->kind == SHMFRAME_AUDIO && format->audio.sample_rate > 0)
        return INT64_C(1000000000) * format->audio.samples_max / format->audio.sample_rate;
    return 0;
}

/* Only we write these words. */
static void show(_Atomic uint64_t *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static void show_ns(_Atomic int64_t *word, int64_t value_ns) {
    atomic_store_explicit(word, value_ns, memory_order_relaxed);
}

/* A seqlock with one writer, as a record's flight. */
static void begin_line(struct ring_incident *line) {
    show(&line->number, 0);
    atomic_thread_fence(memory_order_release);
}

static void end_line(struct ring_incident *line, const struct ledger_incident *incident) {
    show(&line->first, incident->first);
    show(&line->count, incident->count);
    show_ns(&line->time_ns, incident->time_ns);
    show_ns(&line->duration_ns, incident->duration_ns);
    show(&line->culprit, incident->culprit);
    atomic_store_explicit(&line->cause, (uint32_t)incident->cause, memory_order_relaxed);
    atomic_store_explicit(&line->leases, incident->leases, memory_order_relaxed);
    atomic_store_explicit(&line->number, incident->number, memory_order_release);
}

static void copy_log(struct ring *to, const struct ring *from) {
    struct ledger_incident incident[RING_INCIDENTS];
    const uint32_t lines = ledger_get_incidents(from, 0, incident);
    for (uint32_t i = 0; i < lines; i++) {
        struct ring_incident *line = &to->incident[(incident[i].number - 1) % RING_INCIDENTS];
        if (atomic_load_explicit(&line->number, memory_order_relaxed) == incident[i].number)
            continue;
        begin_line(line);
        end_line(line, &incident[i]);
    }
    /* Lines before numbers, as add_incident(). */
    atomic_thread_fence(memory_order_release);
}

void ledger_show(const struct ledger *ledger, struct ring *ring,
                 const struct shmframe_format *format, uint32_t slots) {
    const struct shmframe_writer_counters *counters = &ledger->counters;
    const struct ring *former = ledger->ring;
    struct ring_ledger *page = &ring->ledger;
    if (former)
        copy_log(ring, former);
    show(&page->published, counters->published);
    show(&page->abandoned, counters->abandoned);
    show(&page->refused, counters->loans_refused);
    show(&page->late, counters->late);
    show(&page->device_dropped, ledger->device_dropped);
    show(&page->pool, ledger->pool);
    show(&page->waits, counters->waits);
    show(&page->loans_cold, counters->loans_cold);
    show(&page->blocker, ledger->blocker);
    show_ns(&page->blocked_ns, ledger->blocked_ns);
    if (former) {
        show_ns(&page->refused_ns,
                atomic_load_explicit(&former->ledger.refused_ns, memory_order_relaxed));
        show_ns(&page->publish_ns,
                atomic_load_explicit(&former->ledger.publish_ns, memory_order_relaxed));
    }
    show_ns(&page->period_ns, ledger->is_unpaced ? 0 : find_period_ns(format));
    atomic_store_explicit(&page->slots_used, slots, memory_order_relaxed);
    atomic_store_explicit(&page->incidents, ledger->incidents, memory_order_release);
    /* Release: who finds the name finds the rest. */
    atomic_store_explicit(&page->id, ledger->id, memory_order_release);
}

void ledger_enter(struct ledger *ledger, struct ring *ring, const struct shmframe_format *format,
                  uint32_t slots) {
    ledger_show(ledger, ring, format, slots);
    ledger->ring = ring;
    ledger->format = NULL;
}

void ledger_warmed(struct ledger *ledger, uint32_t slots, bool is_cold) {
    struct ring_ledger *page = &ledger->ring->ledger;
    atomic_store_explicit(&page->slots_used, slots, memory_order_relaxed);
    if (is_cold)
        show(&page->loans_cold, ++ledger->counters.loans_cold);
}

/* ---- the log ---- */

static void count_missing_frames(struct ledger *ledger, const struct ledger_incident *incident,
                                 bool is_counted) {
    struct ring_ledger *page = &ledger->ring->ledger;
    if (incident->cause == SHMFRAME_CAUSE_DEVICE)
        show(&page->device_dropped, ledger->device_dropped += incident->count);
    else if (incident->cause == SHMFRAME_CAUSE_WRITER_LATE)
        show(&page->late, ledger->counters.late += incident->count);
    else if (incident->cause == SHMFRAME_CAUSE_POOL && !is_counted)
        show(&page->pool, ledger->pool += incident->count);
}

/* `is_counted`: it was when it happened. */
static void add_incident(struct ledger *ledger, const struct ledger_incident *incident,
                         bool is_counted) {
    struct ring *ring = ledger->ring;
    struct ledger_incident numbered = *incident;
    numbered.number = ++ledger->incidents;
    struct ring_incident *line = &ring->incident[(numbered.number - 1) % RING_INCIDENTS];
    begin_line(line);
    /* While the line is marked: who finds no line marked finds no more counted than told. */
    count_missing_frames(ledger, incident, is_counted);
    end_line(line, &numbered);
    atomic_store_explicit(&ring->ledger.incidents, numbered.number, memory_order_release);
}

/* ---- frames ---- */

static int64_t find_lasts_ns(const struct ledger *ledger, const struct shmframe_frame *frame) {
    return ledger->sample_ns > 0 ? (int64_t)(frame->samples * ledger->sample_ns)
                                 : ledger->period_ns;
}

static uint64_t count_units(int64_t ns, int64_t unit_ns) {
    if (unit_ns <= 0 || ns <= unit_ns / 2) /* nearly always: no division then */
        return 0;
    return (uint64_t)(ns / unit_ns + (ns % unit_ns > unit_ns / 2));
}

/* Frames that are missing before one, by whom. */
struct missing {
    uint32_t device;
    uint64_t late, pool;
    int64_t gap_ns, kept_ns; /* ... how long the writer was kept from it */
};

static int64_t find_kept_ns(const struct ledger *ledger, const struct shmframe_frame *frame) {
    const int64_t now_ns = ledger->wait_ns ? frame->publish_ns - ledger->wait_ns : 0;
    return ledger->excuse.ns + ledger->busy.ns + (now_ns > 0 ? now_ns : 0);
}

static uint64_t less(uint64_t from, uint64_t what) {
    return from > what ? from - what : 0;
}

static uint64_t count_gap(int64_t gap_ns, int64_t kept_ns, int64_t lasts_ns, int64_t unit_ns) {
    return gap_ns > kept_ns ? count_units(gap_ns - kept_ns - lasts_ns, unit_ns) : 0;
}

/* Blocks of sound differ: what is missing is counted in the longer of two. */
static void count_late(const struct ledger *ledger, const struct shmframe_frame *frame,
                       int64_t lasts_ns, uint32_t own_dropped, struct missing *missing) {
    const int64_t unit_ns = lasts_ns > ledger->lasts_ns ? lasts_ns : ledger->lasts_ns;
    const uint64_t times = ledger->excuse.times + ledger->busy.times;
    const uint64_t units = count_units(missing->kept_ns, unit_ns);
    uint64_t all = own_dropped;
    missing->late = less(own_dropped, units > times ? units : times);
    if (!ledger->tells_drops && !(frame->flags & SHMFRAME_DISCONTINUITY)) {
        const uint64_t gap =
            less(count_gap(missing->gap_ns, 0, ledger->lasts_ns, unit_ns), missing->device);
        const uint64_t late =
            less(count_gap(missing->gap_ns, missing->kept_ns, ledger->lasts_ns, unit_ns),
                 missing->device);
        all = gap > all ? gap : all;
        missing->late = late > missing->late ? late : missing->late;
    }
    missing->pool = less(all, missing->late + ledger->excuse_told);
}

static void tell_missing(struct ledger *ledger, const struct shmframe_frame *frame,
                         const struct missing *missing) {
    struct ledger_incident incident = {
        .first = frame->sequence, .time_ns = frame->publish_ns, .duration_ns = missing->gap_ns};
    if (missing->device) {
        incident.cause = SHMFRAME_CAUSE_DEVICE;
        incident.count = missing->device;
        add_incident(ledger, &incident, false);
    }
    if (missing->late) {
        incident.cause = SHMFRAME_CAUSE_WRITER_LATE;
        incident.count = missing->late;
        add_incident(ledger, &incident, false);
    }
    if (missing->pool) {
        incident.cause = SHMFRAME_CAUSE_POOL;
        incident.count = missing->pool;
        incident.duration_ns = missing->kept_ns;
        incident.culprit = ledger->excuser;
        incident.leases = ledger->excuser_leases;
        add_incident(ledger, &incident, false);
    }
}

static int64_t find_gap_ns(const struct ledger *ledger, const struct shmframe_frame *frame) {
    int64_t gap_ns;
    return __builtin_sub_overflow(frame->capture_ns, ledger->capture_ns, &gap_ns) || gap_ns < 0
               ? 0
               : gap_ns;
}

static void clear_excuse(struct ledger *ledger) {
    ledger->excuse = ledger->busy = (struct ledger_excuse){0};
    ledger->excuse_told = 0;
    ledger->is_excused = false;
}

static void judge(struct ledger *ledger, const struct shmframe_frame *frame, int64_t lasts_ns,
                  uint32_t own_dropped) {
    const uint32_t own = own_dropped < frame->device_dropped ? own_dropped : frame->device_dropped;
    struct missing missing = {.device = frame->device_dropped - own,
                              .gap_ns = find_gap_ns(ledger, frame),
                              .kept_ns = find_kept_ns(ledger, frame)};
    if (ledger->format && !ledger->is_unpaced)
        count_late(ledger, frame, lasts_ns, own, &missing);
    ledger->counters.device_dropped += frame->device_dropped;
    tell_missing(ledger, frame, &missing);
    ledger->busy = (struct ledger_excuse){0};
    /* What was lent before the writer was kept waiting may come after. */
    if (ledger->wait_ns == 0 && frame->loan_ns >= ledger->unblocked_ns)
        clear_excuse(ledger);
}

/* The first frame of a format: nothing is known of the one before. */
static void begin_format(struct ledger *ledger, const struct shmframe_format *format,
                         const struct shmframe_frame *frame) {
    ledger->capture_ns = frame->capture_ns;
    ledger->period_ns = find_period_ns(format);
    ledger->sample_ns = format->kind == SHMFRAME_AUDIO && ledger->period_ns > 0
                            ? 1e9 / format->audio.sample_rate
                            : 0;
    ledger->is_judged = ledger->period_ns > 0 && !ledger->tells_drops && !ledger->is_unpaced;
    ledger->lasts_ns = find_lasts_ns(ledger, frame);
    /* Release: with its publish_ns. */
    if (!ledger->is_unpaced)
        atomic_store_explicit(&ledger->ring->ledger.period_ns, ledger->period_ns,
                              memory_order_release);
}

/* What is not so of most frames. */
static __attribute__((noinline)) void look_closely(struct ledger *ledger,
                                                   const struct shmframe_format *format,
                                                   const struct shmframe_frame *frame,
                                                   uint32_t own_dropped) {
    if (ledger->format != format) {
        ledger->format = NULL;
        begin_format(ledger, format, frame);
    }
    judge(ledger, frame, find_lasts_ns(ledger, frame), own_dropped);
    ledger->format = format;
}

/* Threads publish in another order than they were lent, but not by more than there are loans: what
 * was captured long before is of another clock. */
static bool is_out_of_order(const struct ledger *ledger, const struct shmframe_frame *frame) {
    enum { LOANS_MAX = 64 };
    int64_t behind_ns;
    return !(frame->flags & SHMFRAME_DISCONTINUITY) &&
           !__builtin_sub_overflow(ledger->capture_ns, frame->capture_ns, &behind_ns) &&
           behind_ns > 0 && behind_ns / LOANS_MAX < ledger->lasts_ns;
}

void ledger_published(struct ledger *ledger, const struct shmframe_format *format,
                      const struct shmframe_frame *frame, uint32_t own_dropped) {
    struct ring_ledger *page = &ledger->ring->ledger;
    show(&page->published, ++ledger->counters.published);
    show_ns(&page->publish_ns, frame->publish_ns);
    /* Unsigned: times that make no sense are looked at closely. */
    const uint64_t gap_ns = (uint64_t)frame->capture_ns - (uint64_t)ledger->capture_ns;
    const uint64_t slack_ns = (uint64_t)(ledger->lasts_ns + ledger->lasts_ns / 2);
    if (ledger->format != format || frame->device_dropped || ledger->is_excused ||
        (ledger->is_judged && gap_ns > slack_ns)) {
        look_closely(ledger, format, frame, own_dropped);
        if (is_out_of_order(ledger, frame))
            return;
    }
    ledger->capture_ns = frame->capture_ns;
    ledger->lasts_ns = find_lasts_ns(ledger, frame);
}

void ledger_set_paced(struct ledger *ledger, bool is_paced) {
    if (ledger->is_unpaced == !is_paced)
        return;
    ledger->is_unpaced = !is_paced;
    ledger->format = NULL;
    clear_excuse(ledger);
    /* A period is shown again with the next frame: the newest one is from before the pause. */
    if (!is_paced)
        show_ns(&ledger->ring->ledger.period_ns, 0);
}

void ledger_abandoned(struct ledger *ledger) {
    show(&ledger->ring->ledger.abandoned, ++ledger->counters.abandoned);
}

/* ---- slots that are not to be had ---- */

static void block(struct ledger *ledger, uint64_t blocker, uint32_t leases, int64_t now_ns) {
    struct ring_ledger *page = &ledger->ring->ledger;
    if (ledger->blocked_ns == 0)
        show_ns(&page->blocked_ns, ledger->blocked_ns = now_ns);
    if (ledger->blocker != blocker)
        show(&page->blocker, ledger->blocker = blocker);
    ledger->leases = ledger->excuser_leases = leases;
    ledger->excuser = blocker;
}

static uint64_t name_link(const struct ring_link *link) {
    return (uint64_t)link->serial << 32 | link->entry;
}

static uint32_t count_leases(const struct ring_link *link) {
    uint32_t count = 0;
    for (uint32_t cell = 0; cell < link->grant.leases; cell++)
        count += atomic_load_explicit(&link->lease->lease[cell], memory_order_relaxed) != 0;
    return count;
}

void ledger_blocked_by(struct ledger *ledger, const struct ring_writer *core,
                       const struct ring_link *link, int64_t now_ns) {
    block(ledger, name_link(link), ring_writer_backlog(core, link) + count_leases(link), now_ns);
}

void ledger_blocked_by_self(struct ledger *ledger, uint32_t slots, int64_t now_ns) {
    block(ledger, LEDGER_SELF, slots, now_ns);
}

void ledger_blocked_by_most(struct ledger *ledger, const struct ring_writer *core, int64_t now_ns) {
    uint64_t culprit = LEDGER_SELF;
    uint32_t most = 0;
    for (unsigned i = 0; i < RING_SLOTS_MAX / 64; i++)
        most += (uint32_t)__builtin_popcountll(core->loaned.word[i] | core->pinned.word[i] |
                                               core->kept.word[i]);
    for (uint32_t i = 0; i < core->active_count; i++) {
        const struct ring_link *link = core->active[i];
        const uint32_t leases = count_leases(link);
        /* Among equals, who was it before: it does not change with each loan. */
        if (leases > most || (leases == most && most && name_link(link) == ledger->culprit)) {
            culprit = name_link(link);
            most = leases;
        }
    }
    block(ledger, culprit, most, now_ns);
}

static void show_refused(struct ledger *ledger, int64_t now_ns) {
    show_ns(&ledger->ring->ledger.refused_ns, now_ns);
}

void ledger_waits(struct ledger *ledger, int64_t now_ns) {
    show(&ledger->ring->ledger.waits, ++ledger->counters.waits);
    show_refused(ledger, 0);
    if (ledger->waiters++ == 0)
        ledger->wait_ns = now_ns;
    ledger->is_excused = true;
}

void ledger_waited(struct ledger *ledger, int64_t now_ns) {
    ledger->excuse.ns += now_ns - ledger->wait_ns;
    ledger->wait_ns = --ledger->waiters ? now_ns : 0;
    ledger->excused_ns = ledger->unblocked_ns = now_ns;
}

/* The series of refusals is over, before frame `next` is. */
static void end_refusals(struct ledger *ledger, uint64_t next, int64_t now_ns) {
    if (ledger->refusals == 0)
        return;
    const struct ledger_incident incident = {.cause = SHMFRAME_CAUSE_POOL,
                                             .first = next,
                                             .count = ledger->refusals,
                                             .time_ns = now_ns,
                                             .duration_ns = now_ns - ledger->refused_ns,
                                             .culprit = ledger->culprit,
                                             .leases = ledger->culprit_leases};
    add_incident(ledger, &incident, true);
    ledger->refusals = 0;
    ledger->culprit = 0;
}

/* A period each, but not for the same time twice. */
static void excuse(struct ledger *ledger, struct ledger_excuse *excuse, int64_t now_ns) {
    const int64_t since_ns = now_ns - ledger->excused_ns;
    excuse->ns += since_ns < ledger->lasts_ns ? since_ns : ledger->lasts_ns;
    excuse->times++;
    ledger->excused_ns = now_ns;
    ledger->is_excused = true;
}

static void add_refusal(struct ledger *ledger, uint64_t next, int64_t now_ns) {
    if (ledger->culprit != ledger->blocker)
        end_refusals(ledger, next, now_ns);
    if (ledger->refusals++ == 0) {
        ledger->refused_ns = now_ns;
        ledger->culprit = ledger->blocker;
    }
    ledger->culprit_leases = ledger->leases;
    ledger->excuse_told++;
    show(&ledger->ring->ledger.pool, ++ledger->pool);
}

void ledger_refused(struct ledger *ledger, int code, uint64_t next, int64_t now_ns) {
    if (code == -EAGAIN || code == -ENOSPC)
        add_refusal(ledger, next, now_ns);
    excuse(ledger, code == -EBUSY ? &ledger->busy : &ledger->excuse, now_ns);
    show(&ledger->ring->ledger.refused, ++ledger->counters.loans_refused);
    show_refused(ledger, now_ns);
}

static void unblock(struct ledger *ledger, int64_t now_ns) {
    struct ring_ledger *page = &ledger->ring->ledger;
    ledger->unblocked_ns = now_ns;
    show_refused(ledger, 0);
    show_ns(&page->blocked_ns, ledger->blocked_ns = 0);
    show(&page->blocker, ledger->blocker = 0);
}

void ledger_given_up(struct ledger *ledger, int64_t now_ns) {
    if (ledger->refusals == 0 && ledger->blocked_ns)
        unblock(ledger, now_ns);
}

void ledger_unblocked(struct ledger *ledger, uint64_t next, int64_t now_ns) {
    end_refusals(ledger, next, now_ns);
    unblock(ledger, now_ns);
}
