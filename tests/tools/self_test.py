"""shmframe doctor --self-test, on the machine that it runs on: one delay, or all of them."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]
IS_LONG = os.environ["FORM"] == "long"
DELAYS_MS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]
# What a machine that others use may be told of.
LATE = ("by stamps it is off by p99", "by stamps shmframe-latency is off", "by marks it is off",
        "the filter held for", "no frame was read within")
MADE = {"lost": 40, "repeated": 41, "swapped": 40}


class SelfTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        os.chmod(self.folder, 0o700)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.folder)

    def start(self, *options):
        return subprocess.Popen([SHMFRAME, "doctor", "--self-test", *options], env=self.env,
                                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def test_readings_are_those_of_what_was_done(self):
        options = [] if IS_LONG else ["--delay", "20ms", "--duration", "500ms"]
        done = self.start("--format", "json", *options)
        out, said = done.communicate(timeout=150)
        self.assertEqual(said, "")
        report = json.loads(out)
        delays = report["delays"]
        self.assertEqual([delay["delay_ns"] for delay in delays],
                         [ms * 1_000_000 for ms in (DELAYS_MS if IS_LONG else [20])])
        for delay in delays:
            self.assertEqual(delay["frames"], delay["wanted"])
            self.assertGreaterEqual(delay["stamps_ns"], delay["delay_ns"])
            # What wakes late does so for both.
            self.assertLess(abs(delay["off_ns"]), 50_000, delay)
            self.assertGreater(delay["held_ns"], 0)
            self.assertLessEqual(delay["transit_min_ns"], delay["transit_p50_ns"])
            # How near is the machine's to say, and told: one that is busy adds to it, and takes
            # nothing away.
            for reading in ("stamps_ns", "marks_ns"):
                self.assertGreater(delay[reading] - delay["delay_ns"], -delay["period_ns"], delay)
            self.assertEqual(delay["is_right"], delay["why"] == "")
            self.assertTrue(delay["is_right"] or delay["why"].startswith(LATE), delay)
        faults = report["faults"]
        self.assertEqual([faults[by] for by in ("made", "by_stamps", "by_marks")], [MADE] * 3)
        self.assertTrue(faults["is_right"])
        self.assertEqual(report["is_right"], all(delay["is_right"] for delay in delays))
        self.assertEqual(done.returncode, 0 if report["is_right"] else 1)
        self.assertEqual(os.listdir(self.folder), [])

    @unittest.skipIf(IS_LONG, "the short form has it")
    def test_an_interrupted_one_leaves_nothing_behind(self):
        done = self.start("--delay", "500ms", "--duration", "60s")
        end = time.monotonic() + 30
        while not any(name.startswith("shmframe-run.") for name in os.listdir(self.folder)):
            self.assertIsNone(done.poll())
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        folder, = os.listdir(self.folder)
        socket = os.path.join(self.folder, folder, "socket")
        env = dict(self.env, SHMFRAME_SOCKET=socket)
        while "self-test.500000us" not in subprocess.run(
                [SHMFRAME, "ls"], env=env, text=True, capture_output=True, timeout=30,
                check=False).stdout:
            self.assertIsNone(done.poll())
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        done.send_signal(signal.SIGINT)
        _, said = done.communicate(timeout=60)
        self.assertEqual((done.returncode, said), (1, "shmframe doctor: the test was interrupted\n"))
        self.assertEqual(os.listdir(self.folder), [])

    @unittest.skipIf(IS_LONG, "the short form has it")
    def test_a_delay_without_a_self_test_is_a_usage_error(self):
        done = subprocess.run([SHMFRAME, "doctor", "--delay", "20ms"], text=True,
                              capture_output=True, timeout=30, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))


if __name__ == "__main__":
    unittest.main()
