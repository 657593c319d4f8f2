#include "comparison.h"

#include "comparison_chance.h"
#include "program.h"
#include "student.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DRAWS = 1000,
    UNITS_MIN = 10, /* of a side: with fewer it is not seen whether they hang together */
    BEYOND_MIN = 10 /* frames above the quantile, of a side, and below */
};
static const double confidence = 0.95;

const char *comparison_verdict_name(enum comparison_verdict verdict) {
    static const char *const names[] = {"no difference", "better", "worse", "cannot tell"};
    return names[verdict];
}

static double *allocate_rows(size_t columns, size_t rows) {
    double *row = calloc(columns * rows + 1, sizeof(*row));
    if (!row)
        program_fail("there is no memory for the comparison");
    return row;
}

static double get_difference(const struct comparison_units *units, const double *before,
                             const double *after) {
    return comparison_units_measure(units, after) - comparison_units_measure(units, before);
}

static int compare_numbers(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* What so few units may be off by, in standard errors. The side with fewer knows its own spread
 * least. */
static double find_errors(const struct comparison_units *units) {
    const size_t fewest = units->before < units->after ? units->before : units->after;
    return fewest > 1 ? student_reach(confidence, (uint32_t)fewest - 1) : INFINITY;
}

/* The share of draws to leave out at either end. Draws from few units vary too little, by
 * (n - 1) / n, and their ends are those of a normal distribution: Hesterberg, What Teachers Should
 * Know About the Bootstrap, 2015, section 5.3 (expanded percentiles). */
static double find_end(const struct comparison_units *units) {
    const double fewest = (double)(units->before < units->after ? units->before : units->after);
    return fewest > 1 ? erfc(find_errors(units) * sqrt(fewest / (fewest - 1)) / M_SQRT2) / 2 : 0;
}

/* Draws units of each side anew, with repetition: the same numbers each time, so that the same
 * files give the same answers. */
static void find_interval(const struct comparison_units *units, double difference, double *out_low,
                          double *out_high) {
    static double differences[DRAWS];
    double *rows = allocate_rows(units->columns, 2);
    uint64_t state = 2463534242;
    for (int i = 0; i < DRAWS; i++) {
        memset(rows, 0, 2 * units->columns * sizeof(*rows));
        for (size_t j = 0; j < units->before; j++)
            comparison_units_add(units, comparison_draw(&state, units->before), rows);
        for (size_t j = 0; j < units->after; j++)
            comparison_units_add(units, units->before + comparison_draw(&state, units->after),
                                 rows + units->columns);
        differences[i] = get_difference(units, rows, rows + units->columns);
    }
    free(rows);
    qsort(differences, DRAWS, sizeof(*differences), compare_numbers);
    const int left_out = (int)(find_end(units) * DRAWS);
    /* Units that are drawn apart lose what they have in common. */
    const double wider = sqrt(units->inflation);
    *out_low = difference - wider * (difference - differences[left_out]);
    *out_high = difference + wider * (differences[DRAWS - 1 - left_out] - difference);
}

/* ---- one run on each side ---- */

/* A quantile is told of where enough frames lie on both sides of it. */
static double count_needed(const struct comparison_question *question) {
    return BEYOND_MIN / fmin(question->quantile, 1 - question->quantile);
}

static void doubt_run(const struct comparison_units *units, struct comparison_answer *answer) {
    const uint64_t frames =
        answer->frames_before < answer->frames_after ? answer->frames_before : answer->frames_after;
    const bool is_hop = answer->question.kind == COMPARISON_HOP;
    const double needed = is_hop ? count_needed(&answer->question) : 0;
    if ((double)frames < needed - 1e-6)
        snprintf(answer->why, sizeof(answer->why), "needs %.0f frames on each side", ceil(needed));
    else if (units->blocks_least < UNITS_MIN)
        snprintf(answer->why, sizeof(answer->why), "needs %.0f s on each side",
                 UNITS_MIN * units->block_s);
    else if (units->before < UNITS_MIN || units->after < UNITS_MIN) {
        snprintf(answer->why, sizeof(answer->why),
                 "needs %.0f s on each side, for it drifts slowly", UNITS_MIN * units->unit_s);
        answer->is_drifting = true;
    }
}

/* What is below a nanosecond has no logarithm as 0: its step's middle stands for it. */
static double get_time(double logarithm) {
    const double time_ns = exp(logarithm), least_ns = 0.5;
    return time_ns <= least_ns + 1e-6 ? 0 : time_ns;
}

/* Of a hop, `measured` are logarithms. */
static void set_measured(struct comparison_answer *answer, double before, double after) {
    const bool is_hop = answer->question.kind == COMPARISON_HOP;
    answer->before = is_hop ? get_time(before) : before;
    answer->after = is_hop ? get_time(after) : after;
}

static double find_change(const struct comparison_answer *answer, double difference) {
    switch (answer->question.kind) {
    case COMPARISON_HOP:
        return expm1(difference);
    case COMPARISON_EVENT:
        return difference;
    case COMPARISON_RATE:
        break;
    }
    return difference / answer->before;
}

static void set_change(struct comparison_answer *answer, double difference, double low,
                       double high) {
    answer->change = find_change(answer, difference);
    answer->low = find_change(answer, low);
    answer->high = find_change(answer, high);
}

/* Deals see a difference also where the quantile of all is mostly that of the side that varies
 * less. Whether the quantiles themselves differ, measured by how far the interval reaches towards
 * none, has to say the same. */
static double find_chance_of(const struct comparison_units *units, double difference,
                             double reach) {
    const size_t fewest = units->before < units->after ? units->before : units->after;
    return reach > 0 ? student_chance(difference / reach * find_errors(units), (uint32_t)fewest - 1)
                     : 0;
}

/* How far the quarters of both sides lie apart, added up, counts as the standard error of what four
 * measurements tell. Of simulated drifts that take up to five times as long as a run lasts, and of
 * which a run sees a part only, no more go beyond than that says. */
static void measure_by_drift(const struct comparison_units *units, double difference,
                             struct comparison_answer *answer) {
    const uint32_t freedom = COMPARISON_QUARTERS - 1;
    const double reach = student_reach(confidence, freedom) * units->drift;
    set_change(answer, difference, difference - reach, difference + reach);
    answer->chance =
        units->drift > 0 ? student_chance(difference / units->drift, freedom) : difference == 0;
}

static void ask_units(const struct comparison_units *units, double level,
                      struct comparison_answer *answer) {
    double *rows = allocate_rows(units->columns, 3);
    double *before = rows, *after = rows + units->columns, *all = rows + 2 * units->columns;
    for (size_t i = 0; i < units->before + units->after; i++) {
        comparison_units_add(units, i, i < units->before ? before : after);
        comparison_units_add(units, i, all);
    }
    const double measured[2] = {comparison_units_measure(units, before),
                                comparison_units_measure(units, after)};
    answer->frames_before = (uint64_t)comparison_units_total(units, before);
    answer->frames_after = (uint64_t)comparison_units_total(units, after);
    set_measured(answer, measured[0], measured[1]);
    answer->units_before = (uint32_t)units->before;
    answer->units_after = (uint32_t)units->after;
    answer->unit_s = units->unit_s;
    double low = 0, high = 0;
    const double difference = measured[1] - measured[0];
    doubt_run(units, answer);
    find_interval(units, difference, &low, &high);
    set_change(answer, difference, low, high);
    if (answer->is_drifting) {
        measure_by_drift(units, difference, answer);
    } else if (!*answer->why) {
        const double dealt = comparison_chance_find(units, comparison_units_split(units, all),
                                                    level, &answer->chance_least);
        const double reach = difference > 0 ? difference - low : high - difference;
        answer->chance = fmax(dealt, find_chance_of(units, difference, reach));
    }
    free(rows);
}

/* What one run has of it; NAN: nothing. */
static double measure_run(const struct comparison_run *run,
                          const struct comparison_question *question, uint64_t *out_frames) {
    if (question->kind == COMPARISON_EVENT && run->has_not_event[question->event])
        return NAN;
    struct comparison_units units;
    const struct comparison_run nothing = {.block_ns = run->block_ns};
    comparison_units_init(&units, run, &nothing, question);
    double *row = allocate_rows(units.columns, 1);
    for (size_t unit = 0; unit < units.before; unit++)
        comparison_units_add(&units, unit, row);
    const double measured = comparison_units_measure(&units, row);
    *out_frames += (uint64_t)comparison_units_total(&units, row);
    free(row);
    comparison_units_finish(&units);
    return measured;
}

/* Nothing of a rate is nothing to compare with, too: a change has no size then. */
static bool has_it(const struct comparison_question *question, double measured) {
    return isfinite(measured) && (question->kind != COMPARISON_RATE || measured > 0);
}

static bool ask_two(const struct comparison_run *before, const struct comparison_run *after,
                    double level, struct comparison_answer *answer) {
    const struct comparison_question *question = &answer->question;
    const double a = measure_run(before, question, &answer->frames_before);
    const double b = measure_run(after, question, &answer->frames_after);
    set_measured(answer, a, b);
    if (!has_it(question, a) || !isfinite(b)) {
        const bool is_there = has_it(question, a) || has_it(question, b);
        snprintf(answer->why, sizeof(answer->why), "not in %s",
                 !is_there             ? "either"
                 : has_it(question, a) ? "AFTER"
                                       : "BEFORE");
        return is_there;
    }
    struct comparison_units units;
    comparison_units_init(&units, before, after, question);
    ask_units(&units, level, answer);
    comparison_units_finish(&units);
    if (comparison_run_is_same(before, after)) {
        *answer->why = '\0';
        answer->is_drifting = false;
        answer->chance = 1;
        answer->low = answer->high = 0;
    }
    return true;
}

/* ---- several runs ---- */

/* What each run measured; those without such frames are left out. */
static uint32_t measure_runs(const struct comparison_side *side,
                             const struct comparison_question *question,
                             double figures[COMPARISON_RUNS_MAX], uint64_t *out_frames) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < side->runs; i++) {
        figures[count] = measure_run(side->run[i], question, out_frames);
        count += isfinite(figures[count]);
    }
    return count;
}

