#include "run_page.h"

#include "markup.h"
#include "run_plots.h"

#include <inttypes.h>
#include <time.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<style>\n"
    "body{font:15px/1.5 sans-serif;max-width:820px;margin:2em auto;padding:0 1em;"
    "color:#15181c;background:#fff}\n"
    "h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}\n"
    "table{border-collapse:collapse;margin:1em 0;font-size:14px}"
    "th,td{padding:.2em .8em .2em 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid #dfe3e8}"
    "td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "code{font-family:monospace;overflow-wrap:anywhere}"
    "figure{margin:1.2em 0}figcaption,.note{font-size:14px;color:#555c66}\n"
    "svg.plot{max-width:100%;height:auto}\n"
    "@media(prefers-color-scheme:dark){body{color:#eef0f3;background:#15181c}"
    "th,td{border-color:#2c323a}figcaption,.note{color:#9aa1ab}}\n</style>\n";

/* ---- pieces ---- */

static void write_fact(FILE *file, const char *name, const char *value) {
    if (!*value)
        return;
    fprintf(file, "<tr><th>%s</th><td>", name);
    markup_write(file, value);
    fputs("</td></tr>\n", file);
}

static void write_command(FILE *file, char *const *arguments) {
    fputs("<tr><th>command</th><td><code>", file);
    for (char *const *argument = arguments; *argument; argument++) {
        if (argument != arguments)
            fputc(' ', file);
        markup_write(file, *argument);
    }
    fputs("</code></td></tr>\n", file);
}

static void write_when(FILE *file, int64_t wall_ns) {
    char text[64];
    struct tm when;
    const time_t second = (time_t)(wall_ns / INT64_C(1000000000));
    if (localtime_r(&second, &when) && strftime(text, sizeof(text), "%F %T %z", &when))
        write_fact(file, "begun", text);
}

static void write_facts(FILE *file, const struct run_report *report) {
    const struct run_machine *machine = &report->machine;
    char text[512];
    fputs("<table>\n", file);
    write_when(file, report->wall_ns);
    write_command(file, report->arguments);
    write_fact(file, "shmframe", shmframe_version());
    write_fact(file, "machine", machine->host);
    snprintf(text, sizeof(text), "%s, %s", machine->kernel, machine->architecture);
    write_fact(file, "kernel", text);
    snprintf(text, sizeof(text), "%d%s%s", machine->processors, *machine->processor ? " x " : "",
             machine->processor);
    write_fact(file, "processors", text);
    write_fact(file, "governor",
               *machine->governor ? machine->governor : "not told by this machine");
    write_fact(file, "clock", machine->clock_source);
    snprintf(text, sizeof(text), "%.2f at the beginning, %.2f at the end (average of a minute)",
             machine->load[0], machine->load[1]);
    write_fact(file, "load", text);
    fputs("</table>\n", file);
}

/* ---- one stream ---- */

static void write_hops(FILE *file, const struct run *run) {
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
    char text[HOPS_TIME_BYTES];
    fputs("<table>\n<tr><th>hop</th><th class=\"number\">count</th><th class=\"number\">p50</th>"
          "<th class=\"number\">p90</th><th class=\"number\">p99</th>"
          "<th class=\"number\">p99.9</th><th class=\"number\">max</th><th>from, to</th></tr>\n",
          file);
    for (enum run_hop hop = 0; hop < RUN_HOPS; hop++) {
        const struct shmframe_histogram *histogram = &run->hop[hop];
        if (!histogram->count)
            continue;
        fprintf(file, "<tr><td>%s</td><td class=\"number\">%" PRIu64 "</td>", run_hop_name(hop),
                histogram->count);
        for (unsigned i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
            hops_format_time(shmframe_histogram_quantile_ns(histogram, quantiles[i]), text);
            fprintf(file, "<td class=\"number\">%s</td>", text);
        }
        hops_format_time(histogram->max_ns, text);
        fprintf(file, "<td class=\"number\">%s</td><td>%s</td></tr>\n", text, run_hop_meaning(hop));
    }
    fputs("</table>\n", file);
}

