/* A frame as a PNG file: in full resolution, the right way up, of 16 bits where it has more than 8.
 */
#ifndef CONSUMERS_FRAME_FILE_H
#define CONSUMERS_FRAME_FILE_H

#include <libavutil/frame.h>

/* Writes `frame`, to be turned clockwise by `degrees`, to a new file. Errors: -EEXIST there is such
 * a file; -ENOTSUP this FFmpeg cannot make PNG of such a picture; -EINVAL it is too large; -ENOMEM;
 * or why the file cannot be written. */
int frame_file_write(const char *path, const AVFrame *frame, int degrees);

#endif
