#include "canvas.h"

#include "painter.h"
#include "texture.h"
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK = 16 }; /* the side of a square, in pixels of the window */

struct canvas {
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    struct texture_choice choice;
    struct shmframe_format format;
    struct painter *painter;      /* TEXTURE_CONVERTED */
    struct fit_size texture_size; /* as the picture, or shrunk to what the renderer can do */
    bool is_uploaded;
    bool has_alpha;
    enum canvas_ground ground;
    char trouble[160];
};

int canvas_create(SDL_Renderer *renderer, struct canvas **out_canvas) {
    struct canvas *const canvas = calloc(1, sizeof *canvas);
    if (!canvas) {
        return -ENOMEM;
    }
    canvas->renderer = renderer;
    *out_canvas = canvas;
    return 0;
}

static void drop_texture(struct canvas *canvas) {
    if (canvas->texture) {
        SDL_DestroyTexture(canvas->texture);
        canvas->texture = NULL;
    }
    painter_destroy(canvas->painter);
    canvas->painter = NULL;
    canvas->is_uploaded = false;
}

void canvas_destroy(struct canvas *canvas) {
    if (!canvas) {
        return;
    }
    drop_texture(canvas);
    free(canvas);
}

const struct shmframe_format *canvas_format(const struct canvas *canvas) {
    return canvas->texture ? &canvas->format : NULL;
}

const char *canvas_trouble(const struct canvas *canvas) {
    return canvas->trouble;
}

const char *canvas_remark(const struct canvas *canvas) {
    return canvas->painter ? painter_remark(canvas->painter) : NULL;
}

bool canvas_is_converted(const struct canvas *canvas) {
    return canvas->texture && canvas->choice.layout == TEXTURE_CONVERTED;
}

static int create_painter(struct canvas *canvas) {
    const struct fit_size size = canvas->texture_size;
    const int error = painter_create(&canvas->format, size.width, size.height, &canvas->painter);
    if (error == -ENOTSUP) {
        snprintf(canvas->trouble, sizeof canvas->trouble,
                 "pixel format %s cannot be shown: libswscale does not read it",
                 canvas->format.video.pixel_format);
    } else if (error) {
        snprintf(canvas->trouble, sizeof canvas->trouble, "no memory for the picture");
    }
    return error ? -ENOTSUP : 0;
}

/* The largest texture that the renderer takes; software renderers say 0: any. */
static struct fit_size limit_size(SDL_Renderer *renderer) {
    SDL_RendererInfo info = {0};
    SDL_GetRendererInfo(renderer, &info);
    return (struct fit_size){
        .width = info.max_texture_width > 0 ? info.max_texture_width : SHMFRAME_SIDE_MAX,
        .height = info.max_texture_height > 0 ? info.max_texture_height : SHMFRAME_SIDE_MAX,
    };
}

static bool has_alpha(const struct shmframe_video_format *video) {
    const AVPixFmtDescriptor *const descriptor =
        av_pix_fmt_desc_get(av_get_pix_fmt(video->pixel_format));
    return descriptor && (descriptor->flags & AV_PIX_FMT_FLAG_ALPHA);
}

void canvas_set_ground(struct canvas *canvas, enum canvas_ground ground) {
    canvas->ground = ground;
    if (canvas->texture) {
        const bool is_blended = canvas->has_alpha && ground != CANVAS_OPAQUE;
        SDL_SetTextureBlendMode(canvas->texture,
                                is_blended ? SDL_BLENDMODE_BLEND : SDL_BLENDMODE_NONE);
    }
}

