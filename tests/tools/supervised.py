"""A supervisor of one's own, with programs under it, for tests of the tools that look at them."""

import json
import os
import subprocess
import tempfile
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]
BUILD = os.path.dirname(os.path.dirname(SHMFRAME))


class Supervised(unittest.TestCase):
    """Each class has one; what it starts ends with it."""

    supervised_by = ("shmframed",)

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        cls.folder = cls.temporary.name
        cls.socket = os.path.join(cls.folder, "socket")
        rooms = [os.path.join(BUILD, room) for room in ("tools", "server", "producers", "consumers/latency")]
        cls.env = dict(os.environ, SHMFRAME_SOCKET=cls.socket, SHMFRAME_NO_PROGRESS="1",
                       XDG_RUNTIME_DIR=cls.folder, PATH=":".join(rooms + [os.environ["PATH"]]))
        cls.started = []
        cls.addClassCleanup(cls.end)
        cls.start_supervisor()

    @classmethod
    def end(cls):
        for program in reversed(cls.started):
            if program.poll() is None:
                program.terminate()
        for program in reversed(cls.started):
            try:
                program.wait(20)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait(20)
            for pipe in (program.stdout, program.stderr):
                if pipe:
                    pipe.close()
        cls.temporary.cleanup()

    @classmethod
    def start(cls, program, *arguments, **more):
        more = dict({"stdout": subprocess.DEVNULL, "stderr": None}, **more)
        room = {"shmframed": "server", "shmframe": "tools", "shmframe-pattern": "producers",
                "shmframe-latency": "consumers/latency"}[program]
        cls.started.append(subprocess.Popen(
            [os.path.join(BUILD, room, program), *arguments], env=cls.env,
            stdin=subprocess.DEVNULL, text=True, **more))
        return cls.started[-1]

    @classmethod
    def start_supervisor(cls):
        log = os.path.join(cls.folder, "log")
        with open(log, "a", encoding="utf-8") as file:
            cls.supervisor = cls.start("shmframed", "--socket", cls.socket, *cls.supervised_by[1:],
                                       stdout=file, stderr=file)
        cls.await_true(lambda: cls.call("ls").returncode == 0, lambda: open(log).read())

    @classmethod
    def call(cls, *arguments, **more):
        return subprocess.run([SHMFRAME, *arguments], env=cls.env, text=True, capture_output=True,
                              timeout=60, check=False, **more)

    @classmethod
    def json(cls, *arguments):
        done = cls.call(*arguments, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @classmethod
    def json_lines(cls, *arguments):
        done = cls.call(*arguments, "--format", "json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    @classmethod
    def stream(cls, name):
        found = [s for s in cls.json("ls")["streams"] if s["name"] == name]
        return found[0] if found else None

    @classmethod
    def readers(cls, stream):
        done = cls.call("ls", stream, "--format", "json")
        return json.loads(done.stdout)["readers"] if done.returncode == 0 else []

    @classmethod
    def await_true(cls, is_so, tell=lambda: ""):
        """Waits for what `is_so` says, with a generous deadline; returns its value."""
        end = time.monotonic() + 30
        while not (value := is_so()):
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain: {tell()}")
            time.sleep(0.02)
        return value
