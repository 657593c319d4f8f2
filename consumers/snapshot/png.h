/* A picture into a PNG file. */
#ifndef CONSUMERS_PNG_H
#define CONSUMERS_PNG_H

#include <stdint.h>

/* Writes `width` x `height` pixels of three bytes red, green, blue to `path`, replacing what is
 * there only once the new file is complete. Errors: -ENOTSUP this FFmpeg cannot write PNG; -ENOMEM;
 * or why the file cannot be written: -EACCES, -ENOENT, -ENOSPC ... */
int png_write(const char *path, const uint8_t *rgb, int line_bytes, int width, int height);

#endif
