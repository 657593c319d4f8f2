#include "comparison_units.h"

#include "program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(size_t count, size_t bytes) {
    void *memory = calloc(count ? count : 1, bytes);
    if (!memory)
        program_fail("there is no memory for the comparison");
    return memory;
}

/* ---- rows ---- */

void comparison_units_add(const struct comparison_units *units, size_t unit, double *row) {
    const struct comparison_unit *added = &units->unit[unit];
    for (size_t i = 0; i < added->cells; i++)
        row[added->cell[i].column] += added->cell[i].count;
}

static double add_columns(const struct comparison_units *units, const double *row) {
    double total = 0;
    for (size_t i = 0; i < units->columns; i++)
        total += row[i];
    return total;
}

double comparison_units_total(const struct comparison_units *units, const double *row) {
    return units->question.kind == COMPARISON_RATE ? row[1] : add_columns(units, row);
}

/* A value was rounded: it stands for all within its step, evenly spread. `part`: how far into it.
 */
static double find_within(int64_t value_ns, double part) {
    const double step = value_ns < 256 ? 1 : exp2(ilogb((double)value_ns) - 7);
    return fmax((double)value_ns + (part - 0.5) * step, 0.5);
}

struct comparison_split comparison_units_split(const struct comparison_units *units,
                                               const double *row) {
    const double wanted = units->question.quantile * add_columns(units, row);
    struct comparison_split last = {.part = 1};
    double below = 0;
    for (size_t i = 0; i < units->columns; i++) {
        if (row[i] > 0 && below + row[i] >= wanted)
            return (struct comparison_split){.column = i, .part = (wanted - below) / row[i]};
        below += row[i];
        last.column = row[i] > 0 ? i : last.column;
    }
    return last;
}

double comparison_units_measure(const struct comparison_units *units, const double *row) {
    const double total = add_columns(units, row);
    if (total <= 0)
        return NAN;
    switch (units->question.kind) {
    case COMPARISON_EVENT:
        return row[1] / total;
    case COMPARISON_RATE:
        return row[1] / row[0];
    case COMPARISON_HOP:
        break;
    }
    const struct comparison_split split = comparison_units_split(units, row);
    return log(find_within(units->value_ns[split.column], split.part));
}

struct comparison_weight comparison_units_weigh(const struct comparison_units *units, size_t unit,
                                                struct comparison_split split) {
    const bool is_hop = units->question.kind == COMPARISON_HOP;
    const struct comparison_unit *weighed = &units->unit[unit];
    struct comparison_weight weight = {0};
    if (!is_hop)
        split = (struct comparison_split){.column = 1};
    for (size_t i = 0; i < weighed->cells; i++) {
        const struct comparison_cell *cell = &weighed->cell[i];
        if (cell->column >= split.column)
            weight.above += cell->count * (cell->column == split.column ? 1 - split.part : 1);
        if (units->question.kind != COMPARISON_RATE || cell->column == 0)
            weight.all += cell->count;
    }
    return weight;
}

/* ---- blocks, as what the question is about ---- */

static bool is_asked(const struct run_block *block, const struct comparison_question *question) {
    if (question->kind == COMPARISON_EVENT)
        return block->frames || block->event[question->event];
    return block->hop[question->hop].count > 0;
}

static size_t count_asked(const struct comparison_run *run,
                          const struct comparison_question *question) {
    size_t count = 0;
    for (size_t i = 0; i < run->blocks; i++)
        count += is_asked(&run->block[i], question);
    return count;
}

