#include "markup.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* How many bytes the character at `text` has; 0: it is none that XML 1.0, section 2.2, allows. */
static size_t measure_character(const unsigned char *text) {
    static const struct {
        unsigned char mask, lead;
        uint32_t least; /* below, a shorter form is the right one */
    } forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t extra = 0; extra < 4; extra++) {
        if ((text[0] & forms[extra].mask) != forms[extra].lead)
            continue;
        uint32_t code = text[0] & (unsigned char)~forms[extra].mask;
        for (size_t i = 1; i <= extra; i++) {
            if ((text[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (text[i] & 0x3f);
        }
        const bool is_control = (code < 0x20 && code != '\t' && code != '\n') || code == 0x7f;
        const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
        const bool is_none = (code & 0xfffe) == 0xfffe || code > 0x10ffff;
        return code < forms[extra].least || is_control || is_surrogate || is_none ? 0 : extra + 1;
    }
    return 0;
}

static const char *find_entity(unsigned char character) {
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void markup_write(FILE *file, const char *text) {
    const unsigned char *next = (const unsigned char *)(text ? text : "");
    while (*next) {
        const char *entity = find_entity(*next);
        const size_t bytes = measure_character(next);
        if (entity)
            fputs(entity, file);
        else if (bytes)
            fwrite(next, 1, bytes, file);
        else
            fputs("\xef\xbf\xbd", file);
        next += bytes ? bytes : 1;
    }
}
