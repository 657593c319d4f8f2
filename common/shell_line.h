/* Command lines as people write them, made into what `/bin/sh -c` runs without staying in between:
 * the process that was started is then the program itself, which gets the signals. */
#ifndef COMMON_SHELL_LINE_H
#define COMMON_SHELL_LINE_H

#include <stdbool.h>

/* "exec LINE", or LINE as it is where the shell has more to do than one command. The caller's to
 * free; NULL: no memory. */
char *shell_line_create(const char *command_line);

/* Nothing but white space. */
bool shell_line_is_blank(const char *command_line);

#endif
