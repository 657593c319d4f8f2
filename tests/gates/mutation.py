"""What every run of mutants does: change one place of a copy, and say what came of it."""

import re


class Unfit(Exception):
    """The text to change is not there, or not there once."""


def without_steps(text):
    """The source as it is shipped: the crash tests' steps are nothing in it."""
    # Not one that is all of a branch.
    return re.sub(r"(?<!\)\n)(?<!else\n)^ *STEP\(\w+\);\n", "", text, flags=re.M)


def weaken(path, text, instead):
    """Changes the one place of the file; returns what it was before."""
    with open(path, encoding="utf-8") as file:
        before = file.read()
    shipped = without_steps(before)
    if shipped.count(text) != 1:
        raise Unfit("the text to change is there %d times" % shipped.count(text))
    write(path, shipped.replace(text, instead))
    return before


def write(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


def first_complaint(output, copy):
    """The line by which a test says what it found, or whatever it said first."""
    lines = output.splitlines()
    words = ("SUMMARY", ":F:", ":E:", ":S:", "races:", "sleepers:", "stepkill:", "FAIL:", "ERROR:")
    said = [line for line in lines if any(word in line for word in words)]
    return (said or lines or ["killed"])[0].replace(copy + "/", "")[-150:]


def report(is_right, name, tests, said):
    print("%-6s %-48s %-22s %s" % ("ok" if is_right else "FAILED", name, tests, said), flush=True)
    return is_right
