#include "picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct picture {
    struct surface *surface;
    struct scene scene;
};

/* `out_size` NULL: without marks. */
static int lay_out(struct picture *picture, const struct shmframe_video_format *video,
                   int32_t out_size[2]) {
    const struct surface_grain grain = surface_grain(picture->surface);
    const int32_t width = (int32_t)video->width, height = (int32_t)video->height;
    if (out_size) {
        scene_marks_size(grain, &out_size[0], &out_size[1]);
        return scene_init_marked(&picture->scene, width, height, video->frame_rate, grain);
    }
    scene_init(&picture->scene, width, height, video->frame_rate, grain);
    return 0;
}

static int create(const struct shmframe_format *format, int32_t out_size[2],
                  struct picture **out_picture) {
    const struct shmframe_video_format *video = &format->video;
    if (video->frame_rate.num <= 0 || video->frame_rate.den <= 0)
        return -EINVAL;
    struct picture *picture = calloc(1, sizeof(*picture));
    if (!picture)
        return -ENOMEM;

    struct colour colours[SCENE_COLOURS];
    scene_colours(colours);
    int result = surface_create(format, colours, SCENE_COLOURS, &picture->surface);
    if (result == 0)
        result = lay_out(picture, video, out_size);
    if (result < 0) {
        picture_destroy(picture);
        return result;
    }
    *out_picture = picture;
    return 0;
}

int picture_create(const struct shmframe_format *format, struct picture **out_picture) {
    return create(format, NULL, out_picture);
}

int picture_create_marked(const struct shmframe_format *format, struct picture **out_picture,
                          int32_t *out_width, int32_t *out_height) {
    int32_t size[2] = {0};
    const int result = create(format, size, out_picture);
    *out_width = size[0];
    *out_height = size[1];
    return result;
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

/* Marks. */

/* Where cells of one row differ from what is held, in runs of one colour. `held` NULL: all do. */
static void draw_row(const struct picture *picture, uint8_t *slot, struct rect cell,
                     const uint8_t *held, const uint8_t *row) {
    const int32_t width = picture->scene.cell_width;
    int column = 0;
    while (column < MARK_STRIP_COLUMNS) {
        int end = column + 1;
        if (!held || held[column] != row[column]) {
            while (end < MARK_STRIP_COLUMNS && row[end] == row[column] &&
                   (!held || held[end] != row[end]))
                end++;
            const struct rect rect = {cell.left + column * width, cell.top, cell.left + end * width,
                                      cell.bottom};
            surface_fill(picture->surface, slot, rect, row[column] ? SCENE_BLACK : SCENE_WHITE);
        }
        column = end;
    }
}

void picture_draw_mark(const struct picture *picture, uint8_t *slot, const struct mark *held,
                       const struct mark *mark) {
    const struct scene *scene = &picture->scene;
    uint8_t before[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS], after[MARK_STRIP_ROWS][MARK_STRIP_COLUMNS];
    if (held)
        mark_draw(held, before);
    mark_draw(mark, after);
    for (uint32_t i = 0; i < scene->strips; i++) {
        if (!held)
            surface_fill(picture->surface, slot, scene->strip[i], SCENE_WHITE);
        struct rect cell = scene_first_cell(scene, i);
        for (int row = 0; row < MARK_STRIP_ROWS; row++) {
            draw_row(picture, slot, cell, held ? before[row] : NULL, after[row]);
            cell.top += scene->cell_height;
            cell.bottom += scene->cell_height;
        }
    }
}
