#include "run_flights.h"

#include <errno.h>
#include <stdlib.h>

enum { MARKS = 2 * SHMFRAME_FLIGHTS };

struct pending_mark {
    uint64_t sequence;
    struct run_mark mark;
};

struct run_flights {
    struct run *run;
    const struct shmframe_reader *reader;
    const struct shmframe_record *record;
    int64_t looked_ns;
    uint64_t delivered;       /* when it was looked at last */
    uint64_t first_delivered; /* when the run began */
    uint64_t dropped;
    uint64_t sequence; /* of the newest frame that was taken; 0: none */
    uint64_t overrun;  /* number of the newest that was taken */
    uint64_t added;    /* frames */
    /* Sorted by sequence; a ring. */
    struct pending_mark mark[MARKS];
    unsigned first_mark, marks;
    struct shmframe_flight flight[SHMFRAME_FLIGHTS];
    struct shmframe_overrun lost[SHMFRAME_OVERRUNS];
};

static struct shmframe_reader_counters read_counters(const struct run_flights *flights) {
    struct shmframe_reader_counters counters;
    if (flights->reader)
        shmframe_reader_counters(flights->reader, &counters);
    else
        shmframe_record_counters(flights->record, &counters);
    return counters;
}

static int read_flights(struct run_flights *flights) {
    return flights->reader
               ? shmframe_reader_flights(flights->reader, flights->flight, SHMFRAME_FLIGHTS)
               : shmframe_record_flights(flights->record, flights->flight, SHMFRAME_FLIGHTS);
}

static int read_overruns(struct run_flights *flights) {
    return flights->reader
               ? shmframe_reader_overruns(flights->reader, flights->lost, SHMFRAME_OVERRUNS)
               : shmframe_record_overruns(flights->record, flights->lost, SHMFRAME_OVERRUNS);
}

struct run_flights *run_flights_create(struct run *run, const struct shmframe_reader *reader,
                                       const struct shmframe_record *record) {
    struct run_flights *flights = calloc(1, sizeof(*flights));
    if (!flights)
        return NULL;
    *flights = (struct run_flights){.run = run, .reader = reader, .record = record};
    const struct shmframe_reader_counters counters = read_counters(flights);
    flights->delivered = flights->first_delivered = counters.delivered;
    flights->dropped = counters.device_dropped;
    flights->looked_ns = run->start_ns;
    const int count = read_flights(flights);
    const int overruns = read_overruns(flights);
    if (count < 0) {
        run_flights_destroy(flights);
        return NULL;
    }
    /* A reader that runs has gone on since the run began: what it took meanwhile belongs to it. */
    for (int i = 0; i < count; i++) {
        if (flights->flight[i].acquire_ns < run->start_ns)
            flights->sequence = flights->flight[i].sequence;
        else
            flights->first_delivered -= flights->first_delivered > 0;
    }
    for (int i = 0; i < overruns; i++)
        if (flights->lost[i].time_ns < run->start_ns)
            flights->overrun = flights->lost[i].number;
    return flights;
}

void run_flights_destroy(struct run_flights *flights) {
    free(flights);
}

/* ---- marks wait for their frames ---- */

void run_flights_add_mark(struct run_flights *flights, uint64_t sequence,
                          const struct run_mark *mark) {
    if (flights->marks == MARKS) {
        flights->first_mark = (flights->first_mark + 1) % MARKS;
        flights->marks--;
    }
    flights->mark[(flights->first_mark + flights->marks++) % MARKS] =
        (struct pending_mark){sequence, *mark};
}

static struct run_mark take_mark(struct run_flights *flights, uint64_t sequence) {
    struct run_mark mark = {0};
    while (flights->marks && flights->mark[flights->first_mark].sequence <= sequence) {
        if (flights->mark[flights->first_mark].sequence == sequence)
            mark = flights->mark[flights->first_mark].mark;
        flights->first_mark = (flights->first_mark + 1) % MARKS;
        flights->marks--;
    }
    return mark;
}

/* ---- losses ---- */

