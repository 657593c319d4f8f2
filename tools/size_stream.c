/* A stream that runs, and what its readers measured. */
#include "size.h"

#include "gather.h"
#include "program.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* A peer's numbers are data. */
static int64_t bound_ns(int64_t ns) {
    return ns < 0 ? 0 : ns > SIZING_NS_MAX ? SIZING_NS_MAX : ns;
}

/* Late is who was asleep when a frame came: of who was not, transit is the time that it held
 * others. */
static void add_reader(struct size_question *question, const struct gather_reader *reader) {
    if (question->readers == SIZE_READERS_MAX)
        program_fail("more than %d readers are not counted", SIZE_READERS_MAX);
    struct sizing_reader *added = &question->reader[question->readers++];
    *added = (struct sizing_reader){.number = reader->info.number,
                                    .count = 1,
                                    .policy = (enum shmframe_policy)reader->info.policy,
                                    .depth = reader->info.depth,
                                    .leases = reader->info.leases};
    memcpy(added->name, reader->info.name, sizeof(added->name));
    if (!reader->record)
        return;
    const struct shmframe_histogram *hold = &reader->all->hop[SHMFRAME_HOP_HOLD];
    added->usual_ns = bound_ns(shmframe_histogram_quantile_ns(hold, 0.5));
    added->longest_ns = bound_ns(hold->max_ns);
    added->late_ns = bound_ns(reader->all->hop[SHMFRAME_HOP_WAKE].max_ns);
    /* Still held: at least so long. */
    const int64_t since_ns = reader->state.held_since_ns, now_ns = shmframe_now_ns();
    if (since_ns > 0 && since_ns < now_ns && bound_ns(now_ns - since_ns) > added->longest_ns)
        added->longest_ns = bound_ns(now_ns - since_ns);
}

/* 0: it has none. */
static int64_t find_period_ns(const struct gather_stream *stream) {
    if (stream->info.period_ns > 0)
        return bound_ns(stream->info.period_ns);
    return stream->rate_hz > 0 ? (int64_t)fmin(1e9 / stream->rate_hz, (double)SIZING_NS_MAX) : 0;
}

void size_ask_stream(struct size_question *question, const char *name) {
    struct shmframe_session *session = program_open_session();
    struct gather *gather = gather_open(session);
    if (gather_update(gather, name, shmframe_deadline_ns(GATHER_ANSWER_NS)) < 0)
        program_fail_call("the stream cannot be looked at");
    const struct gather_stream *stream = gather_find_stream(gather, name);
    if (!stream)
        program_fail("no stream '%s'; 'shmframe ls' lists what there is", name);
    if (stream->info.slot_bytes == 0)
        program_fail("stream %s has no writer, and so no ring", name);
    memcpy(question->stream, stream->info.name, sizeof(question->stream));
    memcpy(question->format, stream->info.format, sizeof(question->format));
    if (question->period_ns == 0)
        question->period_ns = find_period_ns(stream);
    if (question->period_ns == 0)
        program_fail("stream %s has no rate: --rate tells it", name);
    question->frame_bytes = stream->info.slot_bytes;
    question->ring = (struct size_ring){.slot_bytes = stream->info.slot_bytes,
                                        .memory_bytes = stream->info.memory_bytes,
                                        .slots = stream->info.slots_max,
                                        .slots_used = stream->info.slots};
    for (uint32_t i = 0; i < stream->readers; i++)
        add_reader(question, &stream->reader[i]);
    question->running = question->readers;
    gather_close(gather);
    program_close_session(session);
}
