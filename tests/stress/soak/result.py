"""What a soak has shown: a table of samples, plots, and a verdict."""

import collections
import csv
import json
import os
import shutil
import subprocess

import flat
import sample

# What may be used more at the end of the second half than at its beginning. Memory: allocators give
# back late, stacks and libraries are touched for the first time late in life, and who looks on
# remembers those that left for a minute.
ALLOWED = {"private_kib": 1024, "descriptors": 1, "mappings": 4, "threads": 0}
# libavformat keeps something of every sync point of a NUT stream until its end, about 300 bytes as malloc
# has them, and the pipe has one a picture, and one for every 64 KiB.
NUT_READER, NUT_KIB_A_SECOND = "piped/shmframe-media", 12
# In a run of minutes programs still touch pages for the first time, and map readers that they had not met.
SHORT_RUN_S, SHORT_ALLOWED = 600, {"private_kib": 2048, "mappings": 16}
TAIL_ALLOWED_NS = 5_000_000
TAILS_FROM_S = 600  # in a shorter run tails are those of what else the machine does: they are told
# Streams whose producers are never ended: how far their frames may be from the clock, and by which share.
STEADY = {"pattern": 25, "screen": 10, "microphone": 50}
DRIFT_S, DRIFT_SHARE, LAST_LOOKS = 0.5, 0.001, 5
LINES_MAX = 8  # of a plot, or it cannot be read


def running(text):
    return {node["name"]: node["pid"] for node in json.loads(text or '{"nodes":[]}')["nodes"]
            if node["state"] == "running"}


def count_running(text):
    return len(running(text))


def pids_of(text):
    return running(text)


def read_lines(path):
    """The JSON objects that a program printed; the last may have been cut off by its end."""
    objects = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("{") and line.endswith("}\n"):
                objects.append(json.loads(line))
    return objects


