#include "log.h"

#include "limits.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum log_level log_level;
static uint64_t lines_dropped;

void log_set_level(enum log_level level) {
    log_level = level;
}

/* stderr belongs to others too, so its flags are not ours to change. A pipe that polls writable
 * takes PIPE_BUF bytes at once; our lines are shorter. */
static bool has_room(void) {
    struct pollfd poll_stderr = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&poll_stderr, 1, 0) > 0 && (poll_stderr.revents & POLLOUT);
}

static void write_line(const char *text, va_list values) {
    char line[2048] = "shmframed: ";
    const size_t begin = strlen(line);
    if (!has_room()) {
        lines_dropped++;
        return;
    }
    int length = vsnprintf(line + begin, sizeof(line) - begin - 64, text, values);
    if (length < 0)
        return;
    size_t end = strlen(line);
    if (lines_dropped)
        end += (size_t)snprintf(line + end, sizeof(line) - end, " lines_dropped=%llu",
                                (unsigned long long)lines_dropped);
    line[end++] = '\n';
    lines_dropped = write(STDERR_FILENO, line, end) < 0 ? lines_dropped + 1 : 0;
}

void log_trouble(const char *text, ...) {
    va_list values;
    va_start(values, text);
    write_line(text, values);
    va_end(values);
}

void log_event(const char *text, ...) {
    if (log_level == LOG_TROUBLE)
        return;
    va_list values;
    va_start(values, text);
    write_line(text, values);
    va_end(values);
}

void log_detail(const char *text, ...) {
    if (log_level != LOG_DETAILS)
        return;
    va_list values;
    va_start(values, text);
    write_line(text, values);
    va_end(values);
}

struct log_quoted log_quote(const char *text) {
    struct log_quoted quoted;
    char *out = quoted.text;
    *out++ = '"';
    for (unsigned i = 0; i < LOG_QUOTED_MAX && text[i]; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            out += sprintf(out, "\\x%02x", c);
        else
            *out++ = (char)c;
    }
    *out++ = '"';
    *out = '\0';
    return quoted;
}

bool log_limit_passes(struct log_limit *limit, int64_t now_ns) {
    if (limit->last_ns == 0)
        limit->lines = LIMIT_LOG_LINES_BURST;
    limit->lines += (double)(now_ns - limit->last_ns) * 1e-9 * LIMIT_LOG_LINES_PER_S;
    if (limit->lines > LIMIT_LOG_LINES_BURST)
        limit->lines = LIMIT_LOG_LINES_BURST;
    limit->last_ns = now_ns;
    if (limit->lines < 1) {
        limit->dropped++;
        return false;
    }
    limit->lines -= 1;
    return true;
}
