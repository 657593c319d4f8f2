#include "sound_clock.h"

#include <math.h>

/* Stamps are kept at least so far apart: for ten seconds. */
static const double apart_s = 0.01;
/* How far the rate of a sound may be off, as a standard deviation: 0.1 %. */
static const double rate_error_ns_s = 1e6;
/* How far a stamp is taken to be off as long as there are too few to tell. */
static const double spread_unknown_ns = 1e6;

void sound_clock_reset(struct sound_clock *clock, uint32_t sample_rate) {
    clock->sample_rate = sample_rate;
    clock->count = clock->next = 0;
}

static const struct sound_clock_stamp *find_newest(const struct sound_clock *clock) {
    return &clock->stamps[(clock->next + SOUND_CLOCK_STAMPS - 1) % SOUND_CLOCK_STAMPS];
}

bool sound_clock_wants(const struct sound_clock *clock, int64_t sample) {
    return clock->count == 0 ||
           (double)(sample - find_newest(clock)->sample) >= apart_s * clock->sample_rate;
}

void sound_clock_add(struct sound_clock *clock, int64_t sample, int64_t ns) {
    if (!sound_clock_wants(clock, sample))
        return;
    clock->stamps[clock->next] = (struct sound_clock_stamp){sample, ns};
    clock->next = (clock->next + 1) % SOUND_CLOCK_STAMPS;
    if (clock->count < SOUND_CLOCK_STAMPS)
        clock->count++;
}

/* Stamps may be wild: of any two there is a difference, right where they are not. */
static double subtract(int64_t left_ns, int64_t right_ns) {
    return (double)(int64_t)((uint64_t)left_ns - (uint64_t)right_ns);
}

static int64_t round_ns(double ns) {
    return (int64_t)fmax(fmin(nearbyint(ns), 0x1p62), -0x1p62);
}

/* Sums over the stamps: x, seconds of sound from the sample that is asked for; y, nanoseconds
 * by which the stamp differs from what the newest one and the sample rate make of it. */
struct sums {
    double n, x, y, xx, xy, yy;
};

static struct sums add_up(const struct sound_clock *clock, double sample) {
    const struct sound_clock_stamp origin = *find_newest(clock);
    struct sums sums = {.n = clock->count};
    for (uint32_t i = 0; i < clock->count; i++) {
        const struct sound_clock_stamp stamp = clock->stamps[i];
        const double x = ((double)stamp.sample - sample) / clock->sample_rate;
        const double y = subtract(stamp.ns, origin.ns) -
                         (double)(stamp.sample - origin.sample) * 1e9 / clock->sample_rate;
        sums.x += x;
        sums.y += y;
        sums.xx += x * x;
        sums.xy += x * y;
        sums.yy += y * y;
    }
    return sums;
}

/* The variance of the stamps around their best line. */
static double find_variance(const struct sums *sums) {
    if (sums->n < 3)
        return spread_unknown_ns * spread_unknown_ns;
    const double xx = sums->xx - sums->x * sums->x / sums->n;
    const double xy = sums->xy - sums->x * sums->y / sums->n;
    const double yy = sums->yy - sums->y * sums->y / sums->n;
    return fmax(yy - xy * xy / xx, 0) / (sums->n - 2) + 1; /* stamps are whole nanoseconds */
}

bool sound_clock_find(const struct sound_clock *clock, double sample,
                      struct sound_instant *out_instant) {
    if (clock->count == 0)
        return false;
    const struct sums sums = add_up(clock, sample);
    /* Least squares, with what is known of the slope as one more observation. */
    const double variance = find_variance(&sums);
    const double xx = sums.xx + variance / (rate_error_ns_s * rate_error_ns_s);
    const double determinant = sums.n * xx - sums.x * sums.x;
    const double at_ns = (xx * sums.y - sums.x * sums.xy) / determinant;
    const struct sound_clock_stamp origin = *find_newest(clock);
    const double nominal_ns = (sample - (double)origin.sample) * 1e9 / clock->sample_rate;
    out_instant->ns = (int64_t)((uint64_t)origin.ns + (uint64_t)round_ns(nominal_ns + at_ns));
    out_instant->error_ns = round_ns(3 * sqrt(variance * xx / determinant));
    out_instant->spread_ns = round_ns(sqrt(variance));
    return true;
}
