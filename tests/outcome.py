#!/usr/bin/env python3
"""What a run of the tests comes to; for ./tests/run.

    outcome.py watch FILE       notes in FILE, each second, how much of the processors' time the
                                machine below took away so far ("steal" of proc(5))
    outcome.py tell BUILD FILE  tells what failed, then how many passed; exit status 1 if not all did

A test that failed while STOLEN_SHARE of the processors' time or more was taken away shows what that
does, not what is tested: it runs once more, alone, and counts as it ends then. Both are told.
"""

import json
import os
import subprocess
import sys
import time

STOLEN_SHARE = 0.02
LAST_LINES, LINE_CHARACTERS = 20, 300
OUTCOMES = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}


def read_stolen_s():
    """Of a processor, on the average, since the machine began."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = int(file.readline().split()[8])
    return ticks / os.sysconf("SC_CLK_TCK") / os.cpu_count()


def watch(path):
    parent = os.getppid()
    with open(path, "w", encoding="ascii", buffering=1) as file:
        while os.getppid() == parent:
            print(time.time(), read_stolen_s(), file=file)
            time.sleep(1)


def stolen_share(notes, begin_s, end_s):
    """Of the time between the last note before and the first one after."""
    before = [note for note in notes if note[0] <= begin_s][-1:]
    after = [note for note in notes if note[0] >= end_s][:1]
    span = before + [note for note in notes if begin_s < note[0] < end_s] + after
    if len(span) < 2:
        return 0
    return (span[-1][1] - span[0][1]) / (span[-1][0] - span[0][0])


def read_log(path):
    """What meson told of each test, a line each."""
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []


def outcome(test):
    return OUTCOMES.get(test["result"], "failed")


def tell(test):
    print(f"\n{test['name']}: {test['result']}; it said:")
    for stream in "stdout", "stderr":
        said = [words for words in (test.get(stream) or "").splitlines() if ":P:" not in words]
        for words in said[-LAST_LINES:]:
            print("    " + words[:LINE_CHARACTERS])


def run_again(build, test, share):
    """Its second outcome."""
    name = test["name"].rsplit(" / ", 1)[-1]
    print(f"\n{name} failed while {100 * share:.0f} % of the processors' time were taken away from "
          "outside: it runs again", flush=True)
    subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--logbase", "again", name],
                   stdout=subprocess.DEVNULL, check=False)
    found = [again for again in read_log(os.path.join(build, "meson-logs", "again.json"))
             if again["name"] == test["name"]]
    return found[0] if found else test


def judge(build, notes_path):
    with open(notes_path, encoding="ascii") as file:
        notes = [tuple(map(float, line.split())) for line in file if line.endswith("\n")]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for test in read_log(os.path.join(build, "meson-logs", "testlog.json")):
        if outcome(test) == "failed":
            tell(test)
            share = stolen_share(notes, test["starttime"], test["starttime"] + test["duration"])
            if share >= STOLEN_SHARE:
                test = run_again(build, test, share)
                print(f"{test['name']}: {test['result']}")
                if outcome(test) == "failed":
                    tell(test)
        counts[outcome(test)] += 1
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {counts['failed']} failed{skipped}")
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "watch":
        watch(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "tell":
        sys.exit(judge(*sys.argv[2:]))
    else:
        sys.exit(__doc__)
