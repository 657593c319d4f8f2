"""shmframe info, and the shapes of all JSON: what shmframe-json(7) says of keys and types is so."""

import json
import os
import re
import signal
import unittest

from supervised import Supervised

PAGE = os.path.join(os.environ["TOP"], "docs/shmframe-json.7.scd")


def read_shapes():
    """What the page says: {"STREAM": {"name": ["text"], ...}}."""
    shapes = {}
    with open(PAGE, encoding="utf-8") as file:
        for part in file.read().replace("\\_", "_").split("\n# ")[1:]:
            title, _, text = part.partition("\n")
            shapes[title] = {key: kinds.split(" or ") for key, kinds in re.findall(
                r"\*(\w+)\*: ((?:text|int|number|bool|\[?[A-Z]+\]?)(?: or null)?)", text)}
    return shapes


class Shapes:
    PLAIN = {"text": str, "int": int, "number": (int, float), "bool": bool, "null": type(None)}

    def __init__(self, test):
        self.test = test
        self.shapes = read_shapes()
        self.seen = set()

    def check(self, name, value):
        """`value` has the keys of shape `name` and no others, each of its type."""
        shape = self.shapes[name]
        self.test.assertEqual(sorted(value), sorted(shape), name)
        for key, kinds in shape.items():
            self.check_value(f"{name} {key}", kinds, value[key])

    def check_value(self, where, kinds, value):
        self.seen.add((where, type(value).__name__))
        if value is None:
            self.test.assertIn("null", kinds, where)
        elif kinds[0] in self.PLAIN:
            self.test.assertIsInstance(value, self.PLAIN[kinds[0]], where)
            self.test.assertTrue(kinds[0] == "bool" or not isinstance(value, bool), where)
        elif kinds[0].startswith("["):
            self.test.assertIsInstance(value, list, where)
            for item in value:
                self.check(kinds[0][1:-1], item)
        else:
            self.check(kinds[0], value)


PIPELINE = """
[producer cam]
command = shmframe-pattern --stream cam --size 64x48 --rate 30
[consumer look]
command = shmframe-latency cam --interval 0 --policy in-order --depth 2 --leases 2
[consumer crash]
command = sh -c 'kill -SEGV $$'
restart = no
[consumer idle]
command = sleep 1000
start = no
"""


class Info(Supervised):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.supervisor.terminate()
        cls.supervisor.wait(30)
        path = os.path.join(cls.folder, "pipeline.ini")
        with open(path, "w", encoding="utf-8") as file:
            file.write(PIPELINE)
        cls.supervised_by = ("shmframed", "--config", path)
        cls.start_supervisor()
        cls.await_true(lambda: any(r["counters"]["delivered"] > 10 for r in cls.readers("cam")),
                       lambda: cls.call("status").stdout)

    def stop_the_reader_for_a_while(self):
        """It loses frames: more than its depth pass it by."""
        reader, = self.readers("cam")
        os.kill(reader["pid"], signal.SIGSTOP)
        try:
            head = self.stream("cam")["head"]
            self.await_true(lambda: self.stream("cam")["head"] > head + 10)
        finally:
            os.kill(reader["pid"], signal.SIGCONT)
        self.await_true(lambda: self.readers("cam")[0]["lost"] > reader["lost"])

    def test_it_tells_all_of_a_stream(self):
        text = self.call("info", "cam").stdout
        reader, = self.readers("cam")
        for line in (r"^stream +cam, live, of group cam$", r"^format +video: 64x48 yuv420p 30 fps$",
                     r"^rate +[\d.]+ frames a second, nominal 30.00$", r"^frames +newest \d+, generation 1$",
                     r"^ring +\d+ of \d+ slots have memory", r"^writer +cam \(pid \d+, user \d+\)$",
                     r"^ +published [1-9]\d*, abandoned 0,", r"^ +process: .* old",
                     rf"^reader {reader['number']}: look \(pid {reader['pid']}, .*depth 2$",
                     r"^ +(asleep|away) for .*, holds \d of 2", r"^age +\d+ ", r"^newest events:$",
                     r"cam: live, generation 1, written by cam"):
            self.assertRegex(text, re.compile(line, flags=re.M))

    def test_losses_are_told_by_cause_and_as_events(self):
        self.stop_the_reader_for_a_while()
        found = self.json("info", "cam")
        counters = found["readers"][0]["counters"]
        self.assertEqual(counters["lost_late"], counters["late_woken"] + counters["late_held"] +
                         counters["late_away"])
        self.assertGreater(counters["lost_late"], 0)
        self.assertEqual(found["stream"]["lost"], found["readers"][0]["lost"])
        self.assertRegex(self.call("info", "cam").stdout, r"(?m)^lost by cause: (woken-late|held|away) \d+")

        def losses():
            return [e for e in self.json_lines("events", "--type", "loss", "--stream", "cam")
                    if e["name"] == "look"]
        self.await_true(lambda: sum(e["count"] for e in losses()) >= counters["lost_late"])
        largest = max(losses(), key=lambda e: e["count"])  # of a single frame its number alone is told
        self.assertIn(f"lost {largest['count']} frames", largest["words"])

    def test_an_unknown_stream_is_told_in_one_line(self):
        done = self.call("info", "nowhere")
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1))
        self.assertEqual(self.call("info").returncode, 2)
        self.assertEqual(self.call("info", "cam", "cam").returncode, 2)

    def test_json_has_the_documented_shapes(self):
        self.stop_the_reader_for_a_while()
        self.await_true(lambda: [n for n in self.json("status")["nodes"] if n["exit_signal"] == 11])
        shapes = Shapes(self)
        for stream in self.json("ls")["streams"]:
            shapes.check("STREAM", stream)
        for reader in self.json("ls", "cam")["readers"]:
            shapes.check("READER", reader)
        shapes.check("SHMFRAME INFO", self.json("info", "cam"))
        shapes.check("SHMFRAME STATUS", self.json("status"))
        for event in self.json_lines("events"):
            shapes.check("EVENT", event)
        done = self.call("stats", "--interval", "100ms", "--count", "1", "--format", "json")
        stats = json.loads(done.stdout)
        self.assertEqual(sorted(stats), ["monotonic_ns", "nodes", "span_ns", "streams"])
        for stream in stats["streams"]:
            self.assertEqual(sorted(stream), ["readers", "stream"])
            shapes.check("STREAM", stream["stream"])
            for reader in stream["readers"]:
                shapes.check("SPAN", reader.pop("span"))
                shapes.check("READER", reader)
        # That nothing was known would be no test: these were there with a value.
        for where, kind in (("STREAM writer_process", "dict"), ("STREAM rate_hz", "float"),
                            ("STREAM nominal_hz", "float"), ("STREAM idle_ns", "int"),
                            ("STREAM blocker", "NoneType"), ("READER held", "int"),
                            ("READER state", "str"), ("PROCESS cpu_percent", "float"),
                            ("NODE exit_signal", "int"), ("NODE pid", "int"), ("NODE pid", "NoneType"),
                            ("EVENT time", "str"), ("HOP p999_ns", "int")):
            self.assertIn((where, kind), shapes.seen)


if __name__ == "__main__":
    unittest.main()
