"""Reports of shmframe-latency, and `shmframe report`, which compares them."""

import copy
import csv
import html.parser
import json
import os
import random
import re
import signal
import subprocess
import tempfile
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]
PATTERN = "shmframe-pattern --stream cam --size 64x48 --rate 120 --no-sound --wait-readers 1"
FILES = {"index.html", "frames.csv", "run.json"}
COLUMNS = ["stream", "sequence", "capture_ns", "publish_ns", "wake_ns", "acquire_ns", "release_ns",
           "present_ns", "lost", "cause", "skipped", "mark", "mark_number", "mark_capture_ns",
           "mark_lost"]


class Page(html.parser.HTMLParser):
    """What a page opens and closes, and what it says."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.said = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> in {self.open}"
        self.open.pop()

    def handle_data(self, data):
        self.said.append(data)


class Reports(unittest.TestCase):
    def setUp(self):
        self.holder = tempfile.TemporaryDirectory()
        self.addCleanup(self.holder.cleanup)
        self.folder = self.holder.name
        self.report = os.path.join(self.folder, "report")
        self.env = dict(os.environ, SHMFRAME_SOCKET=os.path.join(self.folder, "socket"))

    def call(self, *words):
        return subprocess.run([SHMFRAME, *words], text=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False, env=self.env)

    def measure(self, options, pattern=PATTERN):
        done = self.call("run", pattern,
                         f"shmframe-latency cam --interval 0 {options} --report {self.report}")
        self.assertEqual(done.returncode, 0, done.stderr)

    def read(self, name):
        with open(os.path.join(self.report, name), encoding="utf-8") as file:
            return file.read()

    def rows(self):
        return list(csv.DictReader(self.read("frames.csv").splitlines()))

    def run_json(self):
        return json.loads(self.read("run.json"))

    def wait_for(self, what):
        """What `shmframe ls` says, once `what` finds something in it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            done = self.call("ls", "cam", "--format", "json")
            found = what(json.loads(done.stdout)["readers"]) if done.returncode == 0 else None
            if found:
                return found
            time.sleep(0.02)
        self.fail("what was waited for did not come")

    def head(self):
        streams = json.loads(self.call("ls", "--format", "json").stdout)["streams"]
        return streams[0]["head"]


