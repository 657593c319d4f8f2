/* Table: the comparison in words. */
#ifndef BENCH_COMPARE_TABLE_H
#define BENCH_COMPARE_TABLE_H

#include <jansson.h>

/* `report` as --format json prints it. */
void table_print(const json_t *report);

#endif
