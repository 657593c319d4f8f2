/* The text of a pipeline file as sections of keys and values: nothing is known of what they mean.
 */
#ifndef SERVER_CONFIG_TEXT_H
#define SERVER_CONFIG_TEXT_H

#include "config_problem.h"

struct config_entry {
    unsigned line;
    char *key;
    char *value;
    bool goes_on; /* the value of the entry before it goes on: a line that begins with a blank */
};

struct config_section {
    unsigned line;
    char *kind; /* "producer" */
    char *name; /* "cam" */
    struct config_entry *entry;
    size_t entries;
};

struct config_text {
    struct config_section *section;
    size_t sections;
};

/* Reads a whole file. Returns NULL after a problem was told; else the caller's to free. */
char *config_text_load(const char *path, size_t *out_bytes, struct config_problems *problems);
/* The same, if nobody but root and this process's user can have written it. */
char *config_text_load_own(const char *path, size_t *out_bytes, struct config_problems *problems);

/* What can be read of the text; mistakes are told and left out. */
void config_text_parse(const char *bytes, size_t count, struct config_text *out_text,
                       struct config_problems *problems);
/* The same where sections may have no name, which is then "". */
void config_text_parse_unnamed(const char *bytes, size_t count, struct config_text *out_text,
                               struct config_problems *problems);
void config_text_destroy(struct config_text *text);

#endif
