#include "mark_tally.h"

#include <stdlib.h>
#include <string.h>

void mark_tally_init(struct mark_tally *tally, uint16_t own_clock, const uint16_t *source) {
    memset(tally, 0, sizeof(*tally));
    tally->own_clock = own_clock;
    tally->has_source = source != NULL;
    tally->source = source ? *source : 0;
}

static void count_other(struct mark_tally *tally, uint16_t stream) {
    tally->figures.counts.others++;
    uint32_t i = 0;
    while (i < tally->others && tally->other[i].stream != stream)
        i++;
    if (i == MARK_TALLY_OTHERS)
        return;
    if (i == tally->others)
        tally->other[tally->others++] = (struct mark_other){.stream = stream};
    tally->other[i].pictures++;
}

/* How far ahead of `from`: numbers go round. */
static int32_t find_steps(const struct mark *mark, const struct mark *from) {
    return (int32_t)(mark->number - from->number);
}

/* Whether so many frames take so long, to half a frame: numbers have no gaps at the source. */
static bool do_steps_take(const struct mark_tally *tally, int32_t steps, int64_t took_ns) {
    const __int128 off = (__int128)steps * tally->step_ns - took_ns;
    const int64_t limit_ns = tally->step_ns / 2 + llabs(steps); /* and a step's own rounding */
    return tally->step_ns == 0 || (off <= limit_ns && -off <= limit_ns);
}

/* Numbers and instants go forth, and back, together in one run. */
static bool is_other_run(const struct mark_tally *tally, const struct mark *mark) {
    const struct mark *newest = &tally->newest;
    const int32_t steps = find_steps(mark, newest);
    if (mark->clock != newest->clock || steps <= -MARK_TALLY_WINDOW)
        return true;
    if (steps > 0 && mark->capture_ns < newest->capture_ns)
        return true;
    if (steps < 0 && mark->capture_ns > newest->capture_ns)
        return true;
    if (steps == 0)
        return mark->capture_ns != newest->capture_ns;
    return !do_steps_take(tally, steps, mark->capture_ns - newest->capture_ns);
}

static void begin_run(struct mark_tally *tally, const struct mark *mark) {
    tally->newest = *mark;
    tally->seen = 1;
    tally->first_ns = 0;
    tally->unseen = 0;
    tally->is_gapped = false;
    tally->step_ns = 0;
    tally->returns = 0;
    tally->figures.counts.frames++;
}

/* `gone` may have been in what was not seen, which is used up by it. */
static void excuse(struct mark_tally *tally, uint64_t gone) {
    struct mark_counts *counts = &tally->figures.counts;
    const uint64_t known = gone < tally->unseen ? gone : tally->unseen;
    tally->unseen -= known;
    counts->unseen += known;
    if (!tally->is_gapped)
        return;
    counts->unseen += gone - known;
    counts->hidden += gone - known;
}

/* Frames between the newest and this one are gone, until they are found. Returns how many. */
static uint64_t advance(struct mark_tally *tally, const struct mark *mark) {
    struct mark_counts *counts = &tally->figures.counts;
    const uint32_t step = mark->number - tally->newest.number;
    const uint64_t gone = step - 1;
    counts->frames++;
    counts->gone += gone;
    excuse(tally, gone);
    if (tally->step_ns == 0)
        tally->step_ns = (mark->capture_ns - tally->newest.capture_ns) / step;
    tally->seen = step < MARK_TALLY_WINDOW ? tally->seen << step | 1 : 1;
    tally->newest = *mark;
    return gone;
}

/* An older frame: returns whether it is seen for the first time. */
static bool find_again(struct mark_tally *tally, const struct mark *mark) {
    const uint64_t bit = UINT64_C(1) << (tally->newest.number - mark->number);
    if (tally->seen & bit)
        return false;
    tally->seen |= bit;
    tally->figures.counts.frames++;
    tally->figures.counts.found++;
    return true;
}

static void measure(struct mark_tally *tally, const struct mark_look *look) {
    struct mark_figures *figures = &tally->figures;
    if (look->mark.clock != tally->own_clock) {
        figures->counts.undated++;
        return;
    }
    spread_add(&figures->seen, look->capture_ns - look->mark.capture_ns);
    spread_add(&figures->mark_age, look->acquire_ns - look->mark.capture_ns);
}

/* The part of a torn picture that is older: it was seen too, if only in part. */
static uint64_t add_oldest(struct mark_tally *tally, const struct mark *oldest) {
    if (oldest->stream != tally->source || is_other_run(tally, oldest))
        return 0;
    if (find_steps(oldest, &tally->newest) > 0)
        return advance(tally, oldest);
    find_again(tally, oldest);
    return 0;
}

static bool was_seen(const struct mark_tally *tally, const struct mark *mark) {
    return tally->seen >> -find_steps(mark, &tally->newest) & 1;
}

/* An older picture that was seen before: notes where such begin, and tells whether they go on in
 * the order of a clip that begins again. */
static bool is_loop(struct mark_tally *tally, const struct mark_look *look) {
    if (!was_seen(tally, &look->mark)) {
        tally->returns = 0;
        return false;
    }
    const int32_t steps = tally->returns ? find_steps(&look->mark, &tally->back.mark) : -1;
    if (steps > 0)
        return true;
    if (steps == 0) {
        tally->returns++;
        return false;
    }
    tally->returns = find_steps(&look->mark, &tally->newest) <= -MARK_TALLY_LOOP;
    tally->back = *look;
    return false;
}

