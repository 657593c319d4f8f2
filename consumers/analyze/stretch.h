/* When a frame begins and ends, in its stream's own time: pts where it has one, its capture
 * otherwise. Stamps are their writer's word, and may say anything. Pure.
 */
#ifndef CONSUMERS_STRETCH_H
#define CONSUMERS_STRETCH_H

#include <shmframe/format.h>
#include <shmframe/frame.h>
#include <stdbool.h>

struct stretch {
    int64_t start_ns, end_ns;
};

/* Both within +-73 years, the end at most a day after the start. */
struct stretch stretch_of(const struct shmframe_format *format, const struct shmframe_frame *frame);

/* Whether a frame that starts at `start_ns` is more than an hour beyond the end of the last one:
 * then the times begin anew, and nothing has lasted until there. */
bool stretch_is_jump(int64_t end_ns, int64_t start_ns);

/* Sums of time that stay at the largest instead of wrapping; `more_ns` is not negative. */
int64_t stretch_add_ns(int64_t sum_ns, int64_t more_ns);

#endif
