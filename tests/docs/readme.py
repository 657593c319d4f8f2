"""The consumer in the README compiles as it stands, and does what the README says."""

import os
import re
import shlex
import subprocess
import tempfile
import unittest

import page

SHMFRAME = os.environ["SHMFRAME"]
PROGRAMS = dict(item.split("=", 1) for item in os.environ["PROGRAMS"].split())
BUILD = os.path.dirname(os.path.dirname(SHMFRAME))


def compile_it(folder, *flags):
    """As the README does, but against the library in the build folder."""
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(BUILD, "meson-uninstalled"))
    found = subprocess.run(["pkg-config", "--cflags", "--libs", "shmframe"], env=env, text=True,
                           capture_output=True, check=True).stdout
    subprocess.run([*shlex.split(os.environ["CC"]), *flags, "brightness.c", *shlex.split(found),
                    "-Wl,-rpath," + os.path.join(BUILD, "shmframe"), "-o", "brightness"],
                   cwd=folder, check=True)


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        programs = page.code_blocks("README.md", "c")
        assert len(programs) == 1, "one program in the README"
        with open(os.path.join(cls.folder, "brightness.c"), "w", encoding="utf-8") as file:
            file.write(programs[0])
        compile_it(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_it_compiles_without_a_warning(self):
        for standard in ("c11", "c17"):
            compile_it(self.folder, "-std=" + standard, "-Wall", "-Wextra", "-Wshadow", "-Werror")

    def test_the_commands_that_are_named_are_there(self):
        commands = "\n".join(page.code_blocks("README.md", "sh"))
        named = set(re.findall(r"^\./(\S+/run)", commands, flags=re.M))
        self.assertEqual(named, {"demos/run", "tests/run"})
        for name in named:
            self.assertTrue(os.access(os.path.join(page.TOP, name), os.X_OK), name)
        self.assertIn("\ncc brightness.c $(pkg-config --cflags --libs shmframe) -o brightness\n",
                      "\n" + commands)

    def test_options_that_are_named_are_those_of_help(self):
        known, used = {}, 0
        for line in "".join(page.code_blocks("README.md", "sh")).splitlines():
            # A command ends where a quote, an operator or a comment begins.
            for part in re.split(r"['#>&|]", line):
                words = part.split()
                for place, word in enumerate(words):
                    program = PROGRAMS.get(os.path.basename(word))
                    if not program or word == "shmframe":
                        continue
                    if program not in known:
                        known[program] = subprocess.run([program, "--help"], text=True, check=True,
                                                        capture_output=True, timeout=30).stdout
                    for option in re.findall(r"--[a-z][\w-]*", " ".join(words[place + 1:])):
                        self.assertRegex(known[program], rf"(?m){option}(?![\w-])", line)
                        used += 1
        self.assertGreater(used, 3)

    def test_it_runs_as_the_readme_says(self):
        lines = [line for block in page.code_blocks("README.md", "sh") for line in block.splitlines()
                 if line.startswith("shmframe run ") and "./brightness" in line]
        self.assertEqual(len(lines), 1)
        arguments = shlex.split(lines[0])[2:]
        self.assertEqual(arguments[0], "shmframe-pattern --duration 5 --wait-readers 1")
        arguments[0] = "shmframe-pattern --duration 1 --rate 30 --size 64x36 --wait-readers 1"
        done = subprocess.run([SHMFRAME, "run", *arguments], cwd=self.folder, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
        self.assertEqual((done.returncode, "brightness:" in done.stderr), (0, False), done.stderr)
        numbers = []
        for line in done.stdout.splitlines():
            found = re.fullmatch(r"frame (\d+): mean (\d+\.\d), \d+\.\d{3} ms old, (\d+) lost before it",
                                 line)
            if found:
                self.assertGreater(float(found[2]), 16)
                numbers += [int(found[1])]
        self.assertGreater(len(numbers), 0, done.stdout)
        self.assertEqual(numbers, sorted(set(numbers)))


if __name__ == "__main__":
    unittest.main()
