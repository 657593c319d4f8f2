#include "top_view.h"

#include "cells.h"
#include "terminal.h"

#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

enum { EVENTS_AT_ONCE = 64 };

/* ---- what is shown ---- */

/* Losses of readers alone: what a writer did not make nobody lost. */
static void note_loss(struct top_view *view, const struct shmframe_event *event) {
    if (event->type != SHMFRAME_JOURNAL_LOSS || event->reader == 0 || event->time_ns < 0)
        return;
    const int64_t second = event->time_ns / SECOND_NS;
    const unsigned at = (unsigned)(second % TOP_MINUTE);
    if (view->minute[at].second > second)
        return;
    if (view->minute[at].second < second)
        view->minute[at].lost = 0;
    view->minute[at].second = second;
    view->minute[at].lost += event->count;
}

static void note_event(struct top_view *view, const struct shmframe_event *event) {
    note_loss(view, event);
    if (view->events == TOP_EVENTS)
        memmove(view->event, view->event + 1, (TOP_EVENTS - 1) * sizeof(view->event[0]));
    else
        view->events++;
    view->event[view->events - 1] = *event;
}

static int take_events(struct top_view *view) {
    struct shmframe_event batch[EVENTS_AT_ONCE];
    for (;;) {
        const int count = shmframe_session_events(view->gather->session, view->event_id,
                                                  SHMFRAME_NOW, batch, EVENTS_AT_ONCE);
        if (count <= 0)
            return count == -EAGAIN ? 0 : count;
        for (int i = 0; i < count; i++)
            note_event(view, &batch[i]);
        view->event_id = batch[count - 1].id;
    }
}

int top_view_update(struct top_view *view) {
    top_view_list(view);
    return take_events(view);
}

/* What is selected may come back: nothing else is, until somebody chooses. */
void top_view_list(struct top_view *view) {
    struct top_rows *rows = &view->rows;
    top_rows_list(rows, view->gather);
    if (view->selected.kind == TOP_NOTHING) {
        top_view_move(view, 0);
        return;
    }
    view->is_absent = true;
    for (uint32_t i = 0; i < rows->rows && view->is_absent; i++)
        if (top_row_is_marked(&rows->row[i], &view->selected)) {
            view->at = i;
            view->is_absent = false;
        }
}

const struct top_row *top_view_selected(const struct top_view *view) {
    return !view->is_absent && view->at < view->rows.rows ? &view->rows.row[view->at] : NULL;
}

void top_view_move(struct top_view *view, int64_t rows) {
    int64_t at = (int64_t)view->at + rows;
    if (at >= (int64_t)view->rows.rows)
        at = (int64_t)view->rows.rows - 1;
    view->at = at < 0 ? 0 : (uint32_t)at;
    if (view->rows.rows == 0)
        return;
    view->is_absent = false;
    view->selected = top_row_mark(&view->rows.row[view->at]);
}

uint64_t top_view_lost(const struct top_view *view) {
    const int64_t from = view->gather->time_ns / SECOND_NS - TOP_MINUTE;
    uint64_t lost = 0;
    for (unsigned i = 0; i < TOP_MINUTE; i++)
        if (view->minute[i].second > from)
            lost += view->minute[i].lost;
    return lost;
}

void top_view_describe(const struct top_view *view, char *text, size_t text_bytes) {
    const struct gather *gather = view->gather;
    uint64_t bytes = 0;
    uint32_t readers = 0;
    for (uint32_t i = 0; i < gather->streams; i++) {
        bytes += gather->stream[i].info.memory_bytes;
        readers += gather->stream[i].readers;
    }
    char unmeasured[48] = "";
    if (gather->undetailed)
        snprintf(unmeasured, sizeof(unmeasured), " (%" PRIu32 " not measured: too many)",
                 gather->undetailed);
    snprintf(text, text_bytes,
             "lost/min %" PRIu64 "; %" PRIu32 " stream%s, %" PRIu32 " reader%s%s, %" PRIu32
             " node%s; rings %.0f MiB",
             top_view_lost(view), gather->streams, gather->streams == 1 ? "" : "s", readers,
             readers == 1 ? "" : "s", unmeasured, gather->nodes, gather->nodes == 1 ? "" : "s",
             (double)bytes / 1048576);
}

