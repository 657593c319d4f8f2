/* What a program that draws on the terminal says meanwhile: the newest lines of it are kept, one of
 * them can be shown, and all are printed in the end. One in a process. Threads: one.
 */
#ifndef COMMON_MESSAGES_H
#define COMMON_MESSAGES_H

#include <stdint.h>
#include <stdio.h>

/* Kept, in whole lines. */
enum { MESSAGES_BYTES = 8192 };

/* How long a line is worth a place on the screen. */
#define MESSAGES_SHOWN_NS INT64_C(10000000000)

/* Where to say it; NULL: no memory. */
FILE *messages_open(void);
/* The newest line, if it is not too old at `now_ns`, not terminated; returns its length, 0: none.
 */
int messages_newest(int64_t now_ns, const char **out_line);
/* Prints what was kept, and how many lines were not. */
void messages_close(FILE *to);

#endif
