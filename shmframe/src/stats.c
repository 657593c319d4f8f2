#include <shmframe/stats.h>

#include "error.h"
#include "layout.h"
#include "list.h"
#include "record.h"
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- lists ---- */

static int compare_streams(const void *left, const void *right) {
    const struct shmframe_stream_info *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static int compare_readers(const void *left, const void *right) {
    const struct shmframe_reader_info *a = left, *b = right;
    return (a->number > b->number) - (a->number < b->number);
}

static int list(struct shmframe_session *session, union message *message, int64_t deadline_ns,
                struct list_state *state, int (*compare)(const void *, const void *)) {
    int code = list_ask(session, message, deadline_ns, state);
    if (code < 0)
        return code;
    const uint32_t have = state->found < state->room ? state->found : state->room;
    if (have)
        qsort(state->out, have, state->item_bytes, compare);
    return (int)state->found;
}

int shmframe_session_streams(struct shmframe_session *session, int64_t deadline_ns,
                             struct shmframe_stream_info *out_streams, uint32_t count) {
    struct list_state state = {.type = MESSAGE_STREAM,
                               .out = out_streams,
                               .item_bytes = sizeof(*out_streams),
                               .offset = offsetof(struct message_stream, info),
                               .room = count};
    union message message;
    message_init(&message, MESSAGE_LIST_STREAMS, 0);
    return list(session, &message, deadline_ns, &state, compare_streams);
}

int shmframe_session_readers(struct shmframe_session *session, const char *stream,
                             int64_t deadline_ns, struct shmframe_reader_info *out_readers,
                             uint32_t count) {
    int code = session_check_stream(stream);
    if (code < 0)
        return code;
    struct list_state state = {.type = MESSAGE_READER,
                               .out = out_readers,
                               .item_bytes = sizeof(*out_readers),
                               .offset = offsetof(struct message_reader, info),
                               .room = count};
    union message message;
    message_init(&message, MESSAGE_LIST_READERS, 0);
    message_put_text(message.list.stream, sizeof(message.list.stream), stream);
    return list(session, &message, deadline_ns, &state, compare_readers);
}

static void init_reader_of(union message *message, enum message_type type, const char *stream,
                           uint32_t number) {
    message_init(message, type, 0);
    message_put_text(message->reader_of.stream, sizeof(message->reader_of.stream), stream);
    message->reader_of.number = number;
}

int shmframe_session_evict(struct shmframe_session *session, const char *stream, uint32_t number,
                           int64_t deadline_ns) {
    int code = session_check_stream(stream);
    if (code < 0)
        return code;
    union message message;
    init_reader_of(&message, MESSAGE_EVICT, stream, number);
    return session_ask(session, &message, NULL, deadline_ns, NULL, NULL);
}

/* ---- others' records ---- */

struct shmframe_record {
    struct region region;
    const struct record_page *page;
};

static bool take_record(void *user, struct channel_mail *mail) {
    int *fd = user;
    if (mail->message.header.type != MESSAGE_RECORD)
        return false;
    *fd = mail->fd[0];
    mail->fd[0] = -1;
    return true;
}

static int map_record(int fd, struct shmframe_record **out_record) {
    int code = region_check(fd, REGION_SEALED, RECORD_BYTES, NULL);
    if (code < 0)
        return code;
    struct shmframe_record *record = calloc(1, sizeof(*record));
    if (!record)
        return error_set(-ENOMEM, "no memory for a record");
    code = region_map(fd, RECORD_BYTES, &record->region);
    if (code == 0) {
        record->page = record->region.base;
        code = record_check(record->page);
    }
    if (code < 0) {
        shmframe_record_close(record);
        return code;
    }
    *out_record = record;
    return 0;
}

int shmframe_record_open(struct shmframe_session *session, const char *stream, uint32_t number,
                         int64_t deadline_ns, struct shmframe_record **out_record) {
    int code = session_check_stream(stream);
    if (code < 0)
        return code;
    union message message;
    init_reader_of(&message, MESSAGE_GET_RECORD, stream, number);
    int fd = -1;
    code = session_ask(session, &message, NULL, deadline_ns, take_record, &fd);
    if (code == 0)
        code = map_record(fd, out_record);
    if (fd >= 0)
        close(fd);
    return code;
}

void shmframe_record_close(struct shmframe_record *record) {
    if (!record)
        return;
    region_unmap(&record->region);
    free(record);
}

void shmframe_record_counters(const struct shmframe_record *record,
                              struct shmframe_reader_counters *out_counters) {
    record_get_counters(record->page, out_counters);
}

int shmframe_record_histogram(const struct shmframe_record *record, enum shmframe_hop hop,
                              struct shmframe_histogram *out_histogram) {
    return record_get_histogram(record->page, hop, out_histogram);
}

int shmframe_record_overruns(const struct shmframe_record *record,
                             struct shmframe_overrun *out_overruns, uint32_t count) {
    return record_get_overruns(record->page, out_overruns, count);
}

void shmframe_record_state(const struct shmframe_record *record,
                           struct shmframe_reader_state *out_state) {
    record_get_state(record->page, out_state);
}

int shmframe_record_flights(const struct shmframe_record *record,
                            struct shmframe_flight *out_flights, uint32_t count) {
    return record_get_flights(record->page, out_flights, count);
}
