/* Results of an analysis on a terminal, as they come: meters and numbers.
 *
 * It has the whole terminal between open and close, see terminal.h. What is said meanwhile with
 * program_warn() is shown in its last line.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_DASHBOARD_H
#define CONSUMERS_DASHBOARD_H

#include <jansson.h>
#include <stdbool.h>

/* Errors: -ENOTSUP the terminal cannot do it; -ENOMEM. */
int dashboard_open(void);
/* Nothing if it is not open. */
void dashboard_close(void);

/* Takes note of what an interval, or an event, tells. */
void dashboard_tell(const json_t *object);
/* Forgets what it has added up. */
void dashboard_forget(void);
/* Shows it. */
void dashboard_draw(void);

enum dashboard_key {
    DASHBOARD_NO_KEY = 0,
    DASHBOARD_QUIT,
    DASHBOARD_RESET,
};
/* The next key that was pressed; keys that mean nothing are passed over. */
enum dashboard_key dashboard_next_key(void);

#endif
