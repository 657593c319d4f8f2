/* The screen of top: a table of all, or what is known of one row. */
#ifndef TOOLS_TOP_VIEW_H
#define TOOLS_TOP_VIEW_H

#include "event_text.h"
#include "top_row.h"

enum { TOP_EVENTS = 8, TOP_MINUTE = 60, TOP_NOTICE_BYTES = 256 };

enum top_page {
    TOP_PAGE_TABLE = 0,
    TOP_PAGE_DETAILS, /* of the selected row */
    TOP_PAGE_HELP,
};

struct top_view {
    struct gather *gather;
    struct top_rows rows;
    enum top_page page;
    struct top_mark selected; /* stays while it is not among the rows; kind TOP_NOTHING: none yet */
    bool is_absent;           /* it is not among them */
    uint32_t at, first;       /* its row, or where it was; the first that is shown */
    enum shmframe_hop hop;    /* whose histogram the details show */
    int64_t interval_ns;
    bool is_paused, is_filtering, is_connected;
    char notice[TOP_NOTICE_BYTES]; /* what is asked, or was done; "": nothing */

    struct shmframe_event event[TOP_EVENTS]; /* the newest, oldest first */
    unsigned events;
    uint64_t event_id;
    struct {
        int64_t second; /* of CLOCK_MONOTONIC */
        uint64_t lost;
    } minute[TOP_MINUTE]; /* by second, as the journal tells */
};

/* Takes the gather's newest picture, and the events since. Errors: of shmframe_session_events(). */
int top_view_update(struct top_view *view);
/* The row that is selected; NULL: none is, or it is not there. */
const struct top_row *top_view_selected(const struct top_view *view);
/* Moves the selection, from where it was if what was selected is not there. */
void top_view_move(struct top_view *view, int64_t rows);
/* The rows in another order, or others. The selection stays with what it was on. */
void top_view_list(struct top_view *view);

/* Frames lost in the last minute, by all readers, also by those that have left. */
uint64_t top_view_lost(const struct top_view *view);
/* One line on everything. */
void top_view_describe(const struct top_view *view, char *text, size_t text_bytes);

/* On the terminal. */
void top_view_draw(struct top_view *view);
/* Rows that the table has room for. */
int top_view_page_rows(void);

/* ---- top_details.c: the page of one row, from row `line` of the screen on ---- */
void top_details_draw(const struct top_view *view, const struct top_row *row, int line);

#endif
