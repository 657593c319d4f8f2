/* Formats: what the bytes of a slot mean, and where in the slot they are.
 *
 * A format has two parts. The description (pixel format, size, sample rate ...) uses libavutil's
 * names, as av_get_pix_fmt_name() and av_get_sample_fmt_name() spell them. The geometry (slot size,
 * offset and line size of each plane) follows from it by libavutil's arithmetic, or is imposed by
 * who fills the slots: an X server, a camera driver, a decoder.
 *
 * Life: plain data; copy it freely. It lies in shared memory as it stands here.
 * Threads: every function here is pure.
 */
#ifndef SHMFRAME_FORMAT_H
#define SHMFRAME_FORMAT_H

#include <shmframe/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

SHMFRAME_BEGIN

#define SHMFRAME_NAME_BYTES 64     /**< a stream's, group's or reader's name, with its NUL */
#define SHMFRAME_SIDE_MAX 16384    /**< largest width and height of a picture, in pixels */
#define SHMFRAME_CODED_SIDE_MAX 17408 /**< the same of the coded picture, padding and edges included */
#define SHMFRAME_CHANNELS_MAX 64   /**< largest number of audio channels */
#define SHMFRAME_PLANES_MAX 64     /**< one plane a channel for planar sound, at most 4 for pictures */
#define SHMFRAME_LINE_ALIGN 64     /**< default alignment of plane offsets and line sizes, in bytes */
#define SHMFRAME_TAIL_BYTES 64     /**< a plane is followed by at least these, readable, of no meaning */
#define SHMFRAME_DATA_MAX (UINT64_C(1) << 30) /**< largest datum, in bytes */

enum shmframe_kind {
    SHMFRAME_NONE = 0,
    SHMFRAME_VIDEO = 1,
    SHMFRAME_AUDIO = 2,
    SHMFRAME_DATA = 3,
};

enum shmframe_field_order {
    SHMFRAME_PROGRESSIVE = 0,
    SHMFRAME_TOP_FIRST = 1,
    SHMFRAME_BOTTOM_FIRST = 2,
};

struct shmframe_rational {
    int32_t num;
    int32_t den;
};

/** Where a plane lies in the slot. For pictures a row is a line; sound and data have one row. */
struct shmframe_plane {
    uint64_t offset;     /**< of the first visible byte, from the start of the slot, in bytes */
    uint32_t line_bytes; /**< from one row to the next, in bytes */
    uint32_t row_bytes;  /**< that carry meaning in each row; <= line_bytes */
    uint32_t rows;       /**< visible rows */
    uint32_t reserved;   /**< 0 */
};

/** SMPTE ST 2086 and CTA-861.3 values; a value of 0 (0/0): unknown. */
struct shmframe_hdr {
    struct shmframe_rational primary_x[3], primary_y[3]; /**< red, green, blue */
    struct shmframe_rational white_x, white_y;
    struct shmframe_rational luminance_min, luminance_max; /**< cd/m2 */
    uint32_t content_light_max, frame_average_max;         /**< cd/m2 */
};

struct shmframe_video_format {
    uint32_t width, height;             /**< visible picture, in pixels */
    uint32_t coded_width, coded_height; /**< in memory, to SHMFRAME_CODED_SIDE_MAX; 0: as visible */
    uint32_t crop_left, crop_top;       /**< of the visible within the coded picture, in pixels */
    uint32_t field_order;               /**< enum shmframe_field_order; a frame's flags tell its own */
    int32_t rotation_degrees;           /**< clockwise turn to apply for display: 0, 90, 180, 270 */
    struct shmframe_rational frame_rate;    /**< frames a second; 0/1: unknown or variable */
    struct shmframe_rational sample_aspect; /**< width / height of a pixel; 0/1: unknown, square */
    char pixel_format[32];                  /**< av_get_pix_fmt_name() */
    char color_range[16];                   /**< av_color_range_name(), likewise below; "": unknown */
    char color_primaries[16];
    char color_transfer[16];
    char color_space[32];
    char chroma_location[16];
    struct shmframe_hdr hdr;
};

