/* The sentence behind an errno, one a thread. */
#ifndef SHMFRAME_SRC_ERROR_H
#define SHMFRAME_SRC_ERROR_H

#include <shmframe/error.h>

/* Notes why a call fails and returns `code`, so that callers write return error_set(-EINVAL, ...).
 * Cold: what leads to it stands apart from what a frame needs. */
int error_set(int code, const char *text, ...) __attribute__((format(printf, 2, 3), cold));

#endif
