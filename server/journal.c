#include "journal.h"

#include "error.h"
#include "event_text.h"
#include "journal_file.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { USERS = ALLOWED_UIDS_MAX + 2 };

struct journal {
    struct journal_file *file;
    int fd;                        /* its; -1: none */
    bool is_used[JOURNAL_SOURCES]; /* by a reader or writer that is here */
    uint64_t id[JOURNAL_SOURCES];  /* the sources', close together to be searched */
    unsigned next_source;          /* where to look for room */
    struct log_limit log;
    struct {
        uid_t uid;
        struct journal_purse purse;
    } user[USERS];
    unsigned users;
};

int journal_open(struct server *server) {
    struct journal *journal = calloc(1, sizeof(*journal));
    if (journal)
        journal->file = journal_file_open(server, &journal->fd);
    if (!journal || !journal->file) {
        free(journal);
        return error_set(-ENOMEM, "the supervisor has no memory for its journal");
    }
    for (unsigned i = 0; i < JOURNAL_SOURCES; i++)
        journal->id[i] = journal->file->source[i].id;
    server->journal = journal;
    return 0;
}

/* ---- the log ---- */

/* What happens to streams and readers is in the log already, with more of what is known of it. */
static bool is_for_log(const struct shmframe_event *event) {
    switch ((enum shmframe_event_type)event->type) {
    case SHMFRAME_JOURNAL_LOSS:
    case SHMFRAME_JOURNAL_HOLD:
    case SHMFRAME_JOURNAL_HOLD_OVER:
    case SHMFRAME_JOURNAL_STALL:
    case SHMFRAME_JOURNAL_STALL_OVER:
    case SHMFRAME_JOURNAL_NODE:
        return true;
    case SHMFRAME_JOURNAL_NONE:
    case SHMFRAME_JOURNAL_SUPERVISOR:
    case SHMFRAME_JOURNAL_STREAM_LIVE:
    case SHMFRAME_JOURNAL_STREAM_ENDED:
    case SHMFRAME_JOURNAL_WRITER_GONE:
    case SHMFRAME_JOURNAL_READER_JOINED:
    case SHMFRAME_JOURNAL_READER_LEFT:
    case SHMFRAME_JOURNAL_TYPES:
        break;
    }
    return false;
}

static void say(struct journal *journal, const struct shmframe_event *event) {
    if (!is_for_log(event) || !log_limit_passes(&journal->log, shmframe_now_ns()))
        return;
    char words[EVENT_TEXT_BYTES], dropped[48] = "";
    event_describe(event, words);
    if (journal->log.dropped)
        snprintf(dropped, sizeof(dropped), " lines_dropped=%llu",
                 (unsigned long long)journal->log.dropped);
    journal->log.dropped = 0;
    log_event("event=%s words=%s%s", shmframe_event_type_name(event->type), log_quote(words).text,
              dropped);
}

/* ---- writing ---- */

/* The wall clock at a monotonic time; of one that has not been yet, as a peer may tell it: now. */
static int64_t wall_at_ns(int64_t time_ns) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t now_ns = shmframe_now_ns();
    const int64_t ago_ns = time_ns > 0 && time_ns < now_ns ? now_ns - time_ns : 0;
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - ago_ns;
}

static bool is_in_file(const struct journal_file *file, const struct journal_source *source) {
    return source >= file->source && source < file->source + JOURNAL_SOURCES;
}

uint64_t journal_add_from(struct server *server, const struct shmframe_event *event,
                          const struct journal_origin *origin) {
    struct journal_file *file = server->journal->file;
    const uint64_t id = file->newest + 1;
    struct journal_line *line = journal_file_line(file, id);
    const bool is_kept = origin->source && is_in_file(file, origin->source);
    *line =
        (struct journal_line){.event = *event,
                              .source = is_kept ? (uint32_t)(origin->source - file->source) + 1 : 0,
                              .is_private = origin->is_private,
                              .reader_uid = origin->reader_uid,
                              .writer_uid = origin->writer_uid,
                              .mark = origin->mark};
    line->event.id = id;
    if (line->event.time_ns == 0)
        line->event.time_ns = shmframe_now_ns();
    line->event.wall_ns = wall_at_ns(line->event.time_ns);
    if (event->reader > file->newest_reader)
        file->newest_reader = event->reader;
    journal_file_commit(file, &server->journal->fd, id);
    if (origin->source && !is_kept)
        origin->source->mark = origin->mark;
    say(server->journal, &line->event);
    server->has_news = true;
    return id;
}

uint64_t journal_add(struct server *server, const struct shmframe_event *event) {
    return journal_add_from(server, event, &(struct journal_origin){0});
}

/* Those who may connect are no more than there is room for. */
struct journal_purse *journal_purse_of_user(struct server *server, uid_t uid) {
    struct journal *journal = server->journal;
    unsigned i = 0;
    while (i < journal->users && journal->user[i].uid != uid)
        i++;
    if (i == USERS)
        i = USERS - 1;
    else if (i == journal->users)
        journal->user[journal->users++].uid = uid;
    return &journal->user[i].purse;
}

