#!/usr/bin/env python3
"""Whether the fuzzers find anything: removes one check at a time from a copy of the code, and takes
the seconds that the fuzzer needs to notice, and what it says then. It begins with the inputs of the
repository and its seeds, which were found without that defect: they pass with nothing removed.

    broken.py [--seconds N] [--only TARGET]      N: as long as each may take, default 120
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from run import end_with_parent

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

# Target, what is broken, file, what stands there, what then stands there.
BREAKS = [
    ("control", "a bounds check: entries of the notice page", "server/stream_offer.c",
     "    if (entry >= NOTICE_ENTRIES)\n", "    if (false)\n"),
    ("control", "a seal check: any seals will do", "shmframe/src/region.c",
     "    if ((seals & ~F_SEAL_EXEC) != wanted)\n", "    if (seals < 0)\n"),
    ("control", "a descriptor that is not closed: a ring's", "server/stream_ring.c",
     "    closer_close_memory(ring->fd);\n", ""),
    ("attach", "a bounds check: slots of head", "shmframe/src/ring_read.c",
     "        if (place_slot(place) >= reader->slots || sequence > SEQUENCE_MAX)\n",
     "        if (sequence > SEQUENCE_MAX)\n"),
    ("attach", "an overflow check: slots that do not fill their memory", "shmframe/src/layout.c",
     "        end != geometry->ring_bytes)\n", "        false)\n"),
    ("attach", "a bounds check: bytes of a frame", "shmframe/src/reader.c",
     "    return frame->bytes <= reader->link->bytes_max && ", "    return "),
    ("lease", "a mask: slots of lease words", "shmframe/src/layout.h",
     "    return (uint32_t)(lease & 0xff);\n", "    return (uint32_t)lease;\n"),
    ("lease", "I1: slots of the history are lent", "shmframe/src/ring.c",
     "writer->loaned.word[i] | writer->kept.word[i] | ", "writer->loaned.word[i] | "),
    ("lease", "a number believed: how far the stream came", "shmframe/src/writer_open.c",
     "    if (!writer->ring && writer->opened_sequence", "    if (writer->opened_sequence"),
    ("pipeline", "a bounds check: starts of a node", "server/nodes_file.c",
     " || policy->starts == POLICY_BURST_MAX)\n", ")\n"),
    ("pipeline", "a width: names in the names' file", "server/names.c",
     '    if (sscanf(line, "%63s %"', '    if (sscanf(line, "%s %"'),
    ("pipeline", "a value believed: generations that are gone", "server/names.c",
     " || gone_generation > generation ||\n", " ||\n"),
    ("marks", "a bounds check: columns of a picture", "consumers/mark_strip.c",
     "                            (float)reader->luma->width);\n",
     "                            (float)reader->luma->width * 2);\n"),
    ("marks", "a check: what was put right is a word", "common/reed_solomon.c",
     "    if (found != find_degree(locators) || find_syndromes(right, bytes, syndromes))\n",
     "    if (found > 8)\n"),
    ("marks", "a range: when a picture was captured", "common/mark.c",
     "    if (capture_ns >= MARK_CAPTURE_END_NS)\n", "    if (false)\n"),
]


def run(command, **more):
    return subprocess.run(command, check=False, preexec_fn=end_with_parent, text=True,
                          errors="replace", **more)


def must(command, **more):
    result = run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if result.returncode != 0:
        sys.exit(result.stdout[-4000:])


def copy_tree(copy):
    def leave_out(folder, names):
        return [name for name in names
                if name == ".git" or os.path.exists(os.path.join(folder, name, "build.ninja"))]
    shutil.copytree(TOP, copy, ignore=leave_out)


def complaint(output):
    """What was wrong, of all that the harness and the sanitizers printed."""
    said = re.search(r"^(.*\.[ch]:\d+: .*|.*(?:runtime error|Sanitizer|libFuzzer): .*)$", output, re.M)
    return said[0].split("/copy/")[-1][-110:] if said else "ends"


class Breaker:
    def __init__(self, copy, seconds):
        self.copy, self.seconds = copy, seconds
        self.build = os.path.join(copy, "build-broken")
        must(["meson", "setup", self.build, copy])

    def make(self, target):
        must(["ninja", "-C", self.build, "-j2", f"tests/fuzz/fuzz-libfuzzer-{target}"])
        return os.path.join(self.build, f"tests/fuzz/fuzz-libfuzzer-{target}")

    def run_fuzzer(self, target, program, seconds):
        """How long it ran, and what it complained of; None: of nothing."""
        with tempfile.TemporaryDirectory(prefix="shmframe-broken-") as folder:
            work = os.path.join(folder, "work")
            must([sys.executable, os.path.join(HERE, "seeds.py"), target, work])
            began = time.monotonic()
            result = run([program, f"-max_total_time={seconds}", "-seed=1", "-len_control=0",
                          f"-max_len={4096 if target == 'pipeline' else 512}", "-timeout=30",
                          f"-artifact_prefix={folder}/", work,
                          os.path.join(HERE, "corpus", target)],
                         env={**os.environ, "TMPDIR": folder}, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE)
            took = time.monotonic() - began
        return took, complaint(result.stderr) if result.returncode != 0 else None

    def break_once(self, target, path, before, after):
        place = os.path.join(self.copy, path)
        with open(place, encoding="utf-8") as file:
            text = file.read()
        if text.count(before) != 1:
            sys.exit(f"{path}: {before!r} does not stand there once")
        with open(place, "w", encoding="utf-8") as file:
            file.write(text.replace(before, after))
        try:
            return self.run_fuzzer(target, self.make(target), self.seconds)
        finally:
            with open(place, "w", encoding="utf-8") as file:
                file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--only")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    missed = 0
    with tempfile.TemporaryDirectory(prefix="shmframe-broken-") as folder:
        copy = os.path.join(folder, "copy")
        copy_tree(copy)
        breaker = Breaker(copy, options.seconds)
        wanted = [each for each in BREAKS if options.only in (None, each[0])]
        for target in sorted({each[0] for each in wanted}):
            # With nothing removed: what is found then is no mutant.
            said = breaker.run_fuzzer(target, breaker.make(target), 1)[1]
            if said:
                sys.exit(f"{target} with nothing removed: {said}")
        for target, what, path, before, after in wanted:
            seconds, said = breaker.break_once(target, path, before, after)
            missed += said is None
            found = f"{seconds:6.1f} s" if said else "not found"
            print(f"{target:9} {found:>9}  {what} ({path}){': ' + said if said else ''}", flush=True)
    print(f"{missed} not found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
