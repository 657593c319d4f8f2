"""./demos/measure-player: how long a player takes from its input to the pixel."""

import argparse
import json
import shlex
import os
import shutil

import arguments
import feed
import figures
import loop
from stage import Failure, Stage, run, say

PROGRAM = "demos/measure-player"
# For a player to open its window, and show something of its input.
START_S = 30
# What comes first is not what follows: buffers fill, clocks are found.
SETTLE_S = "3"

EXAMPLES = """
In COMMAND {} stands for the input; without it the input is the last argument.

  ./demos/measure-player -- ffplay
  ./demos/measure-player --input udp --runs 5 -- ffplay -fflags nobuffer -flags low_delay
  ./demos/measure-player -- mpv --profile=low-latency
  ./demos/measure-player --input srt -- ffplay -fflags nobuffer {}
  ./demos/measure-player --input file --report result -- mpv {}

A FIFO of raw pictures says at once what is in it. What a player does to find that out, and its options to do less of
it (-fflags nobuffer), show with udp, srt and http.
"""

READING_LIVE = """How to read it. A frame begins when it is due to be painted, and ends when a capture of the {where} first
shows it. In between: {road}, and what the player adds.
The capture's own period ({rate} a second) is in it by 0 to {period:.1f} ms, by half of that in the middle.{sound}
"""
READING_START = """Most players keep for good what came in while they started: each start has a latency of its own, and --runs tells
the median of several.
"""
READING_FILE = """How to read it. {begun} has no latency: when its frames are shown is the player's choice. What
counts is whether all are shown, for how long each, and whether the sound comes with them.{sound}
"""
READING_SOUND = """ Sound is what
the sound server was about to play; what it and its recording hold back makes it seem later, by some ms."""


def parse():
    parser = arguments.Parser(
        prog=PROGRAM, usage="demos/measure-player [OPTION]... -- COMMAND [ARGUMENT]...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Feeds pictures with marks to a player, captures its window and its sound, and tells how long "
        "they took\nfrom its input to the pixel. Installs and builds what is missing first.", epilog=EXAMPLES)
    parser.add_argument("--input", choices=tuple(feed.FEEDS), default="fifo",
                        help="how the player gets it: a FIFO of raw pictures (the default), H.264 by udp, srt or "
                        "http, or a file")
    arguments.add_common(parser, "10", "30", "640x360")
    parser.add_argument("--runs", type=arguments.count(1, 100, 5), default=1, metavar="N",
                        help="start the player so often, and tell the median beside each (1)")
    parser.add_argument("--settle", type=arguments.number(0, 3600, SETTLE_S), default=SETTLE_S, metavar="N",
                        help=f"seconds from the first frame that is seen to the begin ({SETTLE_S})")
    parser.add_argument("--wait", type=arguments.number(1, 3600, START_S), default=str(START_S), metavar="N",
                        help=f"seconds for the player to show something ({START_S})")
    parser.add_argument("--delay", type=arguments.number(0, 5000, 200), metavar="MS",
                        help="hold all frames for so long before they are fed: a check of the measurement")
    parser.add_argument("--window", metavar="NAME",
                        help="title or id of the player's window, where it is not the only new one")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help=argparse.SUPPRESS)
    return parser.parse_args()


def fill(command, place):
    """The command with the input put in."""
    if any("{}" in word for word in command):
        return [word.replace("{}", place) for word in command]
    return [*command, place]


class Player:
    def __init__(self, stage, options, place):
        self.stage, self.options = stage, options
        self.before = set(stage.windows())
        self.program = stage.start(options.command[0], fill(options.command, place))

    def fail(self, text):
        raise Failure(f"{text}; {self.program.title} said:{self.program.said() or ' nothing'}")

    def find_window(self):
        """What is to be captured: None for the whole display, which is the player's alone."""
        wanted, seconds = self.options.window, float(self.options.wait)
        if self.stage.has_own_display and not wanted:
            return None

        def new():
            windows = {number: window for number, window in self.stage.windows().items()
                       if number not in self.before}
            if wanted:
                windows = {number: window for number, window in windows.items()
                           if wanted in (number, str(number)) or wanted.lower() in window["name"].lower()}
            return windows
        found = self.stage.wait_for(new, seconds, self.program)
        if not found:
            self.fail(f"no window{f' that is called {wanted}' if wanted else ''} came in {seconds:g} s")
        if len(found) > 1:
            names = ", ".join(f"{number} ({window['name']})" for number, window in found.items())
            self.fail(f"several windows came: {names}; name one of them with --window")
        return next(iter(found))


