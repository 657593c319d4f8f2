/* Names: what a new supervisor needs to know of its streams, in a file beside the socket.
 *
 *   shmframe-names 3
 *   NAME GENERATION GONE_GENERATION SEQUENCE PID START_TIME FOLLOWED    (PID 0: nobody writes it)
 *   =NUMBER RECORD PID START_TIME [NAME]               (a reader, and of what, if it had a link)
 */
#include "stream.h"

#include "limits.h"
#include "server.h"
#include "state_file.h"
#include "step.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HEAD[] = "shmframe-names 3";
enum { LINES_MAX = 65536 };

static void find_owner(const struct stream *stream, pid_t *out_pid, uint64_t *out_start_time) {
    const struct process *owner = stream->writer ? stream->writer->client->process : stream->owner;
    *out_pid = owner ? owner->pid : stream->unwatched_pid;
    *out_start_time = owner ? owner->start_time : stream->unwatched_start_time;
}

static void write_stream(FILE *file, struct stream *stream) {
    pid_t pid;
    uint64_t start_time;
    find_owner(stream, &pid, &start_time);
    stream->followed_saved = stream_followed(stream);
    fprintf(file, "%s %" PRIu32 " %" PRIu32 " %" PRIu64 " %d %" PRIu64 " %" PRIu32 "\n",
            stream->name, stream->generation, stream->gone_generation, stream_head(stream),
            (int)pid, start_time, stream->followed_saved);
}

static void write_former(FILE *file, const struct names_reader *reader) {
    fprintf(file, "=%" PRIu32 " %" PRIx64 " %d %" PRIu64 " %s\n", reader->number, reader->record_id,
            (int)reader->pid, reader->start_time, reader->stream);
}

static void write_reader(FILE *file, const struct stream_reader *reader) {
    const struct process *process = reader->client->process;
    struct names_reader line = {.number = reader->number,
                                .record_id = reader->record_id,
                                .pid = process->pid,
                                .start_time = process->start_time};
    if (reader->generation != 0 && !reader->is_evicted)
        message_put_text(line.stream, sizeof(line.stream), reader->stream->name);
    write_former(file, &line);
}

static bool may_come_back(const struct server *server) {
    return shmframe_now_ns() - server->started_ns < FOLLOWERS_NS;
}

/* ---- readers of before ---- */

static int compare_streams(const void *a, const void *b) {
    const struct names_reader *former_a = a, *former_b = b;
    return strcmp(former_a->stream, former_b->stream);
}

