"""The measurement itself: what is shown and heard, captured and looked at."""

import json
import os
import subprocess

from arguments import capture_rate
from stage import Failure

SCREEN, SOUND = "screen", "microphone"


def start_pattern(stage, source, options, has_sound, *more):
    """Its first reader starts the clock."""
    return stage.start("shmframe-pattern", [
        "shmframe-pattern", "--marks", "--stream", source, "--rate", options.rate, "--size",
        "{}x{}".format(*options.size), "--wait-readers", "1", "--format", "json",
        *([] if has_sound else ["--no-sound"]), *more])


def dropped_at_source(stage, pattern):
    """Ends the pattern. Returns how many frames it published, and how many it was too late for."""
    stage.end(pattern)
    picture = (pattern.report() or {"streams": [{"frames": 0, "dropped": 0}]})["streams"][0]
    return picture["frames"], picture["dropped"]


def capture(stage, options, has_sound, window):
    """Of the display, or one window on it. Returns the programs that do it."""
    programs = [capture_screen(stage, capture_rate(options), window)]
    if has_sound:
        programs.append(capture_sound(stage))
    return programs


def find_scale(stage, size, window=None):
    """How large the picture is shown, by the window or the largest there is; None: there is none."""
    windows = stage.windows()
    sizes = [(one["width"], one["height"]) for number, one in windows.items() if window in (None, number)]
    return min(there / made for there, made in zip(max(sizes), size)) if sizes else None


def result(stage, options, found, source, scale, **more):
    """What a measurement found, as JSON has it."""
    picture, sound = found
    return {"capture_rate": float(capture_rate(options)), "own_display": stage.has_own_display,
            "own_sound": stage.has_own_sound, "scale": scale, "source": source, "picture": picture, "sound": sound, **more}


def capture_screen(stage, rate, window=None):
    return stage.start("shmframe-screen", ["shmframe-screen", "--stream", SCREEN, "--rate", rate, "--no-cursor",
                                           *(["--window", window] if window else [])])


def capture_sound(stage):
    """What the sound server plays. Its buffer is small: the sound server's own follows from it."""
    return stage.start("shmframe-microphone", ["shmframe-microphone", "--stream", SOUND, "--latency", "20ms"],
                       env={"PULSE_SOURCE": "@DEFAULT_MONITOR@"})


def wait_for_marks(stage, source, seconds, *needed):
    """Until a mark is seen on the screen. Returns whether one was."""
    probe = stage.start("shmframe-latency", ["shmframe-latency", SCREEN, "--marks", "--source", source,
                                             "--interval", "0.2", "--format", "json"])

    def is_seen():
        with open(probe.log, encoding="utf-8", errors="replace") as file:
            return any(json.loads(line)["marks"]["frames"] for line in file if line.endswith("}\n"))
    try:
        return bool(stage.wait_for(is_seen, seconds, probe, *needed))
    finally:
        stage.end(probe)


class Measurement:
    """shmframe-latency --marks at work, for a time."""

    # To begin, and to write its report.
    more_s = 30

    def __init__(self, stage, source, seconds, has_sound, report=None, title="Latency"):
        self.stage, self.seconds, self.has_sound = stage, seconds, has_sound
        self.program = stage.start(
            "shmframe-latency",
            ["shmframe-latency", SCREEN, *([SOUND] if has_sound else []), "--marks", "--source", source,
             "--interval", "0", "--duration", seconds, "--format", "json", "--policy", "in-order",
             *(["--report", os.path.abspath(report), "--title", title] if report else [])])

    def wait(self, *needed):
        """Until it is over, or one of those that it needs ends."""
        try:
            is_over = self.stage.wait_for(self.program.has_ended, float(self.seconds) + self.more_s, *needed)
        finally:
            # What there is so far is still told.
            self.program.process.terminate()
            try:
                self.program.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        if not is_over:
            raise Failure(f"the measurement of {self.seconds} s did not end within {self.more_s} s more; shmframe-latency "
                          f"said:{self.program.said() or ' nothing'}")

    def figures(self):
        """What it found: of the picture, and of the sound or None."""
        found = {}
        with open(self.program.log, encoding="utf-8", errors="replace") as file:
            for text in file:
                if text.startswith("{"):
                    value = json.loads(text)
                    found[value["stream"]] = value
        if self.program.process.returncode != 0 or SCREEN not in found:
            raise Failure(self.program.told_end())
        return found[SCREEN], found.get(SOUND)
