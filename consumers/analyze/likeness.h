/* How like two pictures are: PSNR and SSIM, as FFmpeg's filters of these names define them.
 *
 * Of each component the mean squared difference, and the mean structural similarity of windows of
 * 8x8 samples, 4 apart; of all of them the mean, weighted by their samples. Over pictures the means
 * of these are taken.
 */
#ifndef CONSUMERS_LIKENESS_H
#define CONSUMERS_LIKENESS_H

#include "component.h"

#include <jansson.h>

struct likeness_measure {
    uint64_t count;             /* of what is in the sums */
    double sum[COMPONENTS_MAX]; /* of each component */
    double all;
    double worst; /* of a picture, all components */
};

struct likeness {
    uint64_t pairs, equal; /* equal: in all samples that were compared */
    int components;
    bool is_rgb;
    struct likeness_measure difference; /* mean squares, as parts of the peak's square */
    struct likeness_measure similarity;
};

/* Whether two pictures can be compared as they are: sizes and depths are the same, and what they
 * say of their colours does not differ. */
bool likeness_can_compare(const AVFrame *a, const AVFrame *b);

/* Compares two such pictures; the buffers are of COMPONENT_ROW_BYTES. Errors: -ENOMEM. */
int likeness_measure(const AVFrame *a, const AVFrame *b, bool with_psnr, bool with_ssim,
                     struct likeness *out_likeness);

/* `sum` += `likeness`; all zeros is none. */
void likeness_add(struct likeness *sum, const struct likeness *likeness);

/* Adds "pairs", "pairs_equal"; psnr_y_db (or r, g, b), psnr_avg_db, psnr_min_db; ssim_y, ssim_all,
 * ssim_min. */
void likeness_report(const struct likeness *likeness, json_t *object);

#endif
