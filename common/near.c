#include "near.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LENGTH_MAX = 63 };

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Levenshtein's distance without regard to case, one row of the table at a time. */
static unsigned measure(const char *a, const char *b) {
    const size_t length = strlen(b);
    unsigned row[LENGTH_MAX + 1];
    if (length > LENGTH_MAX || strlen(a) > LENGTH_MAX)
        return LENGTH_MAX;
    for (size_t i = 0; i <= length; i++)
        row[i] = (unsigned)i;
    for (size_t j = 0; a[j]; j++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)j + 1;
        for (size_t i = 0; i < length; i++) {
            const bool is_same = tolower((unsigned char)a[j]) == tolower((unsigned char)b[i]);
            const unsigned changed = diagonal + !is_same;
            diagonal = row[i + 1];
            row[i + 1] = least(changed, least(row[i], row[i + 1]) + 1);
        }
    }
    return row[length];
}

void near_offer(struct near *near, const char *name) {
    const size_t length = strlen(near->wanted);
    unsigned distance = measure(near->wanted, name);
    /* What was begun and not ended, such as "matro", is as near as a slip. */
    if (length >= 3 && strncasecmp(near->wanted, name, length) == 0)
        distance = 1;
    /* More than a third wrong is another word. */
    if (distance > 1 + length / 4)
        return;
    unsigned place = near->count;
    while (place > 0 && near->distance[place - 1] > distance)
        place--;
    if (place == NEAR_NAMES_MAX)
        return;
    for (unsigned i = 0; i < near->count; i++)
        if (strcmp(near->name[i], name) == 0)
            return;
    near->count += near->count < NEAR_NAMES_MAX;
    for (unsigned i = near->count - 1; i > place; i--) {
        near->name[i] = near->name[i - 1];
        near->distance[i] = near->distance[i - 1];
    }
    near->name[place] = name;
    near->distance[place] = distance;
}

const char *near_text(struct near *near) {
    size_t used = 0;
    near->text[0] = '\0';
    for (unsigned i = 0; i < near->count && used < sizeof(near->text); i++)
        used += (size_t)snprintf(near->text + used, sizeof(near->text) - used, "%s%s%s",
                                 i                  ? ", "
                                 : near->count == 1 ? "; near it is "
                                                    : "; near it are ",
                                 near->before ? near->before : "", near->name[i]);
    return near->text;
}

/* Returns how many options begin so, and prints them. */
static unsigned print_begun(char *text, size_t bytes, const char *word,
                            const struct option *options) {
    unsigned count = 0;
    for (size_t used = 0; options->name; options++)
        if (strncmp(word, options->name, strlen(word)) == 0 && used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s--%s", count++ ? ", " : "",
                                     options->name);
    return count;
}

const char *near_option(struct near *near, const char *argument, const struct option *options) {
    char word[LENGTH_MAX + 1], list[160] = "";
    argument += strspn(argument, "-");
    snprintf(word, sizeof(word), "%.*s", (int)strcspn(argument, "="), argument);
    *near = (struct near){.wanted = word, .before = "--"};
    const bool is_short = print_begun(list, sizeof(list), word, options) > 1;
    for (; options->name && !is_short; options++)
        near_offer(near, options->name);
    if (!is_short)
        snprintf(list, sizeof(list), "%.159s", near_text(near));
    snprintf(near->text, sizeof(near->text), "--%s is %s%s", word,
             is_short ? "short for several: " : "not an option", list);
    near->wanted = NULL;
    return near->text;
}
