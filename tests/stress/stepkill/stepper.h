/* Stepper: a child that does one piece of work, led through it instruction by instruction, to be
 * killed or stopped after any of them. */
#ifndef TESTS_STRESS_STEPKILL_STEPPER_H
#define TESTS_STRESS_STEPKILL_STEPPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum stepper_place {
    STEPPER_WITHIN = 0, /* as many instructions as were asked for are done */
    STEPPER_ASLEEP,     /* likewise; the last one is a system call in which it sleeps */
    STEPPER_THROUGH,    /* the work was over before */
    STEPPER_BROKEN,     /* it crashed, or ended by itself */
};

enum stepper_mark { STEPPER_BEFORE = 0, STEPPER_AT_WORK, STEPPER_AFTER };

struct stepper {
    void (*ready)(void *of); /* the child, before it is led; NULL: nothing */
    void (*work)(void *of);
    void (*afterwards)(void *of); /* what it does besides, if it was stopped and goes on */
    void (*awaken)(void *of);     /* in the tracer: ends a sleep; NULL: the sleep ends by itself */
    void (*look)(void *of);       /* in the tracer, after each instruction; NULL: nothing */
    void *of;
    _Atomic unsigned *mark; /* enum stepper_mark, in memory that both see */
    bool may_sleep;         /* a step is watched for a sleep, which costs a look at /proc */
    pid_t child;
    unsigned steps;    /* instructions of the work that are done */
    unsigned slept_at; /* at which of them it last slept; 0: it did not */
};

/* Whether a child can be traced here. */
bool stepper_is_allowed(void);

/* Whether a thread sleeps, in a system call. */
bool stepper_is_asleep(pid_t thread);

/* Forks, and leads the child to the first instruction of its work. */
void stepper_begin(struct stepper *stepper);

/* At most so many instructions further. */
enum stepper_place stepper_go(struct stepper *stepper, unsigned steps);

/* So many stops further: before and after each system call is one. A child that sleeps in one is
 * awoken as often as that takes. */
enum stepper_place stepper_go_calls(struct stepper *stepper, unsigned stops);

/* SIGKILL; the child is reaped. */
void stepper_kill(struct stepper *stepper);

/* SIGSTOP, no longer traced. */
void stepper_stop(struct stepper *stepper);
/* SIGCONT to a stopped one. Returns its wait status once it has ended by itself, or -1 if it did
 * not and had to be killed. */
int stepper_continue(struct stepper *stepper);

#endif
