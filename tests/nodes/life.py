"""Nodes start, become ready, end, are started again, and stop."""

import os
import signal
import unittest

from place import Place, children_of, is_running, wait_for


class Life(Place):
    def test_a_node_runs_until_the_supervisor_ends(self):
        self.start("[consumer a]\ncommand = sleep 1000\n")
        node = self.await_state("a", "running")
        self.assertTrue(is_running(node["pid"]))
        self.assertEqual(os.getsid(node["pid"]), node["pid"])
        self.assertEqual((node["kind"], node["starts"], node["restarts"]), ("consumer", 1, 0))
        self.stop()
        self.assertFalse(is_running(node["pid"]))

    def test_a_node_that_crashes_is_started_again(self):
        self.start("[consumer a]\ncommand = sleep 1000\nrestart-delay = 10ms\n")
        before = self.await_state("a", "running")
        os.kill(before["pid"], signal.SIGSEGV)
        after = wait_for(lambda: (node := self.await_state("a", "running"))["restarts"] and node)
        self.assertNotEqual(after["pid"], before["pid"])
        self.assertEqual(after["exit_status"], -signal.SIGSEGV)
        self.assertTrue(any("signal 11" in text for text in self.states("a")), self.states("a"))
        self.stop()

    def test_commands(self):
        self.start("[consumer a]\ncommand = sleep 1000\n[consumer b]\ncommand = sleep 1000\n"
                   "start = no\n")
        first = self.await_state("a", "running")
        self.assertEqual(self.node("b")["state"], "stopped")
        self.done("start", "b")
        self.await_state("b", "running")
        self.done("stop", "a")
        self.await_state("a", "stopped")
        self.assertFalse(is_running(first["pid"]))
        self.done("restart", "a")
        self.await_state("a", "running")
        self.done("stop")
        self.await_state("a", "stopped")
        self.await_state("b", "stopped")
        answer = self.command("stop", "c")
        self.assertEqual(answer["code"], -2)
        self.assertIn("no node 'c'", answer["error"])
        self.assertEqual(self.command("fly", "a")["code"], -22)
        self.stop()

    def test_what_a_dead_node_leaves_behind_is_ended(self):
        self.start("[consumer a]\nrestart = no\nstop-timeout = 100ms\ndirectory = " + self.folder +
                   "\ncommand = sleep 1000 & setsid sleep 1001 & (setsid sh -c 'trap \"\" TERM; "
                   "echo > up; while :; do sleep 0.05; done' &); "
                   "while ! [ -e up ]; do sleep 0.02; done\n")
        self.await_state("a", "stopped")
        self.assertEqual(self.family(), [])
        self.assertEqual(children_of(self.supervisor.pid), [])
        self.assertTrue(any("processes behind" in text for text in self.states("a")))
        self.stop()


if __name__ == "__main__":
    unittest.main()
