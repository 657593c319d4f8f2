/* Time, as the whole project counts it.
 *
 * Every instant is CLOCK_MONOTONIC in nanoseconds, so stamps of different processes on one machine
 * can be subtracted. A deadline is an instant, never a duration: a call that is interrupted and
 * made again does not wait longer. See clock_gettime(2).
 */
#ifndef SHMFRAME_CLOCK_H
#define SHMFRAME_CLOCK_H

#include <shmframe/export.h>
#include <stdint.h>

SHMFRAME_BEGIN

/** Deadline: look once, do not wait. */
#define SHMFRAME_NOW INT64_C(0)
/** Deadline: wait for as long as it takes. */
#define SHMFRAME_FOREVER INT64_MAX

/** The present instant in nanoseconds of CLOCK_MONOTONIC. Any thread; cannot fail. */
SHMFRAME_API int64_t shmframe_now_ns(void);

/** The deadline `timeout_ns` nanoseconds from now; saturates at SHMFRAME_FOREVER. */
SHMFRAME_API int64_t shmframe_deadline_ns(int64_t timeout_ns);

SHMFRAME_END

#endif
