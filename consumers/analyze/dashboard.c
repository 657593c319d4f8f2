#include "dashboard.h"

#include "digest.h"
#include "selection.h"
#include "terminal.h"

#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENTS_KEPT = 8,
    EVENT_BYTES = SHMFRAME_NAME_BYTES + DIGEST_BYTES,
    CHANNELS_SHOWN = 16,
    LABEL = 13,
    NUMBER = 24,
    BAR_MIN = 10
};

/* A stream, as far as is known. */
struct panel {
    char stream[SHMFRAME_NAME_BYTES];
    char format[128];
    json_t *interval;              /* the newest; NULL: none yet */
    double peak_max_dbtp;          /* since it was opened, or reset */
    uint64_t lost, dropped, clips; /* likewise */
};

static struct {
    bool is_open;
    struct panel panel[SELECTION_MAX];
    int panels;
    char event[EVENTS_KEPT][EVENT_BYTES];
    unsigned events;
    int row; /* the next one to be drawn */
} board;

int dashboard_open(void) {
    const int code = terminal_open();
    board.is_open = code == 0;
    return code;
}

void dashboard_close(void) {
    if (!board.is_open)
        return;
    terminal_close();
    board.is_open = false;
    for (int i = 0; i < board.panels; i++)
        json_decref(board.panel[i].interval);
    board.panels = 0;
}

/* What is told. */

static struct panel *find_panel(const char *stream) {
    for (int i = 0; i < board.panels; i++)
        if (strcmp(board.panel[i].stream, stream) == 0)
            return &board.panel[i];
    if (board.panels == SELECTION_MAX)
        return NULL;
    struct panel *panel = &board.panel[board.panels++];
    *panel = (struct panel){.peak_max_dbtp = -HUGE_VAL};
    snprintf(panel->stream, sizeof(panel->stream), "%s", stream);
    return panel;
}

static double number(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : -HUGE_VAL;
}

