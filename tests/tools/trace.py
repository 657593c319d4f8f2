"""shmframe trace: the file is a trace by the rules of its viewers, and says what the readers say."""

import bisect
import copy
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest
from decimal import Decimal

SHMFRAME = os.environ["SHMFRAME"]
SHMFRAMED = os.environ["SHMFRAMED"]
ACTOR = os.environ["ACTOR"]


class Broken(Exception):
    """What the checker says of a file that is no trace."""


def demand(condition, *what):
    if not condition:
        raise Broken(*what)


def to_ns(microseconds):
    """Exact: the text of the file, not a floating point number."""
    ns = Decimal(microseconds) * 1000
    demand(ns == int(ns), "finer than a nanosecond", microseconds)
    return int(ns)


class Trace:
    """A trace, taken apart and checked.

    By the format: an object with traceEvents; each event has ph, pid, tid, and but for metadata ts and
    a name; B and E of a track pair like brackets, in time; X has a duration and lies wholly inside or
    outside of others. Events of a track come in time, but for flows, which may tell of a slice later.
    A flow has one start, then steps, then one end, none earlier than the one before, each bound to
    a slice of its track that contains its instant.
    """

    def __init__(self, text):
        whole = json.loads(text, parse_float=Decimal)
        self.other = whole["otherData"]
        self.tracks, self.processes, self.slices, self.instants = {}, {}, [], []
        self.open, self.last_ns, self.flows = {}, {}, {}
        self.sorted = None
        for event in whole["traceEvents"]:
            demand(isinstance(event["pid"], int) and isinstance(event["tid"], int), event)
            getattr(self, "take_" + event["ph"])(event)
        demand(not any(self.open.values()), "a slice has no end", self.open)
        for flow in self.flows.values():
            self.check_flow(flow)
        self.check_nesting()

    def take_M(self, event):
        name = event["args"]["name"]
        if event["name"] == "process_name":
            demand(event["pid"] not in self.processes, "named twice", event)
            self.processes[event["pid"]] = name
        else:
            demand(event["name"] == "thread_name", event)
            demand(event["tid"] not in self.tracks, "a track's number is used twice", event)
            self.tracks[event["tid"]] = (event["pid"], name)

    def arrive(self, event):
        demand(self.tracks.get(event["tid"], [None])[0] == event["pid"], "of no track", event)
        demand(event["pid"] in self.processes, "of no process", event)
        time_ns = to_ns(event["ts"])
        demand(time_ns >= self.last_ns.get(event["tid"], 0), "back in time", event)
        self.last_ns[event["tid"]] = time_ns
        return time_ns

    def keep(self, event, begin_ns, end_ns):
        made = {"name": event["name"], "pid": event["pid"], "tid": event["tid"],
                "begin_ns": begin_ns, "end_ns": end_ns, "args": event.get("args", {})}
        self.slices.append(made)
        return made

    def take_B(self, event):
        begin_ns = self.arrive(event)
        self.open.setdefault(event["tid"], []).append(self.keep(event, begin_ns, None))

    def take_E(self, event):
        end_ns = self.arrive(event)
        demand(self.open.get(event["tid"]), "ends nothing", event)
        ended = self.open[event["tid"]].pop()
        demand(ended["name"] == event["name"], "ends another", event)
        ended["end_ns"] = end_ns

    def take_X(self, event):
        begin_ns = self.arrive(event)
        duration_ns = to_ns(event["dur"])
        demand(duration_ns >= 0, event)
        demand(not self.open.get(event["tid"]), "inside another", event)
        self.keep(event, begin_ns, begin_ns + duration_ns)

    def take_i(self, event):
        time_ns = self.arrive(event)
        demand(event["s"] == "t", event)
        self.instants.append(self.keep(event, time_ns, time_ns))

    def take_s(self, event):
        self.flows.setdefault(event["id"], []).append(event)

    take_t = take_f = take_s

    def check_flow(self, flow):
        phases = "".join(event["ph"] for event in flow)
        demand(phases[0] == "s" and phases[-1] == "f", "a flow is not whole", flow)
        demand(set(phases[1:-1]) <= {"t"}, "a flow starts or ends twice", flow)
        times = [to_ns(event["ts"]) for event in flow]
        demand(times == sorted(times), "a flow goes back", flow)
        for event in flow:
            demand(event["bp"] == "e" or event["ph"] != "f", event)
            demand(self.find_bound(event), "a flow is bound to nothing", event)

    def find_bound(self, event):
        """Slices around the event, or that touch it; the newest few, since they do not go deep."""
        time_ns = to_ns(event["ts"])
        track = self.by_track(event["tid"])
        end = bisect.bisect_right(track, time_ns, key=lambda s: s["begin_ns"])
        return [s for s in track[max(0, end - 8):end] if time_ns <= s["end_ns"]]

    def by_track(self, tid):
        """The slices of a track by their begin, those around others first."""
        if self.sorted is None:
            self.sorted = {}
            for one in sorted(self.slices, key=lambda s: (s["begin_ns"], -s["end_ns"])):
                self.sorted.setdefault(one["tid"], []).append(one)
        return self.sorted.get(tid, [])

    def check_nesting(self):
        for tid in self.tracks:
            around = []
            for one in self.by_track(tid):
                while around and around[-1]["end_ns"] <= one["begin_ns"]:
                    around.pop()
                demand(not around or one["end_ns"] <= around[-1]["end_ns"], "overlap", one)
                around.append(one)

    def frames(self, reader):
        """The args of all frames on the tracks of a reader, by sequence; and its slices."""
        tracks = {tid for tid, (_, name) in self.tracks.items() if reader in name}
        mine = [s for s in self.slices if s["tid"] in tracks]
        return {s["args"]["sequence"]: s["args"] for s in mine if s["name"].startswith("frame")}, mine

    def one(self, name, tids=None):
        found = [s for s in self.slices if s["name"] == name and (tids is None or s["tid"] in tids)]
        demand(len(found) == 1, name, found)
        return found[0]


