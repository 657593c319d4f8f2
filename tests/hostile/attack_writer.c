/* Writers: everything in a ring and in a bell is theirs, and changes while an honest reader of
 * their stream, which nobody forces to be one, looks at it. */
#include "attack.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVIL_STREAM "evil"
enum { SLOTS = 8 };

struct evil {
    struct intruder intruder;
    struct intruder_ring ring;
    struct ring *memory;
    uint64_t sequence;
};

/* ---- its reader ---- */

static uint64_t sum_of(const struct shmframe_lease *lease) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < lease->frame.bytes; i++)
        sum += lease->data[i];
    return sum;
}

/* Whatever the ring says, the answer is a frame within its slot, or an error. */
static void read_once(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    const int code = shmframe_reader_acquire(reader, shmframe_deadline_ns(5000000), &lease);
    if (code < 0 && code != -EPROTO && code != -EAGAIN && code != -ETIMEDOUT && code != -ENODATA &&
        code != -ENOTSUP)
        board_fault("a reader of an evil ring hears %d: %s", code, shmframe_last_error());
    if (code < 0)
        return;
    if (lease.frame.bytes > lease.format->slot_bytes)
        board_fault("a reader of an evil ring gets %u bytes", lease.frame.bytes);
    else
        sum_of(&lease);
    shmframe_reader_release(reader, &lease);
}

static _Noreturn void read_evil(enum shmframe_policy policy) {
    struct shmframe_session *session;
    const struct shmframe_session_params params = {.socket = board->socket, .name = "credulous"};
    const struct shmframe_reader_params reader_params = {
        .stream = EVIL_STREAM, .policy = policy, .leases = 2, .deadline_ns = INT64_MAX};
    if (shmframe_session_open(&params, &session) < 0)
        _exit(0);
    while (attack_goes_on()) {
        struct shmframe_reader *reader;
        if (shmframe_reader_open(session, &reader_params, &reader) < 0)
            continue;
        for (unsigned i = 0; i < 500 && attack_goes_on(); i++)
            read_once(reader);
        shmframe_reader_close(reader);
    }
    _exit(0);
}

/* Two of them, in the attacker's process group. */
static void start_readers(pid_t out_pids[2]) {
    for (unsigned i = 0; i < 2; i++) {
        out_pids[i] = fork();
        if (out_pids[i] == 0)
            read_evil(i ? SHMFRAME_IN_ORDER : SHMFRAME_LATEST);
    }
}

static void await_readers(const pid_t pids[2]) {
    for (unsigned i = 0; i < 2; i++) {
        int status;
        if (waitpid(pids[i], &status, 0) == pids[i] && status != 0)
            board_fault("a reader of an evil ring ended with status 0x%x", (unsigned)status);
    }
}

/* ---- what each does ---- */

/* As an honest writer would publish. */
static void publish(struct evil *evil, uint64_t sequence, uint32_t slot) {
    struct ring *ring = evil->memory;
    evil->sequence = sequence;
    ring->slot[slot].publish_ns = ring->slot[slot].capture_ns = shmframe_now_ns();
    ring->slot[slot].bytes = 256;
    atomic_store(&ring->slot[slot].state, slot_word(sequence, SLOT_PUBLISHED));
    atomic_store(&ring->index[sequence % RING_INDEX], place_word(sequence, slot));
    if (atomic_load(&ring->first) == 0) {
        atomic_store(&ring->first, sequence);
        atomic_store(&ring->tail, sequence);
    }
    atomic_store(&ring->head, place_word(sequence, slot));
}

static void publish_next(struct evil *evil) {
    publish(evil, evil->sequence + 1, (uint32_t)(evil->sequence % SLOTS));
}

static void ring_bells(struct evil *evil) {
    for (uint32_t i = 0; i < evil->ring.links; i++)
        atomic_fetch_add(&evil->ring.bell[i]->bell, 1);
}

typedef void (*mischief_fn)(struct attacker *attacker, struct evil *evil);

static void scribble_state(struct attacker *attacker, struct evil *evil) {
    publish_next(evil);
    attack_scribble(attacker, evil->memory, 64); /* head's line */
    attack_scribble(attacker, (void *)evil->memory->index, sizeof(evil->memory->index));
    for (unsigned i = 0; i < SLOTS; i++)
        atomic_store(&evil->memory->slot[i].state, attack_wild(attacker));
}

static void go_backwards(struct attacker *attacker, struct evil *evil) {
    publish_next(evil);
    publish_next(evil);
    const uint64_t back = board_roll(&attacker->random, evil->sequence);
    atomic_store(&evil->memory->head, place_word(back, (uint32_t)(back % SLOTS)));
}

static void jump(struct attacker *attacker, struct evil *evil) {
    publish(evil, evil->sequence + (UINT64_C(1) << board_roll(&attacker->random, 42)),
            (uint32_t)board_roll(&attacker->random, SLOTS));
    if (evil->sequence > SEQUENCE_MAX)
        evil->sequence = 0;
}

/* All of it fits together, but for the memory, of which there is none for these. */
static void publish_beyond(struct attacker *attacker, struct evil *evil) {
    const uint64_t beyond = board_roll(&attacker->random, RING_SLOTS_MAX - SLOTS);
    publish(evil, evil->sequence + 1, SLOTS + (uint32_t)beyond);
}

