/* Attack: a row of the table of attacks, and what those who make them share. */
#ifndef TESTS_HOSTILE_ATTACK_H
#define TESTS_HOSTILE_ATTACK_H

#include "intruder.h"

enum attack_flag {
    ATTACK_AS_STRANGER = 1 << 0, /* by another user whom the supervisor allows; needs root */
    ATTACK_AS_OUTSIDER = 1 << 1, /* by one whom it does not allow */
};

struct attacker {
    uint64_t random;
    bool is_long; /* the long form: more of everything */
};

struct attack {
    const char *name;
    const char *who;      /* as what it comes */
    const char *expected; /* what is to become of it; `act` checks that */
    void (*act)(struct attacker *attacker);
    unsigned flags;
};

/* Each ends with a row without a name. */
extern const struct attack attacks_of_readers[];
extern const struct attack attacks_of_writers[];
extern const struct attack attacks_with_descriptors[];
extern const struct attack attacks_with_geometry[];
extern const struct attack attacks_with_messages[];
extern const struct attack attacks_with_floods[];
extern const struct attack attacks_of_strangers[];

bool attack_goes_on(void);
/* An intruder's session; ends the process with a fault if there is none. */
void attack_open(struct intruder *intruder);
/* One more round was done, without harm as far as the attacker sees. */
void attack_count(void);
/* Judges what was sent; a fault, if it is not what was expected. Code 0: any. */
void attack_expect(struct intruder *intruder, enum verdict expected, int code, const char *what);
/* A fault of the attacker's own: it cannot do what it is to do. Ends the process. */
_Noreturn void attack_fail(const char *what, int code);
/* Wild values: any bits, and those that lie at edges. */
uint64_t attack_wild(struct attacker *attacker);
/* Fills with them. */
void attack_scribble(struct attacker *attacker, void *bytes, size_t count);

#endif
