"""Runs a test, so that nothing it starts outlives it, whoever of them is killed.

usage: family.py COMMAND [ARGUMENT...]      Exit: as COMMAND.

meson runs each test by this (tests/meson.build). This process stands for the test, and its child is
the keeper: what loses its parent below becomes the keeper's, who kills all that is left once the
test has ended, or whoever stands for it. It has a process group of its own: who kills the test's,
as meson does when time is up, does not kill the keeper.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
prctl = ctypes.CDLL(None).prctl


class Over(Exception):
    """Nobody stands for the test any more."""


def be_over(*_):
    raise Over


def run(command, group):
    """The test itself, as if nobody stood between."""
    try:
        os.setpgid(0, group)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(127)


def await_end(test, parent):
    """How the test ended."""
    signal.signal(signal.SIGTERM, be_over)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise Over
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == test:
            return status


def end_all():
    """Who is killed leaves his children to us."""
    while True:
        with open("/proc/thread-self/children", encoding="ascii") as file:
            for child in file.read().split():
                os.kill(int(child), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def end_as(status):
    """As what ended with `status`, of waitpid(2)."""
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def keep(command, parent, group):
    os.setpgid(0, 0)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    test = os.fork()
    if test == 0:
        run(command, group)
    try:
        status = await_end(test, parent)
    except Over:
        status = signal.SIGKILL
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_all()
    end_as(status)


def main(command):
    me, group = os.getpid(), os.getpgrp()
    keeper = os.fork()
    if keeper == 0:
        keep(command, me, group)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the test hears of it itself
    end_as(os.waitpid(keeper, 0)[1])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__.split("\n\n")[1])
    main(sys.argv[1:])
