/* Journal: the newest lines of what happened to streams, readers, writers and nodes.
 *
 * In a file beside the socket, so that nothing is lost with the supervisor; in memory alone
 * where there is no folder of our own. Readers and writers keep accounts of their own, in pages of
 * theirs; how far these have been told stands in the same file and changes with the line that
 * tells, so that the next supervisor goes on there.
 */
#ifndef SERVER_JOURNAL_H
#define SERVER_JOURNAL_H

#include "journal_budget.h"

#include <shmframe/supervisor.h>

#include <stdbool.h>
#include <sys/types.h>

struct client;
struct server;

/* Opens the journal of the socket's place, or begins one. Errors: -ENOMEM. */
int journal_open(struct server *server);

/* Adds a line: its id and wall time are filled in here, its time too if it is 0. Says it in the log
 * as well, and wakes who waits for one. Texts must be terminated, and fit for others' terminals.
 * Returns its id. Whoever may connect may read it. */
uint64_t journal_add(struct server *server, const struct shmframe_event *event);

/* ---- with what a reader or a writer tells of itself ---- */

enum journal_kind { JOURNAL_READER = 1, JOURNAL_WRITER = 2 };

/* How far its account was told. */
struct journal_mark {
    uint64_t number; /* of its log's newest line that was */
    uint64_t told[SHMFRAME_CAUSES];
    int64_t since_ns; /* of the hold or stall that was told, and is not over; 0: none */
    int64_t sleep_ns; /* reader: of the sleep from which it does not come, as was told; 0: none */
    uint32_t generation;
    bool is_present;   /* has come, and not left */
    bool is_join_told; /* then it is told too that it leaves */
};

/* A writer names itself only once it goes on in the ring that the supervisor has taken. */
#define JOURNAL_UNNAMED UINT64_C(1)

struct journal_source {
    uint64_t id; /* of its page; 0: this is none */
    uint64_t start_time;
    int32_t pid;
    uint32_t kind, number; /* reader */
    uint32_t uid;
    struct journal_mark mark;
    char stream[SHMFRAME_NAME_BYTES], name[SHMFRAME_NAME_BYTES];
};

/* Finds the source that has the same id, process, kind and stream, or makes it so. NULL: there is
 * no room, or it is in use. */
struct journal_source *journal_take_source(struct server *server,
                                           const struct journal_source *wanted);
/* It has told its name. */
void journal_name_source(struct server *server, struct journal_source *source, uint64_t id);
void journal_give_source(struct server *server, struct journal_source *source);
/* The mark changes without a line. */
void journal_set_mark(struct server *server, struct journal_source *source,
                      const struct journal_mark *mark);
/* The next one that is said to be present, and not in use; NULL as `before` for the first. */
struct journal_source *journal_absent_source(struct server *server,
                                             const struct journal_source *before);
/* The highest number that a reader was told to have. */
uint32_t journal_newest_reader(const struct server *server);

struct journal_origin {
    struct journal_source
        *source; /* becomes what `mark` says, with the line; or outside the file */
    struct journal_mark mark;
    bool is_private; /* only for root, who runs this, and these two users */
    uid_t reader_uid, writer_uid;
};
uint64_t journal_add_from(struct server *server, const struct shmframe_event *event,
                          const struct journal_origin *origin);

/* See journal_budget.h. */
struct journal_purse *journal_purse_of_user(struct server *server, uid_t uid);

/* ---- reading ---- */

/* The first line after number `after` that is kept, as `client` may see it: one that is not for it
 * has no more than a number and a time. False: there is none. */
bool journal_next(struct client *client, uint64_t after, struct shmframe_event *out_event);

#endif
