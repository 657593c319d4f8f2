"""What each consumer ends with when it is stopped while its stream is not there: with 1 if it was to
make something, with 0 if it is there to be stopped."""

import os
import subprocess
import tempfile
import unittest

PROGRAMS = {name: os.environ[name] for name in
            ("ANALYZE", "DELAY", "ENCODE", "LATENCY", "PIPE", "SNAPSHOT", "VIEW")}
STOPPED = "it was stopped before all that it waited for was there: nothing is "


class Stopped(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/tmp", prefix="s.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        socket = os.path.join(self.folder, "socket")
        self.env = dict(os.environ, SHMFRAME_SOCKET=socket, SDL_VIDEODRIVER="dummy")
        told, ready = os.pipe()
        supervisor = subprocess.Popen([os.environ["SHMFRAMED"], "--quiet", "--socket", socket,
                                       "--ready-fd", str(ready)], pass_fds=[ready], env=self.env)
        self.addCleanup(supervisor.wait)
        self.addCleanup(supervisor.terminate)
        os.close(ready)
        with os.fdopen(told, "rb") as file:
            self.assertEqual(file.read(1), b"\n")

    def start(self, program, *arguments):
        process = subprocess.Popen([PROGRAMS[program], "nosuch", *arguments, "--wait", "100s"],
                                   env=self.env, cwd=self.folder, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def end(self, process):
        """Its status and its last line, once it has told that it waits and is asked to stop."""
        for line in process.stderr:
            if "waiting for stream nosuch" in line:
                break
        process.terminate()
        _, said = process.communicate(timeout=30)
        return process.returncode, (said.splitlines() or [""])[-1]

    def test_who_was_to_make_something_has_failed_and_says_so(self):
        wanted = {"recorded": self.start("ENCODE", "a.mkv"),
                  "written": self.start("PIPE"),
                  "taken": self.start("SNAPSHOT")}
        measuring = [self.start("ANALYZE"), self.start("ANALYZE", "--expect", "black_s<=1"),
                     self.start("LATENCY"), self.start("LATENCY", "--marks")]
        for done, process in [*wanted.items(), *(("measured", process) for process in measuring)]:
            status, line = self.end(process)
            with self.subTest(process.args):
                self.assertEqual((status, line.partition(": ")[2]), (1, STOPPED + done))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "a.mkv")))

    def test_who_is_there_to_be_stopped_has_not(self):
        for process in self.start("VIEW", "--no-sound"), self.start("DELAY", "out"):
            self.assertEqual(self.end(process)[0], 0, process.args)


if __name__ == "__main__":
    unittest.main()
