#include "plot_axis.h"

#include <math.h>
#include <string.h>

void plot_range_init(struct plot_range *range, const struct plot_axis *axis) {
    *range = (struct plot_range){
        .min = INFINITY, .max = -INFINITY, .scale = axis->scale, .unit = axis->unit};
}

void plot_range_add(struct plot_range *range, double value) {
    if (!isfinite(value) || (range->scale == PLOT_LOG && value <= 0))
        return;
    range->min = fmin(range->min, value);
    range->max = fmax(range->max, value);
}

/* ---- labels ---- */

static void format_scaled(double value, double factor, const char *const *units, int count,
                          char *label) {
    int unit = 0;
    while (unit < count - 1 && fabs(value) >= factor * 0.9999) {
        value /= factor;
        unit++;
    }
    snprintf(label, PLOT_LABEL_BYTES, "%.4g%s", value, units[unit]);
}

static void format_seconds(double value, char *label) {
    const long whole = lround(value);
    if (fabs(value) < 120 && fabs(value - (double)whole) > 1e-6)
        snprintf(label, PLOT_LABEL_BYTES, "%.4g s", value);
    else if (whole < 60)
        snprintf(label, PLOT_LABEL_BYTES, "%ld s", whole);
    else if (whole < 7200)
        snprintf(label, PLOT_LABEL_BYTES, "%ld:%02ld", whole / 60, whole % 60);
    else
        snprintf(label, PLOT_LABEL_BYTES, "%ld:%02ld h", whole / 3600, whole / 60 % 60);
}