static void add_newer(struct mark_tally *tally, const struct mark_look *look,
                      struct mark_verdict *verdict) {
    if (tally->first_ns) {
        verdict->shown_for_ns = look->publish_ns - tally->first_ns;
        spread_add(&tally->figures.shown_for, verdict->shown_for_ns);
    }
    verdict->lost += advance(tally, &look->mark);
    verdict->findings |= MARK_FIRST;
    tally->first_ns = look->publish_ns;
    measure(tally, look);
}

static void add_older(struct mark_tally *tally, const struct mark_look *look,
                      struct mark_verdict *verdict) {
    tally->figures.counts.out_of_order++;
    verdict->findings |= MARK_OUT_OF_ORDER;
    if (find_again(tally, &look->mark)) {
        verdict->findings |= MARK_FIRST;
        measure(tally, look);
    }
}

static void add_run(struct mark_tally *tally, const struct mark_look *look,
                    struct mark_verdict *verdict) {
    if (tally->has_begun) {
        tally->figures.counts.restarts++;
        verdict->findings |= MARK_RESTARTED;
    }
    tally->has_begun = true;
    begin_run(tally, &look->mark);
    verdict->findings |= MARK_FIRST;
    tally->first_ns = look->publish_ns;
    measure(tally, look);
}

/* The clip began with the first of the pictures that came back. */
static void add_loop(struct mark_tally *tally, const struct mark_look *look,
                     struct mark_verdict *verdict) {
    const struct mark_look back = tally->back;
    const uint64_t returns = tally->returns, unseen = tally->unseen;
    const bool is_gapped = tally->is_gapped;
    tally->figures.counts.out_of_order -= returns;
    tally->figures.counts.repeated += returns - 1;
    add_run(tally, &back, verdict);
    tally->unseen = unseen;
    tally->is_gapped = is_gapped;
    add_newer(tally, look, verdict);
}

static void add_mark(struct mark_tally *tally, const struct mark_look *look,
                     struct mark_verdict *verdict) {
    struct mark_counts *counts = &tally->figures.counts;
    counts->corrected += look->corrected;
    if (look->is_torn) {
        counts->torn++;
        verdict->findings |= MARK_TORN;
    }
    bool is_run = !tally->has_begun || is_other_run(tally, &look->mark);
    if (!is_run && look->is_torn && look->oldest.capture_ns != look->mark.capture_ns) {
        verdict->lost += add_oldest(tally, &look->oldest);
        is_run = is_other_run(tally, &look->mark); /* than the part that is there already */
    }
    const int32_t steps = find_steps(&look->mark, &tally->newest);
    if (is_run) {
        add_run(tally, look, verdict);
    } else if (steps < 0 && is_loop(tally, look)) {
        add_loop(tally, look, verdict);
    } else if (steps < 0) {
        add_older(tally, look, verdict);
    } else if (steps > 0) {
        add_newer(tally, look, verdict);
    } else {
        counts->repeated++;
        verdict->findings |= MARK_REPEATED;
    }
    if (steps >= 0)
        tally->returns = 0;
    tally->unseen = 0;
    tally->is_gapped = false;
}

struct mark_verdict mark_tally_add(struct mark_tally *tally, const struct mark_look *look) {
    struct mark_counts *counts = &tally->figures.counts;
    struct mark_verdict verdict = {0};
    counts->pictures++;
    counts->passed += look->passed;
    tally->unseen += look->passed;
    tally->is_gapped |= look->is_gapped;
    if (look->copies == 0) {
        tally->unseen++;
        if (tally->has_begun)
            counts->without++;
        else
            counts->before++;
        return verdict;
    }
    if (!tally->has_source) {
        tally->has_source = true;
        tally->source = look->mark.stream;
    }
    if (look->mark.stream != tally->source) {
        count_other(tally, look->mark.stream);
        tally->unseen++;
        return (struct mark_verdict){.findings = MARK_OTHER};
    }
    add_mark(tally, look, &verdict);
    return verdict;
}

static uint64_t subtract(uint64_t from, uint64_t what) {
    return from > what ? from - what : 0;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t mark_counts_lost(const struct mark_counts *counts) {
    return subtract(counts->gone, counts->found);
}

uint64_t mark_counts_unseen(const struct mark_counts *counts) {
    return least(counts->unseen, mark_counts_lost(counts));
}

uint64_t mark_counts_crowded(const struct mark_counts *counts) {
    const uint64_t lost = mark_counts_lost(counts);
    const uint64_t pictures = counts->pictures + counts->passed + counts->hidden - counts->before;
    return least(subtract(counts->frames + lost, pictures), lost);
}

void mark_figures_subtract(struct mark_figures *figures, const struct mark_figures *earlier) {
    enum { COUNTS = sizeof(struct mark_counts) / sizeof(uint64_t) };
    uint64_t left[COUNTS], right[COUNTS];
    memcpy(left, &figures->counts, sizeof(left));
    memcpy(right, &earlier->counts, sizeof(right));
    for (unsigned i = 0; i < COUNTS; i++)
        left[i] = subtract(left[i], right[i]);
    memcpy(&figures->counts, left, sizeof(left));
    spread_subtract(&figures->seen, &earlier->seen);
    spread_subtract(&figures->mark_age, &earlier->mark_age);
    spread_subtract(&figures->shown_for, &earlier->shown_for);
}
