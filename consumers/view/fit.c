#include "fit.h"

#include <math.h>

static int positive(double value) {
    return value < 1 ? 1 : (int)lround(value);
}

static bool is_quarter_turn(const struct shmframe_video_format *video) {
    return video->rotation_degrees == 90 || video->rotation_degrees == 270;
}

/* Width / height of a pixel; 1 where it is unknown. */
static double pixel_aspect(const struct shmframe_video_format *video) {
    const struct shmframe_rational aspect = video->sample_aspect;
    return aspect.num > 0 && aspect.den > 0 ? (double)aspect.num / aspect.den : 1;
}

struct fit_size fit_natural_size(const struct shmframe_video_format *video) {
    const double aspect = pixel_aspect(video);
    const int width = positive(aspect > 1 ? video->width * aspect : video->width);
    const int height = positive(aspect < 1 ? video->height / aspect : video->height);
    if (is_quarter_turn(video)) {
        return (struct fit_size){height, width};
    }
    return (struct fit_size){width, height};
}

struct fit_size fit_within(struct fit_size natural, struct fit_size bounds) {
    const double scale =
        fmin(1, fmin((double)bounds.width / natural.width, (double)bounds.height / natural.height));
    return (struct fit_size){positive(natural.width * scale), positive(natural.height * scale)};
}

struct fit_rectangle fit_picture(const struct shmframe_video_format *video,
                                 struct fit_size window) {
    const struct fit_size natural = fit_natural_size(video);
    const double scale =
        fmin((double)window.width / natural.width, (double)window.height / natural.height);
    int width = positive(natural.width * scale);
    int height = positive(natural.height * scale);
    if (is_quarter_turn(video)) {
        const int turned = width;
        width = height;
        height = turned;
    }
    return (struct fit_rectangle){
        .x = (int)floor((window.width - width) / 2.0),
        .y = (int)floor((window.height - height) / 2.0),
        .width = width,
        .height = height,
        .rotation_degrees = video->rotation_degrees,
    };
}
