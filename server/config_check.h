/* What only all nodes of a pipeline file together can be asked: who writes what they read. */
#ifndef SERVER_CONFIG_CHECK_H
#define SERVER_CONFIG_CHECK_H

#include "config_problem.h"

/* Tells of mistakes, adds the streams that have no section, and finds the order of starts. */
void config_check(struct config *config, struct config_problems *problems);

#endif
