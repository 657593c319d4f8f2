"""Rooms are those of docs/architecture.md; includes of the library point one way."""

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


def row(folder):
    """What is told of a folder, without what is in brackets."""
    for heading, _, rows in page.tables("docs/architecture.md"):
        if heading == "Rooms":
            for name, text in rows:
                if name.startswith(f"[{folder}]"):
                    return re.sub(r"\([^)]*\)", "", text)
    return ""


def stems(folder):
    return {name.rsplit(".", 1)[0] for name in os.listdir(os.path.join(page.TOP, folder))
            if name.endswith((".c", ".h"))}


class Folders(unittest.TestCase):
    def test_every_file_of_the_supervisor_is_in_its_row(self):
        told = set(re.findall(r"\w+(?=[,;]|$)", re.sub(" +(?=[,;]|$)", "", row("server"))))
        files = stems("server")
        self.assertEqual(told - files, set())
        self.assertEqual({stem for stem in files - {"main"} if stem not in told
                          and not any(stem.startswith(noun + "_") for noun in told)}, set())

    def test_every_command_is_in_its_row(self):
        told = set(re.findall(r"\w+", row("tools")))
        commands = set(re.findall(r"\btool_(\w+)\(", page.read("tools/tool.h")))
        self.assertEqual(commands - told, set())

    def test_every_program_is_in_the_table_of_threads(self):
        told = {name for heading, _, rows in page.tables("docs/architecture.md")
                if heading == "Threads" for names, _ in rows for name in names.split(", ")}
        programs = {word.partition("=")[0] for word in os.environ["PROGRAMS"].split()}
        self.assertEqual(programs, told)


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
        for name in os.listdir(SOURCES):
            if re.fullmatch(r"(ring|ring_read|bell|futex|clock)\.[ch]", name):
                text = page.read(f"shmframe/src/{name}")
                self.assertLessEqual(set(re.findall(r'^#include "(\w+)\.h"', text, flags=re.M)), core)


if __name__ == "__main__":
    unittest.main()
