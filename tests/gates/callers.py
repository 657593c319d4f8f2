#!/usr/bin/env python3
"""What a source hands out, another one asks for; what the product hands out, the product does.

usage: callers.py BUILD

A function or variable that no other file uses is static, or gone. One of the product that only tests
use, and not even its own file, is to go: tests ask what the programs ask. EXCEPT names what else
there is to be, each with its reason. What this build leaves out may use what it likes.

Exit: 0 so it is, 1 it is not, 2 usage.
"""
import collections
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = "tests/"
# The C library calls main(); the public interface; what the linker puts in another's place; what
# AddressSanitizer adds.
PREFIXES = ("main", "shmframe_", "__wrap_", "__odr_asan.")
EXCEPT = {
    "gettimeofday": "in the place of libc's",
    "putenv": "in the place of libc's",
    "library_sides": "found by its name in a library that is loaded",
    "config_load": "a file's text and what it says at once, without what a pipeline keeps of it",
    "config_node_applies_same": "what two texts of a node mean, for tests of defaults",
    "message_bytes": "how long messages are, for tests that send others",
    "picture_measures_report_picture": "one picture's values, of which all others are sums",
    "picture_scene": "where what a test looks for is in a picture",
    "reader_ops": "declared before what it is made of",
    "run_value_round": "what is kept of a value, for tests of how exact that is",
    "sync_line_at_ns": "an instant on a line, of which the viewer needs differences only",
}


def list_objects(build):
    """Each object that is there, and the source that it is of."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        for entry in json.load(file):
            source = os.path.relpath(os.path.join(entry["directory"], entry["file"]), TOP)
            target = os.path.join(entry["directory"], entry["output"])
            if os.path.exists(target):
                yield target, source


def read_symbols(objects):
    """Symbol -> the sources that define it, and those that ask for it."""
    defined, wanted = collections.defaultdict(set), collections.defaultdict(set)
    # clang's objects for link-time optimisation are not nm's to read; the static core has their sources.
    lines = subprocess.run(["nm", "-A", "-P", "-g", *objects], capture_output=True, text=True, check=False)
    for line in lines.stdout.splitlines():
        place, symbol, kind = line.rsplit(": ", 1)[0], *line.rsplit(": ", 1)[1].split()[:2]
        (wanted if kind in "Uw" else defined)[symbol].add(objects[place])
    return defined, wanted


def read_words(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S))


def list_left_out(built):
    """Sources that are not part of this build."""
    for folder, folders, names in os.walk(TOP):
        folders[:] = [name for name in folders if name[0] != "."
                      and not os.path.exists(os.path.join(folder, name, "meson-info"))]
        paths = (os.path.relpath(os.path.join(folder, name), TOP) for name in names if name.endswith(".c"))
        yield from (path for path in paths if path not in built)


def judge(symbol, sources, others):
    if not others:
        return "is used nowhere else"
    if any(path.startswith(TESTS) for path in sources) or not all(path.startswith(TESTS) for path in others):
        return ""
    uses = sum(read_words(path).count(symbol) for path in sources)
    return "" if uses > len(sources) else "is used by tests alone"


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    objects = dict(list_objects(arguments[1]))
    built = set(objects.values())
    defined, wanted = read_symbols(objects)
    for path in list_left_out(built):
        for word in set(read_words(path)) & set(defined):
            wanted[word].add(path)
    found = {symbol: judge(symbol, sources, wanted[symbol] - sources) for symbol, sources in defined.items()
             if not symbol.startswith(PREFIXES)}
    said = [f"{' '.join(sorted(defined[symbol]))}: {symbol} {why}" for symbol, why in found.items()
            if why and symbol not in EXCEPT]
    said += [f"{symbol} is no exception any more" for symbol in EXCEPT if symbol in found and not found[symbol]]
    print(f"{len(defined)} names of {len(built)} sources")
    if len(built) < 300 or len(defined) < 1000:
        said.append("that is too few: is the whole tree built?")
    print("\n".join(sorted(said)), file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
