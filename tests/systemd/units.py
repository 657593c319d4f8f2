"""The unit files: that systemd takes them without a word, and how much they leave open."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

UNITS = os.environ["UNITS"]
PROGRAMS = {name: os.environ[name.upper()] for name in ("shmframed", "shmframe")}
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not installed")
class Units(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="t.", dir="/tmp")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def copy(self, kind):
        """The units as they are installed, but for the programs' folder, which is the build's."""
        for unit in ("shmframed.service", "shmframed.socket"):
            with open(os.path.join(UNITS, f"{kind}-{unit}"), encoding="utf-8") as file:
                text = file.read()
            self.assertNotIn("@", re.sub(r"@system-service", "", text), "all words are filled in")
            for name, path in PROGRAMS.items():
                text = re.sub(rf"=\S+/{name} ", f"={path} ", text)
            with open(os.path.join(self.folder, unit), "w", encoding="utf-8") as file:
                file.write(text)

    def analyze(self, *options):
        env = dict(os.environ, SYSTEMD_UNIT_PATH=self.folder + ":", XDG_RUNTIME_DIR=self.folder)
        return subprocess.run(["systemd-analyze", *options], env=env, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def test_units_are_taken_without_a_word(self):
        for kind in ("system", "user"):
            self.copy(kind)
            for unit in ("shmframed.service", "shmframed.socket"):
                done = self.analyze("verify", f"--{kind}", "--man=no", "--recursive-errors=no",
                                    os.path.join(self.folder, unit))
                self.assertEqual((done.returncode, done.stdout), (0, ""), f"{kind} {unit}")

    def test_a_wrong_word_would_be_noticed(self):
        self.copy("system")
        path = os.path.join(self.folder, "shmframed.service")
        with open(path, "a", encoding="utf-8") as file:
            file.write("[Service]\nFileDescriptorStoreMin=1\n")
        done = self.analyze("verify", "--system", "--man=no", "--recursive-errors=no", path)
        self.assertIn("FileDescriptorStoreMin", done.stdout)

    def test_exposure_is_what_the_page_says(self):
        self.copy("system")
        done = self.analyze("security", "--offline=true",
                            os.path.join(self.folder, "shmframed.service"))
        score = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
        with open(os.path.join(TOP, "docs/shmframed.8.scd"), encoding="utf-8") as page:
            told = re.search(r"exposure\s+(?:level\s+)?of\s+([\d.]+\d)", page.read())
        self.assertLessEqual(float(score[1]), float(told[1]), done.stdout)


if __name__ == "__main__":
    unittest.main()