/* ---- sources ---- */

static bool is_same(const struct journal_source *a, const struct journal_source *b) {
    return (a->id == b->id || a->id == JOURNAL_UNNAMED) && a->start_time == b->start_time &&
           a->pid == b->pid && a->kind == b->kind && strcmp(a->stream, b->stream) == 0;
}

/* Those that have left make room in the order of their coming, more or less. */
static struct journal_source *find_room(struct journal *journal) {
    for (unsigned i = 0; i < JOURNAL_SOURCES; i++) {
        const unsigned place = journal->next_source++ % JOURNAL_SOURCES;
        struct journal_source *source = &journal->file->source[place];
        if (!journal->is_used[place] && (source->id == 0 || !source->mark.is_present))
            return source;
    }
    return NULL;
}

static struct journal_source *find_source(struct journal *journal,
                                          const struct journal_source *wanted) {
    for (unsigned i = 0; i < JOURNAL_SOURCES; i++)
        if ((journal->id[i] == wanted->id || journal->id[i] == JOURNAL_UNNAMED) &&
            is_same(&journal->file->source[i], wanted))
            return &journal->file->source[i];
    return NULL;
}

struct journal_source *journal_take_source(struct server *server,
                                           const struct journal_source *wanted) {
    struct journal *journal = server->journal;
    if (wanted->id == 0)
        return NULL;
    struct journal_source *source = find_source(journal, wanted);
    if (source && journal->is_used[source - journal->file->source])
        return NULL;
    if (!source && (source = find_room(journal)))
        *source = *wanted;
    if (!source)
        return NULL;
    journal_name_source(server, source, wanted->id);
    journal->is_used[source - journal->file->source] = true;
    return source;
}

void journal_name_source(struct server *server, struct journal_source *source, uint64_t id) {
    struct journal *journal = server->journal;
    source->id = id;
    if (!is_in_file(journal->file, source))
        return;
    journal->id[source - journal->file->source] = id;
    journal_file_write_source(journal->file, &journal->fd, source);
}

void journal_give_source(struct server *server, struct journal_source *source) {
    struct journal *journal = server->journal;
    if (source && is_in_file(journal->file, source))
        journal->is_used[source - journal->file->source] = false;
}

void journal_set_mark(struct server *server, struct journal_source *source,
                      const struct journal_mark *mark) {
    struct journal *journal = server->journal;
    source->mark = *mark;
    if (is_in_file(journal->file, source))
        journal_file_write_source(journal->file, &journal->fd, source);
}

struct journal_source *journal_absent_source(struct server *server,
                                             const struct journal_source *before) {
    struct journal *journal = server->journal;
    unsigned i = before ? (unsigned)(before - journal->file->source) + 1 : 0;
    for (; i < JOURNAL_SOURCES; i++)
        if (journal->file->source[i].mark.is_present && !journal->is_used[i])
            return &journal->file->source[i];
    return NULL;
}

uint32_t journal_newest_reader(const struct server *server) {
    return server->journal->file->newest_reader;
}

/* ---- reading ---- */

static bool may_see(const struct client *client, const struct journal_line *line) {
    return !line->is_private || client->uid == 0 || client->uid == geteuid() ||
           client->uid == line->reader_uid || client->uid == line->writer_uid;
}

/* The first one after number `after` of those that are kept though they are older than the rest.
 * NULL: none. */
static const struct journal_line *find_kept(const struct journal_file *file, uint64_t after,
                                            uint64_t oldest) {
    const struct journal_line *found = NULL;
    for (unsigned share = 0; share < JOURNAL_SHARES; share++)
        for (unsigned i = 0; i < JOURNAL_KEPT; i++) {
            const struct journal_line *line = &file->kept[share][i];
            if (line->event.id > after && line->event.id < oldest &&
                (!found || line->event.id < found->event.id))
                found = line;
        }
    return found;
}

static void show(const struct client *client, const struct journal_line *line,
                 struct shmframe_event *out_event) {
    *out_event = may_see(client, line) ? line->event
                                       : (struct shmframe_event){.id = line->event.id,
                                                                 .time_ns = line->event.time_ns,
                                                                 .wall_ns = line->event.wall_ns};
}

/* Whoever asks for what comes after a number that there has not been yet followed another journal.
 */
bool journal_next(struct client *client, uint64_t after, struct shmframe_event *out_event) {
    const struct journal_file *file = client->server->journal->file;
    const uint64_t newest = file->newest;
    const uint64_t oldest = newest < JOURNAL_EVENTS ? 1 : newest - JOURNAL_EVENTS + 1;
    after = after > newest ? 0 : after;
    const struct journal_line *kept = after < oldest ? find_kept(file, after, oldest) : NULL;
    if (kept) {
        show(client, kept, out_event);
        return true;
    }
    uint64_t id = after < oldest ? oldest : after + 1;
    while (id <= newest && file->line[id % JOURNAL_EVENTS].event.id != id)
        id++; /* damaged */
    if (id > newest)
        return false;
    show(client, &file->line[id % JOURNAL_EVENTS], out_event);
    return true;
}
