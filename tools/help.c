#include "help.h"

#include <stdio.h>
#include <string.h>

/* Copies what stands before the next space or line break; returns what is behind it. */
static const char *take_word(const char *text, char word[HELP_WORD_BYTES]) {
    const size_t length = strcspn(text, " \n");
    snprintf(word, HELP_WORD_BYTES, "%.*s", (int)length, text);
    return text + length;
}

/* "  -o, --output FILE    where to ...", "      --follow    ..." */
static void parse_option(struct help *help, const char *line) {
    struct help_option option = {0};
    line += strspn(line, " ");
    if (line[0] == '-' && line[1] != '-' && line[2] == ',') {
        option.letter = line[1];
        line += 3 + strspn(line + 3, " ");
    }
    if (strncmp(line, "--", 2) != 0 || help->options == HELP_OPTIONS_MAX)
        return;
    line = take_word(line, option.name);
    /* The explanation is two spaces off. */
    if (line[0] == ' ' && line[1] != ' ')
        take_word(line + 1, option.argument);
    help->option[help->options++] = option;
}

/* "STREAM... [FILE|-]", "[STREAM ...]" */
static void parse_operands(struct help *help, const char *text) {
    while (*text && *text != '\n' && help->operands < HELP_OPERANDS_MAX) {
        char word[HELP_WORD_BYTES];
        text = take_word(text, word);
        text += *text == ' ';
        const bool is_repeated = strstr(word, "...") != NULL;
        const size_t begin = strspn(word, "[");
        const size_t length = strcspn(word + begin, "].");
        if (length > 0) {
            struct help_operand *operand = &help->operand[help->operands++];
            snprintf(operand->name, sizeof(operand->name), "%.*s", (int)length, word + begin);
        }
        if (help->operands > 0)
            help->operand[help->operands - 1].is_repeated |= is_repeated;
    }
}

void help_parse(struct help *help, const char *text) {
    static const char before[] = "[OPTION]...";
    *help = (struct help){0};
    const char *usage = strstr(text, before);
    const char *first_end = strchrnul(text, '\n');
    if (usage && usage < first_end) {
        usage += strlen(before);
        parse_operands(help, usage + strspn(usage, " "));
    }
    for (const char *line = first_end; *line; line = strchrnul(line, '\n')) {
        line++;
        const size_t indent = strspn(line, " ");
        if (indent >= 2 && indent <= 6 && line[indent] == '-')
            parse_option(help, line);
    }
}

const struct help_option *help_find_option(const struct help *help, const char *word) {
    for (unsigned i = 0; i < help->options; i++) {
        const struct help_option *option = &help->option[i];
        if (strcmp(word, option->name) == 0 ||
            (option->letter && word[0] == '-' && word[1] == option->letter && word[2] == '\0'))
            return option;
    }
    return NULL;
}
