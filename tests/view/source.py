"""shmframe-view and sources that are unlike others: rates, stamps and formats out of the common, and
pictures of which each is to be accounted for."""

import json
import os
import signal
import subprocess
import unittest

from display import PATTERN, VIEW, Display, wait_for


class Source(Display):
    def run_view(self, *arguments):
        """The report of a view that ends by itself."""
        done = subprocess.run([VIEW, "--format", "json", *arguments], env=self.env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def finite(self, *options):
        self.start(PATTERN, "--size", "160x90", "--wait-readers", "1", *options)
        self.wait_listed("demo")

    def assert_accounted(self, report, count, again=0):
        """That nothing is missing from the numbers; returns how many were never taken. So many may
        have been taken again: a stream that is opened anew begins with its newest picture."""
        counters = report["streams"][0]["counters"]
        never = report["missed"] + counters["lost_late"] + counters["skipped"]
        self.assertLessEqual(abs(counters["delivered"] + never - count - again / 2), again / 2,
                             report)
        shown = report["shown"] + report["unshown"] + report["passed"]
        self.assertLessEqual(counters["delivered"] - shown, again, report)
        return never

    # ---- rates and stamps ----

    def test_a_delay_needs_no_rate_and_no_picture(self):
        twins = self.twins("rgb24", "2000000000")
        views = [self.start_view("left", *others, "--no-sound", "--picture-delay", "100ms")
                 for others in ([], ["nothing"])]
        self.wait_read("left")
        self.assertEqual(self.run_view("left", "nothing", "--picture-delay", "500ms", "--duration",
                                       "1", "--no-sound")["shown"], 0)
        self.do(twins, "ll")
        for view in views:
            self.aim(view)
        for view in views:
            self.assertEqual(self.end(view)["streams"][0]["sequence"], 2)

    def test_stamps_of_another_clock_do_not_hold_pictures_up(self):
        twins = self.twins()
        view = self.start_view("left", "--picture-delay", "50ms", "--size", "192x144")
        self.wait_read("left")
        self.do(twins, "f")
        self.aim(view)
        self.do(twins, "ff")
        self.wait_picture(lambda p: p.pixel(1, 1) == (0, 0, 60), "the third")
        self.end(view)
        self.assertEqual(self.errors().count("ahead of CLOCK_MONOTONIC"), 1)

    def test_a_format_that_changes_all_the_time_is_told_now_and_then(self):
        twins = self.twins()
        view = self.start_view("left", "--policy", "in-order", "--size", "192x144")
        self.wait_read("left")
        self.do(twins, "l")
        window = self.aim(view)
        self.do(twins, 4 * "nlnl")
        self.wait_title(window, "64x48 rgb24")
        self.wait_picture(lambda p: p.pixel(1, 1) == (0, 0, 180), "the last")
        self.end(view)
        self.assertIn(self.errors().count("a new format"), (1, 2))

    # ---- accounts ----

    def test_a_delay_that_is_asked_for_costs_no_picture(self):
        self.finite("--rate", "60", "--frames", "90", "--no-sound")
        report = self.run_view("--picture-delay", "500ms")
        self.assertEqual(self.assert_accounted(report, 90), 0)

    def test_a_writer_that_waits_loses_none_to_the_sound(self):
        self.finite("--rate", "30", "--frames", "60", "--unpaced")
        report = self.run_view("--policy", "lossless")
        self.assertEqual(self.assert_accounted(report, 60), 0)

    def test_what_comes_while_the_stream_is_opened_anew_is_counted(self):
        self.finite("--rate", "2000", "--frames", "5000", "--no-sound")
        view = self.start_view()
        self.aim(view)
        self.key("braceright")
        self.wait_policy("demo", "in-order")
        self.key("braceleft")
        self.wait_policy("demo", "latest")
        report = json.loads(view.communicate(timeout=20)[0])
        self.assert_accounted(report, 5000, again=2)

    # ---- a supervisor that does not answer ----

    def test_missing_streams_cost_no_picture_while_the_supervisor_is_silent(self):
        self.pattern("demo")
        view = self.start_view("demo", "a", "b", "c", "d", "--policy", "in-order", "--depth", "4",
                               "--leases", "2", "--no-sound", "--size", "320x180", "--frames", "90")
        self.aim(view)
        self.processes[0].send_signal(signal.SIGSTOP)
        try:
            report = json.loads(view.communicate(timeout=30)[0])
        finally:
            self.processes[0].send_signal(signal.SIGCONT)
        # With a look of 200 ms for each of them it would be most.
        self.assertLess(report["streams"][0]["counters"]["lost_late"], 20)

    # ---- difference ----

    def test_a_difference_counts_pairs_and_says_what_cannot_be_compared(self):
        twins = self.twins()
        view = self.start_view("left", "right", "--layout", "difference", "--size", "192x144")
        self.wait_read("left", "right")
        self.do(twins, "lrlr")
        window = self.aim(view)
        self.wait_title(window, "matched 2")
        self.do(twins, "tlr")
        self.wait_title(window, "to be turned by 90 degrees, the other by 0")
        report = self.end(view)
        self.assertEqual((report["shown"], report["converted"]), (3, 4))
        self.assertIn("turned", report["difference"]["trouble"])

    def test_a_pixel_format_that_cannot_be_compared_ends_nothing(self):
        twins = self.twins("rgb4")
        view = self.start_view("left", "right", "--layout", "difference")
        self.wait_read("left", "right")
        self.do(twins, "lr")
        window = self.aim(view)
        self.wait_title(window, "pixel format rgb4 cannot be compared")
        self.do(twins, "lr")
        wait_for(lambda: "no difference: stream left: pixel format rgb4" in self.errors(), "a line")
        self.assertEqual(self.end(view)["converted"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
