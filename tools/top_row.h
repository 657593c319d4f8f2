/* Rows of top: streams with their writers and readers, then nodes, in the order wished for. */
#ifndef TOOLS_TOP_ROW_H
#define TOOLS_TOP_ROW_H

#include "gather_words.h"

enum top_kind { TOP_NOTHING = 0, TOP_STREAM, TOP_WRITER, TOP_READER, TOP_NODES, TOP_NODE };

struct top_row {
    enum top_kind kind;
    bool is_last; /* of its stream */
    const struct gather_stream *stream;
    const struct gather_reader *reader;
    const struct gather_node *node;
};

enum top_sort {
    TOP_SORT_NAME = 0,
    TOP_SORT_LOST,
    TOP_SORT_AGE,
    TOP_SORT_HOLD,
    TOP_SORT_RATE,
    TOP_SORT_PROCESSOR,
    TOP_SORT_MEMORY,
    TOP_SORTS,
};
/* "name", "lost" ...; NULL out of range. */
const char *top_sort_name(unsigned sort);

struct top_rows {
    enum top_sort sort;
    bool is_reversed;
    char filter[SHMFRAME_NAME_BYTES]; /* streams, readers, writers and nodes with this in their
                                         names */
    struct top_row *row;
    uint32_t rows, room;
};

/* Lists what `gather` shows. What the rows point to stays until its next update. */
void top_rows_list(struct top_rows *rows, const struct gather *gather);
void top_rows_finish(struct top_rows *rows);

/* Whether both are the same thing, over an update: by names and numbers. */
struct top_mark {
    enum top_kind kind;
    char name[SHMFRAME_NAME_BYTES]; /* of the stream, or of the node */
    uint32_t reader;
};
struct top_mark top_row_mark(const struct top_row *row);
bool top_row_is_marked(const struct top_row *row, const struct top_mark *mark);

/* What is wrong with it: TROUBLE now, or something to know of. */
enum top_care { TOP_WELL = 0, TOP_WARNING, TOP_TROUBLE };
enum top_care top_row_care(const struct gather *gather, const struct top_row *row);

/* ---- columns ---- */

enum { TOP_CELL_BYTES = 256, TOP_COLUMNS_MAX = 24 };

struct top_column {
    const char *title;
    int width;
    bool is_right;
    /* Writes the cell; leaves it empty where there is nothing to say. */
    void (*put)(const struct gather *gather, const struct top_row *row, char text[TOP_CELL_BYTES]);
};

/* The columns that fit `width`, the most wanted ones, in their order; returns how many. The first
 * is the name's, which is always there, and takes what is left. */
int top_columns_choose(int width, struct top_column out_columns[TOP_COLUMNS_MAX]);

#endif
