#include "journal_file.h"

#include "error.h"
#include "server.h"
#include "state_file.h"
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char MAGIC[16] = "shmframe-log 2\n";

/* ---- what is in it ---- */

static bool is_text(const char *text, size_t bytes) {
    return memchr(text, '\0', bytes) != NULL;
}

static bool is_event(const struct shmframe_event *event) {
    return event->type > SHMFRAME_JOURNAL_NONE && event->type < SHMFRAME_JOURNAL_TYPES &&
           event->cause < SHMFRAME_CAUSES && is_text(event->stream, sizeof(event->stream)) &&
           is_text(event->name, sizeof(event->name)) &&
           is_text(event->culprit, sizeof(event->culprit)) &&
           is_text(event->text, sizeof(event->text));
}

static bool is_line(const struct journal_line *line, uint64_t id) {
    return line->event.id == id && is_event(&line->event) && line->source <= JOURNAL_SOURCES;
}

static bool is_source(const struct journal_source *source) {
    return (source->kind == JOURNAL_READER || source->kind == JOURNAL_WRITER) &&
           is_text(source->stream, sizeof(source->stream)) &&
           is_text(source->name, sizeof(source->name));
}

static const char *find_fault(const struct journal_file *file, const char boot[40]) {
    if (memcmp(file->magic, MAGIC, sizeof(MAGIC)) != 0)
        return "it does not begin as a journal";
    if (file->line_bytes != sizeof(struct journal_line) ||
        file->source_bytes != sizeof(struct journal_source))
        return "it is of another version";
    if (memcmp(file->boot, boot, sizeof(file->boot)) != 0)
        return "it is of another boot";
    if (file->newest != 0 && !is_line(&file->line[file->newest % JOURNAL_EVENTS], file->newest))
        return "its newest line is damaged";
    if (file->applied > file->newest || file->newest - file->applied > 1)
        return "its numbers do not fit together";
    return NULL;
}

static void apply(struct journal_file *file, uint64_t id) {
    const struct journal_line *line = &file->line[id % JOURNAL_EVENTS];
    if (line->source)
        file->source[line->source - 1].mark = line->mark;
    file->applied = id;
}

/* Whatever makes no sense is nothing. */
static void mend(struct journal_file *file) {
    const uint64_t newest = file->newest;
    for (uint64_t i = 0; i < JOURNAL_EVENTS && i < newest; i++) {
        struct journal_line *line = journal_file_line(file, newest - i);
        if (!is_line(line, newest - i))
            *line = (struct journal_line){0};
    }
    for (unsigned share = 0; share < JOURNAL_SHARES; share++)
        for (unsigned i = 0; i < JOURNAL_KEPT; i++) {
            struct journal_line *line = &file->kept[share][i];
            if (line->event.id > newest || !is_line(line, line->event.id))
                *line = (struct journal_line){0};
        }
    for (unsigned i = 0; i < JOURNAL_SOURCES; i++)
        if (file->source[i].id != 0 && !is_source(&file->source[i]))
            file->source[i] = (struct journal_source){0};
}

/* ---- where it is ---- */

/* Errors: any, with its sentence. */
static int open_file(const struct server *server, int *out_fd) {
    const struct listener *listener = &server->listener;
    const int fd = openat(listener->folder, listener->journal,
                          O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(-errno, "%s", strerror(errno));
    struct stat info;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET}; /* no child inherits it */
    int code = 0;
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid())
        code = error_set(-EACCES, "it is no file of this user: remove it");
    else if ((info.st_mode & 077) && fchmod(fd, 0600) < 0)
        code = error_set(-errno, "%s", strerror(errno));
    else if (fcntl(fd, F_SETLK, &lock) < 0)
        code = error_set(-EBUSY, "another supervisor writes it");
    else if (info.st_size != sizeof(struct journal_file) && ftruncate(fd, 0) < 0)
        code = error_set(-errno, "%s", strerror(errno));
    /* Room now, where it can be refused: not when a line is written. */
    if (code == 0 && (code = -posix_fallocate(fd, 0, sizeof(struct journal_file))) < 0)
        error_set(code, "%s", strerror(-code));
    if (code < 0)
        close(fd);
    else
        *out_fd = fd;
    return code;
}

/* ---- writing ---- */

static bool put(const struct journal_file *file, int fd, const void *what, size_t bytes) {
    const off_t at = (const char *)what - (const char *)file;
    return pwrite(fd, what, bytes, at) == (ssize_t)bytes;
}

/* It is a journal once it begins as one. */
static bool put_all(const struct journal_file *file, int fd) {
    static const char nothing[sizeof(file->magic)];
    const char *rest = (const char *)file + sizeof(file->magic);
    return pwrite(fd, nothing, sizeof(nothing), 0) == sizeof(nothing) &&
           posix_fallocate(fd, 0, sizeof(*file)) == 0 &&
           put(file, fd, rest, sizeof(*file) - sizeof(file->magic)) &&
           put(file, fd, file->magic, sizeof(file->magic));
}

static bool put_numbers(const struct journal_file *file, int fd) {
    const size_t at = offsetof(struct journal_file, newest);
    return put(file, fd, (const char *)file + at, offsetof(struct journal_file, source) - at);
}

/* Somebody may have emptied it. */
static bool is_whole(int fd) {
    struct stat info;
    return fstat(fd, &info) == 0 && info.st_size == sizeof(struct journal_file);
}

