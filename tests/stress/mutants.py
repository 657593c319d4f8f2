#!/usr/bin/env python3
"""Weakens the ring's core in one place at a time, and sees that a test fails.

usage: mutants.py ROOT [NAME...]      ROOT: of the source; NAME: only mutants that contain it

Each mutant is compiled from a copy of the source in a folder of its own. Races are given several
tries: two threads must meet. Exit: 0 each was found, 1 some was not, 2 usage.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../gates"))
from mutation import Unfit, first_complaint, report, weaken, without_steps

SOURCES = ["ring.c", "ring_read.c", "bell.c", "futex.c", "clock.c"]
MORE_SOURCES = {"record": ["record.c", "record_read.c", "histogram.c", "region.c", "error.c"]}
LUCK_S = 60  # for a race
LIMIT_S = 60  # for one run
STEPKILL_SOURCES = ["stepkill.c", "stepper.c", "scene.c", "writers.c", "readers.c"]
STEPKILL_LIMIT_S = 200
STEPKILL_POINTS = "--kill 20 --stop 100 --evict 100".split()

FENCE = "atomic_thread_fence(memory_order_seq_cst);"
BEHIND = """*writer->sequence + 1 - link->taken <= writer->history)
            continue;
        link->taken = cursor_of(writer, link);
        if (*writer->sequence + 1 - link->taken > writer->history)"""


def relax(store):
    """`store` with its order relaxed."""
    return store, store.replace("memory_order_release", "memory_order_relaxed").replace(
        "memory_order_acquire", "memory_order_relaxed"
    )


def without_refresh(begin, end):
    """The code of ring.c from `begin` to `end`, and the same without a look at the notice."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../shmframe/src/ring.c"), encoding="utf-8") as file:
        text = without_steps(file.read())
    text = text[text.index(begin) :]
    text = text[: text.index(end)]
    return text, text.replace("ring_writer_refresh(writer);", "")


