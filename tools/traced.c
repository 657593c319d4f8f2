#include "traced.h"

#include "program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* As long as a reader may need to be listed by a supervisor that was started again. */
#define GONE_NS INT64_C(10000000000)

void traced_init(struct traced *stream, const char *name, int64_t from_ns) {
    *stream = (struct traced){.name = name, .from_ns = from_ns};
    tracing_writer_init(&stream->writer, name);
}

/* ---- readers ---- */

static bool is_same_reader(const struct shmframe_reader_info *a,
                           const struct shmframe_reader_info *b) {
    return a->pid == b->pid &&
           (a->record_id && b->record_id ? a->record_id == b->record_id : a->number == b->number);
}

static struct traced_reader *find_reader(struct traced *stream,
                                         const struct shmframe_reader_info *info) {
    for (unsigned i = 0; i < stream->readers; i++)
        if (is_same_reader(&stream->reader[i].info, info))
            return &stream->reader[i];
    return NULL;
}

static void warn_of_refusal(const struct traced *stream, const struct shmframe_reader_info *info,
                            int code) {
    program_warn("what reader %u (%s) of %s took is not in the trace: %s", info->number, info->name,
                 stream->name, code == -EACCES ? "it is another user's" : shmframe_last_error());
}

static struct recorder *open_recorder(const struct traced *stream,
                                      const struct shmframe_reader_info *info,
                                      struct shmframe_record *record, bool is_new) {
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    if (!recorder)
        program_fail("no memory for the frames of a reader");
    recorder->record = record;
    recorder->is_new = is_new;
    tracing_reader_init(&recorder->tracing, stream->name, info->number, info->name, info->pid);
    return recorder;
}

/* One that is gone meanwhile, or whose supervisor is, is not added: the next update tells. */
static struct traced_reader *add_reader(struct traced *stream, struct shmframe_session *session,
                                        const struct shmframe_reader_info *info, bool is_new) {
    struct shmframe_record *record = NULL;
    const int code = shmframe_record_open(session, stream->name, info->number,
                                          shmframe_deadline_ns(INT64_C(5000000000)), &record);
    if (code < 0 && code != -EACCES && code != -EPROTO && code != -ENOMEM)
        return NULL;
    struct traced_reader *list =
        realloc(stream->reader, (stream->readers + 1) * sizeof(*stream->reader));
    if (!list)
        program_fail("no memory for a list of %u readers", stream->readers + 1);
    stream->reader = list;
    struct traced_reader *reader = &list[stream->readers++];
    *reader = (struct traced_reader){.info = *info};
    if (code < 0)
        warn_of_refusal(stream, info, code);
    else
        reader->recorder = open_recorder(stream, info, record, is_new);
    return reader;
}

static void warn_of_missed(const struct traced *stream, const struct traced_reader *reader,
                           uint64_t missed) {
    if (missed)
        program_warn("%" PRIu64 " lines of reader %u of %s were overwritten before they were seen",
                     missed, reader->info.number, stream->name);
}

/* What it has is told already. */
static void finish_reader(struct traced *stream, struct traced_reader *reader) {
    struct recorder *recorder = reader->recorder;
    if (!recorder)
        return;
    const uint64_t missed = recorder->missed_flights + recorder->missed_overruns;
    warn_of_missed(stream, reader, missed);
    stream->missed += missed;
    stream->flights += recorder->tracing.flights;
    shmframe_record_close(recorder->record);
    free(recorder);
}

/* ---- who is there ---- */

/* However many there are. */
static int list_readers(const struct traced *stream, struct shmframe_session *session,
                        struct shmframe_reader_info **out_list) {
    struct shmframe_reader_info *list = NULL;
    for (uint32_t room = 64;; room *= 2) {
        free(list);
        list = calloc(room, sizeof(*list));
        if (!list)
            program_fail("no memory for a list of %u readers", room);
        const int count = shmframe_session_readers(
            session, stream->name, shmframe_deadline_ns(INT64_C(5000000000)), list, room);
        if (count <= (int)room) {
            *out_list = list;
            return count;
        }
    }
}

int traced_update(struct traced *stream, struct shmframe_session *session,
                  const struct shmframe_stream_info *info, bool is_first) {
    const int64_t now_ns = shmframe_now_ns();
    if (!info)
        return 0;
    /* The journal knows better, but not of what it has no line for. */
    if (stream->writer.makers == 0)
        tracing_writer_begins(&stream->writer, info->writer_pid, info->writer, 0);
    else if (info->writer_pid)
        tracing_writer_begins(&stream->writer, info->writer_pid, info->writer, now_ns);
    struct shmframe_reader_info *list;
    const int count = list_readers(stream, session, &list);
    for (int i = 0; i < count; i++) {
        struct traced_reader *reader = find_reader(stream, &list[i]);
        if (!reader)
            reader = add_reader(stream, session, &list[i], !is_first);
        if (!reader)
            continue;
        reader->info = list[i];
        reader->listed_ns = now_ns;
    }
    free(list);
    return count < 0 && count != -ENOENT ? count : 0;
}

