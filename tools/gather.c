#include "gather.h"
#include "gather_answers.h"
#include "gather_process.h"
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Rates are of so long at least: of a shorter time they would jump with every frame. */
#define RATE_NS INT64_C(1000000000)

struct rate_meter {
    int64_t time_ns;
    uint64_t count;
    double rate_hz;
};

/* What is kept of a reader and a stream from one picture to the next. */
struct known_reader {
    uint64_t record_id; /* as its process says: with the pid it names the reader */
    int32_t pid;
    uint64_t round;
    int64_t absent_ns; /* of the first picture without it; 0: it is in the newest */
    enum gather_unmeasured unmeasured;
    struct shmframe_record *record; /* NULL: unmeasured */
    struct rate_meter rate;
    struct hops all, span;
};

struct known_stream {
    struct shmframe_stream_info info; /* the newest with a writer: others count nothing */
    int64_t absent_ns;                /* as a reader's */
    struct rate_meter rate;
};

struct picture {
    struct gather gather; /* first: what others see */
    struct gather_answers answers;
    struct gather_processes processes;
    struct gather_reader *reader; /* of all streams */
    struct known_reader **known_reader;
    uint32_t known_readers, known_reader_room;
    struct known_stream *known_stream, *new_stream;
    uint32_t known_streams;
    uint64_t round;
    struct hops scratch; /* large: not on the stack */
    struct shmframe_flight flight[SHMFRAME_FLIGHTS];
};

/* ---- life ---- */

struct gather *gather_open(struct shmframe_session *session) {
    struct picture *picture = gather_grow(NULL, sizeof(*picture), 1);
    memset(picture, 0, sizeof(*picture));
    picture->gather.session = session;
    return &picture->gather;
}

static void forget_reader(struct known_reader *known) {
    shmframe_record_close(known->record);
    free(known);
}

void gather_close(struct gather *gather) {
    if (!gather)
        return;
    struct picture *picture = (struct picture *)gather;
    for (uint32_t i = 0; i < picture->known_readers; i++)
        forget_reader(picture->known_reader[i]);
    gather_processes_finish(&picture->processes);
    free(picture->known_reader);
    free(picture->known_stream);
    free(picture->new_stream);
    free(picture->reader);
    free(picture->gather.stream);
    free(picture->gather.node);
    gather_answers_finish(&picture->answers);
    free(picture);
}

/* ---- rates ---- */

static void meter_rate(struct rate_meter *meter, int64_t now_ns, uint64_t count) {
    if (meter->time_ns == 0 || count < meter->count) {
        *meter = (struct rate_meter){now_ns, count, meter->time_ns ? -1 : meter->rate_hz};
    } else if (now_ns - meter->time_ns >= RATE_NS) {
        meter->rate_hz = (double)(count - meter->count) * 1e9 / (double)(now_ns - meter->time_ns);
        meter->time_ns = now_ns;
        meter->count = count;
    }
}

/* Of what is seen for the first time, from a reader's newest flights; below 0: they do not tell. */
static double rate_of(uint64_t frames, int64_t from_ns, int64_t to_ns) {
    return frames && to_ns > from_ns ? (double)frames * 1e9 / (double)(to_ns - from_ns) : -1;
}

static void seed_rates(struct picture *picture, struct known_reader *reader,
                       struct rate_meter *stream) {
    const struct shmframe_flight *flight = picture->flight;
    const int count = shmframe_record_flights(reader->record, picture->flight, SHMFRAME_FLIGHTS);
    const int64_t since_ns = shmframe_now_ns() - 2 * RATE_NS;
    int first = 0;
    while (first < count && flight[first].acquire_ns < since_ns)
        first++;
    if (first >= count)
        return;
    const struct shmframe_flight *from = &flight[first], *to = &flight[count - 1];
    reader->rate.rate_hz = rate_of((uint64_t)(to - from), from->acquire_ns, to->acquire_ns);
    if (stream->time_ns == 0 && stream->rate_hz < 0)
        stream->rate_hz = rate_of(to->sequence - from->sequence, from->publish_ns, to->publish_ns);
}

