/* The private folder of one run: the supervisor's socket is in it, and it goes with the run. */
#ifndef TOOLS_FOLDER_H
#define TOOLS_FOLDER_H

#include <limits.h>

struct folder {
    char path[PATH_MAX];
    char socket[PATH_MAX]; /* a path in it, short enough for a socket */
    int fd;                /* held with a lock, so that others see that the run is alive */
};

/* Makes a fresh folder, for this user only, in $XDG_RUNTIME_DIR or /tmp, and removes those that
 * killed runs of this user left there. Returns 0 or a negative errno. */
int folder_create(struct folder *folder);

/* Removes it with all that is in it. */
void folder_destroy(struct folder *folder);

#endif
