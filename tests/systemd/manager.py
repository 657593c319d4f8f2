"""A service manager as far as a service sees it: passes descriptors, hears notifications, keeps what
it is to keep, until the service is started again."""

import array
import fcntl
import json
import mmap
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import textwrap
import time

SHMFRAMED = os.environ["SHMFRAMED"]
SHMFRAME = os.environ["SHMFRAME"]
PATTERN = os.environ["PATTERN"]
COMMAND = os.environ["COMMAND"]
DEADLINE_S = 30


def wait_for(condition, what):
    """What `condition` returns once it is true."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


def head_of(ring):
    """The newest sequence that a ring's memory tells of: the first word, above the slot's number."""
    with mmap.mmap(ring, 4096, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
        return struct.unpack_from("<Q", memory)[0] >> 8


class Manager:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="t.", dir="/tmp")
        self.socket = os.path.join(self.folder, "socket")
        self.notify_path = os.path.join(self.folder, "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.notify_path)
        self.notify.settimeout(0.05)
        self.env = dict(os.environ, SHMFRAME_SOCKET=self.socket)
        self.env.pop("NOTIFY_SOCKET", None)
        self.store = {}  # name: descriptors
        self.messages = []
        self.service = None
        self.others = []
        self.log = os.path.join(self.folder, "log")

    def close(self):
        # In good order, if that is possible: nodes outlive a supervisor that is killed.
        if self.service and self.service.poll() is None:
            self.service.terminate()
            try:
                self.service.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                pass
        for process in [*self.others, self.service]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        for descriptors in self.store.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self.notify.close()
        shutil.rmtree(self.folder)

    def keep(self, name, descriptor):
        self.store.setdefault(name, []).append(descriptor)

    def take_one(self):
        """Takes one notification, if there is one, and does what it asks for."""
        try:
            data, extra, _, _ = self.notify.recvmsg(4096, socket.CMSG_SPACE(4 * 64))
        except (TimeoutError, socket.timeout):
            return False
        descriptors = array.array("i")
        for level, kind, payload in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(payload[:len(payload) - len(payload) % descriptors.itemsize])
        fields = dict(line.split("=", 1) for line in data.decode().splitlines())
        self.messages.append(fields)
        if "FDSTOREREMOVE" in fields:
            for descriptor in self.store.pop(fields["FDNAME"], []):
                os.close(descriptor)
        if "FDSTORE" in fields:
            assert len(descriptors) == 1, fields
            for descriptor in descriptors:
                self.keep(fields["FDNAME"], descriptor)
        else:
            assert not descriptors, fields
        return True

    def take(self):
        while self.take_one():
            pass

    def await_message(self, key, value=None, count=1):
        """Waits until `count` notifications of this key (and value) have come in all."""
        def found():
            self.take_one()
            same = [m[key] for m in self.messages if key in m and value in (None, m[key])]
            return same if len(same) >= count else None
        return wait_for(found, f"{key}={value}")

    def await_store(self, *names):
        def same():
            self.take_one()
            return sorted(self.store) == sorted(names)
        try:
            wait_for(same, "the store")
        except AssertionError as error:
            raise AssertionError(f"the store has {sorted(self.store)}, not {sorted(names)}") from error

    def start(self, *options, sockets=(), env=None, program=SHMFRAMED,
              pass_fds=()):
        """Starts the service with all that is in the store; it hears of it as from systemd."""
        if os.geteuid() != 0:  # which file it runs is looked at
            options = ("--traceable", *options)
        passed = [(sock.fileno(), "shmframed.socket") for sock in sockets]
        passed += [(fd, name) for name, fds in self.store.items() for fd in fds]
        # Above those that they are to become.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 300) for fd, _ in passed]

        def arrange():
            for index, descriptor in enumerate(high):
                os.dup2(descriptor, 3 + index)

        own = dict(self.env, NOTIFY_SOCKET=self.notify_path, **(env or {}))
        script = 'exec "$@"'
        if passed:
            own |= {"LISTEN_FDS": str(len(passed)),
                    "LISTEN_FDNAMES": ":".join(name for _, name in passed)}
            script = 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"'
        self.messages = []
        with open(self.log, "a", encoding="utf-8") as log:
            self.service = subprocess.Popen(
                ["/bin/sh", "-c", script, "sh", program, "--socket", self.socket, *options],
                env=own, stderr=log, preexec_fn=arrange, pass_fds=[*range(3, 3 + len(passed)), *pass_fds])
        for descriptor in high:
            os.close(descriptor)
        self.await_message("READY", "1")
        return self.service

    def kill(self):
        self.service.kill()
        self.service.wait()

    def spawn(self, *command):
        process = subprocess.Popen(command, env=self.env, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.others.append(process)
        return process

    def pattern(self, *options):
        return self.spawn(PATTERN, "--no-sound", "--size", "64x64", "--rate", "100", *options)

    def ls(self):
        done = subprocess.run([SHMFRAME, "ls", "--format", "json"], env=self.env, check=True,
                              capture_output=True, text=True, timeout=DEADLINE_S)
        return {stream["name"]: stream for stream in json.loads(done.stdout)["streams"]}

    def write_config(self, text):
        path = os.path.join(self.folder, "pipeline.ini")
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        return path

    def command(self, *words):
        """The status of a command to the supervisor, and what it prints."""
        done = subprocess.run([COMMAND, *words], env=self.env, capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)
        return done.returncode, done.stdout

    def nodes(self):
        """name: (state, pid, starts, restarts, exit status); {} while there is no supervisor."""
        status, output = self.command("nodes")
        words = [line.split() for line in output.splitlines()] if status == 0 else []
        return {name: (state, *map(int, numbers)) for name, state, *numbers in words}

    def read_log(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()
