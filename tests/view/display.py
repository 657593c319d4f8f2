"""A display of the tests' own: an Xvfb with a window manager, and programs that are seen on it. All
end with the tests."""

import glob
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

from picture import Picture
from supervisor import start_supervisor

VIEW = os.environ["VIEW"]
PATTERN = os.environ["PATTERN"]
TWINS = os.environ["TWINS"]
SHMFRAME = os.environ["SHMFRAME"]

SCREEN = (800, 600)

# The small pattern of most tests; yuv420p, 30 pictures a second.
SMALL = ("--size", "160x90", "--rate", "30", "--no-sound")


def wait_for(condition, what, seconds=30):
    """What `condition` returns once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {what}")


class Display(unittest.TestCase):
    """Starts the servers once; each test has a folder and a supervisor's socket of its own."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        nothing = os.path.join(cls.home.name, "no-sound.conf")
        open(nothing, "w", encoding="utf-8").close()
        cls.env = dict(os.environ, HOME=cls.home.name, XDG_RUNTIME_DIR=cls.home.name,
                       ALSA_CONFIG_PATH=nothing, PULSE_SERVER=cls.home.name + "/none")
        for name in ("SDL_VIDEODRIVER", "SDL_RENDER_DRIVER", "WAYLAND_DISPLAY", "XAUTHORITY"):
            cls.env.pop(name, None)
        cls.servers = []
        cls.addClassCleanup(cls.end_servers)
        number, told = os.pipe()
        cls.servers.append(subprocess.Popen(
            ["Xvfb", "-displayfd", str(told), "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24",
             "-nolisten", "tcp"], pass_fds=[told], stderr=subprocess.DEVNULL))
        os.close(told)
        with os.fdopen(number) as file:
            cls.env["DISPLAY"] = ":" + file.readline().strip()
        # It gives the keys to the window under the mouse.
        cls.servers.append(subprocess.Popen(["evilwm", "-fn", "fixed"], env=cls.env,
                                            stderr=subprocess.DEVNULL))
        wait_for(lambda: subprocess.run(["xdotool", "get_num_desktops"], env=cls.env,
                                        capture_output=True, check=False).returncode == 0,
                 "the window manager")

    @classmethod
    def end_servers(cls):
        for server in reversed(cls.servers):
            server.terminate()
        for server in cls.servers:
            server.wait(20)
        cls.home.cleanup()

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.env = dict(self.env, SHMFRAME_SOCKET=os.path.join(self.folder, "socket"))
        self.processes = []
        self.addCleanup(self.end_processes)
        self.processes.append(start_supervisor(os.environ["SUPERVISOR"], self.env))

    def end_processes(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()

    def start(self, *arguments, **kinds):
        with open(os.path.join(self.folder, "errors"), "a", encoding="utf-8") as errors:
            kinds = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": errors,
                     **kinds}
            process = subprocess.Popen(arguments, env=self.env, cwd=self.folder, text=True, **kinds)
        self.processes.append(process)
        return process

    def ask(self, *arguments):
        return subprocess.run(["xdotool", *map(str, arguments)], env=self.env, text=True,
                              timeout=20, capture_output=True, check=False).stdout.strip()

    def key(self, *keys):
        self.ask("key", *keys)

    def find_window(self, process):
        try:
            return wait_for(lambda: self.ask("search", "--onlyvisible", "--pid", process.pid),
                            "the window").split()[-1]
        except AssertionError as error:
            with open(os.path.join(self.folder, "errors"), encoding="utf-8") as file:
                raise AssertionError(f"{error}; {process.poll()}: {file.read()}") from error

    def geometry(self, window):
        words = dict(line.split("=") for line in
                     self.ask("getwindowgeometry", "--shell", window).split("\n"))
        return int(words["WIDTH"]), int(words["HEIGHT"])

    def point(self, window, x, y):
        self.ask("mousemove", "--window", window, x, y)

    def saved(self, key, pattern):
        """The one picture that the key saves."""
        for path in glob.glob(os.path.join(self.folder, "*.png")):
            os.unlink(path)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            self.key(key)
            for path in glob.glob(os.path.join(self.folder, pattern)):
                if Picture.is_whole(path):
                    return Picture(path)
            time.sleep(0.05)
        self.fail(f"no {pattern} was saved")

    def screenshot(self):
        return self.saved("s", "*-*.png")

    def pattern(self, stream, *options):
        return self.start(PATTERN, "--stream", stream, *(options or SMALL))

    def twins(self, *pixel_format):
        return self.start(TWINS, *pixel_format, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def do(self, twins, letters):
        """Has the twins do it, and returns when it is done."""
        twins.stdin.write(letters)
        twins.stdin.flush()
        self.assertEqual(twins.stdout.read(len(letters)), letters)

    def start_view(self, *arguments):
        return self.start(VIEW, "--format", "json", *arguments, stdout=subprocess.PIPE)

    def aim(self, view):
        """The window of a view, with the mouse in its middle, so that it has the keys."""
        window = self.find_window(view)
        width, height = self.geometry(window)
        self.point(window, width // 2, height // 2)
        return window

    def view(self, *arguments):
        view = self.start_view(*arguments)
        return view, self.aim(view)

    def end(self, view):
        view.send_signal(signal.SIGINT)
        report = json.loads(view.communicate(timeout=20)[0])
        self.assertEqual(view.returncode, 0)
        return report

    def wait_title(self, window, *words):
        try:
            wait_for(lambda: all(word in self.ask("getwindowname", window) for word in words),
                     f"{words} in the title")
        except AssertionError as error:
            title = self.ask("getwindowname", window)
            raise AssertionError(f"{error}: {title}; {self.errors()}") from error

    def list_streams(self):
        done = subprocess.run([SHMFRAME, "ls", "--format", "json"], env=self.env, text=True,
                              capture_output=True, timeout=20, check=False)
        return json.loads(done.stdout)["streams"] if done.returncode == 0 else []

    def wait_listed(self, *streams):
        wait_for(lambda: {s["name"] for s in self.list_streams()} >= set(streams), streams)

    def wait_read(self, *streams):
        """Until each of them has a reader."""
        wait_for(lambda: {s["name"] for s in self.list_streams() if s["readers"]} >= set(streams),
                 f"readers of {streams}")

    def wait_frames(self, stream, count):
        """Until so many more of it were published than now."""
        def head():
            return next((s["head"] for s in self.list_streams() if s["name"] == stream), 0)
        end = wait_for(head, stream) + count
        wait_for(lambda: head() >= end, f"{count} more frames of {stream}")

    def wait_policy(self, stream, policy):
        """Until its readers read it by that."""
        def read():
            done = subprocess.run([SHMFRAME, "ls", stream, "--format", "json"], env=self.env,
                                  text=True, capture_output=True, timeout=20, check=False)
            readers = json.loads(done.stdout)["readers"] if done.returncode == 0 else []
            return readers and all(reader["policy"] == policy for reader in readers)
        wait_for(read, f"readers of {stream} by {policy}")

    def wait_picture(self, condition, what):
        def look():
            picture = self.screenshot()
            return condition(picture) and picture
        return wait_for(look, what)

    def step(self, window, key, number):
        self.key(key)
        self.wait_title(window, f"#{number}")

    def errors(self):
        with open(os.path.join(self.folder, "errors"), encoding="utf-8") as file:
            return file.read()
