#include "adc_clock.h"

#define SECOND_NS INT64_C(1000000000)

static const int64_t window_ns = SECOND_NS / 2;
/* A window without as many arrivals goes on: sound servers may deliver seconds at once. */
enum { ARRIVALS_MIN = 4 };
/* Sound servers begin with what they had, or with a pause: the second window tells. */
enum { WINDOWS_TO_SETTLE = 2 };
static const int64_t settle_max_ns = SECOND_NS / 5;
/* Less than this is jitter of whole windows, on a busy machine. */
static const int64_t gap_min_ns = SECOND_NS / 50;
enum { LATE_WINDOWS_MAX = 2 };
/* A window's drift at 1000 ppm; crystals have a tenth of it. */
static const int64_t rise_max_ns = SECOND_NS / 2000;

static int64_t find_ns(const struct adc_clock *clock, int64_t samples) {
    return (int64_t)((__int128)samples * SECOND_NS / clock->rate_hz);
}

static int64_t find_samples(const struct adc_clock *clock, int64_t ns) {
    return (int64_t)(((__int128)ns * clock->rate_hz + SECOND_NS / 2) / SECOND_NS);
}

void adc_clock_init(struct adc_clock *clock) {
    *clock = (struct adc_clock){.rate_hz = 1};
}

static void begin_window(struct adc_clock *clock, int64_t now_ns) {
    clock->window_ns = now_ns;
    clock->highest_ns[1] = now_ns ? clock->highest_ns[0] : clock->base_ns;
    clock->highest_ns[0] = clock->base_ns;
    clock->least_ns = INT64_MAX;
    clock->arrivals = 0;
}

void adc_clock_open(struct adc_clock *clock, uint32_t rate_hz) {
    const int64_t position = adc_clock_position(clock, clock->delivered);
    clock->skipped = (int64_t)((__int128)position * rate_hz / clock->rate_hz);
    clock->rate_hz = rate_hz;
    clock->delivered = 0;
    clock->is_behind_gap = clock->is_known;
    clock->windows = 0;
    clock->late_windows = 0;
    begin_window(clock, 0);
}

void adc_clock_overflow(struct adc_clock *clock, int64_t delivered) {
    clock->delivered = delivered;
    clock->is_behind_gap = clock->is_known;
}

int64_t adc_clock_position(const struct adc_clock *clock, int64_t delivered) {
    return clock->skipped + delivered;
}

int64_t adc_clock_capture_ns(const struct adc_clock *clock, int64_t position) {
    return clock->base_ns + find_ns(clock, position);
}

/* The base, if the newest sample was captured at `now_ns`. */
static int64_t find_base_ns(const struct adc_clock *clock, int64_t now_ns) {
    return now_ns - find_ns(clock, adc_clock_position(clock, clock->delivered));
}

/* Times of this window and the one before were told from higher bases; what is older drifted. */
static void note_error(struct adc_clock *clock, int64_t late_ns) {
    for (int i = 0; i < 2; i++)
        if (clock->highest_ns[i] - clock->base_ns > clock->error_ns)
            clock->error_ns = clock->highest_ns[i] - clock->base_ns;
    if (late_ns > clock->error_ns)
        clock->error_ns = late_ns;
}

/* Positions go on behind a gap, so that the newest sample was captured at `now_ns`. Returns how
 * many samples are missing. */
static int64_t skip(struct adc_clock *clock, int64_t late_ns) {
    const int64_t missing = late_ns > 0 ? find_samples(clock, late_ns) : 0;
    clock->skipped += missing;
    begin_window(clock, 0);
    clock->late_windows = 0;
    return missing;
}

static int64_t end_window(struct adc_clock *clock) {
    const int64_t late_ns = clock->least_ns - clock->base_ns;
    clock->windows++;
    if (clock->windows <= WINDOWS_TO_SETTLE && late_ns < settle_max_ns) {
        if (clock->windows == WINDOWS_TO_SETTLE) {
            note_error(clock, late_ns);
            clock->base_ns += late_ns;
        }
        return 0;
    }
    if (late_ns > gap_min_ns) {
        if (++clock->late_windows < LATE_WINDOWS_MAX)
            return 0;
        /* Times since the gap were told as if nothing lacked. */
        note_error(clock, late_ns);
        return skip(clock, late_ns);
    }
    clock->late_windows = 0;
    note_error(clock, late_ns);
    clock->base_ns += late_ns < rise_max_ns ? late_ns : rise_max_ns;
    return 0;
}

int64_t adc_clock_observe(struct adc_clock *clock, int64_t delivered, int64_t now_ns) {
    if (delivered <= clock->delivered)
        return 0;
    clock->delivered = delivered;
    if (!clock->is_known) {
        clock->is_known = true;
        clock->base_ns = find_base_ns(clock, now_ns);
    }
    int64_t missing = 0;
    if (clock->is_behind_gap) {
        clock->is_behind_gap = false;
        missing = skip(clock, find_base_ns(clock, now_ns) - clock->base_ns);
    }
    const int64_t base_ns = find_base_ns(clock, now_ns);
    if (clock->window_ns == 0)
        begin_window(clock, now_ns);
    if (base_ns < clock->base_ns) {
        clock->base_ns = base_ns;
        note_error(clock, 0);
    }
    if (base_ns < clock->least_ns)
        clock->least_ns = base_ns;
    clock->arrivals++;
    if (now_ns - clock->window_ns >= window_ns && clock->arrivals >= ARRIVALS_MIN) {
        missing += end_window(clock);
        begin_window(clock, now_ns);
    }
    return missing;
}