struct shmframe_audio_format {
    uint32_t sample_rate; /**< samples a second and channel */
    uint32_t channels;
    uint32_t samples_max;     /**< samples a channel that a slot has room for */
    uint32_t reserved;        /**< 0 */
    char sample_format[16];   /**< av_get_sample_fmt_name() */
    char channel_layout[112]; /**< av_channel_layout_describe(); "": order not specified */
};

struct shmframe_data_format {
    uint64_t bytes_max; /**< largest datum, 1 to SHMFRAME_DATA_MAX */
    char type[56];      /**< what the bytes are, by agreement of the programs; printable */
};

struct shmframe_format {
    uint32_t kind;                      /**< enum shmframe_kind; says which of the three below counts */
    uint32_t plane_count;               /**< 0 before shmframe_format_complete() */
    uint64_t slot_bytes;                /**< of a slot's payload, padding included; below 4 GiB */
    struct shmframe_rational time_base; /**< seconds a unit of pts and duration; default 1/1000000000 */
    struct shmframe_video_format video;
    struct shmframe_audio_format audio;
    struct shmframe_data_format data;
    struct shmframe_plane plane[SHMFRAME_PLANES_MAX];
};

/** Fills `out_format` for pictures of `width` x `height` pixels, 1 to SHMFRAME_SIDE_MAX, in
 * libavutil's `pixel_format`, with libavutil's geometry. Set further fields as you need; if width,
 * height, crop, coded size or pixel format are among them, also set plane_count to 0 and call
 * shmframe_format_complete().
 * Errors: -EINVAL size; -ENOTSUP unknown or hardware pixel format, or a slot of 4 GiB and more. */
SHMFRAME_API int shmframe_format_video(struct shmframe_format *out_format, const char *pixel_format,
                                       uint32_t width, uint32_t height);

/** Fills `out_format` for blocks of up to `samples_max` samples a channel of `channels` channels, 1
 * to SHMFRAME_CHANNELS_MAX, at `sample_rate`. The layout is libavutil's default for that number.
 * Errors: -EINVAL number out of range; -ENOTSUP unknown sample format, a row of 2 GiB or a slot of
 * 4 GiB. */
SHMFRAME_API int shmframe_format_audio(struct shmframe_format *out_format, const char *sample_format,
                                       uint32_t channels, uint32_t sample_rate,
                                       uint32_t samples_max);

/** Fills `out_format` for data of 1 to `bytes_max` bytes. `type` NULL: "".
 * Errors: -EINVAL bytes_max is 0 or above SHMFRAME_DATA_MAX; `type` too long or not printable. */
SHMFRAME_API int shmframe_format_data(struct shmframe_format *out_format, const char *type,
                                      uint64_t bytes_max);

/** Checks the description and, where plane_count is 0, computes the geometry with lines and offsets
 * aligned to SHMFRAME_LINE_ALIGN. Otherwise checks the geometry that is imposed: plane_count,
 * slot_bytes and each plane's offset and line_bytes are given, row_bytes and rows too unless both
 * are 0; each plane, with what is coded around the visible picture and SHMFRAME_TAIL_BYTES after
 * it, must lie inside the slot, and rows must not overlap.
 * Crop must begin at whole chroma samples (whole bytes in formats of less than a byte a pixel).
 * Fields that are 0 get their defaults, alternative names of pixel formats their usual one. `format`
 * is changed only on success.
 * Errors: -EINVAL, -ENOTSUP as above, shmframe_last_error() names the field. */
SHMFRAME_API int shmframe_format_complete(struct shmframe_format *format);

/** Whether both describe the same bytes: kind, description and geometry. */
SHMFRAME_API bool shmframe_format_is_equal(const struct shmframe_format *a,
                                           const struct shmframe_format *b);

/** Writes one line such as "1920x1080 yuv420p 60 fps" into `text`; cut to `text_bytes`, always
 * terminated. Returns the length it would have. */
SHMFRAME_API size_t shmframe_format_describe(const struct shmframe_format *format, char *text,
                                             size_t text_bytes);

/** Whether `name` can name a stream or group: [a-z0-9][a-z0-9._-]{0,63} (63 characters at most). */
SHMFRAME_API bool shmframe_name_is_valid(const char *name);

SHMFRAME_END

#endif
