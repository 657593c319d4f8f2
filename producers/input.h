/* Input: a file, URL, pipe or sequence of pictures that FFmpeg opens, and what is wrong if not.
 *
 *   input_check()                what options say of it
 *   input_open(), input_close()  as often as it comes back
 *   input_finish()
 *
 * Threads: one at a time, but for input_stop().
 */
#ifndef PRODUCERS_INPUT_H
#define PRODUCERS_INPUT_H

#include "option.h"
#include "pipe.h"

#include <stdatomic.h>

enum { INPUT_WHY_BYTES = 512 };

struct input {
    /* What is asked for. */
    const char *url;
    const char *format;          /* as FFmpeg calls it; NULL: it finds out */
    struct option_list settings; /* KEY=VALUE each */
    struct shmframe_rational rate;
    int64_t timeout_ns; /* of opening, and of waiting for a live one; 0: none */
    bool is_asked_live; /* live, whatever it looks like */
    bool is_never_live;

    AVFormatContext *context;  /* while open */
    bool is_live;              /* frames come when they come: nothing holds them up */
    char why[INPUT_WHY_BYTES]; /* after a failure: one line */
    bool is_left;              /* to a thread that cannot be ended: nothing of it is touched */

    struct pipe pipe;
    atomic_bool is_stopping;     /* order: relaxed, guards nothing */
    _Atomic int64_t deadline_ns; /* likewise: when FFmpeg is to give up */
    atomic_bool is_overdue;      /* likewise: it did */
};

/* A usage error in format or settings ends the program. */
void input_check(const struct input *input);

/* Opens it and looks at it until its tracks are known. Errors: -EINTR asked to stop; -EIO, `why`
 * says what is wrong. */
int input_open(struct input *input);
void input_close(struct input *input);
void input_finish(struct input *input);

/* Whether it can be opened once more to go on with what comes then. It is open. */
bool input_comes_again(const struct input *input);

/* Ends what waits inside FFmpeg, until the next input_open(). From any thread. */
void input_stop(struct input *input);
static inline bool input_is_stopping(const struct input *input) {
    return atomic_load_explicit(&input->is_stopping, memory_order_relaxed);
}

/* From here on FFmpeg may wait for timeout_ns. */
void input_expect(struct input *input);

/* The same when going elsewhere: what was late before counts no more. */
void input_expect_anew(struct input *input);

/* Sets `why` to what went wrong while it was read. */
void input_explain(struct input *input, int av_result);

/* Whether a failure to read stands for the end of what has no known length: FFmpeg 5.1 to 7 miss
 * the rest where an HTTP server has not said how much there is. */
bool input_has_ended(const struct input *input, int av_result);

bool input_can_seek(const struct input *input);

#endif
