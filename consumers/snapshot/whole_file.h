/* A file that is there whole or not at all. */
#ifndef CONSUMERS_WHOLE_FILE_H
#define CONSUMERS_WHOLE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes `bytes` of `data` to a new file beside `path`, then gives it that name at once. What has
 * the name is replaced only if `is_replacing` says so, and stays what it is under its other names;
 * through a symbolic link, what that names. A device, a pipe or a FIFO is written to.
 * Errors: -EEXIST there is such a file; or why it cannot be written: -EACCES, -ENOENT, -ENOSPC ...
 * Nothing is left behind then. */
int whole_file_write(const char *path, const void *data, size_t bytes, bool is_replacing);

#endif