static void write_count(FILE *file, const char *name, uint64_t count, const char *meaning) {
    fprintf(file, "<tr><td>%s</td><td class=\"number\">%" PRIu64 "</td><td>%s</td></tr>\n", name,
            count, meaning);
}

static void write_some(FILE *file, const char *name, uint64_t count, const char *meaning) {
    if (count)
        write_count(file, name, count, meaning);
}

static void write_counts(FILE *file, const struct run *run) {
    const struct shmframe_reader_counters *counters = &run->counters;
    fputs("<table>\n<tr><th>frames</th><th class=\"number\">count</th><th></th></tr>\n", file);
    write_count(file, "delivered", counters->delivered, "taken by the reader");
    write_count(file, "lost", counters->lost_late + counters->lost_restart,
                "the reader was to get them and did not");
    write_some(file, "&nbsp;woken late", counters->late_woken,
               "the machine ran the reader too late after it was rung");
    write_some(file, "&nbsp;held", counters->late_held, "the reader held its frames for too long");
    write_some(file, "&nbsp;away", counters->late_away, "the reader was busy with something else");
    write_some(file, "&nbsp;restart", counters->lost_restart,
               "published while the reader was not yet linked to a new writer");
    write_count(file, "skipped", counters->skipped,
                "passed over because the reader takes the newest: its policy, not a loss");
    write_some(file, "dropped", counters->device_dropped,
               "by the device or source, before they were frames");
    write_some(file, "stale", counters->stale, "overwritten while they were read");
    write_some(file, "restarts", counters->restarts, "of the writer");
    write_some(file, "formats", counters->formats, "changes of format");
    if (run->has_marks) {
        const struct run_marks *marks = &run->marks;
        write_count(file, "marks read", marks->read, "pictures in which a mark was found");
        write_count(file, "marks missing", marks->missing, "pictures in which none was found");
        write_count(file, "marks lost", marks->lost,
                    "numbers passed over: not shown, or not captured");
        write_count(file, "repeated", marks->repeated, "the same picture again");
        write_count(file, "torn", marks->torn, "parts of two pictures in one");
        write_count(file, "out of order", marks->out_of_order, "older than one seen before");
        write_some(file, "other clock", marks->other_clock,
                   "marks of another machine: their age is not known");
    }
    fputs("</table>\n", file);
}

/* What no percentile shows: one of these may be a whole minute. */
static void write_outage(FILE *file, const struct run *run) {
    char text[HOPS_TIME_BYTES];
    if (run->frames_seen == 0)
        return;
    hops_format_time(run->outage_ns, text);
    fprintf(file, "<p>Longest time without a frame: %s, from %.2f s after the beginning on.</p>\n",
            text, (double)(run->outage_at_ns - run->start_ns) / 1e9);
}

/* What of the frames stands in plots and frames.csv. */
static void write_kept(FILE *file, const struct run *run) {
    if (run->stride > 1 || run->notable_stride > 1) {
        fprintf(file,
                "<p class=\"note\">Of %" PRIu64 " frames, %zu are in the timeline and in "
                "frames.csv: one of %" PRIu32 " to which nothing happened",
                run->frames_seen, run->frames, run->stride);
        if (run->notable_stride > 1)
            fprintf(file, ", and one of %" PRIu32 " of the others", run->notable_stride);
        else
            fputs(", and all the others", file);
        fputs(". Tables, histograms and percentiles are of all frames.</p>\n", file);
    }
    if (run->frames_missed)
        fprintf(file,
                "<p class=\"note\">%" PRIu64 " frames came and went faster than they could be "
                "looked at one by one: they are in the tables, histograms and percentiles, and not "
                "in the plots over time, in frames.csv and in the blocks of run.json.</p>\n",
                run->frames_missed);
    if (run->losses < run->losses_seen)
        fprintf(file,
                "<p class=\"note\">Of %" PRIu64 " gaps, the first %zu are in the timeline; the "
                "counts are of all.</p>\n",
                run->losses_seen, run->losses);
}

