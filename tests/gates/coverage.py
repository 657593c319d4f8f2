"""What ./tests/coverage makes of what was counted; and that what was killed has counted."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

PATH = sys.argv.pop(1)
LOADER = importlib.machinery.SourceFileLoader("coverage", PATH)
sys.dont_write_bytecode = True
coverage = importlib.util.module_from_spec(importlib.util.spec_from_loader("coverage", LOADER))
LOADER.exec_module(coverage)

SOURCE = """\
/* A comment. */
int half(int x) {
    /* Of two
     * lines. */
    if (x > 1)
    {
        return x / 2; /* and one behind */
    }
    puts("// no comment");

    return 0;
}
"""
# As if two pieces of the same file were told, of which one was never run.
LCOV = """\
SF:half.c
DA:2,3
DA:3,3
DA:7,0
BRDA:5,0,0,0
BRDA:5,0,1,-
end_of_record
SF:half.c
DA:2,0
DA:7,1
DA:11,0
BRDA:5,0,0,2
BRDA:5,0,1,0
end_of_record
"""

# Counts, and is killed.
KILLED = """\
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void die(void) {
    raise(SIGKILL);
}
int main(void) {
    if (fork() == 0)
        die();
    return wait(NULL) < 0;
}
"""


class Arithmetic(unittest.TestCase):
    def test_lines_are_those_with_a_word_of_code(self):
        self.assertEqual(coverage.lines_of_code(SOURCE), {2, 5, 7, 9, 11})

    def test_pieces_of_a_file_add_up(self):
        file = coverage.parse(LCOV)["half.c"]
        self.assertEqual(file.figures(), (4, 3, 2, 1))
        file.keep_lines(coverage.lines_of_code(SOURCE))
        self.assertEqual(file.figures(), (3, 2, 2, 1))

    def test_nothing_is_rounded_up_to_all(self):
        self.assertEqual(coverage.percent(9999, 10000), 99.9)
        self.assertEqual(coverage.percent(899, 1000), 89.9)
        self.assertEqual(coverage.percent(0, 0), 100.0)

    def test_a_folder_is_judged_by_all_of_its_lines(self):
        good, bad = coverage.File(), coverage.File()
        good.lines.update({n: 1 for n in range(18)})
        bad.lines.update({18: 1, 19: 0})
        files = {"server/a.c": good, "server/b.c": bad, "shmframe/src/c.c": good}
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            self.assertEqual(coverage.tell(files, 95), [])
            self.assertEqual(coverage.tell(files, 95.1), ["server"])
            self.assertEqual(coverage.tell({"server/a.c": good}, 1), ["shmframe"])
        self.assertIn("| all of server/ | 20 | 95.0 | 0 | 100.0 |", told.getvalue())


class Counting(unittest.TestCase):
    @unittest.skipUnless(all(map(shutil.which, ("clang", "llvm-cov", "llvm-profdata"))),
                         "clang and llvm are not installed")
    def test_what_was_killed_has_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            counters = os.path.join(folder, "counters")
            os.mkdir(counters)
            source = os.path.join(folder, "server", "killed.c")
            os.mkdir(os.path.dirname(source))
            with open(source, "w", encoding="utf-8") as file:
                file.write(KILLED)
            program = os.path.join(folder, "killed")
            with mock.patch.multiple(coverage, TOP=folder, BUILD=folder, COUNTERS=counters,
                                     PROGRAMS=("killed",)):
                subprocess.run(["clang", "-g", *coverage.counting(), "-o", program, source], check=True)
                for _ in range(2):
                    subprocess.run([program], check=True)
                file = coverage.gather()["server/killed.c"]
        self.assertEqual(file.lines[5], 2)
        self.assertEqual(file.figures()[:2], (6, 6))


if __name__ == "__main__":
    unittest.main()