static double get_mean(const double *figures, uint32_t count) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += figures[i];
    return sum / count;
}

static double add_squares(const double *figures, uint32_t count) {
    const double mean = get_mean(figures, count);
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += (figures[i] - mean) * (figures[i] - mean);
    return sum;
}

/* Nothing in some runs of a side is no figure that a mean could be made of. */
static bool doubt_runs(const struct comparison_side *before, const struct comparison_side *after,
                       struct comparison_answer *answer) {
    const uint32_t na = answer->units_before, nb = answer->units_after;
    char *why = answer->why;
    if (na < before->runs || nb < after->runs) {
        const bool is_before = na < before->runs;
        snprintf(why, COMPARISON_WHY_BYTES, "not in %u of the %u runs %s",
                 is_before ? before->runs - na : after->runs - nb,
                 is_before ? before->runs : after->runs, is_before ? "BEFORE" : "AFTER");
    } else if (na < 2 || nb < 2) {
        snprintf(why, COMPARISON_WHY_BYTES, "needs two runs on each side, or one");
    }
    return *why != '\0';
}

/* Welch, The generalization of Student's problem, 1947. Whole degrees of freedom, rounded down. */
static void test_runs(const double *a, const double *b, struct comparison_answer *answer) {
    const uint32_t na = answer->units_before, nb = answer->units_after;
    const double difference = get_mean(b, nb) - get_mean(a, na);
    const double va = add_squares(a, na) / (na - 1) / na, vb = add_squares(b, nb) / (nb - 1) / nb;
    const double error = sqrt(va + vb);
    double reach = 0;
    if (error > 0) {
        const double freedom = (va + vb) * (va + vb) / (va * va / (na - 1) + vb * vb / (nb - 1));
        reach = student_reach(confidence, (uint32_t)(freedom + 1e-9)) * error;
        answer->chance = student_chance(difference / error, (uint32_t)(freedom + 1e-9));
    } else if (difference != 0) {
        snprintf(answer->why, sizeof(answer->why),
                 "the runs of a side do not differ, so chance is not seen");
    }
    set_change(answer, difference, difference - reach, difference + reach);
}

