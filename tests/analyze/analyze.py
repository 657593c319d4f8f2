"""shmframe-analyze as it is used: verdicts, lines, charts, the live view; and FFmpeg's ebur128 beside it."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import stat
import struct
import subprocess
import tempfile
import termios
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]
ANALYZE = os.environ["ANALYZE"]
SHMFRAMED = os.environ["SHMFRAMED"]
PATTERN_PATH = os.environ["PATTERN"]
PATTERN = "shmframe-pattern --stream demo --size 64x48 --unpaced --wait-readers 1"
DEADLINE_S = 30

# Sound with something of everything: tones that come and go, apart on both sides, and noise.
FILM = ("aevalsrc='0.4*sin(2*PI*440*t)*(0.1+0.9*gt(mod(t,5),2))+0.05*random(0)"
        "|0.2*sin(2*PI*997*t+0.7)*(0.1+0.9*gt(mod(t,7),3))+0.05*random(1)':s=48000:d=20")


def decode(path, pixel_format, filters):
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vf", filters, "-f", "rawvideo",
                           "-pix_fmt", pixel_format, "-"], capture_output=True, timeout=DEADLINE_S, check=True)
    return done.stdout


class Analyze(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        cls.film = os.path.join(cls.folder, "film.wav")
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", FILM, "-c:a", "pcm_s16le",
                        cls.film], check=True, timeout=DEADLINE_S)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def call(self, *lines):
        return subprocess.run([SHMFRAME, "run", *lines], text=True, capture_output=True,
                              timeout=60, stdin=subprocess.DEVNULL, check=False)

    def analyze(self, options, producer=None):
        """The exit code, the JSON objects, and what was said."""
        producer = producer or PATTERN + " --duration 1"
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
            done = self.call(producer, f"shmframe-analyze --format json {options} > {file.name}")
            return done.returncode, [json.loads(line) for line in file], done.stderr

    def media(self, path):
        return f"shmframe-media --unpaced --stream film --wait-readers 1 {path}"

    def totals(self, objects):
        return {o["stream"]: o for o in objects if o.get("span") == "total"}

    # --- Results.

    def test_a_group_means_its_picture_and_its_sound(self):
        code, objects, said = self.analyze("demo")
        self.assertEqual(code, 0, said)
        totals = self.totals(objects)
        self.assertEqual(set(totals), {"demo", "demo.sound"})
        self.assertEqual((totals["demo"]["kind"], totals["demo"]["frames"]), ("video", 60))
        self.assertEqual((totals["demo.sound"]["kind"], totals["demo.sound"]["frames"]),
                         ("audio", 100))
        self.assertEqual(totals["demo"]["format"], "64x48 yuv420p 60 fps")
        self.assertEqual({o["ended_by"] for o in totals.values()}, {"end of stream"})
        for total in totals.values():
            self.assertEqual((total["lost_frames"], total["device_dropped_frames"]), (0, 0))
            self.assertAlmostEqual(total["duration_s"], 1, 6)

    def test_intervals_are_of_the_streams_own_time(self):
        _, objects, _ = self.analyze("demo --interval 0.25")
        for stream, frames in (("demo", 15), ("demo.sound", 25)):
            intervals = [o for o in objects
                         if o.get("span") == "interval" and o["stream"] == stream]
            self.assertEqual([o["frames"] for o in intervals], [frames] * 4)
            self.assertEqual([o["start_s"] for o in intervals], [0, 0.25, 0.5, 0.75])

    def test_without_intervals_there_is_only_the_total(self):
        _, objects, _ = self.analyze("demo --interval 0")
        self.assertEqual({o.get("span") or o["event"] for o in objects}, {"format", "total"})

    def test_it_ends_after_the_frames_that_were_asked_for(self):
        code, objects, _ = self.analyze("demo --frames 7", PATTERN + " --duration 5")
        total = self.totals(objects)["demo"]
        self.assertEqual((code, total["frames"], total["ended_by"]), (0, 7, "frames"))

    def test_text_has_a_line_for_each_interval_and_the_total(self):
        done = self.call(PATTERN + " --duration 1", "shmframe-analyze demo.sound demo")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^demo\.sound 0\.00 s: format 48000 Hz stereo flt")
        self.assertRegex(done.stdout, r"(?m)^demo\.sound 0\.00 s: M -\d+\.\d, S -\d+\.\d, "
                         r"I -\d+\.\d LUFS, range 0\.0 LU, true peak -5\.2 dBTP, correlation 0\.91$")
        self.assertRegex(done.stdout, r"(?m)^demo 0\.00 s: luma 16, mean \d+\.\d, to 235")
        self.assertIn("\ndemo.sound, the whole\n", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^  frames +100$")
        self.assertRegex(done.stdout, r"(?m)^  FL +-5\.2 +-5\.2 +-\d+\.\d +-?0\.000000 +0$")

    # --- Verdicts.

    def test_expectations_that_are_met_leave_the_exit_code_alone(self):
        code, objects, said = self.analyze(
            "demo --expect 'integrated_lufs>-40' --expect 'demo:frames==60' --expect 'black_s<=1' "
            "--expect 'clips != 3' --expect 'true_peak_dbtp < -1'")
        self.assertEqual(code, 0, said)
        verdicts = self.totals(objects)["demo.sound"]["expectations"]
        self.assertEqual([v["expect"] for v in verdicts],
                         ["integrated_lufs>-40", "clips != 3", "true_peak_dbtp < -1"])
        self.assertEqual([v["is_met"] for v in verdicts], [True] * 3)
        self.assertEqual([v["value"] for v in self.totals(objects)["demo"]["expectations"]],
                         [60, 0])

    def test_one_that_is_not_met_is_said_and_fails(self):
        code, objects, said = self.analyze("demo --expect 'frames>=61' --expect 'clips==0'")
        self.assertEqual(code, 1)
        lines = [line for line in said.splitlines() if "expected" in line]
        self.assertEqual(lines, ["shmframe-analyze: demo: expected frames>=61, but it is 60"])
        self.assertEqual([v["is_met"] for v in self.totals(objects)["demo"]["expectations"]],
                         [False])

    def test_text_ends_with_the_verdicts(self):
        """Met ones too; and values for programs only are left to JSON."""
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
            done = self.call(PATTERN + " --no-sound --duration 0.5", "shmframe-analyze demo "
                             "--expect 'frames>=61' --expect 'frames>=10' --expect 'black_s<1' "
                             f"> {file.name} 2>&1")
            said = file.read()
        self.assertIn("failed with status 1", done.stderr)
        lines = [line for line in said.splitlines() if "waiting" not in line]
        self.assertEqual(lines[-3:], ["demo: as expected, frames>=10: it is 30",
                                      "demo: as expected, black_s<1: it is 0",
                                      "shmframe-analyze: demo: expected frames>=61, but it is 30"])
        self.assertNotRegex(said, r"(?m)^  adler32|^  \w+_share +0$")
        self.assertRegex(said, r"(?m)^  black_pixel_share +\S")

    def test_silence_is_less_than_any_level(self):
        silent = os.path.join(self.folder, "silent.wav")
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anullsrc=r=48000:d=1", silent],
                       check=True, timeout=DEADLINE_S)
        code, objects, _ = self.analyze(
            "film.sound --expect 'true_peak_dbtp<-90' --expect 'integrated_lufs>=-70' "
            "--expect 'correlation<=1'", self.media(silent))
        verdicts = self.totals(objects)["film.sound"]["expectations"]
        self.assertEqual((code, [v["is_met"] for v in verdicts]), (1, [True, False, False]))
        self.assertEqual([v["value"] for v in verdicts], [None] * 3)

    def check_mistake(self, said, words, options):
        lines = [line for line in said.splitlines() if line.startswith("shmframe-analyze: ")]
        self.assertEqual(len(lines), 1, options)
        for word in words:
            self.assertIn(word, lines[0])

    def test_mistakes_are_told_with_a_remedy(self):
        for options, words in (
                (["--expect", "integrated_lufs"], ["--expect", "[STREAM:]NAME>=VALUE"]),
                (["--expect", "clips>=x"], ["--expect", "[STREAM:]NAME>=VALUE"]),
                (["--expect", "integrated_luf<=-10"],
                 ["\"integrated_luf\"", "near it is integrated_lufs;", "shmframe-analyze(1)"]),
                (["--expect", "demo:psnr_avg_db>=30"], ["psnr_avg_db>=30", "--reference"]),
                (["--chart", "c.jpg"], ["--chart", "c.jpg", ".png"]),
                (["--match", "time"], ["--match", "origin, capture or pts"]),
                (["--silence-level", "3"], ["--silence-level", "below 0"]),
                (["--black-level", "2"], ["--black-level", "0 to 1"]),
                (["--frozen-noise=-1"], ["--frozen-noise", "0 to 1"]),
                (["--scene-score", "101"], ["--scene-score", "0 to 100"]),
                (["--histogram", "1"], ["--histogram", "2 to 256"]),
                (None, ["a stream is to be named"])):
            words_of = [ANALYZE] if options is None else [ANALYZE, "demo", *options]
            done = subprocess.run(words_of, text=True, capture_output=True, timeout=DEADLINE_S,
                                  stdin=subprocess.DEVNULL, check=False)
            self.assertEqual(done.returncode, 2, options)
            self.check_mistake(done.stderr, words, options)

    def test_what_streams_cannot_have_is_a_mistake(self):
        for options, words in (
                ("demo --expect 'loudness>=3'", ["--expect", "near it is loudness_range_lu"]),
                ("demo.sound --expect 'black_s<1'", ["--expect", "no stream of that kind"]),
                ("demo --reference demo", ["--reference", "itself"])):
            said = self.call(PATTERN, f"shmframe-analyze {options}").stderr
            self.assertIn("failed with status 2", said, options)
            self.check_mistake(said, words, options)

    # --- FFmpeg's word.

    def ffmpeg_loudness(self, path):
        """Each tenth of a second's M, S and I, and the summary."""
        done = subprocess.run(["ffmpeg", "-hide_banner", "-nostats", "-i", path, "-af",
                               "ebur128=peak=true+sample:framelog=info", "-f", "null", "-"],
                              text=True, capture_output=True, timeout=DEADLINE_S, check=True)
        number = r"\s*(-?[\d.]+|-inf)"
        steps = [tuple(map(float, match)) for match in
                 re.findall(rf"t:{number}.*M:{number}\s+S:{number}\s+I:{number} LUFS", done.stderr)]
        summary = done.stderr.split("Summary:")[1]
        return steps, {key: float(re.search(rf"{key}:{number}", summary)[1])
                       for key in ("I", "LRA")}, [float(value) for value in
                                                  re.findall(rf"Peak:{number} dBFS", summary)]

    def test_loudness_is_that_of_ffmpeg_at_each_step(self):
        steps, summary, (sample_peak, true_peak) = self.ffmpeg_loudness(self.film)
        code, objects, said = self.analyze("film.sound --interval 1.6", self.media(self.film))
        self.assertEqual(code, 0, said)
        total = self.totals(objects)["film.sound"]
        # The histogram has bins of 0.1 LU, and what FFmpeg prints is rounded to that.
        self.assertAlmostEqual(total["integrated_lufs"], summary["I"], delta=0.11)
        # Of short-term values ten times a second there, once a second here: Tech 3342 allows both.
        self.assertAlmostEqual(total["loudness_range_lu"], summary["LRA"], delta=0.5)
        self.assertAlmostEqual(total["sample_peak_dbfs"], sample_peak, delta=0.06)
        self.assertAlmostEqual(total["true_peak_dbtp"], true_peak, delta=0.3)
        # 75 blocks of this file end where a step does, each 1.6 s.
        ours = {round(o["start_s"] + o["duration_s"], 1): o for o in objects
                if o.get("span") == "interval"}
        compared = 0
        for second, momentary, short_term, integrated in steps:
            mine = ours.get(round(second, 1))
            if not mine or second < 3 or mine["frames"] != 75: # before, windows are not full
                continue
            self.assertAlmostEqual(mine["momentary_lufs"], momentary, delta=0.06, msg=second)
            self.assertAlmostEqual(mine["short_term_lufs"], short_term, delta=0.06, msg=second)
            self.assertAlmostEqual(mine["integrated_lufs"], integrated, delta=0.11, msg=second)
            compared += 1
        self.assertGreaterEqual(compared, 10)

    def test_silence_is_that_of_silencedetect(self):
        path = os.path.join(self.folder, "pauses.wav")
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                        "aevalsrc='0.3*sin(2*PI*500*t)*lt(mod(t,2),0.75)':s=44100:d=5.5", path],
                       check=True, timeout=DEADLINE_S)
        done = subprocess.run(["ffmpeg", "-hide_banner", "-nostats", "-i", path, "-af",
                               "silencedetect=n=-60dB:d=0.5", "-f", "null", "-"], text=True,
                              capture_output=True, timeout=DEADLINE_S, check=True)
        wanted = [float(value) for value in re.findall(r"silence_end: ([\d.]+)", done.stderr)]
        _, objects, _ = self.analyze("film.sound --silence 0.5", self.media(path))
        got = [o["end_s"] for o in objects if o.get("event") == "silence_ended"]
        self.assertEqual((len(got), len(wanted)), (3, 3))
        for mine, theirs in zip(got, wanted):
            self.assertAlmostEqual(mine, theirs, delta=0.0001)

    # --- A second stream.

    def test_pictures_are_compared_with_those_of_another_stream(self):
        first = PATTERN + " --no-sound --duration 0.5"
        second = first.replace("--stream demo", "--stream other")
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
            done = self.call(first, second, "shmframe-analyze --format json demo --reference other "
                             f"--match pts --expect 'psnr_min_db>60' > {file.name}")
            self.assertEqual(done.returncode, 0, done.stderr)
            total = self.totals([json.loads(line) for line in file])["demo"]
        self.assertEqual((total["pairs"], total["pairs_equal"]), (30, 30))
        self.assertNotIn("belonged together", done.stderr)

    def test_nothing_that_could_be_compared_is_said(self):
        first = PATTERN + " --no-sound --duration 0.2"
        second = first.replace("--stream demo", "--stream other")
        done = self.call(first, second, "shmframe-analyze demo --reference other")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("demo: no picture belonged together with one of other by --match origin",
                      done.stderr)

    def test_files_whose_containers_round_otherwise_are_compared(self):
        """Sound that begins before 0 moves all times of the WebM file: 7 ms of a frame's 16.7."""
        sources = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=60:d=0.5", "-f", "lavfi", "-i",
                   "sine=r=48000:d=0.5"]
        paths = [os.path.join(self.folder, name) for name in ("two.mp4", "two.webm")]
        for path, codecs in zip(paths, (["libx264", "aac"], ["libvpx", "libopus"])):
            subprocess.run(["ffmpeg", "-v", "error", *sources, "-c:v", codecs[0], "-c:a", codecs[1],
                            path], check=True, timeout=DEADLINE_S)
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
            done = self.call(self.media(paths[0]), self.media(paths[1]).replace("film", "other"),
                             "shmframe-analyze --format json film --reference other --match pts "
                             f"--interval 0 > {file.name}")
            self.assertEqual(done.returncode, 0, done.stderr)
            total = self.totals([json.loads(line) for line in file])["film"]
        self.assertEqual((total["pairs"], total["unmatched"], total["unmatched_reference"]),
                         (30, 0, 0))

    # --- Charts.

    def test_the_chart_shows_what_was_heard(self):
        """One channel against its opposite: the goniometer's line lies flat, not upright."""
        for sign, name in (("1", "same"), ("-1", "opposite")):
            path = os.path.join(self.folder, name)
            subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                            f"aevalsrc='0.9*sin(2*PI*440*t)|{sign}*0.9*sin(2*PI*440*t)':s=48000:d=1",
                            path + ".wav"], check=True, timeout=DEADLINE_S)
            code, _, said = self.analyze(f"film.sound --chart {path}.png",
                                         self.media(path + ".wav"))
            self.assertEqual(code, 0, said)
            self.assertEqual(os.listdir(self.folder).count(name + ".png"), 1)
        side = 330
        spread = {}
        for name in ("same", "opposite"):
            pixels = decode(os.path.join(self.folder, name + ".png"), "rgb24",
                            f"crop={side}:{side}:930:70") # the goniometer
            self.assertEqual(len(pixels), 3 * side * side)
            found = [divmod(i // 3, side) for i in range(0, len(pixels), 3) if pixels[i + 1] > 150
                     and pixels[i + 1] > max(pixels[i], pixels[i + 2]) + 40]
            self.assertGreater(len(found), 100)
            spread[name] = [max(values) - min(values) for values in zip(*found)]
        self.assertGreater(spread["same"][0], 20 * spread["same"][1])
        self.assertGreater(spread["opposite"][1], 20 * spread["opposite"][0])

    def test_a_chart_that_cannot_be_written_fails_before_anything_is_measured(self):
        for path, why in (("/nowhere/chart.png", "No such file or directory"),
                          (self.folder, "Is a directory")):
            code, objects, said = self.analyze("demo --chart " + path)
            self.assertEqual((code, objects), (1, []))
            self.assertIn(f"{path} cannot be written: {why}", said)

    def test_a_chart_goes_through_what_its_name_is(self):
        """Through a link into the file that it names; into a FIFO, which stays one."""
        target, link, fifo = (os.path.join(self.folder, name) for name in ("old", "link", "fifo"))
        with open(target, "wb") as file:
            file.write(b"old")
        os.symlink("old", link)
        os.mkfifo(fifo)
        code, _, said = self.analyze("demo --chart " + link)
        self.assertEqual(code, 0, said)
        with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
            code, _, said = self.analyze("demo --chart " + fifo)
            if not stat.S_ISFIFO(os.stat(fifo).st_mode):
                reader.kill()
            self.assertTrue(reader.stdout.read(8).startswith(b"\x89PNG"))
            reader.stdout.read()
        self.assertEqual(code, 0, said)
        self.assertTrue(os.path.islink(link))
        with open(target, "rb") as file:
            self.assertTrue(file.read(8).startswith(b"\x89PNG"))
        self.assertFalse([name for name in os.listdir(self.folder) if "try" in name or "part" in name])

    def test_what_is_black_still_or_a_scene_can_be_chosen(self):
        _, objects, _ = self.analyze(
            "demo --black-level 1 --black 0.1 --frozen-noise 1 --frozen 0.1 --scene-score 0")
        total = self.totals(objects)["demo"]
        self.assertAlmostEqual(total["black_s"], 1, 6)
        self.assertAlmostEqual(total["frozen_s"], 1, 6)
        self.assertEqual(total["scene_cuts"], 59)


class Terminal:
    """A program at a terminal of its own; what it draws is kept as it comes."""

    def __init__(self, words, env, rows=30, columns=100):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(words[0], words, env)
        self.output = b""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        if not select.select([self.fd], [], [], 0.05)[0]:
            return True
        try:
            more = os.read(self.fd, 65536)
        except OSError:
            return False
        self.output += more
        return bool(more)

    def wait_for(self, pattern, start=0):
        """Only what changes is drawn, so that words come in pieces: another size brings all of it."""
        deadline = time.monotonic() + DEADLINE_S
        columns = 100
        while not re.search(pattern, self.output[start:]):
            if not self.read() or time.monotonic() > deadline:
                raise AssertionError(f"{pattern} did not come: {self.output[-500:]}")
            columns = 201 - columns
            self.resize(30, columns)

    def press(self, key):
        os.write(self.fd, key)

    def join(self):
        while self.read():
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


class LiveView(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        socket = os.path.join(self.temporary.name, "socket")
        self.env = dict(os.environ, SHMFRAME_SOCKET=socket, TERM="xterm-256color", LC_ALL="C.UTF-8")
        self.env.pop("NO_COLOR", None)
        self.children = []
        self.start(SHMFRAMED, "--socket", socket)

    def start(self, *words):
        self.children.append(subprocess.Popen(words, env=self.env, stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.children[-1]

    def pattern(self, *more):
        return self.start(PATTERN_PATH, "--stream", "demo", "--size", "64x48", *more)

    def tearDown(self):
        for child in reversed(self.children):
            child.kill()
            child.wait()
        self.temporary.cleanup()

    def open(self, *options, **env):
        return Terminal([ANALYZE, "demo", "--wait", "20", *options], dict(self.env, **env))

    def test_it_shows_meters_and_ends_with_q(self):
        self.pattern()
        terminal = self.open()
        terminal.wait_for(rb"integrated")
        terminal.wait_for("█".encode())
        self.assertRegex(terminal.output, rb"\x1b\[(\d+;)*3[1-6]m")
        before = len(terminal.output)
        terminal.wait_for(rb"momentary", before) # it has another size, and is drawn anew
        terminal.press(b"q")
        self.assertEqual(terminal.join(), 0)
        # The terminal is as it was, then the totals come.
        _, _, after = terminal.output.rpartition(b"\x1b[?1049l")
        self.assertIn(b"demo.sound, the whole", after)
        self.assertRegex(after, rb"ended_by +key")

    def test_quitting_at_once_leaves_the_terminal_as_it_was(self):
        self.pattern()
        terminal = self.open()
        terminal.wait_for(rb"integrated")
        before = len(terminal.output)
        terminal.press(b"\x1c") # Ctrl-\
        self.assertEqual(terminal.join(), -signal.SIGQUIT)
        self.assertIn(b"\x1b[?1049l", terminal.output[before:])

    def test_stopped_before_its_stream_was_there_it_has_failed(self):
        for more in [], ["--expect", "frames>=1"]:
            terminal = self.open("--format", "json", *more)
            terminal.wait_for(rb"waiting for")
            terminal.press(b"\x03") # Ctrl-C
            self.assertEqual(terminal.join(), 1)

    def test_without_colours_it_has_none(self):
        self.pattern()
        terminal = self.open(NO_COLOR="1")
        terminal.wait_for(rb"integrated")
        terminal.wait_for("█".encode())
        terminal.press(b"q")
        self.assertEqual(terminal.join(), 0)
        self.assertNotRegex(terminal.output, rb"\x1b\[(\d+;)*[34]\d(;\d+)*m")

    def test_r_begins_anew(self):
        self.pattern()
        terminal = self.open()
        terminal.wait_for(rb"integrated")
        terminal.wait_for(rb" [1-9]\d*\.\d s") # a second has been measured
        terminal.press(b"rq")
        self.assertEqual(terminal.join(), 0)
        _, _, after = terminal.output.rpartition(b"\x1b[?1049l")
        frames = [int(number) for number in re.findall(rb"  frames +(\d+)", after)]
        self.assertEqual(len(frames), 2)
        self.assertLess(frames[0], 60)

    def test_what_is_said_comes_after_it(self):
        pattern = self.pattern()
        terminal = self.open()
        terminal.wait_for(rb"integrated")
        pattern.send_signal(signal.SIGKILL)
        terminal.wait_for(rb"its writer is gone")
        terminal.press(b"q")
        self.assertEqual(terminal.join(), 0)
        _, _, after = terminal.output.rpartition(b"\x1b[?1049l")
        self.assertIn(b"shmframe-analyze: demo: its writer is gone; waiting for the next one", after)


if __name__ == "__main__":
    unittest.main()
