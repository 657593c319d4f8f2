"""A pipeline of one writer and three readers whose supervisor is killed again and again: no frame is
lost, nobody opens anything anew, and the picture is the same afterwards.

SURVIVAL_KILLS, SURVIVAL_SIZE, SURVIVAL_RATE: how often, and of what size and rate the pictures are.
"""

import collections
import json
import mmap
import os
import random
import re
import struct
import subprocess
import time
import unittest

import manager

READER = os.environ["READER"]
KILLS = int(os.environ["SURVIVAL_KILLS"])
SIZE = os.environ["SURVIVAL_SIZE"]
RATE = os.environ["SURVIVAL_RATE"]

# name: policy, depth, leases. Deep enough for a machine on which others work as well.
READERS = {"shallow": ("in-order", 30, 1), "deep": ("in-order", 60, 3), "newest": ("latest", 1, 1)}
FIELDS = ("delivered", "last", "lost", "lost_late", "lost_restart", "skipped", "restarts", "formats",
          "error")
GROWTH_KB = 512

# What the journal must not tell of a restart, nor of a reader's loss. A busy machine may well make
# the writer late.
TELLTALES = ("stream-live", "stream-ended", "writer-gone", "reader-joined", "reader-left", "node")


def read_status(pid, name):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    raise KeyError(name)


def count_zombies(parent):
    found = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        found += fields[0] == "Z" and int(fields[1]) == parent
    return found


class Use:
    """What a process has of the kernel."""

    def __init__(self, pid):
        self.descriptors = collections.Counter()
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            try:
                name = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            except FileNotFoundError:
                continue  # closed meanwhile
            self.descriptors[re.sub(r":\[\d+\]", "", name)] += 1
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            self.mappings = sum("memfd:" in line for line in file)
        self.private_kb = read_status(pid, "RssAnon")

    def find_growth(self, before):
        """In words, one for each thing of which there is more."""
        found = []
        if self.descriptors.total() > before.descriptors.total():
            found += [f"{count - before.descriptors[name]} more {name}"
                      for name, count in self.descriptors.items()
                      if count > before.descriptors[name]]
        if self.mappings > before.mappings:
            found.append(f"{self.mappings - before.mappings} more mappings")
        if self.private_kb > before.private_kb + GROWTH_KB:
            found.append(f"{self.private_kb - before.private_kb} kB more")
        return found


class Pipeline:
    """The writer and its readers; how they and the supervisor run is others' to say."""

    def __init__(self, world):
        self.world = world
        self.account = {}

    def path(self, name):
        return os.path.join(self.world.folder, name)

    def commands(self):
        """name: words"""
        commands = {"cam": [manager.PATTERN, "--no-sound", "--stream", "cam", "--size", SIZE,
                            "--rate", RATE]}
        for name, (policy, depth, leases) in READERS.items():
            commands[name] = [READER, "cam", policy, str(depth), str(leases), self.path(name)]
        return commands

    def write_file(self):
        """The same as a pipeline file. Readers are there before there is a stream: they do not wait."""
        path = self.path("pipeline.ini")
        with open(path, "w", encoding="utf-8") as file:
            for name, words in self.commands().items():
                kind, key = ("producer", "writes") if name == "cam" else ("consumer", "reads")
                file.write(f"[{kind} {name}]\ncommand = {' '.join(words)}\n{key} = cam\n"
                           "restart = always\nrestart-delay = 10ms\nlog = none\n\n")
        return path

    def await_nodes(self):
        """Waits until all nodes run."""
        def running():
            nodes = self.world.nodes()
            return nodes if nodes and all(node[0] == "running" for node in nodes.values()) else None
        return manager.wait_for(running, "the nodes")

    def read(self, name):
        if name not in self.account:
            path = self.path(name)
            manager.wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, name)
            with open(path, "rb") as file:
                self.account[name] = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        return dict(zip(FIELDS, struct.unpack_from("<8Qq", self.account[name])))

    def close(self):
        for account in self.account.values():
            account.close()

    def list(self):
        """What `shmframe ls` tells that a restart must not change."""
        streams = self.world.ls()
        cam = {key: streams["cam"][key] for key in ("name", "format", "generation", "state", "writer",
                                                    "writer_pid", "readers")}
        done = subprocess.run([manager.SHMFRAME, "ls", "--format", "json", "cam"],
                              env=self.world.env, check=True, capture_output=True, text=True,
                              timeout=manager.DEADLINE_S)
        keys = ("number", "name", "pid", "policy", "depth", "leases", "generation")
        readers = [{key: reader[key] for key in keys}
                   for reader in json.loads(done.stdout)["readers"]]
        return cam, sorted(readers, key=lambda reader: reader["pid"])

    def events(self):
        """The journal, oldest first."""
        done = subprocess.run([manager.SHMFRAME, "events", "--format", "json"], env=self.world.env,
                              check=True, capture_output=True, text=True,
                              timeout=manager.DEADLINE_S)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def await_whole(self):
        """Waits until all that belong to it are there."""
        def whole():
            try:
                stream = self.world.ls().get("cam")
            except subprocess.CalledProcessError:
                return False
            return stream and stream["state"] == "live" and stream["readers"] == len(READERS)
        manager.wait_for(whole, "the whole pipeline")

    def await_flow(self, frames=30):
        """Waits until each reader got so many frames more."""
        goals = {name: self.read(name)["delivered"] + frames for name in READERS}
        for name, goal in goals.items():
            manager.wait_for(lambda name=name, goal=goal: self.read(name)["delivered"] >= goal,
                             f"frames for {name}")