/* Frames as they should be, but for what is said of them. */
static void scribble_headers(struct attacker *attacker, struct evil *evil) {
    const uint32_t slot = (uint32_t)(evil->sequence % SLOTS);
    struct slot_header *header = &evil->memory->slot[slot];
    publish_next(evil);
    attack_scribble(attacker, (uint8_t *)header + 8, sizeof(*header) - 8);
}

static void scribble_geometry(struct attacker *attacker, struct evil *evil) {
    publish_next(evil);
    attack_scribble(attacker, &evil->memory->geometry, sizeof(evil->memory->geometry));
}

static void scribble_bells(struct attacker *attacker, struct evil *evil) {
    publish_next(evil);
    for (uint32_t i = 0; i < evil->ring.links; i++)
        attack_scribble(attacker, evil->ring.bell[i], sizeof(*evil->ring.bell[i]));
}

static void scribble_ledger(struct attacker *attacker, struct evil *evil) {
    publish_next(evil);
    attack_scribble(attacker, &evil->memory->ledger, sizeof(evil->memory->ledger));
    attack_scribble(attacker, evil->memory->incident, sizeof(evil->memory->incident));
}

static void move_tail(struct attacker *attacker, struct evil *evil) {
    publish_next(evil);
    atomic_store(&evil->memory->tail, attack_wild(attacker));
    atomic_store(&evil->memory->first, attack_wild(attacker));
}

static void change_its_mind(struct attacker *attacker, struct evil *evil) {
    publish_next(evil);
    atomic_store(&evil->memory->state, (uint32_t)board_roll(&attacker->random, 5));
}

/* ---- life ---- */

/* A sealed ring is a ring for life: each begins with a good one, and opens it anew now and then. */
static void write_evil(struct attacker *attacker, mischief_fn mischief) {
    pid_t readers[2];
    start_readers(readers);
    while (attack_goes_on()) {
        struct evil evil = {.sequence = 0};
        int code = intruder_make_ring(EVIL_STREAM, SLOTS, &evil.ring);
        if (code < 0)
            attack_fail("make a ring", code);
        evil.memory = evil.ring.memory;
        attack_open(&evil.intruder);
        code = intruder_write(&evil.intruder, EVIL_STREAM, &evil.ring);
        if (code < 0 && code != -EAGAIN && code != -EEXIST)
            attack_fail("open its ring", code);
        for (unsigned i = 0; i < 400 && code == 0 && attack_goes_on(); i++) {
            mischief(attacker, &evil);
            ring_bells(&evil);
            attack_count();
            board_sleep(100000);
        }
        union message message;
        message_init(&message, MESSAGE_CLOSE_WRITER, 0);
        message.close_writer.sequence = attack_wild(attacker);
        intruder_send_message(&evil.intruder, &message, NULL);
        intruder_close(&evil.intruder);
        intruder_drop_ring(&evil.ring);
    }
    await_readers(readers);
}

#define MISCHIEF(name)                                                                             \
    static void write_##name(struct attacker *attacker) {                                          \
        write_evil(attacker, name);                                                                \
    }
MISCHIEF(scribble_state)
MISCHIEF(go_backwards)
MISCHIEF(jump)
MISCHIEF(publish_beyond)
MISCHIEF(scribble_headers)
MISCHIEF(scribble_geometry)
MISCHIEF(scribble_bells)
MISCHIEF(scribble_ledger)
MISCHIEF(move_tail)
MISCHIEF(change_its_mind)

/* Says that it comes back, with numbers of a past that never was. */
static void tell_of_the_past(struct attacker *attacker) {
    while (attack_goes_on()) {
        struct intruder intruder;
        struct intruder_ring ring;
        union message message;
        attack_open(&intruder);
        intruder_make_ring("past", SLOTS, &ring);
        intruder_fill_ring(&message, "past", 0);
        message.open_ring.flags = MESSAGE_RESYNC;
        message.open_ring.generation =
            (UINT32_C(1) << 30) + 1 + (uint32_t)attack_wild(attacker) % 99;
        message.open_ring.sequence = attack_wild(attacker);
        intruder_send_message(&intruder, &message, &ring.fd);
        attack_expect(&intruder, VERDICT_CUT, -EPROTO, "a generation that cannot be");
        intruder_close(&intruder);
        intruder_drop_ring(&ring);
    }
}

const struct attack attacks_of_writers[] = {
    {"scribble-state", "writer", "-EPROTO to its readers", write_scribble_state, 0},
    {"head-backwards", "writer", "-EPROTO to its readers", write_go_backwards, 0},
    {"sequence-jumps", "writer", "-EPROTO to its readers", write_jump, 0},
    {"slots-beyond", "writer", "-EPROTO to its readers", write_publish_beyond, 0},
    {"scribble-headers", "writer", "harmless", write_scribble_headers, 0},
    {"scribble-geometry", "writer", "harmless", write_scribble_geometry, 0},
    {"scribble-bells", "writer", "harmless", write_scribble_bells, 0},
    {"scribble-ledger", "writer", "harmless", write_scribble_ledger, 0},
    {"move-tail", "writer", "-EPROTO to its readers", write_move_tail, 0},
    {"flap-state", "writer", "harmless", write_change_its_mind, 0},
    {"tell-of-the-past", "writer", "cut, -EPROTO", tell_of_the_past, 0},
    {"scribble-state-uid", "stranger", "-EPROTO to its readers", write_scribble_state,
     ATTACK_AS_STRANGER},
    {NULL, NULL, NULL, NULL, 0},
};
