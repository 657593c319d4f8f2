/* shmframe top: streams, writers, readers and nodes, live. */
#include "cells.h"
#include "report.h"
#include "table.h"
#include "terminal.h"
#include "tool.h"
#include "top_view.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

enum { ESCAPE = 27, BATCH_WIDTH = 160 };

static struct {
    int64_t interval_ns;
    const char *sort, *filter, *format;
    uint32_t iterations;
    bool is_batch;
} settings = {.interval_ns = SECOND_NS, .sort = "name", .filter = "", .format = "text"};

static const struct option_spec options[] = {
    {.name = "interval",
     .letter = 'i',
     .kind = OPTION_POSITIVE_DURATION,
     .out = &settings.interval_ns,
     .argument = "TIME",
     .help = "look so often (1s)"},
    {.name = "sort",
     .letter = 's',
     .kind = OPTION_TEXT,
     .out = &settings.sort,
     .argument = "KEY",
     .help = "name, lost, age, hold, rate, cpu or memory"},
    {.name = "filter",
     .letter = 'f',
     .kind = OPTION_TEXT,
     .out = &settings.filter,
     .argument = "TEXT",
     .help = "only what has this in its name"},
    {.name = "batch",
     .letter = 'b',
     .kind = OPTION_FLAG,
     .out = &settings.is_batch,
     .help = "print a table each time, instead of drawing on the terminal"},
    {.name = "iterations",
     .letter = 'n',
     .kind = OPTION_POSITIVE_COUNT,
     .out = &settings.iterations,
     .argument = "COUNT",
     .help = "end after so many looks"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "with --batch: text, or json: one object a line"},
    {0},
};

static const struct program program = {
    .name = "shmframe top",
    .purpose = "Shows streams, writers, readers and nodes, and what they cost and lose, live.",
    .notes = "Keys: h tells them. Those who are watched do not notice it.\n"
             "\n"
             "Example: shmframe top --sort lost",
    .options = options,
};

static enum top_sort parse_sort(void) {
    for (unsigned sort = 0; sort < TOP_SORTS; sort++)
        if (strcmp(settings.sort, top_sort_name(sort)) == 0)
            return (enum top_sort)sort;
    program_fail_usage("--sort: \"%s\" should be name, lost, age, hold, rate, cpu or memory",
                       settings.sort);
}

/* ---- looking ---- */

static int64_t answer_deadline_ns(void) {
    return shmframe_deadline_ns(2 * SECOND_NS);
}

/* The picture stays as it was where there is no supervisor. */
static void look(struct top_view *view) {
    int code = gather_update(view->gather, NULL, answer_deadline_ns());
    if (code == 0)
        code = top_view_update(view);
    if (code < 0 && code != -ENOTCONN && code != -EINTR && code != -ETIMEDOUT)
        program_fail_call("what runs cannot be looked at");
    if (code != -EINTR)
        view->is_connected = code == 0;
}

/* ---- without a terminal ---- */

static void print_cell(const struct top_column *column, const char *text) {
    char cell[TOP_CELL_BYTES];
    cells_fit(text, column->width, column->is_right, cell, sizeof(cell));
    printf(" %s", cell);
}

static void print_text(const struct top_view *view) {
    struct top_column columns[TOP_COLUMNS_MAX];
    const int count = top_columns_choose(BATCH_WIDTH, columns);
    char text[256];
    top_view_describe(view, text, sizeof(text));
    printf("%s%s\n", view->is_connected ? "" : "no supervisor; how it was: ", text);
    for (int i = 0; i < count; i++)
        print_cell(&columns[i], columns[i].title);
    putchar('\n');
    for (uint32_t row = 0; row < view->rows.rows; row++) {
        for (int i = 0; i < count; i++) {
            char cell[TOP_CELL_BYTES] = "";
            columns[i].put(view->gather, &view->rows.row[row], cell);
            print_cell(&columns[i], cell);
        }
        putchar('\n');
    }
    putchar('\n');
    report_flush();
}

static json_t *make_stream(const struct top_view *view, const struct gather_stream *stream) {
    json_t *object = gather_make_stream_span_json(view->gather, stream), *readers = json_array();
    for (uint32_t i = 0; i < view->rows.rows; i++)
        if (view->rows.row[i].kind == TOP_READER && view->rows.row[i].stream == stream)
            json_array_append_new(readers,
                                  gather_make_span_json(view->gather, view->rows.row[i].reader));
    json_object_set_new(object, "reader_list", readers);
    return object;
}

