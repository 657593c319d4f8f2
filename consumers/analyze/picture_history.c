#include "picture_history.h"

#include "stretch.h"

#include <stdlib.h>

static const int64_t FIRST_COLUMN_NS = 20000000;

struct picture_history *picture_history_create(void) {
    struct picture_history *history = calloc(1, sizeof(*history));
    if (history)
        history->column_ns = FIRST_COLUMN_NS;
    return history;
}

void picture_history_destroy(struct picture_history *history) {
    free(history);
}

static void add_measure(struct likeness_measure *sum, const struct likeness_measure *measure) {
    sum->count += measure->count;
    sum->all += measure->all;
}

static void add_column(struct picture_column *to, const struct picture_column *from) {
    to->pictures += from->pictures;
    for (int i = 0; i < LEVELS_BINS; i++)
        to->luma[i] += from->luma[i];
    to->luma_mean += from->luma_mean;
    to->black += from->black;
    to->still += from->still;
    to->scene_cuts += from->scene_cuts;
    add_measure(&to->difference, &from->difference);
    add_measure(&to->similarity, &from->similarity);
}

/* Two columns become one. */
static void halve(struct picture_history *history) {
    for (uint32_t i = 0; i < history->count; i++) {
        if (i % 2)
            add_column(&history->column[i / 2], &history->column[i]);
        else
            history->column[i / 2] = history->column[i];
    }
    const uint32_t count = (history->count + 1) / 2;
    for (uint32_t i = count; i < history->count; i++)
        history->column[i] = (struct picture_column){0};
    history->count = count;
    history->column_ns *= 2;
}

/* The column of now. */
static struct picture_column *find_column(struct picture_history *history) {
    while (history->elapsed_ns / history->column_ns >= PICTURE_COLUMNS)
        halve(history);
    const uint32_t index = (uint32_t)(history->elapsed_ns / history->column_ns);
    if (history->count <= index)
        history->count = index + 1;
    return &history->column[index];
}

void picture_history_add(struct picture_history *history, const struct picture_tally *tally,
                         bool is_black, bool is_still) {
    history->elapsed_ns = stretch_add_ns(history->elapsed_ns, tally->span_ns);
    struct picture_column *column = find_column(history);
    const struct levels *luma = &tally->levels[PICTURE_LUMA];
    column->pictures++;
    for (int i = 0; i < LEVELS_BINS && luma->samples; i++)
        column->luma[i] += (float)((double)luma->histogram[i] / (double)luma->samples);
    if (luma->samples)
        column->luma_mean += (float)(luma->sum / (double)luma->samples / 256);
    column->black += is_black;
    column->still += is_still;
    column->scene_cuts += (uint32_t)tally->scene_cuts;
}

void picture_history_add_pair(struct picture_history *history, const struct likeness *likeness) {
    struct picture_column *column = find_column(history);
    history->has_pairs = true;
    add_measure(&column->difference, &likeness->difference);
    add_measure(&column->similarity, &likeness->similarity);
}
