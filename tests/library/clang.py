#!/usr/bin/env python3
"""Every source of the build compiles with clang too, and without a warning."""
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

build = sys.argv[1]
with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
    entries = {entry["file"]: entry for entry in json.load(file) if entry["file"].endswith(".c")}


def check(entry):
    words = shlex.split(entry["command"])
    # The compiler, behind its cache if there is one, comes before the options.
    words = words[next(i for i, word in enumerate(words) if word.startswith("-")):]
    arguments, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MQ"):
            skip = True
        elif word not in ("-c", "-MD"):
            arguments.append(word)
    command = ["clang", "-fsyntax-only", "-Werror", "-Wno-unknown-warning-option",
               "-fno-color-diagnostics", *arguments]
    result = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True)
    return result.returncode, result.stderr


with ThreadPoolExecutor(os.cpu_count()) as pool:
    results = list(pool.map(check, entries.values()))
failed = [text for code, text in results if code != 0]
print("".join(failed), end="", file=sys.stderr)
print(f"{len(results)} sources, {len(failed)} with complaints")
sys.exit(0 if results and not failed else 1)
