#include "cgroup.h"

#include "machine.h"

#include <stdio.h>
#include <string.h>

/* Whether the comma-separated `list` names `word`. */
static bool has_word(const char *list, size_t bytes, const char *word) {
    const size_t length = strlen(word);
    for (size_t begin = 0; begin < bytes;) {
        const char *comma = memchr(list + begin, ',', bytes - begin);
        const size_t end = comma ? (size_t)(comma - list) : bytes;
        if (end - begin == length && memcmp(list + begin, word, length) == 0)
            return true;
        begin = end + 1;
    }
    return false;
}

/* A line is ID:CONTROLLERS:PATH; version 2 is the one with no controllers. */
static bool find_path(const char *text, const char *controller, char path[PATH_MAX]) {
    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');
        const char *list = memchr(line, ':', (size_t)(end - line));
        const char *tail = list ? memchr(list + 1, ':', (size_t)(end - list - 1)) : NULL;
        if (tail) {
            const size_t bytes = (size_t)(tail - list - 1);
            if (controller ? has_word(list + 1, bytes, controller) : bytes == 0) {
                snprintf(path, PATH_MAX, "%.*s", (int)(end - tail - 1), tail + 1);
                return true;
            }
        }
        line = *end ? end + 1 : end;
    }
    return false;
}

bool cgroup_find(struct cgroup *group, const char *root, const char *controller) {
    char text[MACHINE_TEXT_BYTES], any[MACHINE_TEXT_BYTES];
    *group = (struct cgroup){0};
    if (!machine_read(root, "proc/self/cgroup", text))
        return false;
    group->is_unified = machine_read(root, "sys/fs/cgroup/cgroup.controllers", any);
    snprintf(group->tree, sizeof(group->tree), "sys/fs/cgroup%s%s", group->is_unified ? "" : "/",
             group->is_unified ? "" : controller);
    if (!find_path(text, group->is_unified ? NULL : controller, group->path))
        return false;
    /* "/" is the top as well. */
    if (strcmp(group->path, "/") == 0)
        group->path[0] = '\0';
    return true;
}

bool cgroup_go_up(struct cgroup *group) {
    char *slash = strrchr(group->path, '/');
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

void cgroup_file(const struct cgroup *group, const char *name, char path[PATH_MAX]) {
    snprintf(path, PATH_MAX, "%.63s%.3900s/%.100s", group->tree, group->path, name);
}
