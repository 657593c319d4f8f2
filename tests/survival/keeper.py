"""shmframe run FILE: how it starts, what it shows, and that nothing is left behind, whoever is killed."""

import fcntl
import glob
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from kin import find_kin, is_running
from manager import COMMAND, DEADLINE_S, PATTERN, SHMFRAME, wait_for

CAMERA = f"{PATTERN} --no-sound --stream cam --size 64x64 --rate 60"


class Keeper(unittest.TestCase):
    """Each test has a folder of its own, in which the run puts its own."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.folder, TERM="dumb")
        self.run = None
        self.addCleanup(self.end)

    def end(self):
        """For tests that fail half-way: they all know this test's folder."""
        for pid in self.family():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.run:
            self.run.communicate()

    def family(self):
        return find_kin("XDG_RUNTIME_DIR", self.folder)

    def write(self, text, name="pipeline.ini"):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        return path

    def start(self, text, *options, **streams):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        self.run = subprocess.Popen([SHMFRAME, "run", *options, self.write(text)], env=self.env,
                                    text=True, start_new_session=True, **streams)
        return self.run

    def run_folder(self):
        found = glob.glob(os.path.join(self.folder, "shmframe-run.*"))
        return found[0] if found else None

    def supervisor(self):
        """Its pid, once it serves."""
        def pid():
            folder = self.run_folder()
            if not folder:
                return None
            try:
                with open(os.path.join(folder, "socket.lock"), encoding="utf-8") as file:
                    found = int(file.read() or 0)
            except FileNotFoundError:
                return None
            return found if found and is_running(found) else None
        return wait_for(pid, "the supervisor")

    def ask(self, *words):
        """What a command says to the run's supervisor; None while there is none."""
        env = dict(self.env, SHMFRAME_SOCKET=os.path.join(self.run_folder(), "socket"))
        done = subprocess.run([SHMFRAME, *words], env=env, capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def await_stream(self):
        self.supervisor()
        def live():
            listed = self.ask("ls", "--format", "json")
            return listed and [s for s in listed["streams"] if s["state"] == "live" and s["writer_pid"]]
        return wait_for(live, "the stream")[0]

    def finish(self, status):
        output, errors = self.run.communicate(timeout=DEADLINE_S)
        self.assertEqual(self.run.returncode, status, f"{output}{errors}")
        self.assertEqual(self.family(), [])
        self.assertIsNone(self.run_folder())
        return output, errors

    def test_ends_when_all_nodes_have_ended(self):
        self.start(f"""
            [producer cam]
            command = {CAMERA} --frames 20
            writes = cam
            restart = no
            """)
        output, _ = self.finish(0)
        for state in ("starting", "running", "stopped"):
            self.assertRegex(output, rf"(?m)^[\d:.]+ .*cam.*: {state}")

    def test_tells_events_as_json(self):
        self.start(f"""
            [producer cam]
            command = {CAMERA} --frames 20 >&2
            writes = cam
            restart = no
            """, "--format", "json")
        output, _ = self.finish(0)
        events = [json.loads(line) for line in output.splitlines()]
        self.assertIn("node", {event["type"] for event in events})
        ids = [event["id"] for event in events]
        self.assertEqual(ids, list(range(1, len(ids) + 1)))

    def test_a_node_that_failed_for_good_is_a_failure(self):
        self.start("""
            [consumer bad]
            command = exit 3
            restart = on-failure
            restart-delay = 10ms
            restart-limit = 2/30s
            """)
        output, _ = self.finish(1)
        self.assertIn("failed", output)

    def test_all_mistakes_are_told_and_nothing_is_started(self):
        mark = os.path.join(self.folder, "started")
        self.start(f"""\
            [consumer good]
            command = touch {mark}
            [consumer bad]
            comand = true
            nice = 99
            """)
        path = os.path.join(self.folder, "pipeline.ini")
        output, errors = self.finish(2)
        self.assertEqual(output, "")
        self.assertIn(f"{path}:4:", errors)
        self.assertIn(f"{path}:5:", errors)
        self.assertFalse(os.path.exists(mark))

    def test_a_file_that_is_not_there_is_told(self):
        for words, text in ((["missing.ini"], "missing.ini"),
                            ([self.write("", "a.ini"), "true"], "is run alone")):
            done = subprocess.run([SHMFRAME, "run", *words], env=self.env, capture_output=True,
                                  text=True, timeout=DEADLINE_S, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(text, done.stderr)

    def start_camera(self, *options, **streams):
        self.start(f"""
            [producer cam]
            command = {CAMERA}
            writes = cam
            stop-signal = SIGINT
            """, *options, **streams)

    def test_a_supervisor_that_dies_is_followed_by_another(self):
        self.start_camera()
        before = self.await_stream()
        for _ in range(3):
            supervisor = self.supervisor()
            os.kill(supervisor, signal.SIGKILL)
            wait_for(lambda old=supervisor: self.supervisor() != old, "the next supervisor")
            after = self.await_stream()
            self.assertEqual((after["writer_pid"], after["generation"]),
                             (before["writer_pid"], before["generation"]))
        self.run.send_signal(signal.SIGINT)
        _, errors = self.finish(0)
        self.assertEqual(errors.count("it is started again"), 3, errors)

    def test_a_supervisor_is_upgraded_and_remains_the_keepers(self):
        self.env["SHMFRAME_PRIVATE"] = "1h"
        self.start_camera()
        before, supervisor = self.await_stream(), self.supervisor()
        env = dict(self.env, SHMFRAME_SOCKET=os.path.join(self.run_folder(), "socket"))
        for _ in range(3):
            subprocess.run([COMMAND, "upgrade"], env=env, check=True, timeout=DEADLINE_S)
            after = self.await_stream()
            self.assertEqual((after["writer_pid"], after["generation"], self.supervisor()),
                             (before["writer_pid"], before["generation"], supervisor))
        # It still ends with its keeper.
        self.run.kill()
        wait_for(lambda: not self.family(), "the end of all")

    def test_a_supervisor_that_is_stopped_does_not_keep_all_from_ending(self):
        self.start_camera()
        self.await_stream()
        os.kill(self.supervisor(), signal.SIGSTOP)
        self.run.send_signal(signal.SIGINT)
        _, errors = self.finish(1)
        self.assertIn("shmframed does not answer any more", errors)

    @unittest.skipUnless(os.environ.get("KEEPER_IS_LONG"), "a supervisor's silence lasts 10 s")
    def test_a_supervisor_that_hangs_is_followed_by_another(self):
        self.start_camera()
        before, supervisor = self.await_stream(), self.supervisor()
        os.kill(supervisor, signal.SIGSTOP)
        wait_for(lambda: not is_running(supervisor), "its end")
        after = self.await_stream()
        self.assertEqual((after["writer_pid"], after["generation"]),
                         (before["writer_pid"], before["generation"]))
        self.run.send_signal(signal.SIGINT)
        _, errors = self.finish(0)
        self.assertEqual(errors.count("it is started again"), 1, errors)

    def test_a_supervisor_that_always_dies_is_given_up(self):
        self.start_camera()
        self.await_stream()
        for _ in range(5):
            supervisor = self.supervisor()
            os.kill(supervisor, signal.SIGKILL)
            wait_for(lambda old=supervisor: not is_running(old), "its death")
        _, errors = self.finish(1)
        self.assertIn("died 5 times", errors)

    def test_a_full_pipe_holds_up_nothing(self):
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
        os.write(theirs, bytes(4096))
        self.start(f"""
            [producer cam]
            command = {CAMERA} >/dev/null 2>&1
            writes = cam
            """, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.await_stream()
        supervisor = self.supervisor()
        os.kill(supervisor, signal.SIGKILL)  # which is told
        wait_for(lambda: self.supervisor() != supervisor, "the next supervisor")
        self.run.send_signal(signal.SIGINT)
        self.finish(0)

    def test_a_pipe_that_nobody_reads_ends_nothing(self):
        for options, status in ((), 0), (("--format", "json"), 1):
            ours, theirs = os.pipe()
            os.close(ours)
            self.start_camera(*options, stdout=theirs)
            os.close(theirs)
            self.await_stream()
            supervisor = self.supervisor()
            os.kill(supervisor, signal.SIGKILL)
            wait_for(lambda old=supervisor: self.supervisor() != old, "the next supervisor")
            self.run.send_signal(signal.SIGINT)
            self.finish(status)

    def test_nodes_that_flood_a_terminal_hold_up_nothing(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        self.env["TERM"] = "xterm"
        self.start(f"""
            [producer cam]
            command = {CAMERA}
            writes = cam
            [consumer flood]
            command = yes
            """, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)  # and nobody reads
        self.await_stream()
        self.run.send_signal(signal.SIGINT)
        self.assertEqual(self.run.wait(DEADLINE_S), 0)
        self.assertEqual(self.family(), [])

    def test_nohup_is_heeded(self):
        self.start_camera(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        writer, supervisor = self.await_stream()["writer_pid"], self.supervisor()
        self.run.send_signal(signal.SIGHUP)
        os.kill(supervisor, signal.SIGKILL)
        # While it ends it would start no other.
        wait_for(lambda: self.supervisor() != supervisor, "the next supervisor")
        self.assertEqual(self.await_stream()["writer_pid"], writer)
        self.run.send_signal(signal.SIGINT)
        self.finish(0)

    def test_a_command_line_heeds_nohup(self):
        self.run = subprocess.Popen([SHMFRAME, "run", CAMERA], env=self.env, start_new_session=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        writer = self.await_stream()["writer_pid"]
        with open(f"/proc/{writer}/status", encoding="utf-8") as status:
            self.assertRegex(status.read(), r"SigIgn:\t[0-9a-f]*[13579bdf]\n")
        self.run.send_signal(signal.SIGHUP)
        os.kill(writer, signal.SIGHUP)
        self.assertTrue(self.await_stream())
        self.run.send_signal(signal.SIGINT)
        self.finish(0)

    def test_a_name_tells_a_file_before_its_mode(self):
        path = self.write("[consumer good]\ncommand = true\nrestart = no\n")
        os.chmod(path, 0o755)  # as on file systems that know no modes
        done = subprocess.run([SHMFRAME, "run", path], env=self.env, capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("good", done.stdout)

    def test_a_check_that_failed_otherwise_has_no_status_of_its_own(self):
        # The command finds the supervisor beside itself.
        command = shutil.copy(SHMFRAME, self.folder)
        with open(os.path.join(self.folder, "shmframed"), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexit 127\n")
            os.fchmod(file.fileno(), 0o755)
        library = os.path.join(os.path.dirname(SHMFRAME), "..", "shmframe")
        done = subprocess.run([command, "run", self.write("[consumer good]\ncommand = true\n")],
                              env=dict(self.env, LD_LIBRARY_PATH=library), timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 1)

    def test_nodes_end_with_a_keeper_that_is_killed(self):
        self.env["SHMFRAME_PRIVATE"] = "1h"  # they do not end by themselves
        self.start_camera()
        self.await_stream()
        self.run.kill()
        wait_for(lambda: not self.family(), "the end of all")

    def test_nodes_end_though_keeper_and_supervisor_are_killed_at_once(self):
        self.env["SHMFRAME_PRIVATE"] = "1s"
        self.start_camera()
        writer = self.await_stream()["writer_pid"]
        self.run.send_signal(signal.SIGSTOP)  # it must not see the other's end
        os.kill(self.supervisor(), signal.SIGKILL)
        self.run.kill()
        self.assertTrue(is_running(writer))
        wait_for(lambda: not self.family(), "the end of all")

    def test_draws_a_picture_on_a_terminal(self):
        ours, theirs = pty.openpty()
        self.env["TERM"] = "xterm"
        self.start(f"""
            [producer cam]
            command = echo hello; exec {CAMERA}
            writes = cam
            """, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        seen = b""
        def shown(pattern):
            nonlocal seen
            seen += os.read(ours, 65536)
            return re.search(pattern, seen)
        wait_for(lambda: shown(rb"hello\r\n"), "what the node prints")
        wait_for(lambda: shown(rb"NODE .*\r\n *cam +running +\d+ +0 "), "the node")
        wait_for(lambda: shown(rb"STREAM .*\r\n *cam +live +[56]\d"), "the stream")
        self.assertIn(b"\x1b[J", seen)  # the former picture was taken away
        self.run.send_signal(signal.SIGTERM)
        while True:
            try:
                if not os.read(ours, 65536):
                    break
            except OSError:
                break
        os.close(ours)
        self.assertEqual(self.run.wait(DEADLINE_S), 0)
        self.assertEqual(self.family(), [])


if __name__ == "__main__":
    unittest.main()
