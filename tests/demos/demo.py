"""What the tests of the measuring demos share: running one, and seeing that nothing is left."""

import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from kin import find_kin

DEMOS = os.environ["DEMOS"]
IS_LONG = "LONG" in os.environ


class Demo(unittest.TestCase):
    """Each test has a folder of its own, and a word in the environment of all that it starts."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.env = dict(os.environ, DEMO_OF_TEST=self.folder, TMPDIR=self.folder)
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"):
            self.env.pop(name, None)

    def call(self, name, *arguments, timeout=120, **options):
        done = subprocess.run([os.path.join(DEMOS, name), *arguments], env=self.env, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout,
                              cwd=self.folder, check=False, **options)
        self.assert_nothing_is_left()
        return done

    def family(self):
        return find_kin("DEMO_OF_TEST", self.folder)

    def assert_nothing_is_left(self):
        self.assertEqual(self.family(), [])
        self.assertEqual(glob.glob(os.path.join(self.folder, "shmframe-*")), [])

    def figures(self, name, *arguments, **options):
        done = self.call(name, "--format", "json", *arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_is_sane(self, picture):
        """What holds on any machine, however busy."""
        marks = picture["marks"]
        self.assertEqual((marks["clock"], marks["others"], marks["restarts"]), ("own", 0, 0))
        self.assertEqual(marks["out_of_order"], 0)
        self.assertGreater(marks["frames"], 1)
        seen = picture["hops"]["seen"]
        self.assertEqual(seen["count"], marks["frames"])
        self.assertTrue(0 < seen["p50_ns"] <= seen["p99_ns"] <= seen["max_ns"])
