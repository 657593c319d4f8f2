#include "act.h"

#include <stdio.h>

static const char *const door_names[DOORS] = {
    [DOOR_NONE] = "any moment", [DOOR_SESSION] = "session", [DOOR_OPEN] = "open",
    [DOOR_LOAN] = "loan",       [DOOR_FILL] = "fill",       [DOOR_PUBLISH] = "publish",
    [DOOR_FORMAT] = "format",   [DOOR_ACQUIRE] = "acquire", [DOOR_HOLD] = "hold",
    [DOOR_RELEASE] = "release",
};

static const char *name_deed(enum deed deed) {
    static const char *const names[DEEDS] = {"kill", "stop", "stop-kill", "evict", "cross"};
    return names[deed];
}

/* ---- drawing ---- */

static enum door choose_door(uint64_t *random, unsigned seat) {
    static const enum door sources[] = {DOOR_SESSION, DOOR_OPEN,    DOOR_LOAN,    DOOR_LOAN,
                                        DOOR_FILL,    DOOR_PUBLISH, DOOR_PUBLISH, DOOR_FORMAT};
    static const enum door filters[] = {DOOR_SESSION, DOOR_OPEN,    DOOR_LOAN,    DOOR_FILL,
                                        DOOR_PUBLISH, DOOR_PUBLISH, DOOR_ACQUIRE, DOOR_RELEASE};
    static const enum door readers[] = {DOOR_SESSION, DOOR_OPEN, DOOR_ACQUIRE, DOOR_ACQUIRE,
                                        DOOR_ACQUIRE, DOOR_HOLD, DOOR_RELEASE, DOOR_RELEASE};
    const unsigned roll = (unsigned)peer_roll(random, 8);
    if (peer_roll(random, 4) == 0)
        return DOOR_NONE;
    if (seat >= STREAMS)
        return readers[roll];
    if (writer_roles[seat].is_filter)
        return filters[roll];
    return sources[roll] == DOOR_FORMAT && !writer_roles[seat].has_formats ? DOOR_PUBLISH
                                                                           : sources[roll];
}

/* Doors behind which a call takes thousands of instructions, and waits for the supervisor. */
static bool is_long(enum door door) {
    return door == DOOR_SESSION || door == DOOR_OPEN || door == DOOR_FORMAT;
}

/* From one millisecond to two seconds, as often between 1 and 2 as between 1024 and 2048. */
static int64_t choose_pause(uint64_t *random) {
    const int64_t least_ns = INT64_C(1000000) << peer_roll(random, 11);
    const int64_t pause_ns = least_ns + (int64_t)peer_roll(random, (uint64_t)least_ns);
    return pause_ns < INT64_C(2000000000) ? pause_ns : INT64_C(2000000000);
}

static enum deed choose_deed(uint64_t *random) {
    const uint64_t roll = peer_roll(random, 100);
    return roll < 5 ? DEED_STOP : roll < 10 ? DEED_STOP_KILL : DEED_KILL;
}

/* One seat in three is of a writer. */
static unsigned choose_seat(uint64_t *random) {
    return peer_roll(random, 3) == 0 ? (unsigned)peer_roll(random, STREAMS)
                                     : STREAMS + (unsigned)peer_roll(random, READERS);
}

static void choose_reading(struct act *act, uint64_t *random) {
    const struct reading_role *roles;
    act->seat = STREAMS + (unsigned)peer_roll(random, READERS);
    act->reading = (unsigned)peer_roll(random, seat_readings(act->seat, &roles));
}

static void aim_at_reader(struct act *act, uint64_t *random) {
    enum { STEPS_MAX = 320 };
    act->deed = peer_roll(random, 3) ? DEED_CROSS : DEED_EVICT;
    choose_reading(act, random);
    act->door = act->deed == DEED_CROSS ? DOOR_ACQUIRE
                : peer_roll(random, 2)  ? DOOR_HOLD
                                        : DOOR_RELEASE;
    act->steps = 1 + (unsigned)peer_roll(random, STEPS_MAX);
    act->writer_door = peer_roll(random, 4) ? DOOR_LOAN : DOOR_PUBLISH;
    act->writer_steps = 1 + (unsigned)peer_roll(random, STEPS_MAX);
    act->pause_ns = 1000000 + (int64_t)peer_roll(random, 25000000);
}

static void aim_at_peer(struct act *act, uint64_t *random) {
    enum { STEPS_MAX = 700 };
    act->deed = choose_deed(random);
    act->seat = choose_seat(random);
    act->door = choose_door(random, act->seat);
    act->pause_ns = choose_pause(random);
    if (act->door != DOOR_NONE && !is_long(act->door) && peer_roll(random, 2))
        act->steps = 1 + (unsigned)peer_roll(random, STEPS_MAX);
    act->spin_ns = (int64_t)peer_roll(random, act->door == DOOR_NONE ? 2000000
                                              : is_long(act->door)   ? 5000000
                                                                     : 5000);
    if (peer_roll(random, 3) == 0)
        act->absent_ns = (int64_t)peer_roll(random, 20000000);
}

/* Half of its deaths just after a peer has come, so that it is in the midst of linking it. */
static void aim_at_supervisor(struct act *act, uint64_t *random) {
    act->is_supervisor = true;
    act->deed = choose_deed(random);
    act->pause_ns = choose_pause(random);
    act->has_seat = peer_roll(random, 2);
    act->seat = choose_seat(random);
    act->spin_ns = (int64_t)peer_roll(random, 6000000);
    act->absent_ns = (int64_t)peer_roll(random, 60000000);
}

bool act_is_calm(unsigned number) {
    enum { ROUND = 600, ROUGH = 400 };
    return number % ROUND >= ROUGH;
}

struct act act_choose(uint64_t seed, unsigned number) {
    uint64_t random = seed ^ (uint64_t)number << 32;
    random = peer_random(&random);
    struct act act = {.number = number};
    act.gap_ns = (int64_t)peer_roll(&random, 25000000);
    const uint64_t roll = peer_roll(&random, 100);
    if (roll < 8 && !act_is_calm(number))
        aim_at_supervisor(&act, &random);
    else if (roll >= 92)
        aim_at_reader(&act, &random);
    else
        aim_at_peer(&act, &random);
    act.seed = peer_random(&random);
    return act;
}

/* ---- showing ---- */

static void print_place(const struct act *act) {
    if (act->door == DOOR_NONE)
        printf(" at any moment");
    else if (act->steps)
        printf(" %u instructions behind %s", act->steps, door_names[act->door]);
    else
        printf(" %lld us behind %s", (long long)(act->spin_ns / 1000), door_names[act->door]);
}

void act_print(const struct act *act) {
    printf("%7u %-9s ", act->number, name_deed(act->deed));
    if (act->is_supervisor && act->has_seat)
        printf("supervisor, after the death of %s", seat_name(act->seat));
    else if (act->is_supervisor)
        printf("supervisor");
    else
        printf("%s", seat_name(act->seat));
    if (!act->is_supervisor)
        print_place(act);
    if (act->deed == DEED_CROSS)
        printf(", its writer %u instructions behind %s", act->writer_steps,
               door_names[act->writer_door]);
    if (act->deed != DEED_KILL)
        printf(", for %lld us", (long long)(act->pause_ns / 1000));
    printf("\n");
}
