"""Options that both programs have."""

import argparse
import math
import re
import shutil

from stage import SOUND_PACKAGES, Failure, say


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n{self.format_usage()}")


def number(low, high, example):
    """A type of argparse: a number from `low` to `high`, as it was written."""
    def check(text):
        if not re.fullmatch(r"\d+(\.\d+)?", text) or not low <= float(text) <= high:
            raise argparse.ArgumentTypeError(
                f'"{text}" should be a number from {low} to {high}, such as {example}')
        return text
    return check


def count(low, high, example):
    """As number(), whole."""
    def check(text):
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f'"{text}" should be a whole number from {low} to {high}, such as {example}')
        return int(text)
    return check


def size(text):
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not found or not (152 <= int(found[1]) <= 16384 and 120 <= int(found[2]) <= 16384):
        raise argparse.ArgumentTypeError(
            f'"{text}" should be WIDTHxHEIGHT, such as 1280x720, and 152x120 at least, so that marks '
            "can be read")
    return int(found[1]), int(found[2])


def add_common(parser, seconds, rate, dimensions):
    parser.add_argument("--seconds", type=number(3, 86400, seconds), default=seconds, metavar="N",
                        help=f"how long to measure ({seconds}); 3 at least, as each second has one beat")
    parser.add_argument("--report", metavar="FOLDER",
                        help="leave a page with plots, a line for each frame, and JSON there")
    parser.add_argument("--size", type=size, default=size(dimensions), metavar="WxH",
                        help=f"of the picture ({dimensions})")
    parser.add_argument("--rate", type=number(1, 240, rate), default=rate, metavar="N",
                        help=f"pictures a second ({rate})")
    parser.add_argument("--capture-rate", type=number(1, 1000, 120), metavar="N",
                        help="how often a second to look at the screen (four times --rate, up to 120)")
    parser.add_argument("--no-sound", action="store_true", help="pictures only")
    parser.add_argument("--headless", action="store_true",
                        help="use a display and a sound server of its own, also where there are others")
    parser.add_argument("--format", choices=("text", "json"), default="text",
                        help="how to print the figures")


def capture_rate(options):
    return options.capture_rate or f"{min(120, 4 * float(options.rate)):g}"


def prepare(stage, options, share=1):
    """Supervisor, display and sound as the options and the environment have it; `share`: of a display, that the picture
    may take. Returns whether there is sound."""
    stage.start_supervisor()
    if options.headless or not stage.env.get("DISPLAY"):
        say("There is no display here: using one of its own." if not options.headless else
            "Using a display of its own.")
        stage.start_display(*(math.ceil(length / share) for length in options.size))
    else:
        stage.check_display()
    if options.no_sound:
        return False
    if options.headless or stage.has_own_display or not stage.has_sound_server():
        if not shutil.which("pulseaudio") or not shutil.which("pactl"):
            raise Failure(f"no sound server runs, and none can be started; install {SOUND_PACKAGES}, "
                          "or measure with --no-sound")
        stage.start_sound()
    stage.lead_sound_to_server()
    return True


