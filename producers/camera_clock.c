#include "camera_clock.h"

#include <linux/videodev2.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)
/* A stamp of unknown clock is of the one that it lies at most that much behind. */
#define PLAUSIBLE_NS (10 * SECOND_NS)
/* More than that many frames at once are no gap, but another count. */
#define GAP_MAX (UINT32_C(1) << 24)

static void note_error(struct camera_clock *clock, int64_t error_ns) {
    if (clock->error_ns < error_ns)
        clock->error_ns = error_ns;
}

/* Whether the stamp can be of the clock that shows `now_ns`. Drivers that compute it may be a
 * little ahead. */
static bool is_of(int64_t stamp_ns, int64_t now_ns, int64_t age_max_ns) {
    return stamp_ns > 0 && stamp_ns <= now_ns + SECOND_NS && now_ns - stamp_ns <= age_max_ns;
}

int64_t camera_clock_convert(struct camera_clock *clock, uint32_t flags, int64_t stamp_ns,
                             const struct camera_instant *now, int64_t period_ns) {
    const bool is_declared =
        (flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    int64_t capture_ns;
    if (is_of(stamp_ns, now->monotonic_ns, is_declared ? INT64_MAX : PLAUSIBLE_NS)) {
        capture_ns = stamp_ns;
        if (!is_declared) /* the stamp's resolution */
            note_error(clock, 1000);
    } else if (is_of(stamp_ns, now->realtime_ns, PLAUSIBLE_NS)) {
        capture_ns = stamp_ns - now->realtime_ns + now->monotonic_ns;
        note_error(clock, now->error_ns + 1000);
    } else {
        note_error(clock, period_ns > 0 ? period_ns : SECOND_NS);
        return now->monotonic_ns;
    }
    if (capture_ns > now->monotonic_ns) {
        note_error(clock, capture_ns - now->monotonic_ns);
        capture_ns = now->monotonic_ns;
    }
    return capture_ns;
}

uint32_t camera_clock_count_gap(struct camera_clock *clock, uint32_t sequence) {
    const uint32_t step = sequence - clock->sequence; /* the count wraps */
    const bool is_step = clock->has_sequence && step > 0 && step < GAP_MAX;
    clock->sequence = sequence;
    clock->has_sequence = true;
    return is_step ? step - 1 : 0;
}

void camera_clock_restart(struct camera_clock *clock) {
    clock->has_sequence = false;
}

static int64_t read_clock(clockid_t id) {
    struct timespec time;
    clock_gettime(id, &time);
    return time.tv_sec * SECOND_NS + time.tv_nsec;
}

struct camera_instant camera_clock_now(void) {
    const int64_t before_ns = read_clock(CLOCK_MONOTONIC);
    const int64_t realtime_ns = read_clock(CLOCK_REALTIME);
    const int64_t after_ns = read_clock(CLOCK_MONOTONIC);
    return (struct camera_instant){
        .monotonic_ns = after_ns, .realtime_ns = realtime_ns, .error_ns = after_ns - before_ns};
}
