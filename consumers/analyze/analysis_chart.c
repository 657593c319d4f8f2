#include "analysis_chart.h"

#include "picture_chart.h"
#include "sound_chart.h"

#include <errno.h>
#include <math.h>

enum { WIDTH = 1280, MARGIN = 28, TITLE = 64, EMPTY = 40 };

static const struct sound_history *history_of(const struct analysis *analysis) {
    return analysis->sound ? sound_measures_history(analysis->sound) : NULL;
}

static const struct picture_history *pictures_of(const struct analysis *analysis) {
    return analysis->picture ? picture_measures_history(analysis->picture) : NULL;
}

static double height_of(const struct analysis *analysis) {
    const struct sound_history *history = history_of(analysis);
    const struct picture_history *pictures = pictures_of(analysis);
    return TITLE + (history    ? sound_chart_height(history)
                    : pictures ? picture_chart_height(pictures)
                               : EMPTY);
}

static void paint_title(cairo_t *page, double y, const json_t *total) {
    cairo_text_extents_t extents;
    char text[256];
    const char *stream = json_string_value(json_object_get(total, "stream"));
    cairo_select_font_face(page, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    chart_write(page, MARGIN, y, CHART_LEFT, 18, chart_text, stream);
    cairo_text_extents(page, stream, &extents);
    cairo_select_font_face(page, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    snprintf(text, sizeof(text),
             "%s, %.1f s, %" JSON_INTEGER_FORMAT " frames, %" JSON_INTEGER_FORMAT " lost",
             json_string_value(json_object_get(total, "format")),
             json_number_value(json_object_get(total, "duration_s")),
             json_integer_value(json_object_get(total, "frames")),
             json_integer_value(json_object_get(total, "lost_frames")));
    chart_write(page, MARGIN + extents.x_advance + 14, y, CHART_LEFT, 13, chart_dim, text);
}

static void paint(cairo_t *page, double y, struct analysis *analysis) {
    json_t *total = analysis_make_total(analysis);
    const struct sound_history *history = history_of(analysis);
    const struct picture_history *pictures = pictures_of(analysis);
    paint_title(page, y + 22, total);
    const struct chart_area area = {MARGIN, y + TITLE, WIDTH - 2 * MARGIN,
                                    height_of(analysis) - TITLE};
    if (history)
        sound_chart_paint(page, area, history, total);
    else if (pictures && pictures->count)
        picture_chart_paint(page, area, pictures, total);
    else
        chart_write(page, MARGIN, y + TITLE, CHART_LEFT, 13, chart_dim, "nothing came");
    json_decref(total);
}

int analysis_chart_write(struct analysis *analyses, uint32_t count, const char *path) {
    double height = MARGIN;
    for (uint32_t i = 0; i < count; i++)
        height += height_of(&analyses[i]);
    cairo_t *page = chart_begin(WIDTH, (int)ceil(height) + MARGIN);
    if (!page)
        return -ENOMEM;
    double y = MARGIN;
    for (uint32_t i = 0; i < count; i++) {
        paint(page, y, &analyses[i]);
        y += height_of(&analyses[i]);
    }
    return chart_end(page, path);
}