def show(stage, options, has_sound):
    """Feed and player at work, seen and heard. Returns the feed and who must live."""
    source = feed.create(stage, options, has_sound)
    source.start()
    player = Player(stage, options, source.place)
    needed = [*source.programs, player.program]
    window = player.find_window()
    needed += loop.capture(stage, options, has_sound, window)
    # The player first: when it ends, others do, too.
    needed.insert(0, needed.pop(len(source.programs)))
    if not loop.wait_for_marks(stage, feed.SOURCE, float(options.wait), *needed):
        player.fail(f"it showed nothing with a mark in {options.wait} s; is the picture smaller than a quarter, or "
                    "covered?")
    return source, window, needed


def measure(stage, options, report):
    """One start of the player. Returns what was found."""
    has_sound = arguments.prepare(stage, options)
    source, window, needed = show(stage, options, has_sound)
    say(f"Measuring for {options.seconds} s, after {options.settle} s to settle ...")
    stage.wait_for(lambda: False, float(options.settle), *needed)
    measurement = loop.Measurement(stage, feed.SOURCE, options.seconds, has_sound, report,
                                   f"Latency of {shlex.join(options.command)}")
    measurement.wait(*needed)
    scale = loop.find_scale(stage, options.size, window)
    return loop.result(stage, options, measurement.figures(), source.finish(), scale, is_live=source.is_live)


def measure_all(options):
    results = []
    for number in range(1, options.runs + 1):
        if options.runs > 1:
            say(f"Start {number} of {options.runs} ...")
        # Everything anew: what one start leaves behind is none of the next one's.
        with Stage() as stage:
            results.append(measure(stage, options, report_folder(options, number)))
    return results


def report_folder(options, number):
    """Of that start; None: no report."""
    if not options.report or options.runs == 1:
        return options.report
    os.makedirs(options.report, exist_ok=True)
    return os.path.join(options.report, str(number))


def untaken_text(untaken):
    return untaken and (f"  the player did not take its input in time: {untaken} frames and blocks of sound were left out "
                        "before it, from the start on")


def list_warnings(result):
    source = dict(result["source"])
    found = [untaken_text(source.pop("untaken")), figures.scale_text(result["scale"]), figures.busy_text(**source, marks=result["picture"]["marks"])]
    return [text for text in found if text]


def tell_starts(results):
    print(figures.starts_table(results))
    for number, result in enumerate(results, 1):
        for text in list_warnings(result):
            print(f"  start {number}: {text.strip()}")


def tell(options, results):
    first = results[0]
    about = {"command": options.command, "input": options.input}
    if options.format == "json":
        print(json.dumps({**about, **first} if options.runs == 1 else
                         {**about, "runs": results, "median": figures.medians(results)}))
        return
    road = feed.told(options.input)
    print(f"{shlex.join(options.command)}, fed with {road},\n"
          f"{options.size[0]}x{options.size[1]}, {options.rate} a second, for {options.seconds} s")
    if options.runs > 1:
        tell_starts(results)
    else:
        print(figures.table(first["picture"], first["sound"], list_warnings(first), first["is_live"]))
    reading = READING_LIVE + READING_START if first["is_live"] else READING_FILE
    rate = first["capture_rate"]
    print(reading.format(where="screen" if first["own_display"] else "window", road=road,
                         begun=road[0].upper() + road[1:], rate=f"{rate:g}",
                         period=1000 / rate, sound=READING_SOUND if first["sound"] else "").strip())
    if options.report:
        print(f"The report is {report_folder(options, 1)}/index.html" + (", and so on" if options.runs > 1 else ""))


def main():
    options = parse()
    if not shutil.which(options.command[0]):
        raise Failure(f"{options.command[0]}: there is no such command; is it installed?")
    tell(options, measure_all(options))


if __name__ == "__main__":
    run(PROGRAM, main)
