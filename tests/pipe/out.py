"""shmframe-pipe: what comes out of a pipe is what was in the ring, read by other people's programs."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]
PIPE = os.environ["PIPE"]
SECONDS = 60  # until something that should happen has not
FILE = "shmframe-pattern --size 70x50 --rate 25 --unpaced --wait-readers 1"
LIVE = "shmframe-pattern --size 64x48 --rate 50"


def framemd5(path, *options):
    """[(pts, bytes, sum)] of each frame, as FFmpeg reads them."""
    done = subprocess.run(["ffmpeg", "-loglevel", "error", "-xerror", "-i", path, *options, "-f",
                           "framemd5", "-"], text=True, capture_output=True, timeout=SECONDS, check=True)
    rows = [line.split(",") for line in done.stdout.splitlines() if not line.startswith("#")]
    return [(int(row[2]), int(row[4]), row[5].strip()) for row in rows]


def probe(path, *keys):
    done = subprocess.run(["ffprobe", "-loglevel", "error", "-show_streams", "-of", "json", path],
                          text=True, capture_output=True, timeout=SECONDS, check=True)
    return [tuple(stream.get(key) for key in keys) for stream in json.loads(done.stdout)["streams"]]


class Out(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def call(self, *lines):
        return subprocess.run([SHMFRAME, "run", *lines], text=True, capture_output=True,
                              timeout=SECONDS, stdin=subprocess.DEVNULL, check=False)

    def write(self, producer, what, name, options=""):
        """Streams into a file; the report, and what was said."""
        path = self.path(name)
        done = self.call(producer, f"shmframe-pipe {options} -y --format json {what} {path} > "
                                   f"{self.path('report')}")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("report"), encoding="utf-8") as file:
            return json.load(file), done.stderr

    def frames_of_ring(self, pixel_format, size="70x50", count=5):
        """The bytes of the pattern's pictures, by the raw road."""
        self.write(f"shmframe-pattern --size {size} --rate 25 --unpaced --wait-readers 1 "
                   f"--no-sound --pixel-format {pixel_format} --frames {count}", "demo", "ring.raw")
        with open(self.path("ring.raw"), "rb") as file:
            data = file.read()
        step = len(data) // count
        return [hashlib.md5(data[i * step:(i + 1) * step]).hexdigest() for i in range(count)]

    def test_every_picture_comes_out_as_it_is_and_where_it_is(self):
        both = ("y4m", "nut")
        for pixel_format, endings in (("yuv420p", both), ("yuv420p10le", ["y4m"]),
                                      ("yuva444p", ["y4m"])):
            producer = FILE + f" --no-sound --frames 5 --pixel-format {pixel_format}"
            sums = self.frames_of_ring(pixel_format)
            for ending in endings:
                with self.subTest(pixel_format=pixel_format, ending=ending):
                    report, _ = self.write(producer, "demo", "a." + ending)
                    stream, = report["streams"]
                    self.assertEqual((stream["frames"], stream["converted"]), (5, 0))
                    self.assertEqual((stream["policy"], report["ended_by"]),
                                     ("lossless", "end of stream"))
                    if ending == "y4m":
                        self.assertEqual(stream["in_place"], 5)
                    read = framemd5(self.path("a." + ending))
                    self.assertEqual([row[2] for row in read], sums)
                    (found, rate), = probe(self.path("a." + ending), "pix_fmt", "avg_frame_rate")
                    self.assertEqual((found, rate), (pixel_format, "25/1"))

    def test_nut_takes_pictures_from_the_slot_where_their_lines_are_tight(self):
        producer = ("shmframe-pattern --size 64x48 --rate 25 --unpaced --wait-readers 1 --no-sound "
                    "--frames 5 --pixel-format rgb24")
        report, _ = self.write(producer, "demo", "a.nut")
        self.assertEqual([(s["in_place"], s["packed"]) for s in report["streams"]], [(5, 0)])
        sums = self.frames_of_ring("rgb24", "64x48")
        self.assertEqual([row[2] for row in framemd5(self.path("a.nut"))], sums)

    def test_pixels_that_a_container_cannot_carry_choose_another_or_are_converted(self):
        producer = FILE + " --no-sound --frames 3 --pixel-format rgb24"
        done = self.call(producer, f"shmframe-pipe demo --frames 3 | cat > {self.path('free')}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(probe(self.path("free"), "pix_fmt"), [("rgb24",)])
        report, said = self.write(producer, "demo", "a.y4m")
        self.assertEqual((report["streams"][0]["converted"], report["streams"][0]["in_place"]), (3, 0))
        self.assertIn("y4m does not carry rgb24: converted to yuv444p", said)
        self.assertEqual(probe(self.path("a.y4m"), "pix_fmt", "color_range"), [("yuv444p", "tv")])
        done = self.call(producer, f"shmframe-pipe demo --exact {self.path('b.y4m')}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("y4m does not carry rgb24, the pixels of demo", done.stderr)
        # What was there is there still: nothing was written.
        done = self.call(producer, f"shmframe-pipe demo -y --exact {self.path('a.y4m')}")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(probe(self.path("a.y4m"), "pix_fmt"), [("yuv444p",)])

    def test_standard_output_that_is_shared_waits_again_after_a_failure(self):
        script = ("import os, socket, subprocess\n"
                  "ends = socket.socketpair()\n"
                  "code = subprocess.call(['shmframe-pipe', 'demo', '--exact', '--as', 'y4m'],\n"
                  "                       stdout=ends[0])\n"
                  "print(code, os.get_blocking(ends[0].fileno()))\n")
        with open(self.path("shared.py"), "w", encoding="utf-8") as file:
            file.write(script)
        done = self.call(LIVE + " --no-sound --pixel-format rgb24", "python3 " + self.path("shared.py"))
        self.assertIn("1 True", done.stdout, done.stderr)

    def test_sound_comes_out_with_every_sample(self):
        sums = {}
        for sample_format, channels, codec in (("fltp", 6, "pcm_f32le"), ("flt", 6, "pcm_f32le"),
                                               ("s32p", 20, "pcm_s32le"), ("u8", 2, "pcm_u8")):
            with self.subTest(sample_format=sample_format, channels=channels):
                # The pattern waits for readers of its pictures: they are read too.
                report, _ = self.write(FILE + f" --duration 0.5 --sample-format {sample_format} "
                                       f"--channels {channels}", "demo", "both.nut")
                pictures, sound = report["streams"]
                self.assertEqual((pictures["frames"], sound["frames"]), (13, 50))
                is_planar = sample_format.endswith("p")
                self.assertEqual((sound["packed"], sound["in_place"]),
                                 (50, 0) if is_planar else (0, 50))
                found = probe(self.path("both.nut"), "codec_name", "channels")
                self.assertEqual(found[1], (codec, channels))
                read = framemd5(self.path("both.nut"), "-map", "0:a")
                self.assertEqual([row[0] for row in read], list(range(0, 24000, 480)))
                sums[sample_format] = [row[2] for row in read]
        self.assertEqual(sums["fltp"], sums["flt"])
        self.assertGreater(len(set(sums["flt"])), 1)

    def test_wav_is_read_by_others(self):
        subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=r=48000:d=0.5",
                        "-ac", "2", self.path("sine.wav")], check=True, timeout=SECONDS)
        written = [self.path(name) for name in ("a.wav", "live.wav", "a.pcm")]
        # The end of the last line is that of all others, wherever they are.
        there = " && ".join(f"[ -f {path}.done ]" for path in written)
        done = self.call(
            f"shmframe-media --unpaced --wait-readers 3 {self.path('sine.wav')}",
            f"shmframe-pipe media.sound {written[0]} && touch {written[0]}.done",
            f"shmframe-pipe media.sound | tee {written[1]} | wc -c > {self.path('count')} && "
            f"touch {written[1]}.done",
            f"shmframe-pipe media.sound {written[2]} && touch {written[2]}.done",
            f"sh -c 'until {there}; do sleep 0.05; done'")
        with open(self.path("a.pcm"), "rb") as file:
            samples = file.read()
        self.assertEqual(len(samples), 24000 * 2 * 2)
        raw = ("-f", "s16le", "-")
        for name in ("a.wav", "live.wav"):
            done = subprocess.run(["ffmpeg", "-loglevel", "error", "-i", self.path(name), *raw],
                                  capture_output=True, timeout=SECONDS, check=True)
            self.assertEqual(done.stdout, samples, name)
            done = subprocess.run(["sox", self.path(name), "-t", "raw", "-"], capture_output=True,
                                  timeout=SECONDS, check=True)
            self.assertEqual(done.stdout, samples, name)
        self.assertEqual(os.path.getsize(self.path("a.wav")), 44 + len(samples))
        (seconds,), = probe(self.path("a.wav"), "duration")
        self.assertEqual(float(seconds), 0.5)

    def test_sox_has_nothing_to_say_of_floats(self):
        done = self.call(FILE + " --duration 0.1 --sample-format flt --channels 2",
                         f"shmframe-pipe demo.sound {self.path('a.wav')}")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = subprocess.run(["sox", self.path("a.wav"), "-t", "raw", self.path("raw")], text=True,
                              capture_output=True, timeout=SECONDS, check=True)
        self.assertEqual(done.stderr, "")
        self.assertEqual(os.path.getsize(self.path("raw")), 4800 * 2 * 4)

    def test_a_frame_that_is_converted_and_moved_together_counts_once(self):
        report, _ = self.write(FILE + " --no-sound --pixel-format yuv420p --frames 3", "demo", "a.nut",
                               "--pixel-format yuv422p")
        stream, = report["streams"]
        self.assertEqual((stream["frames"], stream["in_place"], stream["converted"], stream["packed"]),
                         (3, 0, 3, 0))

    def test_why_frames_were_moved_together_is_told(self):
        for options, ending, why in (("--no-sound --pixel-format yuv420p --frames 3", "nut", "padding"),
                                     ("--no-sound --pixel-format yuv420p --frames 3", "y4m", None)):
            report, _ = self.write(FILE + " " + options, "demo", "a." + ending)
            stream, = report["streams"]
            self.assertEqual(stream["packed"], 3 if why else 0)
            if why:
                self.assertIn(why, stream["packed_because"])
            else:
                self.assertIsNone(stream["packed_because"])
        done = self.call(FILE + " --sample-format fltp --duration 0.1",
                         f"shmframe-pipe demo {self.path('b.nut')}")
        self.assertIn("  moved together: its channels are planes of their own", done.stdout)

    def test_a_file_that_exists_is_left_alone_unless_asked(self):
        path = self.path("old.y4m")
        with open(path, "w", encoding="utf-8") as file:
            file.write("old")
        # Before there is anybody to ask.
        done = subprocess.run([PIPE, "demo", path], text=True, capture_output=True, timeout=SECONDS,
                              check=False, env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
        self.assertEqual((done.returncode, done.stderr), (
            1, f"shmframe-pipe: {path} exists: take another name, or add --overwrite\n"))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "old")
        for option in ("--overwrite", "-y"):
            done = self.call(FILE + " --no-sound --frames 2", f"shmframe-pipe {option} demo {path}")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(framemd5(path)), 2)
        done = self.call(FILE + " --no-sound --frames 2", "shmframe-pipe demo /dev/null")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_name_of_another_kind_of_file_is_a_mistake_or_meant(self):
        path = self.path("a.mp4")
        done = subprocess.run([PIPE, "demo", path], text=True, capture_output=True, timeout=SECONDS,
                              check=False, env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(path + ": here are y4m, nut, wav and raw only", done.stderr)
        done = self.call(FILE + " --no-sound --frames 2", f"shmframe-pipe demo {path} --as nut")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.call(FILE + " --no-sound --frames 2", "shmframe-pipe demo z.foo --wait 50ms")
        self.assertEqual(done.returncode, 1)
        self.assertIn("z.foo is no stream yet: if it is to be a file, write ./z.foo\n", done.stderr)

    def test_a_file_without_a_directory_names_the_remedy(self):
        done = self.call(FILE + " --no-sound --frames 2",
                         f"shmframe-pipe demo {self.path('missing/a.y4m')}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory (make its directory first)\n", done.stderr)

    def test_a_live_picture_and_its_sound_are_in_step(self):
        done = self.call(LIVE + " --duration 2", f"shmframe-pipe demo --duration 1 | "
                                                 f"cat > {self.path('a.nut')}")
        self.assertEqual(done.returncode, 0, done.stderr)
        times = {}
        for kind, unit in (("v", 51200), ("a", 48000)):
            times[kind] = [row[0] / unit for row in framemd5(self.path("a.nut"), "-map", "0:" + kind)]
            self.assertEqual(times[kind], sorted(times[kind]))
            self.assertGreater(len(times[kind]), 10)
        self.assertEqual(min(times["v"][0], times["a"][0]), 0)
        self.assertLess(abs(times["v"][0] - times["a"][0]), 0.5)

    def test_a_reader_that_goes_away_ends_it_quietly(self):
        done = self.call(LIVE + " --no-sound", "shmframe-pipe demo | head -c 20000 | wc -c")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("20000\n", done.stdout)
        self.assertIn("ended by reader", done.stderr)

    def test_a_reader_that_goes_away_before_the_stream_is_there_ends_it_quietly_too(self):
        there = self.path("fifo")
        done = self.call(LIVE + " --no-sound", f"mkfifo {there}; exec 3<>{there} 4>{there} 3<&-; "
                                               "shmframe-pipe demo >&4")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("stopped", done.stderr)

    def test_a_slow_reader_loses_whole_frames_that_are_counted(self):
        script = ("import sys, time\n"
                  "line = sys.stdin.buffer.readline()\n"
                  "for _ in range(6):\n"
                  "    assert sys.stdin.buffer.read(6) == b'FRAME\\n'\n"
                  "    assert len(sys.stdin.buffer.read(640 * 480 * 3 // 2)) == 640 * 480 * 3 // 2\n"
                  "    time.sleep(0.1)\n")
        with open(self.path("slow.py"), "w", encoding="utf-8") as file:
            file.write(script)
        for policy, key in (("latest", "skipped"), ("in-order --depth 2", "lost_late")):
            with self.subTest(policy=policy):
                done = self.call("shmframe-pattern --size 640x480 --rate 100 --no-sound",
                                 f"shmframe-pipe demo --policy {policy} --format json | "
                                 f"python3 {self.path('slow.py')}")
                self.assertEqual(done.returncode, 0, done.stderr)
                report = json.loads(re.search(r"^\{.*\}$", done.stderr, re.M)[0])
                self.assertGreater(report["streams"][0][key], 5)
                self.assertEqual(report["ended_by"], "reader")

    def start(self, *lines):
        said = open(self.path("said"), "w+", encoding="utf-8")
        self.addCleanup(said.close)
        run = subprocess.Popen([SHMFRAME, "run", *lines], stdin=subprocess.DEVNULL, stdout=said,
                               stderr=said)
        self.addCleanup(run.wait)
        self.addCleanup(run.terminate)
        return run

    def said(self):
        with open(self.path("said"), encoding="utf-8") as file:
            return file.read()

    def wait_said(self, text, count=1):
        deadline = time.monotonic() + SECONDS
        while self.said().count(text) < count:
            self.assertLess(time.monotonic(), deadline, self.said())
            time.sleep(0.005)

    def test_a_fifo_is_waited_for_and_with_stay_again_and_again(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        run = self.start(LIVE + " --no-sound", f"shmframe-pipe demo --stay {fifo} --as y4m")
        for count in range(3):
            with open(fifo, "rb", buffering=0) as file:
                data = b""
                while len(data) < 3 * 4614:
                    data += file.read(3 * 4614)
            line, rest = data.split(b"\n", 1)
            self.assertTrue(line.startswith(b"YUV4MPEG2 W64 H48 F50:1 "), line)
            self.assertEqual(rest[:6], b"FRAME\n")
            self.assertEqual(rest[4614:4620], b"FRAME\n")
            self.wait_said("fifo: its reader is gone; waiting for the next one", count + 1)
        run.terminate()
        run.wait(SECONDS)
        # The pattern gets the signal too, and may end the stream first.
        self.assertRegex(self.said(), "ended by (signal|end of stream)")

    def test_the_pipe_is_large_but_for_latest_where_it_holds_one_frame(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        with open("/proc/sys/fs/pipe-max-size", encoding="utf-8") as file:
            # Others' pipes of the same user count too, unless it is root.
            largest = int(file.read()) if os.geteuid() == 0 else None
        for policy, expected in (("in-order", largest), ("latest", 8192)):
            run = self.start(LIVE + " --no-sound", f"shmframe-pipe demo --policy {policy} {fifo}")
            with open(fifo, "rb", buffering=0) as file:
                self.assertTrue(file.read(1))
                size = fcntl.fcntl(file, fcntl.F_GETPIPE_SZ)
                self.assertIn(size, [expected] if expected else range(8193, 1 << 31))
            run.wait(SECONDS)

    def test_ctrl_c_ends_it_while_the_pipe_is_full(self):
        fifo, pid = self.path("fifo"), self.path("pid")
        os.mkfifo(fifo)
        run = self.start("shmframe-pattern --size 1280x720 --rate 100 --no-sound",
                         f"sh -c 'echo $$ > {pid}; exec shmframe-pipe demo --as y4m {fifo}'")
        with open(fifo, "rb", buffering=0) as file:
            self.assertTrue(file.read(10))
            with open(pid, encoding="utf-8") as numbers:
                number = int(numbers.read())
            self.wait_until_full(number)
            os.kill(number, signal.SIGINT)
            run.wait(SECONDS)
        self.assertIn("ended by signal", self.said())
        self.assertIn("the last frame is cut off", self.said())

    def wait_until_full(self, pid):
        """Until it sleeps in poll and not on a futex: the pipe takes no more."""
        deadline = time.monotonic() + SECONDS
        seen = 0
        while seen < 5:
            self.assertLess(time.monotonic(), deadline)
            with open(f"/proc/{pid}/syscall", encoding="utf-8") as file:
                number = file.read().split()[0]
            seen = seen + 1 if number in ("271", "73") else 0  # ppoll of x86-64, of others
            time.sleep(0.01)

    def test_a_change_of_format_ends_it_or_is_converted(self):
        for size, first in (("64x48", 1), ("32x24", 6)):
            subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=" + size,
                            "-frames:v", "5", "-start_number", str(first), self.path("%d.png")],
                           check=True, timeout=SECONDS)
        media = f"shmframe-media --unpaced --wait-readers 1 --stream demo {self.path('%d.png')}"
        done = self.call(media, f"shmframe-pipe demo {self.path('a.nut')}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("demo changed to 32x24 rgb24", done.stderr)
        self.assertEqual(len(framemd5(self.path("a.nut"))), 5)
        report, _ = self.write(media, "demo", "b.nut", "--on-change convert")
        stream, = report["streams"]
        self.assertEqual((stream["frames"], stream["converted"]), (10, 5))
        self.assertEqual({row[1] for row in framemd5(self.path("b.nut"))}, {64 * 48 * 3})

    def test_a_full_disk_is_said_and_leaves_whole_frames(self):
        if os.geteuid() != 0 or not shutil.which("mount"):
            self.skipTest("only root can make a small disk")
        disk = self.path("disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], check=False,
                          capture_output=True).returncode:
            self.skipTest("no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        done = self.call(FILE + " --no-sound --frames 200", f"shmframe-pipe demo {disk}/a.y4m")
        self.assertEqual(done.returncode, 1)
        self.assertIn("a.y4m cannot be written any more: No space left on device", done.stderr)
        with open(disk + "/a.y4m", "rb") as file:
            _, rest = file.read().split(b"\n", 1)
        self.assertEqual(len(rest) % 5256, 0)
        self.assertGreater(len(rest) // 5256, 40)

    def test_mistakes_are_usage_errors_before_anything_is_opened(self):
        for arguments in ([], ["demo", "--as", "mp4"], ["demo", "--on-change", "stop"],
                          ["demo", "--pixel-format", "pink"], ["demo", "--sample-format", "s16p"],
                          ["demo", "--stay"], ["demo", "--stay", "/nowhere/a.y4m"], ["Not A Name"],
                          ["demo", "--depth", "300"], ["demo", "--format", "xml"]):
            done = subprocess.run([PIPE, *arguments], text=True, capture_output=True, timeout=30,
                                  check=False, env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
            self.assertEqual(done.returncode, 2, (arguments, done.stderr))
            self.assertEqual(done.stderr.count("\n"), 1, arguments)


if __name__ == "__main__":
    unittest.main()
