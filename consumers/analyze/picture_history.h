/* What a picture of a stream's pictures is painted from: what they were like over time, in bounded
 * memory, and their scope. Pure. */
#ifndef CONSUMERS_PICTURE_HISTORY_H
#define CONSUMERS_PICTURE_HISTORY_H

#include "picture_tally.h"
#include "scope.h"

enum { PICTURE_COLUMNS = 1024 };

/* A stretch of time. */
struct picture_column {
    uint32_t pictures;
    float luma[LEVELS_BINS]; /* shares of the luma values, added up over pictures */
    float luma_mean;         /* 0 to 255, likewise */
    uint32_t black, still;   /* pictures that were */
    uint32_t scene_cuts;
    struct likeness_measure difference, similarity; /* of pairs */
};

struct picture_history {
    struct picture_column column[PICTURE_COLUMNS];
    uint32_t count;    /* columns, the last of which may still be growing */
    int64_t column_ns; /* that one is of; it doubles when there are too many */
    int64_t elapsed_ns;
    bool has_pairs;
    struct scope scope;
};

/* NULL: no memory. */
struct picture_history *picture_history_create(void);
void picture_history_destroy(struct picture_history *history);

/* Adds a picture that was measured. */
void picture_history_add(struct picture_history *history, const struct picture_tally *tally,
                         bool is_black, bool is_still);
/* Adds a pair to the newest picture's column. */
void picture_history_add_pair(struct picture_history *history, const struct likeness *likeness);

#endif
