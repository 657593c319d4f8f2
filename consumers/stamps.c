#include "stamps.h"

#include <libavutil/mathematics.h>
#include <math.h>

static const AVRational ns_unit = {1, 1000000000};

/* --- Captured --------------------------------------------------------------------------------- */

static const int64_t early_max_ns = INT64_C(1000000000);
static const int64_t late_max_ns = INT64_C(120000000000);

bool capture_times_believe(struct capture_times *times, int64_t capture_ns, int64_t publish_ns) {
    if (capture_ns > publish_ns + early_max_ns || capture_ns < publish_ns - late_max_ns) {
        times->not_believed++;
        return false;
    }
    times->latency_ns = publish_ns - capture_ns;
    times->has_latency = true;
    return true;
}

/* --- One zero --------------------------------------------------------------------------------- */

/* Times that jump: further back than frames that overtake each other, or further ahead than any
 * device is silent; or, if nobody says so, than any picture stands. */
static const int64_t back_ns = INT64_C(500000000);
static const int64_t ahead_ns = INT64_C(10000000000);
static const int64_t stand_ns = INT64_C(3600000000000);

static bool is_jump(const struct stamps_place *place, int64_t time_ns, bool is_break) {
    const int64_t step_ns = time_ns - place->end_ns;
    return step_ns < (is_break ? -1 : -back_ns) || step_ns > (is_break ? ahead_ns : stand_ns);
}

/* A stream that comes to others, with times that are not theirs. */
static bool is_stranger(const struct stamps *stamps, int64_t time_ns) {
    return stamps->has_begun && (time_ns < -stand_ns || time_ns - stamps->end_ns > stand_ns);
}

/* Whether the frame before it jumped to the same place. */
static bool is_confirmed(const struct stamps_place *place, int64_t time_ns) {
    const int64_t step_ns = time_ns - place->doubted_ns;
    return place->is_doubted && step_ns >= -back_ns && step_ns <= ahead_ns;
}

/* Since the zero, of a frame whose time jumps. */
static int64_t jump_to(struct stamps *stamps, struct stamps_place *place, int64_t time_ns,
                       bool is_break) {
    const bool was_doubted = is_confirmed(place, time_ns);
    if (!is_break && !was_doubted) {
        if (place->is_doubted && place->end_ns > stamps->end_ns)
            stamps->end_ns = place->end_ns;
        place->is_doubted = true;
        place->doubted_ns = time_ns;
        place->resume_ns = stamps->end_ns;
        return place->has_begun ? place->end_ns : stamps->end_ns;
    }
    /* Another stream may have jumped there before. */
    const bool has_followed =
        place->jumps < stamps->jumps && !is_jump(place, time_ns - stamps->zero_ns, true);
    if (!has_followed) {
        stamps->zero_ns =
            was_doubted ? place->doubted_ns - place->resume_ns : time_ns - stamps->end_ns;
        stamps->jumps++;
    }
    place->zero_ns = stamps->zero_ns;
    place->jumps = stamps->jumps;
    place->is_doubted = false;
    return time_ns - place->zero_ns;
}

int64_t stamps_find(struct stamps *stamps, struct stamps_place *place, int64_t time_ns,
                    int64_t duration_ns, bool is_break) {
    time_ns -= stamps->skipped_ns;
    if (!place->has_begun || !stamps->is_jumping) {
        place->zero_ns = stamps->zero_ns;
        place->jumps = stamps->jumps;
    }
    int64_t found_ns = time_ns - place->zero_ns;
    const bool has_jumped =
        stamps->is_jumping &&
        (place->has_begun ? is_jump(place, found_ns, is_break) : is_stranger(stamps, found_ns));
    if (has_jumped)
        found_ns = jump_to(stamps, place, time_ns, is_break);
    else
        place->is_doubted = false;
    const int64_t end_ns = found_ns + duration_ns;
    if (!place->has_begun || end_ns > place->end_ns || !stamps->is_jumping)
        place->end_ns = end_ns;
    /* Where others go on, if it was a jump, is not behind a frame that is doubted. */
    if (end_ns > stamps->end_ns && !place->is_doubted)
        stamps->end_ns = end_ns;
    place->has_begun = stamps->has_begun = true;
    return found_ns;
}

void stamps_skip(struct stamps *stamps, int64_t length_ns) {
    stamps->skipped_ns += length_ns;
}

int64_t picture_stamps_next(struct picture_stamps *stamps, int64_t time_ns) {
    int64_t stamp = av_rescale_q(time_ns, ns_unit, stamps->time_base);
    if (stamps->has_begun && stamp <= stamps->last) {
        stamp = stamps->last + 1;
        stamps->moved++;
    }
    stamps->last = stamp;
    stamps->has_begun = true;
    return stamp;
}

/* --- Sound ------------------------------------------------------------------------------------ */

/* The line is a tracking filter of second order, critically damped: a lasting difference between
 * the clocks leaves no error behind, jitter of a millisecond moves it by some microseconds. */
static const double settle_ns = 8e9;
/* What differs by more is no jitter, and no drift either: something is missing. */
static const double jump_ns = 60e6;
static const double blocks_jitter = 3;
/* Sound that is kept goes that far from the line before its stamps are moved. */
static const double keep_ns = 1e6;
/* Sound that is stretched returns to the line in that time, by no more than can be heard. */
static const double return_ns = 4e9;
static const double stretch_max = 0.004;

