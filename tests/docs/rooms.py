"""Includes of the library point one way, as docs/architecture.md says."""

import os
import re
import unittest

import page

SOURCES = os.path.join(page.TOP, "shmframe/src")


def levels():
    for _, head, rows in page.tables("docs/architecture.md"):
        if head == ["level", "rooms"]:
            return {room: int(level) for level, rooms in rows
                    for room in re.findall(r"\w+", re.sub(r"\([^)]*\)", "", rooms))}
    return {}


class Rooms(unittest.TestCase):
    def test_every_file_has_a_level(self):
        files = {name.rsplit(".", 1)[0] for name in os.listdir(SOURCES)
                 if name.endswith((".c", ".h"))}
        self.assertEqual(files, set(levels()))

    def test_includes_lead_to_the_same_level_or_a_lower_one(self):
        level = levels()
        for name in os.listdir(SOURCES):
            room = name.rsplit(".", 1)[0]
            for included in re.findall(r'^#include "(\w+)\.h"', page.read(f"shmframe/src/{name}"),
                                       flags=re.M):
                self.assertLessEqual(level[included], level[room], f"{name} includes {included}.h")

    def test_the_core_of_the_ring_needs_nothing_else(self):
        core = {"ring", "bell", "futex", "clock", "layout", "step"}
        for room in core - {"layout", "step"}:
            for kind in ("c", "h"):
                text = page.read(f"shmframe/src/{room}.{kind}")
                self.assertLessEqual(set(re.findall(r'^#include "(\w+)\.h"', text, flags=re.M)), core)


if __name__ == "__main__":
    unittest.main()
