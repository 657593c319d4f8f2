#include "fault.h"

#include <libavutil/error.h>
#include <stdarg.h>
#include <stdio.h>

static _Thread_local char fault[FAULT_BYTES];

int fault_set(int error, const char *text, ...) {
    char line[FAULT_BYTES]; /* the last one may be among the arguments */
    va_list values;
    va_start(values, text);
    vsnprintf(line, sizeof(line), text, values);
    va_end(values);
    snprintf(fault, sizeof(fault), "%s", line);
    return error;
}

const char *fault_text(void) {
    return fault;
}

const char *fault_describe(int error) {
    static _Thread_local char description[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(error, description, sizeof(description));
    return description;
}
