"""docs/performance.md is what bench/performance makes of what it measured; and it measures."""

import contextlib
import copy
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

TOP, BUILD, PLOT = (os.environ[name] for name in ("TOP", "BUILD", "BENCH_PLOT"))
COMMAND = os.path.join(TOP, "bench/performance")
DOCS = os.path.join(TOP, "docs")
PLOTS = ["latency", "percentiles", "throughput", "memory"]

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "bench"))
import performance_page  # noqa: E402


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def call(*arguments):
    return subprocess.run([COMMAND, "--build", BUILD, *arguments], text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=500, check=False)


def draw(plot):
    text = plot if isinstance(plot, str) else json.dumps(plot)
    return subprocess.run([PLOT], input=text, text=True, capture_output=True, timeout=30, check=False)


class Case(unittest.TestCase):
    def setUp(self):
        self.results = json.loads(read(os.path.join(DOCS, "performance/results.json")))
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="shmframe-test."))

    def make_from(self, results, *arguments):
        source = os.path.join(self.folder, "results.json")
        with open(source, "w", encoding="utf-8") as file:
            json.dump(results, file)
        done = call("--from", source, "--output", self.folder, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done, read(os.path.join(self.folder, "performance.md"))

    def check_page(self, page):
        """Each row has a cell for each column; each picture is there, and is one."""
        self.assertEqual(re.findall(r"\$\w+|\bnan\b|None", page), [])
        columns = 0
        for line in page.splitlines():
            if not line.startswith("|"):
                columns = 0
                continue
            columns = columns or line.count("|")
            self.assertEqual(line.count("|"), columns, line)
        self.assertEqual(sorted(re.findall(r"\(performance/(\w+)\.svg\)", page)), sorted(PLOTS))
        for name in PLOTS:
            picture = xml.etree.ElementTree.parse(os.path.join(self.folder, f"performance/{name}.svg"))
            self.assertEqual(picture.getroot().tag, "{http://www.w3.org/2000/svg}svg")


class Page(Case):
    def test_it_is_what_the_command_makes_of_its_results(self):
        done, page = self.make_from(self.results)
        self.assertNotIn("part", done.stderr)
        self.check_page(page)
        self.assertEqual(page, read(os.path.join(DOCS, "performance.md")))
        for name in PLOTS:
            self.assertEqual(read(os.path.join(self.folder, f"performance/{name}.svg")),
                             read(os.path.join(DOCS, f"performance/{name}.svg")), name)

    def test_the_readme_has_its_figures(self):
        told = performance_page.make_readme(self.results)
        self.assertIn(performance_page.BEGIN + told + performance_page.END,
                      read(os.path.join(TOP, "README.md")))

    def test_the_readme_has_no_times_of_a_busy_machine(self):
        for others, is_short, has_times in ((0.01, False, True), (0.2, False, False), (0.01, True, False)):
            for part in self.results["parts"].values():
                part["machine"] = {"others": others, "stolen": 0.0, "load": 1.0}
            told = performance_page.make_readme({**self.results, "is_short": is_short})
            self.assertIn("copied", told)
            self.assertEqual(bool(re.search(r"latency|\d/s|aims are met", told)), has_times, told)
            self.assertNotEqual("Here are no times" in told, has_times, told)

    def test_a_busy_machine_is_said_to_have_been_busy(self):
        for part in self.results["parts"].values():
            part["machine"] = {"others": 0.01, "stolen": 0.0, "load": 1.0}
        quiet = performance_page.make({**self.results, "is_short": False})
        self.assertNotIn("busy with other things", quiet)
        self.assertNotIn("> **", quiet)
        for name in ("others", "stolen"):
            busy = copy.deepcopy({**self.results, "is_short": False})
            busy["parts"]["sizes"]["machine"][name] = 0.2
            self.check_warning(performance_page.make(busy), "> **The machine was busy", name)

    def test_a_short_run_is_said_to_be_one(self):
        page = performance_page.make({**self.results, "is_short": True})
        self.check_warning(page, "> **No figure below means anything: made by `--short`")

    def check_warning(self, page, words, case=None):
        """First of all, right below the title."""
        self.assertTrue(page.split("\n", 2)[2].startswith(words), (page[:300], case))

    def test_an_aim_that_falls_short_says_so_and_what_limits_it(self):
        aims = performance_page.list_aims(performance_page.Results(self.results))
        self.assertGreater(len(aims), 8)
        for aim in aims:
            # Far from what was aimed at, whichever way.
            least = aim.get("is_at_least")
            far = {"value": aim["limit"] * (0.1 if least else 10), "is_met": False}
            aim.update(far, least=far["value"], most=far["value"])
        rows = re.findall(r"^\|.*$", performance_page.tell_aims(performance_page.Results(self.results)),
                          flags=re.M)[2:]
        self.assertEqual(len(rows), len(aims))
        for row in rows:
            self.assertRegex(row, r"\| \*\*falls short\*\* \| \w[^|]+ \|$")

    def test_what_limits_an_aim_is_what_the_figures_tell(self):
        results = performance_page.Results(self.results)
        what = "sleeping, p99 to that of a raw futex wake: " + results.cells("cross")[0]["cell"]
        cell, ring = performance_page.find_road(results, what)
        futex = results.road(cell, "floor-futex")
        futex["latency"]["p99_ns"], ring["latency"]["p99_ns"] = 20000, 50000
        ring["writer_processor_ns"]["median"], ring["waited_share"] = 7000, {"median": 0.25}
        self.assertRegex(performance_page.find_limit(results, what),
                         r"^30 us above the floor; .*: 7 us and .*25\.0 % of the time .* waited")
        ring["latency"]["p99_ns"] = 15000
        self.assertIn("15 us, the floor 20 us", performance_page.find_limit(results, what))

    def test_what_others_disturbed_is_told_and_not_judged(self):
        for part in self.results["parts"].values():
            for cell in part.get("cells", []):
                for road in performance_page.Results.ran(cell):
                    road["others_share"] = {"least": 0.0, "median": 0.0, "most": 0.0}
                    road["waited_share"] = {"least": 0.0, "median": 0.0, "most": 0.0}
        road["others_share"]["most"] = 0.5
        aims = self.results["parts"]["cross"]["aims"]
        aims[0].update(is_met=None, is_disturbed=True)
        page = performance_page.make(self.results)
        self.assertIn(f"{road['title']} with {cell['cell']} (50.0 %)", page)
        self.assertIn(" 1 was not judged, since others had the processors.", page)
        self.assertEqual(len(re.findall(r"\| not judged: others had the processors \|  \|$", page, flags=re.M)), 1)
        self.assertIn("| waiting for a processor at 1,000/s, worst side |", page)

    def test_percentiles_are_drawn_as_far_as_messages_tell_them(self):
        curve = [[50, 1], [90, 2], [99, 3], [99.9, 4], [100, 5]]
        self.assertEqual([len(performance_page.list_percentiles({"count": count, "curve": curve}))
                          for count in (9, 10, 100, 999, 1000)], [1, 2, 3, 3, 4])

    def test_numbers_are_told_with_their_units(self):
        self.assertEqual([performance_page.duration(value) for value in
                          (23, 999, 12345, 540000, 1.2e6, 250e6, 1.5e9)],
                         ["23 ns", "999 ns", "12.3 us", "540 us", "1.2 ms", "250 ms", "1.5 s"])
        self.assertEqual([performance_page.size(value) for value in (0, 304, 5e6, 900e6)],
                         ["0 B", "304 B", "5 MB", "900 MB"])


class Command(Case):
    def test_what_results_lack_is_measured(self):
        for name in ("minute_saturated", "calls"):
            del self.results["parts"][name]
        self.results["is_short"] = True
        done, page = self.make_from(self.results, "--short")
        self.assertEqual(re.findall(r"of 8: (\w+)", done.stderr), ["minute_saturated", "calls"])
        self.check_page(page)
        self.assertIn("made by `--short`", page)
        measured = json.loads(read(os.path.join(self.folder, "performance/results.json")))["parts"]
        roads = measured["minute_saturated"]["cells"][0]["roads"]
        self.assertEqual([road["road"] for road in roads],
                         ["ring", "fifo", "ring-batched", "fifo-batched"])
        self.assertTrue(all(road["sent"] > 0 and road["lost"] == 0 for road in roads))
        self.assertEqual(len(measured["calls"]["calls"]), 4)
        self.assertEqual(measured["sizes"], self.results["parts"]["sizes"])

    def test_mistakes_are_told(self):
        for arguments, code, words in (
                (["--short"], 2, "--output"), (["--seconds", "0"], 2, "--seconds"),
                (["--output", self.folder, "--from", "/nowhere"], 1, "/nowhere"),
                (["--output", "/proc/nowhere", "--short"], 1, "choose another --output"),
                (["--output", self.folder, "--short", "--road", "nonsense"], 2, "nonsense")):
            done = call(*arguments)
            self.assertEqual(done.returncode, code, (arguments, done.stderr))
            self.assertIn(words, done.stderr)
            self.assertNotIn("Traceback", done.stderr)

    def test_an_interrupt_says_how_to_go_on(self):
        with subprocess.Popen([COMMAND, "--build", BUILD, "--short", "--output", self.folder], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              start_new_session=True) as done:
            while "part 2" not in (line := done.stderr.readline()):
                self.assertTrue(line, "it ended before")
            os.killpg(done.pid, signal.SIGINT)
            said = done.stderr.read()
        self.assertEqual(done.returncode, 130, said)
        self.assertRegex(said, r"interrupted; --from \S*performance/results.json goes on from there")
        self.assertNotIn("Traceback", said)


class Failure(Case):
    """A bench-compare that gives a road up, as the real one does where a process of it hangs; which
    measures all others."""

    GIVES_UP = """#!/bin/bash
case " $* " in *" --size {size} "*" --road {road} "*)
    echo "bench-compare: {title}: one of the processes does not come to its end (1 bytes)" >&2
    exit 1
esac
exec {build}/bench/bench-compare "$@"
"""

    def measure(self, **failing):
        build = os.path.join(self.folder, "build/bench")
        os.makedirs(build)
        program = os.path.join(build, "bench-compare")
        with open(program, "w", encoding="utf-8") as file:
            file.write(self.GIVES_UP.format(build=BUILD, **failing))
        os.chmod(program, 0o755)
        os.symlink(PLOT, os.path.join(build, "bench-plot"))
        source = os.path.join(self.folder, "results.json")
        with open(source, "w", encoding="utf-8") as file:
            del self.results["parts"]["sizes"]
            json.dump(self.results, file)
        return call("--build", os.path.dirname(build), "--from", source, "--output", self.folder, "--short",
                    "--road", "unix")

    def test_others_stand_where_a_road_fails(self):
        done = self.measure(size="1KiB", road="unix", title="AF_UNIX stream")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("unix failed and is left out", done.stderr)
        page = read(os.path.join(self.folder, "performance.md"))
        self.check_page(page)
        self.assertIn("\n* AF_UNIX stream, 1 KiB, 1 reader, 1000/s, untouched: failed: one of the processes",
                      page)
        measured = json.loads(read(os.path.join(self.folder, "performance/results.json")))["parts"]["sizes"]
        self.assertEqual([[(road["road"], "not_run" in road) for road in cell["roads"]]
                          for cell in measured["cells"]],
                         [[("ring", False), ("fifo", False), ("unix", False)],
                          [("ring", False), ("fifo", False), ("unix", True)]])

    def test_what_is_no_roads_fault_is_told(self):
        done = self.measure(size="1KiB", road="unix", title="floor: futex wake")
        self.assertEqual(done.returncode, 1)
        self.assertIn("bench-compare: floor: futex wake: one", done.stderr)
        self.assertIn("--from", done.stderr)


class Plot(unittest.TestCase):
    WHOLE = {"title": "a < b", "x": {"unit": "bytes", "scale": "log"}, "y": {"unit": "ns", "scale": "log"},
             "series": [{"kind": "line", "name": "one", "points": [[64, 100], [128, None], [256, 400]]},
                        {"kind": "level", "name": "aim", "value": 200}]}

    def test_a_plot_is_drawn(self):
        done = draw(self.WHOLE)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        root = xml.etree.ElementTree.fromstring(done.stdout)
        self.assertIn("a < b", "".join(root.itertext()))
        self.assertIn("one 256 B: 400 ns", "".join(root.itertext()))

    def test_a_group_without_a_bar_has_none(self):
        done = draw({"title": "t", "y": {"unit": "rate", "scale": "log"}, "groups": ["a", "b"],
                     "series": [{"kind": "bars", "name": "s", "bars": [[100, 90, 110], None]}]})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("nan", done.stdout)

    def test_mistakes_are_told(self):
        series = self.WHOLE["series"]
        for plot, words in (("{", "no JSON"), ({"series": []}, "title"),
                            ({**self.WHOLE, "titel": ""}, "titel"),
                            ({**self.WHOLE, "x": {"unit": "miles"}}, "miles"),
                            ({**self.WHOLE, "y": {"scale": "odd"}}, "odd"),
                            ({**self.WHOLE, "series": [{"kind": "cake"}]}, "cake"),
                            ({**self.WHOLE, "groups": [1]}, "groups"),
                            ({**self.WHOLE, "groups": ["a"], "series": [{"kind": "bars", "bars": []}]},
                             "0 bars for 1 groups"),
                            ({**self.WHOLE, "groups": ["g"] * 65, "series": series}, "65")):
            done = draw(plot)
            self.assertEqual((done.returncode, done.stdout), (1, ""), words)
            self.assertRegex(done.stderr, rf"^bench-plot: .*{words}.*\n$")


class Short(Case):
    def test_all_parts_are_measured(self):
        roads = [] if os.environ.get("ALL_ROADS") else ["--road", "unix"]
        done = call("--output", self.folder, "--short", *roads)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_page(read(os.path.join(self.folder, "performance.md")))
        results = json.loads(read(os.path.join(self.folder, "performance/results.json")))
        self.assertEqual([list(part["machine"]) for part in results["parts"].values()],
                         8 * [["others", "stolen", "load"]])


if __name__ == "__main__":
    unittest.main()
