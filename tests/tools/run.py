"""shmframe run: how it ends, and that nothing is left behind."""

import glob
import os
import pty
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from kin import find_kin, is_running

SHMFRAME = os.environ["SHMFRAME"]

# Tests that run under nohup(1) have it ignored, which a run would heed.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Tells that it is ready, waits for SIGINT, and tells how many came within half a second.
COUNT_SIGNALS = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
count, seconds = 0, 20
while signal.sigtimedwait([signal.SIGINT], seconds):
    count, seconds = count + 1, 0.5
with open(sys.argv[2], "w") as file:
    file.write(str(count))
"""

# Waits for the end of the process that a file names, leaves an orphan with its number that fails,
# and, called once more, waits for the end of that.
REBIRTH = """
if [ "$1" = wait ]; then
    number=$(cat reborn)
else
    while ! [ -e "$1" ]; do sleep 0.02; done
    number=$(cat "$1")
fi
while [ -e /proc/$number ]; do sleep 0.02; done
[ "$1" = wait ] && exit 0
until [ "$child" = $number ]; do
    echo $((number - 1)) > /proc/sys/kernel/ns_last_pid
    exit 3 &
    child=$!
done
echo $number > reborn
"""


def wait_for(condition, seconds=20):
    """What `condition` returns once it is true; fails the test if that takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def end(run):
    """For tests that fail half-way."""
    if run.poll() is None:
        run.kill()
        run.communicate()


