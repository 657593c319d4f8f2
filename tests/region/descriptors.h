/* Descriptors counted around each test: a checked fixture of every suite. */
#ifndef TESTS_REGION_DESCRIPTORS_H
#define TESTS_REGION_DESCRIPTORS_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/types.h>

/* Open descriptors of process `pid`; -1 if it is gone. */
static inline int descriptors_count(pid_t pid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    int count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static int descriptors_before;

static inline void descriptors_begin(void) {
    descriptors_before = descriptors_count(getpid());
}

static inline void descriptors_end(void) {
    ck_assert_int_eq(descriptors_count(getpid()), descriptors_before);
}

#endif