static void print_json(const struct top_view *view) {
    json_t *streams = json_array(), *nodes = json_array();
    for (uint32_t i = 0; i < view->rows.rows; i++) {
        const struct top_row *row = &view->rows.row[i];
        if (row->kind == TOP_STREAM)
            json_array_append_new(streams, make_stream(view, row->stream));
        else if (row->kind == TOP_NODE)
            json_array_append_new(nodes, gather_make_node_json(view->gather, row->node));
    }
    report_print_json(json_pack(
        "{s:b, s:I, s:I, s:I, s:o, s:o}", "connected", view->is_connected, "time_ns",
        (json_int_t)view->gather->time_ns, "lost_last_minute", (json_int_t)top_view_lost(view),
        "too_many", (json_int_t)view->gather->undetailed, "streams", streams, "nodes", nodes));
}

static void wait_until(int64_t deadline_ns, int input_fd) {
    struct pollfd polled[] = {{.fd = program_stop_fd(), .events = POLLIN},
                              {.fd = input_fd, .events = POLLIN}};
    const int64_t left_ns = deadline_ns - shmframe_now_ns();
    poll(polled, 2, left_ns > 0 ? (int)(left_ns / 1000000 + 1) : 0);
}

static void run_batch(struct top_view *view, enum report_format format) {
    /* Names are in UTF-8, whatever this shell's locale is. */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        setlocale(LC_CTYPE, "");
    /* The first picture has nothing to compare with. */
    look(view);
    for (uint32_t i = 0; !settings.iterations || i < settings.iterations; i++) {
        const int64_t next_ns = shmframe_deadline_ns(settings.interval_ns);
        while (!program_is_stopping() && shmframe_now_ns() < next_ns)
            wait_until(next_ns, -1);
        if (program_is_stopping())
            return;
        look(view);
        if (format == REPORT_JSON)
            print_json(view);
        else
            print_text(view);
    }
}

/* ---- on the terminal ---- */

static void say(struct top_view *view, const char *text, ...) __attribute__((format(printf, 2, 3)));

static void say(struct top_view *view, const char *text, ...) {
    va_list values;
    va_start(values, text);
    vsnprintf(view->notice, sizeof(view->notice), text, values);
    va_end(values);
}

static struct {
    bool is_asked;
    char stream[SHMFRAME_NAME_BYTES];
    uint32_t reader;
} eviction;

static void ask_eviction(struct top_view *view) {
    const struct top_row *row = top_view_selected(view);
    if (!row || row->kind != TOP_READER) {
        say(view, "select a reader first: only those can be evicted");
        return;
    }
    eviction.is_asked = true;
    memccpy(eviction.stream, row->stream->info.name, '\0', sizeof(eviction.stream));
    eviction.reader = row->reader->info.number;
    say(view, "evict reader %u of %s, %s? It loses its place for good. (y/n)", eviction.reader,
        eviction.stream, row->reader->info.name);
}

static void answer_eviction(struct top_view *view, int key) {
    eviction.is_asked = false;
    if (key != 'y' && key != 'Y') {
        say(view, "not evicted");
        return;
    }
    const int code = shmframe_session_evict(view->gather->session, eviction.stream, eviction.reader,
                                            answer_deadline_ns());
    if (code < 0)
        say(view, "not evicted: %s", shmframe_last_error());
    else
        say(view, "reader %u of %s was evicted", eviction.reader, eviction.stream);
}

static void edit_filter(struct top_view *view, int key) {
    char *filter = view->rows.filter;
    const size_t length = strlen(filter);
    if (key == '\n' || key == '\r' || key == KEY_ENTER || key == ESCAPE)
        view->is_filtering = false;
    if (key == ESCAPE)
        filter[0] = '\0';
    else if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && length)
        filter[length - 1] = '\0';
    else if (key > ' ' && key < 127 && length + 1 < sizeof(view->rows.filter))
        memcpy(filter + length, (char[]){(char)key, '\0'}, 2);
    top_view_list(view);
}

static void change_sort(struct top_view *view, int step) {
    view->rows.sort = (enum top_sort)((view->rows.sort + TOP_SORTS + step) % TOP_SORTS);
    top_view_list(view);
}

static void change_interval(struct top_view *view, bool is_longer) {
    enum { LEAST_MS = 125, MOST_MS = 64000 };
    const int64_t interval_ns = is_longer ? view->interval_ns * 2 : view->interval_ns / 2;
    if (interval_ns >= LEAST_MS * INT64_C(1000000) && interval_ns <= MOST_MS * INT64_C(1000000))
        view->interval_ns = interval_ns;
    say(view, "an update each %.3g s", (double)view->interval_ns / 1e9);
}