# edge: what is weakened, file, text, text instead, program, its arguments. The text is there once.
MUTANTS = [
    # P
    ("P head store relaxed", "ring.c", *relax("&ring->head, place, memory_order_release"), "edges", ""),
    ("P index store relaxed", "ring.c", *relax("&ring->index[sequence % RING_INDEX], place, memory_order_release"), "edges", ""),
    (
        "P state store relaxed",
        "ring.c",
        *relax("slot_word(sequence, SLOT_PUBLISHED),\n                          memory_order_release"),
        "edges",
        "",
    ),
    (
        "P head load relaxed",
        "ring_read.c",
        *relax("head = atomic_load_explicit(&reader->ring->head, memory_order_acquire);\n        is_moving"),
        "edges",
        "",
    ),
    ("P index load relaxed", "ring_read.c", *relax("&reader->ring->index[sequence % RING_INDEX], memory_order_acquire"), "edges", ""),
    (
        "P state load relaxed",
        "ring_read.c",
        *relax("atomic_load_explicit(&reader->ring->slot[frame->slot].state, memory_order_acquire)"),
        "edges",
        "",
    ),
    ("P tail store relaxed", "ring.c", *relax("&writer->ring->tail, tail, memory_order_release"), "edges", ""),
    (
        "B7 RETIRED store relaxed",
        "ring.c",
        *relax("slot_word(sequence, SLOT_RETIRED),\n                              memory_order_release"),
        "edges",
        "",
    ),
    ("P end store relaxed", "ring.c", *relax("&writer->ring->state, (uint32_t)state, memory_order_release"), "edges", ""),
    (
        "P end load relaxed",
        "ring_read.c",
        *relax("const uint32_t state = atomic_load_explicit(&reader->ring->state, memory_order_acquire)"),
        "edges",
        "",
    ),
    # R
    (
        "R clear relaxed",
        "ring_read.c",
        *relax("/* R: from here on the writer may have the slot. */\n    atomic_store_explicit(&reader->lease->lease[cell], 0, memory_order_release)"),
        "edges",
        "",
    ),
    ("R scan relaxed", "ring.c", *relax("&link->lease->lease[cell], memory_order_acquire"), "edges", ""),
    (
        "R find_cells relaxed",
        "ring_read.c",
        *relax("if (!atomic_load_explicit(&reader->held[cell], memory_order_acquire))\n            frames"),
        "edges",
        "",
    ),
    # G, S
    ("G word load relaxed", "ring.c", *relax("&writer->notice->word, memory_order_acquire"), "edges", ""),
    ("G entry load relaxed", "ring.c", *relax("&writer->notice->entry[link->entry].word, memory_order_acquire"), "edges", ""),
    ("G link list store relaxed", "ring.c", *relax("&writer->links, link, memory_order_release"), "edges", ""),
    (
        "G link list load relaxed",
        "ring.c",
        *relax("struct ring_link *link = atomic_load_explicit(&writer->links, memory_order_acquire);\n    for"),
        "edges",
        "",
    ),
    ("S start store relaxed", "ring.c", *relax("&link->bell->start, link->start, memory_order_release"), "edges", ""),
    # L
    (
        "L writer's fence",
        "ring.c",
        FENCE + "\n    /* Links granted since the loan sleep",
        "/* Links granted since the loan sleep",
        "races",
        "tail",
    ),
    (
        "G no look at the notice in loan",
        "ring.c",
        "ring_writer_refresh(writer);\n    uint32_t found = keeps_many(",
        "uint32_t found = keeps_many(",
        "ring",
        "",
    ),
    ("L reader's fence", "ring_read.c", FENCE + "\n    for (; taken", "for (; taken", "races", "lease"),
    ("L reader's fence, batch", "ring_read.c", FENCE + "\n    for (; taken", "for (; taken", "races", "batch"),
    (
        "L a batch is fenced after its first lease",
        "ring_read.c",
        "lease_word(frames[i].sequence, frames[i].slot), memory_order_release);\n    /* L, with the one in ring_announce(): all leases before the first look at a state. */\n    " + FENCE,
        "(i == 1 ? atomic_thread_fence(memory_order_seq_cst) : (void)0, lease_word(frames[i].sequence, frames[i].slot)), memory_order_release);",
        "races",
        "batch",
    ),
    (
        "L only the first state of a batch is looked at",
        "ring_read.c",
        "if (state != slot_word(frame->sequence, SLOT_PUBLISHED))",
        "if (taken == 0 && state != slot_word(frame->sequence, SLOT_PUBLISHED))",
        "ring_read",
        "",
    ),
    (
        "a batch keeps leases of what it does not get",
        "ring_read.c",
        "for (uint32_t i = taken; i < count; i++)\n        drop_lease",
        "for (uint32_t i = count; i < count; i++)\n        drop_lease",
        "ring_read",
        "",
    ),
    ("I1 what is kept is spare", "ring.c", "~busy->word[i] & mask;", "(~busy->word[i] | writer->kept.word[i]) & mask;", "races", "spare"),
    ("I1 what is leased is spare", "ring.c", "~busy->word[i] & mask;", "~(writer->kept.word[i] | writer->loaned.word[i]) & mask;", "races", "spare"),
    ("I1 what is lent stays spare", "ring.c", "        ring_set_remove(&writer->spare, out_slots[i]);\n", "", "ring", ""),
    ("I1 what is lent stays spare while few frames are kept", "ring.c", "ring_set_remove(&writer->spare, out_slots[i]);", "if (keeps_many(writer))\n            ring_set_remove(&writer->spare, out_slots[i]);", "ring", ""),
    (
        "C the writer is woken too late",
        "ring_read.c",
        "if (!reader->is_lossless)\n        return;\n    /* C, with",
        "if (!reader->is_lossless || place_sequence(reader->head) > sequence + reader->depth / 2)\n        return;\n    /* C, with",
        "bell",
        "",
    ),
    (
        "I5 no look at the notice once a loan has retired frames",
        "ring.c",
        "ring_writer_refresh(writer); /* who joined",
        "/* who joined",
        "steps",
        "",
    ),
    (
        "I1 a batch lends one slot twice",
        "ring.c",
        "ring_set_add(&busy, slot);\n        out_slots",
        "out_slots",
        "ring",
        "",
    ),
    (
        "L no look at the state",
        "ring_read.c",
        "if (state != slot_word(frame->sequence, SLOT_PUBLISHED))",
        "if (!state)",
        "races",
        "lease",
    ),
    # W
    ("W writer's fence", "ring.c", FENCE + "\n    /* Links granted since the loan sleep", "/* Links granted since the loan sleep", "races", "wake"),
    ("W reader's fence", "bell.c", FENCE + "\n    int code = 0;", "int code = 0;", "races", "wake"),
    ("W writer's fence, some readers", "ring.c", FENCE + "\n    /* Links granted since the loan sleep", "/* Links granted since the loan sleep", "sleepers", ""),
    ("W reader's fence, poll", "bell.c", FENCE + " /* W */\n", "", "sleepers", ""),
    ("W no second look at head", "bell.c", "if (!see_any(readers, count)) {\n        code", "if (true) {\n        code", "races", "wake"),
    ("W the same episode", "bell.c", "wait_word(++reader->episode, mode)", "wait_word(1, mode)", "bell", ""),
    ("W rung twice", "bell.c", "if (waiting == 0 || waiting == link->rung)", "if (waiting == 0)", "bell", ""),
    # C
    ("C reader's fence", "ring_read.c", FENCE + "\n    if (!atomic_load_explicit(&reader->bell->writer_waiting", "if (!atomic_load_explicit(&reader->bell->writer_waiting", "races", "space"),
    ("C writer's fence", "bell.c", "/* C, with the one in acquire. */\n    " + FENCE, "", "races", "space"),
    ("C no second look at the cursor", "bell.c", "ring_writer_behind(writer) == link ?", "ring_writer_behind(writer) != writer->links ?", "bell", ""),
    ("C space not bumped", "ring_read.c", "space + 1, memory_order_relaxed); /* only", "space, memory_order_relaxed); /* only", "bell", ""),
    # E
    (
        "E WRITING not stored",
        "ring.c",
        "slot_word(0, SLOT_WRITING)",
        "atomic_load_explicit(&writer->ring->slot[out_slots[i]].state, memory_order_relaxed)",
        "steps",
        "",
    ),
    (
        "E no last look at the state",
        "ring_read.c",
        "return is_whole ? 0 : -ESTALE;",
        "(void)is_whole;\n    return 0;",
        "ring_read",
        "",
    ),
    # what the models found
    (
        "B1 notice in loan only, publish",
        "ring.c",
        *without_refresh("void ring_announce(struct ring_writer *writer) {", "bell_ring(writer);"),
        "bell",
        "",
    ),
    (
        "B1 notice in loan only, end",
        "ring.c",
        "/* W: as for head. */\n    " + FENCE + "\n    ring_writer_refresh(writer);",
        FENCE,
        "bell",
        "",
    ),
    (
        "I5 notice after the tail, publish",
        "ring.c",
        "    ring_writer_refresh(writer);\n    if (writer->first)\n        retire(writer);",
        "    if (writer->first)\n        retire(writer);",
        "ring",
        "",
    ),
    ("B2 tail goes back", "ring.c", "return max_u64(tail, writer->tail);\n}", "(void)tail;\n    return max_u64(writer->newest >= writer->history ? writer->newest - writer->history + 1 : 1, writer->first);\n}", "ring", ""),
    (
        "B3 tail after head",
        "ring.c",
        "atomic_store_explicit(&ring->tail, sequence, memory_order_release);\n    }\n    atomic_store_explicit(&ring->head, place, memory_order_release);",
        "}\n    atomic_store_explicit(&ring->head, place, memory_order_release);\n    if (writer->first == sequence)\n        atomic_store_explicit(&ring->tail, sequence, memory_order_release);",
        "steps",
        "",
    ),
    ("B4 the reader decides where it begins", "ring_read.c", "*out_base = max_u64(start, first) - 1;\n        return start != 0 && *out_base < newest;", "*out_base = newest - 1 + 0 * start;\n        return true;", "ring", ""),
    (
        "B5 tail does not wait",
        "ring.c",
        "i < writer->active_count && writer->lossless; i++)",
        "i < 0 * writer->active_count; i++)",
        "ring",
        "",
    ),
    ("B6 no second look at the state", "ring_read.c", "return state == RING_OPEN ? RING_NOTHING : RING_OVER;", "return state == RING_OPEN || !out_state ? RING_NOTHING : RING_OVER;", "bell", ""),
    (
        "B8 own loans count",
        "ring.c",
        BEHIND,
        BEHIND.replace("+ 1", "+ 1 + (uint64_t)__builtin_popcountll(writer->loaned.word[0])"),
        "ring",
        "",
    ),
    # order of stores
    (
        "I2 state before the stamps",
        "ring.c",
        "write_header(&ring->slot[slot], frame);",
        "atomic_store_explicit(&ring->slot[slot].state, slot_word(sequence, SLOT_PUBLISHED), memory_order_release);\n    atomic_store_explicit(&ring->head, place, memory_order_release);\n    write_header(&ring->slot[slot], frame);",
        "steps",
        "",
    ),
    (
        "I3 retired before the tail",
        "ring.c",
        "    atomic_store_explicit(&writer->ring->tail, tail, memory_order_release);\n    for (",
        "    for (",
        "steps",
        "",
    ),
    # I8
    ("I8 lease slot not masked", "layout.h", "return (uint32_t)(lease & 0xff);", "return (uint32_t)(lease & 0xfff);", "hostile", ""),
    ("I8 grant not cut", "ring.c", "if (grant.leases > SHMFRAME_LEASES_MAX)", "if (false)", "hostile", ""),
    ("I8 slot not checked", "ring_read.c", "if (place_slot(place) >= reader->slots || sequence", "if (sequence", "hostile", ""),
    ("I8 cursor not cut", "ring.c", "max_u64(min_u64(told, *writer->sequence),", "max_u64(told,", "hostile", ""),
    ("I8 a head that goes back", "ring_read.c", "== base ? -EAGAIN : -EPROTO", "== base ? -EAGAIN : -EAGAIN", "hostile", ""),
    ("I1 what is pinned is lent", "ring.c", " | writer->pinned.word[i];", ";", "ring", ""),
    # the flight recorder
    (
        "a flight is not looked at twice",
        "record_read.c",
        "return sequence && atomic_load_explicit(&flight->sequence, memory_order_relaxed) == sequence;",
        "return sequence != 0;",
        "record",
        "",
    ),
    (
        "a flight is changed while it shows",
        "record.c",
        "    atomic_store_explicit(&flight->sequence, 0, memory_order_relaxed);\n",
        "",
        "record",
        "",
    ),
    ("a histogram is not looked at twice", "record_read.c", "COPIES_MAX = 256", "COPIES_MAX = 1", "record", ""),
    (
        "a hold goes over before its end",
        "record.c",
        "fold(record, taken);\n    atomic_store_explicit(&page->state.came_ns, now_ns",
        "fold(record, taken + 1);\n    atomic_store_explicit(&page->state.came_ns, now_ns",
        "record",
        "",
    ),
    # killed, or stopped, at every instruction
    (
        "steps: stamps behind the head",
        "ring.c",
        "write_header(&ring->slot[slot], frame);",
        "atomic_store_explicit(&ring->slot[slot].state, slot_word(sequence, SLOT_PUBLISHED), memory_order_release);\n    atomic_store_explicit(&ring->head, place, memory_order_release);\n    write_header(&ring->slot[slot], frame);",
        "stepkill",
        "--only 'loan and publish'",
    ),
    (
        "steps: head before the slot's state",
        "ring.c",
        "write_header(&ring->slot[slot], frame);",
        "write_header(&ring->slot[slot], frame);\n    atomic_store_explicit(&ring->head, place, memory_order_release);",
        "stepkill",
        "--only 'loan and publish'",
    ),
    (
        "steps: first and tail after head",
        "ring.c",
        "atomic_store_explicit(&ring->first, sequence, memory_order_relaxed);\n        atomic_store_explicit(&ring->tail, sequence, memory_order_release);\n    }\n    atomic_store_explicit(&ring->head, place, memory_order_release);",
        "}\n    atomic_store_explicit(&ring->head, place, memory_order_release);\n    if (writer->first == sequence) {\n        atomic_store_explicit(&ring->first, sequence, memory_order_relaxed);\n        atomic_store_explicit(&ring->tail, sequence, memory_order_release);\n    }",
        "stepkill",
        "--only 'first frame of a later ring'",
    ),
    (
        "steps: retired before the tail",
        "ring.c",
        "    atomic_store_explicit(&writer->ring->tail, tail, memory_order_release);\n    for (",
        "    for (",
        "stepkill",
        "--only 'loan and publish'",
    ),
    (
        "steps: RETIRED left out",
        "ring.c",
        "slot_word(sequence, SLOT_RETIRED),\n                              memory_order_release",
        "slot_word(sequence, SLOT_PUBLISHED),\n                              memory_order_release",
        "stepkill",
        "--only 'one after the other'",
    ),
    (
        "steps: WRITING left out",
        "ring.c",
        "slot_word(0, SLOT_WRITING)",
        "atomic_load_explicit(&writer->ring->slot[out_slots[i]].state, memory_order_relaxed)",
        "stepkill",
        "--only 'loan and publish'",
    ),
    (
        "steps: nobody is rung",
        "ring.c",
        "ring_writer_refresh(writer);\n    bell_ring(writer);\n}\n\nvoid ring_end",
        "ring_writer_refresh(writer);\n}\n\nvoid ring_end",
        "stepkill",
        "--only 'loan and publish'",
    ),
    (
        "steps: nobody hears of the end",
        "ring.c",
        "/* W: as for head. */\n    " + FENCE + "\n    ring_writer_refresh(writer);\n    bell_ring(writer);\n",
        "/* W: as for head. */\n    " + FENCE + "\n    ring_writer_refresh(writer);\n",
        "stepkill",
        "--only 'end of the stream'",
    ),
    (
        "steps: the slot is not looked at once it is leased",
        "ring_read.c",
        "if (state != slot_word(frame->sequence, SLOT_PUBLISHED))",
        "if (!state)",
        "stepkill",
        "--only 'acquire and release, newest'",
    ),
    (
        "steps: the lease ends before the last look",
        "ring_read.c",
        "/* E: our last look at the payload comes before this look at the state. */\n",
        "atomic_store_explicit(&reader->lease->lease[cell], 0, memory_order_release);\n",
        "stepkill",
        "--only 'acquire and release, newest'",
    ),
    (
        "steps: no last look",
        "ring_read.c",
        "return is_whole ? 0 : -ESTALE;",
        "(void)is_whole;\n    return 0;",
        "stepkill",
        "--only 'acquire and release, newest'",
    ),
    (
        "steps: the last look takes another frame for it",
        "ring_read.c",
        "state == slot_word(sequence, SLOT_PUBLISHED) || state ==",
        "(state & 3) == SLOT_PUBLISHED || state ==",
        "stepkill",
        "--only 'acquire and release, newest'",
    ),
    (
        "steps: one lease of a reader counts",
        "ring.c",
        "cell < link->grant.leases; cell++",
        "cell < 1; cell++",
        "stepkill",
        "--only 'holds two of three'",
    ),
    (
        "steps: the dead keep their leases",
        "ring.c",
        "link->state == RING_LINK_ACTIVE || (is_ours && grant.state != ENTRY_NONE)",
        "is_ours && grant.state == ENTRY_EVICTED",
        "stepkill",
        "--only 'acquire and release, newest'",
    ),
    (
        "steps: the writer waits for the dead",
        "ring.c",
        "    if (word == writer->notice_seen && !writer->is_notice_new)\n        return;\n",
        "    if (writer->lossless && !writer->is_notice_new)\n        return;\n",
        "stepkill",
        "--only 'release, lossless'",
    ),
    (
        "steps: a lossless reader takes, and its writer sleeps on",
        "ring_read.c",
        "        return;\n    wake_writer(page);\n}\n\n/* More frames",
        "        return;\n}\n\n/* More frames",
        "stepkill",
        "--only 'lossless, the writer asleep'",
    ),
    (
        "steps: a lossless reader leaves, and its writer sleeps on",
        "ring_read.c",
        "    wake_writer(page);\n}\n\nbool ring_reader_holds",
        "}\n\nbool ring_reader_holds",
        "stepkill",
        "--only 'leave, lossless'",
    ),
    (
        "steps: who leaves keeps a lease",
        "ring_read.c",
        "atomic_store_explicit(&page->lease[cell], 0, memory_order_release); /* R */",
        "if (cell)\n            atomic_store_explicit(&page->lease[cell], 0, memory_order_release);",
        "stepkill",
        "--only 'leave, holding two'",
    ),
    (
        "steps: the dead are rung again and again",
        "bell.c",
        "if (waiting == 0 || waiting == link->rung)",
        "if (waiting == 0)",
        "stepkill",
        "--only 'wait, '",
    ),
    ("I8 lies never end", "ring_read.c", "is_moving ? -EAGAIN : -EPROTO", "is_moving ? -EAGAIN : -EAGAIN", "hostile", ""),
]


