/* Measurements of the last seconds, for show: rate, quantiles, a curve. Pure. */
#ifndef CONSUMERS_METER_H
#define CONSUMERS_METER_H

#include <stdint.h>

enum {
    METER_VALUES = 2048, /* 8 s at 240 a second */
};

struct meter {
    uint32_t count; /* since creation; the last METER_VALUES are kept */
    struct meter_value {
        int64_t instant_ns;
        int64_t value_ns;
    } value[METER_VALUES];
};

struct meter_summary {
    uint32_t count; /* in the span */
    double rate_hz;
    int64_t p50_ns, p99_ns, min_ns, max_ns;
};

/* `instant_ns` must not go back. */
void meter_add(struct meter *meter, int64_t instant_ns, int64_t value_ns);

/* Over the last `span_ns` before `now_ns`. All 0 if there is nothing. */
struct meter_summary meter_summarize(const struct meter *meter, int64_t now_ns, int64_t span_ns);

/* The largest value of each of `count` equal parts of the span, oldest first; INT64_MIN where a
 * part has none. */
void meter_curve(const struct meter *meter, int64_t now_ns, int64_t span_ns, int64_t *out_max_ns,
                 uint32_t count);

#endif
