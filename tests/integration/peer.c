#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct writer_role writer_roles[STREAMS] = {
    {.stream = "wide", .loans = 1},
    {.stream = "batches", .loans = 3},
    {.stream = "whole", .loans = 1},
    {.stream = "shapes", .loans = 2, .has_formats = true},
};

const struct reader_role reader_roles[READERS] = {
    {"wide-latest", SHMFRAME_LATEST, 0, 1, 0, false, 2000000},
    {"wide-polling", SHMFRAME_LATEST, 0, 3, 0, true, 1000000},
    {"wide-in-order", SHMFRAME_IN_ORDER, 8, 2, 0, false, 3000000},
    {"batches-spinning", SHMFRAME_IN_ORDER, 4, 1, 300000, false, 500000},
    {"batches-polling", SHMFRAME_IN_ORDER, 16, 3, 0, true, 2000000},
    {"batches-latest", SHMFRAME_LATEST, 0, 2, 200000, false, 4000000},
    {"whole-lossless", SHMFRAME_LOSSLESS, 4, 1, 0, false, 1000000},
    {"whole-polling", SHMFRAME_LOSSLESS, 8, 3, 0, true, 2000000},
    {"whole-in-order", SHMFRAME_IN_ORDER, 4, 2, 0, false, 1000000},
    {"shapes-latest", SHMFRAME_LATEST, 0, 2, 0, false, 5000000},
    {"shapes-in-order", SHMFRAME_IN_ORDER, 8, 3, 0, false, 8000000},
    {"shapes-lossless", SHMFRAME_LOSSLESS, 2, 1, 300000, false, 1000000},
};

uint64_t peer_random(uint64_t *state) {
    uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

void peer_sleep(int64_t duration_ns) {
    nanosleep(
        &(struct timespec){.tv_sec = duration_ns / 1000000000, .tv_nsec = duration_ns % 1000000000},
        NULL);
}

void peer_fail(const char *name, const char *call, int code) {
    board_fault("%s: %s: %s: %s", name, call, strerror(-code), shmframe_last_error());
    _exit(1);
}

struct shmframe_session *peer_open_session(const char *name) {
    struct shmframe_session *session;
    const struct shmframe_session_params params = {.socket = board->socket,
                                                   .name = name,
                                                   .deadline_ns =
                                                       shmframe_deadline_ns(INT64_C(20000000000))};
    int code = shmframe_session_open(&params, &session);
    if (code < 0)
        peer_fail(name, "session_open", code);
    return session;
}

static unsigned count_descriptors(DIR *folder) {
    unsigned count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)))
        count += entry->d_name[0] != '.';
    return count;
}

int holdings_count(pid_t pid, struct holdings *out_holdings) {
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    struct holdings holdings = {0};
    if (folder)
        holdings.descriptors = count_descriptors(folder);
    while (maps && fgets(line, sizeof(line), maps))
        holdings.mappings += strstr(line, "memfd:shmframe") != NULL;
    const bool is_there = maps && folder;
    if (maps)
        fclose(maps);
    if (folder)
        closedir(folder);
    if (is_there)
        *out_holdings = holdings;
    return is_there ? 0 : -ESRCH;
}
