#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool machine_read(const char *root, const char *path, char text[MACHINE_TEXT_BYTES]) {
    char whole[PATH_MAX];
    if (snprintf(whole, sizeof(whole), "%s/%s", root, path) >= (int)sizeof(whole))
        return false;
    const int fd = open(whole, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t bytes = 0;
    ssize_t more;
    while ((more = read(fd, text + bytes, MACHINE_TEXT_BYTES - 1 - bytes)) > 0)
        bytes += (size_t)more;
    close(fd);
    if (bytes > 0 && text[bytes - 1] == '\n')
        bytes--;
    text[bytes] = '\0';
    return more == 0 || bytes > 0;
}

bool machine_read_number(const char *root, const char *path, int64_t *out_number) {
    char text[MACHINE_TEXT_BYTES], *end;
    if (!machine_read(root, path, text))
        return false;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (end == text || errno)
        return false;
    *out_number = number;
    return true;
}

bool machine_find_number(const char *text, const char *key, double *out_number) {
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        char *end;
        const double number = strtod(line + strlen(key), &end);
        if (end != line + strlen(key))
            *out_number = number;
        return end != line + strlen(key);
    }
    return false;
}

bool machine_find_choice(const char *text, char *word, size_t word_bytes) {
    const char *begin = strchr(text, '[');
    const char *end = begin ? strchr(begin, ']') : NULL;
    if (!end)
        return false;
    snprintf(word, word_bytes, "%.*s", (int)(end - begin - 1), begin + 1);
    return true;
}
