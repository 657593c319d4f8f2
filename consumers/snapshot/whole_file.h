/* A file that is there whole or not at all. */
#ifndef CONSUMERS_WHOLE_FILE_H
#define CONSUMERS_WHOLE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes `bytes` of `data` to a new file beside `path`, then gives it that name at once. What has
 * the name is replaced only if `is_replacing` says so, and stays what it is under its other names;
 * through a symbolic link, what that names. A device, a pipe or a FIFO is written to.
 * Errors: -EEXIST there is such a file; -EINTR the program was asked to stop while nobody read a
 * FIFO; or why it cannot be written: -EACCES, -ENOENT, -ENOSPC ...
 * Nothing is left behind then. */
int whole_file_write(const char *path, const void *data, size_t bytes, bool is_replacing);

/* Writes all of it to a descriptor, waiting for whoever reads it, also if the descriptor itself
 * does not. Errors: -EINTR the program was asked to stop meanwhile; as write(). */
int whole_file_push(int fd, const void *data, size_t bytes);

#endif
