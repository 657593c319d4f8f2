#!/usr/bin/env python3
"""All programs of the project in one pipeline for a long time, while nodes are killed, readers come
and go, formats change, and the supervisor is killed and upgraded.

    soak.py [--seconds N] [--every S] [--seed N] [--output FOLDER]

Needs Xvfb, PulseAudio and FFmpeg. Programs are those of $SHMFRAME_BUILD, else of build/, which ./setup
brings up to date. At the end: what each process used, as samples.csv
and plots in FOLDER, a table, and a verdict. Exit: 0 all is flat and accounted for, 1 not, 2 usage.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../../demos/measuring")]

import nodes  # noqa: E402
import result  # noqa: E402
import sample  # noqa: E402
import stage  # noqa: E402


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=120, help="how long (120)")
    parser.add_argument("--every", type=float, help="seconds between two samples (1, of a long run 10)")
    parser.add_argument("--seed", type=int, help="of what is done to whom")
    parser.add_argument("--output", help="where samples.csv and the plots go; default: nowhere")
    options = parser.parse_args()
    if options.seconds < 20:
        parser.error("--seconds: less than 20 shows nothing")
    options.every = options.every or (1 if options.seconds <= 600 else 10)
    options.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    return options


class Soak:
    def __init__(self, here, options):
        self.stage, self.options = here, options
        self.random = random.Random(options.seed)
        self.samples, self.done, self.faults = [], {}, []
        self.folder = os.path.join(here.folder, "work")
        os.mkdir(self.folder)
        self.started_s = time.monotonic()

    # ---- before ----

    def raise_curtain(self):
        here = self.stage
        here.env["PATH"] = os.path.join(here.build, "demos") + ":" + here.env["PATH"]
        here.env["SHMFRAME_NO_PROGRESS"] = "1"
        here.start_display(320, 240)
        here.start_sound()
        here.lead_sound_to_server()
        film = os.path.join(self.folder, "film.ts")
        nodes.make_film(film)
        self.pipeline = os.path.join(self.folder, "soak.ini")
        nodes.write_pipeline(self.pipeline, {"folder": self.folder, "film": film})
        self.start_supervisor()
        self.stats = here.start("stats", ["shmframe", "stats", "--format", "json", "--interval",
                                          f"{max(self.options.every, 2)}s"])
        self.events = here.start("events", ["shmframe", "events", "--follow", "--last", "4096", "--format", "json"])
        if not here.wait_for(lambda: self.live() == len(nodes.NODES), 60):
            raise stage.Failure(f"only {self.live()} of {len(nodes.NODES)} nodes run:\n{self.status()}")
        self.started_s = time.monotonic()

    def start_supervisor(self):
        self.supervisor = self.stage.start(
            "the supervisor", ["shmframed", "--quiet", "--config", self.pipeline])

    def call(self, *arguments, seconds=30):
        return subprocess.run(["shmframe", *arguments], env=self.stage.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=seconds, check=False)

    def status(self):
        return self.call("status").stdout

    def live(self):
        return result.count_running(self.call("status", "--format", "json").stdout)

    # ---- what happens to them ----

    def kill_a_node(self):
        victim = self.random.choice(nodes.MORTAL)
        pids = result.pids_of(self.call("status", "--format", "json").stdout)
        if victim in pids:
            self.count(f"kill {victim}")
            try:
                os.kill(pids[victim], signal.SIGKILL)
            except ProcessLookupError:
                pass  # it was quicker

    def kill_the_supervisor(self):
        self.count("kill the supervisor")
        os.kill(self.supervisor.process.pid, signal.SIGKILL)
        self.supervisor.process.wait()
        self.stage.programs.remove(self.supervisor)
        self.start_supervisor()

    def upgrade(self):
        done = self.call("upgrade", seconds=60)
        self.count("upgrade")
        if done.returncode:
            self.faults.append(f"upgrade: {done.stderr.strip()}")

    def come_and_go(self):
        self.count("reader comes and goes")
        self.stage.start("guest", ["shmframe-latency", self.random.choice(("pattern", "late", "negative")),
                                   "--duration", "2", "--interval", "0"])

    def pause(self):
        self.count("pause")
        self.call("ask", "film", "pause")
        time.sleep(0.5)
        self.call("ask", "film", "resume")

    def save(self):
        self.count("save")
        self.call("ask", "replay", "save")

    def count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def plan(self):
        """(seconds since the beginning, what), in that order. The last fifth is left in peace, and in
        the second half the supervisor is, whose own growth would not be seen otherwise."""
        seconds = self.options.seconds
        rare = min(300, seconds / 5)
        plan = []
        for what, period, end in ((self.come_and_go, 6, 0.8), (self.pause, 17, 0.8), (self.save, 23, 0.8),
                                  (self.kill_a_node, 9, 0.8), (self.kill_the_supervisor, rare, 0.45),
                                  (self.upgrade, rare * 1.3, 0.45)):
            at = period * self.random.uniform(0.5, 1)
            while at < end * seconds:
                plan.append((at, what))
                at += period * self.random.uniform(0.8, 1.2)
        return sorted(plan, key=lambda item: item[0])

    # ---- the time itself ----

    def tidy_files(self):
        """The newest few of each kind stay: it is not the disk that is tested."""
        for kind in ("cut-", "shot-", "replay-"):
            files = [os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.startswith(kind)]
            for path in sorted(files, key=os.path.getmtime)[:-4]:
                os.unlink(path)

    def reap_orphans(self):
        """Nodes of a supervisor that was killed are our children when they end: nobody else waits for
        them. Those of the stage it waits for itself."""
        known = {program.process.pid for program in self.stage.programs}
        for child in map(int, sample.read("/proc/thread-self/children").split()):
            if child not in known:
                os.waitpid(child, os.WNOHANG)

    def look(self, now_s):
        self.reap_orphans()
        for who, values in sample.look_at_all(os.getpid()):
            self.samples.append((now_s, who, values))
        # Guests that have ended are not kept.
        for program in [p for p in self.stage.programs if p.title == "guest" and p.has_ended()]:
            if program.process.returncode:
                self.faults.append(program.told_end())
            self.stage.programs.remove(program)
            os.unlink(program.log)
        self.tidy_files()

    def live_through(self):
        plan, next_look = self.plan(), 0.0
        while (now_s := time.monotonic() - self.started_s) < self.options.seconds:
            if now_s >= next_look:
                self.look(now_s)
                next_look = now_s + self.options.every
            elif plan and now_s >= plan[0][0]:
                plan.pop(0)[1]()
            else:
                time.sleep(0.1)
            if self.supervisor.has_ended():
                raise stage.Failure(self.supervisor.told_end())

    # ---- after ----

    @staticmethod
    def left_behind():
        """Each that still is there, with its command."""
        left = []
        for who, _ in sample.look_at_all(os.getpid()):
            try:
                command = sample.read(f"/proc/{who[1]}/cmdline").replace("\0", " ")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if who[0] not in ("Xvfb", "pulseaudio", "xkbcomp"):
                left.append((*who, command))
        return left

    def fall(self):
        """Ends as a user ends it; what is left then is a fault."""
        if self.live() != len(nodes.NODES):
            self.faults.append(f"at the end only {self.live()} nodes run:\n{self.status()}")
        # What its own programs tell ends with the supervisor that they ask.
        os.kill(self.supervisor.process.pid, signal.SIGINT)
        try:
            self.supervisor.process.wait(40)
        except subprocess.TimeoutExpired:
            self.faults.append("the supervisor does not end")
        if self.supervisor.process.returncode:
            self.faults.append(self.supervisor.told_end())
        for program in (self.stats, self.events):
            self.stage.end(program)
        until_s = time.monotonic() + 20
        while (left := self.left_behind()) and time.monotonic() < until_s:
            time.sleep(0.1)  # one that was killed takes its time on a busy machine
        if left:
            self.faults.append(f"processes are left: {left}")
        socket = self.stage.env["SHMFRAME_SOCKET"]
        files = [name for name in os.listdir(os.path.dirname(socket)) if name.startswith(os.path.basename(socket))]
        known = {os.path.basename(socket) + end for end in (".lock", ".names", ".journal")}
        if set(files) - known:
            self.faults.append(f"files are left: {sorted(set(files) - known)}")


def main():
    options = parse()
    print(f"seed {options.seed}, {options.seconds:g} s", flush=True)
    with stage.Stage() as here, tempfile.TemporaryDirectory() as spare:
        soak = Soak(here, options)
        soak.raise_curtain()
        soak.live_through()
        soak.fall()
        output = options.output or spare
        os.makedirs(output, exist_ok=True)
        verdict = result.Result(soak, here.build, output)
        verdict.tell()
        if verdict.faults:
            verdict.tell_logs(soak.folder)
            verdict.keep_logs([soak.folder, here.folder])
    sys.exit(1 if verdict.faults else 0)


if __name__ == "__main__":
    stage.run("soak", main)
