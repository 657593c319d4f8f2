"""shmframe-snapshot by its command line: names, series, types, and what goes wrong."""

import json
import os
import re
import subprocess
import tempfile
import unittest

SHMFRAME = os.environ["SHMFRAME"]
SNAPSHOT = os.environ["SNAPSHOT"]
PATTERN = "shmframe-pattern --stream cam --no-sound --size 64x48 --rate 60 --wait-readers 1"
# Frames that nobody loses: the writer waits.
FILM = "shmframe-pattern --stream cam --no-sound --size 64x48 --unpaced --wait-readers 1 --frames 40"


class Snapshot(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def call(self, *lines):
        return subprocess.run([SHMFRAME, "run", *lines], text=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False, cwd=self.folder)

    def snap(self, options, pattern=PATTERN):
        """The exit code, what was told of each picture and of all, and what was said."""
        done = self.call(pattern, f"shmframe-snapshot cam --format json {options} > told")
        with open(os.path.join(self.folder, "told"), encoding="utf-8") as told:
            objects = [json.loads(line) for line in told]
        os.unlink(os.path.join(self.folder, "told"))
        return done.returncode, objects, done.stderr

    def files(self):
        return sorted(os.listdir(self.folder))

    def test_without_a_name_stream_and_time_are_one(self):
        code, objects, said = self.snap("")
        self.assertEqual(code, 0, said)
        name, = self.files()
        self.assertRegex(name, r"^cam-\d{8}-\d{6}\.png$")
        picture, total = objects
        self.assertEqual((picture["span"], picture["file"], picture["stream"]),
                         ("picture", name, "cam"))
        self.assertEqual((picture["width"], picture["height"], picture["pixel_format"]),
                         (64, 48, "rgb24"))
        self.assertTrue(picture["is_converted"])
        self.assertGreater(picture["hold_ns"], 0)
        self.assertRegex(picture["captured"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertEqual((total["span"], total["pictures"], total["converted"],
                          total["ended_by"]), ("total", 1, 1, "count"))

    def test_every_nth_of_a_film_none_missing(self):
        code, objects, said = self.snap("shot-%03d.ppm --nth 3 --every 8", FILM)
        self.assertEqual(code, 0, said)
        *pictures, total = objects
        self.assertEqual([p["sequence"] for p in pictures], [3, 11, 19, 27, 35])
        self.assertEqual(self.files(), [f"shot-{i:03}.ppm" for i in range(1, 6)])
        self.assertEqual((total["lost"], total["late"], total["frames"], total["ended_by"]),
                         (0, 0, 40, "end of stream"))

    def test_a_count_alone_is_of_successive_frames(self):
        _, objects, _ = self.snap("%d.png --count 4", FILM)
        self.assertEqual([p["sequence"] for p in objects[:-1]], [1, 2, 3, 4])

    def test_a_frame_each_so_often(self):
        code, objects, said = self.snap("%02d.pgm --every 100ms --count 3")
        self.assertEqual(code, 0, said)
        instants = [p["capture_ns"] for p in objects[:-1]]
        for before, after in zip(instants, instants[1:]):
            self.assertGreaterEqual(after - before, 80e6)
        self.assertGreaterEqual(instants[2] - instants[0], 200e6)

    def test_standard_output_takes_a_series(self):
        done = self.call(FILM, "shmframe-snapshot cam - --as ppm --every 10 > all")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.folder, "all"), "rb") as file:
            data = file.read()
        header = b"P6\n64 48\n255\n"
        self.assertEqual(len(data), 4 * (len(header) + 64 * 48 * 3))
        self.assertEqual(data.count(header), 4)

    def test_standard_output_that_goes_away_ends_it(self):
        done = self.call(FILM, "bash -c 'set -o pipefail; shmframe-snapshot cam - --as ppm --every 1 "
                               "| head -c 100 > part'")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("shmframe-snapshot: ", done.stderr)
        self.assertEqual(os.path.getsize(os.path.join(self.folder, "part")), 100)

    def test_a_stream_that_always_has_a_frame_can_be_left(self):
        endless = ("shmframe-pattern --stream cam --no-sound --size 640x480 --unpaced "
                   "--wait-readers 1")
        done = self.call(endless, "shmframe-snapshot cam - --every 1 --duration 300ms > /dev/null")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.call(endless, "shmframe-snapshot cam %d.png --every 1 --format json > told & "
                                  "until [ -s told ]; do sleep 0.01; done; kill -TERM $!; wait $!")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.folder, "told"), encoding="utf-8") as told:
            self.assertEqual(json.loads(told.readlines()[-1])["ended_by"], "signal")

    def test_a_size_and_square_pixels(self):
        _, objects, _ = self.snap("small.jpg --scale 32x16 --quality 50")
        picture = objects[0]
        self.assertEqual((picture["width"], picture["height"], picture["is_scaled"]),
                         (32, 16, True))
        _, objects, _ = self.snap("square.png --square")
        self.assertEqual((objects[0]["width"], objects[0]["is_scaled"]), (64, False))

    def test_ten_bits_become_sixteen(self):
        _, objects, _ = self.snap("deep.png", PATTERN + " --pixel-format yuv420p10le")
        self.assertEqual(objects[0]["pixel_format"], "rgb48be")
        self.assertEqual(objects[0]["source_pixel_format"], "yuv420p10le")

    def test_a_name_that_exists_is_told_at_once(self):
        path = os.path.join(self.folder, "old.png")
        with open(path, "w", encoding="utf-8") as file:
            file.write("old")
        # Before there is anybody to ask.
        done = subprocess.run([SNAPSHOT, "cam", path], text=True, capture_output=True, timeout=30,
                              check=False, env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
        self.assertEqual((done.returncode, done.stderr),
                         (1, f"shmframe-snapshot: {path} is there already: --overwrite replaces "
                             "it\n"))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "old")
        for option in ("--overwrite", "-y"):
            with open(path, "w", encoding="utf-8") as file:
                file.write("old")
            code, _, said = self.snap("old.png " + option)
            self.assertEqual(code, 0, said)
            self.assertGreater(os.path.getsize(path), 100)

    def test_a_file_that_cannot_be_written_is_named(self):
        code, _, said = self.snap("missing/a.png")
        self.assertEqual(code, 1)
        self.assertIn("missing/a.png cannot be written: No such file or directory (make its "
                      "directory first)\n", said)

    def test_a_disk_that_is_full_keeps_what_is_whole(self):
        disk = os.path.join(self.folder, "disk")
        os.mkdir(disk)
        mounted = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", disk],
                                 capture_output=True, check=False)
        if mounted.returncode:
            self.skipTest("no file system can be mounted here")
        # The writer is outside: only this reader sees the disk.
        done = self.call(FILM, "unshare -rm sh -c 'mount -t tmpfs -o size=40k none disk && "
                               "shmframe-snapshot cam disk/%d.ppm --every 1; code=$?; "
                               "wc -c disk/* ; ls -A disk; exit $code'")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"shmframe-snapshot: disk/4\.ppm cannot be written: no space "
                                      r"is left for it\n")
        sizes = re.findall(r"^ *(\d+) disk/(\d)\.ppm$", done.stdout, flags=re.M)
        self.assertEqual(sizes, [(str(64 * 48 * 3 + 13), n) for n in "123"], done.stdout)
        self.assertNotIn(".part", done.stdout)

    def test_no_picture_is_a_failure(self):
        code, objects, said = self.snap("late.png --nth 100", FILM)
        self.assertEqual((code, objects[0]["pictures"]), (1, 0))
        self.assertIn("cam: 0 of 1 pictures were taken: end of stream after 40 frames\n", said)
        code, _, said = self.snap("late.png --deadline 200ms --nth 2",
                                  "shmframe-pattern --stream cam --no-sound --size 64x48 --rate 1/5")
        self.assertEqual(code, 1)
        self.assertIn("cam: no frame for 0.2 s", said)
        self.assertEqual(self.files(), [])

    def test_fewer_pictures_than_asked_for_are_a_failure(self):
        code, objects, said = self.snap("%d.pgm --nth 38 --count 5", FILM)
        self.assertIn("cam: 3 of 5 pictures were taken: end of stream after 40 frames\n", said)
        self.assertEqual((code, objects[-1]["pictures"]), (1, 3))
        self.assertEqual(len(self.files()), 3)

    def test_a_stream_that_is_not_there_or_has_no_picture_is_named(self):
        done = self.call(PATTERN, "shmframe-snapshot nowhere --wait 100ms")
        self.assertEqual(done.returncode, 1)
        self.assertIn("stream nowhere did not appear within 0.1 s; ", done.stderr)
        done = self.call("shmframe-pattern --stream cam --size 64x48",
                         "shmframe-snapshot cam.sound")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cam.sound is sound, of which there is no picture", done.stderr)

    def test_mistakes_are_usage_errors_before_anything_is_opened(self):
        for arguments in ([], ["a", "b.png", "c"], ["cam", "a.gif"], ["cam", "a"],
                          ["cam", "a.png", "--as", "bmp"], ["cam", "a.png", "--every", "often"],
                          ["cam", "a.png", "--every", "2"], ["cam", "a.png", "--count", "2"],
                          ["cam", "a.png", "--quality", "50"], ["cam", "a.jpg", "--quality", "101"],
                          ["cam", "a.jpg", "--quality", "0"], ["cam", "a.png", "--nth", "0"],
                          ["cam", "-", "--format", "json"], ["Not A Name"],
                          ["cam", "a.png", "--square", "--scale", "3x4"],
                          ["cam", "a-%d.png"], ["cam", "a-%d.png", "--frames", "4"],
                          ["cam", "a.png", "--scale", "3"], ["cam", "--policy", "all"]):
            done = subprocess.run([SNAPSHOT, *arguments], text=True, capture_output=True,
                                  timeout=30, check=False,
                                  env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
            self.assertEqual(done.returncode, 2, (arguments, done.stderr))
            self.assertEqual(done.stderr.count("\n"), 1, arguments)


if __name__ == "__main__":
    unittest.main()
