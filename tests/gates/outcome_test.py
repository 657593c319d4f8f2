"""tests/outcome.py: a failed test runs again where time was stolen, and nowhere else."""

import os
import subprocess
import sys
import tempfile
import time
import unittest

OUTCOME = sys.argv.pop(1)

# Ends with 0 from the second time on, with --never it does not.
SCRIPT = """#!/bin/sh
echo "it failed"
[ "$1" != --never ] || exit 1
[ -e "$0.was-here" ] || { touch "$0.was-here"; exit 1; }
"""
PROJECT = """project('tried')
test('once', find_program('script'){arguments}, suite: 'some')
test('other', find_program('true'))
"""


class Outcome(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="shmframe-outcome.")
        self.addCleanup(folder.cleanup)
        self.build, self.folder = os.path.join(folder.name, "build"), folder.name
        self.notes = os.path.join(folder.name, "notes")

    def run_tests(self, stolen_s, arguments=""):
        """The status and the words of tell, of a run in which so many seconds of 100 were taken."""
        script = os.path.join(self.folder, "script")
        with open(script, "w", encoding="ascii") as file:
            file.write(SCRIPT)
        os.chmod(script, 0o755)
        with open(os.path.join(self.folder, "meson.build"), "w", encoding="ascii") as file:
            file.write(PROJECT.format(arguments=arguments))
        subprocess.run(["meson", "setup", self.build, self.folder], stdout=subprocess.DEVNULL, check=True)
        begin_s = time.time()
        subprocess.run(["meson", "test", "-C", self.build], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
        with open(self.notes, "w", encoding="ascii") as file:
            print(begin_s - 1, 7.0, file=file)
            print(begin_s + 99, 7.0 + stolen_s, file=file)
            print("17", end="", file=file)  # as it was ended
        told = subprocess.run([OUTCOME, "tell", self.build, self.notes], text=True,
                              stdout=subprocess.PIPE, check=False)
        return told.returncode, told.stdout

    def test_what_was_spoiled_runs_again(self):
        status, told = self.run_tests(stolen_s=3)
        self.assertEqual(status, 0, told)
        self.assertIn("once failed while 3 % of the processors' time", told)
        self.assertEqual(told.splitlines()[-1], "2 passed, 0 failed")

    def test_what_failed_by_itself_does_not(self):
        status, told = self.run_tests(stolen_s=1)
        self.assertEqual(status, 1, told)
        self.assertIn("    it failed", told)
        self.assertEqual(told.splitlines()[-1], "1 passed, 1 failed")

    def test_what_fails_again_has_failed(self):
        status, told = self.run_tests(3, ", args: '--never'")
        self.assertEqual(status, 1, told)
        self.assertEqual(told.count("    it failed"), 2, told)
        self.assertEqual(told.splitlines()[-1], "1 passed, 1 failed")

    def test_a_run_without_tests_has_not_passed(self):
        os.makedirs(self.build)
        with open(self.notes, "w", encoding="ascii"):
            pass
        self.assertEqual(subprocess.run([OUTCOME, "tell", self.build, self.notes], text=True,
                                        stdout=subprocess.PIPE, check=False).returncode, 1)

    def test_it_watches_as_long_as_it_is_wanted(self):
        with subprocess.Popen([OUTCOME, "watch", self.notes]) as watch:
            try:
                deadline_s = time.monotonic() + 30
                while not os.path.exists(self.notes) or os.path.getsize(self.notes) < 10:
                    self.assertLess(time.monotonic(), deadline_s)
                    time.sleep(0.01)
            finally:
                watch.kill()
        with open(self.notes, encoding="ascii") as file:
            at_s, stolen_s = map(float, file.readline().split())
        self.assertAlmostEqual(at_s, time.time(), delta=40)
        self.assertGreaterEqual(stolen_s, 0)


if __name__ == "__main__":
    unittest.main()
