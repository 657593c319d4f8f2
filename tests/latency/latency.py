"""shmframe-latency against a pattern: figures, budgets, and another reader's record."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]
EVICT = os.environ["EVICT"]
PATTERN = "shmframe-pattern --stream cam --size 64x48 --rate 60 --wait-readers 1"
HOPS = ["produce", "wake", "transit", "hold", "age", "display"]

# Waits for the reader of "cam", then becomes the program that watches it.
WATCH = """
import json, os, subprocess, time
numbers = []
while not numbers:
    time.sleep(0.05)
    done = subprocess.run(["shmframe", "ls", "cam", "--format", "json"], capture_output=True)
    readers = json.loads(done.stdout or '{"readers": []}')["readers"]
    numbers = [reader["number"] for reader in readers if reader["generation"]]
os.execvp("shmframe-latency", ["shmframe-latency", "cam", "--of", str(numbers[0]), "--frames",
                               "20", "--interval", "0", "--format", "json"])
"""


class Latency(unittest.TestCase):
    def call(self, *lines):
        return subprocess.run([SHMFRAME, "run", *lines], text=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False)

    def measure(self, options, pattern=PATTERN):
        """The exit code, the JSON objects, and what was said."""
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
            done = self.call(pattern, f"shmframe-latency cam --format json {options} > {file.name}")
            return done.returncode, [json.loads(line) for line in file], done.stderr

    def test_every_frame_is_measured_on_every_hop(self):
        code, objects, _ = self.measure("--frames 30 --policy in-order --depth 32 --interval 0")
        self.assertEqual(code, 0)
        total, = objects
        self.assertEqual((total["span"], total["stream"], total["ended_by"]),
                         ("total", "cam", "frames"))
        self.assertEqual(list(total["hops"]), HOPS)
        for name in ("produce", "transit", "hold", "age"):
            hop = total["hops"][name]
            self.assertEqual(hop["count"], 30, name)
            steps = [hop[key] for key in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]
            self.assertEqual(steps, sorted(steps), name)
            self.assertGreater(steps[0], 0, name)
        self.assertEqual(total["hops"]["display"]["count"], 0)
        counters = total["counters"]
        self.assertEqual((counters["delivered"], counters["lost_late"], counters["skipped"]),
                         (30, 0, 0))
        self.assertGreater(counters["sleeps"], 0)

    def test_intervals_add_up_to_the_total(self):
        _, objects, _ = self.measure("--duration 1 --interval 0.3s --policy in-order --depth 32")
        *intervals, total = objects
        self.assertIn(len(intervals), (1, 2, 3)) # each is late by what the machine makes it late
        self.assertTrue(all(o["span"] == "interval" for o in intervals))
        counted = sum(o["hops"]["age"]["count"] for o in intervals)
        self.assertGreater(intervals[0]["hops"]["age"]["count"], 0)
        self.assertLessEqual(counted, total["hops"]["age"]["count"])
        self.assertEqual(total["ended_by"], "duration")

    def test_it_ends_with_the_stream(self):
        code, objects, _ = self.measure("--policy lossless", PATTERN + " --unpaced --frames 30")
        self.assertEqual((code, objects[-1]["ended_by"]), (0, "end of stream"))
        self.assertEqual(objects[-1]["counters"]["delivered"], 30)

    def test_a_stream_that_stands_still_fails_at_the_deadline(self):
        code, objects, said = self.measure("--deadline 300ms --interval 0", "shmframe-pattern --stream cam "
                                           "--size 64x48 --rate 1/5 --duration 20")
        self.assertEqual((code, objects[0]["ended_by"]), (1, "deadline"))
        self.assertIn("cam: no frame for 0.3 s", said)

    def test_a_met_budget_leaves_the_exit_code_alone(self):
        code, objects, err = self.measure("--frames 10 --budget age=20s@p99 --budget hold=20s@max")
        self.assertEqual(code, 0, err)
        self.assertEqual([b["is_met"] for b in objects[-1]["budgets"]], [True, True])

    def test_an_exceeded_budget_is_said_and_fails(self):
        code, objects, err = self.measure("--frames 10 --budget age=20s@p99 --budget age=1ns@p50")
        self.assertEqual(code, 1)
        self.assertIn("shmframe-latency: budget age=1ns@p50 exceeded: age is ", err)
        said = [line for line in err.splitlines() if line.startswith("shmframe-latency: ")]
        self.assertEqual(len(said), 1, err)
        self.assertEqual([b["is_met"] for b in objects[-1]["budgets"]], [True, False])

    def test_the_table_is_printed_at_the_end(self):
        done = self.call(PATTERN, "shmframe-latency cam --frames 20 --interval 0")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        title = lines.index(next(line for line in lines if line.startswith("hop ")))
        self.assertEqual(lines[title].split(),
                         ["hop", "count", "p50", "p90", "p99", "p99.9", "max"])
        self.assertEqual([line.split()[0] for line in lines[title + 1:title + 6]], HOPS[:5])
        self.assertTrue(lines[title + 6].startswith("delivered 20, lost 0 (late 0, restart 0), "))

    def test_it_ends_when_nobody_reads_its_tables(self):
        tables = "shmframe-latency cam --interval 0.1 --duration 300"
        done = self.call(PATTERN, "bash -c 'set -o pipefail; " + tables + " | head -n 1'")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cam, second 0.0 to 0.1\n", done.stdout)
        self.assertIn("shmframe-latency: the report cannot be written to standard output: "
                      "Broken pipe\n", done.stderr)

    def test_ctrl_c_prints_the_total(self):
        with tempfile.TemporaryDirectory() as folder:
            out, pid = os.path.join(folder, "out"), os.path.join(folder, "pid")
            run = subprocess.Popen(
                [SHMFRAME, "run", PATTERN, f"sh -c 'echo $$ > {pid}; exec shmframe-latency cam "
                 f"--format json --interval 100ms > {out}'"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            while not (os.path.exists(out) and os.path.getsize(out)):
                self.assertIsNone(run.poll())
                time.sleep(0.01)
            with open(pid, encoding="utf-8") as file:
                # To it alone: a pattern that gets it as well may end the stream first.
                os.kill(int(file.read()), signal.SIGINT)
            self.assertEqual(run.wait(20), 0)
            with open(out, encoding="utf-8") as file:
                total = json.loads(file.readlines()[-1])
            self.assertEqual((total["span"], total["ended_by"]), ("total", "signal"))

    def test_touching_takes_longer_to_hold(self):
        pattern = PATTERN.replace("64x48", "1920x1080").replace("60", "30")
        _, bare, _ = self.measure("--frames 20 --interval 0", pattern)
        _, touched, _ = self.measure("--frames 20 --interval 0 --touch", pattern)
        self.assertGreater(touched[0]["hops"]["hold"]["p50_ns"],
                           5 * bare[0]["hops"]["hold"]["p50_ns"])

    def test_spinning_does_not_sleep(self):
        _, objects, _ = self.measure("--frames 20 --spin 20 --interval 0")
        self.assertEqual(objects[0]["counters"]["sleeps"], 0)
        self.assertEqual(objects[0]["hops"]["wake"]["count"], 0)

    def test_another_reader_can_be_watched(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            script = os.path.join(folder, "watch.py")
            with open(script, "w", encoding="utf-8") as file:
                file.write(WATCH)
            done = self.call(PATTERN, "shmframe-latency cam --interval 0 --policy in-order",
                             f"python3 {script} > {out}")
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(out, encoding="utf-8") as file:
                total = json.loads(file.read())
            self.assertEqual(total["ended_by"], "frames")
            self.assertGreaterEqual(total["hops"]["age"]["count"], 20)
            self.assertEqual(total["counters"]["lost_late"], 0)

    def test_an_eviction_is_told_in_one_line(self):
        done = self.call(PATTERN, EVICT + " cam", "shmframe-latency cam --interval 0")
        self.assertEqual(done.returncode, 1)
        own = [line for line in done.stderr.splitlines() if line.startswith("shmframe-latency:")]
        self.assertEqual(own, ["shmframe-latency: cam: the supervisor evicted this reader"])

    def test_a_stream_that_does_not_appear_is_named_with_what_there_is(self):
        done = self.call("shmframe-pattern --stream cam --size 64x48",
                         "shmframe-latency nowhere --wait 2")
        self.assertEqual(done.returncode, 1)
        self.assertIn("stream nowhere did not appear within 2 s", done.stderr)
        self.assertIn("cam", done.stderr)

    def test_a_wait_of_seconds_is_told_where_no_progress_is_shown(self):
        for options in ("", " --marks"):
            said = self.call(f"shmframe-latency nosuch --wait 3s{options}").stderr
            self.assertEqual(said.count("waiting for stream nosuch, for 3 s in all"), 1, said)
            said = self.call(f"shmframe-latency nosuch --wait 1s{options}").stderr
            self.assertNotIn("waiting", said)

    def test_mistakes_are_usage_errors_before_anything_is_opened(self):
        program = os.path.join(os.path.dirname(SHMFRAME), "..", "consumers", "latency",
                               "shmframe-latency")
        for arguments in ([], ["a", "b"], ["cam", "--budget", "age"], ["cam", "--policy", "all"],
                          ["cam", "--depth", "3"], ["cam", "--leases", "7"], ["Not A Name"],
                          ["cam", "--of", "1", "--touch"], ["cam", "--format", "xml"]):
            done = subprocess.run([program, *arguments], text=True, capture_output=True,
                                  timeout=30, check=False,
                                  env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
            self.assertEqual(done.returncode, 2, (arguments, done.stderr))
            self.assertEqual(done.stderr.count("\n"), 1, arguments)


if __name__ == "__main__":
    unittest.main()
