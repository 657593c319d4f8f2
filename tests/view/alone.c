/* Preloaded: a program that changes its environment while it has another thread, which may read it,
 * ends with a line that tells. */
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_NOT_ALONE = 99 };

static unsigned count_threads(void) {
    DIR *folder = opendir("/proc/self/task");
    unsigned count = 0;
    for (const struct dirent *entry; folder && (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    if (folder)
        closedir(folder);
    return count;
}

static void *check(const char *function, const char *text) {
    if (count_threads() > 1) {
        fprintf(stderr, "%s: %s with other threads\n", function, text);
        _exit(EXIT_NOT_ALONE);
    }
    return dlsym(RTLD_NEXT, function);
}

int setenv(const char *name, const char *value, int overwrite) {
    int (*const real)(const char *, const char *, int) = check("setenv", name);
    return real(name, value, overwrite);
}

int unsetenv(const char *name) {
    int (*const real)(const char *) = check("unsetenv", name);
    return real(name);
}

int putenv(char *text) {
    int (*const real)(char *) = check("putenv", text);
    return real(text);
}
