#include "zoom.h"

#include <math.h>

static const double enlargement_least = 0.5;
static const double natural_times_most = 64;

static double enlargement(const struct zoom *zoom) {
    return zoom->enlargement > 0 ? zoom->enlargement : 1;
}

static bool is_quarter_turn(int rotation_degrees) {
    return rotation_degrees == 90 || rotation_degrees == 270;
}

/* The displayed picture where it just fits. */
static struct fit_area fit_room(const struct shmframe_video_format *video, struct fit_area room) {
    const struct fit_rectangle fit = fit_picture(video, (struct fit_size){room.width, room.height});
    struct fit_area area = {room.x + fit.x, room.y + fit.y, fit.width, fit.height};
    if (is_quarter_turn(fit.rotation_degrees)) {
        area.x += (fit.width - fit.height) / 2;
        area.y -= (fit.width - fit.height) / 2;
        area.width = fit.height;
        area.height = fit.width;
    }
    return area;
}

/* How far from its middle a picture can be looked at, in its own size: until its edge is at the
 * edge of the room. */
static double limit_offset(double offset, double size, double room) {
    const double most = size > room ? (size - room) / 2 / size : 0;
    return fmax(-most, fmin(most, offset));
}

struct zoom_place zoom_place(const struct zoom *zoom, const struct shmframe_video_format *video,
                             struct fit_area room) {
    const struct fit_area fit = fit_room(video, room);
    struct zoom_place place = {
        .left = fit.x,
        .top = fit.y,
        .width = fit.width * enlargement(zoom),
        .height = fit.height * enlargement(zoom),
        .rotation_degrees = video->rotation_degrees,
    };
    if (enlargement(zoom) != 1) {
        const double x = limit_offset(zoom->x, place.width, room.width);
        const double y = limit_offset(zoom->y, place.height, room.height);
        place.left = room.x + room.width / 2.0 - (x + 0.5) * place.width;
        place.top = room.y + room.height / 2.0 - (y + 0.5) * place.height;
    }
    return place;
}

/* ---- From displayed to stored and back, both as shares of the picture ---- */

struct share {
    double x, y;
};

static struct share to_stored(struct share displayed, int rotation_degrees) {
    switch (rotation_degrees) {
    case 90:
        return (struct share){displayed.y, 1 - displayed.x};
    case 180:
        return (struct share){1 - displayed.x, 1 - displayed.y};
    case 270:
        return (struct share){1 - displayed.y, displayed.x};
    }
    return displayed;
}

static struct share to_displayed(struct share stored, int rotation_degrees) {
    return to_stored(stored, (360 - rotation_degrees) % 360);
}

static struct share share_at(const struct zoom_place *place, double x, double y) {
    return (struct share){(x - place->left) / place->width, (y - place->top) / place->height};
}

double zoom_scale(const struct zoom_place *place, struct fit_size stored) {
    const bool is_turned = is_quarter_turn(place->rotation_degrees);
    return fmin(place->width / (is_turned ? stored.height : stored.width),
                place->height / (is_turned ? stored.width : stored.height));
}

bool zoom_pixel_at(const struct zoom_place *place, struct fit_size stored, struct fit_point point,
                   struct fit_point *out_pixel) {
    const struct share displayed = share_at(place, point.x + 0.5, point.y + 0.5);
    if (displayed.x < 0 || displayed.x >= 1 || displayed.y < 0 || displayed.y >= 1) {
        return false;
    }
    const struct share share = to_stored(displayed, place->rotation_degrees);
    const int x = (int)(share.x * stored.width), y = (int)(share.y * stored.height);
    *out_pixel = (struct fit_point){
        .x = x < stored.width ? x : stored.width - 1,
        .y = y < stored.height ? y : stored.height - 1,
    };
    return true;
}

/* Whole pixels between two shares of a side of `pixels`, whichever is the lesser. */
static void cover(double a, double b, int pixels, int *out_first, int *out_end) {
    const double slack = 1e-6; /* so that what is whole stays whole */
    const int first = (int)floor(fmin(a, b) * pixels + slack);
    const int end = (int)ceil(fmax(a, b) * pixels - slack);
    *out_first = first > 0 ? first : 0;
    *out_end = end < pixels ? end : pixels;
}

