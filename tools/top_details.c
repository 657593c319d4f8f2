/* The page of top that tells all about one row. */
#include "consumer.h"
#include "terminal.h"
#include "top_view.h"

#include <curses.h>
#include <inttypes.h>
#include <string.h>

static int next_line;

/* False: the screen is full. */
static bool begin_line(void) {
    if (next_line >= LINES - 1)
        return false;
    move(next_line++, 0);
    terminal_set_color(TERMINAL_PLAIN, false);
    return true;
}

static void draw_title(const char *title) {
    next_line++;
    if (!begin_line())
        return;
    terminal_set_color(TERMINAL_BLUE, true);
    terminal_put(" %s", title);
}

/* ---- histogram ---- */

enum { BARS = 10 };

/* Counts by powers of two, of which the first and the last bar take what lies beyond. */
static void draw_histogram(const struct shmframe_histogram *histogram) {
    uint64_t bar[64] = {0}, most = 0;
    int low = 64, high = 0;
    for (unsigned i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++) {
        if (!histogram->bucket[i])
            continue;
        /* stats.h: 32 steps in each power of two, exact below 32. */
        const int power = i < 32 ? 4 : (int)(i / 32) + 4;
        bar[power] += histogram->bucket[i];
        most = bar[power] > most ? bar[power] : most;
        low = power < low ? power : low;
        high = power > high ? power : high;
    }
    if (high - low >= BARS) {
        const int from = high - BARS + 1;
        for (int power = low; power < from; power++)
            bar[from] += bar[power];
        most = bar[from] > most ? bar[from] : most;
        low = from;
    }
    for (int power = low; power <= high && begin_line(); power++) {
        char text[HOPS_TIME_BYTES];
        hops_format_time((INT64_C(2) << power) - 1, text);
        terminal_put("   to %8s %8" PRIu64 " ", text, bar[power]);
        const int width = COLS - 28;
        const int cells = width > 0 ? (int)((uint64_t)width * bar[power] / most) : 0;
        for (int i = 0; i < cells; i++)
            terminal_put("%s", terminal_is_utf8() ? "█" : "#");
    }
    if (low > high && begin_line())
        terminal_put("   nothing yet");
}

/* ---- a reader ---- */

static void draw_hops(const struct gather_reader *reader) {
    draw_title("HOP           FRAMES       p50       p99       max   since the update before");
    for (unsigned hop = 0; hop < SHMFRAME_HOPS && begin_line(); hop++) {
        const struct shmframe_histogram *all = &reader->all->hop[hop],
                                        *span = &reader->span->hop[hop];
        char p50[HOPS_TIME_BYTES], p99[HOPS_TIME_BYTES], max[HOPS_TIME_BYTES],
            span_p50[HOPS_TIME_BYTES], span_p99[HOPS_TIME_BYTES];
        hops_format_time(shmframe_histogram_quantile_ns(all, 0.5), p50);
        hops_format_time(shmframe_histogram_quantile_ns(all, 0.99), p99);
        hops_format_time(all->max_ns, max);
        hops_format_time(shmframe_histogram_quantile_ns(span, 0.5), span_p50);
        hops_format_time(shmframe_histogram_quantile_ns(span, 0.99), span_p99);
        terminal_put(" %-8s %11" PRIu64 " %9s %9s %9s   %" PRIu64 ": p50 %s, p99 %s",
                     shmframe_hop_name(hop), all->count, p50, p99, max, span->count, span_p50,
                     span_p99);
    }
}

static void draw_losses(const struct gather_reader *reader) {
    const struct shmframe_reader_counters *counters = &reader->all->counters;
    draw_title("LOST");
    if (begin_line())
        terminal_put(" delivered %" PRIu64 "; lost %" PRIu64 "; skipped by policy %" PRIu64,
                     counters->delivered, gather_count_lost(counters), counters->skipped);
    if (gather_count_lost(counters) && begin_line())
        terminal_put(
            " woken late %" PRIu64 ", held %" PRIu64 ", away %" PRIu64 ", at a restart %" PRIu64,
            counters->late_woken, counters->late_held, counters->late_away, counters->lost_restart);
    enum { SHOWN = 5 };
    struct shmframe_overrun overrun[SHOWN];
    const int count = shmframe_record_overruns(reader->record, overrun, SHOWN);
    for (int i = count - 1; i >= 0 && begin_line(); i--) {
        const struct shmframe_overrun *o = &overrun[i];
        char ago[HOPS_TIME_BYTES], woken[HOPS_TIME_BYTES], held[HOPS_TIME_BYTES],
            away[HOPS_TIME_BYTES];
        hops_format_time(shmframe_now_ns() - o->time_ns, ago);
        hops_format_time(o->woken_ns, woken);
        hops_format_time(o->held_ns, held);
        hops_format_time(o->away_ns, away);
        terminal_put(" %s ago: %" PRIu64 " from %" PRIu64 " on, %s (woke up %s, held %s, away %s)",
                     ago, o->count, o->first, shmframe_cause_name(o->cause), woken, held, away);
    }
}

