/* The analyzer itself, measuring streams of sound that the test writes: known signals in, results
 * out. */
#ifndef TESTS_ANALYZE_STAGE_H
#define TESTS_ANALYZE_STAGE_H

#include "../api/world.h"

#include <jansson.h>

enum { STAGE_RATE_HZ = 48000 };

/* Of all streams of sound from now on: a block is a tenth of a second. Each test begins with
 * STAGE_RATE_HZ. */
void stage_set_rate(uint32_t rate_hz);
uint32_t stage_rate_hz(void);

/* What the test writes: of a channel, sample by sample; full scale is 1. */
typedef double stage_signal(void *user, uint32_t channel, uint64_t sample);

/* A stream of sound, lossless, of blocks of a tenth of a second. */
struct shmframe_writer *stage_open_sound(const char *stream, const char *sample_format,
                                         const char *layout, uint32_t channels);
/* NULL: the name is still taken. */
struct shmframe_writer *stage_try_open_sound(const char *stream);
/* Writes `samples` of the signal, from its sample `first` on; the pts says the same. */
void stage_write(struct shmframe_writer *writer, stage_signal *signal, void *user, uint64_t first,
                 uint64_t samples);
/* One block with what `flags` and `device_dropped` say. */
void stage_write_block(struct shmframe_writer *writer, stage_signal *signal, void *user,
                       uint64_t first, uint32_t flags, uint32_t device_dropped);

/* Starts shmframe-analyze with these arguments, NULL ends them, and waits until it reads every
 * stream of `writers`, NULL ends them. */
void stage_start(struct shmframe_writer *const *writers, const char *const *arguments);
/* Starts it without waiting. */
void stage_start_program(const char *const *arguments);
pid_t stage_pid(void);
/* Waits until it has told something: it has taken a frame. */
void stage_await_told(void);
/* Waits for its end; returns the exit code. */
int stage_join(void);

/* What it told, after the end: JSON objects, borrowed. */
const json_t *stage_total(const char *stream);
const json_t *stage_interval(const char *stream, unsigned index);
/* The first event of that name; NULL: none. */
const json_t *stage_event(const char *stream, const char *event);

double stage_number(const json_t *object, const char *name);

#define expect_near(object, name, wanted, tolerance)                                               \
    do {                                                                                           \
        const double got = stage_number(object, name);                                             \
        ck_assert_msg(got >= (wanted) - (tolerance) && got <= (wanted) + (tolerance),              \
                      "%s is %g, not %g", name, got, (double)(wanted));                            \
    } while (0)

/* Checked fixtures, around those of the world. */
void stage_begin(void);
void stage_end(void);

#endif
