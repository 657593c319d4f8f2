#include "tracing.h"

#include "program.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

void tracing_writer_init(struct tracing_writer *writer, const char *stream) {
    *writer = (struct tracing_writer){.frames = calloc(TRACING_MADE, sizeof(*writer->frames))};
    if (!writer->frames)
        program_fail("no memory for a trace");
    snprintf(writer->stream, sizeof(writer->stream), "%s", stream);
}

void tracing_writer_begins(struct tracing_writer *writer, int32_t pid, const char *name,
                           int64_t from_ns) {
    char track[CHROME_NAME_BYTES];
    struct tracing_maker *newest = &writer->maker[writer->makers ? writer->makers - 1 : 0];
    if (writer->makers && newest->frames.pid == pid) {
        newest->from_ns = earlier(newest->from_ns, from_ns);
        return;
    }
    if (writer->makers == TRACING_MAKERS)
        memmove(&writer->maker[0], &writer->maker[1],
                --writer->makers * sizeof(struct tracing_maker));
    struct tracing_maker *maker = &writer->maker[writer->makers++];
    maker->from_ns = from_ns;
    snprintf(maker->name, sizeof(maker->name), "%s", *name ? name : "writer");
    snprintf(track, sizeof(track), "%s: produce", writer->stream);
    chrome_lanes_init(&maker->frames, pid, track);
    snprintf(track, sizeof(track), "%s: not made", writer->stream);
    chrome_lanes_init(&maker->losses, pid, track);
}

/* Who wrote at that time; before the first that is known, that one. */
static struct tracing_maker *find_maker(struct chrome *chrome, struct tracing_writer *writer,
                                        int64_t time_ns) {
    unsigned i = writer->makers - 1;
    while (i > 0 && writer->maker[i].from_ns > time_ns)
        i--;
    struct tracing_maker *maker = &writer->maker[i];
    if (maker->frames.count == 0 && maker->losses.count == 0)
        chrome_name_process(chrome, maker->frames.pid, maker->name);
    return maker;
}

void tracing_writer_finish(struct tracing_writer *writer) {
    free(writer->frames);
    writer->frames = NULL;
}

void tracing_reader_init(struct tracing_reader *reader, const char *stream, uint32_t number,
                         const char *name, int32_t pid) {
    char text[CHROME_NAME_BYTES];
    *reader = (struct tracing_reader){.pid = pid};
    snprintf(text, sizeof(text), "%.40s: %.40s, reader %u", stream, name, number);
    chrome_lanes_init(&reader->frames, pid, text);
    snprintf(text, sizeof(text), "%.40s: presented by reader %u", stream, number);
    chrome_lanes_init(&reader->presents, pid, text);
    snprintf(text, sizeof(text), "%.40s: lost by reader %u", stream, number);
    chrome_lanes_init(&reader->losses, pid, text);
}

/* What the making of the frame is in the trace: made now, if it is not in it yet. */
static const struct chrome_slice *add_produce(struct chrome *chrome, struct tracing_writer *writer,
                                              const struct shmframe_flight *flight) {
    struct tracing_frame *frame = &writer->frames[flight->sequence % TRACING_MADE];
    if (frame->sequence == flight->sequence)
        return &frame->made;
    int64_t begin_ns = earlier(flight->capture_ns, flight->publish_ns);
    struct chrome_lanes *lanes = &find_maker(chrome, writer, flight->publish_ns)->frames;
    const uint32_t track = chrome_take_lane(chrome, lanes, &begin_ns, flight->publish_ns);
    frame->sequence = flight->sequence;
    frame->made = (struct chrome_slice){.pid = lanes->pid,
                                        .track = track,
                                        .name = "produce",
                                        .sequence = flight->sequence,
                                        .begin_ns = begin_ns,
                                        .end_ns = flight->publish_ns};
    chrome_add_slice(chrome, &frame->made);
    return &frame->made;
}

static void add_transit(struct chrome *chrome, const struct shmframe_flight *flight,
                        const struct chrome_slice *whole, int64_t acquire_ns) {
    struct chrome_slice transit = *whole;
    transit.args = NULL;
    transit.name = "transit";
    transit.end_ns = acquire_ns;
    chrome_begin_slice(chrome, &transit);
    if (flight->wake_ns >= whole->begin_ns && flight->wake_ns <= acquire_ns) {
        struct chrome_slice wake = transit;
        wake.name = "wake";
        wake.end_ns = flight->wake_ns;
        chrome_begin_slice(chrome, &wake);
        chrome_end_slice(chrome, &wake);
    }
    chrome_end_slice(chrome, &transit);
}

static struct chrome_slice add_present(struct chrome *chrome, struct tracing_reader *reader,
                                       const struct shmframe_flight *flight) {
    struct chrome_slice present = {.pid = reader->pid,
                                   .name = "present",
                                   .sequence = flight->sequence,
                                   .begin_ns = flight->present_ns};
    present.track =
        chrome_take_lane(chrome, &reader->presents, &present.begin_ns, flight->present_ns);
    chrome_add_instant(chrome, &present);
    return present;
}

