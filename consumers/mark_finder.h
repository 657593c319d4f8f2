/* Mark finder: reads the marks of a stream's pictures, wherever in the picture they are.
 *
 * Marks that were found are looked for where they were, which costs next to nothing; the whole
 * picture is searched where they are no longer there, and now and then while some are missing.
 * docs/marks.md says how small, blurred or spoilt they may be, and how sure what is read is.
 *
 * Threads: one for each finder.
 */
#ifndef CONSUMERS_MARK_FINDER_H
#define CONSUMERS_MARK_FINDER_H

#include "mark.h"

#include <shmframe/reader.h>

struct mark_finder;

/* For pictures of `format`. Errors: -ENOTSUP they are no pictures, or of a format whose luma cannot
 * be read; -ENOMEM. */
int mark_finder_create(const struct shmframe_format *format, struct mark_finder **out_finder);
void mark_finder_destroy(struct mark_finder *finder);

/* The stream whose marks are told wherever there are any, see mark_stream_id(). Without it, of
 * several in one picture, the one that was seen last, else the topmost. */
void mark_finder_want(struct mark_finder *finder, uint16_t stream);

struct mark_sight {
    uint32_t copies;               /* that were read: 0: none */
    bool is_torn;                  /* the copies, or the cells of one, are of different frames */
    struct mark mark;              /* the newest of the copies */
    struct mark oldest;            /* the oldest of them */
    uint32_t corrected;            /* wrong cells that were put right, of all copies */
    float cell_width, cell_height; /* in pixels of this picture: the scale it was seen at */
    int32_t left, top;             /* of the first copy */
};

/* Looks at a picture of the format that the finder was created for; of any other, nothing is read.
 * Of several streams' marks in one picture those of one are told; of a stream that is shown several
 * times, those of one place: the one that was told before, else the one with most copies. Returns
 * whether a mark was read. */
bool mark_finder_look(struct mark_finder *finder, const struct shmframe_lease *lease,
                      struct mark_sight *out_sight);

#endif
