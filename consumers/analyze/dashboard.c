#include "dashboard.h"

#include "digest.h"
#include "progress.h"
#include "selection.h"

#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    EVENTS_KEPT = 8,
    EVENT_BYTES = SHMFRAME_NAME_BYTES + DIGEST_BYTES,
    CHANNELS_SHOWN = 16,
    LABEL = 13,
    NUMBER = 24,
    BAR_MIN = 10
};

enum color { NO_COLOR_PAIR = 0, GREEN, YELLOW, RED, BLUE };

/* A stream, as far as is known. */
struct panel {
    char stream[SHMFRAME_NAME_BYTES];
    char format[128];
    json_t *interval;              /* the newest; NULL: none yet */
    double peak_max_dbtp;          /* since it was opened, or reset */
    uint64_t lost, dropped, clips; /* likewise */
};

static struct {
    SCREEN *screen; /* NULL: closed */
    bool is_utf8, has_color, is_registered;
    struct panel panel[SELECTION_MAX];
    int panels;
    char event[EVENTS_KEPT][EVENT_BYTES];
    unsigned events;
    FILE *messages; /* what program_warn() said, in memory */
    char *message_text;
    size_t message_bytes;
    int row; /* the next one to be drawn */
} board;

bool dashboard_is_possible(void) {
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && terminal && *terminal &&
           strcmp(terminal, "dumb") != 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void choose_colors(void) {
    const char *refused = getenv("NO_COLOR");
    board.has_color = (!refused || !*refused) && has_colors();
    if (!board.has_color)
        return;
    start_color();
    use_default_colors();
    init_pair(GREEN, COLOR_GREEN, -1);
    init_pair(YELLOW, COLOR_YELLOW, -1);
    init_pair(RED, COLOR_RED, -1);
    init_pair(BLUE, COLOR_CYAN, -1);
}

/* What ends the program without leaving a chance leaves the terminal as it was all the same: a
 * broken terminal would be worse than what curses might do in a handler. */
static void restore(int signal_number) {
    endwin();
    raise(signal_number); /* by default now */
}

static void restore_on_signals(void) {
    static const int numbers[] = {SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    const struct sigaction action = {.sa_handler = restore, .sa_flags = SA_RESETHAND | SA_NODEFER};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

int dashboard_open(void) {
    setlocale(LC_CTYPE, "");
    board.is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    board.messages = open_memstream(&board.message_text, &board.message_bytes);
    if (!board.messages)
        return -ENOMEM;
    board.screen = newterm(NULL, stdout, stdin);
    if (!board.screen) {
        fclose(board.messages);
        free(board.message_text);
        return -ENOTSUP;
    }
    set_term(board.screen);
    cbreak();
    noecho();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    curs_set(0);
    choose_colors();
    progress_set_file(board.messages);
    if (!board.is_registered)
        atexit(dashboard_close); /* program_fail() leaves no other chance */
    board.is_registered = true;
    restore_on_signals();
    return 0;
}

void dashboard_close(void) {
    if (!board.screen)
        return;
    endwin();
    delscreen(board.screen);
    board.screen = NULL;
    progress_set_file(NULL);
    fclose(board.messages);
    fputs(board.message_text, stderr);
    free(board.message_text);
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

static void set_color(enum color color, bool is_bold) {
    attrset((board.has_color ? (int)COLOR_PAIR(color) : 0) | (is_bold ? (int)A_BOLD : 0));
}

/* Moves to the next row. False: there is none. */
static bool begin_row(void) {
    if (board.row >= LINES - 1) /* the last one is for messages */
        return false;
    move(board.row++, 0);
    set_color(NO_COLOR_PAIR, false);
    return true;
}

/* What does not fit into the row is left out. */
static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...) {
    char text[DIGEST_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const int room = COLS - getcurx(stdscr);
    if (room > 1) /* the last cell of a row would begin the next one */
        addnstr(text, room - 1);
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
        set_color(value >= bar->alarm ? RED : value >= bar->warn ? YELLOW : GREEN, i == mark);
        if (i == mark)
            addstr(board.is_utf8 ? "┃" : "|");
        else if (i < filled)
            addstr(board.is_utf8 ? "█" : "#");
        else
            addstr(board.is_utf8 ? "·" : ".");
    }
}

static void draw_label(const char *label, double value, const char *unit) {
    char text[64];
    put(" %-*.*s", LABEL, LABEL, label);
    if (isfinite(value))
        snprintf(text, sizeof(text), "%7.1f %s", value, unit);
    else
        snprintf(text, sizeof(text), "%7s %s", "-", unit);
    set_color(NO_COLOR_PAIR, true);
    put("%-*.*s", NUMBER, NUMBER, text);
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
    put(" %-*s", LABEL, "correlation");
    set_color(correlation < 0 ? RED : NO_COLOR_PAIR, true);
    snprintf(text, sizeof(text), "%+7.2f", correlation);
    put("%-*s", NUMBER, text);
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
        put("true peak %.1f dBTP, most %.1f; %" PRIu64 " clips",
            number(panel->interval, "true_peak_dbtp"), panel->peak_max_dbtp, panel->clips);
        if (json_is_true(json_object_get(panel->interval, "is_silent"))) {
            set_color(YELLOW, true);
            put("  SILENT");
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
        put(" %s", text);
}

static void draw_panel(const struct panel *panel) {
    if (!begin_row())
        return;
    set_color(BLUE, true);
    put("%s", panel->stream);
    set_color(NO_COLOR_PAIR, false);
    put("  %s", panel->format);
    if (panel->interval)
        put("  %.1f s", number(panel->interval, "start_s") + number(panel->interval, "duration_s"));
    if (panel->lost || panel->dropped) {
        set_color(RED, true);
        put("  %" PRIu64 " lost, %" PRIu64 " dropped by the device", panel->lost, panel->dropped);
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
        put(" %s", board.event[(board.events - 1 - i) % EVENTS_KEPT]);
    }
}

/* The last line of what was said, or the keys. */
static void draw_last_line(void) {
    fflush(board.messages);
    const char *line = board.message_text;
    size_t bytes = board.message_bytes;
    while (bytes && line[bytes - 1] == '\n')
        bytes--;
    size_t begin = bytes;
    while (begin && line[begin - 1] != '\n')
        begin--;
    move(LINES - 1, 0);
    if (bytes > begin) {
        set_color(YELLOW, true);
        put("%.*s", (int)(bytes - begin), line + begin);
        return;
    }
    attrset(A_DIM);
    put("q quit   r reset");
}

void dashboard_draw(void) {
    if (!board.screen)
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
    while (board.screen && (key = getch()) != ERR) {
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
