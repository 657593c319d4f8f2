"""The supervisor dies, and the next one takes over its nodes."""

import ctypes
import os
import resource
import signal
import subprocess
import unittest

from place import NOFILE, TEST_ALL, Place, children_of, is_running, wait_for


class Adopt(Place):
    @classmethod
    def setUpClass(cls):
        # What outlives its supervisor is this process's: nobody reaps it before a test does.
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER

    def test_nodes_outlive_a_killed_supervisor(self):
        text = ("[consumer a]\ncommand = sleep 1000\n[consumer b]\ncommand = sleep 1000\n"
                "[consumer c]\ncommand = false\nrestart = no\n")
        self.start(text)
        before = {name: self.await_state(name, "running") for name in "ab"}
        before["c"] = self.await_state("c", "failed")
        self.done("stop", "b")
        before["b"] = self.await_state("b", "stopped")
        for _ in range(3 if TEST_ALL else 1):
            self.kill()
            self.assertTrue(is_running(before["a"]["pid"]))
            self.start()
            self.assertEqual(self.nodes(), before)
        self.stop()
        self.assertFalse(is_running(before["a"]["pid"]))

    def test_how_an_adopted_node_ended_is_known(self):
        self.start("[consumer a]\nrestart = no\ncommand = trap 'exit 7' USR1; echo > up; "
                   "while :; do sleep 0.02; done\ndirectory = " + self.folder + "\n")
        pid = self.await_state("a", "running")["pid"]
        wait_for(lambda: self.read("up"))
        self.kill()
        self.start()
        self.assertEqual(self.node("a")["pid"], pid)
        os.kill(pid, signal.SIGUSR1)
        os.waitpid(pid, 0)
        node = self.await_state("a", "failed")
        self.assertEqual(node["exit_status"], 7, node)
        self.stop()

    def test_how_an_adopted_node_ended_is_known_before_it_is_reaped(self):
        self.start("[consumer good]\nrestart = on-failure\ncommand = while ! [ -e go ]; do "
                   "sleep 0.02; done\ndirectory = " + self.folder + "\n"
                   "[consumer bad]\nrestart = no\ncommand = while ! [ -e go ]; do sleep 0.02; "
                   "done; exit 7\ndirectory = " + self.folder + "\n"
                   "[consumer early]\nrestart = no\ncommand = exec sleep 1000\n")
        pids = [self.await_state(name, "running")["pid"] for name in ("good", "bad", "early")]
        self.kill()
        os.kill(pids[2], signal.SIGTERM)
        wait_for(lambda: not is_running(pids[2]))
        self.start()
        self.assertEqual(self.await_state("early", "failed")["exit_status"], -signal.SIGTERM)
        self.write("go", "")
        self.assertEqual(self.await_state("bad", "failed")["exit_status"], 7)
        self.assertEqual(self.await_state("good", "stopped")["reason"], "ended with status 0")
        for pid in pids:
            os.waitpid(pid, 0)
        self.stop()

    def test_a_node_that_died_in_between_is_a_failure(self):
        self.start("[consumer a]\ncommand = sleep 1000\nrestart = no\n")
        pid = self.await_state("a", "running")["pid"]
        self.kill()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.start()
        node = self.await_state("a", "failed")
        self.assertEqual(node["exit_status"], -2 ** 31)
        self.assertIn("nobody knows how", node["reason"])
        self.stop()

    def test_what_the_file_says_otherwise_by_then_counts(self):
        self.start("[consumer a]\ncommand = sleep 1000\n[consumer b]\ncommand = sleep 1000\n"
                   "[consumer c]\ncommand = sleep 1000\n")
        before = {name: self.await_state(name, "running") for name in "abc"}
        self.kill()
        self.start("[consumer a]\ncommand = sleep 1000\n[consumer b]\ncommand = sleep 2000\n")
        wait_for(lambda: not is_running(before["c"]["pid"]), "c's end")
        wait_for(lambda: not is_running(before["b"]["pid"]), "b's end")
        after = wait_for(lambda: (nodes := self.nodes()).get("b", {}).get("state") == "running"
                         and nodes["b"]["pid"] != before["b"]["pid"] and "c" not in nodes and nodes)
        self.assertEqual(after["a"], before["a"])
        self.stop()

    def test_readiness_told_while_no_supervisor_was_there_counts(self):
        self.start("[consumer a]\nready = fd:3\nready-timeout = 60s\ndirectory = " + self.folder +
                   "\ncommand = while ! [ -e go ]; do sleep 0.02; done; echo >&3; echo > told; "
                   "exec sleep 1000\n")
        pid = self.await_state("a", "starting")["pid"]
        wait_for(lambda: os.path.exists(f"/proc/{pid}/fd/3"))
        self.kill()
        self.write("go", "")
        wait_for(lambda: self.read("told"))
        self.start()
        self.assertEqual(self.await_state("a", "running")["pid"], pid)
        self.stop()

    STUBBORN = "trap '' TERM; echo > up; while :; do sleep 0.05; done"

    def start_again(self):
        """As after a kill -9."""
        self.kill()
        self.start()

    def test_what_an_adopted_node_leaves_behind_is_ended(self):
        self.start("[consumer a]\nrestart = no\nstop-timeout = 100ms\ndirectory = " + self.folder +
                   "\ncommand = (" + self.STUBBORN + ") & exec sleep 1000\n")
        pid = self.await_state("a", "running")["pid"]
        wait_for(lambda: self.read("up"))
        self.start_again()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.await_state("a", "failed")
        self.assertEqual(self.family(), [])
        self.stop()

    def test_an_end_that_is_known_stays_known(self):
        self.start("[consumer a]\nstop-timeout = 1h\ndirectory = " + self.folder +
                   "\ncommand = (" + self.STUBBORN + ") & while ! [ -e up ]; do sleep 0.02; done; "
                   "exit 0\n")
        wait_for(lambda: any("processes behind" in text for text in self.states("a")))
        self.start_again()
        self.kill_family()
        self.assertEqual(self.await_state("a", "stopped")["exit_status"], 0)
        self.stop()

    def test_killed_while_nodes_start_none_runs_twice(self):
        names = [f"n{i}" for i in range(40 if TEST_ALL else 20)]
        self.start("[consumer first]\ncommand = sleep 1000\n")
        self.await_state("first", "running")
        self.write("pipeline", "".join(f"[consumer {name}]\ncommand = sleep 1000\n"
                                       for name in names))
        self.supervisor.send_signal(signal.SIGHUP)
        wait_for(lambda: len(self.family()) > 1)
        self.start_again()
        pids = [self.await_state(name, "running")["pid"] for name in names]
        wait_for(lambda: list(self.nodes()) == names)
        self.assertEqual(sorted(self.family()), sorted(pids))
        self.stop()

    def test_killed_while_it_ended_all_run_again(self):
        self.start("[consumer a]\nstop-timeout = 1h\ndirectory = " + self.folder + "\ncommand = " +
                   self.STUBBORN + "\n[consumer b]\ncommand = sleep 1000\n"
                   "[consumer c]\ncommand = sleep 1000\n")
        pid = self.await_state("a", "running")["pid"]
        wait_for(lambda: self.read("up"))
        self.done("stop", "c")
        self.await_state("c", "stopped")
        self.supervisor.terminate()
        self.await_state("b", "stopped")
        self.start_again()
        self.await_state("b", "running")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.node("a")["state"] == "running" and self.node("a")["pid"] != pid)
        self.assertEqual(self.node("c")["state"], "stopped")
        self.kill_family()
        self.stop()

    def test_a_removed_node_that_was_still_stopping_is_ended(self):
        self.start("[consumer a]\nstop-timeout = 300ms\ndirectory = " + self.folder +
                   "\ncommand = " + self.STUBBORN + "\n[consumer b]\ncommand = sleep 1000\n")
        pid = self.await_state("a", "running")["pid"]
        wait_for(lambda: self.read("up"))
        self.write("pipeline", "[consumer b]\ncommand = sleep 1000\n")
        self.done("reload")
        self.start_again()
        wait_for(lambda: "a" not in self.nodes())
        self.assertFalse(is_running(pid))
        self.stop()

    def test_what_the_machine_has_no_more_costs_its_node_alone_a_restart(self):
        os.mkdir(self.path("gone"))
        self.start("[consumer b]\ncommand = sleep 1000\n[consumer a]\ncommand = sleep 1000\n"
                   "directory = " + self.path("gone") + "\n[consumer c]\ncommand = sleep 1000\n")
        before = {name: self.await_state(name, "running") for name in "abc"}
        self.kill()
        os.rmdir(self.path("gone"))
        self.start("".join(f"[consumer {name}]\ncommand = sleep 1000\n" for name in "abc"))
        wait_for(lambda: self.node("a")["state"] == "running" and
                 self.node("a")["pid"] != before["a"]["pid"])
        self.assertEqual([self.node(name) for name in "bc"], [before[name] for name in "bc"])
        after = {name: node["pid"] for name, node in self.nodes().items()}
        self.assertEqual(sorted(self.family()), sorted(after.values()))
        # Without the text of the former file all are started anew, and none runs twice.
        self.kill()
        self.write("run/socket.config", "[")
        self.start()
        wait_for(lambda: all(node["state"] == "running" and node["pid"] != after[name]
                             for name, node in self.nodes().items()))
        self.assertEqual(len(self.family()), 3)
        self.stop()

    def test_a_ready_descriptor_that_is_no_pipe_any_more(self):
        self.start("[consumer a]\nready = fd:3\nrestart = no\nready-timeout = 60s\ndirectory = " +
                   self.folder + "\ncommand = while ! [ -e go ]; do sleep 0.02; done; echo >&3; "
                   "exec 3< go; echo > told; exec sleep 1000\n"
                   "[consumer b]\nready = fd:3\nrestart = no\nready-timeout = 60s\ndirectory = " +
                   self.folder + "\ncommand = while ! [ -e go ]; do sleep 0.02; done; echo >&3; "
                   "exec 3>&-; echo > told.b; exec sleep 1000\n")
        pids = [self.await_state(name, "starting")["pid"] for name in "ab"]
        wait_for(lambda: all(os.path.exists(f"/proc/{pid}/fd/3") for pid in pids))
        self.kill()
        self.write("go", "")
        wait_for(lambda: self.read("told") and self.read("told.b"))
        self.start()
        self.assertEqual([self.await_state(name, "running")["pid"] for name in "ab"], pids)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for name in "ab":
            self.await_state(name, "failed")
        self.stop()

    def test_a_node_whose_first_thread_has_ended_lives(self):
        exit_thread = 60 if os.uname().machine == "x86_64" else 93  # _exit(2)
        self.write("program", "import ctypes, threading, time\n"
                   "threading.Thread(target=time.sleep, args=[1000]).start()\n"
                   f"ctypes.CDLL(None).syscall({exit_thread}, 0)\n")
        self.start("[consumer a]\nrestart = no\ndirectory = " + self.folder +
                   "\ncommand = python3 program\n")
        pid = self.await_state("a", "running")["pid"]
        wait_for(lambda: not is_running(pid))
        self.start_again()
        node = self.node("a")
        self.assertEqual((node["state"], node["pid"]), ("running", pid), node)
        self.done("stop", "a")
        self.assertEqual(self.await_state("a", "stopped")["exit_status"], -signal.SIGTERM)
        self.stop()

    def test_a_number_that_is_anothers_by_now_is_believed_of_nobody(self):
        self.start("[consumer a]\ncommand = sleep 1000\nrestart = no\n")
        pid = self.await_state("a", "running")["pid"]
        self.kill()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        stranger = subprocess.Popen(["sh", "-c", "sleep 1000 & echo; wait"],
                                    stdout=subprocess.PIPE, start_new_session=True)
        self.addCleanup(stranger.stdout.close)
        self.addCleanup(stranger.wait)
        self.addCleanup(lambda: os.killpg(stranger.pid, signal.SIGKILL))
        stranger.stdout.readline()
        members = children_of(stranger.pid)
        self.write("run/socket.nodes", self.read("run/socket.nodes").replace(f" {pid} ",
                                                                            f" {stranger.pid} "))
        self.start()
        self.await_state("a", "failed")
        self.assertEqual(len(members), 1)
        self.assertTrue(is_running(members[0]))
        self.stop()

    def test_an_upgrade_keeps_nodes_as_children(self):
        self.start("[consumer a]\nrestart = no\ncommand = sleep 1000\n")
        before = self.await_state("a", "running")
        self.done("upgrade")
        wait_for(lambda: len([event for event in self.ask("events")
                              if event["type"] == "supervisor"]) > 1)
        self.assertEqual(self.node("a"), before)
        os.kill(before["pid"], signal.SIGKILL)
        self.assertEqual(self.await_state("a", "failed")["exit_status"], -9)
        # What the supervisor raised for itself is not handed on.
        self.done("start", "a")
        self.assertEqual(resource.prlimit(self.await_state("a", "running")["pid"],
                                          resource.RLIMIT_NOFILE),
                         NOFILE)
        self.stop()

    def test_a_damaged_file_of_the_former_one_is_not_believed(self):
        self.start("[consumer a]\ncommand = sleep 1000\n")
        pid = self.await_state("a", "running")["pid"]
        self.kill()
        os.kill(pid, signal.SIGKILL)
        text = self.read("run/socket.nodes")
        sleeper = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.kill)
        damages = (text[:len(text) // 2], text.replace(f" {pid} ", f" {sleeper.pid} "), "",
                   text.replace("a 3 ", "a 77 "), "\0" * 100, text * 200)
        for damage in damages if TEST_ALL else damages[:2]:
            self.write("run/socket.nodes", damage)
            self.start()
            self.assertNotEqual(self.await_state("a", "running")["pid"], sleeper.pid)
            self.assertIsNone(sleeper.poll())
            self.kill()
            self.kill_family()


if __name__ == "__main__":
    unittest.main()
