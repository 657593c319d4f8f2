/* The whole terminal, to draw on by curses.
 *
 * Between open and close, what is said with program_warn() is kept: its last line can be shown, and
 * the newest lines are printed when the terminal closes, also if the program exits. Threads: one.
 */
#ifndef COMMON_TERMINAL_H
#define COMMON_TERMINAL_H

#include <stdbool.h>

/* Whether the program has a terminal to itself: input and output are one, that can be drawn on, and
 * no other program is in its foreground. */
bool terminal_is_possible(void);

/* Errors: -ENOTSUP the terminal cannot do it; -ENOMEM. */
int terminal_open(void);
/* Nothing if it is not open. */
void terminal_close(void);
bool terminal_is_utf8(void);

enum terminal_color {
    TERMINAL_PLAIN = 0,
    TERMINAL_GREEN,
    TERMINAL_YELLOW,
    TERMINAL_RED,
    TERMINAL_BLUE,
};
void terminal_set_color(enum terminal_color color, bool is_bold);

/* Adds text where the cursor is; what does not fit into the row is left out, and what cannot be
 * printed is "?". */
void terminal_put(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The last line that was said, if that is not long ago, not terminated; returns its length, 0:
 * none. */
int terminal_last_message(const char **out_line);

#endif
