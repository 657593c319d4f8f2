#!/usr/bin/env python3
"""Weakens the product in one place at a time, and sees that the kill storm finds it.

usage: storm_mutants.py ROOT [NAME...]      ROOT: of the source; NAME: only mutants that contain it

Library, supervisor and storm are built from a copy of the source, once, and again for each mutant
what it changes. A storm of a thousand kills may miss what only an unlucky moment shows: each mutant
is given several, with different seeds. That somebody waits too long happens on a busy machine, too:
it finds only what makes nothing but that. Exit: 0 each was found, 1 some was not, 2 usage.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

KILLS = 1000
STORMS = 6  # with different seeds, until one finds it
LIMIT_S = 600  # for one
TARGETS = ["server/shmframed", "tests/stress/storm/test-storm"]

# What is weakened: a list of (file, text, text instead). Each text is there once.
MUTANTS = {
    "a death is not noticed": [
        (
            "server/server.c",
            "    process->is_dead = true;\n",
            "    process->is_dead = true;\n    if (process->pid)\n        return;\n",
        )
    ],
    "no look at the state once it is leased": [
        (
            "shmframe/src/ring_read.c",
            "if (state != slot_word(frame->sequence, SLOT_PUBLISHED))",
            "if (!state)",
        )
    ],
    "nothing is retired": [
        (
            "shmframe/src/ring.c",
            "slot_word(sequence, SLOT_RETIRED),\n                              memory_order_release",
            "slot_word(sequence, SLOT_PUBLISHED),\n                              memory_order_release",
        )
    ],
    "release does not look at the state": [
        ("shmframe/src/ring_read.c", "return is_whole ? 0 : -ESTALE;", "(void)is_whole;\n    return 0;")
    ],
    "only the first lease of a reader counts": [
        (
            "shmframe/src/ring.c",
            "for (uint32_t cell = 0; cell < link->grant.leases; cell++) {",
            "for (uint32_t cell = 0; cell < 1; cell++) {",
        )
    ],
    "sequences do not outlive a supervisor": [
        ("server/names.c", "stream->sequence = sequence <= LIMIT_SEQUENCE_SEEN ? sequence : 0;", "stream->sequence = 0;"),
        ("server/stream_reader.c", "        stream->sequence = open->head;", "        (void)open;"),
        ("server/stream.c", "i < stream->former_rings; i++) {\n        const uint64_t head", "i < 0 * stream->former_rings; i++) {\n        const uint64_t head"),
    ],
    "losses are not told": [("shmframe/src/reader.c", "lease->lost = in_ring + before;", "lease->lost = 0;\n    if (frame)\n        return;")],
    "skipped frames are not told": [("shmframe/src/reader.c", "lease->skipped = in_ring + before;", "lease->skipped = in_ring;")],
    "the bell is not rung": [("shmframe/src/bell.c", "futex_wake(&link->bell->bell, 1);", "(void)link;")],
    "who polls is not woken": [
        ("shmframe/src/bell.c", "        wake_socket(link);\n", "        (void)wake_socket;\n")
    ],
    "a lossless reader does not wake its writer": [("shmframe/src/ring_read.c", "    futex_wake(&page->space, SPACE_SLEEPERS_MAX);\n", "")],
    "a filter is its frames' origin": [
        ("shmframe/src/loan.c", "    if (from->flags & SHMFRAME_HAS_ORIGIN) {\n", "    if (from->flags & SHMFRAME_HAS_ORIGIN && !from->sequence) {\n")
    ],
    "the supervisor keeps rings open": [("server/stream_ring.c", "    region_unmap(&ring->head);\n    closer_close_memory(ring->fd);\n", "    region_unmap(&ring->head);\n")],
    "a reader keeps its bells mapped": [("shmframe/src/link.c", "    region_unmap(&link->lease);\n    region_unmap(&link->bell);\n    close_fd(&link->wake);", "    region_unmap(&link->lease);\n    close_fd(&link->wake);")],
}


STARVED = ("does not get open", "has had nothing to do", "does not end", "to its first frame")
MAY_STARVE = {
    "a death is not noticed",
    "the bell is not rung",
    "who polls is not woken",
    "a lossless reader does not wake its writer",
}


def fits(name, said):
    return name in MAY_STARVE or not any(words in said for words in STARVED)


def copy_source(root, work):
    """A copy of the source without what was built from it."""
    built = [name for name in os.listdir(root) if os.path.isdir(os.path.join(root, name, "meson-private"))]
    copy = os.path.join(work, "copy")
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", *built), symlinks=True)
    return copy


def build(copy):
    folder = os.path.join(copy, "build")
    if not os.path.isdir(folder):
        made = subprocess.run(["meson", "setup", folder, copy], capture_output=True, text=True)
        if made.returncode:
            return made.stdout[-400:]
    made = subprocess.run(["ninja", "-C", folder, *TARGETS], capture_output=True, text=True)
    return made.stdout[-400:] if made.returncode else None


def rage(copy):
    """One storm. What it found first; None: nothing."""
    program = os.path.join(copy, "build", TARGETS[1])
    environment = dict(os.environ, SHMFRAMED=os.path.join(copy, "build", TARGETS[0]))
    environment.pop("SHMFRAME_SEED", None)
    try:
        result = subprocess.run([program, "--kills", str(KILLS)], env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return "does not end"
    if result.returncode == 0:
        return None
    seed = re.search(r"--seed (\d+)", result.stdout)
    fault = re.search(r"FAULT: (.*)", result.stdout)
    return "%s (seed %s)" % (fault.group(1) if fault else "ends with status %d" % result.returncode, seed.group(1) if seed else "?")


def find(copy, name):
    """Whether it was found; what the last storm said, if any said something; how many there were."""
    last = "nobody notices"
    for number in range(STORMS):
        said = rage(copy)
        if said and fits(name, said):
            return True, said, number + 1
        last = "does not fit: " + said if said else last
    return False, last, STORMS


def change(copy, changes):
    """Weakens the copy; returns the texts that were there. Raises ValueError."""
    kept = {}
    for file, text, instead in changes:
        path = os.path.join(copy, file)
        with open(path, encoding="utf-8") as source:
            content = source.read()
        kept.setdefault(path, content)
        if content.count(text) != 1:
            restore(kept)
            raise ValueError("%s: the text to change is there %d times" % (file, content.count(text)))
        with open(path, "w", encoding="utf-8") as source:
            source.write(content.replace(text, instead))
    return kept


def restore(kept):
    for path, content in kept.items():
        with open(path, "w", encoding="utf-8") as source:
            source.write(content)


def report(is_right, name, storms, began, said):
    print("%-6s %-45s %d storms, %4.0f s  %s" % ("ok" if is_right else "FAILED", name, storms, time.monotonic() - began, said[:200]), flush=True)
    return is_right


def try_mutant(copy, name):
    began = time.monotonic()
    try:
        kept = change(copy, MUTANTS[name])
    except ValueError as error:
        return report(False, name, 0, began, str(error))
    problem = build(copy)
    is_found, said, storms = (False, problem, 0) if problem else find(copy, name)
    restore(kept)
    return report(is_found, name, storms, began, said)


def try_unchanged(copy):
    """A mutant is only found by what fails because of it."""
    began = time.monotonic()
    problem = build(copy)
    said = problem or rage(copy)
    return report(said is None, "nothing", 1, began, said or "passes")


def main(arguments):
    if not arguments or not os.path.isdir(os.path.join(arguments[0], "shmframe/src")):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    wanted = [name for name in MUTANTS if not arguments[1:] or any(word in name for word in arguments[1:])]
    work = tempfile.mkdtemp(prefix="storm-mutants-")
    try:
        copy = copy_source(arguments[0], work)
        results = [try_unchanged(copy)] + [try_mutant(copy, name) for name in wanted]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if wanted and all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