static int64_t count_samples(double ns, uint32_t rate_hz) {
    return llrint(ns * rate_hz / 1e9);
}

static double count_ns(double samples, uint32_t rate_hz) {
    return samples * 1e9 / rate_hz;
}

static double skew_ns(const struct sound_stamps *stamps) {
    return count_ns((double)stamps->end, stamps->params.to_rate_hz) - stamps->line_ns;
}

int64_t sound_stamps_skew_ns(const struct sound_stamps *stamps) {
    return stamps->has_begun ? llrint(skew_ns(stamps)) : 0;
}

/* Goes on at `line_ns`: what is missing becomes silence, what was there already is to be cut. */
static void jump(struct sound_stamps *stamps, double line_ns, struct sound_step *step) {
    stamps->line_ns = line_ns;
    stamps->overlap = 0;
    const double late_ns = -skew_ns(stamps);
    if (late_ns >= 0) {
        step->silence = count_samples(late_ns, stamps->params.to_rate_hz);
        stamps->end += step->silence;
        stamps->silence += (uint64_t)step->silence;
    } else {
        stamps->overlap = count_samples(-late_ns, stamps->params.rate_hz);
    }
}

static void cut(struct sound_stamps *stamps, uint32_t samples, struct sound_step *step) {
    step->cut = stamps->overlap < samples ? stamps->overlap : samples;
    stamps->overlap -= step->cut;
    stamps->cut += (uint64_t)step->cut;
}

/* Moves the line towards the time that a block came with. */
static void follow(struct sound_stamps *stamps, double error_ns, double block_ns) {
    const double steady = fmin(2 * block_ns / settle_ns, 1);
    const double first = fmin(2.0 / (double)(stamps->blocks + 2), 0.25);
    stamps->line_ns += fmax(steady, first) * error_ns;
    if (first > steady) /* too early to tell drift from jitter */
        return;
    stamps->drift += steady * steady / 4 * error_ns / block_ns;
    stamps->drift = fmax(fmin(stamps->drift, stretch_max), -stretch_max);
}

static int64_t limit_shift(int64_t shift, int64_t samples) {
    return shift < -samples / 2 ? -samples / 2 : shift;
}

/* Brings the sound back to its line, at once or little by little. */
static void correct(struct sound_stamps *stamps, uint32_t samples, struct sound_step *step) {
    const double late_ns = -skew_ns(stamps);
    if (stamps->params.drift == SOUND_STRETCH) {
        const double stretch = stamps->drift + late_ns / return_ns;
        step->stretch = fmax(fmin(stretch, stretch_max), -stretch_max);
    } else if (fabs(late_ns) >= keep_ns) {
        step->shift = limit_shift(count_samples(late_ns, stamps->params.to_rate_hz), samples);
        stamps->end += step->shift;
        stamps->shifts++;
    }
}

/* How much is missing, if the block at `error_ns` behind the line comes after a gap; 0: no gap. */
static double find_gap_ns(const struct sound_stamps *stamps, double error_ns, double block_ns,
                          uint64_t lost, bool is_break) {
    const double lost_ns = count_ns((double)lost, stamps->params.rate_hz);
    const double limit_ns = fmax(jump_ns, blocks_jitter * block_ns);
    const double near_ns = fmax(block_ns / 2, 20e6);
    if (lost > 0 && fabs(error_ns - lost_ns) < near_ns)
        return lost_ns; /* to the sample */
    const bool is_known = lost > 0 || is_break;
    return fabs(error_ns) > (is_known ? block_ns / 2 : limit_ns) ? error_ns : 0;
}

struct sound_step sound_stamps_next(struct sound_stamps *stamps, int64_t time_ns, uint32_t samples,
                                    uint64_t lost, bool is_break) {
    struct sound_step step = {0};
    const double block_ns = count_ns(samples, stamps->params.rate_hz);
    double error_ns = (double)time_ns - stamps->line_ns;
    const double gap_ns =
        stamps->has_begun ? find_gap_ns(stamps, error_ns, block_ns, lost, is_break) : error_ns;
    if (gap_ns != 0) {
        jump(stamps, stamps->line_ns + gap_ns, &step);
        error_ns -= gap_ns;
    }
    stamps->gaps += stamps->has_begun && gap_ns != 0;
    if (!stamps->has_begun)
        stamps->silence = 0; /* nothing was lost: it had not begun */
    stamps->has_begun = true;
    follow(stamps, error_ns, block_ns);
    if (stamps->overlap > 0)
        cut(stamps, samples, &step);
    else if (gap_ns == 0)
        correct(stamps, samples, &step);
    stamps->line_ns += block_ns * (1 + stamps->drift);
    stamps->blocks++;
    const int64_t rest = (int64_t)samples - step.cut;
    stamps->end +=
        av_rescale_rnd(rest, stamps->params.to_rate_hz, stamps->params.rate_hz, AV_ROUND_NEAR_INF);
    return step;
}

void sound_stamps_set_end(struct sound_stamps *stamps, int64_t end) {
    stamps->end = end;
}
