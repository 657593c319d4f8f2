"""tests/family.py: nothing outlives a test, whoever of them is killed, and its end is the test's."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

FAMILY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "family.py")
sys.path.append(os.path.dirname(FAMILY))

from kin import find_kin, is_running

# A supervisor with two nodes, one of them in a session of its own, as a test would have it.
TEST = """
trap '' TERM
cat >"$FAMILY_OF_TEST/nodes" <<END
[consumer a]
command = exec sleep 1000
[consumer b]
command = setsid -w sleep 1000
END
"$SHMFRAMED" --quiet --socket "$FAMILY_OF_TEST/socket" --config "$FAMILY_OF_TEST/nodes" &
echo $$ >"$FAMILY_OF_TEST/pid.new"
mv "$FAMILY_OF_TEST/pid.new" "$FAMILY_OF_TEST/pid"
wait
"""


class Family(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/tmp", prefix="f.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.env = dict(os.environ, FAMILY_OF_TEST=self.folder)

    def call(self, script):
        return subprocess.run([sys.executable, "-IS", FAMILY, "sh", "-c", script], env=self.env,
                              stdout=subprocess.PIPE, text=True, timeout=60, check=False)

    def kin(self):
        return find_kin("FAMILY_OF_TEST", self.folder)

    def await_true(self, is_so, what):
        end = time.monotonic() + 30
        while not is_so():
            self.assertLess(time.monotonic(), end, f"waited in vain for {what}")
            time.sleep(0.02)

    def sleepers(self):
        found = 0
        for pid in self.kin():
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                    found += file.read() == "sleep\n"
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def start(self):
        """A test whose nodes run; it and its pid."""
        stands_for_it = subprocess.Popen([sys.executable, "-IS", FAMILY, "sh", "-c", TEST],
                                         env=self.env, start_new_session=True)
        self.addCleanup(stands_for_it.wait)
        self.addCleanup(stands_for_it.kill)
        self.await_true(lambda: self.sleepers() == 2, "its nodes")
        with open(os.path.join(self.folder, "pid"), encoding="ascii") as file:
            return stands_for_it, int(file.read())

    def assert_nothing_is_left(self):
        self.await_true(lambda: not self.kin(), "the end of all")

    def test_the_end_is_the_tests(self):
        self.assertEqual(self.call("exit 3").returncode, 3)
        self.assertEqual(self.call("kill -ABRT $$").returncode, -signal.SIGABRT)
        self.assertEqual(self.call("kill -TERM $$").returncode, -signal.SIGTERM)

    def test_it_is_in_the_group_that_meson_kills_and_heeds_what_it_would(self):
        done = self.call('cut -d" " -f5 /proc/self/stat; grep -E "SigIgn|SigBlk" /proc/self/status')
        group, *masks = done.stdout.splitlines()
        with open("/proc/self/status", encoding="ascii") as file:
            ignored = [line.strip() for line in file if line.startswith("SigIgn")][0]
        self.assertEqual(int(group), os.getpgrp())
        self.assertEqual(masks[0].split()[1], "0" * 16)
        # All but what Python ignores by itself, which subprocess has put back.
        python = (1 << signal.SIGPIPE - 1) | (1 << signal.SIGXFSZ - 1)
        self.assertEqual(int(masks[1].split()[1], 16), int(ignored.split()[1], 16) & ~python)

    def test_what_it_left_ends_with_it(self):
        done = self.call("setsid sleep 1000 >/dev/null & sleep 1000 >/dev/null & exit 0")
        self.assertEqual((done.returncode, self.kin()), (0, []))

    def test_nothing_is_left_of_a_test_that_is_killed(self):
        stands_for_it, test = self.start()
        os.kill(test, signal.SIGKILL)
        self.assertEqual(stands_for_it.wait(30), -signal.SIGKILL)
        self.assertEqual(self.kin(), [])

    def test_nothing_is_left_when_time_is_up(self):
        # As meson does it: the group is asked, then killed.
        stands_for_it, test = self.start()
        os.killpg(stands_for_it.pid, signal.SIGTERM)
        self.assertTrue(is_running(test))  # it does not heed that
        os.killpg(stands_for_it.pid, signal.SIGKILL)
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
