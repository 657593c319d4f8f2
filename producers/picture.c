#include "picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct picture {
    struct surface *surface;
    struct scene scene;
};

int picture_create(const struct shmframe_format *format, struct picture **out_picture) {
    const struct shmframe_video_format *video = &format->video;
    if (video->frame_rate.num <= 0 || video->frame_rate.den <= 0)
        return -EINVAL;
    struct picture *picture = calloc(1, sizeof(*picture));
    if (!picture)
        return -ENOMEM;

    struct colour colours[SCENE_COLOURS];
    scene_colours(colours);
    const int result = surface_create(format, colours, SCENE_COLOURS, &picture->surface);
    if (result < 0) {
        picture_destroy(picture);
        return result;
    }
    scene_init(&picture->scene, (int32_t)video->width, (int32_t)video->height, video->frame_rate,
               surface_grain(picture->surface));
    *out_picture = picture;
    return 0;
}

void picture_destroy(struct picture *picture) {
    if (!picture)
        return;
    surface_destroy(picture->surface);
    free(picture);
}

const struct scene *picture_scene(const struct picture *picture) {
    return &picture->scene;
}

static struct rect intersect(struct rect a, struct rect b) {
    return (struct rect){
        a.left > b.left ? a.left : b.left,
        a.top > b.top ? a.top : b.top,
        a.right < b.right ? a.right : b.right,
        a.bottom < b.bottom ? a.bottom : b.bottom,
    };
}

static bool is_empty(struct rect rect) {
    return rect.left >= rect.right || rect.top >= rect.bottom;
}

static bool is_same(const struct patch *a, const struct patch *b) {
    return a->colour == b->colour && memcmp(&a->rect, &b->rect, sizeof(a->rect)) == 0;
}

static void paint_patches(const struct picture *picture, uint8_t *slot, const struct patch *patches,
                          uint32_t count, struct rect clip) {
    for (uint32_t i = 0; i < count; i++) {
        const struct rect rect = intersect(patches[i].rect, clip);
        if (!is_empty(rect))
            surface_fill(picture->surface, slot, rect, patches[i].colour);
    }
}

/* Paints all that is to be seen within `clip`. */
static void paint_clip(const struct picture *picture, uint8_t *slot, const struct patch *movers,
                       struct rect clip) {
    if (is_empty(clip))
        return;
    paint_patches(picture, slot, picture->scene.still, picture->scene.stills, clip);
    paint_patches(picture, slot, movers, SCENE_MOVERS, clip);
}

void picture_paint(const struct picture *picture, uint8_t *slot, int64_t frame) {
    struct patch movers[SCENE_MOVERS];
    scene_move(&picture->scene, frame, movers);
    surface_fill_palette(picture->surface, slot);
    paint_clip(picture, slot, movers,
               (struct rect){0, 0, picture->scene.width, picture->scene.height});
}

void picture_repaint(const struct picture *picture, uint8_t *slot, int64_t held, int64_t frame) {
    struct patch before[SCENE_MOVERS], after[SCENE_MOVERS];
    scene_move(&picture->scene, held, before);
    scene_move(&picture->scene, frame, after);
    for (int i = 0; i < SCENE_MOVERS; i++) {
        if (is_same(&before[i], &after[i]))
            continue;
        paint_clip(picture, slot, after, before[i].rect);
        paint_clip(picture, slot, after, after[i].rect);
    }
}