/* What a reader itself says of the frame, to the nanosecond. */
static void print_stamps(const struct shmframe_flight *flight, char *text, size_t bytes) {
    snprintf(text, bytes,
             "{\"sequence\":%" PRIu64 ",\"capture_ns\":%" PRId64 ",\"publish_ns\":%" PRId64
             ",\"wake_ns\":%" PRId64 ",\"acquire_ns\":%" PRId64 ",\"release_ns\":%" PRId64
             ",\"present_ns\":%" PRId64 "}",
             flight->sequence, flight->capture_ns, flight->publish_ns, flight->wake_ns,
             flight->acquire_ns, flight->release_ns, flight->present_ns);
}

void tracing_add_flight(struct chrome *chrome, struct tracing_writer *writer,
                        struct tracing_reader *reader, const struct shmframe_flight *flight,
                        int64_t end_ns) {
    char stamps[320];
    print_stamps(flight, stamps, sizeof(stamps));
    const struct chrome_slice made = *add_produce(chrome, writer, flight);
    const int64_t over_ns =
        later(flight->release_ns ? flight->release_ns : end_ns, flight->acquire_ns);
    struct chrome_slice whole = {.pid = reader->pid,
                                 .name = flight->release_ns ? "frame" : "frame held",
                                 .sequence = flight->sequence,
                                 .begin_ns = earlier(flight->publish_ns, flight->acquire_ns),
                                 .end_ns = over_ns,
                                 .args = stamps};
    whole.track = chrome_take_lane(chrome, &reader->frames, &whole.begin_ns, over_ns);
    whole.end_ns = later(whole.begin_ns, over_ns);

    const uint64_t flow = chrome_new_flow(chrome);
    chrome_add_flow(chrome, CHROME_FLOW_START, flow, &made, made.begin_ns);
    struct chrome_slice hold = whole;
    hold.name = "hold";
    hold.args = NULL;
    hold.begin_ns = later(flight->acquire_ns, whole.begin_ns);
    chrome_begin_slice(chrome, &whole);
    add_transit(chrome, flight, &whole, hold.begin_ns);
    chrome_begin_slice(chrome, &hold);
    chrome_add_flow(chrome, CHROME_FLOW_STEP, flow, &hold, hold.begin_ns);
    const bool is_presented = flight->present_ns >= hold.begin_ns;
    if (!is_presented)
        chrome_add_flow(chrome, CHROME_FLOW_END, flow, &hold, hold.end_ns);
    chrome_end_slice(chrome, &hold);
    chrome_end_slice(chrome, &whole);
    if (is_presented) {
        const struct chrome_slice present = add_present(chrome, reader, flight);
        chrome_add_flow(chrome, CHROME_FLOW_END, flow, &present, present.begin_ns);
    }
    reader->flights++;
}

void tracing_add_overrun(struct chrome *chrome, struct tracing_reader *reader,
                         const struct shmframe_overrun *overrun) {
    char args[320];
    const char *cause = shmframe_cause_name(overrun->cause);
    snprintf(args, sizeof(args),
             "{\"first\":%" PRIu64 ",\"count\":%" PRIu64 ",\"cause\":\"%s\",\"time_ns\":%" PRId64
             ",\"woken_ns\":%" PRId64 ",\"held_ns\":%" PRId64 ",\"away_ns\":%" PRId64 "}",
             overrun->first, overrun->count, cause ? cause : "?", overrun->time_ns,
             overrun->woken_ns, overrun->held_ns, overrun->away_ns);
    struct chrome_slice lost = {.pid = reader->pid,
                                .name = "lost",
                                .sequence = overrun->first,
                                .begin_ns = overrun->time_ns,
                                .args = args};
    lost.track = chrome_take_lane(chrome, &reader->losses, &lost.begin_ns, overrun->time_ns);
    chrome_add_instant(chrome, &lost);
}

void tracing_add_loss(struct chrome *chrome, struct tracing_writer *writer,
                      const struct shmframe_event *loss) {
    char args[512], culprit[2 * SHMFRAME_NAME_BYTES];
    chrome_quote(loss->culprit, culprit, sizeof(culprit));
    snprintf(args, sizeof(args),
             "{\"event\":%" PRIu64 ",\"first\":%" PRIu64 ",\"count\":%" PRIu64
             ",\"cause\":\"%s\",\"time_ns\":%" PRId64 ",\"duration_ns\":%" PRId64
             ",\"culprit\":%s,\"culprit_reader\":%" PRIu32 "}",
             loss->id, loss->first, loss->count, shmframe_cause_name(loss->cause), loss->time_ns,
             loss->duration_ns, culprit, loss->culprit_reader);
    struct chrome_lanes *lanes = &find_maker(chrome, writer, loss->time_ns)->losses;
    struct chrome_slice instant = {.pid = lanes->pid,
                                   .name = shmframe_cause_name(loss->cause),
                                   .sequence = loss->first,
                                   .begin_ns = loss->time_ns,
                                   .args = args};
    instant.track = chrome_take_lane(chrome, lanes, &instant.begin_ns, loss->time_ns);
    chrome_add_instant(chrome, &instant);
}
