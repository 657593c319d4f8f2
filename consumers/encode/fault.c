#include "fault.h"

#include <libavutil/error.h>
#include <libavutil/log.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

static _Thread_local char heard[FAULT_BYTES / 2];

static void hear(void *object, int level, const char *format, va_list values) {
    (void)object;
    if (level > AV_LOG_ERROR)
        return;
    vsnprintf(heard, sizeof(heard), format, values);
    heard[strcspn(heard, "\n")] = '\0';
    const size_t length = strlen(heard);
    if (length > 0 && heard[length - 1] == '.')
        heard[length - 1] = '\0';
}

void fault_listen(void) {
    heard[0] = '\0';
    av_log_set_callback(hear);
}

const char *fault_heard(void) {
    av_log_set_callback(av_log_default_callback);
    return heard;
}

const char *fault_describe(int error) {
    static _Thread_local char description[AV_ERROR_MAX_STRING_SIZE];
    if (error == AVERROR_EXIT) /* interrupted by us, which is done for one reason only */
        return "it takes nothing any more";
    av_strerror(error, description, sizeof(description));
    return description;
}
