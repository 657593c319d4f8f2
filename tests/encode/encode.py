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

    def encode(self, producer, options, streams="cam", witnesses=("cam",), code=0):
        """The report, and what each witness saw. A file is named in `options` as {folder}/NAME."""
        saw = self.path("seen")
        report = self.path("report.json")
        # Sounds first: the pattern begins when its picture has all readers.
        readers = [f"{WITNESS} {' '.join(reversed(witnesses))} > {saw}"] if witnesses else []
        done = self.run_lines(
            producer, *readers, f"shmframe-encode {streams} --format json "
            f"{options.format(folder=self.folder)} > {report}", code=code)
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
        self.assertEqual(counted["raw_in_place"], 40)
        self.assertEqual(counted["in_place"] + counted["copied"], 40)

    def test_raw_pictures_with_padding_are_copied_by_the_encoder(self):
        report, (picture,) = self.encode(
            pattern("--frames 40 --no-sound --pixel-format rgb24").replace("160x120", "150x120"),
            "{folder}/a.nut --video rawvideo")
        self.expect_same("a.nut", report, picture)
        self.assertEqual(report["streams"][0]["raw_in_place"], 0)


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
        ):
            self.assertIn(wanted, self.call(*arguments), arguments)


if __name__ == "__main__":
    unittest.main()
