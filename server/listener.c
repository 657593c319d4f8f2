#include "listener.h"

#include "error.h"
#include "log.h"
#include "store.h"
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

enum { BACKLOG = 256 };

/* "a/b//socket" -> "a/b"; "socket" -> "." */
static void split_folder(const char *path, char *folder, size_t folder_bytes) {
    const char *end = strrchr(path, '/');
    while (end && end > path && end[-1] == '/')
        end--;
    if (!end)
        snprintf(folder, folder_bytes, ".");
    else if (end == path)
        snprintf(folder, folder_bytes, "/");
    else
        snprintf(folder, folder_bytes, "%.*s", (int)(end - path), path);
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const struct listener_reach alone = {.reach = REACH_OWN};

static const char *reach_name(const struct listener_reach *reach) {
    return reach->reach == REACH_OWN ? "own" : reach->reach == REACH_GROUP ? "group" : "all";
}

static const char *mkdir_advice(const struct listener_reach *reach) {
    return reach->reach == REACH_OWN     ? "mkdir -m 700"
           : reach->reach == REACH_GROUP ? "mkdir -m 750, with chgrp for those who are to reach it,"
                                         : "mkdir -m 755";
}

/* Whether nobody but us can make, remove or replace a file there, nor look at any unless it is to
 * be reached, but whoever is to reach it can. */
static bool is_fit(const struct stat *info, const struct listener_reach *reach) {
    static const mode_t closed[] = {[REACH_OWN] = 077, [REACH_GROUP] = 027, [REACH_ALL] = 022};
    static const mode_t needed[] = {[REACH_OWN] = 0, [REACH_GROUP] = 010, [REACH_ALL] = 011};
    return info->st_uid == geteuid() && !(info->st_mode & closed[reach->reach]) &&
           (info->st_mode & needed[reach->reach]) == needed[reach->reach] &&
           (reach->reach != REACH_GROUP || info->st_gid == reach->gid);
}

static int make_folder(const char *name, const struct listener_reach *reach) {
    static const mode_t modes[] = {[REACH_OWN] = 0700, [REACH_GROUP] = 0750, [REACH_ALL] = 0755};
    if (mkdir(name, 0700) < 0)
        return errno == EEXIST ? 0 : -errno;
    if (reach->reach == REACH_OWN)
        return 0;
    if ((reach->reach == REACH_GROUP && chown(name, (uid_t)-1, reach->gid) < 0) ||
        chmod(name, modes[reach->reach]) < 0)
        return -errno;
    return 0;
}

static int refuse_to_make(const char *folder, int code) {
    return error_set(code,
                     "%s cannot be made: %s; choose another place with --socket, and set "
                     "SHMFRAME_SOCKET to it for all programs",
                     folder, strerror(-code));
}

/* Names what is wrong with a folder that is_fit() refused. */
static int refuse_folder(const char *folder, const struct stat *info,
                         const struct listener_reach *reach) {
    const unsigned mode = info->st_mode & 07777;
    char wrong[160];
    if (info->st_uid != geteuid())
        snprintf(wrong, sizeof(wrong),
                 "belongs to user %u, not to user %u: ", (unsigned)info->st_uid,
                 (unsigned)geteuid());
    else if (reach->reach == REACH_OWN)
        snprintf(wrong, sizeof(wrong),
                 "is open to others (mode %04o): --reach says who of them is to reach it; or ",
                 mode);
    else if (reach->reach == REACH_GROUP && info->st_gid != reach->gid)
        snprintf(wrong, sizeof(wrong),
                 "is of group %u, and --reach says group %u: ", (unsigned)info->st_gid,
                 (unsigned)reach->gid);
    else
        snprintf(wrong, sizeof(wrong), "has mode %04o, which is not what --reach %s needs: ", mode,
                 reach_name(reach));
    return error_set(-EACCES,
                     "%s %smake a folder for the socket by %s and name FOLDER/socket with --socket",
                     folder, wrong, mkdir_advice(reach));
}

static int open_folder(const char *path, bool may_create, const struct listener_reach *reach,
                       int *out_folder) {
    char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
    split_folder(path, name, sizeof(name));
    const int made = may_create ? make_folder(name, reach) : 0;
    if (made < 0)
        return refuse_to_make(name, made);
    int folder = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 && (errno == ELOOP || errno == ENOTDIR))
        return error_set(-EACCES,
                         "%s is a symbolic link or no directory: remove it, or choose "
                         "another place with --socket",
                         name);
    if (folder < 0)
        return error_set(-errno, "%s cannot be opened: %s", name, strerror(errno));
    struct stat info;
    if (fstat(folder, &info) < 0 || !is_fit(&info, reach)) {
        close(folder);
        return refuse_folder(name, &info, reach);
    }
    *out_folder = folder;
    return 0;
}

