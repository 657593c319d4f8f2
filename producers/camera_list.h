/* Camera list: what --list prints. */
#ifndef PRODUCERS_CAMERA_LIST_H
#define PRODUCERS_CAMERA_LIST_H

#include <stdbool.h>

/* Lists the device at `path`, or all (NULL). Returns the exit code. */
int camera_list(const char *path, bool is_json);

#endif
