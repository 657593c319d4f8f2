/* Runs a target once for each file that is named, and each file in the folders that are: what the
 * fuzzers have found is looked at again, without them. */
#include "input.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned inputs;

_Noreturn static void fail(const char *path) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(EXIT_FAILURE);
}

static void run_file(const char *path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0)
        fail(path);
    const size_t count = (size_t)info.st_size;
    uint8_t *bytes = malloc(count ? count : 1);
    if (!bytes || read(fd, bytes, count) != (ssize_t)count)
        fail(path);
    close(fd);
    /* First: if it is the last line, this is the one. */
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(bytes, count);
    free(bytes);
    inputs++;
}

static int is_shown(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void run_folder(const char *path) {
    struct dirent **entries;
    const int count = scandir(path, &entries, is_shown, alphasort);
    if (count < 0)
        fail(path);
    for (int i = 0; i < count; i++) {
        char *file;
        if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
            fail(path);
        run_file(file);
        free(file);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (stat(argv[i], &info) < 0)
            fail(argv[i]);
        if (S_ISDIR(info.st_mode))
            run_folder(argv[i]);
        else
            run_file(argv[i]);
    }
    printf("%u inputs\n", inputs);
    return inputs ? EXIT_SUCCESS : EXIT_FAILURE;
}
