"""shmframe status, start, stop, restart, reload, upgrade: against nodes that really run."""

import os
import unittest

from supervised import Supervised

PIPELINE = """
[producer cam]
command = shmframe-pattern --stream cam --size 64x48 --rate 30
[consumer idle]
command = sleep 1000
start = no
[consumer broken]
command = sh -c 'exit 3'
ready = fd:3
start = no
restart = no
[consumer brief]
command = true
start = no
restart = no
[consumer stubborn]
command = sh -c 'trap "" TERM; exec sleep 1000'
start = no
stop-timeout = 60s
"""


class Nodes(Supervised):
    def setUp(self):
        self.path = os.path.join(self.folder, "pipeline.ini")
        if self.supervised_by == ("shmframed",):
            self.write(PIPELINE)
            self.supervisor.terminate()
            self.supervisor.wait(30)
            type(self).supervised_by = ("shmframed", "--config", self.path)
            self.start_supervisor()
        self.await_true(lambda: self.node("cam")["state"] == "running")

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def node(self, name):
        found, = [n for n in self.json("status")["nodes"] if n["name"] == name]
        return found

    def assert_told(self, done, status, *words):
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (status, "", 1),
                         done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_status_lists_nodes(self):
        lines = self.call("status").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NODE", "KIND", "STATE", "FOR", "PID", "STARTS",
                                            "RESTARTS", "MEMORY", "REASON"])
        self.assertEqual([line.split()[0] for line in lines[1:]],
                         ["cam", "idle", "broken", "brief", "stubborn"])
        self.assertRegex(lines[1], r"^cam +producer +running +\S+ \w+ +\d+ +\d+ +0 ")
        self.assertEqual(len(self.call("status", "cam", "idle").stdout.splitlines()), 3)
        cam = self.node("cam")
        self.assertEqual((cam["kind"], cam["process"]["pid"]), ("producer", cam["pid"]))

    def test_start_and_stop_wait_until_it_is_so(self):
        for _ in range(2):
            self.assertEqual(self.call("start", "idle").returncode, 0)
            pid = self.node("idle")["pid"]
            self.assertTrue(os.path.exists(f"/proc/{pid}"))
            self.assertEqual(self.call("start", "idle").returncode, 0)
            self.assertEqual(self.node("idle")["pid"], pid)
            self.assertEqual(self.call("stop", "idle").returncode, 0)
            self.assertFalse(os.path.exists(f"/proc/{pid}"))
            self.assertEqual(self.node("idle")["state"], "stopped")
            self.assertEqual(self.call("stop", "idle").returncode, 0)

    def test_restart_gives_another_process(self):
        before = self.node("cam")
        self.assertEqual(self.call("restart", "cam").returncode, 0)
        after = self.node("cam")
        self.assertNotEqual(after["pid"], before["pid"])
        self.assertEqual((after["state"], after["starts"]), ("running", before["starts"] + 1))

    def test_a_restart_of_all_leaves_alone_what_is_stopped(self):
        for name in ("idle", "broken", "brief", "stubborn"):
            self.await_true(lambda: self.node(name)["state"] in ("stopped", "failed"))
            self.assertEqual(self.call("stop", name).returncode, 0)
            self.await_true(lambda: self.node(name)["state"] == "stopped")
        before = self.node("cam")["pid"]
        done = self.call("restart", "--all")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotEqual(self.node("cam")["pid"], before)
        self.assertEqual(self.node("idle")["state"], "stopped")

    def test_a_node_that_fails_is_told_with_why(self):
        self.assert_told(self.call("start", "broken"), 1, "broken", "failed", "3")

    def test_a_node_that_is_done_has_been_started(self):
        self.assertEqual(self.call("start", "brief").returncode, 0)
        self.assertEqual(self.node("brief")["exit_status"], 0)

    def test_time_is_limited(self):
        self.assertEqual(self.call("start", "stubborn").returncode, 0)
        done = self.call("stop", "stubborn", "--timeout", "200ms")
        self.assert_told(done, 1, "stubborn", "after 200 ms it is stopping")
        # It takes a minute, which nobody need wait for.
        self.assertEqual(self.call("stop", "stubborn", "--no-wait", "--timeout", "200ms").returncode, 0)
        self.assertEqual(self.node("stubborn")["state"], "stopping")
        os.kill(self.node("stubborn")["pid"], 9)
        self.await_true(lambda: self.node("stubborn")["state"] == "stopped")

    def test_one_need_not_wait(self):
        self.assertEqual(self.call("start", "idle", "--no-wait").returncode, 0)
        self.await_true(lambda: self.node("idle")["state"] == "running")
        self.assertEqual(self.call("stop", "idle", "--no-wait").returncode, 0)
        self.await_true(lambda: self.node("idle")["state"] == "stopped")

    def test_names_are_looked_at_before_anything_is_done(self):
        pid = self.node("cam")["pid"]
        for verb in ("start", "stop", "restart", "status"):
            self.assert_told(self.call(verb, "cam", "nobody"), 1, "nobody")
        for arguments in (["stop"], ["stop", "--all", "cam"], ["reload", "cam"], ["upgrade", "now"],
                          ["start", "--timeout", "0", "cam"]):
            self.assert_told(self.call(*arguments), 2)
        self.assertEqual(self.node("cam")["pid"], pid)

    def test_reload_applies_what_changed_and_tells_mistakes(self):
        cam = self.node("cam")["pid"]
        try:
            self.write(PIPELINE + "[consumer more]\ncommand = sleep 1000\n")
            self.assertEqual(self.call("reload").returncode, 0)
            self.await_true(lambda: self.node("more")["state"] == "running")
            self.write(PIPELINE + "[consumer more]\ncommand = sleep 1000\nnice = often\nwhat = ever\n")
            done = self.call("reload")
            self.assertEqual(done.returncode, 1)
            self.assertIn("nice", done.stderr)
            self.assertIn("what", done.stderr)
            self.assertNotIn("reload: reload", done.stderr)
            self.assertEqual(self.node("more")["state"], "running")
        finally:
            self.write(PIPELINE)
            self.assertEqual(self.call("reload").returncode, 0)
        self.await_true(lambda: "more" not in [n["name"] for n in self.json("status")["nodes"]])
        self.assertEqual(self.node("cam")["pid"], cam)

    def test_upgrade_keeps_nodes_and_streams(self):
        cam = self.node("cam")
        head = self.await_true(lambda: (self.stream("cam") or {}).get("head"))
        done = self.call("upgrade")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^shmframed.* \(pid \d+\): was upgraded\n$")
        self.await_true(lambda: self.node("cam")["pid"] == cam["pid"])
        self.await_true(lambda: (self.stream("cam") or {"head": 0})["head"] > head)


class Without(Supervised):
    def test_a_supervisor_without_a_file_has_no_nodes(self):
        self.assertEqual(self.json("status"), {"nodes": []})
        self.assertIn("without a pipeline file", self.call("status").stderr)
        # Its settings can be read again all the same.
        self.assertEqual(self.call("reload").returncode, 0)
        for arguments in (["start", "cam"], ["stop", "--all"]):
            done = self.call(*arguments)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            self.assertRegex(done.stderr, "without a pipeline file|--config FILE")


if __name__ == "__main__":
    unittest.main()
