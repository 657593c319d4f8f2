"""demos/glass-to-glass on a display and a sound server of its own. LONG: also what takes longer, and skew."""

import json
import os
import sys
import unittest

from demo import DEMOS, IS_LONG, Demo

sys.path.insert(0, os.path.join(DEMOS, "measuring"))
import figures as tables  # noqa: E402

NAME = "glass-to-glass"
SMALL = ("--seconds", "3", "--size", "320x180", "--rate", "30")


class GlassToGlass(Demo):
    def test_it_tells_how_long_pictures_took_and_listens(self):
        figures = self.figures(NAME, *SMALL, "--report", "report")
        self.assertTrue(figures["own_display"] and figures["own_sound"])
        # The display has room for the whole window.
        self.assertEqual(figures["scale"], 1)
        picture, sound = figures["picture"], figures["sound"]
        self.assert_is_sane(picture)
        self.assertEqual(picture["marks"]["torn"], 0)
        self.assertGreater(sound["counters"]["delivered"], 0)
        self.assertEqual(sound["bursts"]["picture"], "screen")
        self.assertEqual(sound["hops"]["heard"]["count"], sound["hops"]["skew"]["count"])
        with open(os.path.join(self.folder, "report", "run.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["title"], "Glass to glass")
        self.assert_has_lines(tables.table(picture, sound, []), picture, "skew: picture - sound")

    def assert_has_lines(self, table, picture, *more):
        """Its lines are of these figures."""
        count = picture["hops"]["seen"]["count"]
        self.assertRegex(table, rf"(?m)^  picture: input to pixel +{count}( +\d+\.\d){{4}}$")
        for line in ("picture: shown for", *more):
            self.assertIn(f"\n  {line} ", table)

    @unittest.skipUnless(IS_LONG, "in the long run")
    def test_flash_and_burst_are_matched(self):
        # Where the sound server gets no processor it plays bursts with holes: not three times in a row.
        for _ in range(3):
            sound = self.figures(NAME, *SMALL, "--seconds", "6")["sound"]
            if sound["hops"]["skew"]["count"]:
                break
        self.assertGreater(sound["hops"]["skew"]["count"], 0, sound)
        # A flash and its burst belong together: half a second off is another beat's.
        self.assertLess(abs(sound["hops"]["skew"]["p50_ns"]), 500_000_000)

    @unittest.skipUnless(IS_LONG, "in the long run")
    def test_the_table_says_how_to_read_it(self):
        done = self.call(NAME, *SMALL, "--no-sound")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"picture: input to pixel +\d+( +\d+\.\d){4}\n")
        self.assertIn("How to read it.", done.stdout)
        self.assertNotIn("skew", done.stdout)

    def test_figures_in_words(self):
        def hop(*values):
            keys = ("min_ns", "p10_ns", "p50_ns", "p90_ns", "p99_ns", "max_ns")
            return {"count": len(values) and 3, **dict(zip(keys, (value * 1_000_000 for value in values)))}

        def start(seen, skew):
            return {"is_live": True, "picture": {"hops": {"seen": hop(seen, seen, seen, seen + 1, seen + 2, seen + 3)}},
                    "sound": skew and {"hops": {"heard": hop(), "skew": hop(*skew)}, "bursts": {"bound": hop(0, 0, 5)}}}
        starts = [start(30, (-9, -8, -7, 6, 7, 8)), start(10, None), start(20, (1, 2, 3, 4, 5, 6)), start(40, None)]
        self.assertEqual(tables.skew_text(starts[0]["sound"]),
                         "  skew: 7.0 ms at p50, the picture comes first; known to +-5.0 ms beside what the recording "
                         "adds\n    least -9.0, p10 -8.0, p90 6.0, most 8.0; below 0 the picture comes first")
        # A start that was measured, and of those that have it.
        self.assertEqual([value and value // 1_000_000 for value in tables.medians(starts).values()],
                         [20, 21, 22, 23, None, -7])
        lines = tables.starts_table(starts).splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["start", "1", "2", "3", "4", "median"])
        self.assertEqual(lines[2].split(), ["2", "10.0", "11.0", "12.0", "13.0", "-", "-"])
        self.assertEqual(lines[5].split(), ["median", "20.0", "21.0", "22.0", "23.0", "-", "-7.0"])
        self.assertIn("shown at 90 % of its size", tables.scale_text(0.9))
        self.assertEqual((tables.scale_text(1), tables.scale_text(None)), (None, None))

    def test_who_was_too_busy_is_told_by_what_was_late_and_by_what_the_capture_missed(self):
        def marks(lost, unseen):
            return {"frames": 100 - lost, "lost": lost, "lost_unseen": unseen}
        self.assertIsNone(tables.busy_text(100, 1, marks(30, 0)))
        self.assertIn("too late for 10 of its 110 frames", tables.busy_text(100, 10, marks(0, 0)))
        self.assertIn("the capture missed pictures", tables.busy_text(100, 0, marks(30, 40)))
        self.assertIsNone(tables.busy_text(100, 0, marks(30, 1)))

    def test_bad_values_are_refused_before_anything_starts(self):
        for arguments, word in ((("--seconds", "2"), "3 to 86400"), (("--size", "100x90"), "152x120"),
                                (("--rate", "x"), "1 to 240"), (("more",), "unrecognized")):
            with self.subTest(arguments=arguments):
                done = self.call(NAME, *arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(f"demos/{NAME}: ", done.stderr.splitlines()[0])
                self.assertIn(word, done.stderr.splitlines()[0])

    def test_a_display_that_is_not_there_is_named(self):
        self.env["DISPLAY"] = ":4711"
        done = self.call(NAME, "--seconds", "3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the display ':4711' that $DISPLAY names cannot be used; --headless ", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