def build(copy, program):
    source = os.path.join(copy, "shmframe/src")
    tests = os.path.join(copy, "tests")
    folder = "stress" if program in ("edges", "races", "sleepers") else "library"
    output = os.path.join(copy, "program")
    command = [os.path.join(tests, "stress/compile"), "cc", output] if program == "edges" else ["cc", "-O2", "-o", output]
    command += ["-std=gnu17", "-D_GNU_SOURCE", "-w", "-pthread", "-I" + source, "-I" + os.path.join(copy, "shmframe/include")]
    command += [os.path.join(source, name) for name in SOURCES + MORE_SOURCES.get(program, [])]
    command += [os.path.join(tests, "library/rig.c")]
    if program == "stepkill":
        command += ["-Wl,-z,now"] + [os.path.join(tests, "stress/stepkill", name) for name in STEPKILL_SOURCES]
        return subprocess.run(command, capture_output=True, text=True)
    command += [os.path.join(tests, folder, program + ".c")]
    if folder == "library":
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "check"], capture_output=True, text=True, check=True)
        command += flags.stdout.split()
    return subprocess.run(command, capture_output=True, text=True)


def fails(copy, program, arguments, luck_s):
    """Whether it fails, once or within the time that a race is given; and how it said so."""
    command = [os.path.join(copy, "program")]
    if program in ("races", "sleepers"):
        command += ["5"] + arguments.split()
    if program == "stepkill":
        command += STEPKILL_POINTS + shlex.split(arguments)
    if program == "edges":
        command = [os.path.join(copy, "tests/stress/under-tsan")] + command
    until = time.monotonic() + luck_s
    while True:
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=STEPKILL_LIMIT_S if program == "stepkill" else LIMIT_S)
        except subprocess.TimeoutExpired:
            return "does not end"
        if result.returncode:
            return first_complaint(result.stdout + result.stderr, copy)
        if time.monotonic() > until:
            return None


