/* What all consumers share: the options that say how a stream is read, and opening its reader.
 *
 * A program puts its own defaults into consumer_settings, gives consumer_options to program_start()
 * as its second table, and opens what it reads with consumer_open_reader().
 */
#ifndef CONSUMERS_CONSUMER_H
#define CONSUMERS_CONSUMER_H

#include "program.h"

struct consumer_settings {
    const char *policy;  /* --policy, as consumer_policy_name() spells it */
    uint32_t depth;      /* --depth; 0: the library's default */
    uint32_t leases;     /* --leases; 0: the library's default */
    uint32_t frames;     /* --frames; 0: no limit */
    int64_t wait_ns;     /* --wait, for the stream to appear */
    int64_t duration_ns; /* --duration; 0: until the stream ends */
};

extern struct consumer_settings consumer_settings;
extern const struct option_spec consumer_options[];

/* "latest", "in-order", "lossless"; "?" for what is none of them. */
const char *consumer_policy_name(unsigned policy);

/* How to read `stream` by the settings. A mistake in them is a usage error and ends the program. */
struct shmframe_reader_params consumer_reader_params(const char *stream);

/* Opens what `params` say, waiting for the stream as long as --wait allows. Ends the program with
 * one clear line if that fails; returns NULL only if it was asked to stop meanwhile. */
struct shmframe_reader *consumer_open_reader(struct shmframe_session *session,
                                             struct shmframe_reader_params params);

/* The instant at which --duration, counted from now, is over; SHMFRAME_FOREVER without it. */
int64_t consumer_end_ns(void);
/* Whether `frames` are as many as --frames asked for. */
bool consumer_has_enough(uint64_t frames);

/* Tells in one line each what happened to the stream since the last call: its writer went, another
 * came, the format changed, this reader was evicted. Losses are left to the counters. */
void consumer_tell_events(struct shmframe_reader *reader, const char *stream);
/* The line of one event. */
void consumer_tell_event(const struct shmframe_reader_event *event, const char *stream);

#endif
