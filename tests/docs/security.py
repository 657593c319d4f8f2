"""Each test that SECURITY.md names behind a mechanism is one that meson runs."""

import json
import os
import re
import unittest

import page

PAGE = "SECURITY.md"


def tests():
    """Those of this build, and those that it leaves out for lack of a library."""
    with open(os.path.join(os.environ["BUILD"], "meson-info/intro-tests.json"),
              encoding="utf-8") as file:
        names = {test["name"] for test in json.load(file)}
    for folder, _, files in os.walk(os.path.join(page.TOP, "tests")):
        if "meson.build" in files:
            names |= set(re.findall(r"\btest\('([\w-]+)'", page.read(os.path.join(folder,
                                                                                  "meson.build"))))
    return names


def rows():
    """What each row is about, and its last column with the backticks."""
    for line in page.read(PAGE).partition("## What defends it")[2].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not re.fullmatch(r"[-: |]+", line) and cells[-1] != "test":
            yield cells[0], cells[-1]


class Security(unittest.TestCase):
    def test_every_mechanism_has_a_test(self):
        self.assertGreater(len(list(rows())), 10)
        for what, by in rows():
            self.assertRegex(by, r"`[^`]+`", what)

    def test_the_tests_are_there(self):
        known = tests()
        for what, by in rows():
            for name in re.findall(r"`([^` ]+)`", by):  # "`shmframed --check`" is a command
                self.assertIn(name, known, what)


if __name__ == "__main__":
    unittest.main()
