/* Strips: a frame copied from a lease into a loan, a bit at a time, so that whoever copies can look
 * up in between.
 */
#ifndef CONSUMERS_DELAY_STRIPS_H
#define CONSUMERS_DELAY_STRIPS_H

#include <shmframe/shmframe.h>

/* What is called between two strips, some ten microseconds apart. */
struct strips_pause {
    void (*run)(void *user);
    void *user;
};

/* Copies what the frame holds; both have the same format. Returns how many bytes that is. */
uint64_t strips_copy(const struct shmframe_loan *to, const struct shmframe_lease *from,
                     const struct strips_pause *pause);

#endif
