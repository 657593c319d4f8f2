"""A supervisor with nodes, in a folder of its own, for tests."""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from kin import find_kin, is_running

SHMFRAMED = os.environ["SHMFRAMED"]
ASK = os.environ["ASK"]
DEADLINE_S = 30
TEST_ALL = bool(os.environ.get("SHMFRAME_TEST_ALL"))  # else a test's short form
# What supervisors are born with: they raise the first for themselves, and not for their nodes.
NOFILE = (512, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def wait_for(condition, what="it", seconds=DEADLINE_S):
    """What `condition` returns once it is true; fails the test if that takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


def children_of(pid):
    """Numbers of all processes, ended ones too, whose parent is `pid`."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                if int(file.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(entry))
        except (OSError, IndexError, ValueError):
            pass
    return found


class Place(unittest.TestCase):
    def setUp(self):
        # Short: a socket's path has room for 107 characters.
        temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="n.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        os.mkdir(self.path("run"), 0o700)
        self.socket = self.path("run/socket")
        self.supervisor = None
        self.user = None  # who the supervisor runs as; None: who runs the test
        self.log = open(self.path("log"), "a+", encoding="utf-8", errors="replace")
        self.addCleanup(self.log.close)
        self.addCleanup(self.end)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name + ".new"), "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.path(name + ".new"), self.path(name))

    def read(self, name):
        """A file's text; "" while there is none."""
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def family(self):
        """All processes that this test's supervisors started: they know its socket."""
        return find_kin("SHMFRAME_SOCKET", self.socket)

    def kill_family(self):
        for pid in self.family():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # a short one, such as the sleep in a shell's loop

    def end(self):
        """For tests that fail half-way as well."""
        if self.supervisor and self.supervisor.poll() is None:
            self.supervisor.kill()
            self.supervisor.wait()
        self.kill_family()

    def start(self, text=None, *options, **more):
        """Starts a supervisor with these nodes, and waits until it listens."""
        if text is not None:
            self.write("pipeline", text)
        ready, told = os.pipe()
        env = dict(os.environ, **more)
        env.pop("NOTIFY_SOCKET", None)
        self.supervisor = subprocess.Popen(
            [SHMFRAMED, "--socket", self.socket, "--config", self.path("pipeline"),
             "--ready-fd", str(told), *options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=[told], env=env,
            user=self.user, group=self.user, extra_groups=None if self.user is None else [],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, NOFILE))
        os.close(told)
        with os.fdopen(ready) as file:
            self.assertEqual(file.read(), "\n", self.read("log"))

    def refuse(self, text):
        """Starts one that does not start; returns what it says."""
        self.write("pipeline", text)
        run = subprocess.run([SHMFRAMED, "--socket", self.socket, "--config",
                              self.path("pipeline")], capture_output=True, text=True,
                             timeout=DEADLINE_S, check=False)
        self.assertEqual(run.returncode, 2, run.stderr)
        return run.stderr

    def stop(self):
        """Ends the supervisor, and checks that all its nodes are gone."""
        self.supervisor.terminate()
        self.assertEqual(self.supervisor.wait(DEADLINE_S), 0, self.read("log"))
        self.assertEqual(self.family(), [])

    def kill(self):
        self.supervisor.kill()
        self.supervisor.wait()

    def ask(self, *words):
        run = subprocess.run([ASK, self.socket, *words], capture_output=True, text=True,
                             timeout=DEADLINE_S, check=False)
        self.assertEqual(run.returncode, 0, run.stderr + self.read("log"))
        return [json.loads(line) for line in run.stdout.splitlines()]

    def command(self, *words):
        return self.ask(*words)[0]

    def done(self, *words):
        answer = self.command(*words)
        self.assertEqual(answer["code"], 0, answer)

    def nodes(self):
        return {node["name"]: node for node in self.ask("nodes")}

    def node(self, name):
        return self.nodes()[name]

    def await_state(self, name, *states):
        """The node, once it is in one of these states."""
        def look():
            node = self.nodes().get(name)
            return node if node and node["state"] in states else None
        try:
            return wait_for(look)
        except AssertionError:
            raise AssertionError(f"{name} is not {states}: {self.nodes()}\n{self.read('log')}")

    def states(self, name):
        """What the journal tells of a node."""
        return [event["text"] for event in self.ask("events")
                if event["type"] == "node" and event["name"] == name]
