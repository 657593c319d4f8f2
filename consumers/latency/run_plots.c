#include "run_plots.h"

#include "plot.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static int finish(struct plot *plot, FILE *file) {
    const int result = plot_write(plot, file);
    plot_destroy(plot);
    return result;
}

static double get_seconds(const struct run *run, int64_t time_ns) {
    return (double)(time_ns - run->start_ns) / 1e9;
}

/* ---- of the whole ---- */

static void add_percentiles(struct plot *plot, enum run_hop hop,
                            const struct shmframe_histogram *histogram) {
    struct plot_point points[SHMFRAME_HISTOGRAM_BUCKETS];
    size_t count = 0;
    uint64_t below = 0;
    for (uint32_t i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++) {
        if (!histogram->bucket[i])
            continue;
        const int64_t edge_ns = shmframe_histogram_edge_ns(i);
        below += histogram->bucket[i];
        points[count++] = (struct plot_point){
            /* The largest of n stands where there would be one in 2n. */
            .x = fmin((double)below / (double)histogram->count, 1 - 0.5 / (double)histogram->count),
            .y = (double)(edge_ns < histogram->max_ns ? edge_ns : histogram->max_ns)};
    }
    plot_add(plot, PLOT_LINE, run_hop_name(hop), points, count);
}

int run_plots_write_percentiles(const struct run *run, FILE *file) {
    struct plot *plot = plot_create(&(struct plot_params){
        .title = "Percentiles",
        .description = "For each hop, the time within which a share of the frames was done; the "
                       "table above has the figures.",
        .x = {.title = "share of the frames", .scale = PLOT_PERCENTILE},
        .y = {.title = "took at most", .unit = PLOT_NS, .scale = PLOT_LOG},
        .height = 380});
    for (enum run_hop hop = 0; hop < RUN_HOPS; hop++)
        if (run->hop[hop].count)
            add_percentiles(plot, hop, &run->hop[hop]);
    return finish(plot, file);
}

static void add_instant(struct plot *plot, const char *name, int64_t value_ns) {
    char time[HOPS_TIME_BYTES], label[64];
    hops_format_time(value_ns, time);
    snprintf(label, sizeof(label), "%s %s", name, time);
    plot_add_instant(plot, label, (double)value_ns);
}

/* Steps of the histogram are wider here and narrower there, on an axis of decades: what is shown
 * is how many there would be in a step of equal width, so that its shape is the distribution's. */
static size_t make_densities(const struct shmframe_histogram *histogram,
                             struct plot_point points[2 * SHMFRAME_HISTOGRAM_BUCKETS + 1]) {
    const double width = log(1 + 1.0 / 32);
    size_t count = 0;
    double last = -1; /* where the one before ended */
    for (uint32_t i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS - 1; i++) {
        if (!histogram->bucket[i])
            continue;
        const double low = i ? (double)shmframe_histogram_edge_ns(i - 1) + 1 : 0.5;
        const double high = (double)shmframe_histogram_edge_ns(i) + 1;
        if (last > 0 && low > last)
            points[count++] = (struct plot_point){last, 0};
        points[count++] =
            (struct plot_point){low, (double)histogram->bucket[i] * width / log(high / low)};
        last = high;
    }
    points[count++] = (struct plot_point){last, 0};
    return count;
}

int run_plots_write_histogram(const struct run *run, enum run_hop hop, FILE *file) {
    static struct plot_point points[2 * SHMFRAME_HISTOGRAM_BUCKETS + 1];
    const struct shmframe_histogram *histogram = &run->hop[hop];
    struct plot *plot = plot_create(&(struct plot_params){
        .title = run_hop_name(hop),
        .description = run_hop_meaning(hop),
        .x = {.title = run_hop_meaning(hop), .unit = PLOT_NS, .scale = PLOT_LOG},
        .y = {.title = "frames in each 3 % of time"},
        .height = 240});
    plot_add(plot, PLOT_STEPS, NULL, points, make_densities(histogram, points));
    add_instant(plot, "p50", shmframe_histogram_quantile_ns(histogram, 0.5));
    add_instant(plot, "p99", shmframe_histogram_quantile_ns(histogram, 0.99));
    add_instant(plot, "max", histogram->max_ns);
    return finish(plot, file);
}

