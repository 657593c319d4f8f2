/* Table: each step at which a role is stopped or killed, and what comes of it. */
#ifndef TESTS_CRASH_TABLE_H
#define TESTS_CRASH_TABLE_H

#include "step.h"

#include <stdbool.h>
#include <stddef.h>

enum role { ROLE_WRITER, ROLE_READER, ROLE_SUPERVISOR, ROLES };

/* What brings the role to the step. */
enum scene {
    SCENE_FLOW,         /* frames flow; a reader takes them in order */
    SCENE_LATEST,       /* ... the latest one */
    SCENE_POLLING,      /* ... and sleeps in poll() */
    SCENE_LOSSLESS,     /* ... all; the writer waits for it */
    SCENE_SPACE,        /* the writer waits for a lossless reader */
    SCENE_OPEN,         /* a writer comes; three readers wait for it */
    SCENE_JOIN,         /* a reader comes */
    SCENE_FORMAT,       /* the writer changes its format */
    SCENE_LEAVE,        /* a reader leaves */
    SCENE_END,          /* a writer ends its stream */
    SCENE_DEATH,        /* a reader dies */
    SCENE_DEATH_WRITER, /* a writer dies */
    SCENE_RESTART,      /* the supervisor is killed, another is started */
    SCENES,
};

enum action { ACTION_KILL, ACTION_STOP, ACTION_STOP_KILL, ACTIONS };

enum frame { FRAME_NONE, FRAME_OLD, FRAME_NEW }; /* the one under way is not delivered; is */
enum note { NOTE_NONE, NOTE_LEFT, NOTE_GONE, NOTE_ENDED, NOTE_LATER }; /* the journal's line */
enum heard { HEARD_NONE, HEARD_LEFT, HEARD_GONE, HEARD_ENDED };        /* the peers' event */
enum own { OWN_NONE, OWN_LOST, OWN_SKIPPED }; /* what one who goes on is told */

/* What was, or is to be, seen of one trial. */
struct outcome {
    unsigned held; /* loans or leases that it had there */
    enum frame frame;
    enum note note;
    enum heard heard;
    bool is_waited_for; /* its writer waited while it was stopped */
    enum own own;
};

struct row {
    enum role role;
    enum scene scene;
    enum step step;
    /* If it is killed there. */
    unsigned held;
    enum note note;
    enum heard heard;
    enum frame frame;
    /* If it is stopped, and goes on. */
    enum own own;
    bool is_waited_for;
    bool is_long; /* stopped for longer than the supervisor's time of grace */
    enum note stopped_note;
    enum heard stopped_heard;
};
extern const struct row table[];
extern const size_t table_rows;

struct outcome table_expect(const struct row *row, enum action action);
bool table_is_equal(const struct outcome *a, const struct outcome *b);

const char *table_step_name(enum step step); /* "loan-marked" */
const char *table_step_text(enum step step);
const char *table_role_name(enum role role);
const char *table_scene_text(enum role role, enum scene scene);
const char *table_action_name(enum action action);
/* In words, as the page has them. */
const char *table_describe(enum role role, enum action action, const struct outcome *outcome);

#endif
