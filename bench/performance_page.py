"""docs/performance.md and its plots, made of what bench/performance has measured. The text around the
tables stands in performance_page.txt."""

import json
import os
import re
import string
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUSY = 0.05  # of all processors: more than this by others, and figures are not to be trusted
KILO = 1000
PLOTS = {"latency": "latency over size", "percentiles": "percentile curves",
         "throughput": "messages a second", "memory": "memory over consumers"}


# ---- words ----


def scaled(value, steps):
    """In the largest unit of which there is at least one."""
    unit, size = next(((unit, size) for unit, size in steps if value >= size), steps[-1])
    number = value / size
    return f"{number:.0f} {unit}" if number >= 99.95 else f"{number:.2g} {unit}" if number < 9.95 \
        else f"{number:.1f} {unit}".replace(".0 ", " ")


def duration(value_ns):
    return scaled(value_ns, [("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1)])


def size(value_bytes):
    return scaled(value_bytes, [("GB", KILO**3), ("MB", KILO**2), ("kB", KILO), ("B", 1)])


def rate(value):
    return f"{value:,.0f}/s" if value >= 100 else f"{value:.1f}/s"


def spread(figure, tell, turn=lambda value: value):
    """median (least to most)"""
    ends = sorted(turn(figure[end]) for end in ("least", "most"))
    return f"{tell(turn(figure['median']))} ({tell(ends[0])} to {tell(ends[1])})"


def percent(value):
    return f"{100 * value:.1f} %"


def calls(road):
    if not road["calls"]:
        return "not counted"
    writer, reader = road["calls"]["writer"], road["calls"]["reader"]
    return f"{writer:.2f} and {reader:.2f}"


def copied(road, cell):
    """Bytes of a message that were copied; of libraries, as their nature is."""
    if road["copied_bytes"] is not None:
        return road["copied_bytes"]
    return road["copies"] * cell["bytes"]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


# ---- what was measured ----


class Results:
    def __init__(self, results):
        self.whole = results
        self.parts = results["parts"]

    def cells(self, part):
        return self.parts[part]["cells"]

    def cell(self, part, **wanted):
        return next((cell for cell in self.cells(part)
                     if all(cell[name] == value for name, value in wanted.items())), None)

    @staticmethod
    def ran(cell, floors=False):
        """Those of its roads that were run there."""
        return [road for road in cell["floors" if floors else "roads"] if "not_run" not in road]

    def road(self, cell, name):
        both = cell["roads"] + cell["floors"] if cell else []
        return next((road for road in both if road["road"] == name and "not_run" not in road), None)

    def titles(self):
        """Of all roads, in their order."""
        return {road["road"]: road["title"] for part in ("sizes", "rates", "cross", "memory")
                for cell in self.cells(part) for road in cell["roads"]}


# ---- the parts of the page ----


def tell_machine(results):
    machine = results.whole["machine"]
    futex = [results.road(cell, "floor-futex") for cell in results.cells("minute_paced")][0]
    lines = [results.road(cell, "floor-line") for cell in results.cells("minute_saturated")]
    huge = max(results.cells("sizes"), key=lambda cell: cell["bytes"])
    rows = [["processors", f"{machine['processors']} x {machine['processor']}"],
            ["memory", size(machine["memory_bytes"])], ["kernel", f"Linux {machine['kernel']}"],
            ["measured", machine["day"]],
            ["floor: a raw futex wake, p50, p99",
             f"{duration(futex['latency']['p50_ns'])}, {duration(futex['latency']['p99_ns'])}"]]
    if lines and lines[0]:
        rows.append(["floor: a cache line carried over, p50", duration(lines[0]["latency"]["p50_ns"])])
    speed = huge["bytes"] / huge["copy_ns"]["median"]
    rows.append([f"floor: one `memcpy()` of {huge['size']}",
                 f"{duration(huge['copy_ns']['median'])}, {speed:.1f} GB/s"])
    return table(["what", "here"], rows)


def find_doubt(results):
    """Why the figures are not to be trusted; nothing if they are."""
    told = [part["machine"] for part in results.parts.values()]
    if results.whole["is_short"]:
        return ("> **No figure below means anything: made by `--short`, which measures just enough "
                "to see that the command works.** `bench/performance` on a quiet machine makes this page.\n\n")
    if max(part[name] for part in told for name in ("others", "stolen")) > BUSY:
        return ("> **The machine was busy with other things: figures below are too slow, and roads cannot be "
                "told apart by them.** `bench/performance` on a quiet machine makes this page anew.\n\n")
    return ""


def tell_doubt(results):
    return find_doubt(results)


def tell_busy(results):
    told = [part["machine"] for part in results.parts.values()]
    others, stolen = (max(part[name] for part in told) for name in ("others", "stolen"))
    return (f"While it was measured, other programs took at most {percent(others)} of "
            f"the processors in any part, the hypervisor {percent(stolen)}; the load was at most "
            f"{max(part['load'] for part in told):.1f}.{note_disturbed(results)}")


def note_disturbed(results):
    """Runs are repeated where others disturb them, up to a bound."""
    runs = [(cell["cell"], road) for part in results.parts.values() for cell in part.get("cells", [])
            for road in results.ran(cell) if "others_share" in road]
    disturbed = [f"{road['title']} with {cell} ({percent(road['others_share']['most'])})" for cell, road in runs
                 if road["others_share"]["most"] > BUSY]
    waited = max(runs, key=lambda run: run[1]["waited_share"]["median"], default=None)
    if not waited:
        return ""
    few = f": {', '.join(disturbed[:5])}{' and others' if len(disturbed) > 5 else ''}" if disturbed else ""
    return (f" {len(disturbed)} of {len(runs)} results have a run in which others took more than {percent(BUSY)} of the "
            f"processors, repeated as it was{few}; aims that rest on them are not judged. Longest waited the processes of "
            f"{waited[1]['title']} with {waited[0]}: {percent(waited[1]['waited_share']['median'])} of the time, "
            f"which is their own doing where they share a processor.")


def tell_roads(results):
    rows = []
    cell = results.cells("huge")[0]
    of_cell = {road["road"]: road for road in cell["roads"]}
    for name, how in results.parts["sizes"]["how"].items():
        if name in of_cell and not name.startswith("floor"):
            road = of_cell[name]
            copies = "-" if "not_run" in road else f"{road['copies']}"
            rows.append([road["title"], how, copies])
    return table(["road", "how it is used", "copies, four readers"], rows)


def tell_failures(results):
    """Of roads that were left out where they failed; everything else stands."""
    told = [f"* {road['title']}, {cell['cell']}: {road['not_run']}"
            for part in results.parts.values() for cell in part.get("cells", [])
            for road in cell["roads"] if road.get("not_run", "").startswith("failed: ")]
    return "Left out where they failed:\n\n" + "\n".join(told) + "\n\n" if told else ""


class Pair:
    """A row of table 1: what was expected and measured, of a named pipe and of shared memory."""

    def __init__(self, results, part):
        cell = results.cells(part)[0]
        self.fifo, self.ring = (results.road(cell, name) for name in ("fifo", "ring"))
        self.fifos, self.rings = (results.road(cell, name + "-batched") for name in ("fifo", "ring"))

    @staticmethod
    def row(what, expected, tell, sides):
        told = [tell(side) if side else "not run" for side in sides]
        return [what, expected[0], told[0], expected[1], told[1]]


def per_second(road):
    return spread(road["message_ns"], rate, lambda value: 1e9 / value)


def tell_minute(results):
    paced, full = Pair(results, "minute_paced"), Pair(results, "minute_saturated")
    one, many = (full.fifo, full.ring), (full.fifos, full.rings)
    at_pace = (paced.fifo, paced.ring)
    cell = results.cells("minute_paced")[0]
    row = Pair.row
    rows = [row("throughput, one at a time", ("1,800/s", "50,000/s"), per_second, one),
            row("throughput, batched", ("", "100,000/s and more"), per_second, many)]
    for level, pipe, own in (("p50", "0.54 ms", "0.05 ms"), ("p95", "1.2 ms", "0.1 ms"),
                             ("p99", "2.8 ms", "0.5 ms")):
        rows.append(row(f"latency at 1,000/s, {level}", (pipe, own),
                        lambda road, key=level + "_ns": duration(road["latency"][key]), at_pace))
    for side in ("writer", "reader"):
        rows.append(row(f"processor at 1,000/s, {side}", ("8 %", "below 3 %"),
                        lambda road, key=side + "_processor_share": percent(road[key]["median"]),
                        at_pace))
    if all("waited_share" in side for side in at_pace if side):
        rows.append(row("waiting for a processor at 1,000/s, worst side", ("", ""),
                        lambda road: percent(road["waited_share"]["median"]), at_pace))
    rows += [row("memory of all processes", ("5 MB per pipe", "below 10 MB per segment"),
                 lambda road: size(road["memory_bytes"] + road["kernel_bytes"]), at_pace),
             row("system calls a message at 1,000/s, writer and reader", ("2", ""), calls, at_pace),
             row("the same, one after the other", ("2", ""), calls, one),
             row("the same, batched", ("", "0 to 1 a batch"), calls, many),
             row("copies of a message, bytes with its parcel", ("2", "0"),
                 lambda road: f"{road['copies']}, {size(copied(road, cell))}", at_pace),
             row("lost", ("", ""), lambda road: f"{road['lost']}", one)]
    return table(["128-byte messages", "named pipe: expected", "measured", "shared memory: expected",
                  "measured"], rows)


def tell_minute_why(results):
    paced, full = Pair(results, "minute_paced"), Pair(results, "minute_saturated")
    if not (paced.fifo and paced.ring and full.fifo):
        return "One of the two was not run."
    floor = results.road(results.cells("minute_paced")[0], "floor-futex")["latency"]["p50_ns"]
    p50 = {name: road["latency"]["p50_ns"] for name, road in (("fifo", paced.fifo), ("ring", paced.ring))}
    waiting = full.fifo["latency"]["p50_ns"] / full.fifo["message_ns"]["median"]
    gathered = (f": with one message after the other about {waiting:,.0f} were on their way in it at once "
                f"(latency over the time of a message), the reader did not sleep, and took many with each "
                f"call") if waiting >= 2 else ""
    return (f"* Throughput: 1,800/s is one message each 0.56 ms, which is the latency that was expected "
            f"(0.54 ms): a writer that sends the next message when the one before has arrived. With "
            f"the latencies measured at 1,000/s that would be {rate(1e9 / p50['fifo'])} for the named pipe, and "
            f"{rate(1e9 / p50['ring'])} for shared memory. But a pipe makes no writer wait until it is full"
            f"{gathered}.\n"
            f"* Latency: at 1,000/s both wait for a sleeping process to be woken, which takes "
            f"{duration(floor)} here for a raw futex. The named pipe takes {p50['fifo'] / floor:.2f} x that, "
            f"shared memory {p50['ring'] / floor:.2f} x. 128 bytes are copied in far less: the copies of a "
            f"pipe begin to matter with the size of the payload, see below.")


def tell_huge(results):
    cell = results.cells("huge")[0]
    rows = []
    for road in results.ran(cell):
        expected = {"ring": "about 100 MB", "unix": "about 900 MB", "tcp": "about 900 MB"}
        rows.append([road["title"], expected.get(road["road"], ""), size(road["memory_bytes"]),
                     size(road["kernel_bytes"]), size(copied(road, cell)),
                     duration(road["latency"]["p50_ns"]), duration(road["latency"]["max_ns"])])
    return table(["one payload of " + cell["size"] + " to four readers", "expected", "memory of all processes",
                  "in the kernel, at most", "copied", "latency p50", "max"], rows)


def tell_huge_why(results):
    cell = results.cells("huge")[0]
    socket, ring = results.road(cell, "unix"), results.road(cell, "ring")
    lines = []
    if socket:
        traffic = copied(socket, cell) + cell["bytes"]
        lines.append(f"* Copied everywhere, a payload is written once, goes into the kernel four times and comes "
                     f"out four times: {size(traffic)} written and copied, as expected. Not all of it is "
                     f"there at once: the writer and each reader have one payload each, "
                     f"{size(socket['memory_bytes'])} in all, and a socket's buffer is far smaller.")
    if ring:
        lines.append(f"* Shared memory: nothing is copied, and all readers read the same payload. The ring has three "
                     f"places, however many lossless readers there are: of the newest payload, of the one that is "
                     f"written meanwhile, and one that is ready before the first reader comes, whatever it asks for. "
                     f"They are {size(3 * cell['bytes'])}, the other {size(ring['memory_bytes'] - 3 * cell['bytes'])} "
                     f"the processes and the supervisor. One place alone would take {size(cell['bytes'])}: the writer "
                     f"could begin the next payload only when the last reader is done.")
    return "\n".join(lines)


def tell_sizes(results):
    sizes = results.cells("sizes")
    rows = []
    for name, title in results.titles().items():
        found = [results.road(cell, name) for cell in sizes]
        if any(found):
            rows.append([title] + [duration(road["latency"]["p50_ns"]) if road else "-" for road in found])
    floor = [results.road(cell, "floor-futex") for cell in sizes]
    rows.append(["floor: futex wake"] + [duration(road["latency"]["p50_ns"]) for road in floor])
    return table(["p50"] + [cell["size"] for cell in sizes], rows)


def tell_sizes_why(results):
    sizes = results.cells("sizes")
    told = []
    for name, words in (("ring", "shared memory"), ("fifo", "a named pipe")):
        found = [road["latency"]["p50_ns"] for cell in sizes if (road := results.road(cell, name))]
        if found:
            told.append(f"the p50 of {words} lies between {duration(min(found))} and {duration(max(found))}, "
                        f"the greatest {max(found) / min(found):.3g} x the least")
    return f"From {sizes[0]['size']} to {sizes[-1]['size']} {'; '.join(told)}."


def find_road(results, what, is_ours=True):
    """Of the cell that an aim names at its end: the cell, and of the ring's or of its rival's figures."""
    cell = next((cell for part in ("cross", "minute_saturated", "minute_paced", "sizes", "huge", "rates", "memory")
                 for cell in results.cells(part) if what.endswith(": " + cell["cell"])), None)
    if not cell:
        return None, None
    name = re.search(r"\((.*)\)", what.split(": ")[0])
    ran = results.ran(cell)
    named = [road for road in ran if name and road["title"] == name[1]]
    if named and named[0]["road"].startswith("ring") == is_ours:
        return cell, named[0]
    ours = [road for road in ran if road["road"].startswith("ring")]
    if "spinning" in what:
        ours = [road for road in ours if road["road"] == "ring-spinning"]
    elif not what.startswith("time"):
        ours = [road for road in ours if road["road"] == "ring"]
    elif "batched" in what:
        ours = [road for road in ours if road["road"] == "ring-batched"]
    return cell, min(ours, key=lambda road: road["message_ns"]["median"], default=None)


def explain_work(road):
    """Processor time a message."""
    return (f"{duration(road['writer_processor_ns']['median'])} and "
            f"{duration(road['reader_processor_ns']['median'])}")


def explain_waited(road):
    waited = road.get("waited_share")
    return f", {percent(waited['median'])} of the time one of its processes waited for a processor" if waited else ""


def explain_crowd(results, cell):
    readers, left = cell["readers"], results.whole["machine"]["processors"] - 1
    return f"; {readers} readers on {left} processor{'s' if left > 1 else ''} wait for each other" if readers > left else ""


def explain_clock(results, _):
    clocks = [calls["clock read"]["ns"] for calls in results.parts["calls"]["calls"]]
    return f"two clock reads, its stamps, are {duration(2 * min(clocks))} of it"


def explain_above_floor(results, what, key="p50_ns"):
    cell, road = find_road(results, what)
    floor = results.road(cell, "floor-line" if what.startswith("spinning") else "floor-futex")
    if not road or not floor:
        return ""
    more = road["latency"][key] - floor["latency"][key]
    if more <= 0:
        return f"not over all its messages: {duration(road['latency'][key])}, the floor {duration(floor['latency'][key])}"
    return (f"{duration(more)} above the floor; processor time a message, writer and reader: {explain_work(road)}, "
            f"the floor's {explain_work(floor)}{explain_waited(road)}{explain_crowd(results, cell)}")


def explain_beside_rival(results, what):
    cell, own = find_road(results, what)
    _, rival = find_road(results, what, is_ours=False)
    if not own or not rival:
        return ""
    return (f"processor time a message, writer and reader: {explain_work(own)}, of the other {explain_work(rival)}"
            f"{explain_waited(own)}{explain_crowd(results, cell)}")


def explain_rate(results, what):
    cell, road = find_road(results, what)
    line = results.road(cell, "floor-line")
    carried = f"; a cache line takes {duration(line['latency']['p50_ns'])} to go over" if line else ""
    return (f"processor time a message, writer and reader: {explain_work(road)}{explain_waited(road)}{carried}"
            if road else "")


def explain_between_sizes(results, what):
    cell, road = find_road(results, what)
    if not road:
        return ""
    return (f"{duration(road['p50_ns']['least'])} to {duration(road['p50_ns']['most'])} in its own repetitions"
            f"{explain_waited(road)}")


# How what an aim says begins: what the figures tell of where the time goes.
LIMITS = {
    "sleeping, p50": explain_above_floor,
    "sleeping, p99": lambda results, what: explain_above_floor(results, what, "p99_ns"),
    "spinning": explain_above_floor,
    "p50 to the best": explain_beside_rival,
    "p50, spinning": explain_beside_rival,
    "time of a message": explain_beside_rival,
    "messages a second": explain_rate,
    "p50 to that of": explain_between_sizes,
    "loan + publish": explain_clock,
    "acquire + release": explain_clock,
}


def find_limit(results, what):
    tell = next((tell for start, tell in LIMITS.items() if what.startswith(start)), None)
    return tell(results, what) if tell else ""


def figure(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def judge(aim):
    if aim.get("is_disturbed"):
        return "not judged: others had the processors"
    if aim["is_met"]:
        return "pass"
    best = aim["most"] if aim.get("is_at_least") else aim["least"]
    is_within = best >= aim["limit"] if aim.get("is_at_least") else best <= aim["limit"]
    return "**falls short**, within its spread" if is_within else "**falls short**"


def list_aims(results):
    """Those of the cross-section and of the calls; rates as the minute told them."""
    minute = results.parts["minute_saturated"]["aims"]
    rates = [aim for aim in minute if aim["what"].startswith("messages a second")]
    cross = [aim for aim in results.parts["cross"]["aims"]
             if not (rates and aim["what"].startswith("messages a second"))]
    return cross + rates + results.parts["calls"]["aims"]


def tell_aims(results):
    rows = []
    for aim in list_aims(results):
        unit = " ns" if aim["what"].startswith(("loan", "acquire")) else ""
        verdict = judge(aim)
        limit = find_limit(results, aim["what"]) if "falls short" in verdict else ""
        rows.append([aim["what"], f"{'at least' if aim.get('is_at_least') else 'at most'} {figure(aim['limit'])}{unit}",
                     f"{figure(aim['value'])}{unit} ({figure(aim['least'])} to {figure(aim['most'])})", verdict, limit])
    return table(["what", "aim", "measured", "verdict", "what limits it"], rows)


def count_met(aims):
    return sum(aim["is_met"] is True for aim in aims)


def count_judged(aims):
    return sum(aim["is_met"] is not None for aim in aims)


def note_unjudged(aims):
    count = len(aims) - count_judged(aims)
    return f" {count} {'was' if count == 1 else 'were'} not judged, since others had the processors." if count else ""


def tell_rivals(results):
    aims = [aim for part in ("minute_paced", "minute_saturated", "huge", "sizes", "cross", "rates", "memory")
            for aim in results.parts[part]["aims"] if "best other road" in aim["what"]]
    text = (f"Not above the best of all other roads in {count_met(aims)} of {count_judged(aims)} comparisons in the cells "
            f"that were measured for this page: with those whose readers sleep where ours sleeps at once, with those "
            f"whose readers spin where ours spins.{note_unjudged(aims)}")
    missed = [[aim["what"], f"{aim['value']:.2f} ({aim['least']:.2f} to {aim['most']:.2f})"]
              for aim in aims if aim["is_met"] is False]
    return text if not missed else f"{text} Not in these:\n\n" + table(["cell", "ratio"], missed)


def tell_copied(results):
    """What no other program's work changes."""
    huge = results.cells("huge")[0]
    socket, ring = results.road(huge, "unix"), results.road(huge, "ring")
    if not socket or not ring:
        return []
    return [[f"{huge['size']} to four readers, copied", size(copied(ring, huge)),
             size(copied(socket, huge)) + " (AF_UNIX)"]]


def tell_short(results):
    """For the README."""
    paced, full = Pair(results, "minute_paced"), Pair(results, "minute_saturated")
    aims = list_aims(results)
    huge = results.cells("huge")[0]
    socket, ring = results.road(huge, "unix"), results.road(huge, "ring")
    rows = []
    if paced.ring and paced.fifo:
        rows.append(["128 B at 1,000/s, latency p50", duration(paced.ring["latency"]["p50_ns"]),
                     duration(paced.fifo["latency"]["p50_ns"]) + " (named pipe)"])
    if full.rings and full.fifos:
        rows.append(["128 B, batched, messages a second", rate(1e9 / full.rings["message_ns"]["median"]),
                     rate(1e9 / full.fifos["message_ns"]["median"]) + " (named pipe)"])
    if socket and ring:
        rows.append([f"{huge['size']} to four readers, latency p50", duration(ring["latency"]["p50_ns"]),
                     duration(socket["latency"]["p50_ns"]) + " (AF_UNIX)"])
    return (table(["what", "shared memory", "beside it"], rows + tell_copied(results)) +
            f"\n\n{count_met(aims)} of {count_judged(aims)} aims are met.{note_unjudged(aims)}")


# ---- plots ----


def plot_latency(results):
    cells = results.cells("sizes")
    series = []
    for name, title in [*results.titles().items(), ("floor-futex", "floor: futex wake")]:
        points = [[cell["bytes"], road["latency"]["p50_ns"]] for cell in cells
                  if (road := results.road(cell, name))]
        if points:
            series.append({"kind": "line", "name": title, "points": points})
    pace = rate(1e9 / cells[0]["period_ns"])
    return {"title": f"Latency over size: p50, one reader, {pace}, untouched", "height": 520,
            "x": {"title": "payload", "unit": "bytes", "scale": "log"},
            "y": {"title": "one-way latency", "unit": "ns", "scale": "log"}, "series": series}


def list_percentiles(latency):
    """As far up as there are messages beyond."""
    return [[percent / 100, value] for percent, value in latency["curve"]
            if round(latency["count"] * (100 - percent), 3) >= 100]


def plot_percentiles(results):
    cell = results.cell("cross", bytes=128, readers=1)
    floor = results.road(cell, "floor-futex")
    series = [{"kind": "line", "name": road["title"], "points": list_percentiles(road["latency"])}
              for road in [*results.ran(cell), *([floor] if floor else [])]]
    return {"title": f"Percentiles of latency: {cell['cell']}", "height": 520,
            "x": {"title": "part of the messages", "scale": "percentile"},
            "y": {"title": "one-way latency", "unit": "ns", "scale": "log"}, "series": series}


def plot_throughput(results):
    cells = results.cells("rates")
    names = {name: title for name, title in results.titles().items()
             if any(results.road(cell, name) for cell in cells)}
    series = []
    for cell in cells:
        bars = []
        for name in names:
            road = results.road(cell, name)
            time_ns = road and road["message_ns"]
            bars.append(time_ns and [1e9 / time_ns[key] for key in ("median", "most", "least")])
        series.append({"kind": "bars", "name": cell["size"], "bars": bars})
    return {"title": "Messages a second: one reader, one after the other, nothing lost", "height": 460,
            "y": {"title": "messages a second", "unit": "rate", "scale": "log"},
            "groups": list(names.values()), "series": series}


def plot_memory(results):
    cells = results.cells("memory")
    series = []
    for name, title in results.titles().items():
        points = [[cell["readers"], road["memory_bytes"] + road["kernel_bytes"]] for cell in cells
                  if (road := results.road(cell, name))]
        if points and "-spin" not in name:  # as much as where it sleeps
            series.append({"kind": "line", "name": title, "points": points})
    return {"title": f"Memory over consumers: {cells[0]['size']}, all processes and the kernel's buffers",
            "height": 460, "x": {"title": "consumers"},
            "y": {"title": "memory", "unit": "bytes", "scale": "log"}, "series": series}


def draw(plot, path, program):
    with open(path, "wb") as file:
        done = subprocess.run([program], input=json.dumps(plot).encode(), stdout=file, check=False)
    if done.returncode != 0:
        sys.exit(f"bench/performance: {path} was not drawn; see above")


# ---- the whole ----


BEGIN, END = "<!-- made by bench/performance -->\n\n", "\n<!-- made until here -->"


def make_readme(results):
    results = Results(results)
    if not find_doubt(results):
        return tell_short(results) + "\n"
    return (table(["what", "shared memory", "beside it"], tell_copied(results)) +
            "\n\nHere are no times: those that were measured last do not compare, and their page begins with the reason.\n")


def update_readme(results, path):
    """Puts the few figures that matter between its two marks."""
    with open(path, encoding="utf-8") as file:
        before, mark, rest = file.read().partition(BEGIN)
    if not mark:
        sys.exit(f"bench/performance: {path}: a line {BEGIN.strip()} should stand where figures go")
    _, mark, after = rest.partition(END)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + make_readme(results) + END + after)


def make(results):
    results = Results(results)
    with open(os.path.join(HERE, "performance_page.txt"), encoding="utf-8") as file:
        page = string.Template(file.read())
    makers = {name.removeprefix("tell_"): maker for name, maker in globals().items()
              if name.startswith("tell_")}
    plots = {"plot_" + name: f"![{title}](performance/{name}.svg)" for name, title in PLOTS.items()}
    return page.substitute({name: maker(results) for name, maker in makers.items()}, **plots,
                           seconds=f"{results.whole['seconds']:g}")


def write(results, folder, program):
    page = make(results)
    for name in PLOTS:
        plot = globals()["plot_" + name](Results(results))
        draw(plot, os.path.join(folder, "performance", name + ".svg"), program)
    with open(os.path.join(folder, "performance.md"), "w", encoding="utf-8") as file:
        file.write(page)
