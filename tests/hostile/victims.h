/* Victims: a pipeline of honest processes beside which every attack runs. */
#ifndef TESTS_HOSTILE_VICTIMS_H
#define TESTS_HOSTILE_VICTIMS_H

#define VICTIM_STREAM   "victim"   /* read by one reader in order and one of the latest */
#define LOSSLESS_STREAM "lossless" /* by a lossless one */

/* Starts all of them, and waits until frames flow. A negative result: they do not. */
int victims_start(void);
/* Ends the streams in good order and checks that nothing was lost unsaid. */
void victims_end(void);
/* Whether all of them live; a fault tells of those that do not. */
void victims_look(void);

#endif
