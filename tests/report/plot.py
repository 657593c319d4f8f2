"""Plots: well-formed, self-contained, with every extreme, and with texts that stay texts."""

import os
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as xml

NAMES = {"sizes", "percentiles", "histogram", "timeline", "bars", "hostile", "hostile-bars", "empty"}
SVG = "{http://www.w3.org/2000/svg}"


def setUpModule():
    global folder, holder
    holder = tempfile.TemporaryDirectory()
    folder = holder.name
    subprocess.run([os.environ["SAMPLES"], folder], check=True, timeout=60)


def tearDownModule():
    holder.cleanup()


def read(name):
    with open(os.path.join(folder, name + ".svg"), encoding="utf-8") as file:
        return file.read()


def texts(name):
    return ["".join(text.itertext()) for text in xml.fromstring(read(name)).iter(SVG + "text")]


def path_points(data):
    """The corners of a path, as absolute points."""
    x = y = 0.0
    for command, numbers in re.findall(r"([MLHVhvZ])([^MLHVhvZ]*)", data):
        values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command in "ML":
            x, y = values
        elif command == "H":
            x = values[0]
        elif command == "V":
            y = values[0]
        elif command == "h":
            x += values[0]
        elif command == "v":
            y += values[0]
        yield x, y


def shapes(name, kind):
    return [group for group in xml.fromstring(read(name)).iter(SVG + "g")
            if kind in group.get("class", "").split() and group.find(SVG + "title") is not None]


class Plots(unittest.TestCase):
    def test_each_is_well_formed_and_has_a_title(self):
        self.assertEqual({name[:-4] for name in os.listdir(folder)}, NAMES)
        for name in NAMES:
            root = xml.fromstring(read(name))
            self.assertEqual(root.tag, SVG + "svg", name)
            self.assertIsNotNone(root.find(SVG + "title"), name)

    def test_each_refers_to_nothing_outside_and_runs_nothing(self):
        for name in NAMES:
            text = read(name).replace("http://www.w3.org/2000/svg", "")
            self.assertNotRegex(text, r"href|url\(|@import|://", name)
            for element in xml.fromstring(read(name)).iter():
                self.assertNotEqual(element.tag, SVG + "script")
                self.assertFalse([key for key in element.keys() if key.startswith("on")], name)

    def test_each_number_is_one(self):
        for name in NAMES:
            for element in xml.fromstring(read(name)).iter():
                for key in ("d", "x", "y", "width", "height", "transform"):
                    self.assertNotRegex(element.get(key, ""), r"nan|inf", name)

    def test_all_stays_on_the_page(self):
        for name in NAMES:
            root = xml.fromstring(read(name))
            width, height = float(root.get("width")), float(root.get("height"))
            for path in root.iter(SVG + "path"):
                if path.get("transform"):
                    continue
                for x, y in path_points(path.get("d")):
                    self.assertTrue(0 <= x <= width and 0 <= y <= height, (name, x, y))

    def test_texts_of_any_kind_stay_texts(self):
        root = xml.fromstring(read("hostile"))
        self.assertEqual(root.find(SVG + "title").text,
                         "</title><script>alert(1)</script>\" onload='x' &")
        self.assertEqual(root.find(SVG + "desc").text,
                         "\ufffd \ufffd\ufffd half \ufffd\ufffd whole \u4e2d")
        shown = texts("hostile")
        for text in ("<x>", '"y"', '<line> & "more"', "<lane>"):
            self.assertIn(text, shown)
        self.assertNotIn("<level>", shown)  # at no number
        self.assertIn("]]>", texts("hostile-bars"))
        self.assertIn("&amp;", texts("hostile-bars"))

    def test_thinning_keeps_the_extremes(self):
        dots, = shapes("timeline", "dots")
        points = list(path_points(dots.find(SVG + "path").get("d")))
        self.assertLess(len(points), 8 * 760)
        heights = sorted({y for _, y in points})
        # The outlier is alone at the top, the one that is almost 0 alone at the bottom.
        frame = next(rect for rect in xml.fromstring(read("timeline")).iter(SVG + "rect")
                     if rect.get("class") == "frame")
        top, height = float(frame.get("y")), float(frame.get("height"))
        self.assertAlmostEqual(heights[0], top + height * (80 - 77) / 80, delta=0.2)
        self.assertGreater(heights[1] - heights[0], height / 2)
        self.assertAlmostEqual(heights[-1], top + height, delta=0.2)
        self.assertEqual(dots.find(SVG + "title").text, "age")

    def test_lines_go_through_their_points(self):
        lines = shapes("sizes", "line")
        self.assertEqual(len(lines), 10)
        for line in lines:
            self.assertEqual(len(list(path_points(line.find(SVG + "path").get("d")))), 8)
        # Markers tell what they stand for.
        self.assertIn("road number 0 64 B: 900 ns",
                      [title.text for title in lines[0].iter(SVG + "title")])

    def test_lanes_have_their_names_and_every_mark_is_seen(self):
        held, torn = shapes("timeline", "spans")
        self.assertEqual(held.find(SVG + "text").text, "lost: held")
        self.assertEqual(torn.find(SVG + "text").text, "torn")
        widths = [float(end) - float(start) for start, end in re.findall(
            r"M(\d+) [\d.]+H(\d+)", held.find(SVG + "path").get("d"))]
        self.assertEqual(len(widths), 2)  # two within one pixel are one mark
        self.assertGreaterEqual(widths[0], 1)
        self.assertGreater(widths[1], 10)

    def test_bars_stand_for_what_there_is(self):
        one, four = shapes("bars", "bars")
        self.assertEqual(len(one.findall(SVG + "rect")), 5)
        self.assertEqual(len(four.findall(SVG + "rect")), 6)
        self.assertEqual(one.find(SVG + "rect").find(SVG + "title").text,
                         "1 consumer, shared memory: 5.2 M/s")
        whiskers = [path for path in one.findall(SVG + "path") if path.get("class") == "whisker"]
        self.assertEqual(len(whiskers), 4)


if __name__ == "__main__":
    unittest.main()
