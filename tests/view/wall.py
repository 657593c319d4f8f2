"""shmframe-view with its hands: several streams, difference, zoom, pause, steps, pixel inspector."""

import json
import os
import subprocess
import time
import unittest

from display import VIEW, Display, wait_for
from picture import BARS

LATENCY = os.environ["LATENCY"]


class Wall(Display):
    def assert_near(self, got, wanted, what, tolerance=4):
        self.assertLessEqual(max(abs(a - b) for a, b in zip(got, wanted)), tolerance,
                             f"{what}: {got}, not {wanted}")

    def has_bars(self, picture, left, top, width, height):
        """Whether the pattern is there: its bars, over the upper half."""
        y = top + int(height * 0.53)
        return all(max(abs(a - b) for a, b in zip(
            picture.pixel(left + int((i + 0.5) * width / 7), y), BARS[i])) <= 4 for i in range(7))

    # ---- several streams ----

    def test_a_grid_keeps_each_aspect_ratio_and_a_stream_may_come_later(self):
        self.pattern("a")
        self.pattern("b", "--size", "90x90", "--rate", "25", "--no-sound")
        _, window = self.view("a", "b", "c", "--size", "320x180")
        self.wait_title(window, "a  160x90", "b  90x90", "c  waiting")
        picture = self.wait_picture(lambda p: self.has_bars(p, 0, 0, 160, 90) and
                                    self.has_bars(p, 160 + 35, 0, 90, 90), "both")
        self.assertEqual(picture.pixel(170, 45), (0, 0, 0))
        # What is said of the one that is missing, in white, and nothing else.
        cell = {picture.pixel(x, y) for x in range(160) for y in range(90, 180)}
        self.assertEqual(cell, {(0, 0, 0), (255, 255, 255)})
        self.pattern("c")
        self.wait_picture(lambda p: self.has_bars(p, 0, 90, 160, 90), "the third")

    def test_small_pictures_lie_in_corners_and_one_can_be_enlarged(self):
        self.pattern("a")
        self.pattern("b")
        _, window = self.view("a", "b", "--size", "320x180", "--layout", "pip")
        # 2 pixels of margin, a quarter of what is left.
        small = ((320 - 5 * 2) // 4, (180 - 5 * 2) // 4)
        left, top = 320 - small[0] - 2, 180 - small[1] - 2
        high = round(small[0] * 9 / 16)
        inset = (left, top + (small[1] - high) // 2, small[0], high)
        self.wait_picture(lambda p: self.has_bars(p, *inset) and
                          p.pixel(150, 80) == BARS[3], "both")
        self.point(window, left + 20, top + 20)
        self.key("Return")
        self.wait_picture(lambda p: self.has_bars(p, 0, 0, 320, 180) and
                          not self.has_bars(p, *inset), "the small one alone")
        self.key("Return")
        self.wait_picture(lambda p: self.has_bars(p, *inset), "both again")
        self.key("l")
        self.wait_picture(lambda p: self.has_bars(p, 0, 45, 160, 90) and
                          self.has_bars(p, 160, 45, 160, 90), "the grid")

    def test_the_window_has_the_size_of_its_layout_until_the_user_chooses_one(self):
        self.pattern("a")
        self.pattern("b")
        self.wait_listed("a", "b")
        _, window = self.view("a", "b")
        wait_for(lambda: self.geometry(window) == (320, 90), "room for two")
        self.key("l")
        wait_for(lambda: self.geometry(window) == (160, 90), "room for one")
        self.wait_picture(lambda p: (p.width, p.height) == (160, 90), "it")
        self.key("l")
        wait_for(lambda: self.geometry(window) == (320, 90), "room for two again")
        self.ask("windowsize", "--sync", window, 300, 200)
        self.wait_picture(lambda p: (p.width, p.height) == (300, 200), "the user's size")
        self.key("l")
        self.wait_picture(lambda p: p.pixel(150, 50) == BARS[3], "one that fills it")
        self.assertEqual(self.geometry(window), (300, 200))

    def test_numbers_leave_most_of_a_picture_to_it(self):
        for stream in ("a", "b"):
            self.pattern(stream, "--size", "480x270", "--rate", "30", "--no-sound")
        self.wait_listed("a", "b")
        _, window = self.view("a", "b", "--size", "960x270", "--overlay")
        dark = tuple(round(part * (255 - 170) / 255) for part in BARS[0])
        is_near = lambda pixel, wanted: max(abs(a - b) for a, b in zip(pixel, wanted)) <= 4
        picture = self.wait_picture(lambda p: is_near(p.pixel(2, 2), dark) and
                                    is_near(p.pixel(482, 2), dark),
                                    "the numbers of both")
        for left in (0, 480):
            self.assert_near(picture.pixel(left + 30, 110), BARS[0], "below the numbers")
        self.key("l")
        # A small one has no room that they could be read in.
        left, top = 960 - 4 - (960 - 5 * 4) // 4, 270 - 4 - (270 - 5 * 4) // 4
        # Of its 235 x 62 pixels the picture has the 110 in the middle.
        self.wait_picture(lambda p: is_near(p.pixel(242, 2), dark) and
                          is_near(p.pixel(left + 62 + 8, top + 4), BARS[0]), "one without them")

    def test_gauges_and_caption_leave_the_counter_to_be_read(self):
        for stream in ("a", "b"):
            self.pattern(stream, "--size", "480x270", "--rate", "30",
                         *(["--no-sound"] if stream == "b" else []))
        self.wait_listed("a", "b", "a.sound")
        _, window = self.view("a", "b", "--size", "960x270", "--gauges")
        self.wait_title(window, "a  sound", "b  480x270")
        gauge = {(70, 200, 100), (230, 200, 60), (35, 100, 50), (115, 100, 30), (40, 40, 40)}
        picture = self.wait_picture(lambda p: sum(p.pixel(300, y) in gauge
                                                  for y in range(200, 270)) == 2 * 7, "the gauges")
        counter = {picture.pixel(x, y) for x in range(194) for y in range(205, 270)}
        self.assertEqual({colour for colour in counter if len(set(colour)) > 1}, set())
        self.assertFalse(counter & gauge)

    def test_streams_go_and_come_again(self):
        self.pattern("a")
        b = self.pattern("b")
        view, window = self.view("a", "b", "--size", "320x90")
        shown = lambda p: self.has_bars(p, 160, 0, 160, 90)
        self.wait_picture(shown, "the second")
        b.kill()
        b.wait()
        self.wait_title(window, "b  waiting  160x90 yuv420p")
        self.assertTrue(shown(self.screenshot()), "the last picture stays")
        b = self.pattern("b", "--size", "80x45", "--rate", "30", "--no-sound")
        self.wait_title(window, "b  80x45")
        b.terminate()
        self.wait_title(window, "b  ended  80x45 yuv420p")
        self.pattern("b")
        self.wait_title(window, "b  160x90 yuv420p 30 fps")
        self.assertTrue(shown(self.screenshot()))
        report = self.end(view)
        a, b = report["streams"]
        self.assertEqual((a["stream"], a["counters"]["lost_late"]), ("a", 0))
        self.assertEqual((b["stream"], b["counters"]["restarts"]), ("b", 2))

    def test_the_sound_is_that_of_the_stream_that_is_chosen(self):
        for stream in ("a", "b", "c"):
            self.pattern(stream, "--size", "160x90", "--rate", "30",
                         *(["--no-sound"] if stream == "c" else []))
        self.wait_listed("a.sound", "b.sound", "c")
        view, window = self.view("c", "a", "b", "--size", "480x90")
        self.wait_title(window, "a  sound  160x90", "| b  160x90")
        self.key("3")
        self.wait_title(window, "| a  160x90", "b  sound  160x90")
        self.wait_read("b.sound")
        self.key("1")  # it has none
        self.key("2")
        self.wait_title(window, "a  sound  160x90", "| b  160x90")
        self.wait_read("a.sound")
        report = self.end(view)
        self.assertEqual([stream["stream"] for stream in report["streams"]],
                         ["c", "a", "b", "a.sound", "b.sound"])
        self.assertGreater(report["streams"][4]["counters"]["delivered"], 0)
        with open(os.path.join(self.folder, "errors"), encoding="utf-8") as file:
            self.assertIn("c has no sound", file.read())

    def test_one_that_cannot_be_shown_leaves_the_others_alone(self):
        twins = self.twins("rgb4")  # which libswscale writes, but does not read
        self.pattern("a")
        view, window = self.view("left", "a", "--size", "320x90")
        self.wait_read("left")
        self.do(twins, "l")
        self.wait_title(window, "left  cannot be shown", "a  160x90")
        self.wait_picture(lambda p: self.has_bars(p, 160, 0, 160, 90), "the other")
        self.end(view)
        with open(os.path.join(self.folder, "errors"), encoding="utf-8") as file:
            self.assertEqual(file.read().count("stream left: pixel format rgb4"), 1)

    # ---- difference ----

    def test_identical_pictures_are_black_and_a_changed_pixel_is_seen(self):
        twins = self.twins()
        view, window = self.start(VIEW, "--format", "json", "left", "right", "--size", "192x144",
                                  "--layout", "difference", stdout=subprocess.PIPE), None
        self.wait_read("left", "right")
        self.do(twins, "lrlr")
        window = self.find_window(view)
        self.point(window, 96, 72)
        self.wait_title(window, "matched 2", "differ 0.000 %")
        picture = self.screenshot()
        self.assertEqual({bytes(row) for row in picture.rows}, {bytes(3 * 192)})
        self.do(twins, "lllc")  # two of the left one have no partner
        self.wait_title(window, "matched 3  alone 2 + 0", "by 3 at most")
        picture = self.screenshot()
        lit = [(x, y) for x in range(192) for y in range(144) if picture.pixel(x, y) != (0, 0, 0)]
        self.assertEqual((min(lit), max(lit), len(lit)), ((30, 60), (32, 62), 9))
        self.assertEqual(picture.pixel(31, 61), (0, 24, 0))
        report = self.end(view)["difference"]
        self.assertEqual((report["matched"], report["unmatched"], report["most"]), (3, [2, 0], 3))
        self.assertAlmostEqual(report["differing"], 1 / (64 * 48))

    def test_the_difference_of_turned_pictures_is_turned(self):
        twins = self.twins()
        view = self.start_view("left", "right", "--layout", "difference", "--size", "192x144")
        self.wait_read("left", "right")
        self.do(twins, "tTlc")
        self.wait_title(self.aim(view), "matched 1", "by 3 at most")
        picture = self.screenshot()
        lit = [(x, y) for x in range(192) for y in range(144) if picture.pixel(x, y) != (0, 0, 0)]
        # 10, 20 of 64x48 is 27, 10 of 48x64, of which each is 2.25 wide, with 42 beside them.
        self.assertTrue(lit)
        for x, y in lit:
            self.assertTrue(100 <= x < 108 and 20 <= y < 28, lit)
        self.end(view)

    # ---- zoom ----

    def test_zoom_shows_pixels_as_they_are_under_the_mouse(self):
        twins = self.twins()
        view = self.start(VIEW, "left", "--size", "320x240", stdout=subprocess.DEVNULL)
        self.wait_read("left")
        self.do(twins, "l")
        window = self.find_window(view)
        self.point(window, 102, 52)  # pixel 20, 10
        picture = self.wait_picture(lambda p: p.pixel(102, 52) == (80, 50, 20), "the picture")
        self.key("plus", "plus", "plus")
        picture = self.wait_picture(lambda p: p.pixel(98, 52) == (80, 50, 20), "it, larger")
        self.assertEqual(picture.pixel(102, 52), (80, 50, 20))
        edges = [x for x in range(1, 320) if picture.pixel(x, 50) != picture.pixel(x - 1, 50)]
        self.assertLessEqual({b - a for a, b in zip(edges, edges[1:])}, {9, 10})
        self.ask("mousedown", 1)
        self.point(window, 152, 52)
        self.ask("mouseup", 1)
        self.wait_picture(lambda p: p.pixel(152, 52) == (80, 50, 20), "it, moved")
        self.ask("click", "--repeat", 3, 5)
        self.wait_picture(lambda p: p.pixel(102, 52) == (80, 50, 20), "it, smaller")
        self.key("z")
        picture = self.wait_picture(lambda p: p.pixel(102, 52) == (0, 0, 0), "it, one to one")
        self.assertEqual(picture.pixel(128 + 20, 96 + 10), (80, 50, 20))
        self.assertEqual(picture.pixel(127, 96), (0, 0, 0))
        self.assertEqual(picture.pixel(128 + 63, 96 + 47), (252, 235, 20))
        self.key("0")
        self.wait_picture(lambda p: p.pixel(102, 52) == (80, 50, 20), "all of it")

    # ---- pause and steps ----

    def test_pause_holds_the_picture_and_nobody_loses_any(self):
        self.pattern("demo")
        view, window = self.view()
        self.key("space")
        self.wait_title(window, "paused  #")
        title, first = self.ask("getwindowname", window), self.screenshot()
        other = subprocess.run([LATENCY, "demo", "--policy", "in-order", "--frames", "60",
                                "--format", "json"], env=self.env, text=True, timeout=60,
                               capture_output=True, check=True)
        total = json.loads(other.stdout.strip().split("\n")[-1])
        self.assertEqual(total["counters"]["lost_late"], 0, total)
        self.assertEqual(self.ask("getwindowname", window), title)
        self.assertEqual(self.screenshot().rows, first.rows)
        self.key("space")
        self.wait_picture(lambda p: p.rows != first.rows, "it goes on")
        report = self.end(view)
        self.assertGreaterEqual(report["passed"], 50)
        self.assertEqual(report["streams"][0]["counters"]["lost_late"], 0)
        self.assertGreater(report["streams"][0]["sequence"], 60)

    def test_steps_show_exactly_the_next_picture_and_those_before(self):
        twins = self.twins()
        view = self.start(VIEW, "--format", "json", "left", "--policy", "in-order", "--size",
                          "192x144", stdout=subprocess.PIPE)
        self.wait_read("left")
        self.do(twins, "l")
        window = self.find_window(view)
        self.point(window, 96, 72)
        self.wait_picture(lambda p: p.pixel(1, 1)[2] == 20, "the first")
        self.key("space")
        self.wait_title(window, "#1")
        self.do(twins, "llllll")  # five are held with the first, two are passed over
        for number in (2, 3, 4):
            self.step(window, "period", number)
            self.assertEqual(self.screenshot().pixel(1, 1), (0, 0, 20 * number))
        for number in (3, 2, 1):
            self.step(window, "comma", number)
        self.assertEqual(self.screenshot().pixel(1, 1), (0, 0, 20))
        self.key("comma")
        for number in (2, 3, 4, 5):
            self.step(window, "period", number)
        self.key("period")  # the next to come
        self.do(twins, "l")
        self.wait_title(window, "#8")
        self.assertEqual(self.screenshot().pixel(1, 1), (0, 0, 160))
        self.key("space")
        self.do(twins, "l")
        self.wait_picture(lambda p: p.pixel(1, 1) == (0, 0, 180), "it goes on")
        report = self.end(view)
        self.assertEqual((report["shown"], report["passed"], report["unshown"]), (7, 2, 0))
        self.assertEqual(report["streams"][0]["counters"]["lost_late"], 0)

    def test_a_writer_that_waits_is_stepped_through_picture_by_picture(self):
        twins = self.twins()
        view = self.start(VIEW, "--format", "json", "left", "--policy", "lossless", "--size",
                          "320x240", stdout=subprocess.PIPE)
        self.wait_read("left")
        self.do(twins, "l")
        window = self.find_window(view)
        self.point(window, 160, 120)
        self.key("space")
        self.wait_title(window, "#1")
        self.do(twins, 11 * "l")
        for number in range(2, 13):
            self.step(window, "period", number)
        report = self.end(view)
        self.assertEqual((report["shown"], report["passed"], report["unshown"]), (12, 0, 0))

    def test_a_writer_that_waits_stands_still_while_paused(self):
        self.pattern("a", "--size", "64x48", "--rate", "30", "--unpaced", "--duration", "4",
                     "--wait-readers", "1")
        view, window = self.view("a", "--policy", "lossless")
        self.key("space")
        self.wait_title(window, "paused")

        def heads():
            return [stream["head"] for stream in self.list_streams()]

        def stands():
            before = heads()
            time.sleep(0.5)
            return before == heads()
        wait_for(stands, "the end of frames")
        self.assertLess(max(heads()), 350)
        self.key("space")
        report = json.loads(view.communicate(timeout=40)[0])
        self.assertEqual([report[name] for name in ("shown", "unshown", "passed", "sound_passed",
                                                    "sound_dropped_ns")], [120, 0, 0, 0, 0])
        self.assertEqual(report["streams"][1]["counters"]["delivered"], 400)

    # ---- evictions ----

    def test_an_evicted_sound_is_a_failure(self):
        twins = self.twins()
        self.pattern("demo", "--size", "64x48", "--rate", "30")
        for names in (["demo.sound"], ["demo"]):
            view = self.start(VIEW, *names)
            self.wait_read("demo.sound")
            self.do(twins, "e")
            self.assertEqual(view.wait(30), 1)

    # ---- pixels ----

    def test_the_inspector_tells_values_in_the_streams_own_format(self):
        self.pattern("demo", "--size", "320x180", "--rate", "30", "--no-sound", "--pixel-format",
                     "yuv420p10le")
        view, window = self.view("--size", "480x270")
        self.point(window, 104, 47)  # yellow
        self.key("p")
        # The box has eleven pixels of the picture in squares of nine, beside the text on black.
        def is_in_bar(picture):
            near = [picture.pixel(122 + x, 65 + y) for x in (6, 56, 98) for y in (6, 56, 98)]
            return picture.pixel(124, 67) == (0, 0, 0) and all(
                max(abs(a - b) for a, b in zip(pixel, BARS[1])) <= 4 for pixel in near)
        # What moves over the bars may be there just now.
        def stands():
            self.wait_picture(is_in_bar, "the box")
            self.key("space")
            self.wait_title(window, "paused")
            if is_in_bar(self.screenshot()):
                return True
            self.key("space")
            return False
        wait_for(stands, "a pixel of the bar")
        report = self.end(view)
        self.assertEqual(len(report["inspected"]), 1)
        pixel = report["inspected"][0]
        self.assertEqual((pixel["stream"], pixel["x"], pixel["y"]), ("demo", 69, 31))
        # 75 % yellow by BT.601, in 10 bits.
        self.assertEqual(set(pixel["values"]), {"Y", "U", "V"})
        for name, wanted in (("Y", 4 * 162), ("U", 4 * 44), ("V", 4 * 142)):
            self.assertLessEqual(abs(pixel["values"][name] - wanted), 4, pixel)
        self.assert_near(pixel["shown"], BARS[1], "what is shown")

    def test_a_saved_frame_is_the_one_that_is_held(self):
        twins = self.twins()
        view = self.start(VIEW, "left", "--size", "200x200")
        self.wait_read("left")
        self.do(twins, "lll")
        window = self.find_window(view)
        self.point(window, 100, 100)
        self.wait_picture(lambda p: p.pixel(100, 100)[2] == 60, "the third")
        picture = self.saved("S", "left-*-*.3.png")
        self.assertEqual((picture.width, picture.height), (64, 48))
        for x, y in ((0, 0), (63, 0), (17, 31), (63, 47)):
            self.assertEqual(picture.pixel(x, y), (4 * x, 5 * y, 60))
        self.do(twins, "l")
        self.wait_picture(lambda p: p.pixel(100, 100)[2] == 80, "the fourth")


if __name__ == "__main__":
    unittest.main(verbosity=2)