/* Keys that move about. False: it is none. */
static bool take_move(struct top_view *view, int key) {
    const int64_t page = top_view_page_rows(), all = view->rows.rows;
    const int64_t rows = key == KEY_UP || key == 'k'     ? -1
                         : key == KEY_DOWN || key == 'j' ? 1
                         : key == KEY_PPAGE              ? -page
                         : key == KEY_NPAGE              ? page
                         : key == KEY_HOME               ? -all
                         : key == KEY_END                ? all
                                                         : 0;
    if (rows)
        top_view_move(view, rows);
    return rows;
}

static void turn_page(struct top_view *view, int key) {
    const bool is_back = key == ESCAPE || key == KEY_LEFT;
    const bool is_help = key == 'h' || key == '?';
    if (is_back || (is_help && view->page == TOP_PAGE_HELP))
        view->page = TOP_PAGE_TABLE;
    else
        view->page = is_help ? TOP_PAGE_HELP : TOP_PAGE_DETAILS;
}

static void take_key(struct top_view *view, int key) {
    view->notice[0] = '\0';
    if (eviction.is_asked) {
        answer_eviction(view, key);
        return;
    }
    if (view->is_filtering) {
        edit_filter(view, key);
        return;
    }
    if (take_move(view, key))
        return;
    switch (key) {
    case 'q':
    case 'Q':
        program_stop();
        break;
    case 'h':
    case '?':
    case ESCAPE:
    case KEY_LEFT:
    case KEY_RIGHT:
    case KEY_ENTER:
    case '\n':
    case '\r':
        turn_page(view, key);
        break;
    case 'g':
        view->hop = (enum shmframe_hop)((view->hop + 1) % SHMFRAME_HOPS);
        break;
    case 's':
    case 'S':
        change_sort(view, key == 's' ? 1 : -1);
        break;
    case 'r':
        view->rows.is_reversed = !view->rows.is_reversed;
        top_view_list(view);
        break;
    case 'f':
    case '/':
        view->is_filtering = true;
        break;
    case 'p':
        view->is_paused = !view->is_paused;
        break;
    case '+':
    case '-':
        change_interval(view, key == '-');
        break;
    case 'e':
        ask_eviction(view);
        break;
    default: /* resized, or nothing that means something */
        break;
    }
}

static void run_screen(struct top_view *view) {
    if (terminal_open() < 0)
        program_fail("this terminal (TERM=%s) cannot be drawn on; --batch prints instead",
                     getenv("TERM") ? getenv("TERM") : "");
    set_escdelay(50);
    uint32_t looks = 0;
    int64_t next_ns = 0;
    while (!program_is_stopping()) {
        if (shmframe_now_ns() >= next_ns) {
            next_ns = shmframe_deadline_ns(view->interval_ns);
            if (!view->is_paused)
                look(view);
            if (settings.iterations && looks++ >= settings.iterations)
                break;
        }
        top_view_draw(view);
        wait_until(next_ns, STDIN_FILENO);
        int key;
        while ((key = getch()) != ERR)
            take_key(view, key);
    }
    terminal_close();
}

int tool_top(int argc, char **argv) {
    const int operand = program_start(&program, argc, argv);
    if (operand < argc)
        program_fail_usage("\"%s\" is too much; --filter shows less", argv[operand]);
    const enum report_format format = report_format_parse(settings.format);
    static struct top_view view = {.hop = SHMFRAME_HOP_AGE, .is_connected = true};
    view.interval_ns = settings.interval_ns;
    view.rows.sort = parse_sort();
    if (strlen(settings.filter) >= sizeof(view.rows.filter))
        program_fail_usage("--filter: no name is as long");
    strcpy(view.rows.filter, settings.filter);
    const bool is_batch = settings.is_batch || format == REPORT_JSON;
    if (!is_batch && !terminal_is_possible())
        program_fail_usage("there is no terminal to draw on; --batch prints instead");

    struct shmframe_session *session = program_open_session();
    program_stop_on_signals(session);
    view.gather = gather_open(session);
    if (is_batch)
        run_batch(&view, format);
    else
        run_screen(&view);
    top_rows_finish(&view.rows);
    gather_close(view.gather);
    program_close_session(session);
    return EXIT_DONE;
}
