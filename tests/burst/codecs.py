"""The pattern's sound through ffmpeg: every burst is found where it began, with its beat; and none is
found in music, noise, sweeps and speech. LONG: longer, and more of both. CLIP: a film with sound."""

import os
import shutil
import subprocess
import tempfile
import unittest

TAPE = os.environ["TAPE"]
IS_LONG = "LONG" in os.environ
SECONDS = 40 if IS_LONG else 5
LIMIT_NS = 200_000


def run(command, data=None):
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr.decode()}")
    return done.stdout


def ffmpeg(*arguments, data=None):
    return run(["ffmpeg", "-v", "error", "-nostdin" if data is None else "-y", *arguments], data)


def plain(rate, channels):
    return ["-f", "f32le", "-ar", str(rate), "-ac", str(channels)]


def listen(sound, rate=48000, channels=2):
    """(start in ns, beat) of each burst."""
    lines = run([TAPE, "listen", str(rate), str(channels)], sound).decode().splitlines()
    return [(int(start), int(beat)) for start, beat, *_ in map(str.split, lines)]


class Marked(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def play(self, rate, channels):
        return run([TAPE, "play", str(rate), str(channels), str(SECONDS)])

    def expect(self, bursts, cut_ns=0, delays_ns=(0,)):
        """All of them, but the one that was cut into; late by one of `delays_ns`, all by the same."""
        wanted = list(range(1 if cut_ns else 0, SECONDS))
        self.assertEqual([beat for _, beat in bursts], [second % 16 for second in wanted])
        late_ns = [start + cut_ns - second * 1_000_000_000 for (start, _), second in zip(bursts, wanted)]
        off_ns = min((max(abs(late - delay) for late in late_ns) for delay in delays_ns))
        self.assertLess(off_ns, LIMIT_NS, late_ns)

    def encode(self, rate, channels, file, options, cut, delays_ns=(0,)):
        """Through a codec and back, all moved by `cut` samples: blocks of codecs begin elsewhere."""
        path = f"{self.folder}/{file}"
        ffmpeg(*plain(rate, channels), "-i", "-", "-af", f"atrim=start_sample={cut},asetpts=PTS-STARTPTS",
               *options, path, data=self.play(rate, channels))
        back = ffmpeg("-i", path, *plain(48000, channels), "-")
        self.expect(listen(back, 48000, channels), cut * 1_000_000_000 / rate, delays_ns)

    def encode_all(self, rate, channels, file, *options, delays_ns=(0,)):
        for cut in (0, 9601, 12345, 20011) if IS_LONG else (12345,):
            with self.subTest(cut=cut):
                self.encode(rate, channels, file, options, cut, delays_ns)

    def test_mp3(self):
        self.encode_all(44100, 2, "a.mp3", "-c:a", "libmp3lame", "-b:a", "64k")

    def test_aac(self):
        self.encode_all(48000, 2, "a.m4a", "-c:a", "aac", "-b:a", "64k")

    def test_opus(self):
        self.encode_all(48000, 2, "a.webm", "-c:a", "libopus", "-b:a", "64k")

    def test_vorbis(self):
        self.encode_all(48000, 2, "a.ogg", "-c:a", "libvorbis", "-b:a", "64k")

    def test_ac3(self):
        # Its transform delays by 256 samples, which FFmpeg 5.1 does not take out.
        self.encode_all(48000, 2, "a.ac3", "-c:a", "ac3", "-b:a", "64k", delays_ns=(0, 256 / 48000 * 1e9))

    def test_telephone(self):
        self.encode_all(48000, 1, "a.wav", "-ar", "8000", "-c:a", "pcm_mulaw")

    @unittest.skipUnless(IS_LONG, "in the long run")
    def test_low_rates(self):
        self.encode_all(48000, 2, "a.mp3", "-c:a", "libmp3lame", "-b:a", "32k")
        self.encode_all(48000, 2, "a.webm", "-c:a", "libopus", "-b:a", "24k")
        self.encode_all(44100, 2, "a.m4a", "-c:a", "aac", "-b:a", "64k")
        self.encode_all(48000, 6, "a.ac3", "-c:a", "ac3", "-b:a", "192k", delays_ns=(0, 256 / 48000 * 1e9))

    def filter(self, channels_in, channels_out, chain):
        sound = ffmpeg(*plain(48000, channels_in), "-i", "-", "-af", chain, *plain(48000, channels_out), "-",
                       data=self.play(48000, channels_in))
        self.expect(listen(sound, 48000, channels_out))

    def test_rates(self):
        self.filter(2, 2, "aresample=44100,aresample=96000,aresample=16000,aresample=8000,aresample=48000")

    def test_mixes(self):
        self.filter(6, 2, "aresample=48000")
        self.filter(2, 6, "pan=5.1|FL=FL|FR=FR|FC=0.5*FL+0.5*FR|LFE=0.1*FL|BL=-1*FL|BR=FR")
        self.filter(2, 1, "pan=mono|c0=0.01*c0")

    def test_loud_and_filtered(self):
        self.filter(2, 2, "volume=6dB,asoftclip,acompressor,highpass=200,lowpass=5000,aecho=1:0.5:23:0.5")


def siren(half):
    """Falls from 3400 to 600 Hz in `half` seconds, and rises as quickly."""
    time = f"mod(t\\,{2 * half})"
    falling = f"3400*{time}-1400/{half}*{time}^2"
    rising = f"2000*{half}+600*({time}-{half})+1400/{half}*({time}-{half})^2"
    return f"aevalsrc=0.5*sin(2*PI*if(lt({time}\\,{half})\\,{falling}\\,{rising})):s=48000"


SOURCES = {
    "white": "anoisesrc=r=48000:c=white:a=0.5:seed=1",
    "pink": "anoisesrc=r=48000:c=pink:a=0.5:seed=2",
    "brown": "anoisesrc=r=48000:c=brown:a=0.5:seed=3",
    "velvet": "anoisesrc=r=48000:c=velvet:a=0.5:seed=4",
    "beeps": "sine=r=48000:f=440:b=4",
    # Sweeps, from slow to quick, up and down; the last two as quick as the chirps, again and again.
    **{f"sweep of {rate} Hz/s": f"aevalsrc=0.5*sin(PI*{rate}*mod(t\\,4/{max(rate // 5000, 1)})^2):s=48000"
       for rate in (100, 1000, 10000, 30000)},
    "rising": "aevalsrc=0.5*sin(2*PI*(600*mod(t\\,0.04)+35000*mod(t\\,0.04)^2)):s=48000",
    "falling": "aevalsrc=0.5*sin(2*PI*(3400*mod(t\\,0.04)-35000*mod(t\\,0.04)^2)):s=48000",
    # Sirens that fall and rise almost as a burst does: too quick, too slow, round.
    **{f"siren of {2 * half} ms": siren(half / 1000) for half in (30, 37, 43, 60)},
    "round siren": "aevalsrc=0.5*sin(2*PI*2000*t+1400*0.08*sin(2*PI*t/0.08)):s=48000",
    # A voice: pulses whose pitch and formants glide.
    "voice": "aevalsrc=0.4*sin(20*sin(2*PI*130*t+3*sin(5*t)))*sin(2*PI*(700+300*sin(4*t))*t)"
             "*abs(sin(9*t)):s=48000",
    "chord": "aevalsrc=0.2*exp(-3*mod(t\\,0.3))*(sin(2*PI*523*t)+sin(2*PI*659*t)+sin(2*PI*784*t)"
             "+sin(2*PI*1568*t)):s=48000",
    "clicks": "aevalsrc=if(lt(mod(t\\,0.02)\\,0.0001)\\,0.9\\,0):s=48000",
    "silence": "anullsrc=r=48000",
}


class Unmarked(unittest.TestCase):
    def expect_none(self, *arguments):
        self.assertEqual(listen(ffmpeg(*arguments, *plain(48000, 1), "-"), 48000, 1), [])

    def test_sources(self):
        for name, source in SOURCES.items():
            with self.subTest(name=name):
                self.expect_none("-f", "lavfi", "-i", source, "-t", "1800" if IS_LONG else "8")

    def test_clip(self):
        clip = os.environ.get("CLIP")
        if not clip or not os.path.exists(clip):
            self.skipTest("no clip")
        self.expect_none("-i", clip, "-vn")


if __name__ == "__main__":
    unittest.main()
