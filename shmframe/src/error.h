/* The sentence behind an errno, one a thread. */
#ifndef SHMFRAME_SRC_ERROR_H
#define SHMFRAME_SRC_ERROR_H

#include <shmframe/error.h>

/* Notes why a call fails and returns `code`, so that callers write return error_set(-EINVAL, ...).
 * Cold: what leads to it stands apart from what a frame needs. */
int error_set(int code, const char *text, ...) __attribute__((format(printf, 2, 3), cold));

/* The same for a call of the kernel's, which says `number` (an errno): what it was to give is told
 * by the text, why it did not and what helps is added. One errno, one meaning: descriptors, memory,
 * limits and signals keep theirs, whatever else it says counts as no memory. */
int error_kernel(int number, const char *text, ...) __attribute__((format(printf, 2, 3), cold));

#endif
