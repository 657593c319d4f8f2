"""shmframe-encode, when sources lose frames, drift, die, or change."""

import array
import os
import time
import unittest

from encode import Encoded, ffmpeg, probe

ACTOR = os.environ["ACTOR"]


def actor(scene, start_ms=0, only=""):
    return f"{ACTOR} {scene} {start_ms} {only}"


class Scenes(Encoded):
    def play(self, producer, options):
        # As long ago as the longest scene, which is played faster, and lasts.
        os.environ["BASE_MS"] = str(time.monotonic_ns() // 1000000 - 65000)
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

    def expect_plain(self, name, report, pictures=50):
        """Nothing shows that some times were false."""
        self.assertAlmostEqual(report["seconds"], 2, delta=0.05)
        self.assertEqual(self.picture["encoded"], pictures)
        stamps = self.stamps(name)
        for stamp, number in zip(stamps, range(50 - pictures, 50), strict=True):
            self.assertAlmostEqual(stamp, number / 25, delta=0.05)
        samples = self.samples(name)
        self.assertAlmostEqual(len(samples), 96000, delta=960)
        self.assertLessEqual(samples.count(0), 960)

    def test_a_capture_that_cannot_be_is_taken_as_the_time_of_publishing(self):
        report = self.play(actor("ahead"), "{folder}/a.nut --time capture")
        self.expect_plain("a.nut", report)
        self.assertEqual((self.picture["false_times"], self.sound["false_times"]), (1, 1))
        self.assertIn("act.sound: a frame says that it was captured 86", self.said)
        report = self.play(actor("first"), "{folder}/a.nut --time capture")
        self.assertEqual((self.picture["encoded"], self.picture["early"]), (50, 0))
        self.assertEqual((self.picture["false_times"], self.sound["false_times"]), (2, 8))
        self.assertLess(report["seconds"], 70)

    def test_captures_of_another_clock_are_as_far_apart_as_they_say(self):
        report = self.play(actor("clock"), "{folder}/a.nut --time capture")
        self.expect_plain("a.nut", report)
        self.assertEqual((self.picture["false_times"], self.sound["cut_s"]), (50, 0))
        self.assertIn("not of this machine's clock", self.said)

    def test_a_pts_that_leaps_for_one_frame_changes_nothing_but_that_one(self):
        report = self.play(actor("ahead"), "{folder}/a.nut --time pts")
        self.expect_plain("a.nut", report)
        self.assertEqual(report["time_jumps"], 0)
        report = self.play(actor("first"), "{folder}/a.nut --time pts")
        self.assertEqual((self.picture["encoded"], self.picture["early"]), (50, 0))
        self.assertLess(report["seconds"], 5)

    def test_times_drawn_by_lot_make_a_file_that_plays(self):
        for clock in ("capture", "pts"):
            report = self.play(actor("wild"), f"{{folder}}/a.mkv --video mpeg4 --time {clock}")
            self.assertEqual(self.picture["encoded"], 50)
            self.assertLess(report["seconds"], 30)
            self.samples("a.mkv")
            stamps = self.stamps("a.mkv")
            self.assertEqual(stamps, sorted(stamps))

    def test_a_long_gap_in_sound_is_silence_for_a_while_and_then_one_of_stamps(self):
        self.play(actor("gap", only="act.sound"), "{folder}/a.nut")
        samples, stamps = self.samples("a.nut"), self.stamps("a.nut", "a")
        self.assertEqual((len(samples), samples.count(0)), (12 * 48000, 10 * 48000))
        self.assertAlmostEqual(stamps[-1], 61.99, delta=0.001)
        self.assertEqual(self.sound["cut_s"], 0)
        # Without stamps there is nothing but silence.
        self.play(actor("gap", only="act.sound"), "{folder}/a.flac")
        samples = self.samples("a.flac")
        self.assertEqual((len(samples), samples.count(0)), (62 * 48000, 60 * 48000))

    def test_a_picture_that_changes_all_the_time_stays_as_it_is(self):
        report = self.play(actor("flaps", only="act"), "{folder}/a.mkv --time capture --video mpeg4")
        self.assertEqual(report["format_changes"], 49)
        self.assertLess(report["files"], 10)
        self.assertEqual(self.picture["encoded"], 50)
        self.assertIn("converted to", self.said)

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
        # Whose times are long ago when they come.
        self.play(actor("plain"), "{folder}/a.nut --duration 1.234 --time capture")
        self.assertEqual((len(self.stamps("a.nut")), len(self.samples("a.nut"))), (31, int(48000 * 1.234)))


if __name__ == "__main__":
    unittest.main(defaultTest="Scenes")
