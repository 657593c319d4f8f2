"""What the processes of a soak use, as the kernel tells it."""

import os

FIELDS = ("pss_kib", "private_kib", "descriptors", "mappings", "threads", "cpu_s")
TICKS = os.sysconf("SC_CLK_TCK")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def children(pid):
    """All that descends from a process, also through threads other than its first."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            for child in read(f"/proc/{pid}/task/{thread}/children").split():
                found += [int(child), *children(int(child))]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def name(pid):
    """As the supervisor calls its node, and the program: a node may be several."""
    program = read(f"/proc/{pid}/comm").strip()
    with open(f"/proc/{pid}/environ", "rb") as file:
        for word in file.read().split(b"\0"):
            if word.startswith(b"SHMFRAME_NODE="):
                return f"{word[14:].decode()}/{program}"
    return program


def born(stat):
    """When it was started: a process number may come again."""
    return int(stat.rsplit(")", 1)[1].split()[19])


def look(pid):
    """A process's (name, pid, start) and its values in the order of FIELDS; None once it is gone."""
    try:
        memory = dict(line.split(":", 1) for line in read(f"/proc/{pid}/smaps_rollup").splitlines()[1:])
        stat = read(f"/proc/{pid}/stat")
        fields = stat.rsplit(")", 1)[1].split()
        values = (int(memory["Pss"].split()[0]),
                  int(memory["Private_Dirty"].split()[0]) + int(memory["Private_Clean"].split()[0]),
                  len(os.listdir(f"/proc/{pid}/fd")), read(f"/proc/{pid}/maps").count("\n"),
                  int(fields[17]), (int(fields[11]) + int(fields[12])) / TICKS)
        return (name(pid), pid, born(stat)), values
    except (FileNotFoundError, ProcessLookupError, PermissionError, KeyError, IndexError):
        return None  # it ended while we looked


def look_at_all(root):
    """Those of all that descends from `root`."""
    return [seen for seen in map(look, children(root)) if seen]