static void take_losses(struct run_flights *flights, int overruns) {
    for (int i = 0; i < overruns; i++) {
        const struct shmframe_overrun *overrun = &flights->lost[i];
        if (overrun->number <= flights->overrun)
            continue;
        flights->overrun = overrun->number;
        run_add_loss(flights->run, &(struct run_loss){.first = overrun->first,
                                                      .count = overrun->count,
                                                      .time_ns = overrun->time_ns,
                                                      .cause = overrun->cause});
    }
}

/* What of the gap before the frame was lost, as the overruns tell; the rest was skipped. Before the
 * reader's first frame only losses are a gap: what was there earlier was not for it. */
static void divide_gap(const struct run_flights *flights, int overruns, struct run_frame *frame) {
    const bool is_first = flights->sequence == 0;
    const uint64_t first = flights->sequence + 1;
    uint64_t most = 0;
    for (int i = 0; i < overruns; i++) {
        const struct shmframe_overrun *overrun = &flights->lost[i];
        if (overrun->first < first || overrun->first >= frame->sequence)
            continue;
        const uint64_t room = frame->sequence - overrun->first;
        const uint64_t count = overrun->count < room ? overrun->count : room;
        frame->lost += count;
        if (count > most) {
            most = count;
            frame->cause = overrun->cause;
        }
    }
    const uint64_t gap = frame->sequence - first;
    frame->lost = frame->lost < gap ? frame->lost : gap;
    const uint64_t skipped = is_first ? 0 : gap - frame->lost;
    frame->skipped = skipped < UINT32_MAX ? (uint32_t)skipped : UINT32_MAX;
}

/* ---- frames ---- */

/* Another process's stamps: what no clock says is not counted with. */
static bool is_sane(const struct shmframe_flight *flight) {
    const int64_t stamps[] = {flight->capture_ns, flight->publish_ns, flight->wake_ns,
                              flight->acquire_ns, flight->release_ns, flight->present_ns};
    for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++)
        if (stamps[i] < 0 || stamps[i] >= INT64_C(1) << 62)
            return false;
    return true;
}

static int take_flight(struct run_flights *flights, const struct shmframe_flight *flight,
                       int overruns) {
    struct run_frame frame = {
        .sequence = flight->sequence,
        .capture_ns = flight->capture_ns,
        .publish_ns = flight->publish_ns,
        .wake_ns = flight->wake_ns,
        .acquire_ns = flight->acquire_ns,
        .release_ns = flight->release_ns,
        .present_ns = flight->present_ns,
    };
    divide_gap(flights, overruns, &frame);
    frame.mark = take_mark(flights, flight->sequence);
    flights->sequence = flight->sequence;
    flights->added++;
    return run_add_frame(flights->run, &frame);
}

bool run_flights_are_due(const struct run_flights *flights, int64_t now_ns) {
    return read_counters(flights).delivered - flights->delivered >= SHMFRAME_FLIGHTS / 2 ||
           now_ns - flights->looked_ns >= INT64_C(1000000000);
}

int run_flights_look(struct run_flights *flights, int64_t now_ns, bool is_last) {
    const int count = read_flights(flights);
    const int overruns = read_overruns(flights);
    if (count < 0)
        return count;
    const struct shmframe_reader_counters counters = read_counters(flights);
    int result = 0;
    take_losses(flights, overruns);
    for (int i = 0; i < count && result == 0; i++) {
        const struct shmframe_flight *flight = &flights->flight[i];
        if (flight->sequence <= flights->sequence || !is_sane(flight))
            continue;
        /* A frame that is still held is taken when it is given back, before the line is needed
         * again; those after it wait for it. */
        if (!flight->release_ns && !is_last && i >= count - SHMFRAME_FLIGHTS / 2)
            break;
        result = take_flight(flights, flight, overruns);
    }
    if (counters.device_dropped > flights->dropped && result == 0)
        result = run_add_dropped(flights->run, now_ns, counters.device_dropped - flights->dropped);
    flights->dropped = counters.device_dropped;
    flights->delivered = counters.delivered;
    flights->looked_ns = now_ns;
    return result;
}

uint64_t run_flights_missed(const struct run_flights *flights) {
    const uint64_t delivered = read_counters(flights).delivered - flights->first_delivered;
    return delivered > flights->added ? delivered - flights->added : 0;
}
