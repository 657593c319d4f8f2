"""shmframe events: filters, both formats, and following over the end of a supervisor."""

import errno
import json
import os
import signal
import subprocess
import unittest

from supervised import Supervised


class Events(Supervised):
    def follow(self, *arguments):
        return self.start("shmframe", "events", "--follow", *arguments, stdout=subprocess.PIPE)

    def test_the_supervisor_s_start_is_the_first(self):
        event = self.json_lines("events")[0]
        self.assertEqual((event["id"], event["type"], event["pid"]),
                         (1, "supervisor", self.supervisor.pid))
        self.assertIn("started", event["words"])
        line = self.call("events").stdout.splitlines()[0]
        self.assertRegex(line, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} shmframed \(pid \d+\): started")

    def test_what_is_not_wanted_is_left_out(self):
        self.assertEqual(self.json_lines("events", "--type", "loss"), [])
        self.assertEqual(self.json_lines("events", "--stream", "nowhere"), [])
        self.assertEqual(self.json_lines("events", "--since", "2199-01-01 12:00"), [])
        every = self.json_lines("events", "--since", "2000-01-01", "--type", "node",
                                "--type", "supervisor")
        self.assertEqual({event["type"] for event in every}, {"supervisor"})
        both = self.json_lines("events", "--type", "node,supervisor")
        self.assertEqual({event["type"] for event in both}, {"supervisor"})
        self.assertEqual(len(self.json_lines("events", "--since", "1h", "--last", "1")), 1)

    def test_mistakes_are_usage_errors_in_one_line(self):
        for arguments in (["--type", "joy"], ["--since", "yesterday"], ["--since", "25:61"],
                          ["--stream", "A B"], ["--last", "0"], ["--format", "xml"], ["cam"]):
            done = self.call("events", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_a_type_that_is_like_one_is_told(self):
        for text in ("los", "node,los", "los,"):
            self.assertIn('there is no type "los"; near it is loss;',
                          self.call("events", "--type", text).stderr)
        self.assertEqual(self.call("events", "--type", "loss,").returncode, 2)

    def test_following_ends_with_a_signal(self):
        follower = self.follow()
        self.assertIn("started", follower.stdout.readline())
        follower.send_signal(signal.SIGINT)
        self.assertEqual(follower.wait(30), 0)


class Refusal(Supervised):
    def test_what_is_not_offered_is_refused_without_a_line_in_the_log(self):
        self.start("shmframe-pattern", "--stream", "live", "--size", "64x48")
        self.await_true(lambda: self.stream("live"))
        lossless = self.start("shmframe-latency", "live", "--policy", "lossless", stderr=subprocess.PIPE)
        self.assertIn("is live and waits for nobody", lossless.communicate(timeout=60)[1])
        taken = self.start("shmframe-pattern", "--stream", "live", stderr=subprocess.PIPE)
        self.assertIn("is already written", taken.communicate(timeout=60)[1])
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
            refused = [line for line in file if "refuse errno=" in line]
        self.assertEqual([line.split("errno=")[1].split()[0] for line in refused],
                         [str(errno.EEXIST)])


class Restart(Supervised):
    def test_following_goes_on_at_the_next_supervisor(self):
        follower = self.start("shmframe", "events", "--follow", "--type", "supervisor", "--format",
                              "json", stdout=subprocess.PIPE)
        first = json.loads(follower.stdout.readline())
        self.assertEqual(first["pid"], self.supervisor.pid)
        self.supervisor.kill()
        self.supervisor.wait(30)
        self.start_supervisor()
        event = json.loads(follower.stdout.readline())
        while event.get("pid") != self.supervisor.pid:
            event = json.loads(follower.stdout.readline())
        self.assertEqual(event["type"], "supervisor")
        self.assertGreater(event["id"], first["id"])

    def test_another_journal_is_told_and_read_from_its_begin(self):
        follower = self.start("shmframe", "events", "--follow", "--type", "supervisor", "--format",
                              "json", stdout=subprocess.PIPE)
        first = json.loads(follower.stdout.readline())
        self.assertEqual(first["type"], "supervisor")
        self.supervisor.kill()
        self.supervisor.wait(30)
        os.unlink(self.socket + ".journal")
        self.start_supervisor()
        lines = [json.loads(follower.stdout.readline())]
        while lines[-1].get("pid") != self.supervisor.pid:
            lines.append(json.loads(follower.stdout.readline()))
        self.assertIn({"begins_anew": True}, lines)
        self.assertEqual(lines[-1]["id"], 1)


if __name__ == "__main__":
    unittest.main()
