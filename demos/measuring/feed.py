"""How marks get to a player: one kind of input each."""

import os
import socket

import loop
from stage import Failure, say

SOURCE = "marks"
# Quick, small, and without frames that wait for others: the player is measured, not the encoder.
FAST = ["--video", "libx264:preset=ultrafast,tune=zerolatency,g=30,crf=20", "--audio", "aac"]

# For the encoder to begin.
LISTEN_S = 30


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_bound(kind, port):
    """Whether somebody listens at the port, which is not tried: whom a player calls may take one call alone."""
    name, states = {socket.SOCK_STREAM: ("tcp", ("0A",)), socket.SOCK_DGRAM: ("udp", ("07", "01"))}[kind]
    for path in (f"/proc/net/{name}", f"/proc/net/{name}6"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                for words in map(str.split, file.readlines()[1:]):
                    if words[1].endswith(f":{port:04X}") and words[3] in states:
                        return True
    return False


class Feed:
    """Marks on their way to a player, which finds them at `place`."""

    # Whether what a player gets was captured just now.
    is_live = True

    def __init__(self, stage, options, has_sound):
        self.stage, self.options, self.has_sound = stage, options, has_sound
        self.programs = []

    def start_pattern(self, *more):
        """Frames are made once the first reader is there: what feeds the player."""
        self.pattern = loop.start_pattern(self.stage, SOURCE, self.options, self.has_sound, *more)
        self.programs.append(self.pattern)
        return self.lead_through_delay()

    def lead_through_delay(self):
        """The name of the stream that is fed."""
        wanted = self.options.delay
        if not wanted:
            return SOURCE
        self.programs.append(self.stage.start("shmframe-delay", [
            "shmframe-delay", SOURCE, "delayed", "--delay", wanted + "ms", "--wait-readers", "1"]))
        return "delayed"

    def start_writer(self, title, arguments):
        self.writer = self.stage.start(title, [*arguments, "--format", "json"])
        self.programs.append(self.writer)

    def finish(self):
        """Ends it. Returns what the source made, what it was too late for, and what the player did not take in time."""
        self.stage.end(self.writer)
        report = self.writer.report() or {"streams": []}
        frames, dropped = loop.dropped_at_source(self.stage, self.pattern)
        return {"frames": frames, "dropped": dropped,
                "untaken": sum(stream["lost_late"] for stream in report["streams"])}


class Fifo(Feed):
    """Raw pictures and samples in a named pipe, as NUT: nothing is encoded."""

    told = "raw pictures and samples through a FIFO (NUT)"

    def start(self):
        self.place = os.path.join(self.stage.folder, "input.nut")
        os.mkfifo(self.place)
        name = self.start_pattern()
        self.start_writer("shmframe-pipe", ["shmframe-pipe", name, self.place, "--as", "nut"])


class Network(Feed):
    container, options_of_url, player_options = "mpegts", "", ""

    def start(self):
        port = free_port(self.socket_kind)
        self.place = f"{self.scheme}://127.0.0.1:{port}{self.player_options}"
        name = self.start_pattern()
        self.start_writer("shmframe-encode", [
            "shmframe-encode", name, f"{self.scheme}://127.0.0.1:{port}{self.options_of_url}", "--container",
            self.container, *FAST, *self.more])
        if self.is_called and not self.stage.wait_for(lambda: is_bound(self.socket_kind, port), LISTEN_S, *self.programs):
            raise Failure(f"shmframe-encode did not listen in {LISTEN_S} s; it said:{self.writer.said()}")
    more = ()
    # By the player, which need not try twice.
    is_called = False


class Udp(Network):
    told = "H.264 and AAC in MPEG-TS by UDP"
    scheme, socket_kind = "udp", socket.SOCK_DGRAM
    options_of_url = "?pkt_size=1316"


class Srt(Network):
    """The player calls; the encoder waits for it."""

    told = "H.264 and AAC in MPEG-TS by SRT, whose own latency is 120 ms unless the player asks for another"
    scheme, socket_kind = "srt", socket.SOCK_DGRAM
    options_of_url = "?mode=listener"
    is_called = True


class Http(Network):
    told = "H.264 and AAC in MPEG-TS by HTTP"
    scheme, socket_kind = "http", socket.SOCK_STREAM
    player_options = "/input.ts"
    options_of_url = "/input.ts"
    more = ("--format-option", "listen=1")
    is_called = True


class File(Feed):
    """Recorded first, and played then."""

    told = "a file that was recorded before"
    is_live = False
    # For the player to begin, and for the wait before the measurement.
    more_s = 20

    def start(self):
        self.place = os.path.join(self.stage.folder, "input.mkv")
        seconds = float(self.options.seconds) + self.more_s
        say(f"Recording {seconds:g} s of marks first ...")
        name = self.start_pattern("--duration", str(seconds))
        self.start_writer("shmframe-encode", ["shmframe-encode", name, self.place, *FAST])
        recorder = self.programs[-1]
        if not self.stage.wait_for(recorder.has_ended, seconds + 60) or recorder.process.returncode != 0:
            raise Failure(f"the file was not recorded; shmframe-encode said:{recorder.said()}")
        # They have done their work, and nobody needs them further.
        self.programs = []


FEEDS = {"fifo": Fifo, "udp": Udp, "srt": Srt, "http": Http, "file": File}


def told(kind):
    return FEEDS[kind].told


def create(stage, options, has_sound):
    return FEEDS[options.input](stage, options, has_sound)
