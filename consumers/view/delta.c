#include "delta.h"

#include "match.h"
#include "program.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void drop_pixels(struct delta *delta) {
    for (int i = 0; i < 2; i++) {
        painter_destroy(delta->painter[i]);
        delta->painter[i] = NULL;
        free(delta->pixels[i]);
        delta->pixels[i] = NULL;
    }
}

void delta_finish(struct delta *delta) {
    drop_pixels(delta);
}

/* ---- Painting ---- */

static void refuse(struct delta *delta, const char *stream, const char *why) {
    snprintf(delta->trouble, sizeof delta->trouble, "stream %s: %s", stream, why);
    if (strcmp(delta->told, delta->trouble) != 0) {
        memcpy(delta->told, delta->trouble, sizeof delta->told);
        program_warn("no difference: %s", delta->trouble);
    }
}

static bool is_for(const struct delta *delta, const struct shmframe_lease *const lease[2]) {
    return shmframe_format_is_equal(&delta->painted[0], lease[0]->format) &&
           shmframe_format_is_equal(&delta->painted[1], lease[1]->format);
}

/* As large as the first's pictures, and turned as they are. */
static bool make_format(struct delta *delta, const struct shmframe_lease *const lease[2]) {
    const struct shmframe_video_format *const video = &lease[0]->format->video;
    if (lease[1]->format->video.rotation_degrees != video->rotation_degrees) {
        char why[80];
        snprintf(why, sizeof why, "to be turned by %d degrees, the other by %d",
                 lease[1]->format->video.rotation_degrees, video->rotation_degrees);
        refuse(delta, lease[1]->stream, why);
        return false;
    }
    if (shmframe_format_video(&delta->format, "bgra", video->width, video->height)) {
        refuse(delta, lease[0]->stream, shmframe_last_error());
        return false;
    }
    delta->format.video.sample_aspect = video->sample_aspect;
    delta->format.video.rotation_degrees = video->rotation_degrees;
    return true;
}

/* Painters for what is there now: the second picture is scaled to the size of the first. */
static void begin_formats(struct delta *delta, const struct shmframe_lease *const lease[2]) {
    drop_pixels(delta);
    delta->trouble[0] = '\0';
    for (int i = 0; i < 2; i++) {
        delta->painted[i] = *lease[i]->format;
    }
    if (!make_format(delta, lease)) {
        return;
    }
    const struct shmframe_video_format *const video = &delta->format.video;
    for (int i = 0; i < 2; i++) {
        delta->pixels[i] = malloc((size_t)delta->format.slot_bytes);
        if (!delta->pixels[i] || painter_create(lease[i]->format, (int)video->width,
                                                (int)video->height, &delta->painter[i])) {
            char why[80];
            snprintf(why, sizeof why, "pixel format %s cannot be compared",
                     lease[i]->format->video.pixel_format);
            refuse(delta, lease[i]->stream, why);
            return;
        }
    }
    if (canvas_set_format(delta->canvas, &delta->format)) {
        refuse(delta, lease[0]->stream, canvas_trouble(delta->canvas));
    }
}

static uint8_t distance(uint8_t a, uint8_t b) {
    return a > b ? a - b : b - a;
}

/* Makes the difference of both where the first lies. */
static void subtract(struct delta *delta) {
    const struct shmframe_plane *const plane = &delta->format.plane[0];
    uint8_t stronger[256];
    for (int i = 0; i < 256; i++) {
        const double value = i * delta->gain;
        stronger[i] = value < 255 ? (uint8_t)(value + 0.5) : 255;
    }
    uint64_t differing = 0;
    uint8_t most = 0;
    for (uint32_t y = 0; y < plane->rows; y++) {
        uint8_t *const a = delta->pixels[0] + (size_t)y * plane->line_bytes;
        const uint8_t *const b = delta->pixels[1] + (size_t)y * plane->line_bytes;
        for (uint32_t x = 0; x < plane->row_bytes; x += 4) {
            uint8_t largest = 0;
            for (uint32_t c = x; c < x + 3; c++) {
                const uint8_t apart = distance(a[c], b[c]);
                largest = apart > largest ? apart : largest;
                a[c] = stronger[apart];
            }
            a[x + 3] = 255;
            most = largest > most ? largest : most;
            differing += largest > 0;
        }
    }
    delta->most = most;
    delta->differing =
        (double)differing / ((double)delta->format.video.width * delta->format.video.height);
}

