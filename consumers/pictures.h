/* The pictures of a stream: taken, held until they are due, shown, measured. */
#ifndef CONSUMERS_PICTURES_H
#define CONSUMERS_PICTURES_H

#include "listener.h"
#include "screen.h"
#include "source.h"

/* A picture that waits for its moment. */
struct held_picture {
    struct shmframe_lease lease;
    bool is_new_format; /* screen_set_format() comes first */
};

struct pictures {
    struct source source;
    struct screen *screen;                 /* borrowed */
    struct listener *listener;             /* borrowed; NULL: nothing to be in step with */
    char title[SHMFRAME_NAME_BYTES + 130]; /* stream and format; "": none was shown yet */
    uint64_t shown, unshown, converted;
    struct meter age, display, skew;
    struct shmframe_histogram skew_sizes; /* without the sign, since the beginning */

    struct held_picture held[SHMFRAME_LEASES_MAX]; /* in order; the first is shown next */
    uint32_t held_count;
    bool is_format_due;   /* the next picture needs screen_set_format() */
    int64_t interval_ns;  /* between two pictures */
    int64_t delay_max_ns; /* they cannot be held for longer; 0: they are not held */
    int64_t cost_ns;      /* to bring one to the screen */
    int64_t short_ns;     /* since when delay_max_ns has not been enough; 0: it is */
    int64_t judge_next_ns;
};

/* Opens `params->stream`. Errors: as source_open(). */
int pictures_open(struct pictures *pictures, struct shmframe_session *session,
                  const struct shmframe_reader_params *params);
/* Reads the same stream in another way. Pictures that are held are gone. Errors: as
 * source_reopen(). */
int pictures_reopen(struct pictures *pictures, struct shmframe_session *session,
                    const struct shmframe_reader_params *params);
void pictures_close(struct pictures *pictures);

/* Takes what there is and shows what is due; while paused, takes and shows nothing. Stops when
 * `shown_max` have been shown (0: any number). What cannot be shown at all ends the program. */
void pictures_show(struct pictures *pictures, bool is_paused, uint64_t shown_max);

/* Whether one more could be held. */
bool pictures_has_room(const struct pictures *pictures);
/* When the next picture is to be shown; INT64_MAX: there is none. */
int64_t pictures_due_ns(struct pictures *pictures);
/* The depth that is needed to hold pictures until their sound is heard; 0: the present one does. */
uint32_t pictures_wanted_depth(struct pictures *pictures, int64_t now_ns);
/* To be called now and then: tells the listener by how much pictures are later than their sound. */
void pictures_judge_lateness(struct pictures *pictures, int64_t now_ns);

#endif
