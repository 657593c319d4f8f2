#include "table.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DEAD    .note = NOTE_GONE, .heard = HEARD_GONE   /* a writer that the supervisor knew */
#define LEFT    .note = NOTE_LEFT, .heard = HEARD_LEFT   /* a reader ... */
#define ENDED   .note = NOTE_ENDED, .heard = HEARD_ENDED /* a writer that had ended its ring */
#define UNKNOWN .note = NOTE_NONE, .heard = HEARD_NONE   /* nobody knew of it yet */
#define UNTOLD                                                                                     \
    .note = NOTE_LATER, .heard = HEARD_GONE /* a writer that died while there was no supervisor */
#define VANISHED .note = NOTE_LATER, .heard = HEARD_LEFT /* a reader ... */

/* clang-format off */
const struct row table[] = {
    /* Role, scene, step; killed: loans or leases held, journal and peers, frame; stopped: the rest. */
    {ROLE_WRITER, SCENE_FLOW, STEP_LOAN_FOUND,      .held = 0, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_FLOW, STEP_LOAN_MARKED,     .held = 1, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_FLOW, STEP_PUBLISH_STAMPED, .held = 1, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_FLOW, STEP_PUBLISH_STATE,   .held = 1, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_FLOW, STEP_PUBLISH_INDEX,   .held = 1, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_FLOW, STEP_PUBLISH_HEAD,    .held = 1, DEAD, .frame = FRAME_NEW},
    {ROLE_WRITER, SCENE_FLOW, STEP_PUBLISH_TAIL,    .held = 0, DEAD, .frame = FRAME_NEW},
    {ROLE_WRITER, SCENE_FLOW, STEP_PUBLISH_RETIRED, .held = 0, DEAD, .frame = FRAME_NEW},
    {ROLE_WRITER, SCENE_FLOW, STEP_PUBLISH_BELL,    .held = 0, DEAD, .frame = FRAME_NEW},
    {ROLE_WRITER, SCENE_FLOW, STEP_PUBLISH_WOKEN,   .held = 0, DEAD, .frame = FRAME_NEW},
    {ROLE_WRITER, SCENE_SPACE, STEP_SPACE_ASKED,    .held = 0, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_SPACE, STEP_SPACE_SLEPT,    .held = 0, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_OPEN, STEP_HELLO_SENT,      .held = 0, UNKNOWN},
    {ROLE_WRITER, SCENE_OPEN, STEP_WELCOME_TAKEN,   .held = 0, UNKNOWN},
    {ROLE_WRITER, SCENE_OPEN, STEP_RING_MADE,       .held = 0, UNKNOWN},
    {ROLE_WRITER, SCENE_OPEN, STEP_RING_SEALED,     .held = 0, UNKNOWN},
    {ROLE_WRITER, SCENE_OPEN, STEP_RING_SENT,       .held = 0, UNKNOWN},
    {ROLE_WRITER, SCENE_OPEN, STEP_LINK_ADDED,      .held = 0, UNKNOWN},
    {ROLE_WRITER, SCENE_OPEN, STEP_LINK_OFFERED,    .held = 0, UNKNOWN},
    {ROLE_WRITER, SCENE_OPEN, STEP_RING_OPENED,     .held = 0, DEAD},
    {ROLE_WRITER, SCENE_OPEN, STEP_RING_ADOPTED,    .held = 0, DEAD},
    {ROLE_WRITER, SCENE_OPEN, STEP_PUBLISH_FIRST,   .held = 1, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_FORMAT, STEP_RING_MADE,     .held = 0, DEAD},
    {ROLE_WRITER, SCENE_FORMAT, STEP_RING_SENT,     .held = 0, DEAD},
    {ROLE_WRITER, SCENE_FORMAT, STEP_LINK_OFFERED,  .held = 0, DEAD},
    {ROLE_WRITER, SCENE_FORMAT, STEP_RING_OPENED,   .held = 0, DEAD},
    {ROLE_WRITER, SCENE_FORMAT, STEP_RING_ADOPTED,  .held = 0, DEAD},
    {ROLE_WRITER, SCENE_FORMAT, STEP_RING_CLOSED,   .held = 1, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_FORMAT, STEP_PUBLISH_FIRST, .held = 1, DEAD, .frame = FRAME_OLD},
    {ROLE_WRITER, SCENE_END, STEP_RING_ENDED,       .held = 0, ENDED, .stopped_heard = HEARD_ENDED},
    {ROLE_WRITER, SCENE_END, STEP_WRITER_CLOSED,    .held = 0, ENDED, .stopped_note = NOTE_ENDED, .stopped_heard = HEARD_ENDED},
    {ROLE_WRITER, SCENE_DEATH, STEP_LINK_OVER,      .held = 0, DEAD},
    {ROLE_WRITER, SCENE_DEATH, STEP_LINK_BACK,      .held = 0, DEAD},
    {ROLE_WRITER, SCENE_RESTART, STEP_SESSION_LOST,    .held = 0, UNTOLD},
    {ROLE_WRITER, SCENE_RESTART, STEP_HELLO_SENT,      .held = 0, UNTOLD},
    {ROLE_WRITER, SCENE_RESTART, STEP_RESYNC_SENT,     .held = 0, UNTOLD},
    {ROLE_WRITER, SCENE_RESTART, STEP_HELD_SENT,       .held = 0, UNTOLD},
    {ROLE_WRITER, SCENE_RESTART, STEP_RESYNC_FOLLOWED, .held = 0, DEAD},

    {ROLE_READER, SCENE_FLOW, STEP_WAIT_SET,        .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FLOW, STEP_WAIT_CHECKED,    .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FLOW, STEP_WAIT_SLEPT,      .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FLOW, STEP_ACQUIRE_CHOSEN,  .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FLOW, STEP_ACQUIRE_LEASED,  .held = 1, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FLOW, STEP_ACQUIRE_CHECKED, .held = 1, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FLOW, STEP_ACQUIRE_TOLD,    .held = 1, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FLOW, STEP_RELEASE_CHECKED, .held = 1, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FLOW, STEP_RELEASE_CLEARED, .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_LATEST, STEP_ACQUIRE_CHOSEN,  .held = 0, LEFT, .own = OWN_SKIPPED},
    {ROLE_READER, SCENE_LATEST, STEP_ACQUIRE_LEASED,  .held = 1, LEFT, .own = OWN_SKIPPED},
    {ROLE_READER, SCENE_LATEST, STEP_RELEASE_CHECKED, .held = 1, LEFT, .own = OWN_SKIPPED},
    {ROLE_READER, SCENE_POLLING, STEP_POLL_ARMED,   .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_LOSSLESS, STEP_ACQUIRE_LEASED,  .held = 1, LEFT, .is_waited_for = true},
    {ROLE_READER, SCENE_LOSSLESS, STEP_ACQUIRE_TOLD,    .held = 1, LEFT, .is_waited_for = true},
    {ROLE_READER, SCENE_LOSSLESS, STEP_RELEASE_CLEARED, .held = 0, LEFT, .is_waited_for = true},
    {ROLE_READER, SCENE_SPACE, STEP_SPACE_RUNG,     .held = 1, LEFT, .is_waited_for = true},
    {ROLE_READER, SCENE_JOIN, STEP_HELLO_SENT,      .held = 0, UNKNOWN},
    {ROLE_READER, SCENE_JOIN, STEP_WELCOME_TAKEN,   .held = 0, UNKNOWN},
    {ROLE_READER, SCENE_JOIN, STEP_READER_SENT,     .held = 0, LEFT},
    {ROLE_READER, SCENE_JOIN, STEP_LINK_CAME,       .held = 0, LEFT},
    {ROLE_READER, SCENE_JOIN, STEP_LEASE_MAPPED,    .held = 0, LEFT},
    {ROLE_READER, SCENE_JOIN, STEP_LEASE_SEALED,    .held = 0, LEFT},
    {ROLE_READER, SCENE_JOIN, STEP_LINK_READY,      .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FORMAT, STEP_LINK_CAME,     .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_FORMAT, STEP_RING_LEFT,     .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_LEAVE, STEP_READER_CLOSED,  .held = 0, LEFT, .stopped_note = NOTE_LEFT, .stopped_heard = HEARD_LEFT},
    {ROLE_READER, SCENE_LEAVE, STEP_LINK_LEFT,      .held = 0, LEFT, .stopped_note = NOTE_LEFT, .stopped_heard = HEARD_LEFT},
    {ROLE_READER, SCENE_RESTART, STEP_SESSION_LOST, .held = 0, VANISHED, .own = OWN_LOST},
    {ROLE_READER, SCENE_RESTART, STEP_RETURN_SENT,  .held = 0, LEFT, .own = OWN_LOST},
    {ROLE_READER, SCENE_RESTART, STEP_RETURN_SHOWN, .held = 0, LEFT, .own = OWN_LOST},

    {ROLE_SUPERVISOR, SCENE_JOIN, STEP_PEER_ACCEPTED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_JOIN, STEP_PEER_WELCOMED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_JOIN, STEP_READER_TAKEN, .held = 0},
    {ROLE_SUPERVISOR, SCENE_JOIN, STEP_JOURNAL_WRITTEN, .held = 0},
    {ROLE_SUPERVISOR, SCENE_JOIN, STEP_READER_ANSWERED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_JOIN, STEP_LINK_GRANTED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_JOIN, STEP_LINK_SENT, .held = 0},
    {ROLE_SUPERVISOR, SCENE_JOIN, STEP_LINK_TOLD, .held = 0},
    {ROLE_SUPERVISOR, SCENE_OPEN, STEP_RING_TAKEN, .held = 0},
    {ROLE_SUPERVISOR, SCENE_OPEN, STEP_RING_NUMBERED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_OPEN, STEP_NAMES_WRITTEN, .held = 0},
    {ROLE_SUPERVISOR, SCENE_OPEN, STEP_RING_NAMED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_OPEN, STEP_LINK_GRANTED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_OPEN, STEP_LINK_SENT, .held = 0},
    {ROLE_SUPERVISOR, SCENE_OPEN, STEP_RING_ANSWERED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_FORMAT, STEP_RING_TAKEN, .held = 0},
    {ROLE_SUPERVISOR, SCENE_FORMAT, STEP_RING_NUMBERED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_FORMAT, STEP_RING_NAMED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_FORMAT, STEP_LINK_SENT, .held = 0},
    {ROLE_SUPERVISOR, SCENE_FORMAT, STEP_RING_ANSWERED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_LEAVE, STEP_READER_GONE, .held = 0},
    {ROLE_SUPERVISOR, SCENE_LEAVE, STEP_LINK_ENDED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_END, STEP_WRITER_GONE, .held = 0},
    {ROLE_SUPERVISOR, SCENE_END, STEP_GONE_NAMED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_END, STEP_GONE_TOLD, .held = 0},
    {ROLE_SUPERVISOR, SCENE_DEATH, STEP_DEATH_SEEN, .held = 0},
    {ROLE_SUPERVISOR, SCENE_DEATH, STEP_READER_GONE, .held = 0},
    {ROLE_SUPERVISOR, SCENE_DEATH, STEP_LINK_ENDED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_DEATH_WRITER, STEP_DEATH_SEEN, .held = 0},
    {ROLE_SUPERVISOR, SCENE_DEATH_WRITER, STEP_WRITER_GONE, .held = 0},
    {ROLE_SUPERVISOR, SCENE_DEATH_WRITER, STEP_GONE_NAMED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_DEATH_WRITER, STEP_GONE_TOLD, .held = 0},
    {ROLE_SUPERVISOR, SCENE_RESTART, STEP_SERVER_LISTENS, .held = 0},
    {ROLE_SUPERVISOR, SCENE_RESTART, STEP_NAMES_LOADED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_RESTART, STEP_SERVER_READY, .held = 0},
    {ROLE_SUPERVISOR, SCENE_RESTART, STEP_PEER_WELCOMED, .held = 0, .is_long = true},
    {ROLE_SUPERVISOR, SCENE_RESTART, STEP_HELD_TAKEN, .held = 0, .is_long = true},
    {ROLE_SUPERVISOR, SCENE_RESTART, STEP_RING_ANSWERED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_RESTART, STEP_LINK_CLAIMED, .held = 0},
    {ROLE_SUPERVISOR, SCENE_RESTART, STEP_RETURN_TAKEN, .held = 0},
};
/* clang-format on */
const size_t table_rows = sizeof(table) / sizeof(table[0]);

