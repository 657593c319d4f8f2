#include "chart.h"

#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct chart_color background = {0.085, 0.095, 0.11};
static const struct chart_color field = {0.045, 0.05, 0.06};
static const struct chart_color grid = {0.22, 0.24, 0.28};
const struct chart_color chart_text = {0.92, 0.93, 0.95};
const struct chart_color chart_dim = {0.60, 0.64, 0.70};
const struct chart_color chart_line[4] = {
    {0.36, 0.72, 0.98}, {0.99, 0.73, 0.27}, {0.47, 0.85, 0.47}, {0.95, 0.42, 0.48}};

cairo_t *chart_begin(int width, int height) {
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    cairo_t *page = cairo_create(surface);
    cairo_surface_destroy(surface); /* the page keeps it */
    if (cairo_status(page) != CAIRO_STATUS_SUCCESS) {
        cairo_destroy(page);
        return NULL;
    }
    cairo_select_font_face(page, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_line_join(page, CAIRO_LINE_JOIN_ROUND);
    chart_set_color(page, background, 1);
    cairo_paint(page);
    return page;
}

static cairo_status_t write_bytes(void *file, const unsigned char *bytes, unsigned count) {
    return fwrite(bytes, 1, count, file) == count ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/* The page as a PNG file in memory, the caller's. */
static int make_png(cairo_t *page, char **out_data, size_t *out_bytes) {
    FILE *memory = open_memstream(out_data, out_bytes);
    if (!memory)
        return -ENOMEM;
    const cairo_status_t status =
        cairo_surface_write_to_png_stream(cairo_get_target(page), write_bytes, memory);
    return fclose(memory) == 0 && status == CAIRO_STATUS_SUCCESS ? 0 : -ENOMEM;
}

int chart_end(cairo_t *page, const char *path) {
    char *data = NULL;
    size_t bytes;
    int result = make_png(page, &data, &bytes);
    if (result == 0)
        result = whole_file_write(path, data, bytes, true);
    free(data);
    cairo_destroy(page);
    return result;
}

static int try_folder_of(const char *path) {
    char part[PATH_MAX];
    if (snprintf(part, sizeof(part), "%s.try-%d", path, (int)getpid()) >= (int)sizeof(part))
        return -ENAMETOOLONG;
    const int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    close(fd);
    unlink(part);
    return 0;
}

bool chart_is_named_otherwise(const char *path) {
    static const char *const others[] = {"avif", "bmp", "gif", "jpeg", "jpg", "jxl",  "pam", "pdf",
                                         "pgm",  "pnm", "ppm", "svg",  "tif", "tiff", "webp"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof(others) / sizeof(others[0]); i++)
        if (strcasecmp(dot + 1, others[i]) == 0)
            return true;
    return false;
}

int chart_try(const char *path) {
    struct stat there;
    if (stat(path, &there) < 0)
        return try_folder_of(path);
    if (S_ISDIR(there.st_mode))
        return -EISDIR;
    if (!S_ISREG(there.st_mode))
        return access(path, W_OK) < 0 ? -errno : 0;
    char *target = realpath(path, NULL);
    const int result = target ? try_folder_of(target) : -errno;
    free(target);
    return result;
}

void chart_set_color(cairo_t *page, struct chart_color color, double alpha) {
    cairo_set_source_rgba(page, color.red, color.green, color.blue, alpha);
}

void chart_write(cairo_t *page, double x, double y, enum chart_align align, double size,
                 struct chart_color color, const char *text) {
    cairo_text_extents_t extents;
    cairo_set_font_size(page, size);
    cairo_text_extents(page, text, &extents);
    switch (align) {
    case CHART_LEFT:
        break;
    case CHART_CENTER:
        x -= extents.x_advance / 2;
        break;
    case CHART_RIGHT:
        x -= extents.x_advance;
        break;
    }
    chart_set_color(page, color, 1);
    cairo_move_to(page, x, y);
    cairo_show_text(page, text);
}

/* Where a value is on the page. */

static double x_of(struct chart_area area, struct chart_scale scale, double second) {
    const double span = scale.right - scale.left;
    return area.x + (span > 0 ? (second - scale.left) / span : 0) * area.width;
}

static double y_of(struct chart_area area, struct chart_scale scale, double value) {
    const double clipped = fmin(fmax(value, scale.bottom), scale.top);
    return area.y + (scale.top - clipped) / (scale.top - scale.bottom) * area.height;
}

/* In the middle of a pixel, so that a line of one pixel is sharp. */
static double sharp(double position) {
    return floor(position) + 0.5;
}

/* Axes. */

static double find_time_step(double seconds) {
    static const double steps[] = {0.1, 0.2, 0.5, 1,   2,    5,    10,   15,    30,    60,
                                   120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400};
    enum { STEPS = sizeof(steps) / sizeof(steps[0]), LINES = 10 };
    int i = 0;
    while (i < STEPS - 1 && seconds / steps[i] > LINES)
        i++;
    return steps[i];
}

static void write_time(cairo_t *page, double x, double y, double second, double step) {
    char text[32];
    const long whole = lround(floor(second + 1e-6));
    if (step < 1)
        snprintf(text, sizeof(text), "%.1f s", second);
    else if (whole < 60 && step < 60)
        snprintf(text, sizeof(text), "%ld s", whole);
    else if (whole < 3600)
        snprintf(text, sizeof(text), "%ld:%02ld", whole / 60, whole % 60);
    else
        snprintf(text, sizeof(text), "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    chart_write(page, x, y, CHART_CENTER, 11, chart_dim, text);
}

static void draw_times(cairo_t *page, struct chart_area area, struct chart_scale scale,
                       bool has_labels) {
    const double step = find_time_step(scale.right - scale.left);
    for (double second = ceil(scale.left / step) * step; second <= scale.right; second += step) {
        const double x = sharp(x_of(area, scale, second));
        chart_set_color(page, grid, 1);
        cairo_move_to(page, x, area.y);
        cairo_line_to(page, x, area.y + area.height);
        cairo_stroke(page);
        if (has_labels)
            write_time(page, x, area.y + area.height + 16, second, step);
    }
}

static void draw_values(cairo_t *page, struct chart_area area, struct chart_scale scale,
                        const struct chart_axes *axes) {
    const int first = (int)ceil(scale.bottom / axes->step - 1e-6);
    for (int i = first; i * axes->step <= scale.top + 1e-6; i++) {
        char text[32];
        const double y = sharp(y_of(area, scale, i * axes->step));
        chart_set_color(page, grid, 1);
        cairo_move_to(page, area.x, y);
        cairo_line_to(page, area.x + area.width, y);
        cairo_stroke(page);
        snprintf(text, sizeof(text), "%.*f", axes->digits, i * axes->step);
        chart_write(page, area.x - 7, y + 4, CHART_RIGHT, 11, chart_dim, text);
    }
}

void chart_draw_field(cairo_t *page, struct chart_area area) {
    chart_set_color(page, field, 1);
    cairo_rectangle(page, area.x, area.y, area.width, area.height);
    cairo_fill(page);
}

void chart_draw_times(cairo_t *page, struct chart_area area, struct chart_scale scale) {
    cairo_set_line_width(page, 1);
    draw_times(page, area, scale, true);
}

void chart_draw_axes(cairo_t *page, struct chart_area area, struct chart_scale scale,
                     const struct chart_axes *axes) {
    chart_draw_field(page, area);
    cairo_set_line_width(page, 1);
    draw_times(page, area, scale, axes->has_times);
    draw_values(page, area, scale, axes);
    chart_write(page, area.x, area.y - 8, CHART_LEFT, 12, chart_text, axes->title);
    chart_write(page, area.x - 7, area.y - 8, CHART_RIGHT, 11, chart_dim, axes->unit);
}

/* Curves. */

static void clip_to(cairo_t *page, struct chart_area area) {
    cairo_save(page);
    cairo_rectangle(page, area.x, area.y, area.width, area.height);
    cairo_clip(page);
}

void chart_draw_band(cairo_t *page, struct chart_area area, struct chart_scale scale,
                     const struct curve *curve, double seconds) {
    clip_to(page, area);
    for (uint32_t i = 0; i < curve->count; i++) {
        const double left = x_of(area, scale, (double)i * curve->values * seconds);
        const double right = x_of(area, scale, (double)(i + 1) * curve->values * seconds);
        const double top = y_of(area, scale, (double)curve->point[i].max);
        const double bottom = y_of(area, scale, (double)curve->point[i].min);
        cairo_rectangle(page, left, top, fmax(right - left, 1), fmax(bottom - top, 1));
    }
    cairo_fill(page);
    cairo_restore(page);
}

void chart_draw_line(cairo_t *page, struct chart_area area, struct chart_scale scale,
                     const struct curve *curve, double seconds) {
    clip_to(page, area);
    /* A value is known at the end of what it is of. */
    for (uint32_t i = 0; i < curve->count; i++) {
        const double x = x_of(area, scale, (double)(i + 1) * curve->values * seconds);
        if (!isfinite(curve->point[i].max)) {
            cairo_new_sub_path(page);
            continue;
        }
        cairo_line_to(page, x, y_of(area, scale, (double)curve->point[i].max));
        if (curve->point[i].min < curve->point[i].max)
            cairo_line_to(page, x, y_of(area, scale, (double)curve->point[i].min));
    }
    cairo_stroke(page);
    cairo_restore(page);
}

void chart_draw_mark(cairo_t *page, struct chart_area area, struct chart_scale scale, double value,
                     const char *label) {
    const double dashes[] = {6, 4};
    const double y = sharp(y_of(area, scale, value));
    cairo_save(page);
    chart_set_color(page, chart_dim, 1);
    cairo_set_dash(page, dashes, 2, 0);
    cairo_set_line_width(page, 1);
    cairo_move_to(page, area.x, y);
    cairo_line_to(page, area.x + area.width, y);
    cairo_stroke(page);
    cairo_restore(page);
    chart_write(page, area.x + area.width - 6, y + 14, CHART_RIGHT, 11, chart_dim, label);
}

void chart_draw_legend(cairo_t *page, struct chart_area area, const char *const *names) {
    int count = 0;
    while (names[count])
        count++;
    double x = area.x + area.width;
    for (int i = count - 1; i >= 0; i--) {
        cairo_text_extents_t extents;
        chart_write(page, x, area.y - 8, CHART_RIGHT, 11, chart_text, names[i]);
        cairo_text_extents(page, names[i], &extents);
        x -= extents.x_advance + 22;
        chart_set_color(page, chart_line[i], 1);
        cairo_rectangle(page, x, area.y - 13, 16, 3);
        cairo_fill(page);
        x -= 14;
    }
}
