/* One of the programs of pipes in a world of its own, beside a FIFO; what it says goes to a file.
 */
#ifndef TESTS_PIPE_STAGE_H
#define TESTS_PIPE_STAGE_H

#include "world.h"

struct stage {
    pid_t program; /* -1: it has ended */
    char fifo[128];
};
extern struct stage stage;

void stage_begin(void);
void stage_end(void);
/* Starts `path` with arguments, of which the first is its name and the last NULL. */
void stage_start(const char *path, int stdin_fd, const char *const *arguments);
void stage_expect_exit(int code);

/* How often it has said `part`. */
int stage_count_said(const char *part);
void stage_await_said(const char *part, int count);

#endif
