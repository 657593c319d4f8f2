#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WIDE = 0, BATCHES, WHOLE, SHAPES, CARRIED, TWICE };

#define LATEST(of, ...)                                                                            \
    { .stream = of, .policy = SHMFRAME_LATEST, __VA_ARGS__ }
#define IN_ORDER(of, ...)                                                                          \
    { .stream = of, .policy = SHMFRAME_IN_ORDER, __VA_ARGS__ }
#define LOSSLESS(of, ...)                                                                          \
    { .stream = of, .policy = SHMFRAME_LOSSLESS, __VA_ARGS__ }

const struct writer_role writer_roles[STREAMS] = {
    [WIDE] = {.stream = "wide", .loans = 1},
    [BATCHES] = {.stream = "batches", .loans = 3},
    [WHOLE] = {.stream = "whole", .loans = 1},
    [SHAPES] = {.stream = "shapes", .loans = 2, .has_formats = true},
    [CARRIED] = {.stream = "carried",
                 .loans = 1,
                 .is_filter = true,
                 .reading = IN_ORDER(WIDE, .depth = 16, .leases = 2)},
    [TWICE] = {.stream = "twice",
               .loans = 1,
               .is_filter = true,
               .reading = LOSSLESS(CARRIED, .depth = 4, .leases = 1)},
};

const struct reader_role reader_roles[READERS] = {
    {"wide-latest", 2000000, 1, {LATEST(WIDE, .leases = 1)}},
    {"wide-polling", 1000000, 1, {LATEST(WIDE, .leases = 3, .is_polling = true)}},
    {"wide-in-order", 3000000, 1, {IN_ORDER(WIDE, .depth = 8, .leases = 2)}},
    {"wide-batch", 2000000, 1, {IN_ORDER(WIDE, .depth = 32, .leases = 6, .is_batch = true)}},
    {"batches-spinning",
     500000,
     1,
     {IN_ORDER(BATCHES, .depth = 4, .leases = 1, .spin_ns = 200000)}},
    {"batches-polling",
     2000000,
     1,
     {IN_ORDER(BATCHES, .depth = 16, .leases = 4, .is_polling = true)}},
    {"batches-latest", 4000000, 1, {LATEST(BATCHES, .leases = 2, .spin_ns = 100000)}},
    {"whole-lossless", 1000000, 1, {LOSSLESS(WHOLE, .depth = 4, .leases = 1)}},
    {"whole-polling", 2000000, 1, {LOSSLESS(WHOLE, .depth = 8, .leases = 5, .is_polling = true)}},
    {"whole-batch", 1000000, 1, {LOSSLESS(WHOLE, .depth = 8, .leases = 4, .is_batch = true)}},
    {"shapes-latest", 5000000, 1, {LATEST(SHAPES, .leases = 2)}},
    {"shapes-in-order", 8000000, 1, {IN_ORDER(SHAPES, .depth = 8, .leases = 3)}},
    {"shapes-lossless", 1000000, 1, {LOSSLESS(SHAPES, .depth = 2, .leases = 1, .spin_ns = 100000)}},
    {"carried-in-order", 2000000, 1, {IN_ORDER(CARRIED, .depth = 8, .leases = 2)}},
    {"twice-lossless", 1000000, 1, {LOSSLESS(TWICE, .depth = 4, .leases = 2)}},
    {"twice-latest", 1000000, 1, {LATEST(TWICE, .leases = 1)}},
    {"several",
     1000000,
     3,
     {IN_ORDER(BATCHES, .depth = 16, .leases = 2), LATEST(SHAPES, .leases = 1),
      LOSSLESS(WHOLE, .depth = 8, .leases = 3)}},
};

const char *seat_name(unsigned seat) {
    return seat < STREAMS ? writer_roles[seat].stream : reader_roles[seat - STREAMS].name;
}

unsigned seat_readings(unsigned seat, const struct reading_role **out_readings) {
    *out_readings =
        seat < STREAMS ? &writer_roles[seat].reading : reader_roles[seat - STREAMS].reading;
    return seat < STREAMS ? writer_roles[seat].is_filter : reader_roles[seat - STREAMS].readings;
}

bool seat_reads(unsigned seat, unsigned stream) {
    const struct reading_role *readings;
    const unsigned count = seat_readings(seat, &readings);
    for (unsigned i = 0; i < count; i++)
        if (readings[i].stream == stream)
            return true;
    return false;
}

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