/* ---- drawing ---- */

/* Title, head of the table; below: events, keys. */
enum { LINES_ABOVE = 2, LINES_BELOW = 1 };

static int count_event_lines(void) {
    return LINES < 12 ? 0 : LINES < 30 ? 3 : TOP_EVENTS;
}

int top_view_page_rows(void) {
    const int rows = LINES - LINES_ABOVE - LINES_BELOW - count_event_lines();
    return rows < 1 ? 1 : rows;
}

static void draw_title(const struct top_view *view) {
    char text[256];
    move(0, 0);
    if (!view->is_connected) {
        terminal_set_color(TERMINAL_RED, true);
        terminal_put("no supervisor: waiting for one; below is how it was");
        return;
    }
    terminal_set_color(TERMINAL_PLAIN, true);
    terminal_put("shmframe top");
    top_view_describe(view, text, sizeof(text));
    terminal_set_color(top_view_lost(view) ? TERMINAL_RED : TERMINAL_PLAIN, false);
    terminal_put("  %s", text);
    if (view->is_paused) {
        terminal_set_color(TERMINAL_YELLOW, true);
        terminal_put("  PAUSED");
    }
}

static void put_cell(const struct top_column *column, const char *text) {
    char cell[TOP_CELL_BYTES];
    cells_fit(text, column->width, column->is_right, cell, sizeof(cell));
    terminal_put(" %s", cell);
}

static void set_row_color(enum top_care care, enum top_kind kind, bool is_selected) {
    switch (care) {
    case TOP_WELL:
        terminal_set_color(TERMINAL_PLAIN, kind == TOP_STREAM || kind == TOP_NODES);
        break;
    case TOP_WARNING:
        terminal_set_color(TERMINAL_YELLOW, false);
        break;
    case TOP_TROUBLE:
        terminal_set_color(TERMINAL_RED, true);
        break;
    }
    if (is_selected)
        attron(A_REVERSE);
}

static void draw_row(const struct top_view *view, const struct top_column *columns, int count,
                     const struct top_row *row) {
    const enum top_care care = top_row_care(view->gather, row);
    set_row_color(care, row->kind, row == top_view_selected(view));
    /* Marks say it without colours too. */
    terminal_put("%s", care == TOP_TROUBLE ? "!" : care == TOP_WARNING ? "*" : " ");
    for (int i = 0; i < count; i++) {
        char text[TOP_CELL_BYTES] = "";
        columns[i].put(view->gather, row, text);
        if (row->kind == TOP_STREAM && i == 0 && COLS >= 100)
            snprintf(text, sizeof(text), "%s  %s", row->stream->info.name,
                     row->stream->info.format);
        put_cell(&columns[i], text);
    }
}

static void draw_table(struct top_view *view) {
    struct top_column columns[TOP_COLUMNS_MAX];
    const int count = top_columns_choose(COLS - 2, columns);
    const uint32_t shown = (uint32_t)top_view_page_rows();
    move(1, 0);
    terminal_set_color(TERMINAL_BLUE, true);
    terminal_put(" ");
    for (int i = 0; i < count; i++)
        put_cell(&columns[i], columns[i].title);
    if (view->at >= view->rows.rows && view->rows.rows)
        view->at = view->rows.rows - 1;
    if (view->at < view->first)
        view->first = view->at;
    if (view->at >= view->first + shown)
        view->first = view->at - shown + 1;
    if (view->first + shown > view->rows.rows)
        view->first = view->rows.rows > shown ? view->rows.rows - shown : 0;
    for (uint32_t i = view->first; i < view->rows.rows && i < view->first + shown; i++) {
        move(LINES_ABOVE + (int)(i - view->first), 0);
        draw_row(view, columns, count, &view->rows.row[i]);
    }
    if (view->rows.rows)
        return;
    move(LINES_ABOVE, 0);
    terminal_set_color(TERMINAL_PLAIN, false);
    terminal_put(*view->rows.filter ? " nothing is called like that; f changes the filter"
                                    : " no stream yet: start a producer, such as shmframe-pattern");
}

