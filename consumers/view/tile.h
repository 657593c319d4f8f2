/* One of the streams in the window: read, and what is to be said of it.
 *
 *   source --> pictures (held until they are due) --> canvas of a pane
 *
 * Streams may come later, go, and come again; of several, none is missed so badly that the others
 * are not shown.
 */
#ifndef CONSUMERS_TILE_H
#define CONSUMERS_TILE_H

#include "pictures.h"

struct tile {
    struct shmframe_session *session; /* borrowed */
    const char *name;                 /* of a stream or group, as the user has it */
    struct pictures pictures;
    bool is_one_of_several;
    bool is_each_wanted; /* every picture, not only the newest, where --policy leaves the choice */
    bool is_orphan;      /* its writer is gone, and another one is waited for */
    bool has_lost_hope;  /* it cannot be read */
    bool has_told_missing; /* that there is no such stream, or none was missing so far */
    bool has_told_short;   /* that pictures cannot be held for as long as the sound takes */
    bool has_told_trouble; /* that it cannot be shown */
    bool has_told_ahead;   /* that it has capture times of the future */
    bool is_reopen_due;    /* it is to be read in another way, when it is not paused */
    int64_t format_ns;     /* when a new format was told; 0: none was */
    uint32_t wanted_depth; /* of pictures, found out while playing; 0: the default */
};

/* How pictures of `stream` are read by the settings, of which mistakes end the program. */
struct shmframe_reader_params tile_reader_params(const struct tile *tile, const char *stream);

/* Opens it, waiting until the deadline. Errors: as source_open(). */
int tile_open(struct tile *tile, const char *stream, int64_t deadline_ns);
bool tile_is_open(const struct tile *tile);
void tile_close(struct tile *tile);

/* What is to be looked at now and then: what happened to the stream is told, and pictures are read
 * deeper where the sound is late. What cannot be shown at all ends the program, if it is alone. */
void tile_look_after(struct tile *tile, int64_t now_ns);

/* Whether nothing is to come or to be shown any more. */
bool tile_is_over(const struct tile *tile);

/* What is said at its lower edge: stream, format, what has become of it. */
void tile_describe(const struct tile *tile, bool is_heard, char *out_text, size_t text_bytes);

#endif
