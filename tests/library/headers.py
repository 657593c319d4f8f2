#!/usr/bin/env python3
"""Each public header compiles by itself, twice included, as C11, C17 and C++17.

usage: headers.py INCLUDE_DIRECTORY
Exit: 0 all do, 1 not, 2 usage. gcc, g++ and clang are needed.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
# In C++ a function may bear a struct's name, as stat() does, and -Wshadow minds.
C_WARNINGS = WARNINGS + ["-Wshadow", "-Wstrict-prototypes"]
COMPILERS = [
    ["gcc", "-xc", "-std=c11"] + C_WARNINGS,
    ["gcc", "-xc", "-std=c17"] + C_WARNINGS,
    ["clang", "-xc", "-std=c11"] + C_WARNINGS,
    ["clang", "-xc", "-std=c17"] + C_WARNINGS,
    ["g++", "-xc++", "-std=c++17"] + WARNINGS,
    ["clang++", "-xc++", "-std=c++17"] + WARNINGS,
]


def main(arguments):
    if len(arguments) != 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    include = pathlib.Path(arguments[0])
    headers = sorted(path.name for path in include.glob("shmframe/*.h"))
    failed = 0 if len(headers) > 5 else 1
    for command in COMPILERS:
        if not shutil.which(command[0]):
            # clang++ comes with clang; without either gcc's word must do.
            if command[0] == "clang++" and shutil.which("clang"):
                continue
            print("%s is not installed" % command[0])
            failed += 1
            continue
        with tempfile.TemporaryDirectory() as folder:
            for header in headers:
                source = pathlib.Path(folder) / "alone"
                source.write_text("#include <shmframe/%s>\n#include <shmframe/%s>\nint used;\n" % (header, header))
                result = subprocess.run(
                    command + ["-fsyntax-only", "-I", str(include), str(source)], capture_output=True, text=True
                )
                if result.returncode:
                    failed += 1
                    print("%s: %s\n%s" % (" ".join(command), header, result.stderr))
    print("%d headers, %d compilers, %d failed" % (len(headers), len(COMPILERS), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
