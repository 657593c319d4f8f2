/* PortAudio's beginning and end, for programs with a sound device, and its silence: it tries every
 * device of every sound system, and prints a line for each that does not exist. Errors come back as
 * results anyway.
 *
 * Threads: one at a time.
 */
#ifndef COMMON_SOUND_SYSTEM_H
#define COMMON_SOUND_SYSTEM_H

#include <stdbool.h>

/* Before there is another thread, of whatever library: it sets a variable of the environment, which
 * others read without a lock. From here on, what the program has to say goes around a hush. The
 * functions below do it where it was not done. */
void sound_system_prepare(void);

/* Looks for devices, which may take a second. False: there is no sound system. */
bool sound_system_start(void);
/* After a start that was true. Streams end with it. */
void sound_system_stop(void);

/* Around calls of PortAudio that may fail: what is written to stderr in between is lost, but for
 * program_warn() and the like. Nests. */
void sound_system_hush(void);
void sound_system_unhush(void);

#endif
