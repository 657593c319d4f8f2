#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

int error_kernel(int number, const char *text, ...) {
    char line[sizeof last_error];
    va_list arguments;
    va_start(arguments, text);
    vsnprintf(line, sizeof line, text, arguments);
    va_end(arguments);
    switch (number) {
    case EMFILE:
    case ETOOMANYREFS:
        return error_set(-EMFILE, "%s: this process has no descriptor left; raise `ulimit -n`",
                         line);
    case ENFILE:
        return error_set(-ENFILE, "%s: the system has no descriptor left; raise fs.file-max", line);
    case EINTR:
        return error_set(-EINTR, "%s: a signal came meanwhile; try again", line);
    case ENOSPC:
        return error_set(
            -ENOSPC, "%s: a limit of the system is used up; see fs.epoll.max_user_watches", line);
    default:
        return error_set(-ENOMEM, "%s: no memory (%s)", line, strerror(number));
    }
}