class Tracing(unittest.TestCase):
    """Under a supervisor that all tests share."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        cls.folder = cls.temporary.name
        os.chmod(cls.folder, 0o700)
        cls.env = dict(os.environ, SHMFRAME_SOCKET=os.path.join(cls.folder, "socket"))
        ready, write = os.pipe()
        cls.supervisor = subprocess.Popen(
            [SHMFRAMED, "--quiet", "--ready-fd", str(write)], env=cls.env, pass_fds=(write,))
        os.close(write)
        assert os.read(ready, 1) == b"\n"
        os.close(ready)

    @classmethod
    def tearDownClass(cls):
        cls.supervisor.terminate()
        cls.supervisor.wait(20)
        cls.temporary.cleanup()

    def call(self, *arguments):
        return subprocess.run([SHMFRAME, "trace", *arguments], env=self.env, text=True,
                              capture_output=True, timeout=60, check=False)

    def trace(self, *arguments):
        done = self.call(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return Trace(done.stdout)

    def act(self, *arguments):
        actor = subprocess.Popen([ACTOR, *arguments], env=self.env, text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def end():
            actor.stdin.close()
            actor.wait(20)
            actor.stdout.close()
        self.addCleanup(end)
        return actor

    def start_trace(self, output, *arguments):
        """A trace that follows, once it has looked for the first time."""
        tracer = subprocess.Popen([SHMFRAME, "trace", *arguments, "--output", output],
                                  env=self.env, text=True, stderr=subprocess.PIPE)
        self.addCleanup(lambda: (tracer.kill(), tracer.wait(20), tracer.stderr.close()))
        self.wait_for(lambda: os.path.exists(output) and os.path.getsize(output))
        return tracer

    def wait_for(self, condition):
        end = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    # ---- what it says ----

    def check_reader(self, trace, number, told):
        frames, slices = trace.frames(f"reader {number}")
        self.assertEqual(list(frames.values()), told["flights"])
        tids = {s["tid"] for s in slices}
        for flight in told["flights"]:
            sequence = flight["sequence"]
            hold = trace.one(f"hold {sequence}", tids)
            self.assertEqual(hold["begin_ns"], flight["acquire_ns"])
            if flight["release_ns"]:
                self.assertEqual(hold["end_ns"], flight["release_ns"])
                whole = trace.one(f"frame {sequence}", tids)
            else:
                self.assertLessEqual(hold["end_ns"], trace.other["to_ns"])
                whole = trace.one(f"frame held {sequence}", tids)
            self.assertEqual(whole["begin_ns"], flight["publish_ns"])
            transit = trace.one(f"transit {sequence}", tids)
            self.assertEqual((transit["begin_ns"], transit["end_ns"]),
                             (flight["publish_ns"], flight["acquire_ns"]))
            made = trace.one(f"produce {sequence}")
            self.assertEqual((made["begin_ns"], made["end_ns"]),
                             (flight["capture_ns"], flight["publish_ns"]))

    def check_flows(self, trace, told):
        wanted = []
        for reader in told["readers"]:
            for flight in reader["flights"]:
                end_ns = flight["present_ns"] or flight["release_ns"]
                wanted.append((flight["capture_ns"], flight["acquire_ns"], end_ns))
        found = [tuple(to_ns(e["ts"]) for e in flow) for flow in trace.flows.values()]
        held = {flow[1] for flow in wanted if flow[2] == 0}
        found = [(s, t, 0 if t in held else f) for s, t, f in found]
        self.assertEqual(sorted(found), sorted(wanted))

    def test_it_says_what_the_readers_say_to_the_nanosecond(self):
        told = json.loads(self.act("s").stdout.readline())
        trace = self.trace("s", "--last", "60")
        self.assertEqual(trace.processes, {told["pid"]: trace.processes[told["pid"]]})
        names = " ".join(name for _, name in trace.tracks.values())
        self.assertIn('in "order"\\', names)
        readers = sorted(int(name.split("reader ")[1].split()[0]) for _, name in
                         trace.tracks.values() if ", reader" in name and "(" not in name)
        for number, reader in zip(readers, told["readers"]):
            self.check_reader(trace, number, reader)
        self.check_flows(trace, told)
        self.assertGreater(len([n for _, n in trace.tracks.values() if n.endswith("(2)")]), 0)
        presents = {s["begin_ns"] for s in trace.instants if s["name"].startswith("present")}
        self.assertEqual(presents, {f["present_ns"] for r in told["readers"] for f in r["flights"]}
                         - {0})
        lost = [s for s in trace.instants if s["name"].startswith("lost")]
        self.assertEqual([s["args"] for s in lost], told["readers"][0]["lost"])
        self.assertEqual([s["begin_ns"] for s in lost], [o["time_ns"] for o in
                                                         told["readers"][0]["lost"]])
        self.assertEqual(len(lost), 1)
        self.assertEqual(trace.other["missed"], 0)

    def test_the_last_so_long_is_what_was_held_in_it(self):
        told = json.loads(self.act("last").stdout.readline())
        flights = told["readers"][0]["flights"]
        # Ask for about half of what there is; what is in it is then told by the trace itself.
        middle_ns = flights[len(flights) // 2]["release_ns"]
        now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        trace = self.trace("last", "--last", f"{(now_ns - middle_ns) / 1e9:.9f}")
        wanted = {f["sequence"] for r in told["readers"] for f in r["flights"]
                  if f["release_ns"] == 0 or f["release_ns"] >= trace.other["from_ns"]}
        found = {s["args"]["sequence"] for s in trace.slices if s["name"].startswith("frame")}
        self.assertEqual(found, wanted)
        self.assertLess(len(wanted), len(flights))

    def follow(self, stream, frames, disturb=lambda tracer, actor: None, way=""):
        actor = self.act(stream, str(frames), way)
        self.assertEqual(actor.stdout.readline(), "ready\n")
        output = os.path.join(self.folder, stream + ".json")
        tracer = self.start_trace(output, stream, "--follow")
        disturb(tracer, actor)
        actor.stdin.write("\n")
        actor.stdin.flush()
        told = json.loads(actor.stdout.readline())["flights"]
        self.assertEqual(len(told), frames)
        tracer.send_signal(signal.SIGCONT)
        tracer.send_signal(signal.SIGINT)
        _, error = tracer.communicate(timeout=30)
        self.assertEqual(tracer.returncode, 0, error)
        with open(output, encoding="utf-8") as file:
            return Trace(file.read()), told, error

    def test_followed_it_has_every_frame_however_many(self):
        for attempt in range(5):  # a busy machine may keep the tracer away for a thousand frames
            trace, told, error = self.follow(f"many{attempt}", 4000)
            frames, _ = trace.frames(", reader")
            self.assertEqual(len(frames) + trace.other["missed"], len(told))
            if trace.other["missed"] == 0:
                self.assertEqual((list(frames.values()), error), (told, ""))
                return
        self.fail("frames are missed each time")

    def test_what_was_overwritten_before_it_was_seen_is_counted(self):
        trace, told, error = self.follow(
            "missed", 3000, lambda tracer, actor: tracer.send_signal(signal.SIGSTOP))
        frames, _ = trace.frames(", reader")
        self.assertEqual(list(frames.values()), told[-1024:])
        self.assertEqual(trace.other["missed"], 3000 - 1024)
        self.assertIn("1976 lines of reader", error)

    def test_where_the_recorder_does_not_go_back_that_far_it_says_so(self):
        actor = self.act("reach", "1100")
        actor.stdin.write("\n")
        actor.stdin.flush()
        actor.stdout.readline()
        told = json.loads(actor.stdout.readline())["flights"]
        done = self.call("reach", "--last", "60")
        self.assertEqual(done.returncode, 0)
        self.assertIn("goes back to", done.stderr)
        self.assertEqual(list(Trace(done.stdout).frames(", reader")[0].values()), told[-1024:])

    def test_who_skips_frames_is_told_of_as_far_back_as_others(self):
        actor = self.act("skips", "1500", "skips")
        actor.stdin.write("\n")
        actor.stdin.flush()
        self.assertEqual(actor.stdout.readline(), "ready\n")
        told = json.loads(actor.stdout.readline())["flights"]
        frames, _ = Trace(self.call("skips", "--last", "60").stdout).frames(", reader")
        self.assertEqual(list(frames.values()), told[-1024:])

    def test_followed_who_skips_is_told_of_once(self):
        trace, told, error = self.follow("skipped", 900, way="skips")
        self.assertEqual((list(trace.frames(", reader")[0].values()), error), (told, ""))
        self.assertEqual(len([s for s in trace.slices if s["name"].startswith("frame")]), 900)

    def test_what_a_reader_took_before_it_was_listed_is_counted_as_missed(self):
        trace, told, error = self.follow(
            "joined", 3000, lambda tracer, actor: tracer.send_signal(signal.SIGSTOP), "joins")
        self.assertEqual(list(trace.frames(", reader")[0].values()), told[-1024:])
        self.assertEqual(trace.other["missed"], 3000 - 1024)
        self.assertIn("1976 lines of reader", error)

    def test_a_reader_that_came_and_went_unseen_is_told(self):
        trace, _, error = self.follow(
            "came", 10, lambda tracer, actor: tracer.send_signal(signal.SIGSTOP), "comes")
        self.assertEqual(trace.frames(", reader")[0], {})
        self.assertRegex(error, r"what reader \d+ \(many\) of came took is not in the trace: it left")

    def test_a_reader_that_went_after_it_was_listed_is_told_of_to_its_end(self):
        reader = self.act("went", "2000", "reads")
        writer = self.act("went", "20", "writes")
        for actor in (reader, writer):
            self.assertEqual(actor.stdout.readline(), "ready\n")
        output = os.path.join(self.folder, "went.json")
        tracer = self.start_trace(output, "went", "--follow")
        tracer.send_signal(signal.SIGSTOP)
        writer.stdin.write("\n")
        writer.stdin.flush()
        self.assertEqual(writer.stdout.readline(), "written\n")
        self.wait_for(lambda: self.count("went") == 20)
        reader.kill()
        reader.wait(20)
        tracer.send_signal(signal.SIGCONT)
        tracer.send_signal(signal.SIGINT)
        _, error = tracer.communicate(timeout=30)
        self.assertEqual((tracer.returncode, error), (0, ""))
        with open(output, encoding="utf-8") as file:
            self.assertEqual(len(Trace(file.read()).frames(", reader")[0]), 20)

    def count(self, stream):
        done = subprocess.run([SHMFRAME, "stats", stream, "--format", "json"], env=self.env, text=True,
                              capture_output=True, timeout=30, check=True)
        return json.loads(done.stdout)["streams"][0]["readers"][0]["counters"]["delivered"]

    def test_each_frame_is_on_the_track_of_the_process_that_wrote_it(self):
        reader = self.act("passed", "10", "reads")
        pids = []
        for _ in range(2):
            writer = self.act("passed", "5", "writes")
            self.assertEqual(writer.stdout.readline(), "ready\n")
            if not pids:
                self.assertEqual(reader.stdout.readline(), "ready\n")
            writer.stdin.write("\n")
            writer.stdin.flush()
            self.assertEqual(writer.stdout.readline(), "written\n")
            pids.append(writer.pid)
            if len(pids) == 1:
                writer.stdin.close()
                writer.wait(20)
        told = json.loads(reader.stdout.readline())["flights"]
        trace = self.trace("passed", "--last", "60")
        made = {int(s["name"].split()[1]): s["pid"] for s in trace.slices
                if s["name"].startswith("produce")}
        self.assertEqual(made, {flight["sequence"]: pids[i // 5] for i, flight in enumerate(told)})

    def test_frames_that_were_not_made_are_told(self):
        pattern = self.start("pattern", "--stream", "late", "--size", "64x48", "--rate", "100",
                             "--no-sound")
        self.start("latency", "late", "--interval", "0", "--wait", "10")
        self.wait_for(lambda: self.delivered("late"))
        pattern.send_signal(signal.SIGSTOP)
        time.sleep(0.2)  # no synchronisation: it is what is measured
        pattern.send_signal(signal.SIGCONT)

        def losses():
            done = subprocess.run(
                [SHMFRAME, "events", "--stream", "late", "--type", "loss", "--format", "json"],
                env=self.env, text=True, capture_output=True, timeout=30, check=True)
            return [e for e in map(json.loads, done.stdout.splitlines())
                    if e["cause"] == "writer-late"]
        self.wait_for(losses)
        trace = Trace(self.call("late", "--last", "60").stdout)
        for loss in losses()[:1]:
            found, = [s for s in trace.instants if s["args"].get("event") == loss["id"]]
            self.assertEqual((found["pid"], found["begin_ns"], found["args"]["count"]),
                             (pattern.pid, loss["monotonic_ns"], loss["count"]))
            self.assertEqual(trace.tracks[found["tid"]][1], "late: not made")

    def start(self, *arguments):
        program = subprocess.Popen([SHMFRAME, *arguments], env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (program.kill(), program.wait(20)))
        return program

    def delivered(self, stream):
        done = subprocess.run([SHMFRAME, "ls", stream, "--format", "json"], env=self.env, text=True,
                              capture_output=True, timeout=30, check=False)
        return done.returncode == 0 and [r for r in json.loads(done.stdout)["readers"]
                                         if r["generation"]]

    def test_programs_of_several_streams_have_a_track_each(self):
        pattern = self.start("pattern", "--stream", "cam", "--size", "64x48", "--rate", "100")
        readers = {name: self.start("latency", name, "--interval", "0", "--wait", "10")
                   for name in ("cam", "cam.sound")}
        for name in readers:
            self.wait_for(lambda name=name: self.delivered(name))
        output = os.path.join(self.folder, "several.json")
        tracer = self.start_trace(output, "cam", "cam.sound", "--follow")
        for name in readers:
            before = self.count(name)
            self.wait_for(lambda name=name, before=before: self.count(name) > before + 20)
        tracer.send_signal(signal.SIGINT)
        _, error = tracer.communicate(timeout=30)
        self.assertEqual((tracer.returncode, error), (0, ""))
        with open(output, encoding="utf-8") as file:
            trace = Trace(file.read())
        self.assertEqual({pid: name.rpartition("/")[2] for pid, name in trace.processes.items()},
                         {pattern.pid: "shmframe-pattern",
                          **{r.pid: "shmframe-latency" for r in readers.values()}})
        for name, reader in readers.items():
            tracks = {tid for tid, (pid, track) in trace.tracks.items()
                      if pid == reader.pid and track.startswith(name + ":")}
            holds = [s for s in trace.slices if s["tid"] in tracks and s["name"].startswith("hold")]
            self.assertGreater(len(holds), 5)
            made = [s for s in trace.slices if s["pid"] == pattern.pid
                    and trace.tracks[s["tid"]][1].startswith(name + ": produce")]
            self.assertLessEqual({s["name"].split()[-1] for s in holds},
                                 {s["name"].split()[-1] for s in made})

    # ---- mistakes ----

    def test_mistakes_are_told_in_one_line(self):
        self.act("lonely", "1").stdout.readline()
        for arguments, code, word in ((["nowhere"], 1, "nowhere"), ([], 2, "stream"),
                                      (["s", "s"], 2, "twice"),
                                      (["s", "--last", "0"], 2, "--last"),
                                      (["lonely", "--output", "/nowhere/x"], 1, "/nowhere/x"),
                                      (["lonely", "--output", "/dev/full"], 1, "cannot be written")):
            done = self.call(*arguments)
            self.assertEqual(done.returncode, code, arguments)
            self.assertIn(word, done.stderr)
            if code == 2:
                self.assertEqual(done.stdout, "")

    def test_a_file_is_left_as_it_is_if_there_is_nothing_to_write(self):
        path = os.path.join(self.folder, "good.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write("good")
        self.assertEqual(self.call("nowhere", "--output", path).returncode, 1)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "good")

    def test_a_file_that_could_not_be_written_whole_is_removed(self):
        self.act("cut").stdout.readline()
        path = os.path.join(self.folder, "cut.json")
        done = subprocess.run(["prlimit", "--fsize=4096", SHMFRAME, "trace", "cut", "--last", "60",
                               "--output", path],
                              env=self.env, text=True, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("cannot be written", done.stderr)
        self.assertFalse(os.path.exists(path))

    def test_a_stream_that_nobody_read_is_an_empty_trace_and_told(self):
        self.act("idle", "1").stdout.readline()
        done = self.call("idle")
        self.assertEqual(done.returncode, 0)
        self.assertIn("no reader of idle took a frame", done.stderr)
        self.assertEqual(Trace(done.stdout).slices, [])


class Checker(unittest.TestCase):
    """The checker finds what is wrong with a trace."""

    GOOD = [
        {"ph": "M", "name": "process_name", "pid": 1, "tid": 1, "args": {"name": "p"}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 7, "args": {"name": "a"}},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 8, "args": {"name": "b"}},
        {"ph": "X", "name": "produce", "pid": 1, "tid": 7, "ts": 1, "dur": 2},
        {"ph": "s", "name": "f", "pid": 1, "tid": 7, "ts": 1, "id": 1, "bp": "e"},
        {"ph": "B", "name": "hold", "pid": 1, "tid": 8, "ts": 4},
        {"ph": "t", "name": "f", "pid": 1, "tid": 8, "ts": 4, "id": 1, "bp": "e"},
        {"ph": "f", "name": "f", "pid": 1, "tid": 8, "ts": 6, "id": 1, "bp": "e"},
        {"ph": "E", "name": "hold", "pid": 1, "tid": 8, "ts": 6},
    ]

    def check(self, change):
        events = copy.deepcopy(self.GOOD)
        change(events)
        Trace(json.dumps({"traceEvents": events, "otherData": {}}))

    def test_good_is_good(self):
        self.check(lambda events: None)

    def test_each_kind_of_damage_is_found(self):
        another = {"ph": "X", "name": "produce", "pid": 1, "tid": 7, "ts": 2, "dur": 2}
        for what, change in {
                "a flow without an end": lambda e: e.pop(7),
                "a flow without a start": lambda e: e.pop(4),
                "a flow that starts twice": lambda e: e.insert(5, e[4]),
                "a flow bound to nothing": lambda e: e[7].update(ts=9),
                "a flow that goes back": lambda e: (e[4].update(ts=3), e[6].update(ts=2)),
                "a slice without an end": lambda e: e.pop(),
                "an end without a slice": lambda e: e.pop(5),
                "back in time": lambda e: e[8].update(ts=3),
                "overlap": lambda e: e.insert(5, another),
                "no such track": lambda e: e.pop(1),
                "no such process": lambda e: e.pop(0),
                "finer than a nanosecond": lambda e: e[3].update(dur="1.0001")}.items():
            with self.assertRaises(Broken, msg=what):
                self.check(change)


if __name__ == "__main__":
    unittest.main()
