#include "error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[512];

const char *shmframe_last_error(void) {
    return last_error;
}

int error_set(int code, const char *text, ...) {
    char line[sizeof last_error];
    va_list arguments;
    va_start(arguments, text);
    vsnprintf(line, sizeof line, text, arguments);
    va_end(arguments);
    /* Through a copy, so that the old sentence may be part of the new one. */
    for (size_t i = 0; i < sizeof line && (last_error[i] = line[i]); i++) {
    }
    return code;
}
