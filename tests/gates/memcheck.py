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
# What is only possibly lost are glibc's blocks of a thread that is still there at the end.
VALGRIND = ["valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
            "--show-leak-kinds=definite,indirect", f"--error-exitcode={FOUND}"]
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """One under valgrind, and the lines of one of its outputs."""

    def __init__(self, environment, *command, output="stderr"):
        pipes = {"stdout": None, "stderr": None, output: subprocess.PIPE}
        self.process = subprocess.Popen(VALGRIND + list(command), env=environment, stdin=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_parent, **pipes)
        self.lines = []
        self.has_more = threading.Condition()
        self.reading = threading.Thread(target=self.read, args=(getattr(self.process, output),))
        self.reading.start()

    def read(self, pipe):
        for line in pipe:
            with self.has_more:
                self.lines.append(line.rstrip())
                self.has_more.notify_all()
        pipe.close()

    def count(self, word):
        return sum(word in line for line in self.lines)

    def expect(self, word, times=1):
        with self.has_more:
            is_there = self.has_more.wait_for(lambda: self.count(word) >= times, PATIENCE_S)
        assert is_there, f"{self.process.args[-1]}: no {word!r} among\n" + "\n".join(self.lines)

    def end(self):
        """Its exit status."""
        status = self.process.wait(PATIENCE_S)
        self.reading.join()
        return status

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

    def start(self, *command, output="stderr", preload=""):
        program = Program(dict(self.environment, LD_PRELOAD=preload), *command, output=output)
        self.addCleanup(program.destroy)
        return program

    def start_supervisor(self):
        supervisor = self.start(SHMFRAMED)
        supervisor.expect("event=listening")
        return supervisor

    def stop_supervisor(self, supervisor):
        supervisor.process.terminate()
        self.assertEqual(supervisor.end(), 0, "\n".join(supervisor.lines))

    def test_everything_is_set_and_given_back_through_a_restart(self):
        first = self.start_supervisor()
        reader = self.start(FRAMES, "read", output="stdout", preload=WAITV)
        writer = self.start(FRAMES, "write", preload=WAITV)
        reader.expect("lost=0", 10)
        self.stop_supervisor(first)
        second = self.start_supervisor()
        second.expect("event=stream-resumed")
        second.expect("event=reader-opened")
        reader.expect("lost=0", len(reader.lines) + 10)
        writer.process.stdin.close()
        self.assertEqual(writer.end(), 0, "\n".join(writer.lines))
        self.assertEqual(reader.end(), 0, "\n".join(reader.lines))
        self.assertEqual(reader.count("lost=0"), len(reader.lines))
        self.stop_supervisor(second)


if __name__ == "__main__":
    if not shutil.which("valgrind"):
        print("valgrind is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