struct outcome table_expect(const struct row *row, enum action action) {
    const bool is_killed = action != ACTION_STOP;
    struct outcome outcome = {.held = row->held, .frame = row->frame};
    if (action != ACTION_KILL)
        outcome.is_waited_for = row->is_waited_for;
    if (is_killed) {
        outcome.note = row->note;
        outcome.heard = row->heard;
        return outcome;
    }
    outcome.note = row->stopped_note;
    outcome.heard = row->stopped_heard;
    outcome.own = row->own;
    if (row->frame != FRAME_NONE)
        outcome.frame = FRAME_NEW;
    return outcome;
}

bool table_is_equal(const struct outcome *a, const struct outcome *b) {
    return a->held == b->held && a->frame == b->frame && a->note == b->note &&
           a->heard == b->heard && a->is_waited_for == b->is_waited_for && a->own == b->own;
}

/* ---- words ---- */

const char *table_step_name(enum step step) {
#define STEP_NAME(name, text) #name,
    static const char *const names[] = {"NONE", STEP_LIST(STEP_NAME)};
#undef STEP_NAME
    static char out[32];
    size_t i = 0;
    for (const char *c = step < STEPS ? names[step] : ""; *c && i < sizeof(out) - 1; c++)
        out[i++] = *c == '_' ? '-' : (char)tolower(*c);
    out[i] = '\0';
    return out;
}

