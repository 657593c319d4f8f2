#include "board.h"

#include "program.h"

#include <string.h>
#include <sys/mman.h>

static bool is_writers(enum board_measure measure) {
    return measure == BOARD_PUBLISH || measure == BOARD_FILL;
}

static bool is_measured(const struct board_lane *lane, enum board_measure measure) {
    return lane->is_touched || (measure != BOARD_READ && measure != BOARD_FILL);
}

/* Gives every series its place; returns the number of samples in all. */
static uint64_t plan_series(struct board *board) {
    uint64_t used = 0;
    for (uint32_t lane = 0; lane < board->lanes; lane++)
        for (uint32_t repeat = 0; repeat < board->repeats; repeat++)
            for (unsigned measure = 0; measure < BOARD_MEASURES; measure++) {
                const uint32_t peers = is_writers(measure) ? 1 : board->readers;
                for (uint32_t peer = 0; peer < peers; peer++) {
                    const uint32_t room =
                        is_measured(&board->lane[lane], measure) ? board->lane[lane].frames : 0;
                    board->series[lane][repeat][measure][peer] =
                        (struct board_series){.room = room, .first = used};
                    used += room;
                }
            }
    return used;
}

static uint64_t find_payload_bytes(const struct board *board) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < board->lanes; i++)
        if (board->lane[i].is_floor && board->lane[i].is_touched &&
            board->lane[i].format.slot_bytes > most)
            most = board->lane[i].format.slot_bytes;
    return (most + 4095) / 4096 * 4096;
}

struct board *board_create(const struct board *plan) {
    static struct board draft;
    draft = *plan;
    const uint64_t samples = plan_series(&draft);
    draft.payload = (sizeof(struct board) + samples * sizeof(int64_t) + 4095) / 4096 * 4096;
    draft.payload_bytes = find_payload_bytes(plan);
    draft.bytes = draft.payload + draft.payload_bytes * BOARD_BUFFERS;
    /* Populated, so that no page is touched for the first time while it is measured. */
    struct board *board = mmap(NULL, draft.bytes, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (board == MAP_FAILED)
        program_fail("no memory for %llu samples: %m", (unsigned long long)samples);
    memcpy(board, &draft, sizeof(draft));
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&board->barrier, &shared, 1 + board->readers);
    pthread_barrierattr_destroy(&shared);
    return board;
}

void board_destroy(struct board *board) {
    munmap(board, board->bytes);
}

void board_meet(struct board *board) {
    pthread_barrier_wait(&board->barrier);
}

void board_add(struct board *board, uint32_t lane, uint32_t repeat, enum board_measure measure,
               uint32_t peer, int64_t value_ns) {
    struct board_series *series = &board->series[lane][repeat][measure][peer];
    if (series->count < series->room)
        board->sample[series->first + series->count++] = value_ns;
}

uint8_t *board_buffer(struct board *board, uint32_t number) {
    return (uint8_t *)board + board->payload + board->payload_bytes * (number % BOARD_BUFFERS);
}

void payload_fill(uint8_t *data, size_t bytes, uint32_t number) {
    memset(data, (int)(number & 0xff), bytes);
}

uint64_t payload_sum(const uint8_t *data, size_t bytes) {
    uint64_t sum = 0, word;
    size_t i = 0;
    for (; i + sizeof(word) <= bytes; i += sizeof(word)) {
        memcpy(&word, data + i, sizeof(word));
        sum += word;
    }
    for (; i < bytes; i++)
        sum += data[i];
    /* Whoever throws the sum away has read all the same. */
    __asm__ volatile("" : : "r"(sum));
    return sum;
}
