"""./demos/glass-to-glass: how long from a frame's capture to the pixel on the screen."""

import json

import arguments
import figures
import loop
from stage import Failure, Stage, run, say

PROGRAM = "demos/glass-to-glass"
SOURCE = "glass"
# Of a display, that shmframe-view makes its window at most.
WINDOW_SHARE = 0.9

READING = """
How to read it. A frame begins when shmframe-pattern is due to paint it, and ends when a capture of the window
first shows it. In between: painting, the way through shared memory, {pacing}, SDL and the X server. It
also holds 0 to {period:.1f} ms of the capture's own period ({rate} a second), half of it in the middle{recorded}.
Not in it: what a compositor, the panel and a loudspeaker add (docs/latency.md)."""
PACED = "the wait for the sound that belongs to it (the sound leads)"
UNPACED = "the viewer's work (without sound it shows the newest frame at once)"
RECORDED = """,
and the sound what the sound server and its recording hold back"""


def parse():
    parser = arguments.Parser(
        prog=PROGRAM, description="Shows marked pictures in a window and plays their sound, captures both again, "
        "and tells how long that took, up to the pixel. Installs and builds what is missing first.")
    arguments.add_common(parser, "10", "60", "1280x720")
    return parser.parse_args()


def show(stage, options, has_sound):
    """The pattern, and the viewer's window. Returns its window, and who must live."""
    before = set(stage.windows())
    pattern = loop.start_pattern(stage, SOURCE, options, has_sound)
    view = stage.start("shmframe-view", ["shmframe-view", SOURCE, *([] if has_sound else ["--no-sound"])])
    new = stage.wait_for(lambda: set(stage.windows()) - before, 20, pattern, view)
    if not new:
        raise Failure(f"the viewer's window did not come; shmframe-view said:{view.said()}")
    return max(new), [pattern, view]


def measure(stage, options):
    has_sound = arguments.prepare(stage, options, WINDOW_SHARE)
    window, needed = show(stage, options, has_sound)
    needed += loop.capture(stage, options, has_sound, window)
    if not loop.wait_for_marks(stage, SOURCE, 30, *needed):
        raise Failure("nothing with a mark was seen on the display in 30 s; is the window minimised, or smaller than "
                      "a quarter of its picture?")
    say(f"Measuring for {options.seconds} s ...")
    measurement = loop.Measurement(stage, SOURCE, options.seconds, has_sound, options.report, "Glass to glass")
    measurement.wait(*needed)
    scale = loop.find_scale(stage, options.size, window)
    frames, dropped = loop.dropped_at_source(stage, needed[0])
    tell(options, stage, loop.result(stage, options, measurement.figures(), {"frames": frames, "dropped": dropped}, scale))


def tell(options, stage, result):
    if options.format == "json":
        print(json.dumps(result))
        return
    rate, has_sound = result["capture_rate"], bool(result["sound"])
    print("pattern -> shmframe-view -> "
          f"{'a display of its own' if stage.has_own_display else 'window on ' + stage.env['DISPLAY']} -> "
          f"shmframe-screen, {options.seconds} s of {options.size[0]}x{options.size[1]}, {options.rate} a second")
    warnings = [figures.scale_text(result["scale"]), figures.busy_text(**result["source"], marks=result["picture"]["marks"])]
    print(figures.table(result["picture"], result["sound"], warnings))
    print(READING.format(pacing=PACED if has_sound else UNPACED, period=1000 / rate, rate=f"{rate:g}",
                         recorded=RECORDED if has_sound else "").strip())
    if options.report:
        print(f"The report is {options.report}/index.html")


def main():
    options = parse()
    with Stage() as stage:
        measure(stage, options)


if __name__ == "__main__":
    run(PROGRAM, main)
