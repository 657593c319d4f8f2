"""demos/measure-player with the players of the tests. LONG: more of them, inputs, and sound."""

import os
import shutil
import signal
import subprocess
import time
import unittest

from demo import DEMOS, IS_LONG, Demo

NAME = "measure-player"
# Small, so that other tests have room beside it.
SMALL = ("--size", "320x180", "--rate", "20", "--capture-rate", "40", "--settle", "1")


def wait_for(condition, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("waited in vain")


class MeasurePlayer(Demo):
    @unittest.skipUnless(shutil.which("ffplay"), "ffplay is not there")
    def test_ffplay_has_figures(self):
        figures = self.figures(NAME, *SMALL, "--seconds", "3", "--settle", "0", "--no-sound", "--", "ffplay", "-autoexit")
        self.assertEqual((figures["input"], figures["is_live"], figures["sound"]), ("fifo", True, None))
        self.assert_is_sane(figures["picture"])
        self.assertGreaterEqual(figures["source"]["frames"], figures["picture"]["marks"]["frames"])
        self.assertEqual(figures["scale"], 1)

    @unittest.skipUnless(IS_LONG and shutil.which("ffplay"), "in the long run")
    def test_ffplay_has_a_table_with_sound(self):
        done = self.call(NAME, *SMALL, "--seconds", "5", "--", "ffplay", "-autoexit")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"picture: input to pixel +\d+( +\d+\.\d){4}\n")
        self.assertRegex(done.stdout, r"\n  skew: picture - sound ")
        self.assertIn("How to read it.", done.stdout)

    @unittest.skipUnless(IS_LONG and shutil.which("mpv"), "in the long run")
    def test_mpv_has_figures_with_each_input(self):
        for kind in ("fifo", "udp", "srt", "http", "file"):
            with self.subTest(input=kind):
                figures = self.figures(NAME, *SMALL, "--seconds", "5", "--input", kind, "--", "mpv",
                                       "--profile=low-latency", "--vo=x11")
                self.assertEqual((figures["input"], figures["is_live"]), (kind, kind != "file"))
                self.assertGreater(figures["picture"]["marks"]["frames"], 1)

    @unittest.skipUnless(IS_LONG, "in the long run")
    def test_a_delay_before_the_player_is_in_its_figures(self):
        """A player that keeps no frames back: what is put before it comes out again, in the median of some starts."""
        player = "shmframe-pipe-in --stream fed {} & exec shmframe-view fed --wait 20"
        medians = []
        for delay in ("0", "200"):
            found = self.figures(NAME, *SMALL, "--no-sound", "--seconds", "3", "--runs", "3", "--delay", delay,
                                 "--report", "report", "--", "sh", "-c", player)
            seen = [one["picture"]["hops"]["seen"]["p50_ns"] for one in found["runs"]]
            self.assertEqual(found["median"]["seen p50"], sorted(seen)[1])
            medians.append(found["median"]["seen p50"])
            self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "report"))), ["1", "2", "3"])
        # A pipe may keep one frame more or less at each start: 50 ms.
        self.assertAlmostEqual(medians[1] - medians[0], 200_000_000, delta=75_000_000)

    def test_a_command_that_is_not_there_is_named(self):
        done = self.call(NAME, "--", "no-such-player")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, "demos/measure-player: no-such-player: there is no such command; is it "
                                      "installed?\n")

    def test_without_a_command_it_is_told_how(self):
        done = self.call(NAME)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("COMMAND", done.stderr)
        for number in ("0", "1.5", "many"):
            done = self.call(NAME, "--runs", number, "--", "true")
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(f'--runs: "{number}" should be a whole number from 1 to 100', done.stderr)

    def test_a_player_that_ends_is_told_with_what_it_said(self):
        done = self.call(NAME, *SMALL, "--no-sound", "--", "sh", "-c", "echo no codec for {}; exit 7")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"demos/measure-player: sh ended with status 7; it said:\n    no codec for /")

    def test_a_player_that_shows_nothing_is_told(self):
        done = self.call(NAME, *SMALL, "--no-sound", "--wait", "1", "--", "sh", "-c",
                         "echo thinking; cat {} > /dev/null")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"it showed nothing with a mark in 1 s.*\n    thinking\n")

    def test_what_a_player_left_behind_and_hangs_ends_at_an_interrupt(self):
        hanging = "trap '' TERM INT; setsid sleep 1000 & echo here > hangs; while :; do sleep 1000; done; :"
        run = subprocess.Popen([os.path.join(DEMOS, NAME), *SMALL, "--no-sound", "--", "sh", "-c", hanging],
                               env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(run.kill)
        wait_for(lambda: os.path.exists(os.path.join(self.folder, "hangs")))
        self.assertGreater(len(self.family()), 4)
        run.send_signal(signal.SIGINT)
        self.assertEqual(run.wait(40), 130)
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main(verbosity=2)