/* ---- over time ---- */

/* Tails far above the rest want decades; otherwise 0 is a good bottom. */
static enum plot_scale choose_scale(const struct shmframe_histogram *histogram) {
    enum { FAR = 20 };
    const int64_t p50_ns = shmframe_histogram_quantile_ns(histogram, 0.5);
    return histogram->max_ns > FAR * p50_ns ? PLOT_LOG : PLOT_LINEAR;
}

static bool was_lost_by(const struct run *run, unsigned cause) {
    for (size_t i = 0; i < run->losses; i++)
        if (run->loss[i].cause == cause)
            return true;
    return false;
}

static void add_losses(struct plot *plot, const struct run *run, struct plot_span *spans) {
    for (unsigned cause = 0; cause < SHMFRAME_CAUSES; cause++) {
        char name[48];
        size_t count = 0;
        if (!was_lost_by(run, cause))
            continue;
        for (size_t i = 0; i < run->losses; i++) {
            const double second = get_seconds(run, run->loss[i].time_ns);
            if (run->loss[i].cause == cause)
                spans[count++] = (struct plot_span){second, second};
        }
        snprintf(name, sizeof(name), "lost: %s", shmframe_cause_name(cause));
        plot_add_spans(plot, name, spans, count);
    }
}

/* Frames that `is_meant`, on a lane, if there are any. */
static void add_frames(struct plot *plot, const struct run *run, const char *name,
                       bool (*is_meant)(const struct run_frame *frame), struct plot_span *spans) {
    size_t count = 0;
    for (size_t i = 0; i < run->frames; i++) {
        const double second = get_seconds(run, run->frame[i].acquire_ns);
        if (is_meant(&run->frame[i]))
            spans[count++] = (struct plot_span){second, second};
    }
    if (count)
        plot_add_spans(plot, name, spans, count);
}

static bool has_skipped(const struct run_frame *frame) {
    return frame->skipped > 0;
}

static bool has_mark_lost(const struct run_frame *frame) {
    return frame->mark.lost > 0;
}

static bool is_torn(const struct run_frame *frame) {
    return frame->mark.flags & RUN_MARK_TORN;
}

static bool is_repeated(const struct run_frame *frame) {
    return frame->mark.flags & RUN_MARK_REPEATED;
}

static bool is_out_of_order(const struct run_frame *frame) {
    return frame->mark.flags & RUN_MARK_OUT_OF_ORDER;
}

static bool has_no_mark(const struct run_frame *frame) {
    return frame->mark.flags & RUN_MARK_MISSING;
}

static void add_lanes(struct plot *plot, const struct run *run, struct plot_span *spans) {
    add_losses(plot, run, spans);
    add_frames(plot, run, "skipped", has_skipped, spans);
    add_frames(plot, run, "marks lost", has_mark_lost, spans);
    add_frames(plot, run, "torn", is_torn, spans);
    add_frames(plot, run, "repeated", is_repeated, spans);
    add_frames(plot, run, "out of order", is_out_of_order, spans);
    add_frames(plot, run, "without a mark", has_no_mark, spans);
}

/* What the plots over time are of: with marks, the latency to the pixel, since the age is then what
 * the capture alone took. */
static enum run_hop choose_hop(const struct run *run) {
    return run->hop[RUN_HOP_SEEN].count ? RUN_HOP_SEEN : RUN_HOP_AGE;
}

/* One hop of all frames that were kept. */
static void add_dots(struct plot *plot, const struct run *run, enum run_hop hop,
                     struct plot_point *points) {
    size_t count = 0;
    for (size_t i = 0; i < run->frames; i++) {
        const int64_t value_ns = run_frame_hop_ns(&run->frame[i], hop);
        if (value_ns >= 0)
            points[count++] =
                (struct plot_point){get_seconds(run, run->frame[i].acquire_ns), (double)value_ns};
    }
    if (count)
        plot_add(plot, PLOT_DOTS, run_hop_name(hop), points, count);
}

