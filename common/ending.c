#include "ending.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127, STATUS_SIGNAL = 128 };

/* What is to be done about a death by this signal. */
static const char *find_remedy(int signal_number) {
    switch (signal_number) {
    case SIGPIPE:
        return "nobody read its output any more; let the reader of that output outlive it, or send "
               "the output to a file";
    case SIGKILL:
        return "by somebody else, or for want of memory: see dmesg";
    case SIGXCPU:
    case SIGXFSZ:
        return "it reached a limit: see ulimit -a";
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGSEGV:
    case SIGSYS:
    case SIGTRAP:
        return "that is a mistake in it: run it in a debugger";
    default:
        return "it was sent by somebody else; run again";
    }
}

void ending_describe(const siginfo_t *end, char text[ENDING_BYTES]) {
    const int status = end->si_status;
    const int shell_signal = status - STATUS_SIGNAL;
    if (end->si_code != CLD_EXITED)
        snprintf(text, ENDING_BYTES, "was killed by signal %d (%s): %s", status, strsignal(status),
                 find_remedy(status));
    else if (status == 0)
        snprintf(text, ENDING_BYTES, "ended too early: somebody stopped it; run again");
    else if (status == STATUS_NOT_FOUND)
        snprintf(text, ENDING_BYTES,
                 "was not found (status 127); check its name, or put its folder into PATH");
    else if (status == STATUS_NOT_EXECUTABLE)
        snprintf(text, ENDING_BYTES,
                 "cannot be executed (status 126); check that it is a program, and its "
                 "permissions");
    else if (shell_signal > 0 && shell_signal <= SIGRTMAX)
        snprintf(text, ENDING_BYTES, "failed with status %d, a shell's word for signal %d (%s): %s",
                 status, shell_signal, strsignal(shell_signal), find_remedy(shell_signal));
    else
        snprintf(text, ENDING_BYTES,
                 "failed with status %d; what it wrote itself, or its documentation, tells why",
                 status);
}
