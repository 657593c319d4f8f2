/* What is wrong with a pipeline file, collected while its parts are read. */
#ifndef SERVER_CONFIG_PROBLEM_H
#define SERVER_CONFIG_PROBLEM_H

#include "config.h"

void config_problem_add(struct config_problems *problems, unsigned line, const char *text, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes room for one more item behind `count` items that were added one by one. */
bool config_grow(void **array, size_t count, size_t item_bytes, struct config_problems *problems);

#endif
