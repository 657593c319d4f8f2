"""shmframe-delay between a pattern and a reader: what it holds, leaves out, and says of it."""

import csv
import json
import os
import subprocess
import tempfile
import unittest

SHMFRAME = os.environ["SHMFRAME"]
DELAY = os.environ["DELAY"]
PATTERN = "shmframe-pattern --stream cam --size 64x48 --wait-readers 1"
# Whose frames all come through, however busy the machine is: everyone waits for everyone.
WAITING = PATTERN + " --unpaced"
READER = "shmframe-latency late --policy lossless --interval 0 --format json"
LIVE_READER = READER.replace("lossless", "in-order --depth 32")


class Delay(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_all(self, *lines, code=0):
        done = subprocess.run([SHMFRAME, "run", *lines], text=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def delay(self, options, pattern, reader=READER):
        """The report of each stream by its name, the log, what the reader measured."""
        self.said = self.run_all(
            pattern, f"{DELAY} cam late {options} --wait-readers 1 --log {self.path('log')} --format json "
                     f"> {self.path('report')}",
            f"{reader} > {self.path('read')}")
        with open(self.path("report"), encoding="utf-8") as file:
            self.report = json.load(file)
        with open(self.path("log"), encoding="utf-8") as file:
            log = list(csv.DictReader(file))
        with open(self.path("read"), encoding="utf-8") as file:
            read = json.loads(file.read())
        return {stream["stream"]: stream for stream in self.report["streams"]}, log, read

    def test_each_frame_is_held_for_the_delay_and_says_so(self):
        streams, log, read = self.delay("--delay 30ms", WAITING + " --no-sound --frames 30")
        self.assertEqual((self.report["ended_by"], list(streams)), ("end of stream", ["late"]))
        late = streams["late"]
        self.assertEqual((late["source"], late["taken"], late["published"]), ("cam", 30, 30))
        self.assertEqual([row["action"] for row in log], ["pass"] * 30)
        for number, row in enumerate(log, 1):
            self.assertEqual([int(row[key]) for key in ("sequence_in", "sequence_out",
                                                        "origin_sequence")], [number] * 3)
            self.assertEqual(int(row["due_ns"]) - int(row["acquire_ns"]), 30_000_000)
            self.assertEqual(int(row["publish_ns"]) - int(row["acquire_ns"]), int(row["held_ns"]))
            self.assertGreaterEqual(int(row["held_ns"]), 30_000_000)
            # By its own looks at the clock, which lie within: after acquiring, before publishing.
            self.assertTrue(0 < int(row["own_held_ns"]) < int(row["held_ns"]), row)
        mean = sum(int(row["held_ns"]) for row in log) // 30
        self.assertEqual((late["wanted_mean_ns"], late["held_mean_ns"]), (30_000_000, mean))
        self.assertEqual(read["counters"]["delivered"], 30)
        self.assertGreaterEqual(read["hops"]["age"]["p50_ns"], 30_000_000)

    def test_a_group_comes_out_as_a_group(self):
        streams, log, _ = self.delay("--delay 20ms --sound-delay 5ms --spin 1ms",
                                     WAITING + " --frames 30")
        self.assertEqual({name: stream["source"] for name, stream in streams.items()},
                         {"late": "cam", "late.sound": "cam.sound"})
        self.assertEqual({name: (stream["taken"], stream["published"], stream["wanted_mean_ns"])
                          for name, stream in streams.items()},
                         {"late": (30, 30, 20_000_000), "late.sound": (50, 50, 5_000_000)})
        self.assertEqual(len(log), 80)

    def test_drops_repeats_and_swaps_are_those_that_were_asked_for(self):
        streams, log, read = self.delay("--delay 1ms --drop every=10 --repeat every=6 --swap every=7",
                                        WAITING + " --no-sound --frames 60")
        late = streams["late"]
        swapped = [n for n in range(7, 61, 7) if n % 10]
        waited_for = [n + 1 if (n + 1) % 10 else n + 2 for n in swapped]
        repeated = [n for n in range(6, 61, 6) if n % 10 and n not in swapped + waited_for]
        self.assertEqual([late[key] for key in ("dropped", "swapped", "repeated", "published")],
                         [6, len(swapped), len(repeated), 60 - 6 + len(repeated)])
        self.assertEqual([int(row["sequence_in"]) for row in log if row["action"] == "drop"],
                         list(range(10, 61, 10)))
        order = []
        for number in range(1, 61):
            if number % 10 == 0 or number in swapped:
                continue
            order += [number] * (2 if number in repeated else 1)
            order += [n for n, after in zip(swapped, waited_for) if after == number]
        published = [row for row in log if row["publish_ns"]]
        self.assertEqual([int(row["origin_sequence"]) for row in published], order)
        self.assertEqual([int(row["sequence_out"]) for row in published],
                         list(range(1, len(order) + 1)))
        self.assertEqual(read["counters"]["delivered"], len(order))
        # The last one was dropped, and no frame came to tell of it.
        self.assertEqual(read["counters"]["device_dropped"], 5)

    def test_the_same_seed_does_the_same(self):
        options = "--jitter 3ms --distribution exponential --drop 20% --swap 10% --seed 5"
        pattern = WAITING + " --no-sound --frames 60"
        runs = []
        for seed in ("5", "5", "6"):
            _, log, _ = self.delay(options.replace("--seed 5", "--seed " + seed), pattern)
            runs.append(sorted((int(row["sequence_in"]), row["action"]) for row in log))
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])

    def test_what_there_is_no_room_for_is_dropped_with_the_remedy(self):
        streams, log, read = self.delay("--delay 200ms --held 5",
                                        PATTERN + " --no-sound --frames 30", LIVE_READER)
        late = streams["late"]
        self.assertGreater(late["refused"], 5)
        self.assertEqual(late["published"] + late["refused"], 30)
        self.assertEqual(len([row for row in log if row["action"] == "refused"]), late["refused"])
        said = [line for line in self.said.splitlines() if line.startswith("shmframe-delay: ")]
        self.assertEqual(said, ["shmframe-delay: late: a frame is dropped: 5 are held already; --held "
                                "makes room for more"])
        self.assertEqual(read["counters"]["delivered"] + read["counters"]["lost_late"],
                         late["published"])

    def test_a_source_that_waits_loses_nothing(self):
        streams, _, read = self.delay("--delay 5ms --held 3 --policy lossless --repeat every=4",
                                      WAITING + " --frames 100")
        self.assertEqual([streams["late"][key] for key in ("taken", "published", "repeated",
                                                           "refused")], [100, 125, 25, 0])
        self.assertEqual(streams["late.sound"]["refused"], 0)
        self.assertEqual(read["counters"]["delivered"], 125)

    def test_what_comes_before_it_is_ready_and_while_it_is_paused_is_told(self):
        reader = f"{LIVE_READER} --frames 20 > {self.path('read')}"
        head = f"{SHMFRAME} ls --format json | grep -o '\"head\": *[0-9]*' | head -1 | grep -o '[0-9]*$'"
        passed = f'n=$({head}); until [ "$({head})" -gt $((n + 20)) ]; do sleep 0.02; done'
        self.said = self.run_all(
            f"{PATTERN} --no-sound --rate 200",
            f"{DELAY} cam late --wait-readers 1 --log {self.path('log')} --format json > {self.path('report')}",
            f"until {SHMFRAME} ask late pause; do sleep 0.02; done; {passed}; {reader} & reader=$!; "
            f"{passed}; {SHMFRAME} ask late resume; wait $reader; {SHMFRAME} ask late quit; {SHMFRAME} ask cam quit")
        with open(self.path("report"), encoding="utf-8") as file:
            late, = json.load(file)["streams"]
        with open(self.path("log"), encoding="utf-8") as file:
            log = list(csv.DictReader(file))
        with open(self.path("read"), encoding="utf-8") as file:
            read = json.load(file)["counters"]
        actions = [row["action"] for row in log]
        self.assertGreater(late["lost"], 0)
        self.assertGreater(late["paused"], 0)
        self.assertEqual(actions.count("paused"), late["paused"])
        # All of them before the first one that was sent on.
        self.assertEqual(actions[:late["paused"]], ["paused"] * late["paused"])
        self.assertEqual(late["taken"], late["paused"] + late["published"] + late["unsent"] + late["refused"])
        self.assertGreaterEqual(read["device_dropped"], late["paused"])
        said = [line for line in self.said.splitlines() if line.startswith("shmframe-delay: ")]
        self.assertRegex(said[0], r"^shmframe-delay: late begins later than cam: it was not ready yet for the first \d+ "
                                  r"frames that came here$")

    def test_one_filter_can_follow_another(self):
        line = READER.replace("late ", "late2 ")
        self.run_all(WAITING + " --no-sound --frames 20", f"{DELAY} cam late --delay 5ms -w 1",
                     f"{DELAY} late late2 --delay 5ms -w 1 --format json > {self.path('report')}",
                     f"{line} > {self.path('read')}")
        with open(self.path("read"), encoding="utf-8") as file:
            self.assertGreaterEqual(json.loads(file.read())["hops"]["age"]["p50_ns"], 10_000_000)

    def test_mistakes_are_usage_errors_before_anything_is_opened(self):
        for arguments in ([], ["cam"], ["cam", "cam"], ["cam", "a", "b"], ["Cam", "late"],
                          ["cam", "Late"], ["cam", "late", "--drop", "1"],
                          ["cam", "late", "--swap", "every=0"], ["cam", "late", "--held", "65"],
                          ["cam", "late", "--distribution", "flat"],
                          ["cam", "late", "--format", "xml"], ["cam", "late", "--delay", "soon"]):
            done = subprocess.run([DELAY, *arguments], text=True, capture_output=True, timeout=30,
                                  check=False, env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
            self.assertEqual((done.returncode, done.stdout), (2, ""), (arguments, done.stderr))
            self.assertEqual(done.stderr.count("\n"), 1, arguments)

    def test_who_else_may_read_what_comes_out_is_said_to_the_supervisor(self):
        self.delay("--allow 'user 12341, group 12342'", WAITING + " --no-sound --frames 3")
        said = self.run_all(PATTERN + " --no-sound", f"{DELAY} cam late --allow 'all, none'", code=1)
        self.assertIn("allow: expected users and groups, or \"all\" and \"none\" alone", said)

    def test_a_log_that_cannot_be_written_is_told_at_once(self):
        done = subprocess.run([DELAY, "cam", "late", "--log", self.path("no/log")], text=True,
                              capture_output=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"--log: {self.path('no/log')} cannot be written", done.stderr)


if __name__ == "__main__":
    unittest.main()
