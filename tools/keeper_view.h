/* What `shmframe run FILE` shows: on a terminal a few lines that are drawn again and again, below
 * what the nodes print; otherwise a line for each thing that happens, as text or JSON. */
#ifndef TOOLS_KEEPER_VIEW_H
#define TOOLS_KEEPER_VIEW_H

#include "gather.h"
#include "outlet.h"
#include "report.h"

struct keeper_view {
    enum report_format format;
    bool is_live;      /* drawn on a terminal */
    struct outlet out; /* standard output */
    struct shmframe_session *session;
    struct gather *gather;
    int64_t drawn_ns;
    unsigned lines;       /* of the drawing that is on the screen */
    uint64_t event;       /* number of the newest that was told */
    bool is_line_open;    /* what nodes printed last did not end its line */
    bool has_failed_node; /* in the newest picture */
    bool has_ended;       /* likewise: nothing runs, waits, or will be started again */
};

/* Whether standard output is a terminal that lines can be drawn on. */
bool keeper_view_is_possible(void);

void keeper_view_init(struct keeper_view *view, enum report_format format, bool is_live);
/* From now on the supervisor of this session is shown. */
void keeper_view_open(struct keeper_view *view, struct shmframe_session *session);
void keeper_view_close(struct keeper_view *view);
/* The last that is shown; closes the output. */
void keeper_view_finish(struct keeper_view *view);

/* Looks at the supervisor, and shows what is new. False: it did not answer, or there is none. Takes
 * 3 s at most. */
bool keeper_view_update(struct keeper_view *view);
/* Prints what nodes wrote, above the lines. */
void keeper_view_pass(struct keeper_view *view, const char *text, size_t bytes);
/* Takes the lines off the screen, for what others print: the next update draws them again. */
void keeper_view_clear(struct keeper_view *view);

#endif
