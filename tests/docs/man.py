"""Man pages: they compile, and name the options that the programs know, all of them and no others."""

import os
import re
import shutil
import subprocess
import sys
import unittest

import page

PROGRAMS = dict(item.split("=", 1) for item in os.environ["PROGRAMS"].split())
COMMANDS = ("run", "ls", "ask", "status", "start", "stop", "restart", "reload", "upgrade")
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


def built_ins():
    """The commands of shmframe that are no programs of their own."""
    done = subprocess.run([PROGRAMS["shmframe"], "commands"], text=True, capture_output=True,
                          timeout=30, check=True)
    return re.findall(r"^  (\S+) ", done.stdout.partition("Programs")[0], flags=re.M)


def call_of(name):
    """How to call what the page NAME is about."""
    command = name.partition("-")[2]
    return [PROGRAMS["shmframe"], command] if command in built_ins() else [PROGRAMS[name]]


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
        own = {name.rsplit(".", 2)[0] for name in pages() if name[-5] in "18"}
        commands = {f"shmframe-{command}" for command in built_ins() if command not in COMMANDS}
        self.assertEqual(own, set(PROGRAMS) | commands)

    def test_pages_are_built(self):
        built = set(re.findall(r"'([\w.-]+\.scd)'", page.read("docs/meson.build")))
        self.assertEqual(built, set(pages()))

    def test_options_are_those_of_help(self):
        for name in pages():
            if name[-5] not in "18":
                continue
            told = options_in(section(source(name), "OPTIONS"))
            real = options_of(*call_of(name.rsplit(".", 2)[0]))
            self.assertEqual(sorted(told ^ real), [], f"{name} and --help differ in these")

    def test_options_of_commands_are_those_of_help(self):
        always = {"-h", "--help", "-V", "--version"}
        text = source("shmframe.1.scd")
        for command in COMMANDS:
            told = options_in(section(text, command.upper()))
            real = options_of(PROGRAMS["shmframe"], command) - always
            self.assertEqual(sorted(told ^ real), [], f"shmframe {command}")

    def test_keys_of_pipeline_files_are_on_their_page(self):
        known = re.findall(r'^    \{"([a-z-]+)", \w+, (?:true|false), config_read_',
                           page.read("server/config_key.c"), flags=re.M)
        told = re.findall(r"^\*([a-z-]+)\* = ", source("shmframe-pipeline.5.scd"), flags=re.M)
        self.assertGreater(len(known), 20)
        self.assertEqual(sorted(told), sorted(set(known)))

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
