"""shmframe stats: once and in intervals, in words, JSON and OpenMetrics."""

import json
import os
import shutil
import signal
import subprocess
import unittest

from supervised import Supervised


class Stats(Supervised):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start("shmframe-pattern", "--stream", "cam", "--size", "64x48", "--rate", "60")
        cls.reader = cls.start("shmframe-latency", "cam", "--interval", "0", "--policy", "in-order",
                               "--depth", "2")
        cls.await_true(lambda: any(r["counters"]["delivered"] > 10 for r in cls.readers("cam")))

    def reader_of(self, stats):
        cam, = [s for s in stats["streams"] if s["stream"]["name"] == "cam"]
        return cam["readers"][0]

    def test_once_it_is_of_all_time(self):
        stats = self.json("stats")
        self.assertEqual((stats["span_ns"], stats["nodes"]), (0, []))
        self.assertEqual([s["stream"]["name"] for s in stats["streams"]], ["cam", "cam.sound"])
        reader = self.reader_of(stats)
        self.assertGreater(reader["counters"]["delivered"], 10)
        self.assertNotIn("span", reader)

    def test_an_interval_is_what_came_in_it(self):
        """What the spans count adds up to what the reader counted in all meanwhile."""
        before = self.reader_of(self.json("stats"))["counters"]["delivered"]
        lines = self.json_lines("stats", "cam", "--interval", "200ms", "--count", "4")
        self.assertEqual(len(lines), 4)
        totals = [self.reader_of(line)["counters"]["delivered"] for line in lines]
        spans = [self.reader_of(line)["span"]["counters"]["delivered"] for line in lines]
        for i in range(1, 4):
            self.assertEqual(totals[i] - totals[i - 1], spans[i])
            self.assertEqual(self.reader_of(lines[i])["span"]["hops"]["age"]["count"], spans[i])
            self.assertGreater(lines[i]["span_ns"], 0)
        self.assertLessEqual(spans[0], totals[0] - before)

    def test_a_loss_shows_in_the_interval_that_it_was_met_in(self):
        stats = self.start("shmframe", "stats", "--interval", "100ms", "--format", "json",
                           stdout=subprocess.PIPE)
        first = self.reader_of(json.loads(stats.stdout.readline()))
        os.kill(self.reader.pid, signal.SIGSTOP)
        try:
            head = self.stream("cam")["head"]
            self.await_true(lambda: self.stream("cam")["head"] > head + 10)
        finally:
            os.kill(self.reader.pid, signal.SIGCONT)
        lost = 0
        while lost == 0:
            line = self.reader_of(json.loads(stats.stdout.readline()))
            lost += line["span"]["counters"]["lost_late"]
            self.assertEqual(line["lost"] - first["lost"], lost)
        stats.send_signal(signal.SIGINT)
        self.assertEqual(stats.wait(30), 0)

    def test_the_table_has_a_line_for_each_stream_and_reader(self):
        lines = self.call("stats").stdout.splitlines()
        self.assertEqual(lines[0].split()[:6], ["STREAM", "WHO", "RATE", "FRAMES", "LOST", "CPU"])
        self.assertEqual([line[:10].split()[0] for line in lines[1:]], ["cam", "reader", "cam.sound"])
        self.assertRegex(lines[2], r"^  reader \d+ +shmframe-latency +[\d.]+ +\d+ +\d+ +[\d.]+ s")
        self.assertEqual(len(self.call("stats", "cam.sound").stdout.splitlines()), 2)

    @unittest.skipUnless(shutil.which("promtool"), "promtool (package prometheus) is not installed")
    def test_openmetrics_is_what_the_endpoint_serves(self):
        text = self.call("stats", "cam", "--format", "openmetrics").stdout
        self.assertTrue(text.endswith("# EOF\n"))
        self.assertIn('shmframe_stream_live{stream="cam"} 1\n', text)
        self.assertNotIn('stream="cam.sound"', text)

    def test_it_goes_on_at_the_next_supervisor(self):
        stats = self.start("shmframe", "stats", "--interval", "100ms", "--format", "json",
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        before = self.reader_of(json.loads(stats.stdout.readline()))
        self.supervisor.kill()
        self.supervisor.wait(30)
        self.start_supervisor()
        self.await_true(lambda: self.readers("cam"))
        delivered, spans = before["counters"]["delivered"], 0
        end = self.readers("cam")[0]["counters"]["delivered"] + 10
        while delivered < end:
            cam = [s for s in json.loads(stats.stdout.readline())["streams"]
                   if s["stream"]["name"] == "cam" and s["readers"]]
            if not cam:
                continue  # not back yet
            reader = cam[0]["readers"][0]
            self.assertGreaterEqual(reader["counters"]["delivered"], delivered)
            delivered = reader["counters"]["delivered"]
            spans += reader["span"]["counters"]["delivered"]
        self.assertGreater(spans, 0)
        stats.terminate()
        self.assertEqual(stats.wait(30), 0)

    def test_mistakes_are_told_in_one_line(self):
        for status, arguments in ((2, ["--format", "xml"]), (2, ["--count", "3"]), (1, ["nowhere"]),
                                  (2, ["--interval", "0"])):
            done = self.call("stats", *arguments)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (status, "", 1))


if __name__ == "__main__":
    unittest.main()
