#include "openmetrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The upper edges of the buckets that are shown: from what a wake-up takes to what nobody waits
 * for. OpenMetrics wants them spelled as numbers with a point. */
static const struct {
    int64_t edge_ns;
    const char *text;
} edges[] = {
    {INT64_C(1000), "1e-06"},     {INT64_C(2500), "2.5e-06"},   {INT64_C(5000), "5e-06"},
    {INT64_C(10000), "1e-05"},    {INT64_C(25000), "2.5e-05"},  {INT64_C(50000), "5e-05"},
    {INT64_C(100000), "0.0001"},  {INT64_C(250000), "0.00025"}, {INT64_C(500000), "0.0005"},
    {INT64_C(1000000), "0.001"},  {INT64_C(2500000), "0.0025"}, {INT64_C(5000000), "0.005"},
    {INT64_C(10000000), "0.01"},  {INT64_C(25000000), "0.025"}, {INT64_C(50000000), "0.05"},
    {INT64_C(100000000), "0.1"},  {INT64_C(250000000), "0.25"}, {INT64_C(500000000), "0.5"},
    {INT64_C(1000000000), "1.0"}, {INT64_C(2500000000), "2.5"}, {INT64_C(10000000000), "10.0"},
};
enum { EDGES = sizeof(edges) / sizeof(edges[0]) };

const char *openmetrics_media_type(enum openmetrics_dialect dialect) {
    return dialect == OPENMETRICS_1_0 ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                      : "text/plain; version=0.0.4; charset=utf-8";
}

void openmetrics_begin(struct openmetrics *metrics, FILE *file, enum openmetrics_dialect dialect) {
    *metrics = (struct openmetrics){.file = file, .dialect = dialect};
}

void openmetrics_end(struct openmetrics *metrics) {
    if (metrics->dialect == OPENMETRICS_1_0)
        fputs("# EOF\n", metrics->file);
}

void openmetrics_family(struct openmetrics *metrics, enum openmetrics_type type, const char *name,
                        const char *unit, const char *help) {
    static const char *const types[] = {
        [OPENMETRICS_GAUGE] = "gauge",
        [OPENMETRICS_COUNTER] = "counter",
        [OPENMETRICS_HISTOGRAM] = "histogram",
    };
    /* The older format knows each sample's own name alone. */
    const bool is_total = type == OPENMETRICS_COUNTER && metrics->dialect == OPENMETRICS_PROMETHEUS;
    const char *ending = is_total ? "_total" : "";
    metrics->type = type;
    metrics->name = name;
    fprintf(metrics->file, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, ending, help, name, ending,
            types[type]);
    if (unit && metrics->dialect == OPENMETRICS_1_0)
        fprintf(metrics->file, "# UNIT %s %s\n", name, unit);
}

/* ---- samples ---- */

/* Bytes of the UTF-8 character that `text` begins with; 0: it is none. RFC 3629, section 4. */
static unsigned count_character(const unsigned char *text) {
    if (text[0] < 0x80)
        return 1;
    const unsigned bytes = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    static const unsigned char low[] = {[0xe0 - 0xc0] = 0xa0, [0xf0 - 0xc0] = 0x90};
    static const unsigned char high[] = {[0xed - 0xc0] = 0x9f, [0xf4 - 0xc0] = 0x8f};
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    const unsigned lead = text[0] - 0xc0u;
    const unsigned least = lead < sizeof(low) && low[lead] ? low[lead] : 0x80;
    const unsigned most = lead < sizeof(high) && high[lead] ? high[lead] : 0xbf;
    if (text[1] < least || text[1] > most)
        return 0;
    for (unsigned i = 2; i < bytes; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return bytes;
}

static void write_text(FILE *file, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        const unsigned bytes = count_character(c);
        if (bytes == 0)
            fputc('?', file);
        else if (*c == '\n')
            fputs("\\n", file);
        else if (*c == '\\' || *c == '"')
            fprintf(file, "\\%c", *c);
        else
            fwrite(c, 1, bytes, file);
        c += bytes ? bytes : 1;
    }
}

/* Name and labels, with `le` as one more if it is not NULL. */
static void write_name(const struct openmetrics *metrics, const char *ending,
                       const struct openmetrics_label *labels, const char *le) {
    FILE *file = metrics->file;
    const char *between = "{";
    fprintf(file, "%s%s", metrics->name, ending);
    for (; labels && labels->name; labels++) {
        fprintf(file, "%s%s=\"", between, labels->name);
        write_text(file, labels->value);
        fputc('"', file);
        between = ",";
    }
    if (le)
        fprintf(file, "%sle=\"%s\"", between, le);
    fputs(le || *between == ',' ? "} " : " ", file);
}

static const char *ending_of(const struct openmetrics *metrics) {
    return metrics->type == OPENMETRICS_COUNTER ? "_total" : "";
}

void openmetrics_count(struct openmetrics *metrics, const struct openmetrics_label *labels,
                       uint64_t value) {
    write_name(metrics, ending_of(metrics), labels, NULL);
    fprintf(metrics->file, "%" PRIu64 "\n", value);
}

void openmetrics_value(struct openmetrics *metrics, const struct openmetrics_label *labels,
                       double value) {
    write_name(metrics, ending_of(metrics), labels, NULL);
    fprintf(metrics->file, "%.12g\n", isfinite(value) ? value : 0);
}

void openmetrics_histogram(struct openmetrics *metrics, const struct openmetrics_label *labels,
                           const struct shmframe_histogram *histogram) {
    uint64_t seen = 0;
    double sum_ns = 0;
    unsigned next = 0;
    int64_t before_ns = -1;
    for (uint32_t i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++) {
        const int64_t edge_ns = shmframe_histogram_edge_ns(i);
        for (; next < EDGES && edge_ns > edges[next].edge_ns; next++) {
            write_name(metrics, "_bucket", labels, edges[next].text);
            fprintf(metrics->file, "%" PRIu64 "\n", seen);
        }
        seen += histogram->bucket[i];
        /* The last bucket has no edge: its least value stands for all. */
        const double middle_ns = edge_ns == INT64_MAX
                                     ? (double)before_ns + 1
                                     : ((double)before_ns + 1 + (double)edge_ns) / 2;
        sum_ns += middle_ns * (double)histogram->bucket[i];
        before_ns = edge_ns;
    }
    write_name(metrics, "_bucket", labels, "+Inf");
    fprintf(metrics->file, "%" PRIu64 "\n", seen);
    write_name(metrics, "_count", labels, NULL);
    fprintf(metrics->file, "%" PRIu64 "\n", seen);
    write_name(metrics, "_sum", labels, NULL);
    fprintf(metrics->file, "%.12g\n", sum_ns / 1e9);
}