class Files(Reports):
    def check_sums(self):
        """Lines, blocks and counters say the same."""
        rows, document = self.rows(), self.run_json()
        run, = document["runs"]
        counters, blocks = run["counters"], run["blocks"]
        lost = counters["lost_late"] + counters["lost_restart"]
        self.assertEqual(len(rows), counters["delivered"])
        self.assertEqual(sum(int(row["lost"]) for row in rows), lost)
        self.assertEqual(sum(int(row["skipped"]) for row in rows), counters["skipped"])
        self.assertEqual(sum(loss["count"] for loss in run["losses"]), lost)
        self.assertEqual(sum(block["frames"] for block in blocks), len(rows))
        self.assertEqual(sum(block["events"]["lost"] for block in blocks), lost)
        for name, hop in run["hops"].items():
            self.assertEqual(sum(hop["steps"][1::2]), hop["count"], name)
            in_blocks = [block["hops"][name] for block in blocks if name in block["hops"]]
            self.assertEqual(sum(block["count"] for block in in_blocks), hop["count"], name)
            for block in in_blocks:
                self.assertEqual(sum(block["values"][1::2]), block["count"])
                self.assertEqual(block["values"][::2], sorted(set(block["values"][::2])))
        return rows, document

    def test_a_line_for_each_frame_adds_up_to_the_counters(self):
        self.measure("--frames 130 --policy in-order --depth 64")
        rows, document = self.check_sums()
        self.assertEqual(set(os.listdir(self.report)), FILES)
        self.assertEqual(list(rows[0]), COLUMNS)
        self.assertEqual([int(row["sequence"]) for row in rows], list(range(1, 131)))
        for row in rows:
            stamps = [int(row[key]) for key in ("capture_ns", "publish_ns", "acquire_ns",
                                                "release_ns")]
            self.assertEqual(stamps, sorted(stamps))
            self.assertEqual((row["stream"], row["present_ns"], row["mark"]), ("cam", "", ""))
        self.assertEqual((document["type"], document["version"]), ("shmframe-run", 1))
        self.assertEqual(document["command"][:2], ["shmframe-latency", "cam"])
        self.assertEqual(document["machine"]["host"], os.uname().nodename)
        run, = document["runs"]
        self.assertIn("64x48", run["format"])
        self.assertEqual(run["hops"]["age"]["count"], 130)
        ages = sorted(int(row["acquire_ns"]) - int(row["capture_ns"]) for row in rows)
        self.assertEqual(run["hops"]["age"]["max_ns"], ages[-1])
        self.assertLessEqual(ages[64], run["hops"]["age"]["p50_ns"])
        taken = [int(row["acquire_ns"]) for row in rows] + [run["start_ns"] + run["duration_ns"]]
        longest = max((later - earlier, earlier - run["start_ns"])
                      for earlier, later in zip(taken, taken[1:]))
        self.assertEqual((run["outage"]["longest_ns"], run["outage"]["since_ns"]), longest)

    def test_losses_stand_where_they_happened_with_their_cause(self):
        pipeline = subprocess.Popen(
            [SHMFRAME, "run", PATTERN, "shmframe-latency cam --interval 0 --policy in-order "
             f"--depth 4 --report {self.report}"],
            stdout=subprocess.DEVNULL, env=dict(self.env, SHMFRAME_SOCKET=""))
        self.addCleanup(pipeline.wait)
        self.addCleanup(pipeline.terminate)
        # The pipeline's own supervisor: its socket is the one that its nodes were given.
        reader = self.find_child(pipeline.pid, "shmframe-latency")
        with open(f"/proc/{reader}/environ", encoding="utf-8") as file:
            self.env["SHMFRAME_SOCKET"] = dict(
                pair.split("=", 1) for pair in file.read().split("\0") if "=" in pair
            )["SHMFRAME_SOCKET"]
        self.wait_for(lambda readers: [r for r in readers if r["counters"]["delivered"] > 5])
        os.kill(reader, signal.SIGSTOP)
        stopped_at = self.head()
        while self.head() < stopped_at + 40:
            time.sleep(0.02)
        os.kill(reader, signal.SIGCONT)
        self.wait_for(lambda readers: [r for r in readers if r["counters"]["lost_late"] >= 30])
        os.kill(reader, signal.SIGINT)
        self.assertEqual(pipeline.wait(timeout=60), 0)
        rows, document = self.check_sums()
        lossy = [row for row in rows if int(row["lost"])]
        self.assertGreaterEqual(sum(int(row["lost"]) for row in lossy), 30)
        self.assertLessEqual({row["cause"] for row in lossy}, {"woken-late", "held", "away"})
        self.assertIn("lost: " + lossy[0]["cause"], self.read("index.html"))
        loss = document["runs"][0]["losses"][0]
        self.assertEqual(loss["first"] + loss["count"], int(lossy[0]["sequence"]))

    def find_child(self, pid, name):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for process in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{process}/cmdline", encoding="utf-8") as file:
                        words = file.read().split("\0")
                except OSError:
                    continue
                if os.path.basename(words[0]) == name and self.report in words:
                    return int(process)
            time.sleep(0.02)
        return self.fail(f"{name} does not run")

    def test_the_page_needs_nothing_but_itself(self):
        self.measure("--frames 200")
        text = self.read("index.html")
        page = Page(text)
        self.assertEqual(page.open, [])
        self.assertNotRegex(text.replace("http://www.w3.org/2000/svg", ""), r"://|url\(|@import")
        for tag, attributes in page.seen:
            self.assertNotIn(tag, ("script", "link", "img", "iframe", "object"))
            self.assertFalse({"src", "href"} & set(attributes), tag)
            self.assertFalse([key for key in attributes if key.startswith("on")], tag)
        said = " ".join(page.said)
        for word in ("Latency of cam", "64x48", "governor", "delivered", "produce", "age", "p99.9",
                     "How to read this", os.uname().nodename, "--frames 200"):
            self.assertIn(word, said)
        # Percentiles, timeline, each second, and a histogram a hop.
        hops = self.run_json()["runs"][0]["hops"]
        self.assertGreaterEqual(len([1 for tag, _ in page.seen if tag == "svg"]), 2 + len(hops))

    def test_with_marks_what_is_shown_over_time_is_the_latency_to_the_pixel(self):
        self.measure("--frames 200 --marks --title 'a <player> of that kind'",
                     PATTERN.replace("64x48", "640x360") + " --marks")
        page = Page(self.read("index.html"))
        self.assertEqual(page.open, [])
        said = " ".join(page.said)
        for word in ("a <player> of that kind of cam", "Each picture: seen, and age", "Seen, in each second"):
            self.assertIn(word, said)
        self.assertNotIn("Age of each frame", said)
        self.assertEqual(self.run_json()["title"], "a <player> of that kind")
        done = self.call("report", self.report, self.report, "--hop", "seen", "--quantile", "p50",
                         "--format", "json")
        answer, = json.loads(done.stdout)["streams"][0]["answers"]
        self.assertEqual((answer["before"], answer["verdict"]), (0, "no difference"))

    def test_a_report_is_replaced_and_other_files_are_left_alone(self):
        os.mkdir(self.report)
        for name in ("notes.txt", "index.html"):
            with open(os.path.join(self.report, name), "w", encoding="utf-8") as file:
                file.write("mine")
        self.measure("--frames 5")
        self.assertEqual(set(os.listdir(self.report)), FILES | {"notes.txt"})
        self.assertEqual(self.read("notes.txt"), "mine")
        self.assertIn("<h1>", self.read("index.html"))
        self.assertEqual(len(self.rows()), 5)

    def test_another_reader_is_reported_on_too(self):
        watch = ("import json, os, subprocess, time\n"
                 "numbers = []\n"
                 "while not numbers:\n"
                 "    time.sleep(0.05)\n"
                 "    done = subprocess.run(['shmframe', 'ls', 'cam', '--format', 'json'],"
                 " capture_output=True)\n"
                 "    readers = json.loads(done.stdout or '{\"readers\": []}')['readers']\n"
                 "    numbers = [r['number'] for r in readers if r['generation']]\n"
                 "os.execvp('shmframe-latency', ['shmframe-latency', 'cam', '--of',"
                 " str(numbers[0]), '--frames', '60', '--interval', '0', '--report', "
                 f"'{self.report}'])\n")
        script = os.path.join(self.folder, "watch.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write(watch)
        done = self.call("run", PATTERN, "shmframe-latency cam --frames 400 --interval 0",
                         f"python3 {script}")
        self.assertEqual(done.returncode, 0, done.stderr)
        run, = self.run_json()["runs"]
        self.assertGreaterEqual(run["counters"]["delivered"], 60)
        # A snapshot of a running reader may lie between two of its stores.
        self.assertAlmostEqual(len(self.rows()), run["counters"]["delivered"], delta=2)
        self.assertEqual(run["kept"]["frames_seen"], len(self.rows()))

    def test_a_folder_that_cannot_be_is_told_before_anything_is_measured(self):
        with open(os.path.join(self.folder, "file"), "w", encoding="utf-8"):
            pass
        for report, why in ((f"{self.folder}/file", "Not a directory"),
                            (f"{self.folder}/file/below", "Not a directory"),
                            (f"{self.folder}/no/such", "No such file or directory")):
            latency = os.path.join(os.path.dirname(SHMFRAME), "../consumers/latency/shmframe-latency")
            done = subprocess.run([latency, "cam", "--report", report], env=self.env, text=True,
                                  capture_output=True, timeout=20, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr, "shmframe-latency: --report: nothing can be written to "
                                          f"{report}: {why}\n")


def make_run(seed, slower=1.0, blocks=30, lost=0):
    """A run.json as of a stream with times around 25 us, in values rounded as they are there."""
    draw = random.Random(seed)
    made = []
    for number in range(blocks):
        counts = {}
        for _ in range(60):
            value = int(25000 * slower * draw.lognormvariate(0, 0.2))
            shift = max(value.bit_length() - 8, 0)
            value = value >> shift << shift
            counts[value] = counts.get(value, 0) + 1
        values = [number for pair in sorted(counts.items()) for number in pair]
        made.append({"number": number, "frames": 60,
                     "events": {"lost": lost if number % 3 == 0 else 0, "skipped": 0, "dropped": 0,
                                "mark_lost": 0, "mark_missing": 0, "torn": 0, "repeated": 0},
                     "hops": {"transit": {"count": 60, "values": values}}})
    return {"type": "shmframe-run", "version": 1, "library": "1", "machine": {
        "host": "h", "kernel": "k", "processor": "p", "processors": 2, "governor": ""},
            "runs": [{"stream": "cam", "format": "f", "duration_ns": blocks * 10 ** 9,
                      "block_ns": 10 ** 9, "blocks": made}]}


class Comparisons(Reports):
    def save(self, name, document):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(document if isinstance(document, str) else json.dumps(document))
        return path

    def compare(self, before, after, *options):
        done = self.call("report", self.save("a.json", before), self.save("b.json", after),
                         "--format", "json", *options)
        return done, json.loads(done.stdout)

    def answers(self, document):
        return {(answer["what"], answer["quantile"]): answer
                for stream in document["streams"] for answer in stream["answers"]}

    def test_a_report_compared_with_itself_is_no_difference(self):
        self.measure("--frames 30")
        done = self.call("report", self.report, os.path.join(self.report, "run.json"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertRegex(done.stdout, r"(?m)^no difference: 0 better, 0 worse, \d+ without a difference, 0 that")

    def test_verdicts_and_exit_codes(self):
        cases = [
            (make_run(1), make_run(2), (), 0, "no difference", "no difference"),
            (make_run(1), make_run(2, 1.3), (), 1, "worse", "worse"),
            (make_run(1, 1.3), make_run(2), (), 0, "better", "better"),
            (make_run(1), make_run(2, 1.3), ("--threshold", "60"), 0, "no difference",
             "no difference"),
            (make_run(1), make_run(2, 1.3), ("--hop", "lost"), 0, "no difference", None),
            (make_run(1), make_run(2, lost=4), (), 1, "worse", "no difference"),
            (make_run(1, blocks=4), make_run(2, 9, blocks=4), (), 0, "cannot tell",
             "cannot tell"),
            (make_run(1, blocks=12), make_run(2, blocks=12), (), 0, "cannot tell",
             "no difference"),
            (make_run(1, blocks=4), make_run(2, blocks=4), ("--strict",), 1, "cannot tell",
             "cannot tell"),
        ]
        for number, (before, after, options, code, verdict, of_median) in enumerate(cases):
            done, document = self.compare(before, after, *options)
            answer = self.answers(document).get(("transit", 0.5))
            with self.subTest(number):
                self.assertEqual(done.returncode, code, done.stderr + done.stdout)
                self.assertEqual(document["verdict"], verdict)
                self.assertEqual(answer and answer["verdict"], of_median)

    def test_an_answer_has_its_size_and_interval(self):
        _, document = self.compare(make_run(1), make_run(2, 1.3), "--quantile", "p90")
        answers = self.answers(document)
        self.assertEqual(set(answers), {("transit", 0.9), ("lost", None), ("rate", None)})
        answer = answers["transit", 0.9]
        self.assertAlmostEqual(answer["change"], 0.3, delta=0.1)
        self.assertLess(answer["low"], 0.3)
        self.assertGreater(answer["high"], 0.3)
        self.assertAlmostEqual(answer["before"], 25000 * 1.29, delta=2000)
        self.assertEqual((answer["frames_before"], answer["frames_after"]), (1800, 1800))
        self.assertLess(answer["chance"], 0.01)

    def test_more_runs_may_be_added(self):
        paths = [self.save(f"{side}{i}.json", make_run(10 * side + i, 1 + side, blocks=5))
                 for side in (0, 1) for i in range(3)]
        done = self.call("report", paths[0], paths[3], "--before", paths[1], "--before", paths[2],
                         "--after", paths[4], "--after", paths[5], "--format", "json")
        answer = self.answers(json.loads(done.stdout))["transit", 0.5]
        self.assertEqual((answer["units_before"], answer["units_after"], answer["unit_s"]),
                         (3, 3, None))
        self.assertEqual((done.returncode, answer["verdict"]), (1, "worse"))

    def test_what_is_not_the_same_is_a_warning(self):
        other = make_run(2)
        other["machine"]["host"] = "elsewhere"
        other["runs"][0].update(stream="mic", format="g")
        done = self.call("report", self.save("a.json", make_run(1)), self.save("b.json", other))
        self.assertEqual(done.returncode, 0)
        for fact, one, two in (("stream", "cam", "mic"), ("format", "f", "g"),
                               ("host", "h", "elsewhere")):
            self.assertIn(f'cam: {fact} is not the same: "{one}" and "{two}"\n', done.stderr)

    def test_what_a_file_says_does_not_command_the_terminal(self):
        other = make_run(2)
        other["machine"]["host"] = "\x1b[2J\x9b31m\u20ac" + "\u20ac" * 90
        a, b = self.save("a.json", make_run(1)), self.save("b.json", other)
        done = self.call("report", a, b)
        self.assertNotRegex(done.stderr + done.stdout, r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertIn('"h" and "?[2J?31m\u20ac\u20ac', done.stderr)
        # Cut between characters: JSON takes no half ones.
        done = self.call("report", a, b, "--format", "json")
        warning, = json.loads(done.stdout)["streams"][0]["warnings"]
        self.assertTrue(warning.endswith('\u20ac"'))

    def test_frames_that_do_not_come_any_more_are_told(self):
        stalled = make_run(2)
        stalled["runs"][0]["blocks"] = []
        half, gaps = make_run(2), make_run(2)
        for block in half["runs"][0]["blocks"]:
            block["frames"] = 30
        gaps["runs"][0]["blocks"] = gaps["runs"][0]["blocks"][::2]
        for number, after in enumerate((stalled, half, gaps)):
            done, document = self.compare(make_run(1), after)
            with self.subTest(number):
                self.assertEqual((done.returncode, document["verdict"]), (1, "worse"))
                answer = self.answers(document)["rate", None]
                self.assertEqual(answer["verdict"], "worse")
                self.assertAlmostEqual(answer["before"], 60)
                self.assertAlmostEqual(answer["change"], -0.5 if number else -1, delta=0.02)
                done, _ = self.compare(after, make_run(1))
                self.assertEqual(done.returncode, 0)
        done, document = self.compare(make_run(1), stalled, "--hop", "transit")
        self.assertEqual((done.returncode, document["verdict"]), (0, "cannot tell"))
        answer = self.answers(document)["transit", 0.5]
        self.assertEqual((answer["why"], answer["after"]), ("not in AFTER", None))
        done = self.call("report", *(os.path.join(self.folder, name) for name in
                                     ("a.json", "b.json")), "--strict", "--hop", "transit")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"transit p50 .* - .*cannot tell: not in AFTER")

    def test_what_was_not_measured_any_more_is_told(self):
        marked = make_run(1)
        for block in marked["runs"][0]["blocks"]:
            block["hops"]["mark_age"] = block["hops"]["transit"]
        done, document = self.compare(marked, make_run(2))
        self.assertEqual((done.returncode, document["verdict"]), (0, "cannot tell"))
        self.assertEqual(self.answers(document)["mark_age", 0.5]["why"], "not in AFTER")
        self.assertEqual(self.compare(marked, make_run(2), "--strict")[0].returncode, 1)
        # Asked for, and nowhere.
        _, document = self.compare(make_run(1), make_run(2), "--hop", "skew")
        self.assertEqual(document["verdict"], "cannot tell")
        self.assertEqual(self.answers(document)["skew", 0.5]["why"], "not in either")
        missing = make_run(2)
        for block in missing["runs"][0]["blocks"]:
            block["events"]["mark_missing"] = 10 + block["number"] % 3
        done, document = self.compare(make_run(1), missing)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.answers(document)["mark_missing", None]["verdict"], "worse")

    def test_a_report_of_an_older_program_is_compared_as_far_as_it_goes(self):
        older, newer = make_run(1), make_run(2, lost=4)
        for block in older["runs"][0]["blocks"]:
            del block["events"]["mark_missing"]
        newer["runs"][0]["outage"] = {"longest_ns": 1_250_000_000, "since_ns": 0}
        done, document = self.compare(older, newer)
        self.assertEqual((done.returncode, document["verdict"], done.stderr), (1, "worse", ""))
        self.assertNotIn(("mark_missing", None), self.answers(document))
        self.assertEqual(document["streams"][0]["outage"],
                         {"before_ns": None, "after_ns": 1_250_000_000})
        done = self.call("report", os.path.join(self.folder, "a.json"),
                         os.path.join(self.folder, "b.json"))
        self.assertIn("\nlongest time without a frame: BEFORE not told, AFTER 1.25 s\n", done.stdout)
        # Not counted is not none.
        for block in newer["runs"][0]["blocks"]:
            block["events"]["mark_missing"] = 10 + block["number"] % 3
        for before, after, side in ((older, newer, "BEFORE"), (newer, older, "AFTER")):
            missing = self.answers(self.compare(before, after)[1])["mark_missing", None]
            self.assertEqual((missing["verdict"], missing["why"]), ("cannot tell", "not in " + side))

    def test_a_stream_that_is_in_one_report_only_is_told(self):
        both, other = make_run(1), make_run(2)
        both["runs"].append(dict(make_run(3)["runs"][0], stream="mic"))
        other["runs"].append(dict(make_run(4)["runs"][0], stream="line"))
        for number, (before, after, alone) in enumerate(
                ((both, make_run(2), {"mic": "b.json"}), (make_run(2), both, {"mic": "a.json"}),
                 (both, other, {"mic": "b.json", "line": "a.json"}))):
            done, document = self.compare(before, after)
            with self.subTest(number):
                why = {stream["stream"]: stream["why"] for stream in document["streams"]}
                self.assertEqual(why.pop("cam"), "")
                self.assertEqual(why, {stream: "not in " + os.path.join(self.folder, name)
                                       for stream, name in alone.items()})
                self.assertEqual((done.returncode, document["verdict"], done.stderr),
                                 (0, "cannot tell", ""))
        done = self.call("report", self.save("a.json", both), self.save("b.json", make_run(2)),
                         "--strict")
        self.assertEqual(done.returncode, 1)
        self.assertIn("\nmic\ncannot tell: not in ", done.stdout)
        # A stream of another name is not what is compared with it, where there are two.
        sound = make_run(2)
        sound["runs"][0]["stream"] = "mic"
        _, document = self.compare(both, sound)
        self.assertEqual([stream["stream"] for stream in document["streams"] if stream["answers"]],
                         ["mic"])

    def test_a_run_counts_once(self):
        a, b = self.save("a.json", make_run(1)), self.save("b.json", make_run(2))
        link = os.path.join(self.folder, "link.json")
        os.link(a, link)
        for same in (a, link):
            done = self.call("report", a, b, "--before", same)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(f"{a} and {same} are the same run", done.stderr)

    def test_files_that_are_no_reports_are_refused(self):
        good = make_run(1)

        def change(path, value):
            document = copy.deepcopy(good)
            place = document
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            return document

        block = ("runs", 0, "blocks", 0)
        values = (*block, "hops", "transit", "values")
        cases = [
            ("", r"line 1, column 0"),
            (json.dumps(good)[:-30], r"line 1, column \d+"),
            ("[" * 100000, r"line 1, column \d+: maximum parsing depth"),
            ("\x00\x01binary", r"line 1"),
            (json.dumps(good).replace('"count": 60', '"count": NaN', 1), r"line 1, column \d+"),
            (json.dumps(good).replace('"number": 0', '"number": 1e999', 1), r"line 1, column \d+"),
            ("[1, 2]", "it is no run.json"),
            ({}, "it is no run.json"),
            (change(("type",), 7), "it is no run.json"),
            (change(("version",), 2), "its version is not 1"),
            (change(("runs",), []), "it has no runs"),
            (change(("runs",), {"a": 1}), "it has no runs"),
            (change(("runs", 0, "block_ns"), 0), "a run has no stream, duration_ns, block_ns"),
            (change(("runs", 0, "stream"), 5.5), "a run has no stream"),
            (change(("runs", 0, "blocks"), good["runs"][0]["blocks"] * 20), "more than 512 blocks"),
            (change((*block, "number"), 9), "its blocks are not in order"),
            (change((*block, "frames"), -1), "a block has no number, frames"),
            (change((*block, "events", "lost"), 2 ** 60), '"lost" of block 0 is no count'),
            (change(values, [5]), '"transit" of block 0 has values that cannot be'),
            (change(values, [5, 1, 5, 1]), "values that cannot be"),
            (change(values, [-5, 1]), "values that cannot be"),
            (change(values, [5, 0]), "values that cannot be"),
            (change(values, [5, 2 ** 62]), "values that cannot be"),
            (change(values, ["5", 1]), "values that cannot be"),
            (change(("runs", 0, "stream"), "a\x1b]0;owned\x07"), r'"a\?\]0;owned\?" is no name'),
            (change(("runs", 0, "stream"), "\u20ac" * 70), "is no name of a stream"),
            ("\x1b[31m", r"line 1, column \d+: [ -~]*$"),
        ]
        a = self.save("a.json", good)
        for number, (document, why) in enumerate(cases):
            done = self.call("report", a, self.save("b.json", document))
            with self.subTest(number):
                self.assertEqual((done.returncode, done.stdout), (3, ""))
                self.assertRegex(done.stderr, re.escape("shmframe report: ") +
                                 rf"\S*b.json cannot be compared: .*{why}")
                self.assertEqual(done.stderr.count("\n"), 1)
        with open(os.path.join(self.folder, "b.json"), "w", encoding="utf-8") as file:
            file.truncate((256 << 20) + 1)
        done = self.call("report", a, file.name)
        self.assertIn("more than 256 MiB", done.stderr)
        done = self.call("report", a, os.path.join(self.folder, "none"))
        self.assertEqual(done.returncode, 3)
        self.assertIn("none cannot be compared: No such file or directory", done.stderr)
        done = self.call("report", a, self.folder)
        self.assertEqual(done.returncode, 3)
        self.assertIn(f"{self.folder} cannot be compared: there is no run.json in it", done.stderr)

    def test_reports_without_a_common_stream(self):
        two = make_run(1)
        two["runs"].append(dict(two["runs"][0], stream="other"))
        done = self.call("report", self.save("a.json", two), self.save("b.json", make_run(2)),
                         "--stream", "other")
        self.assertEqual(done.returncode, 3)
        self.assertIn("no stream other is in all of them: ", done.stderr)
        self.assertIn("a.json has cam, other; ", done.stderr)
        self.assertRegex(done.stderr, "b.json has cam; measure streams of one name, or one a report")

    def test_a_picture_is_compared_with_a_picture_and_a_sound_with_a_sound(self):
        before, after = make_run(1), make_run(2, 1.3)
        before["runs"][0].update(stream="demo", format="640x480 i420 30 fps")
        before["runs"].append(dict(before["runs"][0], stream="demo.sound", format="48000 Hz stereo s16"))
        after["runs"].insert(0, dict(after["runs"][0], stream="late.sound", format="48000 Hz stereo s16"))
        after["runs"][1].update(stream="late", format="640x480 i420 30 fps")
        done, document = self.compare(before, after)
        self.assertEqual(done.returncode, 1)
        self.assertEqual({stream["stream"]: (stream["why"], stream["warnings"])
                          for stream in document["streams"]},
                         {"demo": ("", ['demo: stream is not the same: "demo" and "late"']),
                          "demo.sound": ("", ['demo.sound: stream is not the same: "demo.sound" and '
                                              '"late.sound"'])})
        done = self.call("report", os.path.join(self.folder, "a.json"),
                         os.path.join(self.folder, "b.json"))
        self.assertIn("\none run a side does not tell what differs from run to run", done.stdout)
        # Two pictures: nobody can say which one is meant.
        after["runs"].append(dict(after["runs"][1], stream="later"))
        _, document = self.compare(before, after)
        self.assertEqual([stream["stream"] for stream in document["streams"] if not stream["why"]],
                         ["demo.sound"])

    def test_wrong_usage(self):
        a = self.save("a.json", make_run(1))
        for words, said in (((a,), "two reports are to be named"),
                            ((a, a, a), "two reports are to be named"),
                            ((a, a, "--hop", "jump"), '"jump" should be one such as'),
                            ((a, a, "--hop", "age", "--hop", "age"), "age is given twice"),
                            ((a, a, "--quantile", "99"), 'should be one such as p50'),
                            ((a, a, "--quantile", "p100"), 'should be one such as p50'),
                            ((a, a, "--threshold", "-1"), "--threshold: -1 should"),
                            ((a, a, "--level", "0"), "--level: 0 should"),
                            ((a, a, "--format", "xml"), "should be text or json")):
            done = self.call("report", *words)
            with self.subTest(words[1:]):
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
