"""The supervisor, a writer and a reader under valgrind, through a restart of the supervisor: no byte is
used that was not set or not theirs, and each gives back what it took."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

SHMFRAMED = os.environ["SHMFRAMED"]
FRAMES = os.environ["FRAMES"]
WAITV = os.environ["WAITV"]
PATIENCE_S = 150
FOUND = 99
TOLD = 30  # lines of a program, where it fails
# What is only possibly lost are glibc's blocks of a thread that is still there at the end.
VALGRIND = ["valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
            "--show-leak-kinds=definite,indirect", f"--error-exitcode={FOUND}"]
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """One under valgrind, and the lines of both of its outputs."""

    def __init__(self, environment, *command):
        self.process = subprocess.Popen(VALGRIND + list(command), env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        preexec_fn=die_with_parent)
        self.lines = []
        self.is_over = False
        self.has_more = threading.Condition()
        self.reading = threading.Thread(target=self.read)
        self.reading.start()

    def read(self):
        for line in self.process.stdout:
            with self.has_more:
                self.lines.append(line.rstrip())
                self.has_more.notify_all()
        self.process.stdout.close()
        with self.has_more:
            self.is_over = True
            self.has_more.notify_all()

    def count(self, word):
        return sum(word in line for line in self.lines)

    def wait_for(self, word, times):
        """Whether `word` is in so many lines, at the latest when it ends."""
        with self.has_more:
            self.has_more.wait_for(lambda: self.is_over or self.count(word) >= times, PATIENCE_S)
            return self.count(word) >= times

    def end(self):
        """Its exit status; None: it runs on."""
        with self.has_more:
            self.has_more.wait_for(lambda: self.is_over, PATIENCE_S)
        return self.process.wait() if self.is_over else None

    def describe(self):
        status = self.process.poll()
        state = "runs" if status is None else f"ended with {status}"
        lines = [line for line in self.lines if not line.endswith(" lost=0")]
        omitted = [f"... {len(lines) - TOLD} more lines"] if len(lines) > TOLD else []
        return "\n  ".join([f"{' '.join(self.process.args[len(VALGRIND):])} {state}, "
                            f"{self.count(' lost=0')} frames:", *omitted, *lines[-TOLD:]])

    def destroy(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reading.join()
        self.process.stdin.close()


class Memcheck(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="memcheck-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.environment = dict(os.environ, SHMFRAME_SOCKET=os.path.join(self.folder, "socket"))
        self.programs = []

    def start(self, *command, preload=""):
        program = Program(dict(self.environment, LD_PRELOAD=preload), *command)
        self.programs.append(program)
        self.addCleanup(program.destroy)
        return program

    def describe(self, what):
        return "\n".join([what, *(program.describe() for program in self.programs)])

    def expect(self, program, word, times=1):
        if not program.wait_for(word, times):
            self.fail(self.describe(f"{times} times {word!r} is not there"))

    def expect_end(self, program):
        status = program.end()
        if status != 0:
            self.fail(self.describe(f"{program.process.args[-1]} ends with {status}"))

    def start_supervisor(self):
        supervisor = self.start(SHMFRAMED)
        self.expect(supervisor, "event=listening")
        return supervisor

    def stop_supervisor(self, supervisor):
        supervisor.process.terminate()
        self.expect_end(supervisor)

    def test_everything_is_set_and_given_back_through_a_restart(self):
        first = self.start_supervisor()
        reader = self.start(FRAMES, "read", preload=WAITV)
        writer = self.start(FRAMES, "write", preload=WAITV)
        self.expect(reader, "lost=0", 10)
        # The writer is back first, and tells of a link whose holder has not come yet.
        reader.process.send_signal(signal.SIGSTOP)
        self.stop_supervisor(first)
        second = self.start_supervisor()
        self.expect(second, 'client="write"', 2)
        reader.process.send_signal(signal.SIGCONT)
        self.expect(second, "event=stream-resumed")
        self.expect(second, "event=reader-opened")
        self.expect(reader, "lost=0", reader.count("lost=0") + 10)
        writer.process.stdin.close()
        self.expect_end(writer)
        self.expect_end(reader)
        self.assertEqual(reader.count(" lost=0"), len(reader.lines), self.describe("frames were lost"))
        self.stop_supervisor(second)


if __name__ == "__main__":
    if not shutil.which("valgrind"):
        print("valgrind is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
