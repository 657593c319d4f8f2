#!/usr/bin/env python3
"""What `meson install` leaves behind is enough to build against - headers, library, pkg-config - and to
run: programs find the library, the service manager finds the units.

usage: install.py BUILD_DIRECTORY INCLUDE_DIRECTORY SOVERSION
Installs into a folder of its own, then looks at the symbols of the shared library, and compiles, links
and runs programs with what `pkg-config shmframe` says there, in C and in C++.
Exit: 0 all is well, 1 not, 2 usage.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAM = """
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    if (strcmp(shmframe_version(), VERSION) != 0)
        return 2;
    struct shmframe_format format;
    if (shmframe_format_video(&format, "yuv420p", 640, 480) != 0)
        return 1;
    printf("%llu\\n", (unsigned long long)format.slot_bytes);
    return shmframe_name_is_valid("demo") ? 0 : 1;
}
"""


def run(command, **more):
    result = subprocess.run(command, capture_output=True, text=True, **more)
    if result.returncode:
        raise AssertionError("%s: exit %d\n%s%s" % (" ".join(map(str, command)), result.returncode, result.stdout, result.stderr))
    return result.stdout


def declared_functions(include):
    """The functions that the public headers declare SHMFRAME_API."""
    names = set()
    for header in include.glob("shmframe/*.h"):
        text = re.sub(r"/\*.*?\*/", " ", header.read_text(), flags=re.S)
        if header.name == "export.h":
            continue
        for declaration in re.findall(r"SHMFRAME_API\b([^;{]*)[;{]", text):
            name = re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)\)?", " ", declaration, flags=re.S))
            assert name, "%s: what is this? %s" % (header, declaration)
            names.add(name.group(1))
    return names


def exported_symbols(library):
    """What it defines for others; a version's own name (type A) is not a symbol."""
    rows = [line.split() for line in run(["nm", "-D", "--defined-only", str(library)]).splitlines()]
    return {row[2].split("@")[0] for row in rows if len(row) == 3 and row[1] != "A"}


def check_symbols(library, include):
    declared, exported = declared_functions(include), exported_symbols(library)
    assert len(declared) > 50, "only %d functions were found in the headers" % len(declared)
    assert exported == declared, "exported and not declared: %s; declared and not exported: %s" % (
        sorted(exported - declared),
        sorted(declared - exported),
    )
    strangers = [name for name in exported if not name.startswith("shmframe_")]
    assert not strangers, "not ours: %s" % strangers


def check_names(library, soversion):
    dynamic = run(["readelf", "-d", str(library)])
    soname = re.search(r"SONAME.*\[(.*)\]", dynamic).group(1)
    assert soname == "libshmframe.so." + soversion, soname
    for name in ("libshmframe.so", soname):
        link = library.parent / name
        assert link.is_symlink() and link.resolve() == library.resolve(), "%s does not lead to the library" % name


def check_program(folder, root, compiler, standard):
    pkgconfig = next(root.rglob("shmframe.pc")).parent
    environment = dict(os.environ, PKG_CONFIG_PATH=str(pkgconfig), PKG_CONFIG_SYSROOT_DIR=str(root))
    flags = run(["pkg-config", "--cflags", "--libs", "shmframe"], env=environment).split()
    version = run(["pkg-config", "--modversion", "shmframe"], env=environment).strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version), version
    source, program = folder / "program.c", folder / "program"
    source.write_text(PROGRAM)
    language = "c++" if "++" in standard else "c"
    command = [compiler, "-x", language, "-std=" + standard, "-Wall", "-Wextra", "-Werror"]
    command += ['-DVERSION="%s"' % version, str(source), "-x", "none", "-o", str(program)]
    run(command + flags)
    library = next(root.rglob("libshmframe.so")).parent
    said = run([str(program)], env=dict(os.environ, LD_LIBRARY_PATH=str(library)))
    assert int(said) >= 640 * 480 * 3 // 2, said
    return version


def check_starts(root, prefix):
    """Every program without a word in the environment about where the library is."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    programs = [path for path in root.rglob("bin/shmframe*") if path.is_file()]
    assert len(programs) > 10, programs
    for program in programs:
        if prefix != "/usr":  # where the system looks
            said = run([str(program), "--version"], env=environment)
            assert said.startswith(program.name), said


def check_units(root, prefix, named):
    below = {"/usr": "lib", "/usr/local": "lib"}.get(prefix, "share") + "/systemd/user"
    folder = pathlib.Path(prefix, named or below)  # as it is named, if it is from the root
    if named != "no":
        for unit in ("shmframed.service", "shmframed.socket"):
            assert (root / folder.relative_to("/") / unit).is_file(), "%s is not in %s" % (unit, folder)


def read_options(build):
    options = json.loads(run(["meson", "introspect", "--buildoptions", build]))
    return {option["name"]: option["value"] for option in options}


def main(arguments):
    if len(arguments) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    build, include, soversion = arguments[0], pathlib.Path(arguments[1]), arguments[2]
    with tempfile.TemporaryDirectory(prefix="install-") as name:
        folder = pathlib.Path(name)
        root = folder / "root"
        run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", str(root)])
        installed = {path.name for path in root.rglob("include/shmframe/*.h")}
        wanted = {path.name for path in include.glob("shmframe/*.h")}
        assert installed == wanted, "headers: %s" % sorted(installed ^ wanted)
        library = next(path for path in root.rglob("libshmframe.so.*") if not path.is_symlink())
        check_symbols(library, include)
        check_names(library, soversion)
        version = check_program(folder, root, "cc", "c11")
        check_program(folder, root, "c++", "c++17")
        options = read_options(build)
        check_starts(root, options["prefix"])
        check_units(root, options["prefix"], options["systemduserunitdir"])
        assert library.name == "libshmframe.so." + version, library.name
    print("shmframe %s: %d headers, %d functions" % (version, len(wanted), len(declared_functions(include))))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AssertionError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