static pid_t read_holder(int fd) {
    char pid[16] = "";
    if (pread(fd, pid, sizeof(pid) - 1, 0) < 0)
        pid[0] = '\0';
    return atoi(pid);
}

/* A supervisor that was killed as it started a node leaves its lock to that child, until this runs
 * its program. */
static int lock(int fd, pid_t *out_holder) {
    enum { TRIES = 200, PAUSE_NS = 10000000 };
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (unsigned i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        const int code = errno;
        *out_holder = read_holder(fd);
        const bool is_dead = *out_holder > 0 && kill(*out_holder, 0) < 0 && errno == ESRCH;
        if (code != EWOULDBLOCK || !is_dead || i == TRIES)
            return -code;
        nanosleep(&pause, NULL);
    }
    return 0;
}

/* The lock's file stays for ever: a file that is removed and made again can be locked twice. */
static int lock_place(struct listener *listener) {
    char name[sizeof(listener->path) + 8];
    pid_t holder;
    snprintf(name, sizeof(name), "%s.lock", file_name(listener->path));
    int fd = openat(listener->folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(-errno, "%s.lock cannot be opened: %s", listener->path, strerror(errno));
    int code = lock(fd, &holder);
    if (code < 0) {
        close(fd);
        if (code != -EWOULDBLOCK)
            return error_set(code, "%s.lock cannot be locked: %s", listener->path, strerror(-code));
        return error_set(-EEXIST,
                         "another supervisor (pid %d) serves %s: use that one, end it, or "
                         "choose another place with --socket",
                         (int)holder, listener->path);
    }
    char pid[16];
    int length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)length, 0) < 0) {
        code = error_set(-errno,
                         "%s.lock cannot be written: %s; make room there, or choose another place "
                         "with --socket",
                         listener->path, strerror(errno));
        close(fd);
        return code;
    }
    listener->lock = fd;
    return 0;
}

/* Only under the lock: whoever made this socket no longer serves it. */
static int remove_stale(const struct listener *listener) {
    struct stat info;
    const char *name = file_name(listener->path);
    if (fstatat(listener->folder, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_set(-errno, "%s: %s", listener->path, strerror(errno));
    if (!S_ISSOCK(info.st_mode) || info.st_uid != geteuid())
        return error_set(-EACCES,
                         "%s is there and no socket of ours: remove it, or choose another "
                         "place with --socket",
                         listener->path);
    if (unlinkat(listener->folder, name, 0) < 0)
        return error_set(-errno, "%s cannot be removed: %s", listener->path, strerror(errno));
    return 0;
}

/* In our folder nobody can put something else in its place. */
static int open_to_others(const struct listener *listener, const struct listener_reach *reach) {
    const char *name = file_name(listener->path);
    if (reach->reach == REACH_OWN)
        return 0;
    if ((reach->reach == REACH_GROUP &&
         fchownat(listener->folder, name, (uid_t)-1, reach->gid, AT_SYMLINK_NOFOLLOW) < 0) ||
        fchmodat(listener->folder, name, reach->reach == REACH_GROUP ? 0660 : 0666, 0) < 0)
        return error_set(-errno, "%s cannot be given to those who are to reach it: %s",
                         listener->path, strerror(errno));
    return 0;
}

void listener_let_pass(int socket, bool is_let) {
    const int value = is_let;
    setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &value, sizeof(value));
}

static int bind_socket(struct listener *listener, const struct listener_reach *reach) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, listener->path, sizeof(address.sun_path));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(-errno, "no socket: %s", strerror(errno));
    listener_let_pass(fd, false);
    const mode_t mask = umask(0177);
    int result = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    int code = errno;
    umask(mask);
    if (result == 0 && listen(fd, BACKLOG) < 0)
        result = -1, code = errno;
    if (result < 0) {
        close(fd);
        return error_set(-code, "%s cannot be opened: %s", listener->path, strerror(code));
    }
    listener->fd = fd;
    listener->is_bound = true;
    return open_to_others(listener, reach);
}

/* What is kept for the next supervisor lies in a folder that is ours alone: the one that the
 * service manager made for it, else the socket's. Without one we do without: names, nodes and the
 * journal end with this process. */
