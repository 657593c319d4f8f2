#include "cells.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* The next character: its bytes, and its cells; what cannot be printed is one byte of it. */
static size_t take(const char *text, mbstate_t *state, int *out_cells) {
    wchar_t character;
    const size_t bytes = mbrtowc(&character, text, strlen(text), state);
    const bool is_valid = bytes != (size_t)-1 && bytes != (size_t)-2;
    *out_cells = is_valid ? wcwidth(character) : -1;
    if (!is_valid)
        *state = (mbstate_t){0};
    return is_valid ? bytes : 1;
}

int cells_copy(const char *text, int cells, char *copy, size_t bytes) {
    mbstate_t state = {0};
    size_t used = 0;
    int taken = 0;
    while (*text) {
        int width;
        const size_t length = take(text, &state, &width);
        const bool is_printed = width >= 0;
        const size_t needed = is_printed ? length : 1;
        if (taken + (is_printed ? width : 1) > cells || used + needed >= bytes)
            break;
        memcpy(copy + used, is_printed ? text : "?", needed);
        used += needed;
        taken += is_printed ? width : 1;
        text += length;
    }
    copy[used] = '\0';
    return taken;
}

/* Whether all of it is within `cells`. */
static bool has_room(const char *text, int cells) {
    mbstate_t state = {0};
    while (*text) {
        int width;
        text += take(text, &state, &width);
        cells -= width < 0 ? 1 : width;
        if (cells < 0)
            return false;
    }
    return true;
}

void cells_fit(const char *text, int cells, bool is_right, char *fitted, size_t bytes) {
    const bool is_whole = has_room(text, cells);
    char copy[1024];
    int taken = cells_copy(text, is_whole || cells < 1 ? cells : cells - 1, copy, sizeof(copy) - 1);
    if (!is_whole && cells > 0) {
        strcat(copy, "~");
        taken++;
    }
    const int blanks = cells > taken ? cells - taken : 0;
    snprintf(fitted, bytes, "%*s%s%*s", is_right ? blanks : 0, "", copy, is_right ? 0 : blanks, "");
}