static int compare_values(const void *left, const void *right) {
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static size_t list_values(const struct comparison_run *run, enum run_hop hop, int64_t *list) {
    size_t count = 0;
    for (size_t i = 0; i < run->blocks; i++) {
        const struct run_values *values = &run->block[i].hop[hop];
        for (size_t j = 0; j < values->count; j++) {
            if (list)
                list[count] = values->value[j].value_ns;
            count++;
        }
    }
    return count;
}

static void make_columns(struct comparison_units *units, const struct comparison_run *before,
                         const struct comparison_run *after) {
    const enum run_hop hop = units->question.hop;
    if (units->question.kind != COMPARISON_HOP) {
        units->columns = 2;
        return;
    }
    const size_t first = list_values(before, hop, NULL);
    const size_t all = first + list_values(after, hop, NULL);
    int64_t *list = allocate(all, sizeof(*list));
    list_values(before, hop, list);
    list_values(after, hop, list + first);
    qsort(list, all, sizeof(*list), compare_values);
    for (size_t i = 0; i < all; i++)
        if (units->columns == 0 || list[units->columns - 1] != list[i])
            list[units->columns++] = list[i];
    units->value_ns = list;
}

/* Of frames that came; the other events are of frames that did not. */
static bool came(enum run_event event) {
    return event == RUN_EVENT_MARK_MISSING || event == RUN_EVENT_TORN ||
           event == RUN_EVENT_REPEATED;
}

/* A row of what a block has. */
static void add_block(const struct comparison_units *units, const struct run_block *block,
                      double *row) {
    const struct comparison_question *question = &units->question;
    if (question->kind == COMPARISON_EVENT) {
        const double events = (double)block->event[question->event];
        row[0] += fmax((double)block->frames - (came(question->event) ? events : 0), 0);
        row[1] += events;
        return;
    }
    const struct run_values *values = &block->hop[question->hop];
    for (size_t i = 0; i < values->count; i++) {
        const int64_t *column = bsearch(&values->value[i].value_ns, units->value_ns, units->columns,
                                        sizeof(*column), compare_values);
        row[column - units->value_ns] += (double)values->value[i].count;
    }
}

static struct comparison_unit make_unit(const struct comparison_units *units, const double *row) {
    struct comparison_unit unit = {.cell = allocate(units->columns, sizeof(*unit.cell))};
    for (size_t i = 0; i < units->columns; i++)
        if (row[i] > 0)
            unit.cell[unit.cells++] =
                (struct comparison_cell){.column = (uint32_t)i, .count = row[i]};
    struct comparison_cell *fitted = realloc(unit.cell, (unit.cells + 1) * sizeof(*fitted));
    unit.cell = fitted ? fitted : unit.cell;
    return unit;
}

/* Adds units of `length` blocks each, of those that the question is about. */
static size_t add_units(struct comparison_units *units, const struct comparison_run *run,
                        size_t length, size_t at) {
    double *row = allocate(units->columns, sizeof(*row));
    size_t in_row = 0, added = 0;
    const size_t all = count_asked(run, &units->question);
    size_t asked = 0;
    for (size_t i = 0; i < run->blocks; i++) {
        if (!is_asked(&run->block[i], &units->question))
            continue;
        add_block(units, &run->block[i], row);
        asked++;
        if (++in_row < length && asked < all)
            continue;
        units->unit[at + added++] = make_unit(units, row);
        memset(row, 0, units->columns * sizeof(*row));
        in_row = 0;
    }
    free(row);
    return added;
}

/* The rate is of whole blocks, from the one after the first frame to the end of the run; those in
 * which nothing came are not in the list. */
struct stretch {
    uint64_t first, end;
};

static struct stretch find_stretch(const struct comparison_run *run) {
    struct stretch stretch = {.end = (uint64_t)(run->duration_ns / run->block_ns)};
    for (size_t i = 0; i < run->blocks; i++)
        if (run->block[i].frames) {
            stretch.first = run->block[i].number + 1;
            break;
        }
    return stretch;
}

static size_t count_rate_units(const struct comparison_run *run, size_t length) {
    const struct stretch stretch = find_stretch(run);
    return stretch.end > stretch.first ? (stretch.end - stretch.first + length - 1) / length : 0;
}

static size_t add_rate_units(struct comparison_units *units, const struct comparison_run *run,
                             size_t length, size_t at) {
    const struct stretch stretch = find_stretch(run);
    const size_t count = count_rate_units(run, length);
    size_t block = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t first = stretch.first + i * length;
        const uint64_t end = first + length < stretch.end ? first + length : stretch.end;
        double row[2] = {(double)(end - first) * (double)run->block_ns / 1e9, 0};
        for (; block < run->blocks && run->block[block].number < end; block++)
            row[1] += run->block[block].number < first ? 0 : (double)run->block[block].frames;
        units->unit[at + i] = make_unit(units, row);
    }
    return count;
}

/* ---- how much blocks that follow each other are alike ---- */

/* What decides about the question, block by block: how many more were above the side's own split
 * than its share says. Where the sides lie apart, one split for both would have all or nothing of
 * each above. */
static void list_excesses(const struct comparison_units *units, size_t first, size_t count,
                          double *excess) {
    double *row = allocate(units->columns, sizeof(*row));
    double above = 0, all = 0;
    for (size_t i = 0; i < count; i++)
        comparison_units_add(units, first + i, row);
    const struct comparison_split split = comparison_units_split(units, row);
    for (size_t i = 0; i < count; i++) {
        const struct comparison_weight weight = comparison_units_weigh(units, first + i, split);
        above += weight.above;
        all += weight.all;
    }
    for (size_t i = 0; i < count; i++) {
        const struct comparison_weight weight = comparison_units_weigh(units, first + i, split);
        excess[i] = weight.above - weight.all * above / all;
        /* What is left of figures that are all alike are their rounding errors. */
        if (fabs(excess[i]) <= 1e-12 * weight.all)
            excess[i] = 0;
    }
    free(row);
}

static double correlate(const double *excess, size_t count, size_t lag) {
    double sum = 0;
    for (size_t i = lag; i < count; i++)
        sum += excess[i] * excess[i - lag];
    return sum;
}

/* By how much the variance of a sum is larger than if all were independent: the integrated
 * autocorrelation time, up to the first lag that cannot be told from chance (Sokal, Monte Carlo
 * Methods in Statistical Mechanics, section 3). */
