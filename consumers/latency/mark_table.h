/* How what marks tell is shown: as tables below the one of hops, as JSON beside it. */
#ifndef CONSUMERS_LATENCY_MARK_TABLE_H
#define CONSUMERS_LATENCY_MARK_TABLE_H

#include "marked.h"

#include <jansson.h>
#include <stdio.h>

void mark_table_print_picture(FILE *file, const struct marked_picture *picture);
void mark_table_print_sound(FILE *file, const struct marked_sound *sound);

/* Adds "marks", and its hops to the "hops" that are in `object`. NULL: they are not looked for. */
void mark_table_add_picture(json_t *object, const struct marked_picture *picture);
/* Adds "bursts", likewise. */
void mark_table_add_sound(json_t *object, const struct marked_sound *sound);

#endif
