"""Marks come back, all of them and to the nanosecond, from pictures that were scaled, framed, converted,
blurred and encoded; and a mark that comes back wrong never does.

Pictures are painted, go through FFmpeg, and are looked at by the finder. One test takes the road of the
real programs: shmframe-pattern, the ring, shmframe-pipe.
"""

import os
import subprocess
import tempfile
import unittest

PAINT = os.environ["PAINT_MARKS"]
READ = os.environ["READ_MARKS"]
IS_LONG = os.environ.get("MARKS_LONG") == "1"
SIZE = (1280, 720)
START_NS = 987654321012345


def expected(number):
    """Capture, beat and microseconds since it of the painted frame `number`, at 60 a second."""
    media_ns = number * 10**9 // 60
    second = number // 60
    return START_NS + media_ns, second % 256, (media_ns - second * 10**9) // 1000


class Sight:
    def __init__(self, line):
        words = line.split()
        self.copies, self.torn, self.number, self.capture_ns, self.beat, self.since_us, self.corrected = map(
            int, words[:7]
        )
        self.cell = tuple(map(float, words[7:9]))


def transform(stages, size=SIZE, pixel_format="yuv420p", out_size=SIZE, out_format="yuv420p", first=100, count=4):
    """Each stage is arguments of FFmpeg between its input and its output; the last one makes raw video."""
    processes = [
        subprocess.Popen(
            [PAINT, str(size[0]), str(size[1]), pixel_format, str(first), str(count)], stdout=subprocess.PIPE
        )
    ]
    source = ["-f", "rawvideo", "-pix_fmt", pixel_format, "-s", "%dx%d" % size, "-r", "60"]
    for number, stage in enumerate(stages):
        is_last = number == len(stages) - 1
        end = ["-f", "rawvideo", "-pix_fmt", out_format] if is_last else ["-f", "nut"]
        processes.append(
            subprocess.Popen(
                ["ffmpeg", "-v", "error", *source, "-i", "pipe:0", *stage, *end, "pipe:1"],
                stdin=processes[-1].stdout,
                stdout=subprocess.PIPE,
            )
        )
        processes[-2].stdout.close()
        source = []
    read = subprocess.run(
        [READ, str(out_size[0]), str(out_size[1]), out_format],
        stdin=processes[-1].stdout,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    processes[-1].stdout.close()
    for process in processes:
        if process.wait(timeout=60):
            raise AssertionError(f"{process.args[0]} failed with {process.returncode}")
    return [Sight(line) for line in read.stdout.splitlines()]


def scaled(width, height, flags="bicubic", before="", after=""):
    chain = ",".join(part for part in (before, f"scale={width}:{height}:flags={flags}", after) if part)
    return {"stages": [["-vf", chain]], "out_size": (width, height)}


def filtered(chain, out_size=SIZE, **others):
    return {"stages": [["-vf", chain]], "out_size": out_size, **others}


def encoded(*codec, chain="null", out_size=SIZE, count=24, **others):
    return {"stages": [["-vf", chain, "-c:v", *codec], []], "out_size": out_size, "count": count, **others}


X264 = ("libx264", "-preset", "veryfast", "-tune", "zerolatency")


def limit(rate):
    return ("-b:v", rate, "-maxrate", rate, "-bufsize", rate)


# What each run looks at.
SHORT = {
    "a quarter": scaled(320, 180),
    "a quarter, nearest": scaled(320, 180, "neighbor"),
    "0.37": scaled(474, 266, "bilinear"),
    "four times": {**scaled(5120, 2880), "count": 2},
    "wide": scaled(1000, 240),
    "letterbox, then a window on grey": filtered(
        "scale=701:395,pad=801:595:50:100:black,pad=1920:1080:333:401:gray", (1920, 1080)
    ),
    "contrast and gamma": scaled(640, 360, after="eq=contrast=0.4:gamma=2.2"),
    "sharpened": scaled(640, 360, after="unsharp=7:7:2.5"),
    "noise of 40 levels": filtered("noise=alls=40:allf=t"),
    "full range BGRA": filtered("scale=800:450", (800, 450), out_format="bgra"),
    "x264 at 10 kbit a picture": encoded(*X264, *limit("600k")),
    "x264 at a quarter, 5 kbit a picture": encoded(*X264, *limit("300k"), chain="scale=320:180", out_size=(320, 180)),
    "MPEG-2 at its coarsest": encoded("mpeg2video", "-q:v", "31", count=12),
}
LONG = {
    **{
        f"{scale} {flags}": scaled(int(1280 * scale) // 2 * 2, int(720 * scale) // 2 * 2, flags)
        for scale in (0.2, 0.25, 0.3, 0.45, 0.77, 1.5, 2.3)
        for flags in ("neighbor", "fast_bilinear", "bilinear", "bicubic", "area", "lanczos", "gauss")
    },
    "tall": scaled(400, 900),
    "in a window over a fractal": filtered(
        "scale=701:395[a];mandelbrot=s=1920x1080:r=60[b];[b][a]overlay=333:401:shortest=1", (1920, 1080)
    ),
    "low contrast": filtered("eq=contrast=0.15"),
    "dark": filtered("eq=contrast=0.4:brightness=-0.25"),
    "blurred": filtered("gblur=sigma=6"),
    "ten bits, RGB, grey": filtered("format=yuv420p10le,format=gbrp,format=gray", out_format="gray"),
    "matrices and ranges": filtered(
        "scale=in_color_matrix=bt709:out_color_matrix=bt601:out_range=full,format=nv12", out_format="nv12"
    ),
    "16 bits": filtered("format=gbrp16le", out_format="gbrp16le"),
    "4:2:0 of a small pattern": {**scaled(320, 240), "size": (320, 240)},
    "large pattern": {**scaled(480, 270), "size": (1920, 1080)},
    "x264 at its coarsest": encoded(*X264, "-crf", "51", count=90),
    "x264 at 10 kbit a picture, longer": encoded(*X264, *limit("600k"), count=300),
    "x264 at a quarter, longer": encoded(
        *X264, *limit("300k"), chain="scale=320:180", out_size=(320, 180), count=300
    ),
    "x265 at 8 kbit a picture": encoded(
        "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", *limit("500k"), count=90
    ),
    "VP9 at 5 kbit a picture": encoded(
        "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k", count=90
    ),
    "MJPEG at its coarsest": encoded("mjpeg", "-q:v", "31", "-pix_fmt", "yuvj420p"),
    "MJPEG at a quarter": encoded(
        "mjpeg", "-q:v", "31", "-pix_fmt", "yuvj420p", chain="scale=320:180", out_size=(320, 180)
    ),
}


class Transformations(unittest.TestCase):
    def check(self, sights, count, first=100):
        self.assertEqual(len(sights), count)
        for number, sight in enumerate(sights, first):
            self.assertGreaterEqual(sight.copies, 1, f"frame {number}")
            self.assertEqual(sight.number, number)
            self.assertEqual((sight.capture_ns, sight.beat, sight.since_us), expected(number))
            self.assertEqual(sight.torn, 0, f"frame {number}")

    def test_marks_come_back(self):
        for name, how in {**SHORT, **(LONG if IS_LONG else {})}.items():
            with self.subTest(name):
                self.check(transform(**how), how.get("count", 4))

    @unittest.skipUnless(IS_LONG, "long")
    def test_beyond_the_limit_marks_are_missed_but_never_wrong(self):
        for rate in ("100k", "50k"):
            with self.subTest(rate):
                sights = transform(**encoded(*X264, *limit(rate), chain="scale=320:180", out_size=(320, 180), count=120))
                self.assertTrue(any(sight.copies == 0 for sight in sights), "this is within the limit")
                for sight in sights:
                    if sight.copies:
                        self.assertIn(sight.number, range(100, 220))
                        self.assertEqual((sight.capture_ns, sight.beat, sight.since_us), expected(sight.number))

    def test_the_programs_paint_and_carry_them(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "marked.y4m")
            subprocess.run(
                [
                    os.environ["SHMFRAME"],
                    "run",
                    "shmframe-pattern --marks --no-sound --unpaced --frames 100 --wait-readers 1",
                    f"shmframe-pipe demo {path} --policy lossless",
                ],
                check=True,
                timeout=60,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "SHMFRAME_SOCKET": os.path.join(folder, "socket")},
            )
            raw = subprocess.run(
                ["ffmpeg", "-v", "error", "-i", path, "-vf", "scale=640:360", "-f", "rawvideo", "-"],
                check=True,
                stdout=subprocess.PIPE,
                timeout=60,
            )
            read = subprocess.run([READ, "640", "360", "yuv420p"], input=raw.stdout, check=True, capture_output=True)
            sights = [Sight(line) for line in read.stdout.decode().splitlines()]
        self.assertEqual([sight.number for sight in sights], list(range(100)))
        for number, sight in enumerate(sights):
            self.assertEqual(sight.copies, 3)
            self.assertEqual(sight.capture_ns, number * 10**9 // 60)  # unpaced: media time


if __name__ == "__main__":
    unittest.main()
