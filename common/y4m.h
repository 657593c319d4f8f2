/* y4m: the header lines of yuv4mpeg, the pictures that shell tools hand to each other.
 *
 * A stream is one line of "YUV4MPEG2" and parameters, then for each picture a line of "FRAME" and
 * its planes, one behind the other without padding. After yuv4mpeg(5) of mjpegtools, and what
 * FFmpeg adds: more than 8 bits (C420p10), grey (Cmono), and the range (XCOLORRANGE).
 *
 * Threads: every function here is pure.
 */
#ifndef COMMON_Y4M_H
#define COMMON_Y4M_H

#include <libavutil/pixfmt.h>
#include <shmframe/format.h>

#define Y4M_MAGIC "YUV4MPEG2"
#define Y4M_FRAME "FRAME"

enum {
    Y4M_LINE_MAX = 512, /* of a header line, with its newline and a NUL behind it */
    Y4M_WHY_BYTES = 160,
};

/* The pixel formats that it has, ending with AV_PIX_FMT_NONE. */
const enum AVPixelFormat *y4m_pixel_formats(void);
bool y4m_can_carry(const char *pixel_format);

/* Writes the stream's line for pictures of `format`, with its newline, NUL behind. Returns its
 * length, or -ENOTSUP: the pixel format has no name there. */
int y4m_print(const struct shmframe_format *format, char out_line[Y4M_LINE_MAX]);

/* Reads a stream's line, of `length` bytes up to the newline, which is not among them. What it does
 * not say stays unknown. Errors: -EINVAL, -ENOTSUP: `why` says in one line what is wrong. */
int y4m_parse(const char *line, size_t length, struct shmframe_format *out_format,
              char why[Y4M_WHY_BYTES]);

/* Reads a picture's line likewise; flags are those of struct shmframe_frame that it tells of, or
 * those of the stream. Errors: -EINVAL. */
int y4m_parse_frame(const char *line, size_t length, const struct shmframe_format *format,
                    uint32_t *out_flags);

#endif