const char *table_step_text(enum step step) {
#define STEP_TEXT(name, text) text,
    static const char *const texts[] = {"", STEP_LIST(STEP_TEXT)};
#undef STEP_TEXT
    return step < STEPS ? texts[step] : "";
}

const char *table_role_name(enum role role) {
    static const char *const names[ROLES] = {"writer", "reader", "supervisor"};
    return names[role];
}

const char *table_action_name(enum action action) {
    static const char *const names[ACTIONS] = {"killed", "stopped", "stopped, killed"};
    return names[action];
}

const char *table_scene_text(enum role role, enum scene scene) {
    static const char *const texts[SCENES] = {
        [SCENE_FLOW] = "frames flow",
        [SCENE_LATEST] = "it takes the latest frame",
        [SCENE_POLLING] = "it sleeps in poll()",
        [SCENE_LOSSLESS] = "it is lossless",
        [SCENE_SPACE] = "a writer waits for a lossless reader",
        [SCENE_OPEN] = "a writer comes, three readers wait",
        [SCENE_JOIN] = "a reader comes",
        [SCENE_FORMAT] = "the writer changes its format",
        [SCENE_LEAVE] = "a reader leaves",
        [SCENE_END] = "a writer ends its stream",
        [SCENE_DEATH] = "a reader dies",
        [SCENE_DEATH_WRITER] = "a writer dies",
        [SCENE_RESTART] = "another supervisor is started",
    };
    return role == ROLE_READER && scene == SCENE_FLOW ? "it takes frames in order" : texts[scene];
}