static unsigned find_first(const struct server *server, const char *stream) {
    unsigned first = 0, end = server->former_readers;
    while (first < end) {
        const unsigned middle = first + (end - first) / 2;
        if (strcmp(server->former_reader[middle].stream, stream) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

/* The one of `stream` behind `former` (NULL: the first one) that may come back; NULL: none. */
static struct names_reader *next_of(const struct server *server, const char *stream,
                                    const struct names_reader *former) {
    unsigned i =
        former ? (unsigned)(former - server->former_reader) + 1 : find_first(server, stream);
    for (; i < server->former_readers; i++) {
        struct names_reader *next = &server->former_reader[i];
        if (strcmp(next->stream, stream) != 0)
            break;
        if (next->number != 0)
            return next;
    }
    return NULL;
}

static void stop_watching(struct names_reader *former) {
    process_release(former->process);
    former->process = NULL;
}

void names_forget(struct server *server, const struct process *process) {
    for (unsigned i = 0; i < server->former_readers; i++) {
        struct names_reader *former = &server->former_reader[i];
        if (former->pid != process->pid || former->start_time != process->start_time)
            continue;
        stop_watching(former);
        former->number = 0;
    }
}

void names_end_return(struct server *server) {
    if (!server->watches_former || may_come_back(server))
        return;
    for (unsigned i = 0; i < server->former_readers; i++)
        stop_watching(&server->former_reader[i]);
    server->watches_former = false;
}

/* ---- the file ---- */

static void write_readers(FILE *file, const struct server *server) {
    const struct stream *stream;
    const struct stream_reader *reader;
    TAILQ_FOREACH (stream, &server->streams, all)
        TAILQ_FOREACH (reader, &stream->readers, of_stream)
            write_reader(file, reader);
    /* Those of the former supervisor who may come back yet. */
    for (unsigned i = 0; may_come_back(server) && i < server->former_readers; i++)
        if (server->former_reader[i].number != 0)
            write_former(file, &server->former_reader[i]);
}

static int make_text(struct server *server, char **out_text, size_t *out_bytes) {
    FILE *file = open_memstream(out_text, out_bytes);
    if (file) {
        fprintf(file, "%s\n", HEAD);
        struct stream *stream;
        TAILQ_FOREACH (stream, &server->streams, all)
            if (stream->generation > 0)
                write_stream(file, stream);
        write_readers(file, server);
    }
    return state_file_finish_text(file, out_text);
}

void names_save(struct server *server) {
    server->names_changed = false;
    const struct listener *listener = &server->listener;
    if (listener->folder < 0)
        return;
    char *text = NULL;
    size_t bytes;
    int code = make_text(server, &text, &bytes);
    if (code == 0)
        code = state_file_write(listener->folder, listener->names, text, bytes);
    free(text);
    STEP(NAMES_WRITTEN);
    if (code == 0)
        code = state_file_replace(listener->folder, listener->names);
    if (code == 0)
        return;
    struct stream *stream;
    TAILQ_FOREACH (stream, &server->streams, all)
        stream->followed_saved = UINT32_MAX; /* the next link tries again */
    log_trouble("event=names-not-saved file=%s reason=%s", log_quote(listener->names).text,
                log_quote(strerror(-code)).text);
}

static void load_stream(struct server *server, const char *line) {
    char name[SHMFRAME_NAME_BYTES];
    uint32_t generation, gone_generation, followed;
    uint64_t sequence, start_time;
    int pid;
    if (sscanf(line, "%63s %" SCNu32 " %" SCNu32 " %" SCNu64 " %d %" SCNu64 " %" SCNu32, name,
               &generation, &gone_generation, &sequence, &pid, &start_time, &followed) != 7 ||
        !shmframe_name_is_valid(name) || generation == 0 || gone_generation > generation ||
        stream_find(server, name))
        return;
    struct stream *stream;
    if (stream_get(server, name, &stream) < 0)
        return;
    stream->generation = generation;
    stream->is_numbered = true;
    stream->gone_generation = gone_generation;
    stream->sequence = sequence <= LIMIT_SEQUENCE_SEEN ? sequence : 0;
    stream->former_followed = stream->followed_saved = followed <= generation ? followed : 0;
    stream->idle_ns = shmframe_now_ns() - ENDED_LISTED_NS;
    stream->unwatched_pid = pid;
    stream->unwatched_start_time = start_time;
    stream_watch_owner(stream);
    const bool is_owned = stream->owner || stream->unwatched_pid;
    if (!is_owned)
        stream->gone_generation = generation;
    stream->state = is_owned ? SHMFRAME_STREAM_LIVE : SHMFRAME_STREAM_WRITER_GONE;
}

static void load_reader(struct server *server, const char *line) {
    struct names_reader reader = {0};
    int pid;
    if (sscanf(line, "=%" SCNu32 " %" SCNx64 " %d %" SCNu64 " %63s", &reader.number,
               &reader.record_id, &pid, &reader.start_time, reader.stream) < 4 ||
        reader.number == 0 || reader.number > LIMIT_GENERATION_TOLD)
        return;
    reader.pid = pid;
    const unsigned count = server->former_readers;
    if ((count & (count - 1)) == 0) { /* a power of two: full */
        struct names_reader *grown =
            realloc(server->former_reader, (count ? 2 * count : 1) * sizeof(*grown));
        if (!grown)
            return;
        server->former_reader = grown;
    }
    server->former_reader[server->former_readers++] = reader;
    if (reader.number > server->next_reader)
        server->next_reader = reader.number;
}

static bool is_of(const struct names_reader *former, const struct process *process,
                  uint64_t record_id) {
    return former->record_id == record_id && former->pid == process->pid &&
           former->start_time == process->start_time;
}

uint32_t names_number_reader(struct stream_reader *reader) {
    const struct process *process = reader->client->process;
    struct server *server = reader->client->server;
    for (unsigned i = 0; i < server->former_readers; i++) {
        struct names_reader *former = &server->former_reader[i];
        if (former->number == 0 || !is_of(former, process, reader->record_id))
            continue;
        const uint32_t number = former->number;
        stop_watching(former);
        former->number = 0;
        reader->is_known = strcmp(former->stream, reader->stream->name) == 0;
        return number;
    }
    return ++server->next_reader;
}

bool names_know_reader(const struct server *server, const struct process *process,
                       uint64_t record_id, const char *stream) {
    const struct names_reader *former = NULL;
    while ((former = next_of(server, stream, former)))
        if (is_of(former, process, record_id))
            return true;
    return false;
}

unsigned names_count_links(const struct server *server, const struct process *process,
                           const char *stream) {
    unsigned count = 0;
    const struct names_reader *former = NULL;
    while (may_come_back(server) && (former = next_of(server, stream, former)))
        count += is_of(former, process, former->record_id);
    return count;
}

/* Whether it lives, and may tell of it yet. It is looked up once: there may be thousands. */
static bool is_awaited(struct server *server, struct names_reader *former) {
    int code = 0;
    if (!former->process)
        code = process_find(server, former->pid, former->start_time, &former->process);
    if (code == -ESRCH)
        former->number = 0;
    if (code < 0) /* nobody knows whether it lives, but one whose session is back would be known */
        return code != -ESRCH;
    server->watches_former = true;
    return !process_is_back(former->process, GRACE_NS) && !process_is_dead(former->process);
}

bool names_await_reader(const struct stream *stream) {
    struct server *server = stream->server;
    if (!may_come_back(server))
        return false;
    struct names_reader *former = NULL;
    while ((former = next_of(server, stream->name, former)))
        if (is_awaited(server, former))
            return true;
    const struct stream_reader *reader;
    TAILQ_FOREACH (reader, &stream->readers, of_stream)
        if (stream_reader_is_to_show(reader) && !process_is_back(reader->client->process, GRACE_NS))
            return true;
    return false;
}

void names_load(struct server *server) {
    const struct listener *listener = &server->listener;
    size_t bytes;
    char *text = NULL;
    if (listener->folder >= 0)
        text = state_file_read(listener->folder, listener->names, &bytes);
    char *rest = text;
    const char *line = strsep(&rest, "\n");
    if (line && strcmp(line, HEAD) == 0)
        for (unsigned i = 0; i < LINES_MAX && (line = strsep(&rest, "\n")); i++) {
            if (line[0] == '=')
                load_reader(server, line);
            else
                load_stream(server, line);
        }
    if (server->former_readers > 0)
        qsort(server->former_reader, server->former_readers, sizeof(*server->former_reader),
              compare_streams);
    free(text);
}
