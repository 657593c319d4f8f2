#include "watchdog.h"

#include "program.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What a sound server has got is played to its end, which takes up to two seconds;
 * `shmframe run` kills after five. */
static const struct timespec patience = {.tv_sec = 4};

enum phase {
    OPENING = 0, /* nothing to report yet */
    PLAYING = 1, /* hanging is what there may be to report */
    REPORTING =
        2, /* one of the two threads does; however slowly it is read, it is not broken off */
    CLOSING = 3,
};

static _Atomic enum phase phase = OPENING;
static int (*report)(void);    /* guarded by PLAYING */
static int exit_code_at_close; /* guarded by CLOSING */

/* The exit code; -1: it is not the moment. */
static int end(void) {
    switch (atomic_load(&phase)) {
    case OPENING:
        program_warn("a device does not answer: it is left alone");
        return EXIT_FAILED;
    case PLAYING: {
        enum phase expected = PLAYING;
        if (!atomic_compare_exchange_strong(&phase, &expected, REPORTING)) {
            return -1;
        }
        program_warn("the display does not answer: it is left alone");
        return report();
    }
    case REPORTING:
        return -1;
    case CLOSING:
        program_warn("a device does not answer: it is left alone");
        return exit_code_at_close;
    }
    return EXIT_FAILED;
}

static void *watch(void *user) {
    (void)user;
    struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
    poll(&stop, 1, -1);
    for (;;) {
        nanosleep(&patience, NULL);
        const int exit_code = end();
        if (exit_code >= 0) {
            _exit(exit_code);
        }
    }
    return NULL;
}

void watchdog_start(void) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, watch, NULL) == 0) {
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void watchdog_play(int (*report_while_playing)(void)) {
    report = report_while_playing;
    atomic_store(&phase, PLAYING);
}

void watchdog_claim(void) {
    if (atomic_exchange(&phase, REPORTING) == REPORTING) {
        for (;;) {
            pause();
        }
    }
}

void watchdog_told(int exit_code) {
    exit_code_at_close = exit_code;
    atomic_store(&phase, CLOSING);
    /* Also where the stream has ended by itself, devices get so long and no longer. */
    program_stop();
}
