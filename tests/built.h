/* What was built together with the running program. */
#ifndef TESTS_BUILT_H
#define TESTS_BUILT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The program at `place` below the build folder, which is the nearest folder above the running
 * program that has it; NULL if none has. Static memory, the same at each call. */
static inline const char *built_find(const char *place) {
    static char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = '\0';
    for (char *slash; (slash = strrchr(path, '/')); *slash = '\0') {
        const size_t room = sizeof(path) - (size_t)(slash + 1 - path);
        if (snprintf(slash + 1, room, "%s", place) < (int)room && access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

/* The supervisor that $SHMFRAMED names, else the one at `place` below the build folder. Without
 * either the program says so and ends with 2, as for wrong usage. */
static inline const char *built_supervisor(const char *place) {
    const char *named = getenv("SHMFRAMED");
    const char *program = named ? named : built_find(place);
    if (program && access(program, X_OK) == 0)
        return program;
    fprintf(stderr, "%s: there is no such supervisor%s; build it, or name another in $SHMFRAMED\n",
            program ? program : place, program ? "" : " in a folder above this program's");
    exit(2);
}

#endif