/* ---- records ---- */

static struct known_reader *find_known(const struct picture *picture,
                                       const struct shmframe_reader_info *info) {
    for (uint32_t i = 0; i < picture->known_readers; i++) {
        struct known_reader *known = picture->known_reader[i];
        if (known->record_id == info->record_id && known->pid == info->pid)
            return known;
    }
    return NULL;
}

static struct known_reader *add_known(struct picture *picture,
                                      const struct shmframe_reader_info *info) {
    if (picture->known_readers == picture->known_reader_room) {
        picture->known_reader_room += 16;
        picture->known_reader = gather_grow(picture->known_reader, sizeof(struct known_reader *),
                                            picture->known_reader_room);
    }
    struct known_reader *known = gather_grow(NULL, sizeof(*known), 1);
    memset(known, 0, sizeof(*known));
    known->record_id = info->record_id;
    known->pid = info->pid;
    known->rate.rate_hz = -1;
    picture->known_reader[picture->known_readers++] = known;
    return known;
}

static void read_record(struct picture *picture, struct known_reader *known, bool is_new) {
    hops_read_record(&picture->scratch, known->record);
    known->span = picture->scratch;
    if (!is_new)
        hops_subtract(&known->span, &known->all);
    else if (picture->gather.time_ns == 0)
        memset(&known->span, 0, sizeof(known->span));
    known->all = picture->scratch;
}

/* Those that have been missing for so long. */
static void forget_readers_gone(struct picture *picture, int64_t absent_ns) {
    const int64_t now_ns = shmframe_now_ns();
    uint32_t kept = 0;
    for (uint32_t i = 0; i < picture->known_readers; i++) {
        struct known_reader *known = picture->known_reader[i];
        if (known->absent_ns == 0 || now_ns - known->absent_ns < absent_ns)
            picture->known_reader[kept++] = known;
        else
            forget_reader(known);
    }
    picture->known_readers = kept;
}

static void note_readers_gone(struct picture *picture) {
    for (uint32_t i = 0; i < picture->known_readers; i++) {
        struct known_reader *known = picture->known_reader[i];
        if (known->round != picture->round && known->absent_ns == 0)
            known->absent_ns = shmframe_now_ns();
    }
    forget_readers_gone(picture, GATHER_ABSENT_NS);
}

/* Room for one more record, taken from those who are missing if need be. */
static bool has_room(struct picture *picture) {
    if (picture->known_readers >= GATHER_RECORDS_MAX)
        forget_readers_gone(picture, 0);
    return picture->known_readers < GATHER_RECORDS_MAX;
}

static enum gather_unmeasured open_record(struct picture *picture, const char *stream,
                                          const struct shmframe_reader_info *info,
                                          int64_t deadline_ns, struct known_reader **out_known) {
    *out_known = NULL;
    if (!has_room(picture)) {
        picture->gather.undetailed++;
        return GATHER_TOO_MANY;
    }
    struct shmframe_record *record = NULL;
    const int code =
        shmframe_record_open(picture->gather.session, stream, info->number, deadline_ns, &record);
    if (code < 0 && code != -EACCES && code != -EPROTO)
        return GATHER_UNREADABLE; /* gone meanwhile, or the supervisor is: the next update sees */
    *out_known = add_known(picture, info);
    (*out_known)->record = record;
    (*out_known)->unmeasured = code == 0         ? GATHER_MEASURED
                               : code == -EACCES ? GATHER_REFUSED
                                                 : GATHER_UNREADABLE;
    return (*out_known)->unmeasured;
}

