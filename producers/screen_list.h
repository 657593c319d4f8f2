/* Screen list: what shmframe-screen --list prints. */
#ifndef PRODUCERS_SCREEN_LIST_H
#define PRODUCERS_SCREEN_LIST_H

#include "x_display.h"

/* In words, or as one JSON object. Returns the exit code. */
int screen_list_print(struct x_display *display, const char *format);

#endif