static bool ask_runs(const struct comparison_side *before, const struct comparison_side *after,
                     struct comparison_answer *answer) {
    double a[COMPARISON_RUNS_MAX], b[COMPARISON_RUNS_MAX];
    const uint32_t na = measure_runs(before, &answer->question, a, &answer->frames_before);
    const uint32_t nb = measure_runs(after, &answer->question, b, &answer->frames_after);
    answer->units_before = na;
    answer->units_after = nb;
    set_measured(answer, na ? get_mean(a, na) : NAN, nb ? get_mean(b, nb) : NAN);
    const bool is_doubted = doubt_runs(before, after, answer);
    if (!has_it(&answer->question, answer->before) || !isfinite(answer->after)) {
        if (!is_doubted)
            snprintf(answer->why, sizeof(answer->why), "not in BEFORE");
        return na > 0 || nb > 0;
    }
    const double difference = get_mean(b, nb) - get_mean(a, na);
    if (is_doubted)
        set_change(answer, difference, NAN, NAN);
    else
        test_runs(a, b, answer);
    return true;
}

bool comparison_ask(const struct comparison_side *before, const struct comparison_side *after,
                    const struct comparison_question *question, double level,
                    struct comparison_answer *out_answer) {
    *out_answer = (struct comparison_answer){
        .question = *question, .change = NAN, .low = NAN, .high = NAN, .chance = 1};
    if (before->runs > 1 || after->runs > 1)
        return ask_runs(before, after, out_answer);
    return ask_two(before->run[0], after->run[0], level, out_answer);
}