void plot_format(enum plot_unit unit, double value, char label[PLOT_LABEL_BYTES]) {
    static const char *const times[] = {" ns", " us", " ms", " s"};
    static const char *const bytes[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    static const char *const numbers[] = {"", " k", " M", " G"};
    static const char *const rates[] = {" /s", " k/s", " M/s", " G/s"};
    if (value == 0 && unit != PLOT_PERCENT) {
        strcpy(label, "0");
        return;
    }
    switch (unit) {
    case PLOT_NUMBER:
        format_scaled(value, 1000, numbers, 4, label);
        break;
    case PLOT_NS:
        format_scaled(value, 1000, times, 4, label);
        break;
    case PLOT_SECONDS:
        format_seconds(value, label);
        break;
    case PLOT_BYTES:
        format_scaled(value, 1024, bytes, 5, label);
        break;
    case PLOT_PERCENT:
        snprintf(label, PLOT_LABEL_BYTES, "%.6g %%", value);
        break;
    case PLOT_RATE:
        format_scaled(value, 1000, rates, 4, label);
        break;
    }
}

/* ---- where values stand ---- */

static double transform(enum plot_scale scale, double value) {
    switch (scale) {
    case PLOT_LINEAR:
        break;
    case PLOT_LOG:
        return log10(value);
    case PLOT_PERCENTILE:
        return -log10(1 - value);
    }
    return value;
}

double plot_range_place(const struct plot_range *range, double value) {
    const double inside = fmin(fmax(value, range->min), range->max);
    const double low = transform(range->scale, range->min);
    const double high = transform(range->scale, range->max);
    const double part = (transform(range->scale, inside) - low) / (high - low);
    return range->first + part * (range->last - range->first);
}

/* ---- steps of a linear axis ---- */

/* The smallest round step of which at most `wanted` fit into `span`. */
static double find_step(enum plot_unit unit, double span, int wanted) {
    static const double seconds[] = {15,  30,   60,   120,  300,   600,
                                     900, 1800, 3600, 7200, 14400, 43200};
    if (unit == PLOT_BYTES && span > 1024)
        return exp2(ceil(log2(span / wanted)));
    for (size_t i = 0; unit == PLOT_SECONDS && i < sizeof(seconds) / sizeof(seconds[0]); i++)
        if (span > 10.0 * wanted && span / seconds[i] <= wanted)
            return seconds[i];
    const double decade = pow(10, floor(log10(span / wanted)));
    const double part = span / wanted / decade;
    return decade * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static int list_linear(const struct plot_range *range, int wanted, struct plot_tick *ticks) {
    const double step = find_step(range->unit, range->max - range->min, wanted);
    int count = 0;
    for (double i = ceil(range->min / step - 1e-9);
         i * step <= range->max + step * 1e-9 && count < PLOT_TICKS; i++) {
        const double value = i * step + 0.0; /* no negative zero */
        ticks[count].value = value;
        plot_format(range->unit, value, ticks[count++].label);
    }
    return count;
}

/* ---- steps of a logarithmic axis ---- */

/* The base whose powers are its steps. */
static double find_base(enum plot_unit unit) {
    return unit == PLOT_BYTES ? 2 : 10;
}

/* Powers of the base; every `stride`th has a label; between tens, 2 and 5 as well if there are only
 * few, and thin lines at the other digits as long as they can be told apart. */
static int list_log(const struct plot_range *range, int wanted, struct plot_tick *ticks) {
    const double base = find_base(range->unit);
    const double powers = log(range->max / range->min) / log(base);
    const int stride = powers > wanted ? (int)ceil(powers / wanted) : 1;
    const int digits = base > 2 && powers <= 6 ? 9 : 1;
    int count = 0;
    for (double power = floor(log(range->min) / log(base) + 1e-9);; power++)
        for (int digit = 1; digit <= digits; digit++) {
            const double value = pow(base, power) * digit;
            if (value > range->max * (1 + 1e-9) || count == PLOT_TICKS)
                return count;
            if (value < range->min * (1 - 1e-9))
                continue;
            const bool is_labelled = digit == 1
                                         ? fmod(power, stride) == 0
                                         : powers * 3 <= wanted && (digit == 2 || digit == 5);
            ticks[count].value = value;
            ticks[count].label[0] = '\0';
            if (is_labelled)
                plot_format(range->unit, value, ticks[count].label);
            count++;
        }
}

static int list_percentiles(const struct plot_range *range, struct plot_tick *ticks) {
    int count = 0;
    const double singles[] = {0, 0.5};
    for (int i = 0; i < 2; i++)
        if (singles[i] >= range->min && singles[i] <= range->max) {
            ticks[count].value = singles[i];
            snprintf(ticks[count++].label, PLOT_LABEL_BYTES, "%g %%", singles[i] * 100);
        }
    for (int nines = 1; nines <= 12; nines++) {
        const double value = 1 - pow(10, -nines);
        if (value < range->min - 1e-13 || value > range->max + 1e-13)
            continue;
        ticks[count].value = value;
        snprintf(ticks[count++].label, PLOT_LABEL_BYTES, "%.*f %%", nines > 2 ? nines - 2 : 0,
                 value * 100);
    }
    return count;
}

int plot_range_ticks(const struct plot_range *range, int wanted,
                     struct plot_tick ticks[PLOT_TICKS]) {
    switch (range->scale) {
    case PLOT_LINEAR:
        break;
    case PLOT_LOG:
        return list_log(range, wanted, ticks);
    case PLOT_PERCENTILE:
        return list_percentiles(range, ticks);
    }
    return list_linear(range, wanted, ticks);
}

/* ---- which range ---- */

/* The nearest 1, 2 or 5 times a power of ten, or power of two, outwards. */
static double round_log(double value, double base, bool is_up) {
    static const double digits[] = {1, 2, 5, 10};
    const double power = pow(base, floor(log(value) / log(base) + 1e-9));
    if (base == 2)
        return is_up && value > power * (1 + 1e-9) ? power * 2 : power;
    double found = is_up ? 10 : 1;
    for (int i = 0; i < 4; i++) {
        if (is_up && digits[3 - i] >= value / power * (1 - 1e-9))
            found = digits[3 - i];
        if (!is_up && digits[i] <= value / power * (1 + 1e-9))
            found = digits[i];
    }
    return power * found;
}

static void fit_log(struct plot_range *range, bool is_round) {
    if (!(range->min > 0 && range->max >= range->min))
        range->min = 1, range->max = 10;
    if (is_round || range->min == range->max) {
        range->min = round_log(range->min, find_base(range->unit), false);
        range->max = round_log(range->max, find_base(range->unit), true);
    }
    if (range->min == range->max)
        range->max *= find_base(range->unit);
}

static void fit_linear(struct plot_range *range, bool is_round) {
    enum { STEPS = 5 };
    if (!(range->min <= range->max))
        range->min = 0, range->max = 1;
    if (is_round) {
        range->min = fmin(range->min, 0);
        range->max = fmax(range->max, 0);
    }
    if (range->min == range->max)
        range->max += fmax(fabs(range->max) / 10, 1e-9);
    if (is_round) {
        const double step = find_step(range->unit, range->max - range->min, STEPS);
        range->min = floor(range->min / step + 1e-9) * step;
        range->max = ceil(range->max / step - 1e-9) * step;
    }
}

static void fit_percentile(struct plot_range *range, bool has_limits) {
    const double most = 1 - 1e-12;
    range->min = range->min > 0 && range->min < 1 && has_limits ? range->min : 0;
    range->max = isfinite(range->max) ? fmin(range->max, most) : 0.99;
    if (range->max <= range->min)
        range->max = 0.99;
}

void plot_range_fit(struct plot_range *range, const struct plot_axis *axis, bool is_round) {
    const bool has_limits = axis->min != 0 || axis->max != 0;
    if (has_limits) {
        range->min = axis->min;
        range->max = axis->max;
        is_round = false;
    }
    switch (axis->scale) {
    case PLOT_LINEAR:
        fit_linear(range, is_round);
        break;
    case PLOT_LOG:
        fit_log(range, is_round);
        break;
    case PLOT_PERCENTILE:
        fit_percentile(range, has_limits);
        break;
    }
}
