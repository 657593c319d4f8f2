"""shmframe-encode: what is in its files is what was published."""

import hashlib
import json
import os
import re
import subprocess
import tempfile
import unittest

SHMFRAME = os.environ["SHMFRAME"]
ENCODE = os.environ["ENCODE"]
WITNESS = os.environ["WITNESS"]


def ffmpeg(*arguments):
    """What it writes to standard output; it must not complain about anything."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-xerror", *arguments],
                          capture_output=True, timeout=60, check=False)
    said = done.stderr.decode()
    if done.returncode or said:
        raise AssertionError(f"ffmpeg {' '.join(arguments)}: {said}")
    return done.stdout


def probe(path, *entries):
    done = subprocess.run(["ffprobe", "-v", "error", "-of", "json", *entries, path],
                          capture_output=True, text=True, timeout=60, check=True)
    if done.stderr:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def frame_sums(path):
    """Stamp in seconds and MD5 of each decoded picture."""
    lines = ffmpeg("-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-enc_time_base", "-1", "-copyts",
                   "-f", "framemd5", "-").decode().splitlines()
    base = next(re.match(r"#tb 0: (\d+)/(\d+)", line) for line in lines if line.startswith("#tb"))
    unit = int(base[1]) / int(base[2])
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    return [(int(row[2]) * unit, row[5].strip()) for row in rows]


def sound_sum(path, codec, track="0:a:0"):
    return hashlib.md5(ffmpeg("-i", path, "-map", track, "-c:a", codec, "-f",
                              codec.replace("pcm_", ""), "-")).hexdigest()


class Encoded(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_lines(self, *lines, code=0):
        done = subprocess.run([SHMFRAME, "run", *lines], text=True, capture_output=True, timeout=30,
                              stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    @staticmethod
    def await_files(*paths):
        """For the last line, whose end is the end of all."""
        there = " && ".join(f"[ -f {path} ]" for path in paths)
        return f"sh -c 'until {there}; do sleep 0.05; done'"

    def encode(self, producer, options, streams="cam", witnesses=("cam",), others=(), until=(), code=0):
        """The report, and what each witness saw. A file is named in `options` as {folder}/NAME; others
        say by the files `until` that they are done."""
        saw = self.path("seen")
        report = self.path("report.json")
        for path in (f"{saw}.done", f"{report}.done"):
            if os.path.exists(path):
                os.unlink(path)
        # Sounds first: the pattern begins when its picture has all readers.
        readers = [f"{WITNESS} {' '.join(reversed(witnesses))} > {saw}; touch {saw}.done"] if witnesses else []
        done = self.run_lines(
            producer, *others, *readers, f"shmframe-encode {streams} --format json "
            f"{options.format(folder=self.folder)} > {report} && touch {report}.done",
            self.await_files(*([f"{saw}.done"] if witnesses else []), f"{report}.done",
                             *map(self.path, until)), code=code)
        seen = {name: [] for name in witnesses}
        if witnesses:
            with open(saw, encoding="utf-8") as file:
                for line in file:
                    seen[line.split()[0]].append(line.split()[1:])
        with open(report, encoding="utf-8") as file:
            self.report = json.loads(file.read())
        self.said = done.stderr
        return self.report, list(seen.values())


def pattern(options="", readers=2):
    """As fast as its readers are; it waits for them."""
    return (f"shmframe-pattern --stream cam --size 160x120 --unpaced --wait-readers {readers} {options}")


class RoundTrips(Encoded):
    def expect_same(self, name, report, seen, unit=1e-9):
        decoded = frame_sums(self.path(name))
        self.assertEqual(len(decoded), len(seen))
        first = int(seen[0][1])
        for (stamp, md5), (_, pts_ns, wanted) in zip(decoded, seen):
            self.assertEqual(md5, wanted)
            self.assertAlmostEqual(stamp, (int(pts_ns) - first) / 1e9, delta=unit)
        picture = report["streams"][0]
        self.assertEqual(picture["delivered"], len(seen))
        self.assertEqual(picture["encoded"], len(seen))
        self.assertEqual(picture["lost_late"] + picture["lost_restart"] + picture["converted"], 0)

    def test_ffv1_and_pcm_in_nut(self):
        report, (picture, sound) = self.encode(pattern("--frames 50"), "{folder}/a.nut",
                                               witnesses=("cam", "cam.sound"))
        self.assertEqual(report["time"], "pts")
        self.expect_same("a.nut", report, picture)
        self.assertEqual(report["streams"][1]["codec"], "pcm")
        self.assertEqual(sound_sum(self.path("a.nut"), "pcm_f32le"), sound[0][1])

    def test_ffv1_and_flac_in_matroska(self):
        report, (picture, sound) = self.encode(
            pattern("--frames 50 --rate 30000/1001 --sample-format s16 --pixel-format yuv422p10le"),
            "{folder}/a.mkv --video ffv1", witnesses=("cam", "cam.sound"))
        self.expect_same("a.mkv", report, picture, unit=0.0006)  # Matroska has milliseconds
        self.assertEqual(report["streams"][1]["codec"], "flac")
        self.assertEqual(sound_sum(self.path("a.mkv"), "pcm_s16le"), sound[0][1])

    def test_raw_pictures_of_one_plane_are_written_from_the_slot(self):
        report, (picture,) = self.encode(pattern("--frames 40 --no-sound --pixel-format yuyv422"),
                                         "{folder}/a.nut --video rawvideo")
        self.expect_same("a.nut", report, picture)
        counted = report["streams"][0]
        self.assertGreater(counted["in_place"], 0)
        self.assertEqual(counted["raw_in_place"], counted["in_place"])
        self.assertEqual(counted["in_place"] + counted["copied"], 40)
        report, _ = self.encode(pattern("--frames 40 --no-sound --pixel-format yuyv422"),
                                "{folder}/b.nut --video rawvideo --leases 1")
        counted = report["streams"][0]
        self.assertEqual((counted["copied"], counted["raw_in_place"]), (40, 0))

    def test_yuv4mpeg(self):
        report, (picture,) = self.encode(pattern("--frames 40 --no-sound"), "{folder}/a.y4m")
        self.expect_same("a.y4m", report, picture)

    def test_raw_pictures_with_padding_are_copied_by_the_encoder(self):
        report, (picture,) = self.encode(
            pattern("--frames 40 --no-sound --pixel-format rgb24").replace("160x120", "150x120"),
            "{folder}/a.nut --video rawvideo")
        self.expect_same("a.nut", report, picture)
        self.assertEqual(report["streams"][0]["raw_in_place"], 0)


def psnr(path, reference):
    """Of the pictures' luma, in dB."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-hide_banner", "-i", path, "-i", reference, "-lavfi",
                           "[0:v]settb=AVTB[a];[1:v]settb=AVTB[b];[a][b]psnr", "-f", "null", "-"],
                          capture_output=True, text=True, timeout=60, check=True)
    return float(re.search(r"PSNR y:([\d.]+|inf)", done.stderr)[1])


