"""shmframe-view on a display and a sound server of its own: keys, sizes, and what is really heard.

The display is an Xvfb, the sound server a PulseAudio with nothing but a null sink, whose monitor is
recorded. Both end with the tests.
"""

import array
import glob
import json
import math
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

RATE_HZ = 48000
SCREEN = (800, 600)


def wait_for(condition, what, seconds=30):
    """What `condition` returns once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {what}")


def rms(samples):
    return math.sqrt(sum(value * value for value in samples) / len(samples))


class Desktop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.desktop = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        folder = cls.desktop.name
        with open(os.path.join(folder, ".asoundrc"), "w", encoding="utf-8") as file:
            file.write("pcm.!default { type pulse }\nctl.!default { type pulse }\n"
                       "pcm.balcony { type pulse\n device balcony\n hint.description \"balcony\" }\n"
                       f"pcm.gallery {{ type pulse\n server \"unix:{folder}/gallery\" }}\n")
        sound = os.path.join(folder, "pulse")
        os.mkdir(sound, 0o700)
        cls.env = dict(os.environ, HOME=folder, XDG_RUNTIME_DIR=folder, PULSE_RUNTIME_PATH=sound,
                       PULSE_STATE_PATH=sound, PULSE_SERVER=f"unix:{sound}/native")
        for name in ("ALSA_CONFIG_PATH", "SDL_VIDEODRIVER", "SDL_RENDER_DRIVER", "WAYLAND_DISPLAY",
                     "XAUTHORITY", "LD_LIBRARY_PATH", "DBUS_SESSION_BUS_ADDRESS"):
            cls.env.pop(name, None)
        cls.servers = []
        cls.addClassCleanup(cls.end_servers)
        number, told = os.pipe()
        cls.servers.append(subprocess.Popen(
            ["Xvfb", "-displayfd", str(told), "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24",
             "-nolisten", "tcp"], pass_fds=[told], stderr=subprocess.DEVNULL))
        os.close(told)
        with os.fdopen(number) as file:
            cls.env["DISPLAY"] = ":" + file.readline().strip()
        cls.servers.append(subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
             "-L", f"module-native-protocol-unix socket={sound}/native auth-anonymous=1",
             "-L", f"module-null-sink sink_name=null rate={RATE_HZ}",
             "-L", f"module-null-sink sink_name=balcony rate={RATE_HZ}"],
            env=cls.env, stderr=subprocess.DEVNULL))
        # Without a window manager nobody makes a window as large as the screen.
        cls.servers.append(subprocess.Popen(["evilwm", "-fn", "fixed"], env=cls.env,
                                            stderr=subprocess.DEVNULL))
        wait_for(lambda: subprocess.run(["pactl", "info"], env=cls.env, capture_output=True,
                                        check=False).returncode == 0, "the sound server")

    @classmethod
    def end_servers(cls):
        for server in cls.servers:
            server.terminate()
        for server in cls.servers:
            server.wait(20)
        cls.desktop.cleanup()

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.env = dict(self.env, SHMFRAME_SOCKET=os.path.join(self.folder, "socket"))
        self.processes = []
        self.addCleanup(self.end_processes)

    def end_processes(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()

    def start(self, *arguments, out=subprocess.DEVNULL, err=os.devnull):
        with open(os.path.join(self.folder, err), "w", encoding="utf-8") as error_file:
            process = subprocess.Popen(arguments, env=self.env, cwd=self.folder, text=True,
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=error_file)
        self.processes.append(process)
        return process

    def ask_desktop(self, *arguments):
        return subprocess.run(["xdotool", *arguments], env=self.env, text=True, timeout=20,
                              capture_output=True, check=False).stdout.split()

    def start_view(self, *pattern):
        """A view of a pattern, its window's number, and the pointer, whose window gets the keys."""
        self.processes.append(start_supervisor(SUPERVISOR, self.env))
        self.start(PATTERN, "--rate", "30", "--no-sound", *pattern)
        view = self.start(VIEW, err="view.err")
        try:
            window = wait_for(lambda: self.ask_desktop("search", "--onlyvisible", "--pid",
                                                       str(view.pid)), "the window")[-1]
        except AssertionError as error:
            with open(os.path.join(self.folder, "view.err"), encoding="utf-8") as file:
                raise AssertionError(f"{error}; {view.poll()}: {file.read()}") from error
        self.ask_desktop("mousemove", str(SCREEN[0] // 2), str(SCREEN[1] // 2))
        return view, window

    def geometry(self, window):
        words = dict(line.split("=") for line in
                     self.ask_desktop("getwindowgeometry", "--shell", window))
        return int(words["WIDTH"]), int(words["HEIGHT"])

    def screenshot(self):
        """What key s saves."""
        for path in glob.glob(os.path.join(self.folder, "*.png")):
            os.unlink(path)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            self.ask_desktop("key", "s")
            for path in glob.glob(os.path.join(self.folder, "demo-*.png")):
                if Picture.is_whole(path):
                    return Picture(path)
            time.sleep(0.05)
        self.fail("no screenshot was saved")

    def assert_bars(self, picture, left, top, width, height):
        y = top + int(height * 0.55)
        for index, wanted in enumerate(BARS):
            got = picture.pixel(left + int((index + 0.5) * width / 7), y)
            self.assertLessEqual(max(abs(a - b) for a, b in zip(got, wanted)), 4, f"bar {index}")

    def test_the_window_is_as_large_as_the_picture_and_ends_by_key(self):
        view, window = self.start_view("--size", "320x180")
        self.assertEqual(self.geometry(window), (320, 180))
        self.assert_bars(self.screenshot(), 0, 0, 320, 180)
        self.ask_desktop("key", "q")
        self.assertEqual(view.wait(20), 0)

    def test_a_window_that_is_resized_keeps_the_aspect_ratio(self):
        _, window = self.start_view("--size", "320x180")
        self.ask_desktop("windowsize", window, "300", "400")

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
        _, window = self.start_view("--size", "320x180")
        self.ask_desktop("key", "f")
        wait_for(lambda: self.geometry(window) == SCREEN, "the full screen")
        picture = wait_for(lambda: (lambda p: p.width == SCREEN[0] and p)(self.screenshot()),
                           "a picture of it")
        self.assert_bars(picture, 0, 75, 800, 450)
        self.ask_desktop("key", "f")
        wait_for(lambda: self.geometry(window) == (320, 180), "the window")

    def test_i_toggles_the_numbers(self):
        self.start_view("--size", "640x360")

        def has_numbers():
            # The box of the pattern may cover some of it, never all.
            picture = self.screenshot()
            points = [(x, y) for x in range(5, 410, 9) for y in range(74, 128, 9)]
            dark = sum(max(picture.pixel(x, y)) < 100 for x, y in points)
            return dark > len(points) / 2 and picture.pixel(600, 60) == BARS[6]
        self.assertFalse(has_numbers())
        self.ask_desktop("key", "i")
        wait_for(has_numbers, "the numbers")
        self.ask_desktop("key", "i")
        wait_for(lambda: not has_numbers(), "the picture without them")

    def test_space_pauses(self):
        self.start_view("--size", "320x180")
        self.ask_desktop("key", "space")

        def stands():
            return self.screenshot().rows == self.screenshot().rows
        wait_for(stands, "a picture that stands still")
        self.ask_desktop("key", "space")
        wait_for(lambda: not stands(), "a picture that moves")

    def record(self, *view):
        """What the sound server was given while a view ran, and the view's report."""
        path = os.path.join(self.folder, "heard")
        with open(path, "wb") as file:
            recorder = self.start("parec", "--device=null.monitor", "--format=s16le",
                                  f"--rate={RATE_HZ}", "--channels=1", "--latency-msec=10",
                                  out=file)
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
                       "--channels=1", "--latency-msec=10", out=file)
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
        self.processes.append(start_supervisor(SUPERVISOR, self.env))
        self.start(PATTERN, "--size", "64x48", "--rate", "30")
        view = self.start(VIEW)
        window = wait_for(lambda: self.ask_desktop("search", "--onlyvisible", "--pid", str(view.pid)),
                          "the window")[-1]
        self.ask_desktop("mousemove", str(SCREEN[0] // 2), str(SCREEN[1] // 2))
        # The beep is half of full scale, and both channels have it.
        wait_for(lambda: 15000 < peak() < 18000, "the beep")
        self.ask_desktop("key", "--window", window, *["Down"] * 5)
        wait_for(lambda: 4700 < peak() < 5700, "the beep, by 10 dB softer")
        self.ask_desktop("key", "--window", window, *["Up"] * 8)
        wait_for(lambda: 15000 < peak() < 18000, "the beep as it was, and no louder")

    def test_brackets_delay_the_sound_and_braces_the_picture(self):
        self.assertGreater(self.delay_by("bracket")["sound_delay_ns"], 200_000_000)
        self.delay_by("brace")

    def delay_by(self, key):
        """Delays one of the two by 200 ms. Returns the view's report."""
        if not self.processes:
            self.processes.append(start_supervisor(SUPERVISOR, self.env))
            self.start(PATTERN, "--size", "64x48", "--rate", "30")
        view = self.start(VIEW, "--format", "json", "--duration", "2", out=subprocess.PIPE)
        window = wait_for(lambda: self.ask_desktop("search", "--onlyvisible", "--pid", str(view.pid)),
                          "the window")[-1]
        self.ask_desktop("mousemove", str(SCREEN[0] // 2), str(SCREEN[1] // 2))
        self.ask_desktop("key", "--window", window, *[f"{key}right"] * 42,
                         *[f"{key}left"] * 2)
        report = json.loads(view.communicate(timeout=20)[0])
        # From then on they are so far apart.
        self.assertGreater(report["skew"]["max_ns"], 150_000_000, report["skew"])
        return report

    def test_a_sound_device_is_chosen_by_name(self):
        listed = subprocess.run([VIEW, "--list"], env=self.env, text=True, capture_output=True,
                                timeout=30, check=True).stdout
        self.assertRegex(listed, r'(?m)^\d+ "balcony" \(ALSA\): \d+ channels, \d+ Hz')
        peak = self.listen("balcony.monitor")
        done = subprocess.run(
            [SHMFRAME, "run", f"{PATTERN} --size 64x48 --rate 30 --wait-readers 1",
             f"{VIEW} --sound-device balcony --duration 2"], env=self.env, cwd=self.folder,
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_for(lambda: 15000 < peak() < 18000, "the beep")

    def test_the_default_takes_over_for_a_sound_device_that_goes_away(self):
        peak = self.listen("null.monitor")
        self.processes.append(start_supervisor(SUPERVISOR, self.env))
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
        view = self.start(VIEW, "--sound-device", "gallery", err="view.err")
        wait_for(inputs, "the sound")
        self.assertEqual(peak(), 0)
        server.kill()
        wait_for(lambda: 15000 < peak() < 18000, "the beep elsewhere")
        self.assertIsNone(view.poll())
        with open(os.path.join(self.folder, "view.err"), encoding="utf-8") as file:
            # PortAudio has remarks of its own at such a moment.
            self.assertRegex(file.read(), "(?m)^shmframe-view: the chosen sound device went away: the "
                                          "default takes over$")

    def test_a_sound_device_that_is_not_there_is_told_with_those_that_are(self):
        self.processes.append(start_supervisor(SUPERVISOR, self.env))
        done = subprocess.run([VIEW, "--sound-device", "theremin"], env=self.env, text=True,
                              capture_output=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r'^shmframe-view: no output device is "theremin"; there are: .*'
                                      r'\d "balcony".*\n$')

    def test_a_shows_how_loud_it_is(self):
        self.processes.append(start_supervisor(SUPERVISOR, self.env))
        self.start(PATTERN, "--size", "320x240", "--rate", "30")
        view = self.start(VIEW)
        wait_for(lambda: self.ask_desktop("search", "--onlyvisible", "--pid", str(view.pid)),
                 "the window")
        self.ask_desktop("mousemove", str(SCREEN[0] // 2), str(SCREEN[1] // 2))

        def bars():
            """How many rows are a gauge, at its left end: 240 pixels are the least it takes."""
            picture = self.screenshot()
            return sum(picture.pixel(320 - 240 + 6, y) in ((70, 200, 100), (230, 200, 60))
                       for y in range(240))
        self.assertEqual(bars(), 0)
        self.ask_desktop("key", "a")
        wait_for(lambda: bars() == 2 * 7, "two gauges")
        self.ask_desktop("key", "a")
        wait_for(lambda: bars() == 0, "no gauges")

    def test_m_is_silence(self):
        samples, _ = self.record("--duration", "2", "--mute")
        self.assertEqual(max(samples, default=0), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
