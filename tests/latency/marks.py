"""shmframe-latency --marks: what became of the pattern's frames, and how old they were."""

import json
import os
import subprocess
import tempfile
import unittest

SHMFRAME = os.environ["SHMFRAME"]
MONTAGE = os.environ["MONTAGE"]
LATENCY = os.environ["LATENCY"]
PATTERN = "shmframe-pattern --stream cam --size 320x180 --wait-readers 1 --marks"
MARKS = ["pictures", "passed", "before", "without", "others", "frames", "lost", "lost_unseen",
         "lost_crowded", "repeated", "out_of_order", "torn", "restarts", "undated", "corrected"]

# Waits for the readers of picture and sound, and tells how they read.
POLICIES = """
import json, subprocess, time
def ask(stream):
    while True:
        done = subprocess.run(["shmframe", "ls", stream, "--format", "json"], capture_output=True)
        readers = json.loads(done.stdout or '{"readers": []}')["readers"]
        if any(reader["generation"] for reader in readers):
            return [reader["policy"] for reader in readers]
        time.sleep(0.05)
print(ask("cam"), ask("cam.sound"))
"""


def run(*lines):
    return subprocess.run([SHMFRAME, "run", *lines], text=True, capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)


class Marks(unittest.TestCase):
    def measure(self, options, *lines):
        """The exit code, the last JSON object of each stream, and what was said."""
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
            done = run(*lines, f"shmframe-latency --marks --format json --interval 0 {options} "
                       f"> {file.name}")
            totals = [json.loads(line) for line in file]
        return done.returncode, {total["stream"]: total for total in totals}, done.stderr

    def play(self, script, options="", pattern=PATTERN + " --no-sound --rate 200"):
        """What is counted of a stream that is put together from a pattern's pictures."""
        code, totals, said = self.measure("out --policy lossless " + options, pattern,
                                          f"{MONTAGE} cam out '{script}'")
        self.assertEqual(code, 0, said)
        return totals["out"]

    def assert_counts(self, script, **expected):
        # Unpaced, it leaves nothing out on a busy machine; its frames have no clock's instant then.
        marks = self.play(script, pattern=PATTERN + " --no-sound --unpaced")["marks"]
        found = {name: marks[name] for name in MARKS if name != "undated" and marks[name]}
        self.assertEqual(found, {name: count for name, count in expected.items() if count}, script)

    def test_what_became_of_each_frame_is_counted_exactly(self):
        self.assert_counts("0 1 2 3 4 5 6 7 8 9", pictures=10, frames=10)
        self.assert_counts("- - 0 1 1 1 - 5 5 5 5 4 7 8/9 9 9", pictures=16, frames=7, lost=3,
                           lost_unseen=1, repeated=7, out_of_order=1, torn=1, before=2, without=1)
        self.assert_counts("0 2 4 6 8 10", pictures=6, frames=6, lost=5, lost_crowded=5)
        self.assert_counts("100 101 102 0 1 2", pictures=6, frames=6, restarts=1)

    def test_ages_are_of_the_first_picture_of_a_frame(self):
        total = self.play("0 0 1 1 2 2 3")
        hops = total["hops"]
        self.assertEqual([hops[name]["count"] for name in ("seen", "mark_age", "shown_for")], [4, 4, 3])
        self.assertEqual(total["marks"]["clock"], "own")
        # It was put together anew: seen long after it was captured, and it is not older than that.
        self.assertGreater(hops["seen"]["p50_ns"], 0)
        self.assertGreaterEqual(hops["mark_age"]["max_ns"], hops["seen"]["max_ns"])

    def test_marks_and_stamps_agree_where_both_exist(self):
        code, totals, said = self.measure("cam --frames 60 --policy in-order --depth 32", PATTERN)
        self.assertEqual(code, 0, said)
        hops = totals["cam"]["hops"]
        self.assertEqual(hops["seen"]["count"], 60)
        self.assertEqual([hops["seen"][name] for name in ("p50_ns", "max_ns")], [0, 0])
        self.assertEqual({name: hops["mark_age"][name] for name in hops["age"]}, hops["age"])
        marks = totals["cam"]["marks"]
        self.assertEqual((marks["source_name"], marks["frames"]), ("cam", 60))
        self.assertEqual(marks["lost"], marks["lost_unseen"]) # what the pattern itself left out

    def test_a_count_that_cannot_be_reached_any_more_ends(self):
        # Without it, the other stream goes on for ever.
        other = PATTERN.replace("--stream cam", "--stream other") + " --no-sound"
        code, totals, said = self.measure("cam other --frames 1000", PATTERN + " --no-sound --frames 10 --unpaced", other)
        self.assertEqual(code, 0, said)
        self.assertEqual([totals[name]["ended_by"] for name in ("cam", "other")], ["end of stream"] * 2)

    def test_what_a_source_dropped_before_skipped_pictures_is_not_called_crowded(self):
        pattern = PATTERN + " --no-sound --rate 10000"
        code, totals, said = self.measure("cam --duration 0.7", pattern)
        self.assertEqual(code, 0, said)
        marks = totals["cam"]["marks"]
        self.assertGreater(marks["lost"], marks["passed"] // 2)
        self.assertEqual((marks["lost_crowded"], marks["lost_unseen"]), (0, marks["lost"]))

    def test_media_time_has_no_ages(self):
        total = self.play("0 1 3 3", pattern=PATTERN + " --no-sound --unpaced")
        marks = total["marks"]
        self.assertEqual((marks["clock"], marks["undated"], marks["lost"]), ("media", 3, 1))
        self.assertEqual([total["hops"][name]["count"] for name in ("seen", "mark_age", "shown_for")],
                         [0, 0, 2])

    def test_another_source_is_told_and_not_counted(self):
        marks = self.play("0 1 2", "--source else")["marks"]
        self.assertEqual((marks["source_name"], marks["frames"], marks["others"]), ("else", 0, 3))
        self.assertEqual([other["pictures"] for other in marks["other_sources"]], [3])
        own = self.play("0 1 2", "--source cam")["marks"]
        self.assertEqual((own["frames"], own["others"], own["other_sources"]), (3, 0, []))
        self.assertEqual(own["source"], marks["other_sources"][0]["source"])

    def test_a_picture_brings_its_sounds_and_their_skew(self):
        code, totals, said = self.measure("cam --duration 4 --budget seen=1ms@max --budget shown_for=1ns@p50 "
                                          "--budget skew=20s@max", PATTERN)
        self.assertEqual(list(totals), ["cam", "cam.sound"], said)
        picture, sound = totals["cam"], totals["cam.sound"]
        self.assertIsNone(picture["bursts"])
        self.assertIsNone(sound["marks"])
        self.assertEqual(sound["bursts"]["picture"], "cam")
        skew = sound["hops"]["skew"]
        self.assertGreaterEqual(skew["count"], 1)
        # Flash and burst share an instant, and both keep their stamps.
        for name in ("p50_ns", "max_ns"):
            self.assertLess(abs(skew[name]), 1_000_000)
        self.assertLess(sound["bursts"]["bound"]["max_ns"], 1_000_000)
        self.assertLess(abs(sound["hops"]["heard"]["p50_ns"]), 1_000_000)
        # A budget is judged where there is its hop.
        self.assertEqual(code, 1)
        self.assertEqual([(b["hop"], b["is_met"]) for b in picture["budgets"]],
                         [("seen", True), ("shown_for", False)])
        self.assertEqual([(b["hop"], b["is_met"]) for b in sound["budgets"]], [("skew", True)])
        self.assertIn("cam: budget shown_for=1ns@p50 exceeded: shown_for is ", said)

    def test_media_time_has_the_skew_of_its_pts(self):
        """At many times its speed the stamps say nothing of it."""
        code, totals, said = self.measure("cam --policy lossless", PATTERN + " --unpaced --duration 9")
        self.assertEqual(code, 0, said)
        sound = totals["cam.sound"]
        skew = sound["hops"]["skew"]
        self.assertGreaterEqual(skew["count"], 6, sound["bursts"])
        self.assertEqual(sound["bursts"]["unsteady"], 0)
        for name in ("min_ns", "max_ns"):
            self.assertLess(abs(skew[name]), 1_000_000)
        self.assertEqual(sound["hops"]["heard"]["count"], 0)

    def test_media_time_of_another_timeline_is_told_to_have_no_skew(self):
        """A filter's pictures that carry neither stamps nor pts, faster than their media."""
        code, totals, said = self.measure("out cam.sound --policy lossless", PATTERN + " --unpaced --duration 9",
                                          f"{MONTAGE} cam out '{' '.join(map(str, range(250)))}'")
        self.assertEqual(code, 0, said)
        sound = totals["cam.sound"]
        self.assertEqual(sound["hops"]["skew"]["count"], 0, sound)
        self.assertEqual(sound["bursts"]["unsteady"], sound["bursts"]["beats"])
        self.assertGreaterEqual(sound["bursts"]["beats"], 3)

    def test_pictures_are_read_by_latest_and_sounds_in_order(self):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".py") as file:
            file.write(POLICIES)
            file.flush()
            for option, policies in (("", "['latest'] ['in-order']"),
                                     ("--policy latest", "['latest'] ['latest']")):
                done = run(PATTERN, f"shmframe-latency --marks cam --interval 0 {option}",
                           f"python3 {file.name}")
                self.assertIn(policies, done.stdout, done.stderr)

    def test_a_budget_that_nothing_has_the_hop_for_is_not_met(self):
        code, _, said = self.measure("cam --frames 3 --budget skew=20s@max", PATTERN + " --no-sound")
        self.assertEqual(code, 1)
        self.assertIn("budget skew=20s@max not met: no stream was measured that has this hop", said)

    def test_without_marks_it_says_so(self):
        done = run(PATTERN.replace(" --marks", " --no-sound"),
                   "shmframe-latency --marks cam --frames 5 --interval 0")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("\nno mark in 5 pictures\n", done.stdout)

    def test_pictures_of_another_source_are_not_said_to_have_no_mark(self):
        done = run(PATTERN + " --no-sound", "shmframe-latency --marks cam --source else --frames 5 --interval 0")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\n  marks of another source \(hash [0-9a-f]{4}\) in 5 pictures so far\n")
        self.assertNotIn("no mark in", done.stdout)

    def test_tables_stand_below_each_other(self):
        done = run(PATTERN, "shmframe-latency --marks cam --duration 0.5 --interval 0")
        self.assertEqual(done.returncode, 0, done.stderr)
        names = [line.split()[0] for line in done.stdout.splitlines() if line]
        begin = names.index("cam,")
        self.assertEqual(names[begin:begin + 12],
                         ["cam,", "hop", "produce", "wake", "transit", "hold", "age", "delivered",
                          "marks", "mark_age", "seen", "shown_for"])
        self.assertRegex(done.stdout, r"\nmarks of cam: frames \d+, lost \d+, repeated 0, "
                         r"out of order 0, torn 0\n")
        self.assertRegex(done.stdout, r"\nbursts \d+, beats of cam \d+, compared \d+\n")

    def test_intervals_add_up(self):
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
            run(PATTERN + " --no-sound", "shmframe-latency --marks cam --policy in-order --format json "
                f"--interval 0.3 --duration 1 > {file.name}")
            *intervals, total = [json.loads(line) for line in file]
        self.assertGreaterEqual(len(intervals), 1)
        frames = sum(interval["marks"]["frames"] for interval in intervals)
        self.assertGreater(intervals[0]["marks"]["frames"], 0)
        self.assertLessEqual(frames, total["marks"]["frames"])
        self.assertEqual(sum(interval["hops"]["seen"]["count"] for interval in intervals), frames)

    def test_mistakes_are_usage_errors_before_anything_is_opened(self):
        for arguments in (["--marks"], ["cam", "--source", "cam"], ["cam", "--budget", "seen=1ms@p50"],
                          ["cam", "--marks", "--of", "3"], ["cam", "--marks", "--spin", "1ms"],
                          ["cam", "--marks", "--source", "Not A Name"], ["cam", "B AD", "--marks"],
                          ["cam", "--marks", "--budget", "look=1ms@p50"]):
            done = subprocess.run([LATENCY, *arguments], text=True, capture_output=True, timeout=30,
                                  check=False, env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
            self.assertEqual(done.returncode, 2, (arguments, done.stderr))
            self.assertEqual(done.stderr.count("\n"), 1, arguments)


if __name__ == "__main__":
    unittest.main()
