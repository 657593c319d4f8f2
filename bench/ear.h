/* Listens to what a PulseAudio null sink plays, by its monitor, and notes when it beeps.
 *
 * The sink plays by the clock, at its own rate, and takes sound in pieces: it wakes when the last
 * one has been played and takes the next ones then. The first sample of what the monitor tells at
 * once is therefore played at that very instant; how late the news comes differs, and the earliest
 * of many tells. No latency that the server reports is needed, nor believed.
 *
 * Threads: all calls from one thread; the ear has one of its own.
 */
#ifndef BENCH_EAR_H
#define BENCH_EAR_H

#include "eye.h"

struct ear;

/* Listens to `source` of the server in PULSE_SERVER. Ends the program if that cannot be. */
struct ear *ear_open(const char *source);
void ear_close(struct ear *ear);

/* The beeps so far, and how far apart the sink's clock seems to be from one to another: what the
 * instants may be off. */
void ear_read(struct ear *ear, struct instants *out_beeps, int64_t *out_error_ns);

#endif
