#include "board.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

struct board *board;

int board_create(void) {
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return board == MAP_FAILED ? -ENOMEM : 0;
}

void board_fault(const char *text, ...) {
    const uint32_t number = atomic_fetch_add(&board->faults, 1);
    if (number >= FAULTS_MAX)
        return;
    va_list values;
    va_start(values, text);
    vsnprintf(board->fault[number], sizeof(board->fault[number]), text, values);
    va_end(values);
}

pid_t board_fork(void) {
    const pid_t parent = getpid();
    fflush(stdout);
    const pid_t pid = fork();
    if (pid != 0) {
        if (pid > 0)
            setpgid(pid, pid); /* both do: whoever comes first */
        return pid;
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    return 0;
}

void board_sleep(int64_t ns) {
    const struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

uint64_t board_roll(uint64_t *random, uint64_t limit) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random % limit;
}