class Lossy(Encoded):
    FILES = {  # container: codecs of picture and sound
        "mp4": ("h264", "aac"), "mkv": ("h264", "aac"), "webm": ("vp9", "opus"), "ogg": ("theora", "vorbis")}
    if os.environ.get("SHMFRAME_TEST_ALL"):
        FILES |= {"mov": ("h264", "aac"), "ts": ("h264", "aac"), "avi": ("mpeg4", "pcm_f32le"),
                  "flv": ("h264", "aac")}

    def check_file(self, path, codecs, seconds):
        """All streams are there, as long as they should be, their stamps rise, all can be decoded."""
        ffmpeg("-i", path, "-f", "null", "-")
        shown = probe(path, "-show_entries", "stream=index,codec_name:format=duration:"
                      "packet=stream_index,dts_time,pts_time,duration_time")
        streams = {stream["index"]: stream["codec_name"] for stream in shown["streams"]}
        self.assertEqual(tuple(streams[i] for i in sorted(streams)), codecs)
        for index in streams:
            packets = [packet for packet in shown["packets"] if packet["stream_index"] == index]
            stamps = [float(packet["dts_time"]) for packet in packets if "dts_time" in packet]
            self.assertTrue(all(a < b for a, b in zip(stamps, stamps[1:])), (path, index))
            times = [float(packet["pts_time"]) for packet in packets if "pts_time" in packet]
            if times and index == 0:
                self.assertAlmostEqual(max(times) - min(times), seconds, delta=0.09, msg=path)
        sound = ffmpeg("-i", path, "-map", "0:a", "-ac", "1", "-ar", "48000", "-f", "s16le", "-")
        self.assertAlmostEqual(len(sound) / 96000, seconds, delta=0.09, msg=path)
        self.assertAlmostEqual(float(shown["format"]["duration"]), seconds, delta=0.09)

    def test_every_container_holds_a_whole_and_good_picture_and_its_sound(self):
        files = [self.path(f"a.{suffix}") for suffix in ("nut", *self.FILES)]
        encoders = [f"shmframe-encode cam {path} --format json > {path}.json && touch {path}.done"
                    for path in files]
        self.run_lines(pattern("--frames 30 --rate 30", readers=len(files)), *encoders,
                       self.await_files(*[f"{path}.done" for path in files]))
        for suffix, codecs in self.FILES.items():
            with self.subTest(suffix):
                self.check_file(self.path(f"a.{suffix}"), codecs, 1)
                self.assertGreater(psnr(self.path(f"a.{suffix}"), self.path("a.nut")), 30)
                with open(self.path(f"a.{suffix}.json"), encoding="utf-8") as file:
                    report = json.load(file)
                self.assertEqual([stream["delivered"] for stream in report["streams"]], [30, 100])

    def test_flv_says_that_it_takes_no_pictures_out_of_order(self):
        for options in "bf=2", "x264-params=bframes=2":
            done = self.run_lines(pattern("--frames 30", readers=1),
                                  f"shmframe-encode cam {self.path('a.flv')} --video libx264:{options}", code=1)
            self.assertIn("bf=0", done.stderr)
            self.assertIn("status 2", done.stderr)

    def test_a_file_that_is_played_keeps_its_times(self):
        source = self.path("source.mkv")
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2", "-f", "lavfi", "-i",
               "sine=r=44100:d=2", "-vf", "setpts='if(lt(N,25),N,N+10)/25/TB'", "-fps_mode", "vfr",
               "-c:v", "ffv1", "-c:a", "flac", "-t", "2", source)
        report, _ = self.encode(f"shmframe-media --stream cam --unpaced --wait-readers 1 {source}",
                                "{folder}/a.mkv --video ffv1", witnesses=())
        self.assertEqual(report["time"], "pts")
        wanted = frame_sums(source)
        self.assertGreater(len(wanted), 35)
        self.assertEqual(frame_sums(self.path("a.mkv")), wanted)
        self.assertEqual(sound_sum(self.path("a.mkv"), "pcm_s16le"), sound_sum(source, "pcm_s16le"))

    def test_the_report_is_as_long_as_the_file(self):
        report, _ = self.encode(pattern("--rate 30000/1001", readers=1),
                                "{folder}/a.mkv --video ffv1 --duration 1", witnesses=())
        shown = probe(self.path("a.mkv"), "-show_entries", "format=duration")
        self.assertAlmostEqual(report["seconds"], float(shown["format"]["duration"]), delta=0.0015)

    def test_mp4_holds_flac(self):
        self.encode(pattern("--frames 10 --sample-format s16", readers=1),
                    "{folder}/a.mp4 --audio flac", witnesses=())
        ffmpeg("-i", self.path("a.mp4"), "-f", "null", "-")

    def test_formats_that_the_codec_does_not_take_are_converted_and_counted(self):
        report, _ = self.encode(pattern("--frames 20 --pixel-format bgra --size 151x121"),
                                "{folder}/a.mp4")
        picture, sound = report["streams"]
        self.assertEqual((picture["converted"], picture["converted_why"]),
                         (20, "bgra to yuv420p, which its codec takes"))
        self.assertEqual(sound["converted"], sound["delivered"])
        shown = probe(self.path("a.mp4"), "-show_streams", "-select_streams", "v")["streams"][0]
        self.assertEqual((shown["width"], shown["height"], shown["pix_fmt"], shown["color_range"]),
                         (150, 120, "yuv420p", "tv"))


