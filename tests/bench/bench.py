"""The benchmarks run, and what they print is well-formed. Never how fast anything was."""

import json
import os
import subprocess
import tempfile
import unittest

LATENCY = os.environ["BENCH_LATENCY"]
FRAMES = os.environ["BENCH_FRAMES"]
SCREEN = os.environ["BENCH_SCREEN"]
CONSUMERS = os.environ["BENCH_CONSUMERS"]
PICTURES = os.environ["BENCH_PICTURES"]
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


class Consumers(unittest.TestCase):
    def test_every_frame_of_every_road_is_accounted_for(self):
        done = call(CONSUMERS, "--quick", "--format", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["width"], told["height"]), (320, 240))
        roads = {road["road"]: road for road in told["roads"]}
        self.assertEqual(list(roads), ["none", "ring", "socket", "pipe"])
        frames = told["frames"] * told["repeats"]
        for road in roads.values():
            self.assertEqual(road["received"] + road["lost"], 4 * (frames - road["dropped"]), road)
            self.assertGreater(road["work_ns"]["median"], 0)
        # Each reader has its own clock there, and misses nothing.
        self.assertEqual(roads["none"]["dropped"], 0)
        for name in ("socket", "pipe"):
            # Four times into the kernel, four times out of it, each with a line of its own.
            self.assertEqual(roads[name]["copied_bytes"], 8 * (told["frame_bytes"] + 64))
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


if __name__ == "__main__":
    unittest.main()
