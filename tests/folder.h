/* A test's own folder. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <dirent.h>
#include <unistd.h>

/* Removes it with the files in it; it holds no further folders. Returns 0, or -1 and errno. */
static inline int folder_remove(const char *folder) {
    DIR *files = opendir(folder);
    const struct dirent *file;
    while (files && (file = readdir(files)))
        if (file->d_name[0] != '.')
            unlinkat(dirfd(files), file->d_name, 0);
    if (files)
        closedir(files);
    return rmdir(folder);
}

#endif