/* ---- all questions together ---- */

static bool matters(const struct comparison_answer *answer, double threshold) {
    if (answer->question.kind == COMPARISON_EVENT)
        return fabs(answer->change) >= threshold * answer->before && answer->change != 0;
    return fabs(answer->change) >= threshold;
}

/* Whether its chance is one of the family's. */
static bool is_asked(const struct comparison_answer *answer) {
    return !*answer->why || answer->is_drifting;
}

/* Holm: the least likely one has to be less likely than level / count, the next one than
 * level / (count - 1), and so on until the first that is not. */
static size_t count_harder(const struct comparison_answer *answers, size_t count, size_t of) {
    size_t harder = 0;
    for (size_t i = 0; i < count; i++)
        if (is_asked(&answers[i]) && (answers[i].chance < answers[of].chance ||
                                      (answers[i].chance == answers[of].chance && i < of)))
            harder++;
    return harder;
}

static bool is_beyond_chance(const struct comparison_answer *answers, size_t count, size_t of,
                             double level) {
    size_t asked = 0;
    for (size_t i = 0; i < count; i++)
        asked += is_asked(&answers[i]);
    const size_t rank = count_harder(answers, count, of);
    for (size_t i = 0; i < count; i++) {
        const size_t other = count_harder(answers, count, i);
        if (is_asked(&answers[i]) && other <= rank &&
            answers[i].chance > level / (double)(asked - other))
            return false;
    }
    return true;
}

static enum comparison_verdict judge(const struct comparison_answer *answers, size_t count,
                                     size_t of, double level) {
    const struct comparison_answer *answer = &answers[of];
    const bool is_more = answer->change > 0;
    if (!is_beyond_chance(answers, count, of, level) || (answer->low <= 0 && answer->high >= 0))
        return COMPARISON_SAME;
    return is_more == (answer->question.kind == COMPARISON_RATE) ? COMPARISON_BETTER
                                                                 : COMPARISON_WORSE;
}

void comparison_judge(struct comparison_answer *answers, size_t count, double threshold,
                      double level) {
    size_t asked = 0;
    for (size_t i = 0; i < count; i++)
        asked += is_asked(&answers[i]);
    for (size_t i = 0; i < count; i++) {
        struct comparison_answer *answer = &answers[i];
        if (!*answer->why && asked && answer->chance_least > level / (double)asked)
            snprintf(answer->why, sizeof(answer->why), "the level is below what can be told");
    }
    for (size_t i = 0; i < count; i++) {
        struct comparison_answer *answer = &answers[i];
        if (!is_asked(answer))
            answer->verdict = COMPARISON_UNKNOWN;
        else
            answer->verdict =
                matters(answer, threshold) ? judge(answers, count, i, level) : COMPARISON_SAME;
        if (answer->is_drifting && answer->verdict == COMPARISON_SAME)
            answer->verdict = COMPARISON_UNKNOWN;
        else if (answer->is_drifting)
            *answer->why = '\0';
    }
}
