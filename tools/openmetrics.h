/* Metrics as text: OpenMetrics 1.0, or the Prometheus text format 0.0.4 that came before it. */
#ifndef TOOLS_OPENMETRICS_H
#define TOOLS_OPENMETRICS_H

#include <shmframe/stats.h>
#include <stdio.h>

enum openmetrics_dialect {
    OPENMETRICS_PROMETHEUS = 0,
    OPENMETRICS_1_0 = 1,
    OPENMETRICS_DIALECTS = 2,
};

enum openmetrics_type {
    OPENMETRICS_GAUGE = 0,
    OPENMETRICS_COUNTER, /* its samples end with _total, its name does not */
    OPENMETRICS_HISTOGRAM,
};

struct openmetrics {
    FILE *file;
    enum openmetrics_dialect dialect;
    enum openmetrics_type type; /* of the family that is being written */
    const char *name;
};

/* The end of a list has no name. Values may hold any bytes. */
struct openmetrics_label {
    const char *name;
    const char *value;
};

/* The media type of what is written. */
const char *openmetrics_media_type(enum openmetrics_dialect dialect);

void openmetrics_begin(struct openmetrics *metrics, FILE *file, enum openmetrics_dialect dialect);
void openmetrics_end(struct openmetrics *metrics);

/* Begins a family; all its samples follow at once. `name` is kept; it ends with `unit` ("seconds",
 * "bytes"), if that is not NULL. `help` is a sentence. */
void openmetrics_family(struct openmetrics *metrics, enum openmetrics_type type, const char *name,
                        const char *unit, const char *help);

/* Samples of the family. Labels NULL: none. */
void openmetrics_count(struct openmetrics *metrics, const struct openmetrics_label *labels,
                       uint64_t value);
void openmetrics_value(struct openmetrics *metrics, const struct openmetrics_label *labels,
                       double value);
/* A histogram of nanoseconds as one of seconds with few buckets. A value counts in the first bucket
 * that surely holds it; the sum is that of the steps, exact to 1/64. */
void openmetrics_histogram(struct openmetrics *metrics, const struct openmetrics_label *labels,
                           const struct shmframe_histogram *histogram);

#endif
