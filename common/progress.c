#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static bool is_drawn;

bool progress_is_shown(void) {
    static int is_terminal = -1;
    if (is_terminal < 0)
        is_terminal = isatty(STDERR_FILENO);
    return is_terminal;
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
