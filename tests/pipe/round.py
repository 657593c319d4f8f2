"""Round trips: ring, pipe, other people's programs, pipe, ring: the bytes stay the same."""

import json
import os
import subprocess
import tempfile
import unittest

SHMFRAME = os.environ["SHMFRAME"]
PIPE = os.environ["PIPE"]
PIPE_IN = os.environ["PIPE_IN"]
SECONDS = 60
FILE = "shmframe-pattern --size 70x50 --rate 25 --unpaced --wait-readers 1 --no-sound --frames 40"
BACK = "shmframe-pipe --in back --unpaced --wait-readers 1 --format json"


class Round(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def call(self, *lines, code=0):
        done = subprocess.run([SHMFRAME, "run", *lines], text=True, capture_output=True,
                              timeout=SECONDS, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def shell(self, line):
        """A command line of the shell that keeps its pipes' failures, for run."""
        with open(self.path("line.sh"), "w", encoding="utf-8") as file:
            file.write("set -eo pipefail\n" + line + "\n")
        return "bash " + self.path("line.sh")

    def go_round(self, producer, road, ending="raw"):
        """Writes what is in the first ring and in the second; returns the statistics of the way in."""
        self.call(producer, f"shmframe-pipe -y demo {self.path('before.' + ending)}")
        done = self.call(producer, self.shell(f"shmframe-pipe demo {road} > {self.path('report')}"),
                         f"shmframe-pipe -y back {self.path('after.' + ending)}")
        self.assertEqual(self.read("after." + ending), self.read("before." + ending), done.stderr)
        with open(self.path("report"), encoding="utf-8") as file:
            return json.load(file)["streams"][0]

    def test_pictures_go_round_by_y4m(self):
        for pixel_format in ("yuv420p", "yuv444p10le"):
            with self.subTest(pixel_format=pixel_format):
                stream = self.go_round(FILE + " --pixel-format " + pixel_format, "| " + BACK, "y4m")
                self.assertEqual((stream["frames"], stream["in_place"], stream["dropped"]),
                                 (40, 40, 0))
                self.assertGreater(len(self.read("after.y4m")), 40 * 5250)

    def test_pictures_go_round_by_nut_and_raw(self):
        stream = self.go_round(FILE + " --pixel-format rgb24", "--as nut | " + BACK)
        self.assertEqual((stream["stream"], stream["frames"]), ("back", 40))
        stream = self.go_round(FILE + " --pixel-format rgb24", "--as raw | " + BACK +
                               " --pixel-format rgb24 --size 70x50")
        self.assertEqual((stream["in_place"], stream["copied"]), (40, 0))

    def test_sound_goes_round_by_wav_and_other_programs(self):
        subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=r=48000:d=1.003",
                        "-ac", "2", self.path("sine.wav")], check=True, timeout=SECONDS)
        media = f"shmframe-media --unpaced --wait-readers 1 --stream x {self.path('sine.wav')}"
        for between in ("", "sox -t wav - -t wav - |"):
            with self.subTest(between=between):
                done = self.call(media, self.shell(f"shmframe-pipe x.sound | {between} {BACK}"),
                                 f"shmframe-pipe -y back {self.path('after.raw')}")
                samples = subprocess.run(["sox", self.path("sine.wav"), "-t", "raw", "-"],
                                         capture_output=True, check=True, timeout=SECONDS).stdout
                self.assertEqual(self.read("after.raw"), samples, done.stderr)
                self.assertEqual(len(samples), 48144 * 4)

    def test_what_ffmpeg_writes_is_read_and_what_needs_decoding_goes_to_media(self):
        source = "ffmpeg -loglevel error -f lavfi -i testsrc=size=70x50:rate=25:duration=1"
        for options in ("-pix_fmt yuv420p -f yuv4mpegpipe", "-pix_fmt yuv420p -f nut -c:v rawvideo",
                        "-pix_fmt yuv420p -c:v ffv1 -f matroska"):
            with self.subTest(options=options):
                done = self.call(self.shell(f"{source} {options} - | {BACK}"),
                                 f"shmframe-pipe -y back {self.path('after.raw')}")
                wanted = subprocess.run([*source.split(), "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"],
                                        capture_output=True, check=True, timeout=SECONDS).stdout
                self.assertEqual(self.read("after.raw"), wanted, done.stderr)
        self.call(self.shell("ffmpeg -loglevel error -f lavfi -i sine=r=8000:d=0.5 -c:a pcm_s24le "
                             "-f wav - | " + BACK), f"shmframe-pipe -y back.sound {self.path('s32.raw')}")
        self.assertEqual(len(self.read("s32.raw")), 4000 * 4)

    def test_a_fifo_is_a_stream(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        done = self.call(FILE, f"shmframe-pipe demo {fifo} --as y4m",
                         f"shmframe-pipe --in=back {fifo} --unpaced --wait-readers 1",
                         f"shmframe-pipe back {self.path('after.y4m')}")
        self.assertEqual(self.read("after.y4m").count(b"FRAME\n"), 40, done.stderr)

    def test_mistakes_are_usage_errors_before_anything_is_opened(self):
        for arguments in (["a", "b"], ["--as", "avi"], ["--as", "raw"],
                          ["--pixel-format", "rgb24"], ["--pixel-format", "pink", "--size", "6x4"],
                          ["--sample-format", "s16", "--channels", "2"],
                          ["--sample-format", "s16p", "--channels", "2", "--sample-rate", "8000"],
                          ["--pixel-format", "rgb24", "--size", "6x4", "--as", "y4m"],
                          ["--paced", "--unpaced"], ["--stay"], ["--stream", "Not A Name"]):
            for program in ([PIPE_IN], [PIPE, "--in", "back"], [PIPE, "-iback"], [PIPE, "--i=back"]):
                if program[0] == PIPE and "--stream" in arguments:
                    continue
                done = subprocess.run([*program, *arguments], text=True, capture_output=True,
                                      timeout=30, check=False, stdin=subprocess.DEVNULL,
                                      env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
                self.assertEqual(done.returncode, 2, (arguments, done.stderr))
                self.assertEqual(done.stderr.count("\n"), 1, arguments)
                self.assertTrue(done.stderr.startswith("shmframe-pipe-in: "), done.stderr)


if __name__ == "__main__":
    unittest.main()
