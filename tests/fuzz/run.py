#!/usr/bin/env python3
"""Runs a fuzzer for a while, from the inputs that were found before.

    run.py [--seconds N] [--seed N] [--found FOLDER] [--add] PROGRAM CORPUS

PROGRAM was linked with libFuzzer, or with AFL++ (a name that begins with fuzz-afl-). An input that
it fails on is kept in FOLDER, and the exit status is 1. With --add, whatever reaches what CORPUS
does not is added to it, and CORPUS is brought down to the fewest inputs again.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

INPUT_SECONDS = 60  # one that takes longer hangs, on the slowest machine
MEMORY_MB = 2048
INPUT_BYTES = 512
CORPUS_BYTES = 30 << 10

HERE = os.path.dirname(os.path.abspath(__file__))

# A program that this one starts ends with it, however that ends.
PR_SET_PDEATHSIG = 1


def end_with_parent():
    import ctypes
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def target_of(options):
    return os.path.basename(options.program).rsplit("-", 1)[1]


def start(command, folder, **more):
    environment = {**os.environ, "TMPDIR": folder, "UBSAN_OPTIONS": "print_stacktrace=1"}
    return subprocess.run(command, env={**environment, **more.pop("env", {})}, check=False,
                          preexec_fn=end_with_parent, **more)


def common_options(options):
    """What each input may take; texts may be longer than lists of steps."""
    length = 4096 if target_of(options) == "pipeline" else INPUT_BYTES
    return [f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={length}",
            "-len_control=0", "-verbosity=1"]


def fuzz(options, folder, work):
    command = [options.program, f"-max_total_time={options.seconds}", f"-seed={options.seed}",
               "-print_final_stats=1", f"-artifact_prefix={options.found}/",
               *common_options(options), work, options.corpus]
    dictionary = os.path.join(HERE, target_of(options) + ".dict")
    if os.path.exists(dictionary):
        command.insert(1, f"-dict={dictionary}")
    result = start(command, folder, stderr=subprocess.PIPE, text=True, errors="replace")
    if result.returncode != 0:
        print(result.stderr[-20000:])
        print(f"the input is in {options.found}")
        return 1
    executed = re.search(r"stat::number_of_executed_units: (\d+)", result.stderr)
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", result.stderr)
    if not executed or int(executed[1]) == 0 or not coverage:
        print(result.stderr[-4000:])
        print("nothing was run")
        return 1
    print(f"{executed[1]} inputs in {options.seconds} s, {coverage[-1][0]} edges, "
          f"{coverage[-1][1]} features, {coverage[-1][2]} inputs that differ; nothing found")
    return 0


def fuzz_afl(options, folder, work):
    environment = {"AFL_NO_UI": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
                   "AFL_SKIP_CPUFREQ": "1", "AFL_NO_AFFINITY": "1",
                   "ASAN_OPTIONS": "abort_on_error=1:symbolize=0:detect_leaks=0"}
    command = ["afl-fuzz", "-V", str(options.seconds), "-s", str(options.seed), "-m", "none",
               "-t", str(INPUT_SECONDS * 1000), "-i", options.corpus, "-o", work, "--",
               options.program]
    result = start(command, folder, env=environment, stdout=subprocess.PIPE,
                   stderr=subprocess.STDOUT, text=True, errors="replace")
    stats = {}
    try:
        with open(os.path.join(work, "default", "fuzzer_stats"), encoding="utf-8") as file:
            stats = dict(line.split(":", 1) for line in file if ":" in line)
    except FileNotFoundError:
        print(result.stdout[-8000:])
        return 1
    stats = {key.strip(): value.strip() for key, value in stats.items()}
    crashes = os.path.join(work, "default", "crashes")
    found = [name for name in os.listdir(crashes) if name.startswith("id:")]
    for name in found:
        shutil.copy(os.path.join(crashes, name), os.path.join(options.found, name.replace(":", "-")))
    print(f"{stats['execs_done']} inputs in {options.seconds} s, {stats['edges_found']} edges, "
          f"{stats['corpus_count']} inputs that differ; {len(found)} found")
    return 1 if found or int(stats["execs_done"]) == 0 else 0


def add(options, folder, work):
    """The fewest inputs that reach all that both reach."""
    fewest = os.path.join(folder, "fewest")
    os.mkdir(fewest)
    # Edges alone: how often each is passed would make ten times as many.
    result = start([options.program, "-merge=1", "-use_counters=0", *common_options(options), fewest, options.corpus,
                    work], folder, stderr=subprocess.PIPE, text=True, errors="replace")
    if result.returncode != 0:
        print(result.stderr[-4000:])
        return 1
    # The shortest first, as far as the repository has room for; those with a name of their own are
    # of a defect, and stay.
    kept = [name for name in os.listdir(options.corpus) if not re.fullmatch(r"[0-9a-f]{40}", name)]
    room = CORPUS_BYTES - sum(os.path.getsize(os.path.join(options.corpus, name)) for name in kept)
    for name in os.listdir(options.corpus):
        if name not in kept:
            os.remove(os.path.join(options.corpus, name))
    count = len(kept)
    for name in sorted(os.listdir(fewest), key=lambda name: os.path.getsize(f"{fewest}/{name}")):
        room -= os.path.getsize(f"{fewest}/{name}")
        if room < 0:
            break
        shutil.copy(f"{fewest}/{name}", options.corpus)
        count += 1
    print(f"{len(os.listdir(fewest))} inputs reach everything, of which {count} are kept")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("corpus")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", default="found")
    parser.add_argument("--add", action="store_true")
    options = parser.parse_args()
    os.makedirs(options.found, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shmframe-fuzz-") as folder:
        work = os.path.join(folder, "work")
        os.mkdir(work)
        seeds = [sys.executable, os.path.join(HERE, "seeds.py"), target_of(options)]
        is_afl = os.path.basename(options.program).startswith("fuzz-afl-")
        if is_afl:
            status = fuzz_afl(options, folder, work)
        else:
            subprocess.run([*seeds, work], check=True)
            status = fuzz(options, folder, work)
        if status == 0 and options.add:
            status = add(options, folder, work)
        return status


if __name__ == "__main__":
    sys.exit(main())