int canvas_set_format(struct canvas *canvas, const struct shmframe_format *format) {
    drop_texture(canvas);
    canvas->format = *format;
    const struct shmframe_video_format *const video = &canvas->format.video;
    canvas->choice = texture_choose(video);
    const struct fit_size size = {(int)video->width, (int)video->height};
    const struct fit_size limit = limit_size(canvas->renderer);
    canvas->texture_size = fit_within(size, limit);
    if (size.width > limit.width || size.height > limit.height) {
        canvas->choice = (struct texture_choice){.sdl_format = SDL_PIXELFORMAT_ARGB8888};
    }
    const int error = canvas->choice.layout == TEXTURE_CONVERTED ? create_painter(canvas) : 0;
    if (error) {
        return error;
    }
    /* The mode is global; renderers read it when a texture is made, filled, or drawn. */
    SDL_SetYUVConversionMode(canvas->choice.yuv_mode);
    canvas->texture =
        SDL_CreateTexture(canvas->renderer, canvas->choice.sdl_format, SDL_TEXTUREACCESS_STREAMING,
                          canvas->texture_size.width, canvas->texture_size.height);
    if (!canvas->texture) {
        snprintf(canvas->trouble, sizeof canvas->trouble, "no texture for a picture of %ux%u: %s",
                 video->width, video->height, SDL_GetError());
        drop_texture(canvas);
        return -ENOTSUP;
    }
    canvas->has_alpha = has_alpha(video);
    canvas_set_ground(canvas, canvas->ground);
    return 0;
}

static int paint(struct canvas *canvas, const struct shmframe_lease *lease) {
    void *pixels = NULL;
    int pitch = 0;
    if (SDL_LockTexture(canvas->texture, NULL, &pixels, &pitch) != 0) {
        return -1;
    }
    const int error = painter_run(canvas->painter, lease, pixels, pitch);
    SDL_UnlockTexture(canvas->texture);
    if (error) {
        SDL_SetError("libswscale cannot convert it");
    }
    return error;
}

int canvas_upload(struct canvas *canvas, const struct shmframe_lease *lease) {
    if (!canvas->texture) {
        return -ENOTSUP;
    }
    const struct shmframe_plane *const plane = lease->format->plane;
    const uint8_t *const first = shmframe_lease_plane(lease, 0);
    const uint8_t *const second = shmframe_lease_plane(lease, 1);
    int failed = 0;
    SDL_SetYUVConversionMode(canvas->choice.yuv_mode);
    switch (canvas->choice.layout) {
    case TEXTURE_CONVERTED:
        failed = paint(canvas, lease);
        break;
    case TEXTURE_PACKED:
        failed = SDL_UpdateTexture(canvas->texture, NULL, first, (int)plane[0].line_bytes);
        break;
    case TEXTURE_YUV:
        failed = SDL_UpdateYUVTexture(canvas->texture, NULL, first, (int)plane[0].line_bytes,
                                      second, (int)plane[1].line_bytes,
                                      shmframe_lease_plane(lease, 2), (int)plane[2].line_bytes);
        break;
    case TEXTURE_NV:
        failed = SDL_UpdateNVTexture(canvas->texture, NULL, first, (int)plane[0].line_bytes, second,
                                     (int)plane[1].line_bytes);
        break;
    }
    if (failed) {
        snprintf(canvas->trouble, sizeof canvas->trouble, "SDL does not take the picture: %s",
                 SDL_GetError());
        return -ENOTSUP;
    }
    canvas->is_uploaded = true;
    return 0;
}

bool canvas_has_picture(const struct canvas *canvas) {
    return canvas->is_uploaded;
}

void canvas_reset(struct canvas *canvas) {
    const struct shmframe_format format = canvas->format;
    if (canvas->texture) {
        canvas_set_format(canvas, &format);
    }
}

static SDL_Rect to_rect(struct fit_area area) {
    return (SDL_Rect){area.x, area.y, area.width, area.height};
}

/* A row of squares, every other one. */
static void draw_checks(SDL_Renderer *renderer, SDL_Rect row, int begin) {
    SDL_Rect checks[64];
    int count = 0;
    for (int x = begin; x < row.w; x += 2 * CHECK) {
        const int width = row.w - x < CHECK ? row.w - x : CHECK;
        checks[count++] = (SDL_Rect){row.x + x, row.y, width, row.h};
        if (count == (int)SDL_arraysize(checks)) {
            SDL_RenderFillRects(renderer, checks, count);
            count = 0;
        }
    }
    SDL_RenderFillRects(renderer, checks, count);
}

