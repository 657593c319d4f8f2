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

    def test_settings_are_not_read_where_nodes_can_write(self):
        """Nodes are of the service's user, and have its home: without a folder that systemd names,
        the supervisor would look there."""
        with open(os.path.join(UNITS, "system-shmframed.service"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertIn("ConfigurationDirectory=shmframe", lines)
        home, etc = (os.path.join(self.folder, name) for name in ("home", "etc"))
        for folder in (os.path.join(home, ".config/shmframe"), etc):
            os.makedirs(folder)
        with open(os.path.join(home, ".config/shmframe/shmframed.conf"), "w",
                  encoding="utf-8") as file:
            file.write("[access]\ntrust = all of them\n")
        env = {name: value for name, value in os.environ.items()
               if not name.startswith("XDG_")}
        env |= {"HOME": home, "SHMFRAME_SOCKET": os.path.join(self.folder, "socket")}
        check = [PROGRAMS["shmframed"], "--check"]
        if os.geteuid() == 0:
            shutil.chown(self.folder, 12341)
            check = ["setpriv", "--reuid=12341", "--clear-groups", *check]
        for service, status in ((None, 2), (etc, 0)):
            given = env | ({"CONFIGURATION_DIRECTORY": service} if service else {})
            done = subprocess.run(check, env=given, text=True, timeout=60, check=False,
                                  capture_output=True)
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)

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
