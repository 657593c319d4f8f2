/* Producer: the face that all programs of this folder share.
 *
 *   program_start()            with producer_option_specs as the second table
 *   producer_check_options()
 *   producer_open()            session, signals
 *   producer_add()             once for each stream
 *   producer_start()           waits for readers, starts the clock
 *     producer_wait_until()    or producer_wait_for() a device
 *                              or producer_wait_retry(), if the device is gone
 *     producer_loan()
 *     producer_publish()       once the slot is filled
 *   producer_finish()          ends the streams, prints the statistics, gives the exit code
 *
 * The clock counts media time, from 0 at producer_start(), and stands still while paused. Requests
 * are answered within the waits: pause, resume, quit, help, and the program's own verbs (verb.h).
 */
#ifndef PRODUCERS_PRODUCER_H
#define PRODUCERS_PRODUCER_H

#include "program.h"
#include "verb.h"

#include <shmframe/writer.h>

/* What the shared options were set to. A program puts its defaults here before program_start(). */
struct producer_options {
    const char *stream;
    const char *group; /* NULL: as the stream */
    const char *allow; /* NULL: as the supervisor has it */
    bool is_listing;
    uint32_t frames;     /* 0: no limit */
    int64_t duration_ns; /* 0: no limit */
    uint32_t wait_readers;
    const char *format; /* of the statistics */
};
extern struct producer_options producer_options;
extern const struct option_spec producer_option_specs[];

/* Usage errors in what the shared options say end the program. */
void producer_check_options(void);

enum { PRODUCER_STREAMS_MAX = 16 };

/* How often something was met. */
struct producer_count {
    const char *what;
    uint64_t count;
};

struct producer_stream {
    struct shmframe_writer *writer;
    char name[SHMFRAME_NAME_BYTES];
    const char *copied_why; /* for the statistics, if anything was copied; NULL: not known */
    uint64_t in_place;      /* frames filled in their slot */
    uint64_t copied;        /* frames filled elsewhere, then copied */
    uint64_t overdue; /* frames published after the next one was due: counted by the program */
    uint64_t refused; /* frames that got no slot: counted here, and dropped */
    uint32_t dropped; /* lost since the last frame: add to it, the next frame tells */
    uint32_t dropped_by_device; /* of these; counted here */
    uint64_t device_dropped; /* lost by the device, of all that was dropped */
    int64_t clock_error_ns;  /* how far off capture_ns may be, at most: told by the program that
                                converts a device's clock; 0: it is exact */
    /* What came with frames and could not go with them, by kind; ends where `what` is NULL. NULL:
     * not known. */
    const struct producer_count *side_data_dropped;
    bool is_discontinuous; /* the next frame says so */
    bool is_live;          /* its loans never wait */
};

struct producer {
    struct shmframe_session *session;
    struct producer_stream stream[PRODUCER_STREAMS_MAX];
    uint32_t streams;
    const struct verb *verbs; /* may be NULL */
    void *user;
    bool is_unpaced; /* set by the program: everything is due at once */
    bool is_paused;
    bool is_quitting; /* asked to, with the verb `quit` */
    int64_t start_ns; /* the instant of media time 0; moved on by pauses */
    int64_t paused_ns;
    int64_t started_ns;  /* of the run, pauses included */
    int64_t progress_ns; /* when progress was shown last */
    int64_t
        others_ns; /* when to begin without readers of the first stream; 0: nobody reads others */
};

/* Opens the session and takes signals; a failure ends the program. `verbs` and `user` are kept. */
void producer_open(struct producer *producer, const struct verb *verbs, void *user);

/* Opens a stream; a failure ends the program. The pointer stays good until producer_finish(). NULL:
 * asked to stop. */
struct producer_stream *producer_add(struct producer *producer,
                                     const struct shmframe_writer_params *params);

/* Waits for --wait-readers on the first stream, or for a while if only others have them, then
 * starts the clock. False: asked to stop. A device that is to be watched meanwhile: see
 * producer_wait_readers(). */
bool producer_start(struct producer *producer);

enum producer_wait {
    PRODUCER_DUE = 0, /* the instant has come */
    PRODUCER_READY,   /* the descriptor is readable */
    PRODUCER_ASKED,   /* a request was served: what was waited for may have changed */
    PRODUCER_STOP,    /* asked to stop, by a signal or by `quit` */
};

/* Waits until media time `media_ns`, through pauses; serves requests at once. ASKED comes only
 * after a verb of the program's own. */
enum producer_wait producer_wait_until(struct producer *producer, int64_t media_ns);

/* Waits until the instant `deadline_ns`, or until `fd` (-1: none) is readable. Pauses are the
 * caller's: look at is_paused. */
enum producer_wait producer_wait_for(struct producer *producer, int fd, int64_t deadline_ns);

/* Before producer_start(), for --wait-readers: READY: `fd` (-1: none) is readable, or ASKED: look,
 * and wait again; DUE: the readers are there; STOP. */
enum producer_wait producer_wait_readers(struct producer *producer, int fd);

/* A device that is gone: waits 0.1 s, then longer, 2 s at most, before the next try. `tries` counts
 * them; 0 at first. DUE: try; STOP: asked to stop, or --duration is over. */
enum producer_wait producer_wait_retry(struct producer *producer, uint32_t *tries);

/* The instant at which --duration is over; SHMFRAME_FOREVER: it never is, or not while paused. */
int64_t producer_end_ns(const struct producer *producer);

/* Media time now. */
int64_t producer_media_ns(const struct producer *producer);

/* Lends a slot; capture_ns, pts and so on are the caller's to fill in. Waits for lossless readers,
 * if the stream is not live. Returns 0; -EAGAIN no slot: the frame counts as refused and dropped;
 * -EINTR asked to stop. Anything else ends the program. */
int producer_loan(struct producer *producer, struct producer_stream *stream,
                  struct shmframe_loan *out_loan);

/* Goes on in another format; a failure ends the program. False: asked to stop. */
bool producer_set_format(struct producer_stream *stream, const struct shmframe_format *format);

/* The device lost that many frames before the next one, which tells. */
void producer_count_dropped(struct producer_stream *stream, uint32_t frames);

/* Says in a loan that was got otherwise what the stream has dropped before it. */
void producer_tell_dropped(const struct producer_stream *stream, struct shmframe_loan *loan);

/* Publishes; `is_copied` says that the frame was filled elsewhere first. */
void producer_publish(struct producer_stream *stream, struct shmframe_loan *loan, bool is_copied);

/* Whether --frames have been published on the first stream. */
bool producer_has_enough(const struct producer *producer);
/* Whether that is so, or --duration is over on the clock. */
bool producer_is_over(const struct producer *producer);

/* Takes "CONTROL VALUE", the argument of the verb `set`, apart: copies the name, and returns where
 * the value begins in `argument`. NULL: it is not of that shape. */
const char *producer_split_setting(const char *argument, char out_name[SHMFRAME_ARGUMENT_BYTES]);

/* Ends the streams so that readers hear of it, prints the statistics, closes everything. Returns
 * the exit code. */
int producer_finish(struct producer *producer);

#endif
