/* How a picture differs from the ones before it: scene score, and whether it stands still.
 *
 * References to the last picture, and to the first of those that stand still, are kept until the
 * next one comes; a picture that stands still for longer is copied, so that no lease is held for
 * long.
 */
#ifndef CONSUMERS_CHANGES_H
#define CONSUMERS_CHANGES_H

#include "component.h"

struct changes {
    AVFrame *previous;          /* NULL: nothing to compare with */
    AVFrame *still;             /* what is shown since; NULL: as previous */
    double previous_difference; /* as FFmpeg's scdet: 0 to 100, of the picture before */
};

struct change {
    bool is_known; /* there was a picture to compare with */
    bool is_still; /* the mean difference to what is shown is at most the noise */
    bool is_copied;
    double score; /* as FFmpeg's scdet: 0 to 100 */
};

/* Compares a picture that can be read with the last one, and keeps a reference to it. `components`
 * are its own; the buffers are of COMPONENT_ROW_BYTES. Errors: -ENOMEM. */
int changes_step(struct changes *changes, const AVFrame *picture,
                 const struct components *components, double noise, void *const buffers[2],
                 struct change *out_change);

/* The last picture is copied, and its reference given back. Errors: -ENOMEM. */
int changes_let_go(struct changes *changes);

/* What comes next has nothing to do with what was. */
void changes_reset(struct changes *changes);

#endif
