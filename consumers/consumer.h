/* What all consumers share: the options that say how a stream is read, and opening its reader.
 *
 * A program puts its own defaults into consumer_settings, gives consumer_options to program_start()
 * as its second table, and opens what it reads with consumer_open_reader().
 */
#ifndef CONSUMERS_CONSUMER_H
#define CONSUMERS_CONSUMER_H

#include "program.h"

struct consumer_settings {
    const char
        *policy;     /* --policy, as consumer_policy_name() spells it; NULL: the program chooses */
    uint32_t depth;  /* --depth; 0: the library's default */
    uint32_t leases; /* --leases; 0: the library's default */
    uint32_t frames; /* --frames; 0: no limit */
    int64_t wait_ns; /* --wait, for the stream to appear */
    int64_t deadline_ns; /* --deadline, for the next frame to come; 0: no limit */
    int64_t duration_ns; /* --duration; 0: until the stream ends */
};

extern struct consumer_settings consumer_settings;
extern const struct option_spec consumer_options[];

/* "latest", "in-order", "lossless"; "?" for what is none of them. */
const char *consumer_policy_name(unsigned policy);

/* How to read `stream` by the settings; without a policy, params.policy is the program's to set. A
 * mistake in them is a usage error and ends the program. */
struct shmframe_reader_params consumer_reader_params(const char *stream);

/* The line for a stream that could not be opened, with `result` and shmframe_last_error(), and what
 * to do about it; ends the program. */
_Noreturn void consumer_fail_open(struct shmframe_session *session, const char *stream, int result);

/* Where nobody sees a line of progress, a wait beyond that is told. */
#define CONSUMER_SILENT_NS INT64_C(2000000000)
void consumer_tell_waiting(const char *stream);

/* Opens what `params` say, waiting for the stream as long as --wait allows. Ends the program with
 * one clear line if that fails; returns NULL only if it was asked to stop meanwhile. */
struct shmframe_reader *consumer_open_reader(struct shmframe_session *session,
                                             struct shmframe_reader_params params);

/* The line for a program that was asked to stop while it still waited, and so has nothing
 * "recorded", "measured" ...: it has failed. */
void consumer_tell_stopped(const char *done);

/* The instant at which --duration, counted from now, is over; SHMFRAME_FOREVER without it. */
int64_t consumer_end_ns(void);
/* The instant at which --deadline is over, if the last frame came at `frame_ns`; SHMFRAME_FOREVER
 * without it. */
int64_t consumer_late_ns(int64_t frame_ns);
/* The line for that. */
void consumer_tell_late(const char *stream);
/* Whether `frames` are as many as --frames asked for. */
bool consumer_has_enough(uint64_t frames);

/* Tells in one line each what happened to the stream since the last call: its writer went, another
 * came, the format changed, this reader was evicted. Losses are left to the counters. */
void consumer_tell_events(struct shmframe_reader *reader, const char *stream);
/* The line of one event. */
void consumer_tell_event(const struct shmframe_reader_event *event, const char *stream);

#endif
