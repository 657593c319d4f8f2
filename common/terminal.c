#include "terminal.h"

#include "cells.h"
#include "messages.h"
#include "progress.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <shmframe/shmframe.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    SCREEN *screen; /* NULL: closed */
    bool is_utf8, has_color, is_registered;
} terminal;

bool terminal_is_possible(void) {
    const char *name = getenv("TERM");
    return isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && name && *name &&
           strcmp(name, "dumb") != 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void choose_colors(void) {
    const char *refused = getenv("NO_COLOR");
    terminal.has_color = (!refused || !*refused) && has_colors();
    if (!terminal.has_color)
        return;
    start_color();
    use_default_colors();
    init_pair(TERMINAL_GREEN, COLOR_GREEN, -1);
    init_pair(TERMINAL_YELLOW, COLOR_YELLOW, -1);
    init_pair(TERMINAL_RED, COLOR_RED, -1);
    init_pair(TERMINAL_BLUE, COLOR_CYAN, -1);
}

/* What ends the program without leaving a chance leaves the terminal as it was all the same: a
 * broken terminal would be worse than what curses might do in a handler. */
static void restore(int signal_number) {
    endwin();
    raise(signal_number); /* by default now */
}

static void restore_on_signals(void) {
    static const int numbers[] = {SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    const struct sigaction action = {.sa_handler = restore, .sa_flags = SA_RESETHAND | SA_NODEFER};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

int terminal_open(void) {
    setlocale(LC_CTYPE, "");
    terminal.is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    terminal.screen = newterm(NULL, stdout, stdin);
    if (!terminal.screen)
        return -ENOTSUP;
    FILE *messages = messages_open();
    if (!messages) {
        endwin();
        delscreen(terminal.screen);
        terminal.screen = NULL;
        return -ENOMEM;
    }
    set_term(terminal.screen);
    cbreak();
    noecho();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    curs_set(0);
    choose_colors();
    progress_set_file(messages);
    if (!terminal.is_registered)
        atexit(terminal_close); /* program_fail() leaves no other chance */
    terminal.is_registered = true;
    restore_on_signals();
    return 0;
}

void terminal_close(void) {
    if (!terminal.screen)
        return;
    endwin();
    delscreen(terminal.screen);
    terminal.screen = NULL;
    progress_set_file(NULL);
    messages_close(stderr);
}

bool terminal_is_utf8(void) {
    return terminal.is_utf8;
}

void terminal_set_color(enum terminal_color color, bool is_bold) {
    attrset((terminal.has_color ? (int)COLOR_PAIR(color) : 0) | (is_bold ? (int)A_BOLD : 0));
}

void terminal_put(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    const int room = COLS - getcurx(stdscr) - 1; /* the row's last cell would begin the next one */
    char shown[sizeof(text)];
    if (room > 0 && cells_copy(text, room, shown, sizeof(shown)))
        addstr(shown);
}

int terminal_last_message(const char **out_line) {
    return messages_newest(shmframe_now_ns(), out_line);
}