static void look_at_record(struct picture *picture, const char *stream,
                           struct gather_reader *reader, struct rate_meter *stream_rate,
                           int64_t deadline_ns) {
    reader->unmeasured = GATHER_UNREADABLE;
    if (reader->info.record_id == 0)
        return;
    struct known_reader *known = find_known(picture, &reader->info);
    const bool is_new = !known;
    reader->unmeasured = known ? known->unmeasured
                               : open_record(picture, stream, &reader->info, deadline_ns, &known);
    if (!known)
        return;
    known->round = picture->round;
    known->absent_ns = 0;
    if (!known->record)
        return;
    if (is_new)
        seed_rates(picture, known, stream_rate);
    read_record(picture, known, is_new);
    meter_rate(&known->rate, shmframe_now_ns(), known->all.counters.delivered);
    reader->record = known->record;
    reader->all = &known->all;
    reader->span = &known->span;
    reader->rate_hz = known->rate.rate_hz;
    shmframe_record_state(known->record, &reader->state);
}

/* ---- the picture ---- */

static const struct known_stream *find_stream_before(const struct picture *picture,
                                                     const char *name) {
    for (uint32_t i = 0; i < picture->known_streams; i++)
        if (strcmp(picture->known_stream[i].info.name, name) == 0)
            return &picture->known_stream[i];
    return NULL;
}

uint64_t gather_count_lost(const struct shmframe_reader_counters *counters) {
    return counters->lost_late + counters->lost_restart;
}

static uint64_t more_than(uint64_t now, uint64_t before) {
    /* A writer's counters begin anew with another writer. */
    return now >= before ? now - before : now;
}

static void count_stream_span(struct gather_stream *stream, const struct known_stream *before,
                              bool is_first) {
    static const struct shmframe_stream_info none;
    const struct shmframe_stream_info *now = &stream->info;
    const struct shmframe_stream_info *then = now->writer_pid == 0 || is_first ? now
                                              : before                         ? &before->info
                                                                               : &none;
    stream->span = *now;
    stream->span.head = more_than(now->head, then->head);
    stream->span.published = more_than(now->published, then->published);
    stream->span.abandoned = more_than(now->abandoned, then->abandoned);
    stream->span.refused = more_than(now->refused, then->refused);
    stream->span.late = more_than(now->late, then->late);
    stream->span.device_dropped = more_than(now->device_dropped, then->device_dropped);
    stream->span.waits = more_than(now->waits, then->waits);
}

static void make_readers(struct picture *picture, struct gather_stream *stream,
                         const struct shmframe_reader_info *info, struct rate_meter *stream_rate,
                         int64_t deadline_ns) {
    static const struct hops nothing;
    for (uint32_t i = 0; i < stream->readers; i++) {
        struct gather_reader *reader = &stream->reader[i];
        *reader = (struct gather_reader){
            .info = info[i],
            .process = gather_processes_find(&picture->processes, info[i].pid),
            .all = &nothing,
            .span = &nothing,
            .rate_hz = -1};
        look_at_record(picture, stream->info.name, reader, stream_rate, deadline_ns);
        stream->lost += gather_count_lost(&reader->all->counters);
        stream->lost_span += gather_count_lost(&reader->span->counters);
        if (stream->info.blocked_ns && info[i].number == stream->info.blocker)
            stream->blocker = reader;
    }
}

static void make_stream(struct picture *picture, uint32_t index,
                        const struct shmframe_reader_info *readers, struct gather_reader *place,
                        int64_t deadline_ns) {
    struct gather_stream *stream = &picture->gather.stream[index];
    *stream = (struct gather_stream){.info = picture->answers.stream[index],
                                     .reader = place,
                                     .readers = picture->answers.readers[index]};
    const bool is_live = stream->info.state == SHMFRAME_STREAM_LIVE;
    const bool is_written = stream->info.writer_pid != 0;
    const struct known_stream *before = find_stream_before(picture, stream->info.name);
    struct known_stream *known = &picture->new_stream[index];
    *known = before ? *before : (struct known_stream){.rate.rate_hz = -1};
    count_stream_span(stream, before, picture->gather.time_ns == 0);
    make_readers(picture, stream, readers, &known->rate, deadline_ns);
    if (is_written)
        meter_rate(&known->rate, shmframe_now_ns(), stream->info.head);
    stream->rate_hz = is_live && is_written ? known->rate.rate_hz : -1;
    stream->nominal_hz = stream->info.period_ns > 0 ? 1e9 / (double)stream->info.period_ns : 0;
    stream->process =
        gather_processes_find(&picture->processes, is_live ? stream->info.writer_pid : 0);
    known->absent_ns = 0;
    if (is_written || !before)
        known->info = stream->info;
}

