"""Who takes part: all programs of the project in one pipeline, small and at a low rate, so that it is
time that wears them, not load."""

import os
import subprocess

# A node's name, kind, command, what it reads, what it writes. In a command, {name} is a path or place
# of the stage.
NODES = (
    ("pattern", "producer", "shmframe-pattern --stream pattern --size 160x120 --rate 25 --marks",
     "", "pattern pattern.sound"),
    ("film", "producer", "shmframe-media --loop --stream film {film}", "", "film film.sound"),
    ("screen", "producer", "shmframe-screen --stream screen --rate 10 --area 160x120+0+0", "", "screen"),
    ("microphone", "producer", "shmframe-microphone --stream microphone --block 960",
     "", "microphone"),
    ("delay", "filter", "shmframe-delay pattern late --delay 40ms", "pattern", "late late.sound"),
    ("negative", "filter", "filter pattern negative", "pattern", "negative"),
    ("piped", "filter", "shmframe-pipe late --as nut | shmframe-pipe-in --stream piped", "late", "piped"),
    ("own", "consumer", "reader piped", "piped", ""),
    ("view", "consumer", "shmframe-view pattern --stay", "pattern pattern.sound", ""),
    ("wall", "consumer", "shmframe-view film screen --no-sound --layout grid --stay", "film screen", ""),
    ("encode", "consumer", "shmframe-encode pattern {folder}/cut-%05d.mkv --segment 5s --overwrite", "pattern pattern.sound", ""),
    ("replay", "consumer", "shmframe-encode negative {folder}/replay-%d.mp4 --keep 10s --control replay",
     "negative", ""),
    ("analyze", "consumer", "shmframe-analyze late --interval 10s --format json --control analysis", "late", ""),
    ("hear", "consumer", "shmframe-analyze microphone --interval 10s --format json", "microphone", ""),
    ("latency", "consumer", "shmframe-latency screen --interval 10s --format json", "screen", ""),
    ("marks", "consumer", "shmframe-latency late --marks --interval 10s --format json", "late", ""),
    ("snapshot", "consumer", "shmframe-snapshot film {folder}/shot-%05d.png --every 5s --overwrite", "film", ""),
    ("top", "consumer", "shmframe top --batch --interval 5s", "", ""),
    ("metrics", "consumer", "shmframe-metrics --listen unix:{folder}/metrics", "", ""),
    ("trace", "consumer", "shmframe trace --follow pattern late >/dev/null", "pattern late", ""),
)

# Who may be killed at any time: their loss harms nobody but themselves.
MORTAL = ("own", "view", "wall", "encode", "replay", "analyze", "hear", "latency", "marks", "snapshot", "top",
          "metrics", "trace", "negative", "delay", "film")


def make_film(path):
    """Two sizes in turns, so that each loop is two changes of format."""
    parts = []
    for size in ("160x120", "128x96"):
        part = f"{path}.{size}.ts"
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25",
                        "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000", "-t", "8", "-c:v",
                        "mpeg2video", "-c:a", "mp2", part], check=True, stdin=subprocess.DEVNULL, timeout=120)
        parts.append(part)
    with open(path, "wb") as film:
        for part in parts:
            with open(part, "rb") as file:
                film.write(file.read())
            os.unlink(part)


def write_pipeline(path, places):
    """A pipeline file; every node comes back however often it ends."""
    with open(path, "w", encoding="utf-8") as file:
        for name, kind, command, reads, writes in NODES:
            file.write(f"[{kind} {name}]\ncommand = {command.format(**places)}\n")
            if reads:
                file.write(f"reads = {reads}\n")
            if writes:
                file.write(f"writes = {writes}\n")
            file.write(f"restart = always\nrestart-limit = none\nlog = {places['folder']}/{name}.log\n\n")
