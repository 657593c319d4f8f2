#include "delay_report.h"

#include "duration.h"
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>

static int64_t mean_ns(const struct lane *lane, int64_t sum_ns) {
    return lane->published ? sum_ns / (int64_t)lane->published : 0;
}

static json_t *describe_times(const struct shmframe_histogram *histogram) {
    return json_pack("{s:I, s:I, s:I}", "p50_ns",
                     (json_int_t)shmframe_histogram_quantile_ns(histogram, 0.5), "p99_ns",
                     (json_int_t)shmframe_histogram_quantile_ns(histogram, 0.99), "max_ns",
                     (json_int_t)histogram->max_ns);
}

static json_t *describe_lane(const struct lane *lane) {
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
                     "s:I, s:o, s:o}",
                     "stream", lane->name, "source", lane->source->stream, "policy",
                     consumer_policy_name(lane->source->params.policy), "taken",
                     (json_int_t)lane->taken, "published", (json_int_t)lane->published, "dropped",
                     (json_int_t)lane->dropped, "repeated", (json_int_t)lane->repeated, "swapped",
                     (json_int_t)lane->swapped, "refused", (json_int_t)lane->refused, "torn",
                     (json_int_t)lane->torn, "unsent", (json_int_t)lane->unsent, "lost",
                     (json_int_t)lane->lost, "paused", (json_int_t)lane->paused, "delay_ns",
                     (json_int_t)lane->schedule.params.delay_ns, "wanted_mean_ns",
                     (json_int_t)mean_ns(lane, lane->wanted_sum_ns), "held_mean_ns",
                     (json_int_t)mean_ns(lane, lane->held_sum_ns), "held",
                     describe_times(&lane->held_ns), "late", describe_times(&lane->error_ns));
}

static void print_lane(const struct lane *lane) {
    char held[DURATION_BYTES], wanted[DURATION_BYTES], p50[DURATION_BYTES], p99[DURATION_BYTES],
        max[DURATION_BYTES];
    duration_format(mean_ns(lane, lane->held_sum_ns), held);
    duration_format(mean_ns(lane, lane->wanted_sum_ns), wanted);
    duration_format(shmframe_histogram_quantile_ns(&lane->error_ns, 0.5), p50);
    duration_format(shmframe_histogram_quantile_ns(&lane->error_ns, 0.99), p99);
    duration_format(lane->error_ns.max_ns, max);
    printf("%s: %" PRIu64 " frames of %" PRIu64 " of %s, held for %s on average, %s wanted: later "
           "by p50 %s, p99 %s, max %s",
           lane->name, lane->published, lane->taken, lane->source->stream, held, wanted, p50, p99,
           max);
    const struct {
        uint64_t count;
        const char *text;
    } figures[] = {
        {lane->dropped, "dropped"},
        {lane->repeated, "repeated"},
        {lane->swapped, "swapped"},
        {lane->refused, "dropped without room"},
        {lane->torn, "overwritten while copied"},
        {lane->unsent, "not sent"},
        {lane->lost, "lost on the way here"},
        {lane->paused, "left out while it was paused"},
    };
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        if (figures[i].count)
            printf("; %" PRIu64 " %s", figures[i].count, figures[i].text);
    putchar('\n');
}

void delay_report_print(const struct lane *lanes, uint32_t count, double seconds,
                        const char *ended_by, enum report_format format) {
    progress_clear();
    if (format == REPORT_TEXT) {
        for (uint32_t i = 0; i < count; i++)
            print_lane(&lanes[i]);
        report_flush();
        return;
    }
    json_t *streams = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(streams, describe_lane(&lanes[i]));
    report_print_json(
        json_pack("{s:f, s:s, s:o}", "seconds", seconds, "ended_by", ended_by, "streams", streams));
}
