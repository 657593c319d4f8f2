#include "camera_mode.h"
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What moves smoothly enough. */
#define RATE_ENOUGH 30.0

void camera_modes_add(struct camera_modes *modes, const struct camera_mode *mode) {
    struct camera_mode *grown = realloc(modes->mode, (modes->count + 1) * sizeof(*grown));
    if (!grown)
        program_fail("no memory for the list of modes");
    modes->mode = grown;
    modes->mode[modes->count++] = *mode;
}

void camera_modes_free(struct camera_modes *modes) {
    free(modes->mode);
    *modes = (struct camera_modes){0};
}

static double to_number(struct shmframe_rational rate) {
    return rate.den ? (double)rate.num / rate.den : 0;
}

bool camera_rate_is_near(struct shmframe_rational a, struct shmframe_rational b) {
    const double one = to_number(a), other = to_number(b);
    const double apart = one > other ? one - other : other - one;
    return apart <= 0.005 * one;
}

static bool is_in_steps(uint32_t value, uint32_t min, uint32_t max, uint32_t step) {
    return value >= min && value <= max && (step <= 1 || (value - min) % step == 0);
}

static bool has_pixels(const struct camera_mode *mode, const struct camera_wish *wish) {
    const struct camera_pixels *pixels = camera_pixels_find(mode->fourcc);
    return pixels && (!wish->pixel_format || strcmp(wish->pixel_format, pixels->name) == 0);
}

static bool has_size(const struct camera_mode *mode, const struct camera_wish *wish) {
    return !wish->width || !mode->width ||
           (is_in_steps(wish->width, mode->width, mode->width_max, mode->width_step) &&
            is_in_steps(wish->height, mode->height, mode->height_max, mode->height_step));
}

static bool has_rate(const struct camera_mode *mode, const struct camera_wish *wish) {
    const double wanted = to_number(wish->rate);
    return !wish->rate.num || !mode->rate.num || camera_rate_is_near(mode->rate, wish->rate) ||
           camera_rate_is_near(mode->rate_max, wish->rate) ||
           (wanted >= to_number(mode->rate) && wanted <= to_number(mode->rate_max));
}

/* The rate that the mode would run at. */
static struct shmframe_rational find_rate(const struct camera_mode *mode,
                                          const struct camera_wish *wish) {
    const struct shmframe_rational unknown = {0, 1}, enough = {(int32_t)RATE_ENOUGH, 1};
    if (!mode->rate.num)
        return wish->rate.num ? wish->rate : unknown;
    if (camera_rate_is_near(mode->rate, mode->rate_max))
        return mode->rate;
    if (wish->rate.num)
        return wish->rate;
    const bool is_between =
        to_number(mode->rate) <= RATE_ENOUGH && to_number(mode->rate_max) >= RATE_ENOUGH;
    return is_between ? enough : mode->rate_max;
}

static struct camera_choice settle(const struct camera_modes *modes, const struct camera_mode *mode,
                                   const struct camera_wish *wish) {
    const bool is_asked = wish->width;
    const bool is_kept =
        is_in_steps(modes->width_now, mode->width, mode->width_max, mode->width_step) &&
        is_in_steps(modes->height_now, mode->height, mode->height_max, mode->height_step) &&
        (mode->width != mode->width_max || mode->height != mode->height_max);
    return (struct camera_choice){
        .fourcc = mode->fourcc,
        .width = is_asked  ? wish->width
                 : is_kept ? modes->width_now
                           : mode->width_max,
        .height = is_asked  ? wish->height
                  : is_kept ? modes->height_now
                            : mode->height_max,
        .rate = find_rate(mode, wish),
    };
}

/* Smoothness of a choice: above what is enough, all are alike. */
static double find_smoothness(const struct camera_choice *choice) {
    const double rate = to_number(choice->rate);
    return rate == 0 || rate > 0.99 * RATE_ENOUGH ? RATE_ENOUGH : rate;
}

static bool is_better(const struct camera_choice *a, const struct camera_choice *b) {
    const double smooth_a = find_smoothness(a), smooth_b = find_smoothness(b);
    const uint64_t area_a = (uint64_t)a->width * a->height;
    const uint64_t area_b = (uint64_t)b->width * b->height;
    const uint32_t rank_a = camera_pixels_rank(camera_pixels_find(a->fourcc));
    const uint32_t rank_b = camera_pixels_rank(camera_pixels_find(b->fourcc));
    if (smooth_a != smooth_b)
        return smooth_a > smooth_b;
    if (area_a != area_b)
        return area_a > area_b;
    if (rank_a != rank_b)
        return rank_a < rank_b;
    return to_number(a->rate) < to_number(b->rate); /* as fast as needed, no faster */
}

