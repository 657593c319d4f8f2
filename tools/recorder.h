/* Recorder: the flights of one reader, each told once, looked at again and again while they come.
 */
#ifndef TOOLS_RECORDER_H
#define TOOLS_RECORDER_H

#include "tracing.h"

struct recorder {
    struct shmframe_record *record; /* its own: there also when the reader is gone */
    bool is_new;                    /* the reader came after the beginning of what is told */
    struct tracing_reader tracing;
    /* As seen last, by their sequence. */
    struct shmframe_flight line[SHMFRAME_FLIGHTS];
    bool is_told[SHMFRAME_FLIGHTS];
    unsigned lines;
    uint64_t seen;      /* different flights so far */
    uint64_t delivered; /* by the reader, when these were counted from 0 on */
    uint64_t looked;    /* the same at the newest look */
    uint64_t overruns;  /* number of the newest that was told */
    /* Overwritten before they were seen, since the beginning of what is told. */
    uint64_t missed_flights, missed_overruns;
    bool has_begun;
};

/* A flight that is to be told, and whose it is. */
struct recorder_find {
    struct recorder *recorder;
    struct shmframe_flight flight;
};

struct recorder_finds {
    struct recorder_find *find;
    size_t count, room;
};

/* Looks at the record and adds to `finds` the flights that are over since the look before, or all
 * that began or were still held at `from_ns` and later if this is the first. `is_last`: also those
 * that are not over. No memory ends the program. */
void recorder_look(struct recorder *recorder, int64_t from_ns, bool is_last,
                   struct recorder_finds *finds);

/* Whether a quarter of the record was written anew since the look before. */
bool recorder_is_due(const struct recorder *recorder);

/* Tells the overruns since the look before, met at `from_ns` and later. */
void recorder_tell_overruns(struct recorder *recorder, int64_t from_ns, struct chrome *chrome);

/* Tells all flights of a stream, in the order of their publication, and forgets them. */
void recorder_tell(struct recorder_finds *finds, struct chrome *chrome,
                   struct tracing_writer *writer, int64_t end_ns);

#endif
