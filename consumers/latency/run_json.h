/* A run as JSON: what `shmframe report` compares, and scripts read. shmframe-json(7) tells the
 * shape. */
#ifndef CONSUMERS_LATENCY_RUN_JSON_H
#define CONSUMERS_LATENCY_RUN_JSON_H

#include "run.h"

#include <jansson.h>
#include <stdio.h>

/* Writes it block by block, for all of them together are ten times as large in memory as in the
 * file. Errors: -ENOMEM. Whether the file took it, ferror() tells. */
int run_json_write(const struct run *run, FILE *file);

/* An object whose last member is a list: what comes until run_json_end() are its elements, with
 * commas between them. Takes the object, which has other members; NULL is no memory. Errors:
 * -ENOMEM. */
int run_json_begin(json_t *object, const char *list, FILE *file);
void run_json_end(FILE *file);
/* A text of any origin: JSON takes UTF-8 alone, so of another one only the ASCII part is told. */
json_t *run_make_text(const char *text);

#endif
