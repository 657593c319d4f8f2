#include "table.h"
#include "program.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static char *add_cell(struct table *table) {
    if (table->cells == table->capacity) {
        const size_t capacity = table->capacity ? 2 * table->capacity : 64;
        void *cell = realloc(table->cell, capacity * TABLE_CELL_BYTES);
        if (!cell)
            program_fail("no memory for a table of %zu cells", capacity);
        table->cell = cell;
        table->capacity = capacity;
    }
    return table->cell[table->cells++];
}

void table_init(struct table *table, const char *const *titles) {
    *table = (struct table){0};
    for (; titles[table->columns]; table->columns++) {
        assert(table->columns < TABLE_COLUMNS_MAX);
        const char *title = titles[table->columns];
        if (*title == '>') {
            table->is_right |= 1u << table->columns;
            title++;
        }
        snprintf(add_cell(table), TABLE_CELL_BYTES, "%s", title);
    }
}

void table_finish(struct table *table) {
    free(table->cell);
    *table = (struct table){0};
}

void table_add(struct table *table, const char *text, ...) {
    va_list values;
    va_start(values, text);
    vsnprintf(add_cell(table), TABLE_CELL_BYTES, text, values);
    va_end(values);
}

void table_print(const struct table *table, FILE *file) {
    int width[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->cells; i++) {
        const int length = (int)strlen(table->cell[i]);
        if (length > width[i % table->columns])
            width[i % table->columns] = length;
    }
    for (size_t i = 0; i < table->cells; i++) {
        const unsigned column = i % table->columns;
        const bool is_last = column + 1 == table->columns;
        if (table->is_right >> column & 1)
            fprintf(file, "%*s", width[column], table->cell[i]);
        else if (is_last)
            fputs(table->cell[i], file);
        else
            fprintf(file, "%-*s", width[column], table->cell[i]);
        fputs(is_last ? "\n" : "  ", file);
    }
}
