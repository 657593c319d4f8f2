#!/usr/bin/env python3
"""What the mutants take out is in the source, once, and the tests that are to miss it exist.

usage: fit.py BUILD

Nothing is built: a change of the source that leaves a mutant behind is found at once, not when the
mutants are run. Exit: 0 all fit, 1 some do not, 2 usage.
"""
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(TOP, "tests", folder) for folder in ("stress", "stress/storm", "fuzz")]

import broken
import checks
import mutants
import storm_mutants
from mutation import without_steps


def read(file):
    with open(os.path.join(TOP, file), encoding="utf-8") as source:
        return source.read()


def changes():
    """(list, name of the mutant, source that it is taken from, text, text instead)"""
    for name, file, text, instead, _ in checks.MUTANTS:
        yield "checks.py", name, without_steps(read(file)), text, instead
    for name, file, text, instead, *_ in mutants.MUTANTS:
        yield "mutants.py", name, without_steps(read("shmframe/src/" + file)), text, instead
    for name, parts in storm_mutants.MUTANTS.items():
        for file, text, instead in parts:
            yield "storm_mutants.py", name, read(file), text, instead
    for _, name, file, text, instead in broken.BREAKS:
        yield "broken.py", name, read(file), text, instead


def unfit():
    for script, name, source, text, instead in changes():
        if source.count(text) != 1:
            yield "%s, '%s': the text to change is there %d times" % (script, name, source.count(text))
        if text == instead:
            yield "%s, '%s': changes nothing" % (script, name)


def unknown(build):
    said = subprocess.run(["meson", "introspect", "--tests", build], capture_output=True, check=True)
    tests = {test["name"] for test in json.loads(said.stdout)}
    for name, *_, wanted in checks.MUTANTS:
        for test in wanted.split():
            if test not in tests:
                yield "checks.py, '%s': there is no test '%s'" % (name, test)


def main(arguments):
    if len(arguments) != 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    faults = [*unfit(), *unknown(arguments[0])]
    for fault in faults:
        print("FAIL: " + fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
