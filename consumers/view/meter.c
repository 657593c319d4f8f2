#include "meter.h"

#include <stdlib.h>

void meter_add(struct meter *meter, int64_t instant_ns, int64_t value_ns) {
    meter->value[meter->count % METER_VALUES] =
        (struct meter_value){.instant_ns = instant_ns, .value_ns = value_ns};
    meter->count++;
}

static uint32_t kept(const struct meter *meter) {
    return meter->count < METER_VALUES ? meter->count : METER_VALUES;
}

/* The value that came `age` values before the newest. */
static const struct meter_value *newest(const struct meter *meter, uint32_t age) {
    return &meter->value[(meter->count - 1 - age) % METER_VALUES];
}

static int compare(const void *left, const void *right) {
    const int64_t a = *(const int64_t *)left;
    const int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* The smallest value that at least `percent` of `count` sorted ones do not exceed. */
static int64_t quantile(const int64_t *sorted, uint32_t count, uint32_t percent) {
    const uint32_t rank = (uint32_t)(((uint64_t)count * percent + 99) / 100);
    return sorted[rank > 0 ? rank - 1 : 0];
}

struct meter_summary meter_summarize(const struct meter *meter, int64_t now_ns, int64_t span_ns) {
    int64_t values[METER_VALUES];
    uint32_t count = 0;
    while (count < kept(meter) && newest(meter, count)->instant_ns > now_ns - span_ns) {
        values[count] = newest(meter, count)->value_ns;
        count++;
    }
    if (count == 0) {
        return (struct meter_summary){0};
    }
    /* From first to last there is one interval less than there are values. */
    const int64_t elapsed_ns = newest(meter, 0)->instant_ns - newest(meter, count - 1)->instant_ns;
    qsort(values, count, sizeof values[0], compare);
    return (struct meter_summary){
        .count = count,
        .rate_hz = elapsed_ns > 0 ? (count - 1) * 1e9 / (double)elapsed_ns : 0,
        .p50_ns = quantile(values, count, 50),
        .p99_ns = quantile(values, count, 99),
        .min_ns = values[0],
        .max_ns = values[count - 1],
    };
}

void meter_curve(const struct meter *meter, int64_t now_ns, int64_t span_ns, int64_t *out_max_ns,
                 uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        out_max_ns[i] = INT64_MIN;
    }
    const int64_t from_ns = now_ns - span_ns;
    for (uint32_t age = 0; age < kept(meter); age++) {
        const struct meter_value *value = newest(meter, age);
        if (value->instant_ns <= from_ns) {
            break;
        }
        /* Parts are (from, from + part], so that the newest instant falls into the last one. */
        const int64_t offset_ns = value->instant_ns - from_ns - 1;
        const uint32_t part = (uint32_t)((double)offset_ns * count / (double)span_ns);
        if (part < count && value->value_ns > out_max_ns[part]) {
            out_max_ns[part] = value->value_ns;
        }
    }
}
