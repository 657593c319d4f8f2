/* Protect: the supervisor gives up what it does not need. */
#ifndef SERVER_PROTECT_H
#define SERVER_PROTECT_H

#include <stdbool.h>

/* No rights by way of set-user-id programs, for this process and its nodes; and no other process of
 * this user may look into this one, take its descriptors or have its core, unless it
 * `is_traceable`. */
void protect_process(bool is_traceable);

/* Whether nodes can be given another user than this process has: none can take one by itself, once
 * that is protected. */
bool protect_can_change_user(void);

/* Without nodes there is nothing that a supervisor has to be root for. Nodes would inherit it. */
void protect_drop_capabilities(void);

/* Nor system calls that no supervisor needs: see call_filter.h. */
void protect_filter_calls(void);

#endif
