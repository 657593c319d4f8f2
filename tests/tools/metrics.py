"""shmframe metrics: both formats, what their figures say, mistakes, and life without a supervisor."""

import http.client
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import unittest

from supervised import SHMFRAME, Supervised

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)*\})? (-?[0-9.e+-]+)$')


def start_metrics(self, *arguments):
    server = self.start("shmframe", "metrics", *arguments, stdout=subprocess.PIPE)
    line = server.stdout.readline()
    self.assertTrue(line.startswith("metrics: "), line)
    return server, line.removeprefix("metrics: ").strip()


def get(url, path="/metrics", method="GET", **headers):
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def samples(text):
    """What a page says: {name with labels: value}."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, line
        key = match[1] + (match[2] or "")
        assert key not in found, f"{key} stands there twice"
        found[key] = float(match[3])
    return found


class Metrics(Supervised):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start("shmframe-pattern", "--stream", "cam", "--size", "64x48", "--rate", "30")
        cls.start("shmframe-latency", "cam", "--interval", "0", "--policy", "in-order", "--depth", "4")
        cls.await_true(lambda: any(r["counters"]["delivered"] for r in cls.readers("cam")))
        cls.server, cls.url = start_metrics(cls(), "--listen", "127.0.0.1:0")

    def runTest(self):
        """So that one can be made in setUpClass()."""

    def test_the_older_format_is_the_default(self):
        answer, text = get(self.url)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.getheader("Content-Type"),
                         "text/plain; version=0.0.4; charset=utf-8")
        self.assertIn("# TYPE shmframe_reader_frames_total counter\n", text)
        self.assertNotIn("# EOF", text)
        self.assertNotIn("# UNIT", text)

    def test_openmetrics_is_given_to_who_takes_it(self):
        for accept, is_taken in ((OPENMETRICS, True), ("application/openmetrics-text;q=0", False),
                                 ("text/plain", False), ("*/*", False),
                                 ("text/plain;q=0.3, Application/OpenMetrics-Text;q=0.5", True),
                                 ("application/openmetrics-text;version=1.0.0;q=0,text/plain", False)):
            answer, text = get(self.url, Accept=accept)
            self.assertEqual("openmetrics" in answer.getheader("Content-Type"), is_taken, accept)
            self.assertEqual(text.endswith("# EOF\n"), is_taken, accept)

    def test_openmetrics_keeps_its_rules(self):
        """One family after the other, each told once, samples named after their family."""
        text = get(self.url, Accept=OPENMETRICS)[1]
        self.assertEqual(text.count("# EOF"), 1)
        families, family = {}, None
        for line in text.splitlines()[:-1]:
            if line.startswith("# TYPE "):
                family, kind = line.split()[2:]
                self.assertNotIn(family, families)
                families[family] = kind
            elif line.startswith("# UNIT "):
                self.assertEqual(line.split()[2], family)
                self.assertTrue(family.endswith("_" + line.split()[3]))
            elif not line.startswith("#"):
                ending = SAMPLE.match(line)[1].removeprefix(family)
                self.assertIn(ending, {"gauge": ("",), "counter": ("_total",),
                                       "histogram": ("_bucket", "_count", "_sum")}[families[family]])
        self.assertEqual(families["shmframe_reader_hop_seconds"], "histogram")
        self.assertEqual(samples(text)["shmframe_up"], 1)

    @unittest.skipUnless(shutil.which("promtool"), "promtool (package prometheus) is not installed")
    def test_promtool_has_nothing_to_say(self):
        done = subprocess.run(["promtool", "check", "metrics"], input=get(self.url)[1], text=True,
                              capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_losses_outlive_the_reader_that_had_them(self):
        self.start("shmframe-pattern", "--stream", "gone", "--size", "64x48", "--rate", "200")
        reader = self.start("shmframe-latency", "gone", "--interval", "0", "--policy", "in-order")
        self.await_true(lambda: any(r["counters"]["delivered"] for r in self.readers("gone")))
        reader.send_signal(signal.SIGSTOP)
        head = self.stream("gone")["head"]
        self.await_true(lambda: self.stream("gone")["head"] > head + 100)
        reader.send_signal(signal.SIGCONT)
        self.await_true(lambda: sum(r["counters"]["lost_late"] for r in self.readers("gone")))
        reader.terminate()

        def told():
            events = self.json_lines("events", "--stream", "gone")
            lost = {}
            for event in events:
                if event["type"] == "loss":
                    lost[event["cause"]] = lost.get(event["cause"], 0) + event["count"]
            return lost if any(event["type"] == "reader-left" for event in events) else None
        lost = self.await_true(told)

        def shown(page, cause):
            return page[f'shmframe_lost_frames_total{{stream="gone",cause="{cause}"}}']

        def is_so():
            page = samples(get(self.url)[1])
            left = 'shmframe_events_total{type="reader-left",cause="none",stream="gone"}'
            return page.get(left) == 1 and all(shown(page, cause) == lost[cause] for cause in lost)
        self.await_true(is_so, lambda: f"{lost} {get(self.url)[1]}")
        self.assertFalse([name for name in samples(get(self.url)[1])
                          if name.startswith("shmframe_reader_") and 'stream="gone"' in name])

    def test_figures_are_those_that_the_reader_counts(self):
        reader, = self.readers("cam")
        labels = f'{{stream="cam",reader="shmframe-latency",number="{reader["number"]}"'
        before = reader["counters"]["delivered"]
        now = samples(get(self.url)[1])
        after = self.readers("cam")[0]["counters"]["delivered"]
        # A page is shared for a tenth of a second.
        self.assertGreaterEqual(now[f"shmframe_reader_frames_total{labels}}}"], before - 10)
        self.assertLessEqual(now[f"shmframe_reader_frames_total{labels}}}"], after)
        for cause in ("woken-late", "held", "away", "restart"):
            self.assertIn(f'shmframe_reader_lost_frames_total{labels},cause="{cause}"}}', now)
        self.assertEqual(now['shmframe_stream_live{stream="cam"}'], 1)
        self.assertEqual(now['shmframe_stream_readers{stream="cam"}'], 1)
        self.assertEqual(now['shmframe_stream_readers{stream="cam.sound"}'], 0)
        self.assertAlmostEqual(now['shmframe_stream_period_seconds{stream="cam"}'], 1 / 30, 6)
        self.assertEqual(now["shmframe_readers_left_out"], 0)

    def test_histograms_grow_with_their_edges_and_end_with_the_count(self):
        now = samples(get(self.url)[1])
        histograms = {}
        for key, value in now.items():
            match = re.match(r'shmframe_reader_hop_seconds_bucket(\{.*),le="([^"]+)"\}', key)
            if match:
                histograms.setdefault(match[1], []).append((float(match[2]), value))
        self.assertEqual(len(histograms), 5)  # display is told by few
        for labels, buckets in histograms.items():
            self.assertEqual(buckets, sorted(buckets), labels)
            self.assertEqual([count for _, count in buckets], sorted(c for _, c in buckets))
            count = now[f"shmframe_reader_hop_seconds_count{labels}}}"]
            self.assertEqual(buckets[-1], (float("inf"), count))
            total = now[f"shmframe_reader_hop_seconds_sum{labels}}}"]
            least = sum((n - before) * edge for (edge, _), before, n in zip(
                [(0, 0)] + buckets[:-1], [0] + [c for _, c in buckets[:-1]], [c for _, c in buckets]))
            self.assertGreaterEqual(total * 1.04 + 1e-9, least, labels)

    def test_counters_never_go_back(self):
        def counters():
            return {key: value for key, value in samples(get(self.url)[1]).items()
                    if re.search(r"_(total|bucket|count|sum)\b", key)}
        before = counters()
        frames = [key for key in before if key.startswith("shmframe_reader_frames_total")]
        while True:
            now = counters()
            for key, value in before.items():
                self.assertGreaterEqual(now[key], value, key)
            if now[frames[0]] > before[frames[0]]:
                return
            before = now

    def test_other_paths_and_methods_are_refused(self):
        self.assertEqual(get(self.url, "/healthz")[0].status, 200)
        self.assertEqual(get(self.url, "/")[0].status, 200)
        self.assertEqual(get(self.url, "/metrics/x")[0].status, 404)
        answer, _ = get(self.url, method="DELETE")
        self.assertEqual((answer.status, answer.getheader("Allow")), (405, "GET, HEAD"))
        answer, text = get(self.url, method="HEAD")
        self.assertEqual((answer.status, text), (200, ""))

    def test_what_is_no_request_harms_nobody(self):
        host, port = self.url.split("/")[2].split(":")
        for text in (b"\x16\x03\x01\x02\x00\x01" * 50, b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 100000,
                     b"GET " + b"/" * 100000, b"\r\n" * 1000, b"POST /metrics HTTP/1.1\r\n"
                     b"Host: a\r\nContent-Length: 99999999999999999999\r\n\r\n"):
            with socket.create_connection((host, int(port)), timeout=30) as peer:
                try:
                    peer.sendall(text)
                except OSError:  # it has hung up
                    pass
                self.assertEqual(get(self.url)[0].status, 200)

    def test_a_header_that_is_too_long_is_refused(self):
        answer, _ = get(self.url, Cookie="x" * 20000)
        self.assertIn(answer.status, (413, 431))

    def test_connections_are_limited_and_places_come_back(self):
        host, port = self.url.split("/")[2].split(":")
        peers = [socket.create_connection((host, int(port)), timeout=30) for _ in range(60)]
        for peer in peers:
            peer.close()
        self.await_true(lambda: get(self.url)[0].status == 200)

    def test_mistakes_are_told_in_one_line(self):
        for place in ("here", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1:80", ":80", "unix:",
                      "unix:" + "x" * 200, "127.0.0.1:-1"):
            done = self.call("metrics", "--listen", place)
            self.assertEqual((done.returncode, done.stdout), (2, ""), place)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        done = self.call("metrics", "--listen", self.url.split("/")[2])
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertEqual(self.call("metrics", "cam").returncode, 2)


class Place(Supervised):
    def ask(self, path):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(30)
            peer.connect(path)
            peer.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            answer = b""
            while data := peer.recv(4096):
                answer += data
        return answer.decode()

    def test_a_path_is_served_to_this_user_alone_and_taken_over_when_left(self):
        path = os.path.join(self.folder, "metrics")
        server, place = start_metrics(self, "--listen", "unix:" + path)
        self.assertEqual(place, "unix:" + path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertIn("200 OK", self.ask(path))
        done = self.call("metrics", "--listen", "unix:" + path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is served already", done.stderr)
        server.kill()
        server.wait(30)
        self.assertTrue(os.path.exists(path))
        server, _ = start_metrics(self, "--listen", "unix:" + path)
        self.assertIn("200 OK", self.ask(path))
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(30), 0)
        self.assertFalse(os.path.exists(path))

    def test_what_is_no_socket_is_left_alone(self):
        path = os.path.join(self.folder, "precious")
        with open(path, "w", encoding="utf-8") as file:
            file.write("kept")
        done = self.call("metrics", "--listen", "unix:" + path)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "kept")


class Absence(Supervised):
    def up(self):
        return samples(get(self.url)[1])["shmframe_up"]

    def test_it_goes_on_without_a_supervisor(self):
        self.supervisor.kill()
        self.supervisor.wait(30)
        _, self.url = start_metrics(self, "--listen", "[::1]:0" if has_ipv6() else "127.0.0.1:0")
        for _ in range(2):
            self.assertEqual(self.up(), 0)
            self.assertEqual(get(self.url, "/healthz")[0].status, 503)
            self.start_supervisor()
            self.await_true(lambda: self.up() == 1)
            self.await_true(lambda: get(self.url, "/healthz")[0].status == 200)
            self.supervisor.kill()
            self.supervisor.wait(30)
            self.await_true(lambda: self.up() == 0)


@unittest.skipUnless(os.environ.get("LONG"), "it takes as long as a client may take: suite long")
class Slow(Supervised):
    def test_a_client_that_never_comes_to_an_end_loses_its_place(self):
        """Each byte would begin a time-out of silence anew."""
        _, url = start_metrics(self, "--listen", "127.0.0.1:0")
        host, port = url.split("/")[2].split(":")
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
            for _ in range(60):
                peer.settimeout(1)
                try:
                    peer.sendall(b"a")
                    if peer.recv(1) == b"":
                        return
                except TimeoutError:
                    continue
                except OSError:
                    return
        self.fail("it has kept its place for a minute")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as trial:
            trial.bind(("::1", 0))
        return True
    except OSError:
        return False


if __name__ == "__main__":
    assert SHMFRAME
    unittest.main()