class Run(unittest.TestCase):
    """Each test has a folder of its own, in which the run puts its own."""

    def setUp(self):
        # Short: a socket's path has room for 107 characters.
        self.temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        self.addCleanup(self.temporary.cleanup)
        self.folder = self.temporary.name
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.folder)

    def tearDown(self):
        self.assertEqual(self.run_folders(), [])
        self.assertEqual(self.family(), [])

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_folders(self):
        return glob.glob(self.path("shmframe-run.*"))

    def family(self):
        """All processes that this test's run started: they know its folder by their environment."""
        return find_kin("XDG_RUNTIME_DIR", self.folder)

    def start(self, *lines):
        run = subprocess.Popen([SHMFRAME, "run", *lines], env=self.env, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
        self.addCleanup(end, run)
        return run

    def call(self, *lines):
        run = self.start(*lines)
        out, err = run.communicate(timeout=60)
        return run.returncode, out, err

    def node(self, name, program="exec sleep 300", trap=":"):
        """A command line that sets its traps, tells its pid in a file, and does `program`."""
        pid_file = self.path(name)
        return f"sh -c '{trap}; echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; {program}'"

    def until(self, name):
        """A command line that ends once that node is there."""
        return f"sh -c 'while ! test -e {self.path(name)}; do sleep 0.05; done'"

    def pid_of(self, name):
        def read():
            try:
                with open(self.path(name), encoding="utf-8") as file:
                    return int(file.read())
            except FileNotFoundError:
                return None
        return wait_for(read)

    def test_it_ends_with_0_when_the_last_command_ends(self):
        code, _, err = self.call("sleep 300", "true")
        self.assertEqual((code, err), (0, ""))

    def test_an_earlier_command_may_end_well_before_the_last(self):
        code, out, err = self.call("true", "sh -c 'sleep 0.3; echo last'")
        self.assertEqual((code, out, err), (0, "last\n", ""))

    def test_a_command_that_fails_ends_all_and_is_named(self):
        code, _, err = self.call("sleep 300", "sh -c 'exit 3'", "sleep 301")
        self.assertEqual(code, 1)
        self.assertEqual(err.count("\n"), 1)
        self.assertIn("sh -c 'exit 3'", err)
        self.assertIn("status 3", err)

    def test_a_command_that_is_not_there_is_named(self):
        code, _, err = self.call("shmframe-nowhere --size 1x1", "sleep 300")
        self.assertEqual(code, 1)
        self.assertIn('"shmframe-nowhere --size 1x1" was not found', err)
        self.assertIn("PATH", err)

    def test_a_command_that_crashes_is_named_with_its_signal(self):
        code, _, err = self.call("sh -c 'ulimit -c 0; kill -SEGV $$'", "sleep 300")
        self.assertEqual((code, err.count("\n")), (1, 1))
        self.assertIn("was killed by signal 11", err)
        self.assertIn("debugger", err)

    def test_a_command_whose_output_nobody_reads_is_no_mistake_of_it(self):
        done = subprocess.run(["bash", "-c", '"$0" run yes | head -n 1; echo "${PIPESTATUS[0]}"',
                               SHMFRAME], env=self.env, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        self.assertEqual((done.stdout, done.stderr.count("\n")), ("y\n1\n", 1))
        self.assertIn('"yes" was killed by signal 13', done.stderr)
        self.assertIn("nobody read its output", done.stderr)
        self.assertNotIn("mistake", done.stderr)

    def test_a_signal_from_somebody_else_is_told_as_such(self):
        code, _, err = self.call("sh -c 'kill -USR1 $$'", "sleep 300")
        self.assertEqual((code, err.count("\n")), (1, 1))
        self.assertIn("was killed by signal 10", err)
        self.assertIn("sent by somebody else", err)

    def test_a_signal_within_a_line_of_several_commands_is_told(self):
        code, _, err = self.call("ulimit -c 0; sh -c 'kill -SEGV $$'", "sleep 300")
        self.assertEqual(code, 1)
        self.assertIn("failed with status 139, a shell's word for signal 11", err)
        self.assertIn("debugger", err)

    def test_what_is_no_program_is_named(self):
        code, _, err = self.call(self.folder, "sleep 300")
        self.assertEqual(code, 1)
        self.assertIn(f'"{self.folder}" cannot be executed (status 126)', err)

    def test_a_line_may_begin_with_a_variable(self):
        code, out, _ = self.call("GREETING=hello sh -c 'echo $GREETING'")
        self.assertEqual((code, out), (0, "hello\n"))

    def test_a_line_of_several_commands_is_run_to_its_end(self):
        for line in ("true && echo AFTER", "false || echo AFTER", "true; echo AFTER",
                     "echo AFTER | cat", "true\necho AFTER", "(true; echo AFTER)",
                     "echo 'a;b' >/dev/null; echo AFTER", "echo a\\'b >/dev/null && echo AFTER"):
            with self.subTest(line=line):
                self.assertEqual(self.call(line), (0, "AFTER\n", ""))

    def test_the_status_of_several_commands_is_the_line_s(self):
        code, out, err = self.call("echo BEFORE && exit 3")
        self.assertEqual((code, out), (1, "BEFORE\n"))
        self.assertIn("status 3", err)

    def test_one_command_is_the_node_itself(self):
        look = "import os; print(open(f'/proc/{os.getppid()}/comm').read().strip())"
        for quoted in (shlex.quote(look), f'"{look}"'):
            with self.subTest(quoted=quoted):
                self.assertEqual(self.call("python3 -c " + quoted), (0, "shmframe\n", ""))

    def test_commands_find_the_private_supervisor(self):
        code, out, err = self.call("shmframe ls --format json")
        self.assertEqual((code, out, err), (0, '{"streams":[]}\n', ""))

    def test_answers_that_cannot_be_written_are_told(self):
        for line in ("shmframe ls >/dev/full", "shmframe ls --format json >/dev/full",
                     "shmframe-pattern --wait-readers 1 & shmframe-latency demo --frames 1 && "
                     "shmframe ask demo pause >/dev/full"):
            with self.subTest(line=line):
                code, _, err = self.call(line)
                self.assertEqual(code, 1)
                self.assertIn("cannot be written to standard output: No space left on device", err)

    def call_on_terminal(self, *lines):
        """What the terminal shows, raw."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(SHMFRAME, [SHMFRAME, "run", *lines], self.env)
        shown = b""
        try:
            while part := os.read(terminal, 4096):
                shown += part
        except OSError:  # what a terminal's other end says once all have closed it
            pass
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, shown)
        return shown

    def test_nodes_draw_no_progress_lines_unless_asked(self):
        lines = ("shmframe-pattern --size 64x36", "shmframe-latency demo --duration 0.2")
        erase = b"\033[K"
        self.assertNotIn(erase, self.call_on_terminal(*lines))
        self.env["SHMFRAME_NO_PROGRESS"] = ""
        self.assertIn(erase, self.call_on_terminal(*lines))

    def test_the_folder_is_for_this_user_only(self):
        code, out, _ = self.call("sh -c 'stat -c %a \"${SHMFRAME_SOCKET%/*}\"'")
        self.assertEqual((code, out), (0, "700\n"))

    def test_settings_that_let_others_reach_the_supervisor_are_not_for_a_private_one(self):
        with open(self.path("shmframed.conf"), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write("[access]\nreach = all\n")
        self.env["CONFIGURATION_DIRECTORY"] = self.folder
        code, out, err = self.call("sh -c 'stat -c %a \"${SHMFRAME_SOCKET%/*}\" $SHMFRAME_SOCKET'")
        self.assertEqual((code, out), (0, "700\n600\n"), err)

    def test_others_are_asked_with_sigint(self):
        code, out, err = self.call(
            self.node("asked", "while :; do sleep 0.05; done",
                      trap='trap "echo asked; exit 0" INT'),
            self.until("asked"))
        self.assertEqual((code, out, err), (0, "asked\n", ""))

    def test_who_ignores_sigint_gets_sigterm_after_two_seconds(self):
        start = time.monotonic()
        code, _, err = self.call(self.node("deaf", trap='trap "" INT'),
                                 self.until("deaf"))
        self.assertEqual((code, err), (0, ""))
        self.assertGreaterEqual(time.monotonic() - start, 2)

    def test_who_ignores_everything_is_killed_after_five_seconds_and_named(self):
        start = time.monotonic()
        code, _, err = self.call(self.node("deaf", trap='trap "" INT TERM'),
                                 self.until("deaf"))
        self.assertEqual(code, 1)
        self.assertGreaterEqual(time.monotonic() - start, 5)
        self.assertIn("was killed: it had not ended", err)

    def test_an_orphan_with_the_number_of_a_node_that_ended_is_not_that_node(self):
        apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
        probe = subprocess.run([*apart, "sh", "-c", "echo 1 > /proc/sys/kernel/ns_last_pid"],
                               text=True, capture_output=True, timeout=20, check=False)
        if probe.returncode != 0:
            self.skipTest("numbers of processes cannot be chosen here: " + probe.stderr.strip())
        script = self.path("script")
        with open(script, "w", encoding="utf-8") as file:
            file.write(REBIRTH)
        run = subprocess.run([*apart, SHMFRAME, "run", self.node("node", "true"),
                              f"sh -c 'sh {script} {self.path('node')}; sh {script} wait'"],
                             env=self.env, text=True, capture_output=True, timeout=60,
                             cwd=self.folder, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertTrue(os.path.exists(self.path("reborn")))

    def test_what_a_shell_started_ends_too(self):
        code, _, err = self.call(self.node("pipe", "sleep 300 | sleep 300"),
                                 self.node("detached", "setsid sleep 300 & sleep 0.3"))
        self.assertEqual((code, err), (0, ""))

    def test_sigint_and_sigterm_end_it_well(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            name = f"node{number}"
            run = self.start(self.node(name))
            self.pid_of(name)
            run.send_signal(number)
            _, err = run.communicate(timeout=20)
            self.assertEqual((run.returncode, err), (0, ""))

    def test_a_second_signal_hurries(self):
        run = self.start(self.node("deaf", trap='trap "" INT TERM'))
        self.pid_of("deaf")
        start = time.monotonic()
        for _ in range(3):
            run.send_signal(signal.SIGINT)
            time.sleep(0.7)
        run.communicate(timeout=20)
        self.assertLess(time.monotonic() - start, 4)
        self.assertEqual(run.returncode, 1)

    def test_ctrl_c_reaches_a_node_once(self):
        script = self.path("count.py")
        with open(script, "w", encoding="utf-8") as file:
            file.write(COUNT_SIGNALS)
        program = f"exec python3 {script} {self.path('ready')} {self.path('signals')}"
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(SHMFRAME, [SHMFRAME, "run", self.node("node", program)], self.env)
        self.pid_of("ready")
        os.write(terminal, b"\x03")
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)
        with open(self.path("signals"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "1")

    def test_a_supervisor_that_dies_ends_the_run_and_is_named(self):
        run = self.start(self.node("node"))
        node = self.pid_of("node")
        with open(f"/proc/{run.pid}/task/{run.pid}/children", encoding="utf-8") as file:
            supervisor, = [int(pid) for pid in file.read().split() if int(pid) != node]
        os.kill(supervisor, signal.SIGKILL)
        _, err = run.communicate(timeout=20)
        self.assertEqual(run.returncode, 1)
        self.assertIn('"shmframed" was killed by signal 9', err)

    def test_if_it_is_killed_all_die_and_the_next_run_tidies_up(self):
        run = self.start(self.node("node"))
        node = self.pid_of("node")
        left, = self.run_folders()
        run.kill()
        run.communicate(timeout=20)
        wait_for(lambda: not is_running(node))
        wait_for(lambda: not self.family())
        os.utime(left, (time.time() - 60, time.time() - 60))
        self.assertEqual(self.call("true")[0], 0)
        self.assertFalse(os.path.exists(left))

    def test_a_living_run_s_folder_is_left_alone(self):
        run = self.start(self.node("node"))
        self.pid_of("node")
        folder, = self.run_folders()
        os.utime(folder, (time.time() - 60, time.time() - 60))
        self.assertEqual(self.call("true")[0], 0)
        self.assertTrue(os.path.exists(folder))
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=20)


if __name__ == "__main__":
    unittest.main()
