"""The picture measures against FFmpeg's own filters, on the same bytes.

ffmpeg.py MEASURE: paints clips with ffmpeg into raw files, lets both look at them and compares what
they say, each to the digits that FFmpeg prints.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import zlib

MEASURE = sys.argv[1]
RATE = 25
failures = 0


def check(what, got, wanted, tolerance):
    global failures
    if got is None or abs(got - wanted) > tolerance:
        failures += 1
        print(f"{what}: {got}, FFmpeg says {wanted}")


def ffmpeg(*arguments):
    result = subprocess.run(["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "info", *arguments],
                            check=True, capture_output=True, text=True)
    return result.stdout + result.stderr


class Clip:
    """A raw file of a graph of sources, and a reference: the same with noise."""

    def __init__(self, folder, pixel_format, size, graph):
        self.pixel_format, self.size = pixel_format, size
        self.main = os.path.join(folder, "main.raw")
        self.reference = os.path.join(folder, "reference.raw")
        self.folder = folder
        ffmpeg("-y", "-filter_complex",
               graph + ",split[main][other];[other]noise=alls=12:allf=t:all_seed=7[reference]",
               *self.output("main", self.main), *self.output("reference", self.reference))

    def output(self, name, path):
        return ["-map", f"[{name}]", "-pix_fmt", self.pixel_format, "-f", "rawvideo", path]

    def input(self, path):
        return ["-f", "rawvideo", "-pix_fmt", self.pixel_format, "-video_size", self.size,
                "-framerate", str(RATE), "-i", path]

    def measure(self):
        """Our pictures, events and total."""
        width, height = self.size.split("x")
        text = subprocess.run([MEASURE, self.pixel_format, width, height, str(RATE), self.main,
                               self.reference], check=True, capture_output=True, text=True).stdout
        lines = [json.loads(line) for line in text.splitlines()]
        return ([line for line in lines[:-1] if "event" not in line],
                [line for line in lines if "event" in line], lines[-1])

    def metadata(self, filters):
        """Metadata that filters leave, a dictionary a picture."""
        text = ffmpeg(*self.input(self.main), "-vf", f"{filters},metadata=print:file=-", "-f",
                      "null", "-")
        pictures = []
        for line in text.splitlines():
            if line.startswith("frame:"):
                pictures.append({})
            elif line.startswith("lavfi."):
                key, value = line.split("=")
                pictures[-1][key] = float(value)
        return pictures

    def compare(self):
        """What psnr and ssim say, each of the pictures and at the end, and showinfo's checksums.
        Without vector code: that of ssim is wrong in 5.1 for some widths, such as 41. P010 would
        become one of 16 bits."""
        stats = [os.path.join(self.folder, name) for name in ("psnr", "ssim")]
        planar = "format=yuv420p10le" if self.pixel_format == "p010le" else "null"
        text = ffmpeg("-cpuflags", "0", *self.input(self.main), *self.input(self.reference),
                      "-lavfi", f"[0]showinfo,{planar},split[a][c];[1]{planar},split[b][d];"
                      f"[a][b]psnr=stats_file={stats[0]},nullsink;"
                      f"[c][d]ssim=stats_file={stats[1]}", "-f", "null", "-")
        self.checksums = re.findall(r"plane_checksum:\[([0-9A-F ]+)\]", text)
        results = []
        for name, path in zip(("PSNR", "SSIM"), stats):
            total = re.search(rf"\] {name} (.*)", text).group(1)
            with open(path, encoding="ascii") as lines:
                results.append(([parse(line) for line in lines], parse(total)))
        return results


def parse(line):
    return {key.lower(): float(value) for key, value in re.findall(r"(\w+):([\d.inf]+)", line)}


def db(value):
    return 999 if value == float("inf") else value


def check_likeness(name, clip, pictures, total):
    letters = "rgb" if "psnr_r_db" in total else "yuv" if "psnr_u_db" in total else "y"
    (theirs, their_total), ssim = clip.compare()
    assert len(theirs) == len(pictures)
    for i, (ours, their) in enumerate(zip(pictures, theirs)):
        for c in letters:
            check(f"{name}: psnr {c} of {i}", ours[f"psnr_{c}_db"], db(their[f"psnr_{c}"]), 0.0051)
        check(f"{name}: psnr of {i}", ours["psnr_avg_db"], db(their["psnr_avg"]), 0.0051)
    for c in letters:
        check(f"{name}: psnr {c}", total[f"psnr_{c}_db"], db(their_total[c]), 1e-5)
    check(f"{name}: psnr", total["psnr_avg_db"], db(their_total["average"]), 1e-5)
    check(f"{name}: worst psnr", total["psnr_min_db"], db(their_total["min"]), 1e-5)
    theirs, their_total = ssim
    for i, (ours, their) in enumerate(zip(pictures, theirs)):
        for c in [*letters, "all"]:
            check(f"{name}: ssim {c} of {i}", ours[f"ssim_{c}"], their[c], 2e-6)
    for c in [*letters, "all"]:
        check(f"{name}: ssim {c}", total[f"ssim_{c}"], their_total[c], 2e-6)


def check_checksums(name, clip, pictures, total):
    if "adler32_plane1" not in total:  # the file is the plane
        with open(clip.main, "rb") as file:
            wanted = zlib.adler32(file.read(), 0)
        check(f"{name}: checksum of all", int(total["adler32_plane0"], 16), wanted, 0)
    assert len(clip.checksums) == len(pictures)
    for i, (ours, their) in enumerate(zip(pictures, clip.checksums)):
        for plane, checksum in enumerate(their.split()):
            if ours[f"adler32_plane{plane}"] != checksum.lower():
                check(f"{name}: checksum of plane {plane} of {i}", None, int(checksum, 16), 0)


def check_levels(name, clip, pictures):
    theirs = clip.metadata("signalstats")
    for i, (ours, their) in enumerate(zip(pictures, theirs)):
        for ours_of, theirs_of in ("luma", "Y"), ("cb", "U"), ("cr", "V"):
            for of, precision in ("min", 0), ("max", 0), ("avg", 1e-4):
                key = ours_of + "_" + of.replace("avg", "mean")
                # The filter prints 6 significant digits.
                wanted = their[f"lavfi.signalstats.{theirs_of}{of.upper()}"]
                check(f"{name}: {key} of {i}", ours[key], wanted, precision * max(1, wanted / 10))


def check_scenes(name, clip, pictures, events):
    theirs = clip.metadata("scdet=threshold=10")
    for i, (ours, their) in enumerate(zip(pictures, theirs)):
        if i > 0:
            check(f"{name}: scene score of {i}", ours["scene_score_max"], their["lavfi.scd.score"],
                  0.00051)
    cuts = [their["lavfi.scd.time"] for their in theirs if "lavfi.scd.time" in their]
    assert [event["time_s"] for event in events if event["event"] == "scene_cut"] == cuts, cuts
    return len(cuts)


def check_spells(name, clip, events, total):
    text = ffmpeg(*clip.input(clip.main), "-vf", "blackdetect,freezedetect", "-f", "null", "-")
    black = re.findall(r"black_start:([\d.]+) black_end:([\d.]+)", text)
    frozen = list(zip(re.findall(r"freeze_start: ([\d.]+)", text),
                      re.findall(r"freeze_end: ([\d.]+)", text)))
    for kind, theirs in ("black", black), ("frozen", frozen):
        ours = [event for event in events if event["event"] == kind + "_ended"]
        if len(ours) != len(theirs) or not theirs:
            check(f"{name}: {kind} spells", len(ours), len(theirs), 0)
        for event, (begin, end) in zip(ours, theirs):
            check(f"{name}: {kind} begins", event["begin_s"], float(begin), 1e-6)
            check(f"{name}: {kind} ends", event["end_s"], float(end), 1e-6)
        check(f"{name}: {kind} in all", total[kind + "_s"],
              sum(float(end) - float(begin) for begin, end in theirs), 1e-6)


def moving(size, seconds, source="testsrc2"):
    return f"{source}=size={size}:rate={RATE}:duration={seconds}"


def still(size, seconds):
    return f"smptebars=size={size}:rate={RATE}:duration={seconds}"


def black(size, seconds):
    return f"color=black:size={size}:rate={RATE}:duration={seconds}"


def story(size):
    """Spells of black and of standing still, long ones and short ones, and cuts between."""
    parts = [moving(size, 1), black(size, 2.4), f"testsrc=size={size}:rate={RATE}:duration=0.4", black(size, 1),
             still(size, 2.2), moving(size, 0.4), still(size, 1)]
    graph = ";".join(f"{part},format=yuv444p,setsar=1[p{i}]" for i, part in enumerate(parts))
    inputs = "".join(f"[p{i}]" for i in range(len(parts)))
    return f"{graph};{inputs}concat=n={len(parts)},null"


with tempfile.TemporaryDirectory() as folder:
    for pixel_format in "yuv420p", "yuv420p10le":
        clip = Clip(folder, pixel_format, "160x120", story("160x120"))
        pictures, events, total = clip.measure()
        assert check_scenes(pixel_format, clip, pictures, events) >= 3
        if pixel_format == "yuv420p":  # blackdetect of 5.1 sees nothing else in its depth
            check_spells(pixel_format, clip, events, total)
    # Layouts: planar, interleaved, packed, RGB, grey; 8 to 16 bits; odd sizes; ranges.
    for pixel_format in ("yuv420p", "yuvj420p", "yuv411p", "nv12", "uyvy422", "yuv420p10le",
                         "p010le", "yuv422p12le", "yuv444p16le", "gray", "gray10le", "gbrp",
                         "gbrp10le", "rgb24", "bgr0"):
        size = "162x98" if pixel_format == "uyvy422" else "163x97"
        clip = Clip(folder, pixel_format, size,
                    moving("164x98", 0.16) + f",scale={size.replace('x', ':')}")
        pictures, events, total = clip.measure()
        assert total["pictures"] == len(pictures) == 4, (pixel_format, len(pictures))
        assert total["pictures_converted"] == 0, pixel_format
        check_likeness(pixel_format, clip, pictures, total)
        check_checksums(pixel_format, clip, pictures, total)
        if pixel_format in ("yuv420p", "yuv411p", "nv12", "yuv420p10le", "yuv422p12le"):
            check_levels(pixel_format, clip, pictures)

print(f"{failures} differences")
sys.exit(failures != 0)
