"""shmframe-view on a display and a sound server of its own: keys, sizes, and what is really heard.

The sound server is a PulseAudio with nothing but null sinks, whose monitors are recorded.
"""

import array
import json
import math
import os
import signal
import subprocess
import unittest

from display import PATTERN, SCREEN, SHMFRAME, VIEW, Display, wait_for
from picture import BARS

RATE_HZ = 48000


def rms(samples):
    return math.sqrt(sum(value * value for value in samples) / len(samples))


class Desktop(Display):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.home.name
        with open(os.path.join(folder, ".asoundrc"), "w", encoding="utf-8") as file:
            file.write("pcm.!default { type pulse }\nctl.!default { type pulse }\n"
                       "pcm.balcony { type pulse\n device balcony\n hint.description \"balcony\" }\n"
                       f"pcm.gallery {{ type pulse\n server \"unix:{folder}/gallery\" }}\n")
        sound = os.path.join(folder, "pulse")
        os.mkdir(sound, 0o700)
        cls.env.update(PULSE_RUNTIME_PATH=sound, PULSE_STATE_PATH=sound,
                       PULSE_SERVER=f"unix:{sound}/native")
        for name in ("ALSA_CONFIG_PATH", "LD_LIBRARY_PATH", "DBUS_SESSION_BUS_ADDRESS"):
            cls.env.pop(name, None)
        cls.servers.append(subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
             "-L", f"module-native-protocol-unix socket={sound}/native auth-anonymous=1",
             "-L", f"module-null-sink sink_name=null rate={RATE_HZ}",
             "-L", f"module-null-sink sink_name=balcony rate={RATE_HZ}"],
            env=cls.env, stderr=subprocess.DEVNULL))
        wait_for(lambda: subprocess.run(["pactl", "info"], env=cls.env, capture_output=True,
                                        check=False).returncode == 0, "the sound server")

    def view_pattern(self, *options, sound=False):
        """A view of a pattern, and its window, which has the keys: the mouse is in it."""
        self.start(PATTERN, "--rate", "30", *([] if sound else ["--no-sound"]), *options)
        view = self.start(VIEW)
        return view, self.aim(view)

    def assert_bars(self, picture, left, top, width, height):
        y = top + int(height * 0.55)
        for index, wanted in enumerate(BARS):
            got = picture.pixel(left + int((index + 0.5) * width / 7), y)
            self.assertLessEqual(max(abs(a - b) for a, b in zip(got, wanted)), 4, f"bar {index}")

    def test_the_window_is_as_large_as_the_picture_and_ends_by_key(self):
        view, window = self.view_pattern("--size", "320x180")
        self.assertEqual(self.geometry(window), (320, 180))
        self.assert_bars(self.screenshot(), 0, 0, 320, 180)
        self.key("q")
        self.assertEqual(view.wait(20), 0)

    def test_a_window_that_is_resized_keeps_the_aspect_ratio(self):
        _, window = self.view_pattern("--size", "320x180")
        self.ask("windowsize", window, "300", "400")

        def resized():
            picture = self.screenshot()
            return (picture.width, picture.height) == (300, 400) and picture
        picture = wait_for(resized, "the other size")
        height = round(300 * 180 / 320)
        top = (400 - height) // 2
        self.assert_bars(picture, 0, top, 300, height)
        self.assertEqual(picture.pixel(150, top - 3), (0, 0, 0))
        self.assertEqual(picture.pixel(150, top + height + 2), (0, 0, 0))

    def test_f_covers_the_screen_and_gives_it_back(self):
        _, window = self.view_pattern("--size", "320x180")
        self.key("f")
        wait_for(lambda: self.geometry(window) == SCREEN, "the full screen")
        picture = wait_for(lambda: (lambda p: p.width == SCREEN[0] and p)(self.screenshot()),
                           "a picture of it")
        self.assert_bars(picture, 0, 75, 800, 450)
        self.key("f")
        wait_for(lambda: self.geometry(window) == (320, 180), "the window")

    def test_i_toggles_the_numbers(self):
        self.view_pattern("--size", "640x360")

        def has_numbers():
            # The box of the pattern may cover some of it, never all.
            picture = self.screenshot()
            points = [(x, y) for x in range(5, 410, 9) for y in range(74, 128, 9)]
            dark = sum(max(picture.pixel(x, y)) < 100 for x, y in points)
            return dark > len(points) / 2 and picture.pixel(600, 60) == BARS[6]
        self.assertFalse(has_numbers())
        self.key("i")
        wait_for(has_numbers, "the numbers")
        self.key("i")
        wait_for(lambda: not has_numbers(), "the picture without them")

    def test_space_pauses(self):
        self.view_pattern("--size", "320x180")
        self.key("space")

        def stands():
            return self.screenshot().rows == self.screenshot().rows
        wait_for(stands, "a picture that stands still")
        self.key("space")
        wait_for(lambda: not stands(), "a picture that moves")

    def record(self, *view):
        """What the sound server was given while a view ran, and the view's report."""
        path = os.path.join(self.folder, "heard")
        with open(path, "wb") as file:
            recorder = self.start("parec", "--device=null.monitor", "--format=s16le",
                                  f"--rate={RATE_HZ}", "--channels=1", "--latency-msec=10",
                                  stdout=file)
            wait_for(lambda: os.path.getsize(path), "the recorder")
            done = subprocess.run(
                [SHMFRAME, "run", f"{PATTERN} --size 64x48 --rate 30 --wait-readers 1",
                 " ".join([VIEW, *view])], env=self.env, cwd=self.folder, capture_output=True,
                text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
            recorder.send_signal(signal.SIGTERM)
            recorder.wait(20)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path, "rb") as file:
            data = file.read()
        return array.array("h", data[:len(data) // 2 * 2]), done

    def test_what_is_heard_is_the_stream_from_its_first_sample(self):
        samples, done = self.record("--duration", "5")
        self.assertNotIn("null device", done.stderr)
        block = RATE_HZ // 1000
        loud = [rms(samples[i:i + block]) for i in range(0, len(samples) - block, block)]
        onsets = [i for i in range(20, len(loud)) if loud[i] > 5000 and max(loud[i - 20:i]) < 5000]
        # The stream begins with a beep, and each second brings one; 440 Hz sounds in between.
        self.assertGreaterEqual(len(onsets), 4, onsets)
        first = next(i for i in range(len(loud)) if loud[i] > 100)
        self.assertLessEqual(abs(first - onsets[0]), 2)
        steps = sorted(b - a for a, b in zip(onsets, onsets[1:]))
        self.assertLessEqual(abs(steps[len(steps) // 2] - 1000), 5, onsets)
        # 440 Hz on the left, 880 Hz on the right.
        tone = samples[(onsets[1] + 400) * block:(onsets[1] + 500) * block]
        self.assertGreater(self.share(tone, 440) + self.share(tone, 880), 0.6)
        self.assertLess(self.share(tone, 550), 0.05)
        beep = samples[(onsets[0] + 10) * block:(onsets[0] + 90) * block]
        self.assertGreater(self.share(beep, 1000), 0.8)
        sounding = loud[first:onsets[-1]]
        silent = sum(value < 100 for value in sounding)
        self.assertLess(silent, len(sounding) * 0.1, "mostly silent")

    @staticmethod
    def share(samples, frequency_hz):
        """Of the power of `samples`, at one frequency."""
        turn = 2 * math.pi * frequency_hz / RATE_HZ
        real = sum(value * math.cos(turn * i) for i, value in enumerate(samples))
        imaginary = sum(value * math.sin(turn * i) for i, value in enumerate(samples))
        power = sum(value * value for value in samples)
        return 2 * (real * real + imaginary * imaginary) / len(samples) / power

    def listen(self, source):
        """Records a source from now on. Returns what tells its peak over the last second or so."""
        path = os.path.join(self.folder, "heard")
        with open(path, "wb") as file:
            self.start("parec", f"--device={source}", "--format=s16le", f"--rate={RATE_HZ}",
                       "--channels=1", "--latency-msec=10", stdout=file)
        wait_for(lambda: os.path.getsize(path), "the recorder")

        def peak():
            samples = 12 * RATE_HZ // 10
            with open(path, "rb") as file:
                file.seek(max(0, os.path.getsize(path) // 2 - samples) * 2)
                data = file.read(2 * samples)
            return max(map(abs, array.array("h", data[:len(data) // 2 * 2])), default=0)
        return peak

    def test_arrows_change_the_volume(self):
        peak = self.listen("null.monitor")
        _, window = self.view_pattern("--size", "64x48", sound=True)
        # The beep is half of full scale, and both channels have it.
        wait_for(lambda: 15000 < peak() < 18000, "the beep")
        self.ask("key", "--window", window, *["Down"] * 5)
        wait_for(lambda: 4700 < peak() < 5700, "the beep, by 10 dB softer")
        self.ask("key", "--window", window, *["Up"] * 8)
        wait_for(lambda: 15000 < peak() < 18000, "the beep as it was, and no louder")

    def test_brackets_delay_the_sound_and_braces_the_picture(self):
        self.start(PATTERN, "--size", "64x48", "--rate", "30")
        self.assertGreater(self.delay_by("bracket")["sound_delay_ns"], 200_000_000)
        self.delay_by("brace")

    def delay_by(self, key):
        """Delays one of the two by 200 ms. Returns the view's report."""
        view, window = self.view()
        self.ask("key", "--window", window, *[f"{key}right"] * 42, *[f"{key}left"] * 2)
        self.screenshot()  # by a key that comes after these
        self.wait_frames("demo", 45)
        report = self.end(view)
        # From then on they are so far apart.
        self.assertGreater(report["skew"]["max_ns"], 150_000_000, report["skew"])
        return report

    def test_a_sound_device_is_chosen_by_name(self):
        listed = subprocess.run([VIEW, "--list"], env=self.env, text=True, capture_output=True,
                                timeout=30, check=True).stdout
        self.assertRegex(listed, r'(?m)^\d+ "balcony" \(ALSA\): \d+ channels, \d+ Hz')
        peak = self.listen("balcony.monitor")
        self.start(PATTERN, "--size", "64x48", "--rate", "30")
        view = self.start_view("--sound-device", "balcony")
        wait_for(lambda: 15000 < peak() < 18000, "the beep")
        self.end(view)

    def test_the_default_takes_over_for_a_sound_device_that_goes_away(self):
        peak = self.listen("null.monitor")
        self.start(PATTERN, "--size", "64x48", "--rate", "30")
        # Of another sound server: where only a sink goes away, the server moves its streams.
        gallery = os.path.join(self.env["HOME"], "gallery")
        server = self.start("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1",
                            "--use-pid-file=no", "-L", "module-null-sink",
                            "-L", f"module-native-protocol-unix socket={gallery} auth-anonymous=1")

        def inputs():
            return subprocess.run(["pactl", f"--server=unix:{gallery}", "list", "short",
                                   "sink-inputs"], env=self.env, text=True, capture_output=True,
                                  timeout=20, check=False).stdout
        wait_for(lambda: os.path.exists(gallery), "the other sound server")
        view = self.start(VIEW, "--sound-device", "gallery")
        wait_for(inputs, "the sound")
        self.assertEqual(peak(), 0)
        server.kill()
        wait_for(lambda: 15000 < peak() < 18000, "the beep elsewhere")
        self.assertIsNone(view.poll())
        # PortAudio has remarks of its own at such a moment.
        self.assertRegex(self.errors(), "(?m)^shmframe-view: the chosen sound device went away: the "
                                        "default takes over$")

    def test_a_sound_device_that_is_not_there_is_told_with_those_that_are(self):
        done = subprocess.run([VIEW, "--sound-device", "theremin"], env=self.env, text=True,
                              capture_output=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r'^shmframe-view: no output device is "theremin"; there are: .*'
                                      r'\d "balcony".*\n$')

    def test_a_shows_how_loud_it_is(self):
        self.view_pattern("--size", "320x240", sound=True)

        def bars():
            """How many rows are a gauge, at its left end: 240 pixels are the least it takes."""
            picture = self.screenshot()
            return sum(picture.pixel(320 - 240 + 6, y) in ((70, 200, 100), (230, 200, 60))
                       for y in range(240))
        self.assertEqual(bars(), 0)
        self.key("a")
        wait_for(lambda: bars() == 2 * 7, "two gauges")
        self.key("a")
        wait_for(lambda: bars() == 0, "no gauges")

    def test_m_is_silence(self):
        samples, _ = self.record("--duration", "1", "--mute")
        self.assertEqual(max(samples, default=0), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
