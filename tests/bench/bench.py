"""The benchmarks run, and what they print is well-formed. Never how fast anything was."""

import contextlib
import json
import os
import re
import runpy
import signal
import subprocess
import tempfile
import time
import unittest

LATENCY = os.environ["BENCH_LATENCY"]
FRAMES = os.environ["BENCH_FRAMES"]
SCREEN = os.environ["BENCH_SCREEN"]
CONSUMERS = os.environ["BENCH_CONSUMERS"]
PICTURES = os.environ["BENCH_PICTURES"]
COMPARE = os.environ["BENCH_COMPARE"]
BURSTS = os.environ["BENCH_BURSTS"]
MARKS = os.environ["BENCH_MARKS"]
SCRIPTS = os.environ["BENCH_SCRIPTS"]
LEVELS = ["p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"]


def call(*command):
    return subprocess.run(command, text=True, capture_output=True, timeout=240, check=False,
                          stdin=subprocess.DEVNULL)


def measure(*options):
    done = call(LATENCY, "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Latency(unittest.TestCase):
    def check_lane(self, lane, readers, repeats, frames):
        transit = lane["transit"]
        self.assertEqual(transit["count"] + lane["missed"], readers * repeats * frames)
        self.assertEqual(lane["publish"]["count"], repeats * frames)
        for name in ("transit", "whole", "publish"):
            steps = [lane[name][level] for level in LEVELS]
            self.assertEqual(steps, sorted(steps), name)
        self.assertEqual(lane["read"]["count"], readers * repeats * frames * lane["is_touched"])
        if lane["is_floor"]:
            self.assertEqual(lane["whole"], lane["transit"])

    def test_every_frame_of_every_lane_is_measured_or_said_to_be_missed(self):
        told = measure("--part", "sleeping", "--frames", "5", "--repeats", "2")
        self.assertEqual([(scene["readers"], scene["is_touched"]) for scene in told["scenes"]],
                         [(n, touched) for n in (1, 2, 4) for touched in (False, True)])
        for scene in told["scenes"]:
            sizes = [lane["size"] for lane in scene["lanes"] if not lane["is_floor"]]
            self.assertEqual(sizes, ["128 B", "4 KiB", "1080p", "2160p"])
            floors = [lane for lane in scene["lanes"] if lane["is_floor"]]
            self.assertEqual(len(floors), 4 if scene["is_touched"] else 1)
            for lane in scene["lanes"]:
                self.check_lane(lane, scene["readers"], 2, 5)
        # Each lane against its floor, and the sizes against each other where nothing is touched.
        self.assertEqual(len(told["aims"]), 3 * (4 + 4 + 1))

    def test_an_aim_is_met_when_its_figure_is_within_the_limit(self):
        told = measure("--part", "calls", "--quick")
        for aim in told["aims"]:
            self.assertEqual(aim["is_met"], aim["value"] <= aim["limit"], aim)
        limits = {aim["what"].split(",")[1].strip(): aim["limit"] for aim in told["aims"]}
        self.assertEqual(limits, {"1 link": 100, "16 links": 250})
        for calls in told["calls"]:
            self.assertGreater(calls["clock read"]["ns"], 0)
            # Each pair reads the clock twice.
            for name in ("loan + publish", "acquire + release"):
                self.assertGreater(calls[name]["ns"], calls["clock read"]["ns"])

    def test_the_table_tells_how_many_aims_are_met(self):
        done = call(LATENCY, "--part", "calls", "--quick")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\n\d+ of \d+ aims are met\.\n")

    def test_nothing_is_left_behind(self):
        with tempfile.TemporaryDirectory() as folder:
            before = set(os.listdir("/proc"))
            done = subprocess.run([LATENCY, "--part", "calls", "--quick"], text=True, timeout=240,
                                  capture_output=True, check=False,
                                  env=dict(os.environ, BENCH_MARK=folder))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for pid in set(os.listdir("/proc")) - before:
                try:
                    with open(f"/proc/{pid}/environ", "rb") as file:
                        self.assertNotIn(folder.encode(), file.read())
                except OSError:
                    pass  # gone, or of somebody whose processes are not ours to look at

    def test_a_wrong_part_is_a_usage_error(self):
        done = call(LATENCY, "--part", "nonsense")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nonsense", done.stderr)


class Screen(unittest.TestCase):
    def test_every_capture_is_measured_against_its_floors(self):
        done = call(SCREEN, "--size", "320x240", "--frames", "5", "--repeats", "4", "--format",
                    "json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout)
        self.assertEqual((told["width"], told["height"]), (320, 240))
        # As many buffers as the floor takes in turn.
        self.assertEqual(told["slots"], 2)
        self.assertEqual([lane["name"] for lane in told["lanes"]],
                         ["floor", "floor in turn", "shmframe-screen"])
        for lane in told["lanes"]:
            self.assertEqual(lane["count"], 20)
            steps = [lane[level] for level in ("p50_ns", "p90_ns", "p99_ns", "max_ns")]
            self.assertEqual(steps, sorted(steps))
        self.assertEqual(told["lanes"][0]["ratio"]["median"], 1)
        self.assertEqual(told["lanes"][1]["ratio_in_turn"]["median"], 1)

    def test_a_display_that_is_not_there_is_named(self):
        done = call(SCREEN, "--display", ":64999")
        self.assertEqual(done.returncode, 1)
        self.assertIn(":64999", done.stderr)


class Pictures(unittest.TestCase):
    def test_every_measure_is_beside_reading_the_bytes(self):
        done = call(PICTURES, "--size", "64x48", "--repeats", "2", "--format", "json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout)
        self.assertEqual((told["pixel_format"], told["width"], told["height"]), ("yuv420p", 64, 48))
        lanes = {lane["lane"]: lane for lane in told["lanes"]}
        self.assertEqual(lanes["read"]["ratio_to_read"], 1)
        for name in ("levels, black", "frozen, scenes", "checksums", "PSNR", "SSIM", "all"):
            self.assertGreater(lanes[name]["picture_ms"], 0)

    def test_a_format_that_is_none_is_a_usage_error(self):
        done = call(PICTURES, "--pixel-format", "nonsense")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nonsense", done.stderr)


class Marks(unittest.TestCase):
    def test_every_way_is_beside_reading_the_luma(self):
        done = call(MARKS, "--size", "320x240", "--repeats", "2", "--format", "json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout)
        self.assertEqual((told["pixel_format"], told["width"], told["height"]), ("yuv420p", 320, 240))
        self.assertEqual(told["lanes"][0]["ratio_to_read"], 1)
        self.assertEqual(len(told["lanes"]), 7)
        for lane in told["lanes"]:
            self.assertGreater(lane["picture_ms"], 0, lane)

    def test_a_picture_too_small_for_marks_is_a_usage_error(self):
        done = call(MARKS, "--size", "64x48")
        self.assertEqual(done.returncode, 2)
        self.assertIn("64x48", done.stderr)


class Bursts(unittest.TestCase):
    def test_costs_errors_and_odds_are_told(self):
        done = call(BURSTS, "--bursts", "1", "--rounds", "1", "--noise", "10", "--format", "json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout)
        for lane in told["costs"]:
            self.assertGreater(lane["ms_a_second"], 0, lane)
        for room in told["rooms"]:
            self.assertEqual((room["sent"], room["found"], room["wrong_beats"], room["false"]), (1, 1, 0, 0), room)
        shares = told["noise"]["share_above"]
        self.assertEqual(shares, sorted(shares, reverse=True))
        self.assertEqual(shares[0], 1)


class Consumers(unittest.TestCase):
    def test_every_frame_of_every_road_is_accounted_for(self):
        done = call(CONSUMERS, "--quick", "--format", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["width"], told["height"]), (320, 240))
        roads = {road["road"]: road for road in told["roads"]}
        self.assertEqual(list(roads), ["none", "ring", "unix", "pipe"])
        frames = told["frames"] * told["repeats"]
        for road in roads.values():
            self.assertEqual(road["received"] + road["lost"], 4 * (frames - road["dropped"]), road)
            self.assertGreater(road["work_ns"]["median"], 0)
        # Each reader has its own clock there, and misses nothing.
        self.assertEqual(roads["none"]["dropped"], 0)
        for name in ("unix", "pipe"):
            # Four times into the kernel, four times out of it, each with its parcel.
            self.assertEqual(roads[name]["copied_bytes"], 8 * (told["frame_bytes"] + 24))
            self.assertEqual(roads[name]["lost"], 0)
        self.assertEqual(roads["ring"]["copied_bytes"], 0)
        self.assertEqual(roads["ring"]["to_ring"]["median"], 1)
        self.check_programs(told["programs"])

    def check_programs(self, programs):
        self.assertEqual([program["program"] for program in programs],
                         ["shmframe-view", "shmframe-encode", "shmframe-analyze",
                          "shmframe-latency", "shmframe-pattern"])
        for program in programs[:4]:
            self.assertGreater(program["delivered"] + program["lost"], 0, program)

    def test_mistakes_are_usage_errors(self):
        for arguments in (["--repeats", "0"], ["--rate", "0"], ["cam"]):
            self.assertEqual(call(CONSUMERS, *arguments).returncode, 2, arguments)


def list_children(pid):
    """{name: pid} of the processes that `pid` has started."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                name, fields = re.match(r"\d+ \((.*)\) (.*)", file.read(), re.S).groups()
        except OSError:
            continue  # gone meanwhile
        if int(fields.split()[1]) == pid:
            children[name] = int(entry)
    return children


def read_words(pid):
    """Of its command line; none where it is not there, or not any more."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            return file.read().split("\0")
    except OSError:
        return []


def find_socket(pid):
    """Of a supervisor; None: it has none yet."""
    words = read_words(pid)
    return words[words.index("--socket") + 1] if "--socket" in words else None


def is_running(pid):
    """Whether there is such a process that did not end: nobody may have waited for it yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return not re.search(r"\) [ZX] ", file.read())
    except OSError:
        return False


def list_built_roads():
    """Those that need a library: each is a module."""
    modules = os.listdir(os.path.join(os.path.dirname(COMPARE), "roads"))
    return {road for road in ("zeromq", "iceoryx", "gstreamer")
            if f"bench-road-{road}.so" in modules}


class Compare(unittest.TestCase):
    def test_every_road_carries_every_message_as_it_was_sent(self):
        listed = [line.split()[0] for line in call(COMPARE, "--list").stdout.splitlines()]
        told = []
        for size, counts in (("128B", "14"), ("1080p", "2")):
            readers = [word for count in counts for word in ("--readers", count)]
            done = call(COMPARE, "--check", "--size", size, *readers)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            lines = [re.match(r"(\S+) +(.*), (\d) readers?, saturated, touched: (.*)", line).groups()
                     for line in done.stdout.splitlines()]
            self.assertEqual([(count, road) for road, _, count, _ in lines],
                             [(count, road) for count in counts for road in listed])
            told += lines
        carried = {road for road, _, _, what in told if what.endswith(", each as it was sent")}
        # These are there on every machine.
        self.assertLessEqual({"ring", "ring-spin", "ring-batched", "fifo", "fifo-batched", "pipe",
                              "unix", "seqpacket", "tcp", "memfd", "memfd-pool"}, carried)
        # These where their packages were there when this was built.
        refused = {road for road, _, _, what in told if what.endswith("which is refused here")}
        self.assertLessEqual(list_built_roads() - refused, carried)
        for road, _, _, what in told:
            self.assertRegex(what, r"^not run: .|^(\d+) of \1 messages", road)

    def check_result(self, cell, result):
        latency = result["latency"]
        steps = [latency[level] for level in LEVELS]
        self.assertEqual(steps, sorted(steps), result)
        self.assertEqual([ns for _, ns in latency["curve"]],
                         sorted(ns for _, ns in latency["curve"]))
        self.assertEqual(result["received"] + result["lost"], cell["readers"] * result["sent"])
        for figure in ("message_ns", "writer_processor_ns", "reader_processor_ns", "memory_bytes"):
            value = result[figure]
            self.assertGreater(value["median"] if isinstance(value, dict) else value, 0, figure)

    def test_every_cell_has_its_figures(self):
        done = call(COMPARE, "--road", "ring", "--road", "fifo", "--road", "ring-batched",
                    "--size", "1000B", "--readers", "2", "--pace", "500", "--pace", "saturated",
                    "--touch", "yes", "--duration", "30ms", "--repeats", "2", "--format", "json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout)
        paced, saturated = told["cells"]
        self.assertEqual([(cell["bytes"], cell["readers"], cell["period_ns"], cell["is_touched"])
                          for cell in told["cells"]],
                         [(1000, 2, 2000000, True), (1000, 2, 0, True)])
        self.assertIn("gathered", paced["roads"][2]["not_run"])
        for cell in told["cells"]:
            for result in cell["floors"] + cell["roads"]:
                if "not_run" not in result and result["road"] != "floor-line":
                    self.check_result(cell, result)
            ring, fifo = cell["roads"][:2]
            self.assertEqual((ring["copies"], ring["calls"]["by"]), (0, "strace"))
            # Each message and its parcel, into the kernel and out of it, for each reader.
            self.assertEqual(fifo["copied_bytes"], 2 * 2 * (1000 + 24))
            self.assertEqual((fifo["lost"], fifo["calls"]["by"]), (0, "count"))
            self.assertGreaterEqual(fifo["calls"]["writer"], 2)
        # At least five in each repetition, however busy the machine is.
        self.assertGreaterEqual(paced["roads"][0]["sent"], 10)
        self.assertEqual([result.get("lost", 0) for cell in told["cells"] for result in cell["roads"]], [0] * 6)
        for result in paced["roads"][:2]:
            # No message before its time: n of them span n - 1 periods, and the way of the last.
            self.assertGreater(result["message_ns"]["least"], 2000000, result)
            self.assertGreaterEqual(result["waited_share"]["least"], 0)
        # Too few for a p99.
        self.assertEqual([aim for aim in told["aims"] if "p99" in aim["what"]], [])
        for aim in told["aims"]:
            is_met = (aim["value"] >= aim["limit"] if aim["is_at_least"]
                      else aim["value"] <= aim["limit"])
            self.assertEqual(aim["is_met"], None if aim["is_disturbed"] else is_met, aim)
        for result in paced["roads"][:2]:
            self.assertTrue(0 <= result["others_share"]["least"] <= result["others_share"]["most"] <= 1, result)

    def test_a_road_is_not_judged_while_others_have_the_processors(self):
        with contextlib.ExitStack() as stack:
            for _ in range(2 * os.cpu_count()):
                busy = stack.enter_context(subprocess.Popen(["sh", "-c", "while :; do :; done"]))
                stack.callback(busy.kill)
            told = json.loads(call(COMPARE, "--road", "ring", "--pace", "saturated", "--duration", "50ms",
                                   "--repeats", "1", "--no-strace", "--format", "json").stdout)
        ring, = told["cells"][0]["roads"]
        self.assertGreater(ring["others_share"]["median"], 0.05)
        self.assertEqual([(aim["is_met"], aim["is_disturbed"]) for aim in told["aims"]],
                         [(None, True)] * len(told["aims"]))
        self.assertTrue(told["aims"])

    def test_calls_of_a_library_are_counted_between_its_messages(self):
        """However few there are: what a process does before and after is not among them."""
        told = json.loads(call(COMPARE, "--road", "ring", "--pace", "500", "--duration", "1ms",
                               "--repeats", "1", "--format", "json").stdout)
        ring, = told["cells"][0]["roads"]
        # One to wake the reader, of twenty; likewise to sleep. Less where it was not asleep yet.
        self.assertLess(max(ring["calls"]["writer"], ring["calls"]["reader"]), 1.2)

    def test_a_signal_leaves_no_folder(self):
        for command in ([LATENCY, "--part", "sleeping", "--frames", "100000"], [CONSUMERS]):
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as bench:
                deadline = time.monotonic() + 60
                path = None
                while not path or not os.path.exists(path):
                    self.assertLess(time.monotonic(), deadline, "no supervisor was started")
                    path = find_socket(list_children(bench.pid).get("shmframed"))
                os.kill(bench.pid, signal.SIGTERM)
            self.assertEqual(bench.returncode, -signal.SIGTERM)
            self.assertFalse(os.path.exists(os.path.dirname(path)), path)

    def end_early(self, name, number):
        """Runs, sends a signal to `name` or to the program itself, returns what it said."""
        with subprocess.Popen([COMPARE, "--road", "fifo", "--readers", "2", "--duration", "60s"],
                              text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as bench:
            children = {}
            deadline = time.monotonic() + 60
            while not {"bench-reader-1", "bench-writer"} <= set(children):
                self.assertLess(time.monotonic(), deadline, "no reader was started")
                children = list_children(bench.pid)
            os.kill(children.get(name, bench.pid), number)
            _, errors = bench.communicate(timeout=60)
        self.assertEqual(bench.returncode, 1)
        for pid in children.values():
            self.assertFalse(os.path.exists(f"/proc/{pid}"), "a process is left")
        return errors

    def test_a_process_that_dies_ends_the_run_by_name(self):
        self.assertRegex(self.end_early("bench-reader-1", signal.SIGKILL),
                         r"named pipe: (reader [01]|the writer) ended early")

    def test_an_interrupt_ends_the_run(self):
        self.assertIn("named pipe: the run was interrupted",
                      self.end_early("bench-compare", signal.SIGINT))

    def test_an_interrupt_while_calls_are_counted_leaves_nothing(self):
        with subprocess.Popen([COMPARE, "--road", "ring", "--pace", "4", "--duration", "1ms"], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as bench:
            calls = None
            deadline = time.monotonic() + 60
            while not calls:
                self.assertLess(time.monotonic(), deadline, "nothing is counted")
                words = read_words(list_children(bench.pid).get("strace"))
                calls = next((word for word in words if word.endswith("/calls")), None)
            os.kill(bench.pid, signal.SIGINT)
            bench.communicate(timeout=60)
        self.assertEqual(bench.returncode, 1)
        self.assertFalse(os.path.exists(os.path.dirname(calls)), calls)

    def test_mistakes_are_usage_errors(self):
        for arguments in (["--road", "nonsense"], ["--road", "floor-futex"], ["--size", "0"],
                          ["--size", "4KB"], ["--size", "2000MiB"], ["--readers", "17"],
                          ["--readers", "0"], ["--pace", "0"], ["--pace", "fast"],
                          ["--touch", "maybe"], ["--repeats", "101"], ["cam"]):
            done = call(COMPARE, *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(arguments[-1] if arguments[0] != "--repeats" else "100", done.stderr +
                          ("cam" if arguments == ["cam"] else ""))


class Scripts(unittest.TestCase):
    """These count; what they count does not depend on time."""

    def run_script(self, name, *options):
        done = call(os.path.join(SCRIPTS, name), "--program", FRAMES, "--format", "json", *options)
        self.assertTrue(done.stdout, done.stderr)
        return done, json.loads(done.stdout)

    def test_no_system_call_but_one_for_each_sleeper(self):
        done, results = self.run_script("syscalls", "--frames", "200")
        self.assertEqual(done.returncode, 0, results)
        self.assertEqual([result["wakes_per_frame"] for result in results], [0, 1, 2, 4, 0])

    def test_a_stream_takes_no_more_memory_than_promised(self):
        done, results = self.run_script("memory")
        self.assertEqual(done.returncode, 0, results)
        self.assertEqual([result["readers"] for result in results], [1, 4])
        for result in results:
            self.assertGreaterEqual(result["slots"], 2 + (result["readers"] > 1), result)


class Watched(unittest.TestCase):
    def test_spans_with_and_without_watchers_are_compared(self):
        build = os.path.dirname(os.path.dirname(FRAMES))
        done = call(os.path.join(SCRIPTS, "watched"), "--build", build, "--pairs", "2", "--seconds",
                    "1", "--size", "320x180", "--format", "json")
        self.assertIn(done.returncode, (0, 1), done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(told["pairs"], 2)
        self.assertGreater(min(told["alone_p50_ns"], told["watched_p50_ns"]), 0)
        low, high = told["interval_ns"]
        self.assertLessEqual(low, told["difference_ns"])
        self.assertLessEqual(told["difference_ns"], high)
        self.assertEqual(set(told["calls"]), {"writer, alone", "writer, watched", "reader, alone",
                                              "reader, watched"})
        self.assertTrue(all(calls["frames"] > 0 and calls["per_frame"] > 0
                            for calls in told["calls"].values()))
        self.assertEqual(done.returncode == 0, told["verdict"] == "pass")

    def test_an_interval_that_is_too_wide_tells_nothing(self):
        watched = runpy.run_path(os.path.join(SCRIPTS, "watched"), run_name="watched")
        same, more = {"per_frame": 1.0}, {"per_frame": 1.2}
        for low, high, calls, verdict in ((-400, 500, same, "pass"), (-400, 700, same, "NOT TOLD APART"),
                                          (100, 500, same, "FALLS SHORT"),
                                          (100, 5000, same, "FALLS SHORT"),
                                          (-400, 500, more, "FALLS SHORT")):
            report = {"interval_ns": [low, high], "alone_p50_ns": 10000,
                      "calls": {"writer, alone": same, "writer, watched": calls,
                                "reader, alone": same, "reader, watched": same}}
            self.assertEqual(watched["find_verdict"](report), verdict, report)


if __name__ == "__main__":
    unittest.main()
