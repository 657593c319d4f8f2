"""shmframe-view without a display or a sound card: what it shows, says and leaves behind."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

from picture import BARS, Picture
from supervisor import start_supervisor

VIEW = os.environ["VIEW"]
PATTERN = os.environ["PATTERN"]
SUPERVISOR = os.environ["SUPERVISOR"]
SHMFRAME = os.environ["SHMFRAME"]
TURNED = os.environ["TURNED"]


class View(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.folder = self.temporary.name
        nothing = os.path.join(self.folder, "no-sound.conf")
        open(nothing, "w", encoding="utf-8").close()
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.folder, HOME=self.folder,
                        SHMFRAME_SOCKET=os.path.join(self.folder, "socket"),
                        ALSA_CONFIG_PATH=nothing, PULSE_SERVER=self.folder + "/none")
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "SDL_RENDER_DRIVER"):
            self.env.pop(name, None)
        self.processes = []
        self.screenshot = os.path.join(self.folder, "screen.png")

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.temporary.cleanup()

    def start(self, *arguments):
        process = subprocess.Popen(arguments, env=self.env, cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def start_supervisor(self):
        self.processes.append(start_supervisor(SUPERVISOR, self.env))

    def stream(self, *pattern):
        """A supervisor and a pattern."""
        self.start_supervisor()
        return self.start(PATTERN, *pattern)

    def view(self, *arguments, wanted=0):
        done = subprocess.run([VIEW, *arguments], env=self.env, cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, wanted, done.stderr)
        return done

    def start_view(self, *arguments):
        """A view that goes on until end_view()."""
        process = subprocess.Popen([VIEW, "--format", "json", *arguments], env=self.env,
                                   cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def end_view(self, process):
        process.send_signal(signal.SIGINT)
        report = json.loads(process.communicate(timeout=20)[0])
        self.assertEqual(process.returncode, 0)
        return report

    def wait_until_read(self, name, frames, restarts=0):
        """Until a stream's reader has that many more frames than now, of the writer after so many."""
        end, first, said = time.monotonic() + 20, None, ""
        while time.monotonic() < end:
            done = subprocess.run([SHMFRAME, "ls", name, "--format", "json"], env=self.env, text=True,
                                  capture_output=True, timeout=20, check=False)
            said = done.stdout + done.stderr
            for reader in json.loads(done.stdout)["readers"] if done.returncode == 0 else []:
                counters = reader["counters"]
                if counters["restarts"] == restarts:
                    first = counters["delivered"] if first is None else first
                    if counters["delivered"] >= first + frames:
                        return
            time.sleep(0.02)
        self.fail(f"stream {name} is not read: {said}")

    def report(self, *arguments, wanted=0):
        return json.loads(self.view("--format", "json", *arguments, wanted=wanted).stdout)

    def assert_bars(self, picture, left=0, top=0, width=None, height=None, tolerance=4):
        width, height = width or picture.width, height or picture.height
        y = top + int(height * 0.55)
        for index, wanted in enumerate(BARS):
            got = picture.pixel(left + int((index + 0.5) * width / 7), y)
            self.assertLessEqual(max(abs(a - b) for a, b in zip(got, wanted)), tolerance,
                                 f"bar {index}: {got}")

    @staticmethod
    def count(picture, colour, left, top, right, bottom):
        return sum(picture.pixel(x, y) == colour for x in range(left, right)
                   for y in range(top, bottom))

    def test_the_bars_stand_where_they_are_painted(self):
        self.stream("--size", "322x182", "--rate", "30")
        report = self.report("--frames", "10", "--screenshot", self.screenshot)
        picture = Picture(self.screenshot)
        self.assertEqual((picture.width, picture.height), (322, 182))
        self.assert_bars(picture)
        self.assertEqual((report["shown"], report["converted"]), (10, 0))
        streams = {stream["stream"]: stream for stream in report["streams"]}
        self.assertEqual(set(streams), {"demo", "demo.sound"})
        for stream in streams.values():
            self.assertEqual(stream["counters"]["lost_late"], 0)

    def test_a_source_that_is_quicker_than_the_window_does_not_keep_it_from_ending(self):
        self.stream("--size", "640x360", "--unpaced", "--no-sound", "--wait-readers", "1")
        report = self.report("--policy", "in-order", "--duration", "0.5")
        # Other things are looked at between two pictures, however many wait.
        self.assertLess(report["duration_ns"], 5_000_000_000)

    def test_a_window_of_another_shape_keeps_the_aspect_ratio(self):
        self.stream("--size", "320x180", "--rate", "30", "--no-sound")
        self.view("--frames", "3", "--size", "351x401", "--screenshot", self.screenshot)
        picture = Picture(self.screenshot)
        self.assertEqual((picture.width, picture.height), (351, 401))
        height = round(351 * 180 / 320)
        top = (401 - height) // 2
        self.assert_bars(picture, top=top, height=height)
        for y in (0, top - 2, top + height + 1, 400):
            self.assertEqual(picture.pixel(175, y), (0, 0, 0), y)

    def test_formats_that_sdl_does_not_have_are_converted_and_counted(self):
        self.start_supervisor()
        for pixel_format, is_converted in (("nv12", False), ("yuyv422", False), ("bgr0", False),
                                           ("yuv422p10le", True), ("gbrp", True)):
            with self.subTest(pixel_format):
                pattern = self.start(PATTERN, "--stream", "cam", "--size", "161x91", "--rate", "30",
                                     "--pixel-format", pixel_format, "--no-sound")
                report = self.report("cam", "--frames", "3", "--screenshot", self.screenshot)
                self.assertEqual(report["converted"], 3 if is_converted else 0)
                self.assert_bars(Picture(self.screenshot))
                pattern.terminate()
                pattern.wait(10)

    def test_rotation_is_kept(self):
        self.start_supervisor()
        self.start(TURNED)
        done = self.view("turned", "--policy", "lossless", "--frames", "5", "--screenshot",
                         self.screenshot)
        self.assertRegex(done.stdout, r"^shmframe-view: 5 pictures shown in .* 0 unshown, 5 converted\n")
        picture = Picture(self.screenshot)
        self.assertEqual((picture.width, picture.height), (32, 64))
        # Clockwise: what was on the left is above.
        self.assertEqual([picture.pixel(16, y) for y in (3, 28, 36, 60)],
                         2 * [(255, 255, 255)] + 2 * [(0, 0, 0)])

    def test_a_change_of_format_is_followed_in_the_same_window(self):
        self.start_supervisor()
        self.start(TURNED)
        report = self.report("turned", "--policy", "lossless", "--screenshot", self.screenshot)
        self.assertEqual((report["shown"], report["unshown"]), (10, 0))
        self.assertEqual(report["streams"][0]["counters"]["formats"], 1)
        picture = Picture(self.screenshot)
        self.assertEqual((picture.width, picture.height), (32, 64))
        self.assertEqual([picture.pixel(16, y) for y in (3, 20, 44, 60)],
                         [(0, 0, 0), (255, 255, 255), (255, 255, 255), (0, 0, 0)])

    def test_numbers_cover_the_picture(self):
        self.stream("--size", "640x360", "--rate", "30")
        self.view("--frames", "20", "--overlay", "--screenshot", self.screenshot)
        picture = Picture(self.screenshot)
        self.assertGreater(self.count(picture, (255, 255, 255), 0, 8, 400, 104), 2000, "letters")
        self.assertGreater(self.count(picture, (90, 200, 250), 0, 108, 416, 172), 100, "the curve")
        # The picture is seen through the panel, and untouched beside it.
        for x, y in ((85, 105), (265, 105), (350, 105)):
            dark = [round(part * (255 - 170) / 255) for part in BARS[x * 7 // 640]]
            self.assertLessEqual(max(abs(a - b) for a, b in zip(picture.pixel(x, y), dark)), 4)
        self.assertEqual(picture.pixel(600, 100), BARS[6])

    def test_null_devices_are_told_in_a_line_each(self):
        self.stream("--size", "64x48", "--rate", "30")
        lines = self.view("--frames", "5").stderr.splitlines()
        self.assertEqual(len(lines), 2, lines)
        self.assertIn("no display", lines[0])
        self.assertIn("no sound device", lines[1])

    def test_what_nobody_heard_is_not_told_as_heard(self):
        self.stream("--size", "64x48", "--rate", "30")
        words = self.view("--frames", "5").stdout.splitlines()[0]
        self.assertRegex(words, "; nobody heard the sound: no sound device$")
        self.assertEqual(self.report("--frames", "5")["sound_trouble"], "no sound device")

    def test_nothing_of_a_lossless_stream_is_thrown_away(self):
        self.stream("--size", "64x48", "--rate", "30", "--unpaced", "--duration", "3",
                    "--wait-readers", "1")
        report = self.report("--policy", "lossless")
        self.assertEqual((report["shown"], report["unshown"], report["sound_dropped_ns"]),
                         (90, 0, 0))
        delivered = {s["stream"]: s["counters"]["delivered"] for s in report["streams"]}
        self.assertEqual(delivered, {"demo": 90, "demo.sound": 300})

    def test_sound_is_played_without_a_card_and_without_a_picture(self):
        self.stream("--size", "64x48", "--rate", "30")
        report = self.report("demo.sound", "--duration", "2")
        self.assertEqual(report["shown"], 0)
        self.assertEqual([stream["stream"] for stream in report["streams"]], ["demo.sound"])
        self.assertGreater(report["heard"], 100)

    def test_a_picture_goes_without_sound(self):
        self.stream("--size", "64x48", "--rate", "30")
        report = self.report("--no-sound", "--frames", "5")
        self.assertEqual([stream["stream"] for stream in report["streams"]], ["demo"])

    def test_sound_may_come_later(self):
        self.stream("--size", "64x48", "--rate", "30", "--no-sound", "--group", "both")
        view = self.start_view()
        self.wait_until_read("demo", 10)
        self.start(PATTERN, "--stream", "late", "--group", "both", "--size", "64x48")
        self.wait_until_read("late.sound", 100)
        report = self.end_view(view)
        self.assertEqual({s["stream"] for s in report["streams"]}, {"demo", "late.sound"})
        self.assertGreater(report["heard"], 50)

    def test_it_ends_with_the_stream(self):
        self.stream("--size", "64x48", "--rate", "30", "--frames", "30", "--wait-readers", "1")
        report = self.report()
        self.assertEqual(report["shown"] + report["unshown"], 30)

    def test_it_follows_a_writer_that_died_and_came_back_larger(self):
        pattern = self.stream("--size", "160x120", "--rate", "30", "--no-sound")
        view = self.start_view("--size", "640x360", "--screenshot", self.screenshot)
        self.wait_until_read("demo", 10)
        pattern.send_signal(signal.SIGKILL)
        pattern.wait()
        self.start(PATTERN, "--size", "640x360", "--rate", "30", "--no-sound")
        self.wait_until_read("demo", 10, restarts=1)
        report = self.end_view(view)
        self.assertEqual(report["streams"][0]["counters"]["restarts"], 1)
        self.assert_bars(Picture(self.screenshot))

    def test_it_stays_for_the_next_writer_if_asked_to(self):
        pattern = self.stream("--size", "64x48", "--rate", "30", "--no-sound")
        view = self.start_view("--stay")
        self.wait_until_read("demo", 10)
        pattern.terminate()
        pattern.wait(10)
        self.start(PATTERN, "--size", "64x48", "--rate", "30", "--no-sound")
        self.wait_until_read("demo", 10, restarts=1)
        self.assertIsNone(view.poll())
        report = self.end_view(view)
        self.assertEqual(report["streams"][0]["counters"]["restarts"], 1)

    def test_a_picture_that_stands_still_fails_at_the_deadline(self):
        self.stream("--size", "64x48", "--rate", "1/20", "--no-sound")
        done = self.view("--deadline", "300ms", wanted=1)
        self.assertIn("demo: no frame for 0.3 s", done.stderr)

    def test_a_signal_ends_it_with_its_report(self):
        self.stream("--size", "64x48", "--rate", "30")
        view = self.start_view()
        self.wait_until_read("demo", 20)
        self.assertGreater(self.end_view(view)["shown"], 0)

    def test_failures_are_one_line(self):
        lines = self.view("--wait", "0", wanted=1).stderr.splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.stream("--size", "64x48", "--rate", "30")
        lines = self.view("nothing", "--no-sound", "--wait", "0.2", wanted=1).stderr.splitlines()
        lines = [line for line in lines if "no display" not in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("nothing", lines[0])
        self.assertIn("demo", lines[0])
        path = os.path.join(self.folder, "missing", "x.png")
        done = self.view("--frames", "1", "--no-sound", "--screenshot", path, wanted=1)
        self.assertIn(path, done.stderr)

    def test_its_environment_does_not_change_while_other_threads_may_read_it(self):
        self.stream("--size", "64x48", "--rate", "30")
        self.env["LD_PRELOAD"] = os.environ["ALONE"]
        self.view("--frames", "30")

    def test_a_stream_that_does_not_come_is_told_meanwhile(self):
        self.stream("--size", "64x48", "--rate", "30")
        told = self.view("typo", "--no-sound", "--wait", "2.5", wanted=1).stderr
        self.assertIn("waiting for stream typo, for 2.5 s in all (--wait)", told)
        view = subprocess.Popen([VIEW, "demo", "nosuch", "--no-sound", "--layout", "pip"], env=self.env,
                                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
        self.processes.append(view)
        told = next((line for line in view.stderr if "is not there yet" in line), "")
        self.assertIn("stream nosuch", told)
        view.send_signal(signal.SIGINT)
        self.assertNotIn("is not there yet", view.communicate(timeout=20)[1])
        self.assertEqual(view.returncode, 0)

    def test_mistakes_are_usage_errors(self):
        for arguments in (["a", "--layout", "heap"], ["a"] * 17, ["UPPER"], ["a", "UPPER"], ["--policy", "some"], ["--format", "xml"],
                          ["--size", "big"], ["--policy", "latest", "--depth", "3"]):
            self.assertEqual(self.view(*arguments, wanted=2).stdout, "", arguments)


if __name__ == "__main__":
    unittest.main(verbosity=2)
