"""Nodes that behave badly: each is dealt with, and no other is touched."""

import os
import resource
import signal
import subprocess
import time
import unittest

from place import NOFILE, Place, children_of, is_running, wait_for

GOOD = "[consumer good]\ncommand = sleep 1000\n"


class Hard(Place):
    def begin(self, node, **more):
        """Starts it beside one that does no harm."""
        self.start(GOOD + node.replace("FOLDER", self.folder), **more)
        self.good = self.await_state("good", "running")

    def finish(self):
        """The good one has noticed nothing, and there is no zombie."""
        self.assertEqual(self.node("good"), self.good)
        wait_for(lambda: children_of(self.supervisor.pid) == [self.good["pid"]], "zombies to go")
        self.stop()

    def test_one_that_ends_at_once_is_given_up(self):
        self.begin("[consumer a]\ncommand = sh -c 'exit 3'\nrestart-delay = 1ms\n"
                   "restart-limit = 5/60s\n")
        node = self.await_state("a", "failed")
        self.assertEqual((node["starts"], node["restarts"], node["exit_status"]), (5, 4, 3))
        self.assertRegex(node["reason"], "given up: .* 5 within 60 s; shmframe start a; .*status 3")
        self.assertTrue(any("given up" in text and "5 within 60 s" in text
                            for text in self.states("a")), self.states("a"))
        self.done("start", "a")  # a new account
        wait_for(lambda: self.node("a")["starts"] == 10)
        self.finish()

    def test_words_that_are_too_long_end_after_a_word(self):
        name = "a" * 63
        self.begin(f"[consumer {name}]\ncommand = kill -PIPE $$\nrestart-delay = 1ms\n"
                   "restart-limit = 2/60s\n")
        reason = self.await_state(name, "failed")["reason"]
        told = [text for text in self.states(name) if text.startswith("failed: ")]
        self.assertIn("was killed by signal 13 (Broken pipe): nobody read its output any more; let "
                      "the reader of that output outlive it, or send the output to a file", told[-1])
        self.assertTrue(reason.endswith(f"start {name}; the last time: was killed by signal 13 "
                                        "(Broken ..."), reason)
        self.finish()

    def test_a_program_that_is_not_there(self):
        self.begin("[consumer a]\ncommand = no-such-program\nrestart = no\n")
        self.assertIn("was not found (status 127)", self.await_state("a", "failed")["reason"])
        self.finish()

    def test_what_cannot_be_given_is_told(self):
        os.mkdir(self.path("gone"))
        self.begin("[consumer a]\ncommand = sleep 9\nrestart = no\nlog = FOLDER/gone/log\n"
                   "[consumer b]\ncommand = sleep 9\nrestart = no\ndirectory = FOLDER/gone\n")
        for name in "ab":
            self.await_state(name, "running")
            self.done("stop", name)
            self.await_state(name, "stopped")
        os.remove(self.path("gone/log"))
        os.rmdir(self.path("gone"))
        for name, sentence in (("a", r"log cannot be opened: .*/gone/log: No such file"),
                               ("b", r"directory cannot be entered: .*/gone: No such file")):
            self.done("start", name)
            self.assertRegex(self.await_state(name, "failed")["reason"], sentence)
        self.finish()

    def test_one_that_ignores_its_stop_signal_is_killed_with_all_it_has(self):
        self.begin("[consumer a]\nstop-timeout = 100ms\ndirectory = FOLDER\ncommand = "
                   "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo > inner; "
                   "while :; do sleep 0.05; done' &) ; echo > outer; "
                   "while :; do sleep 0.05; done\n")
        pid = self.await_state("a", "running")["pid"]
        wait_for(lambda: self.read("inner") and self.read("outer"))
        self.done("stop", "a")
        node = self.await_state("a", "stopped")
        self.assertIn("had not ended within 0.1 s", node["reason"])
        self.assertEqual(node["exit_status"], -signal.SIGKILL)
        self.assertFalse(is_running(pid))
        self.assertEqual(len([pid for pid in self.family()]), 1)
        self.finish()

    def test_all_of_a_node_get_the_stop_signal(self):
        member = "sh -c 'trap \"echo > NAME.told; exit\" TERM; echo > NAME.up; " \
            "while :; do sleep 0.02; done'"
        self.begin("[consumer a]\ndirectory = FOLDER\ncommand = " + member.replace("NAME", "one") +
                   " | " + member.replace("NAME", "two") + " | setsid " +
                   member.replace("NAME", "three") + "\n")
        names = ("one", "two", "three")
        wait_for(lambda: all(self.read(name + ".up") for name in names))
        self.done("stop", "a")
        self.await_state("a", "stopped")
        self.assertEqual([self.read(name + ".told") for name in names], ["\n"] * 3)
        self.finish()

    def test_one_that_is_stopped_by_job_control_ends_when_asked(self):
        self.begin("[consumer a]\ncommand = sleep 1000\n")
        pid = self.await_state("a", "running")["pid"]
        os.kill(pid, signal.SIGSTOP)
        self.done("stop", "a")
        self.assertEqual(self.await_state("a", "stopped")["exit_status"], -signal.SIGTERM)
        self.finish()

    def test_one_that_hangs_before_it_is_ready(self):
        self.begin("[consumer a]\ncommand = sleep 1000\nready = fd:5\nready-timeout = 50ms\n"
                   "restart = no\n")
        self.assertIn("was not ready within 0.05 s", self.await_state("a", "failed")["reason"])
        self.finish()

    def test_readiness_by_descriptor(self):
        self.begin("[consumer a]\nready = fd:7\ndirectory = FOLDER\ncommand = "
                   "while ! [ -e go ]; do sleep 0.02; done; printf half >&7; echo >&7; "
                   "exec sleep 1000 7>&-\n")
        self.await_state("a", "starting")
        self.write("go", "")
        self.assertEqual(self.await_state("a", "running")["reason"], "said that it is ready")
        self.done("stop", "a")
        self.await_state("a", "stopped")
        self.finish()

    def test_a_flood_goes_to_the_file(self):
        self.begin("[consumer a]\nlog = FOLDER/flood\nrestart = no\ncommand = "
                   "head -c 20000000 /dev/zero; echo end >&2\n")
        self.await_state("a", "stopped")
        self.assertEqual(os.path.getsize(self.path("flood")), 20000004)
        self.finish()

    @unittest.skipIf(os.path.exists("/run/systemd/journal/stdout"), "the journal would be written")
    def test_without_a_journal_the_output_is_the_supervisors(self):
        self.begin("[consumer a]\nlog = journal\nrestart = no\ncommand = echo out; echo err >&2\n"
                   "[consumer b]\nlog = none\nrestart = no\ncommand = echo nothing\n")
        for name in "ab":
            self.await_state(name, "stopped")
        self.assertTrue(any("no journal is there" in text for text in self.states("a")))
        lines = self.read("log").splitlines()
        self.assertIn("out", lines)
        self.assertIn("err", lines)
        self.assertNotIn("nothing", lines)
        self.finish()

    def test_limits_and_ranks_are_the_nodes_own(self):
        self.begin("[consumer a]\nlimit = nofile=77\nlimit = core=0\nnice = 5\n"
                   "scheduling = batch\ncpus = 0\nenvironment = A=1\nenvironment = HOME=/b\n"
                   "directory = FOLDER\ncommand = env > env.new; ulimit -n > limit; "
                   "ls /proc/self/fd | wc -l > fds; mv env.new env; exec sleep 1000\n",
                   NOTIFY_SOCKET_OF_OTHERS="x", WATCHDOG_USEC="1000000000", LISTEN_FDNAMES="x")
        wait_for(lambda: self.read("env"))
        pid = self.node("a")["pid"]
        env = self.read("env").split("\n")
        for variable in ("A=1", "HOME=/b", "SHMFRAME_NODE=a", "SHMFRAME_SOCKET=" + self.socket,
                         "NOTIFY_SOCKET_OF_OTHERS=x"):
            self.assertIn(variable, env)
        self.assertFalse([line for line in env if line.startswith(("WATCHDOG_", "LISTEN_"))])
        self.assertEqual(self.read("limit"), "77\n")
        self.assertEqual(self.read("fds"), "4\n")  # 0, 1, 2, and that of ls
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, pid), 5)
        self.assertEqual(os.sched_getscheduler(pid), os.SCHED_BATCH)
        self.assertEqual(os.sched_getaffinity(pid), {0})
        # Others have the limit that the supervisor was born with, not what it was raised to.
        self.assertEqual(resource.prlimit(self.good["pid"], resource.RLIMIT_NOFILE),
                         NOFILE)
        self.done("stop", "a")
        self.await_state("a", "stopped")
        self.finish()

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_user_and_group(self):
        os.chmod(self.folder, 0o777)
        self.begin("[consumer a]\nuser = daemon\ndirectory = FOLDER\n"
                   "command = id -un > who; id -Gn >> who; echo $HOME $USER >> who; "
                   "echo > done; exec sleep 1000\n")
        wait_for(lambda: self.read("done"))
        who = self.read("who").split("\n")
        self.assertEqual(who[:2], ["daemon", "daemon"])
        self.assertRegex(who[2], "/usr/sbin daemon")
        self.done("stop", "a")
        self.await_state("a", "stopped")
        self.finish()

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_a_log_is_opened_with_the_rights_of_the_node(self):
        os.chmod(self.folder, 0o755)
        os.mkdir(self.path("own"))
        os.symlink(self.path("roots"), self.path("own/link"))
        os.chown(self.path("own"), 1, 1)
        self.begin("[consumer a]\nuser = 1\nlog = FOLDER/own/link\ncommand = echo a\nrestart = no\n"
                   "[consumer b]\nuser = 1\nlog = FOLDER/own/log\ncommand = echo b\nrestart = no\n")
        self.assertIn("log cannot be opened", self.await_state("a", "failed")["reason"])
        self.assertFalse(os.path.exists(self.path("roots")))
        self.await_state("b", "stopped")
        self.assertEqual(self.read("own/log"), "b\n")
        self.assertEqual(os.stat(self.path("own/log")).st_uid, 1)
        self.finish()

    @unittest.skipUnless(os.geteuid() == 0, "there is no other user")
    def test_the_supervisors_own_user_may_be_named(self):
        for path in (self.folder, self.path("run")):
            os.chown(path, 1, 1)
        self.user = 1
        try:
            self.start("[consumer a]\nuser = 1\ncommand = sleep 1000\n"
                       "[consumer b]\ngroup = 1\ncommand = sleep 1000\n")
        except PermissionError:
            self.skipTest("the other user cannot reach what was built")
        for name in "ab":
            self.await_state(name, "running")
            self.assertEqual(os.stat(f"/proc/{self.node(name)['pid']}").st_uid, 1)
        self.stop()

    def test_who_says_that_it_hangs_fills_no_journal(self):
        self.write("say", "import os, socket\n"
                   "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                   "s.connect(os.environ['NOTIFY_SOCKET'])\n"
                   "for i in range(300): s.send(b'WATCHDOG=1\\nWATCHDOG=trigger')\n"
                   "s.send(b'STATUS=done')\ninput()\n")
        os.mkfifo(self.path("fifo"))
        fifo = os.open(self.path("fifo"), os.O_RDWR)
        self.addCleanup(os.close, fifo)
        say = "command = python3 FOLDER/say < FOLDER/fifo\n"
        self.begin("[consumer a]\n" + say + "[consumer b]\nwatchdog = 60s\n" + say +
                   "[consumer c]\nwatchdog = 60s\non-hang = restart\nrestart-delay = 1h\n" + say)
        for name in "ab":
            wait_for(lambda: self.node(name)["reason"] == "done")
        self.assertEqual([text for text in self.states("a") if "hang" in text or "lives" in text], [])
        told = [text for text in self.states("b") if "said that it hangs" in text]
        self.assertTrue(1 <= len(told) <= 30, told)  # one a second
        self.assertIn("said that it hangs", self.await_state("c", "back-off")["reason"])
        for name in "abc":
            self.done("stop", name)
            self.await_state(name, "stopped")
        self.finish()

    def test_a_supervisor_without_standard_descriptors(self):
        self.write("pipeline", "[consumer a]\ncommand = echo lost; exec sleep 1000\n")
        script = (f"exec {os.environ['SHMFRAMED']} --socket {self.socket} --verbose "
                  f"--config {self.path('pipeline')} <&- >&- 2>&-")
        self.supervisor = subprocess.Popen(["sh", "-c", script])
        wait_for(lambda: os.path.exists(self.socket))
        self.await_state("a", "running")
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{self.supervisor.pid}/fd/{fd}"), "/dev/null")
        self.stop()

    def test_one_that_does_not_say_that_it_lives(self):
        tell = ("python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX, "
                "socket.SOCK_DGRAM); s.connect(os.environ[\"NOTIFY_SOCKET\"]); "
                "s.send(b\"STATUS=all is\\x07well\\nWATCHDOG=1\"); input()' < FOLDER/fifo")
        os.mkfifo(self.path("fifo"))
        fifo = os.open(self.path("fifo"), os.O_RDWR)
        self.addCleanup(os.close, fifo)
        self.begin("[consumer a]\nwatchdog = 60s\non-hang = restart\ncommand = " + tell +
                   "\n[consumer b]\nwatchdog = 50ms\non-hang = restart\nrestart-delay = 1h\n"
                   "command = sleep 1000\n"
                   "[consumer c]\nwatchdog = 50ms\non-hang = report\ncommand = sleep 1000\n")
        wait_for(lambda: self.node("a")["reason"] == "all is?well")
        self.assertIn("did not say for 0.05 s that it lives",
                      self.await_state("b", "back-off")["reason"])
        wait_for(lambda: any("has not said" in text for text in self.states("c")))
        self.assertEqual(self.node("c")["state"], "running")
        for name in "abc":
            self.done("stop", name)
            self.await_state(name, "stopped")
        self.finish()

    def test_orphans_that_hide_end_with_the_supervisor(self):
        self.start("[consumer a]\nrestart = no\ndirectory = " + self.folder +
                   "\ncommand = (env - setsid sh -c 'echo $$ > pid.new; mv pid.new pid; "
                   "exec sleep 1000' &); while ! [ -e pid ]; do sleep 0.02; done\n")
        self.await_state("a", "stopped")
        pid = int(wait_for(lambda: self.read("pid")))
        self.stop()
        self.assertFalse(is_running(pid))

    def test_a_hurried_end(self):
        self.start("[consumer a]\nstop-timeout = 1h\ndirectory = " + self.folder +
                   "\ncommand = trap '' TERM; echo > up; while :; do sleep 0.05; done\n")
        wait_for(lambda: self.read("up"))
        self.supervisor.terminate()
        self.await_state("a", "stopping")
        self.assertEqual(self.command("start", "a")["code"], -16)
        self.stop()

    def test_a_private_one_ends_with_its_parent(self):
        self.write("pipeline", GOOD)
        script = self.path("keeper")
        self.write("keeper", f"{os.environ['SHMFRAMED']} --socket {self.socket} --private "
                   f"--config {self.path('pipeline')} & echo $! > {script}.pid; read x\n")
        parent = subprocess.Popen(["sh", script], stdin=subprocess.PIPE, stderr=self.log)
        self.addCleanup(parent.stdin.close)
        pid = int(wait_for(lambda: self.read("keeper.pid")))
        self.addCleanup(lambda: is_running(pid) and os.kill(pid, signal.SIGKILL))
        node = self.await_state("good", "running")
        parent.kill()
        parent.wait()
        wait_for(lambda: not is_running(pid))
        self.assertFalse(is_running(node["pid"]))

    def run_marked(self, *words, **more):
        """One who says that it is node a, and is not."""
        process = subprocess.Popen(words, stdout=self.log, stderr=self.log, **more, env=dict(
            os.environ, SHMFRAME_NODE="a", SHMFRAME_SOCKET=self.socket))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def check_stall_of_stranger(self, pattern, is_late):
        """Its stall is its own: a is not touched."""
        if is_late:
            self.await_state("a", "running")
            pattern = self.run_marked(*pattern)
        else:
            pattern = self.run_marked(*pattern)
            wait_for(lambda: any(event["type"] == "stream-live" for event in self.ask("events")))
            time.sleep(0.02)  # births are told in ticks of a hundredth of a second
            self.done("start", "a")
        node = self.await_state("a", "running")
        wait_for(lambda: any(event["type"] == "stream-live" for event in self.ask("events")))
        pattern.send_signal(signal.SIGSTOP)
        wait_for(lambda: any(event["type"] == "stall" and event["pid"] == pattern.pid
                             for event in self.ask("events")))
        self.assertEqual(self.node("a"), node)
        self.done("stop", "a")
        self.await_state("a", "stopped")
        os.kill(pattern.pid, signal.SIGCONT)
        over = wait_for(lambda: [event for event in self.ask("events")
                                 if event["type"] == "stall-over"])[0]
        self.assertEqual(over["text"], "")  # it goes on

    def begin_beside_stranger(self, node):
        self.begin("[stream s]\nstall-limit = 50ms\non-stall = restart\n"
                   "[consumer a]\ncommand = sleep 1000\n" + node)
        return (os.environ["SHMFRAME_PATTERN"], "--no-sound", "--stream", "s", "--size", "64x36",
                "--rate", "100")

    def test_who_is_older_than_a_node_is_not_of_it(self):
        pattern = self.begin_beside_stranger("start = no\n")
        self.check_stall_of_stranger(pattern, False)

    @unittest.skipUnless(os.geteuid() == 0, "has no second user")
    def test_who_is_of_another_user_is_not_of_a_node(self):
        pattern = self.begin_beside_stranger("user = nobody\n")
        self.check_stall_of_stranger(pattern, True)

    def test_mistakes_are_told_before_anything_starts(self):
        said = self.refuse(GOOD + "comand = x\n[consumer b]\n")
        self.assertEqual(len(said.splitlines()), 2, said)
        self.assertIn("/pipeline:3: ", said)
        self.assertFalse(os.path.exists(self.socket))


if __name__ == "__main__":
    unittest.main()
