#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- writing ---- */

int state_file_finish_text(FILE *file, char **text) {
    if (!file)
        return -ENOMEM;
    const bool is_bad = ferror(file);
    if (fclose(file) == 0 && !is_bad)
        return 0;
    free(*text);
    *text = NULL;
    return -ENOMEM;
}

static int make_beside(const char *name, char out_beside[STATE_FILE_NAME_BYTES]) {
    const int length = snprintf(out_beside, STATE_FILE_NAME_BYTES, "%s.new", name);
    return length < 0 || length >= STATE_FILE_NAME_BYTES ? -ENAMETOOLONG : 0;
}

static int write_all(int fd, const char *text, size_t bytes) {
    while (bytes > 0) {
        const ssize_t written = write(fd, text, bytes);
        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0) {
            text += written;
            bytes -= (size_t)written;
        }
    }
    return 0;
}

/* A new file: a pipe or a device that was put in its place would hold the loop up. */
int state_file_write(int folder, const char *name, const char *text, size_t bytes) {
    char beside[STATE_FILE_NAME_BYTES];
    int code = make_beside(name, beside);
    if (code < 0)
        return code;
    if (unlinkat(folder, beside, 0) < 0 && errno != ENOENT)
        return -errno;
    const int fd =
        openat(folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    code = write_all(fd, text, bytes);
    if (close(fd) < 0 && code == 0)
        code = -errno;
    return code;
}

int state_file_replace(int folder, const char *name) {
    char beside[STATE_FILE_NAME_BYTES];
    const int code = make_beside(name, beside);
    if (code < 0)
        return code;
    return renameat(folder, beside, folder, name) < 0 ? -errno : 0;
}

/* ---- reading ---- */

char *state_file_read(int folder, const char *name, size_t *out_bytes) {
    const int fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
    struct stat info;
    char *text = NULL;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
        info.st_size <= STATE_FILE_BYTES_MAX)
        text = calloc(1, (size_t)info.st_size + 1);
    const ssize_t length = text ? read(fd, text, (size_t)info.st_size) : -1;
    close(fd);
    if (length < 0) {
        free(text);
        return NULL;
    }
    *out_bytes = (size_t)length;
    return text;
}

void state_file_read_boot(char out_boot[STATE_FILE_BOOT_BYTES]) {
    enum { ID_BYTES = 36 };
    memset(out_boot, 0, STATE_FILE_BOOT_BYTES);
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = fd < 0 ? -1 : read(fd, out_boot, ID_BYTES);
    if (fd >= 0)
        close(fd);
    if (bytes <= 0)
        strcpy(out_boot, "unknown");
}
