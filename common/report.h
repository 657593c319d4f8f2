/* What a program says at its end: words, or one JSON object for a script. */
#ifndef COMMON_REPORT_H
#define COMMON_REPORT_H

#include <jansson.h>

enum report_format {
    REPORT_TEXT = 0,
    REPORT_JSON = 1,
};

/* The value of --format; anything but "text" and "json" is a usage error, and ends the program. */
enum report_format report_format_parse(const char *text);

/* Prints `object` on one line of stdout and takes it. As report_flush() otherwise. */
void report_print_json(json_t *object);

/* After words were printed to stdout: hands them on, or says that nobody takes them, and ends the
 * program. */
void report_flush(void);

#endif
