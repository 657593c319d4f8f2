#include "picture_tally.h"

static const char *const color_name[PICTURE_COLORS] = {
    [PICTURE_LUMA] = "luma", [PICTURE_CB] = "cb",       [PICTURE_CR] = "cr",
    [PICTURE_RED] = "red",   [PICTURE_GREEN] = "green", [PICTURE_BLUE] = "blue",
};

void picture_tally_add(struct picture_tally *sum, const struct picture_tally *tally) {
    sum->pictures += tally->pictures;
    sum->converted += tally->converted;
    sum->copied += tally->copied;
    sum->span_ns += tally->span_ns;
    for (int i = 0; i < PICTURE_COLORS; i++)
        levels_add(&sum->levels[i], &tally->levels[i]);
    sum->black_measured += tally->black_measured;
    sum->black_share_sum += tally->black_share_sum;
}

static void set_count(json_t *object, const char *key, uint64_t value) {
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

void picture_tally_report(const struct picture_tally *tally, uint32_t bins, json_t *object) {
    set_count(object, "pictures", tally->pictures);
    set_count(object, "pictures_converted", tally->converted);
    set_count(object, "pictures_copied", tally->copied);
    for (int i = 0; i < PICTURE_COLORS; i++)
        levels_report(&tally->levels[i], color_name[i], bins, object);
    if (tally->black_measured)
        json_object_set_new(object, "black_pixel_share",
                            json_real(tally->black_share_sum / (double)tally->black_measured));
}
