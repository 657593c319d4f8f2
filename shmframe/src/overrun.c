#include "overrun.h"

void overrun_start(struct overrun_clock *clock, int64_t now_ns) {
    *clock = (struct overrun_clock){.acquire_ns = now_ns};
    atomic_store_explicit(&clock->released_ns, now_ns, memory_order_relaxed);
}

void overrun_looked(struct overrun_clock *clock, int64_t now_ns) {
    clock->looked_ns = now_ns;
    clock->woke_ns = clock->moved_ns = 0;
}

void overrun_woke(struct overrun_clock *clock, int64_t now_ns) {
    clock->woke_ns = now_ns;
}

void overrun_moved(struct overrun_clock *clock, int64_t rung_ns) {
    /* The first call is what it should have come for. A writer that died has not called. */
    if (clock->looked_ns && clock->moved_ns == 0 && rung_ns >= clock->looked_ns)
        clock->moved_ns = rung_ns;
}

static int64_t clamp_ns(int64_t value_ns, int64_t least_ns, int64_t most_ns) {
    return value_ns < least_ns ? least_ns : value_ns > most_ns ? most_ns : value_ns;
}

/* Since when something was there for one that had looked. */
static int64_t find_call_ns(const struct overrun_clock *clock, const struct overrun_sight *sight) {
    int64_t call_ns = sight->publish_ns;
    if (clock->moved_ns)
        call_ns = clock->moved_ns;
    else if (sight->rung_ns >= clock->looked_ns)
        call_ns = sight->rung_ns;
    else if (clock->woke_ns && clock->woke_ns < call_ns)
        call_ns = clock->woke_ns; /* nobody called: nothing had come by the time it woke */
    return clamp_ns(call_ns, clock->looked_ns, sight->now_ns);
}

static int64_t find_free_ns(const struct overrun_clock *clock, const struct overrun_sight *sight,
                            int64_t from_ns) {
    const int64_t released_ns = atomic_load_explicit(&clock->released_ns, memory_order_relaxed);
    return sight->is_holding ? sight->now_ns : clamp_ns(released_ns, from_ns, sight->now_ns);
}

/* Since its last look, or since it acquired its last frame. */
static struct overrun_shares find_shares(const struct overrun_clock *clock,
                                         const struct overrun_sight *sight) {
    const int64_t from_ns = clock->looked_ns ? find_call_ns(clock, sight) : clock->acquire_ns;
    if (clock->woke_ns) {
        const int64_t awake_ns = clamp_ns(clock->woke_ns, from_ns, sight->now_ns);
        return (struct overrun_shares){.woken_ns = awake_ns - from_ns,
                                       .away_ns = sight->now_ns - awake_ns};
    }
    const int64_t free_ns = find_free_ns(clock, sight, from_ns);
    return (struct overrun_shares){.held_ns = free_ns - from_ns,
                                   .away_ns = sight->now_ns - free_ns};
}

static struct overrun_shares sum_shares(const struct overrun_clock *clock,
                                        const struct overrun_sight *sight) {
    struct overrun_shares sum = find_shares(clock, sight);
    if (clock->looked_ns == 0) { /* it was not up to date: what was before counts too */
        sum.woken_ns += clock->past.woken_ns;
        sum.held_ns += clock->past.held_ns;
        sum.away_ns += clock->past.away_ns;
    }
    return sum;
}

void overrun_add(struct overrun_clock *clock, struct overrun_sight sight) {
    clock->past = sum_shares(clock, &sight);
}

static enum shmframe_cause find_cause(const struct overrun_shares *shares) {
    if (shares->away_ns >= shares->held_ns && shares->away_ns >= shares->woken_ns)
        return SHMFRAME_CAUSE_AWAY;
    return shares->held_ns >= shares->woken_ns ? SHMFRAME_CAUSE_HELD : SHMFRAME_CAUSE_WOKEN_LATE;
}

void overrun_judge(struct overrun_clock *clock, const struct overrun_sight *sight,
                   struct shmframe_overrun *out_overrun) {
    const struct overrun_shares sum = sum_shares(clock, sight);
    clock->lost_ns = sight->now_ns;
    out_overrun->time_ns = sight->now_ns;
    out_overrun->woken_ns = sum.woken_ns;
    out_overrun->held_ns = sum.held_ns;
    out_overrun->away_ns = sum.away_ns;
    out_overrun->cause = find_cause(&sum);
}
