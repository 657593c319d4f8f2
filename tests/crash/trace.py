"""What is shipped holds no trace of the steps at which the crash tests stop it."""

import json
import os
import re
import shlex
import subprocess
import sys
import unittest

TOP, BUILD, LIBRARY, SUPERVISOR, STEPS_SUPERVISOR = sys.argv[1:6]
# All that runs between a loan and a release.
FRAME_PATH = ("ring.c", "ring_read.c", "bell.c", "writer.c", "reader_look.c")


def command_of(name):
    """How the shipped library compiles it."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        for entry in json.load(file):
            if entry["file"].endswith("shmframe/src/" + name) and "libshmframe.so" in entry["output"]:
                return shlex.split(entry["command"])
    raise AssertionError(f"nobody compiles {name}")


def compile_text(name, text, *more):
    """Its object, as bytes. The text is given on standard input, so that both have the same name."""
    words = command_of(name)
    while os.path.basename(words[0]) == "ccache":
        del words[0]
    kept = []
    skips = 0
    for word in words:
        if skips or word in ("-c", "-MD", "-g") or word.startswith("-flto") or word.endswith("/" + name):
            skips = max(skips - 1, 0)
        elif word in ("-o", "-MF", "-MQ"):
            skips = 1
        else:
            kept.append(word)
    output = f"crash-trace-{os.getpid()}.o"
    subprocess.run([*kept, "-w", "-g0", "-fno-lto", *more, "-x", "c", "-c", "-o", output, "-"], cwd=BUILD,
                   input=f'#line 1 "{name}"\n' + text, text=True, check=True)
    path = os.path.join(BUILD, output)
    try:
        with open(path, "rb") as file:
            return file.read()
    finally:
        os.unlink(path)


class Trace(unittest.TestCase):
    def test_the_frame_path_is_what_it_is_without_them_byte_for_byte(self):
        for name in FRAME_PATH:
            with open(os.path.join(TOP, "shmframe/src", name), encoding="utf-8") as file:
                text = file.read()
            bare, steps = re.subn(r"\bSTEP\(\w+\);", ";", text)
            bare = bare.replace('#include "step.h"', "")
            with self.subTest(name):
                self.assertGreater(steps, 0)
                self.assertNotIn("STEP", bare)
                self.assertEqual(compile_text(name, text), compile_text(name, bare))

    def test_the_comparison_would_see_one(self):
        with open(os.path.join(TOP, "shmframe/src/ring.c"), encoding="utf-8") as file:
            text = file.read()
        self.assertNotEqual(compile_text("ring.c", text), compile_text("ring.c", text, "-DSHMFRAME_STEPS"))

    def test_every_source_that_has_one_is_compiled_with_it(self):
        """What is not is taken from the shipped build, and would never come to its steps."""
        with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
            compiled = {os.path.realpath(os.path.join(entry["directory"], entry["file"]))
                        for entry in json.load(file) if "-DSHMFRAME_STEPS" in shlex.split(entry["command"])}
        for folder in ("shmframe/src", "server"):
            for name in os.listdir(os.path.join(TOP, folder)):
                path = os.path.join(TOP, folder, name)
                if not name.endswith(".c"):
                    continue
                with open(path, encoding="utf-8") as file:
                    has_steps = '#include "step.h"' in file.read()
                with self.subTest(name):
                    self.assertEqual(has_steps, os.path.realpath(path) in compiled)

    def test_no_shipped_object_knows_them(self):
        def knows(path):
            with open(path, "rb") as file:
                return b"step_pass" in file.read()
        self.assertTrue(knows(STEPS_SUPERVISOR))
        self.assertFalse(knows(LIBRARY))
        self.assertFalse(knows(SUPERVISOR))


unittest.main(argv=sys.argv[:1])
