"""What shmframe-view makes of colours: bars of known values in each kind of format, on screen."""

import os
import subprocess
import tempfile
import unittest

from picture import Picture
from supervisor import start_supervisor

VIEW = os.environ["VIEW"]
BARS_WRITER = os.environ["BARS_WRITER"]
SUPERVISOR = os.environ["SUPERVISOR"]

# Pixel format, matrix, range; how far off its colours may be.
CASES = [
    ("yuv420p", "smpte170m", "tv", 2), ("yuv420p", "bt709", "tv", 2), ("yuv420p", "smpte170m", "pc", 2),
    ("yuv420p", "bt709", "pc", 3), ("yuv420p", "bt2020nc", "tv", 3), ("nv12", "bt709", "tv", 2),
    ("yuyv422", "smpte170m", "tv", 2), ("uyvy422", "bt709", "tv", 2), ("nv16", "bt709", "tv", 3),
    ("yuvj422p", "smpte170m", "pc", 3), ("yuv444p", "bt709", "tv", 2), ("yuv422p10le", "bt709", "tv", 2),
    ("p010le", "bt2020nc", "tv", 2), ("y210le", "bt709", "tv", 2), ("yuv444p16le", "bt709", "pc", 2),
    ("gray", "bt709", "pc", 1), ("gray", "bt709", "tv", 2), ("gray10le", "bt709", "tv", 2),
    ("rgb24", "gbr", "pc", 0), ("rgb24", "gbr", "tv", 1), ("gbrp10le", "gbr", "pc", 1),
    ("rgb48le", "gbr", "pc", 1), ("rgba64le", "gbr", "pc", 1), ("yuva420p", "bt709", "tv", 3),
    ("rgba", "gbr", "pc", 0),
]
# Of those, the last bar is transparent.
TRANSPARENT = ("rgba64le", "yuva420p", "rgba")
CHECKS = ((102, 102, 102), (153, 153, 153))


class Colour(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.screenshot = os.path.join(self.folder, "seen.png")
        # No display and no sound: the renderer is the software's, the same everywhere.
        self.env = dict(os.environ, SHMFRAME_SOCKET=os.path.join(self.folder, "socket"))
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "SDL_RENDER_DRIVER"):
            self.env.pop(name, None)
        self.supervisor = start_supervisor(SUPERVISOR, self.env)
        self.addCleanup(self.end_supervisor)

    def end_supervisor(self):
        self.supervisor.terminate()
        self.supervisor.wait(10)

    def show(self, *bars):
        """The colours of the bars on screen, what they should be, and what the view said."""
        writer = subprocess.Popen([BARS_WRITER, "bars", *bars], env=self.env, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        done = subprocess.run([VIEW, "bars", "--no-sound", "--policy", "lossless", "--wait", "20",
                               "--screenshot", self.screenshot], env=self.env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        wanted = [tuple(map(int, line.split())) for line in writer.communicate(timeout=20)[0].splitlines()]
        self.assertEqual((writer.returncode, done.returncode), (0, 0), done.stderr)
        picture = Picture(self.screenshot)
        self.assertEqual((picture.width, picture.height), (320, 32))
        return [picture.pixel(bar * 40 + 20, 16) for bar in range(8)], wanted, done.stderr

    def test_bars_are_what_their_format_says(self):
        for *bars, tolerance in CASES:
            with self.subTest(" ".join(bars)):
                seen, wanted, _ = self.show(*bars)
                self.assertEqual(len(wanted), 8)
                if bars[0] in TRANSPARENT:
                    self.assertIn(seen.pop(), CHECKS)
                worst = max(abs(a - b) for s, w in zip(seen, wanted) for a, b in zip(s, w))
                self.assertLessEqual(worst, tolerance, (seen, wanted))

    def test_hdr_is_told_and_keeps_its_hues(self):
        seen, _, said = self.show("yuv420p10le", "bt2020nc", "tv", "smpte2084", "bt2020")
        self.assertIn("HDR (PQ), shown by a tone map for a peak of 1000 cd/m2", said)
        grey, yellow, black = seen[0], seen[1], seen[7]
        # A code of 0.75 is 983 cd/m2: all but the peak.
        self.assertTrue(all(250 <= value <= 255 for value in grey), grey)
        self.assertTrue(yellow[0] > 250 and yellow[1] > 240 and yellow[2] < 10, yellow)
        self.assertTrue(all(value <= 2 for value in black), black)

    def test_wide_primaries_become_those_of_the_screen(self):
        seen, wanted, said = self.show("rgb24", "gbr", "pc", "bt709", "bt2020")
        self.assertNotIn("HDR", said)
        for i in (0, 7):  # grey is grey
            self.assertLessEqual(max(abs(a - b) for a, b in zip(seen[i], wanted[i])), 2, seen[i])
        # 0.5225 of light of BT.2020's red is 0.8677 of BT.709's, and less than none of green and blue.
        self.assertLessEqual(max(abs(a - b) for a, b in zip(seen[5], (238, 0, 0))), 3, seen[5])


if __name__ == "__main__":
    unittest.main(verbosity=2)
