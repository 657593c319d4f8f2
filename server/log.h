/* The log: one line an event on stderr, KEY=VALUE after the event's name.
 *
 * Never waits: a line that stderr has no room for is dropped and counted.
 */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_EVENTS = 0,  /* trouble, and what happens to streams and peers */
    LOG_TROUBLE = 1, /* only what keeps the supervisor from doing its work */
    LOG_DETAILS = 2, /* each message as well */
};
void log_set_level(enum log_level level);

void log_trouble(const char *text, ...) __attribute__((format(printf, 1, 2)));
/* Not with --quiet. */
void log_event(const char *text, ...) __attribute__((format(printf, 1, 2)));
/* Only with --verbose. */
void log_detail(const char *text, ...) __attribute__((format(printf, 1, 2)));

#define LOG_QUOTED_MAX 200

/* A peer's text as it may stand in a log: quoted, cut, everything but printable ASCII escaped. */
struct log_quoted {
    char text[4 * LOG_QUOTED_MAX + 3];
};
struct log_quoted log_quote(const char *text);

/* Lets LIMIT_LOG_LINES_PER_S lines a second pass, one of these a client. */
struct log_limit {
    int64_t last_ns;
    double lines;
    uint64_t dropped;
};
bool log_limit_passes(struct log_limit *limit, int64_t now_ns);

#endif
