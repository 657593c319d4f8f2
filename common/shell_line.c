#include "shell_line.h"

#include <stdlib.h>
#include <string.h>

/* Whether the line begins with VARIABLE=value, which `exec` would take for a command. */
static bool begins_with_variable(const char *line) {
    line += strspn(line, " \t\n");
    const size_t length = strcspn(line, "= \t\n\"'\\$");
    return length > 0 && line[length] == '=';
}

/* Whether the shell has more to do than one command: `exec` would drop what follows the first. */
static bool has_operator(const char *line) {
    char quote = '\0';
    for (const char *at = line; *at; at++) {
        if (*at == '\\' && quote != '\'' && at[1])
            at++;
        else if (quote && *at == quote)
            quote = '\0';
        else if (!quote && (*at == '\'' || *at == '"'))
            quote = *at;
        else if (!quote && (*at == '<' || *at == '>') && at[1] == '&')
            at++;
        else if (!quote && strchr(";&|\n()", *at))
            return true;
    }
    return false;
}

/* `exec` is no program that a second one could run. */
static bool begins_with_exec(const char *line) {
    line += strspn(line, " \t\n");
    return strncmp(line, "exec", 4) == 0 && (line[4] == ' ' || line[4] == '\t');
}

char *shell_line_create(const char *command_line) {
    static const char exec[] = "exec ";
    char *line = malloc(sizeof(exec) + strlen(command_line));
    if (!line)
        return NULL;
    const bool is_as_it_is = begins_with_variable(command_line) || has_operator(command_line) ||
                             begins_with_exec(command_line);
    stpcpy(stpcpy(line, is_as_it_is ? "" : exec), command_line);
    return line;
}

bool shell_line_is_blank(const char *command_line) {
    return command_line[strspn(command_line, " \t\n")] == '\0';
}
