"""shmframe size: on paper, and beside a stream that runs."""

import json
import os
import subprocess
import tempfile
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]
LINK_BYTES = 2 * 4096
SPARE_LINKS = 8  # at most: those of the ring, and replacements under way


def call(*arguments, env=None):
    return subprocess.run([SHMFRAME, *arguments], env=env, text=True, capture_output=True,
                          timeout=30, check=False)


def size(*arguments):
    done = call("size", *arguments, "--format", "json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


class Paper(unittest.TestCase):
    def test_a_triple_buffer_for_one_reader_of_the_latest(self):
        told = size("--size", "1920x1080", "--rate", "60", "--reader", "latest")
        self.assertEqual(told["format"], "1920x1080 yuv420p 60 fps")
        self.assertEqual(told["frame_bytes"], 1920 * 1080 * 3 // 2)
        self.assertAlmostEqual(told["bandwidth_bytes_per_s"], 1920 * 1080 * 1.5 * 60, delta=100)
        self.assertEqual(told["ring"]["slots"], 3)
        self.assertEqual(told["needed"], told["ring"])
        self.assertGreaterEqual(told["ring"]["memory_bytes"], 3 * told["frame_bytes"])

    def test_the_text_tells_the_same_memory(self):
        for arguments in ("--data", "100", "--rate", "25"), ("--size", "1920x1080", "--rate", "25"):
            ring = size(*arguments)["ring"]
            words = [f"{value / 2**10:.1f} KiB" if value < 2**20 else f"{value / 2**20:.2f} MiB"
                     for value in (ring["memory_bytes"], ring["slot_bytes"])]
            self.assertIn(f"\nmemory     {words[0]}, {words[1]} a slot\n", call("size", *arguments).stdout)

    def test_sound_and_data(self):
        told = size("--sample-rate", "48000", "--block", "1024", "--channels", "6",
                    "--sample-format", "s16")
        self.assertEqual((told["period_ns"], told["frame_bytes"]), (21333333, 1024 * 6 * 2))
        told = size("--data", "100", "--rate", "1000")
        self.assertEqual((told["period_ns"], told["frame_bytes"]), (1000000, 100))

    def test_a_hold_that_the_depth_does_not_allow_for_is_warned_of(self):
        reader = "in-order,depth=4,hold=100ms,usual=5ms,late=1ms,count=2"
        told = size("--size", "64x48", "--rate", "50", "--reader", reader, "--loans", "3")
        self.assertEqual(told["ring"]["slots"], 3 + 4 + 2)
        found, = told["readers"]
        self.assertEqual((found["depth_needed"], found["lost"], found["covered_ns"]),
                         (5, 1, 99000000))
        self.assertEqual(told["needed"]["slots"], 3 + 5 + 2)
        warning, = told["warnings"]
        self.assertIn("loses 1 frame", warning)
        self.assertIn(warning, call("size", "--size", "64x48", "--rate", "50", "--reader",
                                    reader).stdout)
        self.assertEqual(size("--size", "64x48", "--rate", "50", "--reader",
                              "in-order,depth=5,hold=100ms,late=1ms")["warnings"], [])

    def test_the_deepest_reader_is_deep_enough_for_all(self):
        picture = ["--size", "64x48", "--rate", "50"]
        shallow = ["--reader", "in-order,depth=2,hold=100ms"]
        self.assertEqual(len(size(*picture, *shallow)["warnings"]), 1)
        for more in (["--reader", "in-order,depth=6"], ["--history", "6"]):
            told = size(*picture, *shallow, *more)
            self.assertEqual((told["warnings"], told["readers"][0]["lost"]), ([], 0), more)
            self.assertEqual(told["needed"], told["ring"])

    def test_the_longest_times_can_be_added_up(self):
        told = size("--size", "64x48", "--rate", "1/86400", "--reader",
                    "lossless,depth=192,leases=6,hold=24h,usual=24h,late=24h")
        found, = told["readers"]
        self.assertEqual((found["covered_ns"], found["worst_age_ns"]),
                         ((6 + 192 - 1) * 86400 * 10**9, 86400 * 10**9))

    def test_who_cannot_keep_up_is_told_so_whatever_its_depth(self):
        told = size("--size", "64x48", "--rate", "50", "--reader",
                    "in-order,depth=100,hold=50ms,usual=50ms")
        self.assertIn("cannot keep up", told["warnings"][0])
        self.assertIn("3 leases", told["warnings"][0])

    def test_what_has_no_room_fails_and_says_so(self):
        arguments = ["size", "--size", "1920x1080", "--rate", "60", "--ring-mib", "20", "--reader"]
        done = call(*arguments, "in-order,depth=4")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("slots are needed", done.stderr)
        told = size(*arguments[1:], "in-order,depth=2,hold=1s")
        self.assertIsNone(told["needed"])

    def test_mistakes_are_usage_errors_that_name_the_thing(self):
        picture = ["--size", "64x48", "--rate", "50"]
        for arguments, word in (([], "--size"),
                                (["--size", "64x48"], "--rate"),
                                (["--size", "64x48", "--rate", "0"], "--rate"),
                                (["--size", "64x48", "--data", "5", "--rate", "5"], "--data"),
                                (["--sample-rate", "48000", "--rate", "5"], "--block"),
                                (["--size", "0x48", "--rate", "5"], "width"),
                                ([*picture, "--pixel-format", "yuv421p"], "yuv421p"),
                                ([*picture, "--reader", "sometimes"], "sometimes"),
                                ([*picture, "--reader", "in-order,depth=193"], "192"),
                                ([*picture, "--reader", "latest,depth=2"], "depth="),
                                ([*picture, "--reader", "in-order,leases=7"], "6"),
                                ([*picture, "--reader", "in-order,hold=soon"], "hold=soon"),
                                ([*picture, "--reader", "in-order,hold=1ms,usual=2ms"], "usual"),
                                ([*picture, "--reader", "in-order,hold=25h"], "day"),
                                (["--size", "64x48", "--rate", "1/2000000000"], "day"),
                                (["--size", "64x48", "--rate", "2000000000"], "1000000000"),
                                (["--sample-rate", "1", "--block", "90000"], "day"),
                                ([*picture, *["--reader", "latest"] * 17], "at most 16"),
                                ([*picture, "--loans", "65"], "65"),
                                ([*picture, "--ring-mib", "-1"], "--ring-mib"),
                                ([*picture, "cam"], "cam")):
            done = call("size", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertEqual(done.stderr.count("\n"), 1, arguments)
            self.assertIn(word, done.stderr)


class Stream(unittest.TestCase):
    """A pattern with three readers, under a supervisor of its own."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        folder = cls.temporary.name
        told = os.path.join(folder, "socket-path")
        cls.run_ = subprocess.Popen(
            [SHMFRAME, "run", f"sh -c 'echo $SHMFRAME_SOCKET > {told}; exec sleep 300'",
             "shmframe-pattern --stream cam --size 320x240 --rate 100 --no-sound",
             "shmframe-pattern --stream small --size 64x48 --rate 100 --no-sound",
             "shmframe-pattern --stream deep --size 64x48 --rate 100 --no-sound",
             "shmframe-latency deep --interval 0 --policy in-order --depth 190",
             "shmframe-latency cam --interval 0 --policy in-order --depth 9 --leases 2",
             "shmframe-latency cam --interval 0 --policy in-order --depth 5",
             "shmframe-latency cam --interval 0 --policy latest"],
            env=dict(os.environ, XDG_RUNTIME_DIR=folder), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL)
        cls.end = time.monotonic() + 30
        while not (os.path.exists(told) and os.path.getsize(told)):
            if time.monotonic() > cls.end or cls.run_.poll() is not None:
                raise AssertionError("the run did not start")
            time.sleep(0.01)
        with open(told, encoding="utf-8") as file:
            cls.env = dict(os.environ, SHMFRAME_SOCKET=file.read().strip())
        while cls.stream().get("readers") != 3:
            if time.monotonic() > cls.end:
                raise AssertionError("the readers did not come")
            time.sleep(0.02)

    @classmethod
    def tearDownClass(cls):
        cls.run_.terminate()
        cls.run_.wait(20)
        cls.temporary.cleanup()

    @classmethod
    def stream(cls):
        done = call("ls", "--format", "json", env=cls.env)
        return ([s for s in json.loads(done.stdout)["streams"] if s["name"] == "cam"]
                or [{}])[0] if done.returncode == 0 else {}

    def test_memory_is_what_was_foretold(self):
        ring = size("--size", "320x240", "--rate", "100", "--reader",
                    "in-order,depth=9,leases=2", "--reader", "in-order,depth=5", "--reader",
                    "latest")["ring"]
        self.assertEqual(ring["slots"], 1 + 9 + 4)
        while self.stream()["memory_bytes"] < ring["memory_bytes"]:
            self.assertLess(time.monotonic(), self.end)
            time.sleep(0.05)
        stays = self.stream()["memory_bytes"]
        self.assertLessEqual(stays, ring["memory_bytes"] + (3 + SPARE_LINKS) * LINK_BYTES)
        # A slot more would be seen.
        self.assertGreater(ring["slot_bytes"], (3 + SPARE_LINKS) * LINK_BYTES)

    def size_of(self, *arguments, stream="cam"):
        done = call("size", "--of", stream, "--format", "json", *arguments, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def test_a_stream_that_runs_tells_its_own_numbers(self):
        foretold = size("--size", "320x240", "--rate", "100", "--reader",
                        "in-order,depth=9,leases=2", "--reader", "in-order,depth=5", "--reader",
                        "latest")
        while (told := self.size_of())["ring"]["slots"] < foretold["ring"]["slots"]:
            self.assertLess(time.monotonic(), self.end)
            time.sleep(0.05)
        self.assertEqual((told["stream"], told["format"], told["period_ns"]),
                         ("cam", "320x240 yuv420p 100 fps", 10000000))
        for key in ("slots", "slots_max", "slot_bytes"):
            self.assertEqual(told["ring"][key], foretold["ring"][key], key)
        self.assertEqual(told["ring"]["memory_bytes"], self.stream()["memory_bytes"])
        self.assertEqual([(r["policy"], r["depth"], r["leases"]) for r in
                          sorted(told["readers"], key=lambda r: r["depth"])],
                         [("latest", 1, 1), ("in-order", 5, 1), ("in-order", 9, 2)])
        for reader in told["readers"]:
            self.assertEqual(reader["name"], "shmframe-latency")
            self.assertEqual(reader["covered_ns"], None if reader["policy"] == "latest" else
                             (reader["leases"] + 9) * 10**7 - reader["late_ns"])
            self.assertGreater(reader["hold_ns"], 0)
            self.assertLessEqual(reader["usual_hold_ns"], reader["hold_ns"])

    def test_how_much_of_a_slot_is_used_is_not_known(self):
        self.assertRegex(call("size", "--of", "cam", env=self.env).stdout, r"(?m)^bandwidth  at most \d")
        self.assertRegex(call("size", "--data", "9", "--rate", "5").stdout, r"(?m)^bandwidth  \d")

    def test_readers_to_come_are_added_to_those_that_are_there(self):
        now = self.size_of()
        more = self.size_of("--reader", "in-order,depth=12,leases=2", "--reader", "latest")
        self.assertEqual(more["ring"]["slots"] - now["ring"]["slots"], 12 - 9 + 2 + 1)
        self.assertEqual(len(more["readers"]), 5)
        done = call("size", "--of", "cam", "--reader", "in-order,depth=192,leases=6,count=20",
                    env=self.env)
        self.assertEqual(done.returncode, 1)
        self.assertIn("slots are needed, the ring has 256", done.stderr)

    def test_small_slots_to_spare_are_counted_but_not_needed(self):
        """Of a history of 64 frames 8."""
        paper = ["--size", "64x48", "--rate", "100"]
        deep = ["--reader", "in-order,depth=64"]
        while self.size_of(stream="small")["ring"]["slots"] < 3:
            self.assertLess(time.monotonic(), self.end)
            time.sleep(0.05)
        foretold = size(*paper, *deep)["ring"]["slots"]
        self.assertEqual(foretold, 1 + 64 + 1 + 64 // 8)
        self.assertEqual(self.size_of(*deep, stream="small")["ring"]["slots"], foretold)
        for readers, code in (256 - 1 - 1 - 192, 0), (256 - 1 - 192, 1):
            many = ["--reader", f"in-order,depth=192,count={readers}"]
            for where, environ in (paper, None), (["--of", "small"], self.env):
                done = call("size", *where, *many, env=environ)
                self.assertEqual(done.returncode, code, (readers, where, done.stderr))

    def test_a_depth_that_no_reader_can_have_is_no_room(self):
        while (now := self.size_of(stream="deep")["ring"])["slots"] < 1 + 190 + 1:
            self.assertLess(time.monotonic(), self.end)
            time.sleep(0.05)
        told = self.size_of("--reader", "in-order,depth=192,hold=2s,usual=1ms", stream="deep")
        self.assertGreater(told["readers"][-1]["depth_needed"], 192)
        self.assertIsNone(told["needed"])
        self.assertGreater(told["ring"]["memory_bytes"], now["memory_bytes"])

    def test_holds_are_judged_by_the_rate(self):
        """At so high a rate nobody keeps up, as each hold takes some time."""
        told = self.size_of("--rate", "1000000000")
        self.assertEqual(told["period_ns"], 1)
        self.assertEqual(len(told["warnings"]), 2)
        for warning in told["warnings"]:
            self.assertRegex(warning, r"^reader \d+ \(shmframe-latency\) .* cannot keep up")

    def test_what_is_not_there_is_told(self):
        for arguments, code, word in ((["--of", "nowhere"], 1, "nowhere"),
                                      (["--of", "cam", "--size", "1x1"], 2, "--of")):
            done = call("size", *arguments, env=self.env)
            self.assertEqual((done.returncode, done.stdout), (code, ""), arguments)
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main()
