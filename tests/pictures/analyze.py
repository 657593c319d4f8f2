"""The picture measures in shmframe-analyze: a filter beside its source, and the chart of bars."""

import json
import os
import subprocess
import tempfile
import unittest

SHMFRAME = os.environ["SHMFRAME"]
FILTER = os.environ["FILTER"]
DEADLINE_S = 60

# Where the chart has its vectorscope: the middle, and how many pixels a step of chroma is.
MIDDLE = (1092, 242)
STEP = 150 / 0.56 / 224


def analyze(*commands, options):
    """The JSON objects that it told, by what ran beside it."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
        done = subprocess.run([SHMFRAME, "run", *commands,
                               f"shmframe-analyze --format json {options} > {file.name}"],
                              text=True, capture_output=True, timeout=DEADLINE_S,
                              stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in file]


def values(chart, x, y):
    """The largest value of each of 7x7 pixels of a chart."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", chart, "-vf",
                           f"crop=7:7:{round(x) - 3}:{round(y) - 3}", "-f", "rawvideo", "-pix_fmt",
                           "rgb24", "-"], capture_output=True, timeout=DEADLINE_S, check=True)
    return [max(done.stdout[i:i + 3]) for i in range(0, len(done.stdout), 3)]


class Pictures(unittest.TestCase):
    def test_a_filter_is_compared_with_what_it_read(self):
        """By origin, live: the source's pictures wait for those that the filter makes of them."""
        lines = analyze("shmframe-pattern --stream cam --size 64x48 --rate 100 --no-sound",
                        f"{FILTER} cam negative",
                        options="negative --reference cam --frames 40 --interval 0")
        total = lines[-1]
        self.assertEqual(total["pictures"], 40)
        self.assertEqual(total["pairs"] + total["unmatched"], 40)
        self.assertGreater(total["pairs"], 30)
        self.assertLess(total["psnr_avg_db"], 20)
        self.assertLess(total["ssim_all"], 0.5)
        self.assertEqual((total["pairs_equal"], total["pairs_converted"]), (0, 0))

    def test_bars_lie_where_the_vectorscope_has_their_places(self):
        with tempfile.TemporaryDirectory() as folder:
            film, chart = os.path.join(folder, "bars.mkv"), os.path.join(folder, "bars.png")
            subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                            "smptebars=size=320x240:rate=25:duration=0.2,format=yuv444p", "-c:v",
                            "ffv1", film], check=True, timeout=DEADLINE_S)
            analyze(f"shmframe-media --unpaced --wait-readers 1 --stream bars {film}",
                    options=f"bars --chart {chart}")
            # Cb and Cr of bars of 75 %, BT.601: yellow, cyan, green, magenta, red, blue.
            for cb, cr in ((44, 142), (156, 44), (72, 58), (184, 198), (100, 212), (212, 114)):
                x, y = (cb - 128) * STEP, (cr - 128) * STEP
                bright = [value for value in values(chart, MIDDLE[0] + x, MIDDLE[1] - y) if value > 90]
                self.assertGreater(len(bright), 8) # more than a dot
                self.assertLess(max(values(chart, MIDDLE[0] + x / 2, MIDDLE[1] - y / 2)), 40)


if __name__ == "__main__":
    unittest.main()
