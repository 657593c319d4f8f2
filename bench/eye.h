/* Watches a few pixels of a display, a thousand times a second, and notes when they flash.
 *
 * Threads: all calls from one thread; the eye has one of its own.
 */
#ifndef BENCH_EYE_H
#define BENCH_EYE_H

#include <stdbool.h>
#include <stdint.h>

enum { INSTANTS_MAX = 4096 };

/* What was seen or heard. */
struct instants {
    uint32_t count;
    int64_t ns[INSTANTS_MAX];
};

struct eye;

/* Watches 4x4 pixels whose corner is at `x`, `y` of the display's screen. Ends the program if the
 * display cannot be opened. */
struct eye *eye_open(const char *display, int x, int y);
void eye_close(struct eye *eye);

/* How many flashes there have been, missed ones included. */
uint32_t eye_count(struct eye *eye);
/* Those that are known to a millisecond or so, and how many were missed, since the eye was kept
 * from looking around them. */
void eye_read(struct eye *eye, struct instants *out_flashes, uint32_t *out_missed);

#endif
