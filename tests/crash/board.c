#include "board.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct board *board;
int board_fd;

void board_create(void) {
    board_fd = memfd_create("crash-board", MFD_CLOEXEC);
    if (board_fd < 0 || ftruncate(board_fd, sizeof(*board)) < 0) {
        perror("board");
        exit(1);
    }
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, board_fd, 0);
    if (board == MAP_FAILED) {
        perror("board");
        exit(1);
    }
}

void board_fault(const char *text, ...) {
    const uint32_t place = atomic_fetch_add(&board->faults, 1);
    if (place >= sizeof(board->fault) / sizeof(board->fault[0]))
        return;
    va_list values;
    va_start(values, text);
    vsnprintf(board->fault[place], sizeof(board->fault[place]), text, values);
    va_end(values);
}

const char *seat_name(unsigned seat) {
    static const char *const names[SEATS] = {"main-writer",   "main-order",  "main-lossless",
                                             "main-latest",   "side-writer", "side-order",
                                             "side-lossless", "guest"};
    return seat < SEATS ? names[seat] : "nobody";
}

void sleep_ns(int64_t duration_ns) {
    nanosleep(
        &(struct timespec){.tv_sec = duration_ns / 1000000000, .tv_nsec = duration_ns % 1000000000},
        NULL);
}
