/* Outlet: standard output or error of a program that must not wait for who reads it: a full pipe, a
 * terminal that was stopped. What cannot be written at once is kept, and left out where that is too
 * much. */
#ifndef TOOLS_OUTLET_H
#define TOOLS_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outlet {
    int fd;     /* -1: it failed, nothing is written any more */
    int own_fd; /* to be closed; -1: `fd` is shared */
    bool is_socket;
    bool tells_gaps; /* in a line of its own */
    char *text;      /* kept */
    size_t bytes;
    uint64_t dropped; /* lines, since it was told */
};

void outlet_open(struct outlet *outlet, int fd, bool tells_gaps);
/* Waits up to 1 s for the rest to be written. */
void outlet_close(struct outlet *outlet);

void outlet_add(struct outlet *outlet, const char *text, size_t bytes);
__attribute__((format(printf, 2, 3))) void outlet_print(struct outlet *outlet, const char *text,
                                                        ...);
/* Writes what was kept, as far as there is room. */
void outlet_flush(struct outlet *outlet);
/* Whether nobody takes what is written there any more, also if nothing was written since. */
bool outlet_has_failed(const struct outlet *outlet);
/* To be polled for writing; -1: there is nothing to write. */
int outlet_poll_fd(const struct outlet *outlet);

#endif
