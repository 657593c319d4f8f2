"""shmframe ls and ask, against a pattern that streams."""

import json
import os
import subprocess
import tempfile
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]


class Pipeline(unittest.TestCase):
    """A pattern and one reader, under a supervisor that all tests share."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        folder = cls.temporary.name
        env = dict(os.environ, XDG_RUNTIME_DIR=folder)
        told = os.path.join(folder, "socket-path")
        cls.run_ = subprocess.Popen(
            [SHMFRAME, "run", f"sh -c 'echo $SHMFRAME_SOCKET > {told}; exec sleep 300'",
             "shmframe-pattern --stream cam --group studio --size 64x48 --rate 30",
             "shmframe-latency cam --interval 0 --policy in-order --depth 6 --leases 2"],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not (os.path.exists(told) and os.path.getsize(told)):
            if time.monotonic() > end or cls.run_.poll() is not None:
                raise AssertionError("the run did not start")
            time.sleep(0.01)
        with open(told, encoding="utf-8") as file:
            cls.env = dict(os.environ, SHMFRAME_SOCKET=file.read().strip())
        while not any(s["name"] == "cam" and s["head"] and s["readers"] for s in cls.streams()):
            if time.monotonic() > end:
                raise AssertionError("the stream did not start")
            time.sleep(0.02)

    @classmethod
    def tearDownClass(cls):
        cls.run_.terminate()
        cls.run_.wait(20)
        cls.temporary.cleanup()

    @classmethod
    def call(cls, *arguments):
        return subprocess.run([SHMFRAME, *arguments], env=cls.env, text=True, capture_output=True,
                              timeout=30, check=False)

    @classmethod
    def streams(cls):
        done = cls.call("ls", "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["streams"]

    def test_json_tells_all_of_a_stream(self):
        cam, = [s for s in self.streams() if s["name"] == "cam"]
        self.assertEqual((cam["group"], cam["kind"], cam["state"]), ("studio", "video", "live"))
        self.assertEqual((cam["generation"], cam["readers"]), (1, 1))
        self.assertIn("64x48 yuv420p", cam["format"])
        self.assertEqual((cam["writer"], cam["writer_uid"]), ("shmframe-pattern", os.getuid()))
        self.assertTrue(os.path.exists(f"/proc/{cam['writer_pid']}"))
        self.assertGreater(cam["memory_bytes"], 3 * 64 * 48)
        sound, = [s for s in self.streams() if s["name"] == "cam.sound"]
        self.assertEqual((sound["group"], sound["kind"]), ("studio", "audio"))

    def test_the_head_moves(self):
        def head():
            return [s for s in self.streams() if s["name"] == "cam"][0]["head"]
        first = head()
        end = time.monotonic() + 10
        while head() == first:
            self.assertLess(time.monotonic(), end)

    def test_the_table_has_titles_and_a_line_each(self):
        done = self.call("ls")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["STREAM", "GROUP", "FORMAT", "GEN", "STATE", "RATE",
                                            "WRITER", "PID", "READERS", "LOST", "HEAD", "MEMORY"])
        self.assertEqual([line.split()[0] for line in lines[1:]], ["cam", "cam.sound"])
        self.assertEqual({len(line) for line in lines}, {len(lines[0])})

    def test_readers_of_a_stream_are_listed(self):
        done = self.call("ls", "cam", "--format", "json")
        found = json.loads(done.stdout)
        self.assertEqual(found["stream"], "cam")
        reader, = found["readers"]
        self.assertEqual((reader["name"], reader["policy"]), ("shmframe-latency", "in-order"))
        self.assertEqual((reader["depth"], reader["leases"], reader["generation"]), (6, 2, 1))
        self.assertGreater(reader["number"], 0)
        title, line = self.call("ls", "cam").stdout.splitlines()
        self.assertEqual(title.split(), ["READER", "NAME", "PID", "POLICY", "GEN", "STATE", "RATE",
                                         "HELD", "LOST", "AGE", "p50", "AGE", "p99"])
        self.assertRegex(line, r"^ *\d+  shmframe-latency +\d+  in-order 6 +1  (asleep|away)")

    def test_what_a_reader_measures_is_seen_from_outside(self):
        def reader():
            return json.loads(self.call("ls", "cam", "--format", "json").stdout)["readers"][0]
        first = reader()
        self.assertTrue(first["is_measured"])
        self.assertEqual(first["uid"], os.getuid())
        end = time.monotonic() + 20
        while reader()["counters"]["delivered"] < first["counters"]["delivered"] + 20:
            self.assertLess(time.monotonic(), end)
        now = reader()
        self.assertEqual(set(now["hops"]), {"produce", "wake", "transit", "hold", "age", "display"})
        self.assertGreater(now["hops"]["age"]["count"], first["hops"]["age"]["count"])
        # As many as are there: a machine under load takes some from the rate, and never adds.
        self.assertGreater(now["rate_hz"], 1)
        self.assertLess(now["rate_hz"], 40)
        self.assertEqual(now["lost"], now["counters"]["lost_late"] + now["counters"]["lost_restart"])
        self.assertLessEqual(now["held"], 2)
        self.assertEqual(now["process"]["pid"], now["pid"])
        self.assertGreater(now["process"]["resident_bytes"], now["process"]["private_bytes"])

    def test_an_unknown_stream_is_told_in_one_line(self):
        for arguments in (["ls", "nowhere"], ["info", "nowhere"], ["stats", "nowhere"], ["ask", "nowhere", "pause"]):
            done = self.call(*arguments)
            self.assertEqual((done.returncode, done.stdout), (1, ""), arguments)
            self.assertEqual(done.stderr.count("\n"), 1, arguments)
            self.assertIn("no stream 'nowhere'; 'shmframe ls' lists what there is", done.stderr)

    def test_the_writer_s_answer_is_printed(self):
        self.assertEqual(self.call("ask", "cam", "pause").stdout, "paused\n")
        self.assertEqual(self.call("ask", "cam", "resume").stdout, "running\n")

    def test_words_behind_the_verb_are_one_argument(self):
        done = self.call("ask", "cam", "help", "me", "please")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("verbs: help, pause"), done.stdout)
        done = self.call("ask", "cam", "help", "-5", "--no-such-option")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.call("ask", "cam", "set", "x" * 100, "y" * 100)
        self.assertEqual(done.returncode, 2)
        self.assertIn("191 bytes", done.stderr)

    def test_a_verb_that_the_writer_does_not_know_fails(self):
        done = self.call("ask", "cam", "dance", "slowly")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertIn("dance", done.stderr)


if __name__ == "__main__":
    unittest.main()