static void draw_events(const struct top_view *view) {
    const int lines = count_event_lines();
    const int top = LINES - LINES_BELOW - lines;
    const unsigned skipped = view->events > (unsigned)lines ? view->events - (unsigned)lines : 0;
    for (unsigned i = skipped; i < view->events; i++) {
        char time[EVENT_TIME_BYTES], text[EVENT_TEXT_BYTES];
        const struct shmframe_event *event = &view->event[i];
        event_format_time(event, false, time);
        event_describe(event, text);
        const bool is_trouble = event->type == SHMFRAME_JOURNAL_LOSS ||
                                event->type == SHMFRAME_JOURNAL_HOLD ||
                                event->type == SHMFRAME_JOURNAL_STALL;
        move(top + (int)(i - skipped), 0);
        terminal_set_color(is_trouble ? TERMINAL_YELLOW : TERMINAL_PLAIN, false);
        if (!is_trouble)
            attron(A_DIM);
        terminal_put(" %s %s", time, text);
    }
}

static void draw_last_line(const struct top_view *view) {
    const char *line;
    const int length = terminal_last_message(&line);
    move(LINES - 1, 0);
    terminal_set_color(TERMINAL_YELLOW, true);
    if (view->is_filtering) {
        terminal_put(" only names with: %s_   (Enter, Escape)", view->rows.filter);
    } else if (*view->notice) {
        terminal_put(" %s", view->notice);
    } else if (length) {
        terminal_put(" %.*s", length, line);
    } else {
        terminal_set_color(TERMINAL_PLAIN, false);
        attron(A_DIM);
        terminal_put(" q quit  h help  Enter details  s sort (%s)  f filter  p pause  e evict",
                     top_sort_name(view->rows.sort));
    }
}

static void draw_help(void) {
    static const char *const lines[] = {
        "up, down, PgUp, PgDn, Home, End   select a row",
        "Enter, right                      what is known of it; left, Escape: back",
        "g                                 details: the next hop's histogram",
        "s, S     sort by the next or previous: name, lost, age, hold, rate, cpu, memory",
        "r        the other way round",
        "f        show only what has some letters in its name",
        "p        pause: the picture stays; again: it goes on",
        "+, -     update more often, less often",
        "e        evict the selected reader: its place is taken away, for good",
        "q        quit",
        "",
        "!  trouble now: losses, a lease held for over 1 s, a writer that is kept waiting or",
        "   publishes nothing, a node that fails      *  there was some before",
        "<- writer: its PRODUCE is from capture to publish, LOST what it or its device missed",
        "-> reader: WAKE from the bell, TRANSIT from publish to acquire, HOLD until release, AGE",
        "   from capture to acquire; of the last interval. HELD: leases it holds of those it may.",
        "   In front of its name: its number, as events tell it.",
        "   A stream's HELD are its slots, MEM its memory.",
    };
    terminal_set_color(TERMINAL_PLAIN, false);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && (int)i < LINES - 3; i++) {
        move((int)i + 2, 0);
        terminal_put(" %s", lines[i]);
    }
}

static void draw_absence(void) {
    move(2, 0);
    terminal_set_color(TERMINAL_PLAIN, false);
    terminal_put(" what is selected is not there at the moment; left: back to the others");
}

void top_view_draw(struct top_view *view) {
    erase();
    draw_title(view);
    const struct top_row *selected = top_view_selected(view);
    switch (view->page) {
    case TOP_PAGE_DETAILS:
        if (selected)
            top_details_draw(view, selected, 2);
        else
            draw_absence();
        break;
    case TOP_PAGE_TABLE:
        draw_table(view);
        draw_events(view);
        break;
    case TOP_PAGE_HELP:
        draw_help();
        break;
    }
    draw_last_line(view);
    refresh();
}