class Survival(unittest.TestCase):
    def setUp(self):
        self.world = manager.Manager()
        self.addCleanup(self.world.close)
        self.pipeline = Pipeline(self.world)
        self.addCleanup(self.pipeline.close)
        # The same moments in each run of a form.
        self.random = random.Random(KILLS)

    def check_accounts(self, before):
        for name in READERS:
            account, then = self.pipeline.read(name), before[name]
            with self.subTest(reader=name):
                self.assertEqual({key: account[key] for key in FIELDS[2:] if key != "skipped"},
                                 {key: 0 for key in FIELDS[2:] if key != "skipped"})
                # Each frame since then was delivered, or passed over by the reader's own policy.
                self.assertEqual(account["last"] - then["last"],
                                 account["delivered"] - then["delivered"] +
                                 account["skipped"] - then["skipped"])
                self.assertGreater(account["delivered"], then["delivered"])

    def check_journal(self, newest):
        """It goes on where it was, and tells of nothing but supervisors: nobody came, went or lost."""
        events = self.pipeline.events()
        ids = [event["id"] for event in events]
        self.assertEqual(ids, list(range(ids[0], ids[0] + len(ids))))
        self.assertLessEqual(ids[0], newest + 1)
        since = [event for event in events if event["id"] > newest]
        self.assertEqual([event["words"] for event in since if event["type"] in TELLTALES or
                          (event["type"] == "loss" and event["reader"] != 0)], [])
        self.assertGreaterEqual(sum(event["type"] == "supervisor" for event in since), KILLS // 2)

    def check_use(self, pid, before, name):
        """Waits until it has no more than before: what a client had goes soon after the client."""
        growth = []

        def is_as_before():
            growth[:] = Use(pid).find_growth(before)
            return not growth
        try:
            manager.wait_for(is_as_before, name)
        except AssertionError:
            self.fail(f"{name}: {', '.join(growth)}")

    def survive(self, pids, interrupt):
        """`interrupt` lets the supervisor's process end or change; it returns the pid of the next."""
        pipeline = self.pipeline
        pipeline.await_whole()
        pipeline.await_flow()
        before = pipeline.list()
        accounts = {name: pipeline.read(name) for name in READERS}
        uses = {name: Use(pid) for name, pid in pids().items()}
        newest = pipeline.events()[-1]["id"]
        pids_before, supervisor_use = pids(), None
        for turn in range(KILLS):
            supervisor = interrupt()
            # Mostly the next comes before all have come back.
            if turn % 4 == 3:
                pipeline.await_whole()
            for name in READERS:
                self.assertEqual(pipeline.read(name)["error"], 0, name)
            if turn == 3:
                pipeline.await_flow()
                supervisor_use = Use(supervisor) if os.geteuid() == 0 else None  # nobody else may look
        pipeline.await_whole()
        pipeline.await_flow()
        manager.wait_for(lambda: pipeline.list() == before, "the same lists")
        self.assertEqual(pids(), pids_before)
        self.check_accounts(accounts)
        self.check_journal(newest)
        for name, pid in pids_before.items():
            self.check_use(pid, uses[name], name)
        if supervisor_use:
            self.check_use(supervisor, supervisor_use, "supervisor")
        self.assertEqual(count_zombies(supervisor), 0)

    @unittest.skipIf(KILLS < 100, "the short form: see the next one, which has all of it")
    def test_supervisor_is_killed(self):
        self.world.start()
        children = {name: self.world.spawn(*words)
                    for name, words in self.pipeline.commands().items()}

        def interrupt():
            self.kill_now_and_then()
            return self.world.start().pid

        self.survive(lambda: {name: child.pid for name, child in children.items()
                              if child.poll() is None}, interrupt)

    def survive_with_nodes(self, interrupt):
        before = self.pipeline.await_nodes()
        self.survive(lambda: {name: node[1] for name, node in self.pipeline.await_nodes().items()},
                     interrupt)
        # Nothing was started again, and nobody has forgotten what was before.
        self.assertEqual(self.pipeline.await_nodes(), before)

    def kill_now_and_then(self):
        time.sleep(self.random.uniform(0, 0.3))
        self.world.kill()
        self.world.take()

    def test_supervisor_of_nodes_is_killed(self):
        config = self.pipeline.write_file()
        self.world.start("--config", config)

        def interrupt():
            self.kill_now_and_then()
            return self.world.start("--config", config).pid

        self.survive_with_nodes(interrupt)
        self.world.service.terminate()
        self.assertEqual(self.world.service.wait(manager.DEADLINE_S), 0)

    def test_supervisor_is_upgraded(self):
        self.world.start("--config", self.pipeline.write_file())

        def interrupt():
            time.sleep(self.random.uniform(0, 0.3))
            self.world.messages = []
            self.assertEqual(self.world.command("upgrade"), (0, ""))
            self.world.await_message("READY", "1")
            self.assertIsNone(self.world.service.poll())
            return self.world.service.pid

        self.survive_with_nodes(interrupt)
        self.world.service.terminate()
        self.assertEqual(self.world.service.wait(manager.DEADLINE_S), 0)


if __name__ == "__main__":
    unittest.main()
