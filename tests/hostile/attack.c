#include "attack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool attack_goes_on(void) {
    return !atomic_load(&board->is_attack_over);
}

void attack_fail(const char *what, int code) {
    board_fault("an attacker cannot %s: %d", what, code);
    _exit(0);
}

void attack_open(struct intruder *intruder) {
    const int code = intruder_open(intruder, "intruder");
    if (code < 0)
        attack_fail("open a session", code);
}

void attack_count(void) {
    atomic_fetch_add(&board->answers.rounds, 1);
}

void attack_expect(struct intruder *intruder, enum verdict expected, int code, const char *what) {
    static const char *const names[] = {"harmless", "refused", "cut off"};
    const enum verdict verdict = intruder_judge(intruder);
    attack_count();
    atomic_fetch_add(verdict == VERDICT_CUT       ? &board->answers.cut
                     : verdict == VERDICT_REFUSED ? &board->answers.refused
                                                  : &board->answers.harmless,
                     1);
    if (verdict != expected || (code && intruder->code != code)) {
        board_fault("%s was %s with %d (%s), instead of %s with %d", what, names[verdict],
                    intruder->code, intruder->code ? intruder->text : "", names[expected], code);
        _exit(0);
    }
}

uint64_t attack_wild(struct attacker *attacker) {
    const uint64_t bits = board_roll(&attacker->random, UINT64_MAX);
    switch (board_roll(&attacker->random, 8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX - bits % 4;
    case 2:
        return bits % 256;
    case 3:
        return UINT64_C(1) << bits % 64;
    case 4:
        return (uint64_t)shmframe_now_ns() + bits % 1000000;
    default:
        return bits;
    }
}

void attack_scribble(struct attacker *attacker, void *bytes, size_t count) {
    for (size_t i = 0; i + sizeof(uint64_t) <= count; i += sizeof(uint64_t)) {
        const uint64_t wild = attack_wild(attacker);
        memcpy((uint8_t *)bytes + i, &wild, sizeof(wild));
    }
}