static void draw_process(const struct gather_process *process) {
    if (!process || !process->is_known || !begin_line())
        return;
    terminal_put(" process %" PRId32 ": state %c, %" PRIu32
                 " threads, cpu %.1f %%, %.1f MiB resident, %.1f MiB its own",
                 process->pid, process->state, process->threads,
                 process->cpu_percent < 0 ? 0 : process->cpu_percent,
                 (double)process->resident_bytes / 1048576,
                 (double)process->private_bytes / 1048576);
}

static const char *tell_why_unmeasured(enum gather_unmeasured why) {
    switch (why) {
    case GATHER_MEASURED:
    case GATHER_UNREADABLE:
        break;
    case GATHER_REFUSED:
        return "what it measures is not shown: it is another user's";
    case GATHER_TOO_MANY:
        return "what it measures is not shown: there are more readers than are looked at in detail";
    }
    return "it has no record that can be read";
}

static void draw_reader(const struct top_view *view, const struct top_row *row) {
    const struct gather_reader *reader = row->reader;
    const struct shmframe_reader_info *info = &reader->info;
    if (begin_line())
        terminal_put(" reader %" PRIu32 " of %s: %s; %s, depth %" PRIu32 ", %" PRIu32 " lease%s%s",
                     info->number, row->stream->info.name, info->name,
                     consumer_policy_name(info->policy), info->depth, info->leases,
                     info->leases == 1 ? "" : "s", info->is_evicted ? "; EVICTED" : "");
    if (begin_line())
        terminal_put(" user %" PRIu32 "; generation %" PRIu32, info->uid, info->generation);
    draw_process(reader->process);
    if (!reader->record) {
        if (begin_line())
            terminal_put(" %s", tell_why_unmeasured(reader->unmeasured));
        return;
    }
    if (reader->state.held && begin_line()) {
        char held[HOPS_TIME_BYTES];
        hops_format_time(view->gather->time_ns - reader->state.held_since_ns, held);
        terminal_put(" holds %" PRIu32 " of its leases, the oldest for %s", reader->state.held,
                     held);
    }
    draw_hops(reader);
    draw_losses(reader);
    char title[64];
    snprintf(title, sizeof(title), "%s since it was opened (g: the next hop)",
             shmframe_hop_name(view->hop));
    draw_title(title);
    draw_histogram(&reader->all->hop[view->hop]);
}

/* ---- others ---- */

static void draw_stream(const struct top_row *row) {
    const struct gather_stream *stream = row->stream;
    const struct shmframe_stream_info *info = &stream->info;
    char rate[GATHER_RATE_BYTES], nominal[GATHER_RATE_BYTES];
    gather_format_rate(stream->rate_hz, rate);
    gather_format_rate(stream->nominal_hz, nominal);
    if (begin_line())
        terminal_put(" stream %s%s%s: %s; %s, generation %" PRIu32, info->name,
                     *info->group ? " of group " : "", info->group,
                     *info->format ? info->format : "no format yet", gather_state_name(info->state),
                     info->generation);
    if (begin_line())
        terminal_put(" %" PRIu32 " slots, %.1f MiB; newest frame %" PRIu64 "; %" PRIu32 " readers",
                     info->slots, (double)info->memory_bytes / 1048576, info->head, info->readers);
    if (*info->writer && begin_line())
        terminal_put(" writer %s (pid %" PRId32 ", user %" PRIu32
                     "): %s frames a second, %s by its "
                     "format",
                     info->writer, info->writer_pid, info->writer_uid, rate,
                     stream->nominal_hz > 0 ? nominal : "no rate");
    draw_process(stream->process);
    draw_title("WRITER");
    if (begin_line())
        terminal_put(" published %" PRIu64 ", abandoned %" PRIu64 "; missing: late %" PRIu64
                     ", dropped by the device %" PRIu64 "; loans refused %" PRIu64
                     "; waited for readers %" PRIu64 " times",
                     info->published, info->abandoned, info->late, info->device_dropped,
                     info->refused, info->waits);
    if (info->blocked_ns && begin_line()) {
        char since[HOPS_TIME_BYTES];
        hops_format_time(shmframe_now_ns() - info->blocked_ns, since);
        terminal_set_color(TERMINAL_RED, true);
        terminal_put(" kept waiting for %s by %s", since,
                     stream->blocker ? stream->blocker->info.name : "its own loans and pins");
    }
}

static void draw_node(const struct top_row *row) {
    const struct shmframe_node_info *info = &row->node->info;
    if (begin_line())
        terminal_put(" %s %s: %s; started %" PRIu32 " times, %" PRIu32 " of these again by itself",
                     info->kind, info->name, info->state, info->starts, info->restarts);
    if (*info->reason && begin_line())
        terminal_put(" %s", info->reason);
    draw_process(row->node->process);
}

void top_details_draw(const struct top_view *view, const struct top_row *row, int line) {
    next_line = line;
    switch (row->kind) {
    case TOP_NOTHING:
        break;
    case TOP_STREAM:
    case TOP_WRITER:
        draw_stream(row);
        break;
    case TOP_READER:
        draw_reader(view, row);
        break;
    case TOP_NODES:
        if (begin_line())
            terminal_put(" %" PRIu32 " nodes: select one of them", view->gather->nodes);
        break;
    case TOP_NODE:
        draw_node(row);
        break;
    }
}
