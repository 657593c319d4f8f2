/* A table of text, its columns as wide as what is in them. */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 12, TABLE_CELL_BYTES = 128 };

struct table {
    unsigned columns;
    size_t cells, capacity; /* cells in row order; the first `columns` are the titles */
    char (*cell)[TABLE_CELL_BYTES];
    unsigned is_right; /* bit i: column i is set to the right, as numbers are */
};

/* `titles` ends with NULL; a title that begins with '>' makes its column stand to the right. */
void table_init(struct table *table, const char *const *titles);
void table_finish(struct table *table);

/* Adds the next cell, row after row. No memory ends the program. */
void table_add(struct table *table, const char *text, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *table, FILE *file);

#endif
