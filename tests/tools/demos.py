"""The demos: they compile as a newcomer compiles them, and do what they say."""

import os
import shlex
import subprocess
import tempfile
import unittest

SHMFRAME = os.environ["SHMFRAME"]
BUILD = os.path.dirname(os.path.dirname(SHMFRAME))
DEMOS = os.environ["DEMOS"]
NEGATIVE = os.environ["NEGATIVE"]


class Demos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(BUILD, "meson-uninstalled"))
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "shmframe"], env=env, text=True,
                               capture_output=True, check=True).stdout
        for name in ("writer", "reader", "filter"):
            subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", os.path.join(DEMOS, name + ".c"),
                            *shlex.split(flags), "-Wl,-rpath," + os.path.join(BUILD, "shmframe"),
                            "-o", os.path.join(cls.folder, name)], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def call(self, *lines):
        env = dict(os.environ, PATH=self.folder + ":" + os.environ["PATH"])
        return subprocess.run([SHMFRAME, "run", *lines], env=env, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)

    def test_writer_and_reader_are_under_40_lines(self):
        for name in ("writer.c", "reader.c"):
            with open(os.path.join(DEMOS, name), encoding="utf-8") as file:
                self.assertLess(len(file.readlines()), 40, name)

    def test_the_reader_gets_every_frame_to_the_end(self):
        done = self.call("writer", "reader gradient")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        first = int(lines[0].split()[1].rstrip(","))
        for number, line in enumerate(lines, start=first):
            self.assertRegex(line, rf"^frame {number}, age \d+\.\d{{3}} ms, lost 0$")
        self.assertEqual(first + len(lines) - 1, 300)

    def test_the_filter_inverts_and_keeps_the_origin(self):
        done = self.call("writer", "filter gradient negative", NEGATIVE)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_without_a_supervisor_each_says_so(self):
        env = dict(os.environ, SHMFRAME_SOCKET=os.path.join(self.folder, "nobody"))
        for command in (["writer"], ["reader"], ["filter", "a", "b"]):
            command[0] = os.path.join(self.folder, command[0])
            done = subprocess.run(command, env=env, text=True, capture_output=True, timeout=30,
                                  check=False)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), command)
            self.assertIn("nobody", done.stderr)


class Run(unittest.TestCase):
    """What ./demos/run refuses before it installs or builds anything."""

    def refuse(self, *arguments):
        done = subprocess.run([os.path.join(DEMOS, "run"), *arguments], text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr.splitlines()

    def test_seconds_are_a_number_above_0(self):
        for value in ("0", "0.0", "-3", "ten", "5s", "1e3", "", " 1"):
            for arguments in (("--seconds", value), ("--seconds=" + value,)):
                with self.subTest(arguments=arguments):
                    code, lines = self.refuse(*arguments)
                    self.assertEqual((code, len(lines)), (2, 2))
                    self.assertIn(f'--seconds: "{value}" should be a number above 0', lines[0])
                    self.assertTrue(lines[1].startswith("Usage: "))
        self.assertEqual(self.refuse("--seconds")[0], 2)

    def test_what_follows_two_dashes_is_a_file(self):
        for name in ("nowhere.mp4", "--seconds", "-x"):
            code, lines = self.refuse("--", name)
            self.assertEqual((code, lines),
                             (1, [f"demos/run: {name}: there is no such file, or it may not be read"]))
        code, lines = self.refuse("-x")
        self.assertEqual((code, "after --" in lines[0]), (2, True))

    def test_one_file_is_named_and_not_by_nothing(self):
        for arguments in (("a", "b"), ("a", "--", "b"), ("--", "a", "b"), ("",), ("--", "")):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.refuse(*arguments)[0], 2)


if __name__ == "__main__":
    unittest.main()