int run_plots_write_timeline(const struct run *run, FILE *file) {
    const enum run_hop hop = choose_hop(run);
    struct plot_point *points = calloc(run->frames + 1, sizeof(*points));
    const size_t spans_max = run->frames > run->losses ? run->frames : run->losses;
    struct plot_span *spans = calloc(spans_max + 1, sizeof(*spans));
    struct plot *plot = plot_create(&(struct plot_params){
        .title = hop == RUN_HOP_SEEN ? "Each picture: seen, and age" : "Age of each frame",
        .description = "How long each frame took, over time, and above it when frames were lost, "
                       "skipped, torn or repeated.",
        .x = {.title = "since the beginning",
              .unit = PLOT_SECONDS,
              .max = get_seconds(run, run->end_ns)},
        .y = {.title = hop == RUN_HOP_SEEN ? "took" : "age",
              .unit = PLOT_NS,
              .scale = choose_scale(&run->hop[hop])},
        .height = 360});
    int result = -ENOMEM;
    if (points && spans) {
        if (hop == RUN_HOP_SEEN)
            add_dots(plot, run, RUN_HOP_SEEN, points);
        add_dots(plot, run, RUN_HOP_AGE, points);
        add_dots(plot, run, RUN_HOP_MARK_AGE, points);
        add_lanes(plot, run, spans);
        result = plot_write(plot, file);
    }
    plot_destroy(plot);
    free(points);
    free(spans);
    return result;
}

static void add_block_quantile(struct plot *plot, const struct run *run, const char *name,
                               double quantile) {
    const enum run_hop hop = choose_hop(run);
    struct plot_point points[RUN_BLOCKS_MAX];
    const double block_s = (double)run->blocks.block_ns / 1e9;
    for (size_t i = 0; i < run->blocks.count; i++) {
        const struct run_block *block = &run->blocks.block[i];
        const struct run_values *values = &block->hop[hop];
        points[i] = (struct plot_point){
            .x = ((double)block->number + 0.5) * block_s,
            .y = values->count ? (double)run_values_quantile_ns(values, quantile) : NAN};
    }
    plot_add(plot, PLOT_LINE, name, points, run->blocks.count);
}

int run_plots_write_blocks(const struct run *run, FILE *file) {
    char title[64];
    const long seconds = (long)(run->blocks.block_ns / RUN_BLOCK_NS);
    const enum run_hop hop = choose_hop(run);
    const char *what = hop == RUN_HOP_SEEN ? "Seen" : "Age";
    if (seconds == 1)
        snprintf(title, sizeof(title), "%s, in each second", what);
    else
        snprintf(title, sizeof(title), "%s, in each %ld seconds", what, seconds);
    struct plot *plot = plot_create(&(struct plot_params){
        .title = title,
        .description = "Median, 99th percentile and maximum, block by block.",
        .x = {.title = "since the beginning",
              .unit = PLOT_SECONDS,
              .max = get_seconds(run, run->end_ns)},
        .y = {.title = run_hop_name(hop), .unit = PLOT_NS, .scale = choose_scale(&run->hop[hop])},
        .height = 260});
    add_block_quantile(plot, run, "p50", 0.5);
    add_block_quantile(plot, run, "p99", 0.99);
    add_block_quantile(plot, run, "max", 1);
    return finish(plot, file);
}

int run_plots_write_skews(const struct run *run, FILE *file) {
    struct plot_point *points = calloc(run->skews + 1, sizeof(*points));
    struct plot *plot = plot_create(&(struct plot_params){
        .title = "Picture to sound",
        .description = "For each flash, by how much its picture came later than its sound; below "
                       "0 the sound came later.",
        .x = {.title = "since the beginning",
              .unit = PLOT_SECONDS,
              .max = get_seconds(run, run->end_ns)},
        .y = {.title = "latency of the picture - latency of the sound", .unit = PLOT_NS},
        .height = 260});
    int result = -ENOMEM;
    for (size_t i = 0; points && i < run->skews; i++)
        points[i] = (struct plot_point){get_seconds(run, run->skew[i].time_ns),
                                        (double)run->skew[i].skew_ns};
    if (points) {
        plot_add(plot, PLOT_DOTS, "skew", points, run->skews);
        result = plot_write(plot, file);
    }
    plot_destroy(plot);
    free(points);
    return result;
}
