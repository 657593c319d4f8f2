#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_drawn;

bool progress_is_shown(void) {
    static int is_shown = -1;
    if (is_shown < 0) {
        /* One line cannot serve several programs: `shmframe run` sets this for its nodes. */
        const char *refused = getenv("SHMFRAME_NO_PROGRESS");
        is_shown = (!refused || !*refused) && isatty(STDERR_FILENO);
    }
    return is_shown;
}

void progress_update(const char *text, ...) {
    if (!progress_is_shown())
        return;
    char line[256];
    va_list values;
    va_start(values, text);
    vsnprintf(line, sizeof(line), text, values);
    va_end(values);
    /* ECMA-48: CR, then EL, erase to the end of the line. */
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    is_drawn = true;
}

void progress_clear(void) {
    if (!is_drawn)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    is_drawn = false;
}
