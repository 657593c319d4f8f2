#!/usr/bin/env python3
"""What the mutants take out is in the source, once and by whole words, and the tests that are to miss
it exist.

usage: fit.py BUILD

Nothing is built: a change of the source that leaves a mutant behind is found at once, not when the
mutants are run. Exit: 0 all fit, 1 some do not, 2 usage.
"""
import json
import os
import re
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


def cut_words(source, text, instead):
    """Of both ends: what is left of a word of the source, where another word than before would join it."""
    before, after = source.split(text)
    ends = [re.search(r"\w*$", before), re.match(r"\w*", after)]
    words = [[re.match(r"\w*", part).group(), re.search(r"\w*$", part).group()] for part in (text, instead)]
    return [end.group() for end, was, now in zip(ends, *words) if end.group() and was and was != now]


def unfit():
    for script, name, source, text, instead in changes():
        if source.count(text) != 1:
            yield "%s, '%s': the text to change is there %d times" % (script, name, source.count(text))
            continue
        for rest in cut_words(source, text, instead):
            yield "%s, '%s': leaves '%s' of a word" % (script, name, rest)
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