static void add(char *out, size_t bytes, const char *text) {
    const size_t length = strlen(out);
    snprintf(out + length, bytes - length, "%s%s", length ? "; " : "", text);
}

static const char *describe_supervisor(enum action action) {
    return action == ACTION_STOP ? "frames flow; what was asked of it is done when it goes on"
                                 : "frames flow; the next one takes over, everybody comes back, "
                                   "what was asked is done";
}

static void add_held(enum role role, unsigned held, char *out, size_t bytes) {
    char text[32];
    snprintf(text, sizeof(text), "%u %s%s", held, role == ROLE_WRITER ? "loan" : "lease",
             held == 1 ? "" : "s");
    if (held)
        add(out, bytes, text);
}

const char *table_describe(enum role role, enum action action, const struct outcome *outcome) {
    static const char *const frames[] = {"", "its frame is not delivered",
                                         "its frame is delivered"};
    static const char *const notes[] = {"no journal line", "journal: reader-left",
                                        "journal: writer-gone", "journal: stream-ended",
                                        "journal: once the next supervisor is sure"};
    static const char *const heards[] = {"nobody hears of it", "its writer hears reader-left",
                                         "its readers hear writer-gone", "its readers hear ended"};
    static const char *const owns[] = {"", "it is told what it lost", "it is told what it skipped"};
    static char out[320];
    if (role == ROLE_SUPERVISOR)
        return describe_supervisor(action);
    out[0] = '\0';
    add_held(role, outcome->held, out, sizeof(out));
    if (outcome->frame != FRAME_NONE)
        add(out, sizeof(out), frames[outcome->frame]);
    if (outcome->is_waited_for)
        add(out, sizeof(out), "its writer waits while it is stopped");
    add(out, sizeof(out), notes[outcome->note]);
    add(out, sizeof(out), heards[outcome->heard]);
    if (outcome->own != OWN_NONE)
        add(out, sizeof(out), owns[outcome->own]);
    add(out, sizeof(out), action == ACTION_STOP ? "it goes on" : "all that it had is free again");
    return out;
}