class Result:
    def __init__(self, soak, build, output):
        self.soak, self.build, self.output = soak, build, output
        self.faults = list(soak.faults)
        self.looks = read_lines(soak.stats.log)
        self.events = read_lines(soak.events.log)
        self.begun_ns = self.looks[0]["monotonic_ns"] if self.looks else 0
        self.rows = []
        self.write_samples()
        self.judge_processes()
        self.judge_streams()
        self.judge_tails()
        self.judge_losses()
        self.draw()

    # ---- processes ----

    def processes(self):
        """{(name, pid, start): [(seconds, values)]}"""
        found = collections.defaultdict(list)
        for now_s, who, values in self.soak.samples:
            found[who].append((now_s, values))
        return found

    def write_samples(self):
        with open(os.path.join(self.output, "samples.csv"), "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["seconds", "process", "pid", *sample.FIELDS])
            for now_s, who, values in self.soak.samples:
                table.writerow([f"{now_s:.1f}", who[0], who[1], *values])

    def judge_processes(self):
        long_s = self.soak.options.seconds * 0.4  # of who lived shorter, nothing can be said
        for who, points in sorted(self.processes().items()):
            lived_s = points[-1][0] - points[0][0]
            if lived_s < long_s:
                continue
            row = {"process": who[0], "pid": who[1], "lived_s": lived_s,
                   "cpu_percent": 100 * (points[-1][1][-1] - points[0][1][-1]) / lived_s}
            for i, field in enumerate(sample.FIELDS[:-1]):
                series = [(now_s, values[i]) for now_s, values in points]
                row[field] = series[-1][1]
                if field not in ALLOWED:
                    continue
                grown = flat.growth(series)
                row[f"{field} grown"] = grown
                if grown > self.allowed(field, who[0], lived_s):
                    self.faults.append(f"{who[0]} ({who[1]}): {field} grew by {grown} in the second half: "
                                       f"{flat.floors(series)}")
            self.rows.append(row)

    def allowed(self, field, name, lived_s):
        """How far a value may have grown in the second half."""
        is_short = self.soak.options.seconds < SHORT_RUN_S
        most = SHORT_ALLOWED.get(field, ALLOWED[field]) if is_short else ALLOWED[field]
        is_nut = name == NUT_READER and field == "private_kib"
        return most + (NUT_KIB_A_SECOND * lived_s / 2 if is_nut else 0)

    # ---- streams ----

    def seconds(self, look):
        return (look["monotonic_ns"] - self.begun_ns) / 1e9

    def streams(self, name):
        """[(seconds, STREAM)]"""
        return [(self.seconds(look), each["stream"]) for look in self.looks for each in look["streams"]
                if each["stream"]["name"] == name]

    def drift(self, name):
        """[(seconds, seconds that the stream is ahead of the clock)]"""
        points = self.streams(name)
        if not points:
            return []
        begun_s = points[0][0]

        def due(stream):
            """Frames that came, or are told as not made in time."""
            return stream["head"] + stream["counters"]["late"] + stream["counters"]["device_dropped"]

        return [(now_s, (due(stream) - due(points[0][1])) / STEADY[name] - (now_s - begun_s))
                for now_s, stream in points]

    def judge_streams(self):
        if len(self.looks) < 8:
            self.faults.append(f"shmframe stats told {len(self.looks)} lines only:{self.soak.stats.said()}")
        for name in STEADY:
            # Who waits for a processor as it is looked at is late for once; who strayed stays so.
            ahead_s = min((ahead_s for _, ahead_s in self.drift(name)[-LAST_LOOKS:]), key=abs, default=None)
            bound_s = DRIFT_S + DRIFT_SHARE * self.soak.options.seconds
            if ahead_s is None:
                self.faults.append(f"{name}: no look told of it")
            elif abs(ahead_s) > bound_s:
                self.faults.append(f"{name}: {ahead_s:+.3f} s from its clock at the end")
        for name in {each["stream"]["name"] for look in self.looks for each in look["streams"]}:
            grown = flat.growth([(now_s, stream["slots"]) for now_s, stream in self.streams(name)])
            if grown > 1:
                self.faults.append(f"{name}: {grown} slots more")

    # ---- readers ----

    def readers(self):
        """{(stream, reader's name, pid): [(seconds, READER)]}"""
        found = collections.defaultdict(list)
        for look in self.looks:
            for each in look["streams"]:
                for reader in each["readers"]:
                    if reader["is_measured"]:
                        found[each["stream"]["name"], reader["name"], reader["pid"]].append(
                            (self.seconds(look), reader))
        return found

    def tails(self, points):
        """p99 of transit in each interval that had frames."""
        hops = [(now_s, (reader.get("span") or {}).get("hops", {}).get("transit")) for now_s, reader in points]
        return [(now_s, hop["p99_ns"]) for now_s, hop in hops if hop and hop["count"]]

    def judge_tails(self):
        if self.soak.options.seconds < TAILS_FROM_S:
            return
        for who, points in self.readers().items():
            grown = flat.growth(self.tails(points))
            if grown > TAIL_ALLOWED_NS:
                self.faults.append(f"{who}: the 99th percentile of transit grew by {grown / 1e6:.1f} ms")

    def judge_losses(self):
        """Who lost frames was told of, with a cause, and all of them."""
        told = collections.Counter()
        self.causes = collections.Counter()
        for event in self.events:
            if event.get("type") == "loss":
                self.causes[event["cause"]] += event["count"]
                told[event["stream"], event["pid"]] += event["count"]
        if self.causes["none"]:
            self.faults.append(f"{self.causes['none']} frames were lost without a cause")
        counted = collections.Counter()
        for (stream, _, pid), points in self.readers().items():
            if points[-1][0] >= self.seconds(self.looks[-1]) - 1:
                counted[stream, pid] += points[-1][1]["counters"]["lost_late"] + \
                    points[-1][1]["counters"]["lost_restart"]
        for who, count in counted.items():
            if told[who] != count:
                self.faults.append(f"{who}: lost {count} frames, the journal tells of {told[who]}")

    # ---- plots ----

    def plot(self, name, title, unit, series):
        """`series`: {name: [(seconds, value)]}, of which those that end highest are drawn."""
        chosen = sorted((item for item in series.items() if item[1]), key=lambda item: -item[1][-1][1])
        spec = {"title": title, "description": title, "width": 900, "height": 360,
                "x": {"title": "since the beginning", "unit": "seconds", "scale": "linear"},
                "y": {"title": "", "unit": unit, "scale": "linear"},
                "series": [{"kind": "line", "name": name, "points": points}
                           for name, points in chosen[:LINES_MAX]]}
        if not spec["series"]:
            return
        with open(os.path.join(self.output, name), "w", encoding="utf-8") as file:
            subprocess.run([os.path.join(self.build, "bench", "bench-plot")], input=json.dumps(spec), text=True,
                           stdout=file, check=True, timeout=60)

    def draw(self):
        def field(number, scale):
            return {f"{who[0]} {who[1]}": [(now_s, values[number] * scale) for now_s, values in points]
                    for who, points in self.processes().items() if len(points) > 8}

        self.plot("memory.svg", "private memory", "bytes", field(1, 1024))
        self.plot("descriptors.svg", "descriptors", "number", field(2, 1))
        self.plot("mappings.svg", "mappings", "number", field(3, 1))
        self.plot("transit.svg", "transit, 99th percentile", "ns",
                  {f"{who[0]} to {who[1]}": self.tails(points) for who, points in self.readers().items()
                   if len(points) > 8})
        self.plot("drift.svg", "ahead of the clock", "seconds", {name: self.drift(name) for name in STEADY})

    # ---- in words ----

    def tell(self):
        print(f"{'process':32} {'pid':>8} {'lived':>7} {'CPU':>6} {'private':>10} {'grown':>7} {'fds':>4} "
              f"{'grown':>5} {'maps':>5} {'grown':>5} {'threads':>7}")
        for row in self.rows:
            print(f"{row['process']:32} {row['pid']:8} {row['lived_s']:5.0f} s {row['cpu_percent']:5.1f}% "
                  f"{row['private_kib']:6} KiB {row['private_kib grown']:7} {row['descriptors']:4} "
                  f"{row['descriptors grown']:5} {row['mappings']:5} {row['mappings grown']:5} {row['threads']:7}")
        cpu_s = sum(points[-1][1][-1] for points in self.processes().values())
        print(f"{cpu_s:.0f} s of processor time in all, {cpu_s / self.soak.options.seconds:.2f} processors")
        print("done to them:", ", ".join(f"{what} {count}" for what, count in sorted(self.soak.done.items())))
        print("lost, by cause:", ", ".join(f"{cause} {count}" for cause, count in sorted(self.causes.items())) or "nothing")
        for name in STEADY:
            points = self.drift(name)
            if points:
                print(f"{name}: {points[-1][1] * 1000:+.1f} ms from the clock after {points[-1][0]:.0f} s")
        for (stream, name, pid), points in sorted(self.readers().items()):
            tails = [value for _, value in self.tails(points)]
            third = len(tails) // 3
            if third >= 3:
                first, last = sorted(tails[:third])[third // 2], sorted(tails[-third:])[third // 2]
                print(f"transit of {stream} to {name} {pid}: p99 {first / 1e3:.0f} us in the first third, "
                      f"{last / 1e3:.0f} us in the last")
        for fault in self.faults:
            print(f"FAULT: {fault}")
        print("flat" if not self.faults else f"{len(self.faults)} faults", flush=True)

    def tell_logs(self, folder):
        """The last that each node said."""
        for name in sorted(os.listdir(folder)):
            if name.endswith(".log"):
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    lines = [line for line in file if not line.startswith("{")][-4:]
                if lines:
                    print(f"--- {name}\n{''.join(lines)}", end="")

    def keep_logs(self, folders):
        """Beside the plots: what it said, and what was told of it."""
        for folder in folders:
            for name in os.listdir(folder):
                if name.endswith(".log"):
                    shutil.copy(os.path.join(folder, name), self.output)
