"""What each producer ends with when it is stopped before it has begun, whatever it waits for: with 0."""

import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import unittest

SIGNALS = (signal.SIGINT, signal.SIGTERM)
DEADLINE_S = 60

SOUND = b"RIFF" + struct.pack("<I4s4sIHHIIHH4sI", 36 + 9600, b"WAVE", b"fmt ", 16, 1, 1, 48000, 96000, 2, 16,
                              b"data", 9600) + bytes(9600)
# The beginning of struct driver_script: fourcc, width, height, field (V4L2_FIELD_NONE).
CAMERA = struct.pack("=4s3I", b"YUYV", 320, 240, 1) + bytes(1 << 20)


class Stopped(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/tmp", prefix="s.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.socket = self.path("socket")
        self.env = dict(os.environ, SHMFRAME_SOCKET=self.socket, SHMFRAME_TEST_DRIVER=self.path("camera"))
        for name, content in ("sound.wav", SOUND), ("camera", CAMERA):
            with open(self.path(name), "wb") as file:
                file.write(content)

    def path(self, name):
        return os.path.join(self.folder, name)

    # ---- what is waited for ----

    def listen(self, family, kind, address):
        """A server that lets everybody in and never answers."""
        server = socket.socket(family, kind)
        self.addCleanup(server.close)
        server.bind(address)
        server.listen(16)
        server.settimeout(DEADLINE_S)
        return server

    def start_and_hear(self, arguments, **options):
        """Starts a server that tells through a descriptor, "FD" among its arguments, that it is ready."""
        told, ready = os.pipe()
        server = subprocess.Popen([str(ready) if word == "FD" else word for word in arguments], pass_fds=[ready],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        os.close(ready)
        with os.fdopen(told) as file:
            line = file.readline()
        self.assertTrue(line, arguments)
        return line.strip()

    def start_display(self):
        return self.start_and_hear(["Xvfb", "-displayfd", "FD", "-screen", "0", "320x240x24", "-nolisten", "tcp"])

    # ---- who waits ----

    def start(self, program, *arguments, **env):
        if program == "CAMERA":
            # A sanitizer wants to be loaded first; what comes before it here has none of its own.
            env = dict(env, LD_PRELOAD=os.environ["DRIVER"], ASAN_OPTIONS="verify_asan_link_order=0")
        with open(self.path("said"), "ab") as said:
            process = subprocess.Popen([os.environ[program], *arguments], env=dict(self.env, **env),
                                       stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def producers(self, number):
        """With what it takes to get to its stream."""
        return {"CAMERA": ["--device", "/dev/full"], "MEDIA": [self.path("sound.wav")], "PATTERN": [],
                "PIPE_IN": [self.path("sound.wav")], "SCREEN": ["--display", f":{number}"]}

    def expect_end(self, process, number):
        process.send_signal(number)
        with self.subTest(process.args, signal=number):
            self.assertEqual(process.wait(DEADLINE_S), 0)

    # ---- tests ----

    def test_while_the_supervisor_does_not_answer(self):
        server = self.listen(socket.AF_UNIX, socket.SOCK_SEQPACKET, self.socket)
        programs = {**self.producers(self.start_display()), "MICROPHONE": []}
        for number in SIGNALS:
            for program, arguments in programs.items():
                process = self.start(program, *arguments)
                connection = server.accept()[0]
                with connection:
                    self.expect_end(process, number)

    def test_while_the_display_does_not_answer(self):
        server = self.listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        display = f"127.0.0.1:{server.getsockname()[1] - 6000}"
        for number in SIGNALS:
            process = self.start("SCREEN", "--display", display)
            connection = server.accept()[0]
            with connection:
                self.expect_end(process, number)

    def test_while_nobody_writes_to_the_pipe(self):
        os.mkfifo(self.path("pipe"))
        for number in SIGNALS:
            for program in "MEDIA", "PIPE_IN":
                process = self.start(program, self.path("pipe"))
                # Until somebody has opened it.
                with open(self.path("pipe"), "wb"):
                    self.expect_end(process, number)

    def test_while_readers_are_not_there(self):
        self.start_and_hear([os.environ["SHMFRAMED"], "--quiet", "--socket", self.socket, "--ready-fd", "FD"],
                            env=self.env)
        programs = self.producers(self.start_display())
        waiting = {f"{program.lower()}{number}": (self.start(
            program, "--stream", f"{program.lower()}{number}", "--wait-readers", "1", *arguments), number)
                   for program, arguments in programs.items() for number in map(int, SIGNALS)}
        for group, (process, number) in waiting.items():
            while group not in self.groups():
                self.assertIsNone(process.poll(), process.args)
            self.expect_end(process, number)

    def groups(self):
        """Of the streams that there are."""
        done = subprocess.run([os.environ["SHMFRAME"], "ls", "--format", "json"], env=self.env, check=True,
                              stdout=subprocess.PIPE, timeout=DEADLINE_S)
        return [stream["group"] for stream in json.loads(done.stdout)["streams"]]


if __name__ == "__main__":
    unittest.main()
