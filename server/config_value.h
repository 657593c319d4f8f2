/* The values of a pipeline file's keys: from text to what a node is made of. */
#ifndef SERVER_CONFIG_VALUE_H
#define SERVER_CONFIG_VALUE_H

#include "config_problem.h"

/* Where a value stands. */
struct config_place {
    const char *folder; /* of the file: relative paths begin there */
    unsigned line;
    struct config_problems *problems;
    char expected[320]; /* what a reader made up and returns */
};

/* Each stores what `text` says in `out` and returns NULL, or returns what was expected ("a signal
 * such as SIGTERM"). Of a list, each call adds to what is there. */
typedef const char *config_value_reader(const char *text, void *out, struct config_place *place);

config_value_reader config_read_command;     /* char ** */
config_value_reader config_read_folder;      /* char **: it exists */
config_value_reader config_read_variable;    /* struct config_list *, one more NAME=VALUE */
config_value_reader config_read_streams;     /* struct config_list *, their names */
config_value_reader config_read_flag;        /* bool * */
config_value_reader config_read_duration;    /* int64_t * */
config_value_reader config_read_limit;       /* int64_t *: the same, or "none" */
config_value_reader config_read_hold_action; /* enum config_action * */
config_value_reader config_read_action;      /* the same without evict */
config_value_reader config_read_restart;     /* enum policy_restart * */
config_value_reader config_read_signal;      /* int * */
config_value_reader config_read_burst;       /* struct policy_settings * */

/* struct config_node *, several of its fields. */
config_value_reader config_read_user;
config_value_reader config_read_group;
config_value_reader config_read_cpus;
config_value_reader config_read_scheduling;
config_value_reader config_read_nice;
config_value_reader config_read_rlimits;
config_value_reader config_read_ready;
config_value_reader config_read_log;

bool config_list_has(const struct config_list *list, const char *text);
void config_list_destroy(struct config_list *list);

#endif
