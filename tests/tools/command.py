"""The dispatcher: which program a command is, and what is said when it is none."""

import os
import subprocess
import tempfile
import unittest

SHMFRAME = os.environ["SHMFRAME"]


def call(*arguments, path=None):
    env = dict(os.environ)
    if path:
        env["PATH"] = path + ":" + env["PATH"]
    return subprocess.run([SHMFRAME, *arguments], env=env, text=True, capture_output=True,
                          timeout=30, check=False)


class Command(unittest.TestCase):
    def test_an_unknown_command_is_a_usage_error_in_one_line(self):
        done = call("frobnicate")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertIn('"frobnicate" is not a command', done.stderr)
        self.assertIn("shmframe commands", done.stderr)

    def test_a_path_is_not_a_command(self):
        self.assertEqual(call("../bin/true").returncode, 2)

    def test_no_command_is_a_usage_error(self):
        self.assertEqual(call().returncode, 2)

    def test_a_program_in_path_is_a_command_and_gets_its_arguments(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "shmframe-echo-test")
            with open(program, "w", encoding="utf-8") as file:
                file.write('#!/bin/sh\nprintf "%s|" "$@"; exit 7\n')
            os.chmod(program, 0o755)
            done = call("echo-test", "--help", "a b", "", path=folder)
            self.assertEqual((done.returncode, done.stdout), (7, "--help|a b||"))
            self.assertIn("  echo-test\n", call("commands", path=folder).stdout)

    def test_programs_of_the_build_are_found(self):
        done = call("latency", "--version")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("shmframe-latency "))
        self.assertIn("  latency\n", call("commands").stdout)

    def test_help_and_version_go_to_standard_output(self):
        for arguments in (["--help"], ["ls", "--help"], ["run", "--help"], ["ask", "--help"]):
            done = call(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)
            self.assertTrue(done.stdout.startswith("Usage: shmframe"), arguments)
        self.assertRegex(call("--version").stdout, r"^shmframe \d+\.\d+\.\d+\n$")

    def test_mistakes_in_operands_are_usage_errors(self):
        for arguments in (["ls", "a", "b"], ["run"], ["ask", "demo"], ["run", ""], ["run", "true", " \t\n"], ["ls", "--format", "xml"], ["run", "--frob"],
                          ["--frob"]):
            done = call(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(done.stderr.count("\n"), 1, arguments)

    def tell_no_supervisor(self, **variables):
        env = {name: value for name, value in os.environ.items() if name != "SHMFRAME_SOCKET"}
        done = subprocess.run([SHMFRAME, "ls"], env=dict(env, **variables), text=True,
                              capture_output=True, timeout=30, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr.count("\n"), 1)
        return done.stderr

    def test_no_supervisor_is_told_in_one_line_with_where_the_path_is_from(self):
        with tempfile.TemporaryDirectory() as folder:
            nobody = os.path.join(folder, "nobody")
            line = self.tell_no_supervisor(SHMFRAME_SOCKET=nobody)
            self.assertIn(f"no supervisor answers at {nobody}", line)
            self.assertIn("comes from SHMFRAME_SOCKET", line)
            for unset in ({}, {"SHMFRAME_SOCKET": ""}):
                line = self.tell_no_supervisor(XDG_RUNTIME_DIR=folder, **unset)
                self.assertIn(f"no supervisor answers at {folder}/shmframe/socket", line)
                self.assertIn("set SHMFRAME_SOCKET to that path", line)

    def test_what_is_no_socket_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "file")
            with open(file, "w", encoding="ascii"):
                pass
            self.assertIn(f"{folder} is no socket but a folder: name a file in it",
                          self.tell_no_supervisor(SHMFRAME_SOCKET=folder))
            self.assertIn(f"{file} is no socket: name another place",
                          self.tell_no_supervisor(SHMFRAME_SOCKET=file))

    def test_who_has_no_runtime_folder_is_told_what_to_set(self):
        with tempfile.TemporaryDirectory() as folder:
            missing = os.path.join(folder, "user")
            self.assertIn(f"there is no folder {missing}, which a login makes: set SHMFRAME_SOCKET to a path "
                          "such as /tmp/NAME/socket, for shmframed and all programs",
                          self.tell_no_supervisor(XDG_RUNTIME_DIR=missing))


if __name__ == "__main__":
    unittest.main()
