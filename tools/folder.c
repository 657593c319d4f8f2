#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char prefix[] = "shmframe-run.";

/* Between a folder's birth and its lock nobody shall take it for a dead run's. */
enum { DEAD_AFTER_S = 10, OPEN_FOLDERS_MAX = 8 };

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    remove(path);
    return 0;
}

static void remove_tree(const char *path) {
    nftw(path, remove_entry, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static bool is_dead(int base_fd, const char *name) {
    const int fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct stat info;
    const bool is_dead = fstat(fd, &info) == 0 && info.st_uid == geteuid() &&
                         time(NULL) - info.st_mtime > DEAD_AFTER_S &&
                         flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return is_dead;
}

static void remove_dead(const char *base) {
    DIR *dir = opendir(base);
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
            !is_dead(dirfd(dir), entry->d_name))
            continue;
        char path[PATH_MAX];
        if (snprintf(path, sizeof(path), "%s/%s", base, entry->d_name) < PATH_MAX)
            remove_tree(path);
    }
    closedir(dir);
}

static int create_in(const char *base, struct folder *folder) {
    static const char socket_name[] = "/socket";
    const int length = snprintf(folder->path, sizeof(folder->path), "%s/%sXXXXXX", base, prefix);
    if (length < 0 ||
        (size_t)length + sizeof(socket_name) > sizeof(((struct sockaddr_un *)0)->sun_path))
        return -ENAMETOOLONG;
    if (!mkdtemp(folder->path))
        return -errno;
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0 || flock(folder->fd, LOCK_EX | LOCK_NB) < 0) {
        const int result = -errno;
        folder_destroy(folder);
        return result;
    }
    stpcpy(stpcpy(folder->socket, folder->path), socket_name);
    return 0;
}

int folder_create(struct folder *folder) {
    *folder = (struct folder){.fd = -1};
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime && *runtime == '/') {
        remove_dead(runtime);
        if (create_in(runtime, folder) == 0)
            return 0;
    }
    remove_dead("/tmp");
    return create_in("/tmp", folder);
}

void folder_destroy(struct folder *folder) {
    if (*folder->path)
        remove_tree(folder->path);
    if (folder->fd >= 0)
        close(folder->fd);
    *folder = (struct folder){.fd = -1};
}
