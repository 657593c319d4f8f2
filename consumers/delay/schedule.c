#include "schedule.h"

#include <math.h>
#include <stddef.h>

const char *schedule_distribution_name(unsigned distribution) {
    static const char *const names[] = {"uniform", "normal", "exponential"};
    return distribution < sizeof(names) / sizeof(names[0]) ? names[distribution] : NULL;
}

const char *schedule_action_name(enum schedule_action action) {
    static const char *const names[] = {"pass", "drop", "repeat", "swap"};
    return names[action];
}

void schedule_init(struct schedule *schedule, const struct schedule_params *params) {
    enum { KINDS = 4 };
    *schedule = (struct schedule){.params = *params, .last_due_ns = INT64_MIN};
    /* Dice of their own, so that drops stay where they are when jitter is added. */
    struct dice *const dice[KINDS] = {&schedule->jitter, &schedule->drop, &schedule->repeat,
                                      &schedule->swap};
    for (unsigned i = 0; i < KINDS; i++)
        dice_init(dice[i], params->seed * KINDS + i + 1);
}

/* In units of --jitter. */
static double roll_jitter(enum schedule_distribution distribution, struct dice *dice) {
    const double roll = dice_roll(dice), other = dice_roll(dice);
    switch (distribution) {
    case SCHEDULE_UNIFORM:
        return 2 * roll - 1;
    case SCHEDULE_NORMAL: /* Box and Muller's */
        return sqrt(-2 * log(1 - roll)) * cos(2 * M_PI * other);
    case SCHEDULE_EXPONENTIAL:
        return -log(1 - roll);
    }
    return 0;
}

static int64_t find_due_ns(struct schedule *schedule, int64_t acquire_ns) {
    const struct schedule_params *params = &schedule->params;
    const double jitter = roll_jitter(params->distribution, &schedule->jitter);
    const int64_t hold_ns = params->delay_ns + llrint(jitter * (double)params->jitter_ns);
    const int64_t due_ns = acquire_ns + (hold_ns > 0 ? hold_ns : 0);
    return params->is_reordering || due_ns > schedule->last_due_ns ? due_ns : schedule->last_due_ns;
}

struct schedule_turn schedule_next(struct schedule *schedule, int64_t acquire_ns) {
    const struct schedule_params *params = &schedule->params;
    const uint64_t number = ++schedule->frames;
    const bool is_dropped = chance_happens(&params->drop, &schedule->drop, number);
    const bool is_swapped = chance_happens(&params->swap, &schedule->swap, number);
    const bool is_repeated = chance_happens(&params->repeat, &schedule->repeat, number);
    struct schedule_turn turn = {.due_ns = find_due_ns(schedule, acquire_ns)};
    if (is_dropped) {
        turn.action = SCHEDULE_DROP;
        return turn;
    }
    /* The one that another waits for is left alone. */
    const bool is_waited_for = schedule->is_swapping;
    schedule->is_swapping = is_swapped && !is_waited_for;
    if (schedule->is_swapping)
        turn.action = SCHEDULE_SWAP;
    else if (is_repeated && !is_waited_for)
        turn.action = SCHEDULE_REPEAT;
    schedule->last_due_ns = turn.due_ns;
    return turn;
}

void schedule_shift(struct schedule *schedule, int64_t shift_ns) {
    if (schedule->last_due_ns != INT64_MIN)
        schedule->last_due_ns += shift_ns;
}

double schedule_count_held(const struct schedule_params *params, int64_t period_ns) {
    static const double widest[] = {
        [SCHEDULE_UNIFORM] = 1, [SCHEDULE_NORMAL] = 3.3, [SCHEDULE_EXPONENTIAL] = 7};
    const double longest_ns =
        (double)params->delay_ns + widest[params->distribution] * (double)params->jitter_ns;
    const double frames = ceil(longest_ns / (double)period_ns) + (chance_share(&params->swap) > 0);
    return frames + ceil(frames * chance_share(&params->repeat));
}