/* Those that are missing from this picture stay known for a while. */
static void keep_absent_streams(struct picture *picture) {
    const int64_t now_ns = shmframe_now_ns();
    const uint32_t present = picture->gather.streams;
    uint32_t kept = present;
    for (uint32_t i = 0; i < picture->known_streams; i++) {
        struct known_stream known = picture->known_stream[i];
        if (gather_find_stream(&picture->gather, known.info.name))
            continue;
        if (known.absent_ns == 0)
            known.absent_ns = now_ns;
        if (now_ns - known.absent_ns < GATHER_ABSENT_NS)
            picture->new_stream[kept++] = known;
    }
    picture->known_streams = kept;
}

static void make_streams(struct picture *picture, int64_t deadline_ns) {
    const struct gather_answers *answers = &picture->answers;
    struct gather *gather = &picture->gather;
    gather->streams = answers->streams;
    gather->stream = gather_grow(gather->stream, sizeof(*gather->stream), gather->streams);
    picture->reader = gather_grow(picture->reader, sizeof(*picture->reader), answers->all_readers);
    picture->new_stream = gather_grow(picture->new_stream, sizeof(*picture->new_stream),
                                      gather->streams + picture->known_streams);
    for (uint32_t i = 0, readers = 0; i < gather->streams; i++) {
        make_stream(picture, i, answers->reader + readers, picture->reader + readers, deadline_ns);
        readers += answers->readers[i];
    }
    keep_absent_streams(picture);
    struct known_stream *former = picture->known_stream;
    picture->known_stream = picture->new_stream;
    picture->new_stream = former;
}

static void make_nodes(struct picture *picture) {
    struct gather *gather = &picture->gather;
    gather->nodes = picture->answers.nodes;
    gather->node = gather_grow(gather->node, sizeof(*gather->node), gather->nodes);
    for (uint32_t i = 0; i < gather->nodes; i++) {
        gather->node[i].info = picture->answers.node[i];
        gather->node[i].process =
            gather_processes_find(&picture->processes, gather->node[i].info.pid);
    }
}

int gather_update(struct gather *gather, const char *stream, int64_t deadline_ns) {
    return gather_update_some(gather, &stream, stream ? 1 : 0, deadline_ns);
}

int gather_update_some(struct gather *gather, const char *const *stream, uint32_t streams,
                       int64_t deadline_ns) {
    struct picture *picture = (struct picture *)gather;
    const int code =
        gather_answers_ask(&picture->answers, gather->session, stream, streams, deadline_ns);
    if (code < 0)
        return code;
    picture->round++;
    gather->undetailed = 0;
    gather_processes_begin(&picture->processes);
    make_streams(picture, deadline_ns);
    make_nodes(picture);
    gather_processes_end(&picture->processes);
    note_readers_gone(picture);
    const int64_t now_ns = shmframe_now_ns();
    gather->span_ns = gather->time_ns ? now_ns - gather->time_ns : 0;
    gather->time_ns = now_ns;
    return 0;
}

const struct gather_stream *gather_find_stream(const struct gather *gather, const char *name) {
    for (uint32_t i = 0; i < gather->streams; i++)
        if (strcmp(gather->stream[i].info.name, name) == 0)
            return &gather->stream[i];
    return NULL;
}
