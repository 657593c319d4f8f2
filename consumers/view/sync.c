#include "sync.h"

#include <math.h>

#define MS INT64_C(1000000)

enum {
    LINE_SMOOTHING = 16, /* observations */
    LINE_STRAYS = 4,     /* so many in a row are a jump */
};
static const double line_stray_ns = 20e6;

static const int64_t window_ns = 500 * MS;
static const int64_t margin_decay_ns = 50000; /* a window: 0.1 ms a second */
static const double speed_range = 0.002;      /* 3.5 cents: not to be heard */
static const double speed_horizon_ns = 2e9;   /* an error is to be gone after that long */
static const int64_t dead_band_ns = 2 * MS;
static const int64_t excess_min_ns = 50 * MS; /* would take 25 s to play away */

static const int64_t jitter_ns = 20 * MS;
static const int64_t fill_max_ns = 1000 * MS;

static const double heard_max_s = 5;

void sync_line_reset(struct sync_line *line, uint32_t rate_hz) {
    *line = (struct sync_line){.frame_ns = 1e9 / rate_hz};
}

void sync_line_observe(struct sync_line *line, uint64_t position, int64_t instant_ns) {
    const double base_ns = (double)instant_ns - (double)position * line->frame_ns;
    const double error_ns = base_ns - line->base_ns;
    if (line->observations > 0 && fabs(error_ns) > line_stray_ns) {
        line->strays++;
        if (line->strays < LINE_STRAYS) {
            return;
        }
        line->observations = 0;
    }
    line->strays = 0;
    if (line->observations < LINE_SMOOTHING) {
        line->observations++;
    }
    if (line->observations == 1) {
        line->base_ns = base_ns;
    } else {
        line->base_ns += error_ns / line->observations;
    }
}

void sync_line_shift(struct sync_line *line, int64_t later_ns) {
    line->base_ns += (double)later_ns;
}

bool sync_line_is_known(const struct sync_line *line) {
    return line->observations > 0;
}

int64_t sync_line_at_ns(const struct sync_line *line, uint64_t position) {
    return (int64_t)llround(line->base_ns + (double)position * line->frame_ns);
}

int64_t sync_delay_ns(const struct sync_line *captured, const struct sync_line *heard) {
    return (int64_t)llround(heard->base_ns - captured->base_ns);
}

int64_t sync_heard_ns(int64_t now_ns, double current_s, double heard_s, int64_t latency_ns) {
    const double ahead_s = heard_s - current_s;
    const bool is_told = current_s > 0 && ahead_s >= 0 && ahead_s < heard_max_s;
    return now_ns + (is_told ? (int64_t)llround(ahead_s * 1e9) : latency_ns);
}

void sync_cushion_init(struct sync_cushion *cushion, int64_t margin_min_ns, int64_t margin_max_ns) {
    *cushion = (struct sync_cushion){
        .margin_ns = margin_min_ns,
        .margin_min_ns = margin_min_ns,
        .margin_max_ns = margin_max_ns,
        .least_ns = INT64_MAX,
        .speed = 1,
    };
}

void sync_cushion_observe(struct sync_cushion *cushion, int64_t left_ns) {
    if (left_ns < cushion->least_ns) {
        cushion->least_ns = left_ns;
    }
}

static void set_margin(struct sync_cushion *cushion, int64_t margin_ns) {
    if (margin_ns < cushion->margin_min_ns) {
        margin_ns = cushion->margin_min_ns;
    }
    if (margin_ns > cushion->margin_max_ns) {
        margin_ns = cushion->margin_max_ns;
    }
    cushion->margin_ns = margin_ns;
}

void sync_cushion_ran_dry(struct sync_cushion *cushion) {
    set_margin(cushion, cushion->margin_ns + cushion->margin_ns / 2);
    cushion->least_ns = INT64_MAX;
}

bool sync_cushion_step(struct sync_cushion *cushion, int64_t now_ns, int64_t picture_late_ns) {
    if (now_ns < cushion->window_ends_ns) {
        return false;
    }
    cushion->window_ends_ns = now_ns + window_ns;
    if (cushion->least_ns == INT64_MAX) {
        cushion->speed = 1;
        return true;
    }
    if (picture_late_ns > dead_band_ns) {
        /* Not above what is there plus the lateness: while the queue still grows, pictures stay
         * late, and that is not a reason to ask for more again. */
        const int64_t wanted_ns = cushion->least_ns + picture_late_ns;
        set_margin(cushion, wanted_ns > cushion->margin_ns ? wanted_ns : cushion->margin_ns);
    } else {
        set_margin(cushion, cushion->margin_ns - margin_decay_ns);
    }
    const int64_t error_ns = cushion->least_ns - cushion->margin_ns;
    cushion->excess_ns = error_ns > excess_min_ns ? error_ns : 0;
    cushion->speed = 1;
    if (error_ns > dead_band_ns || error_ns < -dead_band_ns) {
        cushion->speed +=
            fmax(-speed_range, fmin(speed_range, (double)error_ns / speed_horizon_ns));
    }
    cushion->least_ns = INT64_MAX;
    return true;
}

enum sync_gap sync_gap_judge(int64_t expected_ns, int64_t captured_ns, bool is_lost) {
    const int64_t gap_ns = captured_ns - expected_ns;
    if (gap_ns > fill_max_ns || gap_ns < -jitter_ns) {
        return SYNC_JUMP;
    }
    return gap_ns > jitter_ns || (is_lost && gap_ns > 0) ? SYNC_FILL : SYNC_FOLLOWS;
}

enum sync_verdict sync_picture_judge(int64_t due_ns, int64_t next_due_ns, int64_t now_ns) {
    if (next_due_ns <= now_ns) {
        return SYNC_DROP;
    }
    return due_ns <= now_ns ? SYNC_SHOW : SYNC_WAIT;
}

int64_t sync_cost_update_ns(int64_t cost_ns, int64_t measured_ns) {
    return cost_ns + (measured_ns - cost_ns) / 8;
}