class Live(Encoded):
    SLOW = "--video libx264:preset=placebo,tune=zerolatency,threads=1 --audio none --depth 3"

    def test_a_slow_encoder_loses_exactly_what_it_does_not_get_and_nobody_else_does(self):
        other = self.path("other.json")
        live = ("shmframe-pattern --stream cam --size 640x360 --rate 60 --frames 100 --wait-readers 2 "
                f"--format json > {self.path('pattern.json')}")
        # What is kept for the other reader is there for this one as well.
        reader = f"shmframe-latency cam --policy in-order --depth 24 --interval 0 --format json > {other}"
        report, _ = self.encode(live, self.SLOW + " {folder}/a.mkv", witnesses=(), others=(reader,))
        picture = report["streams"][0]
        self.assertEqual(picture["policy"], "in-order")
        self.assertGreater(picture["lost_late"], 0)
        self.assertEqual(picture["delivered"] + picture["lost_late"], 100)
        self.assertEqual(picture["encoded"], picture["delivered"])
        self.assertEqual(len(frame_sums(self.path("a.mkv"))), picture["delivered"])
        with open(other, encoding="utf-8") as file:
            counters = json.load(file)["counters"]
        self.assertEqual((counters["delivered"], counters["lost_late"]), (100, 0))
        with open(self.path("pattern.json"), encoding="utf-8") as file:
            published = json.load(file)["streams"][0]
        self.assertEqual(published["frames"], 100)

    def test_a_slow_encoder_of_pictures_costs_no_sound(self):
        live = "shmframe-pattern --stream cam --size 640x360 --rate 60 --duration 2 --wait-readers 1"
        slow = self.SLOW.replace("--audio none --depth 3", "--audio pcm")
        report, _ = self.encode(live, slow + " {folder}/a.mkv", witnesses=())
        picture, sound = report["streams"]
        self.assertGreater(picture["lost_late"], 0)
        self.assertGreater(sound["delivered"], 10 * sound["lost_late"])

    def ask(self, verb):
        """Until it is there to answer."""
        return f"until shmframe ask rec {verb} >> {self.path('answers')}; do sleep 0.05; done"

    def test_it_does_what_it_is_asked(self):
        next_is_there = f"until [ -e {self.path('a-002.mkv')} ]; do sleep 0.05; done"
        script = "; ".join([self.ask("stats"), "sleep 0.5", self.ask("pause"), "sleep 0.5", self.ask("resume"),
                            "sleep 0.5", self.ask("split"), next_is_there, "sleep 0.5",
                            f"shmframe ask rec quit >> {self.path('answers')}", f"touch {self.path('asked.done')}"])
        report, _ = self.encode("shmframe-pattern --stream cam --size 160x120 --rate 30",
                                "{folder}/a.mkv --control rec", witnesses=(), others=(f"sh -c '{script}'",),
                                until=("asked.done",), streams="cam cam.sound")
        self.assertEqual(report["ended_by"], "signal")
        picture, sound = report["streams"]
        for stream in picture, sound:
            self.assertGreater(stream["left_out"], 0)
            self.assertEqual(stream["delivered"], stream["in_place"] + stream["copied"])
        self.assertEqual(report["files"], 2)
        with open(self.path("answers"), encoding="utf-8") as file:
            answers = file.read()
        for wanted in ("kbit/s", "paused", "recording", "key frame", "ending"):
            self.assertIn(wanted, answers)
        # The pause is not in the file. What a busy machine lost of the sound is, as silence.
        if sound["lost_late"] + sound["device_dropped"] == 0:
            self.assertLess(sound["silence_s"], 0.05, report)
        seconds = (sound["delivered"] - sound["left_out"]) / 100 + sound["silence_s"]
        self.assertAlmostEqual(report["seconds"], seconds, delta=0.15, msg=report)
        seconds = (picture["delivered"] - picture["left_out"]) / 30
        self.assertGreater(report["seconds"], seconds - 0.15, report)

    def test_a_signal_saves_what_is_kept(self):
        save = f"until kill -USR1 $(cat {self.path('pid')}); do sleep 0.05; done; sleep 1"
        self.run_lines("shmframe-pattern --stream cam --size 160x120 --rate 30 --duration 20",
                       f"sh -c 'echo $$ > {self.path('pid')}; exec shmframe-encode cam {self.path('a.mkv')} "
                       f"--keep 1 --format json > {self.path('report.json')}'",
                       f"sh -c 'sleep 2; {save}; kill -INT $(cat {self.path('pid')})'")
        with open(self.path("report.json"), encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual((report["saves"], report["ended_by"]), (1, "signal"))
        self.assertGreater(report["kept_s"], 0.9)
        self.assertGreater(report["kept_bytes"], 0)
        saved = [name for name in os.listdir(self.folder) if name.endswith(".mkv")]
        self.assertEqual(len(saved), 1)
        ffmpeg("-i", self.path(saved[0]), "-f", "null", "-")

    def test_a_slow_encoder_answers_between_two_pictures(self):
        """As soon as one is answered, the next is asked; the ring always has more pictures."""
        asks = 4
        script = "; ".join([self.ask("stats"), *["shmframe ask --timeout 20 rec stats"] * (asks - 1),
                            "shmframe ask --timeout 20 rec quit", f"touch {self.path('asked.done')}"])
        report, _ = self.encode("shmframe-pattern --stream cam --no-sound --size 480x270 --rate 120",
                                self.SLOW.replace("--depth 3", "--depth 16") + " {folder}/a.nut --control rec",
                                witnesses=(), others=(f"sh -c '{script}'",), until=("asked.done",))
        picture, = report["streams"]
        self.assertEqual(report["ended_by"], "signal")
        self.assertLess(picture["encoded"], 8 * asks, report)

    def test_a_save_is_answered_once_its_file_is_whole_or_with_why_there_is_none(self):
        """The encoder looks so far ahead that there is sound long before there is a picture."""
        answers, copy = self.path("answers"), self.path("copy.mkv")
        done = self.run_lines(
            "shmframe-pattern --stream cam --size 160x120 --rate 60",
            f"shmframe-encode cam cam.sound {self.path('a.mkv')} --keep 9 --control rec "
            "--video libx264:rc-lookahead=50",
            f"sh -c 'until shmframe ask --timeout 20 rec save > {answers}; do sleep 0.02; done; "
            f"cp $(cat {answers}) {copy}; shmframe ask rec quit'")
        self.assertRegex(done.stderr, "refuses .save.: nothing is kept")
        kinds = [stream["codec_type"] for stream in probe(copy, "-show_streams")["streams"]]
        self.assertEqual(sorted(kinds), ["audio", "video"])
        ffmpeg("-i", copy, "-f", "null", "-")

    def test_what_is_kept_is_told_where_nothing_is_written(self):
        self.run_lines("shmframe-pattern --stream cam --size 160x120 --rate 30",
                       f"shmframe-encode cam {self.path('a.mkv')} --keep 9 --control rec > {self.path('report')}",
                       "sh -c '" + self.ask("stats") + "; sleep 1; " + self.ask("stats") + "; " + self.ask("quit") + "'")
        with open(self.path("report"), encoding="utf-8") as file:
            first = file.readline()
        self.assertRegex(first, r"^kept for .*a\.mkv: the last \d\.\d+ s, [1-9]\d* bytes; saved 0 times")
        with open(self.path("answers"), encoding="utf-8") as file:
            self.assertRegex(file.read(), r"[1-9]\d* kB kept")


class Stopped(Encoded):
    def test_stopped_before_its_stream_was_there_it_has_recorded_nothing(self):
        told = self.path("told")
        self.run_lines(f"sh -c '{ENCODE} nosuch {self.path('a.mkv')} 2> {told} & "
                       f"until grep -q waiting {told} || ! kill -0 $!; do sleep 0.05; done; "
                       f"kill -TERM $!; wait $!; echo $? >> {told}'")
        with open(told, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[-2:], ["shmframe-encode: it was stopped before all that it waited for was "
                                      "there: nothing is recorded", "1"])
        self.assertFalse(os.path.exists(self.path("a.mkv")))


class Untouched(Encoded):
    def fail_to_begin(self, options):
        done = self.run_lines("shmframe-pattern --stream cam --size 160x120",
                              f"shmframe-encode cam {options} > {self.path('report')}", code=1)
        with open(self.path("report"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "")
        return done.stderr

    def test_nothing_is_reported_of_a_file_that_was_not_touched(self):
        with open(self.path("a.mp4"), "w", encoding="utf-8") as file:
            file.write("precious")
        self.assertIn("a.mp4 exists", self.fail_to_begin(self.path("a.mp4")))
        with open(self.path("a.mp4"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")

    def test_a_directory_that_is_there_need_not_be_made(self):
        said = self.fail_to_begin("/proc/x.mp4")
        self.assertIn("/proc/x.mp4 cannot be written", said)
        self.assertNotIn("directory first", said)
        self.assertIn("make its directory first", self.fail_to_begin(self.path("none/x.mp4")))

    def test_a_container_that_does_not_take_it_is_named_with_the_target(self):
        said = self.fail_to_begin(self.path("a.mkv") + " --audio g723_1:ar=8000,ac=1 --container rtp --video none")
        self.assertNotIn("standard output", said)

    def test_a_name_that_is_taken_is_the_one_of_control(self):
        said = self.fail_to_begin(f"{self.path('a.mkv')} --control cam")
        self.assertIn("--control", said)
        self.assertNotIn("--stream", said)


class Usage(unittest.TestCase):
    def call(self, *arguments):
        done = subprocess.run([ENCODE, *arguments], text=True, capture_output=True, timeout=30, check=False,
                              env=dict(os.environ, SHMFRAME_SOCKET="/nowhere"))
        self.assertEqual(done.returncode, 2, (arguments, done.stderr))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_mistakes_are_named_with_what_is_near(self):
        for arguments, wanted in (
                (["demo"], "a file or URL"),
                (["demo", "a.mpp"], "a.mpp"),
                (["demo", "a.mp4", "--video", "libx265x"], "libx265"),
                (["demo", "a.mp4", "--audio", "acc"], "aac"),
                (["demo", "a.mkv", "--video", "libx264:presett=slow"], "preset"),
                (["demo", "a.mkv", "--video", "ffv1:coder=fast"], "coder"),
                (["demo", "a.mkv", "--audio", "flac:sample_fmt=u8"], "u8"),
                (["demo", "a.mkv", "--audio", "pcm:presett=slow"], "presett"),
                (["demo", "a.webm", "--video", "ffv1"], "webm"),
                (["demo", "a.wav", "--audio", "none"], "neither picture nor sound"),
                (["demo", "a.mp4", "--time", "never"], "auto, capture or pts"),
                (["demo", "a.mp4", "--drift", "never"], "auto, keep or stretch"),
                (["demo", "a.mp4", "--on-change", "never"], "segment or rescale"),
                (["demo", "a.mp4", "--segment-size", "many"], "100M"),
                (["demo", "a.mp4", "--format", "xml"], "json"),
                (["demo", "a.mkv", "--audio", "libx264"], "libx264 encodes pictures"),
                (["demo", "a.mkv", "--video", "flac"], "flac encodes sound"),
                (["demo", "a.mkv", "--video", "none", "--audio", "none"], "nothing is left"),
                (["demo", "a.mkv", "--video", "h265x"], "libx265"),
                (["demo", "a.png"], "shmframe-snapshot"),
                (["demo", "a.mkv", "--segment", "0"], "more than 0"),
                (["demo", "a.mkv", "--keep", "0"], "more than 0"),
                (["demo", "a.mkv", "--duration", "0.0000000001"], "more than 0"),
                (["demo", "a.mkv", "--frames", "0"], "from 1 to"),
        ):
            self.assertIn(wanted, self.call(*arguments), arguments)


if __name__ == "__main__":
    unittest.main()
