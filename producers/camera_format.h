/* Camera format: what a driver's picture is in libavutil's words, and where it lies in a slot.
 *
 * The driver says how long its lines are and how much memory a picture takes; the slots follow.
 * Pure: no device is asked.
 */
#ifndef PRODUCERS_CAMERA_FORMAT_H
#define PRODUCERS_CAMERA_FORMAT_H

#include <linux/videodev2.h>
#include <shmframe/format.h>

enum {
    CAMERA_PLANES_MAX = 4,  /* pieces of memory that a picture is in */
    CAMERA_WHY_BYTES = 512, /* of a text that says why something cannot be, and what can */
};

/* How a fourcc is called here: a pixel format of libavutil's, or a codec of libavcodec's. */
struct camera_pixels {
    uint32_t fourcc;
    const char *name;
    bool is_compressed;
    bool is_swapped; /* the second chroma plane comes first */
    uint8_t pieces;  /* pieces of memory that the planes are in; 1: all in one */
};

/* NULL: not known here, or not to the libavutil that runs. The table's order is that of
 * preference: raw and coloured, compressed, grey, then what sensors put out. */
const struct camera_pixels *camera_pixels_find(uint32_t fourcc);
/* 0 for the most welcome one. */
uint32_t camera_pixels_rank(const struct camera_pixels *pixels);
/* Whether some fourcc has that name. */
bool camera_pixels_is_name(const char *name);

/* The text of a fourcc, such as "YUYV" or "Y16 -BE". */
struct camera_fourcc_text {
    char text[8];
};
struct camera_fourcc_text camera_fourcc_text(uint32_t fourcc);

/* A picture as the driver tells it, alike in both of V4L2's ways to tell (one piece of memory, or
 * several). */
struct camera_picture {
    uint32_t fourcc, width, height;
    uint32_t field; /* enum v4l2_field */
    uint32_t colorspace, xfer_func, ycbcr_enc, quantization;
    uint32_t pieces;
    uint32_t line_bytes[CAMERA_PLANES_MAX];
    uint32_t size_bytes[CAMERA_PLANES_MAX];
    uint32_t skip_bytes[CAMERA_PLANES_MAX]; /* of a piece, before the picture begins in it */
    bool is_625; /* of 625 lines a frame: says which field of an interlaced picture is first */
    struct shmframe_rational frame_rate, sample_aspect; /* 0/1: not known */
};

/* Where a picture lies in a slot. */
struct camera_layout {
    struct shmframe_format format;
    uint32_t pieces;
    uint64_t offset[CAMERA_PLANES_MAX]; /* of a piece from the slot's begin; begins a page */
    uint32_t bytes[CAMERA_PLANES_MAX];  /* that the driver may write there, whole pages */
    uint32_t needed[CAMERA_PLANES_MAX]; /* that it must have written for a whole picture */
};

/* The layout of raw pictures. Errors: -ENOTSUP, -EINVAL with a text in `why`. */
int camera_format_lay_out(const struct camera_picture *picture, struct camera_layout *out_layout,
                          char why[CAMERA_WHY_BYTES]);

/* Field order, or -ENOTSUP: its fields do not lie line by line. */
int camera_format_field_order(const struct camera_picture *picture);

/* Colours, rates and fields of the driver's picture, where `video` does not say them already. */
void camera_format_describe(const struct camera_picture *picture,
                            struct shmframe_video_format *video);

#endif