static int write_figure(FILE *file, const struct run *run,
                        int (*write)(const struct run *run, FILE *file), const char *caption) {
    fputs("<figure>\n", file);
    const int result = write(run, file);
    fprintf(file, "<figcaption>%s</figcaption>\n</figure>\n", caption);
    return result;
}

static int write_histograms(FILE *file, const struct run *run) {
    int result = 0;
    fputs("<h3>How many took how long</h3>\n", file);
    for (enum run_hop hop = 0; hop < RUN_HOPS && result == 0; hop++) {
        if (!run->hop[hop].count)
            continue;
        fputs("<figure>\n", file);
        result = run_plots_write_histogram(run, hop, file);
        fputs("</figure>\n", file);
    }
    return result;
}

static int write_plots(FILE *file, const struct run *run) {
    int result = write_figure(
        file, run, run_plots_write_percentiles,
        "Each step to the right is ten times as rare: at 99.9 % one frame of a thousand took "
        "longer. A line that stays flat is a hop that can be relied on.");
    if (result == 0 && run->frames)
        result = write_figure(
            file, run, run_plots_write_timeline,
            "Each dot is a frame, or the extremes of many that share a pixel. The lanes above tell "
            "when frames were lost, and why; a frame that is missing has no dot.");
    if (result == 0 && run->blocks.count > 1)
        result = write_figure(
            file, run, run_plots_write_blocks,
            "Whether the figures of the whole are those of its parts: a drift or a step here is "
            "what an average hides.");
    if (result == 0 && run->skews)
        result = write_figure(file, run, run_plots_write_skews,
                              "Above 0 the picture came later than its sound, below 0 earlier.");
    if (result == 0)
        result = write_histograms(file, run);
    return result;
}

static int write_run(FILE *file, const struct run *run) {
    fputs("<h2>", file);
    markup_write(file, run->stream);
    fputs("</h2>\n<p>", file);
    markup_write(file, run->format);
    fprintf(file, "%s%.1f s</p>\n", *run->format ? ", " : "",
            (double)(run->end_ns - run->start_ns) / 1e9);
    write_counts(file, run);
    if (!run->counters.delivered) {
        fputs("<p>No frame came.</p>\n", file);
        return 0;
    }
    write_outage(file, run);
    write_hops(file, run);
    write_kept(file, run);
    return write_plots(file, run);
}

/* ---- the whole ---- */

static const char reading[] =
    "<h2>How to read this</h2>\n"
    "<p>All times are differences of stamps of CLOCK_MONOTONIC, taken by the programs as each "
    "frame "
    "passes through them. A percentile is never too low, and too high by 1/32 of itself at most; "
    "the maximum is exact where the reader was the measuring program's own.</p>\n"
    "<p>A frame that was lost or skipped has no time: <b>read the counts beside the "
    "percentiles</b>. A program that stalls shows as one long time and many frames missing, and "
    "the percentiles of the others may look well.</p>\n"
    "<p>What is not in these times: what lies before the device's stamp (exposure, the device's "
    "own "
    "queue), and what lies after the last stamp (compositor, panel, loudspeaker, air). The age of "
    "a "
    "marked picture is up to the pixel that was captured, not to the light of a panel.</p>\n"
    "<p>Figures are this machine's as much as the program's: compare runs of the same machine, "
    "with "
    "<code>shmframe report A/run.json B/run.json</code>, which tells a difference from chance. "
    "Beside this page lie frames.csv, a line for each frame, and run.json.</p>\n";

int run_page_write(const struct run_report *report, FILE *file) {
    const char *title = report->title ? report->title : "Latency";
    int result = 0;
    fputs(head, file);
    fputs("<title>", file);
    markup_write(file, title);
    for (uint32_t i = 0; i < report->runs; i++) {
        fputs(i ? ", " : " of ", file);
        markup_write(file, report->run[i]->stream);
    }
    fputs("</title>\n</head>\n<body>\n<h1>", file);
    markup_write(file, title);
    fputs("</h1>\n", file);
    write_facts(file, report);
    for (uint32_t i = 0; i < report->runs && result == 0; i++)
        result = write_run(file, report->run[i]);
    fputs(reading, file);
    fputs("</body>\n</html>\n", file);
    return result;
}
