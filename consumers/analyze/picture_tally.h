/* What was measured of pictures, added up over one, an interval, or all, and how that is reported.
 */
#ifndef CONSUMERS_PICTURE_TALLY_H
#define CONSUMERS_PICTURE_TALLY_H

#include "checksum.h"
#include "levels.h"
#include "likeness.h"

#include <stdint.h>

/* Whose levels there are; those a format does not have stay empty. */
enum picture_color {
    PICTURE_LUMA = 0, /* of RGB: made by BT.709's weights */
    PICTURE_CB,
    PICTURE_CR,
    PICTURE_RED,
    PICTURE_GREEN,
    PICTURE_BLUE,
    PICTURE_COLORS,
};

struct picture_tally {
    uint64_t pictures;
    uint64_t converted; /* before they could be read */
    uint64_t copied;    /* to be compared with later ones */
    int64_t span_ns;    /* from each picture to the next, added up */
    uint64_t spans;
    struct levels levels[PICTURE_COLORS];
    uint64_t black_measured;
    double black_share_sum; /* of black pixels */
    uint64_t scenes_measured;
    uint64_t scene_cuts;
    double scene_score_sum, scene_score_max;
    struct checksums checksums; /* of the planes of all pictures, one after another */
    struct likeness likeness;
    uint64_t pairs_converted;
    uint64_t unmatched[2]; /* by enum pairing_side */
};

/* `sum` += `tally`; all zeros is none. */
void picture_tally_add(struct picture_tally *sum, const struct picture_tally *tally);

/* Adds what there is, as flat values; histograms of `bins`, 0: none. */
void picture_tally_report(const struct picture_tally *tally, bool has_reference, uint32_t bins,
                          json_t *object);

#endif