static void find_folder(struct listener *listener, const struct listener_reach *reach) {
    char path[sizeof(listener->path)];
    const char *folder = getenv("RUNTIME_DIRECTORY");
    const int length = folder ? snprintf(path, sizeof(path), "%s/socket", folder) : 0;
    const bool is_given = length > 0 && length < (int)sizeof(path);
    if (open_folder(is_given ? path : listener->path, false, reach, &listener->folder) < 0)
        log_trouble("event=no-folder reason=%s", log_quote(shmframe_last_error()).text);
}

/* A listening socket of our kind that somebody else made, or we ourselves before an upgrade. */
static int take_socket(struct listener *listener, int fd, const struct listener_reach *reach) {
    struct sockaddr_un address = {0};
    socklen_t length = sizeof(address) - 1;
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return error_set(-errno, "the passed socket cannot be used: %s", strerror(errno));
    listener->fd = fd;
    listener_let_pass(fd, false);
    if (address.sun_path[0] == '\0')
        return error_set(-EINVAL, "the passed socket has no path: anybody could connect to it");
    memcpy(listener->path, address.sun_path, sizeof(listener->path));
    if (listener->folder < 0)
        find_folder(listener, reach);
    return 0;
}

static int take_passed(struct listener *listener, int fd, int count) {
    if (count != 1 || sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
        return error_set(-EINVAL,
                         "the service manager passed %d descriptors instead of one "
                         "listening socket of kind SOCK_SEQPACKET",
                         count);
    return take_socket(listener, fd, &alone);
}

static int take_kept(struct listener *listener, const struct upgrade_kept *kept,
                     const struct listener_reach *reach) {
    const int fds[] = {kept->socket, kept->lock, kept->folder};
    for (unsigned i = 0; i < 3; i++)
        if (fds[i] >= 0)
            fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    listener->lock = kept->lock;
    /* As it was found to be fit: the settings may say another reach since. */
    listener->folder = kept->folder;
    listener->is_bound = kept->is_bound;
    /* One that was passed once is nothing that we have opened to anybody. */
    return take_socket(listener, kept->socket, kept->is_bound ? reach : &alone);
}

static int open_own(struct listener *listener, const struct listener_reach *reach) {
    int code = open_folder(listener->path, true, reach, &listener->folder);
    if (code == 0)
        code = lock_place(listener);
    if (code == 0)
        code = remove_stale(listener);
    if (code == 0)
        code = bind_socket(listener, reach);
    return code;
}

static int check_path(const char *path) {
    const size_t most = sizeof(((struct listener *)0)->path);
    if (strlen(path) < most && path[0] != '\0')
        return 0;
    return error_set(-EINVAL,
                     "a socket's path has 1 to %zu bytes; choose such a one with --socket or "
                     "SHMFRAME_SOCKET instead of \"%s\"",
                     most - 1, path);
}

/* Whether the folder of `path`, which is missing, can be made: it alone. */
static int check_missing_folder(const char *path) {
    char folder[sizeof(((struct listener *)0)->path)], parent[sizeof(folder)];
    split_folder(path, folder, sizeof(folder));
    split_folder(folder, parent, sizeof(parent));
    if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    return refuse_to_make(folder, -errno);
}

int listener_check(const char *path, const struct listener_reach *reach) {
    int folder = -1;
    int code = check_path(path);
    if (code == 0)
        code = open_folder(path, false, reach, &folder);
    if (folder >= 0)
        close(folder);
    return code == -ENOENT ? check_missing_folder(path) : code;
}

int listener_open(struct listener *listener, const char *path, const struct listener_reach *reach) {
    *listener = (struct listener){.fd = -1, .folder = -1, .lock = -1};
    struct upgrade_kept kept;
    int passed_fd = -1, code;
    const int passed = store_receive(&passed_fd);
    if (upgrade_take(&kept)) {
        code = take_kept(listener, &kept, reach);
    } else if (passed != 0) {
        code = take_passed(listener, passed_fd, passed);
    } else if ((code = check_path(path)) < 0) {
        return code;
    } else {
        strcpy(listener->path, path);
        code = open_own(listener, reach);
    }
    snprintf(listener->names, sizeof(listener->names), "%s.names", file_name(listener->path));
    snprintf(listener->journal, sizeof(listener->journal), "%s.journal", file_name(listener->path));
    if (code < 0)
        listener_close(listener);
    return code;
}

void listener_close(struct listener *listener) {
    if (listener->is_bound)
        unlinkat(listener->folder, file_name(listener->path), 0);
    const int fds[] = {listener->fd, listener->folder, listener->lock};
    for (unsigned i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *listener = (struct listener){.fd = -1, .folder = -1, .lock = -1};
}
