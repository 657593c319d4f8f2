#include "program.h"
#include "road.h"

#include <linux/futex.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* PLACES as a ring has for one reader; PARCELS so many that nobody is overtaken who is a little
 * late. */
enum { PLACES = 3, PARCELS = 1024 };

/* What the processes share. */
struct floor {
    const struct road_plan *plan;
    size_t place_bytes, bytes; /* of a payload's place, of the mapping */
    /* futex: each sleeper's own word: how many there are so far */
    struct {
        alignas(64) _Atomic uint32_t word;
    } reader[ROAD_READERS_MAX];
    alignas(64) struct parcel parcel[PARCELS];
    /* line: how many there are so far, and the newest: one cache line that goes over */
    alignas(64) _Atomic uint64_t newest;
    struct parcel news[2]; /* of even and of odd numbers: written while the one before is read */
    alignas(4096) uint8_t places[];
};

struct floor_side {
    struct floor *floor;
    uint32_t number; /* of the reader */
    uint32_t count;  /* messages so far */
    struct road_count *calls;
};

static long call_futex(struct floor_side *side, _Atomic uint32_t *word, int operation,
                       uint32_t value) {
    side->calls->calls++;
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* ---- life ---- */

static void *prepare(const struct road_plan *plan) {
    const size_t place_bytes = (plan->bytes + 4095) / 4096 * 4096;
    const size_t bytes = sizeof(struct floor) + PLACES * place_bytes;
    struct floor *floor =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (floor == MAP_FAILED)
        program_fail("no memory for a floor: %m");
    floor->plan = plan;
    floor->place_bytes = place_bytes;
    floor->bytes = bytes;
    return floor;
}

static void finish(void *prepared) {
    struct floor *floor = prepared;
    munmap(floor, floor->bytes);
}

static void *open_reader(void *prepared, uint32_t number, struct road_count *count) {
    struct floor_side *side = calloc(1, sizeof(*side));
    if (!side)
        program_fail("no memory for a side");
    *side = (struct floor_side){.floor = prepared, .number = number, .calls = count};
    return side;
}

static void *open_writer(void *prepared, struct road_count *count) {
    return open_reader(prepared, 0, count);
}

static uint8_t *find_place(const struct floor_side *side, uint32_t message) {
    return side->floor->places + message % PLACES * side->floor->place_bytes;
}

static void lend(void *writer, uint32_t count, uint8_t **out_data) {
    const struct floor_side *side = writer;
    for (uint32_t i = 0; i < count; i++)
        out_data[i] = find_place(side, side->count + i);
}

static void release(void *reader, const struct message *messages, uint32_t count) {
    (void)reader, (void)messages, (void)count;
}

/* ---- a futex for each sleeper ---- */

static void send_futex(void *writer, const struct parcel *parcels, uint32_t count) {
    struct floor_side *side = writer;
    struct floor *floor = side->floor;
    for (uint32_t i = 0; i < count; i++)
        floor->parcel[side->count++ % PARCELS] = parcels[i];
    for (uint32_t i = 0; i < floor->plan->readers; i++) {
        atomic_store_explicit(&floor->reader[i].word, side->count, memory_order_release);
        call_futex(side, &floor->reader[i].word, FUTEX_WAKE, 1);
    }
}

static uint32_t receive_futex(void *reader, uint32_t count, struct message *out) {
    struct floor_side *side = reader;
    _Atomic uint32_t *word = &side->floor->reader[side->number].word;
    (void)count;
    while (atomic_load_explicit(word, memory_order_acquire) == side->count)
        call_futex(side, word, FUTEX_WAIT, side->count);
    *out = (struct message){.parcel = side->floor->parcel[side->count % PARCELS],
                            .data = find_place(side, side->count)};
    side->count++;
    return 1;
}

/* ---- a cache line for those that spin ---- */

static void send_line(void *writer, const struct parcel *parcels, uint32_t count) {
    struct floor_side *side = writer;
    struct floor *floor = side->floor;
    side->count += count;
    atomic_thread_fence(memory_order_release); /* the number before is seen before this */
    floor->news[side->count % 2] = parcels[count - 1];
    atomic_store_explicit(&floor->newest, side->count, memory_order_release);
}

static uint32_t receive_line(void *reader, uint32_t count, struct message *out) {
    struct floor_side *side = reader;
    struct floor *floor = side->floor;
    uint64_t newest, still;
    struct parcel parcel;
    (void)count;
    while ((newest = atomic_load_explicit(&floor->newest, memory_order_acquire)) == side->count)
        ;
    /* A reader that lost its processor in between may find what it reads overwritten. */
    for (;;) {
        parcel = floor->news[newest % 2];
        atomic_thread_fence(memory_order_acquire);
        still = atomic_load_explicit(&floor->newest, memory_order_acquire);
        if (still == newest)
            break;
        newest = still;
    }
    *out = (struct message){.parcel = parcel, .data = find_place(side, (uint32_t)newest - 1)};
    side->count = (uint32_t)newest;
    return 1;
}

#define FLOOR_MEMBERS                                                                              \
    .is_counted = true, .prepare = prepare, .finish = finish, .writer_open = open_writer,          \
    .lend = lend, .release = release, .writer_close = free, .reader_open = open_reader,            \
    .reader_close = free

const struct road floor_futex = {.name = "floor-futex",
                                 .title = "floor: futex wake",
                                 .how = "a raw FUTEX_WAKE for each sleeper, each on its own word",
                                 .send = send_futex,
                                 .receive = receive_futex,
                                 FLOOR_MEMBERS};
const struct road floor_line = {.name = "floor-line",
                                .title = "floor: cache line",
                                .how = "one cache line stored, and seen by a reader that spins",
                                .spin_ns = INT64_MAX,
                                .send = send_line,
                                .receive = receive_line,
                                FLOOR_MEMBERS};
