#include "progress.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_drawn;
static FILE *_Atomic user_file;

FILE *progress_file(void) {
    FILE *file = atomic_load(&user_file);
    return file ? file : stderr;
}

void progress_set_file(FILE *file) {
    atomic_store(&user_file, file);
}

bool progress_is_shown(void) {
    static int is_shown = -1;
    if (is_shown < 0) {
        /* One line cannot serve several programs: `shmframe run` sets this for its nodes. */
        const char *refused = getenv("SHMFRAME_NO_PROGRESS");
        is_shown = (!refused || !*refused) && isatty(fileno(progress_file()));
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
    fprintf(progress_file(), "\r%s\033[K", line);
    fflush(progress_file());
    is_drawn = true;
}

void progress_clear(void) {
    if (!is_drawn)
        return;
    fputs("\r\033[K", progress_file());
    fflush(progress_file());
    is_drawn = false;
}
