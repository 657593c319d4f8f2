#include "keeper_view.h"

#include "event_text.h"
#include "gather_words.h"
#include "program.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

enum { EVENTS_AT_ONCE = 64, ROWS = 24, COLUMNS = 80 };

bool keeper_view_is_possible(void) {
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) && terminal && *terminal &&
           strcmp(terminal, "dumb") != 0;
}

void keeper_view_init(struct keeper_view *view, enum report_format format, bool is_live) {
    *view = (struct keeper_view){.format = format, .is_live = is_live, .drawn_ns = -SECOND_NS};
    outlet_open(&view->out, STDOUT_FILENO, format == REPORT_TEXT);
}

void keeper_view_open(struct keeper_view *view, struct shmframe_session *session) {
    view->session = session;
    view->gather = gather_open(session);
}

void keeper_view_close(struct keeper_view *view) {
    if (view->gather)
        gather_close(view->gather);
    view->gather = NULL;
}

void keeper_view_finish(struct keeper_view *view) {
    outlet_close(&view->out);
}

/* ---- what happens ---- */

void keeper_view_clear(struct keeper_view *view) {
    /* ECMA-48: CUU, up so many lines; ED, erase to the end of the screen. */
    if (view->lines)
        outlet_print(&view->out, "\r\033[%uA\033[J", view->lines);
    view->lines = 0;
}

static void tell_as_json(struct keeper_view *view, const struct shmframe_event *event) {
    json_t *object = gather_make_event_json(event);
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(object);
    if (text)
        outlet_print(&view->out, "%s\n", text);
    free(text);
}

static void tell_event(struct keeper_view *view, const struct shmframe_event *event) {
    if (view->format == REPORT_JSON) {
        tell_as_json(view, event);
        return;
    }
    char time[EVENT_TIME_BYTES], text[EVENT_TEXT_BYTES];
    event_format_time(event, false, time);
    event_describe(event, text);
    keeper_view_clear(view);
    outlet_print(&view->out, "%s%s %s\n", view->is_line_open ? "\n" : "", time, text);
    view->is_line_open = false;
}

/* False: there was no answer. */
static bool tell_events(struct keeper_view *view) {
    struct shmframe_event events[EVENTS_AT_ONCE];
    int count;
    do {
        count = shmframe_session_events(view->session, view->event, SHMFRAME_NOW, events,
                                        EVENTS_AT_ONCE);
        for (int i = 0; i < count; i++) {
            tell_event(view, &events[i]);
            view->event = events[i].id;
            view->drawn_ns = -SECOND_NS; /* the picture is another one */
        }
    } while (count == EVENTS_AT_ONCE);
    return count >= 0 || count == -EAGAIN;
}

/* ---- what there is ---- */

static bool is_state(const struct shmframe_node_info *node, const char *state) {
    return strcmp(node->state, state) == 0;
}

static void look_at_nodes(struct keeper_view *view) {
    bool was_started = false, is_active = false;
    view->has_failed_node = false;
    for (uint32_t i = 0; i < view->gather->nodes; i++) {
        const struct shmframe_node_info *node = &view->gather->node[i].info;
        const bool has_failed = is_state(node, "failed");
        view->has_failed_node |= has_failed;
        was_started |= node->starts > 0 || has_failed;
        is_active |= !has_failed && !is_state(node, "stopped");
    }
    view->has_ended = was_started && !is_active;
}

static void add_nodes(const struct keeper_view *view, FILE *file) {
    static const char *const titles[] = {"NODE", "STATE", ">PID", ">RESTARTS", ">CPU", "", NULL};
    struct table table;
    table_init(&table, titles);
    for (uint32_t i = 0; i < view->gather->nodes; i++) {
        const struct gather_node *node = &view->gather->node[i];
        const struct gather_process *process = node->process;
        table_add(&table, "%s", node->info.name);
        table_add(&table, "%s", node->info.state);
        table_add(&table, node->info.pid ? "%d" : "-", node->info.pid);
        table_add(&table, "%" PRIu32, node->info.restarts);
        const bool is_known = process && process->is_known && process->cpu_percent >= 0;
        table_add(&table, is_known ? "%.0f %%" : "-", is_known ? process->cpu_percent : 0);
        table_add(&table, "%s", is_state(&node->info, "running") ? "" : node->info.reason);
    }
    table_print(&table, file);
    table_finish(&table);
}

static void add_streams(const struct keeper_view *view, FILE *file) {
    static const char *const titles[] = {
        "STREAM", "STATE", ">RATE", ">READERS", ">LOST", ">IN THE LAST SECOND", NULL};
    struct table table;
    table_init(&table, titles);
    for (uint32_t i = 0; i < view->gather->streams; i++) {
        const struct gather_stream *stream = &view->gather->stream[i];
        char rate[GATHER_RATE_BYTES];
        gather_format_rate(stream->rate_hz, rate);
        table_add(&table, "%s", stream->info.name);
        table_add(&table, "%s", gather_state_name(stream->info.state));
        table_add(&table, "%s", rate);
        table_add(&table, "%" PRIu32, stream->readers);
        table_add(&table, "%" PRIu64, stream->lost);
        table_add(&table, "%" PRIu64, stream->lost_span);
    }
    table_print(&table, file);
    table_finish(&table);
}

/* As many of the lines as fit the terminal, cut where it ends. */
static void draw_lines(struct keeper_view *view, const char *text) {
    struct winsize size = {0};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    const unsigned rows = size.ws_row ? size.ws_row : ROWS;
    const int columns = size.ws_col ? size.ws_col : COLUMNS;
    while (*text && view->lines + 1 < rows) {
        const int length = (int)strcspn(text, "\n");
        outlet_print(&view->out, "%.*s\n", length < columns ? length : columns - 1, text);
        text += length + (text[length] == '\n');
        view->lines++;
    }
}

static void draw(struct keeper_view *view) {
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return;
    fputc('\n', file);
    add_nodes(view, file);
    if (view->gather->streams) {
        fputc('\n', file);
        add_streams(view, file);
    }
    fclose(file);
    keeper_view_clear(view);
    if (view->is_line_open)
        outlet_print(&view->out, "\n");
    view->is_line_open = false;
    draw_lines(view, text);
    free(text);
}

bool keeper_view_update(struct keeper_view *view) {
    if (!view->gather)
        return false;
    shmframe_session_dispatch(view->session);
    if (!shmframe_session_is_connected(view->session) || !tell_events(view))
        return false;
    const int64_t now_ns = shmframe_now_ns();
    if (now_ns - view->drawn_ns < SECOND_NS)
        return true;
    if (gather_update(view->gather, NULL, shmframe_deadline_ns(SECOND_NS)) < 0)
        return false;
    view->drawn_ns = now_ns;
    look_at_nodes(view);
    if (view->is_live && outlet_poll_fd(&view->out) < 0) /* the last one was taken */
        draw(view);
    return true;
}

void keeper_view_pass(struct keeper_view *view, const char *text, size_t bytes) {
    keeper_view_clear(view);
    outlet_add(&view->out, text, bytes);
    view->is_line_open = text[bytes - 1] != '\n';
    view->drawn_ns = -SECOND_NS;
}