static enum journal_share share_of(enum shmframe_event_type type) {
    switch (type) {
    case SHMFRAME_JOURNAL_SUPERVISOR:
    case SHMFRAME_JOURNAL_NODE:
        return JOURNAL_OF_NODES;
    case SHMFRAME_JOURNAL_STREAM_LIVE:
    case SHMFRAME_JOURNAL_STREAM_ENDED:
    case SHMFRAME_JOURNAL_WRITER_GONE:
        return JOURNAL_OF_STREAMS;
    case SHMFRAME_JOURNAL_NONE:
    case SHMFRAME_JOURNAL_READER_JOINED:
    case SHMFRAME_JOURNAL_READER_LEFT:
    case SHMFRAME_JOURNAL_LOSS:
    case SHMFRAME_JOURNAL_HOLD:
    case SHMFRAME_JOURNAL_HOLD_OVER:
    case SHMFRAME_JOURNAL_STALL:
    case SHMFRAME_JOURNAL_STALL_OVER:
    case SHMFRAME_JOURNAL_TYPES:
        break;
    }
    return JOURNAL_SHARES;
}

/* NULL: it is of no share. */
static const struct journal_line *keep(struct journal_file *file, const struct journal_line *line) {
    const enum journal_share share = share_of((enum shmframe_event_type)line->event.type);
    if (share == JOURNAL_SHARES)
        return NULL;
    struct journal_line *kept = &file->kept[share][file->kept_lines[share]++ % JOURNAL_KEPT];
    *kept = *line;
    return kept;
}

static bool put_mark(struct journal_file *file, int fd, uint64_t id) {
    const struct journal_line *line = journal_file_line(file, id);
    apply(file, id);
    return (!line->source ||
            put(file, fd, &file->source[line->source - 1], sizeof(file->source[0]))) &&
           put_numbers(file, fd);
}

/* Who is killed is killed between two of these, or within the first: that one does not count yet.
 */
static bool put_line(struct journal_file *file, int fd, uint64_t id) {
    const struct journal_line *line = journal_file_line(file, id);
    const struct journal_line *kept = keep(file, line);
    file->newest = id;
    bool is_put =
        put(file, fd, line, sizeof(*line)) && (!kept || put(file, fd, kept, sizeof(*kept)));
    STEP(JOURNAL_WRITTEN);
    is_put = is_put && put_numbers(file, fd);
    return put_mark(file, fd, id) && is_put;
}

/* What it has so far stays true: the next supervisor goes on from there. */
static void give_up(int *fd) {
    log_trouble("event=journal-not-kept reason=\"its file cannot be written any more\"");
    close(*fd);
    *fd = -1;
}

static void begin(struct journal_file *file, const char boot[40]) {
    memset(file, 0, sizeof(*file));
    file->line_bytes = sizeof(struct journal_line);
    file->source_bytes = sizeof(struct journal_source);
    memcpy(file->boot, boot, sizeof(file->boot));
    memcpy(file->magic, MAGIC, sizeof(MAGIC));
}

/* As far as it can be read. */
static void read_file(struct journal_file *file, int fd) {
    size_t at = 0;
    ssize_t bytes = 1;
    while (at < sizeof(*file) && bytes > 0) {
        bytes = pread(fd, (char *)file + at, sizeof(*file) - at, (off_t)at);
        at += bytes > 0 ? (size_t)bytes : 0;
    }
}

static void take_or_begin(struct server *server, struct journal_file *file, int *fd) {
    char boot[40];
    state_file_read_boot(boot);
    static const char nothing[sizeof(file->magic)];
    const bool is_new = memcmp(file->magic, nothing, sizeof(nothing)) == 0;
    const char *fault = find_fault(file, boot);
    if (fault && !is_new)
        log_trouble("event=journal-begun-anew file=%s reason=%s",
                    log_quote(server->listener.journal).text, log_quote(fault).text);
    if (fault)
        begin(file, boot);
    else
        mend(file);
    bool is_put = true;
    if (*fd >= 0 && fault)
        is_put = put_all(file, *fd);
    else if (*fd >= 0 && file->applied != file->newest)
        is_put = put_mark(file, *fd, file->newest);
    if (!is_put)
        give_up(fd);
}

struct journal_file *journal_file_open(struct server *server, int *out_fd) {
    struct journal_file *file = calloc(1, sizeof(*file));
    *out_fd = -1;
    if (!file)
        return NULL;
    if (server->listener.folder >= 0 && open_file(server, out_fd) < 0)
        log_trouble("event=journal-not-kept file=%s reason=%s",
                    log_quote(server->listener.journal).text,
                    log_quote(shmframe_last_error()).text);
    if (*out_fd >= 0)
        read_file(file, *out_fd);
    take_or_begin(server, file, out_fd);
    return file;
}

void journal_file_write_source(struct journal_file *file, int *fd,
                               const struct journal_source *source) {
    if (*fd >= 0 && is_whole(*fd) && !put(file, *fd, source, sizeof(*source)))
        give_up(fd);
}

void journal_file_commit(struct journal_file *file, int *fd, uint64_t id) {
    bool is_put = true;
    if (*fd >= 0 && is_whole(*fd)) {
        is_put = put_line(file, *fd, id);
    } else {
        keep(file, journal_file_line(file, id));
        file->newest = id;
        apply(file, id);
        is_put = *fd < 0 || put_all(file, *fd);
    }
    if (!is_put)
        give_up(fd);
}