/* Telling what there is instead. */

static void append(char text[CAMERA_WHY_BYTES], const char *word) {
    const size_t used = strlen(text);
    const char *comma = used && text[used - 1] != ':' ? "," : "";
    char with_comma[80];
    snprintf(with_comma, sizeof(with_comma), "%s %s", comma, word);
    /* Each is told once; room is kept for the mark that more were left out. */
    char *found = strstr(text, word);
    while (found && found[strlen(word)] && found[strlen(word)] != ',')
        found = strstr(found + 1, word);
    if (found)
        return;
    if (used + strlen(with_comma) + 5 < CAMERA_WHY_BYTES)
        strcpy(text + used, with_comma);
    else if (used < 3 || strcmp(text + used - 3, "...") != 0)
        strcpy(text + used, " ...");
}

static void tell_pixels(const struct camera_modes *modes, char why[CAMERA_WHY_BYTES]) {
    for (uint32_t i = 0; i < modes->count; i++) {
        const struct camera_pixels *pixels = camera_pixels_find(modes->mode[i].fourcc);
        if (pixels)
            append(why, pixels->name);
    }
}

static void tell_sizes(const struct camera_modes *modes, const struct camera_wish *wish,
                       char why[CAMERA_WHY_BYTES]) {
    for (uint32_t i = 0; i < modes->count; i++) {
        const struct camera_mode *mode = &modes->mode[i];
        char word[64];
        if (!has_pixels(mode, wish))
            continue;
        if (mode->width == mode->width_max && mode->height == mode->height_max)
            snprintf(word, sizeof(word), "%ux%u", mode->width, mode->height);
        else
            snprintf(word, sizeof(word), "%ux%u to %ux%u in steps of %ux%u", mode->width,
                     mode->height, mode->width_max, mode->height_max, mode->width_step,
                     mode->height_step);
        append(why, word);
    }
}

static void tell_rates(const struct camera_modes *modes, const struct camera_wish *wish,
                       char why[CAMERA_WHY_BYTES]) {
    for (uint32_t i = 0; i < modes->count; i++) {
        const struct camera_mode *mode = &modes->mode[i];
        char word[64];
        if (!has_pixels(mode, wish) || !has_size(mode, wish))
            continue;
        if (camera_rate_is_near(mode->rate, mode->rate_max))
            snprintf(word, sizeof(word), "%.5g", to_number(mode->rate));
        else
            snprintf(word, sizeof(word), "%.5g to %.5g", to_number(mode->rate),
                     to_number(mode->rate_max));
        append(why, word);
    }
}

static bool any(const struct camera_modes *modes, const struct camera_wish *wish, bool with_size) {
    for (uint32_t i = 0; i < modes->count; i++)
        if (has_pixels(&modes->mode[i], wish) && (!with_size || has_size(&modes->mode[i], wish)))
            return true;
    return false;
}

static int refuse(const struct camera_modes *modes, const struct camera_wish *wish,
                  char why[CAMERA_WHY_BYTES]) {
    const char *pixels = wish->pixel_format ? wish->pixel_format : "any format";
    if (!any(modes, wish, false)) {
        if (!modes->count)
            snprintf(why, CAMERA_WHY_BYTES, "it offers no format");
        else if (wish->pixel_format)
            snprintf(why, CAMERA_WHY_BYTES, "--pixel-format %s is not offered, but:", pixels);
        else
            snprintf(why, CAMERA_WHY_BYTES, "none of its formats is known here:");
        tell_pixels(modes, why);
    } else if (!any(modes, wish, true)) {
        snprintf(why, CAMERA_WHY_BYTES, "--size %ux%u is not offered in %s, but:", wish->width,
                 wish->height, pixels);
        tell_sizes(modes, wish, why);
    } else {
        snprintf(
            why, CAMERA_WHY_BYTES,
            "--rate %.5g is not offered with that size and format, but:", to_number(wish->rate));
        tell_rates(modes, wish, why);
    }
    return -ENOTSUP;
}

int camera_mode_choose(const struct camera_modes *modes, const struct camera_wish *wish,
                       struct camera_choice *out_choice, char why[CAMERA_WHY_BYTES]) {
    bool is_found = false;
    for (uint32_t i = 0; i < modes->count; i++) {
        const struct camera_mode *mode = &modes->mode[i];
        if (!has_pixels(mode, wish) || !has_size(mode, wish) || !has_rate(mode, wish))
            continue;
        const struct camera_choice choice = settle(modes, mode, wish);
        if (!is_found || is_better(&choice, out_choice))
            *out_choice = choice;
        is_found = true;
    }
    return is_found ? 0 : refuse(modes, wish, why);
}
