/* Help: what a command's --help says of its options and operands, for who completes its words.
 * There is no second list that could differ. */
#ifndef TOOLS_HELP_H
#define TOOLS_HELP_H

#include <stdbool.h>
#include <stddef.h>

enum { HELP_BYTES = 64 * 1024, HELP_OPTIONS_MAX = 96, HELP_OPERANDS_MAX = 8, HELP_WORD_BYTES = 64 };

struct help_option {
    char name[HELP_WORD_BYTES];     /* with its dashes */
    char letter;                    /* 0: none */
    char argument[HELP_WORD_BYTES]; /* "": it takes none */
};

struct help_operand {
    char name[HELP_WORD_BYTES]; /* without brackets and dots */
    bool is_repeated;
};

struct help {
    struct help_option option[HELP_OPTIONS_MAX];
    unsigned options;
    struct help_operand operand[HELP_OPERANDS_MAX];
    unsigned operands;
};

/* Takes the words of --help apart. Lines that are none of an option are passed over. */
void help_parse(struct help *help, const char *text);

/* The option that a word of the command line is, such as "--format" or "-o"; NULL: none. */
const struct help_option *help_find_option(const struct help *help, const char *word);

#endif
