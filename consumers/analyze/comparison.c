#include "comparison.h"

#include "scaler.h"

#include <errno.h>
#include <stdlib.h>

struct comparison {
    struct pairing *pairing;
    struct pairing_counters told; /* those of its counts that are in tallies */
    bool with_psnr, with_ssim;
    struct scaler *scaler; /* for references; NULL: none was needed yet */
    struct scaler_params params;
};

int comparison_create(const struct pairing_settings *settings, bool with_psnr, bool with_ssim,
                      struct comparison **out_comparison) {
    struct comparison *comparison = calloc(1, sizeof(*comparison));
    if (!comparison)
        return -ENOMEM;
    comparison->with_psnr = with_psnr;
    comparison->with_ssim = with_ssim;
    const int result = pairing_create(settings, &comparison->pairing);
    if (result < 0)
        free(comparison);
    else
        *out_comparison = comparison;
    return result;
}

void comparison_destroy(struct comparison *comparison) {
    if (!comparison)
        return;
    pairing_destroy(comparison->pairing);
    scaler_destroy(comparison->scaler);
    free(comparison);
}

void comparison_set_times(struct comparison *comparison, enum pairing_side side,
                          struct shmframe_rational time_base, struct shmframe_rational frame_rate) {
    pairing_set_times(comparison->pairing, side, time_base, frame_rate);
}

enum pairing_room comparison_find_room(const struct comparison *comparison,
                                       enum pairing_side side) {
    return pairing_find_room(comparison->pairing, side);
}

bool comparison_is_waiting(const struct comparison *comparison, enum pairing_side side) {
    return pairing_is_waiting(comparison->pairing, side);
}

int comparison_let_go(struct comparison *comparison, enum pairing_side side) {
    return pairing_let_go(comparison->pairing, side);
}

static bool params_are_equal(const struct scaler_params *a, const struct scaler_params *b) {
    return a->pixel_format == b->pixel_format && a->width == b->width && a->height == b->height &&
           a->color_space == b->color_space && a->color_range == b->color_range;
}

/* Makes a picture of `reference` that can be compared with `picture`. */
static int convert(struct comparison *comparison, const AVFrame *picture, const AVFrame *reference,
                   AVFrame **out_converted) {
    struct scaler_params params = {
        .pixel_format = picture->format, .width = picture->width, .height = picture->height};
    picture_colors(picture, &params.color_space, &params.color_range);
    if (!comparison->scaler || !params_are_equal(&params, &comparison->params)) {
        scaler_destroy(comparison->scaler);
        comparison->scaler = NULL;
        const int result = scaler_create(&params, &comparison->scaler);
        if (result < 0)
            return result;
        comparison->params = params;
    }
    return scaler_run(comparison->scaler, reference, out_converted);
}

static int compare(struct comparison *comparison, const AVFrame *picture, const AVFrame *reference,
                   struct picture_tally *tally) {
    AVFrame *converted = NULL;
    if (!likeness_can_compare(picture, reference)) {
        const int result = convert(comparison, picture, reference, &converted);
        if (result < 0)
            return result;
        tally->pairs_converted = 1;
        reference = converted;
    }
    const int result = likeness_measure(picture, reference, comparison->with_psnr,
                                        comparison->with_ssim, &tally->likeness);
    av_frame_free(&converted);
    return result;
}

static void count(struct comparison *comparison, struct picture_tally *tally) {
    struct pairing_counters now;
    pairing_read_counters(comparison->pairing, &now);
    for (int side = 0; side < 2; side++)
        tally->unmatched[side] = now.unmatched[side] - comparison->told.unmatched[side];
    tally->copied = now.copied - comparison->told.copied;
    comparison->told = now;
}

int comparison_add(struct comparison *comparison, enum pairing_side side, const AVFrame *picture,
                   const struct shmframe_frame *stamps, struct picture_tally *tally) {
    AVFrame *partner = NULL;
    int result = pairing_add(comparison->pairing, side, picture, stamps, &partner);
    if (result > 0)
        result = side == PAIRING_MAIN ? compare(comparison, picture, partner, tally)
                                      : compare(comparison, partner, picture, tally);
    av_frame_free(&partner);
    count(comparison, tally);
    return result;
}

void comparison_end(struct comparison *comparison, enum pairing_side side,
                    struct picture_tally *tally) {
    pairing_end(comparison->pairing, side);
    count(comparison, tally);
}
