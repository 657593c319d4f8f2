/* All processes that descend from this one, however many shells are in between.
 *
 * A node may be a shell with a pipeline, or a script. What a terminal's Ctrl-C would reach must be
 * reached by every other way to stop, too, and nothing may be left behind.
 */
#ifndef TOOLS_FAMILY_H
#define TOOLS_FAMILY_H

#include <sys/types.h>

/* Makes orphans of this process's descendants its children, so that they can be found. */
void family_adopt_orphans(void);

/* Sends `signal_number` (0: nothing) to every descendant that still runs, `spared` and its
 * descendants excepted. Returns how many there are. */
unsigned family_signal(int signal_number, pid_t spared);

#endif
