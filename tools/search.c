#include "search.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char prefix[] = "shmframe-";

enum { COMMANDS_MAX = 128, COMMAND_BYTES = 64, PATH_BYTES = 64 * 1024 };

static void append(char *path, const char *parent, const char *folder) {
    const size_t used = strlen(path);
    snprintf(path + used, PATH_BYTES - used, "%s%s%s%s", used ? ":" : "", parent,
             *folder ? "/" : "", folder);
}

/* The folder that this program's file is in; false if the kernel does not tell. */
static bool find_own_folder(char folder[PATH_MAX]) {
    const ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length <= 0)
        return false;
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    if (!slash)
        return false;
    *(slash == folder ? slash + 1 : slash) = '\0';
    return true;
}

/* Only a build's folder has siblings to look into; an installed program's parent is /usr. */
static bool is_build(const char *parent) {
    char mark[PATH_MAX + 16];
    snprintf(mark, sizeof(mark), "%s/meson-private", parent);
    return access(mark, F_OK) == 0;
}

void search_extend_path(void) {
    static const char *const siblings[] = {
        "server",
        "producers",
        "consumers/analyze",
        "consumers/delay",
        "consumers/encode",
        "consumers/latency",
        "consumers/pipe",
        "consumers/snapshot",
        "consumers/view",
        "bench",
    };
    static char path[PATH_BYTES];
    char own[PATH_MAX];
    const char *before = getenv("PATH");
    if (!before)
        before = "/usr/local/bin:/usr/bin:/bin";
    if (!find_own_folder(own) || strlen(before) + 12 * PATH_MAX > PATH_BYTES)
        return;
    append(path, own, "");
    char *slash = strrchr(own, '/');
    if (slash && slash != own) {
        *slash = '\0';
        if (is_build(own))
            for (size_t i = 0; i < sizeof(siblings) / sizeof(siblings[0]); i++)
                append(path, own, siblings[i]);
    }
    if (*before)
        append(path, before, "");
    setenv("PATH", path, 1);
}

struct command_list {
    char name[COMMANDS_MAX][COMMAND_BYTES];
    size_t count;
};

static void add_command(struct command_list *list, const char *name) {
    if (list->count == COMMANDS_MAX || strlen(name) >= COMMAND_BYTES)
        return;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->name[i], name) == 0)
            return;
    strcpy(list->name[list->count++], name);
}

static void add_commands_of(struct command_list *list, const char *folder) {
    DIR *dir = opendir(*folder ? folder : ".");
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        /* A build leaves folders such as shmframe-view.p beside its programs. */
        if (strncmp(name, prefix, strlen(prefix)) == 0 && !strchr(name, '.') &&
            faccessat(dirfd(dir), name, X_OK, 0) == 0)
            add_command(list, name + strlen(prefix));
    }
    closedir(dir);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

void search_print_commands(const char *indent) {
    static struct command_list list;
    list.count = 0;
    char *path = strdup(getenv("PATH") ? getenv("PATH") : "");
    if (!path)
        return;
    char *rest = path;
    for (const char *folder; (folder = strsep(&rest, ":"));)
        add_commands_of(&list, folder);
    free(path);
    qsort(list.name, list.count, COMMAND_BYTES, compare_names);
    for (size_t i = 0; i < list.count; i++)
        printf("%s%s\n", indent, list.name[i]);
}
