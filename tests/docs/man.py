"""Man pages: they compile, and name the options that the programs know, all of them and no others."""

import os
import re
import shutil
import subprocess
import sys
import unittest

import page

PROGRAMS = dict(item.split("=", 1) for item in os.environ["PROGRAMS"].split())
COMMANDS = ("run", "ls", "ask")
OPTION = r"(?<![\w-])--?[a-zA-Z][\w-]*"


def source(name):
    return page.read(f"docs/{name}")


def pages():
    return sorted(name for name in os.listdir(os.path.join(page.TOP, "docs"))
                  if name.endswith(".scd"))


def options_of(program, *command):
    """What stands before the explanations of --help."""
    done = subprocess.run([program, *command, "--help"], text=True, capture_output=True, timeout=30,
                          check=True)
    found = set()
    for line in done.stdout.splitlines():
        match = re.match(r" {2,6}(-.*?)(?:  |$)", line)
        if match:
            found |= set(re.findall(OPTION, re.sub(r"[A-Z]{2,}\S*", "", match[1])))
    return found


def section(text, name):
    found = re.search(rf"^# {name}\n(.*?)(?=^# |\Z)", text, flags=re.M | re.S)
    return found[1] if found else ""


def options_in(text):
    """The options that paragraphs of a page begin with."""
    found = set()
    for line in text.splitlines():
        if line.startswith("*-"):
            found |= set(re.findall(OPTION, " ".join(re.findall(r"\*([^*]+)\*", line))))
    return found


class Man(unittest.TestCase):
    def test_every_program_has_its_page(self):
        self.assertEqual({name.rsplit(".", 2)[0] for name in pages()}, set(PROGRAMS))

    def test_pages_are_built(self):
        built = set(re.findall(r"'([\w.-]+\.scd)'", page.read("docs/meson.build")))
        self.assertEqual(built, set(pages()))

    def test_options_are_those_of_help(self):
        for name in pages():
            program = name.rsplit(".", 2)[0]
            told = options_in(section(source(name), "OPTIONS"))
            real = options_of(PROGRAMS[program])
            self.assertEqual(sorted(told ^ real), [], f"{name} and {program} --help differ in these")

    def test_options_of_commands_are_those_of_help(self):
        always = {"-h", "--help", "-V", "--version"}
        text = source("shmframe.1.scd")
        for command in COMMANDS:
            told = options_in(section(text, command.upper()))
            real = options_of(PROGRAMS["shmframe"], command) - always
            self.assertEqual(sorted(told ^ real), [], f"shmframe {command}")

    def test_pages_that_are_named_exist(self):
        for name in pages():
            for target, number in re.findall(r"\*(shmframe[\w-]*)\*\((\d)\)", source(name)):
                self.assertIn(f"{target}.{number}.scd", pages(), name)

    @unittest.skipUnless(shutil.which("scdoc"), "scdoc is not installed")
    def test_pages_compile(self):
        for name in pages():
            done = subprocess.run(["scdoc"], input=source(name), text=True, capture_output=True,
                                  timeout=30, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertIn(f'.TH "{name.rsplit(".", 2)[0]}" "{name.rsplit(".", 2)[1]}"', done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
