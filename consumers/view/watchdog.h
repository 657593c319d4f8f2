/* Sees to it that the program ends soon after it was asked to, although the display or the sound
 * server hangs: calls into their libraries last as long as these like, and cannot be broken off.
 *
 * Life: start, play, claim, say what there is to say, told; then the program closes its devices.
 * Threads: all calls from the main thread.
 */
#ifndef CONSUMERS_WATCHDOG_H
#define CONSUMERS_WATCHDOG_H

/* After program_stop_on_signals(). */
void watchdog_start(void);

/* From now on there is something to report: `report` does so, on another thread, if the main one
 * hangs until the end, and returns the exit code. */
void watchdog_play(int (*report)(void));

/* The main thread reports. If the watchdog does already, this does not return. */
void watchdog_claim(void);
/* It has; what is left to do cannot change the exit code any more. */
void watchdog_told(int exit_code);

#endif
