/* The journal's file: what lies where, so that whoever is killed leaves it whole.
 *
 * The truth is in memory, and each line is written as it comes: whatever happens to the file, the
 * supervisor goes on.
 */
#ifndef SERVER_JOURNAL_FILE_H
#define SERVER_JOURNAL_FILE_H

#include "journal.h"

enum {
    JOURNAL_EVENTS = 4096, /* that are kept */
    JOURNAL_KEPT = 512,    /* of each share besides, as its newest */
    JOURNAL_SOURCES = 2048,
};

/* What is to be seen still when losses have filled the rest. */
enum journal_share { JOURNAL_OF_NODES, JOURNAL_OF_STREAMS, JOURNAL_SHARES };

struct journal_line {
    struct shmframe_event event;
    uint32_t source; /* 1 + its place; 0: none */
    uint32_t is_private, reader_uid, writer_uid;
    struct journal_mark mark;
};

struct journal_file {
    char magic[16];
    uint32_t line_bytes, source_bytes;
    char boot[40]; /* times of another boot mean nothing */
    /* A line counts once `newest` is its number; its mark stands in its source once `applied` is.
     */
    uint64_t newest, applied;
    uint64_t kept_lines[JOURNAL_SHARES];
    uint32_t newest_reader, reserved;
    struct journal_source source[JOURNAL_SOURCES];
    struct journal_line line[JOURNAL_EVENTS]; /* at id % JOURNAL_EVENTS */
    struct journal_line kept[JOURNAL_SHARES][JOURNAL_KEPT];
};

/* What is in PATH.journal, if that makes sense; otherwise it is empty. Its descriptor is -1 if
 * there can be no such file, as the log then says. NULL: no memory. */
struct journal_file *journal_file_open(struct server *server, int *out_fd);

/* The next one to write in. */
static inline struct journal_line *journal_file_line(struct journal_file *file, uint64_t id) {
    return &file->line[id % JOURNAL_EVENTS];
}
/* It counts from here on, and its mark with it. A file that cannot be written any more is closed,
 * and its descriptor -1 then. */
void journal_file_commit(struct journal_file *file, int *fd, uint64_t id);
/* The source has become another's. */
void journal_file_write_source(struct journal_file *file, int *fd,
                               const struct journal_source *source);

#endif
