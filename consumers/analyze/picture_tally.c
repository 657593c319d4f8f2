#include "picture_tally.h"

#include "stretch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char *const color_name[PICTURE_COLORS] = {
    [PICTURE_LUMA] = "luma", [PICTURE_CB] = "cb",       [PICTURE_CR] = "cr",
    [PICTURE_RED] = "red",   [PICTURE_GREEN] = "green", [PICTURE_BLUE] = "blue",
};

void picture_tally_add(struct picture_tally *sum, const struct picture_tally *tally) {
    sum->pictures += tally->pictures;
    sum->converted += tally->converted;
    sum->copied += tally->copied;
    sum->span_ns = stretch_add_ns(sum->span_ns, tally->span_ns);
    sum->spans += tally->spans;
    for (int i = 0; i < PICTURE_COLORS; i++)
        levels_add(&sum->levels[i], &tally->levels[i]);
    sum->black_measured += tally->black_measured;
    sum->black_share_sum += tally->black_share_sum;
    sum->scenes_measured += tally->scenes_measured;
    sum->scene_cuts += tally->scene_cuts;
    sum->scene_score_sum += tally->scene_score_sum;
    sum->scene_score_max = fmax(sum->scene_score_max, tally->scene_score_max);
    checksums_append(&sum->checksums, &tally->checksums);
    likeness_add(&sum->likeness, &tally->likeness);
    sum->pairs_converted += tally->pairs_converted;
    for (int side = 0; side < 2; side++)
        sum->unmatched[side] += tally->unmatched[side];
}

static void set_count(json_t *object, const char *key, uint64_t value) {
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_number(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, json_real(value));
}

static void report_scenes(const struct picture_tally *tally, json_t *object) {
    if (tally->scenes_measured == 0)
        return;
    set_count(object, "scene_cuts", tally->scene_cuts);
    set_number(object, "scene_score_max", tally->scene_score_max);
    set_number(object, "scene_score_mean", tally->scene_score_sum / (double)tally->scenes_measured);
    if (tally->span_ns > 0)
        set_number(object, "scene_rate_hz",
                   (double)tally->scene_cuts * 1e9 / (double)tally->span_ns);
}

static void report_checksums(const struct checksums *checksums, json_t *object) {
    for (int plane = 0; plane < checksums->planes; plane++) {
        char key[32], text[16];
        snprintf(key, sizeof(key), "adler32_plane%d", plane);
        snprintf(text, sizeof(text), "%08" PRIx32, checksums->adler32[plane]);
        json_object_set_new(object, key, json_string(text));
    }
}

void picture_tally_report(const struct picture_tally *tally, bool has_reference, uint32_t bins,
                          json_t *object) {
    set_count(object, "pictures", tally->pictures);
    set_count(object, "pictures_converted", tally->converted);
    set_count(object, "pictures_copied", tally->copied);
    if (tally->span_ns > 0)
        set_number(object, "picture_rate_hz", (double)tally->spans * 1e9 / (double)tally->span_ns);
    for (int i = 0; i < PICTURE_COLORS; i++)
        levels_report(&tally->levels[i], color_name[i], bins, object);
    if (tally->black_measured)
        set_number(object, "black_pixel_share",
                   tally->black_share_sum / (double)tally->black_measured);
    report_scenes(tally, object);
    report_checksums(&tally->checksums, object);
    if (!has_reference)
        return;
    likeness_report(&tally->likeness, object);
    set_count(object, "pairs_converted", tally->pairs_converted);
    set_count(object, "unmatched", tally->unmatched[0]);
    set_count(object, "unmatched_reference", tally->unmatched[1]);
}
