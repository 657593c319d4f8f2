"""What one measurement runs on: a supervisor, a display and a sound server of its own where there
are none to use, and programs that all end with it."""

import ctypes
import functools
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOUND_PACKAGES = "pulseaudio, pulseaudio-utils, libasound2-plugins"

# Of prctl(2).
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """Ends the program with 1; its words are for the user."""


class Stopped(BaseException):
    """SIGINT or SIGTERM."""


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Those that came while a stage was tidied up.
late_signals = []


def stop(*_):
    tidy_up()
    raise Stopped


def tidy_up():
    """From here on a signal ends nothing but what would come next."""
    for number in SIGNALS:
        signal.signal(number, lambda number, _: late_signals.append(number))


def run(program, work):
    """A program's life: `work`, and what becomes of its failure."""
    try:
        work()
    except Failure as failure:
        sys.exit(f"{program}: {failure}")
    except Stopped:
        sys.exit(130)


@functools.cache
def find_build():
    """The folder with the programs, built if need be."""
    build = os.environ.get("SHMFRAME_BUILD")
    if build:
        return build
    if subprocess.run([os.path.join(TOP, "setup"), "measuring"], check=False).returncode != 0:
        raise Failure("not all that it takes is there: see above")
    return os.path.join(TOP, "build")


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """A process with all that it starts, and what it said."""

    def __init__(self, title, process, log):
        self.title, self.process, self.log = title, process, log

    def has_ended(self):
        return self.process.poll() is not None

    def said(self, lines=12):
        """The last lines of what it printed, indented."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            # Players rewrite their status line.
            text = file.read().replace("\r", "\n").splitlines()
        text = [line.rstrip() for line in text if line.strip()][-lines:]
        return "".join(f"\n    {line}" for line in text)

    def report(self):
        """The JSON that it printed at its end, or None."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            found = [line for line in file if line.startswith("{")]
        return json.loads(found[-1]) if found else None

    def told_end(self):
        code = self.process.returncode
        how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
        said = self.said()
        return f"{self.title} {how}" + (f"; it said:{said}" if said else ", and said nothing")

    def signal_all(self, number):
        """The whole group: also while it is stopped."""
        for each in (number, signal.SIGCONT):
            try:
                os.killpg(self.process.pid, each)
            except ProcessLookupError:
                return


class Stage:
    def __init__(self):
        # What a player leaves behind becomes our child, wherever it put itself.
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
        for number in SIGNALS:
            signal.signal(number, stop)
        if late_signals:
            raise Stopped
        self.build = find_build()
        self.folder = tempfile.mkdtemp(prefix="shmframe-")
        self.programs, self.started = [], 0
        self.has_own_display = self.has_own_sound = False
        folders = [os.path.dirname(path) for pattern in ("*/shmframe*", "consumers/*/shmframe-*")
                   for path in glob.glob(os.path.join(self.build, pattern))
                   if os.access(path, os.X_OK) and os.path.isfile(path)]
        self.env = dict(os.environ, SHMFRAME_SOCKET=os.path.join(self.folder, "socket"))
        self.env["PATH"] = ":".join([*dict.fromkeys(folders), self.env.get("PATH", "")])
        # For our own programs; a player may have its own FFmpeg and what it wants of it.
        self.env["PYTHONDONTWRITEBYTECODE"] = "1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        tidy_up()
        for program in reversed(self.programs):
            self.end(program)
        self.end_orphans()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- Programs ----

    def start(self, title, arguments, **options):
        """Starts a program in a process group of its own."""
        log = os.path.join(self.folder, f"{self.started}.log")
        self.started += 1
        env = dict(self.env, **options.pop("env", {}))
        with open(log, "wb") as file:
            settings = dict(stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env,
                            start_new_session=True, preexec_fn=die_with_parent)
            settings.update(options)
            try:
                process = subprocess.Popen(arguments, **settings)
            except FileNotFoundError:
                raise Failure(f"{arguments[0]}: there is no such command; is it installed?")
            except OSError as error:
                raise Failure(f"{arguments[0]}: {error.strerror}")
        program = Program(title, process, log)
        self.programs.append(program)
        return program

    def end(self, program, seconds=3):
        """Asks it to end, and makes it if it does not."""
        if program in self.programs:
            self.programs.remove(program)
        program.signal_all(signal.SIGTERM)
        try:
            program.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        # The rest of its group, which may outlive it.
        program.signal_all(signal.SIGKILL)
        program.process.wait()

    def end_orphans(self):
        own = f"/proc/self/task/{os.getpid()}/children"
        end = time.monotonic() + 5
        while time.monotonic() < end:
            with open(own, encoding="ascii") as file:
                children = file.read().split()
            if not children:
                return
            for child in map(int, children):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    def wait_for(self, condition, seconds, *needed):
        """What `condition` returns once it is true; None if that takes too long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # Looked at first: what it did before it ended counts.
            ended = [program for program in needed if program.has_ended()]
            value = condition()
            if value:
                return value
            if ended:
                raise Failure(ended[0].told_end())
            time.sleep(0.05)
        return None

    # ---- Supervisor, display, sound ----

    def start_and_wait(self, title, arguments, number):
        """Starts a server that tells through descriptor `number` that it is ready; what it told."""
        told, ready = os.pipe()
        try:
            program = self.start(title, [str(ready) if word == number else word
                                         for word in arguments], pass_fds=[ready])
        finally:
            os.close(ready)
        with os.fdopen(told) as file:
            line = file.readline()
        if not line:
            program.process.wait()
            raise Failure(program.told_end())
        return line.strip()

    def start_supervisor(self):
        self.start_and_wait("the supervisor", ["shmframed", "--quiet", "--ready-fd", "FD"], "FD")

    def start_display(self, width, height):
        """An X server without a screen to look at."""
        self.env.pop("WAYLAND_DISPLAY", None)
        self.env.pop("XAUTHORITY", None)
        number = self.start_and_wait(
            "Xvfb", ["Xvfb", "-displayfd", "FD", "-screen", "0", f"{width}x{height}x24",
                     "-nolisten", "tcp"], "FD")
        self.env.update(DISPLAY=f":{number}", SDL_VIDEODRIVER="x11")
        self.has_own_display = True

    def has_sound_server(self):
        if not shutil.which("pactl"):
            return False
        try:
            return subprocess.run(["pactl", "info"], env=self.env, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                  timeout=5, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def start_sound(self):
        """A PulseAudio whose only device is a sink that nobody hears."""
        folder = os.path.join(self.folder, "sound")
        os.mkdir(folder, 0o700)
        for name in ("DBUS_SESSION_BUS_ADDRESS", "PULSE_SINK", "PULSE_SOURCE", "PULSE_CONFIG"):
            self.env.pop(name, None)
        self.env.update(PULSE_RUNTIME_PATH=folder, PULSE_STATE_PATH=folder,
                        PULSE_SERVER=f"unix:{folder}/native")
        server = self.start(
            "pulseaudio",
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
             "-L", "module-null-sink sink_name=player rate=48000 channels=2 format=float32le",
             # The last one: who can connect finds the other.
             "-L", f"module-native-protocol-unix socket={folder}/native auth-anonymous=1"])
        if not self.wait_for(self.has_sound_server, 20, server):
            raise Failure(f"the sound server does not answer; it said:{server.said()}")
        self.has_own_sound = True

    def lead_sound_to_server(self):
        """Programs that play or record by ALSA get the sound server, as others do."""
        path = os.path.join(self.folder, "alsa.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        self.env["ALSA_CONFIG_PATH"] = path

    def check_display(self):
        try:
            self.windows()
        except Failure as failure:
            raise Failure(f"the display '{self.env['DISPLAY']}' that $DISPLAY names cannot be used; --headless measures on "
                          f"one of its own. It was said:\n{failure}") from None

    def windows(self):
        """Those on the display, by id."""
        done = subprocess.run(["shmframe-screen", "--list", "--format", "json"], env=self.env,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              check=False)
        if done.returncode != 0:
            raise Failure(done.stderr.strip())
        return {window["id"]: window for window in json.loads(done.stdout)["windows"]}


def say(text):
    print(text, file=sys.stderr, flush=True)
