#include "x_server.h"

#include "program.h"
#include "supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char display_name[32], screen[32];
static pid_t xvfb, owner;

static void run_xvfb(void *argument) {
    char fd[16];
    snprintf(fd, sizeof(fd), "%d", *(const int *)argument);
    if (!freopen("/dev/null", "w", stderr))
        _exit(EXIT_FAILED);
    execlp("Xvfb", "Xvfb", "-displayfd", fd, "-screen", "0", screen, "-nolisten", "tcp", "-noreset",
           (char *)NULL);
    _exit(EXIT_FAILED);
}

/* Asked to, it takes its lock and its socket away. */
static void stop_xvfb(void) {
    if (owner != getpid())
        return;
    kill(xvfb, SIGTERM);
    waitpid(xvfb, NULL, 0);
}

const char *x_server_start(uint32_t width, uint32_t height) {
    int ends[2];
    snprintf(screen, sizeof(screen), "%ux%ux24", width, height);
    if (pipe(ends) < 0)
        program_fail("no pipe for an X server: %m");
    owner = getpid();
    xvfb = process_start(run_xvfb, &ends[1]);
    atexit(stop_xvfb);
    close(ends[1]);
    FILE *number = fdopen(ends[0], "r");
    int display;
    if (!number || fscanf(number, "%d", &display) != 1)
        program_fail("Xvfb does not start; install it, or name an X server with --display");
    fclose(number);
    snprintf(display_name, sizeof(display_name), ":%d", display);
    return display_name;
}
