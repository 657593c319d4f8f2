"""What shells offer when Tab is pressed: by bash, zsh and fish themselves, and by what they ask."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

SHMFRAME = os.environ["SHMFRAME"]
SHMFRAMED = os.environ["SHMFRAMED"]
ACTOR = os.environ["ACTOR"]
SCRIPTS = os.environ["SCRIPTS"]

# What readline does: calls the function, with the words and where the cursor is.
BASH = """
source "$SCRIPTS/shmframe.bash"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
"$(complete -p shmframe | sed 's/.*-F \\([^ ]*\\).*/\\1/')" "$1" "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


class Completion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir="/tmp", prefix="t.")
        folder = cls.temporary.name
        os.chmod(folder, 0o700)
        cls.folder = folder
        cls.env = dict(os.environ, SHMFRAME_SOCKET=os.path.join(folder, "socket"), HOME=folder,
                       PATH=os.path.dirname(SHMFRAME) + ":" + os.environ["PATH"])
        # A program of its own whose --help names nodes, and two nodes that are not to be started.
        cls.write("shmframe-turn", "#!/bin/sh\necho 'Usage: shmframe-turn [OPTION]... NODE...'\n")
        os.chmod(os.path.join(folder, "shmframe-turn"), 0o700)
        cls.env["PATH"] += ":" + folder
        cls.write("nodes.ini", "".join(f"[consumer {name}]\ncommand = true\nstart = no\n"
                                       for name in ("window", "recorder")))
        ready, write = os.pipe()
        cls.supervisor = subprocess.Popen(
            [SHMFRAMED, "--quiet", "--ready-fd", str(write), "--config",
             os.path.join(folder, "nodes.ini")], env=cls.env, pass_fds=(write,))
        os.close(write)
        assert os.read(ready, 1) == b"\n"
        os.close(ready)
        cls.actors = [subprocess.Popen([ACTOR, stream, "1"], env=cls.env, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                      for stream in ("camera", "cat", "dog")]
        for actor in cls.actors:
            assert actor.stdout.readline() == "ready\n"

    @classmethod
    def write(cls, name, text):
        with open(os.path.join(cls.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    @classmethod
    def tearDownClass(cls):
        for actor in cls.actors:
            actor.communicate(timeout=20)
        cls.supervisor.terminate()
        cls.supervisor.wait(20)
        cls.temporary.cleanup()

    def complete(self, *words):
        done = subprocess.run([SHMFRAME, "complete", *words], env=self.env, text=True,
                              capture_output=True, timeout=30, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout.split()

    def test_commands(self):
        self.assertEqual(self.complete("tra"), ["trace"])
        self.assertLessEqual({"ls", "run", "doctor", "view", "pattern", "commands"},
                             set(self.complete("")))
        self.assertEqual(self.complete("frob"), [])
        listed = subprocess.run([SHMFRAME, "commands"], env=self.env, text=True, capture_output=True,
                                timeout=30, check=True).stdout.split("Programs")[0]
        built_in = [line.split()[0] for line in listed.splitlines() if line.startswith("  ")]
        self.assertEqual(built_in, sorted(built_in))
        self.assertIn("top", built_in)

    def test_options_are_those_of_help(self):
        for command in ("trace", "ls", "latency"):
            told = subprocess.run([SHMFRAME, command, "--help"], text=True, capture_output=True,
                                  timeout=30, check=True).stdout
            offered = self.complete(command, "-")
            self.assertGreaterEqual(len(offered), 3)
            for option in offered:
                self.assertRegex(told, rf"(?m)^ {{2,6}}.*{option}\b")
            self.assertEqual(len(offered), sum(line.strip().startswith("-") for line in
                                               told.splitlines()))
        self.assertEqual(self.complete("--v"), ["--version"])
        self.assertEqual(self.complete("trace", "--fo"), ["--follow"])

    def test_streams_where_a_stream_may_stand(self):
        self.assertEqual(self.complete("ls", "ca"), ["camera", "cat"])
        self.assertEqual(self.complete("trace", "dog", ""), ["camera", "cat", "dog"])
        self.assertEqual(self.complete("trace", "--last", "2", "--output", "x", "d"), ["dog"])
        self.assertEqual(self.complete("encode", "cat", "d"), ["dog"])
        self.assertEqual(self.complete("ask", "dog", ""), [])
        self.assertEqual(self.complete("ls", "dog", ""), [])
        self.assertEqual(self.complete("pattern", "d"), [])

    def test_values_of_options(self):
        self.assertEqual(self.complete("ls", "--format", ""), ["text", "json"])
        self.assertEqual(self.complete("latency", "--policy", "l"), ["latest", "lossless"])
        self.assertEqual(self.complete("trace", "--output", ""), [])
        self.assertEqual(self.complete("trace", "-o", ""), [])

    def test_readers_of_the_stream_that_is_named(self):
        readers = json.loads(subprocess.run(
            [SHMFRAME, "ls", "cat", "--format", "json"], env=self.env, text=True,
            capture_output=True, timeout=30, check=True).stdout)["readers"]
        self.assertEqual(self.complete("latency", "cat", "--of", ""),
                         [str(reader["number"]) for reader in readers])
        self.assertEqual(len(readers), 1)
        self.assertEqual(self.complete("latency", "--of", ""), [])

    def test_nodes_where_a_node_may_stand(self):
        self.assertEqual(sorted(self.complete("turn", "")), ["recorder", "window"])
        self.assertEqual(self.complete("turn", "window", "r"), ["recorder"])

    def test_without_a_supervisor_there_are_no_streams_and_no_words(self):
        self.env = dict(self.env, SHMFRAME_SOCKET="/nowhere/socket")
        self.assertEqual(self.complete("ls", ""), [])
        self.assertEqual(self.complete("ls", "--format", "j"), ["json"])

    def complete_at_once(self, *words):
        """Far less than it took to wait for what does not come."""
        begin = time.monotonic()
        offered = self.complete(*words)
        self.assertLess(time.monotonic() - begin, 4)
        return offered

    def test_a_program_that_does_not_answer_is_not_waited_for(self):
        self.write("shmframe-slow", "#!/bin/sh\necho 'Usage: shmframe-slow NODE'\n"
                   f"sleep 60 &\necho $! > {self.folder}/pid\nwait\n")
        os.chmod(os.path.join(self.folder, "shmframe-slow"), 0o700)
        self.assertEqual(self.complete_at_once("slow", "--"), [])
        with open(os.path.join(self.folder, "pid"), encoding="utf-8") as file:
            pid = int(file.read())
        end = time.monotonic() + 20
        while os.path.exists(f"/proc/{pid}") and self.state_of(pid) != "Z":
            self.assertLess(time.monotonic(), end, "what it started is still there")
            time.sleep(0.01)

    def state_of(self, pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rpartition(")")[2].split()[0]
        except OSError:
            return "Z"

    def test_a_supervisor_that_does_not_answer_is_not_waited_for(self):
        self.supervisor.send_signal(signal.SIGSTOP)
        try:
            self.assertEqual(self.complete_at_once("ls", ""), [])
        finally:
            self.supervisor.send_signal(signal.SIGCONT)

    def test_however_many_there_are(self):
        self.env = dict(self.env, SHMFRAME_SOCKET=os.path.join(self.folder, "many"))
        ready, write = os.pipe()
        supervisor = subprocess.Popen([SHMFRAMED, "--quiet", "--limit", "streams-per-process=none",
                                       "--ready-fd", str(write)], env=self.env, pass_fds=(write,))
        os.close(write)
        try:
            self.assertEqual(os.read(ready, 1), b"\n")
            actor = subprocess.Popen([ACTOR, "n", "300", "streams"], env=self.env, text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.addCleanup(actor.communicate, timeout=20)
            self.assertEqual(actor.stdout.readline(), "ready\n")
            self.assertEqual(self.complete("ls", ""), [f"n-{i:03}" for i in range(300)])
        finally:
            os.close(ready)
            supervisor.terminate()
            supervisor.wait(20)

    def test_bash(self):
        for words, offered in ((["tra"], ["trace"]), (["ls", "ca"], ["camera", "cat"]),
                               (["ls", "--form"], ["--format"]), (["ls", ""], ["camera", "cat",
                                                                              "dog"])):
            done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", "shmframe", *words],
                                  env=self.env, text=True, capture_output=True, timeout=30,
                                  check=False)
            self.assertEqual((done.stdout.split(), done.stderr), (offered, ""), words)

    def test_bash_offers_files_where_nothing_is_offered(self):
        done = subprocess.run(["bash", "--norc", "-c",
                               'source "$SCRIPTS/shmframe.bash"; complete -p shmframe'],
                              env=self.env, text=True, capture_output=True, timeout=30, check=False)
        self.assertIn("-o default", done.stdout)

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self):
        for line, offered in (("shmframe tra", {"trace"}), ("shmframe ls ca", {"camera", "cat"}),
                              ("shmframe ls --form", {"--format"})):
            done = subprocess.run(["fish", "--no-config", "-c",
                                   f"source {SCRIPTS}/shmframe.fish; complete -C '{line}'"],
                                  env=self.env, text=True, capture_output=True, timeout=30,
                                  cwd=self.folder, check=False)
            self.assertLessEqual(offered, set(done.stdout.split()), (line, done.stderr))

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        """In a terminal, as there is no other way to ask it: what Tab makes of the line."""
        import pty
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execvpe("zsh", ["zsh", "-f"], dict(self.env, TERM="dumb"))
        try:
            os.write(terminal, f"PS1=; unsetopt zle_bracketed_paste; fpath=({SCRIPTS} $fpath); "
                     "autoload -U compinit; compinit -u -D; echo rea''dy\n".encode())
            self.read_until(terminal, b"ready\r\n")
            os.write(terminal, b"echo shmframe; : shmframe x\n")
            os.write(terminal, b"shmframe trace do\t; echo do''ne\n")
            shown = self.read_until(terminal, b"done\r\n")
            self.assertIn(b"trace dog", shown)
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.close(terminal)

    def read_until(self, terminal, mark):
        os.set_blocking(terminal, False)
        shown, end = b"", time.monotonic() + 30
        while mark not in shown:
            self.assertLess(time.monotonic(), end, shown)
            try:
                shown += os.read(terminal, 4096)
            except BlockingIOError:
                time.sleep(0.01)
        return shown


if __name__ == "__main__":
    unittest.main()
