#!/usr/bin/env python3
"""No compiler and no checker has anything to say of the sources.

usage: static.py BUILD every-day|all

every-day   clang-tidy on the library and the supervisor, by the list in .clang-tidy, except for what
            follows whole paths; clang's warnings on every other program
all         the whole list, and clang's warnings on all sources; gcc -fanalyzer on the library and the
            supervisor

Exit: 0 nothing to say, 1 something, 2 usage. What gcc warns of stops the build.
"""
import json
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLOSELY = ("shmframe/", "server/")
# clang-tidy reads many files in one process, which costs half of a clang for each. It wants a check
# besides the warnings.
WARNINGS = "-*,clang-diagnostic-*,misc-static-assert"
PATHS = "-clang-analyzer-*"
# Of gcc's alone.
FOREIGN = ("--param", "-fno-tree-slp-vectorize", "-flto", "-ffat-lto-objects")
FILES_A_PROCESS = 12


def options_of(entry):
    """As the compiler gets them, behind its cache if there is one; without its output's places."""
    words = shlex.split(entry["command"])
    words = words[next(i for i, word in enumerate(words) if word.startswith("-")) :]
    options, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MQ"):
            skip = True
        elif word not in ("-c", "-MD") and not word.startswith(FOREIGN):
            options.append(word)
    return options


def list_sources(build):
    """Each source once, however many programs it is part of: its path in the tree, its entry."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    sources = {}
    for entry in entries:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), TOP)
        if path.endswith(".c") and not path.startswith("..") and path not in sources:
            command = ["clang", *options_of(entry), "-Wno-unknown-warning-option"]
            sources[path] = dict(entry, arguments=command)
            del sources[path]["command"]
    return sources


def run(command, directory):
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    return result.stdout + result.stderr if result.returncode else ""


def tidy(database, checks, files):
    return run(["clang-tidy", "-p", database, "--quiet", "--warnings-as-errors=*", "--checks=" + checks, *files], TOP)


def analyze(entry):
    options = [word for word in entry["arguments"][1:] if word != "-Wno-unknown-warning-option"]
    return run(["gcc", "-fanalyzer", "-Werror", "-S", "-o", "/dev/null", *options], entry["directory"])


def in_parts(files):
    return [files[i : i + FILES_A_PROCESS] for i in range(0, len(files), FILES_A_PROCESS)]


def check(sources, database, is_all):
    """Returns what was said."""
    closely = [path for path in sources if path.startswith(CLOSELY)]
    others = [path for path in sources if path not in closely and (is_all or not path.startswith("tests/"))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(tidy, database, "" if is_all else PATHS, part) for part in in_parts(closely)]
        jobs += [pool.submit(tidy, database, WARNINGS, part) for part in in_parts(others)]
        if is_all:
            jobs += [pool.submit(analyze, sources[path]) for path in closely]
        said = [job.result() for job in jobs]
    print(f"{len(closely)} sources looked at closely, {len(others)} for warnings")
    if len(closely) < 80 or len(others) < 100:
        said.append("that is too few: is the whole tree built?\n")
    return [text for text in said if text]


def main(arguments):
    if len(arguments) != 2 or arguments[1] not in ("every-day", "all"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    sources = list_sources(arguments[0])
    with tempfile.TemporaryDirectory(prefix="static-") as database:
        with open(os.path.join(database, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump(list(sources.values()), file)
        said = check(sources, database, arguments[1] == "all")
    print("".join(said), end="", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
