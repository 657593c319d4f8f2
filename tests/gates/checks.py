#!/usr/bin/env python3
"""Takes one check after the other out of the library and the supervisor, and sees that a test fails.

usage: checks.py [--jobs N] ROOT [NAME...]      ROOT: of the source; NAME: only mutants that contain it

Each change is made in a copy of the source, with a build folder of its own, of which only the tests
named for it are built and run, until one of them fails. N copies (2) are worked on at once.
Exit: 0 each was found, 1 some was not, 2 usage.
"""
import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading

from checks_library import LIBRARY
from checks_server import SERVER
from mutation import Unfit, first_complaint, report, weaken, write

LIMIT_S = 240  # for one test
# Then what a test that does not end has started ends too.
FAMILY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "family.py")
MUTANTS = LIBRARY + SERVER


class Copy:
    """A copy of the source, and what is built of it."""

    def __init__(self, root, work):
        self.folder = os.path.join(work, "copy")
        self.build_folder = os.path.join(self.folder, "mutants")
        shutil.copytree(root, self.folder, ignore=without_builds, symlinks=True)
        # Nobody debugs these, and programs that are one piece to the compiler take long to make.
        self.call("meson", "setup", "-Doptimization=1", "-Ddebug=false", self.build_folder, self.folder)
        self.tests = {test["name"]: test for test in self.introspect("--tests")}
        self.programs = {target["id"]: target["filename"] for target in self.introspect("--targets")}
        self.environment = {**os.environ, "CCACHE_BASEDIR": self.folder, "CCACHE_NOHASHDIR": "1"}

    def call(self, *command):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def introspect(self, what):
        command = ["meson", "introspect", what, self.build_folder]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    def build(self, tests):
        """What the compiler said, if it failed."""
        wanted = set()
        for name in tests:
            for dependency in self.tests[name]["depends"]:
                wanted.update(self.programs[dependency])
            wanted.add(self.tests[name]["cmd"][0])
        # Both of those are full paths; what is not in the folder is not built here.
        targets = [os.path.relpath(path, self.build_folder) for path in wanted if path.startswith(self.build_folder)]
        result = subprocess.run(
            ["ninja", "-C", self.build_folder, "-j", "2", *sorted(targets)],
            env=self.environment, capture_output=True, text=True,
        )
        return result.stdout[-600:] if result.returncode else None

    def fails(self, name):
        """What the test complains of, or None."""
        test = self.tests[name]
        so_far = os.path.join(self.build_folder, "so-far")
        write(so_far, "")
        try:
            result = subprocess.run(
                [sys.executable, "-IS", FAMILY, *test["cmd"]], cwd=test.get("workdir") or self.build_folder,
                env={**os.environ, **test["env"], "CK_LOG_FILE_NAME": so_far},
                capture_output=True, text=True, errors="replace", timeout=LIMIT_S, stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            with open(so_far, encoding="utf-8", errors="replace") as said:
                return "does not end; " + first_complaint(said.read(), self.folder)
        return first_complaint(result.stdout + result.stderr, self.folder) if result.returncode else None


def without_builds(folder, names):
    return [name for name in names if name == ".git" or os.path.exists(os.path.join(folder, name, "meson-private"))]


def try_unchanged(copy, tests):
    """Whether the tests pass as it is: a mutant is only found by what fails because of it."""
    said = copy.build(tests)
    if said:
        return report(False, "nothing", "", said)
    # Beside other work a test may fail by chance; not twice.
    return all([report(not (copy.fails(name) and copy.fails(name)), "nothing", name, "passes") for name in tests])


def find(copy, mutant):
    """How it was found, or None and why not."""
    _, file, text, instead, tests = mutant
    path = os.path.join(copy.folder, file)
    try:
        before = weaken(path, text, instead)
    except Unfit as unfit:
        return None, str(unfit)
    try:
        said = copy.build(tests.split())
        if said:
            return None, "does not compile: " + said
        for name in tests.split():
            said = copy.fails(name)
            if said:
                return said, ""
        return None, "nobody notices"
    finally:
        write(path, before)


def work_off(copy, waiting, results):
    while True:
        try:
            mutant = waiting.get_nowait()
        except queue.Empty:
            return
        found, why = find(copy, mutant)
        results.append(report(found is not None, mutant[0], mutant[4], found or why))


def run(root, wanted, jobs, work):
    tests = sorted({name for mutant in wanted for name in mutant[4].split()})
    copies = [Copy(root, os.path.join(work, str(i))) for i in range(jobs)]
    results = [try_unchanged(copies[0], tests)]
    waiting = queue.Queue()
    for mutant in wanted:
        waiting.put(mutant)
    threads = [threading.Thread(target=work_off, args=(copy, waiting, results)) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("root")
    parser.add_argument("name", nargs="*")
    arguments = parser.parse_args()
    wanted = [m for m in MUTANTS if not arguments.name or any(word in m[0] for word in arguments.name)]
    if not os.path.isfile(os.path.join(arguments.root, "meson.build")) or not wanted:
        parser.error("no source there, or no mutant of that name")
    work = tempfile.mkdtemp(prefix="checks-")
    try:
        results = run(arguments.root, wanted, arguments.jobs, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