/* ---- the journal ---- */

static bool is_known(const struct traced *stream, uint32_t number) {
    for (unsigned i = 0; i < stream->readers; i++)
        if (stream->reader[i].info.number == number)
            return true;
    return false;
}

bool traced_take_event(struct traced *stream, const struct shmframe_event *event,
                       struct chrome *chrome) {
    if (strcmp(event->stream, stream->name) != 0)
        return false;
    const bool is_within = event->time_ns >= stream->from_ns;
    if (event->type == SHMFRAME_JOURNAL_STREAM_LIVE)
        tracing_writer_begins(&stream->writer, event->pid, event->name, event->time_ns);
    else if (event->type == SHMFRAME_JOURNAL_LOSS && event->cause >= SHMFRAME_CAUSE_WRITER_LATE &&
             event->cause <= SHMFRAME_CAUSE_POOL && is_within && stream->writer.makers)
        tracing_add_loss(chrome, &stream->writer, event);
    else if (event->type == SHMFRAME_JOURNAL_READER_LEFT && is_within &&
             !is_known(stream, event->reader))
        program_warn("what reader %" PRIu32 " (%s) of %s took is not in the trace: it left before "
                     "it was looked at",
                     event->reader, event->name, stream->name);
    return event->type == SHMFRAME_JOURNAL_READER_JOINED;
}

/* ---- looking ---- */

void traced_look(struct traced *stream, struct chrome *chrome, bool is_last) {
    for (unsigned i = 0; i < stream->readers; i++) {
        struct traced_reader *reader = &stream->reader[i];
        if (!reader->recorder)
            continue;
        if (!reader->is_named)
            chrome_name_process(chrome, reader->info.pid, reader->info.name);
        reader->is_named = true;
        recorder_look(reader->recorder, stream->from_ns, is_last, &stream->finds);
        recorder_tell_overruns(reader->recorder, stream->from_ns, chrome);
    }
}

/* Readers that are gone, and told. What they held they held until then. */
static void forget_readers_gone(struct traced *stream, struct chrome *chrome, int64_t now_ns) {
    unsigned kept = 0;
    for (unsigned i = 0; i < stream->readers; i++) {
        struct traced_reader *reader = &stream->reader[i];
        if (now_ns - reader->listed_ns < GONE_NS) {
            stream->reader[kept++] = *reader;
            continue;
        }
        if (reader->recorder) {
            recorder_look(reader->recorder, stream->from_ns, true, &stream->finds);
            recorder_tell(&stream->finds, chrome, &stream->writer, reader->listed_ns);
        }
        finish_reader(stream, reader);
    }
    stream->readers = kept;
}

void traced_tell(struct traced *stream, struct chrome *chrome) {
    const int64_t now_ns = shmframe_now_ns();
    recorder_tell(&stream->finds, chrome, &stream->writer, now_ns);
    forget_readers_gone(stream, chrome, now_ns);
}

bool traced_is_due(const struct traced *stream) {
    for (unsigned i = 0; i < stream->readers; i++)
        if (stream->reader[i].recorder && recorder_is_due(stream->reader[i].recorder))
            return true;
    return false;
}

/* ---- the end ---- */

static void warn_of_reach(const struct traced *stream, const struct traced_reader *reader) {
    const struct recorder *recorder = reader->recorder;
    if (!recorder || recorder->lines < SHMFRAME_FLIGHTS ||
        recorder->line[0].acquire_ns <= stream->from_ns)
        return;
    program_warn("the recorder of reader %u of %s goes back to %.3f s after the beginning of "
                 "what was asked for; --duration follows it",
                 reader->info.number, stream->name,
                 (double)(recorder->line[0].acquire_ns - stream->from_ns) / 1e9);
}

uint64_t traced_finish(struct traced *stream, bool has_followed) {
    for (unsigned i = 0; i < stream->readers; i++) {
        if (!has_followed)
            warn_of_reach(stream, &stream->reader[i]);
        finish_reader(stream, &stream->reader[i]);
    }
    if (stream->flights == 0)
        program_warn("no reader of %s took a frame: the trace has none of it", stream->name);
    free(stream->reader);
    free(stream->finds.find);
    tracing_writer_finish(&stream->writer);
    return stream->missed;
}
