#include "caught.h"

#include "program.h"

#include <sys/signalfd.h>

int caught_open(sigset_t *out_mask) {
    sigset_t caught;
    sigemptyset(&caught);
    sigaddset(&caught, SIGCHLD);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGTERM);
    /* Not under nohup(1). The others are taken in any case: shells ignore them for what runs in the
     * background. */
    struct sigaction hangup;
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaddset(&caught, SIGHUP);
    sigprocmask(SIG_BLOCK, &caught, out_mask);
    /* Whoever started this may have ignored them, and children would inherit that. */
    const struct sigaction normal = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &normal, NULL);
    sigaction(SIGINT, &normal, NULL);
    sigaction(SIGTERM, &normal, NULL);
    /* A terminal or pipe that is gone must not keep the run from tidying up. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    const int fd = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        program_fail("no descriptor for signals: %m");
    return fd;
}