/* Where stored pixels are displayed, then turned back about its middle for SDL. */
static struct fit_area display(const struct zoom_place *place, struct fit_size stored,
                               struct fit_area pixels) {
    const struct share a = to_displayed(
        (struct share){(double)pixels.x / stored.width, (double)pixels.y / stored.height},
        place->rotation_degrees);
    const struct share b =
        to_displayed((struct share){(double)(pixels.x + pixels.width) / stored.width,
                                    (double)(pixels.y + pixels.height) / stored.height},
                     place->rotation_degrees);
    const int left = (int)lround(place->left + fmin(a.x, b.x) * place->width);
    const int top = (int)lround(place->top + fmin(a.y, b.y) * place->height);
    const int width = (int)lround(place->left + fmax(a.x, b.x) * place->width) - left;
    const int height = (int)lround(place->top + fmax(a.y, b.y) * place->height) - top;
    if (!is_quarter_turn(place->rotation_degrees)) {
        return (struct fit_area){left, top, width, height};
    }
    return (struct fit_area){
        .x = (int)floor(left - (height - width) / 2.0),
        .y = (int)floor(top + (height - width) / 2.0),
        .width = height,
        .height = width,
    };
}

bool zoom_visible(const struct zoom_place *place, struct fit_size stored, struct fit_area room,
                  struct zoom_part *out_part) {
    const double left = fmax(place->left, room.x), top = fmax(place->top, room.y);
    const double right = fmin(place->left + place->width, room.x + room.width);
    const double bottom = fmin(place->top + place->height, room.y + room.height);
    if (left >= right || top >= bottom) {
        return false;
    }
    const struct share a = to_stored(share_at(place, left, top), place->rotation_degrees);
    const struct share b = to_stored(share_at(place, right, bottom), place->rotation_degrees);
    int x, y, x_end, y_end;
    cover(a.x, b.x, stored.width, &x, &x_end);
    cover(a.y, b.y, stored.height, &y, &y_end);
    out_part->from = (struct fit_area){x, y, x_end - x, y_end - y};
    out_part->to = display(place, stored, out_part->from);
    return out_part->from.width > 0 && out_part->from.height > 0;
}

/* ---- What the user wants ---- */

/* The enlargement at which a natural pixel is one of the window. */
static double natural_enlargement(const struct shmframe_video_format *video, struct fit_area room) {
    return (double)fit_natural_size(video).width / fit_room(video, room).width;
}

static void set_enlargement(struct zoom *zoom, const struct shmframe_video_format *video,
                            struct fit_area room, double wanted, struct fit_point point) {
    const struct zoom_place before = zoom_place(zoom, video, room);
    const struct share share = share_at(&before, point.x + 0.5, point.y + 0.5);
    const double natural = natural_enlargement(video, room);
    const double least = fmin(enlargement_least, natural);
    const double most = fmax(1, natural * natural_times_most);
    zoom->enlargement = fmax(least, fmin(most, wanted));
    if (fabs(zoom->enlargement - 1) < 1e-6) {
        *zoom = (struct zoom){0};
        return;
    }
    const struct fit_area fit = fit_room(video, room);
    const double width = fit.width * zoom->enlargement, height = fit.height * zoom->enlargement;
    const double x = share.x - 0.5 + (room.x + room.width / 2.0 - point.x - 0.5) / width;
    const double y = share.y - 0.5 + (room.y + room.height / 2.0 - point.y - 0.5) / height;
    zoom->x = limit_offset(x, width, room.width);
    zoom->y = limit_offset(y, height, room.height);
}

void zoom_by(struct zoom *zoom, const struct shmframe_video_format *video, struct fit_area room,
             double times, struct fit_point point) {
    set_enlargement(zoom, video, room, enlargement(zoom) * times, point);
}

void zoom_to_natural(struct zoom *zoom, const struct shmframe_video_format *video,
                     struct fit_area room, struct fit_point point) {
    set_enlargement(zoom, video, room, natural_enlargement(video, room), point);
}

void zoom_pan(struct zoom *zoom, const struct shmframe_video_format *video, struct fit_area room,
              struct fit_point distance) {
    const struct zoom_place place = zoom_place(zoom, video, room);
    zoom->x = limit_offset(zoom->x - distance.x / place.width, place.width, room.width);
    zoom->y = limit_offset(zoom->y - distance.y / place.height, place.height, room.height);
}