/* Behind a picture that covers `to` after it was turned about its middle. */
static void draw_ground(const struct canvas *canvas, SDL_Rect to, int rotation_degrees) {
    if (!canvas->has_alpha || canvas->ground != CANVAS_CHECKS) {
        return;
    }
    if (rotation_degrees % 180 != 0) {
        to = (SDL_Rect){to.x + (to.w - to.h) / 2, to.y + (to.h - to.w) / 2, to.h, to.w};
    }
    SDL_SetRenderDrawBlendMode(canvas->renderer, SDL_BLENDMODE_NONE);
    SDL_SetRenderDrawColor(canvas->renderer, 102, 102, 102, 255);
    SDL_RenderFillRect(canvas->renderer, &to);
    SDL_SetRenderDrawColor(canvas->renderer, 153, 153, 153, 255);
    for (int y = 0; y < to.h; y += CHECK) {
        const int height = to.h - y < CHECK ? to.h - y : CHECK;
        draw_checks(canvas->renderer, (SDL_Rect){to.x, to.y + y, to.w, height},
                    y / CHECK % 2 * CHECK);
    }
}

void canvas_draw(struct canvas *canvas, struct fit_area room, const struct zoom *zoom) {
    if (!canvas->is_uploaded || room.width < 1 || room.height < 1) {
        return;
    }
    const struct zoom_place place = zoom_place(zoom, &canvas->format.video, room);
    struct zoom_part part;
    if (!zoom_visible(&place, canvas->texture_size, room, &part)) {
        return;
    }
    const SDL_Rect clip = to_rect(room), from = to_rect(part.from), to = to_rect(part.to);
    SDL_SetYUVConversionMode(canvas->choice.yuv_mode);
    SDL_SetTextureScaleMode(canvas->texture, zoom_scale(&place, canvas->texture_size) > 2
                                                 ? SDL_ScaleModeNearest
                                                 : SDL_ScaleModeLinear);
    SDL_RenderSetClipRect(canvas->renderer, &clip);
    draw_ground(canvas, to, place.rotation_degrees);
    if (place.rotation_degrees == 0) {
        SDL_RenderCopy(canvas->renderer, canvas->texture, &from, &to);
    } else {
        SDL_RenderCopyEx(canvas->renderer, canvas->texture, &from, &to, place.rotation_degrees,
                         NULL, SDL_FLIP_NONE);
    }
    SDL_RenderSetClipRect(canvas->renderer, NULL);
}

void canvas_magnify(struct canvas *canvas, struct fit_point pixel, int radius, int scale,
                    struct fit_point corner) {
    if (!canvas->is_uploaded) {
        return;
    }
    const int side = 2 * radius + 1;
    const SDL_Rect whole = {0, 0, canvas->texture_size.width, canvas->texture_size.height};
    /* A texture may be smaller than its picture. */
    const struct shmframe_video_format *const video = &canvas->format.video;
    const int x = (int)((int64_t)pixel.x * whole.w / video->width);
    const int y = (int)((int64_t)pixel.y * whole.h / video->height);
    const SDL_Rect wanted = {x - radius, y - radius, side, side};
    const SDL_Rect all = {corner.x, corner.y, side * scale, side * scale};
    SDL_Rect from;
    SDL_SetRenderDrawColor(canvas->renderer, 0, 0, 0, 255);
    SDL_RenderFillRect(canvas->renderer, &all);
    if (!SDL_IntersectRect(&whole, &wanted, &from)) {
        return;
    }
    const SDL_Rect to = {corner.x + (from.x - wanted.x) * scale,
                         corner.y + (from.y - wanted.y) * scale, from.w * scale, from.h * scale};
    SDL_SetYUVConversionMode(canvas->choice.yuv_mode);
    SDL_SetTextureScaleMode(canvas->texture, SDL_ScaleModeNearest);
    draw_ground(canvas, to, 0);
    SDL_RenderCopy(canvas->renderer, canvas->texture, &from, &to);
}