def make_copy(root, work):
    copy = os.path.join(work, "copy")
    for folder in ("shmframe", "tests/library", "tests/stress", "tests/region"):
        shutil.copytree(os.path.join(root, folder), os.path.join(copy, folder))
    return copy


def try_unchanged(root, work, program):
    """Whether it passes as it is: a mutant is only found by what fails because of it."""
    copy = make_copy(root, work)
    built = build(copy, program)
    said = built.stderr[:200] if built.returncode else fails(copy, program, "", 0)
    shutil.rmtree(copy)
    return report(said is None, "nothing", program, said or "passes")


def try_mutant(root, work, mutant):
    name, file, text, instead, program, arguments = mutant
    copy = make_copy(root, work)
    found = None
    try:
        weaken(os.path.join(copy, "shmframe/src", file), text, instead)
        built = build(copy, program)
        if built.returncode == 0:
            found = fails(copy, program, arguments, LUCK_S if program in ("races", "sleepers") else 0)
        said = built.stderr[:200] if built.returncode else found or "nobody notices"
    except Unfit as unfit:
        said = str(unfit)
    shutil.rmtree(copy)
    return report(found is not None, name, (program + " " + arguments).strip(), said)


def main(arguments):
    if not arguments or not os.path.isdir(os.path.join(arguments[0], "shmframe/src")):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    wanted = [m for m in MUTANTS if not arguments[1:] or any(word in m[0] for word in arguments[1:])]
    work = tempfile.mkdtemp(prefix="mutants-")
    try:
        results = [try_unchanged(arguments[0], work, name) for name in sorted({m[4] for m in wanted})]
        results += [try_mutant(arguments[0], work, mutant) for mutant in wanted]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
