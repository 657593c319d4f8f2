"""shmframe-encode, when sources lose frames, drift, die, or change."""

import array
import os
import unittest

from encode import Encoded, ffmpeg, probe

ACTOR = os.environ["ACTOR"]


def actor(scene, start_ms=0, only=""):
    return f"{ACTOR} {scene} {start_ms} {only}"


class Scenes(Encoded):
    def play(self, producer, options):
        report, _ = self.encode(producer, options + " -y", streams="act", witnesses=())
        streams = {stream["stream"]: stream for stream in report["streams"]}
        self.picture, self.sound = streams.get("act"), streams.get("act.sound")
        return report

    def samples(self, name):
        data = array.array("h")
        data.frombytes(ffmpeg("-i", self.path(name), "-map", "0:a", "-c:a", "pcm_s16le", "-f", "s16le", "-"))
        return data

    def stamps(self, name, kind="v"):
        packets = probe(self.path(name), "-show_entries", "packet=pts_time", "-select_streams", kind)
        return [float(packet["pts_time"]) for packet in packets["packets"]]

    def test_lost_blocks_become_silence_of_the_same_length(self):
        self.play(actor("losses"), "{folder}/a.nut --time capture")
        samples = self.samples("a.nut")
        self.assertEqual(len(samples), 2 * 48000)
        self.assertEqual(set(samples[24000:28800]), {0})
        self.assertEqual(set(samples[:24000] + samples[28800:]), {1000})
        self.assertAlmostEqual(self.sound["silence_s"], 0.1)
        self.assertEqual((self.sound["gaps"], self.sound["device_dropped"]), (1, 10))
        # Pictures leave a gap.
        wanted = [i / 25 for i in range(50) if not 10 <= i < 15]
        for stamp, time in zip(self.stamps("a.nut"), wanted, strict=True):
            self.assertAlmostEqual(stamp, time, delta=0.0001)
        self.assertEqual(self.picture["device_dropped"], 5)

    def test_containers_without_timestamps_get_the_silence_too(self):
        self.play(actor("losses", only="act.sound"), "{folder}/a.wav --time capture")
        samples = self.samples("a.wav")
        self.assertEqual((len(samples), samples.count(0)), (2 * 48000, 4800))

    def test_a_slow_sound_card_stays_with_the_picture(self):
        seconds = 60 * (1 + 300e-6)
        self.play(actor("drift"), "{folder}/a.mkv --time capture --video mpeg4")
        self.assertEqual(self.sound["drift"], "stretch")
        self.assertAlmostEqual(self.sound["drift_ppm"], 300, delta=30)
        self.assertLess(abs(len(self.samples("a.mkv")) / 48000 - seconds), 0.045)  # two of AAC's blocks
        self.assertLess(abs(self.sound["skew_ns"]), 1e6)
        # Every sample is kept, and the stamps follow.
        self.play(actor("drift"), "{folder}/b.nut --time capture --video mpeg4")
        self.assertEqual(self.sound["drift"], "keep")
        self.assertEqual(len(self.samples("b.nut")), 60 * 48000)
        self.assertAlmostEqual(self.stamps("b.nut", "a")[-1], seconds - 0.01, delta=0.002)
        self.assertGreater(self.sound["moved_stamps"], 5)

    def test_a_restart_is_a_gap_in_the_same_file(self):
        report = self.play(f"{actor('dies')} && {actor('plain', 1500)}", "{folder}/a.nut --time capture")
        self.assertEqual((report["files"], report["format_changes"]), (1, 0))
        stamps = self.stamps("a.nut")
        self.assertEqual(len(stamps), 75)
        self.assertAlmostEqual(stamps[25] - stamps[24], 0.54, delta=0.0001)
        samples = self.samples("a.nut")
        self.assertEqual(len(samples), int(3.5 * 48000))
        self.assertEqual(samples.count(0), 24000)
        self.assertEqual(set(samples[48000:72000]), {0})

    def test_another_size_begins_another_file(self):
        report = self.play(actor("resize"), "{folder}/a.mkv --time capture --video ffv1")
        self.assertEqual((report["files"], report["format_changes"]), (2, 1))
        files = [name for name in os.listdir(self.folder) if name.endswith(".mkv")]
        files.sort(key=lambda name: (len(name), name))
        sizes = []
        for name in files:
            shown = probe(self.path(name), "-count_frames", "-select_streams", "v", "-show_entries",
                          "stream=width,height,nb_read_frames")["streams"][0]
            sizes.append((shown["width"], shown["height"], int(shown["nb_read_frames"])))
        self.assertEqual(sizes, [(160, 120, 25), (200, 100, 25)])
        self.assertEqual(self.picture["converted"], 0)
        self.assertEqual(sum(len(self.samples(name)) for name in files), 2 * 48000)

    def test_another_size_is_made_the_first_with_bars(self):
        report = self.play(actor("resize"),
                           "{folder}/a.mkv --time capture --video ffv1 --on-change rescale")
        self.assertEqual((report["files"], report["format_changes"]), (1, 1))
        self.assertEqual((self.picture["converted"], self.picture["encoded"]), (25, 50))
        self.assertIn("200x100 to 160x120", self.picture["converted_why"])
        luma = ffmpeg("-i", self.path("a.mkv"), "-map", "0:v", "-vf", "extractplanes=y", "-f", "rawvideo", "-")
        self.assertEqual(len(luma), 50 * 160 * 120)
        last = luma[49 * 160 * 120:]
        self.assertEqual(set(last[:18 * 160]) | set(last[102 * 160:]), {16})
        self.assertEqual(set(last[22 * 160:98 * 160]), {16 + 49})

    def test_times_that_begin_anew_go_on(self):
        report = self.play(actor("leaps"), "{folder}/a.nut")
        self.assertEqual((report["time"], report["time_jumps"]), ("pts", 1))
        for i, stamp in enumerate(self.stamps("a.nut")):
            self.assertAlmostEqual(stamp, i / 25, delta=0.011)
        self.assertLessEqual(abs(len(self.samples("a.nut")) - 2 * 48000), 480)

    def test_rotation_colours_and_light_are_carried(self):
        self.play(actor("rotated"), "{folder}/a.mov --time capture --video mpeg4")
        self.play(actor("rotated"), "{folder}/a.mkv --time capture --video libx264")
        shown = probe(self.path("a.mov"), "-show_streams", "-select_streams", "v")["streams"][0]
        turned = [side["rotation"] for side in shown["side_data_list"] if "rotation" in side]
        self.assertEqual(turned, [-90])  # counter-clockwise
        shown = probe(self.path("a.mkv"), "-show_streams", "-select_streams", "v")["streams"][0]
        self.assertEqual([shown.get(name) for name in ("color_range", "color_space", "color_transfer",
                                                       "color_primaries", "sample_aspect_ratio")],
                         ["tv", "bt2020nc", "smpte2084", "bt2020", "4:3"])
        lights = [side["max_content"] for side in shown["side_data_list"] if "max_content" in side]
        self.assertEqual(lights, [900])

    def test_an_encoder_that_keeps_frames_stops_neither_itself_nor_its_writer(self):
        self.play(actor("plain", only="act"), "{folder}/a.nut --video ffvhuff:threads=4 --leases 2")
        self.assertEqual((self.picture["encoded"], self.picture["lost_late"]), (50, 0))
        self.assertGreater(self.picture["copied"], 0)
        self.assertEqual(self.picture["held_max"], 1)
        self.assertEqual(self.picture["copied"] + self.picture["in_place"], 50)

    def test_what_is_asked_for_is_what_is_recorded(self):
        report = self.play(actor("plain"), "{folder}/a.nut --frames 20")
        self.assertEqual(report["ended_by"], "frames")
        self.assertEqual((len(self.stamps("a.nut")), len(self.samples("a.nut"))), (20, 20 * 1920))
        report = self.play(actor("plain"), "{folder}/a.nut --duration 1.234")
        self.assertEqual(report["ended_by"], "duration")
        self.assertEqual((len(self.stamps("a.nut")), len(self.samples("a.nut"))), (31, int(48000 * 1.234)))


if __name__ == "__main__":
    unittest.main(defaultTest="Scenes")