/* True: each was converted. */
static bool convert(struct delta *delta, const struct shmframe_lease *const lease[2]) {
    for (int i = 0; i < 2; i++) {
        if (painter_run(delta->painter[i], lease[i], delta->pixels[i],
                        (int)delta->format.plane[0].line_bytes)) {
            refuse(delta, lease[i]->stream, "its pictures cannot be converted");
            return false;
        }
    }
    return true;
}

/* False: they cannot be compared, which is told; or they are not held. */
static bool paint(struct delta *delta) {
    const struct shmframe_lease *const lease[2] = {pictures_on_screen(delta->pictures[0]),
                                                   pictures_on_screen(delta->pictures[1])};
    if (!lease[0] || !lease[1]) {
        return false;
    }
    if (!is_for(delta, lease)) {
        begin_formats(delta, lease);
    }
    if (delta->trouble[0] != '\0' || !convert(delta, lease)) {
        return false;
    }
    subtract(delta);
    const struct shmframe_lease result = {.data = delta->pixels[0], .format = &delta->format};
    if (canvas_upload(delta->canvas, &result)) {
        refuse(delta, lease[0]->stream, canvas_trouble(delta->canvas));
        return false;
    }
    return true;
}

/* ---- Matching ---- */

static int64_t shorter(int64_t a_ns, int64_t b_ns) {
    return a_ns < b_ns ? a_ns : b_ns;
}

/* Judges what is next in both. False: a picture is missing. */
static bool judge_next(struct delta *delta) {
    struct pictures *const first = delta->pictures[0], *const second = delta->pictures[1];
    const struct shmframe_lease *const a = pictures_peek(first), *const b = pictures_peek(second);
    if (!a || !b) {
        return false;
    }
    const int64_t interval_ns = shorter(pictures_interval_ns(a), pictures_interval_ns(b));
    switch (match_judge(a, b, interval_ns)) {
    case MATCH_SAME:
        pictures_advance(first);
        pictures_advance(second);
        delta->matched++;
        break;
    case MATCH_FIRST_IS_ALONE:
        pictures_skip(first);
        delta->unmatched[0]++;
        break;
    case MATCH_SECOND_IS_ALONE:
        pictures_skip(second);
        delta->unmatched[1]++;
        break;
    }
    return true;
}

bool delta_bring(struct delta *delta) {
    struct pictures *const first = delta->pictures[0], *const second = delta->pictures[1];
    bool is_going_on = true;
    while (is_going_on && !first->is_brought) {
        pictures_take(first);
        pictures_take(second);
        is_going_on = judge_next(delta);
    }
    if (first->is_brought && paint(delta)) {
        delta->converted += 2;
    }
    return first->is_brought;
}

void delta_renew(struct delta *delta) {
    paint(delta);
}

void delta_describe(const struct delta *delta, char *out_text, size_t text_bytes) {
    const char *const first = delta->pictures[0]->source.stream;
    const char *const second = delta->pictures[1]->source.stream;
    if (delta->trouble[0] != '\0') {
        snprintf(out_text, text_bytes, "%s - %s  %s", first, second, delta->trouble);
        return;
    }
    snprintf(out_text, text_bytes,
             "%s - %s  x%g  matched %" PRIu64 "  alone %" PRIu64 " + %" PRIu64
             "  differ %.3f %%  by %u at most",
             first, second, delta->gain, delta->matched, delta->unmatched[0], delta->unmatched[1],
             delta->differing * 100, delta->most);
}
