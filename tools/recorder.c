#include "recorder.h"

#include "program.h"

#include <stdlib.h>

static void add_find(struct recorder_finds *finds, struct recorder *recorder,
                     const struct shmframe_flight *flight) {
    if (finds->count == finds->room) {
        const size_t room = finds->room ? 2 * finds->room : SHMFRAME_FLIGHTS;
        struct recorder_find *find = realloc(finds->find, room * sizeof(*find));
        if (!find)
            program_fail("no memory for %zu frames", room);
        finds->find = find;
        finds->room = room;
    }
    finds->find[finds->count++] = (struct recorder_find){recorder, *flight};
}

/* Another process's stamps: what no clock says is left out, so that all can be added up. */
static bool is_sane(const struct shmframe_flight *flight) {
    const int64_t stamps[] = {flight->capture_ns, flight->publish_ns, flight->wake_ns,
                              flight->acquire_ns, flight->release_ns, flight->present_ns};
    for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++)
        if (stamps[i] < 0 || stamps[i] >= INT64_C(1) << 62)
            return false;
    return flight->sequence != 0;
}

/* Frames taken until now; steady while the flights are copied, so that both count the same. */
static int copy_steadily(const struct shmframe_record *record, struct shmframe_flight *flights,
                         uint64_t *out_delivered) {
    enum { TRIES = 20 };
    struct shmframe_reader_counters before, after;
    int count = 0;
    for (int i = 0; i < TRIES; i++) {
        shmframe_record_counters(record, &before);
        count = shmframe_record_flights(record, flights, SHMFRAME_FLIGHTS);
        shmframe_record_counters(record, &after);
        if (count < 0 || before.delivered == after.delivered)
            break;
    }
    if (count < 0)
        program_fail_call("the flight recorder of a reader cannot be read");
    *out_delivered = after.delivered;
    return count;
}

static unsigned take_sane(struct shmframe_flight *flights, int count) {
    unsigned sane = 0;
    for (int i = 0; i < count; i++)
        if (is_sane(&flights[i]))
            flights[sane++] = flights[i];
    return sane;
}

/* What was taken before the oldest line is of no interest, unless all was taken since then. */
static void begin(struct recorder *recorder, const struct shmframe_flight *flights, unsigned count,
                  uint64_t delivered, int64_t from_ns) {
    for (unsigned i = 0; i < count; i++)
        recorder->is_new &= flights[i].acquire_ns >= from_ns;
    recorder->delivered = recorder->is_new ? 0 : delivered - count;
    recorder->has_begun = true;
}

/* Both are sorted: a flight is the one of the look before that has its sequence. */
static void merge(struct recorder *recorder, const struct shmframe_flight *flights, unsigned count,
                  struct recorder_finds *finds, bool is_told[SHMFRAME_FLIGHTS]) {
    unsigned before = 0;
    for (unsigned i = 0; i <= count; i++) {
        for (; before < recorder->lines &&
               (i == count || recorder->line[before].sequence < flights[i].sequence);
             before++)
            /* It was never seen to be over: it will not be. */
            if (!recorder->is_told[before])
                add_find(finds, recorder, &recorder->line[before]);
        if (i == count)
            break;
        const bool is_known =
            before < recorder->lines && recorder->line[before].sequence == flights[i].sequence;
        is_told[i] |= is_known && recorder->is_told[before];
        recorder->seen += !is_known;
        before += is_known;
    }
}

void recorder_look(struct recorder *recorder, int64_t from_ns, bool is_last,
                   struct recorder_finds *finds) {
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS];
    bool is_told[SHMFRAME_FLIGHTS] = {false};
    const unsigned count =
        take_sane(flights, copy_steadily(recorder->record, flights, &recorder->looked));
    if (!recorder->has_begun) {
        begin(recorder, flights, count, recorder->looked, from_ns);
        for (unsigned i = 0; i < count; i++)
            is_told[i] = flights[i].release_ns && flights[i].release_ns < from_ns;
    }
    merge(recorder, flights, count, finds, is_told);
    for (unsigned i = 0; i < count; i++) {
        recorder->line[i] = flights[i];
        recorder->is_told[i] = is_told[i] || is_last || flights[i].release_ns;
        if (recorder->is_told[i] && !is_told[i])
            add_find(finds, recorder, &flights[i]);
    }
    recorder->lines = count;
    /* One may have been counted, and not be written yet. */
    const uint64_t taken = recorder->looked - recorder->delivered;
    recorder->missed_flights = taken > recorder->seen + 1 ? taken - recorder->seen : 0;
}

bool recorder_is_due(const struct recorder *recorder) {
    struct shmframe_reader_counters counters;
    shmframe_record_counters(recorder->record, &counters);
    return counters.delivered - recorder->looked >= SHMFRAME_FLIGHTS / 4;
}

void recorder_tell_overruns(struct recorder *recorder, int64_t from_ns, struct chrome *chrome) {
    struct shmframe_overrun overruns[SHMFRAME_OVERRUNS];
    const int count = shmframe_record_overruns(recorder->record, overruns, SHMFRAME_OVERRUNS);
    for (int i = 0; i < count; i++) {
        const struct shmframe_overrun *overrun = &overruns[i];
        if (overrun->number <= recorder->overruns || overrun->time_ns < from_ns ||
            overrun->time_ns >= INT64_C(1) << 62)
            continue;
        if (recorder->overruns || recorder->is_new)
            recorder->missed_overruns += overrun->number - recorder->overruns - 1;
        recorder->overruns = overrun->number;
        tracing_add_overrun(chrome, &recorder->tracing, overrun);
    }
}

static int compare_finds(const void *left, const void *right) {
    const struct shmframe_flight *a = &((const struct recorder_find *)left)->flight;
    const struct shmframe_flight *b = &((const struct recorder_find *)right)->flight;
    if (a->publish_ns != b->publish_ns)
        return a->publish_ns < b->publish_ns ? -1 : 1;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

void recorder_tell(struct recorder_finds *finds, struct chrome *chrome,
                   struct tracing_writer *writer, int64_t end_ns) {
    if (finds->count)
        qsort(finds->find, finds->count, sizeof(*finds->find), compare_finds);
    for (size_t i = 0; i < finds->count; i++)
        tracing_add_flight(chrome, writer, &finds->find[i].recorder->tracing,
                           &finds->find[i].flight, end_ns);
    finds->count = 0;
}
