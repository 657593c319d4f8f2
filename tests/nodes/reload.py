"""The file is read again: only what it says otherwise is changed."""

import os
import signal
import unittest

from place import Place, is_running, wait_for

SLEEP = "command = sleep 1000\n"


class Reload(Place):
    def test_only_what_changed_changes(self):
        self.start(f"[consumer a]\n{SLEEP}[consumer b]\n{SLEEP}[consumer c]\n{SLEEP}"
                   f"[consumer d]\n{SLEEP}")
        before = {name: self.await_state(name, "running") for name in "abcd"}
        self.write("pipeline", f"[consumer e]\n{SLEEP}[consumer a]\n{SLEEP}"
                   f"[consumer b]\n{SLEEP}nice = 3\n[consumer d]\n{SLEEP}stop-timeout = 100ms\n")
        self.done("reload")
        self.await_state("e", "running")
        after = wait_for(lambda: (nodes := self.nodes()).get("b", {}).get("state") == "running"
                         and nodes["b"]["pid"] != before["b"]["pid"] and "c" not in nodes and nodes)
        self.assertEqual(list(after), ["e", "a", "b", "d"])
        self.assertEqual((after["a"], after["d"]), (before["a"], before["d"]))
        self.assertEqual(after["b"]["restarts"], 0)
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, after["b"]["pid"]), 3)
        self.assertFalse(is_running(before["c"]["pid"]))
        self.stop()

    def test_limits_apply_at_once(self):
        command = "command = trap '' TERM; echo > up; while :; do sleep 0.05; done\n"
        self.start(f"[consumer a]\n{command}directory = {self.folder}\nstop-timeout = 1h\n")
        self.await_state("a", "running")
        wait_for(lambda: self.read("up"))
        self.write("pipeline", f"[consumer a]\n{command}directory = {self.folder}\n"
                   "stop-timeout = 50ms\n")
        self.done("reload")
        self.done("stop", "a")
        self.await_state("a", "stopped")
        self.stop()

    def test_a_file_with_mistakes_changes_nothing(self):
        self.start(f"[consumer a]\n{SLEEP}")
        before = self.await_state("a", "running")
        self.write("pipeline", f"[consumer a]\ncommand = sleep 2\nnoce = 3\n[producer]\n{SLEEP}")
        answer = self.command("reload")
        self.assertEqual(answer["code"], -22)
        self.assertEqual(len(answer["lines"]), 2, answer)
        self.assertRegex(answer["lines"][0], r"/pipeline:3: .*noce")
        self.assertRegex(answer["lines"][1], r"/pipeline:4: ")
        self.assertEqual(self.node("a"), before)
        os.remove(self.path("pipeline"))
        self.assertEqual(self.command("reload")["code"], -22)
        self.assertEqual(self.node("a"), before)
        self.stop()

    def test_a_hangup_reloads(self):
        self.start(f"[consumer a]\n{SLEEP}")
        self.await_state("a", "running")
        self.write("pipeline", f"[consumer b]\n{SLEEP}")
        self.supervisor.send_signal(signal.SIGHUP)
        self.await_state("b", "running")
        wait_for(lambda: "a" not in self.nodes())
        self.stop()

    def test_one_that_comes_back_while_it_stops_is_a_new_one(self):
        text = (f"[consumer a]\nstart = no\nstop-timeout = 1h\ndirectory = {self.folder}\n"
                "command = trap '' TERM; echo > up; while :; do sleep 0.05; done\n")
        self.start(text)
        self.done("start", "a")
        wait_for(lambda: self.read("up"))
        pid = self.await_state("a", "running")["pid"]
        self.write("pipeline", f"[consumer b]\n{SLEEP}")
        self.done("reload")
        self.await_state("a", "stopping")
        self.write("pipeline", text)
        self.done("reload")
        self.await_state("a", "stopping")
        os.killpg(pid, signal.SIGKILL)
        self.await_state("a", "stopped")
        self.stop()

    def test_a_restart_of_all_starts_none_that_is_stopped(self):
        self.start(f"[consumer a]\n{SLEEP}[consumer b]\nstart = no\n{SLEEP}")
        pid = self.await_state("a", "running")["pid"]
        self.done("restart")
        wait_for(lambda: self.node("a")["state"] == "running" and self.node("a")["pid"] != pid)
        self.assertEqual(self.node("b")["state"], "stopped")
        self.done("restart", "b")
        self.await_state("b", "running")
        self.stop()

    def test_a_node_that_is_stopped_stays_so(self):
        self.start(f"[consumer a]\n{SLEEP}[consumer b]\ncommand = false\nrestart = no\n")
        self.await_state("a", "running")
        self.await_state("b", "failed")
        self.done("stop", "a")
        self.await_state("a", "stopped")
        self.write("pipeline", f"[consumer a]\n{SLEEP}nice = 2\n[consumer b]\n{SLEEP}")
        self.done("reload")
        self.await_state("b", "running")  # what it failed with was mended
        self.assertEqual(self.node("a")["state"], "stopped")
        self.stop()


if __name__ == "__main__":
    unittest.main()
