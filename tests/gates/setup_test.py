"""./setup builds what was asked for, and says why it cannot; scripts that build tell how they are used."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD, TOP = sys.argv.pop(), sys.argv.pop()
STRANGER = 12345

# With what ./setup looks for to tell whether the build knows of the tests.
PROJECT = """project('tried')
dependency('check', method: 'pkg-config')
wanted = custom_target('wanted', output: 'wanted', command: ['touch', '@OUTPUT@'], build_by_default: true)
custom_target('tests', output: 'tests', command: ['touch', '@OUTPUT@'], build_by_default: true)
alias_target('programs', wanted)
"""


class Setup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="shmframe-setup.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.chmod(self.folder, 0o755)
        self.write("meson.build", PROJECT)
        self.write("packages.txt", "bash cmd:bash\n")
        shutil.copy(os.path.join(TOP, "setup"), self.folder)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
            file.write(text)

    def run_setup(self, *arguments, status=0, **options):
        done = subprocess.run(["./setup", *arguments], cwd=self.folder, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False, **options)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def is_built(self, name):
        return os.path.exists(os.path.join(self.folder, "build", name))

    def test_what_running_takes_is_built_without_the_tests(self):
        self.run_setup()
        self.assertTrue(self.is_built("wanted"))
        self.assertFalse(self.is_built("tests"))
        self.run_setup("tests")
        self.assertTrue(self.is_built("tests"))
        self.assertEqual(self.run_setup("tests"), "")

    @unittest.skipIf(os.geteuid(), "only root can be somebody else")
    def test_a_build_of_somebody_else_is_named(self):
        self.run_setup()
        told = self.run_setup(user=STRANGER, group=STRANGER, extra_groups=[])
        self.assertEqual(told, "", "nothing is to be done")
        os.remove(os.path.join(self.folder, "build/wanted"))
        for what in ("programs", "bench"):  # of which the build does not know
            told = self.run_setup(what, status=1, user=STRANGER, group=STRANGER, extra_groups=[])
            self.assertRegex(told, r"^setup: build/ is not complete, and build\S* belongs to root: run "
                             r"\./setup(?: bench)? as root, or remove build/, which is then built anew\n$")


class Scripts(unittest.TestCase):
    def run_script(self, *command, status=0):
        done = subprocess.run(command, text=True, timeout=60, stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def test_every_submissions_check_takes_no_arguments(self):
        with tempfile.TemporaryDirectory(prefix="shmframe-setup.") as folder:
            os.makedirs(os.path.join(folder, ".ci"))
            os.makedirs(os.path.join(folder, "tests"))
            check = shutil.copy(os.path.join(TOP, ".ci/run"), os.path.join(folder, ".ci"))
            tests = os.path.join(folder, "tests/run")
            with open(tests, "w", encoding="ascii") as file:
                file.write("#!/bin/sh\necho they ran\n")
            os.chmod(tests, 0o755)
            self.assertEqual(self.run_script(check), "they ran\n")
            self.assertIn("What every submission must pass", self.run_script(check, "--help"))
            self.assertIn("unit", self.run_script(check, "unit", status=2))

    def test_the_steps_of_other_compilers_tell_their_usage(self):
        builds = os.path.join(TOP, "tests/stress/stepkill/builds")
        self.assertIn("usage: builds ", self.run_script(builds, "--help"))
        self.assertIn("usage: builds ", self.run_script(builds, status=2))


class Programs(unittest.TestCase):
    def test_programs_are_what_is_installed(self):
        with open(os.path.join(BUILD, "meson-info/intro-targets.json"), encoding="utf-8") as file:
            targets = json.load(file)
        installed = {os.path.relpath(name, BUILD) for target in targets for name in target["filename"]
                     if target["installed"] and target["type"] in ("executable", "shared library")}
        told = subprocess.run(["ninja", "-C", BUILD, "-t", "query", "programs"], text=True,
                              capture_output=True, check=True).stdout
        built = told.partition("input:")[2].partition("outputs:")[0].split()[1:]
        self.assertGreater(len(installed), 15)
        self.assertEqual(installed - set(built), set())


if __name__ == "__main__":
    unittest.main()