static double find_inflation(const struct comparison_units *units) {
    const size_t counts[2] = {units->before, units->after};
    const size_t most = counts[0] > counts[1] ? counts[0] : counts[1];
    double *excess = allocate(2 * most, sizeof(*excess));
    double inflation = 1, variance = 0;
    for (int side = 0; side < 2; side++) {
        list_excesses(units, side ? units->before : 0, counts[side], excess + side * most);
        variance += correlate(excess + side * most, counts[side], 0);
    }
    const double chance = 1 / sqrt((double)(counts[0] + counts[1]));
    for (size_t lag = 1; lag < most / 2 && variance > 0; lag++) {
        double covariance = 0;
        for (int side = 0; side < 2; side++)
            covariance += correlate(excess + side * most, counts[side], lag);
        if (covariance / variance < chance)
            break;
        inflation += 2 * covariance / variance;
    }
    free(excess);
    /* Each run's own mean was taken off, and with it what drifts more slowly than the run lasts. */
    return inflation / fmax(1 - inflation / (double)most, 0.01);
}

/* ---- both runs ---- */

static void clear_units(struct comparison_units *units) {
    for (size_t i = 0; i < units->before + units->after; i++)
        free(units->unit[i].cell);
    free(units->unit);
    units->unit = NULL;
    units->before = units->after = 0;
}

static void fill_units(struct comparison_units *units, const struct comparison_run *before,
                       const struct comparison_run *after, double unit_ns) {
    const size_t lengths[2] = {(size_t)fmax(rint(unit_ns / (double)before->block_ns), 1),
                               (size_t)fmax(rint(unit_ns / (double)after->block_ns), 1)};
    clear_units(units);
    if (units->question.kind == COMPARISON_RATE) {
        const size_t count =
            count_rate_units(before, lengths[0]) + count_rate_units(after, lengths[1]);
        units->unit = allocate(count, sizeof(*units->unit));
        units->before = add_rate_units(units, before, lengths[0], 0);
        units->after = add_rate_units(units, after, lengths[1], units->before);
    } else {
        units->unit = allocate(before->blocks + after->blocks, sizeof(*units->unit));
        units->before = add_units(units, before, lengths[0], 0);
        units->after = add_units(units, after, lengths[1], units->before);
    }
    units->unit_s = unit_ns / 1e9;
}

/* Of the quantile that is asked for, and of the median: where few frames decide, it is hard to see
 * that they hang together, and what makes the median drift moves them as well. */
static double find_worst_inflation(struct comparison_units *units) {
    const double quantile = units->question.quantile;
    double worst = 1;
    for (int i = 0; i < 2; i++) {
        units->question.quantile = i ? quantile : 0.5;
        worst = fmax(worst, find_inflation(units));
    }
    return worst;
}

/* How far the quarters of a side lie apart. */
static double find_drift(const struct comparison_units *units, size_t first, size_t count) {
    double *row = allocate(units->columns, sizeof(*row));
    double least = INFINITY, most = -INFINITY;
    for (size_t quarter = 0; quarter < COMPARISON_QUARTERS; quarter++) {
        memset(row, 0, units->columns * sizeof(*row));
        for (size_t i = quarter * count / COMPARISON_QUARTERS;
             i < (quarter + 1) * count / COMPARISON_QUARTERS; i++)
            comparison_units_add(units, first + i, row);
        const double measured = comparison_units_measure(units, row);
        least = isfinite(measured) ? fmin(least, measured) : -INFINITY;
        most = fmax(most, measured);
    }
    free(row);
    return most - least;
}

void comparison_units_init(struct comparison_units *units, const struct comparison_run *before,
                           const struct comparison_run *after,
                           const struct comparison_question *question) {
    /* Three times as long as blocks hang together leaves little of it between units. What is below
     * `independent` is what chance makes of blocks that know nothing of each other. */
    const double margin = 3, independent = 1.5;
    *units = (struct comparison_units){.question = *question};
    make_columns(units, before, after);
    double unit_ns = fmax((double)before->block_ns, (double)after->block_ns);
    /* A run of months in which next to nothing came has few blocks in its list, and many in its
     * stretch. */
    if (question->kind == COMPARISON_RATE) {
        const double longest =
            fmax((double)count_rate_units(before, 1), (double)count_rate_units(after, 1));
        unit_ns *= fmax(ceil(longest / RUN_BLOCKS_MAX), 1);
    }
    fill_units(units, before, after, unit_ns);
    units->block_s = unit_ns / 1e9;
    units->blocks_least = units->before < units->after ? units->before : units->after;
    if (units->before == 0 || units->after == 0)
        return;
    units->drift =
        find_drift(units, 0, units->before) + find_drift(units, units->before, units->after);
    const double inflation = find_worst_inflation(units);
    const size_t most = units->before > units->after ? units->before : units->after;
    const double crowd = (double)most / COMPARISON_UNITS_MAX;
    const double factor = ceil(fmax(inflation > independent ? margin * inflation : 1, crowd));
    /* Of a sum of units that are as long as `margin` times what hangs together, exponentially: the
     * part of the variance that ties between units make. */
    units->inflation = inflation > independent ? 1 / (1 - 1 / (2 * margin)) : inflation;
    if (factor > 1)
        fill_units(units, before, after, unit_ns * factor);
}

void comparison_units_finish(struct comparison_units *units) {
    clear_units(units);
    free(units->value_ns);
    *units = (struct comparison_units){0};
}