static uint64_t count(const json_t *object, const char *name) {
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void note_event(struct panel *panel, const json_t *object) {
    const char *format = json_string_value(json_object_get(object, "format"));
    char text[DIGEST_BYTES];
    if (format)
        snprintf(panel->format, sizeof(panel->format), "%s", format);
    digest_describe_event(object, text);
    snprintf(board.event[board.events++ % EVENTS_KEPT], EVENT_BYTES, "%s %s", panel->stream, text);
}

void dashboard_tell(const json_t *object) {
    struct panel *panel = find_panel(json_string_value(json_object_get(object, "stream")));
    if (!panel)
        return;
    if (!json_object_get(object, "span")) {
        note_event(panel, object);
        return;
    }
    json_decref(panel->interval);
    panel->interval = json_incref((json_t *)object);
    panel->peak_max_dbtp = fmax(panel->peak_max_dbtp, number(object, "true_peak_dbtp"));
    panel->lost += count(object, "lost_frames");
    panel->dropped += count(object, "device_dropped_frames");
    panel->clips += count(object, "clips");
}

/* Drawing. */

/* Moves to the next row. False: there is none. */
static bool begin_row(void) {
    if (board.row >= LINES - 1) /* the last one is for messages */
        return false;
    move(board.row++, 0);
    terminal_set_color(TERMINAL_PLAIN, false);
    return true;
}

/* A bar of `width` cells, filled as far as `value` is between `low` and `high`, with a mark.
 * Colours change where `warn` and `alarm` are. */
struct bar {
    double low, high, value, mark; /* mark: -HUGE_VAL is none */
    double warn, alarm;
};

static int find_cell(const struct bar *bar, double value, int width) {
    const double share = (value - bar->low) / (bar->high - bar->low);
    return share <= 0 || isnan(share) ? 0 : share >= 1 ? width : (int)lround(share * width);
}

static void draw_bar(const struct bar *bar) {
    const int width = COLS - getcurx(stdscr) - 1;
    if (width < BAR_MIN)
        return;
    const int filled = find_cell(bar, bar->value, width);
    const int mark = bar->mark > bar->low ? find_cell(bar, bar->mark, width - 1) : -1;
    for (int i = 0; i < width; i++) {
        const double value = bar->low + (bar->high - bar->low) * (i + 0.5) / width;
        terminal_set_color(value >= bar->alarm  ? TERMINAL_RED
                           : value >= bar->warn ? TERMINAL_YELLOW
                                                : TERMINAL_GREEN,
                           i == mark);
        if (i == mark)
            addstr(terminal_is_utf8() ? "┃" : "|");
        else if (i < filled)
            addstr(terminal_is_utf8() ? "█" : "#");
        else
            addstr(terminal_is_utf8() ? "·" : ".");
    }
}

static void draw_label(const char *label, double value, const char *unit) {
    char text[64];
    terminal_put(" %-*.*s", LABEL, LABEL, label);
    if (isfinite(value))
        snprintf(text, sizeof(text), "%7.1f %s", value, unit);
    else
        snprintf(text, sizeof(text), "%7s %s", "-", unit);
    terminal_set_color(TERMINAL_PLAIN, true);
    terminal_put("%-*.*s", NUMBER, NUMBER, text);
}

static void draw_loudness(const json_t *interval, const char *label, const char *name) {
    if (!begin_row())
        return;
    const double value = number(interval, name);
    const struct bar bar = {-59, -5, value, -HUGE_VAL, -22, -14};
    draw_label(label, value, "LUFS");
    draw_bar(&bar);
}

static void draw_channels(const json_t *channels) {
    size_t i;
    json_t *channel;
    json_array_foreach((json_t *)channels, i, channel) {
        if (i >= CHANNELS_SHOWN || !begin_row())
            return;
        char label[32], unit[32];
        const double rms = number(channel, "rms_dbfs"), peak = number(channel, "sample_peak_dbfs");
        snprintf(label, sizeof(label), "%s", json_string_value(json_object_get(channel, "name")));
        snprintf(unit, sizeof(unit), "dBFS %s%.1f", isfinite(peak) ? "peak " : "",
                 isfinite(peak) ? peak : 0.0);
        const struct bar bar = {-60, 0, rms, peak, -18, -1};
        draw_label(label, rms, isfinite(peak) ? unit : "dBFS");
        draw_bar(&bar);
    }
}

static void draw_correlation(const json_t *interval) {
    const json_t *value = json_object_get(interval, "correlation");
    if (!json_is_number(value) || !begin_row())
        return;
    const double correlation = json_number_value(value);
    char text[NUMBER + 1];
    terminal_put(" %-*s", LABEL, "correlation");
    terminal_set_color(correlation < 0 ? TERMINAL_RED : TERMINAL_PLAIN, true);
    snprintf(text, sizeof(text), "%+7.2f", correlation);
    terminal_put("%-*s", NUMBER, text);
    const struct bar bar = {-1, 1, -HUGE_VAL, correlation, HUGE_VAL, HUGE_VAL};
    draw_bar(&bar);
}

static void draw_sound(const struct panel *panel) {
    draw_loudness(panel->interval, "momentary", "momentary_lufs");
    draw_loudness(panel->interval, "short-term", "short_term_lufs");
    draw_loudness(panel->interval, "integrated", "integrated_lufs");
    if (begin_row()) {
        const double range = number(panel->interval, "loudness_range_lu");
        draw_label("range", range, "LU");
        terminal_put("true peak %.1f dBTP, most %.1f; %" PRIu64 " clips",
                     number(panel->interval, "true_peak_dbtp"), panel->peak_max_dbtp, panel->clips);
        if (json_is_true(json_object_get(panel->interval, "is_silent"))) {
            terminal_set_color(TERMINAL_YELLOW, true);
            terminal_put("  SILENT");
        }
    }
    draw_channels(json_object_get(panel->interval, "channels"));
    draw_correlation(panel->interval);
}

static void draw_range(const json_t *interval, const char *label, const char *prefix) {
    char name[64];
    snprintf(name, sizeof(name), "%s_mean", prefix);
    if (!json_object_get(interval, name) || !begin_row())
        return;
    const double mean = number(interval, name);
    snprintf(name, sizeof(name), "%s_min", prefix);
    const double low = number(interval, name);
    snprintf(name, sizeof(name), "%s_max", prefix);
    const double high = number(interval, name);
    char unit[32];
    snprintf(unit, sizeof(unit), "%.0f to %.0f", low, high);
    draw_label(label, mean, unit);
    const double full = high < 256 ? 255 : exp2(ceil(log2(high + 1))) - 1;
    const struct bar bar = {0, full, mean, high, HUGE_VAL, HUGE_VAL};
    draw_bar(&bar);
}

static void draw_picture(const struct panel *panel) {
    draw_range(panel->interval, "luma", "luma");
    draw_range(panel->interval, "Cb", "cb");
    draw_range(panel->interval, "Cr", "cr");
    char text[DIGEST_BYTES];
    digest_describe_interval(panel->interval, text);
    if (begin_row())
        terminal_put(" %s", text);
}

static void draw_panel(const struct panel *panel) {
    if (!begin_row())
        return;
    terminal_set_color(TERMINAL_BLUE, true);
    terminal_put("%s", panel->stream);
    terminal_set_color(TERMINAL_PLAIN, false);
    terminal_put("  %s", panel->format);
    if (panel->interval)
        terminal_put("  %.1f s",
                     number(panel->interval, "start_s") + number(panel->interval, "duration_s"));
    if (panel->lost || panel->dropped) {
        terminal_set_color(TERMINAL_RED, true);
        terminal_put("  %" PRIu64 " lost, %" PRIu64 " dropped by the device", panel->lost,
                     panel->dropped);
    }
    if (!panel->interval)
        return;
    if (strcmp(json_string_value(json_object_get(panel->interval, "kind")), "audio") == 0)
        draw_sound(panel);
    else
        draw_picture(panel);
    board.row++;
}

static void draw_events(void) {
    for (unsigned i = 0; i < EVENTS_KEPT && i < board.events; i++) {
        if (!begin_row())
            return;
        attrset(A_DIM);
        terminal_put(" %s", board.event[(board.events - 1 - i) % EVENTS_KEPT]);
    }
}

/* The last line of what was said, or the keys. */
static void draw_last_line(void) {
    const char *line;
    const int length = terminal_last_message(&line);
    move(LINES - 1, 0);
    if (length) {
        terminal_set_color(TERMINAL_YELLOW, true);
        terminal_put("%.*s", length, line);
        return;
    }
    attrset(A_DIM);
    terminal_put("q quit   r reset");
}

void dashboard_draw(void) {
    if (!board.is_open)
        return;
    erase();
    board.row = 0;
    for (int i = 0; i < board.panels; i++)
        draw_panel(&board.panel[i]);
    draw_events();
    draw_last_line();
    refresh();
}

void dashboard_forget(void) {
    for (int i = 0; i < board.panels; i++) {
        struct panel *panel = &board.panel[i];
        panel->peak_max_dbtp = -HUGE_VAL;
        panel->lost = panel->dropped = panel->clips = 0;
    }
}

enum dashboard_key dashboard_next_key(void) {
    int key;
    while (board.is_open && (key = getch()) != ERR) {
        switch (key) {
        case 'q':
        case 'Q':
            return DASHBOARD_QUIT;
        case 'r':
        case 'R':
            return DASHBOARD_RESET;
        case KEY_RESIZE: /* drawn with the next results */
        default:
            break;
        }
    }
    return DASHBOARD_NO_KEY;
}
